/* A processor alone with some RAM: runs a buffer of instructions in a mode of choice until its end
 * or the first fault. The way for tests to ask "what does this code do?", under any executor.
 *
 *   0x00001000  page tables (long mode)      0x00020000  data, SANDBOX_DATA
 *   0x00004000  GDT                          0x00040000  stack top, SANDBOX_STACK
 *   0x00010000  code, SANDBOX_CODE           0x00200000  end of RAM; not present in long mode
 *
 * In 16-bit modes the segments' bases are these addresses (CS 0x1000, DS and ES 0x2000, SS 0x3000),
 * so that offsets start at 0 and SP at 0xfff0. */
#ifndef TESTS_CPU_SANDBOX_H
#define TESTS_CPU_SANDBOX_H

#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/flags.h"
#include "cpu/x86.h"
#include "softmmu/machine.h"
#include "softmmu/tlb.h"
#include "tcg/tcg.h"
#include "tests/cpu/accel.h"

enum {
    SANDBOX_GDT = 0x4000,
    SANDBOX_CODE = 0x10000,
    SANDBOX_DATA = 0x20000,
    SANDBOX_STACK = 0x40000,
    SANDBOX_RAM = 0x200000,
};

enum sandbox_mode {
    SANDBOX_REAL,
    SANDBOX_V86,    /* IOPL 3 */
    SANDBOX_PROT16, /* 16-bit segments with limit 0xffff */
    SANDBOX_PROT32, /* flat */
    SANDBOX_COMPAT, /* long mode, 32-bit flat segments */
    SANDBOX_LONG,
    SANDBOX_NMODES
};

struct sandbox {
    struct machine *m;
    struct x86_model *model;
    struct x86_cpu *c;
    struct ram *ram;
    struct guest_ops ops;
    enum sandbox_mode mode;
    bool stop;
    int fault; /* vector that was raised, -1: none (the end was reached) */
    bool has_error;
    uint32_t error;
    uint64_t fault_cr2, fault_dr6;
};

static struct sandbox *sandbox_current; /* for the callbacks: a test runs one at a time */

static inline void sandbox_deliver(struct vcpu *v)
{
    struct sandbox *s = sandbox_current;
    struct x86_cpu *c = x86_cpu(v);

    s->fault = c->exc.vector;
    s->has_error = c->exc.has_error;
    s->error = c->exc.error;
    s->fault_cr2 = c->exc.cr2;
    s->fault_dr6 = c->exc.dr6;
    s->stop = true;
    atomic_store(&v->exit_request, 1);
}

static inline bool sandbox_poll(struct vcpu *v)
{
    return sandbox_current->stop || x86_cpu(v)->halted;
}

static inline void sandbox_die(const char *what)
{
    fprintf(stderr, "sandbox: %s\n", what);
    exit(99);
}

/* accel: NULL for the default executor. */
static inline void sandbox_create(struct sandbox *s, const char *cpu_model, const char *accel)
{
    struct error err = {""};

    memset(s, 0, sizeof *s);
    s->model = x86_model_parse(cpu_model ? cpu_model : "max", &err);
    s->m = s->model ? machine_create("sandbox", SANDBOX_RAM, &err) : NULL;
    if (s->m) {
        s->m->tcg = accel_create(s->m, accel, 16 << 20, &err);
    }
    if (!s->m || !s->m->tcg) {
        sandbox_die(err.msg);
    }
    s->ram = memory_ram_create(s->m->memory, "ram", SANDBOX_RAM, &err);
    if (!s->ram) {
        sandbox_die(err.msg);
    }
    memory_map_ram(s->m->memory, IN_BOTH, 0, SANDBOX_RAM, s->ram, 0, false, 0);
    s->c = x86_cpu_create(s->m, s->model, 0, NULL, &err);
    if (!s->c) {
        sandbox_die(err.msg);
    }
    if (!s->c->v.tcg_cpu && !tcg_attach(s->m->tcg, &s->c->v, &err)) {
        sandbox_die(err.msg);
    }
    s->ops = *s->c->v.ops;
    s->ops.deliver = sandbox_deliver;
    s->ops.poll = sandbox_poll;
    s->c->v.ops = &s->ops;
    sandbox_current = s;
}

static inline void sandbox_destroy(struct sandbox *s)
{
    tcg_detach(&s->c->v);
    tcg_destroy(s->m->tcg);
    s->m->tcg = NULL;
    machine_destroy(s->m);
    x86_cpu_destroy(s->c);
    x86_model_free(s->model);
}

static inline void sandbox_put64(struct sandbox *s, uint64_t phys, uint64_t value)
{
    memory_write64(s->m->memory, phys, value);
}

