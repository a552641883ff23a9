/* Improvement of a block's IR: two linear walks.
 *
 * Forward: known constants, copies and register-plus-constant sums replace operands; results that
 * are only moved on are computed in place. Knowledge survives a label that only forward branches
 * reach as far as it is older than the first of them.
 *
 * Backward: writes that nobody sees go. Guest registers are seen by every exit and by every op that
 * may unwind. The lazy flags of most guest instructions are seen by nobody but such ops: as long as
 * the values they are made of stay in their registers, the CC op stays in the IR for the executor's
 * fault map only (IR_CC_MAP), and costs nothing where it runs.
 *
 * A register that a CC op does not name is not read under its kind. Vector ops are left alone. */
#include <stdlib.h>
#include <string.h>

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
    uint32_t first_branch, position;
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

static bool reads(const struct ir_op *op, ir_reg r)
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
static bool pure(const struct ir_op *op)
{
    if (op->opc == IR_CALL) {
        return helper_flags_of(op) & HELPER_PURE;
    }
    return ir_opinfo[op->opc].attr & IRA_PURE;
}

/* May unwind, so that somebody sees the guest registers. */
static bool faults(const struct ir_op *op)
{
    if (op->opc == IR_CALL) {
        return helper_flags_of(op) & HELPER_RAISES;
    }
    return ir_opinfo[op->opc].attr & IRA_FAULT;
}

static bool sees_guest(const struct ir_op *op)
{
    if (op->opc == IR_CALL) {
        return helper_flags_of(op) & (HELPER_RAISES | HELPER_READS | HELPER_WRITES);
    }
    return ir_opinfo[op->opc].attr & (IRA_FAULT | IRA_EXIT);
}

static bool branches(const struct ir_op *op)
{
    return op->opc == IR_LABEL || op->opc == IR_BR || op->opc == IR_BRCOND;
}

/* ---- forward ---- */

static bool current(const struct pass *p, const struct value *v)
{
    return p->version[v->src] == v->src_version;
}

static void written(struct pass *p, ir_reg r, uint32_t at)
{
    p->version[r]++;
    p->def[r] = at;
    p->val[r] = (struct value){.since = at, .bits = 64};
    p->stuck[r] = false;
}

static void knows(struct pass *p, ir_reg r, enum known known, ir_reg src, int64_t imm)
{
    struct value *v = &p->val[r];

    if (known != K_CONST && src == r) {
        return; /* of its own old value: says nothing */
    }
    v->known = (uint8_t)known;
    v->src = src;
    v->src_version = known == K_CONST ? 0 : p->version[src];
    v->imm = imm;
}

static bool is_const(const struct pass *p, ir_reg r, int64_t *imm)
{
    if (r == IR_NONE || p->val[r].known != K_CONST) {
        return false;
    }
    *imm = p->val[r].imm;
    return true;
}

static bool replaceable(ir_reg r)
{
    return r >= TCG_REG_TEMP || (r >= TCG_REG_CC_OP && r <= TCG_REG_CC_C);
}

/* What may be read instead of r; low: the reader looks at bits 31..0 only. */
static ir_reg original(const struct pass *p, ir_reg r, bool low)
{
    while (replaceable(r)) {
        const struct value *v = &p->val[r];
        if (v->known != K_COPY && !(low && v->known == K_COPY32)) {
            break;
        }
        if (!current(p, v)) {
            break;
        }
        r = v->src;
    }
    return r;
}

/* op looks only at the low halves of its register operands. */
static bool low_only(const struct ir_op *op)
{
    uint16_t attr = ir_opinfo[op->opc].attr;

    switch (op->opc) {
    case IR_EXT8U:
    case IR_EXT16U:
    case IR_EXT32U:
    case IR_EXT8S:
    case IR_EXT16S:
    case IR_EXT32S:
        return true;
    case IR_EXTRACT:
        return (op->imm & 0xff) + (op->imm >> 8) <= 32;
    case IR_STENV:
        return (op->aux & MO_SIZE) <= MO_32;
    case IR_LD:
    case IR_VLD:
    case IR_VST:
        return op->aux & MO_A32;
    default:
        return (attr & IRA_WIDTH) && op->w == W32 && !(attr & (IRA_VA | IRA_VD | IRA_MEM));
    }
}

static void replace_operands(const struct pass *p, struct ir_op *op)
{
    ir_reg *use[3];
    unsigned n = uses(op, use);
    bool low = low_only(op);

    for (unsigned i = 0; i < n; i++) {
        bool l = low;
        if (op->opc == IR_ST) {
            l = use[i] == &op->b ? (op->aux & MO_SIZE) <= MO_32 : (op->aux & MO_A32) != 0;
        } else if (op->opc == IR_DEPOSIT) {
            l = use[i] == &op->b && (op->imm >> 8) <= 32;
        }
        *use[i] = original(p, *use[i], l);
    }
    if (op->opc == IR_MOVCOND) {
        op->imm = original(p, (ir_reg)op->imm, low);
    }
}

