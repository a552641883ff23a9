/* Floating-point environment of a vcpu's SIMD unit, in the terms of IEEE 754 with x86's extras. The
 * guest keeps it in step with its control register (x86: MXCSR). */
#ifndef TCG_FPENV_H
#define TCG_FPENV_H

#include <stdbool.h>
#include <stdint.h>

enum fp_round { FP_NEAREST_EVEN, FP_DOWN, FP_UP, FP_TRUNCATE }; /* x86's RC encoding */

enum fp_flags { /* x86's MXCSR / x87 status bit positions */
                FP_INVALID = 1,
                FP_DENORMAL = 2,
                FP_DIVZERO = 4,
                FP_OVERFLOW = 8,
                FP_UNDERFLOW = 16,
                FP_INEXACT = 32,
                FP_ALL = 63,
};

struct fpenv {
    uint8_t round;     /* enum fp_round */
    uint8_t masks;     /* set bit: exception masked */
    uint8_t flags;     /* accumulated, sticky */
    bool daz;          /* denormal operands count as zero */
    bool ftz;          /* tiny results become zero (underflow masked) */
    uint8_t precision; /* x87 only: 0 single, 2 double, 3 extended (PC field) */
    bool rounded_up;   /* the last result is greater in magnitude than the exact one (x87: C1) */
};

#endif
