/* What the files of the qcow2 driver share. The format is described in QEMU's docs/interop/qcow2.
 *
 * Locks. `users` is held shared by reads and writes from the look-up of a cluster until its data
 * has been moved, and exclusively by what takes clusters away (discards, zeroes, snapshots,
 * resizing) or makes freed ones available again. `lock` guards all metadata in memory and is not
 * held while data moves. `users` is taken before `lock`.
 *
 * Order of writes. A cluster that is taken gets its refcount before a table refers to it (the cache
 * of L2 tables depends on that of refcounts); one that is given up is first referred to no more on
 * the disk, then its refcount falls (q2_release). So whatever moment the process ends at, the image
 * has at most clusters that belong to nobody. */
#ifndef HOST_QCOW2_INTERNAL_H
#define HOST_QCOW2_INTERNAL_H

#include <glib.h>
#include <pthread.h>

#include "host/be.h"
#include "host/qcow2.h"

enum { Q2_MAGIC = 0x514649fb, Q2_HEADER2 = 72, Q2_HEADER3 = 104, Q2_HEADER_MAX = 112 };
enum { /* bits of the features */
       Q2_INCOMPAT_DIRTY = 1,
       Q2_INCOMPAT_CORRUPT = 2,
       Q2_INCOMPAT_DATA_FILE = 4,
       Q2_INCOMPAT_COMPRESSION = 8,
       Q2_INCOMPAT_EXTL2 = 16,
       Q2_INCOMPAT_KNOWN = 2 | 1 | 8 | 16,
       Q2_COMPAT_LAZY = 1,
       Q2_AUTOCLEAR_BITMAPS = 1,
};
enum { /* header extensions */
       Q2_EXT_END = 0,
       Q2_EXT_BACKING_FORMAT = 0xE2792ACA,
       Q2_EXT_FEATURES = 0x6803f857,
       Q2_EXT_BITMAPS = 0x23852875,
       Q2_EXT_DATA_FILE = 0x44415441,
};
enum {
    Q2_MAX_L1 = 32 << 20, /* bytes */
    Q2_MAX_REFTABLE = 8 << 20,
    Q2_MAX_SNAPSHOTS = 65536,
    Q2_MAX_SNAPSHOT_TABLE = 1024 << 16,
    Q2_RELEASE_BATCH = 64,
};
#define Q2_COPIED      (UINT64_C(1) << 63)
#define Q2_COMPRESSED  (UINT64_C(1) << 62)
#define Q2_ZERO        UINT64_C(1)
#define Q2_OFFSET_MASK UINT64_C(0x00fffffffffffe00)
#define Q2_REFT_MASK   UINT64_C(0xfffffffffffffe00)

enum q2_type {                       /* of a cluster or subcluster */
               Q2_UNALLOCATED,       /* from the backing file; no cluster */
               Q2_UNALLOCATED_ALLOC, /* from the backing file, although there is a cluster (extended
                                        L2) */
               Q2_ZERO_PLAIN,
               Q2_ZERO_ALLOC, /* zeroes, with a cluster kept */
               Q2_NORMAL,
               Q2_COMPRESSED_DATA,
               Q2_INVALID,
};

enum q2_meta { /* what a metadata cluster holds; 0: none known */
               Q2_META_HEADER = 1,
               Q2_META_L1,
               Q2_META_L2,
               Q2_META_REFTABLE,
               Q2_META_REFBLOCK,
               Q2_META_SNAPSHOTS,
               Q2_META_SNAPSHOT_L1,
};

struct q2_slice {
    uint64_t offset; /* in the file; 0: unused */
    uint64_t stamp;
    bool dirty;
    uint8_t *data;
    struct q2_slice *hash_next;
};

struct q2_cache {
    struct q2_slice *slice;
    struct q2_slice **bucket;
    unsigned n, nbuckets, used;
    uint32_t size; /* of a slice */
    uint64_t stamp;
    enum q2_meta kind;
    struct q2_cache *depends; /* is written out first */
    bool flush_first;         /* data must have reached the disk before */
    bool cached_only;         /* -EAGAIN instead of reading */
};

struct q2_alloc {      /* clusters that a write is filling */
    uint64_t first, n; /* guest clusters */
    struct q2_alloc *next;
};

struct q2_release {
    uint64_t offset, bytes;
};

