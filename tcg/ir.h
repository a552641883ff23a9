/* The intermediate representation: one linear list of operations for a block of guest code.
 *
 * Operands are registers of the vcpu's own file (tcg/vcpu.h): guest registers ARE IR registers, so
 * `add rax, rbx` is one op. Every integer register is 64 bits wide. An op of width W32 computes on
 * the low 32 bits and zero-extends its result into the whole destination; W64 uses all 64. There is
 * no 8- or 16-bit arithmetic: compute in W32 and merge with DEPOSIT, narrow with EXT*.
 *
 * Contract of a block:
 *  - Each guest instruction starts with INSN (imm = its pc minus the block's pc). REG_PC holds the
 *    pc of the BLOCK while it runs (code is position independent: it is keyed by physical address),
 *    and is changed only by the exits. A fault inside means: pc = REG_PC + imm of the last INSN.
 *  - Guest registers must hold the state from before the instruction at any op that may fault
 *    (loads, stores, atomics, calls that may raise): write results to guest registers after the
 * last such op of the instruction. The lazy flags likewise.
 *  - The block ends with EXIT_TB, EXIT_IND or EXIT_LOOP on every path; both arms of a conditional
 *    may have their own.
 *  - Temporaries (>= TCG_REG_TEMP, >= TCG_VREG_TEMP) do not survive the block.
 *  - Guest memory accesses are in program order and x86-TSO: an executor on a weaker host adds what
 *    is needed.
 * The IR can hold several exits and internal labels, so it can hold a region of several blocks. */
#ifndef TCG_IR_H
#define TCG_IR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tcg/vcpu.h"

typedef uint16_t ir_reg; /* register number; the one typedef: it is an integer, not a struct */
#define IR_NONE ((ir_reg)0xffff)

enum ir_width { W32 = 0, W64 = 1 };

/* Conditions of BRCOND, SETCOND, MOVCOND: a COND b, in the op's width. TST: (a & b) != 0. */
enum ir_cond {
    IR_EQ,
    IR_NE,
    IR_LT,
    IR_GE,
    IR_LE,
    IR_GT,
    IR_LTU,
    IR_GEU,
    IR_LEU,
    IR_GTU,
    IR_TSTNE,
    IR_TSTEQ,
    IR_NCOND
};
static inline enum ir_cond ir_cond_not(enum ir_cond c)
{
    return (enum ir_cond)(c ^ 1);
}

/* name, "operands" for the dump: d = destination, a b c = sources, i = imm, and marks below.
 *   W: width matters   B: b may be an immediate (IR_BIMM)   M: memory operand   X: may fault
 *   E: ends the block or branches   V: vector registers
 */
