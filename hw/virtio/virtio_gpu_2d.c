/* virtio GPU, 2D: resources, their backing in guest memory, transfers, scanout, flush, cursor.
 * VIRTIO 1.2, chapter 5.7.6. Everything here comes from the guest and is checked; a resource's
 * pixels are ours. */
#include "hw/virtio/virtio_gpu.h"

#include "host/le.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SIDE = 16384 };

/* Where a format has blue, green, red and alpha (bytes in memory). The fourth byte of a format
 * without alpha counts as that for cursors: Linux makes theirs in such a format, and they have it.
 */
static const struct format {
    uint32_t id;
    uint8_t blue, green, red, alpha;
} formats[] = {
    {1, 0, 1, 2, 3},  {2, 0, 1, 2, 3},  {3, 3, 2, 1, 0},   {4, 3, 2, 1, 0},
    {67, 2, 1, 0, 3}, {68, 1, 2, 3, 0}, {121, 1, 2, 3, 0}, {134, 2, 1, 0, 3},
};

static const struct format *find_format(uint32_t id)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (formats[i].id == id) {
            return &formats[i];
        }
    }
    return NULL;
}

static struct gpu_resource *find(const struct gpu *g, uint32_t id)
{
    for (struct gpu_resource *r = g->resources; r; r = r->next) {
        if (r->id == id) {
            return r;
        }
    }
    return NULL;
}

static bool inside(const struct gpu_rect *r, uint32_t width, uint32_t height)
{
    return r->x <= width && r->width <= width - r->x && r->y <= height &&
           r->height <= height - r->y;
}

/* ---- resources ---- */

uint32_t gpu_create_2d(struct gpu *g, uint32_t id, uint32_t format, uint32_t width, uint32_t height)
{
    uint64_t bytes = (uint64_t)width * height * 4;

    if (!id || find(g, id)) {
        return GPU_ERR_RESOURCE;
    }
    if (!find_format(format) || !width || !height || width > MAX_SIDE || height > MAX_SIDE) {
        return GPU_ERR_PARAMETER;
    }
    if (g->nresources >= GPU_MAX_RESOURCES || bytes > g->max_host_bytes - g->host_bytes) {
        return GPU_ERR_MEMORY;
    }
    struct gpu_resource *r = calloc(1, sizeof(*r));
    uint32_t *pixels = calloc(1, bytes);
    if (!r || !pixels) {
        free(r);
        free(pixels);
        return GPU_ERR_MEMORY;
    }
    *r = (struct gpu_resource){.next = g->resources,
                               .id = id,
                               .format = format,
                               .width = width,
                               .height = height,
                               .pixels = pixels};
    g->resources = r;
    g->nresources++;
    g->host_bytes += bytes;
    return GPU_OK_NODATA;
}

static void stop_showing(struct gpu *g)
{
    if (g->scanout) {
        g->scanout = 0;
        if (g->shows) {
            g->shows(g->opaque, false);
        }
    }
}

static void free_resource(struct gpu *g, struct gpu_resource **at)
{
    struct gpu_resource *r = *at;

    if (g->scanout == r->id) {
        stop_showing(g);
    }
    *at = r->next;
    g->nresources--;
    g->host_bytes -= (uint64_t)r->width * r->height * 4;
    free(r->backing);
    free(r->pixels);
    free(r);
}

uint32_t gpu_unref(struct gpu *g, uint32_t id)
{
    for (struct gpu_resource **p = &g->resources; *p; p = &(*p)->next) {
        if ((*p)->id == id) {
            free_resource(g, p);
            return GPU_OK_NODATA;
        }
    }
    return GPU_ERR_RESOURCE;
}

void gpu_reset(struct gpu *g)
{
    stop_showing(g);
    while (g->resources) {
        free_resource(g, &g->resources);
    }
}

uint32_t gpu_attach(struct gpu *g, uint32_t id, const uint8_t *entries, uint32_t n)
{
    struct gpu_resource *r = find(g, id);

    if (!r) {
        return GPU_ERR_RESOURCE;
    }
    if (r->backing || n > GPU_MAX_BACKING) {
        return GPU_ERR_UNSPEC;
    }
    r->backing = calloc(n ? n : 1, sizeof(*r->backing));
    if (!r->backing) {
        return GPU_ERR_MEMORY;
    }
    r->nbacking = n;
    r->backing_bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *e = entries + 16 * (size_t)i;
        r->backing[i] = (struct gpu_backing){le_get64(e), r->backing_bytes, le_get32(e + 8)};
        r->backing_bytes += le_get32(e + 8);
    }
    return GPU_OK_NODATA;
}

uint32_t gpu_detach(struct gpu *g, uint32_t id)
{
    struct gpu_resource *r = find(g, id);

    if (!r || !r->backing) {
        return r ? GPU_ERR_UNSPEC : GPU_ERR_RESOURCE;
    }
    free(r->backing);
    r->backing = NULL;
    r->nbacking = 0;
    r->backing_bytes = 0;
    return GPU_OK_NODATA;
}

/* ---- pixels ---- */

/* Bytes [offset, offset + len) of the backing; *piece is a hint where to look first. */
static bool read_backing(struct gpu *g, const struct gpu_resource *r, uint64_t offset, void *buf,
                         uint64_t len, unsigned *piece)
{
    uint8_t *to = buf;

    if (offset > r->backing_bytes || len > r->backing_bytes - offset) {
        return false;
    }
    if (*piece >= r->nbacking || r->backing[*piece].start > offset) {
        *piece = 0;
    }
    while (len) {
        const struct gpu_backing *b = &r->backing[*piece];
        if (offset - b->start >= b->len) {
            ++*piece;
            continue;
        }
        uint64_t n = b->start + b->len - offset;
        n = n < len ? n : len;
        if (memory_read_ram(g->machine->memory, b->addr + (offset - b->start), to, n) != n) {
            return false;
        }
        to += n;
        offset += n;
        len -= n;
    }
    return true;
}

