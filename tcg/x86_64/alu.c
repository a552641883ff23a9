/* Integer operations without memory: IR arithmetic to host instructions. Also comparisons. */
#ifdef __x86_64__
#include "tcg/x86_64/gen.h"

#define W(op) ((op)->w == W64)

static bool is_bimm(const struct ir_op *op)
{
    return op->flags & IR_BIMM;
}

static int64_t imm_of(const struct ir_op *op)
{
    return op->w == W64 ? op->imm : (int32_t)op->imm;
}

static bool dies(const struct gen *g, ir_reg r)
{
    return is_temp(r) && g->last_use[r] <= g->i && !x64_cc_reads(g, r);
}

/* A register for d that holds a's value; a's own when nobody wants a any more. */
static unsigned def_from(struct gen *g, ir_reg d, ir_reg a, unsigned w)
{
    unsigned reg, src;

    if (d == a) {
        if (is_home(d)) {
            return home_of(d);
        }
        return x64_use(g, a);
    }
    if (!is_home(d) && dies(g, a) && g->loc[a] != NO_REG && g->loc[d] == NO_REG) {
        return x64_use(g, a); /* x64_done gives it to d */
    }
    if (x64_in_reg(g, a, &src)) {
        reg = x64_def(g, d);
        mov_rr(&g->c, w, reg, src);
    } else {
        reg = x64_def(g, d);
        mov_rm(&g->c, w, reg, slot_of(a));
    }
    return reg;
}

static void result(struct gen *g, ir_reg d, unsigned reg, bool flags, unsigned w)
{
    x64_done(g, d, reg);
    flags_clobbered(g);
    if (flags) {
        g->zf_reg = is_home(d) ? home_of(d) : (uint8_t)reg;
        g->zf_w = (uint8_t)w;
    }
}

static const uint8_t alu_of[IR_NOPS] = {
    [IR_ADD] = ALU_ADD, [IR_SUB] = ALU_SUB, [IR_AND] = ALU_AND,
    [IR_OR] = ALU_OR,   [IR_XOR] = ALU_XOR,
};

static void alu_operand(struct gen *g, enum alu alu, unsigned w, unsigned d, struct operand b)
{
    if (b.is_mem) {
        alu_rm(&g->c, alu, w, d, b.m);
    } else {
        alu_rr(&g->c, alu, w, d, b.reg);
    }
}

/* flags = a - b are still on the host after d = a - b of the same operands. */
static void note_sub(struct gen *g, const struct ir_op *op, bool was_cc)
{
    if (was_cc) {
        g->cmp_valid = true;
        g->cmp_w = (uint8_t)W(op);
    }
}

