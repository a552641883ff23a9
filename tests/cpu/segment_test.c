/* Loads of segments, far transfers and task switches on a bare CPU.
 * Expected values are worked out from the SDM by hand. */
#include "tests/cpu/bare_cpu.h"

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
    static void (*const tests[])(void) = {test_call_gate, test_task, test_segments};

    return bare_cpu_main(tests, sizeof(tests) / sizeof(tests[0]));
}
