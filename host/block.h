/* Block back ends: what a disk controller sees of an image. Requests are asynchronous: they run on
 * worker threads, several at a time and in no given order, and complete on a worker or in the main
 * loop, with the machine lock held; a vcpu never waits for a disk. Under a back end is a graph of
 * nodes (host/block_node.h): the format, its file, its backing file. A back end may be empty (a
 * drive without a disc).
 *
 * All functions: machine lock held, or before the machine runs. */
#ifndef HOST_BLOCK_H
#define HOST_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "host/error.h"

struct block;
struct block_graph;
struct block_node;
struct mainloop;

enum block_op {
    BLOCK_READ,
    BLOCK_WRITE,
    BLOCK_FLUSH,
    BLOCK_DISCARD,
    BLOCK_WRITE_ZEROES,
    BLOCK_NOPS
};

struct block_request {
    enum block_op op;
    bool fua;          /* write, write zeroes: on stable storage before it ends */
    bool unmap;        /* write zeroes: the space may be given back */
    uint64_t offset;   /* bytes */
    uint64_t len;      /* bytes; sum of iov for read and write */
    struct iovec *iov; /* host memory, owned by the caller until done */
    int niov;
    /* 0 or -errno: -ENOMEDIUM, -EIO, -ENOSPC, -EROFS... Locked; main loop or a worker. Not called
     * before block_submit has returned. What rerror= and werror= say has been done already: an
     * error that is ignored arrives as 0, one that stops the machine is tried again when the
     * machine goes on.
     */
    void (*done)(struct block_request *r, int result);
    void *opaque;
    struct block *block; /* private from here */
    struct block_request *next;
    int result;
    int64_t begun;
};

struct block_stats {
    uint64_t operations[BLOCK_NOPS], bytes[BLOCK_NOPS], failed[BLOCK_NOPS]; /* by enum block_op */
    uint64_t time_ns[BLOCK_NOPS]; /* from submit to done */
    uint64_t invalid[BLOCK_NOPS]; /* refused by the device: block_account_invalid */
    uint64_t highest_write;       /* end of the last byte written */
};

enum block_on_error {
    BLOCK_ERROR_REPORT,
    BLOCK_ERROR_IGNORE,
    BLOCK_ERROR_STOP,
    BLOCK_ERROR_ENOSPC
};

struct block_throttle {               /* 0: no limit; per second */
    uint64_t bps[3], iops[3];         /* total, read, write */
    uint64_t bps_max[3], iops_max[3]; /* burst; 0: a tenth of the rate */
    uint64_t iops_size;               /* bytes that count as one operation; 0: any size */
};

/* What a device tells of itself, and is told. Functions may be NULL. */
struct block_device {
    const char
        *id; /* path for QMP: /machine/peripheral/ID or /machine/unattached/device[n]; borrowed */
    bool removable;                            /* the medium may be changed */
    void (*resized)(void *opaque);             /* block_size is another one */
    void (*medium)(void *opaque, bool loaded); /* a medium is in it now, or is out */
    void (*eject_request)(void *opaque);       /* please open the tray (it is locked) */
    bool (*locked)(void *opaque);              /* the guest forbids opening the tray */
    void *opaque;
};

/* ---- for devices ---- */
/* The back end belongs to this device from now on: one device each. dev is copied. */
bool block_attach(struct block *b, const struct block_device *dev, struct error *err);
void block_detach(struct block *b);         /* drains first */
bool block_inserted(const struct block *b); /* there is a medium, and the tray is closed */
bool block_tray_open(const struct block *b);
void block_set_tray(struct block *b,
                    bool open);             /* by the guest: START STOP UNIT; sends the event */
uint64_t block_size(const struct block *b); /* bytes, a multiple of 512; 0: no medium */
bool block_readonly(const struct block *b);
bool block_write_cache(const struct block *b); /* volatile: the guest has to flush */
void block_set_write_cache(struct block *b,
                           bool on);         /* off: each write is flushed before it ends */
const char *block_id(const struct block *b); /* "" when it has none */
void block_submit(struct block *b, struct block_request *r);
/* True: the request is a read of what the host has in memory, and was carried out at once: it is
 * the caller's again, done is not called. False: it has to be submitted; its memory may have
 * changed. */
