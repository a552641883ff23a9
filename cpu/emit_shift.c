/* Shifts, rotates, bit tests and bit scans (SDM volume 2): SHL SHR SAR, ROL ROR RCL RCR, SHLD SHRD,
 * BT BTS BTR BTC, BSF BSR.
 *
 * Counts are masked to 5 bits (6 with 64-bit operands). A masked count of zero changes no flag:
 * with counts in CL that is a branch around what records them, which goes when nobody reads them
 * (rotates through the carry: around everything but the loads and the zero extension of a 32-bit
 * register). The 8 and 16-bit operands are computed in 32 or 64 bits. Undefined flags: OF of counts
 * other than 1 by the same formula as for 1, AF = 0 after shifts; the bit tests change CF only; the
 * scans set flags as a logical operation on the source. */
#include "cpu/emit_shift.h"
#include "cpu/translate.h"

static bool is_memory(const struct x86_operand *o)
{
    return o->kind == OP_MEM;
}

/* ---- counts ---- */

/* The count: a number, masked, or (reg not IR_NONE) a register whose masked bits are the count. */
struct count {
    ir_reg reg;
    unsigned imm, mask;
};

/* With RCX as the count's register, as long as the instruction does not change it itself. */
static struct count load_count(struct translator *t, const struct x86_insn *i, unsigned n)
{
    const struct x86_operand *o = &i->op[n];
    unsigned mask = i->op[0].size == 8 ? 63 : 31;

    if (o->kind == OP_ONE) {
        return (struct count){IR_NONE, 1, mask};
    }
    if (o->kind == OP_IMM) {
        return (struct count){IR_NONE, (unsigned)i->imm & mask, mask};
    }
    struct count c = {X86_RCX, 0, mask};
    if (!is_memory(&i->op[0])) { /* it may be RCX, or CH */
        c.reg = ir_temp(t->ir);
        ir_mov(t->ir, W64, c.reg, X86_RCX);
    }
    return c;
}

/* d = a OP count, modulo the width (the IR's), which is that of the mask. */
static void shift_by(struct translator *t, enum ir_opc op, enum ir_width w, ir_reg d, ir_reg a,
                     struct count n)
{
    if (n.reg != IR_NONE) {
        ir_bin(t->ir, op, w, d, a, n.reg);
    } else if (n.imm) {
        ir_bini(t->ir, op, w, d, a, n.imm);
    } else {
        ir_mov(t->ir, w, d, a);
    }
}

/* k - n */
static struct count minus(struct translator *t, unsigned k, struct count n)
{
    if (n.reg == IR_NONE) {
        return (struct count){IR_NONE, k - n.imm, n.mask};
    }
    struct count r = {ir_temp(t->ir), 0, n.mask};
    ir_reg from = ir_temp(t->ir);
    ir_movi(t->ir, from, k);
    ir_bin(t->ir, IR_SUB, W32, r.reg, from, n.reg);
    return r;
}

/* n - 1 */
static struct count less_one(struct translator *t, struct count n)
{
    if (n.reg == IR_NONE) {
        return (struct count){IR_NONE, n.imm - 1, n.mask};
    }
    struct count r = {ir_temp(t->ir), 0, n.mask};
    ir_bini(t->ir, IR_SUB, W32, r.reg, n.reg, 1);
    return r;
}

/* The count in a register masked: for shifts of another width than the mask's. */
static struct count masked(struct translator *t, struct count n)
{
    if (n.reg != IR_NONE) {
        ir_reg r = ir_temp(t->ir);
        ir_bini(t->ir, IR_AND, W32, r, n.reg, n.mask);
        n.reg = r;
    }
    return n;
}

struct shift {
    const struct x86_insn *i;
    ir_reg value; /* of operand 0 */
    struct count n;
    unsigned size, bits;
    enum ir_width w; /* that the operand is computed in */
};

