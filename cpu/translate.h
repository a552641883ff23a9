/* Translation of x86 instructions into IR: what the emitters of one instruction family
 * (cpu/emit_*.c) use. One emitter per mnemonic; operand fetch, LOCK, write-back and faults are
 * generic. */
#ifndef CPU_TRANSLATE_H
#define CPU_TRANSLATE_H

#include "cpu/decode.h"
#include "cpu/flags.h"
#include "cpu/x86.h"
#include "tcg/ir.h"

/* A memory operand as an addressing mode for IR LD/ST; see mem_ref() below. */
struct mem_ref {
    ir_reg base, index;
    unsigned memop; /* scale, MO_INDEX, MO_A32 bits to or into the memop */
    int64_t disp;
    unsigned size;
};

enum { MAX_SIDE = 12, MAX_RUNS = 12 };

struct translator {
    struct x86_cpu *cpu;
    struct ir *ir;
    const struct x86_insn *insn;
    uint64_t key;       /* enum x86_key */
    uint64_t block_pc;  /* rip of the block (for limits and messages only: code is position
                           independent) */
    int32_t off;        /* of this instruction from the block's start */
    int32_t next_off;   /* of the next one */
    enum x86_bits bits; /* 16, 32, 64 */
    bool done;          /* the emitter ended the block */
    bool
        end_block; /* end the block after this instruction with EXIT_LOOP (mode may have changed) */
    bool end_jump; /* ... with a linkable EXIT_TB (e.g. after STI shadow, code size limits) */
    unsigned insn_op;  /* index of the instruction's INSN in ir->ops */
    unsigned cc_kind;  /* statically known lazy-flag kind, CC_UNKNOWN when not */
    unsigned cc_temps; /* temporaries that the last lazy flags may be made of: the first so many */
    /* Conditional jumps behind which the block went on: where they lead is at its end. */
    bool goes_on; /* it may */
    const struct translate_request *req;
    const uint8_t *code; /* the page of linear address code_at in the host's memory; NULL: not RAM,
                            or not known */
    uint64_t code_at;
    bool mmx_checked; /* for a pending x87 exception */
    bool inlined; /* inside a leaf function that the block called; it comes back to return_off */
    int32_t return_off;
    bool followed; /* a direct jump: the block goes on at follow_off */
    int32_t follow_off;
    struct { /* x87_pointers.c: the last instruction, not stored yet */
        bool pending;
        int32_t off;
        uint16_t op;
    } x87;
    unsigned nruns; /* complete stretches of code before the current one */
    struct {
        int32_t lo, hi;
    } run[MAX_RUNS + 1];
    unsigned nside;
    struct {
        unsigned label, opsize;
        int64_t off;
    } side[MAX_SIDE];
    struct { /* operand_load/store: the memory operand of this instruction, once computed */
        bool valid, write;
        unsigned size, nops; /* nops: ir->nops when it was computed */
        struct mem_ref ref;
        ir_reg offset; /* for another limit check */
    } mem;
};

/* INSN's imm2. */
enum {
    META_RMW =
        1, /* it reads what it then writes: its page faults are reported as those of a write */
    META_X87 =
        4, /* x87_pointers.c: the block's last x87 instruction, its opcode and how far back it is */
    META_WAITS =
        2, /* an x87 instruction, which a pending exception stops before its memory operand can */
};
static inline void mark_rmw(struct translator *t)
{
    t->ir->ops[t->insn_op].imm2 |= META_RMW;
}

/* Declares h_NAME, the IR descriptor of `static uint64_t helper_NAME(struct vcpu *v, ...)`. */
#define X86_HELPER(name, nargs, flags)                                                             \
    static const struct ir_helper h_##name = {#name, (void (*)(void))helper_##name, nargs, flags}
/* ... that is one of the operations of tcg/fp80.h. */
#define X86_FP80_HELPER(name, nargs, flags, op)                                                    \
    X86_HELPER(name, nargs, (flags) | (op) << HELPER_FP80)

typedef void (*x86_emit_fn)(struct translator *t, const struct x86_insn *i);
struct x86_emitter {
    uint16_t mnemonic;
    x86_emit_fn emit;
};

/* Each family exports a table ended by {0, NULL}. translate.c joins them. */
extern const struct x86_emitter
    x86_emit_data[]; /* mov, push, pop, lea, xchg, cmov, setcc ...: emit_data.c */
