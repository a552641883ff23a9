/* A 16550A on the PCI bus: 1b36:0002, class 070002 (16550 compatible), its eight registers in BAR 0
 * (I/O ports), INTA. The registers of the 16550A are those of isa-serial. */
#include "hw/char/serial16550.h"
#include "hw/pci/pci.h"

struct pci_serial {
    struct pci_device pci; /* must be first */
    char *addr, *bus;
    struct chardev *chardev;
    struct uart uart;
};

static const struct state_field pci_serial_fields[] = {
    STATE_PCI(struct pci_serial, pci),
    STATE_UART(struct pci_serial, uart),
    STATE_END,
};

static void pci_serial_loaded(void *obj)
{
    struct pci_serial *s = obj;

    pci_device_loaded(&s->pci);
    uart_loaded(&s->uart);
}

static const struct state_table pci_serial_state = {1, pci_serial_fields, pci_serial_loaded};

static void set_irq(void *opaque, int level)
{
    pci_set_intx(&((struct pci_serial *)opaque)->pci, level);
}

static void pci_serial_reset(struct device *d)
{
    uart_reset(&((struct pci_serial *)d)->uart);
    pci_device_reset((struct pci_device *)d);
}

static bool pci_serial_realize(struct device *d, struct error *err)
{
    struct pci_serial *s = (struct pci_serial *)d;
    int devfn;

    if (!pci_parse_address(s->bus, s->addr, &devfn, err) || !pci_register(&s->pci, devfn, err) ||
        !uart_init(&s->uart, d->machine, s->chardev, set_irq, s, err)) {
        return false;
    }
    pci_set_bar_mmio(&s->pci, 0, UART_REGS, true, &uart_ops, &s->uart);
    return true;
}

static const struct property pci_serial_props[] = {
    PROP_CHARDEV(struct pci_serial, chardev, "where the characters go"),
    PROP_STRING(struct pci_serial, addr, "PCI slot, or slot.function, in hex"),
    PROP_STRING(struct pci_serial, bus, "PCI bus: pci.0 is the only one"),
    PROP_END,
};

static const struct pci_info pci_serial_info = {
    .vendor = 0x1b36,
    .device = 0x0002,
    .revision = 1,
    .subsystem_vendor = 0x1af4,
    .subsystem = 0x1100,
    .class = 7,
    .prog_if = 2,
    .interrupt_pin = 1,
};

const struct device_type pci_serial_type = {
    .name = "pci-serial",
    .summary = "16550A UART on PCI",
    .bus = BUS_PCI,
    .size = sizeof(struct pci_serial),
    .props = pci_serial_props,
    .state = &pci_serial_state,
    .realize = pci_serial_realize,
    .reset = pci_serial_reset,
    .user_creatable = true,
    .bus_info = &pci_serial_info,
};
