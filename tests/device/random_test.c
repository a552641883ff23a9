/* The whole board under random accesses to its ports, registers and configuration space, with the
 * clock moving: nothing may crash (run it with sanitizers), and every state must save and load
 * again. */
#include "cpu/x86.h"
#include "hw/dma/i8237.h"
#include "hw/input/i8042.h"
#include "hw/intc/apic.h"
#include "hw/intc/gsi.h"
#include "hw/intc/i8259.h"
#include "hw/misc/misc.h"
#include "hw/pci/i440fx.h"
#include "hw/timer/timers.h"
#include "tests/device/harness.h"

static uint64_t seed = 88172645463325252;
static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void check_state(struct device *d, void *opaque)
{
    bool *ok = opaque;

    if (d->type->state && d->type != &lapic_type && !state_round_trip(d)) {
        printf("# %s\n", d->type->name);
        *ok = false;
    }
}

static void one_access(struct bench *b, struct x86_cpu *c, const struct x86_platform *p,
                       struct device *kbc)
{
    static const uint16_t ports[] = {0x00, 0x20, 0x40,  0x60,  0x70,  0x80,  0x90,  0xa0,  0xb0,
                                     0xc0, 0xd0, 0x4d0, 0xcf8, 0x600, 0x610, 0x620, 0xafe0};
    static const uint64_t bases[] = {0xfee00000, 0xfec00000, 0xfed00000, 0xa0000, 0xc0000, 0xf0000};
    uint64_t r = rnd(), v = rnd() >> (r >> 58);
    unsigned size = 1u << (r >> 56 & 3);
    uint16_t port =
        (uint16_t)(ports[(r >> 8) % (sizeof(ports) / sizeof(ports[0]))] + (r >> 16 & 15));
    uint64_t addr = bases[(r >> 8) % 6] + (r >> 16 & 0x3ff);
    uint64_t out;

    switch (r & 15) {
    case 0:
    case 1:
    case 2:
    case 3:
        ioport_write(b->m->memory, port, v, size > 4 ? 4 : size);
        break;
    case 4:
    case 5:
        ioport_read(b->m->memory, port, size > 4 ? 4 : size);
        break;
    case 6:
    case 7:
        view_store(b, VIEW_NORMAL, addr & ~(uint64_t)(size - 1), v, size);
        break;
    case 8:
        view_load(b, VIEW_NORMAL, addr & ~(uint64_t)(size - 1), size);
        break;
    case 9:
        pci_out(b, r >> 20 & 15, r >> 24 & 0xfc, (uint32_t)v, 4);
        break;
    case 10:
        p->apic_wrmsr(p->opaque, c, 0x800 + (r >> 20 & 0x3f), v);
        p->apic_rdmsr(p->opaque, c, 0x800 + (r >> 30 & 0x3f), &out);
        break;
    case 11:
        if (r >> 20 & 1) {
            p->apic_wrmsr(p->opaque, c, 0x1b, 0xfee00000 | (v & 0xd00));
        } else {
            p->apic_wrmsr(p->opaque, c, 0x6e0, v);
        }
        break;
    case 12:
        p->ack_interrupt(p->opaque, c);
        break;
    case 13:
        i8042_key(kbc, (uint16_t)v, r >> 20 & 1);
        i8042_mouse(kbc, (int)v, (int)(v >> 8), (int)(v >> 16), (unsigned)(v >> 24));
        break;
    default:
        clock_advance(b->m->clock, (int64_t)(rnd() % 100000));
        break;
    }
}

int main(void)
{
    struct bench b;
    struct error err = {{0}};
    struct x86_platform plat = {0};
    struct x86_cpu *c;
    bool ok = true;

    bench_open(&b);
    lapic_fill_platform(b.m, &plat);
    c = bench_cpu(&b, &plat);
    machine_set_current_vcpu(&c->v);
    struct ram *ram = memory_ram_create(b.m->memory, "ram", 4 << 20, &err);
    struct device *pic = bench_add(&b, &i8259_type), *ioapic = bench_add(&b, &ioapic_type);
    bench_must(lapic_create(b.m, c, &err), &err);
    gsi_wire(b.m, pic, ioapic);
    bench_must(i440fx_create(b.m, ram, 4 << 20, NULL, &err), &err);
    bench_must(piix3_create(b.m, &err), &err);
    bench_must(piix4_pm_create(b.m, &err), &err);
    bench_add(&b, &i8254_type);
    bench_add(&b, &mc146818_type);
    bench_add(&b, &hpet_type);
    bench_add(&b, &i8237_type);
    bench_add(&b, &port92_type);
    struct device *kbc = bench_add(&b, &i8042_type);

    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 20000; i++) {
            one_access(&b, c, &plat, kbc);
        }
        device_foreach(b.m, check_state, &ok);
        tap_ok(ok, "round %d: 20000 random accesses", round);
        if (round & 1) {
            devices_reset(b.m);
        }
    }
    machine_set_current_vcpu(NULL);
    bench_close(&b);
    free(c);
    return tap_done();
}
