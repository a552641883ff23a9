/* The 82540EM through its registers: EEPROM, PHY, interrupts, sending with and without offload,
 * receiving and filters. */
#include "host/le.h"
#include "hw/net/e1000_regs.h"
#include "tests/device/nic.h"

extern const struct device_type e1000_type;

enum {
    BAR = 0xe0000000u,
    PORTS = 0xc000,
    TX = 0x10000,
    RX = 0x11000,
    TXBUF = 0x20000,
    RXBUF = 0x40000,
    N = 16
};

static uint32_t get(unsigned r)
{
    return (uint32_t)memory_view_load(b.m->memory, VIEW_NORMAL, BAR + r * 4, 4);
}
static void put(unsigned r, uint32_t v)
{
    memory_view_store(b.m->memory, VIEW_NORMAL, BAR + r * 4, v, 4);
}

/* ---- EEPROM and PHY ---- */

static void clock_bit(unsigned di)
{
    put(R_EECD, EECD_CS | EECD_REQ | (di ? EECD_DI : 0));
    put(R_EECD, EECD_CS | EECD_REQ | EECD_SK | (di ? EECD_DI : 0));
}

static uint16_t read_by_bits(unsigned word)
{
    uint16_t v = 0;

    put(R_EECD, EECD_REQ);
    put(R_EECD, EECD_REQ | EECD_CS);
    for (int i = 2; i >= 0; i--) {
        clock_bit(6u >> i & 1);
    }
    for (int i = 5; i >= 0; i--) {
        clock_bit(word >> i & 1);
    }
    for (int i = 0; i < 16; i++) {
        clock_bit(0);
        v = (uint16_t)(v << 1 | ((get(R_EECD) & EECD_DO) != 0));
        put(R_EECD, EECD_CS | EECD_REQ);
    }
    put(R_EECD, 0);
    return v;
}

static void test_eeprom(void)
{
    uint16_t sum = 0;
    bool same = true;

    for (unsigned i = 0; i < 64; i++) {
        put(R_EERD, i << 8 | EERD_START);
        uint16_t word = (uint16_t)(get(R_EERD) >> 16);
        same &= (get(R_EERD) & EERD_DONE) && word == read_by_bits(i);
        sum = (uint16_t)(sum + word);
    }
    tap_ok(same, "EEPROM: the same by bits and by EERD");
    tap_ok(sum == 0xbaba, "EEPROM: checksum");
    tap_ok(read_by_bits(0) == 0x5452 && get(R_RA) == 0x12005452 && get(R_RA + 1) == 0x80005634,
           "EEPROM: the address, also in the first filter");
    put(R_MDIC, 2u << 26 | 1u << 21 | 2u << 16);
    tap_ok((get(R_MDIC) & (MDIC_READY | 0xffff)) == (MDIC_READY | 0x0141), "PHY: identification");
    put(R_MDIC, 2u << 26 | 7u << 21 | 2u << 16);
    tap_ok(get(R_MDIC) & MDIC_ERROR, "PHY: no other");
    tap_ok(get(R_STATUS) & STATUS_LINK_UP, "link up");
    out32(&b, PORTS, R_STATUS * 4);
    tap_ok(in32(&b, PORTS + 4) == get(R_STATUS), "registers through the ports");
}

/* ---- sending ---- */

static void descriptor(unsigned n, uint64_t addr, uint32_t low, uint32_t high)
{
    memory_write64(b.m->memory, TX + 16 * n, addr);
    memory_write32(b.m->memory, TX + 16 * n + 8, low);
    memory_write32(b.m->memory, TX + 16 * n + 12, high);
}

static void send_to(unsigned tail)
{
    nsent = 0;
    put(R_TDT, tail);
    settle();
}

