/* Character back ends: where the bytes of a serial port, a monitor or a debug console go. Back ends
 * are made by -chardev / -serial / -monitor (host/chardev_*.c); one front end at a time is
 * connected. All functions are called with the machine lock held or before the machine runs; input
 * callbacks run in the main loop with the machine lock held. */
#ifndef HOST_CHARDEV_H
#define HOST_CHARDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

enum chardev_event {
    CHARDEV_OPENED,
    CHARDEV_CLOSED,
    CHARDEV_BREAK,
    CHARDEV_MUX_IN,
    CHARDEV_MUX_OUT /* input came to, left this front end */
};

struct chardev_frontend {
    void *opaque;
    size_t (*can_receive)(void *opaque); /* bytes it would take now */
    void (*receive)(void *opaque, const uint8_t *buf, size_t len);
    void (*event)(void *opaque, enum chardev_event ev); /* may be NULL */
};

struct chardev;
struct mainloop;

struct chardev_options {
    bool mux; /* several front ends may share it; Ctrl-A c moves the input from one to the next */
    const char *logfile; /* everything that is written goes there too; NULL: no */
    bool logappend;      /* keep what is in logfile */
    bool append;         /* file: keep what is there */
    const char *input;   /* file: read the input from this file; NULL: no input */
    uint64_t size;       /* ringbuf: bytes, a power of two; 0: 64 KiB */
};

/* Makes a back end from "-serial" style text: stdio | null | file:PATH | pipe:PATH | pty | ringbuf
 * | a socket of host/socket.h. o may be NULL. */
struct chardev *chardev_create_with(struct mainloop *loop, const char *id, const char *spec,
                                    const struct chardev_options *o, struct error *err);
struct chardev *chardev_create(struct mainloop *loop, const char *id, const char *spec, bool mux,
                               struct error *err);
void chardev_destroy(struct chardev *c);
char *chardev_help(void); /* -chardev help; free() it */

/* Writes all bytes, or drops them when the other side is gone; never blocks for long. */
void chardev_write(struct chardev *c, const uint8_t *buf, size_t len);
/* fe is copied. A chardev without mux takes one front end. */
bool chardev_connect(struct chardev *c, const struct chardev_frontend *fe, struct error *err);
void chardev_disconnect(struct chardev *c, void *opaque);
bool chardev_in_use(const struct chardev *c); /* a front end is connected */
/* The front end can take more again. */
void chardev_accept_input(struct chardev *c);
const char *chardev_id(const struct chardev *c);
/* Text of what it is ("stdio", "pty:/dev/pts/3"). */
const char *chardev_describe(const struct chardev *c);

/* Called on Ctrl-A x of a mux: ask the program to end. */
void chardev_set_quit(struct chardev *c, void (*quit)(void *opaque), void *opaque);

/* Of a ringbuf: takes up to max bytes of what was written, oldest first; false: c is none. */
bool chardev_ring_read(struct chardev *c, uint8_t *buf, size_t max, size_t *len);
bool chardev_is_ring(const struct chardev *c);

#endif
