/* Fuzzes the floppy disk controller with its DMA channel: port accesses from the input. */
#include "tests/fuzz/fuzz.h"

#include "hw/block/fdc.h"
#include "hw/dma/i8237.h"

static struct device *controller;

static void set_up(void)
{
    fuzz_machine(1 << 20);
    bench_add(&fuzz.bench, &i8237_type);
    controller = bench_add(&fuzz.bench, &isa_fdc_type);
    for (unsigned i = 0; i < 2; i++) {
        struct device *d = device_create(fuzz.bench.m, &floppy_type, NULL);
        device_set_ptr(d, "drive", fuzz_image((i ? 1440 : 2880) * 512));
        fuzz_realize(d);
    }
}

/* A command with as many parameters as it has; the values are likely ones. */
static void command(struct input *in, unsigned op)
{
    static const uint8_t codes[][2] = {
        {0x06, 8}, {0x05, 8}, {0x4d, 5}, {0x0f, 2}, {0x07, 1}, {0x08, 0}, {0x03, 2},
        {0x04, 1}, {0x4a, 1}, {0x13, 3}, {0x10, 0}, {0x0e, 0}, {0x02, 8}, {0x0c, 8},
        {0x09, 8}, {0x11, 8}, {0x16, 8}, {0x12, 1}, {0x14, 0}, {0x94, 0}, {0x18, 0},
        {0x8f, 2}, {0xcf, 2}, {0x19, 8}, {0x1d, 8}, {0x8e, 5}, {0x2e, 0}, {0x33, 1}};
    const uint8_t *c = codes[take(in, 1) % (sizeof(codes) / sizeof(codes[0]))];
    uint8_t at[8] = {(uint8_t)(op >> 3 & 5), 0, (uint8_t)(op >> 5 & 1), 1, 2, 18, 0x1b, 0xff};

    out8(&fuzz.bench, 0x3f5, c[0] | (op & 0x10 ? 0xc0 : c[0] & 0x80 ? 0 : 0x40));
    for (unsigned i = 0; i < c[1]; i++) {
        uint32_t v = at[i];
        if (op & 0x40 || i == 1 || i == 3) {
            v = take(in, 1);
            v = v < 0xc0 && i == 3 ? v % 19 : v;
        }
        out8(&fuzz.bench, 0x3f5, v);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    if (!controller) {
        set_up();
    }
    fuzz_begin();
    out8(&fuzz.bench, 0x3f2, 0x1c);
    while (more(&in)) {
        unsigned op = take(&in, 1);
        switch (op & 7) {
        case 0:
            command(&in, op);
            break;
        case 1: /* bytes of a command */
            for (unsigned n = 0; n < 9 && more(&in); n++) {
                out8(&fuzz.bench, 0x3f5, take(&in, 1));
            }
            break;
        case 2:
            out8(&fuzz.bench, (uint16_t)(0x3f0 + (op >> 3) % 8), take(&in, 1));
            break;
        case 3:
            for (unsigned n = 0; n <= op; n++) {
                in8(&fuzz.bench, (uint16_t)(0x3f0 + ((op >> 3) % 8 == 6 ? 5 : (op >> 3) % 8)));
            }
            break;
        case 4: /* the channel */
            out8(&fuzz.bench, 0x0c, 0);
            out8(&fuzz.bench, 0x0b, 0x42 | (op & 0x0c));
            out8(&fuzz.bench, 0x04, take(&in, 1));
            out8(&fuzz.bench, 0x04, take(&in, 1));
            out8(&fuzz.bench, 0x05, take(&in, 1));
            out8(&fuzz.bench, 0x05, take(&in, 1) & 15);
            out8(&fuzz.bench, 0x0a, 2);
            break;
        case 5:
            if (op & 0x80) {
                memory_file[op >> 3 & 1].failing = op & 0x40;
            } else {
                out8(&fuzz.bench, (uint16_t)(op >> 3 & 15), take(&in, 1));
            }
            break;
        case 6:
            clock_advance(fuzz.bench.m->clock, (int64_t)take(&in, 2) << 10);
            break;
        default:
            fuzz_settle();
            break;
        }
    }
    fuzz_drain();
    return 0;
}
