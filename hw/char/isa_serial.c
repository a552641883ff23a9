/* A 16550A on the ISA bus: COM1 to COM4, at ports 3f8, 2f8, 3e8, 2e8 with lines 4, 3, 4, 3. */
#include "hw/char/serial16550.h"
#include "hw/isa/isa.h"

enum { PORTS = 4, INDEX_AUTO = 0xffffffff };

struct isa_serial {
    struct device dev; /* must be first */
    uint16_t iobase;
    uint8_t irq;
    uint32_t index;
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

    irq_set(isa_irq(s->dev.machine, s->irq), level);
}

static void isa_serial_reset(struct device *d)
{
    uart_reset(&((struct isa_serial *)d)->uart);
}

static void mark_taken(struct device *d, void *opaque)
{
    if (d->type->realize == ((struct isa_serial *)opaque)->dev.type->realize && d->realized) {
        ((struct isa_serial *)opaque)->index |= 1u << ((struct isa_serial *)d)->index;
    }
}

/* The first port that is free; PORTS: none. */
static uint32_t free_index(struct isa_serial *s)
{
    struct isa_serial probe = {.dev = s->dev};
    uint32_t n = 0;

    device_foreach(s->dev.machine, mark_taken, &probe);
    while (n < PORTS && (probe.index >> n & 1)) {
        n++;
    }
    return n;
}

static bool isa_serial_realize(struct device *dev, struct error *err)
{
    static const uint16_t bases[PORTS] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
    static const uint8_t irqs[PORTS] = {4, 3, 4, 3};
    struct isa_serial *s = (struct isa_serial *)dev;

    if (s->index == INDEX_AUTO) {
        s->index = free_index(s);
        if (s->index == PORTS) {
            return error_set(err,
                             "isa-serial: there are four ports at most (pci-serial makes more)");
        }
    }
    if (s->index >= PORTS) {
        return error_set(err, "isa-serial: index %u is not 0 to 3", s->index);
    }
    if (!s->iobase) {
        s->iobase = bases[s->index];
    }
    if (!s->irq) {
        s->irq = irqs[s->index];
    }
    if (s->irq > 15) {
        return error_set(err, "isa-serial: irq %u is not 0 to 15", s->irq);
    }
    return uart_init(&s->uart, dev->machine, s->chardev, set_irq, s, err) &&
           isa_claim_ports(dev, s->iobase, UART_REGS, &uart_ops, &s->uart, err);
}

static const struct property isa_serial_props[] = {
    {"index", PT_U32, offsetof(struct isa_serial, index), INDEX_AUTO,
     "which COM port: 0 to 3 (default: the first that is free)"},
    PROP_U16(struct isa_serial, iobase, 0, "first I/O port; 0: by index"),
    PROP_U8(struct isa_serial, irq, 0, "interrupt line; 0: by index"),
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
