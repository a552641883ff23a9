/* The walk forward: known constants, copies and register-plus-constant sums replace operands;
 * results that are only moved on are computed in place. Knowledge survives a label that only
 * forward branches reach as far as it is older than the first of them. */
#include "tcg/passes.h"

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

void pass_forward(struct pass *p)
{
    struct ir *ir = p->ir;

    prepare(p);
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
        pass_simplify(p, op);
        if (op->opc == IR_BRCOND && is_bimm(op)) {
            int64_t a;
            if (is_const(p, op->a, &a)) {
                if (pass_holds(op->aux, op->w, (uint64_t)a, (uint64_t)op->imm)) {
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
            if (pass_coalesce(p, i)) {
                continue;
            }
        }
        learn(p, op, i);
    }
}
