/* struct vcpu: the part of a virtual CPU that the translator and its executors see.
 *
 * It is the first member of the guest architecture's own CPU struct (struct x86_cpu). The integer
 * register file reg[] IS the register file of the IR: IR register n is reg[n]. The guest names the
 * first ones (x86: rax..r15), the contract below names pc and the lazy flags, the rest belongs to
 * the guest (segment bases, ...) or is temporary within one block. vec[] is the same for vectors.
 *
 * tcg/ knows nothing of x86: what it needs is in struct guest_ops, filled by cpu/ and softmmu/. */
#ifndef TCG_VCPU_H
#define TCG_VCPU_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tcg/fpenv.h"

enum {
    TCG_REG_PC = 16,    /* guest pc (rip) of the first instruction of the block being run */
    TCG_REG_CC_OP = 17, /* lazy flags: kind (guest's own numbering) ... */
    TCG_REG_CC_A = 18,  /* ... and up to three values it is computed from */
    TCG_REG_CC_B = 19,
    TCG_REG_CC_C = 20,
    TCG_REG_GUEST = 21,      /* 21..39: the guest's own */
    TCG_REG_TEMP = 40,       /* first temporary; temporaries do not live from block to block */
    TCG_REG_LAST_TEMP = 247, /* the rest is for executors; reg[255] stays 0 */
    TCG_NREGS = 256,

    TCG_VREG_TEMP = 16, /* vec[0..15] are the guest's; 16.. are temporaries */
    TCG_NVREGS = 64,
};

union vreg {
    uint8_t b[32];
    uint16_t w[16];
    uint32_t d[8];
    uint64_t q[4];
    float f[8];
    double lf[4];
} __attribute__((aligned(32)));

/* ---- TLB -------------------------------------------------------------------------------------
 * One entry per guest page and access context. A tag is the guest virtual address of the page when
 * that access may go straight to RAM, else tlb_no_tag(). Look-up for an access of `size` bytes:
 *     e = &v->tlb[ctx][(va >> 12) & TLB_MASK];  t = va ^ e->rtag;
 *     if (t > 4096 - size) slow path; else the byte is at e->addend + va
 * One compare answers "another page" and "crosses the page". Pages that hold translated code or
 * are MMIO, ROM or dirty-tracked have no write tag, so that they take the slow path. Where there is
 * a write tag there is a read tag. */
#define TLB_BITS 13
#define TLB_SIZE (1u << TLB_BITS)
#define TLB_MASK (TLB_SIZE - 1)

/* Tag of entry `index` that no access matches: the page belongs to another entry. (One constant for
 * all would be matched by an address in its own entry, were it a non-canonical one.) */
static inline uint64_t tlb_no_tag(unsigned index)
{
    return (uint64_t)(index ^ 1) << 12;
}

struct tlb_entry {
    uint64_t rtag, wtag, xtag;
    uint64_t addend; /* host address of a byte less its guest address, so that the access need not
                      * wait for the comparison */
};

/* The host's place of guest address va, which entry e is for. */
static inline uint8_t *tlb_host(const struct tlb_entry *e, uint64_t va)
{
    return (uint8_t *)(uintptr_t)(e->addend + va);
}

#define TLB_NCTX                                                                                   \
    3 /* access contexts (x86: 0 supervisor, 1 user, 2 supervisor with AC set/SMAP off) */

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH };

/* Memory operand descriptor: size, sign extension, alignment check. */
enum memop {
    MO_8 = 0,
    MO_16 = 1,
    MO_32 = 2,
    MO_64 = 3,
    MO_128 = 4,
    MO_256 = 5,
    MO_SIZE = 7,      /* mask of the log2 size */
    MO_SIGN = 8,      /* sign-extend the loaded value to the op's width */
    MO_ALIGN = 16,    /* guest fault (guest_ops.unaligned) when not naturally aligned */
    MO_A32 = 32,      /* the address sum is truncated to 32 bits */
    MO_SCALE = 8,     /* shift of the 2-bit index scale: bits 8..9 */
    MO_INDEX = 0x400, /* the op's c register is an index */
};

struct vcpu;
struct ir;
struct tb;
struct executor;
struct machine;
struct tcg;
struct tcg_cpu;
struct softmmu_cpu;
struct fp80_layout;
struct verify;

/* What a page walk found; filled by guest_ops.walk, consumed by softmmu's TLB fill. */
struct walk {
    uint64_t phys;           /* physical address of the 4 KiB page */
    uint64_t page_size;      /* of the guest's mapping: 4 KiB, 2/4 MiB, 1 GiB */
    bool read, write, fetch; /* what this context may do with it (write only once dirty is set) */
    bool global;             /* survives an address space change */
};

/* What a block is about to be translated for; filled by the caller of translate(). */
struct translate_request {
    uint64_t pc;     /* guest pc (rip) */
    uint64_t linear; /* linear address of pc */
    uint64_t flags;  /* key word of mode bits: v->tb_flags */
    unsigned max_insns;
    bool long_blocks; /* blocks may go on behind conditional jumps */
};

