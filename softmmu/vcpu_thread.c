/* One thread a vcpu: runs guest code while the machine runs, waits while it halts, leaves for
 * exclusive sections.
 *
 * Lock order: machine lock, then this file's own mutex; a thread never takes the machine lock while
 * it holds the mutex. "inside" means: may be executing guest code. */
#include "host/block.h"
#include "softmmu/internal.h"
#include "softmmu/machine.h"
#include "softmmu/threads.h"
#include "softmmu/tlb.h"
#include "tcg/tcg.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct vcpu_threads {
    pthread_mutex_t mutex;
    pthread_cond_t go;   /* running, exclusive or quit changed */
    pthread_cond_t idle; /* a vcpu is outside now */
    bool running, quit;
    bool exclusive;   /* somebody is in an exclusive section */
    unsigned waiting; /* vcpus that wait to begin one, in mid-instruction */
    unsigned host_cpus;
};

static _Thread_local struct vcpu *current; /* the one thread-local of the program */

struct vcpu *machine_current_vcpu(struct machine *m)
{
    return current && current->machine == m ? current : NULL;
}

void machine_set_current_vcpu(struct vcpu *v)
{
    current = v;
}

struct vcpu_threads *threads_create(void)
{
    struct vcpu_threads *t = calloc(1, sizeof(*t));

    if (!t) {
        abort();
    }
    t->host_cpus = spin_host_cpus();
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->go, NULL);
    pthread_cond_init(&t->idle, NULL);
    return t;
}

void threads_destroy(struct vcpu_threads *t)
{
    pthread_mutex_destroy(&t->mutex);
    pthread_cond_destroy(&t->go);
    pthread_cond_destroy(&t->idle);
    free(t);
}

bool machine_add_vcpu(struct machine *m, struct vcpu *v, struct error *err)
{
    struct vcpu **list = realloc(m->vcpus, (m->nvcpus + 1) * sizeof(*list));

    if (!list) {
        return error_set(err, "no memory for processor %u", m->nvcpus);
    }
    m->vcpus = list;
    v->machine = m;
    tlb_init(v);
    pthread_cond_init(&v->mmu->cond, NULL);
    if (m->tcg && !tcg_attach(m->tcg, v, err)) {
        tlb_destroy(v);
        return false;
    }
    m->vcpus[m->nvcpus++] = v;
    return true;
}

static bool any_inside(const struct machine *m, const struct vcpu *but)
{
    for (unsigned i = 0; i < m->nvcpus; i++) {
        if (m->vcpus[i] != but && m->vcpus[i]->mmu->inside) {
            return true;
        }
    }
    return false;
}

/* When a wait of so many nanoseconds that begins now ends, as pthread_cond_timedwait wants it. */
static struct timespec deadline(uint64_t ns)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    ns += (uint64_t)t.tv_nsec;
    t.tv_sec += (time_t)(ns / 1000000000);
    t.tv_nsec = (long)(ns % 1000000000);
    return t;
}

/* Till somebody tells the vcpu something, or the time given. With the mutex; it is given up
 * meanwhile. */
static void wait_awake(struct vcpu *v, struct vcpu_threads *t, int64_t until)
{
    pthread_mutex_unlock(&t->mutex);
    while (!atomic_load_explicit(&v->mmu->told, memory_order_relaxed) &&
           !(atomic_load_explicit(&v->irq_request, memory_order_relaxed) & VCPU_REQ_STOP) &&
           host_clock_ns() < until) {
        spin_pause();
    }
    pthread_mutex_lock(&t->mutex);
}

/* The vcpu halts. Awake at first, if there is a host processor for those who may wake it; called
 * again when nothing came of that. */
static void wait_for_work(struct vcpu *v, struct vcpu_threads *t, bool *waited)
{
    if (!*waited) {
        int64_t until = spin_begin(&v->mmu->spin);
        *waited = true;
        if (until && !v->wait_ns && v->machine->nvcpus < t->host_cpus) {
            wait_awake(v, t, until);
        }
    } else if (!v->wait_ns) {
        pthread_cond_wait(&v->mmu->cond, &t->mutex);
    } else {
        struct timespec until = deadline(v->wait_ns);
        pthread_cond_timedwait(&v->mmu->cond, &t->mutex, &until);
    }
}

