/* The contract of ir.h as a checker, run in tests and with assertions on: operand ranges, labels,
 * terminators, immediates. It does not prove the rules about faults and guest registers. */
#include "tcg/ir_info.h"

#include <stdlib.h>
#include <string.h>

static bool int_reg_ok(ir_reg r, bool write)
{
    return r < TCG_REG_LAST_TEMP && !(write && r == TCG_REG_PC);
}

static const char *check_regs(const struct ir_op *op, uint16_t attr)
{
    const struct {
        ir_reg r;
        uint16_t i, v;
        bool write;
    } slots[] = {
        {op->d, IRA_D, IRA_VD, true},
        {op->a, IRA_A, IRA_VA, false},
        {op->b, IRA_B, IRA_VB, false},
        {op->c, IRA_C, IRA_VC, false},
    };

    for (unsigned i = 0; i < 4; i++) {
        bool here = attr & (slots[i].i | slots[i].v);
        if (!here || (i == 2 && (attr & IRA_BIMM) && (op->flags & IR_BIMM))) {
            continue;
        }
        if (slots[i].r == IR_NONE) {
            if (attr & IRA_REQUIRED) {
                return "an operand is missing";
            }
            continue;
        }
        if (attr & slots[i].i) {
            if (!int_reg_ok(slots[i].r, slots[i].write)) {
                return "integer register out of range";
            }
        } else if (slots[i].r >= TCG_NVREGS) {
            return "vector register out of range";
        }
    }
    return NULL;
}

static const char *check_op(const struct ir *ir, const struct ir_op *op, bool *defined)
{
    const struct ir_opinfo *info;
    const char *bad;
    unsigned size = op->aux & MO_SIZE;

    if (op->opc >= IR_NOPS) {
        return "unknown opcode";
    }
    info = &ir_opinfo[op->opc];
    bad = check_regs(op, info->attr);
    if (bad) {
        return bad;
    }
    if ((op->flags & IR_BIMM) && !(info->attr & IRA_BIMM)) {
        return "immediate operand not allowed";
    }
    if ((info->attr & IRA_COND) && op->aux >= IR_NCOND) {
        return "unknown condition";
    }
    if ((info->attr & IRA_WIDTH) && op->w > W64) {
        return "unknown width";
    }
    switch (op->opc) {
    case IR_EXTRACT:
    case IR_DEPOSIT: {
        uint64_t pos = op->imm & 0xff, len = (uint64_t)op->imm >> 8;
        return len == 0 || pos + len > 64 ? "bit field out of range" : NULL;
    }
    case IR_MOVCOND:
        return int_reg_ok((ir_reg)op->imm, false) ? NULL : "register out of range";
    case IR_LD:
        if (op->d == IR_NONE) {
            return "load without a destination";
        }
        /* fall through */
    case IR_ST:
    case IR_ATOMIC:
    case IR_CMPXCHG:
    case IR_LDENV:
    case IR_STENV:
    case IR_VGET:
    case IR_VSET:
        if (op->opc == IR_ST && !(op->flags & IR_BIMM) && op->b == IR_NONE) {
            return "store without a value";
        }
        if (op->opc == IR_ATOMIC && (uint64_t)op->imm2 > IR_AT_XCHG) {
            return "unknown atomic operation";
        }
        if (op->opc != IR_ATOMIC && op->opc != IR_CMPXCHG && (info->attr & IRA_MEM) &&
            (op->aux & MO_INDEX) && op->c == IR_NONE) {
            return "index without a register";
        }
        return size > MO_64 ? "access size too large for an integer" : NULL;
    case IR_VLD:
    case IR_VST:
    case IR_VLDENV:
    case IR_VSTENV:
        return size > MO_256 ? "access size too large" : NULL;
    case IR_CALL: {
        const struct ir_helper *h = ir_op_helper(op);
        unsigned n = (op->a != IR_NONE) + (op->b != IR_NONE) + (op->c != IR_NONE);
        if (!h || !h->fn) {
            return "call of no helper";
        }
        return n == h->nargs ? NULL : "wrong number of helper arguments";
    }
    case IR_LABEL:
        if ((uint64_t)op->imm >= ir->nlabels || defined[op->imm]) {
            return "label unknown or defined twice";
        }
        defined[op->imm] = true;
        return NULL;
    case IR_BR:
        return (uint64_t)op->imm < ir->nlabels ? NULL : "branch to an unknown label";
    case IR_BRCOND:
        return op->d < ir->nlabels ? NULL : "branch to an unknown label";
    case IR_EXIT_TB:
        return op->aux <= 1 ? NULL : "exit slot out of range";
    default:
        return NULL;
    }
}

const char *ir_check(const struct ir *ir)
{
    const char *bad = NULL;
    bool *defined = calloc(ir->nlabels + 1, sizeof(*defined));
    uint8_t last;

    if (!defined) {
        abort();
    }
    for (unsigned i = 0; i < ir->nops && !bad; i++) {
        bad = check_op(ir, &ir->ops[i], defined);
    }
    for (unsigned i = 0; i < ir->nops && !bad; i++) {
        const struct ir_op *op = &ir->ops[i];
        if ((op->opc == IR_BR && !defined[op->imm]) || (op->opc == IR_BRCOND && !defined[op->d])) {
            bad = "branch to a label that is nowhere";
        }
    }
    free(defined);
    if (bad) {
        return bad;
    }
    if (ir->nops == 0) {
        return "empty block";
    }
    last = ir->ops[ir->nops - 1].opc;
    if (!(ir_opinfo[last].attr & IRA_EXIT) && last != IR_BR) {
        return "the block does not end with an exit";
    }
    return NULL;
}