#define IR_OPS(_)                                                                                  \
    _(INSN, "i")   /* guest instruction starts; imm = pc - block pc; imm2 = guest meta;            \
                    * aux = its length, for listings */                                            \
    _(MOV, "da W") /* d = a (W32: zero-extended low half) */                                       \
    _(MOVI, "di")  /* d = imm */                                                                   \
    _(MOVPC, "di") /* d = REG_PC + imm (rip-relative; 64 bit) */                                   \
    _(ADD, "dab WB")                                                                               \
    _(SUB, "dab WB")                                                                               \
    _(AND, "dab WB")                                                                               \
    _(OR, "dab WB")                                                                                \
    _(XOR, "dab WB")                                                                               \
    _(MUL, "dab WB")  /* low half */                                                               \
    _(MULHU, "dab W") /* high half of the unsigned product */                                      \
    _(MULHS, "dab W") /* ... signed */                                                             \
    _(DIVU, "dabc W") /* (c:a) / b, unsigned; the quotient must fit */                             \
    _(REMU, "dabc W") /* ... the remainder of that */                                              \
    _(DIVS, "dabc W") /* signed */                                                                 \
    _(REMS, "dabc W")                                                                              \
    _(SHL, "dab WB") /* counts are taken modulo the width */                                       \
    _(SHR, "dab WB")                                                                               \
    _(SAR, "dab WB")                                                                               \
    _(ROTL, "dab WB")                                                                              \
    _(ROTR, "dab WB")                                                                              \
    _(NEG, "da W")                                                                                 \
    _(NOT, "da W")                                                                                 \
    _(EXT8U, "da") /* zero-extend to 64 */                                                         \
    _(EXT16U, "da")                                                                                \
    _(EXT32U, "da")                                                                                \
    _(EXT8S, "da W") /* sign-extend to W */                                                        \
    _(EXT16S, "da W")                                                                              \
    _(EXT32S, "da")    /* sign-extend 32 to 64 */                                                  \
    _(EXTRACT, "dai")  /* d = (a >> pos) & mask(len); imm = pos | len << 8 */                      \
    _(DEPOSIT, "dabi") /* d = a with bits pos..pos+len-1 replaced by b's low bits (64 bit) */      \
    _(BSWAP, "da W")                                                                               \
    _(CLZ, "da W") /* of 0: the width */                                                           \
    _(CTZ, "da W") /* of 0: the width */                                                           \
    _(POPCNT, "da W")                                                                              \
    _(SETCOND, "dab WB") /* d = a COND b; cond in aux */                                           \
    _(MOVCOND, "dabc W") /* d = (a COND b) ? c : (register number in imm) ; cond in aux */         \
    _(ADDX, "dabc WB")   /* d = a + b + (c & 1) */                                                 \
    _(SUBX, "dabc WB")   /* d = a - b - (c & 1) */                                                 \
    _(CC, "abci B")      /* lazy flags: CC_OP = imm, CC_A = a, CC_B = b, CC_C = c (NONE: not used  \
                          * by this kind, unspecified after it); with IR_BIMM CC_B = imm2. Where a \
                          * W32 op of the same instruction overwrites a register named here, only  \
                          * the low half of the value counts */                                    \
    _(LD, "da M X")      /* d = memory [a + c << scale + imm] (aux: memop) */                      \
    _(ST, "ab M X")      /* memory = b (b may be an immediate: imm2 holds it, IR_BIMM) */          \
    _(LDENV, "di")       /* d = *(aux memop *)((char *)vcpu + imm) */                              \
    _(STENV, "bi B")     /* the reverse; with IR_BIMM the value is imm2 */                         \
    _(ATOMIC, "dab M X") /* d = old; memory[a + imm] = old OP b; OP = enum ir_atomic in imm2 */    \
    _(CMPXCHG,                                                                                     \
      "dabc M X")        /* d = old = memory[a]; if old == b: memory = c. No index, imm is disp */ \
    _(FENCE, "")         /* full barrier */                                                        \
    _(CALL, "dabci X")   /* d = helper(vcpu, a, b, c, imm); imm2 = const struct ir_helper * */     \
    _(LABEL, "i")        /* label number imm */                                                    \
    _(BR, "i E")         /* to label imm */                                                        \
    _(BRCOND, "ab WB E") /* if (a COND b) to label; label number in d; imm = b's immediate */      \
    _(EXIT_TB, "i E")    /* REG_PC = wrap(REG_PC + imm); continue with slot aux (0 or 1) */        \
    _(EXIT_IND, "a E")   /* REG_PC = wrap(a); look up and continue; aux: enum ir_ind hint */       \
    _(EXIT_LOOP, "i E")  /* REG_PC = wrap(REG_PC + imm), or unchanged with IR_KEEPPC; leave to     \
                          * the loop, which takes interrupts and the key word anew */              \
    /* vectors: d, a, b, c are vector registers unless the op says otherwise */                    \
    _(VMOV, "da V")                                                                                \
    _(VZERO, "d V")                                                                                \
    _(VLD, "da M X V") /* d = memory; zero-extended to 128 bits */                                 \
    _(VST, "ab M X V") /* memory = low 1 << size bytes of b */                                     \
    _(VLDENV, "di V")  /* d = env bytes (aux: memop size), zero-extended to 128 */                 \
    _(VSTENV, "bi V")                                                                              \
    _(VGET, "dai V")  /* integer d = element imm of a; aux memop: element size, sign */            \
    _(VSET, "dabi V") /* d = a with element imm replaced by integer b; aux: element size */        \
    _(VOP, "dabci V") /* d = vop(a, b, c, imm8 imm); vop number in aux */                          \
    _(VOPR, "dabi V") /* integer d = vop(vector a, vector b); W */                                 \
    _(VOPI, "dabi V") /* d = vop(vector a, integer b); W */

enum ir_opc {
#define IR_ENUM(name, fmt) IR_##name,
    IR_OPS(IR_ENUM)
#undef IR_ENUM
        IR_NOPS
};

enum ir_flags {
    IR_BIMM = 1,     /* second operand is an immediate */
    IR_V256 = 2,     /* vector op on 256 bits */
    IR_VZU = 4,      /* vector op clears bits 255:128 of d (VEX); else they stay */
    IR_KEEPPC = 8,   /* EXIT_LOOP: REG_PC was set by the guest (helper) already */
    IR_PC32 = 16,    /* exits: the new pc wraps at 32 bits. With PC32 or PC16 its linear address is
                      * that plus a base, wrapped at 32 bits; with neither, the pc itself */
    IR_PC16 = 32,    /* ... at 16 bits */
    IR_POLL = 64,    /* EXIT_TB: poll exit_request here (backward or self) */
    IR_CC_MAP = 128, /* CC: set by pass_backward.c: nothing but a fault can see these flags, so the
                      * executor emits no code and notes the op in the block's fault map instead */
};

