/* The x87 unit (SDM volume 1, chapter 8): stack, status, environment in memory, functions.
 *
 * Approximations: the transcendental functions come from the host's long double library, which has 80 bits
 * on x86 and at least 64 elsewhere. Left out: instruction and operand pointers (they read as zero). */
#include "cpu/x87.h"

#include <float.h>
#include <math.h>
#include <string.h>

void x87_check(struct x86_cpu *c)
{
    if (!(c->fp_sw & SW_ES)) {
        return;
    }
    if (c->cr0 & CR0_NE) {
        x86_raise(c, EXC_MF);
    }
    if (c->platform && c->platform->ferr) {
        machine_lock(c->v.machine);
        c->platform->ferr(c->platform->opaque, true);
        machine_unlock(c->v.machine);
    }
}

struct fpenv x87_env(const struct x86_cpu *c)
{
    return (struct fpenv){
        .round = c->fp_cw >> 10 & 3,
        .masks = c->fp_cw & FP_ALL,
        .precision = c->fp_cw >> 8 & 3,
    };
}

static void update_summary(struct x86_cpu *c)
{
    c->fp_sw &= (uint16_t) ~(SW_ES | SW_B);
    if (c->fp_sw & ~c->fp_cw & FP_ALL) {
        c->fp_sw |= SW_ES | SW_B;
    }
}

bool x87_flags(struct x86_cpu *c, uint8_t flags)
{
    c->fp_sw &= (uint16_t)~SW_C1;
    c->fp_sw |= flags & FP_ALL;
    update_summary(c);
    return !(flags & ~c->fp_cw & (FP_INVALID | FP_DENORMAL | FP_DIVZERO));
}

bool x87_result(struct x86_cpu *c, const struct fpenv *env)
{
    uint8_t flags = env->flags;

    if (flags & ~c->fp_cw & (FP_INVALID | FP_DENORMAL | FP_DIVZERO)) {
        return x87_flags(c, flags & (FP_INVALID | FP_DENORMAL | FP_DIVZERO)); /* nothing was computed */
    }
    x87_flags(c, flags);
    if (env->rounded_up) {
        c->fp_sw |= SW_C1;
    }
    return true;
}

static unsigned physical(const struct x86_cpu *c, unsigned i)
{
    return (c->fp_top + i) & 7;
}

bool x87_empty(const struct x86_cpu *c, unsigned i)
{
    return c->fp_tag_empty >> physical(c, i) & 1;
}

struct sf80 x87_get(const struct x86_cpu *c, unsigned i)
{
    const struct x86_fpreg *r = &c->fpr[physical(c, i)];
    return (struct sf80){r->mant, r->se};
}

void x87_set(struct x86_cpu *c, unsigned i, struct sf80 x)
{
    c->fpr[physical(c, i)] = (struct x86_fpreg){x.mant, x.se};
    c->fp_tag_empty &= (uint8_t) ~(1u << physical(c, i));
}

void x87_pop(struct x86_cpu *c)
{
    c->fp_tag_empty |= (uint8_t)(1u << c->fp_top);
    c->fp_top = (c->fp_top + 1) & 7;
}

struct sf80 x87_default_nan(void)
{
    return (struct sf80){UINT64_C(0xc000000000000000), 0xffff};
}

bool x87_stack_fault(struct x86_cpu *c, bool overflow)
{
    c->fp_sw = (uint16_t)((c->fp_sw & ~SW_C1) | SW_IE | SW_SF | (overflow ? SW_C1 : 0));
    update_summary(c);
    return c->fp_cw & FP_INVALID;
}

void x87_push(struct x86_cpu *c, struct sf80 x)
{
    if (!x87_empty(c, 7)) {
        if (!x87_stack_fault(c, true)) {
            return;
        }
        x = x87_default_nan();
    } else {
        c->fp_sw &= (uint16_t)~SW_C1;
    }
    c->fp_top = (c->fp_top - 1) & 7;
    x87_set(c, 0, x);
}

/* ---- state as others see it (declared in x86.h) ---- */

uint16_t x86_get_fpsw(struct x86_cpu *c)
{
    return (uint16_t)((c->fp_sw & ~0x3800) | c->fp_top << 11);
}

uint16_t x86_get_fptw(struct x86_cpu *c)
{
    uint16_t w = 0;

    for (unsigned n = 0; n < 8; n++) {
        const struct x86_fpreg *r = &c->fpr[n];
        unsigned e = r->se & 0x7fff, tag = 0;
        if (c->fp_tag_empty >> n & 1) {
            tag = 3;
        } else if (!e && !r->mant) {
            tag = 1;
        } else if (e == 0x7fff || !e || !(r->mant >> 63)) {
            tag = 2;
        }
        w |= (uint16_t)(tag << 2 * n);
    }
    return w;
}