static void gen_bin(struct gen *g, const struct ir_op *op)
{
    enum alu alu = alu_of[op->opc];
    unsigned w = W(op), reg, a, b;
    bool commutes = op->opc != IR_SUB, cc = false;
    ir_reg ra = op->a, rb = op->b;

    if (op->opc == IR_SUB || op->opc == IR_ADD) {
        cc = x64_is_cc_of(g, op);
    }
    x64_before_write(g, op->d, op);
    x64_unlock(g);
    if (is_bimm(op) && fits32(imm_of(op))) {
        int32_t imm = (int32_t)imm_of(op);
        if (op->opc == IR_ADD && op->d != ra && x64_in_reg(g, ra, &a) &&
            !(dies(g, ra) && !is_home(op->d))) {
            reg = x64_def(g, op->d);
            lea(&g->c, w, reg, at(a, imm));
            x64_done(g, op->d, reg);
            if (reg == g->zf_reg) {
                flags_clobbered(g);
            }
            return;
        }
        reg = def_from(g, op->d, ra, 1);
        if (cc && op->opc == IR_ADD &&
            imm != INT32_MIN) { /* as a subtraction, whose carry is that of the flags */
            alu_ri(&g->c, ALU_SUB, w, reg, (int32_t)(0 - (uint32_t)imm));
        } else {
            alu_ri(&g->c, alu, w, reg, imm);
        }
        result(g, op->d, reg, true, w);
        note_sub(g, op, cc && (op->opc == IR_SUB || imm != INT32_MIN));
        return;
    }
    if (is_bimm(op)) {
        b = x64_alloc(g);
        mov_ri(&g->c, b, (uint64_t)op->imm);
        reg = def_from(g, op->d, ra, 1);
        alu_rr(&g->c, alu, w, reg, b);
        result(g, op->d, reg, true, w);
        return;
    }
    if (op->opc == IR_XOR && ra == rb) {
        reg = x64_def(g, op->d);
        alu_rr(&g->c, ALU_XOR, 0, reg, reg);
        result(g, op->d, reg, true, w);
        return;
    }
    if (commutes && op->d == rb && op->d != ra) {
        ra = op->b;
        rb = op->a;
    }
    if (op->d == rb && op->d != ra) { /* d = a - d */
        struct operand o = x64_operand(g, rb);
        reg = x64_alloc(g);
        if (x64_in_reg(g, ra, &a)) {
            mov_rr(&g->c, w, reg, a);
        } else {
            mov_rm(&g->c, w, reg, slot_of(ra));
        }
        alu_operand(g, alu, w, reg, o);
        result(g, op->d, reg, true, w);
        note_sub(g, op, false);
        return;
    }
    if (op->opc == IR_ADD && op->d != ra && x64_in_reg(g, ra, &a) && x64_in_reg(g, rb, &b) &&
        !(dies(g, ra) && !is_home(op->d))) {
        reg = x64_def(g, op->d);
        lea(&g->c, w, reg, at_index(a, b, 0, 0));
        x64_done(g, op->d, reg);
        if (reg == g->zf_reg) {
            flags_clobbered(g);
        }
        return;
    }
    struct operand o = x64_operand(g, rb);
    reg = def_from(g, op->d, ra, 1);
    alu_operand(g, alu, w, reg, o);
    result(g, op->d, reg, true, w);
    note_sub(g, op, cc);
}

static void gen_mul(struct gen *g, const struct ir_op *op)
{
    unsigned w = W(op), reg, a;

    if (is_bimm(op) && fits32(imm_of(op))) {
        int32_t imm = (int32_t)imm_of(op);
        struct operand o = x64_operand(g, op->a);
        unsigned code = (imm == (int8_t)imm ? 0x6b : 0x69) | wbit(w);
        reg = x64_def(g, op->d);
        if (o.is_mem) {
            x_rm(&g->c, code, reg, o.m);
        } else {
            x_rr(&g->c, code, reg, o.reg);
        }
        if (imm == (int8_t)imm) {
            put8(&g->c, (uint8_t)imm);
        } else {
            put32(&g->c, (uint32_t)imm);
        }
        result(g, op->d, reg, false, w);
        return;
    }
    ir_reg ra = op->a, rb = op->b;
    struct operand o;
    if (is_bimm(op)) {
        unsigned b = x64_alloc(g);
        mov_ri(&g->c, b, (uint64_t)op->imm);
        o = (struct operand){.reg = (uint8_t)b};
    } else {
        if (op->d == rb) {
            ra = op->b;
            rb = op->a;
        }
        o = x64_operand(g, rb);
    }
    reg = def_from(g, op->d, ra, 1);
    a = X_0F | 0xaf | wbit(w);
    if (o.is_mem) {
        x_rm(&g->c, a, reg, o.m);
    } else {
        x_rr(&g->c, a, reg, o.reg);
    }
    result(g, op->d, reg, false, w);
}

