/* VGA: text modes. A cell is drawn again when its character, colours, glyph set or cursor differ
 * from what the surface shows; a change of font or palette draws all. Left out: row scan preset,
 * smooth scrolling by the panning register, underlining in colour modes (as on the hardware). */
#include "hw/display/vga.h"

#include <string.h>

enum { SEQ_8DOT = 1, SEQ_DOUBLE = 8, ATTR_LINE_GRAPHICS = 4, ATTR_BLINK = 8, CURSOR_OFF = 0x20 };
enum { BLINK_NS = 266000000 };

struct geometry {
    unsigned columns, rows, cell_w, cell_h;
    uint32_t start, pitch; /* in words of video memory */
    bool nine, wide;
};

static struct geometry geometry(const struct vga *v)
{
    unsigned over = v->crtc[CRTC_OVERFLOW];
    unsigned lines = (v->crtc[CRTC_V_END] | (over & 2) << 7 | (over & 0x40) << 3) + 1u;
    struct geometry g = {
        .columns = v->crtc[CRTC_H_END] + 1u,
        .cell_h = (v->crtc[CRTC_MAX_SCAN] & 31) + 1u,
        .nine = !(v->seq[SEQ_CLOCKING] & SEQ_8DOT),
        .wide = v->seq[SEQ_CLOCKING] & SEQ_DOUBLE,
        .start = (uint32_t)(v->crtc[CRTC_START_HIGH] << 8 | v->crtc[CRTC_START_LOW]),
        .pitch = v->crtc[CRTC_OFFSET] * 2u,
    };

    if (v->crtc[CRTC_MAX_SCAN] & 0x80) { /* each line twice */
        lines /= 2;
    }
    g.cell_w = (g.nine ? 9 : 8) * (g.wide ? 2u : 1);
    g.rows = lines / g.cell_h;
    g.rows = g.rows ? g.rows : 1;
    if (g.columns * g.cell_w > CONSOLE_MAX_SIDE) {
        g.columns = CONSOLE_MAX_SIDE / g.cell_w;
    }
    if (g.columns * g.rows > TEXT_MAX_CELLS) {
        g.rows = TEXT_MAX_CELLS / g.columns;
    }
    return g;
}

/* Character and attribute (high byte) of a cell. */
static uint16_t cell(const struct vga *v, const struct geometry *g, unsigned x, unsigned y)
{
    uint64_t at = ((g->start + y * g->pitch + x) & 0xffff) * 4;

    return at + 2 <= v->vram->size ? (uint16_t)(v->vram->host[at] | v->vram->host[at + 1] << 8)
                                   : 0x0720;
}

/* The cell the cursor is in; false: it is off or elsewhere. */
static bool cursor_at(const struct vga *v, const struct geometry *g, unsigned *x, unsigned *y)
{
    unsigned at = (unsigned)(v->crtc[CRTC_CURSOR_HIGH] << 8 | v->crtc[CRTC_CURSOR_LOW]);
    unsigned offset = (at - g->start) & 0xffff;

    if ((v->crtc[CRTC_CURSOR_START] & CURSOR_OFF) || !g->pitch) {
        return false;
    }
    *x = offset % g->pitch;
    *y = offset / g->pitch;
    return *x < g->columns && *y < g->rows;
}

/* The two glyph sets in use, out of plane 2. True: they changed. */
static bool read_fonts(struct vga *v)
{
    unsigned r = v->seq[SEQ_FONT];
    unsigned set[2] = {(r >> 4 & 1) | (r << 1 & 6), (r >> 5 & 1) | (r >> 1 & 6)};
    bool changed = false;

    for (unsigned n = 0; n < 2; n++) {
        const uint8_t *p = v->vram->host + set[n] * 8192 * 4 + 2;
        for (unsigned i = 0; i < 8192; i++) {
            changed |= v->font[n][i] != p[4 * i];
            v->font[n][i] = p[4 * i];
        }
    }
    return changed;
}

struct look { /* of one cell */
    uint8_t ch;
    uint32_t fg, bg;
    const uint8_t *glyph;
    unsigned cursor_first, cursor_last; /* first > last: none */
};

