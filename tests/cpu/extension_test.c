/* Rules of the system extensions that tests of the page walk and of control registers do not meet:
 * what raises #UD and #GP of PKU, MONITOR, XSAVES, FSGSBASE, RDPID; canonical addresses of 57 bits
 * (SDM volume 2, the instructions' pages; volume 3, 4.5). */
#include "tests/cpu/sandbox.h"

#include <pthread.h>
#include <unistd.h>

#include "softmmu/machine.h"
#include "tests/unit/tap.h"

static int run(struct sandbox *s, const char *code, size_t len)
{
    return sandbox_run(s, code, len);
}
#define RUN(s, code) run(s, code, sizeof(code) - 1)

static uint64_t *reg(struct sandbox *s, unsigned n)
{
    return &s->c->v.reg[n];
}

static void user(struct sandbox *s)
{
    s->c->cpl = 3;
    s->c->seg[SEG_CS].attr |= 3 << SEGA_DPL_SHIFT;
    s->c->seg[SEG_SS].attr |= 3 << SEGA_DPL_SHIFT;
}

static void test_pku(struct sandbox *s)
{
    sandbox_mode(s, SANDBOX_LONG);
    tap_ok(RUN(s, "\x0f\x01\xee") == EXC_UD, "RDPKRU without CR4.PKE: #UD");
    tap_ok(RUN(s, "\x0f\x01\xef") == EXC_UD, "WRPKRU without CR4.PKE: #UD");
    s->c->cr4 |= CR4_PKE;
    *reg(s, X86_RAX) = 0xdeadbeef55555554;
    tap_ok(RUN(s, "\x0f\x01\xef") == -1 && s->c->pkru == 0x55555554, "WRPKRU");
    *reg(s, X86_RDX) = UINT64_MAX;
    *reg(s, X86_RAX) = UINT64_MAX;
    tap_ok(RUN(s, "\x0f\x01\xef") == EXC_GP, "... with EDX: #GP");
    tap_ok(RUN(s, "\x0f\x01\xee") == -1 && *reg(s, X86_RAX) == 0x55555554 && *reg(s, X86_RDX) == 0,
           "RDPKRU clears the upper halves");
    *reg(s, X86_RCX) = 1;
    tap_ok(RUN(s, "\x0f\x01\xee") == EXC_GP, "... with ECX: #GP");
    tap_ok(RUN(s, "\x0f\x01\xef") == EXC_GP, "WRPKRU with ECX: #GP");
    sandbox_mode(s, SANDBOX_LONG);
    s->c->cr4 |= CR4_PKE;
    user(s);
    tap_ok(RUN(s, "\x0f\x01\xee") == EXC_GP && *reg(s, X86_RIP) == SANDBOX_CODE + 3,
           "RDPKRU by the user (HLT faults behind it)");
}

/* PKRU through XSAVE's standard and compact formats. */
static void test_xsave(struct sandbox *s)
{
    uint32_t word = 0;

    sandbox_mode(s, SANDBOX_LONG);
    s->c->cr4 |= CR4_PKE;
    s->c->xcr0 = 0x207;
    s->c->pkru = 0xc;
    *reg(s, X86_RAX) = 0x200;
    *reg(s, X86_RBX) = SANDBOX_DATA;
    tap_ok(RUN(s, "\x0f\xae\x23") == -1, "XSAVE of PKRU");
    memory_read(s->m->memory, SANDBOX_DATA + 2688, &word, 4);
    tap_ok(word == 0xc, "... at 2688");
    tap_ok(RUN(s, "\x0f\xc7\x63\x40") == -1, "XSAVEC");
    memory_read(s->m->memory, SANDBOX_DATA + 0x40 + 576, &word, 4);
    tap_ok(word == 0xc, "... at 576 when it is the only component");
    s->c->pkru = 0;
    tap_ok(RUN(s, "\x0f\xae\x6b\x40") == -1 && s->c->pkru == 0xc, "XRSTOR of the compact format");
    s->c->pkru = 4;
    tap_ok(RUN(s, "\x0f\xc7\x6b\x40") == -1, "XSAVES");
    s->c->pkru = 0;
    tap_ok(RUN(s, "\x0f\xc7\x5b\x40") == -1 && s->c->pkru == 4, "XRSTORS");
    tap_ok(RUN(s, "\x0f\xc7\x1b") == EXC_GP, "XRSTORS of the standard format: #GP");
    *reg(s, X86_RBX) = SANDBOX_DATA + 32;
    tap_ok(RUN(s, "\x0f\xae\x23") == EXC_GP, "XSAVE to an address not aligned to 64: #GP");
    *reg(s, X86_RBX) = SANDBOX_DATA;
    user(s);
    tap_ok(RUN(s, "\x0f\xc7\x2b") == EXC_GP, "XSAVES by the user: #GP");
    tap_ok(RUN(s, "\x0f\xc7\x1b") == EXC_GP, "XRSTORS by the user: #GP");
    *reg(s, X86_RCX) = 0xda0;
    sandbox_mode(s, SANDBOX_LONG);
    *reg(s, X86_RCX) = 0xda0;
    tap_ok(RUN(s, "\x0f\x30") == -1, "IA32_XSS takes 0");
    *reg(s, X86_RAX) = 0x100;
    tap_ok(RUN(s, "\x0f\x30") == EXC_GP, "... and no component that is not there");
}

