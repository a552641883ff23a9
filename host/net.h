/* Network back ends: what a network card of the guest is plugged into. Back ends are made by
 * -netdev and -nic (host/net_*.c); one card is connected to each. With the machine lock held;
 * frames for the guest come from the main loop. A frame is an Ethernet frame without its check
 * sequence. */
#ifndef HOST_NET_H
#define HOST_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

struct mainloop;
struct chardev;
struct netdev;
struct net_request;
struct net_dump;

struct net_card { /* the guest's side */
    void *opaque;
    /* Takes a frame; false: no room now, netdev_ready() will be called. */
    bool (*receive)(void *opaque, const uint8_t *frame, size_t len);
    /* No more frames come for now: a card that gathers them shows what it has. May be NULL. */
    void (*batch_end)(void *opaque);
    void (*link_changed)(void *opaque); /* netdev_link_up() says how; may be NULL */
};

/* One text list of the user back end; strings are borrowed. */
enum { NET_USER_MAX_FORWARDS = 32, NET_USER_MAX_SEARCH = 8 };
struct net_user_options {
    const char *net, *host, *dhcpstart, *dns, *hostname, *domainname, *tftp, *bootfile;
    const char *ipv6_prefix, *ipv6_prefixlen, *ipv6_host, *ipv6_dns, *tftp_server_name;
    const char *dnssearch[NET_USER_MAX_SEARCH + 1]; /* ended by NULL */
    const char *hostfwd[NET_USER_MAX_FORWARDS], *guestfwd[NET_USER_MAX_FORWARDS];
    struct chardev *guestfwd_chardev[NET_USER_MAX_FORWARDS]; /* of "-chardev:ID"; NULL: a command */
    unsigned nhostfwd, nguestfwd;
    bool restricted, no_ipv4, no_ipv6;
};

/* NAT through sockets of this process, with DHCP, DNS and TFTP (libslirp). An error when the
 * program was built without it. */
struct netdev *net_user_create(struct mainloop *loop, const char *id,
                               const struct net_user_options *o, struct error *err);
/* Forwards while it runs: [tcp|udp]:[host address]:port-[guest address]:port, where both ports may
 * be ranges (2000-2010); without the guest's part to remove. An error when nd is of another kind.
 */
bool net_user_add_hostfwd(struct netdev *nd, const char *text, struct error *err);
bool net_user_remove_hostfwd(struct netdev *nd, const char *text, struct error *err);
/* All other back ends of this list (host/net_*.c): name is the kind, get(opaque, key) a property's
 * text or NULL. */
struct net_backend {
    const char *name, *help;
    const char *const *keys; /* its properties, ended by NULL */
    struct netdev *(*create)(const struct net_request *r, struct error *err);
};
struct net_hub;
struct net_request {
    struct mainloop *loop;
    const char *id;
    const char *(*get)(void *opaque, const char *key);
    void *opaque;
    struct netdev *peer;   /* hubport: the back end behind it, or NULL */
    struct net_hub **hubs; /* the machine's */
};
extern const struct net_backend net_socket, net_stream, net_dgram, net_tap, net_hubport;

/* A writer of packet captures (pcap) of everything that nd sends and delivers; with an id, from
 * -object. At most maxlen bytes of a frame are kept. */
struct net_dump *net_dump_create(struct netdev *nd, const char *id, const char *file,
                                 unsigned maxlen, struct error *err);
void netdev_destroy(struct netdev *nd);
const char *netdev_id(const struct netdev *nd);
/* card is copied. */
bool netdev_connect(struct netdev *nd, const struct net_card *card, struct error *err);
/* A frame from the guest. One of TCP may be larger than the MTU (up to 64 KiB), if its headers and
 * checksums are those of one large packet and netdev_takes_large() says so. */
void netdev_send(struct netdev *nd, const uint8_t *frame, size_t len);
bool netdev_takes_large(const struct netdev *nd);
/* Down: nothing goes through either way. */
void netdev_set_link(struct netdev *nd, bool up);
bool netdev_link_up(const struct netdev *nd);
/* The card's side is unplugged (its device, or the hub's port, goes). */
void netdev_disconnect(struct netdev *nd);
bool netdev_connected(const struct netdev *nd);
const char *netdev_kind(const struct netdev *nd); /* "user", "tap", ... */
/* The card has room again: what waits is delivered. */
void netdev_ready(struct netdev *nd);
/* Calls fn soon from the main loop: for cards that do not want to keep a vcpu waiting. */
void netdev_defer(struct netdev *nd, void (*fn)(void *opaque), void *opaque);
/* Text of the state of its connections, to be freed; NULL: there is nothing to tell. */
char *netdev_describe(struct netdev *nd);

/* ---- for back ends ---- */
struct netdev_ops {
    const char *kind;
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
    bool link_down;
    struct net_dump *dumps;
};
void netdev_init(struct netdev *nd, const struct netdev_ops *ops, struct mainloop *loop,
                 const char *id);
/* A frame for the guest: delivered, kept while the card has no room, or dropped when too many wait.
 */
void netdev_deliver(struct netdev *nd, const uint8_t *frame, size_t len);
/* Of net_dump.c, for net.c. */
void net_dump_frame(struct net_dump *first, const uint8_t *frame, size_t len);
void net_dump_destroy_all(struct net_dump *first);
/* Frames delivered between the two come together. */
void netdev_batch_begin(struct netdev *nd);
void netdev_batch_end(struct netdev *nd);

#endif
