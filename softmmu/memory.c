/* The physical address space: mappings by priority, flattened into one sorted list of ranges for
 * each view.
 *
 * Look-ups outside of the lock go through an atomic pointer to an immutable view. A vcpu may still
 * be reading one that was replaced, so these are kept, in batches, until every vcpu has flushed its
 * TLB since: a guest that moves a BAR all day must not eat the host's memory. A look-up tries the
 * RAM range that was found last, then searches the few dozen ranges: it happens on TLB fills and
 * MMIO only. */
#include "softmmu/memory_internal.h"
#include "softmmu/tlb.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* ---- flattening ---- */

static int by_start(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static const struct mapping *winner(const struct memory *mem, unsigned view, uint64_t at)
{
    const struct mapping *best = NULL;

    for (const struct mapping *m = mem->maps; m; m = m->next) {
        bool covers =
            m->enabled && (m->views >> view & 1) && at >= m->base && at - m->base < m->size;
        if (covers && (!best || m->priority > best->priority)) {
            best = m;
        }
    }
    return best;
}

static struct view *flatten(struct memory *mem, unsigned view)
{
    unsigned n = 0, edges = 0;

    for (const struct mapping *m = mem->maps; m; m = m->next) {
        n++;
    }
    uint64_t *edge = must(malloc((2 * n + 1) * sizeof(*edge)));
    for (const struct mapping *m = mem->maps; m; m = m->next) {
        edge[edges++] = m->base;
        edge[edges++] = m->base + m->size;
    }
    qsort(edge, edges, sizeof(*edge), by_start);
    struct view *v = must(calloc(1, sizeof(*v) + (edges + 1) * sizeof(v->range[0])));
    for (unsigned i = 0; i + 1 < edges; i++) {
        const struct mapping *m = edge[i] != edge[i + 1] ? winner(mem, view, edge[i]) : NULL;
        struct range *last = v->n ? &v->range[v->n - 1] : NULL;
        if (!m) {
            continue;
        }
        if (last && last->map == m && last->end == edge[i]) {
            last->end = edge[i + 1];
        } else {
            v->range[v->n++] = (struct range){edge[i], edge[i + 1], (struct mapping *)(uintptr_t)m};
        }
    }
    free(edge);
    return v;
}

static void flush_tlbs(struct machine *m)
{
    for (unsigned i = 0; i < m->nvcpus; i++) {
        if (m->vcpus[i] == machine_current_vcpu(m)) {
            tlb_flush_all(m->vcpus[i]);
        } else {
            tlb_request_flush(m->vcpus[i]);
        }
    }
}

static void free_maps(struct mapping *m)
{
    while (m) {
        struct mapping *next = m->next;
        free(m);
        m = next;
    }
}

static void free_retired(struct retired *r)
{
    while (r->views) {
        struct view *next = r->views->next;
        free(r->views);
        r->views = next;
    }
    free_maps(r->maps);
    *r = (struct retired){0};
}

/* Has every vcpu done the flushes that it was asked for? */
static bool flushes_done(const struct machine *m)
{
    for (unsigned i = 0; i < m->nvcpus; i++) {
        if (atomic_load(&m->vcpus[i]->irq_request) & VCPU_REQ_FLUSH) {
            return false;
        }
    }
    return true;
}

/* A batch goes when the next one is full: this thread may be in the middle of an access, too. */
static void free_unread(struct memory *mem)
{
    if (mem->retired.n >= RETIRED_BATCH && flushes_done(mem->machine)) {
        free_retired(&mem->leaving);
        mem->leaving = mem->retired;
        mem->retired = (struct retired){0};
    }
}

static void rebuild(struct memory *mem)
{
    if (mem->depth) {
        mem->dirty = true;
        return;
    }
    mem->dirty = false;
    free_unread(mem);
    for (unsigned i = 0; i < NVIEWS; i++) {
        struct view *old = atomic_exchange(&mem->view[i], flatten(mem, i));
        if (old) {
            old->next = mem->retired.views;
            mem->retired.views = old;
            mem->retired.n++;
        }
    }
    flush_tlbs(mem->machine);
}

void memory_begin(struct memory *mem)
{
    mem->depth++;
}

void memory_commit(struct memory *mem)
{
    if (--mem->depth == 0 && mem->dirty) {
        rebuild(mem);
    }
}

const struct range *memory_find(struct memory *mem, unsigned view, uint64_t phys)
{
    struct view *v = atomic_load_explicit(&mem->view[view], memory_order_acquire);
    unsigned lo = 0, hi = v->n, hint = atomic_load_explicit(&v->hint, memory_order_relaxed);

    if (hint < hi && phys >= v->range[hint].start && phys < v->range[hint].end) {
        return &v->range[hint];
    }
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (phys < v->range[mid].start) {
            hi = mid;
        } else if (phys >= v->range[mid].end) {
            lo = mid + 1;
        } else {
            if (v->range[mid].map->ram) {
                atomic_store_explicit(&v->hint, mid, memory_order_relaxed);
            }
            return &v->range[mid];
        }
    }
    return NULL;
}

