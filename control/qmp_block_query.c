/* QMP: what is to be told of disk images: query-block, query-blockstats, query-named-block-nodes.
 */
#include "control/qmp_block.h"
#include "control/setup.h"
#include "host/block.h"
#include "host/block_graph.h"

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

/* ImageInfo */
static json_t *image_info(struct block_node *n, bool chain)
{
    struct node_info info = {0};
    json_t *o = json_object();
    char *full = node_backing_path(n);

    if (n->driver->info) {
        n->driver->info(n, &info);
    }
    set(o, "filename", json_string(n->filename));
    set(o, "format", json_string(n->driver->name));
    set(o, "virtual-size", integer(atomic_load(&n->size)));
    set(o, "actual-size", integer(node_allocated(n)));
    set(o, "dirty-flag", json_boolean(info.dirty));
    if (info.cluster_size) {
        set(o, "cluster-size", integer(info.cluster_size));
    }
    if (n->backing_filename) {
        set(o, "backing-filename", json_string(n->backing_filename));
        set(o, "full-backing-filename", json_string(full));
    }
    if (n->backing_format) {
        set(o, "backing-filename-format", json_string(n->backing_format));
    }
    if (info.snapshots) {
        set(o, "snapshots", info.snapshots);
    }
    if (info.specific) {
        set(o, "format-specific",
            json_pack("{s:s,s:o}", "type", n->driver->name, "data", info.specific));
    }
    if (chain && n->backing) {
        set(o, "backing-image", image_info(n->backing, true));
    }
    free(full);
    return o;
}

/* BlockDeviceInfo; b: the back end over it, or NULL. */
static json_t *device_info(struct block_node *n, const struct block *b, bool chain)
{
    static const char *const detect[] = {"off", "on", "unmap"};
    struct block_throttle t = {0};
    json_t *o = json_object();
    unsigned depth = 0;

    for (const struct block_node *at = n->backing; at; at = at->backing) {
        depth++;
    }
    if (b) {
        block_get_throttle(b, &t);
    }
    set(o, "node-name", json_string(n->name));
    set(o, "file", json_string(n->filename));
    set(o, "drv", json_string(n->driver->name));
    set(o, "ro", json_boolean(n->flags.readonly));
    set(o, "encrypted", json_false());
    set(o, "active", json_true());
    set(o, "backing_file_depth", integer(depth));
    if (n->backing) {
        set(o, "backing_file", json_string(n->backing->filename));
    }
    set(o, "detect_zeroes", json_string(detect[n->flags.detect]));
    set(o, "write_threshold", json_integer(0));
    set(o, "cache",
        json_pack("{s:b,s:b,s:b}", "writeback", b ? block_write_cache(b) : 1, "direct",
                  n->flags.direct, "no-flush", n->flags.no_flush));
    qmp_throttle_json(o, &t);
    set(o, "image", image_info(n, chain));
    return o;
}

/* What QMP calls the device: virtio's disks have a part that is the disk. */
static void set_qdev(json_t *o, const struct block_device *d)
{
    if (d && d->id) {
        set(o, "qdev", json_string(d->id));
    }
}

bool qmp_query_block(struct qmp_call *c)
{
    struct block_graph *g = c->machine->blocks;

    c->ret = json_array();
    for (struct block *b = g ? block_next(g, NULL) : NULL; b; b = block_next(g, b)) {
        const struct block_device *d = block_device_of(b);
        json_t *o = json_object();
        bool nospace;
        if (!d && !*block_id(b)) {
            continue; /* of a device that is gone */
        }
        set(o, "device", json_string(block_id(b)));
        set_qdev(o, d);
        set(o, "type", json_string("unknown"));
        set(o, "removable", json_boolean(d && d->removable));
        set(o, "locked", json_boolean(block_locked(b)));
        if (d && d->removable) {
            set(o, "tray_open", json_boolean(block_tray_open(b)));
        }
        bool good = block_iostatus_ok(b, &nospace);
        set(o, "io-status", json_string(good ? "ok" : nospace ? "nospace" : "failed"));
        if (block_node_of(b)) {
            set(o, "inserted", device_info(block_node_of(b), b, true));
        }
        json_array_append_new(c->ret, o);
    }
    return true;
}

static json_t *stats_json(const struct block_stats *s)
{
    static const struct {
        const char *name;
        enum block_op op;
    } kinds[] = {
        {"rd", BLOCK_READ}, {"wr", BLOCK_WRITE}, {"flush", BLOCK_FLUSH}, {"unmap", BLOCK_DISCARD}};
    json_t *o = json_object();
    char key[48];

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        enum block_op op = kinds[i].op;
        struct {
            const char *prefix, *suffix;
            uint64_t value;
        } all[] = {{"", "_operations", s->operations[op]},
                   {"", "_total_time_ns", s->time_ns[op]},
                   {"", "_merged", 0},
                   {"failed_", "_operations", s->failed[op]},
                   {"invalid_", "_operations", s->invalid[op]},
                   {"", "_bytes", s->bytes[op]}};
        for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++) {
            if (op != BLOCK_FLUSH || strcmp(all[k].suffix, "_bytes")) {
                snprintf(key, sizeof(key), "%s%s%s", all[k].prefix, kinds[i].name, all[k].suffix);
                set(o, key, integer(all[k].value));
            }
        }
    }
    set(o, "wr_highest_offset", integer(s->highest_write));
    set(o, "account_invalid", json_true());
    set(o, "account_failed", json_true());
    set(o, "timed_stats", json_array());
    return o;
}

static json_t *node_stats(struct block_node *n)
{
    struct block_stats s = {.highest_write = atomic_load(&n->highest_write)};
    json_t *o = json_pack("{s:s,s:o}", "node-name", n->name, "stats", stats_json(&s));

    if (n->file) {
        set(o, "parent", node_stats(n->file));
    }
    if (n->backing) {
        set(o, "backing", node_stats(n->backing));
    }
    return o;
}

bool qmp_query_blockstats(struct qmp_call *c)
{
    struct block_graph *g = c->machine->blocks;

    c->ret = json_array();
    if (json_is_true(json_object_get(c->args, "query-nodes"))) {
        for (struct block_node *n = g ? node_next(g, NULL) : NULL; n; n = node_next(g, n)) {
            json_array_append_new(c->ret, node_stats(n));
        }
        return true;
    }
    for (struct block *b = g ? block_next(g, NULL) : NULL; b; b = block_next(g, b)) {
        struct block_stats s = block_get_stats(b);
        struct block_node *n = block_node_of(b);
        json_t *o = n ? node_stats(n) : json_object();
        set(o, "device", json_string(block_id(b)));
        set_qdev(o, block_device_of(b));
        set(o, "stats", stats_json(&s));
        json_array_append_new(c->ret, o);
    }
    return true;
}

bool qmp_query_named_block_nodes(struct qmp_call *c)
{
    struct block_graph *g = c->machine->blocks;
    bool flat = json_is_true(json_object_get(c->args, "flat"));

    c->ret = json_array();
    for (struct block_node *n = g ? node_next(g, NULL) : NULL; n; n = node_next(g, n)) {
        json_array_append_new(c->ret, device_info(n, block_of_node(g, n), !flat));
    }
    return true;
}
