/* Local APIC, xAPIC and x2APIC. Intel SDM volume 3, chapter 11 (APIC).
 *
 * One device a processor; its page at IA32_APIC_BASE serves whichever processor asks, writes by
 * devices to that page are message signalled interrupts. The timer counts nanoseconds (1 GHz bus
 * clock). Delivery is instantaneous: the delivery status bits always read 0. Not modelled: the CMCI
 * entry, EOI broadcast suppression, arbitration (lowest priority goes to the lowest TPR, then the
 * lowest number). */
#include "cpu/cpuid.h"
#include "cpu/x86.h"
#include "hw/intc/apic.h"
#include "hw/intc/i8259.h"

#include <string.h>

enum { /* register numbers: offset >> 4, MSR - 0x800 */
       R_ID = 0x02,
       R_VERSION = 0x03,
       R_TPR = 0x08,
       R_APR = 0x09,
       R_PPR = 0x0a,
       R_EOI = 0x0b,
       R_RRD = 0x0c,
       R_LDR = 0x0d,
       R_DFR = 0x0e,
       R_SVR = 0x0f,
       R_ISR = 0x10,
       R_TMR = 0x18,
       R_IRR = 0x20,
       R_ESR = 0x28,
       R_ICR = 0x30,
       R_ICR2 = 0x31,
       R_LVT = 0x32,
       R_INITIAL = 0x38,
       R_CURRENT = 0x39,
       R_DIVIDE = 0x3e,
       R_SELF_IPI = 0x3f,
};
enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, NLVT };
enum { LVT_MASKED = 0x10000, LVT_LEVEL = 0x8000, LVT_REMOTE_IRR = 0x4000 };
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };
enum { SVR_ENABLE = 0x100 };
enum { ESR_SEND_ILLEGAL = 0x20, ESR_RECEIVE_ILLEGAL = 0x40, ESR_ILLEGAL_REGISTER = 0x80 };
enum { BASE_BSP = 1 << 8, BASE_EXTD = 1 << 10, BASE_EN = 1 << 11 };
enum { MSR_APIC_BASE = 0x1b, MSR_TSC_DEADLINE = 0x6e0, MSR_X2APIC = 0x800 };
enum { VERSION = 0x14 | (NLVT - 1) << 16, MIN_PERIOD_NS = 1000 };
#define APIC_DEFAULT_BASE UINT64_C(0xfee00000)

struct lapic {
    struct device dev; /* must be first */
    struct x86_cpu *cpu;
    struct mapping *page;
    uint64_t base; /* IA32_APIC_BASE; copied to cpu->apic_base */
    uint32_t id;   /* xAPIC id as the guest set it */
    uint32_t tpr, ldr, dfr, svr, esr, esr_latched, divide, initial;
    uint32_t lvt[NLVT];
    uint32_t isr[8], tmr[8], irr[8];
    uint64_t icr;
    uint32_t count; /* timer's count at count_time */
    int64_t count_time;
    uint64_t deadline;  /* IA32_TSC_DEADLINE; 0: not armed */
    bool extint, lint1; /* levels of LINT0 (8259) and LINT1 */
    struct timer timer;
};

static const struct state_field lapic_fields[] = {
    STATE_U64(struct lapic, base),       STATE_U32(struct lapic, id),
    STATE_U32(struct lapic, tpr),        STATE_U32(struct lapic, ldr),
    STATE_U32(struct lapic, dfr),        STATE_U32(struct lapic, svr),
    STATE_U32(struct lapic, esr),        STATE_U32(struct lapic, esr_latched),
    STATE_U32(struct lapic, divide),     STATE_U32(struct lapic, initial),
    STATE_U32(struct lapic, lvt),        STATE_U32(struct lapic, isr),
    STATE_U32(struct lapic, tmr),        STATE_U32(struct lapic, irr),
    STATE_U64(struct lapic, icr),        STATE_U32(struct lapic, count),
    STATE_I64(struct lapic, count_time), STATE_U64(struct lapic, deadline),
    STATE_BOOL(struct lapic, extint),    STATE_BOOL(struct lapic, lint1),
    STATE_TIMER(struct lapic, timer),    STATE_END,
};

