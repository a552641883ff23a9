/* qcow2: internal snapshots. A snapshot is a copy of the L1 table; all it leads to has its refcount
 * raised, so that later writes take other clusters. */
#include "host/qcow2_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FIXED = 40, EXTRA_KNOWN = 24 };

static bool bad(struct qcow2 *q, const char *what, struct error *err)
{
    return error_set(err, "qcow2 image '%s': snapshot table: %s", q->node->filename, what);
}

/* ---- the table ---- */

static bool read_one(struct qcow2 *q, struct q2_snapshot *s, uint64_t *at, struct error *err)
{
    uint64_t size = atomic_load(&q->file->size);
    uint8_t h[FIXED];

    if (*at > size || size - *at < FIXED || node_pread(q->file, *at, h, FIXED)) {
        return bad(q, "it has been cut off, or is damaged", err);
    }
    uint32_t id_len = be_get16(h + 12), name_len = be_get16(h + 14), vm_state = be_get32(h + 32);
    s->l1_offset = be_get64(h);
    s->l1_size = be_get32(h + 8);
    s->date_sec = be_get32(h + 16);
    s->date_nsec = be_get32(h + 20);
    s->vm_clock = be_get64(h + 24);
    s->extra_size = be_get32(h + 36);
    if (s->extra_size > 1024 || *at + FIXED + s->extra_size + id_len + name_len > size) {
        return bad(q, "an entry is too long", err);
    }
    s->extra = calloc(1, s->extra_size + EXTRA_KNOWN);
    s->id = calloc(1, id_len + 1);
    s->name = calloc(1, name_len + 1);
    *at += FIXED;
    int r = node_pread(q->file, *at, s->extra, s->extra_size);
    r = r ? r : node_pread(q->file, *at + s->extra_size, s->id, id_len);
    r = r ? r : node_pread(q->file, *at + s->extra_size + id_len, s->name, name_len);
    *at = (*at + s->extra_size + id_len + name_len + 7) & ~UINT64_C(7);
    s->vm_state_size = s->extra_size >= 8 ? be_get64(s->extra) : vm_state;
    s->disk_size = s->extra_size >= 16 ? be_get64(s->extra + 8) : atomic_load(&q->node->size);
    s->icount = s->extra_size >= 24 ? be_get64(s->extra + 16) : UINT64_MAX;
    if (s->l1_size > Q2_MAX_L1 / 8 || s->l1_offset & (q->cluster_size - 1) || s->l1_offset > size ||
        (uint64_t)s->l1_size * 8 > size - s->l1_offset) {
        return bad(q, "the L1 table of a snapshot is not in the file", err);
    }
    return !r || bad(q, "cannot be read", err);
}

bool q2_read_snapshots(struct qcow2 *q, struct error *err)
{
    uint64_t at = q->snapshots_offset;
    uint32_t n = q->nsnapshots;

    q->nsnapshots = 0;
    if (!n) {
        return true;
    }
    if (at & (q->cluster_size - 1) || !at) {
        return bad(q, "its offset is no cluster's", err);
    }
    q->snapshot = calloc(n, sizeof(q->snapshot[0]));
    for (uint32_t i = 0; i < n; i++) {
        q->nsnapshots = i + 1;
        if (!read_one(q, &q->snapshot[i], &at, err)) {
            return false;
        }
    }
    q->snapshots_bytes = at - q->snapshots_offset;
    return true;
}

static void free_one(struct q2_snapshot *s)
{
    free(s->id);
    free(s->name);
    free(s->extra);
}

void q2_free_snapshots(struct qcow2 *q)
{
    for (uint32_t i = 0; q->snapshot && i < q->nsnapshots; i++) {
        free_one(&q->snapshot[i]);
    }
    free(q->snapshot);
}

static size_t entry_bytes(const struct q2_snapshot *s)
{
    size_t extra = s->extra_size > EXTRA_KNOWN ? s->extra_size : EXTRA_KNOWN;

    return (FIXED + extra + strlen(s->id) + strlen(s->name) + 7) & ~(size_t)7;
}

