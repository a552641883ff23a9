/* The graph of nodes: opening them by options, the backing chain, names and references. */
#include "host/block_graph.h"
#include "host/block_internal.h"
#include "host/id.h"
#include "host/nearest.h"
#include "host/qcow2.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct node_driver *const drivers[] = {
    &node_driver_file, &node_driver_host_device, &node_driver_raw, &node_driver_qcow2, NULL,
};

const struct node_driver *node_driver_find(const char *name)
{
    if (!strcmp(name, "host_cdrom")) {
        name = "host_device";
    }
    for (const struct node_driver *const *d = drivers; *d; d++) {
        if (!strcmp((*d)->name, name)) {
            return *d;
        }
    }
    return NULL;
}

/* ---- probing ---- */

const char *node_probe(const uint8_t *buf, size_t len)
{
    static const struct {
        const char *format;
        size_t at, n;
        const char *magic;
    } formats[] = {
        {"qcow2", 0, 4, "QFI\xfb"},
        {"qed", 0, 4, "QED"},
        {"vmdk", 0, 4, "KDMV"},
        {"vmdk", 0, 4, "COWD"},
        {"vmdk", 0, 21, "# Disk DescriptorFile"},
        {"vhdx", 0, 8, "vhdxfile"},
        {"vpc", 0, 8, "conectix"},
        {"luks", 0, 6, "LUKS\xba\xbe"},
        {"vdi", 64, 4, "\x7f\x10\xda\xbe"},
        {"parallels", 0, 16, "WithoutFreeSpace"},
    };

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (len >= formats[i].at + formats[i].n &&
            !memcmp(buf + formats[i].at, formats[i].magic, formats[i].n)) {
            bool old = !strcmp(formats[i].format, "qcow2") && len >= 8 && !buf[4] && !buf[5] &&
                       !buf[6] && buf[7] == 1;
            return old ? "qcow" : formats[i].format;
        }
    }
    return "raw";
}

/* ---- names and references ---- */

struct block_node *node_find(struct block_graph *g, const char *name)
{
    for (struct block_node *n = g->nodes; n; n = n->next) {
        if (!strcmp(n->name, name)) {
            return n;
        }
    }
    return NULL;
}

struct block_node *node_next(struct block_graph *g, struct block_node *n)
{
    return n ? n->next : g->nodes;
}

void graph_name(struct block_graph *g, char name[NODE_NAME_MAX + 1])
{
    do {
        snprintf(name, NODE_NAME_MAX + 1, "#block%03u", ++g->names);
    } while (node_find(g, name));
}

void node_ref(struct block_node *n)
{
    n->refs++;
}

static void node_free(struct block_node *n)
{
    if (n->state) {
        n->driver->close(n);
    }
    for (struct block_node **p = &n->graph->nodes; *p; p = &(*p)->next) {
        if (*p == n) {
            *p = n->next;
            break;
        }
    }
    node_unref(n->file);
    node_unref(n->backing);
    free(n->state);
    free(n->filename);
    free(n->backing_filename);
    free(n->backing_format);
    free(n);
}

void node_unref(struct block_node *n)
{
    if (n && --n->refs == 0) {
        node_free(n);
    }
}

/* ---- options ---- */

/* {"file.filename": x} becomes {"file": {"filename": x}}. */
static json_t *nested(json_t *options)
{
    json_t *out = json_object(), *value;
    const char *key;

    json_object_foreach(options, key, value)
    {
        json_t *at = out;
        const char *rest = key, *dot;
        while ((dot = strchr(rest, '.')) != NULL) {
            char name[64];
            snprintf(name, sizeof(name), "%.*s", (int)(dot - rest), rest);
            json_t *child = json_object_get(at, name);
            if (!json_is_object(child)) {
                child = json_object();
                json_object_set_new(at, name, child);
            }
            at = child;
            rest = dot + 1;
        }
        json_object_set_new(at, rest, json_is_object(value) ? nested(value) : json_incref(value));
    }
    return out;
}

static bool take_bool(json_t *o, const char *key, bool *out, struct error *err)
{
    json_t *v = json_object_get(o, key);
    const char *t = json_string_value(v);

    if (!v) {
        return true;
    }
    if (json_is_boolean(v)) {
        *out = json_is_true(v);
    } else if (t && (!strcmp(t, "on") || !strcmp(t, "yes") || !strcmp(t, "true"))) {
        *out = true;
    } else if (t && (!strcmp(t, "off") || !strcmp(t, "no") || !strcmp(t, "false"))) {
        *out = false;
    } else {
        return error_set(err, "%s is neither on nor off", key);
    }
    json_object_del(o, key);
    return true;
}

