/* Where the debugger connects: a TCP port (of the loopback interface unless a host is named: the
 * stub gives away everything, without a password), a Unix socket, or standard input and output. One
 * debugger at a time; another one is told so and shown out.
 *
 * Left out: -gdb with a pseudo terminal or another character device. */
#include "control/gdb_server.h"
#include "control/gdb_session.h"
#include "control/options.h"
#include "host/mainloop.h"
#include "softmmu/debug.h"
#include "softmmu/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_LISTEN = 4, MAX_REFUSED = 4, MAX_PENDING = 16 << 20 };

struct refused {
    int fd; /* -1: none */
    bool told;
    struct iowatch *watch;
};

struct gdb_server {
    struct machine *machine;
    struct mainloop *loop;
    int listen_fd[MAX_LISTEN];
    struct iowatch *listen_watch[MAX_LISTEN];
    unsigned nlisten;
    char *path; /* of the Unix socket, to be removed */
    unsigned arch;
    bool kernel;

    int fd, out_fd; /* of the debugger; -1: none */
    bool stdio;
    struct iowatch *in, *out;
    struct gdb_buf pending; /* not written yet */
    struct gdb_session *session;

    struct refused refused[MAX_REFUSED];
    unsigned next_refused;
};

/* ---- the debugger's connection ---- */

static void drop(struct gdb_server *g)
{
    if (g->fd < 0) {
        return;
    }
    bool detached = g->session->detached;
    iowatch_remove(g->in);
    iowatch_remove(g->out);
    g->in = g->out = NULL;
    if (!g->stdio) {
        close(g->fd);
    }
    g->fd = g->out_fd = -1;
    gdb_session_end(g->session);
    free(g->session);
    g->session = NULL;
    gdb_buf_free(&g->pending);
    if (detached) {
        machine_request(g->machine, REQUEST_CONT, "%s", "the debugger detached");
    } else if (g->stdio) {
        machine_exit(g->machine, 0); /* nobody can come back */
    }
}

/* Writes what it can; false: the connection is gone. */
static bool flush(struct gdb_server *g)
{
    while (g->pending.len) {
        ssize_t n = write(g->out_fd, g->pending.data, g->pending.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK;
        }
        memmove(g->pending.data, g->pending.data + n, g->pending.len - (size_t)n);
        g->pending.len -= (size_t)n;
    }
    return true;
}

static void writable(void *opaque, short revents)
{
    struct gdb_server *g = opaque;

    (void)revents;
    if (!flush(g) || !g->pending.len) {
        iowatch_remove(g->out);
        g->out = NULL;
    }
}

static void session_write(void *opaque, const uint8_t *data, size_t len)
{
    struct gdb_server *g = opaque;

    if (g->pending.len + len > MAX_PENDING) {
        return; /* it does not read; it will find the packet missing and ask again */
    }
    gdb_put(&g->pending, data, len);
    if (flush(g) && g->pending.len && !g->out) {
        g->out = mainloop_watch(g->loop, g->out_fd, POLLOUT, writable, g);
    }
}

static void readable(void *opaque, short revents)
{
    struct gdb_server *g = opaque;
    uint8_t buf[16384];

    (void)revents;
    ssize_t n = read(g->fd, buf, sizeof(buf));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n > 0) {
        gdb_session_receive(g->session, buf, (size_t)n);
    }
    if (n <= 0 || g->session->done) {
        drop(g);
    }
}

static void begin(struct gdb_server *g, int fd, int out_fd)
{
    g->session = calloc(1, sizeof(*g->session));
    if (!g->session) {
        abort();
    }
    gdb_session_init(g->session, g->machine);
    g->session->arch_option = g->arch;
    g->session->expect_64 = g->kernel;
    g->session->write = session_write;
    g->session->opaque = g;
    g->fd = fd;
    g->out_fd = out_fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    g->in = mainloop_watch(g->loop, fd, POLLIN, readable, g);
}

/* One more debugger waits to be told so in answer to its first packet. */
static void close_refused(struct refused *r)
{
    iowatch_remove(r->watch);
    close(r->fd);
    *r = (struct refused){.fd = -1};
}

static void refused_readable(void *opaque, short revents)
{
    static const char text[] = "E.another debugger is connected";
    struct refused *r = opaque;
    struct gdb_buf b = {0};
    char ignored[4096];

    (void)revents;
    ssize_t n = read(r->fd, ignored, sizeof(ignored));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    gdb_put(&b, "+", 1);
    gdb_frame(&b, '$', (const uint8_t *)text, sizeof(text) - 1);
    if (n > 0 && !r->told && write(r->fd, b.data, b.len) == (ssize_t)b.len) {
        r->told = true;
        shutdown(r->fd, SHUT_WR); /* and it closes its side */
    } else {
        close_refused(r);
    }
    gdb_buf_free(&b);
}

static void refuse(struct gdb_server *g, int fd)
{
    struct refused *r = &g->refused[g->next_refused++ % MAX_REFUSED];

    if (r->fd >= 0) {
        close_refused(r);
    }
    r->fd = fd;
    r->told = false;
    r->watch = mainloop_watch(g->loop, fd, POLLIN, refused_readable, r);
}

/* The debugger that we have may have gone, which we were not told yet. */
static void notice_end(struct gdb_server *g)
{
    struct pollfd p = {.fd = g->fd, .events = POLLRDHUP};

    while (g->fd >= 0 && !g->stdio && poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP))) {
        readable(g, POLLIN);
    }
}

