/* The emulated side of the instruction tests, see emulated.h. */
#include "tests/cpu/emulated.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "cpu/cpuid.h"
#include "cpu/system.h"
#include "cpu/x86.h"
#include "softmmu/machine.h"
#include "softmmu/tlb.h"
#include "tcg/tcg.h"
#include "tests/cpu/accel.h"
#include "tests/cpu/generate.h"

enum {
    RAM_SIZE = 0x100000,
    PML4 = 0x1000,
    PDPT = 0x2000,
    PD = 0x3000,
    PT_CODE = 0x4000,
    PT_DATA = 0x5000,
    PDPT_HIGH = 0x6000,
    PD_HIGH = 0x7000,
    PT_HIGH = 0x8000,
    GDT = 0x9000, /* physical; and the LDT in its second half */
    LDT = GDT + 0x800,
    CODE = 0x10000,
    DATA = 0x20000,
    PTE_P = 1,
    PTE_W = 2,
    PTE_U = 4,
};
#define PTE_NX (UINT64_C(1) << 63)
#define GDT_AT UINT64_C(0xfffffe0000001000) /* where Linux has it: in the kernel's half */

struct emulated {
    struct machine *m;
    struct x86_model *model;
    struct x86_cpu *c;
    struct ram *ram;
    struct guest_ops ops;
    uint8_t image[NATIVE_DATA_SIZE];
    struct native_group g; /* the present code */
    struct x86_seg seg[6]; /* of its mode */
    struct native_result *r;
    bool no_ldt;
    volatile bool stop;
    volatile unsigned ticks;
};

static struct emulated *current; /* for the callbacks: one at a time */

/* Linux's IDT lets user mode call vectors 3, 4 and 80H only. */
static bool refused(const struct x86_cpu *c)
{
    unsigned vector = c->exc.vector;

    return c->exc.software && !c->exc.int1 && vector != EXC_BP && vector != EXC_OF &&
           vector != 0x80;
}

static void deliver(struct vcpu *v)
{
    struct emulated *e = current;
    struct x86_cpu *c = x86_cpu(v);

    x86_settle_vector(c);
    e->r->vector = c->exc.vector;
    e->r->error = c->exc.has_error ? c->exc.error : 0;
    e->r->cr2 = c->exc.vector == EXC_PF ? c->exc.cr2 : 0;
    e->r->rip = v->reg[X86_RIP] + (c->exc.software ? c->exc.insn_len : 0);
    if (refused(c)) {
        e->r->vector = EXC_GP;
        e->r->error = c->exc.vector * 8u + 2;
        e->r->rip = v->reg[X86_RIP];
    }
    e->stop = true;
    atomic_store(&v->exit_request, 1);
}

static bool poll_stop(struct vcpu *v)
{
    bool stop = current->stop;

    if (!stop) {
        atomic_store(&v->exit_request, 0);
    }
    return stop;
}

/* An endless sequence: two ticks within one case. */
static void on_alarm(int sig)
{
    struct emulated *e = current;

    (void)sig;
    if (e && e->r && ++e->ticks >= 2) {
        e->stop = true;
        atomic_store(&e->c->v.exit_request, 1);
    }
}

static void die(const char *what)
{
    fprintf(stderr, "emulated: %s\n", what);
    exit(99);
}

static void map(struct emulated *e, unsigned table, unsigned n, uint64_t entry)
{
    memory_write64(e->m->memory, table + 8 * (uint64_t)n, entry);
}

static void map_area(struct emulated *e, unsigned table, uint64_t phys, unsigned size,
                     uint64_t bits)
{
    for (unsigned n = 0; n < size >> 12; n++) {
        map(e, table, n, (phys + ((uint64_t)n << 12)) | bits);
    }
}

static uint64_t descriptor(uint32_t base, uint32_t limit, uint64_t attr)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | attr << 40 |
           (uint64_t)(limit & 0xf0000) << 32 | (uint64_t)(base >> 24) << 56;
}

