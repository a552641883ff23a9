/* The physical map, ports, clock and timers, and the TLB over a walk that is the identity. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "softmmu/machine.h"
#include "softmmu/tlb.h"
#include "tcg/tcg.h"
#include "tests/unit/tap.h"

static struct machine *m;
static unsigned accesses, walks, last_size;
static uint64_t last_offset, last_value;

static uint64_t reg_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque;
    accesses++;
    last_offset = offset;
    last_size = size;
    return 0x8877665544332211u >> 8 * (offset & 7);
}

static void reg_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)opaque;
    accesses++;
    last_offset = offset;
    last_size = size;
    last_value = value;
}

static const struct mmio_ops any_size = {reg_read, reg_write, 0, 0};
static const struct mmio_ops words_only = {reg_read, reg_write, 4, 4};
static const struct mmio_ops bytes_only = {reg_read, reg_write, 1, 1};

static uint64_t load(uint64_t phys, unsigned size)
{
    return memory_view_load(m->memory, VIEW_NORMAL, phys, size);
}

static void store(uint64_t phys, uint64_t v, unsigned size)
{
    memory_view_store(m->memory, VIEW_NORMAL, phys, v, size);
}

static void test_map(struct ram *ram, struct ram *rom)
{
    struct memory *mem = m->memory;
    uint8_t buf[16];

    struct mapping *low = memory_map_ram(mem, IN_BOTH, 0, 0x10000, ram, 0, false, 1);
    store(0x100, 0x1122334455667788, 8);
    tap_ok(load(0x100, 8) == 0x1122334455667788 && ram->host[0x100] == 0x88, "RAM, little endian");
    tap_ok(load(0x104, 2) == 0x3344 && load(0x107, 1) == 0x11, "smaller pieces");
    tap_ok(load(0x20000, 4) == 0xffffffff, "nothing reads as ones");
    struct mapping *over = memory_map_ram(mem, IN_BOTH, 0x1000, 0x1000, rom, 0, true, 2);
    rom->host[0] = 0x77;
    tap_ok(load(0x1000, 1) == 0x77 && load(0xfff, 2) == 0x7700,
           "ROM on top, and an access across the border");
    store(0x1000, 0, 1);
    tap_ok(load(0x1000, 1) == 0x77, "writing ROM does nothing");
    tap_ok(!memory_write(mem, 0x1000, "x", 1), "and a device is told");
    tap_ok(memory_write_rom(mem, 0x1000, "x", 1) && load(0x1000, 1) == 'x', "a loader may");
    mapping_set_enabled(over, false);
    tap_ok(load(0x1000, 1) == 0, "RAM shows when the ROM is off");
    mapping_set_enabled(over, true);
    mapping_move(over, 0x3000);
    tap_ok(load(0x1000, 1) == 0 && load(0x3000, 1) == 'x', "a mapping moves");
    mapping_remove(over);
    tap_ok(load(0x3000, 1) == 0, "and goes");
    mapping_set_readonly(low, true);
    store(0, 1, 1);
    tap_ok(load(0, 1) == 0, "RAM made read-only");
    mapping_set_readonly(low, false);
    struct mapping *smm = memory_map_ram(mem, IN_SMM, 0x8000, 0x1000, rom, 0, false, 5);
    tap_ok(memory_view_load(mem, VIEW_SMM, 0x8000, 1) == 'x' && load(0x8000, 1) == 0,
           "a view of its own for SMM");
    mapping_remove(smm);
    uint64_t seen;
    store(0x200, 5, 8);
    tap_ok(memory_view_cmpxchg(mem, VIEW_NORMAL, 0x200, 5, 7, 8, &seen) && load(0x200, 8) == 7,
           "compare and swap");
    tap_ok(!memory_view_cmpxchg(mem, VIEW_NORMAL, 0x200, 5, 9, 4, &seen) && seen == 7,
           "and when it loses");
    memset(buf, 0, sizeof(buf));
    tap_ok(!memory_read(mem, 0xfff8, buf, 16) && buf[8] == 0xff, "a range that ends in nothing");
}

static void test_mmio(void)
{
    struct memory *mem = m->memory;
    struct mapping *a = memory_map_mmio(mem, IN_BOTH, 0x100010, 0x20, "any", &any_size, NULL, 3);

    tap_ok(load(0x100010, 8) == 0x8877665544332211 && accesses == 1 && last_size == 8,
           "8 bytes at once");
    store(0x100018, 0x1234, 2);
    tap_ok(last_offset == 8 && last_value == 0x1234 && last_size == 2,
           "offset from the mapping's start");
    mapping_remove(a);
    a = memory_map_mmio(mem, IN_BOTH, 0x100000, 0x20, "words", &words_only, NULL, 3);
    accesses = 0;
    tap_ok(load(0x100001, 1) == 0x22 && last_size == 4 && last_offset == 0, "a byte out of a word");
    tap_ok(load(0x100000, 8) == 0x8877665544332211 && accesses == 3, "8 bytes as two words");
    mapping_remove(a);
    struct mapping *p = ioport_map(mem, 0x80, 4, "bytes", &bytes_only, NULL);
    machine_lock(m);
    accesses = 0;
    tap_ok(ioport_read(mem, 0x80, 4) == 0x44332211 && accesses == 4,
           "a port of bytes read as four");
    tap_ok(ioport_read(mem, 0x83, 2) == 0xff44, "the second byte beyond the device");
    tap_ok(ioport_read(mem, 0x90, 2) == 0xffff, "no device");
    struct mapping *q = ioport_map(mem, 0x81, 1, "newer", &any_size, NULL);
    ioport_write(mem, 0x81, 0x5a, 1);
    tap_ok(last_offset == 0 && last_value == 0x5a, "the later owner wins");
    mapping_remove(q);
    ioport_write(mem, 0x81, 0x5b, 1);
    tap_ok(last_offset == 1, "until it goes");
    mapping_remove(p);
    machine_unlock(m);
}

static unsigned fired[3], order;

/* Bytes that are left after a guest has moved a BAR for a while. */
static size_t left_by_moves(void)
{
    size_t before = mallinfo2().uordblks;

    for (unsigned i = 0; i < 20000; i++) {
        mapping_remove(memory_map_mmio(m->memory, IN_BOTH, 0x400000 + 0x1000 * (i & 15), 0x1000,
                                       "bar", &any_size, NULL, 1));
    }
    return mallinfo2().uordblks - before;
}

