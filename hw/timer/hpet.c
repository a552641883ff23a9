/* High precision event timers: a 64-bit counter at 100 MHz and three comparators, all able to be
 * periodic, at FED00000. IA-PC HPET specification 1.0a.
 *
 * In legacy replacement mode comparators 0 and 1 take over ISA lines 0 and 8: the device steps into
 * those lines at realize, and passes the PIT's and the RTC's through while the mode is off. FSB
 * (MSI) delivery is not offered. */
#include "hw/intc/apic.h"
#include "hw/isa/isa.h"
#include "hw/timer/timers.h"

enum { NTIMERS = 3, PERIOD_NS = 10, MIN_GAP = 2000 };
#define CAPABILITIES                                                                               \
    (UINT64_C(PERIOD_NS * 1000000) << 32 | 0x8086a201) /* legacy, 64 bits, 3 timers */

enum { R_CAP = 0x000, R_CONFIG = 0x010, R_STATUS = 0x020, R_COUNTER = 0x0f0, R_TIMER0 = 0x100 };
enum { CFG_ENABLE = 1, CFG_LEGACY = 2 };
enum {
    T_LEVEL = 2,
    T_ENABLE = 4,
    T_PERIODIC = 8,
    T_CAP_PERIODIC = 0x10,
    T_CAP_64 = 0x20,
    T_SETVAL = 0x40,
    T_32 = 0x100,
    T_ROUTE_SHIFT = 9,
    T_ROUTE = 0x3e00,
    T_WRITABLE = T_LEVEL | T_ENABLE | T_PERIODIC | T_SETVAL | T_32 | T_ROUTE,
};
/* Where a comparator may be routed: pins of the I/O APIC that no ISA line uses, and pin 2 (IRQ 0).
 */
#define ROUTES (UINT64_C(0x00ff0004) << 32)

struct comparator {
    uint64_t config, compare, period;
    uint32_t number;
    struct timer timer;
    struct hpet *hpet;
    bool line; /* level driven now */
    uint8_t line_n;
};

struct hpet {
    struct device dev; /* must be first */
    uint64_t config, status;
    uint64_t counter; /* while stopped: its value; while running: value at clock 0 */
    struct comparator timers[NTIMERS];

    struct device *ioapic;
    struct irq behind[2]; /* ISA lines 0 and 8 as the board made them */
    bool in[2];           /* levels that the PIT and the RTC drive */
};

static const struct state_field comparator_fields[] = {
    STATE_U64(struct comparator, config),
    STATE_U64(struct comparator, compare),
    STATE_U64(struct comparator, period),
    STATE_TIMER(struct comparator, timer),
    STATE_END,
};
static const struct state_field hpet_fields[] = {
    STATE_U64(struct hpet, config),
    STATE_U64(struct hpet, status),
    STATE_U64(struct hpet, counter),
    STATE_STRUCT(struct hpet, timers, NTIMERS, comparator_fields),
    STATE_END,
};

static uint64_t clock_ticks(const struct hpet *s)
{
    return (uint64_t)clock_now(s->dev.machine->clock) / PERIOD_NS;
}

static uint64_t counter(const struct hpet *s)
{
    return s->config & CFG_ENABLE ? s->counter + clock_ticks(s) : s->counter;
}

/* ---- lines ---- */

static bool legacy(const struct hpet *s)
{
    return s->config & CFG_LEGACY;
}

static void drive(struct hpet *s, unsigned n, bool level)
{
    switch (n) {
    case 0:
    case 8:
        irq_set(&s->behind[n == 8], level);
        break;
    default:
        if (s->ioapic && n >= 16 && n < 24) {
            ioapic_set_irq(s->ioapic, (int)n, level);
        }
        break;
    }
}

static unsigned line_of(const struct comparator *c)
{
    if (legacy(c->hpet) && c->number < 2) {
        return c->number ? 8 : 0;
    }
    unsigned route = (unsigned)(c->config & T_ROUTE) >> T_ROUTE_SHIFT;
    return route == 2 ? 0 : route; /* pin 2 of the I/O APIC is ISA line 0 */
}

static void update_line(struct comparator *c)
{
    bool on = (c->config & T_ENABLE) && (c->config & T_LEVEL) && (c->hpet->status >> c->number & 1);
    unsigned n = line_of(c);

    if (c->line && (!on || c->line_n != n)) {
        drive(c->hpet, c->line_n, false);
        c->line = false;
    }
    if (on && !c->line) {
        c->line = true;
        c->line_n = (uint8_t)n;
        drive(c->hpet, n, true);
    }
}

