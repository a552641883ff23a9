/* qcow2: the caches of L2 tables and refcount blocks, in slices of up to 4 KiB, and the check that
 * a write does not hit metadata of another kind. */
#include "host/qcow2_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE = 4096 };

void q2_cache_init(struct q2_cache *c, const struct qcow2 *q, unsigned slices, enum q2_meta kind)
{
    memset(c, 0, sizeof(*c));
    c->size = q->cluster_size < SLICE ? (uint32_t)q->cluster_size : SLICE;
    c->n = slices;
    c->nbuckets = slices;
    c->kind = kind;
    c->slice = g_new0(struct q2_slice, slices);
    c->bucket = g_new0(struct q2_slice *, slices);
}

void q2_cache_free(struct q2_cache *c)
{
    for (unsigned i = 0; i < c->used; i++) {
        free(c->slice[i].data);
    }
    g_free(c->slice);
    g_free(c->bucket);
    memset(c, 0, sizeof(*c));
}

static struct q2_slice **bucket_of(struct q2_cache *c, uint64_t offset)
{
    return &c->bucket[(offset / c->size) % c->nbuckets];
}

static struct q2_slice *find(struct q2_cache *c, uint64_t offset)
{
    struct q2_slice *s = *bucket_of(c, offset);

    while (s && s->offset != offset) {
        s = s->hash_next;
    }
    return s;
}

static void unhash(struct q2_cache *c, struct q2_slice *s)
{
    if (s->offset) {
        struct q2_slice **p = bucket_of(c, s->offset);
        while (*p != s) {
            p = &(*p)->hash_next;
        }
        *p = s->hash_next;
        s->offset = 0;
        s->dirty = false;
    }
}

/* ---- overlaps ---- */

static gpointer key(const struct qcow2 *q, uint64_t offset)
{
    return GSIZE_TO_POINTER((gsize)(offset >> q->cluster_bits) + 1);
}

enum q2_meta q2_meta_get(struct qcow2 *q, uint64_t offset)
{
    return (enum q2_meta)GPOINTER_TO_INT(g_hash_table_lookup(q->meta, key(q, offset)));
}

void q2_meta_set(struct qcow2 *q, uint64_t offset, uint64_t bytes, enum q2_meta kind)
{
    for (uint64_t at = offset & ~(q->cluster_size - 1); at < offset + bytes;
         at += q->cluster_size) {
        if (kind) {
            g_hash_table_insert(q->meta, key(q, at), GINT_TO_POINTER((int)kind));
        } else {
            g_hash_table_remove(q->meta, key(q, at));
        }
    }
}

static const char *const kind_names[] = {
    "data",
    "the header",
    "the L1 table",
    "an L2 table",
    "the refcount table",
    "a refcount block",
    "the snapshot table",
    "an L1 table of a snapshot",
};

int q2_check_overlap(struct qcow2 *q, uint64_t offset, uint64_t len, enum q2_meta kind)
{
    for (uint64_t at = offset & ~(q->cluster_size - 1); at < offset + len; at += q->cluster_size) {
        enum q2_meta there = q2_meta_get(q, at);
        if (there && there != kind) {
            return q2_corrupt(q, "a write of %s to offset %#llx would overwrite %s",
                              kind_names[kind], (unsigned long long)offset, kind_names[there]);
        }
    }
    return 0;
}

int q2_write_file(struct qcow2 *q, uint64_t offset, const void *buf, uint64_t len,
                  enum q2_meta kind)
{
    int r = q->corrupt ? -EIO : q2_check_overlap(q, offset, len, kind);

    return r ? r : node_pwrite(q->file, offset, buf, len);
}

/* ---- reading and writing ---- */

static int write_slice(struct qcow2 *q, struct q2_cache *c, struct q2_slice *s)
{
    int r = 0;

    if (c->depends) {
        bool any = false;
        for (unsigned i = 0; i < c->depends->used && !any; i++) {
            any = c->depends->slice[i].dirty;
        }
        r = any ? q2_cache_flush(q, c->depends) : 0;
        c->flush_first |= any;
        c->depends = r ? c->depends : NULL;
    }
    if (!r && c->flush_first) {
        r = node_flush(q->file);
        c->flush_first = r != 0;
    }
    r = r ? r : q2_write_file(q, s->offset, s->data, c->size, c->kind);
    s->dirty = r != 0;
    return r;
}

int q2_cache_get(struct qcow2 *q, struct q2_cache *c, uint64_t offset, uint8_t **data)
{
    struct q2_slice *s = find(c, offset);

    if (!s && c->cached_only) {
        return -EAGAIN;
    }
    if (!s && c->used < c->n) {
        s = &c->slice[c->used];
        s->data = malloc(c->size);
        if (!s->data) {
            return -ENOMEM;
        }
        c->used++;
    }
    if (!s) { /* the one that was not used for the longest time */
        s = &c->slice[0];
        for (unsigned i = 1; i < c->n; i++) {
            s = c->slice[i].stamp < s->stamp ? &c->slice[i] : s;
        }
        int r = s->dirty ? write_slice(q, c, s) : 0;
        if (r) {
            return r;
        }
    }
    s->stamp = ++c->stamp;
    if (s->offset != offset) {
        unhash(c, s);
        int r = node_pread(q->file, offset, s->data, c->size);
        if (r) {
            s->stamp = 0;
            return r;
        }
        s->offset = offset;
        s->hash_next = *bucket_of(c, offset);
        *bucket_of(c, offset) = s;
    }
    *data = s->data;
    return 0;
}

void q2_cache_dirty(struct q2_cache *c, uint64_t offset)
{
    find(c, offset)->dirty = true;
}

int q2_cache_flush(struct qcow2 *q, struct q2_cache *c)
{
    int result = 0;

    for (unsigned i = 0; i < c->used; i++) {
        if (c->slice[i].dirty) {
            int r = write_slice(q, c, &c->slice[i]);
            result = result ? result : r;
        }
    }
    return result;
}

void q2_cache_forget(struct q2_cache *c, uint64_t offset, uint64_t len)
{
    for (uint64_t at = offset & ~(uint64_t)(c->size - 1); at < offset + len; at += c->size) {
        struct q2_slice *s = find(c, at);
        if (s) {
            unhash(c, s);
            s->stamp = 0;
        }
    }
}
