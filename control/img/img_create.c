/* dragoman img create, and the making of images for convert. */
#include "control/img/img.h"
#include "control/options.h"
#include "host/block.h"
#include "host/qcow2.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool add(void *opaque, const char *key, const char *value, struct error *err)
{
    return json_object_set_new(opaque, key, json_string(value ? value : "on")) == 0 ||
           error_set(err, "'%s' is not text", key);
}

bool img_add_options(json_t *options, const char *text, struct error *err)
{
    return opt_foreach(text, NULL, add, options, err);
}

static const char *get(const struct img_new *n, const char *key)
{
    return json_string_value(json_object_get(n->options, key));
}

static const char *const qcow2_keys[] = {
    "backing_file", "backing_fmt",    "cluster_size",  "compat",        "compression_type",
    "extended_l2",  "lazy_refcounts", "preallocation", "refcount_bits", "size",
    NULL,
};
static const char *const raw_keys[] = {"preallocation", "size", NULL};

static bool known_keys(const struct img_new *n, const char *const *keys, struct error *err)
{
    const char *key;
    json_t *value;

    json_object_foreach(n->options, key, value)
    {
        const char *const *k = keys;
        while (*k && strcmp(*k, key)) {
            k++;
        }
        if (!*k) {
            return error_set(err, "format '%s' has no option '%s'", n->format, key);
        }
    }
    return true;
}

static bool flag(const struct img_new *n, const char *key, bool *out, struct error *err)
{
    const char *v = get(n, key);

    return !v || opt_bool(v, out) || error_set(err, "%s=%s is neither on nor off", key, v);
}

