/* The packets of GDB's remote protocol that read, write and run the machine: one row each. Queries
 * are in gdb_query.c. From appendix E of GDB's manual.
 *
 * Processors are the threads of process 1, numbered from 1. Left out: signals given to the program
 * (there is none), file I/O, tracepoints, reverse execution, breakpoint commands. */
#include "control/gdb_session.h"
#include "softmmu/debug.h"
#include "softmmu/machine.h"
#include "softmmu/tlb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { E_ARGS = 0x16 /* EINVAL */, E_FAULT = 0x0e, E_RUNNING = 0x10, E_NOMEM = 0x0c };

/* ---- answers ---- */

void gdb_error(struct gdb_session *s, unsigned code)
{
    s->reply.len = 0;
    gdb_printf(&s->reply, "E%02x", code);
}

void gdb_ok(struct gdb_session *s)
{
    gdb_put(&s->reply, "OK", 2);
}

void gdb_send(struct gdb_session *s, char start, const struct gdb_buf *b)
{
    s->sent.len = 0;
    s->sent.failed = false;
    gdb_frame(&s->sent, start, b->data, b->len);
    if (!s->sent.failed) {
        s->write(s->opaque, s->sent.data, s->sent.len);
    }
}

struct x86_cpu *gdb_cpu(struct gdb_session *s, unsigned cpu)
{
    return x86_cpu(s->machine->vcpus[cpu]);
}

void gdb_put_thread(struct gdb_session *s, unsigned cpu)
{
    gdb_printf(&s->reply, s->multiprocess ? "p1.%x" : "%x", cpu + 1);
}

bool gdb_get_thread(struct gdb_session *s, const char **p, const char *end, int *cpu)
{
    uint64_t n;

    if (gdb_skip(p, end, 'p')) {
        if (!gdb_skip_text(p, end, "-1") && (!gdb_hex_number(p, end, &n) || n > 1)) {
            return false;
        }
        if (!gdb_skip(p, end, '.')) {
            *cpu = -1;
            return true;
        }
    }
    if (gdb_skip_text(p, end, "-1")) {
        *cpu = -1;
        return true;
    }
    if (!gdb_hex_number(p, end, &n) || n > s->machine->nvcpus) {
        return false;
    }
    *cpu = n ? (int)n - 1 : -2;
    return true;
}

/* ---- registers ---- */

static bool running(struct gdb_session *s)
{
    if (debug_is_stopped(s->machine, s->cpu)) {
        return false;
    }
    gdb_error(s, E_RUNNING);
    return true;
}

static void cmd_read_all(struct gdb_session *s, const char *p, const char *end)
{
    uint8_t buf[GDB_REG_MAX];
    unsigned size;

    (void)p;
    (void)end;
    if (running(s)) {
        return;
    }
    for (unsigned n = 0; (size = gdb_reg_size((enum gdb_arch)s->arch, gdb_cpu(s, s->cpu), n));
         n++) {
        gdb_reg_read((enum gdb_arch)s->arch, gdb_cpu(s, s->cpu), n, buf);
        gdb_put_hex(&s->reply, buf, size);
    }
}

static void cmd_write_all(struct gdb_session *s, const char *p, const char *end)
{
    uint8_t buf[GDB_REG_MAX];
    unsigned size;

    if (running(s)) {
        return;
    }
    for (unsigned n = 0; (size = gdb_reg_size((enum gdb_arch)s->arch, gdb_cpu(s, s->cpu), n));
         n++) {
        if (p == end) {
            break; /* a debugger may know the first ones only */
        }
        if (!gdb_hex_bytes(&p, end, buf, size)) {
            gdb_error(s, E_ARGS);
            return;
        }
        /* What may not be changed is left as it is: this packet writes all or nothing by design. */
        (void)gdb_reg_write((enum gdb_arch)s->arch, gdb_cpu(s, s->cpu), n, buf);
    }
    gdb_ok(s);
}

static void cmd_read_reg(struct gdb_session *s, const char *p, const char *end)
{
    uint8_t buf[GDB_REG_MAX];
    uint64_t n;

    if (running(s)) {
        return;
    }
    unsigned size = gdb_hex_number(&p, end, &n) && p == end && n < 1000
                        ? gdb_reg_size((enum gdb_arch)s->arch, gdb_cpu(s, s->cpu), (unsigned)n)
                        : 0;
    if (!size) {
        gdb_error(s, E_ARGS);
        return;
    }
    gdb_reg_read((enum gdb_arch)s->arch, gdb_cpu(s, s->cpu), (unsigned)n, buf);
    gdb_put_hex(&s->reply, buf, size);
}

