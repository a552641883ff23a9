/* The RTL8139C+ through its registers: EEPROM, both ways of sending and receiving, filters,
 * offloads, timer. */
#include "host/le.h"
#include "hw/net/offload.h"
#include "hw/net/rtl8139.h"
#include "tests/device/nic.h"

extern const struct device_type rtl8139_type;

enum {
    PORTS = 0xc000,
    RING = 0x8000,
    TXBUF = 0x20000,
    TXD = 0x30000,
    RXD = 0x31000,
    RXBUF = 0x40000
};

static uint8_t mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

static void ee(uint8_t v)
{
    out8(&b, PORTS + R_9346CR, EE_PROGRAM | v);
}

static unsigned eeprom(unsigned word)
{
    unsigned command = 6u << 6 | word, v = 0;

    ee(0);
    ee(EE_CS);
    for (int i = 8; i >= 0; i--) {
        uint8_t di = command >> i & 1 ? EE_DI : 0;
        ee(EE_CS | di);
        ee(EE_CS | EE_SK | di);
    }
    for (int i = 0; i < 16; i++) {
        ee(EE_CS);
        ee(EE_CS | EE_SK);
        v = v << 1 | ((in8(&b, PORTS + R_9346CR) & EE_DO) != 0);
    }
    ee(0);
    out8(&b, PORTS + R_9346CR, 0);
    return v;
}

static void test_identity(void)
{
    tap_ok(eeprom(0) == 0x8129 && eeprom(1) == 0x10ec && eeprom(7) == 0x5452 && eeprom(9) == 0x5634,
           "EEPROM by bits");
    tap_ok(in32(&b, PORTS) == 0x12005452 && in16(&b, PORTS + 4) == 0x5634,
           "its address in the registers");
    out8(&b, PORTS, 0x99);
    tap_ok(in8(&b, PORTS) == 0x52, "which are locked");
    out8(&b, PORTS + R_9346CR, EE_UNLOCKED);
    out8(&b, PORTS, 0x99);
    tap_ok(in8(&b, PORTS) == 0x99, "until they are opened");
    out8(&b, PORTS, 0x52);
    out8(&b, PORTS + R_9346CR, 0);
    tap_ok((in32(&b, PORTS + R_TCR) & 0x7cc00000) == 0x74800000, "version: 8139C+");
    tap_ok(!(in8(&b, PORTS + R_MSR) & 4) && (in16(&b, PORTS + R_BMSR) & 0x24) == 0x24,
           "link up, negotiated");
    netdev_set_link(&net, false);
    tap_ok((in8(&b, PORTS + R_MSR) & 4) && (in16(&b, PORTS + R_ISR) & ISR_LINK),
           "link down, with an interrupt cause");
    netdev_set_link(&net, true);
    out16(&b, PORTS + R_ISR, 0xffff);
}

static void test_legacy_send(void)
{
    uint8_t f[100];

    for (unsigned i = 0; i < sizeof(f); i++) {
        f[i] = (uint8_t)(i * 7);
    }
    memory_write(b.m->memory, TXBUF, f, sizeof(f));
    out8(&b, PORTS + R_CR, CR_TE | CR_RE);
    out16(&b, PORTS + R_IMR, ISR_TOK | ISR_ROK);
    nsent = 0;
    out32(&b, PORTS + R_TSAD, TXBUF);
    out32(&b, PORTS + R_TSD, 100);
    settle();
    tap_ok(nsent == 1 && sent_len[0] == 100 && !memcmp(sent[0], f, 100), "a frame is sent");
    tap_ok((in32(&b, PORTS + R_TSD) & (TSD_OWN | TSD_TOK)) == (TSD_OWN | TSD_TOK) &&
               (in16(&b, PORTS + R_TSAD_ALL) & 0x1001) == 0x1001,
           "its descriptor is given back");
    tap_ok(b.level[0], "interrupt");
    out16(&b, PORTS + R_ISR, ISR_TOK);
    tap_ok(!b.level[0], "until it is acknowledged");
    out32(&b, PORTS + R_TSAD + 4, 0xfffff000);
    out32(&b, PORTS + R_TSD + 4, 100);
    settle();
    tap_ok(nsent == 1 && (in32(&b, PORTS + R_TSD + 4) & TSD_TABT) &&
               (in16(&b, PORTS + R_ISR) & ISR_TER),
           "no RAM there: aborted");
    out32(&b, PORTS + R_TCR, TCR_CLRABT);
    tap_ok(!(in32(&b, PORTS + R_TSD + 4) & TSD_TABT), "and cleared");
    out16(&b, PORTS + R_ISR, 0xffff);
}

