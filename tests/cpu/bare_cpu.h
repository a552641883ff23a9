/* A bare CPU for tests of segmentation and exception delivery: memory is one
 * flat array, "linear" is an index into it, and everything the layers around would do is a stub
 * here. Each program that includes this calls bare_cpu_main. */
#ifndef TESTS_CPU_BARE_CPU_H
#define TESTS_CPU_BARE_CPU_H

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/far.h"
#include "cpu/flags.h"
#include "cpu/system.h"
#include "host/log.h"
#include "tests/unit/tap.h"

enum {
    MEM_SIZE = 1 << 20,
    GDT = 0x10000,
    IDT = 0x11000,
    TSS = 0x12000,
    TSS_B = 0x12200,
    LDT = 0x12400,
    STACK0 = 0x21000, /* ring 0 stack top */
    STACK3 = 0x23000, /* ring 3 stack top */
};

/* Selectors of the table that protected_setup() makes. */
enum {
    CODE0 = 0x08,
    DATA0 = 0x10,
    CODE3 = 0x18 | 3,
    DATA3 = 0x20 | 3,
    CODE16 = 0x28,
    DATA16 = 0x30,
    CONF0 = 0x38,  /* conforming, DPL 0 */
    ABSENT = 0x40, /* data, not present */
    SEL_TSS = 0x48,
    SEL_TSS_B = 0x50,
    SEL_LDT = 0x58,
    GATE = 0x60, /* call gate; 16 bytes in IA-32e mode */
    TASK_GATE = 0x70,
    CODE64 = 0x78,
    CODE64_3 = 0x80 | 3,
    DATA1 = 0x88 | 1,
    DOWN = 0x90,    /* expand-down data */
    RDCODE = 0x98,  /* execute-only code */
    DATA_NA = 0xa0, /* data, not yet accessed */
    SEL_TSS64 = 0xa8,
    GDT_LIMIT = 0xbf,
};

static struct x86_cpu *cpu;
static uint8_t *mem;
static uint64_t bad_page; /* page that faults; 0: none */
static struct machine machine;

/* What was raised since run() was called. */
static struct {
    unsigned count;
    uint8_t vector[8];
    uint32_t error[8];
} raised;

/* ---- stubs ---- */

static inline void check_page(uint64_t va, unsigned size, bool write)
{
    if (bad_page && (va >> 12 == bad_page >> 12 || (va + size - 1) >> 12 == bad_page >> 12)) {
        cpu->exc.vector = EXC_PF;
        cpu->exc.has_error = true;
        cpu->exc.error = write ? 2 : 0;
        cpu->exc.cr2 = va;
        vcpu_unwind(&cpu->v, true);
    }
    if (va + size > MEM_SIZE) {
        fprintf(stderr, "access outside of memory: %#llx\n", (unsigned long long)va);
        abort();
    }
}

uint64_t softmmu_load(struct vcpu *v, uint64_t va, unsigned memop, unsigned ctx)
{
    unsigned size = 1u << (memop & MO_SIZE);
    uint64_t r = 0;

    (void)v;
    (void)ctx;
    check_page(va, size, false);
    for (unsigned n = 0; n < size; n++) {
        r |= (uint64_t)mem[va + n] << (8 * n);
    }
    return r;
}

void softmmu_store(struct vcpu *v, uint64_t va, uint64_t value, unsigned memop, unsigned ctx)
{
    unsigned size = 1u << (memop & MO_SIZE);

    (void)v;
    (void)ctx;
    check_page(va, size, true);
    for (unsigned n = 0; n < size; n++) {
        mem[va + n] = (uint8_t)(value >> (8 * n));
    }
}

void *softmmu_atomic_ptr(struct vcpu *v, uint64_t va, unsigned memop, unsigned ctx)
{
    (void)v;
    (void)ctx;
    check_page(va, 1u << (memop & MO_SIZE), true);
    return mem + va;
}

void vcpu_unwind(struct vcpu *v, bool deliver)
{
    if (deliver && raised.count < 8) {
        raised.vector[raised.count] = cpu->exc.vector;
        raised.error[raised.count++] = cpu->exc.error;
    }
    siglongjmp(v->unwind, 1);
}

void x86_update_key(struct x86_cpu *c)
{
    c->v.tb_flags = c->cpl == 3 ? 1 << KEY_CTX_SHIFT : 0;
}

void x86_update_watches(struct x86_cpu *c)
{
    (void)c;
}

