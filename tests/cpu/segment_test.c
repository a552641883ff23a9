/* Segmentation, exception delivery, far transfers and task switches on a bare CPU: memory is one
 * flat array, "linear" is an index into it, and everything the layers around would do is a stub
 * here. Expected values are worked out from the SDM by hand. */
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

static void check_page(uint64_t va, unsigned size, bool write)
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
static void run(void (*fn)(void))
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

static uint64_t load(uint64_t at, unsigned size)
{
    uint64_t r = 0;

    for (unsigned n = 0; n < size; n++) {
        r |= (uint64_t)mem[at + n] << (8 * n);
    }
    return r;
}
static void store(uint64_t at, uint64_t value, unsigned size)
{
    for (unsigned n = 0; n < size; n++) {
        mem[at + n] = (uint8_t)(value >> (8 * n));
    }
}

static void set_desc(unsigned sel, uint32_t base, uint32_t limit, uint16_t attr)
{
    uint64_t at = GDT + (sel & 0xfff8u);

    store(at, limit & 0xffff, 2);
    store(at + 2, base & 0xffffff, 3);
    store(at + 5, attr & 0xff, 1);
    store(at + 6, (limit >> 16 & 15) | (attr >> 8 & 0xf0), 1);
    store(at + 7, base >> 24, 1);
}
static void set_gate(uint64_t at, uint16_t sel, uint64_t off, unsigned type_dpl_p, unsigned count)
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
static void set_idt(unsigned vec, uint16_t sel, uint64_t off, unsigned type_dpl_p)
{
    set_gate(IDT + vec * (cpu->efer & EFER_LMA ? 16 : 8), sel, off, type_dpl_p, 0);
}

static void reset(void)
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

static void enter_level(uint16_t cs, uint16_t ss)
{
    struct x86_desc d;

    cpu->cpl = cs & 3;
    x86_desc_read(cpu, cs, &d);
    x86_set_seg_desc(cpu, SEG_CS, cs, &d);
    x86_desc_read(cpu, ss, &d);
    x86_set_seg_desc(cpu, SEG_SS, ss, &d);
    x86_update_key(cpu);
}

static void protected_setup(void)
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
static void ring3(void)
{
    enter_level(CODE3, DATA3);
    cpu->v.reg[X86_RSP] = STACK3;
}

static void long_setup(void)
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

static void v86_setup(unsigned iopl)
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

static uint64_t rip(void)
{
    return cpu->v.reg[X86_RIP];
}
static uint64_t rsp(void)
{
    return cpu->v.reg[X86_RSP];
}
static bool at(uint16_t cs, uint64_t ip)
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
static bool raised_is(unsigned n, unsigned vec, uint32_t error)
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
static bool only(unsigned vec, uint32_t error)
{
    return raised_is(0, vec, error) && raised.count == 1;
}
/* The stack at ss base + sp holds these values of size bytes, from the top. */
static bool stack_is(unsigned size, unsigned n, const uint64_t *want)
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

static void do_int(void)
{
    x86_int_n(cpu, (uint8_t)arg_n, 2, rip() + 2);
}
static void do_int3(void)
{
    x86_raise_software(cpu, 3, 1);
}
static void do_int1(void)
{
    x86_raise_int1(cpu, 1);
}
static void do_gp(void)
{
    x86_raise_error(cpu, EXC_GP, 0x1234);
}
static void do_ud(void)
{
    x86_raise(cpu, EXC_UD);
}
static void do_irq(void)
{
    x86_interrupt(cpu, (uint8_t)arg_n);
}
static void do_pf(void)
{
    softmmu_load(&cpu->v, bad_page, MO_32, 0);
}
static void do_db(void)
{
    x86_raise_db(cpu, 1 << 14);
}
static void do_iret(void)
{
    x86_iret(cpu, arg_size, rip() + 1);
}
static void do_jmp(void)
{
    x86_far_jmp(cpu, arg_sel, arg_off, arg_size, rip() + 7);
}
static void do_call(void)
{
    x86_far_call(cpu, arg_sel, arg_off, arg_size, rip() + 7);
}
static void do_ret(void)
{
    x86_far_ret(cpu, arg_size, arg_n);
}
static void do_load(void)
{
    x86_load_seg(cpu, (enum x86_segnum)arg_n, arg_sel);
}
static void do_lldt(void)
{
    x86_lldt(cpu, arg_sel);
}
static void do_ltr(void)
{
    x86_ltr(cpu, arg_sel);
}
static void do_syscall(void)
{
    x86_syscall(cpu, rip() + 2);
}
static void do_sysret(void)
{
    x86_sysret(cpu, arg_size);
}
static void do_sysenter(void)
{
    x86_sysenter(cpu);
}
static void do_sysexit(void)
{
    x86_sysexit(cpu, arg_size);
}
static void do_check(void)
{
    x86_check_seg(cpu, (enum x86_segnum)arg_n, arg_off, arg_size, true);
}

static void run_int(unsigned vec)
{
    arg_n = vec;
    run(do_int);
}
static void run_iret(unsigned size)
{
    arg_size = size;
    run(do_iret);
}
static void run_load(enum x86_segnum s, uint16_t sel)
{
    arg_n = s;
    arg_sel = sel;
    run(do_load);
}
static void far_args(uint16_t sel, uint64_t off, unsigned size)
{
    arg_sel = sel;
    arg_off = off;
    arg_size = size;
}

/* ---- tests ---- */

