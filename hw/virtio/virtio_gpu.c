/* GPU devices over virtio, 2D only: virtio-gpu-pci, and virtio-vga which is a VGA until the driver
 * shows its first picture. VIRTIO 1.2, chapter 5.7; what the commands do is in virtio_gpu_2d.c.
 *
 * One scanout. Left out: 3D (virgl), blobs, capability sets; the cursor's place (viewers draw it
 * where their pointer is). Resources are not part of a snapshot. */
#include "hw/virtio/virtio_gpu.h"

#include "hw/display/vga.h"
#include "host/le.h"

#include <stdlib.h>
#include <string.h>

enum {
    F_EDID = 1,
    EVENT_DISPLAY = 1,
    Q_CONTROL = 0,
    Q_CURSOR = 1,
    CONTROL_SIZE = 64,
    CURSOR_SIZE = 16
};
enum { C_EVENTS_READ = 0, C_EVENTS_CLEAR = 4, C_SCANOUTS = 8, CONFIG_BYTES = 16 };
enum { HEADER = 24, FLAG_FENCE = 1, MAX_SCANOUTS = 16, EDID_BYTES = 1024 };
enum gpu_command {
    GET_DISPLAY_INFO = 0x100,
    CREATE_2D,
    UNREF,
    SET_SCANOUT,
    FLUSH,
    TRANSFER,
    ATTACH,
    DETACH,
    GET_CAPSET_INFO,
    GET_CAPSET,
    GET_EDID,
    UPDATE_CURSOR = 0x300,
    MOVE_CURSOR,
};

struct virtio_gpu {
    struct virtio virtio; /* must be first */
    struct gpu gpu;
    uint32_t xres, yres;    /* properties; later what a viewer wants */
    uint32_t width, height; /* of the monitor now */
    bool edid;
    uint64_t max_hostmem;
    uint32_t events;
    /* virtio-vga */
    bool is_vga;
    struct vga vga;
    struct vga_mmio mmio;
    uint32_t vgamem_mb;
    char *romfile;
};

#define GPU_PROPS                                                                                  \
    VIRTIO_PROPS(struct virtio_gpu, virtio),                                                       \
        PROP_U32(struct virtio_gpu, xres, 1280, "width the monitor likes best, in pixels"),        \
        PROP_U32(struct virtio_gpu, yres, 800, "height the monitor likes best, in pixels"),        \
        PROP_BOOL(struct virtio_gpu, edid, 1, "describe the monitor to drivers (EDID)"),           \
    {                                                                                              \
        "max_hostmem", PT_SIZE, offsetof(struct virtio_gpu, max_hostmem), 256 << 20,               \
            "host memory that the guest's pictures may take"                                       \
    }

static const struct property gpu_props[] = {GPU_PROPS, PROP_END};

static const struct property vga_props[] = {
    GPU_PROPS,
    PROP_U32(struct virtio_gpu, vgamem_mb, 16,
             "video memory of the VGA in MiB: a power of two, 1 to 256"),
    PROP_STRING(struct virtio_gpu, romfile, "VGA BIOS (default: vgabios-virtio.bin; empty: none)"),
    PROP_END,
};

static const struct state_field gpu_fields[] = {
    STATE_VIRTIO(struct virtio_gpu, virtio), STATE_U32(struct virtio_gpu, width),
    STATE_U32(struct virtio_gpu, height),    STATE_U32(struct virtio_gpu, events),
    STATE_VGA(struct virtio_gpu, vga),       STATE_END,
};

static void gpu_loaded(void *obj)
{
    struct virtio_gpu *s = obj;

    gpu_reset(&s->gpu);
    if (s->is_vga) {
        vga_loaded(&s->vga);
    }
    virtio_loaded(&s->virtio);
}

static const struct state_table gpu_state = {1, gpu_fields, gpu_loaded};

/* ---- commands ---- */

static struct gpu_rect get_rect(const uint8_t *p)
{
    return (struct gpu_rect){le_get32(p), le_get32(p + 4), le_get32(p + 8), le_get32(p + 12)};
}

