/* The native side of the prover, see native.h. Linux on x86-64 only; elsewhere native_start() says
 * so.
 *
 * Parent and child share one memfd: the code area, the data area, the groups, cases and results.
 * The child maps the two areas at their fixed addresses (code executable, never writable there) and
 * once more writable for itself. It enters a case with all registers loaded and is left either by
 * the jump behind the code to native_exit, which stores the state, or by the signal of an
 * exception, whose frame holds it; returning from the handler goes on in the child's loop.
 * Compatibility mode is entered by IRET to Linux's 32-bit segment.
 *
 * The loop uses neither FS nor the C library, since FS points into the data area. A seccomp filter
 * kills the child on any system call but the few that the loop needs. */
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

void native_patch(uint8_t *data, const struct native_case *k)
{
    for (unsigned n = 0; n < k->npatches; n++) {
        memcpy(data + k->patch[n].at, k->patch[n].bytes, k->patch[n].len);
    }
}

void native_collect(uint8_t *data, const uint8_t *image, unsigned ignore, struct native_result *r)
{
    enum { BLOCK = 128 };
    uint64_t hash = 1;
    unsigned count = 0;

    if (ignore) {
        memcpy(data + ignore, image + ignore, 4);
    }
    for (unsigned b = 0; b < NATIVE_DATA_SIZE; b += BLOCK) {
        if (!memcmp(data + b, image + b, BLOCK)) {
            continue;
        }
        for (unsigned n = b; n < b + BLOCK; n += 8) {
            uint64_t now, was;
            memcpy(&now, data + n, 8);
            memcpy(&was, image + n, 8);
            if (now == was) {
                continue;
            }
            memcpy(data + n, &was, 8);
            if (count < NATIVE_CHANGES) {
                r->change[count] = (struct native_change){n, now};
            }
            count++;
            hash = (hash ^ now ^ (uint64_t)n << 52) * UINT64_C(0x9e3779b97f4a7c15);
            hash ^= hash >> 29;
        }
    }
    r->nchanges = (uint16_t)count;
    r->data_hash = hash;
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

/* The child's; the assembler below knows the offsets. It is among the program's own variables,
 * where no address that the generator makes up leads. */
struct control {
    uint64_t reg[16];        /* 0x00 */
    uint64_t rflags;         /* 0x80 */
    uint64_t rip;            /* 0x88 */
    uint64_t host_rsp;       /* 0x90 */
    uint64_t resume;         /* 0x98: where a signal handler returns to */
    uint64_t cs, ss, ds, es; /* 0xa0 */
    uint64_t fx;             /* 0xc0: address of the state to load; 0: none */
    uint64_t fx_out;         /* 0xc8 */
    uint64_t by_iret;        /* 0xd0 */
    uint64_t room;           /* 0xd8 */
    uint32_t mxcsr;          /* 0xe0: the usual one */
    uint32_t xstate;         /* 0xe4: components of XSAVE */
    struct native_result *r; /* of the running case; NULL: none runs */
    uint64_t ticks;          /* alarms seen by the running case */
    uint64_t stack;          /* 0xf8: top of that from which a case is entered */
    uint64_t out[16];        /* 0x100 */
    uint64_t out_rflags;     /* 0x180 */
    uint64_t out_sel[6];     /* 0x188 */
    uint64_t own_stack[32];
};
_Static_assert(offsetof(struct control, xstate) == 0xe4, "native_enter knows");
_Static_assert(offsetof(struct control, stack) == 0xf8, "native_enter knows");
_Static_assert(offsetof(struct control, out) == 0x100, "native_exit knows");
_Static_assert(offsetof(struct control, out_sel) == 0x188, "native_exit knows");

struct shared {
    uint8_t code[NATIVE_CODE_SIZE];
    uint8_t data[NATIVE_DATA_SIZE];
    volatile unsigned ngroups, group, done; /* done: cases of that group */
    volatile bool cannot[3];                /* 64, 32, 16 bits */
    struct native_group groups[NATIVE_BATCH];
    struct native_case cases[NATIVE_BATCH];
    struct native_result results[NATIVE_BATCH];
};

struct native {
    int fd, to, from; /* memfd, pipes */
    pid_t pid;
    struct shared *shared;
};

/* ---- the child ---- */

extern struct control native_control;
__attribute__((visibility("hidden"))) struct control native_control;

void native_enter(void);
void native_exit(void);
__asm__(".text\n"
        ".globl native_enter\n"
        "native_enter:\n"
        "    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "    mov %rsp, native_control+0x90(%rip)\n"
        "    lea 1f(%rip), %rax\n"
        "    mov %rax, native_control+0x98(%rip)\n"
        "    mov native_control+0xb0(%rip), %rax\n"
        "    mov %eax, %ds\n"
        "    mov native_control+0xb8(%rip), %rax\n"
        "    mov %eax, %es\n"
        "    mov native_control+0xc0(%rip), %rcx\n"
        "    jrcxz 3f\n"
        "    mov native_control+0xe4(%rip), %eax\n"
        "    xor %edx, %edx\n"
        "    xrstor64 (%rcx)\n"
        "3:  mov native_control+0xf8(%rip), %rsp\n"
        "    cmpq $0, native_control+0xd0(%rip)\n"
        "    je 4f\n"
        "    pushq $0x202; popfq\n" /* IRET refuses NT */
        "    pushq native_control+0xa8(%rip); pushq native_control+0x20(%rip); pushq "
        "native_control+0x80(%rip)\n" /* SS:RSP, RFLAGS */
        "    pushq native_control+0xa0(%rip); pushq native_control+0x88(%rip)\n" /* CS:RIP */
        "    call 5f\n"
        "    iretq\n"
        "4:  call 5f\n"
        "    pushq native_control+0x80(%rip); popfq\n"
        "    mov native_control+0x20(%rip), %rsp\n"
        "    jmp *native_control+0x88(%rip)\n"
        "5:  mov native_control+0x0(%rip), %rax; mov native_control+0x8(%rip), %rcx; mov "
        "native_control+0x10(%rip), %rdx\n"
        "    mov native_control+0x18(%rip), %rbx; mov native_control+0x28(%rip), %rbp; mov "
        "native_control+0x30(%rip), %rsi\n"
        "    mov native_control+0x38(%rip), %rdi; mov native_control+0x40(%rip), %r8;  mov "
        "native_control+0x48(%rip), %r9\n"
        "    mov native_control+0x50(%rip), %r10; mov native_control+0x58(%rip), %r11; mov "
        "native_control+0x60(%rip), %r12\n"
        "    mov native_control+0x68(%rip), %r13; mov native_control+0x70(%rip), %r14; mov "
        "native_control+0x78(%rip), %r15\n"
        "    ret\n"
        ".globl native_exit\n"
        "native_exit:\n"
        "    mov %rax, native_control+0x100(%rip); mov %rcx, native_control+0x108(%rip); mov %rdx, "
        "native_control+0x110(%rip)\n"
        "    mov %rbx, native_control+0x118(%rip); mov %rsp, native_control+0x120(%rip); mov %rbp, "
        "native_control+0x128(%rip)\n"
        "    mov %rsi, native_control+0x130(%rip); mov %rdi, native_control+0x138(%rip); mov %r8, "
        "native_control+0x140(%rip)\n"
        "    mov %r9, native_control+0x148(%rip);  mov %r10, native_control+0x150(%rip); mov %r11, "
        "native_control+0x158(%rip)\n"
        "    mov %r12, native_control+0x160(%rip); mov %r13, native_control+0x168(%rip); mov %r14, "
        "native_control+0x170(%rip)\n"
        "    mov %r15, native_control+0x178(%rip)\n"
        "    mov native_control+0x90(%rip), %rsp\n"
        "    pushfq; popq native_control+0x180(%rip)\n"
        "    pushq $0x202; popfq\n"
        "    mov %es, %eax; mov %rax, native_control+0x188(%rip)\n"
        "    mov %cs, %eax; mov %rax, native_control+0x190(%rip)\n"
        "    mov %ss, %eax; mov %rax, native_control+0x198(%rip)\n"
        "    mov %ds, %eax; mov %rax, native_control+0x1a0(%rip)\n"
        "    mov %fs, %eax; mov %rax, native_control+0x1a8(%rip)\n"
        "    mov %gs, %eax; mov %rax, native_control+0x1b0(%rip)\n"
        "    mov native_control+0xc8(%rip), %rcx\n"
        "    jrcxz 1f\n"
        "    mov native_control+0xe4(%rip), %eax\n"
        "    xor %edx, %edx\n"
        "    xsave64 (%rcx)\n"
        "    ldmxcsr native_control+0xe0(%rip)\n"
        "1:  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "    ret\n");

static long call(long nr, long a, long b, long c)
{
    long r;

    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return r;
}

static void leave(int status)
{
    for (;;) {
        call(SYS_exit_group, status, 0, 0);
    }
}

static const int greg_of[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                REG_R12, REG_R13, REG_R14, REG_R15};

static void take_state(struct native_result *r, const ucontext_t *u)
{
    const greg_t *g = u->uc_mcontext.gregs;
    uint64_t s = (uint64_t)g[REG_CSGSFS];
    unsigned ds, es, fs, gs;

    for (unsigned n = 0; n < 16; n++) {
        r->reg[n] = (uint64_t)g[greg_of[n]];
    }
    r->rip = (uint64_t)g[REG_RIP];
    r->rflags = (uint64_t)g[REG_EFL];
    r->vector = (int)g[REG_TRAPNO];
    r->error = (uint32_t)g[REG_ERR];
    r->cr2 = (uint64_t)g[REG_CR2];
    __asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3"
                     : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
    r->sel[0] = (uint16_t)es;
    r->sel[1] = (uint16_t)s;
    r->sel[2] = (uint16_t)(s >> 48);
    r->sel[3] = (uint16_t)ds;
    r->sel[4] = (uint16_t)fs;
    r->sel[5] = (uint16_t)gs;
}

/* From the signal frame's FXSAVE image, followed by Linux's description of what the kernel has put
 * behind it: the XSAVE header at 512 and the upper halves at 576. */
static void take_fx(struct native_result *r, const ucontext_t *u)
{
    const struct native_fx *fx = (const struct native_fx *)u->uc_mcontext.fpregs;
    uint32_t magic;

    memcpy(&magic, (const uint8_t *)fx + 464, 4);
    memcpy(&r->fx, fx, 512);
    if (magic == 0x46505853 && (fx->xstate_bv & 4)) {
        memcpy(r->fx.ymm_high, fx->ymm_high, sizeof fx->ymm_high);
    } else {
        memset(r->fx.ymm_high, 0, sizeof r->fx.ymm_high);
    }
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    struct control *c = &native_control;
    ucontext_t *u = context;
    greg_t *g = u->uc_mcontext.gregs;

    (void)info;
    /* The case may have set EFLAGS.AC, which signal delivery keeps. */
    __asm__ volatile("pushfq; andl $~0x40000, (%%rsp); popfq" ::: "memory", "cc");
    if (!c->r) {
        if (sig == SIGVTALRM) {
            return;
        }
        leave(100 + sig);
    }
    if (sig == SIGVTALRM && ++c->ticks < 2) {
        return;
    }
    take_state(c->r, u);
    if (c->fx) {
        take_fx(c->r, u);
        memcpy((uint8_t *)u->uc_mcontext.fpregs + 24, &c->mxcsr, 4);
    }
    if (sig == SIGVTALRM) {
        c->r->vector = NATIVE_TIMEOUT;
    } else if (sig == SIGSYS) {
        c->r->vector = NATIVE_SYSCALL;
    }
    c->r = NULL;
    g[REG_RSP] = (greg_t)c->host_rsp;
    g[REG_RIP] = (greg_t)c->resume;
    g[REG_EFL] = 0x202;
    g[REG_CSGSFS] = (greg_t)(((uint64_t)g[REG_CSGSFS] & 0x0000ffffffff0000) | NATIVE_CS64 |
                             (uint64_t)NATIVE_DS << 48);
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
        ALLOW(SYS_arch_prctl),
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
    static const int caught[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGVTALRM};
    struct itimerval tick = {{0, 100000}, {0, 100000}};
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    stack_t alt = {.ss_size = 1 << 16};

    alt.ss_sp = mmap(NULL, alt.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(&alt, NULL);
    sigfillset(&sa.sa_mask);
    for (unsigned n = 0; n < sizeof caught / sizeof caught[0]; n++) {
        sigaction(caught[n], &sa, NULL);
    }
    setitimer(ITIMER_VIRTUAL, &tick, NULL);
}

static void set_bases(void)
{
    call(SYS_arch_prctl, ARCH_SET_FS, NATIVE_FS_BASE, 0);
    call(SYS_arch_prctl, ARCH_SET_GS, NATIVE_GS_BASE, 0);
}

static bool jumps_out(const struct native_group *g)
{
    return g->bits == 64 && !g->traps;
}

static void put_code(struct shared *s, const struct native_group *g)
{
    const uint64_t to = (uint64_t)(uintptr_t)native_exit;
    unsigned end = g->at + g->len, where = (end + 6 + 7) & ~7u; /* aligned: EFLAGS.AC may be set */
    const uint8_t out[6] = {0xff, 0x25, (uint8_t)(where - end - 6)}; /* jmp *where(%rip) */

    memcpy(s->code + g->at, g->code, g->len);
    if (jumps_out(g)) {
        memcpy(s->code + end, out, sizeof out);
        memcpy(s->code + where, &to, sizeof to);
    }
}

static void remove_code(struct shared *s, const struct native_group *g)
{
    unsigned len = g->len + NATIVE_AFTER;

    memset(s->code + g->at, 0xcc,
           g->at + len <= NATIVE_CODE_SIZE ? len : NATIVE_CODE_SIZE - (unsigned)g->at);
}

/* The code was written by another address than it is fetched by (SDM volume 3, "Handling Self- and
 * Cross-Modifying Code": a serializing instruction is needed then). */
static void serialize(void)
{
    unsigned a = 0, b, c = 0, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d)::"memory");
}

static void enter_group(struct control *c, const struct native_group *g)
{
    c->rip = g->at + (g->bits == 16 ? 0 : NATIVE_CODE);
    c->cs = g->bits == 64 ? NATIVE_CS64 : g->bits == 32 ? NATIVE_CS32 : NATIVE_LDT_CODE;
    c->ss = g->bits == 16 ? NATIVE_LDT_DATA : NATIVE_DS;
    c->ds = c->ss;
    c->es = g->bits == 16 ? NATIVE_LDT_ES : NATIVE_DS;
    c->stack = g->bits == 16 ? NATIVE_ESP_HIGH + NATIVE_ESP_PAGE + 4096
                             : (uint64_t)(uintptr_t)(c->own_stack + 32);
}

static void run_case(struct shared *s, struct control *c, const struct native_group *g, unsigned n,
                     const uint8_t *image)
{
    const struct native_case *k = &s->cases[n];
    struct native_result *r = &s->results[n];

    native_patch(s->data, k);
    memcpy(c->reg, k->reg, sizeof c->reg);
    c->rflags = k->rflags;
    c->by_iret = g->bits != 64 || (k->rflags & 0x100);
    c->ticks = 0;
    c->fx = g->full ? (uint64_t)(uintptr_t)&k->fx : 0;
    c->fx_out = g->full ? (uint64_t)(uintptr_t)&r->fx : 0;
    c->r = r;
    native_enter();
    if (c->r) { /* by native_exit */
        c->r = NULL;
        memcpy(r->reg, c->out, sizeof r->reg);
        r->rip = c->rip + g->len + 1;
        r->rflags = c->out_rflags;
        r->vector = 3;
        r->error = 0;
        r->cr2 = 0;
        for (unsigned m = 0; m < 6; m++) {
            r->sel[m] = (uint16_t)c->out_sel[m];
        }
    }
    if (g->segments) {
        set_bases();
    }
    native_collect(s->data, image, k->ignore, r);
}

static void run_batch(struct shared *s, struct control *c, const uint8_t *image)
{
    for (; s->group < s->ngroups; s->group++, s->done = 0) {
        const struct native_group *g = &s->groups[s->group];
        put_code(s, g);
        serialize();
        enter_group(c, g);
        while (s->done < g->count) {
            run_case(s, c, g, g->first + s->done, image);
            s->done++;
        }
        remove_code(s, g);
    }
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
    struct control *c = &native_control;
    char byte;

    c->mxcsr = 0x1f80;
    c->xstate = __builtin_cpu_supports("avx") ? 7 : 3;
    map_fixed(NATIVE_ESP_HIGH + NATIVE_ESP_PAGE, 4096, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    map_fixed(NATIVE_CODE, NATIVE_CODE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    map_fixed(NATIVE_DATA, NATIVE_DATA_WRITABLE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
              offsetof(struct shared, data));
    map_fixed(NATIVE_DATA + NATIVE_DATA_WRITABLE, NATIVE_DATA_SIZE - NATIVE_DATA_WRITABLE,
              PROT_READ, MAP_SHARED, fd, offsetof(struct shared, data) + NATIVE_DATA_WRITABLE);
    native_image(image);
    memcpy(s->data, image, sizeof image);
    memset(s->code, 0xcc, sizeof s->code);
    if (!set_segment(NATIVE_LDT_CODE, NATIVE_CODE, NATIVE_CODE_SIZE - 1, true) ||
        !set_segment(NATIVE_LDT_DATA, NATIVE_DATA, 0xffff, false) ||
        !set_segment(NATIVE_LDT_ES, NATIVE_DATA, NATIVE_ES_LIMIT, false)) {
        s->cannot[2] = true;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    child_signals();
    confine();
    touch();
    set_bases(); /* no thread-local storage from here on */
    for (;;) {
        long got = call(SYS_read, from, (long)&byte, 1);
        if (got == -EINTR) {
            continue;
        }
        if (got != 1) {
            leave(0);
        }
        run_batch(s, c, image);
        while (call(SYS_write, to, (long)&byte, 1) == -EINTR) {
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

/* The mode works: no code at all ends with #BP. */
static bool proves(struct native *n, unsigned bits)
{
    native_groups(n)[0] = (struct native_group){.bits = (uint8_t)bits, .traps = true, .count = 1};
    native_cases(n)[0] = (struct native_case){.rflags = 0x202, .reg[4] = NATIVE_DATA + 0x800};
    if (bits == 16) {
        native_cases(n)[0].reg[4] = NATIVE_ESP_HIGH + 0x800;
    }
    return native_run(n, 1)[0].vector == 3;
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
    if (!proves(n, 64)) {
        *why = "the sandboxed child does not work here";
        native_stop(n);
        return NULL;
    }
    n->shared->cannot[1] = !proves(n, 32); /* not under every hypervisor and kernel */
    n->shared->cannot[2] = n->shared->cannot[2] || n->shared->cannot[1] || !proves(n, 16);
    return n;
}

void native_stop(struct native *n)
{
    reap(n);
    munmap(n->shared, sizeof *n->shared);
    close(n->fd);
    free(n);
}

struct native_group *native_groups(struct native *n)
{
    return n->shared->groups;
}

struct native_case *native_cases(struct native *n)
{
    return n->shared->cases;
}

const struct native_result *native_run(struct native *n, unsigned ngroups)
{
    struct shared *s = n->shared;
    const char *why;
    char byte = 0;

    s->ngroups = ngroups;
    s->group = s->done = 0;
    while (s->group < ngroups) {
        struct pollfd wait = {.fd = n->from, .events = POLLIN};
        if (write(n->to, &byte, 1) == 1 && poll(&wait, 1, 120000) == 1 &&
            read(n->from, &byte, 1) == 1) {
            continue;
        }
        reap(n);
        s->results[s->groups[s->group].first + s->done].vector = NATIVE_DIED;
        s->done++;
        if (!spawn(n, &why)) {
            fprintf(stderr, "native: %s\n", why);
            exit(99);
        }
    }
    return s->results;
}

bool native_can(struct native *n, unsigned bits)
{
    return !n->shared->cannot[bits == 64 ? 0 : bits == 32 ? 1 : 2];
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

struct native_group *native_groups(struct native *n)
{
    (void)n;
    return NULL;
}

struct native_case *native_cases(struct native *n)
{
    (void)n;
    return NULL;
}

const struct native_result *native_run(struct native *n, unsigned ngroups)
{
    (void)n;
    (void)ngroups;
    return NULL;
}

bool native_can(struct native *n, unsigned bits)
{
    (void)n;
    (void)bits;
    return false;
}

#endif
