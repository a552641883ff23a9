/* qcow2 images that are damaged: the input changes bytes of a good image (or is the image), which
 * is then opened, read, written, checked, repaired. What is opened for reading must not change;
 * what a repair has called good must be so. An image that is not damaged must read as a model in
 * memory does, whatever was done to it before. */
#include "tests/fuzz/fuzz.h"

#include "host/be.h"
#include "host/qcow2.h"

enum { KINDS = 5, GUEST = 256 << 10, LIMIT = 2 << 20, MAX_OPS = 64 };
enum { BACKED = 4 }; /* the kind with a backing file */

static struct {
    uint8_t *data;
    size_t len;
} image[KINDS];
static uint8_t now[2 * GUEST]; /* the model: what the guest must read */
static uint8_t buf[128 << 10];

static struct block_node *open_it(struct block_graph *g, bool readonly, bool check, bool backing)
{
    struct node_flags f = {.readonly = readonly, .unmap = true, .no_io = check};
    struct error err;

    f.no_backing = !backing;
    return node_open_file(g, memory_file_name(0), "qcow2", &f, NULL, &err);
}

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* The good images: data, a compressed cluster, zeroes, and a snapshot that shares them in part. */
static void make(unsigned kind)
{
    const struct qcow2_create c[KINDS] = {
        {.size = GUEST, .version = 3, .cluster_bits = 12, .refcount_bits = 16},
        {.size = GUEST, .version = 2, .cluster_bits = 9, .refcount_bits = 16},
        {.size = GUEST, .version = 3, .cluster_bits = 14, .refcount_bits = 4, .extended_l2 = true},
        {.size = GUEST,
         .version = 3,
         .cluster_bits = 9,
         .refcount_bits = 64,
         .zstd = true,
         .lazy_refcounts = true},
        {.size = GUEST,
         .version = 3,
         .cluster_bits = 12,
         .refcount_bits = 1,
         .backing_file = memory_file_name(1),
         .backing_format = "raw"},
    };
    struct block_graph *g = block_graph_create(NULL);
    unsigned cluster = 1u << c[kind].cluster_bits;
    struct error err;

    must(qcow2_create(memory_file_name(0), &c[kind], &err));
    struct block_node *n = open_it(g, false, false, true);
    must(n);
    memset(buf, 'a', sizeof(buf));
    must(!node_pwrite(n, 0, memory_file[1].data, kind == BACKED ? 0 : 16384));
    must(!node_pwrite(n, 5120, buf, 40960));
    must(!n->driver->write_compressed(n, 128 << 10, cluster, buf));
    must(kind == BACKED || qcow2_snapshot_create(n, "s", &err)); /* its refcounts have one bit */
    memset(buf, 'b', sizeof(buf));
    must(!node_pwrite(n, 0, buf, 8192));
    must(!node_zero(n, 200 << 10, 32 << 10, false));
    node_unref(n);
    block_graph_destroy(g);
    image[kind].len = memory_file[0].size;
    image[kind].data = malloc(image[kind].len);
    memcpy(image[kind].data, memory_file[0].data, image[kind].len);
}

static void set_up(void)
{
    for (unsigned i = 0; i < 2; i++) {
        memory_file[i].limit = i ? 16384 : LIMIT;
        memory_file[i].data = calloc(1, memory_file[i].limit);
    }
    memory_file[1].size = memory_file[1].limit;
    memset(memory_file[1].data, 'c', memory_file[1].size);
    for (unsigned i = 0; i < KINDS; i++) {
        make(i);
    }
}

static void load(const void *p, size_t len)
{
    memory_file[0].size = len < LIMIT ? len : LIMIT;
    memcpy(memory_file[0].data, p, memory_file[0].size);
    memory_file[0].writes = 0;
}

/* Puts numbers into the image where they matter: the header, and cluster by cluster. False: it is
 * as good as it was. */
static bool damage(struct input *in, unsigned kind)
{
    unsigned n = take(in, 1) % 8;
    bool any = n;
    size_t len = memory_file[0].size;

    while (n--) {
        unsigned how = take(in, 1);
        uint64_t at =
            how & 1   ? take(in, 1) % 112
            : how & 2 ? take(in, 3)
                      : (take(in, 1) << (kind == 1 || kind == 3 ? 9 : 12)) + (take(in, 1) & 31) * 8;
        unsigned bytes = how >> 5;
        uint8_t b[8];
        if (how & 16) { /* an offset of a cluster */
            be_put64(b, (uint64_t)take(in, 1) << 9 | (uint64_t)(how & 12) << 60);
            bytes = 7;
        } else {
            take_bytes(in, b, bytes + 1);
        }
        for (unsigned i = 0; i <= bytes && at + i < len; i++) {
            memory_file[0].data[at + i] = b[i];
        }
    }
    if (take(in, 1) == 7) {
        memory_file[0].size = take(in, 3) % len;
        any = true;
    }
    return any;
}

/* ---- what is done with it ---- */