static void cmd_write_reg(struct gdb_session *s, const char *p, const char *end)
{
    uint8_t buf[GDB_REG_MAX];
    unsigned size = 0;
    uint64_t n;

    if (running(s)) {
        return;
    }
    if (gdb_hex_number(&p, end, &n) && gdb_skip(&p, end, '=') && n < 1000) {
        size = gdb_reg_size((enum gdb_arch)s->arch, gdb_cpu(s, s->cpu), (unsigned)n);
    }
    if (!size || !gdb_hex_bytes(&p, end, buf, size) || p != end ||
        !gdb_reg_write((enum gdb_arch)s->arch, gdb_cpu(s, s->cpu), (unsigned)n, buf)) {
        gdb_error(s, E_ARGS);
        return;
    }
    gdb_ok(s);
}

/* ---- memory ---- */

size_t gdb_read_memory(struct gdb_session *s, uint64_t addr, uint8_t *buf, size_t len)
{
    struct vcpu *v = s->machine->vcpus[s->cpu];
    size_t done = 0;

    machine_set_current_vcpu(v); /* so that its local APIC is seen */
    while (done < len) {
        size_t n = 4096 - ((addr + done) & 4095);
        n = n < len - done ? n : len - done;
        bool ok = s->physical ? memory_read(s->machine->memory, addr + done, buf + done, n)
                              : vcpu_read_virtual(v, addr + done, buf + done, n);
        if (!ok) {
            break;
        }
        done += n;
    }
    machine_set_current_vcpu(NULL);
    return done;
}

static bool write_memory(struct gdb_session *s, uint64_t addr, const uint8_t *buf, size_t len)
{
    struct vcpu *v = s->machine->vcpus[s->cpu];

    machine_set_current_vcpu(v);
    bool ok = s->physical ? memory_write_rom(s->machine->memory, addr, buf, len)
                          : vcpu_write_virtual(v, addr, buf, len);
    machine_set_current_vcpu(NULL);
    return ok;
}

static bool range(const char **p, const char *end, uint64_t *addr, uint64_t *len)
{
    return gdb_hex_number(p, end, addr) && gdb_skip(p, end, ',') && gdb_hex_number(p, end, len);
}

/* Reads what is asked for as far as it exists; NULL after an error was put. free() it. */
static uint8_t *read_range(struct gdb_session *s, const char *p, const char *end, size_t *got)
{
    uint64_t addr, len;

    if (!range(&p, end, &addr, &len) || p != end || len > GDB_PACKET_MAX / 2 - 64) {
        gdb_error(s, E_ARGS);
        return NULL;
    }
    uint8_t *buf = malloc(len + 1);
    if (!buf) {
        gdb_error(s, E_NOMEM);
        return NULL;
    }
    *got = gdb_read_memory(s, addr, buf, len);
    if (!*got && len) {
        gdb_error(s, E_FAULT);
        free(buf);
        return NULL;
    }
    return buf;
}

static void cmd_read_memory(struct gdb_session *s, const char *p, const char *end)
{
    size_t got;
    uint8_t *buf = read_range(s, p, end, &got);

    if (buf) {
        gdb_put_hex(&s->reply, buf, got);
        free(buf);
    }
}

static void cmd_read_binary(struct gdb_session *s, const char *p, const char *end)
{
    size_t got;
    uint8_t *buf = read_range(s, p, end, &got);

    if (buf) {
        gdb_put(&s->reply, "b", 1);
        gdb_put(&s->reply, buf, got);
        free(buf);
    }
}

static void put_written(struct gdb_session *s, uint64_t addr, const uint8_t *buf, size_t len)
{
    if (write_memory(s, addr, buf, len)) {
        gdb_ok(s);
    } else {
        gdb_error(s, E_FAULT);
    }
}

static void cmd_write_memory(struct gdb_session *s, const char *p, const char *end)
{
    uint64_t addr, len;

    if (!range(&p, end, &addr, &len) || !gdb_skip(&p, end, ':') || (size_t)(end - p) % 2 ||
        len != (uint64_t)(end - p) / 2) {
        gdb_error(s, E_ARGS);
        return;
    }
    uint8_t *buf = malloc(len + 1);
    if (!buf || !gdb_hex_bytes(&p, end, buf, len)) {
        gdb_error(s, E_ARGS);
    } else {
        put_written(s, addr, buf, len);
    }
    free(buf);
}