static bool enabled(const struct lapic *a)
{
    return a->base & BASE_EN;
}

static bool x2apic(const struct lapic *a)
{
    return a->base & BASE_EXTD;
}

/* ---- 256-bit sets ---- */

static bool set_test(const uint32_t *set, unsigned n)
{
    return set[n >> 5] >> (n & 31) & 1;
}

static void set_put(uint32_t *set, unsigned n, bool on)
{
    uint32_t bit = UINT32_C(1) << (n & 31);

    set[n >> 5] = on ? set[n >> 5] | bit : set[n >> 5] & ~bit;
}

static int set_highest(const uint32_t *set)
{
    for (int i = 7; i >= 0; i--) {
        if (set[i]) {
            return i * 32 + 31 - __builtin_clz(set[i]);
        }
    }
    return -1;
}

/* ---- priorities, and what the processor is told ---- */

static uint32_t ppr(const struct lapic *a)
{
    int busy = set_highest(a->isr);
    uint32_t served = busy < 0 ? 0 : (uint32_t)busy & 0xf0;

    return (a->tpr & 0xf0) >= served ? a->tpr : served;
}

/* The vector that may be delivered now, or -1. */
static int deliverable(const struct lapic *a)
{
    int v = set_highest(a->irr);

    return v >= 0 && ((uint32_t)v & 0xf0) > (ppr(a) & 0xf0) ? v : -1;
}

/* The 8259 reaches the processor through LINT0 in ExtINT mode, or directly when the APIC is off. */
static bool extint_wanted(const struct lapic *a)
{
    if (!enabled(a)) {
        return a->extint && (a->base & BASE_BSP);
    }
    return a->extint && (a->lvt[LVT_LINT0] & (LVT_MASKED | 0x700)) == APIC_EXTINT << 8;
}

static void update(struct lapic *a)
{
    bool want = (enabled(a) && deliverable(a) >= 0) || extint_wanted(a);
    bool told = atomic_load(&a->cpu->v.irq_request) & X86_REQ_INTR;

    if (want && !told) {
        vcpu_request(&a->cpu->v, X86_REQ_INTR);
    } else if (!want && told) {
        vcpu_clear_request(&a->cpu->v, X86_REQ_INTR);
    }
}

static void accept(struct lapic *a, uint8_t vector, bool level);

static void lvt_fire(struct lapic *a, unsigned n)
{
    uint32_t lvt = a->lvt[n];

    if ((lvt & LVT_MASKED) || !enabled(a)) {
        return;
    }
    switch (lvt >> 8 & 7) {
    case APIC_FIXED:
        accept(a, (uint8_t)lvt, n == LVT_LINT0 && (lvt & LVT_LEVEL));
        break;
    case APIC_SMI:
        vcpu_request(&a->cpu->v, X86_REQ_SMI);
        break;
    case APIC_NMI:
        vcpu_request(&a->cpu->v, X86_REQ_NMI);
        break;
    case APIC_INIT:
        vcpu_request(&a->cpu->v, X86_REQ_INIT);
        break;
    default: /* ExtINT: a level, see extint_wanted() */
        break;
    }
    update(a);
}

static void report_error(struct lapic *a, uint32_t bit)
{
    bool first = !(a->esr_latched & bit);

    a->esr_latched |= bit;
    if (first) {
        lvt_fire(a, LVT_ERROR);
    }
}

static void accept(struct lapic *a, uint8_t vector, bool level)
{
    if (vector < 16) {
        if (!(a->esr_latched &
              ESR_RECEIVE_ILLEGAL)) { /* the error's own vector may be illegal, too */
            report_error(a, ESR_RECEIVE_ILLEGAL);
        }
        return;
    }
    set_put(a->irr, vector, true);
    set_put(a->tmr, vector, level);
    update(a);
}