static uint32_t attach(struct virtio_gpu *s, const struct virtq_chain *c, const uint8_t *cmd)
{
    uint32_t n = le_get32(cmd + HEADER + 4);
    uint64_t bytes = 16 * (uint64_t)n;

    if (n > GPU_MAX_BACKING || HEADER + 8 + bytes > c->out_bytes) {
        return GPU_ERR_PARAMETER;
    }
    uint8_t *entries = malloc(bytes ? bytes : 1);
    uint32_t answer = GPU_ERR_MEMORY;
    if (entries && virtq_read(c, HEADER + 8, entries, bytes) == bytes) {
        answer = gpu_attach(&s->gpu, le_get32(cmd + HEADER), entries, n);
    }
    free(entries);
    return answer;
}

/* The answer's bytes behind the header; returns its type. */
static uint32_t display_info(struct virtio_gpu *s, uint8_t *body, unsigned *len)
{
    *len = MAX_SCANOUTS * 24;
    le_put32(body + 8, s->width);
    le_put32(body + 12, s->height);
    le_put32(body + 16, 1); /* enabled */
    return GPU_OK_DISPLAY_INFO;
}

static uint32_t get_edid(struct virtio_gpu *s, const uint8_t *cmd, uint8_t *body, unsigned *len)
{
    if (!virtio_has(&s->virtio, F_EDID)) {
        return GPU_ERR_UNSPEC;
    }
    if (le_get32(cmd + HEADER) >= 1) {
        return GPU_ERR_SCANOUT;
    }
    *len = 8 + EDID_BYTES;
    le_put32(body, 256);
    edid_make(body + 8, s->width, s->height);
    return GPU_OK_EDID;
}

static uint32_t run(struct virtio_gpu *s, const struct virtq_chain *c, const uint8_t *cmd,
                    uint64_t have, uint8_t *body, unsigned *len)
{
    static const struct {
        uint32_t command;
        unsigned bytes; /* it has, with the header */
    } sizes[] = {{GET_DISPLAY_INFO, 24}, {CREATE_2D, 40},  {UNREF, 32},
                 {SET_SCANOUT, 48},      {FLUSH, 48},      {TRANSFER, 56},
                 {ATTACH, 32},           {DETACH, 32},     {GET_EDID, 32},
                 {UPDATE_CURSOR, 56},    {MOVE_CURSOR, 56}};
    uint32_t command = le_get32(cmd);
    const uint8_t *p = cmd + HEADER;
    struct gpu_rect r = get_rect(p);
    size_t i = 0;

    while (i < sizeof(sizes) / sizeof(sizes[0]) && sizes[i].command != command) {
        i++;
    }
    if (i == sizeof(sizes) / sizeof(sizes[0])) {
        log_at(s->gpu.machine->log, LOG_GUEST_ERROR, "%s: unknown command 0x%x\n",
               s->virtio.pci.dev.type->name, command);
        return GPU_ERR_UNSPEC;
    }
    if (have < sizes[i].bytes) {
        return GPU_ERR_PARAMETER;
    }
    switch (command) {
    case GET_DISPLAY_INFO:
        return display_info(s, body, len);
    case GET_EDID:
        return get_edid(s, cmd, body, len);
    case CREATE_2D:
        return gpu_create_2d(&s->gpu, le_get32(p), le_get32(p + 4), le_get32(p + 8),
                             le_get32(p + 12));
    case UNREF:
        return gpu_unref(&s->gpu, le_get32(p));
    case SET_SCANOUT:
        return le_get32(p + 16) >= 1 ? (uint32_t)GPU_ERR_SCANOUT
                                     : gpu_set_scanout(&s->gpu, le_get32(p + 20), &r);
    case FLUSH:
        return gpu_flush(&s->gpu, le_get32(p + 16), &r);
    case TRANSFER:
        return gpu_transfer(&s->gpu, le_get32(p + 24), &r, le_get64(p + 16));
    case ATTACH:
        return attach(s, c, cmd);
    case DETACH:
        return gpu_detach(&s->gpu, le_get32(p));
    case UPDATE_CURSOR:
        return gpu_set_cursor(&s->gpu, le_get32(p + 16), le_get32(p + 20), le_get32(p + 24));
    default: /* MOVE_CURSOR */
        return GPU_OK_NODATA;
    }
}

