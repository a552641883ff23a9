/* Intel 82540EM Gigabit Ethernet controller, PCI 8086:100e. Intel, PCI/PCI-X Family of Gigabit
 * Ethernet Controllers Software Developer's Manual (317453).
 *
 * Modelled: legacy and extended transmit descriptors with checksum and segmentation offload,
 * receive descriptors with checksum offload, address filters, EEPROM (by bits and by EERD), PHY,
 * interrupt throttling. Left out: VLAN stripping and filtering, wake-up, statistics other than the
 * four packet counters, header splitting, delays of single interrupts (ITR delays them all).
 * Segments larger than the MTU go to the back end in one piece when it takes such. */
#include "hw/net/card.h"
#include "hw/net/e1000_regs.h"
#include "hw/net/offload.h"
#include "hw/pci/pci.h"

#include "host/be.h"
#include "host/le.h"
#include "host/net.h"

#include <string.h>

enum { NREGS = 0x5c00 / 4, BAR_BYTES = 0x20000, IO_BYTES = 64, EEPROM_WORDS = 64, NPHY = 32 };
enum { MAX_FRAME = 65536 + 256, ETHERNET = 14, MIN_FRAME = 60, MAC_BYTES = 6, BATCH = 256 };
enum { MAX_RECEIVED = 16384 };

/* What a context descriptor says. */
struct context {
    uint8_t ipcss, ipcso, tucss, tucso, hdrlen, command;
    uint16_t ipcse, tucse, mss;
    uint32_t paylen;
};

struct e1000 {
    struct pci_device pci; /* must be first */
    struct netdev *netdev; /* properties */
    char *mac, *addr, *bus, *romfile;
    bool rombar;

    uint32_t reg[NREGS];
    uint16_t phy[NPHY];
    uint16_t eeprom[EEPROM_WORDS];
    uint32_t io_addr;
    /* EEPROM by bits */
    uint32_t ee_shift;
    uint8_t ee_bits; /* of the command so far; 9: data follows */
    uint8_t ee_out;  /* data bits that are left */
    /* the packet that is being gathered */
    struct context context;
    bool segment;    /* it is to be cut in segments */
    uint8_t options; /* POPTS of its first descriptor */
    uint32_t gathered;
    bool broken;
    /* interrupts */
    struct timer throttle;
    bool send_planned;
    uint8_t frame[MAX_FRAME], piece[MAX_FRAME], received[MAX_RECEIVED];
};

static const struct property e1000_props[] = {
    PROP_NETDEV(struct e1000, netdev, "the -netdev"),
    PROP_STRING(struct e1000, mac, "address, like 52:54:00:12:34:56"),
    PROP_STRING(struct e1000, addr, "PCI slot, or slot.function, in hex"),
    PROP_STRING(struct e1000, bus, "PCI bus: pci.0 is the only one"),
    PCI_ROM_PROPS(struct e1000, romfile, rombar, "pxe-e1000.rom"),
    PROP_END,
};

static const struct state_field context_fields[] = {
    STATE_U8(struct context, ipcss),
    STATE_U8(struct context, ipcso),
    STATE_U8(struct context, tucss),
    STATE_U8(struct context, tucso),
    STATE_U8(struct context, hdrlen),
    STATE_U8(struct context, command),
    STATE_U16(struct context, ipcse),
    STATE_U16(struct context, tucse),
    STATE_U16(struct context, mss),
    STATE_U32(struct context, paylen),
    STATE_END,
};
static const struct state_field e1000_fields[] = {
    STATE_PCI(struct e1000, pci),
    STATE_U32(struct e1000, reg),
    STATE_U16(struct e1000, phy),
    STATE_U16(struct e1000, eeprom),
    STATE_U32(struct e1000, io_addr),
    STATE_U32(struct e1000, ee_shift),
    STATE_U8(struct e1000, ee_bits),
    STATE_U8(struct e1000, ee_out),
    STATE_STRUCT(struct e1000, context, 1, context_fields),
    STATE_BOOL(struct e1000, segment),
    STATE_U8(struct e1000, options),
    STATE_U32(struct e1000, gathered),
    STATE_BOOL(struct e1000, broken),
    STATE_TIMER(struct e1000, throttle),
    STATE_BYTES(struct e1000, frame),
    STATE_END,
};

static struct memory *memory_of(const struct e1000 *e)
{
    return e->pci.dev.machine->memory;
}