static unsigned internet_sum(const uint8_t *p, size_t len, unsigned sum)
{
    for (size_t i = 0; i < len; i++) {
        sum += i & 1 ? p[i] : (unsigned)p[i] << 8;
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* Is the frame a segment with all lengths and sums right? */
static bool good_segment(const uint8_t *f, size_t len)
{
    return ((unsigned)f[16] << 8 | f[17]) == len - 14 && internet_sum(f + 14, 20, 0) == 0xffff &&
           internet_sum(f + 34, len - 34, internet_sum(f + 26, 8, (unsigned)(6 + len - 34))) ==
               0xffff;
}

/* A TCP packet of n bytes of data as a driver leaves it for segmentation. */
static void put_packet(uint32_t n)
{
    uint8_t f[54] = {[12] = 8, [14] = 0x45, [22] = 64, [23] = 6, [26] = 10, 0, 2, 15, 10, 0, 2, 2};

    f[46] = 0x50;
    f[47] = 0x19;
    f[19] = 7; /* id */
    unsigned pseudo = internet_sum(f + 26, 8, 6);
    f[50] = (uint8_t)(pseudo >> 8);
    f[51] = (uint8_t)pseudo;
    memory_write(b.m->memory, TXBUF, f, sizeof(f));
    for (uint32_t i = 0; i < n; i++) {
        uint8_t v = (uint8_t)(i * 13);
        memory_write(b.m->memory, TXBUF + 54 + i, &v, 1);
    }
}

static void test_segments(bool whole)
{
    net_ops.takes_large = whole;
    put_packet(3500);
    descriptor(3, 14 | 24 << 8 | 33u << 16 | (uint64_t)34 << 32 | (uint64_t)50 << 40,
               3500 | (uint32_t)(CMD_DEXT | CMD_TSE | TUCMD_TCP | TUCMD_IP) << 24,
               54u << 8 | 1460u << 16);
    descriptor(4, TXBUF, 100 | DTYP_DATA << 20 | (uint32_t)(CMD_DEXT | CMD_TSE) << 24, 3 << 8);
    descriptor(5, TXBUF + 100,
               3454 | DTYP_DATA << 20 | (uint32_t)(CMD_DEXT | CMD_TSE | CMD_EOP | CMD_RS) << 24,
               3 << 8);
    put(R_TDH, 3);
    send_to(6);
    bool ok = nsent == (whole ? 1 : 3);
    size_t total = 0;
    for (unsigned i = 0; i < nsent && i < 8; i++) {
        ok &= good_segment(sent[i], sent_len[i]) && sent[i][54] == (uint8_t)(total * 13) &&
              (sent[i][41] | sent[i][40] << 8) == (int)total && sent[i][19] == 7 + i &&
              sent[i][47] == (i + 1 == nsent ? 0x19 : 0x10);
        total += sent_len[i] - 54;
    }
    tap_ok(ok && total == 3500, "segmentation: %s",
           whole ? "left to the back end" : "three packets");
}

/* A packet cut to single bytes would keep the main loop busy for a guest's fun. */
static void test_tiny_segments(void)
{
    net_ops.takes_large = false;
    put_packet(3500);
    descriptor(3, 14 | 24 << 8 | 33u << 16 | (uint64_t)34 << 32 | (uint64_t)50 << 40,
               3500 | (uint32_t)(CMD_DEXT | CMD_TSE | TUCMD_TCP | TUCMD_IP) << 24,
               54u << 8 | 1u << 16);
    descriptor(4, TXBUF,
               3554 | DTYP_DATA << 20 | (uint32_t)(CMD_DEXT | CMD_TSE | CMD_EOP | CMD_RS) << 24,
               3 << 8);
    put(R_TDH, 3);
    send_to(5);
    tap_ok(nsent == 0 && get(R_TDH) == 5, "segments of one byte are refused");
}

static void test_sending(void)
{
    uint8_t f[200];

    for (unsigned i = 0; i < sizeof(f); i++) {
        f[i] = (uint8_t)(i * 3);
    }
    memory_write(b.m->memory, TXBUF, f, sizeof(f));
    put(R_TDBAL, TX);
    put(R_TDLEN, N * 16);
    put(R_TCTL, TCTL_EN);
    put(R_IMS, ICR_TXDW);
    descriptor(0, TXBUF, 60 | (uint32_t)(CMD_EOP | CMD_RS) << 24, 0);
    send_to(1);
    tap_ok(nsent == 1 && sent_len[0] == 60 && !memcmp(sent[0], f, 60), "a frame is sent");
    tap_ok((memory_read32(b.m->memory, TX + 12) & 0xff) == STATUS_DD && get(R_TDH) == 1,
           "its descriptor is marked");
    tap_ok(b.level[0] && (get(R_ICR) & ICR_TXDW) && !b.level[0] && !get(R_ICR),
           "interrupt, until it is read");
    descriptor(1, TXBUF, 50 | (uint32_t)CMD_IC << 24 | 40u << 16, 20 << 8);
    descriptor(2, TXBUF + 50, 51 | (uint32_t)(CMD_EOP | CMD_IC) << 24 | 40u << 16, 20 << 8);
    send_to(3);
    f[40] = sent[0][40];
    f[41] = sent[0][41];
    tap_ok(nsent == 1 && sent_len[0] == 101 && !memcmp(sent[0], f, 101),
           "a frame of two descriptors");
    tap_ok(internet_sum(f + 20, 81, 120u << 8 | 123) == 0xffff,
           "its checksum (over what was there)");
    test_segments(false);
    test_segments(true);
    test_tiny_segments();
    descriptor(6, TXBUF, 0xffff | (uint32_t)CMD_RS << 24, 0);
    descriptor(7, TXBUF, 0xffff | (uint32_t)(CMD_EOP | CMD_RS) << 24, 0);
    send_to(8);
    tap_ok(nsent == 0 && get(R_TDH) == 8, "a frame that is too long is dropped");
    descriptor(8, BAR, 64 | (uint32_t)CMD_EOP << 24, 0);
    send_to(9);
    tap_ok(nsent == 0, "registers are no buffer");
    descriptor(9, 0, (uint32_t)CMD_DEXT << 24, 255u << 8 | 1u << 16);
    descriptor(10, TXBUF, 60 | DTYP_DATA << 20 | (uint32_t)(CMD_DEXT | CMD_TSE | CMD_EOP) << 24, 0);
    send_to(11);
    tap_ok(nsent == 0, "segmentation with headers longer than the packet is refused");
    put(R_TDT, 500);
    settle();
    tap_ok(nsent == 0 && get(R_TDH) == 11, "a tail outside of the ring does nothing");
}

/* ---- receiving ---- */

static void give(unsigned from, unsigned to)
{
    for (unsigned i = from; i != to; i = (i + 1) % N) {
        memory_write64(b.m->memory, RX + 16 * i, RXBUF + 2048 * i);
        memory_write64(b.m->memory, RX + 16 * i + 8, 0);
    }
    put(R_RDT, to);
}

static void test_receiving(void)
{
    uint8_t f[2000] = {0x52, 0x54, 0, 0x12, 0x34, 0x56, 0, 0, 0, 0, 0, 0, 8, 0, 0x45};

    f[23] = 17;
    get(R_ICR);
    put(R_IMC, 0xffffffff);
    put(R_IMS, ICR_RXT0);
    put(R_RDBAL, RX);
    put(R_RDLEN, N * 16);
    put(R_RXCSUM, RXCSUM_IP | RXCSUM_TU);
    netdev_deliver(&net, f, 100);
    tap_ok(!net.waiting && get(R_RDH) == 0, "nothing is received before it is switched on");
    put(R_RCTL, RCTL_EN | RCTL_BAM);
    netdev_deliver(&net, f, 1514);
    tap_ok(net.waiting == 1, "a frame waits for descriptors");
    give(0, 4);
    tap_ok(!net.waiting && get(R_RDH) == 1 && b.level[0] && (get(R_ICR) & ICR_RXT0),
           "and comes with an interrupt");
    tap_ok(memory_read32(b.m->memory, RX + 8) == 1518 &&
               (memory_read32(b.m->memory, RX + 12) & 0xff) ==
                   (STATUS_DD | STATUS_EOP | STATUS_IPCS | STATUS_TCPCS),
           "its descriptor: length with the check sequence, checksums vouched for");
    uint8_t got[1514];
    memory_read(b.m->memory, RXBUF, got, 1514);
    tap_ok(!memcmp(got, f, 1514), "its bytes");
    f[5] = 0x57;
    netdev_deliver(&net, f, 100);
    tap_ok(get(R_RDH) == 1, "another card's frame is not taken");
    memcpy(f, "\x33\x33\0\0\0\1", 6);
    netdev_deliver(&net, f, 100);
    tap_ok(get(R_RDH) == 1, "nor a group's");
    unsigned hash = 0x0100 >> 4;
    put(R_MTA + (hash >> 5), 1u << (hash & 31));
    netdev_deliver(&net, f, 100);
    tap_ok(get(R_RDH) == 2, "unless the hash table has it");
    memset(f, 0xff, 6);
    netdev_deliver(&net, f, 30);
    tap_ok(get(R_RDH) == 3 && memory_read32(b.m->memory, RX + 32 + 8) == 64,
           "broadcast, padded to 60 bytes");
    netdev_deliver(&net, f, 1519);
    tap_ok(get(R_RDH) == 3, "too long without LPE");
    put(R_RCTL, RCTL_EN | RCTL_BAM | 3 << 16 | RCTL_SECRC);
    give(3, 2);
    netdev_deliver(&net, f, 700);
    tap_ok(get(R_RDH) == 6 && memory_read32(b.m->memory, RX + 16 * 5 + 8) == 188 &&
               (memory_read32(b.m->memory, RX + 16 * 4 + 12) & 0xff) == STATUS_DD,
           "three buffers of 256 bytes");
    memory_write64(b.m->memory, RX + 16 * 6, BAR + R_RDT * 4);
    netdev_deliver(&net, f, 100);
    tap_ok(get(R_RDH) == 7 && get(R_RDT) == 2, "registers are no buffer");
}

static void test_throttle(void)
{
    get(R_ICR);
    put(R_IMC, 0xffffffff);
    put(R_IMS, ICR_LSC);
    put(R_ITR, 1000);
    int before = b.edges[0];
    put(R_ICS, ICR_LSC);
    get(R_ICR);
    put(R_ICS, ICR_LSC);
    tap_ok(b.edges[0] == before + 1 && !b.level[0], "ITR holds the second interrupt back");
    advance(&b, 256000);
    tap_ok(b.edges[0] == before + 2 && b.level[0], "until its time has come");
    get(R_ICR);
}

int main(void)
{
    struct error err = {{0}};
    struct device *d = nic_open(&e1000_type, (const uint32_t[]){BAR, PORTS}, 2);

    test_eeprom();
    test_sending();
    test_receiving();
    test_throttle();
    tap_ok(state_round_trip(d), "state");
    put(R_CTRL, CTRL_RST);
    tap_ok(!get(R_RCTL) && !get(R_IMS) && !b.level[0] && get(R_RA) == 0x12005452, "reset");
    struct device *bad = device_create(b.m, &e1000_type, NULL);
    device_set(bad, "mac", "53:54:00:12:34:56", &err);
    tap_ok(!device_realize(bad, &err), "%s", err.msg);
    nic_close();
    return tap_done();
}
