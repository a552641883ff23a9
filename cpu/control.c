/* Control registers, EFER, the time-stamp counter and the A20 gate.
 *
 * From the SDM, Vol. 3 chapter 2.5 "Control Registers" and 5.1 "Paging Modes and Control Bits" with
 * the conditions for #GP of Vol. 2 "MOV - Move to/from Control Registers", 5.10.4 (what must be
 * flushed), 5.10.4.1 INVPCID, 19.17 (TSC). Left out: CET, user interrupts, the cache-disable bits'
 * effects. */
#include "cpu/cpuid.h"
#include "cpu/system.h"
#include "softmmu/tlb.h"

static void gp(struct x86_cpu *c)
{
    x86_raise_error(c, EXC_GP, 0);
}

static bool has(const struct x86_cpu *c, unsigned feature)
{
    return x86_model_has(c->model, feature);
}

static unsigned asid(const struct x86_cpu *c)
{
    return c->cr4 & CR4_PCIDE ? c->cr3 & 0xfff : 0;
}

void x86_flush_space(struct x86_cpu *c)
{
    tlb_flush_all(&c->v);
    tlb_switch(&c->v, asid(c), false);
}

/* ---- CR0 ---- */

#define CR0_KNOWN                                                                                  \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD |     \
     CR0_PG)

static void check_cr0(struct x86_cpu *c, uint64_t val)
{
    if (val >> 32 || ((val & CR0_PG) && !(val & CR0_PE)) || ((val & CR0_NW) && !(val & CR0_CD))) {
        gp(c);
    }
    if ((val & CR0_PG) && !(c->cr0 & CR0_PG) && (c->efer & EFER_LME)) {
        /* Entering IA-32e mode. */
        if (!(c->cr4 & CR4_PAE) || (c->seg[SEG_CS].attr & SEGA_L) ||
            x86_attr_systype(c->tr.attr) == DESC_TSS16_BUSY) {
            gp(c);
        }
    }
    if (!(val & CR0_PG) && (c->cr0 & CR0_PG) && (x86_code64(c) || (c->cr4 & CR4_PCIDE))) {
        gp(c);
    }
}

void x86_write_cr0(struct x86_cpu *c, uint64_t val)
{
    uint64_t old = c->cr0, changed;

    check_cr0(c, val);
    val = (val & CR0_KNOWN) | CR0_ET;
    changed = old ^ val;
    if ((val & CR0_PG) && (c->cr4 & CR4_PAE) && !(c->efer & EFER_LME) &&
        (changed & (CR0_PG | CR0_CD | CR0_NW))) {
        x86_load_pdptes(c, c->cr3);
    }
    c->cr0 = val;
    if (changed & CR0_PG) {
        c->efer &= ~(uint64_t)EFER_LMA;
        if ((val & CR0_PG) && (c->efer & EFER_LME)) {
            c->efer |= EFER_LMA;
        }
    }
    if (changed & (CR0_PG | CR0_PE | CR0_WP)) {
        tlb_flush_all(&c->v);
    }
    x86_update_key(c);
}

/* ---- CR3 ---- */

void x86_write_cr3(struct x86_cpu *c, uint64_t val)
{
    bool keep = false;

    if (c->efer & EFER_LMA) {
        if (c->cr4 & CR4_PCIDE) {
            keep = val >> 63;
            val &= ~(UINT64_C(1) << 63);
        }
        if (val & ~c->phys_mask) {
            gp(c);
        }
    } else {
        val = (uint32_t)val;
        if ((c->cr0 & CR0_PG) && (c->cr4 & CR4_PAE)) {
            x86_load_pdptes(c, val);
        }
    }
    c->cr3 = val;
    if (c->cr0 & CR0_PG) {
        tlb_switch(&c->v, asid(c), keep);
    }
}

/* ---- CR4 ---- */

static const struct {
    uint32_t bits;
    uint8_t feature;
} cr4_bits[] = {
    {CR4_VME | CR4_PVI, X86F_VME}, {CR4_TSD, X86F_TSC},    {CR4_DE, X86F_DE},
    {CR4_PSE, X86F_PSE},           {CR4_PAE, X86F_PAE},    {CR4_MCE, X86F_MCE},
    {CR4_PGE, X86F_PGE},           {CR4_PCE, X86F_MMX},    {CR4_OSFXSR, X86F_FXSR},
    {CR4_OSXMMEXCPT, X86F_SSE},    {CR4_UMIP, X86F_UMIP},  {CR4_LA57, X86F_LA57},
    {CR4_FSGSBASE, X86F_FSGSBASE}, {CR4_PCIDE, X86F_PCID}, {CR4_OSXSAVE, X86F_XSAVE},
    {CR4_SMEP, X86F_SMEP},         {CR4_SMAP, X86F_SMAP},  {CR4_PKE, X86F_PKU},
};

static uint64_t cr4_known(const struct x86_cpu *c)
{
    uint64_t known = 0;

    for (unsigned n = 0; n < sizeof cr4_bits / sizeof cr4_bits[0]; n++) {
        if (has(c, cr4_bits[n].feature)) {
            known |= cr4_bits[n].bits;
        }
    }
    return known;
}

void x86_write_cr4(struct x86_cpu *c, uint64_t val)
{
    uint64_t old = c->cr4, changed = old ^ val;

    if (val & ~cr4_known(c)) {
        gp(c);
    }
    if (c->efer & EFER_LMA) {
        if (!(val & CR4_PAE) || (changed & CR4_LA57)) {
            gp(c);
        }
        if ((changed & val & CR4_PCIDE) && (c->cr3 & 0xfff)) {
            gp(c);
        }
    } else if (val & CR4_PCIDE) {
        gp(c);
    } else if ((c->cr0 & CR0_PG) && (val & CR4_PAE) &&
               (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP))) {
        x86_load_pdptes(c, c->cr3);
    }
    c->cr4 = val;
    if (changed & CR4_PCIDE) {
        x86_flush_space(c);
    } else if (changed & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP | CR4_PKE | CR4_LA57)) {
        tlb_flush_all(&c->v);
    }
    x86_update_key(c);
}

