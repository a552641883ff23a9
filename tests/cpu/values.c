/* Random operands, see values.h. */
#include "tests/cpu/values.h"

#include <string.h>

#include "tests/cpu/native.h"

struct random random_seeded(uint64_t seed, uint64_t a, uint64_t b)
{
    uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + a * UINT64_C(0xbf58476d1ce4e5b9) +
                 b * UINT64_C(0x94d049bb133111eb);

    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    return (struct random){x ? x : 1};
}

uint64_t random_integer(struct random *r)
{
    static const uint64_t edge[] = {
        0,
        1,
        2,
        3,
        7,
        8,
        0xf,
        0x10,
        0x3f,
        0x40,
        0x7f,
        0x80,
        0xff,
        0x100,
        0x7fff,
        0x8000,
        0xffff,
        0x10000,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        0x99,
        0x9a,
        0x8000000000000000u,
        0x7fffffffffffffffu,
        0x100000000u,
    };
    uint64_t x;

    switch (random_below(r, 8)) {
    case 0:
    case 1:
    case 2:
        x = edge[random_below(r, sizeof edge / sizeof edge[0])];
        return random_chance(r, 30) ? -x : x;
    case 3:
        return random_below(r, 64);
    case 4:
        x = UINT64_C(1) << random_below(r, 64);
        return random_chance(r, 30) ? -x : x;
    case 5:
        return (uint64_t)(int64_t)(int32_t)random_next(r);
    default:
        return random_next(r);
    }
}

/* ---- vectors ---- */

static uint32_t random_single(struct random *r)
{
    static const uint32_t edge[] = {
        0,          1,          0x7fffff,   0x800000,   0x3f800000, 0x3f7fffff, 0x3f800001,
        0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fc00000, 0x7fc12345, 0x7fbfffff, 0x4b000000,
        0x4affffff, 0x4effffff, 0x4f000000, 0x5effffff, 0x5f000000, 0x477fe000, 0x477ff000,
        0x38800000, 0x387fc000, 0x33000000, 0x33000001, 0x3f000000, 0x3fc00000, 0x40200000,
        0x00400000, 0x20000000, 0x5f7fffff, 0x1f800000,
    };
    uint32_t x;

    switch (random_below(r, 6)) {
    case 0:
    case 1:
        x = edge[random_below(r, sizeof edge / sizeof edge[0])];
        break;
    case 2: /* of a size to meet others */
        x = (0x3f800000 + (random_below(r, 24) << 23) - (12 << 23)) |
            (uint32_t)(random_next(r) & 0x7fffff);
        break;
    case 3: /* few significant digits */
        x = (0x3f800000 + (random_below(r, 48) << 23) - (24 << 23)) | random_below(r, 8) << 20;
        break;
    default:
        x = (uint32_t)(random_next(r) >> 20);
        break;
    }
    return random_chance(r, 40) ? x ^ 0x80000000 : x;
}

static uint64_t random_double(struct random *r)
{
    static const uint64_t edge[] = {
        0,
        1,
        0x000fffffffffffff,
        0x0010000000000000,
        0x3ff0000000000000,
        0x3fefffffffffffff,
        0x3ff0000000000001,
        0x7fefffffffffffff,
        0x7ff0000000000000,
        0x7ff0000000000001,
        0x7ff8000000000000,
        0x7ff8123456789abc,
        0x7ff7ffffffffffff,
        0x41dfffffffc00000,
        0x41e0000000000000,
        0x43dfffffffffffff,
        0x43e0000000000000,
        0x4330000000000000,
        0x432fffffffffffff,
        0x47efffffe0000000,
        0x47effffff0000000,
        0x3810000000000000,
        0x380fffffffffffff,
        0x36a0000000000000,
        0x3690000000000001,
        0x3fe0000000000000,
        0x3ff8000000000000,
        0x0008000000000000,
        0x2000000000000000,
        0x5fefffffffffffff,
    };
    uint64_t x;

    switch (random_below(r, 6)) {
    case 0:
    case 1:
        x = edge[random_below(r, sizeof edge / sizeof edge[0])];
        break;
    case 2:
        x = ((UINT64_C(1023 - 12) + random_below(r, 24)) << 52) | random_next(r) >> 12;
        break;
    case 3:
        x = ((UINT64_C(1023 - 24) + random_below(r, 48)) << 52) | (uint64_t)random_below(r, 8)
                                                                      << 49;
        break;
    default:
        x = random_next(r);
        break;
    }
    return random_chance(r, 40) ? x ^ UINT64_C(0x8000000000000000) : x;
}

