/* Integer arithmetic and logic (SDM volume 2): ADD ADC SUB SBB CMP NEG INC DEC AND OR XOR NOT TEST
 * MUL IMUL DIV IDIV, the decimal adjustments, XADD, CMPXCHG and its wide forms, BOUND.
 *
 * Each instruction records its operands for the lazy flags (cpu/flags.h) and writes its result;
 * memory is written before either, because the store may fault. With LOCK the memory operand is
 * changed by one atomic operation, whose old value gives the flags. Undefined flags are as Intel's
 * processors show them: AF = 0 after logic; SF, PF of the low half after multiplication; all kept
 * by division. */
#include "cpu/arith.h"
#include "cpu/translate.h"

/* The source of a two-operand instruction: a register, or (reg is IR_NONE) an immediate. */
struct source {
    ir_reg reg;
    int64_t imm;
};

static struct source load_source(struct translator *t, const struct x86_insn *i, unsigned n)
{
    if (i->op[n].kind == OP_IMM) {
        return (struct source){IR_NONE, i->imm};
    }
    return (struct source){operand_load(t, i, n), 0};
}

static void alu(struct translator *t, enum ir_opc op, unsigned size, ir_reg d, ir_reg a,
                struct source b)
{
    if (b.reg == IR_NONE) {
        ir_bini(t->ir, op, width_of(size), d, a, b.imm);
    } else {
        ir_bin(t->ir, op, width_of(size), d, a, b.reg);
    }
}

static void set_flags(struct translator *t, unsigned kind, ir_reg a, struct source b)
{
    flags_set(t, kind, a, b.reg, IR_NONE);
    if (b.reg == IR_NONE) {
        struct ir_op *cc = &t->ir->ops[t->ir->nops - 1];
        cc->flags |= IR_BIMM;
        cc->imm2 = b.imm;
    }
}

static bool is_memory(const struct x86_operand *o)
{
    return o->kind == OP_MEM;
}

static bool is_locked(const struct x86_insn *i)
{
    return i->lock && is_memory(&i->op[0]);
}

/* The destination is a whole IR register. */
static bool is_whole(const struct x86_operand *o)
{
    return o->kind == OP_GPR && o->size >= 4;
}

/* Old value of the locked memory destination, replaced by old OP value. */
static ir_reg locked(struct translator *t, const struct x86_insn *i, enum ir_atomic op,
                     ir_reg value)
{
    unsigned size = i->op[0].size;
    ir_reg address = mem_linear(t, i, size, true), old = ir_temp(t->ir);

    ir_atomic(t->ir, op, old, address, memop_of(size), value);
    return old;
}

static ir_reg constant(struct translator *t, uint64_t value)
{
    ir_reg d = ir_temp(t->ir);

    ir_movi(t->ir, d, value);
    return d;
}

static ir_reg copy(struct translator *t, ir_reg a)
{
    ir_reg d = ir_temp(t->ir);

    ir_mov(t->ir, W64, d, a);
    return d;
}

/* ---- sums and differences ---- */

static void emit_add(struct translator *t, const struct x86_insn *i)
{
    unsigned size = i->op[0].size, kind = CC_SIZED(ADD, size);

    if (is_locked(i)) {
        ir_reg b = operand_load(t, i, 1), old = locked(t, i, IR_AT_ADD, b);
        ir_bin(t->ir, IR_ADD, width_of(size), old, old, b);
        flags_set(t, kind, old, b, IR_NONE);
        return;
    }
    struct source b = load_source(t, i, 1);
    ir_reg a = operand_load(t, i, 0);
    if (is_whole(&i->op[0]) && b.reg != a) {
        alu(t, IR_ADD, size, a, a, b);
        set_flags(t, kind, a, b);
        return;
    }
    ir_reg sum = ir_temp(t->ir);
    alu(t, IR_ADD, size, sum, a, b);
    if (is_memory(&i->op[0])) {
        operand_store(t, i, 0, sum);
        set_flags(t, kind, sum, b);
    } else {
        set_flags(t, kind, sum, b);
        operand_store(t, i, 0, sum);
    }
}

