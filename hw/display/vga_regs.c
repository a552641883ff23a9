/* VGA: registers behind ports 3B4, 3B5, 3BA, 3C0 to 3CF, 3D4, 3D5, 3DA. IBM VGA technical
 * reference.
 *
 * Retrace times come from the virtual clock: 70 frames of 449 lines a second. Left out: vertical
 * interrupt, light pen, the sense bit of monitor detection (it always says colour). */
#include "hw/display/vga.h"
#include "hw/isa/isa.h"

#include <string.h>

enum { FRAME_NS = 14285714, LINES = 449, LINE_NS = FRAME_NS / LINES, RETRACE_LINE = 412 };
enum { ST1_BLANK = 1, ST1_RETRACE = 8 };
enum { MISC_COLOUR = 1 };

static uint8_t status1(struct vga *v)
{
    int64_t in_frame = clock_now(v->machine->clock) % FRAME_NS;
    bool vertical = in_frame / LINE_NS >= RETRACE_LINE;
    bool horizontal = in_frame % LINE_NS >= LINE_NS * 4 / 5;

    return (uint8_t)((vertical ? ST1_RETRACE : 0) | (vertical || horizontal ? ST1_BLANK : 0));
}

/* ---- attribute controller and palette ---- */

static void attr_write(struct vga *v, uint8_t value)
{
    static const uint8_t masks[NATTR] = {0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
                                         0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
                                         0x3f, 0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f};
    unsigned n = v->attr_index & 0x1f;

    if (!v->attr_data) {
        v->redraw |= (v->attr_index ^ value) & 0x20;
        v->attr_index = value & 0x3f;
    } else if (n < NATTR) {
        v->redraw |= v->attr[n] != (value & masks[n]);
        v->attr[n] = value & masks[n];
    }
    v->attr_data = !v->attr_data;
}

static uint8_t dac_data_read(struct vga *v)
{
    uint8_t value = v->dac[v->dac_read * 3 + v->dac_part % 3];

    if (++v->dac_part >= 3) {
        v->dac_part = 0;
        v->dac_read++;
    }
    return value;
}

static void dac_data_write(struct vga *v, uint8_t value)
{
    v->dac_cache[v->dac_part % 3] = value;
    if (++v->dac_part >= 3) {
        v->redraw |= memcmp(v->dac + v->dac_write * 3, v->dac_cache, 3) != 0;
        memcpy(v->dac + v->dac_write * 3, v->dac_cache, 3);
        v->dac_part = 0;
        v->dac_write++;
    }
}

/* ---- CRT controller ---- */

static void crtc_write(struct vga *v, uint8_t value)
{
    unsigned n = v->crtc_index;

    if (n >= NCRTC) {
        return;
    }
    if (n <= CRTC_OVERFLOW && (v->crtc[CRTC_V_SYNC_END] & 0x80)) { /* protected but for one bit */
        if (n == CRTC_OVERFLOW) {
            v->redraw |= ((v->crtc[n] ^ value) & 0x10) != 0;
            v->crtc[n] = (uint8_t)((v->crtc[n] & ~0x10) | (value & 0x10));
        }
        return;
    }
    v->redraw |= v->crtc[n] != value;
    v->crtc[n] = value;
}

static void set(struct vga *v, uint8_t *reg, uint8_t value)
{
    v->redraw |= *reg != value;
    *reg = value;
}

static void seq_write(struct vga *v, uint8_t value)
{
    static const uint8_t masks[NSEQ] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e};

    if (v->seq_index < NSEQ) {
        set(v, &v->seq[v->seq_index], value & masks[v->seq_index]);
    }
}

static void gfx_write(struct vga *v, uint8_t value)
{
    static const uint8_t masks[NGFX] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff};
    unsigned n = v->gfx_index;

    if (n >= NGFX) {
        return;
    }
    if (n == GFX_MODE || n == GFX_MISC) { /* the others only matter to accesses of memory */
        v->redraw |= v->gfx[n] != (value & masks[n]);
    }
    v->gfx[n] = value & masks[n];
}

/* ---- ports ---- */

