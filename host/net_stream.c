/* -netdev stream, and socket with listen=, connect= or fd=: Ethernet frames over a stream socket,
 * each after its length (four bytes, most significant first), as all emulators of the kind speak
 * it. A server serves one peer at a time. */
#include "host/be.h"
#include "host/mainloop.h"
#include "host/net.h"
#include "host/socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FRAME = 65536 + 256, HEADER = 4 };

struct net_peer {
    struct netdev nd; /* must be first */
    struct socket_address address;
    int listener; /* -1: a client */
    struct iowatch *watch;
    struct stream *stream;
    struct deadline *again;
    uint8_t in[HEADER + MAX_FRAME];
    size_t have;
};

static void listen_again(struct net_peer *p, bool on);
static void connect_later(struct net_peer *p);

static void drop_peer(struct net_peer *p)
{
    stream_destroy(p->stream);
    p->stream = NULL;
    p->have = 0;
    listen_again(p, true);
    connect_later(p);
}

/* Delivers whole frames of what has come; false: the peer does not speak our language. */
static bool take_frames(struct net_peer *p)
{
    size_t at = 0;

    while (p->have - at >= HEADER) {
        const uint8_t *h = p->in + at;
        uint32_t n = be_get32(h);
        if (n > MAX_FRAME) {
            return false;
        }
        if (p->have - at < HEADER + n) {
            break;
        }
        netdev_deliver(&p->nd, h + HEADER, n);
        at += HEADER + n;
    }
    memmove(p->in, p->in + at, p->have - at);
    p->have -= at;
    return true;
}

static void receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct net_peer *p = opaque;
    bool ok = true;

    netdev_batch_begin(&p->nd);
    while (ok && len) {
        size_t n = sizeof(p->in) - p->have;
        n = len < n ? len : n;
        memcpy(p->in + p->have, buf, n);
        p->have += n;
        buf += n;
        len -= n;
        ok = take_frames(p);
    }
    netdev_batch_end(&p->nd);
    if (!ok) {
        drop_peer(p);
    }
}

static void closed(void *opaque)
{
    drop_peer(opaque);
}

static const struct stream_ops ops = {NULL, receive, closed};

static void accept_peer(void *opaque, short revents)
{
    struct net_peer *p = opaque;
    int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);

    (void)revents;
    if (fd >= 0) {
        listen_again(p, false);
        p->stream = stream_create(p->nd.loop, fd, &ops, p);
    }
}

static void listen_again(struct net_peer *p, bool on)
{
    if (on && !p->watch && p->listener >= 0) {
        p->watch = mainloop_watch(p->nd.loop, p->listener, POLLIN, accept_peer, p);
    } else if (!on && p->watch) {
        iowatch_remove(p->watch);
        p->watch = NULL;
    }
}

static void connect_now(void *opaque)
{
    struct net_peer *p = opaque;
    struct error err;
    int fd = socket_open(&p->address, &err);

    p->again = NULL;
    if (fd >= 0) {
        p->stream = stream_create(p->nd.loop, fd, &ops, p);
    } else {
        connect_later(p);
    }
}

static void connect_later(struct net_peer *p)
{
    if (p->address.reconnect_ms && !p->again) {
        p->again = mainloop_after(p->nd.loop, p->address.reconnect_ms, connect_now, p);
    }
}

static void stream_send(struct netdev *nd, const uint8_t *frame, size_t len)
{
    struct net_peer *p = (struct net_peer *)nd;
    uint8_t h[HEADER];

    if (p->stream && len <= MAX_FRAME) {
        be_put32(h, (uint32_t)len);
        stream_write(p->stream, h, sizeof(h));
        stream_write(p->stream, frame, len);
    }
}

static void peer_destroy(struct netdev *nd)
{
    struct net_peer *p = (struct net_peer *)nd;

    listen_again(p, false);
    deadline_remove(p->again);
    stream_destroy(p->stream);
    if (p->listener >= 0) {
        socket_close_listener(&p->address, p->listener);
    }
    free(p);
}

static char *peer_describe(struct netdev *nd)
{
    struct net_peer *p = (struct net_peer *)nd;
    char text[400], where[320];

    socket_describe(&p->address, p->listener, where, sizeof(where));
    snprintf(text, sizeof(text), "  %s, %s\n", where, p->stream ? "connected" : "not connected");
    return strdup(text);
}

