/* qcow2: reading, writing, discarding and flushing. */
#include "host/qcow2_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BOUNCE_MAX = 256 << 10 };

/* ---- reading ---- */

static int read_backing(struct qcow2 *q, uint64_t offset, uint64_t len, const struct node_vec *v,
                        size_t skip)
{
    struct block_node *b = q->node->backing;
    uint64_t size = b ? atomic_load(&b->size) : 0, n = offset < size ? size - offset : 0;
    int r = 0;

    n = n < len ? n : len;
    if (n) {
        r = node_readv(b, offset, n, v, skip);
    }
    if (!r && n < len) {
        node_vec_zero(v, skip + n, len - n); /* the backing file is smaller */
    }
    return r;
}

static int read_compressed(struct qcow2 *q, uint64_t entry, uint64_t in, uint64_t len,
                           const struct node_vec *v, size_t skip)
{
    uint64_t at, bytes = q2_compressed_range(q, entry, &at);
    uint8_t *packed = malloc(bytes), *plain = malloc(q->cluster_size);
    int r = packed && plain ? node_pread(q->file, at, packed, bytes) : -ENOMEM;

    r = r ? r : q2_decompress(q->compression, packed, bytes, plain, q->cluster_size);
    if (!r) {
        node_vec_from(v, skip, plain + in, len);
    }
    free(packed);
    free(plain);
    return r;
}

int q2_read(struct qcow2 *q, uint64_t offset, uint64_t len, const struct node_vec *v, size_t skip)
{
    int r = 0;

    while (!r && len) {
        struct q2_extent e;
        pthread_mutex_lock(&q->lock);
        r = q2_lookup(q, offset, len, &e);
        pthread_mutex_unlock(&q->lock);
        if (r) {
            break;
        }
        switch (e.type) {
        case Q2_NORMAL:
            r = node_readv(q->file, e.host, e.bytes, v, skip);
            break;
        case Q2_ZERO_PLAIN:
        case Q2_ZERO_ALLOC:
            node_vec_zero(v, skip, e.bytes);
            break;
        case Q2_COMPRESSED_DATA:
            r = read_compressed(q, e.host, offset & (q->cluster_size - 1), e.bytes, v, skip);
            break;
        default:
            r = read_backing(q, offset, e.bytes, v, skip);
            break;
        }
        offset += e.bytes;
        skip += e.bytes;
        len -= e.bytes;
    }
    return r;
}

int q2_node_read(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                 size_t skip)
{
    struct qcow2 *q = n->state;

    pthread_rwlock_rdlock(&q->users);
    int r = q2_read(q, offset, len, v, skip);
    pthread_rwlock_unlock(&q->users);
    return r;
}

static int read_backing_now(struct qcow2 *q, uint64_t offset, uint64_t len,
                            const struct node_vec *v, size_t skip)
{
    struct block_node *b = q->node->backing;
    uint64_t size = b ? atomic_load(&b->size) : 0;

    if (offset + len <= size) {
        return node_readv_now(b, offset, len, v, skip);
    }
    if (offset < size) {
        return -EAGAIN;
    }
    node_vec_zero(v, skip, len);
    return 0;
}

static int read_now(struct qcow2 *q, uint64_t offset, uint64_t len, const struct node_vec *v,
                    size_t skip)
{
    int r = 0;

    while (!r && len) {
        struct q2_extent e;
        if (pthread_mutex_trylock(&q->lock)) {
            return -EAGAIN;
        }
        q->l2.cached_only = true;
        r = q2_lookup(q, offset, len, &e);
        q->l2.cached_only = false;
        pthread_mutex_unlock(&q->lock);
        if (r) {
            break;
        }
        switch (e.type) {
        case Q2_NORMAL:
            r = node_readv_now(q->file, e.host, e.bytes, v, skip);
            break;
        case Q2_ZERO_PLAIN:
        case Q2_ZERO_ALLOC:
            node_vec_zero(v, skip, e.bytes);
            break;
        case Q2_COMPRESSED_DATA:
            r = -EAGAIN;
            break;
        default:
            r = read_backing_now(q, offset, e.bytes, v, skip);
            break;
        }
        offset += e.bytes;
        skip += e.bytes;
        len -= e.bytes;
    }
    return r;
}