static void emit_sub(struct translator *t, const struct x86_insn *i)
{
    unsigned size = i->op[0].size, kind = CC_SIZED(SUB, size);

    if (is_locked(i)) {
        ir_reg b = operand_load(t, i, 1), old = locked(t, i, IR_AT_SUB, b);
        flags_set(t, kind, old, b, IR_NONE);
        return;
    }
    struct source b = load_source(t, i, 1);
    ir_reg a = operand_load(t, i, 0);
    if (is_memory(&i->op[0])) {
        ir_reg difference = ir_temp(t->ir);
        alu(t, IR_SUB, size, difference, a, b);
        operand_store(t, i, 0, difference);
        set_flags(t, kind, a, b);
        return;
    }
    set_flags(t, kind, a, b);
    if (is_whole(&i->op[0])) {
        alu(t, IR_SUB, size, a, a, b);
    } else {
        ir_reg difference = ir_temp(t->ir);
        alu(t, IR_SUB, size, difference, a, b);
        operand_store(t, i, 0, difference);
    }
}

static void emit_cmp(struct translator *t, const struct x86_insn *i)
{
    ir_reg a = operand_load(t, i, 0);

    set_flags(t, CC_SIZED(SUB, i->op[0].size), a, load_source(t, i, 1));
}

/* ADC and SBB. Memory takes the source and the carry in one sum. */
static void with_carry(struct translator *t, const struct x86_insn *i, bool subtract)
{
    unsigned size = i->op[0].size;
    unsigned kind = subtract ? CC_SIZED(SBB, size) : CC_SIZED(ADC, size);
    enum ir_opc op = subtract ? IR_SUBX : IR_ADDX;
    enum ir_width w = width_of(size);
    struct ir *ir = t->ir;
    ir_reg carry = flags_carry(t), result = ir_temp(ir), a, b = operand_load(t, i, 1);

    if (is_locked(i)) {
        ir_reg both = ir_temp(ir);
        ir_bin(ir, IR_ADD, W64, both, b, carry);
        a = locked(t, i, subtract ? IR_AT_SUB : IR_AT_ADD, both);
        ir_addx(ir, op, w, result, a, b, carry);
        flags_set(t, kind, subtract ? a : result, b, carry);
        return;
    }
    a = operand_load(t, i, 0);
    ir_addx(ir, op, w, result, a, b, carry);
    if (is_memory(&i->op[0])) {
        operand_store(t, i, 0, result);
    }
    flags_set(t, kind, subtract ? a : result, b, carry);
    if (!is_memory(&i->op[0])) {
        operand_store(t, i, 0, result);
    }
}

static void emit_adc(struct translator *t, const struct x86_insn *i)
{
    with_carry(t, i, false);
}

static void emit_sbb(struct translator *t, const struct x86_insn *i)
{
    with_carry(t, i, true);
}

/* INC and DEC: CF is kept. */
static void step(struct translator *t, const struct x86_insn *i, unsigned kind, int64_t by)
{
    unsigned size = i->op[0].size;
    struct ir *ir = t->ir;
    ir_reg carry = flags_kept_carry(t), result;

    if (is_locked(i)) {
        result = locked(t, i, IR_AT_ADD, constant(t, (uint64_t)by));
        ir_bini(ir, IR_ADD, width_of(size), result, result, by);
    } else if (is_whole(&i->op[0])) {
        result = i->op[0].reg;
        ir_bini(ir, IR_ADD, width_of(size), result, result, by);
    } else {
        ir_reg a = operand_load(t, i, 0);
        result = ir_temp(ir);
        ir_bini(ir, IR_ADD, width_of(size), result, a, by);
        operand_store(t, i, 0, result);
    }
    flags_set(t, kind, result, carry, IR_NONE);
}

static void emit_inc(struct translator *t, const struct x86_insn *i)
{
    step(t, i, CC_SIZED(INC, i->op[0].size), 1);
}

