/* x87 instructions (SDM volume 2, F...): each is a call or two of a helper; values from and to
 * memory pass through integer registers, so that page faults come before any change of the unit. */
#include "cpu/x87.h"
#include "cpu/translate.h"

#include <stddef.h>
#include <string.h>

static struct sf80 pack_exact(struct sf x)
{
    struct fpenv env = {.masks = FP_ALL, .precision = 3};
    return sf_pack80(&env, x);
}

/* A number from memory, taken apart. */
static struct sf convert(uint64_t bits, enum fp80_format s)
{
    switch (s) {
    case FP80_F32:
        return sf_unpack(SF_32, bits);
    case FP80_F64:
        return sf_unpack(SF_64, bits);
    case FP80_I16:
        return sf_from_int((int16_t)bits);
    case FP80_I32:
        return sf_from_int((int32_t)bits);
    default:
        return sf_from_int((int64_t)bits);
    }
}

/* ---- loads ---- */

static uint64_t helper_fld(struct vcpu *v, uint64_t bits, uint64_t kind)
{
    struct x86_cpu *c = x86_cpu(v);
    struct fpenv env = x87_env(c);

    x87_check(c);
    struct sf x = sf_operand(&env, convert(bits, (enum fp80_format)kind));
    if (x87_empty(c, 7)) {
        x87_flags(c, env.flags);
        if (env.flags & ~env.masks & FP_INVALID) { /* a denormal is loaded all the same */
            return 0;
        }
    }
    x87_push(c, pack_exact(x));
    return 0;
}
X86_FP80_HELPER(fld, 1, HELPER_IMM | HELPER_RAISES, FP80_LOAD);

static uint64_t helper_fld80(struct vcpu *v, uint64_t mant, uint64_t se)
{
    x87_check(x86_cpu(v));
    x87_push(x86_cpu(v), (struct sf80){mant, (uint16_t)se});
    return 0;
}
X86_FP80_HELPER(fld80, 2, HELPER_RAISES, FP80_LOAD80);

static uint64_t helper_fld_st(struct vcpu *v, uint64_t i)
{
    struct x86_cpu *c = x86_cpu(v);

    x87_check(c);
    if (!x87_empty(c, (unsigned)i)) {
        x87_push(c, x87_get(c, (unsigned)i));
    } else if (x87_stack_fault(c, false)) {
        c->fp_top = (c->fp_top - 1) & 7;
        x87_set(c, 0, x87_default_nan());
    }
    return 0;
}
X86_FP80_HELPER(fld_st, 0, HELPER_IMM | HELPER_RAISES, FP80_LOAD_ST);

static uint64_t helper_fbld(struct vcpu *v, uint64_t low, uint64_t high)
{
    int64_t n = 0;

    x87_check(x86_cpu(v));
    for (int i = 17; i >= 0; i--) {
        unsigned digit = (unsigned)((i >= 16 ? high >> 4 * (i - 16) : low >> 4 * i) & 15);
        n = n * 10 + digit;
    }
    struct sf x = sf_from_int(n);
    x.sign = high >> 15 & 1;
    x87_push(x86_cpu(v), pack_exact(x));
    return 0;
}
X86_HELPER(fbld, 2, HELPER_RAISES);

static enum fp80_format source_of(const struct x86_insn *i, bool integer, unsigned size)
{
    (void)i;
    if (integer) {
        return size == 2 ? FP80_I16 : size == 4 ? FP80_I32 : FP80_I64;
    }
    return size == 4 ? FP80_F32 : FP80_F64;
}

/* Two parts of an 80-bit memory operand. */
static void load80(struct translator *t, const struct x86_insn *i, ir_reg *low, ir_reg *high)
{
    struct mem_ref m = mem_ref(t, i, 8, false);
    *low = mem_load(t, &m, MO_64);
    m = mem_ref_at(t, i, 2, false, 8);
    *high = mem_load(t, &m, MO_16);
}

static void emit_fld(struct translator *t, const struct x86_insn *i)
{
    const struct x86_operand *o = &i->op[0];
    ir_reg low, high;

    if (o->kind == OP_ST) {
        ir_call(t->ir, &h_fld_st, IR_NONE, IR_NONE, IR_NONE, IR_NONE, o->reg);
    } else if (o->size == 10) {
        load80(t, i, &low, &high);
        ir_call(t->ir, i->mnemonic == MN_FBLD ? &h_fbld : &h_fld80, IR_NONE, low, high, IR_NONE, 0);
    } else {
        ir_call(t->ir, &h_fld, IR_NONE, operand_load(t, i, 0), IR_NONE, IR_NONE,
                source_of(i, i->mnemonic == MN_FILD, o->size));
    }
}

