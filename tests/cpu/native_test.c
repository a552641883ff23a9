/* Integer instructions against the host's own processor; see compare.c for the options. */
#include "tests/cpu/compare.h"

int main(int argc, char **argv)
{
    return native_compare(argc, argv, false);
}
