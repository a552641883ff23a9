/* IEEE 754 arithmetic in integers; see softfloat.h.
 *
 * Left out: what an unmasked overflow or underflow delivers in 32 and 64 bits: nobody stores it. */
#include "tcg/softfloat.h"

typedef unsigned __int128 u128;

#define TOP   ((u128)1 << 127)
#define QUIET ((u128)1 << 126)

static const struct {
    int bias, precision, frac;
} formats[] = {{127, 24, 23}, {1023, 53, 52}, {16383, 64, 63}, {15, 11, 10}};

static int exponent_bits(enum sf_format f)
{
    return f == SF_16 ? 5 : f == SF_32 ? 8 : 11;
}

static unsigned leading_zeros(u128 x)
{
    uint64_t hi = (uint64_t)(x >> 64);
    return hi ? (unsigned)__builtin_clzll(hi) : 64 + (unsigned)__builtin_clzll((uint64_t)x);
}

/* Shift right, with everything lost collected in bit 0. */
static u128 shift_jam(u128 x, unsigned n)
{
    if (n == 0) {
        return x;
    }
    if (n > 127) {
        return x != 0;
    }
    return x >> n | ((x << (128 - n)) != 0);
}

static void normalise(struct sf *x)
{
    unsigned n = leading_zeros(x->mant);
    x->mant <<= n;
    x->exp -= (int32_t)n;
}

struct sf sf_default_nan(void)
{
    return (struct sf){SF_QNAN, true, false, 0, TOP | QUIET};
}

struct sf sf_unpack(enum sf_format f, uint64_t bits)
{
    int frac = formats[f].frac, ebits = exponent_bits(f);
    uint64_t m = bits & ((UINT64_C(1) << frac) - 1);
    int e = (int)(bits >> frac & ((1u << ebits) - 1)), emax = (1 << ebits) - 1;
    struct sf r = {SF_NORMAL, bits >> (frac + ebits) & 1, false, e - formats[f].bias, 0};

    r.mant = TOP | (u128)m << (127 - frac);
    if (e == emax) {
        r.cls = !m ? SF_INF : r.mant & QUIET ? SF_QNAN : SF_SNAN;
    } else if (e == 0) {
        if (!m) {
            r.cls = SF_ZERO;
            return r;
        }
        r.denormal = true;
        r.exp = 1 - formats[f].bias;
        r.mant &= ~TOP;
        normalise(&r);
    }
    return r;
}

struct sf sf_unpack80(struct sf80 x)
{
    int e = x.se & 0x7fff;
    struct sf r = {SF_NORMAL, x.se >> 15, false, e - 16383, (u128)x.mant << 64};
    bool integer = x.mant >> 63;

    if (e == 0x7fff) {
        if (!integer) {
            r.cls = SF_UNSUPPORTED;
        } else {
            r.cls = !(x.mant << 1) ? SF_INF : r.mant & QUIET ? SF_QNAN : SF_SNAN;
        }
    } else if (e == 0) {
        if (!x.mant) {
            r.cls = SF_ZERO;
            return r;
        }
        r.denormal = true; /* also pseudo-denormals */
        r.exp = 1 - 16383;
        normalise(&r);
    } else if (!integer) {
        r.cls = SF_UNSUPPORTED; /* unnormal */
    }
    return r;
}

/* ---- rounding ---- */

static bool round_up(enum fp_round mode, bool sign, bool odd,
                     int rest /* against one half: -1, 0, 1 */, bool inexact)
{
    switch (mode) {
    case FP_NEAREST_EVEN:
        return rest > 0 || (rest == 0 && odd);
    case FP_DOWN:
        return sign && inexact;
    case FP_UP:
        return !sign && inexact;
    default:
        return false;
    }
}

/* The top `bits` bits of m, rounded; *inexact when something was lost. May be 1 << bits. bits
 * 0..64. */
