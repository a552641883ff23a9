/* The physical address space: mappings by priority, flattened into one sorted list of ranges for
 * each view.
 *
 * Look-ups outside of the lock go through an atomic pointer to an immutable view. A vcpu may still
 * be reading one that was replaced, so these are kept, in batches, until every vcpu has flushed its
 * TLB since: a guest that moves a BAR all day must not eat the host's memory. A look-up tries the
 * RAM range that was found last, then searches the few dozen ranges: it happens on TLB fills and
 * MMIO only. */
#include "host/le.h"
#include "softmmu/memory.h"
#include "host/log.h"
#include "softmmu/internal.h"
#include "softmmu/machine.h"
#include "softmmu/tlb.h"
#include "tcg/tcg.h"

#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct ram_node {
    struct ram ram;
    struct ram_node *next;
};

/* What was replaced, until nobody can be reading it any more. */
struct retired {
    struct view *views;
    struct mapping *maps;
    unsigned n;
};
enum { RETIRED_BATCH = 64 };

struct memory {
    struct machine *machine;
    struct mapping *maps;  /* newest first */
    struct mapping *ports; /* newest first */
    struct mapping **port; /* 65536: the winner */
    struct ram_node *rams;
    struct view *_Atomic view[NVIEWS];
    struct retired retired, leaving; /* being gathered; gathered before */
    unsigned depth;                  /* memory_begin nesting */
    bool dirty;
};

static void *must(void *p)
{
    if (!p) {
        abort();
    }
    return p;
}

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

/* ---- device registers ---- */

static uint64_t ones(unsigned size)
{
    return UINT64_MAX >> (64 - 8 * size);
}

static uint64_t read_piece(const struct mapping *m, uint64_t off, unsigned size)
{
    unsigned min = m->ops->min ? m->ops->min : 1;

    if (size >= min) {
        return m->ops->read(m->opaque, off, size) & ones(size);
    }
    uint64_t base = off & ~(uint64_t)(min - 1);
    return m->ops->read(m->opaque, base, min) >> 8 * (off - base) & ones(size);
}

static uint64_t mmio_read(const struct mapping *m, uint64_t off, unsigned size)
{
    unsigned max = m->ops->max ? m->ops->max : 8;
    uint64_t v = 0;

    if (!m->ops->read) {
        return ones(size);
    }
    for (unsigned done = 0; done < size;) {
        unsigned n = size - done < max ? size - done : max;
        v |= read_piece(m, off + done, n) << 8 * done;
        done += n;
    }
    return v;
}

static void mmio_write(const struct mapping *m, uint64_t off, uint64_t value, unsigned size)
{
    unsigned max = m->ops->max ? m->ops->max : 8;

    if (!m->ops->write) {
        return;
    }
    for (unsigned done = 0; done < size;) {
        unsigned n = size - done < max ? size - done : max;
        m->ops->write(m->opaque, off + done, value >> 8 * done & ones(n), n);
        done += n;
    }
}

/* Locks unless this thread has the lock already; returns what to pass to unlock_if. */
static bool lock_if(struct machine *m)
{
    if (machine_lock_held(m)) {
        return false;
    }
    machine_lock(m);
    return true;
}

static void unlock_if(struct machine *m, bool locked)
{
    if (locked) {
        machine_unlock(m);
    }
}

/* ---- RAM pieces ---- */

static uint8_t *ram_at(const struct range *r, uint64_t phys, uint64_t *offset)
{
    *offset = r->map->ram_offset + (phys - r->map->base);
    return r->map->ram->host + *offset;
}

/* RAM has changed under the translator's feet, and pages are dirty. */
static void ram_changed(struct memory *mem, const struct range *r, uint64_t phys, uint64_t len)
{
    uint64_t offset;

    ram_at(r, phys, &offset);
    /* A translation marks the page, then reads it: it sees the new bytes, or is seen here. */
    atomic_thread_fence(memory_order_seq_cst);
    for (uint64_t page = offset >> 12; page <= (offset + len - 1) >> 12; page++) {
        page_written(r->map->ram, page);
    }
    for (uint64_t page = offset >> 12; page <= (offset + len - 1) >> 12; page++) {
        if (atomic_load_explicit((_Atomic uint64_t *)&r->map->ram->code_map[page],
                                 memory_order_relaxed)) {
            tcg_invalidate(mem->machine->tcg, phys, len);
            break;
        }
    }
}