static void set_legacy_input(void *opaque, int n, int level)
{
    struct hpet *s = opaque;

    s->in[n] = level != 0;
    if (!legacy(s)) {
        irq_set(&s->behind[n], level);
    }
}

/* ---- comparators ---- */

static uint64_t width(const struct comparator *c)
{
    return c->config & T_32 ? UINT32_MAX : UINT64_MAX;
}

/* Ticks until the counter meets the comparator; a match right now counts as a whole turn away. */
static uint64_t distance(const struct comparator *c)
{
    uint64_t d = (c->compare - counter(c->hpet)) & width(c);

    return d ? d : width(c);
}

/* gap: ticks that the match is put off at least. */
static void arm_after(struct comparator *c, uint64_t gap)
{
    struct hpet *s = c->hpet;

    if (!(s->config & CFG_ENABLE)) {
        timer_cancel(&c->timer);
        return;
    }
    uint64_t d = distance(c);
    if (d > (uint64_t)INT64_MAX / PERIOD_NS / 2) {
        timer_cancel(&c->timer); /* centuries away */
        return;
    }
    d = d < gap ? gap : d;
    timer_set(&c->timer, (int64_t)((clock_ticks(s) + d) * PERIOD_NS));
}

static void arm(struct comparator *c)
{
    arm_after(c, 0);
}

static void matched(void *opaque)
{
    struct comparator *c = opaque;
    struct hpet *s = c->hpet;

    if ((c->config & T_PERIODIC) && c->period) {
        uint64_t behind = (counter(s) - c->compare) & width(c);
        uint64_t turns =
            behind / c->period + 1; /* periods missed by being late are one interrupt */
        c->compare = (c->compare + turns * c->period) & width(c);
    }
    arm_after(c, MIN_GAP); /* a period of one tick must not keep the host's main loop */
    if (c->config & T_LEVEL) {
        s->status |= UINT64_C(1) << c->number; /* set whether or not the interrupt is enabled */
        update_line(c);
    } else if (c->config & T_ENABLE) {
        drive(s, line_of(c), false);
        drive(s, line_of(c), true);
        drive(s, line_of(c), false);
    }
}

/* ---- registers ---- */

static uint64_t reg_read(struct hpet *s, unsigned reg)
{
    if (reg >= R_TIMER0 && reg < R_TIMER0 + NTIMERS * 0x20) {
        struct comparator *c = &s->timers[(reg - R_TIMER0) >> 5];
        switch (reg & 0x18) {
        case 0x00:
            return c->config | T_CAP_PERIODIC | T_CAP_64 | ROUTES;
        case 0x08:
            return c->compare;
        default:
            return 0; /* FSB route */
        }
    }
    switch (reg) {
    case R_CAP:
        return CAPABILITIES;
    case R_CONFIG:
        return s->config;
    case R_STATUS:
        return s->status;
    case R_COUNTER:
        return counter(s);
    default:
        return 0;
    }
}

static void write_config(struct hpet *s, uint64_t v)
{
    bool was_legacy = legacy(s), was_on = s->config & CFG_ENABLE, on = v & CFG_ENABLE;
    uint64_t count = counter(s);

    s->config = v & (CFG_ENABLE | CFG_LEGACY);
    if (was_on != on) {
        s->counter = on ? count - clock_ticks(s) : count;
    }
    if (was_legacy != legacy(s)) {
        for (int n = 0; n < 2; n++) {
            irq_set(&s->behind[n], legacy(s) ? 0 : s->in[n]);
        }
    }
    for (unsigned n = 0; n < NTIMERS; n++) {
        update_line(&s->timers[n]);
        if (was_on != on) {
            arm(&s->timers[n]);
        }
    }
}

static void write_status(struct hpet *s, uint64_t v)
{
    s->status &= ~(v & ((1u << NTIMERS) - 1));
    for (unsigned n = 0; n < NTIMERS; n++) {
        update_line(&s->timers[n]);
    }
}

static void write_timer_config(struct comparator *c, uint64_t v)
{
    unsigned route = (unsigned)(v & T_ROUTE) >> T_ROUTE_SHIFT;

    if (!(ROUTES >> 32 >> route & 1)) {
        v = (v & ~(uint64_t)T_ROUTE) |
            (c->config & T_ROUTE); /* a route that is not there does not stick */
    }
    c->config = v & T_WRITABLE;
    if (c->config & T_32) {
        c->compare &= UINT32_MAX;
        c->period &= UINT32_MAX;
    }
    update_line(c);
    arm(c);
}

