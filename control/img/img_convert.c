/* dragoman img convert: copies one or several images, one behind the other, into a new one. */
#include "control/img/img.h"
#include "host/block.h"
#include "host/qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 2 << 20, MAX_SOURCES = 64, SPARSE = 4096, SHRINK = 256, TARGET_IS_ZERO };

struct convert {
    struct block_node *source[MAX_SOURCES], *target;
    unsigned nsources;
    bool compress, progress, empty; /* empty: the target reads as zeroes, or as its backing file */
    uint64_t total, sparse, cluster;
    uint8_t *buf;
};

/* The source that holds byte `at` of the target. */
static struct block_node *source_at(struct convert *k, uint64_t at, uint64_t *offset)
{
    for (unsigned i = 0; i < k->nsources; i++) {
        uint64_t size = atomic_load(&k->source[i]->size);
        if (at < size) {
            *offset = at;
            return k->source[i];
        }
        at -= size;
    }
    return NULL;
}

static int write_zeroes(struct convert *k, uint64_t at, uint64_t len)
{
    return k->empty && !k->target->backing ? 0 : node_zero(k->target, at, len, true);
}

/* Writes what is not zero in pieces of k->sparse. */
static int write_sparse(struct convert *k, uint64_t at, const uint8_t *buf, uint64_t len)
{
    int r = 0;

    if (!k->sparse) {
        return node_pwrite(k->target, at, buf, len);
    }
    for (uint64_t done = 0; !r && done < len;) {
        uint64_t end = done;
        bool zero = node_is_zero(buf + done, len - done < k->sparse ? len - done : k->sparse),
             same = zero;
        while (end < len && same == zero) {
            uint64_t n = len - end < k->sparse ? len - end : k->sparse;
            end += n;
            n = len - end < k->sparse ? len - end : k->sparse;
            same = end < len ? node_is_zero(buf + end, n) : zero;
        }
        r = zero ? write_zeroes(k, at + done, end - done)
                 : node_pwrite(k->target, at + done, buf + done, end - done);
        done = end;
    }
    return r;
}

/* One cluster, which several sources may share. */
static int compress_cluster(struct convert *k, uint64_t at, uint64_t len)
{
    uint64_t done = 0, offset;
    int r = 0;

    while (!r && done < len) {
        struct block_node *s = source_at(k, at + done, &offset);
        uint64_t left = s ? atomic_load(&s->size) - offset : len - done;
        left = left < len - done ? left : len - done;
        r = s ? node_pread(s, offset, k->buf + done, left) : 0;
        done += left;
    }
    if (r) {
        return r;
    }
    if (node_is_zero(k->buf, len)) {
        return write_zeroes(k, at, len);
    }
    return k->target->driver->write_compressed(k->target, at, len, k->buf);
}

/* Is [at, at + len) zero, without reading it? */
static bool known_zero(struct convert *k, uint64_t at, uint64_t len)
{
    while (len) {
        uint64_t offset, n = len;
        struct block_node *s = source_at(k, at, &offset);
        int r = s ? node_status_chain(s, offset, &n) : NODE_ZERO;
        if (r != NODE_ZERO) {
            return false;
        }
        n = n < len ? n : len;
        at += n;
        len -= n;
    }
    return true;
}

static int copy(struct convert *k)
{
    uint64_t at = 0, last = 0;
    int r = 0;

    while (!r && at < k->total) {
        uint64_t offset, len = k->total - at;
        struct block_node *s = source_at(k, at, &offset);
        if (!s) {
            return 0;
        }
        if (k->compress) {
            len = len < k->cluster ? len : k->cluster;
            r = known_zero(k, at, len) ? write_zeroes(k, at, len) : compress_cluster(k, at, len);
        } else {
            uint64_t left = atomic_load(&s->size) - offset;
            len = len < left ? len : left;
            int status = node_status_chain(s, offset, &len);
            if (status < 0) {
                return status;
            }
            if (status == NODE_ZERO) {
                r = write_zeroes(k, at, len);
            } else {
                len = len < PIECE ? len : PIECE;
                r = node_pread(s, offset, k->buf, len);
                r = r ? r : write_sparse(k, at, k->buf, len);
            }
        }
        at += len;
        if (at - last > k->total / 100) {
            last = at;
            img_progress(k->progress, (double)at * 100 / (double)k->total);
        }
    }
    return r;
}

struct arguments {
    const char *format, *out_format, *backing, *backing_format, *snapshot, *cache, *source_cache;
    json_t *options;
    bool compress, progress, quiet, share, existing;
    uint64_t sparse;
};