int q2_node_read_now(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                     size_t skip)
{
    struct qcow2 *q = n->state;

    if (pthread_rwlock_tryrdlock(&q->users)) {
        return -EAGAIN;
    }
    int r = read_now(q, offset, len, v, skip);
    pthread_rwlock_unlock(&q->users);
    return r;
}

/* ---- writing into clusters that have to be taken first ---- */

struct fill { /* a run of guest clusters that get their data, and their places in the file */
    uint64_t cluster, n; /* guest clusters */
    uint64_t host;
    uint64_t offset, len;   /* what is written */
    uint64_t start, end;    /* what has to be filled: the subclusters (or clusters) around it */
    bool reuse;             /* the cluster is there and its own */
    uint64_t entry, bitmap; /* of the first cluster before; the last one's: */
    uint64_t last_entry, last_bitmap;
};

static bool has_data(uint64_t entry, uint64_t bitmap, const struct qcow2 *q)
{
    return (entry & Q2_COMPRESSED) ||
           (q->extended ? (bitmap & 0xffffffff) != 0 : (entry & Q2_OFFSET_MASK) != 0);
}

/* Can the cluster's data stay where it is? */
static bool own_cluster(uint64_t entry)
{
    return (entry & Q2_OFFSET_MASK) && (entry & Q2_COPIED) && !(entry & Q2_COMPRESSED);
}

static bool conflicts(const struct qcow2 *q, uint64_t cluster)
{
    for (const struct q2_alloc *a = q->allocs; a; a = a->next) {
        if (cluster >= a->first && cluster < a->first + a->n) {
            return true;
        }
    }
    return false;
}

/* How many clusters from f->cluster on need new places and may be done together. */
static int plan(struct qcow2 *q, uint64_t offset, uint64_t len, struct fill *f)
{
    uint64_t last = (offset + len - 1) >> q->cluster_bits;
    uint64_t max = BOUNCE_MAX * 8 / q->cluster_size ? BOUNCE_MAX * 8 / q->cluster_size : 1;
    int r;

    f->cluster = offset >> q->cluster_bits;
    f->n = 0;
    f->offset = offset;
    r = q2_entry_get(q, f->cluster, &f->entry, &f->bitmap);
    f->reuse = !r && own_cluster(f->entry);
    for (uint64_t c = f->cluster; !r && c <= last && f->n < max; c++) {
        uint64_t entry, bitmap;
        r = q2_entry_get(q, c, &entry, &bitmap);
        if (r || (c > f->cluster && (f->reuse || own_cluster(entry) || conflicts(q, c)))) {
            break;
        }
        f->last_entry = entry;
        f->last_bitmap = bitmap;
        f->n++;
    }
    uint64_t end = (f->cluster + f->n) << q->cluster_bits;
    f->len = (offset + len < end ? offset + len : end) - offset;
    return r;
}

/* What of the first and last cluster has to be copied beside the written bytes. */
static void plan_copy(const struct qcow2 *q, struct fill *f)
{
    uint64_t grain = q2_sub_size(q), end = f->offset + f->len, start_grain = grain,
             end_grain = grain;

    if (!f->reuse) { /* data that is elsewhere now moves with the whole cluster */
        start_grain = has_data(f->entry, f->bitmap, q) ? q->cluster_size : grain;
        end_grain = has_data(f->last_entry, f->last_bitmap, q) ? q->cluster_size : grain;
        if (f->n == 1 && start_grain > end_grain) {
            end_grain = start_grain;
        }
    }
    f->start = f->offset & ~(start_grain - 1);
    f->end = (end + end_grain - 1) & ~(end_grain - 1);
    if (f->reuse && q->extended) { /* subclusters with data of their own need no copy */
        uint64_t base = f->cluster << q->cluster_bits;
        unsigned first = (unsigned)((f->start - base) / grain),
                 last = (unsigned)((f->end - base) / grain) - 1;
        if (f->bitmap >> first & 1) {
            f->start = f->offset;
        }
        if (f->bitmap >> last & 1) {
            f->end = end;
        }
    }
}

