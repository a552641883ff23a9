/* System instructions: control and debug registers, MSRs, flags that matter to interrupts, port
 * I/O, HLT, TLB invalidation, time, extended state, fences and hints (SDM Vol. 2). Privilege and
 * prefix rules that the opcode tables express are tested before these emitters are called.
 *
 * Whatever may change the mode (and so the key word), the fetch mapping or what can interrupt ends
 * the block. WBINVD and CLFLUSH do nothing: there are no caches. */
#include <sched.h>

#include "cpu/cpuid.h"
#include "cpu/system.h"
#include "cpu/translate.h"
#include "softmmu/tlb.h"

enum {
    READS_REGS = HELPER_READS,
    MAY_CHANGE = HELPER_RAISES | HELPER_READS | HELPER_WRITES, /* registers, flags, mode */
};

/* Calls with up to one argument and no result. */
static void call0(struct translator *t, const struct ir_helper *h)
{
    ir_call(t->ir, h, IR_NONE, IR_NONE, IR_NONE, IR_NONE, 0);
}

static void call1(struct translator *t, const struct ir_helper *h, ir_reg a, int64_t imm)
{
    ir_call(t->ir, h, IR_NONE, a, IR_NONE, IR_NONE, imm);
}

/* EDX:EAX = value. */
static void write_edx_eax(struct translator *t, ir_reg value)
{
    ir_un(t->ir, IR_EXT32U, W64, X86_RAX, value);
    ir_bini(t->ir, IR_SHR, W64, X86_RDX, value, 32);
}

static void emit_nothing(struct translator *t, const struct x86_insn *i)
{
    (void)t;
    (void)i;
}

static void emit_ud(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    emit_raise(t, EXC_UD);
}

/* ---- control registers ---- */

static uint64_t helper_write_cr(struct vcpu *v, uint64_t val, uint64_t n)
{
    struct x86_cpu *c = x86_cpu(v);

    switch (n) {
    case 0:
        x86_write_cr0(c, val);
        break;
    case 2:
        c->cr2 = val;
        break;
    case 3:
        x86_write_cr3(c, val);
        break;
    case 4:
        x86_write_cr4(c, val);
        break;
    default:
        x86_write_cr8(c, val);
        break;
    }
    return 0;
}
X86_HELPER(write_cr, 1, HELPER_IMM | HELPER_RAISES);

static uint64_t helper_read_cr8(struct vcpu *v)
{
    return x86_read_cr8(x86_cpu(v));
}
X86_HELPER(read_cr8, 0, 0);

static void emit_mov_cr(struct translator *t, const struct x86_insn *i)
{
    static const size_t offset[] = {
        offsetof(struct x86_cpu, cr0), 0,
        offsetof(struct x86_cpu, cr2), offsetof(struct x86_cpu, cr3),
        offsetof(struct x86_cpu, cr4),
    };
    bool write = i->op[0].kind == OP_CR;
    unsigned n = i->op[!write].reg, gpr = i->op[write].reg, size = t_code64(t) ? 8 : 4;

    if (n == 1 || (n > 4 && n != 8)) {
        emit_raise(t, EXC_UD);
        return;
    }
    if (write) {
        ir_reg val = (ir_reg)gpr;
        if (size == 4) {
            val = ir_temp(t->ir);
            ir_un(t->ir, IR_EXT32U, W64, val, (ir_reg)gpr);
        }
        call1(t, &h_write_cr, val, n);
        t->end_block = true;
        return;
    }
    ir_reg val = ir_temp(t->ir);
    if (n == 8) {
        ir_call(t->ir, &h_read_cr8, val, IR_NONE, IR_NONE, IR_NONE, 0);
    } else {
        ir_ldenv(t->ir, val, offset[n], MO_64);
    }
    gpr_write(t, gpr, size, false, val);
}

static uint64_t helper_read_dr(struct vcpu *v, uint64_t n)
{
    return x86_read_dr(x86_cpu(v), (unsigned)n);
}
X86_HELPER(read_dr, 0, HELPER_IMM | HELPER_RAISES);

static uint64_t helper_write_dr(struct vcpu *v, uint64_t val, uint64_t what)
{
    x86_write_dr(x86_cpu(v), what & 15, val, (unsigned)(what >> 4));
    return 0;
}
X86_HELPER(write_dr, 1, HELPER_IMM | HELPER_RAISES);