/* ---- timer ---- */

static unsigned timer_mode(const struct lapic *a)
{
    return a->lvt[LVT_TIMER] >> 17 & 3;
}

static uint32_t divisor(const struct lapic *a)
{
    unsigned code = (a->divide & 3) | (a->divide >> 1 & 4);

    return code == 7 ? 1 : 2u << code;
}

static uint32_t current_count(const struct lapic *a, int64_t now)
{
    uint64_t ticks = (uint64_t)(now - a->count_time) / divisor(a);

    if (timer_mode(a) == TIMER_DEADLINE || !a->initial) {
        return 0;
    }
    if (ticks < a->count) {
        return a->count - (uint32_t)ticks;
    }
    return timer_mode(a) == TIMER_PERIODIC
               ? a->initial - (uint32_t)((ticks - a->count) % a->initial)
               : 0;
}

static void arm_count(struct lapic *a)
{
    if (a->count && timer_mode(a) != TIMER_DEADLINE) {
        timer_set(&a->timer, a->count_time + (int64_t)a->count * divisor(a));
    } else {
        timer_cancel(&a->timer);
    }
}

static void arm_deadline(struct lapic *a)
{
    if (a->deadline && timer_mode(a) == TIMER_DEADLINE) {
        timer_set(&a->timer, x86_tsc_to_clock(a->cpu, a->deadline));
    } else {
        timer_cancel(&a->timer);
    }
}

static void timer_expired(void *opaque)
{
    struct lapic *a = opaque;
    int64_t now = clock_now(a->dev.machine->clock);

    if (timer_mode(a) == TIMER_DEADLINE) {
        /* The TSC may have been written since the timer was set. */
        if (x86_tsc_to_clock(a->cpu, a->deadline) > now) {
            arm_deadline(a);
            return;
        }
        a->deadline = 0;
    } else if (timer_mode(a) == TIMER_PERIODIC && a->initial) {
        int64_t period = (int64_t)a->initial * divisor(a);
        a->count_time += (int64_t)a->count * divisor(a);
        a->count = a->initial;
        if (now - a->count_time >= period) { /* late: the missed ones are one */
            a->count_time += (now - a->count_time) / period * period;
        }
        /* A period far too short for any handler would keep the host busy for nothing. */
        int64_t next = a->count_time + period;
        timer_set(&a->timer, next > now + MIN_PERIOD_NS ? next : now + MIN_PERIOD_NS);
    } else {
        a->count = 0;
        a->count_time = now;
    }
    lvt_fire(a, LVT_TIMER);
}

static void write_initial(struct lapic *a, uint32_t v)
{
    if (timer_mode(a) == TIMER_DEADLINE) {
        return;
    }
    a->initial = a->count = v;
    a->count_time = clock_now(a->dev.machine->clock);
    arm_count(a);
}

static void write_divide(struct lapic *a, uint32_t v)
{
    int64_t now = clock_now(a->dev.machine->clock);

    a->count = current_count(a, now);
    a->count_time = now;
    a->divide = v & 0xb;
    if (timer_mode(a) != TIMER_DEADLINE) {
        arm_count(a);
    }
}

static void write_timer_lvt(struct lapic *a, uint32_t v)
{
    unsigned old = timer_mode(a);
    int64_t now = clock_now(a->dev.machine->clock);
    uint32_t left = current_count(a, now);

    a->lvt[LVT_TIMER] = v;
    if ((old == TIMER_DEADLINE) != (timer_mode(a) == TIMER_DEADLINE)) {
        a->deadline = 0; /* SDM 11.5.4.1: a change to or from this mode disarms */
        a->initial = a->count = 0;
        timer_cancel(&a->timer);
    } else if (old != timer_mode(a)) {
        a->count = left;
        a->count_time = now;
        arm_count(a);
    }
}

/* ---- messages ---- */

static uint32_t x2apic_ldr(const struct lapic *a)
{
    return a->cpu->apic_id >> 4 << 16 | UINT32_C(1) << (a->cpu->apic_id & 15);
}

