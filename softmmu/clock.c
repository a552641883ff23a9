/* Virtual time, and its timers in a binary heap.
 *
 * Virtual time follows CLOCK_MONOTONIC while the machine runs, but it never gets more than MAX_LATE
 * beyond a timer that should have run and has not: on a host with too few processors the machine as
 * a whole gets slower, instead of losing the ticks that its guest counts against the TSC. What was
 * lost so is a debt, which is made up for later by running faster by 1 / CATCH_UP. All of the
 * guest's clocks derive from this one, so that it sees neither.
 *
 * Readers take no lock: the line from host time to virtual time is published under a sequence
 * count. */
#include "softmmu/clock.h"
#include "host/host_clock.h"
#include "softmmu/machine.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
    MAX_LATE = 4000000, /* ns */
    CATCH_UP = 8,
    URGENT = 500000, /* ns that the main loop may be late before others run the timers */
    RETRY = 1000000, /* ns */
};

struct clock {
    struct machine *machine;
    atomic_bool running;
    /* At host time `host`, virtual time is `base` and the debt `debt`. Standing still: base. */
    atomic_uint sequence; /* odd: being changed */
    _Atomic int64_t host, base, debt;
    _Atomic int64_t limit; /* virtual time stops here until the first timer has run */
    _Atomic int64_t next;  /* when the first timer is due; INT64_MAX: none */
    int64_t alarm;         /* what the main loop is to be woken for; INT64_MAX: nothing */
    atomic_bool waits;     /* the first timer is due, but waits for a processor (timer_retry) */
    struct timer **heap;
    unsigned n, cap;
};

struct clock *clock_create(struct machine *m)
{
    struct clock *c = calloc(1, sizeof(*c));

    if (!c) {
        abort();
    }
    c->machine = m;
    c->limit = c->next = c->alarm = INT64_MAX;
    return c;
}

void clock_destroy(struct clock *c)
{
    free(c->heap);
    free(c);
}

struct line {
    int64_t host, base, debt, limit;
    bool running;
};

static struct line read_line(struct clock *c)
{
    struct line l;
    unsigned before;

    do {
        before = atomic_load_explicit(&c->sequence, memory_order_acquire);
        l = (struct line){atomic_load_explicit(&c->host, memory_order_acquire),
                          atomic_load_explicit(&c->base, memory_order_acquire),
                          atomic_load_explicit(&c->debt, memory_order_acquire),
                          atomic_load_explicit(&c->limit, memory_order_acquire),
                          atomic_load_explicit(&c->running, memory_order_acquire)};
    } while ((before & 1) || before != atomic_load_explicit(&c->sequence, memory_order_relaxed));
    return l;
}

static void write_line(struct clock *c, const struct line *l)
{
    atomic_fetch_add(&c->sequence, 1);
    atomic_store_explicit(&c->host, l->host, memory_order_release);
    atomic_store_explicit(&c->base, l->base, memory_order_release);
    atomic_store_explicit(&c->debt, l->debt, memory_order_release);
    atomic_store_explicit(&c->limit, l->limit, memory_order_release);
    atomic_store_explicit(&c->running, l->running, memory_order_release);
    atomic_fetch_add(&c->sequence, 1);
}

static int64_t caught_up(const struct line *l, int64_t passed)
{
    int64_t most = passed / CATCH_UP;

    return most < l->debt ? most : l->debt;
}

/* Virtual time at host time `now`, were there no limit. */
static int64_t free_time(const struct line *l, int64_t now)
{
    int64_t passed = now > l->host ? now - l->host : 0;

    return l->base + passed + caught_up(l, passed);
}

int64_t clock_now(struct clock *c)
{
    struct line l = read_line(c);

    if (!l.running) {
        return l.base;
    }
    int64_t t = free_time(&l, host_clock_ns());
    return t < l.limit ? t : l.limit;
}

/* Makes now the start of the line, and what is beyond the limit a debt. Locked. */
static void rebase(struct line *l)
{
    int64_t now = host_clock_ns(), t = free_time(l, now);

    if (l->running) {
        l->debt -= caught_up(l, now > l->host ? now - l->host : 0);
        if (t > l->limit) {
            l->debt += t - l->limit;
            t = l->limit;
        }
        l->base = t;
    }
    l->host = now;
}

static void set_limit(struct line *l, int64_t next)
{
    l->limit = next > INT64_MAX - MAX_LATE ? INT64_MAX : next + MAX_LATE;
    l->limit = l->limit < l->base ? l->base : l->limit; /* it never goes back */
}

/* After the first timer changed: what is late now, and when the main loop must look. Locked. */
static void first_changed(struct clock *c)
{
    struct line l = read_line(c);
    int64_t next = c->n ? c->heap[0]->expire : INT64_MAX;

    atomic_store(&c->next, next);
    rebase(&l);
    set_limit(&l, next);
    write_line(c, &l);
    if (next < c->alarm && c->machine->set_alarm) {
        c->machine->set_alarm(c->machine->wake_opaque);
    }
}

void clock_set_running(struct clock *c, bool running)
{
    struct line l = read_line(c);

    if (running == l.running) {
        return;
    }
    rebase(&l);
    set_limit(&l, atomic_load(&c->next));
    l.running = running;
    write_line(c, &l);
    if (running && c->machine->wake_main) {
        c->machine->wake_main(c->machine->wake_opaque);
    }
}

int64_t clock_alarm(struct clock *c)
{
    struct line l = read_line(c);
    int64_t wait, early;

    c->alarm = l.running && c->n ? c->heap[0]->expire : INT64_MAX;
    if (c->alarm == INT64_MAX) {
        return -1;
    }
    wait = c->alarm - clock_now(c);
    early = wait / (CATCH_UP + 1);
    wait -= early < l.debt ? early : l.debt;
    return wait > 0 ? wait : atomic_load(&c->waits) ? RETRY : 1;
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
    bool was_first = timer_armed(t) && t->heap_index == 0;

    if (timer_armed(t)) {
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
    if (c->heap[0] == t || was_first) {
        first_changed(c);
    }
}

void timer_cancel(struct timer *t)
{
    if (t->clock && timer_armed(t)) {
        bool was_first = t->heap_index == 0;
        remove_from_heap(t);
        t->expire = -1;
        if (was_first) {
            first_changed(t->clock);
        }
    }
}

int64_t clock_next_deadline(struct clock *c)
{
    return c->n ? c->heap[0]->expire : -1;
}

void clock_run_timers(struct clock *c)
{
    atomic_store(&c->waits, false);
    while (c->n && c->heap[0]->expire <= clock_now(c)) {
        struct timer *t = c->heap[0];

        timer_cancel(t);
        t->fn(t->opaque);
        if (atomic_load(&c->waits)) {
            break;
        }
    }
}

void timer_retry(struct timer *t, int64_t expire_ns)
{
    atomic_store(&t->clock->waits, true);
    timer_set(t, expire_ns);
}

bool clock_is_late(struct clock *c)
{
    int64_t next = atomic_load_explicit(&c->next, memory_order_relaxed);

    return next != INT64_MAX &&
           (atomic_load_explicit(&c->waits, memory_order_relaxed) || clock_now(c) - next > URGENT);
}

void clock_advance(struct clock *c, int64_t ns)
{
    int64_t end = atomic_load(&c->base) + ns;

    while (c->n && c->heap[0]->expire <= end) {
        struct timer *t = c->heap[0];
        if (t->expire > atomic_load(&c->base)) {
            atomic_store(&c->base, t->expire);
        }
        timer_cancel(t);
        t->fn(t->opaque);
    }
    atomic_store(&c->base, end);
    first_changed(c);
}