/* A one-shot timer's comparator is what is written. A periodic one's takes the written value as the
 * period, and as its next match only just after T_SETVAL was set. mask: the half that was written.
 */
static void write_compare(struct comparator *c, uint64_t v, uint64_t mask)
{
    if (!(c->config & T_PERIODIC) || (c->config & T_SETVAL)) {
        c->compare = ((c->compare & ~mask) | (v & mask)) & width(c);
    }
    if (c->config & T_PERIODIC) {
        c->period = ((c->period & ~mask) | (v & mask)) & width(c);
    }
    c->config &= ~(uint64_t)T_SETVAL;
    arm(c);
}

/* v: the new value of the bits in mask. */
static void reg_write(struct hpet *s, unsigned reg, uint64_t v, uint64_t mask)
{
    if (reg != R_STATUS) { /* a write to one half must not clear bits in the other */
        v |= reg_read(s, reg) & ~mask;
    }
    if (reg >= R_TIMER0 && reg < R_TIMER0 + NTIMERS * 0x20) {
        struct comparator *c = &s->timers[(reg - R_TIMER0) >> 5];
        if ((reg & 0x18) == 0) {
            write_timer_config(c, v);
        } else if ((reg & 0x18) == 8) {
            write_compare(c, v, mask);
        }
        return;
    }
    switch (reg) {
    case R_CONFIG:
        write_config(s, v);
        break;
    case R_STATUS:
        write_status(s, v);
        break;
    case R_COUNTER:
        if (s->config & CFG_ENABLE) {
            log_at(s->dev.machine->log, LOG_GUEST_ERROR, "hpet: counter written while it runs\n");
        }
        s->counter = s->config & CFG_ENABLE ? v - clock_ticks(s) : v;
        for (unsigned n = 0; n < NTIMERS; n++) {
            arm(&s->timers[n]);
        }
        break;
    default:
        break;
    }
}

static uint64_t hpet_read(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t v = reg_read(opaque, (unsigned)offset & ~7u);

    return size == 8 ? v : v >> (8 * (offset & 7));
}

static void hpet_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    unsigned reg = (unsigned)offset & ~7u, shift = 8 * (offset & 7);

    if (size == 8) {
        reg_write(opaque, reg, value, UINT64_MAX);
    } else if (size == 4) { /* the specification allows no others */
        reg_write(opaque, reg, value << shift, UINT64_C(0xffffffff) << shift);
    }
}

static const struct mmio_ops hpet_ops = {hpet_read, hpet_write, 4, 8};

/* ---- life ---- */

static void hpet_loaded(void *obj)
{
    struct hpet *s = obj;

    for (unsigned n = 0; n < NTIMERS; n++) {
        update_line(&s->timers[n]);
    }
}

static const struct state_table hpet_state = {1, hpet_fields, hpet_loaded};

static void hpet_reset(struct device *d)
{
    struct hpet *s = (struct hpet *)d;

    write_config(s, 0);
    s->status = s->counter = 0;
    for (unsigned n = 0; n < NTIMERS; n++) {
        s->timers[n].config = 0;
        s->timers[n].compare = UINT64_MAX;
        s->timers[n].period = 0;
        update_line(&s->timers[n]);
    }
}

static bool hpet_realize(struct device *d, struct error *err)
{
    struct hpet *s = (struct hpet *)d;
    struct isa_bus *isa = isa_bus(d->machine);

    (void)err;
    for (unsigned n = 0; n < NTIMERS; n++) {
        s->timers[n].hpet = s;
        s->timers[n].number = n;
        timer_init(&s->timers[n].timer, d->machine->clock, matched, &s->timers[n]);
    }
    s->ioapic = device_find_type(d->machine, &ioapic_type);
    for (int n = 0; n < 2; n++) {
        s->behind[n] = isa->irqs[8 * n];
        isa->irqs[8 * n] = (struct irq){set_legacy_input, s, n};
    }
    memory_map_mmio(d->machine->memory, IN_BOTH, 0xfed00000, 1024, "hpet", &hpet_ops, s,
                    MAP_PRIO_CHIPSET);
    return true;
}

const struct device_type hpet_type = {
    .name = "hpet",
    .summary = "high precision event timers",
    .bus = BUS_SYSTEM,
    .size = sizeof(struct hpet),
    .state = &hpet_state,
    .realize = hpet_realize,
    .reset = hpet_reset,
};
