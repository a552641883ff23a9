/* The per-vcpu TLB: sets of tables by address space id, filled from guest_ops.walk, flushed by the
 * log of entries in use so that a flush costs what was filled. See tcg/vcpu.h for the entry and the
 * look-up. */
#include "softmmu/tlb.h"
#include "softmmu/debug.h"
#include "softmmu/internal.h"
#include "softmmu/machine.h"
#include "tcg/tcg.h"

#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
    if (!p) {
        abort();
    }
    return p;
}

static void clear_entry(struct tlb_table *t, unsigned i)
{
    uint64_t none = tlb_no_tag(i);

    t->entry[i].rtag = t->entry[i].wtag = t->entry[i].xtag = none;
    t->ext[i].flags = 0; /* nothing else of it means anything now */
}

static void table_create(struct tlb_table *t)
{
    t->entry = must(aligned_alloc(64, TLB_SIZE * sizeof(*t->entry)));
    t->ext = must(calloc(TLB_SIZE, sizeof(*t->ext)));
    for (unsigned i = 0; i < TLB_SIZE; i++) {
        clear_entry(t, i);
    }
}

/* Keeps the range of addresses that pieces of large pages lie in. */
static void note_large(struct tlb_table *t, const struct tlb_ext *x)
{
    if (x->shift > 12) {
        uint64_t lo = x->va >> x->shift << x->shift, hi = lo + ((UINT64_C(1) << x->shift) - 1);
        t->large_lo = t->large && t->large_lo < lo ? t->large_lo : lo;
        t->large_hi = t->large && t->large_hi > hi ? t->large_hi : hi;
        t->large = true;
    }
}

/* Called by every flush: what is derived from page tables beside the TLB is stale. */
static void mapping_changed(struct vcpu *v)
{
    count_up(&v->walk_epoch);
    tcg_mapping_changed(v);
}

static void table_flush(struct tlb_table *t, bool keep_global)
{
    unsigned n = t->all ? TLB_SIZE : t->nlog, kept = 0;
    bool all = t->all;

    if (!t->entry) {
        return;
    }
    if (!n) {
        return;
    }
    t->all = false;
    t->large = false;
    for (unsigned k = 0; k < n; k++) {
        unsigned i = all ? k : t->log[k];
        if (!keep_global || !(t->ext[i].flags & EXT_GLOBAL)) {
            clear_entry(t, i);
            continue;
        }
        note_large(t, &t->ext[i]);
        if (kept < TLB_LOG) {
            t->log[kept++] = (uint16_t)i;
        } else {
            t->all = true;
        }
    }
    t->nlog = kept;
}

static void set_flush(struct tlb_set *s, bool keep_global)
{
    for (unsigned c = 0; c < TLB_NCTX; c++) {
        table_flush(&s->table[c], keep_global);
    }
}

static void make_current(struct vcpu *v, unsigned n)
{
    struct tlb_set *s = &v->mmu->set[n];

    v->mmu->current = n;
    s->used = true;
    s->stamp = ++v->mmu->clock;
    for (unsigned c = 0; c < TLB_NCTX; c++) {
        if (!s->table[c].entry) {
            table_create(&s->table[c]);
        }
        v->tlb[c] = s->table[c].entry;
        v->mmu->table[c] = &s->table[c];
    }
}

void tlb_init(struct vcpu *v)
{
    v->mmu = must(calloc(1, sizeof(*v->mmu)));
    v->walk_epoch = 1;
    make_current(v, 0);
}

void tlb_destroy(struct vcpu *v)
{
    for (unsigned n = 0; n <= TLB_ASIDE; n++) {
        for (unsigned c = 0; c < TLB_NCTX; c++) {
            free(v->mmu->set[n].table[c].entry);
            free(v->mmu->set[n].table[c].ext);
        }
    }
    free(v->mmu->watch);
    free(v->mmu);
    v->mmu = NULL;
}

/* ---- flushes ---- */

