/* Lazy flags in IR: recording them, and the sixteen conditions of Jcc, SETcc, CMOVcc.
 *
 * Where the kind of the last flag-setter is known in the block, a condition becomes one comparison
 * of the recorded values (for SUB that is just the comparison the programmer wrote); otherwise a
 * helper evaluates it from the CC registers. The formulas mirror x86_cc_eval() in cpu/flags.c, and
 * the test tests/cpu/flags_test.c holds them against it. */
#include "cpu/translate.h"

enum { COND_O, COND_B, COND_Z, COND_BE, COND_S, COND_P, COND_L, COND_LE }; /* cc >> 1 */

/* A comparison, of registers or (b is IR_NONE) with imm; or a constant. */
struct cond {
    enum ir_cond c;
    enum ir_width w;
    ir_reg a, b;
    int64_t imm;
    bool constant, value;
};

static bool condition_holds(uint32_t fl, unsigned cc)
{
    bool cf = fl & FL_CF, zf = fl & FL_ZF, sf = fl & FL_SF, of = fl & FL_OF, r;

    switch (cc >> 1) {
    case COND_O:
        r = of;
        break;
    case COND_B:
        r = cf;
        break;
    case COND_Z:
        r = zf;
        break;
    case COND_BE:
        r = cf || zf;
        break;
    case COND_S:
        r = sf;
        break;
    case COND_P:
        r = fl & FL_PF;
        break;
    case COND_L:
        r = sf != of;
        break;
    default:
        r = zf || sf != of;
        break;
    }
    return r != (cc & 1);
}

/* The common conditions of the flag-setters that blocks most often leave behind for the next one,
 * without evaluating all flags. Values are moved to the top of the word, where the machine's own
 * comparisons see their sign. False: not one of the quick ones. */
static bool quick_condition(const uint64_t *r, unsigned which, bool *holds)
{
    uint64_t kind = r[TCG_REG_CC_OP], a, b;
    unsigned shift = 64 - (8u << (kind & 3));

    a = r[TCG_REG_CC_A] << shift;
    b = r[TCG_REG_CC_B] << shift;
    switch (kind & ~UINT64_C(3)) {
    case CC_SUB8:
        break;
    case CC_LOGIC8:
        b = 0;
        break;
    case CC_ADD8:
    case CC_INC8:
    case CC_DEC8: /* the result is there; other conditions than these are rare */
        if (which == COND_B) {
            *holds = (kind & ~UINT64_C(3)) == CC_ADD8 ? a < b : r[TCG_REG_CC_B] & 1;
            return true;
        }
        if (which != COND_Z && which != COND_S) {
            return false;
        }
        b = 0;
        break;
    default:
        return false;
    }
    switch (which) {
    case COND_B:
        *holds = a < b;
        return true;
    case COND_Z:
        *holds = a == b;
        return true;
    case COND_BE:
        *holds = a <= b;
        return true;
    case COND_S:
        *holds = (int64_t)(a - b) < 0;
        return true;
    case COND_L:
        *holds = (int64_t)a < (int64_t)b;
        return true;
    case COND_LE:
        *holds = (int64_t)a <= (int64_t)b;
        return true;
    default:
        return false;
    }
}

static uint64_t helper_condition(struct vcpu *v, uint64_t cc)
{
    const uint64_t *r = v->reg;
    bool holds;

    if (quick_condition(r, cc >> 1 & 7, &holds)) {
        return holds != (cc & 1);
    }
    return condition_holds(
        x86_cc_eval(r[TCG_REG_CC_OP], r[TCG_REG_CC_A], r[TCG_REG_CC_B], r[TCG_REG_CC_C]),
        (unsigned)cc);
}
X86_HELPER(condition, 0, HELPER_IMM | HELPER_READS | HELPER_READS_CC | HELPER_PURE);