static bool make_raw(struct img_new *n, struct error *err)
{
    const char *prealloc = get(n, "preallocation");
    struct block_graph *g = block_graph_create(NULL);
    struct node_flags f = {0};
    int fd = open(n->file, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    bool ok = fd >= 0 || error_set(err, "cannot make '%s': %s", n->file, strerror(errno));

    if (ok) {
        close(fd);
        struct block_node *node = node_open_file(g, n->file, "raw", &f, NULL, err);
        ok = node && node_truncate(node, 0, NULL, err) &&
             node_truncate(node, n->size, prealloc, err);
        node_unref(node);
    }
    block_graph_destroy(g);
    return ok;
}

static bool qcow2_options(const struct img_new *n, struct qcow2_create *c, struct error *err)
{
    const char *compat = get(n, "compat"), *cluster = get(n, "cluster_size"),
               *bits = get(n, "refcount_bits");
    const char *type = get(n, "compression_type");
    uint64_t v = 65536;

    *c = (struct qcow2_create){.size = n->size,
                               .version = 3,
                               .cluster_bits = 16,
                               .refcount_bits = 16,
                               .backing_file = n->backing,
                               .backing_format = n->backing_format};
    if (compat && (!strcmp(compat, "0.10") || !strcmp(compat, "v2"))) {
        c->version = 2;
    } else if (compat && strcmp(compat, "1.1") && strcmp(compat, "v3")) {
        return error_set(err, "compat=%s is neither 0.10 nor 1.1", compat);
    }
    if (cluster && (!img_size(cluster, &v) || v < 512 || v > (2 << 20) || (v & (v - 1)))) {
        return error_set(err, "Cluster size must be a power of two between 512 and 2048k");
    }
    for (c->cluster_bits = 9; UINT64_C(1) << c->cluster_bits < v;) {
        c->cluster_bits++;
    }
    if (bits) {
        c->refcount_bits = (unsigned)strtoul(bits, NULL, 10);
    }
    if (type && strcmp(type, "zlib") && strcmp(type, "zstd")) {
        return error_set(err, "compression_type=%s is neither zlib nor zstd", type);
    }
    c->zstd = type && !strcmp(type, "zstd");
    return flag(n, "extended_l2", &c->extended_l2, err) &&
           flag(n, "lazy_refcounts", &c->lazy_refcounts, err);
}

static bool preallocate(const struct img_new *n, const char *mode, struct error *err)
{
    struct block_graph *g = block_graph_create(NULL);
    struct node_flags f = {.no_flush = true};
    struct block_node *node = node_open_file(g, n->file, "qcow2", &f, NULL, err);
    bool ok = node && node_truncate(node, n->size, mode, err);

    node_unref(node);
    block_graph_destroy(g);
    return ok;
}

static bool make_qcow2(struct img_new *n, struct error *err)
{
    const char *prealloc = get(n, "preallocation");
    struct qcow2_create c;
    char extra[1200] = "";

    if (!qcow2_options(n, &c, err)) {
        return false;
    }
    if (prealloc && strcmp(prealloc, "off") && strcmp(prealloc, "metadata") &&
        strcmp(prealloc, "falloc") && strcmp(prealloc, "full")) {
        return error_set(err, "preallocation=%s is none of off, metadata, falloc and full",
                         prealloc);
    }
    if (prealloc && strcmp(prealloc, "off") && n->backing) {
        return error_set(err, "Backing file and preallocation can only be used at the same time if "
                              "extended_l2 is enabled, "
                              "and not here");
    }
    if (n->backing) {
        snprintf(extra, sizeof(extra), " backing_file=%s backing_fmt=%s", n->backing,
                 n->backing_format);
    }
    if (!n->quiet) {
        printf("Formatting '%s', fmt=qcow2 cluster_size=%u extended_l2=%s%s%s compression_type=%s "
               "size=%" PRIu64 "%s%s%s lazy_refcounts=%s refcount_bits=%u\n",
               n->file, 1u << c.cluster_bits, c.extended_l2 ? "on" : "off",
               prealloc ? " preallocation=" : "", prealloc ? prealloc : "",
               c.zstd ? "zstd" : "zlib", n->size, extra, get(n, "compat") ? " compat=" : "",
               get(n, "compat") ? get(n, "compat") : "", c.lazy_refcounts ? "on" : "off",
               c.refcount_bits);
    }
    if (!prealloc || !strcmp(prealloc, "off")) {
        return qcow2_create(n->file, &c, err);
    }
    c.size = 0; /* what is there at the end of a growth is preallocated */
    return qcow2_create(n->file, &c, err) && preallocate(n, prealloc, err);
}

/* The size of the backing file, when no other is given; also whether it can be opened. */
static bool look_at_backing(struct img_new *n, struct error *err)
{
    struct block_graph *g;
    struct node_flags f = {.readonly = true, .share = true};
    struct block_node *node;
    const char *slash = strrchr(n->file, '/');
    char *path = NULL;

    if (!n->backing) {
        return true;
    }
    if (!n->backing_format) {
        return error_set(err, "Backing file specified without backing format (-F is missing)");
    }
    if (n->no_check) {
        return true;
    }
    if (n->backing[0] == '/' || !slash || !strncmp(n->backing, "json:", 5)) {
        path = strdup(n->backing);
    } else if (asprintf(&path, "%.*s/%s", (int)(slash - n->file), n->file, n->backing) < 0) {
        abort();
    }
    g = block_graph_create(NULL);
    node = node_open_file(g, path, n->backing_format, &f, NULL, err);
    if (node && !n->has_size) {
        n->size = atomic_load(&node->size);
        n->has_size = true;
    }
    bool ok = node != NULL;
    node_unref(node);
    block_graph_destroy(g);
    free(path);
    return ok || error_prefix(err, "backing file");
}

bool img_make(struct img_new *n, struct error *err)
{
    const char *size = get(n, "size");
    bool raw = !strcmp(n->format, "raw");

    if (!raw && strcmp(n->format, "qcow2")) {
        return error_set(err, "Unknown file format '%s' (known: raw, qcow2)", n->format);
    }
    if (!known_keys(n, raw ? raw_keys : qcow2_keys, err)) {
        return false;
    }
    n->backing = n->backing ? n->backing : get(n, "backing_file");
    n->backing_format = n->backing_format ? n->backing_format : get(n, "backing_fmt");
    if (size && !n->has_size) {
        n->has_size = img_size(size, &n->size);
        if (!n->has_size) {
            return error_set(err, "Invalid image size specified: '%s'", size);
        }
    }
    if (raw && n->backing) {
        return error_set(err, "Backing file not supported for file format 'raw'");
    }
    if (!look_at_backing(n, err)) {
        return false;
    }
    if (!n->has_size) {
        return error_set(err, "Image creation needs a size parameter");
    }
    n->size = (n->size + 511) & ~UINT64_C(511);
    if (raw && !n->quiet) {
        printf("Formatting '%s', fmt=raw size=%" PRIu64 "\n", n->file, n->size);
    }
    return raw ? make_raw(n, err) : make_qcow2(n, err);
}

int img_create(int argc, char **argv)
{
    struct img_new n = {.format = "raw", .options = json_object()};
    struct error err = {{0}};
    int c, status = 0;

    optind = 1;
    while (!status && (c = getopt(argc, argv, "qf:b:F:uo:")) != -1) {
        switch (c) {
        case 'q':
            n.quiet = true;
            break;
        case 'f':
            n.format = optarg;
            break;
        case 'b':
            n.backing = optarg;
            break;
        case 'F':
            n.backing_format = optarg;
            break;
        case 'u':
            n.no_check = true;
            break;
        case 'o':
            status = img_add_options(n.options, optarg, &err) ? 0 : img_fail(&err);
            break;
        default:
            status = img_usage("create", "unknown option");
        }
    }
    if (!status && optind >= argc) {
        status = img_usage("create", "Expecting image file name");
    }
    n.file = status ? NULL : argv[optind++];
    if (!status && optind < argc) {
        n.has_size = img_size(argv[optind], &n.size);
        if (!n.has_size) {
            status = img_usage("create", "Invalid image size specified: '%s'", argv[optind]);
        } else if (optind + 1 < argc) {
            status = img_usage("create", "Unexpected argument: %s", argv[optind + 1]);
        }
    }
    if (!status && !img_make(&n, &err)) {
        fprintf(stderr, "dragoman img: %s: %s\n", n.file, err.msg);
        status = 1;
    }
    json_decref(n.options);
    return status;
}