void tlb_flush_all(struct vcpu *v)
{
    mapping_changed(v);
    v->mmu->piece.ram = NULL;
    for (unsigned n = 0; n < TLB_SETS; n++) {
        set_flush(&v->mmu->set[n], false);
        v->mmu->set[n].used = n == v->mmu->current;
    }
}

void tlb_flush_nonglobal(struct vcpu *v)
{
    mapping_changed(v);
    set_flush(&v->mmu->set[v->mmu->current], true);
}

/* Drops what maps va: the 4 KiB entry, and every piece of a large page around it. */
static void table_flush_page(struct tlb_table *t, uint64_t va, bool only_global)
{
    if (!t->entry) {
        return;
    }
    unsigned i = va >> 12 & TLB_MASK;
    bool doomed = (t->ext[i].flags & EXT_VALID) && t->ext[i].va == (va & ~UINT64_C(4095));
    if (doomed && (!only_global || (t->ext[i].flags & EXT_GLOBAL))) {
        /* It stays in the log: clearing twice does no harm. */
        clear_entry(t, i);
    }
    bool large = t->large && va >= t->large_lo && va <= t->large_hi;
    for (unsigned k = 0; large && k < (t->all ? TLB_SIZE : t->nlog); k++) {
        struct tlb_ext *x = &t->ext[t->all ? k : t->log[k]];
        if (!(x->flags & EXT_VALID) || x->shift <= 12 || ((x->va ^ va) >> x->shift)) {
            continue;
        }
        if (!only_global || (x->flags & EXT_GLOBAL)) {
            clear_entry(t, (unsigned)(x - t->ext));
        }
    }
}

void tlb_flush_page(struct vcpu *v, uint64_t va)
{
    mapping_changed(v);
    for (unsigned n = 0; n < TLB_SETS; n++) {
        for (unsigned c = 0; c < TLB_NCTX; c++) {
            table_flush_page(&v->mmu->set[n].table[c], va, n != v->mmu->current);
        }
    }
}

/* verify=on runs a block again as if nothing were in the TLB, for the slow paths and for mappings
 * of before the block, and goes on with what was there. */
static void tlb_aside(struct vcpu *v, bool on)
{
    struct softmmu_cpu *s = v->mmu;

    count_up(&v->walk_epoch);
    if (!on) {
        make_current(v, s->beside);
        return;
    }
    if (s->current != TLB_ASIDE) {
        s->beside = s->current;
    }
    set_flush(&s->set[TLB_ASIDE], false);
    make_current(v, TLB_ASIDE);
}

static struct tlb_set *find_set(struct vcpu *v, unsigned asid)
{
    for (unsigned n = 0; n < TLB_SETS; n++) {
        if (v->mmu->set[n].used && v->mmu->set[n].asid == asid) {
            return &v->mmu->set[n];
        }
    }
    return NULL;
}

void tlb_flush_asid(struct vcpu *v, unsigned asid, bool keep_global)
{
    struct tlb_set *s = find_set(v, asid);

    mapping_changed(v);
    if (s) {
        set_flush(s, keep_global);
    }
}

void tlb_flush_page_asid(struct vcpu *v, unsigned asid, uint64_t va)
{
    struct tlb_set *s = find_set(v, asid);

    mapping_changed(v);
    for (unsigned c = 0; s && c < TLB_NCTX; c++) {
        table_flush_page(&s->table[c], va, false);
    }
}

void tlb_switch(struct vcpu *v, unsigned asid, bool keep)
{
    struct tlb_set *s = find_set(v, asid);
    unsigned oldest = 0;

    mapping_changed(v);
    if (s) {
        if (!keep) {
            set_flush(s, true);
        }
        make_current(v, (unsigned)(s - v->mmu->set));
        return;
    }
    for (unsigned n = 1; n < TLB_SETS; n++) {
        const struct tlb_set *a = &v->mmu->set[n], *b = &v->mmu->set[oldest];
        if ((a->used ? a->stamp : 0) < (b->used ? b->stamp : 0)) {
            oldest = n;
        }
    }
    s = &v->mmu->set[oldest];
    set_flush(s, false);
    s->asid = asid;
    make_current(v, oldest);
}

