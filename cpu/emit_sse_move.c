/* Moves, inserts and extracts of SSE and MMX registers, MXCSR, EMMS, string compares (SDM volume
 * 2). */
#include "cpu/emit_vector.h"
#include "cpu/sse_string.h"
#include "tcg/vops.h"

#include <stddef.h>

/* MOVAPS, MOVDQU, MOVQ ... : all of the operand's bytes; a load clears the rest of 128 bits. */
static void emit_move(struct translator *t, const struct x86_insn *i)
{
    ir_reg s = vector_load(t, i, 1);

    /* MOVQ between registers clears the upper half. */
    if (i->mnemonic == MN_MOVQ && i->op[1].kind == OP_XMM && i->op[0].kind == OP_XMM) {
        ir_vop(t->ir, VOP_MOVQ, i->op[0].reg, s, IR_NONE, IR_NONE, 0, 0);
    } else {
        vector_store(t, i, 0, s);
    }
    if (vector_uses_mmx(i)) {
        mmx_touch(t);
    }
}

/* MOVSS, MOVSD: a register source leaves the rest of the destination. */
static void emit_move_scalar(struct translator *t, const struct x86_insn *i)
{
    unsigned vop = i->mnemonic == MN_MOVSS ? VOP_MOVSS : VOP_MOVSD;
    ir_reg s = vector_load(t, i, 1);

    if (i->op[0].kind == OP_XMM && i->op[1].kind == OP_XMM) {
        ir_vop(t->ir, vop, i->op[0].reg, i->op[0].reg, s, IR_NONE, 0, 0);
    } else {
        vector_store(t, i, 0, s);
    }
}

/* MOVD, MOVQ between a vector and a general register or memory. */
static void emit_movd(struct translator *t, const struct x86_insn *i)
{
    bool to_vector = i->op[0].kind == OP_XMM || i->op[0].kind == OP_MMX;
    unsigned size = i->op[to_vector].size;

    if (to_vector) {
        ir_reg s = operand_load(t, i, 1), d = ir_vtemp(t->ir), x = s;
        if (size == 4) {
            x = ir_temp(t->ir);
            ir_un(t->ir, IR_EXT32U, W64, x, s);
        }
        ir_append(t->ir, IR_VZERO)->d = d;
        ir_vset(t->ir, d, d, x, 0, MO_64, 0);
        vector_store(t, i, 0, d);
    } else {
        ir_reg s = vector_load(t, i, 1), r = ir_temp(t->ir);
        ir_vget(t->ir, r, s, 0, memop_of(size));
        operand_store(t, i, 0, r);
    }
    if (vector_uses_mmx(i)) {
        mmx_touch(t);
    }
}

/* MOVLPS .. MOVHPD: one half from or to memory. */
static void emit_move_half(struct translator *t, const struct x86_insn *i)
{
    unsigned half = i->mnemonic == MN_MOVHPS || i->mnemonic == MN_MOVHPD;
    ir_reg r = ir_temp(t->ir);

    if (i->op[0].kind == OP_XMM) {
        struct mem_ref m = mem_ref(t, i, 8, false);
        ir_reg x = mem_load(t, &m, MO_64);
        ir_vset(t->ir, i->op[0].reg, i->op[0].reg, x, half, MO_64, 0);
    } else {
        struct mem_ref m = mem_ref(t, i, 8, true);
        ir_vget(t->ir, r, i->op[1].reg, half, MO_64);
        mem_store(t, &m, MO_64, r);
    }
}

static void emit_movq2dq(struct translator *t, const struct x86_insn *i)
{
    ir_vmov(t->ir, i->op[0].reg, vector_load(t, i, 1), 0);
    mmx_touch(t);
}

static void emit_movdq2q(struct translator *t, const struct x86_insn *i)
{
    vector_store(t, i, 0, i->op[1].reg);
    mmx_touch(t);
}

static void emit_movnti(struct translator *t, const struct x86_insn *i)
{
    operand_store(t, i, 0, operand_load(t, i, 1));
}

/* ---- elements ---- */

static unsigned element_memop(const struct x86_insn *i)
{
    switch (i->mnemonic) {
    case MN_PEXTRB:
    case MN_PINSRB:
        return MO_8;
    case MN_PEXTRW:
    case MN_PINSRW:
        return MO_16;
    case MN_EXTRACTPS:
        return MO_32;
    default:
        return i->rex_w ? MO_64 : MO_32;
    }
}

static unsigned element_of(const struct x86_insn *i, unsigned memop)
{
    unsigned bytes = i->op[0].kind == OP_MMX || i->op[1].kind == OP_MMX ? 8 : 16;
    return (unsigned)i->imm & ((bytes >> memop) - 1);
}

