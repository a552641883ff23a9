/* Lowering of common pairs and triples of ops to one slot: stack operations, flags with what makes
 * or reads them, two moves. */
#include "tcg/interp/lower.h"

/* op moves its register by imm (as d += imm in width w). */
static bool moves(const struct ir_op *op, ir_reg r, enum ir_width w, int64_t imm)
{
    return op->opc == IR_ADD && op->w == w && (op->flags & IR_BIMM) && op->d == r && op->a == r &&
           (w == W64 ? op->imm : (int32_t)op->imm) == imm;
}

/* Width of a stack access that has a handler: 64 bits, or 32 with a 32-bit address; -1: neither. */
static int stack_width(const struct ir_op *op)
{
    if ((op->aux & ~MO_A32) == MO_64 && !(op->aux & MO_A32)) {
        return W64;
    }
    return op->aux == (MO_32 | MO_A32) ? W32 : -1;
}

/* store below r; r -= size: push; with the return address and an exit behind it: call. */
unsigned lower_try_push(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i];
    int w = stack_width(op);
    int64_t disp = w == W32 ? (int32_t)op->imm : op->imm;

    if (w < 0 || (op->flags & IR_BIMM) || op->a == IR_NONE || op->a == TCG_REG_PC ||
        i + 1 >= l->ir->nops || !fits32(disp) || !moves(&op[1], op->a, (enum ir_width)w, disp)) {
        return 0;
    }
    emit_imm(l, iop_push[w], off(op->b), off(op->a), disp);
    return 2;
}

unsigned lower_try_call(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i], *st = &op[1], *exit = &op[3];
    bool ind;
    int w;

    if (i + 3 >= l->ir->nops || l->ir->no_link || st->opc != IR_ST || st->b != op->d ||
        (st->flags & IR_BIMM) || st->a == op->d || st->a == IR_NONE || op->d < TCG_REG_TEMP ||
        !fits32(op->imm)) {
        return 0;
    }
    ind = exit->opc == IR_EXIT_IND;
    w = stack_width(st);
    if (w < 0 || (!ind && (exit->opc != IR_EXIT_TB || !fits32(exit->imm))) ||
        (ind && exit->a == op->d) || wrap_of(exit) != (w == W64 ? 0 : 1) ||
        (w == W64 ? st->imm : (int32_t)st->imm) != (w == W64 ? -8 : -4) ||
        !moves(&op[2], st->a, (enum ir_width)w, w == W64 ? -8 : -4)) {
        return 0;
    }
    emit_imm(l, iop_pushpc[w][ind], 0, off(st->a), op->imm);
    if (ind) {
        emit(l, iop_exit_ind[wrap_of(exit)], 0, off(exit->a), 0, 0);
    } else {
        lower_exit_tb(l, exit);
    }
    lower_exit_slots(l, slot(l, iop_misc.nop), true);
    return 4;
}

/* load off r; r += imm: pop; with an indirect exit behind it: return. */
unsigned lower_try_pop(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i];
    int w = stack_width(op);
    int64_t imm;

    if (w < 0 || op->imm || op->a == IR_NONE || op->d == op->a || i + 1 >= l->ir->nops ||
        op[1].opc != IR_ADD || !(op[1].flags & IR_BIMM)) {
        return 0;
    }
    imm = w == W64 ? op[1].imm : (int32_t)op[1].imm;
    if (!fits32(imm) || !moves(&op[1], op->a, (enum ir_width)w, imm)) {
        return 0;
    }
    if (i + 2 < l->ir->nops && op[2].opc == IR_EXIT_IND && op[2].a == op->d &&
        op->d >= TCG_REG_TEMP && !l->ir->no_link && wrap_of(&op[2]) == (w == W64 ? 0 : 1)) {
        emit_imm(l, iop_ret[w], 0, off(op->a), imm);
        return 3;
    }
    emit_imm(l, iop_pop[w], off(op->d), off(op->a), imm);
    return 2;
}

