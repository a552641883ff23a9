/* AES, carry-less multiplication, SHA and Galois field operations (SDM volume 2, the instruction of
 * each name; FIPS 197, FIPS 180-4), lane by lane of 128 bits. */
#include "tcg/vops.h"

#include <string.h>

#define VOP_ARGS                                                                                   \
    struct fpenv *fp, union vreg *d, const union vreg *a, const union vreg *b,                     \
        const union vreg *c, uint64_t imm, unsigned lanes
#define UNUSED (void)fp, (void)d, (void)a, (void)b, (void)c, (void)imm, (void)lanes
#define DEFINE(name)                                                                               \
    void vop_##name(VOP_ARGS);                                                                     \
    void vop_##name(VOP_ARGS)

/* ---- the field GF(2^8) with x^8 + x^4 + x^3 + x + 1 ---- */

static uint8_t gf_double(uint8_t x)
{
    return (uint8_t)(x << 1 ^ (x & 0x80 ? 0x1b : 0));
}

static uint8_t gf_multiply(uint8_t x, uint8_t y)
{
    uint8_t r = 0;

    for (; y; y >>= 1) {
        r ^= y & 1 ? x : 0;
        x = gf_double(x);
    }
    return r;
}

/* ---- AES ---- */

static const uint8_t sbox[256] = {
    0x63, 0x7c, 0x77, 0x7b, 0xf2, 0x6b, 0x6f, 0xc5, 0x30, 0x01, 0x67, 0x2b,
    0xfe, 0xd7, 0xab, 0x76, 0xca, 0x82, 0xc9, 0x7d, 0xfa, 0x59, 0x47, 0xf0,
    0xad, 0xd4, 0xa2, 0xaf, 0x9c, 0xa4, 0x72, 0xc0, 0xb7, 0xfd, 0x93, 0x26,
    0x36, 0x3f, 0xf7, 0xcc, 0x34, 0xa5, 0xe5, 0xf1, 0x71, 0xd8, 0x31, 0x15,
    0x04, 0xc7, 0x23, 0xc3, 0x18, 0x96, 0x05, 0x9a, 0x07, 0x12, 0x80, 0xe2,
    0xeb, 0x27, 0xb2, 0x75, 0x09, 0x83, 0x2c, 0x1a, 0x1b, 0x6e, 0x5a, 0xa0,
    0x52, 0x3b, 0xd6, 0xb3, 0x29, 0xe3, 0x2f, 0x84, 0x53, 0xd1, 0x00, 0xed,
    0x20, 0xfc, 0xb1, 0x5b, 0x6a, 0xcb, 0xbe, 0x39, 0x4a, 0x4c, 0x58, 0xcf,
    0xd0, 0xef, 0xaa, 0xfb, 0x43, 0x4d, 0x33, 0x85, 0x45, 0xf9, 0x02, 0x7f,
    0x50, 0x3c, 0x9f, 0xa8, 0x51, 0xa3, 0x40, 0x8f, 0x92, 0x9d, 0x38, 0xf5,
    0xbc, 0xb6, 0xda, 0x21, 0x10, 0xff, 0xf3, 0xd2, 0xcd, 0x0c, 0x13, 0xec,
    0x5f, 0x97, 0x44, 0x17, 0xc4, 0xa7, 0x7e, 0x3d, 0x64, 0x5d, 0x19, 0x73,
    0x60, 0x81, 0x4f, 0xdc, 0x22, 0x2a, 0x90, 0x88, 0x46, 0xee, 0xb8, 0x14,
    0xde, 0x5e, 0x0b, 0xdb, 0xe0, 0x32, 0x3a, 0x0a, 0x49, 0x06, 0x24, 0x5c,
    0xc2, 0xd3, 0xac, 0x62, 0x91, 0x95, 0xe4, 0x79, 0xe7, 0xc8, 0x37, 0x6d,
    0x8d, 0xd5, 0x4e, 0xa9, 0x6c, 0x56, 0xf4, 0xea, 0x65, 0x7a, 0xae, 0x08,
    0xba, 0x78, 0x25, 0x2e, 0x1c, 0xa6, 0xb4, 0xc6, 0xe8, 0xdd, 0x74, 0x1f,
    0x4b, 0xbd, 0x8b, 0x8a, 0x70, 0x3e, 0xb5, 0x66, 0x48, 0x03, 0xf6, 0x0e,
    0x61, 0x35, 0x57, 0xb9, 0x86, 0xc1, 0x1d, 0x9e, 0xe1, 0xf8, 0x98, 0x11,
    0x69, 0xd9, 0x8e, 0x94, 0x9b, 0x1e, 0x87, 0xe9, 0xce, 0x55, 0x28, 0xdf,
    0x8c, 0xa1, 0x89, 0x0d, 0xbf, 0xe6, 0x42, 0x68, 0x41, 0x99, 0x2d, 0x0f,
    0xb0, 0x54, 0xbb, 0x16,
};
static const uint8_t inverse_sbox[256] = {
    0x52, 0x09, 0x6a, 0xd5, 0x30, 0x36, 0xa5, 0x38, 0xbf, 0x40, 0xa3, 0x9e,
    0x81, 0xf3, 0xd7, 0xfb, 0x7c, 0xe3, 0x39, 0x82, 0x9b, 0x2f, 0xff, 0x87,
    0x34, 0x8e, 0x43, 0x44, 0xc4, 0xde, 0xe9, 0xcb, 0x54, 0x7b, 0x94, 0x32,
    0xa6, 0xc2, 0x23, 0x3d, 0xee, 0x4c, 0x95, 0x0b, 0x42, 0xfa, 0xc3, 0x4e,
    0x08, 0x2e, 0xa1, 0x66, 0x28, 0xd9, 0x24, 0xb2, 0x76, 0x5b, 0xa2, 0x49,
    0x6d, 0x8b, 0xd1, 0x25, 0x72, 0xf8, 0xf6, 0x64, 0x86, 0x68, 0x98, 0x16,
    0xd4, 0xa4, 0x5c, 0xcc, 0x5d, 0x65, 0xb6, 0x92, 0x6c, 0x70, 0x48, 0x50,
    0xfd, 0xed, 0xb9, 0xda, 0x5e, 0x15, 0x46, 0x57, 0xa7, 0x8d, 0x9d, 0x84,
    0x90, 0xd8, 0xab, 0x00, 0x8c, 0xbc, 0xd3, 0x0a, 0xf7, 0xe4, 0x58, 0x05,
    0xb8, 0xb3, 0x45, 0x06, 0xd0, 0x2c, 0x1e, 0x8f, 0xca, 0x3f, 0x0f, 0x02,
    0xc1, 0xaf, 0xbd, 0x03, 0x01, 0x13, 0x8a, 0x6b, 0x3a, 0x91, 0x11, 0x41,
    0x4f, 0x67, 0xdc, 0xea, 0x97, 0xf2, 0xcf, 0xce, 0xf0, 0xb4, 0xe6, 0x73,
    0x96, 0xac, 0x74, 0x22, 0xe7, 0xad, 0x35, 0x85, 0xe2, 0xf9, 0x37, 0xe8,
    0x1c, 0x75, 0xdf, 0x6e, 0x47, 0xf1, 0x1a, 0x71, 0x1d, 0x29, 0xc5, 0x89,
    0x6f, 0xb7, 0x62, 0x0e, 0xaa, 0x18, 0xbe, 0x1b, 0xfc, 0x56, 0x3e, 0x4b,
    0xc6, 0xd2, 0x79, 0x20, 0x9a, 0xdb, 0xc0, 0xfe, 0x78, 0xcd, 0x5a, 0xf4,
    0x1f, 0xdd, 0xa8, 0x33, 0x88, 0x07, 0xc7, 0x31, 0xb1, 0x12, 0x10, 0x59,
    0x27, 0x80, 0xec, 0x5f, 0x60, 0x51, 0x7f, 0xa9, 0x19, 0xb5, 0x4a, 0x0d,
    0x2d, 0xe5, 0x7a, 0x9f, 0x93, 0xc9, 0x9c, 0xef, 0xa0, 0xe0, 0x3b, 0x4d,
    0xae, 0x2a, 0xf5, 0xb0, 0xc8, 0xeb, 0xbb, 0x3c, 0x83, 0x53, 0x99, 0x61,
    0x17, 0x2b, 0x04, 0x7e, 0xba, 0x77, 0xd6, 0x26, 0xe1, 0x69, 0x14, 0x63,
    0x55, 0x21, 0x0c, 0x7d,
};

