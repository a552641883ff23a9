/* AHCI SATA controller: Serial ATA AHCI 1.3.1, with the PCI ids of the ICH9 (8086:2922). Six ports,
 * each with a channel of one drive whose commands are those of ata.c and atapi.c: the port fills
 * the registers from the guest's frame, moves the data by the guest's list of regions, and answers
 * with frames. Queued commands are in ahci_ncq.c.
 *
 * Left out: port multipliers, power management, enclosure management, command completion
 * coalescing, hot plug, the legacy (IDE) register interface, and the DMA Setup frames in the
 * receive area. */
#include "hw/ide/ahci.h"

#include "host/le.h"
#include "hw/pci/msix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    R_CAP = 0x00,
    R_GHC = 0x04,
    R_IS = 0x08,
    R_PI = 0x0c,
    R_VS = 0x10,
    PORT_BASE = 0x100,
    PORT_SIZE = 0x80
};
enum {
    P_CLB = 0x00,
    P_CLBU = 0x04,
    P_FB = 0x08,
    P_FBU = 0x0c,
    P_IS = 0x10,
    P_IE = 0x14,
    P_CMD = 0x18,
    P_TFD = 0x20,
    P_SIG = 0x24,
    P_SSTS = 0x28,
    P_SCTL = 0x2c,
    P_SERR = 0x30,
    P_SACT = 0x34,
    P_CI = 0x38
};
enum { GHC_HR = 1, GHC_IE = 2 };
#define GHC_AE UINT32_C(0x80000000)
enum {
    CMD_ST = 1,
    CMD_SUD = 2,
    CMD_POD = 4,
    CMD_CLO = 8,
    CMD_FRE = 0x10,
    CMD_CCS = 0x1f00,
    CMD_FR = 0x4000,
    CMD_CR = 0x8000,
    CMD_ATAPI = 0x1000000,
    CMD_DLAE = 0x2000000
};
/* Six ports, 32 slots, AHCI only, 3 Gbit/s, command list override, queueing, 64-bit addresses. */
#define CAP                                                                                        \
    (UINT32_C(5) | 31 << 8 | 1 << 18 | 2 << 20 | 1 << 24 | UINT32_C(1) << 30 | UINT32_C(1) << 31)
#define SERR_EXCHANGED (UINT32_C(1) << 26)
#define IE_MASK        UINT32_C(0xfdc000ff)
enum { FIS_H2D = 0x27, FIS_D2H = 0x34, FIS_BITS = 0xa1, FIS_PIO = 0x5f };
enum { AREA_PIO = 0x20, AREA_D2H = 0x40, AREA_BITS = 0x58 };
enum { FIS_INTERRUPT = 0x40, FIS_TO_HOST = 0x20 };
enum { MSI_CONTROL = 2, MSI_ADDRESS = 4, MSI_ADDRESS_HIGH = 8, MSI_DATA = 12 };

struct ahci {
    struct pci_device pci; /* must be first */
    char *addr, *bus;
    uint32_t ghc, is;
    unsigned msi; /* offset of the capability */
    bool level;   /* of the interrupt, for MSI's edges */
    struct ahci_port port[AHCI_PORTS];
};

static const struct property ahci_props[] = {
    PROP_STRING(struct ahci, addr, "PCI slot, or slot.function, in hex"),
    PROP_STRING(struct ahci, bus, "PCI bus: pci.0 is the only one"),
    PROP_END,
};

