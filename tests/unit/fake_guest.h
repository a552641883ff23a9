/* A guest for tests of tcg/ without softmmu and cpu: a flat physical memory of a few pages, a page
 * table of one level, and whatever translate() the test wants. The functions that softmmu would
 * give are here. */
#ifndef TESTS_UNIT_FAKE_GUEST_H
#define TESTS_UNIT_FAKE_GUEST_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tcg/ir.h"
#include "tcg/tb.h"
#include "tcg/tcg.h"
#include "tcg/vcpu.h"

enum { FAKE_PAGES = 64, FAKE_VPAGES = 1024 };

struct fake_cpu {
    struct vcpu v;
    struct tlb_entry tlb[TLB_NCTX][TLB_SIZE];
    uint8_t *ram;             /* FAKE_PAGES pages */
    uint8_t map[FAKE_VPAGES]; /* virtual page to physical; 0xff: not mapped */
    bool readonly[FAKE_VPAGES];
    atomic_bool code[FAKE_PAGES]; /* protected */
    bool halted;
    bool delivered_page_fault, delivered_unaligned;
    uint64_t fault_va;
    unsigned faults, protects, unprotects, translations, polls;
    uint64_t restored_meta, fault_pc;
    unsigned mmio_page; /* physical page that is not RAM; 0: none */
    uint64_t mmio_reg;
    struct machine *machine;
};

static inline struct fake_cpu *fake_cpu(struct vcpu *v)
{
    return (struct fake_cpu *)v;
}

static inline void fake_flush(struct fake_cpu *c)
{
    for (unsigned k = 0; k < TLB_NCTX; k++) {
        for (unsigned i = 0; i < TLB_SIZE; i++) {
            uint64_t none = tlb_no_tag(i);
            c->tlb[k][i] = (struct tlb_entry){none, none, none, 0};
        }
    }
}

static bool fake_walk(struct vcpu *v, uint64_t va, enum access acc, unsigned ctx, bool probe,
                      struct walk *out)
{
    struct fake_cpu *c = fake_cpu(v);
    uint64_t page = va >> 12;

    (void)ctx;
    if (page >= FAKE_VPAGES || c->map[page] == 0xff || (acc == ACCESS_WRITE && c->readonly[page])) {
        if (!probe) {
            c->fault_va = va;
        }
        return false;
    }
    *out = (struct walk){.phys = (uint64_t)c->map[page] << 12,
                         .page_size = 4096,
                         .read = true,
                         .write = !c->readonly[page],
                         .fetch = true};
    return true;
}

static void fake_fill(struct fake_cpu *c, uint64_t va, enum access acc, unsigned ctx,
                      const struct walk *w)
{
    struct tlb_entry *e = &c->tlb[ctx][va >> 12 & TLB_MASK];
    uint64_t tag = va & ~UINT64_C(0xfff);
    unsigned page = (unsigned)(w->phys >> 12);

    if (c->mmio_page && page == c->mmio_page) {
        return;
    }
    if (e->rtag != tag && e->wtag != tag && e->xtag != tag) {
        uint64_t none = tlb_no_tag(va >> 12 & TLB_MASK);
        *e = (struct tlb_entry){none, none, none, 0};
    }
    e->addend = (uintptr_t)(c->ram + w->phys) - tag;
    if (acc == ACCESS_FETCH) {
        e->xtag = tag;
    } else {
        e->rtag = tag;
        if (acc == ACCESS_WRITE && !c->code[page]) {
            e->wtag = tag;
        }
    }
}

/* Host address of one byte, filling the TLB; raises. */
static uint8_t *fake_access(struct vcpu *v, uint64_t va, enum access acc, unsigned ctx,
                            uint64_t *phys)
{
    struct walk w;

    if (!fake_walk(v, va, acc, ctx, false, &w)) {
        vcpu_unwind(v, true);
    }
    fake_fill(fake_cpu(v), va, acc, ctx, &w);
    *phys = w.phys | (va & 0xfff);
    return fake_cpu(v)->ram + *phys;
}

uint8_t *softmmu_probe(struct vcpu *v, uint64_t va, enum access acc, unsigned ctx)
{
    uint64_t phys;

    return fake_access(v, va, acc, ctx, &phys);
}

uint8_t *softmmu_probe_write(struct vcpu *v, uint64_t va, uint64_t low, unsigned len, unsigned ctx)
{
    (void)low;
    (void)len;
    return softmmu_probe(v, va, ACCESS_WRITE, ctx);
}

