/* The monitor's commands: rows of its own, and those of QMP that have a name here. */
#include "control/control.h"
#include "control/monitor_internal.h"
#include "control/qmp.h"
#include "control/setup.h"
#include "hw/virtio/virtio_balloon.h"
#include "host/nearest.h"
#include "softmmu/debug.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST_LINE = 4096 };

/* ---- commands of QMP ---- */

static const struct qmp_command *find_qmp(const char *name)
{
    for (const struct qmp_command *q = qmp_commands; q->name; q++) {
        if (q->hmp && !strcmp(q->hmp, name)) {
            return q;
        }
    }
    return NULL;
}

/* One positional argument: a word, or what stands in quotes; a backslash takes the next character.
 */
static json_t *read_word(const char **text)
{
    const char *p = *text;
    char word[1024];
    size_t n = 0;
    char quote = *p == '"' || *p == '\'' ? *p++ : 0;

    while (*p && n < sizeof(word) - 1 && (quote ? *p != quote : *p != ' ' && *p != '\t')) {
        p += *p == '\\' && p[1];
        word[n++] = *p++;
    }
    p += quote && *p == quote;
    *text = p;
    return json_stringn(word, n);
}

/* An expression without blanks outside of brackets: "16 /tmp/file" is no division. */
static bool read_number(struct monitor_call *c, const char **text, uint64_t *v, struct error *err)
{
    char word[256];
    size_t n = 0;
    int depth = 0;
    const char *p = *text, *w = word;

    while (p[n] && n < sizeof(word) - 1 && (depth > 0 || (p[n] != ' ' && p[n] != '\t'))) {
        depth += (p[n] == '(') - (p[n] == ')');
        word[n] = p[n];
        n++;
    }
    word[n] = 0;
    *text = p + n;
    if (!monitor_eval(c, &w, v, err)) {
        return false;
    }
    return !*w || error_set(err, "'%.100s' is left over", w);
}

static bool read_args(struct monitor_call *c, const char *members, json_t *args, struct error *err)
{
    const char *p = c->arg;
    struct qmp_member m;
    uint64_t v;

    while (qmp_next_member(&members, &m)) {
        json_t *value;
        p += strspn(p, " \t");
        if (!*p) {
            return m.optional || error_set(err, "the argument '%s' is missing", m.name);
        }
        if (strcmp(m.type, "int") && strcmp(m.type, "size")) { /* text, or one of an enumeration */
            value = read_word(&p);
        } else {
            if (!read_number(c, &p, &v, err)) {
                return error_prefix(err, "%s", m.name);
            }
            value = json_integer((json_int_t)v);
        }
        if (!value) {
            return error_set(err, "%s is not UTF-8", m.name);
        }
        json_object_set_new(args, m.name, value);
    }
    p += strspn(p, " \t");
    return !*p || error_set(err, "'%.100s' is left over", p);
}

static void run_qmp(struct monitor_call *c, const struct qmp_command *q)
{
    struct qmp_call call = {.machine = c->machine, .program = control_program(c->machine)};

    call.args = json_object();
    if (read_args(c, q->args, call.args, &call.err)) {
        /* A command about a processor is about the one that was chosen. */
        if (strstr(q->args, "cpu-index") && !json_object_get(call.args, "cpu-index")) {
            json_object_set_new(call.args, "cpu-index", json_integer(c->ctx->cpu));
        }
        if (qmp_check_args(q, call.args, &call.err) && q->run(&call)) {
            call.err.msg[0] = 0;
        }
    }
    if (call.err.msg[0]) {
        fprintf(c->out, "Error: %s\n", call.err.msg);
    }
    json_decref(call.ret);
    json_decref(call.args);
}

/* ---- rows ---- */

static void run_line(struct monitor_call *c, const struct monitor_row *rows, bool with_qmp,
                     const char *what, const char *line);

static void print_row(FILE *out, const char *prefix, const char *name, const char *args,
                      const char *help)
{
    char left[80];

    snprintf(left, sizeof(left), "%s%s%s%s", prefix, name, *args ? " " : "", args);
    fprintf(out, "%-28s %s\n", left, help);
}

