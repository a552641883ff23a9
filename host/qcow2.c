/* qcow2: opening and closing, what is told of an image, and the driver's table. */
#include "host/qcow2_internal.h"

#include <stdlib.h>
#include <string.h>

static int qcow2_status(struct block_node *n, uint64_t offset, uint64_t *len)
{
    static const int answers[] = {
        [Q2_UNALLOCATED] = 0,
        [Q2_UNALLOCATED_ALLOC] = 0,
        [Q2_ZERO_PLAIN] = NODE_ZERO | NODE_ALLOCATED,
        [Q2_ZERO_ALLOC] = NODE_ZERO | NODE_ALLOCATED,
        [Q2_NORMAL] = NODE_DATA | NODE_ALLOCATED,
        [Q2_COMPRESSED_DATA] = NODE_DATA | NODE_ALLOCATED | NODE_COMPRESSED,
    };
    struct qcow2 *q = n->state;
    struct q2_extent e;

    pthread_mutex_lock(&q->lock);
    int r = q2_lookup(q, offset, *len, &e);
    pthread_mutex_unlock(&q->lock);
    if (r) {
        return r;
    }
    *len = e.bytes;
    r = answers[e.type];
    return !r && !n->backing ? NODE_ZERO : r;
}

static void set(json_t *o, const char *key, json_t *value)
{
    json_object_set_new(o, key, value);
}

static void qcow2_info(struct block_node *n, struct node_info *info)
{
    struct qcow2 *q = n->state;

    pthread_mutex_lock(&q->lock);
    info->cluster_size = q->cluster_size;
    info->dirty = q->incompatible & Q2_INCOMPAT_DIRTY;
    info->corrupt = q->incompatible & Q2_INCOMPAT_CORRUPT;
    info->specific = json_object();
    set(info->specific, "compat", json_string(q->version < 3 ? "0.10" : "1.1"));
    set(info->specific, "compression-type", json_string(q->compression ? "zstd" : "zlib"));
    if (q->version >= 3) {
        set(info->specific, "lazy-refcounts", json_boolean(q2_lazy(q)));
    }
    set(info->specific, "refcount-bits", json_integer(1 << q->refcount_order));
    if (q->version >= 3) {
        set(info->specific, "corrupt", json_boolean(info->corrupt));
        set(info->specific, "extended-l2", json_boolean(q->extended));
    }
    info->snapshots = q->nsnapshots ? q2_snapshot_list(q) : NULL;
    pthread_mutex_unlock(&q->lock);
}

static int qcow2_check(struct block_node *n, struct node_check *c, unsigned fix)
{
    struct qcow2 *q = n->state;

    pthread_rwlock_wrlock(&q->users);
    pthread_mutex_lock(&q->lock);
    int r = q2_check(q, c, fix);
    pthread_mutex_unlock(&q->lock);
    pthread_rwlock_unlock(&q->users);
    return r;
}

/* ---- opening and closing ---- */

static bool repair(struct qcow2 *q, struct error *err)
{
    struct node_check c = {0};
    int r = q2_check(q, &c, CHECK_FIX_ERRORS | CHECK_FIX_LEAKS);

    if (r || c.errors || c.corruptions) {
        return error_set(
            err, "image '%s' was not closed, and its refcounts cannot be repaired (see img check)",
            q->node->filename);
    }
    r = q2_set_incompatible(q, 0, Q2_INCOMPAT_DIRTY);
    return !r || error_set(err, "image '%s': %s", q->node->filename, strerror(-r));
}

static void note_metadata(struct qcow2 *q)
{
    q2_meta_set(q, 0, 1, Q2_META_HEADER);
    q2_meta_set(q, q->l1_offset, (uint64_t)q->l1_size * 8, Q2_META_L1);
    q2_meta_set(q, q->reft_offset, q->reft_size * 8, Q2_META_REFTABLE);
    q2_meta_set(q, q->snapshots_offset, q->snapshots_bytes, Q2_META_SNAPSHOTS);
    for (uint64_t i = 0; i < q->reft_size; i++) {
        if (q->reft[i] & Q2_REFT_MASK) {
            q2_meta_set(q, q->reft[i] & Q2_REFT_MASK, 1, Q2_META_REFBLOCK);
        }
    }
    for (uint32_t i = 0; i < q->l1_size; i++) {
        if (q->l1[i] & Q2_OFFSET_MASK) {
            q2_meta_set(q, q->l1[i] & Q2_OFFSET_MASK, 1, Q2_META_L2);
        }
    }
    for (uint32_t i = 0; i < q->nsnapshots; i++) {
        q2_meta_set(q, q->snapshot[i].l1_offset, (uint64_t)q->snapshot[i].l1_size * 8,
                    Q2_META_SNAPSHOT_L1);
    }
}