static bool commutes(unsigned opc)
{
    return opc == IR_ADD || opc == IR_AND || opc == IR_OR || opc == IR_XOR || opc == IR_MUL;
}

static void make_movi(struct ir_op *op, int64_t imm)
{
    ir_reg d = op->d;

    *op = (struct ir_op){
        .opc = IR_MOVI, .w = W64, .d = d, .a = IR_NONE, .b = IR_NONE, .c = IR_NONE, .imm = imm};
}

static void make_mov(struct ir_op *op, enum ir_width w, ir_reg a)
{
    ir_reg d = op->d;

    *op = (struct ir_op){.opc = IR_MOV, .w = w, .d = d, .a = a, .b = IR_NONE, .c = IR_NONE};
}

static bool is_shift(unsigned opc)
{
    return opc == IR_SHL || opc == IR_SHR || opc == IR_SAR;
}

static int64_t narrow(unsigned w, uint64_t x)
{
    return (int64_t)(w == W32 ? (uint32_t)x : x);
}

/* Value of a pure op on constants; false: not worth knowing how. */
static bool fold(const struct ir_op *op, uint64_t a, uint64_t b, int64_t *out)
{
    unsigned w = op->w, mask = w == W64 ? 63 : 31;
    uint64_t x;

    switch (op->opc) {
    case IR_MOV:
        x = a;
        break;
    case IR_ADD:
        x = a + b;
        break;
    case IR_SUB:
        x = a - b;
        break;
    case IR_AND:
        x = a & b;
        break;
    case IR_OR:
        x = a | b;
        break;
    case IR_XOR:
        x = a ^ b;
        break;
    case IR_SHL:
        x = a << (b & mask);
        break;
    case IR_SHR:
        x = (w == W32 ? (uint32_t)a : a) >> (b & mask);
        break;
    case IR_NEG:
        x = -a;
        break;
    case IR_NOT:
        x = ~a;
        break;
    case IR_EXT8U:
        *out = (uint8_t)a;
        return true;
    case IR_EXT16U:
        *out = (uint16_t)a;
        return true;
    case IR_EXT32U:
        *out = (uint32_t)a;
        return true;
    case IR_EXT8S:
        x = (uint64_t)(int8_t)a;
        break;
    case IR_EXT16S:
        x = (uint64_t)(int16_t)a;
        break;
    case IR_EXT32S:
        *out = (int32_t)a;
        return true;
    default:
        return false;
    }
    *out = narrow(w, x);
    return true;
}

static bool holds(enum ir_cond c, unsigned w, uint64_t a, uint64_t b)
{
    int64_t sa = w == W32 ? (int32_t)a : (int64_t)a, sb = w == W32 ? (int32_t)b : (int64_t)b;

    a = (uint64_t)narrow(w, a);
    b = (uint64_t)narrow(w, b);
    switch (c & ~1u) {
    case IR_EQ:
        return (a == b) != (c & 1);
    case IR_LT:
        return (sa < sb) != (c & 1);
    case IR_LE:
        return (sa <= sb) != (c & 1);
    case IR_LTU:
        return (a < b) != (c & 1);
    case IR_LEU:
        return (a <= b) != (c & 1);
    default:
        return ((a & b) != 0) != (c & 1);
    }
}

static bool same_bytes(int64_t x)
{
    return x == (int32_t)x;
}

/* Base and index of a memory operand: sums and constants move into the displacement. */
static void fold_address(const struct pass *p, struct ir_op *op)
{
    bool a32 = op->aux & MO_A32;
    int64_t imm;

    if ((op->aux & MO_INDEX) && is_const(p, op->c, &imm)) {
        int64_t disp = op->imm + (int64_t)((uint64_t)imm << (op->aux >> MO_SCALE & 3));
        if (same_bytes(disp)) {
            op->imm = disp;
            op->c = IR_NONE;
            op->aux &= (uint16_t) ~(MO_INDEX | 3u << MO_SCALE);
        }
    }
    for (unsigned k = 0; k < 4 && op->a != IR_NONE; k++) {
        const struct value *v = &p->val[op->a];
        int64_t disp = (int64_t)((uint64_t)op->imm + (uint64_t)v->imm);
        if (v->known == K_CONST && same_bytes(a32 ? (int32_t)disp : disp)) {
            op->a = IR_NONE;
            op->imm = a32 ? (int32_t)disp : disp;
        } else if ((v->known == K_ADD || (v->known == K_ADD32 && a32)) && op->a >= TCG_REG_TEMP &&
                   current(p, v) && same_bytes(a32 ? (int32_t)disp : disp)) {
            op->a = v->src;
            op->imm = a32 ? (int32_t)disp : disp;
        } else {
            break;
        }
    }
}