static void cmd_write_binary(struct gdb_session *s, const char *p, const char *end)
{
    uint64_t addr, len;

    if (!range(&p, end, &addr, &len) || !gdb_skip(&p, end, ':') || len != (uint64_t)(end - p)) {
        gdb_error(s, E_ARGS);
        return;
    }
    put_written(s, addr, (const uint8_t *)p, len);
}

/* ---- breakpoints ---- */

/* ;Xlen,code... after a breakpoint. *cond NULL: none. */
static bool get_conditions(const char *p, const char *end, struct debug_condition **cond)
{
    uint64_t n;
    uint32_t len = 0;

    *cond = NULL;
    while (p < end) {
        if (!gdb_skip(&p, end, ';')) {
            break;
        }
        while (gdb_skip(&p, end, 'X')) {
            if (!gdb_hex_number(&p, end, &n) || !gdb_skip(&p, end, ',') ||
                n > (uint64_t)(end - p) / 2) {
                goto bad;
            }
            uint32_t piece = (uint32_t)n;
            struct debug_condition *more =
                realloc(*cond, sizeof(**cond) + len + sizeof(piece) + piece);
            if (!more) {
                goto bad;
            }
            *cond = more;
            memcpy(more->code + len, &piece, sizeof(piece));
            if (!gdb_hex_bytes(&p, end, more->code + len + sizeof(piece), piece)) {
                goto bad;
            }
            len += (uint32_t)sizeof(piece) + piece;
            more->len = len;
        }
    }
    if (p == end) {
        return true;
    }
bad: /* also cmds:, which we do not offer */
    free(*cond);
    *cond = NULL;
    return false;
}

static void set_point(struct gdb_session *s, const char *p, const char *end, bool insert)
{
    static const unsigned masks[] = {[2] = 1u << ACCESS_WRITE,
                                     [3] = 1u << ACCESS_READ,
                                     [4] = 1u << ACCESS_WRITE | 1u << ACCESS_READ};
    uint64_t type, addr, len;
    struct debug_condition *cond = NULL;
    bool ok;

    if (!gdb_hex_number(&p, end, &type) || !gdb_skip(&p, end, ',') ||
        !range(&p, end, &addr, &len)) {
        gdb_error(s, E_ARGS);
        return;
    }
    if (type > 4) {
        return; /* a kind that does not exist: the empty answer */
    }
    if (type < 2) {
        ok = get_conditions(p, end, &cond);
        if (ok && insert) {
            ok = debug_add_break(s->machine, addr, type == 1, cond);
        } else {
            free(cond);
            if (ok) {
                debug_remove_break(s->machine, addr, type == 1); /* may be gone already */
            }
        }
    } else if (insert) {
        ok = debug_add_watch(s->machine, addr, len, masks[type]);
    } else {
        debug_remove_watch(s->machine, addr, len, masks[type]);
        ok = true;
    }
    if (ok) {
        gdb_ok(s);
    } else {
        gdb_error(s, E_ARGS);
    }
}

static void cmd_insert(struct gdb_session *s, const char *p, const char *end)
{
    set_point(s, p, end, true);
}

static void cmd_remove(struct gdb_session *s, const char *p, const char *end)
{
    set_point(s, p, end, false);
}

/* ---- running ---- */

static void resume(struct gdb_session *s, const struct debug_action *act)
{
    for (unsigned i = 0; !s->nonstop && i < s->machine->nvcpus; i++) {
        /* A watchpoint was hit at the same time as what was told last: that comes first. (Others
         * will be hit again.) */
        if (debug_last_stop(s->machine, i, NULL).kind == DEBUG_STOP_WATCH && i != s->cpu) {
            bool fresh;
            debug_last_stop(s->machine, i, &fresh);
            if (fresh) {
                s->cpu = s->cont_cpu = i;
                gdb_put_stop(s, i, false);
                return;
            }
        }
    }
    s->waiting = true;
    debug_resume(s->machine, act);
}

