/* Character devices and disk images of the command line. */
#include "control/setup.h"
#include "host/block.h"
#include "host/chardev.h"
#include "host/mainloop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct chardev *setup_find_chardev(struct program *p, const char *id)
{
    for (unsigned i = 0; i < p->nchardevs; i++) {
        if (!strcmp(chardev_id(p->chardevs[i]), id)) {
            return p->chardevs[i];
        }
    }
    return NULL;
}

struct block *setup_find_block(struct program *p, const char *id)
{
    for (unsigned i = 0; i < p->nblocks; i++) {
        if (!strcmp(block_id(p->blocks[i]), id)) {
            return p->blocks[i];
        }
    }
    return NULL;
}

static void quit_asked(void *opaque)
{
    machine_request(opaque, REQUEST_EXIT, "ended from the console");
}

struct chardev *setup_add_chardev(struct program *p, const char *id, const char *spec, bool mux,
                                  struct error *err)
{
    if (p->nchardevs >= SETUP_CHARDEVS) {
        error_set(err, "more than %d character devices", SETUP_CHARDEVS);
        return NULL;
    }
    if (!strcmp(spec, "stdio")) {
        for (unsigned i = 0; i < p->nchardevs; i++) {
            if (!strcmp(chardev_describe(p->chardevs[i]), "stdio")) {
                error_set(err, "stdio is already used by '%s' (share it with mon:stdio)",
                          chardev_id(p->chardevs[i]));
                return NULL;
            }
        }
    }
    struct chardev *c = chardev_create(p->loop, id, spec, mux, err);
    if (c) {
        chardev_set_quit(c, quit_asked, p->machine);
        p->chardevs[p->nchardevs++] = c;
    }
    return c;
}

/* -serial, -monitor and -debugcon texts. *out NULL with true: "none". */
static bool device_text(struct program *p, const char *option, unsigned n, const char *spec,
                        struct chardev **out, struct error *err)
{
    char id[32];
    bool mon = !strncmp(spec, "mon:", 4);

    *out = NULL;
    if (!strcmp(spec, "none")) {
        return true;
    }
    if (!strncmp(spec, "chardev:", 8)) {
        *out = setup_find_chardev(p, spec + 8);
        return *out || error_set(err, "-%s %s: there is no -chardev with this id", option, spec);
    }
    snprintf(id, sizeof(id), "%s%u", option, n);
    *out = setup_add_chardev(p, id, mon ? spec + 4 : spec, mon, err);
    if (!*out) {
        return error_prefix(err, "-%s %s", option, spec);
    }
    if (mon) {
        p->monitor_chardev = *out;
    }
    return true;
}

/* -chardev socket,... as the text that host/socket.c reads. */
static void socket_spec(const char *text, char *spec, size_t size)
{
    static const char *const keys[] = {"path", "fd", "host", "port", "server", "wait"};
    enum { PATH, FD, HOST, PORT, SERVER, WAIT, NKEYS };
    char *v[NKEYS];
    size_t n = 0;

    for (unsigned i = 0; i < NKEYS; i++) {
        v[i] = opt_get(text, "backend", keys[i]);
    }
    if (v[PATH]) {
        n = (size_t)snprintf(spec, size, "unix:");
        for (const char *c = v[PATH]; *c && n + 3 < size; c++) {
            spec[n++] = *c;
            if (*c == ',') {
                spec[n++] = ',';
            }
        }
        spec[n] = 0;
    } else if (v[FD]) {
        n = (size_t)snprintf(spec, size, "fd:%s", v[FD]);
    } else {
        n = (size_t)snprintf(spec, size, "tcp:%s:%s", v[HOST] ? v[HOST] : "", v[PORT] ? v[PORT] : "");
    }
    for (unsigned i = SERVER; i <= WAIT; i++) {
        if (v[i] && n < size) {
            n += (size_t)snprintf(spec + n, size - n, ",%s=%s", keys[i], v[i]);
        }
    }
    for (unsigned i = 0; i < NKEYS; i++) {
        free(v[i]);
    }
}

