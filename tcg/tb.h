/* Translation blocks and the translator's own state; private to tcg/.
 *
 * A block is keyed by where its bytes are in host memory and by the key word of modes. The host
 * address stands for the physical address: it is what the fetch TLB yields, so that neither a
 * switch of address spaces nor a change of the memory map ever needs a flush. Its physical address
 * is kept too, for invalidation.
 *
 * Life of a block: compiled into a zone of the code cache, published in the hash table; entered by
 * the dispatcher, by links and by the per-vcpu jump caches. When its bytes change it is removed
 * from all three (and poisoned: whoever enters it all the same leaves at once, where the executor
 * can do that), but its memory stays until its whole zone is recycled. The cache is a ring of
 * zones; the oldest is emptied when the next is needed, and written again only after every vcpu has
 * passed its dispatcher (its epoch), so nobody can be inside. */
#ifndef TCG_TB_H
#define TCG_TB_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tcg/executor.h"
#include "tcg/tcg.h"
#include "tcg/vcpu.h"

#define PAGE_BITS        12
#define PAGE_SIZE_GUEST  (UINT64_C(1) << PAGE_BITS)
#define PAGE_OFFSET_MASK (PAGE_SIZE_GUEST - 1)

/* Bit of a block's key, beside the guest's: its accesses share no look-ups. */
#define TB_APART (UINT64_C(1) << 63)

struct tb_exit {
    struct tb *from;
    struct tb *to;        /* linked to; NULL: not */
    struct tb_exit *next; /* in to->incoming */
    uint32_t code_off;    /* executor's: where the exit is in the code */
    bool cross_page;      /* the target may be on another page: link only with a guard */
    atomic_bool apart; /* the target is keyed with TB_APART. Set last: who came to the exit by links
                        * reads it to see the rest */
    struct tb_exit *more; /* in from->apart_exits */
};

struct tb_page { /* one per guest physical page that holds blocks */
    uint64_t number;
    struct tb_page *next;
    struct tb *blocks;
};

struct tb {
    const void *code;    /* executor's entry point */
    const uint8_t *host; /* key: host address of the first byte */
    uint64_t flags;      /* key: mode bits */
    uint64_t phys;
    const uint8_t *host2; /* the second page's host address when the block spans two, else NULL */
    uint64_t phys2;       /* ... and its guest physical one */
    int32_t second;       /* offset from the block's pc to a byte on it */
    struct {              /* bytes of the pages that it is made of: [lo, hi) */
        uint16_t lo, hi;
    } part[2];
    uint32_t code_size;
    uint32_t code_at; /* executor's: offset of the code from this struct, where it is written */
    uint16_t size, ninsns; /* guest bytes and instructions */
    uint8_t ctx, nexits;
    bool links;                     /* its exits lead to other blocks, not to the loop only */
    atomic_bool dead;               /* invalidated */
    atomic_bool many_pcs;           /* targets may have it under other pcs than ... */
    atomic_uint_fast64_t target_pc; /* ... this one; NO_PC: it is not there */
    bool cached;                    /* in the tables; else a throw-away block */
    const void *map;                /* executor's: fault map */
    _Atomic(struct tb *) hash_next;
    struct tb *page_next[2];
    struct tb_page *page[2];
    struct tb *twin; /* verify=on: the interpreter's code of the same IR */
    bool plain;      /* verify=on: changes integer registers only, but for recorded calls */
    bool
        left_apart; /* verify=on: its code has led to the block keyed with TB_APART, which is ... */
    struct tb *apart; /* ... this one, or NULL, while the translator's epoch is ... */
    uint64_t apart_epoch;
    struct tb_exit *incoming;
    struct tb_exit
        *apart_exits; /* those to blocks keyed with TB_APART, wherever the executor laid them */
    struct tb_exit exits[]; /* nexits */
};

/* ---- per vcpu ---- */