static u128 round_to(struct fpenv *env, u128 m, unsigned bits, enum fp_round mode, bool sign,
                     bool *inexact)
{
    u128 keep = bits ? m >> (128 - bits) : 0, rest = bits ? m << bits : m;

    *inexact = rest != 0;
    int against = rest > TOP ? 1 : rest == TOP ? 0 : -1;
    env->rounded_up = round_up(mode, sign, keep & 1, rest ? against : -1, *inexact);
    return keep + env->rounded_up;
}

/* What is added to the exponent of an 80-bit result whose underflow is unmasked, and taken from
 * that of an overflow: the exception handler gets a number to work with. */
enum { SCALE = 24576 };

struct rounded {
    u128 mant; /* `precision` bits */
    int exp;
    bool overflow, denormal;
};

static bool overflow_to_inf(enum fp_round mode, bool sign)
{
    return mode == FP_NEAREST_EVEN || (mode == FP_UP && !sign) || (mode == FP_DOWN && sign);
}

static struct rounded round_number(struct fpenv *env, enum sf_format f, int precision,
                                   const struct sf *x)
{
    int emin = 1 - formats[f].bias, emax = formats[f].bias;
    struct rounded r = {0, x->exp, false, false};
    bool inexact;
    u128 one = (u128)1 << precision;

    r.mant = round_to(env, x->mant, (unsigned)precision, env->round, x->sign, &inexact);
    if (r.mant == one) {
        r.mant >>= 1;
        r.exp++;
    }
    if (f == SF_80 && r.exp < emin && !(env->masks & FP_UNDERFLOW)) {
        env->flags |= FP_UNDERFLOW;
        r.exp += SCALE;
        if (r.exp < emin) { /* FSCALE can go that far: zero, whatever the direction */
            env->flags |= FP_INEXACT;
            env->rounded_up = false;
            r.mant = 0;
            r.denormal = true;
            return r;
        }
    } else if (f == SF_80 && r.exp > emax && !(env->masks & FP_OVERFLOW)) {
        env->flags |= FP_OVERFLOW;
        r.exp -= SCALE;
        if (r.exp > emax) { /* as far the other way: infinity */
            env->flags |= FP_INEXACT;
            env->rounded_up = r.overflow = true;
            return r;
        }
    } else if (r.exp < emin) { /* tiny after rounding with an unbounded exponent */
        if (env->ftz && (env->masks & FP_UNDERFLOW)) {
            env->flags |= FP_UNDERFLOW | FP_INEXACT;
            r.mant = 0;
            r.denormal = true;
            return r;
        }
        bool unbounded_inexact = inexact;
        u128 m = shift_jam(x->mant, (unsigned)(emin - x->exp));
        r.mant = round_to(env, m, (unsigned)precision, env->round, x->sign, &inexact);
        r.exp = emin;
        r.denormal = r.mant < one >> 1;
        if ((f == SF_32 || f == SF_64) && !(env->masks & FP_UNDERFLOW)) {
            inexact = unbounded_inexact; /* of the result that an exception handler would get */
        }
        if (inexact || !(env->masks & FP_UNDERFLOW)) {
            env->flags |= FP_UNDERFLOW;
        }
    } else if (x->exp < emin) { /* rounds up to the smallest normal number */
        u128 m = shift_jam(x->mant, (unsigned)(emin - x->exp));
        r.mant = round_to(env, m, (unsigned)precision, env->round, x->sign, &inexact);
        r.exp = emin;
        r.denormal = r.mant < one >> 1;
    }
    if (r.exp > emax) {
        bool exact = (f == SF_32 || f == SF_64) && !(env->masks & FP_OVERFLOW) && !inexact;
        env->flags |= FP_OVERFLOW | (exact ? 0 : FP_INEXACT);
        env->rounded_up = overflow_to_inf(env->round, x->sign);
        r.overflow = true;
        return r;
    }
    if (inexact) {
        env->flags |= FP_INEXACT;
    }
    return r;
}

