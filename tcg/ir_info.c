/* The table behind ir_info.h: names and operand formats come from IR_OPS, attributes from below. */
#include "tcg/ir_info.h"

#define D   IRA_D
#define A   IRA_A
#define B   IRA_B
#define C   IRA_C
#define VD  IRA_VD
#define VA  IRA_VA
#define VB  IRA_VB
#define VC  IRA_VC
#define P   (IRA_PURE | IRA_REQUIRED)
#define MEM (IRA_MEM | IRA_FAULT)
#define R   IRA_REQUIRED
#define W   IRA_WIDTH
#define BI  IRA_BIMM

enum {
    ATTR_INSN = 0,
    ATTR_MOV = P | D | A | W,
    ATTR_MOVI = P | D,
    ATTR_MOVPC = P | D,
    ATTR_ADD = P | D | A | B | W | BI,
    ATTR_SUB = ATTR_ADD,
    ATTR_AND = ATTR_ADD,
    ATTR_OR = ATTR_ADD,
    ATTR_XOR = ATTR_ADD,
    ATTR_MUL = ATTR_ADD,
    ATTR_MULHU = P | D | A | B | W,
    ATTR_MULHS = P | D | A | B | W,
    ATTR_DIVU = P | D | A | B | C | W,
    ATTR_REMU = ATTR_DIVU,
    ATTR_DIVS = ATTR_DIVU,
    ATTR_REMS = ATTR_DIVU,
    ATTR_SHL = ATTR_ADD,
    ATTR_SHR = ATTR_ADD,
    ATTR_SAR = ATTR_ADD,
    ATTR_ROTL = ATTR_ADD,
    ATTR_ROTR = ATTR_ADD,
    ATTR_NEG = P | D | A | W,
    ATTR_NOT = P | D | A | W,
    ATTR_EXT8U = P | D | A,
    ATTR_EXT16U = P | D | A,
    ATTR_EXT32U = P | D | A,
    ATTR_EXT8S = P | D | A | W,
    ATTR_EXT16S = P | D | A | W,
    ATTR_EXT32S = P | D | A,
    ATTR_EXTRACT = P | D | A,
    ATTR_DEPOSIT = P | D | A | B,
    ATTR_BSWAP = P | D | A | W,
    ATTR_CLZ = P | D | A | W,
    ATTR_CTZ = P | D | A | W,
    ATTR_POPCNT = P | D | A | W,
    ATTR_SETCOND = P | D | A | B | W | BI | IRA_COND,
    ATTR_MOVCOND = P | D | A | B | C | W | IRA_COND,
    ATTR_ADDX = P | D | A | B | C | W | BI,
    ATTR_SUBX = ATTR_ADDX,
    ATTR_CC = A | B | C | BI,
    ATTR_LD = D | A | C | W | MEM,
    ATTR_ST = A | B | C | BI | MEM,
    ATTR_LDENV = P | D,
    ATTR_STENV = R | B | BI,
    ATTR_ATOMIC = R | D | A | B | IRA_FAULT,
    ATTR_CMPXCHG = R | D | A | B | C | IRA_FAULT,
    ATTR_FENCE = 0,
    ATTR_CALL = D | A | B | C | IRA_FAULT,
    ATTR_LABEL = 0,
    ATTR_BR = 0,
    ATTR_BRCOND = R | A | B | W | BI | IRA_COND,
    ATTR_EXIT_TB = IRA_EXIT,
    ATTR_EXIT_IND = R | A | IRA_EXIT,
    ATTR_EXIT_LOOP = IRA_EXIT,
    ATTR_VMOV = P | VD | VA,
    ATTR_VZERO = P | VD,
    ATTR_VLD = VD | A | C | MEM,
    ATTR_VST = A | VB | C | MEM,
    ATTR_VLDENV = P | VD,
    ATTR_VSTENV = R | VB,
    ATTR_VGET = P | D | VA,
    ATTR_VSET = R | VD | VA | B,
    ATTR_VOP = VD | VA | VB | VC,
    ATTR_VOPR = D | VA | VB | W,
    ATTR_VOPI = VD | VA | B | W,
};

const struct ir_opinfo ir_opinfo[IR_NOPS] = {
#define IR_ROW(name, format) [IR_##name] = {#name, format, ATTR_##name},
    IR_OPS(IR_ROW)
#undef IR_ROW
};
