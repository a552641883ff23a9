/* The processor's system side: reset, the key word, control registers, MSRs, CPUID, models, debug
 * registers, I/O permission, interrupts between blocks, SMM, and the images of FXSAVE and XSAVE (on
 * an x86 host also against the processor's own). Expected values are worked out from the SDM by
 * hand. */
#include "tests/cpu/fake_softmmu.h"

static struct x86_cpu *c;

static void is(uint64_t got, uint64_t want, const char *what)
{
    if (!tap_ok(got == want, "%s", what)) {
        printf("# got %#llx, want %#llx\n", (unsigned long long)got, (unsigned long long)want);
    }
}

/* ---- reset ---- */

static void reset(void)
{
    c = fake_setup("Nehalem");
    is(c->v.reg[X86_RIP], 0xfff0, "reset: RIP");
    is(c->v.reg[X86_CS_BASE], 0xffff0000, "reset: CS base");
    is(c->seg[SEG_CS].sel, 0xf000, "reset: CS");
    is(c->v.reg[X86_RDX], 0x106a3, "reset: EDX is the signature");
    is(c->cr0, 0x60000010, "reset: CR0");
    is(x86_get_eflags(c), 2, "reset: EFLAGS");
    is(x86_get_mxcsr(c), 0x1f80, "reset: MXCSR");
    is(c->dr[6], 0xffff0ff0, "reset: DR6");
    is(c->dr[7], 0x400, "reset: DR7");
    is(x86_guest_ops.linear_pc(&c->v), 0xfffffff0, "reset: first fetch");
    is(c->v.tb_flags, KEY_ZERO_BASES, "reset: key word");
    tap_ok(!c->halted, "reset: the first processor runs");

    c->cr0 = 0x10;
    c->pat = 0x0606060606060606;
    c->v.vec[3].q[0] = 7;
    c->tsc_aux = 5;
    x86_reset(c, true);
    is(c->cr0, 0x10, "INIT keeps CD and NW");
    tap_ok(c->pat == 0x0606060606060606 && c->v.vec[3].q[0] == 7 && c->tsc_aux == 5,
           "INIT keeps MSRs and vectors");
    x86_reset(c, false);
    tap_ok(c->pat == UINT64_C(0x0007040600070406) && !c->v.vec[3].q[0], "RESET does not");

    c->apic_base &= ~UINT64_C(0x100);
    x86_reset(c, true);
    tap_ok(c->halted && c->wait_sipi, "INIT: an application processor waits");
    tap_ok(!x86_has_work(&c->v) && x86_poll(&c->v), "... and is not run");
    c->sipi_vector = 0x9a;
    vcpu_request(&c->v, X86_REQ_SIPI);
    tap_ok(x86_has_work(&c->v) && !x86_poll(&c->v), "SIPI starts it");
    tap_ok(c->v.reg[X86_CS_BASE] == 0x9a000 && c->seg[SEG_CS].sel == 0x9a00 &&
               c->v.reg[X86_RIP] == 0,
           "... at its vector");
    c->v.reg[X86_RIP] = 5;
    vcpu_request(&c->v, X86_REQ_SIPI);
    tap_ok(!x86_poll(&c->v) && c->v.reg[X86_RIP] == 5, "a second SIPI is dropped");
}

/* ---- control registers and the key word ---- */

static void flat(uint16_t cs_attr)
{
    for (unsigned s = 0; s < 6; s++) {
        x86_set_seg(c, s, 0x10, 0, UINT32_MAX, 0xc093);
    }
    x86_set_seg(c, SEG_CS, 8, 0, UINT32_MAX, cs_attr);
    x86_update_key(c);
}

