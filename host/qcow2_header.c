/* qcow2: the header, its extensions and features, and tables of 64-bit numbers. */
#include "host/qcow2_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool bad(struct qcow2 *q, struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static bool bad(struct qcow2 *q, struct error *err, const char *fmt, ...)
{
    char text[300];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return error_set(err, "qcow2 image '%s': %s", q->node->filename, text);
}

int q2_corrupt(struct qcow2 *q, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (!q->corrupt) {
        q->corrupt = true;
        node_report_corrupt(q->node, "%s%s", text,
                            q->ready ? "; it is not written to any more" : "");
        if (q->ready && q->version >= 3) {
            uint8_t b[8];
            q->incompatible |= Q2_INCOMPAT_CORRUPT;
            be_put64(b, q->incompatible);
            node_pwrite(q->file, 72, b, 8);
            node_flush(q->file);
        }
    }
    return -EIO;
}

int q2_set_incompatible(struct qcow2 *q, uint64_t set, uint64_t clear)
{
    uint64_t value = (q->incompatible | set) & ~clear;
    uint8_t b[8];

    be_put64(b, value);
    int r = node_pwrite(q->file, 72, b, 8);
    r = r ? r : node_flush(q->file);
    q->incompatible = r ? q->incompatible : value;
    return r;
}

/* ---- tables ---- */

bool q2_read_table(struct qcow2 *q, uint64_t offset, uint64_t entries, uint64_t **out,
                   const char *what, struct error *err)
{
    uint64_t size = atomic_load(&q->file->size);
    uint8_t *raw;
    int r;

    if (offset & (q->cluster_size - 1)) {
        return bad(q, err, "the %s is at offset %#" PRIx64 ", which is no cluster's", what, offset);
    }
    if (offset > size || entries * 8 > size - offset) {
        return bad(q, err,
                   "the %s is beyond the end of the file: it has been cut off, or is damaged",
                   what);
    }
    *out = calloc(entries + 1, 8);
    raw = malloc(entries * 8 + 1);
    r = *out && raw ? node_pread(q->file, offset, raw, entries * 8) : -ENOMEM;
    for (uint64_t i = 0; !r && i < entries; i++) {
        (*out)[i] = be_get64(raw + 8 * i);
    }
    free(raw);
    return !r || bad(q, err, "cannot read the %s: %s", what, strerror(-r));
}

int q2_write_table(struct qcow2 *q, uint64_t offset, const uint64_t *table, uint64_t entries,
                   enum q2_meta kind)
{
    uint8_t *raw = malloc(entries * 8 + 1);
    int r = raw ? 0 : -ENOMEM;

    for (uint64_t i = 0; !r && i < entries; i++) {
        be_put64(raw + 8 * i, table[i]);
    }
    r = r ? r : q2_write_file(q, offset, raw, entries * 8, kind);
    free(raw);
    return r;
}

/* ---- reading ---- */

/* The names of features that are set and not known, from the image's own table of names. */
static bool unknown_features(struct qcow2 *q, uint64_t unknown, struct error *err)
{
    char list[200] = "";

    for (unsigned bit = 0; bit < 64; bit++) {
        const char *name = NULL;
        char text[60];
        if (!(unknown >> bit & 1)) {
            continue;
        }
        for (unsigned i = 0; i < q->nextensions; i++) {
            const struct q2_extension *x = &q->extension[i];
            for (uint32_t at = 0; x->type == Q2_EXT_FEATURES && at + 48 <= x->len; at += 48) {
                if (x->data[at] == 0 && x->data[at + 1] == bit) {
                    name = (const char *)x->data + at + 2;
                }
            }
        }
        snprintf(text, sizeof(text), "%s%.46s", *list ? ", " : "", name ? name : "");
        if (!name) {
            snprintf(text, sizeof(text), "%sbit %u", *list ? ", " : "", bit);
        }
        strncat(list, text, sizeof(list) - strlen(list) - 1);
    }
    return bad(q, err, "it has features that are not supported: %s", list);
}

static bool read_extensions(struct qcow2 *q, uint64_t end, struct error *err)
{
    uint64_t at = q->header_length;
    uint8_t h[8];

    while (at + 8 <= end) {
        struct q2_extension x;
        if (node_pread(q->file, at, h, 8)) {
            return bad(q, err, "cannot read the header extensions");
        }
        x.type = be_get32(h);
        x.len = be_get32(h + 4);
        if (x.type == Q2_EXT_END) {
            return true;
        }
        if (x.len > end - at - 8) {
            return bad(q, err, "header extension %#x is longer than the header's cluster", x.type);
        }
        x.data = calloc(1, (size_t)x.len + 1);
        if (!x.data || node_pread(q->file, at + 8, x.data, x.len)) {
            free(x.data);
            return bad(q, err, "cannot read the header extensions");
        }
        q->extension = g_realloc(q->extension, (q->nextensions + 1) * sizeof(x));
        q->extension[q->nextensions++] = x;
        if (x.type == Q2_EXT_BACKING_FORMAT) {
            free(q->node->backing_format);
            q->node->backing_format = strdup((char *)x.data);
        }
        at += 8 + (((uint64_t)x.len + 7) & ~UINT64_C(7));
    }
    return true;
}

