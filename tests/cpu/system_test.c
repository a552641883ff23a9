/* System instructions through translator, executor and software MMU: what they do, and which
 * exception they raise in which mode. Bytes were assembled from the text beside them; what is
 * expected was worked out from the SDM, Vol. 2, by hand. */
#include "cpu/system.h"
#include "tests/cpu/sandbox.h"
#include "tests/unit/tap.h"

#define CODE(s) s, sizeof(s) - 1

static struct sandbox box;
static struct x86_cpu *c;
static uint64_t *r;

/* ---- an environment with real interrupts: poll is the processor's own ---- */

static bool real_poll(struct vcpu *v)
{
    return box.stop || x86_poll(v);
}

static void is(uint64_t got, uint64_t want, const char *what)
{
    if (!tap_ok(got == want, "%s", what)) {
        printf("# got %#llx, want %#llx\n", (unsigned long long)got, (unsigned long long)want);
    }
}

static void mode(enum sandbox_mode m)
{
    sandbox_mode(&box, m);
    c = box.c;
    r = c->v.reg;
}

static void user(unsigned iopl)
{
    c->cpl = 3;
    c->seg[SEG_CS].attr |= 3 << SEGA_DPL_SHIFT;
    c->seg[SEG_SS].attr |= 3 << SEGA_DPL_SHIFT;
    c->eflags = (c->eflags & ~(uint32_t)FL_IOPL) | iopl << FL_IOPL_SHIFT;
    x86_update_key(c);
}

/* Runs and expects an exception (or -1) at the instruction `at` bytes from the start. In user mode
 * the HLT at the end is #GP: end tells it from others. */
static void run(const char *what, int want, unsigned at, const char *code, size_t len)
{
    uint64_t start = c->v.reg[X86_CS_BASE] ? 0 : SANDBOX_CODE;
    int fault = sandbox_run(&box, code, len);
    bool user_end = c->cpl == 3 && fault == EXC_GP && r[X86_RIP] == start + len;

    if (user_end) {
        fault = -1;
    }
    bool ok = fault == want && (fault < 0 || r[X86_RIP] == start + at);
    if (!tap_ok(ok, "%s", what)) {
        printf("# exception %d error %x at %#llx, want %d at +%u\n", fault, box.error,
               (unsigned long long)r[X86_RIP], want, at);
    }
}

/* ---- flags ---- */

static void flags(void)
{
    mode(SANDBOX_LONG);
    c->eflags |= FL_RF; /* never seen by PUSHF */
    r[X86_RCX] = 0x3f7ed7;
    run("PUSHFQ, POPFQ", -1, 0,
        CODE(/* pushfq; pop rax; push rcx; popfq; pushfq; pop rdx; xor ebx,ebx; push rbx; popfq */
             "\x9c\x58\x51\x9d\x9c\x5a\x31\xdb\x53\x9d"));
    is(r[X86_RAX], 2, "PUSHF shows reserved bit 1, not RF");
    is(r[X86_RDX], 0x247ed7, "POPF at level 0: all but VM, VIF, VIP, RF");
}

static void flags_user(void)
{
    mode(SANDBOX_LONG);
    user(0);
    r[X86_RCX] = FL_IF | FL_IOPL | FL_CF | FL_ID;
    run("POPF at level 3", -1, 0, CODE(/* push rcx; popfq; pushfq; pop rax */ "\x51\x9d\x9c\x58"));
    is(r[X86_RAX], 2 | FL_CF | FL_ID, "... changes neither IF nor IOPL");
    mode(SANDBOX_LONG);
    user(3);
    r[X86_RCX] = FL_IF | FL_CF;
    run("POPF at level 3 with IOPL 3", -1, 0,
        CODE(/* push rcx; popfq; pushfq; pop rax */ "\x51\x9d\x9c\x58"));
    is(r[X86_RAX], 2 | FL_CF | FL_IF | FL_IOPL, "... changes IF, not IOPL");
    mode(SANDBOX_PROT32);
    r[X86_RCX] = 0xffffffff & ~(FL_TF | FL_VM | FL_NT);
    run("POPF with 16 bits", -1, 0,
        CODE(/* push ecx; popfw; pop dx; pushfd; pop eax; push dword 0; popfd */
             "\x51\x66\x9d\x66\x5a\x9c\x58\x6a\x00\x9d"));
    is(r[X86_RAX], 0xfed7 & ~(FL_NT | FL_TF) & 0x7fff, "... leaves the upper half");

    mode(SANDBOX_LONG);
    user(0);
    run("CLI without IOPL", EXC_GP, 1, CODE(/* nop; cli */ "\x90\xfa"));
    mode(SANDBOX_LONG);
    user(0);
    run("STI without IOPL", EXC_GP, 1, CODE(/* nop; sti */ "\x90\xfb"));
    mode(SANDBOX_LONG);
    user(3);
    run("STI with IOPL", -1, 0,
        CODE(/* sti; nop; pushfq; pop rax; cli; pushfq; pop rdx */ "\xfb\x90\x9c\x58\xfa\x9c\x5a"));
    tap_ok((r[X86_RAX] & FL_IF) && !(r[X86_RDX] & FL_IF), "... sets IF, CLI clears it");
    mode(SANDBOX_PROT32);
    user(0);
    c->cr4 |= CR4_PVI;
    run("STI with PVI", -1, 0,
        CODE(/* sti; pushfd; pop eax; cli; pushfd; pop edx */ "\xfb\x9c\x58\xfa\x9c\x5a"));
    tap_ok((r[X86_RAX] & FL_VIF) && !(r[X86_RAX] & FL_IF) && !(r[X86_RDX] & FL_VIF),
           "... sets VIF");
    mode(SANDBOX_PROT32);
    user(0);
    c->cr4 |= CR4_PVI;
    c->eflags |= FL_VIP;
    run("STI with PVI and VIP", EXC_GP, 0, CODE(/* sti */ "\xfb"));
}

