/* Exception and interrupt delivery, and the way back, in each mode, on a bare CPU.
 * Expected values are worked out from the SDM by hand. */
#include "tests/cpu/bare_cpu.h"

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

int main(void)
{
    static void (*const tests[])(void) = {test_real, test_protected, test_nesting, test_v86,
                                          test_long};

    return bare_cpu_main(tests, sizeof(tests) / sizeof(tests[0]));
}