static void simplify(const struct pass *p, struct ir_op *op)
{
    uint16_t attr = ir_opinfo[op->opc].attr;
    int64_t imm, a, b;

    if (attr & IRA_MEM) {
        fold_address(p, op);
    }
    if ((attr & IRA_BIMM) && !is_bimm(op) && op->b != IR_NONE) {
        if (op->opc == IR_ST || op->opc == IR_STENV || op->opc == IR_CC) {
            if (is_const(p, op->b, &imm)) {
                op->imm2 = imm;
                op->b = IR_NONE;
                op->flags |= IR_BIMM;
            }
        } else if (is_const(p, op->b, &imm)) {
            op->imm = imm;
            op->b = IR_NONE;
            op->flags |= IR_BIMM;
        } else if (commutes(op->opc) && is_const(p, op->a, &imm)) {
            op->imm = imm;
            op->a = op->b;
            op->b = IR_NONE;
            op->flags |= IR_BIMM;
        }
    }
    if ((attr & (IRA_PURE | IRA_D)) != (IRA_PURE | IRA_D) || !(attr & IRA_A) || (attr & IRA_VA)) {
        return;
    }
    if (op->opc == IR_SETCOND) {
        if (is_bimm(op) && is_const(p, op->a, &a)) {
            make_movi(op, holds(op->aux, op->w, (uint64_t)a, (uint64_t)op->imm));
        }
        return;
    }
    if (is_const(p, op->a, &a) && (!(attr & IRA_B) || is_bimm(op))) {
        b = is_bimm(op) ? op->imm : 0;
        if (!(attr & IRA_C) && fold(op, (uint64_t)a, (uint64_t)b, &imm)) {
            make_movi(op, imm);
            return;
        }
    }
    if (!is_bimm(op) && (attr & IRA_B) && op->a == op->b) {
        if (op->opc == IR_XOR || op->opc == IR_SUB) {
            make_movi(op, 0);
        } else if (op->opc == IR_AND || op->opc == IR_OR) {
            make_mov(op, op->w, op->a);
        }
        return;
    }
    if (is_bimm(op) && op->opc == IR_SUB) { /* one form of sums is enough */
        op->opc = IR_ADD;
        op->imm = (int64_t) - (uint64_t)op->imm;
    }
    if (is_bimm(op) && op->imm == 0 &&
        (op->opc == IR_ADD || op->opc == IR_OR || op->opc == IR_XOR || op->opc == IR_SHL ||
         op->opc == IR_SHR || op->opc == IR_SAR)) {
        make_mov(op, op->w, op->a);
        return;
    }
    if (is_bimm(op) && op->opc == IR_ADD && op->a >= TCG_REG_TEMP) {
        const struct value *v = &p->val[op->a];
        int64_t sum = (int64_t)((uint64_t)op->imm + (uint64_t)v->imm);
        if ((v->known == K_ADD || (v->known == K_ADD32 && op->w == W32)) && current(p, v) &&
            same_bytes(op->w == W32 ? (int32_t)sum : sum)) {
            op->a = v->src;
            op->imm = op->w == W32 ? (int32_t)sum : sum;
        }
    }
    /* Two shifts in a row: x86's flags want the value before the last bit, mostly for nothing. */
    if (is_bimm(op) && is_shift(op->opc) && op->a >= TCG_REG_TEMP) {
        const struct value *v = &p->val[op->a];
        unsigned n = (unsigned)(op->imm & 0xff) + (unsigned)(v->imm & 0xff);
        if (v->known == K_SHIFT && current(p, v) &&
            (v->imm & ~0xff) == SHIFT_IMM(op->opc, op->w, 0) && op->imm >= 0 &&
            n < (op->w == W64 ? 64u : 32u)) {
            op->a = v->src;
            op->imm = n;
        }
    }
    /* Extensions that change nothing. */
    static const uint8_t keeps[IR_NOPS] = {[IR_EXT8U] = 8, [IR_EXT16U] = 16, [IR_EXT32U] = 32};
    unsigned kept = op->opc == IR_MOV && op->w == W32 ? 32 : keeps[op->opc];
    if (kept && p->val[op->a].bits <= kept) {
        make_mov(op, W64, op->a);
    } else if (op->opc == IR_EXT32U) {
        make_mov(op, W32, op->a);
    }
}

static unsigned length(uint64_t x)
{
    return x ? 64 - (unsigned)__builtin_clzll(x) : 0;
}

