/* PCI configuration, BARs and INTx; the 440FX, PIIX3 and PIIX4 functions. */
#include "cpu/x86.h"
#include "hw/pci/i440fx.h"
#include "tests/device/harness.h"

struct card {
    struct pci_device pci;
    uint64_t last_write;
};

static uint64_t card_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque;
    return 0x11223344u + offset + ((uint64_t)size << 56);
}
static void card_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)size;
    ((struct card *)opaque)->last_write = offset << 32 | value;
}
static const struct mmio_ops card_ops = {card_read, card_write, 1, 4};

static const struct state_field card_fields[] = {STATE_PCI(struct card, pci), STATE_END};
static void card_loaded(void *obj)
{
    pci_device_loaded(obj);
}
static const struct state_table card_state = {1, card_fields, card_loaded};

static bool card_realize(struct device *d, struct error *err)
{
    struct card *c = (struct card *)d;

    if (!pci_register(&c->pci, -1, err)) {
        return false;
    }
    pci_set_bar_mmio(&c->pci, 0, 0x1000, false, &card_ops, c);
    pci_set_bar_mmio(&c->pci, 1, 0x20, true, &card_ops, c);
    c->pci.bar[2].is64 = true;
    pci_set_bar_mmio(&c->pci, 2, 0x100000, false, &card_ops, c);
    struct ram *rom = memory_ram_create(d->machine->memory, "rom", 0x8000, err);
    rom->host[0] = 0x55;
    pci_set_bar_ram(&c->pci, 6, rom, false);
    unsigned cap = pci_add_capability(&c->pci, 0x09, 6);
    return cap == 0x40 && pci_add_capability(&c->pci, 0x05, 14) == 0x48;
}
static void card_reset(struct device *d)
{
    pci_device_reset((struct pci_device *)d);
}
static const struct pci_info card_info = {
    .vendor = 0x1234, .device = 0x5678, .class = 2, .interrupt_pin = 1};
static const struct device_type card_type = {
    .name = "card",
    .summary = "test card",
    .bus = BUS_PCI,
    .size = sizeof(struct card),
    .state = &card_state,
    .realize = card_realize,
    .reset = card_reset,
    .bus_info = &card_info,
};

static struct bench b;

static unsigned mem8(unsigned view, uint64_t a)
{
    return (unsigned)view_load(&b, view, a, 1);
}

