/* A small 32-bit multiboot kernel with debug information, for the tests with debuggers. It computes
 * for ever: work() with a recursion to look at, variables to watch, a string instruction. */
#include "start.h"

volatile unsigned counter, total, last_depth, flag = 7;
char from[64] = "copied by a string instruction", to[64];

static unsigned __attribute__((noinline)) descend(unsigned depth)
{
    if (depth == 0) {
        last_depth = counter; /* the bottom */
        return 1;
    }
    return descend(depth - 1) + 1;
}

static void __attribute__((noinline)) copy(char *d, const char *s, unsigned n)
{
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
}

static void __attribute__((noinline)) work(unsigned n)
{
    unsigned local = n * 3;

    counter = n;
    total += descend(3) + local;
    if (flag == 8) {
        copy(to, from, 31);
        flag = 9;
    }
}

void kernel_main(void)
{
    for (unsigned n = 0;; n++) {
        work(n);
    }
}
