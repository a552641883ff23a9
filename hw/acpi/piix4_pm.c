/* 82371AB (PIIX4), function 3: ACPI power management. Intel data sheet 290562, chapter 7; ACPI 6.
 *
 * Modelled: PM1 status, enable and control with soft-off, the PM timer, the general purpose event
 * block (at PM base + 0Ch, and again at port AFE0 where the tables of QEMU's boards expect it), the
 * APM ports B2 and B3 with their SMI. Values F1 and F0 written to B2 switch SCI_EN by themselves:
 * on a real board the BIOS's SMI handler does that. Not modelled: the SMBus host (its base address
 * can be written, nothing answers), device monitors, sleep states other than soft-off. */
#include "cpu/x86.h"
#include "hw/isa/isa.h"
#include "hw/pci/i440fx.h"

#include <string.h>

enum { PMBASE = 0x40, DEVACTB = 0x58, PMREGMISC = 0x80, SMBBASE = 0x90, SMBHSTCFG = 0xd2 };
enum { APMC_EN = 2 }; /* in byte DEVACTB + 3 */
/* Offsets from PM base. */
enum {
    PM1_STS = 0x00,
    PM1_EN = 0x02,
    PM1_CNT = 0x04,
    PM_TMR = 0x08,
    GPSTS = 0x0c,
    GPEN = 0x0e,
    GLBSTS = 0x18,
    GLBEN = 0x20,
    GLBCTL = 0x28,
    PM_SIZE = 0x40
};
enum { TMR_STS = 1, BM_STS = 0x10, GBL_STS = 0x20, PWRBTN_STS = 0x100, RSM_STS = 0x8000 };
enum { SCI_EN = 1, SLP_TYP_SHIFT = 10, SLP_EN = 0x2000 };
enum { APM_STS = 0x20, SMI_EN = 1 };
enum { APM_PORT = 0xb2, GPE_PORT = 0xafe0, ACPI_ENABLE = 0xf1, ACPI_DISABLE = 0xf0 };
enum { SCI_IRQ = 9, PM_TIMER_HZ = 3579545, NS = 1000000000 };

struct piix4_pm {
    struct pci_device pci; /* must be first */
    uint16_t pm1_sts, pm1_en, pm1_cnt;
    uint16_t gpsts, gpen, gpe_level; /* gpe_level: events asserted now */
    uint16_t glbsts, glben;
    uint32_t glbctl;
    uint8_t apm_cmd, apm_sts;
    uint16_t io_base;  /* where the PM block is mapped now; 0: nowhere */
    uint64_t tmr_seen; /* PM timer's half periods already turned into TMR_STS */
    struct timer overflow;
    struct mapping *pm_io;
    struct irq smi;
};

static const struct state_field piix4_pm_fields[] = {
    STATE_PCI(struct piix4_pm, pci),
    STATE_U16(struct piix4_pm, pm1_sts),
    STATE_U16(struct piix4_pm, pm1_en),
    STATE_U16(struct piix4_pm, pm1_cnt),
    STATE_U16(struct piix4_pm, gpsts),
    STATE_U16(struct piix4_pm, gpen),
    STATE_U16(struct piix4_pm, gpe_level),
    STATE_U16(struct piix4_pm, glbsts),
    STATE_U16(struct piix4_pm, glben),
    STATE_U32(struct piix4_pm, glbctl),
    STATE_U8(struct piix4_pm, apm_cmd),
    STATE_U8(struct piix4_pm, apm_sts),
    STATE_U64(struct piix4_pm, tmr_seen),
    STATE_TIMER(struct piix4_pm, overflow),
    STATE_END,
};

/* ---- PM timer: 24 bits at 3.579545 MHz; TMR_STS when bit 23 changes ---- */

static uint64_t pm_ticks(struct piix4_pm *s)
{
    return clock_muldiv((uint64_t)clock_now(s->pci.dev.machine->clock), PM_TIMER_HZ, NS);
}

static void catch_up_timer(struct piix4_pm *s)
{
    uint64_t half = pm_ticks(s) >> 23;

    if (half != s->tmr_seen) {
        s->tmr_seen = half;
        s->pm1_sts |= TMR_STS;
    }
}

static void update_sci(struct piix4_pm *s)
{
    catch_up_timer(s);
    bool on = (s->pm1_cnt & SCI_EN) && ((s->pm1_sts & s->pm1_en) || (s->gpsts & s->gpen));
    irq_set(isa_irq(s->pci.dev.machine, SCI_IRQ), on);

    /* Only a guest that asked for the timer's event pays for a host timer. */
    if ((s->pm1_en & TMR_STS) && !(s->pm1_sts & TMR_STS)) {
        uint64_t next = ((pm_ticks(s) >> 23) + 1) << 23;
        timer_set(&s->overflow, (int64_t)clock_muldiv(next, NS, PM_TIMER_HZ) + 1);
    } else {
        timer_cancel(&s->overflow);
    }
}

static void overflow_expired(void *opaque)
{
    update_sci(opaque);
}

/* ---- the PM block ---- */

