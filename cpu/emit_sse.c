/* SSE to SSE4.2 and MMX arithmetic, conversions, compares and shuffles (SDM volume 2): one table
 * from mnemonic to vector operation of the IR, one emitter a kind. Moves, inserts and extracts are
 * in emit_sse_move.c. */
#include "cpu/emit_vector.h"
#include "tcg/vops.h"

#include <stddef.h>

enum kind {
    K_NONE,
    K_VVV,    /* d = f(d, s) */
    K_VV,     /* d = f(s) */
    K_SHIFT,  /* by a register, or by an immediate with the operation that follows in the table */
    K_R,      /* general register = f(s) */
    K_FLAGS,  /* flags = f(d, s) */
    K_INT,    /* d = f(d, general register or memory); 64 bits: the next operation */
    K_TOINT,  /* general register = f(s); 64 bits: the next operation */
    K_BLENDV, /* d = f(d, s, XMM0) */
    K_PI,     /* d = f(d, MMX s) */
};

struct vector_row {
    uint8_t kind;
    uint16_t vop;
};

#define R(name)         [MN_##name] = {K_VVV, VOP_##name}
#define U(name)         [MN_##name] = {K_VV, VOP_##name}
#define AS(name, vop)   [MN_##name] = {K_VVV, VOP_##vop}
#define X(name, k, vop) [MN_##name] = {k, VOP_##vop}