static uint64_t helper_fconst(struct vcpu *v, uint64_t n)
{
    /* 1, log2 10, log2 e, pi, log10 2, ln 2, 0: the last bit depends on the rounding direction. */
    static const struct {
        uint64_t mant;
        uint16_t se;
        int8_t up, down; /* what to add for rounding up, and down or to zero */
    } constants[] = {
        {UINT64_C(0x8000000000000000), 0x3fff, 0, 0},
        {UINT64_C(0xd49a784bcd1b8afe), 0x4000, 1, 0},
        {UINT64_C(0xb8aa3b295c17f0bc), 0x3fff, 0, -1},
        {UINT64_C(0xc90fdaa22168c235), 0x4000, 0, -1},
        {UINT64_C(0x9a209a84fbcff799), 0x3ffd, 0, -1},
        {UINT64_C(0xb17217f7d1cf79ac), 0x3ffe, 0, -1},
        {0, 0, 0, 0},
    };
    struct x86_cpu *c = x86_cpu(v);
    unsigned round = c->fp_cw >> 10 & 3;
    int add = round == FP_UP ? constants[n].up : round == FP_NEAREST_EVEN ? 0 : constants[n].down;

    x87_check(c);
    x87_push(c, (struct sf80){constants[n].mant + (uint64_t)(int64_t)add, constants[n].se});
    return 0;
}
X86_FP80_HELPER(fconst, 0, HELPER_IMM | HELPER_RAISES, FP80_CONST);

static void emit_fconst(struct translator *t, const struct x86_insn *i)
{
    ir_call(t->ir, &h_fconst, IR_NONE, IR_NONE, IR_NONE, IR_NONE, (i->modrm & 0xff) - 0xe8);
}

/* ---- stores: a helper gives the bits, the store may fault, another helper pops ---- */

static uint64_t indefinite(enum fp80_format s)
{
    static const uint64_t values[] = {0,      0xffc00000, UINT64_C(0xfff8000000000000),
                                      0x8000, 0x80000000, UINT64_C(0x8000000000000000)};
    return values[s];
}

/* The bits to store, and in *env what the conversion raised (and SW_SF, for an empty register);
 * false when nothing is to be stored. */
static bool store_bits(struct x86_cpu *c, unsigned what, uint64_t *bits, struct fpenv *result)
{
    enum fp80_format s = (enum fp80_format)(what & 7);
    struct fpenv env = x87_env(c);

    *result = env;
    if (x87_empty(c, 0)) {
        result->flags = FP_INVALID | SW_SF;
        *bits = indefinite(s);
        return c->fp_cw & FP_INVALID;
    }
    struct sf x = sf_unpack80(x87_get(c, 0));
    if (s == FP80_F32 || s == FP80_F64) {
        if (x.denormal) {
            x.denormal = false; /* stores do not report denormal operands */
        }
        *bits = sf_pack(&env, s == FP80_F32 ? SF_32 : SF_64, sf_operand(&env, x));
        *result = env;
        if (env.flags & ~env.masks & (FP_OVERFLOW | FP_UNDERFLOW)) {
            result->flags &= (uint8_t)~FP_INEXACT; /* nothing is stored, nothing lost */
            result->rounded_up = false;
            return false;
        }
        return !(env.flags & ~env.masks & FP_INVALID);
    }
    unsigned width = s == FP80_I16 ? 16 : s == FP80_I32 ? 32 : 64;
    enum fp_round round = what & FP80_TRUNCATE ? FP_TRUNCATE : (enum fp_round)env.round;
    *bits = (uint64_t)sf_to_int(&env, x, width, round);
    *result = env;
    return !(env.flags & ~env.masks & FP_INVALID);
}

static uint64_t helper_fst(struct vcpu *v, uint64_t what)
{
    struct x86_cpu *c = x86_cpu(v);
    uint64_t bits = 0;
    struct fpenv env;

    x87_check(c);
    store_bits(c, (unsigned)what, &bits, &env);
    return bits;
}
X86_FP80_HELPER(fst, 0, HELPER_IMM | HELPER_RAISES, FP80_STORE);

static uint64_t helper_fst_wanted(struct vcpu *v, uint64_t what)
{
    uint64_t bits = 0;
    struct fpenv env;

    return store_bits(x86_cpu(v), (unsigned)what, &bits, &env);
}
X86_FP80_HELPER(fst_wanted, 0, HELPER_IMM, FP80_STORE_WANTED);

/* After the store: flags and pop. imm: what | pop << 8 */
static uint64_t helper_fst_done(struct vcpu *v, uint64_t imm)
{
    struct x86_cpu *c = x86_cpu(v);
    uint64_t bits = 0;
    struct fpenv env;
    bool stored = store_bits(c, (unsigned)imm & 0xff, &bits, &env);

    if (env.flags & SW_SF) {
        x87_stack_fault(c, false);
    } else {
        x87_result(c, &env);
    }
    if (stored && (imm & FP80_POP)) {
        x87_pop(c);
    }
    return 0;
}
X86_FP80_HELPER(fst_done, 0, HELPER_IMM, FP80_STORE_DONE);

static uint64_t helper_fst80(struct vcpu *v, uint64_t high)
{
    struct x86_cpu *c = x86_cpu(v);
    struct sf80 x = x87_empty(c, 0) ? x87_default_nan() : x87_get(c, 0);

    x87_check(c);
    return high ? x.se : x.mant;
}
X86_FP80_HELPER(fst80, 0, HELPER_IMM | HELPER_RAISES, FP80_STORE80);

