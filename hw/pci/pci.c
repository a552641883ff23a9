/* PCI functions and their bus: configuration space, base address registers, INTx. PCI Local Bus
 * Specification 3.0, chapters 2.2.6, 6.1, 6.2.
 *
 * Not modelled: bridges with secondary buses, parity and SERR#, MSI. MSI-X is in
 * hw/pci/msix.c. */
#include "hw/pci/pci.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PCI_VENDOR = 0x00,
    PCI_DEVICE = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_PROG_IF = 0x09,
    PCI_SUBCLASS = 0x0a,
    PCI_CLASS = 0x0b,
    PCI_CACHE_LINE = 0x0c,
    PCI_LATENCY = 0x0d,
    PCI_HEADER = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBVENDOR = 0x2c,
    PCI_SUBSYSTEM = 0x2e,
    PCI_ROM = 0x30,
    PCI_CAP = 0x34,
    PCI_LINE = 0x3c,
    PCI_PIN = 0x3d,
};
enum {
    CMD_IO = 1,
    CMD_MEM = 2,
    CMD_MASTER = 4,
    CMD_PARITY = 0x40,
    CMD_SERR = 0x100,
    CMD_NO_INTX = 0x400,
    STATUS_INTX = 8,
    STATUS_CAP = 0x10,
    STATUS_W1C = 0xf900,
};
enum { MAX_LINES = 32, ROM_BAR = 6, NBARS = 7 };

struct pci_bus {
    struct machine *machine;
    unsigned number;
    struct pci_device *slot[256];
    int (*map_irq)(struct pci_device *p, int pin);
    struct irq lines[MAX_LINES];
    unsigned nlines;
    unsigned asserted[MAX_LINES]; /* devices that drive the line */
};

const struct state_field pci_state_fields[] = {
    STATE_BYTES(struct pci_device, config),
    STATE_U32(struct pci_device, irq_level),
    STATE_END,
};

uint16_t pci_get16(const struct pci_device *p, unsigned offset)
{
    return (uint16_t)(p->config[offset] | p->config[offset + 1] << 8);
}

uint32_t pci_get32(const struct pci_device *p, unsigned offset)
{
    return pci_get16(p, offset) | (uint32_t)pci_get16(p, offset + 2) << 16;
}

void pci_set16(struct pci_device *p, unsigned offset, uint16_t value)
{
    p->config[offset] = (uint8_t)value;
    p->config[offset + 1] = (uint8_t)(value >> 8);
}

void pci_set32(struct pci_device *p, unsigned offset, uint32_t value)
{
    pci_set16(p, offset, (uint16_t)value);
    pci_set16(p, offset + 2, (uint16_t)(value >> 16));
}

static void set_mask32(uint8_t *mask, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        mask[i] = (uint8_t)(value >> (8 * i));
    }
}

/* ---- registration ---- */

static int free_slot(struct pci_bus *b)
{
    for (int slot = 0; slot < 32; slot++) {
        bool used = false;
        for (int fn = 0; fn < 8; fn++) {
            used = used || b->slot[slot << 3 | fn];
        }
        if (!used) {
            return slot << 3;
        }
    }
    return -1;
}

bool pci_register(struct pci_device *p, int devfn, struct error *err)
{
    const struct pci_info *info = p->dev.type->bus_info;
    struct pci_bus *b = pci_root(p->dev.machine);
    const char *name = p->dev.type->name;

    if (!b) {
        return error_set(err, "%s: this machine has no PCI bus", name);
    }
    if (devfn < 0) {
        devfn = free_slot(b);
        if (devfn < 0) {
            return error_set(err, "%s: the PCI bus has no free slot", name);
        }
    }
    if (devfn > 255) {
        return error_set(err, "%s: PCI address %d.%d is not in 0.0 to 31.7", name, devfn >> 3,
                         devfn & 7);
    }
    if (b->slot[devfn]) {
        return error_set(err, "%s: PCI slot %d.%d is taken by %s", name, devfn >> 3, devfn & 7,
                         b->slot[devfn]->dev.type->name);
    }
    p->bus = b;
    p->devfn = (uint8_t)devfn;
    b->slot[devfn] = p;

    pci_set16(p, PCI_VENDOR, info->vendor);
    pci_set16(p, PCI_DEVICE, info->device);
    p->config[PCI_REVISION] = info->revision;
    p->config[PCI_PROG_IF] = info->prog_if;
    p->config[PCI_SUBCLASS] = info->subclass;
    p->config[PCI_CLASS] = info->class;
    p->config[PCI_HEADER] = info->multifunction ? 0x80 : 0;
    pci_set16(p, PCI_SUBVENDOR, info->subsystem_vendor);
    pci_set16(p, PCI_SUBSYSTEM, info->subsystem);
    p->config[PCI_PIN] = info->interrupt_pin;

    p->wmask[PCI_COMMAND] |= CMD_IO | CMD_MEM | CMD_MASTER | CMD_PARITY;
    p->wmask[PCI_COMMAND + 1] |= (CMD_SERR | CMD_NO_INTX) >> 8;
    p->w1cmask[PCI_STATUS + 1] |= STATUS_W1C >> 8;
    p->wmask[PCI_CACHE_LINE] = 0xff;
    p->wmask[PCI_LATENCY] = 0xff;
    p->wmask[PCI_LINE] = 0xff;
    return true;
}

