/* Nodes: the parts an image is made of. A node has a driver (file, raw, qcow2) and children (file,
 * backing). Node functions are synchronous and run on any thread, several at a time on one node;
 * the graph itself (opening, closing, names) is changed by one thread only, with the machine lock
 * held, and not while requests run on the nodes that it touches.
 *
 * Results are 0 or -errno. */
#ifndef HOST_BLOCK_NODE_H
#define HOST_BLOCK_NODE_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "host/error.h"

struct block_graph;
struct block_node;

enum { NODE_SECTOR = 512, NODE_NAME_MAX = 31, NODE_CHAIN_MAX = 200 };
#define NODE_IO_MAX (UINT64_C(1) << 30)

/* Memory of a request. Functions take a part of it: `skip` bytes from its start. */
struct node_vec {
    const struct iovec *iov;
    int niov;
};

enum node_detect { DETECT_OFF, DETECT_ON, DETECT_UNMAP };

struct node_flags { /* what a child inherits, or an option says */
    bool readonly;
    bool auto_readonly; /* readonly when it cannot be written */
    bool direct;        /* O_DIRECT */
    bool no_flush;      /* flushes do nothing */
    bool unmap;         /* discards are carried out */
    bool share;         /* no lock against others (-U) */
    bool no_io; /* check only: a dirty or corrupt image may be opened for writing to repair it */
    bool no_backing;    /* do not open the backing file */
    bool no_probe_lock; /* raw was found out, and may turn into another format (img) */
    enum node_detect detect;
};

/* What lies in a range. */
enum {
    NODE_DATA = 1,      /* has to be read */
    NODE_ZERO = 2,      /* reads as zeroes */
    NODE_ALLOCATED = 4, /* is in this node, not in its backing file */
    NODE_COMPRESSED = 8,
};

struct node_info {         /* for people and tools; strings are the node's */
    uint64_t cluster_size; /* 0: none */
    bool dirty, corrupt;
    json_t *specific;  /* "data" of format-specific; NULL: none; owned by the caller */
    json_t *snapshots; /* NULL: none */
};

struct node_check {                      /* result of a check */
    uint64_t corruptions, leaks, errors; /* errors: could not be checked */
    uint64_t corruptions_fixed, leaks_fixed;
    uint64_t end_offset;
    uint64_t total_clusters, allocated_clusters, fragmented_clusters, compressed_clusters;
    void (*print)(void *opaque, const char *line); /* one line a finding; may be NULL */
    void *opaque;
};
enum { CHECK_FIX_LEAKS = 1, CHECK_FIX_ERRORS = 2 };

struct node_driver {
    const char *name;
    bool protocol;
    size_t state_size;
    const char *const *options; /* that it knows besides the general ones; ended by NULL */
    /* n->flags, n->file are set; fills n->size and n->state. */
    bool (*open)(struct block_node *n, json_t *options, struct error *err);
    void (*close)(
        struct block_node *n); /* writes out what is kept back; also after a failed open */
    int (*read)(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                size_t skip);
    int (*read_now)(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                    size_t skip); /* may be NULL: see node_readv_now */
    int (*write)(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                 size_t skip);
    int (*flush)(struct block_node *n);
    int (*discard)(struct block_node *n, uint64_t offset, uint64_t len);
    int (*zero)(struct block_node *n, uint64_t offset, uint64_t len, bool unmap);
    int (*write_compressed)(struct block_node *n, uint64_t offset, uint64_t len, const void *buf);
    /* *len: in: wanted, out: how far the answer holds (at least 1). Returns NODE_* bits or -errno.
     */
    int (*status)(struct block_node *n, uint64_t offset, uint64_t *len);
    bool (*truncate)(struct block_node *n, uint64_t size, const char *prealloc, struct error *err);
    void (*info)(struct block_node *n, struct node_info *info);
    int (*check)(struct block_node *n, struct node_check *c, unsigned fix);
    uint64_t (*allocated)(struct block_node *n); /* bytes on the disk */
};

