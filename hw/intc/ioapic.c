/* I/O APIC with 24 pins at FEC00000. Intel data sheet 290566 (82093AA); the EOI register (version
 * 20h) is that of ICH chips.
 *
 * Lines carry "asserted", whatever their polarity, so the polarity bit is kept but has no effect.
 * A pin in ExtINT mode makes the processor ask the 8259. The delivery status always reads idle.
 *
 * On hardware an EOI takes its time over the bus, and the interrupted code gets on a little even
 * when a level stays asserted. Here the next interrupt would come before its first instruction: a
 * driver that relies on that code to quieten its device (Linux's 8139cp, when an interrupt comes
 * between the end of its polling and the unmasking) would never get on. So after many EOIs in a row
 * that found the pin asserted, it waits. */
#include "hw/intc/apic.h"

enum { PINS = 24, VERSION = 0x20 };
enum { STORM = 250, STORM_PAUSE_NS = 100000 };
enum { IOREGSEL = 0x00, IOWIN = 0x10, EOI = 0x40 };
enum { REG_ID = 0, REG_VERSION = 1, REG_ARBITRATION = 2, REG_TABLE = 0x10 };
enum { RTE_LOGICAL = 0x800, RTE_REMOTE_IRR = 0x4000, RTE_LEVEL = 0x8000, RTE_MASKED = 0x10000 };
#define RTE_READ_ONLY UINT64_C(0x5000)
#define RTE_WRITABLE  UINT64_C(0xff0000000001afff)

struct ioapic {
    struct device dev; /* must be first */
    uint8_t select, id;
    uint32_t lines; /* levels of the pins */
    uint64_t table[PINS];
    uint16_t again[PINS]; /* EOIs in a row that found the pin asserted */
    uint32_t held;        /* pins that send nothing until the timer */
    struct timer release;
};

static const struct state_field ioapic_fields[] = {
    STATE_U8(struct ioapic, select),     STATE_U8(struct ioapic, id),
    STATE_U32(struct ioapic, lines),     STATE_U64(struct ioapic, table),
    STATE_U16(struct ioapic, again),     STATE_U32(struct ioapic, held),
    STATE_TIMER(struct ioapic, release), STATE_END,
};

/* The lines are stored, and their sources tell them again: nothing is to be derived. */
static const struct state_table ioapic_state = {1, ioapic_fields, NULL};

static void send(struct ioapic *s, unsigned pin)
{
    uint64_t e = s->table[pin];
    struct apic_message msg = {
        .dest = (uint32_t)(e >> 56),
        .vector = (uint8_t)e,
        .mode = e >> 8 & 7,
        .logical = e & RTE_LOGICAL,
        .level = e & RTE_LEVEL,
    };

    if (msg.dest == 0xff) {
        msg.dest = APIC_BROADCAST;
    }
    if (msg.mode > APIC_LOWEST) {
        msg.level = false; /* SMI, NMI, INIT, ExtINT: edges by definition */
    }
    if (msg.level) {
        s->table[pin] |= RTE_REMOTE_IRR;
    }
    if (!apic_send(s->dev.machine, &msg) && msg.level) {
        s->table[pin] &= ~(uint64_t)RTE_REMOTE_IRR; /* nobody will send an EOI */
    }
}

/* Sends a level interrupt that waits: asserted, open, and neither in service nor held back. */
static void service_level(struct ioapic *s, unsigned pin)
{
    uint64_t e = s->table[pin];

    if ((e & RTE_LEVEL) && !(e & (RTE_MASKED | RTE_REMOTE_IRR)) && (s->lines >> pin & 1) &&
        !(s->held >> pin & 1)) {
        send(s, pin);
    }
}

static void release_pins(void *opaque)
{
    struct ioapic *s = opaque;
    uint32_t pins = s->held;

    s->held = 0;
    for (unsigned pin = 0; pin < PINS; pin++) {
        if (pins >> pin & 1) {
            service_level(s, pin);
        }
    }
}

static void count_storm(struct ioapic *s, unsigned pin)
{
    if (!(s->lines >> pin & 1)) {
        s->again[pin] = 0;
    } else if (s->again[pin] < STORM) {
        s->again[pin]++;
    } else {
        s->held |= UINT32_C(1) << pin;
        if (!timer_armed(&s->release)) {
            timer_set(&s->release, clock_now(s->dev.machine->clock) + STORM_PAUSE_NS);
        }
    }
}

