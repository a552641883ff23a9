/* x87 functions, the second half of D9 (SDM volume 1, 8.3.5 to 8.3.7): transcendental functions,
 * remainders, scaling, extraction.
 *
 * Special operands, exceptions and the stack are handled here. The transcendental functions of
 * ordinary numbers come from x87_approx.c: from the host's own unit where there is one, else
 * computed, and then within one unit in the last place of what processors give. */
#include <string.h>

#include "cpu/x87.h"
#include "cpu/x87_approx.h"

enum op {
    F2XM1 = 0xf0,
    FYL2X,
    FPTAN,
    FPATAN,
    FXTRACT,
    FPREM1,
    FPREM = 0xf8,
    FYL2XP1,
    FSINCOS = 0xfb,
    FSCALE = 0xfd,
    FSIN,
    FCOS,
};

static struct sf constant(enum sf_class cls, bool sign)
{
    return (struct sf){cls, sign, false, 0, 0};
}

/* ---- functions: of x = ST0 and y = ST1; flags into env ---- */

static struct sf invalid(struct fpenv *env)
{
    env->flags |= FP_INVALID;
    return sf_default_nan();
}

/* A transcendental function, rounded; its operands may be denormal, but they are what
 * x87_approximate asks. */
static struct sf approximate(struct fpenv *env, enum x87_function f, const struct sf *x,
                             const struct sf *y)
{
    struct fpenv exact = {.masks = FP_ALL, .precision = 3}, host = *env;
    struct sf80 r, px = sf_pack80(&exact, *x), py = sf_pack80(&exact, *y);

    host.precision = env->precision = 3;
    if (x87_by_host(f, &host, px, py, &r) &&
        !(host.flags & ~env->masks & (FP_OVERFLOW | FP_UNDERFLOW))) {
        *env = host;
    } else {
        r = sf_pack80(env, x87_approximate(f, *x, *y));
    }
    return sf_unpack80(r);
}

static bool is_one(const struct sf *x)
{
    return x->cls == SF_NORMAL && !x->exp && !(x->mant << 1);
}

static struct sf exp2_minus_1(struct fpenv *env, const struct sf *x)
{
    if (x->cls == SF_ZERO || (x->cls == SF_INF && !x->sign)) {
        return *x;
    }
    if (x->cls == SF_INF) {
        struct sf r = sf_from_int(1);
        r.sign = true;
        return r;
    }
    return approximate(env, X87_F2XM1, x, x);
}

/* y times a logarithm that is zero, infinite or neither; `sign` is the logarithm's. */
static struct sf y_log2(struct fpenv *env, const struct sf *x, const struct sf *y, bool plus_1)
{
    bool zero = plus_1 ? x->cls == SF_ZERO : is_one(x) && !x->sign;
    bool infinite = x->cls == SF_INF || (!plus_1 && x->cls == SF_ZERO);
    bool sign = plus_1 ? x->sign : x->cls != SF_INF && (x->cls == SF_ZERO || x->exp < 0);

    if (x->sign && (plus_1 ? x->cls == SF_INF : x->cls != SF_ZERO)) {
        return invalid(env);
    }
    if ((zero && y->cls == SF_INF) || (infinite && y->cls == SF_ZERO)) {
        return invalid(env);
    }
    if (infinite && x->cls == SF_ZERO && y->cls == SF_NORMAL) {
        env->flags |= FP_DIVZERO;
    }
    if (infinite || y->cls == SF_INF) {
        return constant(SF_INF, y->sign ^ sign);
    }
    if (zero || y->cls == SF_ZERO) {
        return constant(SF_ZERO, y->sign ^ sign);
    }
    return approximate(env, plus_1 ? X87_FYL2XP1 : X87_FYL2X, x, y);
}

static struct sf arc_tangent(struct fpenv *env, const struct sf *x, const struct sf *y)
{
    if (y->cls == SF_ZERO && !x->sign) {
        return *y;
    }
    if (y->cls != SF_INF && x->cls == SF_INF && !x->sign) {
        return constant(SF_ZERO, y->sign);
    }
    return approximate(env, X87_FPATAN, x, y);
}

