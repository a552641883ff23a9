/* What all network back ends share: the connection to a card, and frames that wait for it. */
#include "host/net.h"

#include "host/mainloop.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_WAITING = 4096 };

void netdev_init(struct netdev *nd, const struct netdev_ops *ops, struct mainloop *loop,
                 const char *id)
{
    nd->ops = ops;
    nd->loop = loop;
    nd->id = strdup(id);
    nd->tail = &nd->first;
}

static void drop_first(struct netdev *nd)
{
    struct net_frame *f = nd->first;

    nd->first = f->next;
    if (!nd->first) {
        nd->tail = &nd->first;
    }
    nd->waiting--;
    free(f);
}

void netdev_destroy(struct netdev *nd)
{
    if (!nd) {
        return;
    }
    while (nd->first) {
        drop_first(nd);
    }
    free(nd->id);
    net_dump_destroy_all(nd->dumps);
    memset(&nd->card, 0, sizeof(nd->card));
    nd->ops->destroy(nd);
}

const char *netdev_id(const struct netdev *nd)
{
    return nd->id;
}

bool netdev_connect(struct netdev *nd, const struct net_card *card, struct error *err)
{
    if (nd->card.receive) {
        return error_set(err, "network '%s' is connected to another card already", nd->id);
    }
    nd->card = *card;
    return true;
}

void netdev_send(struct netdev *nd, const uint8_t *frame, size_t len)
{
    if (nd->link_down) {
        return;
    }
    if (nd->dumps) {
        net_dump_frame(nd->dumps, frame, len);
    }
    nd->ops->send(nd, frame, len);
}

void netdev_set_link(struct netdev *nd, bool up)
{
    if (nd->link_down != up) {
        return;
    }
    nd->link_down = !up;
    if (nd->card.link_changed) {
        nd->card.link_changed(nd->card.opaque);
    }
    if (up && nd->card.receive) {
        netdev_ready(nd);
    }
}

bool netdev_link_up(const struct netdev *nd)
{
    return !nd->link_down;
}

void netdev_disconnect(struct netdev *nd)
{
    memset(&nd->card, 0, sizeof(nd->card));
    while (nd->first) {
        drop_first(nd);
    }
}

bool netdev_connected(const struct netdev *nd)
{
    return nd->card.receive != NULL;
}

const char *netdev_kind(const struct netdev *nd)
{
    return nd->ops->kind ? nd->ops->kind : "";
}

bool netdev_takes_large(const struct netdev *nd)
{
    return nd->ops->takes_large;
}

void netdev_batch_begin(struct netdev *nd)
{
    nd->batch++;
}

void netdev_batch_end(struct netdev *nd)
{
    nd->batch--;
    if (!nd->batch && nd->card.batch_end) {
        nd->card.batch_end(nd->card.opaque);
    }
}

void netdev_deliver(struct netdev *nd, const uint8_t *frame, size_t len)
{
    if (nd->link_down) {
        return;
    }
    if (nd->dumps) {
        net_dump_frame(nd->dumps, frame, len);
    }
    if (!nd->card.receive) {
        return;
    }
    if (!nd->first) {
        netdev_batch_begin(nd);
        bool taken = nd->card.receive(nd->card.opaque, frame, len);
        netdev_batch_end(nd);
        if (taken) {
            return;
        }
    }
    if (nd->waiting >= MAX_WAITING) {
        return;
    }
    struct net_frame *f = malloc(sizeof(*f) + len);
    if (!f) {
        abort();
    }
    f->next = NULL;
    f->len = len;
    memcpy(f->data, frame, len);
    *nd->tail = f;
    nd->tail = &f->next;
    nd->waiting++;
}

void netdev_ready(struct netdev *nd)
{
    netdev_batch_begin(nd);
    while (nd->first && !nd->link_down &&
           nd->card.receive(nd->card.opaque, nd->first->data, nd->first->len)) {
        drop_first(nd);
    }
    netdev_batch_end(nd);
}

void netdev_defer(struct netdev *nd, void (*fn)(void *opaque), void *opaque)
{
    mainloop_defer(nd->loop, fn, opaque);
}

char *netdev_describe(struct netdev *nd)
{
    return nd->ops->describe ? nd->ops->describe(nd) : NULL;
}