struct block_node {
    const struct node_driver *driver;
    struct block_graph *graph;
    struct block_node *next; /* of the graph */
    char name[NODE_NAME_MAX + 1];
    char *filename;                          /* as it was given, for people */
    char *backing_filename, *backing_format; /* as the image says; NULL: none */
    struct block_node *file, *backing;
    unsigned refs;  /* parents, back ends, and the name from blockdev-add */
    bool named;     /* made by -blockdev or blockdev-add: stays without parents */
    bool probed;    /* format= was missing */
    bool temporary; /* the overlay of snapshot=on */
    struct node_flags flags;
    _Atomic uint64_t size; /* bytes; of formats a multiple of 512 */
    _Atomic uint64_t highest_write;
    void *state; /* driver's */
};

/* ---- opening (block_graph.c) ---- */
/* options: an object in the shape of blockdev-add, nested ("file": {...}) or dotted
 * ("file.filename"), or with references by node name. Unknown members are an error. Borrowed. The
 * caller gets a reference. */
struct block_node *node_open(struct block_graph *g, json_t *options,
                             const struct node_flags *inherited, struct error *err);
/* From a file name and a format (NULL: found out), as -drive and img do. extra: further options of
 * the format node, may be NULL. */
struct block_node *node_open_file(struct block_graph *g, const char *file, const char *format,
                                  const struct node_flags *flags, json_t *extra, struct error *err);
/* Puts a temporary qcow2 overlay over base; takes over the reference to base. NULL on error (base
 * is unreferenced). */
struct block_node *node_open_overlay(struct block_graph *g, struct block_node *base,
                                     struct error *err);
void node_ref(struct block_node *n);
void node_unref(struct block_node *n); /* the last one closes it; NULL is fine */
struct block_node *node_find(struct block_graph *g, const char *name);
struct block_node *node_next(struct block_graph *g, struct block_node *n); /* NULL: the first */
/* "raw", "qcow2" or the name of a format that is not supported, from the first bytes of an image.
 */
const char *node_probe(const uint8_t *buf, size_t len);
const struct node_driver *node_driver_find(const char *name);
extern const struct node_driver node_driver_file, node_driver_host_device, node_driver_raw,
    node_driver_qcow2;

/* ---- I/O (block_node.c) ---- */
int node_readv(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
               size_t skip);
/* The same when it can be done without waiting, else -EAGAIN: then the memory may have changed in
 * part. */
int node_readv_now(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                   size_t skip);
int node_writev(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                size_t skip);
int node_pread(struct block_node *n, uint64_t offset, void *buf, uint64_t len);
int node_pwrite(struct block_node *n, uint64_t offset, const void *buf, uint64_t len);
int node_flush(struct block_node *n);
int node_discard(struct block_node *n, uint64_t offset, uint64_t len);
int node_zero(struct block_node *n, uint64_t offset, uint64_t len, bool unmap);
int node_status(struct block_node *n, uint64_t offset, uint64_t *len);
/* Also looks into the backing chain: NODE_DATA or NODE_ZERO. */
int node_status_chain(struct block_node *n, uint64_t offset, uint64_t *len);
bool node_truncate(struct block_node *n, uint64_t size, const char *prealloc, struct error *err);
uint64_t node_allocated(struct block_node *n); /* bytes on the disk of the image's file */

/* ---- helpers for vectors ---- */
void node_vec_zero(const struct node_vec *v, size_t skip, uint64_t len);
void node_vec_to(const struct node_vec *v, size_t skip, void *buf, uint64_t len);
void node_vec_from(const struct node_vec *v, size_t skip, const void *buf, uint64_t len);
bool node_vec_is_zero(const struct node_vec *v, size_t skip, uint64_t len);
bool node_is_zero(const void *buf, size_t len);
/* The part as iovecs of its own: at most v->niov. */
int node_vec_part(const struct node_vec *v, size_t skip, uint64_t len, struct iovec *out);

/* Tells the machine that an image is damaged. Any thread. */
void node_report_corrupt(struct block_node *n, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