static void emit_dec(struct translator *t, const struct x86_insn *i)
{
    step(t, i, CC_SIZED(DEC, i->op[0].size), -1);
}

static void emit_neg(struct translator *t, const struct x86_insn *i)
{
    unsigned size = i->op[0].size, kind = CC_SIZED(SUB, size);
    struct ir *ir = t->ir;
    ir_reg zero = constant(t, 0), result = ir_temp(ir);

    if (is_locked(i)) { /* no atomic negation: until nobody came between */
        ir_reg address = mem_linear(t, i, size, true), seen = ir_temp(ir), old = ir_temp(ir);
        unsigned again = ir_label_new(ir);
        mark_rmw(t);
        ir_ld(ir, W64, seen, address, IR_NONE, memop_of(size), 0);
        ir_label(ir, again);
        ir_mov(ir, W64, old, seen);
        ir_un(ir, IR_NEG, width_of(size), result, old);
        ir_cmpxchg(ir, seen, address, memop_of(size), old, result);
        ir_brcond(ir, IR_NE, W64, seen, old, again);
        flags_set(t, kind, zero, old, IR_NONE);
        return;
    }
    ir_reg a = operand_load(t, i, 0);
    ir_un(ir, IR_NEG, width_of(size), result, a);
    if (is_memory(&i->op[0])) {
        operand_store(t, i, 0, result);
        flags_set(t, kind, zero, a, IR_NONE);
    } else {
        flags_set(t, kind, zero, a, IR_NONE);
        operand_store(t, i, 0, result);
    }
}

/* ---- logic ---- */

static void logic(struct translator *t, const struct x86_insn *i, enum ir_opc op,
                  enum ir_atomic atomic)
{
    unsigned size = i->op[0].size;
    struct ir *ir = t->ir;
    ir_reg result;

    if (is_locked(i)) {
        ir_reg b = operand_load(t, i, 1);
        result = locked(t, i, atomic, b);
        ir_bin(ir, op, width_of(size), result, result, b);
    } else {
        struct source b = load_source(t, i, 1);
        if (is_whole(&i->op[0])) {
            result = i->op[0].reg;
            alu(t, op, size, result, result, b);
        } else {
            ir_reg a = operand_load(t, i, 0);
            result = ir_temp(ir);
            alu(t, op, size, result, a, b);
            operand_store(t, i, 0, result);
        }
    }
    flags_set(t, CC_SIZED(LOGIC, size), result, IR_NONE, IR_NONE);
}

static void emit_and(struct translator *t, const struct x86_insn *i)
{
    logic(t, i, IR_AND, IR_AT_AND);
}

static void emit_or(struct translator *t, const struct x86_insn *i)
{
    logic(t, i, IR_OR, IR_AT_OR);
}

static void emit_xor(struct translator *t, const struct x86_insn *i)
{
    const struct x86_operand *d = &i->op[0], *s = &i->op[1];

    if (is_whole(d) && s->kind == OP_GPR && s->reg == d->reg) { /* the idiom for 0 */
        ir_movi(t->ir, d->reg, 0);
        flags_set(t, CC_SIZED(LOGIC, d->size), d->reg, IR_NONE, IR_NONE);
        return;
    }
    logic(t, i, IR_XOR, IR_AT_XOR);
}

static void emit_test(struct translator *t, const struct x86_insn *i)
{
    const struct x86_operand *d = &i->op[0], *s = &i->op[1];
    ir_reg a = operand_load(t, i, 0);

    if (!is_whole(d) || s->kind != OP_GPR || s->reg != d->reg) {
        ir_reg both = ir_temp(t->ir);
        alu(t, IR_AND, d->size, both, a, load_source(t, i, 1));
        a = both;
    }
    flags_set(t, CC_SIZED(LOGIC, d->size), a, IR_NONE, IR_NONE);
}