/* c and s: the thread chosen by Hc. */
static void resume_old(struct gdb_session *s, const char *p, const char *end, bool step)
{
    struct debug_action act[256] = {{DEBUG_HOLD, 0, 0}};
    uint64_t addr;

    if (p < end) {
        uint8_t buf[GDB_REG_MAX] = {0};
        if (!gdb_hex_number(&p, end, &addr) || p != end) {
            gdb_error(s, E_ARGS);
            return;
        }
        memcpy(buf, &addr, sizeof(addr));
        gdb_reg_write((enum gdb_arch)s->arch, gdb_cpu(s, s->cpu),
                      gdb_reg_pc((enum gdb_arch)s->arch), buf);
    }
    if (s->nonstop || s->waiting) {
        gdb_error(s, E_RUNNING);
        return;
    }
    for (unsigned i = 0; i < s->machine->nvcpus; i++) {
        act[i].kind = step || !s->cont_all ? DEBUG_HOLD : DEBUG_RUN;
    }
    act[s->cont_all ? s->cpu : s->cont_cpu].kind = step ? DEBUG_STEP : DEBUG_RUN;
    resume(s, act);
}

static void cmd_continue(struct gdb_session *s, const char *p, const char *end)
{
    resume_old(s, p, end, false);
}

static void cmd_step(struct gdb_session *s, const char *p, const char *end)
{
    resume_old(s, p, end, true);
}

/* C and S: the signal means nothing to a machine. */
static void skip_signal(const char **p, const char *end)
{
    uint64_t sig;

    gdb_hex_number(p, end, &sig);
    gdb_skip(p, end, ';');
}

static void cmd_continue_signal(struct gdb_session *s, const char *p, const char *end)
{
    skip_signal(&p, end);
    resume_old(s, p, end, false);
}

static void cmd_step_signal(struct gdb_session *s, const char *p, const char *end)
{
    skip_signal(&p, end);
    resume_old(s, p, end, true);
}

enum { ACT_NONE = -1, ACT_HALT = -2 };

/* One action of vCont; *kind: enum debug_action_kind or ACT_HALT. */
static bool get_action(const char **p, const char *end, int *kind, struct debug_action *act)
{
    uint64_t sig;

    *act = (struct debug_action){0};
    if (*p == end) {
        return false;
    }
    switch (*(*p)++) {
    case 'C':
        if (!gdb_hex_number(p, end, &sig)) {
            return false;
        }
        /* fall through */
    case 'c':
        *kind = act->kind = DEBUG_RUN;
        return true;
    case 'S':
        if (!gdb_hex_number(p, end, &sig)) {
            return false;
        }
        /* fall through */
    case 's':
        *kind = act->kind = DEBUG_STEP;
        return true;
    case 'r':
        *kind = act->kind = DEBUG_STEP;
        return gdb_hex_number(p, end, &act->start) && gdb_skip(p, end, ',') &&
               gdb_hex_number(p, end, &act->end);
    case 't':
        *kind = ACT_HALT;
        return true;
    default:
        return false;
    }
}

static void cmd_vcont(struct gdb_session *s, const char *p, const char *end)
{
    struct debug_action act[256], one;
    int chosen[256], kind, cpu;
    bool any = false;

    for (unsigned i = 0; i < s->machine->nvcpus; i++) {
        chosen[i] = ACT_NONE;
        act[i] = (struct debug_action){DEBUG_HOLD, 0, 0};
    }
    while (p < end) {
        cpu = -1;
        if (!gdb_skip(&p, end, ';') || !get_action(&p, end, &kind, &one) ||
            (gdb_skip(&p, end, ':') && !gdb_get_thread(s, &p, end, &cpu))) {
            gdb_error(s, E_ARGS);
            return;
        }
        cpu = cpu == -2 ? (int)s->cpu : cpu;
        for (unsigned i = 0; i < s->machine->nvcpus; i++) {
            if (chosen[i] == ACT_NONE && (cpu < 0 || cpu == (int)i)) {
                chosen[i] = kind;
                act[i] = one;
                any = true;
            }
        }
    }
    if (!any) {
        gdb_error(s, E_ARGS);
    } else if (!s->nonstop) {
        if (s->waiting) {
            gdb_error(s, E_RUNNING);
        } else {
            resume(s, act);
        }
    } else {
        gdb_ok(s);
        gdb_send(s, '$', &s->reply);
        s->reply.len = 0;
        for (unsigned i = 0; i < s->machine->nvcpus; i++) {
            bool stopped = debug_is_stopped(s->machine, i);
            if (chosen[i] == ACT_HALT && !stopped) {
                debug_halt_one(s->machine, i);
            } else if (chosen[i] >= 0 && stopped) {
                debug_resume_one(s->machine, i, &act[i]);
            }
        }
        gdb_notify(s);
        s->no_ack_next = true; /* the answer is out */
    }
}