void x86_fpu_reset(struct x86_cpu *c, bool fninit)
{
    c->fp_cw = fninit ? 0x37f : 0x40;
    c->fp_sw = 0;
    c->fp_top = 0;
    c->fp_tag_empty = fninit ? 0xff : 0;
    c->fp_op = c->fp_cs = c->fp_ds = 0;
    c->fp_ip = c->fp_dp = 0;
    if (!fninit) { /* power-on: all registers +0 */
        memset(c->fpr, 0, sizeof(c->fpr));
    }
}

/* ---- environment in memory: 14 or 28 bytes ---- */

void x87_store_env(struct x86_cpu *c, uint64_t at, unsigned opsize, unsigned ctx)
{
    uint16_t words[7] = {c->fp_cw, x86_get_fpsw(c), x86_get_fptw(c), (uint16_t)c->fp_ip, c->fp_cs,
                         (uint16_t)c->fp_dp, c->fp_ds};

    for (unsigned i = 0; i < 7; i++) {
        if (opsize == 2) {
            x86_store(c, at + 2 * i, words[i], MO_16, ctx);
        } else {
            x86_store(c, at + 4 * i, words[i] | (i < 3 ? 0xffff0000u : 0), MO_32, ctx);
        }
    }
    c->fp_cw |= FP_ALL; /* FNSTENV masks everything */
    update_summary(c);
}

void x87_load_env(struct x86_cpu *c, uint64_t at, unsigned opsize, unsigned ctx)
{
    uint16_t w[3];

    for (unsigned i = 0; i < 3; i++) {
        w[i] = (uint16_t)x86_load(c, at + (opsize == 2 ? 2 : 4) * i, MO_16, ctx);
    }
    x86_load(c, at + (opsize == 2 ? 12 : 24), MO_16, ctx);
    c->fp_cw = (uint16_t)((w[0] & 0x1f7f) | 0x40);
    c->fp_sw = w[1] & (uint16_t)~0x3800;
    c->fp_top = w[1] >> 11 & 7;
    c->fp_tag_empty = 0;
    for (unsigned n = 0; n < 8; n++) {
        c->fp_tag_empty |= (uint8_t)((w[2] >> 2 * n & 3) == 3) << n;
    }
    update_summary(c);
}

void x87_save(struct x86_cpu *c, uint64_t at, unsigned opsize, unsigned ctx)
{
    uint64_t regs = at + (opsize == 2 ? 14 : 28);

    for (unsigned i = 0; i < 8; i++) {
        struct sf80 x = x87_get(c, i);
        x86_store(c, regs + 10 * i, x.mant, MO_64, ctx);
        x86_store(c, regs + 10 * i + 8, x.se, MO_16, ctx);
    }
    x87_store_env(c, at, opsize, ctx);
    x86_fpu_reset(c, true);
}

void x87_restore(struct x86_cpu *c, uint64_t at, unsigned opsize, unsigned ctx)
{
    uint64_t regs = at + (opsize == 2 ? 14 : 28);
    struct sf80 x[8];

    for (unsigned i = 0; i < 8; i++) {
        x[i].mant = x86_load(c, regs + 10 * i, MO_64, ctx);
        x[i].se = (uint16_t)x86_load(c, regs + 10 * i + 8, MO_16, ctx);
    }
    x87_load_env(c, at, opsize, ctx);
    for (unsigned i = 0; i < 8; i++) {
        c->fpr[physical(c, i)] = (struct x86_fpreg){x[i].mant, x[i].se};
    }
}

/* ---- functions ---- */

static long double to_host(struct sf80 x)
{
#if LDBL_MANT_DIG == 64
    long double r = 0;
    memcpy(&r, &x.mant, 8);
    memcpy((char *)&r + 8, &x.se, 2);
    return r;
#else
    int e = x.se & 0x7fff;
    if (e == 0x7fff) {
        long double v = x.mant << 1 ? NAN : INFINITY;
        return x.se >> 15 ? -v : v;
    }
    long double r = ldexpl((long double)x.mant, (e ? e : 1) - 16383 - 63);
    return x.se >> 15 ? -r : r;
#endif
}

