/* virtio-serial: the controller, and what its ports (virtconsole, virtserialport) tell it. */
#ifndef HW_VIRTIO_VIRTIO_SERIAL_H
#define HW_VIRTIO_VIRTIO_SERIAL_H

#include "host/chardev.h"
#include "hw/device.h"

struct serial_port {
    struct device dev;       /* must be first */
    struct chardev *chardev; /* properties */
    char *name, *bus;
    uint32_t nr;

    struct virtio_serial *controller;
    bool console, host_open;
    bool guest_open; /* the guest has it open */
    bool ready;      /* the guest's driver knows it */
};

/* Takes a number for the port (nr, or the first that is free). */
bool virtio_serial_attach(struct serial_port *p, struct error *err);
size_t virtio_serial_room(struct serial_port *p); /* bytes that the guest would take now */
void virtio_serial_send(struct serial_port *p, const uint8_t *buf, size_t len);
void virtio_serial_host_open(struct serial_port *p, bool open);

#endif