/* A piece of the guest's own state, behind struct vcpu. */
struct guest_state {
    size_t offset, size; /* size 0 ends a table of them */
    const char *name;
};

struct guest_ops {
    /* -- translation (cpu/) -- */

    /* Linear address of the next instruction to run (x86: cs.base + rip, truncated by mode). */
    uint64_t (*linear_pc)(struct vcpu *v);
    /* Translates from req into ir (see ir.h), setting ir->guest_size and ir->ninsns. Bytes are read
     * with vcpu_fetch_code(). May raise (page fault on the first instruction's bytes). */
    void (*translate)(struct vcpu *v, const struct translate_request *req, struct ir *ir);
    /* Makes the guest state that of the instruction at block pc + off, before an exception is
     * delivered: sets reg[TCG_REG_PC] (with the mode's wrap). Lazy flags are already right. */
    void (*restore)(struct vcpu *v, uint64_t off, uint64_t meta);
    /* Delivers the exception that a helper recorded before vcpu_unwind(). May itself raise. */
    void (*deliver)(struct vcpu *v);
    /* Called between blocks when v->exit_request is set: accept a pending interrupt, NMI, SMI,
     * INIT. Returns true when the vcpu must leave to the run loop (halted, reset, stop). */
    bool (*poll)(struct vcpu *v);
    /* True when a halted vcpu has something to wake up for. */
    bool (*has_work)(struct vcpu *v);

    /* -- memory (cpu/: paging; softmmu/ fills the TLB from it) -- */

    /* Translates va for this access and context. On failure records the page fault in v and returns
     * false; the caller unwinds (or not: probes and debuggers). See struct walk in softmmu/tlb.h.
     */
    bool (*walk)(struct vcpu *v, uint64_t va, enum access acc, unsigned ctx, bool probe,
                 struct walk *out);
    /* An MO_ALIGN access was not aligned: raises the guest's alignment fault. */
    void (*unaligned)(struct vcpu *v, uint64_t va);
    /* A watched address (softmmu_watch_add) is about to be accessed. May unwind (tcg_retry_single).
     */
    void (*watch_hit)(struct vcpu *v, uint64_t va, unsigned size, enum access acc, void *tag);
    /* Names for dumps: IR register n of the guest ("rax"), key word, lazy-flag kind. */
    const char *(*reg_name)(unsigned n);
    const char *(*cc_name)(uint64_t kind);
    /* Width of code with this key word, for the disassembler: 16, 32, 64. May be NULL. */
    unsigned (*code_bits)(uint64_t flags);
    /* Prints the registers for -d cpu. NULL: the IR's are printed. */
    void (*log_state)(struct vcpu *v, FILE *out);
    /* Where the extended-precision stack is (tcg/fp80.h); NULL: no helper is one of its operations.
     */
    const struct fp80_layout *fp80;
    /* For verify=on: what blocks and helpers may change beside the registers that struct vcpu has,
     * and the flags that the lazy ones stand for. */
    const struct guest_state *state;
    uint64_t (*flags)(struct vcpu *v);
};

/* Slow paths behind the inlined TLB look-up; softmmu/slowpath.c. They may unwind. v->ctx is not
 * looked at: the context is passed. Values are little endian guest values in host order. */
uint64_t softmmu_load(struct vcpu *v, uint64_t va, unsigned memop, unsigned ctx);
void softmmu_store(struct vcpu *v, uint64_t va, uint64_t value, unsigned memop, unsigned ctx);
void softmmu_load_vec(struct vcpu *v, uint64_t va, void *out, unsigned memop, unsigned ctx);
void softmmu_store_vec(struct vcpu *v, uint64_t va, const void *in, unsigned memop, unsigned ctx);
/* Host pointer of the byte at va when all of its page may be accessed directly for acc in ctx (RAM;
 * for writes no translated code, dirty tracking or ROM on it; no watchpoint), else NULL: then the
 * access goes through softmmu_load/store. Raises the guest's page fault, for va itself. The pointer
 * is good until the next thing that may change a mapping (another access, a device). */
uint8_t *softmmu_probe(struct vcpu *v, uint64_t va, enum access acc, unsigned ctx);
/* The same for a write of the len bytes from low on, of the page of va. With one vcpu, code
 * translated from them is dropped instead of sending them to the slow path; may unwind. */
uint8_t *softmmu_probe_write(struct vcpu *v, uint64_t va, uint64_t low, unsigned len, unsigned ctx);
/* Host pointer for an atomic read-modify-write of 1 << (memop & MO_SIZE) bytes at va, with write
 * permission checked, dirty/code tracking done; NULL when the access is MMIO or crosses a page:
 * then the caller does it under softmmu_exclusive_begin/end with load and store. */
