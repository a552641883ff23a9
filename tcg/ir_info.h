/* What each IR operation reads, writes and may do, as data for the checker, the dump and the
 * passes. */
#ifndef TCG_IR_INFO_H
#define TCG_IR_INFO_H

#include "tcg/ir.h"

enum ir_attr {
    IRA_D = 1, /* writes integer register d */
    IRA_A = 2, /* reads integer register a, b, c (b not with IR_BIMM; any may be IR_NONE) */
    IRA_B = 4,
    IRA_C = 8,
    IRA_VD = 16, /* the same for vector registers */
    IRA_VA = 32,
    IRA_VB = 64,
    IRA_VC = 128,
    IRA_MEM = 256,   /* memory operand: a base, c index, aux memop */
    IRA_FAULT = 512, /* may unwind (CALL: see the helper's flags) */
    IRA_PURE = 1024, /* nothing but writing d: may go when d is dead */
    IRA_EXIT = 2048, /* leaves the block */
    IRA_BIMM = 4096, /* may have IR_BIMM */
    IRA_WIDTH = 8192,
    IRA_COND = 16384,     /* aux is a condition */
    IRA_REQUIRED = 32768, /* the registers named above must be there: NONE is an error */
};

struct ir_opinfo {
    const char *name, *format;
    uint16_t attr;
};

extern const struct ir_opinfo ir_opinfo[IR_NOPS];

static inline const struct ir_helper *ir_op_helper(const struct ir_op *op)
{
    return (const struct ir_helper *)(intptr_t)op->imm2;
}

#endif
