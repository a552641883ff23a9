/* The text screen in this terminal (ncurses), on a thread of its own. What is typed goes to the
 * guest as the keys of a US keyboard; Ctrl-A x ends the emulator, Ctrl-A twice sends one. Graphics
 * modes are only named: no characters stand for them. */
#include "config.h"
#ifdef HAVE_CURSES
#include "ui/ui.h"

#include "hw/display/console.h"
#include "hw/input/input.h"
#include "ui/cp437.h"
#include "ui/keymap.h"

#include <locale.h>
#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { CTRL_A = 1, SHIFT = 0x2a, CTRL = 0x1d, ALT = 0x38, KEY_MS = 5, ESC_WAIT_MS = 25 };

struct curses_ui {
    struct machine *machine;
    pthread_t thread;
    bool started, prefix;
    atomic_bool quit;
    struct text_screen text;
};

/* ---- the screen ---- */

static int pair_of(unsigned attr)
{
    /* VGA has blue as bit 0 and red as bit 2, terminals the other way round. */
    static const int colour[8] = {0, 4, 2, 6, 1, 5, 3, 7};

    return 1 + colour[attr >> 4 & 7] * 8 + colour[attr & 7];
}

static void make_pairs(void)
{
    start_color();
    for (int bg = 0; bg < 8; bg++) {
        for (int fg = 0; fg < 8; fg++) {
            init_pair((short)(1 + bg * 8 + fg), (short)fg, (short)bg);
        }
    }
}

static void follow_terminal_size(void)
{
    struct winsize w;

    if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_row && w.ws_col &&
        (w.ws_row != LINES || w.ws_col != COLS)) {
        resizeterm(w.ws_row, w.ws_col);
        clear(); /* what the terminal shows after a change is its own idea */
    }
}

static void draw(struct curses_ui *ui)
{
    struct console *c = console_get(ui->machine, 0);
    struct text_screen *t = &ui->text;

    follow_terminal_size();
    if (!c || !console_text(c, t)) {
        erase();
        mvprintw(LINES / 2, 2,
                 c ? "The guest shows a graphics mode (Ctrl-A x ends)"
                   : "This machine has no display adapter (Ctrl-A x ends)");
        refresh();
        return;
    }
    for (unsigned y = 0; y < t->rows && (int)y < LINES; y++) {
        for (unsigned x = 0; x < t->columns && (int)x < COLS; x++) {
            unsigned v = t->cell[y * t->columns + x];
            wchar_t text[2] = {(wchar_t)cp437[v & 0xff], 0};
            cchar_t ch;
            setcchar(&ch, text, v & 0x800 ? A_BOLD : A_NORMAL, (short)pair_of(v >> 8), NULL);
            mvadd_wch((int)y, (int)x, &ch);
        }
    }
    if (t->cursor_x >= 0 && t->cursor_x < COLS && t->cursor_y < LINES) {
        curs_set(1);
        move(t->cursor_y, t->cursor_x);
    } else {
        curs_set(0);
    }
    refresh();
}

/* ---- keys ---- */

static void press(struct curses_ui *ui, uint16_t code, bool shift, bool ctrl, bool alt)
{
    const struct {
        bool wanted;
        uint16_t code;
    } mods[] = {{ctrl, CTRL}, {alt, ALT}, {shift, SHIFT}};
    struct machine *m = ui->machine;

    machine_lock(m);
    for (int i = 0; i < 3; i++) {
        if (mods[i].wanted) {
            input_type(m, mods[i].code, true, KEY_MS);
        }
    }
    input_type(m, code, true, KEY_MS);
    input_type(m, code, false, KEY_MS);
    for (int i = 2; i >= 0; i--) {
        if (mods[i].wanted) {
            input_type(m, mods[i].code, false, KEY_MS);
        }
    }
    machine_unlock(m);
}

