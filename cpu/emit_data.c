/* Data movement (SDM volume 2): MOV and its extending and conditional forms, PUSH, POP, PUSHA,
 * POPA, ENTER, LEAVE, LEA, XCHG, XLAT, BSWAP, CBW and CWD in all sizes, SETcc, LAHF, SAHF, CLC,
 * STC, CMC, CLD, STD. Moves to and from segment, control and debug registers are in emit_segment.c
 * and emit_system.c. */
#include "cpu/cpuid.h"
#include "cpu/translate.h"

/* A register whose low bits are the operand: no extension, for stores and merges. */
static ir_reg low_bits(struct translator *t, const struct x86_operand *o)
{
    return o->high8 ? gpr_read(t, o->reg, 1, true) : o->reg;
}

static bool is_memory(const struct x86_operand *o)
{
    return o->kind == OP_MEM || o->kind == OP_MOFFS;
}

static uint64_t truncate(uint64_t value, unsigned size)
{
    return value & (UINT64_MAX >> (64 - 8 * size));
}

static void emit_mov(struct translator *t, const struct x86_insn *i)
{
    const struct x86_operand *d = &i->op[0], *s = &i->op[1];
    struct ir *ir = t->ir;

    if (is_memory(d)) {
        struct mem_ref m = mem_ref(t, i, d->size, true);
        if (s->kind == OP_IMM) {
            ir_sti(ir, m.base, m.index, memop_of(d->size) | m.memop, m.disp, i->imm);
        } else {
            mem_store(t, &m, memop_of(d->size), low_bits(t, s));
        }
    } else if (s->kind == OP_GPR) {
        gpr_write(t, d->reg, d->size, d->high8, low_bits(t, s));
    } else if (d->size < 4) {
        gpr_write(t, d->reg, d->size, d->high8, operand_load(t, i, 1));
    } else if (s->kind == OP_IMM) {
        ir_movi(ir, d->reg, truncate((uint64_t)i->imm, d->size));
    } else {
        struct mem_ref m = mem_ref(t, i, d->size, false);
        ir_ld(ir, W64, d->reg, m.base, m.index, memop_of(d->size) | m.memop, m.disp);
    }
}

static void emit_movzx(struct translator *t, const struct x86_insn *i)
{
    const struct x86_operand *d = &i->op[0], *s = &i->op[1];
    struct ir *ir = t->ir;

    if (d->size < 4) {
        gpr_write(t, d->reg, d->size, false, operand_load(t, i, 1));
    } else if (s->kind == OP_MEM) {
        struct mem_ref m = mem_ref(t, i, s->size, false);
        ir_ld(ir, W64, d->reg, m.base, m.index, memop_of(s->size) | m.memop, m.disp);
    } else if (s->high8) {
        ir_extract(ir, d->reg, s->reg, 8, 8);
    } else {
        ir_un(ir, s->size == 1 ? IR_EXT8U : IR_EXT16U, W64, d->reg, s->reg);
    }
}

/* MOVSX, and MOVSXD (whose source may be as wide as the destination). */
static void emit_movsx(struct translator *t, const struct x86_insn *i)
{
    const struct x86_operand *d = &i->op[0], *s = &i->op[1];
    struct ir *ir = t->ir;
    enum ir_width w = width_of(d->size);

    if (d->size < 4 || s->size >= d->size) {
        gpr_write(t, d->reg, d->size, false, operand_load_signed(t, i, 1));
    } else if (s->kind == OP_MEM) {
        struct mem_ref m = mem_ref(t, i, s->size, false);
        ir_ld(ir, w, d->reg, m.base, m.index, memop_of(s->size) | MO_SIGN | m.memop, m.disp);
    } else {
        ir_reg a = low_bits(t, s);
        enum ir_opc op = s->size == 1 ? IR_EXT8S : s->size == 2 ? IR_EXT16S : IR_EXT32S;
        ir_un(ir, op, w, d->reg, a);
    }
}

static void emit_lea(struct translator *t, const struct x86_insn *i)
{
    if (i->op[0].size >= 4) {
        emit_effective_address(t, i, i->op[0].reg, i->op[0].size);
    } else {
        gpr_write(t, i->op[0].reg, i->op[0].size, false, effective_address(t, i));
    }
}

