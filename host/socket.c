/* Stream sockets: addresses, listening, connections. Left out: TLS, abstract Unix sockets. */
#include "host/socket.h"
#include "host/mainloop.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 16, MAX_PENDING = 64 << 20 };

bool socket_is_spec(const char *spec)
{
    return !strncmp(spec, "unix:", 5) || !strncmp(spec, "tcp:", 4) ||
           !strncmp(spec, "telnet:", 7) || !strncmp(spec, "fd:", 3);
}

static bool flag(struct socket_address *a, const char *item, struct error *err)
{
    enum {
        SERVER = offsetof(struct socket_address, server),
        WAIT = offsetof(struct socket_address, wait),
        TELNET = offsetof(struct socket_address, telnet)
    };
    static const struct {
        const char *text;
        size_t field;
        bool value;
    } words[] = {
        {"server", SERVER, true},     {"server=on", SERVER, true},   {"server=off", SERVER, false},
        {"wait", WAIT, true},         {"wait=on", WAIT, true},       {"wait=off", WAIT, false},
        {"nowait", WAIT, false},      {"server=yes", SERVER, true},  {"server=no", SERVER, false},
        {"wait=yes", WAIT, true},     {"wait=no", WAIT, false},      {"telnet", TELNET, true},
        {"telnet=on", TELNET, true},  {"telnet=off", TELNET, false}, {"telnet=yes", TELNET, true},
        {"telnet=no", TELNET, false},
    };
    unsigned seconds, end = 0;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!strcmp(words[i].text, item)) {
            *(bool *)((char *)a + words[i].field) = words[i].value;
            return true;
        }
    }
    if ((sscanf(item, "reconnect=%5u%n", &seconds, (int *)&end) == 1 && end && !item[end]) ||
        (sscanf(item, "reconnect-ms=%8u%n", &a->reconnect_ms, (int *)&end) == 1 && end &&
         !item[end])) {
        a->reconnect_ms = item[9] == '=' ? seconds * 1000 : a->reconnect_ms;
        return true;
    }
    if (!strcmp(item, "nodelay") || !strcmp(item, "nodelay=on") || !strcmp(item, "nodelay=off")) {
        return true; /* small packets are sent at once in any case */
    }
    return error_set(err,
                     "unknown socket option '%s' (known: server, wait, telnet, reconnect, "
                     "reconnect-ms, nodelay)",
                     item);
}

static bool parse_tcp(struct socket_address *a, const char *text, struct error *err)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    char *end;

    if (!colon || n >= sizeof(a->host) || !colon[1]) {
        return error_set(err, "tcp:%s is not tcp:HOST:PORT", text);
    }
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        text++; /* an IPv6 address */
        n -= 2;
    }
    memcpy(a->host, text, n);
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (*end || port > 65535) {
        return error_set(err, "'%s' is not a port number", colon + 1);
    }
    snprintf(a->port, sizeof(a->port), "%lu", port);
    return true;
}

static bool parse_target(struct socket_address *a, const char *text, struct error *err)
{
    char *end;

    if (!strncmp(text, "unix:", 5)) {
        a->kind = SOCKET_UNIX;
        if (!text[5] || strlen(text + 5) >= sizeof(a->path)) {
            return error_set(err,
                             text[5] ? "'%s' is too long for a socket" : "%s: the path is missing",
                             text[5] ? text + 5 : text);
        }
        strcpy(a->path, text + 5);
        return true;
    }
    if (!strncmp(text, "tcp:", 4) || !strncmp(text, "telnet:", 7)) {
        a->kind = SOCKET_TCP;
        a->telnet = text[1] == 'e';
        return parse_tcp(a, text + (a->telnet ? 7 : 4), err);
    }
    if (!strncmp(text, "fd:", 3)) {
        a->kind = SOCKET_FD;
        long fd = strtol(text + 3, &end, 10);
        a->fd = (int)fd;
        return (!*end && end != text + 3 && fd >= 0 && fd < 1 << 20 &&
                fcntl((int)fd, F_GETFD) >= 0) ||
               error_set(err, "'%s' is not an open file descriptor", text + 3);
    }
    return error_set(err, "'%s' is not a socket (unix:PATH, tcp:HOST:PORT or fd:N)", text);
}

