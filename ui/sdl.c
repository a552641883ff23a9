/* The SDL2 window, on a thread of its own. Keys go by their place on the keyboard (SDL's scan codes
 * are USB usages), so that the guest's layout decides what they mean.
 *
 * Ctrl-Alt-G holds and releases keyboard and pointer, Ctrl-Alt-F full screen, Ctrl-Alt-V types the
 * clipboard's text, Ctrl-Alt-U makes the window as large as the picture again. */
#include "config.h"
#ifdef HAVE_SDL
#include "ui/ui.h"

#include "hw/display/console.h"
#include "hw/input/input.h"
#include "ui/keymap.h"

#include <SDL.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PASTE_DELAY_MS = 8 };

struct sdl_ui {
    struct machine *machine;
    struct sdl_options o;
    char name[64], title[160];
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t ready;
    bool started, tried, failed;
    char why[128];
    atomic_bool quit;

    /* the thread's own */
    struct console_view *view;
    SDL_Window *window;
    SDL_Renderer *renderer;
    SDL_Texture *texture;
    unsigned width, height;
    bool grabbed, full_screen, dirty, hotkey; /* hotkey: its release is not the guest's */
    unsigned buttons;
    SDL_Cursor *cursor;
};

/* USB usages (page 7) to make codes. */
static const uint16_t
    from_usage[232] =
        {
            [4] = 0x1e, 0x30,   0x2e,   0x20,   0x12,           0x21,   0x22,   0x23,
            0x17,       0x24,   0x25,   0x26,   0x32,           0x31,   0x18,   0x19,
            0x10,       0x13,   0x1f,   0x14,   0x16,           0x2f,   0x11,   0x2d,
            0x15,       0x2c,   0x02,   0x03,   0x04,           0x05,   0x06,   0x07,
            0x08,       0x09,   0x0a,   0x0b,   0x1c,           0x01,   0x0e,   0x0f,
            0x39,       0x0c,   0x0d,   0x1a,   0x1b,           0x2b,   0x2b,   0x27,
            0x28,       0x29,   0x33,   0x34,   0x35,           0x3a,   0x3b,   0x3c,
            0x3d,       0x3e,   0x3f,   0x40,   0x41,           0x42,   0x43,   0x44,
            0x57,       0x58,   0xe037, 0x46,   0xe11d,         0xe052, 0xe047, 0xe049,
            0xe053,     0xe04f, 0xe051, 0xe04d, 0xe04b,         0xe050, 0xe048, 0x45,
            0xe035,     0x37,   0x4a,   0x4e,   0xe01c,         0x4f,   0x50,   0x51,
            0x4b,       0x4c,   0x4d,   0x47,   0x48,           0x49,   0x52,   0x53,
            0x56,       0xe05d, 0xe05e, 0x59,   [127] = 0xe020, 0xe030, 0xe02e, [135] = 0x73,
            0x70,       0x7d,   0x79,   0x7b,   [224] = 0x1d,   0x2a,   0x38,   0xe05b,
            0xe01d,     0x36,   0xe038, 0xe05c,
};

/* ---- the window ---- */

static void set_title(struct sdl_ui *ui)
{
    char title[sizeof(ui->title)];
    enum run_state s = ui->machine->state;

    snprintf(title, sizeof(title), "%s%s%s", ui->name,
             s == RUN_PAUSED     ? " [Paused]"
             : s == RUN_SHUTDOWN ? " [Off]"
                                 : "",
             ui->grabbed ? " - Ctrl-Alt-G releases the pointer" : "");
    if (strcmp(title, ui->title)) {
        memcpy(ui->title, title, sizeof(title));
        SDL_SetWindowTitle(ui->window, title);
    }
}

static void set_grab(struct sdl_ui *ui, bool on)
{
    ui->grabbed = on;
    SDL_SetWindowGrab(ui->window, on ? SDL_TRUE : SDL_FALSE);
    machine_lock(ui->machine);
    bool relative = input_pointer_kind(ui->machine) == INPUT_RELATIVE;
    machine_unlock(ui->machine);
    SDL_SetRelativeMouseMode(on && relative ? SDL_TRUE : SDL_FALSE);
    set_title(ui);
}