/* ---- interrupts ---- */

static void set_line(struct e1000 *e)
{
    pci_set_intx(&e->pci, (e->reg[R_ICR] & e->reg[R_IMS]) != 0);
}

/* The line falls at once; it rises no sooner than ITR after it rose before. */
static void update_irq(struct e1000 *e)
{
    uint32_t gap = e->reg[R_ITR] & 0xffff;

    if (!(e->reg[R_ICR] & e->reg[R_IMS])) {
        set_line(e);
        return;
    }
    if (timer_armed(&e->throttle)) {
        return;
    }
    set_line(e);
    if (gap) {
        timer_set(&e->throttle, clock_now(e->pci.dev.machine->clock) + gap * INT64_C(256));
    }
}

static void throttled(void *opaque)
{
    update_irq(opaque);
}

static void raise_causes(struct e1000 *e, uint32_t causes)
{
    e->reg[R_ICR] |= causes;
    update_irq(e);
}

/* ---- EEPROM and PHY ---- */

/* Microwire: start bit, two bits of command (10: read), six of address, then sixteen of data out.
 */
static void eeprom_clock(struct e1000 *e, bool in)
{
    if (e->ee_bits < 9) {
        if (!e->ee_bits && !in) {
            return; /* no start bit yet */
        }
        e->ee_shift = e->ee_shift << 1 | in;
        e->ee_bits++;
        if (e->ee_bits == 9) {
            e->ee_out = (e->ee_shift >> 6 & 3) == 2 ? 16 : 0;
            e->ee_shift &= EEPROM_WORDS - 1;
        }
        e->reg[R_EECD] &= ~EECD_DO;
        return;
    }
    bool out = e->ee_out && (e->eeprom[e->ee_shift & (EEPROM_WORDS - 1)] >> (e->ee_out - 1) & 1);
    e->ee_out -= e->ee_out ? 1 : 0;
    e->reg[R_EECD] = (e->reg[R_EECD] & ~EECD_DO) | (out ? EECD_DO : 0);
}

static void write_eecd(struct e1000 *e, uint32_t v)
{
    uint32_t old = e->reg[R_EECD];

    e->reg[R_EECD] = (v & (EECD_SK | EECD_CS | EECD_DI | EECD_REQ)) | (old & EECD_DO) |
                     EECD_PRESENT | (v & EECD_REQ ? EECD_GRANT : 0);
    if (!(v & EECD_CS)) {
        e->ee_bits = e->ee_out = 0;
        e->ee_shift = 0;
        e->reg[R_EECD] |= EECD_DO; /* ready */
    } else if ((v & EECD_SK) && !(old & EECD_SK)) {
        eeprom_clock(e, v & EECD_DI);
    }
}

static void write_eerd(struct e1000 *e, uint32_t v)
{
    unsigned word = v >> 8 & 0xff;

    e->reg[R_EERD] = v & 0xff00;
    if ((v & EERD_START) && word < EEPROM_WORDS) {
        e->reg[R_EERD] |= EERD_DONE | (uint32_t)e->eeprom[word] << 16;
    }
}

static void write_mdic(struct e1000 *e, uint32_t v)
{
    unsigned reg = v >> 16 & 31, phy = v >> 21 & 31, op = v >> 26 & 3;
    static const uint32_t read_only =
        1u << 1 | 1u << 2 | 1u << 3 | 1u << 5 | 1u << 10 | 1u << 15 | 1u << 17;

    e->reg[R_MDIC] = (v & ~(MDIC_ERROR | 0xffffu)) | MDIC_READY;
    if (phy != 1 || (op != 1 && op != 2)) {
        e->reg[R_MDIC] |= MDIC_ERROR;
    } else if (op == 1 && !(read_only >> reg & 1)) {
        /* Reset and restart of the negotiation are done at once. */
        e->phy[reg] = (uint16_t)(reg == 0 ? v & ~0x8200u : v);
        e->reg[R_MDIC] |= v & 0xffff;
    } else if (op == 2) {
        e->reg[R_MDIC] |= e->phy[reg];
    }
    if (v & MDIC_INTERRUPT) {
        raise_causes(e, ICR_MDAC);
    }
}

/* ---- sending ---- */

