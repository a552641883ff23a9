/* Guest program: threads that do at once what emulators of several processors get wrong, and check
 * the outcome. Arguments: seconds, threads; Ctrl-C ends it earlier. Prints counts and "smp-stress:
 * OK", or what was wrong.
 *
 *   atomic counters (add, xadd, inc, cmpxchg, cmpxchg16b), spin locks around plain counters
 *   store-then-load and message passing between two threads (x86-TSO), with MFENCE where it is
 * needed pages unmapped and protected while others read them: they must fault as soon as the call
 * returned code written and called at once, code patched for another thread, and pages that are
 * called for the first time while another thread writes to them signals and futexes (by pthread
 * conditions) between threads */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 64, PAGE = 4096 };

static atomic_bool stop, failed;
static unsigned nthreads = 8;
static struct worker {
    pthread_t id;
    unsigned n;
    uint64_t rounds, adds, locked, faults, codes, signals;
} worker[MAX_THREADS];

static void fail(const char *what, unsigned long a, unsigned long b)
{
    if (!atomic_exchange(&failed, true)) {
        printf("smp-stress: FAILED: %s: %#lx %#lx\n", what, a, b);
    }
    atomic_store(&stop, true);
}

/* ---- counters ---- */

static uint64_t counter_add, counter_xadd, counter_inc, counter_cas;
static uint8_t counter_byte;
static __attribute__((aligned(16))) uint64_t pair[2];
static uint64_t plain;
static int lock;

static void counters(struct worker *w)
{
    for (int i = 0; i < 100; i++) {
        uint64_t one = 1, old, a, b;
        unsigned char done;
        __asm__ volatile("lock addq %1, %0" : "+m"(counter_add) : "r"(one) : "cc");
        __asm__ volatile("lock xaddq %1, %0" : "+m"(counter_xadd), "+r"(one) : : "cc");
        __asm__ volatile("lock incq %0" : "+m"(counter_inc) : : "cc");
        __asm__ volatile("lock incb %0" : "+m"(counter_byte) : : "cc");
        do {
            old = *(volatile uint64_t *)&counter_cas;
            __asm__ volatile("lock cmpxchgq %3, %1; sete %0"
                             : "=q"(done), "+m"(counter_cas), "+a"(old)
                             : "r"(old + 1)
                             : "cc");
        } while (!done);
        do {
            a = *(volatile uint64_t *)&pair[0];
            b = *(volatile uint64_t *)&pair[1];
            __asm__ volatile("lock cmpxchg16b %1; sete %0"
                             : "=q"(done), "+m"(pair), "+a"(a), "+d"(b)
                             : "b"(a + 1), "c"(b + 2)
                             : "cc");
        } while (!done);
        w->adds++;
    }
    for (int i = 0; i < 20; i++) {
        while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE)) {
            for (int spin = 0; *(volatile int *)&lock && spin < 1000; spin++) {
                __asm__ volatile("pause");
            }
            if (*(volatile int *)&lock) {
                sched_yield();
            }
        }
        plain++;
        __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
        w->locked++;
    }
}

/* ---- memory order: threads 2k and 2k+1 ---- */

static struct duel {
    _Alignas(64) atomic_uint turn[2];
    _Alignas(64) volatile int x;
    _Alignas(64) volatile int y;
    _Alignas(64) volatile int data;
    _Alignas(64) volatile int flag;
    int r[2];
} duel[MAX_THREADS / 2];

/* Both wait for each other at round n. */
static bool meet(struct duel *d, unsigned side, unsigned n)
{
    if (atomic_load(&stop)) { /* whoever has given up once must not seem to come later */
        return false;
    }
    atomic_store(&d->turn[side], n);
    for (unsigned spin = 0; atomic_load(&d->turn[!side]) < n; spin++) {
        if (atomic_load(&stop)) {
            return false;
        }
        if (spin % 200 == 199) {
            sched_yield();
        }
    }
    return true;
}

static void order(struct worker *w, unsigned *n)
{
    struct duel *d = &duel[w->n / 2];
    unsigned side = w->n & 1;

    if ((w->n ^ 1) >= nthreads) {
        return;
    }
    for (int i = 0; i < 20; i++) {
        if (side == 0) {
            d->x = d->y = d->data = d->flag = 0;
        }
        if (!meet(d, side, ++*n)) {
            return;
        }
        if (side == 0) {
            d->x = 1;
            __asm__ volatile("mfence" ::: "memory");
            d->r[0] = d->y;
            d->data = (int)*n;
            d->flag = 1;
        } else {
            d->y = 1;
            __asm__ volatile("lock orl $0, (%%rsp)" ::: "memory", "cc");
            d->r[1] = d->x;
            if (d->flag == 1 && d->data != (int)*n) {
                fail("message passing: the flag came before the data", (unsigned long)d->data, *n);
            }
        }
        if (!meet(d, side, ++*n)) {
            return;
        }
        if (side == 0 && d->r[0] == 0 && d->r[1] == 0) {
            fail("store buffering in spite of fences", 0, 0);
        }
        if (!meet(d, side, ++*n)) {
            return;
        }
    }
}

