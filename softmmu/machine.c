/* struct machine: creation, the device lock, requests. */
#include "softmmu/machine.h"
#include "host/log.h"
#include "host/spin.h"
#include "softmmu/debug.h"
#include "softmmu/threads.h"
#include "softmmu/tlb.h"
#include "tcg/tcg.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOCK_SPINS = 2000 };

struct machine *machine_create(const char *name, uint64_t ram_size, struct error *err)
{
    struct machine *m = calloc(1, sizeof(*m));

    if (!m) {
        error_set(err, "no memory for the machine");
        return NULL;
    }
    snprintf(m->name, sizeof(m->name), "%s", name);
    m->ram_size = ram_size;
    m->state = RUN_PAUSED;
    m->panic_action = PANIC_SHUTDOWN;
    pthread_mutex_init(&m->lock, NULL);
    m->lock_spins = spin_host_cpus() > 1 ? LOCK_SPINS : 0;
    m->threads = threads_create();
    m->clock = clock_create(m);
    m->memory = memory_create(m);
    return m;
}

void machine_destroy(struct machine *m)
{
    if (!m) {
        return;
    }
    threads_join(m);
    for (unsigned i = 0; i < m->nvcpus; i++) {
        if (m->vcpus[i]->tcg_cpu) {
            tcg_detach(m->vcpus[i]);
        }
        tlb_destroy(m->vcpus[i]);
    }
    memory_destroy(m->memory);
    clock_destroy(m->clock);
    threads_destroy(m->threads);
    pthread_mutex_destroy(&m->lock);
    free(m->vcpus);
    free(m);
}

/* For machine_lock_held in other threads: whoever sees locked set sees the owner that set it, or a
 * later one. */
static void note_owner(struct machine *m)
{
    atomic_store_explicit(&m->lock_owner, pthread_self(), memory_order_relaxed);
    atomic_store_explicit(&m->locked, true, memory_order_release);
}

/* The lock is held for microseconds, and to sleep and to be woken costs more on some hosts. */
static bool spin(struct machine *m)
{
    for (unsigned i = 0; i < m->lock_spins; i++) {
        if (!atomic_load_explicit(&m->locked, memory_order_relaxed) &&
            !pthread_mutex_trylock(&m->lock)) {
            return true;
        }
        spin_pause();
    }
    return false;
}

void machine_lock(struct machine *m)
{
    if (pthread_mutex_trylock(&m->lock) && !spin(m)) {
        pthread_mutex_lock(&m->lock);
    }
    note_owner(m);
}

bool machine_trylock(struct machine *m)
{
    if (pthread_mutex_trylock(&m->lock)) {
        return false;
    }
    note_owner(m);
    return true;
}

void machine_unlock(struct machine *m)
{
    atomic_store_explicit(&m->locked, false, memory_order_release);
    pthread_mutex_unlock(&m->lock);
}

bool machine_lock_held(struct machine *m)
{
    return atomic_load_explicit(&m->locked, memory_order_acquire) &&
           pthread_equal(atomic_load_explicit(&m->lock_owner, memory_order_relaxed),
                         pthread_self());
}

void machine_request(struct machine *m, enum machine_request what, const char *reason, ...)
{
    char text[160]; /* not the machine's: two processors may ask at once, in no lock */
    va_list ap;

    if (what & (REQUEST_RESET | REQUEST_SHUTDOWN | REQUEST_EXIT)) {
        va_start(ap, reason);
        vsnprintf(text, sizeof(text), reason, ap);
        va_end(ap);
        log_at(m->log, LOG_RESET, "machine: %s\n", text);
    }
    atomic_fetch_or(&m->requests, what);
    if (what & (REQUEST_RESET | REQUEST_SHUTDOWN | REQUEST_EXIT)) {
        /* The guest must not run far on while the main loop gets there. */
        for (unsigned i = 0; i < m->nvcpus; i++) {
            vcpu_request(m->vcpus[i], VCPU_REQ_STOP);
        }
    }
    if (m->wake_main) {
        m->wake_main(m->wake_opaque);
    }
}

void machine_exit(struct machine *m, int status)
{
    m->exit_status = status;
    machine_request(m, REQUEST_EXIT, "exit with status %d asked for", status);
}