/* Puts the internet checksum of [start, end] (end 0: to the end) of the packet at `at`. */
static void insert_checksum(uint8_t *f, size_t len, size_t start, size_t at, size_t end)
{
    uint64_t sum = 0;

    end = end && end + 1 < len ? end + 1 : len;
    if (start >= end || at + 2 > len) {
        return;
    }
    for (size_t i = start; i < end; i++) {
        sum += (i - start) & 1 ? f[i] : (uint64_t)f[i] << 8;
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    be_put16(f + at, ~(unsigned)sum & 0xffff);
}

static void emit(struct e1000 *e, const uint8_t *f, size_t len)
{
    e->reg[R_GPTC]++;
    e->reg[R_TPT]++;
    if (e->netdev && len >= ETHERNET) {
        netdev_send(e->netdev, f, len);
    }
}

static void offload(struct e1000 *e, uint8_t *f, size_t len)
{
    const struct context *c = &e->context;

    if (e->options & POPTS_TXSM) {
        insert_checksum(f, len, c->tucss, c->tucso, c->tucse);
    }
    if (e->options & POPTS_IXSM) {
        insert_checksum(f, len, c->ipcss, c->ipcso, c->ipcse);
    }
}

/* Makes the headers of one segment right: n payload bytes, `done` of the packet's before it. */
static void fix_headers(const struct context *c, uint8_t *f, size_t n, size_t done, unsigned index,
                        bool last)
{
    size_t len = c->hdrlen + n;
    uint8_t *ip = f + c->ipcss, *tcp = f + c->tucss, *sum = f + c->tucso;

    if (c->command & TUCMD_IP) {
        be_put16(ip + 2, (unsigned)(len - c->ipcss));
        be_put16(ip + 4, (be_get16(ip + 4) + index) & 0xffff);
    } else {
        be_put16(ip + 4, (unsigned)(len - c->ipcss - 40));
    }
    if (c->command & TUCMD_TCP) {
        uint32_t seq = be_get32(tcp + 4) + (uint32_t)done;
        be_put16(tcp + 4, seq >> 16);
        be_put16(tcp + 6, seq & 0xffff);
        if (!last) {
            tcp[13] &= (uint8_t)~9; /* PSH and FIN belong to the last */
        }
    } else {
        be_put16(tcp + 4, (unsigned)(len - c->tucss));
    }
    /* The driver has summed the pseudo header without the length. */
    unsigned pseudo = be_get16(sum) + (unsigned)(len - c->tucss);
    be_put16(sum, (pseudo & 0xffff) + (pseudo >> 16));
}

static bool headers_fit(const struct context *c, size_t len)
{
    return c->hdrlen >= ETHERNET && c->hdrlen < len && c->mss >= OFFLOAD_MIN_MSS &&
           c->ipcss + 20u <= c->hdrlen && c->tucss + 14u <= c->hdrlen &&
           c->tucso + 2u <= c->hdrlen && c->tucss > c->ipcss;
}

static void send_segments(struct e1000 *e, size_t len)
{
    const struct context *c = &e->context;
    bool whole = e->netdev && netdev_takes_large(e->netdev) && (c->command & TUCMD_TCP) &&
                 len - c->ipcss <= 65535;
    size_t payload = len - c->hdrlen, step = whole ? payload : c->mss;
    unsigned index = 0;

    for (size_t done = 0; done < payload; done += step, index++) {
        size_t n = payload - done < step ? payload - done : step;
        memcpy(e->piece, e->frame, c->hdrlen);
        memcpy(e->piece + c->hdrlen, e->frame + c->hdrlen + done, n);
        fix_headers(c, e->piece, n, done, index, done + n == payload);
        offload(e, e->piece, c->hdrlen + n);
        emit(e, e->piece, c->hdrlen + n);
    }
}

static void send_gathered(struct e1000 *e)
{
    size_t len = e->gathered;

    if (e->broken || (e->segment && !headers_fit(&e->context, len))) {
        log_at(e->pci.dev.machine->log, LOG_GUEST_ERROR, "e1000: packet of %u bytes dropped\n",
               e->gathered);
    } else if (e->segment) {
        send_segments(e, len);
    } else {
        offload(e, e->frame, len);
        emit(e, e->frame, len);
    }
    e->gathered = 0;
    e->broken = e->segment = false;
    e->options = 0;
}

static void gather(struct e1000 *e, uint64_t addr, uint32_t len)
{
    if (len > MAX_FRAME - e->gathered) {
        e->broken = true;
        return;
    }
    e->broken |= memory_read_ram(memory_of(e), addr, e->frame + e->gathered, len) != len;
    e->gathered += len;
}

static void set_context(struct e1000 *e, const uint8_t *d, uint32_t low, uint32_t high)
{
    e->context = (struct context){
        .ipcss = d[0],
        .ipcso = d[1],
        .ipcse = le_get16(d + 2),
        .tucss = d[4],
        .tucso = d[5],
        .tucse = le_get16(d + 6),
        .paylen = low & 0xfffff,
        .command = (uint8_t)(low >> 24),
        .hdrlen = (uint8_t)(high >> 8),
        .mss = (uint16_t)(high >> 16),
    };
}

static void one_descriptor(struct e1000 *e, const uint8_t *d)
{
    uint32_t low = le_get32(d + 8), high = le_get32(d + 12);
    uint8_t command = (uint8_t)(low >> 24);

    if (!(command & CMD_DEXT)) {
        gather(e, le_get64(d), low & 0xffff);
        if ((command & CMD_EOP) && (command & CMD_IC) && !e->broken) {
            insert_checksum(e->frame, e->gathered, high >> 8 & 0xff, low >> 16 & 0xff, 0);
        }
    } else if ((low >> 20 & 15) == DTYP_CONTEXT) {
        set_context(e, d, low, high);
        return;
    } else if ((low >> 20 & 15) == DTYP_DATA) {
        if (!e->gathered) {
            e->segment = command & CMD_TSE;
            e->options = (uint8_t)(high >> 8);
        }
        gather(e, le_get64(d), low & 0xfffff);
    }
    if (command & CMD_EOP) {
        send_gathered(e);
    }
}

static uint64_t ring_at(const struct e1000 *e, unsigned base, uint32_t index)
{
    return (e->reg[base] & ~15u) + ((uint64_t)e->reg[base + 1] << 32) + (uint64_t)index * 16;
}

static void send_later(void *opaque);

static void plan_send(struct e1000 *e)
{
    if (!e->send_planned && (e->reg[R_TCTL] & TCTL_EN)) {
        if (e->netdev) {
            e->send_planned = true;
            netdev_defer(e->netdev, send_later, e);
        } else {
            send_later(e);
        }
    }
}

static void send_later(void *opaque)
{
    struct e1000 *e = opaque;
    uint32_t n = e->reg[R_TDLEN] / 16, causes = 0, before = e->reg[R_TPT];
    bool master = pci_get16(&e->pci, 4) & 4;

    e->send_planned = false;
    if (!(e->reg[R_TCTL] & TCTL_EN) || !n || e->reg[R_TDT] >= n || e->reg[R_TDH] >= n || !master) {
        return;
    }
    for (unsigned i = 0; e->reg[R_TDH] != e->reg[R_TDT]; i++) {
        uint64_t at = ring_at(e, R_TDBAL, e->reg[R_TDH]);
        uint8_t d[16];
        if (i == BATCH || e->reg[R_TPT] - before >= BATCH) {
            plan_send(e); /* others want the main loop too */
            break;
        }
        memory_read_ram(memory_of(e), at, d, sizeof(d));
        one_descriptor(e, d);
        if (d[11] & CMD_RS) {
            d[12] |= STATUS_DD;
            memory_write_ram(memory_of(e), at + 12, d + 12, 1);
            causes |= ICR_TXDW;
        }
        e->reg[R_TDH] = e->reg[R_TDH] + 1 == n ? 0 : e->reg[R_TDH] + 1;
    }
    raise_causes(e, causes | (e->reg[R_TDH] == e->reg[R_TDT] ? ICR_TXQE : 0));
}

/* ---- receiving ---- */

static bool is_own(const struct e1000 *e, const uint8_t *to)
{
    uint32_t low = le_get32(to), high = le_get16(to + 4);

    for (unsigned i = 0; i < 16; i++) {
        uint32_t ral = e->reg[R_RA + 2 * i], rah = e->reg[R_RA + 2 * i + 1];
        if ((rah & RAH_VALID) && ral == low && (rah & 0xffff) == high) {
            return true;
        }
    }
    return false;
}

static bool wanted(const struct e1000 *e, const uint8_t *to)
{
    static const uint8_t broadcast[MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t shifts[4] = {4, 3, 2, 0};
    uint32_t rctl = e->reg[R_RCTL];

    if (!(to[0] & 1)) {
        return (rctl & RCTL_UPE) || is_own(e, to);
    }
    if (!memcmp(to, broadcast, MAC_BYTES) && (rctl & RCTL_BAM)) {
        return true;
    }
    if (rctl & RCTL_MPE) {
        return true;
    }
    unsigned hash = ((unsigned)le_get16(to + 4) >> shifts[rctl >> 12 & 3]) & 0xfff;
    return e->reg[R_MTA + (hash >> 5)] >> (hash & 31) & 1;
}

static unsigned buffer_size(uint32_t rctl)
{
    unsigned shift = rctl >> 16 & 3;

    return rctl & RCTL_BSEX ? 32768u >> shift : 2048u >> shift;
}

/* Descriptors that the driver has given us. */
static uint32_t free_descriptors(const struct e1000 *e)
{
    uint32_t n = e->reg[R_RDLEN] / 16, head = e->reg[R_RDH], tail = e->reg[R_RDT];

    if (!n || head >= n || tail >= n) {
        return 0;
    }
    return tail >= head ? tail - head : n - head + tail;
}

/* Status bits that vouch for the checksums of TCP and UDP over IPv4: back ends make them right. */
static uint8_t checksum_status(const struct e1000 *e, const uint8_t *f, size_t len)
{
    bool ip = len >= ETHERNET + 20 && be_get16(f + 12) == 0x0800 && f[14] >> 4 == 4;
    bool whole = ip && !(be_get16(f + 20) & 0x3fff), known = ip && (f[23] == 6 || f[23] == 17);
    uint8_t status = ip && (e->reg[R_RXCSUM] & RXCSUM_IP) ? STATUS_IPCS : 0;

    return status | (whole && known && (e->reg[R_RXCSUM] & RXCSUM_TU) ? STATUS_TCPCS : 0);
}

static void put_descriptor(struct e1000 *e, const uint8_t *f, uint32_t n, uint8_t status)
{
    uint64_t at = ring_at(e, R_RDBAL, e->reg[R_RDH]);
    uint8_t d[16];

    memory_read_ram(memory_of(e), at, d, sizeof(d));
    memory_write_ram(memory_of(e), le_get64(d), f, n);
    le_put16(d + 8, (uint16_t)n);
    memset(d + 10, 0, 6);
    memory_write_ram(memory_of(e), at + 8, d + 8, 8);
    d[12] = status;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    memory_write_ram(memory_of(e), at + 12, d + 12, 1); /* the driver looks at this byte */
    e->reg[R_RDH] = (e->reg[R_RDH] + 1) * 16 >= e->reg[R_RDLEN] ? 0 : e->reg[R_RDH] + 1;
}

static bool receive(void *opaque, const uint8_t *frame, size_t len)
{
    struct e1000 *e = opaque;
    uint32_t rctl = e->reg[R_RCTL], crc = rctl & RCTL_SECRC ? 0 : 4, size = buffer_size(rctl);
    size_t total = (len < MIN_FRAME ? MIN_FRAME : len) + crc, done = 0;
    bool large = total - crc > 1518 && !(rctl & RCTL_LPE);

    if (!(rctl & RCTL_EN) || !(pci_get16(&e->pci, 4) & 4) || len < ETHERNET || large ||
        total > MAX_RECEIVED || !wanted(e, frame)) {
        return true; /* nobody listens: gone */
    }
    if ((uint64_t)free_descriptors(e) * size < total) {
        raise_causes(e, ICR_RXO);
        return false;
    }
    memcpy(e->received, frame, len);
    memset(e->received + len, 0, total - len);
    while (done < total) {
        uint32_t n = total - done < size ? (uint32_t)(total - done) : size;
        bool last = done + n == total;
        put_descriptor(e, e->received + done, n,
                       STATUS_DD | (last ? STATUS_EOP | checksum_status(e, frame, len) : 0));
        done += n;
    }
    e->reg[R_GPRC]++;
    e->reg[R_TPR]++;
    uint32_t low = e->reg[R_RDLEN] / 16 >> ((rctl >> 8 & 3) + 1);
    raise_causes(e, ICR_RXT0 | (free_descriptors(e) <= low ? ICR_RXDMT0 : 0));
    return true;
}

static void accept_frames(struct e1000 *e)
{
    if (e->netdev) {
        netdev_ready(e->netdev);
    }
}

/* ---- registers ---- */

static void power_on(struct e1000 *e);

static void write_ctrl(struct e1000 *e, uint32_t v)
{
    if (v & CTRL_RST) {
        power_on(e);
        return;
    }
    e->reg[R_CTRL] = v;
}

static uint32_t read_icr(struct e1000 *e)
{
    uint32_t v = e->reg[R_ICR] | (e->reg[R_ICR] & e->reg[R_IMS] ? ICR_ASSERTED : 0);

    e->reg[R_ICR] = 0;
    update_irq(e);
    return v;
}

static uint32_t reg_read(struct e1000 *e, unsigned r)
{
    uint32_t v;

    if (r >= NREGS) {
        return 0;
    }
    switch (r) {
    case R_ICR:
        return read_icr(e);
    case R_IMC:
    case R_ICS:
        return 0;
    case R_GPRC:
    case R_GPTC:
    case R_TPR:
    case R_TPT:
        v = e->reg[r];
        e->reg[r] = 0;
        return v;
    default:
        return e->reg[r];
    }
}

static void reg_write(struct e1000 *e, unsigned r, uint32_t v)
{
    if (r >= NREGS) {
        return;
    }
    switch (r) {
    case R_CTRL:
    case R_CTRL_DUP:
        write_ctrl(e, v);
        break;
    case R_STATUS:
    case R_GPRC:
    case R_GPTC:
    case R_TPR:
    case R_TPT:
        break;
    case R_EECD:
        write_eecd(e, v);
        break;
    case R_EERD:
        write_eerd(e, v);
        break;
    case R_MDIC:
        write_mdic(e, v);
        break;
    case R_ICR:
        e->reg[R_ICR] &= ~v;
        update_irq(e);
        break;
    case R_ICS:
        raise_causes(e, v);
        break;
    case R_IMS:
        e->reg[R_IMS] |= v;
        update_irq(e);
        break;
    case R_IMC:
        e->reg[R_IMS] &= ~v;
        update_irq(e);
        break;
    case R_TDT:
        e->reg[r] = v & 0xffff;
        plan_send(e);
        break;
    case R_TDH:
    case R_RDH:
        e->reg[r] = v & 0xffff;
        break;
    case R_TDLEN:
    case R_RDLEN:
        e->reg[r] = v & 0xfff80;
        break;
    case R_TCTL:
        e->reg[r] = v;
        plan_send(e);
        break;
    case R_RDT:
        e->reg[r] = v & 0xffff;
        accept_frames(e);
        break;
    case R_RCTL:
        e->reg[r] = v;
        accept_frames(e);
        break;
    default:
        e->reg[r] = v;
        break;
    }
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    return reg_read(opaque, (unsigned)offset / 4);
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    if (size == 4) {
        reg_write(opaque, (unsigned)offset / 4, (uint32_t)value);
    }
}

static const struct mmio_ops mmio_ops = {mmio_read, mmio_write, 4, 4};

/* Ports: an address and a data register. */
static uint64_t io_read(void *opaque, uint64_t offset, unsigned size)
{
    struct e1000 *e = opaque;

    (void)size;
    return offset == 0 ? e->io_addr : offset == 4 ? reg_read(e, e->io_addr / 4) : 0;
}

static void io_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct e1000 *e = opaque;

    if (size == 4 && offset == 0) {
        e->io_addr = (uint32_t)value;
    } else if (size == 4 && offset == 4) {
        reg_write(e, e->io_addr / 4, (uint32_t)value);
    }
}

static const struct mmio_ops io_ops = {io_read, io_write, 4, 4};

/* ---- life ---- */

static void show_link(struct e1000 *e)
{
    bool up = e->netdev && netdev_link_up(e->netdev);

    e->reg[R_STATUS] = up ? STATUS_LINK_1000 : STATUS_LINK_1000 & ~STATUS_LINK_UP;
    e->phy[1] = (uint16_t)(up ? e->phy[1] | 0x24 : e->phy[1] & ~0x24);
    e->phy[17] = (uint16_t)(up ? e->phy[17] | 0x0c00 : e->phy[17] & ~0x0c00);
}

static void link_changed(void *opaque)
{
    struct e1000 *e = opaque;

    show_link(e);
    raise_causes(e, ICR_LSC);
}

static void power_on(struct e1000 *e)
{
    static const uint16_t phy[NPHY] = {
        [0] = 0x1140,                               /* negotiation on, full duplex, 1000 Mb/s */
        [1] = 0x796d,                               /* what it can; link up, negotiated */
        [2] = 0x0141,                               /* Marvell 88E1011 */
        [3] = 0x0c20,  [4] = 0x0de1,  [5] = 0x45e1, /* what the partner can */
        [9] = 0x0e00,  [10] = 0x3c00, [15] = 0x3000,
        [16] = 0x0360, [17] = 0xac00, /* 1000 Mb/s, full duplex, resolved, link up */
        [20] = 0x0d60,
    };

    memset(e->reg, 0, sizeof(e->reg));
    memcpy(e->phy, phy, sizeof(phy));
    e->reg[R_CTRL] = 0x00140200 | 1; /* full duplex, speed by negotiation */
    show_link(e);
    e->reg[R_EECD] = EECD_PRESENT | EECD_DO;
    e->reg[R_PBA] = 0x00100030;
    e->reg[R_LEDCTL] = 0x00000602;
    e->reg[R_MANC] = 0x00002000;
    e->reg[R_RA] = e->eeprom[0] | (uint32_t)e->eeprom[1] << 16;
    e->reg[R_RA + 1] = e->eeprom[2] | RAH_VALID;
    e->ee_bits = e->ee_out = 0;
    e->ee_shift = 0;
    e->gathered = 0;
    e->segment = e->broken = false;
    e->options = 0;
    timer_cancel(&e->throttle);
    set_line(e);
}

static void e1000_reset(struct device *d)
{
    struct e1000 *e = (struct e1000 *)d;

    memset(&e->context, 0, sizeof(e->context));
    e->io_addr = 0;
    power_on(e);
    pci_device_reset(&e->pci);
}

static void e1000_loaded(void *obj)
{
    struct e1000 *e = obj;

    e->gathered = e->gathered <= MAX_FRAME ? e->gathered : 0;
    e->ee_out &= 31;
    pci_device_loaded(&e->pci);
}

static const struct state_table e1000_state = {1, e1000_fields, e1000_loaded};

static void fill_eeprom(struct e1000 *e, const uint8_t *mac)
{
    uint16_t sum = 0;

    for (unsigned i = 0; i < 3; i++) {
        e->eeprom[i] = le_get16(mac + 2 * i);
    }
    e->eeprom[0x0a] = 0x4408; /* initialization control */
    e->eeprom[0x0b] = 0x1100; /* subsystem, its vendor */
    e->eeprom[0x0c] = 0x1af4;
    e->eeprom[0x0d] = 0x100e;
    e->eeprom[0x0e] = 0x8086;
    for (unsigned i = 0; i < EEPROM_WORDS - 1; i++) {
        sum = (uint16_t)(sum + e->eeprom[i]);
    }
    e->eeprom[EEPROM_WORDS - 1] = (uint16_t)(0xbaba - sum);
}

static bool e1000_realize(struct device *d, struct error *err)
{
    struct e1000 *e = (struct e1000 *)d;
    const struct net_card card = {.opaque = e, .receive = receive, .link_changed = link_changed};
    uint8_t mac[MAC_BYTES];
    int devfn;

    if (!net_card_address(d, e->mac, mac, err) ||
        !pci_parse_address(e->bus, e->addr, &devfn, err) || !pci_register(&e->pci, devfn, err) ||
        (e->netdev && !netdev_connect(e->netdev, &card, err))) {
        return false;
    }
    fill_eeprom(e, mac);
    timer_init(&e->throttle, d->machine->clock, throttled, e);
    pci_set_bar_mmio(&e->pci, 0, BAR_BYTES, false, &mmio_ops, e);
    pci_set_bar_mmio(&e->pci, 1, IO_BYTES, true, &io_ops, e);
    return pci_load_rom(&e->pci, e->romfile, "pxe-e1000.rom", e->rombar, err);
}

static const struct pci_info e1000_info = {
    .vendor = 0x8086,
    .device = 0x100e,
    .revision = 3,
    .subsystem_vendor = 0x1af4,
    .subsystem = 0x1100,
    .class = 2,
    .interrupt_pin = 1,
};

const struct device_type e1000_type = {
    .name = "e1000",
    .summary = "Intel 82540EM Gigabit Ethernet",
    .bus = BUS_PCI,
    .size = sizeof(struct e1000),
    .props = e1000_props,
    .state = &e1000_state,
    .realize = e1000_realize,
    .reset = e1000_reset,
    .user_creatable = true,
    .bus_info = &e1000_info,
};