static bool check_features(struct qcow2 *q, struct error *err)
{
    uint64_t unknown = q->incompatible & ~(uint64_t)Q2_INCOMPAT_KNOWN;

    if (unknown) {
        return unknown_features(q, unknown, err);
    }
    if (q->compression > 1 || (!q->compression) != !(q->incompatible & Q2_INCOMPAT_COMPRESSION)) {
        return bad(q, err, "compression type %u is not known, or the feature bit of it is wrong",
                   q->compression);
    }
    if (q->extended && q->cluster_bits < 14) {
        return bad(q, err, "extended L2 entries need clusters of at least 16 KiB");
    }
    return true;
}

static bool read_backing_name(struct qcow2 *q, uint64_t offset, uint32_t len, struct error *err)
{
    char name[1024] = "";

    if (!offset) {
        return true;
    }
    if (len > 1023 || offset + len > q->cluster_size || !len) {
        return bad(q, err, "the name of its backing file is too long or not in the first cluster");
    }
    if (node_pread(q->file, offset, name, len)) {
        return bad(q, err, "cannot read the name of its backing file");
    }
    if (strlen(name) != len) {
        return bad(q, err, "the name of its backing file has a byte 0");
    }
    q->node->backing_filename = strdup(name);
    return true;
}

bool q2_read_header(struct qcow2 *q, struct error *err)
{
    uint8_t h[Q2_HEADER_MAX] = {0};
    uint64_t file = atomic_load(&q->file->size);
    int r = node_pread(q->file, 0, h, sizeof(h));

    if (r) {
        return bad(q, err, "cannot read the header: %s", strerror(-r));
    }
    if (file < Q2_HEADER2 || be_get32(h) != Q2_MAGIC) {
        return bad(q, err, "it is not in qcow2 format");
    }
    q->version = be_get32(h + 4);
    if (q->version != 2 && q->version != 3) {
        return bad(q, err, "version %u is not supported (known: 2 and 3)", q->version);
    }
    uint64_t backing = be_get64(h + 8), size = be_get64(h + 24);
    uint32_t backing_len = be_get32(h + 16), crypt = be_get32(h + 32);
    q->cluster_bits = be_get32(h + 20);
    if (q->cluster_bits < 9 || q->cluster_bits > 21) {
        return bad(q, err, "the size of its clusters is not from 512 bytes to 2 MiB");
    }
    q->cluster_size = UINT64_C(1) << q->cluster_bits;
    q->l1_size = be_get32(h + 36);
    q->l1_offset = be_get64(h + 40);
    q->reft_offset = be_get64(h + 48);
    uint64_t reft_clusters = be_get32(h + 56);
    q->nsnapshots = be_get32(h + 60);
    q->snapshots_offset = be_get64(h + 64);
    q->header_length = Q2_HEADER2;
    q->refcount_order = 4;
    if (q->version >= 3) {
        q->incompatible = be_get64(h + 72);
        q->compatible = be_get64(h + 80);
        q->autoclear = be_get64(h + 88);
        q->refcount_order = be_get32(h + 96);
        q->header_length = be_get32(h + 100);
        if (q->header_length < Q2_HEADER3 || q->header_length > q->cluster_size ||
            q->header_length % 8) {
            return bad(q, err, "the length of its header, %u, is impossible", q->header_length);
        }
        q->compression = q->header_length > Q2_HEADER3 ? h[104] : 0;
    }
    q->extended = q->incompatible & Q2_INCOMPAT_EXTL2;
    if (q->refcount_order > 6) {
        return bad(q, err, "refcounts of more than 64 bits");
    }
    if (crypt) {
        return bad(q, err, "it is encrypted, which is not supported");
    }
    if (!read_extensions(q, backing ? backing : q->cluster_size, err) || !check_features(q, err) ||
        !read_backing_name(q, backing, backing_len, err)) {
        return false;
    }
    q->subclusters = q->extended ? 32 : 1;
    q->l2_entry = q->extended ? 16 : 8;
    q->l2_bits = q->cluster_bits - (q->extended ? 4 : 3);
    q->block_bits = q->cluster_bits + 3 - q->refcount_order;
    q->reft_size = reft_clusters << (q->cluster_bits - 3);
    if (!reft_clusters || reft_clusters << q->cluster_bits > Q2_MAX_REFTABLE || !q->reft_offset) {
        return bad(q, err, "the size of its refcount table is impossible");
    }
    if (q->l1_size > Q2_MAX_L1 / 8 || (q->l1_size && !q->l1_offset)) {
        return bad(q, err, "the size of its L1 table is impossible");
    }
    if (size > INT64_MAX - q->cluster_size || q2_clusters(q, size) > (uint64_t)q->l1_size
                                                                         << q->l2_bits) {
        return bad(q, err, "its L1 table is too small for its size");
    }
    if (q->nsnapshots > Q2_MAX_SNAPSHOTS) {
        return bad(q, err, "it has more than %d snapshots", Q2_MAX_SNAPSHOTS);
    }
    atomic_store(&q->node->size, (size + NODE_SECTOR - 1) & ~(uint64_t)(NODE_SECTOR - 1));
    return true;
}

