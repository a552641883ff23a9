/* Format `raw`: the bytes of the file are those of the disk. An image whose format was not given
 * and which was found to be raw must not become one of another format by what a guest writes to its
 * start: with a qcow2 header there, the guest could name any file of the host as its backing file.
 */
#include "host/block_node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct raw {
    uint64_t offset;
};

static bool size_option(json_t *o, const char *key, uint64_t *out, struct error *err)
{
    json_t *v = json_object_get(o, key);
    const char *text = json_string_value(v);
    char *end;

    if (!v) {
        return true;
    }
    *out = text ? strtoull(text, &end, 0) : (uint64_t)json_integer_value(v);
    if ((text && (*end || end == text)) ||
        (!text && (!json_is_integer(v) || json_integer_value(v) < 0)) || *out % 512) {
        return error_set(err, "%s is not a number of bytes that is a multiple of 512", key);
    }
    return true;
}

static bool raw_open(struct block_node *n, json_t *options, struct error *err)
{
    struct raw *r = n->state;
    uint64_t file = atomic_load(&n->file->size), size = UINT64_MAX;

    if (!size_option(options, "offset", &r->offset, err) ||
        !size_option(options, "size", &size, err)) {
        return false;
    }
    if (r->offset > file || (size != UINT64_MAX && size > file - r->offset)) {
        return error_set(err, "offset and size are beyond the end of '%s'", n->filename);
    }
    size = size == UINT64_MAX ? file - r->offset : size;
    atomic_store(&n->size, (size + NODE_SECTOR - 1) & ~(uint64_t)(NODE_SECTOR - 1));
    return true;
}

static void raw_close(struct block_node *n)
{
    (void)n;
}

static int raw_read(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                    size_t skip)
{
    return node_readv(n->file, offset + ((struct raw *)n->state)->offset, len, v, skip);
}

static int raw_read_now(struct block_node *n, uint64_t offset, uint64_t len,
                        const struct node_vec *v, size_t skip)
{
    return node_readv_now(n->file, offset + ((struct raw *)n->state)->offset, len, v, skip);
}

static bool changes_format(struct block_node *n, uint64_t offset, uint64_t len,
                           const struct node_vec *v, size_t skip)
{
    uint8_t start[NODE_SECTOR];

    if (!n->probed || offset >= sizeof(start) || n->flags.no_probe_lock) {
        return false;
    }
    if (node_pread(n->file, ((struct raw *)n->state)->offset, start, sizeof(start))) {
        return true;
    }
    node_vec_to(v, skip, start + offset,
                len < sizeof(start) - offset ? len : sizeof(start) - offset);
    return strcmp(node_probe(start, sizeof(start)), "raw") != 0;
}

static int raw_write(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                     size_t skip)
{
    if (changes_format(n, offset, len, v, skip)) {
        return -EPERM;
    }
    return node_writev(n->file, offset + ((struct raw *)n->state)->offset, len, v, skip);
}

static int raw_discard(struct block_node *n, uint64_t offset, uint64_t len)
{
    return node_discard(n->file, offset + ((struct raw *)n->state)->offset, len);
}

static int raw_zero(struct block_node *n, uint64_t offset, uint64_t len, bool unmap)
{
    return node_zero(n->file, offset + ((struct raw *)n->state)->offset, len, unmap);
}

static int raw_status(struct block_node *n, uint64_t offset, uint64_t *len)
{
    uint64_t at = offset + ((struct raw *)n->state)->offset;

    return at >= atomic_load(&n->file->size) ? NODE_ZERO | NODE_ALLOCATED
                                             : node_status(n->file, at, len);
}

static bool raw_truncate(struct block_node *n, uint64_t size, const char *prealloc,
                         struct error *err)
{
    struct raw *r = n->state;

    if (!node_truncate(n->file, size + r->offset, prealloc, err)) {
        return false;
    }
    atomic_store(&n->size, (size + NODE_SECTOR - 1) & ~(uint64_t)(NODE_SECTOR - 1));
    return true;
}

static const char *const raw_options[] = {"offset", "size", NULL};

const struct node_driver node_driver_raw = {
    .name = "raw",
    .state_size = sizeof(struct raw),
    .options = raw_options,
    .open = raw_open,
    .close = raw_close,
    .read = raw_read,
    .read_now = raw_read_now,
    .write = raw_write,
    .discard = raw_discard,
    .zero = raw_zero,
    .status = raw_status,
    .truncate = raw_truncate,
};
