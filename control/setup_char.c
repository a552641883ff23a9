/* Character devices of the command line: -chardev, -serial, -parallel, -monitor, -debugcon. */
#include "control/setup.h"
#include "host/chardev.h"
#include "host/id.h"
#include "host/mainloop.h"
#include "host/nearest.h"

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

struct chardev *setup_add_chardev(struct program *p, const char *id, const char *spec,
                                  const struct chardev_options *o, struct error *err)
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
    struct chardev *c = chardev_create_with(p->loop, id, spec, o, err);
    if (c) {
        chardev_set_quit(c, quit_asked, p->machine);
        p->chardevs[p->nchardevs++] = c;
    }
    return c;
}

/* -serial, -parallel, -monitor and -debugcon texts. *out NULL with true: "none". */
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
    *out =
        setup_add_chardev(p, id, mon ? spec + 4 : spec, &(struct chardev_options){.mux = mon}, err);
    if (!*out) {
        return error_prefix(err, "-%s %s", option, spec);
    }
    if (mon) {
        p->monitor_chardev = *out;
    }
    return true;
}

/* ---- -chardev ---- */

enum key {
    BACKEND,
    ID,
    PATH,
    MUX,
    LOGFILE,
    LOGAPPEND,
    APPEND,
    INPUT_PATH,
    SIZE,
    SIGNAL,
    HOST,
    PORT,
    FD,
    SERVER,
    WAIT,
    TELNET,
    NODELAY,
    RECONNECT,
    RECONNECT_MS,
    NKEYS
};
enum { COMMON = 1 << ID | 1 << MUX | 1 << LOGFILE | 1 << LOGAPPEND | 1 << BACKEND };

static const char *const keys[NKEYS] = {
    "backend",    "id",     "path",    "mux",       "logfile",     "logappend", "append",
    "input-path", "size",   "signal",  "host",      "port",        "fd",        "server",
    "wait",       "telnet", "nodelay", "reconnect", "reconnect-ms"};

static const struct {
    const char *name;
    unsigned keys;
} kinds[] = {
    {"null", 0},
    {"stdio", 1 << SIGNAL},
    {"pty", 0},
    {"file", 1 << PATH | 1 << APPEND | 1 << INPUT_PATH},
    {"pipe", 1 << PATH},
    {"ringbuf", 1 << SIZE},
    {"socket", 1 << PATH | 1 << HOST | 1 << PORT | 1 << FD | 1 << SERVER | 1 << WAIT | 1 << TELNET |
                   1 << NODELAY | 1 << RECONNECT | 1 << RECONNECT_MS},
};

struct chardev_text {
    char *v[NKEYS]; /* NULL: not given */
    int kind;       /* row of kinds, -1: not known yet */
};

static bool chardev_pair(void *opaque, const char *key, const char *value, struct error *err)
{
    struct chardev_text *t = opaque;
    unsigned allowed = COMMON | (t->kind >= 0 ? kinds[t->kind].keys : ~0u);
    const char *names[NKEYS];
    unsigned n = 0;

    for (unsigned i = 0; i < NKEYS; i++) {
        if (allowed >> i & 1) {
            names[n++] = keys[i];
        }
        if (!strcmp(keys[i], key) && (allowed >> i & 1)) {
            free(t->v[i]);
            t->v[i] = strdup(value ? value : i == WAIT && !strcmp(key, "nowait") ? "off" : "on");
            return true;
        }
    }
    if (!strcmp(key, "nowait") && (allowed >> WAIT & 1)) {
        return chardev_pair(t, "wait", "off", err);
    }
    return opt_unknown_error(key, names, n, sizeof(names[0]), err);
}

static bool find_kind(struct chardev_text *t, const char *text, struct error *err)
{
    char *name = opt_get(text, "backend", "backend");

    t->kind = -1;
    for (size_t i = 0; name && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!strcmp(kinds[i].name, name)) {
            t->kind = (int)i;
        }
    }
    if (t->kind < 0) {
        const char *near =
            name ? nearest_name(name, kinds, sizeof(kinds) / sizeof(kinds[0]), sizeof(kinds[0]))
                 : NULL;
        error_set(err, "unknown kind '%s'%s", name ? name : "",
                  nearest_hint(near, "-chardev help lists them").text);
    }
    free(name);
    return t->kind >= 0;
}

static void append_doubled(char *spec, size_t size, const char *text)
{
    size_t n = strlen(spec);

    for (; *text && n + 3 < size; text++) {
        spec[n++] = *text;
        if (*text == ',') {
            spec[n++] = ',';
        }
    }
    spec[n] = 0;
}