static void config_space(unsigned dev)
{
    struct card *c = (struct card *)pci_find(pci_root(b.m), (uint8_t)dev);

    tap_ok(pci_in(&b, 0, 0, 4) == 0x12378086, "host bridge");
    tap_ok(pci_in(&b, 8, 0, 2) == 0x8086 && pci_in(&b, 8, 2, 2) == 0x7000, "ISA bridge by words");
    tap_ok(pci_in(&b, 8 + 3, 2, 1) == 0x13 && pci_in(&b, 8 + 3, 3, 1) == 0x71,
           "PM function by bytes");
    tap_ok(pci_in(&b, 8, 0xe, 1) == 0x80, "the bridge has several functions");
    tap_ok(pci_in(&b, 0x80, 0, 4) == 0xffffffff, "an empty slot");
    out32(&b, 0xcf8, 0x80010000);
    tap_ok(in32(&b, 0xcfc) == 0xffffffff, "another bus");
    out32(&b, 0xcf8, 0);
    tap_ok(in32(&b, 0xcfc) == 0xffffffff, "enable bit off");
    out32(&b, 0xcf8, 0x80000844);
    tap_ok(in32(&b, 0xcf8) == 0x80000844, "address register reads back");

    pci_out(&b, dev, 0x10, 0xffffffff, 4);
    tap_ok(pci_in(&b, dev, 0x10, 4) == 0xfffff000, "memory BAR size");
    pci_out(&b, dev, 0x14, 0xffffffff, 4);
    tap_ok(pci_in(&b, dev, 0x14, 4) == 0xffffffe1, "I/O BAR size");
    pci_out(&b, dev, 0x18, 0xffffffff, 4);
    pci_out(&b, dev, 0x1c, 0xffffffff, 4);
    tap_ok(pci_in(&b, dev, 0x18, 4) == 0xfff00004 && pci_in(&b, dev, 0x1c, 4) == 0xffffffff,
           "64-bit BAR size");
    pci_out(&b, dev, 0x30, 0xfffffffe, 4);
    tap_ok(pci_in(&b, dev, 0x30, 4) == 0xffff8000, "ROM BAR size");
    pci_out(&b, dev, 0x20, 0xffffffff, 4);
    tap_ok(pci_in(&b, dev, 0x20, 4) == 0, "absent BAR");

    pci_out(&b, dev, 0x10, 0xe0000000, 4);
    pci_out(&b, dev, 0x14, 0xc000, 4);
    pci_out(&b, dev, 0x18, 0, 4);
    pci_out(&b, dev, 0x1c, 0x1, 4);
    pci_out(&b, dev, 0x30, 0xe0100001, 4);
    tap_ok(memory_read32(b.m->memory, 0xe0000000) == 0xffffffff, "not decoded yet");
    pci_out(&b, dev, 4, 2, 2);
    tap_ok(memory_read32(b.m->memory, 0xe0000010) == 0x11223354, "memory decode on");
    tap_ok(in32(&b, 0xc000) == 0xffffffff, "I/O decode still off");
    pci_out(&b, dev, 4, 7, 1);
    tap_ok(in32(&b, 0xc004) == 0x11223348, "I/O decode on");
    out16(&b, 0xc006, 0xabcd);
    tap_ok(c->last_write == UINT64_C(0x60000abcd), "I/O write");
    tap_ok(memory_read32(b.m->memory, UINT64_C(0x100000020)) == 0x11223364,
           "64-bit BAR above 4 GiB");
    tap_ok(mem8(VIEW_NORMAL, 0xe0100000) == 0x55, "expansion ROM");
    pci_out(&b, dev, 0x30, 0xe0100000, 4);
    tap_ok(mem8(VIEW_NORMAL, 0xe0100000) == 0xff, "ROM disabled");
    pci_out(&b, dev, 0x10, 0xe0001000, 4);
    tap_ok(memory_read32(b.m->memory, 0xe0001000) == 0x11223344 &&
               memory_read32(b.m->memory, 0xe0000000) == 0xffffffff,
           "BAR moved");
    tap_ok(pci_in(&b, dev, 6, 2) & 0x10, "has capabilities");
    tap_ok(pci_in(&b, dev, 0x34, 1) == 0x48 && pci_in(&b, dev, 0x48, 2) == 0x4005 &&
               pci_in(&b, dev, 0x40, 2) == 0x0009,
           "capability list");
    pci_out(&b, dev, 0, 0, 4);
    tap_ok(pci_in(&b, dev, 0, 4) == 0x56781234, "ids are read only");
}

static void interrupts(unsigned dev)
{
    struct pci_device *p = pci_find(pci_root(b.m), (uint8_t)dev);

    /* dev is slot 2: INTA is PIRQB. */
    pci_set_intx(p, 1);
    tap_ok(!b.level[11] && (pci_in(&b, dev, 6, 2) & 8), "INTx shows in status, no route yet");
    pci_out(&b, 8, 0x61, 11, 1);
    tap_ok(b.level[11], "routed to IRQ 11");
    pci_out(&b, 8, 0x61, 10, 1);
    tap_ok(!b.level[11] && b.level[10], "rerouted to IRQ 10");
    pci_out(&b, dev, 4, 0x407, 2);
    tap_ok(!b.level[10] && (pci_in(&b, dev, 6, 2) & 8), "INTx disable");
    pci_out(&b, dev, 4, 0x007, 2);
    tap_ok(b.level[10], "and enable");
    tap_ok(state_round_trip(&p->dev), "card state saves and loads");
    tap_ok(b.level[10] && memory_read32(b.m->memory, 0xe0001000) == 0x11223344,
           "line and BAR are back");
    pci_set_intx(p, 0);
    tap_ok(!b.level[10], "deasserted");
    char *text = pci_describe(pci_root(b.m));
    tap_ok(strstr(text, "8086:7113") && strstr(text, "0xe0001000"), "info pci");
    free(text);
}