static unsigned bar_offset(unsigned n)
{
    return n == ROM_BAR ? PCI_ROM : PCI_BAR0 + 4 * n;
}

/* The constant low bits: space, width, prefetchability. */
static uint8_t bar_type(const struct pci_bar *bar, unsigned n)
{
    if (n == ROM_BAR) {
        return 0;
    }
    return bar->io ? 1 : (uint8_t)((bar->prefetch ? 8 : 0) | (bar->is64 ? 4 : 0));
}

static void setup_bar(struct pci_device *p, unsigned n)
{
    struct pci_bar *bar = &p->bar[n];
    unsigned off = bar_offset(n);
    uint64_t mask = ~(bar->size - 1);

    if (n == ROM_BAR) {
        set_mask32(p->wmask + off, (uint32_t)mask | 1);
        return;
    }
    if (bar->io) {
        p->config[off] = bar_type(bar, n);
        set_mask32(p->wmask + off, (uint32_t)mask & ~3u);
        return;
    }
    p->config[off] = bar_type(bar, n);
    set_mask32(p->wmask + off, (uint32_t)mask & ~15u);
    if (bar->is64) {
        set_mask32(p->wmask + off + 4, (uint32_t)(mask >> 32));
    }
}

bool pci_parse_address(const char *bus, const char *addr, int *devfn, struct error *err)
{
    unsigned long slot, fn = 0;
    char *end;

    *devfn = -1;
    if (bus && strcmp(bus, "pci.0") && strcmp(bus, "pci")) {
        return error_set(err, "bus=%s: this machine's only PCI bus is pci.0", bus);
    }
    if (!addr) {
        return true;
    }
    slot = strtoul(addr, &end, 16);
    bool good = end != addr && addr[0] != '-';
    if (good && *end == '.') {
        const char *dot = end + 1;
        fn = strtoul(dot, &end, 16);
        good = end != dot;
    }
    if (!good || *end || slot > 31 || fn > 7) {
        return error_set(err, "addr=%s is not a PCI slot (0 to 1f) or slot.function", addr);
    }
    *devfn = (int)(slot << 3 | fn);
    return true;
}

void pci_set_bar_mmio(struct pci_device *p, unsigned n, uint64_t size, bool io,
                      const struct mmio_ops *ops, void *opaque)
{
    struct pci_bar *bar = &p->bar[n];

    bar->size = size;
    bar->io = io;
    bar->ops = ops;
    bar->opaque = opaque;
    setup_bar(p, n);
}

void pci_set_bar_ram(struct pci_device *p, unsigned n, struct ram *ram, bool prefetch)
{
    struct pci_bar *bar = &p->bar[n];

    bar->size = ram->size;
    bar->ram = ram;
    bar->prefetch = prefetch;
    setup_bar(p, n);
}

unsigned pci_add_capability(struct pci_device *p, uint8_t id, unsigned size)
{
    unsigned at = p->cap_end ? p->cap_end : 0x40;

    if (at + size > 256) {
        return 0;
    }
    p->cap_end = (uint16_t)((at + size + 3) & ~3u);
    p->config[at] = id;
    p->config[at + 1] = p->config[PCI_CAP];
    p->config[PCI_CAP] = (uint8_t)at;
    p->config[PCI_STATUS] |= STATUS_CAP;
    return at;
}

/* ---- BARs ---- */

static uint64_t bar_address(const struct pci_device *p, unsigned n)
{
    const struct pci_bar *bar = &p->bar[n];
    unsigned off = bar_offset(n);
    uint32_t low = pci_get32(p, off);
    uint16_t cmd = pci_get16(p, PCI_COMMAND);
    uint64_t addr, limit;

    if (bar->io) {
        addr = low & ~3u;
        limit = 0xffff;
    } else if (n == ROM_BAR) {
        addr = low & 1 ? low & ~0x7ffu : 0;
        limit = 0xffffffff;
    } else {
        addr = low & ~15u;
        limit = 0xffffffff;
        if (bar->is64) {
            addr |= (uint64_t)pci_get32(p, off + 4) << 32;
            limit = INT64_MAX;
        }
    }
    /* While its size is probed a BAR shows an address that ends at the limit: nothing lives there.
     */
    if (!(cmd & (bar->io ? CMD_IO : CMD_MEM)) || !addr || addr > limit - bar->size) {
        return 0;
    }
    return addr;
}

