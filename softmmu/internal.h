/* What the files of softmmu/ share. */
#ifndef SOFTMMU_INTERNAL_H
#define SOFTMMU_INTERNAL_H

#include "host/spin.h"
#include "softmmu/memory.h"
#include "softmmu/tlb.h"
#include "tcg/vcpu.h"

#include <pthread.h>

struct mapping {
    struct memory *mem;
    struct mapping *next;
    uint64_t base, size;
    unsigned views;
    int priority;
    bool enabled, readonly, is_port;
    struct ram *ram; /* NULL: ops */
    uint64_t ram_offset;
    const struct mmio_ops *ops;
    void *opaque;
    const char *name;
};

struct range { /* [start, end) of a view */
    uint64_t start, end;
    struct mapping *map;
};

struct view {
    struct view *next; /* retired ones */
    unsigned n;
    _Atomic unsigned hint; /* the range found last: nearly always the right one again */
    struct range range[];
};

const struct range *memory_find(struct memory *mem, unsigned view,
                                uint64_t phys); /* NULL: nothing there */
void ioport_rebuild(struct memory *mem);

/* ---- page_flags: who may have a write tag for the page ---- */
enum {
    WRITER_NONE = 0, /* n: the vcpu of index n - 1 */
    WRITERS_MANY = 255,
};

static inline unsigned writer_of(const struct vcpu *v)
{
    return v->index + 1 < WRITERS_MANY ? v->index + 1 : WRITERS_MANY;
}

/* v is about to look whether the page holds code, and to take a write tag when not. */
static inline void note_writer(const struct vcpu *v, struct ram *ram, uint32_t page)
{
    _Atomic uint8_t *flags = (_Atomic uint8_t *)&ram->page_flags[page];
    uint8_t old = atomic_load(flags), want;

    do {
        want = (uint8_t)(old == WRITER_NONE || old == writer_of(v) ? writer_of(v) : WRITERS_MANY);
    } while (old != want && !atomic_compare_exchange_weak(flags, &old, want));
}

/* A page is about to be written: it is dirty from now on. */
static inline void page_written(struct ram *ram, uint64_t page)
{
    _Atomic uint8_t *clean = (_Atomic uint8_t *)&ram->clean[page];

    if (atomic_load_explicit(clean, memory_order_relaxed)) {
        atomic_store(clean, 0);
    }
}

/* A counter that only its vcpu's thread writes, and others read for statistics. */
static inline void count_up(uint64_t *counter)
{
    __atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/* ---- per-vcpu TLB state (tlb.c) ---- */
enum {
    EXT_READ = 1,
    EXT_WRITE = 2,
    EXT_FETCH = 4,
    EXT_VALID = 8,
    EXT_GLOBAL = 16,
    EXT_IO = 32,
    EXT_ROM = 64,
    EXT_WATCH = 128,
};

struct tlb_ext { /* beside each tlb_entry: what the slow path knows */
    uint64_t va, phys;
    struct ram *ram; /* RAM and ROM: the block and the page number in it */
    uint32_t ram_page;
    uint8_t flags;
    uint8_t shift; /* log2 of the guest's page size */
};

enum { TLB_LOG = 1024, TLB_SETS = 8, TLB_ASIDE = TLB_SETS /* of verify=on */ };

struct tlb_table {
    struct tlb_entry *entry;
    struct tlb_ext *ext;
    uint16_t log[TLB_LOG]; /* entries in use; only while !all */
    unsigned nlog;
    bool all;   /* more are in use than the log holds */
    bool large; /* some come from large pages, which lie between these two addresses */
    uint64_t large_lo, large_hi;
};

struct tlb_set { /* one address space */
    bool used;
    unsigned asid;
    uint64_t stamp;
    struct tlb_table table[TLB_NCTX];
};

struct watch {
    uint64_t va, len;
    unsigned mask;
    void *tag;
};

struct ram_piece { /* a range of RAM or ROM */
    uint64_t start, end;
    struct ram *ram;
    uint64_t offset; /* in ram, of start */
    bool readonly;
};

struct softmmu_cpu {
    struct ram_piece piece; /* of the last fill; good until everything is flushed */
    struct tlb_set set[TLB_SETS + 1];
    unsigned current, beside;          /* beside: current while TLB_ASIDE is used */
    struct tlb_table *table[TLB_NCTX]; /* of the current set */
    uint64_t clock;
    unsigned view;
    struct watch *watch;
    unsigned nwatches, watch_cap;
    /* vcpu_thread.c */
    pthread_t thread;
    atomic_int tid; /* the host's id of it */
    pthread_cond_t cond;
    atomic_bool inside; /* may be executing guest code */
    atomic_bool told;   /* kicked since it last looked for work */
    bool started;
    struct spin spin; /* of its halts */
    atomic_bool held; /* by the debugger */
};

static inline struct tlb_table *tlb_table(struct vcpu *v, unsigned ctx)
{
    return v->mmu->table[ctx];
}

/* What is known of the page of va in ctx, filled for acc (raises). */
static inline struct tlb_ext *tlb_get(struct vcpu *v, uint64_t va, enum access acc, unsigned ctx)
{
    struct tlb_ext *x = &tlb_table(v, ctx)->ext[va >> 12 & TLB_MASK];
    unsigned need = EXT_VALID | (acc == ACCESS_READ    ? EXT_READ
                                 : acc == ACCESS_WRITE ? EXT_WRITE
                                                       : EXT_FETCH);

    if (x->va != (va & ~UINT64_C(4095)) || (x->flags & need) != need) {
        tlb_fill(v, va, acc, ctx, false);
    }
    return x;
}
uint64_t softmmu_granules(unsigned offset, unsigned len); /* bits of code_map for bytes of a page */
void watch_check(struct vcpu *v, uint64_t va, unsigned size, enum access acc);

#endif