static void print_rows(const struct monitor_row *rows, const char *prefix, FILE *out)
{
    for (const struct monitor_row *r = rows; r->name; r++) {
        print_row(out, prefix, r->name, r->args, r->help);
    }
}

static void cmd_info(struct monitor_call *c)
{
    if (!*c->arg) {
        print_rows(monitor_info_rows, "info ", c->out);
        return;
    }
    run_line(c, monitor_info_rows, false, "info", c->arg);
}

static void cmd_help(struct monitor_call *c)
{
    bool all = !*c->arg, found = false;

    for (const struct monitor_row *r = monitor_rows; r->name; r++) {
        if (all || !strcmp(c->arg, r->name)) {
            print_row(c->out, "", r->name, r->args, r->help);
            found = true;
        }
    }
    for (const struct qmp_command *q = qmp_commands; q->name; q++) {
        if (q->hmp && (all || !strcmp(c->arg, q->hmp))) {
            char args[80] = "";
            const char *members = q->args;
            struct qmp_member m;
            while (qmp_next_member(&members, &m)) {
                size_t n = strlen(args);
                snprintf(args + n, sizeof(args) - n, m.optional ? "%s[%s]" : "%s%s", n ? " " : "",
                         m.name);
            }
            print_row(c->out, "", q->hmp, args, q->help);
            found = true;
        }
    }
    if (!found) {
        fprintf(c->out, "there is no command '%s'\n", c->arg);
    }
}

static void cmd_cont(struct monitor_call *c)
{
    run_qmp(c, find_qmp("cont"));
}

static void cmd_quit(struct monitor_call *c)
{
    run_qmp(c, find_qmp("quit"));
}

/* Steps the chosen processor and shows where each step led. */
static void cmd_step(struct monitor_call *c)
{
    enum { MOST = 10000 };
    struct error err = {0};
    char *end = NULL;
    unsigned long n = *c->arg ? strtoul(c->arg, &end, 0) : 1;

    if ((end && (end == c->arg || *end)) || n < 1 || n > MOST) {
        fprintf(c->out, "step: a number from 1 to %d\n", MOST);
        return;
    }
    while (n--) {
        if (!debug_step(c->machine, c->ctx->cpu, &err)) {
            fprintf(c->out, "step: %s\n", err.msg);
            return;
        }
        monitor_place(c);
    }
}

static void cmd_cpu(struct monitor_call *c)
{
    char *end;
    unsigned long n = strtoul(c->arg, &end, 0);

    if (end == c->arg || *end || n >= c->machine->nvcpus) {
        fprintf(c->out, "cpu: a number from 0 to %u\n", c->machine->nvcpus - 1);
    } else {
        c->ctx->cpu = (unsigned)n;
    }
}

const struct log *monitor_symbols(const struct monitor_call *c)
{
    struct program *p = control_program(c->machine);

    if (p) {
        setup_kernel_symbols(p);
    }
    return c->machine->log;
}

static void cmd_balloon(struct monitor_call *c)
{
    struct error err = {{0}};
    uint64_t bytes;

    if (!opt_size(c->arg, 1 << 20, &bytes) || !bytes) {
        fprintf(c->out, "balloon: '%s' is not a size in MiB\n", c->arg);
    } else if (!c->machine->devices || !balloon_set(c->machine, bytes, &err)) {
        fprintf(c->out, "balloon: %s\n", err.msg);
    }
}

static void cmd_log(struct monitor_call *c)
{
    struct program *p = control_program(c->machine);
    struct error err = {0};

    if (!p) {
        fputs("there is no log\n", c->out);
    } else if (!*c->arg) {
        char *text = log_help();
        fprintf(c->out, "log LIST or log none, LIST of:\n%s", text);
        free(text);
    } else if (!setup_log(p, c->arg, &err)) {
        fprintf(c->out, "Error: %s\n", err.msg);
    }
}

