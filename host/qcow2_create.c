/* qcow2: making an empty image: the header, the refcount table with its blocks, the L1 table. */
#include "host/block.h"
#include "host/qcow2_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool check(const struct qcow2_create *c, struct error *err)
{
    if (c->cluster_bits < 9 || c->cluster_bits > 21) {
        return error_set(err, "Cluster size must be a power of two between 512 and 2048k");
    }
    if (c->extended_l2 && c->cluster_bits < 14) {
        return error_set(
            err,
            "Extended L2 entries are only supported with cluster sizes of at least 16384 bytes");
    }
    if (!c->refcount_bits || c->refcount_bits > 64 || (c->refcount_bits & (c->refcount_bits - 1))) {
        return error_set(err, "Refcount width must be a power of two and may not exceed 64 bits");
    }
    if (c->version < 3 &&
        (c->lazy_refcounts || c->extended_l2 || c->zstd || c->refcount_bits != 16)) {
        return error_set(err, "lazy_refcounts, extended_l2, compression_type=zstd and "
                              "refcount_bits other than 16 need "
                              "compat=1.1");
    }
    if (c->backing_file && strlen(c->backing_file) > 1023) {
        return error_set(err, "the name of the backing file is longer than 1023 bytes");
    }
    uint64_t per_l2 = UINT64_C(1) << (c->cluster_bits - (c->extended_l2 ? 4 : 3) + c->cluster_bits);
    if (c->size > INT64_MAX / 2 || (c->size + per_l2 - 1) / per_l2 > Q2_MAX_L1 / 8) {
        return error_set(err, "the image is too large for clusters of this size");
    }
    return true;
}

/* Cluster 0 is the header, 1 the refcount table, then come its blocks and the L1 table. */
bool qcow2_create(const char *path, const struct qcow2_create *c, struct error *err)
{
    struct block_graph *g;
    struct block_node node = {0};
    struct qcow2 q = {0};
    char *name = strdup(path);
    int fd, r = 0;

    if (!check(c, err)) {
        free(name);
        return false;
    }
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        free(name);
        return error_set(err, "cannot make '%s': %s", path, strerror(errno));
    }
    close(fd);
    g = block_graph_create(NULL);
    json_t *o = json_pack("{s:s,s:s}", "driver", "file", "filename", path);
    struct node_flags flags = {.unmap = true};
    struct block_node *f = node_open(g, o, &flags, err);
    json_decref(o);
    if (!f || !node_truncate(f, 0, NULL, err)) {
        node_unref(f);
        block_graph_destroy(g);
        free(name);
        return false;
    }
    q.node = &node;
    q.file = f;
    node.filename = name;
    node.backing_filename = c->backing_file ? strdup(c->backing_file) : NULL;
    node.backing_format = c->backing_format ? strdup(c->backing_format) : NULL;
    atomic_store(&node.size, (c->size + 511) & ~UINT64_C(511));
    q.version = c->version;
    q.cluster_bits = c->cluster_bits;
    q.cluster_size = UINT64_C(1) << c->cluster_bits;
    q.header_length = Q2_HEADER_MAX;
    q.compatible = c->lazy_refcounts ? Q2_COMPAT_LAZY : 0;
    q.incompatible =
        (c->extended_l2 ? Q2_INCOMPAT_EXTL2 : 0) | (c->zstd ? Q2_INCOMPAT_COMPRESSION : 0);
    q.compression = c->zstd;
    while (1u << q.refcount_order < c->refcount_bits) {
        q.refcount_order++;
    }
    q.block_bits = q.cluster_bits + 3 - q.refcount_order;
    unsigned l2_bits = q.cluster_bits - (c->extended_l2 ? 4 : 3);
    uint64_t per_l2 = UINT64_C(1) << (l2_bits + q.cluster_bits);
    uint64_t l1 = (c->size + per_l2 - 1) / per_l2, l1_clusters = q2_clusters(&q, l1 * 8),
             blocks = 1, total;
    l1_clusters = l1_clusters ? l1_clusters : 1;
    do { /* each block counts 2^block_bits clusters, itself among them */
        total = 2 + blocks + l1_clusters;
        if (((total - 1) >> q.block_bits) + 1 <= blocks) {
            break;
        }
        blocks++;
    } while (1);
    q.l1_size = (uint32_t)(l1 ? l1 : 1);
    q.reft_offset = q.cluster_size;
    q.reft_size = q.cluster_size / 8;
    q.l1_offset = (2 + blocks) << q.cluster_bits;
    uint8_t *buf = calloc(1, q.cluster_size);
    if (blocks > q.reft_size) {
        r = -EFBIG;
    }
    for (uint64_t i = 0; !r && i < blocks; i++) {
        be_put64(buf + 8 * i, (2 + i) << q.cluster_bits);
    }
    r = r ? r : node_pwrite(f, q.reft_offset, buf, q.cluster_size);
    for (uint64_t i = 0; !r && i < blocks; i++) {
        uint64_t base = i << q.block_bits;
        memset(buf, 0, q.cluster_size);
        for (uint64_t k = base; k < total && k < base + (UINT64_C(1) << q.block_bits); k++) {
            q2_refcount_write(buf, k - base, q.refcount_order, 1);
        }
        r = node_pwrite(f, (2 + i) << q.cluster_bits, buf, q.cluster_size);
    }
    free(buf);
    r = r ? r : node_zero(f, q.l1_offset, l1_clusters << q.cluster_bits, true);
    r = r ? r : q2_write_header(&q);
    free(node.backing_filename);
    free(node.backing_format);
    node_unref(f);
    block_graph_destroy(g);
    free(name);
    return !r || error_set(err, "cannot write '%s': %s", path, strerror(-r));
}