static const struct state_field table_fields[] = {
    STATE_U64(struct ahci_table, command),
    STATE_U32(struct ahci_table, entries),
    STATE_U32(struct ahci_table, index),
    STATE_U64(struct ahci_table, addr),
    STATE_U32(struct ahci_table, left),
    STATE_U32(struct ahci_table, moved),
    STATE_END,
};
#define F(type, f) type(struct ahci_port, f)
static const struct state_field port_fields[] = {
    F(STATE_U32, clb),
    F(STATE_U32, clbu),
    F(STATE_U32, fb),
    F(STATE_U32, fbu),
    F(STATE_U32, is),
    F(STATE_U32, ie),
    F(STATE_U32, cmd),
    F(STATE_U32, tfd),
    F(STATE_U32, sig),
    F(STATE_U32, ssts),
    F(STATE_U32, sctl),
    F(STATE_U32, serr),
    F(STATE_U32, sact),
    F(STATE_U32, ci),
    F(STATE_U8, slot),
    F(STATE_BOOL, stopped),
    F(STATE_BOOL, hello),
    STATE_STRUCT(struct ahci_port, table, 1, table_fields),
    STATE_STRUCT(struct ahci_port, channel, 1, ide_channel_fields),
    STATE_END,
};
#undef F
static const struct state_field ahci_fields[] = {
    STATE_PCI(struct ahci, pci),
    STATE_U32(struct ahci, ghc),
    STATE_U32(struct ahci, is),
    STATE_BOOL(struct ahci, level),
    STATE_STRUCT(struct ahci, port, AHCI_PORTS, port_fields),
    STATE_END,
};

static void ahci_loaded(void *obj)
{
    pci_device_loaded(obj);
}

static const struct state_table ahci_state = {1, ahci_fields, ahci_loaded};

struct machine *ahci_machine(const struct ahci_port *p)
{
    return p->hba->pci.dev.machine;
}

static struct ide_drive *port_drive(struct ahci_port *p)
{
    return &p->channel.drive[0];
}

/* ---- interrupts ---- */

static void update_irq(struct ahci *h)
{
    bool level;

    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        h->is |= h->port[i].is & h->port[i].ie ? 1u << i : 0;
    }
    level = (h->ghc & GHC_IE) && h->is;
    if (pci_get16(&h->pci, h->msi + MSI_CONTROL) & 1) {
        uint64_t addr = pci_get32(&h->pci, h->msi + MSI_ADDRESS) |
                        (uint64_t)pci_get32(&h->pci, h->msi + MSI_ADDRESS_HIGH) << 32;
        if (level && !h->level) {
            pci_send_message(&h->pci, addr, pci_get16(&h->pci, h->msi + MSI_DATA));
        }
        pci_set_intx(&h->pci, 0);
    } else {
        pci_set_intx(&h->pci, level);
    }
    h->level = level;
}

void ahci_port_interrupt(struct ahci_port *p, uint32_t bits)
{
    /* One message for each cause: a driver that has read IS once may not come back. */
    if (bits & p->ie) {
        p->hba->level = false;
    }
    p->is |= bits;
    update_irq(p->hba);
}

/* An error that ends the work of the port until software starts it anew. */
static void port_stop(struct ahci_port *p, uint32_t bits)
{
    p->stopped = true;
    p->slot = AHCI_NO_SLOT;
    ahci_port_interrupt(p, bits);
}

/* ---- frames to the guest ---- */

static void receive(struct ahci_port *p, unsigned area, const uint8_t *fis, unsigned len)
{
    if ((p->cmd & CMD_FRE) &&
        !pci_dma_write(&p->hba->pci, (p->fb | (uint64_t)p->fbu << 32) + area, fis, len)) {
        port_stop(p, AHCI_IS_HOST_BUS);
    }
}

static void fill_registers(struct ahci_port *p, uint8_t *fis)
{
    const struct ide_drive *d = port_drive(p);

    fis[2] = d->status;
    fis[3] = d->error;
    fis[4] = d->lba0;
    fis[5] = d->lba1;
    fis[6] = d->lba2;
    fis[7] = p->channel.select;
    if (d->lba48) {
        fis[8] = d->hob_lba0;
        fis[9] = d->hob_lba1;
        fis[10] = d->hob_lba2;
        fis[13] = d->hob_count;
    }
    fis[12] = d->count;
}

static void set_tfd(struct ahci_port *p, uint8_t status, uint8_t error)
{
    p->tfd = status | (uint32_t)error << 8;
}

static void send_registers(struct ahci_port *p, bool interrupt)
{
    uint8_t fis[20] = {FIS_D2H, interrupt ? FIS_INTERRUPT : 0};

    fill_registers(p, fis);
    receive(p, AREA_D2H, fis, sizeof(fis));
    set_tfd(p, fis[2], fis[3]);
}