static bool take_word(json_t *o, const char *key, const char *const *words, int *out,
                      struct error *err)
{
    const char *t = json_string_value(json_object_get(o, key));

    if (!json_object_get(o, key)) {
        return true;
    }
    for (int i = 0; words[i]; i++) {
        if (t && !strcmp(t, words[i])) {
            *out = i;
            json_object_del(o, key);
            return true;
        }
    }
    return error_set(err, "%s=%s: unknown value", key, t ? t : "");
}

static bool take_general(struct block_node *n, json_t *o, struct error *err)
{
    static const char *const discard[] = {"ignore", "off", "unmap", "on", NULL};
    static const char *const detect[] = {"off", "on", "unmap", NULL};
    struct node_flags *f = &n->flags;
    int d = f->unmap ? 2 : 0, z = (int)f->detect;
    json_t *cache = json_object_get(o, "cache");

    if (!take_bool(o, "read-only", &f->readonly, err) ||
        !take_bool(o, "auto-read-only", &f->auto_readonly, err) ||
        !take_bool(o, "force-share", &f->share, err) ||
        !take_word(o, "discard", discard, &d, err) ||
        !take_word(o, "detect-zeroes", detect, &z, err)) {
        return false;
    }
    if (cache && (!take_bool(cache, "direct", &f->direct, err) ||
                  !take_bool(cache, "no-flush", &f->no_flush, err))) {
        return false;
    }
    if (cache && json_object_size(cache) == 0) {
        json_object_del(o, "cache");
    }
    f->unmap = d >= 2;
    f->detect = (enum node_detect)z;
    if (f->detect == DETECT_UNMAP && !f->unmap) {
        return error_set(err, "detect-zeroes=unmap needs discard=unmap");
    }
    return true;
}

/* ---- opening ---- */

struct chain { /* the images over the one being opened */
    const struct chain *up;
    dev_t dev;
    ino_t ino;
    unsigned depth;
};

static struct block_node *open_node(struct block_graph *g, json_t *options,
                                    const struct node_flags *inherited, const struct chain *chain,
                                    struct error *err);

static const char *path_of(const char *name)
{
    return strncmp(name, "file:", 5) ? name : name + 5;
}

/* A backing file's name is relative to the folder of the image that names it. */
static char *resolve(const char *image, const char *name)
{
    const char *slash = strrchr(image, '/');
    char *out;

    name = path_of(name);
    if (*name == '/' || !slash) {
        return strdup(name);
    }
    if (asprintf(&out, "%.*s/%s", (int)(slash - image), image, name) < 0) {
        abort();
    }
    return out;
}

char *node_backing_path(const struct block_node *n)
{
    return n->backing_filename ? resolve(n->filename, n->backing_filename) : NULL;
}

static bool is_url(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz+-0123456789");

    return n > 1 && name[n] == ':' && strncmp(name, "file:", 5) && strncmp(name, "json:", 5);
}

static json_t *file_options(const char *file, const char *format, json_t *extra, struct error *err)
{
    json_t *o;

    if (!strncmp(file, "json:", 5)) {
        json_error_t e;
        o = json_loads(file + 5, 0, &e);
        if (!json_is_object(o)) {
            error_set(err, "'%.100s' is not a JSON object: %s", file, e.text);
            json_decref(o);
            return NULL;
        }
    } else {
        o = json_object();
        json_object_set_new(o, "file",
                            json_pack("{s:s,s:s}", "driver", "file", "filename", path_of(file)));
        if (format) {
            json_object_set_new(o, "driver", json_string(format));
        }
    }
    if (extra) {
        json_object_update(o, extra);
    }
    return o;
}

static struct block_node *open_backing(struct block_node *n, const struct chain *chain,
                                       struct error *err)
{
    struct node_flags f = n->flags;
    struct block_node *b = NULL;
    char *path = resolve(n->filename, n->backing_filename);

    f.readonly = true;
    f.auto_readonly = f.unmap = f.no_io = false;
    f.detect = DETECT_OFF;
    if (is_url(n->backing_filename)) {
        error_set(err, "only files can be backing files, not '%s'", n->backing_filename);
    } else {
        json_t *o =
            file_options(strncmp(n->backing_filename, "json:", 5) ? path : n->backing_filename,
                         n->backing_format, NULL, err);
        b = o ? open_node(n->graph, o, &f, chain, err) : NULL;
        json_decref(o);
    }
    free(path);
    if (!b) {
        error_prefix(err, "backing file of '%s'", n->filename);
    }
    return b;
}

