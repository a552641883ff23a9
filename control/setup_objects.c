/* -object: things that are neither devices nor back ends of them. A kind is a row. */
#include "control/setup.h"
#include "control/absent.h"
#include "host/id.h"
#include "host/nearest.h"
#include "host/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct object_kind {
    const char *name, *help;
    const char *keys[6]; /* beside id */
    bool (*create)(struct program *p, const char *id, char *const *value, struct error *err);
};

/* The devices take random numbers from getrandom(2), which is what these files give. */
static bool create_rng(struct program *p, const char *id, char *const *value, struct error *err)
{
    (void)p;
    (void)id;
    return !value[0] || !strcmp(value[0], "/dev/urandom") || !strcmp(value[0], "/dev/random") ||
           !strcmp(value[0], "/dev/hwrng") ||
           error_set(err, "filename=%s: only /dev/urandom and /dev/random exist in this version",
                     value[0]);
}

enum { DUMP_NETDEV, DUMP_FILE, DUMP_MAXLEN };

static bool create_dump(struct program *p, const char *id, char *const *value, struct error *err)
{
    uint64_t maxlen = 65536;

    if (!value[DUMP_NETDEV] || !value[DUMP_FILE]) {
        return error_set(err, "%s= is missing", value[DUMP_NETDEV] ? "file" : "netdev");
    }
    struct netdev *nd = setup_find_netdev(p, value[DUMP_NETDEV]);
    if (!nd) {
        return error_set(err, "netdev=%s: there is no -netdev with this id", value[DUMP_NETDEV]);
    }
    if (value[DUMP_MAXLEN] &&
        (!opt_size(value[DUMP_MAXLEN], 1, &maxlen) || !maxlen || maxlen > 1 << 20)) {
        return error_set(err, "maxlen=%s is not a number of bytes up to 1M", value[DUMP_MAXLEN]);
    }
    return net_dump_create(nd, id, value[DUMP_FILE], (unsigned)maxlen, err) != NULL;
}

enum { SECRET_DATA, SECRET_FILE, SECRET_FORMAT };

/* setup_display.c reads it when a password-secret= names it. */
static bool create_secret(struct program *p, const char *id, char *const *value, struct error *err)
{
    (void)p;
    (void)id;
    if (!value[SECRET_DATA] == !value[SECRET_FILE]) {
        return error_set(err, "one of data= and file= is needed");
    }
    return !value[SECRET_FORMAT] || !strcmp(value[SECRET_FORMAT], "raw") ||
           error_set(err, "format=%s: only raw exists in this version", value[SECRET_FORMAT]);
}

static const struct object_kind kinds[] = {
    {"secret",
     "a password for -vnc ...,password-secret=ID: data=TEXT|file=FILE",
     {"data", "file", "format"},
     create_secret},
    {"rng-random", "random numbers of the host: [filename=/dev/urandom]", {"filename"}, create_rng},
    {"rng-builtin", "the same", {NULL}, create_rng},
    {"filter-dump",
     "packet capture: netdev=ID,file=FILE[,maxlen=BYTES]",
     {"netdev", "file", "maxlen"},
     create_dump},
};
enum { NKINDS = sizeof(kinds) / sizeof(kinds[0]), MAX_KEYS = 6 };

char *setup_object_help(void)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    fputs("Objects for -object KIND,id=ID,...:\n", f);
    for (unsigned i = 0; i < NKINDS; i++) {
        fprintf(f, "  %-12s %s\n", kinds[i].name, kinds[i].help);
    }
    fclose(f);
    return text;
}

bool setup_find_object(struct program *p, const char *type, const char *id)
{
    size_t n = strlen(type);

    for (unsigned i = 0; i < p->nobjects; i++) {
        if (!strcmp(p->objects[i].id, id) && !strncmp(p->objects[i].type, type, n)) {
            return true;
        }
    }
    return false;
}

struct object_text {
    const struct object_kind *kind;
    char *id, *value[MAX_KEYS];
};

static bool object_pair(void *opaque, const char *key, const char *value, struct error *err)
{
    struct object_text *t = opaque;
    char **field = !strcmp(key, "id") ? &t->id : NULL;

    if (!strcmp(key, "qom-type")) {
        return true;
    }
    unsigned n = 0;
    for (; n < MAX_KEYS && t->kind->keys[n]; n++) {
        field = !strcmp(key, t->kind->keys[n]) ? &t->value[n] : field;
    }
    if (!field) {
        return opt_unknown_error(key, t->kind->keys, n, sizeof(t->kind->keys[0]), err);
    }
    free(*field);
    *field = strdup(value ? value : "on");
    return true;
}

static bool make_object(struct program *p, const char *text, struct error *err)
{
    struct object_text t = {0};
    char *name = opt_get(text, "qom-type", "qom-type");
    bool ok = false;

    for (unsigned i = 0; name && i < NKINDS; i++) {
        t.kind = !strcmp(kinds[i].name, name) ? &kinds[i] : t.kind;
    }
    if (!t.kind) {
        const char *near = name ? nearest_name(name, kinds, NKINDS, sizeof(kinds[0])) : NULL;
        const char *absent = absent_text(ABSENT_OBJECT, name);
        if (absent) {
            error_set(err, "%s: %s", name, absent);
        } else {
            error_set(err, "unknown object '%s'%s", name ? name : "",
                      nearest_hint(near, "-object help lists them").text);
        }
    } else if (opt_foreach(text, "qom-type", object_pair, &t, err) && id_check("id", t.id, err)) {
        if (setup_find_object(p, "", t.id)) {
            error_set(err, "there is already an object '%s'", t.id);
        } else if (p->nobjects == SETUP_OBJECTS) {
            error_set(err, "more than %d objects", SETUP_OBJECTS);
        } else if (t.kind->create(p, t.id, t.value, err)) {
            p->objects[p->nobjects].id = t.id;
            p->objects[p->nobjects++].type = t.kind->name;
            t.id = NULL;
            ok = true;
        }
    }
    free(name);
    free(t.id);
    for (unsigned i = 0; i < MAX_KEYS; i++) {
        free(t.value[i]);
    }
    return ok || error_prefix(err, "-object %s", text);
}

bool setup_objects(struct program *p, struct error *err)
{
    for (unsigned i = 0; i < p->opt.objects.n; i++) {
        if (!make_object(p, p->opt.objects.item[i], err)) {
            return false;
        }
    }
    return true;
}
