/* qcow2: refcounts of the file's clusters, and taking and giving back clusters. */
#include "host/qcow2_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- refcounts ---- */

uint64_t q2_refcount_max(const struct qcow2 *q)
{
    return q->refcount_order == 6 ? UINT64_MAX : (UINT64_C(1) << (1u << q->refcount_order)) - 1;
}

uint64_t q2_refcount_read(const uint8_t *b, uint64_t i, unsigned order)
{
    switch (order) {
    case 0:
        return b[i / 8] >> (i % 8) & 1;
    case 1:
        return b[i / 4] >> 2 * (i % 4) & 3;
    case 2:
        return b[i / 2] >> 4 * (i % 2) & 15;
    case 3:
        return b[i];
    case 4:
        return be_get16(b + 2 * i);
    case 5:
        return be_get32(b + 4 * i);
    default:
        return be_get64(b + 8 * i);
    }
}

void q2_refcount_write(uint8_t *b, uint64_t i, unsigned order, uint64_t v)
{
    unsigned bits = 1u << order, per = 8 / (bits < 8 ? bits : 8),
             shift = (unsigned)(i % per) * bits;

    switch (order) {
    case 0:
    case 1:
    case 2:
        b[i / per] =
            (uint8_t)((b[i / per] & ~(((1u << bits) - 1) << shift)) | (unsigned)v << shift);
        break;
    case 3:
        b[i] = (uint8_t)v;
        break;
    case 4:
        be_put16(b + 2 * i, (uint16_t)v);
        break;
    case 5:
        be_put32(b + 4 * i, (uint32_t)v);
        break;
    default:
        be_put64(b + 8 * i, v);
        break;
    }
}

/* Where the refcount of a cluster is: its slice and the index there; *slice 0: no block covers it.
 */
static int locate(struct qcow2 *q, uint64_t cluster, uint64_t *slice, uint64_t *index)
{
    uint64_t n = cluster >> q->block_bits;
    uint64_t block = n < q->reft_size ? q->reft[n] & Q2_REFT_MASK : 0;
    uint64_t in_block = cluster & ((UINT64_C(1) << q->block_bits) - 1);
    uint64_t per_slice = (uint64_t)q->ref.size * 8 >> q->refcount_order;

    if (block & (q->cluster_size - 1)) {
        return q2_corrupt(
            q, "the refcount block for cluster %#llx is at offset %#llx, which is no cluster",
            (unsigned long long)cluster, (unsigned long long)block);
    }
    *slice = block ? block + in_block / per_slice * q->ref.size : 0;
    *index = in_block % per_slice;
    return 0;
}

int q2_refcount_get(struct qcow2 *q, uint64_t cluster, uint64_t *value)
{
    uint64_t slice, index;
    uint8_t *data;
    int r = locate(q, cluster, &slice, &index);

    *value = 0;
    if (r || !slice) {
        return r;
    }
    r = q2_cache_get(q, &q->ref, slice, &data);
    if (!r) {
        *value = q2_refcount_read(data, index, q->refcount_order);
    }
    return r;
}

static int set_refcount(struct qcow2 *q, uint64_t cluster, uint64_t value)
{
    uint64_t slice, index;
    uint8_t *data;
    int r = locate(q, cluster, &slice, &index);

    if (r || !slice) {
        return r ? r : -EIO;
    }
    r = q2_cache_get(q, &q->ref, slice, &data);
    if (!r) {
        q2_refcount_write(data, index, q->refcount_order, value);
        q2_cache_dirty(&q->ref, slice);
    }
    return r;
}

/* ---- the structure itself ---- */

/* Sets refcount 1 of [first, first + n) in the raw bytes of a block for clusters from base on. */
static void mark_block(const struct qcow2 *q, uint8_t *block, uint64_t base, uint64_t first,
                       uint64_t n)
{
    for (uint64_t c = first; c < first + n; c++) {
        if (c >= base && c < base + (UINT64_C(1) << q->block_bits)) {
            q2_refcount_write(block, c - base, q->refcount_order, 1);
        }
    }
}

/* m blocks side by side for the clusters from `cluster` on, which are free and covered by none: the
 * blocks go there themselves. */
static int add_blocks(struct qcow2 *q, uint64_t cluster, uint64_t m)
{
    uint64_t first = cluster >> q->block_bits, offset = cluster << q->cluster_bits;
    uint8_t *block = malloc(q->cluster_size), *entries = malloc(8 * m);
    int r = block && entries ? q2_check_overlap(q, offset, m << q->cluster_bits, 0) : -ENOMEM;

    for (uint64_t i = 0; !r && i < m; i++) {
        uint64_t at = offset + (i << q->cluster_bits);
        memset(block, 0, q->cluster_size);
        mark_block(q, block, (first + i) << q->block_bits, cluster, m);
        q2_cache_forget(&q->ref, at, q->cluster_size);
        r = node_pwrite(q->file, at, block, q->cluster_size);
        be_put64(entries + 8 * i, at);
    }
    r = r ? r : node_flush(q->file);
    r = r ? r : q2_write_file(q, q->reft_offset + 8 * first, entries, 8 * m, Q2_META_REFTABLE);
    for (uint64_t i = 0; !r && i < m; i++) {
        q->reft[first + i] = offset + (i << q->cluster_bits);
        q2_meta_set(q, q->reft[first + i], 1, Q2_META_REFBLOCK);
    }
    free(block);
    free(entries);
    return r;
}

