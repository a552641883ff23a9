/* Lowering of vector ops. */
#include "tcg/interp/lower.h"

static void lower_vmem(struct lower *l, const struct ir_op *op, iop_fn fn, uint16_t d)
{
    bool index = op->aux & MO_INDEX;
    unsigned memop = index ? op->aux : op->aux & ~(3u << MO_SCALE);

    emit(l, fn, d, off(op->a), index ? off(op->c) : off(REG_ZERO), (uint16_t)memop);
    data(l, (uint64_t)op->imm, 0);
}

void lower_vec(struct lower *l, const struct ir_op *op)
{
    unsigned size = op->aux & MO_SIZE;
    bool vzu = op->flags & IR_VZU, wide = op->flags & IR_V256;
    uint64_t extra = (uint32_t)op->imm | (uint64_t)(wide ? 2 : 1) << 32;
    uint16_t d = 0;

    if (ir_opinfo[op->opc].attr & IRA_VD) {
        d = voff(op->d, IR_NONE);
    }
    switch (op->opc) {
    case IR_VMOV:
        emit(l, iop_vec.mov[wide ? 2 : vzu ? 1 : 0], d, voff(op->a, 0), 0, 0);
        return;
    case IR_VZERO:
        emit(l, iop_vec.zero[wide || vzu], d, 0, 0, 0);
        return;
    case IR_VLD:
        lower_vmem(l, op, iop_vec.load[size][vzu], d);
        return;
    case IR_VST:
        lower_vmem(l, op, iop_vec.store[size], voff(op->b, 0));
        return;
    case IR_VLDENV:
        emit_imm(l, iop_vec.ldenv[size], d, 0, op->imm);
        break;
    case IR_VSTENV:
        emit_imm(l, iop_vec.stenv[size], 0, voff(op->b, 0), op->imm);
        return;
    case IR_VGET:
        emit_imm(l, iop_vec.get[size + ((op->aux & MO_SIGN) && size < MO_64 ? 4 : 0)], off(op->d),
                 voff(op->a, 0), op->imm);
        return;
    case IR_VSET:
        emit(l, iop_vec.set[size], d, voff(op->a, op->d), off(op->b), (uint16_t)op->imm);
        break;
    case IR_VOP:
        emit(l, iop_vec.vop, d, voff(op->a, op->d), voff(op->b, op->d), voff(op->c, op->d));
        data(l, (uintptr_t)vop_table[op->aux].fn, extra);
        break;
    case IR_VOPR:
        emit(l, iop_vec.vopr[op->w], off(op->d), voff(op->a, 0), voff(op->b, op->a), 0);
        data(l, (uintptr_t)vop_table[op->aux].fn_r, extra);
        return;
    case IR_VOPI:
        emit(l, iop_vec.vopi, d, voff(op->a, op->d), off(op->b), 0);
        data(l, (uintptr_t)vop_table[op->aux].fn, extra);
        break;
    default:
        return;
    }
    if (vzu && !wide) {
        emit(l, iop_vec.clear_upper, d, 0, 0, 0);
    }
}