static void test_real(void)
{
    reset();
    store(0x21 * 4, 0x12345678, 4);
    x86_set_seg_real(cpu, SEG_CS, 0x100, false);
    x86_set_seg_real(cpu, SEG_SS, 0x200, false);
    cpu->v.reg[X86_RSP] = 0xabcd0100;
    cpu->v.reg[X86_RIP] = 0xfffe;
    x86_set_eflags(cpu, FL_CF | FL_IF | FL_TF, X86_FLAGS_ALL);
    run_int(0x21);
    tap_ok(at(0x1234, 0x5678) && cpu->v.reg[X86_CS_BASE] == 0x12340,
           "real mode INT enters the vector");
    tap_ok(rsp() == 0xabcd00fa && STACK(2, 0, 0x100, 0x303), "INT pushes IP (wrapped), CS, FLAGS");
    tap_ok(!(x86_get_eflags(cpu) & (FL_IF | FL_TF)) && (x86_get_eflags(cpu) & FL_CF),
           "INT clears IF and TF only");
    run_iret(2);
    tap_ok(at(0x100, 0) && rsp() == 0xabcd0100 && x86_get_eflags(cpu) == 0x303,
           "real mode IRET undoes it");
    cpu->v.reg[X86_RSP] = 3;
    run_int(0x21);
    tap_ok(raised_is(1, EXC_SS, 0), "a push across the segment's end is #SS");
    reset();
    cpu->idtr.limit = 3 * 4;
    run_int(0x21);
    tap_ok(raised_is(1, EXC_GP, 0x21 * 8 + 2) && cpu->shutdown && (requests & REQUEST_RESET) &&
               cpu->delivering == -1,
           "vectors beyond the IDT limit end in a triple fault");
    reset();
    cpu->halted = true;
    store(8 * 4, 0x20000010, 4);
    arg_n = 8;
    run(do_irq);
    tap_ok(at(0x2000, 0x10) && !cpu->halted, "an external interrupt wakes from HLT");
    PUSH(4, 0x10000, 0x20, 2);
    run_iret(4);
    tap_ok(only(EXC_GP, 0), "IRETD to beyond 64K is #GP");
    reset();
    cpu->v.reg[X86_RSP] = 0x1000;
    cpu->v.reg[X86_RIP] = 0x10;
    far_args(0x3000, 0x44, 2);
    run(do_call);
    tap_ok(at(0x3000, 0x44) && STACK(2, 0x17, 0), "real mode far CALL");
    arg_n = 6;
    run(do_ret);
    tap_ok(at(0, 0x17) && rsp() == 0x1006, "real mode RETF n");
    cpu->seg[SEG_DS].limit = 0xffffffff;
    run_load(SEG_DS, 0x4321);
    tap_ok(cpu->v.reg[X86_DS_BASE] == 0x43210 && cpu->seg[SEG_DS].limit == 0xffffffff,
           "a real mode load keeps the limit (unreal mode)");
}

static void test_protected(void)
{
    protected_setup();
    run_int(0x20);
    tap_ok(at(CODE0, 0x8200) && STACK(4, 0x5002, CODE0, 0x202), "INT through a 32-bit gate");
    tap_ok(!(cpu->eflags & FL_IF), "an interrupt gate clears IF");
    run_iret(4);
    tap_ok(at(CODE0, 0x5002) && (cpu->eflags & FL_IF) && rsp() == STACK0, "IRET to the same level");

    set_idt(0x20, CODE0, 0x9000, 0x8f);
    run_int(0x20);
    tap_ok(at(CODE0, 0x9000) && (cpu->eflags & FL_IF), "a trap gate leaves IF");

    protected_setup();
    set_idt(0x20, CODE16, 0xffff9000, 0x86);
    run_int(0x20);
    tap_ok(at(CODE16, 0x9000) && rsp() == STACK0 - 6 && STACK(2, 0x5002, CODE0, 0x202),
           "INT through a 16-bit gate");

    protected_setup();
    ring3();
    run_int(0x20);
    tap_ok(raised_is(0, 0x20, 0) && raised_is(1, EXC_GP, 0x20 * 8 + 2) && at(CODE0, 0x80d0),
           "INT n through a gate of DPL 0 from CPL 3 is #GP(n * 8 + 2)");
    tap_ok(rsp() == STACK0 - 24 && STACK(4, 0x102, 0x5000, CODE3, 0x202 | FL_RF, STACK3, DATA3),
           "the fault's frame: error, restart EIP, RF, old stack");
    tap_ok(cpu->cpl == 0 && cpu->seg[SEG_SS].sel == DATA0, "CPL and SS are the handler's");
    x86_load_seg(cpu, SEG_ES, DATA0);
    cpu->v.reg[X86_RSP] += 4;
    run_iret(4);
    tap_ok(at(CODE3, 0x5000) && rsp() == STACK3 && cpu->cpl == 3 && (cpu->eflags & FL_RF),
           "IRET to the outer level");
    tap_ok(cpu->seg[SEG_DS].sel == DATA3 && cpu->seg[SEG_ES].sel == 0 && !cpu->seg[SEG_ES].attr,
           "... drops the inner level's data segment, keeps the other");
    set_idt(3, CODE0, 0x8030, 0xee);
    cpu->eflags |= FL_NT | FL_TF;
    run(do_int3);
    tap_ok(at(CODE0, 0x8030) && STACK(4, 0x5001, CODE3, 0x4302, STACK3, DATA3),
           "INT3 from CPL 3: trap frame without RF");
    tap_ok(!(cpu->eflags & (FL_NT | FL_TF)), "NT and TF are clear in the handler");

    protected_setup();
    ring3();
    run(do_int1);
    tap_ok(at(CODE0, 0x8010) && raised.count == 1, "INT1 ignores the gate's DPL");
    protected_setup();
    ring3();
    set_idt(0x20, CODE0, 0x9000, 0x6e);
    run_int(0x20);
    tap_ok(raised_is(1, EXC_NP, 0x102), "a gate that is not present: #NP(n * 8 + 2)");
    protected_setup();
    set_idt(0x20, CODE0, 0x9000, 0x0e);
    arg_n = 0x20;
    run(do_irq);
    tap_ok(only(EXC_NP, 0x103) && at(CODE0, 0x80b0), "... with EXT for an external interrupt");
    protected_setup();
    set_idt(0x20, DATA0, 0x9000, 0x8e);
    run_int(0x20);
    tap_ok(raised_is(1, EXC_GP, DATA0), "a gate to data: #GP(selector)");
    set_idt(0x20, 0, 0x9000, 0x8e);
    run_int(0x20);
    tap_ok(raised_is(1, EXC_GP, 0), "a gate with a null selector: #GP(0)");
    protected_setup();
    ring3();
    store(TSS + 8, DATA3, 4);
    run(do_ud);
    tap_ok(raised_is(1, EXC_TS, 0x20 | 1), "inner SS of the wrong level: #TS(SS + EXT)");
    tap_ok(raised_is(2, EXC_TS, 0x20 | 1) && raised_is(3, EXC_TS, 0x20 | 1) && cpu->shutdown,
           "... and again for #TS, #DF: triple fault");
    protected_setup();
    ring3();
    cpu->tr.limit = 8;
    run(do_ud);
    tap_ok(raised_is(1, EXC_TS, SEL_TSS | 1), "TSS too short for the stack: #TS(TSS + EXT)");
    protected_setup();
    ring3();
    set_idt(0x20, CONF0, 0x9000, 0xee);
    run_int(0x20);
    tap_ok(at(CONF0 | 3, 0x9000) && cpu->cpl == 3 && rsp() == STACK3 - 12,
           "a gate to conforming code stays at CPL 3");
    protected_setup();
    run(do_db);
    tap_ok(cpu->dr[6] == 1 << 14 && STACK(4, 0x5000, CODE0, 0x202),
           "#DB sets DR6 and pushes no RF");
}