uint64_t sf_pack(struct fpenv *env, enum sf_format f, struct sf x)
{
    int frac = formats[f].frac, ebits = exponent_bits(f);
    uint64_t sign = (uint64_t)x.sign << (frac + ebits), emax = (UINT64_C(1) << ebits) - 1;
    uint64_t inf = sign | emax << frac;

    switch (x.cls) {
    case SF_ZERO:
        return sign;
    case SF_INF:
        return inf;
    case SF_NORMAL:
        break;
    default:
        return inf | ((uint64_t)((x.mant | QUIET) >> (127 - frac)) & ((UINT64_C(1) << frac) - 1));
    }
    struct rounded r = round_number(env, f, formats[f].precision, &x);
    if (r.overflow) {
        return overflow_to_inf(env->round, x.sign) ? inf : inf - 1;
    }
    if (r.denormal) {
        return sign | (uint64_t)r.mant;
    }
    uint64_t m = (uint64_t)r.mant & ((UINT64_C(1) << frac) - 1);
    return sign | (uint64_t)(r.exp + formats[f].bias) << frac | m;
}

struct sf80 sf_pack80(struct fpenv *env, struct sf x)
{
    static const int precisions[] = {24, 64, 53, 64}; /* PC field; 1 is reserved */
    uint16_t sign = (uint16_t)(x.sign << 15);
    int p = precisions[env->precision & 3];

    switch (x.cls) {
    case SF_ZERO:
        return (struct sf80){0, sign};
    case SF_INF:
        return (struct sf80){UINT64_C(1) << 63, sign | 0x7fff};
    case SF_NORMAL:
        break;
    default:
        return (struct sf80){(uint64_t)((x.mant | QUIET | TOP) >> 64), sign | 0x7fff};
    }
    struct rounded r = round_number(env, SF_80, p, &x);
    if (r.overflow) {
        uint64_t most = UINT64_MAX << (64 - p);
        bool inf = overflow_to_inf(env->round, x.sign) || !(env->masks & FP_OVERFLOW);
        return inf ? (struct sf80){UINT64_C(1) << 63, sign | 0x7fff}
                   : (struct sf80){most, sign | 0x7ffe};
    }
    uint64_t m = (uint64_t)(r.mant << (64 - p));
    return (struct sf80){m, (uint16_t)(sign | (r.denormal ? 0 : r.exp + 16383))};
}

/* ---- NaNs and operand checks ---- */

static struct sf quiet(struct sf x)
{
    x.cls = SF_QNAN;
    x.mant |= QUIET | TOP;
    return x;
}

static struct sf invalid(struct fpenv *env)
{
    env->flags |= FP_INVALID;
    return sf_default_nan();
}

static void daz(struct fpenv *env, struct sf *x)
{
    if (x->denormal && env->daz) {
        x->cls = SF_ZERO;
        x->denormal = false;
    }
}

struct sf sf_operand(struct fpenv *env, struct sf a)
{
    daz(env, &a);
    if (a.cls == SF_UNSUPPORTED) {
        return invalid(env);
    }
    if (a.cls == SF_SNAN) {
        env->flags |= FP_INVALID;
        return quiet(a);
    }
    if (a.denormal) {
        env->flags |= FP_DENORMAL;
    }
    return a;
}

/* Result when an operand is a NaN; false when none is. */
static bool nan_result(struct fpenv *env, const struct sf *a, const struct sf *b, bool x87,
                       struct sf *r)
{
    if (a->cls == SF_UNSUPPORTED || b->cls == SF_UNSUPPORTED) {
        *r = invalid(env);
        return true;
    }
    if (!sf_is_nan(a) && !sf_is_nan(b)) {
        return false;
    }
    if (a->cls == SF_SNAN || b->cls == SF_SNAN) {
        env->flags |= FP_INVALID;
    }
    const struct sf *from = sf_is_nan(a) ? a : b;
    if (x87 && sf_is_nan(a) && sf_is_nan(b)) {
        if (a->cls != b->cls) {
            from = a->cls == SF_QNAN ? a : b; /* a quiet one goes before a signalling one */
        } else if (a->mant != b->mant) {
            from = a->mant > b->mant ? a : b;
        } else {
            from = a->sign ? b : a;
        }
    }
    *r = quiet(*from);
    return true;
}

