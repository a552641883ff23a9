/* User networking: the guest's network behind NAT, through sockets of this process (libslirp).
 *
 * The guest is 10.0.2.15 by DHCP, we are its router and the host's loopback as 10.0.2.2, its DNS
 * server as 10.0.2.3. libslirp is called with the machine lock held: from its source in the main
 * loop's poll, and when the guest sends. Left out: SMB. */
#include "config.h"
#include "host/net.h"

#include "host/chardev.h"
#include "host/log.h"
#include "host/mainloop.h"
#include "softmmu/machine.h"

#include <stdlib.h>
#include <string.h>

#ifndef HAVE_SLIRP

struct netdev *net_user_create(struct mainloop *loop, const char *id,
                               const struct net_user_options *o, struct error *err)
{
    (void)loop;
    (void)id;
    (void)o;
    error_set(err, "user networking is not in this build (libslirp was not found by configure)");
    return NULL;
}

bool net_user_add_hostfwd(struct netdev *nd, const char *text, struct error *err)
{
    (void)nd;
    return error_set(err, "%s: user networking is not in this build", text);
}

bool net_user_remove_hostfwd(struct netdev *nd, const char *text, struct error *err)
{
    return net_user_add_hostfwd(nd, text, err);
}

#else

#include <arpa/inet.h>
#include <glib.h>
#include <libslirp.h>
#include <stdio.h>

enum { MAX_FDS = 1024, PORT_MAX = 65535 };

struct poll_slot {
    int fd;
    GIOCondition events;
    gpointer tag;
};

struct guest_channel;

struct net_user {
    struct netdev nd; /* must be first */
    struct machine *machine;
    Slirp *slirp;
    struct guest_channel *channels;
    GSource *source;
    struct poll_slot slot[MAX_FDS]; /* what the main loop polls */
    unsigned nslots;
    struct poll_slot want[MAX_FDS]; /* what libslirp wants polled */
    unsigned nwant;
};

struct user_source {
    GSource source;
    struct net_user *user;
};

/* ---- called by libslirp ---- */

static ssize_t send_packet(const void *buf, size_t len, void *opaque)
{
    struct net_user *u = opaque;

    netdev_deliver(&u->nd, buf, len);
    return (ssize_t)len;
}

static void guest_error(const char *msg, void *opaque)
{
    struct net_user *u = opaque;

    log_at(u->machine->log, LOG_GUEST_ERROR, "user network: %s\n", msg);
}

static int64_t clock_get_ns(void *opaque)
{
    struct net_user *u = opaque;

    return clock_now(u->machine->clock);
}

static void *timer_new_for_slirp(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
    struct net_user *u = opaque;
    struct timer *t = calloc(1, sizeof(*t));

    if (!t) {
        abort();
    }
    timer_init(t, u->machine->clock, cb, cb_opaque);
    return t;
}

static void timer_free_for_slirp(void *timer, void *opaque)
{
    (void)opaque;
    timer_cancel(timer);
    free(timer);
}

static void timer_mod_for_slirp(void *timer, int64_t expire_ms, void *opaque)
{
    (void)opaque;
    timer_set(timer, expire_ms * INT64_C(1000000));
}

static void ignore_fd(int fd, void *opaque)
{
    (void)fd;
    (void)opaque; /* what is to be polled is asked for each time */
}

static void notify(void *opaque)
{
    struct net_user *u = opaque;

    if (u->machine->wake_main) {
        u->machine->wake_main(u->machine->wake_opaque);
    }
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_error,
    .clock_get_ns = clock_get_ns,
    .timer_new = timer_new_for_slirp,
    .timer_free = timer_free_for_slirp,
    .timer_mod = timer_mod_for_slirp,
    .register_poll_fd = ignore_fd,
    .unregister_poll_fd = ignore_fd,
    .notify = notify,
};

/* ---- in the main loop ---- */

static const struct {
    int slirp;
    GIOCondition glib;
} event_bits[] = {
    {SLIRP_POLL_IN, G_IO_IN},   {SLIRP_POLL_OUT, G_IO_OUT}, {SLIRP_POLL_PRI, G_IO_PRI},
    {SLIRP_POLL_ERR, G_IO_ERR}, {SLIRP_POLL_HUP, G_IO_HUP},
};
enum { NEVENTS = sizeof(event_bits) / sizeof(event_bits[0]) };

