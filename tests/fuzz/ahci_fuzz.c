/* Fuzzes the AHCI controller: registers, command lists, frames, region lists and packets from the
 * input. */
#include "tests/fuzz/fuzz.h"

#include "hw/ide/ahci.h"

enum { RAM = 1 << 20, DISK = 256 << 10 };
enum { BAR = 0xe0000000u, LIST = 0x10000, AREA = 0x11000, TABLE = 0x12000, DATA = 0x20000 };

static struct device *hba;
static struct block *image[2];

static void put(unsigned port, unsigned reg, uint32_t v)
{
    memory_view_store(fuzz.bench.m->memory, VIEW_NORMAL, BAR + 0x100 + 0x80 * port + reg, v, 4);
}

static void set_up(void)
{
    struct error err = {{0}};

    fuzz_machine(RAM);
    fuzz_pci();
    hba = bench_add(&fuzz.bench, &ahci_type);
    for (unsigned i = 0; i < 2; i++) {
        image[i] = fuzz_image(DISK);
        if (!ide_attach(ahci_channel(hba, i), 0, image[i], i == 1, hba, &err)) {
            abort();
        }
    }
}

/* A command: its header, its table and its list of regions. */
static void fill_slot(struct input *in, unsigned slot, unsigned port)
{
    static const uint8_t commands[] = {0xec, 0xa1, 0xa0, 0x25, 0x35, 0xc8, 0xca, 0x24, 0x34,
                                       0x60, 0x61, 0x2f, 0xea, 0xef, 0x42, 0xc4, 0xc5, 0xc6,
                                       0x08, 0x90, 0xa0, 0xa0, 0x06, 0xf5, 0x29, 0x39, 0xb0,
                                       0x20, 0x30, 0x27, 0xf8, 0xe5, 0xe0, 0x10, 0x91};
    uint8_t header[32] = {5}, table[0x80 + 64] = {0x27, 0x80};
    unsigned n = take(in, 1);

    header[0] |= (uint8_t)(n & 0x20 ? take(in, 1) & 0xe0 : 0);
    header[1] = (uint8_t)take(in, 1);
    le_put16(header + 2, (uint16_t)(take(in, 1) & 7));
    le_put64(header + 8, n == 255 ? UINT64_MAX - 64 : TABLE + 0x100 * slot);
    table[1] = n & 0x40 ? (uint8_t)take(in, 1) : 0x80;
    table[2] = commands[take(in, 1) % sizeof(commands)];
    table[2] = n & 0x80 ? (uint8_t)take(in, 1) : table[2];
    for (unsigned i = 3; i < 16; i++) {
        bool high = i == 5 || i == 6 || i == 8 || i == 9 || i == 10; /* seldom beyond the disk */
        table[i] = (uint8_t)(high && !(n & 0x10) ? 0 : take(in, 1));
    }
    table[7] |= 0x40;
    if (port == 1) {
        take_bytes(in, table + 0x40, 12);
    }
    for (unsigned i = 0; i < 4; i++) {
        uint32_t where = take(in, 2);
        le_put64(table + 0x80 + 16 * i, where < 0x200 ? RAM - where : DATA + where);
        le_put32(table + 0x8c + 16 * i, n & 8 ? take(in, 2) : 511);
    }
    memory_write(fuzz.bench.m->memory, LIST + 32 * slot, header, sizeof(header));
    memory_write(fuzz.bench.m->memory, TABLE + 0x100 * slot, table, sizeof(table));
}

static void one_step(struct input *in)
{
    unsigned op = take(in, 1), port = op >> 6 & 1, slot = op >> 3 & 7;

    switch (op & 7) {
    case 0:
    case 1:
    case 2:
        fill_slot(in, slot, port);
        put(port, 0x34, op & 2 ? 1u << slot : 0);
        put(port, 0x38, 1u << slot);
        break;
    case 3:
        put(port, 0x38, take(in, 1));
        break;
    case 4:
        if (op & 0x40) {
            memory_file[port].failing = op & 0x20;
        } else {
            put(op >> 5 & 1, 0x18, op & 0x80 ? 0x10 : 0x11);
        }
        break;
    case 5:
        put(take(in, 1) % 8, take(in, 1) & 0x7c, take(in, 4));
        break;
    case 6:
        if (op & 0x80) { /* of the controller */
            memory_view_store(fuzz.bench.m->memory, VIEW_NORMAL, BAR + (op >> 1 & 0x3c),
                              take(in, 4), 4);
        }
        memory_view_load(fuzz.bench.m->memory, VIEW_NORMAL, BAR + (take(in, 2) & 0xffc), 4);
        break;
    default:
        if (op & 0x80) { /* the tray */
            struct error err;
            op & 0x40 ? (void)block_open_tray(image[1], op & 0x20, &err)
                      : block_close_tray(image[1]);
        }
        fuzz_settle();
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    if (!hba) {
        set_up();
    }
    block_close_tray(image[1]);
    fuzz_begin();
    fuzz_bar(hba, 5, BAR);
    for (unsigned i = 0; i < 2; i++) {
        put(i, 0x00, LIST);
        put(i, 0x08, AREA);
        put(i, 0x14, UINT32_MAX);
        put(i, 0x18, 0x11);
    }
    while (more(&in)) {
        one_step(&in);
    }
    fuzz_drain();
    return 0;
}
