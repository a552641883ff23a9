/* QMP's commands that change disk images and media, and the events of the block layer. What they
 * ask for is in qmp_block_query.c. */
#include "control/qmp_block.h"
#include "control/setup.h"
#include "host/block.h"
#include "host/block_node.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char *text(struct qmp_call *c, const char *key)
{
    return json_string_value(json_object_get(c->args, key));
}

struct block *qmp_block_find(struct block_graph *g, const char *device, const char *id)
{
    struct block *b = device ? block_find(g, device) : NULL;

    if (!b && id) {
        b = block_find_device(g, id);
        b = b ? b : block_find(g, id);
    }
    return b;
}

/* The back end that `device` or `id` names; NULL: the error is set. */
static struct block *find(struct qmp_call *c)
{
    const char *device = text(c, "device"), *id = text(c, "id");
    struct block *b = c->machine->blocks ? qmp_block_find(c->machine->blocks, device, id) : NULL;

    if (!device && !id) {
        qmp_fail(c, NULL, "Need exactly one of 'device' and 'id'");
    } else if (!b) {
        qmp_fail(c, QMP_NO_DEVICE, "Device '%.200s' not found", id ? id : device);
    }
    return b;
}

static struct block_node *find_node(struct qmp_call *c, const char *key)
{
    const char *name = text(c, key);
    struct block_node *n = c->machine->blocks && name ? node_find(c->machine->blocks, name) : NULL;

    if (!n) {
        qmp_fail(c, NULL, "Cannot find node '%.100s'", name ? name : "");
    }
    return n;
}

bool qmp_blockdev_add(struct qmp_call *c)
{
    if (!c->program || !c->program->blocks) {
        return qmp_fail(c, NULL, "this machine has no block layer");
    }
    return setup_add_node(c->program, c->args, &c->err) != NULL;
}

bool qmp_blockdev_del(struct qmp_call *c)
{
    struct block_node *n = find_node(c, "node-name");
    struct block *b = n ? block_of_node(c->machine->blocks, n) : NULL;

    if (!n) {
        return false;
    }
    if (!n->named) {
        return qmp_fail(c, NULL, "Node '%s' is not owned by the monitor", n->name);
    }
    if (b && !block_device_of(b) && !*block_id(b)) {
        block_close(b); /* made for a device that is gone */
    }
    if (n->refs > 1) {
        return qmp_fail(c, NULL, "Node %s is in use", n->name);
    }
    n->named = false;
    node_unref(n);
    return true;
}

bool qmp_block_resize(struct qmp_call *c)
{
    const char *device = text(c, "device");
    json_int_t size = json_integer_value(json_object_get(c->args, "size"));
    struct block *b = NULL;
    struct block_node *n;

    if (!device == !text(c, "node-name")) {
        return qmp_fail(c, NULL, "Need exactly one of 'device' and 'node-name'");
    }
    if (device) {
        b = c->machine->blocks ? qmp_block_find(c->machine->blocks, device, device) : NULL;
        if (!b || !block_node_of(b)) {
            return qmp_fail(c, QMP_NO_DEVICE, "Device '%.200s' not found", device);
        }
        n = block_node_of(b);
    } else if (!(n = find_node(c, "node-name"))) {
        return false;
    }
    if (size <= 0 || size % 512) {
        return qmp_fail(c, NULL, "Parameter 'size' expects a size that is a multiple of 512");
    }
    b = b ? b : block_of_node(c->machine->blocks, n);
    if (b) {
        block_drain(b);
    }
    if (!node_truncate(n, (uint64_t)size, NULL, &c->err)) {
        return false;
    }
    if (b) {
        block_resized(b);
    }
    return true;
}

bool qmp_open_tray(struct qmp_call *c)
{
    struct block *b = find(c);

    return b && block_open_tray(b, json_is_true(json_object_get(c->args, "force")), &c->err);
}

bool qmp_close_tray(struct qmp_call *c)
{
    struct block *b = find(c);

    if (b) {
        block_close_tray(b);
    }
    return b != NULL;
}

bool qmp_remove_medium(struct qmp_call *c)
{
    struct block *b = find(c);

    return b && block_remove_medium(b, &c->err);
}

bool qmp_insert_medium(struct qmp_call *c)
{
    struct block *b = find(c);
    struct block_node *n = b ? find_node(c, "node-name") : NULL;

    return n && block_insert_medium(b, n, &c->err);
}

bool qmp_eject(struct qmp_call *c)
{
    struct block *b = find(c);

    return b && block_open_tray(b, json_is_true(json_object_get(c->args, "force")), &c->err) &&
           block_remove_medium(b, &c->err);
}

