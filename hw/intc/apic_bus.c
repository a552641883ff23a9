/* Interrupt messages: who is addressed, and what it does with them. Sources are the I/O APIC,
 * devices (MSI), the 8259 and the local APICs themselves (IPIs). Intel SDM volume 3, sections 11.6
 * and 11.11. */
#include "hw/intc/lapic_internal.h"

uint32_t lapic_x2apic_ldr(const struct lapic *a)
{
    return a->cpu->apic_id >> 4 << 16 | UINT32_C(1) << (a->cpu->apic_id & 15);
}

static bool addressed(const struct lapic *a, const struct apic_message *msg)
{
    if (msg->dest == APIC_BROADCAST) {
        return true;
    }
    if (!msg->logical) {
        return msg->dest == (lapic_x2apic(a) ? a->cpu->apic_id : a->id);
    }
    if (lapic_x2apic(a)) {
        uint32_t me = lapic_x2apic_ldr(a);
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

static void deliver(struct lapic *a, const struct apic_message *msg)
{
    switch (msg->mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        if (a->svr & SVR_ENABLE) {
            lapic_accept(a, msg->vector, msg->level);
        }
        break;
    case APIC_SMI:
        vcpu_request(&a->cpu->v, X86_REQ_SMI);
        break;
    case APIC_NMI:
        vcpu_request(&a->cpu->v, X86_REQ_NMI);
        break;
    case APIC_INIT:
        lapic_registers_reset(a);
        vcpu_request(&a->cpu->v, X86_REQ_INIT);
        break;
    case APIC_SIPI:
        atomic_store_explicit(&a->cpu->sipi_vector, msg->vector, memory_order_relaxed);
        vcpu_request(&a->cpu->v, X86_REQ_SIPI);
        break;
    case APIC_EXTINT:
        a->extint_message = true;
        lapic_update(a);
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
        if (!a || a == skip || !lapic_enabled(a) || !addressed(a, msg)) {
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
    log_trace(m->log, apic_message, "to %x mode %u vector %02x", msg->dest, msg->mode, msg->vector);
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

void lapic_send_ipi(struct lapic *a)
{
    uint32_t low = (uint32_t)a->icr;
    struct apic_message msg = {
        .dest = lapic_x2apic(a) ? (uint32_t)(a->icr >> 32) : (uint32_t)(a->icr >> 56),
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
        lapic_report_error(a, ESR_SEND_ILLEGAL);
        return;
    }
    if (msg.mode == APIC_MODE3 || msg.mode == APIC_EXTINT) {
        log_at(a->dev.machine->log, LOG_GUEST_ERROR, "lapic %u: IPI with reserved mode %u\n",
               a->cpu->apic_id, msg.mode);
        return;
    }
    if (!lapic_x2apic(a) && msg.dest == 0xff) {
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
            lapic_lvt_fire(a, LVT_LINT0); /* LINT0 may be programmed for another mode than ExtINT */
        }
        lapic_update(a);
    }
}

void lapic_pulse_lint1(struct machine *m)
{
    for (unsigned i = 0; i < m->nvcpus; i++) {
        if (lapic_of(m, i)) {
            lapic_lvt_fire(lapic_of(m, i), LVT_LINT1);
        }
    }
}
