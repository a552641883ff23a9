/* 8254 programmable interval timer (ports 40..43) and system control port B (61h), which gates
 * channel 2 and shows its output. Intel data sheet 231164; port 61h: 82371SB data sheet 290550.
 *
 * Counters are computed from the clock when somebody looks. Channel 0 drives IRQ 0 by one timer at
 * each rising edge of its output; the line is high in between, as on the chip. Guests count these
 * interrupts against other clocks: while the processor has had no time for the last one, the next
 * one, and the clock with it, waits. Channel 1 (refresh) counts but drives nothing; the refresh bit
 * of port 61h toggles every 15 us. No sound is made: the speaker data bit is only kept.
 */
#include "hw/isa/isa.h"
#include "hw/timer/timers.h"

enum { PIT_HZ = 1193182, NS = 1000000000, REFRESH_NS = 15085, MIN_GAP = 24 /* ticks: 20 us */ };
enum { RW_LATCH, RW_LOW, RW_HIGH, RW_BOTH };

struct channel {
    uint32_t count; /* 1..65536 (10000 in BCD); 0: none loaded yet */
    uint32_t next;  /* modes 2, 3: takes over at next_tick; 0: none */
    uint64_t start; /* tick at which count was loaded (modes 1, 5: triggered) */
    uint64_t next_tick;
    uint8_t mode, rw;
    bool bcd, gate;
    bool triggered; /* modes 1, 5: running */
    bool high_next; /* RW_BOTH: the next byte written is the high one */
    bool read_high;
    uint8_t write_low; /* low byte waiting for the high one */
    uint8_t latched;   /* bytes of latch still to be read */
    uint16_t latch;
    bool status_latched;
    uint8_t status;
    uint64_t paused; /* ticks counted when the gate went low (modes 0, 4) */
};

struct i8254 {
    struct device dev; /* must be first */
    struct channel ch[3];
    bool speaker;
    uint64_t irq_tick; /* the rising edge that timer waits for */
    struct timer timer;
};

static const struct state_field channel_fields[] = {
    STATE_U32(struct channel, count),
    STATE_U32(struct channel, next),
    STATE_U64(struct channel, start),
    STATE_U64(struct channel, next_tick),
    STATE_U8(struct channel, mode),
    STATE_U8(struct channel, rw),
    STATE_BOOL(struct channel, bcd),
    STATE_BOOL(struct channel, gate),
    STATE_BOOL(struct channel, triggered),
    STATE_BOOL(struct channel, high_next),
    STATE_BOOL(struct channel, read_high),
    STATE_U8(struct channel, write_low),
    STATE_U8(struct channel, latched),
    STATE_U16(struct channel, latch),
    STATE_BOOL(struct channel, status_latched),
    STATE_U8(struct channel, status),
    STATE_U64(struct channel, paused),
    STATE_END,
};

static const struct state_field i8254_fields[] = {
    STATE_STRUCT(struct i8254, ch, 3, channel_fields),
    STATE_BOOL(struct i8254, speaker),
    STATE_U64(struct i8254, irq_tick),
    STATE_TIMER(struct i8254, timer),
    STATE_END,
};

static uint64_t now_ticks(const struct i8254 *s)
{
    return clock_muldiv((uint64_t)clock_now(s->dev.machine->clock), PIT_HZ, NS);
}

/* First moment at which now_ticks() is t. */
static int64_t tick_time(uint64_t t)
{
    return (int64_t)clock_muldiv(t, NS, PIT_HZ) + 1;
}

/* ---- what a channel shows at tick t ---- */

static bool periodic(const struct channel *c)
{
    return c->mode == 2 || c->mode == 3;
}

/* A count written to a running rate generator takes over at the end of the period. */
static void settle(struct channel *c, uint64_t t)
{
    if (c->next && t >= c->next_tick) {
        c->count = c->next;
        c->start = c->next_tick;
        c->next = 0;
    }
}

/* Ticks counted so far. */
static uint64_t elapsed(const struct channel *c, uint64_t t)
{
    if (c->mode == 1 || c->mode == 5) {
        return c->triggered ? t - c->start : 0;
    }
    if (!c->gate) {
        return periodic(c) ? 0 : c->paused;
    }
    return t - c->start;
}

static uint16_t counter(struct channel *c, uint64_t t)
{
    uint64_t n;
    uint32_t wrap = c->bcd ? 10000 : 65536, v;

    settle(c, t);
    if (!c->count) {
        return 0;
    }
    n = elapsed(c, t);
    switch (c->mode) {
    case 2:
        v = c->count - (uint32_t)(n % c->count);
        break;
    case 3: /* counts by two, twice a period */
        v = (c->count & ~1u) - (uint32_t)(2 * n % (c->count > 1 ? c->count & ~1u : 2));
        break;
    default: /* goes on below zero */
        v = (uint32_t)(c->count + wrap - n % wrap);
        break;
    }
    v %= wrap;
    if (c->bcd) {
        v = v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10;
    }
    return (uint16_t)v;
}