static uint64_t helper_fst80_done(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);

    if (x87_empty(c, 0) && !x87_stack_fault(c, false)) {
        return 0;
    }
    if (!x87_empty(c, 0)) {
        c->fp_sw &= (uint16_t)~SW_C1;
    }
    x87_pop(c);
    return 0;
}
X86_FP80_HELPER(fst80_done, 0, 0, FP80_STORE80_DONE);

/* Packed decimal: 18 digits; the low 64 bits, or the high 16. */
static uint64_t bcd(struct x86_cpu *c, bool high, struct fpenv *result)
{
    struct fpenv env = x87_env(c);
    struct sf x = sf_unpack80(x87_get(c, 0));
    int64_t n = x87_empty(c, 0) ? INT64_MIN : sf_to_int(&env, x, 64, (enum fp_round)env.round);
    uint64_t m = n < 0 ? 0 - (uint64_t)n : (uint64_t)n, low = 0, top = x.sign ? 0x8000 : 0;

    *result = env;
    result->flags |= x87_empty(c, 0) ? FP_INVALID | SW_SF : 0;
    if (m > UINT64_C(999999999999999999)) {
        result->flags = (uint8_t)((result->flags & ~FP_INEXACT) | FP_INVALID);
        result->rounded_up = false;
        return high ? 0xffff : UINT64_C(0xc000000000000000);
    }
    for (unsigned i = 0; i < 16; i++, m /= 10) {
        low |= m % 10 << 4 * i;
    }
    top |= m % 10 | m / 10 << 4;
    return high ? top : low;
}

static uint64_t helper_fbstp(struct vcpu *v, uint64_t high)
{
    struct fpenv env;

    x87_check(x86_cpu(v));
    return bcd(x86_cpu(v), high != 0, &env);
}
X86_HELPER(fbstp, 0, HELPER_IMM | HELPER_RAISES);

static uint64_t helper_fbstp_done(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);
    struct fpenv env;

    bcd(c, false, &env);
    if (env.flags & SW_SF ? x87_stack_fault(c, false) : x87_result(c, &env)) {
        x87_pop(c);
    }
    return 0;
}
X86_HELPER(fbstp_done, 0, 0);

/* 0 when an unmasked invalid operation keeps these from storing. */
static uint64_t helper_fst80_wanted(struct vcpu *v, uint64_t decimal)
{
    struct fpenv env = {.flags = x87_empty(x86_cpu(v), 0) ? FP_INVALID : 0};

    if (decimal) {
        bcd(x86_cpu(v), false, &env);
    }
    return !(env.flags & ~x86_cpu(v)->fp_cw & FP_INVALID);
}
X86_FP80_HELPER(fst80_wanted, 0, HELPER_IMM, FP80_STORE80_WANTED);

static uint64_t helper_fst_st(struct vcpu *v, uint64_t imm)
{
    struct x86_cpu *c = x86_cpu(v);

    x87_check(c);
    if (x87_empty(c, 0) && (imm & 16)) {
        c->fp_sw &= (uint16_t)~SW_C1;
    } else if (x87_empty(c, 0)) {
        if (!x87_stack_fault(c, false)) {
            return 0;
        }
        x87_set(c, imm & 7, x87_default_nan());
    } else {
        c->fp_sw &= (uint16_t)~SW_C1;
        x87_set(c, imm & 7, x87_get(c, 0));
    }
    if (imm & 8) {
        x87_pop(c);
    }
    return 0;
}
X86_FP80_HELPER(fst_st, 0, HELPER_IMM | HELPER_RAISES, FP80_STORE_ST);

static void emit_fst80(struct translator *t, const struct x86_insn *i)
{
    bool decimal = i->mnemonic == MN_FBSTP;
    ir_reg low = ir_temp(t->ir), high = ir_temp(t->ir), wanted = ir_temp(t->ir);
    unsigned skip = ir_label_new(t->ir);
    const struct ir_helper *get = decimal ? &h_fbstp : &h_fst80;

    ir_call(t->ir, get, low, IR_NONE, IR_NONE, IR_NONE, 0);
    ir_call(t->ir, get, high, IR_NONE, IR_NONE, IR_NONE, 1);
    struct mem_ref m = mem_ref(t, i, 8, true), n = mem_ref_at(t, i, 2, true, 8);
    ir_call(t->ir, &h_fst80_wanted, wanted, IR_NONE, IR_NONE, IR_NONE, decimal);
    ir_brcondi(t->ir, IR_EQ, W32, wanted, 0, skip);
    mem_store(t, &m, MO_64, low);
    mem_store(t, &n, MO_16, high);
    ir_label(t->ir, skip);
    ir_call(t->ir, decimal ? &h_fbstp_done : &h_fst80_done, IR_NONE, IR_NONE, IR_NONE, IR_NONE, 0);
}