/* MULHU, MULHS: rdx of the one-operand form. */
static void gen_mulh(struct gen *g, const struct ir_op *op)
{
    unsigned w = W(op), a, b;

    b = x64_use(g, op->b);
    if (b == RAX || b == RDX) { /* these are about to be written */
        unsigned reg = RSI;
        if (!(g->locked >> RSI & 1)) {
            x64_take(g, RSI);
        } else {
            reg = RCX;
            x64_take(g, RCX);
        }
        mov_rr(&g->c, 1, reg, b);
        b = reg;
    }
    a = x64_use(g, op->a);
    g->locked &= (uint16_t) ~(1u << RAX | 1u << RDX);
    if (a != RAX) {
        x64_take(g, RAX);
        mov_rr(&g->c, 1, RAX, a);
    } else {
        x64_take(g, RAX); /* spills what is still wanted */
    }
    x64_take(g, RDX);
    x_rr(&g->c, 0xf7 | wbit(w), op->opc == IR_MULHU ? 4 : 5, b);
    result(g, op->d, RDX, false, w);
}

static void gen_shift(struct gen *g, const struct ir_op *op)
{
    static const uint8_t ext[IR_NOPS] = {
        [IR_SHL] = 4, [IR_SHR] = 5, [IR_SAR] = 7, [IR_ROTL] = 0, [IR_ROTR] = 1};
    unsigned w = W(op), n = ext[op->opc], reg, count;

    if (is_bimm(op)) {
        count = (unsigned)op->imm & (w ? 63 : 31);
        if (op->opc == IR_SHL && count <= 3 && count && op->d != op->a) {
            unsigned a = x64_use(g, op->a);
            reg = x64_def(g, op->d);
            if (count == 1) {
                lea(&g->c, w, reg, at_index(a, a, 0, 0));
                x64_done(g, op->d, reg);
                flags_clobbered(g);
                return;
            }
            if (reg != a) {
                mov_rr(&g->c, w, reg, a);
            }
        } else {
            reg = def_from(g, op->d, op->a, 1);
        }
        if (count == 0) {
            if (!w) {
                mov_rr(&g->c, 0, reg, reg);
            }
        } else if (count == 1) {
            x_rr(&g->c, 0xd1 | wbit(w), n, reg);
        } else {
            x_rr(&g->c, 0xc1 | wbit(w), n, reg);
            put8(&g->c, count);
        }
        result(g, op->d, reg, count && n >= 4, w);
        return;
    }
    if (n >= 4 && thunks(g)->bmi2) {
        unsigned a = x64_use(g, op->a), b = x64_use(g, op->b);
        unsigned pp = n == 4 ? X_66 : n == 5 ? X_F2 : X_F3;
        reg = x64_def(g, op->d);
        v_rr(&g->c, 0xf7 | X_0F38 | pp | wbit(w), reg, b, a, false);
        x64_done(g, op->d, reg);
        if (g->zf_reg == reg) {
            flags_clobbered(g);
        }
        return;
    }
    unsigned b = x64_use(g, op->b);
    if (b != RCX) {
        x64_take(g, RCX);
        mov_rr(&g->c, 1, RCX, b);
    }
    if (op->d == op->b || (!is_home(op->d) && g->loc[op->d] == RCX)) {
        unsigned a = x64_use(g, op->a);
        reg = x64_alloc(g);
        mov_rr(&g->c, 1, reg, a);
    } else {
        reg = def_from(g, op->d, op->a, 1);
        if (reg == RCX) { /* a is the count as well */
            reg = x64_alloc(g);
            mov_rr(&g->c, 1, reg, RCX);
        }
    }
    x_rr(&g->c, 0xd3 | wbit(w), n, reg);
    if (!w) {
        mov_rr(&g->c, 0, reg, reg); /* a count of 0 leaves the upper half */
    }
    result(g, op->d, reg, false, w);
}

static void gen_unary(struct gen *g, const struct ir_op *op)
{
    unsigned w = W(op), reg;

    reg = def_from(g, op->d, op->a, 1);
    if (op->opc == IR_BSWAP) {
        unsigned rex = (w ? 0x48 : 0x40) | (reg & 8 ? 1 : 0);
        if (rex != 0x40) {
            put8(&g->c, rex);
        }
        put8(&g->c, 0x0f);
        put8(&g->c, 0xc8 | (reg & 7));
        x64_done(g, op->d, reg);
        if (g->zf_reg == reg) {
            flags_clobbered(g);
        }
        return;
    }
    x_rr(&g->c, 0xf7 | wbit(w), op->opc == IR_NEG ? 3 : 2, reg);
    result(g, op->d, reg, op->opc == IR_NEG, w);
}

