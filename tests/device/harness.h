/* A bare machine for device tests: memory, ports, a clock that stands still, no processors.
 * Interrupt lines end in counters. Tests talk to devices as the guest does. */
#ifndef TESTS_DEVICE_HARNESS_H
#define TESTS_DEVICE_HARNESS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu/x86.h"
#include "host/mainloop.h"
#include "hw/isa/isa.h"
#include "tests/unit/tap.h"

struct bench {
    struct machine *m;
    int level[16]; /* of the ISA lines, when bench_isa_lines() was called */
    int edges[16]; /* rising ones */
};

static inline void bench_set_line(void *opaque, int n, int level)
{
    struct bench *b = opaque;

    b->edges[n] += level && !b->level[n];
    b->level[n] = level != 0;
}

static inline void bench_open(struct bench *b)
{
    struct error err = {{0}};

    memset(b, 0, sizeof(*b));
    b->m = machine_create("test", 0, &err);
    if (!b->m) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
    machine_lock(b->m);
}

static inline void bench_isa_lines(struct bench *b)
{
    struct isa_bus *isa = isa_bus(b->m);

    for (int n = 0; n < 16; n++) {
        isa->irqs[n] = (struct irq){bench_set_line, b, n};
        isa->pci_irqs[n] = (struct irq){bench_set_line, b, n};
    }
}

static inline void bench_close(struct bench *b)
{
    devices_destroy(b->m);
    machine_unlock(b->m);
    machine_destroy(b->m);
}

static inline struct device *bench_must(struct device *d, const struct error *err)
{
    if (!d) {
        printf("Bail out! %s\n", err->msg);
        exit(1);
    }
    return d;
}

static inline struct device *bench_add(struct bench *b, const struct device_type *t)
{
    struct error err = {{0}};

    return bench_must(device_make(b->m, t, &err, NULL), &err);
}

/* The state of a processor that never runs, for devices that talk to one. Free it after
 * bench_close. */
static inline struct x86_cpu *bench_cpu(struct bench *b, const struct x86_platform *platform)
{
    struct error err = {{0}};
    size_t size = (sizeof(struct x86_cpu) + 63) & ~(size_t)63;
    struct x86_cpu *c = aligned_alloc(64, size);

    memset(c, 0, size);
    c->v.index = c->apic_id = b->m->nvcpus;
    c->phys_mask = (UINT64_C(1) << 40) - 1;
    c->platform = platform;
    if (!machine_add_vcpu(b->m, &c->v, &err)) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
    return c;
}

/* Rounds of bench_step for what must happen at some time: seconds at least. */
enum { BENCH_PATIENCE = 50000 };

/* A round of the main loop and a moment for the workers. It never blocks: what it would wait for may
 * have happened already, by a worker. */
static inline void bench_step(struct bench *b, struct mainloop *loop)
{
    machine_unlock(b->m);
    b->m->wake_main(b->m->wake_opaque);
    mainloop_step(loop);
    nanosleep(&(struct timespec){0, 100000}, NULL);
    machine_lock(b->m);
}

static inline uint32_t in8(struct bench *b, uint16_t port)
{
    return (uint32_t)ioport_read(b->m->memory, port, 1);
}
static inline uint32_t in16(struct bench *b, uint16_t port)
{
    return (uint32_t)ioport_read(b->m->memory, port, 2);
}
static inline uint32_t in32(struct bench *b, uint16_t port)
{
    return (uint32_t)ioport_read(b->m->memory, port, 4);
}
static inline void out8(struct bench *b, uint16_t port, uint32_t v)
{
    ioport_write(b->m->memory, port, v, 1);
}
static inline void out16(struct bench *b, uint16_t port, uint32_t v)
{
    ioport_write(b->m->memory, port, v, 2);
}
static inline void out32(struct bench *b, uint16_t port, uint32_t v)
{
    ioport_write(b->m->memory, port, v, 4);
}
static inline void advance(struct bench *b, int64_t ns)
{
    clock_advance(b->m->clock, ns);
}

/* As a processor accesses memory: the view functions take the lock for MMIO themselves. */
static inline uint64_t view_load(struct bench *b, unsigned view, uint64_t addr, unsigned size)
{
    machine_unlock(b->m);
    uint64_t v = memory_view_load(b->m->memory, view, addr, size);
    machine_lock(b->m);
    return v;
}
static inline void view_store(struct bench *b, unsigned view, uint64_t addr, uint64_t v,
                              unsigned size)
{
    machine_unlock(b->m);
    memory_view_store(b->m->memory, view, addr, v, size);
    machine_lock(b->m);
}

/* Configuration space by mechanism 1. */
static inline uint32_t pci_in(struct bench *b, unsigned devfn, unsigned reg, unsigned size)
{
    out32(b, 0xcf8, 0x80000000u | devfn << 8 | (reg & 0xfc));
    return (uint32_t)ioport_read(b->m->memory, (uint16_t)(0xcfc + (reg & 3)), size);
}
static inline void pci_out(struct bench *b, unsigned devfn, unsigned reg, uint32_t v, unsigned size)
{
    out32(b, 0xcf8, 0x80000000u | devfn << 8 | (reg & 0xfc));
    ioport_write(b->m->memory, (uint16_t)(0xcfc + (reg & 3)), v, size);
}

/* Saves d, resets it, loads it back and saves again: equal bytes? */
static inline bool state_round_trip(struct device *d)
{
    struct error err = {{0}};
    size_t n1, n2;
    uint8_t *one = state_save(d->type->state, d, &n1), *two;
    bool same;

    if (d->type->reset) {
        d->type->reset(d);
    }
    if (!state_load(d->type->state, d, one, n1, &err)) {
        printf("# %s\n", err.msg);
        free(one);
        return false;
    }
    two = state_save(d->type->state, d, &n2);
    same = n1 == n2 && !memcmp(one, two, n1);
    free(one);
    free(two);
    return same;
}

#endif