enum ir_atomic { IR_AT_ADD, IR_AT_SUB, IR_AT_AND, IR_AT_OR, IR_AT_XOR, IR_AT_XCHG };
enum ir_ind { IR_IND_JUMP, IR_IND_CALL, IR_IND_RET };

struct ir_op {
    uint8_t opc;
    uint8_t w;
    uint16_t aux;
    uint16_t flags;
    ir_reg d, a, b, c;
    int64_t imm, imm2;
};

/* A C function callable from IR. All arguments and the result are 64-bit integers:
 *     uint64_t fn(struct vcpu *v [, uint64_t x ... up to 4]);
 * passed as present among a, b, c, then imm when HELPER_IMM. A void helper returns 0 and d is
 * IR_NONE. */
enum helper_flags {
    HELPER_IMM = 1,       /* imm is passed as the last argument */
    HELPER_RAISES = 2,    /* may unwind */
    HELPER_READS = 4,     /* reads guest integer registers in v->reg */
    HELPER_WRITES = 8,    /* writes guest integer registers in v->reg */
    HELPER_VECTOR = 16,   /* reads or writes v->vec */
    HELPER_PURE = 32,     /* only its result matters (of its arguments, and with HELPER_READS
                           * registers):     dropped when that is not used */
    HELPER_READS_CC = 64, /* of the guest registers it reads the lazy flags only */
    HELPER_FPENV = 128,   /* reads or writes v->fp */
    HELPER_FP80 = 8,      /* shift: 8 bits from this one on are the enum fp80_op that it is */
    HELPER_HOST = 16,     /* shift: from this bit on, the enum host_op that it is */
};

/* Helpers that many hosts have as an instruction; of 64-bit arguments a and b. */
enum host_op {
    HOST_NONE,
    HOST_CRC32, /* CRC-32C of a, 32 bits, and the low imm (1, 2, 4, 8) bytes of b */
    HOST_PDEP,  /* the low bits of a to the places of the ones of b */
    HOST_PEXT,  /* the bits of a at the places of the ones of b, together */
};

struct ir_helper {
    const char *name;
    void (*fn)(void); /* cast to the right type by the executor */
    uint8_t nargs;    /* register arguments, without imm */
    uint32_t flags;
};

struct ir {
    struct ir_op *ops;
    unsigned nops, cap;
    unsigned ntemps, nvtemps; /* in use by the current instruction or block */
    unsigned nlabels;
    unsigned ctx;        /* access context of all LD/ST of the block (index of v->tlb) */
    unsigned fetch_ctx;  /* ... and of its code */
    unsigned guest_size; /* bytes of guest code translated */
    struct { /* ... and where they are, as offsets from the block's pc: on its own page, and on one
              */
        int32_t lo, hi; /* other page (lo == hi: none) */
    } part[2];
    unsigned ninsns;
    uint64_t flags;                 /* key word it was translated for */
    const struct fp80_layout *fp80; /* the guest's, or NULL */
    bool no_link;                   /* never link out of this block (single step, shadows) */
};

void ir_init(struct ir *ir);
void ir_reset(struct ir *ir); /* empties it, keeps the memory */
void ir_free(struct ir *ir);
struct ir_op *ir_append(struct ir *ir, enum ir_opc opc); /* zeroed, registers IR_NONE */

/* Fresh temporaries. Those made since ir_temps_mark() are free again after ir_temps_release(). */
ir_reg ir_temp(struct ir *ir);
ir_reg ir_vtemp(struct ir *ir);
struct ir_mark {
    unsigned ntemps, nvtemps;
};
static inline struct ir_mark ir_temps_mark(const struct ir *ir)
{
    return (struct ir_mark){ir->ntemps, ir->nvtemps};
}
static inline void ir_temps_release(struct ir *ir, struct ir_mark m)
{
    ir->ntemps = m.ntemps;
    ir->nvtemps = m.nvtemps;
}
unsigned ir_label_new(struct ir *ir);