static void note_denormals(struct fpenv *env, const struct sf *a, const struct sf *b)
{
    if (a->denormal || b->denormal) {
        env->flags |= FP_DENORMAL;
    }
}

/* ---- arithmetic ---- */

/* The sum of two that are neither NaN nor infinite. */
static struct sf add_finite(const struct fpenv *env, struct sf a, struct sf b)
{
    struct sf r;

    if (a.cls == SF_ZERO && b.cls == SF_ZERO) {
        a.sign = a.sign == b.sign ? a.sign : env->round == FP_DOWN;
        return a;
    }
    if (a.cls == SF_ZERO || b.cls == SF_ZERO) {
        return a.cls == SF_ZERO ? b : a;
    }
    if (a.exp < b.exp || (a.exp == b.exp && a.mant < b.mant)) {
        r = a;
        a = b;
        b = r;
    }
    u128 x = a.mant >> 1 | (a.mant & 1),
         y = shift_jam(b.mant >> 1 | (b.mant & 1), (unsigned)(a.exp - b.exp));
    r = (struct sf){SF_NORMAL, a.sign, false, a.exp + 1, a.sign == b.sign ? x + y : x - y};
    if (!r.mant) {
        return (struct sf){SF_ZERO, env->round == FP_DOWN, false, 0, 0};
    }
    normalise(&r);
    return r;
}

struct sf sf_add(struct fpenv *env, struct sf a, struct sf b, bool subtract, bool x87)
{
    struct sf r;

    daz(env, &a);
    daz(env, &b);
    if (nan_result(env, &a, &b, x87, &r)) {
        return r;
    }
    b.sign ^= subtract;
    if (a.cls == SF_INF && b.cls == SF_INF && a.sign != b.sign) {
        return invalid(env);
    }
    note_denormals(env, &a, &b);
    if (a.cls == SF_INF || b.cls == SF_INF) {
        return a.cls == SF_INF ? a : b;
    }
    return add_finite(env, a, b);
}

struct sf sf_fma(struct fpenv *env, struct sf a, struct sf b, struct sf c, bool negate_product,
                 bool negate_c)
{
    struct sf r;
    bool invalid_product;

    daz(env, &a);
    daz(env, &b);
    daz(env, &c);
    invalid_product =
        (a.cls == SF_INF && b.cls == SF_ZERO) || (a.cls == SF_ZERO && b.cls == SF_INF);
    if (sf_is_nan(&a) || sf_is_nan(&b) || sf_is_nan(&c)) {
        if (a.cls == SF_SNAN || b.cls == SF_SNAN || c.cls == SF_SNAN) {
            env->flags |= FP_INVALID;
        }
        return quiet(sf_is_nan(&a) ? a : sf_is_nan(&b) ? b : c);
    }
    r = (struct sf){SF_NORMAL, a.sign ^ b.sign ^ negate_product, false, a.exp + b.exp + 1, 0};
    c.sign ^= negate_c;
    if (a.cls == SF_INF || b.cls == SF_INF) {
        r.cls = SF_INF;
    } else if (a.cls == SF_ZERO || b.cls == SF_ZERO) {
        r.cls = SF_ZERO;
    }
    if (invalid_product || (r.cls == SF_INF && c.cls == SF_INF && r.sign != c.sign)) {
        return invalid(env);
    }
    note_denormals(env, &a, &b);
    note_denormals(env, &c, &c);
    if (r.cls == SF_INF || c.cls == SF_INF) {
        return r.cls == SF_INF ? r : c;
    }
    if (r.cls == SF_NORMAL) { /* exact: 106 bits at most */
        r.mant = (u128)(uint64_t)(a.mant >> 64) * (uint64_t)(b.mant >> 64);
        normalise(&r);
    }
    c.denormal = false;
    return add_finite(env, r, c);
}

