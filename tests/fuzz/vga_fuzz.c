/* Fuzzes the display adapters: the input writes to the VGA's ports, windows and registers, to the
 * video memory, and looks at the screen in between. Nothing may crash or read outside of video
 * memory.
 *
 * With libFuzzer by `make fuzz`; with -DSTANDALONE it makes random inputs itself for as many
 * seconds as the first argument says. */
#include "hw/display/vga.h"
#include "hw/pci/pci.h"
#include "tests/device/virtio_driver.h"

#include <time.h>

extern const struct device_type stdvga_type;

enum { LFB = 0xe0000000u, MMIO = 0xe2000000u, MAX_STEPS = 400 };

static struct bench b;
static struct console_view *view;
static struct text_screen text;

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
    struct error err = {{0}};

    bench_open(&b);
    driver_bus(&b, &line);
    struct device *d = device_create(b.m, &stdvga_type, NULL);
    device_set(d, "romfile", "", &err);
    bench_must(device_realize(d, &err) ? d : NULL, &err);
    view = console_view_open(b.m, 0);
}

/* Index and data in one step: what finds its way into the modes. */
static void write_register(struct input *in)
{
    static const uint16_t ports[] = {0x3c4, 0x3ce, 0x3d4, 0x3b4};
    unsigned where = take(in, 1);

    if ((where & 7) < 4) {
        out8(&b, ports[where & 3], where >> 3);
        out8(&b, ports[where & 3] + 1, take(in, 1));
    } else if ((where & 7) == 4) {
        in8(&b, 0x3da);
        out8(&b, 0x3c0, where >> 3 | (where & 0x80 ? 0x20 : 0));
        out8(&b, 0x3c0, take(in, 1));
        out8(&b, 0x3c0, 0x20);
    } else {
        out16(&b, 0x1ce, where >> 3 & 15);
        out16(&b, 0x1cf, take(in, 2));
    }
}

static void step(struct input *in)
{
    struct console_frame frame;
    unsigned what = take(in, 1), size = 1u << (what >> 6);

    switch (what & 15) {
    case 0:
        console_view_update(view, &frame, NULL, NULL);
        break;
    case 1:
        console_text(console_view_console(view), &text);
        break;
    case 2:
        ioport_write(b.m->memory, (uint16_t)(0x3b0 + (take(in, 1) & 0x3f)), take(in, 2),
                     size > 2 ? 2 : size);
        break;
    case 3:
        ioport_read(b.m->memory, (uint16_t)(0x3b0 + (take(in, 1) & 0x3f)), size > 2 ? 2 : size);
        break;
    case 4:
        memory_view_store(b.m->memory, VIEW_NORMAL, 0xa0000 + (take(in, 3) & 0x1ffff), take(in, 4),
                          size);
        break;
    case 5:
        memory_view_load(b.m->memory, VIEW_NORMAL, 0xa0000 + (take(in, 3) & 0x1ffff), size);
        break;
    case 6:
        memory_view_store(b.m->memory, VIEW_NORMAL, LFB + (take(in, 3) & 0xffffff), take(in, 4),
                          size);
        break;
    case 7:
        memory_view_store(b.m->memory, VIEW_NORMAL, MMIO + (take(in, 2) & 0xfff), take(in, 4),
                          size);
        break;
    case 8:
        memory_view_load(b.m->memory, VIEW_NORMAL, MMIO + (take(in, 2) & 0xfff), size);
        break;
    case 9:
        clock_advance(b.m->clock, take(in, 4));
        break;
    default:
        write_register(in);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    struct console_frame frame;
    struct pci_device *p;

    if (!view) {
        set_up();
    }
    p = (struct pci_device *)console_device(console_view_console(view));
    devices_reset(b.m);
    pci_config_write(p->bus, 0, p->devfn, 0x10, LFB, 4);
    pci_config_write(p->bus, 0, p->devfn, 0x18, MMIO, 4);
    pci_config_write(p->bus, 0, p->devfn, 0x04, 3, 2);
    out8(&b, 0x3c2, 0x67);
    for (unsigned i = 0; i < 3; i++) { /* a small screen at first: drawing takes most of the time */
        static const uint8_t small[3][2] = {{1, 7}, {7, 0}, {0x12, 31}};
        out8(&b, 0x3d4, small[i][0]);
        out8(&b, 0x3d5, small[i][1]);
    }
    for (unsigned i = 0; i < MAX_STEPS && in.p < in.end; i++) {
        step(&in);
    }
    console_view_update(view, &frame, NULL, NULL);
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
