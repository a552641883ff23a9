/* IDE function of the PIIX3 (82371SB, PCI 8086:7010): two channels at the legacy ports with
 * bus-master DMA (Programming Interface for Bus Master IDE Controller, revision 1.0). */
#include "hw/ide/piix3_ide.h"
#include "hw/ide/ide.h"
#include "hw/isa/isa.h"
#include "hw/pci/pci.h"

#include <string.h>

enum {
    BM_START = 1,
    BM_TO_MEMORY = 8,
    BMS_ACTIVE = 1,
    BMS_ERROR = 2,
    BMS_IRQ = 4,
    BMS_CAPABLE = 0x60
};

struct bus_master {
    struct piix3_ide *ide;
    struct ide_channel channel;
    uint8_t command, status;
    uint32_t table;
    /* place in the PRD table of the running transfer */
    uint32_t next, base, left;
    bool last;
};

struct piix3_ide {
    struct pci_device pci;
    struct bus_master bm[2];
};

static const struct state_field bm_fields[] = {
    STATE_U8(struct bus_master, command),
    STATE_U8(struct bus_master, status),
    STATE_U32(struct bus_master, table),
    STATE_U32(struct bus_master, next),
    STATE_U32(struct bus_master, base),
    STATE_U32(struct bus_master, left),
    STATE_BOOL(struct bus_master, last),
    STATE_STRUCT(struct bus_master, channel, 1, ide_channel_fields),
    STATE_END,
};
static const struct state_field piix3_ide_fields[] = {
    STATE_BYTES(struct piix3_ide, pci.config),
    STATE_STRUCT(struct piix3_ide, bm, 2, bm_fields),
    STATE_END,
};
static const struct state_table piix3_ide_state = {1, piix3_ide_fields, NULL};

/* ---- what the channel asks of the bus master ---- */

static bool bm_started(void *opaque)
{
    const struct bus_master *b = opaque;
    return b->command & BM_START;
}

static bool next_region(struct bus_master *b)
{
    uint8_t prd[8];

    if (b->last || !pci_dma_read(&b->ide->pci, b->next, prd, sizeof(prd))) {
        return false;
    }
    b->base =
        (uint32_t)prd[0] | (uint32_t)prd[1] << 8 | (uint32_t)prd[2] << 16 | (uint32_t)prd[3] << 24;
    b->left = (uint32_t)prd[4] | (uint32_t)prd[5] << 8;
    b->left = b->left ? b->left & 0xfffe : 0x10000;
    b->last = prd[7] & 0x80;
    b->next += 8;
    return true;
}

static bool bm_transfer(void *opaque, void *buf, uint32_t len, bool to_memory)
{
    struct bus_master *b = opaque;
    uint8_t *p = buf;

    while (len) {
        if (!b->left && !next_region(b)) {
            return false;
        }
        uint32_t n = len < b->left ? len : b->left;
        bool ok = to_memory ? pci_dma_write(&b->ide->pci, b->base, p, n)
                            : pci_dma_read(&b->ide->pci, b->base, p, n);
        if (!ok) {
            log_at(b->ide->pci.dev.machine->log, LOG_GUEST_ERROR, "ide: DMA to %#x is not RAM\n",
                   b->base);
        }
        b->base += n;
        b->left -= n;
        p += n;
        len -= n;
    }
    return true;
}

static void bm_irq(void *opaque)
{
    struct bus_master *b = opaque;
    b->status |= BMS_IRQ;
}

static void bm_done(void *opaque, bool error)
{
    struct bus_master *b = opaque;

    b->status |= error ? BMS_ERROR : 0;
    if (error || (b->last && !b->left)) {
        b->status &= (uint8_t)~BMS_ACTIVE; /* else the table holds more than was asked for */
    }
}

/* ---- registers ---- */

static uint64_t bm_read(void *opaque, uint64_t offset, unsigned size)
{
    struct piix3_ide *ide = opaque;
    const struct bus_master *b = &ide->bm[offset >> 3 & 1];
    unsigned reg = offset & 7;

    if (reg >= 4) {
        return b->table >> 8 * (reg - 4);
    }
    if (size == 4) {
        return b->command | (uint32_t)b->status << 16;
    }
    return reg == 0 ? b->command : reg == 2 ? b->status : 0;
}

static void write_command(struct bus_master *b, uint8_t v)
{
    bool start = (v & BM_START) && !(b->command & BM_START);

    b->command = v & (BM_START | BM_TO_MEMORY);
    if (!(v & BM_START)) {
        b->status &= (uint8_t)~BMS_ACTIVE;
    }
    if (start) {
        b->status |= BMS_ACTIVE;
        b->next = b->table;
        b->left = 0;
        b->last = false;
        ide_dma_start(&b->channel);
    }
}