static bool addressed(const struct lapic *a, const struct apic_message *msg)
{
    if (msg->dest == APIC_BROADCAST) {
        return true;
    }
    if (!msg->logical) {
        return msg->dest == (x2apic(a) ? a->cpu->apic_id : a->id);
    }
    if (x2apic(a)) {
        uint32_t me = x2apic_ldr(a);
        return msg->dest >> 16 == me >> 16 && (msg->dest & me & 0xffff);
    }
    uint32_t me = a->ldr >> 24;
    if (a->dfr >> 28 == 0) { /* cluster model */
        return (msg->dest >> 4) == (me >> 4) && (msg->dest & me & 15);
    }
    return (msg->dest & me) != 0;
}

static struct lapic *lapic_of(struct machine *m, unsigned i)
{
    return x86_cpu(m->vcpus[i])->apic;
}

static void registers_reset(struct lapic *a);

static void deliver(struct lapic *a, const struct apic_message *msg)
{
    switch (msg->mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        if (a->svr & SVR_ENABLE) {
            accept(a, msg->vector, msg->level);
        }
        break;
    case APIC_SMI:
        vcpu_request(&a->cpu->v, X86_REQ_SMI);
        break;
    case APIC_NMI:
        vcpu_request(&a->cpu->v, X86_REQ_NMI);
        break;
    case APIC_INIT:
        registers_reset(a);
        vcpu_request(&a->cpu->v, X86_REQ_INIT);
        break;
    case APIC_SIPI:
        a->cpu->sipi_vector = msg->vector;
        vcpu_request(&a->cpu->v, X86_REQ_SIPI);
        break;
    default:
        break;
    }
}

/* skip: the sender of "all but self". */
static bool send_except(struct machine *m, const struct apic_message *msg, const struct lapic *skip)
{
    struct lapic *best = NULL;
    bool any = false;

    for (unsigned i = 0; i < m->nvcpus; i++) {
        struct lapic *a = lapic_of(m, i);
        if (!a || a == skip || !enabled(a) || !addressed(a, msg)) {
            continue;
        }
        if (msg->mode == APIC_LOWEST) {
            if ((a->svr & SVR_ENABLE) && (!best || a->tpr < best->tpr)) {
                best = a;
            }
        } else {
            deliver(a, msg);
            any = true;
        }
    }
    if (best) {
        deliver(best, msg);
    }
    return any || best;
}

bool apic_send(struct machine *m, const struct apic_message *msg)
{
    return send_except(m, msg, NULL);
}

void apic_send_msi(struct machine *m, uint64_t addr, uint32_t data)
{
    struct apic_message msg = {
        .dest = addr >> 12 & 0xff,
        .vector = (uint8_t)data,
        .mode = data >> 8 & 7,
        .logical = addr >> 2 & 1,
        .level = data >> 15 & 1,
    };

    if (msg.dest == 0xff) {
        msg.dest = APIC_BROADCAST;
    }
    apic_send(m, &msg);
}

static void send_ipi(struct lapic *a)
{
    uint32_t low = (uint32_t)a->icr;
    struct apic_message msg = {
        .dest = x2apic(a) ? (uint32_t)(a->icr >> 32) : (uint32_t)(a->icr >> 56),
        .vector = (uint8_t)low,
        .mode = low >> 8 & 7,
        .logical = low >> 11 & 1,
        .level = false, /* IPIs are edges; the trigger bit only tells INIT de-assert apart */
    };
    unsigned shorthand = low >> 18 & 3;

    if (msg.mode == APIC_INIT && (low & LVT_LEVEL) && !(low & 0x4000)) {
        return; /* INIT level de-assert: synchronizes arbitration ids, which we have not */
    }
    if ((msg.mode == APIC_FIXED || msg.mode == APIC_LOWEST) && msg.vector < 16) {
        report_error(a, ESR_SEND_ILLEGAL);
        return;
    }
    if (msg.mode == APIC_MODE3 || msg.mode == APIC_EXTINT) {
        log_at(a->dev.machine->log, LOG_GUEST_ERROR, "lapic %u: IPI with reserved mode %u\n",
               a->cpu->apic_id, msg.mode);
        return;
    }
    if (!x2apic(a) && msg.dest == 0xff) {
        msg.dest = APIC_BROADCAST;
    }
    if (shorthand == 1) {
        deliver(a, &msg);
        return;
    }
    if (shorthand) {
        msg.dest = APIC_BROADCAST;
    }
    send_except(a->dev.machine, &msg, shorthand == 3 ? a : NULL);
}

