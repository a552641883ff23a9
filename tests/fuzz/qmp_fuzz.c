/* Fuzz target: what QMP clients send, and lines typed into the human monitor, to a whole PC that
 * does not run: disks in memory, a network card, a screen. The first byte chooses: calls that are
 * made from the table of commands, with arguments of the right types or nearly; bytes as they are,
 * in two pieces; or lines for the monitor. What comes back must be JSON, a line a message.
 *
 * Commands that write files are left out; the process gives up root's rights, if it has them, and
 * works in a folder it cannot write to. qmp.dict has the monitors' words. */
#include "control/monitor.h"
#include "control/qmp.h"
#include "control/setup.h"
#include "host/mainloop.h"
#include "tests/fuzz/fuzz.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOBODY = 65534, MAX_DEPTH = 4, MAX_CALLS = 24, DISK = 256 << 10 };

static struct program program;
static struct qmp *qmp;

static void check_output(void *opaque, const char *text, size_t len)
{
    json_error_t why;
    json_t *msg = json_loadb(text, len, 0, &why);

    (void)opaque;
    if (!msg || len < 2 || text[len - 1] != '\n') {
        abort();
    }
    json_decref(msg);
}

static void set_up(void)
{
    static char *argv[] = {"dragoman",
                           "-S",
                           "-nodefaults",
                           "-display",
                           "none",
                           "-m",
                           "4",
                           "-accel",
                           "interp",
                           "-vga",
                           "std",
                           "-drive",
                           "id=d0,if=none,format=raw,file=/dev/null",
                           "-device",
                           "virtio-blk-pci,drive=d0,id=disk",
                           "-drive",
                           "id=cd0,if=none,media=cdrom,format=raw,file=/dev/zero",
                           "-device",
                           "ide-cd,drive=cd0,id=cd",
                           "-netdev",
                           "hubport,id=n0,hubid=0",
                           "-device",
                           "e1000,netdev=n0,id=net,romfile=",
                           "-device",
                           "virtio-balloon-pci,id=b0",
                           "-device",
                           "virtio-tablet-pci",
                           "-chardev",
                           "ringbuf,id=r0,size=4096",
                           "-serial",
                           "chardev:r0"};
    struct error err = {{0}};
    char folder[] = "/tmp/dragoman-fuzz.XXXXXX";

    signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < MEMORY_FILES; i++) {
        memory_file[i].data = calloc(1, DISK);
        memory_file[i].size = memory_file[i].limit = DISK;
    }
    if (!mkdtemp(folder) || chmod(folder, 0555) || chdir(folder)) {
        abort();
    }
    if (!geteuid() && (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))) {
        abort();
    }
    if (!options_parse(&program.opt, sizeof(argv) / sizeof(argv[0]), argv, &err) ||
        !program_setup(&program, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    qmp = qmp_create(&program, program.machine, program.loop);
}

/* ---- calls from the table ---- */

static const struct qmp_type *find_type(const char *name)
{
    for (const struct qmp_type *t = qmp_types; t->name; t++) {
        if (!strcmp(t->name, name)) {
            return t;
        }
    }
    return NULL;
}

static json_t *make_string(struct input *in)
{
    static const char *const words[] = {"d0",
                                        "disk",
                                        "cd0",
                                        "cd",
                                        "n0",
                                        "net",
                                        "b0",
                                        "r0",
                                        "/dev/null",
                                        "/dev/zero",
                                        "/dev/full",
                                        "/nowhere",
                                        "raw",
                                        "qcow2",
                                        "file",
                                        "node0",
                                        "node1",
                                        "/machine",
                                        "/machine/peripheral/b0",
                                        "guest-stats-polling-interval",
                                        "type",
                                        "info registers",
                                        "rax",
                                        "",
                                        "0",
                                        "-1",
                                        "on",
                                        "off",
                                        "json:{}",
                                        "#block000",
                                        "utf8",
                                        "base64",
                                        "user",
                                        "hubport",
                                        "socket",
                                        "vnc",
                                        "x0"};
    unsigned n = take(in, 1);
    char text[64];

    if (n < 4 * sizeof(words) / sizeof(words[0])) {
        return json_string(words[n / 4]);
    }
    n &= 31;
    for (unsigned i = 0; i < n; i++) {
        text[i] = (char)(' ' + take(in, 1) % 95);
    }
    return json_stringn(text, n);
}

static json_t *make_object(struct input *in, const char *members, unsigned depth);

static json_t *make_value(struct input *in, const char *type, unsigned depth)
{
    static const int64_t numbers[] = {0, 1, 2, 512, 4096, 65536, -1, INT64_MAX, INT64_MIN, 1 << 20};
    const struct qmp_type *t = find_type(type);
    unsigned how = take(in, 1);

    if (how >= 250) { /* another type */
        type = how & 1 ? "int" : "str";
        t = NULL;
    }
    if (type[0] == '[') {
        json_t *array = json_array();
        char item[48];
        snprintf(item, sizeof(item), "%.*s", (int)strlen(type) - 2, type + 1);
        for (unsigned n = how & 3; n && depth < MAX_DEPTH; n--) {
            json_array_append_new(array, make_value(in, item, depth + 1));
        }
        return array;
    }
    if (t && t->kind == QMP_OBJECT) {
        return depth < MAX_DEPTH ? make_object(in, t->members, depth + 1) : json_object();
    }
    if (t) {
        const char *p = t->members;
        for (how %= 16; how && *p; how--) {
            p += strcspn(p, " ");
            p += strspn(p, " ");
        }
        p = *p ? p : t->members;
        return json_stringn(p, strcspn(p, " "));
    }
    if (!strcmp(type, "bool")) {
        return json_boolean(how & 1);
    }
    if (!strcmp(type, "int") || !strcmp(type, "size") || !strcmp(type, "number")) {
        return json_integer(how & 1 ? numbers[(how >> 1) % 10] : (int64_t)take(in, 1 + (how >> 6)));
    }
    return make_string(in);
}

static json_t *make_object(struct input *in, const char *members, unsigned depth)
{
    static const char *const others[] = {"file",    "driver", "filename", "read-only", "cache",
                                         "backing", "type",   "id",       "x"};
    json_t *o = json_object();
    struct qmp_member m;

    while (members && qmp_next_member(&members, &m)) {
        unsigned how = take(in, 1);
        if (how < (m.optional ? 100 : 245)) {
            json_object_set_new(o, m.name, make_value(in, m.type, depth));
        }
    }
    if (members && strstr(members, "...")) {
        for (unsigned n = take(in, 1) & 3; n; n--) {
            const char *name = others[take(in, 1) % (sizeof(others) / sizeof(others[0]))];
            json_object_set_new(o, name,
                                depth < MAX_DEPTH && take(in, 1) & 1
                                    ? make_object(in, " ...", depth + 1)
                                    : make_string(in));
        }
    }
    return o;
}

/* A line that would write a file, or much of one. */
static bool names_file(const char *data, size_t size)
{
    return memmem(data, size, "memsave", 7) || memmem(data, size, "logfile", 7);
}

static void call(struct qmp_session *s, struct input *in)
{
    unsigned n = 0;

    while (qmp_commands[n].name) {
        n++;
    }
    const struct qmp_command *c = &qmp_commands[take(in, 1) % n];
    if (names_file(c->name, strlen(c->name))) {
        return;
    }
    json_t *msg = json_pack("{s:s,s:o,s:i}", "execute", c->name, "arguments",
                            make_object(in, c->args, 0), "id", 1);
    char *text = json_dumps(msg, JSON_COMPACT);
    qmp_session_input(s, (const uint8_t *)text, strlen(text));
    qmp_session_input(s, (const uint8_t *)"\n", 1);
    free(text);
    json_decref(msg);
}

static void lines(struct machine *m, const uint8_t *data, size_t size)
{
    struct monitor_context ctx = {m, 0};
    char *copy = calloc(1, size + 1), *save = NULL, common[MONITOR_WORD], *list;

    memcpy(copy, data, size);
    for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        monitor_complete(l, common, &list);
        free(list);
        free(monitor_run(&ctx, l));
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    unsigned how = take(&in, 1) & 3;
    struct machine *m;

    if (!qmp) {
        set_up();
    }
    m = program.machine;
    if (names_file((const char *)data, size)) {
        return -1;
    }
    machine_lock(m);
    struct qmp_session *s = qmp_session_create(qmp, check_output, NULL);
    qmp_session_negotiated(s);
    size_t left = (size_t)(in.end - in.p);
    if (how == 1) {
        qmp_session_input(s, in.p, left / 2);
        qmp_session_input(s, in.p + left / 2, left - left / 2);
    } else if (how == 2) {
        lines(m, in.p, left);
    } else {
        for (unsigned i = 0; i < MAX_CALLS && more(&in); i++) {
            call(s, &in);
        }
    }
    qmp_session_destroy(s);
    atomic_store(&m->requests, 0);
    machine_unlock(m);
    machine_set_running(m, false);
    machine_lock(m);
    machine_unlock(m);
    m->wake_main(m->wake_opaque);
    mainloop_step(program.loop);
    atomic_store(&m->requests, 0);
    return 0;
}