static void control_registers(void)
{
    c = fake_setup("max,+la57");
    is(FAKE_TRY(x86_write_cr0(c, CR0_PG)), EXC_GP, "CR0: PG without PE");
    is(FAKE_TRY(x86_write_cr0(c, CR0_NW)), EXC_GP, "CR0: NW without CD");
    is(FAKE_TRY(x86_write_cr0(c, UINT64_C(1) << 32)), EXC_GP, "CR0: high bits");
    is(FAKE_TRY(x86_write_cr0(c, CR0_PE)), -1, "CR0: PE");
    is(c->cr0, CR0_PE | CR0_ET, "... ET is always set");
    is(c->v.tb_flags, KEY_PE | KEY_ZERO_BASES, "key: protected, 16 bit");
    flat(0xc09b);
    is(c->v.tb_flags,
       KEY_PE | KEY_CS32 | KEY_SS32 | KEY_ZERO_BASES | KEY_FLAT_LIMITS | KEY_CS_FLAT | KEY_CS_ZERO,
       "key: flat 32 bit");
    c->seg[SEG_ES].attr = 0;
    x86_update_key(c);
    tap_ok(!(c->v.tb_flags & KEY_FLAT_LIMITS), "key: a null ES is not flat");
    c->seg[SEG_ES].attr = 0xc097;
    x86_update_key(c);
    tap_ok(!(c->v.tb_flags & KEY_FLAT_LIMITS), "key: expand-down is not flat");
    c->seg[SEG_ES].attr = 0xc091;
    x86_update_key(c);
    tap_ok(!(c->v.tb_flags & KEY_FLAT_LIMITS), "key: read-only is not flat");
    flat(0xc09b);

    is(FAKE_TRY(x86_write_cr4(c, CR4_PCIDE)), EXC_GP, "CR4: PCIDE outside IA-32e mode");
    is(FAKE_TRY(x86_write_cr4(c, 1 << 13)), EXC_GP, "CR4: VMXE does not exist");
    is(FAKE_TRY(x86_write_cr4(c, UINT64_C(1) << 40)), EXC_GP, "CR4: high bits");
    is(FAKE_TRY(x86_write_efer(c, 1 << 12)), EXC_GP, "EFER: SVME does not exist");
    is(FAKE_TRY(x86_write_efer(c, EFER_LME | EFER_NXE)), -1, "EFER: LME, NXE");
    is(FAKE_TRY(x86_write_cr0(c, CR0_PE | CR0_PG)), EXC_GP, "IA-32e mode needs PAE");
    is(FAKE_TRY(x86_write_cr4(c, CR4_PAE)), -1, "CR4: PAE");
    c->seg[SEG_CS].attr |= SEGA_L;
    is(FAKE_TRY(x86_write_cr0(c, CR0_PE | CR0_PG)), EXC_GP, "... and CS.L clear");
    c->seg[SEG_CS].attr &= ~SEGA_L;
    is(FAKE_TRY(x86_write_cr0(c, CR0_PE | CR0_PG)), -1, "IA-32e mode");
    is(c->efer, EFER_LME | EFER_LMA | EFER_NXE, "... sets LMA");
    is(c->v.tb_flags & (KEY_LMA | KEY_CS64 | KEY_CS32), KEY_LMA | KEY_CS32,
       "key: compatibility mode");
    c->seg[SEG_CS].attr = 0xa09b;
    x86_update_key(c);
    is(c->v.tb_flags,
       KEY_PE | KEY_LMA | KEY_CS64 | KEY_ZERO_BASES | KEY_FLAT_LIMITS | KEY_CS_FLAT | KEY_CS_ZERO,
       "key: 64-bit mode");
    is(FAKE_TRY(x86_write_efer(c, EFER_NXE)), EXC_GP, "EFER: LME while paging");
    is(FAKE_TRY(x86_write_cr4(c, 0)), EXC_GP, "CR4: PAE in IA-32e mode");
    is(FAKE_TRY(x86_write_cr4(c, CR4_PAE | CR4_LA57)), EXC_GP, "CR4: LA57 in IA-32e mode");
    is(FAKE_TRY(x86_write_cr0(c, CR0_PE)), EXC_GP, "CR0: paging off in 64-bit mode");
    is(FAKE_TRY(x86_write_cr3(c, UINT64_C(1) << 46)), EXC_GP, "CR3: beyond MAXPHYADDR");
    is(FAKE_TRY(x86_write_cr3(c, UINT64_C(1) << 63)), EXC_GP, "CR3: bit 63 without PCIDE");
    is(FAKE_TRY(x86_write_cr3(c, 0x1008)), -1, "CR3");
    is(FAKE_TRY(x86_write_cr4(c, CR4_PAE | CR4_PCIDE)), EXC_GP, "PCIDE with a PCID that is not 0");
    x86_write_cr3(c, 0x1000);
    is(FAKE_TRY(x86_write_cr4(c, CR4_PAE | CR4_PCIDE)), -1, "PCIDE");
    is(FAKE_TRY(x86_write_cr3(c, UINT64_C(1) << 63 | 0x2123)), -1, "CR3 with PCID, not flushing");
    tap_ok(c->cr3 == 0x2123 && fake.last_asid == 0x123 && fake.last_keep, "... switches to it");
    x86_write_cr3(c, 0x2123);
    tap_ok(!fake.last_keep, "... and flushing");
    is(FAKE_TRY(x86_invpcid(c, 4, 0, 0)), EXC_GP, "INVPCID: type 4");
    is(FAKE_TRY(x86_invpcid(c, 1, 0x1000, 0)), EXC_GP, "INVPCID: PCID too large");
    is(FAKE_TRY(x86_invpcid(c, 0, 1, UINT64_C(1) << 60)), EXC_GP, "INVPCID: address not canonical");
    is(FAKE_TRY(x86_invpcid(c, 2, 0, 0)), -1, "INVPCID: all");

    c->cpl = 3;
    c->eflags |= FL_AC | FL_IOPL;
    c->cr0 |= CR0_AM;
    c->cr4 |= CR4_UMIP | CR4_FSGSBASE | CR4_OSFXSR | CR4_OSXSAVE;
    c->xcr0 = 7;
    x86_update_key(c);
    is(c->v.tb_flags &
           (KEY_CPL | KEY_IOPL | KEY_AC | KEY_UMIP | KEY_FSGSBASE | KEY_OSFXSR | KEY_AVX),
       KEY_CPL | KEY_IOPL | KEY_AC | KEY_UMIP | KEY_FSGSBASE | KEY_OSFXSR | KEY_AVX,
       "key: user mode");
    tap_ok(c->v.fetch_ctx == 1 && (c->v.tb_flags >> KEY_CTX_SHIFT & 3) == 1, "user context");
    c->cpl = 0;
    x86_update_key(c);
    is(c->v.tb_flags >> KEY_CTX_SHIFT & 3, 0, "supervisor context; AC means nothing without SMAP");
    c->cr4 |= CR4_SMAP;
    x86_update_key(c);
    is(c->v.tb_flags >> KEY_CTX_SHIFT & 3, 2, "AC with SMAP has its own context");

    c = fake_setup("pentium");
    is(FAKE_TRY(x86_write_cr4(c, CR4_PAE)), EXC_GP, "a Pentium has no PAE");
    is(FAKE_TRY(x86_write_cr4(c, CR4_PSE | CR4_VME | CR4_TSD)), -1, "... but PSE");
}