static void emit_mov_dr(struct translator *t, const struct x86_insn *i)
{
    bool write = i->op[0].kind == OP_DR;
    unsigned n = i->op[!write].reg, gpr = i->op[write].reg, size = t_code64(t) ? 8 : 4;

    if (write) {
        call1(t, &h_write_dr, (ir_reg)gpr, n | size << 4);
        t->end_block = true;
    } else {
        ir_reg val = ir_temp(t->ir);
        ir_call(t->ir, &h_read_dr, val, IR_NONE, IR_NONE, IR_NONE, n);
        gpr_write(t, gpr, size, false, val);
    }
}

static uint64_t helper_clts(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);

    c->cr0 &= ~(uint64_t)CR0_TS;
    x86_update_key(c);
    return 0;
}
X86_HELPER(clts, 0, 0);

static void emit_clts(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    call0(t, &h_clts);
    t->end_block = true;
}

static uint64_t helper_lmsw(struct vcpu *v, uint64_t val)
{
    struct x86_cpu *c = x86_cpu(v);
    uint64_t keep = c->cr0 & ~(uint64_t)(CR0_MP | CR0_EM | CR0_TS); /* PE can only be set */

    x86_write_cr0(c, keep | (val & (CR0_PE | CR0_MP | CR0_EM | CR0_TS)));
    return 0;
}
X86_HELPER(lmsw, 1, HELPER_RAISES);

static void emit_lmsw(struct translator *t, const struct x86_insn *i)
{
    call1(t, &h_lmsw, operand_load(t, i, 0), 0);
    t->end_block = true;
}

static void emit_smsw(struct translator *t, const struct x86_insn *i)
{
    ir_reg val;

    if (t->key & KEY_UMIP) {
        emit_raise_error(t, EXC_GP, 0);
        return;
    }
    val = ir_temp(t->ir);
    ir_ldenv(t->ir, val, offsetof(struct x86_cpu, cr0), MO_64);
    operand_store(t, i, 0, val);
}

/* ---- TLB ---- */

static uint64_t helper_invlpg(struct vcpu *v, uint64_t linear)
{
    tlb_flush_page(v, linear);
    return 0;
}
X86_HELPER(invlpg, 1, 0);

static void emit_invlpg(struct translator *t, const struct x86_insn *i)
{
    ir_reg lin = effective_address(t, i);

    /* No limit is checked; bases are 0 in 64-bit mode but for FS and GS. */
    if (!t_code64(t) || i->seg >= SEG_FS) {
        ir_bin(t->ir, IR_ADD, t_code64(t) ? W64 : W32, lin, lin, (ir_reg)(X86_ES_BASE + i->seg));
    }
    call1(t, &h_invlpg, lin, 0);
    t->end_block = true;
}

static uint64_t helper_invpcid(struct vcpu *v, uint64_t type, uint64_t lo, uint64_t hi)
{
    x86_invpcid(x86_cpu(v), type, lo, hi);
    return 0;
}
X86_HELPER(invpcid, 3, HELPER_RAISES);

static void emit_invpcid(struct translator *t, const struct x86_insn *i)
{
    ir_reg lin = mem_linear(t, i, 16, false), lo = ir_temp(t->ir), hi = ir_temp(t->ir);
    ir_reg type = i->op[0].reg;

    ir_ld(t->ir, W64, lo, lin, IR_NONE, MO_64, 0);
    ir_ld(t->ir, W64, hi, lin, IR_NONE, MO_64 | (t_code64(t) ? 0 : MO_A32), 8);
    if (!t_code64(t)) {
        type = ir_temp(t->ir);
        ir_un(t->ir, IR_EXT32U, W64, type, i->op[0].reg);
    }
    ir_call(t->ir, &h_invpcid, IR_NONE, type, lo, hi, 0);
    t->end_block = true;
}

/* A reference that only faults: CLFLUSH and its kin. */
static void emit_touch(struct translator *t, const struct x86_insn *i)
{
    struct mem_ref m = mem_ref(t, i, 1, false);

    mem_load(t, &m, MO_8);
}

/* ---- MSRs, CPUID, time ---- */

static uint64_t helper_rdmsr(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);
    uint64_t val = 0;

    if (!x86_rdmsr(c, (uint32_t)v->reg[X86_RCX], &val)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    return val;
}
X86_HELPER(rdmsr, 0, HELPER_RAISES | HELPER_READS);

