/* Between blocks: what is pending from outside is taken in the order of priority of the SDM, Vol. 3
 * table 6-2 (RESET, INIT, SIPI, held debug traps, SMI, NMI, INTR), and halted processors are woken.
 */
#include "cpu/system.h"
#include "softmmu/debug.h"
#include "softmmu/tlb.h"

static unsigned requests(struct x86_cpu *c)
{
    return atomic_load(&c->v.irq_request);
}

static void start_by_sipi(struct x86_cpu *c)
{
    /* A second one, which Linux sends in any case, may be on its way. */
    uint8_t vector = atomic_load_explicit(&c->sipi_vector, memory_order_relaxed);

    if (!c->wait_sipi) {
        return; /* running processors ignore it */
    }
    c->wait_sipi = c->halted = false;
    x86_set_seg(c, SEG_CS, (uint16_t)(vector << 8), (uint64_t)vector << 12, 0xffff,
                SEGA_P | SEGA_S | SEGA_CODE | SEGA_RW | SEGA_A);
    c->v.reg[X86_RIP] = 0;
    x86_update_key(c);
}

/* An interrupt from the 8259s or the local APIC; its vector is known only when it is acknowledged.
 */
static bool take_intr(struct x86_cpu *c)
{
    const struct x86_platform *p = c->platform;
    int vector = -1;

    if (p && p->ack_interrupt) {
        machine_lock(c->v.machine);
        vector = p->ack_interrupt(p->opaque, c);
        machine_unlock(c->v.machine);
    }
    if (vector < 0) {
        return false;
    }
    c->halted = false;
    x86_interrupt(c, (uint8_t)vector);
    return true;
}

/* Takes at most one of the maskable kinds. */
static void take_event(struct x86_cpu *c)
{
    unsigned r = requests(c);

    if (c->shadow == 2) {
        return;
    }
    if (c->pending_dr6) {
        uint64_t dr6 = c->pending_dr6;
        c->pending_dr6 = 0;
        x86_raise_db(c, dr6);
    }
    if (c->v.debug_step == VCPU_STEP_MASKED) {
        return;
    }
    if ((r & X86_REQ_SMI) && !c->in_smm && !c->smi_blocked) {
        vcpu_clear_request(&c->v, X86_REQ_SMI);
        x86_enter_smm(c);
        return;
    }
    if ((r & X86_REQ_NMI) && !c->nmi_blocked) {
        vcpu_clear_request(&c->v, X86_REQ_NMI);
        c->nmi_blocked = true;
        c->halted = false;
        x86_interrupt(c, EXC_NMI);
        return;
    }
    if ((r & X86_REQ_INTR) && (c->eflags & FL_IF) && !c->shadow) {
        take_intr(c);
    }
}

bool x86_poll(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);
    unsigned r = requests(c);
    uint64_t pc = v->reg[X86_RIP];

    if (r & X86_REQ_FLUSH) {
        vcpu_clear_request(v, X86_REQ_FLUSH);
        tlb_flush_all(v);
    }
    if ((r & X86_REQ_STOP) || debug_poll(v, c->halted)) {
        goto leave;
    }
    if (r & X86_REQ_RESET) {
        x86_reset(c, false);
    } else if ((r & X86_REQ_INIT) && !c->in_smm) {
        x86_reset(c, true);
    }
    r = requests(c);
    if (r & X86_REQ_SIPI) {
        vcpu_clear_request(v, X86_REQ_SIPI);
        start_by_sipi(c);
    }
    if (!c->wait_sipi && !c->shutdown) {
        take_event(c);
    }
    x86_run_late_timers(c); /* one may have waited for what was just taken */
    if (v->debug_step && v->reg[X86_RIP] != pc && debug_poll(v, c->halted)) {
        goto leave; /* an interrupt was this step */
    }
    if (!c->halted) {
        if (c->mwait) {
            x86_mwait_over(c);
        }
        if (requests(c) && x86_can_take(c)) {
            atomic_store(&v->exit_request, 1); /* more of them: before the first instruction */
        }
        return false;
    }
leave:
    /* Whoever runs this processor again asks here first. */
    atomic_store(&v->exit_request, 1);
    return true;
}

bool x86_has_work(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);

    return !c->halted || x86_can_take(c) || x86_mwait_over(c);
}
