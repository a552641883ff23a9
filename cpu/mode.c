/* The processor as a whole: creation, reset, the key word of its mode, and the functions that the
 * translator and the software MMU know it by.
 *
 * From the SDM, Vol. 3 table 10-1 "IA-32 and Intel 64 Processor States Following Power-up, Reset,
 * or INIT", 10.1.4 (first instruction), and 6.8.3 (interrupt shadows). */
#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/decode.h"
#include "cpu/flags.h"
#include "cpu/isa.h"
#include "cpu/system.h"
#include "cpu/x87.h"
#include "softmmu/debug.h"
#include "softmmu/tlb.h"

/* ---- the key word ---- */

/* Writable data, expanding up, the whole 4 GiB: a reference needs no check. */
static bool seg_flat(const struct x86_seg *s)
{
    unsigned need = SEGA_P | SEGA_S | SEGA_RW, must_not = SEGA_CODE | SEGA_CE;

    return s->limit == UINT32_MAX && (s->attr & (need | must_not)) == need;
}

static uint64_t segment_key(const struct x86_cpu *c)
{
    const uint64_t *reg = c->v.reg;
    const struct x86_seg *s = c->seg;
    uint64_t key = 0;

    if (c->efer & EFER_LMA) {
        key |= KEY_LMA;
        if (s[SEG_CS].attr & SEGA_L) {
            return key | KEY_CS64 | KEY_CS_FLAT | KEY_CS_ZERO | KEY_ZERO_BASES | KEY_FLAT_LIMITS;
        }
    }
    if (s[SEG_CS].attr & SEGA_DB) {
        key |= KEY_CS32;
    }
    if (s[SEG_SS].attr & SEGA_DB) {
        key |= KEY_SS32;
    }
    if (!reg[X86_CS_BASE]) {
        key |= KEY_CS_ZERO;
    }
    if (s[SEG_CS].limit == UINT32_MAX) {
        key |= KEY_CS_FLAT;
    }
    if (!(reg[X86_DS_BASE] | reg[X86_ES_BASE] | reg[X86_SS_BASE])) {
        key |= KEY_ZERO_BASES;
    }
    if (seg_flat(&s[SEG_DS]) && seg_flat(&s[SEG_ES]) && seg_flat(&s[SEG_SS])) {
        key |= KEY_FLAT_LIMITS;
    }
    return key;
}

enum { DR7_ANY_ENABLE = 0xff };

static uint64_t debug_key(const struct x86_cpu *c)
{
    uint64_t key = 0;

    for (unsigned n = 0; n < 4; n++) {
        if (x86_dr7_enabled(c->dr[7], n)) {
            key |= x86_dr7_kind(c->dr[7], n) == DR7_EXEC ? KEY_BP : KEY_IOBP;
        }
    }
    return key;
}

