/* Transcendental functions (SDM volume 1, 8.3.6 to 8.3.10), to 110 bits and more, so that rounding
 * them once to 64 gives what the exact function would give in all but one of 2^40 cases, and what
 * processors give to within one unit in the last place. Series on reduced arguments, on numbers of
 * 128 bits whose last bits are cut off; made for being right on every host, not for speed: a call
 * takes some microseconds. On x86-64 hosts the host's own unit is asked instead (x87_by_host),
 * which is quick and has the same bits as the processor. */
#include "cpu/x87_approx.h"

typedef unsigned __int128 u128;
#define TOP             ((u128)1 << 127)
#define BITS(high, low) ((u128)UINT64_C(high) << 64 | UINT64_C(low))

/* ---- arithmetic: normal numbers and zero ---- */

static struct sf make(bool sign, int exp, u128 mant)
{
    struct sf r = {mant ? SF_NORMAL : SF_ZERO, sign, false, exp, mant};

    if (mant) {
        unsigned n = mant >> 64 ? (unsigned)__builtin_clzll((uint64_t)(mant >> 64))
                                : 64 + (unsigned)__builtin_clzll((uint64_t)mant);
        r.mant <<= n;
        r.exp -= (int)n;
    }
    return r;
}

static struct sf integer(int n)
{
    return make(n < 0, 127, (u128)(n < 0 ? -n : n));
}

static struct sf mul(struct sf a, struct sf b)
{
    uint64_t ah = (uint64_t)(a.mant >> 64), al = (uint64_t)a.mant;
    uint64_t bh = (uint64_t)(b.mant >> 64), bl = (uint64_t)b.mant;
    u128 mid = (u128)ah * bl, mid2 = (u128)al * bh, low = (u128)al * bl;
    u128 carry = (low >> 64) + (uint64_t)mid + (uint64_t)mid2;

    return make(a.sign ^ b.sign, a.exp + b.exp + 1,
                (u128)ah * bh + (mid >> 64) + (mid2 >> 64) + (carry >> 64));
}

static struct sf add(struct sf a, struct sf b)
{
    if (a.cls == SF_ZERO || b.cls == SF_ZERO) {
        return a.cls == SF_ZERO ? b : a;
    }
    if (a.exp < b.exp || (a.exp == b.exp && a.mant < b.mant)) {
        struct sf t = a;
        a = b;
        b = t;
    }
    int d = a.exp - b.exp;
    u128 x = a.mant >> 1, y = d < 127 ? b.mant >> 1 >> d : 0; /* room for a carry */
    return make(a.sign, a.exp + 1, a.sign == b.sign ? x + y : x - y);
}

static struct sf negated(struct sf a)
{
    a.sign = !a.sign;
    return a;
}

static struct sf divide(struct sf a, struct sf b)
{
    u128 rem = a.mant, q = 0;
    bool carry = false;

    if (a.cls == SF_ZERO) {
        return a;
    }
    for (unsigned n = 0; n < 128; n++) { /* one bit a step; rem < 2 * b */
        bool fits = carry || rem >= b.mant;
        q = q << 1 | fits;
        rem -= fits ? b.mant : 0;
        carry = rem >> 127;
        rem <<= 1;
    }
    return make(a.sign ^ b.sign, a.exp - b.exp, q);
}

static struct sf divide_int(struct sf a, unsigned n)
{
    u128 q = a.mant / n, rem = a.mant % n;

    if (a.cls == SF_ZERO) {
        return a;
    }
    /* The bits that the quotient has too few come from the remainder. */
    return add(make(a.sign, a.exp, q), make(a.sign, a.exp - 32, (rem << 32) / n));
}

static bool negligible(const struct sf *term, const struct sf *sum)
{
    return term->cls == SF_ZERO || term->exp < sum->exp - 126;
}

/* The sum of a series whose next term no longer reaches it: only its last bit tells that there are
 * more. */
static struct sf more(struct sf sum, const struct sf *term)
{
    if (term->cls == SF_ZERO) {
        return sum;
    }
    return term->sign == sum.sign ? make(sum.sign, sum.exp, sum.mant | 1)
                                  : make(sum.sign, sum.exp, sum.mant - 1);
}

/* ---- series ---- */

/* e^x - 1, |x| <= 1. */
static struct sf expm1_series(struct sf x)
{
    struct sf sum = x, term = x;

    for (unsigned n = 2; !negligible(&term, &sum); n++) {
        term = divide_int(mul(term, x), n);
        sum = add(sum, term);
    }
    return more(sum, &term);
}