static void v86(unsigned iopl, bool vme)
{
    mode(SANDBOX_V86);
    c->eflags &= ~(uint32_t)FL_IOPL;
    c->eflags |= iopl << FL_IOPL_SHIFT;
    if (vme) {
        c->cr4 |= CR4_VME;
    }
    x86_update_key(c);
}

static void flags_v86(void)
{
    v86(0, false);
    run("V86: PUSHF", EXC_GP, 0, CODE(/* pushf */ "\x9c"));
    v86(0, false);
    run("V86: POPF", EXC_GP, 0, CODE(/* popf */ "\x9d"));
    v86(0, false);
    run("V86: CLI", EXC_GP, 0, CODE(/* cli */ "\xfa"));
    v86(3, false);
    run("V86, IOPL 3: PUSHF, POPF, CLI, STI", -1, 0,
        CODE(/* pushf; popf; sti; nop; cli */ "\x9c\x9d\xfb\x90\xfa"));
    v86(0, true);
    c->eflags |= FL_IF;
    run("V86 with VME", -1, 0,
        CODE(/* pushf; pop ax; sti; pushf; pop bx; cli; pushf; pop cx; push bx; popf */
             "\x9c\x58\xfb\x9c\x5b\xfa\x9c\x59\x53\x9d"));
    is(r[X86_RAX] & (FL_IF | FL_IOPL), FL_IOPL, "... PUSHF shows VIF as IF, and IOPL 3");
    is(r[X86_RBX] & FL_IF, FL_IF, "... STI sets VIF");
    is(r[X86_RCX] & FL_IF, 0, "... CLI clears it");
    is(c->eflags & (FL_VIF | FL_IF | FL_IOPL), FL_VIF | FL_IF, "... POPF loads it");
    v86(0, true);
    run("V86 with VME: 32-bit PUSHF", EXC_GP, 0, CODE(/* pushfd */ "\x66\x9c"));
    v86(0, true);
    run("V86 with VME: POPF with TF", EXC_GP, 4,
        CODE(/* push 0x100; nop; popf */ "\x68\x00\x01\x90\x9d"));
    v86(0, true);
    c->eflags |= FL_VIP;
    run("V86 with VME: POPF with IF and VIP", EXC_GP, 4,
        CODE(/* push 0x200; nop; popf */ "\x68\x00\x02\x90\x9d"));
}

/* ---- control and debug registers ---- */

static void control(void)
{
    mode(SANDBOX_LONG);
    run("MOV from control registers", -1, 0,
        CODE(/* mov rax,cr0; mov rbx,cr3; mov rcx,cr4; mov rdx,cr2; mov rsi,cr8 */
             "\x0f\x20\xc0\x0f\x20\xdb\x0f\x20\xe1\x0f\x20\xd2\x44\x0f\x20\xc6"));
    tap_ok(r[X86_RAX] == c->cr0 && r[X86_RBX] == c->cr3 && r[X86_RCX] == c->cr4, "... gives them");
    mode(SANDBOX_LONG);
    run("MOV CR1", EXC_UD, 1, CODE(/* nop; db 0x0f,0x20,0xc8 */ "\x90\x0f\x20\xc8"));
    mode(SANDBOX_LONG);
    user(3);
    run("MOV CR0 at level 3", EXC_GP, 0, CODE(/* mov rax,cr0 */ "\x0f\x20\xc0"));
    mode(SANDBOX_LONG);
}

