/* Consoles and their views; see the header. A console's mutex guards its surface and the damage of
 * its views; it is taken after the machine lock and held for copies only. */
#include "hw/display/console.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MAX_CONSOLES = 8 };

struct span { /* changed pixels of a line: [x0, x1) */
    uint16_t x0, x1;
};

struct console_view {
    struct console *console;
    struct console_view *next;
    unsigned width, height;
    uint32_t *pixels;
    bool cursor_changed;
    struct span damage[CONSOLE_MAX_SIDE];
};

struct console {
    struct machine *machine;
    struct device *device;
    const struct console_ops *ops;
    void *opaque;
    pthread_mutex_t mutex;
    unsigned width, height;
    uint32_t *pixels;
    struct console_cursor cursor;
    struct console_view *views;
};

struct consoles { /* SLOT_DISPLAY */
    struct console *item[MAX_CONSOLES];
    unsigned n;
};

enum { VIEW_BYTES = CONSOLE_MAX_SIDE * CONSOLE_MAX_SIDE * 4 };

static void *must(void *p)
{
    if (!p) {
        abort();
    }
    return p;
}

static bool lock_machine(struct machine *m)
{
    if (machine_lock_held(m)) {
        return false;
    }
    machine_lock(m);
    return true;
}

static void unlock_machine(struct machine *m, bool locked)
{
    if (locked) {
        machine_unlock(m);
    }
}

/* ---- adapters ---- */

struct console *console_create(struct machine *m, struct device *device,
                               const struct console_ops *ops, void *opaque)
{
    struct consoles *all = device_slot(m, SLOT_DISPLAY);
    struct console *c = must(calloc(1, sizeof(*c)));

    if (!all) {
        all = must(calloc(1, sizeof(*all)));
        device_slot_set(m, SLOT_DISPLAY, all, free);
    }
    c->machine = m;
    c->device = device;
    c->ops = ops;
    c->opaque = opaque;
    pthread_mutex_init(&c->mutex, NULL);
    if (all->n < MAX_CONSOLES) {
        all->item[all->n++] = c;
    }
    console_resize(c, 640, 480);
    return c;
}

void console_destroy(struct console *c)
{
    struct consoles *all = device_slot(c->machine, SLOT_DISPLAY);

    for (unsigned i = 0; i < all->n; i++) {
        if (all->item[i] == c) {
            memmove(&all->item[i], &all->item[i + 1], (all->n - i - 1) * sizeof(all->item[0]));
            all->n--;
        }
    }
    pthread_mutex_destroy(&c->mutex);
    free(c->pixels);
    free(c);
}

static void damage_all(struct console_view *v, unsigned width, unsigned height)
{
    for (unsigned y = 0; y < height; y++) {
        v->damage[y] = (struct span){0, (uint16_t)width};
    }
}

void console_resize(struct console *c, unsigned width, unsigned height)
{
    width = width < 1 ? 1 : width > CONSOLE_MAX_SIDE ? CONSOLE_MAX_SIDE : width;
    height = height < 1 ? 1 : height > CONSOLE_MAX_SIDE ? CONSOLE_MAX_SIDE : height;
    if (width == c->width && height == c->height) {
        return;
    }
    uint32_t *pixels = must(calloc((size_t)width * height, sizeof(*pixels)));
    pthread_mutex_lock(&c->mutex);
    free(c->pixels);
    c->pixels = pixels;
    c->width = width;
    c->height = height;
    for (struct console_view *v = c->views; v; v = v->next) {
        damage_all(v, width, height);
    }
    pthread_mutex_unlock(&c->mutex);
}

unsigned console_width(const struct console *c)
{
    return c->width;
}

unsigned console_height(const struct console *c)
{
    return c->height;
}

uint32_t *console_draw_begin(struct console *c)
{
    pthread_mutex_lock(&c->mutex);
    return c->pixels;
}

void console_damage(struct console *c, unsigned x, unsigned y, unsigned width, unsigned height)
{
    unsigned x1 = x + width < c->width ? x + width : c->width;
    unsigned y1 = y + height < c->height ? y + height : c->height;

    if (x >= x1) {
        return;
    }
    for (struct console_view *v = c->views; v; v = v->next) {
        for (unsigned row = y; row < y1; row++) {
            struct span *s = &v->damage[row];
            if (s->x0 >= s->x1) {
                *s = (struct span){(uint16_t)x, (uint16_t)x1};
            } else {
                s->x0 = s->x0 < x ? s->x0 : (uint16_t)x;
                s->x1 = s->x1 > x1 ? s->x1 : (uint16_t)x1;
            }
        }
    }
}

void console_draw_end(struct console *c)
{
    pthread_mutex_unlock(&c->mutex);
}

