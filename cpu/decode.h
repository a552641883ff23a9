/* The decoder: bytes in, struct x86_insn out, driven by the opcode tables in cpu/opcodes/ (one row
 * an instruction form, operands in the SDM's notation). */
#ifndef CPU_DECODE_H
#define CPU_DECODE_H

#include <stdbool.h>
#include <stdint.h>

enum x86_mnemonic {
    MN_INVALID,
#define M(id, name) MN_##id,
#include "cpu/mnemonics.def"
#undef M
    MN_COUNT
};

enum x86_opkind {
    OP_NONE,
    OP_GPR,   /* reg 0-15; high8: AH, CH, DH, BH (reg 0-3) */
    OP_MEM,   /* the instruction's memory operand */
    OP_IMM,   /* insn.imm, already sign- or zero-extended to the operand size */
    OP_IMM2,  /* insn.imm2 (ENTER, EXTRQ/INSERTQ) */
    OP_REL,   /* branch: insn.imm is the signed displacement from the next instruction */
    OP_FAR,   /* ptr16:16/32: imm = offset, imm2 = selector */
    OP_MOFFS, /* moffs: insn.disp is the whole offset, segment in insn.seg */
    OP_SEG,
    OP_CR,
    OP_DR,
    OP_ST, /* x87 stack register */
    OP_MMX,
    OP_XMM, /* vector register; size tells 4..32 bytes used */
    OP_ONE, /* the constant 1 of D0/D1 shifts */
    OP_STR_SRC,
    OP_STR_DST, /* [seg:rSI], [ES:rDI] of string instructions */
};

struct x86_operand {
    uint8_t kind; /* enum x86_opkind */
    uint8_t reg;
    uint8_t size; /* bytes: 1, 2, 4, 8, 10, 16, 32; far pointers 4, 6, 10; 0: no size (LEA, INVLPG,
                     FXSAVE) */
    bool high8;
};

#define X86_NOREG  0xff
#define X86_RIPREG 0xfe

struct x86_insn {
    uint16_t mnemonic; /* enum x86_mnemonic */
    uint8_t len;       /* 1..15 */
    uint8_t opsize;    /* effective operand size 2, 4, 8 */
    uint8_t addrsize;  /* effective address size 2, 4, 8 */
    uint8_t nops;
    struct x86_operand op[4];

    /* memory operand */
    uint8_t base, index; /* register number, X86_NOREG; base may be X86_RIPREG */
    uint8_t scale;       /* shift 0..3 */
    uint8_t seg;         /* segment to use after overrides and defaults */
    bool seg_override;
    int64_t disp;

    int64_t imm;
    uint32_t imm2;

    bool lock, rep, repne;               /* as prefixes that count (not mandatory prefixes) */
    bool opsize_prefix, addrsize_prefix; /* 66, 67 seen */
    bool rex_w;
    bool vex;
    uint8_t vex_l; /* 0: 128, 1: 256 */
    uint8_t vsib;  /* gathers: bytes of the vector register that is the index, 16 or 32; 0: none */
    uint8_t rex;   /* whole byte, 0: none */
    bool has_modrm;
    uint8_t modrm, opcode; /* last opcode byte */
    uint8_t map; /* 0 one-byte, 1 0F, 2 0F38, 3 0F3A, 4 3DNow!, 8 x87, 9 VEX 0F, 10 VEX 0F38, 11 VEX
                    0F3A */
    const struct x86_opcode *row;
};

/* One row of the tables. */
enum x86_flag_effect { FE_NONE, FE_R, FE_W, FE_RW, FE_0, FE_1, FE_U }; /* per flag, 3 bits each */
enum x86_attr {
    AT_LOCK = 1, /* LOCK allowed with a memory destination */
    AT_CPL0 = 2,
    AT_NO64 = 4,
    AT_ONLY64 = 8,
    AT_D64 = 0x10,     /* default operand size 64 in 64-bit mode */
    AT_F64 = 0x20,     /* forced 64 */
    AT_JUMP = 0x40,    /* ends a block */
    AT_REP = 0x80,     /* F3/F2 are REP prefixes */
    AT_PROT = 0x100,   /* #UD in real and V86 mode */
    AT_VMIOPL = 0x200, /* V86: needs IOPL 3 */
    AT_SSE = 0x400,    /* SSE state: #NM/#UD checks (CR0.EM, TS, CR4.OSFXSR) */
    AT_FPU = 0x800,    /* x87 state: #NM checks */
    AT_MMX = 0x1000,
    AT_ALIGN = 0x2000, /* memory operand must be aligned to its size (#GP), legacy SSE */
    AT_AVX = 0x4000,   /* VEX: OSXSAVE and XCR0 checks */
    AT_NOREP = 0x8000, /* ... room: see cpu/opcodes */
};

struct x86_opcode {
    uint16_t mnemonic;
    uint8_t feature; /* enum x86_feature in cpu/cpuid.h: #UD when the model lacks it */
    uint8_t map, opcode;
    uint8_t prefix;     /* mandatory prefix: none/66/F3/F2/any */
    int8_t modrm_reg;   /* /0../7 or -1 */
    uint8_t operand[4]; /* operand form codes (private to the decoder) */
    uint32_t flags;     /* 6 x 3 bits, order O S Z A P C from bit 0: FE_* */
    uint32_t attr;
};

enum x86_bits { X86_16, X86_32, X86_64 };

enum x86_decode_result {
    X86_DECODE_OK,
    X86_DECODE_UD,   /* invalid: #UD; len tells how many bytes were looked at */
    X86_DECODE_MORE, /* needs more than the `avail` bytes given */
    X86_DECODE_LONG, /* over 15 bytes: #GP */
};

/* Decodes one instruction from bytes[0..avail). bits: CS.D / long mode. Feature checks are the
 * translator's: it compares row->feature with the model. LOCK where it is not allowed is
 * X86_DECODE_UD. */
enum x86_decode_result x86_decode(const uint8_t *bytes, unsigned avail, enum x86_bits bits,
                                  struct x86_insn *insn);
const char *x86_mnemonic_name(enum x86_mnemonic m); /* lower case */

/* The tables, for docs and test generators: rows 0..x86_opcode_count()-1. */
unsigned x86_opcode_count(void);
const struct x86_opcode *x86_opcode_row(unsigned n);
/* The operand form's SDM notation ("Ev"). */
const char *x86_operand_form(unsigned code);

#endif