static void emit_rdmsr(struct translator *t, const struct x86_insn *i)
{
    ir_reg val = ir_temp(t->ir);

    (void)i;
    ir_call(t->ir, &h_rdmsr, val, IR_NONE, IR_NONE, IR_NONE, 0);
    write_edx_eax(t, val);
}

static uint64_t helper_wrmsr(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);
    uint64_t val = (uint32_t)v->reg[X86_RAX] | v->reg[X86_RDX] << 32;

    if (!x86_wrmsr(c, (uint32_t)v->reg[X86_RCX], val)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    return 0;
}
X86_HELPER(wrmsr, 0, MAY_CHANGE);

static void emit_wrmsr(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    call0(t, &h_wrmsr);
    t->end_block = true;
}

static uint64_t helper_cpuid(struct vcpu *v)
{
    uint32_t out[4];

    x86_cpuid(x86_cpu(v), (uint32_t)v->reg[X86_RAX], (uint32_t)v->reg[X86_RCX], out);
    v->reg[X86_RAX] = out[0];
    v->reg[X86_RBX] = out[1];
    v->reg[X86_RCX] = out[2];
    v->reg[X86_RDX] = out[3];
    return 0;
}
X86_HELPER(cpuid, 0, HELPER_READS | HELPER_WRITES);

static void emit_cpuid(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    call0(t, &h_cpuid);
}

static uint64_t helper_rdtsc(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);

    if ((c->cr4 & CR4_TSD) && c->cpl) {
        x86_raise_error(c, EXC_GP, 0);
    }
    x86_run_late_timers(c);
    return x86_read_tsc(c);
}
X86_HELPER(rdtsc, 0, HELPER_RAISES);

static void emit_rdtsc(struct translator *t, const struct x86_insn *i)
{
    ir_reg val = ir_temp(t->ir);

    ir_call(t->ir, &h_rdtsc, val, IR_NONE, IR_NONE, IR_NONE, 0);
    write_edx_eax(t, val);
    if (i->mnemonic == MN_RDTSCP) {
        ir_ldenv(t->ir, X86_RCX, offsetof(struct x86_cpu, tsc_aux), MO_32);
    }
}

static void emit_rdpid(struct translator *t, const struct x86_insn *i)
{
    ir_reg val = ir_temp(t->ir);

    ir_ldenv(t->ir, val, offsetof(struct x86_cpu, tsc_aux), MO_32);
    gpr_write(t, i->op[0].reg, t_code64(t) ? 8 : 4, false, val);
}

/* There are no counters: every number is one too high, and without privilege it is #GP as well. */
static void emit_rdpmc(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    emit_raise_error(t, EXC_GP, 0);
}

/* ---- halting and hints ---- */

static uint64_t helper_hlt(struct vcpu *v)
{
    x86_cpu(v)->halted = true;
    atomic_store(&v->exit_request, 1);
    return 0;
}
X86_HELPER(hlt, 0, 0);

static void emit_hlt(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    call0(t, &h_hlt);
    t->end_block = true;
}

/* A loop that spins longer than a short critical section waits for another processor, which may
 * itself be waiting for this one's place on the host. */
static uint64_t helper_yield(struct vcpu *v)
{
    if (++x86_cpu(v)->pauses % 16 == 0) {
        sched_yield();
    }
    return 0;
}
X86_HELPER(yield, 0, 0);

static void emit_pause(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    if (t->cpu->v.machine->nvcpus > 1) {
        call0(t, &h_yield);
    }
}

static uint64_t helper_monitor(struct vcpu *v)
{
    if ((uint32_t)v->reg[X86_RCX]) { /* no extensions */
        x86_raise_error(x86_cpu(v), EXC_GP, 0);
    }
    return 0;
}
X86_HELPER(monitor, 0, HELPER_RAISES | HELPER_READS);

static uint64_t helper_monitor_line(struct vcpu *v, uint64_t linear, uint64_t ctx)
{
    x86_monitor(x86_cpu(v), linear, (unsigned)ctx);
    return 0;
}
X86_HELPER(monitor_line, 1, HELPER_IMM | HELPER_RAISES);