static void draw_cell(struct vga *v, const struct geometry *g, const struct look *k,
                      uint32_t *pixels, unsigned width, unsigned x, unsigned y)
{
    bool join = (v->attr[ATTR_MODE] & ATTR_LINE_GRAPHICS) && k->ch >= 0xc0 && k->ch <= 0xdf;

    for (unsigned row = 0; row < g->cell_h; row++) {
        uint32_t *to = pixels + (size_t)(y * g->cell_h + row) * width + x * g->cell_w;
        unsigned bits = (unsigned)k->glyph[row & 31] << 1;
        bits |= join ? bits >> 1 & 1 : 0;
        if (row >= k->cursor_first && row <= k->cursor_last) {
            bits = 0x1ff;
        }
        for (unsigned i = 0; i < (g->nine ? 9u : 8u); i++) {
            uint32_t c = bits >> (8 - i) & 1 ? k->fg : k->bg;
            if (g->wide) {
                to[2 * i] = to[2 * i + 1] = c;
            } else {
                to[i] = c;
            }
        }
    }
    console_damage(v->console, x * g->cell_w, y * g->cell_h, g->cell_w, g->cell_h);
}

static uint32_t palette_sum(const struct vga *v)
{
    uint32_t sum = 2166136261u;

    for (unsigned i = 0; i < 16; i++) {
        sum = (sum ^ v->palette[i]) * 16777619u;
    }
    return (sum ^ v->attr[ATTR_MODE] ^ (uint32_t)v->crtc[CRTC_MAX_SCAN] << 8) * 16777619u;
}

void vga_draw_text(struct vga *v, bool all)
{
    struct geometry g = geometry(v);
    bool lit = clock_now(v->machine->clock) / BLINK_NS % 2 == 0;
    unsigned width = g.columns * g.cell_w, cx = 0, cy = 0;
    unsigned first = v->crtc[CRTC_CURSOR_START] & 31, last = v->crtc[CRTC_CURSOR_END] & 31;
    bool cursor = cursor_at(v, &g, &cx, &cy) && lit;
    uint32_t sum;

    if (v->vram->size < 0x40000) {
        return;
    }
    if (all && read_fonts(v)) {
        memset(v->text_shown, 0xff, TEXT_MAX_CELLS * sizeof(*v->text_shown));
    }
    console_resize(v->console, width, g.rows * g.cell_h);
    sum = palette_sum(v) ^ (width * 31 + g.rows);
    if (v->text_sum != sum) {
        memset(v->text_shown, 0xff, TEXT_MAX_CELLS * sizeof(*v->text_shown));
        v->text_sum = sum;
    }
    uint32_t *pixels = console_draw_begin(v->console);
    for (unsigned y = 0; y < g.rows; y++) {
        for (unsigned x = 0; x < g.columns; x++) {
            uint16_t c = cell(v, &g, x, y);
            unsigned attr = c >> 8, bg = attr >> 4, fg = attr & 15;
            bool here = cursor && x == cx && y == cy;
            if (v->attr[ATTR_MODE] & ATTR_BLINK) {
                fg = (bg & 8) && !lit ? bg & 7 : fg;
                bg &= 7;
            }
            /* Everything that its pixels depend on, but for what the sum holds. */
            uint32_t key =
                c | (uint32_t)here << 16 | fg << 17 | (here ? (first ^ last << 5) << 21 : 0);
            if (v->text_shown[y * g.columns + x] == key) {
                continue;
            }
            v->text_shown[y * g.columns + x] = key;
            struct look k = {(uint8_t)c,       v->palette[fg],
                             v->palette[bg],   v->font[attr >> 3 & 1] + (c & 0xff) * 32,
                             here ? first : 1, here ? last : 0};
            draw_cell(v, &g, &k, pixels, width, x, y);
        }
    }
    console_draw_end(v->console);
}

bool vga_text(void *opaque, struct text_screen *t)
{
    struct vga *v = opaque;
    struct geometry g = geometry(v);
    unsigned x, y;

    if (v->off || vga_vbe_enabled(v) || (v->gfx[GFX_MISC] & 1)) {
        return false;
    }
    t->columns = g.columns;
    t->rows = g.rows;
    t->cursor_x = t->cursor_y = -1;
    if (cursor_at(v, &g, &x, &y)) {
        t->cursor_x = (int)x;
        t->cursor_y = (int)y;
    }
    for (unsigned row = 0; row < g.rows; row++) {
        for (unsigned col = 0; col < g.columns; col++) {
            t->cell[row * g.columns + col] = cell(v, &g, col, row);
        }
    }
    return true;
}