static void *vcpu_main(void *opaque)
{
    struct vcpu *v = opaque;
    struct vcpu_threads *t = v->machine->threads;
    bool waited = false;

    current = v;
    atomic_store(&v->mmu->tid, gettid());
    pthread_mutex_lock(&t->mutex);
    while (!t->quit) {
        if (!t->running || t->exclusive || atomic_load(&v->mmu->held)) {
            pthread_cond_wait(&t->go, &t->mutex);
            continue;
        }
        atomic_fetch_and(&v->irq_request, ~(unsigned)VCPU_REQ_STOP);
        atomic_store(&v->mmu->told, false);
        if (!v->ops->has_work(v)) {
            wait_for_work(v, t, &waited);
            continue;
        }
        if (waited) {
            spin_end(&v->mmu->spin);
            waited = false;
        }
        v->mmu->inside = true;
        pthread_mutex_unlock(&t->mutex);
        tcg_run(v);
        pthread_mutex_lock(&t->mutex);
        v->mmu->inside = false;
        pthread_cond_broadcast(&t->idle);
    }
    pthread_mutex_unlock(&t->mutex);
    return NULL;
}

bool machine_start_threads(struct machine *m, struct error *err)
{
    sigset_t all, old;
    bool ok = true;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old); /* signals are the main loop's */
    for (unsigned i = 0; ok && i < m->nvcpus; i++) {
        struct vcpu *v = m->vcpus[i];
        if (pthread_create(&v->mmu->thread, NULL, vcpu_main, v)) {
            ok = error_set(err, "cannot start a thread for processor %u", i);
        } else {
            v->mmu->started = true;
        }
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return ok;
}

/* inside: only those which may be executing guest code. */
static void stop_all(struct machine *m, const struct vcpu *but, bool inside)
{
    for (unsigned i = 0; i < m->nvcpus; i++) {
        struct vcpu *v = m->vcpus[i];
        if (v != but && (!inside || atomic_load(&v->mmu->inside))) {
            atomic_fetch_or(&v->irq_request, VCPU_REQ_STOP);
            atomic_store(&v->exit_request, 1);
            pthread_cond_signal(&v->mmu->cond);
        }
    }
}

void threads_join(struct machine *m)
{
    struct vcpu_threads *t = m->threads;

    pthread_mutex_lock(&t->mutex);
    t->quit = true;
    stop_all(m, NULL, false);
    pthread_cond_broadcast(&t->go);
    pthread_mutex_unlock(&t->mutex);
    for (unsigned i = 0; i < m->nvcpus; i++) {
        if (m->vcpus[i]->mmu->started) {
            pthread_join(m->vcpus[i]->mmu->thread, NULL);
        }
    }
}

void machine_set_running(struct machine *m, bool running)
{
    struct vcpu_threads *t = m->threads;

    pthread_mutex_lock(&t->mutex);
    t->running = running;
    if (!running) {
        stop_all(m, NULL, false);
        while (t->exclusive || t->waiting || any_inside(m, NULL)) {
            pthread_cond_wait(&t->idle, &t->mutex);
        }
    }
    pthread_mutex_unlock(&t->mutex);

    machine_lock(m);
    bool changed = running != (m->state == RUN_RUNNING) && !m->resetting;
    m->state = running ? RUN_RUNNING : RUN_PAUSED;
    clock_set_running(m->clock, running);
    if (running && m->blocks) {
        block_graph_resume(m->blocks);
    }
    machine_unlock(m);
    if (running) {
        pthread_mutex_lock(&t->mutex);
        pthread_cond_broadcast(&t->go);
        pthread_mutex_unlock(&t->mutex);
    }
    if (changed && m->event) {
        m->event(m->event_opaque, running ? EVENT_RESUME : EVENT_STOP, CAUSE_GUEST);
    }
}