/* ---- writing ---- */

static void put_feature_name(uint8_t *p, unsigned kind, unsigned bit, const char *name)
{
    p[0] = (uint8_t)kind;
    p[1] = (uint8_t)bit;
    snprintf((char *)p + 2, 46, "%s", name);
}

static size_t put_features(uint8_t *p)
{
    static const struct {
        uint8_t kind, bit;
        const char *name;
    } names[] = {
        {0, 0, "dirty bit"},        {0, 1, "corrupt bit"},         {0, 2, "external data file"},
        {0, 3, "compression type"}, {0, 4, "extended L2 entries"}, {1, 0, "lazy refcounts"},
        {2, 0, "bitmaps"},          {2, 1, "raw external data"}};
    size_t n = sizeof(names) / sizeof(names[0]);

    be_put32(p, Q2_EXT_FEATURES);
    be_put32(p + 4, (uint32_t)(48 * n));
    for (size_t i = 0; i < n; i++) {
        put_feature_name(p + 8 + 48 * i, names[i].kind, names[i].bit, names[i].name);
    }
    return 8 + 48 * n;
}

static size_t put_extension(uint8_t *p, uint32_t type, const void *data, uint32_t len)
{
    be_put32(p, type);
    be_put32(p + 4, len);
    memcpy(p + 8, data, len);
    return 8 + ((len + 7) & ~(size_t)7);
}

int q2_write_header(struct qcow2 *q)
{
    const char *backing = q->node->backing_filename, *format = q->node->backing_format;
    size_t room = q->cluster_size, at = q->version >= 3 ? q->header_length : Q2_HEADER2, need = at;
    uint8_t *h;
    bool features = q->version >= 3 && q->cluster_size >= 1024;
    int r;

    need += 1200 + (backing ? strlen(backing) : 0) + (format ? strlen(format) : 0);
    for (unsigned i = 0; i < q->nextensions; i++) {
        need += q->extension[i].len + 16;
    }
    h = calloc(1, need > room ? need : room);
    if (!h) {
        return -ENOMEM;
    }
    r = node_pread(q->file, 0, h, at); /* keeps what a longer header has that is not known */
    be_put32(h, Q2_MAGIC);
    be_put32(h + 4, q->version);
    be_put32(h + 20, q->cluster_bits);
    be_put64(h + 24, atomic_load(&q->node->size));
    be_put32(h + 32, 0);
    be_put32(h + 36, q->l1_size);
    be_put64(h + 40, q->l1_offset);
    be_put64(h + 48, q->reft_offset);
    be_put32(h + 56, (uint32_t)q2_clusters(q, q->reft_size * 8));
    be_put32(h + 60, q->nsnapshots);
    be_put64(h + 64, q->snapshots_offset);
    if (q->version >= 3) {
        be_put64(h + 72, q->incompatible);
        be_put64(h + 80, q->compatible);
        be_put64(h + 88, q->autoclear);
        be_put32(h + 96, q->refcount_order);
        be_put32(h + 100, q->header_length);
        if (q->header_length > Q2_HEADER3) {
            h[104] = q->compression;
        }
    }
    if (backing && format) {
        at += put_extension(h + at, Q2_EXT_BACKING_FORMAT, format, (uint32_t)strlen(format));
    }
    if (features) {
        at += put_features(h + at);
    }
    for (unsigned i = 0; i < q->nextensions; i++) {
        const struct q2_extension *x = &q->extension[i];
        if (x->type != Q2_EXT_FEATURES && x->type != Q2_EXT_BACKING_FORMAT) {
            at += put_extension(h + at, x->type, x->data, x->len);
        }
    }
    at += 8; /* the end */
    be_put64(h + 8, backing ? at : 0);
    be_put32(h + 16, backing ? (uint32_t)strlen(backing) : 0);
    if (backing) {
        memcpy(h + at, backing, strlen(backing));
        at += strlen(backing);
    }
    r = r ? r : at > room ? -ENOSPC : node_pwrite(q->file, 0, h, room);
    r = r ? r : node_flush(q->file);
    free(h);
    return r;
}