uint64_t softmmu_load(struct vcpu *v, uint64_t va, unsigned memop, unsigned ctx)
{
    unsigned size = 1u << (memop & MO_SIZE);
    uint64_t x = 0, phys, last;

    fake_access(v, va, ACCESS_READ, ctx, &last);
    fake_access(v, va + size - 1, ACCESS_READ, ctx, &last);
    for (unsigned i = 0; i < size; i++) {
        uint8_t *p = fake_access(v, va + i, ACCESS_READ, ctx, &phys);
        if (fake_cpu(v)->mmio_page && phys >> 12 == fake_cpu(v)->mmio_page) {
            return fake_cpu(v)->mmio_reg;
        }
        x |= (uint64_t)*p << (8 * i);
    }
    return x;
}

void softmmu_store(struct vcpu *v, uint64_t va, uint64_t value, unsigned memop, unsigned ctx)
{
    struct fake_cpu *c = fake_cpu(v);
    unsigned size = 1u << (memop & MO_SIZE);
    uint64_t phys, last;

    fake_access(v, va, ACCESS_WRITE, ctx, &phys);
    fake_access(v, va + size - 1, ACCESS_WRITE, ctx, &last);
    if (c->mmio_page && phys >> 12 == c->mmio_page) {
        c->mmio_reg = value;
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        uint8_t *p = fake_access(v, va + i, ACCESS_WRITE, ctx, &phys);
        if (c->code[phys >> 12]) {
            tcg_store_to_code(v, phys, 1);
        }
        (void)p;
    }
    for (unsigned i = 0; i < size; i++) {
        *fake_access(v, va + i, ACCESS_WRITE, ctx, &phys) = (uint8_t)(value >> (8 * i));
    }
}

void softmmu_load_vec(struct vcpu *v, uint64_t va, void *out, unsigned memop, unsigned ctx)
{
    for (unsigned i = 0; i < 1u << (memop & MO_SIZE); i++) {
        ((uint8_t *)out)[i] = (uint8_t)softmmu_load(v, va + i, MO_8, ctx);
    }
}

void softmmu_store_vec(struct vcpu *v, uint64_t va, const void *in, unsigned memop, unsigned ctx)
{
    unsigned size = 1u << (memop & MO_SIZE);
    uint64_t phys;

    fake_access(v, va, ACCESS_WRITE, ctx, &phys);
    fake_access(v, va + size - 1, ACCESS_WRITE, ctx, &phys);
    for (unsigned i = 0; i < size; i++) {
        softmmu_store(v, va + i, ((const uint8_t *)in)[i], MO_8, ctx);
    }
}

void *softmmu_atomic_ptr(struct vcpu *v, uint64_t va, unsigned memop, unsigned ctx)
{
    uint64_t phys;
    uint8_t *p = fake_access(v, va, ACCESS_WRITE, ctx, &phys);

    if ((va & 0xfff) + (1u << (memop & MO_SIZE)) > 4096 ||
        (fake_cpu(v)->mmio_page && phys >> 12 == fake_cpu(v)->mmio_page)) {
        return NULL;
    }
    if (fake_cpu(v)->code[phys >> 12]) {
        tcg_store_to_code(v, phys, 1u << (memop & MO_SIZE));
    }
    return p;
}

uint64_t vcpu_fetch_code(struct vcpu *v, uint64_t va, void *out, unsigned len)
{
    uint64_t first, phys;

    fake_access(v, va, ACCESS_FETCH, v->fetch_ctx, &first);
    for (unsigned i = 0; i < len; i++) {
        ((uint8_t *)out)[i] = *fake_access(v, va + i, ACCESS_FETCH, v->fetch_ctx, &phys);
    }
    return first;
}

const uint8_t *vcpu_fetch_ptr(struct vcpu *v, uint64_t va, uint64_t *phys)
{
    const uint8_t *p = fake_access(v, va, ACCESS_FETCH, v->fetch_ctx, phys);

    return fake_cpu(v)->mmio_page && *phys >> 12 == fake_cpu(v)->mmio_page ? NULL : p;
}

/* ---- host ops: the machine is the cpu ---- */

