/* The monitor's terminal: prompt, line editing, history, completion. Commands are in
 * monitor_commands.c. An editor of our own: there may be several monitors, on sockets and a shared
 * console; readline has one terminal a process, and its licence is not ours. */
#include "control/monitor.h"
#include "softmmu/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 512, HISTORY = 32 };

struct monitor {
    struct monitor_context ctx;
    struct chardev *chardev;
    char line[LINE];
    size_t len, cursor;
    char *history[HISTORY];
    unsigned nhistory, browse;
    unsigned escape;   /* 1 after ESC, 2 after ESC [ */
    uint8_t parameter; /* the digit of ESC [ 3 ~ */
    bool greeted, connected;
};

static void put(struct monitor *mon, const char *text)
{
    /* The terminal is raw: a newline needs its carriage return. */
    for (const char *nl; (nl = strchr(text, '\n')) != NULL; text = nl + 1) {
        chardev_write(mon->chardev, (const uint8_t *)text, (size_t)(nl - text));
        chardev_write(mon->chardev, (const uint8_t *)"\r\n", 2);
    }
    chardev_write(mon->chardev, (const uint8_t *)text, strlen(text));
}

static void redraw(struct monitor *mon)
{
    char move[32];

    put(mon, "\r\033[K(dragoman) ");
    chardev_write(mon->chardev, (const uint8_t *)mon->line, mon->len);
    if (mon->cursor < mon->len) {
        snprintf(move, sizeof(move), "\033[%zuD", mon->len - mon->cursor);
        put(mon, move);
    }
}

static void remember(struct monitor *mon)
{
    if (mon->nhistory && !strcmp(mon->history[mon->nhistory - 1], mon->line)) {
        return;
    }
    if (mon->nhistory == HISTORY) {
        free(mon->history[0]);
        memmove(mon->history, mon->history + 1, (HISTORY - 1) * sizeof(mon->history[0]));
        mon->nhistory--;
    }
    mon->history[mon->nhistory++] = strdup(mon->line);
}

static void run_line(struct monitor *mon)
{
    put(mon, "\n");
    mon->line[mon->len] = 0;
    if (mon->len) {
        remember(mon);
        char *out = monitor_run(&mon->ctx, mon->line);
        put(mon, out);
        free(out);
    }
    mon->len = mon->cursor = 0;
    mon->browse = mon->nhistory;
    redraw(mon);
}

static void show_history(struct monitor *mon, int step)
{
    if ((step < 0 && !mon->browse) || (step > 0 && mon->browse >= mon->nhistory)) {
        return;
    }
    mon->browse += (unsigned)step;
    const char *text = mon->browse < mon->nhistory ? mon->history[mon->browse] : "";
    mon->len = mon->cursor = strlen(text);
    memcpy(mon->line, text, mon->len);
    redraw(mon);
}

static void erase(struct monitor *mon, size_t at)
{
    if (at < mon->len) {
        memmove(mon->line + at, mon->line + at + 1, mon->len - at - 1);
        mon->len--;
        mon->cursor = at;
        redraw(mon);
    }
}

static void move_cursor(struct monitor *mon, size_t to)
{
    if (to <= mon->len) {
        mon->cursor = to;
        redraw(mon);
    }
}

/* The last byte of an escape sequence. */
static void escape_end(struct monitor *mon, uint8_t key)
{
    switch (key == '~' ? mon->parameter : key) {
    case 'A':
        show_history(mon, -1);
        break;
    case 'B':
        show_history(mon, 1);
        break;
    case 'C':
        move_cursor(mon, mon->cursor + 1);
        break;
    case 'D':
        move_cursor(mon, mon->cursor - 1);
        break;
    case 'H':
    case '1':
    case '7':
        move_cursor(mon, 0);
        break;
    case 'F':
    case '4':
    case '8':
        move_cursor(mon, mon->len);
        break;
    case '3':
        erase(mon, mon->cursor);
        break;
    default:
        break;
    }
}

static void escape_key(struct monitor *mon, uint8_t k)
{
    if (mon->escape == 1) {
        mon->escape = k == '[' || k == 'O' ? 2 : 0;
        mon->parameter = 0;
    } else if ((k >= '0' && k <= '9') || k == ';') {
        mon->parameter = mon->parameter ? 0xff : k;
    } else {
        mon->escape = 0;
        escape_end(mon, k);
    }
}