/* The text that host/socket.c reads. */
static bool socket_spec(char *const *v, char *spec, size_t size, struct error *err)
{
    static const enum key passed[] = {SERVER, WAIT, TELNET, RECONNECT, RECONNECT_MS};

    if (!!v[PATH] + !!v[FD] + !!(v[HOST] || v[PORT]) != 1) {
        return error_set(err, "a socket needs one of path=, host= and port=, or fd=");
    }
    if (v[PATH]) {
        snprintf(spec, size, "unix:");
        append_doubled(spec, size, v[PATH]);
    } else if (v[FD]) {
        snprintf(spec, size, "fd:%s", v[FD]);
    } else if (!v[PORT]) {
        return error_set(err, "port= is missing");
    } else {
        snprintf(spec, size, "tcp:%s:%s", v[HOST] ? v[HOST] : "", v[PORT]);
    }
    for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
        size_t n = strlen(spec);
        const char *value = v[passed[i]];
        bool on;
        if (value && passed[i] < RECONNECT && !opt_bool(value, &on)) {
            return error_set(err, "%s=%s is neither on nor off", keys[passed[i]], value);
        }
        if (value && passed[i] < RECONNECT) {
            snprintf(spec + n, size - n, ",%s=%s", keys[passed[i]], on ? "on" : "off");
        } else if (value) {
            snprintf(spec + n, size - n, ",%s=%s", keys[passed[i]], value);
        }
    }
    return true;
}

static bool flag(char *const *v, enum key k, bool *out, struct error *err)
{
    return !v[k] || opt_bool(v[k], out) ||
           error_set(err, "%s=%s is neither on nor off", keys[k], v[k]);
}

static bool make_kind(struct program *p, const struct chardev_text *t, struct error *err)
{
    char *const *v = t->v;
    const char *name = kinds[t->kind].name;
    struct chardev_options o = {.logfile = v[LOGFILE], .input = v[INPUT_PATH]};
    char spec[4200];
    bool unused;

    if (!id_check("id", v[ID], err)) {
        return false;
    }
    if (setup_find_chardev(p, v[ID])) {
        return error_set(err, "there is already a character device '%s'", v[ID]);
    }
    if (!flag(v, MUX, &o.mux, err) || !flag(v, LOGAPPEND, &o.logappend, err) ||
        !flag(v, APPEND, &o.append, err) || !flag(v, SIGNAL, &unused, err)) {
        return false;
    }
    if (v[SIZE] && (!opt_size(v[SIZE], 1, &o.size) || !o.size)) {
        return error_set(err, "size=%s is not a size", v[SIZE]);
    }
    if (!strcmp(name, "socket")) {
        if (!socket_spec(v, spec, sizeof(spec), err)) {
            return false;
        }
    } else if (kinds[t->kind].keys >> PATH & 1) {
        if (!v[PATH] || !*v[PATH]) {
            return error_set(err, "path= is missing");
        }
        snprintf(spec, sizeof(spec), "%s:%s", name, v[PATH]);
    } else {
        snprintf(spec, sizeof(spec), "%s", name);
    }
    return setup_add_chardev(p, v[ID], spec, &o, err) != NULL;
}

static bool make_chardev(struct program *p, const char *text, struct error *err)
{
    struct chardev_text t = {0};
    bool ok = find_kind(&t, text, err) && opt_foreach(text, "backend", chardev_pair, &t, err) &&
              make_kind(p, &t, err);

    for (unsigned i = 0; i < NKEYS; i++) {
        free(t.v[i]);
    }
    return ok || error_prefix(err, "-chardev %s", text);
}

static bool make_ports(struct program *p, const struct opt_list *list, const char *option,
                       struct chardev **out, unsigned max, struct error *err)
{
    for (unsigned i = 0; i < list->n; i++) {
        if (i >= max) {
            return error_set(err, "-%s: there are %u ports at most", option, max);
        }
        if (!device_text(p, option, i, list->item[i], &out[i], err)) {
            return false;
        }
    }
    return true;
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
        /* With the debugger or QMP on the standard input and output, they are not there for others.
         */
        bool taken = (o->gdb && !strncmp(o->gdb, "stdio", 5)) || p->display.kind == DISPLAY_CURSES;
        for (unsigned i = 0; i < o->qmps.n; i++) {
            taken |= !strcmp(o->qmps.item[i], "stdio");
        }
        for (unsigned i = 0; i < p->nchardevs; i++) {
            taken |= !strcmp(chardev_describe(p->chardevs[i]), "stdio");
        }
        o->serials.item[o->serials.n++] = taken ? "null" : o->monitor ? "stdio" : "mon:stdio";
    }
    if (!make_ports(p, &o->serials, "serial", p->cfg.serial, 4, err) ||
        !make_ports(p, &o->parallels, "parallel", p->cfg.parallel, 3, err)) {
        return false;
    }
    if (o->monitor) {
        struct chardev *c;
        if (!device_text(p, "monitor", 0, o->monitor, &c, err)) {
            return false;
        }
        p->monitor_chardev = c;
    }
    if (o->debugcons.n &&
        !device_text(p, "debugcon", 0, o->debugcons.item[0], &p->cfg.debugcon, err)) {
        return false;
    }
    /* Nobody sees the screen: firmware and boot loaders talk on the serial port. */
    p->cfg.serial_console = p->cfg.serial[0] && !p->display.vnc && p->display.kind == DISPLAY_NONE;
    return true;
}