void x86_update_key(struct x86_cpu *c)
{
    uint64_t key = segment_key(c);
    uint32_t cr0 = (uint32_t)c->cr0, cr4 = (uint32_t)c->cr4, fl = c->eflags;
    unsigned ctx = 0;

    if (cr0 & CR0_PE) {
        key |= KEY_PE;
        if (fl & FL_VM) {
            key |= KEY_VM;
        }
    }
    key |= (uint64_t)c->cpl << KEY_CPL_SHIFT;
    key |= (uint64_t)((fl & FL_IOPL) >> FL_IOPL_SHIFT) << KEY_IOPL_SHIFT;
    if (c->cpl == 3) {
        ctx = 1;
        if ((fl & FL_AC) && (cr0 & CR0_AM)) {
            key |= KEY_AC;
        }
        if (cr4 & CR4_UMIP) {
            key |= KEY_UMIP;
        }
    } else if ((fl & FL_AC) && (cr4 & CR4_SMAP)) {
        ctx = 2;
    }
    key |= (uint64_t)ctx << KEY_CTX_SHIFT;
    if (fl & FL_TF) {
        key |= KEY_TF;
    }
    if (fl & FL_RF) {
        key |= KEY_RF;
    }
    if (c->shadow) {
        key |= KEY_SHADOW;
    }
    if (cr0 & CR0_EM) {
        key |= KEY_EM;
    }
    if (cr0 & CR0_TS) {
        key |= KEY_TS;
    }
    if (cr0 & CR0_MP) {
        key |= KEY_MP;
    }
    if (cr4 & CR4_OSFXSR) {
        key |= KEY_OSFXSR;
    }
    if ((cr4 & CR4_OSXSAVE) && (c->xcr0 & 6) == 6) {
        key |= KEY_AVX;
    }
    if (cr4 & CR4_FSGSBASE) {
        key |= KEY_FSGSBASE;
    }
    if (c->v.fp.masks != FP_ALL) {
        key |= KEY_XMM_UNMASKED;
    }
    if (c->in_smm) {
        key |= KEY_SMM;
    }
    if (c->dr[7] & DR7_ANY_ENABLE) {
        key |= debug_key(c);
    }
    if ((c->v.tb_flags & KEY_X87_ODD) && x87_odd(c)) {
        key |= KEY_X87_ODD;
    }
    c->v.tb_flags = key;
    c->v.fetch_ctx = c->cpl == 3;
    if ((atomic_load_explicit(&c->v.irq_request, memory_order_relaxed) || c->pending_dr6) &&
        x86_can_take(c)) {
        atomic_store(&c->v.exit_request, 1);
    }
}

bool x86_can_take(struct x86_cpu *c)
{
    unsigned r = atomic_load(&c->v.irq_request);

    if (r & (X86_REQ_STOP | X86_REQ_FLUSH | X86_REQ_RESET)) {
        return true;
    }
    if (c->in_smm) {
        r &= ~(unsigned)X86_REQ_INIT; /* held until RSM */
    }
    if (r & X86_REQ_INIT) {
        return true;
    }
    if (c->wait_sipi || c->shutdown) {
        return c->wait_sipi && (r & X86_REQ_SIPI);
    }
    if (r & X86_REQ_SIPI) {
        return true; /* to be dropped */
    }
    if (c->shadow == 2) {
        return false;
    }
    return ((r & X86_REQ_SMI) && !c->in_smm && !c->smi_blocked) ||
           ((r & X86_REQ_NMI) && !c->nmi_blocked) || c->pending_dr6 ||
           ((r & X86_REQ_INTR) && (c->eflags & FL_IF) && !c->shadow);
}

/* ---- reset ---- */

enum { APIC_BASE_BSP = 1 << 8, APIC_BASE_ENABLE = 1 << 11 };

static void reset_fpu_and_msrs(struct x86_cpu *c)
{
    for (unsigned n = 0; n < 16; n++) {
        memset(&c->v.vec[n], 0, sizeof c->v.vec[n]);
    }
    x86_fpu_reset(c, false);
    x86_set_mxcsr(c, 0x1f80);
    c->xcr0 = 1;
    c->xss = 0;
    c->pkru = 0;
    x86_msr_reset(c);
    c->apic_base = UINT64_C(0xfee00000) | (c->v.index == 0 ? APIC_BASE_BSP : 0);
    if (x86_model_has(c->model, X86F_APIC)) {
        c->apic_base |= APIC_BASE_ENABLE;
    }
}