void lapic_set_extint(void *opaque, int n, int level)
{
    struct machine *m = opaque;

    (void)n;
    for (unsigned i = 0; i < m->nvcpus; i++) {
        struct lapic *a = lapic_of(m, i);
        if (!a) {
            continue;
        }
        bool rising = level && !a->extint;
        a->extint = level != 0;
        if (rising) {
            lvt_fire(a, LVT_LINT0); /* LINT0 may be programmed for another mode than ExtINT */
        }
        update(a);
    }
}

void lapic_pulse_lint1(struct machine *m)
{
    for (unsigned i = 0; i < m->nvcpus; i++) {
        if (lapic_of(m, i)) {
            lvt_fire(lapic_of(m, i), LVT_LINT1);
        }
    }
}

/* ---- acknowledge and EOI ---- */

static int ack_interrupt(void *opaque, struct x86_cpu *c)
{
    struct machine *m = opaque;
    struct lapic *a = c->apic;
    int v = a && enabled(a) ? deliverable(a) : -1;

    if (v >= 0) {
        set_put(a->irr, (unsigned)v, false);
        set_put(a->isr, (unsigned)v, true);
        update(a);
        return v;
    }
    if (a && extint_wanted(a)) {
        struct device *pic = device_find_type(m, &i8259_type);
        return pic ? i8259_ack(pic) : -1;
    }
    if (a) {
        update(a);
    }
    return -1; /* it went away before the processor looked */
}

static void end_of_interrupt(struct lapic *a)
{
    int v = set_highest(a->isr);

    if (v < 0) {
        return;
    }
    set_put(a->isr, (unsigned)v, false);
    if (set_test(a->tmr, (unsigned)v)) {
        ioapic_eoi(a->dev.machine, (uint8_t)v);
    }
    update(a);
}

/* ---- registers ---- */

static bool reg_read(struct lapic *a, unsigned reg, uint32_t *v)
{
    *v = 0;
    if (reg >= R_ISR && reg < R_ISR + 8) {
        *v = a->isr[reg - R_ISR];
    } else if (reg >= R_TMR && reg < R_TMR + 8) {
        *v = a->tmr[reg - R_TMR];
    } else if (reg >= R_IRR && reg < R_IRR + 8) {
        *v = a->irr[reg - R_IRR];
    } else if (reg >= R_LVT && reg < R_LVT + NLVT) {
        *v = a->lvt[reg - R_LVT];
    } else {
        switch (reg) {
        case R_ID:
            *v = x2apic(a) ? a->cpu->apic_id : a->id << 24;
            break;
        case R_VERSION:
            *v = VERSION;
            break;
        case R_TPR:
            *v = a->tpr;
            break;
        case R_PPR:
            *v = ppr(a);
            break;
        case R_LDR:
            *v = x2apic(a) ? x2apic_ldr(a) : a->ldr;
            break;
        case R_DFR:
            *v = a->dfr;
            break;
        case R_SVR:
            *v = a->svr;
            break;
        case R_ESR:
            *v = a->esr;
            break;
        case R_ICR:
            *v = (uint32_t)a->icr;
            break;
        case R_ICR2:
            *v = (uint32_t)(a->icr >> 32);
            break;
        case R_INITIAL:
            *v = a->initial;
            break;
        case R_CURRENT:
            *v = current_count(a, clock_now(a->dev.machine->clock));
            break;
        case R_DIVIDE:
            *v = a->divide;
            break;
        case R_APR:
        case R_RRD:
        case R_EOI:
            break;
        default:
            return false;
        }
    }
    return true;
}

