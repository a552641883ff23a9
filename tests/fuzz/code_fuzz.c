/* Fuzz target: bytes as guest code, in any mode. The first byte picks mode and processor state, the
 * rest is run from SANDBOX_CODE with registers made from it, exceptions going through whatever
 * tables there are. The emulator must neither crash nor hang: a run ends by HLT, triple fault or
 * after some thousand polls.
 *
 * Under libFuzzer this is LLVMFuzzerTestOneInput. Built with -DSTANDALONE: `code_fuzz SECONDS
 * [SEED]` makes random inputs itself. */
#include "tests/cpu/sandbox.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

enum { MAX_POLLS = 6, TICK_US = 1000 };

static struct sandbox sandbox;
static unsigned polls;

static bool fuzz_poll(struct vcpu *v)
{
    return x86_cpu(v)->halted || x86_cpu(v)->shutdown || ++polls > MAX_POLLS || x86_poll(v);
}

/* Makes the guest look up now and then, as a timer interrupt would. */
static void *ticker(void *opaque)
{
    struct vcpu *v = opaque;

    for (;;) {
        usleep(TICK_US);
        atomic_store(&v->exit_request, 1);
    }
    return NULL;
}

static void setup(void)
{
    pthread_t thread;

    sandbox_create(&sandbox, NULL, "interp");
    sandbox.ops.poll = fuzz_poll;
    sandbox.ops.deliver = x86_guest_ops.deliver;
    machine_set_current_vcpu(&sandbox.c->v);
    pthread_create(&thread, NULL, ticker, &sandbox.c->v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct x86_cpu *c;

    if (!sandbox.m) {
        setup();
    }
    if (size < 2 || size > 4000) {
        return 0;
    }
    c = sandbox.c;
    sandbox_mode(&sandbox, (enum sandbox_mode)(data[0] % SANDBOX_NMODES));
    if (data[0] & 0x40) { /* a GDT of random descriptors, an IDT that leads back into the code */
        for (unsigned n = 0; n < 512; n++) {
            memory_write64(sandbox.m->memory, SANDBOX_GDT + 8 * n,
                           n * UINT64_C(0x00cf9b000000ffff) ^ data[n % size]);
        }
        c->idtr = (struct x86_dtr){.base = SANDBOX_CODE, .limit = 0xfff};
    }
    for (unsigned n = 0; n < 16; n++) {
        if (n != X86_RSP) {
            c->v.reg[n] = data[n % size] * UINT64_C(0x1003) + SANDBOX_DATA * (n & 1);
        }
    }
    polls = 0;
    c->shutdown = false;
    sandbox_run(&sandbox, data + 1, size - 1);
    atomic_store(&sandbox.m->requests, 0);
    return 0;
}

#ifdef STANDALONE
static uint64_t state;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * UINT64_C(0x2545f4914f6cdd1d);
}

int main(int argc, char **argv)
{
    time_t end = time(NULL) + (argc > 1 ? atol(argv[1]) : 10);
    unsigned long runs = 0;

    state = argc > 2 ? strtoull(argv[2], NULL, 0) : 88172645463325252u;
    while (time(NULL) < end) {
        uint8_t input[256];
        size_t n = 2 + next() % 250;
        for (size_t i = 0; i < n; i++) {
            input[i] = (uint8_t)(next() >> 32);
            if (next() % 8 == 0) {
                input[i] = 0x0f; /* more of the two-byte map */
            }
        }
        alarm(30); /* a hang ends the program by SIGALRM */
        LLVMFuzzerTestOneInput(input, n);
        runs++;
    }
    printf("%lu runs, no crash, no hang\n", runs);
    return 0;
}
#endif
