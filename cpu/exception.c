/* Exceptions and interrupts: how they are recorded, how they nest, and how they reach their handler
 * in real, protected, virtual-8086 and IA-32e mode.
 *
 * From the SDM: Vol. 2 "INT n/INTO/INT3/INT1" (the pseudo-code there covers every event), Vol. 3
 * chapter 6 "Interrupt and Exception Handling" (table 6-5 on double faults), 17.3 (RF, debug
 * exceptions), 20.1.4 (real mode). Left out: CET, FRED, #VE. */
#include "cpu/far.h"
#include "host/log.h"
#include "softmmu/debug.h"

#include <string.h>

enum {
    DR6_BD = 1 << 13,
    DR7_GD = 1 << 13,
    DELIVERING_BENIGN =
        0x100, /* in c->delivering: INT n, an interrupt: never part of a double fault */
    HAS_ERROR = 1 << EXC_DF | 1 << EXC_TS | 1 << EXC_NP | 1 << EXC_SS | 1 << EXC_GP | 1 << EXC_PF |
                1 << EXC_AC,
    CONTRIBUTORY = 1 << EXC_DE | 1 << EXC_TS | 1 << EXC_NP | 1 << EXC_SS | 1 << EXC_GP,
    FAULTS = CONTRIBUTORY | 1 << EXC_BR | 1 << EXC_UD | 1 << EXC_NM | 1 << EXC_PF | 1 << EXC_MF |
             1 << EXC_AC | 1 << EXC_XM,
};

/* ---- recording ---- */

static void record(struct x86_cpu *c, uint8_t vec, uint32_t error)
{
    c->exc.vector = vec;
    c->exc.software = false;
    c->exc.int1 = false;
    c->exc.has_error = vec < 32 && HAS_ERROR >> vec & 1;
    c->exc.error = error;
    c->exc.insn_len = 0;
    c->exc.dr6 = 0;
    c->exc.noncanonical = false;
}

void x86_raise_error(struct x86_cpu *c, enum x86_vector vec, uint32_t error)
{
    record(c, vec, error);
    vcpu_unwind(&c->v, true);
}

void x86_raise(struct x86_cpu *c, enum x86_vector vec)
{
    x86_raise_error(c, vec, 0);
}

void x86_raise_db(struct x86_cpu *c, uint64_t dr6)
{
    record(c, EXC_DB, 0);
    c->exc.dr6 = dr6;
    vcpu_unwind(&c->v, true);
}

void x86_raise_software(struct x86_cpu *c, uint8_t vec, unsigned insn_len)
{
    record(c, vec, 0);
    c->exc.has_error = false;
    c->exc.software = true;
    c->exc.insn_len = insn_len;
    vcpu_unwind(&c->v, true);
}

void x86_raise_int1(struct x86_cpu *c, unsigned insn_len)
{
    record(c, EXC_DB, 0);
    c->exc.software = true;
    c->exc.int1 = true;
    c->exc.insn_len = insn_len;
    vcpu_unwind(&c->v, true);
}

/* ---- delivery ---- */

struct event {
    uint64_t rip;   /* return address */
    uint32_t flags; /* EFLAGS image for the handler's stack */
    uint32_t error;
    uint8_t vector;
    bool has_error;
    bool check_dpl; /* INT n, INT3, INTO: the gate's DPL must allow it */
    unsigned ext;   /* EXT bit of faults that happen meanwhile */
};

static uint32_t idt_error(const struct event *e)
{
    return e->vector * 8u | 2 | e->ext;
}

/* What all gates end with: the handler's CS, rip and flags. */
static void enter_handler(struct x86_cpu *c, const struct x86_desc *cs, unsigned cpl, uint64_t rip,
                          uint32_t clear)
{
    uint32_t flags = x86_get_eflags(c) & ~clear;

    x86_set_seg_desc(c, SEG_CS, (uint16_t)((cs->sel & ~3u) | cpl), cs);
    c->cpl = (uint8_t)cpl;
    c->v.reg[X86_RIP] = rip;
    c->shadow = 0;
    x86_set_eflags(c, flags, X86_FLAGS_ALL);
}

