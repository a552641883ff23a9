/* Task state segments: stacks of inner levels and hardware task switches with 16- and 32-bit TSSs.
 *
 * From the SDM, Vol. 3 chapter 8 "Task Management" (7 in older editions), in the order of 8.3 "Task
 * switching". Everything that can be found out without changing state is found out first; from the
 * commit point on, faults belong to the new task. */
#include "cpu/far.h"
#include "cpu/system.h"

enum { /* byte offsets in a 32-bit TSS ... */
       TSS32_ESP0 = 4,
       TSS32_CR3 = 28,
       TSS32_EIP = 32,
       TSS32_EFLAGS = 36,
       TSS32_GPR = 40,
       TSS32_SEG = 72,
       TSS32_LDT = 96,
       TSS32_TRAP = 100,
       TSS32_MIN_LIMIT = 103,
       /* ... and in a 16-bit one */
       TSS16_SP0 = 2,
       TSS16_IP = 14,
       TSS16_FLAGS = 16,
       TSS16_GPR = 18,
       TSS16_SEG = 34,
       TSS16_LDT = 42,
       TSS16_MIN_LIMIT = 43,
};

enum { DR6_BT = 1 << 15, DR7_LOCAL = 0x155 };

static bool tss_is_32(uint16_t attr)
{
    return attr & 8;
}

static uint64_t tss_linear(const struct x86_cpu *c, uint64_t base, unsigned offset)
{
    return x86_long_mode(c) ? base + offset : (uint32_t)(base + offset);
}

static uint64_t tss_load(struct x86_cpu *c, uint64_t base, unsigned offset, unsigned memop)
{
    return x86_load(c, tss_linear(c, base, offset), memop, 0);
}

static void tss_store(struct x86_cpu *c, uint64_t base, unsigned offset, uint64_t value,
                      unsigned memop)
{
    x86_store(c, tss_linear(c, base, offset), value, memop, 0);
}

void x86_open_inner_stack(struct x86_cpu *c, unsigned level, unsigned ext, struct x86_stack *st,
                          struct x86_desc *ss)
{
    bool is32 = tss_is_32(c->tr.attr);
    unsigned at = is32 ? level * 8 + TSS32_ESP0 : level * 4 + TSS16_SP0;
    uint64_t sp;
    uint16_t sel;

    if (at + (is32 ? 5 : 3) > c->tr.limit) {
        x86_raise_error(c, EXC_TS, x86_sel_error(c->tr.sel, ext));
    }
    sp = tss_load(c, c->tr.base, at, is32 ? MO_32 : MO_16);
    sel = (uint16_t)tss_load(c, c->tr.base, at + (is32 ? 4 : 2), MO_16);
    if (x86_sel_null(sel)) {
        x86_raise_error(c, EXC_TS, ext);
    }
    x86_fetch_stack_seg(c, sel, level, ss, EXC_TS, ext);
    x86_stack_desc(st, c, ss, sp, 0, x86_sel_error(sel, ext));
}

uint64_t x86_tss64_rsp(struct x86_cpu *c, unsigned offset, unsigned ext)
{
    uint64_t rsp;

    if (offset + 7 > c->tr.limit) {
        x86_raise_error(c, EXC_TS, x86_sel_error(c->tr.sel, ext));
    }
    rsp = tss_load(c, c->tr.base, offset, MO_64);
    if (!x86_canonical(c, rsp)) {
        x86_raise_error(c, EXC_SS, ext);
    }
    return rsp;
}

void x86_task_fetch_tss(struct x86_cpu *c, uint16_t sel, struct x86_desc *d, unsigned ext)
{
    uint32_t error = x86_sel_error(sel, ext);
    unsigned type;

    if ((sel & 4) || x86_sel_null(sel) || !x86_desc_read(c, sel, d)) {
        x86_raise_error(c, EXC_GP, error);
    }
    type = x86_attr_systype(d->attr);
    if (type != DESC_TSS16 && type != DESC_TSS32) {
        x86_raise_error(c, EXC_GP, error);
    }
    if (!(d->attr & SEGA_P)) {
        x86_raise_error(c, EXC_NP, error);
    }
}

/* ---- the switch ---- */

struct task_image {
    uint64_t cr3;
    uint32_t eip, eflags, gpr[8];
    uint16_t seg[6], ldt;
    bool trap;
};

