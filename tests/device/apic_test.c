/* Local APIC, I/O APIC and the way from the lines to the processor. The processors are only their
 * state. */
#include "cpu/cpuid.h"
#include "cpu/x86.h"
#include "hw/intc/apic.h"
#include "hw/intc/gsi.h"
#include "hw/intc/i8259.h"
#include "tests/device/harness.h"

enum { NCPU = 3 };
static struct bench b;
static struct x86_cpu *cpu[NCPU];
static struct x86_platform plat;
static struct x86_model model;

static uint32_t rd(unsigned n, unsigned reg)
{
    machine_set_current_vcpu(&cpu[n]->v);
    uint32_t v = memory_read32(b.m->memory, 0xfee00000 + reg);
    machine_set_current_vcpu(NULL);
    return v;
}
static void wr(unsigned n, unsigned reg, uint32_t v)
{
    machine_set_current_vcpu(&cpu[n]->v);
    memory_write32(b.m->memory, 0xfee00000 + reg, v);
    machine_set_current_vcpu(NULL);
}
static bool has(unsigned n, unsigned req)
{
    return atomic_load(&cpu[n]->v.irq_request) & req;
}
static int ack(unsigned n)
{
    return has(n, X86_REQ_INTR) ? plat.ack_interrupt(plat.opaque, cpu[n]) : -2;
}
static void take(unsigned n, unsigned req)
{
    atomic_fetch_and(&cpu[n]->v.irq_request, ~req);
}
static bool wrmsr(unsigned n, uint32_t msr, uint64_t v)
{
    return plat.apic_wrmsr(plat.opaque, cpu[n], msr, v);
}
static uint64_t rdmsr(unsigned n, uint32_t msr)
{
    uint64_t v = 0;
    return plat.apic_rdmsr(plat.opaque, cpu[n], msr, &v) ? v : UINT64_MAX;
}
static uint32_t io_rd(unsigned reg)
{
    memory_write32(b.m->memory, 0xfec00000, reg);
    return memory_read32(b.m->memory, 0xfec00010);
}
static void io_wr(unsigned reg, uint32_t v)
{
    memory_write32(b.m->memory, 0xfec00000, reg);
    memory_write32(b.m->memory, 0xfec00010, v);
}
static void rte(unsigned pin, uint32_t low, uint32_t dest)
{
    io_wr(0x11 + 2 * pin, dest << 24);
    io_wr(0x10 + 2 * pin, low);
}

static void local(void)
{
    tap_ok((rd(0, 0x30) & 0xff) == 0x14 && (rd(0, 0x30) >> 16 & 0xff) == 5, "version");
    tap_ok(rd(0, 0x20) == 0 && rd(2, 0x20) == 0x02000000, "each processor sees its own id");
    tap_ok(rdmsr(0, 0x1b) == 0xfee00900 && rdmsr(1, 0x1b) == 0xfee00800, "IA32_APIC_BASE");
    tap_ok(rd(0, 0x350) == 0x700 && rd(1, 0x350) == 0x10000,
           "LINT0: virtual wire on the first processor");
    for (unsigned n = 0; n < NCPU; n++) {
        wr(n, 0xf0, 0x1ff);
    }
}

static void priorities(void)
{
    wr(0, 0x300, 0x40000 | 0x51);
    tap_ok(has(0, X86_REQ_INTR) && (rd(0, 0x220) >> 17 & 1), "self IPI is in the IRR");
    wr(0, 0x80, 0x50);
    tap_ok(!has(0, X86_REQ_INTR), "TPR holds its class back");
    wr(0, 0x300, 0x40000 | 0x61);
    tap_ok(ack(0) == 0x61, "a higher class passes");
    tap_ok((rd(0, 0x130) >> 1 & 1) && rd(0, 0xa0) == 0x60, "ISR and PPR");
    wr(0, 0x80, 0);
    tap_ok(!has(0, X86_REQ_INTR), "the one in service holds the lower one back");
    wr(0, 0xb0, 0);
    tap_ok(ack(0) == 0x51 && rd(0, 0xa0) == 0x50, "EOI lets it through");
    wr(0, 0xb0, 0);
    tap_ok(rd(0, 0xa0) == 0 && ack(0) == -2, "nothing left");
    plat.apic_set_tpr(plat.opaque, cpu[0], 9);
    tap_ok(rd(0, 0x80) == 0x90 && plat.apic_tpr(plat.opaque, cpu[0]) == 9,
           "CR8 is the TPR's class");
    plat.apic_set_tpr(plat.opaque, cpu[0], 0);
    wr(0, 0x300, 0x40000 | 0x05);
    wr(0, 0x280, 0);
    tap_ok(rd(0, 0x280) == 0x20, "sending vector 5 is an error");
    wr(0, 0x280, 0);
    tap_ok(rd(0, 0x280) == 0, "error cleared");
    tap_ok(rd(0, 0x3f0) == 0, "no self-IPI register in xAPIC mode");
    wr(0, 0x280, 0);
    tap_ok(rd(0, 0x280) == 0x80, "which is an illegal register");
    tap_ok(memory_read32(b.m->memory, 0xfee00030) == 0xffffffff, "nobody's page");
}