static void write_svr(struct lapic *a, uint32_t v)
{
    a->svr = v & 0x1ff;
    if (!(v & SVR_ENABLE)) {
        for (unsigned n = 0; n < NLVT; n++) {
            a->lvt[n] |= LVT_MASKED;
        }
    }
    update(a);
}

static void write_lvt(struct lapic *a, unsigned n, uint32_t v)
{
    static const uint32_t writable[NLVT] = {
        [LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PERF] = 0x107ff,
        [LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff,   [LVT_ERROR] = 0x100ff,
    };

    v &= writable[n];
    if (!(a->svr & SVR_ENABLE)) {
        v |= LVT_MASKED;
    }
    if (n == LVT_TIMER) {
        write_timer_lvt(a, v);
    } else {
        a->lvt[n] = v;
    }
    update(a);
}

static bool reg_write(struct lapic *a, unsigned reg, uint32_t v)
{
    if (reg >= R_LVT && reg < R_LVT + NLVT) {
        write_lvt(a, reg - R_LVT, v);
        return true;
    }
    switch (reg) {
    case R_ID:
        a->id = v >> 24;
        return true;
    case R_TPR:
        a->tpr = v & 0xff;
        update(a);
        return true;
    case R_EOI:
        end_of_interrupt(a);
        return true;
    case R_LDR:
        a->ldr = v & 0xff000000;
        return true;
    case R_DFR:
        a->dfr = v | 0x0fffffff;
        return true;
    case R_SVR:
        write_svr(a, v);
        return true;
    case R_ESR:
        a->esr = a->esr_latched;
        a->esr_latched = 0;
        return true;
    case R_ICR:
        a->icr = (a->icr & ~UINT64_C(0xffffffff)) | (v & 0xccfff & ~0x1000u);
        send_ipi(a);
        return true;
    case R_ICR2:
        a->icr = (a->icr & 0xffffffff) | (uint64_t)(v & 0xff000000) << 32;
        return true;
    case R_INITIAL:
        write_initial(a, v);
        return true;
    case R_DIVIDE:
        write_divide(a, v);
        return true;
    default:
        return false;
    }
}

/* ---- the page ---- */

/* The local APIC whose page the calling processor sees at map's place; NULL when that is another
 * one's. */
static struct lapic *accessor(struct lapic *owner)
{
    struct vcpu *v = machine_current_vcpu(owner->dev.machine);
    struct lapic *a = v ? x86_cpu(v)->apic : NULL;

    if (!a || !enabled(a) || x2apic(a) || (a->base ^ owner->base) >> 12) {
        return NULL;
    }
    return a;
}

static void illegal_register(struct lapic *a, uint64_t offset)
{
    log_at(a->dev.machine->log, LOG_GUEST_ERROR, "lapic %u: no register at offset 0x%x\n",
           a->cpu->apic_id, (unsigned)offset);
    report_error(a, ESR_ILLEGAL_REGISTER);
}

static uint64_t page_read(void *opaque, uint64_t offset, unsigned size)
{
    struct lapic *a = accessor(opaque);
    uint32_t v = 0;

    if (!a) {
        return UINT64_MAX;
    }
    if (!reg_read(a, (unsigned)(offset >> 4), &v)) {
        illegal_register(a, offset);
    }
    (void)size;
    return offset & 15 ? 0 : v;
}

static void page_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct lapic *owner = opaque;
    struct lapic *a = accessor(owner);

    if (!machine_current_vcpu(owner->dev.machine) && size == 4) {
        apic_send_msi(owner->dev.machine, owner->base + offset, (uint32_t)value);
        return;
    }
    if (a && !(offset & 15) && !reg_write(a, (unsigned)(offset >> 4), (uint32_t)value)) {
        illegal_register(a, offset);
    }
}