/* ---- time ---- */

static void tsc(void)
{
    c = fake_setup("max");
    fake.now = 1000;
    is(x86_read_tsc(c), 2500, "TSC: 2.5 GHz");
    is((uint64_t)x86_tsc_to_clock(c, 5001), 2001, "deadline is rounded up");
    is((uint64_t)x86_tsc_to_clock(c, 5000), 2000, "... not when exact");
    tap_ok(x86_tsc_to_clock(c, 2000) <= 1000, "a past one is not in the future");
    tap_ok(x86_tsc_to_clock(c, UINT64_MAX) == INT64_MAX, "a far one is never");
    tap_ok(x86_wrmsr(c, 0x10, 100000), "WRMSR TSC");
    is(x86_read_tsc(c), 100000, "... sets it");
    is((uint64_t)x86_tsc_to_clock(c, 102500), 2000, "... and moves deadlines");
    uint64_t v;
    x86_rdmsr(c, 0x3b, &v);
    is(v, 97500, "... and TSC_ADJUST");
    x86_wrmsr(c, 0x3b, 0);
    is(x86_read_tsc(c), 2500, "TSC_ADJUST = 0 takes it back");
}

/* ---- MSRs, CPUID, models ---- */

static void msrs(void)
{
    uint64_t v;

    c = fake_setup("max");
    tap_ok(x86_wrmsr(c, 0xc0000082, UINT64_C(0xffffffff81000000)) &&
               c->lstar == UINT64_C(0xffffffff81000000),
           "LSTAR");
    tap_ok(!x86_wrmsr(c, 0xc0000082, UINT64_C(1) << 50), "LSTAR must be canonical");
    tap_ok(x86_wrmsr(c, 0xc0000101, 0x1234) && c->v.reg[X86_GS_BASE] == 0x1234, "GS base");
    tap_ok(x86_rdmsr(c, 0xc0000100, &v) && v == 0, "FS base");
    tap_ok(!x86_wrmsr(c, 0x277, 2), "PAT: type 2");
    tap_ok(x86_wrmsr(c, 0x277, 0x0707), "PAT: type 7");
    tap_ok(!x86_wrmsr(c, 0x250, 7), "MTRR: type 7");
    tap_ok(x86_wrmsr(c, 0x26f, 0x0606) && c->mtrr_fixed[10] == 0x0606, "MTRR: last fixed");
    tap_ok(x86_wrmsr(c, 0x20f, UINT64_C(0x3fffc0000800)) && c->mtrr_mask[7], "MTRR: last mask");
    tap_ok(!x86_wrmsr(c, 0x20f, UINT64_C(1) << 46), "MTRR: beyond MAXPHYADDR");
    tap_ok(x86_rdmsr(c, 0xfe, &v) && v == 0x508 && !x86_wrmsr(c, 0xfe, v), "MTRRCAP is read only");
    tap_ok(!x86_wrmsr(c, 0x401, 1) && x86_wrmsr(c, 0x401, 0),
           "machine-check status is cleared only");
    tap_ok(!x86_wrmsr(c, 0xc0000103, UINT64_C(1) << 32), "TSC_AUX has 32 bits");
    tap_ok(!x86_rdmsr(c, 0x12345678, &v) && !x86_wrmsr(c, 0x4b564d00, 0), "unknown MSRs");
    c = fake_setup("pentium3");
    tap_ok(!x86_rdmsr(c, 0xc0000082, &v), "no LSTAR without long mode");
}

