/* MMX, SSE and AVX instructions against the host's own processor: vector and MMX registers, MXCSR
 * and x87 tags too; see compare.c for the options. */
#include "tests/cpu/compare.h"

int main(int argc, char **argv)
{
    return native_compare(argc, argv, true);
}
