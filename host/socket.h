/* Stream sockets: addresses as command lines spell them, listening, and buffered connections that
 * live in the main loop. */
#ifndef HOST_SOCKET_H
#define HOST_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

struct mainloop;

struct socket_address {
    enum { SOCKET_UNIX, SOCKET_TCP, SOCKET_FD } kind;
    char host[256], port[32]; /* SOCKET_TCP; an empty host is the loopback */
    char path[108];           /* SOCKET_UNIX */
    int fd;                   /* SOCKET_FD: inherited */
    bool server, wait;        /* wait: do not go on before a client has come */
    bool telnet;              /* a server that speaks telnet (characters, not lines) */
    unsigned reconnect_ms;    /* a client: try again after so long; 0: never */
};

/* "unix:PATH", "tcp:[HOST]:PORT", "telnet:[HOST]:PORT" or "fd:N", followed by ",server=on|off",
 * ",wait=on|off" (also ",server" and ",nowait"), ",telnet=on|off", ",reconnect=SECONDS" or
 * ",reconnect-ms=N"; a comma in a path is written twice. */
bool socket_parse(struct socket_address *a, const char *spec, struct error *err);
bool socket_is_spec(const char *spec); /* begins like one */
/* A listening (server) or connected descriptor, -1 on error. */
int socket_open(const struct socket_address *a, struct error *err);
void socket_close_listener(const struct socket_address *a,
                           int fd); /* removes a Unix socket's file */
/* Waits for the first client when a->wait says so. False: none came. */
bool socket_wait_client(const struct socket_address *a, int fd, struct error *err);
/* Text for people: "unix:PATH", "tcp:HOST:PORT" with the port that was taken. */
void socket_describe(const struct socket_address *a, int fd, char *text, size_t size);

/* ---- one connection ---- */

struct stream;
struct stream_ops {
    /* How many bytes may come now; NULL: any number. With 0, stream_resume is called later. */
    size_t (*room)(void *opaque);
    void (*receive)(void *opaque, const uint8_t *buf, size_t len);
    void (*closed)(void *opaque); /* the other side went; call stream_destroy, here or later */
};

/* Takes fd over. Callbacks come in the main loop with the machine lock held. */
struct stream *stream_create(struct mainloop *loop, int fd, const struct stream_ops *ops,
                             void *opaque);
void stream_destroy(struct stream *s); /* also from a callback; NULL is fine */
/* Never blocks: what the other side does not take yet is kept, up to a limit; beyond it the
 * connection is given up. */
void stream_write(struct stream *s, const void *buf, size_t len);
void stream_resume(struct stream *s); /* there is room again */

#endif