static void cpuid(void)
{
    uint32_t r[4];
    char name[13] = {0};

    c = fake_setup("Skylake-Client");
    x86_cpuid(c, 0, 0, r);
    memcpy(name, (uint32_t[]){r[1], r[3], r[2]}, 12);
    tap_ok(!strcmp(name, "GenuineIntel") && r[0] == 0x16, "CPUID 0");
    x86_cpuid(c, 1, 0, r);
    is(r[0], 0x506e3, "CPUID 1: signature");
    tap_ok(!(r[2] >> 27 & 1) && (r[2] >> 26 & 1), "CPUID 1: XSAVE, not enabled");
    c->cr4 |= CR4_OSXSAVE;
    x86_cpuid(c, 1, 0, r);
    tap_ok(r[2] >> 27 & 1, "... enabled");
    tap_ok(!(r[3] >> 28 & 1), "... one logical processor");
    c->smp_cores = 3;
    c->smp_threads = 2;
    c->apic_id = 5;
    x86_cpuid(c, 1, 0, r);
    tap_ok((r[1] >> 16 & 0xff) == 8 && r[1] >> 24 == 5 && (r[3] >> 28 & 1),
           "... eight APIC ids for six");
    x86_cpuid(c, 0xb, 0, r);
    tap_ok(r[0] == 1 && r[1] == 2 && r[2] == 0x100 && r[3] == 5, "CPUID B.0: threads");
    x86_cpuid(c, 0xb, 1, r);
    tap_ok(r[0] == 3 && r[1] == 6 && r[2] == 0x201, "CPUID B.1: cores");
    x86_cpuid(c, 0xb, 2, r);
    tap_ok(!r[0] && !r[1] && r[2] == 2, "CPUID B.2: end");
    x86_cpuid(c, 4, 0, r);
    is(((r[1] & 0xfff) + 1) * ((r[1] >> 22) + 1) * (r[2] + 1), 32768,
       "CPUID 4: 32 KiB of data cache");
    x86_cpuid(c, 0x15, 0, r);
    is((uint64_t)r[2] * r[1] / r[0], X86_TSC_HZ, "CPUID 15H: rate of the TSC");
    x86_cpuid(c, 0xd, 0, r);
    tap_ok(r[0] == 7 && r[1] == 576 && r[2] == 832, "CPUID D: x87, SSE and AVX");
    x86_cpuid(c, 0x40000000, 0, r);
    tap_ok(!(r[0] | r[1] | r[2] | r[3]), "no hypervisor");
    x86_cpuid(c, 0x1000, 0, r);
    is(r[2], 100, "an unknown leaf answers like the last");
    x86_cpuid(c, 0x80000008, 0, r);
    is(r[0], 40 | 48 << 8, "CPUID 80000008: address widths");
    c->apic_base &= ~UINT64_C(0x800);
    x86_cpuid(c, 1, 0, r);
    tap_ok(!(r[3] >> 9 & 1), "a disabled APIC is not shown");
    c = fake_setup("max");
    x86_cpuid(c, 0xd, 0, r);
    tap_ok(r[0] == 0x207 && r[2] == 2696, "CPUID D: PKRU");
    x86_cpuid(c, 0xd, 9, r);
    tap_ok(r[0] == 8 && r[1] == 2688, "CPUID D.9");
}

static void models(void)
{
    struct error err = {{0}};
    struct x86_model *m = x86_model_parse("haswell,-sse4_2,x2apic=off,+umip", &err);

    tap_ok(m && !x86_model_has(m, X86F_SSE42) && !x86_model_has(m, X86F_X2APIC) &&
               x86_model_has(m, X86F_UMIP),
           "features added and removed");
    x86_model_free(m);
    m = x86_model_parse("Nehalem,+sse4a", &err);
    tap_ok(m && x86_model_has(m, X86F_SSE4A), "AMD's features can be added to Intel's models");
    x86_model_free(m);
    m = x86_model_parse("Nehalem,+ssse", &err);
    tap_ok(!m && strstr(err.msg, "sse"), "%s", err.msg);
    m = x86_model_parse("Haswel", &err);
    tap_ok(!m && strstr(err.msg, "Haswell"), "%s", err.msg);
    m = x86_model_parse("max,whatever", &err);
    tap_ok(!m && strstr(err.msg, "whatever"), "%s", err.msg);
    m = x86_model_parse("", &err);
    tap_ok(!m, "%s", err.msg);
    char *help = x86_model_help();
    tap_ok(help && strstr(help, "Skylake-Client") && strstr(help, "sse4.2"), "help");
    free(help);
    static const char *const names[] = {"qemu64",         "486",     "pentium",
                                        "pentium3",       "Nehalem", "Haswell",
                                        "Skylake-Client", "EPYC",    "max"};
    for (unsigned n = 0; n < sizeof names / sizeof names[0]; n++) {
        m = x86_model_parse(names[n], &err);
        tap_ok(m && !x86_model_has(m, X86F_NONE), "model %s", names[n]);
        x86_model_free(m);
    }
}

/* ---- debug registers ---- */

static void debug(void)
{
    c = fake_setup("max");
    x86_write_dr(c, 0, 0x1002, 8);
    x86_write_dr(c, 1, 0x2000, 8);
    x86_write_dr(c, 2, 0x80, 8);
    x86_write_dr(c, 7,
                 1 << 0 | 3 << 2 | 1 << 4 | /* L0, L1, G1, L2 */
                     (uint64_t)(4 | 1) << 16 | 0 << 20 | (uint64_t)2 << 24,
                 8);
    is(fake.watches, 1, "one data breakpoint");
    tap_ok(fake.watch_va[0] == 0x1002 && fake.watch_len[0] == 2 && fake.watch_mask[0] == 2,
           "... two bytes, writes");
    tap_ok(c->v.tb_flags & KEY_BP && c->v.tb_flags & KEY_IOBP, "key: breakpoints");
    is(FAKE_TRY(x86_check_insn_breakpoint(c, 0x2001)), -1, "another address");
    is(FAKE_TRY(x86_check_insn_breakpoint(c, 0x2000)), EXC_DB, "instruction breakpoint");
    is(c->exc.dr6, 2, "... is number 1");
    c->eflags |= FL_RF;
    is(FAKE_TRY(x86_check_insn_breakpoint(c, 0x2000)), -1, "... not with RF");
    c->eflags &= ~(uint32_t)FL_RF;
    atomic_store(&c->v.exit_request, 0);
    x86_watch_hit(&c->v, 0x1002, 1, ACCESS_WRITE, fake.watch_tag[0]);
    tap_ok(c->pending_dr6 == 1 && atomic_load(&c->v.exit_request), "data breakpoint traps later");
    c->shadow = 2;
    is(FAKE_TRY(x86_poll(&c->v)), -1, "... not in the shadow of MOV SS");
    c->shadow = 0;
    is(FAKE_TRY(x86_poll(&c->v)), EXC_DB, "... at the next poll");
    is(c->exc.dr6, 1, "... with its bit");
    x86_check_io_breakpoint(c, 0x80, 1);
    is(c->pending_dr6, 0, "I/O breakpoint needs CR4.DE");
    c->cr4 |= CR4_DE;
    x86_check_io_breakpoint(c, 0x7f, 1);
    is(c->pending_dr6, 0, "... another port");
    x86_check_io_breakpoint(c, 0x7e, 4);
    is(c->pending_dr6, 4, "... hit by a wide access");
    c->pending_dr6 = 0;
    is(FAKE_TRY(x86_read_dr(c, 4)), EXC_UD, "DR4 with CR4.DE");
    c->cr4 = 0;
    x86_write_dr(c, 4, 0, 8);
    is(x86_read_dr(c, 6), 0xffff0ff0, "DR4 is DR6 without it");
    is(FAKE_TRY(x86_write_dr(c, 7, UINT64_C(1) << 32, 8)), EXC_GP, "DR7: high bits");
    x86_write_dr(c, 7, 0, 4);
    is(fake.watches, 0, "all off");
    is(x86_read_dr(c, 7), 0x400, "DR7: bit 10 is one");
    x86_write_dr(c, 7, 1 << 13, 8);
    is(FAKE_TRY(x86_read_dr(c, 0)), EXC_DB, "general detect");
    is(c->exc.dr6, 1 << 13, "... BD");
}