static struct sf80 from_host(long double v)
{
#if LDBL_MANT_DIG == 64
    struct sf80 x;
    memcpy(&x.mant, &v, 8);
    memcpy(&x.se, (char *)&v + 8, 2);
    return x;
#else
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    if (isnan(v)) {
        return x87_default_nan();
    }
    if (isinf(v)) {
        return (struct sf80){UINT64_C(1) << 63, sign | 0x7fff};
    }
    if (v == 0) {
        return (struct sf80){0, sign};
    }
    int e;
    long double m = frexpl(fabsl(v), &e);
    struct fpenv env = {.masks = FP_ALL, .precision = 3};
    struct sf r = {SF_NORMAL, sign != 0, false, e - 1, (unsigned __int128)(uint64_t)ldexpl(m, 64) << 64};
    return sf_pack80(&env, r);
#endif
}

/* Sets ST(i) to a library result: inexact unless it is exact by definition. */
static void set_result(struct x86_cpu *c, unsigned i, long double v)
{
    if (x87_flags(c, isnan(v) ? FP_INVALID : FP_INEXACT)) {
        x87_set(c, i, isnan(v) ? x87_default_nan() : from_host(v));
    }
}

/* A NaN operand of a function is handed on, quiet. Returns true when that happened. */
static bool nan_operand(struct x86_cpu *c, unsigned i)
{
    struct fpenv env = x87_env(c);
    struct sf x = sf_unpack80(x87_get(c, i));

    if (!sf_is_nan(&x)) {
        return false;
    }
    x = sf_operand(&env, x);
    if (x87_flags(c, env.flags)) {
        x87_set(c, 0, sf_pack80(&env, x));
    }
    return true;
}

/* Partial remainder: up to 63 bits of quotient at a time; C2 says that more is to come. */
static void remainder_step(struct x86_cpu *c, bool nearest)
{
    struct fpenv env = x87_env(c);
    struct sf a = sf_unpack80(x87_get(c, 0)), b = sf_unpack80(x87_get(c, 1));
    unsigned __int128 q = 0;

    c->fp_sw &= (uint16_t) ~(SW_C0 | SW_C1 | SW_C2 | SW_C3);
    if (sf_is_nan(&a) || sf_is_nan(&b) || a.cls == SF_INF || b.cls == SF_ZERO) {
        struct sf r = sf_is_nan(&a) || sf_is_nan(&b) ? sf_mul(&env, a, b, true) : sf_default_nan();
        if (!sf_is_nan(&a) && !sf_is_nan(&b)) {
            env.flags |= FP_INVALID;
        }
        if (x87_flags(c, env.flags)) {
            x87_set(c, 0, sf_pack80(&env, r));
        }
        return;
    }
    if (a.denormal || b.denormal) {
        x87_flags(c, FP_DENORMAL);
    }
    if (a.cls == SF_ZERO || b.cls == SF_INF || a.exp < b.exp - (nearest ? 1 : 0)) {
        return; /* the quotient is zero */
    }
    int d = a.exp - b.exp;
    bool partial = d >= 64;
    int bits = partial ? 32 + (d & 31) : d;
    uint64_t div = (uint64_t)(b.mant >> 64);
    unsigned __int128 rem = a.mant >> 64;
    int scale = a.exp - (partial ? bits : d); /* exponent of the remainder's unit */
    if (d < 0) { /* nearest only: a is at least half of b */
        rem >>= 0;
        scale = a.exp;
    }
    for (int i = bits; i >= 0 && d >= 0; i--) {
        q <<= 1;
        if (rem >= div) {
            rem -= div;
            q |= 1;
        }
        if (i) {
            rem <<= 1;
        }
    }
    if (partial) {
        c->fp_sw |= SW_C2;
    } else if (nearest) {
        /* Compare twice the remainder with the divisor, in the same unit. */
        unsigned __int128 twice = rem << 1, whole = d < 0 ? (unsigned __int128)div << 1 : div;
        if (twice > whole || (twice == whole && (q & 1))) {
            rem = whole - rem;
            a.sign = !a.sign;
            q++;
        }
    }
    struct sf r = {rem ? SF_NORMAL : SF_ZERO, a.sign, false, scale + 64, rem};
    if (rem) {
        unsigned n = rem >> 64 ? (unsigned)__builtin_clzll((uint64_t)(rem >> 64))
                               : 64 + (unsigned)__builtin_clzll((uint64_t)rem);
        r.mant <<= n;
        r.exp -= (int)n;
    }
    env.precision = 3;
    x87_set(c, 0, sf_pack80(&env, r));
    if (!partial) {
        c->fp_sw |= (uint16_t)((q & 4 ? SW_C0 : 0) | (q & 2 ? SW_C3 : 0) | (q & 1 ? SW_C1 : 0));
    }
}

