/* VGA: from video memory to the console's surface. Graphics modes are drawn line by line from the
 * pages that were written since the last time; lines that come out the same as before damage
 * nothing. Left out: overscan border, row scan preset, panning in split screens. */
#include "hw/display/vga.h"

#include "host/le.h"

#include <string.h>

enum { ATTR_SHOW = 0x20, SEQ_DOUBLE = 8, SEQ_OFF = 0x20 };
enum { MODE_BLANK = 1u << 31, MODE_TEXT = 1u << 30, MODE_VBE = 1u << 29 };

static uint32_t colour(const struct vga *v, unsigned n)
{
    const uint8_t *c = v->dac + 3 * (n & v->dac_mask);
    uint32_t rgb[3];

    for (unsigned i = 0; i < 3; i++) {
        unsigned six = c[i] & 0x3f;
        rgb[i] = v->vbe[VBE_ENABLE] & VBE_8BIT_DAC ? c[i] : six << 2 | six >> 4;
    }
    return rgb[0] << 16 | rgb[1] << 8 | rgb[2];
}

/* The 16 colours of text and planar modes, or the 256 of the others. */
static void make_palette(struct vga *v, bool sixteen)
{
    if (!sixteen) {
        for (unsigned i = 0; i < 256; i++) {
            v->palette[i] = colour(v, i);
        }
        return;
    }
    for (unsigned i = 0; i < 16; i++) {
        unsigned n = v->attr[ATTR_MODE] & 0x80
                         ? (v->attr[ATTR_SELECT] & 15u) << 4 | (v->attr[i] & 15)
                         : (v->attr[ATTR_SELECT] & 12u) << 4 | (v->attr[i] & 63);
        v->palette[i] = colour(v, n);
    }
}

void vga_put_line(struct vga *v, uint32_t *pixels, unsigned y, unsigned width)
{
    uint32_t *to = pixels + (size_t)y * width;
    unsigned first = 0, end = width;

    if (!memcmp(to, v->line, width * sizeof(*to))) {
        return;
    }
    while (to[first] == v->line[first]) {
        first++;
    }
    while (to[end - 1] == v->line[end - 1]) {
        end--;
    }
    memcpy(to + first, v->line + first, (end - first) * sizeof(*to));
    console_damage(v->console, first, y, end - first, 1);
}

/* ---- pages ---- */

/* Looks which of the pages that hold [from, to) of video memory must be drawn; false: none. */
static bool take_pages(struct vga *v, uint64_t from, uint64_t to)
{
    uint64_t first = from >> 12, n = ((to + 4095) >> 12) - first;
    bool settled = ram_dirty_settled(v->vram), any;

    memset(v->dirty, 0, v->vram->size >> 12);
    any = ram_take_dirty(v->vram, first, n, v->dirty + first);
    for (uint64_t i = first; i < first + n; i++) {
        bool fresh = v->dirty[i];
        v->dirty[i] |= v->again[i];
        any |= v->dirty[i];
        v->again[i] = fresh || (v->again[i] && !settled);
    }
    return any;
}

static bool pages_dirty(const struct vga *v, uint64_t from, uint64_t to)
{
    return memchr(v->dirty + (from >> 12), 1, ((to + 4095) >> 12) - (from >> 12)) != NULL;
}

/* ---- linear modes (VBE) ---- */

static void line_8(uint32_t *to, const uint8_t *p, unsigned n, const uint32_t *palette)
{
    for (unsigned i = 0; i < n; i++) {
        to[i] = palette[p[i]];
    }
}

static uint32_t widen(unsigned value, unsigned bits)
{
    return value << (8 - bits) | value >> (2 * bits - 8);
}

static void line_15(uint32_t *to, const uint8_t *p, unsigned n, const uint32_t *palette)
{
    (void)palette;
    for (unsigned i = 0; i < n; i++) {
        unsigned c = le_get16(p + 2 * i);
        to[i] = widen(c >> 10 & 31, 5) << 16 | widen(c >> 5 & 31, 5) << 8 | widen(c & 31, 5);
    }
}

static void line_16(uint32_t *to, const uint8_t *p, unsigned n, const uint32_t *palette)
{
    (void)palette;
    for (unsigned i = 0; i < n; i++) {
        unsigned c = le_get16(p + 2 * i);
        to[i] = widen(c >> 11, 5) << 16 | widen(c >> 5 & 63, 6) << 8 | widen(c & 31, 5);
    }
}