static void emit_monitor(struct translator *t, const struct x86_insn *i)
{
    ir_reg offset, lin, unused = ir_temp(t->ir);

    if (t_cpl(t)) {
        emit_raise(t, EXC_UD);
        return;
    }
    call0(t, &h_monitor);
    offset = ir_temp(t->ir);
    if (i->addrsize == 2) {
        ir_un(t->ir, IR_EXT16U, W64, offset, X86_RAX);
    } else {
        ir_mov(t->ir, width_of(i->addrsize), offset, X86_RAX);
    }
    lin = seg_linear(t, i->seg_override ? i->seg : SEG_DS, offset, 1, false);
    ir_ld(t->ir, W32, unused, lin, IR_NONE, MO_8, 0);
    ir_call(t->ir, &h_monitor_line, IR_NONE, lin, IR_NONE, IR_NONE, t->ir->ctx);
}

static uint64_t helper_mwait(struct vcpu *v)
{
    if ((uint32_t)v->reg[X86_RCX] > 1) {
        x86_raise_error(x86_cpu(v), EXC_GP, 0);
    }
    x86_mwait(x86_cpu(v), v->reg[X86_RCX] & 1);
    return 0;
}
X86_HELPER(mwait, 0, HELPER_RAISES | HELPER_READS);

static void emit_mwait(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    if (t_cpl(t)) {
        emit_raise(t, EXC_UD);
        return;
    }
    call0(t, &h_mwait);
    t->end_block = true;
}

static void emit_fence(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    ir_append(t->ir, IR_FENCE);
}

/* ---- interrupt flag, flags register ---- */

static unsigned key_iopl(const struct translator *t)
{
    return (unsigned)(t->key & KEY_IOPL) >> KEY_IOPL_SHIFT;
}

/* CLI and STI where IOPL does not allow them: the virtual flag of VME and PVI, or #GP. */
static bool virtual_if(struct x86_cpu *c)
{
    if (c->eflags & FL_VM) {
        return c->cr4 & CR4_VME;
    }
    return (c->cr4 & CR4_PVI) && c->cpl == 3;
}

static uint64_t helper_cli_low(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);

    if (!virtual_if(c)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    c->eflags &= ~(uint32_t)FL_VIF;
    return 0;
}
X86_HELPER(cli_low, 0, HELPER_RAISES);

static uint64_t helper_sti_low(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);

    if (!virtual_if(c) || (c->eflags & FL_VIP)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    c->eflags |= FL_VIF;
    return 0;
}
X86_HELPER(sti_low, 0, HELPER_RAISES);

static uint64_t helper_sti(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);

    if (!(c->eflags & FL_IF)) {
        c->eflags |= FL_IF;
        c->shadow = 1;
        x86_update_key(c);
    }
    return 0;
}
X86_HELPER(sti, 0, 0);

static bool iopl_allows(const struct translator *t)
{
    return !(t->key & KEY_PE) || t_cpl(t) <= key_iopl(t);
}

static void emit_cli(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    if (iopl_allows(t)) {
        ir_reg fl = ir_temp(t->ir);
        ir_ldenv(t->ir, fl, offsetof(struct x86_cpu, eflags), MO_32);
        ir_bini(t->ir, IR_AND, W32, fl, fl, ~FL_IF);
        ir_stenv(t->ir, fl, offsetof(struct x86_cpu, eflags), MO_32);
    } else {
        call0(t, &h_cli_low);
    }
}

static void emit_sti(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    if (iopl_allows(t)) {
        call0(t, &h_sti);
        t->end_block = true;
    } else {
        call0(t, &h_sti_low);
    }
}

static unsigned stack_size(const struct translator *t, const struct x86_insn *i)
{
    return t_code64(t) && i->opsize == 4 ? 8 : i->opsize;
}

/* PUSHF in virtual-8086 mode with IOPL below 3: VIF is seen as IF. */
static uint64_t helper_pushf_v86(struct vcpu *v, uint64_t size)
{
    struct x86_cpu *c = x86_cpu(v);
    uint32_t fl = x86_get_eflags(c);

    if (!(c->cr4 & CR4_VME) || size != 2) {
        x86_raise_error(c, EXC_GP, 0);
    }
    return (fl & ~(uint32_t)FL_IF) | FL_IOPL | (fl & FL_VIF ? FL_IF : 0);
}
X86_HELPER(pushf_v86, 0, HELPER_IMM | HELPER_RAISES | HELPER_READS);