static bool output(struct channel *c, uint64_t t)
{
    uint64_t n;

    settle(c, t);
    n = elapsed(c, t);
    if (!c->count) {
        return c->mode != 0;
    }
    switch (c->mode) {
    case 0:
        return n >= c->count;
    case 1:
        return !c->triggered || n >= c->count;
    case 2:
        return !c->gate || n % c->count != c->count - 1;
    case 3:
        return !c->gate || n % c->count < (c->count + 1) / 2;
    default: /* 4, 5: a strobe of one tick; mode 5 only when triggered */
        return n != c->count || (c->mode == 5 && !c->triggered);
    }
}

/* ---- IRQ 0 ---- */

/* The next rising edge of the output after tick t; 0: there is none. Periodic ones nearer than gap
 * ticks are left out. */
static uint64_t next_edge(struct channel *c, uint64_t t, unsigned gap)
{
    settle(c, t);
    if (!c->count || c->mode == 1 || c->mode == 5) {
        return 0; /* channel 0's gate is tied high: never triggered */
    }
    if (periodic(c)) {
        if (c->next) {
            return c->next_tick;
        }
        return c->start + ((t + gap - c->start) / c->count + 1) * c->count;
    }
    uint64_t edge = c->start + c->count + (c->mode == 4);
    return edge > t ? edge : 0;
}

/* For the first edge after tick t. */
static void arm(struct i8254 *s, uint64_t t, unsigned gap)
{
    s->irq_tick = next_edge(&s->ch[0], t, gap);
    if (s->irq_tick) {
        timer_set(&s->timer, tick_time(s->irq_tick));
    } else {
        timer_cancel(&s->timer);
    }
}

static void edge(void *opaque)
{
    struct i8254 *s = opaque;
    const struct irq *irq = isa_irq(s->dev.machine, 0);

    if (s->dev.machine->nvcpus && vcpu_is_behind(s->dev.machine->vcpus[0])) {
        timer_retry(&s->timer, tick_time(s->irq_tick));
        return;
    }
    irq_set(irq, 0);
    irq_set(irq, 1);
    arm(s, s->irq_tick, MIN_GAP); /* a count of 2 must not keep the host's main loop */
}

/* After the mode or count of channel 0 changed. */
static void update_irq(struct i8254 *s)
{
    irq_set(isa_irq(s->dev.machine, 0), output(&s->ch[0], now_ticks(s)));
    arm(s, now_ticks(s), 0);
}

/* ---- registers ---- */

static void load(struct channel *c, uint32_t v, uint64_t t)
{
    uint32_t count = v;

    if (c->bcd) {
        count = (v >> 12) * 1000 + (v >> 8 & 15) * 100 + (v >> 4 & 15) * 10 + (v & 15);
    }
    if (!count) {
        count = c->bcd ? 10000 : 65536;
    }
    if (count == 1 && periodic(c)) {
        count = 2; /* 1 is illegal */
    }
    settle(c, t);
    if (periodic(c) && c->count && c->gate) {
        c->next = count;
        c->next_tick = c->start + ((t - c->start) / c->count + 1) * c->count;
        return;
    }
    c->count = count;
    c->next = 0;
    if (c->mode != 1 && c->mode != 5) { /* those wait for the gate */
        c->start = t;
        c->paused = 0;
    }
}

static void latch_count(struct channel *c, uint64_t t)
{
    if (!c->latched) {
        c->latch = counter(c, t);
        c->latched = c->rw == RW_BOTH ? 2 : 1;
    }
}

static void latch_status(struct channel *c, uint64_t t)
{
    if (!c->status_latched) {
        bool null_count = !c->count || c->next;
        c->status =
            (uint8_t)(output(c, t) << 7 | null_count << 6 | c->rw << 4 | c->mode << 1 | c->bcd);
        c->status_latched = true;
    }
}

static void write_control(struct i8254 *s, uint8_t v)
{
    log_trace(s->dev.machine->log, i8254_control, "%02x", v);
    uint64_t t = now_ticks(s);
    unsigned n = v >> 6;

    if (n == 3) { /* read-back */
        for (unsigned i = 0; i < 3; i++) {
            if (v >> (i + 1) & 1) {
                if (!(v & 0x20)) {
                    latch_count(&s->ch[i], t);
                }
                if (!(v & 0x10)) {
                    latch_status(&s->ch[i], t);
                }
            }
        }
        return;
    }
    struct channel *c = &s->ch[n];
    if ((v >> 4 & 3) == RW_LATCH) {
        latch_count(c, t);
        return;
    }
    *c = (struct channel){.gate = c->gate, .rw = v >> 4 & 3, .mode = v >> 1 & 7, .bcd = v & 1};
    if (c->mode > 5) {
        c->mode -= 4;
    }
    if (n == 0) {
        update_irq(s);
    }
}

