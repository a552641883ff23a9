/* Runs the cases of tests/cpu/native.h in an emulated processor: user mode, 64-bit or
 * compatibility, with page tables that show the same areas at the same addresses. */
#ifndef TESTS_CPU_EMULATED_H
#define TESTS_CPU_EMULATED_H

#include "tests/cpu/native.h"

struct emulated;
/* accel: NULL for the default executor. cpu: model name. Exits when it cannot. */
struct emulated *emulated_start(const char *accel, const char *cpu);
void emulated_stop(struct emulated *e);
void emulated_run(struct emulated *e, const struct native_case *k, struct native_result *r);
const uint8_t *emulated_data(struct emulated *e); /* after the last case */
struct x86_cpu *emulated_cpu(struct emulated *e);

#endif