static void emit_pushf(struct translator *t, const struct x86_insn *i)
{
    unsigned size = stack_size(t, i);
    struct ir *ir = t->ir;
    ir_reg fl;

    if ((t->key & KEY_VM) && key_iopl(t) < 3) {
        fl = ir_temp(ir);
        ir_call(ir, &h_pushf_v86, fl, IR_NONE, IR_NONE, IR_NONE, size);
    } else {
        ir_reg rest = ir_temp(ir), df = ir_temp(ir);
        fl = flags_all(t);
        ir_ldenv(ir, rest, offsetof(struct x86_cpu, eflags), MO_32);
        ir_bini(ir, IR_AND, W32, rest, rest, ~(FL_RF | FL_VM));
        ir_bin(ir, IR_OR, W32, rest, rest, fl);
        ir_bini(ir, IR_SHR, W64, df, X86_DF, 63); /* the direction's sign is DF */
        ir_bini(ir, IR_SHL, W32, df, df, 10);
        ir_bin(ir, IR_OR, W32, rest, rest, df);
        fl = rest;
    }
    stack_push(t, fl, size);
}

/* Which bits POPF may change, by mode and privilege; table 4-16 of Vol. 2. */
static uint64_t helper_popf(struct vcpu *v, uint64_t val, uint64_t size)
{
    struct x86_cpu *c = x86_cpu(v);
    uint32_t mask = FL_STATUS | FL_TF | FL_DF | FL_NT | FL_AC | FL_ID, fl = (uint32_t)val;
    unsigned iopl = (c->eflags & FL_IOPL) >> FL_IOPL_SHIFT;

    if (!(c->cr0 & CR0_PE) || (!(c->eflags & FL_VM) && c->cpl == 0)) {
        mask |= FL_IF | FL_IOPL;
    } else if (c->eflags & FL_VM) {
        if (iopl == 3) {
            mask |= FL_IF;
        } else {
            if (size != 2 || !(c->cr4 & CR4_VME) || (fl & FL_TF) ||
                ((fl & FL_IF) && (c->eflags & FL_VIP))) {
                x86_raise_error(c, EXC_GP, 0);
            }
            c->eflags = (c->eflags & ~(uint32_t)FL_VIF) | (fl & FL_IF ? FL_VIF : 0);
        }
    } else if (c->cpl <= iopl) {
        mask |= FL_IF;
    }
    if (size == 2) {
        mask &= 0xffff;
    }
    x86_set_eflags(c, fl & mask, mask | FL_RF);
    return 0;
}
X86_HELPER(popf, 1, HELPER_IMM | MAY_CHANGE);

static void emit_popf(struct translator *t, const struct x86_insn *i)
{
    unsigned size = stack_size(t, i);
    ir_reg val = stack_top(t, size);

    call1(t, &h_popf, val, size);
    stack_adjust(t, size);
    t->cc_kind = CC_UNKNOWN;
    t->end_block = true;
}

/* CLAC, STAC */
static uint64_t helper_set_ac(struct vcpu *v, uint64_t on)
{
    struct x86_cpu *c = x86_cpu(v);

    c->eflags = (c->eflags & ~(uint32_t)FL_AC) | (on ? FL_AC : 0);
    x86_update_key(c);
    return 0;
}
X86_HELPER(set_ac, 0, HELPER_IMM);

static void emit_clac_stac(struct translator *t, const struct x86_insn *i)
{
    if (t_cpl(t) || (t->key & KEY_VM)) {
        emit_raise(t, EXC_UD);
        return;
    }
    call1(t, &h_set_ac, IR_NONE, i->mnemonic == MN_STAC);
    t->end_block = true;
}

/* ---- port I/O ---- */

static uint64_t helper_in(struct vcpu *v, uint64_t port, uint64_t size)
{
    struct x86_cpu *c = x86_cpu(v);

    x86_check_io(c, (uint16_t)port, (unsigned)size);
    return x86_port_in(c, (uint16_t)port, (unsigned)size);
}
X86_HELPER(in, 1, HELPER_IMM | HELPER_RAISES);

static uint64_t helper_out(struct vcpu *v, uint64_t port, uint64_t val, uint64_t size)
{
    struct x86_cpu *c = x86_cpu(v);

    x86_check_io(c, (uint16_t)port, (unsigned)size);
    x86_port_out(c, (uint16_t)port, size == 4 ? (uint32_t)val : val & ((1u << 8 * size) - 1),
                 (unsigned)size);
    return 0;
}
X86_HELPER(out, 2, HELPER_IMM | HELPER_RAISES);

