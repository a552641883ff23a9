/* Lazy status flags: the kind of the last flag-setting operation and up to three values from which
 * OF SF ZF AF PF CF are computed when someone asks (TCG_REG_CC_OP, CC_A, CC_B, CC_C). Values may
 * have rubbish above the operand size: the evaluator truncates.
 *
 * Each sized kind has four consecutive numbers: 8, 16, 32, 64 bits; CC_SIZED(kind, bytes) picks
 * one.
 *
 * Rotates and bit tests change CF (and OF) only: they add to the kind in bits 7..0, which leaves C
 * free, what C says of these two (CC_OVER_*, with the log2 of the operand size from bit
 * CC_OVER_SIZE on). */
#ifndef CPU_FLAGS_H
#define CPU_FLAGS_H

#include <stdint.h>

#define CC_KINDS(_)                                                                                \
    _(ADD)   /* A result, B second operand */                                                      \
    _(ADC)   /* A result, B second operand, C carry in (0/1) */                                    \
    _(SUB)   /* A minuend, B subtrahend: SUB, CMP, NEG (A = 0) */                                  \
    _(SBB)   /* A minuend, B subtrahend, C borrow in (0/1) */                                      \
    _(LOGIC) /* A result; CF = OF = AF = 0 */                                                      \
    _(INC)   /* A result, B carry flag kept (0/1) */                                               \
    _(DEC)   /* A result, B carry flag kept */                                                     \
    _(SHL)   /* A result, B operand shifted by count - 1: CF = its top bit, OF = CF ^ SF */        \
    _(SHR)   /* A result, B operand shifted by count - 1: CF = its bit 0, OF = top bits differ */  \
    _(SAR)   /* A result, B operand shifted by count - 1: CF = its bit 0, OF = 0 */                \
    _(MUL)   /* A low result, B nonzero: CF = OF = 1 */                                            \
    _(BLS)   /* A result, B carry flag: BLSR, BLSI, BLSMSK, BZHI; OF = AF = PF = 0 */

enum x86_cc {
    CC_EFLAGS = 0,  /* A: the six flags in EFLAGS positions */
    CC_UNKNOWN = 1, /* translator only: kind not known statically */
#define CC_ENUM(k) CC_##k##8, CC_##k##16, CC_##k##32, CC_##k##64,
    CC_FIRST_SIZED = 3,
    CC_KINDS(CC_ENUM)
#undef CC_ENUM
        CC_COUNT,
    CC_KIND = 0xff,
    CC_OVER_ROL = 0x100, /* C result: CF = its bit 0, OF = CF ^ its top bit */
    CC_OVER_ROR = 0x200, /* C result: CF = its top bit, OF = CF ^ the bit below */
    CC_OVER_CF = 0x300,  /* C: CF = its bit 0; OF stays */
    CC_OVER = 0x300,
    CC_OVER_SIZE = 10
};
_Static_assert(CC_COUNT <= CC_KIND, "kinds fit in a byte");

/* bytes: 1, 2, 4, 8 */
#define CC_SIZED(kind, bytes) (CC_##kind##8 + (unsigned)__builtin_ctz(bytes))

/* The six status flags in EFLAGS positions. Pure. */
uint32_t x86_cc_eval(uint64_t kind, uint64_t a, uint64_t b, uint64_t c);
const char *x86_cc_name(uint64_t kind);

#endif