static void acceptable(void *opaque, short revents)
{
    struct gdb_server *g = opaque;
    int one = 1;

    (void)revents;
    for (unsigned i = 0; i < g->nlisten; i++) {
        int fd = accept4(g->listen_fd[i], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            continue;
        }
        notice_end(g);
        if (g->fd >= 0) {
            refuse(g, fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* fails on Unix sockets */
        begin(g, fd, fd);
    }
}

/* ---- where ---- */

static bool add_listener(struct gdb_server *g, int fd, const struct sockaddr *addr, socklen_t len)
{
    int one = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, addr, len) || listen(fd, 2)) {
        return false;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    g->listen_fd[g->nlisten] = fd;
    g->listen_watch[g->nlisten++] = mainloop_watch(g->loop, fd, POLLIN, acceptable, g);
    return true;
}

/* [HOST]:PORT */
static bool listen_tcp(struct gdb_server *g, char *where, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *list = NULL;
    char *colon = strrchr(where, ':'), *host = where;

    if (!colon || !colon[1]) {
        return error_set(err, "tcp: needs [HOST]:PORT");
    }
    *colon = 0;
    size_t n = strlen(host);
    if (host[0] == '[' && n > 1 && host[n - 1] == ']') { /* an IPv6 address */
        host[n - 1] = 0;
        host++;
    }
    int r = getaddrinfo(*host ? host : "127.0.0.1", colon + 1, &hints, &list);
    if (r) {
        return error_set(err, "%s port %s: %s", *host ? host : "127.0.0.1", colon + 1,
                         gai_strerror(r));
    }
    int failure = 0;
    for (struct addrinfo *a = list; a && g->nlisten < MAX_LISTEN; a = a->ai_next) {
        int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd < 0 || !add_listener(g, fd, a->ai_addr, a->ai_addrlen)) {
            failure = errno;
            if (fd >= 0) {
                close(fd);
            }
        }
    }
    freeaddrinfo(list);
    return g->nlisten || error_set(err, "%s port %s: %s", *host ? host : "127.0.0.1", colon + 1,
                                   strerror(failure));
}

static bool listen_unix(struct gdb_server *g, const char *path, struct error *err)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct stat st;

    if (!*path || strlen(path) >= sizeof(addr.sun_path)) {
        return error_set(err, "unix: needs a path of 1 to %zu bytes", sizeof(addr.sun_path) - 1);
    }
    strcpy(addr.sun_path, path);
    if (!lstat(path, &st) && S_ISSOCK(st.st_mode)) {
        unlink(path); /* left behind by one that ended in a hurry */
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !add_listener(g, fd, (struct sockaddr *)&addr, sizeof(addr))) {
        int e = errno;
        if (fd >= 0) {
            close(fd);
        }
        return error_set(err, "%s: %s", path, strerror(e));
    }
    g->path = strdup(path);
    return true;
}

static bool spec_pair(void *opaque, const char *key, const char *value, struct error *err)
{
    static const char *const without_effect[] = {"server", "wait", "nowait", "nodelay", "ipv4"};
    struct gdb_server *g = opaque;

    if (!strcmp(key, "where")) {
        char *where = strdup(value ? value : "");
        bool ok;
        if (!strncmp(where, "tcp:", 4)) {
            ok = listen_tcp(g, where + 4, err);
        } else if (!strncmp(where, "unix:", 5)) {
            ok = listen_unix(g, where + 5, err);
        } else if (!strcmp(where, "stdio")) {
            g->stdio = ok = true;
        } else {
            ok = error_set(err, "'%s' is not tcp:[HOST]:PORT, unix:PATH, stdio or none", where);
        }
        free(where);
        return ok;
    }
    if (!strcmp(key, "arch")) {
        for (unsigned i = 0; value && i < GDB_NARCH; i++) {
            if (!strcmp(value, gdb_arch_names[i])) {
                g->arch = i;
                return true;
            }
        }
        return (value && !strcmp(value, "auto")) ||
               error_set(err, "arch=%s is not auto, i8086, i386 or x86-64", value ? value : "");
    }
    for (size_t i = 0; i < sizeof(without_effect) / sizeof(without_effect[0]); i++) {
        if (!strcmp(key, without_effect[i])) {
            return true;
        }
    }
    return error_set(err, "unknown property '%s'", key);
}

struct gdb_server *gdb_server_create(struct machine *m, struct mainloop *loop, const char *spec,
                                     bool kernel, struct error *err)
{
    struct gdb_server *g = calloc(1, sizeof(*g));

    if (!g) {
        abort();
    }
    g->machine = m;
    g->loop = loop;
    g->fd = g->out_fd = -1;
    g->arch = GDB_CHOOSE_AUTO;
    g->kernel = kernel;
    for (unsigned i = 0; i < MAX_REFUSED; i++) {
        g->refused[i].fd = -1;
    }
    if (!opt_foreach(spec, "where", spec_pair, g, err)) {
        gdb_server_destroy(g, 0);
        return NULL;
    }
    if (g->stdio) {
        begin(g, STDIN_FILENO, STDOUT_FILENO);
    }
    return g;
}

void gdb_server_destroy(struct gdb_server *g, int status)
{
    if (!g) {
        return;
    }
    machine_lock(g->machine);
    if (g->fd >= 0) {
        gdb_session_exit(g->session, status);
        drop(g);
    }
    for (unsigned i = 0; i < MAX_REFUSED; i++) {
        if (g->refused[i].fd >= 0) {
            close_refused(&g->refused[i]);
        }
    }
    for (unsigned i = 0; i < g->nlisten; i++) {
        iowatch_remove(g->listen_watch[i]);
        close(g->listen_fd[i]);
    }
    machine_unlock(g->machine);
    if (g->path) {
        unlink(g->path);
        free(g->path);
    }
    free(g);
}
