/* Floating-point vector operations against the host's SSE unit: random and special operands, all
 * rounding modes, DAZ and FTZ; results and flags. Skipped on hosts that are not x86. */
#include "tcg/vops.h"
#include "tests/unit/tap.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t operand(bool dbl)
{
    static const uint32_t s[] = {0,          0x80000000, 1,          0x007fffff, 0x00800000,
                                 0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001,
                                 0x3f800000, 0xbf800000, 0x4b000000, 0x4f000000, 0xcf000000,
                                 0x5f000000, 0x3f000000, 0x80000001};
    static const uint64_t q[] = {0,
                                 1,
                                 UINT64_C(1) << 63,
                                 UINT64_C(0x000fffffffffffff),
                                 UINT64_C(0x0010000000000000),
                                 UINT64_C(0x7fefffffffffffff),
                                 UINT64_C(0x7ff0000000000000),
                                 UINT64_C(0xfff0000000000000),
                                 UINT64_C(0x7ff8000000000000),
                                 UINT64_C(0x7ff0000000000001),
                                 UINT64_C(0x3ff0000000000000),
                                 UINT64_C(0xbff0000000000000),
                                 UINT64_C(0x41e0000000000000),
                                 UINT64_C(0x43e0000000000000),
                                 UINT64_C(0x3fe0000000000000),
                                 UINT64_C(0x36a0000000000000)};
    uint64_t r = next();

    switch (r >> 60) {
    case 0:
    case 1:
    case 2:
    case 3:
        return dbl ? q[r % 16] : s[r % 18];
    case 4:
    case 5:
    case 6: /* near one another */
        return dbl ? UINT64_C(0x3ff0000000000000) + (int64_t)((int32_t)r >> (r >> 33 & 31)) * 4
                   : 0x3f800000u + (uint32_t)((int32_t)r >> (r >> 33 & 31));
    case 7: /* around 2^31 and 2^63 */
        return dbl ? UINT64_C(0x41d0000000000000) + (r & UINT64_C(0x02ffffffffffffff))
                   : 0x4e000000u + (uint32_t)(r & 0x1ffffff);
    default:
        return dbl ? r ^ next() : (uint32_t)(r ^ next());
    }
}

typedef __m128i v;
#define PS(x) _mm_castsi128_ps(x)
#define PD(x) _mm_castsi128_pd(x)
#define IS(x) _mm_castps_si128(x)
#define ID(x) _mm_castpd_si128(x)

#define CASES(_)                                                                                   \
    _(ADDSS, 0, IS(_mm_add_ss(PS(a), PS(b))))                                                      \
    _(ADDSD, 1, ID(_mm_add_sd(PD(a), PD(b)))) _(SUBSS, 0, IS(_mm_sub_ss(PS(a), PS(b))))            \
        _(SUBSD, 1, ID(_mm_sub_sd(PD(a), PD(b)))) _(MULSS, 0, IS(_mm_mul_ss(PS(a), PS(b)))) _(     \
            MULSD, 1, ID(_mm_mul_sd(PD(a), PD(b)))) _(DIVSS, 0, IS(_mm_div_ss(PS(a), PS(b))))      \
            _(DIVSD, 1, ID(_mm_div_sd(PD(a), PD(b)))) _(MINSS, 0, IS(_mm_min_ss(PS(a), PS(b)))) _( \
                MAXSD, 1, ID(_mm_max_sd(PD(a), PD(b)))) _(MAXSS, 0, IS(_mm_max_ss(PS(a), PS(b))))  \
                _(MINSD, 1, ID(_mm_min_sd(PD(a), PD(b)))) _(SQRTPS, 0, IS(_mm_sqrt_ps(PS(a))))     \
                    _(SQRTPD, 1, ID(_mm_sqrt_pd(PD(a)))) _(CVTPS2PD, 0, ID(_mm_cvtps_pd(PS(a))))   \
                        _(CVTPD2PS, 1, IS(_mm_cvtpd_ps(PD(a))))                                    \
                            _(CVTPS2DQ, 0, _mm_cvtps_epi32(PS(a)))                                 \
                                _(CVTPD2DQ, 1, _mm_cvtpd_epi32(PD(a)))                             \
                                    _(CVTTPS2DQ, 0, _mm_cvttps_epi32(PS(a)))                       \
                                        _(CVTTPD2DQ, 1, _mm_cvttpd_epi32(PD(a)))                   \
                                            _(CVTDQ2PS, 0, IS(_mm_cvtepi32_ps(a)))                 \
                                                _(CVTDQ2PD, 0, ID(_mm_cvtepi32_pd(a)))             \
                                                    _(ADDPS, 0, IS(_mm_add_ps(PS(a), PS(b))))      \
                                                        _(ADDPD, 1, ID(_mm_add_pd(PD(a), PD(b))))

#define HOST(name, dbl, expr)                                                                      \
    __attribute__((noinline)) static v host_##name(v a, v b)                                       \
    {                                                                                              \
        (void)b;                                                                                   \
        return expr;                                                                               \
    }
CASES(HOST)

static const struct {
    unsigned vop;
    bool dbl;
    v (*host)(v a, v b);
} cases[] = {
#define ROW(name, dbl, expr) {VOP_##name, dbl, host_##name},
    CASES(ROW)};

static bool run_case(unsigned n, unsigned rounds)
{
    for (unsigned k = 0; k < rounds; k++) {
        unsigned mode = k & 3, daz = k >> 2 & 1, ftz = k >> 3 & 1;
        union vreg a = {0}, b = {0}, mine = {0}, theirs = {0};
        struct fpenv fp = {.round = (uint8_t)mode, .masks = FP_ALL, .daz = daz, .ftz = ftz};
        for (unsigned i = 0; i < 4; i++) {
            if (cases[n].dbl) {
                a.q[i / 2] = operand(true);
                b.q[i / 2] = operand(true);
            } else {
                a.d[i] = (uint32_t)operand(false);
                b.d[i] = (uint32_t)operand(false);
            }
        }
        v x, y;
        memcpy(&x, a.b, 16);
        memcpy(&y, b.b, 16);
        _mm_setcsr(0x1f80 | mode << 13 | daz << 6 | ftz << 15);
        v r = cases[n].host(x, y);
        unsigned flags = _mm_getcsr() & 63;
        _mm_setcsr(0x1f80);
        memcpy(theirs.b, &r, 16);
        vop_table[cases[n].vop].fn(&fp, &mine, &a, &b, NULL, 0, 1);
        if (memcmp(mine.b, theirs.b, 16) || fp.flags != flags) {
            printf("# %s mode %u daz %u ftz %u: a %016llx %016llx b %016llx %016llx\n#  ours "
                   "%016llx %016llx "
                   "flags %02x, host %016llx %016llx flags %02x\n",
                   vop_table[cases[n].vop].name, mode, daz, ftz, (unsigned long long)a.q[1],
                   (unsigned long long)a.q[0], (unsigned long long)b.q[1],
                   (unsigned long long)b.q[0], (unsigned long long)mine.q[1],
                   (unsigned long long)mine.q[0], fp.flags, (unsigned long long)theirs.q[1],
                   (unsigned long long)theirs.q[0], flags);
            return false;
        }
    }
    return true;
}

int main(void)
{
    for (unsigned n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        tap_ok(run_case(n, 40000), "%s as the host", vop_table[cases[n].vop].name);
    }
    return tap_done();
}
#else
int main(void)
{
    puts("1..0 # SKIP the host is not x86");
    return 0;
}
#endif