/* Old bytes of [from, to) to buf. */
static int read_old(struct qcow2 *q, uint64_t from, uint64_t to, uint8_t *buf)
{
    struct iovec iov = {buf, to - from};
    struct node_vec v = {&iov, 1};
    uint64_t size = atomic_load(&q->node->size), n = to < size ? to : size;

    if (from >= n) {
        memset(buf, 0, to - from);
        return 0;
    }
    memset(buf + (n - from), 0, to - n);
    return q2_read(q, from, n - from, &v, 0);
}

static int write_filled(struct qcow2 *q, const struct fill *f, const struct node_vec *v,
                        size_t skip)
{
    uint64_t base =
        f->host - (f->cluster << q->cluster_bits); /* guest offset to file offset; may wrap */
    uint64_t end = f->offset + f->len, head = f->offset - f->start, tail = f->end - end;
    bool one = f->end - f->start <= BOUNCE_MAX;
    uint8_t *buf = malloc(one ? f->end - f->start : head + tail + 1);
    int r = buf ? 0 : -ENOMEM;

    if (!r && head) {
        r = read_old(q, f->start, f->offset, buf);
    }
    if (!r && tail) {
        r = read_old(q, end, f->end, buf + head + (one ? f->len : 0));
    }
    if (!r && one) {
        node_vec_to(v, skip, buf + head, f->len);
        r = node_pwrite(q->file, f->start + base, buf, f->end - f->start);
    } else if (!r) {
        r = node_writev(q->file, f->offset + base, f->len, v, skip);
        r = r || !head ? r : node_pwrite(q->file, f->start + base, buf, head);
        r = r || !tail ? r : node_pwrite(q->file, end + base, buf + head, tail);
    }
    free(buf);
    return r;
}

static uint64_t new_bitmap(const struct qcow2 *q, const struct fill *f, uint64_t c, uint64_t old)
{
    uint64_t base = c << q->cluster_bits, sub = q2_sub_size(q), map = old;

    if (!f->reuse) {
        map &= ~UINT64_C(0xffffffff); /* data moved with the cluster: it lies in [start, end) */
    }
    for (unsigned i = 0; i < 32; i++) {
        uint64_t at = base + i * sub;
        if (at + sub > f->start && at < f->end) {
            map = (map | UINT64_C(1) << i) & ~(UINT64_C(1) << (32 + i));
        }
    }
    return map;
}

static int link_clusters(struct qcow2 *q, const struct fill *f)
{
    int r = 0;

    for (uint64_t i = 0; !r && i < f->n; i++) {
        uint64_t c = f->cluster + i, entry, bitmap;
        uint64_t host = (f->host + (i << q->cluster_bits)) | Q2_COPIED;
        r = q2_entry_get(q, c, &entry, &bitmap);
        r = r ? r : q2_entry_set(q, c, host, q->extended ? new_bitmap(q, f, c, bitmap) : 0);
        if (!r && !f->reuse) {
            r = q2_release_entry(q, entry);
        }
    }
    if (f->start != f->offset || f->end != f->offset + f->len) {
        q->l2.flush_first =
            true; /* what was copied must be there before its old place is forgotten */
    }
    return r;
}

static void end_alloc(struct qcow2 *q, const struct q2_alloc *a)
{
    struct q2_alloc **p = &q->allocs;

    while (*p != a) {
        p = &(*p)->next;
    }
    *p = a->next;
    pthread_cond_broadcast(&q->alloc_done);
}

/* Writes what it can at offset, up to *len bytes, which it sets. lock held, given away meanwhile.
 */
