/* qcow2 by random operations against a model in memory, over many kinds of images, with qemu-img as
 * the judge in both directions; several threads at once; and a process that is killed while it
 * writes. */
#include "host/block.h"
#include "host/block_node.h"
#include "host/qcow2_internal.h"
#include "tests/unit/tap.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 4 << 20, GRAIN = 512, SECTORS = SIZE / GRAIN, KILLS = 20, THREADS = 4 };

static char folder[] = "/tmp/qcow2-test-XXXXXX";
static uint64_t seed = 88172645463325252u;
static unsigned scale = 1; /* QCOW2_TEST_SCALE: more rounds */

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *fmt, ...)
{
    char cmd[1500];
    va_list ap;
    int n = snprintf(cmd, sizeof(cmd), "cd %s && ", folder);

    va_start(ap, fmt);
    n += vsnprintf(cmd + n, sizeof(cmd) - (size_t)n, fmt, ap);
    va_end(ap);
    snprintf(cmd + n, sizeof(cmd) - (size_t)n, " >log 2>&1");
    int status = system(cmd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void show_log(void)
{
    char cmd[200];

    snprintf(cmd, sizeof(cmd), "head -n 12 %s/log | sed 's/^/# /'", folder);
    if (system(cmd)) {
        puts("# no log");
    }
}

static char *path(const char *name)
{
    static char text[4][200];
    static unsigned at;
    char *p = text[at++ % 4];

    snprintf(p, sizeof(text[0]), "%s/%s", folder, name);
    return p;
}

static struct block_node *open_image(struct block_graph *g, const char *name, bool readonly,
                                     bool no_flush)
{
    struct node_flags f = {.readonly = readonly, .unmap = true, .no_flush = no_flush};
    struct error err = {{0}};
    struct block_node *n = node_open_file(g, path(name), "qcow2", &f, NULL, &err);

    if (!n) {
        printf("# %s\n", err.msg);
    }
    return n;
}

/* ---- random operations against a model ---- */

struct kind {
    const char *name, *options; /* of qemu-img create */
    struct qcow2_create create;
    const char *backing; /* NULL, or the format of a smaller backing file */
};

static const struct kind kinds[] = {
    {"default", "", {.version = 3, .cluster_bits = 16, .refcount_bits = 16}, NULL},
    {"512 byte clusters",
     "cluster_size=512",
     {.version = 3, .cluster_bits = 9, .refcount_bits = 16},
     NULL},
    {"2M clusters",
     "cluster_size=2M",
     {.version = 3, .cluster_bits = 21, .refcount_bits = 16},
     NULL},
    {"version 2", "compat=0.10", {.version = 2, .cluster_bits = 16, .refcount_bits = 16}, NULL},
    {"version 2, backing",
     "compat=0.10,cluster_size=4k",
     {.version = 2, .cluster_bits = 12, .refcount_bits = 16},
     "raw"},
    {"1 bit refcounts",
     "refcount_bits=1,cluster_size=1k",
     {.version = 3, .cluster_bits = 10, .refcount_bits = 1},
     NULL},
    {"2 bit refcounts",
     "refcount_bits=2,cluster_size=4k",
     {.version = 3, .cluster_bits = 12, .refcount_bits = 2},
     "qcow2"},
    {"64 bit refcounts",
     "refcount_bits=64,cluster_size=512",
     {.version = 3, .cluster_bits = 9, .refcount_bits = 64},
     NULL},
    {"lazy refcounts",
     "lazy_refcounts=on,cluster_size=4k",
     {.version = 3, .cluster_bits = 12, .refcount_bits = 16, .lazy_refcounts = true},
     NULL},
    {"extended L2",
     "extended_l2=on,cluster_size=16k",
     {.version = 3, .cluster_bits = 14, .refcount_bits = 16, .extended_l2 = true},
     NULL},
    {"extended L2, backing",
     "extended_l2=on,cluster_size=64k",
     {.version = 3, .cluster_bits = 16, .refcount_bits = 16, .extended_l2 = true},
     "qcow2"},
    {"zstd, backing",
     "compression_type=zstd,cluster_size=16k",
     {.version = 3, .cluster_bits = 14, .refcount_bits = 16, .zstd = true},
     "raw"},
    {"8 bit refcounts, backing",
     "refcount_bits=8,cluster_size=8k",
     {.version = 3, .cluster_bits = 13, .refcount_bits = 8},
     "qcow2"},
};

struct model {
    struct block_node *n;
    uint8_t *data, *saved; /* saved: at the snapshot */
    bool snapshot;
    unsigned cluster_bits;
};

static void fill(uint8_t *p, size_t n)
{
    unsigned style = rnd() % 4;
    uint64_t v = style ? rnd() : 0;

    for (size_t i = 0; i < n; i += 8) {
        v = style == 1 ? rnd() : v;
        memcpy(p + i, &v, 8);
    }
}

static bool one_step(struct model *m, uint8_t *buf)
{
    uint64_t max = rnd() % 8 ? 40 : 900, len = (1 + rnd() % max) * GRAIN,
             at = rnd() % SECTORS * GRAIN;
    struct error err = {{0}};
    int r = 0;

    if (rnd() % 3 == 0) { /* whole clusters more often */
        uint64_t c = (UINT64_C(1) << m->cluster_bits) - 1;
        at &= ~c;
        len = (len + c) & ~c;
    }
    len = len < SIZE - at ? len : SIZE - at;
    switch (rnd() % 16) {
    case 0:
    case 1:
        r = node_zero(m->n, at, len, rnd() & 1);
        memset(m->data + at, 0, len);
        break;
    case 2: { /* what is discarded reads as anything: tell the model */
        r = node_discard(m->n, at, len);
        r = r ? r : node_pread(m->n, at, m->data + at, len);
        break;
    }
    case 3:
        r = node_flush(m->n);
        break;
    case 4:
    case 5:
    case 6:
        r = node_pread(m->n, at, buf, len);
        if (!r && memcmp(buf, m->data + at, len)) {
            printf("# read of %#llx bytes at %#llx is wrong\n", (unsigned long long)len,
                   (unsigned long long)at);
            return false;
        }
        break;
    case 7:
        if (rnd() % 24) {
            break;
        }
        if (m->snapshot && rnd() & 1) {
            r = qcow2_snapshot_apply(m->n, "s", &err) ? 0 : -1;
            memcpy(m->data, m->saved, SIZE);
        } else if (m->snapshot) {
            r = qcow2_snapshot_delete(m->n, "s", &err) ? 0 : -1;
            m->snapshot = false;
        } else if (qcow2_snapshot_create(m->n, "s", &err)) {
            memcpy(m->saved, m->data, SIZE);
            m->snapshot = true;
        } else { /* refcounts of one bit cannot */
            r = strstr(err.msg, "too large") ? 0 : -1;
        }
        if (r) {
            printf("# %s\n", err.msg);
        }
        break;
    default:
        fill(m->data + at, len);
        r = node_pwrite(m->n, at, m->data + at, len);
        break;
    }
    if (r) {
        printf("# error %d at %#llx\n", r, (unsigned long long)at);
    }
    return r == 0;
}

static bool write_file(const char *name, const uint8_t *data, size_t len)
{
    FILE *f = fopen(path(name), "w");
    bool ok = f && fwrite(data, 1, len, f) == len;

    return f && fclose(f) == 0 && ok;
}

static void make_backing(const struct kind *k, uint8_t *data)
{
    enum { SMALLER = SIZE / 2 + 3 * 512 };

    memset(data, 0, SIZE);
    if (k->backing) {
        for (unsigned i = 0; i < SMALLER; i += 8192) {
            if (rnd() % 3) {
                fill(data + i, SMALLER - i < 8192 ? SMALLER - i : 8192);
            }
        }
        write_file("base.raw", data, SMALLER);
        run("rm -f base && qemu-img convert -f raw -O %s base.raw base", k->backing);
    }
}

/* ours: made by us and not by qemu-img. */
static void test_kind(const struct kind *k, bool ours)
{
    struct qcow2_create c = k->create;
    struct model m = {.data = malloc(SIZE), .saved = malloc(SIZE), .cluster_bits = c.cluster_bits};
    uint8_t *buf = malloc(SIZE);
    struct error err = {{0}};
    bool ok = true;

    make_backing(k, m.data);
    unlink(path("i.qcow2"));
    if (ours) {
        c.size = SIZE;
        c.backing_file = k->backing ? "base" : NULL;
        c.backing_format = k->backing;
        ok = qcow2_create(path("i.qcow2"), &c, &err);
    } else if (k->backing) {
        ok = run("qemu-img create -f qcow2 -b base -F %s -o %s i.qcow2 %d", k->backing, k->options,
                 SIZE) == 0;
    } else {
        ok = run("qemu-img create -f qcow2 -o size=%d%s%s i.qcow2", SIZE, *k->options ? "," : "",
                 k->options) == 0;
    }
    for (unsigned round = 0; ok && round < 3 * scale; round++) {
        struct block_graph *g = block_graph_create(NULL);
        m.n = open_image(g, "i.qcow2", false, true);
        ok = m.n != NULL;
        for (unsigned i = 0; ok && i < 400; i++) {
            ok = one_step(&m, buf);
        }
        ok = ok && node_pread(m.n, 0, buf, SIZE) == 0 && !memcmp(buf, m.data, SIZE);
        node_unref(m.n);
        block_graph_destroy(g);
        ok = ok && write_file("want.raw", m.data, SIZE);
        if (ok && run("qemu-img check i.qcow2") != 0) {
            show_log();
            ok = false;
        }
        if (ok && run("qemu-img compare -f qcow2 -F raw i.qcow2 want.raw") != 0) {
            show_log();
            ok = false;
        }
    }
    tap_ok(ok, "%s: random operations, image by %s", k->name, ours ? "us" : "qemu-img");
    free(m.data);
    free(m.saved);
    free(buf);
}

/* What qemu-img writes, we read: compressed too. */
static void test_foreign(const struct kind *k)
{
    uint8_t *data = malloc(SIZE), *buf = malloc(SIZE);
    struct node_check c = {0};
    bool ok = true;

    make_backing(k, data);
    for (unsigned i = 0; i < SIZE; i += 32768) {
        if (rnd() % 2) {
            fill(data + i, 32768);
        }
    }
    write_file("want.raw", data, SIZE);
    for (unsigned compressed = 0; ok && compressed < 2; compressed++) {
        ok = run("rm -f i.qcow2; qemu-img convert %s -f raw -O qcow2 %s%s want.raw i.qcow2",
                 compressed ? "-c" : "", *k->options ? "-o " : "", k->options) == 0;
        struct block_graph *g = block_graph_create(NULL);
        struct block_node *n = ok ? open_image(g, "i.qcow2", false, true) : NULL;
        ok = n && node_pread(n, 0, buf, SIZE) == 0 && !memcmp(buf, data, SIZE) &&
             n->driver->check(n, &c, 0) == 0 && !c.corruptions && !c.leaks;
        for (unsigned i = 0; ok && i < 60; i++) { /* over the compressed clusters */
            uint64_t at = rnd() % SECTORS * GRAIN,
                     len = SIZE - at < 9000 / GRAIN * GRAIN ? SIZE - at : 9000 / GRAIN * GRAIN;
            fill(data + at, len);
            ok = node_pwrite(n, at, data + at, len) == 0;
        }
        node_unref(n);
        block_graph_destroy(g);
        write_file("want.raw", data, SIZE);
        ok = ok && run("qemu-img check i.qcow2") == 0 &&
             run("qemu-img compare -f qcow2 -F raw i.qcow2 want.raw") == 0;
        if (!ok) {
            show_log();
        }
    }
    tap_ok(ok, "%s: images of qemu-img convert, plain and compressed", k->name);
    free(data);
    free(buf);
}

/* ---- checks ---- */

/* Do we find in the image what qemu-img finds? */
static bool same_check(const char *name)
{
    static const struct {
        const char *key;
        size_t offset;
    } rows[] = {
        {"image-end-offset", offsetof(struct node_check, end_offset)},
        {"total-clusters", offsetof(struct node_check, total_clusters)},
        {"allocated-clusters", offsetof(struct node_check, allocated_clusters)},
        {"fragmented-clusters", offsetof(struct node_check, fragmented_clusters)},
        {"compressed-clusters", offsetof(struct node_check, compressed_clusters)},
        {"check-errors", offsetof(struct node_check, errors)},
        {"corruptions", offsetof(struct node_check, corruptions)},
        {"leaks", offsetof(struct node_check, leaks)},
    };
    struct block_graph *g = block_graph_create(NULL);
    struct block_node *n = open_image(g, name, true, true);
    struct node_check c = {0};
    bool ok = n && n->driver->check(n, &c, 0) == 0;

    node_unref(n);
    block_graph_destroy(g);
    run("(qemu-img check --output=json %s 2>/dev/null)", name);
    json_t *want = json_load_file(path("log"), 0, NULL);
    ok = ok && json_is_object(want);
    for (size_t i = 0; ok && i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t ours, theirs = (uint64_t)json_integer_value(json_object_get(want, rows[i].key));
        memcpy(&ours, (const char *)&c + rows[i].offset, sizeof(ours));
        if (ours != theirs) {
            printf("# %s: %llu, qemu-img says %llu\n", rows[i].key, (unsigned long long)ours,
                   (unsigned long long)theirs);
            ok = false;
        }
    }
    json_decref(want);
    return ok;
}

/* Data here and there: several tables, clusters that follow each other and ones that do not. */
static bool scatter(const char *name)
{
    struct block_graph *g = block_graph_create(NULL);
    struct block_node *n = open_image(g, name, false, true);
    uint8_t buf[64 * GRAIN];
    bool ok = n != NULL;

    for (unsigned i = 0; ok && i < 60; i++) {
        uint64_t first = rnd() % SECTORS, len = 1 + rnd() % 64;
        len = len < SECTORS - first ? len : SECTORS - first;
        fill(buf, len * GRAIN);
        ok = node_pwrite(n, first * GRAIN, buf, len * GRAIN) == 0;
    }
    node_unref(n);
    block_graph_destroy(g);
    return ok;
}

static void test_check(const struct kind *k)
{
    const char *comma = *k->options ? "," : "";
    bool ok = run("rm -f i.qcow2; qemu-img create -f qcow2 -o %s%ssize=%d i.qcow2", k->options,
                  comma, SIZE) == 0 &&
              scatter("i.qcow2") && same_check("i.qcow2");

    ok = ok &&
         run("rm -f c.qcow2; qemu-img convert -c -O qcow2 %s%s i.qcow2 c.qcow2",
             *k->options ? "-o " : "", k->options) == 0 &&
         same_check("c.qcow2") && scatter("c.qcow2") && same_check("c.qcow2");
    tap_ok(ok, "%s: a check counts as qemu-img does", k->name);
}

/* Puts `entry` in the place of the n-th one of the table that is not 0; returns what was there. */
static uint64_t patch(int fd, uint64_t table, unsigned n, uint64_t entry)
{
    uint8_t e[8];

    for (uint64_t at = table;; at += 8) {
        if (pread(fd, e, 8, (off_t)at) != 8) {
            return 0;
        }
        if (be_get64(e) && !n--) {
            uint64_t was = be_get64(e);
            be_put64(e, entry);
            return pwrite(fd, e, 8, (off_t)at) == 8 ? was : 0;
        }
    }
}

static uint64_t number_at(int fd, uint64_t offset)
{
    uint8_t e[8] = {0};

    return pread(fd, e, 8, (off_t)offset) == 8 ? be_get64(e) & Q2_OFFSET_MASK : 0;
}

static void test_check_damage(void)
{
    static const char *const what[] = {"nothing", "a lost cluster", "a flag that is not set",
                                       "a refcount of 0", "a file with a large hole at its end"};

    for (unsigned kind = 0; kind < sizeof(what) / sizeof(what[0]); kind++) {
        bool ok = run("rm -f i.qcow2; qemu-img create -f qcow2 i.qcow2 %d", SIZE) == 0 &&
                  scatter("i.qcow2");
        int fd = open(path("i.qcow2"), O_RDWR | O_CLOEXEC);
        uint64_t l2 = number_at(fd, number_at(fd, 40)), block = number_at(fd, number_at(fd, 48));
        if (kind == 1) {
            ok &= patch(fd, l2, 3, 0) != 0;
        } else if (kind == 2) {
            uint64_t was = patch(fd, l2, 3, 1);
            ok &= patch(fd, l2, 3, was & ~Q2_COPIED) == 1;
        } else if (kind == 3) {
            ok &= pwrite(fd, "\0\0", 2, (off_t)(block + 2 * (l2 >> 16))) == 2;
        } else if (kind == 4) {
            ok &= ftruncate(fd, (off_t)1 << 38) == 0;
        }
        close(fd);
        tap_ok(ok && same_check("i.qcow2"), "a check counts as qemu-img does: %s", what[kind]);
    }
}

/* ---- several threads ---- */

struct worker {
    struct block_node *n;
    uint8_t *data;
    unsigned id;
    int result;
};

static void *work(void *opaque)
{
    struct worker *w = opaque;
    uint64_t s = 7919 * (w->id + 1);
    uint8_t buf[32 * GRAIN];

    for (unsigned i = 0; i < 600 && !w->result; i++) {
        s = s * 6364136223846793005u + 1442695040888963407u;
        /* Sectors are dealt out in turn in groups of 32, so that threads meet in clusters. */
        uint64_t group = (s >> 33) % (SECTORS / 32 / THREADS) * THREADS + w->id;
        uint64_t first = (s >> 20) % 32, n = 1 + (s >> 25) % (32 - first),
                 at = (group * 32 + first) * GRAIN;
        unsigned op = (unsigned)(s >> 58) % 16;
        if (op == 0) {
            w->result = node_zero(w->n, at, n * GRAIN, s & 1);
            memset(w->data + at, 0, n * GRAIN);
        } else if (op == 1) {
            w->result = node_flush(w->n);
        } else if (op < 6) {
            w->result = node_pread(w->n, at, buf, n * GRAIN);
            w->result = w->result ? w->result : memcmp(buf, w->data + at, n * GRAIN) ? -1 : 0;
        } else {
            memset(w->data + at, (int)(s >> 40), n * GRAIN);
            w->result = node_pwrite(w->n, at, w->data + at, n * GRAIN);
        }
    }
    return NULL;
}

static void test_threads(const struct kind *k)
{
    struct qcow2_create c = k->create;
    struct worker w[THREADS];
    pthread_t thread[THREADS];
    struct error err = {{0}};
    uint8_t *data = malloc(SIZE), *buf = malloc(SIZE);
    bool ok = true;

    make_backing(k, data);
    c.size = SIZE;
    c.backing_file = k->backing ? "base" : NULL;
    c.backing_format = k->backing;
    unlink(path("i.qcow2"));
    qcow2_create(path("i.qcow2"), &c, &err);
    struct block_graph *g = block_graph_create(NULL);
    struct block_node *n = open_image(g, "i.qcow2", false, true);
    for (unsigned i = 0; n && i < THREADS; i++) {
        w[i] = (struct worker){n, data, i, 0};
        pthread_create(&thread[i], NULL, work, &w[i]);
    }
    for (unsigned i = 0; n && i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        ok &= w[i].result == 0;
    }
    ok = ok && n && node_pread(n, 0, buf, SIZE) == 0 && !memcmp(buf, data, SIZE);
    node_unref(n);
    block_graph_destroy(g);
    ok = ok && run("qemu-img check i.qcow2") == 0;
    tap_ok(ok, "%s: four threads at once", k->name);
    free(data);
    free(buf);
}

/* ---- killed while writing ---- */

struct shared { /* by sector: the last number that was given to a write, and that was flushed */
    uint32_t given[SECTORS], flushed[SECTORS], next;
};

static void write_for_ever(struct shared *s)
{
    struct block_graph *g = block_graph_create(NULL);
    struct block_node *n = open_image(g, "k.qcow2", false, false);
    uint32_t buf[64 * GRAIN / 4];

    while (n) {
        uint64_t first = rnd() % SECTORS, len = 1 + rnd() % 64;
        len = len < SECTORS - first ? len : SECTORS - first;
        uint32_t number = ++s->next;
        for (uint64_t i = 0; i < len; i++) {
            s->given[first + i] = number;
            for (unsigned k = 0; k < GRAIN / 4; k += 2) {
                buf[i * GRAIN / 4 + k] = (uint32_t)(first + i);
                buf[i * GRAIN / 4 + k + 1] = number;
            }
        }
        if (node_pwrite(n, first * GRAIN, buf, len * GRAIN)) {
            break;
        }
        if (rnd() % 20 == 0) {
            if (node_flush(n)) {
                break;
            }
            memcpy(s->flushed, s->given, sizeof(s->flushed));
        }
    }
    _exit(1);
}

/* Each sector holds a number from the last flush on, whole. */
static bool check_sectors(struct shared *s)
{
    struct block_graph *g = block_graph_create(NULL);
    struct block_node *n = open_image(g, "k.qcow2", false, true);
    uint32_t *buf = malloc(SIZE);
    bool ok = n && node_pread(n, 0, buf, SIZE) == 0;

    for (unsigned i = 0; ok && i < SECTORS; i++) {
        const uint32_t *p = buf + i * GRAIN / 4;
        bool empty = p[0] == 0 && p[1] == 0;
        bool fits =
            empty ? !s->flushed[i] : p[0] == i && p[1] >= s->flushed[i] && p[1] <= s->given[i];
        if (!fits) {
            printf("# sector %u: number %u, flushed %u, given %u\n", i, p[1], s->flushed[i],
                   s->given[i]);
            ok = false;
        }
        s->flushed[i] = empty ? 0 : p[1];
        s->given[i] = s->flushed[i];
    }
    node_unref(n);
    block_graph_destroy(g);
    free(buf);
    return ok;
}

static void test_kill(const struct kind *k)
{
    struct shared *s =
        mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct qcow2_create c = k->create;
    struct error err = {{0}};
    unsigned leaks = 0, writes;
    bool ok = true;

    c.size = SIZE;
    unlink(path("k.qcow2"));
    ok = qcow2_create(path("k.qcow2"), &c, &err);
    for (unsigned i = 0; ok && i < KILLS; i++) {
        fflush(stdout);
        rnd();
        pid_t pid = fork();
        if (!pid) {
            write_for_ever(s);
        }
        usleep((useconds_t)(15000 + rnd() % 60000));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        if (!c.lazy_refcounts) { /* those are wrong until the repair */
            int r = run("qemu-img check k.qcow2");
            leaks += r == 3;
            ok = r == 0 || r == 3;
            if (!ok) {
                show_log();
            }
        }
        ok = ok && check_sectors(s);
        if (ok && c.lazy_refcounts) {
            ok = run("qemu-img check k.qcow2") == 0;
        }
    }
    writes = s->next;
    tap_ok(ok && writes > KILLS,
           "%s: killed %d times while writing (%u writes, %u times leaked clusters)", k->name,
           KILLS, writes, leaks);
    munmap(s, sizeof(*s));
}

int main(void)
{
    const char *text = getenv("QCOW2_TEST_SCALE");
    size_t n = sizeof(kinds) / sizeof(kinds[0]);

    scale = text ? (unsigned)atoi(text) : 1;
    seed += text ? (uint64_t)getpid() : 0;
    if (!mkdtemp(folder)) {
        return 1;
    }
    if (run("qemu-img --version")) {
        puts("1..0 # SKIP qemu-img is not installed");
        rmdir(folder);
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        test_kind(&kinds[i], i & 1);
        if (scale > 1) {
            test_kind(&kinds[i], !(i & 1));
        }
        test_foreign(&kinds[i]);
        if (scale > 1 || i % 3 == 1) {
            test_check(&kinds[i]);
        }
    }
    test_check_damage();
    for (size_t i = 0; i<n; i += scale> 1 ? 1 : 3) {
        test_threads(&kinds[i]);
    }
    test_kill(&kinds[0]);
    test_kill(&kinds[9]);
    if (scale > 1) {
        test_kill(&kinds[1]);
        test_kill(&kinds[8]);
    }
    int status = tap_done();
    run("rm -rf %s", folder);
    return status;
}