/* Resets the processor and puts it into a mode; RAM is cleared. Registers are 0 but rSP. */
static inline void sandbox_mode(struct sandbox *s, enum sandbox_mode mode)
{
    struct x86_cpu *c = s->c;
    bool bits16 = mode == SANDBOX_REAL || mode == SANDBOX_V86 || mode == SANDBOX_PROT16;
    bool longmode = mode == SANDBOX_COMPAT || mode == SANDBOX_LONG;
    uint32_t limit = bits16 ? 0xffff : UINT32_MAX;
    unsigned dpl = mode == SANDBOX_V86 ? 3 << SEGA_DPL_SHIFT : 0;
    unsigned big = bits16 ? 0 : SEGA_DB | SEGA_G;
    unsigned data = SEGA_P | SEGA_S | SEGA_RW | SEGA_A | dpl;
    uint8_t *zero = calloc(1, SANDBOX_RAM);

    s->mode = mode;
    sandbox_current = s;
    memory_write(s->m->memory, 0, zero, SANDBOX_RAM);
    free(zero);
    x86_reset(c, false);
    memset(c->v.reg, 0, 16 * sizeof c->v.reg[0]);
    if (longmode) { /* identity for the first 2 MiB in 4 KiB pages, present, writable, user */
        sandbox_put64(s, 0x1000, 0x2007);
        sandbox_put64(s, 0x2000, 0x3007);
        sandbox_put64(s, 0x3000, 0x5007);
        for (uint64_t n = 0; n < 512; n++) {
            sandbox_put64(s, 0x5000 + 8 * n, n << 12 | 7);
        }
        c->cr3 = 0x1000;
        c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXSAVE;
        c->efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
        c->cr0 |= CR0_PG;
    }
    c->cr0 &= ~(uint64_t)(CR0_CD | CR0_NW);
    c->cr0 |= CR0_NE | (mode == SANDBOX_REAL ? 0 : CR0_PE);
    c->cr4 |= CR4_OSFXSR;
    c->xcr0 = 7;
    if (mode == SANDBOX_V86) {
        c->eflags |= FL_VM | FL_IOPL;
    }
    c->cpl = mode == SANDBOX_V86 ? 3 : 0;
    c->gdtr = (struct x86_dtr){.base = SANDBOX_GDT, .limit = 0xfff};
    x86_set_seg(c, SEG_CS, bits16 ? SANDBOX_CODE >> 4 : 8, bits16 ? SANDBOX_CODE : 0, limit,
                (uint16_t)(data | (mode == SANDBOX_V86 ? 0 : SEGA_CODE) |
                           (mode == SANDBOX_LONG ? SEGA_L | SEGA_G : big)));
    for (unsigned n = 0; n < 6; n++) {
        uint64_t base = !bits16 ? 0 : n == SEG_SS ? SANDBOX_STACK - 0x10000 : SANDBOX_DATA;
        if (n != SEG_CS) {
            x86_set_seg(c, n, bits16 ? (uint16_t)(base >> 4) : 16, base, limit,
                        (uint16_t)(data | big));
        }
    }
    c->v.reg[X86_RSP] = bits16 ? 0xfff0 : SANDBOX_STACK;
    tlb_flush_all(&c->v);
    x86_update_key(c);
}

/* Address of offset 0 of DS. */
static inline uint64_t sandbox_data(const struct sandbox *s)
{
    return s->c->v.reg[X86_DS_BASE] ? 0 : SANDBOX_DATA;
}

/* Runs code (at SANDBOX_CODE + at, linear) to its end, where a HLT is put, or to the first fault;
 * returns the vector or -1. rip is then that of the faulting instruction, or follows the HLT. In
 * V86 mode the HLT itself is the end: its #GP is not reported. */
static inline int sandbox_run_at(struct sandbox *s, unsigned at, const void *code, size_t len)
{
    struct x86_cpu *c = s->c;
    uint64_t start = c->v.reg[X86_CS_BASE] ? at : SANDBOX_CODE + at;
    static const uint8_t hlt = 0xf4;

    memory_write(s->m->memory, SANDBOX_CODE + at, code, len);
    memory_write(s->m->memory, SANDBOX_CODE + at + len, &hlt, 1);
    c->v.reg[X86_RIP] = start;
    c->halted = false;
    s->stop = false;
    s->fault = -1;
    x86_update_key(c);
    tcg_run(&c->v);
    if (s->mode == SANDBOX_V86 && s->fault == EXC_GP && c->v.reg[X86_RIP] == start + len) {
        s->fault = -1;
    }
    return s->fault;
}

static inline int sandbox_run(struct sandbox *s, const void *code, size_t len)
{
    return sandbox_run_at(s, 0, code, len);
}

#endif