static int write_some(struct qcow2 *q, uint64_t offset, uint64_t *len, const struct node_vec *v,
                      size_t skip)
{
    struct q2_extent e;
    struct fill f;
    struct q2_alloc a;
    int r;

    while (conflicts(q, offset >> q->cluster_bits)) {
        pthread_cond_wait(&q->alloc_done, &q->lock);
    }
    r = q->corrupt ? -EIO : q2_lookup(q, offset, *len, &e);
    if (r) {
        return r;
    }
    if (e.type == Q2_NORMAL && e.copied) {
        *len = e.bytes;
        r = q2_check_overlap(q, e.host, e.bytes, 0);
        if (!r) {
            pthread_mutex_unlock(&q->lock);
            r = node_writev(q->file, e.host, e.bytes, v, skip);
            pthread_mutex_lock(&q->lock);
        }
        return r;
    }
    r = plan(q, offset, *len, &f);
    if (!r && f.reuse) {
        f.host = f.entry & Q2_OFFSET_MASK;
        r = q2_check_overlap(q, f.host, q->cluster_size, 0);
    } else if (!r) {
        r = q2_alloc(q, f.n, &f.host);
    }
    if (r) {
        return r;
    }
    plan_copy(q, &f);
    a = (struct q2_alloc){f.cluster, f.n, q->allocs};
    q->allocs = &a;
    pthread_mutex_unlock(&q->lock);
    r = write_filled(q, &f, v, skip);
    pthread_mutex_lock(&q->lock);
    if (r && !f.reuse) {
        q2_refcount_add(q, f.host, f.n << q->cluster_bits, -1); /* nobody has seen them */
    } else if (!r) {
        r = link_clusters(q, &f);
    }
    end_alloc(q, &a);
    *len = f.len;
    return r;
}

/* Gives back what has gathered. users not held. */
static void release_some(struct qcow2 *q, bool all)
{
    pthread_mutex_lock(&q->lock);
    bool enough = q->nrelease >= (all ? 1 : Q2_RELEASE_BATCH);
    pthread_mutex_unlock(&q->lock);
    if (enough) {
        pthread_rwlock_wrlock(&q->users);
        pthread_mutex_lock(&q->lock);
        q2_release(q);
        pthread_mutex_unlock(&q->lock);
        pthread_rwlock_unlock(&q->users);
    }
}

int q2_node_write(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                  size_t skip)
{
    struct qcow2 *q = n->state;
    int r = 0;

    pthread_rwlock_rdlock(&q->users);
    pthread_mutex_lock(&q->lock);
    while (!r && len) {
        uint64_t done = len;
        r = write_some(q, offset, &done, v, skip);
        offset += done;
        skip += done;
        len -= done;
    }
    pthread_mutex_unlock(&q->lock);
    pthread_rwlock_unlock(&q->users);
    release_some(q, false);
    return r;
}

int q2_node_write_compressed(struct block_node *n, uint64_t offset, uint64_t len, const void *buf)
{
    struct qcow2 *q = n->state;
    uint8_t *plain, *packed;
    uint64_t at = 0, entry, bitmap;
    int r;

    if (offset & (q->cluster_size - 1) || len > q->cluster_size ||
        (len < q->cluster_size && offset + len != atomic_load(&n->size))) {
        return -EINVAL;
    }
    plain = calloc(1, q->cluster_size);
    packed = malloc(q->cluster_size);
    if (!plain || !packed) {
        free(plain);
        free(packed);
        return -ENOMEM;
    }
    memcpy(plain, buf, len);
    int64_t size = q2_compress(q->compression, plain, q->cluster_size, packed, q->cluster_size - 1);
    if (size <= 0) { /* it does not get smaller */
        r = size < 0 ? (int)size : node_pwrite(n, offset, buf, len);
        free(plain);
        free(packed);
        return r;
    }
    pthread_rwlock_rdlock(&q->users);
    pthread_mutex_lock(&q->lock);
    r = q->corrupt ? -EIO : q2_entry_get(q, offset >> q->cluster_bits, &entry, &bitmap);
    if (!r && (has_data(entry, bitmap, q) || conflicts(q, offset >> q->cluster_bits))) {
        r = -EEXIST;
    }
    r = r ? r : q2_alloc_bytes(q, (uint64_t)size, &at);
    r = r ? r : q2_check_overlap(q, at, (uint64_t)size, 0);
    r = r ? r : node_pwrite(q->file, at, packed, (uint64_t)size);
    if (!r) {
        uint64_t sectors = ((at + (uint64_t)size - 1) >> 9) - (at >> 9);
        r = q2_entry_set(q, offset >> q->cluster_bits,
                         at | Q2_COMPRESSED | sectors << (62 - (q->cluster_bits - 8)), 0);
        r = r ? r : q2_release_entry(q, entry);
    }
    pthread_mutex_unlock(&q->lock);
    pthread_rwlock_unlock(&q->users);
    free(plain);
    free(packed);
    return r;
}

