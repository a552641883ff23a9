/* Vector operations as host instructions: one row an operation. Those without a row, and
 * floating-point ones in blocks whose exceptions are unmasked, call the C function of tcg/vops.def.
 *
 * With AVX the three-operand encodings are used throughout; without it the two-operand ones. */
#ifdef __x86_64__
#include "tcg/x86_64/gen.h"

enum form {
    F_NONE,
    F_VVV,    /* d = a op b */
    F_VV,     /* d = op a */
    F_SHIFT,  /* by imm8: opcode extension in ext */
    F_BLEND,  /* d = c's signs choose b or a */
    F_R,      /* integer = op a */
    F_FLAGS,  /* compares a with b, flags to an integer */
    F_I,      /* d = a with integer converted */
    F_SWAP,   /* d = b op a */
    F_FMA,    /* d (= a) with b, c; the opcode's kind by imm */
    F_SSE2,   /* d (= a) op b: there is no three-operand form */
    F_SSE2_0, /* ... and c in xmm0 */
    F_TO_RM,  /* r/m d = op register a */
    F_TWICE,  /* d = low half of a, twice */
};

/* What the host must have beyond SSE4.2 (and AVX2 for 256 bits). */
enum { N_NONE, N_AVX, N_AVX2, N_FMA, N_F16C, N_AES, N_PCLMUL, N_SHA, N_GFNI };

struct row {
    uint32_t op;
    uint8_t form, ext;
    bool imm;
    uint8_t need;
};

