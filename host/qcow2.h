/* qcow2 images beyond what every node can do: making them, their snapshots, changing their header. */
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

#endif
