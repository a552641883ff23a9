/* dragoman img info, check and map. */
#include "control/img/img.h"
#include "host/block.h"
#include "host/block_graph.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set(json_t *o, const char *key, json_t *value)
{
    json_object_set_new(o, key, value);
}

static json_t *integer(uint64_t v)
{
    return json_integer((json_int_t)v);
}

/* A file's length in sectors, as qemu-img tells it. */
static uint64_t file_length(const struct block_node *f)
{
    return (atomic_load(&f->size) + NODE_SECTOR - 1) & ~(uint64_t)(NODE_SECTOR - 1);
}

static json_t *child_info(struct block_node *f)
{
    return json_pack("{s:s,s:{s:[],s:I,s:s,s:s,s:I,s:{s:s,s:{}},s:b}}", "name", "file", "info",
                     "children", "virtual-size", (json_int_t)file_length(f), "filename",
                     f->filename, "format", f->driver->name, "actual-size",
                     (json_int_t)node_allocated(f), "format-specific", "type", f->driver->name,
                     "data", "dirty-flag", 0);
}

static json_t *node_json(struct block_node *n)
{
    struct node_info info = {0};
    json_t *o = json_object(), *children = json_array();
    char *full = node_backing_path(n);

    if (n->driver->info) {
        n->driver->info(n, &info);
    }
    if (n->file) {
        json_array_append_new(children, child_info(n->file));
    }
    set(o, "children", children);
    if (n->backing_format) {
        set(o, "backing-filename-format", json_string(n->backing_format));
    }
    if (info.snapshots) {
        set(o, "snapshots", info.snapshots);
    }
    set(o, "virtual-size", integer(atomic_load(&n->size)));
    set(o, "filename", json_string(n->filename));
    if (info.cluster_size) {
        set(o, "cluster-size", integer(info.cluster_size));
    }
    set(o, "format", json_string(n->driver->name));
    set(o, "actual-size", integer(node_allocated(n)));
    if (info.specific) {
        set(o, "format-specific",
            json_pack("{s:s,s:o}", "type", n->driver->name, "data", info.specific));
    }
    if (full) {
        set(o, "full-backing-filename", json_string(full));
        set(o, "backing-filename", json_string(n->backing_filename));
    }
    set(o, "dirty-flag", json_boolean(info.dirty));
    free(full);
    return o;
}

static void print_specific(json_t *data)
{
    const char *key;
    json_t *value;

    puts("Format specific information:");
    json_object_foreach(data, key, value)
    {
        char name[40];
        snprintf(name, sizeof(name), "%s", key);
        for (char *c = name; *c; c++) {
            *c = *c == '-' ? ' ' : *c;
        }
        if (json_is_string(value)) {
            printf("    %s: %s\n", name, json_string_value(value));
        } else if (json_is_boolean(value)) {
            printf("    %s: %s\n", name, json_is_true(value) ? "true" : "false");
        } else {
            printf("    %s: %" JSON_INTEGER_FORMAT "\n", name, json_integer_value(value));
        }
    }
}

static void print_human(struct block_node *n)
{
    struct node_info info = {0};
    char size[32], disk[32], file[32], *full = node_backing_path(n);

    if (n->driver->info) {
        n->driver->info(n, &info);
    }
    img_size_text(atomic_load(&n->size), size);
    img_size_text(node_allocated(n), disk);
    printf("image: %s\nfile format: %s\nvirtual size: %s (%" PRIu64 " bytes)\ndisk size: %s\n",
           n->filename, n->driver->name, size, (uint64_t)atomic_load(&n->size), disk);
    if (info.dirty) {
        puts("cleanly shut down: no");
    }
    if (info.cluster_size) {
        printf("cluster_size: %" PRIu64 "\n", info.cluster_size);
    }
    if (n->backing_filename) {
        printf("backing file: %s", n->backing_filename);
        if (full && strcmp(full, n->backing_filename)) {
            printf(" (actual path: %s)", full);
        }
        putchar('\n');
    }
    if (n->backing_format) {
        printf("backing file format: %s\n", n->backing_format);
    }
    if (info.snapshots) {
        img_print_snapshots(info.snapshots);
    }
    if (info.specific) {
        print_specific(info.specific);
    }
    if (n->file) {
        img_size_text(file_length(n->file), file);
        printf("Child node '/file':\n    filename: %s\n    protocol type: %s\n    file length: %s "
               "(%" PRIu64 " bytes)\n    disk size: %s\n",
               n->file->filename, n->file->driver->name, file, file_length(n->file), disk);
    }
    json_decref(info.specific);
    json_decref(info.snapshots);
    free(full);
}