static void ram_write(struct memory *mem, const struct range *r, uint64_t phys, const void *buf,
                      uint64_t len)
{
    uint64_t offset;

    memcpy(ram_at(r, phys, &offset), buf, len);
    ram_changed(mem, r, phys, len);
}

static bool access_range(struct memory *mem, uint64_t phys, uint8_t *buf, uint64_t len, bool write,
                         bool rom)
{
    bool ok = true;

    while (len) {
        const struct range *r = memory_find(mem, VIEW_NORMAL, phys);
        uint64_t n = r ? r->end - phys : 1, offset;
        n = n < len ? n : len;
        if (!r) {
            n = 1;
            ok = false;
            if (!write) {
                *buf = 0xff;
            }
        } else if (r->map->ram) {
            if (!write) {
                memcpy(buf, ram_at(r, phys, &offset), n);
            } else if (!r->map->readonly || rom) {
                ram_write(mem, r, phys, buf, n);
            } else {
                ok = false;
            }
        } else {
            unsigned piece = n >= 8 && phys % 8 == 0   ? 8
                             : n >= 4 && phys % 4 == 0 ? 4
                             : n >= 2 && phys % 2 == 0 ? 2
                                                       : 1;
            uint64_t v = 0;
            n = piece;
            if (write) {
                for (unsigned i = 0; i < piece; i++) {
                    v |= (uint64_t)buf[i] << 8 * i;
                }
                memory_view_store(mem, VIEW_NORMAL, phys, v, piece);
            } else {
                v = memory_view_load(mem, VIEW_NORMAL, phys, piece);
                for (unsigned i = 0; i < piece; i++) {
                    buf[i] = (uint8_t)(v >> 8 * i);
                }
            }
        }
        phys += n;
        buf += n;
        len -= n;
    }
    return ok;
}

bool memory_read(struct memory *mem, uint64_t phys, void *buf, uint64_t len)
{
    return access_range(mem, phys, buf, len, false, false);
}

bool memory_write(struct memory *mem, uint64_t phys, const void *buf, uint64_t len)
{
    return access_range(mem, phys, (uint8_t *)(uintptr_t)buf, len, true, false);
}

bool memory_write_rom(struct memory *mem, uint64_t phys, const void *buf, uint64_t len)
{
    return access_range(mem, phys, (uint8_t *)(uintptr_t)buf, len, true, true);
}

static uint64_t read_le(struct memory *mem, uint64_t phys, unsigned n)
{
    uint8_t b[8];
    uint64_t v = 0;

    memory_read(mem, phys, b, n);
    while (n--) {
        v = v << 8 | b[n];
    }
    return v;
}

static void write_le(struct memory *mem, uint64_t phys, uint64_t v, unsigned n)
{
    uint8_t b[8];

    for (unsigned i = 0; i < n; i++) {
        b[i] = (uint8_t)(v >> 8 * i);
    }
    memory_write(mem, phys, b, n);
}

uint16_t memory_read16(struct memory *mem, uint64_t phys)
{
    return (uint16_t)read_le(mem, phys, 2);
}

uint32_t memory_read32(struct memory *mem, uint64_t phys)
{
    return (uint32_t)read_le(mem, phys, 4);
}

uint64_t memory_read64(struct memory *mem, uint64_t phys)
{
    return read_le(mem, phys, 8);
}

void memory_write16(struct memory *mem, uint64_t phys, uint16_t value)
{
    write_le(mem, phys, value, 2);
}

void memory_write32(struct memory *mem, uint64_t phys, uint32_t value)
{
    write_le(mem, phys, value, 4);
}

void memory_write64(struct memory *mem, uint64_t phys, uint64_t value)
{
    write_le(mem, phys, value, 8);
}

/* ---- memory shared with running processors and other threads ---- */

/* The range of aligned RAM at phys, NULL: none. */
static const struct range *shared_word(struct memory *mem, uint64_t phys, bool write)
{
    const struct range *r = memory_find(mem, VIEW_NORMAL, phys);
    bool usable =
        r && !(phys & 1) && r->end - phys >= 2 && r->map->ram && !(write && r->map->readonly);

    return usable ? r : NULL;
}

bool memory_load16_acquire(struct memory *mem, uint64_t phys, uint16_t *value)
{
    const struct range *r = shared_word(mem, phys, false);
    uint64_t offset;

    if (!r) {
        return false;
    }
    *value =
        le16toh(__atomic_load_n((uint16_t *)(void *)ram_at(r, phys, &offset), __ATOMIC_ACQUIRE));
    return true;
}