static void fire(void *opaque)
{
    *(unsigned *)opaque = ++order;
}

static void test_clock(void)
{
    struct timer t[3];

    machine_lock(m);
    for (unsigned i = 0; i < 3; i++) {
        timer_init(&t[i], m->clock, fire, &fired[i]);
    }
    int64_t now = clock_now(m->clock);
    timer_set(&t[0], now + 300);
    timer_set(&t[1], now + 100);
    timer_set(&t[2], now + 200);
    tap_ok(clock_next_deadline(m->clock) == now + 100, "the first deadline");
    timer_set(&t[1], now + 250);
    timer_cancel(&t[2]);
    clock_advance(m->clock, 299);
    tap_ok(fired[1] == 1 && !fired[0] && !fired[2], "only the due one fires");
    clock_advance(m->clock, 1);
    tap_ok(fired[0] == 2 && clock_next_deadline(m->clock) == -1, "then the other");
    tap_ok(clock_now(m->clock) == now + 300, "a stopped clock moves only by hand");
    machine_unlock(m);
}

/* ---- TLB ---- */

static bool dirty_ok = true;

static bool identity(struct vcpu *v, uint64_t va, enum access acc, unsigned ctx, bool probe,
                     struct walk *w)
{
    (void)v, (void)ctx, (void)probe;
    walks++;
    if (va >= 0x200000) {
        return false;
    }
    *w = (struct walk){va & ~UINT64_C(4095),
                       va >= 0x100000 ? 2 << 20 : 4096,
                       true,
                       acc == ACCESS_WRITE || dirty_ok,
                       true,
                       va < 0x8000};
    return true;
}

static const struct guest_ops ops = {.walk = identity};

static bool hits(struct vcpu *v, uint64_t va)
{
    return v->tlb[0][va >> 12 & TLB_MASK].rtag == (va & ~UINT64_C(4095));
}

static void touch(struct vcpu *v, uint64_t va)
{
    softmmu_load(v, va, MO_8, 0);
}

