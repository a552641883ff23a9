/* SSE4a (AMD64 manual, volume 4): bit fields of the low half of an XMM register. The length and the
 * place of the field are immediates, or in bits 5:0 and 13:8 of the other register (of its upper
 * half, for INSERTQ). Length 0 stands for 64. The upper half of the destination, which the manual
 * leaves undefined, becomes 0, as it does in a Zen 5; fields that reach beyond bit 63 give what is
 * there. MOVNTSS and MOVNTSD are moves (emit_sse_move.c). */
#include "cpu/emit_vector.h"

static uint64_t field_mask(uint64_t control)
{
    unsigned len = control & 63;

    return len ? (UINT64_C(1) << len) - 1 : UINT64_MAX;
}

static uint64_t helper_extrq(struct vcpu *v, uint64_t x, uint64_t control)
{
    (void)v;
    return x >> (control >> 8 & 63) & field_mask(control);
}
X86_HELPER(extrq, 2, 0);

static uint64_t helper_insertq(struct vcpu *v, uint64_t x, uint64_t field, uint64_t control)
{
    unsigned at = control >> 8 & 63;
    uint64_t mask = field_mask(control) << at;

    (void)v;
    return (x & ~mask) | (field << at & mask);
}
X86_HELPER(insertq, 3, 0);

static void emit_bit_field(struct translator *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    bool insert = i->mnemonic == MN_INSERTQ, immediate = i->op[i->nops - 1].kind == OP_IMM2;
    ir_reg x = ir_temp(ir), field = ir_temp(ir), control = ir_temp(ir), d = i->op[0].reg;

    ir_vget(ir, x, d, 0, MO_64);
    if (immediate) { /* the length comes first */
        ir_movi(ir, control, (i->imm & 63) | (int64_t)(i->imm2 & 63) << 8);
    } else {
        ir_vget(ir, control, i->op[1].reg, insert, MO_64);
    }
    if (insert) {
        ir_vget(ir, field, i->op[1].reg, 0, MO_64);
        ir_call(ir, &h_insertq, x, x, field, control, 0);
    } else {
        ir_call(ir, &h_extrq, x, x, control, IR_NONE, 0);
    }
    ir_vset(ir, d, d, x, 0, MO_64, 0);
    ir_movi(ir, x, 0);
    ir_vset(ir, d, d, x, 1, MO_64, 0);
}

const struct x86_emitter x86_emit_sse4a[] = {
    {MN_EXTRQ, emit_bit_field},
    {MN_INSERTQ, emit_bit_field},
    {0, NULL},
};
