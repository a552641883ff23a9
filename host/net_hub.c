/* -netdev hubport: ports of a hub. A frame that comes in by one port goes out by all others. With
 * netdev=N the port is plugged into that back end, without it waits for a card. */
#include "host/net.h"

#include <stdlib.h>
#include <string.h>

struct net_hub {
    struct net_hub *next;
    int id;
    struct hubport *ports;
};

struct hubport {
    struct netdev nd; /* must be first */
    struct net_hub *hub, **hubs;
    struct hubport *next;
    struct netdev *peer; /* NULL: a card is on the other side */
};

static void flood(struct hubport *from, const uint8_t *frame, size_t len)
{
    for (struct hubport *p = from->hub->ports; p; p = p->next) {
        if (p == from) {
            continue;
        }
        if (p->peer) {
            netdev_send(p->peer, frame, len);
        } else {
            netdev_deliver(&p->nd, frame, len);
        }
    }
}

static void hub_send(struct netdev *nd, const uint8_t *frame, size_t len)
{
    flood((struct hubport *)nd, frame, len);
}

static bool from_peer(void *opaque, const uint8_t *frame, size_t len)
{
    flood(opaque, frame, len);
    return true;
}

static void hub_destroy(struct netdev *nd)
{
    struct hubport *p = (struct hubport *)nd, **at = &p->hub->ports;

    while (*at != p) {
        at = &(*at)->next;
    }
    *at = p->next;
    if (p->peer) {
        netdev_disconnect(p->peer);
    }
    if (!p->hub->ports) {
        struct net_hub **h = p->hubs;
        while (*h != p->hub) {
            h = &(*h)->next;
        }
        *h = p->hub->next;
        free(p->hub);
    }
    free(p);
}

static const struct netdev_ops hub_ops = {
    .kind = "hubport", .send = hub_send, .destroy = hub_destroy};

static struct net_hub *find_hub(struct net_hub **hubs, int id)
{
    for (struct net_hub *h = *hubs; h; h = h->next) {
        if (h->id == id) {
            return h;
        }
    }
    struct net_hub *h = calloc(1, sizeof(*h));
    if (!h) {
        abort();
    }
    h->id = id;
    h->next = *hubs;
    *hubs = h;
    return h;
}

static struct netdev *hub_create(const struct net_request *r, struct error *err)
{
    const char *text = r->get(r->opaque, "hubid");
    char *end = NULL;
    long id = text ? strtol(text, &end, 10) : -1;

    if (!text || end == text || *end || id < 0 || id > 65535) {
        error_set(err, "hubid=%s is not a number from 0 to 65535", text ? text : "");
        return NULL;
    }
    struct hubport *p = calloc(1, sizeof(*p));
    if (!p) {
        abort();
    }
    if (r->peer &&
        !netdev_connect(r->peer, &(struct net_card){.opaque = p, .receive = from_peer}, err)) {
        free(p);
        return NULL;
    }
    netdev_init(&p->nd, &hub_ops, r->loop, r->id);
    p->peer = r->peer;
    p->hubs = r->hubs;
    p->hub = find_hub(r->hubs, (int)id);
    p->next = p->hub->ports;
    p->hub->ports = p;
    return &p->nd;
}

static const char *const hub_keys[] = {"hubid", "netdev", NULL};
const struct net_backend net_hubport = {"hubport", "hubid=N[,netdev=ID]", hub_keys, hub_create};