void x86_reset(struct x86_cpu *c, bool init)
{
    uint64_t kept_cr0 = init ? c->cr0 & (CR0_CD | CR0_NW) : CR0_CD | CR0_NW;
    const struct x86_model *m = c->model;

    log_at(x86_log(c), LOG_RESET, "cpu%u: %s at %04x:%llx\n", c->v.index, init ? "INIT" : "RESET",
           c->seg[SEG_CS].sel, (unsigned long long)c->v.reg[X86_RIP]);
    memset(c->v.reg, 0, 16 * sizeof c->v.reg[0]);
    c->v.reg[X86_RDX] = x86_model_signature(m);
    c->v.reg[X86_RIP] = 0xfff0;
    c->v.reg[TCG_REG_CC_OP] = CC_EFLAGS;
    c->v.reg[TCG_REG_CC_A] = c->v.reg[TCG_REG_CC_B] = c->v.reg[TCG_REG_CC_C] = 0;
    c->v.reg[X86_DF] = 1;
    c->eflags = 2;
    c->cpl = 0;

    for (unsigned s = 0; s < 6; s++) {
        x86_set_seg(c, s, 0, 0, 0xffff, SEGA_P | SEGA_S | SEGA_RW | SEGA_A);
    }
    x86_set_seg(c, SEG_CS, 0xf000, 0xffff0000, 0xffff,
                SEGA_P | SEGA_S | SEGA_CODE | SEGA_RW | SEGA_A);
    c->ldtr = (struct x86_sysseg){.attr = SEGA_P | DESC_LDT, .limit = 0xffff};
    c->tr = (struct x86_sysseg){.attr = SEGA_P | DESC_TSS32_BUSY, .limit = 0xffff};
    c->gdtr = c->idtr = (struct x86_dtr){.base = 0, .limit = 0xffff};

    c->cr0 = CR0_ET | kept_cr0;
    c->cr2 = c->cr3 = c->cr4 = 0;
    c->efer = 0;
    memset(c->pdpte, 0, sizeof c->pdpte);
    memset(c->dr, 0, sizeof c->dr);
    c->dr[6] = 0xffff0ff0;
    c->dr[7] = 0x400;
    x86_update_watches(c);

    c->halted = c->wait_sipi = c->shutdown = false;
    c->nmi_blocked = c->smi_blocked = false;
    c->shadow = 0;
    memset(&c->exc, 0, sizeof c->exc);
    c->pending_dr6 = 0;
    c->delivering = -1;
    c->phys_mask = UINT64_MAX >> (64 - m->phys_bits);
    if (c->in_smm) {
        c->in_smm = false;
        tlb_set_view(&c->v, VIEW_NORMAL);
        x86_smm_notify(c);
    }

    if (!init) {
        c->smbase = 0x30000;
        reset_fpu_and_msrs(c);
        vcpu_clear_request(&c->v, X86_REQ_NMI | X86_REQ_SMI | X86_REQ_SIPI);
    }
    vcpu_clear_request(&c->v, X86_REQ_INIT | X86_REQ_RESET);
    if (!(c->apic_base & APIC_BASE_BSP)) { /* application processors wait to be started */
        c->wait_sipi = c->halted = true;
    }
    x86_flush_space(c);
    x86_update_key(c);
    atomic_store(&c->v.exit_request, 1);
}

/* ---- creation ---- */

struct x86_cpu *x86_cpu_create(struct machine *m, const struct x86_model *model, unsigned index,
                               const struct x86_platform *platform, struct error *err)
{
    struct x86_cpu *c = aligned_alloc(64, (sizeof *c + 63) & ~(size_t)63);

    if (!c) {
        error_set(err, "no memory for processor %u", index);
        return NULL;
    }
    memset(c, 0, sizeof *c);
    c->v.ops = &x86_guest_ops;
    c->v.machine = m;
    c->v.index = index;
    c->model = model;
    c->platform = platform;
    c->apic_id = index;
    c->smp_cores = c->smp_threads = 1;
    c->a20_mask = UINT64_MAX;
    /* The first processor owns the tables that all share. */
    c->isa = m->nvcpus ? x86_cpu(m->vcpus[0])->isa : x86_isa_create();
    if (!machine_add_vcpu(m, &c->v, err)) {
        if (index == 0) {
            x86_isa_free(c->isa);
        }
        free(c);
        return NULL;
    }
    x86_reset(c, false);
    return c;
}

