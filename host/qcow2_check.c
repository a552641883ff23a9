/* qcow2: checking and repairing refcounts. All clusters that anything refers to are counted; the
 * counts are compared with what the image says. */
#include "host/qcow2_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BITMAPS = 65535 };

struct check {
    struct qcow2 *q;
    struct node_check *c;
    unsigned fix;
    uint64_t *count; /* by cluster of the file */
    uint64_t n;
    bool rebuild;       /* the refcount structure itself is damaged */
    uint64_t hard;      /* errors that are not of refcounts: they cannot be repaired */
    uint64_t next_host; /* to tell fragmentation */
};

static void say(struct check *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct check *k, const char *fmt, ...)
{
    char text[200];
    va_list ap;

    if (k->c->print) {
        va_start(ap, fmt);
        vsnprintf(text, sizeof(text), fmt, ap);
        va_end(ap);
        k->c->print(k->c->opaque, text);
    }
}

static void corruption(struct check *k)
{
    k->c->corruptions++;
}

static int room(struct check *k, uint64_t clusters)
{
    if (clusters > k->n) {
        uint64_t n = clusters + clusters / 2;
        uint64_t *p = realloc(k->count, n * 8);
        if (!p) {
            return -ENOMEM;
        }
        memset(p + k->n, 0, (n - k->n) * 8);
        k->count = p;
        k->n = n;
    }
    return 0;
}

/* Something refers to [offset, offset + bytes). */
static int refer(struct check *k, uint64_t offset, uint64_t bytes, const char *what)
{
    struct qcow2 *q = k->q;
    uint64_t file = atomic_load(&q->file->size), last = (offset + bytes - 1) >> q->cluster_bits;

    if (!bytes) {
        return 0;
    }
    if (offset + bytes < offset || offset + bytes >= file + q->cluster_size) {
        say(k, "ERROR: %s at %#" PRIx64 " is beyond the end of the file", what, offset);
        corruption(k);
        return 0;
    }
    int r = room(k, last + 1);
    for (uint64_t c = offset >> q->cluster_bits; !r && c <= last; c++) {
        k->count[c]++;
    }
    return r;
}

static void count_guest(struct check *k, uint64_t host, bool active)
{
    if (active) {
        k->c->allocated_clusters++;
        k->c->fragmented_clusters += k->next_host && host != k->next_host;
        k->next_host = host + k->q->cluster_size;
    }
}

static int walk_table(struct check *k, uint64_t table, bool active)
{
    struct qcow2 *q = k->q;
    uint8_t *buf = malloc(q->cluster_size);
    int r = buf ? node_pread(q->file, table, buf, q->cluster_size) : -ENOMEM;

    k->next_host = 0; /* between two tables' data there may be a table */
    for (uint64_t at = 0; !r && at < q->cluster_size; at += q->l2_entry) {
        uint64_t entry = be_get64(buf + at), offset = entry & Q2_OFFSET_MASK, bytes;
        if (entry & Q2_COMPRESSED) {
            if (entry & Q2_COPIED) {
                say(k,
                    "ERROR: compressed cluster in the L2 table at %#" PRIx64 " is marked as copied",
                    table);
                corruption(k);
            }
            bytes = q2_compressed_range(q, entry, &offset);
            k->c->compressed_clusters += active;
            k->c->allocated_clusters += active;
            k->c->fragmented_clusters += active;
            r = refer(k, offset, bytes, "compressed data");
            continue;
        }
        if (!offset) {
            if (q->extended && (be_get64(buf + at + 8) & 0xffffffff)) {
                say(k, "ERROR: subclusters without a cluster in the L2 table at %#" PRIx64, table);
                corruption(k);
            }
            continue;
        }
        if (offset & (q->cluster_size - 1)) {
            say(k, "ERROR: the data cluster at %#" PRIx64 " is not aligned", offset);
            corruption(k);
            continue;
        }
        count_guest(k, offset, active);
        r = refer(k, offset, q->cluster_size, "data");
    }
    free(buf);
    return r;
}

static int walk_l1(struct check *k, uint64_t offset, uint64_t entries, const uint64_t *l1,
                   bool active)
{
    struct qcow2 *q = k->q;
    int r = refer(k, offset, entries * 8, "L1 table");

    for (uint64_t i = 0; !r && i < entries; i++) {
        uint64_t table = l1[i] & Q2_OFFSET_MASK;
        if (!table) {
            continue;
        }
        if (table & (q->cluster_size - 1) || table >= atomic_load(&q->file->size)) {
            say(k, "ERROR: L1 entry %" PRIu64 " (%#" PRIx64 ") is no cluster of the file", i,
                l1[i]);
            corruption(k);
            continue;
        }
        r = refer(k, table, q->cluster_size, "L2 table");
        r = r ? r : walk_table(k, table, active);
    }
    return r;
}

