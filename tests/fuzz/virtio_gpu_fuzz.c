/* Fuzzes the virtio GPU: commands with wrong sizes, rectangles, formats and backing, and
 * configuration accesses. Nothing may crash, hang or touch memory outside of the guest's RAM. */
#include "tests/fuzz/fuzz.h"

#include "hw/display/console.h"
#include "tests/device/virtio_driver.h"

extern const struct device_type virtio_gpu_type;

enum { CMD = DRIVER_BUFFERS, ANSWER = DRIVER_BUFFERS + 0x10000, MAX_STEPS = 100 };

static struct device *device;
static struct console_view *view;
static struct driver gpu;

static void set_up(void)
{
    fuzz_machine(DRIVER_RAM);
    fuzz_pci();
    device = bench_add(&fuzz.bench, &virtio_gpu_type);
    view = console_view_open(fuzz.bench.m, 0);
}

/* A word that is often small, seldom wild. */
static uint32_t word(struct input *in)
{
    uint32_t how = take(in, 1);

    return how < 200 ? how & 63 : how < 230 ? take(in, 2) : take(in, 4);
}

static void send(unsigned queue, unsigned bytes, unsigned answer)
{
    put_desc(&gpu, queue, 0, CMD, bytes, D_NEXT, 1);
    put_desc(&gpu, queue, 1, ANSWER, answer, D_WRITE, 0);
    make_available(&gpu, queue, 0);
    driver_kick(&gpu, queue);
}

static void command(struct input *in)
{
    unsigned type = take(in, 1), words = take(in, 1) & 31, queue = type >> 7;

    memory_write32(fuzz.bench.m->memory, CMD,
                   (type & 0x7f) < 14 ? 0x100 + (type & 0x7f) : 0x300 + (type & 1));
    memory_write32(fuzz.bench.m->memory, CMD + 4, take(in, 1));
    for (unsigned i = 0; i < words; i++) {
        memory_write32(fuzz.bench.m->memory, CMD + 24 + 4 * i, word(in));
    }
    unsigned bytes = take(in, 1) < 250 ? 24 + 4 * words : take(in, 2);
    send(queue, bytes, take(in, 1) < 250 ? 2048 : take(in, 1));
}

static void words(unsigned queue, uint32_t type, const uint32_t *w, unsigned n)
{
    memory_write32(fuzz.bench.m->memory, CMD, type);
    for (unsigned i = 0; i < n; i++) {
        memory_write32(fuzz.bench.m->memory, CMD + 24 + 4 * i, w[i]);
    }
    send(queue, 24 + 4 * n, 2048);
}

/* What a driver does: a resource, its backing, the scanout, a transfer, a flush, a cursor. */
static void picture(struct input *in)
{
    static const uint8_t formats[] = {1, 2, 3, 4, 67, 68, 121, 134};
    uint32_t id = take(in, 1) & 3, how = take(in, 1), w = 16 + (take(in, 1) & 63),
             h = 16 + (w & 31);
    uint32_t x = how & 0x80 ? take(in, 1) : 0;

    words(0, 0x101, (const uint32_t[]){id, formats[how & 7], w, h}, 4);
    words(0, 0x106,
          (const uint32_t[]){id, 2, DRIVER_BUFFERS + 0x20000, 0, 4 * w * h / 2, 0,
                             how & 0x40 ? DRIVER_RAM - 64 : DRIVER_BUFFERS + 0x40000, 0, 4 * w * h,
                             0},
          10);
    words(0, 0x103, (const uint32_t[]){x, 0, w, h, 0, id}, 6);
    words(0, 0x105, (const uint32_t[]){x, 0, w - (how >> 4 & 1), h, 4 * x, 0, id, 0}, 8);
    words(0, 0x104, (const uint32_t[]){x, 0, w, h, id, 0}, 6);
    if (how & 0x20) {
        words(1, 0x300, (const uint32_t[]){0, x, 5, 0, id, 1, 2, 0}, 8);
        words(1, 0x301, (const uint32_t[]){0, 7, x, 0, 0, 0, 0, 0}, 8);
    }
}

static void step(struct input *in)
{
    struct console_frame frame;
    unsigned what = take(in, 1);

    switch (what & 15) {
    case 0:
        console_view_update(view, &frame, NULL, NULL);
        break;
    case 1:
        memory_view_store(fuzz.bench.m->memory, VIEW_NORMAL, gpu.bar + 0x2000 + (take(in, 1) & 31),
                          take(in, 4), 4);
        memory_view_load(fuzz.bench.m->memory, VIEW_NORMAL, gpu.bar + 0x2000 + (what >> 4), 4);
        break;
    case 2:
        console_want_size(console_view_console(view), take(in, 2), take(in, 2));
        break;
    case 3:
    case 4:
    case 5:
        picture(in);
        break;
    case 6:
        fuzz_settle();
        break;
    default:
        command(in);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    if (!view) {
        set_up();
    }
    fuzz_begin();
    driver_find(&gpu, &fuzz.bench, device);
    driver_start(&gpu, 2, 2);
    for (unsigned i = 0; i < MAX_STEPS && more(&in); i++) {
        step(&in);
    }
    return 0;
}