static void test_monitor(struct sandbox *s)
{
    sandbox_mode(s, SANDBOX_LONG);
    *reg(s, X86_RAX) = SANDBOX_DATA;
    tap_ok(RUN(s, "\x0f\x01\xc8") == -1, "MONITOR");
    *reg(s, X86_RCX) = 1;
    tap_ok(RUN(s, "\x0f\x01\xc8") == EXC_GP, "... with ECX: #GP");
    *reg(s, X86_RCX) = 2;
    tap_ok(RUN(s, "\x0f\x01\xc9") == EXC_GP, "MWAIT with extensions that do not exist: #GP");
    *reg(s, X86_RCX) = 0;
    *reg(s, X86_RAX) = UINT64_C(0x1000000000000000);
    tap_ok(RUN(s, "\x0f\x01\xc8") == EXC_GP, "MONITOR of an address that is not canonical: #GP");
    user(s);
    *reg(s, X86_RAX) = SANDBOX_DATA;
    tap_ok(RUN(s, "\x0f\x01\xc8") == EXC_UD, "MONITOR by the user: #UD");
    tap_ok(RUN(s, "\x0f\x01\xc9") == EXC_UD, "MWAIT by the user: #UD");
}

/* Another processor. */
static void *store_soon(void *opaque)
{
    struct sandbox *s = opaque;

    usleep(20000);
    memory_write64(s->m->memory, SANDBOX_DATA + 56, 1);
    return NULL;
}

/* The processor halts in MWAIT; true when something ends that within ms milliseconds. */
static bool wakes(struct sandbox *s, bool masked_too, unsigned ms)
{
    bool awake = false;

    x86_monitor(s->c, SANDBOX_DATA, 0);
    x86_mwait(s->c, masked_too);
    for (unsigned n = 0; n < ms && !awake; n++) {
        awake = s->c->v.ops->has_work(&s->c->v);
        usleep(1000);
    }
    return awake;
}

static void test_mwait(struct sandbox *s)
{
    pthread_t other;

    sandbox_mode(s, SANDBOX_LONG);
    memory_write64(s->m->memory, SANDBOX_DATA + 56, 0);
    tap_ok(!wakes(s, false, 5) && s->c->halted, "MWAIT waits when nothing happens");
    tap_ok(pthread_create(&other, NULL, store_soon, s) == 0 && wakes(s, false, 10000) &&
               !s->c->halted,
           "... a store of another thread to the end of the line ends it");
    pthread_join(other, NULL);
    s->c->eflags &= ~(uint32_t)FL_IF;
    atomic_fetch_or(&s->c->v.irq_request, X86_REQ_INTR);
    tap_ok(!wakes(s, false, 5), "... a masked interrupt does not");
    tap_ok(wakes(s, true, 5) && !s->c->halted, "... but does with ECX bit 0");
    s->c->eflags |= FL_IF;
    tap_ok(wakes(s, false, 5), "... and so does one that is not masked");
    atomic_fetch_and(&s->c->v.irq_request, ~X86_REQ_INTR);
    s->c->halted = s->c->mwait = false;
    x86_monitor(s->c, SANDBOX_DATA, 0);
    memory_write64(s->m->memory, SANDBOX_DATA, 7);
    x86_mwait(s->c, false);
    tap_ok(!s->c->halted, "a store between MONITOR and MWAIT: it does not wait");
    memory_write64(s->m->memory, SANDBOX_DATA, 0);
}

