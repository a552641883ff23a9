/* QMP's connections: framing of messages, negotiation, ids, errors, events. Shapes are those of
 * QEMU's machine protocol as its clients know them. Left out: out-of-band execution, file
 * descriptor passing. */
#include "control/qmp.h"
#include "hw/virtio/virtio_balloon.h"
#include "host/chardev.h"
#include "host/mainloop.h"
#include "host/socket.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { MAX_MESSAGE = 16 << 20, MAX_DEPTH = 512, MAX_LISTENERS = 8 };

struct qmp_session {
    struct qmp *qmp;
    struct qmp_session *next;
    void (*write)(void *opaque, const char *buf, size_t len);
    void *opaque;
    struct stream *stream;
    struct chardev *chardev;
    bool negotiated;

    char *buf; /* the message that is being read */
    size_t len, size;
    unsigned depth;
    bool in_string, escape;
    bool garbage; /* skipping to the end of the line after an error */
};

struct qmp_listener {
    struct qmp *qmp;
    struct socket_address address;
    int fd;
    struct iowatch *watch;
};

struct qmp {
    struct program *program;
    struct machine *machine;
    struct mainloop *loop;
    struct qmp_session *sessions;
    struct qmp_listener listeners[MAX_LISTENERS];
    unsigned nlisteners;
};

/* ---- answers ---- */

static void send_json(struct qmp_session *s, json_t *msg)
{
    char *text = json_dumps(msg, JSON_COMPACT | JSON_ENSURE_ASCII);

    json_decref(msg);
    if (text) {
        size_t n = strlen(text);
        char *line = realloc(text, n + 3);
        if (!line) {
            abort();
        }
        memcpy(line + n, "\r\n", 3);
        s->write(s->opaque, line, n + 2);
        free(line);
    }
}

static void send_error(struct qmp_session *s, json_t *id, const char *class, const char *desc)
{
    json_t *msg = json_object(), *error = json_object();
    /* What came from a client may be cut within a character. */
    json_t *text = json_string(desc);

    json_object_set_new(error, "class", json_string(class && *class ? class : "GenericError"));
    json_object_set_new(error, "desc", text ? text : json_string("the message is not valid UTF-8"));
    json_object_set_new(msg, "error", error);
    if (id) {
        json_object_set(msg, "id", id);
    }
    send_json(s, msg);
}

static void greet(struct qmp_session *s)
{
    json_t *qmp = json_object(), *msg = json_object();

    json_object_set_new(qmp, "version", qmp_version());
    json_object_set_new(qmp, "capabilities", json_array());
    json_object_set_new(msg, "QMP", qmp);
    send_json(s, msg);
}

void qmp_emit(struct qmp *q, const char *event, json_t *data)
{
    struct timeval now;
    struct qmp_session *next;
    json_t *msg = json_object(), *stamp = json_object();

    gettimeofday(&now, NULL);
    json_object_set_new(stamp, "seconds", json_integer(now.tv_sec));
    json_object_set_new(stamp, "microseconds", json_integer(now.tv_usec));
    json_object_set_new(msg, "timestamp", stamp);
    json_object_set_new(msg, "event", json_string(event));
    if (data) {
        json_object_set_new(msg, "data", data);
    }
    for (struct qmp_session *s = q->sessions; s; s = next) {
        next = s->next;
        if (s->negotiated) {
            send_json(s, json_incref(msg));
        }
    }
    json_decref(msg);
}

/* ---- one message ---- */

static void execute(struct qmp_session *s, const char *name, json_t *args, json_t *id)
{
    const struct qmp_command *row = qmp_find(name);
    bool negotiating = !strcmp(name, "qmp_capabilities");
    char text[256];
    struct qmp_call call = {.machine = s->qmp->machine, .program = s->qmp->program, .session = s};

    if (!s->negotiated && !negotiating) {
        send_error(s, id, QMP_NOT_FOUND,
                   "Expecting capabilities negotiation with 'qmp_capabilities'");
        return;
    }
    if (s->negotiated && negotiating) {
        send_error(s, id, QMP_NOT_FOUND,
                   "Capabilities negotiation is already complete, command ignored");
        return;
    }
    if (!row) {
        snprintf(text, sizeof(text), "The command %s has not been found", name);
        send_error(s, id, QMP_NOT_FOUND, text);
        return;
    }
    call.args = args ? json_incref(args) : json_object();
    if (qmp_check_args(row, call.args, &call.err) && row->run(&call)) {
        json_t *msg = json_object();
        json_object_set_new(msg, "return", call.ret ? call.ret : json_object());
        if (id) {
            json_object_set(msg, "id", id);
        }
        send_json(s, msg);
    } else {
        json_decref(call.ret);
        send_error(s, id, call.error_class, call.err.msg);
    }
    json_decref(call.args);
}

