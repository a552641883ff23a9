/* -display, -vnc, -vga, -nographic and -object secret: which screen the machine gets and who sees
 * it. */
#include "config.h"
#include "control/absent.h"
#include "control/qmp.h"
#include "control/setup.h"
#include "host/file.h"
#include "host/nearest.h"
#include "hw/display/console.h"
#include "ui/ui.h"
#include "ui/vnc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *help;
    enum display_kind kind;
    bool built;
} kinds[] = {
    {"none", "no screen is shown; the machine has one all the same", DISPLAY_NONE, true},
#ifdef HAVE_SDL
    {"sdl", "a window (SDL2)", DISPLAY_SDL, true},
#else
    {"sdl", "a window (SDL2)", DISPLAY_SDL, false},
#endif
#ifdef HAVE_CURSES
    {"curses", "text modes in this terminal", DISPLAY_CURSES, true},
#else
    {"curses", "text modes in this terminal", DISPLAY_CURSES, false},
#endif
#ifdef HAVE_VNC
    {"vnc", "a VNC server: vnc=:N, vnc=HOST:N, vnc=unix:PATH (see -vnc)", DISPLAY_VNC, true},
#else
    {"vnc", "a VNC server: vnc=:N, vnc=HOST:N, vnc=unix:PATH (see -vnc)", DISPLAY_VNC, false},
#endif
};
enum { NKINDS = sizeof(kinds) / sizeof(kinds[0]) };
#define DEFAULT_VNC "127.0.0.1:0,to=99"

char *display_help(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    for (unsigned i = 0; i < NKINDS; i++) {
        if (kinds[i].built) {
            fprintf(f, "%-8s %s\n", kinds[i].name, kinds[i].help);
        }
    }
    fclose(f);
    return text;
}

static bool built(enum display_kind kind)
{
    for (unsigned i = 0; i < NKINDS; i++) {
        if (kinds[i].kind == kind) {
            return kinds[i].built;
        }
    }
    return false;
}

/* ---- -display ---- */

static bool display_pair(void *opaque, const char *key, const char *value, struct error *err)
{
    struct program *p = opaque;
    struct {
        const char *name;
        bool *field;
    } flags[] = {{"full-screen", &p->display.full_screen},
                 {"window-close", &p->display.window_close},
                 {"ctrl-grab", &p->display.ctrl_grab}};
    static const char *const without_effect[] = {"show-cursor", "gl", "charset", "grab-mod"};

    if (!strcmp(key, "type") && value && !strcmp(value, "vnc")) {
        return error_set(err, "the address is missing, as in vnc=:0");
    }
    if (!strcmp(key, "type")) {
        for (unsigned i = 0; i < NKINDS; i++) {
            if (!strcmp(kinds[i].name, value ? value : "") && kinds[i].kind != DISPLAY_VNC) {
                p->display.kind = kinds[i].kind;
                return kinds[i].built ||
                       error_set(err, "'%s' was not built into this program", kinds[i].name);
            }
        }
        const char *near =
            nearest_name(value ? value : "", &kinds[0].name, NKINDS, sizeof(kinds[0]));
        return error_set(err, "unknown display '%s'%s", value ? value : "",
                         nearest_hint(near, "-display help lists them").text);
    }
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (!strcmp(key, flags[i].name)) {
            return opt_bool(value, flags[i].field) ||
                   error_set(err, "%s=%s is neither on nor off", key, value);
        }
    }
    for (size_t i = 0; i < sizeof(without_effect) / sizeof(without_effect[0]); i++) {
        if (!strcmp(key, without_effect[i])) {
            return true;
        }
    }
    return opt_unknown_error(key, flags, sizeof(flags) / sizeof(flags[0]), sizeof(flags[0]), err);
}

/* ---- -object secret ---- */

static char *find_secret(struct program *p, const char *id, struct error *err)
{
    for (unsigned i = 0; i < p->opt.objects.n; i++) {
        const char *text = p->opt.objects.item[i];
        char *kind = opt_get(text, "qom-type", "qom-type"), *name = opt_get(text, "qom-type", "id");
        char *data = opt_get(text, "qom-type", "data"), *file = opt_get(text, "qom-type", "file");
        char *secret = NULL;
        bool hit = kind && name && !strcmp(kind, "secret") && !strcmp(name, id);
        if (hit && data) {
            secret = strdup(data);
        } else if (hit && file) {
            uint8_t *bytes;
            size_t n;
            if (file_read(file, &bytes, &n, err)) {
                while (n && (bytes[n - 1] == '\n' || bytes[n - 1] == '\r')) {
                    n--;
                }
                secret = strndup((char *)bytes, n);
                free(bytes);
            }
        }
        free(kind);
        free(name);
        free(data);
        free(file);
        if (hit) {
            return secret;
        }
    }
    error_set(err, "there is no -object secret with id '%s'", id);
    return NULL;
}