static uint16_t function_key(wint_t k)
{
    static const struct {
        int key;
        uint16_t code;
    } keys[] = {{KEY_UP, 0xe048},   {KEY_DOWN, 0xe050}, {KEY_LEFT, 0xe04b},    {KEY_RIGHT, 0xe04d},
                {KEY_HOME, 0xe047}, {KEY_END, 0xe04f},  {KEY_PPAGE, 0xe049},   {KEY_NPAGE, 0xe051},
                {KEY_IC, 0xe052},   {KEY_DC, 0xe053},   {KEY_BACKSPACE, 0x0e}, {KEY_ENTER, 0x1c},
                {KEY_BTAB, 0x0f}};

    if (k >= (wint_t)KEY_F(1) && k <= (wint_t)KEY_F(12)) {
        unsigned n = (unsigned)(k - KEY_F(1));
        return (uint16_t)(n < 10 ? 0x3b + n : 0x57 + n - 10);
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if ((wint_t)keys[i].key == k) {
            return keys[i].code;
        }
    }
    return 0;
}

static void character(struct curses_ui *ui, wint_t k, bool alt)
{
    bool shift = false, ctrl = false;
    uint32_t sym = (uint32_t)k;

    if (k == 127 || k == 8) {
        press(ui, 0x0e, false, false, alt);
        return;
    }
    if (k == '\n' || k == '\r') {
        sym = 0xff0d;
    } else if (k == '\t') {
        sym = 0xff09;
    } else if (k == 27) {
        sym = 0xff1b;
    } else if (k < 32) {
        sym = k ? (k < 27 ? k + 'a' - 1 : k + '@') : ' ';
        ctrl = true;
    }
    uint16_t code = keymap_from_keysym(sym, &shift);
    if (code) {
        press(ui, code, shift, ctrl, alt);
    }
}

static void typed(struct curses_ui *ui, int kind, wint_t k)
{
    if (kind == KEY_CODE_YES) {
        uint16_t code = function_key(k);
        if (code) {
            press(ui, code, k == KEY_BTAB, false, false);
        }
        return;
    }
    if (ui->prefix) {
        ui->prefix = false;
        if (k == 'x') {
            ui->machine->cause = CAUSE_QUIT;
            machine_request(ui->machine, REQUEST_EXIT, "ended from the console");
        } else if (k == CTRL_A) {
            character(ui, k, false);
        }
        return;
    }
    if (k == CTRL_A) {
        ui->prefix = true;
        return;
    }
    if (k == 27) { /* alone, or before a character: Alt */
        wint_t next;
        timeout(ESC_WAIT_MS);
        if (get_wch(&next) == OK && next != 27) {
            character(ui, next, true);
            return;
        }
    }
    character(ui, k, false);
}

static void *run(void *opaque)
{
    struct curses_ui *ui = opaque;
    wint_t k;

    while (!atomic_load(&ui->quit)) {
        timeout(UI_REFRESH_MS);
        int kind = get_wch(&k);
        if (kind != ERR) {
            typed(ui, kind, k);
        }
        draw(ui);
    }
    return NULL;
}

struct curses_ui *curses_create(struct machine *m, struct mainloop *loop, struct error *err)
{
    struct curses_ui *ui;
    sigset_t all, old;

    (void)loop;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        error_set(err, "standard input and output are not a terminal");
        return NULL;
    }
    ui = calloc(1, sizeof(*ui));
    if (!ui) {
        abort();
    }
    ui->machine = m;
    setlocale(LC_CTYPE, "");
    set_escdelay(ESC_WAIT_MS);
    if (!newterm(NULL, stdout, stdin)) {
        error_set(err, "ncurses does not know this terminal (TERM=%s)",
                  getenv("TERM") ? getenv("TERM") : "");
        free(ui);
        return NULL;
    }
    raw();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    make_pairs();
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old); /* signals are the main loop's */
    ui->started = pthread_create(&ui->thread, NULL, run, ui) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return ui;
}

void curses_destroy(struct curses_ui *ui)
{
    if (!ui) {
        return;
    }
    atomic_store(&ui->quit, true);
    if (ui->started) {
        pthread_join(ui->thread, NULL);
    }
    endwin();
    free(ui);
}
#endif
