/* Integer vector operations (SDM volume 2, the instruction of each name), lane by lane of 128 bits.
 *
 * Each function computes into a copy, so that sources may be the destination. */
#include "tcg/vops_define.h"

static void put(union vreg *d, const union vreg *r, unsigned lanes)
{
    memcpy(d, r, 16 * lanes);
}

static int32_t clamp(int32_t v, int32_t lo, int32_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

EACH(PADDB, b, 16, uint8_t, x + y)
EACH(PADDW, w, 8, uint16_t, x + y)
EACH(PADDD, d, 4, uint32_t, x + y)
EACH(PADDQ, q, 2, uint64_t, x + y)
EACH(PSUBB, b, 16, uint8_t, x - y)
EACH(PSUBW, w, 8, uint16_t, x - y)
EACH(PSUBD, d, 4, uint32_t, x - y)
EACH(PSUBQ, q, 2, uint64_t, x - y)
EACH(PADDSB, b, 16, int8_t, clamp(x + y, -128, 127))
EACH(PADDSW, w, 8, int16_t, clamp(x + y, -32768, 32767))
EACH(PADDUSB, b, 16, uint8_t, clamp(x + y, 0, 255))
EACH(PADDUSW, w, 8, uint16_t, clamp(x + y, 0, 65535))
EACH(PSUBSB, b, 16, int8_t, clamp(x - y, -128, 127))
EACH(PSUBSW, w, 8, int16_t, clamp(x - y, -32768, 32767))
EACH(PSUBUSB, b, 16, uint8_t, clamp(x - y, 0, 255))
EACH(PSUBUSW, w, 8, uint16_t, clamp(x - y, 0, 65535))
EACH(PMULLW, w, 8, int16_t, (int32_t)x *y)
EACH(PMULHW, w, 8, int16_t, (int32_t)x *y >> 16)
EACH(PMULHUW, w, 8, uint16_t, (uint32_t)x *y >> 16)
EACH(PMULLD, d, 4, uint32_t, x *y)
EACH(PMULUDQ, q, 2, uint64_t, (x & 0xffffffff) * (y & 0xffffffff))
EACH(PMULDQ, q, 2, uint64_t, (uint64_t)((int64_t)(int32_t)x *(int32_t)y))
EACH(PMULHRSW, w, 8, int16_t, (((int32_t)x * y >> 14) + 1) >> 1)
EACH(PAND, q, 2, uint64_t, x &y)
EACH(PANDN, q, 2, uint64_t, ~x &y)
EACH(POR, q, 2, uint64_t, x | y)
EACH(PXOR, q, 2, uint64_t, x ^ y)
EACH(PCMPEQB, b, 16, uint8_t, x == y ? -1 : 0)
EACH(PCMPEQW, w, 8, uint16_t, x == y ? -1 : 0)
EACH(PCMPEQD, d, 4, uint32_t, x == y ? -1 : 0)
EACH(PCMPEQQ, q, 2, uint64_t, x == y ? -1 : 0)
EACH(PCMPGTB, b, 16, int8_t, x > y ? -1 : 0)
EACH(PCMPGTW, w, 8, int16_t, x > y ? -1 : 0)
EACH(PCMPGTD, d, 4, int32_t, x > y ? -1 : 0)
EACH(PCMPGTQ, q, 2, int64_t, x > y ? -1 : 0)
EACH(PMAXSB, b, 16, int8_t, x > y ? x : y)
EACH(PMAXSW, w, 8, int16_t, x > y ? x : y)
EACH(PMAXSD, d, 4, int32_t, x > y ? x : y)
EACH(PMAXUB, b, 16, uint8_t, x > y ? x : y)
EACH(PMAXUW, w, 8, uint16_t, x > y ? x : y)
EACH(PMAXUD, d, 4, uint32_t, x > y ? x : y)
EACH(PMINSB, b, 16, int8_t, x < y ? x : y)
EACH(PMINSW, w, 8, int16_t, x < y ? x : y)
EACH(PMINSD, d, 4, int32_t, x < y ? x : y)
EACH(PMINUB, b, 16, uint8_t, x < y ? x : y)
EACH(PMINUW, w, 8, uint16_t, x < y ? x : y)
EACH(PMINUD, d, 4, uint32_t, x < y ? x : y)
EACH(PAVGB, b, 16, uint8_t, (x + y + 1) >> 1)
EACH(PAVGW, w, 8, uint16_t, (x + y + 1) >> 1)
EACH(PABSB, b, 16, int8_t, x < 0 ? -x : x)
EACH(PABSW, w, 8, int16_t, x < 0 ? -x : x)
EACH(PABSD, d, 4, int32_t, x < 0 ? 0u - (uint32_t)x : (uint32_t)x)
EACH(PSIGNB, b, 16, int8_t, y < 0 ? -x : y ? x : 0)
EACH(PSIGNW, w, 8, int16_t, y < 0 ? -x : y ? x : 0)
EACH(PSIGND, d, 4, int32_t, y < 0 ? 0u - (uint32_t)x : y ? (uint32_t)x : 0)

/* Shifts: a count beyond the element's width gives zero, or copies of the sign. */
#define SHIFT(name, f, per_lane, T, in_range, beyond)                                              \
    static void shift_##name(union vreg *d, const union vreg *a, uint64_t n, unsigned lanes)       \
    {                                                                                              \
        union vreg r;                                                                              \
        const unsigned bits = 8 * sizeof(T);                                                       \
        for (unsigned i = 0; i < per_lane * lanes; i++) {                                          \
            T x = (T)a->f[i];                                                                      \
            (void)x;                                                                               \
            r.f[i] = (__typeof__(r.f[0]))(n < bits ? (T)(in_range) : (T)(beyond));                 \
        }                                                                                          \
        put(d, &r, lanes);                                                                         \
    }                                                                                              \
    DEFINE(name)                                                                                   \
    {                                                                                              \
        UNUSED;                                                                                    \
        shift_##name(d, a, b->q[0], lanes);                                                        \
    }                                                                                              \
    DEFINE(name##_I)                                                                               \
    {                                                                                              \
        UNUSED;                                                                                    \
        shift_##name(d, a, imm & 0xff, lanes);                                                     \
    }

SHIFT(PSLLW, w, 8, uint16_t, x << n, 0)
SHIFT(PSLLD, d, 4, uint32_t, x << n, 0)
SHIFT(PSLLQ, q, 2, uint64_t, x << n, 0)
SHIFT(PSRLW, w, 8, uint16_t, x >> n, 0)
SHIFT(PSRLD, d, 4, uint32_t, x >> n, 0)
SHIFT(PSRLQ, q, 2, uint64_t, x >> n, 0)
SHIFT(PSRAW, w, 8, int16_t, x >> n, x < 0 ? -1 : 0)
SHIFT(PSRAD, d, 4, int32_t, x >> n, x < 0 ? -1 : 0)

/* Operations that work on each 128-bit lane as a whole: A, B, C are the sources' lanes, R the
 * result's. */
struct lane {
    union {
        uint8_t b[16];
        uint16_t w[8];
        uint32_t d[4];
        uint64_t q[2];
    };
};

#define LANES(name)                                                                                \
    static void lane_##name(struct lane *r, const struct lane *a, const struct lane *b,            \
                            const struct lane *c, unsigned imm);                                   \
    DEFINE(name)                                                                                   \
    {                                                                                              \
        union vreg r;                                                                              \
        for (unsigned l = 0; l < lanes; l++) {                                                     \
            struct lane la, lb = {0}, lc = {0}, lr = {0};                                          \
            memcpy(&la, a->b + 16 * l, 16);                                                        \
            if (b) {                                                                               \
                memcpy(&lb, b->b + 16 * l, 16);                                                    \
            }                                                                                      \
            if (c) {                                                                               \
                memcpy(&lc, c->b + 16 * l, 16);                                                    \
            }                                                                                      \
            lane_##name(&lr, &la, &lb, &lc, (unsigned)imm);                                        \
            memcpy(r.b + 16 * l, &lr, 16);                                                         \
        }                                                                                          \
        UNUSED;                                                                                    \
        put(d, &r, lanes);                                                                         \
    }                                                                                              \
    static void lane_##name(struct lane *r, const struct lane *a, const struct lane *b,            \
                            const struct lane *c, unsigned imm)

