/* glibc's functions over random inputs, a checksum each: maths in three precisions, strings and
 * memory at all alignments, conversions. Equal sums in a guest and on its host mean that the same
 * instructions (it picks AVX2 and FMA variants by CPUID) did the same. The host's may be of
 * AVX-512, with the same results. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t sum;

static void add(const void *p, size_t n)
{
    const unsigned char *b = p;

    for (size_t i = 0; i < n; i++) {
        sum = (sum ^ b[i]) * UINT64_C(0x100000001b3);
    }
}

/* Any bit pattern, a moderate number, or a small one. */
static double number(void)
{
    uint64_t r = next();
    double d;

    switch (r >> 60) {
    case 0:
        r = next();
        memcpy(&d, &r, 8);
        return d;
    case 1:
        return (double)(int64_t)(r << 4) * 0x1p-70;
    default:
        return (double)(int64_t)(r << 4) * 0x1p-59;
    }
}

#define END(name)                                                                                  \
    printf("glibc %s: %016llx\n", name, (unsigned long long)sum);                                  \
    sum = 0
#define D1(fn)                                                                                     \
    for (int i = 0; i < 20000; i++) {                                                              \
        double x = number(), r = fn(x);                                                            \
        float rf = fn##f((float)x);                                                                \
        r = r != r ? 0 : r;                                                                        \
        rf = rf != rf ? 0 : rf;                                                                    \
        add(&r, 8);                                                                                \
        add(&rf, 4);                                                                               \
        if (i % 4 == 0) {                                                                          \
            long double rl = fn##l((long double)x);                                                \
            rl = rl != rl ? 0 : rl;                                                                \
            add(&rl, 10);                                                                          \
        }                                                                                          \
    }                                                                                              \
    END(#fn);
#define D2(fn)                                                                                     \
    for (int i = 0; i < 20000; i++) {                                                              \
        double x = number(), y = number(), r = fn(x, y);                                           \
        float rf = fn##f((float)x, (float)y);                                                      \
        r = r != r ? 0 : r;                                                                        \
        rf = rf != rf ? 0 : rf;                                                                    \
        add(&r, 8);                                                                                \
        add(&rf, 4);                                                                               \
        if (i % 4 == 0) {                                                                          \
            long double rl = fn##l((long double)x, (long double)y);                                \
            rl = rl != rl ? 0 : rl;                                                                \
            add(&rl, 10);                                                                          \
        }                                                                                          \
    }                                                                                              \
    END(#fn);

static void maths(void)
{
    D1(sin)
    D1(cos) D1(tan) D1(asin) D1(acos) D1(atan) D1(sinh) D1(cosh) D1(tanh) D1(asinh) D1(acosh)
        D1(atanh) D1(exp) D1(exp2) D1(expm1) D1(log) D1(log2) D1(log10) D1(log1p) D1(sqrt) D1(cbrt)
            D1(erf) D1(erfc) D1(floor) D1(ceil) D1(rint) D1(trunc) D1(round) D2(pow) D2(atan2)
                D2(fmod) D2(hypot) D2(remainder) D2(fdim) D2(nextafter)
}

static char text[8192], other[8192];

static size_t place(void)
{
    return next() % 200;
}

static void strings(void)
{
    for (int i = 0; i < 20000; i++) {
        size_t at = place(), bt = place(), n = next() % 300;
        for (size_t k = 0; k < n; k++) {
            text[at + k] = (char)('a' + next() % 3);
        }
        text[at + n] = 0;
        memmove(other + bt, text + at, n + 1);
        if (n && next() % 2) {
            other[bt + next() % n] ^= 1;
        }
        long r[16] = {
            (long)strlen(text + at),
            strcmp(text + at, other + bt) > 0,
            strncmp(text + at, other + bt, n / 2 + 1) < 0,
            memcmp(text + at, other + bt, n) > 0,
            strchr(text + at, 'b') ? strchr(text + at, 'b') - text : -1,
            strrchr(text + at, 'c') ? strrchr(text + at, 'c') - text : -1,
            memchr(text + at, 'c', n) ? (char *)memchr(text + at, 'c', n) - text : -1,
            memrchr(text + at, 'a', n) ? (char *)memrchr(text + at, 'a', n) - text : -1,
            strstr(text + at, "abcab") ? strstr(text + at, "abcab") - text : -1,
            (long)strspn(text + at, "ab"),
            (long)strcspn(text + at, "c"),
            strpbrk(text + at, "cx") ? strpbrk(text + at, "cx") - text : -1,
            (long)strnlen(text + at, n / 2),
            strcasecmp(text + at, other + bt) > 0,
            strchrnul(text + at, 'z') - text,
            memmem(text + at, n, "cba", 3) ? (char *)memmem(text + at, n, "cba", 3) - text : -1,
        };
        add(r, sizeof r);
        memset(other + bt, (int)i, n);
        memcpy(other + 4096 + at, text + at, n);
        memmove(other + 4096 + at + 3, other + 4096 + at, n);
        stpcpy(other + 6000 + bt, text + at);
    }
    add(other, sizeof other);
    END("strings");
    for (int i = 0; i < 5000; i++) {
        wchar_t w[100], *found;
        size_t n = next() % 99;
        for (size_t k = 0; k < n; k++) {
            w[k] = (wchar_t)('a' + next() % 3);
        }
        w[n] = 0;
        found = wcschr(w, L'c');
        long r[3] = {(long)wcslen(w), found ? found - w : -1, (long)wcsnlen(w, n / 2)};
        add(r, sizeof r);
    }
    END("wide strings");
}

static void conversions(void)
{
    for (int i = 0; i < 10000; i++) {
        char s[400];
        double x = number(), y;
        int n = snprintf(s, sizeof s, "%.17g %.3f %a %Lg %lld", x, x * 1e-200, x,
                         (long double)x * 3, (long long)next());
        add(s, (size_t)n);
        y = strtod(s, NULL);
        add(&y, 8);
        float f = strtof(s, NULL);
        add(&f, 4);
        long double l = strtold(s, NULL);
        add(&l, 10);
    }
    END("conversions");
}

int main(void)
{
    maths();
    strings();
    conversions();
    return 0;
}