static uint64_t helper_flags(struct vcpu *v)
{
    const uint64_t *r = v->reg;

    return x86_cc_eval(r[TCG_REG_CC_OP], r[TCG_REG_CC_A], r[TCG_REG_CC_B], r[TCG_REG_CC_C]);
}
X86_HELPER(flags, 0, HELPER_READS | HELPER_READS_CC | HELPER_PURE);

static uint64_t helper_flags_of(struct vcpu *v, uint64_t a, uint64_t b, uint64_t c, uint64_t kind)
{
    (void)v;
    return x86_cc_eval(kind, a, b, c);
}
X86_HELPER(flags_of, 3, HELPER_IMM | HELPER_PURE);

/* ---- pieces of conditions ---- */

static struct cond compare(enum ir_cond c, unsigned bytes, ir_reg a, ir_reg b)
{
    return (struct cond){.c = c, .w = width_of(bytes), .a = a, .b = b};
}

static struct cond compare_imm(enum ir_cond c, unsigned bytes, ir_reg a, int64_t imm)
{
    return (struct cond){.c = c, .w = width_of(bytes), .a = a, .b = IR_NONE, .imm = imm};
}

static struct cond constant(bool value)
{
    return (struct cond){.c = IR_NE, .a = IR_NONE, .b = IR_NONE, .constant = true, .value = value};
}

static ir_reg binary(struct translator *t, enum ir_opc op, unsigned bytes, ir_reg a, ir_reg b)
{
    ir_reg d = ir_temp(t->ir);

    ir_bin(t->ir, op, width_of(bytes), d, a, b);
    return d;
}

static ir_reg extended(struct translator *t, ir_reg a, unsigned bytes, bool sign)
{
    if (bytes >= 4) {
        return a; /* the comparison's width does it */
    }
    ir_reg d = ir_temp(t->ir);
    if (sign) {
        ir_un(t->ir, bytes == 1 ? IR_EXT8S : IR_EXT16S, W32, d, a);
    } else {
        ir_un(t->ir, bytes == 1 ? IR_EXT8U : IR_EXT16U, W64, d, a);
    }
    return d;
}

static struct cond is_zero(ir_reg a, unsigned bytes)
{
    if (bytes >= 4) {
        return compare_imm(IR_EQ, bytes, a, 0);
    }
    return compare_imm(IR_TSTEQ, 4, a, bytes == 1 ? 0xff : 0xffff);
}

static struct cond is_negative(ir_reg a, unsigned bytes)
{
    if (bytes >= 4) {
        return compare_imm(IR_LT, bytes, a, 0);
    }
    return compare_imm(IR_TSTNE, 4, a, bytes == 1 ? 0x80 : 0x8000);
}

static struct cond is_odd(ir_reg a)
{
    return compare_imm(IR_TSTNE, 4, a, 1);
}

static struct cond has_parity(struct translator *t, ir_reg a)
{
    ir_reg d = ir_temp(t->ir);

    ir_un(t->ir, IR_EXT8U, W64, d, a);
    ir_un(t->ir, IR_POPCNT, W32, d, d);
    return compare_imm(IR_TSTEQ, 4, d, 1);
}

static struct cond less(struct translator *t, ir_reg a, ir_reg b, unsigned bytes, enum ir_cond c)
{
    bool sign = c == IR_LT || c == IR_LE;

    a = extended(t, a, bytes, sign);
    b = extended(t, b, bytes, sign);
    return compare(c, bytes, a, b);
}

static ir_reg cond_value(struct translator *t, struct cond x)
{
    ir_reg d = ir_temp(t->ir);

    if (x.constant) {
        ir_movi(t->ir, d, x.value);
    } else if (x.b == IR_NONE) {
        ir_setcondi(t->ir, x.c, x.w, d, x.a, x.imm);
    } else {
        ir_setcond(t->ir, x.c, x.w, d, x.a, x.b);
    }
    return d;
}

static struct cond either(struct translator *t, struct cond x, struct cond y)
{
    if (x.constant) {
        return x.value ? x : y;
    }
    ir_reg a = cond_value(t, x), b = cond_value(t, y);
    return compare_imm(IR_NE, 4, binary(t, IR_OR, 4, a, b), 0);
}

