/* Workloads of `make check-isa-speed`: each prints "begin NAME", works, and prints "end NAME" with
 * a sum of what it computed and how much it did. Built with gcc -O2 -mavx2 -mfma. An argument is
 * the factor of the work. */
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 192, ROWS = 4, COLUMNS = 16 };

static float a[N][N] __attribute__((aligned(32))), b[N][N] __attribute__((aligned(32))),
    c[N][N] __attribute__((aligned(32)));
static double da[N][N] __attribute__((aligned(32))), db[N][N] __attribute__((aligned(32))),
    dc[N][N] __attribute__((aligned(32)));

static void fill(void)
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            da[i][j] = a[i][j] = (float)((i * 7 + j * 3) % 11 - 5) / 4;
            db[i][j] = b[i][j] = (float)((i * 5 + j * 13) % 17 - 8) / 8;
        }
    }
    memset(c, 0, sizeof c);
    memset(dc, 0, sizeof dc);
}

static double sum(void)
{
    double s = 0;

    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            s += (c[i][j] + dc[i][j]) * ((i + 2 * j) % 7);
        }
    }
    return s;
}

/* The kernel of a library: a tile of the result stays in registers. */
static void tile(int i, int j)
{
    __m256 acc[ROWS][2];

    for (int r = 0; r < ROWS; r++) {
        acc[r][0] = acc[r][1] = _mm256_setzero_ps();
    }
    for (int k = 0; k < N; k++) {
        __m256 b0 = _mm256_load_ps(&b[k][j]), b1 = _mm256_load_ps(&b[k][j + 8]);
#pragma GCC unroll 4
        for (int r = 0; r < ROWS; r++) {
            __m256 v = _mm256_broadcast_ss(&a[i + r][k]);
            acc[r][0] = _mm256_fmadd_ps(v, b0, acc[r][0]);
            acc[r][1] = _mm256_fmadd_ps(v, b1, acc[r][1]);
        }
    }
    for (int r = 0; r < ROWS; r++) {
        _mm256_store_ps(&c[i + r][j], acc[r][0]);
        _mm256_store_ps(&c[i + r][j + 8], acc[r][1]);
    }
}

static double matrix_tiles(int factor)
{
    double s = 0;

    fill();
    for (int n = 0; n < 4 * factor; n++) {
        for (int i = 0; i < N; i += ROWS) {
            for (int j = 0; j < N; j += COLUMNS) {
                tile(i, j);
            }
        }
        s += sum();
        a[n % N][0] += 1;
    }
    return s;
}

/* What a compiler makes of the plain loops: a row of the result is loaded and stored for each k. */
__attribute__((optimize("O3"))) static void plain(void)
{
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < N; k++) {
            double v = da[i][k];
            for (int j = 0; j < N; j++) {
                dc[i][j] += v * db[k][j];
            }
        }
    }
}

static double matrix_plain(int factor)
{
    fill();
    for (int n = 0; n < 2 * factor; n++) {
        plain();
    }
    return sum();
}

/* A polynomial, a division and a root for each step. */
static double x87(int factor)
{
    long double x = 0.5L, total = 0;

    for (long n = 0; n < 300000L * factor; n++) {
        long double p = ((x * 0.25L + 0.5L) * x - 0.125L) * x + 1.0L;
        x = (p - x * x) / (1.0L + x);
        total += __builtin_sqrtl(x * x + (long double)n);
    }
    return (double)(total + x);
}

/* No division: sums of products as in a filter. */
static double x87_filter(int factor)
{
    long double taps[16], history[16] = {0}, total = 0;

    for (int n = 0; n < 16; n++) {
        taps[n] = 1.0L / (n + 3);
    }
    for (long n = 0; n < 80000L * factor; n++) {
        long double y = 0;
        history[n & 15] = (long double)(n % 1000) - 500;
        for (int k = 0; k < 16; k++) {
            y += taps[k] * history[(n - k) & 15];
        }
        total += y;
    }
    return (double)total;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        double (*work)(int factor);
    } works[] = {{"matrix-tiles", matrix_tiles},
                 {"matrix-plain", matrix_plain},
                 {"x87", x87},
                 {"x87-filter", x87_filter}};
    int factor = argc > 1 ? atoi(argv[1]) : 1;

    for (unsigned n = 0; n < sizeof works / sizeof works[0]; n++) {
        works[n].work(1); /* the emulators translate */
        printf("begin %s\n", works[n].name);
        fflush(stdout);
        double result = works[n].work(factor);
        printf("end %s %.17g\n", works[n].name, result);
        fflush(stdout);
    }
    return 0;
}