static void shadow(struct ram *ram)
{
    ram->host[0xf0000] = 0xaa;
    tap_ok(mem8(VIEW_NORMAL, 0xf0000) == 0x77, "ROM at F0000 after reset");
    pci_out(&b, 0, 0x59, 0x20, 1);
    view_store(&b, VIEW_NORMAL, 0xf0000, 0x12, 1);
    tap_ok(mem8(VIEW_NORMAL, 0xf0000) == 0x77 && ram->host[0xf0000] == 0x12,
           "write-only: reads ROM, writes RAM");
    pci_out(&b, 0, 0x59, 0x10, 1);
    view_store(&b, VIEW_NORMAL, 0xf0000, 0x34, 1);
    tap_ok(mem8(VIEW_NORMAL, 0xf0000) == 0x12, "read-only RAM");
    pci_out(&b, 0, 0x59, 0x30, 1);
    view_store(&b, VIEW_NORMAL, 0xf0000, 0x56, 1);
    tap_ok(mem8(VIEW_NORMAL, 0xf0000) == 0x56, "RAM");
    pci_out(&b, 0, 0x5a, 0x03, 1);
    pci_out(&b, 0, 0x5f, 0x30, 1);
    view_store(&b, VIEW_NORMAL, 0xc0000, 1, 1);
    view_store(&b, VIEW_NORMAL, 0xc4000, 2, 1);
    view_store(&b, VIEW_NORMAL, 0xec000, 3, 1);
    view_store(&b, VIEW_NORMAL, 0xe8000, 4, 1);
    tap_ok(mem8(VIEW_NORMAL, 0xc0000) == 1 && mem8(VIEW_NORMAL, 0xc4000) == 0xff &&
               mem8(VIEW_NORMAL, 0xec000) == 3 && mem8(VIEW_NORMAL, 0xe8000) == 0x66,
           "each nibble has its area");

    /* SMRAM, as SeaBIOS does it. */
    tap_ok(mem8(VIEW_NORMAL, 0xa8000) == 0xff && mem8(VIEW_SMM, 0xa8000) == 0xff, "SMRAM off");
    pci_out(&b, 0, 0x72, 0x4a, 1);
    view_store(&b, VIEW_NORMAL, 0xa8000, 0x99, 1);
    tap_ok(mem8(VIEW_NORMAL, 0xa8000) == 0x99, "D_OPEN");
    pci_out(&b, 0, 0x72, 0x0a, 1);
    tap_ok(mem8(VIEW_NORMAL, 0xa8000) == 0xff && mem8(VIEW_SMM, 0xa8000) == 0x99,
           "closed: only in SMM");
    pci_out(&b, 0, 0x72, 0x1a, 1);
    pci_out(&b, 0, 0x72, 0x4a, 1);
    tap_ok(pci_in(&b, 0, 0x72, 1) == 0x1a && mem8(VIEW_NORMAL, 0xa8000) == 0xff, "D_LCK");
    devices_reset(b.m);
    pci_out(&b, 0, 0x72, 0x4a, 1);
    tap_ok(mem8(VIEW_NORMAL, 0xa8000) == 0x99 && mem8(VIEW_NORMAL, 0xf0000) == 0x77,
           "reset unlocks, ROM is back");
}

