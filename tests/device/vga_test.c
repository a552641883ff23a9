/* VGA: modes set by registers, as a BIOS does, and what the console's pixels are then. */
#include "hw/display/vga.h"
#include "hw/pci/pci.h"
#include "tests/device/virtio_driver.h"

extern const struct device_type stdvga_type;

enum { LFB = 0xe0000000u, MMIO = 0xe2000000u };

struct mode { /* register values as in the technical reference's tables */
    uint8_t misc, seq[5], crtc[25], gfx[9], attr[5];
};
static const struct mode text80 = {0x67,
                                   {3, 0, 3, 0, 2},
                                   {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0,
                                    0x4f, 0x0d, 0x0e, 0,    0,    0,    0,    0x9c, 0x8e,
                                    0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff},
                                   {0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff},
                                   {0x0c, 0, 15, 8, 0}};
static const struct mode planar = {0xe3,
                                   {3, 1, 15, 0, 6},
                                   {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0,
                                    0x40, 0,    0,    0,    0,    0,    0,    0xea, 0x8c,
                                    0xdf, 0x28, 0,    0xe7, 4,    0xe3, 0xff},
                                   {0, 0, 0, 0, 0, 0, 5, 15, 0xff},
                                   {1, 0, 15, 0, 0}};
static const struct mode mode13 = {0x63,
                                   {3, 1, 15, 0, 14},
                                   {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0,
                                    0x41, 0,    0,    0,    0,    0,    0,    0x9c, 0x8e,
                                    0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff},
                                   {0, 0, 0, 0, 0, 0x40, 5, 15, 0xff},
                                   {0x41, 0, 15, 0, 0}};

static struct bench b;
static struct console_view *view;
static struct console_frame frame;
static struct area {
    unsigned n, x, y, width, height;
} area;

static void damaged(void *opaque, unsigned x, unsigned y, unsigned width, unsigned height)
{
    (void)opaque;
    area = (struct area){area.n + 1, x, y, width, height};
}

static bool update(void)
{
    area.n = 0;
    return console_view_update(view, &frame, damaged, NULL);
}

static uint32_t pixel(unsigned x, unsigned y)
{
    return x < frame.width && y < frame.height ? frame.pixels[y * frame.width + x] : 0xdeadbeef;
}

static void reg(uint16_t port, unsigned index, unsigned value)
{
    out8(&b, port, index);
    out8(&b, port + 1, value);
}

static void set_mode(const struct mode *m)
{
    out8(&b, 0x3c2, m->misc);
    for (unsigned i = 0; i < 5; i++) {
        reg(0x3c4, i, m->seq[i]);
    }
    reg(0x3d4, 0x11, m->crtc[0x11] & 0x7f); /* unprotect */
    for (unsigned i = 0; i < 25; i++) {
        reg(0x3d4, i, m->crtc[i]);
    }
    for (unsigned i = 0; i < 9; i++) {
        reg(0x3ce, i, m->gfx[i]);
    }
    in8(&b, 0x3da);
    for (unsigned i = 0; i < 21; i++) {
        out8(&b, 0x3c0, i);
        out8(&b, 0x3c0, i < 16 ? i : m->attr[i - 16]);
    }
    out8(&b, 0x3c0, 0x20);
    out8(&b, 0x3c8, 0);
    for (unsigned i = 0; i < 256; i++) { /* red is the number itself */
        out8(&b, 0x3c9, i & 63);
        out8(&b, 0x3c9, i >> 6);
        out8(&b, 0x3c9, 0);
    }
}

static uint32_t rgb(unsigned n) /* of colour n of that palette */
{
    unsigned red = (n & 63) << 2 | (n & 63) >> 4, green = (n >> 6) << 2;
    return red << 16 | green << 8;
}