static void test_nesting(void)
{
    protected_setup();
    bad_page = 0x30000;
    run(do_pf);
    tap_ok(at(CODE0, 0x80e0) && cpu->cr2 == 0x30000 && STACK(4, 0, 0x5000), "#PF sets CR2");

    protected_setup();
    ring3();
    bad_page = STACK0 - 0x1000;
    set_idt(8, TASK_GATE, 0, 0x85);
    store(IDT + 8 * 8 + 2, SEL_TSS_B, 2);
    store(TSS_B + 32, 0x7000, 4);
    store(TSS_B + 56, 0x40000, 4);
    store(TSS_B + 76, CODE0, 4);
    store(TSS_B + 80, DATA0, 4);
    run(do_gp);
    tap_ok(raised_is(0, EXC_GP, 0x1234) && raised_is(1, EXC_PF, 2) && raised_is(2, EXC_PF, 2) &&
               raised.count == 3,
           "#GP then #PF is delivered in turn, #PF in #PF is a double fault");
    tap_ok(at(CODE0, 0x7000) && rsp() == 0x40000 - 4 && STACK(4, 0) && cpu->tr.sel == SEL_TSS_B,
           "... taken by a task gate, with error code 0 on the new stack");
    tap_ok((cpu->eflags & FL_NT) && load(TSS_B, 2) == SEL_TSS && load(TSS + 32, 4) == 0x5000 &&
               load(TSS + 76, 2) == CODE3 && load(TSS + 56, 4) == STACK3,
           "... linked back to the interrupted task");
    tap_ok(cpu->delivering == -1 && !cpu->shutdown, "... and delivery is complete");

    protected_setup();
    set_idt(EXC_GP, CODE0, 0x9000, 0x0e);
    run(do_gp);
    tap_ok(raised_is(1, EXC_NP, EXC_GP * 8 + 3) && raised.count == 2 && at(CODE0, 0x8080) &&
               STACK(4, 0, 0x5000),
           "#NP while #GP is delivered: #DF with error code 0");
    protected_setup();
    set_idt(EXC_GP, CODE0, 0x9000, 0x0e);
    set_idt(EXC_DF, CODE0, 0x9000, 0x0e);
    run(do_gp);
    tap_ok(raised_is(2, EXC_NP, EXC_DF * 8 + 3) && cpu->shutdown && requests == REQUEST_RESET,
           "... and a third one: shutdown");
    protected_setup();
    set_idt(EXC_UD, CODE0, 0x9000, 0x0e);
    run(do_ud);
    tap_ok(raised.count == 2 && at(CODE0, 0x80b0), "#NP while benign #UD is delivered: #NP");
    protected_setup();
    set_idt(13, CODE0, 0x9000, 0x0e);
    run_int(13);
    tap_ok(raised.count == 2 && raised_is(1, EXC_NP, 13 * 8 + 2) && at(CODE0, 0x80b0),
           "INT 13 is not a contributory #GP");
    protected_setup();
    ring3();
    x86_set_seg(cpu, SEG_FS, DATA3, 5, 77, 0xf3);
    bad_page = 0x20000; /* holds the top of STACK0 */
    store(TSS + 4, 0x20010, 4);
    cpu->delivering = -1;
    set_idt(EXC_PF, TASK_GATE, 0, 0x85);
    store(IDT + EXC_PF * 8 + 2, 0x7777 & ~7, 2);
    arg_n = 0x20;
    run(do_irq);
    tap_ok(raised_is(0, EXC_PF, 2) && raised_is(1, EXC_GP, (0x7777 & ~7) | 1),
           "a bad task gate: #GP(TSS selector + EXT)");
}