static void cmd_why(struct gdb_session *s, const char *p, const char *end)
{
    (void)p;
    (void)end;
    if (!s->nonstop) {
        if (s->machine->state == RUN_RUNNING) {
            debug_halt(s->machine);
        }
        gdb_report_stop(s);
        return;
    }
    for (unsigned i = 0; i < s->machine->nvcpus; i++) {
        if (debug_is_stopped(s->machine, i)) {
            debug_mark_fresh(s->machine, i);
        }
    }
    if (gdb_next_fresh(s)) {
        /* The others are told of by a notification: two stops in the answers to this packet and
         * vStopped make GDB 13 abort. */
        s->tell_others = true;
    } else {
        gdb_ok(s);
    }
}

static void cmd_stopped(struct gdb_session *s, const char *p, const char *end)
{
    (void)p;
    (void)end;
    if (s->tell_others || !gdb_next_fresh(s)) {
        s->notified = false;
        gdb_ok(s);
    }
}

static void interrupt(struct gdb_session *s)
{
    if (s->nonstop) {
        for (unsigned i = 0; i < s->machine->nvcpus; i++) {
            if (!debug_is_stopped(s->machine, i)) {
                debug_halt_one(s->machine, i);
            }
        }
        gdb_notify(s);
    } else if (s->waiting) {
        debug_halt(s->machine);
        gdb_on_stopped(s);
    }
}

static void cmd_ctrl_c(struct gdb_session *s, const char *p, const char *end)
{
    (void)p;
    (void)end;
    gdb_ok(s);
    gdb_send(s, '$', &s->reply);
    s->reply.len = 0;
    s->no_ack_next = true;
    interrupt(s);
}

/* ---- threads and the session ---- */

static void cmd_choose(struct gdb_session *s, const char *p, const char *end)
{
    int cpu;
    char op = p < end ? *p++ : 0;

    if ((op != 'g' && op != 'c') || !gdb_get_thread(s, &p, end, &cpu) || p != end) {
        gdb_error(s, E_ARGS);
        return;
    }
    if (op == 'g') {
        s->cpu = cpu >= 0 ? (unsigned)cpu : s->cpu;
    } else {
        s->cont_all = cpu < 0;
        s->cont_cpu = cpu >= 0 ? (unsigned)cpu : s->cpu;
    }
    gdb_ok(s);
}

static void cmd_alive(struct gdb_session *s, const char *p, const char *end)
{
    int cpu;

    if (gdb_get_thread(s, &p, end, &cpu) && p == end) {
        gdb_ok(s);
    } else {
        gdb_error(s, E_ARGS);
    }
}

static void cmd_detach(struct gdb_session *s, const char *p, const char *end)
{
    (void)p;
    (void)end;
    gdb_ok(s);
    gdb_send(s, '$', &s->reply);
    s->reply.len = 0;
    s->done = s->detached = true;
}

static void cmd_kill(struct gdb_session *s, const char *p, const char *end)
{
    (void)p;
    (void)end;
    s->done = true;
    machine_exit(s->machine, 0);
}

static void cmd_vkill(struct gdb_session *s, const char *p, const char *end)
{
    gdb_ok(s);
    gdb_send(s, '$', &s->reply);
    s->reply.len = 0;
    cmd_kill(s, p, end);
}

static void cmd_vcont_list(struct gdb_session *s, const char *p, const char *end)
{
    (void)p;
    (void)end;
    gdb_printf(&s->reply, "vCont;c;C;s;S;t;r");
}

static void cmd_no_reverse(struct gdb_session *s, const char *p, const char *end)
{
    (void)p;
    (void)end;
    gdb_error(s, E_ARGS); /* nothing was recorded */
}

/* Longer names before their beginnings. A name that ends in a letter of more than one takes its
 * arguments behind ';' or ':' or none. */
