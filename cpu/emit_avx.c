/* AVX, AVX2, F16C, VAES, VPCLMULQDQ and the VEX forms of GFNI (SDM volume 2): one table from
 * mnemonic to vector operation of the IR, one emitter a kind. Every destination register is cleared
 * above the result. Moves, inserts and extracts are in emit_avx_move.c, masked and gathering
 * accesses in emit_avx_mask.c, FMA in emit_fma.c. */
#include "cpu/emit_vector.h"
#include "tcg/vops.h"

enum kind {
    K_NONE,
    K_3,      /* d = f(op1, op2) */
    K_2,      /* d = f(op1) */
    K_4,      /* d = f(op1, op2, op3) */
    K_TWICE,  /* d = f(op1, op1) by immediate; with a register f(op1, op2) of the next field */
    K_SHIFT,  /* by the third operand: register, or an immediate with the other operation */
    K_NARROW, /* 128 bits or fewer = f(op1 of any length) */
    K_R,      /* general register = f(op1) */
    K_TOINT,  /* the same; 64 bits: the next operation */
    K_FLAGS,  /* flags = f(op0, op1) */
    K_INT,    /* d = f(op1, general register or memory); 64 bits: the next operation */
};

struct avx_row {
    uint8_t kind;
    uint16_t vop, other;
};

#define R(name)                [MN_V##name] = {K_3, VOP_##name, 0}
#define U(name)                [MN_V##name] = {K_2, VOP_##name, 0}
#define SHIFT(name)            [MN_V##name] = {K_SHIFT, VOP_##name, VOP_##name##_I}
#define X(name, k, vop)        [MN_##name] = {k, VOP_##vop, 0}
#define Y(name, k, vop, other) [MN_##name] = {k, VOP_##vop, VOP_##other}