static void test_v86(void)
{
    v86_setup(0);
    run(do_gp);
    tap_ok(at(CODE0, 0x80d0) && cpu->cpl == 0 && !(cpu->eflags & FL_VM) &&
               STACK(4, 0x1234, 0x100, 0x400, 0x202 | FL_VM | FL_RF, 0x1000, 0x500, 0x700, 0x600,
                     0x800, 0x900),
           "a fault in V86 mode pushes all segments");
    tap_ok(!cpu->seg[SEG_DS].sel && !cpu->seg[SEG_ES].sel && !cpu->seg[SEG_FS].attr &&
               !cpu->seg[SEG_GS].attr,
           "... and makes them null");
    cpu->v.reg[X86_RSP] += 4;
    run_iret(4);
    tap_ok(at(0x400, 0x100) && cpu->cpl == 3 && (cpu->eflags & FL_VM) && rsp() == 0x1000 &&
               cpu->seg[SEG_GS].sel == 0x900 && cpu->v.reg[X86_DS_BASE] == 0x6000 &&
               cpu->seg[SEG_ES].attr == 0xf3 && cpu->seg[SEG_SS].limit == 0xffff,
           "IRET to V86 mode");
    run_int(0x21);
    tap_ok(only(EXC_GP, 0) && load(STACK0 - 36, 4) == 0x100, "INT n with IOPL < 3: #GP(0)");
    v86_setup(3);
    set_idt(0x21, CODE0, 0x9000, 0xee);
    run_int(0x21);
    tap_ok(at(CODE0, 0x9000) && load(rsp(), 4) == 0x102, "INT n with IOPL 3 goes to the IDT");
    v86_setup(3);
    set_idt(0x21, CONF0, 0x9000, 0xee);
    run_int(0x21);
    tap_ok(raised_is(1, EXC_GP, CONF0), "a conforming handler from V86: #GP(selector)");

    for (unsigned iopl = 0; iopl <= 3; iopl += 3) {
        v86_setup(iopl);
        cpu->cr4 = CR4_VME;
        cpu->tr.limit = 0x200;
        store(TSS + 102, 0x88, 2);
        store(0x21 * 4, 0x20000123, 4);
        cpu->eflags |= FL_VIF;
        run_int(0x21);
        tap_ok(at(0x2000, 0x123) && rsp() == 0xffa && STACK(2, 0x102, 0x400, 0x3202) &&
                   !(cpu->eflags & (iopl ? FL_IF : FL_VIF)) && (cpu->eflags & FL_VM),
               "VME: INT n redirected to the program, IOPL %u", iopl);
        run_iret(2);
        tap_ok(at(0x400, 0x102) && rsp() == 0x1000 && (cpu->eflags & FL_VIF) &&
                   (cpu->eflags & FL_IF),
               "VME: its IRET");
        mem[TSS + 0x88 - 32 + 0x21 / 8] = 1 << 1;
        set_idt(0x21, CODE0, 0x9000, 0xee);
        run_int(0x21);
        tap_ok(iopl ? at(CODE0, 0x9000) : only(EXC_GP, 0), "VME: bit set: as without");
    }
    v86_setup(0);
    cpu->cr4 = CR4_VME;
    cpu->eflags |= FL_VIP;
    PUSH(2, 0x10, 0x400, FL_IF);
    run_iret(2);
    tap_ok(only(EXC_GP, 0), "VME: IRET that sets IF while VIP is set: #GP(0)");
    v86_setup(0);
    run_iret(2);
    tap_ok(only(EXC_GP, 0), "IRET in V86 mode with IOPL < 3: #GP(0)");
}