/* ---- I/O ---- */

static void io(void)
{
    c = fake_setup("max");
    c->cr0 |= CR0_PE;
    c->cpl = 3;
    c->tr = (struct x86_sysseg){.attr = 0x8b, .limit = 0x68 + 4, .base = 0x1000};
    fake_put(0x1000 + 102, 0x68, 2);
    fake_put(0x1000 + 0x68, 0xfe, 1); /* port 0 is allowed */
    fake_put(0x1000 + 0x69, 0x00, 1); /* 8..15 */
    fake_put(0x1000 + 0x6a, 0x01, 1); /* not 16 */
    fake_put(0x1000 + 0x6b, 0xff, 1);
    is(FAKE_TRY(x86_check_io(c, 0, 1)), -1, "I/O bitmap: allowed");
    is(FAKE_TRY(x86_check_io(c, 0, 2)), EXC_GP, "... not the second byte");
    is(FAKE_TRY(x86_check_io(c, 12, 4)), -1, "... a doubleword");
    is(FAKE_TRY(x86_check_io(c, 13, 4)), EXC_GP, "... across bytes");
    is(FAKE_TRY(x86_check_io(c, 40, 1)), EXC_GP, "... beyond the limit");
    c->eflags |= FL_IOPL;
    is(FAKE_TRY(x86_check_io(c, 40, 1)), -1, "IOPL 3 allows all");
    c->eflags |= FL_VM;
    is(FAKE_TRY(x86_check_io(c, 40, 1)), EXC_GP, "... not in V86 mode");
    c->eflags = 2;
    c->tr.attr = 0x83;
    is(FAKE_TRY(x86_check_io(c, 0, 1)), EXC_GP, "16-bit TSS");
    x86_port_out(c, 0x70, 0x12345678, 4);
    is(x86_port_in(c, 0x71, 1), 0x56, "ports reach the devices");
}

/* ---- interrupts ---- */

static int next_vector;
static unsigned acks;
static int ack(void *opaque, struct x86_cpu *cpu)
{
    (void)opaque;
    (void)cpu;
    acks++;
    return next_vector;
}

static void interrupts(void)
{
    static const struct x86_platform platform = {.ack_interrupt = ack};

    c = fake_setup("max");
    c->platform = &platform;
    flat(0x9b);
    c->v.reg[X86_RSP] = 0x8000;
    c->v.reg[X86_RIP] = 0x100;
    fake_put(0x20 * 4, 0x00500040, 4);
    fake_put(2 * 4, 0x00600000, 4);
    next_vector = 0x20;
    acks = 0;

    vcpu_request(&c->v, X86_REQ_INTR);
    tap_ok(!x86_poll(&c->v) && !acks, "IF clear: no interrupt");
    c->eflags |= FL_IF;
    c->shadow = 1;
    atomic_store(&c->v.exit_request, 0);
    x86_update_key(c);
    tap_ok(!atomic_load(&c->v.exit_request), "the shadow of STI holds it off");
    tap_ok(c->v.tb_flags & KEY_SHADOW, "... by a block of its own");
    c->shadow = 0;
    x86_update_key(c);
    tap_ok(atomic_load(&c->v.exit_request), "... its end asks for a poll");
    c->halted = true;
    tap_ok(x86_has_work(&c->v), "a halted processor has work");
    tap_ok(!x86_poll(&c->v) && acks == 1, "the interrupt is acknowledged");
    tap_ok(!c->halted && c->v.reg[X86_RIP] == 0x40 && c->seg[SEG_CS].sel == 0x50 &&
               !(c->eflags & FL_IF),
           "... and taken");
    is(fake_get(0x8000 - 6, 2), 0x100, "... returning behind HLT");

    c->eflags |= FL_IF;
    next_vector = -1;
    c->v.reg[X86_RIP] = 0x100;
    tap_ok(!x86_poll(&c->v) && c->v.reg[X86_RIP] == 0x100, "a spurious one is nothing");
    next_vector = 0x20;
    vcpu_request(&c->v, X86_REQ_NMI);
    acks = 0;
    tap_ok(!x86_poll(&c->v) && c->seg[SEG_CS].sel == 0x60 && !acks && c->nmi_blocked,
           "NMI comes before INTR");
    vcpu_request(&c->v, X86_REQ_NMI);
    x86_poll(&c->v);
    tap_ok(atomic_load(&c->v.irq_request) & X86_REQ_NMI, "... and blocks the next NMI");

    vcpu_clear_request(&c->v, ~0u);
    c->halted = true;
    tap_ok(x86_poll(&c->v) && atomic_load(&c->v.exit_request), "halted: leaves the loop");
    c->halted = false;
    vcpu_request(&c->v, X86_REQ_STOP);
    tap_ok(x86_poll(&c->v), "STOP leaves the loop");
    vcpu_clear_request(&c->v, X86_REQ_STOP);
    unsigned flushes = fake.flushes;
    vcpu_request(&c->v, X86_REQ_FLUSH);
    tap_ok(!x86_poll(&c->v) && fake.flushes == flushes + 1, "FLUSH flushes");
    vcpu_request(&c->v, X86_REQ_INIT);
    tap_ok(!x86_poll(&c->v) && c->v.reg[X86_RIP] == 0xfff0, "INIT starts over");
}

