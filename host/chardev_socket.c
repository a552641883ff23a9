/* chardev unix:PATH, tcp:HOST:PORT, fd:N: a server takes one client at a time and waits for the
 * next when it has left; output without a client is dropped. */
#include "host/chardev_internal.h"
#include "host/mainloop.h"
#include "host/socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct socket_chardev {
    struct chardev c;
    struct socket_address address;
    int listener; /* -1: a client's side */
    struct iowatch *watch;
    struct stream *stream;
};

static void listen_again(struct socket_chardev *s, bool on);

static size_t sock_room(void *opaque)
{
    struct socket_chardev *s = opaque;

    return chardev_room(&s->c);
}

static void sock_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct socket_chardev *s = opaque;

    chardev_input(&s->c, buf, len);
}

static void sock_closed(void *opaque)
{
    struct socket_chardev *s = opaque;

    stream_destroy(s->stream);
    s->stream = NULL;
    chardev_event(&s->c, CHARDEV_CLOSED);
    listen_again(s, true);
}

static const struct stream_ops sock_ops = {sock_room, sock_receive, sock_closed};

static void accept_client(void *opaque, short revents)
{
    struct socket_chardev *s = opaque;
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

    (void)revents;
    if (fd >= 0) {
        listen_again(s, false);
        s->stream = stream_create(s->c.loop, fd, &sock_ops, s);
        chardev_event(&s->c, CHARDEV_OPENED);
    }
}

static void listen_again(struct socket_chardev *s, bool on)
{
    if (on && !s->watch && s->listener >= 0) {
        s->watch = mainloop_watch(s->c.loop, s->listener, POLLIN, accept_client, s);
    } else if (!on && s->watch) {
        iowatch_remove(s->watch);
        s->watch = NULL;
    }
}

static bool open_spec(struct chardev *c, struct error *err)
{
    struct socket_chardev *s = (struct socket_chardev *)c;
    char text[320];

    s->listener = -1;
    if (!socket_parse(&s->address, c->description, err)) {
        return false;
    }
    int fd = socket_open(&s->address, err);
    if (fd < 0) {
        return false;
    }
    socket_describe(&s->address, fd, text, sizeof(text));
    if (!s->address.server) {
        s->stream = stream_create(c->loop, fd, &sock_ops, s);
    } else {
        s->listener = fd;
        if (!socket_wait_client(&s->address, fd, err)) {
            close(fd);
            return false;
        }
        if (s->address.wait) {
            accept_client(s, 0);
        } else {
            listen_again(s, true);
        }
    }
    free(c->description);
    c->description = strdup(text);
    return true;
}

static bool sock_open(struct chardev *c, const char *arg, struct error *err)
{
    (void)arg; /* the description is the whole text */
    return open_spec(c, err);
}

static void sock_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    struct socket_chardev *s = (struct socket_chardev *)c;

    if (s->stream) {
        stream_write(s->stream, buf, len);
    }
}

static void sock_accept(struct chardev *c)
{
    struct socket_chardev *s = (struct socket_chardev *)c;

    if (s->stream && chardev_room(c)) {
        stream_resume(s->stream);
    }
}

static void sock_close(struct chardev *c)
{
    struct socket_chardev *s = (struct socket_chardev *)c;

    listen_again(s, false);
    stream_destroy(s->stream);
    if (s->listener >= 0) {
        socket_close_listener(&s->address, s->listener);
    }
}

#define SOCKET_BACKEND(name, prefix, help)                                                         \
    const struct chardev_backend name =                                                            \
        {                                                                                          \
            prefix,      help,       sizeof(struct socket_chardev), sock_open, sock_write,         \
            sock_accept, sock_close,                                                               \
    }
SOCKET_BACKEND(chardev_unix, "unix:", "a Unix socket, server or client");
SOCKET_BACKEND(chardev_tcp, "tcp:", "a TCP connection, server or client");
SOCKET_BACKEND(chardev_fd, "fd:", "an inherited socket");