static struct block_node *reference(struct block_graph *g, const char *name, struct error *err)
{
    struct block_node *n = node_find(g, name);

    if (n) {
        node_ref(n);
    } else {
        error_set(err, "there is no node '%s'", name);
    }
    return n;
}

/* The child `file` or `backing` of options, which is taken out of them. */
static struct block_node *open_child(struct block_node *n, json_t *options, const char *role,
                                     const struct node_flags *f, const struct chain *chain,
                                     struct error *err)
{
    json_t *v = json_object_get(options, role);
    const char *name = json_string_value(v);
    struct block_node *c =
        name ? reference(n->graph, name, err) : open_node(n->graph, v, f, chain, err);

    json_object_del(options, role);
    if (c && name && !strcmp(role, "file") && !n->flags.readonly && c->flags.readonly) {
        if (n->flags.auto_readonly) {
            n->flags.readonly = true;
        } else {
            error_set(err, "node '%s' is read only", name);
            node_unref(c);
            return NULL;
        }
    }
    return c;
}

/* What was not taken must be known to the driver. */
static bool check_rest(const struct block_node *n, json_t *options, struct error *err)
{
    const char *key;
    json_t *value;

    json_object_foreach(options, key, value)
    {
        bool known = false;
        size_t count = 0;
        for (const char *const *k = n->driver->options; *k; k++, count++) {
            known |= !strcmp(*k, key);
        }
        if (!known) {
            const char *near = nearest_name(key, n->driver->options, count, sizeof(char *));
            return error_set(err, "driver '%s' has no property '%s'%s", n->driver->name, key,
                             nearest_hint(near, NULL).text);
        }
    }
    return true;
}

static const struct node_driver *probe_file(struct block_node *n, struct error *err)
{
    uint8_t buf[512];
    int r = node_pread(n->file, 0, buf, sizeof(buf));

    if (r) {
        error_set(err, "cannot read image '%s': %s", n->filename, strerror(-r));
        return NULL;
    }
    const char *format = node_probe(buf, sizeof(buf));
    const struct node_driver *d = node_driver_find(format);
    if (!d) {
        error_set(err, "image '%s' has format '%s', which is not supported (known: raw, qcow2)",
                  n->filename, format);
    }
    n->probed = true;
    return d;
}

static bool link_chain(const struct block_node *n, const struct chain *up, struct chain *link,
                       struct error *err)
{
    struct stat st;

    *link = (struct chain){up, 0, 0, up ? up->depth + 1 : 0};
    if (link->depth > NODE_CHAIN_MAX) {
        return error_set(err, "more than %d backing files", NODE_CHAIN_MAX);
    }
    if (!n->filename || stat(n->filename, &st)) {
        return true;
    }
    link->dev = st.st_dev;
    link->ino = st.st_ino;
    for (const struct chain *c = up; c; c = c->up) {
        if (c->ino == st.st_ino && c->dev == st.st_dev) {
            return error_set(err, "the chain of backing files is a circle: '%s' is in it twice",
                             n->filename);
        }
    }
    return true;
}

static bool open_format(struct block_node *n, json_t *options, const struct chain *up,
                        struct error *err)
{
    struct node_flags f = n->flags;
    json_t *file = json_object_get(options, "file"), *backing = json_object_get(options, "backing");
    bool no_backing =
        json_is_null(backing) || (json_is_string(backing) && !*json_string_value(backing));
    const char *name = json_string_value(json_object_get(file, "filename"));
    struct chain link;