static bool qcow2_open(struct block_node *n, json_t *options, struct error *err)
{
    struct qcow2 *q = n->state;
    pthread_rwlockattr_t attr;

    (void)options;
    q->node = n;
    q->file = n->file;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->alloc_done, NULL);
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&q->users, &attr);
    pthread_rwlockattr_destroy(&attr);
    q->meta = g_hash_table_new(NULL, NULL);
    if (!q2_read_header(q, err)) {
        return false;
    }
    q2_cache_init(&q->l2, q, 1024, Q2_META_L2);
    q2_cache_init(&q->ref, q, 256, Q2_META_REFBLOCK);
    if (!q2_read_table(q, q->l1_offset, q->l1_size, &q->l1, "L1 table", err) ||
        !q2_read_table(q, q->reft_offset, q->reft_size, &q->reft, "refcount table", err) ||
        !q2_read_snapshots(q, err)) {
        return false;
    }
    note_metadata(q);
    if (n->flags.readonly || n->flags.no_io) {
        q->ready = !n->flags.readonly;
        return true;
    }
    if (q->incompatible & Q2_INCOMPAT_CORRUPT) {
        return error_set(err,
                         "image '%s' is marked as corrupt: it can only be read, or repaired with "
                         "img check -r all",
                         n->filename);
    }
    q->ready = true;
    if ((q->incompatible & Q2_INCOMPAT_DIRTY) && !repair(q, err)) {
        q->ready = false;
        return false;
    }
    if (q->autoclear) { /* none of these do we keep up to date */
        q->autoclear = 0;
        int r = q2_write_header(q);
        if (r) {
            return error_set(err, "image '%s': cannot write the header: %s", n->filename,
                             strerror(-r));
        }
    }
    return true;
}

static void qcow2_close(struct block_node *n)
{
    struct qcow2 *q = n->state;

    if (!q->meta) {
        return;
    }
    if (q->ready && !q->corrupt) {
        pthread_mutex_lock(&q->lock);
        q2_release(q);
        int r = q2_cache_flush(q, &q->l2);
        r = r ? r : q2_cache_flush(q, &q->ref);
        r = r ? r : node_flush(q->file);
        if (!r && (q->incompatible & Q2_INCOMPAT_DIRTY) && !n->flags.no_io) {
            q2_set_incompatible(q, 0, Q2_INCOMPAT_DIRTY);
        }
        pthread_mutex_unlock(&q->lock);
    }
    q2_cache_free(&q->l2);
    q2_cache_free(&q->ref);
    q2_free_snapshots(q);
    for (unsigned i = 0; i < q->nextensions; i++) {
        free(q->extension[i].data);
    }
    free(q->extension);
    free(q->l1);
    free(q->reft);
    g_free(q->release);
    g_hash_table_destroy(q->meta);
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->alloc_done);
    pthread_rwlock_destroy(&q->users);
}

/* Accepted for the sake of command lines; the caches have fixed sizes. */
static const char *const qcow2_options[] = {
    "lazy-refcounts",
    "pass-discard-request",
    "pass-discard-snapshot",
    "pass-discard-other",
    "overlap-check",
    "cache-size",
    "l2-cache-size",
    "l2-cache-entry-size",
    "refcount-cache-size",
    "cache-clean-interval",
    NULL,
};

const struct node_driver node_driver_qcow2 = {
    .name = "qcow2",
    .state_size = sizeof(struct qcow2),
    .options = qcow2_options,
    .open = qcow2_open,
    .close = qcow2_close,
    .read = q2_node_read,
    .read_now = q2_node_read_now,
    .write = q2_node_write,
    .flush = q2_node_flush,
    .discard = q2_node_discard,
    .zero = q2_node_zero,
    .write_compressed = q2_node_write_compressed,
    .status = qcow2_status,
    .truncate = q2_truncate,
    .info = qcow2_info,
    .check = qcow2_check,
};