static void deliver_real(struct x86_cpu *c, const struct event *e)
{
    struct x86_stack st;
    uint32_t vector;
    uint16_t cs;

    if (e->vector * 4u + 3 > c->idtr.limit) {
        x86_raise_error(c, EXC_GP, idt_error(e));
    }
    vector = (uint32_t)x86_load(c, (uint32_t)(c->idtr.base + e->vector * 4u), MO_32, 0);
    x86_stack_current(&st, c, e->ext);
    x86_stack_push(&st, 2, e->flags & 0xffff);
    x86_stack_push(&st, 2, c->seg[SEG_CS].sel);
    x86_stack_push(&st, 2, e->rip & 0xffff);
    if ((vector & 0xffff) > c->seg[SEG_CS].limit) {
        x86_raise_error(c, EXC_GP, e->ext);
    }
    x86_stack_commit(&st);
    cs = (uint16_t)(vector >> 16);
    x86_set_seg_real(c, SEG_CS, cs, false);
    c->v.reg[X86_RIP] = vector & 0xffff;
    c->shadow = 0;
    x86_set_eflags(c, 0, FL_IF | FL_TF | FL_AC | FL_RF);
}

/* The handler's code segment, which a gate of either width names. */
static void fetch_handler_cs(struct x86_cpu *c, const struct event *e, uint16_t sel,
                             struct x86_desc *cs)
{
    uint32_t error = x86_sel_error(sel, e->ext);

    if (x86_sel_null(sel)) {
        x86_raise_error(c, EXC_GP, e->ext);
    }
    if (!x86_desc_read(c, sel, cs) || !x86_attr_code(cs->attr) || x86_attr_dpl(cs->attr) > c->cpl) {
        x86_raise_error(c, EXC_GP, error);
    }
    if (x86_long_mode(c) && (cs->attr & (SEGA_L | SEGA_DB)) != SEGA_L) {
        x86_raise_error(c, EXC_GP, error);
    }
    if (!(cs->attr & SEGA_P)) {
        x86_raise_error(c, EXC_NP, error);
    }
}

static void deliver_task_gate(struct x86_cpu *c, const struct event *e, uint16_t sel)
{
    struct x86_desc tss;
    struct x86_stack st;

    x86_task_fetch_tss(c, sel, &tss, e->ext);
    x86_task_switch(c, &tss, TASK_CALL, e->rip, e->flags, e->ext);
    if (e->has_error) {
        x86_stack_current(&st, c, e->ext);
        x86_stack_push(&st, tss.attr & 8 ? 4 : 2, e->error);
        x86_stack_commit(&st);
    }
}