/* d = a by an instruction with a register or memory source. */
static void gen_convert(struct gen *g, const struct ir_op *op, unsigned code)
{
    struct operand o = x64_operand(g, op->a);
    unsigned reg;

    reg = x64_def(g, op->d);
    if (o.is_mem) {
        x_rm(&g->c, code & ~(unsigned)X_RMBYTE, reg, o.m);
    } else {
        x_rr(&g->c, code, reg, o.reg);
    }
    x64_done(g, op->d, reg);
    if (g->zf_reg == reg) {
        flags_clobbered(g);
    }
}

static void gen_count(struct gen *g, const struct ir_op *op)
{
    const struct x64_thunks *th = thunks(g);
    bool have = op->opc == IR_POPCNT ? th->popcnt : op->opc == IR_CLZ ? th->lzcnt : th->bmi1;
    unsigned w = W(op), bits = w ? 64 : 32, reg;

    if (have) {
        static const uint8_t code[IR_NOPS] = {[IR_POPCNT] = 0xb8, [IR_CLZ] = 0xbd, [IR_CTZ] = 0xbc};
        flags_clobbered(g);
        gen_convert(g, op, code[op->opc] | X_0F | X_F3 | wbit(w));
        flags_clobbered(g);
        return;
    }
    if (op->opc == IR_POPCNT) { /* bit by bit: hosts without it are older than 2008 */
        unsigned a = x64_use(g, op->a), t = x64_alloc(g), n = x64_alloc(g);
        mov_rr(&g->c, w, t, a);
        alu_rr(&g->c, ALU_XOR, 0, n, n);
        uint8_t *loop = g->c.p;
        test_rr(&g->c, 1, t, t);
        uint8_t *out = jcc8(&g->c, CC_E);
        unsigned k = x64_alloc(g);
        lea(&g->c, 1, k, at(t, -1));
        alu_rr(&g->c, ALU_AND, 1, t, k);
        alu_ri(&g->c, ALU_ADD, 0, n, 1);
        uint8_t *back = jmp32(&g->c);
        patch32(&g->c, back, loop);
        patch8(&g->c, out, g->c.p);
        result(g, op->d, n, false, w);
        return;
    }
    unsigned a = x64_use(g, op->a);
    reg = x64_alloc(g);
    unsigned other = x64_alloc(g);
    mov_ri(&g->c, other, op->opc == IR_CLZ ? 2 * bits - 1 : bits);
    x_rr(&g->c, (op->opc == IR_CLZ ? 0xbd : 0xbc) | X_0F | wbit(w), reg, a);
    x_rr(&g->c, 0x44 | X_0F | wbit(1), reg, other); /* cmove */
    if (op->opc == IR_CLZ) {
        alu_ri(&g->c, ALU_XOR, 0, reg, (int32_t)bits - 1);
    }
    result(g, op->d, reg, false, w);
}

