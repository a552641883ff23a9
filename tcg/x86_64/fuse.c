/* A few IR ops in a row that are one host instruction, or share a comparison:
 *
 *   t = EXT8U r; u = ADD t, x; r = DEPOSIT r, u    an operation on 8 or 16 bits, in place
 *   t = MOVI; MOVCOND of t; EXT32 and MOVCOND      the comparison with a number, or of 32 bits
 *   DIVU and REMU (DIVS and REMS) of the same      one division
 *
 * Temporaries in between must not be wanted by others (def_last). */
#ifdef __x86_64__
#include "tcg/x86_64/gen.h"

/* op makes a temporary that is last used by the op n further on. */
static bool feeds(const struct gen *g, const struct ir_op *op, unsigned n)
{
    unsigned i = (unsigned)(op - g->ir->ops);

    return i + n < g->ir->nops && op->d != IR_NONE && is_temp(op->d) && g->def_last[i] == i + n;
}

/* The ops up to `last`, which has made its result, are done. Operands of the first were wanted till
 * now. */
static unsigned fused(struct gen *g, const struct ir_op *last)
{
    g->i = (unsigned)(last - g->ir->ops);
    if (is_temp(last->d)) {
        g->last_use[last->d] = g->def_last[g->i];
    }
    return 1;
}

/* ---- 8 and 16 bits ---- */

struct narrow {
    enum { NOT_NARROW, ALU, SHIFT, UNARY } form;
    uint8_t code; /* enum alu, or the opcode's extension */
};

static const struct narrow narrow_of[IR_NOPS] = {
    [IR_ADD] = {ALU, ALU_ADD}, [IR_SUB] = {ALU, ALU_SUB}, [IR_AND] = {ALU, ALU_AND},
    [IR_OR] = {ALU, ALU_OR},   [IR_XOR] = {ALU, ALU_XOR}, [IR_SHL] = {SHIFT, 4},
    [IR_SHR] = {SHIFT, 5},     [IR_SAR] = {SHIFT, 7},     [IR_NOT] = {UNARY, 2},
    [IR_NEG] = {UNARY, 3},
};

static void put16(struct code *c, unsigned x)
{
    put8(c, x & 0xff);
    put8(c, x >> 8 & 0xff);
}

/* 16-bit immediates with a prefix are slow to decode: logical operations are done in 64 bits. */
static void narrow_imm(struct code *c, unsigned alu, unsigned size, unsigned reg, int64_t imm)
{
    int16_t x = (int16_t)imm;

    if (size == 1) {
        x_rr(c, 0x80 | X_RMBYTE, alu, reg);
        put8(c, (uint8_t)imm);
    } else if (alu == ALU_OR || alu == ALU_XOR) {
        alu_ri(c, alu, 1, reg, (uint16_t)imm);
    } else if (alu == ALU_AND) {
        alu_ri(c, alu, 1, reg, (int32_t)((uint16_t)imm | 0xffff0000u));
    } else if (x == (int8_t)x) {
        x_rr(c, 0x83 | X_66, alu, reg);
        put8(c, (uint8_t)x);
    } else {
        x_rr(c, 0x81 | X_66, alu, reg);
        put16(c, (uint16_t)imm);
    }
}

static unsigned gen_narrow(struct gen *g, const struct ir_op *op)
{
    const struct ir_op *bin = op + 1, *dep = op + 2;
    unsigned size = op->opc == IR_EXT8U || op->opc == IR_EXT8S ? 1 : 2;
    bool sign = op->opc == IR_EXT8S || op->opc == IR_EXT16S, imm;
    ir_reg r = op->a, other;

    if (!feeds(g, op, 1) || !feeds(g, bin, 1) || dep->opc != IR_DEPOSIT || dep->d != r ||
        dep->a != r || dep->b != bin->d || dep->imm != (int64_t)size << 11 || is_cc(r) ||
        r == TCG_REG_PC) {
        return 0;
    }
    const struct narrow n = narrow_of[bin->opc];
    imm = bin->flags & IR_BIMM;
    other = bin->b;
    if (n.form == ALU && bin->a != op->d && !imm && bin->opc != IR_SUB) {
        other = bin->a;
        if (bin->b != op->d) {
            return 0;
        }
    } else if (n.form == NOT_NARROW || bin->a != op->d) {
        return 0;
    }
    if (n.form == SHIFT && (!imm || bin->imm < 1 || bin->imm >= 8 * size ||
                            (bin->opc != IR_SHL && sign != (bin->opc == IR_SAR)))) {
        return 0;
    }
    unsigned wide = size == 1 ? X_RMBYTE : X_66 | 1, src = 0, reg;
    x64_cc_settle(g, bin);
    x64_before_write(g, r, NULL);
    x64_unlock(g);
    if (n.form == ALU && !imm) {
        src = x64_use(g, other == op->d ? r : other);
    }
    reg = x64_use(g, r);
    if (n.form == UNARY) {
        x_rr(&g->c, 0xf6 | wide, n.code, reg);
    } else if (n.form == SHIFT && bin->imm == 1) {
        x_rr(&g->c, 0xd0 | wide, n.code, reg);
    } else if (n.form == SHIFT) {
        x_rr(&g->c, 0xc0 | wide, n.code, reg);
        put8(&g->c, (uint8_t)bin->imm);
    } else if (imm) {
        narrow_imm(&g->c, n.code, size, reg, bin->imm);
    } else if (size == 1) {
        x_rr(&g->c, (unsigned)n.code << 3 | 2 | X_BYTE, reg, src);
    } else {
        x_rr(&g->c, (unsigned)n.code << 3 | 3 | X_66, reg, src);
    }
    x64_done(g, r, reg);
    flags_clobbered(g);
    return fused(g, dep);
}

