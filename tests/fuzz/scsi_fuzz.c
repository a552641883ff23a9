/* Fuzzes virtio-scsi with a disk and a CD-ROM drive: commands, parameter lists, task management.
 * The rings themselves are virtqueue_fuzz's. */
#include "tests/fuzz/fuzz.h"

#include "hw/scsi/scsi.h"
#include "tests/device/virtio_driver.h"

extern const struct device_type virtio_scsi_type;

static struct driver drv;
static struct device *hba;
static struct block *image[2];

static void set_up(void)
{
    fuzz_machine(DRIVER_RAM);
    fuzz_pci();
    hba = bench_add(&fuzz.bench, &virtio_scsi_type);
    for (unsigned i = 0; i < 2; i++) {
        struct device *d = device_create(fuzz.bench.m, i ? &scsi_cd_type : &scsi_hd_type, NULL);
        image[i] = fuzz_image(256 << 10);
        device_set_ptr(d, "drive", image[i]);
        fuzz_realize(d);
    }
}

/* One command: 51 bytes of header, data at 10000 for the drive or room at 20000 for its answer. */
static void command(struct input *in, unsigned op)
{
    static const uint8_t codes[] = {0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x1a, 0x1b, 0x1e, 0x25,
                                    0x28, 0x2a, 0x35, 0x41, 0x42, 0x43, 0x46, 0x4a, 0x51, 0x55,
                                    0x5a, 0x88, 0x8a, 0x91, 0x93, 0x9e, 0xa0, 0xa8, 0xaa, 0xbd,
                                    0x2f, 0x12, 0x8f, 0xaf, 0x2e, 0x8e, 0xae, 0xa3, 0x52, 0xad};
    uint8_t req[51] = {1, (uint8_t)(op >> 3 & 1), 0x40, 0}, data[64];
    unsigned how = take(in, 1), size = take(in, 2) & 0x3fff, out = op & 0x80;
    unsigned at = (how & 15) * 0x100, d = 3 * (how & 15);

    req[1] = op & 0x10 && how & 0x80 ? (uint8_t)take(in, 1) & 3 : req[1];
    req[3] = op & 0x20 && how & 0x80 ? (uint8_t)take(in, 1) & 1 : 0;
    req[19] = codes[take(in, 1) % sizeof(codes)];
    req[19] = how & 0x40 ? (uint8_t)take(in, 1) : req[19];
    for (unsigned i = 20; i < 36; i++) { /* on the disk, more often */
        req[i] = (uint8_t)(!(how & 0x20) && i > 20 && i < 24 ? 0 : take(in, 1));
    }
    if (out) {
        take_bytes(in, data, sizeof(data));
        memory_write(fuzz.bench.m->memory, DRIVER_BUFFERS + 0x10000, data, sizeof(data));
    }
    memory_write(fuzz.bench.m->memory, DRIVER_BUFFERS + at, req, sizeof(req));
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
    memory_write(fuzz.bench.m->memory, DRIVER_BUFFERS + 0x40000, req, sizeof(req));
    put_desc(&drv, 0, 0, DRIVER_BUFFERS + 0x40000, sizeof(req), D_NEXT, 1);
    put_desc(&drv, 0, 1, DRIVER_BUFFERS + 0x40100, 16, D_WRITE, 0);
    make_available(&drv, 0, 0);
    driver_kick(&drv, 0);
}

static void one_step(struct input *in)
{
    unsigned op = take(in, 1);
    struct error err;

    switch (op & 7) {
    case 0:
        fuzz_settle();
        break;
    case 1:
        task(in);
        break;
    case 2:
        if (op & 0x80) { /* a reset in the middle */
            driver_start(&drv, UINT64_C(7) << 1, 3);
        } else if (op & 0x40) { /* a buffer for events */
            put_desc(&drv, 1, op >> 3 & 7, DRIVER_BUFFERS + 0x50000, 16, D_WRITE, 0);
            make_available(&drv, 1, (uint16_t)(op >> 3 & 7));
            driver_kick(&drv, 1);
        } else if (op & 0x20) {
            memory_file[op >> 3 & 1].failing = op & 0x10;
        } else {
            op & 0x10 ? (void)block_open_tray(image[1], op & 8, &err) : block_close_tray(image[1]);
        }
        break;
    default:
        command(in, op);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    if (!hba) {
        set_up();
    }
    block_close_tray(image[1]);
    fuzz_begin();
    driver_find(&drv, &fuzz.bench, hba);
    driver_start(&drv, UINT64_C(7) << 1, 3);
    while (more(&in)) {
        one_step(&in);
    }
    fuzz_drain();
    return 0;
}
