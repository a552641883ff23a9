/* Fuzzes the PIIX3's IDE function with two disks and a CD-ROM drive: task file registers, data by
 * PIO, bus-master DMA and packets from the input. */
#include "tests/fuzz/fuzz.h"

#include "hw/ide/ide.h"
#include "hw/ide/piix3_ide.h"

enum { RAM = 1 << 20, DISK = 256 << 10, BM = 0xc000, PRD = 0x10000, DATA = 0x20000 };

static struct device *ide;
static struct block *image[3];

static void set_up(void)
{
    struct error err = {{0}};

    fuzz_machine(RAM);
    fuzz_pci();
    ide = bench_add(&fuzz.bench, &piix3_ide_type);
    for (unsigned i = 0; i < 3; i++) {
        image[i] = fuzz_image(DISK);
        if (!ide_attach(piix3_ide_channel(fuzz.bench.m, i / 2), i & 1, image[i], i == 2, ide,
                        &err)) {
            abort();
        }
    }
}

static uint16_t ports(unsigned channel)
{
    return channel ? 0x170 : 0x1f0;
}

/* The registers and the command; a packet where one is asked for. */
static void command(struct input *in, unsigned channel, bool packet)
{
    static const uint8_t commands[] = {0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39,
                                       0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0xec, 0xa1, 0xa0,
                                       0xe7, 0xea, 0xef, 0xf8, 0x27, 0x91, 0x40, 0x42,
                                       0x06, 0x08, 0x90, 0xe0, 0xe5, 0x10, 0xb0, 0x00};
    unsigned how = take(in, 1), n = take(in, 1);
    uint16_t base = ports(channel);

    out8(&fuzz.bench, base + 6, (uint32_t)(0xa0 | (how & 0x50)));
    for (unsigned port = 1; port < 6; port++) {
        if (how & 0x20 && !packet) { /* the previous ones, for LBA48 */
            out8(&fuzz.bench, base + port, how & 1 ? take(in, 1) : 0);
        }
        out8(&fuzz.bench, base + port, port > 3 && !(how & 2) ? 0 : take(in, 1));
    }
    if (!packet) {
        out8(&fuzz.bench, base + 7, how & 0x80 ? n : commands[n % sizeof(commands)]);
        return;
    }
    out8(&fuzz.bench, base + 5, n);
    out8(&fuzz.bench, base + 7, 0xa0);
    for (unsigned i = 0; i < 6; i++) {
        out16(&fuzz.bench, base, take(in, 2));
    }
}

static void regions(struct input *in, unsigned channel, unsigned how)
{
    uint8_t prd[32];
    unsigned bm = BM + 8 * channel;

    for (unsigned i = 0; i < 4; i++) {
        uint32_t where = take(in, 2);
        le_put32(prd + 8 * i, where < 0x200 ? RAM - where : DATA + where);
        le_put32(prd + 8 * i + 4, (how & 1 ? take(in, 2) : 512) | (uint32_t)(i == 3) << 31);
    }
    memory_write(fuzz.bench.m->memory, PRD, prd, sizeof(prd));
    out32(&fuzz.bench, (uint16_t)(bm + 4), PRD);
    out8(&fuzz.bench, (uint16_t)bm, 1 | (how & 8));
}

static void one_step(struct input *in)
{
    unsigned op = take(in, 1), channel = op >> 7, n;
    uint16_t base = ports(channel);

    switch (op & 15) {
    case 0:
    case 1:
        command(in, channel, false);
        break;
    case 2:
        command(in, 1, true);
        break;
    case 3: /* data in */
        for (n = take(in, 1) * 4; n; n--) {
            ioport_read(fuzz.bench.m->memory, base, op & 16 ? 4 : 2);
        }
        break;
    case 4:
        for (n = take(in, 1) * 4; n; n--) {
            ioport_write(fuzz.bench.m->memory, base, n, op & 16 ? 4 : 2);
        }
        break;
    case 5:
    case 6:
        regions(in, channel, op >> 4);
        break;
    case 7:
        out8(&fuzz.bench, (uint16_t)(BM + (op >> 4)), take(in, 1));
        break;
    case 8:
        out8(&fuzz.bench, (uint16_t)(base + (op >> 4 & 7)), take(in, 1));
        break;
    case 9:
        in8(&fuzz.bench, (uint16_t)(base + (op >> 4 & 7)));
        in8(&fuzz.bench, (uint16_t)(BM + (op >> 4)));
        break;
    case 10: /* device control, with soft reset */
        out8(&fuzz.bench, base + 0x206, take(in, 1));
        in8(&fuzz.bench, base + 0x206);
        break;
    case 11: {
        struct error err;
        op & 0x40 ? (void)block_open_tray(image[2], op & 0x20, &err) : block_close_tray(image[2]);
        break;
    }
    case 12:
        memory_file[op >> 4 & 1].failing = op & 0x40;
        break;
    default:
        fuzz_settle();
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    if (!ide) {
        set_up();
    }
    block_close_tray(image[2]);
    fuzz_begin();
    fuzz_bar(ide, 4, BM);
    while (more(&in)) {
        one_step(&in);
    }
    fuzz_drain();
    return 0;
}