static void control_more(void)
{
    mode(SANDBOX_LONG);
    r[X86_RAX] = CR0_PG;
    run("MOV CR0: PG without PE", EXC_GP, 1, CODE(/* nop; mov cr0,rax */ "\x90\x0f\x22\xc0"));
    mode(SANDBOX_PROT32);
    r[X86_RAX] = 15;
    r[X86_RCX] = UINT64_C(0xffffffff00000000) | SANDBOX_DATA;
    run("LMSW, SMSW, CLTS", -1, 0,
        CODE(/* lmsw ax; smsw ebx; clts; smsw dx; smsw [ecx] */ "\x0f\x01\xf0\x0f\x01\xe3\x0f\x06"
                                                                "\x66\x0f\x01\xe2\x0f\x01\x21"));
    tap_ok(r[X86_RBX] == c->cr0 + CR0_TS && (r[X86_RDX] & 0xffff) == (c->cr0 & 0xffff) &&
               (c->cr0 & 7) == 7,
           "... set and show CR0");
    mode(SANDBOX_PROT32);
    run("LMSW cannot leave protected mode", -1, 0,
        CODE(/* xor eax,eax; lmsw ax */ "\x31\xc0\x0f\x01\xf0"));
    is(c->cr0 & CR0_PE, CR0_PE, "... PE stays");
    mode(SANDBOX_PROT32);
    user(0);
    c->cr4 |= CR4_UMIP;
    x86_update_key(c);
    run("SMSW with UMIP", EXC_GP, 0, CODE(/* smsw eax */ "\x0f\x01\xe0"));
    mode(SANDBOX_PROT32);
    user(0);
    run("SMSW without UMIP", -1, 0, CODE(/* smsw eax */ "\x0f\x01\xe0"));
    mode(SANDBOX_REAL);
    run("protected mode and back", -1, 0,
        CODE(/* mov eax,cr0; or al,1; mov cr0,eax; mov bx,1; and al,0xfe; mov cr0,eax; mov cx,2 */
             "\x0f\x20\xc0\x0c\x01\x0f\x22\xc0\xbb\x01\x00\x24\xfe\x0f\x22\xc0\xb9\x02\x00"));
    tap_ok(r[X86_RBX] == 1 && r[X86_RCX] == 2 && !(c->cr0 & CR0_PE), "... runs on in 16-bit code");

    mode(SANDBOX_LONG);
    r[X86_RAX] = 0x12345;
    run("debug registers", -1, 0,
        CODE(/* mov dr0,rax; mov dr3,rax; mov rbx,dr3; mov rcx,dr7; mov rdx,dr6; mov rsi,dr5 */
             "\x0f\x23\xc0\x0f\x23\xd8\x0f\x21\xdb\x0f\x21\xf9\x0f\x21\xf2\x0f\x21\xee"));
    tap_ok(r[X86_RBX] == 0x12345 && r[X86_RCX] == 0x400 && r[X86_RDX] == 0xffff0ff0 &&
               r[X86_RSI] == 0x400,
           "... give their values");
    mode(SANDBOX_LONG);
    c->cr4 |= CR4_DE;
    run("DR4 with CR4.DE", EXC_UD, 1, CODE(/* nop; mov rax,dr4 */ "\x90\x0f\x21\xe0"));
    mode(SANDBOX_LONG);
    c->dr[7] |= 1 << 13;
    run("general detect", EXC_DB, 1, CODE(/* nop; mov rax,dr0 */ "\x90\x0f\x21\xc0"));
    is(box.fault_dr6, 1 << 13, "... sets BD");
}