void *softmmu_atomic_ptr(struct vcpu *v, uint64_t va, unsigned memop, unsigned ctx);
/* Reads len (<= 16) code bytes at linear address va without side effects on devices; raises a page
 * fault of kind fetch. Returns the guest physical address of the first byte. */
uint64_t vcpu_fetch_code(struct vcpu *v, uint64_t va, void *out, unsigned len);
/* Fetch look-up of the page of va: host pointer of the byte and its physical address; raises. NULL
 * (and *phys set) when the page is not RAM or ROM. */
const uint8_t *vcpu_fetch_ptr(struct vcpu *v, uint64_t va, uint64_t *phys);

/* Where code goes next, by guest pc, so that returns and indirect jumps need no look-up: one table
 * each for every access context of a block. They are emptied when the mode word, the code segment's
 * base or what is mapped changes (tcg/exec.c).
 *
 * returns: what calls expect to come back to. The entry is found by the stack pointer, which is the
 * same at the call and at its return, so that there is no top to keep. targets: blocks by pc. */
#define RETURN_ENTRIES 64
#define TARGET_ENTRIES 2048
/* Of an empty entry. Should a guest go to that pc, it finds tcg.nowhere: in every empty entry of
 * returns, and in the one entry of targets where it would be looked for, which is never used. */
#define NO_PC UINT64_MAX
struct pc_entry {
    uint64_t pc;      /* NO_PC: empty */
    const void *code; /* the executor's exit of the call that leads to pc */
};

struct vcpu {
    uint64_t reg[TCG_NREGS];
    union vreg vec[TCG_NVREGS];

    struct tlb_entry *tlb[TLB_NCTX]; /* current address space's tables */
    uint64_t tb_flags;               /* key word of the current mode; the guest keeps it current */
    unsigned fetch_ctx;         /* access context of code fetches; kept with tb_flags (x86: 1 at
                                 * CPL 3, else 0): index of tlb[] whose xtag linked code checks */
    atomic_uchar exit_request;  /* leave linked code at the next poll */
    atomic_uint irq_request;    /* pending asynchronous requests, the guest's own bits */
    const void *const *helpers; /* executor's: what generated code calls */
    uint8_t
        host_fp80_flags; /* executor's: no other exception flags are up in the host's x87 unit */
    struct fpenv fp;     /* SIMD rounding, masks, accumulated exception flags (MXCSR) */

    uintptr_t host_pc;  /* executor's own idea of "where": set before anything that may unwind */
    struct tb *cur_tb;  /* block being run, for the same purpose */
    sigjmp_buf unwind;  /* vcpu_unwind() lands in tcg_run() */
    bool in_tcg;        /* unwind is armed */
    uint8_t debug_step; /* a debugger steps (enum vcpu_step): what repeats itself does so once */

    const struct guest_ops *ops;
    const struct executor *exec;
    struct tcg *tcg;         /* the translator shared by the machine's vcpus */
    struct tcg_cpu *tcg_cpu; /* its per-vcpu part (jump cache, ...) */
    struct verify *verify;   /* NULL: blocks are not run twice (tcg/verify.h) */
    struct softmmu_cpu *mmu; /* softmmu's per-vcpu part (TLB contexts, ...) */
    struct machine *machine;
    unsigned index;
    /* A load across two pages whose second one is looked up: its first byte; 0: none. For guests
     * whose read-modify-writes ask for the first page to be written before they look at the second.
     */
    uint64_t split_va;
    unsigned split_ctx;
    uint64_t apart_meta; /* INSN's imm2 where generated code left a block half way for its twin; 0:
                            it did not */
    uint64_t tlb_slow,
        tlb_fills;    /* accesses that the inlined look-up did not answer; entries made */
    unsigned wait_ns; /* guest's: while it halts, ask has_work after that many ns at the latest; 0:
                         only when told */
    uint64_t walk_epoch; /* counts flushes: what a page walk remembers is good within one */

    struct pc_entry returns[TLB_NCTX][RETURN_ENTRIES];
    struct {
        uint64_t pc[TARGET_ENTRIES]; /* NO_PC: empty */
        const void *code[TARGET_ENTRIES];
    } targets[TLB_NCTX];
};

enum vcpu_step { VCPU_STEP = 1, VCPU_STEP_MASKED /* interrupts are held off */ };

/* Leaves a helper or a slow path: restores the guest state of the faulting instruction, then
 * delivers the recorded exception (deliver = true) or just returns to the loop. Does not return. */
void vcpu_unwind(struct vcpu *v, bool deliver) __attribute__((noreturn));

/* Address translations of v may have changed (not: some were filled). From v's own thread.
 * tcg/exec.c */
/* Offset from TCG_REG_PC of the instruction whose helper runs, which has (or had, for an earlier
 * part of the same instruction) HELPER_RAISES. False: none does. */
bool tcg_where(struct vcpu *v, uint64_t *off);
void tcg_mapping_changed(struct vcpu *v);

/* Runs guest code on this thread until ops->poll asks to leave. tcg/exec.c */
void tcg_run(struct vcpu *v);

#endif
