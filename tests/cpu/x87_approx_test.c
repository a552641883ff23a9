/* The portable transcendental functions against the host's x87 unit, on random operands of all the
 * ranges that the instructions take: the largest distance in units in the last place of 64 bits,
 * and the worst operands.
 *
 *   x87_approx_test [-n cases per function] [-s seed] */
#include "cpu/x87_approx.h"
#include "tests/unit/tap.h"

#include <stdlib.h>
#include <unistd.h>

static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * UINT64_C(0x2545f4914f6cdd1d);
}

/* A number with exponent low..high; now and then next to a multiple of pi/4 or to 1. */
static struct sf80 number(int low, int high, bool positive)
{
    uint64_t m = next() | UINT64_C(1) << 63;
    int e = low + (int)((next() >> 8) % (unsigned)(high - low + 1));

    switch (next() >> 32 & 15) {
    case 0:
        m = UINT64_C(0xc90fdaa22168c235) + (next() >> 60) - 8;
        break;
    case 1:
        m = next() & 256 ? UINT64_MAX - (next() >> 61) : (UINT64_C(1) << 63) + (next() >> 61);
        break;
    case 2:
        m &= UINT64_MAX << (next() >> 58);
        m |= UINT64_C(1) << 63;
        break;
    default:
        break;
    }
    return (struct sf80){m,
                         (uint16_t)((e + 16383) | (!positive && (next() >> 40 & 1) ? 0x8000 : 0))};
}

static uint64_t distance(struct sf80 a, struct sf80 b)
{
    unsigned ea = a.se & 0x7fff, eb = b.se & 0x7fff;

    if ((a.se ^ b.se) >> 15 && (a.mant || b.mant)) {
        return UINT64_MAX;
    }
    if (ea == eb) {
        return a.mant > b.mant ? a.mant - b.mant : b.mant - a.mant;
    }
    if (ea + 1 == eb && b.mant <= (UINT64_C(1) << 63) + 16) {
        return (b.mant - (UINT64_C(1) << 63)) + (0 - a.mant);
    }
    if (eb + 1 == ea && a.mant <= (UINT64_C(1) << 63) + 16) {
        return (a.mant - (UINT64_C(1) << 63)) + (0 - b.mant);
    }
    return UINT64_MAX;
}

static const struct function {
    const char *name;
    enum x87_function f;
    int low, high; /* exponents of x */
    bool positive;
    int ylow, yhigh;
} functions[] = {
    {"F2XM1", X87_F2XM1, -70, -1, false, 0, 0},
    {"FYL2X", X87_FYL2X, -200, 200, true, -50, 50},
    {"FYL2X near 1", X87_FYL2X, -1, 0, true, -3, 3},
    {"FYL2XP1", X87_FYL2XP1, -80, -3, false, -50, 50},
    {"FPATAN", X87_FPATAN, -40, 40, false, -40, 40},
    {"FPATAN near 1", X87_FPATAN, -2, 2, false, -2, 2},
    {"FSIN", X87_FSIN, -70, 3, false, 0, 0},
    {"FSIN of large angles", X87_FSIN, 4, 62, false, 0, 0},
    {"FCOS", X87_FCOS, -70, 3, false, 0, 0},
    {"FCOS of large angles", X87_FCOS, 4, 62, false, 0, 0},
    {"FPTAN", X87_FPTAN, -70, 3, false, 0, 0},
    {"FPTAN of large angles", X87_FPTAN, 4, 62, false, 0, 0},
};

static void test_function(const struct function *f, unsigned long cases)
{
    struct sf80 worst_x = {0, 0}, worst_y = {0, 0};
    uint64_t most = 0;
    unsigned long exact = 0;

    for (unsigned long n = 0; n < cases; n++) {
        struct fpenv env = {.masks = FP_ALL, .precision = 3}, ours = env;
        struct sf80 x = number(f->low, f->high, f->positive), y = number(f->ylow, f->yhigh, false),
                    r;
        if (f->f == X87_FYL2X && f->high == 0 && x.mant == UINT64_C(1) << 63) {
            continue; /* exactly 1: not asked */
        }
        if (!x87_by_host(f->f, &env, x, y, &r)) {
            tap_ok(true, "%s # SKIP the host has no x87 unit to compare with", f->name);
            return;
        }
        struct sf80 got = sf_pack80(&ours, x87_approximate(f->f, sf_unpack80(x), sf_unpack80(y)));
        uint64_t d = distance(got, r);
        exact += d == 0;
        if (d > most) {
            most = d;
            worst_x = x;
            worst_y = y;
        }
    }
    tap_ok(most <= 1,
           "%s: %lu cases, %lu equal, at most %llu ulp apart (x = %04x %016llx, y = %04x %016llx)",
           f->name, cases, exact, (unsigned long long)most, worst_x.se,
           (unsigned long long)worst_x.mant, worst_y.se, (unsigned long long)worst_y.mant);
}

int main(int argc, char **argv)
{
    unsigned long cases = 10000;

    for (int o; (o = getopt(argc, argv, "n:s:")) != -1;) {
        if (o == 'n') {
            cases = strtoul(optarg, NULL, 0);
        } else if (o == 's') {
            state = strtoull(optarg, NULL, 0) | 1;
        } else {
            return 2;
        }
    }
    for (unsigned n = 0; n < sizeof functions / sizeof functions[0]; n++) {
        test_function(&functions[n], cases);
    }
    return tap_done();
}