    if (!file) {
        return error_set(err, "driver '%s': file is missing", n->driver ? n->driver->name : "raw");
    }
    f.detect = DETECT_OFF;
    f.unmap = true; /* what the format gives back, its own discard= has let through */
    n->filename = name ? strdup(name) : NULL;
    if (!link_chain(n, up, &link, err)) {
        return false;
    }
    if (json_is_object(file) && !json_object_get(file, "driver")) {
        json_object_set_new(file, "driver", json_string("file"));
    }
    n->file = open_child(n, options, "file", &f, NULL, err);
    if (!n->file) {
        return false;
    }
    n->flags.readonly |= n->file->flags.readonly;
    free(n->filename);
    n->filename = strdup(n->file->filename ? n->file->filename : "");
    if (!n->driver && !(n->driver = probe_file(n, err))) {
        return false;
    }
    n->state = calloc(1, n->driver->state_size + 1);
    if (no_backing) {
        json_object_del(options, "backing");
    } else if (backing && n->driver == &node_driver_raw) {
        return error_set(err, "driver 'raw' has no backing file");
    } else if (backing) {
        json_t *b = json_incref(backing);
        json_object_del(options, "backing");
        f = n->flags;
        f.readonly = true;
        f.auto_readonly = f.unmap = false;
        f.detect = DETECT_OFF;
        json_t *wrap = json_pack("{s:o}", "backing", b);
        n->backing = open_child(n, wrap, "backing", &f, &link, err);
        json_decref(wrap);
        if (!n->backing) {
            return false;
        }
    }
    if (!check_rest(n, options, err) || !n->driver->open(n, options, err)) {
        return false;
    }
    if (!n->backing && !no_backing && !n->flags.no_backing && n->backing_filename) {
        n->backing = open_backing(n, &link, err);
        return n->backing != NULL;
    }
    return true;
}

static struct block_node *open_node(struct block_graph *g, json_t *given,
                                    const struct node_flags *inherited, const struct chain *chain,
                                    struct error *err)
{
    struct block_node *n = calloc(1, sizeof(*n));
    json_t *options = nested(given);
    const char *driver = json_string_value(json_object_get(options, "driver"));
    const char *name = json_string_value(json_object_get(options, "node-name"));
    bool ok = false;

    if (!n || !options) {
        abort();
    }
    n->graph = g;
    n->flags = *inherited;
    n->refs = 1;
    n->driver = driver ? node_driver_find(driver) : NULL;
    if (driver && !n->driver) {
        error_set(err, "block driver '%s' is not known (known: file, host_device, raw, qcow2)",
                  driver);
    } else if (name && (!id_valid(name) || strlen(name) > NODE_NAME_MAX || node_find(g, name))) {
        error_set(err,
                  node_find(g, name) ? "there is already a node '%s'"
                                     : "'%s' is not a name for a node",
                  name);
    } else {
        if (name) {
            snprintf(n->name, sizeof(n->name), "%s", name);
        } else {
            graph_name(g, n->name);
        }
        json_object_del(options, "driver");
        json_object_del(options, "node-name");
        ok = take_general(n, options, err);
        if (ok && n->driver && n->driver->protocol) {
            n->state = calloc(1, n->driver->state_size);
            ok = check_rest(n, options, err) && n->driver->open(n, options, err);
        } else if (ok) {
            ok = open_format(n, options, chain, err);
        }
    }
    json_decref(options);
    if (!ok) {
        if (!n->driver) {
            n->driver = &node_driver_raw;
        }
        node_free(n);
        return NULL;
    }
    struct block_node **p = &g->nodes;
    while (*p) {
        p = &(*p)->next;
    }
    *p = n;
    return n;
}

struct block_node *node_open(struct block_graph *g, json_t *options,
                             const struct node_flags *inherited, struct error *err)
{
    static const struct node_flags none;

    return open_node(g, options, inherited ? inherited : &none, NULL, err);
}

struct block_node *node_open_file(struct block_graph *g, const char *file, const char *format,
                                  const struct node_flags *flags, json_t *extra, struct error *err)
{
    json_t *o;
    struct block_node *n = NULL;

    if (is_url(file) && access(file, F_OK)) {
        error_set(err, "'%s': only files and block devices can be images", file);
        return NULL;
    }
    o = file_options(file, format, extra, err);
    if (o) {
        n = node_open(g, o, flags, err);
        json_decref(o);
    }
    return n;
}

struct block_node *node_open_overlay(struct block_graph *g, struct block_node *base,
                                     struct error *err)
{
    char path[] = "/var/tmp/dragoman-overlay-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    struct qcow2_create c = {
        .size = atomic_load(&base->size), .version = 3, .cluster_bits = 16, .refcount_bits = 16};
    struct node_flags flags = {.no_flush = true, .unmap = true, .detect = base->flags.detect};
    struct block_node *n = NULL;

    if (fd < 0) {
        error_set(err, "temporary overlay in /var/tmp: %s", strerror(errno));
    } else {
        close(fd);
        if (qcow2_create(path, &c, err)) {
            json_t *none = json_pack("{s:n}", "backing");
            n = node_open_file(g, path, "qcow2", &flags, none, err);
            json_decref(none);
        }
        unlink(path);
    }
    if (!n) {
        node_unref(base);
        error_prefix(err, "snapshot");
        return NULL;
    }
    n->backing = base;
    n->temporary = true;
    return n;
}
