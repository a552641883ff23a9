/* pvpanic: the guest tells that it has crashed. A port whose reading gives the events that may be
 * told, and whose writing tells them: bit 0 panicked, bit 1 panicked and loaded a crash kernel, bit
 * 2 asks to be switched off. An interface of virtual machines without a data sheet; Linux and
 * Windows find it by the ACPI id QEMU0001. What happens then is machine->action.panic. */
#include "hw/isa/isa.h"
#include "hw/misc/misc.h"

enum { PANICKED = 1, CRASH_LOADED = 2, ASKS_SHUTDOWN = 4 };

struct pvpanic {
    struct device dev; /* must be first */
    uint16_t ioport;
    uint8_t events;
};

static uint64_t pvpanic_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)offset;
    (void)size;
    return ((struct pvpanic *)opaque)->events;
}

static void pvpanic_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct pvpanic *p = opaque;
    struct machine *m = p->dev.machine;
    unsigned told = (unsigned)value & p->events;

    (void)offset;
    (void)size;
    if (told != (unsigned)value) {
        log_at(m->log, LOG_GUEST_ERROR, "pvpanic: unknown events %02x\n", (unsigned)value);
    }
    if (told & PANICKED) {
        machine_request(m, REQUEST_PANIC, "the guest panicked");
    }
    if (told & CRASH_LOADED) {
        machine_request(m, REQUEST_CRASH_LOADED, "the guest panicked and runs a crash kernel");
    }
    if (told & ASKS_SHUTDOWN) {
        machine_request(m, REQUEST_SHUTDOWN, "switched off by pvpanic");
    }
}

static const struct mmio_ops pvpanic_ops = {pvpanic_read, pvpanic_write, 1, 1};

static bool pvpanic_realize(struct device *d, struct error *err)
{
    struct pvpanic *p = (struct pvpanic *)d;

    if (p->events & ~(PANICKED | CRASH_LOADED | ASKS_SHUTDOWN)) {
        return error_set(err, "pvpanic: events=%u is not from 0 to 7", p->events);
    }
    return isa_claim_ports(d, p->ioport, 1, &pvpanic_ops, p, err);
}

uint16_t pvpanic_port(struct machine *m)
{
    struct pvpanic *p = (struct pvpanic *)device_find_type(m, &pvpanic_type);

    return p ? p->ioport : 0;
}

static const struct property pvpanic_props[] = {
    PROP_U16(struct pvpanic, ioport, 0x505, "I/O port"),
    PROP_U8(struct pvpanic, events, 7,
            "events that the guest may tell: 1 panic, 2 crash kernel, 4 shutdown"),
    PROP_END,
};

const struct device_type pvpanic_type = {
    .name = "pvpanic",
    .summary = "tells that the guest has crashed",
    .bus = BUS_ISA,
    .size = sizeof(struct pvpanic),
    .props = pvpanic_props,
    .realize = pvpanic_realize,
    .user_creatable = true,
};
