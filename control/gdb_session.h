/* One debugger's session with the stub: what it has chosen and what it waits for. */
#ifndef CONTROL_GDB_SESSION_H
#define CONTROL_GDB_SESSION_H

#include "control/gdb_packet.h"
#include "cpu/gdb_regs.h"

struct machine;

enum gdb_arch_choice { GDB_CHOOSE_AUTO = GDB_NARCH };

struct gdb_session {
    struct machine *machine;
    unsigned arch_option; /* enum gdb_arch or GDB_CHOOSE_AUTO */
    bool expect_64;       /* auto, and still in real mode: a 64-bit kernel is about to be started */
    void (*write)(void *opaque, const uint8_t *data, size_t len); /* to the debugger */
    void *opaque;

    struct gdb_parser parser;
    struct gdb_buf reply;  /* being made */
    struct gdb_buf sent;   /* last packet as sent, to be repeated on '-' */
    bool started;          /* a packet has come: the machine was stopped for it */
    bool done;             /* detached or killed: nothing more is answered */
    bool detached;         /* by D */
    bool swbreak, hwbreak; /* the debugger knows these stop reasons */
    bool multiprocess, nonstop, waiting /* all-stop: a stop reply is owed */;
    bool physical;    /* memory packets mean physical addresses */
    bool notified;    /* non-stop: a %Stop is unanswered */
    bool tell_others; /* non-stop: after the next packet */
    bool no_ack_next;
    unsigned arch, cpu, cont_cpu, thread_index; /* arch: layout announced */
    bool cont_all;
    char *xml;
};

void gdb_session_init(struct gdb_session *s, struct machine *m);
void gdb_session_end(struct gdb_session *s); /* removes breakpoints; the machine's state stays */
/* Bytes from the debugger. Main thread, machine lock held. */
void gdb_session_receive(struct gdb_session *s, const uint8_t *data, size_t len);
/* The process ends with this status. */
void gdb_session_exit(struct gdb_session *s, int status);

/* gdb_query.c: q and Q packets, "v" ones that ask; args is behind the matched name. False: unknown.
 */
bool gdb_query(struct gdb_session *s, const char *text, const char *end);

/* gdb_stop.c */
/* Puts the stop of one processor into s->reply; as_pause: one that was asked for is signal 0. */
void gdb_put_stop(struct gdb_session *s, unsigned cpu, bool as_pause);
void gdb_report_stop(struct gdb_session *s); /* all-stop: of the one that matters most */
bool gdb_next_fresh(struct gdb_session *s);  /* non-stop: of the next whose stop was not told */
void gdb_notify(struct gdb_session *s);      /* %Stop, if there is one to tell */
/* For struct debug_client. */
struct debug_condition;
struct vcpu;
void gdb_on_stopped(void *opaque);
bool gdb_on_condition(void *opaque, struct vcpu *v, const struct debug_condition *cond);

/* gdb_commands.c, for gdb_query.c */
void gdb_error(struct gdb_session *s, unsigned code);
void gdb_ok(struct gdb_session *s);
void gdb_put_thread(struct gdb_session *s, unsigned cpu);
/* A thread id; *cpu -1: all, -2: any. False: malformed or no such thread. */
bool gdb_get_thread(struct gdb_session *s, const char **p, const char *end, int *cpu);
void gdb_send(struct gdb_session *s, char start, const struct gdb_buf *b);
/* Bytes that can be read at addr, up to len. */
size_t gdb_read_memory(struct gdb_session *s, uint64_t addr, uint8_t *buf, size_t len);
struct x86_cpu *gdb_cpu(struct gdb_session *s, unsigned cpu);

#endif