/* ---- conditions of each kind; the even one of a pair: O B Z BE S P L LE ---- */

/* Z, S, P and the combined ones from a result, for kinds whose CF and OF come as values: cf as a
 * condition, of_sign a value whose sign bit is OF (IR_NONE: OF = 0). */
static struct cond from_parts(struct translator *t, unsigned which, unsigned bytes, ir_reg r,
                              struct cond (*cf)(struct translator *t, unsigned bytes),
                              ir_reg (*of_sign)(struct translator *t, unsigned bytes))
{
    switch (which) {
    case COND_O:
        return of_sign ? is_negative(of_sign(t, bytes), bytes) : constant(false);
    case COND_B:
        return cf(t, bytes);
    case COND_Z:
        return is_zero(r, bytes);
    case COND_BE:
        return either(t, cf(t, bytes), is_zero(r, bytes));
    case COND_S:
        return is_negative(r, bytes);
    case COND_P:
        return has_parity(t, r);
    case COND_L:
    default: {
        ir_reg less = of_sign ? binary(t, IR_XOR, bytes, r, of_sign(t, bytes)) : r;
        struct cond l = is_negative(less, bytes);
        return which == COND_L ? l : either(t, l, is_zero(r, bytes));
    }
    }
}

#define A ((ir_reg)TCG_REG_CC_A)
#define B ((ir_reg)TCG_REG_CC_B)
#define C ((ir_reg)TCG_REG_CC_C)

static ir_reg overflow_of(struct translator *t, unsigned bytes, ir_reg x, ir_reg y, ir_reg z)
{
    ir_reg p = binary(t, IR_XOR, bytes, x, y), q = binary(t, IR_XOR, bytes, x, z);

    return binary(t, IR_AND, bytes, p, q);
}

static struct cond add_carry(struct translator *t, unsigned bytes)
{
    return less(t, A, B, bytes, IR_LTU);
}

static ir_reg add_overflow(struct translator *t, unsigned bytes)
{
    return overflow_of(t, bytes, A, binary(t, IR_SUB, bytes, A, B), B);
}

/* ADC: A = x + B + C, so carry is A < B, or A == B with C. The same words give SBB's borrow. */
static struct cond chain_carry(struct translator *t, unsigned bytes)
{
    ir_reg a = extended(t, A, bytes, false), b = extended(t, B, bytes, false);
    ir_reg below = cond_value(t, compare(IR_LTU, bytes, a, b));
    ir_reg equal = cond_value(t, compare(IR_EQ, bytes, a, b));

    ir_bin(t->ir, IR_AND, W32, equal, equal, C);
    ir_bin(t->ir, IR_OR, W32, below, below, equal);
    return compare_imm(IR_NE, 4, below, 0);
}

static ir_reg difference_with_borrow(struct translator *t, unsigned bytes)
{
    ir_reg d = ir_temp(t->ir);

    ir_addx(t->ir, IR_SUBX, width_of(bytes), d, A, B, C);
    return d;
}

static ir_reg adc_overflow(struct translator *t, unsigned bytes)
{
    return overflow_of(t, bytes, A, difference_with_borrow(t, bytes), B);
}

static ir_reg sbb_overflow(struct translator *t, unsigned bytes)
{
    return overflow_of(t, bytes, A, B, difference_with_borrow(t, bytes));
}

static ir_reg sub_overflow(struct translator *t, unsigned bytes)
{
    return overflow_of(t, bytes, A, B, binary(t, IR_SUB, bytes, A, B));
}

static struct cond no_carry(struct translator *t, unsigned bytes)
{
    (void)t;
    (void)bytes;
    return constant(false);
}

static struct cond kept_carry(struct translator *t, unsigned bytes)
{
    (void)t;
    (void)bytes;
    return is_odd(B);
}