static void test_call_gate(void)
{
    protected_setup();
    set_gate(GDT + GATE, CODE0, 0x00345678, 0xec, 3);
    ring3();
    PUSH(4, 0x11, 0x22, 0x33, 0x44);
    far_args(GATE | 3, 0xdead, 4);
    run(do_call);
    tap_ok(at(CODE0, 0x345678) && cpu->cpl == 0 && rsp() == STACK0 - 28 &&
               STACK(4, 0x5007, CODE3, 0x11, 0x22, 0x33, STACK3 - 16, DATA3),
           "call gate to the inner level copies 3 parameters");
    arg_n = 12;
    run(do_ret);
    tap_ok(at(CODE3, 0x5007) && rsp() == STACK3 - 16 + 12 && cpu->cpl == 3 &&
               cpu->seg[SEG_SS].sel == DATA3,
           "RETF 12 releases them on both stacks");
    run(do_jmp);
    tap_ok(only(EXC_GP, CODE0), "JMP through it would change CPL: #GP(CS)");

    protected_setup();
    set_gate(GDT + GATE, CODE16, 0x5678, 0xe4, 2);
    ring3();
    PUSH(2, 0x11, 0x22);
    far_args(GATE, 0, 4);
    run(do_call);
    tap_ok(at(CODE16, 0x5678) && rsp() == STACK0 - 12 &&
               STACK(2, 0x5007, CODE3, 0x11, 0x22, (STACK3 - 4) & 0xffff, DATA3),
           "16-bit call gate");
    protected_setup();
    set_gate(GDT + GATE, CODE0, 0x6000, 0xec, 0);
    far_args(GATE, 0, 4);
    run(do_call);
    tap_ok(at(CODE0, 0x6000) && STACK(4, 0x5007, CODE0) && rsp() == STACK0 - 8,
           "call gate to the same level");
    protected_setup();
    set_gate(GDT + GATE, CODE0, 0x6000, 0x8c, 0);
    ring3();
    far_args(GATE | 3, 0, 4);
    run(do_call);
    tap_ok(only(EXC_GP, GATE), "gate of DPL 0 from CPL 3: #GP(gate)");
    set_gate(GDT + GATE, CODE0, 0x6000, 0x6c, 0);
    ring3();
    run(do_call);
    tap_ok(only(EXC_NP, GATE), "gate not present: #NP(gate)");
    protected_setup();
    set_gate(GDT + GATE, CODE0, 0x345678, 0xec, 3);
    ring3();
    cpu->v.reg[X86_RCX] = 55;
    far_args(GATE | 3, 0, 4);
    bad_page = STACK0 - 0x1000;
    store(TSS + 4, 0x40000, 4);
    bad_page = 0x3f000;
    run(do_call);
    tap_ok(raised_is(0, EXC_PF, 2) && cpu->shutdown && cpu->cpl == 3 && rsp() == STACK3 &&
               rip() == 0x5000 && cpu->seg[SEG_SS].sel == DATA3,
           "a page fault on the inner stack leaves the state as it was");

    protected_setup();
    far_args(CODE3, 0x6000, 4);
    run(do_jmp);
    tap_ok(only(EXC_GP, CODE3 & ~3), "JMP to code of another level: #GP(selector)");
    protected_setup();
    ring3();
    far_args(CONF0, 0x6000, 4);
    run(do_call);
    tap_ok(at(CONF0 | 3, 0x6000) && cpu->cpl == 3 && STACK(4, 0x5007, CODE3),
           "CALL to conforming code keeps the CPL");
    far_args(CODE3, 0, 4);
    arg_n = 0;
    run(do_ret);
    tap_ok(at(CODE3, 0x5007), "RETF from it");
    PUSH(4, 0x6000, CODE0);
    run(do_ret);
    tap_ok(only(EXC_GP, CODE0), "RETF to an inner level: #GP(selector)");
    protected_setup();
    far_args(CODE16, 0x10000, 4);
    run(do_jmp);
    tap_ok(only(EXC_GP, 0), "JMP beyond the target's limit: #GP(0)");
    protected_setup();
    far_args(0, 0, 4);
    run(do_jmp);
    tap_ok(only(EXC_GP, 0), "JMP to a null selector: #GP(0)");
    protected_setup();
    far_args(0xff8, 0, 4);
    run(do_jmp);
    tap_ok(only(EXC_GP, 0xff8), "JMP to a selector beyond the table: #GP(selector)");
}

static void task_b(void)
{
    store(TSS_B + 28, 0x99000, 4); /* CR3 */
    store(TSS_B + 32, 0x7000, 4);
    store(TSS_B + 36, FL_CF | FL_IF, 4);
    for (unsigned n = 0; n < 8; n++) {
        store(TSS_B + 40 + 4 * n, 0xb0 + n, 4);
    }
    store(TSS_B + 56, 0x40000, 4);
    store(TSS_B + 72, DATA3, 4);
    store(TSS_B + 76, CODE0, 4);
    store(TSS_B + 80, DATA0, 4);
    store(TSS_B + 84, DATA3, 4);
    store(TSS_B + 96, SEL_LDT, 4);
}
static bool busy(unsigned sel)
{
    return mem[GDT + sel + 5] & 2;
}