void random_vector(struct random *r, uint64_t v[4])
{
    static const uint8_t bytes[] = {0, 0xff, 0x80, 0x7f, 1, 0x0f, 0x81};
    unsigned kind = random_below(r, 16);
    uint8_t b[32];

    for (unsigned n = 0; n < 4; n++) {
        if (kind < 5) {
            v[n] = random_single(r) | (uint64_t)random_single(r) << 32;
        } else if (kind < 10) {
            v[n] = random_double(r);
        } else if (kind < 12) {
            v[n] = random_integer(r);
        } else {
            v[n] = random_next(r);
        }
    }
    if (kind >= 14) {
        memcpy(b, v, 32);
        for (unsigned n = 0; n < 32; n++) {
            b[n] = random_chance(r, 60) ? bytes[random_below(r, sizeof bytes)] : b[n];
        }
        memcpy(v, b, 32);
    }
}

/* ---- x87 ---- */

void random_extended(struct random *r, uint64_t *mant, uint16_t *se)
{
    static const uint64_t mantissas[] = {
        UINT64_C(0x8000000000000000), UINT64_C(0xffffffffffffffff), UINT64_C(0xc000000000000000),
        UINT64_C(0x8000000000000001), UINT64_C(0xffffffffffffff00), UINT64_C(0xffffff0000000000),
        UINT64_C(0x8000008000000000), UINT64_C(0x8000000000000400), UINT64_C(0xa000000000000000),
        UINT64_C(0xfffffffffffffbff),
    };
    uint64_t k = random_next(r), m = random_next(r) | UINT64_C(1) << 63;
    unsigned e;

    if (k & 1) {
        m = mantissas[k >> 8 & 15 ? (k >> 12) % 10 : 0];
    } else if (k & 2) {
        m = (m & UINT64_MAX << (k >> 8 & 63)) | UINT64_C(1) << 63;
    }
    switch (k >> 16 & 15) {
    case 0:
        m = e = 0;
        break;
    case 1: /* denormal, pseudo-denormal */
        e = 0;
        m = k & 4 ? m : m >> 1 >> (k >> 20 & 62);
        break;
    case 2:
        e = 0x7fff;
        m = k & 4 ? UINT64_C(1) << 63 : m;
        break;
    case 3: /* unsupported formats */
        e = (k >> 24 & 3) ? 0x7fff : 0x3fff;
        m = k >> 26 & 7 ? m : m << 1 >> 1;
        break;
    case 4:
    case 5:
        e = k & 8 ? 1 + (k >> 24 & 0x7f) : 0x7ffe - (k >> 24 & 0x7f);
        break;
    case 6: /* around the range of single and double */
        e = (unsigned)(0x3fff + (k & 32 ? 1024 : 128) * (k & 64 ? 1 : -1) + (int)(k >> 24 & 63) -
                       60);
        break;
    case 7:
        e = (unsigned)(k >> 24) & 0x7fff;
        break;
    case 8:
    case 9:
    case 10: /* integers */
        e = 0x3fff + (k >> 24 & 63) + (k >> 30 & 7);
        break;
    default:
        e = (unsigned)(0x3fff + (int)(k >> 24 & 7) - 4);
        break;
    }
    *mant = m;
    *se = (uint16_t)(e | (k >> 60 & 1) << 15);
}