/* Builders; thin and unchecked, see tcg/ir.c. d may equal a source. */
void ir_mov(struct ir *ir, enum ir_width w, ir_reg d, ir_reg a);
void ir_movi(struct ir *ir, ir_reg d, uint64_t imm);
void ir_movpc(struct ir *ir, ir_reg d, int64_t off);
void ir_bin(struct ir *ir, enum ir_opc o, enum ir_width w, ir_reg d, ir_reg a, ir_reg b);
void ir_bini(struct ir *ir, enum ir_opc o, enum ir_width w, ir_reg d, ir_reg a, int64_t imm);
void ir_un(struct ir *ir, enum ir_opc o, enum ir_width w, ir_reg d, ir_reg a);
void ir_extract(struct ir *ir, ir_reg d, ir_reg a, unsigned pos, unsigned len);
void ir_deposit(struct ir *ir, ir_reg d, ir_reg a, ir_reg b, unsigned pos, unsigned len);
void ir_setcond(struct ir *ir, enum ir_cond c, enum ir_width w, ir_reg d, ir_reg a, ir_reg b);
void ir_setcondi(struct ir *ir, enum ir_cond c, enum ir_width w, ir_reg d, ir_reg a, int64_t imm);
void ir_divide(struct ir *ir, enum ir_opc o, enum ir_width w, ir_reg d, ir_reg low, ir_reg divisor,
               ir_reg high); /* DIVU, REMU, DIVS, REMS */
void ir_movcond(struct ir *ir, enum ir_cond c, enum ir_width w, ir_reg d, ir_reg a, ir_reg b,
                ir_reg yes, ir_reg no);
void ir_addx(struct ir *ir, enum ir_opc o, enum ir_width w, ir_reg d, ir_reg a, ir_reg b,
             ir_reg carry);
void ir_cc(struct ir *ir, unsigned kind, ir_reg a, ir_reg b, ir_reg c);
void ir_ld(struct ir *ir, enum ir_width w, ir_reg d, ir_reg base, ir_reg index, unsigned memop,
           int64_t disp);
void ir_st(struct ir *ir, ir_reg base, ir_reg index, unsigned memop, int64_t disp, ir_reg value);
void ir_sti(struct ir *ir, ir_reg base, ir_reg index, unsigned memop, int64_t disp, int64_t value);
void ir_ldenv(struct ir *ir, ir_reg d, size_t off, unsigned memop);
void ir_stenv(struct ir *ir, ir_reg b, size_t off, unsigned memop);
void ir_stenvi(struct ir *ir, int64_t value, size_t off, unsigned memop);
void ir_atomic(struct ir *ir, enum ir_atomic op, ir_reg d, ir_reg addr, unsigned memop, ir_reg b);
void ir_cmpxchg(struct ir *ir, ir_reg d, ir_reg addr, unsigned memop, ir_reg expect, ir_reg value);
void ir_call(struct ir *ir, const struct ir_helper *h, ir_reg d, ir_reg a, ir_reg b, ir_reg c,
             int64_t imm);
void ir_label(struct ir *ir, unsigned label);
void ir_br(struct ir *ir, unsigned label);
void ir_brcond(struct ir *ir, enum ir_cond c, enum ir_width w, ir_reg a, ir_reg b, unsigned label);
void ir_brcondi(struct ir *ir, enum ir_cond c, enum ir_width w, ir_reg a, int64_t imm,
                unsigned label);
void ir_exit_tb(struct ir *ir, unsigned slot, int64_t pc_off, unsigned flags);
void ir_exit_ind(struct ir *ir, ir_reg target, enum ir_ind hint, unsigned flags);
void ir_exit_loop(struct ir *ir, int64_t pc_off, unsigned flags);
void ir_vmov(struct ir *ir, ir_reg d, ir_reg a, unsigned flags);
void ir_vld(struct ir *ir, ir_reg d, ir_reg base, ir_reg index, unsigned memop, int64_t disp,
            unsigned flags);
void ir_vst(struct ir *ir, ir_reg base, ir_reg index, unsigned memop, int64_t disp, ir_reg value);
void ir_vop(struct ir *ir, unsigned vop, ir_reg d, ir_reg a, ir_reg b, ir_reg c, unsigned imm8,
            unsigned flags);
void ir_vopr(struct ir *ir, unsigned vop, enum ir_width w, ir_reg d, ir_reg a, ir_reg b,
             unsigned imm8, unsigned flags);
void ir_vopi(struct ir *ir, unsigned vop, enum ir_width w, ir_reg d, ir_reg a, ir_reg b,
             unsigned imm8, unsigned flags);
void ir_vget(struct ir *ir, ir_reg d, ir_reg a, unsigned elem, unsigned memop);
void ir_vset(struct ir *ir, ir_reg d, ir_reg a, ir_reg b, unsigned elem, unsigned memop,
             unsigned flags);
void ir_vldenv(struct ir *ir, ir_reg d, size_t off, unsigned memop);
void ir_vstenv(struct ir *ir, ir_reg b, size_t off, unsigned memop);

/* Text of the block, one op a line, with the guest's register names. */
void ir_dump(const struct ir *ir, const struct guest_ops *ops, FILE *out);
/* Improves the block in place: constants and copies forward, dead writes backward. Linear. */
void ir_optimize(struct ir *ir);
/* Checks the contract (operand ranges, labels, terminators); returns NULL or what is wrong. */
const char *ir_check(const struct ir *ir);

#endif
