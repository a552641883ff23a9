/* The comparison of the emulated processor with the host's, see compare.c. */
#ifndef TESTS_CPU_COMPARE_H
#define TESTS_CPU_COMPARE_H

#include <stdbool.h>

/* The whole test program; vectors: the rows of SSE, MMX and AVX instead of the others. */
int native_compare(int argc, char **argv, bool vectors);

#endif
