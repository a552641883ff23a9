/* The code cache: where blocks live, how they are found, linked, invalidated and recycled. tb.h
 * tells the life of a block. */
#include "tcg/tb.h"
#include "tcg/verify.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- memory ---- */

#define DEFAULT_CACHE (UINT64_C(256) << 20)
#define MIN_CACHE     (UINT64_C(1) << 20)
#define MAX_CACHE                                                                                  \
    (UINT64_C(1) << 30) /* generated code reaches all of it by 32-bit displacements                \
                         */

static bool views_failed(struct tcg *t, uint8_t *run, struct error *err)
{
    int why = errno;

    if (run != MAP_FAILED) {
        munmap(run, t->area_size);
    }
    if (t->area != MAP_FAILED) {
        munmap(t->area, t->area_size);
    }
    t->area = NULL;
    return error_set(err, "cannot map the translation cache for execution: %s", strerror(why));
}

/* Memory that is written at one address and executed at another, so that it is never both. */
static bool map_two_views(struct tcg *t, struct error *err)
{
    int fd;
    uint8_t *run;

    if (t->opt.perfmap) { /* perf takes its names from a map only where it sees no file but this one
                           */
        t->area = mmap(NULL, t->area_size, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        run = t->area == MAP_FAILED ? MAP_FAILED : mremap(t->area, 0, t->area_size, MREMAP_MAYMOVE);
        if (run == MAP_FAILED || mprotect(run, t->area_size, PROT_READ | PROT_EXEC) != 0) {
            return views_failed(t, run, err);
        }
        t->exec_delta = run - t->area;
        return true;
    }
    fd = memfd_create("dragoman-code", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)t->area_size) != 0) {
        if (fd >= 0) {
            close(fd);
        }
        return error_set(err, "cannot get %zu MiB of memory for the translation cache: %s",
                         t->area_size >> 20, strerror(errno));
    }
    t->area = mmap(NULL, t->area_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    run = mmap(NULL, t->area_size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_NORESERVE, fd, 0);
    close(fd);
    if (t->area == MAP_FAILED || run == MAP_FAILED) {
        return views_failed(t, run, err);
    }
    t->exec_delta = run - t->area;
    return true;
}