/* How many blocks, from that of `cluster` on, have to be made side by side at `cluster` so that
 * they count themselves and n clusters behind them. */
static uint64_t blocks_for(const struct qcow2 *q, uint64_t cluster, uint64_t n)
{
    uint64_t first = cluster >> q->block_bits, m = 1, need;

    while ((need = ((cluster + m + n - 1) >> q->block_bits) - first + 1) > m) {
        m = need;
    }
    for (uint64_t i = 1; i < m; i++) { /* only what is not there */
        if (first + i >= q->reft_size || q->reft[first + i] & Q2_REFT_MASK) {
            return i;
        }
    }
    return m;
}

/* A larger refcount table, at `cluster` (free, as everything behind it), before it the blocks that
 * count it and themselves. The header then changes in one write. */
static int grow_table(struct qcow2 *q, uint64_t cluster)
{
    uint64_t per_block = UINT64_C(1) << q->block_bits, need = (cluster >> q->block_bits) + 2;
    uint64_t entries =
        need > q->reft_size + q->reft_size / 2 ? need : q->reft_size + q->reft_size / 2;
    uint64_t table = q2_clusters(q, entries * 8), first = cluster >> q->block_bits, nblocks = 1,
             last;
    uint8_t header[12];
    int r;

    for (;;) { /* blocks for [cluster, cluster + nblocks + table) */
        last = (cluster + nblocks + table - 1) >> q->block_bits;
        if (last >= entries) {
            entries = last + 1;
            table = q2_clusters(q, entries * 8);
            continue;
        }
        if (last - first + 1 == nblocks) {
            break;
        }
        nblocks = last - first + 1;
    }
    entries = table * q->cluster_size / 8;
    if (entries * 8 > Q2_MAX_REFTABLE) {
        return -EFBIG;
    }
    uint64_t area = cluster << q->cluster_bits, at = area + (nblocks << q->cluster_bits);
    r = q2_check_overlap(q, area, (nblocks + table) << q->cluster_bits, 0);
    if (r) {
        return r;
    }
    uint64_t *reft = calloc(entries, 8);
    uint8_t *block = malloc(q->cluster_size);
    if (!reft || !block) {
        free(reft);
        free(block);
        return -ENOMEM;
    }
    memcpy(reft, q->reft, q->reft_size * 8);
    for (uint64_t i = 0; !r && i < nblocks; i++) {
        memset(block, 0, q->cluster_size);
        mark_block(q, block, (first + i) * per_block, cluster, nblocks + table);
        r = node_pwrite(q->file, area + (i << q->cluster_bits), block, q->cluster_size);
        reft[first + i] = area + (i << q->cluster_bits);
    }
    free(block);
    q2_meta_set(q, area, nblocks << q->cluster_bits, Q2_META_REFBLOCK);
    q2_meta_set(q, at, table << q->cluster_bits, Q2_META_REFTABLE);
    r = r ? r : q2_write_table(q, at, reft, entries, Q2_META_REFTABLE);
    r = r ? r : node_flush(q->file);
    be_put64(header, at);
    be_put32(header + 8, (uint32_t)table);
    r = r ? r : q2_write_file(q, 48, header, 12, Q2_META_HEADER);
    r = r ? r : node_flush(q->file);
    if (r) {
        q2_meta_set(q, area, (nblocks + table) << q->cluster_bits, 0);
        free(reft);
        return r;
    }
    uint64_t old = q->reft_offset, old_bytes = q->reft_size * 8;
    free(q->reft);
    q->reft = reft;
    q->reft_size = entries;
    q->reft_offset = at;
    q2_meta_set(q, old, old_bytes, 0);
    return q2_refcount_add(q, old, old_bytes, -1);
}

/* Makes sure that blocks count [cluster, cluster + n). 1: something was made, look again for free
 * ones. */
static int cover(struct qcow2 *q, uint64_t cluster, uint64_t n)
{
    for (uint64_t c = cluster; c < cluster + n;) {
        uint64_t b = c >> q->block_bits;
        int r = 0;
        if (b >= q->reft_size) {
            r = grow_table(q, c);
        } else if (!(q->reft[b] & Q2_REFT_MASK)) {
            r = add_blocks(q, c, blocks_for(q, c, n));
        } else {
            c = (b + 1) << q->block_bits;
            continue;
        }
        return r ? r : 1;
    }
    return 0;
}