static void gen_extract(struct gen *g, const struct ir_op *op)
{
    unsigned pos = op->imm & 0xff, len = (unsigned)(op->imm >> 8), a, reg;

    if (pos == 0 && len == 8) {
        gen_convert(g, op, 0xb6 | X_0F | X_RMBYTE);
        return;
    }
    if (pos == 0 && len == 16) {
        gen_convert(g, op, 0xb7 | X_0F);
        return;
    }
    if (pos == 0 && len == 32) {
        gen_convert(g, op, 0x8b);
        return;
    }
    if (pos == 8 && len == 8 && x64_in_reg(g, op->a, &a) && a <= RBX) {
        reg = x64_def(g, op->d);
        if (reg < 8) { /* no REX: the second byte is ah ... bh */
            put8(&g->c, 0x0f);
            put8(&g->c, 0xb6);
            put8(&g->c, 0xc0 | reg << 3 | (a + 4));
            x64_done(g, op->d, reg);
            if (g->zf_reg == reg) {
                flags_clobbered(g);
            }
            return;
        }
    }
    reg = def_from(g, op->d, op->a, 1);
    if (pos + len < 64 && pos == 0) {
        if (len < 32) {
            alu_ri(&g->c, ALU_AND, 0, reg, (int32_t)((1u << len) - 1));
        } else {
            x_rr(&g->c, 0xc1 | X_W, 4, reg);
            put8(&g->c, 64 - len);
            x_rr(&g->c, 0xc1 | X_W, 5, reg);
            put8(&g->c, 64 - len);
        }
    } else {
        x_rr(&g->c, 0xc1 | X_W, 5, reg);
        put8(&g->c, pos);
        if (pos + len < 64) {
            if (len <= 31) {
                alu_ri(&g->c, ALU_AND, 0, reg, (int32_t)((1u << len) - 1));
            } else if (len == 32) {
                mov_rr(&g->c, 0, reg, reg);
            } else {
                x_rr(&g->c, 0xc1 | X_W, 4, reg);
                put8(&g->c, 64 - len);
                x_rr(&g->c, 0xc1 | X_W, 5, reg);
                put8(&g->c, 64 - len);
            }
        }
    }
    result(g, op->d, reg, false, 1);
}

static void gen_deposit(struct gen *g, const struct ir_op *op)
{
    unsigned pos = op->imm & 0xff, len = (unsigned)(op->imm >> 8), b, reg;
    uint64_t mask = (len == 64 ? UINT64_MAX : (UINT64_C(1) << len) - 1) << pos;

    b = x64_use(g, op->b);
    if ((len == 8 || len == 16) && pos == 0) {
        if (op->d == op->b && op->d != op->a) {
            unsigned t = x64_alloc(g);
            mov_rr(&g->c, 1, t, b);
            b = t;
        }
        reg = def_from(g, op->d, op->a, 1);
        if (len == 8) {
            x_rr(&g->c, 0x8a | X_BYTE, reg, b);
        } else {
            x_rr(&g->c, 0x8b | X_66, reg, b);
        }
        x64_done(g, op->d, reg);
        if (g->zf_reg == reg) {
            flags_clobbered(g);
        }
        return;
    }
    if (len == 8 && pos == 8) { /* rotated into place: it works for every register */
        if (op->d == op->b || op->a == op->b) {
            unsigned t = x64_alloc(g);
            mov_rr(&g->c, 1, t, b);
            b = t;
        }
        reg = def_from(g, op->d, op->a, 1);
        if (reg <= RBX && b <= RBX) { /* mov ah.., bl.. */
            put8(&g->c, 0x8a);
            put8(&g->c, 0xc0 | (reg + 4) << 3 | b);
            x64_done(g, op->d, reg);
            if (g->zf_reg == reg) {
                flags_clobbered(g);
            }
            return;
        }
        x_rr(&g->c, 0xc1 | X_W, 1, reg);
        put8(&g->c, 8);
        x_rr(&g->c, 0x8a | X_BYTE, reg, b);
        x_rr(&g->c, 0xc1 | X_W, 0, reg);
        put8(&g->c, 8);
        result(g, op->d, reg, false, 1);
        return;
    }
    /* (a & ~mask) | (b << pos & mask) */
    unsigned t = x64_alloc(g), m = x64_alloc(g);
    mov_rr(&g->c, 1, t, b);
    if (pos) {
        x_rr(&g->c, 0xc1 | X_W, 4, t);
        put8(&g->c, pos);
    }
    mov_ri(&g->c, m, mask);
    alu_rr(&g->c, ALU_AND, 1, t, m);
    x_rr(&g->c, 0xf7 | X_W, 2, m);
    struct operand a = x64_operand(g, op->a);
    alu_operand(g, ALU_AND, 1, m, a);
    alu_rr(&g->c, ALU_OR, 1, t, m);
    result(g, op->d, t, false, 1);
}

/* ---- conditions ---- */