static struct shift load_shift(struct translator *t, const struct x86_insn *i, bool sign,
                               unsigned count)
{
    unsigned size = i->op[0].size;
    struct shift s = {.i = i, .size = size, .bits = 8 * size, .w = width_of(size)};

    s.n = load_count(t, i, count);
    s.value = sign && size < 4 ? operand_load_signed(t, i, 0) : operand_load(t, i, 0);
    return s;
}

/* Stores the result, which is the operand when the count is zero, then has flags() record, of
 * `result` and `extra`, what the flags are when it is not. */
static void finish(struct translator *t, struct shift *s, ir_reg result, ir_reg extra,
                   void (*flags)(struct translator *t, unsigned arg, unsigned size, ir_reg result,
                                 ir_reg extra),
                   unsigned arg)
{
    unsigned zero, before = t->cc_kind;

    operand_store(t, s->i, 0, result);
    if (s->n.reg == IR_NONE) {
        if (s->n.imm) {
            flags(t, arg, s->size, result, extra);
        }
        return;
    }
    zero = ir_label_new(t->ir);
    ir_brcondi(t->ir, IR_TSTEQ, W32, s->n.reg, s->n.mask, zero);
    flags(t, arg, s->size, result, extra);
    ir_label(t->ir, zero);
    if (t->cc_kind != before) {
        t->cc_kind = CC_UNKNOWN;
    }
}

/* ---- SHL, SHR, SAR: the operand shifted by count - 1 holds the carry ---- */

static void shift_flags(struct translator *t, unsigned kind, unsigned size, ir_reg result,
                        ir_reg before)
{
    flags_set(t, kind + memop_of(size), result, before, IR_NONE);
}

static void shift(struct translator *t, const struct x86_insn *i, enum ir_opc op, unsigned kind)
{
    struct shift s = load_shift(t, i, op == IR_SAR, 1);
    ir_reg before = ir_temp(t->ir), result = ir_temp(t->ir);

    shift_by(t, op, s.w, before, s.value, less_one(t, s.n));
    shift_by(t, op, s.w, result, s.value, s.n);
    finish(t, &s, result, before, shift_flags, kind);
}

static void emit_shl(struct translator *t, const struct x86_insn *i)
{
    shift(t, i, IR_SHL, CC_SHL8);
}

static void emit_shr(struct translator *t, const struct x86_insn *i)
{
    shift(t, i, IR_SHR, CC_SHR8);
}

static void emit_sar(struct translator *t, const struct x86_insn *i)
{
    shift(t, i, IR_SAR, CC_SAR8);
}

/* ---- rotates: CF and OF change, the others stay ---- */

/* CF = bit carry_bit of carry, OF = bits of_bit of x and y differ. flags: the others. */
static void rotate_flags(struct translator *t, ir_reg flags, ir_reg carry, unsigned carry_bit,
                         ir_reg x, unsigned x_bit, ir_reg y, unsigned y_bit)
{
    struct ir *ir = t->ir;
    ir_reg cf = ir_temp(ir), of = ir_temp(ir), other = ir_temp(ir);

    ir_extract(ir, cf, carry, carry_bit, 1);
    ir_extract(ir, of, x, x_bit, 1);
    ir_extract(ir, other, y, y_bit, 1);
    ir_bin(ir, IR_XOR, W32, of, of, other);
    ir_deposit(ir, flags, flags, cf, 0, 1);
    ir_deposit(ir, flags, flags, of, 11, 1);
    flags_set(t, CC_EFLAGS, flags, IR_NONE, IR_NONE);
}

/* The operand repeated so that it fills the rotated width. */
static ir_reg repeated(struct translator *t, struct shift *s)
{
    ir_reg d;

    if (s->size >= 4) {
        return s->value;
    }
    d = ir_temp(t->ir);
    ir_bini(t->ir, IR_MUL, W32, d, s->value, s->size == 1 ? 0x01010101 : 0x00010001);
    return d;
}

static void rotated(struct translator *t, unsigned over, unsigned size, ir_reg result, ir_reg extra)
{
    (void)extra;
    flags_overlay(t, over, size, result);
}

