/* Routines common to all generated code: entering and leaving it, calling C from it. Made once, in
 * front of the code cache. */
#ifdef __x86_64__
#include "tcg/x86_64/gen.h"

#include <cpuid.h>

static const uint8_t callee_saved[] = {RBP, RBX, R12, R13, R14, R15};

static void push(struct code *c, unsigned reg)
{
    if (reg & 8) {
        put8(c, 0x41);
    }
    put8(c, 0x50 | (reg & 7));
}

static void pop(struct code *c, unsigned reg)
{
    if (reg & 8) {
        put8(c, 0x41);
    }
    put8(c, 0x58 | (reg & 7));
}

static bool is_caller_saved(unsigned reg)
{
    return reg >= R8 && reg <= R11;
}

static void save_homes(struct code *c, bool all)
{
    for (ir_reg r = 0; r < NHOMES; r++) {
        if (all || is_caller_saved(x64_home[r])) {
            mov_mr(c, 1, slot_of(r), x64_home[r]);
        }
    }
}

static void load_homes(struct code *c, bool all)
{
    for (ir_reg r = 0; r < NHOMES; r++) {
        if (all || is_caller_saved(x64_home[r])) {
            mov_rm(c, 1, x64_home[r], slot_of(r));
        }
    }
}

/* uint64_t enter(struct vcpu *v, const void *code, struct tlb_entry *tlb) */
static void make_enter(struct code *c)
{
    for (unsigned i = 0; i < sizeof(callee_saved); i++) {
        push(c, callee_saved[i]);
    }
    alu_ri(c, ALU_SUB, 1, RSP, 8);
    lea(c, 1, HOST_VCPU, at(RDI, HOST_BIAS));
    load_homes(c, true);
    mov_rm(c, 1, HOST_PC, slot_of(TCG_REG_PC));
    mov_rr(c, 1, HOST_TLB, RDX);
    x_rr(c, 0xff, 4, RSI); /* jmp rsi */
}

static void make_leave(struct code *c, struct x64_thunks *th, ptrdiff_t delta)
{
    uint8_t *skip;

    th->leave_keep_pc = c->p + delta;
    alu_rr(c, ALU_XOR, 0, RAX, RAX);
    skip = jmp32(c);
    th->leave_none = c->p + delta;
    alu_rr(c, ALU_XOR, 0, RAX, RAX);
    th->leave = c->p + delta;
    mov_mr(c, 1, slot_of(TCG_REG_PC), HOST_PC);
    patch32(c, skip, c->p);
    save_homes(c, true);
    if (th->avx) {
        put8(c, 0xc5); /* vzeroupper */
        put8(c, 0xf8);
        put8(c, 0x77);
    }
    alu_ri(c, ALU_ADD, 1, RSP, 8);
    for (unsigned i = sizeof(callee_saved); i-- > 0;) {
        pop(c, callee_saved[i]);
    }
    put8(c, 0xc3);
}

/* edi: index of the function; its arguments behind the vcpu in rsi, rdx, rcx, rax. Result in rax.
 */
static void make_call(struct code *c, enum thunk_call kind, unsigned ctx)
{
    save_homes(c, kind != CALL_LIGHT);
    if (kind != CALL_LIGHT) {
        mov_mr(c, 1, slot_of(TCG_REG_PC), HOST_PC);
        mov_rm(c, 1, R11, at(RSP, 0));
        mov_mr(c, 1, env_at(offsetof(struct vcpu, host_pc)), R11);
    }
    mov_rr(c, 1, R8, RAX);
    mov_rm(c, 1, R11, env_at(offsetof(struct vcpu, helpers)));
    mov_rm(c, 1, R11, at_index(R11, RDI, 3, 0));
    lea(c, 1, RDI, at(HOST_VCPU, -HOST_BIAS));
    alu_ri(c, ALU_SUB, 1, RSP, 8);
    x_rr(c, 0xff, 2, R11); /* call r11 */
    alu_ri(c, ALU_ADD, 1, RSP, 8);
    load_homes(c, kind == CALL_WRITES);
    if (kind == CALL_WRITES) {
        mov_rm(c, 1, HOST_PC, slot_of(TCG_REG_PC));
    }
    mov_rm(c, 1, HOST_TLB, env_at(offsetof(struct vcpu, tlb) + ctx * sizeof(void *)));
    put8(c, 0xc3);
}

/* The function of a vector operation: see call_c() in vector.c. */
static void make_vop(struct code *c)
{
    save_homes(c, false);
    mov_rr(c, 1, R8, RAX);
    mov_rm(c, 1, R9, slot_of(REG_VA));
    mov_rm(c, 1, R11, env_at(offsetof(struct vcpu, helpers)));
    mov_rm(c, 1, R11, at_index(R11, RDI, 3, 0));
    lea(c, 1, RDI, env_at(offsetof(struct vcpu, fp)));
    x_rm(c, 0xff, 6, slot_of(REG_VALUE)); /* push */
    x_rr(c, 0xff, 2, R11);
    alu_ri(c, ALU_ADD, 1, RSP, 8);
    load_homes(c, false);
    put8(c, 0xc3);
}

static void find_features(struct x64_thunks *th)
{
    __builtin_cpu_init();
    th->intel = __builtin_cpu_is("intel");
    th->bmi1 = __builtin_cpu_supports("bmi");
    th->bmi2 = __builtin_cpu_supports("bmi2");
    th->avx = __builtin_cpu_supports("avx");
    th->avx2 = __builtin_cpu_supports("avx2");
    th->popcnt = __builtin_cpu_supports("popcnt");
    unsigned a, b, c, d;
    th->lzcnt = __get_cpuid(0x80000001, &a, &b, &c, &d) && (c >> 5 & 1);
    if (__get_cpuid(1, &a, &b, &c, &d) && th->avx) {
        th->pclmul = c >> 1 & 1;
        th->fma = c >> 12 & 1;
        th->aes = c >> 25 & 1;
        th->f16c = c >> 29 & 1;
    }
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && th->avx) {
        th->sha = b >> 29 & 1;
        th->gfni = c >> 8 & 1;
        th->vaes = c >> 9 & 1;
        th->vpclmul = c >> 10 & 1;
    }
}

bool x64_make_thunks(struct tcg *t, struct x64 *x, uint8_t *buf, size_t size)
{
    struct code code = {.p = buf, .end = buf + size}, *c = &code;
    struct x64_thunks *th = &x->th;

    find_features(th);
    th->enter = c->p + t->exec_delta;
    make_enter(c);
    make_leave(c, th, t->exec_delta);
    for (unsigned ctx = 0; ctx < TLB_NCTX; ctx++) {
        for (unsigned kind = 0; kind < NCALLS; kind++) {
            nops(c, (unsigned)(-(uintptr_t)c->p & 15));
            th->call[ctx][kind] = c->p + t->exec_delta;
            make_call(c, (enum thunk_call)kind, ctx);
        }
    }
    nops(c, (unsigned)(-(uintptr_t)c->p & 15));
    th->vop = c->p + t->exec_delta;
    make_vop(c);
    return !code.overflow;
}
#endif