bool memory_store16_release(struct memory *mem, uint64_t phys, uint16_t value)
{
    const struct range *r = shared_word(mem, phys, true);
    uint64_t offset;

    if (!r) {
        return false;
    }
    __atomic_store_n((uint16_t *)(void *)ram_at(r, phys, &offset), htole16(value),
                     __ATOMIC_RELEASE);
    ram_changed(mem, r, phys, 2);
    return true;
}

void *memory_ram_pointer(struct memory *mem, uint64_t phys, uint64_t len, bool write, uint64_t *n)
{
    const struct range *r = memory_find(mem, VIEW_NORMAL, phys);
    uint64_t offset;

    if (!r || !r->map->ram || (write && r->map->readonly)) {
        return NULL;
    }
    *n = r->end - phys < len ? r->end - phys : len;
    return ram_at(r, phys, &offset);
}

void memory_written(struct memory *mem, uint64_t phys, uint64_t len)
{
    while (len) {
        const struct range *r = memory_find(mem, VIEW_NORMAL, phys);
        uint64_t n = r ? r->end - phys : 1;
        n = n < len ? n : len;
        if (r && r->map->ram) {
            ram_changed(mem, r, phys, n);
        }
        phys += n;
        len -= n;
    }
}

uint64_t memory_read_ram(struct memory *mem, uint64_t phys, void *buf, uint64_t len)
{
    uint64_t done = 0, n;

    while (done < len) {
        const void *p = memory_ram_pointer(mem, phys + done, len - done, false, &n);
        if (!p) {
            break;
        }
        memcpy((uint8_t *)buf + done, p, n);
        done += n;
    }
    return done;
}

uint64_t memory_write_ram(struct memory *mem, uint64_t phys, const void *buf, uint64_t len)
{
    uint64_t done = 0, n;

    while (done < len) {
        void *p = memory_ram_pointer(mem, phys + done, len - done, true, &n);
        if (!p) {
            break;
        }
        memcpy(p, (const uint8_t *)buf + done, n);
        memory_written(mem, phys + done, n);
        done += n;
    }
    return done;
}

void memory_discard(struct memory *mem, uint64_t phys, uint64_t len)
{
    while (len) {
        const struct range *r = memory_find(mem, VIEW_NORMAL, phys);
        uint64_t n = r ? r->end - phys : 4096 - (phys & 4095), offset;
        n = n < len ? n : len;
        if (r && r->map->ram && !r->map->readonly) {
            uint8_t *p = ram_at(r, phys, &offset);
            uint64_t skip = -(uintptr_t)p & 4095,
                     whole = n > skip ? (n - skip) & ~UINT64_C(4095) : 0;
            if (whole && madvise(p + skip, whole, MADV_DONTNEED) == 0) {
                ram_changed(mem, r, phys + skip, whole);
            }
        }
        phys += n;
        len -= n;
    }
}

/* ---- single accesses in a view ---- */

/* An access that crosses the end of a range is done byte by byte. */
static bool crosses(const struct range *r, uint64_t phys, unsigned size)
{
    return size > 1 && (r ? r->end - phys < size : (phys & 7) + size > 8);
}

uint8_t *memory_view_ram(struct memory *mem, unsigned view, uint64_t phys, uint64_t size)
{
    const struct range *r = memory_find(mem, view, phys);
    uint64_t offset;

    return r && r->map->ram && r->end - phys >= size ? ram_at(r, phys, &offset) : NULL;
}

uint64_t memory_view_load(struct memory *mem, unsigned view, uint64_t phys, unsigned size)
{
    const struct range *r = memory_find(mem, view, phys);
    uint64_t offset, v = 0;

    if (crosses(r, phys, size)) {
        for (unsigned i = 0; i < size; i++) {
            v |= memory_view_load(mem, view, phys + i, 1) << 8 * i;
        }
        return v;
    }
    if (!r) {
        log_at(mem->machine->log, LOG_UNIMP, "memory: read of %u bytes at %#llx: nothing there\n",
               size, (unsigned long long)phys);
        return ones(size);
    }
    if (r->map->ram) {
        const uint8_t *p = ram_at(r, phys, &offset);
        if (size == 8) { /* page tables */
            return le_get64(p);
        }
        for (unsigned i = size; i--;) {
            v = v << 8 | p[i];
        }
        return v;
    }
    bool locked = lock_if(mem->machine);
    v = mmio_read(r->map, phys - r->map->base, size);
    unlock_if(mem->machine, locked);
    return v;
}