/* clang-format off */
const struct monitor_row monitor_rows[] = {
    {"hostfwd_add", "[ID] TCP|UDP:[HOST]:PORT-[GUEST]:PORT", "forward a port of the host to the guest", monitor_hostfwd_add, false},
    {"hostfwd_remove", "[ID] TCP|UDP:[HOST]:PORT", "forward it no longer", monitor_hostfwd_remove, false},
    {"set_link", "NAME on|off", "plug or unplug the cable of a card or network", monitor_set_link, false},
    {"netdev_add", "KIND,id=ID[,...]", "add a network", monitor_netdev_add, false},
    {"ringbuf_read", "ID SIZE", "read from a ring buffer character device", monitor_ringbuf_read, false},
    {"help", "[COMMAND]", "this list", cmd_help, false},
    {"?", "[COMMAND]", "the same", cmd_help, false},
    {"info", "[WHAT]", "show something; without WHAT: the list", cmd_info, false},
    {"eject", "[-f] DRIVE", "take the disc out of a drive", monitor_eject, false},
    {"change", "[-f] DRIVE FILE [FORMAT] | vnc password TEXT", "put another disc into a drive; set the password of VNC viewers",
     monitor_change, false},
    {"block_resize", "DRIVE SIZE", "change the size of a disk", monitor_block_resize, false},
    {"block_set_io_throttle", "DRIVE BPS BPS_RD BPS_WR IOPS IOPS_RD IOPS_WR", "limit a drive; 0: no limit",
     monitor_block_throttle, false},
    {"x", "/FMT ADDR", "virtual memory; FMT: count, x d u o c s i, b h w g", monitor_x, true},
    {"xp", "/FMT ADDR", "physical memory", monitor_xp, true},
    {"print", "/FMT EXPR", "value of an expression ($pc: linear address of the next instruction)", monitor_print, true},
    {"p", "/FMT EXPR", "the same", monitor_print, true},
    {"gva2gpa", "ADDR", "physical address of a virtual one", monitor_gva2gpa, true},
    {"cpu", "N", "choose the processor that commands are about", cmd_cpu, false},
    {"sendkey", "KEYS", "press keys, like ctrl-alt-delete", monitor_sendkey, false},
    {"mouse_move", "DX DY [DZ]", "move the pointer (a tablet: to DX DY, 0 to 32767) and the wheel", monitor_mouse_move, false},
    {"mouse_button", "N", "hold these buttons: 1 left, 2 right, 4 middle", monitor_mouse_button, false},
    {"screendump", "FILE [-f png|ppm]", "write what the screen shows to a file", monitor_screendump, false},
    {"log", "[LIST|none]", "what to log, as -d; without LIST: what there is", cmd_log, false},
    {"balloon", "MIB", "how much memory the guest should keep", cmd_balloon, false},
    {"step", "[N]", "let the processor run N instructions (1), the others none", cmd_step, false},
    {"c", "", "the same as cont", cmd_cont, false},
    {"q", "", "the same as quit", cmd_quit, false},
    {NULL, NULL, NULL, NULL, false},
};
/* clang-format on */

static size_t count_rows(const struct monitor_row *rows)
{
    size_t n = 0;

    while (rows[n].name) {
        n++;
    }
    return n;
}

/* What people will look for and this version has not. */
static const struct {
    const char *name, *why;
} absent[] = {
    {"screendump", "this version has no display"},
    {"savevm", "this version has no snapshots"},
    {"loadvm", "this version has no snapshots"},
    {"gpa2hva", "guest memory has no address to give away: pmemsave writes it to a file"},
};