/* Clusters of persistent bitmaps: we do not keep them up to date, but they are not ours to free. */
static int walk_bitmaps(struct check *k)
{
    struct qcow2 *q = k->q;
    const uint8_t *x = NULL;
    int r = 0;

    for (unsigned i = 0; i < q->nextensions; i++) {
        if (q->extension[i].type == Q2_EXT_BITMAPS && q->extension[i].len >= 24) {
            x = q->extension[i].data;
        }
    }
    uint64_t n = x ? be_get32(x) : 0, size = x ? be_get64(x + 8) : 0, at = x ? be_get64(x + 16) : 0;
    if (!n || n > MAX_BITMAPS || size > (64 << 20) || at & (q->cluster_size - 1)) {
        return 0;
    }
    r = refer(k, at, size, "bitmap directory");
    for (uint64_t pos = 0; !r && n-- && pos + 24 <= size;) {
        uint8_t e[24], b[8];
        r = node_pread(q->file, at + pos, e, 24);
        uint64_t table = be_get64(e), entries = be_get32(e + 8);
        pos += (24 + (uint64_t)be_get16(e + 18) + be_get32(e + 20) + 7) & ~UINT64_C(7);
        uint64_t file = atomic_load(&q->file->size);
        if (r || table & (q->cluster_size - 1) || table > file || entries * 8 > file - table) {
            say(k, "ERROR: the table of a bitmap at %#" PRIx64 " is no part of the file", table);
            corruption(k);
            continue;
        }
        r = refer(k, table, entries * 8, "bitmap table");
        for (uint64_t i = 0; !r && i < entries; i++) {
            r = node_pread(q->file, table + 8 * i, b, 8);
            if (!r && (be_get64(b) & Q2_OFFSET_MASK)) {
                r = refer(k, be_get64(b) & Q2_OFFSET_MASK, q->cluster_size, "bitmap");
            }
        }
    }
    return r;
}

static int walk_refcounts(struct check *k)
{
    struct qcow2 *q = k->q;
    int r = refer(k, q->reft_offset, q->reft_size * 8, "refcount table");

    for (uint64_t i = 0; !r && i < q->reft_size; i++) {
        uint64_t block = q->reft[i] & Q2_REFT_MASK;
        if (!block) {
            continue;
        }
        if (block & (q->cluster_size - 1) || block >= q2_round(q, atomic_load(&q->file->size))) {
            say(k, "ERROR: refcount block %" PRIu64 " (%#" PRIx64 ") is no cluster of the file", i,
                block);
            corruption(k);
            k->rebuild = true;
            continue;
        }
        r = refer(k, block, q->cluster_size, "refcount block");
        if (!r && k->count[block >> q->cluster_bits] != 1) {
            say(k, "ERROR: refcount block %" PRIu64 " is used for something else, too", i);
            corruption(k);
            k->rebuild = true;
        }
    }
    return r;
}

static int count_all(struct check *k)
{
    struct qcow2 *q = k->q;
    struct error err;
    int r = refer(k, 0, q->cluster_size, "header");

    r = r ? r : walk_l1(k, q->l1_offset, q->l1_size, q->l1, true);
    for (uint32_t i = 0; !r && i < q->nsnapshots; i++) {
        uint64_t *l1 = NULL;
        if (q2_read_table(q, q->snapshot[i].l1_offset, q->snapshot[i].l1_size, &l1,
                          "L1 table of a snapshot", &err)) {
            r = walk_l1(k, q->snapshot[i].l1_offset, q->snapshot[i].l1_size, l1, false);
        } else {
            say(k, "ERROR: %s", err.msg);
            corruption(k);
        }
        free(l1);
    }
    r = r ? r : refer(k, q->snapshots_offset, q->snapshots_bytes, "snapshot table");
    r = r ? r : walk_bitmaps(k);
    k->hard = k->c->corruptions;
    return r ? r : walk_refcounts(k);
}

/* Is there a refcount block for the cluster, in the file? */
static bool has_block(const struct check *k, uint64_t cluster)
{
    const struct qcow2 *q = k->q;
    uint64_t i = cluster >> q->block_bits;
    uint64_t block = i < q->reft_size ? q->reft[i] & Q2_REFT_MASK : 0;

    return block && !(block & (q->cluster_size - 1)) &&
           block < q2_round(q, atomic_load(&q->file->size));
}

/* What the image says of a cluster, without the cache's checks. */
static uint64_t said(struct check *k, uint64_t cluster)
{
    uint64_t v = 0;

    if (has_block(k, cluster)) {
        q2_refcount_get(k->q, cluster, &v);
    }
    return v;
}

