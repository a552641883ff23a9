/* Local APIC, xAPIC and x2APIC. Intel SDM volume 3, chapter 11 (APIC).
 *
 * One device a processor; its page at IA32_APIC_BASE serves whichever processor asks, writes by
 * devices to that page are message signalled interrupts. The timer counts nanoseconds (1 GHz bus
 * clock). Delivery is instantaneous: the delivery status bits always read 0. Not modelled: the CMCI
 * entry, EOI broadcast suppression, arbitration (lowest priority goes to the lowest TPR, then the
 * lowest number). */
#include "cpu/cpuid.h"
#include "hw/intc/i8259.h"
#include "hw/intc/lapic_internal.h"

#include <string.h>

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
    STATE_BOOL(struct lapic, extint),    STATE_BOOL(struct lapic, extint_message),
    STATE_TIMER(struct lapic, timer),    STATE_END,
};

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

static uint32_t lapic_ppr(const struct lapic *a)
{
    int busy = set_highest(a->isr);
    uint32_t served = busy < 0 ? 0 : (uint32_t)busy & 0xf0;

    return (a->tpr & 0xf0) >= served ? a->tpr : served;
}

/* The vector that may be delivered now, or -1. */
static int deliverable(const struct lapic *a)
{
    int v = set_highest(a->irr);

    return v >= 0 && ((uint32_t)v & 0xf0) > (lapic_ppr(a) & 0xf0) ? v : -1;
}

/* The 8259 reaches the processor through LINT0 in ExtINT mode, or directly when the APIC is off. */
static bool extint_wanted(const struct lapic *a)
{
    if (!lapic_enabled(a)) {
        return a->extint && (a->base & BASE_BSP);
    }
    return a->extint_message ||
           (a->extint && (a->lvt[LVT_LINT0] & (LVT_MASKED | 0x700)) == APIC_EXTINT << 8);
}

void lapic_update(struct lapic *a)
{
    bool want = (lapic_enabled(a) && deliverable(a) >= 0) || extint_wanted(a);
    bool told = atomic_load(&a->cpu->v.irq_request) & X86_REQ_INTR;

    if (want && !told) {
        vcpu_request(&a->cpu->v, X86_REQ_INTR);
    } else if (!want && told) {
        vcpu_clear_request(&a->cpu->v, X86_REQ_INTR);
    }
}

void lapic_lvt_fire(struct lapic *a, unsigned n)
{
    uint32_t lvt = a->lvt[n];

    if ((lvt & LVT_MASKED) || !lapic_enabled(a)) {
        return;
    }
    switch (lvt >> 8 & 7) {
    case APIC_FIXED:
        lapic_accept(a, (uint8_t)lvt, n == LVT_LINT0 && (lvt & LVT_LEVEL));
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
    lapic_update(a);
}

void lapic_report_error(struct lapic *a, uint32_t bit)
{
    bool first = !(a->esr_latched & bit);

    a->esr_latched |= bit;
    if (first) {
        lapic_lvt_fire(a, LVT_ERROR);
    }
}

void lapic_accept(struct lapic *a, uint8_t vector, bool level)
{
    if (vector < 16) {
        if (!(a->esr_latched &
              ESR_RECEIVE_ILLEGAL)) { /* the error's own vector may be illegal, too */
            lapic_report_error(a, ESR_RECEIVE_ILLEGAL);
        }
        return;
    }
    set_put(a->irr, vector, true);
    set_put(a->tmr, vector, level);
    lapic_update(a);
}

/* ---- acknowledge and EOI ---- */

static int ack_interrupt(void *opaque, struct x86_cpu *c)
{
    struct machine *m = opaque;
    struct lapic *a = c->apic;
    int v = a && lapic_enabled(a) ? deliverable(a) : -1;

    if (v >= 0) {
        set_put(a->irr, (unsigned)v, false);
        set_put(a->isr, (unsigned)v, true);
        lapic_update(a);
        return v;
    }
    if (a && extint_wanted(a)) {
        struct device *pic = device_find_type(m, &i8259_type);
        a->extint_message = false;
        lapic_update(a);
        return pic ? i8259_ack(pic) : -1;
    }
    if (a) {
        lapic_update(a);
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
    lapic_update(a);
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
            *v = lapic_x2apic(a) ? a->cpu->apic_id : a->id << 24;
            break;
        case R_VERSION:
            *v = VERSION;
            break;
        case R_TPR:
            *v = a->tpr;
            break;
        case R_PPR:
            *v = lapic_ppr(a);
            break;
        case R_LDR:
            *v = lapic_x2apic(a) ? lapic_x2apic_ldr(a) : a->ldr;
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
            *v = lapic_timer_count(a, clock_now(a->dev.machine->clock));
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
    lapic_update(a);
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
        lapic_timer_write_lvt(a, v);
    } else {
        a->lvt[n] = v;
    }
    lapic_update(a);
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
        lapic_update(a);
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
        lapic_send_ipi(a);
        return true;
    case R_ICR2:
        a->icr = (a->icr & 0xffffffff) | (uint64_t)(v & 0xff000000) << 32;
        return true;
    case R_INITIAL:
        lapic_timer_write_initial(a, v);
        return true;
    case R_DIVIDE:
        lapic_timer_write_divide(a, v);
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

    if (!a || !lapic_enabled(a) || lapic_x2apic(a) || (a->base ^ owner->base) >> 12) {
        return NULL;
    }
    return a;
}

static void illegal_register(struct lapic *a, uint64_t offset)
{
    log_at(a->dev.machine->log, LOG_GUEST_ERROR, "lapic %u: no register at offset 0x%x\n",
           a->cpu->apic_id, (unsigned)offset);
    lapic_report_error(a, ESR_ILLEGAL_REGISTER);
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
    bool from_x2 = lapic_x2apic(a), to_x2 = v & BASE_EXTD;

    if ((v & ~allowed) || (to_x2 && !(v & BASE_EN))) {
        return false;
    }
    if ((from_x2 && !to_x2 && (v & BASE_EN)) || (to_x2 && !from_x2 && !lapic_enabled(a))) {
        return false; /* SDM figure 11-27: x2APIC is left only to "off", and entered only from xAPIC
                       */
    }
    if (lapic_enabled(a) && !(v & BASE_EN)) {
        lapic_registers_reset(a);
    }
    uint64_t moved = (a->base ^ v) >> 12;
    a->base = (v & ~(uint64_t)BASE_BSP) | (a->base & BASE_BSP);
    a->cpu->apic_base = a->base;
    if (moved) {
        mapping_move(a->page, a->base & ~UINT64_C(0xfff));
    }
    lapic_update(a);
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
        lapic_send_ipi(a);
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
            lapic_report_error(a, ESR_SEND_ILLEGAL);
        } else {
            lapic_accept(a, (uint8_t)v, false);
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
        *value = lapic_timer_mode(a) == TIMER_DEADLINE ? a->deadline : 0;
        return true;
    }
    return lapic_x2apic(a) && msr - MSR_X2APIC < 0x40 && x2apic_read(a, msr - MSR_X2APIC, value);
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
        if (lapic_timer_mode(a) == TIMER_DEADLINE && lapic_enabled(a)) {
            a->deadline = value;
            lapic_timer_arm_deadline(a);
        }
        return true;
    }
    return lapic_x2apic(a) && msr - MSR_X2APIC < 0x40 && x2apic_write(a, msr - MSR_X2APIC, value);
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
        lapic_update(a);
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
void lapic_registers_reset(struct lapic *a)
{
    a->id = a->cpu->apic_id & 0xff;
    a->tpr = a->ldr = a->esr = a->esr_latched = a->divide = a->initial = a->count = 0;
    a->dfr = 0xffffffff;
    a->svr = 0xff;
    a->icr = 0;
    a->deadline = 0;
    a->extint_message = false;
    a->count_time = clock_now(a->dev.machine->clock);
    memset(a->isr, 0, sizeof(a->isr));
    memset(a->tmr, 0, sizeof(a->tmr));
    memset(a->irr, 0, sizeof(a->irr));
    for (unsigned n = 0; n < NLVT; n++) {
        a->lvt[n] = LVT_MASKED;
    }
    timer_cancel(&a->timer);
    lapic_update(a);
}