bool tb_cache_init(struct tcg *t, struct error *err)
{
    uint64_t size = t->opt.cache_size ? t->opt.cache_size : DEFAULT_CACHE;
    size_t each, front = TCG_THUNKS_SIZE + (size_t)TCG_MAX_VCPUS * TCG_SCRATCH_SIZE;

    size = size < MIN_CACHE ? MIN_CACHE : size > MAX_CACHE ? MAX_CACHE : size;
    each = (size_t)(size / TB_ZONES) & ~(size_t)0xfff;
    t->cache_size = each * TB_ZONES;
    t->area_size = front + t->cache_size;
    if (t->exec->generates) {
        if (!map_two_views(t, err)) {
            return false;
        }
    } else {
        t->area = mmap(NULL, t->area_size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (t->area == MAP_FAILED) {
            t->area = NULL;
            return error_set(err, "cannot get %zu MiB of memory for the translation cache",
                             t->area_size >> 20);
        }
    }
    t->cache = t->area + front;
    for (unsigned i = 0; i < TB_ZONES; i++) {
        t->zone[i].base = t->cache + i * each;
        t->zone[i].size = each;
    }
    t->hash_bits = 18; /* Linux and Node make 200,000 blocks and more */
    t->page_bits = 12;
    t->hash = calloc((size_t)1 << t->hash_bits, sizeof(*t->hash));
    t->pages = calloc((size_t)1 << t->page_bits, sizeof(*t->pages));
    if (!t->hash || !t->pages) {
        return error_set(err, "out of memory for the translation tables");
    }
    return true;
}

void tb_cache_free(struct tcg *t)
{
    for (unsigned i = 0; i < TB_ZONES; i++) {
        free(t->zone[i].blocks);
    }
    if (t->pages) {
        for (size_t i = 0; i < (size_t)1 << t->page_bits; i++) {
            for (struct tb_page *p = t->pages[i], *next; p; p = next) {
                next = p->next;
                free(p);
            }
        }
    }
    if (t->area) {
        if (t->exec_delta) {
            munmap(t->area + t->exec_delta, t->area_size);
        }
        munmap(t->area, t->area_size);
    }
    free(t->hash);
    free(t->pages);
}

uint8_t *tb_scratch(struct tcg *t, unsigned index)
{
    return index < TCG_MAX_VCPUS ? t->area + TCG_THUNKS_SIZE + (size_t)index * TCG_SCRATCH_SIZE
                                 : NULL;
}

/* The host's memory for the next blocks comes in one piece, not by a fault of each page in each
 * view. Now and then the pages of the view that is written to are let go: their contents stay where
 * the other view has them, and what is still needed of it comes back by faults. Else the process
 * would seem to have all code twice. */
static void populate(struct tcg *t, struct tb_zone *z)
{
    enum { AHEAD = 256 << 10, BLOCK = 64 << 10, LET_GO = 4 << 20 };
    size_t n;

    if (z->used + BLOCK <= z->populated || z->populated == z->size) {
        return;
    }
    n = z->size - z->populated < AHEAD ? z->size - z->populated : AHEAD;
#if defined(MADV_POPULATE_WRITE) && defined(MADV_POPULATE_READ)
    uint8_t *p = z->base + z->populated;
    madvise(p, n, MADV_POPULATE_WRITE); /* kernels that cannot do it fault */
    if (t->exec_delta) {
        madvise(p + t->exec_delta, n, MADV_POPULATE_READ);
    }
#endif
    z->populated += n;
    t->written += n;
    if (t->exec_delta && t->written >= LET_GO) {
        madvise(t->cache, t->cache_size, MADV_DONTNEED);
        t->written = 0;
    }
}

uint8_t *tb_room(struct tcg *t, size_t *size)
{
    struct tb_zone *z = &t->zone[t->current];

    populate(t, z);
    *size = z->size - z->used;
    return z->base + z->used;
}

void tb_commit(struct tcg *t, struct tb *tb, size_t used)
{
    struct tb_zone *z = &t->zone[t->current];

    z->used += (used + 63) & ~(size_t)63;
    if (z->used > z->size) {
        z->used = z->size;
    }
    if (z->nblocks == z->cap) {
        z->cap = z->cap ? z->cap * 2 : 1024;
        z->blocks = realloc(z->blocks, z->cap * sizeof(*z->blocks));
        if (!z->blocks) {
            abort();
        }
    }
    z->blocks[z->nblocks++] = tb;
}

/* Every vcpu but `self`, which is at its dispatcher now, has been there since `epoch`, or is not in
 * guest code. */
static bool everyone_reached(struct tcg *t, const struct tcg_cpu *self, uint64_t epoch)
{
    for (struct tcg_cpu *tc = t->cpus; tc; tc = tc->next) {
        if (tc != self && atomic_load(&tc->epoch) < epoch) {
            return false;
        }
    }
    return true;
}

static void empty_zone(struct tcg *t, struct tb_zone *z)
{
    bool any = false;

    for (unsigned i = 0; i < z->nblocks; i++) {
        if (!z->blocks[i]->dead) {
            tb_drop(t, z->blocks[i]);
            any = true;
        }
    }
    if (z->used && (any || !z->retired)) {
        z->retired = atomic_fetch_add(&t->epoch, 1) + 1;
    }
}

bool tb_next_zone(struct tcg *t, const struct tcg_cpu *self)
{
    unsigned next = (t->current + 1) % TB_ZONES;
    struct tb_zone *z = &t->zone[next];

    empty_zone(t, z);
    /* The one after it goes now, so that everybody will have left it when it is its turn. */
    empty_zone(t, &t->zone[(next + 1) % TB_ZONES]);
    if (z->used && !everyone_reached(t, self, z->retired)) {
        return false; /* somebody still stands in there: a vcpu that waits inside a helper */
    }
    stat_add(&t->stat.flushes, z->used != 0);
    t->current = next;
    z->used = 0;
    z->nblocks = 0;
    z->retired = 0;
    return true;
}

static int contains(const struct tb *tb, uintptr_t pc)
{
    uintptr_t code = (uintptr_t)tb->code;
    return pc < code ? -1 : pc >= code + tb->code_size ? 1 : 0;
}

struct tb *tb_containing(struct tcg *t, struct tcg_cpu *tc, uintptr_t host_pc)
{
    struct tb *found = NULL;

    if (!host_pc) {
        return NULL;
    }
    if (tc->v->verify) {
        struct tb *running = verify_running(tc->v);
        if (running && contains(running, host_pc) == 0) {
            return running;
        }
    }
    if (tc->scratch_tb && tc->scratch_tb->code && contains(tc->scratch_tb, host_pc) == 0) {
        return tc->scratch_tb;
    }
    pthread_mutex_lock(&t->lock);
    for (unsigned i = 0; i < TB_ZONES && !found; i++) {
        struct tb_zone *z = &t->zone[i];
        uintptr_t base = (uintptr_t)z->base + (uintptr_t)t->exec_delta;
        if (host_pc < base || host_pc >= base + z->size) {
            continue;
        }
        for (unsigned lo = 0, hi = z->nblocks; lo < hi;) {
            unsigned mid = (lo + hi) / 2;
            int side = contains(z->blocks[mid], host_pc);
            if (side == 0) {
                found = z->blocks[mid];
                break;
            }
            if (side < 0) {
                hi = mid;
            } else {
                lo = mid + 1;
            }
        }
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

/* ---- look-up ---- */

static size_t tb_hash(const struct tcg *t, const uint8_t *host, uint64_t flags)
{
    uint64_t h = ((uintptr_t)host ^ flags * UINT64_C(0x9e3779b1)) * UINT64_C(0x9e3779b97f4a7c15);
    return h >> (64 - t->hash_bits);
}

struct tb *tb_find(struct tcg *t, const uint8_t *host, uint64_t flags)
{
    struct tb *tb = atomic_load_explicit(&t->hash[tb_hash(t, host, flags)], memory_order_acquire);

    while (tb && (tb->host != host || tb->flags != flags)) {
        tb = atomic_load_explicit(&tb->hash_next, memory_order_acquire);
    }
    return tb;
}

static struct tb_page **page_slot(struct tcg *t, uint64_t number)
{
    struct tb_page **p = &t->pages[number * UINT64_C(0x9e3779b97f4a7c15) >> (64 - t->page_bits)];

    while (*p && (*p)->number != number) {
        p = &(*p)->next;
    }
    return p;
}

bool tb_page_used(struct tcg *t, uint64_t phys)
{
    struct tb_page *p = *page_slot(t, phys >> PAGE_BITS);
    return p && p->blocks;
}

static void page_add(struct tcg *t, struct tb *tb, unsigned which, uint64_t phys)
{
    struct tb_page **slot = page_slot(t, phys >> PAGE_BITS);

    if (!*slot) {
        *slot = calloc(1, sizeof(**slot));
        if (!*slot) {
            abort();
        }
        (*slot)->number = phys >> PAGE_BITS;
    }
    tb->page[which] = *slot;
    tb->page_next[which] = (*slot)->blocks;
    (*slot)->blocks = tb;
}

/* A translation that has protected the page must do so again: it looks at the count afterwards. */
static void unprotect(struct tcg *t, uint64_t page)
{
    if (t->host.unprotect_page) {
        t->host.unprotect_page(t->m, page << PAGE_BITS);
    }
    atomic_fetch_add(&t->invalidations, 1);
}

static void page_remove(struct tcg *t, struct tb *tb, unsigned which)
{
    struct tb_page *p = tb->page[which];
    struct tb **link = &p->blocks;

    while (*link != tb) {
        link = &(*link)->page_next[(*link)->page[0] == p ? 0 : 1];
    }
    *link = tb->page_next[which];
    tb->page[which] = NULL;
    if (!p->blocks) {
        unprotect(t, p->number);
    }
}

void tb_insert(struct tcg *t, struct tb *tb)
{
    _Atomic(struct tb *) *head = &t->hash[tb_hash(t, tb->host, tb->flags)];

    tb->cached = true;
    page_add(t, tb, 0, tb->phys);
    if (tb->host2 && tb->phys2 >> PAGE_BITS != tb->phys >> PAGE_BITS) {
        page_add(t, tb, 1, tb->phys2);
    }
    atomic_store_explicit(&tb->hash_next, atomic_load_explicit(head, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(head, tb, memory_order_release);
    t->nblocks++;
}

/* ---- links ---- */

struct tb_exit *tb_add_exit(struct tb *tb, uint32_t code_off, bool cross_page)
{
    struct tb_exit *e = &tb->exits[tb->nexits++];

    *e = (struct tb_exit){.from = tb, .code_off = code_off, .cross_page = cross_page};
    atomic_store_explicit(&e->apart, false, memory_order_release);
    return e;
}

static void unlink_exit(struct tcg *t, struct tb_exit *e)
{
    struct tb_exit **link = &e->to->incoming;

    while (*link != e) {
        link = &(*link)->next;
    }
    *link = e->next;
    e->to = NULL;
    t->exec->unlink(e);
}

void tb_link(struct tcg *t, struct tb_exit *from, struct tb *to)
{
    if (from->from->dead || to->dead || !from->from->cached || !to->cached || from->to == to) {
        return;
    }
    if (from->to) {
        unlink_exit(t, from);
    }
    from->to = to;
    from->next = to->incoming;
    to->incoming = from;
    t->exec->link(from, to);
    stat_add(&t->stat.links, 1);
}

/* ---- removal ---- */

static void forget_target(struct vcpu *v, struct tb *tb)
{
    uint64_t pc = atomic_load(&tb->target_pc);
    unsigned first = target_hash(pc), last = first + 1;

    if (atomic_load(&tb->many_pcs)) {
        first = 0;
        last = TARGET_ENTRIES;
    } else if (pc == NO_PC) {
        return;
    }
    for (unsigned i = first; i < last; i++) {
        if (__atomic_load_n(&v->targets[tb->ctx].code[i], __ATOMIC_RELAXED) == tb->code) {
            __atomic_store_n(&v->targets[tb->ctx].pc[i], NO_PC, __ATOMIC_RELAXED);
        }
    }
}

void tb_drop(struct tcg *t, struct tb *tb)
{
    _Atomic(struct tb *) *link = &t->hash[tb_hash(t, tb->host, tb->flags)];
    struct tb *at;

    assert(tb->cached && !tb->dead);
    tb->dead = true;
    for (struct tcg_cpu *tc = t->cpus; tc; tc = tc->next) {
        struct jump_entry *j = &tc->jump[jump_hash(tb->host)];
        if (atomic_load_explicit(&j->host, memory_order_relaxed) == tb->host) {
            atomic_store_explicit(&j->host, NULL, memory_order_relaxed);
        }
        forget_target(tc->v, tb);
    }
    if (t->exec->poison) {
        t->exec->poison(tb);
    }
    while ((at = atomic_load_explicit(link, memory_order_relaxed)) != tb) {
        link = &at->hash_next;
    }
    atomic_store_explicit(link, atomic_load_explicit(&tb->hash_next, memory_order_relaxed),
                          memory_order_release);
    while (tb->incoming) {
        unlink_exit(t, tb->incoming);
    }
    for (unsigned i = 0; i < tb->nexits; i++) {
        if (tb->exits[i].to) {
            unlink_exit(t, &tb->exits[i]);
        }
    }
    for (struct tb_exit *e = tb->apart_exits; e; e = e->more) {
        if (e->to) {
            unlink_exit(t, e);
        }
    }
    page_remove(t, tb, 0);
    if (tb->page[1]) {
        page_remove(t, tb, 1);
    }
    t->nblocks--;
}

void tb_flush_all(struct tcg *t)
{
    for (unsigned i = 0; i < TB_ZONES; i++) {
        empty_zone(t, &t->zone[i]);
    }
    atomic_fetch_add(&t->invalidations, 1);
}

/* Some byte of tb on page p is in [lo, hi). */
static bool overlaps(const struct tb *tb, const struct tb_page *p, uint64_t lo, uint64_t hi)
{
    for (unsigned k = 0; k < 1u + (tb->host2 != NULL); k++) {
        uint64_t phys = k ? tb->phys2 : tb->phys, page = phys & ~PAGE_OFFSET_MASK;
        if (phys >> PAGE_BITS == p->number && page + tb->part[k].lo < hi &&
            lo < page + tb->part[k].hi) {
            return true;
        }
    }
    return false;
}

static unsigned invalidate_on_page(struct tcg *t, struct tb_page *p, uint64_t lo, uint64_t hi)
{
    struct tb *tb = p->blocks, *next;
    unsigned dropped = 0;

    for (; tb; tb = next) {
        next = tb->page_next[tb->page[0] == p ? 0 : 1];
        if (overlaps(tb, p, lo, hi)) {
            tb_drop(t, tb);
            dropped++;
        }
    }
    stat_add(&t->stat.invalidated, dropped);
    return dropped;
}

unsigned tb_invalidate_range(struct tcg *t, uint64_t phys, uint64_t len)
{
    uint64_t first = phys >> PAGE_BITS, last = (phys + len - 1) >> PAGE_BITS;
    unsigned dropped = 0;

    atomic_fetch_add(&t->invalidations, 1);
    if (last - first > (UINT64_C(1) << t->page_bits)) { /* larger than a look at every page */
        for (size_t i = 0; i < (size_t)1 << t->page_bits; i++) {
            for (struct tb_page *p = t->pages[i]; p; p = p->next) {
                dropped += invalidate_on_page(t, p, phys, phys + len);
            }
        }
        return dropped;
    }
    for (uint64_t n = first; n <= last; n++) {
        struct tb_page *p = *page_slot(t, n);
        if (p && p->blocks) {
            dropped += invalidate_on_page(t, p, phys, phys + len);
        } else {
            unprotect(t, n); /* protected, but nothing came of it */
        }
    }
    return dropped;
}
