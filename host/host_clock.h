/* The host's monotonic clock: for what belongs to the host alone. Devices read the virtual clock
 * (softmmu/clock.h). */
#ifndef HOST_HOST_CLOCK_H
#define HOST_HOST_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds since an instant that does not change while the host runs. Any thread. */
static inline int64_t host_clock_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

#endif