static void emit_not(struct translator *t, const struct x86_insn *i)
{
    unsigned size = i->op[0].size;

    if (is_locked(i)) {
        locked(t, i, IR_AT_XOR, constant(t, UINT64_MAX));
        return;
    }
    ir_reg a = operand_load(t, i, 0), d = is_whole(&i->op[0]) ? a : ir_temp(t->ir);
    ir_un(t->ir, IR_NOT, width_of(size), d, a);
    if (d != a) {
        operand_store(t, i, 0, d);
    }
}

/* ---- multiplication ---- */

/* rDX:rAX (AX for bytes) = rAX * operand 0. CF = OF = the high half says more than the sign (or
 * zero) of the low one. */
static void multiply_wide(struct translator *t, const struct x86_insn *i, bool sign)
{
    unsigned size = i->op[0].size;
    struct ir *ir = t->ir;
    ir_reg b = sign ? operand_load_signed(t, i, 0) : operand_load(t, i, 0);
    ir_reg a = ir_temp(ir), low = ir_temp(ir), high = ir_temp(ir), more = ir_temp(ir);
    static const enum ir_opc extend[2][4] = {{IR_EXT8U, IR_EXT16U, IR_EXT32U, IR_MOV},
                                             {IR_EXT8S, IR_EXT16S, IR_EXT32S, IR_MOV}};

    ir_un(ir, extend[sign][memop_of(size)], W64, a, X86_RAX);
    if (size == 4 && !sign) {
        ir_reg wide = ir_temp(ir);
        ir_un(ir, IR_EXT32U, W64, wide, b);
        b = wide;
    }
    ir_bin(ir, IR_MUL, W64, low, a, b);
    if (size == 8) {
        ir_bin(ir, sign ? IR_MULHS : IR_MULHU, W64, high, a, b);
    } else {
        ir_bini(ir, IR_SHR, W64, high, low, 8 * size);
    }
    if (!sign) {
        ir_mov(ir, W64, more, high);
    } else if (size == 8) {
        ir_bini(ir, IR_SAR, W64, more, low, 63);
        ir_bin(ir, IR_XOR, W64, more, more, high);
    } else {
        ir_un(ir, extend[1][memop_of(size)], W64, more, low);
        ir_bin(ir, IR_XOR, W64, more, more, low);
    }
    flags_set(t, CC_SIZED(MUL, size), low, more, IR_NONE);
    if (size == 1) {
        gpr_write(t, X86_RAX, 2, false, low);
    } else {
        gpr_write(t, X86_RAX, size, false, low);
        gpr_write(t, X86_RDX, size, false, high);
    }
}

static void emit_mul(struct translator *t, const struct x86_insn *i)
{
    multiply_wide(t, i, false);
}

/* The forms that keep the low half only: d = a * b with a, b operand numbers. */
static void multiply_low(struct translator *t, const struct x86_insn *i, unsigned a, unsigned b)
{
    unsigned size = i->op[0].size;
    struct ir *ir = t->ir;
    ir_reg low = ir_temp(ir), more = ir_temp(ir);
    ir_reg x, y;

    if (size == 8) {
        x = operand_load(t, i, a);
        y = operand_load(t, i, b);
        ir_reg high = ir_temp(ir);
        ir_bin(ir, IR_MUL, W64, low, x, y);
        ir_bin(ir, IR_MULHS, W64, high, x, y);
        ir_bini(ir, IR_SAR, W64, more, low, 63);
        ir_bin(ir, IR_XOR, W64, more, more, high);
    } else {
        x = operand_load_signed(t, i, a);
        y = operand_load_signed(t, i, b);
        ir_bin(ir, IR_MUL, W64, low, x, y);
        ir_un(ir, size == 2 ? IR_EXT16S : IR_EXT32S, W64, more, low);
        ir_bin(ir, IR_XOR, W64, more, more, low);
    }
    flags_set(t, CC_SIZED(MUL, size), low, more, IR_NONE);
    operand_store(t, i, 0, low);
}

