/* The standard PCI VGA: Bochs' and QEMU's 1234:1111, which SeaBIOS's vgabios-stdvga, GRUB and
 * Linux's bochs driver know. BAR 0 is video memory, BAR 2 has EDID and the registers as memory; the
 * VGA's own ports and window answer whatever the PCI command register says. Left out: acceleration
 * (there never was any), stereo, secondary adapters. */
#include "hw/display/vga.h"
#include "hw/pci/pci.h"

#include <string.h>

struct stdvga {
    struct pci_device pci; /* must be first */
    struct vga vga;
    struct vga_mmio mmio;
    uint32_t vgamem_mb, xres, yres;
    bool edid;
    char *romfile, *addr, *bus;
};

static const struct property stdvga_props[] = {
    PROP_U32(struct stdvga, vgamem_mb, 16, "video memory in MiB: a power of two, 1 to 256"),
    PROP_BOOL(struct stdvga, edid, 1, "describe the monitor to drivers (EDID)"),
    PROP_U32(struct stdvga, xres, 1280, "width the monitor likes best, in pixels"),
    PROP_U32(struct stdvga, yres, 800, "height the monitor likes best, in pixels"),
    PROP_STRING(struct stdvga, romfile, "VGA BIOS (default: vgabios-stdvga.bin; empty: none)"),
    PROP_STRING(struct stdvga, addr, "PCI slot, or slot.function, in hex"),
    PROP_STRING(struct stdvga, bus, "PCI bus: pci.0 is the only one"),
    PROP_END,
};

static const struct state_field stdvga_fields[] = {
    STATE_PCI(struct stdvga, pci),
    STATE_VGA(struct stdvga, vga),
    STATE_END,
};

static void stdvga_loaded(void *obj)
{
    struct stdvga *s = obj;

    pci_device_loaded(&s->pci);
    vga_loaded(&s->vga);
}

static const struct state_table stdvga_state = {1, stdvga_fields, stdvga_loaded};

static void stdvga_reset(struct device *d)
{
    struct stdvga *s = (struct stdvga *)d;

    pci_device_reset(&s->pci);
    vga_reset(&s->vga);
}

static bool stdvga_realize(struct device *d, struct error *err)
{
    struct stdvga *s = (struct stdvga *)d;
    const char *name = s->romfile ? s->romfile : "vgabios-stdvga.bin";
    struct ram *rom = NULL;
    int devfn;

    if (s->xres < 320 || s->xres > VBE_MAX_X || s->yres < 200 || s->yres > VBE_MAX_Y) {
        return error_set(err, "%s: xres=%u,yres=%u is not from 320x200 to %dx%d", d->type->name,
                         s->xres, s->yres, VBE_MAX_X, VBE_MAX_Y);
    }
    if (!pci_parse_address(s->bus, s->addr, &devfn, err) || !pci_register(&s->pci, devfn, err) ||
        !vga_init(&s->vga, d, s->vgamem_mb, &vga_console_ops, &s->vga, err)) {
        return false;
    }
    s->mmio.vga = &s->vga;
    if (s->edid) {
        edid_make(s->mmio.edid, s->xres, s->yres);
    }
    pci_set_bar_ram(&s->pci, 0, s->vga.vram, true);
    pci_set_bar_mmio(&s->pci, 2, VGA_MMIO_BYTES, false, &vga_mmio_ops, &s->mmio);
    if (*name && !vga_load_rom(d->machine, name, &rom, err)) {
        return false;
    }
    if (rom) {
        pci_set_bar_ram(&s->pci, 6, rom, false);
    }
    return true;
}

static void stdvga_destroy(struct device *d)
{
    vga_destroy(&((struct stdvga *)d)->vga);
}

static const struct pci_info stdvga_info = {
    .vendor = 0x1234,
    .device = 0x1111,
    .revision = 2,
    .class = 3,
    .subsystem_vendor = 0x1af4,
    .subsystem = 0x1100,
};

const struct device_type stdvga_type = {
    .name = "VGA",
    .summary = "standard VGA with Bochs' VBE extension, to 2560x1600",
    .bus = BUS_PCI,
    .size = sizeof(struct stdvga),
    .props = stdvga_props,
    .state = &stdvga_state,
    .realize = stdvga_realize,
    .reset = stdvga_reset,
    .destroy = stdvga_destroy,
    .user_creatable = true,
    .bus_info = &stdvga_info,
};
