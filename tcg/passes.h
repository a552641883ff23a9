/* What the passes over a block's IR (passes.c) share: what is known of registers, and what ops do.
 */
#ifndef TCG_PASSES_H
#define TCG_PASSES_H

#include "tcg/ir_info.h"

#define MAX_COALESCE 32 /* how far a value may be from the move that wants it */

enum known { K_NOTHING, K_CONST, K_COPY, K_COPY32, K_ADD, K_ADD32, K_SHIFT };

/* imm of K_SHIFT: which shift, of which width, by how much */
#define SHIFT_IMM(opc, w, n) ((int64_t)((opc) << 16 | (w) << 8 | (n)))

struct value {
    uint8_t known; /* const: imm; copy: src (its low half); add: src + imm; shift: of src */
    uint8_t bits;  /* those above are zero */
    ir_reg src;
    uint32_t src_version;
    uint32_t since; /* index of the op that made it so */
    int64_t imm;
};

struct label_info {
    uint32_t first_branch, position, nrefs;
    bool backward;
};

struct pass {
    struct ir *ir;
    unsigned nregs; /* those from here on do not occur; their entries are not set up */
    struct value val[TCG_NREGS];
    uint32_t version[TCG_NREGS];
    uint32_t def[TCG_NREGS]; /* last write */
    uint32_t last_use[TCG_NREGS];
    bool stuck[TCG_NREGS]; /* others were made to rely on its value: it may not be renamed */
    uint32_t barrier;      /* first op of the straight line that i is on */
    struct label_info *labels;
    bool loops; /* some branch goes back */
};

#define NOP_OPC IR_NOPS /* removed by the compaction at the end */

static inline bool is_bimm(const struct ir_op *op)
{
    return (op->flags & IR_BIMM) && (ir_opinfo[op->opc].attr & IRA_BIMM);
}

/* Integer registers read by op, as pointers to be rewritten; MOVCOND's fifth is in imm. */
static inline unsigned uses(struct ir_op *op, ir_reg **out)
{
    uint16_t attr = ir_opinfo[op->opc].attr;
    unsigned n = 0;

    if ((attr & IRA_A) && op->a != IR_NONE) {
        out[n++] = &op->a;
    }
    if ((attr & IRA_B) && op->b != IR_NONE && !is_bimm(op)) {
        out[n++] = &op->b;
    }
    if ((attr & IRA_C) && op->c != IR_NONE) {
        out[n++] = &op->c;
    }
    return n;
}

static inline bool reads(const struct ir_op *op, ir_reg r)
{
    ir_reg *use[3];
    unsigned n = uses((struct ir_op *)(uintptr_t)op, use);

    for (unsigned i = 0; i < n; i++) {
        if (*use[i] == r) {
            return true;
        }
    }
    return op->opc == IR_MOVCOND && (ir_reg)op->imm == r;
}

static inline bool writes(const struct ir_op *op, ir_reg r)
{
    if (op->opc == IR_CC) {
        return r >= TCG_REG_CC_OP && r <= TCG_REG_CC_C;
    }
    return (ir_opinfo[op->opc].attr & IRA_D) && op->d == r;
}

static inline unsigned helper_flags_of(const struct ir_op *op)
{
    return ir_op_helper(op)->flags;
}

/* Nothing but its result is seen of it. */
static inline bool pure(const struct ir_op *op)
{
    if (op->opc == IR_CALL) {
        return helper_flags_of(op) & HELPER_PURE;
    }
    return ir_opinfo[op->opc].attr & IRA_PURE;
}

/* May unwind, so that somebody sees the guest registers. */
static inline bool faults(const struct ir_op *op)
{
    if (op->opc == IR_CALL) {
        return helper_flags_of(op) & HELPER_RAISES;
    }
    return ir_opinfo[op->opc].attr & IRA_FAULT;
}

static inline bool sees_guest(const struct ir_op *op)
{
    if (op->opc == IR_CALL) {
        return helper_flags_of(op) & (HELPER_RAISES | HELPER_READS | HELPER_WRITES);
    }
    return ir_opinfo[op->opc].attr & (IRA_FAULT | IRA_EXIT);
}

static inline bool branches(const struct ir_op *op)
{
    return op->opc == IR_LABEL || op->opc == IR_BR || op->opc == IR_BRCOND;
}

static inline bool is_cc_reg(ir_reg r)
{
    return r >= TCG_REG_CC_OP && r <= TCG_REG_CC_C;
}

static inline int64_t narrow(unsigned w, uint64_t x)
{
    return (int64_t)(w == W32 ? (uint32_t)x : x);
}

/* ---- knowledge ---- */

static inline bool current(const struct pass *p, const struct value *v)
{
    return p->version[v->src] == v->src_version;
}

static inline bool is_const(const struct pass *p, ir_reg r, int64_t *imm)
{
    if (r == IR_NONE || p->val[r].known != K_CONST) {
        return false;
    }
    *imm = p->val[r].imm;
    return true;
}

/* ---- what is needed, for the walk backward ---- */

struct set {
    uint64_t w[TCG_NREGS / 64];
};

enum cc_need { CC_DEAD, CC_FAULT, CC_LIVE };

struct live {
    struct set regs; /* without the CC registers */
    enum cc_need cc;
};

struct back {
    struct ir *ir;
    struct live now, *at_label;
    unsigned nregs;
    uint32_t next_write[TCG_NREGS];
    uint32_t last_fault; /* while now.cc is CC_FAULT */
};

/* Replaces op by a simpler one for what is known of its operands (pass_fold.c). */
void pass_simplify(const struct pass *p, struct ir_op *op);
/* Is the condition true of these values? */
bool pass_holds(enum ir_cond c, unsigned w, uint64_t a, uint64_t b);

/* ops[at] is g = t: lets the op that makes t write g, if it may (pass_coalesce.c). */
bool pass_coalesce(struct pass *p, uint32_t at);

void pass_forward(struct pass *p);  /* all fields set, labels too (pass_forward.c) */
void pass_backward(struct back *b); /* at_label has room for all labels (pass_backward.c) */

#endif
