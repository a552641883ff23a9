/* Control transfers that leave the code segment: far JMP, CALL and RET, call gates, IRET, INT n in
 * V86 mode, SYSCALL/SYSRET, SYSENTER/SYSEXIT.
 *
 * From the pseudo-code of the SDM's Vol. 2 pages, check by check in its order; V86 interrupts from
 * Vol. 3 chapter 20.3 (software interrupts with CR4.VME). SYSCALL outside 64-bit mode, which only
 * AMD processors have, from AMD's APM Vol. 3. Registers change only after the last thing that can
 * fault. Left out: CET. */
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/far.h"
#include "host/log.h"

static uint64_t opsize_mask(unsigned opsize)
{
    return opsize == 2 ? 0xffff : opsize == 4 ? 0xffffffff : UINT64_MAX;
}

void x86_check_target(struct x86_cpu *c, const struct x86_desc *cs, uint64_t rip, unsigned ext)
{
    bool ok = x86_long_mode(c) && (cs->attr & SEGA_L) ? x86_canonical(c, rip) : rip <= cs->limit;

    if (!ok) {
        x86_raise_error(c, EXC_GP, ext);
    }
}

/* CS and rip of the checked target; the caller updates the key (x86_set_eflags does). */
static void enter_code(struct x86_cpu *c, const struct x86_desc *cs, unsigned cpl, uint64_t rip)
{
    x86_set_seg_desc(c, SEG_CS, (uint16_t)((cs->sel & ~3u) | cpl), cs);
    c->cpl = (uint8_t)cpl;
    c->v.reg[X86_RIP] = rip;
}

/* L and D both set is reserved in IA-32e mode. */
static bool bad_long_code(const struct x86_cpu *c, uint16_t attr)
{
    return x86_long_mode(c) && (attr & (SEGA_L | SEGA_DB)) == (SEGA_L | SEGA_DB);
}

static void check_present(struct x86_cpu *c, const struct x86_desc *d)
{
    if (!(d->attr & SEGA_P)) {
        x86_raise_error(c, EXC_NP, x86_sel_error(d->sel, 0));
    }
}

/* ---- real and V86 mode ---- */

static void real_transfer(struct x86_cpu *c, uint16_t sel, uint64_t rip)
{
    x86_set_seg_real(c, SEG_CS, sel, c->eflags & FL_VM);
    c->v.reg[X86_RIP] = rip;
    x86_update_key(c);
}

static void real_check_rip(struct x86_cpu *c, uint64_t rip)
{
    if (rip > c->seg[SEG_CS].limit) {
        x86_raise_error(c, EXC_GP, 0);
    }
}

/* ---- JMP and CALL ---- */

/* Checks a code segment that JMP or CALL names directly. */
static void check_direct_code(struct x86_cpu *c, const struct x86_desc *d)
{
    unsigned dpl = x86_attr_dpl(d->attr);
    bool bad = bad_long_code(c, d->attr);

    if (x86_attr_conforming(d->attr)) {
        bad = bad || dpl > c->cpl;
    } else {
        bad = bad || (d->sel & 3u) > c->cpl || dpl != c->cpl;
    }
    if (bad) {
        x86_raise_error(c, EXC_GP, x86_sel_error(d->sel, 0));
    }
    check_present(c, d);
}

struct call_target { /* what a call gate leads to */
    struct x86_desc cs;
    uint64_t rip;
    unsigned size, params;
};

/* Privilege of a gate or TSS against CPL and RPL. */
static void check_system_access(struct x86_cpu *c, const struct x86_desc *d)
{
    unsigned dpl = x86_attr_dpl(d->attr);

    if (dpl < c->cpl || dpl < (d->sel & 3u)) {
        x86_raise_error(c, EXC_GP, x86_sel_error(d->sel, 0));
    }
}