static void poke(uint32_t at, unsigned value)
{
    view_store(&b, VIEW_NORMAL, at, value, 1);
}
static unsigned peek(uint32_t at)
{
    return (unsigned)view_load(&b, VIEW_NORMAL, at, 1);
}

static void clear(void)
{
    reg(0x3c4, 2, 15);
    for (uint32_t i = 0; i < 0x10000; i++) {
        poke(0xa0000 + i, 0);
    }
}

/* ---- text ---- */

static void set_glyph(unsigned set, unsigned ch, unsigned row, unsigned bits)
{
    reg(0x3c4, 2, 4);
    reg(0x3c4, 4, 6);
    reg(0x3ce, 5, 0);
    reg(0x3ce, 6, 4);
    poke(0xa0000 + set * 0x4000 + ch * 32 + row, bits);
    reg(0x3c4, 2, 3);
    reg(0x3c4, 4, 2);
    reg(0x3ce, 5, 0x10);
    reg(0x3ce, 6, 0x0e);
}

static void test_text(void)
{
    struct text_screen *t = malloc(sizeof(*t));

    set_mode(&text80);
    reg(0x3d4, 0xa, 0x20); /* no cursor */
    for (unsigned row = 0; row < 16; row++) {
        set_glyph(0, 'A', row, row == 3 ? 0x81 : 0);
        set_glyph(0, 0xc4, row, row == 7 ? 0xff : 0);
        set_glyph(1, 'A', row, 0xff);
    }
    view_store(&b, VIEW_NORMAL, 0xb8000, 0x1e41, 2);       /* A, 14 on 1 */
    view_store(&b, VIEW_NORMAL, 0xb8002, 0x02c4, 2);       /* a line, 2 on 0 */
    view_store(&b, VIEW_NORMAL, 0xb8000 + 160, 0x8741, 2); /* second line: A, blinking */
    tap_ok(update() && frame.width == 720 && frame.height == 400, "text mode is 720x400 (%ux%u)",
           frame.width, frame.height);
    tap_ok(pixel(0, 3) == rgb(14) && pixel(1, 3) == rgb(1) && pixel(7, 3) == rgb(14) &&
               pixel(0, 2) == rgb(1),
           "a character has its glyph and colours");
    tap_ok(pixel(8, 3) == rgb(1) && pixel(17, 7) == rgb(2),
           "the ninth column is background, and goes on in line graphics");
    tap_ok(!update(), "nothing written: nothing drawn");
    view_store(&b, VIEW_NORMAL, 0xb8000 + 2 * (80 * 24 + 79), 0x4f41, 2);
    tap_ok(update() && area.n == 1 && area.x == 79 * 9 && area.y == 24 * 16 && area.width == 9 &&
               area.height == 16,
           "one cell written: that cell drawn (%u: %u,%u %ux%u)", area.n, area.x, area.y,
           area.width, area.height);
    tap_ok(pixel(0, 19) == rgb(7), "a blinking character is lit");
    advance(&b, 270000000);
    update();
    tap_ok(pixel(0, 19) == rgb(0) && pixel(0, 3) == rgb(14), "and dark half a period later");
    advance(&b, 270000000);
    reg(0x3d4, 0xa, 14);
    reg(0x3d4, 0xb, 15);
    reg(0x3d4, 0xf, 80);
    update();
    tap_ok(pixel(4, 16 + 14) == rgb(7) && pixel(4, 16 + 13) == rgb(0), "the cursor has its lines");
    tap_ok(console_text(console_view_console(view), t) && t->columns == 80 && t->rows == 25 &&
               t->cursor_x == 0 && t->cursor_y == 1 && t->cell[0] == 0x1e41,
           "the text can be asked for");
    reg(0x3d4, 0xa, 0x20);
    reg(0x3c4, 3, 4); /* characters with attribute bit 3 from the second set */
    update();
    tap_ok(pixel(3, 0) == rgb(14) && pixel(3, 16) == rgb(0),
           "attribute bit 3 chooses the glyph set");
    reg(0x3c4, 3, 0);
    reg(0x3d4, 0xd, 80); /* start at the second line */
    update();
    tap_ok(pixel(0, 3) == rgb(7), "the start address scrolls");
    reg(0x3d4, 0xd, 0);
    reg(0x3c4, 1, 1);
    tap_ok(update() && frame.width == 640, "characters of eight dots make 640 columns");
    reg(0x3c4, 1, 0x21);
    update();
    tap_ok(pixel(0, 3) == 0, "screen off is black");
    free(t);
}

