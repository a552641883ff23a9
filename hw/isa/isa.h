/* The ISA bus: I/O ports, 16 interrupt lines, DMA channels. Its lines are given by the board. */
#ifndef HW_ISA_ISA_H
#define HW_ISA_ISA_H

#include "hw/device.h"

/* The lines a board offers to ISA devices; reached through isa_bus(machine). */
struct isa_bus {
    struct irq irqs[16]; /* to the 8259 pair and the I/O APIC (hw/intc/gsi.c) */
    struct irq
        pci_irqs[16];   /* second input of each line, for routed PCI interrupts; the two are ORed */
    struct device *dma; /* the 8237 pair (hw/dma/i8237.h) */
};
struct isa_bus *isa_bus(struct machine *m); /* made at the first call */

/* Claims ports for d; false with the other owner's name when they are taken. */
bool isa_claim_ports(struct device *d, uint16_t base, unsigned count, const struct mmio_ops *ops,
                     void *opaque, struct error *err);
const struct irq *isa_irq(struct machine *m, unsigned n); /* n < 16 */

#endif
