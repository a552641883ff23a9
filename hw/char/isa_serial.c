/* A 16550A on the ISA bus: COM1 to COM4, at ports 3f8, 2f8, 3e8, 2e8 with lines 4, 3, 4, 3. */
#include "hw/char/isa_port.h"
#include "hw/char/serial16550.h"

struct isa_serial {
    struct isa_port port; /* must be first */
    struct chardev *chardev;
    struct uart uart;
};

static const struct state_field isa_serial_fields[] = {
    STATE_UART(struct isa_serial, uart),
    STATE_END,
};

static void isa_serial_loaded(void *obj)
{
    uart_loaded(&((struct isa_serial *)obj)->uart);
}

static const struct state_table isa_serial_state = {1, isa_serial_fields, isa_serial_loaded};

static void set_irq(void *opaque, int level)
{
    struct isa_serial *s = opaque;

    irq_set(isa_irq(s->port.dev.machine, s->port.irq), level);
}

static void isa_serial_reset(struct device *d)
{
    uart_reset(&((struct isa_serial *)d)->uart);
}

static bool isa_serial_realize(struct device *dev, struct error *err)
{
    static const struct isa_port_kind com = {
        4, {0x3f8, 0x2f8, 0x3e8, 0x2e8}, {4, 3, 4, 3}, " (pci-serial makes more)"};
    struct isa_serial *s = (struct isa_serial *)dev;

    return isa_port_place(&s->port, &com, err) &&
           uart_init(&s->uart, dev->machine, s->chardev, set_irq, s, err) &&
           isa_claim_ports(dev, s->port.iobase, UART_REGS, &uart_ops, &s->uart, err);
}

static const struct property isa_serial_props[] = {
    ISA_PORT_PROPS("which COM port: 0 to 3 (default: the first that is free)"),
    PROP_CHARDEV(struct isa_serial, chardev, "where the characters go"),
    PROP_END,
};

const struct device_type serial16550_type = {
    .name = "isa-serial",
    .summary = "16550A UART",
    .bus = BUS_ISA,
    .size = sizeof(struct isa_serial),
    .props = isa_serial_props,
    .state = &isa_serial_state,
    .realize = isa_serial_realize,
    .reset = isa_serial_reset,
    .user_creatable = true,
    .category = "Input",
};