static void map_bar(struct pci_device *p, struct pci_bar *bar, uint64_t addr)
{
    struct memory *mem = p->dev.machine->memory;
    const char *name = p->dev.type->name;

    if (bar->io) {
        bar->map =
            ioport_map(mem, (uint16_t)addr, (unsigned)bar->size, name, bar->ops, bar->opaque);
    } else if (bar->ram) {
        bar->map = memory_map_ram(mem, IN_BOTH, addr, bar->size, bar->ram, 0,
                                  bar == &p->bar[ROM_BAR], MAP_PRIO_PCI);
    } else {
        bar->map = memory_map_mmio(mem, IN_BOTH, addr, bar->size, name, bar->ops, bar->opaque,
                                   MAP_PRIO_PCI);
    }
}

static void update_bars(struct pci_device *p)
{
    for (unsigned n = 0; n < NBARS; n++) {
        struct pci_bar *bar = &p->bar[n];
        uint64_t addr = bar->size ? bar_address(p, n) : 0;
        if (!bar->size || addr == bar->addr) {
            continue;
        }
        if (bar->map) {
            mapping_remove(bar->map);
            bar->map = NULL;
        }
        bar->addr = addr;
        if (addr) {
            map_bar(p, bar, addr);
        }
    }
}

/* ---- INTx ---- */

static void update_intx(struct pci_device *p)
{
    struct pci_bus *b = p->bus;
    bool drive = p->irq_level && !(pci_get16(p, PCI_COMMAND) & CMD_NO_INTX);

    p->config[PCI_STATUS] &= (uint8_t)~STATUS_INTX;
    p->config[PCI_STATUS] |= p->irq_level ? STATUS_INTX : 0;
    if (drive == p->intx_driven || !p->config[PCI_PIN]) {
        return;
    }
    p->intx_driven = drive;
    unsigned line = (unsigned)b->map_irq(p, p->config[PCI_PIN] - 1);
    if (line >= b->nlines) {
        return;
    }
    b->asserted[line] += drive ? 1u : -1u;
    if (b->asserted[line] == (drive ? 1u : 0u)) {
        irq_set(&b->lines[line], drive);
    }
}

void pci_set_intx(struct pci_device *p, int level)
{
    p->irq_level = level != 0;
    update_intx(p);
}

/* ---- DMA ---- */

bool pci_dma_read(struct pci_device *p, uint64_t addr, void *buf, uint64_t len)
{
    if (!(pci_get16(p, PCI_COMMAND) & CMD_MASTER)) {
        memset(buf, 0xff, len);
        return false;
    }
    return memory_read(p->dev.machine->memory, addr, buf, len);
}

bool pci_dma_write(struct pci_device *p, uint64_t addr, const void *buf, uint64_t len)
{
    if (!(pci_get16(p, PCI_COMMAND) & CMD_MASTER)) {
        return false;
    }
    return memory_write(p->dev.machine->memory, addr, buf, len);
}

/* ---- reset and load ---- */

void pci_device_reset(struct pci_device *p)
{
    pci_set16(p, PCI_COMMAND,
              pci_get16(p, PCI_COMMAND) &
                  (uint16_t) ~(p->wmask[PCI_COMMAND] | p->wmask[PCI_COMMAND + 1] << 8));
    p->config[PCI_STATUS + 1] &= (uint8_t)~p->w1cmask[PCI_STATUS + 1];
    p->config[PCI_CACHE_LINE] = p->config[PCI_LATENCY] = p->config[PCI_LINE] = 0;
    for (unsigned n = 0; n < NBARS; n++) {
        if (p->bar[n].size) {
            unsigned off = bar_offset(n), words = p->bar[n].is64 ? 8 : 4;
            for (unsigned i = 0; i < words; i++) {
                p->config[off + i] &= (uint8_t)~p->wmask[off + i];
            }
        }
    }
    p->irq_level = 0;
    update_intx(p);
    update_bars(p);
}

void pci_device_loaded(struct pci_device *p)
{
    /* A damaged snapshot must not map a BAR askew. */
    for (unsigned n = 0; n < NBARS; n++) {
        unsigned off = bar_offset(n), words = p->bar[n].is64 ? 8 : 4;
        for (unsigned i = 0; p->bar[n].size && i < words; i++) {
            p->config[off + i] &= p->wmask[off + i];
        }
        if (p->bar[n].size) {
            p->config[off] |= bar_type(&p->bar[n], n);
        }
    }
    update_bars(p);
    update_intx(p);
}

/* ---- configuration accesses ---- */

