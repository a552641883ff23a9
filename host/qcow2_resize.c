/* qcow2: another virtual size. */
#include "host/qcow2_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool q2_grow_l1(struct qcow2 *q, uint64_t entries, struct error *err)
{
    uint64_t offset, old = q->l1_offset, old_bytes = (uint64_t)q->l1_size * 8;
    uint8_t header[12];
    uint64_t *l1;
    int r;

    if (entries <= q->l1_size) {
        return true;
    }
    if (entries > Q2_MAX_L1 / 8) {
        return error_set(err, "the image would be too large for clusters of its size");
    }
    l1 = calloc(entries, 8);
    r = l1 ? q2_alloc(q, q2_clusters(q, entries * 8), &offset) : -ENOMEM;
    if (!r) {
        memcpy(l1, q->l1, old_bytes);
        q2_meta_set(q, offset, entries * 8, Q2_META_L1);
        r = q2_flush_metadata(q);
        r = r ? r : q2_cache_flush(q, &q->ref);
        r = r ? r : q2_write_table(q, offset, l1, entries, Q2_META_L1);
        r = r ? r : node_flush(q->file);
        be_put32(header, (uint32_t)entries);
        be_put64(header + 4, offset);
        r = r ? r : q2_write_file(q, 36, header, 12, Q2_META_HEADER);
        r = r ? r : node_flush(q->file);
    }
    if (r) {
        free(l1);
        return error_set(err, "cannot make a larger L1 table: %s", strerror(-r));
    }
    free(q->l1);
    q->l1 = l1;
    q->l1_size = (uint32_t)entries;
    q->l1_offset = offset;
    q2_meta_set(q, old, old_bytes, 0);
    q2_refcount_add(q, old, old_bytes, -1);
    return true;
}

static int set_size(struct qcow2 *q, uint64_t size)
{
    uint8_t b[8];

    be_put64(b, size);
    int r = q2_write_file(q, 24, b, 8, Q2_META_HEADER);
    r = r ? r : node_flush(q->file);
    if (!r) {
        atomic_store(&q->node->size, size);
    }
    return r;
}

/* Gives the new clusters places, so that writing needs no more metadata. */
static int preallocate(struct qcow2 *q, uint64_t from, uint64_t to, bool data)
{
    int r = 0;

    for (uint64_t c = from; !r && c < to; c++) {
        uint64_t host, entry, bitmap;
        r = q2_entry_get(q, c, &entry, &bitmap);
        if (r || entry) {
            continue;
        }
        r = q2_alloc(q, 1, &host);
        r = r || !data ? r : node_zero(q->file, host, q->cluster_size, false);
        r = r ? r : q2_entry_set(q, c, host | Q2_COPIED, q->extended ? 0xffffffff : 0);
        if (!r && !data && host + q->cluster_size > atomic_load(&q->file->size)) {
            r = node_zero(q->file, host, q->cluster_size, true);
        }
    }
    return r;
}

static bool resize(struct qcow2 *q, uint64_t size, const char *prealloc, struct error *err)
{
    uint64_t old = atomic_load(&q->node->size), per_l2 = UINT64_C(1)
                                                         << (q->l2_bits + q->cluster_bits);
    bool data = prealloc && (!strcmp(prealloc, "full") || !strcmp(prealloc, "falloc"));
    int r;

    if (prealloc && !data && strcmp(prealloc, "metadata") && strcmp(prealloc, "off")) {
        return error_set(err, "preallocation=%s is none of off, metadata, falloc and full",
                         prealloc);
    }
    if (q->nsnapshots && size < old) {
        return error_set(err, "an image with snapshots cannot get smaller");
    }
    if (q->nsnapshots && q->version < 3) {
        return error_set(err, "an image of version 2 with snapshots cannot be resized");
    }
    r = q2_release(q);
    if (!r && size < old) {
        r = q2_discard(q, q2_round(q, size), q2_round(q, old) - q2_round(q, size));
        r = r ? r : q2_release(q);
    }
    if (!r && !q2_grow_l1(q, (size + per_l2 - 1) / per_l2, err)) {
        return false;
    }
    if (!r && size > old && q->node->backing && atomic_load(&q->node->backing->size) > old) {
        /* What the backing file has there must not come to light. */
        uint64_t end = atomic_load(&q->node->backing->size) < size
                           ? atomic_load(&q->node->backing->size)
                           : size;
        uint64_t first = q2_round(q, old);
        r = first < end ? q2_zero(q, first, q2_round(q, end) - first, false) : 0;
    }
    r = r ? r : q2_flush_metadata(q);
    r = r ? r : set_size(q, size);
    if (!r && prealloc && (data || !strcmp(prealloc, "metadata"))) {
        r = preallocate(q, old >> q->cluster_bits, q2_clusters(q, size), data);
    }
    return !r || error_set(err, "cannot resize '%s': %s", q->node->filename, strerror(-r));
}

bool q2_truncate(struct block_node *n, uint64_t size, const char *prealloc, struct error *err)
{
    struct qcow2 *q = n->state;

    if (size % NODE_SECTOR) {
        return error_set(err, "The new size must be a multiple of 512");
    }
    pthread_rwlock_wrlock(&q->users);
    pthread_mutex_lock(&q->lock);
    uint64_t old = atomic_load(&n->size), end = q2_round(q, old) < size ? q2_round(q, old) : size;
    bool ok = resize(q, size, prealloc, err);
    pthread_mutex_unlock(&q->lock);
    pthread_rwlock_unlock(&q->users);
    if (ok && old < end && n->backing && atomic_load(&n->backing->size) > old &&
        node_zero(n, old, end - old, false)) {
        return error_set(err, "cannot write to '%s'", n->filename);
    }
    return ok;
}