static void unknown(struct monitor_call *c, const struct monitor_row *rows, bool with_qmp,
                    const char *what, const char *word)
{
    const char *near = nearest_name(word, &rows[0].name, count_rows(rows), sizeof(rows[0]));

    for (size_t i = 0; with_qmp && i < sizeof(absent) / sizeof(absent[0]); i++) {
        if (!strcmp(word, absent[i].name)) {
            fprintf(c->out, "%s: %s\n", word, absent[i].why);
            return;
        }
    }
    for (const struct qmp_command *q = qmp_commands; with_qmp && q->name; q++) {
        if (q->hmp && (!near || nearest_distance(word, q->hmp) < nearest_distance(word, near)) &&
            nearest_name(word, &q->hmp, 1, sizeof(*q))) {
            near = q->hmp;
        }
    }
    fprintf(c->out, "unknown %s '%s'%s\n", what, word, nearest_hint(near, NULL).text);
}

static void run_line(struct monitor_call *c, const struct monitor_row *rows, bool with_qmp,
                     const char *what, const char *line)
{
    char word[64], fmt[32];
    size_t len = strcspn(line, " \t/"), n = 0;
    const struct qmp_command *q;

    snprintf(word, sizeof(word), "%.*s", (int)(len < 63 ? len : 63), line);
    line += len;
    if (line[strspn(line, " \t")] == '/') { /* x/4i and x /4i */
        line += strspn(line, " \t");
        n = strcspn(++line, " \t");
        snprintf(fmt, sizeof(fmt), "%.*s", (int)(n < 31 ? n : 31), line);
        line += n;
    }
    c->fmt = n ? fmt : "";
    c->arg = line + strspn(line, " \t");
    for (const struct monitor_row *r = rows; r->name; r++) {
        if (!strcmp(r->name, word)) {
            if (r->exact) {
                control_freeze(c->machine);
            }
            r->run(c);
            if (r->exact) {
                control_thaw(c->machine);
            }
            return;
        }
    }
    q = with_qmp ? find_qmp(word) : NULL;
    if (q) {
        run_qmp(c, q);
    } else {
        unknown(c, rows, with_qmp, what, word);
    }
}

char *monitor_run(struct monitor_context *ctx, const char *line)
{
    char *text = NULL, copy[LONGEST_LINE];
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    struct monitor_call c = {.ctx = ctx, .machine = ctx->machine, .out = out};

    if (!out) {
        abort();
    }
    line += strspn(line, " \t\r\n");
    snprintf(copy, sizeof(copy), "%s", line);
    for (len = strlen(copy); len && strchr(" \t\r\n", copy[len - 1]);) {
        copy[--len] = 0;
    }
    if (*copy) {
        run_line(&c, monitor_rows, true, "command", copy);
    }
    fclose(out);
    return text;
}

char *monitor_execute(struct machine *m, const char *line)
{
    struct monitor_context ctx = {m, 0};

    return monitor_run(&ctx, line);
}

/* ---- completion ---- */

static void offer(const char *name, const char *start, size_t n, char *common, unsigned *found,
                  FILE *list)
{
    if (strncmp(name, start, n)) {
        return;
    }
    if (!*found) {
        snprintf(common, MONITOR_WORD, "%s", name);
    } else {
        size_t k = 0;
        while (common[k] && common[k] == name[k]) {
            k++;
        }
        common[k] = 0;
    }
    fprintf(list, "%s%s", *found ? "  " : "", name);
    ++*found;
}

unsigned monitor_complete(const char *line, char *common, char **list)
{
    const char *word = line + strspn(line, " \t");
    bool info = !strncmp(word, "info ", 5), help = !strncmp(word, "help ", 5);
    size_t len = 0;
    unsigned found = 0;
    FILE *f = open_memstream(list, &len);

    common[0] = 0;
    if (info || help) {
        word += 5 + strspn(word + 5, " \t");
    }
    size_t n = strlen(word);
    if (!strpbrk(word, " \t")) {
        for (const struct monitor_row *r = info ? monitor_info_rows : monitor_rows; r->name; r++) {
            offer(r->name, word, n, common, &found, f);
        }
        for (const struct qmp_command *q = qmp_commands; !info && q->name; q++) {
            if (q->hmp) {
                offer(q->hmp, word, n, common, &found, f);
            }
        }
    }
    fclose(f);
    if (found) {
        memmove(common, common + n, strlen(common + n) + 1);
    }
    return found;
}