#define LANE_UNUSED (void)r, (void)a, (void)b, (void)c, (void)imm
/* One expression for each element i of field f. */
#define LANE_EACH(name, f, n, expr)                                                                \
    LANES(name)                                                                                    \
    {                                                                                              \
        LANE_UNUSED;                                                                               \
        for (unsigned i = 0; i < n; i++) {                                                         \
            r->f[i] = (__typeof__(r->f[0]))(expr);                                                 \
        }                                                                                          \
    }

#define S16(x) ((int32_t)(int16_t)(x))
#define S8(x)  ((int32_t)(int8_t)(x))

LANE_EACH(PMADDWD, d, 4,
          (uint32_t)(S16(a->w[2 * i]) * S16(b->w[2 * i])) +
              (uint32_t)(S16(a->w[2 * i + 1]) * S16(b->w[2 * i + 1])))
LANE_EACH(PMADDUBSW, w, 8,
          clamp(a->b[2 * i] * S8(b->b[2 * i]) + a->b[2 * i + 1] * S8(b->b[2 * i + 1]), -32768,
                32767))

static unsigned difference(unsigned x, unsigned y)
{
    return x > y ? x - y : y - x;
}

LANES(PSADBW)
{
    LANE_UNUSED;
    for (unsigned i = 0; i < 16; i++) {
        r->q[i / 8] += difference(a->b[i], b->b[i]);
    }
}