static void breakpoints(void)
{
    mode(SANDBOX_LONG);
    r[X86_RAX] = SANDBOX_CODE + 8;
    r[X86_RBX] = 0x408; /* G1, execution */
    run("instruction breakpoint", EXC_DB, 8,
        CODE(/* mov dr1,rax; mov dr7,rbx; inc edx; inc edx */ "\x0f\x23\xc8\x0f\x23\xfb\xff\xc2\xff"
                                                              "\xc2"));
    is(box.fault_dr6, 2, "... number 1");
    is(r[X86_RDX], 1, "... before its instruction");
    mode(SANDBOX_LONG);
    r[X86_RAX] = SANDBOX_DATA + 4;
    r[X86_RBX] = 0x400 | 1 | 0xd0000; /* L0, writes, 4 bytes */
    r[X86_RDI] = SANDBOX_DATA;
    box.ops.poll = real_poll;
    run("data breakpoint", EXC_DB, 17,
        CODE(/* mov dr0,rax; mov dr7,rbx; mov ecx,[rdi+4]; mov [rdi+3],dl; inc edx; mov [rdi+7],dl;
                inc edx */
             "\x0f\x23\xc0\x0f\x23\xfb\x8b\x4f\x04\x88\x57\x03\xff\xc2\x88\x57\x07\xff\xc2"));
    box.ops.poll = sandbox_poll;
    is(box.fault_dr6, 1, "... number 0");
    is(r[X86_RDX], 1, "... after its instruction, which touches the last byte");
    uint8_t b = 0;
    memory_read(box.m->memory, SANDBOX_DATA + 7, &b, 1);
    is(b, 1, "... which is done");
    c->dr[7] = 0x400;
    x86_update_watches(c);
    x86_update_key(c);
}

/* ---- MSRs, CPUID, time ---- */

static void msrs(void)
{
    mode(SANDBOX_LONG);
    run("WRMSR, RDMSR", -1, 0,
        CODE(/* mov ecx,0xc0000100; mov eax,0x20000; xor edx,edx; wrmsr; mov rbx,[fs:8]; rdmsr; mov
                rsi,rax */
             "\xb9\x00\x01\x00\xc0\xb8\x00\x00\x02\x00\x31\xd2\x0f\x30\x64\x48\x8b\x1c\x25\x08\x00"
             "\x00\x00\x0f\x32\x48\x89\xc6"));
    tap_ok(r[X86_RSI] == 0x20000 && r[X86_FS_BASE] == 0x20000, "... FS base");
    mode(SANDBOX_LONG);
    r[X86_RCX] = 0x12345678;
    run("RDMSR: unknown", EXC_GP, 1, CODE(/* nop; rdmsr */ "\x90\x0f\x32"));
    mode(SANDBOX_LONG);
    user(3);
    run("WRMSR at level 3", EXC_GP, 0, CODE(/* wrmsr */ "\x0f\x30"));
    mode(SANDBOX_LONG);
    c->tsc_aux = 77;
    c->tsc_offset = INT64_C(0x123456789);
    run("RDTSC, RDTSCP, RDPID", -1, 0,
        CODE(/* rdtsc; mov ebx,edx; rdtscp; mov esi,ecx; rdpid rdi */ "\x0f\x31\x89\xd3\x0f\x01\xf9"
                                                                      "\x89\xce\xf3\x0f\xc7\xff"));
    tap_ok(r[X86_RBX] == 1 && r[X86_RDX] == 1 && r[X86_RSI] == 77 && r[X86_RDI] == 77,
           "... give TSC and TSC_AUX");
    mode(SANDBOX_LONG);
    user(0);
    c->cr4 |= CR4_TSD;
    run("RDTSC with TSD", EXC_GP, 0, CODE(/* rdtsc */ "\x0f\x31"));
    mode(SANDBOX_LONG);
    run("RDPMC", EXC_GP, 0, CODE(/* rdpmc */ "\x0f\x33"));
    mode(SANDBOX_LONG);
    r[X86_RAX] = UINT64_C(0xffffffff00000000);
    run("CPUID", -1, 0, CODE(/* cpuid */ "\x0f\xa2"));
    is(r[X86_RBX], 0x756e6547, "... Genu");
    is(r[X86_RAX], 0x1f, "... upper halves are cleared");
}

/* ---- TLB ---- */

