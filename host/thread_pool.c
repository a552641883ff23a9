/* A queue of work and the threads that do it: see thread_pool.h. One of those that have nothing to
 * do may wait awake for a moment (spin.h). */
#include "host/thread_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "host/spin.h"

struct work {
    struct work *next;
    void *item;
};

struct thread_pool {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct work *first, **tail;
    void (*work)(void *item, void *opaque);
    void *opaque;
    pthread_t *threads;
    unsigned max, n, idle, spinning;
    atomic_uint waiting; /* changed with the lock */
    bool may_spin, quit;
};

/* For work, till the time given. With the lock; it is given up meanwhile. */
static void wait_awake(struct thread_pool *p, int64_t until)
{
    p->spinning++;
    pthread_mutex_unlock(&p->lock);
    while (!atomic_load_explicit(&p->waiting, memory_order_relaxed) && host_clock_ns() < until) {
        spin_pause();
    }
    pthread_mutex_lock(&p->lock);
    p->spinning--;
}

static void *run(void *opaque)
{
    struct thread_pool *p = opaque;
    struct spin spin = {0};
    bool waited = false;

    pthread_mutex_lock(&p->lock);
    for (;;) {
        struct work *w = p->first;
        if (w) {
            if (waited) {
                spin_end(&spin);
                waited = false;
            }
            p->first = w->next;
            p->tail = p->first ? p->tail : &p->first;
            p->waiting--;
            pthread_mutex_unlock(&p->lock);
            p->work(w->item, p->opaque);
            free(w);
            pthread_mutex_lock(&p->lock);
        } else if (p->quit) {
            break;
        } else if (!waited) {
            int64_t until = spin_begin(&spin);
            waited = true;
            if (until && p->may_spin && !p->spinning) {
                wait_awake(p, until);
            }
        } else {
            p->idle++;
            pthread_cond_wait(&p->cond, &p->lock);
            p->idle--;
        }
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

struct thread_pool *thread_pool_create(unsigned max, void (*work)(void *item, void *opaque),
                                       void *opaque)
{
    struct thread_pool *p = calloc(1, sizeof(*p));

    if (!p || !(p->threads = calloc(max, sizeof(*p->threads)))) {
        abort();
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->cond, NULL);
    p->tail = &p->first;
    p->work = work;
    p->opaque = opaque;
    p->max = max;
    p->may_spin = spin_host_cpus() > 1;
    return p;
}

/* Signals are the main thread's. */
static void start_thread(struct thread_pool *p)
{
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (pthread_create(&p->threads[p->n], NULL, run, p) == 0) {
        p->n++;
    } else if (!p->n) {
        abort(); /* nobody would ever do the work */
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void thread_pool_push(struct thread_pool *p, void *item)
{
    struct work *w = malloc(sizeof(*w));

    if (!w) {
        abort();
    }
    *w = (struct work){NULL, item};
    pthread_mutex_lock(&p->lock);
    *p->tail = w;
    p->tail = &w->next;
    p->waiting++;
    if (p->idle + p->spinning < p->waiting && p->n < p->max) {
        start_thread(p);
    }
    bool wake = p->idle && p->spinning < p->waiting;
    pthread_mutex_unlock(&p->lock);
    if (wake) { /* without the lock, which the other would have to wait for */
        pthread_cond_signal(&p->cond);
    }
}

void thread_pool_destroy(struct thread_pool *p)
{
    if (!p) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    p->quit = true;
    pthread_cond_broadcast(&p->cond);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n; i++) {
        pthread_join(p->threads[i], NULL);
    }
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->cond);
    free(p->threads);
    free(p);
}
