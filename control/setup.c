/* From parsed options to a machine: memory, processors, board, -device. */
#include "control/setup.h"
#include "control/absent.h"
#include "control/gdb_server.h"
#include "control/monitor.h"
#include "control/qmp.h"
#include "cpu/cpuid.h"
#include "cpu/x86.h"
#include "host/block.h"
#include "host/chardev.h"
#include "host/id.h"
#include "host/mainloop.h"
#include "host/nearest.h"
#include "host/net.h"
#include "host/symbols.h"
#include "softmmu/debug.h"
#include "hw/firmware/boot_order.h"
#include "softmmu/tlb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_RAM (UINT64_C(512) << 30)
enum { MAX_CPUS = 255, MIN_RAM = 65536 };

static bool parse_memory(struct program *p, struct error *err)
{
    static const char *const known[] = {"size", "slots", "maxmem", NULL};
    const char *text = p->opt.memory ? p->opt.memory : "512";
    char *unknown = opt_unknown(text, "size", known);
    char *size = opt_get(text, "size", "size");
    bool ok = true;

    if (unknown) {
        opt_unknown_error(unknown, known, 3, sizeof(known[0]), err);
        ok = error_prefix(err, "-m %s", text);
    } else if (!size || !opt_size(size, 1 << 20, &p->cfg.ram_size)) {
        ok = error_set(err, "-m %s: not a size (like 512, 64K or 6G)", text);
    } else if (p->cfg.ram_size < MIN_RAM) {
        ok = error_set(err, "-m %s: at least 64K of memory is needed", text);
    } else if (p->cfg.ram_size > MAX_RAM) {
        ok = error_set(err, "-m %s: at most 512G of memory is possible", text);
    }
    p->cfg.ram_size &= ~UINT64_C(4095);
    free(unknown);
    free(size);
    return ok;
}

static bool smp_pair(void *opaque, const char *key, const char *value, struct error *err)
{
    struct program *p = opaque;
    struct machine_config *c = &p->cfg;
    struct {
        const char *name;
        unsigned *field;
    } fields[] = {{"cpus", &c->smp},
                  {"sockets", &c->sockets},
                  {"cores", &c->cores},
                  {"threads", &c->threads},
                  {"maxcpus", &p->max_cpus}};
    char *end;

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (!strcmp(key, fields[i].name)) {
            unsigned long n = strtoul(value ? value : "", &end, 10);
            if (!value || *end || end == value || n < 1 || n > MAX_CPUS) {
                return error_set(err, "%s=%s is not a number from 1 to %d", key, value ? value : "",
                                 MAX_CPUS);
            }
            *fields[i].field = (unsigned)n;
            return true;
        }
    }
    return opt_unknown_error(key, fields, sizeof(fields) / sizeof(fields[0]), sizeof(fields[0]),
                             err);
}

static bool parse_smp(struct program *p, struct error *err)
{
    struct machine_config *c = &p->cfg;

    if (p->opt.smp && !opt_foreach(p->opt.smp, "cpus", smp_pair, p, err)) {
        return error_prefix(err, "-smp %s", p->opt.smp);
    }
    unsigned sockets = c->sockets, cores = c->cores, threads = c->threads;
    threads = threads ? threads : 1;
    if (!c->smp) {
        c->smp = (sockets ? sockets : 1) * (cores ? cores : 1) * threads;
    }
    if (!cores) {
        cores = c->smp / ((sockets ? sockets : 1) * threads);
        cores = cores ? cores : 1;
    }
    if (!sockets) {
        sockets = c->smp / (cores * threads);
        sockets = sockets ? sockets : 1;
    }
    if (sockets * cores * threads != c->smp || c->smp > MAX_CPUS) {
        return error_set(err, "-smp %s: %u sockets of %u cores of %u threads are not %u processors",
                         p->opt.smp, sockets, cores, threads, c->smp);
    }
    if (p->max_cpus && p->max_cpus != c->smp) {
        return error_set(
            err, "-smp %s: maxcpus=%u is not the number of processors, %u: there is no hot plug",
            p->opt.smp, p->max_cpus, c->smp);
    }
    c->sockets = sockets;
    c->cores = cores;
    c->threads = threads;
    return true;
}