void x86_cpu_destroy(struct x86_cpu *c)
{
    if (!c) {
        return;
    }
    if (c->v.index == 0) {
        x86_isa_free(c->isa);
    }
    free(c);
}

/* ---- what the layers below call ---- */

static uint64_t linear_pc(struct vcpu *v)
{
    uint64_t pc = v->reg[X86_RIP];

    return v->tb_flags & KEY_CS64 ? pc : (uint32_t)(pc + v->reg[X86_CS_BASE]);
}

static void unaligned(struct vcpu *v, uint64_t va)
{
    (void)va;
    /* Only operands that demand alignment whatever EFLAGS.AC says are marked MO_ALIGN. */
    x86_raise_error(x86_cpu(v), EXC_GP, 0);
}

static bool near_noncanonical(const struct x86_cpu *c, uint64_t sp)
{
    return !x86_canonical(c, sp) || !x86_canonical(c, sp - 8) || !x86_canonical(c, sp + 7);
}

/* The instruction at rip made a non-canonical access: was it to the stack? Only faults come here.
 */
static bool stack_access_faulted(struct x86_cpu *c)
{
    uint8_t bytes[15];
    struct x86_insn insn;
    unsigned n = 15;
    uint64_t rip = linear_pc(&c->v), sp;

    while (n && !vcpu_read_virtual(&c->v, rip, bytes, n)) {
        n--;
    }
    if (x86_decode(bytes, n, x86_code64(c) ? X86_64 : X86_32, &insn) != X86_DECODE_OK) {
        return false;
    }
    for (unsigned k = 0; k < insn.nops; k++) {
        if (insn.op[k].kind == OP_MEM && insn.seg == SEG_SS) {
            return true;
        }
    }
    switch (insn.mnemonic) {
    case MN_LEAVE:
        sp = c->v.reg[X86_RBP];
        break;
    case MN_PUSH:
    case MN_POP:
    case MN_PUSH_SEG:
    case MN_POP_SEG:
    case MN_PUSHF:
    case MN_POPF:
    case MN_CALL:
    case MN_CALLF:
    case MN_RET:
    case MN_RETF:
    case MN_IRET:
    case MN_ENTER:
        sp = c->v.reg[X86_RSP];
        break;
    default:
        return false;
    }
    return near_noncanonical(c, sp) ||
           (insn.mnemonic == MN_ENTER && near_noncanonical(c, c->v.reg[X86_RBP]));
}

void x86_settle_vector(struct x86_cpu *c)
{
    if (c->exc.noncanonical) {
        c->exc.noncanonical = false;
        if (c->exc.vector == EXC_GP && c->delivering < 0 && stack_access_faulted(c)) {
            c->exc.vector = EXC_SS;
        }
    }
}

static void deliver(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);
    bool fault = c->exc.vector != EXC_DB && !c->exc.software;

    x86_settle_vector(c);
    if (fault) {
        debug_fault(v);
        c->pending_dr6 &= ~UINT64_C(0xf); /* the access was not made; it will be again */
    }
    c->halted = false; /* a trap after HLT */
    x86_deliver(v);
}

static unsigned code_bits(uint64_t key)
{
    return key & KEY_CS64 ? 64 : key & KEY_CS32 ? 32 : 16;
}

const struct guest_ops x86_guest_ops = {
    .linear_pc = linear_pc,
    .translate = x86_translate,
    .restore = x86_restore,
    .deliver = deliver,
    .poll = x86_poll,
    .has_work = x86_has_work,
    .walk = x86_walk,
    .unaligned = unaligned,
    .watch_hit = x86_watch_hit,
    .reg_name = x86_reg_name,
    .cc_name = x86_cc_name,
    .code_bits = code_bits,
    .fp80 = &x87_layout,
    .state = x86_lockstep_state,
    .flags = x86_lockstep_flags,
};