void random_x87_memory(struct random *r, unsigned size, uint8_t *out)
{
    uint64_t x;
    uint16_t se;

    if (size == 10 && random_chance(r, 50)) { /* decimal digits */
        for (unsigned n = 0; n < 9; n++) {
            out[n] = (uint8_t)(random_below(r, 10) << 4 | random_below(r, 10));
        }
        out[9] = (uint8_t)(random_below(r, 2) << 7);
    } else if (size == 10) {
        random_extended(r, &x, &se);
        memcpy(out, &x, 8);
        memcpy(out + 8, &se, 2);
    } else {
        x = random_chance(r, 30) ? random_integer(r)
            : size == 8          ? random_double(r)
            : size == 4          ? random_single(r)
                                 : random_next(r);
        memcpy(out, &x, size < 8 ? size : 8);
    }
}

static void random_x87(struct random *r, struct native_fx *fx)
{
    unsigned depth = random_chance(r, 80) ? 2 + random_below(r, 4) : random_below(r, 9), top;
    unsigned pc = random_chance(r, 75) ? 3 : random_below(r, 2) * 2;

    top = random_chance(r, 70) ? (8 - depth) & 7 : random_below(r, 8);
    for (unsigned n = 0; n < 8; n++) {
        random_extended(r, &fx->st[n].mant, &fx->st[n].se);
        fx->ftw |= (uint8_t)((n < depth) << ((top + n) & 7));
    }
    if (random_chance(r, 10)) {
        fx->ftw = (uint8_t)random_next(r);
    }
    fx->fcw = (uint16_t)(0x7f | random_below(r, 4) * random_below(r, 2) << 10 | pc << 8);
    fx->fsw = (uint16_t)(top << 11 | (random_chance(r, 50) ? random_next(r) & 0x4700 : 0));
    if (random_chance(r, 20)) {
        fx->fsw |= random_below(r, 128);
    }
    if (random_chance(r, 20)) {
        fx->fcw &= (uint16_t)~random_below(r, 64); /* unmask some */
        fx->fsw &= random_chance(r, 90) ? (uint16_t)~0x7f : 0xffff;
    }
    if (fx->fsw & ~fx->fcw & 0x3f) {
        fx->fsw |= 0x8080; /* pending */
    }
}

void random_fx(struct random *r, bool mmx, struct native_fx *fx)
{
    uint64_t v[4];

    memset(fx, 0, sizeof *fx);
    fx->xstate_bv = 7;
    random_x87(r, fx);
    for (unsigned n = 0; n < 16; n++) {
        random_vector(r, v);
        if (n && random_chance(r, 10)) {
            memcpy(fx->xmm[n], fx->xmm[n - 1], 16);
            memcpy(fx->ymm_high[n], fx->ymm_high[n - 1], 16);
        } else {
            memcpy(fx->xmm[n], v, 16);
            memcpy(fx->ymm_high[n], v + 2, 16);
        }
    }
    if (mmx) {
        for (unsigned n = 0; n < 8; n += 4) {
            random_vector(r, v);
            for (unsigned m = 0; m < 4; m++) {
                fx->st[n + m].mant = v[m];
            }
        }
        if (fx->fsw & 0x80 && random_chance(r, 80)) {
            fx->fsw &= 0x7f00; /* no #MF */
        }
    }
    fx->mxcsr = 0x1f80;
    if (random_chance(r, 60)) {
        fx->mxcsr |= random_below(r, 4) << 13 | random_below(r, 2) << 15 | random_below(r, 2) << 6;
    }
    if (random_chance(r, 20)) {
        fx->mxcsr |= random_below(r, 64);
    }
    if (random_chance(r, 10)) {
        fx->mxcsr &= ~(random_below(r, 64) << 7);
    }
}