static void emit_xchg(struct translator *t, const struct x86_insn *i)
{
    const struct x86_operand *a = &i->op[0], *b = &i->op[1];
    unsigned size = a->size;
    struct ir *ir = t->ir;
    ir_reg old;

    if (b->kind == OP_MEM) {
        const struct x86_operand *swap = a;
        a = b;
        b = swap;
    }
    if (a->kind == OP_MEM) { /* LOCK is implied */
        ir_reg address = mem_linear(t, i, size, true);
        old = ir_temp(ir);
        ir_atomic(ir, IR_AT_XCHG, old, address, memop_of(size), low_bits(t, b));
    } else {
        ir_reg other = low_bits(t, b);
        old = ir_temp(ir);
        if (a->high8) {
            ir_extract(ir, old, a->reg, 8, 8);
        } else {
            ir_mov(ir, W64, old, a->reg);
        }
        gpr_write(t, a->reg, size, a->high8, other);
    }
    gpr_write(t, b->reg, size, b->high8, old);
}

static void emit_cmovcc(struct translator *t, const struct x86_insn *i)
{
    unsigned size = i->op[0].size;
    ir_reg d = i->op[0].reg, s = operand_load(t, i, 1);

    if (size == 8) {
        flags_select(t, i->opcode & 15, d, s, d);
    } else {
        ir_reg v = ir_temp(t->ir);
        flags_select(t, i->opcode & 15, v, s, d);
        gpr_write(t, d, size, false, v);
    }
}

static void emit_setcc(struct translator *t, const struct x86_insn *i)
{
    operand_store(t, i, 0, flags_setcond(t, i->opcode & 15));
}

/* AL = CF ? FFH : 0, no flags. */
static void emit_salc(struct translator *t, const struct x86_insn *i)
{
    ir_reg d = ir_temp(t->ir);

    (void)i;
    ir_un(t->ir, IR_NEG, W32, d, flags_carry(t));
    gpr_write(t, X86_RAX, 1, false, d);
}

static void emit_cbw(struct translator *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;

    if (i->opsize == 8) {
        ir_un(ir, IR_EXT32S, W64, X86_RAX, X86_RAX);
    } else if (i->opsize == 4) {
        ir_un(ir, IR_EXT16S, W32, X86_RAX, X86_RAX);
    } else {
        ir_reg v = ir_temp(ir);
        ir_un(ir, IR_EXT8S, W32, v, X86_RAX);
        gpr_write(t, X86_RAX, 2, false, v);
    }
}

static void emit_cwd(struct translator *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;

    if (i->opsize >= 4) {
        ir_bini(ir, IR_SAR, width_of(i->opsize), X86_RDX, X86_RAX, 8 * i->opsize - 1);
    } else {
        ir_reg v = ir_temp(ir);
        ir_un(ir, IR_EXT16S, W32, v, X86_RAX);
        ir_bini(ir, IR_SAR, W32, v, v, 16);
        gpr_write(t, X86_RDX, 2, false, v);
    }
}

static void emit_xlat(struct translator *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    ir_reg offset = ir_temp(ir), value = ir_temp(ir);

    ir_un(ir, IR_EXT8U, W64, offset, X86_RAX);
    ir_bin(ir, IR_ADD, width_of(i->addrsize), offset, offset, X86_RBX);
    if (i->addrsize == 2) {
        ir_un(ir, IR_EXT16U, W64, offset, offset);
    }
    ir_reg linear = seg_linear(t, i->seg, offset, 1, false);
    ir_ld(ir, W64, value, linear, IR_NONE, MO_8, 0);
    gpr_write(t, X86_RAX, 1, false, value);
}

static void emit_bswap(struct translator *t, const struct x86_insn *i)
{
    ir_reg r = i->op[0].reg;

    if (i->op[0].size >= 4) {
        ir_un(t->ir, IR_BSWAP, width_of(i->op[0].size), r, r);
    } else { /* undefined; processors clear it */
        ir_bini(t->ir, IR_AND, W64, r, r, -INT64_C(0x10000));
    }
}

/* ---- stack ---- */

/* 64-bit mode has no 32-bit pushes. */
static unsigned push_size(const struct translator *t, const struct x86_insn *i)
{
    return t_code64(t) && i->opsize == 4 ? 8 : i->opsize;
}