static void rotate(struct translator *t, const struct x86_insn *i, enum ir_opc op, unsigned over)
{
    struct shift s = load_shift(t, i, false, 1);
    ir_reg result = ir_temp(t->ir);

    shift_by(t, op, s.w, result, repeated(t, &s), s.n);
    finish(t, &s, result, IR_NONE, rotated, over);
}

static void emit_rol(struct translator *t, const struct x86_insn *i)
{
    rotate(t, i, IR_ROTL, CC_OVER_ROL);
}

static void emit_ror(struct translator *t, const struct x86_insn *i)
{
    rotate(t, i, IR_ROTR, CC_OVER_ROR);
}

/* ---- rotates through CF ---- */

/* What a count of zero still does: 32-bit registers are zero-extended, memory is written back. */
static void store_unchanged(struct translator *t, const struct x86_insn *i, ir_reg value)
{
    if (is_memory(&i->op[0]) || i->op[0].size == 4) {
        operand_store(t, i, 0, value);
    }
}

/* Runs body (which stores the result and sets flags) unless the count is zero. */
static void with_count(struct translator *t, struct shift *s,
                       void (*body)(struct translator *t, struct shift *s))
{
    struct ir *ir = t->ir;
    unsigned zero, done, before = t->cc_kind;
    bool rest = is_memory(&s->i->op[0]) || s->size == 4;

    if (s->n.reg == IR_NONE) {
        if (s->n.imm) {
            body(t, s);
        } else {
            store_unchanged(t, s->i, s->value);
        }
        return;
    }
    zero = ir_label_new(ir);
    s->n = masked(t, s->n);
    ir_brcondi(ir, IR_EQ, W32, s->n.reg, 0, zero);
    body(t, s);
    if (rest) {
        done = ir_label_new(ir);
        ir_br(ir, done);
        ir_label(ir, zero);
        store_unchanged(t, s->i, s->value);
        ir_label(ir, done);
    } else {
        ir_label(ir, zero);
    }
    if (t->cc_kind != before) {
        t->cc_kind = CC_UNKNOWN;
    }
}

/* n modulo 9 or 17 (n < 32): the carry is one more bit of the operand. */
static struct count modulo(struct translator *t, struct count n, unsigned m)
{
    struct ir *ir = t->ir;

    if (n.reg == IR_NONE) {
        return (struct count){IR_NONE, n.imm % m, n.mask};
    }
    struct count r = {ir_temp(ir), 0, n.mask};
    if (m == 9) { /* n * 57 >> 9 is n / 9 for all n < 32 */
        ir_bini(ir, IR_MUL, W32, r.reg, n.reg, 57);
        ir_bini(ir, IR_SHR, W32, r.reg, r.reg, 9);
    } else {
        ir_setcondi(ir, IR_GEU, W32, r.reg, n.reg, m);
    }
    ir_bini(ir, IR_MUL, W32, r.reg, r.reg, m);
    ir_bin(ir, IR_SUB, W32, r.reg, n.reg, r.reg);
    return r;
}

/* The flags as a word, which mostly nobody reads after all, and CF as 0 or 1. */
static ir_reg carry_and_rest(struct translator *t, ir_reg *carry)
{
    ir_reg flags = flags_all(t);

    if (t->cc_kind != CC_UNKNOWN) {
        *carry = flags_carry(t);
    } else {
        *carry = ir_temp(t->ir);
        ir_bini(t->ir, IR_AND, W32, *carry, flags, FL_CF);
    }
    return flags;
}

/* The narrow ones: operand and carry above it are 9, 17 or 33 bits in a 64-bit register. */
static void narrow_through_carry(struct translator *t, struct shift *s, bool left)
{
    struct ir *ir = t->ir;
    unsigned bits = s->bits, all = bits + 1;
    ir_reg carry, flags = carry_and_rest(t, &carry), whole = ir_temp(ir), high = ir_temp(ir);
    ir_reg low = ir_temp(ir);
    struct count n = s->size == 4 ? s->n : modulo(t, s->n, all), other = minus(t, all, n);

    ir_mov(ir, s->size == 4 ? W32 : W64, whole, s->value);
    ir_deposit(ir, whole, whole, carry, bits, 1);
    shift_by(t, IR_SHL, W64, high, whole, left ? n : other);
    shift_by(t, IR_SHR, W64, low, whole, left ? other : n);
    ir_bin(ir, IR_OR, W64, high, high, low);
    operand_store(t, s->i, 0, high);
    if (left) {
        rotate_flags(t, flags, high, bits, high, bits - 1, high, bits);
    } else {
        rotate_flags(t, flags, high, bits, high, bits - 1, high, bits - 2);
    }
}

