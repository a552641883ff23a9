/* What monitors ask a virtio network card. */
#ifndef HW_VIRTIO_VIRTIO_NET_H
#define HW_VIRTIO_VIRTIO_NET_H

#include "hw/device.h"

extern const struct device_type virtio_net_type;

struct virtio_net_filter {
    bool promiscuous, all_multicast, no_multicast, all_unicast, no_unicast, no_broadcast;
    bool unicast_overflow, multicast_overflow;
    const uint8_t *mac, *table; /* six bytes each; unicast first */
    unsigned nunicast, nmulticast;
};
bool virtio_net_filter(struct device *d,
                       struct virtio_net_filter *f); /* false: d is another device */

#endif