bool memory_next(struct memory *mem, uint64_t *start, uint64_t *end, enum memory_kind *kind)
{
    const struct view *v = atomic_load_explicit(&mem->view[VIEW_NORMAL], memory_order_acquire);

    for (unsigned i = 0; i < v->n; i++) {
        const struct range *r = &v->range[i];
        if (r->end > *start) {
            *start = r->start > *start ? r->start : *start;
            *end = r->end;
            *kind = !r->map->ram ? MEMORY_IO : r->map->readonly ? MEMORY_ROM : MEMORY_RAM;
            return true;
        }
    }
    return false;
}

/* ---- life ---- */

struct memory *memory_create(struct machine *m)
{
    struct memory *mem = must(calloc(1, sizeof(*mem)));

    mem->machine = m;
    mem->port = must(calloc(65536, sizeof(*mem->port)));
    rebuild(mem);
    return mem;
}

void memory_destroy(struct memory *mem)
{
    free_maps(mem->maps);
    free_maps(mem->ports);
    free(mem->port);
    for (unsigned i = 0; i < NVIEWS; i++) {
        free(mem->view[i]);
    }
    free_retired(&mem->retired);
    free_retired(&mem->leaving);
    while (mem->rams) {
        struct ram_node *n = mem->rams;
        mem->rams = n->next;
        munmap(n->ram.host, n->ram.size);
        munmap(n->ram.code_map, n->ram.size / 4096 * sizeof(uint64_t));
        munmap(n->ram.page_flags, n->ram.size / 4096);
        munmap(n->ram.clean, n->ram.size / 4096);
        free(n);
    }
    free(mem);
}

