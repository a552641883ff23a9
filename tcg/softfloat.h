/* IEEE 754 arithmetic in integers, with x86's rules for NaNs, denormals and tininess: the same
 * results and flags on every host. Formats: binary16, binary32, binary64 and x87's 80-bit extended.
 */
#ifndef TCG_SOFTFLOAT_H
#define TCG_SOFTFLOAT_H

#include <stdbool.h>
#include <stdint.h>

#include "tcg/fpenv.h"

enum sf_format { SF_32, SF_64, SF_80, SF_16 };
enum sf_class { SF_ZERO, SF_NORMAL, SF_INF, SF_QNAN, SF_SNAN, SF_UNSUPPORTED /* 80-bit only */ };

/* A number taken apart: (-1)^sign * mant / 2^127 * 2^exp with bit 127 of mant set. NaNs keep their
 * significand (bit 127 is the integer bit, 126 the quiet bit). */
struct sf {
    uint8_t cls;
    bool sign, denormal;
    int32_t exp;
    unsigned __int128 mant;
};

struct sf80 { /* packed 80-bit number */
    uint64_t mant;
    uint16_t se;
};

struct sf sf_unpack(enum sf_format f, uint64_t bits); /* SF_16, SF_32, SF_64 */
struct sf sf_unpack80(struct sf80 x);
/* Round to the format by env and pack; flags are added to env->flags. A NaN is packed as it is
 * (quiet). */
uint64_t sf_pack(struct fpenv *env, enum sf_format f, struct sf x);
struct sf80 sf_pack80(struct fpenv *env, struct sf x); /* by env->precision */

/* x87: NaN rules of the x87 unit (the larger significand), else those of SSE (the first operand).
 */
struct sf sf_add(struct fpenv *env, struct sf a, struct sf b, bool subtract, bool x87);
struct sf sf_mul(struct fpenv *env, struct sf a, struct sf b, bool x87);
struct sf sf_div(struct fpenv *env, struct sf a, struct sf b, bool x87);
/* a * b + c, rounded once, with the product or c negated unless NaN; of several NaNs a's, then b's.
 */
struct sf sf_fma(struct fpenv *env, struct sf a, struct sf b, struct sf c, bool negate_product,
                 bool negate_c);
struct sf sf_sqrt(struct fpenv *env, struct sf a);
/* Operand checks common to all: DAZ, denormal and invalid flags, quieting. For one operand, NaN or
 * not. */
struct sf sf_operand(struct fpenv *env, struct sf a);
/* -1, 0, 1, or 2 for unordered. quiet: only signalling NaNs raise invalid. */
int sf_compare(struct fpenv *env, struct sf a, struct sf b, bool quiet);
struct sf sf_from_int(int64_t v);
/* To a signed integer of 16, 32, 64 bits; invalid gives the most negative one. */
int64_t sf_to_int(struct fpenv *env, struct sf a, unsigned bits, enum fp_round round);
struct sf sf_round_to_int(struct fpenv *env, struct sf a, enum fp_round round, bool inexact);
struct sf sf_default_nan(void);
static inline bool sf_is_nan(const struct sf *a)
{
    return a->cls >= SF_QNAN;
}

#endif