static void emit_push(struct translator *t, const struct x86_insn *i)
{
    unsigned size = push_size(t, i);

    if (i->op[0].kind == OP_IMM) {
        struct mem_ref m = stack_ref(t, X86_RSP, -(int64_t)size, size, true);
        ir_sti(t->ir, m.base, m.index, memop_of(size) | m.memop, m.disp, i->imm);
        stack_adjust(t, -(int64_t)size);
    } else if (i->op[0].kind == OP_GPR) {
        stack_push(t, i->op[0].reg, size);
    } else {
        stack_push(t, operand_load(t, i, 0), size);
    }
}

static void emit_pop(struct translator *t, const struct x86_insn *i)
{
    const struct x86_operand *o = &i->op[0];
    unsigned size = push_size(t, i);

    if (o->kind == OP_MEM) {
        ir_reg value = stack_top(t, size);
        /* An address made of rSP uses its value after the increment. */
        struct mem_ref m = mem_ref_at(t, i, size, true, i->base == X86_RSP ? size : 0);
        mem_store(t, &m, memop_of(size), value);
        stack_adjust(t, size);
    } else if (size >= 4 && o->reg != X86_RSP) {
        struct mem_ref m = stack_ref(t, X86_RSP, 0, size, false);
        ir_ld(t->ir, W64, o->reg, m.base, m.index, memop_of(size) | m.memop, m.disp);
        stack_adjust(t, size);
    } else {
        ir_reg value = stack_top(t, size);
        stack_adjust(t, size);
        gpr_write(t, o->reg, size, false, value);
    }
}

static void emit_pusha(struct translator *t, const struct x86_insn *i)
{
    int64_t size = i->opsize;

    for (unsigned r = 0; r < 8; r++) {
        struct mem_ref m = stack_ref(t, X86_RSP, -size * (r + 1), i->opsize, true);
        mem_store(t, &m, memop_of(i->opsize), (ir_reg)r);
    }
    stack_adjust(t, -8 * size);
}

static void emit_popa(struct translator *t, const struct x86_insn *i)
{
    unsigned size = i->opsize;
    ir_reg value[8];

    for (unsigned r = 8; r-- > 0;) {
        if (r != X86_RSP) { /* its place is skipped */
            struct mem_ref m = stack_ref(t, X86_RSP, (int64_t)size * (7 - r), size, false);
            value[r] = mem_load(t, &m, memop_of(size));
        }
    }
    stack_adjust(t, 8 * size);
    for (unsigned r = 0; r < 8; r++) {
        if (r != X86_RSP) {
            gpr_write(t, r, size, false, value[r]);
        }
    }
}

/* d = rSP plus delta in the width of the stack, other bits of rSP kept. */
static ir_reg stack_pointer(struct translator *t, ir_reg from, int64_t delta)
{
    ir_reg d = ir_temp(t->ir);

    ir_bini(t->ir, IR_ADD, t_code64(t) ? W64 : W32, d, from, delta);
    if (!t_code64(t) && !(t->key & KEY_SS32)) {
        ir_deposit(t->ir, d, X86_RSP, d, 0, 16);
    }
    return d;
}

static void emit_enter(struct translator *t, const struct x86_insn *i)
{
    unsigned size = push_size(t, i), level = i->imm2 & 31, memop = memop_of(size);
    int64_t step = size, pushed = step * (1 + level), alloc = i->imm & 0xffff;
    struct ir *ir = t->ir;
    ir_reg frame = stack_pointer(t, X86_RSP, -step);
    struct mem_ref m = stack_ref(t, X86_RSP, -step, size, true);

    mem_store(t, &m, memop, X86_RBP);
    for (unsigned k = 1; k < level; k++) { /* the enclosing frames' pointers */
        struct ir_mark mark = ir_temps_mark(ir);
        m = stack_ref(t, X86_RBP, -step * k, size, false);
        ir_reg value = mem_load(t, &m, memop);
        m = stack_ref(t, X86_RSP, -step * (k + 1), size, true);
        mem_store(t, &m, memop, value);
        ir_temps_release(ir, mark);
    }
    if (level) {
        m = stack_ref(t, X86_RSP, -pushed, size, true);
        mem_store(t, &m, memop, frame);
    }
    if (alloc) {
        /* The new top must be writable; nothing is written there. */
        ir_reg zero = ir_temp(ir), old = ir_temp(ir),
               sp = stack_pointer(t, X86_RSP, -pushed - alloc);
        if (!t_code64(t) && !(t->key & KEY_SS32)) {
            ir_un(ir, IR_EXT16U, W64, sp, sp);
        }
        ir_movi(ir, zero, 0);
        ir_atomic(ir, IR_AT_OR, old, seg_linear(t, SEG_SS, sp, size, true), memop, zero);
    }
    gpr_write(t, X86_RBP, size, false, frame);
    stack_adjust(t, -pushed - alloc);
}