static void serve(struct virtio_gpu *s, struct virtqueue *q)
{
    struct virtq_chain *c;
    uint8_t cmd[56], answer[HEADER + 8 + EDID_BYTES];

    while ((c = virtqueue_pop(q)) != NULL) {
        unsigned len = 0;
        memset(cmd, 0, sizeof(cmd));
        memset(answer, 0, sizeof(answer));
        uint64_t have = virtq_read(c, 0, cmd, sizeof(cmd));
        uint32_t type =
            have < HEADER ? (uint32_t)GPU_ERR_UNSPEC : run(s, c, cmd, have, answer + HEADER, &len);
        le_put32(answer, type);
        if (le_get32(cmd + 4) & FLAG_FENCE) { /* everything is done by now */
            le_put32(answer + 4, FLAG_FENCE);
            memcpy(answer + 8, cmd + 8, 12); /* fence and context */
        }
        virtqueue_push(c, (uint32_t)virtq_write(c, 0, answer, HEADER + len));
    }
    virtqueue_notify(q);
}

static void gpu_kick(struct virtio *v, struct virtqueue *q)
{
    serve(container_of(v, struct virtio_gpu, virtio), q);
}

/* ---- configuration ---- */

static uint64_t gpu_features(struct virtio *v)
{
    return (uint64_t)container_of(v, struct virtio_gpu, virtio)->edid << F_EDID;
}

static void gpu_config(struct virtio *v, uint8_t *config)
{
    struct virtio_gpu *s = container_of(v, struct virtio_gpu, virtio);

    le_put32(config + C_EVENTS_READ, s->events);
    le_put32(config + C_SCANOUTS, 1);
}

static void gpu_config_write(struct virtio *v, const uint8_t *config, unsigned offset,
                             unsigned size)
{
    struct virtio_gpu *s = container_of(v, struct virtio_gpu, virtio);

    if (offset == C_EVENTS_CLEAR && size == 4) {
        s->events &= ~le_get32(config + C_EVENTS_CLEAR);
    }
}

static void gpu_soft_reset(struct virtio *v)
{
    struct virtio_gpu *s = container_of(v, struct virtio_gpu, virtio);
    struct console_cursor none = {0};

    gpu_reset(&s->gpu);
    s->events = 0;
    if (s->gpu.console) {
        console_set_cursor(s->gpu.console, &none);
    }
}

static const struct virtio_class gpu_class = {
    .id = 16,
    .config_size = CONFIG_BYTES,
    .features = gpu_features,
    .config_read = gpu_config,
    .config_write = gpu_config_write,
    .kick = gpu_kick,
    .reset = gpu_soft_reset,
};

/* ---- the console ---- */

static void refresh(void *opaque)
{
    struct virtio_gpu *s = opaque;

    if (s->is_vga) {
        vga_refresh(&s->vga);
    }
}

static bool text(void *opaque, struct text_screen *t)
{
    struct virtio_gpu *s = opaque;

    return s->is_vga && vga_text(&s->vga, t);
}

static void size_wanted(void *opaque, unsigned width, unsigned height)
{
    struct virtio_gpu *s = opaque;

    if (virtio_running(&s->virtio) && (width != s->width || height != s->height)) {
        s->width = width;
        s->height = height;
        s->events |= EVENT_DISPLAY;
        virtio_config_changed(&s->virtio);
    }
}

static const struct console_ops gpu_console_ops = {refresh, text, size_wanted};

/* The driver's picture starts or ends: the VGA gives way, or comes back. */
static void shows(void *opaque, bool gpu)
{
    struct virtio_gpu *s = opaque;

    s->vga.off = gpu;
    s->vga.redraw = true;
    if (!gpu && !s->is_vga) {
        console_resize(s->gpu.console, s->width, s->height);
        uint32_t *pixels = console_draw_begin(s->gpu.console);
        unsigned width = console_width(s->gpu.console), height = console_height(s->gpu.console);
        memset(pixels, 0, (size_t)width * height * sizeof(*pixels));
        console_damage(s->gpu.console, 0, 0, width, height);
        console_draw_end(s->gpu.console);
    }
}

/* ---- life ---- */

static void gpu_device_reset(struct device *d)
{
    struct virtio_gpu *s = (struct virtio_gpu *)d;

    s->width = s->xres;
    s->height = s->yres;
    virtio_reset(&s->virtio);
    if (s->is_vga) {
        vga_reset(&s->vga);
    }
}