/* t = a >> 47; to L when t is 0; to L when t is -1: one test. */
static bool is_small_test(const struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i];

    if (i + 2 >= l->ir->nops || op->opc != IR_SAR || op->w != W64 || !(op->flags & IR_BIMM) ||
        op->imm != 47 || op->d < TCG_REG_TEMP) {
        return false;
    }
    for (unsigned k = 1; k <= 2; k++) {
        if (op[k].opc != IR_BRCOND || op[k].w != W64 || op[k].aux != IR_EQ ||
            !(op[k].flags & IR_BIMM) || op[k].a != op->d || op[k].d != op[1].d) {
            return false;
        }
    }
    if (op[1].imm + op[2].imm != -1 || (op[1].imm != 0 && op[1].imm != -1)) {
        return false;
    }
    for (unsigned k = i + 3; k < l->ir->nops; k++) { /* t must be needed for nothing else */
        const struct ir_op *o = &l->ir->ops[k];
        if (o->a == op->d || o->b == op->d || o->c == op->d ||
            (o->opc == IR_MOVCOND && (ir_reg)o->imm == op->d)) {
            return false;
        }
    }
    return true;
}

unsigned lower_try_small_test(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i];
    union iop *s;

    if (!is_small_test(l, i)) {
        return 0;
    }
    s = slot(l, iop_br_small);
    s->a = off(op->a);
    lower_branch_to(l, s, op[1].d);
    return 3;
}

/* A return that checks its target: [load t; test as above; call; label; r += imm; exit to t]. One
 * slot that does it all or, when the target fails the test or the load is slow, nothing: then the
 * plain slots behind it do it. */
void lower_try_checked_return(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i];

    if (i + 7 >= l->ir->nops || l->ir->no_link || stack_width(op) != W64 || op->imm ||
        op->a == IR_NONE || op->d < TCG_REG_TEMP || op[1].a != op->d || !is_small_test(l, i + 1) ||
        op[4].opc != IR_CALL || op[4].d != IR_NONE || op[5].opc != IR_LABEL ||
        op[5].imm != op[2].d || op[6].opc != IR_ADD || !(op[6].flags & IR_BIMM) ||
        !fits32(op[6].imm) || !moves(&op[6], op->a, W64, op[6].imm) || op[7].opc != IR_EXIT_IND ||
        op[7].a != op->d || wrap_of(&op[7])) {
        return;
    }
    emit_imm(l, iop_ret_small, 0, off(op->a), op[6].imm);
}

static bool flags_fusable(const struct ir_op *cc)
{
    return cc->opc == IR_CC && !(cc->flags & IR_CC_MAP) && cc->a != IR_NONE && cc->c == IR_NONE &&
           cc->imm >= 0 && cc->imm <= UINT16_MAX;
}

static int64_t imm_of(const struct ir_op *op)
{
    return op->w == W64 ? op->imm : (int32_t)op->imm;
}

/* d = d OP b, then flags of the result. */
unsigned lower_try_alu_cc(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i], *cc = &op[1];
    bool bimm = op->flags & IR_BIMM, logic = op->opc != IR_ADD, ccimm;
    iop_fn fn;

    if (i + 1 >= l->ir->nops || op->d != op->a || op->opc == IR_SUB || !flags_fusable(cc) ||
        cc->a != op->d) {
        return 0;
    }
    ccimm = cc->flags & IR_BIMM;
    fn = iop_alu_cc[op->opc][op->w]
                   [logic ? (bimm ? CCF_RI_A : CCF_RR_A) : (bimm ? CCF_RI_AB : CCF_RR_AB)];
    if (!fn || (bimm && !fits32(imm_of(op))) ||
        (logic  ? ccimm || cc->b != IR_NONE
         : bimm ? !ccimm || cc->imm2 != imm_of(op)
                : ccimm || cc->b != op->b || op->b == op->d)) {
        return 0;
    }
    if (bimm) {
        emit_imm(l, fn, off(op->d), (uint16_t)cc->imm, imm_of(op));
    } else {
        emit(l, fn, off(op->d), (uint16_t)cc->imm, off(op->b), 0);
    }
    lower_map_cc(l, NULL);
    return 2;
}

/* Flags of a - b, then a -= b. */
unsigned lower_try_cc_sub(struct lower *l, unsigned i)
{
    const struct ir_op *cc = &l->ir->ops[i], *op = &cc[1];
    bool ccimm = cc->flags & IR_BIMM;

    if (i + 1 >= l->ir->nops || !flags_fusable(cc) || op->d != op->a || op->a != cc->a) {
        return 0;
    }
    if (ccimm && op->opc == IR_ADD && (op->flags & IR_BIMM) && fits32(cc->imm2) &&
        (op->w == W64 ? op->imm == -cc->imm2 : (uint32_t)op->imm == -(uint32_t)cc->imm2)) {
        emit_imm(l, iop_alu_cc[IR_SUB][op->w][CCF_RI_AB], off(op->d), (uint16_t)cc->imm, cc->imm2);
    } else if (!ccimm && op->opc == IR_SUB && !(op->flags & IR_BIMM) && cc->b == op->b) {
        emit(l, iop_alu_cc[IR_SUB][op->w][CCF_RR_AB], off(op->d), (uint16_t)cc->imm, off(op->b), 0);
    } else {
        return 0;
    }
    lower_map_cc(l, NULL);
    return 2;
}

