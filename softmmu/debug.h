/* Run control for a debugger outside the guest: which processors run, single steps, breakpoints and
 * watchpoints that the guest cannot see. One client at a time (control/gdb_server.c).
 *
 * Functions of the client's side are called on the main loop's thread with the machine lock held;
 * those that must wait for processors give the lock away meanwhile. */
#ifndef SOFTMMU_DEBUG_H
#define SOFTMMU_DEBUG_H

#include <stdbool.h>
#include <stdint.h>

#include "softmmu/machine.h"
#include "tcg/vcpu.h"

enum debug_stop_kind {
    DEBUG_STOP_NONE,
    DEBUG_STOP_STEP,
    DEBUG_STOP_BREAK,     /* before the instruction at addr */
    DEBUG_STOP_WATCH,     /* after the access to addr */
    DEBUG_STOP_EXCEPTION, /* before its delivery, at the instruction; addr: the vector */
    DEBUG_STOP_PAUSE,     /* by the client, the monitor, or because another processor stopped */
};

struct debug_stop {
    enum debug_stop_kind kind;
    uint64_t addr;
    bool hardware;     /* kind of the breakpoint that was asked for; both work the same */
    unsigned acc_mask; /* watchpoint: what it watches for, 1 << enum access */
};

enum debug_action_kind { DEBUG_HOLD, DEBUG_RUN, DEBUG_STEP };
struct debug_action {
    enum debug_action_kind kind;
    uint64_t start, end; /* DEBUG_STEP: go on while the linear pc is in [start, end) */
};

/* A breakpoint's condition, in the client's own code. */
struct debug_condition {
    uint32_t len;
    uint8_t code[];
};

/* Who listens. */
struct debug_client {
    void *opaque;
    /* A processor came to a stop (all have, unless debug_set_nonstop). Main thread, lock held. */
    void (*stopped)(void *opaque);
    /* Shall a conditional breakpoint stop? The processor's own thread; state is exact. */
    bool (*condition)(void *opaque, struct vcpu *v, const struct debug_condition *cond);
};

/* For the machine's whole life; after its processors were added. No cost until something is set. */
struct debug *debug_create(struct machine *m);
void debug_destroy(struct machine *m); /* processors stopped */

void debug_attach(struct machine *m, const struct debug_client *client);
/* Removes every breakpoint and watchpoint and forgets the client. Does not let processors run. */
void debug_detach(struct machine *m);

/* Breakpoints by linear address. cond is taken over (malloc), NULL for none. The same address may
 * be set once for each value of hardware. False: no memory. */
bool debug_add_break(struct machine *m, uint64_t addr, bool hardware, struct debug_condition *cond);
bool debug_remove_break(struct machine *m, uint64_t addr, bool hardware);
/* Watchpoints by linear address; acc_mask is of 1 << enum access. */
bool debug_add_watch(struct machine *m, uint64_t addr, uint64_t len, unsigned acc_mask);
bool debug_remove_watch(struct machine *m, uint64_t addr, uint64_t len, unsigned acc_mask);

/* Stops all processors; returns when they are. */
void debug_halt(struct machine *m);
/* One action for each processor. */
void debug_resume(struct machine *m, const struct debug_action *act);
/* Non-stop mode: a stop concerns its processor only, and these act on one. */
void debug_set_nonstop(struct machine *m, bool on);
void debug_halt_one(struct machine *m, unsigned cpu);
void debug_resume_one(struct machine *m, unsigned cpu, const struct debug_action *act);
/* Does this processor wait for the client (or the machine stand still)? */
bool debug_is_stopped(struct machine *m, unsigned cpu);
/* Why it stopped. *fresh (may be NULL): it was not asked before. */
struct debug_stop debug_last_stop(struct machine *m, unsigned cpu, bool *fresh);
void debug_mark_fresh(struct machine *m, unsigned cpu); /* as if it had not been asked */
void debug_release_holds(struct machine *m);            /* every processor goes on */
/* Interrupts are held off while stepping (the default). */
void debug_mask_events(struct machine *m, bool on);
/* Which exceptions stop: bit n for vector n, DEBUG_CATCH_TRIPLE for what resets the machine (the
 * default is that alone). An instruction that stopped so is run again, and then its exception is
 * delivered; the reset comes when the processor goes on. */
enum { DEBUG_TRIPLE = 32, DEBUG_TEXT = 160 };
#define DEBUG_CATCH_TRIPLE (UINT64_C(1) << DEBUG_TRIPLE)
void debug_catch(struct machine *m, uint64_t vectors);
uint64_t debug_caught(struct machine *m);
/* What it was, for DEBUG_STOP_EXCEPTION; DEBUG_TEXT bytes. */
void debug_exception_text(struct machine *m, unsigned cpu, char *text);
/* For a monitor, with or without a client: stops the machine, lets one processor make one step, and
 * waits for it. */
bool debug_step(struct machine *m, unsigned cpu, struct error *err);

/* ---- for the layers below ---- */

/* machine.c: REQUEST_DEBUG; after a pause by the monitor; before it lets processors go on. */
void debug_handle_stop(struct machine *m);
void debug_paused(struct machine *m);
void debug_was_reset(struct machine *m); /* processors stopped */
static inline void debug_release(struct machine *m)
{
    if (m->debug) {
        debug_release_holds(m);
    }
}

/* The vcpu's own thread, between blocks: true: leave to the run loop. */
bool debug_poll(struct vcpu *v, bool halted);
/* The translator asks for each instruction whether a check must come before it ... */
bool debug_break_possible(struct vcpu *v, uint64_t linear);
/* ... which is this; returns or unwinds. */
void debug_check_break(struct vcpu *v, uint64_t linear);
/* An exception of the instruction at the pc is about to be delivered: shall it stop here? Then it
 * must not be delivered, and *text is where to say what it is. */
bool debug_exception(struct vcpu *v, unsigned vector, char **text);
/* The instruction that runs faults: it will be run again. */
void debug_fault(struct vcpu *v);
/* A watched address is accessed; tag is not another's. */
void debug_watch_hit(struct vcpu *v, uint64_t va, uint64_t size, enum access acc, void *tag);
/* The TLB learns that code of linear page lies at phys. */
void debug_code_page(struct vcpu *v, uint64_t page, uint64_t phys);

#endif