static void line_24(uint32_t *to, const uint8_t *p, unsigned n, const uint32_t *palette)
{
    (void)palette;
    for (unsigned i = 0; i < n; i++) {
        to[i] = (uint32_t)p[3 * i + 2] << 16 | (uint32_t)p[3 * i + 1] << 8 | p[3 * i];
    }
}

static void line_32(uint32_t *to, const uint8_t *p, unsigned n, const uint32_t *palette)
{
    (void)palette;
    for (unsigned i = 0; i < n; i++) {
        to[i] = le_get32(p + 4 * i) & 0xffffff;
    }
}

/* Eight pixels of four planes each word. */
static void line_planar(uint32_t *to, const uint8_t *p, unsigned n, const uint32_t *palette,
                        unsigned planes)
{
    for (unsigned i = 0; i < n; i++) {
        uint32_t w =
            le_get32(p + i / 8 * 4) >> (7 - i % 8) & 0x01010101; /* a plane's bit each byte */
        to[i] = palette[(w | w >> 7 | w >> 14 | w >> 21) & 15 & planes];
    }
}

static void draw_vbe(struct vga *v, bool all)
{
    static void (*const lines[])(uint32_t *, const uint8_t *, unsigned, const uint32_t *) = {
        [1] = line_8, [2] = line_16, [3] = line_24, [4] = line_32};
    unsigned width = v->vbe[VBE_XRES], height = v->vbe[VBE_YRES], bpp = v->vbe[VBE_BPP];
    unsigned bytes = (bpp + 7) / 8, pitch = vga_vbe_line_bytes(v);
    /* Eight planar pixels are a word of four bytes. */
    uint64_t row = pitch,
             x = bpp == 4 ? v->vbe[VBE_X_OFFSET] / 8u * 4 : v->vbe[VBE_X_OFFSET] * bytes;
    uint64_t start = v->vbe[VBE_Y_OFFSET] * row + x, used = bpp == 4 ? width / 2 : width * bytes;
    uint64_t size = v->vram->size;

    if (start + (height - 1) * row + used > size) {
        height = start + used > size ? 0 : (unsigned)((size - start - used) / row + 1);
    }
    console_resize(v->console, width, v->vbe[VBE_YRES]);
    if (!height || (!take_pages(v, start, start + (height - 1) * row + used) && !all)) {
        return;
    }
    make_palette(v, bpp == 4);
    uint32_t *pixels = console_draw_begin(v->console);
    for (unsigned y = 0; y < height; y++) {
        uint64_t at = start + y * row;
        const uint8_t *p = v->vram->host + at;
        if (!all && !pages_dirty(v, at, at + used)) {
            continue;
        }
        if (bpp == 4) {
            line_planar(v->line, p, width, v->palette, v->attr[ATTR_PLANES] & 15u);
        } else if (bpp == 15) {
            line_15(v->line, p, width, v->palette);
        } else {
            lines[bytes](v->line, p, width, v->palette);
        }
        vga_put_line(v, pixels, y, width);
    }
    console_draw_end(v->console);
}

/* ---- the VGA's own graphics modes ---- */

/* Four colours: the pixels of the even byte of a word, then those of the odd one. */
static void line_cga(uint32_t *to, const uint8_t *p, unsigned n, const uint32_t *palette)
{
    for (unsigned i = 0; i < n; i++) {
        to[i] = palette[p[i / 8 * 4 + (i / 4 & 1)] >> 2 * (3 - i % 4) & 3];
    }
}

static void double_line(uint32_t *line, unsigned n)
{
    for (unsigned i = n; i--;) {
        line[2 * i] = line[2 * i + 1] = line[i];
    }
}

static unsigned vertical_lines(const struct vga *v)
{
    unsigned over = v->crtc[CRTC_OVERFLOW];

    return (v->crtc[CRTC_V_END] | (over & 2) << 7 | (over & 0x40) << 3) + 1u;
}

/* Where line y's data lies, in words (one byte a plane). */
static uint64_t line_start(const struct vga *v, unsigned y, unsigned split)
{
    unsigned scan = v->crtc[CRTC_MAX_SCAN], mode = v->crtc[CRTC_MODE];
    unsigned repeat = ((scan & 31) + 1) << (scan >> 7);
    uint64_t start = v->crtc[CRTC_START_HIGH] << 8 | v->crtc[CRTC_START_LOW];

    if (y > split) {
        y -= split + 1;
        start = 0;
    }
    uint64_t at = start + (uint64_t)(y / repeat) * v->crtc[CRTC_OFFSET] * 2;
    if (!(mode & 1)) { /* CGA's two, Hercules' four interleaved banks */
        at = (at & ~UINT64_C(0x2000)) | (y % repeat >> (scan >> 7) & 1u) << 13;
    }
    if (!(mode & 2)) {
        at = (at & ~UINT64_C(0x4000)) | (y % repeat >> (scan >> 7) & 2u) << 13;
    }
    return at & 0xffff;
}