void tlb_request_flush(struct vcpu *v)
{
    if (v->mmu) {
        vcpu_request(v, VCPU_REQ_FLUSH);
    }
}

void tlb_set_view(struct vcpu *v, unsigned view)
{
    if (v->mmu && v->mmu->view != view) {
        v->mmu->view = view;
        tlb_flush_all(v);
    }
}

unsigned tlb_view(struct vcpu *v)
{
    return v->mmu->view;
}

/* ---- fill ---- */

static bool watched(const struct vcpu *v, uint64_t page)
{
    for (unsigned i = 0; i < v->mmu->nwatches; i++) {
        const struct watch *w = &v->mmu->watch[i];
        if (w->va <= page + 4095 && w->va + (w->len - 1) >= page) {
            return true;
        }
    }
    return false;
}

/* The RAM or ROM that holds all of the page at phys, or NULL. */
static const struct ram_piece *find_piece(struct vcpu *v, uint64_t phys)
{
    struct ram_piece *p = &v->mmu->piece;

    if (p->ram && phys >= p->start && phys < p->end && p->end - phys >= 4096) {
        return p;
    }
    const struct range *r = memory_find(v->machine->memory, v->mmu->view, phys);
    if (!r || !r->map->ram || r->end - phys < 4096) {
        return NULL;
    }
    *p = (struct ram_piece){r->start, r->end, r->map->ram,
                            r->map->ram_offset + (r->start - r->map->base), r->map->readonly};
    return p;
}

static void set_tags(struct vcpu *v, struct tlb_entry *e, struct tlb_ext *x,
                     const struct ram_piece *r, const struct walk *w, uint64_t page)
{
    struct ram *ram = r ? r->ram : NULL;
    uint64_t none = tlb_no_tag(page >> 12 & TLB_MASK);

    *e = (struct tlb_entry){none, none, none, 0};
    x->ram = ram;
    if (!ram) {
        x->flags |= EXT_IO;
        return;
    }
    uint64_t offset = r->offset + (w->phys - r->start);
    x->ram_page = (uint32_t)(offset >> 12);
    e->addend = (uintptr_t)(ram->host + offset) - page;
    x->flags |= r->readonly ? EXT_ROM : 0;
    if (w->fetch) {
        e->xtag = page;
        if (v->machine->debug) {
            debug_code_page(v, page, w->phys);
        }
    }
    if (v->mmu->nwatches && watched(v, page)) {
        x->flags |= EXT_WATCH;
        return;
    }
    if (w->read) {
        e->rtag = page;
    }
    if (w->write && w->read && !r->readonly) {
        /* First say that a write tag may exist, then look for code: protect_page does it the other
         * way round, so that one of the two sees the other. */
        note_writer(v, ram, x->ram_page);
        if (!atomic_load((_Atomic uint64_t *)&ram->code_map[x->ram_page]) &&
            !atomic_load((_Atomic uint8_t *)&ram->clean[x->ram_page]) && !v->verify) {
            e->wtag = page;
        }
    }
}

bool tlb_fill(struct vcpu *v, uint64_t va, enum access acc, unsigned ctx, bool probe)
{
    struct walk w = {0};
    uint64_t page = va & ~UINT64_C(4095);
    unsigned i = va >> 12 & TLB_MASK;
    struct tlb_table *t = tlb_table(v, ctx);
    struct tlb_ext *x = &t->ext[i];

    if (!v->ops->walk(v, va, acc, ctx, probe, &w)) {
        if (!probe) {
            vcpu_unwind(v, true);
        }
        return false;
    }
    if (probe) {
        return true;
    }
    if (!(x->flags & EXT_VALID) && !t->all) {
        if (t->nlog < TLB_LOG) {
            t->log[t->nlog++] = (uint16_t)i;
        } else {
            t->all = true;
        }
    }
    count_up(&v->tlb_fills);
    x->va = page;
    x->phys = w.phys & ~UINT64_C(4095);
    w.phys = x->phys;
    x->shift = (uint8_t)__builtin_ctzll(w.page_size ? w.page_size : 4096);
    x->flags = (uint8_t)(EXT_VALID | (w.read ? EXT_READ : 0) | (w.write ? EXT_WRITE : 0) |
                         (w.fetch ? EXT_FETCH : 0) | (w.global ? EXT_GLOBAL : 0));
    note_large(t, x);
    set_tags(v, &t->entry[i], x, find_piece(v, x->phys), &w, page);
    return true;
}

