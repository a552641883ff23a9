/* Extended-precision stack arithmetic (x87) that executors may compute themselves.
 *
 * What the operations mean stays in the guest's helpers: a helper may carry one of the names below,
 * and then does exactly what is said there, with the immediate in that form. An executor that can,
 * computes it on a host unit of the same arithmetic; one that cannot, calls the helper. The state
 * lies in the guest's CPU struct, at places that the guest tells. */
#ifndef TCG_FP80_H
#define TCG_FP80_H

#include <stddef.h>
#include <stdint.h>

#include "tcg/vcpu.h"

enum fp80_op {
    FP80_NONE,
    FP80_LOAD,           /* push a converted; imm: enum fp80_format */
    FP80_LOAD80,         /* push the number with significand a, sign and exponent b */
    FP80_LOAD_ST,        /* push ST(imm) */
    FP80_CONST,          /* push 1, log2 10, log2 e, pi, log10 2, ln 2, 0 by imm */
    FP80_STORE,          /* d = ST(0) converted; imm: format, FP80_TRUNCATE */
    FP80_STORE_WANTED,   /* d = 0 when an unmasked exception forbids the store; imm as above. Only a
                          * branch right behind it may read d */
    FP80_STORE_DONE,     /* after the store: flags; imm as above, and FP80_POP: pops */
    FP80_STORE80,        /* d = significand of ST(0) (imm 0), or sign and exponent (1) */
    FP80_STORE80_WANTED, /* d = 0: nothing is to be stored; only for imm 0 */
    FP80_STORE80_DONE,   /* pops */
    FP80_STORE_ST,    /* ST(imm & 7) = ST(0); imm & 8: pops; imm & 16: an empty register may be */
    FP80_ARITH_MEM,   /* ST(0) = ST(0) OP a; imm: format | enum fp80_arith << 4 */
    FP80_ARITH_ST,    /* imm: destination | source << 4 | operation << 8 | pop << 12 */
    FP80_COMPARE_MEM, /* ST(0) with a; imm: format | pop << 4 */
    FP80_COMPARE_ST,  /* imm: register | quiet << 3 | pops << 4 | to EFLAGS (d) << 6 */
    FP80_EXCHANGE,    /* ST(0) and ST(imm) */
    FP80_MOVE_IF,     /* ST(0) = ST(imm) if a */
    FP80_UNARY,       /* by imm, the last byte of the x86 instruction D9 xx */
    FP80_FREE,        /* empties ST(imm & 7); imm & 8: pops */
    FP80_STATUS,      /* d = status word with TOP in bits 11..13 */
    FP80_WAIT,        /* takes pending exceptions */
};

enum fp80_format { FP80_ST, FP80_F32, FP80_F64, FP80_I16, FP80_I32, FP80_I64 };
enum fp80_arith {
    FP80_ADD,
    FP80_MUL,
    FP80_COM,
    FP80_COMP,
    FP80_SUB,
    FP80_SUBR,
    FP80_DIV,
    FP80_DIVR
};
enum { FP80_TRUNCATE = 8, FP80_POP = 0x100 };

/* Offsets from struct vcpu. Register n is ST((n - top) & 7): 16 bytes, significand first. Control
 * and status words are the x87's, 16 bits, the status word without TOP. */
struct fp80_layout {
    uint32_t regs;
    uint32_t top;   /* a byte, 0..7, ... */
    uint32_t empty; /* ... and behind it one with a bit for each empty register */
    uint32_t control, status;
    /* The unit's state is one that only helpers know (exceptions are unmasked or pending): when
     * that is to last, changes the key word and returns true. */
    bool (*odd_state)(struct vcpu *v);
    uint64_t odd_key; /* key word bit that odd_state() sets: code with it uses the helpers only */
};

#endif