static void deliver_protected(struct x86_cpu *c, const struct event *e)
{
    struct x86_desc gate, cs, ss;
    struct x86_stack st;
    uint64_t raw;
    uint32_t offset, clear = FL_TF | FL_VM | FL_RF | FL_NT;
    unsigned type, size, dpl, cpl = c->cpl;
    bool vm = c->eflags & FL_VM, inner;

    if (e->vector * 8u + 7 > c->idtr.limit) {
        x86_raise_error(c, EXC_GP, idt_error(e));
    }
    raw = x86_load(c, (uint32_t)(c->idtr.base + e->vector * 8u), MO_64, 0);
    x86_desc_parse(&gate, (uint32_t)raw, (uint32_t)(raw >> 32));
    type = x86_attr_systype(gate.attr);
    if (type != DESC_TASK_GATE && type != DESC_INT16 && type != DESC_TRAP16 && type != DESC_INT32 &&
        type != DESC_TRAP32) {
        x86_raise_error(c, EXC_GP, idt_error(e));
    }
    if (e->check_dpl && x86_attr_dpl(gate.attr) < c->cpl) {
        x86_raise_error(c, EXC_GP, idt_error(e));
    }
    if (!(gate.attr & SEGA_P)) {
        x86_raise_error(c, EXC_NP, idt_error(e));
    }
    if (type == DESC_TASK_GATE) {
        deliver_task_gate(c, e, x86_gate_sel(&gate));
        return;
    }
    size = type & 8 ? 4 : 2;
    offset = size == 4 ? x86_gate_offset(&gate) : gate.lo & 0xffff;
    if (!(type & 1)) {
        clear |= FL_IF;
    }

    fetch_handler_cs(c, e, x86_gate_sel(&gate), &cs);
    dpl = x86_attr_dpl(cs.attr);
    inner = !x86_attr_conforming(cs.attr) && dpl < c->cpl;
    if (vm && (!inner || dpl != 0)) {
        x86_raise_error(c, EXC_GP, x86_sel_error(cs.sel, e->ext));
    }
    if (inner) {
        cpl = dpl;
        x86_open_inner_stack(c, cpl, e->ext, &st, &ss);
        if (vm) {
            x86_stack_push(&st, size, c->seg[SEG_GS].sel);
            x86_stack_push(&st, size, c->seg[SEG_FS].sel);
            x86_stack_push(&st, size, c->seg[SEG_DS].sel);
            x86_stack_push(&st, size, c->seg[SEG_ES].sel);
        }
        x86_stack_push(&st, size, c->seg[SEG_SS].sel);
        x86_stack_push(&st, size, c->v.reg[X86_RSP]);
    } else {
        x86_stack_current(&st, c, e->ext);
    }
    x86_stack_push(&st, size, e->flags);
    x86_stack_push(&st, size, c->seg[SEG_CS].sel);
    x86_stack_push(&st, size, e->rip);
    if (e->has_error) {
        x86_stack_push(&st, size, e->error);
    }
    x86_check_target(c, &cs, offset, e->ext);
    x86_desc_set_accessed(c, &cs);
    if (inner) {
        x86_desc_set_accessed(c, &ss);
        x86_set_seg_desc(c, SEG_SS, ss.sel, &ss);
    }
    x86_stack_commit(&st);
    if (vm) {
        x86_set_seg_null(c, SEG_GS, 0);
        x86_set_seg_null(c, SEG_FS, 0);
        x86_set_seg_null(c, SEG_DS, 0);
        x86_set_seg_null(c, SEG_ES, 0);
    }
    enter_handler(c, &cs, cpl, offset, clear);
}

static void deliver_long(struct x86_cpu *c, const struct event *e)
{
    struct x86_desc gate, cs;
    struct x86_stack st;
    uint64_t at = c->idtr.base + e->vector * 16u, raw, rip, rsp;
    uint32_t clear = FL_TF | FL_VM | FL_RF | FL_NT;
    unsigned type, ist, cpl = c->cpl;
    bool inner;

    if (e->vector * 16u + 15 > c->idtr.limit) {
        x86_raise_error(c, EXC_GP, idt_error(e));
    }
    raw = x86_load(c, at, MO_64, 0);
    x86_desc_parse(&gate, (uint32_t)raw, (uint32_t)(raw >> 32));
    rip = x86_gate_offset(&gate) | (uint64_t)(uint32_t)x86_load(c, at + 8, MO_32, 0) << 32;
    type = x86_attr_systype(gate.attr);
    if (type != DESC_INT32 && type != DESC_TRAP32) {
        x86_raise_error(c, EXC_GP, idt_error(e));
    }
    if (e->check_dpl && x86_attr_dpl(gate.attr) < c->cpl) {
        x86_raise_error(c, EXC_GP, idt_error(e));
    }
    if (!(gate.attr & SEGA_P)) {
        x86_raise_error(c, EXC_NP, idt_error(e));
    }
    ist = gate.hi & 7;
    if (!(type & 1)) {
        clear |= FL_IF;
    }

    fetch_handler_cs(c, e, x86_gate_sel(&gate), &cs);
    inner = !x86_attr_conforming(cs.attr) && x86_attr_dpl(cs.attr) < c->cpl;
    if (inner) {
        cpl = x86_attr_dpl(cs.attr);
    }
    if (ist) {
        rsp = x86_tss64_rsp(c, ist * 8 + 28, e->ext);
    } else if (inner) {
        rsp = x86_tss64_rsp(c, cpl * 8 + 4, e->ext);
    } else {
        rsp = c->v.reg[X86_RSP];
    }
    x86_stack_flat64(&st, c, rsp & ~UINT64_C(15), cpl == c->cpl ? x86_ctx_now(c) : 0, e->ext);
    x86_stack_push(&st, 8, c->seg[SEG_SS].sel);
    x86_stack_push(&st, 8, c->v.reg[X86_RSP]);
    x86_stack_push(&st, 8, e->flags);
    x86_stack_push(&st, 8, c->seg[SEG_CS].sel);
    x86_stack_push(&st, 8, e->rip);
    if (e->has_error) {
        x86_stack_push(&st, 8, e->error);
    }
    x86_check_target(c, &cs, rip, e->ext);
    x86_desc_set_accessed(c, &cs);
    if (inner) {
        x86_set_seg(c, SEG_SS, (uint16_t)cpl, 0, UINT32_MAX, (uint16_t)(cpl << SEGA_DPL_SHIFT));
    }
    x86_stack_commit(&st);
    enter_handler(c, &cs, cpl, rip, clear);
}

