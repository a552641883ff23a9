/* How many processors there are for threads that wait awake: see spin.h. */
#include "host/spin.h"

#include <sched.h>
#include <unistd.h>

unsigned spin_host_cpus(void)
{
    cpu_set_t set;
    long n;

    if (!sched_getaffinity(0, sizeof(set), &set)) {
        n = CPU_COUNT(&set);
    } else { /* more than the set holds */
        n = sysconf(_SC_NPROCESSORS_ONLN);
    }
    return n > 1 ? (unsigned)n : 1;
}
