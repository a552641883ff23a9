/* QMP commands about keys, pointers, the screen and VNC. */
#include "control/control.h"
#include "control/qmp.h"
#include "control/setup.h"
#include "host/mainloop.h"
#include "hw/display/console.h"
#include "hw/input/input.h"
#include "ui/keymap.h"
#include "ui/screendump.h"
#include "ui/vnc.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_KEYS = 16, HOLD_MS = 100 };

static void set_str(json_t *o, const char *key, const char *value)
{
    json_t *s = json_string(value);

    json_object_set_new(o, key, s ? s : json_string("(not UTF-8)"));
}

/* ---- keys ---- */

/* {"type":"qcode","data":"a"} or {"type":"number","data":30}. */
static bool read_key(struct qmp_call *c, json_t *key, uint16_t *code)
{
    json_t *type = json_object_get(key, "type"), *data = json_object_get(key, "data");
    const char *kind = json_string_value(type);

    if (kind && !strcmp(kind, "qcode") && json_is_string(data)) {
        const struct key *k = keymap_by_name(json_string_value(data));
        *code = k ? k->code : 0;
        return k || qmp_fail(c, NULL, "Parameter 'data' does not accept value '%.60s'",
                             json_string_value(data));
    }
    if (kind && !strcmp(kind, "number") && json_is_integer(data)) {
        json_int_t n = json_integer_value(data);
        *code = n > 0 && n < 256 ? keymap_from_number((uint32_t)n) : 0;
        return *code || qmp_fail(c, NULL, "there is no key number %lld", (long long)n);
    }
    return qmp_fail(c, NULL,
                    "a key is {\"type\": \"qcode\", \"data\": NAME} or "
                    "{\"type\": \"number\", \"data\": N}");
}

bool qmp_send_key(struct qmp_call *c)
{
    json_t *keys = json_object_get(c->args, "keys"), *hold = json_object_get(c->args, "hold-time"),
           *key;
    json_int_t hold_ms = hold ? json_integer_value(hold) : HOLD_MS;
    uint16_t code[MAX_KEYS];
    size_t i, n = json_array_size(keys);

    if (n > MAX_KEYS || hold_ms < 0 || hold_ms > 60000) {
        return qmp_fail(c, NULL, "at most %d keys, held for at most 60000 ms", MAX_KEYS);
    }
    json_array_foreach(keys, i, key)
    {
        if (!read_key(c, key, &code[i])) {
            return false;
        }
    }
    for (i = 0; i < n; i++) {
        input_type(c->machine, code[i], true, 0);
    }
    for (i = n; i--;) {
        input_type(c->machine, code[i], false, i == n - 1 ? (unsigned)hold_ms : 0);
    }
    return true;
}

/* ---- input-send-event ---- */

struct pointing { /* what the events of one command add up to */
    int dx, dy, wheel, pan, x, y;
    unsigned buttons;
    bool moved, placed, pressed;
};

static bool button_event(struct qmp_call *c, struct pointing *p, json_t *data)
{
    static const struct {
        const char *name;
        unsigned button;
        int wheel, pan;
    } names[] = {
        {"left", INPUT_LEFT, 0, 0}, {"middle", INPUT_MIDDLE, 0, 0}, {"right", INPUT_RIGHT, 0, 0},
        {"side", INPUT_SIDE, 0, 0}, {"extra", INPUT_EXTRA, 0, 0},   {"wheel-up", 0, -1, 0},
        {"wheel-down", 0, 1, 0},    {"wheel-left", 0, 0, -1},       {"wheel-right", 0, 0, 1}};
    const char *name = json_string_value(json_object_get(data, "button"));
    bool down = json_is_true(json_object_get(data, "down"));

    for (size_t i = 0; name && i < sizeof(names) / sizeof(names[0]); i++) {
        if (!strcmp(name, names[i].name)) {
            p->buttons = down ? p->buttons | names[i].button : p->buttons & ~names[i].button;
            p->pressed |= names[i].button != 0;
            p->wheel += down ? names[i].wheel : 0;
            p->pan += down ? names[i].pan : 0;
            return true;
        }
    }
    return qmp_fail(c, NULL, "Parameter 'button' does not accept value '%.60s'", name ? name : "");
}

