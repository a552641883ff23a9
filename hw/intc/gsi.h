/* The fan-out of interrupt lines to the 8259 pair and the I/O APIC. */
#ifndef HW_INTC_GSI_H
#define HW_INTC_GSI_H

#include "hw/device.h"

/* Fills the lines of isa_bus(m): line n goes to the 8259's n and the I/O APIC's n (0: pin 2);
 * connects the 8259's output to the local APICs' LINT0 and to pin 0. ioapic may be NULL. */
void gsi_wire(struct machine *m, struct device *pic, struct device *ioapic);

#endif