/* clang-format off */
static const struct vector_row vector_rows[MN_COUNT] = {
    R(PADDB), R(PADDW), R(PADDD), R(PADDQ), R(PADDSB), R(PADDSW), R(PADDUSB), R(PADDUSW),
    R(PSUBB), R(PSUBW), R(PSUBD), R(PSUBQ), R(PSUBSB), R(PSUBSW), R(PSUBUSB), R(PSUBUSW),
    R(PMULLW), R(PMULHW), R(PMULHUW), R(PMULUDQ), R(PMULDQ), R(PMULLD), R(PMADDWD), R(PSADBW),
    R(PAND), R(PANDN), R(POR), R(PXOR), R(PCMPEQB), R(PCMPEQW), R(PCMPEQD), R(PCMPEQQ), R(PCMPGTB),
    R(PCMPGTW), R(PCMPGTD), R(PCMPGTQ), R(PMAXSB), R(PMAXSW), R(PMAXSD), R(PMAXUB), R(PMAXUW), R(PMAXUD),
    R(PMINSB), R(PMINSW), R(PMINSD), R(PMINUB), R(PMINUW), R(PMINUD), R(PAVGB), R(PAVGW),
    R(PACKSSWB), R(PACKSSDW), R(PACKUSWB), R(PACKUSDW), R(PUNPCKLBW), R(PUNPCKLWD), R(PUNPCKLDQ),
    R(PUNPCKLQDQ), R(PUNPCKHBW), R(PUNPCKHWD), R(PUNPCKHDQ), R(PUNPCKHQDQ),
    AS(UNPCKLPS, PUNPCKLDQ), AS(UNPCKLPD, PUNPCKLQDQ), AS(UNPCKHPS, PUNPCKHDQ), AS(UNPCKHPD, PUNPCKHQDQ),
    AS(ANDPS, PAND), AS(ANDPD, PAND), AS(ANDNPS, PANDN), AS(ANDNPD, PANDN), AS(ORPS, POR), AS(ORPD, POR),
    AS(XORPS, PXOR), AS(XORPD, PXOR),
    X(PSLLW, K_SHIFT, PSLLW), X(PSLLD, K_SHIFT, PSLLD), X(PSLLQ, K_SHIFT, PSLLQ), X(PSRLW, K_SHIFT, PSRLW),
    X(PSRLD, K_SHIFT, PSRLD), X(PSRLQ, K_SHIFT, PSRLQ), X(PSRAW, K_SHIFT, PSRAW), X(PSRAD, K_SHIFT, PSRAD),
    X(PSLLDQ, K_SHIFT, PSLLDQ), X(PSRLDQ, K_SHIFT, PSRLDQ),
    U(PSHUFD), U(PSHUFLW), U(PSHUFHW), X(PSHUFW, K_VV, PSHUFLW), R(PSHUFB), R(SHUFPS), R(SHUFPD), R(PALIGNR),
    R(PBLENDW), R(BLENDPS), R(BLENDPD),
    X(PBLENDVB, K_BLENDV, PBLENDVB), X(BLENDVPS, K_BLENDV, BLENDVPS), X(BLENDVPD, K_BLENDV, BLENDVPD),
    U(MOVDDUP), U(MOVSLDUP), U(MOVSHDUP), R(MOVHLPS), R(MOVLHPS),
    R(PHADDW), R(PHADDD), R(PHADDSW), R(PHSUBW), R(PHSUBD), R(PHSUBSW), R(PMADDUBSW), R(PMULHRSW),
    R(PSIGNB), R(PSIGNW), R(PSIGND), U(PABSB), U(PABSW), U(PABSD), U(PHMINPOSUW), R(MPSADBW),
    U(PMOVSXBW), U(PMOVSXBD), U(PMOVSXBQ), U(PMOVSXWD), U(PMOVSXWQ), U(PMOVSXDQ),
    U(PMOVZXBW), U(PMOVZXBD), U(PMOVZXBQ), U(PMOVZXWD), U(PMOVZXWQ), U(PMOVZXDQ),
    X(PMOVMSKB, K_R, PMOVMSKB), X(MOVMSKPS, K_R, MOVMSKPS), X(MOVMSKPD, K_R, MOVMSKPD),
    X(PTEST, K_FLAGS, PTEST),
    R(ADDPS), R(ADDPD), R(ADDSS), R(ADDSD), R(SUBPS), R(SUBPD), R(SUBSS), R(SUBSD), R(MULPS), R(MULPD),
    R(MULSS), R(MULSD), R(DIVPS), R(DIVPD), R(DIVSS), R(DIVSD), R(MINPS), R(MINPD), R(MINSS), R(MINSD),
    R(MAXPS), R(MAXPD), R(MAXSS), R(MAXSD), U(SQRTPS), U(SQRTPD), R(SQRTSS), R(SQRTSD), U(RCPPS), R(RCPSS),
    U(RSQRTPS), R(RSQRTSS), R(CMPPS), R(CMPPD), R(CMPSS), AS(CMPSD_SSE, CMPSD), R(ADDSUBPS), R(ADDSUBPD),
    R(HADDPS), R(HADDPD), R(HSUBPS), R(HSUBPD), U(ROUNDPS), U(ROUNDPD), R(ROUNDSS), R(ROUNDSD), R(DPPS),
    R(DPPD),
    X(COMISS, K_FLAGS, COMISS), X(COMISD, K_FLAGS, COMISD), X(UCOMISS, K_FLAGS, UCOMISS),
    X(UCOMISD, K_FLAGS, UCOMISD),
    U(CVTPS2PD), U(CVTPD2PS), R(CVTSS2SD), R(CVTSD2SS), U(CVTDQ2PS), U(CVTDQ2PD), U(CVTPS2DQ), U(CVTTPS2DQ),
    U(CVTPD2DQ), U(CVTTPD2DQ),
    X(CVTSI2SS, K_INT, CVTSI2SS32), X(CVTSI2SD, K_INT, CVTSI2SD32),
    X(CVTSS2SI, K_TOINT, CVTSS2SI32), X(CVTTSS2SI, K_TOINT, CVTTSS2SI32),
    X(CVTSD2SI, K_TOINT, CVTSD2SI32), X(CVTTSD2SI, K_TOINT, CVTTSD2SI32),
    X(CVTPI2PS, K_PI, CVTPI2PS), X(CVTPI2PD, K_VV, CVTDQ2PD),
    X(CVTPS2PI, K_VV, CVTPS2DQ), X(CVTTPS2PI, K_VV, CVTTPS2DQ), X(CVTPD2PI, K_VV, CVTPD2DQ),
    X(CVTTPD2PI, K_VV, CVTTPD2DQ),
    R(AESENC), R(AESENCLAST), R(AESDEC), R(AESDECLAST), U(AESIMC), U(AESKEYGENASSIST), R(PCLMULQDQ),
    R(SHA1RNDS4), R(SHA1NEXTE), R(SHA1MSG1), R(SHA1MSG2), X(SHA256RNDS2, K_BLENDV, SHA256RNDS2),
    R(PFADD), R(PFSUB), R(PFSUBR), R(PFMUL), R(PFACC), R(PFNACC), R(PFPNACC), R(PFMIN), R(PFMAX),
    R(PFCMPEQ), R(PFCMPGE), R(PFCMPGT), U(PFRCP), U(PFRSQRT), U(PI2FD), U(PI2FW), U(PF2ID), U(PF2IW),
    U(PSWAPD), R(PMULHRW), AS(PAVGUSB, PAVGB), X(PFRCPIT1, K_VV, MOVQ), X(PFRSQIT1, K_VV, MOVQ),
    X(PFRCPIT2, K_VV, MOVQ), /* PFRCP and PFRSQRT are exact already */
    R(SHA256MSG1), R(SHA256MSG2), R(GF2P8MULB), R(GF2P8AFFINEQB), R(GF2P8AFFINEINVQB),
};
/* clang-format on */
#undef R
#undef U
#undef AS
#undef X

