/* System management mode: the state save area and the two ways through it, SMI and RSM.
 *
 * From the SDM, Vol. 3 chapter 32 "System Management Mode" (execution environment, 32.4 register
 * values), and for the map of processors with long mode the AMD64 manual, Vol. 2 table 10-1
 * (revision 20064H); those without have the 32-bit map (revision 20000H). Both can relocate SMBASE.
 * Left out: I/O instruction restart (its slot reads as zero), halt restart to the HLT itself is
 * done, dual-monitor treatment. */
#include "cpu/cpuid.h"
#include "cpu/system.h"
#include "softmmu/tlb.h"

enum {
    SAVE_AREA = 0x8000, /* offsets below count from SMBASE + this */
    REVISION = 0x7efc,
    REV_32 = 0x20000,
    REV_64 = 0x20064,
};

/* Plain 64-bit fields of struct x86_cpu and where they go. */
struct slot {
    uint16_t at;
    uint8_t size;
    size_t offset;
};
#define SLOT(at, size, f)                                                                          \
    {                                                                                              \
        at, size, offsetof(struct x86_cpu, f)                                                      \
    }

static const struct slot slots_64[] = {
    SLOT(0x7ff8, 8, v.reg[X86_RAX]), SLOT(0x7ff0, 8, v.reg[X86_RCX]),
    SLOT(0x7fe8, 8, v.reg[X86_RDX]), SLOT(0x7fe0, 8, v.reg[X86_RBX]),
    SLOT(0x7fd8, 8, v.reg[X86_RSP]), SLOT(0x7fd0, 8, v.reg[X86_RBP]),
    SLOT(0x7fc8, 8, v.reg[X86_RSI]), SLOT(0x7fc0, 8, v.reg[X86_RDI]),
    SLOT(0x7fb8, 8, v.reg[X86_R8]),  SLOT(0x7fb0, 8, v.reg[X86_R9]),
    SLOT(0x7fa8, 8, v.reg[X86_R10]), SLOT(0x7fa0, 8, v.reg[X86_R11]),
    SLOT(0x7f98, 8, v.reg[X86_R12]), SLOT(0x7f90, 8, v.reg[X86_R13]),
    SLOT(0x7f88, 8, v.reg[X86_R14]), SLOT(0x7f80, 8, v.reg[X86_R15]),
    SLOT(0x7f78, 8, v.reg[X86_RIP]), SLOT(0x7f68, 8, dr[6]),
    SLOT(0x7f60, 8, dr[7]),          {0, 0, 0},
};

static const struct slot slots_32[] = {
    SLOT(0x7ff0, 4, v.reg[X86_RIP]), SLOT(0x7fec, 4, v.reg[X86_RDI]),
    SLOT(0x7fe8, 4, v.reg[X86_RSI]), SLOT(0x7fe4, 4, v.reg[X86_RBP]),
    SLOT(0x7fe0, 4, v.reg[X86_RSP]), SLOT(0x7fdc, 4, v.reg[X86_RBX]),
    SLOT(0x7fd8, 4, v.reg[X86_RDX]), SLOT(0x7fd4, 4, v.reg[X86_RCX]),
    SLOT(0x7fd0, 4, v.reg[X86_RAX]), SLOT(0x7fcc, 4, dr[6]),
    SLOT(0x7fc8, 4, dr[7]),          {0, 0, 0},
};

/* The map in use: offsets of everything that is not a plain field. */
struct smm_map {
    const struct slot *slots;
    uint32_t revision;
    uint16_t smbase, halt, eflags, cr0, cr3, cr4, efer;
    uint16_t gdt_base, gdt_limit, idt_base, idt_limit;
    bool wide;
};
static const struct smm_map map_64 = {
    slots_64, REV_64, 0x7f00, 0x7ec9, 0x7f70, 0x7f58, 0x7f50,
    0x7f48,   0x7ed0, 0x7e68, 0x7e64, 0x7e88, 0x7e84, true,
};
static const struct smm_map map_32 = {
    slots_32, REV_32, 0x7ef8, 0x7f02, 0x7ff4, 0x7ffc, 0x7ff8,
    0x7f14,   0,      0x7f74, 0x7f70, 0x7f58, 0x7f54, false,
};

static const struct smm_map *map_of(const struct x86_cpu *c)
{
    return x86_model_has(c->model, X86F_LM) ? &map_64 : &map_32;
}

static uint64_t get(struct x86_cpu *c, unsigned at, unsigned size)
{
    uint64_t phys = (uint32_t)(c->smbase + SAVE_AREA + at) & c->a20_mask;

    return memory_view_load(c->v.machine->memory, VIEW_SMM, phys, size);
}

static void put(struct x86_cpu *c, unsigned at, unsigned size, uint64_t value)
{
    uint64_t phys = (uint32_t)(c->smbase + SAVE_AREA + at) & c->a20_mask;

    memory_view_store(c->v.machine->memory, VIEW_SMM, phys, value, size);
}

/* ---- segments; n: 0..5 as in enum x86_segnum, then LDTR and TR ---- */

