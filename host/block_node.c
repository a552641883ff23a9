/* Requests to nodes: checks that hold for every driver, and what a driver does not do itself. */
#include "host/block_node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ZERO_PIECE = 1 << 16 };

/* ---- vectors ---- */

/* Calls fn for each piece of memory of the part. */
static bool vec_walk(const struct node_vec *v, size_t skip, uint64_t len,
                     bool (*fn)(void *opaque, void *piece, size_t n), void *opaque)
{
    for (int i = 0; i < v->niov && len; i++) {
        size_t n = v->iov[i].iov_len;
        if (skip >= n) {
            skip -= n;
            continue;
        }
        n -= skip;
        n = n < len ? n : (size_t)len;
        if (!fn(opaque, (char *)v->iov[i].iov_base + skip, n)) {
            return false;
        }
        skip = 0;
        len -= n;
    }
    return true;
}

static bool piece_zero(void *opaque, void *piece, size_t n)
{
    (void)opaque;
    memset(piece, 0, n);
    return true;
}

static bool piece_to(void *opaque, void *piece, size_t n)
{
    char **p = opaque;

    memcpy(*p, piece, n);
    *p += n;
    return true;
}

static bool piece_from(void *opaque, void *piece, size_t n)
{
    const char **p = opaque;

    memcpy(piece, *p, n);
    *p += n;
    return true;
}

static bool piece_is_zero(void *opaque, void *piece, size_t n)
{
    (void)opaque;
    return node_is_zero(piece, n);
}

void node_vec_zero(const struct node_vec *v, size_t skip, uint64_t len)
{
    vec_walk(v, skip, len, piece_zero, NULL);
}

void node_vec_to(const struct node_vec *v, size_t skip, void *buf, uint64_t len)
{
    vec_walk(v, skip, len, piece_to, &buf);
}

void node_vec_from(const struct node_vec *v, size_t skip, const void *buf, uint64_t len)
{
    vec_walk(v, skip, len, piece_from, &buf);
}

bool node_vec_is_zero(const struct node_vec *v, size_t skip, uint64_t len)
{
    return vec_walk(v, skip, len, piece_is_zero, NULL);
}

bool node_is_zero(const void *buf, size_t len)
{
    const uint8_t *p = buf;

    if (!len) {
        return true;
    }
    return p[0] == 0 && (len == 1 || (p[len - 1] == 0 && memcmp(p, p + 1, len - 1) == 0));
}

int node_vec_part(const struct node_vec *v, size_t skip, uint64_t len, struct iovec *out)
{
    int n = 0;

    for (int i = 0; i < v->niov && len; i++) {
        size_t have = v->iov[i].iov_len;
        if (skip >= have) {
            skip -= have;
            continue;
        }
        have -= skip;
        have = have < len ? have : (size_t)len;
        out[n++] = (struct iovec){(char *)v->iov[i].iov_base + skip, have};
        skip = 0;
        len -= have;
    }
    return n;
}

/* ---- requests ---- */

static int check_range(const struct block_node *n, uint64_t offset, uint64_t len)
{
    uint64_t size = atomic_load(&n->size);

    if (n->driver->protocol) { /* grows as its format likes */
        return offset > INT64_MAX - len ? -EFBIG : 0;
    }
    return offset > size || len > size - offset ? -EIO : 0;
}

int node_readv(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
               size_t skip)
{
    int r = check_range(n, offset, len);

    return r || !len ? r : n->driver->read(n, offset, len, v, skip);
}

int node_readv_now(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                   size_t skip)
{
    if (!n->driver->read_now || !len || check_range(n, offset, len)) {
        return -EAGAIN; /* node_readv will tell what is wrong */
    }
    return n->driver->read_now(n, offset, len, v, skip);
}

static void note_write(struct block_node *n, uint64_t end)
{
    uint64_t old = atomic_load(&n->highest_write);

    while (old < end && !atomic_compare_exchange_weak(&n->highest_write, &old, end)) {
    }
}

static int check_write(struct block_node *n, uint64_t offset, uint64_t len)
{
    return n->flags.readonly ? -EROFS : check_range(n, offset, len);
}