static bool make_chardev(struct program *p, const char *text, struct error *err)
{
    static const char *const known[] = {"backend", "id", "path", "mux", "signal", "host", "port", "fd", "server",
                                        "wait", "nodelay", NULL};
    char *unknown = opt_unknown(text, "backend", known);
    char *kind = opt_get(text, "backend", "backend"), *id = opt_get(text, "backend", "id");
    char *path = opt_get(text, "backend", "path"), *mux_text = opt_get(text, "backend", "mux");
    char spec[4200];
    bool mux = false, ok = false;

    if (unknown) {
        error_set(err, "unknown property '%s'", unknown);
    } else if (!id || !*id) {
        error_set(err, "id= is missing");
    } else if (setup_find_chardev(p, id)) {
        error_set(err, "there is already a character device '%s'", id);
    } else if (mux_text && !opt_bool(mux_text, &mux)) {
        error_set(err, "mux=%s is neither on nor off", mux_text);
    } else {
        if (kind && !strcmp(kind, "socket")) {
            socket_spec(text, spec, sizeof(spec));
        } else if (kind && path) {
            snprintf(spec, sizeof(spec), "%s:%s", kind, path);
        } else {
            snprintf(spec, sizeof(spec), "%s", kind ? kind : "");
        }
        ok = setup_add_chardev(p, id, spec, mux, err) != NULL;
    }
    free(unknown);
    free(kind);
    free(id);
    free(path);
    free(mux_text);
    return ok || error_prefix(err, "-chardev %s", text);
}

bool setup_chardevs(struct program *p, struct error *err)
{
    struct options *o = &p->opt;

    for (unsigned i = 0; i < o->chardevs.n; i++) {
        if (!make_chardev(p, o->chardevs.item[i], err)) {
            return false;
        }
    }
    if (!o->serials.n && !o->nodefaults) {
        /* With the debugger or QMP on the standard input and output, they are not there for others. */
        bool taken = (o->gdb && !strncmp(o->gdb, "stdio", 5)) || p->display.kind == DISPLAY_CURSES;
        for (unsigned i = 0; i < o->qmps.n; i++) {
            taken |= !strcmp(o->qmps.item[i], "stdio");
        }
        o->serials.item[o->serials.n++] = taken ? "null" : o->monitor ? "stdio" : "mon:stdio";
    }
    for (unsigned i = 0; i < o->serials.n; i++) {
        if (i >= 4) {
            return error_set(err, "-serial: there are four ports at most");
        }
        if (!device_text(p, "serial", i, o->serials.item[i], &p->cfg.serial[i], err)) {
            return false;
        }
    }
    if (o->monitor) {
        struct chardev *c;
        if (!device_text(p, "monitor", 0, o->monitor, &c, err)) {
            return false;
        }
        p->monitor_chardev = c;
    }
    if (o->debugcons.n && !device_text(p, "debugcon", 0, o->debugcons.item[0], &p->cfg.debugcon, err)) {
        return false;
    }
    /* Nobody sees the screen: firmware and boot loaders talk on the serial port. */
    p->cfg.serial_console =
        p->cfg.serial[0] && !p->display.vnc && p->display.kind == DISPLAY_NONE;
    return true;
}

struct drive {
    char *file, *id, *format, *iface;
    int index, bus, unit;
    bool cdrom, readonly, snapshot;
};

static bool number(const char *key, const char *value, int *out, struct error *err)
{
    char *end;
    long n = strtol(value ? value : "", &end, 10);

    if (!value || !*value || *end || n < 0 || n > 3) {
        return error_set(err, "%s=%s is not a number from 0 to 3", key, value ? value : "");
    }
    *out = (int)n;
    return true;
}