static void test_bases(struct sandbox *s)
{
    sandbox_mode(s, SANDBOX_LONG);
    s->c->cr4 |= CR4_FSGSBASE;
    *reg(s, X86_RBX) = UINT64_C(0x0000800000000000);
    tap_ok(RUN(s, "\xf3\x48\x0f\xae\xd3") == EXC_GP, "WRFSBASE of an address beyond 48 bits: #GP");
    tap_ok(RUN(s, "\xf3\x0f\xae\xd3") == -1 && *reg(s, X86_FS_BASE) == 0, "... of its lower half");
    tap_ok(RUN(s, "\x48\x8b\x03") == EXC_GP, "a load from there: #GP");
    sandbox_mode(s, SANDBOX_PROT32);
    s->c->cr4 |= CR4_FSGSBASE;
    tap_ok(RUN(s, "\xf3\x0f\xae\xd3") == EXC_UD, "WRFSBASE outside of 64-bit mode: #UD");
    s->c->tsc_aux = 0x12345678;
    tap_ok(RUN(s, "\xf3\x0f\xc7\xfb") == -1 && *reg(s, X86_RBX) == 0x12345678, "RDPID there");
}

/* Five levels: the tables of four, and one above them. */
static void test_la57(struct sandbox *s)
{
    sandbox_mode(s, SANDBOX_LONG);
    sandbox_put64(s, 0x6000, 0x1007);
    sandbox_put64(s, 0x6000 + 8, 0x1007); /* bit 48 set: the same again */
    sandbox_put64(s, 0x6000 + 8 * 511, 0x1007);
    s->c->cr4 |= CR4_LA57 | CR4_FSGSBASE;
    s->c->cr3 = 0x6000;
    tlb_flush_all(&s->c->v);
    sandbox_put64(s, SANDBOX_DATA, 0x1122334455667788);
    *reg(s, X86_RBX) = (UINT64_C(1) << 48) + SANDBOX_DATA;
    tap_ok(RUN(s, "\x48\x8b\x03") == -1 && *reg(s, X86_RAX) == 0x1122334455667788,
           "a load at 2^48");
    *reg(s, X86_RBX) = UINT64_C(0xffff000000000000) + SANDBOX_DATA;
    *reg(s, X86_RAX) = 0;
    tap_ok(RUN(s, "\x48\x8b\x03") == -1 && *reg(s, X86_RAX) == 0x1122334455667788,
           "... and in the highest 2^48 bytes");
    *reg(s, X86_RBX) = UINT64_C(1) << 56;
    tap_ok(RUN(s, "\x48\x8b\x03") == EXC_GP, "2^56 is not canonical: #GP");
    *reg(s, X86_RBX) = (UINT64_C(1) << 56) - 8;
    tap_ok(RUN(s, "\x48\x8b\x03") == EXC_PF && s->fault_cr2 == *reg(s, X86_RBX),
           "... 2^56 - 8 is: #PF");
    tap_ok(RUN(s, "\xf3\x48\x0f\xae\xd3") == -1 && *reg(s, X86_FS_BASE) == *reg(s, X86_RBX),
           "WRFSBASE takes 57 bits");
    *reg(s, X86_RCX) = 0xc0000102;
    *reg(s, X86_RAX) = 0;
    *reg(s, X86_RDX) = 0x01000000;
    tap_ok(RUN(s, "\x0f\x30") == EXC_GP, "WRMSR of a base of 58 bits: #GP");
    *reg(s, X86_RDX) = 0x00ffffff;
    tap_ok(RUN(s, "\x0f\x30") == -1, "... of 57");
}

int main(void)
{
    static const char *const accels[] = {"interp", NULL};

    for (unsigned n = 0; n < 2; n++) {
        struct sandbox s;
        sandbox_create(&s, "max", accels[n]);
        test_pku(&s);
        test_xsave(&s);
        test_monitor(&s);
        test_mwait(&s);
        test_bases(&s);
        test_la57(&s);
        sandbox_destroy(&s);
    }
    return tap_done();
}
