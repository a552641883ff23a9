/* 82441FX (440FX PMC): host bridge and memory controller of the `pc` machine. Intel data sheet
 * 290549.
 *
 * Modelled: PCI configuration mechanism 1 (ports CF8, CFC), the PAM registers that shadow ROM areas
 * with RAM below 1 MiB, and the SMRAM register. The DRAM registers (row boundaries, timing) can be
 * written and read back but change nothing: the size is what the board says. D_CLS (SMRAM closed to
 * data accesses in SMM) is not modelled. */
#include "hw/pci/i440fx.h"
#include "hw/isa/isa.h"

#include <string.h>

enum { CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc };
enum { PAM0 = 0x59, SMRAM = 0x72 };
enum { SMRAM_OPEN = 0x40, SMRAM_CLS = 0x20, SMRAM_LOCK = 0x10, SMRAM_ENABLE = 0x08 };
enum { PAM_READ = 1, PAM_WRITE = 2, NPAM = 13 };
enum { SMRAM_BASE = 0xa0000, SMRAM_SIZE = 0x20000, ROM_WINDOW = 0x20000 };

struct i440fx;
struct pam { /* one area, with one mapping for each way to serve it from RAM */
    struct i440fx *owner;
    uint32_t base, size;
    struct mapping *ro, *rw, *wo;
    bool written; /* in write-only mode: translated code of the RAM may be stale */
};

struct i440fx {
    struct pci_device pci; /* must be first */
    struct ram *ram, *rom;
    uint64_t below_4g;
    uint32_t config_address;
    struct pam pam[NPAM];
    struct mapping *smram_smm, *smram_normal;
    const struct mmio_ops *cf9;
    void *cf9_opaque;
};

static const struct state_field i440fx_fields[] = {
    STATE_PCI(struct i440fx, pci),
    STATE_U32(struct i440fx, config_address),
    STATE_END,
};

/* ---- PAM and SMRAM ---- */

static unsigned pam_mode(const struct i440fx *s, unsigned n)
{
    /* Area 0 (F0000) is the high nibble of register 59; then two areas a register, low nibble
     * first. */
    uint8_t reg = s->pci.config[PAM0 + (n + 1) / 2];

    return n & 1 ? reg & 3 : reg >> 4 & 3;
}

/* Reads come from the ROM, writes go to the RAM: how a BIOS copies itself into its shadow. */
static uint64_t write_only_read(void *opaque, uint64_t offset, unsigned size)
{
    struct pam *area = opaque;
    struct ram *rom = area->owner->rom;
    uint64_t v = 0;

    for (unsigned i = 0; i < size; i++) {
        uint64_t to_end = 0x100000 - (area->base + offset + i);
        uint8_t byte = 0xff;
        if (rom && to_end <= rom->size && to_end <= ROM_WINDOW) {
            byte = rom->host[rom->size - to_end];
        }
        v |= (uint64_t)byte << (8 * i);
    }
    return v;
}

static void write_only_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct pam *area = opaque;
    struct ram *ram = area->owner->ram;

    for (unsigned i = 0; i < size; i++) {
        ram->host[area->base + offset + i] = (uint8_t)(value >> (8 * i));
    }
    area->written = true;
}

static const struct mmio_ops write_only_ops = {write_only_read, write_only_write, 1, 8};

/* Writes the area over itself, so that the memory layer learns of bytes that went in behind its
 * back. */
static void republish(struct pam *area)
{
    struct memory *mem = area->owner->pci.dev.machine->memory;
    const uint8_t *host = area->owner->ram->host + area->base;
    uint8_t page[4096];

    for (uint32_t at = 0; at < area->size; at += sizeof(page)) {
        memcpy(page, host + at, sizeof(page));
        memory_write_rom(mem, area->base + at, page, sizeof(page));
    }
    area->written = false;
}

