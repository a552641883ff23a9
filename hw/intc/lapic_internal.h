/* The local APIC's inside, shared by lapic.c (registers), lapic_timer.c and apic_bus.c (messages).
 */
#ifndef HW_INTC_LAPIC_INTERNAL_H
#define HW_INTC_LAPIC_INTERNAL_H

#include "cpu/x86.h"
#include "hw/intc/apic.h"

/* Register numbers: offset >> 4, MSR - 0x800. */
enum {
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
    R_SELF_IPI = 0x3f
};
enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, NLVT };
enum { LVT_MASKED = 0x10000, LVT_LEVEL = 0x8000, LVT_REMOTE_IRR = 0x4000 };
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };
enum { SVR_ENABLE = 0x100 };
enum { ESR_SEND_ILLEGAL = 0x20, ESR_RECEIVE_ILLEGAL = 0x40, ESR_ILLEGAL_REGISTER = 0x80 };
enum { BASE_BSP = 1 << 8, BASE_EXTD = 1 << 10, BASE_EN = 1 << 11 };
enum { MSR_APIC_BASE = 0x1b, MSR_TSC_DEADLINE = 0x6e0, MSR_X2APIC = 0x800 };
enum { VERSION = 0x14 | (NLVT - 1) << 16 };
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
    uint64_t deadline;   /* IA32_TSC_DEADLINE; 0: not armed */
    bool extint;         /* level of the 8259 at LINT0 */
    bool extint_message; /* an I/O APIC pin in ExtINT mode has fired */
    struct timer timer;
};

static inline bool lapic_enabled(const struct lapic *a)
{
    return a->base & BASE_EN;
}

static inline bool lapic_x2apic(const struct lapic *a)
{
    return a->base & BASE_EXTD;
}

/* lapic.c */
void lapic_update(struct lapic *a); /* tells the processor whether an interrupt waits */
void lapic_lvt_fire(struct lapic *a, unsigned n);
void lapic_accept(struct lapic *a, uint8_t vector, bool level); /* into the IRR */
void lapic_report_error(struct lapic *a, uint32_t bit);
void lapic_registers_reset(struct lapic *a);

/* lapic_timer.c */
unsigned lapic_timer_mode(const struct lapic *a);
uint32_t lapic_timer_count(const struct lapic *a, int64_t now);
void lapic_timer_expired(void *opaque);
void lapic_timer_write_initial(struct lapic *a, uint32_t v);
void lapic_timer_write_divide(struct lapic *a, uint32_t v);
void lapic_timer_write_lvt(struct lapic *a, uint32_t v);
void lapic_timer_arm_deadline(struct lapic *a);

/* apic_bus.c */
uint32_t lapic_x2apic_ldr(const struct lapic *a);
void lapic_send_ipi(struct lapic *a); /* what the ICR says */

#endif
