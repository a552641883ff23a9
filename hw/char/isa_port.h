/* What COM and LPT ports have in common: each has a number, by which software knows where it is. */
#ifndef HW_CHAR_ISA_PORT_H
#define HW_CHAR_ISA_PORT_H

#include "hw/isa/isa.h"

#define ISA_PORT_AUTO 0xffffffff

struct isa_port { /* its devices start with one */
    struct device dev;
    uint16_t iobase;
    uint8_t irq;
    uint32_t index;
};

struct isa_port_kind {
    unsigned n; /* ports of this kind */
    uint16_t base[4];
    uint8_t irq[4];
    const char *more; /* for the error when there are too many */
};

/* Gives the port its number, if it has none yet the first that is free, and what follows from the
 * number. */
bool isa_port_place(struct isa_port *p, const struct isa_port_kind *kind, struct error *err);

/* Their properties. which: help for index=. */
#define ISA_PORT_PROPS(which)                                                                      \
    {"index", PT_U32, offsetof(struct isa_port, index), ISA_PORT_AUTO, which},                     \
        PROP_U16(struct isa_port, iobase, 0, "first I/O port; 0: by index"),                       \
        PROP_U8(struct isa_port, irq, 0, "interrupt line; 0: by index")

#endif
