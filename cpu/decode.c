/* The decoder (SDM volume 2, chapter 2): prefixes, opcode, ModRM, SIB, displacement, immediates.
 * What an opcode means is in the tables of cpu/opcodes/: one row an instruction form.
 *
 * Left out: EVEX and XOP encodings (undefined for the CPU models there are). That VEX is undefined
 * in real and V86 mode is the translator's to tell. */
#include "cpu/decode.h"
#include "cpu/cpuid.h"
#include "cpu/x86.h"

#include <string.h>

/* ---- operand forms ---- */

enum where {
    W_NONE,
    W_RM,
    W_REG,
    W_RM_MEM1,
    W_RM_MEM2,
    W_RMREG,
    W_MEM,
    W_OPREG,
    W_ACC,
    W_CL,
    W_DX,
    W_ONE,
    W_IMM8,
    W_IMM8S,
    W_IMM16,
    W_IMMZ,
    W_IMMV,
    W_IMM8_2,
    W_REL8,
    W_RELZ,
    W_FARPTR,
    W_MOFFS,
    W_SEGREG,
    W_SEG0,
    W_SEG1,
    W_SEG2,
    W_SEG3,
    W_SEG4,
    W_SEG5,
    W_CREG,
    W_DREG,
    W_STRSRC,
    W_STRDST,
    W_ST0,
    W_STI,
    W_VREG,
    W_VRM,
    W_VRMREG,
    W_MREG,
    W_MRM,
    W_MRMREG,
    W_XMM0,
    W_HREG,
    W_HGPR,
    W_IS4,
};
/* Sizes beside numbers of bytes: V operand size, Z the same but 4 for 8, Y 4 or 8 by REX.W, M 4 or
 * 8 by mode, FAR a far pointer of the operand size, L 16 or 32 by VEX.L, Ln the nth part of it. */
enum { SIZE_V = 0x40, SIZE_Z, SIZE_Y, SIZE_M, SIZE_FAR, SIZE_L, SIZE_L2, SIZE_L4, SIZE_L8 };
#define S_V   SIZE_V
#define S_Z   SIZE_Z
#define S_Y   SIZE_Y
#define S_M   SIZE_M
#define S_FAR SIZE_FAR
#define S_0   0
#define S_1   1
#define S_2   2
#define S_4   4
#define S_8   8
#define S_10  10
#define S_16  16
#define S_L   SIZE_L
#define S_L2  SIZE_L2
#define S_L4  SIZE_L4
#define S_L8  SIZE_L8

/* Forms that are in ModRM; of them those that are a register whatever ModRM.mod; those of VEX.vvvv;
 * and registers of which not all numbers exist. */
#define SET(where)     (UINT64_C(1) << (where))
#define IN(set, where) ((set) >> (where)&1)
#define REG_FORMS      (SET(W_RMREG) | SET(W_VRMREG) | SET(W_MRMREG) | SET(W_STI))
#define SPECIAL_FORMS  (SET(W_SEGREG) | SET(W_CREG) | SET(W_DREG))
#define MODRM_FORMS                                                                                \
    (SET(W_RM) | SET(W_REG) | SET(W_RM_MEM1) | SET(W_RM_MEM2) | SET(W_MEM) | SET(W_VREG) |         \
     SET(W_VRM) | SET(W_MREG) | SET(W_MRM) | REG_FORMS | SPECIAL_FORMS)
#define VVVV_FORMS (SET(W_HREG) | SET(W_HGPR))

enum form_code {
#define FORM(name, where, size) FORM_##name,
#include "cpu/opcodes/forms.def"
#undef FORM
};

static const struct form {
    const char *name;
    uint8_t where, size;
} forms[] = {
#define FORM(name, where, size) {#name, W_##where, S_##size},
#include "cpu/opcodes/forms.def"
#undef FORM
};

/* ---- rows ---- */

enum { MAP_3DNOW = 4, MAP_VEX = 8 /* and the number in the prefix */ };

enum prefix_rule { ANY, NP, P66, F3, F2, NO_REP /* neither F2 nor F3 */ };