bool block_read_now(struct block *b, struct block_request *r);
/* Waits until the workers have carried out everything submitted; the calls of done may be still to
 * come. Requests held back by an error that stopped the machine fail now. */
void block_drain(struct block *b);
bool block_busy(const struct block *b);                        /* requests are under way */
void block_account_invalid(struct block *b, enum block_op op); /* a request that was no good */
struct block_stats block_get_stats(const struct block *b);     /* of completed requests */

/* Synchronous, for start-up, floppies' geometry and tests. 0 or -errno. */
int block_pread(struct block *b, uint64_t offset, void *buf, uint64_t len);
int block_pwrite(struct block *b, uint64_t offset, const void *buf, uint64_t len);
int block_flush(struct block *b);

/* ---- for the command line and the monitors ---- */
struct block_config { /* of a new back end */
    const char *id;   /* NULL: it has none, and is found by its node */
    bool write_through;
    enum block_on_error rerror, werror; /* BLOCK_ERROR_REPORT and, by QEMU's default, ENOSPC */
    struct block_throttle throttle;
};
enum block_event { BLOCK_EVENT_IO_ERROR, BLOCK_EVENT_TRAY_MOVED, BLOCK_EVENT_CORRUPTED };
struct block_event_data {
    enum block_event event;
    struct block *block; /* NULL for BLOCK_EVENT_CORRUPTED */
    struct block_node *node;
    bool write, tray_open, stopped;
    int error;        /* errno */
    const char *text; /* what is wrong with the image */
};

/* All images of one machine; loop: where completions are delivered, NULL: only nodes (dragoman
 * img). */
struct block_graph *block_graph_create(struct mainloop *loop);
void block_graph_destroy(
    struct block_graph *g); /* finishes requests, closes all that is open; NULL is fine */
/* fn: main loop, locked. */
void block_graph_on_event(struct block_graph *g,
                          void (*fn)(void *opaque, const struct block_event_data *e), void *opaque);
void block_graph_resume(struct block_graph *g); /* the machine goes on: tries again what failed */
int block_graph_flush(struct block_graph *g);   /* all back ends; the first error */

/* node NULL: empty. Takes a reference to node. */
struct block *block_create(struct block_graph *g, const struct block_config *c,
                           struct block_node *node, struct error *err);
/* The usual case in one: an image in a file. */
struct block_options {
    const char *id, *file, *format; /* format NULL: found out */
    bool readonly, snapshot;        /* snapshot: writes go to a temporary overlay */
};
struct block *block_open(struct block_graph *g, const struct block_options *o, struct error *err);
void block_close(struct block *b); /* waits for requests, flushes; NULL is fine */

struct block *block_next(struct block_graph *g,
                         struct block *b); /* NULL: the first; NULL at the end */
struct block *block_find(struct block_graph *g, const char *id); /* by its id */
struct block *block_find_device(struct block_graph *g,
                                const char *path_or_id); /* by its device's */
struct block *block_of_node(struct block_graph *g,
                            const struct block_node *n);           /* which has it as root */
struct block_node *block_node_of(const struct block *b);           /* NULL: empty */
const struct block_device *block_device_of(const struct block *b); /* NULL: not attached */
bool block_locked(const struct block *b);
/* Media of removable drives. force: although the guest locked it. False: locked; the guest was
 * asked. */
bool block_open_tray(struct block *b, bool force, struct error *err);
void block_close_tray(struct block *b);
bool block_remove_medium(struct block *b, struct error *err);
bool block_insert_medium(struct block *b, struct block_node *node, struct error *err);
/* Puts node in the place of the root (blockdev-snapshot and the like). */
void block_set_root(struct block *b, struct block_node *node);
void block_resized(struct block *b); /* its node has another size */
void block_get_throttle(const struct block *b, struct block_throttle *t);
void block_set_throttle(struct block *b, const struct block_throttle *t);
enum block_on_error block_on_error(const struct block *b, bool write);
bool block_iostatus_ok(const struct block *b,
                       bool *nospace); /* false: requests wait for the machine to go on */

#endif