uint32_t pci_config_read(struct pci_bus *b, uint8_t bus, uint8_t devfn, unsigned offset,
                         unsigned size)
{
    struct pci_device *p = bus == b->number ? b->slot[devfn] : NULL;
    uint32_t v = 0;

    if (p && p->config_reading) {
        p->config_reading(p, offset, size);
    }
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = p && offset + i < 256 ? p->config[offset + i] : 0xff;
        v |= (uint32_t)byte << (8 * i);
    }
    return v;
}

void pci_config_write(struct pci_bus *b, uint8_t bus, uint8_t devfn, unsigned offset,
                      uint32_t value, unsigned size)
{
    struct pci_device *p = bus == b->number ? b->slot[devfn] : NULL;

    if (!p) {
        return;
    }
    log_trace(b->machine->log, pci_config_write, "%s %02x.%u offset %02x <- %x", p->dev.type->name,
              devfn >> 3, devfn & 7, offset, value);
    for (unsigned i = 0; i < size && offset + i < 256; i++) {
        unsigned o = offset + i;
        uint8_t byte = (uint8_t)(value >> (8 * i));
        p->config[o] = (uint8_t)((p->config[o] & ~p->wmask[o]) | (byte & p->wmask[o]));
        p->config[o] &= (uint8_t) ~(byte & p->w1cmask[o]);
    }
    if (offset < PCI_ROM + 4) {
        update_bars(p);
        update_intx(p);
    }
    if (p->config_written) {
        p->config_written(p, offset, size);
    }
}

/* ---- the bus ---- */

static void destroy_root(void *bus)
{
    pci_bus_destroy(bus);
}

struct pci_bus *pci_bus_create(struct machine *m, unsigned number,
                               int (*map_irq)(struct pci_device *p, int pin),
                               const struct irq *lines, unsigned nlines)
{
    struct pci_bus *b = calloc(1, sizeof(*b));

    if (!b) {
        abort();
    }
    b->machine = m;
    b->number = number;
    b->map_irq = map_irq;
    b->nlines = nlines < MAX_LINES ? nlines : MAX_LINES;
    for (unsigned i = 0; lines && i < b->nlines; i++) {
        b->lines[i] = lines[i];
    }
    if (number == 0) {
        device_slot_set(m, SLOT_PCI, b, destroy_root);
    }
    return b;
}

void pci_bus_set_line(struct pci_bus *b, unsigned n, struct irq line)
{
    b->lines[n] = line;
    irq_set(&b->lines[n], b->asserted[n] != 0);
}

void pci_bus_destroy(struct pci_bus *b)
{
    free(b);
}

struct pci_bus *pci_root(struct machine *m)
{
    return device_slot(m, SLOT_PCI);
}

struct pci_device *pci_find(struct pci_bus *b, uint8_t devfn)
{
    return b->slot[devfn];
}

void pci_bus_reset(struct pci_bus *b)
{
    for (unsigned i = 0; i < 256; i++) {
        if (b->slot[i]) {
            pci_device_reset(b->slot[i]);
        }
    }
}

static void describe_bar(FILE *f, const struct pci_device *p, unsigned n)
{
    const struct pci_bar *bar = &p->bar[n];

    fprintf(f, "      BAR%u: %s%s%s, %" PRIu64 " bytes", n, bar->io ? "I/O" : "memory",
            bar->is64 ? " 64-bit" : "", bar->prefetch ? " prefetchable" : "", bar->size);
    if (n == ROM_BAR) {
        fputs(" (expansion ROM)", f);
    }
    if (bar->addr) {
        fprintf(f, " at 0x%" PRIx64 "\n", bar->addr);
    } else {
        fputs(" (not mapped)\n", f);
    }
}

char *pci_describe(struct pci_bus *b)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    for (unsigned i = 0; i < 256; i++) {
        const struct pci_device *p = b->slot[i];
        if (!p) {
            continue;
        }
        fprintf(f, "  Bus %2u, device %3u, function %u:\n", b->number, i >> 3, i & 7);
        fprintf(f, "    %s: class %02x%02x, PCI device %04x:%04x%s%s%s\n", p->dev.type->summary,
                p->config[PCI_CLASS], p->config[PCI_SUBCLASS], pci_get16(p, PCI_VENDOR),
                pci_get16(p, PCI_DEVICE), p->dev.id ? ", id \"" : "", p->dev.id ? p->dev.id : "",
                p->dev.id ? "\"" : "");
        if (p->config[PCI_PIN]) {
            fprintf(f, "      IRQ %u, pin %c%s\n", p->config[PCI_LINE],
                    'A' + p->config[PCI_PIN] - 1, p->irq_level ? ", asserted" : "");
        }
        for (unsigned n = 0; n < NBARS; n++) {
            if (p->bar[n].size) {
                describe_bar(f, p, n);
            }
        }
    }
    fclose(f);
    return text;
}