/* After the block: before it is moved the guest cannot look at it anyway. */
static void send_pio_setup(struct ahci_port *p, uint8_t status, uint32_t len, bool to_host,
                           bool interrupt)
{
    uint8_t fis[20] = {FIS_PIO,
                       (uint8_t)((to_host ? FIS_TO_HOST : 0) | (interrupt ? FIS_INTERRUPT : 0))};

    fill_registers(p, fis);
    fis[15] = port_drive(p)->status;
    fis[2] = status;
    le_put16(fis + 16, (uint16_t)len);
    receive(p, AREA_PIO, fis, sizeof(fis));
    set_tfd(p, fis[15], fis[3]);
}

void ahci_device_bits(struct ahci_port *p, uint32_t done, uint8_t error)
{
    uint8_t fis[8] = {FIS_BITS, FIS_INTERRUPT,
                      (uint8_t)(ATA_DRDY | ATA_DSC | (error ? ATA_ERR : 0)), error};

    le_put32(fis + 4, done);
    receive(p, AREA_BITS, fis, sizeof(fis));
    p->sact &= ~done;
    set_tfd(p, fis[2], error);
    if (error) {
        port_stop(p, AHCI_IS_DEVICE_BITS | AHCI_IS_TASK_FILE);
    } else {
        ahci_port_interrupt(p, AHCI_IS_DEVICE_BITS);
    }
}

/* The signature, which a drive sends after a reset. */
static void send_hello(struct ahci_port *p)
{
    struct ide_drive *d = port_drive(p);

    if (!d->present || !p->hello || !(p->cmd & CMD_FRE)) {
        return;
    }
    p->hello = false;
    send_registers(p, true);
    p->sig = d->count | (uint32_t)d->lba0 << 8 | (uint32_t)d->lba1 << 16 | (uint32_t)d->lba2 << 24;
    ahci_port_interrupt(p, AHCI_IS_D2H);
}

/* ---- data ---- */

bool ahci_table_next(struct ahci_port *p, struct ahci_table *t, uint32_t max, uint64_t *addr,
                     uint32_t *len)
{
    uint8_t e[16];

    while (!t->left) {
        if (t->index >= t->entries ||
            !pci_dma_read(&p->hba->pci, t->command + 0x80 + 16 * (uint64_t)t->index, e,
                          sizeof(e))) {
            return false;
        }
        t->index++;
        t->addr = le_get64(e);
        t->left = (le_get32(e + 12) & 0x3fffff) + 1;
    }
    *addr = t->addr;
    *len = t->left < max ? t->left : max;
    t->addr += *len;
    t->left -= *len;
    t->moved += *len;
    return true;
}

static bool transfer(void *opaque, void *buf, uint32_t len, bool to_memory)
{
    struct ahci_port *p = opaque;
    uint8_t *bytes = buf;
    uint64_t addr;
    uint32_t n;

    for (; len; bytes += n, len -= n) {
        if (!ahci_table_next(p, &p->table, len, &addr, &n)) {
            p->is |= AHCI_IS_OVERFLOW;
            return false;
        }
        if (!(to_memory ? pci_dma_write(&p->hba->pci, addr, bytes, n)
                        : pci_dma_read(&p->hba->pci, addr, bytes, n))) {
            log_at(ahci_machine(p)->log, LOG_GUEST_ERROR, "ahci: DMA to %#llx is not RAM\n",
                   (unsigned long long)addr);
        }
    }
    return true;
}

static bool always(void *opaque)
{
    (void)opaque;
    return true;
}

static void transfer_over(void *opaque, bool error)
{
    (void)opaque;
    (void)error;
}

/* ---- commands ---- */

static void write_back_count(struct ahci_port *p)
{
    uint8_t n[4];

    le_put32(n, p->table.moved);
    pci_dma_write(&p->hba->pci, (p->clb | (uint64_t)p->clbu << 32) + 32u * p->slot + 4, n, 4);
}