/* Selectors are stored in register order: ES CS SS DS, and FS GS in the 32-bit form. */
static void read_image(struct x86_cpu *c, const struct x86_desc *tss, struct task_image *t)
{
    uint64_t b = tss->base;

    *t = (struct task_image){0};
    if (tss_is_32(tss->attr)) {
        t->cr3 = tss_load(c, b, TSS32_CR3, MO_32);
        t->eip = (uint32_t)tss_load(c, b, TSS32_EIP, MO_32);
        t->eflags = (uint32_t)tss_load(c, b, TSS32_EFLAGS, MO_32);
        for (unsigned n = 0; n < 8; n++) {
            t->gpr[n] = (uint32_t)tss_load(c, b, TSS32_GPR + 4 * n, MO_32);
        }
        for (unsigned n = 0; n < 6; n++) {
            t->seg[n] = (uint16_t)tss_load(c, b, TSS32_SEG + 4 * n, MO_16);
        }
        t->ldt = (uint16_t)tss_load(c, b, TSS32_LDT, MO_16);
        t->trap = tss_load(c, b, TSS32_TRAP, MO_8) & 1;
    } else {
        t->eip = (uint32_t)tss_load(c, b, TSS16_IP, MO_16);
        t->eflags = (uint32_t)tss_load(c, b, TSS16_FLAGS, MO_16);
        for (unsigned n = 0; n < 8; n++) {
            t->gpr[n] = 0xffff0000 | (uint32_t)tss_load(c, b, TSS16_GPR + 2 * n, MO_16);
        }
        for (unsigned n = 0; n < 4; n++) {
            t->seg[n] = (uint16_t)tss_load(c, b, TSS16_SEG + 2 * n, MO_16);
        }
        t->ldt = (uint16_t)tss_load(c, b, TSS16_LDT, MO_16);
    }
}

static void write_image(struct x86_cpu *c, uint32_t eip, uint32_t eflags)
{
    uint64_t b = c->tr.base;

    if (tss_is_32(c->tr.attr)) {
        tss_store(c, b, TSS32_EIP, eip, MO_32);
        tss_store(c, b, TSS32_EFLAGS, eflags, MO_32);
        for (unsigned n = 0; n < 8; n++) {
            tss_store(c, b, TSS32_GPR + 4 * n, (uint32_t)c->v.reg[n], MO_32);
        }
        for (unsigned n = 0; n < 6; n++) {
            tss_store(c, b, TSS32_SEG + 4 * n, c->seg[n].sel, MO_16);
        }
    } else {
        tss_store(c, b, TSS16_IP, eip & 0xffff, MO_16);
        tss_store(c, b, TSS16_FLAGS, eflags & 0xffff, MO_16);
        for (unsigned n = 0; n < 8; n++) {
            tss_store(c, b, TSS16_GPR + 2 * n, c->v.reg[n] & 0xffff, MO_16);
        }
        for (unsigned n = 0; n < 4; n++) {
            tss_store(c, b, TSS16_SEG + 2 * n, c->seg[n].sel, MO_16);
        }
    }
}

static uint64_t gdt_entry(const struct x86_cpu *c, uint16_t sel)
{
    return tss_linear(c, c->gdtr.base, sel & 0xfff8u);
}

/* The new task's LDT and segments; every fault here is taken by the new task. */
static void load_ldt(struct x86_cpu *c, uint16_t sel, unsigned ext)
{
    struct x86_desc d;
    uint32_t error = x86_sel_error(sel, ext);

    if (x86_sel_null(sel)) {
        return;
    }
    if ((sel & 4) || !x86_desc_read(c, sel, &d) || x86_attr_systype(d.attr) != DESC_LDT ||
        !(d.attr & SEGA_P)) {
        x86_raise_error(c, EXC_TS, error);
    }
    c->ldtr = (struct x86_sysseg){.sel = sel, .attr = d.attr, .limit = d.limit, .base = d.base};
}

static void load_segments(struct x86_cpu *c, const struct task_image *t, unsigned ext)
{
    static const uint8_t data_segs[] = {SEG_DS, SEG_ES, SEG_FS, SEG_GS};
    struct x86_desc d;
    uint16_t sel;
    unsigned dpl;

    sel = t->seg[SEG_CS];
    if (x86_sel_null(sel) || !x86_desc_read(c, sel, &d) || !x86_attr_code(d.attr)) {
        x86_raise_error(c, EXC_TS, x86_sel_error(sel, ext));
    }
    dpl = x86_attr_dpl(d.attr);
    if (x86_attr_conforming(d.attr) ? dpl > c->cpl : dpl != c->cpl) {
        x86_raise_error(c, EXC_TS, x86_sel_error(sel, ext));
    }
    if (!(d.attr & SEGA_P)) {
        x86_raise_error(c, EXC_NP, x86_sel_error(sel, ext));
    }
    x86_desc_set_accessed(c, &d);
    x86_set_seg_desc(c, SEG_CS, sel, &d);

    sel = t->seg[SEG_SS];
    if (x86_sel_null(sel)) {
        x86_raise_error(c, EXC_TS, x86_sel_error(sel, ext));
    }
    x86_fetch_stack_seg(c, sel, c->cpl, &d, EXC_TS, ext);
    x86_desc_set_accessed(c, &d);
    x86_set_seg_desc(c, SEG_SS, sel, &d);

    for (unsigned i = 0; i < sizeof(data_segs); i++) {
        sel = t->seg[data_segs[i]];
        if (!x86_sel_null(sel)) {
            x86_fetch_data_seg(c, sel, c->cpl, &d, EXC_TS, ext);
            x86_desc_set_accessed(c, &d);
            x86_set_seg_desc(c, data_segs[i], sel, &d);
        }
    }
}

