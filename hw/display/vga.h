/* A VGA with Bochs' extensions (VBE dispi), shared by the adapters that contain one. IBM VGA
 * technical reference; Ferraro, Programmer's Guide to the EGA, VGA and Super VGA Cards; the dispi
 * interface as SeaBIOS's vgabios and Linux's bochs driver use it.
 *
 * The four planes are interleaved in video memory: byte a of plane p lies at 4 * a + p, so that
 * chained (linear) and planar modes see the same memory. Machine lock held everywhere. */
#ifndef HW_DISPLAY_VGA_H
#define HW_DISPLAY_VGA_H

#include "hw/display/console.h"

enum { /* registers by their index */
       SEQ_CLOCKING = 1,
       SEQ_MAP_MASK = 2,
       SEQ_FONT = 3,
       SEQ_MEMORY = 4,
       GFX_SET_RESET = 0,
       GFX_ENABLE_SET = 1,
       GFX_COMPARE = 2,
       GFX_ROTATE = 3,
       GFX_READ_MAP = 4,
       GFX_MODE = 5,
       GFX_MISC = 6,
       GFX_DONT_CARE = 7,
       GFX_BIT_MASK = 8,
       CRTC_H_END = 1,
       CRTC_OVERFLOW = 7,
       CRTC_MAX_SCAN = 9,
       CRTC_CURSOR_START = 0xa,
       CRTC_CURSOR_END = 0xb,
       CRTC_START_HIGH = 0xc,
       CRTC_START_LOW = 0xd,
       CRTC_CURSOR_HIGH = 0xe,
       CRTC_CURSOR_LOW = 0xf,
       CRTC_V_SYNC_END = 0x11,
       CRTC_V_END = 0x12,
       CRTC_OFFSET = 0x13,
       CRTC_MODE = 0x17,
       CRTC_LINE_COMPARE = 0x18,
       ATTR_MODE = 0x10,
       ATTR_OVERSCAN = 0x11,
       ATTR_PLANES = 0x12,
       ATTR_PAN = 0x13,
       ATTR_SELECT = 0x14,
};
enum { NCRTC = 0x19, NATTR = 0x15, NSEQ = 5, NGFX = 9 };

enum vbe_register {
    VBE_ID,
    VBE_XRES,
    VBE_YRES,
    VBE_BPP,
    VBE_ENABLE,
    VBE_BANK,
    VBE_VIRT_WIDTH,
    VBE_VIRT_HEIGHT,
    VBE_X_OFFSET,
    VBE_Y_OFFSET,
    VBE_MEMORY,
    NVBE,
};
enum { VBE_ENABLED = 1, VBE_GETCAPS = 2, VBE_8BIT_DAC = 0x20, VBE_LFB = 0x40, VBE_NOCLEAR = 0x80 };
enum {
    VBE_MAX_X = 2560,
    VBE_MAX_Y = 1600,
    VBE_PORT_INDEX = 0x1ce,
    VBE_PORTS = 3 /* so that the data port takes 16 bits at once */
};

struct vga {
    struct machine *machine;
    struct ram *vram;
    struct console *console;
    /* state */
    uint8_t misc, feature;
    uint8_t seq_index, seq[8], crtc_index, crtc[32], gfx_index, gfx[16];
    uint8_t attr_index, attr[32];
    bool attr_data; /* the next write to port 3C0 is data */
    uint8_t dac[768], dac_mask, dac_read, dac_write, dac_part, dac_cache[3];
    bool dac_reading;
    uint32_t latch; /* plane n in bits 8n to 8n+7 */
    uint16_t vbe_index, vbe[NVBE];
    /* drawing */
    bool redraw;         /* registers changed */
    bool off;            /* the adapter shows something else now (virtio-vga) */
    uint32_t drawn_mode; /* what kind of picture the surface holds */
    uint8_t *dirty, *again;
    uint32_t palette[256];
    uint32_t text_sum;    /* of palette and geometry */
    uint32_t *text_shown; /* TEXT_MAX_CELLS: what each cell looks like on the surface */
    uint8_t font[2][8192];
    uint32_t line[CONSOLE_MAX_SIDE + 16];
};

extern const struct state_field vga_fields[];
#define STATE_VGA(st, f)                                                                           \
    {                                                                                              \
#f, ST_STRUCT, offsetof(st, f), 1, 1, sizeof(struct vga), vga_fields                       \
    }

/* vram_mb: 1 to 256, a power of two. */
bool vga_init(struct vga *v, struct device *d, uint32_t vram_mb, const struct console_ops *ops,
              void *opaque, struct error *err);
void vga_reset(struct vga *v);
void vga_loaded(struct vga *v);
void vga_destroy(struct vga *v);

/* vga_regs.c: ports 3B4 to 3DF. */
uint8_t vga_port_read(struct vga *v, uint16_t port);
void vga_port_write(struct vga *v, uint16_t port, uint8_t value);
bool vga_claim_ports(struct vga *v, struct device *d, struct error *err);
/* vga_vbe.c */
uint16_t vga_vbe_read(struct vga *v, unsigned index);
void vga_vbe_write(struct vga *v, unsigned index, uint16_t value);
void vga_vbe_fit(struct vga *v);          /* makes the registers fit into the memory there is */
extern const struct mmio_ops vga_vbe_ops; /* its ports, from VBE_PORT_INDEX on */
static inline bool vga_vbe_enabled(const struct vga *v)
{
    return v->vbe[VBE_ENABLE] & VBE_ENABLED;
}
unsigned vga_vbe_line_bytes(const struct vga *v);
/* vga_memory.c: A0000 to BFFFF. */
extern const struct mmio_ops vga_memory_ops;
/* vga_draw.c, vga_text.c */
void vga_refresh(void *vga);
bool vga_text(void *vga, struct text_screen *t);
void vga_draw_text(struct vga *v, bool all);
/* Puts a line that was drawn to v->line onto the surface and reports what changed. */
void vga_put_line(struct vga *v, uint32_t *pixels, unsigned y, unsigned width);
extern const struct console_ops vga_console_ops;

/* The adapter's memory BAR 2: EDID, the ports as memory. edid: 256 bytes. */
struct vga_mmio {
    struct vga *vga;
    uint8_t edid[256];
};
extern const struct mmio_ops vga_mmio_ops;
enum { VGA_MMIO_BYTES = 4096 };

/* edid.c: EDID 1.4 of a monitor that likes width x height best; 128 bytes and a CTA-861 block. */
void edid_make(uint8_t *edid, unsigned width, unsigned height);

/* A VGA BIOS of the distribution as ROM for BAR 6; *rom stays NULL when there is none (said once in
 * the log). name: file name, or a path. */
bool vga_load_rom(struct machine *m, const char *name, struct ram **rom, struct error *err);

#endif