bool qmp_change_medium(struct qmp_call *c)
{
    const char *mode = text(c, "read-only-mode"), *format = text(c, "format");
    struct block *b = find(c);
    struct block_node *old = b ? block_node_of(b) : NULL, *n;
    struct node_flags f = {0};

    if (!b) {
        return false;
    }
    f.readonly = mode && !strcmp(mode, "read-only")    ? true
                 : mode && !strcmp(mode, "read-write") ? false
                                                       : !old || old->flags.readonly;
    n = node_open_file(c->machine->blocks, text(c, "filename"), format, &f, NULL, &c->err);
    if (!n) {
        return false;
    }
    bool ok = block_open_tray(b, json_is_true(json_object_get(c->args, "force")), &c->err) &&
              block_remove_medium(b, &c->err) && block_insert_medium(b, n, &c->err);
    if (ok) {
        block_close_tray(b);
    }
    node_unref(n);
    return ok;
}

static const struct {
    const char *name;
    size_t offset;
} limits[] = {
#define LIMIT(n, f, i)                                                                             \
    {                                                                                              \
        n, offsetof(struct block_throttle, f) + 8 * (i)                                            \
    }
    LIMIT("bps", bps, 0),
    LIMIT("bps_rd", bps, 1),
    LIMIT("bps_wr", bps, 2),
    LIMIT("iops", iops, 0),
    LIMIT("iops_rd", iops, 1),
    LIMIT("iops_wr", iops, 2),
    LIMIT("bps_max", bps_max, 0),
    LIMIT("bps_rd_max", bps_max, 1),
    LIMIT("bps_wr_max", bps_max, 2),
    LIMIT("iops_max", iops_max, 0),
    LIMIT("iops_rd_max", iops_max, 1),
    LIMIT("iops_wr_max", iops_max, 2),
    LIMIT("iops_size", iops_size, 0),
#undef LIMIT
};

bool qmp_set_io_throttle(struct qmp_call *c)
{
    struct block *b = find(c);
    struct block_throttle t = {0};

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        json_int_t v = json_integer_value(json_object_get(c->args, limits[i].name));
        if (v < 0) {
            return qmp_fail(c, NULL, "Parameter '%s' is negative", limits[i].name);
        }
        *(uint64_t *)((char *)&t + limits[i].offset) = (uint64_t)v;
    }
    for (unsigned k = 0; k < 2; k++) {
        const uint64_t *v = k ? t.iops : t.bps;
        if (v[0] && (v[1] || v[2])) {
            return qmp_fail(
                c, NULL,
                "bps/iops/max total values and read/write values cannot be used at the same time");
        }
    }
    if (b) {
        block_set_throttle(b, &t);
    }
    return b != NULL;
}

void qmp_throttle_json(json_t *o, const struct block_throttle *t)
{
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        uint64_t v = *(const uint64_t *)((const char *)t + limits[i].offset);
        if (v || i < 6) { /* the first six are always told */
            json_object_set_new(o, limits[i].name, json_integer((json_int_t)v));
        }
    }
}

/* ---- events ---- */

void qmp_block_event(void *opaque, const struct block_event_data *e)
{
    static const char *const actions[] = {"report", "ignore", "stop", "report"};
    struct program *p = opaque;
    const struct block_device *d = e->block ? block_device_of(e->block) : NULL;
    const char *id = e->block ? block_id(e->block) : "", *path = d ? d->id : "";
    enum block_on_error on = e->block ? block_on_error(e->block, e->write) : BLOCK_ERROR_REPORT;
    json_t *data;

    if (!p->qmp) {
        return;
    }
    switch (e->event) {
    case BLOCK_EVENT_IO_ERROR:
        data = json_pack("{s:s,s:s,s:s,s:s,s:s,s:b}", "qom-path", path, "device", id, "operation",
                         e->write ? "write" : "read", "action", e->stopped ? "stop" : actions[on],
                         "reason", e->text, "nospace", e->error == ENOSPC);
        if (e->node) {
            json_object_set_new(data, "node-name", json_string(e->node->name));
        }
        qmp_emit(p->qmp, "BLOCK_IO_ERROR", data);
        break;
    case BLOCK_EVENT_TRAY_MOVED:
        qmp_emit(p->qmp, "DEVICE_TRAY_MOVED",
                 json_pack("{s:s,s:s,s:b}", "device", id, "id", path, "tray-open", e->tray_open));
        break;
    case BLOCK_EVENT_CORRUPTED:
        qmp_emit(p->qmp, "BLOCK_IMAGE_CORRUPTED",
                 json_pack("{s:s,s:s,s:s,s:b}", "device", id, "node-name", e->node->name, "msg",
                           e->text, "fatal", 1));
        break;
    }
}