extern const struct x86_emitter
    x86_emit_arith[]; /* add .. test, inc, mul, div, bcd: emit_arith.c */
extern const struct x86_emitter
    x86_emit_shift[]; /* shifts, rotates, bit tests, scans: emit_shift.c */
extern const struct x86_emitter x86_emit_string[]; /* movs, stos, ... ins, outs: emit_string.c */
extern const struct x86_emitter
    x86_emit_control[]; /* near jumps, calls, returns, loops: emit_control.c */
extern const struct x86_emitter
    x86_emit_segment[]; /* segment loads, descriptor tables, far transfers,
                         * interrupts, SYSCALL ..: emit_segment.c */
extern const struct x86_emitter x86_emit_system[]; /* control registers, MSRs, CPUID, flags, I/O,
                                                    * XSAVE, HLT, fences, NOP ...: emit_system.c */
extern const struct x86_emitter x86_emit_x87[];    /* emit_x87.c */
extern const struct x86_emitter x86_emit_mmx[];    /* MMX: emit_mmx.c */
extern const struct x86_emitter x86_emit_sse[];    /* emit_sse.c */
extern const struct x86_emitter x86_emit_avx[]; /* VEX moves and masked accesses: emit_avx_move.c */
extern const struct x86_emitter x86_emit_fma[]; /* emit_fma.c */
extern const struct x86_emitter x86_emit_sse4a[]; /* emit_sse4a.c */
extern const struct x86_emitter x86_emit_bmi[]; /* BMI, ADX, MOVBE, CRC32, POPCNT ...: emit_bmi.c */

static inline bool t_code64(const struct translator *t)
{
    return t->bits == X86_64;
}
static inline unsigned t_cpl(const struct translator *t)
{
    return (t->key & KEY_CPL) >> KEY_CPL_SHIFT;
}
/* enum ir_width of an operand size in bytes. */
static inline enum ir_width width_of(unsigned size)
{
    return size == 8 ? W64 : W32;
}
/* memop of a size in bytes (1..32). */
static inline unsigned memop_of(unsigned size)
{
    return (unsigned)__builtin_ctz(size);
}

/* -- translate.c: generic operands -- */

/* Value of operand n. A register of 4 or 8 bytes is the guest register itself (no copy: do not
 * write it, and its upper half counts for nothing with 4 bytes: use W32 ops); 1 and 2 bytes and
 * memory are zero-extended to 64 bits in a temporary. Memory loads may fault. */
ir_reg operand_load(struct translator *t, const struct x86_insn *i, unsigned n);
/* The same, sign-extended to 64 bits, in a temporary. */
ir_reg operand_load_signed(struct translator *t, const struct x86_insn *i, unsigned n);
/* Writes operand n: registers by x86's rules (8/16 bits merge, 32 zero-extend); memory: stores. */
void operand_store(struct translator *t, const struct x86_insn *i, unsigned n, ir_reg value);
/* Writes a general register of a size with x86's merge rules. */
void gpr_write(struct translator *t, unsigned reg, unsigned size, bool high8, ir_reg value);
ir_reg gpr_read(struct translator *t, unsigned reg, unsigned size, bool high8);

/* The instruction's memory operand as an addressing mode for IR LD/ST: segment base added and
 * limits checked (as far as the key says they are needed) for an access of size bytes. Call it once
 * per instruction, reuse the result for load and store. (operand_load and operand_store do so.) */
struct mem_ref mem_ref(struct translator *t, const struct x86_insn *i, unsigned size, bool write);
/* ... with an extra byte displacement; and as one linear address in a register (atomics, helpers).
 */
struct mem_ref mem_ref_at(struct translator *t, const struct x86_insn *i, unsigned size, bool write,
                          int64_t extra);
ir_reg mem_linear(struct translator *t, const struct x86_insn *i, unsigned size, bool write);
/* Effective address (offset, no segment), truncated to the address size: LEA. */
ir_reg effective_address(struct translator *t, const struct x86_insn *i);
/* ... into the whole register d, truncated to size (4 or 8) bytes as well. */
void emit_effective_address(struct translator *t, const struct x86_insn *i, ir_reg d,
                            unsigned size);
