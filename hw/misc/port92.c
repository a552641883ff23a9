/* System control port A (92h): fast A20 gate (bit 1) and fast reset (bit 0). IBM PS/2 technical
 * reference. How the A20 gates of this port and of the keyboard controller combine is the board's
 * matter; neither tells its line at reset, since the processors open A20 by themselves then. */
#include "hw/isa/isa.h"
#include "hw/misc/misc.h"

enum { FAST_RESET = 1, FAST_A20 = 2 };

struct port92 {
    struct device dev; /* must be first */
    uint8_t value;
    struct irq a20;
};

static const struct state_field port92_fields[] = {STATE_U8(struct port92, value), STATE_END};
static const struct state_table port92_state = {1, port92_fields,
                                                NULL}; /* A20 is the CPU's own state */

static uint64_t port92_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)offset;
    (void)size;
    return ((struct port92 *)opaque)->value;
}

static void port92_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct port92 *s = opaque;
    bool reset = (value & FAST_RESET) && !(s->value & FAST_RESET);

    (void)offset;
    (void)size;
    s->value = (uint8_t)value;
    irq_set(&s->a20, value & FAST_A20 ? 1 : 0);
    if (reset) {
        machine_request(s->dev.machine, REQUEST_RESET, "fast reset (port 0x92)");
    }
}

static const struct mmio_ops port92_ops = {port92_read, port92_write, 1, 1};

static void port92_reset(struct device *d)
{
    ((struct port92 *)d)->value = FAST_A20; /* as the processors come out of reset */
}

static bool port92_realize(struct device *d, struct error *err)
{
    return isa_claim_ports(d, 0x92, 1, &port92_ops, d, err);
}

void port92_set_a20(struct device *d, struct irq a20)
{
    ((struct port92 *)d)->a20 = a20;
}

const struct device_type port92_type = {
    .name = "port92",
    .summary = "fast A20 gate and reset",
    .bus = BUS_SYSTEM,
    .size = sizeof(struct port92),
    .state = &port92_state,
    .realize = port92_realize,
    .reset = port92_reset,
};
