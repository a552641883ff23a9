/* Fuzzes the RTL8139C+: registers, descriptors and frames from the input. Nothing may crash, hang
 * or write outside of the guest's RAM. */
#include "tests/fuzz/fuzz.h"

#include "hw/net/rtl8139.h"

extern const struct device_type rtl8139_type;

enum { BAR = 0xe0000000u, RAM = 1 << 20, TX = 0x10000, RX = 0x12000, BUFFERS = 0x20000 };

static struct device *card;

static void put(unsigned r, uint32_t v, unsigned size)
{
    memory_view_store(fuzz.bench.m->memory, VIEW_NORMAL, BAR + r, v, size);
}

static uint64_t address(struct input *in)
{
    uint32_t v = take(in, 2);

    return v < 0x400 ? BAR + v : v < 0x800 ? RAM - (v & 63) : BUFFERS + v * 4;
}

/* A packet in one C+ descriptor. */
static void send_packet(struct input *in)
{
    unsigned n = take(in, 1) & 63, len = take(in, 2);
    uint8_t headers[FUZZ_HEADERS], d[16] = {0};

    fuzz_headers(in, headers, len);
    memory_write(fuzz.bench.m->memory, BUFFERS, headers, sizeof(headers));
    le_put32(d, 0xb0000000u | (take(in, 2) & 0x4fff) << 16 | len);
    le_put32(d + 8, BUFFERS);
    memory_write(fuzz.bench.m->memory, TX + 16 * n, d, sizeof(d));
    put(R_TPPOLL, 0x40, 1);
    fuzz_settle();
}

static void one_step(struct input *in)
{
    unsigned op = take(in, 1), n;

    switch (op & 15) {
    case 0:
    case 8:
        n = 1u << (op >> 6 & 1) << (op >> 5 & 1);
        put(take(in, 1) & 0xff & ~(n - 1), take(in, n), n);
        break;
    case 1:
    case 2:
    case 9: /* a descriptor */
        n = take(in, 1);
        n = (n & 128 ? TX : RX) + 16 * (n & 63);
        memory_write32(fuzz.bench.m->memory, n, take(in, 4) | (op & 64 ? 0x80000000u : 0));
        memory_write32(fuzz.bench.m->memory, n + 4, take(in, op & 32 ? 4 : 0));
        memory_write64(fuzz.bench.m->memory, n + 8, address(in));
        break;
    case 3: /* a legacy one */
    case 11:
        n = take(in, 1) & 3;
        put(R_TSAD + 4 * n, (uint32_t)address(in), 4);
        put(R_TSD + 4 * n, take(in, 2), 4);
        fuzz_settle();
        break;
    case 4:
        put(R_TPPOLL, op & 16 ? 0x80 : 0x40, 1);
        fuzz_settle();
        break;
    case 5:
    case 10:
        send_packet(in);
        break;
    case 6:
    case 14:
        fuzz_deliver(in);
        break;
    case 12: /* the EEPROM's wires */
        for (n = 0; n < 16 && more(in); n++) {
            put(0x50, take(in, 1), 1);
        }
        break;
    case 13:
        put(R_CAPR, take(in, 2), 2);
        break;
    case 15:
        if (op & 0x80) {
            netdev_set_link(&fuzz.net, op & 0x40);
            break;
        }
        clock_advance(fuzz.bench.m->clock, (int64_t)take(in, 3));
        break;
    default:
        memory_view_load(fuzz.bench.m->memory, VIEW_NORMAL, BAR + (take(in, 1) & 0xfc),
                         1u << (op >> 6) % 3);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    if (!card) {
        card = fuzz_card(&rtl8139_type, RAM);
    }
    fuzz_begin();
    fuzz_bar(card, 1, BAR);
    unsigned mode = take(&in, 1);
    fuzz.net_ops.takes_large = mode & 1;
    put(R_CPCR, mode & 2 ? CPCR_TX | CPCR_RX | (mode & 0x60) : 0, 2);
    put(R_TSAD, TX, 4);
    put(R_RDSAR, RX, 4);
    put(R_RBSTART, RAM - 0x9000 + (mode & 4 ? 0x4000 : 0), 4);
    put(R_RCR,
        RCR_AAP | RCR_AB | RCR_AM | (mode & 8 ? RCR_WRAP : 0) | (uint32_t)(mode >> 4 & 3) << 11, 4);
    put(R_CR, CR_TE | CR_RE, 1);
    while (more(&in)) {
        one_step(&in);
    }
    return 0;
}
