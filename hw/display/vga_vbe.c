/* VGA: Bochs' VBE extension ("dispi"), 16-bit registers behind an index and a data port. Its
 * interface is known from Bochs' documentation and SeaBIOS's vgabios: version B0C5 (banks, linear
 * memory, capabilities, size of memory). */
#include "hw/display/vga.h"

#include <string.h>

enum { ID_FIRST = 0xb0c0, ID_LAST = 0xb0c5 };

static unsigned bytes_for(const struct vga *v, unsigned pixels)
{
    unsigned bpp = v->vbe[VBE_BPP];

    return bpp == 4 ? pixels / 2 : bpp == 15 ? pixels * 2 : pixels * (bpp / 8);
}

unsigned vga_vbe_line_bytes(const struct vga *v)
{
    return bytes_for(v, v->vbe[VBE_VIRT_WIDTH]);
}

uint16_t vga_vbe_read(struct vga *v, unsigned index)
{
    static const uint16_t caps[] = {0, VBE_MAX_X, VBE_MAX_Y, 32};

    if (index >= NVBE) {
        return 0;
    }
    if ((v->vbe[VBE_ENABLE] & VBE_GETCAPS) && index >= VBE_XRES && index <= VBE_BPP) {
        return caps[index];
    }
    if (index == VBE_MEMORY) {
        return (uint16_t)(v->vram->size >> 16);
    }
    return v->vbe[index];
}

void vga_vbe_fit(struct vga *v)
{
    uint16_t *r = v->vbe;
    static const uint8_t depths[] = {4, 8, 15, 16, 24, 32};
    uint64_t size = v->vram->size;

    if (!memchr(depths, r[VBE_BPP], sizeof(depths)) || r[VBE_BPP] > 32) {
        r[VBE_BPP] = 8;
    }
    r[VBE_XRES] &= 0xfff8;
    r[VBE_XRES] = r[VBE_XRES] < 8 ? 8 : r[VBE_XRES] > VBE_MAX_X ? VBE_MAX_X : r[VBE_XRES];
    if (r[VBE_VIRT_WIDTH] < r[VBE_XRES] || bytes_for(v, r[VBE_VIRT_WIDTH]) > size) {
        r[VBE_VIRT_WIDTH] = r[VBE_XRES];
    }
    r[VBE_VIRT_WIDTH] &= 0xfff8;
    uint64_t line = vga_vbe_line_bytes(v), lines = size / line;
    uint64_t max = lines < VBE_MAX_Y ? lines : VBE_MAX_Y;
    r[VBE_YRES] = r[VBE_YRES] < 1 ? 1 : r[VBE_YRES] > max ? (uint16_t)max : r[VBE_YRES];
    r[VBE_VIRT_HEIGHT] = lines > 0xffff ? 0xffff : (uint16_t)lines;
    if (r[VBE_X_OFFSET] > r[VBE_VIRT_WIDTH] - r[VBE_XRES]) {
        r[VBE_X_OFFSET] = r[VBE_VIRT_WIDTH] - r[VBE_XRES];
    }
    if (r[VBE_Y_OFFSET] > lines - r[VBE_YRES]) {
        r[VBE_Y_OFFSET] = (uint16_t)(lines - r[VBE_YRES]);
    }
}

/* The VGA registers that a mode implies, for programs that look, and for the banked window. */
static void set_vga_registers(struct vga *v)
{
    unsigned lines = v->vbe[VBE_YRES] - 1u, line = vga_vbe_line_bytes(v) / 8;
    bool planar = v->vbe[VBE_BPP] == 4;

    v->gfx[GFX_MISC] = (uint8_t)((v->gfx[GFX_MISC] & ~0x0c) | 0x05);
    v->gfx[GFX_MODE] = (uint8_t)((v->gfx[GFX_MODE] & ~0x60) | (planar ? 0 : 0x40));
    v->seq[SEQ_CLOCKING] &= (uint8_t)~0x28;
    if (!planar) {
        v->seq[SEQ_MEMORY] |= 8;
        v->seq[SEQ_MAP_MASK] = 15;
    }
    v->crtc[CRTC_MODE] |= 3;
    v->crtc[CRTC_OFFSET] = (uint8_t)line;
    v->crtc[CRTC_H_END] = (uint8_t)(v->vbe[VBE_XRES] / 8 - 1);
    v->crtc[CRTC_V_END] = (uint8_t)lines;
    v->crtc[CRTC_OVERFLOW] =
        (uint8_t)((v->crtc[CRTC_OVERFLOW] & ~0x42) | 0x10 | (lines >> 7 & 2) | (lines >> 3 & 0x40));
    v->crtc[CRTC_LINE_COMPARE] = 0xff;
    v->crtc[CRTC_MAX_SCAN] = (uint8_t)((v->crtc[CRTC_MAX_SCAN] & ~0x9f) | 0x40);
}

static void enable(struct vga *v, uint16_t value)
{
    bool starts = (value & VBE_ENABLED) && !vga_vbe_enabled(v);

    v->vbe[VBE_ENABLE] = value;
    if (starts) {
        v->vbe[VBE_VIRT_WIDTH] = v->vbe[VBE_XRES];
        v->vbe[VBE_X_OFFSET] = v->vbe[VBE_Y_OFFSET] = 0;
        vga_vbe_fit(v);
        if (!(value & VBE_NOCLEAR)) {
            uint64_t n = (uint64_t)vga_vbe_line_bytes(v) * v->vbe[VBE_YRES];
            memset(v->vram->host, 0, n < v->vram->size ? n : v->vram->size);
            ram_mark_dirty(v->vram, 0, n < v->vram->size ? n : v->vram->size);
        }
        set_vga_registers(v);
    } else if (!(value & VBE_ENABLED)) {
        v->vbe[VBE_BANK] = 0;
    }
}

void vga_vbe_write(struct vga *v, unsigned index, uint16_t value)
{
    if (index >= NVBE) {
        return;
    }
    switch (index) {
    case VBE_ID:
        if (value >= ID_FIRST && value <= ID_LAST) {
            v->vbe[VBE_ID] = value;
        }
        return;
    case VBE_ENABLE:
        enable(v, value);
        break;
    case VBE_BANK:
        v->vbe[VBE_BANK] = value & (uint16_t)((v->vram->size >> 16) - 1);
        return; /* nothing to see */
    case VBE_VIRT_HEIGHT:
    case VBE_MEMORY:
        return; /* follow from the width and the memory */
    default:
        v->vbe[index] = value;
        if (vga_vbe_enabled(v)) {
            vga_vbe_fit(v);
            set_vga_registers(v);
        }
        break;
    }
    v->redraw = true;
}

static uint64_t vbe_port_read(void *opaque, uint64_t offset, unsigned size)
{
    struct vga *v = opaque;

    (void)size;
    return offset ? vga_vbe_read(v, v->vbe_index) : v->vbe_index;
}

static void vbe_port_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct vga *v = opaque;

    (void)size;
    if (offset) {
        vga_vbe_write(v, v->vbe_index, (uint16_t)value);
    } else {
        v->vbe_index = (uint16_t)value;
    }
}

const struct mmio_ops vga_vbe_ops = {vbe_port_read, vbe_port_write, 1, 2};
