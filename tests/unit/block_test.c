/* The block layer: back ends (errors, throttling, cache modes), locks, formats that are found out,
 * temporary overlays; and qcow2 images that are damaged, which must be refused and stay as they
 * are. */
#include "host/block.h"
#include "host/block_node.h"
#include "host/mainloop.h"
#include "host/qcow2.h"
#include "tests/device/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct bench b;
static struct mainloop *loop;
static struct block_graph *graph;
static char folder[] = "/tmp/block-test-XXXXXX";

static const char *path(const char *name)
{
    static char text[4][200];
    static unsigned at;
    char *p = text[at++ % 4];

    snprintf(p, sizeof(text[0]), "%s/%s", folder, name);
    return p;
}

static void settle(unsigned rounds)
{
    while (rounds--) {
        bench_step(&b, loop);
    }
}

/* ---- a node that fails when it is told to ---- */

static int fail_read, fail_write, fail_flush, flushes, writes, zeroes;

static int f_read(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                  size_t skip)
{
    (void)n;
    (void)offset;
    node_vec_zero(v, skip, len);
    return fail_read;
}

static int f_write(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                   size_t skip)
{
    (void)n;
    (void)offset;
    (void)len;
    (void)v;
    (void)skip;
    writes++;
    return fail_write;
}

static int f_flush(struct block_node *n)
{
    (void)n;
    flushes++;
    return fail_flush;
}

static int f_zero(struct block_node *n, uint64_t offset, uint64_t len, bool unmap)
{
    (void)n;
    (void)offset;
    (void)len;
    zeroes += unmap ? 100 : 1;
    return 0;
}

static const struct node_driver fail_driver = {
    .name = "fail", .read = f_read, .write = f_write, .flush = f_flush, .zero = f_zero};

static int done_count, done_result;

static void done(struct block_request *r, int result)
{
    (void)r;
    done_count++;
    done_result = result;
}

static void submit(struct block *k, struct block_request *r, enum block_op op, uint8_t *buf)
{
    static struct iovec iov;

    iov = (struct iovec){buf, 4096};
    *r = (struct block_request){
        .op = op, .len = op == BLOCK_FLUSH ? 0 : 4096, .iov = &iov, .niov = 1, .done = done};
    done_count = 0;
    block_submit(k, r);
    for (unsigned i = 0; i < BENCH_PATIENCE && !done_count && !b.m->requests; i++) {
        settle(1);
    }
}

static unsigned events[3];

static void on_event(void *opaque, const struct block_event_data *e)
{
    (void)opaque;
    events[e->event]++;
}