static void emit_extract(struct translator *t, const struct x86_insn *i)
{
    unsigned memop = element_memop(i);
    ir_reg s = vector_load(t, i, 1), r = ir_temp(t->ir);

    ir_vget(t->ir, r, s, element_of(i, memop), memop);
    operand_store(t, i, 0, r);
    if (i->op[1].kind == OP_MMX) {
        mmx_touch(t);
    }
}

static void emit_insert(struct translator *t, const struct x86_insn *i)
{
    unsigned memop = element_memop(i);
    ir_reg s = operand_load(t, i, 1), a = vector_load(t, i, 0);
    ir_reg d = i->op[0].kind == OP_XMM ? i->op[0].reg : ir_vtemp(t->ir);

    ir_vset(t->ir, d, a, s, element_of(i, memop), memop, 0);
    if (i->op[0].kind == OP_MMX) {
        vector_store(t, i, 0, d);
        mmx_touch(t);
    }
}

static void emit_insertps(struct translator *t, const struct x86_insn *i)
{
    unsigned imm = (unsigned)i->imm & (i->op[1].kind == OP_XMM ? 0xff : 0x3f);

    ir_vop(t->ir, VOP_INSERTPS, i->op[0].reg, i->op[0].reg, vector_load(t, i, 1), IR_NONE, imm, 0);
}

/* ---- MXCSR, EMMS ---- */

static uint64_t helper_ldmxcsr(struct vcpu *v, uint64_t val)
{
    if (val & ~(uint64_t)x86_mxcsr_mask(x86_cpu(v))) {
        x86_raise_error(x86_cpu(v), EXC_GP, 0);
    }
    x86_set_mxcsr(x86_cpu(v), (uint32_t)val);
    return 0;
}
X86_HELPER(ldmxcsr, 1, HELPER_RAISES | HELPER_FPENV);

void emit_sse_ldmxcsr(struct translator *t, const struct x86_insn *i)
{
    ir_call(t->ir, &h_ldmxcsr, IR_NONE, operand_load(t, i, 0), IR_NONE, IR_NONE, 0);
    t->end_block = true; /* the key tells of unmasked exceptions */
}

static uint64_t helper_stmxcsr(struct vcpu *v)
{
    return x86_get_mxcsr(x86_cpu(v));
}
X86_HELPER(stmxcsr, 0, HELPER_FPENV);

void emit_sse_stmxcsr(struct translator *t, const struct x86_insn *i)
{
    ir_reg r = ir_temp(t->ir);

    ir_call(t->ir, &h_stmxcsr, r, IR_NONE, IR_NONE, IR_NONE, 0);
    operand_store(t, i, 0, r);
}

static void emit_emms(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    ir_stenvi(t->ir, 0, offsetof(struct x86_cpu, fp_top), MO_8);
    ir_stenvi(t->ir, 0xff, offsetof(struct x86_cpu, fp_tag_empty), MO_8);
}

/* ---- masked stores ---- */

/* Bytes of the source whose mask byte has its top bit set, to DS:rDI (linear address given). what:
 * source register | mask register << 8 | bytes << 16 | context << 24. */
static uint64_t helper_maskmov(struct vcpu *v, uint64_t linear, uint64_t what)
{
    struct x86_cpu *c = x86_cpu(v);
    unsigned s = what & 15, m = what >> 8 & 15, n = what >> 16 & 31, ctx = what >> 24 & 3;
    bool mmx = n == 8;

    for (unsigned k = 0; k < n; k++) {
        uint8_t mask = mmx ? (uint8_t)(c->fpr[m].mant >> 8 * k) : v->vec[m].b[k];
        uint8_t byte = mmx ? (uint8_t)(c->fpr[s].mant >> 8 * k) : v->vec[s].b[k];
        if (mask & 0x80) {
            softmmu_store(v, linear + k, byte, MO_8, ctx);
        }
    }
    return 0;
}
X86_HELPER(maskmov, 1, HELPER_IMM | HELPER_RAISES | HELPER_VECTOR);

void emit_sse_maskmov(struct translator *t, const struct x86_insn *i)
{
    bool mmx = i->op[0].kind == OP_MMX;
    unsigned n = mmx ? 8 : 16;
    ir_reg off = ir_temp(t->ir);
    enum x86_segnum seg = i->seg_override ? (enum x86_segnum)i->seg : SEG_DS;

    if (i->addrsize == 8) {
        ir_mov(t->ir, W64, off, X86_RDI);
    } else {
        ir_un(t->ir, i->addrsize == 4 ? IR_EXT32U : IR_EXT16U, W64, off, X86_RDI);
    }
    ir_reg linear = seg_linear(t, seg, off, n, true);
    ir_call(t->ir, &h_maskmov, IR_NONE, linear, IR_NONE, IR_NONE,
            i->op[0].reg | i->op[1].reg << 8 | n << 16 | t->ir->ctx << 24);
    if (mmx) {
        mmx_touch(t);
    }
}