enum { SMM_LDTR = 6, SMM_TR = 7, SMM_NSEG = 8 };

struct flat_seg {
    uint64_t base;
    uint32_t limit;
    uint16_t sel, attr;
};

static struct flat_seg seg_of(const struct x86_cpu *c, unsigned n)
{
    if (n < 6) {
        return (struct flat_seg){c->v.reg[X86_ES_BASE + n], c->seg[n].limit, c->seg[n].sel,
                                 c->seg[n].attr};
    }
    const struct x86_sysseg *s = n == SMM_LDTR ? &c->ldtr : &c->tr;
    return (struct flat_seg){s->base, s->limit, s->sel, s->attr};
}

static void set_seg_of(struct x86_cpu *c, unsigned n, const struct flat_seg *f)
{
    if (n < 6) {
        x86_set_seg(c, n, f->sel, f->base, f->limit, f->attr);
    } else {
        *(n == SMM_LDTR ? &c->ldtr : &c->tr) =
            (struct x86_sysseg){.sel = f->sel, .attr = f->attr, .limit = f->limit, .base = f->base};
    }
}

static const uint16_t at_64[SMM_NSEG] = {0x7e00, 0x7e10, 0x7e20, 0x7e30,
                                         0x7e40, 0x7e50, 0x7e70, 0x7e90};
static const uint16_t at_32[SMM_NSEG] = {0x7f84, 0x7f90, 0x7f9c, 0x7f2c,
                                         0x7f38, 0x7f44, 0x7f78, 0x7f5c};
static const uint16_t sel_32[SMM_NSEG] = {0x7fa8, 0x7fac, 0x7fb0, 0x7fb4,
                                          0x7fb8, 0x7fbc, 0x7fc0, 0x7fc4};

/* In the 64-bit map attributes are packed into 12 bits. */
static void save_seg(struct x86_cpu *c, const struct smm_map *m, unsigned n)
{
    struct flat_seg f = seg_of(c, n);

    if (m->wide) {
        put(c, at_64[n], 2, f.sel);
        put(c, at_64[n] + 2, 2, (f.attr & 0xff) | (f.attr >> 12) << 8);
        put(c, at_64[n] + 4, 4, f.limit);
        put(c, at_64[n] + 8, 8, f.base);
    } else {
        put(c, sel_32[n], 4, f.sel);
        put(c, at_32[n], 4, f.attr);
        put(c, at_32[n] + 4, 4, f.limit);
        put(c, at_32[n] + 8, 4, f.base);
    }
}

static void load_seg(struct x86_cpu *c, const struct smm_map *m, unsigned n)
{
    struct flat_seg f;

    if (m->wide) {
        uint16_t attr = (uint16_t)get(c, at_64[n] + 2, 2);
        f.sel = (uint16_t)get(c, at_64[n], 2);
        f.attr = (uint16_t)((attr & 0xff) | (attr & 0xf00) << 4);
        f.limit = (uint32_t)get(c, at_64[n] + 4, 4);
        f.base = get(c, at_64[n] + 8, 8);
    } else {
        f.sel = (uint16_t)get(c, sel_32[n], 2);
        f.attr = (uint16_t)get(c, at_32[n], 2) & 0xf0ff;
        f.limit = (uint32_t)get(c, at_32[n] + 4, 4);
        f.base = get(c, at_32[n] + 8, 4);
    }
    set_seg_of(c, n, &f);
}

/* ---- in ---- */

void x86_smm_notify(struct x86_cpu *c)
{
    const struct x86_platform *p = c->platform;
    struct machine *m = c->v.machine;
    bool held;

    if (p && p->smm_changed) {
        held = machine_lock_held(m); /* a reset comes with it */
        if (!held) {
            machine_lock(m);
        }
        p->smm_changed(p->opaque, c, c->in_smm);
        if (!held) {
            machine_unlock(m);
        }
    }
}

static void save_state(struct x86_cpu *c, const struct smm_map *m)
{
    for (const struct slot *s = m->slots; s->size; s++) {
        put(c, s->at, s->size, *(uint64_t *)((char *)c + s->offset));
    }
    for (unsigned n = 0; n < SMM_NSEG; n++) {
        save_seg(c, m, n);
    }
    put(c, m->gdt_base, m->wide ? 8 : 4, c->gdtr.base);
    put(c, m->gdt_limit, 4, c->gdtr.limit);
    put(c, m->idt_base, m->wide ? 8 : 4, c->idtr.base);
    put(c, m->idt_limit, 4, c->idtr.limit);
    put(c, m->eflags, m->wide ? 8 : 4, x86_get_eflags(c));
    put(c, m->cr0, m->wide ? 8 : 4, c->cr0);
    put(c, m->cr3, m->wide ? 8 : 4, c->cr3);
    put(c, m->cr4, m->wide ? 8 : 4, c->cr4);
    if (m->wide) {
        put(c, m->efer, 8, c->efer);
        put(c, 0x7ec8, 1, 0); /* no I/O restart */
        put(c, 0x7eca, 1, c->nmi_blocked);
        put(c, 0x7ecb, 1, c->cpl);
    }
    put(c, m->halt, m->wide ? 1 : 2, c->halted);
    put(c, m->smbase, 4, c->smbase);
    put(c, REVISION, 4, m->revision);
}

