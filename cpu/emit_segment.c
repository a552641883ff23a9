/* Segment registers, descriptor tables, far transfers, interrupts and fast system calls: the
 * emitters.
 *
 * What they mean is in segment.c, far.c and task.c; most are a helper call. A transfer's helper
 * sets rip and the mode, so the block ends with EXIT_LOOP. A segment load may change the key word
 * (bases, limits, stack width); the block is left when it does. SDM Vol. 2. */
#include <stddef.h>

#include "cpu/far.h"
#include "cpu/translate.h"

/* ---- helpers ---- */

/* Returns whether the key word changed. */
static uint64_t helper_load_seg(struct vcpu *v, uint64_t sel, uint64_t seg)
{
    uint64_t key = v->tb_flags;

    x86_load_seg(x86_cpu(v), (enum x86_segnum)seg, (uint16_t)sel);
    return v->tb_flags != key;
}
X86_HELPER(load_seg, 1, HELPER_IMM | HELPER_RAISES | HELPER_READS | HELPER_WRITES);

/* MOV SS and POP SS hold interrupts and debug exceptions off until after the next instruction. */
static uint64_t helper_shadow(struct vcpu *v)
{
    x86_cpu(v)->shadow = 2;
    x86_update_key(x86_cpu(v));
    return 0;
}
X86_HELPER(shadow, 0, HELPER_READS);