static void write_control(struct piix4_pm *s, uint16_t value)
{
    struct machine *m = s->pci.dev.machine;

    s->pm1_cnt = value & (uint16_t)~SLP_EN;
    if (value & SLP_EN) {
        unsigned type = value >> SLP_TYP_SHIFT & 7;
        if (type == 0) { /* S5 in this chip's encoding */
            machine_request(m, REQUEST_SHUTDOWN, "guest powered off (ACPI S5)");
        } else {
            log_at(m->log, LOG_UNIMP, "piix4: sleep type %u is not supported\n", type);
        }
    }
}

/* The block is 16-bit registers (two of them 32); wider and narrower accesses are put together from
 * bytes. Returns the register at an even offset. */
static uint16_t pm_get(struct piix4_pm *s, unsigned reg)
{
    switch (reg) {
    case PM1_STS:
        catch_up_timer(s);
        return s->pm1_sts;
    case PM1_EN:
        return s->pm1_en;
    case PM1_CNT:
        return s->pm1_cnt;
    case GPSTS:
        return s->gpsts;
    case GPEN:
        return s->gpen;
    case GLBSTS:
        return s->glbsts;
    case GLBEN:
        return s->glben;
    case GLBCTL:
        return (uint16_t)s->glbctl;
    case GLBCTL + 2:
        return (uint16_t)(s->glbctl >> 16);
    default:
        return 0;
    }
}

/* mask: the bits that were written. */
static void pm_put(struct piix4_pm *s, unsigned reg, uint16_t v, uint16_t mask)
{
    uint16_t merged = (uint16_t)((pm_get(s, reg) & ~mask) | (v & mask));

    switch (reg) {
    case PM1_STS:
        s->pm1_sts &= (uint16_t) ~(v & mask);
        break;
    case PM1_EN:
        s->pm1_en = merged & (TMR_STS | GBL_STS | PWRBTN_STS | 0x400);
        break;
    case PM1_CNT:
        write_control(s, merged);
        break;
    case GPSTS:
        s->gpsts = (uint16_t)((s->gpsts & ~(v & mask)) | s->gpe_level);
        break;
    case GPEN:
        s->gpen = merged;
        break;
    case GLBSTS:
        s->glbsts &= (uint16_t) ~(v & mask);
        break;
    case GLBEN:
        s->glben = merged;
        break;
    case GLBCTL:
        s->glbctl = (s->glbctl & 0xffff0000) | merged;
        break;
    case GLBCTL + 2:
        s->glbctl = (s->glbctl & 0xffff) | (uint32_t)merged << 16;
        break;
    default:
        log_at(s->pci.dev.machine->log, LOG_UNIMP, "piix4: write of 0x%x to PM register 0x%x\n",
               v & mask, reg);
        break;
    }
}

static uint64_t pm_read(void *opaque, uint64_t offset, unsigned size)
{
    struct piix4_pm *s = opaque;
    uint64_t v = 0;

    if ((offset & ~UINT64_C(3)) == PM_TMR) {
        return (pm_ticks(s) & 0xffffff) >> (8 * (offset & 3));
    }
    for (unsigned i = 0; i < size; i++) {
        unsigned o = (unsigned)offset + i;
        v |= (uint64_t)(pm_get(s, o & ~1u) >> (8 * (o & 1)) & 0xff) << (8 * i);
    }
    return v;
}

static void pm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct piix4_pm *s = opaque;

    log_trace(s->pci.dev.machine->log, piix4_pm_write, "offset %02x <- %x", (unsigned)offset,
              (unsigned)value);
    for (unsigned i = 0; i < size;) {
        unsigned o = (unsigned)offset + i;
        unsigned n = o & 1 || size - i == 1 ? 1 : 2;
        uint16_t mask = n == 2 ? 0xffff : (uint16_t)(0xffu << (8 * (o & 1)));
        uint16_t v = (uint16_t)(value >> (8 * i));
        pm_put(s, o & ~1u, n == 1 && (o & 1) ? (uint16_t)(v << 8) : v, mask);
        i += n;
    }
    update_sci(s);
}

static const struct mmio_ops pm_ops = {pm_read, pm_write, 1, 4};

static uint64_t gpe_read(void *opaque, uint64_t offset, unsigned size)
{
    return pm_read(opaque, GPSTS + offset, size);
}

static void gpe_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    pm_write(opaque, GPSTS + offset, value, size);
}

static const struct mmio_ops gpe_ops = {gpe_read, gpe_write, 1, 4};

/* ---- APM ports ---- */

static uint64_t apm_read(void *opaque, uint64_t offset, unsigned size)
{
    struct piix4_pm *s = opaque;

    (void)size;
    return offset ? s->apm_sts : s->apm_cmd;
}

static void apm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct piix4_pm *s = opaque;

    (void)size;
    if (offset) {
        s->apm_sts = (uint8_t)value;
        return;
    }
    s->apm_cmd = (uint8_t)value;
    if (s->apm_cmd == ACPI_ENABLE) {
        s->pm1_cnt |= SCI_EN;
    } else if (s->apm_cmd == ACPI_DISABLE) {
        s->pm1_cnt &= (uint16_t)~SCI_EN;
    }
    update_sci(s);
    if (s->pci.config[DEVACTB + 3] & APMC_EN) {
        s->glbsts |= APM_STS;
        if (s->glbctl & SMI_EN) {
            irq_pulse(&s->smi);
        }
    }
}