static void emit_fst(struct translator *t, const struct x86_insn *i)
{
    const struct x86_operand *o = &i->op[0];
    bool integer = i->mnemonic == MN_FIST || i->mnemonic == MN_FISTP || i->mnemonic == MN_FISTTP;
    bool pop = i->mnemonic != MN_FST && i->mnemonic != MN_FIST;

    if (o->kind == OP_ST) {
        /* The alias D9 D8+i does not mind an empty register. */
        ir_call(t->ir, &h_fst_st, IR_NONE, IR_NONE, IR_NONE, IR_NONE,
                o->reg | pop << 3 | (i->opcode == 0xd9) << 4);
        return;
    }
    if (o->size == 10) {
        emit_fst80(t, i);
        return;
    }
    unsigned what = source_of(i, integer, o->size) | (i->mnemonic == MN_FISTTP ? FP80_TRUNCATE : 0);
    unsigned skip = ir_label_new(t->ir);
    ir_reg bits = ir_temp(t->ir), wanted = ir_temp(t->ir);
    struct mem_ref m = mem_ref(t, i, o->size, true);
    ir_call(t->ir, &h_fst, bits, IR_NONE, IR_NONE, IR_NONE, what);
    ir_call(t->ir, &h_fst_wanted, wanted, IR_NONE, IR_NONE, IR_NONE, what);
    ir_brcondi(t->ir, IR_EQ, W32, wanted, 0, skip);
    mem_store(t, &m, memop_of(o->size), bits);
    ir_label(t->ir, skip);
    ir_call(t->ir, &h_fst_done, IR_NONE, IR_NONE, IR_NONE, IR_NONE, what | (pop ? FP80_POP : 0));
}

/* ---- arithmetic ---- */

static struct sf arithmetic(struct fpenv *env, enum fp80_arith op, struct sf a, struct sf b)
{
    switch (op) {
    case FP80_ADD:
        return sf_add(env, a, b, false, true);
    case FP80_MUL:
        return sf_mul(env, a, b, true);
    case FP80_SUB:
        return sf_add(env, a, b, true, true);
    case FP80_SUBR:
        return sf_add(env, b, a, true, true);
    case FP80_DIV:
        return sf_div(env, a, b, true);
    default:
        return sf_div(env, b, a, true);
    }
}

static bool arith_to(struct x86_cpu *c, enum fp80_arith op, unsigned dst, struct sf other,
                     bool empty)
{
    struct fpenv env = x87_env(c);

    if (empty) {
        if (!x87_stack_fault(c, false)) {
            return false;
        }
        x87_set(c, dst, x87_default_nan());
        return true;
    }
    struct sf80 r = sf_pack80(&env, arithmetic(&env, op, sf_unpack80(x87_get(c, dst)), other));
    if (!x87_result(c, &env)) {
        return false;
    }
    x87_set(c, dst, r);
    return true;
}

static uint64_t helper_farith_mem(struct vcpu *v, uint64_t bits, uint64_t imm)
{
    struct x86_cpu *c = x86_cpu(v);

    x87_check(c);
    arith_to(c, (enum fp80_arith)(imm >> 4), 0, convert(bits, (enum fp80_format)(imm & 15)),
             x87_empty(c, 0));
    return 0;
}
X86_FP80_HELPER(farith_mem, 1, HELPER_IMM | HELPER_RAISES, FP80_ARITH_MEM);

/* imm: destination | source << 4 | operation << 8 | pop << 12 */
static uint64_t helper_farith_st(struct vcpu *v, uint64_t imm)
{
    struct x86_cpu *c = x86_cpu(v);
    unsigned dst = imm & 7, src = imm >> 4 & 7;

    x87_check(c);
    if (arith_to(c, (enum fp80_arith)(imm >> 8 & 15), dst, sf_unpack80(x87_get(c, src)),
                 x87_empty(c, dst) || x87_empty(c, src)) &&
        (imm >> 12)) {
        x87_pop(c);
    }
    return 0;
}
X86_FP80_HELPER(farith_st, 0, HELPER_IMM | HELPER_RAISES, FP80_ARITH_ST);

static enum fp80_arith arith_of(unsigned mnemonic)
{
    static const struct {
        uint16_t mnemonic;
        uint8_t op;
    } table[] = {
        {MN_FADD, FP80_ADD},   {MN_FADDP, FP80_ADD},   {MN_FIADD, FP80_ADD},
        {MN_FMUL, FP80_MUL},   {MN_FMULP, FP80_MUL},   {MN_FIMUL, FP80_MUL},
        {MN_FSUB, FP80_SUB},   {MN_FSUBP, FP80_SUB},   {MN_FISUB, FP80_SUB},
        {MN_FSUBR, FP80_SUBR}, {MN_FSUBRP, FP80_SUBR}, {MN_FISUBR, FP80_SUBR},
        {MN_FDIV, FP80_DIV},   {MN_FDIVP, FP80_DIV},   {MN_FIDIV, FP80_DIV},
        {MN_FDIVR, FP80_DIVR}, {MN_FDIVRP, FP80_DIVR}, {MN_FIDIVR, FP80_DIVR},
    };
    unsigned n = 0;

    while (table[n].mnemonic != mnemonic) {
        n++;
    }
    return (enum fp80_arith)table[n].op;
}