void x86_write_cr3(struct x86_cpu *c, uint64_t val)
{
    c->cr3 = val;
}

static unsigned requests;
void machine_request(struct machine *m, enum machine_request what, const char *reason, ...)
{
    (void)m;
    (void)reason;
    requests |= what;
}

void log_write(struct log *log, const char *fmt, ...)
{
    (void)log;
    (void)fmt;
}

/* Runs fn like an instruction of the guest at rip, with the deliveries that follow from it. */
static inline void run(void (*fn)(void))
{
    raised.count = 0;
    if (sigsetjmp(cpu->v.unwind,
                  0)) { /* comes here once more for each exception that is recorded */
        x86_deliver(&cpu->v);
    } else {
        fn();
    }
}

/* ---- set-up ---- */

static inline uint64_t load(uint64_t at, unsigned size)
{
    uint64_t r = 0;

    for (unsigned n = 0; n < size; n++) {
        r |= (uint64_t)mem[at + n] << (8 * n);
    }
    return r;
}
static inline void store(uint64_t at, uint64_t value, unsigned size)
{
    for (unsigned n = 0; n < size; n++) {
        mem[at + n] = (uint8_t)(value >> (8 * n));
    }
}

static inline void set_desc(unsigned sel, uint32_t base, uint32_t limit, uint16_t attr)
{
    uint64_t at = GDT + (sel & 0xfff8u);

    store(at, limit & 0xffff, 2);
    store(at + 2, base & 0xffffff, 3);
    store(at + 5, attr & 0xff, 1);
    store(at + 6, (limit >> 16 & 15) | (attr >> 8 & 0xf0), 1);
    store(at + 7, base >> 24, 1);
}
static inline void set_gate(uint64_t at, uint16_t sel, uint64_t off, unsigned type_dpl_p,
                            unsigned count)
{
    store(at, off & 0xffff, 2);
    store(at + 2, sel, 2);
    store(at + 4, count, 1);
    store(at + 5, type_dpl_p, 1);
    store(at + 6, off >> 16 & 0xffff, 2);
    if (cpu->efer & EFER_LMA) {
        store(at + 8, off >> 32, 4);
        store(at + 12, 0, 4);
    }
}
static inline void set_idt(unsigned vec, uint16_t sel, uint64_t off, unsigned type_dpl_p)
{
    set_gate(IDT + vec * (cpu->efer & EFER_LMA ? 16 : 8), sel, off, type_dpl_p, 0);
}

static inline void reset(void)
{
    memset(cpu, 0, sizeof(*cpu));
    memset(mem, 0, MEM_SIZE);
    memset(&machine, 0, sizeof(machine));
    requests = 0;
    bad_page = 0;
    cpu->v.machine = &machine;
    cpu->delivering = -1;
    cpu->eflags = 2;
    cpu->v.reg[X86_DF] = 1;
    for (unsigned s = 0; s < 6; s++) {
        x86_set_seg(cpu, s, 0, 0, 0xffff, 0x93);
    }
    cpu->idtr.limit = 0x3ff;
}

static inline void enter_level(uint16_t cs, uint16_t ss)
{
    struct x86_desc d;

    cpu->cpl = cs & 3;
    x86_desc_read(cpu, cs, &d);
    x86_set_seg_desc(cpu, SEG_CS, cs, &d);
    x86_desc_read(cpu, ss, &d);
    x86_set_seg_desc(cpu, SEG_SS, ss, &d);
    x86_update_key(cpu);
}