/* ---- unmapping ---- */

static __thread sigjmp_buf fault_at;
static __thread volatile sig_atomic_t fault_wanted;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    if (!fault_wanted) {
        fail("a fault out of the blue", (unsigned long)info->si_addr, 0);
        _exit(1);
    }
    siglongjmp(fault_at, 1);
}

static bool faults(volatile char *p, bool write)
{
    bool yes = true;

    fault_wanted = 1;
    if (!sigsetjmp(fault_at, 1)) {
        if (write) {
            *p = 1;
        } else {
            (void)*p;
        }
        yes = false;
    }
    fault_wanted = 0;
    return yes;
}

static struct shared_page {
    _Alignas(64) _Atomic(char *) page;
    atomic_uint
        state; /* 0: usable by the partner, 1: being used, 2: gone, 3: the partner has seen that */
} shared[MAX_THREADS];

/* Thread n maps a page, lets the next one use it, takes it away and asks that one to look again. */
static void mappings(struct worker *w)
{
    struct shared_page *mine = &shared[w->n], *other = &shared[(w->n + nthreads - 1) % nthreads];
    char *p;
    unsigned is = 0;

    if (atomic_load(&mine->state) == 0 && !atomic_load(&mine->page)) {
        p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) {
            fail("mmap", (unsigned long)errno, 0);
            return;
        }
        *p = (char)w->n;
        atomic_store(&mine->page, p);
    } else if (atomic_load(&mine->state) == 1) { /* used: take it away, by one of two ways */
        p = atomic_load(&mine->page);
        if (w->rounds & 1 ? mprotect(p, PAGE, PROT_NONE)
                          : (mmap(p, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                                  0) == MAP_FAILED)) {
            fail("mprotect", (unsigned long)errno, 0);
        }
        atomic_store(&mine->state, 2);
    } else if (atomic_load(&mine->state) == 3) {
        p = atomic_load(&mine->page);
        munmap(p, PAGE);
        atomic_store(&mine->page, NULL);
        atomic_store(&mine->state, 0);
    }
    if (other == mine) {
        return;
    }
    p = atomic_load(&other->page);
    if (!p) {
        return;
    }
    is = atomic_load(&other->state);
    if (is == 0) {
        if (faults(p, false) || faults(p + 8, true)) {
            fail("a mapped page faults", (unsigned long)p, w->n);
        }
        atomic_store(&other->state, 1);
    } else if (is == 2) {
        if (!faults(p, false) || !faults(p + 8, true)) {
            fail("a page that is gone can still be used", (unsigned long)p, w->n);
        }
        w->faults += 2;
        atomic_store(&other->state, 3);
    }
}

/* ---- code ---- */

typedef unsigned (*function)(void);
static uint8_t *code; /* a page a thread */

static void put_function(uint8_t *at, unsigned value)
{
    uint8_t f[6] = {0xb8, 0, 0, 0, 0, 0xc3}; /* mov eax, value; ret */

    memcpy(f + 1, &value, 4);
    memcpy(at, f, sizeof(f));
}

static struct patch {
    _Alignas(64) atomic_uint written, seen;
} patch[MAX_THREADS];

static void codes(struct worker *w)
{
    uint8_t *mine = code + w->n * PAGE;
    unsigned next = (w->n + 1) % nthreads;
    uint8_t *theirs = code + next * PAGE + 512;
    unsigned seen, n;

    for (unsigned i = 0; i < 8; i++) { /* for itself: seen at once on the same processor */
        unsigned value = (unsigned)w->rounds * 8 + i;
        put_function(mine + 16 * i, value);
        n = ((function)(uintptr_t)(mine + 16 * i))();
        if (n != value) {
            fail("code just written is not what runs", n, value);
        }
        w->codes++;
    }
    if (next == w->n) {
        return;
    }
    /* For the next thread, which serializes before it calls. */
    if (atomic_load(&patch[next].seen) == atomic_load(&patch[next].written)) {
        n = atomic_load(&patch[next].written) + 1;
        put_function(theirs, n);
        atomic_store(&patch[next].written, n);
    }
    seen = atomic_load(&patch[w->n].seen);
    n = atomic_load(&patch[w->n].written);
    if (n != seen) {
        unsigned a = 0, b, c = 0, d, got;
        __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d) : : "memory");
        got = ((function)(uintptr_t)(mine + 512))();
        if (got != n) {
            fail("code patched by another processor is not what runs", got, n);
        }
        atomic_store(&patch[w->n].seen, n);
        w->codes++;
    }
}

/* Threads 2k and 2k+1: one calls a function on a page that was not code before, while the other
 * changes its value, which is aligned. After that and a serialization the new value must be seen.
 */