static void tlb(void)
{
    mode(SANDBOX_LONG);
    r[X86_RDI] = 0x20000;
    r[X86_RSI] = 0x5000 + 8 * 0x20;
    sandbox_put64(&box, 0x30000, 0x1122);
    run("INVLPG", -1, 0,
        CODE(/* mov rax,[rdi]; mov qword [rsi],0x30007; invlpg [rdi]; mov rbx,[rdi] */
             "\x48\x8b\x07\x48\xc7\x06\x07\x00\x03\x00\x0f\x01\x3f\x48\x8b\x1f"));
    is(r[X86_RBX], 0x1122, "... the new mapping is seen");
    mode(SANDBOX_LONG);
    r[X86_RDI] = 0x20000;
    r[X86_RSI] = 0x5000 + 8 * 0x20;
    sandbox_put64(&box, 0x30000, 0x3344);
    run("MOV CR3", -1, 0,
        CODE(/* mov rax,[rdi]; mov qword [rsi],0x30007; mov rax,cr3; mov cr3,rax; mov rbx,[rdi] */
             "\x48\x8b\x07\x48\xc7\x06\x07\x00\x03\x00\x0f\x20\xd8\x0f\x22\xd8\x48\x8b\x1f"));
    is(r[X86_RBX], 0x3344, "... the new mapping is seen");
    mode(SANDBOX_LONG);
    r[X86_RDI] = 0x20000;
    r[X86_RSI] = 0x5000 + 8 * 0x20;
    r[X86_RDX] = 2;
    sandbox_put64(&box, 0x30000, 0x5566);
    run("INVPCID", -1, 0,
        CODE(/* mov rax,[rdi]; mov qword [rsi],0x30007; invpcid rdx,[rsp-16]; mov rbx,[rdi] */
             "\x48\x8b\x07\x48\xc7\x06\x07\x00\x03\x00\x66\x48\x0f\x38\x82\x54\x24\xf0\x48\x8b"
             "\x1f"));
    is(r[X86_RBX], 0x5566, "... the new mapping is seen");
    mode(SANDBOX_LONG);
    r[X86_RDX] = 7;
    run("INVPCID: type 7", EXC_GP, 1,
        CODE(/* nop; invpcid rdx,[rsp-16] */ "\x90\x66\x48\x0f\x38\x82\x54\x24\xf0"));
    mode(SANDBOX_LONG);
    user(0);
    run("INVLPG at level 3", EXC_GP, 0, CODE(/* invlpg [rax] */ "\x0f\x01\x38"));
    mode(SANDBOX_LONG);
    run("WBINVD, INVD", -1, 0, CODE(/* wbinvd; invd */ "\x0f\x09\x0f\x08"));
}

/* ---- FS, GS, keys, AC ---- */

static void bases(void)
{
    mode(SANDBOX_LONG);
    c->cr4 |= CR4_FSGSBASE;
    c->kernel_gs_base = 0x20008;
    r[X86_GS_BASE] = 0x20000;
    r[X86_RAX] = UINT64_C(0xffff800000000000);
    r[X86_RCX] = UINT64_C(0xffffffff12345678);
    run("SWAPGS, RDGSBASE, WRFSBASE", -1, 0,
        CODE(/* swapgs; rdgsbase rbx; wrfsbase rax; rdfsbase rdx; wrfsbase ecx; rdfsbase rsi;
                rdfsbase edi */
             "\x0f\x01\xf8\xf3\x48\x0f\xae\xcb\xf3\x48\x0f\xae\xd0\xf3\x48\x0f\xae\xc2\xf3\x0f\xae"
             "\xd1\xf3\x48\x0f\xae\xc6\xf3\x0f\xae\xc7"));
    tap_ok(r[X86_RBX] == 0x20008 && c->kernel_gs_base == 0x20000, "... swap");
    tap_ok(r[X86_RDX] == UINT64_C(0xffff800000000000) && r[X86_RSI] == 0x12345678 &&
               r[X86_RDI] == 0x12345678,
           "... read and write in both sizes");
    mode(SANDBOX_LONG);
    c->cr4 |= CR4_FSGSBASE;
    r[X86_RAX] = UINT64_C(1) << 50;
    run("WRFSBASE: not canonical", EXC_GP, 1,
        CODE(/* nop; wrfsbase rax */ "\x90\xf3\x48\x0f\xae\xd0"));
    mode(SANDBOX_LONG);
    run("RDFSBASE without CR4.FSGSBASE", EXC_UD, 1,
        CODE(/* nop; rdfsbase rax */ "\x90\xf3\x48\x0f\xae\xc0"));
    mode(SANDBOX_LONG);
    user(0);
    run("SWAPGS at level 3", EXC_GP, 0, CODE(/* swapgs */ "\x0f\x01\xf8"));

    mode(SANDBOX_LONG);
    c->cr4 |= CR4_SMAP;
    tlb_flush_all(&c->v);
    for (uint64_t n = 0; n < 0x60; n++) { /* all but the data page belong to the supervisor */
        sandbox_put64(&box, 0x5000 + 8 * n, n << 12 | (n == 0x20 ? 7 : 3));
    }
    r[X86_RDI] = SANDBOX_DATA;
    run("SMAP: STAC opens", EXC_PF, 11,
        CODE(/* stac; mov rax,[rdi]; clac; nop; nop; mov rbx,[rdi] */
             "\x0f\x01\xcb\x48\x8b\x07\x0f\x01\xca\x90\x90\x48\x8b\x1f"));
    is(box.error, 1, "... and CLAC closes");
    mode(SANDBOX_LONG);
    user(0);
    run("STAC at level 3", EXC_UD, 0, CODE(/* stac */ "\x0f\x01\xcb"));

    mode(SANDBOX_LONG);
    run("RDPKRU without CR4.PKE", EXC_UD, 1, CODE(/* nop; rdpkru */ "\x90\x0f\x01\xee"));
    mode(SANDBOX_LONG);
    c->cr4 |= CR4_PKE;
    run("RDPKRU, WRPKRU", -1, 0,
        CODE(/* xor ecx,ecx; xor edx,edx; mov eax,0x1234; wrpkru; not edx; rdpkru */
             "\x31\xc9\x31\xd2\xb8\x34\x12\x00\x00\x0f\x01\xef\xf7\xd2\x0f\x01\xee"));
    tap_ok(r[X86_RAX] == 0x1234 && r[X86_RDX] == 0, "... read and write");
    x86_set_pkru(c, 0);
}

