/* qcow2 images beyond what every node can do: making them, their snapshots, changing their header.
 */
#ifndef HOST_QCOW2_H
#define HOST_QCOW2_H

#include "host/block_node.h"

struct qcow2_create {
    uint64_t size;
    unsigned version;       /* 2 or 3 */
    unsigned cluster_bits;  /* 9 to 21 */
    unsigned refcount_bits; /* 1, 2, 4 ... 64; 16 for version 2 */
    bool lazy_refcounts, extended_l2, zstd;
    const char *backing_file, *backing_format; /* NULL: none */
};

/* Writes an empty image into the file, which is made or emptied. */
bool qcow2_create(const char *path, const struct qcow2_create *c, struct error *err);

/* Internal snapshots; n is a qcow2 node open for writing, no requests are running. tag: a name, or
 * an id. */
bool qcow2_snapshot_create(struct block_node *n, const char *name, struct error *err);
bool qcow2_snapshot_delete(struct block_node *n, const char *tag, struct error *err);
bool qcow2_snapshot_apply(struct block_node *n, const char *tag, struct error *err);
/* n, which is open read only, reads as the snapshot from now on. */
bool qcow2_snapshot_view(struct block_node *n, const char *tag, struct error *err);

#endif