bool socket_parse(struct socket_address *a, const char *spec, struct error *err)
{
    char *copy = malloc(strlen(spec) + 1), *out = copy;
    bool first = true, ok = true;

    if (!copy) {
        abort();
    }
    memset(a, 0, sizeof(*a));
    a->wait = true;
    while (ok && (first || *spec)) {
        out = copy;
        while (*spec && !(*spec == ',' && spec[1] != ',')) {
            spec += *spec == ',';
            *out++ = *spec++;
        }
        *out = 0;
        spec += *spec == ',';
        ok = first ? parse_target(a, copy, err) : flag(a, copy, err);
        first = false;
    }
    free(copy);
    if (ok && a->server && a->reconnect_ms) {
        return error_set(err, "reconnect is for a client's side, not for server=on");
    }
    return ok;
}

static int open_unix(const struct socket_address *a, struct error *err)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stat st;

    memcpy(sa.sun_path, a->path, sizeof(a->path));
    if (a->server && stat(a->path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        unlink(a->path); /* of an earlier run */
    }
    if (fd < 0 || (a->server ? bind(fd, (void *)&sa, sizeof(sa)) || listen(fd, BACKLOG)
                             : connect(fd, (void *)&sa, sizeof(sa)))) {
        error_set(err, "%s '%s': %s", a->server ? "cannot listen on" : "cannot connect to", a->path,
                  strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static int open_tcp(const struct socket_address *a, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = a->server ? AI_PASSIVE : 0},
                    *list;
    const char *host = *a->host ? a->host : "127.0.0.1";
    int e = getaddrinfo(host, a->port, &hints, &list), fd = -1, on = 1, saved = 0;
    struct timeval patience = {a->reconnect_ms ? 1 : 10, 0};

    if (e) {
        error_set(err, "host '%s': %s", host, gai_strerror(e));
        return -1;
    }
    for (struct addrinfo *i = list; i && fd < 0; i = i->ai_next) {
        fd = socket(i->ai_family, i->ai_socktype | SOCK_CLOEXEC, i->ai_protocol);
        if (fd < 0) {
            saved = errno;
            continue;
        }
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)); /* of connect() */
        if (a->server ? bind(fd, i->ai_addr, i->ai_addrlen) || listen(fd, BACKLOG)
                      : connect(fd, i->ai_addr, i->ai_addrlen)) {
            saved = errno;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    if (fd < 0) {
        error_set(err, "%s %s:%s: %s", a->server ? "cannot listen on" : "cannot connect to", host,
                  a->port, strerror(saved));
    }
    return fd;
}

int socket_open(const struct socket_address *a, struct error *err)
{
    int fd = a->kind == SOCKET_UNIX  ? open_unix(a, err)
             : a->kind == SOCKET_TCP ? open_tcp(a, err)
                                     : a->fd;

    if (fd >= 0) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
    return fd;
}

void socket_close_listener(const struct socket_address *a, int fd)
{
    close(fd);
    if (a->kind == SOCKET_UNIX) {
        unlink(a->path);
    }
}

bool socket_wait_client(const struct socket_address *a, int fd, struct error *err)
{
    struct pollfd p = {fd, POLLIN, 0};
    char text[320];

    if (!a->server || !a->wait) {
        return true;
    }
    socket_describe(a, fd, text, sizeof(text));
    fprintf(stderr, "dragoman: waiting for a client on %s (wait=off does not wait)\n", text);
    while (poll(&p, 1, -1) < 0) {
        if (errno != EINTR) {
            return error_set(err, "waiting for a client: %s", strerror(errno));
        }
    }
    return true;
}

void socket_describe(const struct socket_address *a, int fd, char *text, size_t size)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    char host[64], port[16];

    if (a->kind == SOCKET_UNIX) {
        snprintf(text, size, "unix:%s", a->path);
    } else if (a->kind == SOCKET_FD) {
        snprintf(text, size, "fd:%d", a->fd);
    } else if (getsockname(fd, (void *)&sa, &len) == 0 &&
               getnameinfo((void *)&sa, len, host, sizeof(host), port, sizeof(port),
                           NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        snprintf(text, size, "tcp:%s:%s", host, port);
    } else {
        snprintf(text, size, "tcp:%s:%s", a->host, a->port);
    }
}

/* ---- one connection ---- */

struct stream {
    struct mainloop *loop;
    const struct stream_ops *ops;
    void *opaque;
    int fd;
    struct iowatch *in, *out;
    uint8_t *pending;
    size_t npending;
    unsigned busy; /* callbacks that are on the stack */
    bool closed, destroyed;
};

static void readable(void *opaque, short revents);

static void watch_in(struct stream *s, bool on)
{
    if (on && !s->in && !s->closed) {
        s->in = mainloop_watch(s->loop, s->fd, POLLIN, readable, s);
    } else if (!on && s->in) {
        iowatch_remove(s->in);
        s->in = NULL;
    }
}

static void hang_up(struct stream *s)
{
    if (s->closed) {
        return;
    }
    s->closed = true;
    watch_in(s, false);
    iowatch_remove(s->out);
    s->out = NULL;
    free(s->pending);
    s->pending = NULL;
    s->npending = 0;
    shutdown(s->fd, SHUT_RDWR);
}

static void finish(struct stream *s)
{
    close(s->fd);
    free(s);
}

static void tell_closed(struct stream *s)
{
    s->busy++;
    s->ops->closed(s->opaque);
    if (!--s->busy && s->destroyed) {
        finish(s);
    }
}

static void writable(void *opaque, short revents)
{
    struct stream *s = opaque;
    ssize_t n = send(s->fd, s->pending, s->npending, MSG_NOSIGNAL);

    (void)revents;
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        hang_up(s);
        tell_closed(s);
        return;
    }
    if (n > 0) {
        s->npending -= (size_t)n;
        memmove(s->pending, s->pending + n, s->npending);
    }
    if (!s->npending) {
        iowatch_remove(s->out);
        s->out = NULL;
    }
}

void stream_write(struct stream *s, const void *buf, size_t len)
{
    const uint8_t *p = buf;

    if (s->closed) {
        return;
    }
    while (len && !s->npending) {
        ssize_t n = send(s->fd, p, len, MSG_NOSIGNAL);
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && errno == EAGAIN) {
            break;
        } else {
            return; /* the reading side will see it, and say so */
        }
    }
    if (!len) {
        return;
    }
    uint8_t *more =
        s->npending + len <= MAX_PENDING ? realloc(s->pending, s->npending + len) : NULL;
    if (!more) {
        /* Nobody reads: end the connection, which wakes the reader's side. */
        shutdown(s->fd, SHUT_RDWR);
        return;
    }
    memcpy(more + s->npending, p, len);
    s->pending = more;
    s->npending += len;
    if (!s->out) {
        s->out = mainloop_watch(s->loop, s->fd, POLLOUT, writable, s);
    }
}

static void readable(void *opaque, short revents)
{
    struct stream *s = opaque;
    uint8_t buf[4096];
    size_t room = s->ops->room ? s->ops->room(s->opaque) : sizeof(buf);

    (void)revents;
    if (!room) {
        watch_in(s, false);
        return;
    }
    ssize_t n = recv(s->fd, buf, room < sizeof(buf) ? room : sizeof(buf), 0);
    if (n > 0) {
        s->busy++;
        s->ops->receive(s->opaque, buf, (size_t)n);
        if (!--s->busy && s->destroyed) {
            finish(s);
        }
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        hang_up(s);
        tell_closed(s);
    }
}

void stream_resume(struct stream *s)
{
    watch_in(s, true);
}

struct stream *stream_create(struct mainloop *loop, int fd, const struct stream_ops *ops,
                             void *opaque)
{
    struct stream *s = calloc(1, sizeof(*s));

    if (!s) {
        abort();
    }
    *s = (struct stream){.loop = loop, .ops = ops, .opaque = opaque, .fd = fd};
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    watch_in(s, true);
    return s;
}

void stream_destroy(struct stream *s)
{
    if (!s) {
        return;
    }
    hang_up(s);
    s->destroyed = true;
    if (!s->busy) {
        finish(s);
    }
}
