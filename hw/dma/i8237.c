/* Two cascaded 8237A DMA controllers (ports 00, C0) and their page registers (80..8F). Intel data
 * sheet 231466; page registers: 82371SB data sheet 290550.
 *
 * A device moves its bytes when it has them (i8237_transfer); requests, acknowledge lines and the
 * bus cycles themselves are not modelled. Memory to memory transfers, compressed timing and
 * rotating priority are not there: what the guest writes for them is ignored. Port 80, a spare page
 * register, also takes POST codes. */
#include "hw/dma/i8237.h"
#include "hw/isa/isa.h"

#include <string.h>

enum { CMD_DISABLE = 4 };
enum { MODE_TYPE = 0x0c, MODE_WRITE = 0x04, MODE_READ = 0x08, MODE_AUTO = 0x10, MODE_DOWN = 0x20 };

struct dma_channel {
    uint16_t base_addr, base_count, addr, count; /* 5..7: addr and count in words */
    uint8_t mode;
    void (*ready)(void *opaque);
    void *ready_opaque;
};

struct dma {
    struct dma_channel ch[4];
    uint8_t command, mask, status, request; /* status: terminal counts */
    bool high;                              /* byte pointer flip-flop */
};

struct i8237 {
    struct device dev; /* must be first */
    struct dma dma[2]; /* channels 0..3, 4..7 */
    uint8_t page[16];
};

static const struct state_field dma_channel_fields[] = {
    STATE_U16(struct dma_channel, base_addr), STATE_U16(struct dma_channel, base_count),
    STATE_U16(struct dma_channel, addr),      STATE_U16(struct dma_channel, count),
    STATE_U8(struct dma_channel, mode),       STATE_END,
};
static const struct state_field dma_fields[] = {
    STATE_STRUCT(struct dma, ch, 4, dma_channel_fields),
    STATE_U8(struct dma, command),
    STATE_U8(struct dma, mask),
    STATE_U8(struct dma, status),
    STATE_U8(struct dma, request),
    STATE_BOOL(struct dma, high),
    STATE_END,
};
static const struct state_field i8237_fields[] = {
    STATE_STRUCT(struct i8237, dma, 2, dma_fields),
    STATE_BYTES(struct i8237, page),
    STATE_END,
};
static const struct state_table i8237_state = {1, i8237_fields, NULL}; /* nothing is derived */

/* ---- transfers ---- */

uint32_t i8237_transfer(struct device *d, unsigned channel, void *buf, uint32_t len, bool to_memory,
                        bool *tc)
{
    static const uint8_t page_of[8] = {7, 3, 1, 2, 0, 0x0b, 9, 0x0a};
    struct i8237 *s = (struct i8237 *)d;
    struct dma *dma = &s->dma[channel >> 2 & 1];
    struct dma_channel *c = &dma->ch[channel & 3];
    unsigned wide = channel >= 4, unit = 1u << wide;
    uint8_t type = c->mode & MODE_TYPE, *bytes = buf;
    uint32_t done = 0;

    *tc = false;
    if ((dma->command & CMD_DISABLE) || (dma->mask >> (channel & 3) & 1) ||
        (type && type != (to_memory ? MODE_WRITE : MODE_READ))) {
        return 0;
    }
    while (done + unit <= len && !*tc) {
        uint64_t addr = (uint64_t)s->page[page_of[channel & 7]] << 16;
        addr = wide ? (addr & ~UINT64_C(0x1ffff)) | (uint64_t)c->addr << 1 : addr | c->addr;
        if (type == MODE_WRITE) {
            memory_write(d->machine->memory, addr, bytes + done, unit);
        } else if (type == MODE_READ) {
            memory_read(d->machine->memory, addr, bytes + done, unit);
        }
        done += unit;
        c->addr += c->mode & MODE_DOWN ? -1 : 1;
        *tc = c->count-- == 0;
    }
    if (*tc) {
        dma->status |= (uint8_t)(1u << (channel & 3));
        if (c->mode & MODE_AUTO) {
            c->addr = c->base_addr;
            c->count = c->base_count;
        } else {
            dma->mask |= (uint8_t)(1u << (channel & 3));
        }
    }
    return done;
}

void i8237_set_ready(struct device *d, unsigned channel, void (*ready)(void *opaque), void *opaque)
{
    struct dma_channel *c = &((struct i8237 *)d)->dma[channel >> 2 & 1].ch[channel & 3];

    c->ready = ready;
    c->ready_opaque = opaque;
}