#define TCG_SCRATCH_SIZE (256u << 10) /* bytes of code for a throw-away block */
#define TCG_THUNKS_SIZE  (64u << 10)
#define TCG_MAX_VCPUS    288

#define JUMP_CACHE_BITS 12
#define JUMP_CACHE_SIZE (1u << JUMP_CACHE_BITS)

struct jump_entry {
    const uint8_t *_Atomic host; /* NULL: empty; others may empty it */
    uint64_t flags;
    const void *code;
    const struct tb *tb;
};

#define RETURN_STACK 16 /* of the interpreter */

enum { TARGET_LOG = 512 };
struct pc_log { /* which of v->targets are in use; more than TARGET_LOG: maybe all */
    unsigned n;
    uint16_t index[TARGET_LOG];
};

struct tcg_cpu {
    uint64_t pc_base;           /* linear address minus pc; see tcg/exec.c */
    unsigned ctx;               /* access context of the code being run */
    bool deliver;               /* vcpu_unwind's argument */
    bool single;                /* run one instruction as a block of its own next */
    bool apart;                 /* run a block keyed with TB_APART next */
    bool exclusive;             /* inside tcg_exclusive_begin (unwinding ends it) */
    struct tb_exit *last_exit;  /* exit by which linked code was left, if it can be linked */
    atomic_uint_fast64_t epoch; /* t->epoch at the last dispatch; UINT64_MAX: outside tcg_run() */
    uint64_t entries;           /* dispatches */
    uint64_t cache_epoch;       /* t->epoch that jump[] is good for */
    struct vcpu *v;
    struct tcg_cpu *next;
    struct ir ir;
    struct tb *scratch_tb; /* throw-away block: single steps, code outside RAM */
    uint8_t *scratch;
    struct { /* what v->returns and v->targets are for */
        uint64_t flags, base;
        bool stale;
    } pcs[TLB_NCTX];
    struct pc_log target_log[TLB_NCTX];
    unsigned return_top; /* interpreter: its own stack of returns */
    struct pc_entry returns[RETURN_STACK];
    bool host_fp; /* the host's MXCSR is the guest's */
    struct jump_entry jump[JUMP_CACHE_SIZE];
};

static inline unsigned target_hash(uint64_t pc)
{
    return (unsigned)(pc ^ pc >> 8) & (TARGET_ENTRIES - 1);
}

static inline unsigned jump_hash(const uint8_t *host)
{
    uintptr_t h = (uintptr_t)host;
    return (unsigned)(h ^ h >> JUMP_CACHE_BITS) & (JUMP_CACHE_SIZE - 1);
}

/* ---- shared ---- */

#define TB_ZONES 8

struct tb_zone {
    uint8_t *base;
    size_t size, used, populated; /* populated: bytes from base that have memory of the host */
    struct tb **blocks;           /* in address order */
    unsigned nblocks, cap;
    uint64_t retired; /* epoch that every vcpu must have reached before the zone is written again */
};

struct tcg {
    struct machine *m;
    const struct executor *exec;
    void *backend; /* the executor's own */
    const void
        *nowhere; /* its code that goes to the dispatcher with the pc: what empty entries lead to */
    struct tcg_host_ops host;
    struct perf *perf; /* NULL: nobody wants names of blocks */
    struct tcg_options opt;
    unsigned max_insns;

    pthread_mutex_t lock; /* everything below but the atomics */
    _Atomic(struct tb *) *hash;
    unsigned hash_bits;
    struct tb_page **pages;
    unsigned page_bits;
    uint8_t *cache; /* the zones' memory */
    size_t cache_size;
    uint8_t *area; /* all memory for code: thunks, throw-away blocks, zones */
    size_t area_size;
    size_t written;       /* bytes that came into use since the written view was let go */
    ptrdiff_t exec_delta; /* where it is executed less where it is written: two views */
    struct tb_zone zone[TB_ZONES];
    unsigned current; /* zone being filled */
    uint64_t nblocks; /* live */
    struct tcg_cpu *cpus;
    atomic_uint_fast64_t epoch;
    atomic_uint_fast64_t invalidations; /* bumped by each; a translation in progress looks at it */