static void power(struct device *pm)
{
    piix4_pm_set_smi(pm, (struct irq){bench_set_line, &b, 3});
    pci_out(&b, 11, 0x40, 0x601, 4);
    tap_ok(in16(&b, 0x604) == 0xffff, "PM block not decoded");
    pci_out(&b, 11, 0x80, 1, 1);
    tap_ok(in16(&b, 0x604) == 0, "decoded at 600");
    uint32_t t0 = in32(&b, 0x608);
    advance(&b, 1000000000);
    uint32_t t1 = in32(&b, 0x608);
    tap_ok(((t1 - t0) & 0xffffff) >= 3579544 && ((t1 - t0) & 0xffffff) <= 3579546,
           "PM timer: 3.579545 MHz, 24 bits");
    advance(&b, INT64_C(10000000000));
    tap_ok(in32(&b, 0x608) < 0x1000000, "never more than 24 bits");

    out8(&b, 0xb2, 0xf1);
    tap_ok(in16(&b, 0x604) & 1, "ACPI enable by port B2");
    memset(b.edges, 0, sizeof(b.edges));
    out16(&b, 0x600, 0xffff);
    piix4_pm_power_button(pm);
    tap_ok(!b.level[9] && (in16(&b, 0x600) & 0x100), "power button: status");
    out16(&b, 0x602, 0x100);
    tap_ok(b.level[9], "enabled: SCI");
    out16(&b, 0x600, 0x100);
    tap_ok(!b.level[9], "acknowledged");
    out16(&b, 0x602, 0x101);
    out16(&b, 0x600, 1);
    advance(&b, INT64_C(3000000000));
    tap_ok(b.level[9] && (in16(&b, 0x600) & 1), "timer overflow interrupts within 2.35 s");
    out16(&b, 0x602, 0);
    tap_ok(!b.level[9], "disabled");
    out16(&b, 0x60e, 2);
    piix4_pm_set_gpe(pm, 1, true);
    tap_ok(b.level[9] && in16(&b, 0xafe0) == 2 && in16(&b, 0xafe2) == 2, "GPE, at both places");
    piix4_pm_set_gpe(pm, 1, false);
    out16(&b, 0xafe0, 2);
    tap_ok(!b.level[9], "GPE acknowledged");

    out8(&b, 0xb3, 0x01);
    out8(&b, 0xb2, 0x00);
    tap_ok(b.edges[3] == 0 && in8(&b, 0xb3) == 1, "APM port without SMI");
    pci_out(&b, 11, 0x58, 1u << 25, 4);
    out32(&b, 0x628, in32(&b, 0x628) | 1);
    out8(&b, 0xb2, 0x00);
    tap_ok(b.edges[3] == 1 && (in16(&b, 0x618) & 0x20), "APM port with SMI");
    tap_ok(state_round_trip(pm) && in16(&b, 0x604) != 0xffff, "state saves and loads");
    out16(&b, 0x604, 0x2401);
    tap_ok(!(b.m->requests & REQUEST_SHUTDOWN), "another sleep type is not power off");
    out16(&b, 0x604, 0x2001);
    tap_ok(b.m->requests & REQUEST_SHUTDOWN, "SLP_EN with type 0 powers off");
}

int main(void)
{
    struct error err = {{0}};

    bench_open(&b);
    bench_isa_lines(&b);
    struct ram *ram = memory_ram_create(b.m->memory, "ram", 4 << 20, &err);
    struct ram *rom = memory_ram_create(b.m->memory, "bios", 256 << 10, &err);
    memset(rom->host, 0x66, rom->size);
    rom->host[0x30000] = 0x77;
    memory_map_ram(b.m->memory, IN_BOTH, 0xe0000, 0x20000, rom, 0x20000, true, MAP_PRIO_ROM);
    bench_must(i440fx_create(b.m, ram, 4 << 20, rom, &err), &err);
    bench_must(piix3_create(b.m, &err), &err);
    struct device *pm = bench_must(piix4_pm_create(b.m, &err), &err);
    struct device *card = bench_add(&b, &card_type);
    unsigned dev = ((struct pci_device *)card)->devfn;

    tap_ok(dev == 16, "first free slot is 2");
    memory_write32(b.m->memory, 0x3ffffc, 0xcafebabe);
    tap_ok(memory_read32(b.m->memory, 0x3ffffc) == 0xcafebabe &&
               memory_read32(b.m->memory, 0x400000) == 0xffffffff,
           "RAM to its end");
    config_space(dev);
    interrupts(dev);
    shadow(ram);
    power(pm);
    b.m->requests = 0;
    out8(&b, 0xcf9, 2);
    tap_ok(in8(&b, 0xcf9) == 2 && !(b.m->requests & REQUEST_RESET), "reset control: armed");
    out8(&b, 0xcf9, 6);
    tap_ok(b.m->requests & REQUEST_RESET, "reset control: reset");
    tap_ok(!isa_claim_ports(card, 0xb3, 4, &card_ops, card, &err) && strstr(err.msg, "PIIX4_PM"),
           "ports have one owner: %s", err.msg);
    bench_close(&b);
    return tap_done();
}
