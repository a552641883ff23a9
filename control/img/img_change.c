/* dragoman img resize, snapshot and compare. */
#include "control/img/img.h"
#include "host/block.h"
#include "host/qcow2.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHRINK = 256, PREALLOCATION, OBJECT, PIECE = 2 << 20 };

int img_resize(int argc, char **argv)
{
    static const struct option longs[] = {{"shrink", no_argument, NULL, SHRINK},
                                          {"preallocation", required_argument, NULL, PREALLOCATION},
                                          {NULL, 0, NULL, 0}};
    const char *format = NULL, *prealloc = NULL, *size_text;
    bool quiet = false, shrink = false;
    struct error err = {{0}};
    uint64_t size;
    int c, status = 0;

    /* -SIZE at the end is no option. */
    if (argc < 3) {
        return img_usage("resize", "Expecting image file name and size");
    }
    size_text = argv[--argc];
    optind = 1;
    while ((c = getopt_long(argc, argv, "qf:", longs, NULL)) != -1) {
        switch (c) {
        case 'q':
            quiet = true;
            break;
        case 'f':
            format = optarg;
            break;
        case SHRINK:
            shrink = true;
            break;
        case PREALLOCATION:
            prealloc = optarg;
            break;
        default:
            return img_usage("resize", "unknown option");
        }
    }
    if (optind != argc - 1) {
        return img_usage("resize", "Expecting image file name and size");
    }
    char sign = *size_text == '+' || *size_text == '-' ? *size_text : 0;
    if (!img_size(size_text + (sign != 0), &size)) {
        return img_usage("resize", "Invalid parameter '%s'", size_text);
    }
    struct block_graph *g = block_graph_create(NULL);
    struct block_node *n =
        img_open(g, argv[optind], format, (struct node_flags){.unmap = true}, NULL);
    uint64_t old = n ? atomic_load(&n->size) : 0;
    size = sign == '+' ? old + size : sign == '-' ? (size < old ? old - size : 0) : size;
    size = (size + 511) & ~UINT64_C(511);
    if (!n) {
        status = 1;
    } else if (!size) {
        fputs("dragoman img: New image size must be positive\n", stderr);
        status = 1;
    } else if (size < old && !shrink) {
        fputs("dragoman img: Use the --shrink option to perform a shrink operation; all data "
              "beyond the new end will be lost\n",
              stderr);
        status = 1;
    } else if (!node_truncate(n, size, prealloc, &err)) {
        status = img_fail(&err);
    } else if (node_flush(n)) {
        fprintf(stderr, "dragoman img: cannot write '%s'\n", n->filename);
        status = 1;
    } else if (!quiet) {
        puts("Image resized.");
    }
    node_unref(n);
    block_graph_destroy(g);
    return status;
}

int img_snapshot(int argc, char **argv)
{
    static const struct option longs[] = {{"force-share", no_argument, NULL, 'U'},
                                          {NULL, 0, NULL, 0}};
    const char *tag = NULL, *format = NULL;
    struct error err = {{0}};
    struct node_flags f = {.no_backing = false};
    int c, action = 0, status = 0;

    optind = 1;
    while ((c = getopt_long(argc, argv, "la:c:d:qUf:", longs, NULL)) != -1) {
        switch (c) {
        case 'l':
        case 'a':
        case 'c':
        case 'd':
            if (action) {
                return img_usage("snapshot", "Cannot mix '-l', '-a', '-c', '-d'");
            }
            action = c;
            tag = optarg;
            break;
        case 'q':
            break;
        case 'f':
            format = optarg;
            break;
        case 'U':
            f.share = true;
            break;
        default:
            return img_usage("snapshot", "unknown option");
        }
    }
    if (optind != argc - 1) {
        return img_usage("snapshot", "Expecting one image file name");
    }
    action = action ? action : 'l';
    f.readonly = action == 'l';
    f.no_backing = true;
    struct block_graph *g = block_graph_create(NULL);
    struct block_node *n = img_open(g, argv[optind], format, f, NULL);
    if (!n) {
        status = 1;
    } else if (action == 'l') {
        struct node_info info = {0};
        if (n->driver->info) {
            n->driver->info(n, &info);
        }
        if (info.snapshots) {
            img_print_snapshots(info.snapshots);
        }
        json_decref(info.snapshots);
        json_decref(info.specific);
    } else if (!(action == 'c'   ? qcow2_snapshot_create
                 : action == 'd' ? qcow2_snapshot_delete
                                 : qcow2_snapshot_apply)(n, tag, &err)) {
        status = img_fail(&err);
    }
    node_unref(n);
    block_graph_destroy(g);
    return status;
}