static void ipis(void)
{
    wr(0, 0x310, 1u << 24);
    wr(0, 0x300, 0x4500);
    tap_ok(has(1, X86_REQ_INIT) && !has(2, X86_REQ_INIT) && !has(0, X86_REQ_INIT), "INIT to one");
    take(1, X86_REQ_INIT);
    wr(0, 0x300, 0x8500);
    tap_ok(!has(1, X86_REQ_INIT), "INIT de-assert does nothing");
    wr(0, 0x300, 0x4699);
    tap_ok(has(1, X86_REQ_SIPI) && cpu[1]->sipi_vector == 0x99, "SIPI with its vector");
    take(1, X86_REQ_SIPI);
    wr(0, 0x300, 0xc4500);
    tap_ok(has(1, X86_REQ_INIT) && has(2, X86_REQ_INIT) && !has(0, X86_REQ_INIT),
           "INIT to all but self");
    take(1, X86_REQ_INIT);
    take(2, X86_REQ_INIT);
    wr(0, 0x300, 0x80400);
    tap_ok(has(0, X86_REQ_NMI) && has(1, X86_REQ_NMI) && has(2, X86_REQ_NMI), "NMI to all");
    wr(0, 0x310, 2u << 24);
    wr(0, 0x300, 0x200);
    tap_ok(has(2, X86_REQ_SMI) && !has(1, X86_REQ_SMI), "SMI to one");
    for (unsigned n = 0; n < NCPU; n++) {
        take(n, X86_REQ_NMI | X86_REQ_SMI);
        wr(n, 0xf0, 0x1ff);
        wr(n, 0xd0, 1u << (24 + n));
    }
    wr(0, 0x310, 6u << 24);
    wr(0, 0x300, 0x800 | 0x44);
    tap_ok(ack(1) == 0x44 && ack(2) == 0x44 && ack(0) == -2, "logical, flat model: two of three");
    wr(1, 0xb0, 0);
    wr(2, 0xb0, 0);
    wr(1, 0x80, 0x30);
    wr(0, 0x300, 0x900 | 0x44);
    tap_ok(ack(1) == -2 && ack(2) == 0x44, "lowest priority goes to the lower TPR");
    wr(2, 0xb0, 0);
    wr(1, 0x80, 0);
    for (unsigned n = 0; n < NCPU; n++) {
        wr(n, 0xe0, 0x0fffffff);
        wr(n, 0xd0, (n == 2 ? 0x21u : 0x11u << n) << 24); /* 11, 22, 21 */
    }
    wr(0, 0x310, 0x23u << 24);
    wr(0, 0x300, 0x800 | 0x45);
    tap_ok(ack(1) == 0x45 && ack(2) == 0x45 && ack(0) == -2, "logical, cluster model");
    wr(1, 0xb0, 0);
    wr(2, 0xb0, 0);
    apic_send_msi(b.m, 0xfee01000, 0x4046);
    tap_ok(ack(1) == 0x46, "MSI to processor 1");
    wr(1, 0xb0, 0);
    memory_write32(b.m->memory, 0xfee02000 & 0xfee00fff, 0x47);
    tap_ok(ack(0) == 0x47, "a device's write to the page is an MSI");
    wr(0, 0xb0, 0);
    wr(1, 0xf0, 0xff);
    wr(0, 0x310, 1u << 24);
    wr(0, 0x300, 0x48);
    tap_ok(ack(1) == -2 && rd(1, 0x320) & 0x10000, "software-disabled: not accepted, LVT masked");
    wr(1, 0xf0, 0x1ff);
    for (unsigned n = 0; n < NCPU; n++) {
        wr(n, 0xe0, 0xffffffff);
    }
}

