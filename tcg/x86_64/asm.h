/* Encoder of the x86-64 host instructions that the back end emits (SDM volume 2, chapters 2 to 5).
 * Writes bytes at c->p; when the buffer is full it goes on writing over its last bytes and says so.
 */
#ifndef TCG_X86_64_ASM_H
#define TCG_X86_64_ASM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum host_reg {
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    NO_REG = 0xff
};

enum host_cond { /* encoding of Jcc, SETcc, CMOVcc */
                 CC_O,
                 CC_NO,
                 CC_B,
                 CC_AE,
                 CC_E,
                 CC_NE,
                 CC_BE,
                 CC_A,
                 CC_S,
                 CC_NS,
                 CC_P,
                 CC_NP,
                 CC_L,
                 CC_GE,
                 CC_LE,
                 CC_G
};

struct code {
    uint8_t *p, *end; /* end leaves room for one instruction */
    bool overflow;
};

/* [base + index << scale + disp]; index NO_REG: none. base NO_REG: rip-relative, disp from the end
 * of the instruction (which must have no immediate). */
struct mem {
    uint8_t base, index, scale;
    int32_t disp;
};

static inline struct mem at(unsigned base, int32_t disp)
{
    return (struct mem){(uint8_t)base, NO_REG, 0, disp};
}

static inline struct mem at_index(unsigned base, unsigned index, unsigned scale, int32_t disp)
{
    return (struct mem){(uint8_t)base, (uint8_t)index, (uint8_t)scale, disp};
}

static inline void put8(struct code *c, unsigned x)
{
    if (c->p >= c->end) {
        c->overflow = true;
        return;
    }
    *c->p++ = (uint8_t)x;
}

static inline void put32(struct code *c, uint32_t x)
{
    if (c->end - c->p < 4) {
        c->overflow = true;
        return;
    }
    memcpy(c->p, &x, 4);
    c->p += 4;
}

static inline void put64(struct code *c, uint64_t x)
{
    if (c->end - c->p < 8) {
        c->overflow = true;
        return;
    }
    memcpy(c->p, &x, 8);
    c->p += 8;
}

/* Properties of an opcode, beside its byte. */
enum {
    X_0F = 0x100,
    X_0F38 = 0x200,
    X_0F3A = 0x400,
    X_MAP = 0x700,
    X_W = 0x800,   /* REX.W, VEX.W */
    X_66 = 0x1000, /* mandatory or operand size prefix */
    X_F3 = 0x2000,
    X_F2 = 0x4000,
    X_BYTE = 0x8000, /* byte registers: spl.. need a REX; the register operand */
    X_LOCK = 0x10000,
    X_RMBYTE = 0x20000, /* ... the r/m operand */
};

static inline void put_map(struct code *c, unsigned op)
{
    if (op & X_MAP) {
        put8(c, 0x0f);
        if (op & X_0F38) {
            put8(c, 0x38);
        } else if (op & X_0F3A) {
            put8(c, 0x3a);
        }
    }
    put8(c, op & 0xff);
}

static inline void put_prefixes(struct code *c, unsigned op)
{
    if (op & X_LOCK) {
        put8(c, 0xf0);
    }
    if (op & X_66) {
        put8(c, 0x66);
    }
    if (op & X_F3) {
        put8(c, 0xf3);
    }
    if (op & X_F2) {
        put8(c, 0xf2);
    }
}