/* 65 bits: count is 1..63, so that each part is two shifts below 64. */
static void body_rcl(struct translator *t, struct shift *s)
{
    struct ir *ir = t->ir;

    if (s->size < 8) {
        narrow_through_carry(t, s, true);
        return;
    }
    ir_reg carry, flags = carry_and_rest(t, &carry), result = ir_temp(ir), part = ir_temp(ir);
    ir_reg out = ir_temp(ir);
    shift_by(t, IR_SHL, W64, result, s->value, s->n);
    shift_by(t, IR_SHL, W64, part, carry, less_one(t, s->n));
    ir_bin(ir, IR_OR, W64, result, result, part);
    shift_by(t, IR_SHR, W64, out, s->value, minus(t, 64, s->n)); /* bit 0 goes to CF */
    ir_bini(ir, IR_SHR, W64, part, out, 1);
    ir_bin(ir, IR_OR, W64, result, result, part);
    operand_store(t, s->i, 0, result);
    rotate_flags(t, flags, out, 0, result, 63, out, 0);
}

static void body_rcr(struct translator *t, struct shift *s)
{
    struct ir *ir = t->ir;

    if (s->size < 8) {
        narrow_through_carry(t, s, false);
        return;
    }
    ir_reg carry, flags = carry_and_rest(t, &carry), result = ir_temp(ir), part = ir_temp(ir);
    ir_reg out = ir_temp(ir);
    struct count up = minus(t, 64, s->n);
    shift_by(t, IR_SHR, W64, result, s->value, s->n);
    shift_by(t, IR_SHL, W64, part, carry, up);
    ir_bin(ir, IR_OR, W64, result, result, part);
    ir_bini(ir, IR_SHL, W64, part, s->value, 1);
    shift_by(t, IR_SHR, W64, out, s->value, less_one(t, s->n)); /* bit 0 goes to CF */
    shift_by(t, IR_SHL, W64, part, part, up);
    ir_bin(ir, IR_OR, W64, result, result, part);
    operand_store(t, s->i, 0, result);
    rotate_flags(t, flags, out, 0, result, 63, result, 62);
}

static void emit_rcl(struct translator *t, const struct x86_insn *i)
{
    struct shift s = load_shift(t, i, false, 1);

    with_count(t, &s, body_rcl);
}

static void emit_rcr(struct translator *t, const struct x86_insn *i)
{
    struct shift s = load_shift(t, i, false, 1);

    with_count(t, &s, body_rcr);
}

/* ---- double shifts ---- */

/* 16 bits: counts up to 31 shift the 48 bits destination, source, destination (undefined above 16;
 * this is what processors do). 32 bits: both in one 64-bit register. */
static void emit_shld(struct translator *t, const struct x86_insn *i)
{
    struct shift s = load_shift(t, i, false, 2);
    struct ir *ir = t->ir;
    ir_reg source = operand_load(t, i, 1), before = ir_temp(ir), result = ir_temp(ir);

    if (s.size == 8) {
        ir_reg low = ir_temp(ir); /* two shifts: a count of zero takes nothing of the source */
        shift_by(t, IR_SHL, W64, before, s.value, less_one(t, s.n));
        shift_by(t, IR_SHL, W64, result, s.value, s.n);
        ir_bini(ir, IR_SHR, W64, low, source, 1);
        shift_by(t, IR_SHR, W64, low, low, minus(t, 63, s.n));
        ir_bin(ir, IR_OR, W64, result, result, low);
    } else {
        unsigned bits = s.bits, at = 64 - bits;
        ir_reg all = ir_temp(ir);
        struct count n = masked(t, s.n);
        ir_bini(ir, IR_SHL, W64, all, s.value, at);
        ir_deposit(ir, all, all, source, at - bits, bits);
        if (s.size == 2) {
            ir_deposit(ir, all, all, s.value, at - 2 * bits, bits);
        }
        shift_by(t, IR_SHL, W64, before, all, less_one(t, n));
        ir_bini(ir, IR_SHR, W64, before, before, at);
        shift_by(t, IR_SHL, W64, all, all, n);
        ir_bini(ir, IR_SHR, W64, result, all, at);
    }
    finish(t, &s, result, before, shift_flags, CC_SHL8);
}

