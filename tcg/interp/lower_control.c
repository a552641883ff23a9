/* Lowering of branches, calls and exits. */
#include "tcg/interp/lower.h"

void lower_branch_to(struct lower *l, union iop *s, unsigned label)
{
    if (l->overflow) {
        return;
    }
    l->fixup[l->nfixups] = (uint32_t)(s - l->base);
    l->fixup_label[l->nfixups++] = label;
}

void lower_brcond(struct lower *l, const struct ir_op *op)
{
    const iop_fn *forms = iop_brcond[op->aux][op->w];
    union iop *s;
    ir_reg b = op->b;

    if ((op->flags & IR_BIMM) && (op->w == W32 || fits32(op->imm))) {
        s = slot(l, forms[1]);
        s->a = off(op->a);
        s->imm = (int32_t)op->imm;
    } else {
        if (op->flags & IR_BIMM) {
            movi(l, REG_SCRATCH0, op->imm);
            b = REG_SCRATCH0;
        }
        s = slot(l, forms[0]);
        s->a = off(op->a);
        s->b = off(b);
    }
    lower_branch_to(l, s, op->d);
}

/* The target may be on another page than the block (with a 16-bit pc: wrap, and be anywhere). */
static bool crosses(const struct lower *l, const struct ir_op *op)
{
    int64_t target = (int64_t)(l->tb->phys & PAGE_OFFSET_MASK) + op->imm;
    return (op->flags & IR_PC16) || target < 0 || target >= (int64_t)PAGE_SIZE_GUEST;
}

/* The slots behind an exit: its target and its stub. */
void lower_exit_slots(struct lower *l, union iop *s, bool cross)
{
    struct tb_exit *e;

    data(l, 0, 0);
    slot(l, iop_stub);
    if (l->overflow) {
        return;
    }
    e = tb_add_exit(l->tb, (uint32_t)((uint8_t *)s - (uint8_t *)l->tb), cross);
    s[EXIT_TARGET].q[0] = (uintptr_t)&s[EXIT_STUB];
    s[EXIT_STUB].data = (uintptr_t)e;
}

void lower_exit_tb(struct lower *l, const struct ir_op *op)
{
    unsigned wrap = wrap_of(op);
    bool cross = crosses(l, op), poll = op->flags & IR_POLL;
    union iop *s;

    if (l->ir->no_link || !fits32(op->imm)) {
        /* Not linked: back to the loop. A distance beyond 2 GiB cannot come from x86 code. */
        if (!fits32(op->imm)) {
            movi(l, REG_SCRATCH0, op->imm);
            emit(l, iop_bin[IR_ADD][W64][FORM_RR], off(REG_SCRATCH0), off(TCG_REG_PC),
                 off(REG_SCRATCH0), 0);
            emit(l, iop_exit_stop_ind[wrap], 0, off(REG_SCRATCH0), 0, 0);
        } else {
            emit_imm(l, iop_exit_stop[wrap], 0, 0, op->imm);
        }
        return;
    }
    s = slot(l, iop_exit[wrap][cross][poll]);
    s->a = wrap == 2 ? EXIT_OWN : cross ? EXIT_GUARDED : EXIT_PLAIN;
    s->imm = (int32_t)op->imm;
    lower_exit_slots(l, s, cross);
}

void lower_call(struct lower *l, const struct ir_op *op)
{
    const struct ir_helper *h = ir_op_helper(op);
    bool imm = h->flags & HELPER_IMM, result = op->d != IR_NONE;
    ir_reg in[3] = {op->a, op->b, op->c};
    uint16_t arg[3] = {off(REG_ZERO), off(REG_ZERO), off(REG_ZERO)};
    unsigned n = 0;

    for (unsigned i = 0; i < 3; i++) {
        if (in[i] != IR_NONE) {
            arg[n++] = off(in[i]);
        }
    }
    emit(l, iop_call[n][imm][result], result ? off(op->d) : 0, arg[0], arg[1], arg[2]);
    data(l, (uint64_t)(uintptr_t)h->fn, (uint64_t)op->imm);
}