static void put_descriptors(struct emulated *e)
{
    static const uint64_t gdt[16] = {
        0,
        UINT64_C(0x00cf9b000000ffff),
        UINT64_C(0x00af9b000000ffff),
        UINT64_C(0x00cf93000000ffff),
        UINT64_C(0x00cffb000000ffff),
        UINT64_C(0x00cff3000000ffff),
        UINT64_C(0x00affb000000ffff),
    };

    memcpy(e->ram->host + GDT, gdt, sizeof gdt);
    const uint64_t ldt[3] = {descriptor(NATIVE_CODE, NATIVE_CODE_SIZE - 1, 0xfb),
                             descriptor(NATIVE_DATA, 0xffff, 0xf3),
                             descriptor(NATIVE_DATA, NATIVE_ES_LIMIT, 0xf3)};
    memcpy(e->ram->host + LDT, ldt, sizeof ldt);
}

struct emulated *emulated_start(const char *accel, const char *cpu)
{
    struct emulated *e = calloc(1, sizeof *e);
    struct error err = {""};
    static uint8_t int3[NATIVE_CODE_SIZE];
    struct itimerval tick = {{0, 100000}, {0, 100000}};

    if (!e) {
        abort();
    }
    e->model = x86_model_parse(cpu ? cpu : "max", &err);
    e->m = e->model ? machine_create("native_test", RAM_SIZE, &err) : NULL;
    if (e->m) {
        e->m->tcg = accel_create(e->m, accel, 32 << 20, &err);
    }
    if (!e->m || !e->m->tcg) {
        die(err.msg);
    }
    e->ram = memory_ram_create(e->m->memory, "ram", RAM_SIZE, &err);
    if (!e->ram) {
        die(err.msg);
    }
    memory_map_ram(e->m->memory, IN_BOTH, 0, RAM_SIZE, e->ram, 0, false, 0);
    e->c = x86_cpu_create(e->m, e->model, 0, NULL, &err);
    if (!e->c || (!e->c->v.tcg_cpu && !tcg_attach(e->m->tcg, &e->c->v, &err))) {
        die(err.msg);
    }
    e->ops = *e->c->v.ops;
    e->ops.deliver = deliver;
    e->ops.poll = poll_stop;
    e->c->v.ops = &e->ops;

    map(e, PML4, 0, PDPT | PTE_P | PTE_W | PTE_U);
    map(e, PDPT, 0, PD | PTE_P | PTE_W | PTE_U);
    map(e, PD, NATIVE_CODE >> 21, PT_CODE | PTE_P | PTE_W | PTE_U);
    map(e, PD, NATIVE_DATA >> 21, PT_DATA | PTE_P | PTE_W | PTE_U);
    map_area(e, PT_CODE, CODE, NATIVE_CODE_SIZE, PTE_P | PTE_U);
    map_area(e, PT_DATA, DATA, NATIVE_DATA_SIZE, PTE_P | PTE_U | PTE_NX);
    map_area(e, PT_DATA, DATA, NATIVE_DATA_WRITABLE, PTE_P | PTE_W | PTE_U | PTE_NX);
    map(e, PML4, GDT_AT >> 39 & 511, PDPT_HIGH | PTE_P | PTE_W);
    map(e, PDPT_HIGH, GDT_AT >> 30 & 511, PD_HIGH | PTE_P | PTE_W);
    map(e, PD_HIGH, GDT_AT >> 21 & 511, PT_HIGH | PTE_P | PTE_W);
    map(e, PT_HIGH, GDT_AT >> 12 & 511, GDT | PTE_P | PTE_W);
    put_descriptors(e);
    native_image(e->image);
    memcpy(e->ram->host + DATA, e->image, sizeof e->image);
    memset(int3, 0xcc, sizeof int3);
    memory_write(e->m->memory, CODE, int3, sizeof int3);

    signal(SIGVTALRM, on_alarm);
    setitimer(ITIMER_VIRTUAL, &tick, NULL);
    return e;
}

