/* struct machine: everything of one virtual machine hangs off it; nothing is global.
 *
 * Threads: each vcpu runs on a thread of its own (vcpu_thread.c). The main loop's thread runs
 * timers and host input. Devices are called with the machine lock held, by whichever thread. A vcpu
 * thread holds the lock only while it touches a device. */
#ifndef SOFTMMU_MACHINE_H
#define SOFTMMU_MACHINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/error.h"
#include "softmmu/clock.h"
#include "softmmu/memory.h"

struct vcpu;
struct tcg;
struct vcpu_threads; /* vcpu_thread.c */
struct devices;      /* hw/device.h: the machine's devices */
struct log;          /* host/log.h */
struct debug;        /* softmmu/debug.h */
struct block_graph;

enum run_state {
    RUN_PAUSED, /* -S, stop */
    RUN_RUNNING,
    RUN_SHUTDOWN, /* the guest powered off and -no-shutdown keeps the process */
    RUN_PANICKED, /* the guest panicked, and -action panic=pause */
    RUN_WATCHDOG, /* the watchdog expired, and -action watchdog=pause */
};

enum machine_request { /* asked by anyone, carried out by the main loop */
                       REQUEST_RESET = 1,
                       REQUEST_SHUTDOWN = 2, /* guest power-off */
                       REQUEST_EXIT = 4, /* end the process: debug-exit, Ctrl-A x, signals, quit */
                       REQUEST_POWERDOWN = 8,      /* ACPI power button */
                       REQUEST_STOP = 16,          /* pause the processors */
                       REQUEST_CONT = 32,          /* let them run */
                       REQUEST_DEBUG = 64,         /* a processor stopped for the debugger */
                       REQUEST_PANIC = 128,        /* the guest says that it crashed */
                       REQUEST_CRASH_LOADED = 256, /* and goes on with a crash kernel */
                       REQUEST_WATCHDOG = 512,
};

enum machine_cause { /* who asked for the reset or the end */
                     CAUSE_GUEST,
                     CAUSE_QUIT,
                     CAUSE_SIGNAL,
                     CAUSE_HOST_RESET,
                     CAUSE_PANIC,
};

enum machine_event {
    EVENT_STOP,
    EVENT_RESUME,
    EVENT_RESET,
    EVENT_SHUTDOWN,
    EVENT_POWERDOWN,
    EVENT_PANICKED,
    EVENT_CRASH_LOADED,
    EVENT_WATCHDOG
};

enum panic_action { PANIC_PAUSE, PANIC_SHUTDOWN, PANIC_EXIT_FAILURE, PANIC_NONE };
enum watchdog_action {
    WATCHDOG_RESET,
    WATCHDOG_SHUTDOWN,
    WATCHDOG_POWEROFF,
    WATCHDOG_PAUSE,
    WATCHDOG_DEBUG,
    WATCHDOG_NONE,
    WATCHDOG_NMI
};

enum vcpu_request_bit {                      /* in vcpu.irq_request, beside the guest's own bits */
                        VCPU_REQ_STOP = 32,  /* leave to the run loop */
                        VCPU_REQ_FLUSH = 64, /* TLB flush asked for by another thread */
};

struct machine {
    char name[64];
    pthread_mutex_t lock; /* taken by machine_lock only; not recursive */
    _Atomic pthread_t lock_owner;
    atomic_bool locked;
    unsigned lock_spins; /* how often machine_lock tries before it sleeps */
    struct vcpu_threads *threads;
    struct clock *clock;
    struct memory *memory;
    struct log *log;
    struct tcg *tcg;
    struct vcpu **vcpus;
    unsigned nvcpus;
    uint64_t ram_size;

    _Atomic enum run_state state;
    atomic_uint requests;   /* enum machine_request */
    int exit_status;
    _Atomic enum machine_cause cause; /* set before machine_request by other than the guest */
    bool no_reboot, no_shutdown;
    enum panic_action panic_action;
    enum watchdog_action watchdog_action;
    bool end_told;  /* EVENT_SHUTDOWN came, the process ends */
    bool resetting; /* the processors stand still for a moment only */