/* The CRT controller answers at 3B4 or at 3D4. */
static bool not_there(const struct vga *v, uint16_t port)
{
    bool mono = port < 0x3c0, colour = port >= 0x3d0;

    return v->misc & MISC_COLOUR ? mono : colour;
}

uint8_t vga_port_read(struct vga *v, uint16_t port)
{
    if (not_there(v, port)) {
        return 0xff;
    }
    switch (port) {
    case 0x3c0:
        return v->attr_data ? 0 : v->attr_index;
    case 0x3c1:
        return (v->attr_index & 0x1f) < NATTR ? v->attr[v->attr_index & 0x1f] : 0;
    case 0x3c2:
        return 0x10; /* switch sense: a colour monitor */
    case 0x3c4:
        return v->seq_index;
    case 0x3c5:
        return v->seq_index < NSEQ ? v->seq[v->seq_index] : 0;
    case 0x3c6:
        return v->dac_mask;
    case 0x3c7:
        return v->dac_reading ? 3 : 0;
    case 0x3c8:
        return v->dac_write;
    case 0x3c9:
        return dac_data_read(v);
    case 0x3ca:
        return v->feature;
    case 0x3cc:
        return v->misc;
    case 0x3ce:
        return v->gfx_index;
    case 0x3cf:
        return v->gfx_index < NGFX ? v->gfx[v->gfx_index] : 0;
    case 0x3b4:
    case 0x3d4:
        return v->crtc_index;
    case 0x3b5:
    case 0x3d5:
        return v->crtc_index < NCRTC ? v->crtc[v->crtc_index] : 0;
    case 0x3ba:
    case 0x3da:
        v->attr_data = false;
        return status1(v);
    default:
        return 0xff;
    }
}

void vga_port_write(struct vga *v, uint16_t port, uint8_t value)
{
    if (not_there(v, port)) {
        return;
    }
    switch (port) {
    case 0x3c0:
        attr_write(v, value);
        break;
    case 0x3c2:
        v->misc = value & 0xef;
        break;
    case 0x3c4:
        v->seq_index = value & 7;
        break;
    case 0x3c5:
        seq_write(v, value);
        break;
    case 0x3c6:
        set(v, &v->dac_mask, value);
        break;
    case 0x3c7:
        v->dac_read = value;
        v->dac_part = 0;
        v->dac_reading = true;
        break;
    case 0x3c8:
        v->dac_write = value;
        v->dac_part = 0;
        v->dac_reading = false;
        break;
    case 0x3c9:
        dac_data_write(v, value);
        break;
    case 0x3ce:
        v->gfx_index = value & 15;
        break;
    case 0x3cf:
        gfx_write(v, value);
        break;
    case 0x3b4:
    case 0x3d4:
        v->crtc_index = value & 31;
        break;
    case 0x3b5:
    case 0x3d5:
        crtc_write(v, value);
        break;
    case 0x3ba:
    case 0x3da:
        v->feature = value & 8;
        break;
    default:
        break;
    }
}

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    return vga_port_read(opaque, (uint16_t)(0x3c0 + offset));
}

static void ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    vga_port_write(opaque, (uint16_t)(0x3c0 + offset), (uint8_t)value);
}

static uint64_t mono_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    return vga_port_read(opaque, (uint16_t)(0x3b4 + offset));
}

static void mono_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    vga_port_write(opaque, (uint16_t)(0x3b4 + offset), (uint8_t)value);
}

static uint64_t mono_status_read(void *opaque, uint64_t offset, unsigned size)
{
    return mono_read(opaque, offset + 6, size);
}

static void mono_status_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    mono_write(opaque, offset + 6, value, size);
}

static const struct mmio_ops ports_ops = {ports_read, ports_write, 1, 1};
static const struct mmio_ops mono_ops = {mono_read, mono_write, 1, 1};
static const struct mmio_ops mono_status_ops = {mono_status_read, mono_status_write, 1, 1};

bool vga_claim_ports(struct vga *v, struct device *d, struct error *err)
{
    return isa_claim_ports(d, 0x3b4, 2, &mono_ops, v, err) &&
           isa_claim_ports(d, 0x3ba, 1, &mono_status_ops, v, err) &&
           isa_claim_ports(d, 0x3c0, 32, &ports_ops, v, err);
}
