/* The code generator for x86-64 hosts: what its files share.
 *
 * Registers of the host while generated code runs:
 *   rbp            the vcpu, 128 bytes in, so that the first 32 IR registers are a byte's distance
 * away rdi            TLB of the block's access context r15            guest pc of the block rbx r8
 * r9 r10 r14 r13 r11 r12   homes of the first eight guest registers, from block to block rax rcx
 * rdx rsi                 pool: temporaries, and copies of registers that live in memory xmm0..15
 * copies of vector registers inside a block (xmm n for guest register n when free) All other IR
 * registers live in the vcpu. A copy of one in the pool is never newer than memory; a temporary may
 * be only in the pool ("dirty").
 *
 * Lazy flags are not stored where they are made: the generator remembers what CC_OP, CC_A, CC_B and
 * CC_C are made of, writes them out where somebody may read them, and describes them in the fault
 * map for the rest. */
#ifndef TCG_X86_64_GEN_H
#define TCG_X86_64_GEN_H

#include "tcg/ir.h"
#include "tcg/ir_info.h"
#include "tcg/tb.h"
#include "tcg/vcpu.h"
#include "tcg/vops.h"
#include "tcg/x86_64/asm.h"

enum {
    HOST_VCPU = 5,
    HOST_TLB = 7,
    HOST_PC = 15,
    HOST_BIAS = 128, /* rbp - vcpu */
    HOST_POOL = 1 << RAX | 1 << RCX | 1 << RDX | 1 << RSI,
    NHOMES = 8,
    REG_VA = TCG_REG_LAST_TEMP + 1, /* slots that slow paths pass values in */
    REG_VALUE,
    REG_EXPECT,
    REG_GROUP, /* places of groups of accesses */
    NGROUP_REGS = 3,
    REG_SCRATCH =
        REG_GROUP + NGROUP_REGS, /* a value in no register of the guest's, around calls of C */
    VREG_SLOW = TCG_NVREGS - 1,
};

extern const uint8_t x64_home[NHOMES];

#define SCRATCH ((ir_reg)0xfffe) /* holder of a pool register that is no IR register's copy */

/* What a part of the lazy flags is. */
enum comp_kind {
    COMP_MEM, /* in its slot */
    COMP_REG, /* the value of IR register r */
    COMP_IMM,
    COMP_SUM,  /* r + r2 */
    COMP_SUMI, /* r + imm */
};
struct comp {
    uint8_t kind;
    ir_reg r, r2;
    int64_t imm;
};

struct flags_state {
    struct comp comp[4]; /* CC_OP (MEM or IMM), CC_A, CC_B, CC_C */
    uint32_t insn;       /* index of the INSN op that they were set under */
};

/* Where values are; follows control flow. */
struct places {
    ir_reg held[16];        /* IR_NONE: free */
    uint16_t dirty;         /* pool registers whose temporary is nowhere else */
    ir_reg vheld[16];       /* vector register whose low 128 bits (or all 256) are in xmm n */
    uint16_t vdirty, vwide; /* wide: 256 bits */
    struct flags_state cc;
};

/* A run of x87 operations (x87.c). Guest registers are ST(i) at its start; masks have a bit for
 * each. */
struct fp_state {
    bool live;
    uint8_t depth, entry[8]; /* the host's stack, bottom first: whose value; 8: nobody's */
    uint8_t dirty;           /* newer than memory */
    uint8_t full0, empty0;   /* what the run's check demands */
    uint8_t full, empty;     /* known now */
    uint8_t delta;           /* TOP less that in memory */
    uint8_t c1;
    bool storing;      /* a store is under way: slot REG_EXPECT has the status before it ... */
    uint8_t c1_before; /* ... and this says where C1 was */
};

enum { LABEL_LIVE = 6 };

