/* QMP: the machine protocol of management tools, JSON over sockets and character devices. Commands
 * are rows of one table; checks of arguments, query-commands, query-qmp-schema, the monitor's
 * commands of the same names and docs/qmp.md come from it. */
#ifndef CONTROL_QMP_H
#define CONTROL_QMP_H

#include <jansson.h>

#include "host/error.h"
#include "softmmu/machine.h"

struct chardev;
struct device;
struct mainloop;
struct program;
struct qmp;
struct qmp_session;

/* Classes of errors; "" is GenericError. */
#define QMP_NOT_FOUND "CommandNotFound"
#define QMP_NO_DEVICE "DeviceNotFound"

struct qmp_call {
    struct machine *machine;
    struct program *program;     /* NULL: the machine was made by a test */
    struct qmp_session *session; /* NULL: from the human monitor */
    json_t *args;                /* an object whose members were checked against the row */
    json_t *ret;                 /* what the handler returns; NULL: {} */
    const char *error_class;
    struct error err;
};

/* A list of members is a text: "name:type name?:type" (? may be left out; " ..." at the end: any
 * others). A type is str, int, size, number, bool, any, the name of a row of qmp_types, or one of
 * these in [] for an array of it. */
struct qmp_command {
    const char *name;
    const char *args; /* members */
    const char *ret;  /* type; NULL: {} */
    bool (*run)(struct qmp_call *call);
    const char *help;
    const char
        *hmp; /* its name in the human monitor, where arguments stand in order; NULL: not there */
};

struct qmp_type {
    const char *name;
    enum { QMP_OBJECT, QMP_ENUM } kind;
    const char *members; /* QMP_OBJECT: members; QMP_ENUM: values */
};

struct qmp_event_row {
    const char *name, *args, *help;
};

extern const struct qmp_command
    qmp_commands[]; /* these three: qmp_commands.c; ended by a NULL name */
extern const struct qmp_type qmp_types[];
extern const struct qmp_event_row qmp_events[];

/* ---- qmp.c ---- */
struct qmp *qmp_create(struct program *p, struct machine *m, struct mainloop *loop);
void qmp_destroy(struct qmp *q); /* NULL is fine */
/* Listens on "unix:..." or "tcp:..." for any number of clients, or serves the one on another side.
 */
bool qmp_listen(struct qmp *q, const char *spec, struct error *err);
bool qmp_serve_chardev(struct qmp *q, struct chardev *c, struct error *err);
/* To every client that has negotiated; data may be NULL, and is given away. Lock held. */
void qmp_emit(struct qmp *q, const char *event, json_t *data);

/* Without a connection, for tests: a session whose output goes to write. */
struct qmp_session *qmp_session_create(struct qmp *q,
                                       void (*write)(void *opaque, const char *buf, size_t len),
                                       void *opaque);
void qmp_session_destroy(struct qmp_session *s);
void qmp_session_input(struct qmp_session *s, const uint8_t *buf, size_t len);
void qmp_session_negotiated(struct qmp_session *s);

/* ---- qmp_schema.c ---- */
const struct qmp_command *qmp_find(const char *name);
bool qmp_check_args(const struct qmp_command *c, json_t *args, struct error *err);
json_t *qmp_schema(void);
char *qmp_doc(void); /* docs/qmp.md; free() it */
/* "name: type name2?: type2 ..." one at a time: false at the end. */
struct qmp_member {
    char name[48], type[48];
    bool optional;
};
bool qmp_next_member(const char **text, struct qmp_member *m);

/* ---- qmp_actions.c ---- */
extern const char *const qmp_watchdog_actions[],
    *const qmp_panic_actions[]; /* by enum; ended by NULL */
bool qmp_set_action(struct qmp_call *c);
bool qmp_watchdog_set_action(struct qmp_call *c);
/* "panic=pause", ... of -action. */
bool actions_pair(void *machine, const char *key, const char *value, struct error *err);

/* ---- qmp_net.c, qmp_char.c ---- */
bool qmp_netdev_add(struct qmp_call *c);
bool qmp_netdev_del(struct qmp_call *c);
bool qmp_set_link(struct qmp_call *c);
bool qmp_query_rx_filter(struct qmp_call *c);
bool qmp_ringbuf_write(struct qmp_call *c);
bool qmp_ringbuf_read(struct qmp_call *c);
bool qmp_balloon(struct qmp_call *c);
bool qmp_query_balloon(struct qmp_call *c);
bool qmp_qom_set(struct qmp_call *c);
/* "guest-stats" of a balloon; NULL: no such property. */
json_t *qmp_balloon_property(struct device *d, const char *name);

/* ---- qmp_commands.c ---- */
bool qmp_fail(struct qmp_call *c, const char *class, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* qmp_query.c: the query-* rows' handlers. */
#define QMP_QUERIES(_)                                                                             \
    _(version)                                                                                     \
    _(status)                                                                                      \
    _(cpus_fast) _(name) _(uuid) _(kvm) _(chardev) _(block) _(pci) _(machines) _(cpu_definitions)  \
        _(hotpluggable_cpus) _(memory_size_summary)
#define QMP_DECLARE(n) bool qmp_query_##n(struct qmp_call *c);
QMP_QUERIES(QMP_DECLARE)
#undef QMP_DECLARE
/* qmp_display.c */
bool qmp_send_key(struct qmp_call *c);
bool qmp_input_send_event(struct qmp_call *c);
bool qmp_query_mice(struct qmp_call *c);
bool qmp_screendump(struct qmp_call *c);
bool qmp_query_display_options(struct qmp_call *c);
bool qmp_set_password(struct qmp_call *c);
bool qmp_expire_password(struct qmp_call *c);
bool qmp_query_vnc(struct qmp_call *c);
bool qmp_query_vnc_servers(struct qmp_call *c);

bool qmp_qom_list(struct qmp_call *c);
bool qmp_qom_get(struct qmp_call *c);
json_t *qmp_version(void);

#endif