static bool machine_pair(void *opaque, const char *key, const char *value, struct error *err)
{
    struct program *p = opaque;
    static const char *const names[] = {"usb", "vmport", "dump-guest-core", "graphics", "mem-merge",
                                        "smm", "type",   "accel",           "hpet",     "acpi"};
    enum { WITHOUT_EFFECT = 6, NAMES = sizeof(names) / sizeof(names[0]) };

    if (!strcmp(key, "type")) {
        for (const struct machine_type *const *t = machine_types; *t; t++) {
            if (value && (!strcmp(value, (*t)->name) ||
                          (!strcmp((*t)->name, "pc") && !strncmp(value, "pc-i440fx", 9)))) {
                p->cfg.type = *t;
                return true;
            }
        }
        return error_set(err, "unknown machine type '%s' (-machine help lists them)",
                         value ? value : "");
    }
    if (!strcmp(key, "accel")) {
        if (!p->opt.accel) {
            p->opt.accel = strdup(value ? value : "");
        }
        return true;
    }
    if (!strcmp(key, "hpet") || !strcmp(key, "acpi")) {
        bool *field = key[0] == 'h' ? &p->cfg.hpet : &p->cfg.acpi;
        return opt_bool(value, field) || error_set(err, "%s=%s is neither on nor off", key, value);
    }
    for (size_t i = 0; i < WITHOUT_EFFECT; i++) {
        if (!strcmp(key, names[i])) {
            return true;
        }
    }
    return opt_unknown_error(key, names, NAMES, sizeof(names[0]), err);
}

static bool parse_machine(struct program *p, struct error *err)
{
    p->cfg.hpet = p->cfg.acpi = true;
    p->cfg.type = &machine_pc;
    if (p->opt.machine && !opt_foreach(p->opt.machine, "type", machine_pair, p, err)) {
        return error_prefix(err, "-machine %s", p->opt.machine);
    }
    return true;
}

static bool accel_pair(void *opaque, const char *key, const char *value, struct error *err)
{
    static const char *const names[] = {"accel", "tb-size", "verify", "one-insn-per-tb", "thread"};
    struct program *p = opaque;
    uint64_t size;

    if (!strcmp(key, "accel")) {
        /* "kvm:tcg" means: the first one that there is. */
        char *list = strdup(value ? value : ""), *save = NULL;
        for (char *n = strtok_r(list, ":", &save); n && !p->tcg.accel;
             n = strtok_r(NULL, ":", &save)) {
            p->tcg.accel = !strcmp(n, "tcg") ? "tcg" : !strcmp(n, "interp") ? "interp" : NULL;
        }
        free(list);
        return p->tcg.accel ||
               error_set(err, "unknown accelerator '%s' (known: tcg, interp)", value ? value : "");
    }
    if (!strcmp(key, "tb-size")) {
        if (!value || !opt_size(value, 1 << 20, &size) || size < (1 << 20) ||
            size > (UINT64_C(1) << 30)) {
            return error_set(err, "tb-size=%s is not a size from 1M to 1G", value ? value : "");
        }
        p->tcg.cache_size = size;
        return true;
    }
    if (!strcmp(key, "verify")) {
        return opt_bool(value, &p->tcg.verify) ||
               error_set(err, "verify=%s is neither on nor off", value);
    }
    if (!strcmp(key, "one-insn-per-tb")) {
        return opt_bool(value, &p->tcg.one_insn) ||
               error_set(err, "%s=%s is neither on nor off", key, value);
    }
    if (!strcmp(key, "thread")) {
        return (value &&
                (!strcmp(value, "multi") || !strcmp(value, "single"))) || /* always a thread each */
               error_set(err, "thread=%s is neither single nor multi", value ? value : "");
    }
    return opt_unknown_error(key, names, sizeof(names) / sizeof(names[0]), sizeof(names[0]), err);
}

