/* The machine's one clock: virtual time in nanoseconds since power-on. It stands still while the
 * machine is stopped. Every device, the TSC included, derives its time from it. Timers run their
 * callbacks with the machine lock held, in the main loop's thread, or in a vcpu's when the main
 * loop is late. */
#ifndef SOFTMMU_CLOCK_H
#define SOFTMMU_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct machine;
struct clock;

struct timer {
    void (*fn)(void *opaque);
    void *opaque;
    struct clock *clock;
    int64_t expire;      /* ns, or -1 while not armed; described in state tables as TYPE_TIMER */
    unsigned heap_index; /* private */
};

struct clock *clock_create(struct machine *m);
void clock_destroy(struct clock *c);
int64_t clock_now(struct clock *c);                    /* ns; any thread, no lock needed */
void clock_set_running(struct clock *c, bool running); /* with the machine lock */
int64_t clock_next_deadline(struct clock *c);          /* ns of the first timer, -1: none; locked */
void clock_run_timers(struct clock *c);                /* those that are due; locked */
bool clock_is_late(struct clock *c); /* timers should have run some time ago; any thread */
int64_t
clock_alarm(struct clock *c); /* ns of host time to the first timer, -1: none; main loop, locked */

void timer_init(struct timer *t, struct clock *c, void (*fn)(void *), void *opaque);
void timer_set(struct timer *t, int64_t expire_ns); /* absolute; locked */
/* In a callback: what it does must wait until a processor has got on; it is tried again soon, and
 * the clock stops meanwhile. expire_ns: when the timer was due. */
void timer_retry(struct timer *t, int64_t expire_ns);
void timer_cancel(struct timer *t);
static inline bool timer_armed(const struct timer *t)
{
    return t->expire >= 0;
}

/* While the clock stands still: moves it forward by ns and runs the timers that fall due, each at
 * its own time (clock_now() in a callback is the timer's expire). Unit tests, replay. Locked. */
void clock_advance(struct clock *c, int64_t ns);

/* Real (wall) time enters here only: seconds since 1970 in UTC plus nanoseconds. */
void clock_wall(struct clock *c, int64_t *sec, int64_t *nsec);

/* a * b / c without overflow of the product; for rates and ticks. c != 0. */
static inline uint64_t clock_muldiv(uint64_t a, uint64_t b, uint64_t c)
{
    return (uint64_t)((unsigned __int128)a * b / c);
}

#endif