/* Number of low bits outside of which op's result is zero. */
static unsigned result_bits(const struct pass *p, const struct ir_op *op)
{
    unsigned size = 8u << (op->aux & MO_SIZE), a;

    switch (op->opc) {
    case IR_MOVI:
        return length((uint64_t)op->imm);
    case IR_EXT8U:
        return 8;
    case IR_EXT16U:
        return 16;
    case IR_EXT32U:
        return 32;
    case IR_SETCOND:
        return 1;
    case IR_CLZ:
    case IR_CTZ:
    case IR_POPCNT:
        return 7;
    case IR_EXTRACT:
        return (unsigned)(op->imm >> 8);
    case IR_LD:
        return !(op->aux & MO_SIGN) ? size : op->w == W32 && size < 64 ? 32 : 64;
    case IR_LDENV:
        return !(op->aux & MO_SIGN) ? size : 64;
    case IR_MOV:
        a = p->val[op->a].bits;
        return op->w == W32 && a > 32 ? 32 : a;
    case IR_AND:
        a = p->val[op->a].bits;
        if (is_bimm(op)) {
            unsigned b = length((uint64_t)narrow(op->w, (uint64_t)op->imm));
            a = b < a ? b : a;
        }
        return op->w == W32 && a > 32 ? 32 : a;
    case IR_CALL:
    case IR_ATOMIC:
    case IR_CMPXCHG:
    case IR_VGET:
        return 64;
    default:
        return (ir_opinfo[op->opc].attr & IRA_WIDTH) && op->w == W32 ? 32 : 64;
    }
}

static bool is_cc_reg(ir_reg r)
{
    return r >= TCG_REG_CC_OP && r <= TCG_REG_CC_C;
}

/* The CC register r was set from src (which may be a CC register before it was overwritten). */
static void knows_cc(struct pass *p, ir_reg r, ir_reg src)
{
    if (src != IR_NONE && !is_cc_reg(src)) {
        knows(p, r, K_COPY, src, 0);
        p->val[r].bits = p->val[src].bits;
    }
}

static void learn(struct pass *p, const struct ir_op *op, uint32_t at)
{
    uint16_t attr = ir_opinfo[op->opc].attr;
    unsigned bits;

    if (op->opc == IR_CC) {
        struct value a = {.since = at, .bits = 64};
        for (ir_reg r = TCG_REG_CC_OP; r <= TCG_REG_CC_C; r++) {
            if (r != TCG_REG_CC_C || op->c != IR_NONE) {
                p->version[r]++;
                p->def[r] = at;
                p->val[r] = a;
            }
        }
        knows(p, TCG_REG_CC_OP, K_CONST, 0, op->imm);
        knows_cc(p, TCG_REG_CC_A, op->a);
        if (is_bimm(op)) {
            knows(p, TCG_REG_CC_B, K_CONST, 0, op->imm2);
        } else {
            knows_cc(p, TCG_REG_CC_B, op->b);
        }
        knows_cc(p, TCG_REG_CC_C, op->c);
        return;
    }
    if (op->opc == IR_CALL && (helper_flags_of(op) & HELPER_WRITES)) {
        for (ir_reg r = 0; r < TCG_REG_TEMP; r++) {
            written(p, r, at);
        }
    }
    if (!(attr & IRA_D) || op->d == IR_NONE) {
        return;
    }
    bits = result_bits(p, op);
    written(p, op->d, at);
    p->val[op->d].bits = (uint8_t)bits;
    switch (op->opc) {
    case IR_MOVI:
        knows(p, op->d, K_CONST, 0, op->imm);
        break;
    case IR_MOVPC:
        knows(p, op->d, K_ADD, TCG_REG_PC, op->imm);
        break;
    case IR_MOV:
        knows(p, op->d, op->w == W64 ? K_COPY : K_COPY32, op->a, 0);
        break;
    case IR_ADD:
        if (is_bimm(op)) {
            knows(p, op->d, op->w == W64 ? K_ADD : K_ADD32, op->a, op->imm);
        }
        break;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
        if (is_bimm(op) && op->imm >= 0 && op->imm < (op->w == W64 ? 64 : 32)) {
            knows(p, op->d, K_SHIFT, op->a, SHIFT_IMM(op->opc, op->w, op->imm));
        }
        break;
    default:
        break;
    }
}

/* ---- computing in place: t = op ...; g = t ---- */

/* t, made before `at`, is read no more after `from` except where reading g would do: g is not
 * written before t's last use. */
