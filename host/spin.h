/* Waiting awake before sleeping. To sleep and to be woken costs ten microseconds and more on some
 * hosts, and who was woken soon the last time will mostly be so again: only then a wait begins
 * awake, and for SPIN_NS at most. A thread that waits for long (an idle guest) never spins. */
#ifndef HOST_SPIN_H
#define HOST_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#include "host/host_clock.h"

enum { SPIN_NS = 50000 };

struct spin { /* of one thread; zero: it sleeps at first */
    bool soon;
    int64_t since;
};

/* Processors that this process may run on, at least 1. Who spins needs another that works. */
unsigned spin_host_cpus(void);

static inline void spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* A wait begins. Returns until when it may spin (host_clock_ns()); 0: sleep at once. */
static inline int64_t spin_begin(struct spin *s)
{
    s->since = host_clock_ns();
    return s->soon ? s->since + SPIN_NS : 0;
}

/* The wait is over. */
static inline void spin_end(struct spin *s)
{
    s->soon = host_clock_ns() - s->since < SPIN_NS;
}

#endif
