/* Whether two results of a case agree in all that is defined, and what is printed when they do not.
 */
#ifndef TESTS_CPU_COMPARE_H
#define TESTS_CPU_COMPARE_H

#include "tests/cpu/generate.h"

/* NULL: they agree; else what differs. a: native. */
const char *compare_results(const struct code *c, const struct native_case *k,
                            const struct native_result *a, const struct native_result *b);
/* Prints code, state and both results; who: name of the second. */
void compare_report(const struct code *c, const struct native_case *k,
                    const struct native_result *a, const struct native_result *b, const char *who);

#endif