static void test_legacy_receive(void)
{
    uint8_t f[1600] = {0x52, 0x54, 0, 0x12, 0x34, 0x56, 1, 2, 3, 4, 5, 6, 8, 0}, got[104];

    out32(&b, PORTS + R_RBSTART, RING);
    out32(&b, PORTS + R_RCR, RCR_APM | RCR_AB | RCR_AM);
    tap_ok(in8(&b, PORTS + R_CR) & CR_EMPTY, "the ring is empty");
    netdev_deliver(&net, f, 100);
    memory_read(b.m->memory, RING, got, 104);
    tap_ok(le_get16(got) == 0x4001 && le_get16(got + 2) == 104 && !memcmp(got + 4, f, 100),
           "a frame in the ring, after its header");
    tap_ok(in16(&b, PORTS + R_CBR) == 108 && !(in8(&b, PORTS + R_CR) & CR_EMPTY) && b.level[0],
           "and told");
    f[5]++;
    netdev_deliver(&net, f, 100);
    tap_ok(in16(&b, PORTS + R_CBR) == 108, "another card's frame is not taken");
    memcpy(f, "\1\0\x5e\0\0\1", 6);
    netdev_deliver(&net, f, 100);
    tap_ok(in16(&b, PORTS + R_CBR) == 108, "nor a group's");
    out32(&b, PORTS + R_MAR, 0xffffffff);
    out32(&b, PORTS + R_MAR + 4, 0xffffffff);
    netdev_deliver(&net, f, 100);
    tap_ok(in16(&b, PORTS + R_CBR) == 216, "unless the hash table has it");
    memset(f, 0xff, 6);
    for (int i = 0; i < 6; i++) {
        netdev_deliver(&net, f, 1514);
    }
    tap_ok(net.waiting == 1 && (in16(&b, PORTS + R_ISR) & ISR_RXOVW),
           "a full ring: the frame waits");
    unsigned before = in16(&b, PORTS + R_CBR);
    out16(&b, PORTS + R_CAPR, before - 16);
    tap_ok(!net.waiting && in16(&b, PORTS + R_CBR) == ((before + 1522 + 3) & ~3u & 8191),
           "and comes round the end");
    out16(&b, PORTS + R_ISR, 0xffff);
    tap_ok(!b.level[0], "no interrupt is left");
}

static void descriptor(uint64_t at, uint32_t command, uint32_t vlan, uint64_t buffer)
{
    memory_write32(b.m->memory, at, command);
    memory_write32(b.m->memory, at + 4, vlan);
    memory_write64(b.m->memory, at + 8, buffer);
}

/* A TCP packet of n bytes of data, without checksums. */
static void put_packet(uint32_t n)
{
    uint8_t f[54] = {[12] = 8, [14] = 0x45, [22] = 64, [23] = 6, [26] = 10, 0, 2, 15, 10, 0, 2, 2};

    f[16] = (uint8_t)((n + 40) >> 8);
    f[17] = (uint8_t)(n + 40);
    f[46] = 0x50;
    f[47] = 0x19;
    memory_write(b.m->memory, TXBUF, f, sizeof(f));
    for (uint32_t i = 0; i < n; i++) {
        uint8_t v = (uint8_t)(i * 13);
        memory_write(b.m->memory, TXBUF + 54 + i, &v, 1);
    }
}

static bool good_segment(const uint8_t *f, size_t len)
{
    static uint8_t copy[70000];
    struct offload_ip4 p;

    memcpy(copy, f, len);
    if (!offload_parse(copy, len, &p) || p.end != len) {
        return false;
    }
    offload_ip_checksum(copy, &p);
    offload_l4_checksum(copy, &p);
    return !memcmp(copy, f, len);
}

static void test_cplus_send(void)
{
    out16(&b, PORTS + R_CPCR, CPCR_TX | CPCR_RX | CPCR_CHECKSUM);
    out32(&b, PORTS + R_TSAD, TXD);
    out32(&b, PORTS + R_TSAD + 4, 0);
    put_packet(500);
    descriptor(TXD, 0xf0000000 | 7u << 16 | 100, 0,
               TXBUF); /* own, end, first, last: too short for TCP */
    descriptor(TXD, 0xa0000000 | 100, 0, TXBUF);
    descriptor(TXD + 16, 0xd0000000 | 7u << 16 | 454, 0, TXBUF + 100);
    nsent = 0;
    out8(&b, PORTS + R_TPPOLL, 0x40);
    settle();
    tap_ok(nsent == 1 && sent_len[0] == 554, "C+: a frame of two descriptors");
    memory_write32(b.m->memory, TXD, 0xf0000000 | 7u << 16 | 554);
    out8(&b, PORTS + R_TPPOLL, 0x40);
    settle();
    tap_ok(nsent == 2 && good_segment(sent[1], 554),
           "C+: checksums, and the ring's end is its first");
    tap_ok(!(memory_read32(b.m->memory, TXD) >> 31) &&
               (in16(&b, PORTS + R_ISR) & (ISR_TOK | ISR_TDU)) == 0x84,
           "C+: descriptors are given back");
    put_packet(3500);
    descriptor(TXD, 0xf8000000 | 1460u << 16 | 3554, 0, TXBUF);
    nsent = 0;
    out8(&b, PORTS + R_TPPOLL, 0x40);
    settle();
    bool ok = nsent == 3;
    for (unsigned i = 0, at = 0; i < 3 && ok; at += (unsigned)sent_len[i++] - 54) {
        ok = good_segment(sent[i], sent_len[i]) && sent[i][54] == (uint8_t)(at * 13) &&
             (sent[i][41] | sent[i][40] << 8) == (int)at && sent[i][47] == (i == 2 ? 0x19 : 0x10);
    }
    tap_ok(ok && sent_len[2] == 54 + 580, "C+: large send, three segments");
    descriptor(TXD, 0xf8000000 | 1u << 16 | 3554, 0, TXBUF);
    nsent = 0;
    out8(&b, PORTS + R_TPPOLL, 0x40);
    settle();
    tap_ok(nsent == 0, "C+: segments of one byte are refused");
    net_ops.takes_large = true;
    descriptor(TXD, 0xf8000000 | 1460u << 16 | 3554, 0, TXBUF);
    nsent = 0;
    out8(&b, PORTS + R_TPPOLL, 0x40);
    settle();
    tap_ok(nsent == 1 && sent_len[0] == 3554 && good_segment(sent[0], 3554),
           "C+: large send left to the back end");
    descriptor(TXD, 0xf0000000 | 60, 1u << 17 | 0x0500, TXBUF);
    nsent = 0;
    out8(&b, PORTS + R_TPPOLL, 0x40);
    settle();
    tap_ok(nsent == 1 && sent_len[0] == 64 && sent[0][12] == 0x81 && sent[0][15] == 5,
           "C+: a VLAN tag");
    descriptor(TXD, 0xf0000000 | 60, 0, 0xe0000000);
    nsent = 0;
    out8(&b, PORTS + R_TPPOLL, 0x40);
    settle();
    tap_ok(nsent == 0 && !(memory_read32(b.m->memory, TXD) >> 31), "C+: no RAM there: not sent");
    out32(&b, PORTS + R_TSD + 4, 0);
    out32(&b, PORTS + R_TSD, TXD + 0x800 + 8);
    tap_ok(!(in32(&b, PORTS + R_TSD) & 8) && memory_read32(b.m->memory, TXD + 0x800) > 3,
           "C+: counters are dumped");
    out16(&b, PORTS + R_ISR, 0xffff);
}