int vcpu_thread_id(const struct vcpu *v)
{
    return atomic_load(&v->mmu->tid);
}

void vcpu_kick(struct vcpu *v)
{
    struct vcpu_threads *t = v->machine->threads;

    atomic_store(&v->exit_request, 1);
    if (machine_current_vcpu(v->machine) != v) {
        pthread_mutex_lock(&t->mutex);
        atomic_store(&v->mmu->told, true);
        pthread_mutex_unlock(&t->mutex);
        pthread_cond_signal(&v->mmu->cond); /* without the mutex, which it would have to wait for */
    }
}

bool vcpu_is_behind(const struct vcpu *v)
{
    if (atomic_load(&v->mmu->held) || !v->mmu->started) {
        return false;
    }
    return atomic_load(&v->mmu->inside) ? atomic_load(&v->exit_request) != 0
                                        : atomic_load(&v->mmu->told);
}

void vcpu_hold(struct vcpu *v, bool hold)
{
    struct vcpu_threads *t = v->machine->threads;

    pthread_mutex_lock(&t->mutex);
    atomic_store(&v->mmu->held, hold);
    if (!hold) {
        pthread_cond_broadcast(&t->go);
    } else if (v->mmu->inside) {
        atomic_fetch_or(&v->irq_request, VCPU_REQ_STOP);
        atomic_store(&v->exit_request, 1);
        while (v->mmu->inside) {
            pthread_cond_wait(&t->idle, &t->mutex);
        }
    } else {
        pthread_cond_signal(&v->mmu->cond); /* so that it waits for the right thing */
    }
    pthread_mutex_unlock(&t->mutex);
}

void vcpu_hold_self(struct vcpu *v)
{
    atomic_store(&v->mmu->held, true);
}

bool vcpu_is_held(const struct vcpu *v)
{
    return atomic_load(&v->mmu->held);
}

bool vcpu_wait_held(struct vcpu *v, unsigned ms)
{
    struct vcpu_threads *t = v->machine->threads;
    struct timespec end = deadline((uint64_t)ms * 1000000);
    int timeout = 0;

    pthread_mutex_lock(&t->mutex);
    while (!timeout && (v->mmu->inside || !atomic_load(&v->mmu->held))) {
        timeout = pthread_cond_timedwait(&t->idle, &t->mutex, &end);
    }
    pthread_mutex_unlock(&t->mutex);
    return !timeout;
}

void vcpu_request(struct vcpu *v, unsigned bits)
{
    atomic_fetch_or(&v->irq_request, bits);
    vcpu_kick(v);
}

void vcpu_clear_request(struct vcpu *v, unsigned bits)
{
    atomic_fetch_and(&v->irq_request, ~bits);
}

void machine_exclusive_begin(struct machine *m)
{
    struct vcpu_threads *t = m->threads;
    struct vcpu *self = machine_current_vcpu(m);

    pthread_mutex_lock(&t->mutex);
    bool was_inside = self && self->mmu->inside;
    if (was_inside) {
        self->mmu->inside = false;
        t->waiting++;
        pthread_cond_broadcast(&t->idle);
    }
    while (t->exclusive) {
        pthread_cond_wait(&t->idle, &t->mutex);
    }
    t->exclusive = true;
    stop_all(m, self, true);
    while (any_inside(m, self)) {
        pthread_cond_wait(&t->idle, &t->mutex);
    }
    if (was_inside) {
        t->waiting--;
        self->mmu->inside = true;
    }
    pthread_mutex_unlock(&t->mutex);
}

void machine_exclusive_end(struct machine *m)
{
    struct vcpu_threads *t = m->threads;

    pthread_mutex_lock(&t->mutex);
    t->exclusive = false;
    pthread_cond_broadcast(&t->go);
    pthread_cond_broadcast(&t->idle);
    pthread_mutex_unlock(&t->mutex);
}