void console_set_cursor(struct console *c, const struct console_cursor *cursor)
{
    pthread_mutex_lock(&c->mutex);
    c->cursor = *cursor;
    for (struct console_view *v = c->views; v; v = v->next) {
        v->cursor_changed = true;
    }
    pthread_mutex_unlock(&c->mutex);
}

/* ---- viewers ---- */

unsigned console_count(struct machine *m)
{
    struct consoles *all = device_slot(m, SLOT_DISPLAY);

    return all ? all->n : 0;
}

struct console *console_get(struct machine *m, unsigned n)
{
    struct consoles *all = device_slot(m, SLOT_DISPLAY);

    return all && n < all->n ? all->item[n] : NULL;
}

struct device *console_device(struct console *c)
{
    return c->device;
}

void console_want_size(struct console *c, unsigned width, unsigned height)
{
    if (c->ops->size_wanted) {
        bool locked = lock_machine(c->machine);
        c->ops->size_wanted(c->opaque, width, height);
        unlock_machine(c->machine, locked);
    }
}

bool console_text(struct console *c, struct text_screen *t)
{
    bool locked = lock_machine(c->machine);
    bool is_text = c->ops->text && c->ops->text(c->opaque, t);

    unlock_machine(c->machine, locked);
    return is_text;
}

struct console_view *console_view_open(struct machine *m, unsigned n)
{
    struct console *c = console_get(m, n);

    if (!c) {
        return NULL;
    }
    struct console_view *v = must(calloc(1, sizeof(*v)));
    v->console = c;
    v->cursor_changed = true;
    /* As large as any surface, so that its address never changes under a library's feet; only what
     * is written takes memory. */
    v->pixels = mmap(NULL, VIEW_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (v->pixels == MAP_FAILED) {
        free(v);
        return NULL;
    }
    pthread_mutex_lock(&c->mutex);
    damage_all(v, c->width, c->height);
    v->next = c->views;
    c->views = v;
    pthread_mutex_unlock(&c->mutex);
    return v;
}

void console_view_close(struct console_view *v)
{
    if (!v) {
        return;
    }
    struct console *c = v->console;
    pthread_mutex_lock(&c->mutex);
    for (struct console_view **p = &c->views; *p; p = &(*p)->next) {
        if (*p == v) {
            *p = v->next;
            break;
        }
    }
    pthread_mutex_unlock(&c->mutex);
    munmap(v->pixels, VIEW_BYTES);
    free(v);
}

struct console *console_view_console(struct console_view *v)
{
    return v->console;
}

/* Copies damaged lines and tells of them, lines of about the same extent together. */
static bool copy_damage(struct console_view *v,
                        void (*damaged)(void *opaque, unsigned x, unsigned y, unsigned width,
                                        unsigned height),
                        void *opaque)
{
    const struct console *c = v->console;
    bool any = false;
    unsigned y = 0;

    while (y < c->height) {
        struct span box = v->damage[y];
        unsigned first = y;
        if (box.x0 >= box.x1) {
            y++;
            continue;
        }
        for (; y < c->height && v->damage[y].x0 < v->damage[y].x1; y++) {
            struct span *s = &v->damage[y];
            /* Lines far apart in x are rectangles of their own. */
            if (s->x0 >= box.x1 || s->x1 <= box.x0) {
                break;
            }
            size_t at = (size_t)y * c->width + s->x0;
            memcpy(v->pixels + at, c->pixels + at, (size_t)(s->x1 - s->x0) * sizeof(*c->pixels));
            box.x0 = s->x0 < box.x0 ? s->x0 : box.x0;
            box.x1 = s->x1 > box.x1 ? s->x1 : box.x1;
            *s = (struct span){0, 0};
        }
        if (damaged) {
            damaged(opaque, box.x0, first, box.x1 - box.x0, y - first);
        }
        any = true;
    }
    return any;
}

bool console_view_update(struct console_view *v, struct console_frame *frame,
                         void (*damaged)(void *opaque, unsigned x, unsigned y, unsigned width,
                                         unsigned height),
                         void *opaque)
{
    struct console *c = v->console;
    bool locked = lock_machine(c->machine);

    c->ops->refresh(c->opaque);
    unlock_machine(c->machine, locked);

    pthread_mutex_lock(&c->mutex);
    frame->resized = v->width != c->width || v->height != c->height;
    frame->width = v->width = c->width;
    frame->height = v->height = c->height;
    frame->pixels = v->pixels;
    frame->cursor_changed = v->cursor_changed;
    if (v->cursor_changed) {
        frame->cursor = c->cursor;
        v->cursor_changed = false;
    }
    bool any = copy_damage(v, damaged, opaque);
    pthread_mutex_unlock(&c->mutex);
    return any || frame->resized || frame->cursor_changed;
}
