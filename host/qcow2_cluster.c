/* qcow2: the two levels of tables that lead from a guest cluster to one of the file. */
#include "host/qcow2_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum q2_type q2_type_of(const struct qcow2 *q, uint64_t entry, uint64_t bitmap, unsigned sub)
{
    bool host = entry & Q2_OFFSET_MASK;

    if (entry & Q2_COMPRESSED) {
        return Q2_COMPRESSED_DATA;
    }
    if (!q->extended) {
        bool zero = q->version >= 3 && (entry & Q2_ZERO);
        return zero ? (host ? Q2_ZERO_ALLOC : Q2_ZERO_PLAIN) : host ? Q2_NORMAL : Q2_UNALLOCATED;
    }
    bool data = bitmap >> sub & 1, zero = bitmap >> (32 + sub) & 1;
    if (data && (zero || !host)) {
        return Q2_INVALID;
    }
    if (zero) {
        return host ? Q2_ZERO_ALLOC : Q2_ZERO_PLAIN;
    }
    return data ? Q2_NORMAL : host ? Q2_UNALLOCATED_ALLOC : Q2_UNALLOCATED;
}

uint64_t q2_compressed_range(const struct qcow2 *q, uint64_t entry, uint64_t *offset)
{
    unsigned shift = 62 - (q->cluster_bits - 8);
    uint64_t sectors = (entry >> shift) & ((UINT64_C(1) << (q->cluster_bits - 8)) - 1);

    *offset = entry & ((UINT64_C(1) << shift) - 1);
    return (sectors + 1) * 512 - (*offset & 511);
}

/* ---- tables ---- */

/* Offset of the L2 table for a guest cluster; *table 0: there is none. */
static int table_of(struct qcow2 *q, uint64_t cluster, uint64_t *table, bool *own)
{
    uint64_t i = cluster >> q->l2_bits, entry;

    if (i >= q->l1_size) {
        return -EIO;
    }
    entry = q->l1[i];
    *table = entry & Q2_OFFSET_MASK;
    *own = entry & Q2_COPIED;
    if (*table & (q->cluster_size - 1)) {
        return q2_corrupt(q, "L1 entry %llu is %#llx, which is no cluster's offset",
                          (unsigned long long)i, (unsigned long long)entry);
    }
    if (*table >= atomic_load(&q->file->size)) {
        return *table ? q2_corrupt(q, "the L2 table at %#llx is beyond the end of the file",
                                   (unsigned long long)*table)
                      : 0;
    }
    return 0;
}

/* The slice with the entry of a cluster, and the entry in it. */
static int slice_of(struct qcow2 *q, uint64_t table, uint64_t cluster, uint64_t *slice, uint8_t **p,
                    unsigned *left)
{
    uint64_t i = cluster & ((UINT64_C(1) << q->l2_bits) - 1);
    unsigned per = q->l2.size / q->l2_entry;
    uint8_t *data;

    *slice = table + i / per * q->l2.size;
    int r = q2_cache_get(q, &q->l2, *slice, &data);
    if (!r) {
        *p = data + i % per * q->l2_entry;
        *left = per - (unsigned)(i % per);
    }
    return r;
}

static int check_entry(struct qcow2 *q, uint64_t entry, uint64_t cluster)
{
    uint64_t host = entry & Q2_OFFSET_MASK;

    if (!(entry & Q2_COMPRESSED) && (host & (q->cluster_size - 1))) {
        return q2_corrupt(q,
                          "the entry of guest cluster %#llx is %#llx, which is no cluster's offset",
                          (unsigned long long)cluster, (unsigned long long)entry);
    }
    return 0;
}

