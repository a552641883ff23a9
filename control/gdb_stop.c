/* Stops of processors as GDB's remote protocol tells them, and the conditions of breakpoints, which
 * decide whether there is a stop. From appendix E of GDB's manual. */
#include "control/gdb_agent.h"
#include "control/gdb_session.h"
#include "softmmu/debug.h"
#include "softmmu/machine.h"
#include "softmmu/tlb.h"

#include <string.h>

static void put_expedited(struct gdb_session *s, unsigned cpu)
{
    enum gdb_arch arch = (enum gdb_arch)s->arch;
    unsigned pc = gdb_reg_pc(arch);
    /* The stack and frame pointers, and the pc: enough for a debugger to decide where it is. */
    unsigned regs[] = {arch == GDB_ARCH_X86_64 ? 6 : 4, arch == GDB_ARCH_X86_64 ? 7 : 5, pc};
    uint8_t buf[GDB_REG_MAX];

    for (unsigned i = 0; i < 3; i++) {
        gdb_reg_read(arch, gdb_cpu(s, cpu), regs[i], buf);
        gdb_printf(&s->reply, "%02x:", regs[i]);
        gdb_put_hex(&s->reply, buf, gdb_reg_size(arch, gdb_cpu(s, cpu), regs[i]));
        gdb_put(&s->reply, ";", 1);
    }
}

/* Exceptions by the signals that programs get for them. */
static unsigned signal_of(uint64_t vector)
{
    static const uint8_t signals[] = {
        [EXC_DE] = 8,  [EXC_BP] = 5,  [EXC_OF] = 11, [EXC_BR] = 11, [EXC_UD] = 4,
        [EXC_NM] = 8,  [EXC_TS] = 11, [EXC_NP] = 11, [EXC_SS] = 11, [EXC_GP] = 11,
        [EXC_PF] = 11, [EXC_MF] = 8,  [EXC_AC] = 10, [EXC_XM] = 8,
    };
    unsigned sig = vector < sizeof(signals) ? signals[vector] : 0;

    return sig ? sig : 6; /* SIGABRT */
}

/* Puts the stop of one processor into s->reply. */
void gdb_put_stop(struct gdb_session *s, unsigned cpu, bool as_pause)
{
    struct debug_stop stop = debug_last_stop(s->machine, cpu, NULL);
    bool trap = stop.kind == DEBUG_STOP_STEP || stop.kind == DEBUG_STOP_BREAK ||
                stop.kind == DEBUG_STOP_WATCH;

    /* A pause asked for by vCont;t is signal 0, one by Ctrl-C or the monitor SIGINT. */
    gdb_printf(&s->reply, "T%02xthread:",
               stop.kind == DEBUG_STOP_EXCEPTION ? signal_of(stop.addr)
               : trap                            ? 5
               : as_pause && s->nonstop          ? 0
                                                 : 2);
    gdb_put_thread(s, cpu);
    gdb_put(&s->reply, ";", 1);
    if (stop.kind == DEBUG_STOP_WATCH) {
        unsigned both = 1u << ACCESS_READ | 1u << ACCESS_WRITE;
        gdb_printf(&s->reply, "%swatch:%llx;",
                   stop.acc_mask == both                  ? "a"
                   : stop.acc_mask == (1u << ACCESS_READ) ? "r"
                                                          : "",
                   (unsigned long long)stop.addr);
    } else if (stop.kind == DEBUG_STOP_BREAK && (stop.hardware ? s->hwbreak : s->swbreak)) {
        gdb_printf(&s->reply, "%cwbreak:;", stop.hardware ? 'h' : 's');
    }
    put_expedited(s, cpu);
}

/* The processor to report in all-stop mode: one that stopped by itself before one that was stopped.
 */
