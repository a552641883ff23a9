/* RealTek RTL8139C+ Fast Ethernet controller, PCI 10ec:8139 revision 20h. Realtek, RTL8139C(L)+
 * data sheet 1.6; RTL8139 programming guide 0.1.
 *
 * Modelled: the four transmit descriptors and the receive ring of the RTL8139, C+ mode (in
 * rtl8139_cplus.c), address filter, EEPROM 93C46 by bits, timer interrupt, PHY registers,
 * loop-back. Left out: wake-up, power management, early interrupts, fiber; the counters dumped in
 * C+ mode are those of good frames only. */
#include "hw/net/rtl8139.h"

#include "host/le.h"
#include "host/net.h"

#include <string.h>

enum { ETHERNET = 14, MIN_FRAME = 60, MAC_BYTES = 6, CRC_BYTES = 4, TX_MAX = 1792, HEADER = 4 };
enum { RX_ROK = 1, RX_BAR = 0x2000, RX_PAM = 0x4000, RX_MAR = 0x8000 };
enum { CLOCK_NS = 30, RETRY_NS = 1000000 };

static const struct property rtl_props[] = {
    PROP_NETDEV(struct rtl8139, netdev, "the -netdev"),
    PROP_STRING(struct rtl8139, mac, "address, like 52:54:00:12:34:56"),
    PROP_STRING(struct rtl8139, addr, "PCI slot, or slot.function, in hex"),
    PROP_STRING(struct rtl8139, bus, "PCI bus: pci.0 is the only one"),
    PCI_ROM_PROPS(struct rtl8139, romfile, rombar, "pxe-rtl8139.rom"),
    PROP_END,
};

static const struct state_field rtl_fields[] = {
    STATE_PCI(struct rtl8139, pci),
    STATE_BYTES(struct rtl8139, reg),
    STATE_U16(struct rtl8139, eeprom),
    STATE_U32(struct rtl8139, ee_shift),
    STATE_U8(struct rtl8139, ee_bits),
    STATE_U8(struct rtl8139, ee_out),
    STATE_U8(struct rtl8139, next_tx),
    STATE_U32(struct rtl8139, tx_index),
    STATE_U32(struct rtl8139, rx_index),
    STATE_I64(struct rtl8139, count_from),
    STATE_U64(struct rtl8139, sent),
    STATE_U64(struct rtl8139, received),
    STATE_BOOL(struct rtl8139, dropping),
    STATE_U32(struct rtl8139, gathered),
    STATE_BYTES(struct rtl8139, frame),
    STATE_TIMER(struct rtl8139, timer_int),
    STATE_END,
};

uint16_t rtl_get16(const struct rtl8139 *s, unsigned r)
{
    return le_get16(s->reg + r);
}

uint32_t rtl_get32(const struct rtl8139 *s, unsigned r)
{
    return le_get32(s->reg + r);
}

static void put16(struct rtl8139 *s, unsigned r, uint16_t v)
{
    le_put16(s->reg + r, v);
}

void rtl_put32(struct rtl8139 *s, unsigned r, uint32_t v)
{
    le_put32(s->reg + r, v);
}

/* ---- interrupts ---- */

static void update_irq(struct rtl8139 *s)
{
    pci_set_intx(&s->pci, (rtl_get16(s, R_ISR) & rtl_get16(s, R_IMR)) != 0);
}

void rtl_raise(struct rtl8139 *s, uint16_t causes)
{
    put16(s, R_ISR, rtl_get16(s, R_ISR) | causes);
    update_irq(s);
}

static uint32_t count(const struct rtl8139 *s)
{
    return (uint32_t)((clock_now(s->pci.dev.machine->clock) - s->count_from) / CLOCK_NS);
}

static void arm_timer(struct rtl8139 *s)
{
    uint32_t at = rtl_get32(s, R_TIMERINT), now = count(s);

    if (at > now) {
        timer_set(&s->timer_int, s->count_from + (int64_t)at * CLOCK_NS);
    } else {
        timer_cancel(
            &s->timer_int); /* it comes round again in two minutes; nobody waits for that */
    }
}

static void timer_reached(void *opaque)
{
    rtl_raise(opaque, ISR_TIMEOUT);
}