static void test_task(void)
{
    protected_setup();
    task_b();
    cpu->cr0 |= CR0_PG;
    cpu->dr[7] = 0x3ff;
    cpu->v.reg[X86_RAX] = 0xaaaa;
    far_args(SEL_TSS_B, 0, 4);
    run(do_call);
    tap_ok(at(CODE0, 0x7000) && rsp() == 0x40000 && cpu->v.reg[X86_RAX] == 0xb0 &&
               cpu->v.reg[X86_RDI] == 0xb7 && cpu->cr3 == 0x99000 && cpu->seg[SEG_DS].sel == DATA3,
           "CALL to a TSS loads the new task");
    tap_ok(x86_get_eflags(cpu) == (FL_CF | 2 | FL_IF | FL_NT) && load(TSS_B, 2) == SEL_TSS &&
               busy(SEL_TSS) && busy(SEL_TSS_B) && cpu->tr.sel == SEL_TSS_B,
           "... nested: NT, link, both busy");
    tap_ok((cpu->cr0 & CR0_TS) && cpu->dr[7] == 0x2aa && cpu->ldtr.sel == SEL_LDT &&
               cpu->ldtr.base == LDT,
           "... TS, DR7 local bits, LDT");
    tap_ok(load(TSS + 32, 4) == 0x5007 && load(TSS + 40, 4) == 0xaaaa &&
               load(TSS + 56, 4) == STACK0 && load(TSS + 80, 2) == DATA0 &&
               load(TSS + 36, 4) == 0x202,
           "... and the old one is saved");
    cpu->v.reg[X86_RAX] = 0xcccc;
    run_iret(4);
    tap_ok(at(CODE0, 0x5007) && cpu->v.reg[X86_RAX] == 0xaaaa && cpu->tr.sel == SEL_TSS &&
               !busy(SEL_TSS_B) && busy(SEL_TSS) && load(TSS_B + 40, 4) == 0xcccc &&
               !(load(TSS_B + 36, 4) & FL_NT) && !(cpu->eflags & FL_NT),
           "IRET with NT returns to it");
    run(do_jmp);
    tap_ok(at(CODE0, 0x7001) && !busy(SEL_TSS) && busy(SEL_TSS_B) && !(cpu->eflags & FL_NT),
           "JMP to a TSS is not nested");
    far_args(SEL_TSS_B, 0, 4);
    run(do_jmp);
    tap_ok(raised_is(0, EXC_GP, SEL_TSS_B), "JMP to a busy TSS: #GP(TSS)");

    protected_setup();
    task_b();
    store(TSS_B + 76, DATA0, 4);
    cpu->v.cur_tb = (struct tb *)mem;
    run(do_jmp);
    tap_ok(raised_is(0, EXC_TS, DATA0) && cpu->tr.sel == SEL_TSS_B && !cpu->v.cur_tb,
           "bad CS in the TSS: #TS(CS), taken by the new task");
    protected_setup();
    task_b();
    store(TSS_B + 84, ABSENT, 4);
    run(do_jmp);
    tap_ok(raised_is(0, EXC_NP, ABSENT) && at(CODE0, 0x80b0) && load(rsp() + 4, 4) == 0x7000,
           "absent DS in the TSS: #NP(DS) with the new task's EIP");
    protected_setup();
    task_b();
    mem[TSS_B + 100] = 1;
    cpu->v.cur_tb = (struct tb *)mem;
    run(do_jmp);
    tap_ok(cpu->pending_dr6 == 1 << 15 && at(CODE0, 0x7000) && cpu->v.cur_tb == (struct tb *)mem,
           "T bit: #DB is pending with BT");
    protected_setup();
    set_desc(SEL_TSS_B, TSS_B, 0x66, 0x89);
    run(do_jmp);
    tap_ok(only(EXC_TS, SEL_TSS_B) && cpu->tr.sel == SEL_TSS, "TSS limit too small: #TS(TSS)");
    protected_setup();
    store(GDT + TASK_GATE + 2, SEL_TSS_B, 2);
    mem[GDT + TASK_GATE + 5] = 0xe5;
    task_b();
    store(TSS_B + 36, FL_VM | 2, 4);
    store(TSS_B + 76, 0x400, 4);
    far_args(TASK_GATE, 0, 4);
    run(do_jmp);
    tap_ok(at(0x400, 0x7000) && cpu->cpl == 3 && (cpu->eflags & FL_VM) &&
               cpu->v.reg[X86_CS_BASE] == 0x4000,
           "task gate to a V86 task");

    protected_setup();
    set_desc(SEL_TSS_B, TSS_B, 0x2b, 0x81);
    store(TSS_B + 14, 0x7000, 2);
    store(TSS_B + 16, FL_ZF, 2);
    store(TSS_B + 18, 0x1111, 2);
    store(TSS_B + 26, 0x6000, 2);
    store(TSS_B + 34, DATA0, 2);
    store(TSS_B + 36, CODE16, 2);
    store(TSS_B + 38, DATA16, 2);
    store(TSS_B + 40, DATA0, 2);
    far_args(SEL_TSS_B, 0, 4);
    run(do_call);
    tap_ok(at(CODE16, 0x7000) && (rsp() & 0xffff) == 0x6000 &&
               (cpu->v.reg[X86_RAX] & 0xffff) == 0x1111 && cpu->seg[SEG_ES].sel == DATA0 &&
               cpu->seg[SEG_FS].attr == 0,
           "16-bit TSS");
    run_iret(2);
    tap_ok(at(CODE0, 0x5007) && load(TSS_B + 14, 2) == 0x7001, "... and back to the 32-bit task");
}