static bool realize(struct virtio_gpu *s, struct error *err)
{
    struct device *d = &s->virtio.pci.dev;

    if (s->xres < 320 || s->xres > CONSOLE_MAX_SIDE || s->yres < 200 ||
        s->yres > CONSOLE_MAX_SIDE) {
        return error_set(err, "%s: xres=%u,yres=%u is not from 320x200 to %dx%d", d->type->name,
                         s->xres, s->yres, CONSOLE_MAX_SIDE, CONSOLE_MAX_SIDE);
    }
    s->width = s->xres;
    s->height = s->yres;
    s->gpu.machine = d->machine;
    s->gpu.max_host_bytes = s->max_hostmem;
    s->gpu.shows = shows;
    s->gpu.opaque = s;
    s->virtio.disable_legacy = true;
    virtio_add_queue(&s->virtio, Q_CONTROL, CONTROL_SIZE);
    virtio_add_queue(&s->virtio, Q_CURSOR, CURSOR_SIZE);
    return virtio_init(&s->virtio, &gpu_class, err);
}

static bool gpu_realize(struct device *d, struct error *err)
{
    struct virtio_gpu *s = (struct virtio_gpu *)d;

    if (!realize(s, err)) {
        return false;
    }
    s->gpu.console = console_create(d->machine, d, &gpu_console_ops, s);
    console_resize(s->gpu.console, s->xres, s->yres);
    return true;
}

static void gpu_destroy(struct device *d)
{
    struct virtio_gpu *s = (struct virtio_gpu *)d;

    s->gpu.shows = NULL;
    gpu_reset(&s->gpu);
    console_destroy(s->gpu.console);
}

static bool vga_realize(struct device *d, struct error *err)
{
    struct virtio_gpu *s = (struct virtio_gpu *)d;
    const char *name = s->romfile ? s->romfile : "vgabios-virtio.bin";
    struct ram *rom = NULL;

    s->is_vga = true;
    if (!realize(s, err) || !vga_init(&s->vga, d, s->vgamem_mb, &gpu_console_ops, s, err)) {
        return false;
    }
    s->gpu.console = s->vga.console;
    s->mmio.vga = &s->vga;
    edid_make(s->mmio.edid, s->xres < VBE_MAX_X ? s->xres : VBE_MAX_X,
              s->yres < VBE_MAX_Y ? s->yres : VBE_MAX_Y);
    pci_set_bar_ram(&s->virtio.pci, 0, s->vga.vram, true);
    pci_set_bar_mmio(&s->virtio.pci, 2, VGA_MMIO_BYTES, false, &vga_mmio_ops, &s->mmio);
    if (*name && !vga_load_rom(d->machine, name, &rom, err)) {
        return false;
    }
    if (rom) {
        pci_set_bar_ram(&s->virtio.pci, 6, rom, false);
    }
    return true;
}

static void vga_device_destroy(struct device *d)
{
    struct virtio_gpu *s = (struct virtio_gpu *)d;

    s->gpu.shows = NULL;
    gpu_reset(&s->gpu);
    vga_destroy(&s->vga);
}

static const struct pci_info gpu_info = VIRTIO_PCI_INFO(0x1050, 16, 0x03, 0x80);
static const struct pci_info vga_info = VIRTIO_PCI_INFO(0x1050, 16, 0x03, 0x00);

const struct device_type virtio_gpu_type = {
    .name = "virtio-gpu-pci",
    .summary = "virtio display adapter, 2D",
    .bus = BUS_PCI,
    .size = sizeof(struct virtio_gpu),
    .props = gpu_props,
    .state = &gpu_state,
    .realize = gpu_realize,
    .reset = gpu_device_reset,
    .destroy = gpu_destroy,
    .user_creatable = true,
    .bus_info = &gpu_info,
};

const struct device_type virtio_vga_type = {
    .name = "virtio-vga",
    .summary = "virtio display adapter, 2D, that is a VGA until its driver comes",
    .bus = BUS_PCI,
    .size = sizeof(struct virtio_gpu),
    .props = vga_props,
    .state = &gpu_state,
    .realize = vga_realize,
    .reset = gpu_device_reset,
    .destroy = vga_device_destroy,
    .user_creatable = true,
    .bus_info = &vga_info,
};