static bool gone_before(const struct pass *p, ir_reg t, ir_reg g, uint32_t from)
{
    uint32_t end = from + MAX_COALESCE;

    for (uint32_t i = from; i < p->ir->nops && i < end; i++) {
        const struct ir_op *op = &p->ir->ops[i];
        if (p->last_use[t] < i) {
            return true;
        }
        if (op->opc == NOP_OPC) {
            continue;
        }
        if (branches(op) || (ir_opinfo[op->opc].attr & IRA_EXIT)) {
            return false;
        }
        if (writes(op, t)) {
            return !reads(op, t) || !writes(op, g);
        }
        if (writes(op, g) ||
            (op->opc == IR_CALL && g < TCG_REG_TEMP && (helper_flags_of(op) & HELPER_WRITES))) {
            /* From here on g is something else; t must be gone. */
            for (uint32_t k = i + 1; k < p->ir->nops && k < end; k++) {
                const struct ir_op *o = &p->ir->ops[k];
                if (p->last_use[t] < k) {
                    return true;
                }
                if (o->opc == NOP_OPC) {
                    continue;
                }
                if (reads(o, t) || branches(o)) {
                    return false;
                }
                if (writes(o, t)) {
                    return true;
                }
            }
            return false;
        }
    }
    return p->last_use[t] < end || p->ir->nops <= end;
}

static void rename_uses(struct ir_op *op, ir_reg from, ir_reg to)
{
    ir_reg *use[3];
    unsigned n = uses(op, use);

    for (unsigned i = 0; i < n; i++) {
        if (*use[i] == from) {
            *use[i] = to;
        }
    }
    if (op->opc == IR_MOVCOND && (ir_reg)op->imm == from) {
        op->imm = to;
    }
}

static bool can_move(const struct ir_op *op)
{
    uint16_t attr = ir_opinfo[op->opc].attr;

    return (attr & IRA_PURE) && op->opc != IR_LDENV && !(attr & (IRA_VA | IRA_VD));
}

/* ops[at] is g = t: lets the op that makes t write g. Either there (nobody in between looks at g),
 * or by moving it here (nobody in between needs t, or changes what it is made of). */
static bool coalesce(struct pass *p, uint32_t at)
{
    struct ir_op *mov = &p->ir->ops[at], *def;
    ir_reg g = mov->d, t = mov->a;
    uint32_t k = p->def[t];
    bool in_place = true, move = true;
    struct value v = p->val[t];

    if (t < TCG_REG_TEMP || g == t || p->stuck[t] || k < p->barrier || k >= at ||
        at - k > MAX_COALESCE || k == UINT32_MAX) {
        return false;
    }
    def = &p->ir->ops[k];
    if (def->opc == NOP_OPC || !(ir_opinfo[def->opc].attr & IRA_D) || def->d != t ||
        (mov->w == W32 && v.bits > 32) ||
        (def->opc == IR_CALL && g < TCG_REG_TEMP && helper_flags_of(def) & HELPER_WRITES)) {
        return false;
    }
    move = can_move(def) && !reads(def, t);
    for (uint32_t i = k + 1; i < at && (in_place || move); i++) {
        const struct ir_op *op = &p->ir->ops[i];
        if (op->opc == NOP_OPC) {
            continue;
        }
        if (sees_guest(op) && g < TCG_REG_TEMP) {
            in_place = false;
        }
        if (reads(op, g) || writes(op, g)) {
            in_place = false;
        }
        if (reads(op, t)) {
            move = false;
        }
        ir_reg *src[3];
        unsigned n = uses(def, src);
        for (unsigned s = 0; s < n && move; s++) {
            move = !writes(op, *src[s]);
        }
        if (def->opc == IR_MOVCOND && writes(op, (ir_reg)def->imm)) {
            move = false;
        }
        if (op->opc == IR_CALL && (helper_flags_of(op) & HELPER_WRITES)) {
            move = in_place = false;
        }
    }
    if ((!in_place && !move) || !gone_before(p, t, g, at + 1)) {
        return false;
    }
    if (in_place) {
        for (uint32_t i = k + 1; i < at; i++) {
            if (p->ir->ops[i].opc != NOP_OPC) {
                rename_uses(&p->ir->ops[i], t, g);
            }
        }
        def->d = g;
        mov->opc = NOP_OPC;
        /* CC registers that were known as copies of t are now copies of g, from here on. */
        p->version[g]++;
        p->def[g] = k;
    } else {
        ir_reg d = mov->d;
        *mov = *def;
        mov->d = d;
        def->opc = NOP_OPC;
        p->version[g]++;
        p->def[g] = at;
    }
    /* What was known of t is known of g, unless it was about g itself. */
    p->val[g] = (struct value){.since = at, .bits = v.bits};
    if (v.known == K_CONST || (v.known != K_NOTHING && v.src != g && current(p, &v))) {
        p->val[g] = v;
        p->val[g].since = at;
    }
    for (ir_reg r = TCG_REG_CC_A; r <= TCG_REG_CC_C; r++) {
        struct value *cc = &p->val[r];
        if (cc->known == K_COPY && cc->src == t && current(p, cc)) {
            cc->src = g;
            cc->src_version = p->version[g];
        }
    }
    p->stuck[g] = p->last_use[t] > at;
    p->version[t]++;
    p->val[t] = (struct value){
        .known = K_COPY, .src = g, .src_version = p->version[g], .since = at, .bits = v.bits};
    p->def[t] = UINT32_MAX; /* never again in place */
    return true;
}