static struct cond shl_carry(struct translator *t, unsigned bytes)
{
    (void)t;
    return is_negative(B, bytes);
}

static ir_reg shift_overflow(struct translator *t, unsigned bytes)
{
    return binary(t, IR_XOR, bytes, A, B);
}

static struct cond sub_cond(struct translator *t, unsigned which, unsigned bytes)
{
    static const enum ir_cond direct[] = {
        [COND_B] = IR_LTU, [COND_Z] = IR_EQ,  [COND_BE] = IR_LEU,
        [COND_L] = IR_LT,  [COND_LE] = IR_LE,
    };

    switch (which) {
    case COND_O:
        return is_negative(sub_overflow(t, bytes), bytes);
    case COND_S:
        return is_negative(binary(t, IR_SUB, bytes, A, B), bytes);
    case COND_P:
        return has_parity(t, binary(t, IR_SUB, bytes, A, B));
    default:
        return less(t, A, B, bytes, direct[which]);
    }
}

/* LOGIC: CF = OF = 0, so that L is S, and LE a signed comparison with 0. */
static struct cond logic_cond(struct translator *t, unsigned which, unsigned bytes)
{
    if (which == COND_LE) {
        return compare_imm(IR_LE, bytes, extended(t, A, bytes, true), 0);
    }
    return from_parts(t, which == COND_BE ? COND_Z : which, bytes, A, no_carry, NULL);
}

/* INC, DEC: overflow shows as the one extreme result; L and LE compare the true (unwrapped) sum. */
static struct cond inc_cond(struct translator *t, unsigned which, unsigned bytes, int step)
{
    uint64_t min = UINT64_C(1) << (8 * bytes - 1), extreme = step > 0 ? min : min - 1;

    if (which == COND_O) {
        return compare_imm(IR_EQ, bytes, extended(t, A, bytes, false),
                           bytes == 4 ? (int32_t)extreme : (int64_t)extreme);
    }
    if (which == COND_L || which == COND_LE) {
        ir_reg before = ir_temp(t->ir);
        ir_bini(t->ir, IR_SUB, width_of(bytes), before, A, step);
        return compare_imm(which == COND_L ? IR_LT : IR_LE, bytes, extended(t, before, bytes, true),
                           -step);
    }
    return from_parts(t, which, bytes, A, kept_carry, NULL);
}

static struct cond mul_cond(struct translator *t, unsigned which, unsigned bytes)
{
    struct cond high = compare_imm(IR_NE, 8, B, 0);

    switch (which) {
    case COND_O:
    case COND_B:
        return high;
    case COND_BE:
        return either(t, high, is_zero(A, bytes));
    case COND_L:
    case COND_LE: {
        ir_reg s = cond_value(t, is_negative(A, bytes)), h = cond_value(t, high);
        struct cond l = compare_imm(IR_NE, 4, binary(t, IR_XOR, 4, s, h), 0);
        return which == COND_L ? l : either(t, l, is_zero(A, bytes));
    }
    default:
        return from_parts(t, which, bytes, A, no_carry, NULL);
    }
}

static struct cond eflags_cond(struct translator *t, unsigned which, ir_reg flags)
{
    static const uint16_t bit[] = {
        [COND_O] = FL_OF,          [COND_B] = FL_CF, [COND_Z] = FL_ZF,
        [COND_BE] = FL_CF | FL_ZF, [COND_S] = FL_SF, [COND_P] = FL_PF,
    };

    if (which < COND_L) {
        return compare_imm(IR_TSTNE, 4, flags, bit[which]);
    }
    ir_reg x = ir_temp(t->ir); /* OF moved to SF's place */
    ir_bini(t->ir, IR_SHR, W32, x, flags, 4);
    ir_bin(t->ir, IR_XOR, W32, x, x, flags);
    struct cond l = compare_imm(IR_TSTNE, 4, x, FL_SF);
    return which == COND_L ? l : either(t, l, compare_imm(IR_TSTNE, 4, flags, FL_ZF));
}