/* The operation by immediate of each shift by register. */
static unsigned shift_by_imm(unsigned vop)
{
    static const uint16_t pairs[][2] = {
        {VOP_PSLLW, VOP_PSLLW_I}, {VOP_PSLLD, VOP_PSLLD_I}, {VOP_PSLLQ, VOP_PSLLQ_I},
        {VOP_PSRLW, VOP_PSRLW_I}, {VOP_PSRLD, VOP_PSRLD_I}, {VOP_PSRLQ, VOP_PSRLQ_I},
        {VOP_PSRAW, VOP_PSRAW_I}, {VOP_PSRAD, VOP_PSRAD_I},
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (pairs[i][0] == vop) {
            return pairs[i][1];
        }
    }
    return vop; /* PSLLDQ, PSRLDQ */
}

/* ---- operands ---- */

static size_t mmx_offset(unsigned reg)
{
    return offsetof(struct x86_cpu, fpr) + reg * sizeof(struct x86_fpreg) +
           offsetof(struct x86_fpreg, mant);
}

/* With MXCSR.MM (AMD64 manual, volume 1, 4.3.2) all but the moves that ask for alignment by name.
 */
static bool may_be_unaligned(const struct translator *t, const struct x86_insn *i)
{
    return (t->key & KEY_MISALIGN) && i->mnemonic != MN_MOVAPS && i->mnemonic != MN_MOVAPD &&
           i->mnemonic != MN_MOVDQA && i->mnemonic != MN_MOVNTDQA;
}

ir_reg vector_load(struct translator *t, const struct x86_insn *i, unsigned n)
{
    const struct x86_operand *o = &i->op[n];

    if (o->kind == OP_XMM) {
        return o->reg;
    }
    ir_reg v = ir_vtemp(t->ir);
    if (o->kind == OP_MMX) {
        ir_vldenv(t->ir, v, mmx_offset(o->reg), MO_64);
        return v;
    }
    struct mem_ref m = mem_ref(t, i, o->size, false);
    unsigned align =
        (i->row->attr & AT_ALIGN) && o->size == 16 && !may_be_unaligned(t, i) ? MO_ALIGN : 0;
    ir_vld(t->ir, v, m.base, m.index, memop_of(o->size) | align | m.memop, m.disp, 0);
    return v;
}

void mmx_touch(struct translator *t)
{
    ir_stenvi(t->ir, 0, offsetof(struct x86_cpu, fp_top), MO_8);
    ir_stenvi(t->ir, 0, offsetof(struct x86_cpu, fp_tag_empty), MO_8);
}

void vector_store(struct translator *t, const struct x86_insn *i, unsigned n, ir_reg value)
{
    const struct x86_operand *o = &i->op[n];

    if (o->kind == OP_XMM) {
        if (value != o->reg) {
            ir_vmov(t->ir, o->reg, value, 0);
        }
    } else if (o->kind == OP_MMX) {
        ir_vstenv(t->ir, value, mmx_offset(o->reg), MO_64);
        ir_stenvi(t->ir, 0xffff,
                  mmx_offset(o->reg) - offsetof(struct x86_fpreg, mant) +
                      offsetof(struct x86_fpreg, se),
                  MO_16);
    } else {
        struct mem_ref m = mem_ref(t, i, o->size, true);
        unsigned align = (i->row->attr & AT_ALIGN) && o->size == 16 ? MO_ALIGN : 0;
        ir_vst(t->ir, m.base, m.index, memop_of(o->size) | align | m.memop, m.disp, value);
    }
}