static void test_errors(void)
{
    struct block_node n = {
        .driver = &fail_driver, .graph = graph, .refs = 1, .name = "fail", .size = 1 << 20};
    struct block_config c = {.id = "e", .werror = BLOCK_ERROR_REPORT};
    struct error err;
    struct block_request r;
    uint8_t buf[4096] = {1};
    struct block *k = block_create(graph, &c, &n, &err);

    block_graph_on_event(graph, on_event, NULL);
    fail_read = -EIO;
    submit(k, &r, BLOCK_READ, buf);
    tap_ok(done_count == 1 && done_result == -EIO && events[BLOCK_EVENT_IO_ERROR] == 1,
           "rerror=report: the error arrives");
    fail_flush = -EIO;
    submit(k, &r, BLOCK_FLUSH, buf);
    tap_ok(done_result == -EIO, "a flush that fails");
    fail_flush = 0;
    block_close(k);
    c.rerror = BLOCK_ERROR_IGNORE;
    c.werror = BLOCK_ERROR_STOP;
    k = block_create(graph, &c, &n, &err);
    submit(k, &r, BLOCK_READ, buf);
    tap_ok(done_count == 1 && done_result == 0, "rerror=ignore: it does not");
    fail_write = -ENOSPC;
    submit(k, &r, BLOCK_WRITE, buf);
    bool nospace;
    tap_ok(done_count == 0 && (b.m->requests & REQUEST_STOP) && !block_iostatus_ok(k, &nospace) &&
               nospace,
           "werror=stop: the machine is stopped, the request waits");
    b.m->requests = 0;
    fail_write = 0;
    block_graph_resume(graph);
    for (unsigned i = 0; i < BENCH_PATIENCE && !done_count; i++) {
        settle(1);
    }
    tap_ok(done_count == 1 && done_result == 0 && block_iostatus_ok(k, &nospace),
           "and is done when the machine goes on");
    fail_write = -ENOSPC;
    submit(k, &r, BLOCK_WRITE, buf);
    b.m->requests = 0;
    block_drain(k);
    settle(2);
    tap_ok(done_count == 1 && done_result == -ENOSPC, "draining gives up what waits");
    fail_write = 0;
    block_close(k);

    c = (struct block_config){.id = "w", .write_through = true};
    k = block_create(graph, &c, &n, &err);
    flushes = 0;
    submit(k, &r, BLOCK_WRITE, buf);
    tap_ok(flushes == 1, "writethrough: a write is flushed");
    block_set_write_cache(k, true);
    submit(k, &r, BLOCK_WRITE, buf);
    tap_ok(flushes == 1, "writeback: it is not");
    memset(buf, 0, sizeof(buf));
    writes = zeroes = 0;
    n.flags.detect = DETECT_ON;
    submit(k, &r, BLOCK_WRITE, buf);
    n.flags.detect = DETECT_UNMAP;
    n.flags.unmap = true;
    submit(k, &r, BLOCK_WRITE, buf);
    tap_ok(!writes && zeroes == 101, "detect-zeroes, on and unmap");
    n.flags.readonly = true;
    submit(k, &r, BLOCK_WRITE, buf);
    tap_ok(done_result == -EROFS && block_readonly(k), "read only");
    n.flags.readonly = false;
    n.flags.detect = DETECT_OFF;

    /* 10 requests a second, the clock stands still. */
    struct block_throttle t = {.iops = {10, 0, 0}, .iops_max = {1, 0, 0}};
    struct block_request many[12];
    struct iovec iov = {buf, sizeof(buf)};
    block_set_throttle(k, &t);
    done_count = 0;
    for (unsigned i = 0; i < 12; i++) {
        many[i] = (struct block_request){
            .op = BLOCK_WRITE, .len = 4096, .iov = &iov, .niov = 1, .done = done};
        block_submit(k, &many[i]);
    }
    for (unsigned i = 0; i < BENCH_PATIENCE && done_count < 2; i++) {
        settle(1);
    }
    settle(50);
    int first = done_count;
    clock_advance(b.m->clock, 500 * 1000000);
    for (unsigned i = 0; i < BENCH_PATIENCE && done_count < 6; i++) {
        settle(1);
    }
    settle(50);
    int half = done_count;
    tap_ok(first == 2 && half >= 6 && half <= 7, "iops=10: %d at once, %d after half a second",
           first, half);
    block_drain(k);
    settle(2);
    tap_ok(done_count == 12, "draining does not wait for the limit");
    block_close(k);
    block_graph_on_event(graph, NULL, NULL);
}

/* ---- files ---- */

static void make_file(const char *name, uint64_t size)
{
    int fd = open(path(name), O_RDWR | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || ftruncate(fd, (off_t)size)) {
        abort();
    }
    close(fd);
}

static struct block_node *open_file(const char *name, const char *format, bool readonly,
                                    struct error *err)
{
    struct node_flags f = {.readonly = readonly};

    err->msg[0] = 0;
    return node_open_file(graph, path(name), format, &f, NULL, err);
}