/* ---- translated code on pages (tcg_host_ops) ---- */

static struct ram *find_ram(struct machine *m, uint64_t phys, uint32_t *page)
{
    /* Code is fetched in whichever view the vcpu has; RAM that only SMM sees is found in the
     * second. */
    for (unsigned view = 0; view < NVIEWS; view++) {
        const struct range *r = memory_find(m->memory, view, phys);
        if (r && r->map->ram) {
            *page = (uint32_t)((r->map->ram_offset + (phys - r->map->base)) >> 12);
            return r->map->ram;
        }
    }
    return NULL;
}

static void drop_write_tags(struct tlb_table *t, const struct ram *ram, uint32_t page)
{
    for (unsigned k = 0; t->entry && k < (t->all ? TLB_SIZE : t->nlog); k++) {
        unsigned i = t->all ? k : t->log[k];
        if (t->ext[i].ram == ram && t->ext[i].ram_page == page) {
            __atomic_store_n(&t->entry[i].wtag, tlb_no_tag(i), __ATOMIC_RELEASE);
        }
    }
}

/* A page that held no code yet: no vcpu may have a write tag for it any more, nor be between its
 * look at one and the store, when the caller reads the page. Others than this vcpu are stopped for
 * that, outside of their blocks; when nobody else has written to the page since it was last code
 * there is no need. */
static bool protect_page(struct machine *m, struct ram *ram, uint32_t page, uint64_t granules)
{
    _Atomic uint64_t *map = (_Atomic uint64_t *)&ram->code_map[page];
    struct vcpu *self = machine_current_vcpu(m);
    unsigned writer;
    bool others;

    if ((atomic_load(map) & granules) == granules || atomic_fetch_or(map, granules)) {
        return false;
    }
    writer = atomic_load((_Atomic uint8_t *)&ram->page_flags[page]);
    if (writer == WRITER_NONE) {
        return true;
    }
    others = m->nvcpus > 1 && !(self && writer == writer_of(self));
    if (others) {
        machine_exclusive_begin(m);
    }
    atomic_store((_Atomic uint8_t *)&ram->page_flags[page], WRITER_NONE);
    for (unsigned n = 0; n < m->nvcpus; n++) {
        if (!others && self && m->vcpus[n] != self) {
            continue; /* it runs, and has no write tag for the page */
        }
        for (unsigned s = 0; m->vcpus[n]->mmu && s < TLB_SETS; s++) {
            for (unsigned c = 0; c < TLB_NCTX; c++) {
                drop_write_tags(&m->vcpus[n]->mmu->set[s].table[c], ram, page);
            }
        }
    }
    if (others) {
        machine_exclusive_end(m);
    }
    return true;
}

uint64_t softmmu_granules(unsigned offset, unsigned len)
{
    unsigned first = offset >> 6, last = (offset + len - 1) >> 6;
    uint64_t upto = last >= 63 ? UINT64_MAX : (UINT64_C(1) << (last + 1)) - 1;

    return upto & ~((UINT64_C(1) << first) - 1);
}

static bool protect_code(struct machine *m, uint64_t phys, unsigned len)
{
    bool fresh = false;

    while (len) {
        unsigned off = phys & 4095, n = 4096 - off < len ? 4096 - off : len;
        uint32_t page;
        struct ram *ram = find_ram(m, phys, &page);
        if (ram) {
            fresh |= protect_page(m, ram, page, softmmu_granules(off, n));
        }
        phys += n;
        len -= n;
    }
    return fresh;
}