static int add_poll(int fd, int events, void *opaque)
{
    struct net_user *u = opaque;
    GIOCondition g = 0;

    if (u->nwant == MAX_FDS) {
        return -1;
    }
    for (unsigned i = 0; i < NEVENTS; i++) {
        g |= events & event_bits[i].slirp ? event_bits[i].glib : 0;
    }
    u->want[u->nwant] = (struct poll_slot){fd, g, NULL};
    return (int)u->nwant++;
}

static int get_revents(int idx, void *opaque)
{
    struct net_user *u = opaque;
    int events = 0;

    if (idx < 0 || (unsigned)idx >= u->nslots) {
        return 0;
    }
    GIOCondition g = g_source_query_unix_fd(u->source, u->slot[idx].tag);
    for (unsigned i = 0; i < NEVENTS; i++) {
        events |= g & event_bits[i].glib ? event_bits[i].slirp : 0;
    }
    return events;
}

/* Makes the main loop poll what is wanted; the places in the list stay what libslirp was told. */
static void follow_wishes(struct net_user *u)
{
    for (unsigned i = 0; i < u->nwant; i++) {
        struct poll_slot *s = &u->slot[i];
        const struct poll_slot *w = &u->want[i];
        if (i < u->nslots && s->fd == w->fd && s->events == w->events) {
            continue;
        }
        if (i < u->nslots) {
            g_source_remove_unix_fd(u->source, s->tag);
        }
        *s = *w;
        s->tag = g_source_add_unix_fd(u->source, s->fd, s->events);
    }
    for (unsigned i = u->nwant; i < u->nslots; i++) {
        g_source_remove_unix_fd(u->source, u->slot[i].tag);
    }
    u->nslots = u->nwant;
}

static gboolean source_prepare(GSource *source, gint *timeout)
{
    struct net_user *u = ((struct user_source *)source)->user;
    uint32_t ms = UINT32_MAX;

    machine_lock(u->machine);
    u->nwant = 0;
    if (u->machine->state == RUN_RUNNING) { /* a stopped machine gets nothing */
        slirp_pollfds_fill(u->slirp, &ms, add_poll, u);
    }
    machine_unlock(u->machine);
    follow_wishes(u);
    *timeout = ms > INT32_MAX ? -1 : (gint)ms;
    return FALSE;
}

static gboolean source_check(GSource *source)
{
    (void)source;
    return TRUE; /* its timers may be due */
}

static void wake_channels(struct net_user *u);

static gboolean source_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    struct net_user *u = ((struct user_source *)source)->user;

    (void)callback;
    (void)data;
    machine_lock(u->machine);
    if (u->machine->state == RUN_RUNNING) {
        netdev_batch_begin(&u->nd);
        slirp_pollfds_poll(u->slirp, 0, get_revents, u);
        netdev_batch_end(&u->nd);
        wake_channels(u);
    }
    machine_unlock(u->machine);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {source_prepare, source_check, source_dispatch,
                                    NULL,           NULL,         NULL};

/* ---- the back end ---- */

static void user_send(struct netdev *nd, const uint8_t *frame, size_t len)
{
    netdev_batch_begin(nd);
    slirp_input(((struct net_user *)nd)->slirp, frame, (int)len);
    netdev_batch_end(nd);
}

static void free_channels(struct net_user *u);

static void user_destroy(struct netdev *nd)
{
    struct net_user *u = (struct net_user *)nd;

    if (u->source) {
        g_source_destroy(u->source);
        g_source_unref(u->source);
    }
    if (u->slirp) {
        slirp_cleanup(u->slirp);
    }
    free_channels(u);
    free(u);
}

static char *user_describe(struct netdev *nd)
{
    char *text = slirp_connection_info(((struct net_user *)nd)->slirp), *copy = strdup(text);

    g_free(text);
    return copy;
}

static const struct netdev_ops user_ops = {
    .kind = "user",
    .send = user_send,
    .destroy = user_destroy,
    .describe = user_describe,
    .takes_large = true, /* a packet is what its IP header says, up to 64 KiB */
};

/* ---- options ---- */

