/* Builders of the intermediate representation (tcg/ir.h): each appends one op. They check nothing
 * but their own limits; ir_check() knows the contract. */
#include "tcg/ir.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void ir_init(struct ir *ir)
{
    memset(ir, 0, sizeof(*ir));
}

void ir_reset(struct ir *ir)
{
    struct ir_op *ops = ir->ops;
    unsigned cap = ir->cap;

    memset(ir, 0, sizeof(*ir));
    ir->ops = ops;
    ir->cap = cap;
}

void ir_free(struct ir *ir)
{
    free(ir->ops);
    memset(ir, 0, sizeof(*ir));
}

struct ir_op *ir_append(struct ir *ir, enum ir_opc opc)
{
    struct ir_op *op;

    if (ir->nops == ir->cap) {
        ir->cap = ir->cap ? ir->cap * 2 : 512;
        ir->ops = realloc(ir->ops, ir->cap * sizeof(*ir->ops));
        if (!ir->ops) {
            abort();
        }
    }
    op = &ir->ops[ir->nops++];
    memset(op, 0, sizeof(*op));
    op->opc = opc;
    op->d = op->a = op->b = op->c = IR_NONE;
    return op;
}

ir_reg ir_temp(struct ir *ir)
{
    assert(TCG_REG_TEMP + ir->ntemps < TCG_REG_LAST_TEMP);
    return (ir_reg)(TCG_REG_TEMP + ir->ntemps++);
}

ir_reg ir_vtemp(struct ir *ir)
{
    assert(TCG_VREG_TEMP + ir->nvtemps < TCG_NVREGS);
    return (ir_reg)(TCG_VREG_TEMP + ir->nvtemps++);
}

unsigned ir_label_new(struct ir *ir)
{
    return ir->nlabels++;
}

/* ---- integer ---- */

static struct ir_op *put(struct ir *ir, enum ir_opc o, enum ir_width w, ir_reg d, ir_reg a,
                         ir_reg b)
{
    struct ir_op *op = ir_append(ir, o);

    op->w = w;
    op->d = d;
    op->a = a;
    op->b = b;
    return op;
}

void ir_mov(struct ir *ir, enum ir_width w, ir_reg d, ir_reg a)
{
    put(ir, IR_MOV, w, d, a, IR_NONE);
}

void ir_movi(struct ir *ir, ir_reg d, uint64_t imm)
{
    put(ir, IR_MOVI, W64, d, IR_NONE, IR_NONE)->imm = (int64_t)imm;
}

void ir_movpc(struct ir *ir, ir_reg d, int64_t off)
{
    put(ir, IR_MOVPC, W64, d, IR_NONE, IR_NONE)->imm = off;
}

void ir_bin(struct ir *ir, enum ir_opc o, enum ir_width w, ir_reg d, ir_reg a, ir_reg b)
{
    put(ir, o, w, d, a, b);
}

void ir_bini(struct ir *ir, enum ir_opc o, enum ir_width w, ir_reg d, ir_reg a, int64_t imm)
{
    struct ir_op *op = put(ir, o, w, d, a, IR_NONE);

    op->flags = IR_BIMM;
    op->imm = imm;
}

void ir_un(struct ir *ir, enum ir_opc o, enum ir_width w, ir_reg d, ir_reg a)
{
    put(ir, o, w, d, a, IR_NONE);
}

void ir_extract(struct ir *ir, ir_reg d, ir_reg a, unsigned pos, unsigned len)
{
    put(ir, IR_EXTRACT, W64, d, a, IR_NONE)->imm = (int64_t)(pos | len << 8);
}

void ir_deposit(struct ir *ir, ir_reg d, ir_reg a, ir_reg b, unsigned pos, unsigned len)
{
    put(ir, IR_DEPOSIT, W64, d, a, b)->imm = (int64_t)(pos | len << 8);
}

void ir_setcond(struct ir *ir, enum ir_cond c, enum ir_width w, ir_reg d, ir_reg a, ir_reg b)
{
    put(ir, IR_SETCOND, w, d, a, b)->aux = c;
}

void ir_setcondi(struct ir *ir, enum ir_cond c, enum ir_width w, ir_reg d, ir_reg a, int64_t imm)
{
    ir_bini(ir, IR_SETCOND, w, d, a, imm);
    ir->ops[ir->nops - 1].aux = c;
}