static void freed(struct qcow2 *q, uint64_t cluster)
{
    uint64_t offset = cluster << q->cluster_bits;

    q->free_hint = cluster < q->free_hint ? cluster : q->free_hint;
    q->run_hint = cluster < q->run_hint ? cluster : q->run_hint;
    q2_cache_forget(&q->l2, offset, q->cluster_size);
    q2_cache_forget(&q->ref, offset, q->cluster_size);
    q2_meta_set(q, offset, 1, 0);
    if (q->compressed_at >> q->cluster_bits == cluster) {
        q->compressed_at = 0;
    }
    if (q->node->flags.unmap) {
        node_discard(q->file, offset, q->cluster_size);
    }
}

/* With lazy refcounts they may be wrong on the disk, which the header has to say first. */
static int before_change(struct qcow2 *q)
{
    return q2_lazy(q) && !(q->incompatible & Q2_INCOMPAT_DIRTY)
               ? q2_set_incompatible(q, Q2_INCOMPAT_DIRTY, 0)
               : 0;
}

int q2_refcount_add(struct qcow2 *q, uint64_t offset, uint64_t bytes, int addend)
{
    uint64_t first = offset >> q->cluster_bits, end = q2_clusters(q, offset + bytes);
    int r = bytes ? before_change(q) : 0;

    for (uint64_t c = first; bytes && !r && c < end; c++) {
        uint64_t v;
        r = q2_refcount_get(q, c, &v);
        if (r) {
            break;
        }
        if (addend < 0 && !v) {
            return q2_corrupt(q, "cluster %#llx is given back, but its refcount is 0 already",
                              (unsigned long long)c);
        }
        if (addend > 0 && v == q2_refcount_max(q)) {
            return -EOVERFLOW;
        }
        r = set_refcount(q, c, addend < 0 ? v - 1 : v + 1);
        if (!r && addend < 0 && v == 1) {
            freed(q, c);
        }
    }
    return r;
}

/* ---- taking clusters ---- */

static int find_free(struct qcow2 *q, uint64_t n, uint64_t *cluster)
{
    uint64_t run = 0, c = n > 1 && q->run_hint > q->free_hint ? q->run_hint : q->free_hint;

    for (; run < n; c++) {
        uint64_t v;
        int r = q2_refcount_get(q, c, &v);
        if (r) {
            return r;
        }
        run = v ? 0 : run + 1;
        if (c >> (56 - q->cluster_bits)) {
            return -EFBIG;
        }
    }
    *cluster = c - n;
    return 0;
}

int q2_alloc(struct qcow2 *q, uint64_t n, uint64_t *offset)
{
    uint64_t c = 0;
    int r = q->corrupt ? -EIO : before_change(q);

    do {
        r = r < 0 ? r : find_free(q, n, &c);
        r = r < 0 ? r : cover(q, c, n);
    } while (r > 0);
    if (!r && c == 0) {
        r = q2_corrupt(q, "the header's cluster is counted as free");
    }
    r = r ? r : q2_check_overlap(q, c << q->cluster_bits, n << q->cluster_bits, 0);
    for (uint64_t i = 0; !r && i < n; i++) {
        r = set_refcount(q, c + i, 1);
    }
    if (!r) {
        q->free_hint = n == 1 || c == q->free_hint ? c + n : q->free_hint;
        q->run_hint = n > 1 ? c + n : q->run_hint;
        *offset = c << q->cluster_bits;
    }
    return r;
}

int q2_alloc_bytes(struct qcow2 *q, uint64_t bytes, uint64_t *offset)
{
    uint64_t at = q->compressed_at, left = at ? q->cluster_size - (at & (q->cluster_size - 1)) : 0,
             v = 0, fresh;
    int r = at ? q2_refcount_get(q, at >> q->cluster_bits, &v) : 0;

    if (r) {
        return r;
    }
    if (v == q2_refcount_max(q)) {
        at = left = 0;
    }
    if (left < bytes) {
        r = q2_alloc(q, 1, &fresh);
        if (r) {
            return r;
        }
        if (!at || fresh != at + left) { /* not side by side */
            *offset = fresh;
            q->compressed_at = fresh + bytes;
            return 0;
        }
    }
    r = q2_refcount_add(q, at, 1, 1); /* of the cluster that was begun */
    if (r) {
        return r;
    }
    *offset = at;
    at += bytes;
    q->compressed_at = at & (q->cluster_size - 1) ? at : 0;
    return 0;
}

/* ---- giving them back ---- */

int q2_release_later(struct qcow2 *q, uint64_t offset, uint64_t bytes)
{
    if (q->nrelease == q->release_room) {
        q->release_room = q->release_room ? 2 * q->release_room : Q2_RELEASE_BATCH;
        q->release = g_realloc(q->release, q->release_room * sizeof(q->release[0]));
    }
    q->release[q->nrelease++] = (struct q2_release){offset, bytes};
    return 0;
}

int q2_release(struct qcow2 *q)
{
    int r = 0;

    if (!q->nrelease) {
        return 0;
    }
    r = q2_cache_flush(q, &q->l2);
    r = r ? r : node_flush(q->file);
    for (unsigned i = 0; !r && i < q->nrelease; i++) {
        r = q2_refcount_add(q, q->release[i].offset, q->release[i].bytes, -1);
    }
    q->nrelease = 0; /* after an error they are lost, but no harm is done */
    return r;
}
