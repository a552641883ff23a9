/* Bit counting, MOVBE, CRC32, ADX, BMI1, BMI2, RDRAND (SDM volume 2). TZCNT and LZCNT are BSF and
 * BSR on processors that lack them: there F3 is an ignored prefix. AF, PF (and SF of BEXTR), which
 * BMI leaves undefined, are those of a logical operation, or 0. */
#include "cpu/cpuid.h"
#include "cpu/emit_shift.h"
#include "cpu/translate.h"

#include <sys/random.h>

static ir_reg source(struct translator *t, const struct x86_insn *i)
{
    return operand_load(t, i, 1);
}

static void emit_popcnt(struct translator *t, const struct x86_insn *i)
{
    ir_reg s = source(t, i), d = ir_temp(t->ir), f = ir_temp(t->ir);

    ir_un(t->ir, IR_POPCNT, width_of(i->op[0].size), d, s);
    ir_setcondi(t->ir, IR_EQ, W32, f, d, 0);
    ir_bini(t->ir, IR_SHL, W32, f, f, 6); /* ZF */
    operand_store(t, i, 0, d);
    flags_set(t, CC_EFLAGS, f, IR_NONE, IR_NONE);
}

static void emit_count_zeros(struct translator *t, const struct x86_insn *i)
{
    bool leading = i->mnemonic == MN_LZCNT;
    unsigned size = i->op[0].size;
    struct ir *ir = t->ir;

    if (!t_has(t, leading ? X86F_ABM : X86F_BMI1)) {
        emit_bit_scan(t, i, leading);
        return;
    }
    ir_reg s = source(t, i), d = ir_temp(ir), cf = ir_temp(ir), zf = ir_temp(ir);
    if (size == 2) { /* a bit beyond the operand ends the count */
        ir_bini(ir, leading ? IR_SHL : IR_OR, W32, d, s, leading ? 16 : 0x10000);
        if (leading) {
            ir_bini(ir, IR_OR, W32, d, d, 0x8000);
        }
        s = d;
    }
    ir_un(ir, leading ? IR_CLZ : IR_CTZ, width_of(size), d, s);
    ir_setcondi(ir, IR_EQ, W32, cf, d, 8 * size);
    ir_setcondi(ir, IR_EQ, W32, zf, d, 0);
    ir_bini(ir, IR_SHL, W32, zf, zf, 6);
    ir_bin(ir, IR_OR, W32, cf, cf, zf);
    operand_store(t, i, 0, d);
    flags_set(t, CC_EFLAGS, cf, IR_NONE, IR_NONE);
}

static void emit_movbe(struct translator *t, const struct x86_insn *i)
{
    unsigned size = i->op[0].size;
    ir_reg s = operand_load(t, i, 1), d = ir_temp(t->ir);

    ir_un(t->ir, IR_BSWAP, width_of(size), d, s);
    if (size == 2) {
        ir_bini(t->ir, IR_SHR, W32, d, d, 16);
    }
    operand_store(t, i, 0, d);
}

/* CRC-32C, reflected, four bits at a time. */
static uint64_t helper_crc32(struct vcpu *v, uint64_t crc, uint64_t data, uint64_t bytes)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    uint32_t r = (uint32_t)crc;

    (void)v;
    for (uint64_t i = 0; i < bytes; i++) {
        r ^= (uint8_t)(data >> 8 * i);
        r = r >> 4 ^ table[r & 15];
        r = r >> 4 ^ table[r & 15];
    }
    return r;
}
X86_HELPER(crc32, 2, HELPER_IMM | HELPER_PURE | HOST_CRC32 << HELPER_HOST);

static void emit_crc32(struct translator *t, const struct x86_insn *i)
{
    ir_reg s = operand_load(t, i, 1), d = ir_temp(t->ir);

    ir_call(t->ir, &h_crc32, d, i->op[0].reg, s, IR_NONE, i->op[1].size);
    operand_store(t, i, 0, d);
}

/* ADCX (CF) and ADOX (OF): add with carry that touches one flag only. */
static void emit_adx(struct translator *t, const struct x86_insn *i)
{
    uint32_t flag = i->mnemonic == MN_ADCX ? FL_CF : FL_OF;
    enum ir_width w = width_of(i->op[0].size);
    struct ir *ir = t->ir;
    ir_reg s = operand_load(t, i, 1), all = flags_all(t), c = ir_temp(ir), d = ir_temp(ir);
    ir_reg x = ir_temp(ir), y = ir_temp(ir), out = ir_temp(ir);

    ir_bini(ir, IR_SHR, W32, c, all, __builtin_ctz(flag));
    ir_bini(ir, IR_AND, W32, c, c, 1);
    ir_bin(ir, IR_ADD, w, x, i->op[0].reg, s);
    ir_setcond(ir, IR_LTU, w, out, x, s);
    ir_bin(ir, IR_ADD, w, d, x, c);
    ir_setcond(ir, IR_LTU, w, y, d, c);
    ir_bin(ir, IR_OR, W32, out, out, y);
    ir_bini(ir, IR_SHL, W32, out, out, __builtin_ctz(flag));
    ir_bini(ir, IR_AND, W32, y, all, (int64_t)~flag);
    ir_bin(ir, IR_OR, W32, out, out, y);
    operand_store(t, i, 0, d);
    flags_set(t, CC_EFLAGS, out, IR_NONE, IR_NONE);
}