static void draw_graphics(struct vga *v, bool all)
{
    unsigned shift = v->gfx[GFX_MODE] >> 5 & 3, dots = (v->crtc[CRTC_H_END] + 1u) * 8;
    bool twice = v->seq[SEQ_CLOCKING] & SEQ_DOUBLE;
    unsigned n = shift >= 2 ? dots / 2 : dots; /* pixels a line */
    unsigned times = (shift >= 2 ? 2 : 1) * (twice ? 2u : 1);
    unsigned width = n * times, height = vertical_lines(v);
    unsigned over = v->crtc[CRTC_OVERFLOW], scan = v->crtc[CRTC_MAX_SCAN];
    unsigned split = v->crtc[CRTC_LINE_COMPARE] | (over & 0x10) << 4 | (scan & 0x40) << 3;
    unsigned pan = shift >= 2 ? (v->attr[ATTR_PAN] & 7) / 2 : v->attr[ATTR_PAN] & 7;
    uint64_t used = shift >= 2 ? n + pan : (n + pan + 7) / 8 * 4;

    if (width > CONSOLE_MAX_SIDE) {
        width = CONSOLE_MAX_SIDE;
        n = width / times;
    }
    console_resize(v->console, width, height);
    if (!take_pages(v, 0, v->vram->size < 0x50000 ? v->vram->size : 0x50000) && !all) {
        return;
    }
    make_palette(v, shift < 2);
    uint32_t *pixels = console_draw_begin(v->console);
    for (unsigned y = 0; y < height; y++) {
        uint64_t at = 4 * line_start(v, y, split);
        const uint8_t *p = v->vram->host + at;
        if (at + used > v->vram->size || (!all && !pages_dirty(v, at, at + used))) {
            continue;
        }
        if (shift >= 2) {
            line_8(v->line, p + pan, n, v->palette);
        } else if (shift == 1) {
            line_cga(v->line, p, n, v->palette);
        } else {
            line_planar(v->line, p, n + pan, v->palette, v->attr[ATTR_PLANES] & 15u);
            memmove(v->line, v->line + pan, n * sizeof(v->line[0]));
        }
        for (unsigned k = 1; k < times; k *= 2) {
            double_line(v->line, n * k);
        }
        vga_put_line(v, pixels, y, width);
    }
    console_draw_end(v->console);
}

static void draw_blank(struct vga *v, bool all)
{
    if (!all) {
        return;
    }
    unsigned width, height = vertical_lines(v);

    width = (v->crtc[CRTC_H_END] + 1u) * 8;
    console_resize(v->console, width, height);
    memset(v->line, 0, sizeof(v->line));
    uint32_t *pixels = console_draw_begin(v->console);
    for (unsigned y = 0; y < height; y++) {
        vga_put_line(v, pixels, y, width);
    }
    console_draw_end(v->console);
}

static uint32_t picture_mode(const struct vga *v)
{
    bool shown = (v->attr_index & ATTR_SHOW) && !(v->seq[SEQ_CLOCKING] & SEQ_OFF);

    if (vga_vbe_enabled(v)) { /* programs that use it do not care for the rest */
        return MODE_VBE;
    }
    return !shown ? MODE_BLANK : v->gfx[GFX_MISC] & 1 ? 1 : MODE_TEXT;
}

void vga_refresh(void *opaque)
{
    struct vga *v = opaque;
    uint32_t mode = picture_mode(v);
    bool all = v->redraw || mode != v->drawn_mode;

    if (v->off) { /* something else is shown; all has to be drawn afterwards */
        v->drawn_mode = 0;
        return;
    }
    if (mode != v->drawn_mode) { /* text does not know what the surface holds now */
        memset(v->text_shown, 0xff, TEXT_MAX_CELLS * sizeof(*v->text_shown));
    }
    v->redraw = false;
    v->drawn_mode = mode;
    switch (mode) {
    case MODE_VBE:
        draw_vbe(v, all);
        break;
    case MODE_TEXT:
        make_palette(v, true);
        vga_draw_text(v,
                      take_pages(v, 0, v->vram->size < 0x40000 ? v->vram->size : 0x40000) || all);
        break;
    case MODE_BLANK:
        draw_blank(v, all);
        break;
    default:
        draw_graphics(v, all);
        break;
    }
}

const struct console_ops vga_console_ops = {vga_refresh, vga_text, NULL};
