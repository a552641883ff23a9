/* Character devices of the command line. */
#include "control/setup.h"
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
        bool taken = o->gdb && !strncmp(o->gdb, "stdio", 5);
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
    p->cfg.serial_console = p->cfg.serial[0] != NULL;
    return true;
}
