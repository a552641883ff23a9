/* isa-debugcon: a port whose bytes go to a character back end, for firmware and kernels that want
 * to say something early. SeaBIOS and OVMF use port 402, Bochs E9. Reading gives E9, by which they
 * know that it is there. No data sheet; no state. */
#include "host/chardev.h"
#include "hw/isa/isa.h"
#include "hw/misc/misc.h"

struct debugcon {
    struct device dev; /* must be first */
    uint16_t iobase;
    uint8_t readback;
    struct chardev *chardev;
};

static const struct property debugcon_props[] = {
    PROP_U16(struct debugcon, iobase, 0xe9, "I/O port"),
    PROP_U8(struct debugcon, readback, 0xe9, "what reads of the port give"),
    PROP_CHARDEV(struct debugcon, chardev, "where the characters go"),
    PROP_END,
};

static uint64_t debugcon_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)offset;
    (void)size;
    return ((struct debugcon *)opaque)->readback;
}

static void debugcon_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct debugcon *s = opaque;
    uint8_t byte = (uint8_t)value;

    (void)offset;
    (void)size;
    chardev_write(s->chardev, &byte, 1);
}

static const struct mmio_ops debugcon_ops = {debugcon_read, debugcon_write, 1, 1};

/* There is no way in: what comes from the other side is dropped. */
static size_t debugcon_can_receive(void *opaque)
{
    (void)opaque;
    return 4096;
}

static void debugcon_receive(void *opaque, const uint8_t *buf, size_t len)
{
    (void)opaque;
    (void)buf;
    (void)len;
}

static bool debugcon_realize(struct device *d, struct error *err)
{
    struct debugcon *s = (struct debugcon *)d;
    struct chardev_frontend fe = {s, debugcon_can_receive, debugcon_receive, NULL};

    if (!s->chardev) {
        return error_set(err, "isa-debugcon: needs chardev=");
    }
    return chardev_connect(s->chardev, &fe, err) &&
           isa_claim_ports(d, s->iobase, 1, &debugcon_ops, s, err);
}

const struct device_type debugcon_type = {
    .name = "isa-debugcon",
    .summary = "debug console port",
    .bus = BUS_ISA,
    .size = sizeof(struct debugcon),
    .props = debugcon_props,
    .realize = debugcon_realize,
    .user_creatable = true,
};