/* ---- extended state ---- */

static void extended(void)
{
    mode(SANDBOX_LONG);
    r[X86_RDI] = SANDBOX_DATA;
    c->v.vec[3].q[0] = 0x1234;
    run("FXSAVE, FXRSTOR", -1, 0,
        CODE(/* fxsave64 [rdi]; fxrstor64 [rdi]; fxsave [rdi+512] */
             "\x48\x0f\xae\x07\x48\x0f\xae\x0f\x0f\xae\x87\x00\x02\x00\x00"));
    uint8_t b[8] = {0};
    memory_read(box.m->memory, SANDBOX_DATA + 160 + 48, b, 2);
    tap_ok(b[0] == 0x34 && b[1] == 0x12 && c->v.vec[3].q[0] == 0x1234, "... XMM3");
    mode(SANDBOX_LONG);
    c->cr0 |= CR0_TS;
    r[X86_RDI] = SANDBOX_DATA;
    run("FXSAVE with TS", EXC_NM, 1, CODE(/* nop; fxsave [rdi] */ "\x90\x0f\xae\x07"));
    mode(SANDBOX_LONG);
    r[X86_RDI] = SANDBOX_DATA + 8;
    run("FXSAVE: alignment", EXC_GP, 1, CODE(/* nop; fxsave [rdi] */ "\x90\x0f\xae\x07"));
    mode(SANDBOX_LONG);
    c->xcr0 = 3;
    r[X86_RDI] = SANDBOX_DATA;
    r[X86_RAX] = r[X86_RDX] = UINT32_MAX;
    c->v.vec[9].q[1] = 0x77;
    run("XSAVE, XSAVEC", -1, 0,
        CODE(/* xsave [rdi]; xsavec64 [rdi+0x1000] */ "\x0f\xae\x27\x48\x0f\xc7\xa7\x00\x10\x00"
                                                      "\x00"));
    c->v.vec[9].q[1] = 0;
    run("XRSTOR, XSAVEOPT", -1, 0,
        CODE(/* xrstor64 [rdi+0x1000]; xsaveopt [rdi]; xrstor [rdi] */
             "\x48\x0f\xae\xaf\x00\x10\x00\x00\x0f\xae\x37\x0f\xae\x2f"));
    is(c->v.vec[9].q[1], 0x77, "... XMM9");
    mode(SANDBOX_LONG);
    c->cr4 &= ~(uint64_t)CR4_OSXSAVE;
    run("XSAVE without OSXSAVE", EXC_UD, 1, CODE(/* nop; xsave [rdi] */ "\x90\x0f\xae\x27"));
    mode(SANDBOX_LONG);
    c->xcr0 = 3;
    run("XGETBV, XSETBV", -1, 0,
        CODE(/* xor ecx,ecx; xgetbv; mov ebx,eax; mov eax,1; xsetbv; xgetbv */
             "\x31\xc9\x0f\x01\xd0\x89\xc3\xb8\x01\x00\x00\x00\x0f\x01\xd1\x0f\x01\xd0"));
    tap_ok(r[X86_RBX] == 3 && r[X86_RAX] == 1 && c->xcr0 == 1, "... read and write");
    mode(SANDBOX_LONG);
    user(0);
    run("XSETBV at level 3", EXC_GP, 0, CODE(/* xsetbv */ "\x0f\x01\xd1"));
}

/* ---- hints, undefined, halting ---- */