static const struct avx_row avx_rows[MN_COUNT] = {
    /* integer */
    R(PADDB), R(PADDW), R(PADDD), R(PADDQ), R(PADDSB), R(PADDSW), R(PADDUSB), R(PADDUSW), R(PSUBB),
    R(PSUBW), R(PSUBD), R(PSUBQ), R(PSUBSB), R(PSUBSW), R(PSUBUSB), R(PSUBUSW), R(PMULLW),
    R(PMULHW), R(PMULHUW), R(PMULUDQ), R(PMULDQ), R(PMULLD), R(PMADDWD), R(PSADBW), R(PAND),
    R(PANDN), R(POR), R(PXOR), R(PCMPEQB), R(PCMPEQW), R(PCMPEQD), R(PCMPEQQ), R(PCMPGTB),
    R(PCMPGTW), R(PCMPGTD), R(PCMPGTQ), R(PMAXSB), R(PMAXSW), R(PMAXSD), R(PMAXUB), R(PMAXUW),
    R(PMAXUD), R(PMINSB), R(PMINSW), R(PMINSD), R(PMINUB), R(PMINUW), R(PMINUD), R(PAVGB), R(PAVGW),
    R(PACKSSWB), R(PACKSSDW), R(PACKUSWB), R(PACKUSDW), R(PUNPCKLBW), R(PUNPCKLWD), R(PUNPCKLDQ),
    R(PUNPCKLQDQ), R(PUNPCKHBW), R(PUNPCKHWD), R(PUNPCKHDQ), R(PUNPCKHQDQ), R(PHADDW), R(PHADDD),
    R(PHADDSW), R(PHSUBW), R(PHSUBD), R(PHSUBSW), R(PMADDUBSW), R(PMULHRSW), R(PSIGNB), R(PSIGNW),
    R(PSIGND), U(PABSB), U(PABSW), U(PABSD), U(PHMINPOSUW), X(VMPSADBW, K_3, VMPSADBW), R(PSHUFB),
    R(PALIGNR), R(PBLENDW), U(PSHUFD), U(PSHUFLW), U(PSHUFHW), U(PMOVSXBW), U(PMOVSXBD),
    U(PMOVSXBQ), U(PMOVSXWD), U(PMOVSXWQ), U(PMOVSXDQ), U(PMOVZXBW), U(PMOVZXBD), U(PMOVZXBQ),
    U(PMOVZXWD), U(PMOVZXWQ), U(PMOVZXDQ), SHIFT(PSLLW), SHIFT(PSLLD), SHIFT(PSLLQ), SHIFT(PSRLW),
    SHIFT(PSRLD), SHIFT(PSRLQ), SHIFT(PSRAW), SHIFT(PSRAD), Y(VPSLLDQ, K_SHIFT, PSLLDQ, PSLLDQ),
    Y(VPSRLDQ, K_SHIFT, PSRLDQ, PSRLDQ), X(VPSLLVD, K_3, VPSLLVD), X(VPSLLVQ, K_3, VPSLLVQ),
    X(VPSRLVD, K_3, VPSRLVD), X(VPSRLVQ, K_3, VPSRLVQ), X(VPSRAVD, K_3, VPSRAVD),
    /* across elements and lanes */
    X(VUNPCKLPS, K_3, PUNPCKLDQ), X(VUNPCKLPD, K_3, PUNPCKLQDQ), X(VUNPCKHPS, K_3, PUNPCKHDQ),
    X(VUNPCKHPD, K_3, PUNPCKHQDQ), R(SHUFPS), R(SHUFPD), R(BLENDPS), R(BLENDPD),
    X(VPBLENDD, K_3, BLENDPS), X(VBLENDVPS, K_4, BLENDVPS), X(VBLENDVPD, K_4, BLENDVPD),
    X(VPBLENDVB, K_4, PBLENDVB), U(MOVDDUP), U(MOVSLDUP), U(MOVSHDUP), R(MOVHLPS), R(MOVLHPS),
    Y(VPERMILPS, K_TWICE, SHUFPS, VPERMILPS), Y(VPERMILPD, K_TWICE, SHUFPD, VPERMILPD),
    X(VPERMQ, K_2, VPERMQ), X(VPERMPD, K_2, VPERMQ), X(VPERM2F128, K_3, VPERM2I128),
    X(VPERM2I128, K_3, VPERM2I128), X(VINSERTF128, K_3, VINSERTI128),
    X(VINSERTI128, K_3, VINSERTI128), X(VEXTRACTF128, K_NARROW, VEXTRACTI128),
    X(VEXTRACTI128, K_NARROW, VEXTRACTI128), X(VBROADCASTSS, K_2, VPBROADCASTD),
    X(VBROADCASTSD, K_2, VPBROADCASTQ), X(VBROADCASTF128, K_2, VBROADCASTI128),
    X(VBROADCASTI128, K_2, VBROADCASTI128), X(VPBROADCASTB, K_2, VPBROADCASTB),
    X(VPBROADCASTW, K_2, VPBROADCASTW), X(VPBROADCASTD, K_2, VPBROADCASTD),
    X(VPBROADCASTQ, K_2, VPBROADCASTQ),
    /* logic */
    X(VANDPS, K_3, PAND), X(VANDPD, K_3, PAND), X(VANDNPS, K_3, PANDN), X(VANDNPD, K_3, PANDN),
    X(VORPS, K_3, POR), X(VORPD, K_3, POR), X(VXORPS, K_3, PXOR), X(VXORPD, K_3, PXOR),
    X(VPMOVMSKB, K_R, PMOVMSKB), X(VMOVMSKPS, K_R, MOVMSKPS), X(VMOVMSKPD, K_R, MOVMSKPD),
    X(VPTEST, K_FLAGS, PTEST), X(VTESTPS, K_FLAGS, VTESTPS), X(VTESTPD, K_FLAGS, VTESTPD),
    /* floating point */
    R(ADDPS), R(ADDPD), R(ADDSS), R(ADDSD), R(SUBPS), R(SUBPD), R(SUBSS), R(SUBSD), R(MULPS),
    R(MULPD), R(MULSS), R(MULSD), R(DIVPS), R(DIVPD), R(DIVSS), R(DIVSD), R(MINPS), R(MINPD),
    R(MINSS), R(MINSD), R(MAXPS), R(MAXPD), R(MAXSS), R(MAXSD), U(SQRTPS), U(SQRTPD), R(SQRTSS),
    R(SQRTSD), U(RCPPS), R(RCPSS), U(RSQRTPS), R(RSQRTSS), R(ADDSUBPS), R(ADDSUBPD), R(HADDPS),
    R(HADDPD), R(HSUBPS), R(HSUBPD), U(ROUNDPS), U(ROUNDPD), R(ROUNDSS), R(ROUNDSD), R(DPPS),
    R(DPPD), X(VCMPPS, K_3, VCMPPS), X(VCMPPD, K_3, VCMPPD), X(VCMPSS, K_3, VCMPSS),
    X(VCMPSD, K_3, VCMPSD), X(VCOMISS, K_FLAGS, COMISS), X(VCOMISD, K_FLAGS, COMISD),
    X(VUCOMISS, K_FLAGS, UCOMISS), X(VUCOMISD, K_FLAGS, UCOMISD), U(CVTPS2PD),
    X(VCVTPD2PS, K_NARROW, CVTPD2PS), R(CVTSS2SD), R(CVTSD2SS), U(CVTDQ2PS), U(CVTDQ2PD),
    U(CVTPS2DQ), U(CVTTPS2DQ), X(VCVTPD2DQ, K_NARROW, CVTPD2DQ), X(VCVTTPD2DQ, K_NARROW, CVTTPD2DQ),
    X(VCVTSI2SS, K_INT, CVTSI2SS32), X(VCVTSI2SD, K_INT, CVTSI2SD32),
    X(VCVTSS2SI, K_TOINT, CVTSS2SI32), X(VCVTTSS2SI, K_TOINT, CVTTSS2SI32),
    X(VCVTSD2SI, K_TOINT, CVTSD2SI32), X(VCVTTSD2SI, K_TOINT, CVTTSD2SI32),
    X(VCVTPH2PS, K_2, VCVTPH2PS), X(VCVTPS2PH, K_NARROW, VCVTPS2PH),
    /* cryptography */
    R(AESENC), R(AESENCLAST), R(AESDEC), R(AESDECLAST), U(AESIMC), U(AESKEYGENASSIST), R(PCLMULQDQ),
    R(GF2P8MULB), R(GF2P8AFFINEQB), R(GF2P8AFFINEINVQB),
    /* VPERMD, VPERMPS: the data is the third operand; see emit_permute(). */
};
#undef R
#undef U
#undef X
#undef Y
#undef SHIFT