static void complete(struct ahci_port *p, bool told)
{
    const struct ide_drive *d = port_drive(p);

    if (d->status & ATA_ERR) {
        send_registers(p, true);
        port_stop(p, AHCI_IS_D2H | AHCI_IS_TASK_FILE);
        return;
    }
    write_back_count(p);
    p->ci &= ~(UINT32_C(1) << p->slot);
    p->slot = AHCI_NO_SLOT;
    if (told) {
        ahci_port_interrupt(p, AHCI_IS_PIO_SETUP);
    } else {
        send_registers(p, true);
        ahci_port_interrupt(p, AHCI_IS_D2H);
    }
}

/* One block between the drive's buffer and the guest; true: it was the guest's to hear of it. */
static bool move_block(struct ahci_port *p, uint8_t *data, uint32_t len, bool to_host)
{
    struct ide_drive *d = port_drive(p);
    bool packet = d->phase == IDE_PACKET, plain = d->phase == IDE_PIO_IN;
    uint8_t status = d->status;

    if (packet) {
        if (!pci_dma_read(&p->hba->pci, p->table.command + 0x40, data, len)) {
            memset(data, 0, len);
        }
    } else if (!transfer(p, data, len, to_host) && !to_host) {
        ide_finish(d, ATA_ABRT);
        return false;
    }
    ide_buffer_done(d);
    send_pio_setup(p, status, len, to_host, plain);
    return plain;
}

/* Does for the drive what it waits for, and ends the command when it is done. */
static void pump(struct ahci_port *p)
{
    struct ide_drive *d = port_drive(p);
    bool told = false, to_host;
    uint32_t len;
    uint8_t *data;

    if (p->pumping || p->slot == AHCI_NO_SLOT) {
        return;
    }
    p->pumping = true;
    while (p->slot != AHCI_NO_SLOT && (data = ide_pio_data(d, &len, &to_host)) != NULL) {
        told = move_block(p, data, len, to_host);
    }
    p->pumping = false;
    if (p->slot != AHCI_NO_SLOT && !(d->status & (ATA_BSY | ATA_DRQ))) {
        complete(p, told);
        ahci_port_run(p);
    }
}

static void drive_raised(void *opaque)
{
    struct ahci_port *p = opaque;

    p->channel.irq_pending = false;
    pump(p);
}

/* A frame without a command: the device control register, for software reset. */
static void control_frame(struct ahci_port *p, unsigned slot, const uint8_t *fis, bool clear_busy)
{
    bool was_reset = p->channel.control & 4;

    ide_write_control(&p->channel, fis[15]);
    p->ci &= ~(UINT32_C(1) << slot);
    if (was_reset && !(fis[15] & 4)) {
        p->hello = true;
        send_hello(p);
    } else {
        set_tfd(p, clear_busy ? ATA_DRDY : port_drive(p)->status, 0);
    }
}

static void run_frame(struct ahci_port *p, unsigned slot, const uint8_t *fis)
{
    /* Register and byte of the frame; the previous values come first. */
    static const uint8_t order[][2] = {{1, 11}, {1, 3}, {2, 13}, {2, 12}, {3, 8},
                                       {3, 4},  {4, 9}, {4, 5},  {5, 10}, {5, 6}};

    for (unsigned i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        ide_write(&p->channel, order[i][0], fis[order[i][1]], 1);
    }
    ide_write(&p->channel, 6, fis[7] & 0xef, 1);
    p->slot = (uint8_t)slot;
    set_tfd(p, ATA_BSY, 0);
    p->pumping = true; /* until the command has been taken as a whole */
    ide_write(&p->channel, 7, fis[2], 1);
    p->pumping = false;
    pump(p);
}

static bool is_queued(const struct ahci_port *p, const uint8_t *fis)
{
    return (fis[1] & 0x80) && (fis[2] == 0x60 || fis[2] == 0x61) && p->channel.drive[0].present &&
           !p->channel.drive[0].cdrom;
}