static uint64_t helper_load_gdtr(struct vcpu *v, uint64_t limit, uint64_t base)
{
    struct x86_cpu *c = x86_cpu(v);

    if (!x86_canonical(c, base)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    c->gdtr.base = base;
    c->gdtr.limit = (uint16_t)limit;
    return 0;
}
X86_HELPER(load_gdtr, 2, HELPER_RAISES);

static uint64_t helper_load_idtr(struct vcpu *v, uint64_t limit, uint64_t base)
{
    struct x86_cpu *c = x86_cpu(v);

    if (!x86_canonical(c, base)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    c->idtr.base = base;
    c->idtr.limit = (uint16_t)limit;
    return 0;
}
X86_HELPER(load_idtr, 2, HELPER_RAISES);

static uint64_t helper_lldt(struct vcpu *v, uint64_t sel)
{
    x86_lldt(x86_cpu(v), (uint16_t)sel);
    return 0;
}
X86_HELPER(lldt, 1, HELPER_RAISES);

static uint64_t helper_ltr(struct vcpu *v, uint64_t sel)
{
    x86_ltr(x86_cpu(v), (uint16_t)sel);
    return 0;
}
X86_HELPER(ltr, 1, HELPER_RAISES);

static uint64_t helper_lar(struct vcpu *v, uint64_t sel)
{
    return x86_lar(x86_cpu(v), (uint16_t)sel);
}
X86_HELPER(lar, 1, HELPER_RAISES);

static uint64_t helper_lsl(struct vcpu *v, uint64_t sel)
{
    return x86_lsl(x86_cpu(v), (uint16_t)sel);
}
X86_HELPER(lsl, 1, HELPER_RAISES);

static uint64_t helper_verify(struct vcpu *v, uint64_t sel, uint64_t write)
{
    return x86_verify(x86_cpu(v), (uint16_t)sel, write);
}
X86_HELPER(verify, 1, HELPER_IMM | HELPER_RAISES);

enum { TRANSFER = HELPER_RAISES | HELPER_READS | HELPER_WRITES };

static uint64_t helper_far_jmp(struct vcpu *v, uint64_t sel, uint64_t off, uint64_t next,
                               uint64_t size)
{
    x86_far_jmp(x86_cpu(v), (uint16_t)sel, off, (unsigned)size, next);
    return 0;
}
X86_HELPER(far_jmp, 3, HELPER_IMM | TRANSFER);

static uint64_t helper_far_call(struct vcpu *v, uint64_t sel, uint64_t off, uint64_t next,
                                uint64_t size)
{
    x86_far_call(x86_cpu(v), (uint16_t)sel, off, (unsigned)size, next);
    return 0;
}
X86_HELPER(far_call, 3, HELPER_IMM | TRANSFER);

static uint64_t helper_far_ret(struct vcpu *v, uint64_t size_and_release)
{
    x86_far_ret(x86_cpu(v), size_and_release & 0xff, (unsigned)(size_and_release >> 8));
    return 0;
}
X86_HELPER(far_ret, 0, HELPER_IMM | TRANSFER);

static uint64_t helper_iret(struct vcpu *v, uint64_t next, uint64_t size)
{
    x86_iret(x86_cpu(v), (unsigned)size, next);
    return 0;
}
X86_HELPER(iret, 1, HELPER_IMM | TRANSFER);

static uint64_t helper_int_n(struct vcpu *v, uint64_t next, uint64_t vec_and_len)
{
    x86_int_n(x86_cpu(v), vec_and_len & 0xff, (unsigned)(vec_and_len >> 8), next);
    return 0;
}
X86_HELPER(int_n, 1, HELPER_IMM | TRANSFER);

static uint64_t helper_trap(struct vcpu *v, uint64_t vec_and_len)
{
    x86_raise_software(x86_cpu(v), vec_and_len & 0xff, (unsigned)(vec_and_len >> 8));
}
X86_HELPER(trap, 0, HELPER_IMM | HELPER_RAISES);

static uint64_t helper_int1(struct vcpu *v, uint64_t len)
{
    x86_raise_int1(x86_cpu(v), (unsigned)len);
}
X86_HELPER(int1, 0, HELPER_IMM | HELPER_RAISES);

static uint64_t helper_syscall(struct vcpu *v, uint64_t next)
{
    x86_syscall(x86_cpu(v), next);
    return 0;
}
X86_HELPER(syscall, 1, TRANSFER);

static uint64_t helper_sysret(struct vcpu *v, uint64_t size)
{
    x86_sysret(x86_cpu(v), (unsigned)size);
    return 0;
}
X86_HELPER(sysret, 0, HELPER_IMM | TRANSFER);

static uint64_t helper_sysenter(struct vcpu *v)
{
    x86_sysenter(x86_cpu(v));
    return 0;
}
X86_HELPER(sysenter, 0, TRANSFER);

static uint64_t helper_sysexit(struct vcpu *v, uint64_t size)
{
    x86_sysexit(x86_cpu(v), (unsigned)size);
    return 0;
}
X86_HELPER(sysexit, 0, HELPER_IMM | TRANSFER);

/* ---- common parts of emitters ---- */

static void call_imm(struct translator *t, const struct ir_helper *h, int64_t imm)
{
    ir_call(t->ir, h, IR_NONE, IR_NONE, IR_NONE, IR_NONE, imm);
}

static ir_reg next_rip(struct translator *t)
{
    ir_reg next = ir_temp(t->ir);

    ir_movpc(t->ir, next, t->next_off);
    return next;
}

/* After a helper that has set rip and the mode. */
static void leave(struct translator *t)
{
    x87_pointers_settle(t);
    ir_exit_loop(t->ir, 0, IR_KEEPPC);
    t->done = true;
}

/* A 16-bit selector operand: m16, or the low half of any register. */
static ir_reg selector_load(struct translator *t, const struct x86_insn *i, unsigned n)
{
    if (i->op[n].kind == OP_MEM) {
        struct mem_ref m = mem_ref(t, i, 2, false);

        return mem_load(t, &m, MO_16);
    }
    return gpr_read(t, i->op[n].reg, 2, false);
}

/* ... and its store: memory gets 16 bits, a register is zero-extended to the operand size. */
static void selector_store(struct translator *t, const struct x86_insn *i, unsigned n, ir_reg value)
{
    if (i->op[n].kind == OP_MEM) {
        struct mem_ref m = mem_ref(t, i, 2, true);

        mem_store(t, &m, MO_16, value);
    } else {
        gpr_write(t, i->op[n].reg, i->opsize, false, value);
    }
}

static size_t seg_offset(unsigned seg)
{
    return offsetof(struct x86_cpu, seg) + seg * sizeof(struct x86_seg);
}

static ir_reg selector_of(struct translator *t, unsigned seg)
{
    ir_reg sel = ir_temp(t->ir);

    ir_ldenv(t->ir, sel, seg_offset(seg) + offsetof(struct x86_seg, sel), MO_16);
    return sel;
}

/* Real and V86 mode, inline. The key word is not looked at again: a block translated for bases that
 * are not all 0 is right for any. */
static void real_load(struct translator *t, unsigned seg, ir_reg sel)
{
    size_t attr_at = seg_offset(seg) + offsetof(struct x86_seg, attr);
    ir_reg attr = ir_temp(t->ir), sel16 = ir_temp(t->ir);

    ir_un(t->ir, IR_EXT16U, W64, sel16, sel);
    ir_bini(t->ir, IR_SHL, W64, X86_ES_BASE + seg, sel16, 4);
    ir_stenv(t->ir, sel16, seg_offset(seg) + offsetof(struct x86_seg, sel), MO_16);
    if (!(t->key & KEY_VM)) {
        ir_ldenv(t->ir, attr, attr_at, MO_16);
        ir_bini(t->ir, IR_AND, W32, attr, attr, SEGA_G | SEGA_DB);
        ir_bini(t->ir, IR_OR, W32, attr, attr, SEGA_P | SEGA_S | SEGA_RW | SEGA_A);
        ir_stenv(t->ir, attr, attr_at, MO_16);
    }
}

/* Loads a segment register; the last thing of the instruction that may fault. Hand the result to
 * segment_loaded() when the instruction is complete. */
static ir_reg segment_load(struct translator *t, unsigned seg, ir_reg sel)
{
    bool real = (t->key & (KEY_PE | KEY_VM)) != KEY_PE;
    ir_reg changed = ir_temp(t->ir);

    if (real && seg != SEG_SS && (seg >= SEG_FS || !(t->key & KEY_ZERO_BASES))) {
        real_load(t, seg, sel);
        return IR_NONE;
    }
    ir_call(t->ir, &h_load_seg, changed, sel, IR_NONE, IR_NONE, seg);
    return changed;
}

static void segment_loaded(struct translator *t, unsigned seg, ir_reg changed)
{
    if (seg == SEG_SS) {
        t->end_block = true;
    } else if (changed != IR_NONE && !t_code64(t)) { /* 64-bit mode ignores what could change it */
        unsigned same = ir_label_new(t->ir);

        ir_brcondi(t->ir, IR_EQ, W64, changed, 0, same);
        x87_pointers_settle(t);
        ir_exit_loop(t->ir, t->next_off, IR_PC32);
        ir_label(t->ir, same);
    }
}

static void interrupt_shadow(struct translator *t)
{
    if (!(t->key & KEY_SHADOW)) { /* of two in a row only the first one holds off */
        ir_call(t->ir, &h_shadow, IR_NONE, IR_NONE, IR_NONE, IR_NONE, 0);
    }
}

static void set_zf(struct translator *t, ir_reg zf)
{
    ir_reg all = ir_temp(t->ir);

    ir_mov(t->ir, W64, all, flags_all(t));
    ir_deposit(t->ir, all, all, zf, __builtin_ctz(FL_ZF), 1);
    flags_set(t, CC_EFLAGS, all, IR_NONE, IR_NONE);
}

/* #GP for SGDT, SIDT, SLDT, STR (and SMSW) at CPL 3 with CR4.UMIP. */
static bool umip_fault(struct translator *t)
{
    if (t->key & KEY_UMIP) {
        emit_raise_error(t, EXC_GP, 0);
        return true;
    }
    return false;
}

/* ---- MOV, PUSH, POP, LDS .. ---- */

static void emit_mov_seg(struct translator *t, const struct x86_insn *i)
{
    unsigned to_seg = i->op[0].kind == OP_SEG, seg = i->op[to_seg ? 0 : 1].reg;

    if (seg > SEG_GS || (to_seg && seg == SEG_CS)) {
        emit_raise(t, EXC_UD);
        return;
    }
    if (!to_seg) {
        selector_store(t, i, 0, selector_of(t, seg));
        return;
    }
    ir_reg changed = segment_load(t, seg, selector_load(t, i, 1));
    if (seg == SEG_SS) {
        interrupt_shadow(t);
    }
    segment_loaded(t, seg, changed);
}

/* A 32-bit push moves the stack by 4 but writes 16 bits only (SDM volume 2, PUSH). */
static void emit_push_seg(struct translator *t, const struct x86_insn *i)
{
    ir_reg sel = selector_of(t, i->op[0].reg);

    if (i->opsize == 4) {
        struct mem_ref m = stack_ref(t, X86_RSP, -4, 2, true);
        mem_store(t, &m, MO_16, sel);
        stack_adjust(t, -4);
    } else {
        stack_push(t, sel, i->opsize);
    }
}

static void emit_pop_seg(struct translator *t, const struct x86_insn *i)
{
    unsigned seg = i->op[0].reg;
    ir_reg sel = stack_top(t, i->opsize);

    if (seg == SEG_CS) { /* 0F on the 8086 only */
        emit_raise(t, EXC_UD);
        return;
    }
    ir_reg changed = segment_load(t, seg, sel);
    stack_adjust(t, i->opsize);
    if (seg == SEG_SS) {
        interrupt_shadow(t);
    }
    segment_loaded(t, seg, changed);
}

/* Loads the far pointer operand n. */
static void far_pointer(struct translator *t, const struct x86_insn *i, unsigned n, ir_reg *off,
                        ir_reg *sel)
{
    struct mem_ref m;

    if (i->op[n].kind == OP_FAR) {
        *off = ir_temp(t->ir);
        *sel = ir_temp(t->ir);
        ir_movi(t->ir, *off, (uint64_t)i->imm & (i->opsize == 2 ? 0xffff : 0xffffffff));
        ir_movi(t->ir, *sel, i->imm2 & 0xffff);
        return;
    }
    m = mem_ref(t, i, i->opsize, false);
    *off = mem_load(t, &m, memop_of(i->opsize));
    m = mem_ref_at(t, i, 2, false, i->opsize);
    *sel = mem_load(t, &m, MO_16);
}

static void load_far(struct translator *t, const struct x86_insn *i, unsigned seg)
{
    ir_reg off, sel;

    if (i->op[1].kind != OP_MEM) {
        emit_raise(t, EXC_UD);
        return;
    }
    far_pointer(t, i, 1, &off, &sel);
    ir_reg changed = segment_load(t, seg, sel);
    gpr_write(t, i->op[0].reg, i->opsize, false, off);
    segment_loaded(t, seg, changed);
}
static void emit_les(struct translator *t, const struct x86_insn *i)
{
    load_far(t, i, SEG_ES);
}
static void emit_lds(struct translator *t, const struct x86_insn *i)
{
    load_far(t, i, SEG_DS);
}
static void emit_lss(struct translator *t, const struct x86_insn *i)
{
    load_far(t, i, SEG_SS);
}
static void emit_lfs(struct translator *t, const struct x86_insn *i)
{
    load_far(t, i, SEG_FS);
}
static void emit_lgs(struct translator *t, const struct x86_insn *i)
{
    load_far(t, i, SEG_GS);
}

/* ---- descriptor tables ---- */

/* m16&32, or m16&64 in 64-bit mode. */
static void load_table(struct translator *t, const struct x86_insn *i, const struct ir_helper *h)
{
    unsigned size = t_code64(t) ? 8 : 4;
    struct mem_ref m = mem_ref(t, i, 2, false);
    ir_reg limit = mem_load(t, &m, MO_16), base;

    m = mem_ref_at(t, i, size, false, 2);
    base = mem_load(t, &m, memop_of(size));
    if (!t_code64(t) && i->opsize == 2) {
        ir_bini(t->ir, IR_AND, W32, base, base, 0xffffff);
    }
    ir_call(t->ir, h, IR_NONE, limit, base, IR_NONE, 0);
}

static void store_table(struct translator *t, const struct x86_insn *i, size_t table)
{
    unsigned size = t_code64(t) ? 8 : 4;
    ir_reg limit = ir_temp(t->ir), base = ir_temp(t->ir);
    struct mem_ref m;

    if (umip_fault(t)) {
        return;
    }
    ir_ldenv(t->ir, limit, table + offsetof(struct x86_dtr, limit), MO_16);
    ir_ldenv(t->ir, base, table + offsetof(struct x86_dtr, base), MO_64);
    m = mem_ref(t, i, 2, true);
    mem_store(t, &m, MO_16, limit);
    m = mem_ref_at(t, i, size, true, 2);
    mem_store(t, &m, memop_of(size), base);
}

static void emit_lgdt(struct translator *t, const struct x86_insn *i)
{
    load_table(t, i, &h_load_gdtr);
}
static void emit_lidt(struct translator *t, const struct x86_insn *i)
{
    load_table(t, i, &h_load_idtr);
}
static void emit_sgdt(struct translator *t, const struct x86_insn *i)
{
    store_table(t, i, offsetof(struct x86_cpu, gdtr));
}
static void emit_sidt(struct translator *t, const struct x86_insn *i)
{
    store_table(t, i, offsetof(struct x86_cpu, idtr));
}

static void emit_lldt(struct translator *t, const struct x86_insn *i)
{
    ir_call(t->ir, &h_lldt, IR_NONE, selector_load(t, i, 0), IR_NONE, IR_NONE, 0);
}
static void emit_ltr(struct translator *t, const struct x86_insn *i)
{
    ir_call(t->ir, &h_ltr, IR_NONE, selector_load(t, i, 0), IR_NONE, IR_NONE, 0);
}

static void store_sysseg(struct translator *t, const struct x86_insn *i, size_t seg)
{
    ir_reg sel = ir_temp(t->ir);

    if (!umip_fault(t)) {
        ir_ldenv(t->ir, sel, seg + offsetof(struct x86_sysseg, sel), MO_16);
        selector_store(t, i, 0, sel);
    }
}
static void emit_sldt(struct translator *t, const struct x86_insn *i)
{
    store_sysseg(t, i, offsetof(struct x86_cpu, ldtr));
}
static void emit_str(struct translator *t, const struct x86_insn *i)
{
    store_sysseg(t, i, offsetof(struct x86_cpu, tr));
}

/* ---- instructions that inspect selectors ---- */

static void inspect(struct translator *t, const struct x86_insn *i, const struct ir_helper *h)
{
    ir_reg answer = ir_temp(t->ir), ok = ir_temp(t->ir);
    unsigned skip = ir_label_new(t->ir);

    ir_call(t->ir, h, answer, selector_load(t, i, 1), IR_NONE, IR_NONE, 0);
    ir_extract(t->ir, ok, answer, 32, 1);
    set_zf(t, ok);
    ir_brcondi(t->ir, IR_EQ, W64, ok, 0, skip); /* not visible: the destination stays as it is */
    gpr_write(t, i->op[0].reg, i->opsize, false, answer);
    ir_label(t->ir, skip);
}
static void lar_lsl(struct translator *t, const struct x86_insn *i, const struct ir_helper *h)
{
    if (i->opsize == 8) { /* bit 32 of the answer is ours, not the guest's */
        struct x86_insn narrow = *i;

        narrow.opsize = 4;
        inspect(t, &narrow, h);
    } else {
        inspect(t, i, h);
    }
}
static void emit_lar(struct translator *t, const struct x86_insn *i)
{
    lar_lsl(t, i, &h_lar);
}
static void emit_lsl(struct translator *t, const struct x86_insn *i)
{
    lar_lsl(t, i, &h_lsl);
}

static void verify(struct translator *t, const struct x86_insn *i, bool write)
{
    ir_reg ok = ir_temp(t->ir);

    ir_call(t->ir, &h_verify, ok, selector_load(t, i, 0), IR_NONE, IR_NONE, write);
    set_zf(t, ok);
}
static void emit_verr(struct translator *t, const struct x86_insn *i)
{
    verify(t, i, false);
}
static void emit_verw(struct translator *t, const struct x86_insn *i)
{
    verify(t, i, true);
}

static void emit_arpl(struct translator *t, const struct x86_insn *i)
{
    ir_reg dst = ir_temp(t->ir), rpl = ir_temp(t->ir), have = ir_temp(t->ir), zf = ir_temp(t->ir);
    unsigned same = ir_label_new(t->ir);
    bool memory = i->op[0].kind == OP_MEM;
    struct mem_ref m = {0};

    if (memory) { /* writable or not is found out by the store, if there is one */
        m = mem_ref(t, i, 2, false);
        ir_mov(t->ir, W64, dst, mem_load(t, &m, MO_16));
    } else {
        ir_mov(t->ir, W64, dst, gpr_read(t, i->op[0].reg, 2, false));
    }
    ir_extract(t->ir, rpl, gpr_read(t, i->op[1].reg, 2, false), 0, 2);
    ir_extract(t->ir, have, dst, 0, 2);
    ir_setcond(t->ir, IR_LTU, W64, zf, have, rpl);
    ir_brcondi(t->ir, IR_EQ, W64, zf, 0, same);
    ir_deposit(t->ir, dst, dst, rpl, 0, 2);
    if (memory) {
        m = mem_ref(t, i, 2, true);
        mem_store(t, &m, MO_16, dst);
    } else {
        gpr_write(t, i->op[0].reg, 2, false, dst);
    }
    ir_label(t->ir, same);
    set_zf(t, zf);
}

/* ---- far transfers ---- */

static void emit_jmpf(struct translator *t, const struct x86_insn *i)
{
    ir_reg off, sel;

    far_pointer(t, i, 0, &off, &sel);
    ir_call(t->ir, &h_far_jmp, IR_NONE, sel, off, next_rip(t), i->opsize);
    leave(t);
}

static void emit_callf(struct translator *t, const struct x86_insn *i)
{
    ir_reg off, sel;

    far_pointer(t, i, 0, &off, &sel);
    ir_call(t->ir, &h_far_call, IR_NONE, sel, off, next_rip(t), i->opsize);
    leave(t);
}

static void emit_retf(struct translator *t, const struct x86_insn *i)
{
    uint64_t release = i->nops ? (uint64_t)i->imm & 0xffff : 0;

    call_imm(t, &h_far_ret, (int64_t)(i->opsize | release << 8));
    leave(t);
}

static void emit_iret(struct translator *t, const struct x86_insn *i)
{
    ir_call(t->ir, &h_iret, IR_NONE, next_rip(t), IR_NONE, IR_NONE, i->opsize);
    leave(t);
}

/* ---- interrupts ---- */

static void emit_int(struct translator *t, const struct x86_insn *i)
{
    ir_call(t->ir, &h_int_n, IR_NONE, next_rip(t), IR_NONE, IR_NONE,
            (int64_t)(((uint64_t)i->imm & 0xff) | (uint64_t)i->len << 8));
    leave(t);
}

static void emit_int3(struct translator *t, const struct x86_insn *i)
{
    call_imm(t, &h_trap, EXC_BP | i->len << 8);
    leave(t);
}

static void emit_into(struct translator *t, const struct x86_insn *i)
{
    unsigned skip = ir_label_new(t->ir);

    flags_branch(t, 1, skip); /* NO */
    call_imm(t, &h_trap, EXC_OF | i->len << 8);
    ir_label(t->ir, skip);
}

static void emit_int1(struct translator *t, const struct x86_insn *i)
{
    call_imm(t, &h_int1, i->len);
    leave(t);
}

/* ---- fast system calls ---- */

static void emit_syscall(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    ir_call(t->ir, &h_syscall, IR_NONE, next_rip(t), IR_NONE, IR_NONE, 0);
    leave(t);
}
static void emit_sysret(struct translator *t, const struct x86_insn *i)
{
    call_imm(t, &h_sysret, i->rex_w ? 8 : 4);
    leave(t);
}
static void emit_sysenter(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    call_imm(t, &h_sysenter, 0);
    leave(t);
}
static void emit_sysexit(struct translator *t, const struct x86_insn *i)
{
    call_imm(t, &h_sysexit, i->rex_w ? 8 : 4);
    leave(t);
}

const struct x86_emitter x86_emit_segment[] = {
    {MN_MOV_SEG, emit_mov_seg}, {MN_PUSH_SEG, emit_push_seg},
    {MN_POP_SEG, emit_pop_seg}, {MN_LES, emit_les},
    {MN_LDS, emit_lds},         {MN_LSS, emit_lss},
    {MN_LFS, emit_lfs},         {MN_LGS, emit_lgs},
    {MN_LGDT, emit_lgdt},       {MN_SGDT, emit_sgdt},
    {MN_LIDT, emit_lidt},       {MN_SIDT, emit_sidt},
    {MN_LLDT, emit_lldt},       {MN_SLDT, emit_sldt},
    {MN_LTR, emit_ltr},         {MN_STR, emit_str},
    {MN_LAR, emit_lar},         {MN_LSL, emit_lsl},
    {MN_VERR, emit_verr},       {MN_VERW, emit_verw},
    {MN_ARPL, emit_arpl},       {MN_JMPF, emit_jmpf},
    {MN_CALLF, emit_callf},     {MN_RETF, emit_retf},
    {MN_IRET, emit_iret},       {MN_INT, emit_int},
    {MN_INT3, emit_int3},       {MN_INTO, emit_into},
    {MN_INT1, emit_int1},       {MN_SYSCALL, emit_syscall},
    {MN_SYSRET, emit_sysret},   {MN_SYSENTER, emit_sysenter},
    {MN_SYSEXIT, emit_sysexit}, {0, NULL},
};
