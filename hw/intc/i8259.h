/* The pair of 8259 interrupt controllers, as its neighbours see it. */
#ifndef HW_INTC_I8259_H
#define HW_INTC_I8259_H

#include "hw/device.h"

extern const struct device_type i8259_type;

void i8259_set_irq(void *opaque, int n, int level);         /* opaque: the device; n 0..15 */
void i8259_set_output(struct device *d, struct irq output); /* INTR of the master */
bool i8259_pending(struct device *d);                       /* INTR is asserted */
int i8259_ack(struct device *d);                            /* INTA cycles: the vector */

#endif