static struct sf sine(struct fpenv *env, const struct sf *x)
{
    return x->cls == SF_ZERO ? *x : approximate(env, X87_FSIN, x, x);
}

static struct sf cosine(struct fpenv *env, const struct sf *x)
{
    return x->cls == SF_ZERO ? sf_from_int(1) : approximate(env, X87_FCOS, x, x);
}

static struct sf scale(struct fpenv *env, const struct sf *x, const struct sf *y)
{
    struct sf r = *x;

    if (y->cls == SF_INF) {
        if (x->cls == (y->sign ? SF_INF : SF_ZERO)) {
            return invalid(env);
        }
        r.cls = y->sign ? SF_ZERO : SF_INF;
    } else if (x->cls == SF_NORMAL && y->cls == SF_NORMAL && y->exp >= 0) {
        int n = y->exp > 16 ? 1 << 17
                            : (int)(y->mant >> (127 - y->exp)); /* more is as good as infinite */
        r.exp += y->sign ? -n : n;
    }
    return r;
}

/* ---- remainders ---- */

/* FPREM (to zero) and FPREM1 (to nearest): the exponents' difference is reduced by up to 63 at a
 * time; C2 says that more is to come, else C0, C3, C1 hold the quotient's low bits. */
static struct sf remainder_of(struct x86_cpu *c, struct fpenv *env, const struct sf *x,
                              const struct sf *y, bool nearest)
{
    int d = x->exp - y->exp;
    bool partial = d >= 64;
    int bits = partial ? 32 + (d & 31) : d;
    unsigned __int128 rem = x->mant >> 64, whole = y->mant >> 64, q = 0;

    if (x->cls == SF_INF || y->cls == SF_ZERO) {
        return invalid(env);
    }
    if (x->cls == SF_ZERO || y->cls == SF_INF || d < (nearest ? -1 : 0)) {
        return *x; /* the quotient is zero */
    }
    struct sf r = {SF_NORMAL, x->sign, false, (d < 0 ? x->exp : x->exp - bits) + 64, 0};
    if (d < 0) { /* nearest only: x is at least half of y */
        whole <<= 1;
    }
    for (int i = bits; i >= 0; i--) {
        q <<= 1;
        if (rem >= whole) {
            rem -= whole;
            q |= 1;
        }
        rem <<= i != 0;
    }
    if (partial) {
        c->fp_sw |= SW_C2;
    } else {
        if (nearest && (rem << 1 > whole || (rem << 1 == whole && (q & 1)))) {
            rem = whole - rem;
            r.sign = !r.sign;
            q++;
        }
        c->fp_sw |= (uint16_t)((q & 4 ? SW_C0 : 0) | (q & 2 ? SW_C3 : 0));
        env->rounded_up = q & 1; /* C1 */
    }
    if (!rem) {
        return constant(SF_ZERO, x->sign);
    }
    unsigned n = rem >> 64 ? (unsigned)__builtin_clzll((uint64_t)(rem >> 64))
                           : 64 + (unsigned)__builtin_clzll((uint64_t)rem);
    r.mant = rem << n;
    r.exp -= (int)n;
    return r;
}

/* ---- the instructions ---- */

/* What goes to the register and, of FPTAN, FSINCOS and FXTRACT, what is pushed. */
struct results {
    struct sf value, pushed;
};

