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

enum {
    RAM_SIZE = 0x100000,
    PML4 = 0x1000,
    PDPT = 0x2000,
    PD = 0x3000,
    PT_CODE = 0x4000,
    PT_DATA = 0x5000,
    CODE = 0x10000, /* physical */
    DATA = 0x20000,
    PTE_P = 1,
    PTE_W = 2,
    PTE_U = 4,
};
#define PTE_NX (UINT64_C(1) << 63)

struct emulated {
    struct machine *m;
    struct x86_model *model;
    struct x86_cpu *c;
    struct ram *ram;
    struct guest_ops ops;
    uint8_t image[NATIVE_DATA_SIZE];
    unsigned dirty_at, dirty_len; /* code of the last case */
    struct native_result *r;
    volatile bool stop;
    volatile unsigned ticks;
};

static struct emulated *current; /* for the callbacks: one at a time */

static void deliver(struct vcpu *v)
{
    struct emulated *e = current;
    struct x86_cpu *c = x86_cpu(v);

    x86_settle_vector(c);
    e->r->vector = c->exc.vector;
    e->r->error = c->exc.has_error ? c->exc.error : 0;
    e->r->cr2 = c->exc.vector == EXC_PF ? c->exc.cr2 : 0;
    e->r->out.rip = v->reg[X86_RIP] + (c->exc.software ? c->exc.insn_len : 0);
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

struct emulated *emulated_start(const char *accel, const char *cpu)
{
    struct emulated *e = calloc(1, sizeof *e);
    struct error err = {""};
    static uint8_t int3[NATIVE_CODE_SIZE];
    struct itimerval tick = {{0, 200000}, {0, 200000}};

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
    native_image(e->image);
    memset(int3, 0xcc, sizeof int3);
    memory_write(e->m->memory, CODE, int3, sizeof int3);

    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &tick, NULL);
    return e;
}

void emulated_stop(struct emulated *e)
{
    struct itimerval none = {{0, 0}, {0, 0}};

    setitimer(ITIMER_REAL, &none, NULL);
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
    unsigned user = SEGA_P | SEGA_S | SEGA_RW | SEGA_A | 3 << SEGA_DPL_SHIFT | SEGA_G;

    x86_reset(c, false);
    memset(c->v.reg, 0, 16 * sizeof c->v.reg[0]);
    c->cr0 = (c->cr0 & ~(uint64_t)(CR0_CD | CR0_NW)) | CR0_PE | CR0_PG | CR0_NE | CR0_WP | CR0_AM |
             CR0_MP;
    c->cr3 = PML4;
    c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE | CR4_UMIP;
    c->efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
    c->xcr0 = 7;
    c->cpl = 3;
    if (bits == 16) {
        user &= ~(unsigned)SEGA_G;
        x86_set_seg(c, SEG_CS, 7, NATIVE_CODE, NATIVE_CODE_SIZE - 1, (uint16_t)(user | SEGA_CODE));
        x86_set_seg(c, SEG_SS, 15, NATIVE_DATA, 0xffff, (uint16_t)user);
        x86_set_seg(c, SEG_DS, 15, NATIVE_DATA, 0xffff, (uint16_t)user);
        x86_set_seg(c, SEG_ES, 23, NATIVE_DATA, NATIVE_ES_LIMIT, (uint16_t)user);
    } else {
        user |= SEGA_DB;
        x86_set_seg(c, SEG_CS, bits == 64 ? 0x33 : 0x23, 0, UINT32_MAX,
                    (uint16_t)((bits == 64 ? (user ^ SEGA_DB) | SEGA_L : user) | SEGA_CODE));
        x86_set_seg(c, SEG_SS, 0x2b, 0, UINT32_MAX, (uint16_t)user);
        x86_set_seg(c, SEG_DS, 0x2b, 0, UINT32_MAX, (uint16_t)user);
        x86_set_seg(c, SEG_ES, 0x2b, 0, UINT32_MAX, (uint16_t)user);
    }
    c->tr.attr = SEGA_P | 11; /* a busy TSS without I/O permissions */
    c->tr.limit = 0x60;
    x86_set_seg(c, SEG_FS, 0, 0, 0, 0);
    x86_set_seg(c, SEG_GS, 0, NATIVE_GS_BASE, 0, 0);
}

static void put_vectors(struct x86_cpu *c, const struct native_case *k)
{
    x86_set_mxcsr(c, k->in.mxcsr);
    for (unsigned n = 0; n < 16; n++) {
        memcpy(c->v.vec[n].q, k->in.vec[n], 32);
    }
    for (unsigned n = 0; n < 8; n++) {
        c->fpr[n] = (struct x86_fpreg){k->in.mm[n], 0xffff};
    }
    c->fp_tag_empty = 0;
    c->fp_top = 0;
    c->fp_sw = 0;
}

static void take_vectors(struct x86_cpu *c, struct native_result *r)
{
    r->out.mxcsr = x86_get_mxcsr(c);
    r->out.fsw = x86_get_fpsw(c);
    r->out.ftw = (uint8_t)~c->fp_tag_empty;
    for (unsigned n = 0; n < 16; n++) {
        memcpy(r->out.vec[n], c->v.vec[n].q, 32);
    }
    for (unsigned n = 0; n < 8; n++) {
        const struct x86_fpreg *f = &c->fpr[(c->fp_top + n) & 7];
        r->out.mm[n] = f->mant;
        r->out.mm_high[n] = f->se;
    }
}

void emulated_run(struct emulated *e, const struct native_case *k, struct native_result *r)
{
    struct x86_cpu *c = e->c;
    uint8_t *data = e->ram->host + DATA, int3[NATIVE_MAX_CODE];

    memset(r, 0, sizeof *r);
    memset(int3, 0xcc, sizeof int3);
    if (e->dirty_len) {
        memory_write(e->m->memory, CODE + e->dirty_at, int3, e->dirty_len);
    }
    memory_write(e->m->memory, CODE + k->code_at, k->code, k->code_len);
    e->dirty_at = k->code_at;
    e->dirty_len = k->code_len;
    memcpy(data, e->image, NATIVE_DATA_SIZE);
    for (unsigned n = 0; n < k->npatches; n++) {
        memcpy(data + k->patch[n].at, k->patch[n].bytes, k->patch[n].len);
    }
    set_mode(e, k->bits);
    memcpy(c->v.reg, k->in.reg, sizeof k->in.reg);
    c->v.reg[X86_RIP] = k->code_at + (k->bits == 16 ? 0 : NATIVE_CODE);
    x86_set_eflags(c, (uint32_t)k->in.rflags, UINT32_MAX);
    if (k->vectors) {
        put_vectors(c, k);
    }
    x86_update_key(c);

    current = e;
    e->stop = false;
    e->ticks = 0;
    r->vector = NATIVE_TIMEOUT;
    e->r = r;
    tcg_run(&c->v);
    e->r = NULL;
    if (r->vector == NATIVE_TIMEOUT) {
        r->out.rip = c->v.reg[X86_RIP];
    }
    memcpy(r->out.reg, c->v.reg, sizeof r->out.reg);
    r->out.rflags = x86_get_eflags(c);
    r->data_hash = native_hash(data);
    if (k->vectors) {
        take_vectors(c, r);
    }
}

const uint8_t *emulated_data(struct emulated *e)
{
    return e->ram->host + DATA;
}

struct x86_cpu *emulated_cpu(struct emulated *e)
{
    return e->c;
}