int q2_lookup(struct qcow2 *q, uint64_t offset, uint64_t max, struct q2_extent *e)
{
    uint64_t cluster = offset >> q->cluster_bits, table, slice, sub_size = q2_sub_size(q);
    unsigned sub = (unsigned)((offset & (q->cluster_size - 1)) / sub_size), left;
    uint8_t *p;
    bool own;
    int r = table_of(q, cluster, &table, &own);

    memset(e, 0, sizeof(*e));
    if (r) {
        return r;
    }
    if (!table) {
        uint64_t end = ((cluster >> q->l2_bits) + 1) << (q->l2_bits + q->cluster_bits);
        e->type = Q2_UNALLOCATED;
        e->bytes = end - offset < max ? end - offset : max;
        return 0;
    }
    r = slice_of(q, table, cluster, &slice, &p, &left);
    if (r) {
        return r;
    }
    bool first = true;
    uint64_t at = offset, next_host = 0;
    for (unsigned i = 0; i < left && at < offset + max; i++, p += q->l2_entry) {
        uint64_t entry = be_get64(p), bitmap = q->extended ? be_get64(p + 8) : 0;
        r = check_entry(q, entry, cluster + i);
        if (r) {
            return r;
        }
        for (; sub < q->subclusters && at < offset + max; sub++) {
            enum q2_type type = q2_type_of(q, entry, bitmap, sub);
            uint64_t in = at & (q->cluster_size - 1), host = (entry & Q2_OFFSET_MASK) + in;
            if (type == Q2_INVALID) {
                return q2_corrupt(q, "guest cluster %#llx has an impossible subcluster bitmap",
                                  (unsigned long long)(cluster + i));
            }
            if (first) {
                e->type = type;
                e->host = type == Q2_COMPRESSED_DATA ? entry : type == Q2_NORMAL ? host : 0;
                e->copied = true;
            } else if (type != e->type || (type == Q2_NORMAL && host != next_host)) {
                return 0;
            }
            if (type == Q2_NORMAL && !(entry & Q2_COPIED)) {
                if (!first && e->copied) {
                    return 0; /* writable up to here */
                }
                e->copied = false;
            } else if (!first && !e->copied && type == Q2_NORMAL) {
                return 0;
            }
            first = false;
            uint64_t n =
                type == Q2_COMPRESSED_DATA ? q->cluster_size - in : sub_size - in % sub_size;
            n = n < offset + max - at ? n : offset + max - at;
            at += n;
            next_host = host + n;
            e->bytes = at - offset;
            if (type == Q2_COMPRESSED_DATA) {
                return 0;
            }
        }
        sub = 0;
    }
    return 0;
}

int q2_entry_get(struct qcow2 *q, uint64_t cluster, uint64_t *entry, uint64_t *bitmap)
{
    uint64_t table, slice;
    unsigned left;
    uint8_t *p;
    bool own;
    int r = table_of(q, cluster, &table, &own);

    *entry = *bitmap = 0;
    if (r || !table) {
        return r;
    }
    r = slice_of(q, table, cluster, &slice, &p, &left);
    if (!r) {
        *entry = be_get64(p);
        *bitmap = q->extended ? be_get64(p + 8) : 0;
        r = check_entry(q, *entry, cluster);
    }
    return r;
}

/* An L2 table of its own for the L1 entry: a new one, or a copy of one that snapshots share. */
static int own_table(struct qcow2 *q, uint64_t i, uint64_t old, uint64_t *out)
{
    uint8_t *buf, entry[8];
    uint64_t fresh;
    int r = q2_alloc(q, 1, &fresh);

    if (r) {
        return r;
    }
    buf = calloc(1, q->cluster_size);
    if (!buf) {
        return -ENOMEM;
    }
    for (uint64_t at = 0; old && !r && at < q->cluster_size; at += q->l2.size) {
        uint8_t *slice;
        r = q2_cache_get(q, &q->l2, old + at, &slice);
        if (!r) {
            memcpy(buf + at, slice, q->l2.size);
        }
    }
    q2_cache_forget(&q->l2, fresh, q->cluster_size);
    q2_meta_set(q, fresh, 1, Q2_META_L2);
    r = r ? r : q2_write_file(q, fresh, buf, q->cluster_size, Q2_META_L2);
    free(buf);
    if (!r && !q2_lazy(q)) {
        r = q2_cache_flush(q, &q->ref);
    }
    r = r ? r : node_flush(q->file);
    be_put64(entry, fresh | Q2_COPIED);
    r = r ? r : q2_write_file(q, q->l1_offset + 8 * i, entry, 8, Q2_META_L1);
    if (r) {
        q2_meta_set(q, fresh, 1, 0);
        q2_refcount_add(q, fresh, 1, -1);
        return r;
    }
    q->l1[i] = fresh | Q2_COPIED;
    *out = fresh;
    return old ? q2_release_later(q, old, 1) : 0;
}