static void emit_imul(struct translator *t, const struct x86_insn *i)
{
    if (i->nops == 1) {
        multiply_wide(t, i, true);
    } else if (i->nops == 2) {
        multiply_low(t, i, 0, 1);
    } else {
        multiply_low(t, i, 1, 2);
    }
}

/* ---- division ---- */

/* Unless a COND b holds, the helper looks whether the quotient fits, and raises. */
static void check_quotient(struct translator *t, enum ir_cond cond, enum ir_width w, ir_reg a,
                           ir_reg b, const struct ir_helper *h, ir_reg divisor)
{
    unsigned fits = ir_label_new(t->ir);

    ir_brcond(t->ir, cond, w, a, b, fits);
    ir_call(t->ir, h, IR_NONE, divisor, X86_RAX, X86_RDX, 0);
    ir_label(t->ir, fits);
}

/* 32 and 64 bits: in IR, behind the checks. */
static void divide_wide(struct translator *t, const struct x86_insn *i, bool sign)
{
    unsigned size = i->op[0].size;
    enum ir_width w = width_of(size);
    struct ir *ir = t->ir;
    ir_reg divisor = operand_load(t, i, 0), low = ir_temp(ir), high = ir_temp(ir);

    if (sign) {
        const struct ir_helper *h = size == 4 ? &x86_h_idiv32_fits : &x86_h_idiv64_fits;
        ir_reg sar = ir_temp(ir), next = ir_temp(ir), one = ir_temp(ir);
        ir_bini(ir, IR_SAR, w, sar, X86_RAX, 8 * size - 1);
        check_quotient(t, IR_EQ, w, X86_RDX, sar, h, divisor); /* as after CDQ it fits ... */
        ir_bini(ir, IR_ADD, w, next, divisor, 1);
        ir_movi(ir, one, 1);
        check_quotient(t, IR_GTU, w, next, one, h, divisor); /* ... but for divisors 0 and -1 */
    } else {
        check_quotient(t, IR_LTU, w, X86_RDX, divisor, &x86_h_divide_error, divisor);
    }
    ir_divide(ir, sign ? IR_DIVS : IR_DIVU, w, low, X86_RAX, divisor, X86_RDX);
    ir_divide(ir, sign ? IR_REMS : IR_REMU, w, high, X86_RAX, divisor, X86_RDX);
    gpr_write(t, X86_RDX, size, false, high);
    gpr_write(t, X86_RAX, size, false, low);
}

static void divide(struct translator *t, const struct x86_insn *i,
                   const struct ir_helper *const helper[2])
{
    unsigned size = i->op[0].size;
    struct ir *ir = t->ir;
    const struct ir_helper *h = helper[memop_of(size)];
    ir_reg divisor = operand_load(t, i, 0), result = ir_temp(ir), high;

    ir_call(ir, h, result, divisor, X86_RAX, X86_RDX, 0);
    if (size == 1) {
        gpr_write(t, X86_RAX, 2, false, result);
        return;
    }
    high = ir_temp(ir);
    ir_bini(ir, IR_SHR, W64, high, result, 8 * size);
    gpr_write(t, X86_RAX, size, false, result);
    gpr_write(t, X86_RDX, size, false, high);
}

static void emit_div(struct translator *t, const struct x86_insn *i)
{
    static const struct ir_helper *const narrow[] = {&x86_h_div8, &x86_h_div16};

    if (i->op[0].size >= 4) {
        divide_wide(t, i, false);
    } else {
        divide(t, i, narrow);
    }
}

static void emit_idiv(struct translator *t, const struct x86_insn *i)
{
    static const struct ir_helper *const narrow[] = {&x86_h_idiv8, &x86_h_idiv16};

    if (i->op[0].size >= 4) {
        divide_wide(t, i, true);
    } else {
        divide(t, i, narrow);
    }
}

/* ---- decimal adjustment ---- */

static void adjust(struct translator *t, const struct ir_helper *h)
{
    ir_reg flags = flags_all(t), both = ir_temp(t->ir);

    ir_call(t->ir, h, both, X86_RAX, flags, IR_NONE, 0);
    ir_bini(t->ir, IR_SHR, W64, flags, both, 16);
    flags_set(t, CC_EFLAGS, flags, IR_NONE, IR_NONE);
    gpr_write(t, X86_RAX, 2, false, both);
}

