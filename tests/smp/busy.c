/* Guest program: what one busy thread takes on a processor of its own, and what two take at once on
 * two. The threads share nothing: whatever two take longer is the emulator's (false sharing, locks
 * in look-ups) or the host's. Arguments: rounds, size of the work. Prints a line a round and the
 * median ratio. It runs on the host, too, which tells the host's own share. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ROUNDS = 64, WORDS = 32768 };

static unsigned long size = 100;
static pthread_barrier_t barrier;

static unsigned long step_a(unsigned long x)
{
    return x * 3 + 1;
}
static unsigned long step_b(unsigned long x)
{
    return x ^ (x >> 7);
}
static unsigned long step_c(unsigned long x)
{
    return (x << 5) - x;
}
static unsigned long step_d(unsigned long x)
{
    return x + 0x9e3779b9;
}

/* Arithmetic, memory, indirect calls, vectors, a locked counter of the thread's own, system calls.
 * No page faults: the threads have one address space, whose lock they would wait for. */
static unsigned long work(unsigned long seed)
{
    unsigned long (*volatile steps[4])(unsigned long) = {step_a, step_b, step_c, step_d};
    uint64_t *words = malloc(WORDS * sizeof(*words)), locked = 0;
    double *numbers = malloc(4096 * sizeof(*numbers));
    unsigned long x = seed;

    for (unsigned i = 0; i < 4096; i++) {
        numbers[i] = i + 0.5;
    }
    memset(words, 1, WORDS * sizeof(*words));
    for (unsigned long n = 0; n < size; n++) {
        for (unsigned i = 0; i < WORDS; i++) {
            words[i] += x;
            x = (x << 1 | x >> 63) ^ words[(i * 7 + x) % WORDS];
        }
        for (unsigned i = 0; i < 4000; i++) {
            x = steps[x >> 3 & 3](x);
            __asm__ volatile("lock addq %1, %0" : "+m"(locked) : "r"(x) : "cc");
        }
        for (unsigned i = 0; i < 4096; i++) {
            numbers[i] = numbers[i] * 0.999 + 0.25;
        }
        syscall(SYS_getppid);
    }
    x += locked + (unsigned long)numbers[17];
    free(words);
    free(numbers);
    return x;
}

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct thread {
    _Alignas(128) pthread_t id;
    unsigned cpu;
    unsigned long sum;
    double start, end;
} thread[2];

static void *run(void *opaque)
{
    struct thread *t = opaque;
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(t->cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
    pthread_barrier_wait(&barrier);
    t->start = now();
    t->sum = work(12345);
    t->end = now();
    return NULL;
}

/* Seconds from the first thread's start to the last one's end, on processors first .. first + n
 * - 1. */
static double timed(unsigned first, unsigned n)
{
    double start, end;

    pthread_barrier_init(&barrier, NULL, n);
    for (unsigned i = 0; i < n; i++) {
        thread[i].cpu = first + i;
        pthread_create(&thread[i].id, NULL, run, &thread[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        pthread_join(thread[i].id, NULL);
    }
    start = thread[0].start;
    end = thread[0].end;
    if (n == 2) {
        start = thread[1].start < start ? thread[1].start : start;
        end = thread[1].end > end ? thread[1].end : end;
        if (thread[0].sum != thread[1].sum) {
            printf("busy: FAILED: the threads' sums differ\n");
            exit(1);
        }
    }
    pthread_barrier_destroy(&barrier);
    return end - start;
}

static int compare(const void *a, const void *b)
{
    return *(const double *)a < *(const double *)b ? -1 : 1;
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 5;
    double ratio[MAX_ROUNDS];

    size = argc > 2 ? (unsigned long)atol(argv[2]) : size;
    if (rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "busy ROUNDS (1 to %d) SIZE\n", MAX_ROUNDS);
        return 2;
    }
    timed(0, 2); /* translates */
    for (unsigned i = 0; i < rounds; i++) {
        double one = timed(i & 1, 1), two = timed(0, 2);
        ratio[i] = two / one;
        printf("busy: one %.3f s, two %.3f s: %.3f\n", one, two, ratio[i]);
    }
    qsort(ratio, rounds, sizeof(ratio[0]), compare);
    printf("busy: median %.3f\n", ratio[rounds / 2]);
    return 0;
}
