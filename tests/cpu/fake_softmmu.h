/* Everything below cpu/, for tests of the processor's system side: physical memory is one flat
 * array in each view, every access walks the page tables (nothing is cached, so flushes are only
 * counted), the clock is a variable, unwinding ends FAKE_TRY. Include it in one file of a test
 * program. */
#ifndef TESTS_CPU_FAKE_SOFTMMU_H
#define TESTS_CPU_FAKE_SOFTMMU_H

#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/system.h"
#include "softmmu/tlb.h"
#include "tcg/tb.h"
#include "tcg/tcg.h"
#include "tests/unit/tap.h"

enum { FAKE_MEM = 4 << 20 };

static struct {
    struct machine machine;
    struct x86_cpu *cpu;
    struct vcpu *vcpus[1];
    uint8_t *mem[NVIEWS]; /* SMM: the same array unless smram is set up */
    int64_t now;
    unsigned flushes, switches, watches;
    unsigned last_asid;
    bool last_keep;
    uint64_t watch_va[8], watch_len[8];
    unsigned watch_mask[8];
    void *watch_tag[8];
    bool locked;
    uint64_t rom;   /* physical addresses from here on refuse cmpxchg; 0: none */
    unsigned races; /* so many cmpxchg see the entry changed (bit 9 set by somebody) */
    uint32_t ports[65536 / 4];
    unsigned requests;
} fake;

static bool fake_phys(uint64_t phys, unsigned size)
{
    return phys + size <= FAKE_MEM;
}

/* Never a whole page, so that walks remember no tables: the tests change them without flushes. */
uint8_t *memory_view_ram(struct memory *mem, unsigned view, uint64_t phys, uint64_t size)
{
    (void)mem;
    return size <= 8 && fake_phys(phys, (unsigned)size) ? &fake.mem[view][phys] : NULL;
}

uint64_t memory_view_load(struct memory *mem, unsigned view, uint64_t phys, unsigned size)
{
    uint64_t r = 0;

    (void)mem;
    if (!fake_phys(phys, size)) {
        return UINT64_MAX >> (64 - 8 * size);
    }
    for (unsigned n = 0; n < size; n++) {
        r |= (uint64_t)fake.mem[view][phys + n] << (8 * n);
    }
    return r;
}

void memory_view_store(struct memory *mem, unsigned view, uint64_t phys, uint64_t value,
                       unsigned size)
{
    (void)mem;
    if (fake_phys(phys, size) && !(fake.rom && phys >= fake.rom)) {
        for (unsigned n = 0; n < size; n++) {
            fake.mem[view][phys + n] = (uint8_t)(value >> (8 * n));
        }
    }
}

bool memory_view_cmpxchg(struct memory *mem, unsigned view, uint64_t phys, uint64_t expect,
                         uint64_t value, unsigned size, uint64_t *seen)
{
    if (fake.races) {
        fake.races--;
        memory_view_store(mem, view, phys, expect | 0x200, size);
    }
    *seen = memory_view_load(mem, view, phys, size);
    if (*seen != expect || (fake.rom && phys >= fake.rom)) {
        return false;
    }
    memory_view_store(mem, view, phys, value, size);
    return true;
}

void vcpu_unwind(struct vcpu *v, bool deliver)
{
    (void)deliver;
    siglongjmp(v->unwind, 1);
}

static uint64_t fake_translate(struct vcpu *v, uint64_t va, enum access acc, unsigned ctx)
{
    struct walk w;

    if (!x86_walk(v, va, acc, ctx, false, &w)) {
        vcpu_unwind(v, true);
    }
    return w.phys | (va & 4095);
}

uint64_t softmmu_load(struct vcpu *v, uint64_t va, unsigned memop, unsigned ctx)
{
    unsigned view = x86_cpu(v)->in_smm ? VIEW_SMM : VIEW_NORMAL;
    uint64_t r = 0;

    for (unsigned n = 0; n < 1u << (memop & MO_SIZE); n++) {
        uint64_t phys = fake_translate(v, va + n, ACCESS_READ, ctx);
        r |= memory_view_load(NULL, view, phys, 1) << (8 * n);
    }
    return r;
}