/* "10.0.2.0/24"; the default mask is 24 bits. */
static bool parse_net(const char *text, SlirpConfig *c, struct error *err)
{
    char addr[32];
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    unsigned long bits = 24;
    char *end = NULL;

    if (slash) {
        bits = strtoul(slash + 1, &end, 10);
    }
    memcpy(addr, text, n < sizeof(addr) ? n : 0);
    addr[n < sizeof(addr) ? n : 0] = 0;
    if (inet_pton(AF_INET, addr, &c->vnetwork) != 1 || bits < 8 || bits > 30 ||
        (slash && (*end || end == slash + 1))) {
        return error_set(err, "net=%s is not a network (like 10.0.2.0/24)", text);
    }
    c->vnetmask.s_addr = htonl(UINT32_MAX << (32 - bits));
    c->vnetwork.s_addr &= c->vnetmask.s_addr;
    return true;
}

static bool parse_member(const char *key, const char *text, unsigned def, const SlirpConfig *c,
                         struct in_addr *out, struct error *err)
{
    out->s_addr = c->vnetwork.s_addr | htonl(def);
    if (!text) {
        return true;
    }
    if (inet_pton(AF_INET, text, out) != 1) {
        return error_set(err, "%s=%s is not an address", key, text);
    }
    if ((out->s_addr & c->vnetmask.s_addr) != c->vnetwork.s_addr) {
        return error_set(err, "%s=%s is not in the guest's network", key, text);
    }
    return true;
}

/* Cuts text before the first of `stop`; false: there is none, or the piece is too long. */
static bool cut(const char **text, char stop, char *piece, size_t size)
{
    const char *end = strchr(*text, stop);

    if (!end || (size_t)(end - *text) >= size) {
        return false;
    }
    memcpy(piece, *text, (size_t)(end - *text));
    piece[end - *text] = 0;
    *text = end + 1;
    return true;
}

/* "PORT" or "FIRST-LAST" at *text, which is moved past it. */
static bool parse_ports(const char **text, int *first, int *last)
{
    char *end;

    for (int i = 0; i < 2; i++) {
        unsigned long n = strtoul(*text, &end, 10);
        if (**text < '0' || **text > '9' || n < 1 || n > PORT_MAX) {
            return false;
        }
        *(i ? last : first) = *last = (int)n;
        *text = end;
        /* A second number that a dash or the end follows is the range's; else it is an address. */
        size_t digits = *end == '-' ? strspn(end + 1, "0123456789") : 0;
        if (i || !digits || (end[1 + digits] && end[1 + digits] != '-')) {
            break;
        }
        *text = end + 1;
    }
    return *last >= *first;
}

static bool parse_port(const char *text, int *port)
{
    int last;

    return parse_ports(&text, port, &last) && !*text && last == *port;
}

static bool parse_address(const char *text, struct in_addr def, struct in_addr *out)
{
    *out = def;
    return !*text || inet_pton(AF_INET, text, out) == 1;
}

struct forward {
    bool udp;
    struct in_addr from, to;
    int hport, hlast, gport;
};

/* [tcp|udp]:[hostaddr]:hostports[-[guestaddr]:guestports] */
static bool parse_forward(const char *text, bool with_guest, struct forward *f, struct error *err)
{
    char proto[8] = "", host[64], guest[64];
    const char *t = text;
    struct in_addr any = {.s_addr = htonl(INADDR_ANY)}, none = {0};
    int glast = 0;
    bool ok = cut(&t, ':', proto, sizeof(proto)) && cut(&t, ':', host, sizeof(host)) &&
              (!strcmp(proto, "tcp") || !strcmp(proto, "udp") || !*proto) &&
              parse_address(host, any, &f->from) && parse_ports(&t, &f->hport, &f->hlast);

    f->udp = !strcmp(proto, "udp");
    if (ok && with_guest) {
        ok = *t++ == '-' && cut(&t, ':', guest, sizeof(guest)) &&
             parse_address(guest, none, &f->to) && parse_ports(&t, &f->gport, &glast);
        if (ok && !*t && glast - f->gport != f->hlast - f->hport) {
            return error_set(err, "hostfwd=%s: the two ranges of ports are of different lengths",
                             text);
        }
    }
    return (ok && !*t) || error_set(err, "hostfwd=%s is not [tcp|udp]:[host address]:port%s", text,
                                    with_guest ? "-[guest address]:port" : "");
}

