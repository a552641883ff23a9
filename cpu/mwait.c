/* MONITOR and MWAIT: waiting for a store to a line of memory. Intel SDM Vol. 2.
 *
 * The line's contents are kept by MONITOR; MWAIT halts the processor, and its thread looks every
 * now and then whether they have changed, beside waking for interrupts as from HLT. A store that
 * does not change the line goes unseen, which a guest that uses MWAIT correctly (it tests a
 * condition) cannot tell. Lines that are not in RAM never keep MWAIT waiting. */
#include "cpu/x86.h"
#include "softmmu/tlb.h"

enum {
    LINE_WORDS = 8,
    SOON = 20000,     /* ns between looks at first: most waits are short */
    SELDOM = 1000000, /* ns at last */
};

static bool line_changed(const struct x86_cpu *c)
{
    for (unsigned i = 0; i < LINE_WORDS; i++) {
        if (__atomic_load_n(&c->monitor[i], __ATOMIC_ACQUIRE) != c->monitored[i]) {
            return true;
        }
    }
    return false;
}

void x86_monitor(struct x86_cpu *c, uint64_t linear, unsigned ctx)
{
    const void *line = softmmu_probe(&c->v, linear & ~UINT64_C(63), ACCESS_READ, ctx);

    c->monitor = line;
    for (unsigned i = 0; c->monitor && i < LINE_WORDS; i++) {
        c->monitored[i] = __atomic_load_n(&c->monitor[i], __ATOMIC_ACQUIRE);
    }
}

void x86_mwait(struct x86_cpu *c, bool masked_too)
{
    if (!c->monitor || line_changed(c)) {
        c->monitor = NULL;
        return;
    }
    c->halted = c->mwait = true;
    c->mwait_masked = masked_too;
    c->v.wait_ns = SOON;
    atomic_store(&c->v.exit_request, 1);
}

bool x86_mwait_over(struct x86_cpu *c)
{
    if (!c->mwait) {
        return false;
    }
    if (!c->halted || !c->monitor || line_changed(c) ||
        (c->mwait_masked && (atomic_load(&c->v.irq_request) & X86_REQ_INTR))) {
        c->mwait = c->halted = false;
        c->monitor = NULL;
        c->v.wait_ns = 0;
        return true;
    }
    c->v.wait_ns = c->v.wait_ns * 2 < SELDOM ? c->v.wait_ns * 2 : SELDOM;
    return false;
}