struct q2_snapshot {
    uint64_t l1_offset, disk_size, vm_state_size, vm_clock, icount;
    uint32_t l1_size, date_sec, date_nsec;
    char *id, *name;
    uint8_t *extra; /* unknown extra data */
    uint32_t extra_size;
};

struct q2_extension {
    uint32_t type, len;
    uint8_t *data;
};

struct qcow2 {
    struct block_node *node, *file;
    bool ready;
    pthread_mutex_t lock;
    pthread_cond_t alloc_done;
    pthread_rwlock_t users;

    unsigned version, cluster_bits, l2_bits, refcount_order,
        block_bits;                 /* block_bits: refcounts in a block */
    unsigned subclusters, l2_entry; /* 1 or 32; 8 or 16 bytes */
    uint64_t cluster_size;
    uint64_t incompatible, compatible, autoclear;
    uint8_t compression;
    uint32_t header_length;
    bool extended, corrupt;
    struct q2_extension *extension;
    unsigned nextensions;

    uint64_t l1_offset, reft_offset, snapshots_offset;
    uint64_t snapshots_bytes;
    uint64_t *l1, *reft; /* in the host's byte order */
    uint32_t l1_size;    /* entries */
    uint64_t reft_size;  /* entries */
    struct q2_snapshot *snapshot;
    uint32_t nsnapshots;

    struct q2_cache l2, ref;
    uint64_t free_hint;     /* no cluster below is free */
    uint64_t run_hint;      /* where the search for several clusters begins */
    uint64_t compressed_at; /* where the next compressed cluster goes; 0: nowhere yet */
    struct q2_alloc *allocs;
    struct q2_release *release;
    unsigned nrelease, release_room;
    GHashTable *meta; /* cluster of the file -> enum q2_meta */
};

static inline uint64_t q2_clusters(const struct qcow2 *q, uint64_t bytes)
{
    return (bytes + q->cluster_size - 1) >> q->cluster_bits;
}
static inline uint64_t q2_round(const struct qcow2 *q, uint64_t bytes)
{
    return q2_clusters(q, bytes) << q->cluster_bits;
}
static inline uint64_t q2_sub_size(const struct qcow2 *q)
{
    return q->cluster_size / q->subclusters;
}
static inline bool q2_lazy(const struct qcow2 *q)
{
    return q->compatible & Q2_COMPAT_LAZY;
}

/* ---- qcow2_header.c ---- */
bool q2_read_header(struct qcow2 *q, struct error *err);
int q2_write_header(struct qcow2 *q); /* all of it, with extensions and the backing file's name */
int q2_set_incompatible(struct qcow2 *q, uint64_t set, uint64_t clear);
/* Marks the image corrupt, so that nobody writes to it before it is repaired. Returns -EIO. lock
 * held. */