/* False: it has to wait for others. */
static bool start(struct ahci_port *p, unsigned slot)
{
    uint64_t header_at = (p->clb | (uint64_t)p->clbu << 32) + 32u * slot;
    uint8_t header[32], fis[64];

    if (!pci_dma_read(&p->hba->pci, header_at, header, sizeof(header)) ||
        !pci_dma_read(&p->hba->pci, le_get64(header + 8) & ~UINT64_C(0x7f), fis, sizeof(fis))) {
        port_stop(p, AHCI_IS_HOST_BUS);
        return false;
    }
    if (fis[0] != FIS_H2D) {
        log_at(ahci_machine(p)->log, LOG_GUEST_ERROR,
               "ahci: port %u: frame %02x is not a command\n", p->index, fis[0]);
        port_stop(p, AHCI_IS_INTERFACE);
        return false;
    }
    struct ahci_table t = {.command = le_get64(header + 8) & ~UINT64_C(0x7f),
                           .entries = le_get16(header + 2)};
    log_trace(ahci_machine(p)->log, ahci_command, "port %u slot %u: command %02x", p->index, slot,
              fis[2]);
    p->cmd = (p->cmd & ~(uint32_t)CMD_CCS) | slot << 8;
    if (is_queued(p, fis)) {
        p->ci &= ~(UINT32_C(1) << slot);
        ahci_queue(p, slot, fis, &t);
        return true;
    }
    if (p->queued) {
        return false;
    }
    p->table = t;
    if (fis[1] & 0x80) {
        run_frame(p, slot, fis);
    } else {
        control_frame(p, slot, fis, header[1] & 4);
    }
    return true;
}

void ahci_port_run(struct ahci_port *p)
{
    if (p->running) {
        return;
    }
    p->running = true;
    while ((p->cmd & CMD_ST) && p->ci && p->slot == AHCI_NO_SLOT && !p->stopped &&
           port_drive(p)->present) {
        if (!start(p, (unsigned)__builtin_ctz(p->ci))) {
            break;
        }
    }
    p->running = false;
}

/* ---- resets ---- */

static void forget_commands(struct ahci_port *p)
{
    ahci_queue_cancel(p);
    if (p->slot != AHCI_NO_SLOT) {
        ide_cancel(port_drive(p));
        port_drive(p)->status = ATA_DRDY | ATA_DSC;
        p->slot = AHCI_NO_SLOT;
    }
    p->stopped = false;
    p->ci = p->sact = 0;
}

/* COMRESET, and the drive's answer. */
static void reset_link(struct ahci_port *p)
{
    forget_commands(p);
    ide_channel_reset(&p->channel);
    p->ssts = port_drive(p)->present ? 0x123 : 0;
    p->sig = UINT32_MAX;
    set_tfd(p, port_drive(p)->present ? ATA_BSY : 0x7f, 0);
    p->hello = port_drive(p)->present;
    if (p->hello) {
        p->serr |= SERR_EXCHANGED;
        set_tfd(p, port_drive(p)->status, 1);
        p->sig = port_drive(p)->cdrom ? 0xeb140101 : 0x00000101;
        ahci_port_interrupt(p, AHCI_IS_CONNECT);
        send_hello(p);
    }
}

static void reset_port(struct ahci_port *p)
{
    p->clb = p->clbu = p->fb = p->fbu = p->ie = p->sctl = 0;
    p->cmd = CMD_SUD | CMD_POD | (port_drive(p)->cdrom ? CMD_ATAPI : 0);
    reset_link(p);
    p->is = 0;
    p->serr = 0;
}

static void reset_hba(struct ahci *h)
{
    h->ghc = GHC_AE;
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        reset_port(&h->port[i]);
    }
    h->is = 0;
    update_irq(h);
}

/* ---- registers ---- */

static void write_cmd(struct ahci_port *p, uint32_t v)
{
    uint32_t settable = CMD_ST | CMD_FRE | CMD_ATAPI | CMD_DLAE, before = p->cmd;

    p->cmd = (p->cmd & ~settable) | (v & settable);
    if (v & CMD_CLO) {
        p->tfd &= ~(uint32_t)(ATA_BSY | ATA_DRQ);
    }
    p->cmd = p->cmd & CMD_FRE ? p->cmd | CMD_FR : p->cmd & ~(uint32_t)CMD_FR;
    if ((before & CMD_ST) && !(p->cmd & CMD_ST)) {
        forget_commands(p);
        p->cmd &= ~(uint32_t)(CMD_CR | CMD_CCS);
    } else if (p->cmd & CMD_ST) {
        p->cmd |= CMD_CR;
    }
    send_hello(p);
    ahci_port_run(p);
}

