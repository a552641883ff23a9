/* Fuzzes the display adapter: the input writes to the VGA's ports, windows and registers, to the
 * Bochs VBE registers, to the video memory, and looks at the screen in between. Nothing may crash
 * or read outside of video memory. */
#include "tests/fuzz/fuzz.h"

#include "hw/display/vga.h"

extern const struct device_type stdvga_type;

enum { LFB = 0xe0000000u, MMIO = 0xe2000000u, MAX_STEPS = 400, MAX_PICTURES = 3 };
enum { TEXT = 256 << 10 }; /* what the VGA of old has */

static struct device *vga;
static struct console_view *view;
static struct text_screen text;

static void set_up(void)
{
    struct error err = {{0}};

    fuzz_machine(1 << 20);
    fuzz_pci();
    vga = device_create(fuzz.bench.m, &stdvga_type, NULL);
    device_set(vga, "romfile", "", &err);
    fuzz_realize(vga);
    view = console_view_open(fuzz.bench.m, 0);
}

/* Index and data in one step: what finds its way into the modes. */
static void write_register(struct input *in)
{
    static const uint16_t ports[] = {0x3c4, 0x3ce, 0x3d4, 0x3b4};
    unsigned where = take(in, 1);

    if ((where & 7) < 4) {
        out8(&fuzz.bench, ports[where & 3], where >> 3);
        out8(&fuzz.bench, ports[where & 3] + 1, take(in, 1));
    } else if ((where & 7) == 4) {
        in8(&fuzz.bench, 0x3da);
        out8(&fuzz.bench, 0x3c0, where >> 3 | (where & 0x80 ? 0x20 : 0));
        out8(&fuzz.bench, 0x3c0, take(in, 1));
        out8(&fuzz.bench, 0x3c0, 0x20);
    } else {
        out16(&fuzz.bench, 0x1ce, where >> 3 & 15);
        out16(&fuzz.bench, 0x1cf, take(in, 2));
    }
}

/* A mode as the BIOS sets it: planes, text, 256 colours, or one of VBE's; small, since drawing
 * takes most of the time. */
static void set_mode(struct input *in)
{
    static const uint8_t depths[] = {4, 8, 15, 16, 24, 32};
    unsigned how = take(in, 1);

    if (how & 0x80) {
        const uint16_t regs[][2] = {{4, 0},
                                    {1, (uint16_t)(take(in, 1) * 2 + 8)},
                                    {2, (uint16_t)(take(in, 1) + 1)},
                                    {3, depths[how % 6]},
                                    {4, (uint16_t)(1 | (how & 0x40) | (how & 0x20) << 2)},
                                    {6, (uint16_t)take(in, how & 8 ? 2 : 0)},
                                    {8, (uint16_t)take(in, how & 16 ? 1 : 0)},
                                    {9, (uint16_t)take(in, how & 16 ? 2 : 0)}};
        for (unsigned i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
            if (i < 5 || regs[i][1]) {
                out16(&fuzz.bench, 0x1ce, regs[i][0]);
                out16(&fuzz.bench, 0x1cf, regs[i][1]);
            }
        }
    } else {
        bool graphics = how & 1;
        const uint8_t regs[][3] = {{0xc4, 4, (uint8_t)(how & 2 ? 0x0e : 6)},
                                   {0xce, 5,
                                    (uint8_t)(how & 2 && graphics ? 0x40
                                              : how & 4           ? 0x20
                                                                  : 0x10)},
                                   {0xce, 6, (uint8_t)((graphics ? 1 : 0) | (how >> 3 & 0x0c))},
                                   {0xd4, 0x11, 0},
                                   {0xd4, 0x09, (uint8_t)(graphics ? 0 : 15)},
                                   {0xd4, 0x17, (uint8_t)(0xa3 | (how & 0x18) >> 2)},
                                   {0xd4, 0x0a, (uint8_t)(how & 8 ? 13 : 0)}};
        for (unsigned i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
            out8(&fuzz.bench, 0x300 + regs[i][0], regs[i][1]);
            out8(&fuzz.bench, 0x301 + regs[i][0], regs[i][2]);
        }
        in8(&fuzz.bench, 0x3da);
        out8(&fuzz.bench, 0x3c0, 0x10);
        out8(&fuzz.bench, 0x3c0, graphics | (how & 2 ? 0x40 : 0) | (how & 8));
        out8(&fuzz.bench, 0x3c0, 0x20);
    }
}

static void step(struct input *in, unsigned *pictures)
{
    struct memory *mem = fuzz.bench.m->memory;
    struct console_frame frame;
    unsigned what = take(in, 1), size = 1u << (what >> 6), n;

    switch (what & 15) {
    case 0:
        if (*pictures) {
            --*pictures;
            console_view_update(view, &frame, NULL, NULL);
        }
        break;
    case 1:
        console_text(console_view_console(view), &text);
        break;
    case 2:
        ioport_write(mem, (uint16_t)(0x3b0 + (take(in, 1) & 0x3f)), take(in, 2),
                     size > 2 ? 2 : size);
        break;
    case 3:
        ioport_read(mem, (uint16_t)(0x3b0 + (take(in, 1) & 0x3f)), size > 2 ? 2 : size);
        break;
    case 4:
        memory_view_store(mem, VIEW_NORMAL, 0xa0000 + (take(in, 3) & 0x1ffff), take(in, 4), size);
        break;
    case 5:
        memory_view_load(mem, VIEW_NORMAL, 0xa0000 + (take(in, 3) & 0x1ffff), size);
        break;
    case 6:
        memory_view_store(mem, VIEW_NORMAL, LFB + (take(in, 3) & 0xffffff), take(in, 4), size);
        break;
    case 7:
        memory_view_store(mem, VIEW_NORMAL, MMIO + (take(in, 2) & 0xfff), take(in, 4), size);
        break;
    case 8:
        memory_view_load(mem, VIEW_NORMAL, MMIO + (take(in, 2) & 0xfff), size);
        break;
    case 9:
        clock_advance(fuzz.bench.m->clock, take(in, 4));
        break;
    case 10:
    case 11:
        set_mode(in);
        break;
    case 12: /* a row of text, or of planes */
        n = take(in, 2) & 0x7fff;
        for (unsigned i = 0; i < 16; i++) {
            memory_view_store(mem, VIEW_NORMAL, (what & 0x40 ? 0xa0000 : 0xb8000) + n + 2 * i,
                              take(in, 2), 2);
        }
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
    unsigned pictures = MAX_PICTURES;

    if (!view) {
        set_up();
    }
    fuzz_begin();
    fuzz_bar(vga, 0, LFB);
    fuzz_bar(vga, 2, MMIO);
    memset(memory_view_ram(fuzz.bench.m->memory, VIEW_NORMAL, LFB, TEXT), 0, TEXT);
    out8(&fuzz.bench, 0x3c2, 0x67);
    static const uint8_t small[][2] = {{1, 7}, {7, 0}, {0x12, 31}};
    for (unsigned i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
        out8(&fuzz.bench, 0x3d4, small[i][0]);
        out8(&fuzz.bench, 0x3d5, small[i][1]);
    }
    for (unsigned i = 0; i < MAX_STEPS && more(&in); i++) {
        step(&in, &pictures);
    }
    console_view_update(view, &frame, NULL, NULL);
    return 0;
}