void softmmu_store(struct vcpu *v, uint64_t va, uint64_t value, unsigned memop, unsigned ctx)
{
    unsigned view = x86_cpu(v)->in_smm ? VIEW_SMM : VIEW_NORMAL, size = 1u << (memop & MO_SIZE);

    fake_translate(v, va, ACCESS_WRITE, ctx);
    fake_translate(v, va + size - 1, ACCESS_WRITE, ctx);
    for (unsigned n = 0; n < size; n++) {
        memory_view_store(NULL, view, fake_translate(v, va + n, ACCESS_WRITE, ctx),
                          value >> (8 * n) & 0xff, 1);
    }
}

void *softmmu_atomic_ptr(struct vcpu *v, uint64_t va, unsigned memop, unsigned ctx)
{
    (void)memop;
    return &fake.mem[x86_cpu(v)->in_smm ? VIEW_SMM : VIEW_NORMAL]
                    [fake_translate(v, va, ACCESS_WRITE, ctx)];
}

uint8_t *softmmu_probe(struct vcpu *v, uint64_t va, enum access acc, unsigned ctx)
{
    fake_translate(v, va, acc, ctx);
    return NULL;
}

uint8_t *softmmu_probe_write(struct vcpu *v, uint64_t va, uint64_t low, unsigned len, unsigned ctx)
{
    (void)low;
    (void)len;
    return softmmu_probe(v, va, ACCESS_WRITE, ctx);
}

bool vcpu_read_virtual(struct vcpu *v, uint64_t va, void *buf, uint64_t len)
{
    struct walk w;

    for (uint64_t n = 0; n < len; n++) {
        if (!x86_walk(v, va + n, ACCESS_READ, 0, true, &w)) {
            return false;
        }
        ((uint8_t *)buf)[n] = (uint8_t)memory_view_load(NULL, 0, w.phys | ((va + n) & 4095), 1);
    }
    return true;
}

uint64_t vcpu_fetch_code(struct vcpu *v, uint64_t va, void *out, unsigned len)
{
    uint64_t first = fake_translate(v, va, ACCESS_FETCH, v->fetch_ctx);

    for (unsigned n = 0; n < len; n++) {
        uint64_t phys = fake_translate(v, va + n, ACCESS_FETCH, v->fetch_ctx);
        ((uint8_t *)out)[n] = (uint8_t)memory_view_load(NULL, 0, phys, 1);
    }
    return first;
}

/* ---- TLB, watchpoints ---- */

void tlb_flush_all(struct vcpu *v)
{
    (void)v;
    fake.flushes++;
}
void tlb_flush_page(struct vcpu *v, uint64_t va)
{
    (void)v;
    (void)va;
}
void tlb_flush_asid(struct vcpu *v, unsigned asid, bool keep_global)
{
    (void)v;
    (void)asid;
    (void)keep_global;
}
void tlb_flush_page_asid(struct vcpu *v, unsigned asid, uint64_t va)
{
    (void)v;
    (void)asid;
    (void)va;
}
void tlb_switch(struct vcpu *v, unsigned asid, bool keep)
{
    (void)v;
    fake.switches++;
    fake.last_asid = asid;
    fake.last_keep = keep;
}
void tlb_request_flush(struct vcpu *v)
{
    (void)v;
    fake.flushes++;
}
void tlb_set_view(struct vcpu *v, unsigned view)
{
    (void)v;
    (void)view;
}
void softmmu_watch_add(struct vcpu *v, uint64_t va, uint64_t len, unsigned mask, void *tag)
{
    (void)v;
    for (unsigned n = 0; n < 8; n++) {
        if (!fake.watch_tag[n]) {
            fake.watch_va[n] = va;
            fake.watch_len[n] = len;
            fake.watch_mask[n] = mask;
            fake.watch_tag[n] = tag;
            fake.watches++;
            return;
        }
    }
}
void softmmu_watch_remove(struct vcpu *v, void *tag)
{
    (void)v;
    for (unsigned n = 0; n < 8; n++) {
        if (fake.watch_tag[n] == tag) {
            fake.watch_tag[n] = NULL;
            fake.watches--;
        }
    }
}
void tcg_retry_single(struct vcpu *v)
{
    (void)v;
}
void tcg_exclusive_begin(struct vcpu *v)
{
    (void)v;
}
void tcg_exclusive_end(struct vcpu *v)
{
    (void)v;
}

