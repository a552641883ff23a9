/* Small ports of the board. */
#ifndef HW_MISC_MISC_H
#define HW_MISC_MISC_H

#include "hw/device.h"

extern const struct device_type port92_type, debugcon_type, debug_exit_type, pvpanic_type;

uint16_t pvpanic_port(struct machine *m); /* 0: there is none */
void port92_set_a20(struct device *d, struct irq a20);

#endif