static void fetch_call_gate(struct x86_cpu *c, struct x86_desc *gate, struct call_target *t)
{
    bool lm = x86_long_mode(c);
    uint32_t upper = 0;
    uint16_t sel;

    check_system_access(c, gate);
    if (lm && !x86_desc_read_upper(c, gate, &upper)) {
        x86_raise_error(c, EXC_GP, x86_sel_error(gate->sel, 0));
    }
    check_present(c, gate);
    sel = x86_gate_sel(gate);
    if (x86_sel_null(sel)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    if (!x86_desc_read(c, sel, &t->cs) || !x86_attr_code(t->cs.attr) ||
        x86_attr_dpl(t->cs.attr) > c->cpl || (lm && (t->cs.attr & (SEGA_L | SEGA_DB)) != SEGA_L)) {
        x86_raise_error(c, EXC_GP, x86_sel_error(sel, 0));
    }
    check_present(c, &t->cs);
    t->params = gate->hi & 0x1f;
    if (lm) {
        t->size = 8;
        t->rip = x86_gate_offset(gate) | (uint64_t)upper << 32;
    } else if (x86_attr_systype(gate->attr) == DESC_CALL32) {
        t->size = 4;
        t->rip = x86_gate_offset(gate);
    } else {
        t->size = 2;
        t->rip = gate->lo & 0xffff;
    }
}

/* Reads what a far JMP or CALL in protected mode names. Returns its system type, 0 for a code
 * segment; every other thing raises. */
static unsigned fetch_target(struct x86_cpu *c, uint16_t sel, struct x86_desc *d)
{
    unsigned type;

    if (x86_sel_null(sel)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    if (!x86_desc_read(c, sel, d)) {
        x86_raise_error(c, EXC_GP, x86_sel_error(sel, 0));
    }
    if (x86_attr_code(d->attr)) {
        return 0;
    }
    type = x86_attr_systype(d->attr);
    if (x86_long_mode(c) ? type != DESC_CALL32
                         : type != DESC_CALL16 && type != DESC_CALL32 && type != DESC_TASK_GATE &&
                               type != DESC_TSS16 && type != DESC_TSS32) {
        x86_raise_error(c, EXC_GP, x86_sel_error(sel, 0));
    }
    return type;
}

/* JMP or CALL to a TSS or through a task gate. */
static void far_task(struct x86_cpu *c, struct x86_desc *d, unsigned type, enum x86_task_how how,
                     uint64_t next)
{
    struct x86_desc tss;
    uint32_t flags = x86_get_eflags(c) & ~(uint32_t)FL_RF;

    check_system_access(c, d);
    if (type == DESC_TASK_GATE) {
        check_present(c, d);
        x86_task_fetch_tss(c, x86_gate_sel(d), &tss, 0);
    } else {
        x86_task_fetch_tss(c, d->sel, &tss, 0);
    }
    x86_task_switch(c, &tss, how, (uint32_t)next, flags, 0);
}

static void log_far(struct x86_cpu *c, const char *what, uint16_t sel, uint64_t off, uint64_t next)
{
    log_at(c->v.machine ? c->v.machine->log : NULL, LOG_PCALL,
           "cpu%u: %s to %04x:%llx, next %04x:%llx cpl %u\n", c->v.index, what, sel,
           (unsigned long long)off, c->seg[SEG_CS].sel, (unsigned long long)next, c->cpl);
}

void x86_far_jmp(struct x86_cpu *c, uint16_t sel, uint64_t off, unsigned opsize, uint64_t next)
{
    struct x86_desc d;
    struct call_target t;
    unsigned type;

    log_far(c, "far jump", sel, off & opsize_mask(opsize), next);
    off &= opsize_mask(opsize);
    if (!x86_protected(c)) {
        real_check_rip(c, off);
        real_transfer(c, sel, off);
        return;
    }
    type = fetch_target(c, sel, &d);
    switch (type) {
    case 0:
        check_direct_code(c, &d);
        x86_check_target(c, &d, off, 0);
        x86_desc_set_accessed(c, &d);
        enter_code(c, &d, c->cpl, off);
        break;
    case DESC_CALL16:
    case DESC_CALL32:
        fetch_call_gate(c, &d, &t);
        if (!x86_attr_conforming(t.cs.attr) && x86_attr_dpl(t.cs.attr) != c->cpl) {
            x86_raise_error(c, EXC_GP, x86_sel_error(t.cs.sel, 0));
        }
        x86_check_target(c, &t.cs, t.rip, 0);
        x86_desc_set_accessed(c, &t.cs);
        enter_code(c, &t.cs, c->cpl, t.rip);
        break;
    default:
        far_task(c, &d, type, TASK_JMP, next);
        return;
    }
    x86_update_key(c);
}

/* CALL through a gate to a more privileged level: new stack, parameters copied. */
static void call_inner(struct x86_cpu *c, struct call_target *t, uint64_t next)
{
    unsigned level = x86_attr_dpl(t->cs.attr);
    struct x86_stack old, st;
    struct x86_desc ss = {0};

    if (t->size == 8) {
        x86_stack_flat64(&st, c, x86_tss64_rsp(c, level * 8 + 4, 0), 0, 0);
    } else {
        x86_open_inner_stack(c, level, 0, &st, &ss);
    }
    x86_stack_push(&st, t->size, c->seg[SEG_SS].sel);
    x86_stack_push(&st, t->size, c->v.reg[X86_RSP]);
    if (t->size != 8) {
        x86_stack_current(&old, c, 0);
        for (unsigned n = t->params; n-- > 0;) {
            x86_stack_push(&st, t->size, x86_stack_peek(&old, n * t->size, t->size));
        }
    }
    x86_stack_push(&st, t->size, c->seg[SEG_CS].sel);
    x86_stack_push(&st, t->size, next);
    x86_check_target(c, &t->cs, t->rip, 0);
    x86_desc_set_accessed(c, &t->cs);
    if (t->size == 8) {
        x86_set_seg(c, SEG_SS, (uint16_t)level, 0, UINT32_MAX, (uint16_t)(level << SEGA_DPL_SHIFT));
    } else {
        x86_desc_set_accessed(c, &ss);
        x86_set_seg_desc(c, SEG_SS, ss.sel, &ss);
    }
    x86_stack_commit(&st);
    enter_code(c, &t->cs, level, t->rip);
    c->shadow = 0;
}

void x86_far_call(struct x86_cpu *c, uint16_t sel, uint64_t off, unsigned opsize, uint64_t next)
{
    struct x86_stack st;
    struct x86_desc d;
    struct call_target t;
    unsigned type;

    log_far(c, "far call", sel, off & opsize_mask(opsize), next);
    off &= opsize_mask(opsize);
    if (!x86_code64(c)) {
        next = (uint32_t)next;
    }
    x86_stack_current(&st, c, 0);
    if (!x86_protected(c)) {
        x86_stack_push(&st, opsize, c->seg[SEG_CS].sel);
        x86_stack_push(&st, opsize, next);
        real_check_rip(c, off);
        x86_stack_commit(&st);
        real_transfer(c, sel, off);
        return;
    }
    type = fetch_target(c, sel, &d);
    switch (type) {
    case 0:
        check_direct_code(c, &d);
        t = (struct call_target){.cs = d, .rip = off, .size = opsize};
        break;
    case DESC_CALL16:
    case DESC_CALL32:
        fetch_call_gate(c, &d, &t);
        if (!x86_attr_conforming(t.cs.attr) && x86_attr_dpl(t.cs.attr) < c->cpl) {
            call_inner(c, &t, next);
            x86_update_key(c);
            return;
        }
        if (t.size ==
            8) { /* maybe from compatibility mode: the stack is used as the target sees it */
            x86_stack_flat64(&st, c, c->v.reg[X86_RSP], x86_ctx_now(c), 0);
        }
        break;
    default:
        far_task(c, &d, type, TASK_CALL, next);
        return;
    }
    x86_stack_push(&st, t.size, c->seg[SEG_CS].sel);
    x86_stack_push(&st, t.size, next);
    x86_check_target(c, &t.cs, t.rip, 0);
    x86_desc_set_accessed(c, &t.cs);
    x86_stack_commit(&st);
    enter_code(c, &t.cs, c->cpl, t.rip);
    x86_update_key(c);
}

/* ---- RET and IRET ---- */

/* The code segment that a return goes to. */
static void fetch_return_cs(struct x86_cpu *c, uint16_t sel, struct x86_desc *d)
{
    unsigned rpl = sel & 3;

    if (x86_sel_null(sel)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    if (!x86_desc_read(c, sel, d) || !x86_attr_code(d->attr) || rpl < c->cpl ||
        (x86_attr_conforming(d->attr) ? x86_attr_dpl(d->attr) > rpl
                                      : x86_attr_dpl(d->attr) != rpl) ||
        bad_long_code(c, d->attr)) {
        x86_raise_error(c, EXC_GP, x86_sel_error(sel, 0));
    }
    check_present(c, d);
}

/* ... and the stack segment, for level rpl. Returns false for a null selector that may be loaded.
 */
static bool fetch_return_ss(struct x86_cpu *c, uint16_t sel, const struct x86_desc *cs,
                            unsigned rpl, struct x86_desc *ss)
{
    if (x86_sel_null(sel)) {
        if (!x86_long_mode(c) || !(cs->attr & SEGA_L) || rpl == 3 || (sel & 3u) != rpl) {
            x86_raise_error(c, EXC_GP, 0);
        }
        return false;
    }
    x86_fetch_stack_seg(c, sel, rpl, ss, EXC_GP, 0);
    return true;
}

/* Loads SS:rSP of a return; release: bytes that RET n drops from the stack returned to. */
static void return_stack(struct x86_cpu *c, const struct x86_desc *cs, uint16_t sel, bool have_ss,
                         const struct x86_desc *ss, uint64_t sp, unsigned release)
{
    uint64_t mask = UINT64_MAX;

    if (have_ss) {
        x86_set_seg_desc(c, SEG_SS, sel, ss);
    } else {
        x86_set_seg(c, SEG_SS, sel, 0, UINT32_MAX, (uint16_t)((sel & 3) << SEGA_DPL_SHIFT));
    }
    if (!x86_long_mode(c) || !(cs->attr & SEGA_L)) {
        mask = c->seg[SEG_SS].attr & SEGA_DB ? 0xffffffff : 0xffff;
    }
    x86_set_sp(c, mask, sp + release);
}

void x86_far_ret(struct x86_cpu *c, unsigned opsize, unsigned release)
{
    struct x86_stack st;
    struct x86_desc cs, ss;
    uint64_t rip, sp;
    uint16_t sel, ss_sel;
    unsigned rpl;
    bool have_ss;

    x86_stack_current(&st, c, 0);
    rip = x86_stack_pop(&st, opsize);
    sel = (uint16_t)x86_stack_pop(&st, opsize);
    log_far(c, "far return", sel, rip, c->v.reg[X86_RIP]);
    if (!x86_protected(c)) {
        real_check_rip(c, rip);
        st.sp = (st.sp + release) & st.mask;
        x86_stack_commit(&st);
        real_transfer(c, sel, rip);
        return;
    }
    fetch_return_cs(c, sel, &cs);
    rpl = sel & 3;
    st.sp = (st.sp + release) & st.mask;
    if (rpl == c->cpl) {
        x86_check_target(c, &cs, rip, 0);
        x86_desc_set_accessed(c, &cs);
        x86_stack_commit(&st);
        enter_code(c, &cs, rpl, rip);
    } else {
        sp = x86_stack_pop(&st, opsize);
        ss_sel = (uint16_t)x86_stack_pop(&st, opsize);
        have_ss = fetch_return_ss(c, ss_sel, &cs, rpl, &ss);
        x86_check_target(c, &cs, rip, 0);
        x86_desc_set_accessed(c, &cs);
        if (have_ss) {
            x86_desc_set_accessed(c, &ss);
        }
        return_stack(c, &cs, ss_sel, have_ss, &ss, sp, release);
        enter_code(c, &cs, rpl, rip);
        x86_drop_inner_segs(c);
    }
    x86_update_key(c);
}

enum {
    IRET_FLAGS16 = FL_STATUS | FL_TF | FL_DF | FL_NT | FL_RF, /* RF: cleared, not in the image */
    IRET_FLAGS32 = IRET_FLAGS16 | FL_AC | FL_ID,
};

static void iret_real(struct x86_cpu *c, unsigned opsize)
{
    struct x86_stack st;
    uint64_t rip;
    uint32_t flags, mask;
    uint16_t sel;

    x86_stack_current(&st, c, 0);
    rip = x86_stack_pop(&st, opsize);
    sel = (uint16_t)x86_stack_pop(&st, opsize);
    flags = (uint32_t)x86_stack_pop(&st, opsize);
    real_check_rip(c, rip);
    mask = (opsize == 2 ? IRET_FLAGS16 : IRET_FLAGS32) | FL_IF | FL_IOPL;
    x86_stack_commit(&st);
    real_transfer(c, sel, rip);
    x86_set_eflags(c, flags, mask);
}

static void iret_v86(struct x86_cpu *c, unsigned opsize)
{
    struct x86_stack st;
    uint64_t rip;
    uint32_t flags, mask;
    uint16_t sel;
    bool virtual_if = (c->eflags & FL_IOPL) != FL_IOPL;

    if (virtual_if && (!(c->cr4 & CR4_VME) || opsize != 2)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    x86_stack_current(&st, c, 0);
    rip = x86_stack_pop(&st, opsize);
    sel = (uint16_t)x86_stack_pop(&st, opsize);
    flags = (uint32_t)x86_stack_pop(&st, opsize);
    mask = opsize == 2 ? IRET_FLAGS16 : IRET_FLAGS32;
    if (virtual_if) {
        if ((flags & FL_TF) || ((flags & FL_IF) && (c->eflags & FL_VIP))) {
            x86_raise_error(c, EXC_GP, 0);
        }
        flags = (flags & 0xffff) | (flags & FL_IF ? FL_VIF : 0);
        mask |= FL_VIF;
    } else {
        mask |= FL_IF;
    }
    real_check_rip(c, rip);
    x86_stack_commit(&st);
    real_transfer(c, sel, rip);
    x86_set_eflags(c, flags, mask);
}

/* IRETD at CPL 0 with VM in the image. st: after EIP, CS, EFLAGS. */
static void iret_to_v86(struct x86_cpu *c, struct x86_stack *st, uint64_t eip, uint16_t cs,
                        uint32_t flags)
{
    static const uint8_t order[] = {SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    uint32_t esp = (uint32_t)x86_stack_pop(st, 4);
    uint16_t sel[sizeof(order)];

    for (unsigned n = 0; n < sizeof(order); n++) {
        sel[n] = (uint16_t)x86_stack_pop(st, 4);
    }
    for (unsigned n = 0; n < sizeof(order); n++) {
        x86_set_seg_real(c, order[n], sel[n], true);
    }
    x86_set_seg_real(c, SEG_CS, cs, true);
    c->v.reg[X86_RSP] = esp;
    c->v.reg[X86_RIP] = eip & 0xffff;
    c->cpl = 3;
    x86_set_eflags(c, flags, X86_FLAGS_ALL);
}

static void iret_protected(struct x86_cpu *c, unsigned opsize)
{
    struct x86_stack st;
    struct x86_desc cs, ss;
    uint64_t rip, sp = 0;
    uint32_t flags, mask;
    uint16_t sel, ss_sel = 0;
    unsigned rpl;
    bool outer, pops_stack, have_ss = false;

    x86_stack_current(&st, c, 0);
    rip = x86_stack_pop(&st, opsize);
    sel = (uint16_t)x86_stack_pop(&st, opsize);
    flags = (uint32_t)x86_stack_pop(&st, opsize);
    if ((flags & FL_VM) && opsize == 4 && c->cpl == 0 && !x86_long_mode(c)) {
        iret_to_v86(c, &st, rip, sel, flags);
        return;
    }
    fetch_return_cs(c, sel, &cs);
    rpl = sel & 3;
    outer = rpl != c->cpl;
    pops_stack = outer || x86_code64(c);
    if (pops_stack) {
        sp = x86_stack_pop(&st, opsize);
        ss_sel = (uint16_t)x86_stack_pop(&st, opsize);
        have_ss = fetch_return_ss(c, ss_sel, &cs, rpl, &ss);
    }
    x86_check_target(c, &cs, rip, 0);
    x86_desc_set_accessed(c, &cs);
    if (have_ss) {
        x86_desc_set_accessed(c, &ss);
    }

    mask = opsize == 2 ? IRET_FLAGS16 : IRET_FLAGS32;
    if (c->cpl <= (c->eflags & FL_IOPL) >> FL_IOPL_SHIFT) {
        mask |= FL_IF;
    }
    if (c->cpl == 0) {
        mask |= opsize == 2 ? FL_IOPL : FL_IOPL | FL_VIF | FL_VIP;
    }
    if (pops_stack) {
        return_stack(c, &cs, ss_sel, have_ss, &ss, sp, 0);
    } else {
        x86_stack_commit(&st);
    }
    enter_code(c, &cs, rpl, rip);
    if (outer) {
        x86_drop_inner_segs(c);
    }
    x86_set_eflags(c, flags, mask);
}

void x86_iret(struct x86_cpu *c, unsigned opsize, uint64_t next)
{
    if (!(c->cr0 & CR0_PE)) {
        iret_real(c, opsize);
    } else if (c->eflags & FL_VM) {
        iret_v86(c, opsize);
    } else if (c->eflags & FL_NT) {
        if (x86_long_mode(c)) {
            x86_raise_error(c, EXC_GP, 0);
        }
        x86_task_return(c, (uint32_t)next);
    } else {
        iret_protected(c, opsize);
    }
    if (c->nmi_blocked) {
        c->nmi_blocked = false;
        x86_update_key(c);
    }
}

/* ---- INT n in V86 mode ---- */

/* CR4.VME: whether the TSS sends INT vec to the monitor (bit set) or to the 8086 program. */
static bool vme_to_monitor(struct x86_cpu *c, uint8_t vec)
{
    uint32_t map, at;

    if (!(c->tr.attr & 8) || c->tr.limit < 103) {
        x86_raise_error(c, EXC_GP, 0);
    }
    map = (uint32_t)x86_load(c, (uint32_t)(c->tr.base + 102), MO_16, 0);
    at = map - 32 + vec / 8; /* the redirection map ends where the I/O map begins */
    if (at > c->tr.limit) {
        x86_raise_error(c, EXC_GP, 0);
    }
    return x86_load(c, (uint32_t)(c->tr.base + at), MO_8, 0) >> (vec & 7) & 1;
}

static void vme_enter(struct x86_cpu *c, uint8_t vec, uint64_t next)
{
    struct x86_stack st;
    uint32_t flags = x86_get_eflags(c) & 0xffff, target, clear = FL_TF | FL_RF;

    if ((c->eflags & FL_IOPL) == FL_IOPL) {
        clear |= FL_IF;
    } else {
        flags = (flags & ~(uint32_t)FL_IF) | FL_IOPL | (c->eflags & FL_VIF ? FL_IF : 0);
        clear |= FL_VIF;
    }
    target = (uint32_t)x86_load(c, vec * 4u, MO_32, x86_ctx_now(c));
    x86_stack_current(&st, c, 0);
    x86_stack_push(&st, 2, flags);
    x86_stack_push(&st, 2, c->seg[SEG_CS].sel);
    x86_stack_push(&st, 2, next & 0xffff);
    x86_stack_commit(&st);
    real_transfer(c, (uint16_t)(target >> 16), target & 0xffff);
    x86_set_eflags(c, 0, clear);
}

void x86_int_n(struct x86_cpu *c, uint8_t vec, unsigned insn_len, uint64_t next)
{
    if ((c->cr0 & CR0_PE) && (c->eflags & FL_VM)) {
        if ((c->cr4 & CR4_VME) && !vme_to_monitor(c, vec)) {
            vme_enter(c, vec, next);
            return;
        }
        if ((c->eflags & FL_IOPL) != FL_IOPL) {
            x86_raise_error(c, EXC_GP, 0);
        }
    }
    x86_raise_software(c, vec, insn_len);
}

/* ---- fast system calls: flat segments by decree, no descriptor is read ---- */

static void set_flat(struct x86_cpu *c, enum x86_segnum s, uint16_t sel, unsigned dpl, bool code64)
{
    uint16_t attr = SEGA_P | SEGA_S | SEGA_RW | SEGA_A | SEGA_G | (uint16_t)(dpl << SEGA_DPL_SHIFT);

    attr |= s == SEG_CS ? SEGA_CODE | (code64 ? SEGA_L : SEGA_DB) : SEGA_DB;
    x86_set_seg(c, s, sel, 0, UINT32_MAX, attr);
}

static void enter_flat(struct x86_cpu *c, uint16_t cs, uint16_t ss, unsigned cpl, bool code64)
{
    set_flat(c, SEG_CS, cs, cpl, code64);
    set_flat(c, SEG_SS, ss, cpl, false);
    c->cpl = (uint8_t)cpl;
}

/* AMD processors have SYSCALL and SYSRET in every protected mode, Intel's in 64-bit mode only. */
static bool syscall_allowed(const struct x86_cpu *c)
{
    bool amd = c->model && !strcmp(c->model->vendor, "AuthenticAMD");

    return (c->efer & EFER_SCE) && (x86_code64(c) || (amd && x86_protected(c)));
}

void x86_syscall(struct x86_cpu *c, uint64_t next)
{
    uint16_t sel = (uint16_t)(c->star >> 32) & 0xfffc;
    uint32_t flags = x86_get_eflags(c) & ~(uint32_t)FL_RF;
    bool code64 = x86_code64(c);

    if (!syscall_allowed(c)) {
        x86_raise(c, EXC_UD);
    }
    c->v.reg[X86_RCX] = code64 ? next : (uint32_t)next;
    if (x86_long_mode(c)) {
        c->v.reg[X86_R11] = flags;
        c->v.reg[X86_RIP] = code64 ? c->lstar : c->cstar;
        enter_flat(c, sel, (uint16_t)(sel + 8), 0, true);
        x86_set_eflags(c, flags & ~(uint32_t)c->fmask, X86_FLAGS_ALL);
    } else {
        c->v.reg[X86_RIP] = (uint32_t)c->star;
        enter_flat(c, sel, (uint16_t)(sel + 8), 0, false);
        x86_set_eflags(c, 0, FL_VM | FL_IF | FL_RF);
    }
}

void x86_sysret(struct x86_cpu *c, unsigned opsize)
{
    uint16_t sel = (uint16_t)(c->star >> 48);
    uint64_t rip = c->v.reg[X86_RCX];
    bool to64 = opsize == 8;

    if (!syscall_allowed(c)) {
        x86_raise(c, EXC_UD);
    }
    if (c->cpl != 0 || (to64 && !x86_canonical(c, rip))) {
        x86_raise_error(c, EXC_GP, 0);
    }
    c->v.reg[X86_RIP] = to64 ? rip : (uint32_t)rip;
    enter_flat(c, (uint16_t)(sel + (to64 ? 16 : 0)) | 3, (uint16_t)(sel + 8) | 3, 3, to64);
    if (x86_long_mode(c)) {
        x86_set_eflags(c, (uint32_t)c->v.reg[X86_R11] & 0x3c7fd7, X86_FLAGS_ALL);
    } else {
        x86_set_eflags(c, FL_IF, FL_IF);
    }
}

void x86_sysenter(struct x86_cpu *c)
{
    uint16_t sel = (uint16_t)c->sysenter_cs & 0xfffc;
    bool lm = x86_long_mode(c);

    if (!(c->cr0 & CR0_PE) || !sel) {
        x86_raise_error(c, EXC_GP, 0);
    }
    c->v.reg[X86_RSP] = lm ? c->sysenter_esp : (uint32_t)c->sysenter_esp;
    c->v.reg[X86_RIP] = lm ? c->sysenter_eip : (uint32_t)c->sysenter_eip;
    enter_flat(c, sel, (uint16_t)(sel + 8), 0, lm);
    x86_set_eflags(c, 0, FL_VM | FL_IF | FL_RF);
}

void x86_sysexit(struct x86_cpu *c, unsigned opsize)
{
    uint16_t sel = (uint16_t)c->sysenter_cs & 0xfffc;
    uint64_t rip = c->v.reg[X86_RDX], rsp = c->v.reg[X86_RCX];
    bool to64 = opsize == 8;

    if (!(c->cr0 & CR0_PE) || !sel || c->cpl != 0 ||
        (to64 && (!x86_canonical(c, rip) || !x86_canonical(c, rsp)))) {
        x86_raise_error(c, EXC_GP, 0);
    }
    sel = (uint16_t)(sel + (to64 ? 32 : 16));
    c->v.reg[X86_RIP] = to64 ? rip : (uint32_t)rip;
    c->v.reg[X86_RSP] = to64 ? rsp : (uint32_t)rsp;
    enter_flat(c, sel | 3, (uint16_t)(sel + 8) | 3, 3, to64);
    x86_update_key(c);
}
