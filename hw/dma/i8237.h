/* The pair of 8237 DMA controllers, as the devices that use its channels see it. */
#ifndef HW_DMA_I8237_H
#define HW_DMA_I8237_H

#include "hw/device.h"

extern const struct device_type i8237_type;

/* Moves up to len bytes (even on channels 5..7) on a channel between buf and memory, in the
 * direction the guest programmed; to_memory must agree with it (verify moves nothing but counts).
 * Returns the bytes done: 0 while the channel is masked, disabled or programmed otherwise, less
 * than len at terminal count. *tc: terminal count was reached. */
uint32_t i8237_transfer(struct device *d, unsigned channel, void *buf, uint32_t len, bool to_memory,
                        bool *tc);
/* Called when the guest unmasks the channel or enables the controller: a waiting device tries
 * again. */
void i8237_set_ready(struct device *d, unsigned channel, void (*ready)(void *opaque), void *opaque);

#endif
