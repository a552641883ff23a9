/* Lowering of loads and stores, of memory and of the processor's state. */
#include "tcg/interp/lower.h"

/* A register that holds the operand's address without the displacement *disp (which fits bits). */
static ir_reg address_sum(struct lower *l, const struct ir_op *op, bool whole)
{
    ir_reg sum = op->a;
    bool a32 = op->aux & MO_A32;
    enum ir_width w = a32 ? W32 : W64;

    if (op->aux & MO_INDEX) {
        unsigned scale = op->aux >> MO_SCALE & 3;
        ir_reg index = op->c;
        if (scale) {
            emit_imm(l, iop_bin[IR_SHL][w][FORM_RI], off(REG_SCRATCH0), off(index), scale);
            index = REG_SCRATCH0;
        }
        emit(l, iop_bin[IR_ADD][w][FORM_RR], off(REG_SCRATCH0), off(sum), off(index), 0);
        sum = REG_SCRATCH0;
    }
    if (!whole && fits32(op->imm)) {
        return sum;
    }
    if (fits32(op->imm)) {
        emit_imm(l, iop_bin[IR_ADD][w][FORM_RI], off(REG_SCRATCH0), off(sum), op->imm);
    } else {
        movi(l, REG_SCRATCH1, op->imm);
        emit(l, iop_bin[IR_ADD][w][FORM_RR], off(REG_SCRATCH0), off(sum), off(REG_SCRATCH1), 0);
    }
    return REG_SCRATCH0;
}

/* The addressing mode as the table of handlers knows it: one slot. */
static void lower_access(struct lower *l, const struct ir_op *op, const iop_fn *modes, uint16_t d)
{
    unsigned a32 = op->aux & MO_A32 ? 1 : 0;
    unsigned scale = op->aux >> MO_SCALE & 3;
    int64_t disp = a32 ? (int32_t)op->imm : op->imm;

    if (!(op->aux & MO_INDEX) && fits32(disp)) {
        emit_imm(l, modes[AM_BD + a32], d, off(op->a), disp);
    } else if ((op->aux & MO_INDEX) && fits16(disp)) {
        emit(l, modes[AM_BX + 2 * scale + a32], d, off(op->a), off(op->c), (uint16_t)disp);
    } else if ((op->aux & MO_INDEX) && fits32(disp)) {
        /* The displacement joins the base. */
        emit_imm(l, iop_bin[IR_ADD][a32 ? W32 : W64][FORM_RI], off(REG_SCRATCH0), off(op->a), disp);
        emit(l, modes[AM_BX + 2 * scale + a32], d, off(REG_SCRATCH0), off(op->c), 0);
    } else {
        ir_reg sum = address_sum(l, op, true);
        emit_imm(l, modes[AM_BD], d, off(sum), 0);
    }
}

void lower_ld(struct lower *l, const struct ir_op *op)
{
    unsigned size = op->aux & MO_SIZE;
    unsigned kind = size;

    if (op->aux & MO_ALIGN) {
        ir_reg sum = address_sum(l, op, true);
        emit(l, iop_load_any, off(op->d), off(sum), op->w, op->aux);
        return;
    }
    if ((op->aux & MO_SIGN) && size < MO_64) {
        kind = op->w == W64 ? LD_S8 + size : size == MO_32 ? LD_U32 : LD_S8_32 + size;
    }
    lower_access(l, op, iop_load[kind], off(op->d));
}

void lower_st(struct lower *l, const struct ir_op *op)
{
    unsigned size = op->aux & MO_SIZE;
    unsigned a32 = op->aux & MO_A32 ? 1 : 0;
    ir_reg value = op->b;
    int64_t disp = a32 ? (int32_t)op->imm : op->imm;
    int64_t imm2 = size == MO_64 ? op->imm2 : (int32_t)op->imm2;

    if ((op->flags & IR_BIMM) && !(op->aux & (MO_ALIGN | MO_INDEX)) && fits16(disp) &&
        fits32(imm2)) {
        emit_imm(l, iop_storei[size][a32], (uint16_t)disp, off(op->a), imm2);
        return;
    }
    if (op->flags & IR_BIMM) {
        movi(l, REG_SCRATCH2, op->imm2);
        value = REG_SCRATCH2;
    }
    if (op->aux & MO_ALIGN) {
        ir_reg sum = address_sum(l, op, true);
        emit(l, iop_store_any, 0, off(sum), off(value), op->aux);
        return;
    }
    lower_access(l, op, iop_store[size], off(value));
}

void lower_env(struct lower *l, const struct ir_op *op)
{
    unsigned size = op->aux & MO_SIZE;

    if (op->opc == IR_LDENV) {
        unsigned kind = (op->aux & MO_SIGN) && size < MO_64 ? LD_S8 + size : size;
        emit_imm(l, iop_misc.ldenv[kind], off(op->d), 0, op->imm);
    } else if ((op->flags & IR_BIMM) && fits16(op->imm2)) {
        emit_imm(l, iop_misc.stenvi[size], 0, (uint16_t)op->imm2, op->imm);
    } else {
        ir_reg value = op->b;
        if (op->flags & IR_BIMM) {
            movi(l, REG_SCRATCH0, op->imm2);
            value = REG_SCRATCH0;
        }
        emit_imm(l, iop_misc.stenv[size], 0, off(value), op->imm);
    }
}
