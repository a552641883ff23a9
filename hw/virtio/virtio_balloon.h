/* The memory balloon, as the monitor uses it. */
#ifndef HW_VIRTIO_VIRTIO_BALLOON_H
#define HW_VIRTIO_VIRTIO_BALLOON_H

#include "hw/device.h"

/* Asks the guest to make do with this many bytes; false: there is no balloon. */
bool balloon_set(struct machine *m, uint64_t bytes, struct error *err);
/* Text of the memory that the guest has, and of its statistics; to be freed. NULL: no balloon. */
char *balloon_describe(struct machine *m);

/* False: there is no balloon. */
bool balloon_actual(struct machine *m, uint64_t *bytes);
/* Statistic i of a balloon, UINT64_MAX: not told; false: there is none, or d is no balloon. */
bool balloon_stat(struct device *d, unsigned i, const char **name, uint64_t *value,
                  int64_t *last_update);
bool balloon_set_polling(struct device *d, uint32_t seconds);

#endif