static void emit_leave(struct translator *t, const struct x86_insn *i)
{
    unsigned size = push_size(t, i);
    struct mem_ref m = stack_ref(t, X86_RBP, 0, size, false);
    ir_reg value = mem_load(t, &m, memop_of(size));

    if (t_code64(t) || (t->key & KEY_SS32)) {
        ir_bini(t->ir, IR_ADD, t_code64(t) ? W64 : W32, X86_RSP, X86_RBP, size);
    } else {
        ir_mov(t->ir, W64, X86_RSP, stack_pointer(t, X86_RBP, size));
    }
    gpr_write(t, X86_RBP, size, false, value);
}

/* ---- single flags ---- */

enum { FL_LOW = FL_SF | FL_ZF | FL_AF | FL_PF | FL_CF };

static bool lahf_missing(struct translator *t)
{
    if (t_code64(t) && !t_has(t, X86F_LAHF64)) {
        emit_raise(t, EXC_UD);
        return true;
    }
    return false;
}

static void emit_lahf(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    if (lahf_missing(t)) {
        return;
    }
    ir_reg f = flags_all(t);
    ir_bini(t->ir, IR_AND, W32, f, f, FL_LOW);
    ir_bini(t->ir, IR_OR, W32, f, f, 2);
    gpr_write(t, X86_RAX, 1, true, f);
}

static void emit_sahf(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    if (lahf_missing(t)) {
        return;
    }
    struct ir *ir = t->ir;
    ir_reg f = gpr_read(t, X86_RAX, 1, true), of = flags_setcond(t, 0), all = ir_temp(ir);
    ir_bini(ir, IR_AND, W32, f, f, FL_LOW);
    ir_bini(ir, IR_SHL, W32, all, of, 11);
    ir_bin(ir, IR_OR, W32, all, all, f);
    flags_set(t, CC_EFLAGS, all, IR_NONE, IR_NONE);
}

static void change_carry(struct translator *t, enum ir_opc op, int64_t imm)
{
    ir_reg f = flags_all(t);

    ir_bini(t->ir, op, W32, f, f, imm);
    flags_set(t, CC_EFLAGS, f, IR_NONE, IR_NONE);
}

static void emit_clc(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    change_carry(t, IR_AND, FL_STATUS & ~FL_CF);
}

static void emit_stc(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    change_carry(t, IR_OR, FL_CF);
}

static void emit_cmc(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    change_carry(t, IR_XOR, FL_CF);
}

static void emit_cld(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    ir_movi(t->ir, X86_DF, 1);
}

static void emit_std(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    ir_movi(t->ir, X86_DF, UINT64_MAX);
}

const struct x86_emitter x86_emit_data[] = {
    {MN_MOV, emit_mov},       {MN_MOVZX, emit_movzx}, {MN_MOVSX, emit_movsx},
    {MN_MOVSXD, emit_movsx},  {MN_LEA, emit_lea},     {MN_XCHG, emit_xchg},
    {MN_CMOVCC, emit_cmovcc}, {MN_SETCC, emit_setcc}, {MN_CBW, emit_cbw},
    {MN_CWD, emit_cwd},       {MN_XLAT, emit_xlat},   {MN_BSWAP, emit_bswap},
    {MN_PUSH, emit_push},     {MN_POP, emit_pop},     {MN_PUSHA, emit_pusha},
    {MN_POPA, emit_popa},     {MN_ENTER, emit_enter}, {MN_LEAVE, emit_leave},
    {MN_LAHF, emit_lahf},     {MN_SAHF, emit_sahf},   {MN_CLC, emit_clc},
    {MN_STC, emit_stc},       {MN_CMC, emit_cmc},     {MN_CLD, emit_cld},
    {MN_STD, emit_std},       {MN_SALC, emit_salc},   {0, NULL},
};
