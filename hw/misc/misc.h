/* Small ports of the board. */
#ifndef HW_MISC_MISC_H
#define HW_MISC_MISC_H

#include "hw/device.h"

extern const struct device_type port92_type, debugcon_type, debug_exit_type;

void port92_set_a20(struct device *d, struct irq a20);

#endif