static void test_tlb(struct vcpu *v)
{
    softmmu_store(v, 0x2ffe, 0x11223344, MO_32, 0);
    tap_ok(load(0x2ffe, 4) == 0x11223344 && softmmu_load(v, 0x2ffe, MO_32, 0) == 0x11223344,
           "an access across pages");
    tap_ok(softmmu_load(v, 0x2ffe, MO_16 | MO_SIGN, 0) == 0x3344,
           "sign extension of a positive number");
    softmmu_store(v, 0x2000, 0x80, MO_8, 0);
    tap_ok(softmmu_load(v, 0x2000, MO_8 | MO_SIGN, 0) == UINT64_C(0xffffffffffffff80),
           "and of a negative one");
    walks = 0;
    touch(v, 0x9000);
    touch(v, 0x9fff);
    tap_ok(walks == 1 && hits(v, 0x9000), "one walk a page");
    touch(v, 0x1000);
    tlb_flush_nonglobal(v);
    tap_ok(!hits(v, 0x9000) && hits(v, 0x1000), "global pages survive");
    tlb_flush_page(v, 0x1234);
    tap_ok(!hits(v, 0x1000), "but not the flush of their page");
    touch(v, 0x101000);
    touch(v, 0x1ff000);
    touch(v, 0x9000);
    tlb_flush_page(v, 0x105000);
    tap_ok(!hits(v, 0x101000) && !hits(v, 0x1ff000) && hits(v, 0x9000),
           "a large page goes as a whole");
    tlb_switch(v, 5, true);
    tap_ok(!hits(v, 0x9000), "another address space starts empty");
    touch(v, 0xa000);
    tlb_switch(v, 0, true);
    tap_ok(hits(v, 0x9000), "the first one kept its entries");
    tlb_switch(v, 5, false);
    tap_ok(!hits(v, 0xa000), "a switch that does not keep");
    tlb_switch(v, 0, true);
    for (uint64_t va = 0; va < 0x10000; va += 4096) {
        touch(v, va);
    }
    tlb_flush_all(v);
    tap_ok(!hits(v, 0x1000) && !hits(v, 0xf000), "flush of all");
    softmmu_store(v, 0x4000, 1, MO_8, 0);
    tap_ok(v->tlb[0][4].wtag == 0x4000, "a written page may be written at once");
    softmmu_tcg_ops.protect_code(m, 0x4040, 16);
    tap_ok(v->tlb[0][4].wtag != 0x4000, "until code lies on it");
    softmmu_store(v, 0x4200, 1, MO_8, 0);
    tap_ok(v->tlb[0][4].wtag != 0x4000 && load(0x4200, 1) == 1,
           "writes beside the code take the slow path");
    tap_ok(!softmmu_probe(v, 0x4200, ACCESS_WRITE, 0) &&
               softmmu_probe_write(v, 0x4200, 0x4200, 64, 0) ==
                   softmmu_probe(v, 0x4200, ACCESS_READ, 0),
           "but may be made ready for many bytes");
    softmmu_tcg_ops.unprotect_page(m, 0x4000);
    softmmu_store(v, 0x4200, 2, MO_8, 0);
    tap_ok(v->tlb[0][4].wtag == 0x4000, "the fast path comes back with the last block gone");
    dirty_ok = false;
    tlb_flush_all(v);
    touch(v, 0x6000);
    tap_ok(v->tlb[0][6].wtag != 0x6000, "a read does not allow writes to a clean page");
    tap_ok(!softmmu_atomic_ptr(v, 0x6ffe, MO_32, 0) && softmmu_atomic_ptr(v, 0x6ff0, MO_32, 0),
           "atomics inside a page only");
    uint8_t buf[4];
    tap_ok(vcpu_read_virtual(v, 0x2ffe, buf, 4) && buf[0] == 0x44,
           "a debugger reads virtual memory");
    tap_ok(!vcpu_read_virtual(v, 0x1ffffe, buf, 4), "and is told what is not there");
}

int main(void)
{
    struct error err = {{0}};
    struct tcg_options opt = {.accel = "interp"};

    m = machine_create("test", 0, &err);
    m->tcg = tcg_create(m, &opt, &softmmu_tcg_ops, &err);
    struct ram *ram = memory_ram_create(m->memory, "ram", 0x10000, &err);
    struct ram *rom = memory_ram_create(m->memory, "rom", 0x1000, &err);
    tap_ok(!memory_ram_create(m->memory, "too much", UINT64_C(1) << 62, &err) && err.msg[0],
           "impossible RAM: %s", err.msg);
    test_map(ram, rom);
    test_mmio();
    tap_ok(left_by_moves() < 1 << 20, "views that nobody reads any more are freed");
    test_clock();

    struct vcpu *v = aligned_alloc(64, (sizeof(*v) + 63) & ~(size_t)63);
    memset(v, 0, sizeof(*v));
    v->ops = &ops;
    machine_add_vcpu(m, v, &err);
    machine_set_current_vcpu(v);
    struct ram *more = memory_ram_create(m->memory, "more", 0x100000, &err);
    memory_map_ram(m->memory, IN_BOTH, 0x100000, 0x100000, more, 0, false, 1);
    test_tlb(v);
    machine_set_current_vcpu(NULL);
    atomic_store(&v->irq_request, VCPU_REQ_FLUSH);
    tap_ok(left_by_moves() > 1 << 20, "but not while a processor may be reading one");
    struct tcg *tcg = m->tcg;
    machine_destroy(m);
    tcg_destroy(tcg);
    free(v);
    return tap_done();
}