static inline void protected_setup(void)
{
    reset();
    cpu->cr0 = CR0_PE;
    cpu->gdtr = (struct x86_dtr){GDT, GDT_LIMIT};
    cpu->idtr = (struct x86_dtr){IDT, 0x7ff};
    set_desc(CODE0, 0, 0xfffff, 0xc09b);
    set_desc(DATA0, 0, 0xfffff, 0xc093);
    set_desc(CODE3, 0, 0xfffff, 0xc0fb);
    set_desc(DATA3, 0, 0xfffff, 0xc0f3);
    set_desc(CODE16, 0, 0xffff, 0x009b);
    set_desc(DATA16, 0, 0xffff, 0x0093);
    set_desc(CONF0, 0, 0xfffff, 0xc09f);
    set_desc(ABSENT, 0, 0xfffff, 0xc013);
    set_desc(SEL_TSS, TSS, 0x67, 0x008b);
    set_desc(SEL_TSS_B, TSS_B, 0x67, 0x0089);
    set_desc(SEL_LDT, LDT, 0x2f, 0x0082);
    set_desc(CODE64, 0, 0xfffff, 0xa09b);
    set_desc(CODE64_3, 0, 0xfffff, 0xa0fb);
    set_desc(DATA1, 0, 0xfffff, 0xc0b3);
    set_desc(DOWN, 0, 0xfff, 0x4097);
    set_desc(RDCODE, 0, 0xfffff, 0xc099);
    set_desc(DATA_NA, 0x1000, 0xfff, 0x4092);
    cpu->tr = (struct x86_sysseg){SEL_TSS, 0x8b, 0x67, TSS};
    store(TSS + 4, STACK0, 4);
    store(TSS + 8, DATA0, 4);
    for (unsigned v = 0; v < 64; v++) {
        set_idt(v, CODE0, 0x8000 + v * 16, 0x8e);
    }
    enter_level(CODE0, DATA0);
    x86_load_seg(cpu, SEG_DS, DATA3);
    x86_load_seg(cpu, SEG_ES, DATA3);
    cpu->v.reg[X86_RSP] = STACK0;
    cpu->v.reg[X86_RIP] = 0x5000;
    cpu->eflags |= FL_IF;
}
static inline void ring3(void)
{
    enter_level(CODE3, DATA3);
    cpu->v.reg[X86_RSP] = STACK3;
}

static inline void long_setup(void)
{
    protected_setup();
    cpu->cr0 |= CR0_PG;
    cpu->cr4 = CR4_PAE;
    cpu->efer = EFER_LME | EFER_LMA | EFER_SCE;
    cpu->idtr.limit = 0xfff;
    cpu->tr = (struct x86_sysseg){SEL_TSS, 0x8b, 0x67, TSS};
    memset(mem + TSS, 0, 0x68);
    memset(mem + IDT, 0, 0x1000);
    store(TSS + 4, STACK0, 8);
    store(TSS + 36, 0x25008, 8); /* IST1 */
    for (unsigned v = 0; v < 64; v++) {
        set_idt(v, CODE64, 0x8000 + v * 16, 0x8e);
    }
    enter_level(CODE64, DATA0);
}

static inline void v86_setup(unsigned iopl)
{
    protected_setup();
    cpu->cpl = 3;
    cpu->eflags |= FL_VM | iopl << FL_IOPL_SHIFT;
    x86_set_seg_real(cpu, SEG_CS, 0x400, true);
    x86_set_seg_real(cpu, SEG_SS, 0x500, true);
    x86_set_seg_real(cpu, SEG_DS, 0x600, true);
    x86_set_seg_real(cpu, SEG_ES, 0x700, true);
    x86_set_seg_real(cpu, SEG_FS, 0x800, true);
    x86_set_seg_real(cpu, SEG_GS, 0x900, true);
    cpu->v.reg[X86_RSP] = 0x1000;
    cpu->v.reg[X86_RIP] = 0x100;
    x86_update_key(cpu);
}

/* ---- assertions ---- */

static inline uint64_t rip(void)
{
    return cpu->v.reg[X86_RIP];
}
static inline uint64_t rsp(void)
{
    return cpu->v.reg[X86_RSP];
}
static inline bool at(uint16_t cs, uint64_t ip)
{
    if (cpu->seg[SEG_CS].sel != cs || rip() != ip) {
        printf("# at %04x:%llx, not %04x:%llx\n", cpu->seg[SEG_CS].sel, (unsigned long long)rip(),
               cs, (unsigned long long)ip);
        for (unsigned n = 0; n < raised.count; n++) {
            printf("#   raised %u error %x\n", raised.vector[n], raised.error[n]);
        }
        return false;
    }
    return true;
}
static inline bool raised_is(unsigned n, unsigned vec, uint32_t error)
{
    if (raised.count <= n || raised.vector[n] != vec || raised.error[n] != error) {
        printf("# raised %u:", raised.count);
        for (unsigned k = 0; k < raised.count; k++) {
            printf(" %u(%x)", raised.vector[k], raised.error[k]);
        }
        printf("\n");
        return false;
    }
    return true;
}
static inline bool only(unsigned vec, uint32_t error)
{
    return raised_is(0, vec, error) && raised.count == 1;
}
/* The stack at ss base + sp holds these values of size bytes, from the top. */
static inline bool stack_is(unsigned size, unsigned n, const uint64_t *want)
{
    uint64_t sp = cpu->seg[SEG_SS].attr & SEGA_DB || x86_code64(cpu) ? rsp() : rsp() & 0xffff;
    uint64_t top = x86_code64(cpu) ? sp : cpu->v.reg[X86_SS_BASE] + sp;

    for (unsigned k = 0; k < n; k++) {
        uint64_t got = load(top + k * size, size);

        if (got != want[k]) {
            printf("# stack slot %u: %llx, not %llx\n", k, (unsigned long long)got,
                   (unsigned long long)want[k]);
            return false;
        }
    }
    return true;
}
#define STACK(size, ...)                                                                           \
    stack_is(size, sizeof((uint64_t[]){__VA_ARGS__}) / 8, (uint64_t[]){__VA_ARGS__})

