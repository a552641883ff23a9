/* Vector operations that AVX and AVX2 add (SDM volume 2, the instruction of each name): those that
 * cross lanes, variable shifts, the 32 compare predicates. */
#include "tcg/softfloat.h"
#include "tcg/vops_define.h"

EACH(VPERMILPS, d, 4, uint32_t, a->d[(i & ~3u) | (y & 3)])
EACH(VPERMILPD, q, 2, uint64_t, a->q[(i & ~1u) | (y >> 1 & 1)])
EACH(VPERMD, d, 4, uint32_t, a->d[y & 7])
EACH(VPERMQ, q, 2, uint64_t, a->q[imm >> 2 * i & 3])
EACH(VPBROADCASTB, b, 16, uint8_t, a->b[0])
EACH(VPBROADCASTW, w, 8, uint16_t, a->w[0])
EACH(VPBROADCASTD, d, 4, uint32_t, a->d[0])
EACH(VPBROADCASTQ, q, 2, uint64_t, a->q[0])
EACH(VBROADCASTI128, q, 2, uint64_t, a->q[i & 1])
EACH(VPSLLVD, d, 4, uint32_t, y < 32 ? x << y : 0)
EACH(VPSLLVQ, q, 2, uint64_t, y < 64 ? x << y : 0)
EACH(VPSRLVD, d, 4, uint32_t, y < 32 ? x >> y : 0)
EACH(VPSRLVQ, q, 2, uint64_t, y < 64 ? x >> y : 0)
EACH(VPSRAVD, d, 4, uint32_t, (int32_t)x >> (y < 32 ? y : 31))

DEFINE(VPERM2I128)
{
    union vreg r = {0};

    UNUSED;
    for (unsigned l = 0; l < 2; l++) {
        unsigned control = (unsigned)(imm >> 4 * l) & 15;
        if (!(control & 8)) {
            memcpy(r.b + 16 * l, (control & 2 ? b : a)->b + 16 * (control & 1), 16);
        }
    }
    *d = r;
}

DEFINE(VINSERTI128)
{
    union vreg r = *a;

    UNUSED;
    memcpy(r.b + 16 * (imm & 1), b->b, 16);
    *d = r;
}

DEFINE(VEXTRACTI128)
{
    UNUSED;
    memmove(d->b, a->b + 16 * (imm & 1), 16);
}

static unsigned difference(unsigned x, unsigned y)
{
    return x > y ? x - y : y - x;
}

DEFINE(VMPSADBW)
{
    union vreg r = {0};

    UNUSED;
    for (unsigned l = 0; l < lanes; l++) {
        unsigned select = (unsigned)(imm >> 3 * l) & 7;
        const uint8_t *x = a->b + 16 * l + (select & 4), *y = b->b + 16 * l + 4 * (select & 3);
        for (unsigned i = 0; i < 8; i++) {
            for (unsigned j = 0; j < 4; j++) {
                r.w[8 * l + i] = (uint16_t)(r.w[8 * l + i] + difference(x[i + j], y[j]));
            }
        }
    }
    memcpy(d, &r, 16 * lanes);
}

#define RESULT_ARGS                                                                                \
    struct fpenv *fp, const union vreg *a, const union vreg *b, uint64_t imm, unsigned lanes
#define SIGN_TEST(name, f, per_lane, top)                                                          \
    uint64_t vop_##name(RESULT_ARGS);                                                              \
    uint64_t vop_##name(RESULT_ARGS)                                                               \
    {                                                                                              \
        uint64_t both = 0, only_b = 0;                                                             \
        (void)fp, (void)imm;                                                                       \
        for (unsigned i = 0; i < per_lane * lanes; i++) {                                          \
            both |= (a->f[i] & b->f[i]) >> top;                                                    \
            only_b |= (~a->f[i] & b->f[i]) >> top;                                                 \
        }                                                                                          \
        return (both & 1 ? 0 : 0x40) | (only_b & 1 ? 0 : 1);                                       \
    }
SIGN_TEST(VTESTPS, d, 4, 31)
SIGN_TEST(VTESTPD, q, 2, 63)

/* ---- compares ---- */

/* Which of the relations make the predicate true (1 less, 2 equal, 4 greater, 8 unordered), and
 * whether quiet NaNs signal: SDM volume 2, table 3-1 "Comparison predicate for CMPPD". */
static const struct predicate {
    uint8_t relations;
    bool signals;
} predicates[16] = {
    {2, false},  /* EQ_OQ */
    {1, true},   /* LT_OS */
    {3, true},   /* LE_OS */
    {8, false},  /* UNORD_Q */
    {13, false}, /* NEQ_UQ */
    {14, true},  /* NLT_US */
    {12, true},  /* NLE_US */
    {7, false},  /* ORD_Q */
    {10, false}, /* EQ_UQ */
    {9, true},   /* NGE_US */
    {11, true},  /* NGT_US */
    {0, false},  /* FALSE_OQ */
    {5, false},  /* NEQ_OQ */
    {6, true},   /* GE_OS */
    {4, true},   /* GT_OS */
    {15, false}, /* TRUE_UQ */
};

/* Predicates 16 to 31 are the same relations with the other signalling. */
static uint64_t compare(struct fpenv *fp, enum sf_format f, uint64_t x, uint64_t y, unsigned imm)
{
    static const uint8_t relation[] = {1, 2, 4, 8}; /* of sf_compare's -1 .. 2 */
    const struct predicate *p = &predicates[imm & 15];
    bool signals = p->signals != ((imm & 16) != 0);
    int r = sf_compare(fp, sf_unpack(f, x), sf_unpack(f, y), !signals);

    return p->relations & relation[r + 1] ? UINT64_MAX : 0;
}

EACH(VCMPPS, d, 4, uint32_t, compare(fp, SF_32, x, y, (unsigned)imm))
EACH(VCMPPD, q, 2, uint64_t, compare(fp, SF_64, x, y, (unsigned)imm))

DEFINE(VCMPSS)
{
    union vreg r = *a;

    UNUSED;
    r.d[0] = (uint32_t)compare(fp, SF_32, a->d[0], b->d[0], (unsigned)imm);
    memcpy(d, &r, 16);
}

DEFINE(VCMPSD)
{
    union vreg r = *a;

    UNUSED;
    r.q[0] = compare(fp, SF_64, a->q[0], b->q[0], (unsigned)imm);
    memcpy(d, &r, 16);
}