int q2_entry_set(struct qcow2 *q, uint64_t cluster, uint64_t entry, uint64_t bitmap)
{
    uint64_t table, slice;
    unsigned left;
    uint8_t *p;
    bool own;
    int r = table_of(q, cluster, &table, &own);

    if (!r && (!table || !own)) {
        r = own_table(q, cluster >> q->l2_bits, table, &table);
    }
    if (!r && !q2_lazy(q)) {
        q->l2.depends = &q->ref;
    }
    r = r ? r : slice_of(q, table, cluster, &slice, &p, &left);
    if (!r) {
        be_put64(p, entry);
        if (q->extended) {
            be_put64(p + 8, bitmap);
        }
        q2_cache_dirty(&q->l2, slice);
    }
    return r;
}

int q2_release_entry(struct qcow2 *q, uint64_t entry)
{
    uint64_t offset = entry & Q2_OFFSET_MASK, bytes = q->cluster_size;

    if (entry & Q2_COMPRESSED) {
        bytes = q2_compressed_range(q, entry, &offset);
    }
    return offset ? q2_release_later(q, offset, bytes) : 0;
}

/* ---- taking data away ---- */

static uint64_t bits(unsigned first, unsigned n)
{
    return ((n == 32 ? UINT64_C(0xffffffff) : (UINT64_C(1) << n) - 1)) << first;
}

/* n subclusters of one cluster become zero. */
static int zero_part(struct qcow2 *q, uint64_t cluster, unsigned first, unsigned n, bool unmap)
{
    uint64_t entry, bitmap, mask = bits(first, n), fresh = 0, fresh_map = 0;
    bool whole = n == q->subclusters;
    int r = q2_entry_get(q, cluster, &entry, &bitmap);

    if (r) {
        return r;
    }
    if (!whole && (entry & Q2_COMPRESSED)) {
        return -EOPNOTSUPP;
    }
    if (!entry && !q->node->backing && !(bitmap >> 32)) {
        return 0; /* reads as zeroes already */
    }
    bool keep = (entry & Q2_OFFSET_MASK) && !(entry & Q2_COMPRESSED) &&
                ((entry & Q2_COPIED) || !whole) && (!unmap || !whole);
    if (q->version < 3) { /* without a flag for zeroes */
        if (q->node->backing) {
            return -EOPNOTSUPP;
        }
        keep = false;
    } else if (q->extended) {
        fresh = keep ? entry : 0;
        fresh_map = (bitmap & ~(mask | mask << 32)) | mask << 32;
        fresh_map = keep || whole ? fresh_map : fresh_map & ~UINT64_C(0xffffffff);
    } else {
        fresh = (keep ? entry : 0) | Q2_ZERO;
    }
    if (fresh == entry && fresh_map == bitmap) {
        return 0;
    }
    r = q2_entry_set(q, cluster, fresh, fresh_map);
    return r || keep ? r : q2_release_entry(q, entry);
}

int q2_zero(struct qcow2 *q, uint64_t offset, uint64_t len, bool unmap)
{
    uint64_t sub_size = q2_sub_size(q);
    int r = q->corrupt ? -EIO : 0;

    while (!r && len) {
        uint64_t in = offset & (q->cluster_size - 1), n = q->cluster_size - in;
        n = n < len ? n : len;
        r = zero_part(q, offset >> q->cluster_bits, (unsigned)(in / sub_size),
                      (unsigned)(n / sub_size), unmap);
        offset += n;
        len -= n;
    }
    return r;
}

int q2_discard(struct qcow2 *q, uint64_t offset, uint64_t len)
{
    int r = q->corrupt ? -EIO : 0;

    for (uint64_t c = offset >> q->cluster_bits; !r && c < (offset + len) >> q->cluster_bits; c++) {
        uint64_t entry, bitmap, fresh = 0, fresh_map = 0;
        r = q2_entry_get(q, c, &entry, &bitmap);
        if (r || (!entry && !bitmap)) {
            continue;
        }
        if (q->version >= 3 && q->node->backing) { /* not what is in the backing file */
            fresh = q->extended ? 0 : Q2_ZERO;
            fresh_map = q->extended ? bits(32, 32) : 0;
        }
        if (fresh == entry && fresh_map == bitmap) {
            continue;
        }
        r = q2_entry_set(q, c, fresh, fresh_map);
        r = r ? r : q2_release_entry(q, entry);
    }
    return r;
}