static bool check_message(json_t *msg, struct error *err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(msg)) {
        return error_set(err, "QMP input must be a JSON object");
    }
    json_object_foreach(msg, key, value)
    {
        if (!strcmp(key, "execute")) {
            if (!json_is_string(value)) {
                return error_set(err, "QMP input member 'execute' must be a string");
            }
        } else if (!strcmp(key, "arguments")) {
            if (!json_is_object(value)) {
                return error_set(err, "QMP input member 'arguments' must be an object");
            }
        } else if (strcmp(key, "id")) {
            return error_set(err, "QMP input member '%.100s' is unexpected", key);
        }
    }
    return json_object_get(msg, "execute") || error_set(err, "QMP input lacks member 'execute'");
}

static void message(struct qmp_session *s)
{
    json_error_t why;
    json_t *msg = json_loadb(s->buf, s->len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    struct error err = {0};

    if (!msg) {
        snprintf(err.msg, sizeof(err.msg), "JSON parse error, %s", why.text);
        send_error(s, NULL, NULL, err.msg);
        return;
    }
    json_t *id = json_is_object(msg) ? json_object_get(msg, "id") : NULL;
    if (!check_message(msg, &err)) {
        send_error(s, id, NULL, err.msg);
    } else {
        execute(s, json_string_value(json_object_get(msg, "execute")),
                json_object_get(msg, "arguments"), id);
    }
    json_decref(msg);
}

/* ---- framing: a message ends where its outermost bracket does ---- */

static void forget_message(struct qmp_session *s)
{
    s->len = s->depth = 0;
    s->in_string = s->escape = false;
}

static void give_up(struct qmp_session *s, const char *why)
{
    forget_message(s);
    s->garbage = true;
    send_error(s, NULL, NULL, why);
}

static void keep(struct qmp_session *s, char c)
{
    if (s->len == s->size) {
        s->size = s->size ? 2 * s->size : 256;
        s->buf = realloc(s->buf, s->size);
        if (!s->buf) {
            abort();
        }
    }
    s->buf[s->len++] = c;
}

static void in_string(struct qmp_session *s, char c)
{
    if (s->escape) {
        s->escape = false;
    } else if (c == '\\') {
        s->escape = true;
    } else if (c == '"') {
        s->in_string = false;
    }
}

static void input_byte(struct qmp_session *s, char c)
{
    if (s->garbage) {
        s->garbage = c != '\n';
        return;
    }
    if (!s->depth && c != '{' && c != '[') {
        if (!strchr(" \t\r\n", c) || !c) {
            give_up(s, "JSON parse error, QMP input must be a JSON object");
            s->garbage = c != '\n';
        }
        return;
    }
    if (s->len >= MAX_MESSAGE) {
        give_up(s, "JSON parse error, the message is too long");
        return;
    }
    keep(s, c);
    if (s->in_string) {
        in_string(s, c);
    } else if (c == '"') {
        s->in_string = true;
    } else if (c == '{' || c == '[') {
        if (++s->depth > MAX_DEPTH) {
            give_up(s, "JSON parse error, the message is nested too deeply");
        }
    } else if ((c == '}' || c == ']') && !--s->depth) {
        message(s);
        forget_message(s);
        if (s->size > 65536) {
            free(s->buf);
            s->buf = NULL;
            s->size = 0;
        }
    }
}

void qmp_session_input(struct qmp_session *s, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        input_byte(s, (char)buf[i]);
    }
}

void qmp_session_negotiated(struct qmp_session *s)
{
    s->negotiated = true;
}

struct qmp_session *qmp_session_create(struct qmp *q,
                                       void (*write)(void *opaque, const char *buf, size_t len),
                                       void *opaque)
{
    struct qmp_session *s = calloc(1, sizeof(*s));

    if (!s) {
        abort();
    }
    s->qmp = q;
    s->write = write;
    s->opaque = opaque ? opaque : s;
    s->next = q->sessions;
    q->sessions = s;
    return s;
}

void qmp_session_destroy(struct qmp_session *s)
{
    struct qmp_session **at = &s->qmp->sessions;

    while (*at != s) {
        at = &(*at)->next;
    }
    *at = s->next;
    stream_destroy(s->stream);
    if (s->chardev) {
        chardev_disconnect(s->chardev, s);
    }
    free(s->buf);
    free(s);
}

/* ---- sockets: any number of clients ---- */

static void stream_out(void *opaque, const char *buf, size_t len)
{
    struct qmp_session *s = opaque;

    stream_write(s->stream, buf, len);
}

static void stream_in(void *opaque, const uint8_t *buf, size_t len)
{
    qmp_session_input(opaque, buf, len);
}

static void stream_closed(void *opaque)
{
    qmp_session_destroy(opaque);
}

static const struct stream_ops session_ops = {NULL, stream_in, stream_closed};

static void serve_fd(struct qmp *q, int fd)
{
    struct qmp_session *s = qmp_session_create(q, stream_out, NULL);

    s->stream = stream_create(q->loop, fd, &session_ops, s);
    greet(s);
}

static void accept_client(void *opaque, short revents)
{
    struct qmp_listener *l = opaque;
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);

    (void)revents;
    if (fd >= 0) {
        serve_fd(l->qmp, fd);
    }
}