/* More attributes than decode.h tells: what an encoding must look like to be the row's. */
enum {
    AT_MEM = 0x10000, /* ModRM names memory */
    AT_REG = 0x20000, /* ModRM names a register */
    AT_W0 = 0x40000,
    AT_W1 = 0x80000,
    AT_NOREXB = 0x100000, /* not with REX.B: NOP beside XCHG R8 */
    AT_CRDR = 0x200000,   /* mod is ignored: always a register */
    AT_LAHF = 0x400000, /* in 64-bit mode only with the LAHF feature: always there in our models */
    AT_XLAT = 0x800000,
    AT_L0 = 0x1000000, /* VEX.L */
    AT_L1 = 0x2000000,
    AT_VSIB = 0x4000000,  /* the index is a vector register of the vector length */
    AT_VSIBX = 0x8000000, /* the index is an XMM register */
    /* from the operand forms: */
    AT_MODRM = 0x10000000,
    AT_VVVV = 0x20000000,    /* VEX.vvvv is an operand */
    AT_SPECIAL = 0x40000000, /* segment, control or debug register */
};

/* What an operand form says of the row's encoding. */
enum {
#define FORM(name, where, size)                                                                    \
    SHAPE_##name = (IN(MODRM_FORMS, W_##where) ? AT_MODRM : 0) |                                   \
                   (IN(REG_FORMS, W_##where) ? AT_REG : 0) | (W_##where == W_MEM ? AT_MEM : 0) |   \
                   (IN(VVVV_FORMS, W_##where) ? AT_VVVV : 0) |                                     \
                   (IN(SPECIAL_FORMS, W_##where) ? AT_SPECIAL : 0),
#include "cpu/opcodes/forms.def"
#undef FORM
};

#define FX(o, s, z, a, p, c) ((o) | (s) << 3 | (z) << 6 | (a) << 9 | (p) << 12 | (c) << 15)
#define F_ALL                FX(FE_W, FE_W, FE_W, FE_W, FE_W, FE_W)
#define F_LOGIC              FX(FE_0, FE_W, FE_W, FE_U, FE_W, FE_0)
#define F_ADC                FX(FE_W, FE_W, FE_W, FE_W, FE_W, FE_RW)
#define F_INC                FX(FE_W, FE_W, FE_W, FE_W, FE_W, FE_NONE)
#define F_MUL                FX(FE_W, FE_U, FE_U, FE_U, FE_U, FE_W)
#define F_UNDEF              FX(FE_U, FE_U, FE_U, FE_U, FE_U, FE_U)
#define F_SHIFT              FX(FE_U, FE_W, FE_W, FE_U, FE_W, FE_W)
#define F_ROT                FX(FE_U, FE_NONE, FE_NONE, FE_NONE, FE_NONE, FE_W)
#define F_RCL                FX(FE_U, FE_NONE, FE_NONE, FE_NONE, FE_NONE, FE_RW)
#define F_BT                 FX(FE_U, FE_U, FE_NONE, FE_U, FE_U, FE_W)
#define F_BSF                FX(FE_U, FE_U, FE_W, FE_U, FE_U, FE_U)
#define F_ZCNT               FX(FE_U, FE_U, FE_W, FE_U, FE_U, FE_W)
#define F_POPCNT             FX(FE_0, FE_0, FE_W, FE_0, FE_0, FE_0)
#define F_DAA                FX(FE_U, FE_W, FE_W, FE_RW, FE_W, FE_RW)
#define F_AAA                FX(FE_U, FE_U, FE_U, FE_RW, FE_U, FE_W)
#define F_AAM                FX(FE_U, FE_W, FE_W, FE_U, FE_W, FE_U)
#define F_CC                 FX(FE_R, FE_R, FE_R, FE_NONE, FE_R, FE_R)
#define F_READ               FX(FE_R, FE_R, FE_R, FE_R, FE_R, FE_R)
#define F_SAHF               FX(FE_NONE, FE_W, FE_W, FE_W, FE_W, FE_W)
#define F_LAHF               FX(FE_NONE, FE_R, FE_R, FE_R, FE_R, FE_R)
#define F_Z                  FX(FE_NONE, FE_NONE, FE_W, FE_NONE, FE_NONE, FE_NONE)
#define F_RZ                 FX(FE_NONE, FE_NONE, FE_R, FE_NONE, FE_NONE, FE_NONE)
#define F_CMC                FX(FE_NONE, FE_NONE, FE_NONE, FE_NONE, FE_NONE, FE_RW)
#define F_CF0                FX(FE_NONE, FE_NONE, FE_NONE, FE_NONE, FE_NONE, FE_0)
#define F_CF1                FX(FE_NONE, FE_NONE, FE_NONE, FE_NONE, FE_NONE, FE_1)
#define F_CFONLY             FX(FE_0, FE_0, FE_0, FE_0, FE_0, FE_W)
#define F_COMI               FX(FE_0, FE_0, FE_W, FE_0, FE_W, FE_W)
#define F_PTEST              FX(FE_0, FE_0, FE_W, FE_0, FE_0, FE_W)
#define F_ANDN               FX(FE_0, FE_W, FE_W, FE_U, FE_U, FE_0)
#define F_BLS                FX(FE_0, FE_W, FE_W, FE_U, FE_U, FE_W)
#define F_BEXTR              FX(FE_0, FE_U, FE_W, FE_U, FE_U, FE_0)
#define F_STR                FX(FE_W, FE_W, FE_W, FE_0, FE_0, FE_W)

/* clang-format off */
static const struct x86_opcode rows[] = {
#define INSN(map, op, pfx, reg, name, o1, o2, o3, o4, feature, fl, at)                             \
    {MN_##name, X86F_##feature, map, op, pfx, reg, {FORM_##o1, FORM_##o2, FORM_##o3, FORM_##o4}, fl, \
     (at) | SHAPE_##o1 | SHAPE_##o2 | SHAPE_##o3 | SHAPE_##o4 | ((reg) >= 0 ? AT_MODRM : 0)},
#include "cpu/opcodes/map_1byte.def"
#include "cpu/opcodes/map_0f.def"
#include "cpu/opcodes/map_0f38.def"
#include "cpu/opcodes/map_0f3a.def"
#include "cpu/opcodes/map_0f0f.def"
#include "cpu/opcodes/x87.def"
#include "cpu/opcodes/vex_0f.def"
#include "cpu/opcodes/vex_0f38.def"
#include "cpu/opcodes/vex_0f3a.def"
#undef INSN
};
enum { NROWS = sizeof(rows) / sizeof(rows[0]) };

/* The last row of each opcode, and 1 more: of an element's several values the last one counts. The
 * rows of an opcode stand together. */
#pragma GCC diagnostic push
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#else
#pragma GCC diagnostic ignored "-Woverride-init"
#endif
enum { FIRST_COUNTER = __COUNTER__ };
static const uint16_t last_row[12 << 8] = {
#define INSN(map, op, pfx, reg, name, o1, o2, o3, o4, feature, fl, at)                             \
    [(map) << 8 | (op)] = __COUNTER__ - FIRST_COUNTER,
#include "cpu/opcodes/map_1byte.def"
#include "cpu/opcodes/map_0f.def"
#include "cpu/opcodes/map_0f38.def"
#include "cpu/opcodes/map_0f3a.def"
#include "cpu/opcodes/map_0f0f.def"
#include "cpu/opcodes/x87.def"
#include "cpu/opcodes/vex_0f.def"
#include "cpu/opcodes/vex_0f38.def"
#include "cpu/opcodes/vex_0f3a.def"
#undef INSN
};
#pragma GCC diagnostic pop
/* clang-format on */

unsigned x86_opcode_count(void)
{
    return NROWS;
}

const struct x86_opcode *x86_opcode_row(unsigned n)
{
    return &rows[n];
}

const char *x86_operand_form(unsigned code)
{
    return code < sizeof(forms) / sizeof(forms[0]) ? forms[code].name : "?";
}

static const char *const mnemonic_names[] = {
    "(invalid)",
#define M(id, name) name,
#include "cpu/mnemonics.def"
#undef M
};

const char *x86_mnemonic_name(enum x86_mnemonic m)
{
    return m < MN_COUNT ? mnemonic_names[m] : "?";
}

/* ---- reading bytes ---- */

struct reader {
    const uint8_t *p;
    unsigned pos, avail;
    bool more; /* ran out of bytes */
};

static uint64_t get(struct reader *r, unsigned n)
{
    uint64_t v = 0;

    if (r->pos + n > r->avail) {
        r->more = true;
        r->pos = r->avail + 1;
        return 0;
    }
    for (unsigned i = 0; i < n; i++) {
        v |= (uint64_t)r->p[r->pos + i] << 8 * i;
    }
    r->pos += n;
    return v;
}

static int64_t get_signed(struct reader *r, unsigned n)
{
    unsigned shift = 64 - 8 * n;
    return (int64_t)(get(r, n) << shift) >> shift;
}

/* ---- ModRM ---- */

static void memory_16(struct reader *r, struct x86_insn *i)
{
    static const uint8_t base[8] = {X86_RBX, X86_RBX, X86_RBP, X86_RBP,
                                    X86_RSI, X86_RDI, X86_RBP, X86_RBX};
    static const uint8_t index[8] = {X86_RSI,   X86_RDI,   X86_RSI,   X86_RDI,
                                     X86_NOREG, X86_NOREG, X86_NOREG, X86_NOREG};
    unsigned mod = i->modrm >> 6, rm = i->modrm & 7;

    if (mod == 0 && rm == 6) {
        i->disp = get_signed(r, 2);
        return;
    }
    i->base = base[rm];
    i->index = index[rm];
    if (mod) {
        i->disp = get_signed(r, mod);
    }
}

static void memory_32(struct reader *r, struct x86_insn *i, enum x86_bits bits)
{
    unsigned mod = i->modrm >> 6, rm = i->modrm & 7;
    unsigned b = (i->rex & 1) << 3, x = (i->rex & 2) << 2;

    if (rm == 4) {
        uint8_t sib = (uint8_t)get(r, 1);
        unsigned index = (sib >> 3 & 7) | x;
        i->scale = sib >> 6;
        i->index = index == 4 ? X86_NOREG : (uint8_t)index;
        rm = sib & 7;
        if (rm == 5 && mod == 0) {
            i->disp = get_signed(r, 4);
            return;
        }
    } else if (rm == 5 && mod == 0) {
        i->base = bits == X86_64 ? X86_RIPREG : X86_NOREG;
        i->disp = get_signed(r, 4);
        return;
    }
    i->base = (uint8_t)(rm | b);
    if (mod == 1) {
        i->disp = get_signed(r, 1);
    } else if (mod == 2) {
        i->disp = get_signed(r, 4);
    }
}

/* ---- matching ---- */

struct prefixes {
    bool opsize, addrsize, lock;
    uint8_t rep;   /* last of F2, F3; 0: none */
    int seg;       /* -1: none */
    uint8_t vvvv;  /* VEX: a register */
    bool vvvv_set; /* it is not 1111b */
    bool conflict; /* VEX behind a prefix that it has in itself, LOCK or REX */
};

/* What the fields of VEX must be beside W: L, vvvv unused, a SIB byte. */
static bool vex_matches(const struct x86_opcode *row, const struct x86_insn *i,
                        const struct prefixes *p)
{
    if (row->attr & (i->vex_l ? AT_L0 : AT_L1)) {
        return false;
    }
    if ((row->attr & (AT_VSIB | AT_VSIBX)) && ((i->modrm & 7) != 4 || i->addrsize == 2)) {
        return false;
    }
    return (row->attr & AT_VVVV) || !p->vvvv_set;
}

/* Six segment registers, of which CS is not written; CR0, CR2, CR3, CR4 and CR8; DR0 to DR7 (DR4
 * and DR5 depend on CR4.DE, which is not known here). */
static bool register_exists(const struct x86_opcode *row, const struct x86_insn *i)
{
    unsigned reg = i->modrm >> 3 & 7, extended = reg | (i->rex & 4) << 1;

    for (unsigned n = 0; n < 2; n++) {
        switch (forms[row->operand[n]].where) {
        case W_SEGREG:
            return reg <= SEG_GS && (n != 0 || reg != SEG_CS);
        case W_CREG:
            return extended < 9 && (0x11d >> extended & 1);
        case W_DREG:
            return extended < 8;
        default:
            break;
        }
    }
    return true;
}

static bool matches(const struct x86_opcode *row, const struct x86_insn *i,
                    const struct prefixes *p, enum x86_bits bits)
{
    bool reg = i->modrm >> 6 == 3 || (row->attr & AT_CRDR);

    switch (row->prefix) {
    case NP:
        if (p->rep || p->opsize) {
            return false;
        }
        break;
    case P66:
        if (p->rep || !p->opsize) {
            return false;
        }
        break;
    case F3:
    case F2:
        if (p->rep != (row->prefix == F3 ? 0xf3 : 0xf2)) {
            return false;
        }
        break;
    case NO_REP:
        if (p->rep) {
            return false;
        }
        break;
    default:
        break;
    }
    if ((row->attr & AT_NO64 && bits == X86_64) || (row->attr & AT_ONLY64 && bits != X86_64) ||
        (row->attr & AT_W0 && i->rex_w) || (row->attr & AT_W1 && !i->rex_w) ||
        (row->attr & AT_NOREXB && (i->rex & 1))) {
        return false;
    }
    if (i->vex && !vex_matches(row, i, p)) {
        return false;
    }
    if (row->modrm_reg >= 8) {
        return (i->modrm & 0x3f) == row->modrm_reg - 8 && reg;
    }
    if ((row->modrm_reg >= 0 && (i->modrm >> 3 & 7) != row->modrm_reg) ||
        ((row->attr & AT_MEM) && reg) || ((row->attr & AT_REG) && !reg)) {
        return false;
    }
    return !(row->attr & AT_SPECIAL) || register_exists(row, i);
}

/* ---- operands ---- */

static uint8_t size_of(unsigned code, const struct x86_insn *i, enum x86_bits bits)
{
    switch (code) {
    case SIZE_V:
        return i->opsize;
    case SIZE_Z:
        return i->opsize == 2 ? 2 : 4;
    case SIZE_Y:
        return i->rex_w && bits == X86_64 ? 8 : 4;
    case SIZE_M:
        return bits == X86_64 ? 8 : 4;
    case SIZE_FAR:
        return (uint8_t)(i->opsize + 2);
    case SIZE_L:
        return (uint8_t)(16 << i->vex_l);
    case SIZE_L2:
        return (uint8_t)(8 << i->vex_l);
    case SIZE_L4:
        return (uint8_t)(4 << i->vex_l);
    case SIZE_L8:
        return (uint8_t)(2 << i->vex_l);
    default:
        return (uint8_t)code;
    }
}

static void set_gpr(struct x86_operand *o, unsigned reg, const struct x86_insn *i)
{
    o->kind = OP_GPR;
    o->reg = (uint8_t)reg;
    if (o->size == 1 && !i->rex && reg >= 4 && reg < 8) {
        o->reg = (uint8_t)(reg - 4);
        o->high8 = true;
    }
}

static void set_rm(struct x86_operand *o, const struct x86_insn *i, uint8_t reg_kind, unsigned reg)
{
    if (i->modrm >> 6 != 3) {
        o->kind = OP_MEM;
    } else if (reg_kind == OP_GPR) {
        set_gpr(o, reg, i);
    } else {
        o->kind = reg_kind;
        o->reg = (uint8_t)reg;
    }
}

static void fill_operand(struct x86_insn *i, unsigned n, unsigned form, struct reader *r,
                         const struct prefixes *p, enum x86_bits bits)
{
    struct x86_operand *o = &i->op[n];
    const struct form *f = &forms[form];
    unsigned reg = (i->modrm >> 3 & 7) | (i->rex & 4) << 1, rm = (i->modrm & 7) | (i->rex & 1) << 3;
    uint8_t size = size_of(f->size, i, bits);

    o->size = size;
    switch ((enum where)f->where) {
    case W_NONE:
        break;
    case W_RM:
        set_rm(o, i, OP_GPR, rm);
        break;
    case W_RM_MEM1:
    case W_RM_MEM2:
        if (i->modrm >> 6 != 3) {
            o->size = f->where == W_RM_MEM1 ? 1 : 2;
        }
        set_rm(o, i, OP_GPR, rm);
        break;
    case W_RMREG:
        set_gpr(o, rm, i);
        break;
    case W_REG:
        set_gpr(o, reg, i);
        break;
    case W_MEM:
        o->kind = OP_MEM;
        break;
    case W_OPREG:
        set_gpr(o, (i->opcode & 7u) | (i->rex & 1) << 3, i);
        break;
    case W_ACC:
        o->kind = OP_GPR;
        break;
    case W_CL:
        o->kind = OP_GPR;
        o->reg = X86_RCX;
        break;
    case W_DX:
        o->kind = OP_GPR;
        o->reg = X86_RDX;
        break;
    case W_ONE:
        o->kind = OP_ONE;
        break;
    case W_IMM8:
        o->kind = OP_IMM;
        i->imm = (int64_t)get(r, 1);
        break;
    case W_IMM8S:
        o->kind = OP_IMM;
        i->imm = get_signed(r, 1);
        break;
    case W_IMM16:
        o->kind = OP_IMM;
        i->imm = (int64_t)get(r, 2);
        break;
    case W_IMMZ:
        o->kind = OP_IMM;
        i->imm = get_signed(r, i->opsize == 2 ? 2 : 4);
        break;
    case W_IMMV:
        o->kind = OP_IMM;
        i->imm = get_signed(r, i->opsize);
        break;
    case W_IMM8_2:
        o->kind = OP_IMM2;
        i->imm2 = (uint32_t)get(r, 1);
        break;
    case W_REL8:
        o->kind = OP_REL;
        i->imm = get_signed(r, 1);
        break;
    case W_RELZ:
        o->kind = OP_REL;
        i->imm = get_signed(r, i->opsize == 2 ? 2 : 4);
        break;
    case W_FARPTR:
        o->kind = OP_FAR;
        i->imm = (int64_t)get(r, i->opsize == 2 ? 2 : 4);
        i->imm2 = (uint32_t)get(r, 2);
        break;
    case W_MOFFS:
        o->kind = OP_MOFFS;
        i->disp = (int64_t)get(r, i->addrsize);
        break;
    case W_SEGREG:
        o->kind = OP_SEG;
        o->reg = i->modrm >> 3 & 7;
        break;
    case W_SEG0:
    case W_SEG1:
    case W_SEG2:
    case W_SEG3:
    case W_SEG4:
    case W_SEG5:
        o->kind = OP_SEG;
        o->reg = (uint8_t)(f->where - W_SEG0);
        break;
    case W_CREG:
    case W_DREG:
        o->kind = f->where == W_CREG ? OP_CR : OP_DR;
        o->reg = (uint8_t)reg;
        break;
    case W_STRSRC:
        o->kind = OP_STR_SRC;
        break;
    case W_STRDST:
        o->kind = OP_STR_DST;
        break;
    case W_ST0:
        o->kind = OP_ST;
        break;
    case W_STI:
        o->kind = OP_ST;
        o->reg = i->modrm & 7;
        break;
    case W_VREG:
    case W_VRMREG:
        o->kind = OP_XMM;
        o->reg = (uint8_t)(f->where == W_VREG ? reg : rm);
        break;
    case W_VRM:
        set_rm(o, i, OP_XMM, rm);
        break;
    case W_HREG:
        o->kind = OP_XMM;
        o->reg = p->vvvv;
        break;
    case W_HGPR:
        set_gpr(o, p->vvvv, i);
        break;
    case W_IS4:
        o->kind = OP_XMM;
        o->reg = (uint8_t)(get(r, 1) >> 4) & (bits == X86_64 ? 15 : 7);
        break;
    case W_MREG:
    case W_MRMREG:
        o->kind = OP_MMX;
        o->reg = (f->where == W_MREG ? reg : rm) & 7;
        break;
    case W_MRM:
        set_rm(o, i, OP_MMX, rm & 7);
        break;
    case W_XMM0:
        o->kind = OP_XMM;
        break;
    }
}

/* ---- the whole ---- */

static void read_prefixes(struct reader *r, struct prefixes *p, struct x86_insn *i,
                          enum x86_bits bits)
{
    for (;;) {
        uint8_t b = (uint8_t)get(r, 1);
        if (r->more) {
            return;
        }
        switch (b) {
        case 0x66:
            p->opsize = true;
            break;
        case 0x67:
            p->addrsize = true;
            break;
        case 0xf0:
            p->lock = true;
            break;
        case 0xf2:
        case 0xf3:
            p->rep = b;
            break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
            if (bits != X86_64) { /* the null prefixes of 64-bit mode */
                p->seg = b >> 3 & 3;
            }
            break;
        case 0x64:
        case 0x65:
            p->seg = SEG_FS + (b & 1);
            break;
        default:
            if (bits == X86_64 && (b & 0xf0) == 0x40) {
                i->rex = b;
                continue; /* counts only when the opcode follows at once */
            }
            r->pos--;
            return;
        }
        i->rex = 0;
        if (r->pos > 15) {
            return;
        }
    }
}

static uint8_t operand_size(const struct x86_opcode *row, const struct x86_insn *i,
                            const struct prefixes *p, enum x86_bits bits)
{
    if (i->vex) {
        return i->rex_w && bits == X86_64 ? 8 : 4;
    }
    if (bits == X86_16) {
        return p->opsize ? 4 : 2;
    }
    if (bits == X86_32) {
        return p->opsize ? 2 : 4;
    }
    if (row->attr & AT_F64) {
        return 8;
    }
    if (i->rex_w) {
        return 8;
    }
    if (p->opsize) {
        return 2;
    }
    return row->attr & AT_D64 ? 8 : 4;
}

static const struct x86_opcode *find_row(struct x86_insn *i, const struct prefixes *p,
                                         struct reader *r, enum x86_bits bits)
{
    unsigned end = last_row[i->map << 8 | i->opcode], n = end;

    if (!end) {
        return NULL;
    }
    while (n && rows[n - 1].map == i->map && rows[n - 1].opcode == i->opcode) {
        n--;
    }
    if (rows[n].attr & AT_MODRM) { /* as all rows of the opcode */
        i->has_modrm = true;
        i->modrm = (uint8_t)get(r, 1);
    }
    for (; n < end; n++) {
        if (matches(&rows[n], i, p, bits)) {
            return &rows[n];
        }
    }
    return NULL;
}

/* C5: R vvvv L pp; C4: R X B mmmmm, W vvvv L pp; R, X, B and vvvv inverted (2.3.5). */
static void read_vex(struct reader *r, struct x86_insn *i, struct prefixes *p, enum x86_bits bits)
{
    static const uint8_t rep[4] = {0, 0, 0xf3, 0xf2};
    uint8_t first = (uint8_t)get(r, 1), last = first, map = 1;

    p->conflict = p->opsize || p->rep || p->lock || i->rex;
    i->vex = true;
    i->rex = 0x40 | (~first >> 5 & 4);
    i->rex_w = false;
    if (i->opcode == 0xc4) {
        map = first & 31;
        last = (uint8_t)get(r, 1);
        i->rex |= ~first >> 5 & 3;
        i->rex_w = last >> 7;
        i->rex |= i->rex_w << 3;
    }
    p->vvvv = ~last >> 3 & 15;
    p->vvvv_set = p->vvvv != 0;
    i->vex_l = last >> 2 & 1;
    p->opsize = (last & 3) == 1;
    p->rep = rep[last & 3];
    if (bits != X86_64) { /* B, W and the top of vvvv are ignored for register numbers and sizes */
        i->rex = 0;
        p->vvvv &= 7;
    }
    p->conflict |= map == 0 || map > 3;
    i->map = (uint8_t)(MAP_VEX + map);
    i->opcode = (uint8_t)get(r, 1);
}

/* Outside of 64-bit mode VEX is LES or LDS with a register where memory must be. */
static bool is_vex(const struct reader *r, enum x86_bits bits)
{
    return bits == X86_64 || (r->pos < r->avail && r->p[r->pos] >> 6 == 3);
}

static void read_opcode(struct reader *r, struct x86_insn *i, struct prefixes *p,
                        enum x86_bits bits)
{
    i->opcode = (uint8_t)get(r, 1);
    if ((i->opcode == 0xc4 || i->opcode == 0xc5) && !r->more && is_vex(r, bits)) {
        read_vex(r, i, p, bits);
    } else if (i->opcode == 0x0f) {
        i->map = 1;
        i->opcode = (uint8_t)get(r, 1);
        if (i->opcode == 0x0f) {
            i->map = MAP_3DNOW; /* what it is comes last: find_3dnow */
        } else if (i->opcode == 0x38 || i->opcode == 0x3a) {
            i->map = i->opcode == 0x38 ? 2 : 3;
            i->opcode = (uint8_t)get(r, 1);
        }
    } else if ((i->opcode & 0xf8) == 0xd8) {
        i->map = 8;
    }
}

static void decode_memory(struct x86_insn *i, struct reader *r, const struct x86_opcode *row,
                          enum x86_bits bits)
{
    if (!i->has_modrm || i->modrm >> 6 == 3 || (row->attr & AT_CRDR)) {
        return;
    }
    if (i->addrsize == 2) {
        memory_16(r, i);
    } else {
        memory_32(r, i, bits);
        if (row->attr & (AT_VSIB | AT_VSIBX)) { /* all 16 can be the index */
            i->vsib = (uint8_t)(row->attr & AT_VSIB ? 16 << i->vex_l : 16);
            i->index = i->index == X86_NOREG ? 4 : i->index;
        }
    }
}

static void choose_segment(struct x86_insn *i, const struct prefixes *p)
{
    i->seg = i->base == X86_RSP || i->base == X86_RBP ? SEG_SS : SEG_DS;
    if (p->seg >= 0) {
        i->seg = (uint8_t)p->seg;
        i->seg_override = true;
    }
}

/* A gather's destination, index and mask are three registers. */
static bool gather_registers(const struct x86_insn *i)
{
    return i->op[0].reg != i->op[2].reg && i->op[0].reg != i->index && i->op[2].reg != i->index;
}

static bool lock_allowed(const struct x86_insn *i)
{
    return (i->row->attr & AT_LOCK) && i->op[0].kind == OP_MEM;
}

static const struct x86_opcode *find_3dnow(struct x86_insn *i, struct reader *r, enum x86_bits bits)
{
    static const struct x86_opcode plain = {.attr = 0};

    i->has_modrm = true;
    i->modrm = (uint8_t)get(r, 1);
    decode_memory(i, r, &plain, bits);
    i->opcode = (uint8_t)get(r, 1);
    unsigned end = last_row[MAP_3DNOW << 8 | i->opcode];
    return r->more || !end ? NULL : &rows[end - 1];
}

enum x86_decode_result x86_decode(const uint8_t *bytes, unsigned avail, enum x86_bits bits,
                                  struct x86_insn *i)
{
    struct reader r = {bytes, 0, avail, false};
    struct prefixes p = {.seg = -1};

    memset(i, 0, sizeof(*i));
    i->base = i->index = X86_NOREG;
    read_prefixes(&r, &p, i, bits);
    if (!r.more && r.pos > 15) {
        return X86_DECODE_LONG;
    }
    i->rex_w = i->rex >> 3 & 1;
    i->opsize_prefix = p.opsize;
    i->addrsize_prefix = p.addrsize;
    i->addrsize = bits == X86_64 ? (p.addrsize ? 4 : 8) : (bits == X86_32) != p.addrsize ? 4 : 2;
    read_opcode(&r, i, &p, bits);
    const struct x86_opcode *row = r.more || p.conflict  ? NULL
                                   : i->map == MAP_3DNOW ? find_3dnow(i, &r, bits)
                                                         : find_row(i, &p, &r, bits);
    if (r.more) {
        return avail >= 15 ? X86_DECODE_LONG : X86_DECODE_MORE;
    }
    if (!row) {
        i->len = (uint8_t)r.pos;
        return X86_DECODE_UD;
    }
    i->row = row;
    i->mnemonic = row->mnemonic;
    i->opsize = operand_size(row, i, &p, bits);
    if (row->attr & AT_CRDR) {
        i->modrm |= 0xc0;
    }
    if (i->map != MAP_3DNOW) {
        decode_memory(i, &r, row, bits);
    }
    for (unsigned n = 0; n < 4 && row->operand[n]; n++) {
        fill_operand(i, n, row->operand[n], &r, &p, bits);
        i->nops++;
    }
    if (row->attr & AT_XLAT) {
        i->base = X86_RBX;
    }
    choose_segment(i, &p);
    if (r.more) {
        return avail >= 15 ? X86_DECODE_LONG : X86_DECODE_MORE;
    }
    i->len = (uint8_t)r.pos;
    if (r.pos > 15) {
        return X86_DECODE_LONG;
    }
    i->lock = p.lock;
    if (row->prefix != F3 && row->prefix != F2 && !i->vex) {
        i->rep = p.rep == 0xf3;
        i->repne = p.rep == 0xf2;
    }
    if ((p.lock && !lock_allowed(i)) || (i->vsib && !gather_registers(i))) {
        return X86_DECODE_UD;
    }
    return X86_DECODE_OK;
}