/* ---- planar and 256-colour modes ---- */

static void test_planar(void)
{
    set_mode(&planar);
    clear();
    tap_ok(update() && frame.width == 640 && frame.height == 480, "mode 12h is 640x480");
    reg(0x3c4, 2, 5);
    poke(0xa0000, 0x80);
    reg(0x3c4, 2, 15);
    update();
    tap_ok(pixel(0, 0) == rgb(5) && pixel(1, 0) == 0, "planes make a colour");
    reg(0x3ce, 0, 9); /* set/reset 9 on all planes, through the bit mask */
    reg(0x3ce, 1, 15);
    reg(0x3ce, 8, 0x10);
    peek(0xa0000 + 80);
    poke(0xa0000 + 80, 0);
    update();
    tap_ok(pixel(3, 1) == rgb(9) && pixel(2, 1) == 0, "set/reset and bit mask");
    reg(0x3ce, 1, 0);
    reg(0x3ce, 8, 0xff);
    reg(0x3ce, 5, 2);
    peek(0xa0000 + 160);
    poke(0xa0000 + 160, 6);
    update();
    tap_ok(pixel(0, 2) == rgb(6) && pixel(7, 2) == rgb(6), "write mode 2 writes a colour");
    reg(0x3ce, 5, 1);
    peek(0xa0000 + 160);
    poke(0xa0000 + 240, 0);
    update();
    tap_ok(pixel(5, 3) == rgb(6), "write mode 1 copies the latches");
    reg(0x3ce, 5, 3);
    reg(0x3ce, 0, 3);
    peek(0xa0000 + 320);
    poke(0xa0000 + 320, 0x0f);
    update();
    tap_ok(pixel(0, 4) == 0 && pixel(4, 4) == rgb(3), "write mode 3 masks with the data");
    reg(0x3ce, 5, 0);
    reg(0x3ce, 3, 0x18); /* exclusive or */
    peek(0xa0000 + 160);
    poke(0xa0000 + 160, 0xf0);
    update();
    tap_ok(pixel(0, 2) == rgb(9) && pixel(4, 2) == rgb(6), "logical functions use the latches");
    reg(0x3ce, 3, 0);
    reg(0x3ce, 5, 8);
    reg(0x3ce, 2, 6);
    reg(0x3ce, 7, 15);
    tap_ok(peek(0xa0000 + 240) == 0xff && peek(0xa0000 + 160) == 0x0f,
           "read mode 1 compares colours");
    reg(0x3ce, 5, 0);
    reg(0x3ce, 4, 2);
    tap_ok(peek(0xa0000 + 240) == 0xff, "read mode 0 reads a plane");
    reg(0x3d4, 0x18, 99); /* split the screen at line 99 */
    reg(0x3d4, 7, 0x2e);
    reg(0x3d4, 9, 0);
    reg(0x3d4, 0xd, 80);
    update();
    tap_ok(pixel(3, 0) == rgb(9) && pixel(0, 100) == rgb(5), "start address and line compare");
}

