/* String instructions (SDM volume 2): MOVS STOS LODS CMPS SCAS, INS OUTS. Without a REP prefix the
 * memory ones are inline IR. With one, and the port ones always, they are one call of cpu/string.c;
 * when that stops early because something waits for the processor, the block is left with the pc
 * still at the instruction. */
#include "cpu/string.h"
#include "cpu/translate.h"

static unsigned element_size(const struct x86_insn *i)
{
    for (unsigned n = 0; n < i->nops; n++) {
        if (i->op[n].kind == OP_STR_SRC || i->op[n].kind == OP_STR_DST) {
            return i->op[n].size;
        }
    }
    return i->opsize;
}

static void call_helper(struct translator *t, const struct x86_insn *i, enum x86_string_op op)
{
    struct ir *ir = t->ir;
    unsigned size = element_size(i), done = ir_label_new(ir);
    bool rep = i->rep || i->repne;
    uint64_t what = op << STRING_OP | memop_of(size) << STRING_SIZE |
                    memop_of(i->addrsize) << STRING_ADDR | (unsigned)i->seg << STRING_SEG |
                    ir->ctx << STRING_CTX | (unsigned)i->repne << STRING_REPNE |
                    (t->key & KEY_TF ? 1u << STRING_ONE : 0) | (rep ? 0 : 1u << STRING_ONCE);
    ir_reg complete = ir_temp(ir);

    ir_call(ir, &x86_h_string, complete, IR_NONE, IR_NONE, IR_NONE, (int64_t)what);
    if (rep) {
        ir_brcondi(ir, IR_NE, W64, complete, 0, done);
        x87_pointers_settle(t);
        ir_exit_loop(ir, t->off, t_code64(t) ? 0 : IR_PC32);
        ir_label(ir, done);
    }
    if (op == STRING_CMPS || op == STRING_SCAS) {
        t->cc_kind = CC_UNKNOWN;
    }
}

static bool repeated(struct translator *t, const struct x86_insn *i, enum x86_string_op op)
{
    if (!i->rep && !i->repne) {
        return false;
    }
    call_helper(t, i, op);
    return true;
}

/* Linear address that an index register points to. */
static ir_reg element(struct translator *t, const struct x86_insn *i, enum x86_segnum seg,
                      ir_reg reg, unsigned size, bool write)
{
    ir_reg offset = reg;

    if (i->addrsize < 8) {
        offset = ir_temp(t->ir);
        ir_un(t->ir, i->addrsize == 4 ? IR_EXT32U : IR_EXT16U, W64, offset, reg);
    }
    return seg_linear(t, seg, offset, size, write);
}

/* The bytes by which an index register moves: DF * size. */
static ir_reg stride(struct translator *t, unsigned size)
{
    ir_reg d = X86_DF;

    if (size > 1) {
        d = ir_temp(t->ir);
        ir_bini(t->ir, IR_SHL, W64, d, X86_DF, memop_of(size));
    }
    return d;
}

static void advance(struct translator *t, const struct x86_insn *i, ir_reg reg, ir_reg by)
{
    if (i->addrsize >= 4) {
        ir_bin(t->ir, IR_ADD, width_of(i->addrsize), reg, reg, by);
    } else {
        ir_reg sum = ir_temp(t->ir);
        ir_bin(t->ir, IR_ADD, W32, sum, reg, by);
        gpr_write(t, reg, 2, false, sum);
    }
}

static ir_reg load(struct translator *t, ir_reg address, unsigned size)
{
    ir_reg d = ir_temp(t->ir);

    ir_ld(t->ir, W64, d, address, IR_NONE, memop_of(size), 0);
    return d;
}

static void emit_movs(struct translator *t, const struct x86_insn *i)
{
    unsigned size = element_size(i);

    if (repeated(t, i, STRING_MOVS)) {
        return;
    }
    ir_reg value = load(t, element(t, i, (enum x86_segnum)i->seg, X86_RSI, size, false), size);
    ir_reg to = element(t, i, SEG_ES, X86_RDI, size, true);
    ir_st(t->ir, to, IR_NONE, memop_of(size), 0, value);
    ir_reg by = stride(t, size);
    advance(t, i, X86_RSI, by);
    advance(t, i, X86_RDI, by);
}

static void emit_stos(struct translator *t, const struct x86_insn *i)
{
    unsigned size = element_size(i);

    if (repeated(t, i, STRING_STOS)) {
        return;
    }
    ir_reg to = element(t, i, SEG_ES, X86_RDI, size, true);
    ir_st(t->ir, to, IR_NONE, memop_of(size), 0, X86_RAX);
    advance(t, i, X86_RDI, stride(t, size));
}

static void emit_lods(struct translator *t, const struct x86_insn *i)
{
    unsigned size = element_size(i);

    if (repeated(t, i, STRING_LODS)) {
        return;
    }
    ir_reg value = load(t, element(t, i, (enum x86_segnum)i->seg, X86_RSI, size, false), size);
    gpr_write(t, X86_RAX, size, false, value);
    advance(t, i, X86_RSI, stride(t, size));
}

static void emit_cmps(struct translator *t, const struct x86_insn *i)
{
    unsigned size = element_size(i);

    if (repeated(t, i, STRING_CMPS)) {
        return;
    }
    ir_reg b = load(t, element(t, i, SEG_ES, X86_RDI, size, false), size);
    ir_reg a = load(t, element(t, i, (enum x86_segnum)i->seg, X86_RSI, size, false), size);
    flags_set(t, CC_SIZED(SUB, size), a, b, IR_NONE);
    ir_reg by = stride(t, size);
    advance(t, i, X86_RSI, by);
    advance(t, i, X86_RDI, by);
}

static void emit_scas(struct translator *t, const struct x86_insn *i)
{
    unsigned size = element_size(i);

    if (repeated(t, i, STRING_SCAS)) {
        return;
    }
    ir_reg a = gpr_read(t, X86_RAX, size, false);
    ir_reg b = load(t, element(t, i, SEG_ES, X86_RDI, size, false), size);
    flags_set(t, CC_SIZED(SUB, size), a, b, IR_NONE);
    advance(t, i, X86_RDI, stride(t, size));
}

/* A device may want the processor's attention at once (SMI, reset): the block ends. */
static void emit_ins(struct translator *t, const struct x86_insn *i)
{
    call_helper(t, i, STRING_INS);
    t->end_block = true;
}

static void emit_outs(struct translator *t, const struct x86_insn *i)
{
    call_helper(t, i, STRING_OUTS);
    t->end_block = true;
}

const struct x86_emitter x86_emit_string[] = {
    {MN_MOVS, emit_movs}, {MN_STOS, emit_stos}, {MN_LODS, emit_lods}, {MN_CMPS, emit_cmps},
    {MN_SCAS, emit_scas}, {MN_INS, emit_ins},   {MN_OUTS, emit_outs}, {0, NULL},
};
