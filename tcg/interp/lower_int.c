/* Lowering of integer ops and lazy flags. */
#include "tcg/interp/lower.h"

void lower_bin(struct lower *l, const struct ir_op *op)
{
    const iop_fn *forms = iop_bin[op->opc][op->w];

    if ((op->flags & IR_BIMM) && (op->w == W32 || fits32(op->imm))) {
        int64_t imm = op->w == W32 ? (int32_t)op->imm : op->imm;
        if (forms[FORM_RI]) {
            emit_imm(l, op->d == op->a ? forms[FORM_RI_SAME] : forms[FORM_RI], off(op->d),
                     off(op->a), imm);
            return;
        }
    }
    ir_reg b = op->b;
    if (op->flags & IR_BIMM) {
        movi(l, REG_SCRATCH0, op->imm);
        b = REG_SCRATCH0;
    }
    if (op->d == op->a && forms[FORM_RR_SAME]) {
        emit(l, forms[FORM_RR_SAME], off(op->d), off(op->a), off(b), 0);
    } else {
        emit(l, forms[FORM_RR], off(op->d), off(op->a), off(b), 0);
    }
}

void lower_setcond(struct lower *l, const struct ir_op *op)
{
    const iop_fn *forms = iop_setcond[op->aux][op->w];
    ir_reg b = op->b;

    if (op->flags & IR_BIMM) {
        if (op->w == W32 || fits32(op->imm)) {
            emit_imm(l, forms[1], off(op->d), off(op->a), op->imm);
            return;
        }
        movi(l, REG_SCRATCH0, op->imm);
        b = REG_SCRATCH0;
    }
    emit(l, forms[0], off(op->d), off(op->a), off(b), 0);
}

/* The handler keeps or replaces its destination, so `no` must be there first. */
void lower_movcond(struct lower *l, const struct ir_op *op)
{
    ir_reg no = (ir_reg)op->imm, d = op->d;
    enum ir_cond cond = op->aux;
    ir_reg yes = op->c;

    if (yes == d && no != d) {
        ir_reg t = yes;
        yes = no;
        no = t;
        cond = ir_cond_not(cond);
    }
    if (no != d && (d == op->a || d == op->b)) {
        d = REG_SCRATCH0;
    }
    if (no != d) {
        emit(l, iop_un[IR_MOV][W64], off(d), off(no), 0, 0);
    }
    emit(l, iop_movcond[cond][op->w], off(d), off(op->a), off(op->b), off(yes));
    if (d != op->d) {
        emit(l, iop_un[IR_MOV][W64], off(op->d), off(d), 0, 0);
    }
}

void lower_addx(struct lower *l, const struct ir_op *op)
{
    ir_reg b = op->b;

    if (op->flags & IR_BIMM) {
        movi(l, REG_SCRATCH0, op->imm);
        b = REG_SCRATCH0;
    }
    emit(l, op->opc == IR_ADDX ? iop_misc.addx[op->w] : iop_misc.subx[op->w], off(op->d),
         off(op->a), off(b), off(op->c));
}

void lower_extract(struct lower *l, const struct ir_op *op)
{
    unsigned pos = op->imm & 0xff, len = (unsigned)(op->imm >> 8);

    if (pos == 0 && (len == 8 || len == 16 || len == 32)) {
        static const uint8_t ext[] = {IR_EXT8U, IR_EXT16U, 0, IR_EXT32U};
        emit(l, iop_un[ext[len / 8 - 1]][W64], off(op->d), off(op->a), 0, 0);
    } else if (len == 1) {
        emit(l, iop_misc.bit, off(op->d), off(op->a), 0, (uint16_t)pos);
    } else if (pos + len == 64) {
        emit_imm(l, iop_bin[IR_SHR][W64][FORM_RI], off(op->d), off(op->a), pos);
    } else {
        emit(l, iop_misc.extract, off(op->d), off(op->a), (uint16_t)(64 - pos - len),
             (uint16_t)(64 - len));
    }
}

void lower_deposit(struct lower *l, const struct ir_op *op)
{
    unsigned pos = op->imm & 0xff, len = (unsigned)(op->imm >> 8);
    uint16_t d = off(op->d), a = off(op->a), b = off(op->b);
    uint64_t mask = (len == 64 ? UINT64_MAX : (UINT64_C(1) << len) - 1) << pos;

    if (len == 8 && pos == 0) {
        emit(l, iop_misc.deposit0_8, d, a, b, 0);
    } else if (len == 8 && pos == 8) {
        emit(l, iop_misc.deposit8_8, d, a, b, 0);
    } else if (len == 16 && pos == 0) {
        emit(l, iop_misc.deposit0_16, d, a, b, 0);
    } else {
        emit(l, iop_misc.deposit, d, a, b, 0);
        data(l, mask, pos);
    }
}

void lower_cc(struct lower *l, const struct ir_op *op)
{
    bool bimm = op->flags & IR_BIMM, b = op->b != IR_NONE && !bimm, c = op->c != IR_NONE;
    uint16_t kind = (uint16_t)op->imm;

    if (op->imm < 0 || op->imm > UINT16_MAX || op->a == IR_NONE || (c && !b) ||
        (bimm && !fits32(op->imm2))) {
        /* An unusual set: they are plain registers. Values first, none of which is a CC register
         * that an earlier move has changed: ops that read CC registers as sources are rare, and
         * go through scratch. */
        ir_reg src[3] = {op->a, op->b, op->c};
        for (unsigned i = 0; i < 3; i++) {
            ir_reg s = (ir_reg)(REG_SCRATCH0 + i);
            if (i == 1 && bimm) {
                movi(l, s, op->imm2);
                src[i] = s;
            } else if (src[i] != IR_NONE) {
                emit(l, iop_un[IR_MOV][W64], off(s), off(src[i]), 0, 0);
            }
        }
        for (unsigned i = 0; i < 3; i++) {
            if (src[i] != IR_NONE) {
                emit(l, iop_un[IR_MOV][W64], off((ir_reg)(TCG_REG_CC_A + i)),
                     off((ir_reg)(REG_SCRATCH0 + i)), 0, 0);
            }
        }
        movi(l, TCG_REG_CC_OP, op->imm);
        return;
    }
    if (bimm) {
        emit_imm(l, iop_misc.cc_ai, kind, off(op->a), op->imm2);
    } else if (c) {
        emit(l, iop_misc.cc_abc, kind, off(op->a), off(op->b), off(op->c));
    } else if (b) {
        emit(l, iop_misc.cc_ab, kind, off(op->a), off(op->b), 0);
    } else {
        emit(l, iop_misc.cc_a, kind, off(op->a), 0, 0);
    }
}
