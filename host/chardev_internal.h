/* What the back ends of host/chardev.c implement. */
#ifndef HOST_CHARDEV_INTERNAL_H
#define HOST_CHARDEV_INTERNAL_H

#include "host/chardev.h"

enum { CHARDEV_FRONTENDS = 4 };

struct chardev_backend {
    const char *prefix; /* "file:" or a whole word such as "stdio" */
    const char *help;
    size_t size; /* of the struct that starts with struct chardev */
    bool (*open)(struct chardev *c, const char *arg, const struct chardev_options *o,
                 struct error *err);
    void (*write)(struct chardev *c, const uint8_t *buf, size_t len);
    void (*accept)(struct chardev *c); /* try to read again; may be NULL */
    void (*close)(struct chardev *c);
    bool (*is_open)(struct chardev *c); /* somebody is at the other end; NULL: always */
};

struct chardev {
    const struct chardev_backend *be;
    struct mainloop *loop;
    char *id, *description;
    struct chardev_frontend fe[CHARDEV_FRONTENDS];
    unsigned nfe, focus;
    bool mux, escape;     /* escape: Ctrl-A was typed */
    int log_fd;           /* -1: none */
    uint8_t pending[256]; /* input that the front end has no room for yet */
    size_t npending;
    void (*quit)(void *opaque);
    void *quit_opaque;
};

/* For back ends: room for input now, and input itself (mux escapes are handled inside). */
size_t chardev_room(struct chardev *c);
void chardev_input(struct chardev *c, const uint8_t *buf, size_t len);
void chardev_event(struct chardev *c, enum chardev_event ev);

extern const struct chardev_backend chardev_stdio, chardev_file, chardev_pipe, chardev_pty,
    chardev_null, chardev_unix, chardev_tcp, chardev_telnet, chardev_fd, chardev_ringbuf;

#endif