bool vector_uses_mmx(const struct x86_insn *i)
{
    return i->op[0].kind == OP_MMX || (i->nops > 1 && i->op[1].kind == OP_MMX);
}

/* ---- unmasked floating-point exceptions ---- */

/* steps: the operation has looked after the order of exceptions itself. */
static uint64_t helper_fp_check(struct vcpu *v, uint64_t saved, uint64_t steps)
{
    struct x86_cpu *c = x86_cpu(v);
    uint8_t raised = v->fp.flags & (uint8_t)~v->fp.masks;

    /* What is found before computing stops all elements (SDM volume 1, 11.5.2.1). */
    if (!steps && raised & (FP_INVALID | FP_DENORMAL | FP_DIVZERO)) {
        v->fp.flags &= FP_INVALID | FP_DENORMAL | FP_DIVZERO;
    }
    v->fp.flags |= (uint8_t)saved;
    if (raised) {
        x86_raise(c, c->cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD);
    }
    return 0;
}
X86_HELPER(fp_check, 1, HELPER_IMM | HELPER_RAISES);

/* Floating-point operations with an unmasked exception in MXCSR compute aside and look at the new
 * flags. */
bool vector_checks_fp(const struct translator *t, unsigned vop)
{
    return (t->key & KEY_XMM_UNMASKED) && (vop_table[vop].flags & VOPF_FP);
}

ir_reg vector_fp_begin(struct translator *t)
{
    ir_reg saved = ir_temp(t->ir);
    size_t flags =
        offsetof(struct x86_cpu, v) + offsetof(struct vcpu, fp) + offsetof(struct fpenv, flags);

    ir_ldenv(t->ir, saved, flags, MO_8);
    ir_stenvi(t->ir, 0, flags, MO_8);
    return saved;
}

void vector_fp_end(struct translator *t, ir_reg saved, unsigned vop)
{
    ir_call(t->ir, &h_fp_check, IR_NONE, saved, IR_NONE, IR_NONE,
            vop == VOP_DPPS || vop == VOP_DPPD);
}

/* ---- MMX forms that are not the low half of the 128-bit ones ---- */

static ir_reg op2(struct translator *t, unsigned vop, ir_reg a, ir_reg b, unsigned imm)
{
    ir_reg d = ir_vtemp(t->ir);
    ir_vop(t->ir, vop, d, a, b, IR_NONE, imm, 0);
    return d;
}

static ir_reg mmx_compute(struct translator *t, unsigned vop, ir_reg a, ir_reg b, unsigned imm)
{
    ir_reg x;

    switch (vop) {
    case VOP_PACKSSWB:
    case VOP_PACKSSDW:
    case VOP_PACKUSWB:
    case VOP_PHADDW:
    case VOP_PHADDD:
    case VOP_PHADDSW:
    case VOP_PHSUBW:
    case VOP_PHSUBD:
    case VOP_PHSUBSW:
        x = op2(t, VOP_PUNPCKLQDQ, a, b, 0);
        return op2(t, vop, x, x, 0);
    case VOP_PUNPCKHBW:
        return op2(t, VOP_PSRLDQ, op2(t, VOP_PUNPCKLBW, a, b, 0), IR_NONE, 8);
    case VOP_PUNPCKHWD:
        return op2(t, VOP_PSRLDQ, op2(t, VOP_PUNPCKLWD, a, b, 0), IR_NONE, 8);
    case VOP_PUNPCKHDQ:
        return op2(t, VOP_PSRLDQ, op2(t, VOP_PUNPCKLDQ, a, b, 0), IR_NONE, 8);
    case VOP_PALIGNR:
        return op2(t, VOP_PSRLDQ, op2(t, VOP_PUNPCKLQDQ, b, a, 0), IR_NONE, imm);
    case VOP_PSHUFB:
        return op2(t, VOP_PSHUFB64, a, b, 0);
    default:
        return op2(t, vop, a, b, imm);
    }
}

/* ---- the kinds ---- */

static unsigned immediate_of(const struct x86_insn *i)
{
    return i->nops && i->op[i->nops - 1].kind == OP_IMM ? (unsigned)i->imm & 0xff : 0;
}

