/* isa-debug-exit: lets the guest end the emulator, as kernel test suites do.
 * A write of V to the port ends the process with status (V << 1) | 1. No data sheet; no state. */
#include "hw/isa/isa.h"
#include "hw/misc/misc.h"

struct debug_exit {
    struct device dev; /* must be first */
    uint16_t iobase;
    uint8_t iosize;
};

static const struct property debug_exit_props[] = {
    PROP_U16(struct debug_exit, iobase, 0x501, "first I/O port"),
    PROP_U8(struct debug_exit, iosize, 2, "ports taken: 1, 2 or 4"),
    PROP_END,
};

static uint64_t debug_exit_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque;
    (void)offset;
    (void)size;
    return 0;
}

static void debug_exit_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct debug_exit *d = opaque;

    (void)offset;
    (void)size;
    machine_exit(d->dev.machine, (int)((value << 1 | 1) & 0xff)); /* what a process can return */
}

static const struct mmio_ops debug_exit_ops = {debug_exit_read, debug_exit_write, 1, 4};

static bool debug_exit_realize(struct device *dev, struct error *err)
{
    struct debug_exit *d = (struct debug_exit *)dev;

    if (d->iosize != 1 && d->iosize != 2 && d->iosize != 4) {
        return error_set(err, "isa-debug-exit: iosize %u is not 1, 2 or 4", d->iosize);
    }
    return isa_claim_ports(dev, d->iobase, d->iosize, &debug_exit_ops, d, err);
}

const struct device_type debug_exit_type = {
    .name = "isa-debug-exit",
    .summary = "end the emulator from inside the guest",
    .bus = BUS_ISA,
    .size = sizeof(struct debug_exit),
    .props = debug_exit_props,
    .realize = debug_exit_realize,
    .user_creatable = true,
};