void x86_task_switch(struct x86_cpu *c, const struct x86_desc *tss, enum x86_task_how how,
                     uint64_t next, uint32_t flags, unsigned ext)
{
    bool is32 = tss_is_32(tss->attr);
    struct task_image t;
    struct tb *tb = c->v.cur_tb;
    uintptr_t host_pc = c->v.host_pc;
    uint16_t old_sel = c->tr.sel;
    uint64_t old_desc = gdt_entry(c, old_sel);
    bool vm;

    log_at(x86_log(c), LOG_PCALL, "cpu%u: task switch from %04x to %04x, next %llx cpl %u\n",
           c->v.index, old_sel, tss->sel, (unsigned long long)next, c->cpl);
    if (tss->limit < (is32 ? TSS32_MIN_LIMIT : TSS16_MIN_LIMIT)) {
        x86_raise_error(c, EXC_TS, x86_sel_error(tss->sel, ext));
    }
    /* Everything of the new task is read, and everything written that may be written twice, before
     * the first step that could not be repeated. */
    read_image(c, tss, &t);
    if (how != TASK_CALL) {
        x86_desc_probe_write(c, old_desc);
    }
    if (how != TASK_IRET) {
        x86_desc_probe_write(c, tss->lin);
    }
    write_image(c, (uint32_t)next, how == TASK_IRET ? flags & ~(uint32_t)FL_NT : flags);
    if (how == TASK_CALL) {
        tss_store(c, tss->base, 0, old_sel, MO_16);
        t.eflags |= FL_NT;
    }
    if (how != TASK_CALL) {
        x86_desc_change_type(c, old_desc, 0, DESC_TSS_BUSY_BIT);
    }
    if (how != TASK_IRET) {
        x86_desc_change_type(c, tss->lin, DESC_TSS_BUSY_BIT, 0);
    }

    /* Commit. From here on the state is the new task's, whatever happens: an exception must not be
     * attributed to the instruction of the translated block that brought us here. */
    c->v.cur_tb = NULL;
    c->v.host_pc = 0;
    c->tr = (struct x86_sysseg){.sel = tss->sel,
                                .attr = tss->attr | DESC_TSS_BUSY_BIT,
                                .limit = tss->limit,
                                .base = tss->base};
    vm = t.eflags & FL_VM;
    c->cr0 |= CR0_TS;
    c->v.reg[X86_RIP] = t.eip;
    for (unsigned n = 0; n < 8; n++) {
        c->v.reg[n] = t.gpr[n];
    }
    for (unsigned n = 0; n < 6; n++) {
        c->seg[n].sel = t.seg[n];
        c->seg[n].attr = 0; /* unusable until its descriptor has been checked */
    }
    c->ldtr.sel = t.ldt;
    c->ldtr.attr = 0;
    c->cpl = vm ? 3 : t.seg[SEG_CS] & 3;
    c->shadow = 0;
    if (t.trap) {
        c->pending_dr6 |= DR6_BT;
    }
    x86_set_eflags(c, t.eflags, X86_FLAGS_ALL);
    if (c->dr[7] & DR7_LOCAL) {
        c->dr[7] &= ~(uint64_t)DR7_LOCAL;
        x86_update_watches(c);
    }
    if (vm) {
        for (unsigned n = 0; n < 6; n++) {
            x86_set_seg_real(c, n, t.seg[n], true);
        }
    }
    if (is32 && (c->cr0 & CR0_PG)) {
        x86_write_cr3(c, t.cr3);
    }
    load_ldt(c, t.ldt, ext);
    if (!vm) {
        load_segments(c, &t, ext);
    }
    x86_update_key(c);
    if (c->v.reg[X86_RIP] > c->seg[SEG_CS].limit) {
        x86_raise_error(c, EXC_GP, ext);
    }
    c->v.cur_tb = tb;
    c->v.host_pc = host_pc;
}

void x86_task_return(struct x86_cpu *c, uint64_t next)
{
    uint16_t sel = (uint16_t)tss_load(c, c->tr.base, 0, MO_16);
    struct x86_desc d;
    unsigned type;

    if ((sel & 4) || x86_sel_null(sel) || !x86_desc_read(c, sel, &d)) {
        x86_raise_error(c, EXC_TS, x86_sel_error(sel, 0));
    }
    type = x86_attr_systype(d.attr);
    if (type != DESC_TSS16_BUSY && type != DESC_TSS32_BUSY) {
        x86_raise_error(c, EXC_TS, x86_sel_error(sel, 0));
    }
    if (!(d.attr & SEGA_P)) {
        x86_raise_error(c, EXC_NP, x86_sel_error(sel, 0));
    }
    x86_task_switch(c, &d, TASK_IRET, next, x86_get_eflags(c), 0);
}
