/* What the files of the processor's system side (mode, paging, control registers, MSRs, SMM, debug
 * registers, extended state) share with each other and with emit_system.c. */
#ifndef CPU_SYSTEM_H
#define CPU_SYSTEM_H

#include "cpu/segment.h"
#include "host/log.h"
#include "softmmu/state.h"

static inline struct log *x86_log(const struct x86_cpu *c)
{
    return c->v.machine ? c->v.machine->log : NULL;
}
static inline bool x86_paging(const struct x86_cpu *c)
{
    return c->cr0 & CR0_PG;
}

/* ---- mode.c ---- */
/* One of the pending requests, or a held debug trap, could be taken before the next instruction. */
bool x86_can_take(struct x86_cpu *c);

/* ---- state.c ---- */
extern const struct state_table x86_cpu_state;

/* ---- paging.c ---- */
bool x86_walk(struct vcpu *v, uint64_t va, enum access acc, unsigned ctx, bool probe,
              struct walk *out);
/* Loads the four PDPTEs that cr3 points to; raises #GP(0) for reserved bits. */
void x86_load_pdptes(struct x86_cpu *c, uint64_t cr3);

/* ---- control.c ---- */
void x86_write_efer(struct x86_cpu *c, uint64_t val); /* checks and raises */
void x86_write_tsc(struct x86_cpu *c, uint64_t val);
void x86_write_tsc_adjust(struct x86_cpu *c, uint64_t val);
uint64_t x86_read_cr8(struct x86_cpu *c);
void x86_write_cr8(struct x86_cpu *c, uint64_t val);
void x86_set_pkru(struct x86_cpu *c, uint32_t val);
/* INVPCID with its checks. */
void x86_invpcid(struct x86_cpu *c, uint64_t type, uint64_t pcid, uint64_t linear);
/* Makes the TLB follow CR0.PG, CR3 and CR4.PCIDE as they are, dropping everything. */
void x86_flush_space(struct x86_cpu *c);

/* ---- msr.c: false: #GP(0) ---- */
bool x86_rdmsr(struct x86_cpu *c, uint32_t msr, uint64_t *value);
bool x86_wrmsr(struct x86_cpu *c, uint32_t msr, uint64_t value);
void x86_msr_reset(struct x86_cpu *c); /* power-on values */

/* ---- smm.c ---- */
void x86_rsm(struct x86_cpu *c);        /* raises #UD outside SMM */
void x86_smm_notify(struct x86_cpu *c); /* tells the platform c->in_smm */

/* ---- debug.c ---- */
enum { DR7_EXEC, DR7_WRITE, DR7_IO, DR7_ACCESS };            /* R/W field of a breakpoint */
static inline bool x86_dr7_enabled(uint64_t dr7, unsigned n) /* locally or globally */
{
    return dr7 >> (2 * n) & 3;
}
static inline unsigned x86_dr7_kind(uint64_t dr7, unsigned n)
{
    return dr7 >> (16 + 4 * n) & 3;
}
uint64_t x86_read_dr(struct x86_cpu *c, unsigned n);
void x86_write_dr(struct x86_cpu *c, unsigned n, uint64_t val, unsigned size);
void x86_update_watches(struct x86_cpu *c); /* after a change of DR0-3 or DR7 */
void x86_watch_hit(struct vcpu *v, uint64_t va, unsigned size, enum access acc, void *tag);
void x86_check_io_breakpoint(struct x86_cpu *c, uint16_t port, unsigned size);

/* ---- xsave.c ---- */
uint64_t x86_xcr0_supported(const struct x86_model *m);
/* Size of the standard format area for components in mask, and place of one (0: not supported). */
uint32_t x86_xsave_size(uint64_t mask, bool compact);
bool x86_xsave_component(const struct x86_model *m, unsigned n, uint32_t *size, uint32_t *offset);
uint64_t x86_xinuse(const struct x86_cpu *c);
void x86_set_xcr0(struct x86_cpu *c, uint32_t index, uint64_t val); /* XSETBV; raises */
enum x86_xsave_kind { XSAVE_PLAIN, XSAVE_OPT, XSAVE_COMPACT, XSAVE_SUPERVISOR };
/* linear: of the area; the caller has checked that the instruction exists and #NM. */
void x86_fxsave(struct x86_cpu *c, uint64_t linear, bool rex_w);
void x86_fxrstor(struct x86_cpu *c, uint64_t linear, bool rex_w);
void x86_xsave(struct x86_cpu *c, uint64_t linear, bool rex_w, enum x86_xsave_kind kind);
void x86_xrstor(struct x86_cpu *c, uint64_t linear, bool rex_w, bool supervisor);

/* lockstep.c: for guest_ops */
extern const struct guest_state x86_lockstep_state[];
uint64_t x86_lockstep_flags(struct vcpu *v);

#endif
