/* Floating-point vector operations (SDM volume 2, the instruction of each name) on softfloat. */
#include "tcg/softfloat.h"
#include "tcg/vops_define.h"

enum op { ADD, SUB, MUL, DIV, MIN, MAX, SQRT, CMP };

static struct sf unpack(enum sf_format f, uint64_t x)
{
    return sf_unpack(f, x);
}

static bool compare_by(struct fpenv *fp, enum sf_format f, uint64_t x, uint64_t y,
                       unsigned predicate)
{
    /* By predicate 0..7: EQ LT LE UNORD NEQ NLT NLE ORD; EQ, UNORD, NEQ, ORD are quiet. */
    bool quiet = (predicate & 3) == 0 || (predicate & 3) == 3;
    int r = sf_compare(fp, unpack(f, x), unpack(f, y), quiet);
    bool hit;

    switch (predicate & 3) {
    case 0:
        hit = r == 0;
        break;
    case 1:
        hit = r == -1;
        break;
    case 2:
        hit = r == -1 || r == 0;
        break;
    default:
        hit = r == 2;
        break;
    }
    return hit != ((predicate & 4) != 0);
}

/* MIN and MAX give the second operand when either is a NaN, or both are zero. */
static uint64_t min_max(struct fpenv *fp, enum sf_format f, uint64_t x, uint64_t y, bool max)
{
    struct sf a = unpack(f, x), b = unpack(f, y);
    int r = sf_compare(fp, a, b, false);
    bool first = max ? r == 1 : r == -1;
    const struct sf *chosen = first ? &a : &b;

    if (chosen->denormal && fp->daz) {
        return f == SF_32 ? (uint64_t)chosen->sign << 31 : (uint64_t)chosen->sign << 63;
    }
    return first ? x : y;
}

static uint64_t compute(struct fpenv *fp, enum sf_format f, enum op op, uint64_t x, uint64_t y,
                        unsigned imm)
{
    switch (op) {
    case ADD:
    case SUB:
        return sf_pack(fp, f, sf_add(fp, unpack(f, x), unpack(f, y), op == SUB, false));
    case MUL:
        return sf_pack(fp, f, sf_mul(fp, unpack(f, x), unpack(f, y), false));
    case DIV:
        return sf_pack(fp, f, sf_div(fp, unpack(f, x), unpack(f, y), false));
    case MIN:
    case MAX:
        return min_max(fp, f, x, y, op == MAX);
    case SQRT:
        return sf_pack(fp, f, sf_sqrt(fp, unpack(f, y)));
    case CMP:
        return compare_by(fp, f, x, y, imm) ? UINT64_MAX : 0;
    }
    return 0;
}

static void each_single(struct fpenv *fp, union vreg *d, const union vreg *a, const union vreg *b,
                        enum op op, unsigned imm, unsigned n)
{
    union vreg r;

    for (unsigned i = 0; i < n; i++) {
        r.d[i] = (uint32_t)compute(fp, SF_32, op, a->d[i], b->d[i], imm);
    }
    memcpy(d, &r, 4 * n);
}

static void each_double(struct fpenv *fp, union vreg *d, const union vreg *a, const union vreg *b,
                        enum op op, unsigned imm, unsigned n)
{
    union vreg r;

    for (unsigned i = 0; i < n; i++) {
        r.q[i] = compute(fp, SF_64, op, a->q[i], b->q[i], imm);
    }
    memcpy(d, &r, 8 * n);
}

/* Scalar: element 0 of the result; the rest is a's. */
static void put_low(union vreg *d, const union vreg *a, uint64_t value, unsigned bytes)
{
    union vreg r = *a;

    memcpy(r.b, a->b, 16);
    if (bytes == 4) {
        r.d[0] = (uint32_t)value;
    } else {
        r.q[0] = value;
    }
    memcpy(d, &r, 16);
}