/* ---- EEPROM 93C46 ---- */

/* Microwire: start bit, two bits of command (10: read), six of address, then data, word after word.
 */
static void eeprom_clock(struct rtl8139 *s, bool in)
{
    if (s->ee_bits < 9) {
        if (!s->ee_bits && !in) {
            return; /* no start bit yet */
        }
        s->ee_shift = s->ee_shift << 1 | in;
        s->ee_bits++;
        if (s->ee_bits == 9) {
            s->ee_out = (s->ee_shift >> 6 & 3) == 2 ? 16 : 0;
            s->ee_shift &= RTL_EEPROM_WORDS - 1;
        }
        s->reg[R_9346CR] &= (uint8_t)~EE_DO;
        return;
    }
    bool out =
        s->ee_out && (s->eeprom[s->ee_shift & (RTL_EEPROM_WORDS - 1)] >> (s->ee_out - 1) & 1);
    if (s->ee_out && !--s->ee_out) {
        s->ee_shift++;
        s->ee_out = 16;
    }
    s->reg[R_9346CR] = (uint8_t)((s->reg[R_9346CR] & ~EE_DO) | (out ? EE_DO : 0));
}

static void write_9346cr(struct rtl8139 *s, uint8_t v)
{
    uint8_t old = s->reg[R_9346CR];

    s->reg[R_9346CR] = (uint8_t)((v & ~EE_DO) | (old & EE_DO));
    if ((v & EE_MODE) != EE_PROGRAM) {
        return;
    }
    if (!(v & EE_CS)) {
        s->ee_bits = s->ee_out = 0;
        s->ee_shift = 0;
        s->reg[R_9346CR] |= EE_DO; /* ready */
    } else if ((v & EE_SK) && !(old & EE_SK)) {
        eeprom_clock(s, v & EE_DI);
    }
}

/* ---- receiving ---- */

static uint32_t crc_of(const uint8_t *mac)
{
    uint32_t crc = 0xffffffff;

    for (unsigned i = 0; i < MAC_BYTES; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bool flip = (crc >> 31) ^ (mac[i] >> bit & 1);
            crc = crc << 1 ^ (flip ? 0x04c11db7 : 0);
        }
    }
    return crc;
}