void x86_enter_smm(struct x86_cpu *c)
{
    const struct smm_map *m = map_of(c);
    uint16_t attr = SEGA_P | SEGA_S | SEGA_RW | SEGA_A;

    log_at(x86_log(c), LOG_INT, "cpu%u: SMI at %04x:%llx, smbase %llx\n", c->v.index,
           c->seg[SEG_CS].sel, (unsigned long long)c->v.reg[X86_RIP],
           (unsigned long long)c->smbase);
    save_state(c, m);
    c->in_smm = true;
    c->nmi_blocked = true;
    c->halted = false;
    c->shadow = 0;
    c->cr0 &= ~(uint64_t)(CR0_PE | CR0_EM | CR0_TS | CR0_PG);
    c->cr4 = 0;
    c->efer = 0;
    c->dr[7] = 0x400;
    c->cpl = 0;
    for (unsigned s = 0; s < 6; s++) {
        x86_set_seg(c, s, 0, 0, UINT32_MAX, attr | SEGA_G);
    }
    x86_set_seg(c, SEG_CS, (uint16_t)(c->smbase >> 4), c->smbase, UINT32_MAX, attr | SEGA_G);
    c->v.reg[X86_RIP] = 0x8000;
    tlb_set_view(&c->v, VIEW_SMM);
    x86_flush_space(c);
    x86_update_watches(c);
    x86_set_eflags(c, 2, UINT32_MAX); /* and updates the key */
    x86_smm_notify(c);
}

/* ---- out ---- */

/* What the handler left must be a state that the processor can be in: else it shuts down. */
static bool valid_state(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    if ((cr0 & CR0_PG && !(cr0 & CR0_PE)) || (cr0 & CR0_NW && !(cr0 & CR0_CD)) || cr0 >> 32) {
        return false;
    }
    if (efer & EFER_LMA) {
        return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && (efer & EFER_LME);
    }
    return !(cr4 & CR4_PCIDE);
}

static void restore_state(struct x86_cpu *c, const struct smm_map *m)
{
    unsigned word = m->wide ? 8 : 4;
    uint64_t cr0 = get(c, m->cr0, word), cr3 = get(c, m->cr3, word), cr4 = get(c, m->cr4, word);
    uint64_t efer = m->wide ? get(c, m->efer, 8) : 0;
    uint32_t eflags = (uint32_t)get(c, m->eflags, 4);
    bool nmi_blocked = m->wide && (get(c, 0x7eca, 1) & 1);
    bool halt = get(c, m->halt, 1) & 1;

    if (!valid_state(cr0, cr4, efer)) {
        log_at(x86_log(c), LOG_GUEST_ERROR, "cpu%u: RSM to an invalid state: shutdown\n",
               c->v.index);
        c->shutdown = c->halted = true;
        machine_request(c->v.machine, REQUEST_RESET, "cpu%u: RSM to an invalid state", c->v.index);
        atomic_store(&c->v.exit_request, 1);
        return;
    }
    for (const struct slot *s = m->slots; s->size; s++) {
        *(uint64_t *)((char *)c + s->offset) = get(c, s->at, s->size);
    }
    for (unsigned n = 0; n < SMM_NSEG; n++) {
        load_seg(c, m, n);
    }
    c->gdtr.base = get(c, m->gdt_base, word);
    c->gdtr.limit = (uint16_t)get(c, m->gdt_limit, 4);
    c->idtr.base = get(c, m->idt_base, word);
    c->idtr.limit = (uint16_t)get(c, m->idt_limit, 4);
    if (get(c, REVISION, 4) & 0x20000) {
        c->smbase = (uint32_t)get(c, m->smbase, 4);
    }
    c->cr0 = cr0 | CR0_ET;
    c->cr3 = cr3 & c->phys_mask;
    c->cr4 = cr4;
    c->efer = efer;
    c->cpl = eflags & FL_VM ? 3 : !(cr0 & CR0_PE) ? 0 : (uint8_t)x86_attr_dpl(c->seg[SEG_SS].attr);
    c->nmi_blocked = nmi_blocked;
    c->halted = halt;
    x86_set_eflags(c, eflags, UINT32_MAX);
}

void x86_rsm(struct x86_cpu *c)
{
    if (!c->in_smm) {
        x86_raise(c, EXC_UD);
    }
    restore_state(c, map_of(c));
    c->in_smm = false;
    tlb_set_view(&c->v, VIEW_NORMAL);
    if ((c->cr0 & CR0_PG) && (c->cr4 & CR4_PAE) && !(c->efer & EFER_LMA)) {
        x86_load_pdptes(c, c->cr3);
    }
    x86_flush_space(c);
    x86_update_watches(c);
    x86_update_key(c);
    if (c->halted) {
        atomic_store(&c->v.exit_request, 1);
    }
    x86_smm_notify(c);
}