static bool is_integer(unsigned mnemonic)
{
    switch (mnemonic) {
    case MN_FIADD:
    case MN_FIMUL:
    case MN_FISUB:
    case MN_FISUBR:
    case MN_FIDIV:
    case MN_FIDIVR:
    case MN_FICOM:
    case MN_FICOMP:
        return true;
    default:
        return false;
    }
}

static void emit_farith(struct translator *t, const struct x86_insn *i)
{
    unsigned op = arith_of(i->mnemonic);
    bool pop = i->mnemonic == MN_FADDP || i->mnemonic == MN_FMULP || i->mnemonic == MN_FSUBP ||
               i->mnemonic == MN_FSUBRP || i->mnemonic == MN_FDIVP || i->mnemonic == MN_FDIVRP;

    if (i->op[1].kind == OP_MEM) {
        ir_reg bits = operand_load(t, i, 1);
        ir_call(t->ir, &h_farith_mem, IR_NONE, bits, IR_NONE, IR_NONE,
                source_of(i, is_integer(i->mnemonic), i->op[1].size) | op << 4);
    } else {
        ir_call(t->ir, &h_farith_st, IR_NONE, IR_NONE, IR_NONE, IR_NONE,
                i->op[0].reg | i->op[1].reg << 4 | op << 8 | pop << 12);
    }
}

/* ---- compares ---- */

/* Compares ST0; sets C3 C2 C0 and returns the EFLAGS image. */
static uint32_t compare(struct x86_cpu *c, struct sf b, bool empty, bool quiet, bool *done)
{
    static const uint16_t codes[] = {SW_C0, SW_C3, 0, SW_C0 | SW_C2 | SW_C3};
    static const uint8_t flags[] = {FL_CF, FL_ZF, 0, FL_CF | FL_PF | FL_ZF};
    struct fpenv env = x87_env(c);
    int r = 2;

    if (empty) {
        *done = x87_stack_fault(c, false);
    } else {
        r = sf_compare(&env, sf_unpack80(x87_get(c, 0)), b, quiet);
        *done = x87_flags(c, env.flags);
    }
    c->fp_sw = (uint16_t)((c->fp_sw & ~(SW_C0 | SW_C2 | SW_C3)) | codes[r + 1]);
    return flags[r + 1];
}

static uint64_t helper_fcom_mem(struct vcpu *v, uint64_t bits, uint64_t imm)
{
    struct x86_cpu *c = x86_cpu(v);
    bool done;

    x87_check(c);
    compare(c, convert(bits, (enum fp80_format)(imm & 15)), x87_empty(c, 0), false, &done);
    if (done && (imm & 16)) {
        x87_pop(c);
    }
    return 0;
}
X86_FP80_HELPER(fcom_mem, 1, HELPER_IMM | HELPER_RAISES, FP80_COMPARE_MEM);

/* imm: register | quiet << 3 | pops << 4 | to EFLAGS << 6 */
static uint64_t helper_fcom_st(struct vcpu *v, uint64_t imm)
{
    struct x86_cpu *c = x86_cpu(v);
    unsigned r = imm & 7;
    uint16_t old = c->fp_sw & (SW_C0 | SW_C2 | SW_C3);
    bool done;

    x87_check(c);
    uint32_t flags = compare(c, sf_unpack80(x87_get(c, r)), x87_empty(c, 0) || x87_empty(c, r),
                             imm >> 3 & 1, &done);
    if (imm & 64) {
        c->fp_sw = (uint16_t)((c->fp_sw & ~(SW_C0 | SW_C2 | SW_C3)) | old);
    }
    for (unsigned n = 0; done && n < (imm >> 4 & 3); n++) {
        x87_pop(c);
    }
    return flags;
}
X86_FP80_HELPER(fcom_st, 0, HELPER_IMM | HELPER_RAISES, FP80_COMPARE_ST);

static void emit_fcom(struct translator *t, const struct x86_insn *i)
{
    bool pop = i->mnemonic == MN_FCOMP || i->mnemonic == MN_FUCOMP || i->mnemonic == MN_FICOMP;
    bool quiet = i->mnemonic == MN_FUCOM || i->mnemonic == MN_FUCOMP;

    if (i->op[0].kind == OP_MEM) {
        ir_reg bits = operand_load(t, i, 0);
        ir_call(t->ir, &h_fcom_mem, IR_NONE, bits, IR_NONE, IR_NONE,
                source_of(i, is_integer(i->mnemonic), i->op[0].size) | pop << 4);
    } else {
        ir_call(t->ir, &h_fcom_st, IR_NONE, IR_NONE, IR_NONE, IR_NONE,
                i->op[0].reg | quiet << 3 | pop << 4);
    }
}

static void emit_fcompp(struct translator *t, const struct x86_insn *i)
{
    ir_call(t->ir, &h_fcom_st, IR_NONE, IR_NONE, IR_NONE, IR_NONE,
            1 | (i->mnemonic == MN_FUCOMPP) << 3 | 2 << 4);
}

