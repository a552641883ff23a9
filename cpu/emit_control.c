/* Near control transfers: JMP, CALL, RET, Jcc, JCXZ, LOOPx (SDM volume 2). Far ones are in
 * emit_segment.c. Targets wrap at the operand size and are checked against the limit of CS before
 * anything is changed. */
#include "cpu/translate.h"

static unsigned branch_size(const struct translator *t, const struct x86_insn *i)
{
    return t_code64(t) ? 8 : i->opsize;
}

static int64_t branch_off(const struct translator *t, const struct x86_insn *i)
{
    return (int64_t)t->next_off + i->imm;
}

static ir_reg return_address(struct translator *t, unsigned size)
{
    ir_reg ret = ir_temp(t->ir);

    ir_movpc(t->ir, ret, t->next_off);
    if (size < 8) {
        ir_un(t->ir, size == 2 ? IR_EXT16U : IR_EXT32U, W64, ret, ret);
    }
    return ret;
}

static void emit_jmp(struct translator *t, const struct x86_insn *i)
{
    unsigned size = branch_size(t, i);

    if (i->op[0].kind == OP_REL) {
        if (!emit_follow(t, branch_off(t, i), size)) {
            emit_jump(t, 0, branch_off(t, i), size);
        }
    } else {
        ir_reg target = operand_load(t, i, 0);
        check_jump_indirect(t, target, size);
        emit_jump_indirect(t, target, IR_IND_JUMP, size);
    }
}

static void emit_call(struct translator *t, const struct x86_insn *i)
{
    unsigned size = branch_size(t, i);

    if (i->op[0].kind == OP_REL) {
        bool leaf = translate_is_leaf(t, branch_off(t, i), size);
        check_jump(t, branch_off(t, i), size);
        stack_push(t, return_address(t, size), size);
        if (leaf && emit_follow(t, branch_off(t, i), size)) {
            t->inlined = true;
            t->return_off = t->next_off;
            return;
        }
        emit_jump(t, 0, branch_off(t, i), size);
        return;
    }
    ir_reg target = operand_load(t, i, 0);
    if (target == X86_RSP) {
        target = ir_temp(t->ir);
        ir_mov(t->ir, W64, target, X86_RSP);
    }
    check_jump_indirect(t, target, size);
    stack_push(t, return_address(t, size), size);
    emit_jump_indirect(t, target, IR_IND_CALL, size);
}

static void emit_ret(struct translator *t, const struct x86_insn *i)
{
    unsigned size = branch_size(t, i);
    ir_reg target = stack_top(t, size);

    if (t->inlined && i->nops == 0 && emit_follow(t, t->return_off, size)) {
        /* Back behind the call in this block, if the guest did not change its mind. */
        unsigned back = ir_label_new(t->ir);
        ir_reg expected = ir_temp(t->ir);
        ir_movpc(t->ir, expected, t->return_off);
        if (size < 8) {
            ir_un(t->ir, IR_EXT32U, W64, expected, expected);
        }
        ir_brcond(t->ir, IR_EQ, W64, target, expected, back);
        check_jump_indirect(t, target, size);
        stack_adjust(t, size);
        emit_jump_indirect(t, target, IR_IND_RET, size);
        t->done = false;
        ir_label(t->ir, back);
        stack_adjust(t, size);
        t->inlined = false;
        return;
    }
    check_jump_indirect(t, target, size);
    stack_adjust(t, size + (i->nops ? i->imm & 0xffff : 0));
    emit_jump_indirect(t, target, IR_IND_RET, size);
}

static void emit_jcc(struct translator *t, const struct x86_insn *i)
{
    unsigned taken = ir_label_new(t->ir);

    flags_branch(t, i->opcode & 15, taken);
    if (emit_side_exit(t, taken, branch_off(t, i), branch_size(t, i))) {
        return;
    }
    emit_next(t, 0);
    ir_label(t->ir, taken);
    emit_jump(t, 1, branch_off(t, i), branch_size(t, i));
}

/* Branches to label when the counter register, of the address size, is (not) zero. */
static void branch_counter(struct translator *t, const struct x86_insn *i, ir_reg counter,
                           bool zero, unsigned label)
{
    if (i->addrsize == 2) {
        ir_brcondi(t->ir, zero ? IR_TSTEQ : IR_TSTNE, W32, counter, 0xffff, label);
    } else {
        ir_brcondi(t->ir, zero ? IR_EQ : IR_NE, width_of(i->addrsize), counter, 0, label);
    }
}

static void emit_jcxz(struct translator *t, const struct x86_insn *i)
{
    unsigned taken = ir_label_new(t->ir);

    branch_counter(t, i, X86_RCX, true, taken);
    emit_next(t, 0);
    ir_label(t->ir, taken);
    emit_jump(t, 1, branch_off(t, i), branch_size(t, i));
}

/* cc: condition that ends LOOPE, LOOPNE early, or -1. */
static void loop(struct translator *t, const struct x86_insn *i, int cc)
{
    ir_reg count = ir_temp(t->ir);
    unsigned end = ir_label_new(t->ir);

    ir_bini(t->ir, IR_SUB, width_of(i->addrsize), count, X86_RCX, 1);
    branch_counter(t, i, count, true, end);
    if (cc >= 0) {
        flags_branch(t, (unsigned)cc, end);
    }
    check_jump(t, branch_off(t, i), branch_size(t, i));
    gpr_write(t, X86_RCX, i->addrsize, false, count);
    emit_jump(t, 1, branch_off(t, i), branch_size(t, i));
    ir_label(t->ir, end);
    gpr_write(t, X86_RCX, i->addrsize, false, count);
    emit_next(t, 0);
}

static void emit_loop(struct translator *t, const struct x86_insn *i)
{
    loop(t, i, -1);
}

static void emit_loope(struct translator *t, const struct x86_insn *i)
{
    loop(t, i, 5);
}

static void emit_loopne(struct translator *t, const struct x86_insn *i)
{
    loop(t, i, 4);
}

const struct x86_emitter x86_emit_control[] = {
    {MN_JMP, emit_jmp},     {MN_CALL, emit_call},     {MN_RET, emit_ret},
    {MN_JCC, emit_jcc},     {MN_JCXZ, emit_jcxz},     {MN_LOOP, emit_loop},
    {MN_LOOPE, emit_loope}, {MN_LOOPNE, emit_loopne}, {0, NULL},
};