LANES(MPSADBW)
{
    unsigned ao = imm & 4, bo = (imm & 3) * 4;

    LANE_UNUSED;
    for (unsigned i = 0; i < 8; i++) {
        for (unsigned j = 0; j < 4; j++) {
            r->w[i] = (uint16_t)(r->w[i] + difference(a->b[ao + i + j], b->b[bo + j]));
        }
    }
}

#define HALF(i, n) ((i) < (n) / 2 ? a : b)
LANE_EACH(PACKSSWB, b, 16, clamp(S16(HALF(i, 16)->w[i % 8]), -128, 127))
LANE_EACH(PACKUSWB, b, 16, clamp(S16(HALF(i, 16)->w[i % 8]), 0, 255))
LANE_EACH(PACKSSDW, w, 8, clamp((int32_t)HALF(i, 8)->d[i % 4], -32768, 32767))
LANE_EACH(PACKUSDW, w, 8, clamp((int32_t)HALF(i, 8)->d[i % 4], 0, 65535))

#define ALTERNATE(i) ((i)&1 ? b : a)
LANE_EACH(PUNPCKLBW, b, 16, ALTERNATE(i)->b[i / 2])
LANE_EACH(PUNPCKLWD, w, 8, ALTERNATE(i)->w[i / 2])
LANE_EACH(PUNPCKLDQ, d, 4, ALTERNATE(i)->d[i / 2])
LANE_EACH(PUNPCKLQDQ, q, 2, ALTERNATE(i)->q[i / 2])
LANE_EACH(PUNPCKHBW, b, 16, ALTERNATE(i)->b[8 + i / 2])
LANE_EACH(PUNPCKHWD, w, 8, ALTERNATE(i)->w[4 + i / 2])
LANE_EACH(PUNPCKHDQ, d, 4, ALTERNATE(i)->d[2 + i / 2])
LANE_EACH(PUNPCKHQDQ, q, 2, ALTERNATE(i)->q[1 + i / 2])