static bool add_hostfwd(struct net_user *u, const char *text, struct error *err)
{
    struct forward f;

    if (!parse_forward(text, true, &f, err)) {
        return false;
    }
    for (int i = 0; i <= f.hlast - f.hport; i++) {
        if (slirp_add_hostfwd(u->slirp, f.udp, f.from, f.hport + i, f.to, f.gport + i) < 0) {
            while (i--) {
                slirp_remove_hostfwd(u->slirp, f.udp, f.from, f.hport + i);
            }
            return error_set(err, "hostfwd=%s: the port cannot be listened on", text);
        }
    }
    return true;
}

bool net_user_add_hostfwd(struct netdev *nd, const char *text, struct error *err)
{
    return nd->ops == &user_ops ? add_hostfwd((struct net_user *)nd, text, err)
                                : error_set(err, "network '%s' is not of the kind 'user'", nd->id);
}

bool net_user_remove_hostfwd(struct netdev *nd, const char *text, struct error *err)
{
    struct forward f;

    if (nd->ops != &user_ops) {
        return error_set(err, "network '%s' is not of the kind 'user'", nd->id);
    }
    if (!parse_forward(text, false, &f, err)) {
        return false;
    }
    bool found = true;
    for (int port = f.hport; port <= f.hlast; port++) {
        found &= slirp_remove_hostfwd(((struct net_user *)nd)->slirp, f.udp, f.from, port) == 0;
    }
    return found || error_set(err, "hostfwd=%s: there is no such forward", text);
}

/* ---- guestfwd to a chardev ---- */

struct guest_channel {
    struct guest_channel *next;
    struct net_user *user;
    struct chardev *chardev;
    struct in_addr addr;
    int port;
};

static size_t channel_room(void *opaque)
{
    struct guest_channel *c = opaque;

    return slirp_socket_can_recv(c->user->slirp, c->addr, c->port);
}

static void channel_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct guest_channel *c = opaque;

    netdev_batch_begin(&c->user->nd);
    slirp_socket_recv(c->user->slirp, c->addr, c->port, buf, (int)len);
    netdev_batch_end(&c->user->nd);
}

/* The guest may have made room, or come at all. */
static void wake_channels(struct net_user *u)
{
    for (struct guest_channel *c = u->channels; c; c = c->next) {
        chardev_accept_input(c->chardev);
    }
}

static void free_channels(struct net_user *u)
{
    while (u->channels) {
        struct guest_channel *c = u->channels;
        u->channels = c->next;
        chardev_disconnect(c->chardev, c);
        free(c);
    }
}

static ssize_t channel_write(const void *buf, size_t len, void *opaque)
{
    struct guest_channel *c = opaque;

    chardev_write(c->chardev, buf, len);
    return (ssize_t)len;
}

static bool add_channel(struct net_user *u, struct chardev *chardev, struct in_addr to, int port,
                        struct error *err)
{
    struct guest_channel *c = calloc(1, sizeof(*c));

    if (!c) {
        abort();
    }
    *c = (struct guest_channel){u->channels, u, chardev, to, port};
    u->channels = c;
    if (slirp_add_guestfwd(u->slirp, channel_write, c, &to, port) < 0) {
        return error_set(err, "the address is in use or outside of the network");
    }
    return chardev_connect(chardev,
                           &(struct chardev_frontend){c, channel_room, channel_receive, NULL}, err);
}

/* tcp:guestaddr:port-cmd:command or -chardev:id */
static bool add_guestfwd(struct net_user *u, const char *text, struct chardev *chardev,
                         struct error *err)
{
    char proto[8], guest[64], port_text[16];
    const char *t = text;
    struct in_addr to;
    int port;

    if (!cut(&t, ':', proto, sizeof(proto)) || !cut(&t, ':', guest, sizeof(guest)) ||
        !cut(&t, '-', port_text, sizeof(port_text)) || (strcmp(proto, "tcp") && *proto) ||
        inet_pton(AF_INET, guest, &to) != 1 || !parse_port(port_text, &port) ||
        (!chardev && strncmp(t, "cmd:", 4))) {
        return error_set(err, "guestfwd=%s is not tcp:address:port-cmd:command or -chardev:ID",
                         text);
    }
    if (chardev) {
        return add_channel(u, chardev, to, port, err) || error_prefix(err, "guestfwd=%s", text);
    }
    if (slirp_add_exec(u->slirp, t + 4, &to, port) < 0) {
        return error_set(err, "guestfwd=%s: the address is in use or outside of the network", text);
    }
    return true;
}