/* A rotate's or bit test's carry, and overflow where it changed that. */
static bool overlay_cond(struct translator *t, unsigned kind, unsigned which, struct cond *x)
{
    unsigned bytes = 1u << (kind >> CC_OVER_SIZE & 3);

    switch (which) {
    case COND_Z:
    case COND_S:
    case COND_P:
        return false; /* as it was */
    case COND_B:
        *x = (kind & CC_OVER) == CC_OVER_ROR ? is_negative(C, bytes) : is_odd(C);
        return true;
    default:
        *x = eflags_cond(t, which, flags_all(t));
        return true;
    }
}

static struct cond condition(struct translator *t, unsigned cc)
{
    unsigned kind = t->cc_kind, which = cc >> 1 & 7, bytes = 1u << (kind & 3);
    struct cond x;
    bool found = (kind & CC_OVER) && overlay_cond(t, kind, which, &x);

    _Static_assert(CC_ADD8 % 4 == 0, "the low bits of a kind are its size");
    kind &= CC_KIND;
    if (found) {
        /* nothing more to do */
    } else if (kind == CC_EFLAGS) {
        x = eflags_cond(t, which, A);
    } else {
        switch (kind & ~3u) {
        case CC_ADD8:
            x = from_parts(t, which, bytes, A, add_carry, add_overflow);
            break;
        case CC_ADC8:
            x = from_parts(t, which, bytes, A, chain_carry, adc_overflow);
            break;
        case CC_SUB8:
            x = sub_cond(t, which, bytes);
            break;
        case CC_SBB8:
            x = from_parts(t, which, bytes, difference_with_borrow(t, bytes), chain_carry,
                           sbb_overflow);
            break;
        case CC_LOGIC8:
            x = logic_cond(t, which, bytes);
            break;
        case CC_INC8:
            x = inc_cond(t, which, bytes, 1);
            break;
        case CC_DEC8:
            x = inc_cond(t, which, bytes, -1);
            break;
        case CC_SHL8:
            x = from_parts(t, which, bytes, A, shl_carry, shift_overflow);
            break;
        case CC_SHR8:
            x = from_parts(t, which, bytes, A, kept_carry, shift_overflow);
            break;
        case CC_SAR8:
            x = from_parts(t, which, bytes, A, kept_carry, NULL);
            break;
        case CC_MUL8:
            x = mul_cond(t, which, bytes);
            break;
        case CC_BLS8:
            x = which == COND_P ? constant(false)
                                : from_parts(t, which, bytes, A, kept_carry, NULL);
            break;
        default: { /* CC_UNKNOWN */
            ir_reg d = ir_temp(t->ir);
            ir_call(t->ir, &h_condition, d, IR_NONE, IR_NONE, IR_NONE, which << 1);
            x = compare_imm(IR_NE, 4, d, 0);
            break;
        }
        }
    }
    if (cc & 1) {
        x.c = ir_cond_not(x.c);
        x.value = !x.value;
    }
    return x;
}

/* ---- what emitters call ---- */

void flags_set(struct translator *t, unsigned kind, ir_reg a, ir_reg b, ir_reg c)
{
    const ir_reg part[] = {a, b, c};

    ir_cc(t->ir, kind, a, b, c);
    t->cc_kind = kind;
    t->cc_temps = 0;
    for (unsigned n = 0; n < 3; n++) {
        if (part[n] != IR_NONE && part[n] >= TCG_REG_TEMP + t->cc_temps) {
            t->cc_temps = part[n] - TCG_REG_TEMP + 1u;
        }
    }
}

ir_reg flags_all(struct translator *t)
{
    ir_reg d = ir_temp(t->ir);

    if (t->cc_kind == CC_EFLAGS) { /* and nothing over it */
        ir_bini(t->ir, IR_AND, W32, d, A, FL_STATUS);
    } else if (t->cc_kind == CC_UNKNOWN) {
        ir_call(t->ir, &h_flags, d, IR_NONE, IR_NONE, IR_NONE, 0);
    } else {
        ir_call(t->ir, &h_flags_of, d, A, B, C, t->cc_kind);
    }
    return d;
}