static void write_sctl(struct ahci_port *p, uint32_t v)
{
    unsigned before = p->sctl & 15, now = v & 15;

    p->sctl = v & 0xfff;
    if (now == 4) {
        p->ssts = 4; /* off line */
    } else if (now == 1) {
        forget_commands(p);
        p->ssts = port_drive(p)->present ? 1 : 0; /* there is somebody, but no link yet */
        set_tfd(p, 0x7f, 0);
    } else if (before == 1 || before == 4) {
        reset_link(p);
    }
}

static void port_write(struct ahci_port *p, unsigned reg, uint32_t v)
{
    switch (reg) {
    case P_CLB:
        p->clb = v & ~UINT32_C(0x3ff);
        break;
    case P_CLBU:
        p->clbu = v;
        break;
    case P_FB:
        p->fb = v & ~UINT32_C(0xff);
        break;
    case P_FBU:
        p->fbu = v;
        break;
    case P_IS:
        p->is &= ~v;
        update_irq(p->hba);
        break;
    case P_IE:
        p->ie = v & IE_MASK;
        update_irq(p->hba);
        break;
    case P_CMD:
        write_cmd(p, v);
        break;
    case P_SCTL:
        write_sctl(p, v);
        break;
    case P_SERR:
        p->serr &= ~v;
        if (!(p->serr & SERR_EXCHANGED)) {
            p->is &= ~(uint32_t)AHCI_IS_CONNECT;
        }
        update_irq(p->hba);
        break;
    case P_SACT:
        p->sact |= p->cmd & CMD_ST ? v : 0;
        break;
    case P_CI:
        p->ci |= p->cmd & CMD_ST ? v : 0;
        ahci_port_run(p);
        break;
    default:
        break;
    }
}

static uint32_t port_read(const struct ahci_port *p, unsigned reg)
{
    const uint32_t regs[PORT_SIZE / 4] = {
        [P_CLB / 4] = p->clb,   [P_CLBU / 4] = p->clbu, [P_FB / 4] = p->fb,
        [P_FBU / 4] = p->fbu,   [P_IS / 4] = p->is,     [P_IE / 4] = p->ie,
        [P_CMD / 4] = p->cmd,   [P_TFD / 4] = p->tfd,   [P_SIG / 4] = p->sig,
        [P_SSTS / 4] = p->ssts, [P_SCTL / 4] = p->sctl, [P_SERR / 4] = p->serr,
        [P_SACT / 4] = p->sact, [P_CI / 4] = p->ci,
    };

    return regs[reg / 4 % (PORT_SIZE / 4)];
}

static uint64_t ahci_read(void *opaque, uint64_t offset, unsigned size)
{
    struct ahci *h = opaque;
    unsigned reg = (unsigned)offset & ~3u, n = (reg - PORT_BASE) / PORT_SIZE;
    uint32_t v = 0;

    if (reg >= PORT_BASE) {
        v = n < AHCI_PORTS ? port_read(&h->port[n], reg % PORT_SIZE) : 0;
    } else {
        const uint32_t regs[] = {CAP, h->ghc, h->is, (1 << AHCI_PORTS) - 1, 0x00010301};
        v = reg / 4 < 5 ? regs[reg / 4] : 0;
    }
    (void)size;
    return v >> 8 * (offset & 3);
}

static void ahci_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct ahci *h = opaque;
    unsigned reg = (unsigned)offset, n = (reg - PORT_BASE) / PORT_SIZE;
    uint32_t v = (uint32_t)value;

    if (size != 4 || (reg & 3)) {
        log_at(h->pci.dev.machine->log, LOG_GUEST_ERROR,
               "ahci: register %#x written with %u bytes\n", reg, size);
    } else if (reg >= PORT_BASE) {
        if (n < AHCI_PORTS) {
            port_write(&h->port[n], reg % PORT_SIZE, v);
        }
    } else if (reg == R_GHC) {
        if (v & GHC_HR) {
            reset_hba(h);
        } else {
            h->ghc = GHC_AE | (v & GHC_IE);
        }
        update_irq(h);
    } else if (reg == R_IS) {
        h->is &= ~v;
        h->level = h->level && h->is;
        update_irq(h);
    }
}