/* ---- the walk ---- */

static void at_label(struct pass *p, const struct ir_op *op, uint32_t at)
{
    const struct label_info *l = &p->labels[op->imm];

    for (unsigned r = 0; r < p->nregs; r++) {
        if (l->backward || p->val[r].since >= l->first_branch) {
            p->val[r] = (struct value){.since = at, .bits = 64};
        }
    }
    p->barrier = at + 1;
}

static void prepare(struct pass *p)
{
    struct ir *ir = p->ir;

    for (unsigned i = 0; i < ir->nlabels; i++) {
        p->labels[i].first_branch = UINT32_MAX;
        p->labels[i].position = UINT32_MAX;
    }
    for (unsigned i = 0; i < ir->nops; i++) {
        struct ir_op *op = &ir->ops[i];
        ir_reg *use[3];
        unsigned n;
        if (op->opc == IR_INSN) {
            continue;
        }
        n = uses(op, use);
        for (unsigned k = 0; k < n; k++) {
            p->last_use[*use[k]] = i;
        }
        if (op->opc == IR_MOVCOND) {
            p->last_use[(ir_reg)op->imm] = i;
        }
        if (op->opc == IR_LABEL) {
            p->labels[op->imm].position = i;
        } else if (op->opc == IR_BR || op->opc == IR_BRCOND) {
            struct label_info *l = &p->labels[op->opc == IR_BR ? op->imm : op->d];
            if (l->first_branch == UINT32_MAX) {
                l->first_branch = i;
            }
            if (l->position != UINT32_MAX) { /* a loop: what it reads, it reads again */
                l->backward = p->loops = true;
                for (unsigned r = TCG_REG_TEMP; r < p->nregs; r++) {
                    if (p->last_use[r] >= l->position) {
                        p->last_use[r] = i;
                    }
                }
            }
        }
    }
}

static void forward(struct pass *p)
{
    struct ir *ir = p->ir;

    for (uint32_t i = 0; i < ir->nops; i++) {
        struct ir_op *op = &ir->ops[i];

        if (op->opc == IR_INSN) {
            continue;
        }
        if (op->opc == IR_LABEL) {
            at_label(p, op, i);
            continue;
        }
        replace_operands(p, op);
        simplify(p, op);
        if (op->opc == IR_BRCOND && is_bimm(op)) {
            int64_t a;
            if (is_const(p, op->a, &a)) {
                if (holds(op->aux, op->w, (uint64_t)a, (uint64_t)op->imm)) {
                    *op = (struct ir_op){.opc = IR_BR,
                                         .imm = op->d,
                                         .d = IR_NONE,
                                         .a = IR_NONE,
                                         .b = IR_NONE,
                                         .c = IR_NONE};
                } else {
                    op->opc = NOP_OPC;
                    continue;
                }
            }
        }
        if (op->opc == IR_BR || op->opc == IR_BRCOND || (ir_opinfo[op->opc].attr & IRA_EXIT)) {
            p->barrier = i + 1;
            continue;
        }
        if (op->opc == IR_MOV) {
            if (op->w == W64 && op->d == op->a) {
                op->opc = NOP_OPC;
                continue;
            }
            if (coalesce(p, i)) {
                continue;
            }
        }
        learn(p, op, i);
    }
}

/* ---- backward ---- */

struct set {
    uint64_t w[TCG_NREGS / 64];
};

static inline void set_add(struct set *s, ir_reg r)
{
    s->w[r / 64] |= UINT64_C(1) << (r % 64);
}
static inline void set_del(struct set *s, ir_reg r)
{
    s->w[r / 64] &= ~(UINT64_C(1) << (r % 64));
}
static inline bool set_has(const struct set *s, ir_reg r)
{
    return s->w[r / 64] >> (r % 64) & 1;
}

#define CC_BITS    (UINT64_C(15) << TCG_REG_CC_OP)
#define GUEST_BITS ((UINT64_C(1) << TCG_REG_TEMP) - 1)

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

static void cc_live(struct back *b)
{
    b->now.cc = CC_LIVE;
}