static void emit_aaa(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    adjust(t, &x86_h_aaa);
}

static void emit_aas(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    adjust(t, &x86_h_aas);
}

static void emit_daa(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    adjust(t, &x86_h_daa);
}

static void emit_das(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    adjust(t, &x86_h_das);
}

static void emit_aam(struct translator *t, const struct x86_insn *i)
{
    ir_reg ax = ir_temp(t->ir);

    ir_call(t->ir, &x86_h_aam, ax, X86_RAX, IR_NONE, IR_NONE, i->imm & 0xff);
    gpr_write(t, X86_RAX, 2, false, ax);
    flags_set(t, CC_LOGIC8, ax, IR_NONE, IR_NONE);
}

static void emit_aad(struct translator *t, const struct x86_insn *i)
{
    ir_reg ax = gpr_read(t, X86_RAX, 1, true), al = gpr_read(t, X86_RAX, 1, false);

    ir_bini(t->ir, IR_MUL, W32, ax, ax, i->imm & 0xff);
    ir_bin(t->ir, IR_ADD, W32, ax, ax, al);
    ir_un(t->ir, IR_EXT8U, W64, ax, ax);
    gpr_write(t, X86_RAX, 2, false, ax);
    flags_set(t, CC_ADD8, ax, al, IR_NONE); /* CF, OF, AF are undefined; processors add */
}

/* ---- exchange ---- */

static void emit_xadd(struct translator *t, const struct x86_insn *i)
{
    const struct x86_operand *s = &i->op[1];
    unsigned size = i->op[0].size;
    struct ir *ir = t->ir;
    ir_reg b = copy(t, operand_load(t, i, 1)), sum = ir_temp(ir), old;

    if (is_locked(i)) {
        old = locked(t, i, IR_AT_ADD, b);
        ir_bin(ir, IR_ADD, width_of(size), sum, old, b);
    } else {
        old = copy(t, operand_load(t, i, 0));
        ir_bin(ir, IR_ADD, width_of(size), sum, old, b);
        if (is_memory(&i->op[0])) {
            operand_store(t, i, 0, sum);
        }
    }
    flags_set(t, CC_SIZED(ADD, size), sum, b, IR_NONE);
    gpr_write(t, s->reg, size, s->high8, old);
    if (!is_memory(&i->op[0])) {
        operand_store(t, i, 0, sum);
    }
}

/* When equal, memory takes the source; else it is written with itself (permission to write is
 * always needed) and rAX takes its value: a 32-bit comparison that holds leaves all of RAX alone.
 */
static void emit_cmpxchg(struct translator *t, const struct x86_insn *i)
{
    const struct x86_operand *d = &i->op[0];
    unsigned size = d->size;
    struct ir *ir = t->ir;
    ir_reg accumulator = gpr_read(t, X86_RAX, size, false), value = operand_load(t, i, 1);
    ir_reg old, written = ir_temp(ir), equal = ir_temp(ir), zero = constant(t, 0);

    if (is_memory(d)) {
        ir_reg address = mem_linear(t, i, size, true);
        old = ir_temp(ir);
        ir_cmpxchg(ir, old, address, memop_of(size), accumulator, value);
        ir_setcond(ir, IR_EQ, width_of(size), equal, accumulator, old);
    } else {
        old = copy(t, operand_load(t, i, 0));
        ir_setcond(ir, IR_EQ, width_of(size), equal, accumulator, old);
        ir_mov(ir, width_of(size), written, value);
        ir_movcond(ir, IR_NE, W64, written, equal, zero, written, old);
    }
    flags_set(t, CC_SIZED(SUB, size), accumulator, old, IR_NONE);
    if (size == 4) {
        ir_un(ir, IR_EXT32U, W64, old, old);
        ir_movcond(ir, IR_NE, W64, X86_RAX, equal, zero, X86_RAX, old);
    } else {
        gpr_write(t, X86_RAX, size, false, old);
    }
    if (!is_memory(d)) { /* all 64 bits of a 32-bit register: they may be its own */
        gpr_write(t, d->reg, size == 4 ? 8 : size, d->high8, written);
    }
}

