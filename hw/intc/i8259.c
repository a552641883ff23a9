/* Two cascaded 8259A interrupt controllers (ports 20, A0) with the edge/level registers of the PC
 * (4D0, 4D1). Intel data sheet 231468; ELCR: 82371SB data sheet 290550.
 *
 * An edge that was latched stays pending when its line falls before the acknowledge, unlike on the
 * chip, which would answer with a spurious IRQ 7: pulses are allowed to be short here. Spurious
 * interrupts exist for level lines and masks. Buffered mode and MCS-80 vectors are not modelled. */
#include "hw/intc/i8259.h"
#include "hw/isa/isa.h"

enum { ICW1_IC4 = 1, ICW1_SNGL = 2, ICW1_LTIM = 8, ICW1 = 0x10 };
enum { ICW4_8086 = 1, ICW4_AEOI = 2, ICW4_SFNM = 16 };
enum { OCW3 = 8, OCW3_RIS = 1, OCW3_RR = 2, OCW3_POLL = 4, OCW3_SMM = 0x20, OCW3_ESMM = 0x40 };
enum { CASCADE = 2 };

struct pic {
    uint8_t lines; /* input levels */
    uint8_t irr, isr, imr;
    uint8_t elcr;   /* level-triggered inputs */
    uint8_t base;   /* vector of input 0 */
    uint8_t lowest; /* input of lowest priority: rotation */
    uint8_t init;   /* next ICW awaited: 1 to 4; 0: initialized */
    uint8_t icw1, icw4;
    bool read_isr, poll, special_mask, rotate_aeoi;
};

struct i8259 {
    struct device dev; /* must be first */
    struct pic pic[2]; /* master, slave */
    struct irq output;
    bool intr; /* what output was last told */
};

static const struct state_field pic_fields[] = {
    STATE_U8(struct pic, lines),
    STATE_U8(struct pic, irr),
    STATE_U8(struct pic, isr),
    STATE_U8(struct pic, imr),
    STATE_U8(struct pic, elcr),
    STATE_U8(struct pic, base),
    STATE_U8(struct pic, lowest),
    STATE_U8(struct pic, init),
    STATE_U8(struct pic, icw1),
    STATE_U8(struct pic, icw4),
    STATE_BOOL(struct pic, read_isr),
    STATE_BOOL(struct pic, poll),
    STATE_BOOL(struct pic, special_mask),
    STATE_BOOL(struct pic, rotate_aeoi),
    STATE_END,
};

static const struct state_field i8259_fields[] = {
    STATE_STRUCT(struct i8259, pic, 2, pic_fields),
    STATE_END,
};

/* ---- priorities ---- */

/* The set input of highest priority, or -1. */
static int highest(const struct pic *p, uint8_t set)
{
    for (unsigned i = 1; i <= 8; i++) {
        unsigned n = (p->lowest + i) & 7;
        if (set >> n & 1) {
            return (int)n;
        }
    }
    return -1;
}

static unsigned rank(const struct pic *p, unsigned n)
{
    return (n - p->lowest - 1) & 7; /* 0 is the highest priority */
}

static bool is_level(const struct pic *p, unsigned n)
{
    return (p->elcr >> n & 1) || (p->icw1 & ICW1_LTIM);
}

/* The input that would be served now, or -1. */
static int pending(const struct i8259 *s, unsigned which)
{
    const struct pic *p = &s->pic[which];
    int n = highest(p, p->irr & (uint8_t)~p->imr);
    uint8_t blocking = p->isr;

    if (n < 0 || p->init) {
        return -1;
    }
    if (p->special_mask) { /* a masked input in service does not hold back the lower ones */
        blocking &= (uint8_t)~p->imr;
    }
    if ((p->icw4 & ICW4_SFNM) && which == 0) {
        blocking &= (uint8_t) ~(1u << CASCADE); /* the slave may interrupt itself */
    }
    int busy = highest(p, blocking);
    return busy >= 0 && rank(p, (unsigned)busy) <= rank(p, (unsigned)n) ? -1 : n;
}