/* ---- machine, clock, ports, log ---- */

int64_t clock_now(struct clock *c)
{
    (void)c;
    return fake.now;
}
void machine_lock(struct machine *m)
{
    (void)m;
    fake.locked = true;
}
void machine_unlock(struct machine *m)
{
    (void)m;
    fake.locked = false;
}
bool machine_lock_held(struct machine *m)
{
    (void)m;
    return fake.locked;
}
bool machine_add_vcpu(struct machine *m, struct vcpu *v, struct error *err)
{
    (void)err;
    fake.vcpus[0] = v;
    m->vcpus = fake.vcpus;
    m->nvcpus = 1;
    return true;
}
struct vcpu *machine_current_vcpu(struct machine *m)
{
    return m->vcpus[0];
}
void machine_request(struct machine *m, enum machine_request what, const char *reason, ...)
{
    (void)m;
    (void)reason;
    fake.requests |= what;
}
void vcpu_request(struct vcpu *v, unsigned bits)
{
    atomic_fetch_or(&v->irq_request, bits);
    atomic_store(&v->exit_request, 1);
}
void vcpu_clear_request(struct vcpu *v, unsigned bits)
{
    atomic_fetch_and(&v->irq_request, ~bits);
}
uint64_t ioport_read(struct memory *mem, uint16_t port, unsigned size)
{
    (void)mem;
    return fake.ports[port / 4] >> (port % 4 * 8) & (UINT64_MAX >> (64 - 8 * size));
}
void ioport_write(struct memory *mem, uint16_t port, uint64_t value, unsigned size)
{
    (void)mem;
    (void)size;
    fake.ports[port / 4] = (uint32_t)value;
}
void log_write(struct log *log, const char *fmt, ...)
{
    (void)log;
    (void)fmt;
}

/* ---- for the tests ---- */

/* A processor of this model, in reset state; the previous one is gone, memory is zero. */
static struct x86_cpu *fake_setup(const char *model)
{
    static struct x86_model *m;
    static const struct x86_platform none;
    struct error err = {{0}};

    if (fake.cpu) {
        x86_cpu_destroy(fake.cpu);
        x86_model_free(m);
        if (fake.mem[VIEW_SMM] != fake.mem[VIEW_NORMAL]) {
            free(fake.mem[VIEW_SMM]);
        }
        free(fake.mem[VIEW_NORMAL]);
    }
    memset(&fake, 0, sizeof fake);
    fake.mem[VIEW_NORMAL] = fake.mem[VIEW_SMM] = calloc(1, FAKE_MEM);
    m = x86_model_parse(model, &err);
    fake.cpu = m ? x86_cpu_create(&fake.machine, m, 0, &none, &err) : NULL;
    if (!fake.cpu) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
    fake.cpu->v.in_tcg = false;
    return fake.cpu;
}

static inline uint64_t fake_get(uint64_t phys, unsigned size)
{
    return memory_view_load(NULL, 0, phys, size);
}
static inline void fake_put(uint64_t phys, uint64_t value, unsigned size)
{
    memory_view_store(NULL, 0, phys, value, size);
}

/* Runs a statement: -1, or the vector of the exception that it raised. */
#define FAKE_TRY(statement)                                                                        \
    (sigsetjmp(fake.cpu->v.unwind, 0) ? (int)fake.cpu->exc.vector : ((void)(statement), -1))

#endif
