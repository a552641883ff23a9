/* qcow2 images that are damaged: the input changes bytes of a good image (or is the image), which
 * is then opened, read, written, checked, repaired. */
#include "host/block.h"
#include "host/block_node.h"
#include "host/qcow2.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KINDS = 4, GUEST = 1 << 20, LIMIT = 1 << 20 };

struct input {
    const uint8_t *p, *end;
};

static uint8_t *image[KINDS];
static size_t image_len[KINDS];
static int fd = -1;
static char path[64];
static uint8_t buf[128 << 10];

static uint64_t take(struct input *in, unsigned n)
{
    uint64_t v = 0;

    while (n--) {
        v = v << 8 | (in->p < in->end ? *in->p++ : 0);
    }
    return v;
}

static struct block_node *open_it(struct block_graph *g, bool readonly, bool check)
{
    struct node_flags f = {
        .readonly = readonly, .no_flush = true, .unmap = true, .no_io = check, .no_backing = true};
    struct error err;

    return node_open_file(g, path, "qcow2", &f, NULL, &err);
}

/* The good images that are damaged later. */
static void make(unsigned kind)
{
    struct qcow2_create c[KINDS] = {
        {.size = GUEST, .version = 3, .cluster_bits = 12, .refcount_bits = 16},
        {.size = GUEST, .version = 2, .cluster_bits = 9, .refcount_bits = 16},
        {.size = GUEST, .version = 3, .cluster_bits = 14, .refcount_bits = 4, .extended_l2 = true},
        {.size = GUEST,
         .version = 3,
         .cluster_bits = 9,
         .refcount_bits = 64,
         .zstd = true,
         .lazy_refcounts = true}};
    struct block_graph *g = block_graph_create(NULL);
    struct error err;
    struct stat st;

    if (!qcow2_create(path, &c[kind], &err)) {
        abort();
    }
    struct block_node *n = open_it(g, false, false);
    memset(buf, 'a', sizeof(buf));
    node_pwrite(n, 5000 / 512 * 512, buf, 40960);
    n->driver->write_compressed(n, 1 << 18, 1u << c[kind].cluster_bits, buf);
    qcow2_snapshot_create(n, "s", &err);
    node_pwrite(n, 0, buf, 8192);
    node_zero(n, 300 << 10, 32 << 10, false);
    node_unref(n);
    block_graph_destroy(g);
    fstat(fd, &st);
    image_len[kind] = (size_t)st.st_size;
    image[kind] = malloc(image_len[kind]);
    if (pread(fd, image[kind], image_len[kind], 0) != (ssize_t)image_len[kind]) {
        abort();
    }
}

static void write_all(const void *p, size_t len)
{
    if (ftruncate(fd, 0) || pwrite(fd, p, len, 0) != (ssize_t)len) {
        abort();
    }
}

static void damage(struct input *in, unsigned kind)
{
    unsigned n = (unsigned)take(in, 1) % 8;

    write_all(image[kind], image_len[kind]);
    while (n--) {
        uint64_t at = take(in, 1) & 1 ? take(in, 1) % 112 : take(in, 3) % image_len[kind];
        uint8_t b[8];
        unsigned len = (unsigned)take(in, 1) % 8 + 1;
        for (unsigned i = 0; i < len; i++) {
            b[i] = (uint8_t)take(in, 1);
        }
        if (pwrite(fd, b, len, (off_t)at) < 0) {
            abort();
        }
    }
    if (take(in, 1) % 8 == 0 && ftruncate(fd, (off_t)(take(in, 3) % image_len[kind]))) {
        abort();
    }
}

static void use(struct block_node *n, struct input *in)
{
    uint64_t size = n->size, at, len;
    struct error err;

    if (!size) {
        return;
    }
    for (unsigned i = 0; i < 24 && in->p < in->end; i++) {
        unsigned op = (unsigned)take(in, 1);
        at = take(in, 3) * 512 % size;
        len = (take(in, 1) + 1) * 512;
        len = len < size - at ? len : size - at;
        switch (op % 9) {
        case 0:
            node_pread(n, at, buf, len);
            break;
        case 1:
        case 2:
            node_pwrite(n, at, buf, len);
            break;
        case 3:
            node_zero(n, at, len, op & 16);
            break;
        case 4:
            node_discard(n, at, len);
            break;
        case 5:
            node_status(n, at, &len);
            break;
        case 6:
            qcow2_snapshot_create(n, op & 16 ? "s" : "t", &err);
            break;
        case 7:
            (op & 16 ? qcow2_snapshot_delete : qcow2_snapshot_apply)(n, "s", &err);
            break;
        default:
            node_truncate(n, (take(in, 2) % 4096 + 1) * 512, op & 16 ? "metadata" : NULL, &err);
            size = n->size;
            if (!size) {
                return;
            }
            break;
        }
    }
}

/* Reading must not change the file. */
static uint64_t sum_file(void)
{
    struct stat st;
    uint64_t sum = 0;

    fstat(fd, &st);
    size_t len = (size_t)st.st_size < LIMIT ? (size_t)st.st_size : LIMIT;
    uint8_t *p = malloc(len + 1);
    if (pread(fd, p, len, 0) != (ssize_t)len) {
        abort();
    }
    for (size_t i = 0; i < len; i++) {
        sum = sum * 1099511628211u + p[i];
    }
    free(p);
    return sum + (uint64_t)st.st_size;
}

static void print_line(void *opaque, const char *line)
{
    (void)opaque;
    fprintf(stderr, "%s\n", line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    unsigned how = (unsigned)take(&in, 1);

    if (fd < 0) {
        fd = memfd_create("qcow2", 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        for (unsigned i = 0; i < KINDS; i++) {
            make(i);
        }
    }
    if (how & 128) {
        write_all(in.p, (size_t)(in.end - in.p));
    } else {
        damage(&in, how % KINDS);
    }
    struct block_graph *g = block_graph_create(NULL);
    uint64_t before = sum_file();
    struct block_node *n = open_it(g, true, false);
    if (n) {
        uint64_t len = sizeof(buf);
        len = len < n->size ? len : n->size;
        node_pread(n, 0, buf, len);
        struct node_check c = {0};
        n->driver->check(n, &c, 0);
        node_unref(n);
    }
    if (sum_file() != before) {
        abort();
    }
    n = open_it(g, false, how & 32);
    if (n && how & 64) {
        struct node_check c = {0};
        n->driver->check(n, &c, CHECK_FIX_LEAKS | CHECK_FIX_ERRORS);
        bool fixed = !c.errors && !c.corruptions;
        c = (struct node_check){0};
        n->driver->check(n, &c, 0);
        if (fixed && (c.leaks || c.corruptions)) {
            c.print = print_line;
            n->driver->check(n, &c, 0);
            abort(); /* what is said to be repaired is */
        }
    }
    if (n) {
        use(n, &in);
        node_unref(n);
    }
    block_graph_destroy(g);
    return 0;
}