/* ---- the rest ---- */

int q2_flush_metadata(struct qcow2 *q)
{
    int r = q2_cache_flush(q, &q->l2);

    return r || q2_lazy(q) ? r : q2_cache_flush(q, &q->ref);
}

int q2_node_flush(struct block_node *n)
{
    struct qcow2 *q = n->state;

    pthread_mutex_lock(&q->lock);
    int r = q2_flush_metadata(q);
    pthread_mutex_unlock(&q->lock);
    return r;
}

int q2_node_discard(struct block_node *n, uint64_t offset, uint64_t len)
{
    struct qcow2 *q = n->state;
    uint64_t first = q2_round(q, offset), end = offset + len;

    if (end != atomic_load(&n->size)) {
        end &= ~(q->cluster_size - 1);
    } else {
        end = q2_round(q, end);
    }
    if (first >= end) {
        return 0;
    }
    pthread_rwlock_wrlock(&q->users);
    pthread_mutex_lock(&q->lock);
    int r = q2_discard(q, first, end - first);
    r = r ? r : q2_release(q);
    pthread_mutex_unlock(&q->lock);
    pthread_rwlock_unlock(&q->users);
    return r;
}

static int write_zero_bytes(struct block_node *n, uint64_t offset, uint64_t len)
{
    uint8_t *zero = calloc(1, BOUNCE_MAX);
    int r = zero ? 0 : -ENOMEM;

    while (!r && len) {
        struct iovec iov = {zero, len < BOUNCE_MAX ? len : BOUNCE_MAX};
        struct node_vec v = {&iov, 1};
        r = q2_node_write(n, offset, iov.iov_len, &v, 0);
        offset += iov.iov_len;
        len -= iov.iov_len;
    }
    free(zero);
    return r;
}

int q2_node_zero(struct block_node *n, uint64_t offset, uint64_t len, bool unmap)
{
    struct qcow2 *q = n->state;
    uint64_t grain = q2_sub_size(q), end = offset + len;
    uint64_t first = (offset + grain - 1) & ~(grain - 1), last = end & ~(grain - 1);
    int r = 0;

    if (end == atomic_load(&n->size)) {
        last = (end + grain - 1) & ~(grain - 1);
    }
    if (first >= last) {
        return write_zero_bytes(n, offset, len);
    }
    if (first != offset) {
        r = write_zero_bytes(n, offset, first - offset);
    }
    if (!r && last < end) {
        r = write_zero_bytes(n, last, end - last);
    }
    if (r) {
        return r;
    }
    pthread_rwlock_wrlock(&q->users);
    pthread_mutex_lock(&q->lock);
    r = q2_zero(q, first, last - first, unmap);
    if (!r && q->nrelease >= Q2_RELEASE_BATCH) {
        r = q2_release(q);
    }
    pthread_mutex_unlock(&q->lock);
    pthread_rwlock_unlock(&q->users);
    return r == -EOPNOTSUPP ? write_zero_bytes(n, first, (last < end ? last : end) - first) : r;
}