static struct results compute(struct x86_cpu *c, struct fpenv *env, enum op op, const struct sf *x,
                              const struct sf *y)
{
    struct results r = {*x, *x};

    switch (op) {
    case F2XM1:
        r.value = exp2_minus_1(env, x);
        break;
    case FYL2X:
    case FYL2XP1:
        r.value = y_log2(env, x, y, op == FYL2XP1);
        break;
    case FPATAN:
        r.value = arc_tangent(env, x, y);
        break;
    case FXTRACT:
        if (x->cls == SF_NORMAL) {
            r.value = sf_from_int(x->exp);
            r.pushed.exp = 0;
        } else {
            r.value = constant(SF_INF, x->cls == SF_ZERO);
            env->flags |= x->cls == SF_ZERO ? FP_DIVZERO : 0;
        }
        break;
    case FPREM:
    case FPREM1:
        r.value = remainder_of(c, env, x, y, op == FPREM1);
        break;
    case FSCALE:
        r.value = scale(env, x, y);
        break;
    default: /* trigonometric */
        if (x->cls == SF_INF) {
            r.value = r.pushed = invalid(env);
        } else if (op == FPTAN) {
            r.value = x->cls == SF_ZERO ? *x : approximate(env, X87_FPTAN, x, x);
            r.pushed = sf_from_int(1);
        } else {
            if (op == FSINCOS) { /* C1 is the sine's */
                r.pushed = cosine(env, x);
                env->rounded_up = false;
            }
            r.value = op == FCOS ? cosine(env, x) : sine(env, x);
        }
    }
    return r;
}

/* NaNs and unsupported formats go before the function. */
static bool nan_operands(struct fpenv *env, bool two, const struct sf *x, const struct sf *y,
                         struct sf *r)
{
    if (!sf_is_nan(x) && !(two && sf_is_nan(y))) {
        return false;
    }
    *r = two ? sf_add(env, *x, *y, false, true) : sf_operand(env, *x);
    return true;
}

void x87_function(struct x86_cpu *c, unsigned opcode)
{
    enum op op = (enum op)opcode;
    bool pops = op == FYL2X || op == FPATAN || op == FYL2XP1;
    bool two = pops || op == FPREM || op == FPREM1 || op == FSCALE;
    bool pushes = op == FPTAN || op == FSINCOS || op == FXTRACT;
    bool trigonometric = op == FPTAN || op == FSINCOS || op == FSIN || op == FCOS;
    unsigned to = pops ? 1 : 0;
    struct fpenv env = x87_env(c);
    struct sf x = sf_unpack80(x87_get(c, 0)), y = sf_unpack80(x87_get(c, 1)), nan;
    struct sf80 value, pushed;
    bool underflow = x87_empty(c, 0) || (two && x87_empty(c, 1));

    if (underflow || (pushes && !x87_empty(c, 7))) {
        if (!x87_stack_fault(c, !underflow)) {
            return;
        }
        value = pushed = x87_default_nan();
    } else {
        if (trigonometric || op == FPREM || op == FPREM1) {
            c->fp_sw &= (uint16_t)~SW_C2;
        }
        if (op == FPREM || op == FPREM1) {
            c->fp_sw &= (uint16_t) ~(SW_C0 | SW_C3);
        }
        if (trigonometric && x.cls == SF_NORMAL && x.exp >= 63) {
            c->fp_sw =
                (uint16_t)((c->fp_sw & ~SW_C1) | SW_C2); /* out of range: nothing is changed */
            return;
        }
        struct results r;
        if (nan_operands(&env, two, &x, &y, &nan)) {
            r.value = r.pushed = nan;
        } else {
            r = compute(c, &env, op, &x, &y);
            if (!(env.flags & (FP_INVALID | FP_DIVZERO)) && (x.denormal || (two && y.denormal))) {
                env.flags |= FP_DENORMAL;
            }
        }
        bool low_bit = env.rounded_up;
        if (op == FSCALE && y.cls == SF_ZERO) {
            env.masks |= FP_UNDERFLOW; /* it stays as it is, tiny or not */
        }
        env.precision = 3;
        pushed = pushes ? sf_pack80(&env, r.pushed) : x87_default_nan();
        value = sf_pack80(&env, r.value);
        if (op != FSCALE) {
            env.rounded_up = low_bit;
        }
        if (!x87_result(c, &env)) {
            if (op == FPREM || op == FPREM1) {
                c->fp_sw &= (uint16_t) ~(SW_C0 | SW_C2 | SW_C3);
            }
            return;
        }
    }
    x87_set(c, to, value);
    if (pops) {
        x87_pop(c);
    } else if (pushes) {
        c->fp_top = (c->fp_top - 1) & 7;
        x87_set(c, 0, pushed);
    }
}