struct label {
    uint8_t *at; /* NULL: not placed yet */
    bool known;  /* places are those of the first branch to it */
    bool backward;
    uint16_t nrefs;
    uint16_t nlive; /* temporaries wanted from here on, and till when; more than fit: ask nobody */
    struct {
        ir_reg r;
        uint32_t last;
    } live[LABEL_LIVE];
    struct places places;
};

struct fixup {
    uint8_t *at;
    uint32_t label;
};

/* Code at the end of the block for what seldom happens. */
enum cold_kind {
    COLD_LOAD,
    COLD_STORE,
    COLD_VLOAD,
    COLD_VSTORE,
    COLD_ATOMIC,
    COLD_CMPXCHG,
    COLD_LEAVE,
    COLD_CALL,
    COLD_GROUP, /* the first access of a group */
    COLD_APART, /* another one, not aligned */
    COLD_FP_MISS,
    COLD_FP_FLAGS,
    COLD_FP_CONTROL
};
struct cold {
    uint8_t kind;
    uint8_t t;      /* the guest address of the look-up */
    uint8_t i;      /* offset of the TLB entry, when t is xored with its tag */
    uint8_t keeper; /* of the place of the group that this access leads */
    uint8_t d;      /* result's host register (xmm for vectors), NO_REG: none */
    uint8_t w;
    uint8_t value;           /* host register, NO_REG: imm */
    uint8_t value2;          /* CMPXCHG: replacement */
    uint16_t memop, tag;     /* tag: that t is xored with */
    bool write, group_write; /* GROUP: the access, one of the group */
    bool keep;               /* CALL: the result is the flags' part B, in memory */
    uint8_t scratch;         /* ... mask of a register to keep */
    uint16_t span;           /* ... bytes from t on */
    int32_t delta;           /* ... from t to the operand */
    int64_t imm;
    uint8_t *from[2]; /* displacements to patch to here */
    uint8_t *back;
    struct places places; /* on arrival */
    struct fp_state fp;
    uint8_t fp_opcode, fp_reg; /* the x87 instruction that the value is for; 0: none */
    int32_t insn_off;
    uint16_t insn_meta;
    const struct ir_op *op;
};

struct map_entry64 {
    uint32_t at; /* return address less code start */
    int32_t off;
    uint16_t meta; /* 1 + index; 0: none */
    uint16_t cc;   /* 1 + index of flags */
};

struct map64 {
    uint32_t nentries;
    uint32_t cold;    /* code offset of what is out of line */
    uint32_t body;    /* code offset behind the check of the second page */
    int32_t last_off; /* of the last instruction */
    const struct map_entry64 *entries;
    const uint64_t *meta;
    const struct flags_state *cc;
};

struct group {
    uint32_t base, index; /* versions */
    uint8_t scale, keeper;
    bool a32, write;
    bool closed;    /* to accesses to come */
    int64_t lo, hi; /* offsets that they cover */
    uint32_t leader, last, n;
};

struct track {
    uint32_t version[TCG_NREGS]; /* registers of one version differ by their offsets only */
    int64_t off[TCG_NREGS];
    uint32_t next;
};

struct gen {
    struct code c;
    struct tcg *t;
    const struct ir *ir;
    struct tb *tb;
    uint8_t *start;   /* of the code */
    uint32_t cold_at; /* offset of what is out of line */
    uint8_t *body;    /* behind the check of the second page: where a loop comes back to */
    uint8_t *checked; /* behind the check of the second page; body is behind the loads of a loop's
                         registers too */
    bool loops;       /* the block jumps to itself */
    uint16_t loop_vregs, loop_vdirty; /* guest vector registers kept through the loop */

    struct places now;
    bool unreachable;
    uint8_t loc[TCG_NREGS]; /* pool register of an IR register, NO_REG */
    uint8_t vloc[TCG_NVREGS];
    uint16_t locked, vlocked; /* not to be evicted during this op */
    uint32_t stamp[16], vstamp[16], clock;
    unsigned nregs; /* integer registers from here on do not occur */
    uint32_t last_use[TCG_NREGS], vlast_use[TCG_NVREGS]; /* of the value that a temporary has */
    uint32_t *def_last;      /* of each op: the last that uses what it makes of a temporary */
    uint32_t cc_wide_use[3]; /* last op that reads all 64 bits of CC_A, CC_B, CC_C */
    unsigned i;              /* op */
    uint32_t insn;           /* index of the current INSN */
    int32_t insn_off;
    uint16_t insn_meta;