static const struct mmio_ops page_ops = {page_read, page_write, 4, 4};

/* ---- MSRs ---- */

static bool base_write(struct lapic *a, uint64_t v)
{
    const struct x86_model *model = a->cpu->model;
    bool has_x2apic = model && x86_model_has(model, X86F_X2APIC);
    uint64_t allowed =
        (a->cpu->phys_mask & ~UINT64_C(0xfff)) | BASE_BSP | BASE_EN | (has_x2apic ? BASE_EXTD : 0);
    bool from_x2 = x2apic(a), to_x2 = v & BASE_EXTD;

    if ((v & ~allowed) || (to_x2 && !(v & BASE_EN))) {
        return false;
    }
    if ((from_x2 && !to_x2 && (v & BASE_EN)) || (to_x2 && !from_x2 && !enabled(a))) {
        return false; /* SDM figure 11-27: x2APIC is left only to "off", and entered only from xAPIC
                       */
    }
    if (enabled(a) && !(v & BASE_EN)) {
        registers_reset(a);
    }
    uint64_t moved = (a->base ^ v) >> 12;
    a->base = (v & ~(uint64_t)BASE_BSP) | (a->base & BASE_BSP);
    a->cpu->apic_base = a->base;
    if (moved) {
        mapping_move(a->page, a->base & ~UINT64_C(0xfff));
    }
    update(a);
    return true;
}

static bool x2apic_read(struct lapic *a, unsigned reg, uint64_t *value)
{
    uint32_t v;

    if (reg == R_ICR) {
        *value = a->icr;
        return true;
    }
    if (reg == R_DFR || reg == R_ICR2 || reg == R_EOI || reg == R_APR || reg == R_RRD ||
        !reg_read(a, reg, &v)) {
        return false;
    }
    *value = v;
    return true;
}

static bool x2apic_write(struct lapic *a, unsigned reg, uint64_t v)
{
    if (reg == R_ICR) {
        if (v & UINT64_C(0xfff32000)) {
            return false;
        }
        a->icr = v;
        send_ipi(a);
        return true;
    }
    if (v >> 32) {
        return false;
    }
    switch (reg) {
    case R_SELF_IPI:
        if (v > 0xff) {
            return false;
        }
        if (v < 16) {
            report_error(a, ESR_SEND_ILLEGAL);
        } else {
            accept(a, (uint8_t)v, false);
        }
        return true;
    case R_EOI:
    case R_ESR:
        return !v && reg_write(a, reg, 0);
    case R_TPR:
        return v <= 0xff && reg_write(a, reg, (uint32_t)v);
    case R_ID:
    case R_LDR:
    case R_DFR:
    case R_ICR2:
        return false; /* read only, or absent */
    default:
        return reg_write(a, reg, (uint32_t)v);
    }
}

static bool apic_rdmsr(void *opaque, struct x86_cpu *c, uint32_t msr, uint64_t *value)
{
    struct lapic *a = c->apic;

    (void)opaque;
    if (!a) {
        return false;
    }
    if (msr == MSR_APIC_BASE) {
        *value = a->base;
        return true;
    }
    if (msr == MSR_TSC_DEADLINE) {
        *value = timer_mode(a) == TIMER_DEADLINE ? a->deadline : 0;
        return true;
    }
    return x2apic(a) && msr - MSR_X2APIC < 0x40 && x2apic_read(a, msr - MSR_X2APIC, value);
}

static bool apic_wrmsr(void *opaque, struct x86_cpu *c, uint32_t msr, uint64_t value)
{
    struct lapic *a = c->apic;

    (void)opaque;
    if (!a) {
        return false;
    }
    if (msr == MSR_APIC_BASE) {
        return base_write(a, value);
    }
    if (msr == MSR_TSC_DEADLINE) {
        if (timer_mode(a) == TIMER_DEADLINE && enabled(a)) {
            a->deadline = value;
            arm_deadline(a);
        }
        return true;
    }
    return x2apic(a) && msr - MSR_X2APIC < 0x40 && x2apic_write(a, msr - MSR_X2APIC, value);
}