static void test_long(void)
{
    long_setup();
    cpu->v.reg[X86_RSP] = STACK0 - 4; /* not aligned */
    run(do_gp);
    tap_ok(at(CODE64, 0x80d0) && rsp() == STACK0 - 16 - 48 &&
               STACK(8, 0x1234, 0x5000, CODE64, 0x202 | FL_RF, STACK0 - 4, DATA0),
           "64-bit delivery aligns the stack and pushes SS:RSP");
    cpu->v.reg[X86_RSP] += 8;
    run_iret(8);
    tap_ok(at(CODE64, 0x5000) && rsp() == STACK0 - 4 && cpu->seg[SEG_SS].sel == DATA0, "IRETQ");

    enter_level(CODE64_3, DATA3);
    cpu->v.reg[X86_RSP] = STACK3;
    run(do_ud);
    tap_ok(at(CODE64, 0x8060) && cpu->cpl == 0 && cpu->seg[SEG_SS].sel == 0 &&
               rsp() == STACK0 - 40 && STACK(8, 0x5000, CODE64_3, 0x202 | FL_RF, STACK3, DATA3),
           "from CPL 3: RSP0, null SS");
    run_iret(8);
    tap_ok(at(CODE64_3, 0x5000) && cpu->cpl == 3 && rsp() == STACK3, "IRETQ to CPL 3");
    set_gate(IDT + 6 * 16, CODE64, UINT64_C(0xffff800000008000), 0x8e, 1);
    run(do_ud);
    tap_ok(at(CODE64, UINT64_C(0xffff800000008000)) && rsp() == 0x25000 - 40, "IST1");
    set_gate(IDT + 6 * 16, CODE64, UINT64_C(0x800000008000), 0x8e, 1);
    run(do_ud);
    tap_ok(raised_is(1, EXC_GP, 1), "non-canonical handler: #GP(EXT)");
    set_gate(IDT + 6 * 16, CODE0, 0x8000, 0x8e, 0);
    run(do_ud);
    tap_ok(raised_is(1, EXC_GP, CODE0 | 1), "handler not in 64-bit code: #GP(CS + EXT)");
    long_setup();
    store(TSS + 4, UINT64_C(0x800000000000), 8);
    enter_level(CODE64_3, DATA3);
    run(do_gp);
    tap_ok(raised_is(1, EXC_SS, 1) && cpu->shutdown, "non-canonical RSP0: #SS(EXT)");

    long_setup();
    enter_level(CODE3, DATA3); /* compatibility mode */
    cpu->v.reg[X86_RSP] = STACK3;
    set_idt(0x80, CODE64, 0x9000, 0xee);
    run_int(0x80);
    tap_ok(at(CODE64, 0x9000) && STACK(8, 0x5002, CODE3, 0x202, STACK3, DATA3),
           "INT from compatibility mode");
    run_iret(8);
    tap_ok(at(CODE3, 0x5002) && cpu->cpl == 3 && !x86_code64(cpu), "... and IRETQ back");
    long_setup();
    cpu->eflags |= FL_NT;
    run_iret(8);
    tap_ok(only(EXC_GP, 0), "IRET with NT in IA-32e mode: #GP(0)");
    long_setup();
    PUSH(8, 0x6000, CODE64, 2, 0x20000, 0);
    run_iret(8);
    tap_ok(at(CODE64, 0x6000) && cpu->seg[SEG_SS].sel == 0 && rsp() == 0x20000,
           "IRETQ may load a null SS at CPL 0");
    PUSH(8, 0x6000, CODE64_3, 2, 0x20000, 0);
    run_iret(8);
    tap_ok(only(EXC_GP, 0), "... but not for CPL 3");

    long_setup();
    set_gate(GDT + GATE, CODE64, UINT64_C(0x7f0000345678), 0xec, 0);
    enter_level(CODE64_3, DATA3);
    cpu->v.reg[X86_RSP] = STACK3;
    far_args(GATE | 3, 0, 8);
    run(do_call);
    tap_ok(at(CODE64, UINT64_C(0x7f0000345678)) && cpu->cpl == 0 && rsp() == STACK0 - 32 &&
               STACK(8, 0x5007, CODE64_3, STACK3, DATA3),
           "64-bit call gate");
    arg_n = 0;
    run(do_ret);
    tap_ok(at(CODE64_3, 0x5007) && rsp() == STACK3, "RETFQ");
    far_args(SEL_TSS_B, 0, 4);
    run(do_jmp);
    tap_ok(only(EXC_GP, SEL_TSS_B), "no task switches in IA-32e mode");

    long_setup();
    enter_level(CODE64_3, DATA3);
    cpu->star = UINT64_C(0x0070000800000000);
    cpu->lstar = UINT64_C(0xffffffff81000000);
    cpu->fmask = FL_IF | FL_TF;
    x86_set_eflags(cpu, FL_ZF | FL_IF | FL_RF, X86_FLAGS_ALL);
    run(do_syscall);
    tap_ok(at(8, cpu->lstar) && cpu->v.reg[X86_RCX] == 0x5002 && cpu->v.reg[X86_R11] == 0x242 &&
               x86_get_eflags(cpu) == 0x42 && cpu->cpl == 0 && cpu->seg[SEG_SS].sel == 0x10 &&
               cpu->seg[SEG_CS].attr == 0xa09b && cpu->seg[SEG_SS].attr == 0xc093,
           "SYSCALL");
    arg_size = 8;
    run(do_sysret);
    tap_ok(at(0x83, 0x5002) && cpu->cpl == 3 && x86_get_eflags(cpu) == 0x242 &&
               cpu->seg[SEG_SS].sel == 0x7b && cpu->seg[SEG_CS].attr == 0xa0fb,
           "SYSRET to 64-bit code");
    run(do_sysret);
    tap_ok(only(EXC_GP, 0), "SYSRET at CPL 3: #GP(0)");
    long_setup();
    cpu->star = UINT64_C(0x0070000800000000);
    cpu->v.reg[X86_RCX] = UINT64_C(0x1800000000000);
    run(do_sysret);
    tap_ok(only(EXC_GP, 0) && cpu->cpl == 0, "SYSRET to a non-canonical address: #GP(0) at CPL 0");
    arg_size = 4;
    run(do_sysret);
    tap_ok(at(0x73, 0) && !x86_code64(cpu), "SYSRET to compatibility mode");
    cpu->efer &= ~(uint64_t)EFER_SCE;
    run(do_syscall);
    tap_ok(only(EXC_UD, 0), "SYSCALL without EFER.SCE: #UD");

    long_setup();
    enter_level(CODE64_3, DATA3);
    run(do_sysenter);
    tap_ok(only(EXC_GP, 0), "SYSENTER with a null CS: #GP(0)");
    long_setup();
    enter_level(CODE64_3, DATA3);
    cpu->sysenter_cs = 0x78;
    cpu->sysenter_eip = 0x123456789a;
    cpu->sysenter_esp = 0x223456789a;
    run(do_sysenter);
    tap_ok(at(0x78, 0x123456789a) && rsp() == 0x223456789a && cpu->cpl == 0 &&
               !(cpu->eflags & FL_IF) && x86_code64(cpu),
           "SYSENTER in IA-32e mode");
    cpu->v.reg[X86_RDX] = 0x5555;
    cpu->v.reg[X86_RCX] = 0x6666;
    arg_size = 4;
    run(do_sysexit);
    tap_ok(at(0x8b, 0x5555) && rsp() == 0x6666 && cpu->cpl == 3 && !x86_code64(cpu),
           "SYSEXIT to compatibility mode");
}

