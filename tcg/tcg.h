/* The translator's face to the layers above: creation, block look-up, invalidation, statistics. */
#ifndef TCG_TCG_H
#define TCG_TCG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "host/error.h"
#include "tcg/vcpu.h"

struct symbols; /* host/symbols.h */

struct tcg_options {
    const char *accel;             /* "interp" or "tcg" (NULL: the best this host has) */
    uint64_t cache_size;           /* bytes for generated code; 0: default */
    bool one_insn;                 /* -singlestep: one guest instruction a block */
    bool perfmap, jitdump;         /* tell Linux's perf the names of blocks (tcg/perf.h) */
    const struct symbols *symbols; /* ... the guest's; borrowed, may be NULL */
    bool verify;                   /* run interpreter and back end in lockstep */
};

/* What softmmu gives the translator: marking pages as holding code, so that writes are reported. */
struct tcg_host_ops {
    /* Guest physical range [phys, phys+len) will be read as code: writes to it must call
     * tcg_invalidate from now on. Returns true when one of the pages held no code before. May wait
     * until every other vcpu has left its block, except for ranges that are protected already. */
    bool (*protect_code)(struct machine *m, uint64_t phys, unsigned len);
    /* No block is left on the page of phys. */
    void (*unprotect_page)(struct machine *m, uint64_t phys);
    /* Stop all vcpus outside guest code, and go on. */
    void (*exclusive_begin)(struct machine *m);
    void (*exclusive_end)(struct machine *m);
    /* verify=on, on v's own thread: empty its TLB; use an empty one from now on, which is emptied
     * again by another call (true), or the one of before (false); a difference was found, the
     * machine is to end. */
    void (*flush_tlb)(struct vcpu *v);
    void (*tlb_aside)(struct vcpu *v, bool on);
    void (*verify_failed)(struct vcpu *v);
};

struct tcg *tcg_create(struct machine *m, const struct tcg_options *opt,
                       const struct tcg_host_ops *host, struct error *err);
char *tcg_accel_help(void); /* -accel help: the names with a line each; free() it */
void tcg_destroy(struct tcg *t);
bool tcg_attach(struct tcg *t, struct vcpu *v, struct error *err); /* makes v->tcg_cpu, v->exec */
void tcg_detach(struct vcpu *v);

/* A device, debugger or other vcpu writes guest physical [phys, phys+len): drops the blocks that
 * overlap it. Any thread. */
void tcg_invalidate(struct tcg *t, uint64_t phys, uint64_t len);
/* The same from v's own store slow path, called BEFORE the store is done. When the block being run
 * is hit and has instructions after the storing one, this unwinds: the storing instruction is run
 * again as a block of its own, so that what follows is seen as the guest has just written it. */
void tcg_store_to_code(struct vcpu *v, uint64_t phys, unsigned len);
/* Returns when the block being run holds one instruction only; else unwinds and runs the current
 * instruction again as a block of its own. */
void tcg_retry_single(struct vcpu *v);
/* The next instruction that v runs is a block of its own. v's thread, between blocks. */
void tcg_run_single(struct vcpu *v);
/* Drops everything. Any thread outside guest code. */
void tcg_flush(struct tcg *t);

/* Logging of translations, bits as in control's -d list. */
enum {
    TCG_LOG_IN_ASM = 1,
    TCG_LOG_OP = 2,
    TCG_LOG_OUT_ASM = 4,
    TCG_LOG_EXEC = 8,
    TCG_LOG_CPU = 16,
    TCG_LOG_OP_OPT = 32, /* after the passes */
};
void tcg_set_log(struct tcg *t, unsigned bits, FILE *out);
struct tcg_log_range {
    uint64_t first, last;
};
/* Only blocks that begin at linear addresses in these are logged; n 0: all. Borrowed; before it
 * runs. */
void tcg_set_log_filter(struct tcg *t, const struct tcg_log_range *ranges, unsigned n);

struct tcg_stats {
    uint64_t blocks, guest_bytes, host_bytes, insns, translate_ns;
    uint64_t flushes, invalidated, lookups, lookup_misses, links;
    uint64_t entries, tlb_slow, tlb_fills, tlb_flushes; /* of all vcpus */
};
void tcg_get_stats(struct tcg *t, struct tcg_stats *out);
char *tcg_describe(struct tcg *t); /* `info jit`; free() it */

#endif