static void test_locks(void)
{
    struct error err;
    char cmd[400];

    make_file("lock", 1 << 20);
    struct block_node *n = open_file("lock", "raw", false, &err);
    tap_ok(!open_file("lock", "raw", false, &err) && strstr(err.msg, "in use"),
           "a second writer is refused: %s", err.msg);
    tap_ok(!open_file("lock", "raw", true, &err) && strstr(err.msg, "in use"),
           "a reader beside a writer, too");
    snprintf(cmd, sizeof(cmd), "qemu-img convert -f raw -O raw %s %s >/dev/null 2>&1; test $? = 1",
             path("lock"), path("copy"));
    if (system("qemu-img --version >/dev/null 2>&1") == 0) {
        tap_ok(system(cmd) == 0, "qemu-img is refused");
        snprintf(cmd, sizeof(cmd), "qemu-img info -U %s >/dev/null 2>&1", path("lock"));
        tap_ok(system(cmd) == 0, "but with -U");
    }
    node_unref(n);
    n = open_file("lock", "raw", true, &err);
    struct block_node *m = open_file("lock", "raw", true, &err);
    tap_ok(n && m, "two readers");
    node_unref(n);
    node_unref(m);
    int fd = open(path("lock"), O_RDWR);
    struct flock fl = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 101, .l_len = 1};
    fcntl(fd, F_OFD_SETLK, &fl); /* as QEMU, writing */
    tap_ok(!open_file("lock", "raw", true, &err) && !open_file("lock", "raw", false, &err),
           "QEMU's lock keeps us out");
    close(fd);
}

static void test_formats(void)
{
    struct qcow2_create c = {
        .size = 1 << 20, .version = 3, .cluster_bits = 16, .refcount_bits = 16};
    struct error err;
    uint8_t start[512] = {'Q', 'F', 'I', 0xfb, 0, 0, 0, 3}, buf[512];

    make_file("raw", 1 << 20);
    struct block_node *n = open_file("raw", NULL, false, &err);
    tap_ok(n && n->probed && n->driver == &node_driver_raw, "a raw image is found out");
    tap_ok(node_pwrite(n, 0, start, 512) == -EPERM && node_pread(n, 0, buf, 512) == 0 && !buf[0] &&
               node_pwrite(n, 512, start, 512) == 0,
           "and cannot be made qcow2 from inside");
    node_unref(n);
    n = open_file("raw", "raw", false, &err);
    tap_ok(node_pwrite(n, 0, start, 512) == 0, "with format=raw it can");
    node_unref(n);
    qcow2_create(path("q"), &c, &err);
    n = open_file("q", NULL, false, &err);
    tap_ok(n && n->driver == &node_driver_qcow2, "a qcow2 image is found out");
    node_unref(n);
    make_file("vmdk", 4096);
    FILE *f = fopen(path("vmdk"), "r+");
    fputs("KDMV", f);
    fclose(f);
    tap_ok(!open_file("vmdk", NULL, true, &err) && strstr(err.msg, "vmdk"), "another is named: %s",
           err.msg);
    tap_ok(!open_file("nothing", NULL, true, &err) && strstr(err.msg, "nothing"),
           "a file that is missing: %s", err.msg);
    tap_ok(!open_file("q", "qcow3", true, &err) && strstr(err.msg, "qcow3"),
           "an unknown format: %s", err.msg);

    /* snapshot=on */
    struct block_options o = {.id = "snap", .file = path("raw"), .format = "raw", .snapshot = true};
    struct block *k = block_open(graph, &o, &err);
    memset(buf, 7, 512);
    tap_ok(k && block_pwrite(k, 5120, buf, 512) == 0 && block_pread(k, 5120, start, 512) == 0 &&
               start[9] == 7,
           "snapshot=on: writes are read back");
    block_close(k);
    n = open_file("raw", "raw", true, &err);
    tap_ok(node_pread(n, 5120, start, 512) == 0 && start[9] == 0, "and are gone afterwards");
    node_unref(n);
}

/* ---- direct I/O ---- */

