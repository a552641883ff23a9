/* What the two monitors (HMP and QMP) share. Machine lock held, main loop's thread. */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include "softmmu/machine.h"

struct program;

/* Carries a request out now instead of at the end of the main loop's round, giving the lock away
 * meanwhile. */
void control_request(struct machine *m, enum machine_request what, enum machine_cause cause,
                     const char *reason);
/* No processor runs guest code in between, so that registers and page tables are exact. The lock is
 * given away while waiting for them. */
void control_freeze(struct machine *m);
void control_thaw(struct machine *m);
/* Writes len bytes from virtual (of processor number cpu) or physical memory (cpu < 0) to a new
 * file. */
bool control_save_memory(struct machine *m, int cpu, uint64_t addr, uint64_t len, const char *path,
                         struct error *err);
static inline struct program *control_program(struct machine *m)
{
    return m->control;
}

#endif