static void timer(void)
{
    wr(0, 0x3e0, 0xb);
    wr(0, 0x320, 0x60);
    wr(0, 0x380, 1000000);
    advance(&b, 250000);
    tap_ok(rd(0, 0x390) == 750000 && ack(0) == -2, "counts at 1 GHz");
    advance(&b, 750000);
    tap_ok(ack(0) == 0x60 && rd(0, 0x390) == 0, "one-shot fires");
    wr(0, 0xb0, 0);
    advance(&b, 10000000);
    tap_ok(ack(0) == -2, "once");
    wr(0, 0x3e0, 0x3); /* by 16 */
    wr(0, 0x320, 0x20060);
    wr(0, 0x380, 62500); /* 1 ms */
    int n = 0;
    for (int i = 0; i < 1000; i++) {
        advance(&b, 100000);
        if (ack(0) == 0x60) {
            n++;
            wr(0, 0xb0, 0);
        }
    }
    tap_ok(n == 100, "periodic: 100 in 100 ms (%d)", n);
    advance(&b, 500000);
    uint32_t c = rd(0, 0x390);
    tap_ok(c == 31250, "half a period left (%u)", c);
    wr(0, 0x3e0, 0x8); /* by 32 */
    tap_ok(rd(0, 0x390) == 31250, "a new divisor keeps the count");
    advance(&b, 500000);
    tap_ok(rd(0, 0x390) == 15625, "and counts half as fast");
    wr(0, 0x320, 0x30060);
    advance(&b, 5000000);
    while (ack(0) == 0x60) {
        wr(0, 0xb0, 0);
    }
    wr(0, 0x380, 0);
    advance(&b, 5000000);
    tap_ok(ack(0) == -2, "initial count 0 stops it");

    wr(0, 0x320, 0x40061);
    uint64_t tsc = x86_read_tsc(cpu[0]);
    wrmsr(0, 0x6e0, tsc + 1000);
    tap_ok(rdmsr(0, 0x6e0) == tsc + 1000, "deadline armed");
    int64_t when = x86_tsc_to_clock(cpu[0], tsc + 1000) - clock_now(b.m->clock);
    advance(&b, when - 1);
    tap_ok(ack(0) == -2, "not before the TSC is there");
    advance(&b, 1);
    tap_ok(ack(0) == 0x61 && rdmsr(0, 0x6e0) == 0, "then it fires and disarms");
    wr(0, 0xb0, 0);
    wrmsr(0, 0x6e0, tsc);
    advance(&b, 0);
    tap_ok(ack(0) == 0x61, "a deadline in the past fires at once");
    wr(0, 0xb0, 0);
    wrmsr(0, 0x6e0, UINT64_MAX);
    advance(&b, 1000000000);
    tap_ok(ack(0) == -2, "a deadline at the end of time does not");
    wr(0, 0x320, 0x10060);
    tap_ok(rdmsr(0, 0x6e0) == 0, "leaving the mode disarms");
}