int q2_corrupt(struct qcow2 *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool q2_read_table(struct qcow2 *q, uint64_t offset, uint64_t entries, uint64_t **out,
                   const char *what, struct error *err);
int q2_write_table(struct qcow2 *q, uint64_t offset, const uint64_t *table, uint64_t entries,
                   enum q2_meta kind);

/* ---- qcow2_cache.c: metadata in memory; lock held ---- */
void q2_cache_init(struct q2_cache *c, const struct qcow2 *q, unsigned slices, enum q2_meta kind);
void q2_cache_free(struct q2_cache *c);
/* The slice at offset (a multiple of its size), valid until the next call on this cache. */
int q2_cache_get(struct qcow2 *q, struct q2_cache *c, uint64_t offset, uint8_t **data);
void q2_cache_dirty(struct q2_cache *c, uint64_t offset);
int q2_cache_flush(struct qcow2 *q, struct q2_cache *c);
void q2_cache_forget(struct q2_cache *c, uint64_t offset, uint64_t len); /* also when dirty */
/* Writes to the file unless it would hit metadata of another kind (0: it is data). */
int q2_write_file(struct qcow2 *q, uint64_t offset, const void *buf, uint64_t len,
                  enum q2_meta kind);
enum q2_meta q2_meta_get(struct qcow2 *q, uint64_t offset);
void q2_meta_set(struct qcow2 *q, uint64_t offset, uint64_t bytes,
                 enum q2_meta kind); /* 0: forget */
int q2_check_overlap(struct qcow2 *q, uint64_t offset, uint64_t len, enum q2_meta kind);

/* ---- qcow2_refcount.c: lock held ---- */
uint64_t q2_refcount_max(const struct qcow2 *q);
uint64_t q2_refcount_read(const uint8_t *block, uint64_t index, unsigned order);
void q2_refcount_write(uint8_t *block, uint64_t index, unsigned order, uint64_t value);
int q2_refcount_get(struct qcow2 *q, uint64_t cluster, uint64_t *value);
/* All clusters that [offset, offset + bytes) touches. What falls to 0 is free. */
int q2_refcount_add(struct qcow2 *q, uint64_t offset, uint64_t bytes, int addend);
/* n clusters side by side, with refcount 1; *offset in the file. */
int q2_alloc(struct qcow2 *q, uint64_t n, uint64_t *offset);
int q2_alloc_bytes(struct qcow2 *q, uint64_t bytes, uint64_t *offset); /* for compressed data */
int q2_release_later(struct qcow2 *q, uint64_t offset, uint64_t bytes);
int q2_release(struct qcow2 *q); /* users held exclusively */

/* ---- qcow2_cluster.c: lock held ---- */
struct q2_extent {
    enum q2_type type;
    uint64_t host;  /* of the first byte, for NORMAL; the entry of compressed ones */
    uint64_t bytes; /* of the same kind, from the offset asked for */
    bool copied;    /* all may be written in place (NORMAL) */
};
enum q2_type q2_type_of(const struct qcow2 *q, uint64_t entry, uint64_t bitmap, unsigned sub);
int q2_lookup(struct qcow2 *q, uint64_t offset, uint64_t max, struct q2_extent *e);
/* The L2 entry of a cluster; 0 when there is no table. */
int q2_entry_get(struct qcow2 *q, uint64_t cluster, uint64_t *entry, uint64_t *bitmap);
/* Makes sure of an own L2 table and sets the entry. */
int q2_entry_set(struct qcow2 *q, uint64_t cluster, uint64_t entry, uint64_t bitmap);
int q2_release_entry(struct qcow2 *q, uint64_t entry); /* gives up what it refers to */
uint64_t q2_compressed_range(const struct qcow2 *q, uint64_t entry, uint64_t *offset); /* bytes */
int q2_discard(struct qcow2 *q, uint64_t offset,
               uint64_t len); /* whole clusters; users exclusively */
int q2_zero(struct qcow2 *q, uint64_t offset, uint64_t len, bool unmap);

/* ---- qcow2_compress.c ---- */
/* To at most room bytes; returns the size, 0 when it does not fit, -errno. */
int64_t q2_compress(uint8_t kind, const void *in, size_t n, void *out, size_t room);
int q2_decompress(uint8_t kind, const void *in, size_t n, void *out, size_t size);

/* ---- qcow2_io.c ---- */
int q2_read(struct qcow2 *q, uint64_t offset, uint64_t len, const struct node_vec *v,
            size_t skip);               /* users held */
int q2_flush_metadata(struct qcow2 *q); /* lock held */
/* The driver's functions. */
int q2_node_read(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                 size_t skip);
int q2_node_read_now(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                     size_t skip);
int q2_node_write(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                  size_t skip);
int q2_node_write_compressed(struct block_node *n, uint64_t offset, uint64_t len, const void *buf);
int q2_node_flush(struct block_node *n);
int q2_node_discard(struct block_node *n, uint64_t offset, uint64_t len);
int q2_node_zero(struct block_node *n, uint64_t offset, uint64_t len, bool unmap);

/* ---- qcow2_snapshot.c ---- */
bool q2_read_snapshots(struct qcow2 *q, struct error *err);
void q2_free_snapshots(struct qcow2 *q);
json_t *q2_snapshot_list(struct qcow2 *q);
int q2_fix_copied(struct qcow2 *q); /* COPIED of the active tables, by the refcounts */

/* ---- qcow2_check.c ---- */
int q2_check(struct qcow2 *q, struct node_check *c,
             unsigned fix); /* users exclusively, lock held */

/* ---- qcow2_resize.c ---- */
bool q2_truncate(struct block_node *n, uint64_t size, const char *prealloc, struct error *err);
bool q2_grow_l1(struct qcow2 *q, uint64_t entries, struct error *err); /* lock held */

#endif