unsigned x64_cond(enum ir_cond c, bool swapped)
{
    static const uint8_t plain[IR_NCOND] = {
        [IR_EQ] = CC_E,   [IR_NE] = CC_NE, [IR_LT] = CC_L,     [IR_GE] = CC_GE,
        [IR_LE] = CC_LE,  [IR_GT] = CC_G,  [IR_LTU] = CC_B,    [IR_GEU] = CC_AE,
        [IR_LEU] = CC_BE, [IR_GTU] = CC_A, [IR_TSTNE] = CC_NE, [IR_TSTEQ] = CC_E,
    };
    static const uint8_t other[IR_NCOND] = {
        [IR_EQ] = CC_E,   [IR_NE] = CC_NE, [IR_LT] = CC_G,     [IR_GE] = CC_LE,
        [IR_LE] = CC_GE,  [IR_GT] = CC_L,  [IR_LTU] = CC_A,    [IR_GEU] = CC_BE,
        [IR_LEU] = CC_AE, [IR_GTU] = CC_B, [IR_TSTNE] = CC_NE, [IR_TSTEQ] = CC_E,
    };
    return swapped ? other[c] : plain[c];
}

/* r is what CC_B is made of. */
static bool is_cc_b(const struct gen *g, ir_reg r)
{
    const struct comp *b = &g->now.cc.comp[2];
    return r == TCG_REG_CC_B || (b->kind == COMP_REG && b->r == r);
}

unsigned x64_compare_values(struct gen *g, enum ir_cond cond, unsigned w, ir_reg ra, ir_reg rb,
                            bool bimm, int64_t imm)
{
    bool test = cond == IR_TSTNE || cond == IR_TSTEQ;
    unsigned a, b;

    imm = w ? imm : (int32_t)imm;
    if (g->cmp_valid && g->cmp_w == w && ra == TCG_REG_CC_A && !test &&
        ((!bimm && is_cc_b(g, rb)) ||
         (bimm && g->now.cc.comp[2].kind == COMP_IMM &&
          (w ? g->now.cc.comp[2].imm == imm : (int32_t)g->now.cc.comp[2].imm == imm)))) {
        return x64_cond(cond, false);
    }
    if (bimm && imm == 0 && !test && x64_in_reg(g, ra, &a)) {
        if (g->zf_reg == a && g->zf_w == w && (cond == IR_EQ || cond == IR_NE)) {
            return x64_cond(cond, false);
        }
        if (g->zf_reg == a && g->zf_w == w && (cond == IR_LT || cond == IR_GE)) {
            return cond == IR_LT ? CC_S : CC_NS;
        }
        test_rr(&g->c, w, a, a);
        g->cmp_valid = false;
        g->zf_reg = (uint8_t)a;
        g->zf_w = (uint8_t)w;
        return cond == IR_LT ? CC_S : cond == IR_GE ? CC_NS : x64_cond(cond, false);
    }
    flags_clobbered(g);
    if (bimm && !fits32(imm)) {
        a = x64_use(g, ra);
        b = x64_alloc(g);
        mov_ri(&g->c, b, (uint64_t)imm);
        x_rr(&g->c, (test ? 0x85 : 0x39) | wbit(w), b, a);
        return x64_cond(cond, false);
    }
    if (bimm) {
        struct operand o = x64_operand(g, ra);
        if (test) {
            if (o.is_mem) {
                x_rm(&g->c, 0xf7 | wbit(w), 0, o.m);
                put32(&g->c, (uint32_t)imm);
            } else if (imm >= 0 && imm < 128) { /* the low byte alone */
                x_rr(&g->c, 0xf6 | X_RMBYTE, 0, o.reg);
                put8(&g->c, (uint8_t)imm);
            } else {
                x_rr(&g->c, 0xf7 | wbit(w && imm < 0), 0, o.reg);
                put32(&g->c, (uint32_t)imm);
            }
        } else if (o.is_mem) {
            alu_mi(&g->c, ALU_CMP, w, o.m, (int32_t)imm);
        } else {
            alu_ri(&g->c, ALU_CMP, w, o.reg, (int32_t)imm);
        }
        return x64_cond(cond, false);
    }
    a = x64_use(g, ra);
    struct operand o = x64_operand(g, rb);
    if (test) {
        if (o.is_mem) {
            x_rm(&g->c, 0x85 | wbit(w), a, o.m);
        } else {
            test_rr(&g->c, w, a, o.reg);
        }
    } else {
        alu_operand(g, ALU_CMP, w, a, o);
    }
    return x64_cond(cond, false);
}

