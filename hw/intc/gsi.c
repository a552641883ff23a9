/* Interrupt lines of the PC: each of the 16 ISA lines goes to the 8259 pair and to the I/O APIC, as
 * the MADT and the MP table describe it: line 0 to pin 2, line n to pin n. PCI interrupts, routed
 * by the ISA bridge, come in on a second input of the same line; the two are ORed. */
#include "hw/intc/gsi.h"

#include "hw/intc/apic.h"
#include "hw/intc/i8259.h"
#include "hw/isa/isa.h"

struct gsi {
    struct device dev; /* must be first */
    struct device *pic, *ioapic;
    uint16_t isa, pci; /* input levels; every source drives its line again after a load */
};

static void set_input(struct gsi *g, uint16_t *input, int n, int level)
{
    uint16_t bit = (uint16_t)(1u << n);

    *input = (uint16_t)(level ? *input | bit : *input & ~bit);
    level = ((g->isa | g->pci) & bit) != 0;
    i8259_set_irq(g->pic, n, level);
    if (g->ioapic) {
        ioapic_set_irq(g->ioapic, n == 0 ? 2 : n, level);
    }
}

static void set_isa(void *opaque, int n, int level)
{
    struct gsi *g = opaque;

    set_input(g, &g->isa, n, level);
}

static void set_pci(void *opaque, int n, int level)
{
    struct gsi *g = opaque;

    set_input(g, &g->pci, n, level);
}

static void set_intr(void *opaque, int n, int level)
{
    struct gsi *g = opaque;

    (void)n;
    lapic_set_extint(g->dev.machine, 0, level);
    if (g->ioapic) {
        ioapic_set_irq(g->ioapic, 0, level);
    }
}

static const struct device_type gsi_type = {
    .name = "gsi",
    .summary = "interrupt lines",
    .bus = BUS_SYSTEM,
    .size = sizeof(struct gsi),
};

void gsi_wire(struct machine *m, struct device *pic, struct device *ioapic)
{
    struct isa_bus *isa = isa_bus(m);
    struct gsi *g = (struct gsi *)device_create(m, &gsi_type, NULL);

    g->pic = pic;
    g->ioapic = ioapic;
    for (int n = 0; n < 16; n++) {
        isa->irqs[n] = (struct irq){set_isa, g, n};
        isa->pci_irqs[n] = (struct irq){set_pci, g, n};
    }
    i8259_set_output(pic, (struct irq){set_intr, g, 0});
}