static void emit_cmpxchg8b(struct translator *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    ir_reg expect = ir_temp(ir), value = ir_temp(ir), old = ir_temp(ir), high = ir_temp(ir);
    ir_reg equal = ir_temp(ir), zero = constant(t, 0);

    ir_deposit(ir, expect, X86_RAX, X86_RDX, 32, 32);
    ir_deposit(ir, value, X86_RBX, X86_RCX, 32, 32);
    ir_reg address = mem_linear(t, i, 8, true);
    ir_cmpxchg(ir, old, address, MO_64, expect, value);

    ir_reg flags = flags_all(t);
    ir_setcond(ir, IR_EQ, W64, equal, old, expect);
    ir_deposit(ir, flags, flags, equal, 6, 1);
    flags_set(t, CC_EFLAGS, flags, IR_NONE, IR_NONE);

    ir_bini(ir, IR_SHR, W64, high, old, 32);
    ir_un(ir, IR_EXT32U, W64, old, old);
    ir_movcond(ir, IR_NE, W64, X86_RAX, equal, zero, X86_RAX, old);
    ir_movcond(ir, IR_NE, W64, X86_RDX, equal, zero, X86_RDX, high);
}

static void emit_cmpxchg16b(struct translator *t, const struct x86_insn *i)
{
    ir_reg flags = flags_all(t), address = mem_linear(t, i, 16, true);

    ir_call(t->ir, &x86_h_cmpxchg16b, flags, address, flags, IR_NONE, t->ir->ctx);
    flags_set(t, CC_EFLAGS, flags, IR_NONE, IR_NONE);
}

static void emit_bound(struct translator *t, const struct x86_insn *i)
{
    unsigned size = i->op[0].size, memop = memop_of(size) | MO_SIGN;
    ir_reg index = operand_load_signed(t, i, 0);
    struct mem_ref m = mem_ref(t, i, size, false);
    ir_reg lower = mem_load(t, &m, memop), upper = constant(t, INT64_MAX);

    /* The upper bound is not read when the lower one is violated. */
    ir_call(t->ir, &x86_h_bound, IR_NONE, index, lower, upper, 0);
    m = mem_ref_at(t, i, size, false, size);
    upper = mem_load(t, &m, memop);
    ir_call(t->ir, &x86_h_bound, IR_NONE, index, lower, upper, 0);
}

const struct x86_emitter x86_emit_arith[] = {
    {MN_ADD, emit_add},
    {MN_ADC, emit_adc},
    {MN_SUB, emit_sub},
    {MN_SBB, emit_sbb},
    {MN_CMP, emit_cmp},
    {MN_NEG, emit_neg},
    {MN_INC, emit_inc},
    {MN_DEC, emit_dec},
    {MN_AND, emit_and},
    {MN_OR, emit_or},
    {MN_XOR, emit_xor},
    {MN_TEST, emit_test},
    {MN_NOT, emit_not},
    {MN_MUL, emit_mul},
    {MN_IMUL, emit_imul},
    {MN_DIV, emit_div},
    {MN_IDIV, emit_idiv},
    {MN_AAA, emit_aaa},
    {MN_AAS, emit_aas},
    {MN_AAM, emit_aam},
    {MN_AAD, emit_aad},
    {MN_DAA, emit_daa},
    {MN_DAS, emit_das},
    {MN_XADD, emit_xadd},
    {MN_CMPXCHG, emit_cmpxchg},
    {MN_CMPXCHG8B, emit_cmpxchg8b},
    {MN_CMPXCHG16B, emit_cmpxchg16b},
    {MN_BOUND, emit_bound},
    {0, NULL},
};
