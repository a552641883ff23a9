/* The command line: one row an option. What an option means is in control/setup.c. */
#include "control/options.h"
#include "control/absent.h"
#include "host/nearest.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, TEXT, LIST, DRIVE, CDROM, FLOPPY, HELP, IGNORE, GDB, WATCHDOG };

struct row {
    const char *name;
    enum kind kind;
    size_t offset;
    const char *arg;  /* shown in the help; NULL: takes no argument */
    const char *help; /* NULL: an alias, not shown */
};

#define AT(f) offsetof(struct options, f)

static const struct row rows[] = {
    {"help", HELP, 0, NULL, "this text"},
    {"h", HELP, 0, NULL, NULL},
    {"version", HELP, 0, NULL, "version of the program"},
    {"name", TEXT, AT(name), "NAME", "name of the machine"},
    {"machine", TEXT, AT(machine), "TYPE[,prop=value...]",
     "machine type ('help' lists them); hpet=on|off"},
    {"M", TEXT, AT(machine), "TYPE", NULL},
    {"accel", TEXT, AT(accel), "NAME[,prop=value]", "how guest code runs ('help' lists them)"},
    {"cpu", TEXT, AT(cpu), "MODEL[,+feature|-feature...]",
     "processor ('help' lists models and features)"},
    {"smp", TEXT, AT(smp), "N[,sockets=,cores=,threads=]", "number of processors"},
    {"m", TEXT, AT(memory), "SIZE", "memory, in MiB unless K, M, G or T follows (default 512)"},
    {"bios", TEXT, AT(bios), "FILE", "BIOS image (default: SeaBIOS of the distribution)"},
    {"kernel", TEXT, AT(kernel), "FILE", "boot this bzImage or multiboot kernel"},
    {"initrd", TEXT, AT(initrd), "FILE", "with this initial RAM disk (multiboot: module)"},
    {"append", TEXT, AT(append), "TEXT", "and this kernel command line"},
    {"boot", TEXT, AT(boot), "ORDER | order=,once=,menu=on|off,splash-time=MS",
     "boot order: a floppy, c disk, d CD-ROM, n network"},
    {"drive", LIST, AT(drives),
     "file=F[,if=ide|scsi|floppy|virtio|none,index=N,media=disk|cdrom,format=raw|qcow2,readonly=on,"
     "snapshot=on,id=ID,cache=MODE...]",
     "a disk or CD-ROM (docs/storage.md has all properties)"},
    {"blockdev", LIST, AT(blockdevs),
     "driver=qcow2,node-name=N,file.driver=file,file.filename=F... | JSON",
     "an image for -device ...,drive=N"},
    {"fda", FLOPPY, 0, "FILE", "image of floppy drive A"},
    {"fdb", FLOPPY, 1, "FILE", "image of floppy drive B"},
    {"hda", DRIVE, 0, "FILE", "first IDE disk (also -hdb, -hdc, -hdd)"},
    {"hdb", DRIVE, 1, "FILE", NULL},
    {"hdc", DRIVE, 2, "FILE", NULL},
    {"hdd", DRIVE, 3, "FILE", NULL},
    {"cdrom", CDROM, 2, "FILE", "CD-ROM image in the second IDE channel's first drive"},
    {"snapshot", FLAG, AT(snapshot), NULL,
     "keep disk images unchanged: writes go to temporary files"},
    {"device", LIST, AT(devices), "NAME[,prop=value...]",
     "add a device ('help' lists them, 'NAME,help' its properties)"},
    {"global", LIST, AT(globals), "DEVICE.PROP=VALUE", "default of a device property"},
    {"nographic", FLAG, AT(nographic), NULL,
     "serial console and monitor on the terminal, Ctrl-A h for help"},
    {"display", TEXT, AT(display), "sdl | curses | vnc=:N | none",
     "who shows the screen ('help' lists them)"},
    {"vnc", TEXT, AT(vnc), ":N | HOST:N | unix:PATH[,password=on,websocket=on,to=N...]",
     "show the screen to VNC viewers, on port 5900 + N of this host alone unless HOST says more"},
    {"vga", TEXT, AT(vga), "std|virtio|none", "display adapter"},
    {"serial", LIST, AT(serials), "DEV",
     "serial port: stdio, mon:stdio, pty, file:PATH, pipe:PATH, unix:PATH, tcp:HOST:PORT, "
     "telnet:..., null, none, chardev:ID"},
    {"parallel", LIST, AT(parallels), "DEV", "parallel port, the same kinds"},
    {"monitor", TEXT, AT(monitor), "DEV",
     "monitor on stdio, pty, unix:PATH,server=on, tcp:HOST:PORT,server=on, null or none"},
    {"qmp", LIST, AT(qmps), "DEV",
     "QMP for management tools: unix:PATH,server=on,wait=off, tcp:[HOST]:PORT,..., stdio"},
    {"mon", LIST, AT(mons), "chardev=ID[,mode=readline|control]",
     "monitor (control: QMP) on a -chardev"},
    {"chardev", LIST, AT(chardevs), "KIND,id=ID[,mux=on,logfile=FILE,...]",
     "character device: stdio, file, pipe, pty, null, socket, ringbuf ('help' tells their "
     "properties)"},
    {"object", LIST, AT(objects), "KIND,id=ID[,...]",
     "filter-dump (packet capture), rng-random ('help' lists them)"},
    {"debugcon", LIST, AT(debugcons), "DEV", "debug console on port 0xe9"},
    {"rtc", TEXT, AT(rtc), "base=utc|localtime|DATE,clock=host|rt|vm,driftfix=slew|none",
     "clock of the machine"},
    {"S", FLAG, AT(paused), NULL, "do not start the processors ('c' in the monitor does)"},
    {"gdb", TEXT, AT(gdb),
     "tcp:[HOST]:PORT | unix:PATH | stdio | none[,arch=auto|i8086|i386|x86-64]",
     "wait for a debugger there (GDB's remote protocol)"},
    {"s", GDB, 0, NULL, "the same as -gdb tcp::1234"},
    {"no-reboot", FLAG, AT(no_reboot), NULL, "end instead of resetting"},
    {"no-shutdown", FLAG, AT(no_shutdown), NULL,
     "stop instead of ending when the guest powers off"},
    {"action", LIST, AT(actions), "EVENT=ACTION[,...]",
     "reboot=reset|shutdown, shutdown=poweroff|pause, panic=pause|shutdown|exit-failure|none, "
     "watchdog=reset|shutdown|poweroff|pause|debug|none|inject-nmi"},
    {"watchdog-action", WATCHDOG, 0, "ACTION", "the same as -action watchdog=ACTION"},
    {"nodefaults", FLAG, AT(nodefaults), NULL, "no devices but those asked for"},
    {"d", TEXT, AT(log), "LIST", "log these things ('help' lists them)"},
    {"D", TEXT, AT(log_file), "FILE", "log to this file instead of the standard error"},
    {"dfilter", TEXT, AT(dfilter), "RANGE[,RANGE...]",
     "log only blocks in these: FIRST..LAST, START+SIZE, END-SIZE"},
    {"symbols", TEXT, AT(symbols), "FILE",
     "names for the log: a System.map, or an ELF file (default: -kernel's if it is one)"},
    {"perfmap", FLAG, AT(perfmap), NULL,
     "name translated code for Linux's perf, in /tmp/perf-PID.map"},
    {"jitdump", FLAG, AT(jitdump), NULL,
     "the same in ./jit-PID.dump, with the code, for 'perf inject --jit'"},
    {"singlestep", FLAG, AT(one_insn), NULL, "translate one guest instruction at a time"},
    {"one-insn-per-tb", FLAG, AT(one_insn), NULL, NULL},
    {"pidfile", TEXT, AT(pidfile), "FILE", "write the process id there"},
    {"no-user-config", IGNORE, 0, NULL, NULL}, /* there are no configuration files */
    {"net", TEXT, AT(help_arg), "none", NULL},
    {"netdev", LIST, AT(netdevs), "user|tap|socket|stream|dgram|hubport,id=ID[,...]",
     "a network for -device virtio-net-pci,netdev=ID ('help' tells their properties)"},
    {"nic", LIST, AT(nics), "KIND[,model=CARD,mac=MAC,...] | none",
     "a network and its card in one"},
};
enum { NROWS = sizeof(rows) / sizeof(rows[0]) };