/* ---- -vnc ---- */

static bool number(const char *key, const char *text, long max, int *out, struct error *err)
{
    char *end;
    long n = strtol(text ? text : "", &end, 10);

    if (!text || !*text || *end || n < 0 || n > max) {
        return error_set(err, "%s=%s is not a number from 0 to %ld", key, text ? text : "", max);
    }
    *out = (int)n;
    return true;
}

struct vnc_text {
    struct program *p;
    struct vnc_options o;
    char host[256], path[256];
    char *secret;
};

/* ":1", "host:1", "[::1]:1", "unix:PATH", "none". */
static bool vnc_place(struct vnc_text *t, const char *place, struct error *err)
{
    const char *colon = strrchr(place, ':');
    size_t n = colon ? (size_t)(colon - place) : 0;

    if (!strcmp(place, "none")) {
        t->o.listen = false;
        return true;
    }
    if (!strncmp(place, "unix:", 5)) {
        snprintf(t->path, sizeof(t->path), "%.250s", place + 5);
        t->o.unix_path = t->path;
        return true;
    }
    if (!colon || n >= sizeof(t->host)) {
        return error_set(err, "'%s' is none of :DISPLAY, HOST:DISPLAY, unix:PATH, none", place);
    }
    if (n >= 2 && place[0] == '[' && place[n - 1] == ']') {
        place++;
        n -= 2;
    }
    snprintf(t->host, sizeof(t->host), "%.*s", (int)n, place);
    t->o.host = n ? t->host : NULL;
    return number("display", colon + 1, 65535 - VNC_PORT, &t->o.display, err);
}

static bool vnc_share_word(struct vnc_text *t, const char *value, struct error *err)
{
    static const char *const words[] = {"allow-exclusive", "force-shared", "ignore"};

    for (unsigned i = 0; i < 3; i++) {
        if (value && !strcmp(value, words[i])) {
            t->o.share = (enum vnc_share)i;
            return true;
        }
    }
    return error_set(err, "share=%s is none of allow-exclusive, force-shared, ignore",
                     value ? value : "");
}

static bool vnc_pair(void *opaque, const char *key, const char *value, struct error *err)
{
    struct vnc_text *t = opaque;
    static const char *const without_effect[] = {"id",       "lossy",   "non-adaptive",
                                                 "audiodev", "display", "power-control"};
    const char *absent = absent_text(ABSENT_VNC, key);
    int n;

    if (!strcmp(key, "vnc")) {
        return vnc_place(t, value ? value : "", err);
    }
    if (!strcmp(key, "password")) {
        return opt_bool(value, &t->o.password) ||
               error_set(err, "password=%s is neither on nor off", value);
    }
    if (!strcmp(key, "password-secret")) {
        free(t->secret);
        t->o.secret = t->secret = find_secret(t->p, value ? value : "", err);
        return t->secret != NULL;
    }
    if (!strcmp(key, "websocket")) {
        bool on;
        if (opt_bool(value, &on) && (!value || (strcmp(value, "0") && strcmp(value, "1")))) {
            t->o.websocket = on ? -1 : 0;
            return true;
        }
        return number(key, value, 65535, &t->o.websocket, err);
    }
    if (!strcmp(key, "share")) {
        return vnc_share_word(t, value, err);
    }
    if (!strcmp(key, "to")) {
        return number(key, value, 65535 - VNC_PORT, &t->o.to, err);
    }
    if (!strcmp(key, "key-delay-ms") || !strcmp(key, "connections")) {
        if (!number(key, value, 1000, &n, err)) {
            return false;
        }
        *(key[0] == 'k' ? &t->o.key_delay_ms : &t->o.connections) = (unsigned)n;
        return true;
    }
    if (absent) {
        return error_set(err, "%s: %s", key, absent);
    }
    for (size_t i = 0; i < sizeof(without_effect) / sizeof(without_effect[0]); i++) {
        if (!strcmp(key, without_effect[i])) {
            return true;
        }
    }
    return error_set(err, "unknown property '%s'", key);
}

static void vnc_event(void *opaque, const char *what, const char *host, const char *service,
                      bool websocket)
{
    struct program *p = opaque;

    setup_vnc_event(p, what, host, service, websocket);
}