    /* Host flags tell of register zf_reg's value in width zf_w (ZF, SF); NO_REG: nothing. */
    uint8_t zf_reg, zf_w;
    bool cmp_valid; /* ... and they are of CC_A - CC_B in width cmp_w */
    uint8_t cmp_w;

    ir_reg kept;   /* a register that is to be part B of the flags, and is there already */
    bool keeps_pc; /* a helper sets pc */
    bool narrow;   /* the pc wraps at 32 bits */
    struct fp_state fp;
    const struct ir_op *fp_load;       /* the load that an x87 operation is to do itself */
    uint8_t *fp_empty_at, *fp_mask_at; /* bytes of the run's check */
    bool soft_fp;                      /* exceptions are unmasked: FP ops go through C */

    struct track track;
    uint16_t *group_of; /* of each op: 1 + index, 0: none */
    int64_t *group_off; /* its offset from the group's base */
    struct group *groups;

    struct {
        uint8_t *disp, *stub;
    } * apart; /* jumps that x64_exit_apart() made */
    unsigned napart;

    struct label *label;
    struct fixup *fixup;
    unsigned nfixups;
    struct cold *cold;
    unsigned ncold, cap_cold;
    struct map_entry64 *map;
    unsigned nmap, nmeta, ncc;
    uint64_t *meta;
    struct flags_state *cc;
    unsigned cap_map;
    size_t cap_ops, cap_labels;
};

/* What generated code returns: the exit (as it is executed) that can be linked, or one of these. */
enum { EXIT_NONE, EXIT_APART };

/* Common routines, once a cache (thunks.c). */
enum thunk_call {
    CALL_LIGHT,  /* the helper neither raises nor looks at guest registers */
    CALL_FULL,   /* they are in memory for it, and it may unwind */
    CALL_WRITES, /* ... and it may change them */
    NCALLS
};
struct x64_thunks {
    const uint8_t *enter, *leave, *leave_keep_pc, *leave_none,
        *leave_apart; /* addresses to execute */
    const uint8_t *call[TLB_NCTX][NCALLS], *vop;
    bool sse42, bmi2, avx, avx2, lzcnt, bmi1, popcnt, fma, f16c, aes, pclmul, sha, gfni, vaes,
        vpclmul, intel;
};

enum { MAX_HELPERS = 1024 };

/* The back end's part of struct tcg. */
struct x64 {
    struct x64_thunks th;
    const void *helper[MAX_HELPERS]; /* generated code calls by index; 0: free */
    struct gen *gen;                 /* work space, under t->lock */
};

bool x64_make_thunks(struct tcg *t, struct x64 *x, uint8_t *buf, size_t size);
unsigned x64_helper_index(struct gen *g, const void *fn);

static inline struct x64 *x64_of(const struct tcg *t)
{
    return t->backend;
}

static inline const struct x64_thunks *thunks(const struct gen *g)
{
    return &x64_of(g->t)->th;
}

