/* Fuzzes the 82540EM: registers, descriptors and frames from the input. Nothing may crash, hang or
 * write outside of the guest's RAM. */
#include "tests/fuzz/fuzz.h"

#include "hw/net/e1000_regs.h"

extern const struct device_type e1000_type;

enum { BAR = 0xe0000000u, RAM = 1 << 20, TX = 0x10000, RX = 0x12000, BUFFERS = 0x20000 };

static struct device *card;

static void put(unsigned r, uint32_t v)
{
    memory_view_store(fuzz.bench.m->memory, VIEW_NORMAL, BAR + r * 4, v, 4);
}

static uint64_t address(struct input *in)
{
    uint32_t v = take(in, 2);

    return v < 0x400 ? BAR + v * 16 : v < 0x800 ? RAM - (v & 63) : BUFFERS + v * 4;
}

static void two_words(uint64_t at, uint64_t first, uint64_t second)
{
    memory_write64(fuzz.bench.m->memory, at, first);
    memory_write64(fuzz.bench.m->memory, at + 8, second);
}

/* A whole packet as a driver gives it: context, headers, data. */
static void send_packet(struct input *in)
{
    unsigned n = take(in, 1) & 31, how = take(in, 1), command = CMD_DEXT | (how & 0x3f);
    uint32_t len = how & 0x40 ? take(in, 2) : 200, mss = how & 0x80 ? take(in, 2) : 100;
    uint8_t headers[FUZZ_HEADERS];

    fuzz_headers(in, headers, len);
    memory_write(fuzz.bench.m->memory, BUFFERS, headers, sizeof(headers));
    uint8_t context[16] = {14, 24, (uint8_t)(how & 4 ? take(in, 1) : 33), 0, 34, 50, 0, 0};
    le_put32(context + 8, (len - 54) & 0xfffff);
    context[11] = (uint8_t)(CMD_DEXT | take(in, 1));
    context[13] = 54;
    le_put16(context + 14, (uint16_t)mss);
    memory_write(fuzz.bench.m->memory, TX + 16 * n, context, sizeof(context));
    two_words(TX + 16 * ((n + 1) & 31), BUFFERS,
              len | 0x10u << 20 | (uint32_t)command << 24 | (uint64_t)take(in, 2) << 32);
    put(R_TDT, (n + 2) & 31);
    fuzz_settle();
}

static void one_step(struct input *in)
{
    static const uint16_t regs[] = {
        R_CTRL, R_EECD, R_EERD,  R_MDIC,  R_ICR, R_ITR, R_ICS, R_IMS, R_IMC,    R_RCTL,  R_TCTL,
        R_RDH,  R_RDT,  R_RDLEN, R_TDLEN, R_TDH, R_TDT, R_RA,  R_MTA, R_RXCSUM, R_RDBAL, R_TDBAL};
    unsigned op = take(in, 1), r, n;

    switch (op & 15) {
    case 0:
    case 8:
        r = regs[take(in, 1) % (sizeof(regs) / sizeof(regs[0]))];
        put(r, r == R_RDBAL || r == R_TDBAL ? take(in, 2) * 16 : take(in, 1 + (op >> 6)));
        break;
    case 1:
    case 9: /* any register */
        put(take(in, 2) & 0x7fff, take(in, 4));
        break;
    case 2:
    case 10: /* a transmit descriptor */
        n = take(in, 1) & 31;
        two_words(TX + 16 * n, address(in), (uint64_t)take(in, 4) << 32 | take(in, 4));
        break;
    case 3: /* a context */
        n = take(in, 1) & 31;
        two_words(TX + 16 * n, (uint64_t)take(in, 4) << 32 | take(in, 4),
                  (uint64_t)take(in, 3) << 40 | (uint64_t)(CMD_DEXT | take(in, 1)) << 24 |
                      take(in, 1));
        break;
    case 4:
    case 12:
        put(R_TDT, take(in, 1) & 31);
        fuzz_settle();
        break;
    case 5:
    case 13:
        n = take(in, 1) & 31;
        memory_write64(fuzz.bench.m->memory, RX + 16 * n, address(in));
        put(R_RDT, take(in, 1) & 31);
        break;
    case 6:
    case 14:
        fuzz_deliver(in);
        break;
    case 11:
        send_packet(in);
        break;
    case 15:
        if (op & 0x80) {
            netdev_set_link(&fuzz.net, op & 0x40);
            break;
        }
        clock_advance(fuzz.bench.m->clock, (int64_t)take(in, 3));
        break;
    default:
        memory_view_load(fuzz.bench.m->memory, VIEW_NORMAL, BAR + (take(in, 3) & 0x1ffff), 4);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    if (!card) {
        card = fuzz_card(&e1000_type, RAM);
    }
    fuzz_begin();
    fuzz_bar(card, 0, BAR);
    fuzz.net_ops.takes_large = take(&in, 1) & 1;
    put(R_TDBAL, TX);
    put(R_TDLEN, 32 * 16);
    put(R_RDBAL, RX);
    put(R_RDLEN, 32 * 16);
    put(R_TCTL, TCTL_EN);
    put(R_RCTL, RCTL_EN | RCTL_UPE | RCTL_MPE | RCTL_LPE);
    while (more(&in)) {
        one_step(&in);
    }
    return 0;
}