static void put_entry(const struct q2_snapshot *s, uint8_t *p)
{
    uint32_t extra = s->extra_size > EXTRA_KNOWN ? s->extra_size : EXTRA_KNOWN;

    be_put64(p, s->l1_offset);
    be_put32(p + 8, s->l1_size);
    be_put16(p + 12, (uint16_t)strlen(s->id));
    be_put16(p + 14, (uint16_t)strlen(s->name));
    be_put32(p + 16, s->date_sec);
    be_put32(p + 20, s->date_nsec);
    be_put64(p + 24, s->vm_clock);
    be_put32(p + 32, s->vm_state_size > UINT32_MAX ? 0 : (uint32_t)s->vm_state_size);
    be_put32(p + 36, extra);
    p += FIXED;
    memcpy(p, s->extra, s->extra_size);
    be_put64(p, s->vm_state_size);
    be_put64(p + 8, s->disk_size);
    be_put64(p + 16, s->icount);
    memcpy(p + extra, s->id, strlen(s->id));
    memcpy(p + extra + strlen(s->id), s->name, strlen(s->name));
}

/* The new table goes to new clusters, then the header changes in one write, then the old one is
 * given up. */
static int write_table(struct qcow2 *q, const struct q2_snapshot *list, uint32_t n)
{
    uint64_t bytes = 0, at = 0, offset = 0;
    uint8_t *buf, header[12];
    int r = 0;

    for (uint32_t i = 0; i < n; i++) {
        bytes += entry_bytes(&list[i]);
    }
    if (bytes > Q2_MAX_SNAPSHOT_TABLE) {
        return -EFBIG;
    }
    buf = calloc(1, bytes + 1);
    for (uint32_t i = 0; i < n; i++) {
        put_entry(&list[i], buf + at);
        at += entry_bytes(&list[i]);
    }
    if (bytes) {
        r = q2_alloc(q, q2_clusters(q, bytes), &offset);
        if (!r) {
            q2_meta_set(q, offset, bytes, Q2_META_SNAPSHOTS);
            r = q2_write_file(q, offset, buf, bytes, Q2_META_SNAPSHOTS);
        }
    }
    free(buf);
    r = r ? r : q2_cache_flush(q, &q->l2);
    r = r ? r : q2_cache_flush(q, &q->ref);
    r = r ? r : node_flush(q->file);
    be_put32(header, n);
    be_put64(header + 4, offset);
    r = r ? r : q2_write_file(q, 60, header, 12, Q2_META_HEADER);
    r = r ? r : node_flush(q->file);
    if (!r) {
        uint64_t old = q->snapshots_offset, old_bytes = q->snapshots_bytes;
        q->snapshots_offset = offset;
        q->snapshots_bytes = bytes;
        q2_meta_set(q, old, old_bytes, 0);
        r = old_bytes ? q2_refcount_add(q, old, old_bytes, -1) : 0;
    }
    return r;
}

json_t *q2_snapshot_list(struct qcow2 *q)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < q->nsnapshots; i++) {
        const struct q2_snapshot *s = &q->snapshot[i];
        json_t *o = json_object();
        json_object_set_new(o, "id", json_string(s->id));
        json_object_set_new(o, "name", json_string(s->name));
        json_object_set_new(o, "vm-state-size", json_integer((json_int_t)s->vm_state_size));
        json_object_set_new(o, "date-sec", json_integer(s->date_sec));
        json_object_set_new(o, "date-nsec", json_integer(s->date_nsec));
        json_object_set_new(o, "vm-clock-sec",
                            json_integer((json_int_t)(s->vm_clock / 1000000000)));
        json_object_set_new(o, "vm-clock-nsec",
                            json_integer((json_int_t)(s->vm_clock % 1000000000)));
        if (s->icount != UINT64_MAX) {
            json_object_set_new(o, "icount", json_integer((json_int_t)s->icount));
        }
        json_array_append_new(list, o);
    }
    return list;
}