/* x + x^3/3 + x^5/5 ..., or with alternating signs. */
static struct sf odd_series(struct sf x, bool alternate)
{
    struct sf sum = x, power = x, term = x, square = mul(x, x);

    square.sign = alternate;
    for (unsigned n = 3; !negligible(&term, &sum); n += 2) {
        power = mul(power, square);
        term = divide_int(power, n);
        sum = add(sum, term);
    }
    return more(sum, &term);
}

/* Sine (from x) or cosine (from 1). */
static struct sf circular_series(struct sf x, bool cosine)
{
    struct sf term = cosine ? integer(1) : x, sum = term, square = negated(mul(x, x));

    for (unsigned n = cosine ? 1 : 2; !negligible(&term, &sum); n += 2) {
        term = divide_int(mul(term, square), n * (n + 1));
        sum = add(sum, term);
    }
    return more(sum, &term);
}

/* ---- the functions ---- */

static struct sf log2e(void)
{
    return make(false, 0, BITS(0xb8aa3b295c17f0bb, 0xbe87fed0691d3e89));
}

static struct sf exp2_minus_1(struct sf x)
{
    struct sf ln2 = make(false, -1, BITS(0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af));

    return expm1_series(mul(x, ln2));
}

/* log2 of (1 + t) / (1 - t) */
static struct sf log2_of_ratio(struct sf t)
{
    struct sf r = mul(odd_series(t, false), log2e());

    r.exp++;
    return r;
}

static struct sf log2_of(struct sf x)
{
    int e = x.exp;

    x.exp = 0;
    if (x.mant > BITS(0xb504f333f9de6484, 0)) { /* the root of 2 */
        x.exp = -1;
        e++;
    }
    return add(integer(e), log2_of_ratio(divide(add(x, integer(-1)), add(x, integer(1)))));
}

static struct sf log2_plus_1(struct sf x)
{
    return x.exp < -2 ? log2_of_ratio(divide(x, add(x, integer(2)))) : log2_of(add(x, integer(1)));
}

static struct sf pi_times(int eighths)
{
    struct sf pi = make(false, 1, BITS(0xc90fdaa22168c234, 0xc4c6628b80dc1cd1));

    pi = mul(pi, integer(eighths));
    pi.exp -= 3;
    return pi;
}

/* t in 0..1: by the nearest eighth below. */
static struct sf arc_tangent(struct sf t)
{
    static const struct {
        int exp;
        uint64_t high, low;
    } eighths[] = {
        {0, 0, 0},
        {-4, 0xfeadd4d5617b6e32, 0xc897989f3e888ef8},
        {-3, 0xfadbafc96406eb15, 0x6dc79ef5f7a217e6},
        {-2, 0xb7b0ca0f26f78473, 0x8aa32122dcfe4483},
        {-2, 0xed63382b0dda7b45, 0x6fe445ecbc3a8d03},
        {-1, 0x8f005d5ef7f59f9b, 0x5c835e1665c43748},
        {-1, 0xa4bc7d1934f70924, 0x19a87f2a457dac9f},
        {-1, 0xb8053e2bc2319e73, 0xcb2da55210a4443d},
        {-1, 0xc90fdaa22168c234, 0xc4c6628b80dc1cd1},
    };
    unsigned k = t.exp < -3 ? 0 : (unsigned)(t.mant >> (124 - t.exp));

    if (!k) {
        return odd_series(t, true);
    }
    struct sf c = integer((int)k);
    c.exp -= 3;
    struct sf rest = divide(add(t, negated(c)), add(integer(1), mul(t, c)));
    struct sf base = make(false, eighths[k].exp, (u128)eighths[k].high << 64 | eighths[k].low);
    return rest.cls == SF_ZERO ? base : add(base, odd_series(rest, true));
}

/* The angle of the point (x, y). */
static struct sf angle(struct sf x, struct sf y)
{
    bool left = x.sign, below = y.sign;
    struct sf r;

    x.sign = y.sign = false;
    if (x.cls == SF_INF && y.cls == SF_INF) {
        r = pi_times(left ? 6 : 2);
    } else if (y.cls == SF_INF || x.cls == SF_ZERO) {
        r = pi_times(4);
    } else if (x.cls == SF_INF || y.cls == SF_ZERO) {
        r = pi_times(8); /* left: else it is zero, and not asked here */
    } else {
        bool steep = y.exp > x.exp || (y.exp == x.exp && y.mant > x.mant);
        r = arc_tangent(steep ? divide(x, y) : divide(y, x));
        if (steep) {
            r = add(pi_times(4), negated(r));
        }
        if (left) {
            r = add(pi_times(8), negated(r));
        }
    }
    r.sign = below;
    return r;
}