static bool axis_event(struct qmp_call *c, struct pointing *p, json_t *data, bool absolute)
{
    const char *axis = json_string_value(json_object_get(data, "axis"));
    json_int_t v = json_integer_value(json_object_get(data, "value"));
    int value = v < -INPUT_ABS_MAX ? -INPUT_ABS_MAX : v > INPUT_ABS_MAX ? INPUT_ABS_MAX : (int)v;

    if (!axis || (strcmp(axis, "x") && strcmp(axis, "y"))) {
        return qmp_fail(c, NULL, "Parameter 'axis' does not accept value '%.60s'",
                        axis ? axis : "");
    }
    if (absolute) {
        *(axis[0] == 'x' ? &p->x : &p->y) = value < 0 ? 0 : value;
        p->placed = true;
    } else {
        *(axis[0] == 'x' ? &p->dx : &p->dy) += value;
        p->moved = true;
    }
    return true;
}

static bool one_event(struct qmp_call *c, struct pointing *p, json_t *event)
{
    const char *type = json_string_value(json_object_get(event, "type"));
    json_t *data = json_object_get(event, "data");
    uint16_t code;

    if (!type || !json_is_object(data)) {
        return qmp_fail(c, NULL, "an event is an object with 'type' and 'data'");
    }
    if (!strcmp(type, "key")) {
        if (!read_key(c, json_object_get(data, "key"), &code)) {
            return false;
        }
        input_key(c->machine, code, json_is_true(json_object_get(data, "down")));
        return true;
    }
    if (!strcmp(type, "btn")) {
        return button_event(c, p, data);
    }
    if (!strcmp(type, "rel") || !strcmp(type, "abs")) {
        return axis_event(c, p, data, type[0] == 'a');
    }
    return qmp_fail(c, NULL, "Parameter 'type' does not accept value '%.60s'", type);
}

bool qmp_input_send_event(struct qmp_call *c)
{
    struct machine *m = c->machine;
    struct pointing p = {.buttons = input_held_buttons(m)};
    json_t *event;
    size_t i;

    input_last_place(m, &p.x, &p.y);
    json_array_foreach(json_object_get(c->args, "events"), i, event)
    {
        if (!one_event(c, &p, event)) {
            return false;
        }
    }
    if (p.placed) {
        input_place(m, (unsigned)p.x, (unsigned)p.y);
    }
    if (p.moved) {
        input_move(m, p.dx, p.dy);
    }
    if (p.pressed) {
        input_buttons(m, p.buttons);
    }
    if (p.wheel || p.pan) {
        input_wheel(m, p.wheel, p.pan);
    }
    return true;
}

bool qmp_query_mice(struct qmp_call *c)
{
    bool absolute, current;
    struct device *d;

    c->ret = json_array();
    for (unsigned i = 0; (d = input_pointer_device(c->machine, i, &absolute, &current)) != NULL;
         i++) {
        json_t *o = json_object();
        set_str(o, "name", d->type->name);
        json_object_set_new(o, "index", json_integer(i));
        json_object_set_new(o, "current", json_boolean(current));
        json_object_set_new(o, "absolute", json_boolean(absolute));
        json_array_append_new(c->ret, o);
    }
    return true;
}

/* ---- the screen ---- */

bool qmp_screendump(struct qmp_call *c)
{
    const char *path = json_string_value(json_object_get(c->args, "filename"));
    const char *id = json_string_value(json_object_get(c->args, "device"));
    const char *format = json_string_value(json_object_get(c->args, "format"));
    json_int_t head = json_integer_value(json_object_get(c->args, "head"));
    unsigned n = 0;

    if (head) {
        return qmp_fail(c, NULL, "there is no head %lld: adapters have one each", (long long)head);
    }
    if (id) {
        struct device *d = device_find(c->machine, id);
        if (!d) {
            return qmp_fail(c, QMP_NO_DEVICE, "Device '%.60s' not found", id);
        }
        while (n < console_count(c->machine) && console_device(console_get(c->machine, n)) != d) {
            n++;
        }
    }
    return screendump(c->machine, n, path, format && !strcmp(format, "png") ? IMAGE_PNG : IMAGE_PPM,
                      &c->err);
}

bool qmp_query_display_options(struct qmp_call *c)
{
    static const char *const names[] = {"none", "sdl", "curses", "none"};

    c->ret = json_object();
    set_str(c->ret, "type", c->program ? names[c->program->display.kind] : "none");
    return true;
}

/* ---- VNC ---- */

static bool password_of(struct qmp_call *c, const char *password)
{
    if (!c->program || !c->program->vnc || !vnc_set_password(c->program->vnc, password)) {
        return qmp_fail(c, NULL, "Could not set password: there is no VNC server with password=on");
    }
    return true;
}

bool qmp_set_password(struct qmp_call *c)
{
    return password_of(c, json_string_value(json_object_get(c->args, "password")));
}