enum { OUTPUT = 256, CHAIN };
static const struct option long_options[] = {
    {"output", required_argument, NULL, OUTPUT}, {"backing-chain", no_argument, NULL, CHAIN},
    {"force-share", no_argument, NULL, 'U'},     {"format", required_argument, NULL, 'f'},
    {"repair", required_argument, NULL, 'r'},    {NULL, 0, NULL, 0},
};

struct common {
    const char *format, *file, *cache;
    bool json, chain, quiet, share;
    unsigned fix;
};

/* 0, or the exit status. */
static int parse(int argc, char **argv, const char *letters, struct common *o)
{
    int c;

    optind = 1;
    while ((c = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
        switch (c) {
        case 'f':
            o->format = optarg;
            break;
        case 'T':
            o->cache = optarg;
            break;
        case 'U':
            o->share = true;
            break;
        case 'q':
            o->quiet = true;
            break;
        case CHAIN:
            o->chain = true;
            break;
        case OUTPUT:
            o->json = !strcmp(optarg, "json");
            if (!o->json && strcmp(optarg, "human")) {
                return img_usage(argv[0], "--output must be used with human or json as argument.");
            }
            break;
        case 'r':
            o->fix = !strcmp(optarg, "leaks") ? CHECK_FIX_LEAKS
                     : !strcmp(optarg, "all") ? CHECK_FIX_LEAKS | CHECK_FIX_ERRORS
                                              : 0;
            if (!o->fix) {
                return img_usage(argv[0], "--repair expects 'leaks' or 'all', not '%s'", optarg);
            }
            break;
        default:
            return img_usage(argv[0], "unknown option");
        }
    }
    if (optind != argc - 1) {
        return img_usage(argv[0], "Expecting one image file name");
    }
    o->file = argv[optind];
    return 0;
}

/* For info and map: also opens the image, to read it. backing: with what is under it, whether that
 * is asked for or not. */
static int parse_and_open(int argc, char **argv, bool backing, struct common *o,
                          struct block_graph **g, struct block_node **n)
{
    int status = parse(argc, argv, "f:U", o);

    if (status) {
        return status;
    }
    *g = block_graph_create(NULL);
    struct node_flags f = {
        .readonly = true, .share = o->share, .no_backing = !backing && !o->chain};
    *n = img_open(*g, o->file, o->format, f, NULL);
    if (!*n) {
        block_graph_destroy(*g);
    }
    return *n ? 0 : 1;
}

int img_info(int argc, char **argv)
{
    struct common o = {0};
    struct block_graph *g;
    struct block_node *n;
    int status = parse_and_open(argc, argv, false, &o, &g, &n);

    if (status) {
        return status;
    }
    json_t *list = json_array();
    for (struct block_node *at = n; at; at = o.chain ? at->backing : NULL) {
        if (o.json) {
            json_array_append_new(list, node_json(at));
        } else {
            if (at != n) {
                putchar('\n');
            }
            print_human(at);
        }
    }
    if (o.json) {
        img_print_json(o.chain ? json_incref(list) : json_incref(json_array_get(list, 0)));
    }
    json_decref(list);
    node_unref(n);
    block_graph_destroy(g);
    return 0;
}

static void print_line(void *opaque, const char *line)
{
    (void)opaque;
    puts(line);
}

static void print_check(const struct node_check *c)
{
    double total = c->total_clusters ? (double)c->total_clusters : 1,
           used = c->allocated_clusters ? (double)c->allocated_clusters : 1;

    if (!c->errors && !c->corruptions && !c->leaks) {
        puts("No errors were found on the image.");
    } else {
        if (c->corruptions) {
            printf("\n%" PRIu64 " errors were found on the image.\nData may be corrupted, or "
                   "further writes to the image may corrupt it.\n",
                   c->corruptions);
        }
        if (c->leaks) {
            printf("\n%" PRIu64 " leaked clusters were found on the image.\nThis means waste of "
                   "disk space, but no harm to data.\n",
                   c->leaks);
        }
        if (c->errors) {
            printf("\n%" PRIu64 " internal errors have occurred during the check.\n", c->errors);
        }
    }
    if (c->total_clusters && c->allocated_clusters) {
        printf("%" PRIu64 "/%" PRIu64
               " = %0.2f%% allocated, %0.2f%% fragmented, %0.2f%% compressed clusters\n",
               c->allocated_clusters, c->total_clusters,
               (double)c->allocated_clusters * 100 / total,
               (double)c->fragmented_clusters * 100 / used,
               (double)c->compressed_clusters * 100 / used);
    }
    printf("Image end offset: %" PRIu64 "\n", c->end_offset);
}

static void set_if(json_t *o, const char *key, uint64_t v)
{
    if (v) {
        set(o, key, integer(v));
    }
}

static json_t *check_json(const struct node_check *c, const struct block_node *n)
{
    json_t *o = json_object();

    set(o, "image-end-offset", integer(c->end_offset));
    set_if(o, "total-clusters", c->total_clusters);
    set_if(o, "allocated-clusters", c->allocated_clusters);
    set_if(o, "fragmented-clusters", c->fragmented_clusters);
    set_if(o, "compressed-clusters", c->compressed_clusters);
    set(o, "check-errors", integer(c->errors));
    set_if(o, "corruptions", c->corruptions);
    set_if(o, "corruptions-fixed", c->corruptions_fixed);
    set_if(o, "leaks", c->leaks);
    set_if(o, "leaks-fixed", c->leaks_fixed);
    set(o, "filename", json_string(n->filename));
    set(o, "format", json_string(n->driver->name));
    return o;
}

int img_check(int argc, char **argv)
{
    struct common o = {0};
    int status = parse(argc, argv, "qf:r:T:U", &o);
    struct node_check c = {0};
    struct block_graph *g;
    struct block_node *n;

    if (status) {
        return status;
    }
    g = block_graph_create(NULL);
    struct node_flags f = {.readonly = !o.fix, .share = o.share, .no_io = true, .no_backing = true};
    n = img_open(g, o.file, o.format, f, o.cache);
    if (!n) {
        status = 1;
    } else if (!n->driver->check) {
        fputs("dragoman img: This image format does not support checks\n", stderr);
        status = 63;
    } else {
        c.print = o.json || o.quiet ? NULL : print_line;
        n->driver->check(n, &c, o.fix);
        if (o.fix && (c.leaks_fixed || c.corruptions_fixed)) {
            uint64_t leaks = c.leaks_fixed, errors = c.corruptions_fixed;
            if (!o.json && !o.quiet) {
                printf("The following inconsistencies were found and repaired:\n\n    %" PRIu64
                       " leaked clusters\n    %" PRIu64
                       " corruptions\n\nDouble checking the fixed image now...\n",
                       leaks, errors);
            }
            c = (struct node_check){.print = c.print};
            n->driver->check(n, &c, 0);
            c.leaks_fixed = leaks;
            c.corruptions_fixed = errors;
        }
        if (o.json) {
            img_print_json(check_json(&c, n));
        } else if (!o.quiet) {
            print_check(&c);
        }
        status = c.errors ? 1 : c.corruptions ? 2 : c.leaks ? 3 : 0;
    }
    node_unref(n);
    block_graph_destroy(g);
    return status;
}

int img_map(int argc, char **argv)
{
    struct common o = {0};
    struct block_graph *g;
    struct block_node *n;
    int status = parse_and_open(argc, argv, true, &o, &g, &n);

    if (status) {
        return status;
    }
    json_t *list = json_array();
    if (!o.json) {
        puts("Offset          Length          File");
    }
    for (uint64_t at = 0, size = atomic_load(&n->size), len; at < size; at += len) {
        unsigned depth = 0;
        int r = 0;
        len = size - at;
        for (struct block_node *b = n; b; b = b->backing, depth++) {
            r = node_status(b, at, &len);
            if (r < 0 || (r & NODE_ALLOCATED) || !b->backing) {
                if (r > 0 && (r & NODE_DATA) && !o.json) {
                    printf("%#-15" PRIx64 " %#-15" PRIx64 " %s\n", at, len, b->filename);
                }
                break;
            }
        }
        if (r < 0) {
            fprintf(stderr, "dragoman img: cannot read the tables of '%s': %s\n", o.file,
                    strerror(-r));
            status = 1;
            break;
        }
        json_array_append_new(list, json_pack("{s:I,s:I,s:i,s:b,s:b,s:b}", "start", (json_int_t)at,
                                              "length", (json_int_t)len, "depth", (int)depth,
                                              "present", (r & NODE_ALLOCATED) != 0, "zero",
                                              !(r & NODE_DATA), "data", (r & NODE_DATA) != 0));
    }
    if (!status && o.json) {
        img_print_json(json_incref(list));
    }
    json_decref(list);
    node_unref(n);
    block_graph_destroy(g);
    return status;
}