static void io(struct device *pic)
{
    tap_ok(io_rd(1) == 0x00170020, "I/O APIC: 24 pins");
    tap_ok(io_rd(0x10) & 0x10000, "pins are masked");
    rte(2, 0x30, 0);
    irq_set(isa_irq(b.m, 0), 1);
    tap_ok(ack(0) == 0x30, "IRQ 0 comes in at pin 2");
    wr(0, 0xb0, 0);
    irq_set(isa_irq(b.m, 0), 0);
    tap_ok(ack(0) == -2, "one edge, one interrupt");
    rte(4, 0x10034, 1);
    irq_set(isa_irq(b.m, 4), 1);
    rte(4, 0x34, 1);
    tap_ok(ack(1) == -2, "an edge on a masked pin is lost");
    irq_set(isa_irq(b.m, 4), 0);
    irq_set(isa_irq(b.m, 4), 1);
    tap_ok(ack(1) == 0x34, "the next one goes to processor 1");
    wr(1, 0xb0, 0);
    irq_set(isa_irq(b.m, 4), 0);

    rte(11, 0x803b, 0);
    irq_set(&isa_bus(b.m)->pci_irqs[11], 1);
    tap_ok(ack(0) == 0x3b && (io_rd(0x10 + 22) & 0x4000), "level: delivered, remote IRR set");
    tap_ok(rd(0, 0x190) >> 27 & 1, "TMR says level");
    wr(0, 0xb0, 0);
    tap_ok(ack(0) == 0x3b, "EOI while asserted: again");
    irq_set(&isa_bus(b.m)->pci_irqs[11], 0);
    wr(0, 0xb0, 0);
    tap_ok(ack(0) == -2 && !(io_rd(0x10 + 22) & 0x4000), "EOI after the line fell: done");
    irq_set(&isa_bus(b.m)->pci_irqs[11], 1);
    irq_set(isa_irq(b.m, 11), 1);
    irq_set(isa_irq(b.m, 11), 0);
    tap_ok(ack(0) == 0x3b, "two sources share the line");
    rte(11, 0x1803b, 0);
    wr(0, 0xb0, 0);
    tap_ok(ack(0) == -2, "masked in service: silent after the EOI");
    rte(11, 0x803b, 0);
    tap_ok(ack(0) == 0x3b, "unmasked: the level is still there");
    memory_write32(b.m->memory, 0xfec00040, 0x3b);
    tap_ok(has(0, 0) == 0 && (rd(0, 0x210) >> 27 & 1), "directed EOI: sent again at once");
    irq_set(&isa_bus(b.m)->pci_irqs[11], 0);
    wr(0, 0xb0, 0);
    ack(0);
    wr(0, 0xb0, 0);
    rte(11, 0x10000, 0);

    /* The 8259 through LINT0. */
    out8(&b, 0x20, 0x11);
    out8(&b, 0x21, 0x08);
    out8(&b, 0x21, 4);
    out8(&b, 0x21, 1);
    wr(0, 0x350, 0x700);
    irq_set(isa_irq(b.m, 1), 1);
    tap_ok(has(0, X86_REQ_INTR) && !has(1, X86_REQ_INTR),
           "ExtINT through LINT0 of the first processor");
    wr(0, 0x350, 0x10700);
    tap_ok(!has(0, X86_REQ_INTR), "masked");
    wr(0, 0x350, 0x700);
    tap_ok(ack(0) == 9 && ack(0) == -2, "the vector comes from the 8259");
    out8(&b, 0x20, 0x20);
    irq_set(isa_irq(b.m, 1), 0);
    wr(0, 0x350, 0x10000);
    rte(0, 0x700, 0);
    irq_set(isa_irq(b.m, 1), 1);
    tap_ok(ack(0) == 9, "ExtINT through the I/O APIC's pin 0");
    out8(&b, 0x20, 0x20);
    irq_set(isa_irq(b.m, 1), 0);
    rte(0, 0x10000, 0);
    wr(0, 0x350, 0x400);
    irq_set(isa_irq(b.m, 1), 1);
    tap_ok(has(0, X86_REQ_NMI), "LINT0 as NMI: the timer watchdog's way");
    take(0, X86_REQ_NMI);
    i8259_ack(pic);
    out8(&b, 0x20, 0x20);
    irq_set(isa_irq(b.m, 1), 0);
    wr(0, 0x360, 0x400);
    lapic_pulse_lint1(b.m);
    tap_ok(has(0, X86_REQ_NMI) && !has(1, X86_REQ_NMI), "LINT1 as NMI");
    take(0, X86_REQ_NMI);

    tap_ok(wrmsr(0, 0x1b, 0xfee00000) && !(rdmsr(0, 0x1b) & 0x800), "APIC off");
    tap_ok(rd(0, 0x30) == 0xffffffff, "its page is gone");
    irq_set(isa_irq(b.m, 1), 1);
    tap_ok(ack(0) == 9, "the 8259 drives INTR directly");
    out8(&b, 0x20, 0x20);
    irq_set(isa_irq(b.m, 1), 0);
    wrmsr(0, 0x1b, 0xfee00900);
    wr(0, 0xf0, 0x1ff);
}

