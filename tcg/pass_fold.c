/* Ops on constants, sums in addresses, and ops that change nothing: the part of the walk forward
 * that makes ops simpler. */
#include "tcg/passes.h"

static bool commutes(unsigned opc)
{
    return opc == IR_ADD || opc == IR_AND || opc == IR_OR || opc == IR_XOR || opc == IR_MUL;
}

static void make_movi(struct ir_op *op, int64_t imm)
{
    ir_reg d = op->d;

    *op = (struct ir_op){
        .opc = IR_MOVI, .w = W64, .d = d, .a = IR_NONE, .b = IR_NONE, .c = IR_NONE, .imm = imm};
}

static void make_mov(struct ir_op *op, enum ir_width w, ir_reg a)
{
    ir_reg d = op->d;

    *op = (struct ir_op){.opc = IR_MOV, .w = w, .d = d, .a = a, .b = IR_NONE, .c = IR_NONE};
}

static bool is_shift(unsigned opc)
{
    return opc == IR_SHL || opc == IR_SHR || opc == IR_SAR;
}

/* Value of a pure op on constants; false: not worth knowing how. */
static bool fold(const struct ir_op *op, uint64_t a, uint64_t b, int64_t *out)
{
    unsigned w = op->w, mask = w == W64 ? 63 : 31;
    uint64_t x;

    switch (op->opc) {
    case IR_MOV:
        x = a;
        break;
    case IR_ADD:
        x = a + b;
        break;
    case IR_SUB:
        x = a - b;
        break;
    case IR_AND:
        x = a & b;
        break;
    case IR_OR:
        x = a | b;
        break;
    case IR_XOR:
        x = a ^ b;
        break;
    case IR_SHL:
        x = a << (b & mask);
        break;
    case IR_SHR:
        x = (w == W32 ? (uint32_t)a : a) >> (b & mask);
        break;
    case IR_NEG:
        x = -a;
        break;
    case IR_NOT:
        x = ~a;
        break;
    case IR_EXT8U:
        *out = (uint8_t)a;
        return true;
    case IR_EXT16U:
        *out = (uint16_t)a;
        return true;
    case IR_EXT32U:
        *out = (uint32_t)a;
        return true;
    case IR_EXT8S:
        x = (uint64_t)(int8_t)a;
        break;
    case IR_EXT16S:
        x = (uint64_t)(int16_t)a;
        break;
    case IR_EXT32S:
        *out = (int32_t)a;
        return true;
    default:
        return false;
    }
    *out = narrow(w, x);
    return true;
}

bool pass_holds(enum ir_cond c, unsigned w, uint64_t a, uint64_t b)
{
    int64_t sa = w == W32 ? (int32_t)a : (int64_t)a, sb = w == W32 ? (int32_t)b : (int64_t)b;

    a = (uint64_t)narrow(w, a);
    b = (uint64_t)narrow(w, b);
    switch (c & ~1u) {
    case IR_EQ:
        return (a == b) != (c & 1);
    case IR_LT:
        return (sa < sb) != (c & 1);
    case IR_LE:
        return (sa <= sb) != (c & 1);
    case IR_LTU:
        return (a < b) != (c & 1);
    case IR_LEU:
        return (a <= b) != (c & 1);
    default:
        return ((a & b) != 0) != (c & 1);
    }
}

static bool same_bytes(int64_t x)
{
    return x == (int32_t)x;
}

/* Base and index of a memory operand: sums and constants move into the displacement. */
static void fold_address(const struct pass *p, struct ir_op *op)
{
    bool a32 = op->aux & MO_A32;
    int64_t imm;

    if ((op->aux & MO_INDEX) && is_const(p, op->c, &imm)) {
        int64_t disp = op->imm + (int64_t)((uint64_t)imm << (op->aux >> MO_SCALE & 3));
        if (same_bytes(disp)) {
            op->imm = disp;
            op->c = IR_NONE;
            op->aux &= (uint16_t) ~(MO_INDEX | 3u << MO_SCALE);
        }
    }
    for (unsigned k = 0; k < 4 && op->a != IR_NONE; k++) {
        const struct value *v = &p->val[op->a];
        int64_t disp = (int64_t)((uint64_t)op->imm + (uint64_t)v->imm);
        if (v->known == K_CONST && same_bytes(a32 ? (int32_t)disp : disp)) {
            op->a = IR_NONE;
            op->imm = a32 ? (int32_t)disp : disp;
        } else if ((v->known == K_ADD || (v->known == K_ADD32 && a32)) && op->a >= TCG_REG_TEMP &&
                   current(p, v) && same_bytes(a32 ? (int32_t)disp : disp)) {
            op->a = v->src;
            op->imm = a32 ? (int32_t)disp : disp;
        } else {
            break;
        }
    }
}

