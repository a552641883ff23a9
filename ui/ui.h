/* User interfaces: what a person sees of a machine, and types into it. Each runs on a thread of its
 * own or in the main loop, and reaches the machine through hw/display/console.h and
 * hw/input/input.h. */
#ifndef UI_UI_H
#define UI_UI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

struct machine;
struct mainloop;

enum { UI_REFRESH_MS = 30 }; /* how often a screen that somebody looks at is brought up to date */

/* ---- SDL2 window (sdl.c) ---- */
struct sdl_ui;
struct sdl_options {
    const char *title;
    bool full_screen, ctrl_grab /* Ctrl instead of Ctrl-Alt as the grab's keys */, no_close;
};
struct sdl_ui *sdl_create(struct machine *m, const struct sdl_options *o, struct error *err);
void sdl_destroy(struct sdl_ui *ui); /* NULL is fine */

/* ---- text in the terminal (curses.c) ---- */
struct curses_ui;
struct curses_ui *curses_create(struct machine *m, struct mainloop *loop, struct error *err);
void curses_destroy(struct curses_ui *ui); /* NULL is fine */

#endif