static int set(struct check *k, uint64_t cluster, uint64_t value)
{
    struct qcow2 *q = k->q;
    uint64_t now = said(k, cluster);
    int r = 0;

    for (; !r && now < value; now++) {
        uint64_t v = q->reft_size > cluster >> q->block_bits
                         ? q->reft[cluster >> q->block_bits] & Q2_REFT_MASK
                         : 0;
        if (!v) {
            k->rebuild = true; /* no block counts it */
            return 0;
        }
        r = q2_refcount_add(q, cluster << q->cluster_bits, 1, 1);
    }
    for (; !r && now > value; now--) {
        r = q2_refcount_add(q, cluster << q->cluster_bits, 1, -1);
    }
    return r;
}

static int compare(struct check *k)
{
    struct qcow2 *q = k->q;
    uint64_t end = q->reft_size << q->block_bits, last = 0;
    uint64_t file = q2_clusters(q, atomic_load(&q->file->size));
    int r = 0;

    end = end < file ? file : end;
    end = end < k->n ? k->n : end;
    for (uint64_t c = 0; !r && c < end; c++) {
        if (c >= k->n && !has_block(k, c)) { /* nothing is there, and nobody counts it */
            c |= (UINT64_C(1) << q->block_bits) - 1;
            continue;
        }
        uint64_t want = c < k->n ? k->count[c] : 0, have = said(k, c);
        last = want ? c + 1 : last;
        if (want == have) {
            continue;
        }
        bool leak = have > want;
        bool fix = k->fix & (leak ? CHECK_FIX_LEAKS : CHECK_FIX_ERRORS);
        say(k, "%s cluster %" PRIu64 " refcount=%" PRIu64 " reference=%" PRIu64,
            fix    ? "Repairing"
            : leak ? "Leaked"
                   : "ERROR",
            c, have, want);
        if (fix && !k->rebuild) {
            r = set(k, c, want);
            if (!r && !k->rebuild) {
                *(leak ? &k->c->leaks_fixed : &k->c->corruptions_fixed) += 1;
                continue;
            }
        }
        *(leak ? &k->c->leaks : &k->c->corruptions) += 1;
    }
    k->c->end_offset = last << q->cluster_bits;
    return r;
}

/* COPIED has to tell whether the refcount is 1. */
static int check_copied(struct check *k)
{
    struct qcow2 *q = k->q;
    uint64_t wrong = 0;
    uint8_t *buf = malloc(q->cluster_size);
    int r = buf ? 0 : -ENOMEM;

    for (uint32_t i = 0; !r && i < q->l1_size; i++) {
        uint64_t table = q->l1[i] & Q2_OFFSET_MASK;
        if (!table || table & (q->cluster_size - 1) || table >= atomic_load(&q->file->size)) {
            continue;
        }
        if ((said(k, table >> q->cluster_bits) == 1) != !!(q->l1[i] & Q2_COPIED)) {
            say(k, "%s OFLAG_COPIED L2 cluster: l1_index=%u l1_entry=%" PRIx64,
                k->fix & CHECK_FIX_ERRORS ? "Repairing" : "ERROR", i, q->l1[i]);
            wrong++;
        }
        r = node_pread(q->file, table, buf, q->cluster_size);
        for (uint64_t at = 0; !r && at < q->cluster_size; at += q->l2_entry) {
            uint64_t entry = be_get64(buf + at), host = entry & Q2_OFFSET_MASK;
            if (!host || (entry & Q2_COMPRESSED) || host & (q->cluster_size - 1)) {
                continue;
            }
            if ((said(k, host >> q->cluster_bits) == 1) != !!(entry & Q2_COPIED)) {
                say(k, "%s OFLAG_COPIED data cluster: l2_entry=%" PRIx64,
                    k->fix & CHECK_FIX_ERRORS ? "Repairing" : "ERROR", entry);
                wrong++;
            }
        }
    }
    free(buf);
    if (!r && wrong && (k->fix & CHECK_FIX_ERRORS)) {
        r = q2_fix_copied(q);
        k->c->corruptions_fixed += r ? 0 : wrong;
        wrong = r ? wrong : 0;
    }
    k->c->corruptions += wrong;
    return r;
}

