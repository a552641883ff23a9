/* Consoles: the pictures that display adapters make, and whoever looks at them.
 *
 * An adapter owns a console and draws 32-bit pixels (0x00RRGGBB in host order) into its surface.
 * Each viewer (window, VNC server, screen dump) opens a view of it, which has its own copy of the
 * pixels and its own list of what has changed since it last looked. Nobody waits for a viewer: a
 * view that is not updated only collects damage. */
#ifndef HW_DISPLAY_CONSOLE_H
#define HW_DISPLAY_CONSOLE_H

#include "hw/device.h"

enum { CONSOLE_MAX_SIDE = 4096, CONSOLE_CURSOR_MAX = 64, TEXT_MAX_CELLS = 16384 };

struct console;
struct console_view;

struct text_screen { /* characters of code page 437, VGA attributes in the high byte */
    unsigned columns, rows;
    int cursor_x, cursor_y; /* -1: not shown */
    uint16_t cell[TEXT_MAX_CELLS];
};

struct console_cursor {                   /* a pointer that is not part of the picture */
    unsigned width, height, hot_x, hot_y; /* width 0: none is shown */
    uint32_t argb[CONSOLE_CURSOR_MAX * CONSOLE_CURSOR_MAX]; /* alpha is not multiplied in */
};

struct console_ops {                                   /* the adapter's; machine lock held */
    void (*refresh)(void *opaque);                     /* bring the surface up to date */
    bool (*text)(void *opaque, struct text_screen *t); /* false: no text mode now; may be NULL */
    /* A viewer would like this size (its window was resized); may be NULL. */
    void (*size_wanted)(void *opaque, unsigned width, unsigned height);
};

/* ---- adapters; machine lock held ---- */

/* The first console of a machine is the one that is shown. device: its owner. */
struct console *console_create(struct machine *m, struct device *device,
                               const struct console_ops *ops, void *opaque);
void console_destroy(struct console *c);
/* The size in pixels, 1 to CONSOLE_MAX_SIDE each; a new size makes a black surface. */
void console_resize(struct console *c, unsigned width, unsigned height);
unsigned console_width(const struct console *c);
unsigned console_height(const struct console *c);
/* The pixels, width of them a line, for drawing; keep it short: viewers wait. Say what was drawn.
 */
uint32_t *console_draw_begin(struct console *c);
void console_damage(struct console *c, unsigned x, unsigned y, unsigned width, unsigned height);
void console_draw_end(struct console *c);
void console_set_cursor(struct console *c, const struct console_cursor *cursor);

/* ---- viewers; any thread, with or without the machine lock unless said otherwise ---- */

unsigned console_count(struct machine *m);
struct console *console_get(struct machine *m, unsigned n); /* NULL: there are not so many */
struct device *console_device(struct console *c);
void console_want_size(struct console *c, unsigned width, unsigned height);
bool console_text(struct console *c, struct text_screen *t);

struct console_frame { /* what console_view_update found */
    bool resized, cursor_changed;
    unsigned width, height;
    const uint32_t
        *pixels; /* width a line; the view's own, at the same address for its whole life */
    struct console_cursor cursor;
};
/* Opens a view of console n; NULL: there is none, or no memory. Everything counts as changed at
 * first. */
struct console_view *console_view_open(struct machine *m, unsigned n);
void console_view_close(struct console_view *v);
/* Brings the view's pixels up to date and calls damaged for each changed rectangle. True: something
 * changed. */
bool console_view_update(struct console_view *v, struct console_frame *frame,
                         void (*damaged)(void *opaque, unsigned x, unsigned y, unsigned width,
                                         unsigned height),
                         void *opaque);
struct console *console_view_console(struct console_view *v);

#endif