static void emit_to_vector(struct translator *t, const struct x86_insn *i,
                           const struct vector_row *row)
{
    bool mmx = i->op[0].kind == OP_MMX, check = vector_checks_fp(t, row->vop);
    unsigned imm = immediate_of(i), vop = row->vop;
    bool by_imm = row->kind == K_SHIFT && i->op[1].kind == OP_IMM;
    ir_reg b = by_imm ? IR_NONE : vector_load(t, i, 1);
    if (mmx && i->op[1].kind == OP_XMM && row->kind == K_VV) { /* CVTPS2PI: two of four elements */
        ir_reg low = ir_vtemp(t->ir);
        if (i->mnemonic == MN_CVTPS2PI || i->mnemonic == MN_CVTTPS2PI) {
            ir_vop(t->ir, VOP_MOVQ, low, b, IR_NONE, IR_NONE, 0, 0);
            b = low;
        }
    }
    ir_reg a = row->kind == K_VV ? b : vector_load(t, i, 0);
    ir_reg c = row->kind == K_BLENDV ? 0 : IR_NONE;
    ir_reg saved = check ? vector_fp_begin(t) : IR_NONE;
    ir_reg d = i->op[0].kind == OP_XMM && !check ? i->op[0].reg : ir_vtemp(t->ir);

    if (by_imm) {
        vop = shift_by_imm(vop);
    }
    if (row->kind == K_VV || by_imm) {
        ir_vop(t->ir, vop, d, a, IR_NONE, IR_NONE, imm, 0);
    } else if (mmx) {
        d = mmx_compute(t, vop, a, b, imm);
    } else {
        ir_vop(t->ir, vop, d, a, b, c, imm, 0);
    }
    if (check) {
        vector_fp_end(t, saved, vop);
    }
    vector_store(t, i, 0, d);
    if (vector_uses_mmx(i)) {
        mmx_touch(t);
    }
}

static void emit_to_integer(struct translator *t, const struct x86_insn *i,
                            const struct vector_row *row)
{
    unsigned vop = row->vop;
    bool check = vector_checks_fp(t, vop);
    ir_reg r = ir_temp(t->ir), s = vector_load(t, i, 1),
           saved = check ? vector_fp_begin(t) : IR_NONE;

    if (row->kind == K_TOINT && i->op[0].size == 8) {
        vop++;
    }
    if (i->op[1].kind == OP_MMX) { /* PMOVMSKB of 8 bytes: the upper half of s is zero */
        mmx_touch(t);
    }
    ir_vopr(t->ir, vop, W64, r, s, IR_NONE, 0, 0);
    if (check) {
        vector_fp_end(t, saved, vop);
    }
    operand_store(t, i, 0, r);
}

static void emit_flags(struct translator *t, const struct x86_insn *i, const struct vector_row *row)
{
    bool check = vector_checks_fp(t, row->vop);
    ir_reg b = vector_load(t, i, 1), r = ir_temp(t->ir),
           saved = check ? vector_fp_begin(t) : IR_NONE;

    ir_vopr(t->ir, row->vop, W64, r, i->op[0].reg, b, 0, 0);
    if (check) {
        vector_fp_end(t, saved, row->vop);
    }
    flags_set(t, CC_EFLAGS, r, IR_NONE, IR_NONE);
}

static void emit_from_integer(struct translator *t, const struct x86_insn *i,
                              const struct vector_row *row)
{
    unsigned vop = row->vop + (i->op[1].size == 8);
    bool check = vector_checks_fp(t, vop);
    ir_reg s = operand_load(t, i, 1), saved = check ? vector_fp_begin(t) : IR_NONE;
    ir_reg d = check ? ir_vtemp(t->ir) : i->op[0].reg;

    ir_vopi(t->ir, vop, W64, d, i->op[0].reg, s, 0, 0);
    if (check) {
        vector_fp_end(t, saved, vop);
    }
    vector_store(t, i, 0, d);
}

void emit_vector(struct translator *t, const struct x86_insn *i)
{
    const struct vector_row *row = &vector_rows[i->mnemonic];

    switch ((enum kind)row->kind) {
    case K_R:
    case K_TOINT:
        emit_to_integer(t, i, row);
        break;
    case K_FLAGS:
        emit_flags(t, i, row);
        break;
    case K_INT:
        emit_from_integer(t, i, row);
        break;
    case K_NONE:
        emit_raise(t, EXC_UD);
        break;
    default:
        emit_to_vector(t, i, row);
        break;
    }
}

bool vector_row_exists(unsigned mnemonic)
{
    return vector_rows[mnemonic].kind != K_NONE;
}