/* |x| less the nearest multiple of half the unit's pi, whose 66 bits are C90FDAA2 2168C234 C /
 * 2^66; returns that multiple modulo 4. */
static unsigned reduce(struct sf x, struct sf *rest)
{
    u128 pi = BITS(0xc, 0x90fdaa22168c234c), rem = x.mant >> 64; /* pi/2 in units of 2^-67 */
    unsigned q = 0;

    if (x.exp < -1) {
        *rest = x;
        rest->sign = false;
        return 0;
    }
    for (int n = x.exp + 4; n > 0; n--) {
        rem <<= 1;
        q <<= 1;
        if (rem >= pi) {
            rem -= pi;
            q |= 1;
        }
    }
    bool above = rem > pi >> 1;
    *rest = make(above, 60, above ? pi - rem : rem);
    return (q + above) & 3;
}

static struct sf trigonometric(enum x87_function f, struct sf x)
{
    struct sf rest, s, c;
    unsigned quadrant = reduce(x, &rest);

    if (f == X87_FPTAN) {
        s = circular_series(rest, false);
        c = circular_series(rest, true);
        s = quadrant & 1 ? negated(divide(c, s)) : divide(s, c);
        s.sign ^= x.sign;
        return s;
    }
    if (f == X87_FCOS) {
        quadrant++; /* cos x = sin(x + pi/2) */
        x.sign = false;
    }
    s = circular_series(rest, quadrant & 1);
    s.sign ^= x.sign ^ (quadrant >> 1 & 1);
    return s;
}

struct sf x87_approximate(enum x87_function f, struct sf x, struct sf y)
{
    switch (f) {
    case X87_F2XM1: /* of more than 1 it is undefined: nothing happens */
        return x.exp > 0 || (!x.exp && x.mant << 1) ? x : exp2_minus_1(x);
    case X87_FYL2X:
        return mul(y, log2_of(x));
    case X87_FYL2XP1:
        return x.sign && x.exp >= 0 ? y : mul(y, log2_plus_1(x)); /* undefined, too */
    case X87_FPATAN:
        return angle(x, y);
    default:
        return trigonometric(f, x);
    }
}

/* ---- by the host's unit ---- */

#ifdef __x86_64__
struct packed {
    uint64_t mant;
    uint16_t se;
} __attribute__((packed));

#define ASK(insn, pop, after)                                                                      \
    __asm__ volatile("fnstcw %1\n\tfnclex\n\tfldcw %3\n\tfldt %5\n\tfldt %4\n\t" insn              \
                     "\n\tfnstsw %2\n\t" pop "fstpt %0\n\t" after "fnclex\n\tfldcw %1"             \
                     : "=m"(out), "=m"(saved), "=m"(status)                                        \
                     : "m"(control), "m"(px), "m"(py)                                              \
                     : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)",        \
                       "memory")

bool x87_by_host(enum x87_function f, struct fpenv *env, struct sf80 x, struct sf80 y,
                 struct sf80 *r)
{
    struct packed px = {x.mant, x.se}, py = {y.mant, y.se}, out;
    uint16_t saved, status,
        control = (uint16_t)(FP_ALL | 0x40 | (env->precision & 3) << 8 | (env->round & 3) << 10);

    switch (f) {
    case X87_F2XM1:
        ASK("f2xm1", "", "fstp %%st(0)\n\t");
        break;
    case X87_FYL2X:
        ASK("fyl2x", "", "");
        break;
    case X87_FYL2XP1:
        ASK("fyl2xp1", "", "");
        break;
    case X87_FPATAN:
        ASK("fpatan", "", "");
        break;
    case X87_FSIN:
        ASK("fsin", "", "fstp %%st(0)\n\t");
        break;
    case X87_FCOS:
        ASK("fcos", "", "fstp %%st(0)\n\t");
        break;
    default:
        ASK("fptan", "fstp %%st(0)\n\t", "fstp %%st(0)\n\t");
        break;
    }
    *r = (struct sf80){out.mant, out.se};
    env->flags |= status & FP_ALL;
    env->rounded_up = status >> 9 & 1;
    return true;
}
#else
bool x87_by_host(enum x87_function f, struct fpenv *env, struct sf80 x, struct sf80 y,
                 struct sf80 *r)
{
    (void)f, (void)env, (void)x, (void)y, (void)r;
    return false;
}
#endif