static void test_256(void)
{
    set_mode(&mode13);
    clear();
    poke(0xa0000 + 320 * 10 + 5, 0x83);
    tap_ok(update() && frame.width == 640 && frame.height == 400, "mode 13h is doubled to 640x400");
    tap_ok(pixel(10, 20) == rgb(0x83) && pixel(11, 21) == rgb(0x83) && pixel(12, 20) == 0 &&
               pixel(9, 20) == 0,
           "a byte is a pixel");
    reg(0x3c4, 4, 6); /* mode X */
    reg(0x3d4, 0x14, 0);
    reg(0x3d4, 0x17, 0xe3);
    reg(0x3c4, 2, 8);
    poke(0xa4000 + 80 * 3 + 1, 0x42);
    reg(0x3d4, 0xc, 0x40);
    update();
    tap_ok(pixel(14, 6) == rgb(0x42) && pixel(12, 6) == 0, "mode X has planes and pages");
    out8(&b, 0x3c6, 0x0f);
    update();
    tap_ok(pixel(14, 6) == rgb(2), "the pixel mask is applied");
    out8(&b, 0x3c6, 0xff);
}

/* ---- VBE ---- */

static void vbe(unsigned index, unsigned value)
{
    out16(&b, 0x1ce, index);
    out16(&b, 0x1cf, value);
}
static unsigned vbe_read(unsigned index)
{
    out16(&b, 0x1ce, index);
    return in16(&b, 0x1cf);
}

static void vbe_mode(unsigned x, unsigned y, unsigned bpp)
{
    vbe(VBE_ENABLE, 0);
    vbe(VBE_XRES, x);
    vbe(VBE_YRES, y);
    vbe(VBE_BPP, bpp);
    vbe(VBE_ENABLE, VBE_ENABLED | VBE_LFB);
}

static void test_depth(unsigned bpp, uint32_t value, uint32_t expect)
{
    unsigned bytes = (bpp + 7) / 8;
    uint8_t le[4];

    vbe_mode(800, 600, bpp);
    le_put32(le, value);
    memory_write(b.m->memory, LFB + (7 * 800 + 9) * bytes, le, bytes);
    update();
    tap_ok(frame.width == 800 && frame.height == 600 && pixel(9, 7) == expect && pixel(8, 7) == 0 &&
               pixel(10, 7) == 0,
           "%u bits a pixel (%06x)", bpp, pixel(9, 7));
}

static void test_vbe(void)
{
    uint8_t le[4];

    tap_ok(vbe_read(VBE_ID) == 0xb0c5 && vbe_read(VBE_MEMORY) == 256, "dispi: version, 16 MiB");
    vbe(VBE_ENABLE, VBE_GETCAPS);
    tap_ok(vbe_read(VBE_XRES) == 2560 && vbe_read(VBE_YRES) == 1600 && vbe_read(VBE_BPP) == 32,
           "dispi: at most 2560x1600x32");
    test_depth(8, 0x83, rgb(0x83));
    test_depth(15, 0x7c1f, 0xff00ff);
    test_depth(16, 0x07e0, 0x00ff00);
    test_depth(24, 0x123456, 0x123456);
    test_depth(32, 0xff123456, 0x123456);
    tap_ok(!update(), "nothing written: nothing drawn");
    le_put32(le, 0xabcdef);
    memory_write(b.m->memory, LFB + (500 * 800 + 100) * 4, le, 4);
    tap_ok(update() && area.n == 1 && area.x == 100 && area.y == 500 && area.width == 1 &&
               area.height == 1,
           "one pixel written: one pixel drawn");
    vbe(VBE_VIRT_WIDTH, 1024);
    vbe(VBE_Y_OFFSET, 100);
    vbe(VBE_X_OFFSET, 8);
    le_put32(le, 0x00ff00);
    memory_write(b.m->memory, LFB + (100 * 1024 + 8) * 4, le, 4);
    update();
    tap_ok(frame.width == 800 && pixel(0, 0) == 0x00ff00, "virtual width and offsets");
    vbe_mode(2560, 1600, 32);
    le_put32(le, 0x0000ff);
    memory_write(b.m->memory, LFB + (1599 * 2560 + 2559) * 4, le, 4);
    update();
    tap_ok(frame.width == 2560 && frame.height == 1600 && pixel(2559, 1599) == 0xff,
           "2560x1600x32 to the last pixel");
    vbe(VBE_XRES, 0xffff);
    vbe(VBE_YRES, 0xffff);
    vbe(VBE_VIRT_WIDTH, 0xffff);
    vbe(VBE_Y_OFFSET, 0xffff);
    update();
    tap_ok(frame.width == 2560 && frame.height <= 1600, "what is too large is made to fit");
    vbe_mode(640, 480, 8);
    vbe(VBE_BANK, 2);
    poke(0xa0000 + 5, 0x21);
    update();
    tap_ok(pixel((0x20005) % 640, 0x20005 / 640) == rgb(0x21), "the banked window");
    vbe_mode(640, 480, 4);
    reg(0x3c4, 4, 6);
    reg(0x3c4, 2, 6);
    reg(0x3ce, 8, 0xff);
    poke(0xa0000 + 80, 1);
    update();
    tap_ok(pixel(7, 1) == rgb(6), "four bits a pixel in planes");
    /* The same registers in memory. */
    view_store(&b, VIEW_NORMAL, MMIO + 0x500 + 2 * VBE_ENABLE, 0, 2);
    view_store(&b, VIEW_NORMAL, MMIO + 0x500 + 2 * VBE_XRES, 320, 2);
    view_store(&b, VIEW_NORMAL, MMIO + 0x500 + 2 * VBE_YRES, 200, 2);
    view_store(&b, VIEW_NORMAL, MMIO + 0x500 + 2 * VBE_BPP, 32, 2);
    view_store(&b, VIEW_NORMAL, MMIO + 0x500 + 2 * VBE_ENABLE, 0x41, 2);
    update();
    tap_ok(frame.width == 320 && frame.height == 200, "registers in BAR 2");
}