static ir_reg port_operand(struct translator *t, const struct x86_insn *i, unsigned n)
{
    ir_reg port = ir_temp(t->ir);

    if (i->op[n].kind == OP_IMM) {
        ir_movi(t->ir, port, i->imm & 0xff);
    } else {
        ir_un(t->ir, IR_EXT16U, W64, port, X86_RDX);
    }
    return port;
}

static void emit_in(struct translator *t, const struct x86_insn *i)
{
    unsigned size = i->op[0].size;
    ir_reg port = port_operand(t, i, 1), val = ir_temp(t->ir);

    ir_call(t->ir, &h_in, val, port, IR_NONE, IR_NONE, size);
    gpr_write(t, X86_RAX, size, false, val);
    t->end_block = t->key & KEY_IOBP;
}

static void emit_out(struct translator *t, const struct x86_insn *i)
{
    unsigned size = i->op[1].size;

    ir_call(t->ir, &h_out, IR_NONE, port_operand(t, i, 0), X86_RAX, IR_NONE, size);
    t->end_block = true; /* what it caused (an interrupt, A20, a bank switch) is seen at once */
}

/* ---- FS, GS bases ---- */

static void emit_swapgs(struct translator *t, const struct x86_insn *i)
{
    struct ir *ir = t->ir;
    ir_reg other = ir_temp(ir);

    (void)i;
    ir_ldenv(ir, other, offsetof(struct x86_cpu, kernel_gs_base), MO_64);
    ir_stenv(ir, X86_GS_BASE, offsetof(struct x86_cpu, kernel_gs_base), MO_64);
    ir_mov(ir, W64, X86_GS_BASE, other);
}

static uint64_t helper_canonical(struct vcpu *v, uint64_t address)
{
    if (!x86_canonical(x86_cpu(v), address)) {
        x86_raise_error(x86_cpu(v), EXC_GP, 0);
    }
    return 0;
}
X86_HELPER(canonical, 1, HELPER_RAISES);

static void emit_fsgsbase(struct translator *t, const struct x86_insn *i)
{
    ir_reg base =
        i->mnemonic == MN_RDFSBASE || i->mnemonic == MN_WRFSBASE ? X86_FS_BASE : X86_GS_BASE;
    enum ir_width w = width_of(i->op[0].size);
    ir_reg reg = i->op[0].reg;

    if (!(t->key & KEY_FSGSBASE) || !t_code64(t)) {
        emit_raise(t, EXC_UD);
    } else if (i->mnemonic == MN_RDFSBASE || i->mnemonic == MN_RDGSBASE) {
        ir_mov(t->ir, w, reg, base);
    } else {
        if (w == W64) {
            call1(t, &h_canonical, reg, 0);
        }
        ir_mov(t->ir, w, base, reg);
    }
}

/* ---- protection keys, XCR0 ---- */

static uint64_t helper_rdpkru(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);

    if (!(c->cr4 & CR4_PKE)) {
        x86_raise(c, EXC_UD);
    }
    if ((uint32_t)v->reg[X86_RCX]) {
        x86_raise_error(c, EXC_GP, 0);
    }
    return c->pkru;
}
X86_HELPER(rdpkru, 0, HELPER_RAISES | HELPER_READS);

static void emit_rdpkru(struct translator *t, const struct x86_insn *i)
{
    ir_reg val = ir_temp(t->ir);

    (void)i;
    ir_call(t->ir, &h_rdpkru, val, IR_NONE, IR_NONE, IR_NONE, 0);
    write_edx_eax(t, val);
}

static uint64_t helper_wrpkru(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);

    if (!(c->cr4 & CR4_PKE)) {
        x86_raise(c, EXC_UD);
    }
    if ((uint32_t)v->reg[X86_RCX] || (uint32_t)v->reg[X86_RDX]) {
        x86_raise_error(c, EXC_GP, 0);
    }
    x86_set_pkru(c, (uint32_t)v->reg[X86_RAX]);
    return 0;
}
X86_HELPER(wrpkru, 0, HELPER_RAISES | HELPER_READS);

static void emit_wrpkru(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    call0(t, &h_wrpkru);
}