const char *const x86_exception_names[X86_NAMED_EXCEPTIONS] = {
    "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "",
    "#TS", "#NP", "#SS", "#GP", "#PF", "",    "#MF", "#AC", "#MC", "#XM",
};

static void log_event(struct x86_cpu *c, struct log *log, const struct event *e)
{
    const char *const *names = x86_exception_names;
    bool external = c->delivering >= 0 && (c->delivering & DELIVERING_BENIGN) && e->ext;
    bool named = !external && !e->check_dpl && e->vector < X86_NAMED_EXCEPTIONS;
    char symbol[160];

    log_write(
        log, "cpu%u: %s %02x%s%s error %04x at %04x:%016llx cpl %u cr2 %016llx sp %04x:%016llx%s\n",
        c->v.index,
        e->check_dpl ? "software interrupt"
        : external   ? "interrupt"
                     : "exception",
        e->vector, named && *names[e->vector] ? " " : "", named ? names[e->vector] : "",
        e->has_error ? e->error : 0, c->seg[SEG_CS].sel, (unsigned long long)e->rip, c->cpl,
        (unsigned long long)c->cr2, c->seg[SEG_SS].sel, (unsigned long long)c->v.reg[X86_RSP],
        log_symbol(log, c->v.reg[X86_CS_BASE] + e->rip, symbol, sizeof(symbol)));
}

static void deliver_event(struct x86_cpu *c, const struct event *e)
{
    struct log *log = c->v.machine ? c->v.machine->log : NULL;

    if (__builtin_expect(log_has(log, LOG_INT), 0)) {
        log_event(c, log, e);
    }
    if (!(c->cr0 & CR0_PE)) {
        deliver_real(c, e);
    } else if (x86_long_mode(c)) {
        deliver_long(c, e);
    } else {
        deliver_protected(c, e);
    }
    c->delivering = -1;
}

/* ---- nesting ---- */

static bool in_class(int vector, unsigned set)
{
    return vector >= 0 && vector < 32 && set >> vector & 1;
}

/* Does a debugger want to see it first? Then the instruction will be run again. */
static bool caught(struct x86_cpu *c, const struct event *e)
{
    char *text;

    if (e->vector >= X86_NAMED_EXCEPTIONS || !debug_exception(&c->v, e->vector, &text)) {
        return false;
    }
    snprintf(text, DEBUG_TEXT, "cpu%u: exception %s, error %04x, cr2 %#llx", c->v.index,
             x86_exception_names[e->vector], e->has_error ? e->error : 0,
             (unsigned long long)c->cr2);
    return true;
}