/* RX_* bits of how the address matches; false: nobody wants it. */
static bool wanted(const struct rtl8139 *s, const uint8_t *to, unsigned *match)
{
    static const uint8_t broadcast[MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint32_t rcr = rtl_get32(s, R_RCR);

    if (!memcmp(to, broadcast, MAC_BYTES)) {
        *match = RX_BROADCAST;
        return rcr & (RCR_AB | RCR_AAP);
    }
    if (to[0] & 1) {
        uint32_t hash = crc_of(to) >> 26;
        *match = RX_MULTICAST;
        return (rcr & RCR_AAP) ||
               ((rcr & RCR_AM) && (s->reg[R_MAR + (hash >> 3)] >> (hash & 7) & 1));
    }
    bool own = !memcmp(to, s->reg + R_IDR, MAC_BYTES);
    *match = own ? RX_PHYSICAL : 0;
    return (rcr & RCR_AAP) || (own && (rcr & RCR_APM));
}

static uint32_t ring_size(const struct rtl8139 *s)
{
    return 8192u << (rtl_get32(s, R_RCR) >> 11 & 3);
}

static uint32_t read_position(const struct rtl8139 *s)
{
    return (rtl_get16(s, R_CAPR) + 16u) & (ring_size(s) - 1);
}

/* Into the ring of the RTL8139: a header, the frame, its (empty) check sequence. */
static bool ring_receive(struct rtl8139 *s, const uint8_t *frame, size_t len, unsigned match)
{
    uint32_t size = ring_size(s), at = rtl_get16(s, R_CBR) & (size - 1);
    uint32_t used = (at - read_position(s)) & (size - 1),
             total = HEADER + (uint32_t)len + CRC_BYTES;
    bool straight = (rtl_get32(s, R_RCR) & RCR_WRAP) && size < 65536;
    uint64_t base = rtl_get32(s, R_RBSTART);
    uint8_t *p = s->scratch;

    if (used + total + 4 >= size) {
        return false;
    }
    le_put16(p,
             (uint16_t)(RX_ROK | (match & RX_MULTICAST ? RX_MAR : 0) |
                        (match & RX_PHYSICAL ? RX_PAM : 0) | (match & RX_BROADCAST ? RX_BAR : 0)));
    le_put16(p + 2, (uint16_t)(len + CRC_BYTES));
    memcpy(p + HEADER, frame, len);
    memset(p + HEADER + len, 0, CRC_BYTES);
    uint32_t first = straight || total <= size - at ? total : size - at;
    memory_write_ram(rtl_memory(s), base + at, p, first);
    memory_write_ram(rtl_memory(s), base, p + first, total - first);
    put16(s, R_CBR, (uint16_t)((at + total + 3) & ~3u & (size - 1)));
    return true;
}

static bool receive(void *opaque, const uint8_t *frame, size_t len)
{
    struct rtl8139 *s = opaque;
    bool cplus = rtl_get16(s, R_CPCR) & CPCR_RX;
    uint8_t padded[MIN_FRAME] = {0};
    unsigned match;

    if (!(s->reg[R_CR] & CR_RE) || !(pci_get16(&s->pci, 4) & 4) || len < ETHERNET || len > 4000 ||
        !wanted(s, frame, &match)) {
        return true; /* nobody listens: gone */
    }
    if (len < MIN_FRAME) {
        memcpy(padded, frame, len);
        frame = padded;
        len = MIN_FRAME;
    }
    if (!(cplus ? rtl_cplus_receive(s, frame, len, match) : ring_receive(s, frame, len, match))) {
        /* The frame waits; a driver in C+ mode does not tell when there is room again. */
        s->deaf = true;
        if (!timer_armed(&s->listen)) {
            timer_set(&s->listen, clock_now(s->pci.dev.machine->clock) + RETRY_NS);
        }
        rtl_raise(s, ISR_RXOVW);
        return false;
    }
    s->received++;
    rtl_raise(s, ISR_ROK);
    return true;
}

static void listen_again(void *opaque)
{
    struct rtl8139 *s = opaque;

    s->deaf = false;
    if (s->netdev) {
        netdev_ready(s->netdev);
    }
}

/* ---- sending ---- */

void rtl_emit(void *opaque, const uint8_t *frame, size_t len)
{
    struct rtl8139 *s = opaque;

    s->sent++;
    if ((rtl_get32(s, R_TCR) & TCR_LOOP) == TCR_LOOP) {
        static const size_t longest = 2048;
        uint8_t copy[2048];
        if (len <= longest) {
            memcpy(copy, frame, len); /* frame may lie in scratch */
            receive(s, copy, len);
        }
    } else if (s->netdev && len >= ETHERNET) {
        netdev_send(s->netdev, frame, len);
    }
}

static bool send_legacy(struct rtl8139 *s)
{
    bool sent = false;

    for (unsigned i = 0; i < 4; i++) {
        unsigned n = s->next_tx & 3;
        uint32_t tsd = rtl_get32(s, R_TSD + 4 * n), len = tsd & 0x1fff;
        if (tsd & TSD_OWN) {
            break;
        }
        if (len > TX_MAX ||
            memory_read_ram(rtl_memory(s), rtl_get32(s, R_TSAD + 4 * n), s->frame, len) != len) {
            tsd |= TSD_TABT | TSD_OWN;
            rtl_put32(s, R_TSD + 4 * n, tsd);
            rtl_raise(s, ISR_TER);
        } else {
            rtl_emit(s, s->frame, len);
            rtl_put32(s, R_TSD + 4 * n, tsd | TSD_TOK | TSD_OWN);
            sent = true;
        }
        s->next_tx = (uint8_t)((n + 1) & 3);
    }
    if (sent) {
        rtl_raise(s, ISR_TOK);
    }
    return false;
}

static void send_later(void *opaque);

static void plan_send(struct rtl8139 *s)
{
    if (s->send_planned || !(s->reg[R_CR] & CR_TE)) {
        return;
    }
    if (s->netdev) {
        s->send_planned = true;
        netdev_defer(s->netdev, send_later, s);
    } else {
        send_later(s);
    }
}

static void send_later(void *opaque)
{
    struct rtl8139 *s = opaque;
    bool more;

    s->send_planned = false;
    if (!(s->reg[R_CR] & CR_TE) || !(pci_get16(&s->pci, 4) & 4)) {
        return;
    }
    more = rtl_get16(s, R_CPCR) & CPCR_TX ? rtl_cplus_send(s) : send_legacy(s);
    if (more && s->netdev) {
        plan_send(s); /* others want the main loop too */
    }
}

/* ---- registers ---- */

static void set_link(struct rtl8139 *s)
{
    bool up = s->netdev && netdev_link_up(s->netdev);

    s->reg[R_MSR] = up ? 0 : 4;             /* 100 Mb/s; link failed */
    put16(s, R_BMSR, up ? 0x782d : 0x7809); /* negotiated, link up */
    put16(s, R_CSCR, up ? 0x0088 : 0x0080);
    put16(s, R_ANLPAR, up ? 0x45e1 : 0);
}

static void link_changed(void *opaque)
{
    struct rtl8139 *s = opaque;

    set_link(s);
    rtl_raise(s, ISR_LINK);
}

static void soft_reset(struct rtl8139 *s)
{
    uint8_t idr[MAC_BYTES];

    memcpy(idr, s->reg + R_IDR, MAC_BYTES);
    memset(s->reg, 0, sizeof(s->reg));
    memcpy(s->reg + R_IDR, idr, MAC_BYTES);
    for (unsigned i = 0; i < 4; i++) {
        rtl_put32(s, R_TSD + 4 * i, TSD_OWN);
    }
    s->reg[R_CR] = CR_EMPTY;
    rtl_put32(s, R_TCR, TCR_VERSION | 3u << 24);
    put16(s, R_CAPR, 0xfff0);
    s->reg[R_9346CR] = EE_DO;
    s->reg[R_CONFIG1] = 0x0c | 1; /* both BARs, power management */
    s->reg[R_CONFIG3] = 1;
    put16(s, R_BMCR, 0x3100); /* negotiate, 100 Mb/s, full duplex */
    put16(s, R_ANAR, 0x05e1);
    put16(s, R_ANER, 1);
    set_link(s);
    s->ee_bits = s->ee_out = 0;
    s->ee_shift = 0;
    s->next_tx = 0;
    s->tx_index = s->rx_index = 0;
    s->gathered = 0;
    s->dropping = s->deaf = false;
    s->count_from = clock_now(s->pci.dev.machine->clock);
    timer_cancel(&s->timer_int);
    timer_cancel(&s->listen);
    update_irq(s);
}

/* Drivers tell the chips of the family apart by what cannot be written. */
static bool keeps_value(unsigned r)
{
    static const struct {
        uint8_t first, last;
    } ranges[] = {
        {R_MAR, R_MAR + 7},         {R_TSD, R_TSD + 15},          {R_TSAD, R_TSAD + 15},
        {R_RBSTART, R_RBSTART + 3}, {R_CAPR, R_CAPR + 1},         {R_IMR, R_IMR + 1},
        {R_RCR, R_RCR + 3},         {R_TIMERINT, R_TIMERINT + 3}, {R_MULINT, R_MULINT + 1},
        {R_BMCR, R_BMCR + 1},       {R_ANAR, R_ANAR + 1},         {R_CPCR, R_CPCR + 1},
        {R_RDSAR, R_RDSAR + 7},     {R_EARLY_TX, R_EARLY_TX},
    };

    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (r >= ranges[i].first && r <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* Registers that only the chip writes, or that do something: the rest keeps what it is given. */
static void write_byte(struct rtl8139 *s, unsigned r, uint8_t v)
{
    bool unlocked = (s->reg[R_9346CR] & EE_MODE) == EE_UNLOCKED;

    if (r == R_CR) {
        if (v & CR_RST) {
            soft_reset(s);
            return;
        }
        s->reg[r] = v & (CR_RE | CR_TE);
        plan_send(s);
        listen_again(s);
    } else if (r == R_9346CR) {
        write_9346cr(s, v);
    } else if (r == R_TPPOLL) {
        s->reg[r] = v & 0xc0;
        if (v & 0x41) { /* normal queue; or the interrupt by software, which is done */
            plan_send(s);
        }
        if (v & 1) {
            rtl_raise(s, ISR_SW);
        }
    } else if (r == R_ISR || r == R_ISR + 1) {
        s->reg[r] &= (uint8_t)~v;
    } else if (r < R_MAR || r == R_CONFIG1 || r == R_CONFIG3 || r == R_CONFIG4 || r == R_CONFIG5) {
        if (unlocked) {
            s->reg[r] = v;
        }
    } else if (r == R_CBR || r == R_CBR + 1 || r == R_ERBCR || r == R_ERBCR + 1 || r == R_MSR ||
               r == R_CONFIG0 || (r >= R_TSAD_ALL && r < R_BMCR) || (r >= R_BMSR && r < R_ANAR) ||
               (r >= R_ANLPAR && r < R_ANER + 2) || (r >= R_CSCR && r < R_CSCR + 2)) {
        return; /* read only */
    } else if (r == R_BMCR + 1) {
        s->reg[r] = v & (uint8_t)~0x82; /* reset and restart of the negotiation are done at once */
    } else if (r >= R_MPC && r < R_MPC + 4) {
        s->reg[r] = 0;
    } else if (keeps_value(r)) {
        s->reg[r] = v;
    }
}

static void write_tsd(struct rtl8139 *s, unsigned r, uint32_t v)
{
    if ((rtl_get16(s, R_CPCR) & CPCR_TX) && r < R_TSD + 8) {
        rtl_put32(s, r, v);
        if (r == R_TSD && (v & 8)) {
            rtl_cplus_dump_counters(s, (v & ~63u) | (uint64_t)rtl_get32(s, R_TSD + 4) << 32);
            rtl_put32(s, r, v & ~8u);
        }
        return;
    }
    rtl_put32(s, r, v & (TSD_OWN | 0x3f1fff));
    if (!(v & TSD_OWN)) {
        plan_send(s);
    }
}

static void rtl_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct rtl8139 *s = opaque;
    unsigned r = (unsigned)offset;
    uint32_t v = (uint32_t)value;

    log_trace(s->pci.dev.machine->log, rtl8139_write, "register %02x <- %x", r, v);
    if (r + size > R_REGS) {
        return;
    }
    if (r >= R_TSD && r < R_TSAD && size == 4) {
        write_tsd(s, r, v);
        return;
    }
    if (r == R_TCR && size == 4) {
        for (unsigned i = 0; (v & TCR_CLRABT) && i < 4; i++) {
            rtl_put32(s, R_TSD + 4 * i, rtl_get32(s, R_TSD + 4 * i) & ~TSD_TABT);
        }
        rtl_put32(s, r, (v & 0x030707f0) | TCR_VERSION);
        return;
    }
    if (r == R_TCTR) {
        s->count_from = clock_now(s->pci.dev.machine->clock);
        arm_timer(s);
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        write_byte(s, r + i, (uint8_t)(v >> (8 * i)));
    }
    if (r == R_TIMERINT) {
        arm_timer(s);
    } else if (r >= R_IMR && r < R_TCR) {
        update_irq(s);
    } else if (r >= R_RDSAR && r < R_RDSAR + 8) {
        s->rx_index = 0;
    } else if (r >= R_TSAD && r < R_TSAD + 8 && (rtl_get16(s, R_CPCR) & CPCR_TX)) {
        s->tx_index = 0;
    }
    if (s->deaf || r == R_CAPR) {
        listen_again(s);
    }
}

/* The four transmit descriptors' flags in one word. */
static uint16_t all_tsd(const struct rtl8139 *s)
{
    uint16_t v = 0;

    for (unsigned i = 0; i < 4; i++) {
        uint32_t tsd = rtl_get32(s, R_TSD + 4 * i);
        v |= (uint16_t)((tsd & TSD_OWN ? 1u << i : 0) | (tsd & TSD_TABT ? 16u << i : 0) |
                        (tsd & TSD_TUN ? 256u << i : 0) | (tsd & TSD_TOK ? 4096u << i : 0));
    }
    return v;
}

static uint64_t rtl_read(void *opaque, uint64_t offset, unsigned size)
{
    struct rtl8139 *s = opaque;
    unsigned r = (unsigned)offset;
    uint64_t v = 0;

    if (r + size > R_REGS) {
        return 0;
    }
    if (r >= R_TCTR && r < R_TCTR + 4) {
        rtl_put32(s, R_TCTR, count(s));
    } else if (r <= R_TSAD_ALL + 1 && r + size > R_TSAD_ALL) {
        put16(s, R_TSAD_ALL, all_tsd(s));
    } else if (r <= R_CR && r + size > R_CR) {
        bool empty = (rtl_get16(s, R_CBR) & (ring_size(s) - 1)) == read_position(s);
        s->reg[R_CR] = (uint8_t)((s->reg[R_CR] & ~CR_EMPTY) | (empty ? CR_EMPTY : 0));
    }
    for (unsigned i = 0; i < size; i++) {
        v |= (uint64_t)s->reg[r + i] << (8 * i);
    }
    return v;
}

static const struct mmio_ops rtl_ops = {rtl_read, rtl_write, 1, 4};

/* ---- life ---- */

static void rtl_reset(struct device *d)
{
    struct rtl8139 *s = (struct rtl8139 *)d;

    for (unsigned i = 0; i < 3; i++) {
        le_put16(s->reg + R_IDR + 2 * i, s->eeprom[7 + i]);
    }
    s->sent = s->received = 0;
    soft_reset(s);
    pci_device_reset(&s->pci);
}

static void rtl_loaded(void *obj)
{
    struct rtl8139 *s = obj;

    s->gathered = s->gathered <= RTL_MAX_FRAME ? s->gathered : 0;
    s->ee_out &= 31;
    s->deaf = false;
    if (s->count_from > clock_now(s->pci.dev.machine->clock) || s->count_from < 0) {
        s->count_from = 0;
    }
    pci_device_loaded(&s->pci);
}

static const struct state_table rtl_state = {1, rtl_fields, rtl_loaded};

static bool rtl_realize(struct device *d, struct error *err)
{
    struct rtl8139 *s = (struct rtl8139 *)d;
    const struct net_card card = {.opaque = s, .receive = receive, .link_changed = link_changed};
    uint8_t mac[MAC_BYTES];
    int devfn;

    if (!net_card_address(d, s->mac, mac, err) ||
        !pci_parse_address(s->bus, s->addr, &devfn, err) || !pci_register(&s->pci, devfn, err) ||
        (s->netdev && !netdev_connect(s->netdev, &card, err))) {
        return false;
    }
    s->eeprom[0] = 0x8129;
    s->eeprom[1] = 0x10ec;
    s->eeprom[2] = 0x8139;
    for (unsigned i = 0; i < 3; i++) {
        s->eeprom[7 + i] = le_get16(mac + 2 * i);
    }
    timer_init(&s->timer_int, d->machine->clock, timer_reached, s);
    timer_init(&s->listen, d->machine->clock, listen_again, s);
    pci_set_bar_mmio(&s->pci, 0, R_REGS, true, &rtl_ops, s);
    pci_set_bar_mmio(&s->pci, 1, R_REGS, false, &rtl_ops, s);
    return pci_load_rom(&s->pci, s->romfile, "pxe-rtl8139.rom", s->rombar, err);
}

static void rtl_destroy(struct device *d)
{
    timer_cancel(&((struct rtl8139 *)d)->listen);
}

static const struct pci_info rtl_info = {
    .vendor = 0x10ec,
    .device = 0x8139,
    .revision = 0x20,
    .subsystem_vendor = 0x1af4,
    .subsystem = 0x1100,
    .class = 2,
    .interrupt_pin = 1,
};

const struct device_type rtl8139_type = {
    .name = "rtl8139",
    .summary = "RealTek RTL8139C+ Fast Ethernet",
    .bus = BUS_PCI,
    .size = sizeof(struct rtl8139),
    .props = rtl_props,
    .state = &rtl_state,
    .realize = rtl_realize,
    .reset = rtl_reset,
    .destroy = rtl_destroy,
    .user_creatable = true,
    .bus_info = &rtl_info,
};