static void bm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct piix3_ide *ide = opaque;
    struct bus_master *b = &ide->bm[offset >> 3 & 1];
    unsigned reg = offset & 7;

    if (reg >= 4) {
        uint32_t shift = 8 * (reg - 4), mask = size == 4 ? 0xffffffff : (1u << 8 * size) - 1;
        b->table = ((b->table & ~(mask << shift)) | ((uint32_t)value & mask) << shift) & ~3u;
    } else if (reg == 0) {
        write_command(b, (uint8_t)value);
        if (size >= 4) {
            value >>= 16;
            b->status = (uint8_t)((b->status & (BMS_ACTIVE | BMS_ERROR | BMS_IRQ) & ~value) |
                                  (b->status & BMS_ACTIVE) | (value & BMS_CAPABLE));
        }
    } else if (reg == 2) {
        uint8_t v = (uint8_t)value;
        b->status = (uint8_t)((b->status & BMS_ACTIVE) | (b->status & (BMS_ERROR | BMS_IRQ) & ~v) |
                              (v & BMS_CAPABLE));
    }
}

static uint64_t command_read(void *opaque, uint64_t offset, unsigned size)
{
    return ide_read(opaque, (unsigned)offset, size);
}

static void command_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    ide_write(opaque, (unsigned)offset, value, size);
}

static uint64_t control_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)offset;
    (void)size;
    return ide_alt_status(opaque);
}

static void control_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)offset;
    (void)size;
    ide_write_control(opaque, (uint8_t)value);
}

static const struct mmio_ops bm_ops = {bm_read, bm_write, 1, 4};
static const struct mmio_ops command_ops = {command_read, command_write, 1, 4};
static const struct mmio_ops control_ops = {control_read, control_write, 1, 1};

/* ---- life ---- */

static void piix3_ide_reset(struct device *dev)
{
    struct piix3_ide *ide = container_of(dev, struct piix3_ide, pci.dev);

    for (unsigned i = 0; i < 2; i++) {
        struct bus_master *b = &ide->bm[i];
        b->command = b->status = 0;
        b->table = b->next = b->base = b->left = 0;
        b->last = false;
        ide_channel_reset(&b->channel);
    }
    /* Timing registers: both channels decoded. */
    ide->pci.config[0x41] = ide->pci.config[0x43] = 0x80;
}

static bool piix3_ide_realize(struct device *dev, struct error *err)
{
    static const uint16_t command_port[2] = {0x1f0, 0x170}, control_port[2] = {0x3f6, 0x376};
    static const uint8_t irq[2] = {14, 15};
    struct piix3_ide *ide = container_of(dev, struct piix3_ide, pci.dev);

    if (!pci_register(&ide->pci, PIIX3_IDE_DEVFN, err)) {
        return false;
    }
    for (unsigned n = 0x40; n <= 0x43; n++) {
        ide->pci.wmask[n] = 0xff;
    }
    pci_set_bar_mmio(&ide->pci, 4, 16, true, &bm_ops, ide);
    for (unsigned i = 0; i < 2; i++) {
        struct bus_master *b = &ide->bm[i];
        b->ide = ide;
        ide_channel_init(&b->channel, dev->machine);
        b->channel.irq = *isa_irq(dev->machine, irq[i]);
        b->channel.bm = b;
        b->channel.bm_started = bm_started;
        b->channel.bm_transfer = bm_transfer;
        b->channel.bm_irq = bm_irq;
        b->channel.bm_done = bm_done;
        if (!isa_claim_ports(dev, command_port[i], 8, &command_ops, &b->channel, err) ||
            !isa_claim_ports(dev, control_port[i], 1, &control_ops, &b->channel, err)) {
            return false;
        }
    }
    return true;
}

static void piix3_ide_destroy(struct device *dev)
{
    struct piix3_ide *ide = container_of(dev, struct piix3_ide, pci.dev);

    ide_channel_destroy(&ide->bm[0].channel);
    ide_channel_destroy(&ide->bm[1].channel);
}

static const struct pci_info piix3_ide_info = {
    .vendor = 0x8086,
    .device = 0x7010,
    .class = 1,
    .subclass = 1,
    .prog_if = 0x80,
};

const struct device_type piix3_ide_type = {
    .name = "piix3-ide",
    .summary = "PIIX3 IDE controller with bus-master DMA",
    .bus = BUS_PCI,
    .size = sizeof(struct piix3_ide),
    .state = &piix3_ide_state,
    .realize = piix3_ide_realize,
    .reset = piix3_ide_reset,
    .destroy = piix3_ide_destroy,
    .bus_info = &piix3_ide_info,
};

struct ide_channel *piix3_ide_channel(struct machine *m, unsigned n)
{
    struct device *d = device_find_type(m, &piix3_ide_type);
    return d ? &container_of(d, struct piix3_ide, pci.dev)->bm[n & 1].channel : NULL;
}