void memory_view_store(struct memory *mem, unsigned view, uint64_t phys, uint64_t value,
                       unsigned size)
{
    const struct range *r = memory_find(mem, view, phys);

    if (crosses(r, phys, size)) {
        for (unsigned i = 0; i < size; i++) {
            memory_view_store(mem, view, phys + i, value >> 8 * i & 0xff, 1);
        }
        return;
    }
    if (!r) {
        log_at(mem->machine->log, LOG_UNIMP, "memory: write of %u bytes at %#llx: nothing there\n",
               size, (unsigned long long)phys);
        return;
    }
    if (r->map->ram) {
        uint8_t b[8];
        for (unsigned i = 0; i < size; i++) {
            b[i] = (uint8_t)(value >> 8 * i);
        }
        if (!r->map->readonly) {
            ram_write(mem, r, phys, b, size);
        }
        return;
    }
    bool locked = lock_if(mem->machine);
    mmio_write(r->map, phys - r->map->base, value, size);
    unlock_if(mem->machine, locked);
}

bool memory_view_cmpxchg(struct memory *mem, unsigned view, uint64_t phys, uint64_t expect,
                         uint64_t value, unsigned size, uint64_t *seen)
{
    const struct range *r = memory_find(mem, view, phys);
    uint64_t offset;

    if (!r || !r->map->ram || r->map->readonly || crosses(r, phys, size)) {
        *seen = memory_view_load(mem, view, phys, size);
        return false;
    }
    uint8_t *p = ram_at(r, phys, &offset);
    bool ok;
    if (size == 8) {
        uint64_t e = htole64(expect);
        ok = __atomic_compare_exchange_n((uint64_t *)(void *)p, &e, htole64(value), false,
                                         __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        *seen = le64toh(e);
    } else {
        uint32_t e = htole32((uint32_t)expect);
        ok = __atomic_compare_exchange_n((uint32_t *)(void *)p, &e, htole32((uint32_t)value), false,
                                         __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        *seen = le32toh(e);
    }
    if (ok) {
        page_written(r->map->ram, (r->map->ram_offset + (phys - r->map->base)) >> 12);
    }
    return ok;
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

/* ---- I/O ports ---- */

void ioport_rebuild(struct memory *mem)
{
    memset(mem->port, 0, 65536 * sizeof(*mem->port));
    for (struct mapping *m = mem->ports; m; m = m->next) {
        for (uint64_t p = m->base; m->enabled && p < m->base + m->size && p < 65536; p++) {
            if (!mem->port[p]) {
                mem->port[p] = m;
            }
        }
    }
}

struct mapping *ioport_map(struct memory *mem, uint16_t base, unsigned count, const char *name,
                           const struct mmio_ops *ops, void *opaque)
{
    struct mapping *m = must(calloc(1, sizeof(*m)));

    *m = (struct mapping){.mem = mem,
                          .base = base,
                          .size = count,
                          .name = name,
                          .ops = ops,
                          .opaque = opaque,
                          .enabled = true,
                          .is_port = true,
                          .next = mem->ports};
    mem->ports = m;
    ioport_rebuild(mem);
    return m;
}

/* Bytes from port on that the same mapping answers, at most size. */
static unsigned same_owner(struct memory *mem, uint16_t port, unsigned size)
{
    unsigned n = 1;

    while (n < size && port + n < 65536 && mem->port[port + n] == mem->port[port]) {
        n++;
    }
    return n == 3 ? 2 : n;
}

uint64_t ioport_read(struct memory *mem, uint16_t port, unsigned size)
{
    uint64_t v = 0;

    for (unsigned done = 0; done < size;) {
        uint16_t p = (uint16_t)(port + done);
        unsigned n = same_owner(mem, p, size - done);
        const struct mapping *m = mem->port[p];
        if (!m) {
            log_at(mem->machine->log, LOG_UNIMP, "io: read of port %#x: nothing there\n", p);
        }
        v |= (m ? mmio_read(m, p - m->base, n) : ones(n)) << 8 * done;
        done += n;
    }
    return v;
}

void ioport_write(struct memory *mem, uint16_t port, uint64_t value, unsigned size)
{
    for (unsigned done = 0; done < size;) {
        uint16_t p = (uint16_t)(port + done);
        unsigned n = same_owner(mem, p, size - done);
        const struct mapping *m = mem->port[p];
        if (m) {
            mmio_write(m, p - m->base, value >> 8 * done & ones(n), n);
        } else {
            log_at(mem->machine->log, LOG_UNIMP, "io: write of port %#x: nothing there\n", p);
        }
        done += n;
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