uint32_t gpu_transfer(struct gpu *g, uint32_t id, const struct gpu_rect *rect, uint64_t offset)
{
    struct gpu_resource *r = find(g, id);
    unsigned piece = 0;

    if (!r || !r->backing) {
        return GPU_ERR_RESOURCE;
    }
    if (!inside(rect, r->width, r->height) || offset > r->backing_bytes) {
        return GPU_ERR_PARAMETER;
    }
    if (!rect->width || !rect->height) {
        return GPU_OK_NODATA;
    }
    uint64_t bytes = ((uint64_t)(rect->height - 1) * r->width + rect->width) * 4;
    if (bytes > r->backing_bytes - offset) { /* all or nothing */
        return GPU_ERR_PARAMETER;
    }
    for (uint32_t y = 0; y < rect->height; y++) {
        uint32_t *to = r->pixels + (size_t)(rect->y + y) * r->width + rect->x;
        if (!read_backing(g, r, offset + (uint64_t)y * r->width * 4, to, rect->width * 4ull,
                          &piece)) {
            return GPU_ERR_PARAMETER;
        }
    }
    return GPU_OK_NODATA;
}

/* Pixels as 0xAARRGGBB, or as 0x00RRGGBB. */
static void convert(uint32_t *to, const uint32_t *from, uint32_t n, const struct format *f,
                    bool alpha)
{
    const uint8_t *p = (const uint8_t *)from;

    if (f->id <= 2 && !alpha) { /* what everybody uses */
        for (uint32_t i = 0; i < n; i++) {
            to[i] = le_get32(p + 4 * (size_t)i) & 0xffffff;
        }
        return;
    }
    for (uint32_t i = 0; i < n; i++, p += 4) {
        uint32_t a = alpha ? p[f->alpha] : 0;
        to[i] = a << 24 | (uint32_t)p[f->red] << 16 | (uint32_t)p[f->green] << 8 | p[f->blue];
    }
}

/* Draws the part of the resource's rectangle that is shown. */
static void show(struct gpu *g, const struct gpu_resource *r, const struct gpu_rect *rect)
{
    const struct gpu_rect *s = &g->shown;
    const struct format *f = find_format(r->format);
    uint32_t x0 = rect->x > s->x ? rect->x : s->x, y0 = rect->y > s->y ? rect->y : s->y;
    uint32_t x1 = rect->x + rect->width, y1 = rect->y + rect->height;

    x1 = x1 < s->x + s->width ? x1 : s->x + s->width;
    y1 = y1 < s->y + s->height ? y1 : s->y + s->height;
    if (x0 >= x1 || y0 >= y1) {
        return;
    }
    uint32_t *pixels = console_draw_begin(g->console);
    for (uint32_t y = y0; y < y1; y++) {
        convert(pixels + (size_t)(y - s->y) * s->width + (x0 - s->x),
                r->pixels + (size_t)y * r->width + x0, x1 - x0, f, false);
    }
    console_damage(g->console, x0 - s->x, y0 - s->y, x1 - x0, y1 - y0);
    console_draw_end(g->console);
}

uint32_t gpu_set_scanout(struct gpu *g, uint32_t id, const struct gpu_rect *rect)
{
    struct gpu_resource *r = find(g, id);

    if (!id) {
        stop_showing(g);
        return GPU_OK_NODATA;
    }
    if (!r) {
        return GPU_ERR_RESOURCE;
    }
    if (!inside(rect, r->width, r->height) || !rect->width || !rect->height ||
        rect->width > CONSOLE_MAX_SIDE || rect->height > CONSOLE_MAX_SIDE) {
        return GPU_ERR_PARAMETER;
    }
    bool starts = !g->scanout;
    g->scanout = id;
    g->shown = *rect;
    if (starts && g->shows) {
        g->shows(g->opaque, true);
    }
    console_resize(g->console, rect->width, rect->height);
    show(g, r, rect);
    return GPU_OK_NODATA;
}

uint32_t gpu_flush(struct gpu *g, uint32_t id, const struct gpu_rect *rect)
{
    struct gpu_resource *r = find(g, id);

    if (!r) {
        return GPU_ERR_RESOURCE;
    }
    if (!inside(rect, r->width, r->height)) {
        return GPU_ERR_PARAMETER;
    }
    if (g->scanout == id) {
        show(g, r, rect);
    }
    return GPU_OK_NODATA;
}

uint32_t gpu_set_cursor(struct gpu *g, uint32_t id, uint32_t hot_x, uint32_t hot_y)
{
    struct console_cursor c = {0};
    struct gpu_resource *r = find(g, id);

    if (id && (!r || r->width > CONSOLE_CURSOR_MAX || r->height > CONSOLE_CURSOR_MAX)) {
        return GPU_ERR_RESOURCE;
    }
    if (r) {
        c.width = r->width;
        c.height = r->height;
        c.hot_x = hot_x < r->width ? hot_x : 0;
        c.hot_y = hot_y < r->height ? hot_y : 0;
        convert(c.argb, r->pixels, r->width * r->height, find_format(r->format), true);
    }
    console_set_cursor(g->console, &c);
    return GPU_OK_NODATA;
}