bool qmp_expire_password(struct qmp_call *c)
{
    const char *text = json_string_value(json_object_get(c->args, "time"));
    char *end;
    time_t when = strtoll(text + (*text == '+'), &end, 10);

    if (!c->program || !c->program->vnc) {
        return qmp_fail(c, NULL, "there is no VNC server");
    }
    if (!strcmp(text, "now")) {
        when = 1;
    } else if (!strcmp(text, "never")) {
        when = 0;
    } else if (end == text || *end) {
        return qmp_fail(c, NULL, "time '%.60s' is none of now, never, +SECONDS, SECONDS", text);
    } else if (*text == '+') {
        when += time(NULL);
    }
    vnc_expire_password(c->program->vnc, when);
    return true;
}

static const char *family_of(const char *host)
{
    return !*host ? "unix" : strchr(host, ':') ? "ipv6" : "ipv4";
}

static json_t *place(const char *host, const char *service, const char *family, bool websocket)
{
    json_t *o = json_object();

    set_str(o, "host", host);
    set_str(o, "service", service);
    set_str(o, "family", family);
    json_object_set_new(o, "websocket", json_boolean(websocket));
    return o;
}

static json_t *clients(const struct vnc_info *info)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < info->nclients; i++) {
        const struct vnc_client_info *k = &info->client[i];
        json_array_append_new(list, place(k->host, k->service, family_of(k->host), k->websocket));
    }
    return list;
}

bool qmp_query_vnc(struct qmp_call *c)
{
    struct vnc_info info;

    c->ret = json_object();
    if (!c->program || !c->program->vnc) {
        json_object_set_new(c->ret, "enabled", json_false());
        return true;
    }
    vnc_describe(c->program->vnc, &info);
    json_object_set_new(c->ret, "enabled", json_true());
    set_str(c->ret, "host", *info.path ? info.path : info.host);
    set_str(c->ret, "service", info.service);
    set_str(c->ret, "family", info.family);
    set_str(c->ret, "auth", info.password ? "vnc" : "none");
    json_object_set_new(c->ret, "clients", clients(&info));
    return true;
}

bool qmp_query_vnc_servers(struct qmp_call *c)
{
    struct vnc_info info;
    char port[16];

    c->ret = json_array();
    if (!c->program || !c->program->vnc) {
        return true;
    }
    vnc_describe(c->program->vnc, &info);
    json_t *server = json_object(), *places = json_array();
    json_t *plain = place(*info.path ? info.path : info.host, info.service, info.family, false);
    set_str(plain, "auth", info.password ? "vnc" : "none");
    json_array_append_new(places, plain);
    if (info.websocket) {
        snprintf(port, sizeof(port), "%u", info.websocket);
        json_t *ws = place(info.host, port, info.family, true);
        set_str(ws, "auth", info.password ? "vnc" : "none");
        json_array_append_new(places, ws);
    }
    set_str(server, "id", "default");
    json_object_set_new(server, "server", places);
    json_object_set_new(server, "clients", clients(&info));
    set_str(server, "auth", info.password ? "vnc" : "none");
    json_array_append_new(c->ret, server);
    return true;
}

struct vnc_happening { /* from the VNC thread to the main loop's */
    struct program *p;
    char event[32];
    json_t *data;
};

static void emit(void *opaque)
{
    struct vnc_happening *h = opaque;

    if (h->p->qmp) {
        qmp_emit(h->p->qmp, h->event, h->data);
    } else {
        json_decref(h->data);
    }
    free(h);
}

void setup_vnc_event(struct program *p, const char *what, const char *host, const char *service,
                     bool websocket)
{
    struct vnc_happening *h = calloc(1, sizeof(*h));
    struct vnc_info info;
    char port[16] = "";

    if (!h || !p->vnc) { /* nobody can have connected before the server is there */
        free(h);
        return;
    }
    vnc_describe(p->vnc, &info);
    snprintf(port, sizeof(port), "%s", info.service);
    if (websocket) {
        snprintf(port, sizeof(port), "%u", info.websocket);
    }
    json_t *server = place(*info.path ? info.path : info.host, port, info.family, websocket);
    set_str(server, "auth", info.password ? "vnc" : "none");
    h->p = p;
    snprintf(h->event, sizeof(h->event), "VNC_%s", what);
    h->data = json_object();
    json_object_set_new(h->data, "server", server);
    json_object_set_new(h->data, "client", place(host, service, family_of(host), websocket));
    mainloop_defer(p->loop, emit, h);
}