static void update_mappings(struct i440fx *s)
{
    struct memory *mem = s->pci.dev.machine->memory;
    uint8_t smram = s->pci.config[SMRAM];

    memory_begin(mem);
    for (unsigned n = 0; n < NPAM; n++) {
        unsigned mode = pam_mode(s, n);
        mapping_set_enabled(s->pam[n].ro, mode == PAM_READ);
        mapping_set_enabled(s->pam[n].rw, mode == (PAM_READ | PAM_WRITE));
        mapping_set_enabled(s->pam[n].wo, mode == PAM_WRITE);
    }
    mapping_set_enabled(s->smram_smm, smram & SMRAM_ENABLE);
    mapping_set_enabled(s->smram_normal, (smram & SMRAM_ENABLE) && (smram & SMRAM_OPEN));
    memory_commit(mem);

    for (unsigned n = 0; n < NPAM; n++) {
        if (s->pam[n].written && (pam_mode(s, n) & PAM_READ)) {
            republish(&s->pam[n]);
        }
    }
}

static void map_shadow_areas(struct i440fx *s)
{
    struct memory *mem = s->pci.dev.machine->memory;

    for (unsigned n = 0; n < NPAM; n++) {
        struct pam *a = &s->pam[n];
        a->owner = s;
        a->base = n == 0 ? 0xf0000 : 0xc0000 + (n - 1) * 0x4000;
        a->size = n == 0 ? 0x10000 : 0x4000;
        a->ro =
            memory_map_ram(mem, IN_BOTH, a->base, a->size, s->ram, a->base, true, MAP_PRIO_SHADOW);
        a->rw =
            memory_map_ram(mem, IN_BOTH, a->base, a->size, s->ram, a->base, false, MAP_PRIO_SHADOW);
        a->wo = memory_map_mmio(mem, IN_BOTH, a->base, a->size, "pam-write-only", &write_only_ops,
                                a, MAP_PRIO_SHADOW);
    }
    s->smram_smm = memory_map_ram(mem, IN_SMM, SMRAM_BASE, SMRAM_SIZE, s->ram, SMRAM_BASE, false,
                                  MAP_PRIO_SHADOW);
    s->smram_normal = memory_map_ram(mem, IN_NORMAL, SMRAM_BASE, SMRAM_SIZE, s->ram, SMRAM_BASE,
                                     false, MAP_PRIO_SHADOW);
}

static void map_ram(struct i440fx *s)
{
    struct memory *mem = s->pci.dev.machine->memory;
    uint64_t low = s->below_4g, size = s->ram->size;

    memory_map_ram(mem, IN_BOTH, 0, low < 0xa0000 ? low : 0xa0000, s->ram, 0, false, MAP_PRIO_RAM);
    if (low > 0x100000) {
        memory_map_ram(mem, IN_BOTH, 0x100000, low - 0x100000, s->ram, 0x100000, false,
                       MAP_PRIO_RAM);
    }
    if (size > low && low > 0x100000) {
        memory_map_ram(mem, IN_BOTH, UINT64_C(1) << 32, size - low, s->ram, low, false,
                       MAP_PRIO_RAM);
    }
}

static void config_written(struct pci_device *p, unsigned offset, unsigned size)
{
    struct i440fx *s = container_of(p, struct i440fx, pci);
    uint8_t *smram = &p->config[SMRAM];

    if (*smram & SMRAM_LOCK) {
        *smram &= (uint8_t)~SMRAM_OPEN;
        p->wmask[SMRAM] = 0; /* until reset */
    }
    if (*smram & SMRAM_CLS) {
        log_at(p->dev.machine->log, LOG_UNIMP, "i440fx: SMRAM D_CLS is ignored\n");
    }
    if (offset <= SMRAM && offset + size > PAM0) {
        update_mappings(s);
    }
}

/* ---- configuration mechanism 1 ---- */

static uint64_t address_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i440fx *s = opaque;

    if (size == 4) {
        return s->config_address;
    }
    if (size == 1 && offset == 1 && s->cf9) {
        return s->cf9->read(s->cf9_opaque, 0, 1);
    }
    return UINT64_MAX;
}

static void address_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i440fx *s = opaque;

    if (size == 4) {
        s->config_address = (uint32_t)value & 0x80fffffc;
    } else if (size == 1 && offset == 1 && s->cf9) {
        s->cf9->write(s->cf9_opaque, 0, value, 1);
    }
}

