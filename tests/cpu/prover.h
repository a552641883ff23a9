/* The prover's engine: runs units, each one piece of code with several states, natively and in
 * emulated processors, and compares. Which code a unit is follows from its number and the seed. */
#ifndef TESTS_CPU_PROVER_H
#define TESTS_CPU_PROVER_H

#include "tests/cpu/emulated.h"
#include "tests/cpu/generate.h"

enum { PROVER_CASES = 16 /* of a unit */, PROVER_EXECUTORS = 2, PROVER_MODES = 3 };

struct prover_coverage { /* of a row in a mode */
    uint32_t cases, faults, reported;
    uint64_t forms; /* a bit for each operand size, vector length, register or memory */
};

struct prover_total {
    uint64_t cases, faults, skipped, sequences, differences;
};

struct prover {
    uint64_t seed;
    const char *name; /* only this mnemonic; NULL: all */
    unsigned bits;    /* only this mode; 0: all */
    bool only_sequences;
    unsigned max_reports, reports;
    struct native *native;
    unsigned nexec;
    struct emulated *emulated[PROVER_EXECUTORS];
    const char *exec_name[PROVER_EXECUTORS];
    struct generator *gen[PROVER_MODES]; /* 64, 32, 16 bits; NULL: the host cannot */
    struct prover_coverage *coverage[PROVER_MODES];
    unsigned unit_of_mode[PROVER_MODES +
                          1]; /* first unit of a mode's rows in a round; last: sequences */
    unsigned round;           /* units of one round: each row once, and sequences */
    struct prover_total total;
    struct prover_batch *batch;
};

/* accel: NULL for all that this host has. NULL: *why tells why it cannot run here. */
struct prover *prover_start(const char *accel, uint64_t seed, const char **why);
void prover_stop(struct prover *p);
/* Adds a unit to the batch, and runs the batch when it is full. */
void prover_unit(struct prover *p, uint64_t unit);
/* Runs only case n of it and prints it. */
void prover_show(struct prover *p, uint64_t unit, unsigned n);
void prover_flush(struct prover *p);

#endif