int node_writev(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                size_t skip)
{
    int r = check_write(n, offset, len);

    if (r || !len) {
        return r;
    }
    if (n->flags.detect != DETECT_OFF && node_vec_is_zero(v, skip, len)) {
        return node_zero(n, offset, len, n->flags.detect == DETECT_UNMAP);
    }
    r = n->driver->write(n, offset, len, v, skip);
    if (!r) {
        note_write(n, offset + len);
    }
    return r;
}

int node_pread(struct block_node *n, uint64_t offset, void *buf, uint64_t len)
{
    struct iovec iov = {buf, len};
    struct node_vec v = {&iov, 1};

    return node_readv(n, offset, len, &v, 0);
}

int node_pwrite(struct block_node *n, uint64_t offset, const void *buf, uint64_t len)
{
    struct iovec iov = {(void *)(uintptr_t)buf, len};
    struct node_vec v = {&iov, 1};

    return node_writev(n, offset, len, &v, 0);
}

int node_flush(struct block_node *n)
{
    int r = n->driver->flush && !n->flags.readonly ? n->driver->flush(n) : 0;

    if (!r && n->file && !n->flags.no_flush && !n->flags.readonly) {
        r = node_flush(n->file);
    }
    return r;
}

int node_discard(struct block_node *n, uint64_t offset, uint64_t len)
{
    int r = check_write(n, offset, len);

    if (r || !len || !n->flags.unmap || !n->driver->discard) {
        return r;
    }
    r = n->driver->discard(n, offset, len);
    return r == -EOPNOTSUPP || r == -EINVAL ? 0 : r; /* it is a hint */
}

static int write_zero_bytes(struct block_node *n, uint64_t offset, uint64_t len)
{
    void *zero = calloc(1, ZERO_PIECE);
    int r = zero ? 0 : -ENOMEM;

    while (!r && len) {
        uint64_t piece = len < ZERO_PIECE ? len : ZERO_PIECE;
        struct iovec iov = {zero, piece};
        struct node_vec v = {&iov, 1};
        r = n->driver->write(n, offset, piece, &v, 0);
        offset += piece;
        len -= piece;
    }
    free(zero);
    return r;
}

int node_zero(struct block_node *n, uint64_t offset, uint64_t len, bool unmap)
{
    int r = check_write(n, offset, len);

    if (r || !len) {
        return r;
    }
    r = n->driver->zero ? n->driver->zero(n, offset, len, unmap && n->flags.unmap) : -EOPNOTSUPP;
    if (r == -EOPNOTSUPP) {
        r = write_zero_bytes(n, offset, len);
    }
    if (!r) {
        note_write(n, offset + len);
    }
    return r;
}

int node_status(struct block_node *n, uint64_t offset, uint64_t *len)
{
    uint64_t size = atomic_load(&n->size);

    if (offset >= size) {
        return NODE_ZERO;
    }
    if (*len > size - offset) {
        *len = size - offset;
    }
    return n->driver->status ? n->driver->status(n, offset, len) : NODE_DATA | NODE_ALLOCATED;
}

int node_status_chain(struct block_node *n, uint64_t offset, uint64_t *len)
{
    for (;;) {
        if (offset >= atomic_load(&n->size)) {
            return NODE_ZERO;
        }
        int r = node_status(n, offset, len);
        if (r < 0 || (r & (NODE_DATA | NODE_ZERO)) || !n->backing) {
            return r < 0                         ? r
                   : r & (NODE_DATA | NODE_ZERO) ? r & (NODE_DATA | NODE_ZERO)
                                                 : NODE_ZERO;
        }
        n = n->backing;
    }
}

bool node_truncate(struct block_node *n, uint64_t size, const char *prealloc, struct error *err)
{
    if (n->flags.readonly) {
        return error_set(err, "image '%s' is read only", n->filename);
    }
    if (!n->driver->truncate) {
        return error_set(err, "format '%s' cannot be resized", n->driver->name);
    }
    return n->driver->truncate(n, size, prealloc, err);
}

uint64_t node_allocated(struct block_node *n)
{
    while (n && !n->driver->allocated) {
        n = n->file;
    }
    return n ? n->driver->allocated(n) : 0;
}