static void emit_fcomi(struct translator *t, const struct x86_insn *i)
{
    bool pop = i->mnemonic == MN_FCOMIP || i->mnemonic == MN_FUCOMIP;
    bool quiet = i->mnemonic == MN_FUCOMI || i->mnemonic == MN_FUCOMIP;
    ir_reg f = ir_temp(t->ir);

    ir_call(t->ir, &h_fcom_st, f, IR_NONE, IR_NONE, IR_NONE,
            i->op[1].reg | quiet << 3 | pop << 4 | 64);
    flags_set(t, CC_EFLAGS, f, IR_NONE, IR_NONE);
}

/* ---- moves inside the stack and single-register operations ---- */

static uint64_t helper_fxch(struct vcpu *v, uint64_t i)
{
    struct x86_cpu *c = x86_cpu(v);
    unsigned n = (unsigned)i;

    x87_check(c);
    if (x87_empty(c, 0) || x87_empty(c, n)) {
        if (!x87_stack_fault(c, false)) {
            return 0;
        }
        if (x87_empty(c, 0)) {
            x87_set(c, 0, x87_default_nan());
        }
        if (x87_empty(c, n)) {
            x87_set(c, n, x87_default_nan());
        }
    } else {
        c->fp_sw &= (uint16_t)~SW_C1;
    }
    struct sf80 a = x87_get(c, 0), b = x87_get(c, n);
    x87_set(c, 0, b);
    x87_set(c, n, a);
    return 0;
}
X86_FP80_HELPER(fxch, 0, HELPER_IMM | HELPER_RAISES, FP80_EXCHANGE);

static void emit_fxch(struct translator *t, const struct x86_insn *i)
{
    ir_call(t->ir, &h_fxch, IR_NONE, IR_NONE, IR_NONE, IR_NONE, i->op[0].reg);
}

static uint64_t helper_fcmov(struct vcpu *v, uint64_t holds, uint64_t i)
{
    struct x86_cpu *c = x86_cpu(v);

    x87_check(c);
    if (x87_empty(c, 0) || x87_empty(c, (unsigned)i)) {
        if (x87_stack_fault(c, false)) {
            x87_set(c, 0, x87_default_nan());
        }
    } else if (holds) {
        x87_set(c, 0, x87_get(c, (unsigned)i));
    }
    return 0;
}
X86_FP80_HELPER(fcmov, 1, HELPER_IMM | HELPER_RAISES, FP80_MOVE_IF);

static void emit_fcmov(struct translator *t, const struct x86_insn *i)
{
    /* B, E, BE, U by the register field; DB: the negations. */
    static const uint8_t conditions[] = {2, 4, 6, 10};
    unsigned cc = conditions[i->modrm >> 3 & 3] | (i->opcode == 0xdb);

    ir_call(t->ir, &h_fcmov, IR_NONE, flags_setcond(t, cc), IR_NONE, IR_NONE, i->op[1].reg);
}

static void examine(struct x86_cpu *c)
{
    static const uint16_t codes[] = {SW_C3, SW_C2, SW_C2 | SW_C0,
                                     SW_C0, SW_C0, 0}; /* by enum sf_class */
    struct sf80 raw = x87_get(c, 0);
    struct sf x = sf_unpack80(raw);
    uint16_t code = x87_empty(c, 0) ? SW_C3 | SW_C0 : x.denormal ? SW_C3 | SW_C2 : codes[x.cls];

    c->fp_sw = (uint16_t)((c->fp_sw & ~(SW_C0 | SW_C1 | SW_C2 | SW_C3)) | code |
                          (raw.se >> 15 ? SW_C1 : 0));
}

/* One-register operations and functions by the last opcode byte. */
static uint64_t helper_fd9(struct vcpu *v, uint64_t op)
{
    struct x86_cpu *c = x86_cpu(v);
    struct fpenv env = x87_env(c);
    bool done;

    x87_check(c);
    if (op == 0xe5) {
        examine(c);
        return 0;
    }
    if (op == 0xf6 || op == 0xf7) { /* FDECSTP, FINCSTP */
        c->fp_top = (uint8_t)((c->fp_top + (op == 0xf7 ? 1 : 7)) & 7);
        c->fp_sw &= (uint16_t)~SW_C1;
        return 0;
    }
    if (op == 0xe4) { /* FTST */
        compare(c, sf_from_int(0), x87_empty(c, 0), false, &done);
        return 0;
    }
    if (op != 0xe0 && op != 0xe1 && op != 0xfa && op != 0xfc) {
        x87_function(c, (unsigned)op);
        return 0;
    }
    if (x87_empty(c, 0)) {
        if (x87_stack_fault(c, false)) {
            x87_set(c, 0, x87_default_nan());
        }
        return 0;
    }
    struct sf80 x = x87_get(c, 0);
    if (op == 0xe0 || op == 0xe1) { /* FCHS, FABS */
        x.se = op == 0xe0 ? x.se ^ 0x8000 : x.se & 0x7fff;
        c->fp_sw &= (uint16_t)~SW_C1;
        x87_set(c, 0, x);
        return 0;
    }
    struct sf s = sf_unpack80(x);
    bool up = false;
    if (op == 0xfa) { /* FSQRT */
        s = sf_sqrt(&env, s);
    } else { /* FRNDINT */
        s = sf_round_to_int(&env, sf_operand(&env, s), (enum fp_round)env.round, true);
        env.precision = 3;
        up = env.rounded_up;
    }
    struct sf80 r = sf_pack80(&env, s);
    env.rounded_up |= up; /* an integer is packed exactly */
    if (x87_result(c, &env)) {
        x87_set(c, 0, r);
    }
    return 0;
}
X86_FP80_HELPER(fd9, 0, HELPER_IMM | HELPER_RAISES | HELPER_FPENV,
                FP80_UNARY); /* C computes in floating point */