static void do_reset(struct machine *m)
{
    bool running = m->state == RUN_RUNNING;

    m->resetting = true;
    machine_set_running(m, false);
    machine_lock(m);
    if (m->reset) {
        m->reset(m);
    }
    debug_was_reset(m);
    machine_unlock(m);
    if (running) {
        machine_set_running(m, true);
    }
    m->resetting = false;
}

static void tell(struct machine *m, enum machine_event ev, enum machine_cause cause)
{
    if (m->event) {
        m->event(m->event_opaque, ev, cause);
    }
}

/* The process will end: said once, although the main loop may ask again. */
static bool end(struct machine *m, enum machine_cause cause)
{
    if (!m->end_told) {
        m->end_told = true;
        tell(m, EVENT_SHUTDOWN, cause);
    }
    return true;
}

static void stop_as(struct machine *m, enum run_state state)
{
    machine_set_running(m, false);
    m->state = state;
}

/* True: the process should end. */
static bool handle_panic(struct machine *m)
{
    tell(m, EVENT_PANICKED, CAUSE_GUEST);
    switch (m->panic_action) {
    case PANIC_PAUSE:
        stop_as(m, RUN_PANICKED);
        return false;
    case PANIC_SHUTDOWN:
    case PANIC_EXIT_FAILURE:
        if (m->panic_action == PANIC_EXIT_FAILURE) {
            m->exit_status = 1;
        } else if (m->no_shutdown) {
            stop_as(m, RUN_PANICKED);
            return false;
        }
        return end(m, CAUSE_PANIC);
    default:
        return false;
    }
}

static void handle_watchdog(struct machine *m)
{
    tell(m, EVENT_WATCHDOG, CAUSE_GUEST);
    switch (m->watchdog_action) {
    case WATCHDOG_RESET:
        machine_request(m, REQUEST_RESET, "the watchdog expired");
        break;
    case WATCHDOG_SHUTDOWN:
        machine_request(m, REQUEST_POWERDOWN, "the watchdog expired");
        break;
    case WATCHDOG_POWEROFF:
        machine_request(m, REQUEST_EXIT, "the watchdog expired");
        break;
    case WATCHDOG_PAUSE:
        stop_as(m, RUN_WATCHDOG);
        break;
    case WATCHDOG_NMI:
        machine_lock(m);
        if (m->inject_nmi) {
            m->inject_nmi(m);
        }
        machine_unlock(m);
        break;
    case WATCHDOG_DEBUG:
        log_at(m->log, LOG_GUEST_ERROR, "machine: the watchdog expired\n");
        break;
    case WATCHDOG_NONE:
        break;
    }
}

bool machine_handle_requests(struct machine *m)
{
    unsigned r = atomic_exchange(&m->requests, 0);
    enum machine_cause cause = CAUSE_GUEST;

    if (r & (REQUEST_EXIT | REQUEST_SHUTDOWN | REQUEST_RESET)) {
        cause = atomic_exchange(&m->cause, CAUSE_GUEST);
    }
    if (r & REQUEST_EXIT) {
        return end(m, cause);
    }
    if (r & REQUEST_SHUTDOWN) {
        if (!m->no_shutdown) {
            return end(m, cause);
        }
        tell(m, EVENT_SHUTDOWN, cause);
        machine_set_running(m, false);
        m->state = RUN_SHUTDOWN;
    }
    if (r & REQUEST_RESET) {
        if (m->no_reboot) {
            return end(m, cause);
        }
        do_reset(m);
        tell(m, EVENT_RESET, cause);
    }
    if ((r & REQUEST_PANIC) && handle_panic(m)) {
        return true;
    }
    if (r & REQUEST_CRASH_LOADED) {
        tell(m, EVENT_CRASH_LOADED, CAUSE_GUEST);
    }
    if (r & REQUEST_WATCHDOG) {
        handle_watchdog(m);
    }
    if ((r & REQUEST_POWERDOWN) && m->powerdown) {
        tell(m, EVENT_POWERDOWN, cause);
        machine_lock(m);
        m->powerdown(m);
        machine_unlock(m);
    }
    if ((r & REQUEST_DEBUG) && m->debug) {
        debug_handle_stop(m);
    }
    if (r & REQUEST_STOP) {
        machine_set_running(m, false);
        debug_paused(m);
    }
    if (r & REQUEST_CONT) {
        debug_release(m);
        machine_set_running(m, true);
    }
    return false;
}