static void triple_fault(struct x86_cpu *c, uint8_t vector, int while_delivering)
{
    char text[DEBUG_TEXT], *stop;

    c->delivering = -1;
    c->shutdown = true;
    c->halted = true;
    snprintf(text, sizeof(text),
             "cpu%u: triple fault: vector %02x while delivering %02x, at %04x:%llx, cpl %u, "
             "cr2 %llx, idt %llx:%x",
             c->v.index, vector, (unsigned)while_delivering & 0xff, c->seg[SEG_CS].sel,
             (unsigned long long)c->v.reg[X86_RIP], c->cpl, (unsigned long long)c->cr2,
             (unsigned long long)c->idtr.base, c->idtr.limit);
    if (debug_exception(&c->v, DEBUG_TRIPLE, &stop)) {
        memcpy(stop, text, sizeof(text));
    } else if (c->v.machine) {
        machine_request(c->v.machine, REQUEST_RESET, "%s", text);
    }
    x86_update_key(c);
    atomic_store(&c->v.exit_request, 1);
}

void x86_deliver(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);
    struct event e = {
        .rip = v->reg[X86_RIP],
        .flags = x86_get_eflags(c),
        .vector = c->exc.vector,
        .has_error = !c->exc.software && in_class(c->exc.vector, HAS_ERROR),
        .error = c->exc.error,
        .ext = 1,
    };
    bool software = c->exc.software, int1 = c->exc.int1;
    uint64_t dr6 = c->exc.dr6;
    int first = c->delivering;

    /* Recorders that know nothing of these (the page walker) must find them clear. */
    c->exc.software = c->exc.int1 = false;
    c->exc.dr6 = 0;

    if (software) {
        e.check_dpl = !int1;
        e.ext = int1;
        e.rip += c->exc.insn_len;
        if (!x86_code64(c)) {
            e.rip = (uint32_t)e.rip;
        }
        e.flags &= ~(uint32_t)FL_RF;
    } else if (e.vector == EXC_PF) {
        c->cr2 = c->exc.cr2;
    } else if (e.vector == EXC_DB) {
        c->dr[6] |= dr6;
        c->dr[7] &= ~(uint64_t)DR7_GD;
        e.flags &= ~(uint32_t)FL_RF;
    }
    if (first >= 0 && !software) {
        bool contributory = in_class(e.vector, CONTRIBUTORY), pf = e.vector == EXC_PF;

        if (first == EXC_DF && (contributory || pf)) {
            triple_fault(c, e.vector, first);
            return;
        }
        if ((in_class(first, CONTRIBUTORY) && contributory) ||
            (first == EXC_PF && (contributory || pf))) {
            struct log *log = v->machine ? v->machine->log : NULL;

            log_at(log, LOG_INT, "cpu%u: exception %02x error %04x while delivering %02x\n",
                   v->index, e.vector, e.error, (unsigned)first);
            e.vector = EXC_DF;
            e.has_error = true;
            e.error = 0;
        }
    }
    if (!software && (in_class(e.vector, FAULTS) || (dr6 & DR6_BD))) {
        e.flags |= FL_RF;
    }
    /* Not #DB, which comes after its instruction, and not while something else is delivered, which
     * would be lost. */
    if (first < 0 && e.vector != EXC_DB && (!software || e.vector == EXC_BP) && caught(c, &e)) {
        return;
    }
    c->delivering = software ? e.vector | DELIVERING_BENIGN : e.vector;
    deliver_event(c, &e);
}

void x86_interrupt(struct x86_cpu *c, uint8_t vector)
{
    struct event e = {
        .rip = c->v.reg[X86_RIP],
        .flags = x86_get_eflags(c),
        .vector = vector,
        .ext = 1,
    };

    c->halted = false;
    c->interrupts[vector]++;
    c->delivering = vector | DELIVERING_BENIGN;
    deliver_event(c, &e);
}