struct sf sf_mul(struct fpenv *env, struct sf a, struct sf b, bool x87)
{
    struct sf r;

    daz(env, &a);
    daz(env, &b);
    if (nan_result(env, &a, &b, x87, &r)) {
        return r;
    }
    if ((a.cls == SF_INF && b.cls == SF_ZERO) || (a.cls == SF_ZERO && b.cls == SF_INF)) {
        return invalid(env);
    }
    note_denormals(env, &a, &b);
    r = (struct sf){SF_NORMAL, a.sign ^ b.sign, false, a.exp + b.exp + 1, 0};
    if (a.cls == SF_INF || b.cls == SF_INF || a.cls == SF_ZERO || b.cls == SF_ZERO) {
        r.cls = a.cls == SF_INF || b.cls == SF_INF ? SF_INF : SF_ZERO;
        return r;
    }
    r.mant = (u128)(uint64_t)(a.mant >> 64) *
             (uint64_t)(b.mant >> 64); /* operands have 64 bits at most */
    normalise(&r);
    return r;
}

struct sf sf_div(struct fpenv *env, struct sf a, struct sf b, bool x87)
{
    struct sf r;

    daz(env, &a);
    daz(env, &b);
    if (nan_result(env, &a, &b, x87, &r)) {
        return r;
    }
    if ((a.cls == SF_INF && b.cls == SF_INF) || (a.cls == SF_ZERO && b.cls == SF_ZERO)) {
        return invalid(env);
    }
    r = (struct sf){SF_NORMAL, a.sign ^ b.sign, false, a.exp - b.exp, 0};
    if (b.cls == SF_ZERO) {
        if (a.cls != SF_INF) {
            env->flags |= FP_DIVZERO;
        }
        r.cls = SF_INF;
        return r;
    }
    note_denormals(env, &a, &b);
    if (a.cls == SF_INF || b.cls == SF_INF || a.cls == SF_ZERO) {
        r.cls = a.cls == SF_INF ? SF_INF : SF_ZERO;
        return r;
    }
    uint64_t n = (uint64_t)(a.mant >> 64), d = (uint64_t)(b.mant >> 64);
    u128 rest = (u128)n << 63,
         q = 0; /* n / d is in (1/2, 2): 64 bits, then 62 more and the sticky one */
    q = rest / d;
    rest = rest % d;
    u128 low = (rest << 63) / d, rest2 = (rest << 63) % d;
    r.mant = q << 63 | low;
    r.mant = r.mant << 1 | (rest2 != 0);
    /* r.mant is n / d scaled by 2^127 */
    normalise(&r);
    return r;
}

struct sf sf_sqrt(struct fpenv *env, struct sf a)
{
    daz(env, &a);
    if (sf_is_nan(&a)) {
        return sf_operand(env, a);
    }
    if (a.cls == SF_ZERO) {
        return a;
    }
    if (a.sign) {
        return invalid(env); /* goes before a denormal operand */
    }
    note_denormals(env, &a, &a);
    if (a.cls == SF_INF) {
        return a;
    }
    /* Root of a 128-bit number gives 64 bits; two more come from shifting the remainder: the root
     * is found bit by bit, 66 bits, then the sticky one. */
    bool odd = a.exp & 1;
    u128 m = odd ? a.mant : a.mant >> 1; /* the number scaled by 2^126 */
    u128 root = 0, rem = 0;
    for (int i = 0; i < 67; i++) {
        unsigned pair = i < 64 ? (unsigned)(m >> 126) : 0;
        m <<= 2;
        rem = rem << 2 | pair;
        root <<= 1;
        u128 t = root << 1 | 1;
        if (rem >= t) {
            rem -= t;
            root |= 1;
        }
    }
    struct sf r = {SF_NORMAL, false, false, 0, 0};
    r.mant = root << 60 | (rem != 0);
    int32_t half = odd ? (a.exp - 1) / 2 : a.exp / 2;
    unsigned before = leading_zeros(r.mant);
    r.mant <<= before;
    r.exp = half;
    return r;
}