static void emit_fd9(struct translator *t, const struct x86_insn *i)
{
    ir_call(t->ir, &h_fd9, IR_NONE, IR_NONE, IR_NONE, IR_NONE, i->modrm);
}

static uint64_t helper_ffree(struct vcpu *v, uint64_t imm)
{
    struct x86_cpu *c = x86_cpu(v);

    x87_check(c);
    c->fp_tag_empty |= (uint8_t)(1u << ((c->fp_top + imm) & 7));
    if (imm & 8) {
        x87_pop(c);
    }
    return 0;
}
X86_FP80_HELPER(ffree, 0, HELPER_IMM | HELPER_RAISES, FP80_FREE);

static void emit_ffree(struct translator *t, const struct x86_insn *i)
{
    ir_call(t->ir, &h_ffree, IR_NONE, IR_NONE, IR_NONE, IR_NONE,
            i->op[0].reg | (i->mnemonic == MN_FFREEP ? 8 : 0));
}

/* ---- control ---- */

static uint64_t helper_fninit(struct vcpu *v)
{
    x86_fpu_reset(x86_cpu(v), true);
    return 0;
}
X86_HELPER(fninit, 0, 0);

static uint64_t helper_fnclex(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);

    c->fp_sw &= (uint16_t) ~(FP_ALL | SW_SF | SW_ES | SW_B);
    if (!(c->cr0 & CR0_NE) && c->platform && c->platform->ferr) {
        machine_lock(v->machine);
        c->platform->ferr(c->platform->opaque, false);
        machine_unlock(v->machine);
    }
    return 0;
}
X86_HELPER(fnclex, 0, 0);

static uint64_t helper_fnstsw(struct vcpu *v)
{
    return x86_get_fpsw(x86_cpu(v));
}
X86_FP80_HELPER(fnstsw, 0, 0, FP80_STATUS);

static uint64_t helper_fldcw(struct vcpu *v, uint64_t cw)
{
    struct x86_cpu *c = x86_cpu(v);

    x87_check(c);
    c->fp_cw = (uint16_t)((cw & 0x1f7f) | 0x40);
    x87_flags(c, 0); /* which names no instruction */
    return 0;
}
X86_HELPER(fldcw, 1, HELPER_RAISES);

static uint64_t helper_fwait(struct vcpu *v)
{
    x87_check(x86_cpu(v));
    return 0;
}
X86_FP80_HELPER(fwait, 0, HELPER_RAISES, FP80_WAIT);

static void call0(struct translator *t, const struct ir_helper *h)
{
    ir_call(t->ir, h, IR_NONE, IR_NONE, IR_NONE, IR_NONE, 0);
}

static void emit_fninit(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    call0(t, &h_fninit);
}

static void emit_fnclex(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    call0(t, &h_fnclex);
}

static void emit_fwait(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    call0(t, &h_fwait);
}

static void emit_fnop(struct translator *t, const struct x86_insn *i)
{
    if (i->mnemonic == MN_FNOP) {
        call0(t, &h_fwait);
    } /* FENI, FDISI, FSETPM: nothing since the 80387 */
}

static void emit_fnstsw(struct translator *t, const struct x86_insn *i)
{
    ir_reg r = ir_temp(t->ir);

    ir_call(t->ir, &h_fnstsw, r, IR_NONE, IR_NONE, IR_NONE, 0);
    operand_store(t, i, 0, r);
}

static void emit_fnstcw(struct translator *t, const struct x86_insn *i)
{
    ir_reg r = ir_temp(t->ir);

    ir_ldenv(t->ir, r, offsetof(struct x86_cpu, fp_cw), MO_16);
    operand_store(t, i, 0, r);
}

static void emit_fldcw(struct translator *t, const struct x86_insn *i)
{
    ir_call(t->ir, &h_fldcw, IR_NONE, operand_load(t, i, 0), IR_NONE, IR_NONE, 0);
}

/* imm: operation | operand size << 4 | context << 8 */
static uint64_t helper_fenv(struct vcpu *v, uint64_t linear, uint64_t imm)
{
    static void (*const operations[])(struct x86_cpu *, uint64_t, unsigned, unsigned) = {
        x87_store_env,
        x87_load_env,
        x87_save,
        x87_restore,
    };

    if (imm & 1) {
        x87_check(x86_cpu(v)); /* the loads wait */
    }
    operations[imm & 3](x86_cpu(v), linear, imm >> 4 & 15, (unsigned)(imm >> 8));
    return 0;
}
X86_HELPER(fenv, 1, HELPER_IMM | HELPER_RAISES);

