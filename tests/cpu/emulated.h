/* Runs the cases of tests/cpu/native.h in an emulated processor: user mode, 64-bit, compatibility
 * or 16-bit segments, with page tables that show the same areas at the same addresses and
 * descriptors like Linux's. */
#ifndef TESTS_CPU_EMULATED_H
#define TESTS_CPU_EMULATED_H

#include "tests/cpu/native.h"

struct emulated;
/* accel: NULL for the default executor. cpu: model name. Exits when it cannot. */
struct emulated *emulated_start(const char *accel, const char *cpu);
void emulated_stop(struct emulated *e);
/* The code of the cases that follow. */
void emulated_code(struct emulated *e, const struct native_group *g);
void emulated_run(struct emulated *e, const struct native_case *k, struct native_result *r);
/* 64 and 32-bit code sees no LDT, as on a host that has none. */
void emulated_without_ldt(struct emulated *e);
struct x86_cpu *emulated_cpu(struct emulated *e);

#endif
