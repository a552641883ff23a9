/* The HPET through its registers. */
#include "hw/intc/apic.h"
#include "hw/timer/timers.h"
#include "tests/device/harness.h"

#define HPET UINT64_C(0xfed00000)

static uint32_t rd(struct bench *b, unsigned reg)
{
    return memory_read32(b->m->memory, HPET + reg);
}
static void wr(struct bench *b, unsigned reg, uint32_t v)
{
    memory_write32(b->m->memory, HPET + reg, v);
}

/* Level of an I/O APIC pin, from its state. */
static bool pin(struct device *ioapic, unsigned n)
{
    char *text = state_describe(ioapic->type->state, ioapic);
    unsigned long lines = strtoul(strstr(text, "lines ") + 6, NULL, 0);

    free(text);
    return lines >> n & 1;
}

int main(void)
{
    struct bench b;

    bench_open(&b);
    bench_isa_lines(&b);
    struct device *ioapic = bench_add(&b, &ioapic_type);
    struct device *hpet = bench_add(&b, &hpet_type);

    tap_ok(rd(&b, 4) == 10000000, "period 10 ns");
    tap_ok(rd(&b, 0) == 0x8086a201, "3 timers, 64 bits, legacy replacement");
    advance(&b, 1000);
    tap_ok(rd(&b, 0xf0) == 0, "stands still until enabled");
    wr(&b, 0x10, 1);
    advance(&b, 1000000);
    tap_ok(rd(&b, 0xf0) == 100000, "1 ms is 100000 ticks");
    wr(&b, 0x10, 0);
    advance(&b, 1000000);
    tap_ok(rd(&b, 0xf0) == 100000, "stopped");
    memory_write64(b.m->memory, HPET + 0xf0, UINT64_C(0x1fffffff0));
    tap_ok(memory_read64(b.m->memory, HPET + 0xf0) == UINT64_C(0x1fffffff0),
           "written while stopped");
    wr(&b, 0x10, 1);
    advance(&b, 1000);
    tap_ok(memory_read64(b.m->memory, HPET + 0xf0) == UINT64_C(0x200000054), "64-bit carry");

    /* PIT and RTC pass through until legacy mode. */
    irq_set(isa_irq(b.m, 0), 1);
    tap_ok(b.level[0] == 1, "the PIT's line passes");
    wr(&b, 0x10, 3);
    tap_ok(b.level[0] == 0, "legacy replacement takes it over");
    irq_set(isa_irq(b.m, 0), 0);
    irq_set(isa_irq(b.m, 0), 1);
    tap_ok(b.level[0] == 0, "the PIT is cut off");

    /* What Linux does: periodic timer 0 at 250 Hz by 32-bit writes. */
    wr(&b, 0x10, 2);
    wr(&b, 0xf0, 0);
    wr(&b, 0xf4, 0);
    wr(&b, 0x100, 0x4 | 0x8 | 0x40 | 0x100);
    wr(&b, 0x108, 400000);
    wr(&b, 0x108, 400000);
    wr(&b, 0x10, 3);
    memset(b.edges, 0, sizeof(b.edges));
    advance(&b, 1000000000);
    tap_ok(b.edges[0] == 250, "periodic: 250 a second (%d)", b.edges[0]);
    tap_ok((rd(&b, 0x100) & 0x18) == 0x18, "periodic, and able to");

    wr(&b, 0x100, 0x4 | 0x8 | 0x40 | 0x100);
    wr(&b, 0x108, rd(&b, 0xf0) + 1);
    wr(&b, 0x108, 1);
    memset(b.edges, 0, sizeof(b.edges));
    advance(&b, 100000000);
    tap_ok(b.edges[0] > 1000 && b.edges[0] <= 5001,
           "a period of 10 ns does not flood the host (%d in 100 ms)", b.edges[0]);
    wr(&b, 0x100, 0);

    /* One-shot on timer 1 (IRQ 8). */
    wr(&b, 0x120, 4);
    wr(&b, 0x12c, 0);
    wr(&b, 0x128, rd(&b, 0xf0) + 1000);
    memset(b.edges, 0, sizeof(b.edges));
    advance(&b, 9990);
    tap_ok(b.edges[8] == 0, "one-shot: not yet");
    advance(&b, 100000);
    tap_ok(b.edges[8] == 1, "one-shot: once");

    /* Level-triggered timer 2 on pin 23 of the I/O APIC. */
    wr(&b, 0x140, 2 | 4 | 23 << 9);
    tap_ok((rd(&b, 0x140) >> 9 & 31) == 23, "route 23 sticks");
    wr(&b, 0x140, 2 | 4 | 3 << 9);
    tap_ok((rd(&b, 0x140) >> 9 & 31) == 23, "route 3 is not there");
    wr(&b, 0x14c, 0);
    wr(&b, 0x148, rd(&b, 0xf0) + 100);
    advance(&b, 2000);
    tap_ok(pin(ioapic, 23) && rd(&b, 0x20) == 4, "level: line and status");
    wr(&b, 0x20, 4);
    tap_ok(!pin(ioapic, 23) && rd(&b, 0x20) == 0, "writing 1 clears both");
    tap_ok(state_round_trip(hpet), "state saves and loads");

    wr(&b, 0x10, 1);
    tap_ok(b.level[0] == 1, "legacy off: the PIT's level is back");
    bench_close(&b);
    return tap_done();
}