/* ---- refcounts ---- */

/* Adds to the refcounts of all that an L2 table leads to. */
static int add_table(struct qcow2 *q, uint64_t table, int addend)
{
    uint8_t *copy = malloc(q->cluster_size);
    int r = copy ? 0 : -ENOMEM;

    for (uint64_t at = 0; !r && at < q->cluster_size; at += q->l2.size) {
        uint8_t *slice;
        r = q2_cache_get(q, &q->l2, table + at, &slice);
        if (!r) {
            memcpy(copy + at, slice, q->l2.size);
        }
    }
    for (uint64_t at = 0; !r && at < q->cluster_size; at += q->l2_entry) {
        uint64_t entry = be_get64(copy + at), offset = entry & Q2_OFFSET_MASK, bytes = 1;
        if (entry & Q2_COMPRESSED) {
            bytes = q2_compressed_range(q, entry, &offset);
        } else if (offset & (q->cluster_size - 1)) {
            r = q2_corrupt(q, "an entry of the L2 table at %#" PRIx64 " is no cluster's offset",
                           table);
            break;
        }
        r = offset ? q2_refcount_add(q, offset, bytes, addend) : 0;
    }
    free(copy);
    return r;
}

static int add_tables(struct qcow2 *q, const uint64_t *l1, uint64_t n, int addend)
{
    int r = 0;

    for (uint64_t i = 0; !r && i < n; i++) {
        uint64_t table = l1[i] & Q2_OFFSET_MASK;
        if (table & (q->cluster_size - 1)) {
            return q2_corrupt(q, "L1 entry %" PRIu64 " is no cluster's offset", i);
        }
        if (table) {
            r = add_table(q, table, addend);
            r = r ? r : q2_refcount_add(q, table, 1, addend);
        }
    }
    return r;
}

static int fix_slice(struct qcow2 *q, uint64_t at)
{
    uint8_t *slice, copy[4096];
    bool changed = false;
    int r = q2_cache_get(q, &q->l2, at, &slice);

    if (r) {
        return r;
    }
    memcpy(copy, slice, q->l2.size);
    for (unsigned i = 0; !r && i < q->l2.size; i += q->l2_entry) {
        uint64_t entry = be_get64(copy + i), v;
        if (entry & Q2_COMPRESSED || !(entry & Q2_OFFSET_MASK)) {
            continue;
        }
        r = q2_refcount_get(q, (entry & Q2_OFFSET_MASK) >> q->cluster_bits, &v);
        if (!r && (v == 1) != !!(entry & Q2_COPIED)) {
            be_put64(copy + i, entry ^ Q2_COPIED);
            changed = true;
        }
    }
    r = r || !changed ? r : q2_cache_get(q, &q->l2, at, &slice);
    if (!r && changed) {
        memcpy(slice, copy, q->l2.size);
        q2_cache_dirty(&q->l2, at);
    }
    return r;
}

int q2_fix_copied(struct qcow2 *q)
{
    bool changed = false;
    int r = 0;

    for (uint32_t i = 0; !r && i < q->l1_size; i++) {
        uint64_t table = q->l1[i] & Q2_OFFSET_MASK, v;
        if (!table) {
            continue;
        }
        r = q2_refcount_get(q, table >> q->cluster_bits, &v);
        if (!r && (v == 1) != !!(q->l1[i] & Q2_COPIED)) {
            q->l1[i] ^= Q2_COPIED;
            changed = true;
        }
        for (uint64_t at = 0; !r && at < q->cluster_size; at += q->l2.size) {
            r = fix_slice(q, table + at);
        }
    }
    q->l2.depends = &q->ref;
    r = r ? r : q2_cache_flush(q, &q->l2);
    r = r ? r : q2_cache_flush(q, &q->ref);
    r = r || !changed ? r : q2_write_table(q, q->l1_offset, q->l1, q->l1_size, Q2_META_L1);
    return r ? r : node_flush(q->file);
}