void ir_movcond(struct ir *ir, enum ir_cond c, enum ir_width w, ir_reg d, ir_reg a, ir_reg b,
                ir_reg yes, ir_reg no)
{
    struct ir_op *op = put(ir, IR_MOVCOND, w, d, a, b);

    op->aux = c;
    op->c = yes;
    op->imm = no;
}

void ir_addx(struct ir *ir, enum ir_opc o, enum ir_width w, ir_reg d, ir_reg a, ir_reg b,
             ir_reg carry)
{
    put(ir, o, w, d, a, b)->c = carry;
}

void ir_divide(struct ir *ir, enum ir_opc o, enum ir_width w, ir_reg d, ir_reg low, ir_reg divisor,
               ir_reg high)
{
    put(ir, o, w, d, low, divisor)->c = high;
}

void ir_cc(struct ir *ir, unsigned kind, ir_reg a, ir_reg b, ir_reg c)
{
    struct ir_op *op = put(ir, IR_CC, W64, IR_NONE, a, b);

    op->c = c;
    op->imm = kind;
}

/* ---- memory ---- */

static struct ir_op *mem(struct ir *ir, enum ir_opc o, ir_reg base, ir_reg index, unsigned memop,
                         int64_t disp)
{
    struct ir_op *op = ir_append(ir, o);

    op->a = base;
    op->c = index;
    op->aux = (uint16_t)(index == IR_NONE ? memop & ~(unsigned)MO_INDEX : memop | MO_INDEX);
    op->imm = disp;
    return op;
}

void ir_ld(struct ir *ir, enum ir_width w, ir_reg d, ir_reg base, ir_reg index, unsigned memop,
           int64_t disp)
{
    struct ir_op *op = mem(ir, IR_LD, base, index, memop, disp);

    op->w = w;
    op->d = d;
}

void ir_st(struct ir *ir, ir_reg base, ir_reg index, unsigned memop, int64_t disp, ir_reg value)
{
    mem(ir, IR_ST, base, index, memop, disp)->b = value;
}

void ir_sti(struct ir *ir, ir_reg base, ir_reg index, unsigned memop, int64_t disp, int64_t value)
{
    struct ir_op *op = mem(ir, IR_ST, base, index, memop, disp);

    op->flags = IR_BIMM;
    op->imm2 = value;
}

void ir_ldenv(struct ir *ir, ir_reg d, size_t off, unsigned memop)
{
    struct ir_op *op = put(ir, IR_LDENV, W64, d, IR_NONE, IR_NONE);

    op->aux = (uint16_t)memop;
    op->imm = (int64_t)off;
}

void ir_stenv(struct ir *ir, ir_reg b, size_t off, unsigned memop)
{
    struct ir_op *op = put(ir, IR_STENV, W64, IR_NONE, IR_NONE, b);

    op->aux = (uint16_t)memop;
    op->imm = (int64_t)off;
}

void ir_stenvi(struct ir *ir, int64_t value, size_t off, unsigned memop)
{
    ir_stenv(ir, IR_NONE, off, memop);
    ir->ops[ir->nops - 1].flags = IR_BIMM;
    ir->ops[ir->nops - 1].imm2 = value;
}

void ir_atomic(struct ir *ir, enum ir_atomic op, ir_reg d, ir_reg addr, unsigned memop, ir_reg b)
{
    struct ir_op *o = mem(ir, IR_ATOMIC, addr, IR_NONE, memop, 0);

    o->d = d;
    o->b = b;
    o->imm2 = op;
}

void ir_cmpxchg(struct ir *ir, ir_reg d, ir_reg addr, unsigned memop, ir_reg expect, ir_reg value)
{
    struct ir_op *o = mem(ir, IR_CMPXCHG, addr, IR_NONE, memop, 0);

    o->d = d;
    o->b = expect;
    o->c = value;
}

void ir_call(struct ir *ir, const struct ir_helper *h, ir_reg d, ir_reg a, ir_reg b, ir_reg c,
             int64_t imm)
{
    struct ir_op *op = put(ir, IR_CALL, W64, d, a, b);

    op->c = c;
    op->imm = imm;
    op->imm2 = (int64_t)(intptr_t)h;
}

/* ---- control ---- */

void ir_label(struct ir *ir, unsigned label)
{
    ir_append(ir, IR_LABEL)->imm = label;
}

void ir_br(struct ir *ir, unsigned label)
{
    ir_append(ir, IR_BR)->imm = label;
}

