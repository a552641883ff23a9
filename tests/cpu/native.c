/* The native side of the instruction tests, see native.h. Linux on x86-64 only; elsewhere
 * native_start() says so.
 *
 * Parent and child share one memfd: the code area, the data area, the cases and the results. The
 * child maps the two areas at their fixed addresses (code executable, never writable there) and
 * once more writable for itself. It enters a case with all registers loaded and is left by the
 * signal of the exception that ends it, whose frame holds the whole state; returning from the
 * handler goes on in the child's loop. Compatibility mode is entered by a far jump to Linux's
 * 32-bit code segment.
 *
 * A seccomp filter kills the child on any system call but the few that its loop needs. */
#include "tests/cpu/native.h"

#include <string.h>

void native_image(uint8_t image[NATIVE_DATA_SIZE])
{
    uint64_t x = 0x9e3779b97f4a7c15;

    for (unsigned n = 0; n < NATIVE_DATA_SIZE; n++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        image[n] = (uint8_t)(x >> 32);
    }
}

uint64_t native_hash(const uint8_t data[NATIVE_DATA_SIZE])
{
    uint64_t h = 1;

    for (unsigned n = 0; n < NATIVE_DATA_SIZE; n += 8) {
        uint64_t x;
        memcpy(&x, data + n, 8);
        h = (h ^ x) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    return h;
}

#if defined(__x86_64__) && defined(__linux__)

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <asm/ldt.h>
#include <asm/prctl.h>

enum { CONTROL = NATIVE_ESP_HIGH + 0x7000, CS64 = 0x33, CS32 = 0x23, USER_DS = 0x2b };
/* Selectors in the LDT, for 16-bit mode. */
enum { LDT_CODE = 0 << 3 | 7, LDT_DATA = 1 << 3 | 7, LDT_ES = 2 << 3 | 7 };

/* At CONTROL in the child; native_enter() knows the offsets. */
struct control {
    uint64_t reg[16];        /* 0x00 */
    uint64_t rflags;         /* 0x80 */
    uint64_t rip;            /* 0x88 */
    uint64_t host_rsp;       /* 0x90 */
    uint64_t resume;         /* 0x98 */
    uint64_t cs, ss, ds, es; /* 0xa0 */
    struct native_result *r; /* of the running case; NULL: none runs */
    unsigned ticks;          /* alarms seen by the running case */
    uint32_t vectors;        /* 0xcc: 0 none, 1 XMM and MMX, 2 YMM too */
    uint32_t mxcsr;          /* 0xd0 */
    uint8_t room[0x200 - 0xd4];
    uint64_t vec[16][4]; /* 0x200 */
    uint64_t mm[8];      /* 0x400 */
};
_Static_assert(offsetof(struct control, vectors) == 0xcc, "native_enter knows");
_Static_assert(offsetof(struct control, vec) == 0x200, "native_enter knows");

struct shared {
    uint8_t code[NATIVE_CODE_SIZE];
    uint8_t data[NATIVE_DATA_SIZE];
    volatile unsigned count, done;
    volatile bool no_ldt;
    struct native_case cases[NATIVE_BATCH];
    struct native_result results[NATIVE_BATCH];
};

struct native {
    int fd, to, from; /* memfd, pipes */
    pid_t pid;
    struct shared *shared;
};

/* ---- the child ---- */

void native_enter(void);
__asm__(".text\n"
        ".globl native_enter\n"
        "native_enter:\n"
        "    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "    mov %rsp, 0x5a3c7090\n"
        "    pushq $0x202; popfq\n" /* IRET refuses NT, which the last case may have set */
        "    lea 1f(%rip), %rax\n"
        "    mov %rax, 0x5a3c7098\n"
        "    mov 0x5a3c70b0, %rax\n"
        "    mov %eax, %ds\n"
        "    mov 0x5a3c70b8, %rax\n"
        "    mov %eax, %es\n"
        "    cmpl $0, 0x5a3c70cc; je 3f\n"
        "    fninit\n"
        "    movq 0x5a3c7400, %mm0; movq 0x5a3c7408, %mm1; movq 0x5a3c7410, %mm2\n"
        "    movq 0x5a3c7418, %mm3; movq 0x5a3c7420, %mm4; movq 0x5a3c7428, %mm5\n"
        "    movq 0x5a3c7430, %mm6; movq 0x5a3c7438, %mm7\n"
        "    cmpl $2, 0x5a3c70cc; je 2f\n"
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
        "    movdqu 0x5a3c7200 + 32 * \\n, %xmm\\n\n"
        ".endr\n"
        "    jmp 4f\n"
        "2:\n"
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
        "    vmovdqu 0x5a3c7200 + 32 * \\n, %ymm\\n\n"
        ".endr\n"
        "4:  ldmxcsr 0x5a3c70d0\n"
        "3:  mov $0x5a3c7f00, %rsp\n"
        "    pushq 0x5a3c70a8; pushq 0x5a3c7020; pushq 0x5a3c7080\n" /* SS:RSP, RFLAGS */
        "    pushq 0x5a3c70a0; pushq 0x5a3c7088\n"                   /* CS:RIP */
        "    mov 0x5a3c7000, %rax; mov 0x5a3c7008, %rcx; mov 0x5a3c7010, %rdx\n"
        "    mov 0x5a3c7018, %rbx; mov 0x5a3c7028, %rbp; mov 0x5a3c7030, %rsi\n"
        "    mov 0x5a3c7038, %rdi; mov 0x5a3c7040, %r8;  mov 0x5a3c7048, %r9\n"
        "    mov 0x5a3c7050, %r10; mov 0x5a3c7058, %r11; mov 0x5a3c7060, %r12\n"
        "    mov 0x5a3c7068, %r13; mov 0x5a3c7070, %r14; mov 0x5a3c7078, %r15\n"
        "    iretq\n"
        "1:  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "    ret\n");

static const int greg_of[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                REG_R12, REG_R13, REG_R14, REG_R15};

static void take_state(struct native_result *r, const ucontext_t *u)
{
    const greg_t *g = u->uc_mcontext.gregs;

    for (unsigned n = 0; n < 16; n++) {
        r->out.reg[n] = (uint64_t)g[greg_of[n]];
    }
    r->out.rip = (uint64_t)g[REG_RIP];
    r->out.rflags = (uint64_t)g[REG_EFL];
    r->vector = (int)g[REG_TRAPNO];
    r->error = (uint32_t)g[REG_ERR];
    r->cr2 = (uint64_t)g[REG_CR2];
}

/* From the signal frame's FXSAVE image, followed by Linux's description of what the kernel has put
 * behind it: the XSAVE header at 512 and the upper halves at 576. */
static void take_vectors(struct native_result *r, const ucontext_t *u)
{
    const uint8_t *fx = (const uint8_t *)u->uc_mcontext.fpregs;
    uint32_t magic;
    uint64_t xstate_bv = 0;

    memcpy(&magic, fx + 464, 4);
    if (magic == 0x46505853) {
        memcpy(&xstate_bv, fx + 512, 8);
    }
    memcpy(&r->out.mxcsr, fx + 24, 4);
    memcpy(&r->out.fsw, fx + 2, 2);
    r->out.ftw = fx[4];
    for (unsigned n = 0; n < 8; n++) {
        memcpy(&r->out.mm[n], fx + 32 + 16 * n, 8);
        memcpy(&r->out.mm_high[n], fx + 40 + 16 * n, 2);
    }
    for (unsigned n = 0; n < 16; n++) {
        memcpy(r->out.vec[n], fx + 160 + 16 * n, 16);
        if (xstate_bv & 4) {
            memcpy(r->out.vec[n] + 2, fx + 576 + 16 * n, 16);
        } else {
            memset(r->out.vec[n] + 2, 0, 16);
        }
    }
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    struct control *c = (struct control *)(uintptr_t)CONTROL;
    ucontext_t *u = context;
    greg_t *g = u->uc_mcontext.gregs;

    (void)info;
    /* The case may have set EFLAGS.AC, which signal delivery keeps. */
    __asm__ volatile("pushfq; andl $~0x40000, (%%rsp); popfq" ::: "memory", "cc");
    if (!c->r) {
        if (sig == SIGALRM) {
            return;
        }
        _exit(100 + sig);
    }
    if (sig == SIGALRM && ++c->ticks < 2) {
        return;
    }
    take_state(c->r, u);
    if (c->vectors) {
        uint32_t mxcsr = 0x1f80;
        take_vectors(c->r, u);
        memcpy((uint8_t *)u->uc_mcontext.fpregs + 24, &mxcsr, 4);
    }
    if (sig == SIGALRM) {
        c->r->vector = NATIVE_TIMEOUT;
    } else if (sig == SIGSYS) {
        c->r->vector = NATIVE_SYSCALL;
    }
    c->r = NULL;
    g[REG_RSP] = (greg_t)c->host_rsp;
    g[REG_RIP] = (greg_t)c->resume;
    g[REG_EFL] = 0x202;
    g[REG_CSGSFS] =
        (greg_t)(((uint64_t)g[REG_CSGSFS] & 0x0000ffffffff0000) | CS64 | (uint64_t)USER_DS << 48);
}

static void confine(void)
{
#define ALLOW(nr)                                                                                  \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_read),
        ALLOW(SYS_write),
        ALLOW(SYS_rt_sigreturn),
        ALLOW(SYS_exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    struct sock_fprog prog = {sizeof code / sizeof code[0], code};

    /* Where a container forbids filters the fixed mappings are what confines the code. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
    }
}

static void *map_fixed(uintptr_t at, size_t size, int prot, int flags, int fd, off_t off)
{
    void *p = mmap((void *)at, size, prot, flags | MAP_FIXED_NOREPLACE, fd, off);

    if (p != (void *)at) {
        _exit(98);
    }
    return p;
}

static bool set_segment(unsigned selector, uint32_t base, uint32_t limit, bool code)
{
    struct user_desc d = {
        .entry_number = selector >> 3,
        .base_addr = base,
        .limit = limit,
        .contents = code ? 2 : 0,
    };

    return syscall(SYS_modify_ldt, 1, &d, sizeof d) == 0;
}

static void child_signals(void)
{
    static const int caught[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGALRM};
    struct itimerval tick = {{0, 200000}, {0, 200000}};
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    stack_t alt = {.ss_size = 1 << 16};

    alt.ss_sp = mmap(NULL, alt.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(&alt, NULL);
    sigfillset(&sa.sa_mask);
    for (unsigned n = 0; n < sizeof caught / sizeof caught[0]; n++) {
        sigaction(caught[n], &sa, NULL);
    }
    setitimer(ITIMER_REAL, &tick, NULL);
}

static void run_case(struct shared *s, struct control *c, const struct native_case *k,
                     struct native_result *r, const uint8_t *image)
{
    memset(s->code, 0xcc, sizeof s->code);
    memcpy(s->code + k->code_at, k->code, k->code_len);
    memcpy(s->data, image, sizeof s->data);
    for (unsigned n = 0; n < k->npatches; n++) {
        memcpy(s->data + k->patch[n].at, k->patch[n].bytes, k->patch[n].len);
    }
    memcpy(c->reg, k->in.reg, sizeof c->reg);
    c->rflags = k->in.rflags;
    c->rip = k->code_at + (k->bits == 16 ? 0 : NATIVE_CODE);
    c->cs = k->bits == 64 ? CS64 : k->bits == 32 ? CS32 : LDT_CODE;
    c->ss = k->bits == 16 ? LDT_DATA : USER_DS;
    c->ds = c->ss;
    c->es = k->bits == 16 ? LDT_ES : USER_DS;
    c->ticks = 0;
    c->vectors = !k->vectors ? 0 : __builtin_cpu_supports("avx") ? 2 : 1;
    c->mxcsr = k->in.mxcsr;
    memcpy(c->vec, k->in.vec, sizeof c->vec);
    memcpy(c->mm, k->in.mm, sizeof c->mm);
    c->r = r;
    native_enter();
    r->data_hash = native_hash(s->data);
}

/* Faults the pages in, so that the case's own faults are the only ones. */
static void touch(void)
{
    volatile const uint8_t *code = (const uint8_t *)(uintptr_t)NATIVE_CODE;
    volatile uint8_t *data = (uint8_t *)(uintptr_t)NATIVE_DATA;

    for (unsigned n = 0; n < NATIVE_CODE_SIZE; n += 4096) {
        (void)code[n];
    }
    for (unsigned n = 0; n < NATIVE_DATA_SIZE; n += 4096) {
        uint8_t x = data[n];
        if (n < NATIVE_DATA_WRITABLE) {
            data[n] = x;
        }
    }
}

static void __attribute__((noreturn)) child(int fd, int from, int to)
{
    static uint8_t image[NATIVE_DATA_SIZE];
    struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    struct control *c =
        map_fixed(CONTROL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char byte;

    map_fixed(NATIVE_CODE, NATIVE_CODE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    map_fixed(NATIVE_DATA, NATIVE_DATA_WRITABLE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
              offsetof(struct shared, data));
    map_fixed(NATIVE_DATA + NATIVE_DATA_WRITABLE, NATIVE_DATA_SIZE - NATIVE_DATA_WRITABLE,
              PROT_READ, MAP_SHARED, fd, offsetof(struct shared, data) + NATIVE_DATA_WRITABLE);
    native_image(image);
    syscall(SYS_arch_prctl, ARCH_SET_GS, (unsigned long)NATIVE_GS_BASE);
    s->no_ldt = !set_segment(LDT_CODE, NATIVE_CODE, NATIVE_CODE_SIZE - 1, true) ||
                !set_segment(LDT_DATA, NATIVE_DATA, 0xffff, false) ||
                !set_segment(LDT_ES, NATIVE_DATA, NATIVE_ES_LIMIT, false);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    child_signals();
    confine();
    touch();
    for (;;) {
        ssize_t got = read(from, &byte, 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got != 1) {
            _exit(0);
        }
        while (s->done < s->count) {
            run_case(s, c, &s->cases[s->done], &s->results[s->done], image);
            s->done++;
        }
        while (write(to, &byte, 1) < 0 && errno == EINTR) {
        }
    }
}

/* ---- the parent ---- */

static bool spawn(struct native *n, const char **why)
{
    int down[2], up[2];

    if (pipe(down) || pipe(up)) {
        *why = "no pipes";
        return false;
    }
    fflush(NULL);
    n->pid = fork();
    if (n->pid < 0) {
        *why = "cannot fork";
        return false;
    }
    if (n->pid == 0) {
        close(down[1]);
        close(up[0]);
        child(n->fd, down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    n->to = down[1];
    n->from = up[0];
    return true;
}

static void reap(struct native *n)
{
    close(n->to);
    close(n->from);
    kill(n->pid, SIGKILL);
    waitpid(n->pid, NULL, 0);
}

struct native *native_start(const char **why)
{
    struct native *n = calloc(1, sizeof *n);

    if (!n) {
        abort();
    }
    signal(SIGPIPE, SIG_IGN);
    n->fd = memfd_create("native", MFD_CLOEXEC);
    if (n->fd < 0 || ftruncate(n->fd, sizeof *n->shared)) {
        *why = "no memfd";
        free(n);
        return NULL;
    }
    n->shared = mmap(NULL, sizeof *n->shared, PROT_READ | PROT_WRITE, MAP_SHARED, n->fd, 0);
    if (n->shared == MAP_FAILED || !spawn(n, why)) {
        close(n->fd);
        free(n);
        return NULL;
    }
    /* Proves the set-up: an empty sequence ends with #BP. */
    struct native_case nothing = {.bits = 64, .in.rflags = 0x202};
    struct native_result r;
    native_run(n, &nothing, &r, 1);
    if (r.vector != 3) {
        *why = "the sandboxed child does not work here";
        native_stop(n);
        return NULL;
    }
    return n;
}

void native_stop(struct native *n)
{
    reap(n);
    munmap(n->shared, sizeof *n->shared);
    close(n->fd);
    free(n);
}

void native_run(struct native *n, const struct native_case *cases, struct native_result *results,
                unsigned count)
{
    struct shared *s = n->shared;
    const char *why;
    char byte = 0;

    memcpy(s->cases, cases, count * sizeof *cases);
    memset(s->results, 0, count * sizeof *results);
    s->count = count;
    s->done = 0;
    while (s->done < count) {
        struct pollfd wait = {.fd = n->from, .events = POLLIN};
        if (write(n->to, &byte, 1) == 1 && poll(&wait, 1, 60000) == 1 &&
            read(n->from, &byte, 1) == 1) {
            continue;
        }
        reap(n);
        s->results[s->done].vector = NATIVE_DIED;
        s->done++;
        if (!spawn(n, &why)) {
            fprintf(stderr, "native: %s\n", why);
            exit(99);
        }
    }
    memcpy(results, s->results, count * sizeof *results);
}

const uint8_t *native_data(struct native *n)
{
    return n->shared->data;
}

bool native_can(struct native *n, unsigned bits)
{
    return bits != 16 || !n->shared->no_ldt;
}

#else /* no native side on this host */

struct native *native_start(const char **why)
{
    *why = "the host is not x86-64 Linux";
    return NULL;
}

void native_stop(struct native *n)
{
    (void)n;
}

void native_run(struct native *n, const struct native_case *cases, struct native_result *results,
                unsigned count)
{
    (void)n;
    (void)cases;
    (void)results;
    (void)count;
}

const uint8_t *native_data(struct native *n)
{
    (void)n;
    return NULL;
}

bool native_can(struct native *n, unsigned bits)
{
    (void)n;
    (void)bits;
    return false;
}

#endif