int sf_compare(struct fpenv *env, struct sf a, struct sf b, bool quiet_compare)
{
    daz(env, &a);
    daz(env, &b);
    if (a.cls == SF_UNSUPPORTED || b.cls == SF_UNSUPPORTED) {
        env->flags |= FP_INVALID;
        return 2;
    }
    if (sf_is_nan(&a) || sf_is_nan(&b)) {
        if (!quiet_compare || a.cls == SF_SNAN || b.cls == SF_SNAN) {
            env->flags |= FP_INVALID;
        }
        return 2;
    }
    note_denormals(env, &a, &b);
    if (a.cls == SF_ZERO && b.cls == SF_ZERO) {
        return 0;
    }
    if (a.cls == SF_ZERO || b.cls == SF_ZERO) {
        return a.cls == SF_ZERO ? (b.sign ? 1 : -1) : a.sign ? -1 : 1;
    }
    if (a.sign != b.sign) {
        return a.sign ? -1 : 1;
    }
    int magnitude;
    if (a.cls == SF_INF || b.cls == SF_INF) {
        magnitude = (a.cls == SF_INF) - (b.cls == SF_INF);
    } else if (a.exp != b.exp) {
        magnitude = a.exp > b.exp ? 1 : -1;
    } else {
        magnitude = (a.mant > b.mant) - (a.mant < b.mant);
    }
    return a.sign ? -magnitude : magnitude;
}

struct sf sf_from_int(int64_t v)
{
    struct sf r = {SF_NORMAL, v < 0, false, 63, 0};

    if (!v) {
        r.cls = SF_ZERO;
        return r;
    }
    r.mant = (u128)(v < 0 ? 0 - (uint64_t)v : (uint64_t)v) << 64;
    normalise(&r);
    return r;
}

int64_t sf_to_int(struct fpenv *env, struct sf a, unsigned bits, enum fp_round round)
{
    int64_t indefinite = (int64_t)(UINT64_MAX << (bits - 1));
    bool inexact = false;

    daz(env, &a);
    if (a.cls == SF_ZERO) {
        return 0;
    }
    if (a.cls != SF_NORMAL || a.exp > 63) {
        env->flags |= FP_INVALID;
        return indefinite;
    }
    u128 m =
        a.exp < 0 ? shift_jam(a.mant, (unsigned)(-1 - a.exp < 127 ? -1 - a.exp : 127)) : a.mant;
    u128 v = round_to(env, m, a.exp < 0 ? 0 : (unsigned)a.exp + 1, round, a.sign, &inexact);
    u128 limit = ((u128)1 << (bits - 1)) - !a.sign;
    if (v > limit) {
        env->rounded_up = false;
        env->flags |= FP_INVALID;
        return indefinite;
    }
    if (inexact) {
        env->flags |= FP_INEXACT;
    }
    return a.sign ? (int64_t)(0 - (uint64_t)v) : (int64_t)(uint64_t)v;
}

struct sf sf_round_to_int(struct fpenv *env, struct sf a, enum fp_round round, bool signal_inexact)
{
    bool inexact = false;

    if (a.cls != SF_NORMAL || a.exp >= 63) {
        return a;
    }
    u128 m =
        a.exp < 0 ? shift_jam(a.mant, (unsigned)(-1 - a.exp < 127 ? -1 - a.exp : 127)) : a.mant;
    u128 v = round_to(env, m, a.exp < 0 ? 0 : (unsigned)a.exp + 1, round, a.sign, &inexact);
    if (inexact && signal_inexact) {
        env->flags |= FP_INEXACT;
    }
    if (!v) {
        a.cls = SF_ZERO;
        return a;
    }
    struct sf r = {SF_NORMAL, a.sign, false, 127, v};
    normalise(&r);
    return r;
}