static bool parse_accel(struct program *p, struct error *err)
{
    p->tcg.one_insn = p->opt.one_insn;
    p->tcg.perfmap = p->opt.perfmap;
    p->tcg.jitdump = p->opt.jitdump;
    if (p->opt.accel && !opt_foreach(p->opt.accel, "accel", accel_pair, p, err)) {
        return error_prefix(err, "-accel %s", p->opt.accel);
    }
    return true;
}

static bool rtc_pair(void *opaque, const char *key, const char *value, struct error *err)
{
    struct machine_config *c = opaque;
    struct {
        const char *name, **field;
    } keys[] = {{"base", &c->rtc_base}, {"clock", &c->rtc_clock}, {"driftfix", &c->rtc_driftfix}};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (!strcmp(key, keys[i].name)) {
            *keys[i].field = strdup(value ? value : "");
            return true;
        }
    }
    return opt_unknown_error(key, keys, sizeof(keys) / sizeof(keys[0]), sizeof(keys[0]), err);
}

static bool boot_wait(const char *key, const char *value, int max, int *out, struct error *err)
{
    char *end;
    long n = strtol(value ? value : "", &end, 10);

    if (!value || !*value || *end || n < 0 || n > max) {
        return error_set(err, "%s=%s is not a number of milliseconds from 0 to %d", key,
                         value ? value : "", max);
    }
    *out = (int)n;
    return true;
}

static bool boot_pair(void *opaque, const char *key, const char *value, struct error *err)
{
    static const char *const names[] = {"order",       "once",           "menu",
                                        "splash-time", "reboot-timeout", "strict"};
    struct machine_config *c = opaque;

    if (!strcmp(key, "order") || !strcmp(key, "once")) {
        if (!value || strspn(value, "acdn") != strlen(value)) {
            return error_set(err, "%s=%s: only the letters a, c, d and n are known", key,
                             value ? value : "");
        }
        *(key[1] == 'r' ? &c->boot_order : &c->boot_once) = strdup(value);
        return true;
    }
    if (!strcmp(key, "menu")) {
        return opt_bool(value, &c->boot_menu) ||
               error_set(err, "menu=%s is neither on nor off", value);
    }
    if (!strcmp(key, "splash-time")) {
        return boot_wait(key, value, 65535, &c->boot_menu_ms, err);
    }
    if (!strcmp(key, "reboot-timeout")) {
        if (value && !strcmp(value, "-1")) {
            c->boot_fail_ms = -1;
            return true;
        }
        return boot_wait(key, value, 65535, &c->boot_fail_ms, err);
    }
    if (!strcmp(key, "splash")) {
        return error_set(err, "splash: there are no pictures in this version");
    }
    if (!strcmp(key, "strict")) {
        bool strict;
        return opt_bool(value, &strict) || error_set(err, "strict=%s is neither on nor off", value);
    }
    return opt_unknown_error(key, names, sizeof(names) / sizeof(names[0]), sizeof(names[0]), err);
}

/* One RANGE of -dfilter. */
static bool parse_range(const char *text, struct tcg_log_range *r, struct error *err)
{
    char *end, *last;
    uint64_t a = strtoull(text, &end, 0), b;
    bool dots = !strncmp(end, "..", 2);

    if (end == text || (!dots && *end != '+' && *end != '-')) {
        return error_set(err, "'%s' is none of FIRST..LAST, START+SIZE, END-SIZE", text);
    }
    const char *second = end + (dots ? 2 : 1);
    b = strtoull(second, &last, 0);
    if (last == second || *last || (!dots && !b)) {
        return error_set(err, "'%s': '%s' is not a number", text, second);
    }
    r->first = *end == '-' ? a - b + 1 : a;
    r->last = dots ? b : *end == '+' ? a + b - 1 : a;
    return r->first <= r->last || error_set(err, "'%s' is empty", text);
}