static void write_count(struct i8254 *s, unsigned n, uint8_t v)
{
    struct channel *c = &s->ch[n];
    uint64_t t = now_ticks(s);

    if (c->rw == RW_LATCH) {
        return; /* no mode was set yet */
    }
    if (c->rw == RW_BOTH && !c->high_next) {
        c->write_low = v;
        c->high_next = true;
        if (c->mode == 0) { /* the first byte stops the counting */
            c->count = 0;
        }
    } else {
        uint32_t word = c->rw == RW_LOW    ? v
                        : c->rw == RW_HIGH ? (uint32_t)v << 8
                                           : (uint32_t)(v << 8 | c->write_low);
        c->high_next = false;
        load(c, word, t);
    }
    if (n == 0) {
        update_irq(s);
    }
}

static uint8_t read_count(struct channel *c, uint64_t t)
{
    uint16_t v;

    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    v = c->latched ? c->latch : counter(c, t);
    if (c->rw == RW_BOTH) {
        bool high = c->latched ? c->latched == 1 : c->read_high;
        if (c->latched) {
            c->latched--;
        } else {
            c->read_high = !c->read_high;
        }
        return (uint8_t)(high ? v >> 8 : v);
    }
    c->latched = 0;
    return (uint8_t)(c->rw == RW_HIGH ? v >> 8 : v);
}

static uint64_t pit_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8254 *s = opaque;

    (void)size;
    return offset == 3 ? 0xff : read_count(&s->ch[offset], now_ticks(s));
}

static void pit_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    if (offset == 3) {
        write_control(opaque, (uint8_t)value);
    } else {
        write_count(opaque, (unsigned)offset, (uint8_t)value);
    }
}

static const struct mmio_ops pit_ops = {pit_read, pit_write, 1, 1};

/* ---- port 61h ---- */

static void set_gate(struct channel *c, bool gate, uint64_t t)
{
    bool rising = gate && !c->gate;

    settle(c, t);
    if (c->gate && !gate && !periodic(c)) {
        c->paused = elapsed(c, t);
    }
    c->gate = gate;
    if (!rising) {
        return;
    }
    switch (c->mode) {
    case 0:
    case 4: /* goes on where it stopped */
        c->start = t - c->paused;
        break;
    default: /* starts over */
        c->start = t;
        if (c->next) {
            c->count = c->next;
            c->next = 0;
        }
        c->triggered = c->count != 0;
        break;
    }
}

static uint64_t port61_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8254 *s = opaque;
    struct channel *c = &s->ch[2];
    unsigned refresh = (unsigned)((uint64_t)clock_now(s->dev.machine->clock) / REFRESH_NS) & 1;

    (void)offset;
    (void)size;
    return (unsigned)c->gate | (unsigned)s->speaker << 1 | refresh << 4 |
           (unsigned)output(c, now_ticks(s)) << 5;
}

static void port61_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8254 *s = opaque;

    (void)offset;
    (void)size;
    s->speaker = value >> 1 & 1;
    set_gate(&s->ch[2], value & 1, now_ticks(s));
}

static const struct mmio_ops port61_ops = {port61_read, port61_write, 1, 1};

/* ---- life ---- */

static void i8254_loaded(void *obj)
{
    struct i8254 *s = obj;

    irq_set(isa_irq(s->dev.machine, 0), output(&s->ch[0], now_ticks(s)));
}

static const struct state_table i8254_state = {1, i8254_fields, i8254_loaded};

static void i8254_reset(struct device *d)
{
    struct i8254 *s = (struct i8254 *)d;

    for (unsigned n = 0; n < 3; n++) {
        s->ch[n] = (struct channel){.gate = n != 2, .mode = 3, .rw = RW_BOTH};
    }
    s->speaker = false;
    update_irq(s);
}

static bool i8254_realize(struct device *d, struct error *err)
{
    struct i8254 *s = (struct i8254 *)d;

    timer_init(&s->timer, d->machine->clock, edge, s);
    return isa_claim_ports(d, 0x40, 4, &pit_ops, s, err) &&
           isa_claim_ports(d, 0x61, 1, &port61_ops, s, err);
}

const struct device_type i8254_type = {
    .name = "i8254",
    .summary = "8254 interval timer and port 61h",
    .bus = BUS_SYSTEM,
    .size = sizeof(struct i8254),
    .state = &i8254_state,
    .realize = i8254_realize,
    .reset = i8254_reset,
};