static const char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *format(const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0) {
        abort();
    }
    va_end(ap);
    return text;
}

static const struct row *find_row(const char *name)
{
    for (unsigned i = 0; i < NROWS; i++) {
        if (!strcmp(rows[i].name, name)) {
            return &rows[i];
        }
    }
    return NULL;
}

static bool unknown_option(const char *arg, struct error *err)
{
    const char *near = nearest_name(arg + strspn(arg, "-"), &rows[0].name, NROWS, sizeof(rows[0]));

    const char *absent = absent_text(ABSENT_OPTION, arg + strspn(arg, "-"));

    if (arg[0] != '-') {
        return error_set(err, "'%s' is not an option (a disk image is given with -hda or -drive)",
                         arg);
    }
    if (absent) {
        return error_set(err, "%s: %s", arg, absent);
    }
    if (near) {
        return error_set(err, "unknown option '%s' (did you mean '-%s'?)", arg, near);
    }
    return error_set(err, "unknown option '%s' (try --help)", arg);
}

/* A comma in a value is written twice in option texts. */
static char *double_commas(const char *s)
{
    char *out = malloc(2 * strlen(s) + 1), *p = out;

    if (!out) {
        abort();
    }
    for (; *s; s++) {
        *p++ = *s;
        if (*s == ',') {
            *p++ = ',';
        }
    }
    *p = 0;
    return out;
}

static bool list_add(struct opt_list *l, const char *name, const char *value, struct error *err)
{
    if (l->n >= OPT_MAX_LIST) {
        return error_set(err, "-%s: more than %d of them", name, OPT_MAX_LIST);
    }
    l->item[l->n++] = value;
    return true;
}

