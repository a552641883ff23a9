/* Fused multiply-add and half precision (SDM volume 2: VFMADD132PD and its like, VCVTPH2PS,
 * VCVTPS2PH; volume 1, 14.5.2 for the choice between NaNs) on softfloat. */
#include "tcg/softfloat.h"
#include "tcg/vops_define.h"

/* x * y + z of element i. */
static uint64_t fused(struct fpenv *fp, enum sf_format f, uint64_t x, uint64_t y, uint64_t z,
                      unsigned kind, unsigned i)
{
    bool negate_sum = kind & 1, negate_product = kind & 2;

    if (kind >= FMA_ADDSUB) {
        negate_sum = (kind == FMA_ADDSUB) != (i & 1);
        negate_product = false;
    }
    return sf_pack(
        fp, f,
        sf_fma(fp, sf_unpack(f, x), sf_unpack(f, y), sf_unpack(f, z), negate_product, negate_sum));
}

/* x, y, z: which of a, b, c each is. */
#define FMA(form, x, y, z)                                                                         \
    DEFINE(VFMA##form##PS)                                                                         \
    {                                                                                              \
        union vreg r;                                                                              \
        UNUSED;                                                                                    \
        for (unsigned i = 0; i < 4 * lanes; i++) {                                                 \
            r.d[i] = (uint32_t)fused(fp, SF_32, x->d[i], y->d[i], z->d[i], (unsigned)imm, i);      \
        }                                                                                          \
        memcpy(d, &r, 16 * lanes);                                                                 \
    }                                                                                              \
    DEFINE(VFMA##form##PD)                                                                         \
    {                                                                                              \
        union vreg r;                                                                              \
        UNUSED;                                                                                    \
        for (unsigned i = 0; i < 2 * lanes; i++) {                                                 \
            r.q[i] = fused(fp, SF_64, x->q[i], y->q[i], z->q[i], (unsigned)imm, i);                \
        }                                                                                          \
        memcpy(d, &r, 16 * lanes);                                                                 \
    }                                                                                              \
    DEFINE(VFMA##form##SS)                                                                         \
    {                                                                                              \
        union vreg r = *a;                                                                         \
        UNUSED;                                                                                    \
        r.d[0] = (uint32_t)fused(fp, SF_32, x->d[0], y->d[0], z->d[0], (unsigned)imm, 0);          \
        memcpy(d, &r, 16);                                                                         \
    }                                                                                              \
    DEFINE(VFMA##form##SD)                                                                         \
    {                                                                                              \
        union vreg r = *a;                                                                         \
        UNUSED;                                                                                    \
        r.q[0] = fused(fp, SF_64, x->q[0], y->q[0], z->q[0], (unsigned)imm, 0);                    \
        memcpy(d, &r, 16);                                                                         \
    }
FMA(132, a, c, b)
FMA(213, b, a, c)
FMA(231, b, c, a)

/* ---- half precision ---- */

/* Half-precision denormals are numbers whatever DAZ says, and raise nothing. */
static uint32_t from_half(struct fpenv *fp, uint16_t x)
{
    struct sf s = sf_unpack(SF_16, x);

    s.denormal = false;
    return (uint32_t)sf_pack(fp, SF_32, sf_operand(fp, s));
}

DEFINE(VCVTPH2PS)
{
    union vreg r;

    UNUSED;
    for (unsigned i = 0; i < 4 * lanes; i++) {
        r.d[i] = from_half(fp, a->w[i]);
    }
    memcpy(d, &r, 16 * lanes);
}

DEFINE(VCVTPS2PH)
{
    union vreg r = {0};
    struct fpenv env = *fp; /* FTZ does not count */

    UNUSED;
    env.ftz = false;
    if (!(imm & 4)) {
        env.round = imm & 3;
    }
    for (unsigned i = 0; i < 4 * lanes; i++) {
        r.w[i] = (uint16_t)sf_pack(&env, SF_16, sf_operand(&env, sf_unpack(SF_32, a->d[i])));
    }
    fp->flags = env.flags;
    memcpy(d, &r, 16);
}