static const struct netdev_ops stream_net_ops = {
    .kind = "stream", .send = stream_send, .destroy = peer_destroy, .describe = peer_describe};

static struct netdev *open_peer(const struct net_request *r, const char *spec, struct error *err)
{
    struct net_peer *p = calloc(1, sizeof(*p));

    if (!p) {
        abort();
    }
    p->listener = -1;
    if (!socket_parse(&p->address, spec, err)) {
        free(p);
        return NULL;
    }
    p->address.wait = false;
    int fd = socket_open(&p->address, err);
    if (fd < 0 && !p->address.reconnect_ms) {
        free(p);
        return NULL;
    }
    netdev_init(&p->nd, &stream_net_ops, r->loop, r->id);
    if (fd < 0) {
        connect_later(p);
    } else if (p->address.server) {
        p->listener = fd;
        listen_again(p, true);
    } else {
        p->stream = stream_create(r->loop, fd, &ops, p);
    }
    return &p->nd;
}

static const char *value(const struct net_request *r, const char *key)
{
    const char *v = r->get(r->opaque, key);

    return v ? v : "";
}

static struct netdev *stream_create_netdev(const struct net_request *r, struct error *err)
{
    const char *type = value(r, "addr.type"), *server = value(r, "server");
    char spec[512];
    bool on = !strcmp(server, "on") || !strcmp(server, "true");
    int n;

    if (!strcmp(type, "unix")) {
        n = snprintf(spec, sizeof(spec), "unix:%s", value(r, "addr.path"));
    } else if (!strcmp(type, "fd")) {
        n = snprintf(spec, sizeof(spec), "fd:%s", value(r, "addr.str"));
    } else if (!strcmp(type, "inet")) {
        n = snprintf(spec, sizeof(spec), "tcp:%s:%s", value(r, "addr.host"), value(r, "addr.port"));
    } else {
        error_set(err, "addr.type=%s is none of inet, unix and fd", type);
        return NULL;
    }
    snprintf(spec + n, sizeof(spec) - (size_t)n, ",server=%s", on ? "on" : "off");
    n = (int)strlen(spec);
    if (*value(r, "reconnect-ms") || *value(r, "reconnect")) {
        bool ms = *value(r, "reconnect-ms");
        snprintf(spec + n, sizeof(spec) - (size_t)n, ",%s=%s", ms ? "reconnect-ms" : "reconnect",
                 value(r, ms ? "reconnect-ms" : "reconnect"));
    }
    return open_peer(r, spec, err);
}

static struct netdev *socket_create_netdev(const struct net_request *r, struct error *err)
{
    const char *listen = r->get(r->opaque, "listen"), *connect = r->get(r->opaque, "connect");
    const char *fd = r->get(r->opaque, "fd"), *mcast = r->get(r->opaque, "mcast"),
               *udp = r->get(r->opaque, "udp");
    char spec[512];

    if (!!listen + !!connect + !!fd + !!mcast + !!udp != 1) {
        error_set(err, "one of listen=, connect=, mcast=, udp= and fd= is needed");
        return NULL;
    }
    if (mcast || udp) {
        return net_dgram.create(r, err);
    }
    snprintf(spec, sizeof(spec),
             fd       ? "fd:%s"
             : listen ? "tcp:%s,server=on"
                      : "tcp:%s",
             fd       ? fd
             : listen ? listen
                      : connect);
    if (listen && listen[0] == ':') { /* all of the host's addresses */
        snprintf(spec, sizeof(spec), "tcp:0.0.0.0%s,server=on", listen);
    }
    return open_peer(r, spec, err);
}

static const char *const stream_keys[] = {"server",    "addr.type",    "addr.host",
                                          "addr.port", "addr.path",    "addr.str",
                                          "reconnect", "reconnect-ms", NULL};
static const char *const socket_keys[] = {"listen",    "connect", "mcast", "udp",
                                          "localaddr", "fd",      NULL};

const struct net_backend net_stream = {"stream",
                                       "server=on|off,addr.type=inet|unix|fd,addr.host=,addr.port=,"
                                       "addr.path=,addr.str=[,reconnect-ms=N]",
                                       stream_keys, stream_create_netdev};
const struct net_backend net_socket = {"socket",
                                       "listen=[HOST]:PORT | connect=HOST:PORT | mcast=GROUP:PORT "
                                       "| udp=HOST:PORT,localaddr=HOST:PORT | fd=N",
                                       socket_keys, socket_create_netdev};