static inline int32_t env_disp(size_t offset)
{
    return (int32_t)offset - HOST_BIAS;
}
static inline struct mem env_at(size_t offset)
{
    return at(HOST_VCPU, env_disp(offset));
}
static inline struct mem slot_of(ir_reg r)
{
    return env_at(offsetof(struct vcpu, reg) + 8u * r);
}
static inline struct mem vslot_of(ir_reg r)
{
    return env_at(offsetof(struct vcpu, vec) + 32u * r);
}
static inline bool is_home(ir_reg r)
{
    return r < NHOMES || r == TCG_REG_PC;
}
static inline uint8_t home_of(ir_reg r)
{
    return r == TCG_REG_PC ? HOST_PC : x64_home[r];
}
static inline bool is_cc(ir_reg r)
{
    return r >= TCG_REG_CC_OP && r <= TCG_REG_CC_C;
}
static inline bool is_temp(ir_reg r)
{
    return r >= TCG_REG_TEMP;
}
static inline bool fits32(int64_t x)
{
    return x == (int32_t)x;
}
static inline void flags_clobbered(struct gen *g)
{
    g->zf_reg = NO_REG;
    g->cmp_valid = false;
}

/* regs.c: registers of the pool. What they return is locked until x64_unlock (each op's end). */
unsigned x64_alloc(struct gen *g);                       /* a scratch register */
void x64_take(struct gen *g, unsigned reg);              /* this one as scratch */
unsigned x64_use(struct gen *g, ir_reg r);               /* holds r's value; not to be written */
bool x64_in_reg(struct gen *g, ir_reg r, unsigned *reg); /* without loading it */
unsigned x64_def(struct gen *g, ir_reg r); /* to write r's new value to; its old one may be there */
void x64_done(struct gen *g, ir_reg r, unsigned reg); /* reg holds r's new value */
void x64_before_write(struct gen *g, ir_reg r,
                      const struct ir_op *op); /* flags made of its old value */
void x64_unlock(struct gen *g);
void x64_lock_only(struct gen *g, unsigned reg); /* of the pool */
void x64_spill_all(struct gen *g, bool forget);  /* temporaries to their slots */
bool x64_alive(const struct gen *g, ir_reg r);
void x64_adopt(struct gen *g, const struct places *p);
/* Makes the places those of p (a label's); what p knows and this path does not is loaded. */
void x64_conform(struct gen *g, const struct places *p);

/* Operand b as the right side of a host instruction: register or memory. */
struct operand {
    bool is_mem;
    uint8_t reg;
    struct mem m;
};
struct operand x64_operand(struct gen *g, ir_reg r);

/* flags */
void x64_cc_set(struct gen *g, const struct ir_op *op);
void x64_cc_flush(struct gen *g,
                  bool forget); /* writes out; without forget, for a path that leaves */
void x64_cc_settle(struct gen *g, const struct ir_op *op); /* sums that op reads are stored */
void x64_cc_in_memory(struct gen *g);
bool x64_cc_is_memory(const struct gen *g);

/* vregs.c */
unsigned x64_vuse(struct gen *g, ir_reg r, bool wide);
unsigned x64_vdef(struct gen *g, ir_reg r); /* what it held of r before stays until x64_vdone */
void x64_vdone(struct gen *g, ir_reg r, unsigned x, bool wide);
unsigned x64_valloc(struct gen *g);
void x64_vflush(struct gen *g, bool forget);
void x64_vflush_one(struct gen *g, ir_reg r, bool forget);
void x64_vdrop(struct gen *g, ir_reg r);
void x64_vsave(struct gen *g, const struct places *p); /* code only: dirty ones to memory */
void x64_vreload(struct gen *g, const struct places *p, unsigned except);
void v_load(struct gen *g, unsigned x, struct mem m, unsigned size_log2);
void v_store(struct gen *g, unsigned x, struct mem m, unsigned size_log2);

/* alu.c, memory.c, control.c, vector.c */
bool x64_gen_alu(struct gen *g, const struct ir_op *op);
void x64_group_accesses(struct gen *g); /* groups.c */
void x64_gen_memory(struct gen *g, const struct ir_op *op);
unsigned x64_gen_control(struct gen *g, const struct ir_op *op); /* ops taken */
unsigned x64_gen_fp80(struct gen *g, const struct ir_op *op);    /* ops taken; x87.c */
unsigned x64_gen_host_op(struct gen *g, const struct ir_op *op); /* how many ops it took: 0, 1 */
/* Several ops as one; g->i becomes the last of them. 0: not such ops, 1: done. fuse.c */
unsigned x64_gen_fused(struct gen *g, const struct ir_op *op);
/* a COND b, or imm, as host flags: which host condition. alu.c */
unsigned x64_compare_values(struct gen *g, enum ir_cond cond, unsigned w, ir_reg ra, ir_reg rb,
                            bool bimm, int64_t imm);