static void hints(void)
{
    mode(SANDBOX_LONG);
    r[X86_RDI] = UINT64_C(0x123456789000);
    run("hints do not touch memory", -1, 0,
        CODE(/* prefetcht0 [rdi]; prefetchnta [rdi]; prefetchw [rdi]; nop dword [rdi]; endbr64;
                pause; mfence; lfence; sfence */
             "\x0f\x18\x0f\x0f\x18\x07\x0f\x0d\x0f\x0f\x1f\x07\xf3\x0f\x1e\xfa\xf3\x90\x0f\xae\xf0"
             "\x0f\xae\xe8\x0f\xae\xf8"));
    mode(SANDBOX_LONG);
    r[X86_RDI] = UINT64_C(0x123456789000);
    run("CLFLUSH does", EXC_PF, 1, CODE(/* nop; clflush [rdi] */ "\x90\x0f\xae\x3f"));
    mode(SANDBOX_LONG);
    r[X86_RDI] = SANDBOX_DATA;
    run("CLFLUSH, CLFLUSHOPT, CLWB", -1, 0,
        CODE(/* clflush [rdi]; clflushopt [rdi]; clwb [rdi] */ "\x0f\xae\x3f\x66\x0f\xae\x3f\x66"
                                                               "\x0f\xae\x37"));
    mode(SANDBOX_LONG);
    run("UD2", EXC_UD, 1, CODE(/* nop; ud2 */ "\x90\x0f\x0b"));
    mode(SANDBOX_LONG);
    run("UD1", EXC_UD, 1, CODE(/* nop; ud1 eax,[rax] */ "\x90\x0f\xb9\x00"));
    mode(SANDBOX_LONG);
    run("RSM outside of SMM", EXC_UD, 1, CODE(/* nop; rsm */ "\x90\x0f\xaa"));
    mode(SANDBOX_LONG);
    user(3);
    run("HLT at level 3", EXC_GP, 1, CODE(/* nop; hlt; nop */ "\x90\xf4\x90"));
    mode(SANDBOX_LONG);
    run("HLT", -1, 0, CODE(/* nop */ "\x90"));
    tap_ok(c->halted && r[X86_RIP] == SANDBOX_CODE + 2, "... halts behind itself");
}

/* ---- ports ---- */

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque;
    return 0x1122334455667788 >> (8 * offset) & (size == 4 ? UINT32_MAX : (1u << 8 * size) - 1);
}
static uint64_t written, written_at;
static unsigned written_size;
static void port_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)opaque;
    written = value;
    written_at = offset;
    written_size = size;
}
static const struct mmio_ops port_ops = {port_read, port_write, 1, 4};

static void ports(void)
{
    static struct mapping *map;

    mode(SANDBOX_LONG);
    map = ioport_map(box.m->memory, 0x80, 8, "test", &port_ops, NULL);
    tap_ok(map != NULL, "ports");
    r[X86_RAX] = UINT64_MAX;
    r[X86_RDX] = 0xabcd0082;
    run("IN", -1, 0,
        CODE(/* in al,0x80; mov rbx,rax; in ax,dx; mov rcx,rax; in eax,dx */
             "\xe4\x80\x48\x89\xc3\x66\xed\x48\x89\xc1\xed"));
    tap_ok(r[X86_RBX] == UINT64_C(0xffffffffffffff88) && r[X86_RCX] == UINT64_C(0xffffffffffff5566),
           "... 8 and 16 bits merge");
    is(r[X86_RAX], 0x33445566, "... 32 clear the upper half");
    mode(SANDBOX_LONG);
    r[X86_RAX] = 0x99aabbcc;
    r[X86_RDX] = 0x84;
    run("OUT", -1, 0, CODE(/* out dx,ax */ "\x66\xef"));
    tap_ok(written == 0xbbcc && written_at == 4 && written_size == 2, "... 16 bits");
    run("OUT", -1, 0, CODE(/* out 0x81,al */ "\xe6\x81"));
    tap_ok(written == 0xcc && written_at == 1 && written_size == 1, "... 8 bits");
    mode(SANDBOX_LONG);
    user(0);
    c->tr.limit = 0x67;
    sandbox_put64(&box, 96, UINT64_C(0xffff) << 48); /* no bitmap */
    run("IN without permission", EXC_GP, 1, CODE(/* nop; in al,0x80 */ "\x90\xe4\x80"));
}

/* ---- interrupts ---- */

static int vector;
static int ack(void *opaque, struct x86_cpu *cpu)
{
    (void)opaque;
    vcpu_clear_request(&cpu->v, X86_REQ_INTR);
    return vector;
}