LANE_EACH(PSLLDQ, b, 16, imm <= i ? a->b[i - imm] : 0)
LANE_EACH(PSRLDQ, b, 16, i + imm < 16 ? a->b[i + imm] : 0)
LANE_EACH(PSHUFD, d, 4, a->d[imm >> 2 * i & 3])
LANE_EACH(PSHUFLW, w, 8, i < 4 ? a->w[imm >> 2 * i & 3] : a->w[i])
LANE_EACH(PSHUFHW, w, 8, i < 4 ? a->w[i] : a->w[4 + (imm >> 2 * (i - 4) & 3)])
LANE_EACH(PSHUFB, b, 16, b->b[i] & 0x80 ? 0 : a->b[b->b[i] & 15])
LANE_EACH(PSHUFB64, b, 16, b->b[i] & 0x80 ? 0 : a->b[b->b[i] & 7])
LANE_EACH(SHUFPS, d, 4, HALF(i, 4)->d[imm >> 2 * i & 3])
LANE_EACH(PALIGNR, b, 16, i + imm < 16 ? b->b[i + imm] : i + imm < 32 ? a->b[i + imm - 16] : 0)
LANE_EACH(PBLENDW, w, 8, imm >> i & 1 ? b->w[i] : a->w[i])
LANE_EACH(PBLENDVB, b, 16, c->b[i] & 0x80 ? b->b[i] : a->b[i])
LANE_EACH(BLENDVPS, d, 4, c->d[i] >> 31 ? b->d[i] : a->d[i])
LANE_EACH(BLENDVPD, q, 2, c->q[i] >> 63 ? b->q[i] : a->q[i])
LANE_EACH(INSERTPS, d, 4, imm >> i & 1 ? 0 : i == (imm >> 4 & 3) ? b->d[imm >> 6 & 3] : a->d[i])
LANE_EACH(MOVDDUP, q, 2, a->q[0])
LANE_EACH(MOVSLDUP, d, 4, a->d[i & 2])
LANE_EACH(MOVSHDUP, d, 4, a->d[i | 1])
LANE_EACH(MOVSS, d, 4, i ? a->d[i] : b->d[i])
LANE_EACH(MOVSD, q, 2, i ? a->q[i] : b->q[i])
LANE_EACH(MOVLHPS, q, 2, i ? b->q[0] : a->q[0])
LANE_EACH(MOVHLPS, q, 2, i ? a->q[1] : b->q[1])
LANE_EACH(MOVQ, q, 2, i ? 0 : a->q[0])
LANE_EACH(PHADDW, w, 8, HALF(i, 8)->w[2 * i % 8] + HALF(i, 8)->w[2 * i % 8 + 1])
LANE_EACH(PHADDD, d, 4, HALF(i, 4)->d[2 * i % 4] + HALF(i, 4)->d[2 * i % 4 + 1])
LANE_EACH(PHSUBW, w, 8, HALF(i, 8)->w[2 * i % 8] - HALF(i, 8)->w[2 * i % 8 + 1])
LANE_EACH(PHSUBD, d, 4, HALF(i, 4)->d[2 * i % 4] - HALF(i, 4)->d[2 * i % 4 + 1])
LANE_EACH(PHADDSW, w, 8,
          clamp(S16(HALF(i, 8)->w[2 * i % 8]) + S16(HALF(i, 8)->w[2 * i % 8 + 1]), -32768, 32767))
LANE_EACH(PHSUBSW, w, 8,
          clamp(S16(HALF(i, 8)->w[2 * i % 8]) - S16(HALF(i, 8)->w[2 * i % 8 + 1]), -32768, 32767))

