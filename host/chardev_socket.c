/* chardev unix:PATH, tcp:HOST:PORT, telnet:HOST:PORT, fd:N: a server takes one client at a time and
 * waits for the next when it has left; a client may connect again (reconnect). Output without a
 * connection is dropped. Of telnet (RFC 854, 856, 857, 858): binary, echo and suppress-go-ahead are
 * asked for when a client comes, its own commands are read and ignored, but break. */
#include "host/chardev_internal.h"
#include "host/mainloop.h"
#include "host/socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum telnet { /* what of a command has been read */
              TEXT,
              COMMAND,
              OPTION,
              SUBOPTION,
              SUBOPTION_END
};
enum { IAC = 255, DONT = 254, WILL = 251, DO = 253, SB = 250, BREAK = 243, SE = 240 };
enum { OPT_BINARY = 0, OPT_ECHO = 1, OPT_NO_GO_AHEAD = 3 };

struct socket_chardev {
    struct chardev c;
    struct socket_address address;
    int listener; /* -1: a client's side */
    struct iowatch *watch;
    struct stream *stream;
    struct deadline *again; /* the next attempt to connect */
    enum telnet telnet;
    bool after_cr; /* telnet: a NUL after CR says nothing */
};

static void listen_again(struct socket_chardev *s, bool on);
static void connect_later(struct socket_chardev *s);

static size_t sock_room(void *opaque)
{
    struct socket_chardev *s = opaque;

    return chardev_room(&s->c);
}

/* One byte of a telnet client; true: it is text. */
static bool telnet_text(struct socket_chardev *s, uint8_t b)
{
    bool nul = s->after_cr && !b;

    switch (s->telnet) {
    case TEXT:
        s->after_cr = b == '\r';
        if (b == IAC) {
            s->telnet = COMMAND;
        }
        return b != IAC && !nul;
    case COMMAND:
        s->telnet = b >= WILL && b <= DONT ? OPTION : b == SB ? SUBOPTION : TEXT;
        if (b == BREAK) {
            chardev_event(&s->c, CHARDEV_BREAK);
        }
        return b == IAC;
    case OPTION:
        s->telnet = TEXT;
        return false;
    case SUBOPTION:
        s->telnet = b == IAC ? SUBOPTION_END : SUBOPTION;
        return false;
    default:
        s->telnet = b == SE ? TEXT : SUBOPTION;
        return false;
    }
}

static void sock_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct socket_chardev *s = opaque;

    if (!s->address.telnet) {
        chardev_input(&s->c, buf, len);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        if (telnet_text(s, buf[i])) {
            chardev_input(&s->c, buf + i, 1);
        }
    }
}

static void sock_closed(void *opaque)
{
    struct socket_chardev *s = opaque;

    stream_destroy(s->stream);
    s->stream = NULL;
    chardev_event(&s->c, CHARDEV_CLOSED);
    listen_again(s, true);
    connect_later(s);
}

static const struct stream_ops sock_ops = {sock_room, sock_receive, sock_closed};

static void take_stream(struct socket_chardev *s, int fd)
{
    static const uint8_t hello[] = {IAC, WILL, OPT_ECHO,   IAC, WILL, OPT_NO_GO_AHEAD,
                                    IAC, WILL, OPT_BINARY, IAC, DO,   OPT_BINARY};

    s->stream = stream_create(s->c.loop, fd, &sock_ops, s);
    s->telnet = TEXT;
    s->after_cr = false;
    if (s->address.telnet && s->address.server) {
        stream_write(s->stream, hello, sizeof(hello));
    }
    chardev_event(&s->c, CHARDEV_OPENED);
}

static void accept_client(void *opaque, short revents)
{
    struct socket_chardev *s = opaque;
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

    (void)revents;
    if (fd >= 0) {
        listen_again(s, false);
        take_stream(s, fd);
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

static void connect_now(void *opaque)
{
    struct socket_chardev *s = opaque;
    struct error err;
    int fd = socket_open(&s->address, &err);

    s->again = NULL;
    if (fd >= 0) {
        take_stream(s, fd);
    } else {
        connect_later(s);
    }
}

static void connect_later(struct socket_chardev *s)
{
    if (s->address.reconnect_ms && !s->again) {
        s->again = mainloop_after(s->c.loop, s->address.reconnect_ms, connect_now, s);
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
    if (s->address.reconnect_ms && s->address.kind == SOCKET_FD) {
        return error_set(err, "reconnect needs an address, not fd=");
    }
    int fd = socket_open(&s->address, err);
    if (fd < 0 && !s->address.reconnect_ms) {
        return false;
    }
    socket_describe(&s->address, fd, text, sizeof(text));
    if (fd < 0) {
        connect_later(s);
    } else if (!s->address.server) {
        take_stream(s, fd);
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

static bool sock_open(struct chardev *c, const char *arg, const struct chardev_options *o,
                      struct error *err)
{
    (void)arg; /* the description is the whole text */
    (void)o;
    return open_spec(c, err);
}

static void sock_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    struct socket_chardev *s = (struct socket_chardev *)c;
    static const uint8_t iac = IAC;

    while (s->stream && len) {
        const uint8_t *special = s->address.telnet ? memchr(buf, IAC, len) : NULL;
        size_t n = special ? (size_t)(special - buf) + 1 : len;
        stream_write(s->stream, buf, n);
        if (special) {
            stream_write(s->stream, &iac, 1); /* twice is once */
        }
        buf += n;
        len -= n;
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
    deadline_remove(s->again);
    stream_destroy(s->stream);
    if (s->listener >= 0) {
        socket_close_listener(&s->address, s->listener);
    }
}

static bool sock_is_open(struct chardev *c)
{
    return ((struct socket_chardev *)c)->stream != NULL;
}

#define SOCKET_BACKEND(name, prefix, help)                                                         \
    const struct chardev_backend name =                                                            \
        {                                                                                          \
            prefix,     help,         sizeof(struct socket_chardev),                               \
            sock_open,  sock_write,   sock_accept,                                                 \
            sock_close, sock_is_open,                                                              \
    }
SOCKET_BACKEND(chardev_unix, "unix:", "a Unix socket, server or client");
SOCKET_BACKEND(chardev_tcp, "tcp:", "a TCP connection, server or client");
SOCKET_BACKEND(chardev_telnet, "telnet:", "a telnet server, or a client");
SOCKET_BACKEND(chardev_fd, "fd:", "an inherited socket");