/* ---- SMM ---- */

static void smm_round(const char *model, uint16_t rev_low)
{
    c = fake_setup(model);
    fake.mem[VIEW_SMM] = calloc(1, FAKE_MEM);
    for (unsigned n = 0; n < 8; n++) {
        c->v.reg[n] = 0x11111111u * (n + 1);
    }
    c->v.reg[X86_RIP] = 0x12345;
    c->gdtr = (struct x86_dtr){0x4000, 0x7f};
    c->idtr = (struct x86_dtr){0x5000, 0x3ff};
    c->cr0 |= CR0_PE;
    flat(0xc09b);
    x86_set_seg(c, SEG_FS, 0x33, 0x12340, 0xfff, 0x40f3);
    c->tr = (struct x86_sysseg){.sel = 0x48, .attr = 0x8b, .limit = 0x67, .base = 0x7000};
    c->cr4 = CR4_PSE;
    x86_set_eflags(c, FL_CF | FL_DF | FL_IF | FL_IOPL, UINT32_MAX);
    if (rev_low == 0x64) {
        c->efer = EFER_NXE | EFER_SCE;
        c->v.reg[X86_R13] = UINT64_C(0x123456789abcdef0);
    }
    struct x86_cpu *was = malloc(sizeof *was);
    memcpy(was, c, sizeof *was);

    vcpu_request(&c->v, X86_REQ_SMI);
    tap_ok(!x86_poll(&c->v) && c->in_smm, "%s: SMI", model);
    tap_ok(c->v.reg[X86_RIP] == 0x8000 && c->v.reg[X86_CS_BASE] == 0x30000 &&
               c->seg[SEG_CS].sel == 0x3000 && !(c->cr0 & CR0_PE) && !c->efer && !c->cr4,
           "%s: the handler's state", model);
    is(c->v.tb_flags & (KEY_SMM | KEY_PE | KEY_FLAT_LIMITS), KEY_SMM | KEY_FLAT_LIMITS,
       "... its key");
    is(memory_view_load(NULL, VIEW_SMM, 0x3fefc, 4), 0x20000u | rev_low, "revision");
    is(fake_get(0x3fefc, 4), 0, "saved where only SMM sees it");
    is(memory_view_load(NULL, VIEW_SMM, rev_low ? 0x3ff00 : 0x3fef8, 4), 0x30000, "SMBASE slot");
    vcpu_request(&c->v, X86_REQ_SMI | X86_REQ_NMI | X86_REQ_INIT);
    tap_ok(!x86_poll(&c->v) && c->v.reg[X86_RIP] == 0x8000, "SMI, NMI and INIT wait");
    vcpu_clear_request(&c->v, ~0u);

    memory_view_store(NULL, VIEW_SMM, rev_low ? 0x3ff00 : 0x3fef8, 0xa0000, 4);
    for (unsigned n = 0; n < 16; n++) {
        c->v.reg[n] = 0x55;
    }
    is(FAKE_TRY(x86_rsm(c)), -1, "RSM");
    tap_ok(!c->in_smm && c->smbase == 0xa0000, "... with another SMBASE");
    bool same = !memcmp(c->seg, was->seg, sizeof c->seg) && c->cr0 == was->cr0 &&
                c->cr4 == was->cr4 && c->efer == was->efer && c->tr.base == was->tr.base &&
                c->tr.attr == was->tr.attr && c->gdtr.base == was->gdtr.base &&
                c->idtr.limit == was->idtr.limit && x86_get_eflags(c) == x86_get_eflags(was) &&
                !memcmp(c->v.reg, was->v.reg, (rev_low ? 17 : 8) * sizeof c->v.reg[0]) &&
                !memcmp(c->v.reg + X86_ES_BASE, was->v.reg + X86_ES_BASE, 6 * 8);
    tap_ok(same && c->v.tb_flags == was->v.tb_flags, "%s: the state is back", model);
    is(FAKE_TRY(x86_rsm(c)), EXC_UD, "RSM outside of SMM");
    free(was);
}

/* ---- extended state ---- */

enum { AREA = 0x10000 };

