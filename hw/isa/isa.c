/* The ISA bus: who owns which ports, and the interrupt lines that the board has wired. */
#include "hw/isa/isa.h"

#include <stdlib.h>

struct claim {
    struct claim *next;
    struct device *owner;
    uint32_t base, count;
};

struct isa {
    struct isa_bus bus; /* must be first */
    struct claim *claims;
};

static void isa_destroy(void *opaque)
{
    struct isa *isa = opaque;

    while (isa->claims) {
        struct claim *c = isa->claims;
        isa->claims = c->next;
        free(c);
    }
    free(isa);
}

struct isa_bus *isa_bus(struct machine *m)
{
    struct isa *isa = device_slot(m, SLOT_ISA);

    if (!isa) {
        isa = calloc(1, sizeof(*isa));
        if (!isa) {
            abort();
        }
        device_slot_set(m, SLOT_ISA, isa, isa_destroy);
    }
    return &isa->bus;
}

bool isa_claim_ports(struct device *d, uint16_t base, unsigned count, const struct mmio_ops *ops,
                     void *opaque, struct error *err)
{
    struct isa *isa = (struct isa *)isa_bus(d->machine);

    if (count == 0 || base + count > 0x10000) {
        return error_set(err, "%s: ports 0x%x to 0x%x do not exist", d->type->name, base,
                         base + count - 1);
    }
    for (struct claim *c = isa->claims; c; c = c->next) {
        if (base < c->base + c->count && c->base < base + count) {
            return error_set(err, "%s: port 0x%x is taken by %s", d->type->name,
                             base > c->base ? base : c->base, c->owner->type->name);
        }
    }
    struct claim *c = malloc(sizeof(*c));
    if (!c) {
        abort();
    }
    *c = (struct claim){isa->claims, d, base, count};
    isa->claims = c;
    ioport_map(d->machine->memory, base, count, d->type->name, ops, opaque);
    return true;
}

const struct irq *isa_irq(struct machine *m, unsigned n)
{
    return &isa_bus(m)->irqs[n & 15];
}