static void trigonometric(struct x86_cpu *c, unsigned op)
{
    long double x = to_host(x87_get(c, 0));

    c->fp_sw &= (uint16_t)~SW_C2;
    if (nan_operand(c, 0)) {
        if (op == 0xf2 || op == 0xfb) {
            x87_push(c, x87_get(c, 0));
        }
        return;
    }
    if (!isinf(x) && fabsl(x) >= 0x1p63L) {
        c->fp_sw |= SW_C2; /* out of range: unchanged */
        return;
    }
    switch (op) {
    case 0xfe:
        set_result(c, 0, sinl(x));
        break;
    case 0xff:
        set_result(c, 0, cosl(x));
        break;
    case 0xfb:
        set_result(c, 0, sinl(x));
        x87_push(c, from_host(cosl(x)));
        break;
    default:
        set_result(c, 0, tanl(x));
        x87_push(c, from_host(1));
        break;
    }
}

static void extract(struct x86_cpu *c)
{
    struct fpenv env = x87_env(c);
    struct sf x = sf_unpack80(x87_get(c, 0));
    struct sf exponent;

    if (nan_operand(c, 0)) {
        x87_push(c, x87_get(c, 0));
        return;
    }
    env.precision = 3;
    if (x.cls == SF_ZERO) {
        exponent = (struct sf){SF_INF, true, false, 0, 0};
        env.flags |= FP_DIVZERO;
    } else if (x.cls == SF_INF) {
        exponent = (struct sf){SF_INF, false, false, 0, 0};
    } else {
        exponent = sf_from_int(x.exp);
        env.flags |= x.denormal ? FP_DENORMAL : 0;
        x.exp = 0;
    }
    if (x87_flags(c, env.flags)) {
        x87_set(c, 0, sf_pack80(&env, exponent));
        x87_push(c, sf_pack80(&env, x));
    }
}

static void scale(struct x86_cpu *c)
{
    struct fpenv env = x87_env(c);
    struct sf a = sf_unpack80(x87_get(c, 0)), b = sf_unpack80(x87_get(c, 1));

    env.precision = 3;
    if (sf_is_nan(&a) || sf_is_nan(&b)) {
        a = sf_add(&env, a, b, false, true);
    } else if (b.cls == SF_INF) {
        if (b.sign ? a.cls == SF_INF : a.cls == SF_ZERO) {
            env.flags |= FP_INVALID;
            a = sf_default_nan();
        } else {
            a.cls = b.sign ? SF_ZERO : SF_INF;
        }
    } else if (a.cls == SF_NORMAL && b.cls == SF_NORMAL) {
        env.flags |= a.denormal || b.denormal ? FP_DENORMAL : 0;
        struct fpenv quiet = {.masks = FP_ALL};
        int64_t n = b.exp > 20 ? (b.sign ? -100000 : 100000) : sf_to_int(&quiet, b, 32, FP_TRUNCATE);
        a.exp += (int32_t)(n > 100000 ? 100000 : n < -100000 ? -100000 : n);
    }
    struct sf80 r = sf_pack80(&env, a);
    if (x87_result(c, &env)) {
        x87_set(c, 0, r);
    }
}

void x87_function(struct x86_cpu *c, unsigned op)
{
    bool two = op == 0xf1 || op == 0xf3 || op == 0xf9 || op == 0xf5 || op == 0xf8 || op == 0xfd;

    if (x87_empty(c, 0) || (two && x87_empty(c, 1))) {
        if (x87_stack_fault(c, false)) {
            x87_set(c, 0, x87_default_nan());
        }
        return;
    }
    long double x = to_host(x87_get(c, 0)), y = to_host(x87_get(c, 1));
    switch (op) {
    case 0xf0: /* F2XM1 */
        if (!nan_operand(c, 0)) {
            set_result(c, 0, expm1l(x * 0.693147180559945309417232121458L));
        }
        break;
    case 0xf1: /* FYL2X */
    case 0xf3: /* FPATAN */
    case 0xf9: /* FYL2XP1 */
        set_result(c, 1, op == 0xf1 ? y * log2l(x) : op == 0xf3 ? atan2l(y, x)
                                                                : y * log1pl(x) * 1.442695040888963407359924681002L);
        x87_pop(c);
        break;
    case 0xf4:
        extract(c);
        break;
    case 0xf5:
    case 0xf8:
        remainder_step(c, op == 0xf5);
        break;
    case 0xfd:
        scale(c);
        break;
    default:
        trigonometric(c, op);
        break;
    }
}