void flags_overlay(struct translator *t, unsigned over, unsigned size, ir_reg value)
{
    unsigned kind = t->cc_kind, base = kind & CC_KIND, first = base & ~3u;
    bool both = over != CC_OVER_CF; /* CF and OF: whatever was over the kind goes */
    ir_reg a = A, b;

    if (kind == CC_UNKNOWN || first == CC_ADC8 || first == CC_SBB8 || ((kind & CC_OVER) && !both)) {
        a = flags_all(t);
        base = CC_EFLAGS;
    }
    b = base == CC_EFLAGS || first == CC_LOGIC8 ? IR_NONE : B;
    flags_set(t, base | over | (unsigned)__builtin_ctz(size) << CC_OVER_SIZE, a, b, value);
}

ir_reg flags_carry(struct translator *t)
{
    return cond_value(t, condition(t, COND_B << 1));
}

ir_reg flags_kept_carry(struct translator *t)
{
    struct ir *ir = t->ir;

    if (t->cc_kind != CC_UNKNOWN) {
        return flags_carry(t);
    }
    /* Mostly the last one was an INC or DEC too (a loop's), and the flag is in its place already.
     */
    ir_reg kind = ir_temp(ir), carry = ir_temp(ir);
    unsigned there = ir_label_new(ir);
    _Static_assert(CC_DEC64 - CC_INC8 == 7, "the kinds are in a row");
    ir_bini(ir, IR_SUB, W32, kind, TCG_REG_CC_OP, CC_INC8);
    ir_mov(ir, W64, carry, B);
    ir_brcondi(ir, IR_LEU, W32, kind, CC_DEC64 - CC_INC8, there);
    ir_call(ir, &h_condition, carry, IR_NONE, IR_NONE, IR_NONE, COND_B << 1);
    ir_label(ir, there);
    return carry;
}

ir_reg flags_setcond(struct translator *t, unsigned cc)
{
    return cond_value(t, condition(t, cc));
}

void flags_branch(struct translator *t, unsigned cc, unsigned label)
{
    struct cond x = condition(t, cc);

    if (x.constant) {
        if (x.value) {
            ir_br(t->ir, label);
        }
    } else if (x.b == IR_NONE) {
        ir_brcondi(t->ir, x.c, x.w, x.a, x.imm, label);
    } else {
        ir_brcond(t->ir, x.c, x.w, x.a, x.b, label);
    }
}

void flags_select(struct translator *t, unsigned cc, ir_reg d, ir_reg yes, ir_reg no)
{
    struct cond x = condition(t, cc);
    struct ir *ir = t->ir;

    if (x.constant) {
        ir_mov(ir, W64, d, x.value ? yes : no);
        return;
    }
    /* MOVCOND compares and moves in one width: here always the whole register. */
    if (x.b == IR_NONE) {
        bool tst = x.c == IR_TSTNE || x.c == IR_TSTEQ; /* the mask has no high bits */
        x.b = ir_temp(ir);
        ir_movi(ir, x.b, (uint64_t)x.imm);
        if (x.w == W32 && !tst) {
            ir_reg a = ir_temp(ir);
            ir_un(ir, IR_EXT32S, W64, a, x.a);
            x.a = a;
        }
    } else if (x.w == W32) {
        bool sign = x.c == IR_LT || x.c == IR_GE || x.c == IR_LE || x.c == IR_GT;
        ir_reg a = ir_temp(ir), b = ir_temp(ir);
        ir_un(ir, sign ? IR_EXT32S : IR_EXT32U, W64, a, x.a);
        ir_un(ir, sign ? IR_EXT32S : IR_EXT32U, W64, b, x.b);
        x.a = a;
        x.b = b;
    }
    ir_movcond(ir, x.c, W64, d, x.a, x.b, yes, no);
}
