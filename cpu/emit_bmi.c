/* Bit counting, MOVBE, CRC32, ADX, RDRAND (SDM volume 2). TZCNT and LZCNT are BSF and BSR on processors
 * that lack them: there F3 is an ignored prefix. */
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

/* CRC-32C, reflected, a bit at a time over `bytes` bytes. */
static uint64_t helper_crc32(struct vcpu *v, uint64_t crc, uint64_t data, uint64_t bytes)
{
    uint32_t r = (uint32_t)crc;

    (void)v;
    for (unsigned i = 0; i < bytes; i++) {
        r ^= (uint8_t)(data >> 8 * i);
        for (unsigned k = 0; k < 8; k++) {
            r = r >> 1 ^ (r & 1 ? 0x82f63b78u : 0);
        }
    }
    return r;
}
X86_HELPER(crc32, 2, HELPER_IMM);

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

/* Random numbers come from the host: one of the places where the outside world gets in. */
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
    ir_movi(t->ir, cf, FL_CF);
    operand_store(t, i, 0, d);
    flags_set(t, CC_EFLAGS, cf, IR_NONE, IR_NONE);
}

const struct x86_emitter x86_emit_bmi[] = {
    {MN_POPCNT, emit_popcnt},     {MN_TZCNT, emit_count_zeros}, {MN_LZCNT, emit_count_zeros},
    {MN_MOVBE, emit_movbe},       {MN_CRC32, emit_crc32},       {MN_ADCX, emit_adx},
    {MN_ADOX, emit_adx},          {MN_RDRAND, emit_random},     {MN_RDSEED, emit_random},
    {0, NULL},
};