static void mix_column(uint8_t s[4], bool inverse)
{
    static const uint8_t forward[4] = {2, 3, 1, 1}, backward[4] = {14, 11, 13, 9};
    const uint8_t *m = inverse ? backward : forward;
    uint8_t r[4] = {0};

    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = 0; j < 4; j++) {
            r[i] ^= gf_multiply(s[(i + j) & 3], m[j]);
        }
    }
    memcpy(s, r, 4);
}

/* One round on 16 bytes: row i of column j is byte 4 * j + i. */
static void aes_round(uint8_t *d, const uint8_t *state, const uint8_t *key, bool inverse, bool last)
{
    uint8_t r[16];

    for (unsigned j = 0; j < 4; j++) {
        for (unsigned i = 0; i < 4; i++) {
            unsigned from = 4 * ((inverse ? j - i : j + i) & 3) + i;
            r[4 * j + i] = (inverse ? inverse_sbox : sbox)[state[from]];
        }
        if (!last) {
            mix_column(r + 4 * j, inverse);
        }
    }
    for (unsigned i = 0; i < 16; i++) {
        d[i] = r[i] ^ key[i];
    }
}

#define AES(name, inverse, last)                                                                   \
    DEFINE(name)                                                                                   \
    {                                                                                              \
        UNUSED;                                                                                    \
        for (unsigned l = 0; l < lanes; l++) {                                                     \
            aes_round(d->b + 16 * l, a->b + 16 * l, b->b + 16 * l, inverse, last);                 \
        }                                                                                          \
    }