static const struct mmio_ops ahci_ops = {ahci_read, ahci_write, 1, 4};

/* ---- life ---- */

static void ahci_reset(struct device *dev)
{
    reset_hba((struct ahci *)dev);
}

static void config_written(struct pci_device *pci, unsigned offset, unsigned size)
{
    struct ahci *h = (struct ahci *)pci;

    if (offset < h->msi + 14 && offset + size > h->msi) {
        h->level = false;
        update_irq(h);
    }
}

static bool ahci_realize(struct device *dev, struct error *err)
{
    struct ahci *h = (struct ahci *)dev;
    int devfn;

    if (!pci_parse_address(h->bus, h->addr, &devfn, err) || !pci_register(&h->pci, devfn, err)) {
        return error_prefix(err, "ahci");
    }
    h->msi = pci_add_capability(&h->pci, 0x05, 14);
    pci_set16(&h->pci, h->msi + MSI_CONTROL, 0x80); /* 64-bit address, one message */
    h->pci.wmask[h->msi + MSI_CONTROL] = 1;
    memset(h->pci.wmask + h->msi + MSI_ADDRESS, 0xff, 10);
    h->pci.wmask[h->msi + MSI_ADDRESS] = 0xfc;
    h->pci.config_written = config_written;
    pci_set_bar_mmio(&h->pci, 5, 0x1000, false, &ahci_ops, h);
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        struct ahci_port *p = &h->port[i];
        p->hba = h;
        p->index = (uint8_t)i;
        p->slot = AHCI_NO_SLOT;
        ide_channel_init(&p->channel, dev->machine);
        p->channel.sata = true;
        p->channel.bm = p;
        p->channel.bm_started = always;
        p->channel.bm_transfer = transfer;
        p->channel.bm_irq = drive_raised;
        p->channel.bm_done = transfer_over;
    }
    return true;
}

static void ahci_destroy(struct device *dev)
{
    struct ahci *h = (struct ahci *)dev;

    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        ahci_queue_destroy(&h->port[i]);
        ide_channel_destroy(&h->port[i].channel);
    }
}

static const struct pci_info ahci_info = {
    .vendor = 0x8086,
    .device = 0x2922,
    .subsystem_vendor = 0x1af4,
    .subsystem = 0x1100,
    .revision = 2,
    .class = 1,
    .subclass = 6,
    .prog_if = 1,
    .interrupt_pin = 1,
};

const struct device_type ahci_type = {
    .name = "ahci",
    .summary = "AHCI SATA controller with six ports",
    .bus = BUS_PCI,
    .size = sizeof(struct ahci),
    .props = ahci_props,
    .state = &ahci_state,
    .realize = ahci_realize,
    .reset = ahci_reset,
    .destroy = ahci_destroy,
    .user_creatable = true,
    .bus_info = &ahci_info,
};

struct ide_channel *ahci_channel(struct device *d, unsigned long port)
{
    return port < AHCI_PORTS ? &((struct ahci *)d)->port[port].channel : NULL;
}

void ahci_drive_plugged(struct ide_channel *c)
{
    reset_port(c->bm);
}

char *ahci_boot_path(const struct ide_channel *c)
{
    const struct ahci_port *p = c->bm;
    unsigned devfn = p->hba->pci.devfn;
    char *path;
    int n = devfn & 7 ? asprintf(&path, "/pci@i0cf8/pci8086,2922@%x,%x/drive@%u/disk@0", devfn >> 3,
                                 devfn & 7, p->index)
                      : asprintf(&path, "/pci@i0cf8/pci8086,2922@%x/drive@%u/disk@0", devfn >> 3,
                                 p->index);

    if (n < 0) {
        abort();
    }
    return path;
}
