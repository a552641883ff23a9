/* 3DNow! operations (AMD64 manual, volume 5) on the low 64 bits, on softfloat. There is no
 * environment: results are rounded to nearest, tiny ones become zero, too large ones the largest
 * number, denormal operands count as zero. What infinities and NaNs give is undefined there; here
 * it is what IEEE 754 says. PFRCP and PFRSQRT, of which the manual asks 14 and 15 bits, are rounded
 * once, so that the steps that refine them have nothing to do. */
#include "tcg/softfloat.h"
#include "tcg/vops_define.h"

static struct fpenv plain(void)
{
    return (struct fpenv){.masks = FP_ALL, .daz = true, .ftz = true};
}

static struct sf number(uint32_t x)
{
    struct fpenv env = plain();

    return sf_operand(&env, sf_unpack(SF_32, x));
}

static uint32_t packed(struct sf x)
{
    struct fpenv env = plain();
    uint32_t r = (uint32_t)sf_pack(&env, SF_32, x);

    return env.flags & FP_OVERFLOW ? r - 1 : r; /* infinity less one is the largest number */
}

static uint32_t sum(uint32_t x, uint32_t y, bool subtract)
{
    struct fpenv env = plain();

    return packed(sf_add(&env, number(x), number(y), subtract, false));
}

static uint32_t product(uint32_t x, uint32_t y)
{
    struct fpenv env = plain();

    return packed(sf_mul(&env, number(x), number(y), false));
}

static int order(uint32_t x, uint32_t y)
{
    struct fpenv env = plain();

    return sf_compare(&env, number(x), number(y), true);
}

static uint32_t larger(uint32_t x, uint32_t y, bool smaller)
{
    uint32_t r = order(x, y) == (smaller ? -1 : 1) ? x : y;

    return number(r).cls == SF_ZERO ? 0 : r; /* of zeros and denormals: +0 */
}

/* A 1 of the sign of x over x (or the root of its magnitude). */
static uint32_t reciprocal(uint32_t x, bool root)
{
    struct fpenv env = plain();
    struct sf n = number(x), one = sf_from_int(1);

    if (n.cls == SF_ZERO) {
        return (x & 0x80000000) | 0x7f7fffff;
    }
    if (root) {
        n.sign = false;
        n = sf_sqrt(&env, n);
        n.sign = x >> 31;
    }
    return packed(sf_div(&env, one, n, false));
}

static uint32_t to_int(uint32_t x, unsigned bits)
{
    struct fpenv env = plain();
    struct sf n = number(x);
    int64_t most = (INT64_C(1) << (bits - 1)) - 1, r = sf_to_int(&env, n, 64, FP_TRUNCATE);

    if (n.cls != SF_NORMAL || n.exp >= 62) {
        r = n.cls == SF_ZERO ? 0 : n.sign ? -most - 1 : most;
    }
    return (uint32_t)(r > most ? most : r < -most - 1 ? -most - 1 : r);
}

/* x: the element of a, y: that of b. */
#define EACH_SINGLE(name, expr)                                                                    \
    DEFINE(name)                                                                                   \
    {                                                                                              \
        uint32_t r[4] = {0};                                                                       \
        for (unsigned i = 0; i < 2; i++) {                                                         \
            uint32_t x = a->d[i], y = b ? b->d[i] : 0;                                             \
            (void)y;                                                                               \
            r[i] = (uint32_t)(expr);                                                               \
        }                                                                                          \
        UNUSED;                                                                                    \
        memcpy(d, r, sizeof r);                                                                    \
    }
/* Two results that are made of all four elements. */
#define PAIR(name, low, high)                                                                      \
    DEFINE(name)                                                                                   \
    {                                                                                              \
        uint32_t r[4] = {(uint32_t)(low), (uint32_t)(high), 0, 0};                                 \
        UNUSED;                                                                                    \
        memcpy(d, r, sizeof r);                                                                    \
    }

EACH_SINGLE(PFADD, sum(x, y, false))
EACH_SINGLE(PFSUB, sum(x, y, true))
EACH_SINGLE(PFSUBR, sum(y, x, true))
EACH_SINGLE(PFMUL, product(x, y))
EACH_SINGLE(PFMIN, larger(x, y, true))
EACH_SINGLE(PFMAX, larger(x, y, false))
EACH_SINGLE(PFCMPEQ, order(x, y) == 0 ? UINT32_MAX : 0)
EACH_SINGLE(PFCMPGE, order(x, y) == 0 || order(x, y) == 1 ? UINT32_MAX : 0)
EACH_SINGLE(PFCMPGT, order(x, y) == 1 ? UINT32_MAX : 0)
EACH_SINGLE(PI2FD, packed(sf_from_int((int32_t)x)))
EACH_SINGLE(PI2FW, packed(sf_from_int((int16_t)x)))
EACH_SINGLE(PF2ID, to_int(x, 32))
EACH_SINGLE(PF2IW, (int32_t)(int16_t)to_int(x, 16))
EACH_SINGLE(PSWAPD, a->d[1 - i] + 0 * x)
PAIR(PFACC, sum(a->d[0], a->d[1], false), sum(b->d[0], b->d[1], false))
PAIR(PFNACC, sum(a->d[0], a->d[1], true), sum(b->d[0], b->d[1], true))
PAIR(PFPNACC, sum(a->d[0], a->d[1], true), sum(b->d[0], b->d[1], false))
PAIR(PFRCP, reciprocal(a->d[0], false), reciprocal(a->d[0], false))
PAIR(PFRSQRT, reciprocal(a->d[0], true), reciprocal(a->d[0], true))

DEFINE(PMULHRW)
{
    uint16_t r[8] = {0};

    for (unsigned i = 0; i < 4; i++) {
        r[i] = (uint16_t)(((int32_t)(int16_t)a->w[i] * (int16_t)b->w[i] + 0x8000) >> 16);
    }
    UNUSED;
    memcpy(d, r, sizeof r);
}
