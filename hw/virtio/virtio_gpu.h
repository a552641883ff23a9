/* The virtio GPU: what its PCI devices (virtio_gpu.c) and its 2D core (virtio_gpu_2d.c) share. */
#ifndef HW_VIRTIO_VIRTIO_GPU_H
#define HW_VIRTIO_VIRTIO_GPU_H

#include "hw/display/console.h"
#include "hw/virtio/virtio.h"

enum { GPU_MAX_BACKING = 16384, GPU_MAX_RESOURCES = 4096 };

enum gpu_error { /* the specification's answers */
                 GPU_OK_NODATA = 0x1100,
                 GPU_OK_DISPLAY_INFO = 0x1101,
                 GPU_OK_EDID = 0x1104,
                 GPU_ERR_UNSPEC = 0x1200,
                 GPU_ERR_MEMORY = 0x1201,
                 GPU_ERR_SCANOUT = 0x1202,
                 GPU_ERR_RESOURCE = 0x1203,
                 GPU_ERR_PARAMETER = 0x1205,
};

struct gpu_rect {
    uint32_t x, y, width, height;
};

struct gpu_backing {      /* a piece of the guest's memory */
    uint64_t addr, start; /* start: bytes in the pieces before it */
    uint32_t len;
};

struct gpu_resource {
    struct gpu_resource *next;
    uint32_t id, format, width, height;
    uint32_t *pixels; /* as the guest's bytes lie */
    struct gpu_backing *backing;
    unsigned nbacking;
    uint64_t backing_bytes;
};

struct gpu { /* the 2D core */
    struct machine *machine;
    struct console *console;
    struct gpu_resource *resources;
    unsigned nresources;
    uint64_t host_bytes, max_host_bytes;
    uint32_t scanout; /* resource that is shown; 0: none */
    struct gpu_rect shown;
    void (*shows)(void *opaque, bool gpu); /* the scanout starts, ends; may be NULL */
    void *opaque;
};

void gpu_reset(struct gpu *g);
/* Each does one command and returns the answer's type. */
uint32_t gpu_create_2d(struct gpu *g, uint32_t id, uint32_t format, uint32_t width,
                       uint32_t height);
uint32_t gpu_unref(struct gpu *g, uint32_t id);
/* entries: n times {le64 addr, le32 len, le32 0}. */
uint32_t gpu_attach(struct gpu *g, uint32_t id, const uint8_t *entries, uint32_t n);
uint32_t gpu_detach(struct gpu *g, uint32_t id);
uint32_t gpu_transfer(struct gpu *g, uint32_t id, const struct gpu_rect *r, uint64_t offset);
uint32_t gpu_set_scanout(struct gpu *g, uint32_t id, const struct gpu_rect *r);
uint32_t gpu_flush(struct gpu *g, uint32_t id, const struct gpu_rect *r);
uint32_t gpu_set_cursor(struct gpu *g, uint32_t id, uint32_t hot_x, uint32_t hot_y);

#endif