/* ---- string compares ---- */

static uint64_t helper_pcmpstr(struct vcpu *v, uint64_t what)
{
    return sse_string_compare(x86_cpu(v), (unsigned)what & 15, (unsigned)what >> 4 & 63,
                              (unsigned)what >> 16 & 0xff, what >> 10 & 1, what >> 11 & 1,
                              what >> 12 & 1);
}
X86_HELPER(pcmpstr, 0, HELPER_IMM | HELPER_READS | HELPER_WRITES | HELPER_VECTOR);

void emit_sse_pcmpstr(struct translator *t, const struct x86_insn *i)
{
    bool explicit_length = i->mnemonic == MN_PCMPESTRI || i->mnemonic == MN_PCMPESTRM ||
                           i->mnemonic == MN_VPCMPESTRI || i->mnemonic == MN_VPCMPESTRM;
    bool mask = i->mnemonic == MN_PCMPESTRM || i->mnemonic == MN_PCMPISTRM ||
                i->mnemonic == MN_VPCMPESTRM || i->mnemonic == MN_VPCMPISTRM;
    ir_reg s = vector_load(t, i, 1), r = ir_temp(t->ir);

    ir_call(t->ir, &h_pcmpstr, r, IR_NONE, IR_NONE, IR_NONE,
            i->op[0].reg | s << 4 | explicit_length << 10 | mask << 11 |
                (unsigned)(i->rex_w && t_code64(t)) << 12 | ((unsigned)i->imm & 0xff) << 16);
    if (mask && i->vex) {
        ir_vmov(t->ir, 0, 0, IR_VZU);
    }
    flags_set(t, CC_EFLAGS, r, IR_NONE, IR_NONE);
}

const struct x86_emitter x86_emit_sse[] = {
    {MN_MOVAPS, emit_move},
    {MN_MOVAPD, emit_move},
    {MN_MOVUPS, emit_move},
    {MN_MOVUPD, emit_move},
    {MN_MOVDQA, emit_move},
    {MN_MOVDQU, emit_move},
    {MN_LDDQU, emit_move},
    {MN_MOVNTPS, emit_move},
    {MN_MOVNTPD, emit_move},
    {MN_MOVNTDQ, emit_move},
    {MN_MOVNTDQA, emit_move},
    {MN_MOVNTQ, emit_move},
    {MN_MOVNTSS, emit_move},
    {MN_MOVNTSD, emit_move},
    {MN_MOVQ, emit_move},
    {MN_MOVD, emit_movd},
    {MN_MOVSS, emit_move_scalar},
    {MN_MOVSD_SSE, emit_move_scalar},
    {MN_MOVLPS, emit_move_half},
    {MN_MOVLPD, emit_move_half},
    {MN_MOVHPS, emit_move_half},
    {MN_MOVHPD, emit_move_half},
    {MN_MOVQ2DQ, emit_movq2dq},
    {MN_MOVDQ2Q, emit_movdq2q},
    {MN_MOVNTI, emit_movnti},
    {MN_PEXTRB, emit_extract},
    {MN_PEXTRW, emit_extract},
    {MN_PEXTRD, emit_extract},
    {MN_EXTRACTPS, emit_extract},
    {MN_PINSRB, emit_insert},
    {MN_PINSRW, emit_insert},
    {MN_PINSRD, emit_insert},
    {MN_INSERTPS, emit_insertps},
    {MN_LDMXCSR, emit_sse_ldmxcsr},
    {MN_STMXCSR, emit_sse_stmxcsr},
    {MN_MASKMOVDQU, emit_sse_maskmov},
    {MN_MASKMOVQ, emit_sse_maskmov},
    {MN_PCMPESTRI, emit_sse_pcmpstr},
    {MN_PCMPESTRM, emit_sse_pcmpstr},
    {MN_PCMPISTRI, emit_sse_pcmpstr},
    {MN_PCMPISTRM, emit_sse_pcmpstr},
    {0, NULL},
};

const struct x86_emitter x86_emit_mmx[] = {
    {MN_EMMS, emit_emms},
    {MN_FEMMS, emit_emms},
    {0, NULL},
};