static void test_segments(void)
{
    protected_setup();
    run_load(SEG_DS, DATA_NA);
    tap_ok(raised.count == 0 && cpu->v.reg[X86_DS_BASE] == 0x1000 &&
               cpu->seg[SEG_DS].limit == 0xfff && (mem[GDT + DATA_NA + 5] & 1) &&
               cpu->seg[SEG_DS].attr == 0x4093,
           "a load sets base, limit, rights and the accessed bit");
    far_args(0, 0xffd, 4);
    arg_n = SEG_DS;
    run(do_check);
    tap_ok(only(EXC_GP, 0), "an access across the limit: #GP(0)");
    protected_setup();
    run_load(SEG_DS, DOWN);
    far_args(0, 0x1000, 4);
    arg_n = SEG_DS;
    run(do_check);
    tap_ok(raised.count == 0, "expand down: above the limit is inside");
    arg_off = 0xfff;
    run(do_check);
    tap_ok(only(EXC_GP, 0), "... the limit is not");
    protected_setup();
    run_load(SEG_DS, CODE0);
    far_args(0, 0, 4);
    arg_n = SEG_DS;
    run(do_check);
    tap_ok(only(EXC_GP, 0), "no writes to a code segment");
    protected_setup();
    run_load(SEG_FS, 3);
    tap_ok(raised.count == 0 && cpu->seg[SEG_FS].sel == 3 && !cpu->seg[SEG_FS].attr,
           "a null selector may be loaded into FS");
    far_args(0, 0, 1);
    arg_n = SEG_FS;
    run(do_check);
    tap_ok(only(EXC_GP, 0), "... but not used");
    protected_setup();
    run_load(SEG_SS, 0);
    tap_ok(only(EXC_GP, 0), "null SS: #GP(0)");
    protected_setup();
    run_load(SEG_SS, DATA3);
    tap_ok(only(EXC_GP, DATA3 & ~3), "SS of another level: #GP(selector)");
    protected_setup();
    run_load(SEG_SS, CODE0);
    tap_ok(only(EXC_GP, CODE0), "code in SS: #GP(selector)");
    protected_setup();
    run_load(SEG_SS, ABSENT);
    tap_ok(only(EXC_SS, ABSENT), "SS not present: #SS(selector)");
    protected_setup();
    run_load(SEG_DS, ABSENT);
    tap_ok(only(EXC_NP, ABSENT), "DS not present: #NP(selector)");
    protected_setup();
    run_load(SEG_DS, RDCODE);
    tap_ok(only(EXC_GP, RDCODE), "execute-only code in DS: #GP(selector)");
    protected_setup();
    ring3();
    run_load(SEG_DS, DATA0);
    tap_ok(only(EXC_GP, DATA0), "inner data at CPL 3: #GP(selector)");
    protected_setup();
    ring3();
    run_load(SEG_DS, CONF0);
    tap_ok(raised.count == 0, "conforming code of DPL 0 may be read at CPL 3");
    protected_setup();
    run_load(SEG_DS, 0x0c);
    tap_ok(only(EXC_GP, 0x0c), "no LDT: #GP(selector with TI)");
    protected_setup();
    arg_sel = SEL_LDT;
    run(do_lldt);
    memcpy(mem + LDT + 8, mem + GDT + DATA_NA, 8);
    run_load(SEG_DS, 0x0c);
    tap_ok(raised.count == 0 && cpu->v.reg[X86_DS_BASE] == 0x1000, "a load from the LDT");
    arg_sel = SEL_TSS_B;
    run(do_lldt);
    tap_ok(only(EXC_GP, SEL_TSS_B), "LLDT of a TSS: #GP(selector)");
    protected_setup();
    arg_sel = SEL_TSS_B;
    run(do_ltr);
    tap_ok(cpu->tr.sel == SEL_TSS_B && cpu->tr.base == TSS_B && busy(SEL_TSS_B),
           "LTR marks it busy");
    run(do_ltr);
    tap_ok(only(EXC_GP, SEL_TSS_B), "LTR of a busy TSS: #GP(selector)");
    long_setup();
    set_desc(SEL_TSS64, 0x12345678, 0x67, 0x89);
    store(GDT + SEL_TSS64 + 8, 0xffff8000, 8);
    arg_sel = SEL_TSS64;
    run(do_ltr);
    tap_ok(cpu->tr.base == UINT64_C(0xffff800012345678), "LTR with a 64-bit base");
    long_setup();
    run_load(SEG_SS, 0);
    tap_ok(raised.count == 0, "null SS in 64-bit mode at CPL 0");

    protected_setup();
    tap_ok(x86_lar(cpu, DATA3) == UINT64_C(0x100cff300) &&
               x86_lsl(cpu, DATA3) == UINT64_C(0x1ffffffff),
           "LAR, LSL of data");
    tap_ok(x86_lar(cpu, SEL_TSS) == UINT64_C(0x100008b00) &&
               x86_lsl(cpu, SEL_TSS) == UINT64_C(0x100000067),
           "LAR, LSL of a TSS");
    tap_ok(!x86_lsl(cpu, GATE) && !x86_lar(cpu, 0) && !x86_lar(cpu, 0xff8),
           "neither of an empty, null or outside selector");
    tap_ok(x86_verify(cpu, DATA0, true) && !x86_verify(cpu, CODE0, true) &&
               x86_verify(cpu, CODE0, false) && !x86_verify(cpu, RDCODE, false) &&
               !x86_verify(cpu, SEL_TSS, false),
           "VERR, VERW");
    ring3();
    tap_ok(!x86_lar(cpu, DATA0) && x86_lar(cpu, CONF0) && !x86_verify(cpu, DATA0, false) &&
               x86_verify(cpu, CONF0, false),
           "... respect DPL but for conforming code");
}

int main(void)
{
    cpu = aligned_alloc(64, (sizeof(*cpu) + 63) / 64 * 64);
    mem = malloc(MEM_SIZE);
    test_real();
    test_protected();
    test_nesting();
    test_v86();
    test_call_gate();
    test_task();
    test_long();
    test_segments();
    free(mem);
    free(cpu);
    return tap_done();
}