static void unprotect_page(struct machine *m, uint64_t phys)
{
    uint32_t page;
    struct ram *ram = find_ram(m, phys, &page);

    if (ram) {
        atomic_store((_Atomic uint64_t *)&ram->code_map[page], 0);
    }
}

static void verify_failed(struct vcpu *v)
{
    machine_exit(v->machine, 1);
    vcpu_request(v, VCPU_REQ_STOP);
}

const struct tcg_host_ops softmmu_tcg_ops = {
    protect_code,  unprotect_page, machine_exclusive_begin, machine_exclusive_end,
    tlb_flush_all, tlb_aside,      verify_failed,
};

/* ---- watchpoints ---- */

void softmmu_watch_add(struct vcpu *v, uint64_t va, uint64_t len, unsigned acc_mask, void *tag)
{
    struct softmmu_cpu *s = v->mmu;

    if (s->nwatches == s->watch_cap) {
        s->watch_cap = s->watch_cap ? 2 * s->watch_cap : 8;
        s->watch = must(realloc(s->watch, s->watch_cap * sizeof(*s->watch)));
    }
    s->watch[s->nwatches++] = (struct watch){va, len, acc_mask, tag};
    tlb_flush_all(v);
}

void softmmu_watch_remove(struct vcpu *v, void *tag)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < v->mmu->nwatches; i++) {
        if (v->mmu->watch[i].tag != tag) {
            v->mmu->watch[kept++] = v->mmu->watch[i];
        }
    }
    if (kept != v->mmu->nwatches) {
        v->mmu->nwatches = kept;
        tlb_flush_all(v);
    }
}

void watch_check(struct vcpu *v, uint64_t va, unsigned size, enum access acc)
{
    for (unsigned i = 0; i < v->mmu->nwatches; i++) {
        const struct watch *w = &v->mmu->watch[i];
        if ((w->mask >> acc & 1) && va <= w->va + (w->len - 1) && va + (size - 1) >= w->va) {
            v->ops->watch_hit(v, va, size, acc, w->tag);
        }
    }
}

/* ---- debugger access ---- */

static bool debug_access(struct vcpu *v, uint64_t va, uint8_t *buf, uint64_t len, bool write)
{
    while (len) {
        uint64_t n = 4096 - (va & 4095);
        struct walk w = {0};
        n = n < len ? n : len;
        /* As the system without SMAP, as a user, or as code that cannot be read. */
        if (!v->ops->walk(v, va, ACCESS_READ, 2, true, &w) &&
            !v->ops->walk(v, va, ACCESS_READ, 1, true, &w) &&
            !v->ops->walk(v, va, ACCESS_FETCH, 0, true, &w)) {
            return false;
        }
        uint64_t phys = (w.phys & ~UINT64_C(4095)) | (va & 4095);
        if (v->mmu->view != VIEW_NORMAL) { /* system management memory */
            for (uint64_t i = 0; i < n; i++) {
                if (write) {
                    memory_view_store(v->machine->memory, v->mmu->view, phys + i, buf[i], 1);
                } else {
                    buf[i] =
                        (uint8_t)memory_view_load(v->machine->memory, v->mmu->view, phys + i, 1);
                }
            }
        } else if (!(write ? memory_write_rom(v->machine->memory, phys, buf, n)
                           : memory_read(v->machine->memory, phys, buf, n))) {
            return false; /* nothing is there */
        }
        va += n;
        buf += n;
        len -= n;
    }
    return true;
}

bool vcpu_read_virtual(struct vcpu *v, uint64_t va, void *buf, uint64_t len)
{
    return debug_access(v, va, buf, len, false);
}

bool vcpu_write_virtual(struct vcpu *v, uint64_t va, const void *buf, uint64_t len)
{
    return debug_access(v, va, (uint8_t *)(uintptr_t)buf, len, true);
}