static void insert(struct monitor *mon, char c)
{
    if (mon->len + 1 >= LINE) {
        return;
    }
    memmove(mon->line + mon->cursor + 1, mon->line + mon->cursor, mon->len - mon->cursor);
    mon->line[mon->cursor++] = c;
    mon->len++;
    if (mon->cursor == mon->len) {
        chardev_write(mon->chardev, (const uint8_t *)&c, 1);
    } else {
        redraw(mon);
    }
}

static void complete(struct monitor *mon)
{
    char start[LINE], common[MONITOR_WORD], *list = NULL;

    snprintf(start, sizeof(start), "%.*s", (int)mon->cursor, mon->line);
    unsigned n = monitor_complete(start, common, &list);
    for (const char *c = common; n && *c; c++) {
        insert(mon, *c);
    }
    if (n == 1) {
        insert(mon, ' ');
    } else if (n > 1 && !*common) {
        put(mon, "\n");
        put(mon, list);
        put(mon, "\n");
        redraw(mon);
    }
    free(list);
}

/* Ctrl-W: the word before the cursor. */
static void erase_word(struct monitor *mon)
{
    size_t to = mon->cursor;

    while (to && mon->line[to - 1] == ' ') {
        to--;
    }
    while (to && mon->line[to - 1] != ' ') {
        to--;
    }
    memmove(mon->line + to, mon->line + mon->cursor, mon->len - mon->cursor);
    mon->len -= mon->cursor - to;
    mon->cursor = to;
    redraw(mon);
}

static void key(struct monitor *mon, uint8_t k)
{
    if (mon->escape) {
        escape_key(mon, k);
        return;
    }
    switch (k) {
    case 27:
        mon->escape = 1;
        break;
    case '\r':
    case '\n':
        run_line(mon);
        break;
    case 8:
    case 127:
        if (mon->cursor) {
            erase(mon, mon->cursor - 1);
        }
        break;
    case 1: /* Ctrl-A, sent as Ctrl-A Ctrl-A through the multiplexer */
        move_cursor(mon, 0);
        break;
    case 5: /* Ctrl-E */
        move_cursor(mon, mon->len);
        break;
    case 9: /* Tab */
        complete(mon);
        break;
    case 23: /* Ctrl-W */
        erase_word(mon);
        break;
    case 4: /* Ctrl-D */
        erase(mon, mon->cursor);
        break;
    case 11: /* Ctrl-K */
        mon->len = mon->cursor;
        redraw(mon);
        break;
    case 3:  /* Ctrl-C */
    case 21: /* Ctrl-U */
        mon->len = mon->cursor = 0;
        redraw(mon);
        break;
    default:
        if (k >= ' ') {
            insert(mon, (char)k);
        }
        break;
    }
}

static size_t monitor_can_receive(void *opaque)
{
    (void)opaque;
    return 64;
}

static void monitor_receive(void *opaque, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        key(opaque, buf[i]);
    }
}

static void monitor_event(void *opaque, enum chardev_event ev)
{
    struct monitor *mon = opaque;

    if (ev == CHARDEV_MUX_IN) {
        put(mon, mon->greeted ? "\n" : "\nDragoman monitor: 'help' lists the commands.\n");
        mon->greeted = true;
        redraw(mon);
    } else if (ev == CHARDEV_OPENED && mon->connected) { /* a client came to a socket */
        mon->len = mon->cursor = mon->escape = 0;
        put(mon, "Dragoman monitor: 'help' lists the commands.\n");
        redraw(mon);
    } else if (ev == CHARDEV_MUX_OUT) {
        put(mon, "\n");
    }
}

struct monitor *monitor_create(struct machine *m, struct chardev *c, struct error *err)
{
    struct monitor *mon = calloc(1, sizeof(*mon));
    struct chardev_frontend fe = {mon, monitor_can_receive, monitor_receive, monitor_event};

    if (!mon) {
        abort();
    }
    mon->ctx.machine = m;
    mon->chardev = c;
    if (!chardev_connect(c, &fe, err)) {
        free(mon);
        return NULL;
    }
    mon->connected = true;
    return mon;
}

void monitor_destroy(struct monitor *mon)
{
    if (!mon) {
        return;
    }
    chardev_disconnect(mon->chardev, mon);
    for (unsigned i = 0; i < mon->nhistory; i++) {
        free(mon->history[i]);
    }
    free(mon);
}
