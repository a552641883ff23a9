/* Back ends as the monitors see them: finding them, media and trays, limits, events. */
#include "host/block_internal.h"
#include "host/mainloop.h"
#include "softmmu/machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block *block_next(struct block_graph *g, struct block *b)
{
    return b ? b->next : g->blocks;
}

struct block *block_find(struct block_graph *g, const char *id)
{
    for (struct block *b = g->blocks; b; b = b->next) {
        if (b->id && !strcmp(b->id, id)) {
            return b;
        }
    }
    return NULL;
}

struct block *block_find_device(struct block_graph *g, const char *path)
{
    for (struct block *b = g->blocks; b; b = b->next) {
        const char *id = b->device.id, *last = id ? strrchr(id, '/') : NULL;
        if (b->attached && id && (!strcmp(id, path) || (last && !strcmp(last + 1, path)))) {
            return b;
        }
    }
    return NULL;
}

struct block *block_of_node(struct block_graph *g, const struct block_node *n)
{
    for (struct block *b = g->blocks; b; b = b->next) {
        if (b->node == n) {
            return b;
        }
    }
    return NULL;
}

struct block_node *block_node_of(const struct block *b)
{
    return b->node;
}

const struct block_device *block_device_of(const struct block *b)
{
    return b->attached ? &b->device : NULL;
}

bool block_locked(const struct block *b)
{
    return b->attached && b->device.locked && b->device.locked(b->device.opaque);
}

static const char *shown(const struct block *b)
{
    return *block_id(b) ? block_id(b) : b->device.id ? b->device.id : "";
}

static bool check_removable(const struct block *b, struct error *err)
{
    return (b->attached && b->device.removable) ||
           error_set(err, "Device '%s' is not removable", shown(b));
}

bool block_open_tray(struct block *b, bool force, struct error *err)
{
    if (!check_removable(b, err)) {
        return false;
    }
    if (b->tray_open) {
        return true;
    }
    if (block_locked(b)) {
        if (b->device.eject_request) {
            b->device.eject_request(b->device.opaque);
        }
        if (!force) {
            return error_set(err,
                             "Device '%s' is locked and force was not specified, wait for tray to "
                             "open and try again",
                             shown(b));
        }
    }
    block_drain(b);
    block_set_tray(b, true);
    if (b->device.medium) {
        b->device.medium(b->device.opaque, false);
    }
    return true;
}

void block_close_tray(struct block *b)
{
    if (b->tray_open) {
        block_set_tray(b, false);
        if (b->node && b->device.medium) {
            b->device.medium(b->device.opaque, true);
        }
    }
}

bool block_remove_medium(struct block *b, struct error *err)
{
    if (!check_removable(b, err)) {
        return false;
    }
    if (!b->tray_open) {
        return error_set(err, "Tray of device '%s' is not open", shown(b));
    }
    block_drain(b);
    block_flush(b);
    node_unref(b->node);
    b->node = NULL;
    return true;
}

bool block_insert_medium(struct block *b, struct block_node *node, struct error *err)
{
    if (!check_removable(b, err)) {
        return false;
    }
    if (!b->tray_open) {
        return error_set(err, "Tray of device '%s' is not open", shown(b));
    }
    if (b->node) {
        return error_set(err, "There already is a medium in device '%s'", shown(b));
    }
    node_ref(node);
    b->node = node;
    return true;
}

void block_set_root(struct block *b, struct block_node *node)
{
    block_drain(b);
    node_ref(node);
    node_unref(b->node);
    b->node = node;
}

void block_resized(struct block *b)
{
    if (b->attached && b->device.resized) {
        b->device.resized(b->device.opaque);
    }
}

void block_get_throttle(const struct block *b, struct block_throttle *t)
{
    *t = b->throttle.config;
}

void block_set_throttle(struct block *b, const struct block_throttle *t)
{
    block_drain(b);
    throttle_config(&b->throttle, t, clock_now(mainloop_machine(b->graph->loop)->clock));
}

enum block_on_error block_on_error(const struct block *b, bool write)
{
    return write ? b->werror : b->rerror;
}

bool block_iostatus_ok(const struct block *b, bool *nospace)
{
    *nospace = b->nospace;
    return !b->failed;
}

struct corrupt {
    struct block_graph *graph;
    char node[NODE_NAME_MAX + 1];
    char text[256];
};

static void tell_corrupt(void *opaque)
{
    struct corrupt *c = opaque;
    struct block_event_data e = {
        .event = BLOCK_EVENT_CORRUPTED, .node = node_find(c->graph, c->node), .text = c->text};

    if (c->graph->event && e.node) {
        c->graph->event(c->graph->event_opaque, &e);
    }
    free(c);
}

void node_report_corrupt(struct block_node *n, const char *fmt, ...)
{
    struct corrupt *c = calloc(1, sizeof(*c));
    va_list ap;

    if (!c) {
        abort();
    }
    c->graph = n->graph;
    snprintf(c->node, sizeof(c->node), "%s", n->name);
    va_start(ap, fmt);
    vsnprintf(c->text, sizeof(c->text), fmt, ap);
    va_end(ap);
    fprintf(stderr, "dragoman: image '%s' is damaged: %s\n", n->filename, c->text);
    if (n->graph->loop) {
        mainloop_defer(n->graph->loop, tell_corrupt, c);
    } else {
        free(c);
    }
}