/* Linear address of seg:offset register with limit check; offset already truncated. */
ir_reg seg_linear(struct translator *t, enum x86_segnum seg, ir_reg offset, unsigned size,
                  bool write);
ir_reg mem_load(struct translator *t, const struct mem_ref *m, unsigned memop);
void mem_store(struct translator *t, const struct mem_ref *m, unsigned memop, ir_reg value);

/* -- stack: SP, ESP or RSP by mode, SS checked. None of these changes rSP but stack_adjust. -- */
/* Memory at SS:(reg + disp), reg being X86_RSP or X86_RBP, wrapped to the stack's width. */
struct mem_ref stack_ref(struct translator *t, ir_reg reg, int64_t disp, unsigned size, bool write);
void stack_adjust(struct translator *t, int64_t delta); /* rSP += delta */
/* PUSH of a value of 2, 4, 8 bytes: store, then rSP -= size. */
void stack_push(struct translator *t, ir_reg value, unsigned size);
/* Value at the top, zero-extended, in a temporary; follow with stack_adjust(t, size). */
ir_reg stack_top(struct translator *t, unsigned size);

/* -- flags -- */
/* Records lazy flags: kind is CC_x for the operand size (cpu/flags.h). */
void flags_set(struct translator *t, unsigned kind, ir_reg a, ir_reg b, ir_reg c);
/* CF (and OF) change to what CC_OVER_x says of value, an operand of size bytes; the other flags
 * stay. */
void flags_overlay(struct translator *t, unsigned over, unsigned size, ir_reg value);
ir_reg flags_all(struct translator *t);        /* the six status flags in EFLAGS positions */
ir_reg flags_carry(struct translator *t);      /* 0 or 1 */
ir_reg flags_kept_carry(struct translator *t); /* the same, for what leaves CF as it is */
/* Value (0/1) of condition code cc (0..15 as in Jcc), fused with the last flag-setter when
 * possible. */
ir_reg flags_setcond(struct translator *t, unsigned cc);
/* Branches to label when cc holds. */
void flags_branch(struct translator *t, unsigned cc, unsigned label);

/* d = cc holds ? yes : no, all 64 bits. */
void flags_select(struct translator *t, unsigned cc, ir_reg d, ir_reg yes, ir_reg no);

/* -- block ends -- */
void emit_raise(struct translator *t, enum x86_vector vec); /* #UD, #NM, ...: ends the block */
void emit_raise_error(struct translator *t, enum x86_vector vec, uint32_t error);
/* (Single step, interrupt shadows and instruction breakpoints are added to every exit of the block
 * by x86_translate: emitters need not think of them.) */
/* Direct jump to block-relative offset; slot 0 or 1. Wraps and CS limit by mode. */
void emit_jump(struct translator *t, unsigned slot, int64_t off, unsigned opsize);
void emit_jump_indirect(struct translator *t, ir_reg target, enum ir_ind hint, unsigned opsize);
/* Goes on with the next instruction (not taken branches, ends by size): no limit check. */
void emit_next(struct translator *t, unsigned slot);
/* Like emit_jump to off when the branch to `label` (just emitted) is taken; the block goes on with
 * the next instruction. False: it may not. */
bool emit_side_exit(struct translator *t, unsigned label, int64_t off, unsigned opsize);
/* The block goes on at off, the target of a direct jump. False: it may not. */
bool emit_follow(struct translator *t, int64_t off, unsigned opsize);
/* The function at off is a few instructions up to its RET, all of which the block can take in. */
bool translate_is_leaf(struct translator *t, int64_t off, unsigned opsize);
/* The checks of the two jumps' targets (CS limit, canonical address), before any state is changed;
 * emit_jump does it itself, emit_jump_indirect does not. */
void check_jump(struct translator *t, int64_t off, unsigned opsize);
void check_jump_indirect(struct translator *t, ir_reg target, unsigned opsize);

/* -- x87_pointers.c: around each instruction; before each exit; for the instruction's entry in the
 * fault map -- */
void x87_pointers_before(struct translator *t, const struct x86_insn *i);
void x87_pointers_after(struct translator *t, const struct x86_insn *i);
void x87_pointers_settle(struct translator *t);
uint64_t x87_pointers_meta(const struct translator *t);

/* The CPU model has this feature (cpu/cpuid.h). */
bool t_has(const struct translator *t, unsigned feature);

#endif