static void fill_fpu(void)
{
    c->fp_cw = 0x27f;
    c->fp_sw = 0x4123;
    c->fp_top = 5;
    c->fp_tag_empty = 0x1f;
    c->fp_op = 0x123;
    c->fp_ip = UINT64_C(0x7fff12345678);
    c->fp_dp = UINT64_C(0x7fff87654321);
    for (unsigned n = 0; n < 8; n++) {
        c->fpr[n].mant = UINT64_C(0x8000000000000000) + n;
        c->fpr[n].se = (uint16_t)(0x3fff + n);
    }
    for (unsigned n = 0; n < 16; n++) {
        for (unsigned q = 0; q < 4; q++) {
            c->v.vec[n].q[q] = UINT64_C(0x0101010101010101) * (n * 4 + q + 1);
        }
    }
    x86_set_mxcsr(c, 0x9fc1);
}

static void set_long(void)
{
    c->efer |= EFER_LMA; /* without paging: only the width matters */
    c->seg[SEG_CS].attr |= SEGA_L;
    c->cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
    x86_update_key(c);
}

static void clear_state(void)
{
    for (unsigned n = 0; n < 16; n++) {
        memset(&c->v.vec[n], 0xee, sizeof c->v.vec[n]);
    }
    memset(c->fpr, 0xee, sizeof c->fpr);
    c->fp_cw = c->fp_sw = c->fp_ip = c->fp_dp = c->fp_op = 0;
    c->fp_top = 0;
    c->fp_tag_empty = 0xff;
    x86_set_mxcsr(c, 0x1f80);
}

static bool same_fpu(const struct x86_cpu *a, const struct x86_cpu *b)
{
    for (unsigned n = 0; n < 8; n++) {
        if (a->fpr[n].mant != b->fpr[n].mant || a->fpr[n].se != b->fpr[n].se) {
            return false;
        }
    }
    return a->fp_cw == b->fp_cw && a->fp_sw == b->fp_sw && a->fp_top == b->fp_top &&
           a->fp_tag_empty == b->fp_tag_empty && a->fp_ip == b->fp_ip && a->fp_dp == b->fp_dp &&
           a->fp_op == b->fp_op;
}

static void fxsave(void)
{
    c = fake_setup("max");
    c->efer |= 0;
    set_long();
    c->cr0 |= CR0_PE;
    fill_fpu();
    struct x86_cpu *was = malloc(sizeof *was);
    memcpy(was, c, sizeof *was);
    c->efer &= ~(uint64_t)EFER_LMA; /* paging is off */
    is(FAKE_TRY(x86_fxsave(c, AREA + 8, true)), EXC_GP, "FXSAVE: alignment");
    c->efer |= EFER_LMA;
    is(FAKE_TRY(x86_fxsave(c, AREA, true)), -1, "FXSAVE");
    is(fake_get(AREA + 2, 2), 0x4123 | 5 << 11, "... status word with TOP");
    is(fake_get(AREA + 4, 1), 0xe0, "... abridged tags");
    is(fake_get(AREA + 32, 8), UINT64_C(0x8000000000000005), "... ST(0) comes first");
    is(fake_get(AREA + 24, 8), 0x9fc1 | UINT64_C(0xffff) << 32, "... MXCSR and its mask");
#ifdef __x86_64__
    static uint8_t image[512] __attribute__((aligned(64))), keep[512] __attribute__((aligned(64)));
    memset(image, 0, sizeof image);
    memcpy(image, fake.mem[0] + AREA, 512);
    __asm__ volatile("fxsave64 %0" : "=m"(keep));
    __asm__ volatile("fxrstor64 %1; fxsave64 %0; fxrstor64 %2"
                     : "=m"(image)
                     : "m"(image), "m"(keep)
                     : "memory");
    /* The host's own MXCSR mask may have more bits; software-available bytes end at 416. */
    memcpy(image + 28, fake.mem[0] + AREA + 28, 4);
    /* AMD's processors save FOP, FIP and FDP only while an exception is pending. */
    memcpy(image + 6, fake.mem[0] + AREA + 6, 18);
    tap_ok(!memcmp(image, fake.mem[0] + AREA, 416), "the host processor loads and saves the same");
#endif
    clear_state();
    is(FAKE_TRY(x86_fxrstor(c, AREA, true)), -1, "FXRSTOR");
    tap_ok(same_fpu(c, was) && x86_get_mxcsr(c) == 0x9fc1 &&
               c->v.vec[15].q[1] == was->v.vec[15].q[1],
           "... gives it all back");
    is(c->v.vec[15].q[2], UINT64_C(0xeeeeeeeeeeeeeeee), "... but not the upper halves");
    fake_put(AREA + 24, 0x10000, 4);
    clear_state();
    is(FAKE_TRY(x86_fxrstor(c, AREA, true)), EXC_GP, "FXRSTOR: reserved bit of MXCSR");
    tap_ok(!same_fpu(c, was), "... changes nothing");
    c->seg[SEG_CS].attr = 0xc09b;
    c->efer = 0;
    c->v.vec[8].q[0] = 1;
    c->v.vec[7].q[0] = 2;
    x86_fxsave(c, AREA, false);
    tap_ok(fake_get(AREA + 160 + 7 * 16, 8) == 2 && fake_get(AREA + 160 + 8 * 16, 8) != 1,
           "32-bit: eight registers");
    free(was);
}