static void test_edid(void)
{
    uint8_t edid[256], sum[2] = {0};

    for (unsigned i = 0; i < 256; i++) {
        edid[i] = (uint8_t)view_load(&b, VIEW_NORMAL, MMIO + i, 1);
        sum[i / 128] += edid[i];
    }
    tap_ok(edid[0] == 0 && edid[1] == 0xff && edid[7] == 0 && !sum[0] && !sum[1],
           "EDID with right checksums");
    tap_ok(edid[54 + 2] + (edid[54 + 4] >> 4 << 8) == 1280 &&
               edid[54 + 5] + (edid[54 + 7] >> 4 << 8) == 800,
           "which likes 1280x800 best");
}

int main(void)
{
    struct error err = {{0}};
    struct irq line = {bench_set_line, &b, 0};

    bench_open(&b);
    driver_bus(&b, &line);
    struct device *d = device_create(b.m, &stdvga_type, NULL);
    device_set(d, "romfile", "", &err);
    bench_must(device_realize(d, &err) ? d : NULL, &err);
    struct pci_device *p = (struct pci_device *)d;
    pci_config_write(p->bus, 0, p->devfn, 0x10, LFB, 4);
    pci_config_write(p->bus, 0, p->devfn, 0x18, MMIO, 4);
    pci_config_write(p->bus, 0, p->devfn, 0x04, 3, 2);
    view = console_view_open(b.m, 0);
    tap_ok(view != NULL, "the adapter has a console");
    test_text();
    test_planar();
    test_256();
    test_vbe();
    test_edid();
    struct console_view *second = console_view_open(b.m, 0);
    struct console_frame other;
    tap_ok(console_view_update(second, &other, NULL, NULL) && !update() &&
               other.width == frame.width,
           "a second view has its own damage");
    console_view_close(second);
    tap_ok(state_round_trip(d), "the state saves and loads");
    devices_reset(b.m);
    update();
    tap_ok(frame.width == 640 && frame.height == 400, "reset");
    console_view_close(view);
    bench_close(&b);
    return tap_done();
}