static bool fake_protect(struct machine *m, uint64_t phys, unsigned len)
{
    struct fake_cpu *c = (struct fake_cpu *)(void *)m;

    bool fresh = !c->code[phys >> 12];

    (void)len;
    c->protects++;
    c->code[phys >> 12] = true;
    for (unsigned k = 0; k < TLB_NCTX; k++) {
        for (unsigned i = 0; i < TLB_SIZE; i++) {
            struct tlb_entry *e = &c->tlb[k][i];
            if (tlb_host(e, e->wtag) == c->ram + (phys & ~UINT64_C(0xfff))) {
                e->wtag = tlb_no_tag(i);
            }
        }
    }
    return fresh;
}

static void fake_unprotect(struct machine *m, uint64_t phys)
{
    struct fake_cpu *c = (struct fake_cpu *)(void *)m;

    c->unprotects++;
    c->code[phys >> 12] = false;
}

static void fake_exclusive(struct machine *m)
{
    (void)m;
}

/* ---- guest ops ---- */

static uint64_t fake_linear_pc(struct vcpu *v)
{
    return v->reg[TCG_REG_PC] + v->reg[TCG_REG_GUEST]; /* reg 21 is a code base */
}

static void fake_restore(struct vcpu *v, uint64_t off, uint64_t meta)
{
    v->reg[TCG_REG_PC] += off;
    fake_cpu(v)->restored_meta = meta;
}

static void fake_deliver(struct vcpu *v)
{
    struct fake_cpu *c = fake_cpu(v);

    c->faults++;
    c->fault_pc = v->reg[TCG_REG_PC];
    c->halted = true;
    atomic_store(&v->exit_request, 1);
}

static bool fake_poll(struct vcpu *v)
{
    fake_cpu(v)->polls++;
    return fake_cpu(v)->halted;
}

static void fake_unaligned(struct vcpu *v, uint64_t va)
{
    fake_cpu(v)->fault_va = va;
    fake_cpu(v)->delivered_unaligned = true;
    vcpu_unwind(v, true);
}

static uint64_t helper_halt(struct vcpu *v)
{
    fake_cpu(v)->halted = true;
    atomic_store(&v->exit_request, 1);
    return 0;
}
static const struct ir_helper h_halt = {"halt", (void (*)(void))helper_halt, 0, 0};

/* Contiguous code of size bytes from the block's start. */
static inline void fake_parts(struct ir *ir, const struct translate_request *req, unsigned size)
{
    unsigned room = 4096 - (unsigned)(req->linear & 4095);

    ir->part[0].hi = (int32_t)(size < room ? size : room);
    if (size > room) {
        ir->part[1].lo = (int32_t)room;
        ir->part[1].hi = (int32_t)size;
    }
}

static inline struct fake_cpu *fake_create(struct guest_ops *ops, const struct tcg_options *opt)
{
    static const struct tcg_host_ops host = {.protect_code = fake_protect,
                                             .unprotect_page = fake_unprotect,
                                             .exclusive_begin = fake_exclusive,
                                             .exclusive_end = fake_exclusive};
    struct fake_cpu *c = aligned_alloc(64, (sizeof(*c) + 63) & ~(size_t)63);
    struct error err = {""};

    memset(c, 0, sizeof(*c));
    c->ram =
        mmap(NULL, FAKE_PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(c->map, 0xff, sizeof(c->map));
    for (unsigned i = 0; i < FAKE_PAGES; i++) {
        c->map[i] = (uint8_t)i;
    }
    fake_flush(c);
    for (unsigned k = 0; k < TLB_NCTX; k++) {
        c->v.tlb[k] = c->tlb[k];
    }
    ops->linear_pc = fake_linear_pc;
    ops->restore = fake_restore;
    ops->deliver = fake_deliver;
    ops->poll = fake_poll;
    ops->walk = fake_walk;
    ops->unaligned = fake_unaligned;
    c->v.ops = ops;
    c->v.machine = (struct machine *)(void *)c;
    struct tcg *t = tcg_create(c->v.machine, opt, &host, &err);
    if (!t || !tcg_attach(t, &c->v, &err)) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
    return c;
}

static inline void fake_destroy(struct fake_cpu *c)
{
    struct tcg *t = c->v.tcg;

    tcg_detach(&c->v);
    tcg_destroy(t);
    munmap(c->ram, FAKE_PAGES * 4096);
    free(c);
}

/* Runs until halted. */
static inline void fake_run(struct fake_cpu *c, uint64_t pc)
{
    c->halted = false;
    c->v.reg[TCG_REG_PC] = pc;
    atomic_store(&c->v.exit_request, 0);
    tcg_run(&c->v);
}

#endif