static void set_line(struct pic *p, unsigned n, bool level)
{
    uint8_t bit = (uint8_t)(1u << n);
    bool rising = level && !(p->lines & bit);

    p->lines = (uint8_t)(level ? p->lines | bit : p->lines & ~bit);
    if (is_level(p, n)) {
        p->irr = (uint8_t)(level ? p->irr | bit : p->irr & ~bit);
    } else if (rising) {
        p->irr |= bit;
    }
}

static void update(struct i8259 *s)
{
    bool slave = pending(s, 1) >= 0;

    set_line(&s->pic[0], CASCADE, slave);
    if (!slave) {
        s->pic[0].irr &= (uint8_t) ~(1u << CASCADE); /* the cascade is not a latch */
    }
    bool intr = pending(s, 0) >= 0;
    if (intr != s->intr) {
        s->intr = intr;
        irq_set(&s->output, intr);
    }
}

void i8259_set_irq(void *opaque, int n, int level)
{
    struct i8259 *s = opaque;

    if (n == CASCADE) {
        return;
    }
    set_line(&s->pic[n >> 3 & 1], (unsigned)n & 7, level != 0);
    update(s);
}

void i8259_set_output(struct device *d, struct irq output)
{
    struct i8259 *s = (struct i8259 *)d;

    s->output = output;
    irq_set(&s->output, s->intr);
}

bool i8259_pending(struct device *d)
{
    return ((struct i8259 *)d)->intr;
}

/* ---- acknowledge ---- */

static void begin_service(struct pic *p, unsigned n)
{
    uint8_t bit = (uint8_t)(1u << n);

    if (!is_level(p, n)) {
        p->irr &= (uint8_t)~bit;
    }
    if (p->icw4 & ICW4_AEOI) {
        if (p->rotate_aeoi) {
            p->lowest = (uint8_t)n;
        }
    } else {
        p->isr |= bit;
    }
}

int i8259_ack(struct device *d)
{
    struct i8259 *s = (struct i8259 *)d;
    int n = pending(s, 0), vector;

    if (n < 0) {
        n = 7; /* spurious: not in service */
        vector = s->pic[0].base + 7;
    } else if (n == CASCADE) {
        int k = pending(s, 1);
        vector = s->pic[1].base + (k < 0 ? 7 : k);
        begin_service(&s->pic[0], CASCADE);
        if (k >= 0) {
            begin_service(&s->pic[1], (unsigned)k);
        }
    } else {
        begin_service(&s->pic[0], (unsigned)n);
        vector = s->pic[0].base + n;
    }
    update(s);
    log_trace(d->machine->log, i8259_ack, "vector %02x", vector);
    return vector;
}

/* ---- registers ---- */

static void start_init(struct pic *p, uint8_t v)
{
    p->icw1 = v;
    p->icw4 = 0;
    p->imr = p->isr = 0;
    p->irr = 0; /* edges must come again; level inputs are seen below */
    p->lowest = 7;
    p->read_isr = p->poll = p->special_mask = p->rotate_aeoi = false;
    p->init = 2;
    for (unsigned n = 0; n < 8; n++) {
        if (is_level(p, n) && (p->lines >> n & 1)) {
            p->irr |= (uint8_t)(1u << n);
        }
    }
}

static void write_ocw2(struct pic *p, uint8_t v)
{
    unsigned n = v & 7;
    int busy;

    switch (v >> 5) {
    case 0: /* rotate in automatic EOI mode: clear */
    case 4: /* set */
        p->rotate_aeoi = v >> 7;
        break;
    case 1: /* non-specific EOI */
    case 5: /* and rotate */
        /* In special mask mode masked inputs in service are skipped. */
        busy = highest(p, p->special_mask ? p->isr & (uint8_t)~p->imr : p->isr);
        if (busy >= 0) {
            p->isr &= (uint8_t) ~(1u << busy);
            if (v & 0x80) {
                p->lowest = (uint8_t)busy;
            }
        }
        break;
    case 7: /* specific EOI and rotate */
        p->lowest = (uint8_t)n;
        /* fall through */
    case 3: /* specific EOI */
        p->isr &= (uint8_t) ~(1u << n);
        break;
    case 6: /* set priority */
        p->lowest = (uint8_t)n;
        break;
    default: /* 2: no operation */
        break;
    }
}