    atomic_uint log_bits;
    FILE *_Atomic log_out;
    const struct tcg_log_range *log_ranges;
    unsigned nlog_ranges;

    struct {
        atomic_uint_fast64_t blocks, guest_bytes, host_bytes, insns, translate_ns, flushes,
            invalidated, lookups, lookup_misses, links, unwinds, singles;
    } stat;
};

static inline void stat_add(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* tb.c; all with t->lock held unless said otherwise */
bool tb_cache_init(struct tcg *t, struct error *err);
void tb_cache_free(struct tcg *t);
struct tb *tb_find(struct tcg *t, const uint8_t *host, uint64_t flags); /* without lock */
void tb_insert(struct tcg *t, struct tb *tb);
void tb_drop(struct tcg *t, struct tb *tb); /* poison, unlink, remove */
void tb_link(struct tcg *t, struct tb_exit *from, struct tb *to);
struct tb_exit *tb_add_exit(struct tb *tb, uint32_t code_off, bool cross_page);
uint8_t *tb_scratch(struct tcg *t, unsigned index); /* of a vcpu */
/* Free room in the current zone; tb_commit takes `used` bytes of it for tb. */
uint8_t *tb_room(struct tcg *t, size_t *size);
void tb_commit(struct tcg *t, struct tb *tb, size_t used);
/* Opens the next zone, emptying it; false: somebody is still inside it, come back later. */
bool tb_next_zone(struct tcg *t, const struct tcg_cpu *self);
/* The block whose code holds address host_pc; NULL: none. */
struct tb *tb_containing(struct tcg *t, struct tcg_cpu *tc, uintptr_t host_pc);
bool tb_page_used(struct tcg *t, uint64_t phys);
void tb_flush_all(struct tcg *t);
/* Returns how many blocks went. */
unsigned tb_invalidate_range(struct tcg *t, uint64_t phys, uint64_t len);

/* exec.c: for executors. Raises when [va, va + size) may not be written; machine-wide exclusion
 * around what no host atomic can do (ends by itself when the vcpu unwinds). */
void tcg_probe_write(struct vcpu *v, uint64_t va, unsigned size, unsigned ctx);
void tcg_exclusive_begin(struct vcpu *v);
void tcg_exclusive_end(struct vcpu *v);
/* After an unwind: the state becomes that of the instruction which was left. */
void tcg_settle(struct vcpu *v);

/* atomic.c: atomic accesses at a guest address (they may unwind), or at a host address that the TLB
 * gave. Values are zero-extended; the result is the old one. */
uint64_t tcg_atomic(struct vcpu *v, uint64_t va, unsigned memop, unsigned ctx, enum ir_atomic op,
                    uint64_t b);
uint64_t tcg_cmpxchg(struct vcpu *v, uint64_t va, unsigned memop, unsigned ctx, uint64_t b,
                     uint64_t value);
uint64_t tcg_atomic_at(void *host, unsigned memop, enum ir_atomic op, uint64_t b);
uint64_t tcg_cmpxchg_at(void *host, unsigned memop, uint64_t b, uint64_t value);
void tcg_check_aligned(struct vcpu *v, uint64_t va, unsigned memop); /* raises for MO_ALIGN */

/* log.c */
enum {
    TCG_LOG_EACH = TCG_LOG_EXEC | TCG_LOG_CPU
}; /* wants to see every block: no links, no cache */
void tcg_log_ir(struct vcpu *v, const struct translate_request *req, const struct ir *ir,
                bool optimized);
/* The guest's instructions that ir was made of; reads them, which may raise. */
void tcg_list_guest(struct vcpu *v, const struct translate_request *req, const struct ir *ir,
                    FILE *out);
void tcg_log_code(struct vcpu *v, const struct tb *tb);
void tcg_log_exec(struct vcpu *v, const struct tb *tb);

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif
