/* VGA: what all adapters with one share: state, life, the registers in memory (BAR 2), the ROM. */
#include "hw/display/vga.h"

#include "hw/isa/isa.h"
#include "host/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct state_field vga_fields[] = {
    STATE_U8(struct vga, misc),         STATE_U8(struct vga, feature),
    STATE_U8(struct vga, seq_index),    STATE_BYTES(struct vga, seq),
    STATE_U8(struct vga, crtc_index),   STATE_BYTES(struct vga, crtc),
    STATE_U8(struct vga, gfx_index),    STATE_BYTES(struct vga, gfx),
    STATE_U8(struct vga, attr_index),   STATE_BYTES(struct vga, attr),
    STATE_BOOL(struct vga, attr_data),  STATE_BYTES(struct vga, dac),
    STATE_U8(struct vga, dac_mask),     STATE_U8(struct vga, dac_read),
    STATE_U8(struct vga, dac_write),    STATE_U8(struct vga, dac_part),
    STATE_BYTES(struct vga, dac_cache), STATE_BOOL(struct vga, dac_reading),
    STATE_U32(struct vga, latch),       STATE_U16(struct vga, vbe_index),
    STATE_U16(struct vga, vbe),         STATE_END,
};

/* ---- life ---- */

/* Above RAM, for boards that have some there, and under SMRAM. */
enum { PRIO_WINDOW = MAP_PRIO_RAM + 1 };

static void *must(void *p)
{
    if (!p) {
        abort();
    }
    return p;
}

bool vga_init(struct vga *v, struct device *d, uint32_t vram_mb, const struct console_ops *ops,
              void *opaque, struct error *err)
{
    if (vram_mb < 1 || vram_mb > 256 || (vram_mb & (vram_mb - 1))) {
        return error_set(err, "%s: vgamem_mb=%u is not a power of two from 1 to 256", d->type->name,
                         vram_mb);
    }
    v->machine = d->machine;
    v->vram = memory_ram_create(d->machine->memory, "vga.vram", (uint64_t)vram_mb << 20, err);
    if (!v->vram || !vga_claim_ports(v, d, err) ||
        !isa_claim_ports(d, VBE_PORT_INDEX, VBE_PORTS, &vga_vbe_ops, v, err)) {
        return false;
    }
    v->dirty = must(calloc(1, v->vram->size >> 12));
    v->again = must(calloc(1, v->vram->size >> 12));
    v->text_shown = must(malloc(TEXT_MAX_CELLS * sizeof(*v->text_shown)));
    memory_map_mmio(d->machine->memory, IN_BOTH, 0xa0000, 0x20000, "vga", &vga_memory_ops, v,
                    PRIO_WINDOW);
    v->console = console_create(d->machine, d, ops, opaque);
    return true;
}

void vga_reset(struct vga *v)
{
    v->misc = v->feature = 0;
    v->misc = 1; /* the ports of colour adapters */
    v->seq_index = v->crtc_index = v->gfx_index = v->attr_index = 0;
    memset(v->seq, 0, sizeof(v->seq));
    memset(v->crtc, 0, sizeof(v->crtc));
    memset(v->gfx, 0, sizeof(v->gfx));
    memset(v->attr, 0, sizeof(v->attr));
    memset(v->dac, 0, sizeof(v->dac));
    memset(v->vbe, 0, sizeof(v->vbe));
    memset(v->dac_cache, 0, sizeof(v->dac_cache));
    v->crtc[CRTC_H_END] = 79;
    v->crtc[CRTC_V_END] = 399 & 0xff;
    v->crtc[CRTC_OVERFLOW] = 2; /* 640 x 400 until the BIOS comes */
    v->crtc[CRTC_MAX_SCAN] = 15;
    v->attr_data = v->dac_reading = false;
    v->dac_mask = 0xff;
    v->dac_read = v->dac_write = v->dac_part = 0;
    v->latch = 0;
    v->vbe_index = 0;
    v->vbe[VBE_ID] = 0xb0c5;
    v->vbe[VBE_BPP] = 8;
    v->redraw = true;
}

void vga_loaded(struct vga *v)
{
    if (vga_vbe_enabled(v)) { /* bounds what a damaged snapshot says */
        vga_vbe_fit(v);
    }
    v->vbe[VBE_BANK] &= (uint16_t)((v->vram->size >> 16) - 1);
    v->redraw = true;
    v->drawn_mode = 0;
}

void vga_destroy(struct vga *v)
{
    if (v->console) {
        console_destroy(v->console);
    }
    free(v->dirty);
    free(v->again);
    free(v->text_shown);
}

/* ---- registers in memory: 0 EDID, 400 ports 3C0 on, 500 dispi, 600 size and byte order ---- */

enum { M_EDID = 0, M_PORTS = 0x400, M_DISPI = 0x500, M_EXTRA = 0x600 };
#define LITTLE_ENDIAN_MAGIC 0x1e1e1e1eu

static uint8_t mmio_byte(struct vga_mmio *m, uint64_t offset)
{
    static const uint8_t extra[8] = {8, 0, 0, 0, LITTLE_ENDIAN_MAGIC & 0xff, 0x1e, 0x1e, 0x1e};

    if (offset < sizeof(m->edid)) {
        return m->edid[offset];
    }
    if (offset >= M_PORTS && offset < M_PORTS + 0x20) {
        return vga_port_read(m->vga, (uint16_t)(0x3c0 + offset - M_PORTS));
    }
    if (offset >= M_DISPI && offset < M_DISPI + 2 * NVBE) {
        return (uint8_t)(vga_vbe_read(m->vga, (unsigned)(offset - M_DISPI) / 2) >>
                         8 * (offset & 1));
    }
    return offset >= M_EXTRA && offset < M_EXTRA + sizeof(extra) ? extra[offset - M_EXTRA] : 0;
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value |= (uint64_t)mmio_byte(opaque, offset + i) << 8 * i;
    }
    return value;
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct vga_mmio *m = opaque;

    if (offset >= M_DISPI && offset < M_DISPI + 2 * NVBE) {
        for (unsigned i = 0; i < size; i += 2) {
            vga_vbe_write(m->vga, (unsigned)(offset - M_DISPI + i) / 2, (uint16_t)(value >> 8 * i));
        }
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        uint64_t at = offset + i - M_PORTS;
        if (at < 0x20) {
            vga_port_write(m->vga, (uint16_t)(0x3c0 + at), (uint8_t)(value >> 8 * i));
        }
    }
}

const struct mmio_ops vga_mmio_ops = {mmio_read, mmio_write, 1, 4};

/* ---- ROM ---- */

bool vga_load_rom(struct machine *m, const char *name, struct ram **rom, struct error *err)
{
    static const char *const folders[] = {"/usr/share/seabios/", "/usr/share/qemu/",
                                          "/usr/local/share/seabios/"};
    char path[4096];
    uint8_t *data = NULL;
    size_t len = 0, size = 2048;
    bool found = strchr(name, '/') != NULL;

    snprintf(path, sizeof(path), "%s", name);
    for (size_t i = 0; !found && i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", folders[i], name);
        found = access(path, R_OK) == 0;
    }
    *rom = NULL;
    if (!found) {
        fprintf(m->log && m->log->out ? m->log->out : stderr,
                "dragoman: no VGA BIOS '%s' found (package seabios): the screen stays dark until a "
                "driver comes\n",
                name);
        return true;
    }
    if (!file_read(path, &data, &len, err)) {
        return error_prefix(err, "VGA BIOS");
    }
    while (size < len) {
        size *= 2;
    }
    if (len > 1 << 20) {
        error_set(err, "VGA BIOS %s: %zu bytes are more than 1 MiB", path, len);
    } else {
        *rom = memory_ram_create(m->memory, "vga.rom", size < 4096 ? 4096 : size, err);
    }
    if (*rom) {
        memcpy((*rom)->host, data, len);
    }
    free(data);
    return *rom != NULL;
}