/* ---- conditional moves ---- */

static bool moves(const struct ir_op *mov, ir_reg t)
{
    return mov->c == t || (ir_reg)mov->imm == t;
}

static unsigned select_now(struct gen *g, const struct ir_op *mov, enum ir_width w, ir_reg a,
                           ir_reg b, bool bimm, int64_t imm)
{
    x64_before_write(g, mov->d, NULL);
    x64_unlock(g);
    x64_gen_select(g, mov, x64_compare_values(g, mov->aux, w, a, b, bimm, imm));
    return fused(g, mov);
}

static unsigned gen_select_imm(struct gen *g, const struct ir_op *op)
{
    const struct ir_op *ext = op + 1, *mov = op + 1;

    if (feeds(g, op, 1) && mov->opc == IR_MOVCOND && mov->b == op->d && mov->a != op->d &&
        !moves(mov, op->d)) {
        return select_now(g, mov, mov->w, mov->a, IR_NONE, true, op->imm);
    }
    mov = op + 2;
    if (feeds(g, op, 2) && ext->opc == IR_EXT32S && feeds(g, ext, 1) && mov->opc == IR_MOVCOND &&
        mov->w == W64 && mov->a == ext->d && mov->b == op->d && ext->a != op->d &&
        op->imm == (int32_t)op->imm && !moves(mov, op->d) && !moves(mov, ext->d) &&
        mov->aux != IR_TSTNE && mov->aux != IR_TSTEQ) {
        return select_now(g, mov, W32, ext->a, IR_NONE, true, op->imm);
    }
    return 0;
}

static unsigned gen_select_32(struct gen *g, const struct ir_op *op)
{
    const struct ir_op *other = op + 1, *mov = op + 2;
    enum ir_cond c = (enum ir_cond)mov->aux;
    bool sign = c == IR_LT || c == IR_GE || c == IR_LE || c == IR_GT;

    if (!feeds(g, op, 2) || other->opc != op->opc || !feeds(g, other, 1) ||
        mov->opc != IR_MOVCOND || mov->w != W64 || mov->a != op->d || mov->b != other->d ||
        other->a == op->d || moves(mov, op->d) || moves(mov, other->d) ||
        (sign && op->opc != IR_EXT32S)) {
        return 0;
    }
    return select_now(g, mov, W32, op->a, other->a, false, 0);
}

/* ---- divisions ---- */

/* The value of IR register r, which may be in a register of the pool that is free now. */
static void load_into(struct gen *g, unsigned reg, ir_reg r)
{
    unsigned from;

    if (x64_in_reg(g, r, &from)) {
        mov_rr(&g->c, 1, reg, from);
    } else {
        mov_rm(&g->c, 1, reg, slot_of(r));
    }
}

static unsigned gen_divide(struct gen *g, const struct ir_op *op)
{
    const struct ir_op *rem = op + 1;
    bool quotient = op->opc == IR_DIVU || op->opc == IR_DIVS;
    bool sign = op->opc == IR_DIVS || op->opc == IR_REMS;
    bool both = quotient && g->i + 1 < g->ir->nops && rem->opc == (sign ? IR_REMS : IR_REMU) &&
                rem->w == op->w && rem->a == op->a && rem->b == op->b && rem->c == op->c &&
                op->d != op->a && op->d != op->b && op->d != op->c && op->d != rem->d;
    unsigned divisor;

    x64_cc_settle(g, op);
    x64_before_write(g, op->d, NULL);
    if (both) {
        x64_before_write(g, rem->d, NULL);
    }
    x64_unlock(g);
    divisor = x64_use(g, op->b);
    if (divisor == RAX || divisor == RDX) { /* these are about to be written */
        x64_take(g, RCX);
        mov_rr(&g->c, 1, RCX, divisor);
        divisor = RCX;
        g->locked &= (uint16_t) ~(1u << RAX | 1u << RDX);
    }
    x64_take(g, RAX); /* what is wanted of the operands goes to memory */
    x64_take(g, RDX);
    load_into(g, RAX, op->a);
    load_into(g, RDX, op->c);
    x_rr(&g->c, 0xf7 | (op->w == W64 ? X_W : 0), sign ? 7 : 6, divisor);
    if (both) {
        x64_done(g, op->d, RAX);
        x64_done(g, rem->d, RDX);
        flags_clobbered(g);
        return fused(g, rem);
    } else {
        x64_done(g, op->d, quotient ? RAX : RDX);
    }
    flags_clobbered(g);
    return 1;
}

unsigned x64_gen_fused(struct gen *g, const struct ir_op *op)
{
    switch (op->opc) {
    case IR_EXT8U:
    case IR_EXT16U:
    case IR_EXT8S:
    case IR_EXT16S:
        return gen_narrow(g, op);
    case IR_MOVI:
        return gen_select_imm(g, op);
    case IR_EXT32U:
    case IR_EXT32S:
        return gen_select_32(g, op);
    case IR_DIVU:
    case IR_DIVS:
    case IR_REMU:
    case IR_REMS:
        return gen_divide(g, op);
    default:
        return 0;
    }
}
#endif