/* A CC op that only faults can see: may it live in the map alone? */
static bool mappable(const struct back *b, const struct ir_op *op)
{
    const ir_reg r[3] = {op->a, is_bimm(op) ? IR_NONE : op->b, op->c};

    for (unsigned i = 0; i < 3; i++) {
        if (r[i] != IR_NONE && (b->next_write[r[i]] < b->last_fault || is_cc_reg(r[i]))) {
            return false;
        }
    }
    return op->a != IR_NONE;
}

static void back_op(struct back *b, struct ir_op *op, uint32_t at)
{
    uint16_t attr = ir_opinfo[op->opc].attr;
    struct live *now = &b->now;
    ir_reg *use[3];
    unsigned n;

    if (op->opc == IR_CC) {
        if (now->cc == CC_DEAD) {
            op->opc = NOP_OPC;
            return;
        }
        if (now->cc == CC_FAULT && mappable(b, op)) {
            op->flags |= IR_CC_MAP;
        }
        now->cc = CC_DEAD;
        for (ir_reg r = TCG_REG_CC_OP; r <= TCG_REG_CC_C; r++) {
            if (!(op->flags & IR_CC_MAP)) {
                b->next_write[r] = at;
            }
        }
    } else if ((attr & IRA_D) && op->d != IR_NONE) {
        if (op->d >= TCG_REG_CC_OP && op->d <= TCG_REG_CC_C) {
            cc_live(b); /* written one by one: kept */
        } else {
            if (pure(op) && !set_has(&now->regs, op->d)) {
                op->opc = NOP_OPC;
                return;
            }
            set_del(&now->regs, op->d);
        }
        b->next_write[op->d] = at;
    }
    if (op->opc == IR_CALL) {
        unsigned flags = helper_flags_of(op);
        if (flags & HELPER_WRITES) {
            for (ir_reg r = 0; r < TCG_REG_TEMP; r++) {
                b->next_write[r] = at;
            }
        }
        if (flags & (HELPER_READS | HELPER_WRITES)) {
            cc_live(b);
            now->regs.w[0] |= GUEST_BITS;
        }
    }
    if (faults(op)) {
        now->regs.w[0] |= GUEST_BITS;
        if (now->cc == CC_DEAD) {
            now->cc = CC_FAULT;
            b->last_fault = at;
        }
    }
    n = uses(op, use);
    for (unsigned i = 0; i < n; i++) {
        if (*use[i] >= TCG_REG_CC_OP && *use[i] <= TCG_REG_CC_C) {
            cc_live(b);
        } else {
            set_add(&now->regs, *use[i]);
        }
    }
    if (op->opc == IR_MOVCOND) {
        ir_reg no = (ir_reg)op->imm;
        if (no >= TCG_REG_CC_OP && no <= TCG_REG_CC_C) {
            cc_live(b);
        } else {
            set_add(&now->regs, no);
        }
    }
}

static void everything(struct live *l)
{
    memset(&l->regs, 0xff, sizeof(l->regs));
    l->cc = CC_LIVE;
}

/* Behind op `at` anything may have been written. */
static void written_from(struct back *b, uint32_t at)
{
    for (unsigned r = 0; r < b->nregs; r++) {
        b->next_write[r] = at;
    }
}

static void backward(struct back *b)
{
    struct ir *ir = b->ir;

    for (unsigned i = 0; i < ir->nlabels; i++) {
        everything(&b->at_label[i]); /* until it is passed: branches back see this */
    }
    for (uint32_t i = ir->nops; i-- > 0;) {
        struct ir_op *op = &ir->ops[i];
        const struct live *to;

        if (op->opc == NOP_OPC || op->opc == IR_INSN) {
            continue;
        }
        if (ir_opinfo[op->opc].attr & IRA_EXIT) {
            memset(&b->now, 0, sizeof(b->now));
            b->now.regs.w[0] = GUEST_BITS;
            b->now.cc = CC_LIVE;
            if (op->opc == IR_EXIT_IND) {
                set_add(&b->now.regs, op->a);
            }
            continue;
        }
        switch (op->opc) {
        case IR_LABEL:
            if (b->now.cc == CC_FAULT) {
                cc_live(b); /* the map knows one way to here only */
            }
            b->at_label[op->imm] = b->now;
            written_from(b, i);
            break;
        case IR_BR:
            b->now = b->at_label[op->imm];
            written_from(b, i);
            break;
        case IR_BRCOND:
            to = &b->at_label[op->d];
            for (unsigned k = 0; k < TCG_NREGS / 64; k++) {
                b->now.regs.w[k] |= to->regs.w[k];
            }
            if (to->cc > b->now.cc) {
                b->now.cc = to->cc;
            }
            back_op(b, op, i);
            break;
        default:
            back_op(b, op, i);
            break;
        }
    }
}

