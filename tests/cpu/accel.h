/* Which executor the tests of this folder use: the one they ask for, else that of the environment:
 * ACCEL=tcg, interp or tcg,verify=on (both in lockstep; a difference ends the test program with
 * status 98). */
#ifndef TESTS_CPU_ACCEL_H
#define TESTS_CPU_ACCEL_H

#include <stdlib.h>
#include <string.h>

#include "softmmu/tlb.h"
#include "tcg/tcg.h"

static void (*accel_verify_failed)(struct vcpu *v); /* NULL: end the program */

static inline void accel_failed(struct vcpu *v)
{
    if (!accel_verify_failed) {
        exit(98);
    }
    accel_verify_failed(v);
}

static inline struct tcg *accel_create(struct machine *m, const char *accel, uint64_t cache_size,
                                       struct error *err)
{
    static struct tcg_host_ops host;
    struct tcg_options opt = {.accel = accel ? accel : getenv("ACCEL"), .cache_size = cache_size};

    if (opt.accel && !strcmp(opt.accel, "tcg,verify=on")) {
        opt.accel = "tcg";
        opt.verify = true;
    }
    host = softmmu_tcg_ops;
    host.verify_failed = accel_failed;
    return tcg_create(m, &opt, &host, err);
}

#endif