void ir_brcond(struct ir *ir, enum ir_cond c, enum ir_width w, ir_reg a, ir_reg b, unsigned label)
{
    put(ir, IR_BRCOND, w, (ir_reg)label, a, b)->aux = c;
}

void ir_brcondi(struct ir *ir, enum ir_cond c, enum ir_width w, ir_reg a, int64_t imm,
                unsigned label)
{
    ir_bini(ir, IR_BRCOND, w, (ir_reg)label, a, imm);
    ir->ops[ir->nops - 1].aux = c;
}

void ir_exit_tb(struct ir *ir, unsigned slot, int64_t pc_off, unsigned flags)
{
    struct ir_op *op = ir_append(ir, IR_EXIT_TB);

    op->aux = (uint16_t)slot;
    op->imm = pc_off;
    op->flags = (uint16_t)flags;
}

void ir_exit_ind(struct ir *ir, ir_reg target, enum ir_ind hint, unsigned flags)
{
    struct ir_op *op = ir_append(ir, IR_EXIT_IND);

    op->a = target;
    op->aux = hint;
    op->flags = (uint16_t)flags;
}

void ir_exit_loop(struct ir *ir, int64_t pc_off, unsigned flags)
{
    struct ir_op *op = ir_append(ir, IR_EXIT_LOOP);

    op->imm = pc_off;
    op->flags = (uint16_t)flags;
}

/* ---- vectors ---- */

void ir_vmov(struct ir *ir, ir_reg d, ir_reg a, unsigned flags)
{
    put(ir, IR_VMOV, W64, d, a, IR_NONE)->flags = (uint16_t)flags;
}

void ir_vld(struct ir *ir, ir_reg d, ir_reg base, ir_reg index, unsigned memop, int64_t disp,
            unsigned flags)
{
    struct ir_op *op = mem(ir, IR_VLD, base, index, memop, disp);

    op->d = d;
    op->flags = (uint16_t)flags;
}

void ir_vst(struct ir *ir, ir_reg base, ir_reg index, unsigned memop, int64_t disp, ir_reg value)
{
    mem(ir, IR_VST, base, index, memop, disp)->b = value;
}

void ir_vop(struct ir *ir, unsigned vop, ir_reg d, ir_reg a, ir_reg b, ir_reg c, unsigned imm8,
            unsigned flags)
{
    struct ir_op *op = put(ir, IR_VOP, W64, d, a, b);

    op->c = c;
    op->aux = (uint16_t)vop;
    op->imm = imm8;
    op->flags = (uint16_t)flags;
}

void ir_vopr(struct ir *ir, unsigned vop, enum ir_width w, ir_reg d, ir_reg a, ir_reg b,
             unsigned imm8, unsigned flags)
{
    ir_vop(ir, vop, d, a, b, IR_NONE, imm8, flags);
    ir->ops[ir->nops - 1].opc = IR_VOPR;
    ir->ops[ir->nops - 1].w = w;
}

void ir_vopi(struct ir *ir, unsigned vop, enum ir_width w, ir_reg d, ir_reg a, ir_reg b,
             unsigned imm8, unsigned flags)
{
    ir_vop(ir, vop, d, a, b, IR_NONE, imm8, flags);
    ir->ops[ir->nops - 1].opc = IR_VOPI;
    ir->ops[ir->nops - 1].w = w;
}

void ir_vget(struct ir *ir, ir_reg d, ir_reg a, unsigned elem, unsigned memop)
{
    struct ir_op *op = put(ir, IR_VGET, W64, d, a, IR_NONE);

    op->aux = (uint16_t)memop;
    op->imm = elem;
}

void ir_vset(struct ir *ir, ir_reg d, ir_reg a, ir_reg b, unsigned elem, unsigned memop,
             unsigned flags)
{
    struct ir_op *op = put(ir, IR_VSET, W64, d, a, b);

    op->aux = (uint16_t)memop;
    op->imm = elem;
    op->flags = (uint16_t)flags;
}

void ir_vldenv(struct ir *ir, ir_reg d, size_t off, unsigned memop)
{
    struct ir_op *op = put(ir, IR_VLDENV, W64, d, IR_NONE, IR_NONE);

    op->aux = (uint16_t)memop;
    op->imm = (int64_t)off;
}

void ir_vstenv(struct ir *ir, ir_reg b, size_t off, unsigned memop)
{
    struct ir_op *op = put(ir, IR_VSTENV, W64, IR_NONE, IR_NONE, b);

    op->aux = (uint16_t)memop;
    op->imm = (int64_t)off;
}