/* ---- CR8 ---- */

uint64_t x86_read_cr8(struct x86_cpu *c)
{
    const struct x86_platform *p = c->platform;
    uint64_t val = 0;

    if (p && p->apic_tpr) {
        machine_lock(c->v.machine);
        val = p->apic_tpr(p->opaque, c);
        machine_unlock(c->v.machine);
    }
    return val;
}

void x86_write_cr8(struct x86_cpu *c, uint64_t val)
{
    const struct x86_platform *p = c->platform;

    if (val > 15) {
        gp(c);
    }
    if (p && p->apic_set_tpr) {
        machine_lock(c->v.machine);
        p->apic_set_tpr(p->opaque, c, val);
        machine_unlock(c->v.machine);
    }
}

/* ---- EFER ---- */

void x86_write_efer(struct x86_cpu *c, uint64_t val)
{
    uint64_t known = EFER_LMA, changed;

    if (has(c, X86F_SYSCALL)) {
        known |= EFER_SCE;
    }
    if (has(c, X86F_LM)) {
        known |= EFER_LME;
    }
    if (has(c, X86F_NX)) {
        known |= EFER_NXE;
    }
    if (has(c, X86F_FFXSR)) {
        known |= EFER_FFXSR;
    }
    val = (val & ~(uint64_t)EFER_LMA) | (c->efer & EFER_LMA); /* read only */
    changed = c->efer ^ val;
    if ((val & ~known) || ((changed & EFER_LME) && (c->cr0 & CR0_PG))) {
        gp(c);
    }
    c->efer = val;
    if (changed & EFER_NXE) {
        tlb_flush_all(&c->v);
    }
    x86_update_key(c);
}

/* ---- invalidation ---- */

void x86_invpcid(struct x86_cpu *c, uint64_t type, uint64_t pcid, uint64_t linear)
{
    if (type > 3 || (type < 2 && pcid >> 12) || (type < 2 && !(c->cr4 & CR4_PCIDE) && pcid) ||
        (type == 0 && !x86_canonical(c, linear))) {
        gp(c);
    }
    switch (type) {
    case 0: /* one address; global translations may stay */
        tlb_flush_page_asid(&c->v, (unsigned)pcid, linear);
        break;
    case 1: /* one space, but global translations */
        tlb_flush_asid(&c->v, (unsigned)pcid, true);
        break;
    case 2:  /* everything */
    default: /* everything but global translations; more than asked for is allowed */
        tlb_flush_all(&c->v);
        break;
    }
}

void x86_set_pkru(struct x86_cpu *c, uint32_t val)
{
    if (val != c->pkru) {
        c->pkru = val;
        if (c->cr4 & CR4_PKE) {
            tlb_flush_all(&c->v); /* rights are cached for every space */
        }
    }
}

/* ---- time ---- */

static uint64_t clock_to_ticks(int64_t ns)
{
    return clock_muldiv((uint64_t)ns, X86_TSC_HZ, UINT64_C(1000000000));
}

static uint64_t now_ticks(struct x86_cpu *c)
{
    return clock_to_ticks(clock_now(c->v.machine->clock));
}

void x86_run_late_timers(struct x86_cpu *c)
{
    struct machine *m = c->v.machine;

    if (m && m->clock && clock_is_late(m->clock) && machine_trylock(m)) {
        clock_run_timers(m->clock);
        machine_unlock(m);
    }
}

uint64_t x86_read_tsc(struct x86_cpu *c)
{
    return now_ticks(c) + (uint64_t)c->tsc_offset;
}

void x86_write_tsc(struct x86_cpu *c, uint64_t val)
{
    int64_t offset = (int64_t)(val - now_ticks(c));

    c->tsc_adjust += (uint64_t)offset - (uint64_t)c->tsc_offset;
    c->tsc_offset = offset;
}

void x86_write_tsc_adjust(struct x86_cpu *c, uint64_t val)
{
    c->tsc_offset = (int64_t)((uint64_t)c->tsc_offset + val - c->tsc_adjust);
    c->tsc_adjust = val;
}

int64_t x86_tsc_to_clock(struct x86_cpu *c, uint64_t tsc)
{
    uint64_t base = now_ticks(c), left = tsc - (base + (uint64_t)c->tsc_offset);
    unsigned __int128 ns;

    if ((int64_t)left <= 0) {
        /* Past, or so far in the future that it looks past: the counter's own value decides. */
        if (tsc <= base + (uint64_t)c->tsc_offset) {
            return clock_now(c->v.machine->clock);
        }
        return INT64_MAX;
    }
    ns = ((unsigned __int128)(base + left) * UINT64_C(1000000000) + X86_TSC_HZ - 1) / X86_TSC_HZ;
    return ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
}

/* ---- A20 ---- */

void x86_set_a20(struct x86_cpu *c, bool on)
{
    uint64_t mask = on ? UINT64_MAX : ~(UINT64_C(1) << 20);

    if (mask == c->a20_mask) {
        return;
    }
    c->a20_mask = mask;
    if (machine_current_vcpu(c->v.machine) == &c->v) {
        tlb_flush_all(&c->v);
    } else {
        tlb_request_flush(&c->v);
    }
}