static bool parse_ipv6(const struct net_user_options *o, SlirpConfig *c, struct error *err)
{
    const char *prefix = o->ipv6_prefix ? o->ipv6_prefix : "fec0::", *bits = o->ipv6_prefixlen;
    struct {
        const char *key, *text;
        struct in6_addr *out;
        uint8_t def;
    } members[] = {{"ipv6-host", o->ipv6_host, &c->vhost6, 2},
                   {"ipv6-dns", o->ipv6_dns, &c->vnameserver6, 3}};

    if (inet_pton(AF_INET6, prefix, &c->vprefix_addr6) != 1) {
        return error_set(err, "ipv6-prefix=%s is not an address", prefix);
    }
    if (bits && (sscanf(bits, "%hhu", &c->vprefix_len) != 1 || c->vprefix_len < 8 ||
                 c->vprefix_len > 126)) {
        return error_set(err, "ipv6-prefixlen=%s is not from 8 to 126", bits);
    }
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        *members[i].out = c->vprefix_addr6;
        members[i].out->s6_addr[15] |= members[i].def;
        if (members[i].text && inet_pton(AF_INET6, members[i].text, members[i].out) != 1) {
            return error_set(err, "%s=%s is not an address", members[i].key, members[i].text);
        }
    }
    return true;
}

static bool configure(const struct net_user_options *o, SlirpConfig *c, struct error *err)
{
    c->version = 1;
    c->restricted = o->restricted;
    c->in_enabled = !o->no_ipv4;
    c->in6_enabled = !o->no_ipv6;
    c->vhostname = o->hostname;
    c->vdomainname = o->domainname;
    c->tftp_path = o->tftp;
    c->bootfile = o->bootfile;
    c->vprefix_len = 64;
    c->vdnssearch = o->dnssearch[0] ? (const char **)(uintptr_t)o->dnssearch : NULL;
    c->tftp_server_name = o->tftp_server_name;
    return parse_ipv6(o, c, err) && parse_net(o->net ? o->net : "10.0.2.0/24", c, err) &&
           parse_member("host", o->host, 2, c, &c->vhost, err) &&
           parse_member("dns", o->dns, 3, c, &c->vnameserver, err) &&
           parse_member("dhcpstart", o->dhcpstart, 15, c, &c->vdhcp_start, err);
}

static bool start(struct net_user *u, const struct net_user_options *o, struct error *err)
{
    SlirpConfig config = {0};

    if (o->no_ipv4 && o->no_ipv6) {
        return error_set(err, "ipv4=off and ipv6=off leave nothing");
    }
    if (!configure(o, &config, err)) {
        return false;
    }
    u->slirp = slirp_new(&config, &callbacks, u);
    if (!u->slirp) {
        return error_set(err, "libslirp does not start with these options");
    }
    for (unsigned i = 0; i < o->nhostfwd; i++) {
        if (!add_hostfwd(u, o->hostfwd[i], err)) {
            return false;
        }
    }
    for (unsigned i = 0; i < o->nguestfwd; i++) {
        if (!add_guestfwd(u, o->guestfwd[i], o->guestfwd_chardev[i], err)) {
            return false;
        }
    }
    u->source = g_source_new(&source_funcs, sizeof(struct user_source));
    ((struct user_source *)u->source)->user = u;
    /* Else GLib takes its files out of the poll while it is dispatched, and wakes the loop for
     * that: it is dispatched at every turn, so the loop would never sleep. */
    g_source_set_can_recurse(u->source, TRUE);
    g_source_attach(u->source, NULL); /* the main loop's */
    return true;
}

struct netdev *net_user_create(struct mainloop *loop, const char *id,
                               const struct net_user_options *o, struct error *err)
{
    struct net_user *u = calloc(1, sizeof(*u));

    if (!u) {
        abort();
    }
    netdev_init(&u->nd, &user_ops, loop, id);
    u->machine = mainloop_machine(loop);
    if (!start(u, o, err)) {
        netdev_destroy(&u->nd);
        return NULL;
    }
    return &u->nd;
}

#endif