unsigned avx_flags(unsigned size)
{
    return size == 32 ? IR_V256 : IR_VZU;
}

static unsigned immediate_of(const struct x86_insn *i)
{
    return i->nops && i->op[i->nops - 1].kind == OP_IMM ? (unsigned)i->imm & 0xff : 0;
}

/* Where a result goes that may be found not to come: with unmasked exceptions aside first. */
static ir_reg result_register(struct translator *t, const struct x86_insn *i, bool check)
{
    return check ? ir_vtemp(t->ir) : i->op[0].reg;
}

static void emit_to_vector(struct translator *t, const struct x86_insn *i,
                           const struct avx_row *row)
{
    unsigned vop = row->vop, fl = avx_flags(i->op[0].size), imm = immediate_of(i);
    bool check = vector_checks_fp(t, vop), by_imm = i->op[2].kind == OP_IMM;
    ir_reg a = IR_NONE, b = IR_NONE, c = IR_NONE, saved = IR_NONE;

    a = vector_load(t, i, 1);
    if (row->kind == K_TWICE) {
        b = by_imm ? a : vector_load(t, i, 2);
        vop = by_imm ? row->vop : row->other;
    } else if (row->kind == K_SHIFT) {
        b = by_imm ? IR_NONE : vector_load(t, i, 2);
        vop = by_imm ? row->other : row->vop;
    } else if (row->kind != K_2) {
        b = vector_load(t, i, 2);
    }
    if (row->kind == K_4) {
        c = i->op[3].reg;
    }
    if (check) {
        saved = vector_fp_begin(t);
    }
    ir_reg d = result_register(t, i, check);
    ir_vop(t->ir, vop, d, a, b, c, imm, fl);
    if (check) {
        vector_fp_end(t, saved, vop);
        ir_vmov(t->ir, i->op[0].reg, d, fl);
    }
}