/* ---- BMI1 and BMI2 ---- */

static void emit_andn(struct translator *t, const struct x86_insn *i)
{
    enum ir_width w = width_of(i->op[0].size);
    ir_reg a = operand_load(t, i, 1), b = operand_load(t, i, 2), d = ir_temp(t->ir);

    ir_un(t->ir, IR_NOT, w, d, a);
    ir_bin(t->ir, IR_AND, w, d, d, b);
    operand_store(t, i, 0, d);
    flags_set(t, CC_SIZED(LOGIC, i->op[0].size), d, IR_NONE, IR_NONE);
}

/* BLSR, BLSMSK, BLSI: x & (x - 1), x ^ (x - 1), x & -x. */
static void emit_lowest_bit(struct translator *t, const struct x86_insn *i)
{
    enum ir_width w = width_of(i->op[0].size);
    struct ir *ir = t->ir;
    ir_reg x = operand_load(t, i, 1), d = ir_temp(ir), cf = ir_temp(ir);

    if (i->mnemonic == MN_BLSI) {
        ir_un(ir, IR_NEG, w, d, x);
    } else {
        ir_bini(ir, IR_SUB, w, d, x, 1);
    }
    ir_bin(ir, i->mnemonic == MN_BLSMSK ? IR_XOR : IR_AND, w, d, d, x);
    ir_setcondi(ir, i->mnemonic == MN_BLSI ? IR_NE : IR_EQ, w, cf, x, 0);
    operand_store(t, i, 0, d);
    flags_set(t, CC_SIZED(BLS, i->op[0].size), d, cf, IR_NONE);
}

/* d = the low n bits of x; all of them when n (0 to 255) is 64 or more. d is none of the others. */
static void low_bits(struct ir *ir, ir_reg d, ir_reg x, ir_reg n)
{
    ir_reg limit = ir_temp(ir);

    ir_movi(ir, d, 1);
    ir_bin(ir, IR_SHL, W64, d, d, n);
    ir_bini(ir, IR_SUB, W64, d, d, 1);
    ir_bin(ir, IR_AND, W64, d, d, x);
    ir_movi(ir, limit, 64);
    ir_movcond(ir, IR_GEU, W64, d, n, limit, x, d);
}

/* An operand with zeros above its size. */
static ir_reg load_extended(struct translator *t, const struct x86_insn *i, unsigned n)
{
    ir_reg x = operand_load(t, i, n), d;

    if (i->op[n].size == 8) {
        return x;
    }
    d = ir_temp(t->ir);
    ir_un(t->ir, IR_EXT32U, W64, d, x);
    return d;
}

static void emit_bzhi(struct translator *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    ir_reg x = load_extended(t, i, 1), n = ir_temp(ir), d = ir_temp(ir), cf = ir_temp(ir);

    ir_un(ir, IR_EXT8U, W64, n, operand_load(t, i, 2));
    ir_setcondi(ir, IR_GEU, W64, cf, n, 8 * i->op[0].size);
    low_bits(ir, d, x, n);
    operand_store(t, i, 0, d);
    flags_set(t, CC_SIZED(BLS, i->op[0].size), d, cf, IR_NONE);
}

static void emit_bextr(struct translator *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    ir_reg x = load_extended(t, i, 1), control = operand_load(t, i, 2);
    ir_reg start = ir_temp(ir), n = ir_temp(ir), shifted = ir_temp(ir), d = ir_temp(ir);
    ir_reg limit = ir_temp(ir), zero = ir_temp(ir);

    ir_un(ir, IR_EXT8U, W64, start, control);
    ir_extract(ir, n, control, 8, 8);
    ir_bin(ir, IR_SHR, W64, shifted, x, start);
    ir_movi(ir, limit, 64);
    ir_movi(ir, zero, 0);
    ir_movcond(ir, IR_GEU, W64, shifted, start, limit, zero, shifted);
    low_bits(ir, d, shifted, n);
    operand_store(t, i, 0, d);
    flags_set(t, CC_SIZED(LOGIC, i->op[0].size), d, IR_NONE, IR_NONE);
}

/* high:low = rDX * source, no flags. When both destinations are one register it gets the high half.
 */