    /* What happened, for management; main loop's thread, lock not held. May be NULL. */
    void (*event)(void *opaque, enum machine_event ev, enum machine_cause cause);
    void *event_opaque;
    void (*balloon_changed)(
        struct machine *m); /* the guest gave or took memory; locked; may be NULL */
    void *control;          /* struct program of control/, for its monitors */

    void (*wake_main)(
        void *opaque); /* any thread: makes the main loop look at requests and timers */
    void (*set_alarm)(
        void *opaque); /* the first timer is due earlier than before; any thread, locked */
    void *wake_opaque; /* of both */

    struct debug *debug; /* debug.c; NULL: no debugger will come */
    struct devices *devices;
    struct block_graph *blocks;            /* host/block.h: the disk images; NULL: none */
    void *board;                           /* the machine type's own (hw/machine) */
    void (*reset)(struct machine *m);      /* resets devices and cpus; locked, vcpus stopped */
    void (*powerdown)(struct machine *m);  /* ACPI power button; locked */
    void (*inject_nmi)(struct machine *m); /* to all processors */
};

struct machine *machine_create(const char *name, uint64_t ram_size, struct error *err);
void machine_destroy(struct machine *m); /* stops vcpus first */

void machine_lock(struct machine *m);
void machine_unlock(struct machine *m);
bool machine_trylock(struct machine *m);   /* false: somebody has it */
bool machine_lock_held(struct machine *m); /* by this thread */

/* Any thread, lock held or not. reason is copied (printf style) and logged. */
void machine_request(struct machine *m, enum machine_request what, const char *reason, ...)
    __attribute__((format(printf, 3, 4)));
void machine_exit(struct machine *m, int status); /* REQUEST_EXIT with this exit status */

/* Main loop only. */
bool machine_add_vcpu(struct machine *m, struct vcpu *v,
                      struct error *err);                         /* sets up its MMU part */
bool machine_start_threads(struct machine *m, struct error *err); /* threads wait until it runs */
void machine_set_running(struct machine *m, bool running); /* returns when all vcpus are stopped */
/* Carries out pending requests: reset, shutdown; returns true when the process should end. */
bool machine_handle_requests(struct machine *m);

/* Asynchronous requests to a vcpu; any thread. Bits are the guest's (cpu/x86.h). */
void vcpu_request(struct vcpu *v, unsigned bits); /* sets, and wakes or kicks it */
int vcpu_thread_id(const struct vcpu *v);         /* the host's, 0: not started */
void vcpu_clear_request(struct vcpu *v, unsigned bits);
void vcpu_kick(struct vcpu *v); /* makes it leave linked code soon and call ops->poll */
/* Has been told something (vcpu_request, vcpu_kick) and has not got to looking at it: its thread
 * waits for a processor of the host. Any thread; may be out of date at once. */
bool vcpu_is_behind(const struct vcpu *v);
/* Held: does not run although the machine does. Holding waits until it has left guest code; not
 * with the machine lock then. vcpu_hold_self: on its own thread, takes effect when it leaves. */
void vcpu_hold(struct vcpu *v, bool hold);
void vcpu_hold_self(struct vcpu *v);
bool vcpu_is_held(const struct vcpu *v);
/* Waits until it is held and has left guest code. False: not within so many milliseconds. Lock not
 * held. */
bool vcpu_wait_held(struct vcpu *v, unsigned ms);

/* The vcpu whose thread is calling, NULL on other threads: per-processor MMIO (local APIC) asks it.
 * The one thread-local of the program. Set by a vcpu's thread when it starts, and by unit tests. */
struct vcpu *machine_current_vcpu(struct machine *m);
void machine_set_current_vcpu(struct vcpu *v);

/* Runs fn on every vcpu while none executes guest code (TLB shoot-down, code cache flush). May be
 * called from a vcpu thread outside of guest code or from the main loop. */
void machine_exclusive_begin(struct machine *m);
void machine_exclusive_end(struct machine *m);

#endif