unsigned x64_compare(struct gen *g, const struct ir_op *op)
{
    return x64_compare_values(g, op->aux, W(op), op->a, op->b, op->opc != IR_MOVCOND && is_bimm(op),
                              op->opc == IR_MOVCOND ? 0 : op->imm);
}

static void gen_setcond(struct gen *g, const struct ir_op *op)
{
    unsigned cond = x64_compare(g, op), reg;

    x64_unlock(g);
    reg = x64_def(g, op->d);
    mov_ri(&g->c, reg, 0); /* the flags stay, and the byte does not wait for the register */
    x_rr(&g->c, 0x90 | cond | X_0F | X_RMBYTE, 0, reg);
    x64_done(g, op->d, reg);
    if (g->zf_reg == reg) {
        g->zf_reg = NO_REG;
    }
}

/* d = cond ? c : imm's register */
void x64_gen_select(struct gen *g, const struct ir_op *op, unsigned cond)
{
    ir_reg yes = op->c, no = (ir_reg)op->imm, d = op->d;
    unsigned reg, src;

    x64_unlock(g);
    /* The flags must live until the move: nothing below changes them. */
    if (d == yes && d != no) {
        cond ^= 1;
        yes = no;
        no = d;
    }
    if (no == d) {
        src = x64_use(g, yes);
        reg = is_home(d) ? home_of(d) : x64_use(g, d);
    } else {
        src = x64_use(g, yes);
        unsigned from = x64_use(g, no);
        if (is_home(d)) {
            reg = home_of(d);
            mov_rr(&g->c, 1, reg, from);
        } else if (from != src && dies(g, no) && g->loc[no] == from) {
            reg = from;
        } else {
            reg = g->loc[d] != NO_REG && g->loc[d] != src ? x64_def(g, d) : x64_alloc(g);
            mov_rr(&g->c, 1, reg, from);
        }
    }
    x_rr(&g->c, 0x40 | cond | X_0F | wbit(W(op)), reg, src);
    x64_done(g, d, reg);
    flags_clobbered(g);
}

/* d = a +- b +- (c & 1) */
static void gen_addx(struct gen *g, const struct ir_op *op)
{
    unsigned w = W(op), reg, a, c;
    enum alu alu = op->opc == IR_ADDX ? ALU_ADC : ALU_SBB;

    /* One operand after the other: each may want registers. */
    a = x64_use(g, op->a);
    reg = x64_alloc(g);
    mov_rr(&g->c, 1, reg, a);
    x64_lock_only(g, reg);
    c = x64_use(g, op->c);
    x_rr(&g->c, 0xba | X_0F, 4, c); /* bt c, 0: CF, which moves leave alone */
    put8(&g->c, 0);
    x64_lock_only(g, reg);
    if (is_bimm(op) && fits32(imm_of(op))) {
        alu_ri(&g->c, alu, w, reg, (int32_t)imm_of(op));
    } else if (is_bimm(op)) {
        unsigned b = x64_alloc(g);
        mov_ri(&g->c, b, (uint64_t)op->imm);
        alu_rr(&g->c, alu, w, reg, b);
    } else {
        alu_operand(g, alu, w, reg, x64_operand(g, op->b));
    }
    result(g, op->d, reg, true, w);
}

