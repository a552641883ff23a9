/* The keyboard controller with its keyboard and mouse. */
#ifndef HW_INPUT_I8042_H
#define HW_INPUT_I8042_H

#include "hw/device.h"

extern const struct device_type i8042_type;

void i8042_set_a20(struct device *d, struct irq a20); /* output port bit 1 */

/* A key: its make code of scan code set 1, extended ones as 0xe0xx, Pause as 0xe11d. */
void i8042_key(struct device *d, uint16_t code, bool down);
/* Relative movement (y grows downwards), wheel steps (positive: towards the user) and buttons held:
 * 1 left, 2 right, 4 middle, 8 and 16 the side ones. */
void i8042_mouse(struct device *d, int dx, int dy, int dz, unsigned buttons);
bool i8042_mouse_enabled(struct device *d); /* the guest listens */

#endif