#define ARITH(op)                                                                                  \
    DEFINE(op##PS)                                                                                 \
    {                                                                                              \
        UNUSED;                                                                                    \
        each_single(fp, d, a, b, op, 0, 4 * lanes);                                                \
    }                                                                                              \
    DEFINE(op##PD)                                                                                 \
    {                                                                                              \
        UNUSED;                                                                                    \
        each_double(fp, d, a, b, op, 0, 2 * lanes);                                                \
    }                                                                                              \
    DEFINE(op##SS)                                                                                 \
    {                                                                                              \
        UNUSED;                                                                                    \
        put_low(d, a, compute(fp, SF_32, op, a->d[0], b->d[0], 0), 4);                             \
    }                                                                                              \
    DEFINE(op##SD)                                                                                 \
    {                                                                                              \
        UNUSED;                                                                                    \
        put_low(d, a, compute(fp, SF_64, op, a->q[0], b->q[0], 0), 8);                             \
    }
ARITH(ADD)
ARITH(SUB)
ARITH(MUL)
ARITH(DIV)
ARITH(MIN)
ARITH(MAX)

DEFINE(SQRTPS)
{
    UNUSED;
    each_single(fp, d, a, a, SQRT, 0, 4 * lanes);
}
DEFINE(SQRTPD)
{
    UNUSED;
    each_double(fp, d, a, a, SQRT, 0, 2 * lanes);
}
DEFINE(SQRTSS)
{
    UNUSED;
    put_low(d, a, compute(fp, SF_32, SQRT, 0, b->d[0], 0), 4);
}
DEFINE(SQRTSD)
{
    UNUSED;
    put_low(d, a, compute(fp, SF_64, SQRT, 0, b->q[0], 0), 8);
}
DEFINE(CMPPS)
{
    UNUSED;
    each_single(fp, d, a, b, CMP, (unsigned)imm & 7, 4 * lanes);
}
DEFINE(CMPPD)
{
    UNUSED;
    each_double(fp, d, a, b, CMP, (unsigned)imm & 7, 2 * lanes);
}
DEFINE(CMPSS)
{
    UNUSED;
    put_low(d, a, compute(fp, SF_32, CMP, a->d[0], b->d[0], (unsigned)imm & 7), 4);
}
DEFINE(CMPSD)
{
    UNUSED;
    put_low(d, a, compute(fp, SF_64, CMP, a->q[0], b->q[0], (unsigned)imm & 7), 8);
}

/* ---- approximations: 12 bits, as the SDM allows; denormals count as zero, no flags ----
 *
 * In integers: the host's floating-point unit may hold the guest's rounding, and would raise flags.
 */

/* Bits of a number in (1/2, 1] times 2^exp, given with 24 bits behind the point. */
static uint32_t pack_approximate(uint32_t x, int exp)
{
    uint32_t r =
        x >> 24 ? (uint32_t)(exp + 127) << 23 : (uint32_t)(exp + 126) << 23 | (x & 0x7fffff);

    return (r + 0x400) & 0xfffff800;
}

static uint32_t root_approximate(uint32_t mant, int exp)
{
    uint64_t x, r = 0;

    if (exp & 1) {
        mant <<= 1;
        exp--;
    }
    x = (UINT64_C(1) << 63) / mant; /* 2^40 times the square of the result, which is in (1/4, 1] */
    for (uint64_t bit = UINT64_C(1) << 20; bit; bit >>= 1) {
        if ((r | bit) * (r | bit) <= x) {
            r |= bit;
        }
    }
    return pack_approximate((uint32_t)r << 4, -exp / 2);
}

static uint32_t approximate(uint32_t x, bool root)
{
    uint32_t sign = x & 0x80000000, mant = (x & 0x7fffff) | 0x800000, r;
    int exp = (int)(x >> 23 & 0xff) - 127;

    if (exp == 128 && (x & 0x007fffff)) {
        return x | 0x00400000;
    }
    if (exp == -127) {
        return sign | 0x7f800000;
    }
    if (root && sign) {
        return 0xffc00000;
    }
    if (exp == 128) {
        return sign;
    }
    if (root) {
        return root_approximate(mant, exp);
    }
    if (exp > 126 || (exp == 126 && mant > 0x800000)) { /* tiny results are zero */
        return sign;
    }
    r = pack_approximate((uint32_t)((UINT64_C(1) << 47) / mant), -exp);
    return sign | r;
}

DEFINE(RCPPS)
{
    union vreg r;
    UNUSED;
    for (unsigned i = 0; i < 4 * lanes; i++) {
        r.d[i] = approximate(a->d[i], false);
    }
    memcpy(d, &r, 16 * lanes);
}
DEFINE(RSQRTPS)
{
    union vreg r;
    UNUSED;
    for (unsigned i = 0; i < 4 * lanes; i++) {
        r.d[i] = approximate(a->d[i], true);
    }
    memcpy(d, &r, 16 * lanes);
}
DEFINE(RCPSS)
{
    UNUSED;
    put_low(d, a, approximate(b->d[0], false), 4);
}
DEFINE(RSQRTSS)
{
    UNUSED;
    put_low(d, a, approximate(b->d[0], true), 4);
}

/* ---- horizontal ---- */

DEFINE(ADDSUBPS)
{
    union vreg r;
    UNUSED;
    for (unsigned i = 0; i < 4 * lanes; i++) {
        r.d[i] = (uint32_t)compute(fp, SF_32, i & 1 ? ADD : SUB, a->d[i], b->d[i], 0);
    }
    memcpy(d, &r, 16 * lanes);
}
DEFINE(ADDSUBPD)
{
    union vreg r;
    UNUSED;
    for (unsigned i = 0; i < 2 * lanes; i++) {
        r.q[i] = compute(fp, SF_64, i & 1 ? ADD : SUB, a->q[i], b->q[i], 0);
    }
    memcpy(d, &r, 16 * lanes);
}

static void horizontal_single(struct fpenv *fp, union vreg *d, const union vreg *a,
                              const union vreg *b, enum op op, unsigned lanes)
{
    union vreg r;

    for (unsigned i = 0; i < 4 * lanes; i++) {
        const uint32_t *s = (i & 2 ? b : a)->d + (i & ~3u) + 2 * (i & 1);
        r.d[i] = (uint32_t)compute(fp, SF_32, op, s[0], s[1], 0);
    }
    memcpy(d, &r, 16 * lanes);
}

static void horizontal_double(struct fpenv *fp, union vreg *d, const union vreg *a,
                              const union vreg *b, enum op op, unsigned lanes)
{
    union vreg r;

    for (unsigned i = 0; i < 2 * lanes; i++) {
        const uint64_t *s = (i & 1 ? b : a)->q + (i & ~1u);
        r.q[i] = compute(fp, SF_64, op, s[0], s[1], 0);
    }
    memcpy(d, &r, 16 * lanes);
}

DEFINE(HADDPS)
{
    UNUSED;
    horizontal_single(fp, d, a, b, ADD, lanes);
}
DEFINE(HSUBPS)
{
    UNUSED;
    horizontal_single(fp, d, a, b, SUB, lanes);
}
DEFINE(HADDPD)
{
    UNUSED;
    horizontal_double(fp, d, a, b, ADD, lanes);
}
DEFINE(HSUBPD)
{
    UNUSED;
    horizontal_double(fp, d, a, b, SUB, lanes);
}

/* An operation in steps ends with the first that has an unmasked exception. */
static bool stopped(struct fpenv *fp, uint8_t before)
{
    const uint8_t early = FP_INVALID | FP_DENORMAL | FP_DIVZERO;
    uint8_t raised = fp->flags & (uint8_t)~fp->masks & FP_ALL;

    if (raised & early) { /* found before any element is computed */
        fp->flags &= before | early;
    }
    return raised;
}

/* Dot products: products of the elements that imm 7:4 selects, added in pairs, to those of imm 3:0.
 */
DEFINE(DPPS)
{
    union vreg r;
    uint64_t p[8], sum[8];
    uint8_t before = fp->flags;
    UNUSED;
    for (unsigned i = 0; i < 4 * lanes; i++) {
        p[i] = imm >> (4 + i % 4) & 1 ? compute(fp, SF_32, MUL, a->d[i], b->d[i], 0) : 0;
    }
    if (stopped(fp, before)) {
        return;
    }
    before = fp->flags;
    for (unsigned i = 0; i < 4 * lanes;
         i++) { /* the order decides between NaNs: as processors do it */
        sum[i] = compute(fp, SF_32, ADD, p[i ^ 1], p[i], 0);
    }
    if (stopped(fp, before)) {
        return;
    }
    before = fp->flags;
    for (unsigned i = 0; i < 4 * lanes; i++) {
        uint32_t total = (uint32_t)compute(fp, SF_32, ADD, sum[i], sum[i ^ 2], 0);
        r.d[i] = imm >> (i % 4) & 1 ? total : 0;
    }
    stopped(fp, before);
    memcpy(d, &r, 16 * lanes);
}
DEFINE(DPPD)
{
    union vreg r;
    uint64_t p[2];
    uint8_t before = fp->flags;
    UNUSED;
    for (unsigned i = 0; i < 2; i++) {
        p[i] = imm >> (4 + i) & 1 ? compute(fp, SF_64, MUL, a->q[i], b->q[i], 0) : 0;
    }
    if (stopped(fp, before)) {
        return;
    }
    before = fp->flags;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t sum = compute(fp, SF_64, ADD, p[i], p[i ^ 1], 0);
        r.q[i] = imm >> i & 1 ? sum : 0;
    }
    stopped(fp, before);
    memcpy(d, &r, 16);
}

/* ---- rounding to integers: imm 1:0 mode, 2 use MXCSR's, 3 suppress inexact ---- */

static uint64_t round_one(struct fpenv *fp, enum sf_format f, uint64_t x, unsigned imm)
{
    enum fp_round mode = imm & 4 ? (enum fp_round)fp->round : (enum fp_round)(imm & 3);
    uint8_t denormal = fp->flags & FP_DENORMAL;
    struct sf s = sf_operand(fp, unpack(f, x));

    fp->flags =
        (uint8_t)((fp->flags & ~FP_DENORMAL) | denormal); /* ROUNDxx never reports denormals */
    return sf_pack(fp, f, sf_round_to_int(fp, s, mode, !(imm & 8)));
}

DEFINE(ROUNDPS)
{
    union vreg r;
    UNUSED;
    for (unsigned i = 0; i < 4 * lanes; i++) {
        r.d[i] = (uint32_t)round_one(fp, SF_32, a->d[i], (unsigned)imm);
    }
    memcpy(d, &r, 16 * lanes);
}
DEFINE(ROUNDPD)
{
    union vreg r;
    UNUSED;
    for (unsigned i = 0; i < 2 * lanes; i++) {
        r.q[i] = round_one(fp, SF_64, a->q[i], (unsigned)imm);
    }
    memcpy(d, &r, 16 * lanes);
}
DEFINE(ROUNDSS)
{
    UNUSED;
    put_low(d, a, round_one(fp, SF_32, b->d[0], (unsigned)imm), 4);
}
DEFINE(ROUNDSD)
{
    UNUSED;
    put_low(d, a, round_one(fp, SF_64, b->q[0], (unsigned)imm), 8);
}

/* ---- conversions ---- */

static uint64_t convert(struct fpenv *fp, enum sf_format from, enum sf_format to, uint64_t x)
{
    return sf_pack(fp, to, sf_operand(fp, unpack(from, x)));
}

DEFINE(CVTPS2PD)
{
    union vreg r;
    UNUSED;
    for (unsigned i = 0; i < 2 * lanes; i++) {
        r.q[i] = convert(fp, SF_32, SF_64, a->d[i]);
    }
    memcpy(d, &r, 16 * lanes);
}
DEFINE(CVTPD2PS)
{
    union vreg r = {0};
    UNUSED;
    for (unsigned i = 0; i < 2 * lanes; i++) {
        r.d[i] = (uint32_t)convert(fp, SF_64, SF_32, a->q[i]);
    }
    memcpy(d, &r, 16);
}
DEFINE(CVTSS2SD)
{
    UNUSED;
    put_low(d, a, convert(fp, SF_32, SF_64, b->d[0]), 8);
}
DEFINE(CVTSD2SS)
{
    UNUSED;
    put_low(d, a, convert(fp, SF_64, SF_32, b->q[0]), 4);
}
DEFINE(CVTDQ2PS)
{
    union vreg r;
    UNUSED;
    for (unsigned i = 0; i < 4 * lanes; i++) {
        r.d[i] = (uint32_t)sf_pack(fp, SF_32, sf_from_int((int32_t)a->d[i]));
    }
    memcpy(d, &r, 16 * lanes);
}
DEFINE(CVTDQ2PD)
{
    union vreg r;
    UNUSED;
    for (unsigned i = 0; i < 2 * lanes; i++) {
        r.q[i] = sf_pack(fp, SF_64, sf_from_int((int32_t)a->d[i]));
    }
    memcpy(d, &r, 16 * lanes);
}
DEFINE(CVTPI2PS)
{
    union vreg r;
    UNUSED;
    memcpy(r.b, a->b, 16);
    for (unsigned i = 0; i < 2; i++) {
        r.d[i] = (uint32_t)sf_pack(fp, SF_32, sf_from_int((int32_t)b->d[i]));
    }
    memcpy(d, &r, 16);
}

static int64_t to_int(struct fpenv *fp, enum sf_format f, uint64_t x, unsigned bits, bool truncate)
{
    return sf_to_int(fp, unpack(f, x), bits, truncate ? FP_TRUNCATE : (enum fp_round)fp->round);
}

#define TO_DQ(name, f, field, n, truncate)                                                         \
    DEFINE(name)                                                                                   \
    {                                                                                              \
        union vreg r = {0};                                                                        \
        UNUSED;                                                                                    \
        for (unsigned i = 0; i < n * lanes; i++) {                                                 \
            r.d[i] = (uint32_t)to_int(fp, f, a->field[i], 32, truncate);                           \
        }                                                                                          \
        memcpy(d, &r, n == 4 ? 16 * lanes : 16);                                                   \
    }
TO_DQ(CVTPS2DQ, SF_32, d, 4, false)
TO_DQ(CVTTPS2DQ, SF_32, d, 4, true)
TO_DQ(CVTPD2DQ, SF_64, q, 2, false)
TO_DQ(CVTTPD2DQ, SF_64, q, 2, true)

#define FROM_INT(name, f, bytes, T)                                                                \
    DEFINE(name)                                                                                   \
    {                                                                                              \
        UNUSED;                                                                                    \
        put_low(d, a, sf_pack(fp, f, sf_from_int((T)imm)), bytes);                                 \
    }
FROM_INT(CVTSI2SS32, SF_32, 4, int32_t)
FROM_INT(CVTSI2SS64, SF_32, 4, int64_t)
FROM_INT(CVTSI2SD32, SF_64, 8, int32_t)
FROM_INT(CVTSI2SD64, SF_64, 8, int64_t)

#define RESULT_ARGS                                                                                \
    struct fpenv *fp, const union vreg *a, const union vreg *b, uint64_t imm, unsigned lanes
#define TO_INT(name, f, field, bits, truncate)                                                     \
    uint64_t vop_##name(RESULT_ARGS);                                                              \
    uint64_t vop_##name(RESULT_ARGS)                                                               \
    {                                                                                              \
        (void)b, (void)imm, (void)lanes;                                                           \
        int64_t r = to_int(fp, f, a->field[0], bits, truncate);                                    \
        return bits == 32 ? (uint32_t)r : (uint64_t)r;                                             \
    }
TO_INT(CVTSS2SI32, SF_32, d, 32, false)
TO_INT(CVTSS2SI64, SF_32, d, 64, false)
TO_INT(CVTTSS2SI32, SF_32, d, 32, true)
TO_INT(CVTTSS2SI64, SF_32, d, 64, true)
TO_INT(CVTSD2SI32, SF_64, q, 32, false)
TO_INT(CVTSD2SI64, SF_64, q, 64, false)
TO_INT(CVTTSD2SI32, SF_64, q, 32, true)
TO_INT(CVTTSD2SI64, SF_64, q, 64, true)

static uint64_t compare_flags(struct fpenv *fp, enum sf_format f, uint64_t x, uint64_t y,
                              bool quiet)
{
    static const uint8_t flags[] = {1 /* less: CF */, 0x40 /* equal: ZF */, 0,
                                    0x45 /* unordered */};
    return flags[sf_compare(fp, unpack(f, x), unpack(f, y), quiet) + 1];
}

#define COMI(name, f, field, quiet)                                                                \
    uint64_t vop_##name(RESULT_ARGS);                                                              \
    uint64_t vop_##name(RESULT_ARGS)                                                               \
    {                                                                                              \
        (void)imm, (void)lanes;                                                                    \
        return compare_flags(fp, f, a->field[0], b->field[0], quiet);                              \
    }
COMI(COMISS, SF_32, d, false)
COMI(COMISD, SF_64, q, false)
COMI(UCOMISS, SF_32, d, true)
COMI(UCOMISD, SF_64, q, true)