static int parse(int argc, char **argv, struct arguments *a)
{
    static const struct option longs[] = {{"force-share", no_argument, NULL, 'U'},
                                          {"target-is-zero", no_argument, NULL, TARGET_IS_ZERO},
                                          {NULL, 0, NULL, 0}};
    struct error err = {{0}};
    int c;

    optind = 1;
    while ((c = getopt_long(argc, argv, "f:O:B:F:o:l:t:T:S:cpqUnWm:", longs, NULL)) != -1) {
        switch (c) {
        case 'f':
            a->format = optarg;
            break;
        case 'O':
            a->out_format = optarg;
            break;
        case 'B':
            a->backing = optarg;
            break;
        case 'F':
            a->backing_format = optarg;
            break;
        case 'o':
            if (!img_add_options(a->options, optarg, &err)) {
                return img_fail(&err);
            }
            break;
        case 'l':
            a->snapshot = optarg;
            break;
        case 't':
            a->cache = optarg;
            break;
        case 'T':
            a->source_cache = optarg;
            break;
        case 'S':
            if (!img_size(optarg, &a->sparse) || a->sparse % 512) {
                return img_usage("convert", "Invalid buffer size for sparse output specified: '%s'",
                                 optarg);
            }
            break;
        case 'c':
            a->compress = true;
            break;
        case 'p':
            a->progress = true;
            break;
        case 'q':
            a->quiet = true;
            break;
        case 'U':
            a->share = true;
            break;
        case 'n':
            a->existing = true;
            break;
        case 'W':
        case 'm':
        case TARGET_IS_ZERO:
            break; /* order and parallel requests are of no account here */
        default:
            return img_usage("convert", "unknown option");
        }
    }
    return optind + 2 <= argc ? 0 : img_usage("convert", "Must specify image file name");
}

static int open_sources(struct convert *k, struct block_graph *g, const struct arguments *a, int n,
                        char **files)
{
    struct node_flags f = {.readonly = true, .share = a->share};
    struct error err = {{0}};

    if (n > MAX_SOURCES) {
        return img_usage("convert", "more than %d images", MAX_SOURCES);
    }
    for (int i = 0; i < n; i++) {
        struct block_node *s = img_open(g, files[i], a->format, f, a->source_cache);
        if (!s) {
            return 1;
        }
        k->source[k->nsources++] = s;
        k->total += atomic_load(&s->size);
        if (a->snapshot) {
            const char *tag =
                strrchr(a->snapshot, '=') ? strrchr(a->snapshot, '=') + 1 : a->snapshot;
            if (!qcow2_snapshot_view(s, tag, &err)) {
                return img_fail(&err);
            }
            k->total = atomic_load(&s->size);
        }
    }
    return 0;
}

static int make_target(struct convert *k, struct block_graph *g, const struct arguments *a,
                       const char *file)
{
    struct img_new n = {.format = a->out_format,
                        .file = file,
                        .backing = a->backing,
                        .backing_format = a->backing_format,
                        .options = a->options,
                        .size = k->total,
                        .has_size = true,
                        .quiet = true};
    struct node_flags f = {.unmap = true, .no_probe_lock = true};
    struct node_info info = {0};
    struct error err = {{0}};

    for (unsigned i = 0; i < k->nsources; i++) {
        if (!strcmp(k->source[i]->filename, file)) {
            error_set(&err, "'%s' is source and target", file);
            return img_fail(&err);
        }
    }
    if (!a->existing && !img_make(&n, &err)) {
        fprintf(stderr, "dragoman img: %s: error while converting %s: %s\n", file, a->out_format,
                err.msg);
        return 1;
    }
    k->target = img_open(g, file, a->out_format, f, a->cache ? a->cache : "unsafe");
    if (!k->target) {
        return 1;
    }
    if (atomic_load(&k->target->size) < k->total) {
        error_set(&err, "'%s' is smaller than the source", file);
        return img_fail(&err);
    }
    if (a->compress && !k->target->driver->write_compressed) {
        error_set(&err, "Compression not supported for this file format");
        return img_fail(&err);
    }
    if (k->target->driver->info) {
        k->target->driver->info(k->target, &info);
        k->cluster = info.cluster_size;
        json_decref(info.specific);
        json_decref(info.snapshots);
    }
    k->empty = !a->existing && !json_object_get(a->options, "preallocation");
    return 0;
}

int img_convert(int argc, char **argv)
{
    struct arguments a = {.out_format = "raw", .options = json_object(), .sparse = SPARSE};
    struct convert k = {0};
    struct block_graph *g = block_graph_create(NULL);
    int status = parse(argc, argv, &a), r;

    k.compress = a.compress;
    k.progress = a.progress && !a.quiet;
    k.sparse = a.sparse;
    k.buf = malloc(PIECE);
    status = status ? status : open_sources(&k, g, &a, argc - optind - 1, argv + optind);
    status = status ? status : make_target(&k, g, &a, argv[argc - 1]);
    if (!status) {
        img_progress(k.progress, 0);
        r = copy(&k);
        r = r ? r : node_flush(k.target);
        if (r) {
            fprintf(stderr, "%sdragoman img: error while converting: %s\n", k.progress ? "\n" : "",
                    strerror(-r));
            status = 1;
        } else {
            img_progress(k.progress, 100);
            img_progress(k.progress, -1);
        }
    }
    free(k.buf);
    for (unsigned i = 0; i < k.nsources; i++) {
        node_unref(k.source[i]);
    }
    node_unref(k.target);
    block_graph_destroy(g);
    json_decref(a.options);
    return status;
}