static uint64_t helper_xgetbv(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);
    uint32_t n = (uint32_t)v->reg[X86_RCX];

    if (!(c->cr4 & CR4_OSXSAVE)) {
        x86_raise(c, EXC_UD);
    }
    if (n == 0) {
        return c->xcr0;
    }
    if (n == 1 && x86_model_has(c->model, X86F_XGETBV1)) {
        return c->xcr0 & x86_xinuse(c);
    }
    x86_raise_error(c, EXC_GP, 0);
}
X86_HELPER(xgetbv, 0, HELPER_RAISES | HELPER_READS | HELPER_VECTOR);

static void emit_xgetbv(struct translator *t, const struct x86_insn *i)
{
    ir_reg val = ir_temp(t->ir);

    (void)i;
    ir_call(t->ir, &h_xgetbv, val, IR_NONE, IR_NONE, IR_NONE, 0);
    write_edx_eax(t, val);
}

static uint64_t helper_xsetbv(struct vcpu *v)
{
    struct x86_cpu *c = x86_cpu(v);

    if (!(c->cr4 & CR4_OSXSAVE)) {
        x86_raise(c, EXC_UD);
    }
    if (c->cpl) {
        x86_raise_error(c, EXC_GP, 0);
    }
    x86_set_xcr0(c, (uint32_t)v->reg[X86_RCX], (uint32_t)v->reg[X86_RAX] | v->reg[X86_RDX] << 32);
    return 0;
}
X86_HELPER(xsetbv, 0, HELPER_RAISES | HELPER_READS);

static void emit_xsetbv(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    call0(t, &h_xsetbv);
    t->end_block = true;
}

/* ---- extended state ---- */

enum {
    AREA_REX_W = 1,
    AREA_KIND_SHIFT = 1,
    STATE_CALL = HELPER_RAISES | HELPER_READS | HELPER_VECTOR | HELPER_FPENV
};

static uint64_t helper_fxsave(struct vcpu *v, uint64_t linear, uint64_t how)
{
    x86_fxsave(x86_cpu(v), linear, how & AREA_REX_W);
    return 0;
}
X86_HELPER(fxsave, 1, HELPER_IMM | STATE_CALL);

static uint64_t helper_fxrstor(struct vcpu *v, uint64_t linear, uint64_t how)
{
    x86_fxrstor(x86_cpu(v), linear, how & AREA_REX_W);
    return 0;
}
X86_HELPER(fxrstor, 1, HELPER_IMM | STATE_CALL);

static uint64_t helper_xsave(struct vcpu *v, uint64_t linear, uint64_t how)
{
    x86_xsave(x86_cpu(v), linear, how & AREA_REX_W, (enum x86_xsave_kind)(how >> AREA_KIND_SHIFT));
    return 0;
}
X86_HELPER(xsave, 1, HELPER_IMM | STATE_CALL);

static uint64_t helper_xrstor(struct vcpu *v, uint64_t linear, uint64_t how)
{
    x86_xrstor(x86_cpu(v), linear, how & AREA_REX_W, how >> AREA_KIND_SHIFT == XSAVE_SUPERVISOR);
    return 0;
}
X86_HELPER(xrstor, 1, HELPER_IMM | STATE_CALL);

static uint64_t helper_need_osxsave(struct vcpu *v)
{
    if (!(x86_cpu(v)->cr4 & CR4_OSXSAVE)) {
        x86_raise(x86_cpu(v), EXC_UD);
    }
    return 0;
}
X86_HELPER(need_osxsave, 0, HELPER_RAISES);

static void emit_fxsave(struct translator *t, const struct x86_insn *i)
{
    const struct ir_helper *h = i->mnemonic == MN_FXSAVE ? &h_fxsave : &h_fxrstor;

    if (t->key & (KEY_EM | KEY_TS)) {
        emit_raise(t, EXC_NM);
        return;
    }
    call1(t, h, mem_linear(t, i, 512, h == &h_fxsave), i->rex_w ? AREA_REX_W : 0);
    if (h == &h_fxrstor) {
        t->end_block = true; /* MXCSR's masks are in the key */
    }
}

