/* Network back ends: what a network card of the guest is plugged into. Back ends are made by -netdev and
 * -nic (host/net_*.c); one card is connected to each. With the machine lock held; frames for the guest
 * come from the main loop. A frame is an Ethernet frame without its check sequence. */
#ifndef HOST_NET_H
#define HOST_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

struct mainloop;
struct netdev;

struct net_card { /* the guest's side */
    void *opaque;
    /* Takes a frame; false: no room now, netdev_ready() will be called. */
    bool (*receive)(void *opaque, const uint8_t *frame, size_t len);
    /* No more frames come for now: a card that gathers them shows what it has. May be NULL. */
    void (*batch_end)(void *opaque);
};

/* One text list of the user back end; strings are borrowed. */
enum { NET_USER_MAX_FORWARDS = 32 };
struct net_user_options {
    const char *net, *host, *dhcpstart, *dns, *hostname, *domainname, *tftp, *bootfile;
    const char *hostfwd[NET_USER_MAX_FORWARDS], *guestfwd[NET_USER_MAX_FORWARDS];
    unsigned nhostfwd, nguestfwd;
    bool restricted, no_ipv4, no_ipv6;
};

/* NAT through sockets of this process, with DHCP, DNS and TFTP (libslirp). An error when the program
 * was built without it. */
struct netdev *net_user_create(struct mainloop *loop, const char *id,
                               const struct net_user_options *o, struct error *err);
void netdev_destroy(struct netdev *nd);
const char *netdev_id(const struct netdev *nd);
/* card is copied. */
bool netdev_connect(struct netdev *nd, const struct net_card *card, struct error *err);
/* A frame from the guest. One of TCP may be larger than the MTU (up to 64 KiB), if its headers and
 * checksums are those of one large packet and netdev_takes_large() says so. */
void netdev_send(struct netdev *nd, const uint8_t *frame, size_t len);
bool netdev_takes_large(const struct netdev *nd);
/* The card has room again: what waits is delivered. */
void netdev_ready(struct netdev *nd);
/* Calls fn soon from the main loop: for cards that do not want to keep a vcpu waiting. */
void netdev_defer(struct netdev *nd, void (*fn)(void *opaque), void *opaque);
/* Text of the state of its connections, to be freed; NULL: there is nothing to tell. */
char *netdev_describe(struct netdev *nd);

/* ---- for back ends ---- */
struct netdev_ops {
    void (*send)(struct netdev *nd, const uint8_t *frame, size_t len);
    void (*destroy)(struct netdev *nd);
    char *(*describe)(struct netdev *nd); /* may be NULL */
    bool takes_large;
};
struct net_frame {
    struct net_frame *next;
    size_t len;
    uint8_t data[];
};
struct netdev { /* first in the back end's struct */
    const struct netdev_ops *ops;
    struct mainloop *loop;
    char *id;
    struct net_card card;
    struct net_frame *first, **tail; /* waiting for the card */
    unsigned waiting;
    unsigned batch; /* depth of netdev_batch_begin */
};
void netdev_init(struct netdev *nd, const struct netdev_ops *ops, struct mainloop *loop,
                 const char *id);
/* A frame for the guest: delivered, kept while the card has no room, or dropped when too many wait. */
void netdev_deliver(struct netdev *nd, const uint8_t *frame, size_t len);
/* Frames delivered between the two come together. */
void netdev_batch_begin(struct netdev *nd);
void netdev_batch_end(struct netdev *nd);

#endif