static void interrupts(void)
{
    static const struct x86_platform platform = {.ack_interrupt = ack};

    mode(SANDBOX_REAL);
    box.ops.poll = real_poll;
    box.ops.deliver = x86_guest_ops.deliver;
    c->platform = &platform;
    sandbox_put64(&box, 0x20 * 4, (uint64_t)SANDBOX_CODE << 12 | 0x800);      /* 1000:0800 */
    memory_write(box.m->memory, SANDBOX_CODE + 0x800, "\xba\x55\x00\xf4", 4); /* mov dx,0x55; hlt */
    vector = 0x20;
    vcpu_request(&c->v, X86_REQ_INTR);
    sandbox_run(&box, CODE(/* sti; inc bx; inc cx; inc bp */ "\xfb\x43\x41\x45"));
    tap_ok(r[X86_RDX] == 0x55 && r[X86_RBX] == 1 && r[X86_RCX] == 0,
           "STI lets one more instruction pass");
    uint8_t frame[6] = {0};
    memory_read(box.m->memory, SANDBOX_STACK - 16 - 6, frame, 6);
    tap_ok(frame[0] == 2 && frame[5] == 2, "... the return address follows it, IF is in the frame");

    mode(SANDBOX_REAL);
    sandbox_put64(&box, 0x20 * 4, (uint64_t)SANDBOX_CODE << 12 | 0x800);
    memory_write(box.m->memory, SANDBOX_CODE + 0x800, "\xba\x55\x00\xf4", 4);
    vcpu_request(&c->v, X86_REQ_INTR);
    sandbox_run(&box, CODE(/* sti; hlt; inc cx */ "\xfb\xf4\x41"));
    tap_ok(r[X86_RDX] == 0x55 && r[X86_RCX] == 0, "STI; HLT wakes for what is pending");
    memory_read(box.m->memory, SANDBOX_STACK - 16 - 6, frame, 6);
    is(frame[0], 2, "... and returns behind HLT");

    mode(SANDBOX_REAL);
    sandbox_put64(&box, 0x20 * 4, (uint64_t)SANDBOX_CODE << 12 | 0x800);
    memory_write(box.m->memory, SANDBOX_CODE + 0x800, "\xba\x55\x00\xf4", 4);
    c->eflags |= FL_IF;
    vcpu_request(&c->v, X86_REQ_INTR);
    sandbox_run(&box, CODE(/* cli; inc cx */ "\xfa\x41"));
    tap_ok(r[X86_RCX] == 0 && r[X86_RDX] == 0x55,
           "an enabled interrupt comes before the first instruction");

    mode(SANDBOX_REAL);
    vcpu_request(&c->v, X86_REQ_INTR);
    sandbox_run(&box, CODE(/* sti; cli; inc cx; inc cx */ "\xfb\xfa\x41\x41"));
    tap_ok(r[X86_RCX] == 2 && r[X86_RDX] == 0, "STI; CLI lets nothing in");
    vcpu_clear_request(&c->v, X86_REQ_INTR);

    mode(SANDBOX_REAL);
    sandbox_put64(&box, 4, (uint64_t)SANDBOX_CODE << 12 | 0x800);
    memory_write(box.m->memory, SANDBOX_CODE + 0x800, "\xba\x55\x00\xf4", 4);
    sandbox_run(&box, CODE(/* pushf; pop ax; or ah,1; push ax; popf; inc bx; inc cx */
                           "\x9c\x58\x80\xcc\x01\x50\x9d\x43\x41"));
    tap_ok(r[X86_RDX] == 0x55 && r[X86_RBX] == 1 && r[X86_RCX] == 0,
           "POPF of TF traps after the next instruction");

    mode(SANDBOX_REAL);
    /* mov edx,0x5a; mov dword [cs:0x9000],0x5678; rsm */
    memory_write(box.m->memory, 0x38000,
                 "\x66\xba\x5a\x00\x00\x00\x2e\x66\xc7\x06\x00\x90\x78\x56\x00\x00\x0f\xaa", 18);
    r[X86_RDX] = 1;
    vcpu_request(&c->v, X86_REQ_SMI);
    sandbox_run(&box, CODE(/* inc cx; inc cx */ "\x41\x41"));
    uint8_t mark[2] = {0};
    memory_read(box.m->memory, 0x39000, mark, 2);
    tap_ok(r[X86_RCX] == 2 && r[X86_RDX] == 1 && mark[0] == 0x78 && mark[1] == 0x56 && !c->in_smm,
           "SMI and RSM: the handler ran, the program does not know");
    box.ops.poll = sandbox_poll;
    box.ops.deliver = sandbox_deliver;
    c->platform = NULL;
}

int main(void)
{
    sandbox_create(&box, NULL, NULL);
    flags();
    flags_user();
    flags_v86();
    control();
    control_more();
    breakpoints();
    msrs();
    tlb();
    bases();
    extended();
    hints();
    ports();
    interrupts();
    sandbox_destroy(&box);
    return tap_done();
}
