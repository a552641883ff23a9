/* Character back ends: where the bytes of a serial port, a monitor or a debug console go. Back ends are
 * made by -chardev / -serial / -monitor (host/chardev_*.c); one front end at a time is connected.
 * All functions are called with the machine lock held or before the machine runs; input callbacks run
 * in the main loop with the machine lock held. */
#ifndef HOST_CHARDEV_H
#define HOST_CHARDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

enum chardev_event { CHARDEV_OPENED, CHARDEV_CLOSED, CHARDEV_BREAK, CHARDEV_MUX_IN, CHARDEV_MUX_OUT };

struct chardev_frontend {
    void *opaque;
    size_t (*can_receive)(void *opaque); /* bytes it would take now */
    void (*receive)(void *opaque, const uint8_t *buf, size_t len);
    void (*event)(void *opaque, enum chardev_event ev); /* may be NULL */
};

struct chardev;

/* Writes all bytes, or drops them when the other side is gone; never blocks for long. */
void chardev_write(struct chardev *c, const uint8_t *buf, size_t len);
bool chardev_connect(struct chardev *c, const struct chardev_frontend *fe, struct error *err);
void chardev_disconnect(struct chardev *c, const struct chardev_frontend *fe);
/* The front end can take more again. */
void chardev_accept_input(struct chardev *c);
const char *chardev_id(const struct chardev *c);

#endif
