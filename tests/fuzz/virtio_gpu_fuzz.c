/* Fuzzes the virtio GPU and input devices: commands with wrong sizes, rectangles, formats and
 * backing, and configuration accesses. Nothing may crash, hang or touch memory outside of the
 * guest's RAM.
 *
 * With libFuzzer by `make fuzz`; with -DSTANDALONE it makes random inputs itself for as many
 * seconds as the first argument says. */
#include "hw/display/console.h"
#include "hw/input/input.h"
#include "tests/device/virtio_driver.h"

#include <time.h>

extern const struct device_type virtio_gpu_type, virtio_tablet_type;

enum { CMD = DRIVER_BUFFERS, ANSWER = DRIVER_BUFFERS + 0x10000, MAX_STEPS = 100 };

static struct bench b;
static struct console_view *view;
static struct driver gpu, tablet;

struct input {
    const uint8_t *p, *end;
};

static uint32_t take(struct input *in, unsigned bytes)
{
    uint32_t v = 0;

    while (bytes-- && in->p < in->end) {
        v = v << 8 | *in->p++;
    }
    return v;
}

static void set_up(void)
{
    struct irq line = {bench_set_line, &b, 0};

    bench_open(&b);
    driver_bus(&b, &line);
    driver_find_at(&gpu, &b, bench_add(&b, &virtio_gpu_type), 0);
    driver_find_at(&tablet, &b, bench_add(&b, &virtio_tablet_type), 1);
    view = console_view_open(b.m, 0);
}

/* A word that is often small, seldom wild. */
static uint32_t word(struct input *in)
{
    uint32_t how = take(in, 1);

    return how < 200 ? how & 63 : how < 230 ? take(in, 2) : take(in, 4);
}

static void command(struct input *in)
{
    unsigned type = take(in, 1), words = take(in, 1) & 31, queue = type >> 7;

    memory_write32(b.m->memory, CMD,
                   (type & 0x7f) < 14 ? 0x100 + (type & 0x7f) : 0x300 + (type & 1));
    memory_write32(b.m->memory, CMD + 4, take(in, 1));
    for (unsigned i = 0; i < words; i++) {
        memory_write32(b.m->memory, CMD + 24 + 4 * i, word(in));
    }
    put_desc(&gpu, queue, 0, CMD, take(in, 1) < 250 ? 24 + 4 * words : take(in, 2), D_NEXT, 1);
    put_desc(&gpu, queue, 1, ANSWER, take(in, 1) < 250 ? 2048 : take(in, 1), D_WRITE, 0);
    make_available(&gpu, queue, 0);
    driver_kick(&gpu, queue);
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
        memory_view_store(b.m->memory, VIEW_NORMAL, gpu.bar + 0x2000 + (take(in, 1) & 31),
                          take(in, 4), 4);
        break;
    case 2:
        memory_view_store(b.m->memory, VIEW_NORMAL, tablet.bar + 0x2000 + take(in, 1), take(in, 1),
                          1);
        memory_view_load(b.m->memory, VIEW_NORMAL, tablet.bar + 0x2000 + take(in, 1), 1);
        break;
    case 3:
        input_place(b.m, take(in, 2), take(in, 2));
        input_buttons(b.m, take(in, 1));
        break;
    case 4:
        console_want_size(console_view_console(view), take(in, 2), take(in, 2));
        break;
    case 5:
        put_desc(&tablet, 0, 0, DRIVER_BUFFERS + take(in, 4), take(in, 1), D_WRITE, 0);
        make_available(&tablet, 0, 0);
        driver_kick(&tablet, 0);
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
    driver_start(&gpu, 2, 2);
    driver_start(&tablet, 0, 2);
    for (unsigned i = 0; i < MAX_STEPS && in.p < in.end; i++) {
        step(&in);
    }
    return 0;
}

#ifdef STANDALONE
int main(int argc, char **argv)
{
    static uint8_t data[4096];
    time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
    unsigned long n = 0;

    for (; time(NULL) < end; n++) {
        size_t size = (size_t)rand() % sizeof(data);
        for (size_t i = 0; i < size; i++) {
            data[i] = (uint8_t)rand();
        }
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("%lu inputs\n", n);
    return 0;
}
#endif