static void first_calls(struct worker *w, unsigned *n)
{
    struct duel *d = &duel[w->n / 2];
    uint8_t *at = code + (nthreads + w->n / 2) * PAGE + 0x103;
    function call = (function)(uintptr_t)at;
    bool writes = w->n & 1;

    if ((w->n ^ 1) >= nthreads) {
        return;
    }
    for (unsigned i = 0; i < 10; i++) {
        unsigned value = 2 * ((unsigned)w->rounds * 16 + i), a = 0, b, c = 0, dx, got;
        if (writes) {
            put_function(at, value);
        }
        if (!meet(d, w->n & 1, ++*n)) {
            return;
        }
        if (writes) {
            for (volatile unsigned spin = 0; spin < (w->rounds * 7 + i * 13) % 200; spin++) {
            }
            *(volatile unsigned *)(at + 1) = value + 1;
        } else {
            got = call();
            if (got != value && got != value + 1) {
                fail("code that another processor writes is neither old nor new", got, value);
            }
        }
        if (!meet(d, w->n & 1, ++*n)) {
            return;
        }
        if (!writes) {
            __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(dx) : : "memory");
            got = call();
            if (got != value + 1) {
                fail("a store to a page that just became code was missed", got, value + 1);
            }
            w->codes += 2;
        }
        if (!meet(d, w->n & 1, ++*n)) {
            return;
        }
    }
}

/* ---- signals and waiting ---- */

static __thread volatile sig_atomic_t signalled;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static unsigned token;

static void on_signal(int sig)
{
    (void)sig;
    signalled++;
}

static void talk(struct worker *w)
{
    struct timespec soon;

    pthread_kill(worker[(w->n + 1) % nthreads].id, SIGUSR1);
    w->signals++;
    pthread_mutex_lock(&mutex);
    if (token == w->n) {
        token = (token + 1) % nthreads;
        pthread_cond_broadcast(&cond);
    } else if (w->rounds % 16 == 0) {
        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_nsec += 1000000;
        if (soon.tv_nsec >= 1000000000) {
            soon.tv_sec++;
            soon.tv_nsec -= 1000000000;
        }
        pthread_cond_timedwait(&cond, &mutex, &soon);
    }
    pthread_mutex_unlock(&mutex);
}

static pthread_barrier_t barrier;

static void on_interrupt(int sig)
{
    (void)sig;
    atomic_store(&stop, true);
}

static void *run(void *opaque)
{
    struct worker *w = opaque;
    unsigned n = 0;

    pthread_barrier_wait(&barrier);
    while (!atomic_load(&stop)) {
        counters(w);
        order(w, &n);
        mappings(w);
        codes(w);
        first_calls(w, &n);
        talk(w);
        w->rounds++;
    }
    pthread_barrier_wait(&barrier); /* nobody ends while others may signal it */
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 10, tenths = 0;
    struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    struct worker sum = {0};

    nthreads = argc > 2 ? (unsigned)atoi(argv[2]) : nthreads;
    if (nthreads < 1 || nthreads > MAX_THREADS) {
        fprintf(stderr, "smp-stress SECONDS THREADS (1 to %d)\n", MAX_THREADS);
        return 2;
    }
    sigaction(SIGSEGV, &act, NULL);
    sigaction(SIGBUS, &act, NULL);
    act = (struct sigaction){.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &act, NULL);
    act = (struct sigaction){.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &act, NULL); /* ends it as when the time is over */
    code = mmap(NULL, 2 * nthreads * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED) {
        perror("smp-stress: mmap");
        return 2;
    }
    pthread_barrier_init(&barrier, NULL, nthreads);
    for (unsigned i = 0; i < nthreads; i++) {
        worker[i].n = i;
        pthread_create(&worker[i].id, NULL, run, &worker[i]);
    }
    for (; tenths < seconds * 10 && !atomic_load(&stop); tenths++) {
        usleep(100000);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < nthreads; i++) {
        pthread_join(worker[i].id, NULL);
        sum.rounds += worker[i].rounds;
        sum.adds += worker[i].adds;
        sum.locked += worker[i].locked;
        sum.faults += worker[i].faults;
        sum.codes += worker[i].codes;
        sum.signals += worker[i].signals;
    }
    if (counter_add != sum.adds || counter_xadd != sum.adds || counter_inc != sum.adds ||
        counter_cas != sum.adds || counter_byte != (uint8_t)sum.adds) {
        fail("atomic counters", counter_add, sum.adds);
    }
    if (pair[0] != sum.adds || pair[1] != 2 * sum.adds) {
        fail("cmpxchg16b", pair[0], pair[1]);
    }
    if (plain != sum.locked) {
        fail("a counter under a spin lock", plain, sum.locked);
    }
    if (atomic_load(&failed)) {
        return 1;
    }
    printf("smp-stress: OK: %u threads, %u s, %lu rounds, %lu atomics, %lu locks, %lu faults, %lu "
           "codes, %lu signals\n",
           nthreads, tenths / 10, (unsigned long)sum.rounds, (unsigned long)sum.adds * 6,
           (unsigned long)sum.locked, (unsigned long)sum.faults, (unsigned long)sum.codes,
           (unsigned long)sum.signals);
    return 0;
}