#define P66                    X_0F | X_66
#define P38                    X_0F38 | X_66
#define P3A                    X_0F3A | X_66
#define V(name, o)             [VOP_##name] = {o, F_VVV, 0, false, N_NONE},
#define VI(name, o)            [VOP_##name] = {o, F_VVV, 0, true, N_NONE},
#define U(name, o)             [VOP_##name] = {o, F_VV, 0, false, N_NONE},
#define UI(name, o)            [VOP_##name] = {o, F_VV, 0, true, N_NONE},
#define SH(name, o, e)         [VOP_##name] = {o | P66, F_SHIFT, e, true, N_NONE},
#define ROW(name, o, f)        [VOP_##name] = {o, f, 0, false, N_NONE},
#define ROWN(name, o, f, i, n) [VOP_##name] = {o, f, 0, i, n},
#define FMA4(name, o)                                                                              \
    ROWN(name##PS, (o) | P38, F_FMA, false, N_FMA)                                                 \
    ROWN(name##PD, (o) | P38 | X_W, F_FMA, false, N_FMA)                                           \
    ROWN(name##SS, ((o) + 1) | P38, F_FMA, false, N_FMA)                                           \
    ROWN(name##SD, ((o) + 1) | P38 | X_W, F_FMA, false, N_FMA)
/* ps, pd, ss, sd forms of one opcode */
#define FP4(name, o)                                                                               \
    V(name##PS, o | X_0F)                                                                          \
    V(name##PD, o | P66) V(name##SS, o | X_0F | X_F3) V(name##SD, o | X_0F | X_F2)

/* clang-format off */
static const struct row rows[VOP_COUNT] = {
    V(PADDB, 0xfc | P66) V(PADDW, 0xfd | P66) V(PADDD, 0xfe | P66) V(PADDQ, 0xd4 | P66)
    V(PADDSB, 0xec | P66) V(PADDSW, 0xed | P66) V(PADDUSB, 0xdc | P66) V(PADDUSW, 0xdd | P66)
    V(PSUBB, 0xf8 | P66) V(PSUBW, 0xf9 | P66) V(PSUBD, 0xfa | P66) V(PSUBQ, 0xfb | P66)
    V(PSUBSB, 0xe8 | P66) V(PSUBSW, 0xe9 | P66) V(PSUBUSB, 0xd8 | P66) V(PSUBUSW, 0xd9 | P66)
    V(PMULLW, 0xd5 | P66) V(PMULHW, 0xe5 | P66) V(PMULHUW, 0xe4 | P66) V(PMULUDQ, 0xf4 | P66)
    V(PMULDQ, 0x28 | P38) V(PMULLD, 0x40 | P38) V(PMADDWD, 0xf5 | P66) V(PSADBW, 0xf6 | P66)
    V(PAND, 0xdb | P66) V(PANDN, 0xdf | P66) V(POR, 0xeb | P66) V(PXOR, 0xef | P66)
    V(PCMPEQB, 0x74 | P66) V(PCMPEQW, 0x75 | P66) V(PCMPEQD, 0x76 | P66) V(PCMPEQQ, 0x29 | P38)
    V(PCMPGTB, 0x64 | P66) V(PCMPGTW, 0x65 | P66) V(PCMPGTD, 0x66 | P66) V(PCMPGTQ, 0x37 | P38)
    V(PMAXSB, 0x3c | P38) V(PMAXSW, 0xee | P66) V(PMAXSD, 0x3d | P38) V(PMAXUB, 0xde | P66)
    V(PMAXUW, 0x3e | P38) V(PMAXUD, 0x3f | P38) V(PMINSB, 0x38 | P38) V(PMINSW, 0xea | P66)
    V(PMINSD, 0x39 | P38) V(PMINUB, 0xda | P66) V(PMINUW, 0x3a | P38) V(PMINUD, 0x3b | P38)
    V(PAVGB, 0xe0 | P66) V(PAVGW, 0xe3 | P66) V(PACKSSWB, 0x63 | P66) V(PACKSSDW, 0x6b | P66)
    V(PACKUSWB, 0x67 | P66) V(PACKUSDW, 0x2b | P38) V(PUNPCKLBW, 0x60 | P66)
    V(PUNPCKLWD, 0x61 | P66) V(PUNPCKLDQ, 0x62 | P66) V(PUNPCKLQDQ, 0x6c | P66)
    V(PUNPCKHBW, 0x68 | P66) V(PUNPCKHWD, 0x69 | P66) V(PUNPCKHDQ, 0x6a | P66)
    V(PUNPCKHQDQ, 0x6d | P66) V(PSLLW, 0xf1 | P66) V(PSLLD, 0xf2 | P66) V(PSLLQ, 0xf3 | P66)
    V(PSRLW, 0xd1 | P66) V(PSRLD, 0xd2 | P66) V(PSRLQ, 0xd3 | P66) V(PSRAW, 0xe1 | P66)
    V(PSRAD, 0xe2 | P66) SH(PSLLW_I, 0x71, 6) SH(PSLLD_I, 0x72, 6) SH(PSLLQ_I, 0x73, 6)
    SH(PSRLW_I, 0x71, 2) SH(PSRLD_I, 0x72, 2) SH(PSRLQ_I, 0x73, 2) SH(PSRAW_I, 0x71, 4)
    SH(PSRAD_I, 0x72, 4) SH(PSLLDQ, 0x73, 7) SH(PSRLDQ, 0x73, 3) UI(PSHUFD, 0x70 | P66)
    UI(PSHUFLW, 0x70 | X_0F | X_F2) UI(PSHUFHW, 0x70 | X_0F | X_F3) V(PSHUFB, 0x00 | P38)
    VI(SHUFPS, 0xc6 | X_0F) VI(SHUFPD, 0xc6 | P66) VI(PALIGNR, 0x0f | P3A)
    VI(PBLENDW, 0x0e | P3A) VI(BLENDPS, 0x0c | P3A) VI(BLENDPD, 0x0d | P3A)
    VI(INSERTPS, 0x21 | P3A) ROW(PBLENDVB, 0x4c | P3A, F_BLEND) ROW(BLENDVPS, 0x4a | P3A, F_BLEND)
    ROW(BLENDVPD, 0x4b | P3A, F_BLEND) U(MOVDDUP, 0x12 | X_0F | X_F2)
    U(MOVSLDUP, 0x12 | X_0F | X_F3) U(MOVSHDUP, 0x16 | X_0F | X_F3) V(MOVSS, 0x10 | X_0F | X_F3)
    V(MOVSD, 0x10 | X_0F | X_F2) V(MOVLHPS, 0x16 | X_0F) V(MOVHLPS, 0x12 | X_0F)
    U(MOVQ, 0x7e | X_0F | X_F3) V(PHADDW, 0x01 | P38) V(PHADDD, 0x02 | P38) V(PHADDSW, 0x03 | P38)
    V(PHSUBW, 0x05 | P38) V(PHSUBD, 0x06 | P38) V(PHSUBSW, 0x07 | P38) V(PMADDUBSW, 0x04 | P38)
    V(PMULHRSW, 0x0b | P38) V(PSIGNB, 0x08 | P38) V(PSIGNW, 0x09 | P38) V(PSIGND, 0x0a | P38)
    U(PABSB, 0x1c | P38) U(PABSW, 0x1d | P38) U(PABSD, 0x1e | P38) U(PHMINPOSUW, 0x41 | P38)
    VI(MPSADBW, 0x42 | P3A) U(PMOVSXBW, 0x20 | P38) U(PMOVSXBD, 0x21 | P38)
    U(PMOVSXBQ, 0x22 | P38) U(PMOVSXWD, 0x23 | P38) U(PMOVSXWQ, 0x24 | P38)
    U(PMOVSXDQ, 0x25 | P38) U(PMOVZXBW, 0x30 | P38) U(PMOVZXBD, 0x31 | P38)
    U(PMOVZXBQ, 0x32 | P38) U(PMOVZXWD, 0x33 | P38) U(PMOVZXWQ, 0x34 | P38)
    U(PMOVZXDQ, 0x35 | P38) ROW(PMOVMSKB, 0xd7 | P66, F_R) ROW(MOVMSKPS, 0x50 | X_0F, F_R)
    ROW(MOVMSKPD, 0x50 | P66, F_R) ROW(PTEST, 0x17 | P38, F_FLAGS) FP4(ADD, 0x58) FP4(SUB, 0x5c)
    FP4(MUL, 0x59) FP4(DIV, 0x5e) FP4(MIN, 0x5d) FP4(MAX, 0x5f) U(SQRTPS, 0x51 | X_0F)
    U(SQRTPD, 0x51 | P66) V(SQRTSS, 0x51 | X_0F | X_F3) V(SQRTSD, 0x51 | X_0F | X_F2)
    VI(CMPPS, 0xc2 | X_0F) VI(CMPPD, 0xc2 | P66) VI(CMPSS, 0xc2 | X_0F | X_F3)
    VI(CMPSD, 0xc2 | X_0F | X_F2) V(ADDSUBPS, 0xd0 | X_0F | X_F2) V(ADDSUBPD, 0xd0 | P66)
    V(HADDPS, 0x7c | X_0F | X_F2) V(HADDPD, 0x7c | P66) V(HSUBPS, 0x7d | X_0F | X_F2)
    V(HSUBPD, 0x7d | P66) UI(ROUNDPS, 0x08 | P3A) UI(ROUNDPD, 0x09 | P3A) VI(ROUNDSS, 0x0a | P3A)
    VI(ROUNDSD, 0x0b | P3A) VI(DPPS, 0x40 | P3A) VI(DPPD, 0x41 | P3A)
    ROW(COMISS, 0x2f | X_0F, F_FLAGS) ROW(COMISD, 0x2f | P66, F_FLAGS)
    ROW(UCOMISS, 0x2e | X_0F, F_FLAGS) ROW(UCOMISD, 0x2e | P66, F_FLAGS) U(CVTPS2PD, 0x5a | X_0F)
    U(CVTPD2PS, 0x5a | P66) V(CVTSS2SD, 0x5a | X_0F | X_F3) V(CVTSD2SS, 0x5a | X_0F | X_F2)
    U(CVTDQ2PS, 0x5b | X_0F) U(CVTDQ2PD, 0xe6 | X_0F | X_F3) U(CVTPS2DQ, 0x5b | P66)
    U(CVTTPS2DQ, 0x5b | X_0F | X_F3) U(CVTPD2DQ, 0xe6 | X_0F | X_F2) U(CVTTPD2DQ, 0xe6 | P66)
    ROW(CVTSI2SS32, 0x2a | X_0F | X_F3, F_I) ROW(CVTSI2SS64, 0x2a | X_0F | X_F3 | X_W, F_I)
    ROW(CVTSI2SD32, 0x2a | X_0F | X_F2, F_I) ROW(CVTSI2SD64, 0x2a | X_0F | X_F2 | X_W, F_I)
    ROW(CVTSS2SI32, 0x2d | X_0F | X_F3, F_R) ROW(CVTSS2SI64, 0x2d | X_0F | X_F3 | X_W, F_R)
    ROW(CVTTSS2SI32, 0x2c | X_0F | X_F3, F_R) ROW(CVTTSS2SI64, 0x2c | X_0F | X_F3 | X_W, F_R)
    ROW(CVTSD2SI32, 0x2d | X_0F | X_F2, F_R) ROW(CVTSD2SI64, 0x2d | X_0F | X_F2 | X_W, F_R)
    ROW(CVTTSD2SI32, 0x2c | X_0F | X_F2, F_R) ROW(CVTTSD2SI64, 0x2c | X_0F | X_F2 | X_W, F_R)
    ROWN(VPERMILPS, 0x0c | P38, F_VVV, false, N_AVX)
    ROWN(VPERMILPD, 0x0d | P38, F_VVV, false, N_AVX)
    ROWN(VPERMD, 0x36 | P38, F_SWAP, false, N_AVX2)
    ROWN(VPERMQ, 0x00 | P3A | X_W, F_VV, true, N_AVX2)
    ROWN(VPERM2I128, 0x46 | P3A, F_VVV, true, N_AVX2)
    ROWN(VINSERTI128, 0x38 | P3A, F_VVV, true, N_AVX2)
    ROWN(VEXTRACTI128, 0x39 | P3A, F_TO_RM, true, N_AVX2)
    ROWN(VBROADCASTI128, 0x38 | P3A, F_TWICE, false, N_AVX2)
    ROWN(VPBROADCASTB, 0x78 | P38, F_VV, false, N_AVX2)
    ROWN(VPBROADCASTW, 0x79 | P38, F_VV, false, N_AVX2)
    ROWN(VPBROADCASTD, 0x58 | P38, F_VV, false, N_AVX2)
    ROWN(VPBROADCASTQ, 0x59 | P38, F_VV, false, N_AVX2)
    ROWN(VPSLLVD, 0x47 | P38, F_VVV, false, N_AVX2)
    ROWN(VPSLLVQ, 0x47 | P38 | X_W, F_VVV, false, N_AVX2)
    ROWN(VPSRLVD, 0x45 | P38, F_VVV, false, N_AVX2)
    ROWN(VPSRLVQ, 0x45 | P38 | X_W, F_VVV, false, N_AVX2)
    ROWN(VPSRAVD, 0x46 | P38, F_VVV, false, N_AVX2)
    ROWN(VMPSADBW, 0x42 | P3A, F_VVV, true, N_AVX2)
    ROWN(VTESTPS, 0x0e | P38, F_FLAGS, false, N_AVX)
    ROWN(VTESTPD, 0x0f | P38, F_FLAGS, false, N_AVX) ROWN(VCMPPS, 0xc2 | X_0F, F_VVV, true, N_AVX)
    ROWN(VCMPPD, 0xc2 | P66, F_VVV, true, N_AVX)
    ROWN(VCMPSS, 0xc2 | X_0F | X_F3, F_VVV, true, N_AVX)
    ROWN(VCMPSD, 0xc2 | X_0F | X_F2, F_VVV, true, N_AVX)
    ROWN(VCVTPH2PS, 0x13 | P38, F_VV, false, N_F16C)
    ROWN(VCVTPS2PH, 0x1d | P3A, F_TO_RM, true, N_F16C) FMA4(VFMA132, 0x98) FMA4(VFMA213, 0xa8)
    FMA4(VFMA231, 0xb8) ROWN(AESENC, 0xdc | P38, F_VVV, false, N_AES)
    ROWN(AESENCLAST, 0xdd | P38, F_VVV, false, N_AES)
    ROWN(AESDEC, 0xde | P38, F_VVV, false, N_AES)
    ROWN(AESDECLAST, 0xdf | P38, F_VVV, false, N_AES) ROWN(AESIMC, 0xdb | P38, F_VV, false, N_AES)
    ROWN(AESKEYGENASSIST, 0xdf | P3A, F_VV, true, N_AES)
    ROWN(PCLMULQDQ, 0x44 | P3A, F_VVV, true, N_PCLMUL)
    ROWN(SHA1RNDS4, 0xcc | X_0F3A, F_SSE2, true, N_SHA)
    ROWN(SHA1NEXTE, 0xc8 | X_0F38, F_SSE2, false, N_SHA)
    ROWN(SHA1MSG1, 0xc9 | X_0F38, F_SSE2, false, N_SHA)
    ROWN(SHA1MSG2, 0xca | X_0F38, F_SSE2, false, N_SHA)
    ROWN(SHA256RNDS2, 0xcb | X_0F38, F_SSE2_0, false, N_SHA)
    ROWN(SHA256MSG1, 0xcc | X_0F38, F_SSE2, false, N_SHA)
    ROWN(SHA256MSG2, 0xcd | X_0F38, F_SSE2, false, N_SHA)
    ROWN(GF2P8MULB, 0xcf | P38, F_VVV, false, N_GFNI)
    ROWN(GF2P8AFFINEQB, 0xce | P3A | X_W, F_VVV, true, N_GFNI)
    ROWN(GF2P8AFFINEINVQB, 0xcf | P3A | X_W, F_VVV, true, N_GFNI)
};
/* clang-format on */

/* The host has what the row needs, for the op's width. */
static bool has(const struct x64_thunks *th, unsigned need, bool wide)
{
    switch (need) {
    case N_NONE:
        return true;
    case N_AVX:
        return th->avx;
    case N_AVX2:
        return th->avx2;
    case N_FMA:
        return th->fma;
    case N_F16C:
        return th->f16c;
    case N_AES:
        return th->aes && th->avx && (!wide || th->vaes);
    case N_PCLMUL:
        return th->pclmul && th->avx && (!wide || th->vpclmul);
    case N_SHA:
        return th->sha && th->avx;
    default:
        return th->gfni && th->avx;
    }
}

static const struct row *row_of(const struct gen *g, const struct ir_op *op)
{
    const struct row *r = &rows[op->aux];

    if ((op->aux == VOP_DPPS || op->aux == VOP_DPPD) && !thunks(g)->intel) {
        return NULL; /* AMD picks another NaN of two */
    }
    if (r->form == F_NONE || (g->soft_fp && (vop_table[op->aux].flags & VOPF_FP)) ||
        ((op->flags & (IR_V256 | IR_VZU)) && !thunks(g)->avx) ||
        ((op->flags & IR_V256) && !thunks(g)->avx2) ||
        !has(thunks(g), r->need, op->flags & IR_V256) || (r->form == F_BLEND && !thunks(g)->avx)) {
        return NULL;
    }
    return r;
}

static bool is_compare(const struct ir_op *op)
{
    return op->aux == VOP_CMPPS || op->aux == VOP_CMPPD || op->aux == VOP_CMPSS ||
           op->aux == VOP_CMPSD;
}

static unsigned imm8_of(const struct ir_op *op)
{
    return (unsigned)(is_compare(op) && !(op->flags & (IR_VZU | IR_V256)) ? op->imm & 7
                                                                          : op->imm & 255);
}

static void copy(struct gen *g, unsigned d, unsigned a)
{
    if (d != a) {
        if (thunks(g)->avx) {
            v_rr(&g->c, 0x28 | X_0F, d, 0, a, false);
        } else {
            x_rr(&g->c, 0x28 | X_0F, d, a);
        }
    }
}

/* The instruction, with three operands where the host has them. d may be a or b. */
static void emit3(struct gen *g, const struct row *r, unsigned d, unsigned a, unsigned b,
                  unsigned imm, bool wide)
{
    if (thunks(g)->avx) {
        v_rr(&g->c, r->op, d, a, b, wide);
    } else {
        if (d != a && d == b) { /* aside */
            unsigned t = x64_valloc(g);
            copy(g, t, b);
            b = t;
        }
        copy(g, d, a);
        x_rr(&g->c, r->op, d, b);
    }
    if (r->imm) {
        put8(&g->c, imm);
    }
}

static void gen_vop(struct gen *g, const struct ir_op *op, const struct row *r)
{
    bool wide = op->flags & IR_V256, zu = op->flags & IR_VZU;
    unsigned a = 0, b = 0, c = 0, d;
    ir_reg ra = op->a != IR_NONE ? op->a : op->d;

    switch (r->form) {
    case F_VV:
        b = x64_vuse(g, ra, wide);
        d = x64_vdef(g, op->d);
        if (thunks(g)->avx) {
            v_rr(&g->c, r->op, d, 0, b, wide);
        } else {
            x_rr(&g->c, r->op, d, b);
        }
        if (r->imm) {
            put8(&g->c, imm8_of(op));
        }
        break;
    case F_SHIFT:
        a = x64_vuse(g, ra, wide);
        d = x64_vdef(g, op->d);
        if (thunks(g)->avx) {
            v_rr(&g->c, r->op, r->ext, d, a, wide);
        } else {
            copy(g, d, a);
            x_rr(&g->c, r->op, r->ext, d);
        }
        put8(&g->c, (unsigned)op->imm & 255);
        break;
    case F_BLEND:
        a = x64_vuse(g, ra, wide);
        b = x64_vuse(g, op->b, wide);
        c = x64_vuse(g, op->c, wide);
        d = x64_vdef(g, op->d);
        v_rr(&g->c, r->op, d, a, b, wide);
        put8(&g->c, c << 4);
        break;
    case F_SWAP:
        a = x64_vuse(g, ra, wide);
        b = x64_vuse(g, op->b, wide);
        d = x64_vdef(g, op->d);
        v_rr(&g->c, r->op, d, b, a, wide);
        break;
    case F_TWICE:
        a = x64_vuse(g, ra, false);
        d = x64_vdef(g, op->d);
        v_rr(&g->c, r->op, d, a, a, true);
        put8(&g->c, 1);
        break;
    case F_TO_RM:
        a = x64_vuse(g, ra, wide);
        d = x64_vdef(g, op->d);
        v_rr(&g->c, r->op, a, 0, d, wide);
        put8(&g->c, (unsigned)op->imm & 255);
        break;
    case F_FMA: {
        /* the opcode's last digit without and with its bit for scalars: + - -+ -- +- -+ */
        static const int8_t kind[] = {[FMA_ADD] = 0,  [FMA_SUB] = 2,     [FMA_NADD] = 4,
                                      [FMA_NSUB] = 6, [FMA_ADDSUB] = -2, [FMA_SUBADD] = -1};
        a = x64_vuse(g, ra, wide);
        b = x64_vuse(g, op->b, wide);
        c = x64_vuse(g, op->c, wide);
        unsigned t = op->d == ra && op->d != op->b && op->d != op->c ? a : x64_valloc(g);
        if (t != a) {
            v_rr(&g->c, 0x28 | X_0F, t, 0, a, wide);
        }
        v_rr(&g->c, (unsigned)((int)r->op + kind[op->imm]), t, b, c, wide);
        d = x64_vdef(g, op->d);
        if (d != t) {
            v_rr(&g->c, 0x28 | X_0F, d, 0, t, wide);
        }
        break;
    }
    case F_SSE2:
    case F_SSE2_0: {
        if (r->form == F_SSE2_0 && g->vloc[op->c] != 0) { /* xmm0 for c */
            if (g->now.vheld[0] < TCG_NVREGS) {
                x64_vflush_one(g, g->now.vheld[0], true);
            }
            c = x64_vuse(g, op->c, false);
            if (c != 0) {
                v_rr(&g->c, 0x28 | X_0F, 0, 0, c, false);
            }
        }
        g->vlocked |= 1;
        a = x64_vuse(g, ra, false);
        b = x64_vuse(g, op->b, false);
        unsigned t = x64_valloc(g);
        v_rr(&g->c, 0x28 | X_0F, t, 0, a, false);
        x_rr(&g->c, r->op, t, b);
        if (r->imm) {
            put8(&g->c, imm8_of(op));
        }
        d = x64_vdef(g, op->d);
        v_rr(&g->c, 0x28 | X_0F, d, 0, t, false);
        break;
    }
    default:
        if ((op->aux == VOP_PXOR) && ra == op->b) { /* the register's old value does not count */
            d = x64_vdef(g, op->d);
            a = b = d;
        } else {
            a = x64_vuse(g, ra, wide);
            b = x64_vuse(g, op->b != IR_NONE ? op->b : op->d, wide);
            d = x64_vdef(g, op->d);
        }
        emit3(g, r, d, a, b, imm8_of(op), wide);
        break;
    }
    x64_vdone(g, op->d, d, wide || (zu && thunks(g)->avx));
}

static void gen_vopr(struct gen *g, const struct ir_op *op, const struct row *r)
{
    bool wide = op->flags & IR_V256;
    unsigned a = x64_vuse(g, op->a, wide), d;

    if (r->form == F_FLAGS) {
        unsigned b = x64_vuse(g, op->b != IR_NONE ? op->b : op->a, wide);
        x64_take(g, RAX);
        if (thunks(g)->avx) {
            v_rr(&g->c, r->op, a, 0, b, wide);
        } else {
            x_rr(&g->c, r->op, a, b);
        }
        put8(&g->c, 0x9f); /* lahf */
        put8(&g->c, 0x0f); /* movzx eax, ah */
        put8(&g->c, 0xb6);
        put8(&g->c, 0xc4);
        alu_ri(&g->c, ALU_AND, 0, RAX, 0x45);
        flags_clobbered(g);
        x64_before_write(g, op->d, NULL);
        x64_done(g, op->d, RAX);
        return;
    }
    x64_before_write(g, op->d, NULL);
    d = x64_def(g, op->d);
    if (thunks(g)->avx) {
        v_rr(&g->c, r->op, d, 0, a, wide);
    } else {
        x_rr(&g->c, r->op, d, a);
    }
    x64_done(g, op->d, d);
    if (g->zf_reg == d) {
        flags_clobbered(g);
    }
}

static void gen_vopi(struct gen *g, const struct ir_op *op, const struct row *r)
{
    unsigned b = x64_use(g, op->b), a = x64_vuse(g, op->a != IR_NONE ? op->a : op->d, false), d;

    d = x64_vdef(g, op->d);
    if (thunks(g)->avx) {
        v_rr(&g->c, r->op, d, a, b, false);
    } else {
        copy(g, d, a);
        x_rr(&g->c, r->op, d, b);
    }
    x64_vdone(g, op->d, d, (op->flags & IR_VZU) && thunks(g)->avx);
}

/* ---- by C ---- */

/* Arguments of vop functions: fpenv, d, a, b, c, imm, lanes; of those with an integer result:
 * fpenv, a, b, imm, lanes. All addresses are in the vcpu. */
static void call_c(struct gen *g, const struct ir_op *op)
{
    const struct vop_info *info = &vop_table[op->aux];
    bool integer = op->opc == IR_VOPR;
    unsigned lanes = op->flags & IR_V256 ? 2 : 1;
    ir_reg ra = op->a, rb = op->b, rc = op->c;

    if (integer) {
        rb = rb == IR_NONE ? ra : rb;
    } else {
        ra = ra == IR_NONE ? op->d : ra;
        rb = rb == IR_NONE || op->opc == IR_VOPI ? op->d : rb;
        rc = rc == IR_NONE || op->opc == IR_VOPI ? op->d : rc;
    }
    if (op->opc == IR_VOPI) {
        unsigned b = x64_use(g, op->b);
        mov_mr(&g->c, 1, slot_of(REG_VALUE), b);
        x64_unlock(g);
    }
    x64_spill_all(g, true);
    x64_vflush(g, true);
    lea(&g->c, 1, RSI, integer ? vslot_of(ra) : vslot_of(op->d));
    lea(&g->c, 1, RDX, integer ? vslot_of(rb) : vslot_of(ra));
    if (integer) {
        mov_ri(&g->c, RCX, (uint32_t)op->imm);
        mov_ri(&g->c, RAX, lanes);
    } else {
        lea(&g->c, 1, RCX, vslot_of(rb));
        lea(&g->c, 1, RAX, vslot_of(rc));
        if (op->opc == IR_VOPI) {
            mov_rm(&g->c, 1, RDI, slot_of(REG_VALUE));
        } else {
            mov_ri(&g->c, RDI, (uint32_t)op->imm);
        }
        mov_mr(&g->c, 1, slot_of(REG_VA), RDI);
        mov_mi(&g->c, 1, slot_of(REG_VALUE), (int32_t)lanes);
    }
    mov_ri(&g->c, RDI,
           x64_helper_index(g, integer ? (const void *)(uintptr_t)info->fn_r
                                       : (const void *)(uintptr_t)info->fn));
    x64_call_thunk(g, thunks(g)->vop);
    mov_rm(&g->c, 1, HOST_TLB, env_at(offsetof(struct vcpu, tlb) + g->ir->ctx * sizeof(void *)));
    flags_clobbered(g);
    if (integer) {
        x64_take(g, RAX);
        if (op->w == W32) {
            mov_rr(&g->c, 0, RAX, RAX);
        }
        x64_before_write(g, op->d, NULL);
        x64_done(g, op->d, RAX);
    } else if ((op->flags & IR_VZU) && lanes == 1) {
        mov_mi(&g->c, 1, at(HOST_VCPU, vslot_of(op->d).disp + 16), 0);
        mov_mi(&g->c, 1, at(HOST_VCPU, vslot_of(op->d).disp + 24), 0);
    }
}

/* ---- moves and elements ---- */

static void gen_vmov(struct gen *g, const struct ir_op *op)
{
    bool wide = op->flags & IR_V256, zu = op->flags & IR_VZU;
    unsigned a = x64_vuse(g, op->a, wide), d;

    if (op->a == op->d && !zu) {
        return;
    }
    d = x64_vdef(g, op->d);
    if (wide) {
        v_rr(&g->c, 0x28 | X_0F, d, 0, a, true);
    } else if (zu || d != a) {
        if (thunks(g)->avx) {
            v_rr(&g->c, 0x28 | X_0F, d, 0, a, false);
        } else {
            copy(g, d, a);
        }
    }
    x64_vdone(g, op->d, d, wide || (zu && thunks(g)->avx));
    if (zu && !thunks(g)->avx) {
        mov_mi(&g->c, 1, at(HOST_VCPU, vslot_of(op->d).disp + 16), 0);
        mov_mi(&g->c, 1, at(HOST_VCPU, vslot_of(op->d).disp + 24), 0);
    }
}

static void gen_vget(struct gen *g, const struct ir_op *op)
{
    unsigned size = op->aux & MO_SIZE, n = (unsigned)op->imm, d;
    bool sign = (op->aux & MO_SIGN) && size < MO_64;

    if (n == 0 && size >= MO_32 && !sign) { /* movd, movq */
        unsigned a = x64_vuse(g, op->a, false);
        x64_before_write(g, op->d, NULL);
        d = x64_def(g, op->d);
        if (thunks(g)->avx) {
            v_rr(&g->c, 0x7e | P66 | wbit(size == MO_64), a, 0, d, false);
        } else {
            x_rr(&g->c, 0x7e | P66 | wbit(size == MO_64), a, d);
        }
    } else {
        struct mem m = vslot_of(op->a);
        static const uint8_t ext[] = {0xbe, 0xbf};
        x64_vflush_one(g, op->a, false);
        m.disp += (int32_t)(n << size);
        x64_before_write(g, op->d, NULL);
        d = x64_def(g, op->d);
        if (size <= MO_16) {
            x_rm(&g->c, (sign ? ext[size] : ext[size] - 8u) | X_0F | wbit(sign), d, m);
        } else if (size == MO_32 && sign) {
            x_rm(&g->c, 0x63 | X_W, d, m);
        } else {
            mov_rm(&g->c, size == MO_64, d, m);
        }
    }
    x64_done(g, op->d, d);
    if (g->zf_reg == d) {
        flags_clobbered(g);
    }
}

static void gen_vset(struct gen *g, const struct ir_op *op)
{
    static const unsigned code[] = {0x20 | P3A, 0xc4 | P66, 0x22 | P3A, 0x22 | P3A | X_W};
    unsigned size = op->aux & MO_SIZE, n = (unsigned)op->imm, b, a, d;
    ir_reg ra = op->a != IR_NONE ? op->a : op->d;

    if (n << size >= 16) { /* in the upper half: by memory */
        struct mem m = vslot_of(op->d);
        x64_vflush_one(g, ra, true);
        x64_vflush_one(g, op->d, true);
        b = x64_use(g, op->b);
        if (ra != op->d) {
            a = x64_vuse(g, ra, true);
            v_store(g, a, m, MO_256);
        }
        m.disp += (int32_t)(n << size);
        x_rm(&g->c,
             size == MO_8    ? 0x88 | X_BYTE
             : size == MO_16 ? 0x89 | X_66
                             : 0x89 | wbit(size == MO_64),
             b, m);
        return;
    }
    b = x64_use(g, op->b);
    a = x64_vuse(g, ra, false);
    d = x64_vdef(g, op->d);
    if (thunks(g)->avx) {
        v_rr(&g->c, code[size], d, a, b, false);
    } else {
        copy(g, d, a);
        x_rr(&g->c, code[size], d, b);
    }
    put8(&g->c, n);
    x64_vdone(g, op->d, d, (op->flags & IR_VZU) && thunks(g)->avx);
}

void x64_gen_vector(struct gen *g, const struct ir_op *op)
{
    const struct row *r;
    unsigned x;

    switch (op->opc) {
    case IR_VMOV:
        gen_vmov(g, op);
        break;
    case IR_VZERO: {
        bool wide = op->flags & (IR_V256 | IR_VZU);
        x = x64_vdef(g, op->d);
        if (thunks(g)->avx) {
            v_rr(&g->c, 0xef | P66, x, x, x, false);
        } else {
            x_rr(&g->c, 0xef | P66, x, x);
        }
        x64_vdone(g, op->d, x, wide);
        break;
    }
    case IR_VLDENV:
        x = x64_vdef(g, op->d);
        v_load(g, x, env_at((size_t)op->imm), op->aux & MO_SIZE);
        x64_vdone(g, op->d, x,
                  (op->aux & MO_SIZE) == MO_256 || ((op->flags & IR_VZU) && thunks(g)->avx));
        break;
    case IR_VSTENV:
        x = x64_vuse(g, op->b, (op->aux & MO_SIZE) == MO_256);
        v_store(g, x, env_at((size_t)op->imm), op->aux & MO_SIZE);
        break;
    case IR_VGET:
        gen_vget(g, op);
        break;
    case IR_VSET:
        gen_vset(g, op);
        break;
    case IR_VOP:
        r = row_of(g, op);
        if (r) {
            gen_vop(g, op, r);
        } else {
            call_c(g, op);
        }
        break;
    case IR_VOPR:
        r = row_of(g, op);
        if (r) {
            gen_vopr(g, op, r);
        } else {
            call_c(g, op);
        }
        break;
    default:
        r = row_of(g, op);
        if (r) {
            gen_vopi(g, op, r);
        } else {
            call_c(g, op);
        }
        break;
    }
}
#endif