/* op reg, rm (registers; reg may be an opcode extension) */
static inline void x_rr(struct code *c, unsigned op, unsigned reg, unsigned rm)
{
    unsigned rex = (op & X_W ? 8 : 0) | (reg & 8 ? 4 : 0) | (rm & 8 ? 1 : 0);

    put_prefixes(c, op);
    if (rex || ((op & X_BYTE) && reg >= 4) || ((op & (X_BYTE | X_RMBYTE)) && rm >= 4)) {
        put8(c, 0x40 | rex);
    }
    put_map(c, op);
    put8(c, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static inline void put_modrm_mem(struct code *c, unsigned reg, struct mem m)
{
    unsigned mod, field = (reg & 7) << 3;

    if (m.base == NO_REG) {
        put8(c, field | 5);
        put32(c, (uint32_t)m.disp);
        return;
    }
    mod = m.disp == 0 && (m.base & 7) != RBP ? 0 : m.disp == (int8_t)m.disp ? 1 : 2;
    if (m.index != NO_REG) {
        put8(c, mod << 6 | field | 4);
        put8(c, (unsigned)m.scale << 6 | (m.index & 7u) << 3 | (m.base & 7u));
    } else if ((m.base & 7) == RSP) {
        put8(c, mod << 6 | field | 4);
        put8(c, 0x24);
    } else {
        put8(c, mod << 6 | field | (m.base & 7u));
    }
    if (mod == 1) {
        put8(c, (uint8_t)m.disp);
    } else if (mod == 2) {
        put32(c, (uint32_t)m.disp);
    }
}

/* op reg, [mem] */
static inline void x_rm(struct code *c, unsigned op, unsigned reg, struct mem m)
{
    unsigned rex = (op & X_W ? 8 : 0) | (reg & 8 ? 4 : 0);

    rex |= m.index != NO_REG && (m.index & 8) ? 2 : 0;
    rex |= m.base != NO_REG && (m.base & 8) ? 1 : 0;
    put_prefixes(c, op);
    if (rex || ((op & X_BYTE) && reg >= 4)) {
        put8(c, 0x40 | rex);
    }
    put_map(c, op);
    put_modrm_mem(c, reg, m);
}

/* ---- VEX ---- */

static inline void put_vex(struct code *c, unsigned op, unsigned r, unsigned x, unsigned b,
                           unsigned vvvv, bool wide)
{
    unsigned pp = op & X_66 ? 1 : op & X_F3 ? 2 : op & X_F2 ? 3 : 0;
    unsigned map = op & X_0F3A ? 3 : op & X_0F38 ? 2 : 1;
    unsigned last = (~vvvv & 15) << 3 | (wide ? 4 : 0) | pp;

    if (map == 1 && !x && !b && !(op & X_W)) {
        put8(c, 0xc5);
        put8(c, (r ? 0 : 0x80) | last);
    } else {
        put8(c, 0xc4);
        put8(c, (r ? 0 : 0x80) | (x ? 0 : 0x40) | (b ? 0 : 0x20) | map);
        put8(c, (op & X_W ? 0x80 : 0) | last);
    }
    put8(c, op & 0xff);
}

/* op reg, vvvv, rm; wide: 256 bits */
static inline void v_rr(struct code *c, unsigned op, unsigned reg, unsigned vvvv, unsigned rm,
                        bool wide)
{
    put_vex(c, op, reg & 8, 0, rm & 8, vvvv, wide);
    put8(c, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static inline void v_rm(struct code *c, unsigned op, unsigned reg, unsigned vvvv, struct mem m,
                        bool wide)
{
    put_vex(c, op, reg & 8, m.index != NO_REG && (m.index & 8), m.base != NO_REG && (m.base & 8),
            vvvv, wide);
    put_modrm_mem(c, reg, m);
}

/* ---- integer instructions by their names ---- */

enum alu { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };

static inline unsigned wbit(unsigned w)
{
    return w ? X_W : 0;
}

static inline void alu_rr(struct code *c, enum alu op, unsigned w, unsigned d, unsigned s)
{
    x_rr(c, ((unsigned)op << 3 | 3) | wbit(w), d, s);
}

static inline void alu_rm(struct code *c, enum alu op, unsigned w, unsigned d, struct mem m)
{
    x_rm(c, ((unsigned)op << 3 | 3) | wbit(w), d, m);
}

static inline void alu_ri(struct code *c, enum alu op, unsigned w, unsigned d, int32_t imm)
{
    if (imm == (int8_t)imm) {
        x_rr(c, 0x83 | wbit(w), op, d);
        put8(c, (uint8_t)imm);
    } else {
        x_rr(c, 0x81 | wbit(w), op, d);
        put32(c, (uint32_t)imm);
    }
}

static inline void alu_mi(struct code *c, enum alu op, unsigned w, struct mem m, int32_t imm)
{
    if (imm == (int8_t)imm) {
        x_rm(c, 0x83 | wbit(w), op, m);
        put8(c, (uint8_t)imm);
    } else {
        x_rm(c, 0x81 | wbit(w), op, m);
        put32(c, (uint32_t)imm);
    }
}

static inline void mov_rr(struct code *c, unsigned w, unsigned d, unsigned s)
{
    x_rr(c, 0x8b | wbit(w), d, s);
}

static inline void mov_rm(struct code *c, unsigned w, unsigned d, struct mem m)
{
    x_rm(c, 0x8b | wbit(w), d, m);
}

static inline void mov_mr(struct code *c, unsigned w, struct mem m, unsigned s)
{
    x_rm(c, 0x89 | wbit(w), s, m);
}

/* The flags stay as they are. */
static inline void mov_ri(struct code *c, unsigned d, uint64_t imm)
{
    if (imm == (uint32_t)imm) {
        if (d & 8) {
            put8(c, 0x41);
        }
        put8(c, 0xb8 | (d & 7));
        put32(c, (uint32_t)imm);
    } else if (imm == (uint64_t)(int64_t)(int32_t)imm) {
        x_rr(c, 0xc7 | X_W, 0, d);
        put32(c, (uint32_t)imm);
    } else {
        put8(c, d & 8 ? 0x49 : 0x48);
        put8(c, 0xb8 | (d & 7));
        put64(c, imm);
    }
}

static inline void mov_mi(struct code *c, unsigned w, struct mem m, int32_t imm)
{
    x_rm(c, 0xc7 | wbit(w), 0, m);
    put32(c, (uint32_t)imm);
}

static inline void lea(struct code *c, unsigned w, unsigned d, struct mem m)
{
    x_rm(c, 0x8d | wbit(w), d, m);
}

static inline void test_rr(struct code *c, unsigned w, unsigned a, unsigned b)
{
    x_rr(c, 0x85 | wbit(w), b, a);
}

/* Jumps with a 32-bit displacement; return where it stands. */
static inline uint8_t *jmp32(struct code *c)
{
    put8(c, 0xe9);
    put32(c, 0);
    return c->p - 4;
}

static inline uint8_t *jcc32(struct code *c, unsigned cond)
{
    put8(c, 0x0f);
    put8(c, 0x80 | cond);
    put32(c, 0);
    return c->p - 4;
}

static inline uint8_t *jcc8(struct code *c, unsigned cond)
{
    put8(c, 0x70 | cond);
    put8(c, 0);
    return c->p - 1;
}

static inline void patch8(struct code *c, uint8_t *at_, const uint8_t *to)
{
    if (!c->overflow) {
        *at_ = (uint8_t)(to - (at_ + 1));
    }
}

static inline void patch32(struct code *c, uint8_t *at_, const uint8_t *to)
{
    if (!c->overflow) {
        int32_t rel = (int32_t)(to - (at_ + 4));
        memcpy(at_, &rel, 4);
    }
}

static inline void nops(struct code *c, unsigned n)
{
    static const uint8_t seq[8][8] = {
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40, 0x00},
        {0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
        {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    };

    while (n) {
        unsigned k = n > 8 ? 8 : n;
        for (unsigned i = 0; i < k; i++) {
            put8(c, seq[k - 1][i]);
        }
        n -= k;
    }
}

#endif