void emulated_stop(struct emulated *e)
{
    struct itimerval none = {{0, 0}, {0, 0}};

    setitimer(ITIMER_VIRTUAL, &none, NULL);
    current = NULL;
    tcg_detach(&e->c->v);
    tcg_destroy(e->m->tcg);
    e->m->tcg = NULL;
    machine_destroy(e->m);
    x86_cpu_destroy(e->c);
    x86_model_free(e->model);
    free(e);
}

/* User mode as Linux sets it up. */
static void set_mode(struct emulated *e, unsigned bits)
{
    struct x86_cpu *c = e->c;

    x86_reset(c, false);
    if (host_is_amd()) { /* FOP is kept always, as those processors do */
        c->misc_enable |= 1 << 2;
    }
    c->cr0 = (c->cr0 & ~(uint64_t)(CR0_CD | CR0_NW)) | CR0_PE | CR0_PG | CR0_NE | CR0_WP | CR0_AM |
             CR0_MP;
    c->cr3 = PML4;
    c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE;
    c->efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
    c->xcr0 = 7;
    c->cpl = 3;
    c->gdtr = (struct x86_dtr){.base = GDT_AT, .limit = 127};
    c->ldtr = (struct x86_sysseg){0};
    if (!e->no_ldt) {
        c->ldtr = (struct x86_sysseg){
            .sel = NATIVE_LDTR, .attr = SEGA_P | 2, .limit = 3 * 8 - 1, .base = GDT_AT + 0x800};
    }
    c->tr.sel = NATIVE_TR;
    c->tr.attr = SEGA_P | 11; /* a busy TSS without I/O permissions */
    c->tr.limit = 0x60;
    e->g.bits = (uint8_t)bits;
}

/* Attributes from the descriptors above. */
static void set_segment(struct emulated *e, enum x86_segnum s, unsigned sel)
{
    uint64_t d;
    const uint8_t *table = e->ram->host + (sel & 4 ? LDT : GDT);

    memcpy(&d, table + (sel & 0xfff8), 8);
    uint32_t limit = (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000));
    x86_set_seg(e->c, s, (uint16_t)sel, (uint32_t)(d >> 16 & 0xffffff) | (uint32_t)(d >> 56) << 24,
                d >> 55 & 1 ? limit << 12 | 0xfff : limit, (uint16_t)(d >> 40 & 0xf0ff));
}

static void set_segments(struct emulated *e)
{
    unsigned bits = e->g.bits, data = bits == 16 ? NATIVE_LDT_DATA : NATIVE_DS;

    set_segment(e, SEG_CS, bits == 64 ? NATIVE_CS64 : bits == 32 ? NATIVE_CS32 : NATIVE_LDT_CODE);
    set_segment(e, SEG_SS, data);
    set_segment(e, SEG_DS, data);
    set_segment(e, SEG_ES, bits == 16 ? NATIVE_LDT_ES : NATIVE_DS);
    x86_set_seg(e->c, SEG_FS, 0, NATIVE_FS_BASE, 0, 0);
    x86_set_seg(e->c, SEG_GS, 0, NATIVE_GS_BASE, 0, 0);
}

static void put_fx(struct x86_cpu *c, const struct native_fx *fx)
{
    unsigned top = fx->fsw >> 11 & 7;

    for (unsigned n = 0; n < 16; n++) {
        memcpy(c->v.vec[n].q, fx->xmm[n], 16);
        memcpy(c->v.vec[n].q + 2, fx->ymm_high[n], 16);
    }
    for (unsigned n = 0; n < 8; n++) {
        c->fpr[(top + n) & 7] = (struct x86_fpreg){fx->st[n].mant, fx->st[n].se};
    }
    c->fp_tag_empty = (uint8_t)~fx->ftw;
    c->fp_top = (uint8_t)top;
    c->fp_sw = fx->fsw & (uint16_t) ~(7 << 11);
    c->fp_cw = fx->fcw;
    c->fp_op = fx->fop;
    c->fp_ip = fx->fip;
    c->fp_dp = fx->fdp;
    c->fp_cs = c->fp_ds = 0;
    x86_set_mxcsr(c, fx->mxcsr);
}

