/* TAP output of a test program: tap_ok() for each check, `return tap_done();` from main. */
#ifndef TESTS_UNIT_TAP_H
#define TESTS_UNIT_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

struct tap_counts {
    int run, failed;
};

static inline struct tap_counts *tap_counts(void)
{
    static struct tap_counts counts;
    return &counts;
}

__attribute__((format(printf, 2, 3))) static inline bool tap_ok(bool ok, const char *fmt, ...)
{
    struct tap_counts *c = tap_counts();
    va_list ap;

    c->run++;
    c->failed += !ok;
    printf("%sok %d - ", ok ? "" : "not ", c->run);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
    return ok;
}

static inline int tap_done(void)
{
    printf("1..%d\n", tap_counts()->run);
    return tap_counts()->failed != 0;
}

#endif