bool qmp_listen(struct qmp *q, const char *spec, struct error *err)
{
    if (q->nlisteners == MAX_LISTENERS) {
        return error_set(err, "more than %d QMP sockets", MAX_LISTENERS);
    }
    struct qmp_listener *l = &q->listeners[q->nlisteners];
    l->qmp = q;
    if (!socket_parse(&l->address, spec, err)) {
        return false;
    }
    int fd = socket_open(&l->address, err);
    if (fd < 0) {
        return false;
    }
    if (!l->address.server) {
        serve_fd(q, fd);
        return true;
    }
    l->fd = fd;
    l->watch = mainloop_watch(q->loop, fd, POLLIN, accept_client, l);
    q->nlisteners++;
    return socket_wait_client(&l->address, fd, err);
}

/* ---- character devices: one client ---- */

static void chardev_out(void *opaque, const char *buf, size_t len)
{
    struct qmp_session *s = opaque;

    chardev_write(s->chardev, (const uint8_t *)buf, len);
}

static size_t chardev_room_for(void *opaque)
{
    (void)opaque;
    return 4096;
}

static void chardev_came(void *opaque, enum chardev_event ev)
{
    struct qmp_session *s = opaque;

    if (ev == CHARDEV_OPENED && s->chardev) {
        forget_message(s);
        s->garbage = s->negotiated = false;
        greet(s);
    } else if (ev == CHARDEV_CLOSED) {
        s->negotiated = false;
    }
}

bool qmp_serve_chardev(struct qmp *q, struct chardev *c, struct error *err)
{
    struct qmp_session *s = qmp_session_create(q, chardev_out, NULL);
    struct chardev_frontend fe = {s, chardev_room_for, stream_in, chardev_came};

    if (!chardev_connect(c, &fe, err)) {
        qmp_session_destroy(s);
        return false;
    }
    s->chardev = c;
    greet(s); /* on a socket without a client this goes nowhere */
    return true;
}

/* ---- events ---- */

static void on_event(void *opaque, enum machine_event ev, enum machine_cause cause)
{
    static const char *const names[] = {"STOP",
                                        "RESUME",
                                        "RESET",
                                        "SHUTDOWN",
                                        "POWERDOWN",
                                        "GUEST_PANICKED",
                                        "GUEST_CRASHLOADED",
                                        "WATCHDOG"};
    static const char *const reasons[][2] = {
        {"guest-reset", "guest-shutdown"}, {"host-qmp-quit", "host-qmp-quit"},
        {"host-signal", "host-signal"},    {"host-qmp-system-reset", "host-qmp-system-reset"},
        {"guest-panic", "guest-panic"},
    };
    struct qmp *q = opaque;
    json_t *data = NULL;

    if (ev == EVENT_RESET || ev == EVENT_SHUTDOWN) {
        data = json_object();
        json_object_set_new(data, "guest",
                            json_boolean(cause == CAUSE_GUEST || cause == CAUSE_PANIC));
        json_object_set_new(data, "reason", json_string(reasons[cause][ev == EVENT_SHUTDOWN]));
    }
    if (ev == EVENT_PANICKED) {
        static const char *const actions[] = {"pause", "poweroff", "poweroff", "run"};
        data = json_object();
        json_object_set_new(data, "action", json_string(actions[q->machine->panic_action]));
    } else if (ev == EVENT_CRASH_LOADED) {
        data = json_object();
        json_object_set_new(data, "action", json_string("run"));
    } else if (ev == EVENT_WATCHDOG) {
        data = json_object();
        json_object_set_new(data, "action",
                            json_string(qmp_watchdog_actions[q->machine->watchdog_action]));
    }
    machine_lock(q->machine);
    qmp_emit(q, names[ev], data);
    machine_unlock(q->machine);
}

static void balloon_changed(struct machine *m)
{
    json_t *data = json_object();
    uint64_t bytes;

    balloon_actual(m, &bytes);
    json_object_set_new(data, "actual", json_integer((json_int_t)bytes));
    qmp_emit(m->event_opaque, "BALLOON_CHANGE", data);
}

struct qmp *qmp_create(struct program *p, struct machine *m, struct mainloop *loop)
{
    struct qmp *q = calloc(1, sizeof(*q));

    if (!q) {
        abort();
    }
    q->program = p;
    q->machine = m;
    q->loop = loop;
    m->event = on_event;
    m->event_opaque = q;
    m->balloon_changed = balloon_changed;
    return q;
}

void qmp_destroy(struct qmp *q)
{
    if (!q) {
        return;
    }
    q->machine->event = NULL;
    q->machine->balloon_changed = NULL;
    while (q->sessions) {
        qmp_session_destroy(q->sessions);
    }
    for (unsigned i = 0; i < q->nlisteners; i++) {
        iowatch_remove(q->listeners[i].watch);
        socket_close_listener(&q->listeners[i].address, q->listeners[i].fd);
    }
    free(q);
}