static void compact(struct ir *ir)
{
    unsigned n = 0;

    for (unsigned i = 0; i < ir->nops; i++) {
        if (ir->ops[i].opc != NOP_OPC) {
            if (n != i) {
                ir->ops[n] = ir->ops[i];
            }
            n++;
        }
    }
    ir->nops = n;
}

/* ---- afterwards ---- */

/* Moves whose source is needed by nothing else any more, now that what only looked at it is gone:
 * t = op ...; g = t becomes g = op .... */
static void tidy(struct ir *ir)
{
    bool changed = false;

    for (uint32_t i = 1; i < ir->nops; i++) {
        struct ir_op *mov = &ir->ops[i], *def = NULL;
        ir_reg g = mov->d, t = mov->a;

        if (mov->opc != IR_MOV || mov->w != W64 || t < TCG_REG_TEMP || g == t) {
            continue;
        }
        for (uint32_t k = i; k-- > 0 && i - k <= MAX_COALESCE;) {
            struct ir_op *op = &ir->ops[k];
            if (op->opc == NOP_OPC) {
                continue;
            }
            if (writes(op, t)) {
                def = (ir_opinfo[op->opc].attr & IRA_D) && op->opc != IR_CALL ? op : NULL;
                break;
            }
            if (branches(op) || (ir_opinfo[op->opc].attr & IRA_EXIT) || reads(op, t) ||
                reads(op, g) || writes(op, g) || sees_guest(op)) {
                break;
            }
        }
        if (!def) {
            continue;
        }
        bool straight = true; /* a write behind a branch is not on every way */
        for (uint32_t k = i + 1; k < ir->nops && def; k++) {
            const struct ir_op *op = &ir->ops[k];
            if (op->opc == NOP_OPC) {
                continue;
            }
            if (reads(op, t)) {
                def = NULL;
            } else if (straight && writes(op, t)) {
                break;
            }
            straight = straight && !branches(op);
        }
        if (def) {
            def->d = g;
            mov->opc = NOP_OPC;
            changed = true;
        }
    }
    if (changed) {
        compact(ir);
    }
}

/* One more than the highest integer register named; labels and vector registers count too, which
 * does no harm. IR_NONE plus one is zero. */
static unsigned count_regs(const struct ir *ir)
{
    unsigned n = TCG_REG_TEMP;

    for (unsigned i = 0; i < ir->nops; i++) {
        const struct ir_op *op = &ir->ops[i];
        if (op->opc == IR_INSN) {
            continue;
        }
        unsigned d = (ir_reg)(op->d + 1), a = (ir_reg)(op->a + 1), b = (ir_reg)(op->b + 1),
                 c = (ir_reg)(op->c + 1);
        unsigned x = d > a ? d : a, y = b > c ? b : c;
        x = x > y ? x : y;
        n = x > n ? x : n;
        if (op->opc == IR_MOVCOND && (unsigned)op->imm + 1 > n) {
            n = (unsigned)op->imm + 1;
        }
    }
    return n < TCG_NREGS ? n : TCG_NREGS;
}

enum { FEW_LABELS = 32 };

void ir_optimize(struct ir *ir)
{
    struct label_info few_labels[FEW_LABELS], *labels = few_labels;
    struct live few_live[FEW_LABELS], *at_label = few_live;
    unsigned n = count_regs(ir);
    struct pass p;
    struct back b;

    if (ir->nlabels > FEW_LABELS) {
        labels = malloc(ir->nlabels * sizeof(*labels));
        at_label = malloc(ir->nlabels * sizeof(*at_label));
        if (!labels || !at_label) {
            abort();
        }
    }
    memset(labels, 0, ir->nlabels * sizeof(*labels));
    p.ir = b.ir = ir;
    p.nregs = b.nregs = n;
    p.labels = labels;
    p.barrier = 0;
    p.loops = false;
    memset(p.version, 0, n * sizeof(p.version[0]));
    memset(p.def, 0xff, n * sizeof(p.def[0]));
    memset(p.last_use, 0, n * sizeof(p.last_use[0]));
    memset(p.stuck, 0, n * sizeof(p.stuck[0]));
    for (unsigned r = 0; r < n; r++) {
        p.val[r] = (struct value){.bits = 64};
    }
    prepare(&p);
    forward(&p);

    b.at_label = at_label;
    memset(&b.now, 0, sizeof(b.now));
    memset(b.next_write, 0xff, n * sizeof(b.next_write[0]));
    backward(&b);
    compact(ir);
    if (!p.loops) { /* else "needed afterwards" is not what follows */
        tidy(ir);
    }
    if (labels != few_labels) {
        free(labels);
        free(at_label);
    }
}
