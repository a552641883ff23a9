/* The driver `file` of the fuzz targets: a few files in memory, small, so that an input takes
 * microseconds and no disk. It takes the place of host/block_file.c when a target is linked. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>

struct memory_file memory_file[MEMORY_FILES];

const char *memory_file_name(unsigned n)
{
    /* Names that exist and that can be opened: making an image opens its file first. */
    static const char *const names[MEMORY_FILES] = {"/dev/null", "/dev/zero", "/dev/full",
                                                    "/dev/random"};

    return names[n];
}

struct state {
    struct memory_file *f;
};

static struct memory_file *of(struct block_node *n)
{
    return ((struct state *)n->state)->f;
}

static bool mem_open(struct block_node *n, json_t *options, struct error *err)
{
    const char *name = json_string_value(json_object_get(options, "filename"));
    struct state *s = n->state;

    for (unsigned i = 0; name && i < MEMORY_FILES; i++) {
        if (!strcmp(name, memory_file_name(i)) && memory_file[i].data) {
            s->f = &memory_file[i];
        }
    }
    if (!s->f) {
        return error_set(err, "there is no file '%.100s'", name ? name : "");
    }
    n->filename = strdup(name);
    atomic_store(&n->size, s->f->size);
    return true;
}

static void mem_close(struct block_node *n)
{
    (void)n;
}

static int mem_read(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                    size_t skip)
{
    struct memory_file *f = of(n);
    uint64_t have = offset < f->size ? f->size - offset : 0;

    have = have < len ? have : len;
    if (have) {
        node_vec_from(v, skip, f->data + offset, have);
    }
    node_vec_zero(v, skip + have, len - have);
    return 0;
}

static int grow(struct block_node *n, uint64_t end)
{
    struct memory_file *f = of(n);

    if (f->failing || end > f->limit) {
        return f->failing ? -EIO : -ENOSPC;
    }
    if (end > f->size) {
        memset(f->data + f->size, 0, end - f->size);
        f->size = end;
        atomic_store(&n->size, end);
    }
    f->writes++;
    return 0;
}

static int mem_write(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                     size_t skip)
{
    int r = grow(n, offset + len);

    if (!r) {
        node_vec_to(v, skip, of(n)->data + offset, len);
    }
    return r;
}

static int mem_flush(struct block_node *n)
{
    return of(n)->failing ? -EIO : 0;
}

static int mem_zero(struct block_node *n, uint64_t offset, uint64_t len, bool unmap)
{
    int r = grow(n, offset + len);

    (void)unmap;
    if (!r) {
        memset(of(n)->data + offset, 0, len);
    }
    return r;
}

static int mem_discard(struct block_node *n, uint64_t offset, uint64_t len)
{
    struct memory_file *f = of(n);
    uint64_t have = offset < f->size ? f->size - offset : 0;

    return have ? mem_zero(n, offset, have < len ? have : len, true) : 0;
}

static int mem_status(struct block_node *n, uint64_t offset, uint64_t *len)
{
    struct memory_file *f = of(n);

    *len = *len < 4096 ? *len : 4096;
    return (node_is_zero(f->data + offset, *len) ? NODE_ZERO : NODE_DATA) | NODE_ALLOCATED;
}

static bool mem_truncate(struct block_node *n, uint64_t size, const char *prealloc,
                         struct error *err)
{
    struct memory_file *f = of(n);

    (void)prealloc;
    if (size > f->size && grow(n, size)) {
        return error_set(err, "no space left");
    }
    f->size = size;
    f->writes++;
    atomic_store(&n->size, size);
    return true;
}

static uint64_t mem_allocated(struct block_node *n)
{
    return of(n)->size;
}

static const char *const mem_options[] = {"filename", "aio", "locking", "aio-max-batch", NULL};

#define MEM_DRIVER(text)                                                                           \
    {                                                                                              \
        .name = text, .protocol = true, .state_size = sizeof(struct state),                        \
        .options = mem_options, .open = mem_open, .close = mem_close, .read = mem_read,            \
        .write = mem_write, .flush = mem_flush, .discard = mem_discard, .zero = mem_zero,          \
        .status = mem_status, .truncate = mem_truncate, .allocated = mem_allocated,                \
    }

const struct node_driver node_driver_file = MEM_DRIVER("file");
const struct node_driver node_driver_host_device = MEM_DRIVER("host_device");