/* A refcount structure made anew behind all that is used; the header changes last. */
static int rebuild(struct check *k)
{
    struct qcow2 *q = k->q;
    uint64_t used = 0, per = UINT64_C(1) << q->block_bits, blocks = 1, table = 1, total;
    uint8_t *buf, header[12];
    int r = 0;

    /* The old structure is given up. */
    r = refer(k, 0, 1, "header"); /* so that count[] has room */
    memset(k->count, 0, k->n * 8);
    uint64_t *old = q->reft, old_size = q->reft_size, old_offset = q->reft_offset;
    q->reft_size = 0;
    struct node_check quiet = {0}, *loud = k->c;
    k->c = &quiet;
    r = r ? r : count_all(k);
    k->c = loud;
    q->reft_size = old_size;
    for (uint64_t c = 0; c < k->n; c++) {
        used = k->count[c] ? c + 1 : used;
    }
    uint64_t file = q2_clusters(q, atomic_load(&q->file->size));
    used = used > file ? used : file;
    do {
        total = used + blocks + table;
        uint64_t need = (total + per - 1) / per, need_table = q2_clusters(q, need * 8);
        if (need <= blocks && need_table <= table) {
            break;
        }
        blocks = need > blocks ? need : blocks;
        table = need_table > table ? need_table : table;
    } while (1);
    buf = calloc(1, q->cluster_size);
    uint64_t *reft = calloc(table << (q->cluster_bits - 3), 8);
    r = r ? r : !buf || !reft ? -ENOMEM : room(k, total);
    for (uint64_t c = used; !r && c < total; c++) {
        k->count[c] = 1;
    }
    for (uint64_t i = 0; !r && i < blocks; i++) {
        memset(buf, 0, q->cluster_size);
        for (uint64_t c = i * per; c < total && c < (i + 1) * per; c++) {
            q2_refcount_write(buf, c - i * per, q->refcount_order,
                              k->count[c] > q2_refcount_max(q) ? q2_refcount_max(q) : k->count[c]);
        }
        reft[i] = (used + i) << q->cluster_bits;
        r = node_pwrite(q->file, reft[i], buf, q->cluster_size);
    }
    free(buf);
    q->reft_offset = (used + blocks) << q->cluster_bits;
    q2_meta_set(q, old_offset, old_size * 8, 0);
    for (uint64_t i = 0; i < old_size; i++) {
        if (old[i] & Q2_REFT_MASK && q2_meta_get(q, old[i] & Q2_REFT_MASK) == Q2_META_REFBLOCK) {
            q2_meta_set(q, old[i] & Q2_REFT_MASK, 1, 0);
        }
    }
    q2_meta_set(q, used << q->cluster_bits, blocks << q->cluster_bits, Q2_META_REFBLOCK);
    q2_meta_set(q, q->reft_offset, table << q->cluster_bits, Q2_META_REFTABLE);
    r = r ? r
          : q2_write_table(q, q->reft_offset, reft, table << (q->cluster_bits - 3),
                           Q2_META_REFTABLE);
    r = r ? r : node_flush(q->file);
    be_put64(header, q->reft_offset);
    be_put32(header + 8, (uint32_t)table);
    r = r ? r : q2_write_file(q, 48, header, 12, Q2_META_HEADER);
    r = r ? r : node_flush(q->file);
    free(q->reft);
    q->reft = reft;
    q->reft_size = table << (q->cluster_bits - 3);
    q2_cache_free(&q->ref);
    q2_cache_init(&q->ref, q, 256, Q2_META_REFBLOCK);
    k->c->end_offset = total << q->cluster_bits;
    return r;
}

int q2_check(struct qcow2 *q, struct node_check *c, unsigned fix)
{
    struct check k = {.q = q, .c = c, .fix = fix};
    int r = q->ready ? q2_flush_metadata(q) : 0;

    r = r || !q->ready ? r : q2_cache_flush(q, &q->ref);
    uint64_t compatible = q->compatible;
    if (fix) {
        q->corrupt = false;                         /* writing is what a repair is for */
        q->compatible &= ~(uint64_t)Q2_COMPAT_LAZY; /* no order of writes is given up meanwhile */
    }
    c->total_clusters = q2_clusters(q, atomic_load(&q->node->size));
    r = r ? r : count_all(&k);
    uint64_t hard = k.hard; /* a rebuild counts again */
    r = r ? r : compare(&k);
    if (!r && k.rebuild && (fix & CHECK_FIX_ERRORS)) {
        say(&k, "Rebuilding refcount structure");
        r = rebuild(&k);
        if (!r) {
            c->corruptions_fixed += c->corruptions - hard;
            c->leaks_fixed += c->leaks;
            c->corruptions = hard;
            c->leaks = 0;
        }
    }
    r = r ? r : check_copied(&k);
    if (fix && !r) {
        r = q2_cache_flush(q, &q->l2);
        r = r ? r : q2_cache_flush(q, &q->ref);
        r = r ? r : node_flush(q->file);
    }
    q->compatible = compatible;
    if (r) {
        c->errors++;
    }
    free(k.count);
    return r;
}