/* ---- what img and the monitors ask for ---- */

static int find(const struct qcow2 *q, const char *tag)
{
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < q->nsnapshots; i++) {
            if (!strcmp(pass ? q->snapshot[i].id : q->snapshot[i].name, tag)) {
                return (int)i;
            }
        }
    }
    return -1;
}

static int create(struct qcow2 *q, const char *name)
{
    struct q2_snapshot s = {
        .l1_size = q->l1_size, .disk_size = atomic_load(&q->node->size), .icount = UINT64_MAX};
    unsigned long id = 0;
    struct timespec now;
    char text[24];
    int r = q2_release(q);

    for (uint32_t i = 0; i < q->nsnapshots; i++) {
        unsigned long n = strtoul(q->snapshot[i].id, NULL, 10);
        id = n > id ? n : id;
    }
    snprintf(text, sizeof(text), "%lu", id + 1);
    clock_gettime(CLOCK_REALTIME, &now);
    s.id = strdup(text);
    s.name = strdup(name);
    s.extra = calloc(1, EXTRA_KNOWN);
    s.date_sec = (uint32_t)now.tv_sec;
    s.date_nsec = (uint32_t)now.tv_nsec;
    r = r ? r : add_tables(q, q->l1, q->l1_size, 1);
    r = r ? r : q2_fix_copied(q);
    r = r ? r : q2_alloc(q, q2_clusters(q, (uint64_t)q->l1_size * 8), &s.l1_offset);
    if (!r) {
        q2_meta_set(q, s.l1_offset, (uint64_t)s.l1_size * 8, Q2_META_SNAPSHOT_L1);
        r = q2_write_table(q, s.l1_offset, q->l1, q->l1_size, Q2_META_SNAPSHOT_L1);
    }
    if (!r) {
        q->snapshot = g_realloc(q->snapshot, (q->nsnapshots + 1) * sizeof(s));
        q->snapshot[q->nsnapshots] = s;
        r = write_table(q, q->snapshot, q->nsnapshots + 1);
        q->nsnapshots += !r;
    }
    if (r) {
        free_one(&s);
    }
    r = r ? r : q2_flush_metadata(q);
    return r ? r : node_flush(q->file);
}

static int delete (struct qcow2 *q, uint32_t i)
{
    struct q2_snapshot s = q->snapshot[i];
    struct error err;
    uint64_t *l1 = NULL;
    int r = q2_release(q);

    if (!r && !q2_read_table(q, s.l1_offset, s.l1_size, &l1, "L1 table of the snapshot", &err)) {
        r = -EIO;
    }
    if (!r) {
        memmove(&q->snapshot[i], &q->snapshot[i + 1], (q->nsnapshots - i - 1) * sizeof(s));
        q->snapshot[q->nsnapshots - 1] = s;
        r = write_table(q, q->snapshot, q->nsnapshots - 1);
        if (!r) {
            q->nsnapshots--;
            free_one(&s);
            r = add_tables(q, l1, s.l1_size, -1);
            q2_meta_set(q, s.l1_offset, (uint64_t)s.l1_size * 8, 0);
            r = r ? r : q2_refcount_add(q, s.l1_offset, (uint64_t)s.l1_size * 8, -1);
            r = r ? r : q2_fix_copied(q);
        }
    }
    free(l1);
    return r;
}

