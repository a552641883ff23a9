/* -netdev dgram, and socket with mcast= or udp=: one datagram a frame, over UDP, a multicast group
 * or Unix sockets. What does not leave at once is lost, as on a wire. */
#include "host/mainloop.h"
#include "host/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_FRAME = 65536, BATCH = 64 };

struct net_dgram_peer {
    struct netdev nd; /* must be first */
    int fd;
    struct iowatch *watch;
    struct sockaddr_storage to;
    socklen_t to_len; /* 0: the socket is connected */
    char path[108];   /* to be removed at the end; "": none */
    uint8_t in[MAX_FRAME];
};

static void readable(void *opaque, short revents)
{
    struct net_dgram_peer *p = opaque;
    ssize_t n;

    (void)revents;
    netdev_batch_begin(&p->nd);
    for (unsigned i = 0; i < BATCH && (n = recv(p->fd, p->in, sizeof(p->in), MSG_DONTWAIT)) > 0;
         i++) {
        netdev_deliver(&p->nd, p->in, (size_t)n);
    }
    netdev_batch_end(&p->nd);
}

static void dgram_send(struct netdev *nd, const uint8_t *frame, size_t len)
{
    struct net_dgram_peer *p = (struct net_dgram_peer *)nd;

    if (sendto(p->fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL, p->to_len ? (void *)&p->to : NULL,
               p->to_len) < 0) {
        return; /* lost */
    }
}

static void dgram_destroy(struct netdev *nd)
{
    struct net_dgram_peer *p = (struct net_dgram_peer *)nd;

    iowatch_remove(p->watch);
    if (p->fd >= 0) {
        close(p->fd);
    }
    if (*p->path) {
        unlink(p->path);
    }
    free(p);
}

static const struct netdev_ops dgram_ops = {
    .kind = "dgram", .send = dgram_send, .destroy = dgram_destroy};

static bool resolve(const char *host, const char *port, struct sockaddr_storage *sa, socklen_t *len,
                    struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_family = AF_INET}, *list;
    int e = getaddrinfo(*host ? host : "0.0.0.0", port, &hints, &list);

    if (e) {
        return error_set(err, "%s:%s: %s", host, port, gai_strerror(e));
    }
    memcpy(sa, list->ai_addr, list->ai_addrlen);
    *len = list->ai_addrlen;
    freeaddrinfo(list);
    return true;
}

/* "HOST:PORT" of socket's properties. */
static bool resolve_pair(const char *text, struct sockaddr_storage *sa, socklen_t *len,
                         struct error *err)
{
    const char *colon = strrchr(text, ':');
    char host[256];

    if (!colon || !colon[1] || (size_t)(colon - text) >= sizeof(host)) {
        return error_set(err, "'%s' is not HOST:PORT", text);
    }
    snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    return resolve(host, colon + 1, sa, len, err);
}

static bool join_group(int fd, const struct sockaddr_in *group, const char *local,
                       struct error *err)
{
    struct ip_mreq m = {.imr_multiaddr = group->sin_addr,
                        .imr_interface.s_addr = htonl(INADDR_ANY)};
    int on = 1;

    if (local && inet_pton(AF_INET, local, &m.imr_interface) != 1) {
        return error_set(err, "localaddr=%s is not an address", local);
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        bind(fd, (const void *)group, sizeof(*group)) ||
        setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)) ||
        setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &on, sizeof(on)) ||
        (local &&
         setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &m.imr_interface, sizeof(m.imr_interface)))) {
        return error_set(err, "multicast group: %s", strerror(errno));
    }
    return true;
}

static const char *value(const struct net_request *r, const char *key)
{
    const char *v = r->get(r->opaque, key);

    return v ? v : "";
}

