/* 82371SB (PIIX3), function 0: the PCI to ISA bridge. Intel data sheet 290550.
 *
 * Modelled: routing of the PIRQ lines to ISA interrupts (registers 60..63) and the reset control
 * register (port CF9). The timers, DMA and interrupt controllers of the chip are devices of their
 * own; so is the APM port, which belongs to the power management function here. Other registers
 * only keep their value. */
#include "hw/isa/isa.h"
#include "hw/pci/i440fx.h"

#include <string.h>

enum { PIRQRC = 0x60, PIRQ_OFF = 0x80 };
enum { RCR_HARD = 2, RCR_RESET = 4 };

struct piix3 {
    struct pci_device pci; /* must be first */
    uint8_t rcr;
    uint8_t pirq;    /* levels of PIRQA..D */
    uint16_t driven; /* levels of the ISA interrupts */
};

static const struct state_field piix3_fields[] = {
    STATE_PCI(struct piix3, pci),
    STATE_U8(struct piix3, rcr),
    STATE_END,
};

static void update_routing(struct piix3 *s)
{
    struct isa_bus *isa = isa_bus(s->pci.dev.machine);
    uint16_t want = 0;

    for (unsigned n = 0; n < 4; n++) {
        uint8_t route = s->pci.config[PIRQRC + n];
        if ((s->pirq >> n & 1) && !(route & PIRQ_OFF)) {
            want |= (uint16_t)(1u << (route & 15));
        }
    }
    uint16_t changed = want ^ s->driven;
    s->driven = want;
    for (unsigned n = 0; n < 16; n++) {
        if (changed >> n & 1) {
            irq_set(&isa->pci_irqs[n], want >> n & 1);
        }
    }
}

static void set_pirq(void *opaque, int n, int level)
{
    struct piix3 *s = opaque;

    s->pirq = (uint8_t)((s->pirq & ~(1u << n)) | (level ? 1u << n : 0));
    update_routing(s);
}

static void config_written(struct pci_device *p, unsigned offset, unsigned size)
{
    if (offset < PIRQRC + 4 && offset + size > PIRQRC) {
        update_routing(container_of(p, struct piix3, pci));
    }
}

/* ---- reset control register ---- */

static uint64_t rcr_read(void *opaque, uint64_t offset, unsigned size)
{
    struct piix3 *s = opaque;

    (void)offset;
    (void)size;
    return s->rcr;
}

static void rcr_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct piix3 *s = opaque;
    bool rising = (value & RCR_RESET) && !(s->rcr & RCR_RESET);

    (void)offset;
    (void)size;
    s->rcr = (uint8_t)value & (RCR_HARD | RCR_RESET);
    if (rising) {
        machine_request(s->pci.dev.machine, REQUEST_RESET, "reset control register (port 0xcf9)");
    }
}

static const struct mmio_ops rcr_ops = {rcr_read, rcr_write, 1, 1};

/* ---- life ---- */

static void piix3_loaded(void *obj)
{
    struct piix3 *s = obj;

    pci_device_loaded(&s->pci);
    update_routing(s);
}

static const struct state_table piix3_state = {1, piix3_fields, piix3_loaded};

static void piix3_reset(struct device *d)
{
    struct piix3 *s = (struct piix3 *)d;
    uint8_t *c = s->pci.config;

    pci_device_reset(&s->pci);
    memset(c + 0x40, 0, 0xc0);
    c[0x04] = 0x07; /* I/O, memory and bus mastering are always on */
    c[0x07] = 0x02; /* DEVSEL# medium */
    c[0x4c] = 0x4d; /* ISA I/O recovery */
    c[0x4e] = 0x03; /* X-bus chip selects: keyboard, RTC */
    for (unsigned n = 0; n < 4; n++) {
        c[PIRQRC + n] = PIRQ_OFF;
    }
    c[0x69] = 0x02; /* top of memory */
    c[0x70] = PIRQ_OFF;
    c[0x78] = 0x02; /* programmable chip select, disabled */
    c[0xa0] = 0x08; /* SMI control: clock off */
    s->rcr = 0;
    update_routing(s);
}

static bool piix3_realize(struct device *d, struct error *err)
{
    struct piix3 *s = (struct piix3 *)d;
    struct device *host = device_find_type(d->machine, &i440fx_type);

    if (!pci_register(&s->pci, 1 << 3, err)) {
        return false;
    }
    memset(s->pci.wmask, 0, 0x0c);
    memset(s->pci.wmask + 0x40, 0xff, 0xc0);
    memset(s->pci.wmask + PIRQRC, 0x8f, 4);
    s->pci.config_written = config_written;
    for (int n = 0; n < 4; n++) {
        pci_bus_set_line(s->pci.bus, (unsigned)n, (struct irq){set_pirq, s, n});
    }
    if (host) {
        i440fx_set_cf9(host, &rcr_ops, s);
    }
    return true;
}

static const struct pci_info piix3_info = {
    .vendor = 0x8086,
    .device = 0x7000,
    .class = 6,
    .subclass = 1,
    .multifunction = true,
    .subsystem_vendor = 0x1af4,
    .subsystem = 0x1100,
};

const struct device_type piix3_type = {
    .name = "PIIX3",
    .summary = "PIIX3 ISA bridge",
    .bus = BUS_PCI,
    .size = sizeof(struct piix3),
    .state = &piix3_state,
    .realize = piix3_realize,
    .reset = piix3_reset,
    .bus_info = &piix3_info,
};

struct device *piix3_create(struct machine *m, struct error *err)
{
    return device_make(m, &piix3_type, err, NULL);
}