static void emit_xsave(struct translator *t, const struct x86_insn *i)
{
    static const struct {
        uint16_t mnemonic;
        uint8_t kind;
        bool restore;
    } forms[] = {
        {MN_XSAVE, XSAVE_PLAIN, false},    {MN_XSAVEOPT, XSAVE_OPT, false},
        {MN_XSAVEC, XSAVE_COMPACT, false}, {MN_XSAVES, XSAVE_SUPERVISOR, false},
        {MN_XRSTOR, XSAVE_PLAIN, true},    {MN_XRSTORS, XSAVE_SUPERVISOR, true},
    };
    unsigned n = 0;

    while (forms[n].mnemonic != i->mnemonic) {
        n++;
    }
    call0(t, &h_need_osxsave);
    if (t->key & KEY_TS) {
        emit_raise(t, EXC_NM);
        return;
    }
    if (forms[n].kind == XSAVE_SUPERVISOR && t_cpl(t)) {
        emit_raise_error(t, EXC_GP, 0);
        return;
    }
    call1(t, forms[n].restore ? &h_xrstor : &h_xsave, mem_linear(t, i, 576, !forms[n].restore),
          (i->rex_w ? AREA_REX_W : 0) | forms[n].kind << AREA_KIND_SHIFT);
    if (forms[n].restore) {
        t->end_block = true;
    }
}

/* ---- SMM ---- */

static uint64_t helper_rsm(struct vcpu *v)
{
    x86_rsm(x86_cpu(v));
    return 0;
}
X86_HELPER(rsm, 0, MAY_CHANGE);

static void emit_rsm(struct translator *t, const struct x86_insn *i)
{
    (void)i;
    call0(t, &h_rsm);
    ir_exit_loop(t->ir, 0, IR_KEEPPC);
    t->done = true;
}

const struct x86_emitter x86_emit_system[] = {
    {MN_MOV_CR, emit_mov_cr},
    {MN_MOV_DR, emit_mov_dr},
    {MN_CLTS, emit_clts},
    {MN_LMSW, emit_lmsw},
    {MN_SMSW, emit_smsw},
    {MN_INVLPG, emit_invlpg},
    {MN_INVPCID, emit_invpcid},
    {MN_INVD, emit_nothing},
    {MN_WBINVD, emit_nothing},
    {MN_RDMSR, emit_rdmsr},
    {MN_WRMSR, emit_wrmsr},
    {MN_CPUID, emit_cpuid},
    {MN_RDTSC, emit_rdtsc},
    {MN_RDTSCP, emit_rdtsc},
    {MN_RDPID, emit_rdpid},
    {MN_RDPMC, emit_rdpmc},
    {MN_HLT, emit_hlt},
    {MN_PAUSE, emit_pause},
    {MN_MONITOR, emit_monitor},
    {MN_MWAIT, emit_mwait},
    {MN_MFENCE, emit_fence},
    {MN_SFENCE, emit_fence},
    {MN_LFENCE, emit_nothing},
    {MN_NOP, emit_nothing},
    {MN_ENDBR, emit_nothing},
    {MN_PREFETCH, emit_nothing},
    {MN_PREFETCHW, emit_nothing},
    {MN_CLFLUSH, emit_touch},
    {MN_CLFLUSHOPT, emit_touch},
    {MN_CLWB, emit_touch},
    {MN_UD0, emit_ud},
    {MN_UD1, emit_ud},
    {MN_UD2, emit_ud},
    {MN_CLI, emit_cli},
    {MN_STI, emit_sti},
    {MN_PUSHF, emit_pushf},
    {MN_POPF, emit_popf},
    {MN_CLAC, emit_clac_stac},
    {MN_STAC, emit_clac_stac},
    {MN_IN, emit_in},
    {MN_OUT, emit_out},
    {MN_SWAPGS, emit_swapgs},
    {MN_RDFSBASE, emit_fsgsbase},
    {MN_RDGSBASE, emit_fsgsbase},
    {MN_WRFSBASE, emit_fsgsbase},
    {MN_WRGSBASE, emit_fsgsbase},
    {MN_RDPKRU, emit_rdpkru},
    {MN_WRPKRU, emit_wrpkru},
    {MN_XGETBV, emit_xgetbv},
    {MN_XSETBV, emit_xsetbv},
    {MN_FXSAVE, emit_fxsave},
    {MN_FXRSTOR, emit_fxsave},
    {MN_XSAVE, emit_xsave},
    {MN_XSAVEOPT, emit_xsave},
    {MN_XSAVEC, emit_xsave},
    {MN_XSAVES, emit_xsave},
    {MN_XRSTOR, emit_xsave},
    {MN_XRSTORS, emit_xsave},
    {MN_RSM, emit_rsm},
    {0, NULL},
};