/* The immediate of these has bits for the second lane too (256-bit forms). */
#define LANE_BITS(name, f, per_lane, chosen)                                                       \
    DEFINE(name)                                                                                   \
    {                                                                                              \
        union vreg r;                                                                              \
        for (unsigned i = 0; i < per_lane * lanes; i++) {                                          \
            unsigned bit = (unsigned)imm >> i & 1, base = i / per_lane * per_lane;                 \
            (void)base;                                                                            \
            r.f[i] = (chosen);                                                                     \
        }                                                                                          \
        UNUSED;                                                                                    \
        put(d, &r, lanes);                                                                         \
    }
LANE_BITS(BLENDPS, d, 4, bit ? b->d[i] : a->d[i])
LANE_BITS(BLENDPD, q, 2, bit ? b->q[i] : a->q[i])
LANE_BITS(SHUFPD, q, 2, (i & 1 ? b : a)->q[base + bit])

LANES(PHMINPOSUW)
{
    unsigned best = 0;

    LANE_UNUSED;
    for (unsigned i = 1; i < 8; i++) {
        if (a->w[i] < a->w[best]) {
            best = i;
        }
    }
    r->w[0] = a->w[best];
    r->w[1] = (uint16_t)best;
}

/* Widening moves: from the low elements of a, over all lanes. */
#define WIDEN(name, to, n, from, T)                                                                \
    DEFINE(name)                                                                                   \
    {                                                                                              \
        union vreg r;                                                                              \
        for (unsigned i = 0; i < n * lanes; i++) {                                                 \
            r.to[i] = (__typeof__(r.to[0]))(T)a->from[i];                                          \
        }                                                                                          \
        UNUSED;                                                                                    \
        put(d, &r, lanes);                                                                         \
    }
WIDEN(PMOVSXBW, w, 8, b, int8_t)
WIDEN(PMOVSXBD, d, 4, b, int8_t)
WIDEN(PMOVSXBQ, q, 2, b, int8_t)
WIDEN(PMOVSXWD, d, 4, w, int16_t)
WIDEN(PMOVSXWQ, q, 2, w, int16_t)
WIDEN(PMOVSXDQ, q, 2, d, int32_t)
WIDEN(PMOVZXBW, w, 8, b, uint8_t)
WIDEN(PMOVZXBD, d, 4, b, uint8_t)
WIDEN(PMOVZXBQ, q, 2, b, uint8_t)
WIDEN(PMOVZXWD, d, 4, w, uint16_t)
WIDEN(PMOVZXWQ, q, 2, w, uint16_t)
WIDEN(PMOVZXDQ, q, 2, d, uint32_t)

#define RESULT_ARGS                                                                                \
    struct fpenv *fp, const union vreg *a, const union vreg *b, uint64_t imm, unsigned lanes
#define SIGN_MASK(name, f, per_lane, top)                                                          \
    uint64_t vop_##name(RESULT_ARGS);                                                              \
    uint64_t vop_##name(RESULT_ARGS)                                                               \
    {                                                                                              \
        uint64_t r = 0;                                                                            \
        (void)fp, (void)b, (void)imm;                                                              \
        for (unsigned i = 0; i < per_lane * (lanes > 1 ? 2u : 1u); i++) {                          \
            r |= (uint64_t)(a->f[i] >> top & 1) << i;                                              \
        }                                                                                          \
        return r;                                                                                  \
    }
SIGN_MASK(PMOVMSKB, b, 16, 7)
SIGN_MASK(MOVMSKPS, d, 4, 31)
SIGN_MASK(MOVMSKPD, q, 2, 63)

uint64_t vop_PTEST(RESULT_ARGS);
uint64_t vop_PTEST(RESULT_ARGS)
{
    uint64_t both = 0, only_b = 0;

    (void)fp, (void)imm;
    for (unsigned i = 0; i < 2 * lanes; i++) {
        both |= a->q[i] & b->q[i];
        only_b |= ~a->q[i] & b->q[i];
    }
    return (both ? 0 : 0x40) | (only_b ? 0 : 1);
}
