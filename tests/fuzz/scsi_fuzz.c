/* Fuzzes virtio-scsi with a disk and a CD-ROM drive: commands, parameter lists, task management.
 * The rings themselves are virtqueue_fuzz's. */
#include "hw/scsi/scsi.h"
#include "tests/device/virtio_driver.h"
#include "tests/fuzz/disk_fuzz.h"

extern const struct device_type virtio_scsi_type;

static struct driver drv;
static struct device *hba;

static void set_up(void)
{
    struct error err = {{0}};
    struct irq line = {bench_set_line, &bench, 0};

    bench_open(&bench);
    loop = mainloop_create(bench.m);
    graph = block_graph_create(loop);
    driver_bus(&bench, &line);
    hba = bench_add(&bench, &virtio_scsi_type);
    for (unsigned i = 0; i < 2; i++) {
        struct device *d = device_create(bench.m, i ? &scsi_cd_type : &scsi_hd_type, NULL);
        device_set_ptr(d, "drive", fuzz_image(512));
        bench_must(device_realize(d, &err) ? d : NULL, &err);
    }
    driver_find(&drv, &bench, hba);
}

static void command(struct input *in, unsigned op)
{
    static const uint8_t codes[] = {0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x1a, 0x1b,
                                    0x1e, 0x25, 0x28, 0x2a, 0x35, 0x41, 0x42, 0x43,
                                    0x46, 0x4a, 0x51, 0x55, 0x5a, 0x88, 0x8a, 0x91,
                                    0x93, 0x9e, 0xa0, 0xa8, 0xaa, 0xbd, 0x2f, 0x12};
    uint8_t req[51] = {1, (uint8_t)(op >> 3 & 1), 0x40, 0}, data[512];
    unsigned size = take(in, 2) & 0x1fff, at = (op & 63) * 0x100, out = op & 0x80;

    req[1] = op & 0x10 ? (uint8_t)take(in, 1) & 3 : req[1];
    req[3] = op & 0x20 ? (uint8_t)take(in, 1) & 1 : 0;
    req[19] = codes[take(in, 1) % sizeof(codes)];
    for (unsigned i = 20; i < 36; i++) {
        req[i] = (uint8_t)take(in, 1);
    }
    if (req[19] >> 5 != 0 && !(op & 0x40)) {
        req[21] = req[22] = req[23] = 0; /* on the disk, more often */
    }
    for (unsigned i = 0; out && i < sizeof(data); i++) {
        data[i] = (uint8_t)take(in, 1);
    }
    if (out) {
        memory_write(bench.m->memory, DRIVER_BUFFERS + 0x10000, data, sizeof(data));
    }
    memory_write(bench.m->memory, DRIVER_BUFFERS + at, req, sizeof(req));
    unsigned d = 3 * (op & 15);
    put_desc(&drv, 2, d, DRIVER_BUFFERS + at, sizeof(req), D_NEXT, (uint16_t)(d + 1));
    put_desc(&drv, 2, d + 1, out ? DRIVER_BUFFERS + 0x10000 : DRIVER_BUFFERS + 0x8000 + at,
             out ? size : 108, out ? D_NEXT : D_NEXT | D_WRITE, (uint16_t)(d + 2));
    put_desc(&drv, 2, d + 2, out ? DRIVER_BUFFERS + 0x8000 + at : DRIVER_BUFFERS + 0x20000,
             out ? 108 : size, D_WRITE, 0);
    make_available(&drv, 2, (uint16_t)d);
    driver_kick(&drv, 2);
}

static void task(struct input *in)
{
    uint8_t req[24] = {0};

    le_put32(req, take(in, 1) & 3);
    le_put32(req + 4, take(in, 1) & 15);
    req[8] = 1;
    req[9] = (uint8_t)take(in, 1) & 3;
    req[11] = (uint8_t)take(in, 1) & 1;
    memory_write(bench.m->memory, DRIVER_BUFFERS + 0x40000, req, sizeof(req));
    put_desc(&drv, 0, 0, DRIVER_BUFFERS + 0x40000, sizeof(req), D_NEXT, 1);
    put_desc(&drv, 0, 1, DRIVER_BUFFERS + 0x40100, 5, D_WRITE, 0);
    make_available(&drv, 0, 0);
    driver_kick(&drv, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    if (!bench.m) {
        set_up();
    }
    driver_start(&drv, 1 << 2, 3);
    while (in.p < in.end) {
        unsigned op = take(&in, 1);
        switch (op & 7) {
        case 0:
            fuzz_settle();
            break;
        case 1:
            task(&in);
            break;
        case 2: /* reset in the middle */
            if (op & 0x80) {
                driver_start(&drv, 1 << 2, 3);
            }
            break;
        default:
            command(&in, op);
            break;
        }
    }
    fuzz_drain();
    return 0;
}