static void test_direct(void)
{
    struct node_flags f = {.direct = true};
    struct error err = {{0}};
    uint8_t *want = malloc(70000), *got = malloc(70000);

    make_file("direct", 1 << 20);
    struct block_node *n = node_open_file(graph, path("direct"), "raw", &f, NULL, &err);
    if (!n && strstr(err.msg, "Invalid argument")) {
        n = open_file("direct", "raw", false, &err); /* a file system without it */
    }
    bool ok = n != NULL;
    for (unsigned i = 0; i < 70000; i++) {
        want[i] = (uint8_t)(i * 7 + i / 256);
    }
    ok = ok && node_pwrite(n, 512, want, 512 * 130) == 0 &&
         node_pread(n, 512, got, 512 * 130) == 0 && !memcmp(want, got, 512 * 130);
    ok = ok && node_pwrite(n, 1024, want + 1, 512) == 0 && node_pread(n, 512, got, 1536) == 0 &&
         !memcmp(got, want, 512) && !memcmp(got + 512, want + 1, 512) &&
         !memcmp(got + 1024, want + 1024, 512);
    tap_ok(ok, "cache=none with buffers and offsets that are not aligned");
    node_unref(n);
    free(want);
    free(got);
}

/* ---- damaged images ---- */

static uint64_t sum(const char *name)
{
    uint64_t s = 0;
    int c;
    FILE *f = fopen(path(name), "r");

    while (f && (c = fgetc(f)) != EOF) {
        s = s * 1099511628211u + (uint64_t)c + 1;
    }
    fclose(f);
    return s;
}

struct damage {
    const char *name, *says;
    unsigned offset, len;
    uint8_t bytes[8];
    int64_t cut; /* >= 0: the file's new length */
};

static const struct damage damages[] = {
    {"an unknown incompatible feature", "not supported", 72, 1, {0x80}, -1},
    {"another one, with a name", "external data file", 79, 1, {4}, -1},
    {"version 9", "version", 7, 1, {9}, -1},
    {"clusters of 8 bytes", "clusters", 23, 1, {3}, -1},
    {"encryption", "encrypted", 35, 1, {2}, -1},
    {"an L1 table that is not aligned", "L1 table", 47, 1, {1}, -1},
    {"an L1 table beyond the file", "L1 table", 43, 1, {1}, -1},
    {"an L1 table that is too small", "too small", 36, 4, {0, 0, 0, 0}, -1},
    {"an L1 table that is too large", "L1 table", 36, 4, {0xff, 0, 0, 0}, -1},
    {"no refcount table", "refcount table", 56, 4, {0, 0, 0, 0}, -1},
    {"a refcount table beyond the file", "refcount table", 51, 1, {1}, -1},
    {"refcounts of 128 bits", "refcounts", 99, 1, {7}, -1},
    {"a header that is too short", "header", 103, 1, {8}, -1},
    {"a header extension that is too long", "extension", 116, 4, {0x7f, 0, 0, 0}, -1},
    {"an unknown way of compression", "compression", 104, 1, {9}, -1},
    {"a snapshot table that is not there", "snapshot", 60, 4, {0, 0, 0, 1}, -1},
    {"a virtual size of 2^63", "L1 table", 24, 1, {0x7f}, -1},
    {"the corrupt bit", "corrupt", 79, 1, {2}, -1},
    {"a cut in the header", "qcow2", 0, 0, {0}, 60},
    {"a cut before the tables", "beyond the end", 0, 0, {0}, 70000},
};

static void test_damage(void)
{
    struct qcow2_create c = {
        .size = 64 << 20, .version = 3, .cluster_bits = 16, .refcount_bits = 16};
    struct error err;

    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        const struct damage *d = &damages[i];
        unlink(path("d"));
        qcow2_create(path("d"), &c, &err);
        int fd = open(path("d"), O_RDWR);
        if (pwrite(fd, d->bytes, d->len, d->offset) < 0 || (d->cut >= 0 && ftruncate(fd, d->cut))) {
            abort();
        }
        close(fd);
        uint64_t before = sum("d");
        struct block_node *n = open_file("d", "qcow2", false, &err);
        tap_ok(!n && strstr(err.msg, d->says) && sum("d") == before, "%s: %s", d->name, err.msg);
        node_unref(n);
    }
}