static bool drive_pair(void *opaque, const char *key, const char *value, struct error *err)
{
    struct drive *d = opaque;
    struct {
        const char *name;
        char **field;
    } texts[] = {{"file", &d->file}, {"id", &d->id}, {"format", &d->format}, {"if", &d->iface}};
    struct {
        const char *name;
        bool *field;
    } flags[] = {{"readonly", &d->readonly}, {"read-only", &d->readonly}, {"snapshot", &d->snapshot}};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!strcmp(key, texts[i].name)) {
            free(*texts[i].field);
            *texts[i].field = strdup(value ? value : "");
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (!strcmp(key, flags[i].name)) {
            return opt_bool(value, flags[i].field) ||
                   error_set(err, "%s=%s is neither on nor off", key, value);
        }
    }
    if (!strcmp(key, "index")) {
        return number(key, value, &d->index, err);
    }
    if (!strcmp(key, "bus")) {
        return number(key, value, &d->bus, err);
    }
    if (!strcmp(key, "unit")) {
        return number(key, value, &d->unit, err);
    }
    if (!strcmp(key, "media")) {
        d->cdrom = value && !strcmp(value, "cdrom");
        return d->cdrom || (value && !strcmp(value, "disk")) ||
               error_set(err, "media=%s is neither disk nor cdrom", value ? value : "");
    }
    if (!strcmp(key, "cache")) {
        return true; /* every mode is as safe as 'writeback': flushes reach the host's disk */
    }
    return error_set(err, "unknown property '%s'", key);
}

static bool place_ide(struct program *p, struct drive *d, struct block *b, struct error *err)
{
    int n = d->index;

    if (d->bus >= 0 || d->unit >= 0) {
        n = 2 * (d->bus > 0 ? d->bus : 0) + (d->unit > 0 ? d->unit : 0);
    }
    for (int i = 0; n < 0 && i < 4; i++) {
        if (!p->cfg.ide[i]) {
            n = i;
        }
    }
    if (n < 0 || n > 3) {
        return error_set(err, "there are four IDE drives at most");
    }
    if (p->cfg.ide[n]) {
        return error_set(err, "IDE drive %d is taken by '%s'", n, block_id(p->cfg.ide[n]));
    }
    p->cfg.ide[n] = b;
    p->cfg.ide_cdrom[n] = d->cdrom;
    return true;
}

static bool open_drive(struct program *p, struct drive *d, unsigned number, struct error *err)
{
    char id[32];
    bool virtio = d->iface && !strcmp(d->iface, "virtio");

    if (!d->file || !*d->file) {
        return error_set(err, "file= is missing");
    }
    if (d->iface && strcmp(d->iface, "ide") && strcmp(d->iface, "none") && !virtio) {
        return error_set(err, "if=%s: only ide, virtio and none exist in this version", d->iface);
    }
    if (virtio && d->cdrom) {
        return error_set(err, "if=virtio: a CD-ROM drive needs if=ide");
    }
    snprintf(id, sizeof(id), "drive%u", number);
    if (setup_find_block(p, d->id ? d->id : id)) {
        return error_set(err, "there is already a drive '%s'", d->id ? d->id : id);
    }
    struct block_options o = {
        .id = d->id ? d->id : id,
        .file = d->file,
        .format = d->format,
        .readonly = d->readonly || d->cdrom,
        .snapshot = (d->snapshot || p->opt.snapshot) && !d->readonly && !d->cdrom,
    };
    if (p->nblocks >= SETUP_BLOCKS) {
        return error_set(err, "more than %d drives", SETUP_BLOCKS);
    }
    struct block *b = block_open(p->loop, &o, err);
    if (!b) {
        return false;
    }
    p->blocks[p->nblocks++] = b;
    if (virtio) {
        p->virtio_drives[p->nvirtio_drives++] = b;
        return true;
    }
    return (d->iface && !strcmp(d->iface, "none")) || place_ide(p, d, b, err);
}

bool setup_drives(struct program *p, struct error *err)
{
    for (unsigned i = 0; i < p->opt.drives.n; i++) {
        struct drive d = {.index = -1, .bus = -1, .unit = -1};
        const char *text = p->opt.drives.item[i];
        bool ok = opt_foreach(text, "file", drive_pair, &d, err) && open_drive(p, &d, i, err);
        free(d.file);
        free(d.id);
        free(d.format);
        free(d.iface);
        if (!ok) {
            return error_prefix(err, "-drive %s", text);
        }
    }
    return true;
}