void ioapic_set_irq(void *opaque, int n, int level)
{
    struct ioapic *s = opaque;
    uint32_t bit = UINT32_C(1) << n;
    bool rising = level && !(s->lines & bit);

    log_trace(s->dev.machine->log, ioapic_line, "%d level %d", n, level);
    s->lines = level ? s->lines | bit : s->lines & ~bit;
    if (s->table[n] & RTE_LEVEL) {
        service_level(s, (unsigned)n);
    } else if (rising && !(s->table[n] & RTE_MASKED)) { /* an edge on a masked pin is lost */
        send(s, (unsigned)n);
    }
}

static void eoi_vector(struct ioapic *s, uint8_t vector)
{
    for (unsigned pin = 0; pin < PINS; pin++) {
        if ((uint8_t)s->table[pin] == vector && (s->table[pin] & RTE_REMOTE_IRR)) {
            s->table[pin] &= ~(uint64_t)RTE_REMOTE_IRR;
            count_storm(s, pin);
            service_level(s, pin);
        }
    }
}

void ioapic_eoi(struct machine *m, uint8_t vector)
{
    struct ioapic *s = (struct ioapic *)device_find_type(m, &ioapic_type);

    if (s) {
        eoi_vector(s, vector);
    }
}

/* ---- registers ---- */

static uint32_t window_read(struct ioapic *s)
{
    unsigned pin = (s->select - REG_TABLE) / 2u;

    if (s->select >= REG_TABLE && pin < PINS) {
        return (uint32_t)(s->table[pin] >> (s->select & 1 ? 32 : 0));
    }
    switch (s->select) {
    case REG_ID:
    case REG_ARBITRATION:
        return (uint32_t)s->id << 24;
    case REG_VERSION:
        return VERSION | (PINS - 1) << 16;
    default:
        return 0;
    }
}

static void write_entry(struct ioapic *s, unsigned pin, unsigned high, uint32_t v)
{
    uint64_t old = s->table[pin];
    uint64_t e = high ? (old & 0xffffffff) | (uint64_t)v << 32 : (old & ~UINT64_C(0xffffffff)) | v;

    e = (e & RTE_WRITABLE & ~RTE_READ_ONLY) | (old & RTE_READ_ONLY);
    if (!(e & RTE_LEVEL)) {
        e &= ~(uint64_t)RTE_REMOTE_IRR; /* Linux clears a stuck one by a detour over edge mode */
    }
    s->table[pin] = e;
    service_level(s, pin);
}

static void window_write(struct ioapic *s, uint32_t v)
{
    unsigned pin = (s->select - REG_TABLE) / 2u;

    if (s->select >= REG_TABLE && pin < PINS) {
        write_entry(s, pin, s->select & 1, v);
    } else if (s->select == REG_ID) {
        s->id = v >> 24 & 0x0f;
    }
}

static uint64_t ioapic_read(void *opaque, uint64_t offset, unsigned size)
{
    struct ioapic *s = opaque;

    (void)size;
    switch (offset) {
    case IOREGSEL:
        return s->select;
    case IOWIN:
        return window_read(s);
    default:
        return 0;
    }
}

static void ioapic_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct ioapic *s = opaque;

    (void)size;
    switch (offset) {
    case IOREGSEL:
        s->select = (uint8_t)value;
        break;
    case IOWIN:
        window_write(s, (uint32_t)value);
        break;
    case EOI:
        eoi_vector(s, (uint8_t)value);
        break;
    default:
        log_at(s->dev.machine->log, LOG_GUEST_ERROR, "ioapic: write to offset 0x%x\n",
               (unsigned)offset);
        break;
    }
}

static const struct mmio_ops ioapic_ops = {ioapic_read, ioapic_write, 4, 4};

/* ---- life ---- */

static void ioapic_reset(struct device *d)
{
    struct ioapic *s = (struct ioapic *)d;

    s->select = s->id = 0;
    s->held = 0;
    timer_cancel(&s->release);
    for (unsigned pin = 0; pin < PINS; pin++) {
        s->table[pin] = RTE_MASKED;
        s->again[pin] = 0;
    }
}

static bool ioapic_realize(struct device *d, struct error *err)
{
    (void)err;
    timer_init(&((struct ioapic *)d)->release, d->machine->clock, release_pins, d);
    memory_map_mmio(d->machine->memory, IN_BOTH, 0xfec00000, 4096, "ioapic", &ioapic_ops, d,
                    MAP_PRIO_CHIPSET);
    return true;
}

static void ioapic_destroy(struct device *d)
{
    timer_cancel(&((struct ioapic *)d)->release);
}

const struct device_type ioapic_type = {
    .name = "ioapic",
    .summary = "I/O APIC",
    .bus = BUS_SYSTEM,
    .size = sizeof(struct ioapic),
    .state = &ioapic_state,
    .realize = ioapic_realize,
    .reset = ioapic_reset,
    .destroy = ioapic_destroy,
};