static void test_chains(void)
{
    struct qcow2_create c = {.size = 1 << 20,
                             .version = 3,
                             .cluster_bits = 16,
                             .refcount_bits = 16,
                             .backing_format = "qcow2"};
    struct error err;

    c.backing_file = "c2";
    qcow2_create(path("c1"), &c, &err);
    c.backing_file = "c1";
    qcow2_create(path("c2"), &c, &err);
    uint64_t before = sum("c1");
    tap_ok(!open_file("c1", "qcow2", false, &err) && strstr(err.msg, "circle") &&
               sum("c1") == before,
           "a circle of backing files: %s", err.msg);
    c.backing_file = "self";
    qcow2_create(path("self"), &c, &err);
    tap_ok(!open_file("self", NULL, true, &err) && strstr(err.msg, "circle"),
           "an image that backs itself");
    c.backing_file = "gone";
    qcow2_create(path("c3"), &c, &err);
    tap_ok(!open_file("c3", NULL, true, &err) && strstr(err.msg, "gone"),
           "a backing file that is missing: %s", err.msg);
    c.backing_file = "nbd://host/x";
    qcow2_create(path("c4"), &c, &err);
    tap_ok(!open_file("c4", NULL, true, &err) && strstr(err.msg, "nbd"),
           "a backing file that is none: %s", err.msg);
}

/* Damage that is found while the image is in use. */
static void test_corrupt(void)
{
    struct qcow2_create c = {
        .size = 1 << 20, .version = 3, .cluster_bits = 16, .refcount_bits = 16};
    struct error err;
    uint8_t buf[512] = {1}, bits[8] = {0, 0, 0, 0, 0, 0, 0, 0x10};

    unlink(path("x"));
    qcow2_create(path("x"), &c, &err);
    int fd = open(path("x"), O_RDWR);
    bits[7] = 0x11;
    if (pwrite(fd, bits, 8, 88) != 8) { /* unknown autoclear bits */
        abort();
    }
    struct block_node *n = open_file("x", NULL, false, &err);
    tap_ok(n && pread(fd, bits, 8, 88) == 8 && !bits[7], "unknown autoclear bits are cleared");
    node_pwrite(n, 0, buf, 512);
    node_unref(n);
    /* The entry of the second cluster leads to the refcount table. */
    uint8_t l1[8];
    if (pread(fd, l1, 8, 3 << 16) != 8) {
        abort();
    }
    off_t l2 = (off_t)l1[4] << 24 | (off_t)l1[5] << 16 | (off_t)l1[6] << 8;
    if (pwrite(fd, "\x80\0\0\0\0\x01\0\0", 8, l2 + 8) != 8) {
        abort();
    }
    block_graph_on_event(graph, on_event, NULL);
    n = open_file("x", NULL, false, &err);
    tap_ok(n && node_pwrite(n, 65536, buf, 512) == -EIO && node_pwrite(n, 0, buf, 512) == -EIO,
           "a write over the refcount table is refused, and all later ones");
    settle(2);
    tap_ok(events[BLOCK_EVENT_CORRUPTED] == 1 && node_pread(n, 0, buf, 512) == 0 && buf[0] == 1,
           "this is told; reading goes on");
    node_unref(n);
    tap_ok(pread(fd, bits, 8, 72) == 8 && bits[7] == 2 && !open_file("x", NULL, false, &err),
           "the image is marked: %s", err.msg);
    close(fd);
}

int main(void)
{
    if (!mkdtemp(folder)) {
        return 1;
    }
    bench_open(&b);
    loop = mainloop_create(b.m);
    graph = block_graph_create(loop);
    test_errors();
    test_locks();
    test_formats();
    test_direct();
    test_damage();
    test_chains();
    test_corrupt();
    block_graph_destroy(graph);
    bench_close(&b);
    mainloop_destroy(loop);
    char cmd[100];
    snprintf(cmd, sizeof(cmd), "rm -rf %s", folder);
    return system(cmd) ? 1 : tap_done();
}
