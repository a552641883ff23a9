/* The slow paths behind the TLB look-up: page-crossing accesses, MMIO, ROM, code pages,
 * watchpoints. Nothing is written before every page of the access has been found writable. */
#include "host/le.h"
#include "softmmu/internal.h"
#include "softmmu/machine.h"
#include "softmmu/tlb.h"
#include "tcg/tcg.h"
#include "tcg/verify.h"

#include <endian.h>
#include <string.h>

static struct tlb_entry *entry_of(struct vcpu *v, uint64_t va, unsigned ctx)
{
    return &v->tlb[ctx][va >> 12 & TLB_MASK];
}

static bool crosses(uint64_t va, unsigned size)
{
    return (va & 4095) + size > 4096;
}

static void check_align(struct vcpu *v, uint64_t va, unsigned memop)
{
    if ((memop & MO_ALIGN) && (va & ((1u << (memop & MO_SIZE)) - 1))) {
        v->ops->unaligned(v, va);
    }
}

/* Reads size bytes inside one page; little endian in buf. */
static void load_page(struct vcpu *v, uint64_t va, uint8_t *buf, unsigned size, unsigned ctx)
{
    struct tlb_ext *x = tlb_get(v, va, ACCESS_READ, ctx);

    if (x->flags & EXT_WATCH) {
        watch_check(v, va, size, ACCESS_READ);
    }
    if (x->ram) {
        memcpy(buf, tlb_host(entry_of(v, va, ctx), va), size);
        return;
    }
    uint64_t phys = x->phys | (va & 4095);
    unsigned view = v->mmu->view;
    for (unsigned done = 0; done < size;) {
        unsigned left = size - done, n = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        uint64_t value;
        if (!v->verify || !verify_io(v, false, phys + done, n, &value)) {
            value = memory_view_load(v->machine->memory, view, phys + done, n);
            if (v->verify) {
                verify_io_done(v, false, phys + done, n, value);
            }
        }
        for (unsigned i = 0; i < n; i++) {
            buf[done + i] = (uint8_t)(value >> 8 * i);
        }
        done += n;
    }
}

static void load_bytes(struct vcpu *v, uint64_t va, uint8_t *buf, unsigned size, unsigned ctx)
{
    if (!crosses(va, size)) {
        load_page(v, va, buf, size, ctx);
        return;
    }
    unsigned first = 4096 - (va & 4095);
    tlb_get(v, va, ACCESS_READ, ctx); /* fault addresses in order, before any device is read */
    v->split_va = va;
    v->split_ctx = ctx;
    tlb_get(v, va + first, ACCESS_READ, ctx);
    v->split_va = 0;
    load_page(v, va, buf, first, ctx);
    load_page(v, va + first, buf + first, size - first, ctx);
}

/* The page of va made ready for a write of size bytes: watchpoints and code seen to. May unwind. */
static struct tlb_ext *prepare_store(struct vcpu *v, uint64_t va, unsigned size, unsigned ctx)
{
    struct tlb_ext *x = tlb_get(v, va, ACCESS_WRITE, ctx);

    if (x->flags & EXT_WATCH) {
        watch_check(v, va, size, ACCESS_WRITE);
    }
    if (x->ram && !(x->flags & EXT_ROM)) {
        page_written(x->ram, x->ram_page);
        _Atomic uint64_t *map = (_Atomic uint64_t *)&x->ram->code_map[x->ram_page];
        bool code =
            atomic_load_explicit(map, memory_order_relaxed) & softmmu_granules(va & 4095, size);
        if (v->verify) {
            code = verify_hits_code(v, x->phys | (va & 4095), size, code);
        }
        if (code) {
            tcg_store_to_code(v, x->phys | (va & 4095), size);
        }
        if (v->verify) {
            verify_store(v, va, entry_of(v, va, ctx), size,
                         !(x->flags & EXT_WATCH) && !atomic_load(map));
        } else if (!(x->flags & EXT_WATCH) && !atomic_load(map)) {
            note_writer(v, x->ram, x->ram_page);
            if (!atomic_load(map)) {
                entry_of(v, va, ctx)->wtag = va & ~UINT64_C(4095);
            }
        }
    }
    return x;
}