static const struct command {
    const char *name;
    void (*run)(struct gdb_session *s, const char *p, const char *end);
} commands[] = {
    {"vCont?", cmd_vcont_list},
    {"vCont", cmd_vcont},
    {"vCtrlC", cmd_ctrl_c},
    {"vKill", cmd_vkill},
    {"vStopped", cmd_stopped},
    {"bs", cmd_no_reverse},
    {"bc", cmd_no_reverse},
    {"?", cmd_why},
    {"c", cmd_continue},
    {"C", cmd_continue_signal},
    {"D", cmd_detach},
    {"g", cmd_read_all},
    {"G", cmd_write_all},
    {"H", cmd_choose},
    {"k", cmd_kill},
    {"m", cmd_read_memory},
    {"M", cmd_write_memory},
    {"p", cmd_read_reg},
    {"P", cmd_write_reg},
    {"s", cmd_step},
    {"S", cmd_step_signal},
    {"T", cmd_alive},
    {"x", cmd_read_binary},
    {"X", cmd_write_binary},
    {"z", cmd_remove},
    {"Z", cmd_insert},
};

static bool run_command(struct gdb_session *s, const char *text, const char *end)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const char *p = text;
        if (gdb_skip_text(&p, end, commands[i].name) &&
            (!commands[i].name[1] || p == end || *p == ';' || *p == ':')) {
            commands[i].run(s, p, end);
            return true;
        }
    }
    return false;
}

static void packet(struct gdb_session *s)
{
    const char *text = (const char *)s->parser.in.data, *end = text + s->parser.in.len;

    if (!s->started) {
        /* Somebody is really there: whatever just connects and goes does not stop the machine. */
        struct debug_client client = {s, gdb_on_stopped, gdb_on_condition};
        s->started = true;
        debug_attach(s->machine, &client);
        debug_halt(s->machine);
        if (s->arch_option != GDB_CHOOSE_AUTO) {
            s->arch = s->arch_option;
        } else {
            s->arch = gdb_arch_of(gdb_cpu(s, 0));
            if (s->arch == GDB_ARCH_I8086 && s->expect_64) {
                s->arch = GDB_ARCH_X86_64;
            }
        }
    }
    s->reply.len = 0;
    s->reply.failed = false;
    gdb_put(&s->reply, "", 0);
    if (!run_command(s, text, end)) {
        gdb_query(s, text, end); /* unknown: the empty answer */
    }
    if (s->done) {
        return;
    }
    if (s->no_ack_next) {
        s->no_ack_next = false;
        return;
    }
    if (s->waiting && !s->reply.len) {
        return; /* the answer comes when it stops */
    }
    gdb_send(s, '$', &s->reply);
    if (s->tell_others && !gdb_skip(&text, end, '?') && !gdb_skip_text(&text, end, "vStopped")) {
        s->tell_others = false;
        gdb_notify(s);
    }
}

void gdb_session_receive(struct gdb_session *s, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len && !s->done; i++) {
        enum gdb_event ev = gdb_parse(&s->parser, data[i]);
        bool ack = !s->parser.no_ack;
        switch (ev) {
        case GDB_PACKET:
            if (ack) {
                s->write(s->opaque, (const uint8_t *)"+", 1);
            }
            packet(s);
            break;
        case GDB_BAD:
            if (ack) {
                s->write(s->opaque, (const uint8_t *)"-", 1);
            } else {
                gdb_error(s, E_ARGS);
                gdb_send(s, '$', &s->reply);
            }
            break;
        case GDB_NAK:
            if (ack && s->sent.len) {
                s->write(s->opaque, s->sent.data, s->sent.len);
            }
            break;
        case GDB_INTERRUPT:
            if (s->started) {
                interrupt(s);
            }
            break;
        default:
            break;
        }
    }
}

void gdb_session_init(struct gdb_session *s, struct machine *m)
{
    s->machine = m;
    s->cont_all = true;
    s->arch = GDB_ARCH_X86_64;
}

void gdb_session_end(struct gdb_session *s)
{
    if (s->started) {
        if (s->nonstop && s->machine->state == RUN_RUNNING) {
            debug_release_holds(s->machine);
        }
        debug_detach(s->machine);
    }
    gdb_buf_free(&s->parser.in);
    gdb_buf_free(&s->reply);
    gdb_buf_free(&s->sent);
    free(s->xml);
    s->xml = NULL;
}

void gdb_session_exit(struct gdb_session *s, int status)
{
    if (s->started && !s->done) {
        s->reply.len = 0;
        gdb_printf(&s->reply, "W%02x", (unsigned)status & 0xff);
        gdb_send(s, '$', &s->reply);
    }
}