static bool parse_dfilter(struct program *p, struct error *err)
{
    char *copy = strdup(p->opt.dfilter), *save = NULL;
    bool ok = true;

    for (char *t = strtok_r(copy, ",", &save); ok && t; t = strtok_r(NULL, ",", &save)) {
        p->dfilter = realloc(p->dfilter, (p->ndfilter + 1) * sizeof(*p->dfilter));
        if (!p->dfilter) {
            abort();
        }
        ok = parse_range(t, &p->dfilter[p->ndfilter++], err);
    }
    free(copy);
    return ok || error_prefix(err, "-dfilter");
}

/* Names of a kernel that is an ELF file; a bzImage has none that could be read. */
void setup_kernel_symbols(struct program *p)
{
    if (!p->log.symbols && !p->looked_for_symbols && p->opt.kernel) {
        p->looked_for_symbols = true;
        p->log.symbols = symbols_load_elf(p->opt.kernel, NULL);
    }
}

/* Names for the log; without -symbols those of -kernel, now if they are needed all the time. */
static bool load_symbols(struct program *p, struct error *err)
{
    struct options *o = &p->opt;

    if (o->symbols) {
        p->log.symbols = symbols_load(o->symbols, err);
        return p->log.symbols || error_prefix(err, "-symbols %s", o->symbols);
    }
    if ((p->log.mask & LOG_INT) || o->perfmap || o->jitdump) {
        setup_kernel_symbols(p);
    }
    return true;
}

/* -global DRIVER.PROPERTY=VALUE. Devices that do not exist here are no error: libvirt sets
 * properties of chips that QEMU has. */
