/* VGA: the window A0000 to BFFFF, through read and write modes, latches and planes. */
#include "hw/display/vga.h"

#include "host/le.h"

#include <string.h>

enum { MEM_CHAIN4 = 8, MODE_ODD_EVEN = 0x10, MODE_READ1 = 8, WINDOW = 0x20000 };

/* Where an access lands in the 128 KiB window's memory; false: this part of it is not decoded. */
static bool decode(const struct vga *v, uint64_t *at)
{
    static const struct {
        uint32_t base, size;
    } maps[4] = {{0, 0x20000}, {0, 0x10000}, {0x10000, 0x8000}, {0x18000, 0x8000}};
    unsigned map = v->gfx[GFX_MISC] >> 2 & 3;

    if (*at < maps[map].base || *at - maps[map].base >= maps[map].size || !(v->misc & 2)) {
        return false;
    }
    *at -= maps[map].base;
    if (map == 1 && vga_vbe_enabled(v)) {
        *at += (uint64_t)v->vbe[VBE_BANK] << 16;
    }
    return true;
}

/* Planar places are words of four bytes, one a plane. */
static uint8_t *word_at(struct vga *v, uint64_t index)
{
    return index * 4 + 4 <= v->vram->size ? v->vram->host + index * 4 : NULL;
}

static bool four_planes(const struct vga *v)
{
    return v->vbe[VBE_BPP] == 4 || !vga_vbe_enabled(v);
}

static uint8_t read_byte(struct vga *v, uint64_t at)
{
    if (!decode(v, &at)) {
        return 0xff;
    }
    if ((v->seq[SEQ_MEMORY] & MEM_CHAIN4) || !four_planes(v)) {
        return at < v->vram->size ? v->vram->host[at] : 0xff;
    }
    if (v->gfx[GFX_MODE] & MODE_ODD_EVEN) {
        const uint8_t *w = word_at(v, at >> 1);
        return w ? w[(v->gfx[GFX_READ_MAP] & 2) | (at & 1)] : 0xff;
    }
    const uint8_t *w = word_at(v, at);
    if (!w) {
        return 0xff;
    }
    v->latch = le_get32(w);
    if (!(v->gfx[GFX_MODE] & MODE_READ1)) {
        return (uint8_t)(v->latch >> 8 * (v->gfx[GFX_READ_MAP] & 3));
    }
    uint8_t same = 0xff;
    for (unsigned p = 0; p < 4; p++) {
        if (v->gfx[GFX_DONT_CARE] >> p & 1) {
            uint8_t want = v->gfx[GFX_COMPARE] >> p & 1 ? 0xff : 0;
            same &= (uint8_t) ~(w[p] ^ want);
        }
    }
    return same;
}

/* Bit p of planes spread to the byte of plane p. */
static uint32_t spread(unsigned planes)
{
    return (planes & 1 ? 0xffu : 0) | (planes & 2 ? 0xff00u : 0) | (planes & 4 ? 0xff0000u : 0) |
           (planes & 8 ? 0xff000000u : 0);
}

/* What a planar write of value puts into the four planes. */
static uint32_t planar_value(const struct vga *v, uint8_t value)
{
    unsigned rotate = v->gfx[GFX_ROTATE] & 7, mode = v->gfx[GFX_MODE] & 3;
    uint8_t turned = (uint8_t)(value >> rotate | value << (8 - rotate));
    uint32_t bits, mask = v->gfx[GFX_BIT_MASK], set = spread(v->gfx[GFX_SET_RESET]);

    switch (mode) {
    case 0:
        bits = turned * 0x01010101u;
        bits = (bits & ~spread(v->gfx[GFX_ENABLE_SET])) | (set & spread(v->gfx[GFX_ENABLE_SET]));
        break;
    case 1:
        return v->latch;
    case 2:
        bits = spread(value & 15);
        break;
    default:
        mask &= turned;
        bits = set;
        break;
    }
    switch (v->gfx[GFX_ROTATE] >> 3 & 3) {
    case 1:
        bits &= v->latch;
        break;
    case 2:
        bits |= v->latch;
        break;
    case 3:
        bits ^= v->latch;
        break;
    default:
        break;
    }
    mask *= 0x01010101u;
    return (bits & mask) | (v->latch & ~mask);
}

static void write_byte(struct vga *v, uint64_t at, uint8_t value)
{
    unsigned planes = v->seq[SEQ_MAP_MASK];
    uint8_t *w;

    if (!decode(v, &at)) {
        return;
    }
    if ((v->seq[SEQ_MEMORY] & MEM_CHAIN4) || !four_planes(v)) {
        if (at < v->vram->size && (planes >> (at & 3) & 1)) {
            v->vram->host[at] = value;
            ram_mark_dirty(v->vram, at, 1);
        }
        return;
    }
    if (v->gfx[GFX_MODE] & MODE_ODD_EVEN) {
        w = word_at(v, at >> 1);
        for (unsigned p = at & 1; w && p < 4; p += 2) {
            if (planes >> p & 1) {
                w[p] = value;
            }
        }
    } else {
        w = word_at(v, at);
        if (w) {
            uint32_t mask = spread(planes);
            le_put32(w, (le_get32(w) & ~mask) | (planar_value(v, value) & mask));
        }
    }
    if (w) {
        ram_mark_dirty(v->vram, (uint64_t)(w - v->vram->host), 4);
    }
}

static uint64_t window_read(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value |= (uint64_t)read_byte(opaque, offset + i) << 8 * i;
    }
    return value;
}

static void window_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        write_byte(opaque, offset + i, (uint8_t)(value >> 8 * i));
    }
}

const struct mmio_ops vga_memory_ops = {window_read, window_write, 1, 8};