static void xsave(void)
{
    struct x86_model *m;

    c = fake_setup("max");
    m = (struct x86_model *)c->model;
    m->feat[X86F_AVX >> 6] |= UINT64_C(1) << (X86F_AVX & 63);
    set_long();
    is(FAKE_TRY(x86_set_xcr0(c, 0, 6)), EXC_GP, "XCR0: x87 must be on");
    is(FAKE_TRY(x86_set_xcr0(c, 0, 5)), EXC_GP, "XCR0: AVX needs SSE");
    is(FAKE_TRY(x86_set_xcr0(c, 0, 0x107)), EXC_GP, "XCR0: unknown component");
    is(FAKE_TRY(x86_set_xcr0(c, 1, 7)), EXC_GP, "XCR1");
    is(FAKE_TRY(x86_set_xcr0(c, 0, 0x207)), -1, "XCR0");
    tap_ok(c->v.tb_flags & KEY_AVX, "... enables AVX in the key");
    fill_fpu();
    c->pkru = 0x55555554;
    struct x86_cpu *was = malloc(sizeof *was);
    memcpy(was, c, sizeof *was);
    c->v.reg[X86_RAX] = c->v.reg[X86_RDX] = UINT32_MAX;

    for (volatile unsigned kind = XSAVE_PLAIN; kind <= XSAVE_SUPERVISOR; kind++) {
        static const char *const names[] = {"XSAVE", "XSAVEOPT", "XSAVEC", "XSAVES"};
        memset(fake.mem[0] + AREA, 0, 4096);
        memcpy(c->v.vec, was->v.vec, sizeof c->v.vec);
        clear_state();
        memcpy(c->fpr, was->fpr, sizeof c->fpr);
        memcpy(c->v.vec, was->v.vec, sizeof c->v.vec);
        fill_fpu();
        c->pkru = was->pkru;
        is(FAKE_TRY(x86_xsave(c, AREA, true, (enum x86_xsave_kind)kind)), -1, names[kind]);
        is(fake_get(AREA + 512, 8), 0x207, "... XSTATE_BV");
        is(fake_get(AREA + 520, 8), kind >= XSAVE_COMPACT ? UINT64_C(0x8000000000000207) : 0,
           "... XCOMP_BV");
        uint64_t pkru_at = kind >= XSAVE_COMPACT ? 832 : 2688;
        is(fake_get(AREA + pkru_at, 8), 0x55555554, "... PKRU at its place");
        is(fake_get(AREA + 576, 8), was->v.vec[0].q[2], "... upper halves at theirs");
        clear_state();
        c->pkru = 0;
        is(FAKE_TRY(x86_xrstor(c, AREA, true, kind == XSAVE_SUPERVISOR)), -1, "... and back");
        tap_ok(same_fpu(c, was) && !memcmp(c->v.vec, was->v.vec, 16 * sizeof c->v.vec[0]) &&
                   c->pkru == was->pkru && x86_get_mxcsr(c) == 0x9fc1,
               "... all of it");
    }
    memset(fake.mem[0] + AREA, 0, 4096);
    x86_xsave(c, AREA, true, XSAVE_PLAIN);
    fake_put(AREA + 512, 1, 8);
    x86_xrstor(c, AREA, true, false);
    tap_ok(!c->v.vec[3].q[0] && !c->v.vec[3].q[2] && same_fpu(c, was) && !c->pkru &&
               x86_get_mxcsr(c) == 0x9fc1,
           "XRSTOR initializes what is not in XSTATE_BV");
    fake_put(AREA + 512, 8, 8);
    is(FAKE_TRY(x86_xrstor(c, AREA, true, false)), EXC_GP, "XRSTOR: XSTATE_BV beyond XCR0");
    fake_put(AREA + 512, 3, 8);
    fake_put(AREA + 528, 1, 8);
    is(FAKE_TRY(x86_xrstor(c, AREA, true, false)), EXC_GP, "XRSTOR: header must be zero");
    fake_put(AREA + 528, 0, 8);
    fake_put(AREA + 520, UINT64_C(0x8000000000000001), 8);
    is(FAKE_TRY(x86_xrstor(c, AREA, true, false)), EXC_GP, "XRSTOR: XSTATE_BV beyond XCOMP_BV");
    fake_put(AREA + 520, 0, 8);
    is(FAKE_TRY(x86_xrstor(c, AREA, true, true)), EXC_GP, "XRSTORS wants the compacted form");
    is(FAKE_TRY(x86_xrstor(c, AREA + 32, true, false)), EXC_GP, "XRSTOR: alignment");

    c->v.reg[X86_RAX] = 4;
    c->v.reg[X86_RDX] = 0;
    memset(fake.mem[0] + AREA, 0xcc, 4096);
    fake_put(AREA + 512, 3, 8);
    x86_xsave(c, AREA, true, XSAVE_OPT);
    tap_ok(fake_get(AREA + 512, 8) == 3 && fake_get(AREA, 8) == UINT64_C(0xcccccccccccccccc) &&
               fake_get(AREA + 576, 8) == UINT64_C(0xcccccccccccccccc),
           "XSAVEOPT leaves out what was not asked for or is initial");
    free(was);
}

int main(void)
{
    reset();
    control_registers();
    tsc();
    msrs();
    cpuid();
    models();
    debug();
    io();
    interrupts();
    smm_round("max", 0x64);
    smm_round("pentium3", 0);
    fxsave();
    xsave();
    return tap_done();
}