static void write_command(struct pic *p, uint8_t v)
{
    if (v & ICW1) {
        start_init(p, v);
    } else if (v & OCW3) {
        if (v & OCW3_POLL) {
            p->poll = true;
        }
        if (v & OCW3_RR) {
            p->read_isr = v & OCW3_RIS;
        }
        if (v & OCW3_ESMM) {
            p->special_mask = v & OCW3_SMM;
        }
    } else {
        write_ocw2(p, v);
    }
}

static void write_data(struct pic *p, uint8_t v)
{
    switch (p->init) {
    case 0:
    case 1:
        p->imr = v;
        break;
    case 2:
        p->base = v & 0xf8;
        p->init = p->icw1 & ICW1_SNGL ? (p->icw1 & ICW1_IC4 ? 4 : 0) : 3;
        break;
    case 3: /* the wiring is fixed */
        p->init = p->icw1 & ICW1_IC4 ? 4 : 0;
        break;
    default:
        p->icw4 = v;
        p->init = 0;
        break;
    }
}

static void pic_write(struct i8259 *s, unsigned which, uint64_t offset, uint64_t value)
{
    if (offset) {
        write_data(&s->pic[which], (uint8_t)value);
    } else {
        write_command(&s->pic[which], (uint8_t)value);
    }
    update(s);
}

static uint64_t pic_read(struct i8259 *s, unsigned which, uint64_t offset)
{
    struct pic *p = &s->pic[which];

    if (p->poll) { /* a read stands for the acknowledge */
        int n = pending(s, which);
        p->poll = false;
        if (n < 0) {
            return 0;
        }
        begin_service(p, (unsigned)n);
        if (which == 1) {
            s->pic[0].isr &= (uint8_t) ~(1u << CASCADE);
        }
        update(s);
        return 0x80u | (unsigned)n;
    }
    return offset ? p->imr : p->read_isr ? p->isr : p->irr;
}

static uint64_t master_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    return pic_read(opaque, 0, offset);
}

static uint64_t slave_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    return pic_read(opaque, 1, offset);
}

static void master_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    pic_write(opaque, 0, offset, value);
}

static void slave_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    pic_write(opaque, 1, offset, value);
}

static uint64_t elcr_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8259 *s = opaque;

    (void)size;
    return s->pic[offset].elcr;
}

static void elcr_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    static const uint8_t programmable[2] = {0xf8, 0xde}; /* not 0, 1, 2, 8, 13 */
    struct i8259 *s = opaque;
    struct pic *p = &s->pic[offset];

    (void)size;
    uint8_t changed = p->elcr;
    p->elcr = (uint8_t)value & programmable[offset];
    changed ^= p->elcr;
    p->irr = (uint8_t)((p->irr & ~(changed & p->elcr)) | (p->lines & changed & p->elcr));
    update(s);
}

static const struct mmio_ops master_ops = {master_read, master_write, 1, 1};
static const struct mmio_ops slave_ops = {slave_read, slave_write, 1, 1};
static const struct mmio_ops elcr_ops = {elcr_read, elcr_write, 1, 1};

/* ---- life ---- */

static void i8259_loaded(void *obj)
{
    struct i8259 *s = obj;

    s->intr = pending(s, 0) >= 0;
    irq_set(&s->output, s->intr);
}

static const struct state_table i8259_state = {1, i8259_fields, i8259_loaded};

static void i8259_reset(struct device *d)
{
    struct i8259 *s = (struct i8259 *)d;

    for (unsigned i = 0; i < 2; i++) {
        uint8_t lines = s->pic[i].lines; /* the wires are not ours to reset */
        s->pic[i] = (struct pic){.lines = lines, .lowest = 7, .init = 1};
    }
    update(s);
}

static bool i8259_realize(struct device *d, struct error *err)
{
    return isa_claim_ports(d, 0x20, 2, &master_ops, d, err) &&
           isa_claim_ports(d, 0xa0, 2, &slave_ops, d, err) &&
           isa_claim_ports(d, 0x4d0, 2, &elcr_ops, d, err);
}

const struct device_type i8259_type = {
    .name = "i8259",
    .summary = "8259A interrupt controllers",
    .bus = BUS_SYSTEM,
    .size = sizeof(struct i8259),
    .state = &i8259_state,
    .realize = i8259_realize,
    .reset = i8259_reset,
};
