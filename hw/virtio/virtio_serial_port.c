/* Ports of a virtio-serial-pci: virtconsole (/dev/hvcN in a Linux guest) and virtserialport
 * (/dev/vportNpM, and /dev/virtio-ports/NAME where udev makes it), each on a -chardev. */
#include "hw/virtio/virtio_serial.h"

static const struct property port_props[] = {
    PROP_CHARDEV(struct serial_port, chardev, "the -chardev at the other end"),
    PROP_STRING(struct serial_port, name, "name that the guest sees"),
    PROP_STRING(struct serial_port, bus,
                "id of the virtio-serial-pci, or ID.0 (default: the first)"),
    PROP_U32(struct serial_port, nr, UINT32_MAX, "number (default: the first that is free)"),
    PROP_END,
};

static const struct state_field port_fields[] = {
    STATE_BOOL(struct serial_port, guest_open),
    STATE_BOOL(struct serial_port, ready),
    STATE_END,
};
static const struct state_table port_state = {1, port_fields, NULL};

static size_t can_receive(void *opaque)
{
    return virtio_serial_room(opaque);
}

static void receive(void *opaque, const uint8_t *buf, size_t len)
{
    virtio_serial_send(opaque, buf, len);
}

static void event(void *opaque, enum chardev_event ev)
{
    if (ev == CHARDEV_OPENED || ev == CHARDEV_CLOSED) {
        virtio_serial_host_open(opaque, ev == CHARDEV_OPENED);
    }
}

static bool port_realize(struct device *d, struct error *err)
{
    struct serial_port *p = (struct serial_port *)d;
    const struct chardev_frontend fe = {p, can_receive, receive, event};

    if (!virtio_serial_attach(p, err)) {
        return false;
    }
    p->host_open = false; /* the chardev says when somebody is there */
    return !p->chardev || chardev_connect(p->chardev, &fe, err);
}

static bool console_realize(struct device *d, struct error *err)
{
    ((struct serial_port *)d)->console = true;
    return port_realize(d, err);
}

static void port_destroy(struct device *d)
{
    struct serial_port *p = (struct serial_port *)d;

    if (p->chardev) {
        chardev_disconnect(p->chardev, p);
    }
}

const struct device_type virtserialport_type = {
    .name = "virtserialport",
    .summary = "port of a virtio-serial-pci",
    .bus = BUS_NONE,
    .size = sizeof(struct serial_port),
    .props = port_props,
    .state = &port_state,
    .realize = port_realize,
    .destroy = port_destroy,
    .user_creatable = true,
    .category = "Input",
};

const struct device_type virtconsole_type = {
    .name = "virtconsole",
    .summary = "console port of a virtio-serial-pci",
    .bus = BUS_NONE,
    .size = sizeof(struct serial_port),
    .props = port_props,
    .state = &port_state,
    .realize = console_realize,
    .destroy = port_destroy,
    .user_creatable = true,
    .category = "Input",
};