static void emit_mulx(struct translator *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    ir_reg x = load_extended(t, i, 2), low = ir_temp(ir), high = ir_temp(ir);

    if (i->op[0].size == 8) {
        ir_bin(ir, IR_MUL, W64, low, x, X86_RDX);
        ir_bin(ir, IR_MULHU, W64, high, x, X86_RDX);
    } else {
        ir_un(ir, IR_EXT32U, W64, low, X86_RDX);
        ir_bin(ir, IR_MUL, W64, low, low, x);
        ir_bini(ir, IR_SHR, W64, high, low, 32);
    }
    operand_store(t, i, 1, low);
    operand_store(t, i, 0, high);
}

static uint64_t helper_pdep(struct vcpu *v, uint64_t x, uint64_t mask)
{
    uint64_t r = 0;

    (void)v;
    for (; mask; mask &= mask - 1, x >>= 1) {
        if (x & 1) {
            r |= mask & -mask;
        }
    }
    return r;
}
X86_HELPER(pdep, 2, HELPER_PURE | HOST_PDEP << HELPER_HOST);

static uint64_t helper_pext(struct vcpu *v, uint64_t x, uint64_t mask)
{
    uint64_t r = 0;

    (void)v;
    for (unsigned n = 0; mask; mask &= mask - 1, n++) {
        if (x & mask & -mask) {
            r |= UINT64_C(1) << n;
        }
    }
    return r;
}
X86_HELPER(pext, 2, HELPER_PURE | HOST_PEXT << HELPER_HOST);

static void emit_deposit_extract(struct translator *t, const struct x86_insn *i)
{
    const struct ir_helper *h = i->mnemonic == MN_PDEP ? &h_pdep : &h_pext;
    ir_reg x = operand_load(t, i, 1), mask = load_extended(t, i, 2), d = ir_temp(t->ir);

    ir_call(t->ir, h, d, x, mask, IR_NONE, 0);
    operand_store(t, i, 0, d);
}

/* RORX, SARX, SHLX, SHRX: no flags; the count counts modulo the operand's width, as in the IR. */
static void emit_shift_x(struct translator *t, const struct x86_insn *i)
{
    enum ir_opc op = i->mnemonic == MN_SARX   ? IR_SAR
                     : i->mnemonic == MN_SHLX ? IR_SHL
                     : i->mnemonic == MN_SHRX ? IR_SHR
                                              : IR_ROTR;
    unsigned size = i->op[0].size;
    ir_reg x = operand_load(t, i, 1), d = ir_temp(t->ir);

    if (i->op[2].kind == OP_IMM) {
        ir_bini(t->ir, op, width_of(size), d, x, i->imm & (8 * size - 1));
    } else {
        ir_bin(t->ir, op, width_of(size), d, x, operand_load(t, i, 2));
    }
    operand_store(t, i, 0, d);
}

/* ---- random numbers ---- */

/* They come from the host: one of the places where the outside world gets in. 0 stands for «none to
 * be had»: CF = 0, as the instruction may say at any time. */
static uint64_t helper_random(struct vcpu *v)
{
    uint64_t x = 0;

    (void)v;
    return getrandom(&x, sizeof(x), GRND_NONBLOCK) == (ssize_t)sizeof(x) ? x : 0;
}
X86_HELPER(random, 0, 0);

static void emit_random(struct translator *t, const struct x86_insn *i)
{
    ir_reg d = ir_temp(t->ir), cf = ir_temp(t->ir);

    ir_call(t->ir, &h_random, d, IR_NONE, IR_NONE, IR_NONE, 0);
    ir_setcondi(t->ir, IR_NE, W64, cf, d, 0); /* FL_CF is bit 0 */
    operand_store(t, i, 0, d);
    flags_set(t, CC_EFLAGS, cf, IR_NONE, IR_NONE);
}

const struct x86_emitter x86_emit_bmi[] = {
    {MN_POPCNT, emit_popcnt},
    {MN_TZCNT, emit_count_zeros},
    {MN_LZCNT, emit_count_zeros},
    {MN_MOVBE, emit_movbe},
    {MN_CRC32, emit_crc32},
    {MN_ADCX, emit_adx},
    {MN_ADOX, emit_adx},
    {MN_ANDN, emit_andn},
    {MN_BLSR, emit_lowest_bit},
    {MN_BLSMSK, emit_lowest_bit},
    {MN_BLSI, emit_lowest_bit},
    {MN_BZHI, emit_bzhi},
    {MN_BEXTR, emit_bextr},
    {MN_MULX, emit_mulx},
    {MN_PDEP, emit_deposit_extract},
    {MN_PEXT, emit_deposit_extract},
    {MN_RORX, emit_shift_x},
    {MN_SARX, emit_shift_x},
    {MN_SHLX, emit_shift_x},
    {MN_SHRX, emit_shift_x},
    {MN_RDRAND, emit_random},
    {MN_RDSEED, emit_random},
    {0, NULL},
};