static void set_full_screen(struct sdl_ui *ui, bool on)
{
    ui->full_screen = on;
    SDL_SetWindowFullscreen(ui->window, on ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
    ui->dirty = true;
}

static void make_texture(struct sdl_ui *ui, unsigned width, unsigned height)
{
    if (ui->texture) {
        SDL_DestroyTexture(ui->texture);
    }
    ui->width = width;
    ui->height = height;
    ui->texture = SDL_CreateTexture(ui->renderer, SDL_PIXELFORMAT_RGB888,
                                    SDL_TEXTUREACCESS_STREAMING, (int)width, (int)height);
    SDL_RenderSetLogicalSize(ui->renderer, (int)width, (int)height); /* scales, keeps the aspect */
    if (!ui->full_screen) {
        SDL_SetWindowSize(ui->window, (int)width, (int)height);
    }
}

static void set_cursor(struct sdl_ui *ui, const struct console_cursor *c)
{
    if (ui->cursor) {
        SDL_FreeCursor(ui->cursor);
        ui->cursor = NULL;
    }
    SDL_Surface *s = c->width ? SDL_CreateRGBSurfaceWithFormatFrom(
                                    (void *)(uintptr_t)c->argb, (int)c->width, (int)c->height, 32,
                                    (int)c->width * 4, SDL_PIXELFORMAT_ARGB8888)
                              : NULL;
    if (s) {
        ui->cursor = SDL_CreateColorCursor(s, (int)c->hot_x, (int)c->hot_y);
        SDL_FreeSurface(s);
        SDL_SetCursor(ui->cursor);
    }
}

static void update(struct sdl_ui *ui)
{
    struct console_frame frame;

    if (ui->view && console_view_update(ui->view, &frame, NULL, NULL)) {
        if (!ui->texture || frame.width != ui->width || frame.height != ui->height) {
            make_texture(ui, frame.width, frame.height);
        }
        if (frame.cursor_changed) {
            set_cursor(ui, &frame.cursor);
        }
        SDL_UpdateTexture(ui->texture, NULL, frame.pixels, (int)frame.width * 4);
        ui->dirty = true;
    }
    if (ui->dirty) {
        ui->dirty = false;
        SDL_SetRenderDrawColor(ui->renderer, 0, 0, 0, 255);
        SDL_RenderClear(ui->renderer);
        if (ui->texture) {
            SDL_RenderCopy(ui->renderer, ui->texture, NULL, NULL);
        }
        SDL_RenderPresent(ui->renderer);
    }
    set_title(ui);
}

/* ---- input ---- */

static void paste(struct sdl_ui *ui)
{
    char *text = SDL_GetClipboardText();

    if (text) {
        machine_lock(ui->machine);
        keymap_type_text(ui->machine, text, PASTE_DELAY_MS);
        machine_unlock(ui->machine);
        SDL_free(text);
    }
}

/* Ctrl-Alt with one of our letters. */
static bool hotkey(struct sdl_ui *ui, const SDL_KeyboardEvent *e)
{
    bool ctrl = e->keysym.mod & KMOD_CTRL, alt = e->keysym.mod & KMOD_ALT;

    if (!ctrl || !(alt || ui->o.ctrl_grab) || e->repeat) {
        return false;
    }
    switch (e->keysym.scancode) {
    case SDL_SCANCODE_G:
        set_grab(ui, !ui->grabbed);
        break;
    case SDL_SCANCODE_F:
        set_full_screen(ui, !ui->full_screen);
        break;
    case SDL_SCANCODE_U:
        SDL_SetWindowSize(ui->window, (int)ui->width, (int)ui->height);
        break;
    case SDL_SCANCODE_V:
        machine_lock(ui->machine);
        input_release_all(ui->machine); /* the text is not meant with Ctrl and Alt */
        machine_unlock(ui->machine);
        paste(ui);
        break;
    default:
        return false;
    }
    return true;
}

static void key(struct sdl_ui *ui, const SDL_KeyboardEvent *e)
{
    unsigned usage = (unsigned)e->keysym.scancode;
    bool down = e->type == SDL_KEYDOWN;

    if (down && hotkey(ui, e)) {
        ui->hotkey = true;
        return;
    }
    if (usage >= sizeof(from_usage) / sizeof(from_usage[0]) || !from_usage[usage]) {
        return;
    }
    if (!down && ui->hotkey && usage < 224) {
        ui->hotkey = false;
        return;
    }
    machine_lock(ui->machine);
    input_key(ui->machine, from_usage[usage], down);
    machine_unlock(ui->machine);
}

static unsigned button_bit(unsigned b)
{
    static const unsigned bits[] = {0,           INPUT_LEFT, INPUT_MIDDLE,
                                    INPUT_RIGHT, INPUT_SIDE, INPUT_EXTRA};

    return b < sizeof(bits) / sizeof(bits[0]) ? bits[b] : 0;
}

static unsigned place(int at, unsigned size)
{
    at = at < 0 ? 0 : at >= (int)size ? (int)size - 1 : at;
    return size > 1 ? (unsigned)((int64_t)at * INPUT_ABS_MAX / (size - 1)) : 0;
}

/* Events carry coordinates of the picture: the renderer's logical size. */
static void motion(struct sdl_ui *ui, const SDL_MouseMotionEvent *e)
{
    machine_lock(ui->machine);
    if (input_pointer_kind(ui->machine) == INPUT_ABSOLUTE) {
        input_place(ui->machine, place(e->x, ui->width), place(e->y, ui->height));
    } else if (ui->grabbed) {
        input_move(ui->machine, e->xrel, e->yrel);
    }
    machine_unlock(ui->machine);
}

static void button(struct sdl_ui *ui, const SDL_MouseButtonEvent *e)
{
    unsigned bit = button_bit(e->button);
    bool down = e->type == SDL_MOUSEBUTTONDOWN;

    machine_lock(ui->machine);
    bool relative = input_pointer_kind(ui->machine) == INPUT_RELATIVE;
    if (!relative || ui->grabbed) {
        ui->buttons = down ? ui->buttons | bit : ui->buttons & ~bit;
        input_buttons(ui->machine, ui->buttons);
    }
    machine_unlock(ui->machine);
    if (relative && !ui->grabbed && down) { /* the first click catches the pointer */
        set_grab(ui, true);
    }
}

static void window_event(struct sdl_ui *ui, const SDL_WindowEvent *e)
{
    switch (e->event) {
    case SDL_WINDOWEVENT_FOCUS_LOST:
        machine_lock(ui->machine);
        input_release_all(ui->machine);
        machine_unlock(ui->machine);
        break;
    case SDL_WINDOWEVENT_RESIZED:
        if (ui->view) {
            console_want_size(console_view_console(ui->view), (unsigned)e->data1,
                              (unsigned)e->data2);
        }
        ui->dirty = true;
        break;
    default:
        ui->dirty = true;
        break;
    }
}

static void handle(struct sdl_ui *ui, const SDL_Event *e)
{
    switch (e->type) {
    case SDL_KEYDOWN:
    case SDL_KEYUP:
        key(ui, &e->key);
        break;
    case SDL_MOUSEMOTION:
        motion(ui, &e->motion);
        break;
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP:
        button(ui, &e->button);
        break;
    case SDL_MOUSEWHEEL:
        machine_lock(ui->machine);
        input_wheel(ui->machine, -e->wheel.y, e->wheel.x);
        machine_unlock(ui->machine);
        break;
    case SDL_WINDOWEVENT:
        window_event(ui, &e->window);
        break;
    case SDL_QUIT:
        if (!ui->o.no_close) {
            ui->machine->cause = CAUSE_QUIT;
            machine_request(ui->machine, REQUEST_EXIT, "window closed");
        }
        break;
    default:
        break;
    }
}

/* ---- the thread ---- */

/* SDL's last resort is a window that nobody sees; only who asks for that by SDL's own variable gets
 * it. */
static bool unseen(void)
{
    const char *driver = SDL_GetCurrentVideoDriver();

    return !getenv("SDL_VIDEODRIVER") && driver &&
           (!strcmp(driver, "offscreen") || !strcmp(driver, "dummy") || !strcmp(driver, "evdev"));
}

static bool open_window(struct sdl_ui *ui)
{
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
    SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
    if (SDL_Init(SDL_INIT_VIDEO)) {
        return false;
    }
    if (unseen()) {
        const char *display = getenv("DISPLAY");
        SDL_SetError("no X or Wayland display can be opened (DISPLAY=%s)", display ? display : "");
        return false;
    }
    ui->window = SDL_CreateWindow(ui->name, SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, 640,
                                  480, SDL_WINDOW_RESIZABLE);
    ui->renderer = ui->window ? SDL_CreateRenderer(ui->window, -1, 0) : NULL;
    if (ui->window && !ui->renderer) {
        ui->renderer = SDL_CreateRenderer(ui->window, -1, SDL_RENDERER_SOFTWARE);
    }
    if (!ui->renderer) {
        return false;
    }
    ui->dirty = true;
    if (ui->o.full_screen) {
        set_full_screen(ui, true);
    }
    return true;
}

static void *run(void *opaque)
{
    struct sdl_ui *ui = opaque;
    SDL_Event e;
    bool ok = open_window(ui);

    pthread_mutex_lock(&ui->mutex);
    if (!ok) {
        snprintf(ui->why, sizeof(ui->why), "%s", SDL_GetError());
    }
    ui->failed = !ok;
    ui->tried = true;
    pthread_cond_signal(&ui->ready);
    pthread_mutex_unlock(&ui->mutex);
    while (ok && !atomic_load(&ui->quit)) {
        if (SDL_WaitEventTimeout(&e, UI_REFRESH_MS)) {
            do {
                handle(ui, &e);
            } while (SDL_PollEvent(&e));
        }
        update(ui);
    }
    if (ui->cursor) {
        SDL_FreeCursor(ui->cursor);
    }
    if (ui->texture) {
        SDL_DestroyTexture(ui->texture);
    }
    if (ui->renderer) {
        SDL_DestroyRenderer(ui->renderer);
    }
    if (ui->window) {
        SDL_DestroyWindow(ui->window);
    }
    SDL_Quit();
    return NULL;
}

struct sdl_ui *sdl_create(struct machine *m, const struct sdl_options *o, struct error *err)
{
    struct sdl_ui *ui = calloc(1, sizeof(*ui));
    sigset_t all, old;

    if (!ui) {
        abort();
    }
    ui->machine = m;
    ui->o = *o;
    snprintf(ui->name, sizeof(ui->name), "%.40s - Dragoman", o->title);
    ui->view = console_view_open(m, 0);
    pthread_mutex_init(&ui->mutex, NULL);
    pthread_cond_init(&ui->ready, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old); /* signals are the main loop's */
    ui->started = pthread_create(&ui->thread, NULL, run, ui) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_mutex_lock(&ui->mutex);
    while (ui->started && !ui->tried) {
        pthread_cond_wait(&ui->ready, &ui->mutex);
    }
    pthread_mutex_unlock(&ui->mutex);
    if (!ui->started || ui->failed) {
        error_set(err, "SDL: %s", *ui->why ? ui->why : "no thread");
        sdl_destroy(ui);
        return NULL;
    }
    return ui;
}

void sdl_destroy(struct sdl_ui *ui)
{
    if (!ui) {
        return;
    }
    atomic_store(&ui->quit, true);
    if (ui->started) {
        pthread_join(ui->thread, NULL);
    }
    console_view_close(ui->view);
    pthread_cond_destroy(&ui->ready);
    pthread_mutex_destroy(&ui->mutex);
    free(ui);
}
#endif