static void *zero_pages(uint64_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* Memory of the guest, in large pages of the host where it has them: a walk of the host's page
 * tables less for most accesses, and far fewer faults of first touches. (A memfd's memory gets none
 * on most systems.) */
static void *large_pages(uint64_t size)
{
    enum { LARGE = 2 << 20 };
    uint64_t room = size >= LARGE ? size + LARGE : size;
    uint8_t *p = zero_pages(room), *start;

    if (!p || room == size) {
        return p;
    }
    start = (uint8_t *)(((uintptr_t)p + LARGE - 1) & ~(uintptr_t)(LARGE - 1));
    if (start != p) {
        munmap(p, (size_t)(start - p));
    }
    if (start + size != p + room) {
        munmap(start + size, (size_t)(p + room - (start + size)));
    }
#ifdef MADV_HUGEPAGE
    madvise(start, size, MADV_HUGEPAGE);
#endif
    return start;
}

/* What guest RAM holds is the guest's to order: its processors and devices race there as on
 * hardware, and generated code, which ThreadSanitizer does not see, is where the guest's locks are.
 * So it must not look at these bytes; it looks at everything else, their tables of pages included.
 */
static void tell_sanitizer(uint8_t *host, uint64_t size)
{
#ifdef __SANITIZE_THREAD__
    void AnnotateBenignRaceSized(const char *, int, const volatile void *, size_t, const char *);

    AnnotateBenignRaceSized(__FILE__, __LINE__, host, size, "guest RAM");
#else
    (void)host;
    (void)size;
#endif
}

struct ram *memory_ram_create(struct memory *mem, const char *name, uint64_t size,
                              struct error *err)
{
    struct ram_node *n = must(calloc(1, sizeof(*n)));
    struct ram *r = &n->ram;

    snprintf(r->name, sizeof(r->name), "%s", name);
    r->size = (size + 4095) & ~UINT64_C(4095);
    r->machine = mem->machine;
    r->host = large_pages(r->size);
    if (!r->host) {
        goto fail;
    }
    r->page_flags = zero_pages(r->size / 4096);
    r->clean = zero_pages(r->size / 4096);
    r->code_map = zero_pages(r->size / 4096 * sizeof(uint64_t));
    if (!r->page_flags || !r->clean || !r->code_map) {
        goto fail;
    }
    tell_sanitizer(r->host, r->size);
    n->next = mem->rams;
    mem->rams = n;
    return r;
fail:
    error_set(err, "cannot get %llu MiB of memory for '%s': %s",
              (unsigned long long)(r->size >> 20), name, strerror(errno));
    free(n);
    return NULL;
}

/* ---- mappings ---- */

static struct mapping *add(struct memory *mem, struct mapping m)
{
    struct mapping *p = must(malloc(sizeof(*p)));

    m.mem = mem;
    m.enabled = true;
    m.next = mem->maps;
    *p = m;
    mem->maps = p;
    rebuild(mem);
    return p;
}

struct mapping *memory_map_ram(struct memory *mem, unsigned views, uint64_t base, uint64_t size,
                               struct ram *ram, uint64_t ram_offset, bool readonly, int priority)
{
    return add(mem, (struct mapping){.views = views,
                                     .base = base,
                                     .size = size,
                                     .ram = ram,
                                     .ram_offset = ram_offset,
                                     .readonly = readonly,
                                     .priority = priority,
                                     .name = ram->name});
}

struct mapping *memory_map_mmio(struct memory *mem, unsigned views, uint64_t base, uint64_t size,
                                const char *name, const struct mmio_ops *ops, void *opaque,
                                int priority)
{
    return add(mem, (struct mapping){.views = views,
                                     .base = base,
                                     .size = size,
                                     .ops = ops,
                                     .opaque = opaque,
                                     .priority = priority,
                                     .name = name});
}

void mapping_set_enabled(struct mapping *map, bool enabled)
{
    if (map->enabled != enabled) {
        map->enabled = enabled;
        if (map->is_port) {
            ioport_rebuild(map->mem);
        } else {
            rebuild(map->mem);
        }
    }
}

void mapping_set_readonly(struct mapping *map, bool readonly)
{
    if (map->readonly != readonly) {
        map->readonly = readonly;
        rebuild(map->mem);
    }
}

void mapping_move(struct mapping *map, uint64_t base)
{
    if (map->base != base) {
        map->base = base;
        if (map->is_port) {
            ioport_rebuild(map->mem);
        } else {
            rebuild(map->mem);
        }
    }
}

void mapping_remove(struct mapping *map)
{
    struct memory *mem = map->mem;
    bool port = map->is_port;

    free_unread(mem);
    for (struct mapping **p = port ? &mem->ports : &mem->maps; *p; p = &(*p)->next) {
        if (*p == map) {
            *p = map->next;
            break;
        }
    }
    if (port) {
        ioport_rebuild(mem);
    } else {
        rebuild(mem);
    }
    map->next = mem->retired.maps; /* views that name it are retired, too */
    mem->retired.maps = map;
    mem->retired.n++;
}

/* ---- dirty pages ---- */

bool ram_take_dirty(struct ram *ram, uint64_t first, uint64_t n, uint8_t *dirty)
{
    bool any = false;

    for (uint64_t i = 0; i < n; i++) {
        if (!atomic_exchange((_Atomic uint8_t *)&ram->clean[first + i], 1)) {
            dirty[i] = 1;
            any = true;
        }
    }
    if (any) {
        flush_tlbs(ram->machine);
    }
    return any;
}

bool ram_dirty_settled(struct ram *ram)
{
    return flushes_done(ram->machine);
}

void ram_mark_dirty(struct ram *ram, uint64_t offset, uint64_t len)
{
    for (uint64_t page = offset >> 12; len && page <= (offset + len - 1) >> 12; page++) {
        page_written(ram, page);
    }
}

/* ---- info mtree ---- */

char *memory_describe(struct memory *mem)
{
    static const char *const titles[NVIEWS] = {"memory", "memory in system management mode"};
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    for (unsigned i = 0; i < NVIEWS; i++) {
        const struct view *v = atomic_load(&mem->view[i]);
        fprintf(f, "%s\n", titles[i]);
        for (unsigned n = 0; n < v->n; n++) {
            const struct mapping *m = v->range[n].map;
            fprintf(f, "  %016llx-%016llx %s %s\n", (unsigned long long)v->range[n].start,
                    (unsigned long long)v->range[n].end - 1,
                    m->ram ? (m->readonly ? "rom" : "ram") : "i/o", m->name);
        }
    }
    fprintf(f, "I/O ports\n");
    for (unsigned p = 0; p < 65536;) {
        const struct mapping *m = mem->port[p];
        unsigned first = p;
        while (p < 65536 && mem->port[p] == m) {
            p++;
        }
        if (m) {
            fprintf(f, "  %04x-%04x %s\n", first, p - 1, m->name);
        }
    }
    fclose(f);
    return text;
}