/* exact: the model knows what the image reads as; not so after a write that has failed, say. */
static void one_op(struct block_node *n, struct input *in, bool *exact)
{
    unsigned op = take(in, 1);
    uint64_t size = n->size, at = (uint64_t)take(in, 2) * 512 % size, len = (take(in, 1) + 1) * 512;
    struct error err;
    int r;

    len = len < size - at ? len : size - at;
    switch (op & 15) {
    case 0:
        memory_file[0].failing = op & 16;
        *exact &= !(op & 16);
        break;
    case 1:
    case 2:
        memset(buf, op, len);
        r = node_pwrite(n, at, buf, len);
        *exact &= !r;
        memset(now + at, op, *exact ? len : 0);
        break;
    case 3:
        r = node_zero(n, at, len, op & 16);
        *exact &= !r;
        memset(now + at, 0, *exact ? len : 0);
        break;
    case 4: /* what is discarded may read as anything: the model takes what it is now */
        r = node_discard(n, at, len);
        r = r ? r : node_pread(n, at, now + at, *exact ? len : 0);
        *exact &= !r;
        break;
    case 5:
        node_status(n, at, &len);
        node_status_chain(n, at, &len);
        break;
    case 6:
        qcow2_snapshot_create(n, op & 16 ? "s" : "t", &err);
        break;
    case 7:
        if (op & 16) {
            qcow2_snapshot_delete(n, op & 32 ? "s" : "t", &err);
        } else if (qcow2_snapshot_apply(n, op & 32 ? "s" : "t", &err)) {
            *exact &= !node_pread(n, 0, now, n->size < sizeof(now) ? n->size : sizeof(now));
        }
        break;
    case 8:
        len = ((uint64_t)take(in, 2) % (2 * GUEST / 512) + 1) * 512;
        if (!node_truncate(n, len, op & 16 ? "metadata" : op & 32 ? "full" : NULL, &err)) {
            *exact = false;
        } else if (*exact && len > size) {
            memset(now + size, 0, len - size);
        }
        break;
    case 9:
        memset(buf, op, 1 << 14);
        n->driver->write_compressed(n, at & ~UINT64_C(0x3fff), 1 << 14, buf);
        *exact = false;
        break;
    case 10:
        node_flush(n);
        break;
    default:
        r = node_pread(n, at, buf, len);
        must(!*exact || (!r && !memcmp(buf, now + at, len)));
        break;
    }
}

static void use(struct block_node *n, struct input *in, bool *exact)
{
    for (unsigned i = 0; i < MAX_OPS && more(in) && n->size && n->size <= 2 * GUEST; i++) {
        one_op(n, in, exact);
    }
}

static void print_line(void *opaque, const char *line)
{
    (void)opaque;
    fprintf(stderr, "%s\n", line);
}

static void check(struct block_node *n, struct node_check *c, unsigned fix)
{
    *c = (struct node_check){0};
    n->driver->check(n, c, fix);
}

static void must_be_clean(struct block_node *n)
{
    struct node_check c;

    check(n, &c, 0);
    if (c.leaks || c.corruptions || c.errors) {
        c = (struct node_check){.print = print_line};
        n->driver->check(n, &c, 0);
        abort();
    }
}

static void look(bool backing)
{
    struct block_graph *g = block_graph_create(NULL);
    struct block_node *n = open_it(g, true, false, backing);

    if (n) {
        uint64_t len = n->size < sizeof(buf) ? n->size : sizeof(buf);
        struct node_check c;
        struct node_info info = {0};
        struct error err;
        node_pread(n, 0, buf, len);
        check(n, &c, 0);
        n->driver->info(n, &info);
        json_decref(info.specific);
        json_decref(info.snapshots);
        if (qcow2_snapshot_view(n, "s", &err)) {
            node_pread(n, 0, buf, len < n->size ? len : n->size);
        }
        node_unref(n);
    }
    block_graph_destroy(g);
    must(!memory_file[0].writes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    unsigned how = take(&in, 1), kind = how % KINDS;
    bool exact = false;

    if (!image[0].data) {
        set_up();
    }
    memory_file[0].failing = false;
    if (how >= 250) {
        load(in.p, (size_t)(in.end - in.p));
    } else {
        load(image[kind].data, image[kind].len);
        exact = !damage(&in, kind);
    }
    bool whole = exact;
    look(kind == BACKED);
    struct block_graph *g = block_graph_create(NULL);
    struct block_node *n = open_it(g, false, how & 32, kind == BACKED);
    must(n || !exact);
    if (n && how & 64) {
        struct node_check c;
        check(n, &c, CHECK_FIX_LEAKS | CHECK_FIX_ERRORS);
        if (!c.errors && !c.corruptions) {
            must_be_clean(n); /* what is said to be repaired is */
        }
    }
    if (exact) {
        must(!node_pread(n, 0, now, GUEST));
    }
    if (n) {
        use(n, &in, &exact);
    }
    memory_file[0].failing = false;
    if (n && exact && n->size <= 2 * GUEST) { /* and once more from the file */
        uint64_t len = n->size;
        node_unref(n);
        n = open_it(g, true, false, kind == BACKED);
        must(n && n->size == len);
        for (uint64_t at = 0; at < len; at += sizeof(buf)) {
            uint64_t piece = len - at < sizeof(buf) ? len - at : sizeof(buf);
            must(!node_pread(n, at, buf, piece) && !memcmp(buf, now + at, piece));
        }
        if (whole) {
            must_be_clean(n);
        }
    }
    node_unref(n);
    block_graph_destroy(g);
    return 0;
}