static void emit_fenv(struct translator *t, const struct x86_insn *i)
{
    static const uint16_t order[] = {MN_FNSTENV, MN_FLDENV, MN_FNSAVE, MN_FRSTOR};
    unsigned n = 0, opsize = i->opsize == 2 ? 2 : 4;

    while (order[n] != i->mnemonic) {
        n++;
    }
    unsigned bytes = (opsize == 2 ? 14 : 28) + (n >= 2 ? 80 : 0);
    ir_reg linear = mem_linear(t, i, bytes, !(n & 1));
    ir_call(t->ir, &h_fenv, IR_NONE, linear, IR_NONE, IR_NONE, n | opsize << 4 | t->ir->ctx << 8);
}

const struct x86_emitter x86_emit_x87[] = {
    {MN_FLD, emit_fld},        {MN_FILD, emit_fld},
    {MN_FBLD, emit_fld},       {MN_FST, emit_fst},
    {MN_FSTP, emit_fst},       {MN_FIST, emit_fst},
    {MN_FISTP, emit_fst},      {MN_FISTTP, emit_fst},
    {MN_FBSTP, emit_fst},      {MN_FADD, emit_farith},
    {MN_FADDP, emit_farith},   {MN_FIADD, emit_farith},
    {MN_FMUL, emit_farith},    {MN_FMULP, emit_farith},
    {MN_FIMUL, emit_farith},   {MN_FSUB, emit_farith},
    {MN_FSUBP, emit_farith},   {MN_FISUB, emit_farith},
    {MN_FSUBR, emit_farith},   {MN_FSUBRP, emit_farith},
    {MN_FISUBR, emit_farith},  {MN_FDIV, emit_farith},
    {MN_FDIVP, emit_farith},   {MN_FIDIV, emit_farith},
    {MN_FDIVR, emit_farith},   {MN_FDIVRP, emit_farith},
    {MN_FIDIVR, emit_farith},  {MN_FCOM, emit_fcom},
    {MN_FCOMP, emit_fcom},     {MN_FICOM, emit_fcom},
    {MN_FICOMP, emit_fcom},    {MN_FUCOM, emit_fcom},
    {MN_FUCOMP, emit_fcom},    {MN_FCOMPP, emit_fcompp},
    {MN_FUCOMPP, emit_fcompp}, {MN_FCOMI, emit_fcomi},
    {MN_FCOMIP, emit_fcomi},   {MN_FUCOMI, emit_fcomi},
    {MN_FUCOMIP, emit_fcomi},  {MN_FXCH, emit_fxch},
    {MN_FCMOVB, emit_fcmov},   {MN_FCMOVE, emit_fcmov},
    {MN_FCMOVBE, emit_fcmov},  {MN_FCMOVU, emit_fcmov},
    {MN_FCMOVNB, emit_fcmov},  {MN_FCMOVNE, emit_fcmov},
    {MN_FCMOVNBE, emit_fcmov}, {MN_FCMOVNU, emit_fcmov},
    {MN_FCHS, emit_fd9},       {MN_FABS, emit_fd9},
    {MN_FTST, emit_fd9},       {MN_FXAM, emit_fd9},
    {MN_FLD1, emit_fconst},    {MN_FLDL2T, emit_fconst},
    {MN_FLDL2E, emit_fconst},  {MN_FLDPI, emit_fconst},
    {MN_FLDLG2, emit_fconst},  {MN_FLDLN2, emit_fconst},
    {MN_FLDZ, emit_fconst},    {MN_F2XM1, emit_fd9},
    {MN_FYL2X, emit_fd9},      {MN_FPTAN, emit_fd9},
    {MN_FPATAN, emit_fd9},     {MN_FXTRACT, emit_fd9},
    {MN_FPREM1, emit_fd9},     {MN_FDECSTP, emit_fd9},
    {MN_FINCSTP, emit_fd9},    {MN_FPREM, emit_fd9},
    {MN_FYL2XP1, emit_fd9},    {MN_FSQRT, emit_fd9},
    {MN_FSINCOS, emit_fd9},    {MN_FRNDINT, emit_fd9},
    {MN_FSCALE, emit_fd9},     {MN_FSIN, emit_fd9},
    {MN_FCOS, emit_fd9},       {MN_FFREE, emit_ffree},
    {MN_FFREEP, emit_ffree},   {MN_FNINIT, emit_fninit},
    {MN_FNCLEX, emit_fnclex},  {MN_FNSTCW, emit_fnstcw},
    {MN_FLDCW, emit_fldcw},    {MN_FNSTSW, emit_fnstsw},
    {MN_FNSTENV, emit_fenv},   {MN_FLDENV, emit_fenv},
    {MN_FNSAVE, emit_fenv},    {MN_FRSTOR, emit_fenv},
    {MN_FNOP, emit_fnop},      {MN_FENI, emit_fnop},
    {MN_FDISI, emit_fnop},     {MN_FSETPM, emit_fnop},
    {MN_FWAIT, emit_fwait},    {0, NULL},
};