static bool start_vnc(struct program *p, struct error *err)
{
    struct vnc_text t = {.p = p, .o = {.listen = true, .key_delay_ms = 10}};
    const char *text = p->display.vnc;

    t.o.name = p->machine->name;
    t.o.event = vnc_event;
    t.o.event_opaque = p;
    if (opt_foreach(text, "vnc", vnc_pair, &t, err)) {
        p->vnc = vnc_create(p->machine, &t.o, err);
    }
    free(t.secret);
    if (!p->vnc) {
        return error_prefix(err, "-vnc %s", text);
    }
    if (p->display.chosen) {
        fprintf(stderr, "dragoman: VNC server running on %s\n", vnc_address(p->vnc));
    }
    return true;
}

/* ---- choosing ---- */

static bool has_adapter(const struct program *p)
{
    static const char *const adapters[] = {"VGA", "virtio-vga", "virtio-gpu-pci"};

    for (unsigned i = 0; i < p->opt.devices.n; i++) {
        const char *text = p->opt.devices.item[i];
        for (size_t k = 0; k < sizeof(adapters) / sizeof(adapters[0]); k++) {
            size_t n = strlen(adapters[k]);
            if (!strncmp(text, adapters[k], n) && (!text[n] || text[n] == ',')) {
                return true;
            }
        }
    }
    return false;
}

static bool choose_vga(struct program *p, struct error *err)
{
    static const char *const known[] = {"std", "virtio", "none"};
    const char *vga = p->opt.vga;

    if (!vga) {
        vga = p->opt.nodefaults || has_adapter(p) ? "none" : "std";
    }
    for (unsigned i = 0; i < 3; i++) {
        if (!strcmp(vga, known[i])) {
            p->display.vga = i == 0 ? "VGA,addr=2" : i == 1 ? "virtio-vga,addr=2" : NULL;
            return true;
        }
    }
    const char *near = nearest_name(vga, known, 3, sizeof(known[0]));
    return error_set(err, "-vga %s: unknown%s", vga,
                     nearest_hint(near, "known: std, virtio, none").text);
}

/* Without a wish: a window when there is a display to open it on, else VNC, as QEMU does. */
static void choose_default(struct program *p)
{
    if (p->opt.nographic || p->opt.nodefaults || (!p->display.vga && !has_adapter(p))) {
        return;
    }
    if (built(DISPLAY_SDL) && (getenv("DISPLAY") || getenv("WAYLAND_DISPLAY"))) {
        p->display.kind = DISPLAY_SDL;
    } else if (built(DISPLAY_VNC)) {
        p->display.vnc = DEFAULT_VNC;
    }
    p->display.chosen = true;
}

bool setup_display_options(struct program *p, struct error *err)
{
    const char *d = p->opt.display;

    p->display.kind = DISPLAY_NONE;
    p->display.window_close = true;
    p->display.vnc = p->opt.vnc;
    if (!choose_vga(p, err)) {
        return false;
    }
    if (d && !strncmp(d, "vnc=", 4)) {
        p->display.vnc = d + 4;
    } else if (d && !opt_foreach(d, "type", display_pair, p, err)) {
        return error_prefix(err, "-display %s", d);
    }
    if (d && p->opt.nographic && p->display.kind == DISPLAY_CURSES) {
        return error_set(err, "-nographic can not be used with -display curses");
    }
    if (!d && !p->display.vnc) {
        choose_default(p);
    }
    return true;
}

bool setup_display(struct program *p, struct error *err)
{
    if (p->display.kind == DISPLAY_SDL) {
        struct sdl_options o = {p->machine->name, p->display.full_screen, p->display.ctrl_grab,
                                !p->display.window_close};
        p->sdl = sdl_create(p->machine, &o, err);
        if (!p->sdl && !p->display.chosen) {
            return error_prefix(err, "-display sdl");
        }
        if (!p->sdl) {
            fprintf(stderr, "dragoman: no window (%s)\n", err->msg);
            p->display.vnc = built(DISPLAY_VNC) ? DEFAULT_VNC : NULL;
        }
    }
    if (p->display.vnc && !start_vnc(p, err)) {
        if (!p->display.chosen) {
            return false;
        }
        fprintf(stderr, "dragoman: %s; there is no screen\n", err->msg);
    }
    if (p->display.kind == DISPLAY_CURSES) {
        p->curses = curses_create(p->machine, p->loop, err);
        return p->curses || error_prefix(err, "-display curses");
    }
    return true;
}

void destroy_display(struct program *p)
{
    vnc_destroy(p->vnc);
    sdl_destroy(p->sdl);
    curses_destroy(p->curses);
    p->vnc = NULL;
    p->sdl = NULL;
    p->curses = NULL;
}