/* -drive, or an option that is written as one. */
static bool add_drive(struct options *o, const struct row *r, const char *value, const char *text,
                      struct error *err)
{
    return list_add(&o->drives, r->name, text, err) &&
           list_add(&o->shown_drives, r->name, format("-%s %s", r->name, value), err);
}

static bool is_help(const char *value)
{
    return !strcmp(value, "help") || !strcmp(value, "?");
}

static bool ask_help(struct options *o, const struct row *r, const char *value)
{
    static const char *const with_help[] = {"machine", "M",      "accel",   "cpu",
                                            "device",  "d",      "chardev", "qmp",
                                            "netdev",  "object", "nic",     "display"};

    for (size_t i = 0; i < sizeof(with_help) / sizeof(with_help[0]); i++) {
        size_t n = strlen(value);
        bool prop_help = !strcmp(r->name, "device") && n > 5 &&
                         (!strcmp(value + n - 5, ",help") || !strcmp(value + n - 2, ",?"));
        if (!strcmp(r->name, "device") && !strcmp(value, "help=markdown")) {
            o->help = "devices-doc";
            return true;
        }
        if (!strcmp(r->name, "d") && !strcmp(value, "trace:help")) {
            o->help = "trace";
            return true;
        }
        if (!strcmp(r->name, with_help[i]) && (is_help(value) || prop_help)) {
            o->help = !strcmp(r->name, "M") ? "machine" : r->name;
            o->help_arg = prop_help ? value : NULL;
            return true;
        }
    }
    return false;
}

static bool take(struct options *o, const struct row *r, const char *value, struct error *err)
{
    void *field = (char *)o + r->offset;

    if (value && ask_help(o, r, value)) {
        return true;
    }
    switch (r->kind) {
    case FLAG:
        *(bool *)field = true;
        return true;
    case TEXT:
        if (!strcmp(r->name, "net")) {
            return !strcmp(value, "none") ||
                   error_set(err, "-%s %s: only 'none' exists in this version%s", r->name, value,
                             r->name[0] == 'n'
                                 ? " (write '-nic user' or '-nic user,model=virtio' instead)"
                                 : "");
        }
        *(const char **)field = value;
        return true;
    case LIST:
        return field == &o->drives ? add_drive(o, r, value, value, err)
                                   : list_add(field, r->name, value, err);
    case DRIVE:
        return add_drive(
            o, r, value,
            format("file=%s,if=ide,index=%zu,media=disk", double_commas(value), r->offset), err);
    case CDROM:
        return add_drive(
            o, r, value,
            format("file=%s,if=ide,index=%zu,media=cdrom", double_commas(value), r->offset), err);
    case WATCHDOG:
        return list_add(&o->actions, r->name, format("watchdog=%s", double_commas(value)), err);
    case FLOPPY:
        return add_drive(o, r, value,
                         format("file=%s,if=floppy,index=%zu", double_commas(value), r->offset),
                         err);
    case GDB:
        o->gdb = "tcp::1234";
        return true;
    case HELP:
        o->help = r->name[0] == 'h' ? "help" : r->name;
        return true;
    default:
        return true;
    }
}

bool options_parse(struct options *o, int argc, char **argv, struct error *err)
{
    memset(o, 0, sizeof(*o));
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        const char *name = arg[0] == '-' ? arg + (arg[1] == '-' ? 2 : 1) : "";
        const struct row *r = *name ? find_row(name) : NULL;
        const char *value = NULL;

        if (!r) {
            return unknown_option(arg, err);
        }
        if (r->arg) {
            if (i + 1 >= argc) {
                return error_set(err, "option '%s' needs an argument (%s)", arg, r->arg);
            }
            value = argv[++i];
        }
        if (!take(o, r, value, err)) {
            return false;
        }
        if (o->help) {
            return true;
        }
    }
    return true;
}

char *options_help(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    fprintf(f, "Usage: dragoman [options]\n"
               "Runs an x86 PC in software. Its screen is shown in a window, or to VNC viewers "
               "when there is no display to open one on; its\n"
               "first serial port is on the terminal, where Ctrl-A x ends it and Ctrl-A h lists "
               "the other keys.\n\n");
    for (unsigned i = 0; i < NROWS; i++) {
        if (rows[i].help) {
            char left[160];
            snprintf(left, sizeof(left), "-%s%s%s", rows[i].name, rows[i].arg ? " " : "",
                     rows[i].arg ? rows[i].arg : "");
            fprintf(f, strlen(left) < 24 ? "  %-24s %s\n" : "  %s\n                           %s\n",
                    left, rows[i].help);
        }
    }
    fprintf(f, "\nExamples:\n"
               "  dragoman -m 1G -kernel vmlinuz -initrd initrd.img -append 'console=ttyS0'\n"
               "  dragoman -m 2G -hda disk.img -cdrom install.iso -boot d\n"
               "  dragoman -m 2G -drive file=disk.img,if=virtio -nic user,hostfwd=tcp::2222-:22\n");
    fclose(f);
    return text;
}