static void emit_shrd(struct translator *t, const struct x86_insn *i)
{
    struct shift s = load_shift(t, i, false, 2);
    struct ir *ir = t->ir;
    ir_reg source = operand_load(t, i, 1), before = ir_temp(ir), result = ir_temp(ir);

    if (s.size == 8) {
        ir_reg high = ir_temp(ir);
        shift_by(t, IR_SHR, W64, before, s.value, less_one(t, s.n));
        shift_by(t, IR_SHR, W64, result, s.value, s.n);
        ir_bini(ir, IR_SHL, W64, high, source, 1);
        shift_by(t, IR_SHL, W64, high, high, minus(t, 63, s.n));
        ir_bin(ir, IR_OR, W64, result, result, high);
    } else {
        ir_reg all = ir_temp(ir);
        struct count n = masked(t, s.n);
        ir_mov(ir, s.size == 4 ? W32 : W64, all, s.value);
        ir_deposit(ir, all, all, source, s.bits, s.bits);
        if (s.size == 2) {
            ir_deposit(ir, all, all, s.value, 32, 16);
        }
        shift_by(t, IR_SHR, W64, before, all, less_one(t, n));
        shift_by(t, IR_SHR, W64, result, all, n);
    }
    finish(t, &s, result, before, shift_flags, CC_SHR8);
}

/* ---- bit tests ---- */

enum bit_op { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };

/* Linear address of the word of a bit string that holds the bit; the index is signed. */
static ir_reg bit_string(struct translator *t, const struct x86_insn *i, bool write)
{
    static const unsigned shift[] = {0, 4, 5, 6}; /* by memop */
    unsigned size = i->op[0].size, memop = memop_of(size);
    struct ir *ir = t->ir;
    ir_reg word = operand_load_signed(t, i, 1), offset = effective_address(t, i);

    ir_bini(ir, IR_SAR, W64, word, word, shift[memop]);
    ir_bini(ir, IR_SHL, W64, word, word, memop);
    ir_bin(ir, IR_ADD, width_of(i->addrsize), offset, offset, word);
    if (i->addrsize == 2) {
        ir_un(ir, IR_EXT16U, W64, offset, offset);
    }
    return seg_linear(t, (enum x86_segnum)i->seg, offset, size, write);
}

