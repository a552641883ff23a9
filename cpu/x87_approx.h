/* Transcendental functions of the x87 unit for ordinary operands; used by x87_functions.c. */
#ifndef CPU_X87_APPROX_H
#define CPU_X87_APPROX_H

#include "tcg/softfloat.h"

enum x87_function { X87_F2XM1, X87_FYL2X, X87_FYL2XP1, X87_FPATAN, X87_FSIN, X87_FCOS, X87_FPTAN };

/* The function of x = ST0 (and y = ST1) with 110 bits and more, its exponent unbounded: round it
 * with sf_pack80. x and y are normal, or zero or infinite where FPATAN takes them; |x| < 2^63 for
 * the trigonometric ones, which are reduced by the unit's own pi of 66 bits; x > 0 for FYL2X. */
struct sf x87_approximate(enum x87_function f, struct sf x, struct sf y);

/* The same by the host's x87 unit, all exceptions masked, rounded as env asks: *r, env->flags and
 * env->rounded_up are what the host's processor says. False: there is no such unit. */
bool x87_by_host(enum x87_function f, struct fpenv *env, struct sf80 x, struct sf80 y,
                 struct sf80 *r);

#endif