static unsigned stopped_cpu(struct gdb_session *s)
{
    unsigned best = s->cpu, rank = 0;

    for (unsigned i = 0; i < s->machine->nvcpus; i++) {
        static const unsigned ranks[] = {[DEBUG_STOP_EXCEPTION] = 4,
                                         [DEBUG_STOP_WATCH] = 3,
                                         [DEBUG_STOP_BREAK] = 2,
                                         [DEBUG_STOP_STEP] = 1,
                                         [DEBUG_STOP_PAUSE] = 0};
        unsigned r = ranks[debug_last_stop(s->machine, i, NULL).kind];
        if (r > rank) {
            best = i;
            rank = r;
        }
    }
    return best;
}

void gdb_report_stop(struct gdb_session *s)
{
    bool fresh;

    s->waiting = false;
    s->cpu = s->cont_cpu = stopped_cpu(s);
    debug_last_stop(s->machine, s->cpu, &fresh); /* is told now */
    gdb_put_stop(s, s->cpu, false);
}

/* Non-stop: the next processor whose stop was not told. */
bool gdb_next_fresh(struct gdb_session *s)
{
    for (unsigned i = 0; i < s->machine->nvcpus; i++) {
        bool fresh = false;
        if (debug_is_stopped(s->machine, i)) {
            debug_last_stop(s->machine, i, &fresh);
        }
        if (fresh) {
            gdb_put_stop(s, i, true);
            return true;
        }
    }
    return false;
}

void gdb_notify(struct gdb_session *s)
{
    if (s->notified) {
        return;
    }
    s->reply.len = 0;
    gdb_put(&s->reply, "Stop:", 5);
    if (gdb_next_fresh(s)) {
        s->notified = true;
        gdb_send(s, '%', &s->reply);
    }
    s->reply.len = 0;
}

/* An exception that stopped is told on the debugger's console: signals say little. */
static void explain(struct gdb_session *s)
{
    char text[DEBUG_TEXT];
    unsigned cpu = stopped_cpu(s);

    if (debug_last_stop(s->machine, cpu, NULL).kind == DEBUG_STOP_EXCEPTION) {
        debug_exception_text(s->machine, cpu, text);
        s->reply.len = 0;
        gdb_put(&s->reply, "O", 1);
        gdb_put_hex(&s->reply, (const uint8_t *)text, strlen(text));
        gdb_put_hex(&s->reply, (const uint8_t *)"\n", 1);
        gdb_send(s, '$', &s->reply);
    }
}

/* From the run control. */
void gdb_on_stopped(void *opaque)
{
    struct gdb_session *s = opaque;

    if (s->nonstop) {
        gdb_notify(s);
    } else if (s->waiting) {
        explain(s);
        s->reply.len = 0;
        gdb_report_stop(s);
        gdb_send(s, '$', &s->reply);
    }
}

/* ---- conditions of breakpoints: on the processor's own thread ---- */

struct condition {
    struct gdb_session *s;
    struct vcpu *v;
};

static bool condition_reg(void *opaque, unsigned n, uint64_t *value)
{
    struct condition *c = opaque;
    enum gdb_arch arch = (enum gdb_arch)c->s->arch;
    unsigned size = gdb_reg_size(arch, x86_cpu(c->v), n);
    uint8_t buf[GDB_REG_MAX] = {0};

    if (!size || size > 8) {
        return false;
    }
    gdb_reg_read(arch, x86_cpu(c->v), n, buf);
    *value = 0;
    for (unsigned i = size; i--;) {
        *value = *value << 8 | buf[i];
    }
    return true;
}

static bool condition_mem(void *opaque, uint64_t addr, void *buf, size_t len)
{
    struct condition *c = opaque;

    return vcpu_read_virtual(c->v, addr, buf, len);
}

/* code: expressions, each after its length in four bytes. What cannot be evaluated stops. */
bool gdb_on_condition(void *opaque, struct vcpu *v, const struct debug_condition *cond)
{
    struct condition c = {opaque, v};
    struct gdb_agent_ops ops = {&c, condition_reg, condition_mem};

    for (uint32_t at = 0, n; at + sizeof(n) <= cond->len; at += n) {
        uint64_t result = 1;
        memcpy(&n, cond->code + at, sizeof(n));
        at += sizeof(n);
        if (!gdb_agent_eval(cond->code + at, n, &ops, &result) || result) {
            return true;
        }
    }
    return false;
}