/* Two whole moves, maybe of two instructions. */
unsigned lower_try_mov_mov(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i], *next = &op[1];
    unsigned n = 2;

    if (op->w != W64) {
        return 0;
    }
    if (i + n < l->ir->nops && next->opc == IR_INSN) {
        next++;
        n++;
    }
    if (i + n > l->ir->nops || next->opc != IR_MOV || next->w != W64) {
        return 0;
    }
    emit(l, iop_mov_mov, off(op->d), off(op->a), off(next->d), off(next->a));
    if (n == 3) {
        lower_map_insn(l, &op[1]);
    }
    return n;
}

/* brcond to L; exit; L: exit, maybe after a cc of the same operands. Returns ops taken; 0: not one.
 */
unsigned lower_try_brx(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i], *cc = NULL;
    unsigned n = 4;
    enum brx form;
    unsigned wrap;
    uint16_t kind = 0;

    if (op->opc == IR_CC) {
        if ((op->flags & IR_CC_MAP) || op->a == IR_NONE || op->c != IR_NONE || op->imm < 0 ||
            op->imm > UINT16_MAX) {
            return 0;
        }
        cc = op++;
        n++;
        while (i + n < l->ir->nops && op->opc == IR_INSN) { /* cmp and jcc are two instructions */
            op++;
            n++;
        }
    }
    if (i + n > l->ir->nops || l->ir->no_link || op[0].opc != IR_BRCOND ||
        op[1].opc != IR_EXIT_TB || op[2].opc != IR_LABEL || op[2].imm != op[0].d ||
        op[3].opc != IR_EXIT_TB || wrap_of(&op[1]) != wrap_of(&op[3]) || !fits32(op[1].imm) ||
        !fits32(op[3].imm)) {
        return 0;
    }
    wrap = wrap_of(&op[1]);
    if (wrap > 1) {
        return 0;
    }
    bool bimm = op->flags & IR_BIMM;
    if (bimm && op->w == W64 && !fits32(op->imm)) {
        return 0;
    }
    form = bimm ? BRX_RI : BRX_RR;
    if (cc) {
        bool ccimm = cc->flags & IR_BIMM;
        if (cc->a != op->a) {
            return 0;
        }
        if (bimm && !ccimm && cc->b == IR_NONE) {
            form = BRX_CC_A_RI;
        } else if (!bimm && !ccimm && cc->b == op->b) {
            form = BRX_CC_AB_RR;
        } else if (bimm && ccimm && fits32(cc->imm2) && (int32_t)cc->imm2 == (int32_t)op->imm) {
            form = BRX_CC_AI_RI;
        } else if (bimm && (op->w == W64 ? op->imm : (int32_t)op->imm) == 0 && ccimm &&
                   fits32(cc->imm2)) {
            form = BRX_CC_AI_RZ;
        } else if (bimm && (op->w == W64 ? op->imm : (int32_t)op->imm) == 0 && !ccimm) {
            form = BRX_CC_AB_RZ;
        } else {
            return 0;
        }
        kind = (uint16_t)cc->imm;
        lower_map_cc(l, NULL);
    }
    if (form == BRX_CC_AI_RZ) {
        emit_imm(l, iop_brx[op->aux][op->w][form][wrap], kind, off(op->a), cc->imm2);
    } else if (form == BRX_CC_AB_RZ) {
        emit(l, iop_brx[op->aux][op->w][form][wrap], kind, off(op->a), off(cc->b), 0);
    } else if (bimm) {
        emit_imm(l, iop_brx[op->aux][op->w][form][wrap], kind, off(op->a), op->imm);
    } else {
        emit(l, iop_brx[op->aux][op->w][form][wrap], kind, off(op->a), off(op->b), 0);
    }
    lower_exit_tb(l, &op[1]);
    l->label[op[2].imm] = (int32_t)here(l);
    lower_exit_tb(l, &op[3]);
    return n;
}