static void bit_test(struct translator *t, const struct x86_insn *i, enum bit_op op)
{
    static const enum ir_opc opcode[] = {IR_AND, IR_OR, IR_AND, IR_XOR};
    static const enum ir_atomic atomic[] = {IR_AT_AND, IR_AT_OR, IR_AT_AND, IR_AT_XOR};
    unsigned size = i->op[0].size, bits = 8 * size;
    bool memory = is_memory(&i->op[0]);
    enum ir_width w = width_of(size);
    struct ir *ir = t->ir;
    ir_reg address = IR_NONE, old, bit = ir_temp(ir), mask = IR_NONE, cf = ir_temp(ir);

    if (memory) {
        address = i->op[1].kind == OP_IMM ? mem_linear(t, i, size, op != BIT_TEST)
                                          : bit_string(t, i, op != BIT_TEST);
    }
    if (i->op[1].kind == OP_IMM) {
        ir_movi(ir, bit, (uint64_t)i->imm & (bits - 1));
    } else {
        ir_bini(ir, IR_AND, W32, bit, i->op[1].reg, bits - 1);
    }
    if (op != BIT_TEST) {
        mask = ir_temp(ir);
        ir_movi(ir, mask, 1);
        ir_bin(ir, IR_SHL, w, mask, mask, bit);
        if (op == BIT_RESET) {
            ir_un(ir, IR_NOT, w, mask, mask);
        }
    }
    old = memory ? ir_temp(ir) : operand_load(t, i, 0);
    if (memory && i->lock && op != BIT_TEST) {
        ir_atomic(ir, atomic[op], old, address, memop_of(size), mask);
    } else if (memory) {
        ir_ld(ir, W64, old, address, IR_NONE, memop_of(size), 0);
        if (op != BIT_TEST) {
            ir_reg changed = ir_temp(ir);
            ir_bin(ir, opcode[op], w, changed, old, mask);
            ir_st(ir, address, IR_NONE, memop_of(size), 0, changed);
            mark_rmw(t);
        }
    }
    ir_bin(ir, IR_SHR, w, cf, old, bit);
    flags_overlay(t, CC_OVER_CF, size, cf);
    if (!memory && op != BIT_TEST) {
        ir_reg changed = ir_temp(ir);
        ir_bin(ir, opcode[op], w, changed, old, mask);
        operand_store(t, i, 0, changed);
    }
}

static void emit_bt(struct translator *t, const struct x86_insn *i)
{
    bit_test(t, i, BIT_TEST);
}

static void emit_bts(struct translator *t, const struct x86_insn *i)
{
    bit_test(t, i, BIT_SET);
}

static void emit_btr(struct translator *t, const struct x86_insn *i)
{
    bit_test(t, i, BIT_RESET);
}

static void emit_btc(struct translator *t, const struct x86_insn *i)
{
    bit_test(t, i, BIT_COMPLEMENT);
}

/* ---- bit scans: a source of zero leaves the destination alone ---- */

void emit_bit_scan(struct translator *t, const struct x86_insn *i, bool reverse)
{
    unsigned size = i->op[0].size;
    enum ir_width w = width_of(size);
    struct ir *ir = t->ir;
    ir_reg source = operand_load(t, i, 1), found = ir_temp(ir), zero = ir_temp(ir);
    ir_reg d = i->op[0].reg, wide = source;

    if (reverse) { /* the width less one, minus the leading zeros */
        ir_un(ir, IR_CLZ, w, found, source);
        ir_bini(ir, IR_XOR, W32, found, found, w == W64 ? 63 : 31);
    } else {
        ir_un(ir, IR_CTZ, w, found, source);
    }
    if (size == 4) { /* the selection below moves 64 bits and compares them too */
        wide = ir_temp(ir);
        ir_un(ir, IR_EXT32U, W64, wide, source);
    }
    flags_set(t, CC_SIZED(LOGIC, size), source, IR_NONE, IR_NONE);
    ir_movi(ir, zero, 0);
    if (size == 2) {
        ir_deposit(ir, found, d, found, 0, 16);
    }
    ir_movcond(ir, IR_EQ, W64, d, wide, zero, d, found);
}

static void emit_bsf(struct translator *t, const struct x86_insn *i)
{
    emit_bit_scan(t, i, false);
}

static void emit_bsr(struct translator *t, const struct x86_insn *i)
{
    emit_bit_scan(t, i, true);
}

const struct x86_emitter x86_emit_shift[] = {
    {MN_SHL, emit_shl},   {MN_SHR, emit_shr}, {MN_SAR, emit_sar}, {MN_ROL, emit_rol},
    {MN_ROR, emit_ror},   {MN_RCL, emit_rcl}, {MN_RCR, emit_rcr}, {MN_SHLD, emit_shld},
    {MN_SHRD, emit_shrd}, {MN_BT, emit_bt},   {MN_BTS, emit_bts}, {MN_BTR, emit_btr},
    {MN_BTC, emit_btc},   {MN_BSF, emit_bsf}, {MN_BSR, emit_bsr}, {0, NULL},
};