static void lapic_loaded(void *obj)
{
    struct lapic *a = obj;
    int64_t now = clock_now(a->dev.machine->clock);

    if (a->count_time < 0 || a->count_time > now) {
        a->count_time = now; /* a damaged snapshot */
    }
    a->base &= (a->cpu->phys_mask & ~UINT64_C(0xfff)) | BASE_BSP | BASE_EXTD | BASE_EN;
    a->cpu->apic_base = a->base;
    mapping_move(a->page, a->base & ~UINT64_C(0xfff));
    lapic_update(a);
}

static const struct state_table lapic_state = {1, lapic_fields, lapic_loaded};

static void lapic_reset(struct device *d)
{
    struct lapic *a = (struct lapic *)d;
    bool bsp = a->cpu->v.index == 0;
    bool present = !a->cpu->model || x86_model_has(a->cpu->model, X86F_APIC);

    a->base = APIC_DEFAULT_BASE | (present ? BASE_EN : 0) | (bsp ? BASE_BSP : 0);
    a->cpu->apic_base = a->base;
    mapping_move(a->page, APIC_DEFAULT_BASE);
    lapic_registers_reset(a);
    if (bsp) {
        /* Virtual wire mode from the start, for firmware that leaves the APIC alone. */
        a->lvt[LVT_LINT0] = APIC_EXTINT << 8;
    }
    lapic_update(a);
}

static bool lapic_realize(struct device *d, struct error *err)
{
    struct lapic *a = (struct lapic *)d;

    if (!a->cpu) {
        return error_set(err, "lapic: has no processor");
    }
    timer_init(&a->timer, d->machine->clock, lapic_timer_expired, a);
    a->page = memory_map_mmio(d->machine->memory, IN_BOTH, APIC_DEFAULT_BASE, 4096, "lapic",
                              &page_ops, a, MAP_PRIO_LAPIC);
    a->cpu->apic = a;
    return true;
}

const struct device_type lapic_type = {
    .name = "apic",
    .summary = "local APIC",
    .bus = BUS_SYSTEM,
    .size = sizeof(struct lapic),
    .state = &lapic_state,
    .realize = lapic_realize,
    .reset = lapic_reset,
};

struct device *lapic_create(struct machine *m, struct x86_cpu *c, struct error *err)
{
    struct lapic *a = (struct lapic *)device_create(m, &lapic_type, NULL);

    a->cpu = c;
    return device_realize(&a->dev, err) ? &a->dev : NULL;
}