static void take_fx(struct x86_cpu *c, struct native_fx *fx)
{
    for (unsigned n = 0; n < 16; n++) {
        memcpy(fx->xmm[n], c->v.vec[n].q, 16);
        memcpy(fx->ymm_high[n], c->v.vec[n].q + 2, 16);
    }
    for (unsigned n = 0; n < 8; n++) {
        const struct x86_fpreg *f = &c->fpr[(c->fp_top + n) & 7];
        fx->st[n].mant = f->mant;
        fx->st[n].se = f->se;
    }
    fx->mxcsr = x86_get_mxcsr(c);
    fx->fcw = c->fp_cw;
    fx->fsw = x86_get_fpsw(c);
    fx->ftw = (uint8_t)~c->fp_tag_empty;
    fx->fop = c->fp_op;
    fx->fip = c->fp_ip;
    fx->fdp = c->fp_dp;
}

void emulated_code(struct emulated *e, const struct native_group *g)
{
    uint8_t int3[NATIVE_MAX_CODE];
    unsigned bits = e->g.bits;

    memset(int3, 0xcc, sizeof int3);
    if (e->g.len) {
        memory_write(e->m->memory, CODE + e->g.at, int3, e->g.len);
    }
    memory_write(e->m->memory, CODE + g->at, g->code, g->len);
    if (bits != g->bits) {
        set_mode(e, g->bits);
    }
    e->g = *g;
    if (g->bits == 16) {
        e->c->ldtr = (struct x86_sysseg){
            .sel = NATIVE_LDTR, .attr = SEGA_P | 2, .limit = 3 * 8 - 1, .base = GDT_AT + 0x800};
    }
    set_segments(e);
    memcpy(e->seg, e->c->seg, sizeof e->seg);
}

/* Temporaries of blocks before this one: always other ones, so that nobody comes to depend on them.
 */
static void spoil_temporaries(struct x86_cpu *c, const struct native_case *k)
{
    unsigned fill = k->rflags & FL_PF ? 0 : 0xff;

    memset(c->v.reg + TCG_REG_TEMP, (int)fill,
           (TCG_REG_LAST_TEMP + 1 - TCG_REG_TEMP) * sizeof c->v.reg[0]);
    memset(c->v.vec + TCG_VREG_TEMP, (int)fill, (TCG_NVREGS - TCG_VREG_TEMP) * sizeof c->v.vec[0]);
}

void emulated_run(struct emulated *e, const struct native_case *k, struct native_result *r)
{
    struct x86_cpu *c = e->c;
    uint8_t *data = e->ram->host + DATA;

    native_patch(data, k);
    if (e->g.segments || memcmp(e->seg, c->seg, sizeof e->seg)) {
        set_segments(e);
    }
    spoil_temporaries(c, k);
    c->cpl = 3;
    c->shadow = 0;
    c->pending_dr6 = 0;
    c->halted = false;
    memcpy(c->v.reg, k->reg, sizeof k->reg);
    c->v.reg[X86_RIP] = e->g.at + (e->g.bits == 16 ? 0 : NATIVE_CODE);
    if (e->g.full) {
        put_fx(c, &k->fx);
    }
    x86_set_eflags(c, (uint32_t)k->rflags, UINT32_MAX);

    current = e;
    e->stop = false;
    e->ticks = 0;
    r->vector = NATIVE_TIMEOUT;
    e->r = r;
    tcg_run(&c->v);
    e->r = NULL;
    if (r->vector == NATIVE_TIMEOUT) {
        r->rip = c->v.reg[X86_RIP];
    }
    memcpy(r->reg, c->v.reg, sizeof r->reg);
    r->rflags = x86_get_eflags(c);
    for (unsigned n = 0; n < 6; n++) {
        r->sel[n] = c->seg[n].sel;
    }
    native_collect(data, e->image, k->ignore, r);
    if (e->g.full) {
        take_fx(c, &r->fx);
    }
}

void emulated_without_ldt(struct emulated *e)
{
    e->no_ldt = true;
    e->g.bits = 0;
}

struct x86_cpu *emulated_cpu(struct emulated *e)
{
    return e->c;
}