static const struct mmio_ops apm_ops = {apm_read, apm_write, 1, 1};

/* ---- configuration space ---- */

static void update_io(struct piix4_pm *s)
{
    uint16_t base = 0;

    if (s->pci.config[PMREGMISC] & 1) {
        base = pci_get16(&s->pci, PMBASE) & 0xffc0;
    }
    if (base == s->io_base) {
        return;
    }
    if (s->pm_io) {
        mapping_remove(s->pm_io);
        s->pm_io = NULL;
    }
    s->io_base = base;
    if (base) {
        s->pm_io = ioport_map(s->pci.dev.machine->memory, base, PM_SIZE, "piix4-pm", &pm_ops, s);
    }
}

static void config_written(struct pci_device *p, unsigned offset, unsigned size)
{
    struct piix4_pm *s = container_of(p, struct piix4_pm, pci);

    (void)offset;
    (void)size;
    update_io(s);
}

/* ---- events from outside ---- */

void piix4_pm_power_button(struct device *d)
{
    struct piix4_pm *s = (struct piix4_pm *)d;

    s->pm1_sts |= PWRBTN_STS;
    update_sci(s);
}

void piix4_pm_set_gpe(struct device *d, unsigned bit, bool level)
{
    struct piix4_pm *s = (struct piix4_pm *)d;
    uint16_t mask = (uint16_t)(1u << (bit & 15));

    s->gpe_level = (uint16_t)(level ? s->gpe_level | mask : s->gpe_level & ~mask);
    s->gpsts |= s->gpe_level;
    update_sci(s);
}

static void smi_first_cpu(void *opaque, int n, int level)
{
    struct machine *m = opaque;

    (void)n;
    if (level && m->nvcpus) {
        vcpu_request(m->vcpus[0], X86_REQ_SMI);
    }
}

void piix4_pm_set_smi(struct device *d, struct irq smi)
{
    ((struct piix4_pm *)d)->smi = smi;
}

/* ---- life ---- */

static void piix4_pm_loaded(void *obj)
{
    struct piix4_pm *s = obj;

    pci_device_loaded(&s->pci);
    update_io(s);
    update_sci(s);
}

static const struct state_table piix4_pm_state = {1, piix4_pm_fields, piix4_pm_loaded};

static void piix4_pm_reset(struct device *d)
{
    struct piix4_pm *s = (struct piix4_pm *)d;
    uint8_t *c = s->pci.config;

    pci_device_reset(&s->pci);
    memset(c + 0x40, 0, 0xc0);
    c[0x07] = 0x02; /* DEVSEL# medium */
    c[PMBASE] = 1;
    c[SMBBASE] = 1;
    update_io(s);
    s->pm1_sts = s->pm1_en = s->pm1_cnt = 0;
    s->gpsts = s->gpen = s->gpe_level = 0;
    s->glbsts = s->glben = 0;
    s->glbctl = 0;
    s->apm_cmd = s->apm_sts = 0;
    s->tmr_seen = pm_ticks(s) >> 23;
    update_sci(s);
}

static bool piix4_pm_realize(struct device *d, struct error *err)
{
    struct piix4_pm *s = (struct piix4_pm *)d;
    uint8_t *w = s->pci.wmask;

    if (!pci_register(&s->pci, 1 << 3 | 3, err)) {
        return false;
    }
    memset(w + 0x40, 0xff, 0xc0);
    w[PMBASE] = 0xc0;
    w[PMBASE + 1] = 0xff;
    w[PMBASE + 2] = w[PMBASE + 3] = 0;
    w[SMBBASE] = 0xf0;
    w[SMBBASE + 2] = w[SMBBASE + 3] = 0;
    s->pci.config_written = config_written;
    s->smi = (struct irq){smi_first_cpu, d->machine, 0};
    timer_init(&s->overflow, d->machine->clock, overflow_expired, s);
    return isa_claim_ports(d, APM_PORT, 2, &apm_ops, s, err) &&
           isa_claim_ports(d, GPE_PORT, 4, &gpe_ops, s, err);
}

static const struct pci_info piix4_pm_info = {
    .vendor = 0x8086,
    .device = 0x7113,
    .revision = 3,
    .class = 6,
    .subclass = 0x80,
    .interrupt_pin = 1,
    .subsystem_vendor = 0x1af4,
    .subsystem = 0x1100,
};

const struct device_type piix4_pm_type = {
    .name = "PIIX4_PM",
    .summary = "PIIX4 power management",
    .bus = BUS_PCI,
    .size = sizeof(struct piix4_pm),
    .state = &piix4_pm_state,
    .realize = piix4_pm_realize,
    .reset = piix4_pm_reset,
    .bus_info = &piix4_pm_info,
};

struct device *piix4_pm_create(struct machine *m, struct error *err)
{
    return device_make(m, &piix4_pm_type, err, NULL);
}