static void push_all(unsigned size, unsigned n, const uint64_t *values) /* last one first */
{
    struct x86_stack st;

    x86_stack_current(&st, cpu, 0);
    while (n-- > 0) {
        x86_stack_push(&st, size, values[n]);
    }
    x86_stack_commit(&st);
}
#define PUSH(size, ...)                                                                            \
    push_all(size, sizeof((uint64_t[]){__VA_ARGS__}) / 8, (uint64_t[]){__VA_ARGS__})

/* ---- "instructions" ---- */

static unsigned arg_size = 4, arg_n;
static uint64_t arg_off;
static uint16_t arg_sel;

static inline void do_int(void)
{
    x86_int_n(cpu, (uint8_t)arg_n, 2, rip() + 2);
}
static inline void do_int3(void)
{
    x86_raise_software(cpu, 3, 1);
}
static inline void do_int1(void)
{
    x86_raise_int1(cpu, 1);
}
static inline void do_gp(void)
{
    x86_raise_error(cpu, EXC_GP, 0x1234);
}
static inline void do_ud(void)
{
    x86_raise(cpu, EXC_UD);
}
static inline void do_irq(void)
{
    x86_interrupt(cpu, (uint8_t)arg_n);
}
static inline void do_pf(void)
{
    softmmu_load(&cpu->v, bad_page, MO_32, 0);
}
static inline void do_db(void)
{
    x86_raise_db(cpu, 1 << 14);
}
static inline void do_iret(void)
{
    x86_iret(cpu, arg_size, rip() + 1);
}
static inline void do_jmp(void)
{
    x86_far_jmp(cpu, arg_sel, arg_off, arg_size, rip() + 7);
}
static inline void do_call(void)
{
    x86_far_call(cpu, arg_sel, arg_off, arg_size, rip() + 7);
}
static inline void do_ret(void)
{
    x86_far_ret(cpu, arg_size, arg_n);
}
static inline void do_load(void)
{
    x86_load_seg(cpu, (enum x86_segnum)arg_n, arg_sel);
}
static inline void do_lldt(void)
{
    x86_lldt(cpu, arg_sel);
}
static inline void do_ltr(void)
{
    x86_ltr(cpu, arg_sel);
}
static inline void do_syscall(void)
{
    x86_syscall(cpu, rip() + 2);
}
static inline void do_sysret(void)
{
    x86_sysret(cpu, arg_size);
}
static inline void do_sysenter(void)
{
    x86_sysenter(cpu);
}
static inline void do_sysexit(void)
{
    x86_sysexit(cpu, arg_size);
}
static inline void do_check(void)
{
    x86_check_seg(cpu, (enum x86_segnum)arg_n, arg_off, arg_size, true);
}

static inline void run_int(unsigned vec)
{
    arg_n = vec;
    run(do_int);
}
static inline void run_iret(unsigned size)
{
    arg_size = size;
    run(do_iret);
}
static inline void run_load(enum x86_segnum s, uint16_t sel)
{
    arg_n = s;
    arg_sel = sel;
    run(do_load);
}
static inline void far_args(uint16_t sel, uint64_t off, unsigned size)
{
    arg_sel = sel;
    arg_off = off;
    arg_size = size;
}

/* Runs the tests, in their order. */
static inline int bare_cpu_main(void (*const *tests)(void), unsigned n)
{
    cpu = aligned_alloc(64, (sizeof(*cpu) + 63) / 64 * 64);
    mem = malloc(MEM_SIZE);
    for (unsigned i = 0; i < n; i++) {
        tests[i]();
    }
    free(mem);
    free(cpu);
    return tap_done();
}

#endif