static void x2apic(void)
{
    tap_ok(!wrmsr(1, 0x1b, 0xfee00400), "EXTD without EN: #GP");
    tap_ok(rdmsr(1, 0x802) == UINT64_MAX, "MSRs fault in xAPIC mode");
    for (unsigned n = 0; n < NCPU; n++) {
        tap_ok(wrmsr(n, 0x1b, 0xfee00c00 | (n ? 0 : 0x100)), "processor %u enters x2APIC mode", n);
        wrmsr(n, 0x80f, 0x1ff);
    }
    tap_ok(rd(2, 0x20) == 0xffffffff, "the page is gone");
    tap_ok(rdmsr(2, 0x802) == 2 && rdmsr(2, 0x80d) == 4, "id and logical id");
    tap_ok(wrmsr(0, 0x830, UINT64_C(0x200000000) | 0x70) && ack(2) == 0x70, "IPI by one MSR write");
    tap_ok(wrmsr(2, 0x80b, 0) && !wrmsr(2, 0x80b, 1), "EOI takes 0 only");
    tap_ok(wrmsr(0, 0x830, UINT64_C(0x600000000) | 0x800 | 0x71) && ack(1) == 0x71 &&
               ack(2) == 0x71 && ack(0) == -2,
           "logical destination");
    wrmsr(1, 0x80b, 0);
    wrmsr(2, 0x80b, 0);
    tap_ok(wrmsr(0, 0x83f, 0x72) && ack(0) == 0x72, "self IPI");
    wrmsr(0, 0x80b, 0);
    tap_ok(!wrmsr(0, 0x802, 0) && !wrmsr(0, 0x80e, 0) && !wrmsr(0, 0x831, 0) &&
               !wrmsr(0, 0x808, 0x100),
           "reserved: #GP");
    rte(5, 0x73, 2);
    irq_set(isa_irq(b.m, 5), 1);
    tap_ok(ack(2) == 0x73, "the I/O APIC reaches it by its id");
    wrmsr(2, 0x80b, 0);
    tap_ok(wrmsr(0, 0x830, UINT64_C(0xffffffff00000000) | 0x74) && ack(0) == 0x74 && ack(1) == 0x74,
           "broadcast");
    wrmsr(0, 0x80b, 0);
    wrmsr(1, 0x80b, 0);
    ack(2);
    wrmsr(2, 0x80b, 0);
    tap_ok(!wrmsr(1, 0x1b, 0xfee00800), "back to xAPIC directly: #GP");
    tap_ok(wrmsr(1, 0x1b, 0xfee00000) && !wrmsr(1, 0x1b, 0xfee00c00),
           "off, but not straight to x2APIC");
    tap_ok(wrmsr(1, 0x1b, 0xfee00800), "off to xAPIC");
    model.feat[X86F_X2APIC >> 6] &= ~(UINT64_C(1) << (X86F_X2APIC & 63));
    tap_ok(!wrmsr(1, 0x1b, 0xfee00c00), "a model without x2APIC: #GP");
}

/* A handler that leaves its device's line asserted: the interrupted code gets on all the same. */
static void storm(void)
{
    unsigned times = 0;

    rte(10, 0x803a, 0);
    irq_set(&isa_bus(b.m)->pci_irqs[10], 1);
    while (times < 100000 && ack(0) == 0x3a) {
        times++;
        wr(0, 0xb0, 0);
    }
    tap_ok(times > 100 && times < 1000, "a line that stays asserted: quiet after %u interrupts",
           times);
    advance(&b, 50000);
    tap_ok(ack(0) == -2, "for some time");
    advance(&b, 60000);
    tap_ok(ack(0) == 0x3a, "then it interrupts again");
    wr(0, 0xb0, 0);
    tap_ok(ack(0) == -2, "once");
    advance(&b, 110000);
    tap_ok(ack(0) == 0x3a, "and once more");
    irq_set(&isa_bus(b.m)->pci_irqs[10], 0);
    wr(0, 0xb0, 0);
    irq_set(&isa_bus(b.m)->pci_irqs[10], 1);
    tap_ok(ack(0) == 0x3a, "an EOI that finds it low ends that: the next edge comes at once");
    wr(0, 0xb0, 0);
    tap_ok(ack(0) == 0x3a, "and so does the EOI after it");
    irq_set(&isa_bus(b.m)->pci_irqs[10], 0);
    wr(0, 0xb0, 0);
    rte(10, 0x10000, 0);
}

int main(void)
{
    struct error err = {{0}};
    struct device *lapic[NCPU];

    bench_open(&b);
    model.feat[X86F_X2APIC >> 6] = UINT64_C(1) << (X86F_X2APIC & 63);
    model.feat[X86F_APIC >> 6] |= UINT64_C(1) << (X86F_APIC & 63);
    for (unsigned n = 0; n < NCPU; n++) {
        cpu[n] = bench_cpu(&b, &plat);
        cpu[n]->model = &model;
        lapic[n] = bench_must(lapic_create(b.m, cpu[n], &err), &err);
    }
    lapic_fill_platform(b.m, &plat);
    struct device *pic = bench_add(&b, &i8259_type), *ioapic = bench_add(&b, &ioapic_type);
    gsi_wire(b.m, pic, ioapic);

    local();
    priorities();
    ipis();
    timer();
    storm();
    io(pic);
    tap_ok(state_round_trip(lapic[0]) && state_round_trip(ioapic), "states save and load");
    x2apic();
    tap_ok(state_round_trip(lapic[2]), "x2APIC state saves and loads");
    bench_close(&b);
    for (unsigned n = 0; n < NCPU; n++) {
        free(cpu[n]);
    }
    return tap_done();
}