/* ---- compare: 0 the same, 1 different, 2 to 4 errors ---- */

struct comparison {
    struct block_node *a, *b;
    uint8_t *buf[2];
    bool progress, strict;
};

/* 0, or the status; *at: where they differ. */
static int compare_range(struct comparison *k, uint64_t from, uint64_t to, uint64_t *at)
{
    while (from < to) {
        uint64_t len = to - from, other = len;
        int s1 = node_status_chain(k->a, from, &len), s2 = node_status_chain(k->b, from, &other);
        len = len < other ? len : other;
        if (s1 < 0 || s2 < 0) {
            *at = from;
            return 3;
        }
        if (s1 != NODE_ZERO || s2 != NODE_ZERO) {
            len = len < PIECE ? len : PIECE;
            if (node_pread(k->a, from, k->buf[0], len) || node_pread(k->b, from, k->buf[1], len)) {
                *at = from;
                return 4;
            }
            for (uint64_t i = 0; i < len; i += 512) {
                if (memcmp(k->buf[0] + i, k->buf[1] + i, len - i < 512 ? len - i : 512)) {
                    *at = from + i;
                    return 1;
                }
            }
        }
        from += len;
        img_progress(k->progress, (double)from * 100 / (double)to);
    }
    return 0;
}

/* What one image has beyond the other's end has to be zero. */
static int compare_rest(struct comparison *k, struct block_node *n, uint64_t from, uint64_t to,
                        uint64_t *at)
{
    while (from < to) {
        uint64_t len = to - from;
        int s = node_status_chain(n, from, &len);
        if (s < 0) {
            *at = from;
            return 3;
        }
        if (s != NODE_ZERO) {
            len = len < PIECE ? len : PIECE;
            if (node_pread(n, from, k->buf[0], len)) {
                *at = from;
                return 4;
            }
            for (uint64_t i = 0; i < len; i += 512) {
                if (!node_is_zero(k->buf[0] + i, len - i < 512 ? len - i : 512)) {
                    *at = from + i;
                    return 1;
                }
            }
        }
        from += len;
    }
    return 0;
}

int img_compare(int argc, char **argv)
{
    static const struct option longs[] = {{"force-share", no_argument, NULL, 'U'},
                                          {NULL, 0, NULL, 0}};
    const char *format[2] = {NULL, NULL};
    struct node_flags f = {.readonly = true};
    struct comparison k = {0};
    bool quiet = false;
    uint64_t at = 0;
    int c, status;

    optind = 1;
    while ((c = getopt_long(argc, argv, "f:F:T:pqsU", longs, NULL)) != -1) {
        switch (c) {
        case 'f':
        case 'F':
            format[c == 'F'] = optarg;
            break;
        case 'T':
            break;
        case 'p':
            k.progress = true;
            break;
        case 'q':
            quiet = true;
            break;
        case 's':
            k.strict = true;
            break;
        case 'U':
            f.share = true;
            break;
        default:
            img_usage("compare", "unknown option");
            return 2;
        }
    }
    if (optind != argc - 2) {
        img_usage("compare", "Expecting two image file names");
        return 2;
    }
    struct block_graph *g = block_graph_create(NULL);
    k.a = img_open(g, argv[optind], format[0], f, NULL);
    k.b = k.a ? img_open(g, argv[optind + 1], format[1], f, NULL) : NULL;
    k.progress &= !quiet;
    if (!k.a || !k.b) {
        status = 2;
    } else {
        uint64_t sa = atomic_load(&k.a->size), sb = atomic_load(&k.b->size),
                 both = sa < sb ? sa : sb;
        k.buf[0] = malloc(PIECE);
        k.buf[1] = malloc(PIECE);
        if (k.strict && sa != sb) {
            status = 1;
            if (!quiet) {
                puts("Strict mode: Image size mismatch!");
            }
        } else {
            status = compare_range(&k, 0, both, &at);
            if (!status && sa != sb) {
                if (!quiet) {
                    puts("Warning: Image size mismatch!");
                }
                status = compare_rest(&k, sa > sb ? k.a : k.b, both, sa > sb ? sa : sb, &at);
            }
            img_progress(k.progress, -1);
            if (status == 1 && !quiet) {
                printf("Content mismatch at offset %" PRIu64 "!\n", at);
            } else if (status > 1) {
                fprintf(stderr, "dragoman img: Error while reading offset %" PRIu64 "\n", at);
            } else if (!status && !quiet) {
                puts("Images are identical.");
            }
        }
    }
    free(k.buf[0]);
    free(k.buf[1]);
    node_unref(k.a);
    node_unref(k.b);
    block_graph_destroy(g);
    return status;
}
