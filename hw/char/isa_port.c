/* What COM and LPT ports have in common: their numbers. */
#include "hw/char/isa_port.h"

struct search {
    const struct isa_port *port;
    unsigned taken; /* bits by index */
};

static void mark_taken(struct device *d, void *opaque)
{
    struct search *s = opaque;

    if (d->type == s->port->dev.type && d->realized) {
        s->taken |= 1u << ((struct isa_port *)d)->index;
    }
}

bool isa_port_place(struct isa_port *p, const struct isa_port_kind *kind, struct error *err)
{
    const char *name = p->dev.type->name;

    if (p->index == ISA_PORT_AUTO) {
        struct search s = {p, 0};
        device_foreach(p->dev.machine, mark_taken, &s);
        for (p->index = 0; s.taken >> p->index & 1;) {
            p->index++;
        }
        if (p->index >= kind->n) {
            return error_set(err, "%s: there are %u ports at most%s", name, kind->n, kind->more);
        }
    }
    if (p->index >= kind->n) {
        return error_set(err, "%s: index %u is not 0 to %u", name, p->index, kind->n - 1);
    }
    p->iobase = p->iobase ? p->iobase : kind->base[p->index];
    p->irq = p->irq ? p->irq : kind->irq[p->index];
    return p->irq <= 15 || error_set(err, "%s: irq %u is not 0 to 15", name, p->irq);
}