static int apply(struct qcow2 *q, uint32_t i, struct error *err)
{
    struct q2_snapshot *s = &q->snapshot[i];
    uint64_t *l1 = NULL, *old;
    uint8_t b[8];
    int r = q2_release(q);

    if (!r && (!q2_read_table(q, s->l1_offset, s->l1_size, &l1, "L1 table of the snapshot", err) ||
               !q2_grow_l1(q, s->l1_size, err))) {
        free(l1);
        return -EIO;
    }
    l1 = g_realloc(l1, ((size_t)q->l1_size + 1) * 8);
    memset(l1 + s->l1_size, 0, ((size_t)q->l1_size - s->l1_size) * 8);
    for (uint32_t k = 0; k < q->l1_size; k++) {
        l1[k] &= ~Q2_COPIED;
    }
    r = r ? r : add_tables(q, l1, q->l1_size, 1);
    r = r ? r : q2_cache_flush(q, &q->ref);
    r = r ? r : node_flush(q->file);
    r = r ? r : q2_write_table(q, q->l1_offset, l1, q->l1_size, Q2_META_L1);
    if (!r && s->disk_size != atomic_load(&q->node->size)) {
        be_put64(b, s->disk_size);
        r = q2_write_file(q, 24, b, 8, Q2_META_HEADER);
        if (!r) {
            atomic_store(&q->node->size, s->disk_size);
        }
    }
    r = r ? r : node_flush(q->file);
    if (r) {
        free(l1);
        return r;
    }
    old = q->l1;
    q->l1 = l1;
    for (uint32_t k = 0; k < q->l1_size; k++) {
        if (l1[k] & Q2_OFFSET_MASK) {
            q2_meta_set(q, l1[k] & Q2_OFFSET_MASK, 1, Q2_META_L2);
        }
    }
    r = add_tables(q, old, q->l1_size, -1);
    free(old);
    return r ? r : q2_fix_copied(q);
}

static bool change(struct block_node *n, const char *tag, int what, struct error *err)
{
    struct qcow2 *q = n->state;
    static const char *const names[] = {"create", "delete", "apply"};
    int r = -EINVAL, i;

    if (n->driver != &node_driver_qcow2) {
        return error_set(err, "format '%s' has no snapshots", n->driver->name);
    }
    if (n->flags.readonly) {
        return error_set(err, "image '%s' is read only", n->filename);
    }
    pthread_rwlock_wrlock(&q->users);
    pthread_mutex_lock(&q->lock);
    i = find(q, tag);
    err->msg[0] = 0;
    if (what && i < 0) {
        error_set(err, "there is no snapshot '%s'", tag);
    } else if (!what && i >= 0 && !strcmp(q->snapshot[i].name, tag)) {
        error_set(err, "there is already a snapshot '%s'", tag);
    } else {
        r = what == 0   ? create(q, tag)
            : what == 1 ? delete (q, (uint32_t)i)
                        : apply(q, (uint32_t)i, err);
    }
    pthread_mutex_unlock(&q->lock);
    pthread_rwlock_unlock(&q->users);
    if (r && err->msg[0]) {
        return error_prefix(err, "cannot %s snapshot '%s'", names[what], tag);
    }
    return !r || error_set(err, "cannot %s snapshot '%s': %s", names[what], tag, strerror(-r));
}

bool qcow2_snapshot_create(struct block_node *n, const char *name, struct error *err)
{
    return change(n, name, 0, err);
}

bool qcow2_snapshot_delete(struct block_node *n, const char *tag, struct error *err)
{
    return change(n, tag, 1, err);
}

bool qcow2_snapshot_apply(struct block_node *n, const char *tag, struct error *err)
{
    return change(n, tag, 2, err);
}

bool qcow2_snapshot_view(struct block_node *n, const char *tag, struct error *err)
{
    struct qcow2 *q = n->state;
    uint64_t *l1;
    int i;

    if (n->driver != &node_driver_qcow2 || !n->flags.readonly) {
        return error_set(err, "image '%s' has no snapshots, or is open for writing", n->filename);
    }
    i = find(q, tag);
    if (i < 0) {
        return error_set(err, "there is no snapshot '%s'", tag);
    }
    if (!q2_read_table(q, q->snapshot[i].l1_offset, q->snapshot[i].l1_size, &l1,
                       "L1 table of the snapshot", err)) {
        return false;
    }
    free(q->l1);
    q->l1 = l1;
    q->l1_size = q->snapshot[i].l1_size;
    atomic_store(&n->size, q->snapshot[i].disk_size);
    return true;
}
