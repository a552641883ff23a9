/* Helpers of the arithmetic emitters that are too large to inline; see cpu/arith.c. */
#ifndef CPU_ARITH_H
#define CPU_ARITH_H

#include "tcg/ir.h"

/* Division of the double-width dividend in hi:lo (8 bits: AX in lo). Raise #DE before anything is
 * changed. Arguments divisor, lo, hi; the result is quotient | remainder << bits, operands may have
 * rubbish above their size. The 64-bit ones take the divisor only and work on RDX:RAX. */
extern const struct ir_helper x86_h_div8, x86_h_div16, x86_h_divide_error;
extern const struct ir_helper x86_h_idiv8, x86_h_idiv16, x86_h_idiv32_fits, x86_h_idiv64_fits;

/* Decimal adjustments: (AX, EFLAGS status bits) to AX | flags << 16. */
extern const struct ir_helper x86_h_aaa, x86_h_aas, x86_h_daa, x86_h_das;
/* (AL) and the base as immediate: AX; base 0 raises #DE. */
extern const struct ir_helper x86_h_aam;

/* (index, lower, upper), sign-extended: raises #BR when index is outside. */
extern const struct ir_helper x86_h_bound;

/* (linear address, status flags), immediate: access context. Works on RDX:RAX and RCX:RBX, returns
 * the new status flags. */
extern const struct ir_helper x86_h_cmpxchg16b;

#endif