static void tell_ready(struct dma *dma)
{
    for (unsigned n = 0; n < 4; n++) {
        if (!(dma->command & CMD_DISABLE) && !(dma->mask >> n & 1) && dma->ch[n].ready) {
            dma->ch[n].ready(dma->ch[n].ready_opaque);
        }
    }
}

/* ---- registers; reg 0..7 channels, 8..15 control ---- */

static uint8_t dma_read(struct dma *dma, unsigned reg)
{
    if (reg < 8) {
        uint16_t v = reg & 1 ? dma->ch[reg >> 1].count : dma->ch[reg >> 1].addr;
        dma->high = !dma->high;
        return (uint8_t)(dma->high ? v : v >> 8);
    }
    if (reg == 8) {
        uint8_t v = dma->status;
        dma->status = 0; /* terminal counts are cleared by reading */
        return v;
    }
    return reg == 15 ? 0xf0 | dma->mask
                     : 0; /* 13: temporary register, of memory to memory transfers */
}

static void write_half(uint16_t *current, uint16_t *base, bool high, uint8_t v)
{
    *base = (uint16_t)(high ? (*base & 0x00ff) | v << 8 : (*base & 0xff00) | v);
    *current = *base;
}

static void dma_write(struct dma *dma, unsigned reg, uint8_t v)
{
    struct dma_channel *c = &dma->ch[reg < 8 ? reg >> 1 : v & 3];
    uint8_t bit = (uint8_t)(1u << (v & 3));

    switch (reg) {
    case 8:
        dma->command = v;
        break;
    case 9:
        dma->request = v & 4 ? dma->request | bit : dma->request & (uint8_t)~bit;
        break;
    case 10:
        dma->mask = v & 4 ? dma->mask | bit : dma->mask & (uint8_t)~bit;
        break;
    case 11:
        c->mode = v & 0xfc;
        break;
    case 12:
        dma->high = false;
        break;
    case 13: /* master clear */
        dma->command = dma->status = dma->request = 0;
        dma->mask = 15;
        dma->high = false;
        break;
    case 14:
        dma->mask = 0;
        break;
    case 15:
        dma->mask = v & 15;
        break;
    default:
        if (reg & 1) {
            write_half(&c->count, &c->base_count, dma->high, v);
        } else {
            write_half(&c->addr, &c->base_addr, dma->high, v);
        }
        dma->high = !dma->high;
        return;
    }
    tell_ready(dma);
}

static uint64_t low_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    return dma_read(&((struct i8237 *)opaque)->dma[0], (unsigned)offset);
}

static void low_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    dma_write(&((struct i8237 *)opaque)->dma[0], (unsigned)offset, (uint8_t)value);
}

static uint64_t high_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    return dma_read(&((struct i8237 *)opaque)->dma[1], (unsigned)offset >> 1);
}

static void high_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    dma_write(&((struct i8237 *)opaque)->dma[1], (unsigned)offset >> 1, (uint8_t)value);
}

static uint64_t page_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    return ((struct i8237 *)opaque)->page[offset];
}

static void page_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    ((struct i8237 *)opaque)->page[offset] = (uint8_t)value;
}

static const struct mmio_ops low_ops = {low_read, low_write, 1, 1};
static const struct mmio_ops high_ops = {high_read, high_write, 1, 1};
static const struct mmio_ops page_ops = {page_read, page_write, 1, 1};

/* ---- life ---- */

static void i8237_reset(struct device *d)
{
    struct i8237 *s = (struct i8237 *)d;

    for (unsigned i = 0; i < 2; i++) {
        dma_write(&s->dma[i], 13, 0);
        for (unsigned n = 0; n < 4; n++) {
            struct dma_channel *c = &s->dma[i].ch[n];
            c->base_addr = c->base_count = c->addr = c->count = 0;
            c->mode = 0;
        }
    }
    memset(s->page, 0, sizeof(s->page));
}

static bool i8237_realize(struct device *d, struct error *err)
{
    isa_bus(d->machine)->dma = d;
    return isa_claim_ports(d, 0x00, 16, &low_ops, d, err) &&
           isa_claim_ports(d, 0xc0, 32, &high_ops, d, err) &&
           isa_claim_ports(d, 0x80, 16, &page_ops, d, err);
}

const struct device_type i8237_type = {
    .name = "i8237",
    .summary = "8237A DMA controllers",
    .bus = BUS_SYSTEM,
    .size = sizeof(struct i8237),
    .state = &i8237_state,
    .realize = i8237_realize,
    .reset = i8237_reset,
};