AES(AESENC, false, false)
AES(AESENCLAST, false, true)
AES(AESDEC, true, false)
AES(AESDECLAST, true, true)

DEFINE(AESIMC)
{
    union vreg r = *a;

    UNUSED;
    for (unsigned j = 0; j < 4; j++) {
        mix_column(r.b + 4 * j, true);
    }
    memcpy(d, &r, 16);
}

static uint32_t substitute(uint32_t x)
{
    return sbox[x & 0xff] | (uint32_t)sbox[x >> 8 & 0xff] << 8 | (uint32_t)sbox[x >> 16 & 0xff] << 16 |
           (uint32_t)sbox[x >> 24] << 24;
}

static uint32_t rotate_right(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static uint32_t rotate_left(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

DEFINE(AESKEYGENASSIST)
{
    union vreg r;

    UNUSED;
    for (unsigned i = 0; i < 4; i += 2) {
        r.d[i] = substitute(a->d[i + 1]);
        r.d[i + 1] = rotate_right(r.d[i], 8) ^ (uint32_t)(imm & 0xff);
    }
    memcpy(d, &r, 16);
}

/* ---- carry-less multiplication ---- */

DEFINE(PCLMULQDQ)
{
    union vreg r = {0};

    UNUSED;
    for (unsigned l = 0; l < lanes; l++) {
        uint64_t x = a->q[2 * l + (imm & 1)], y = b->q[2 * l + (imm >> 4 & 1)];
        for (unsigned i = 0; i < 64; i++) {
            if (y >> i & 1) {
                r.q[2 * l] ^= x << i;
                r.q[2 * l + 1] ^= i ? x >> (64 - i) : 0;
            }
        }
    }
    memcpy(d, &r, 16 * lanes);
}

/* ---- SHA-1: element 3 holds the first word ---- */

DEFINE(SHA1RNDS4)
{
    static const uint32_t constants[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t s[5] = {a->d[3], a->d[2], a->d[1], a->d[0], 0};
    unsigned which = imm & 3;

    UNUSED;
    for (unsigned i = 0; i < 4; i++) { /* E of the first round is in b's word already */
        uint32_t x = s[1], y = s[2], z = s[3];
        uint32_t f = which == 0 ? (x & y) ^ (~x & z) : which == 2 ? (x & y) ^ (x & z) ^ (y & z) : x ^ y ^ z;
        uint32_t next = f + rotate_left(s[0], 5) + b->d[3 - i] + s[4] + constants[which];
        s[4] = s[3];
        s[3] = s[2];
        s[2] = rotate_left(s[1], 30);
        s[1] = s[0];
        s[0] = next;
    }
    d->d[3] = s[0];
    d->d[2] = s[1];
    d->d[1] = s[2];
    d->d[0] = s[3];
}

DEFINE(SHA1NEXTE)
{
    union vreg r = *b;

    UNUSED;
    r.d[3] += rotate_left(a->d[3], 30);
    memcpy(d, &r, 16);
}

DEFINE(SHA1MSG1)
{
    union vreg r;

    UNUSED;
    r.q[1] = a->q[1] ^ a->q[0];
    r.q[0] = a->q[0] ^ b->q[1];
    memcpy(d, &r, 16);
}

DEFINE(SHA1MSG2)
{
    union vreg r;

    UNUSED;
    r.d[3] = rotate_left(a->d[3] ^ b->d[2], 1);
    r.d[2] = rotate_left(a->d[2] ^ b->d[1], 1);
    r.d[1] = rotate_left(a->d[1] ^ b->d[0], 1);
    r.d[0] = rotate_left(a->d[0] ^ r.d[3], 1);
    memcpy(d, &r, 16);
}

/* ---- SHA-256: a holds C D G H, b A B E F, from element 3 down ---- */

DEFINE(SHA256RNDS2)
{
    uint32_t s[8] = {b->d[3], b->d[2], a->d[3], a->d[2], b->d[1], b->d[0], a->d[1], a->d[0]};

    UNUSED;
    for (unsigned i = 0; i < 2; i++) {
        uint32_t e = s[4], x = s[0];
        uint32_t t = s[7] + c->d[i] + ((e & s[5]) ^ (~e & s[6])) +
                     (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25));
        uint32_t u = ((x & s[1]) ^ (x & s[2]) ^ (s[1] & s[2])) +
                     (rotate_right(x, 2) ^ rotate_right(x, 13) ^ rotate_right(x, 22));
        memmove(s + 1, s, 7 * sizeof s[0]);
        s[4] += t;
        s[0] = t + u;
    }
    d->d[3] = s[0];
    d->d[2] = s[1];
    d->d[1] = s[4];
    d->d[0] = s[5];
}

DEFINE(SHA256MSG1)
{
    union vreg r;

    UNUSED;
    for (unsigned i = 0; i < 4; i++) {
        uint32_t w = i < 3 ? a->d[i + 1] : b->d[0];
        r.d[i] = a->d[i] + (rotate_right(w, 7) ^ rotate_right(w, 18) ^ w >> 3);
    }
    memcpy(d, &r, 16);
}

DEFINE(SHA256MSG2)
{
    union vreg r;

    UNUSED;
    for (unsigned i = 0; i < 4; i++) {
        uint32_t w = i < 2 ? b->d[i + 2] : r.d[i - 2];
        r.d[i] = a->d[i] + (rotate_right(w, 17) ^ rotate_right(w, 19) ^ w >> 10);
    }
    memcpy(d, &r, 16);
}

/* ---- Galois field ---- */

DEFINE(GF2P8MULB)
{
    union vreg r;

    UNUSED;
    for (unsigned i = 0; i < 16 * lanes; i++) {
        r.b[i] = gf_multiply(a->b[i], b->b[i]);
    }
    memcpy(d, &r, 16 * lanes);
}

/* x^254: the inverse, of 0 it is 0. */
static uint8_t gf_inverse(uint8_t x)
{
    uint8_t r = 1;

    for (unsigned i = 0; i < 7; i++) {
        x = gf_multiply(x, x);
        r = gf_multiply(r, x);
    }
    return r;
}

/* Row 7 - i of the matrix gives bit i. */
static uint8_t affine(uint64_t matrix, uint8_t x, uint8_t constant)
{
    uint8_t r = 0;

    for (unsigned i = 0; i < 8; i++) {
        uint8_t row = (uint8_t)(matrix >> 8 * (7 - i));
        r |= (uint8_t)((unsigned)__builtin_parity(row & x) << i);
    }
    return r ^ constant;
}

DEFINE(GF2P8AFFINEQB)
{
    union vreg r;

    UNUSED;
    for (unsigned i = 0; i < 16 * lanes; i++) {
        r.b[i] = affine(b->q[i / 8], a->b[i], (uint8_t)imm);
    }
    memcpy(d, &r, 16 * lanes);
}

DEFINE(GF2P8AFFINEINVQB)
{
    union vreg r;

    UNUSED;
    for (unsigned i = 0; i < 16 * lanes; i++) {
        r.b[i] = affine(b->q[i / 8], gf_inverse(a->b[i]), (uint8_t)imm);
    }
    memcpy(d, &r, 16 * lanes);
}