static const struct mmio_ops address_ops = {address_read, address_write, 1, 4};

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i440fx *s = opaque;
    uint32_t a = s->config_address;

    if (!(a >> 31)) {
        return UINT64_MAX;
    }
    return pci_config_read(s->pci.bus, (uint8_t)(a >> 16), (uint8_t)(a >> 8),
                           (a & 0xfc) + (unsigned)offset, size);
}

static void data_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i440fx *s = opaque;
    uint32_t a = s->config_address;

    if (a >> 31) {
        pci_config_write(s->pci.bus, (uint8_t)(a >> 16), (uint8_t)(a >> 8),
                         (a & 0xfc) + (unsigned)offset, (uint32_t)value, size);
    }
}

static const struct mmio_ops data_ops = {data_read, data_write, 1, 4};

/* ---- life ---- */

static void i440fx_loaded(void *obj)
{
    struct i440fx *s = obj;

    pci_device_loaded(&s->pci);
    s->pci.wmask[SMRAM] = s->pci.config[SMRAM] & SMRAM_LOCK ? 0 : 0x78;
    update_mappings(s);
}

static const struct state_table i440fx_state = {1, i440fx_fields, i440fx_loaded};

static void i440fx_reset(struct device *d)
{
    struct i440fx *s = (struct i440fx *)d;
    uint8_t *c = s->pci.config;

    pci_device_reset(&s->pci);
    c[0x04] = 0x06; /* memory and bus mastering are always on */
    c[0x07] = 0x02; /* DEVSEL# medium */
    memset(c + 0x50, 0, 0x80 - 0x50);
    c[SMRAM] = 0x02; /* C_BASE_SEG: A0000, hard wired */
    s->pci.wmask[SMRAM] = 0x78;
    s->config_address = 0;
    update_mappings(s);
}

/* INTA..D of slot n are swizzled over the four PIRQ lines as on QEMU's board, whose interrupt
 * routing tables SeaBIOS brings along: slot 1 INTA is PIRQA. */
static int map_irq(struct pci_device *p, int pin)
{
    return ((p->devfn >> 3) - 1 + pin) & 3;
}

static bool i440fx_realize(struct device *d, struct error *err)
{
    struct i440fx *s = (struct i440fx *)d;

    if (!s->ram || s->ram->size < 0x100000 || s->below_4g > s->ram->size) {
        return error_set(err, "i440fx: needs a RAM block of at least 1 MiB");
    }
    pci_bus_create(d->machine, 0, map_irq, NULL, 4);
    if (!pci_register(&s->pci, 0, err)) {
        return false;
    }
    memset(s->pci.wmask, 0, 0x0c);
    memset(s->pci.wmask + 0x50, 0xff, 0x72 - 0x50);
    memset(s->pci.wmask + PAM0, 0x33, 7);
    s->pci.wmask[PAM0] = 0x30;
    s->pci.config_written = config_written;
    map_ram(s);
    map_shadow_areas(s);
    return isa_claim_ports(d, CONFIG_ADDRESS, 4, &address_ops, s, err) &&
           isa_claim_ports(d, CONFIG_DATA, 4, &data_ops, s, err);
}

static const struct pci_info i440fx_info = {
    .vendor = 0x8086,
    .device = 0x1237,
    .revision = 2,
    .class = 6,
    .subsystem_vendor = 0x1af4,
    .subsystem = 0x1100,
};

const struct device_type i440fx_type = {
    .name = "i440FX",
    .summary = "440FX host bridge",
    .bus = BUS_PCI,
    .size = sizeof(struct i440fx),
    .state = &i440fx_state,
    .realize = i440fx_realize,
    .reset = i440fx_reset,
    .bus_info = &i440fx_info,
};

struct device *i440fx_create(struct machine *m, struct ram *ram, uint64_t below_4g, struct ram *rom,
                             struct error *err)
{
    struct i440fx *s = (struct i440fx *)device_create(m, &i440fx_type, NULL);

    s->ram = ram;
    s->rom = rom;
    s->below_4g = below_4g;
    return device_realize(&s->pci.dev, err) ? &s->pci.dev : NULL;
}

void i440fx_set_cf9(struct device *d, const struct mmio_ops *ops, void *opaque)
{
    struct i440fx *s = (struct i440fx *)d;

    s->cf9 = ops;
    s->cf9_opaque = opaque;
}