static void emit_narrow(struct translator *t, const struct x86_insn *i, const struct avx_row *row)
{
    bool check = vector_checks_fp(t, row->vop);
    ir_reg a = vector_load(t, i, 1), d = ir_vtemp(t->ir);
    ir_reg saved = check ? vector_fp_begin(t) : IR_NONE;
    ir_vop(t->ir, row->vop, d, a, IR_NONE, IR_NONE, immediate_of(i),
           i->op[1].size == 32 ? IR_V256 : 0);
    if (check) {
        vector_fp_end(t, saved, row->vop);
    }
    if (i->op[0].kind == OP_XMM) {
        ir_vmov(t->ir, i->op[0].reg, d, IR_VZU);
    } else { /* VCVTPS2PH: MXCSR has its new flags even when the store faults, as on processors */
        vector_store(t, i, 0, d);
    }
}

static void emit_to_integer(struct translator *t, const struct x86_insn *i,
                            const struct avx_row *row)
{
    unsigned vop = row->vop + (row->kind == K_TOINT && i->op[0].size == 8);
    bool check = vector_checks_fp(t, vop);
    ir_reg r = ir_temp(t->ir), s = vector_load(t, i, 1),
           saved = check ? vector_fp_begin(t) : IR_NONE;

    ir_vopr(t->ir, vop, W64, r, s, IR_NONE, 0, i->op[1].size == 32 ? IR_V256 : 0);
    if (check) {
        vector_fp_end(t, saved, vop);
    }
    operand_store(t, i, 0, r);
}

static void emit_flags(struct translator *t, const struct x86_insn *i, const struct avx_row *row)
{
    bool check = vector_checks_fp(t, row->vop);
    ir_reg b = vector_load(t, i, 1), r = ir_temp(t->ir),
           saved = check ? vector_fp_begin(t) : IR_NONE;

    ir_vopr(t->ir, row->vop, W64, r, i->op[0].reg, b, 0, i->op[0].size == 32 ? IR_V256 : 0);
    if (check) {
        vector_fp_end(t, saved, row->vop);
    }
    flags_set(t, CC_EFLAGS, r, IR_NONE, IR_NONE);
}

static void emit_from_integer(struct translator *t, const struct x86_insn *i,
                              const struct avx_row *row)
{
    unsigned vop = row->vop + (i->op[2].size == 8);
    bool check = vector_checks_fp(t, vop);
    ir_reg s = operand_load(t, i, 2), saved = check ? vector_fp_begin(t) : IR_NONE;
    ir_reg d = result_register(t, i, check);

    ir_vopi(t->ir, vop, W64, d, i->op[1].reg, s, 0, IR_VZU);
    if (check) {
        vector_fp_end(t, saved, vop);
        ir_vmov(t->ir, i->op[0].reg, d, IR_VZU);
    }
}

void emit_avx(struct translator *t, const struct x86_insn *i)
{
    const struct avx_row *row = &avx_rows[i->mnemonic];

    switch ((enum kind)row->kind) {
    case K_NARROW:
        emit_narrow(t, i, row);
        break;
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

bool avx_row_exists(unsigned mnemonic)
{
    return avx_rows[mnemonic].kind != K_NONE;
}