static uint64_t apic_tpr(void *opaque, struct x86_cpu *c)
{
    struct lapic *a = c->apic;

    (void)opaque;
    return a ? a->tpr >> 4 : 0;
}

static void apic_set_tpr(void *opaque, struct x86_cpu *c, uint64_t tpr)
{
    struct lapic *a = c->apic;

    (void)opaque;
    if (a) {
        a->tpr = (uint32_t)(tpr & 15) << 4;
        update(a);
    }
}

void lapic_fill_platform(struct machine *m, struct x86_platform *platform)
{
    platform->opaque = m;
    platform->ack_interrupt = ack_interrupt;
    platform->apic_tpr = apic_tpr;
    platform->apic_set_tpr = apic_set_tpr;
    platform->apic_rdmsr = apic_rdmsr;
    platform->apic_wrmsr = apic_wrmsr;
}

/* ---- life ---- */

/* INIT: everything but the base; the power-on values are the same. */
static void registers_reset(struct lapic *a)
{
    a->id = a->cpu->apic_id & 0xff;
    a->tpr = a->ldr = a->esr = a->esr_latched = a->divide = a->initial = a->count = 0;
    a->dfr = 0xffffffff;
    a->svr = 0xff;
    a->icr = 0;
    a->deadline = 0;
    a->count_time = clock_now(a->dev.machine->clock);
    memset(a->isr, 0, sizeof(a->isr));
    memset(a->tmr, 0, sizeof(a->tmr));
    memset(a->irr, 0, sizeof(a->irr));
    for (unsigned n = 0; n < NLVT; n++) {
        a->lvt[n] = LVT_MASKED;
    }
    timer_cancel(&a->timer);
    update(a);
}

static void lapic_loaded(void *obj)
{
    struct lapic *a = obj;

    a->cpu->apic_base = a->base;
    mapping_move(a->page, a->base & ~UINT64_C(0xfff));
    update(a);
}

static const struct state_table lapic_state = {1, lapic_fields, lapic_loaded};

static void lapic_reset(struct device *d)
{
    struct lapic *a = (struct lapic *)d;
    bool bsp = a->cpu->v.index == 0;

    a->base = APIC_DEFAULT_BASE | BASE_EN | (bsp ? BASE_BSP : 0);
    a->cpu->apic_base = a->base;
    mapping_move(a->page, APIC_DEFAULT_BASE);
    registers_reset(a);
    if (bsp) {
        /* Virtual wire mode from the start, for firmware that leaves the APIC alone. */
        a->lvt[LVT_LINT0] = APIC_EXTINT << 8;
    }
    update(a);
}

static bool lapic_realize(struct device *d, struct error *err)
{
    struct lapic *a = (struct lapic *)d;

    if (!a->cpu) {
        return error_set(err, "lapic: has no processor");
    }
    timer_init(&a->timer, d->machine->clock, timer_expired, a);
    a->page = memory_map_mmio(d->machine->memory, IN_BOTH, APIC_DEFAULT_BASE, 4096, "lapic",
                              &page_ops, a, MAP_PRIO_LAPIC);
    a->cpu->apic = a;
    return true;
}

static void lapic_destroy(struct device *d)
{
    ((struct lapic *)d)->cpu->apic = NULL;
}

const struct device_type lapic_type = {
    .name = "apic",
    .summary = "local APIC",
    .bus = BUS_SYSTEM,
    .size = sizeof(struct lapic),
    .state = &lapic_state,
    .realize = lapic_realize,
    .reset = lapic_reset,
    .destroy = lapic_destroy,
};

struct device *lapic_create(struct machine *m, struct x86_cpu *c, struct error *err)
{
    struct lapic *a = (struct lapic *)device_create(m, &lapic_type, NULL);

    a->cpu = c;
    return device_realize(&a->dev, err) ? &a->dev : NULL;
}
