/* Fuzzes the floppy disk controller with its DMA channel: port accesses from the input. */
#include "hw/block/fdc.h"
#include "hw/dma/i8237.h"
#include "tests/fuzz/disk_fuzz.h"

static void set_up(void)
{
    struct error err = {{0}};

    fuzz_bench();
    bench_add(&bench, &i8237_type);
    bench_add(&bench, &isa_fdc_type);
    for (unsigned i = 0; i < 2; i++) {
        struct device *d = device_create(bench.m, &floppy_type, NULL);
        device_set_ptr(d, "drive", fuzz_image(i ? 1440 : 2880));
        bench_must(device_realize(d, &err) ? d : NULL, &err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    if (!bench.m) {
        set_up();
    }
    devices_reset(bench.m);
    out8(&bench, 0x3f2, 0x1c);
    while (in.p < in.end) {
        unsigned op = take(&in, 1);
        switch (op & 7) {
        case 0:
        case 1: /* a whole command */
            for (unsigned n = 0; n < 9 && in.p < in.end; n++) {
                out8(&bench, 0x3f5, take(&in, 1));
            }
            break;
        case 2:
            out8(&bench, (uint16_t)(0x3f0 + (op >> 3) % 8), take(&in, 1));
            break;
        case 3:
            for (unsigned n = 0; n <= op; n++) {
                in8(&bench, (uint16_t)(0x3f0 + ((op >> 3) % 8 == 6 ? 5 : (op >> 3) % 8)));
            }
            break;
        case 4: /* the channel */
            out8(&bench, 0x0c, 0);
            out8(&bench, 0x0b, 0x42 | (op & 0x0c));
            out8(&bench, 0x04, take(&in, 1));
            out8(&bench, 0x04, take(&in, 1));
            out8(&bench, 0x05, take(&in, 1));
            out8(&bench, 0x05, take(&in, 1) & 15);
            out8(&bench, 0x0a, 2);
            break;
        case 5:
            out8(&bench, (uint16_t)(op >> 3 & 15), take(&in, 1));
            break;
        default:
            fuzz_settle();
            break;
        }
    }
    fuzz_drain();
    return 0;
}
