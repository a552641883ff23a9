/* PIT, RTC and HPET, as boards see them. */
#ifndef HW_TIMER_TIMERS_H
#define HW_TIMER_TIMERS_H

#include "hw/device.h"

extern const struct device_type i8254_type, mc146818_type, hpet_type;

/* CMOS bytes that the board prepares (memory sizes, boot order, ...). */
void mc146818_set_cmos(struct device *d, uint8_t index, uint8_t value);
uint8_t mc146818_get_cmos(struct device *d, uint8_t index);
bool mc146818_nmi_masked(struct device *d); /* bit 7 of port 70h */

#endif
