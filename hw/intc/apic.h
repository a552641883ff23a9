/* The interrupt message bus between I/O APIC, MSI sources and the local APICs. */
#ifndef HW_INTC_APIC_H
#define HW_INTC_APIC_H

#include "hw/device.h"

struct x86_cpu;
struct x86_platform;

/* Delivery modes, as encoded. */
enum apic_mode {
    APIC_FIXED,
    APIC_LOWEST,
    APIC_SMI,
    APIC_MODE3,
    APIC_NMI,
    APIC_INIT,
    APIC_SIPI,
    APIC_EXTINT
};
enum { APIC_BROADCAST = 0xffffffffu };

struct apic_message {
    uint32_t dest; /* 8-bit broadcast (0xff) already widened to APIC_BROADCAST */
    uint8_t vector;
    uint8_t mode; /* enum apic_mode */
    bool logical;
    bool level; /* trigger mode */
};

extern const struct device_type lapic_type, ioapic_type;

/* Makes the local APIC of c and hangs it at c->apic. Once for each cpu, in index order, after
 * x86_cpu_create. */
struct device *lapic_create(struct machine *m, struct x86_cpu *c, struct error *err);
/* Fills ack_interrupt and the apic_* callbacks, and opaque (the machine). */
void lapic_fill_platform(struct machine *m, struct x86_platform *platform);
/* The 8259's INTR as seen by LINT0 of all local APICs: use as struct irq with opaque = machine. */
void lapic_set_extint(void *opaque, int n, int level);
/* NMI button and `nmi` of the monitor: LINT1 of every local APIC, pulsed. */
void lapic_pulse_lint1(struct machine *m);

/* Sends; returns false when no local APIC accepted it. */
bool apic_send(struct machine *m, const struct apic_message *msg);
/* A write of data to 0xfee00000..0xfeefffff by a device: a message signalled interrupt. */
void apic_send_msi(struct machine *m, uint64_t addr, uint32_t data);
/* From a local APIC: end of a level-triggered interrupt. */
void ioapic_eoi(struct machine *m, uint8_t vector);

void ioapic_set_irq(void *opaque, int n, int level); /* opaque: the device; n 0..23 */

#endif
