/* Fuzzes the AHCI controller: registers, command lists, frames, region lists and packets from the
 * input. */
#include "host/le.h"
#include "host/mainloop.h"
#include "hw/ide/ahci.h"
#include "tests/device/harness.h"
#include "tests/fuzz/disk_fuzz.h"

enum { BAR = 0xe0000000u, LIST = 0x10000, AREA = 0x11000, TABLE = 0x12000, DATA = 0x20000 };

static int routing(struct pci_device *p, int pin)
{
    (void)p;
    return pin;
}

static void put(unsigned port, unsigned reg, uint32_t v)
{
    memory_view_store(bench.m->memory, VIEW_NORMAL, BAR + 0x100 + 0x80 * port + reg, v, 4);
}

static void set_up(void)
{
    struct error err = {{0}};
    struct irq line = {bench_set_line, &bench, 0};

    fuzz_bench();
    pci_bus_create(bench.m, 0, routing, &line, 1);
    struct device *d = bench_add(&bench, &ahci_type);
    if (!ide_attach(ahci_channel(d, 0), 0, fuzz_image(512), false, d, &err) ||
        !ide_attach(ahci_channel(d, 1), 0, fuzz_image(512), true, d, &err)) {
        abort();
    }
    struct pci_device *p = (struct pci_device *)d;
    pci_config_write(p->bus, 0, p->devfn, 0x24, BAR, 4);
    pci_config_write(p->bus, 0, p->devfn, 4, 6, 2);
}

static void fill_slot(struct input *in, unsigned slot, unsigned port)
{
    static const uint8_t commands[] = {0xec, 0xa1, 0xa0, 0x25, 0x35, 0xc8, 0xca, 0x24,
                                       0x34, 0x60, 0x61, 0x2f, 0xea, 0xef, 0x42, 0xc4,
                                       0xc5, 0xc6, 0x08, 0x90, 0xa0, 0xa0};
    uint8_t header[32] = {5}, table[0x80 + 64] = {0x27, 0x80};
    unsigned n = take(in, 1);

    header[1] = (uint8_t)take(in, 1);
    le_put16(header + 2, (uint16_t)(take(in, 1) & 7));
    le_put64(header + 8, n == 255 ? UINT64_MAX - 64 : TABLE + 0x100 * slot);
    table[1] = n & 0x40 ? (uint8_t)take(in, 1) : 0x80;
    table[2] = n & 0x80 ? (uint8_t)take(in, 1) : commands[n % sizeof(commands)];
    for (unsigned i = 3; i < 16; i++) {
        table[i] = (uint8_t)(i == 5 || i == 6 || i == 8 || i == 9 || i == 10 ? 0 : take(in, 1));
    }
    if (port == 1) {
        for (unsigned i = 0x40; i < 0x4c; i++) {
            table[i] = (uint8_t)take(in, 1);
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        uint32_t where = take(in, 2);
        le_put64(table + 0x80 + 16 * i, where < 0x200 ? FUZZ_RAM - where : DATA + where);
        le_put32(table + 0x8c + 16 * i, take(in, 2));
    }
    memory_write(bench.m->memory, LIST + 32 * slot, header, sizeof(header));
    memory_write(bench.m->memory, TABLE + 0x100 * slot, table, sizeof(table));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    if (!bench.m) {
        set_up();
    }
    devices_reset(bench.m);
    struct pci_device *p = (struct pci_device *)device_find_type(bench.m, &ahci_type);
    pci_config_write(p->bus, 0, p->devfn, 0x24, BAR, 4);
    pci_config_write(p->bus, 0, p->devfn, 4, 6, 2);
    for (unsigned i = 0; i < 2; i++) {
        put(i, 0x00, LIST);
        put(i, 0x08, AREA);
        put(i, 0x14, UINT32_MAX);
        put(i, 0x18, 0x11);
    }
    while (in.p < in.end) {
        unsigned op = take(&in, 1), port = op >> 6 & 1, slot = op >> 3 & 7;
        switch (op & 7) {
        case 0:
        case 1:
        case 2:
            fill_slot(&in, slot, port);
            put(port, 0x34, op & 4 ? 1u << slot : 0);
            put(port, 0x34, 1u << slot);
            put(port, 0x38, 1u << slot);
            break;
        case 3:
            put(port, 0x38, take(&in, 1));
            break;
        case 4:
            put(port, 0x18, op & 0x80 ? 0x10 : 0x11);
            break;
        case 5:
            put(take(&in, 1) % 7, take(&in, 1) & 0x7c, take(&in, 4));
            break;
        case 6:
            memory_view_load(bench.m->memory, VIEW_NORMAL, BAR + (take(&in, 2) & 0xffc), 4);
            break;
        default:
            fuzz_settle();
            break;
        }
    }
    fuzz_drain();
    return 0;
}