static void gen_mov(struct gen *g, const struct ir_op *op)
{
    unsigned reg, src;

    if (op->w == W32) {
        gen_convert(g, op, 0x8b);
        return;
    }
    if (op->d == op->a) {
        return;
    }
    if (x64_in_reg(g, op->a, &src)) {
        if (!is_home(op->d) && dies(g, op->a) && g->loc[op->a] == src) {
            x64_done(g, op->d, src);
            return;
        }
        reg = x64_def(g, op->d);
        mov_rr(&g->c, 1, reg, src);
    } else {
        reg = x64_def(g, op->d);
        mov_rm(&g->c, 1, reg, slot_of(op->a));
    }
    x64_done(g, op->d, reg);
    if (g->zf_reg == reg) {
        flags_clobbered(g);
    }
}

bool x64_gen_alu(struct gen *g, const struct ir_op *op)
{
    unsigned reg;

    if (!(ir_opinfo[op->opc].attr & IRA_D) || (ir_opinfo[op->opc].attr & (IRA_VA | IRA_VB))) {
        return false;
    }
    if (op->opc != IR_SETCOND && op->opc != IR_MOVCOND) {
        x64_cc_settle(g, op);
    }
    if (!alu_of[op->opc] && op->opc != IR_ADD) { /* those look at the flags first */
        x64_before_write(g, op->d, NULL);
        x64_unlock(g);
    }
    switch (op->opc) {
    case IR_MOV:
        gen_mov(g, op);
        return true;
    case IR_MOVI:
        reg = x64_def(g, op->d);
        if (op->imm == 0 && g->zf_reg == NO_REG && !g->cmp_valid) {
            alu_rr(&g->c, ALU_XOR, 0, reg, reg);
        } else {
            mov_ri(&g->c, reg, (uint64_t)op->imm);
        }
        x64_done(g, op->d, reg);
        if (g->zf_reg == reg) {
            flags_clobbered(g);
        }
        return true;
    case IR_MOVPC:
        if (fits32(op->imm)) {
            reg = x64_def(g, op->d);
            lea(&g->c, 1, reg, at(HOST_PC, (int32_t)op->imm));
        } else {
            reg = x64_def(g, op->d);
            mov_ri(&g->c, reg, (uint64_t)op->imm);
            lea(&g->c, 1, reg, at_index(reg, HOST_PC, 0, 0));
        }
        x64_done(g, op->d, reg);
        if (g->zf_reg == reg) {
            flags_clobbered(g);
        }
        return true;
    case IR_ADD:
    case IR_SUB:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
        gen_bin(g, op);
        return true;
    case IR_MUL:
        gen_mul(g, op);
        return true;
    case IR_MULHU:
    case IR_MULHS:
        gen_mulh(g, op);
        return true;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROTL:
    case IR_ROTR:
        gen_shift(g, op);
        return true;
    case IR_NEG:
    case IR_NOT:
    case IR_BSWAP:
        gen_unary(g, op);
        return true;
    case IR_EXT8U:
        gen_convert(g, op, 0xb6 | X_0F | X_RMBYTE);
        return true;
    case IR_EXT16U:
        gen_convert(g, op, 0xb7 | X_0F);
        return true;
    case IR_EXT32U:
        gen_convert(g, op, 0x8b);
        return true;
    case IR_EXT8S:
        gen_convert(g, op, 0xbe | X_0F | X_RMBYTE | wbit(W(op)));
        return true;
    case IR_EXT16S:
        gen_convert(g, op, 0xbf | X_0F | wbit(W(op)));
        return true;
    case IR_EXT32S:
        gen_convert(g, op, 0x63 | X_W);
        return true;
    case IR_EXTRACT:
        gen_extract(g, op);
        return true;
    case IR_DEPOSIT:
        gen_deposit(g, op);
        return true;
    case IR_CLZ:
    case IR_CTZ:
    case IR_POPCNT:
        gen_count(g, op);
        return true;
    case IR_SETCOND:
        gen_setcond(g, op);
        return true;
    case IR_MOVCOND:
        x64_gen_select(g, op, x64_compare(g, op));
        return true;
    case IR_ADDX:
    case IR_SUBX:
        gen_addx(g, op);
        return true;
    default:
        return false;
    }
}
#endif
