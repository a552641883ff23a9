/* The memory balloon, as the monitor uses it. */
#ifndef HW_VIRTIO_VIRTIO_BALLOON_H
#define HW_VIRTIO_VIRTIO_BALLOON_H

#include "hw/device.h"

/* Asks the guest to make do with this many bytes; false: there is no balloon. */
bool balloon_set(struct machine *m, uint64_t bytes, struct error *err);
/* Text of the memory that the guest has, and of its statistics; to be freed. NULL: no balloon. */
char *balloon_describe(struct machine *m);

#endif