static void test_cplus_receive(void)
{
    uint8_t f[1600] = {0}, got[200];

    memcpy(f, mac, 6);
    out32(&b, PORTS + R_RDSAR, RXD);
    out32(&b, PORTS + R_RDSAR + 4, 0);
    descriptor(RXD, 0x80000000 | 1536, 0, RXBUF);
    descriptor(RXD + 16, 0x40000000 | 1536, 0, RXBUF + 0x800);
    netdev_deliver(&net, f, 200);
    memory_read(b.m->memory, RXBUF, got, 200);
    tap_ok(memory_read32(b.m->memory, RXD) == (0x30000000 | 1u << 25 | 204) && !memcmp(got, f, 200),
           "C+: a frame is received");
    netdev_deliver(&net, f, 200);
    tap_ok(net.waiting == 1, "C+: the next waits for a descriptor");
    memory_write32(b.m->memory, RXD + 16, 0xc0000000 | 1536);
    advance(&b, 2000000);
    tap_ok(!net.waiting && memory_read32(b.m->memory, RXD + 16) == (0x70000000 | 1u << 25 | 204),
           "C+: and finds it");
    descriptor(RXD, 0x80000000 | 100, 0, RXBUF);
    out16(&b, PORTS + R_ISR, 0xffff);
    netdev_deliver(&net, f, 200);
    tap_ok(!net.waiting && (in16(&b, PORTS + R_ISR) & ISR_RXOVW), "C+: too large for its buffer");
    out16(&b, PORTS + R_CPCR, CPCR_TX | CPCR_RX | CPCR_VLAN);
    f[12] = 0x81;
    f[15] = 5;
    descriptor(RXD, 0x80000000 | 1536, 0, RXBUF);
    netdev_deliver(&net, f, 200);
    tap_ok(memory_read32(b.m->memory, RXD + 4) == (0x10000 | 0x0500) &&
               (memory_read32(b.m->memory, RXD) & 0x1fff) == 200,
           "C+: the VLAN tag is taken out");
}

static void test_timer(void)
{
    out16(&b, PORTS + R_ISR, 0xffff);
    out16(&b, PORTS + R_IMR, ISR_TIMEOUT);
    out32(&b, PORTS + R_TCTR, 0);
    out32(&b, PORTS + R_TIMERINT, 1000);
    advance(&b, 29000);
    tap_ok(!b.level[0] && in32(&b, PORTS + R_TCTR) == 966, "the timer counts");
    advance(&b, 2000);
    tap_ok(b.level[0] && in16(&b, PORTS + R_ISR) == ISR_TIMEOUT, "and interrupts");
}

int main(void)
{
    struct device *d = nic_open(&rtl8139_type, (const uint32_t[]){PORTS}, 1);

    test_identity();
    test_legacy_send();
    test_legacy_receive();
    test_cplus_send();
    test_cplus_receive();
    test_timer();
    tap_ok(state_round_trip(d), "state");
    out8(&b, PORTS + R_CR, CR_RST);
    tap_ok(in8(&b, PORTS + R_CR) == CR_EMPTY && !b.level[0] && in32(&b, PORTS) == 0x12005452,
           "reset");
    nic_close();
    return tap_done();
}
