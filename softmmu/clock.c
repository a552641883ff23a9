/* Virtual time: CLOCK_MONOTONIC less the time the machine stood still; timers in a binary heap. */
#include "softmmu/clock.h"
#include "softmmu/machine.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

struct clock {
    struct machine *machine;
    atomic_bool running;
    _Atomic int64_t offset; /* running: host time - offset; else the time it stands at */
    struct timer **heap;
    unsigned n, cap;
};

static int64_t host_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

struct clock *clock_create(struct machine *m)
{
    struct clock *c = calloc(1, sizeof(*c));

    if (!c) {
        abort();
    }
    c->machine = m;
    return c;
}

void clock_destroy(struct clock *c)
{
    free(c->heap);
    free(c);
}

int64_t clock_now(struct clock *c)
{
    /* Stopping and starting happen while no vcpu runs; a reader on another thread may see either.
     */
    int64_t offset = atomic_load_explicit(&c->offset, memory_order_relaxed);
    return atomic_load_explicit(&c->running, memory_order_acquire) ? host_now() - offset : offset;
}

void clock_set_running(struct clock *c, bool running)
{
    if (running == atomic_load(&c->running)) {
        return;
    }
    atomic_store(&c->offset, host_now() - atomic_load(&c->offset));
    atomic_store(&c->running, running);
    if (running && c->machine->wake_main) {
        c->machine->wake_main(c->machine->wake_opaque);
    }
}

void clock_wall(struct clock *c, int64_t *sec, int64_t *nsec)
{
    struct timespec ts;

    (void)c;
    clock_gettime(CLOCK_REALTIME, &ts);
    *sec = ts.tv_sec;
    *nsec = ts.tv_nsec;
}

/* ---- timers: heap[0] is the first ---- */

static void place(struct clock *c, unsigned i, struct timer *t)
{
    c->heap[i] = t;
    t->heap_index = i;
}

static void sift_up(struct clock *c, unsigned i)
{
    struct timer *t = c->heap[i];

    while (i && c->heap[(i - 1) / 2]->expire > t->expire) {
        place(c, i, c->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(c, i, t);
}

static void sift_down(struct clock *c, unsigned i)
{
    struct timer *t = c->heap[i];

    for (unsigned k; (k = 2 * i + 1) < c->n; i = k) {
        if (k + 1 < c->n && c->heap[k + 1]->expire < c->heap[k]->expire) {
            k++;
        }
        if (c->heap[k]->expire >= t->expire) {
            break;
        }
        place(c, i, c->heap[k]);
    }
    place(c, i, t);
}

void timer_init(struct timer *t, struct clock *c, void (*fn)(void *), void *opaque)
{
    *t = (struct timer){.fn = fn, .opaque = opaque, .clock = c, .expire = -1};
}

static void remove_from_heap(struct timer *t)
{
    struct clock *c = t->clock;
    unsigned i = t->heap_index;

    c->n--;
    if (i < c->n) {
        place(c, i, c->heap[c->n]);
        sift_down(c, i);
        sift_up(c, i);
    }
}

void timer_set(struct timer *t, int64_t expire_ns)
{
    struct clock *c = t->clock;

    if (t->expire >= 0) {
        remove_from_heap(t);
    }
    t->expire = expire_ns < 0 ? 0 : expire_ns;
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 32;
        c->heap = realloc(c->heap, c->cap * sizeof(*c->heap));
        if (!c->heap) {
            abort();
        }
    }
    c->heap[c->n] = t;
    t->heap_index = c->n++;
    sift_up(c, t->heap_index);
    if (c->heap[0] == t && c->machine->wake_main) {
        c->machine->wake_main(c->machine->wake_opaque);
    }
}

void timer_cancel(struct timer *t)
{
    if (t->clock && t->expire >= 0) {
        remove_from_heap(t);
        t->expire = -1;
    }
}

int64_t clock_next_deadline(struct clock *c)
{
    return c->n ? c->heap[0]->expire : -1;
}

void clock_run_timers(struct clock *c)
{
    while (c->n && c->heap[0]->expire <= clock_now(c)) {
        struct timer *t = c->heap[0];
        timer_cancel(t);
        t->fn(t->opaque);
    }
}

void clock_advance(struct clock *c, int64_t ns)
{
    int64_t end = atomic_load(&c->offset) + ns;

    while (c->n && c->heap[0]->expire <= end) {
        struct timer *t = c->heap[0];
        if (t->expire > atomic_load(&c->offset)) {
            atomic_store(&c->offset, t->expire);
        }
        timer_cancel(t);
        t->fn(t->opaque);
    }
    atomic_store(&c->offset, end);
}