void pass_simplify(const struct pass *p, struct ir_op *op)
{
    uint16_t attr = ir_opinfo[op->opc].attr;
    int64_t imm, a, b;

    if (attr & IRA_MEM) {
        fold_address(p, op);
    }
    if ((attr & IRA_BIMM) && !is_bimm(op) && op->b != IR_NONE) {
        if (op->opc == IR_ST || op->opc == IR_STENV || op->opc == IR_CC) {
            if (is_const(p, op->b, &imm)) {
                op->imm2 = imm;
                op->b = IR_NONE;
                op->flags |= IR_BIMM;
            }
        } else if (is_const(p, op->b, &imm)) {
            op->imm = imm;
            op->b = IR_NONE;
            op->flags |= IR_BIMM;
        } else if (commutes(op->opc) && is_const(p, op->a, &imm)) {
            op->imm = imm;
            op->a = op->b;
            op->b = IR_NONE;
            op->flags |= IR_BIMM;
        }
    }
    if ((attr & (IRA_PURE | IRA_D)) != (IRA_PURE | IRA_D) || !(attr & IRA_A) || (attr & IRA_VA)) {
        return;
    }
    if (op->opc == IR_SETCOND) {
        if (is_bimm(op) && is_const(p, op->a, &a)) {
            make_movi(op, pass_holds(op->aux, op->w, (uint64_t)a, (uint64_t)op->imm));
        }
        return;
    }
    if (is_const(p, op->a, &a) && (!(attr & IRA_B) || is_bimm(op))) {
        b = is_bimm(op) ? op->imm : 0;
        if (!(attr & IRA_C) && fold(op, (uint64_t)a, (uint64_t)b, &imm)) {
            make_movi(op, imm);
            return;
        }
    }
    if (!is_bimm(op) && (attr & IRA_B) && op->a == op->b) {
        if (op->opc == IR_XOR || op->opc == IR_SUB) {
            make_movi(op, 0);
        } else if (op->opc == IR_AND || op->opc == IR_OR) {
            make_mov(op, op->w, op->a);
        }
        return;
    }
    if (is_bimm(op) && op->opc == IR_SUB) { /* one form of sums is enough */
        op->opc = IR_ADD;
        op->imm = (int64_t) - (uint64_t)op->imm;
    }
    if (is_bimm(op) && op->imm == 0 &&
        (op->opc == IR_ADD || op->opc == IR_OR || op->opc == IR_XOR || op->opc == IR_SHL ||
         op->opc == IR_SHR || op->opc == IR_SAR)) {
        make_mov(op, op->w, op->a);
        return;
    }
    if (is_bimm(op) && op->opc == IR_ADD && op->a >= TCG_REG_TEMP) {
        const struct value *v = &p->val[op->a];
        int64_t sum = (int64_t)((uint64_t)op->imm + (uint64_t)v->imm);
        if ((v->known == K_ADD || (v->known == K_ADD32 && op->w == W32)) && current(p, v) &&
            same_bytes(op->w == W32 ? (int32_t)sum : sum)) {
            op->a = v->src;
            op->imm = op->w == W32 ? (int32_t)sum : sum;
        }
    }
    /* Two shifts in a row: x86's flags want the value before the last bit, mostly for nothing. */
    if (is_bimm(op) && is_shift(op->opc) && op->a >= TCG_REG_TEMP) {
        const struct value *v = &p->val[op->a];
        unsigned n = (unsigned)(op->imm & 0xff) + (unsigned)(v->imm & 0xff);
        if (v->known == K_SHIFT && current(p, v) &&
            (v->imm & ~0xff) == SHIFT_IMM(op->opc, op->w, 0) && op->imm >= 0 &&
            n < (op->w == W64 ? 64u : 32u)) {
            op->a = v->src;
            op->imm = n;
        }
    }
    /* Extensions that change nothing. */
    static const uint8_t keeps[IR_NOPS] = {[IR_EXT8U] = 8, [IR_EXT16U] = 16, [IR_EXT32U] = 32};
    unsigned kept = op->opc == IR_MOV && op->w == W32 ? 32 : keeps[op->opc];
    if (kept && p->val[op->a].bits <= kept) {
        make_mov(op, W64, op->a);
    } else if (op->opc == IR_EXT32U) {
        make_mov(op, W32, op->a);
    }
}