static bool check_globals(struct program *p, struct error *err)
{
    for (unsigned i = 0; i < p->opt.globals.n; i++) {
        const char *g = p->opt.globals.item[i], *eq = strchr(g, '='), *dot = strchr(g, '.');
        if (!eq || !dot || dot > eq || dot == g || eq == dot + 1) {
            return error_set(err, "-global %s: not DEVICE.PROPERTY=VALUE", g);
        }
        char *name = strndup(g, (size_t)(dot - g)),
             *prop = strndup(dot + 1, (size_t)(eq - dot - 1));
        const struct device_type *t = device_type_find(name);
        bool ok = !t || !t->user_creatable || device_type_prop(t, prop);
        if (!ok) {
            size_t n = 0;
            while (t->props && t->props[n].name) {
                n++;
            }
            opt_unknown_error(prop, t->props, n, sizeof(t->props[0]), err);
            error_prefix(err, "-global %s", g);
        }
        free(name);
        free(prop);
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* process= and debug-threads= are about the host's process. */
static bool parse_name(struct program *p, struct error *err)
{
    static const char *const known[] = {"guest", "process", "debug-threads", NULL};
    const char *text = p->opt.name ? p->opt.name : "dragoman";
    char *unknown = opt_unknown(text, "guest", known);

    if (unknown) {
        opt_unknown_error(unknown, known, 3, sizeof(known[0]), err);
        free(unknown);
        return error_prefix(err, "-name %s", text);
    }
    p->name = opt_get(text, "guest", "guest");
    p->name = p->name ? p->name : strdup("dragoman");
    return true;
}

static bool parse_rest(struct program *p, struct error *err)
{
    struct options *o = &p->opt;

    if (o->rtc && !opt_foreach(o->rtc, NULL, rtc_pair, &p->cfg, err)) {
        return error_prefix(err, "-rtc %s", o->rtc);
    }
    p->cfg.boot_menu_ms = p->cfg.boot_fail_ms = -1;
    if (o->boot && !opt_foreach(o->boot, "order", boot_pair, &p->cfg, err)) {
        return error_prefix(err, "-boot %s", o->boot);
    }
    if (!parse_name(p, err) || !check_globals(p, err) || !setup_display_options(p, err)) {
        return false;
    }
    if (o->log_file && !log_open(&p->log, o->log_file, err)) {
        return error_prefix(err, "-D %s", o->log_file);
    }
    if (o->log && !log_parse(&p->log, o->log, err)) {
        return error_prefix(err, "-d %s", o->log);
    }
    if (o->dfilter && !parse_dfilter(p, err)) {
        return false;
    }
    if (!load_symbols(p, err)) {
        return false;
    }
    if ((o->initrd || o->append) && !o->kernel) {
        return error_set(err, "-%s needs -kernel", o->initrd ? "initrd" : "append");
    }
    p->cpu_model = x86_model_parse(o->cpu ? o->cpu : "max", err);
    if (!p->cpu_model) {
        return error_prefix(err, "-cpu %s", o->cpu ? o->cpu : "max");
    }
    p->cfg.cpu_model = p->cpu_model;
    p->cfg.bios = o->bios;
    p->cfg.kernel = o->kernel;
    p->cfg.initrd = o->initrd;
    p->cfg.append = o->append;
    p->cfg.nodefaults = o->nodefaults;
    return true;
}

/* ---- -device ---- */

struct device_text {
    struct program *p;
    struct device *dev;
};

/* What a property of this type refers to, and the option that makes such things; NULL: nothing. */
static const char *find_by_id(struct program *p, enum prop_type type, const char *id, void **ptr)
{
    switch (type) {
    case PT_DRIVE:
        *ptr = setup_find_block(p, id);
        return "-drive";
    case PT_CHARDEV:
        *ptr = setup_find_chardev(p, id);
        return "-chardev";
    case PT_NETDEV:
        *ptr = setup_find_netdev(p, id);
        return "-netdev";
    default:
        return NULL;
    }
}

static bool device_pair(void *opaque, const char *key, const char *value, struct error *err)
{
    struct device_text *t = opaque;
    const struct property *pr = t->dev->type->props;

    if (!strcmp(key, "driver") || !strcmp(key, "id")) {
        return true;
    }
    for (; pr && pr->name; pr++) {
        if (strcmp(pr->name, key)) {
            continue;
        }
        void *ptr = NULL;
        const char *option = find_by_id(t->p, pr->type, value ? value : "", &ptr);
        if (option && !ptr) {
            return error_set(err, "%s=%s: there is no %s with this id", key, value ? value : "",
                             option);
        }
        if (option) {
            return device_set_ptr(t->dev, key, ptr);
        }
    }
    return device_set(t->dev, key, value ? value : "on", err);
}

static bool apply_globals(struct program *p, struct device *d, struct error *err)
{
    size_t n = strlen(d->type->name);

    for (unsigned i = 0; i < p->opt.globals.n; i++) {
        const char *g = p->opt.globals.item[i], *eq = strchr(g, '=');
        char prop[64];
        if (!strncmp(g, d->type->name, n) && g[n] == '.' && eq &&
            (size_t)(eq - g) - n - 1 < sizeof(prop)) {
            memcpy(prop, g + n + 1, (size_t)(eq - g) - n - 1);
            prop[(size_t)(eq - g) - n - 1] = 0;
            if (!device_set(d, prop, eq + 1, err)) {
                return error_prefix(err, "-global %s", g);
            }
        }
    }
    return true;
}

/* option and shown: what the person wrote, for errors. */
static bool make_device(struct program *p, const char *text, const char *option, const char *shown,
                        struct error *err)
{
    char *name = opt_get(text, "driver", "driver"), *id = opt_get(text, "driver", "id");
    const struct device_type *type = name ? device_type_find(name) : NULL;
    bool ok = false;

    if (!type || !type->user_creatable) {
        const char *near = name ? device_type_nearest(name) : NULL;
        const char *absent = absent_text(ABSENT_DEVICE, name);
        if (type) {
            error_set(err, "device '%s' is part of the machine and cannot be added", name);
        } else if (absent) {
            error_set(err, "%s: %s", name, absent);
        } else {
            error_set(err, "unknown device '%s'%s", name ? name : "",
                      nearest_hint(near, "-device help lists them").text);
        }
    } else if (id && device_find(p->machine, id)) {
        error_set(err, "there is already a device with id '%s'", id);
    } else if (!id || id_check("id", id, err)) {
        struct device *d = device_create(p->machine, type, id);
        struct device_text t = {p, d};
        ok = apply_globals(p, d, err) && opt_foreach(text, "driver", device_pair, &t, err) &&
             device_realize(d, err);
    }
    free(name);
    free(id);
    return ok || error_prefix(err, "-%s %s", option, shown);
}

/* The drives of -drive if=scsi, and a controller for them. */
static bool make_scsi_drives(struct program *p, struct error *err)
{
    if (p->nscsi_drives && !make_device(p, "virtio-scsi-pci", "drive", "if=scsi", err)) {
        return false;
    }
    for (unsigned i = 0; i < p->nscsi_drives; i++) {
        char text[256];
        snprintf(text, sizeof(text), "%s,drive=%s", p->scsi_cdrom[i] ? "scsi-cd" : "scsi-hd",
                 block_id(p->scsi_drives[i]));
        if (!make_device(p, text, "drive", block_id(p->scsi_drives[i]), err)) {
            return false;
        }
    }
    return true;
}

static bool make_devices(struct program *p, struct error *err)
{
    if (p->display.vga &&
        !make_device(p, p->display.vga, "vga", p->opt.vga ? p->opt.vga : "std", err)) {
        return false;
    }
    for (unsigned i = 0; i < p->nnic_devices; i++) {
        if (!make_device(p, p->nic_devices[i], "nic", p->nic_texts[i], err)) {
            return false;
        }
    }
    for (unsigned i = 0; i < p->nvirtio_drives; i++) {
        char text[256];
        snprintf(text, sizeof(text), "virtio-blk-pci,drive=%s", block_id(p->virtio_drives[i]));
        if (!make_device(p, text, "drive", block_id(p->virtio_drives[i]), err)) {
            return false;
        }
    }
    if (!make_scsi_drives(p, err)) {
        return false;
    }
    for (unsigned i = 0; i < p->opt.devices.n; i++) {
        const char *text = p->opt.devices.item[i];
        if (!make_device(p, text, "device", text, err)) {
            return false;
        }
    }
    return true;
}

/* The -d categories that are the translator's own. */
static unsigned translator_bits(const struct log *log)
{
    static const unsigned bits[][2] = {
        {LOG_IN_ASM, TCG_LOG_IN_ASM}, {LOG_OP, TCG_LOG_OP},   {LOG_OUT_ASM, TCG_LOG_OUT_ASM},
        {LOG_EXEC, TCG_LOG_EXEC},     {LOG_CPU, TCG_LOG_CPU}, {LOG_OP_OPT, TCG_LOG_OP_OPT},
    };
    unsigned mask = 0;

    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        mask |= log_has(log, bits[i][0]) ? bits[i][1] : 0;
    }
    return mask;
}

bool setup_log(struct program *p, const char *list, struct error *err)
{
    struct log wanted = {0};
    unsigned before = translator_bits(&p->log);

    if (strcmp(list, "none") && !log_parse(&wanted, list, err)) {
        return false;
    }
    if (wanted.mask & LOG_INT) {
        setup_kernel_symbols(p);
    }
    for (size_t i = 0; i < LOG_MAX_TRACES / 64; i++) {
        p->log.traces[i] = wanted.traces[i];
    }
    p->log.mask = wanted.mask;
    unsigned bits = translator_bits(&p->log);
    if (bits || before) {
        bool locked = machine_lock_held(p->machine);
        if (locked) {
            machine_unlock(p->machine); /* it waits for the processors */
        }
        tcg_set_log(p->machine->tcg, bits, p->log.out);
        if (locked) {
            machine_lock(p->machine);
        }
    }
    return true;
}

static bool set_actions(struct program *p, struct error *err)
{
    for (unsigned i = 0; i < p->opt.actions.n; i++) {
        if (!opt_foreach(p->opt.actions.item[i], NULL, actions_pair, p->machine, err)) {
            return error_prefix(err, "-action %s", p->opt.actions.item[i]);
        }
    }
    return true;
}

bool program_setup(struct program *p, struct error *err)
{
    p->log.out = stderr;
    if (!parse_memory(p, err) || !parse_smp(p, err) || !parse_machine(p, err) ||
        !parse_accel(p, err) || !parse_rest(p, err)) {
        return false;
    }
    p->machine = machine_create(p->name, p->cfg.ram_size, err);
    if (!p->machine) {
        return false;
    }
    p->machine->log = &p->log;
    p->machine->control = p;
    p->machine->no_reboot = p->opt.no_reboot;
    p->machine->no_shutdown = p->opt.no_shutdown;
    if (!set_actions(p, err)) {
        return false;
    }
    p->loop = mainloop_create(p->machine);
    p->tcg.symbols = p->log.symbols;
    p->machine->tcg = tcg_create(p->machine, &p->tcg, &softmmu_tcg_ops, err);
    if (!p->machine->tcg) {
        return error_prefix(err, "-accel %s", p->opt.accel ? p->opt.accel : p->tcg.accel);
    }
    tcg_set_log_filter(p->machine->tcg, p->dfilter, p->ndfilter);
    unsigned bits = translator_bits(&p->log);
    if (bits) {
        tcg_set_log(p->machine->tcg, bits, p->log.out);
    }
    if (!setup_chardevs(p, err) || !setup_drives(p, err) || !setup_networks(p, err) ||
        !setup_objects(p, err)) {
        return false;
    }
    p->board_created = true;
    if (!p->cfg.type->create(p->machine, &p->cfg, err)) {
        return false;
    }
    if (!make_devices(p, err) ||
        (p->cfg.type->finish && !p->cfg.type->finish(p->machine, &p->cfg, err))) {
        return false;
    }
    if (!p->opt.kernel) {
        boot_order_setup(p->machine);
    }
    if (!setup_monitors(p, err) || !setup_display(p, err)) {
        return false;
    }
    debug_create(p->machine);
    if (p->opt.gdb && strcmp(p->opt.gdb, "none")) {
        p->gdb = gdb_server_create(p->machine, p->loop, p->opt.gdb, p->opt.kernel != NULL, err);
        if (!p->gdb) {
            return error_prefix(err, "-gdb %s", p->opt.gdb);
        }
    }
    return machine_start_threads(p->machine, err);
}

void program_destroy(struct program *p)
{
    struct machine *m = p->machine;

    if (m) {
        machine_set_running(m, false);
    }
    destroy_display(p);
    gdb_server_destroy(p->gdb, m ? m->exit_status : 0);
    if (m) {
        machine_lock(m);
        debug_destroy(m);
        machine_unlock(m);
    }
    qmp_destroy(p->qmp);
    monitor_destroy(p->monitor);
    for (unsigned i = 0; i < p->nmons; i++) {
        monitor_destroy(p->mons[i]);
    }
    block_graph_destroy(p->blocks); /* before the devices whose buffers its workers fill */
    if (m) {
        m->blocks = NULL;
    }
    if (m && p->board_created) {
        p->cfg.type->destroy(m);
    }
    while (p->nnetdevs) {
        netdev_destroy(p->netdevs[--p->nnetdevs]); /* a hub's port before what is behind it */
    }
    while (p->nobjects) {
        free(p->objects[--p->nobjects].id);
    }
    for (unsigned i = 0; i < p->nnic_devices; i++) {
        free(p->nic_devices[i]);
    }
    for (unsigned i = 0; i < p->nchardevs; i++) {
        chardev_destroy(p->chardevs[i]);
    }
    if (m) {
        struct tcg *tcg = m->tcg;
        struct x86_cpu *cpus[MAX_CPUS];
        unsigned ncpus = m->nvcpus;
        for (unsigned i = 0; i < ncpus; i++) {
            cpus[i] = x86_cpu(m->vcpus[i]);
        }
        machine_destroy(m); /* still looks at them */
        if (tcg) {
            tcg_destroy(tcg);
        }
        while (ncpus--) {
            x86_cpu_destroy(cpus[ncpus]);
        }
    }
    if (p->loop) {
        mainloop_destroy(p->loop);
    }
    x86_model_free(p->cpu_model);
    log_close(&p->log);
    free(p->dfilter);
    free(p->name);
}