/* The address of remote.* or local.*; len 0: not given. */
static bool get_address(const struct net_request *r, const char *side, struct sockaddr_storage *sa,
                        socklen_t *len, struct error *err)
{
    char key[4][24];
    static const char *const part[4] = {"type", "host", "port", "path"};

    for (int i = 0; i < 4; i++) {
        snprintf(key[i], sizeof(key[i]), "%s.%s", side, part[i]);
    }
    const char *type = value(r, key[0]);
    *len = 0;
    if (!*type) {
        return true;
    }
    if (!strcmp(type, "inet")) {
        return resolve(value(r, key[1]), value(r, key[2]), sa, len, err);
    }
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (strcmp(type, "unix") || strlen(value(r, key[3])) >= sizeof(un.sun_path) ||
        !*value(r, key[3])) {
        return error_set(err, "%s=%s is none of inet, unix (with %s) and, for local, fd", key[0],
                         type, key[3]);
    }
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", value(r, key[3]));
    memcpy(sa, &un, sizeof(un));
    *len = sizeof(un);
    return true;
}

static bool is_multicast(const struct sockaddr_storage *sa)
{
    return sa->ss_family == AF_INET &&
           IN_MULTICAST(ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr));
}

static bool open_addresses(struct net_dgram_peer *p, const struct sockaddr_storage *local,
                           socklen_t local_len, const char *multicast_local, struct error *err)
{
    bool group = is_multicast(&p->to);

    p->fd = socket(p->to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0) {
        return error_set(err, "socket: %s", strerror(errno));
    }
    if (group) {
        return join_group(p->fd, (void *)&p->to, multicast_local, err);
    }
    if (!local_len) {
        return error_set(err, "the local address is missing");
    }
    if (local->ss_family == AF_UNIX) {
        snprintf(p->path, sizeof(p->path), "%s", ((const struct sockaddr_un *)local)->sun_path);
        unlink(p->path); /* of an earlier run */
    }
    return bind(p->fd, (const void *)local, local_len) == 0 ||
           error_set(err, "the local address: %s", strerror(errno));
}

static bool open_dgram(struct net_dgram_peer *p, const struct net_request *r, struct error *err)
{
    const char *mcast = r->get(r->opaque, "mcast"), *udp = r->get(r->opaque, "udp");
    const char *localaddr = r->get(r->opaque, "localaddr");
    struct sockaddr_storage local = {0};
    socklen_t local_len = 0;
    char *end;

    if (!strcmp(value(r, "local.type"), "fd")) {
        const char *text = value(r, "local.str");
        long fd = strtol(text, &end, 10);
        if (end == text || *end || fcntl((int)fd, F_GETFD) < 0) {
            return error_set(err, "local.str=%s is not an open file descriptor", text);
        }
        p->fd = (int)fd;
        return true;
    }
    if (mcast || udp) {
        if (!resolve_pair(mcast ? mcast : udp, &p->to, &p->to_len, err) ||
            (udp && localaddr && !resolve_pair(localaddr, &local, &local_len, err))) {
            return false;
        }
        if (mcast && !is_multicast(&p->to)) {
            return error_set(err, "mcast=%s is not a group's address", mcast);
        }
        return open_addresses(p, &local, local_len, mcast ? localaddr : NULL, err);
    }
    if (!get_address(r, "remote", &p->to, &p->to_len, err) ||
        !get_address(r, "local", &local, &local_len, err)) {
        return false;
    }
    if (!p->to_len) {
        return error_set(err, "remote.type= is missing");
    }
    return open_addresses(p, &local, local_len,
                          *value(r, "local.host") ? value(r, "local.host") : NULL, err);
}

static struct netdev *dgram_create(const struct net_request *r, struct error *err)
{
    struct net_dgram_peer *p = calloc(1, sizeof(*p));

    if (!p) {
        abort();
    }
    p->fd = -1;
    netdev_init(&p->nd, &dgram_ops, r->loop, r->id);
    if (!open_dgram(p, r, err)) {
        netdev_destroy(&p->nd);
        return NULL;
    }
    p->watch = mainloop_watch(r->loop, p->fd, POLLIN, readable, p);
    return &p->nd;
}

static const char *const dgram_keys[] = {"remote.type", "remote.host", "remote.port", "remote.path",
                                         "local.type",  "local.host",  "local.port",  "local.path",
                                         "local.str",   NULL};
const struct net_backend net_dgram = {"dgram",
                                      "remote.type=inet|unix,remote.host=,remote.port=,remote.path="
                                      ",local.type=inet|unix|fd,local.host=,...",
                                      dgram_keys, dgram_create};