static void store_page(struct vcpu *v, uint64_t va, const uint8_t *buf, unsigned size, unsigned ctx,
                       const struct tlb_ext *x)
{
    if (x->ram) {
        if (!(x->flags & EXT_ROM)) {
            memcpy(tlb_host(entry_of(v, va, ctx), va), buf, size);
        }
        return;
    }
    uint64_t phys = x->phys | (va & 4095);
    unsigned view = v->mmu->view;
    for (unsigned done = 0; done < size;) {
        unsigned left = size - done, n = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        uint64_t value = 0;
        for (unsigned i = 0; i < n; i++) {
            value |= (uint64_t)buf[done + i] << 8 * i;
        }
        if (!v->verify || !verify_io(v, true, phys + done, n, &value)) {
            memory_view_store(v->machine->memory, view, phys + done, value, n);
            if (v->verify) {
                verify_io_done(v, true, phys + done, n, value);
            }
        }
        done += n;
    }
}

/* Another vcpu may have translated the old bytes after prepare_store dropped what was there. */
static void stored(struct vcpu *v, uint64_t va, unsigned size, const struct tlb_ext *x)
{
    if (v->machine->nvcpus == 1 || !x->ram || x->flags & EXT_ROM) {
        return;
    }
    /* The store before the look; a translation protects the page before it reads. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load((_Atomic uint64_t *)&x->ram->code_map[x->ram_page]) &
        softmmu_granules(va & 4095, size)) {
        tcg_invalidate(v->tcg, x->phys | (va & 4095), size);
    }
}

static void store_bytes(struct vcpu *v, uint64_t va, const uint8_t *buf, unsigned size,
                        unsigned ctx)
{
    if (!crosses(va, size)) {
        const struct tlb_ext *x = prepare_store(v, va, size, ctx);
        store_page(v, va, buf, size, ctx, x);
        stored(v, va, size, x);
        return;
    }
    unsigned first = 4096 - (va & 4095);
    tlb_get(v, va, ACCESS_WRITE, ctx);
    tlb_get(v, va + first, ACCESS_WRITE, ctx);
    const struct tlb_ext *x = prepare_store(v, va, first, ctx);
    const struct tlb_ext *y = prepare_store(v, va + first, size - first, ctx);
    store_page(v, va, buf, first, ctx, x);
    store_page(v, va + first, buf + first, size - first, ctx, y);
    stored(v, va, first, x);
    stored(v, va + first, size - first, y);
}

/* One load of the access's own size. */
static uint64_t load_host(const uint8_t *p, unsigned memop)
{
    uint64_t q;
    uint32_t d;
    uint16_t w;
    bool sign = memop & MO_SIGN;

    switch (memop & MO_SIZE) {
    case MO_8:
        return sign ? (uint64_t)(int8_t)*p : *p;
    case MO_16:
        memcpy(&w, p, 2);
        w = le16toh(w);
        return sign ? (uint64_t)(int16_t)w : w;
    case MO_32:
        memcpy(&d, p, 4);
        d = le32toh(d);
        return sign ? (uint64_t)(int32_t)d : d;
    default:
        memcpy(&q, p, 8);
        return le64toh(q);
    }
}

uint64_t softmmu_load(struct vcpu *v, uint64_t va, unsigned memop, unsigned ctx)
{
    unsigned size = 1u << (memop & MO_SIZE);
    uint8_t buf[8];
    uint64_t value = 0;

    count_up(&v->tlb_slow);
    check_align(v, va, memop);
    if (!crosses(va, size)) { /* nearly always a TLB miss: the value comes straight from RAM */
        const struct tlb_ext *x = tlb_get(v, va, ACCESS_READ, ctx);
        if (x->ram && !(x->flags & EXT_WATCH)) {
            return load_host(tlb_host(entry_of(v, va, ctx), va), memop);
        }
    }
    load_bytes(v, va, buf, size, ctx);
    for (unsigned i = size; i--;) {
        value = value << 8 | buf[i];
    }
    if ((memop & MO_SIGN) && size < 8) {
        unsigned shift = 64 - 8 * size;
        value = (uint64_t)((int64_t)(value << shift) >> shift);
    }
    return value;
}

void softmmu_store(struct vcpu *v, uint64_t va, uint64_t value, unsigned memop, unsigned ctx)
{
    unsigned size = 1u << (memop & MO_SIZE);
    uint8_t buf[8];

    count_up(&v->tlb_slow);
    check_align(v, va, memop);
    for (unsigned i = 0; i < size; i++) {
        buf[i] = (uint8_t)(value >> 8 * i);
    }
    store_bytes(v, va, buf, size, ctx);
}

void softmmu_load_vec(struct vcpu *v, uint64_t va, void *out, unsigned memop, unsigned ctx)
{
    uint8_t buf[32];
    unsigned size = 1u << (memop & MO_SIZE);

    count_up(&v->tlb_slow);
    check_align(v, va, memop);
    load_bytes(v, va, buf, size, ctx);
    memcpy(out, buf, size);
}

void softmmu_store_vec(struct vcpu *v, uint64_t va, const void *in, unsigned memop, unsigned ctx)
{
    count_up(&v->tlb_slow);
    check_align(v, va, memop);
    store_bytes(v, va, in, 1u << (memop & MO_SIZE), ctx);
}

void *softmmu_atomic_ptr(struct vcpu *v, uint64_t va, unsigned memop, unsigned ctx)
{
    unsigned size = 1u << (memop & MO_SIZE);

    count_up(&v->tlb_slow);
    check_align(v, va, memop);
    if (crosses(va, size)) {
        tlb_get(v, va, ACCESS_WRITE, ctx);
        tlb_get(v, (va | 4095) + 1, ACCESS_WRITE, ctx);
        return NULL;
    }
    struct tlb_ext *x = prepare_store(v, va, size, ctx);
    if (!x->ram || (x->flags & EXT_ROM)) {
        return NULL;
    }
    if (x->flags & EXT_WATCH) {
        watch_check(v, va, size, ACCESS_READ); /* it reads as well */
    }
    return tlb_host(entry_of(v, va, ctx), va);
}

uint8_t *softmmu_probe(struct vcpu *v, uint64_t va, enum access acc, unsigned ctx)
{
    struct tlb_ext *x = tlb_get(v, va, acc, ctx);
    const struct tlb_entry *e = entry_of(v, va, ctx);

    if (!x->ram || (x->flags & EXT_WATCH)) {
        return NULL;
    }
    if (acc == ACCESS_WRITE) {
        _Atomic uint64_t *map = (_Atomic uint64_t *)&x->ram->code_map[x->ram_page];
        if ((x->flags & EXT_ROM) || atomic_load_explicit(map, memory_order_relaxed) || v->verify) {
            return NULL;
        }
        page_written(x->ram, x->ram_page);
    }
    return tlb_host(e, va);
}

uint8_t *softmmu_probe_write(struct vcpu *v, uint64_t va, uint64_t low, unsigned len, unsigned ctx)
{
    struct tlb_ext *x = tlb_get(v, va, ACCESS_WRITE, ctx);

    if (!x->ram || x->flags & (EXT_WATCH | EXT_ROM) || v->machine->nvcpus > 1) {
        return softmmu_probe(v, va, ACCESS_WRITE, ctx);
    }
    if (x->ram->code_map[x->ram_page] & softmmu_granules(low & 4095, len)) {
        tcg_store_to_code(v, x->phys | (low & 4095), len);
    }
    page_written(x->ram, x->ram_page);
    if (v->verify) {
        verify_store(v, low, entry_of(v, va, ctx), len, !x->ram->code_map[x->ram_page]);
    }
    return tlb_host(entry_of(v, va, ctx), va);
}

/* ---- code fetches ---- */

const uint8_t *vcpu_fetch_ptr(struct vcpu *v, uint64_t va, uint64_t *phys)
{
    struct tlb_ext *x = tlb_get(v, va, ACCESS_FETCH, v->fetch_ctx);

    *phys = x->phys | (va & 4095);
    return x->ram ? tlb_host(entry_of(v, va, v->fetch_ctx), va) : NULL;
}

uint64_t vcpu_fetch_code(struct vcpu *v, uint64_t va, void *out, unsigned len)
{
    uint8_t *o = out;
    uint64_t first = 0;

    for (unsigned done = 0; done < len;) {
        uint64_t phys;
        const uint8_t *p = vcpu_fetch_ptr(v, va + done, &phys);
        unsigned n = 4096 - ((va + done) & 4095);
        n = n < len - done ? n : len - done;
        if (!done) {
            first = phys;
        }
        if (p) {
            memcpy(o + done, p, n);
        } else {
            for (unsigned i = 0; i < n; i++) {
                o[done + i] =
                    (uint8_t)memory_view_load(v->machine->memory, v->mmu->view, phys + i, 1);
            }
        }
        done += n;
    }
    return first;
}