void x64_gen_select(struct gen *g, const struct ir_op *op, unsigned cond); /* MOVCOND's move */
unsigned x64_gen_fp80_load(struct gen *g, const struct ir_op *op);
bool x64_fp_inline(const struct gen *g, const struct ir_op *op);
bool x64_fp_skips(const struct gen *g, unsigned i);
void x64_load_fp(struct gen *g, const struct ir_op *op, unsigned opcode,
                 unsigned reg); /* memory.c */
bool x64_fp_keeps(const struct gen *g, const struct ir_op *op);
void x64_fp_flush(struct gen *g);
void x64_fp_save(struct gen *g, const struct fp_state *f); /* out of line, around calls of C */
void x64_fp_reload(struct gen *g, const struct fp_state *f);
void x64_fp_cold(struct gen *g, const struct cold *k);
void x64_gen_vector(struct gen *g, const struct ir_op *op);
void x64_gen_cold(struct gen *g);
void x64_gen_cold_call(struct gen *g, const struct cold *k);
void x64_save(struct gen *g, const struct places *p); /* code only: what is newer than memory */
void x64_reload(struct gen *g, const struct places *p, unsigned except);
struct cold *x64_cold(struct gen *g, enum cold_kind kind);
void x64_call_thunk(struct gen *g, const uint8_t *thunk);
/* pc += imm, wrapped (0: not, 1: at 32 bits, 2: at 16 bits), and on to the thunk. */
void x64_jump(struct gen *g, int64_t imm, unsigned wrap, const uint8_t *thunk);
void x64_exit_apart(struct gen *g, int32_t imm); /* to the block at pc + imm that has no groups */
/* Lays the exits of those from p on (a multiple of 8); returns what is behind them, NULL: no room.
 */
uint8_t *x64_lay_apart_exits(struct gen *g, uint8_t *p, const uint8_t *end);
void x64_map_here(struct gen *g, const struct places *p, int32_t off, uint16_t meta);
unsigned x64_cond(enum ir_cond c, bool swapped);
/* Compares, and returns the host condition that holds when a COND b. */
unsigned x64_compare(struct gen *g, const struct ir_op *op);

/* For C called by generated code (runtime.c): arguments that do not fit are in slots REG_VA,
 * REG_VALUE. */
uint64_t x64_load(struct vcpu *v, uint64_t memop, uint64_t ctx);
uint64_t x64_store(struct vcpu *v, uint64_t memop, uint64_t ctx);
uint64_t x64_vload(struct vcpu *v, uint64_t memop, uint64_t ctx);
uint64_t x64_vstore(struct vcpu *v, uint64_t memop, uint64_t ctx);
/* Of the first access of a group; what: its offset from the group's start, the group's size << 16,
 * that the group writes << 32, that it writes itself << 33. Returns the group's place on the host,
 * 0: it has none. */
uint64_t x64_group(struct vcpu *v, uint64_t memop, uint64_t what, uint64_t ctx);
uint64_t x64_atomic(struct vcpu *v, uint64_t memop_op, uint64_t ctx);
uint64_t x64_cmpxchg(struct vcpu *v, uint64_t memop, uint64_t ctx);
/* The host's MXCSR becomes the guest's, or gives its flags to v->fp and becomes C's again. */
uint64_t x64_fp_in(struct vcpu *v);
uint64_t x64_fp_out(struct vcpu *v);

bool x64_is_cc_of(const struct gen *g, const struct ir_op *op); /* the flags are this SUB's */
bool x64_cc_reads(const struct gen *g, ir_reg r);

#endif
