/* AHCI through its registers, command lists and received frames: identify, DMA, PIO, queued
 * commands, errors, resets, packets. */
#include "hw/ide/ahci.h"
#include "host/le.h"
#include "host/mainloop.h"
#include "hw/pci/i440fx.h"
#include "tests/device/disk_image.h"

#include <unistd.h>

enum {
    BAR = 0xe0000000u,
    SECTORS = 4096,
    LIST = 0x10000,
    AREA = 0x11000,
    TABLE = 0x20000,
    DATA = 0x40000
};
enum {
    CMD = 0x18,
    TFD = 0x20,
    SIG = 0x24,
    SSTS = 0x28,
    SCTL = 0x2c,
    SACT = 0x34,
    CI = 0x38,
    IS = 0x10,
    IE = 0x14
};
enum { WRITE = 1, ATAPI = 2 };

static struct mainloop *loop;
static struct block_graph *graph;
static struct bench bench, *b = &bench;

static uint32_t get(unsigned reg)
{
    return (uint32_t)view_load(b, VIEW_NORMAL, BAR + reg, 4);
}
static void put(unsigned reg, uint32_t v)
{
    view_store(b, VIEW_NORMAL, BAR + reg, v, 4);
}
static uint32_t pget(unsigned port, unsigned reg)
{
    return get(0x100 + 0x80 * port + reg);
}
static void pput(unsigned port, unsigned reg, uint32_t v)
{
    put(0x100 + 0x80 * port + reg, v);
}

static void settle(unsigned port, uint32_t mask)
{
    for (unsigned i = 0; i < BENCH_PATIENCE && ((pget(port, CI) | pget(port, SACT)) & mask) &&
                         !(pget(port, IS) & AHCI_IS_TASK_FILE);
         i++) {
        bench_step(b, loop);
    }
}

/* A command in a slot: two regions, the first of 512 bytes at DATA + slot * 64 KiB, the second
 * behind it. */
static void fill_slot(unsigned slot, unsigned cmd, uint64_t lba, unsigned count, unsigned flags,
                      uint32_t bytes)
{
    uint8_t header[32] = {5}, fis[64] = {0x27, 0x80}, prd[32] = {0};
    uint64_t table = TABLE + 0x400 * slot, data = DATA + 0x10000 * slot;
    bool queued = cmd == 0x60 || cmd == 0x61;

    header[0] |= (uint8_t)((flags & WRITE ? 0x40 : 0) | (flags & ATAPI ? 0x20 : 0));
    le_put16(header + 2, bytes > 512 ? 2 : 1);
    le_put64(header + 8, table);
    fis[2] = (uint8_t)cmd;
    for (unsigned i = 0; i < 3; i++) {
        fis[4 + i] = (uint8_t)(lba >> 8 * i);
        fis[8 + i] = (uint8_t)(lba >> (24 + 8 * i));
    }
    fis[7] = 0x40;
    fis[queued ? 3 : 12] = (uint8_t)count;
    fis[queued ? 11 : 13] = (uint8_t)(count >> 8);
    if (queued) {
        fis[12] = (uint8_t)(slot << 3);
    }
    le_put64(prd, data);
    le_put32(prd + 12, bytes > 512 ? 511 : bytes - 1);
    le_put64(prd + 16, data + 0x1000);
    le_put32(prd + 28, bytes > 512 ? bytes - 513 : 0);
    memory_write(b->m->memory, LIST + 32 * slot, header, 32);
    memory_write(b->m->memory, table, fis, sizeof(fis));
    memory_write(b->m->memory, table + 0x80, prd, sizeof(prd));
}

static void issue(unsigned port, uint32_t slots, bool queued)
{
    if (queued) {
        pput(port, SACT, slots);
    }
    pput(port, CI, slots);
    settle(port, slots);
}

static void run(unsigned port, unsigned cmd, uint64_t lba, unsigned count, unsigned flags,
                uint32_t bytes)
{
    pput(port, IS, UINT32_MAX);
    fill_slot(0, cmd, lba, count, flags, bytes);
    issue(port, 1, false);
}

static uint8_t area(unsigned offset)
{
    uint8_t v;

    memory_read(b->m->memory, AREA + offset, &v, 1);
    return v;
}

static void start_port(unsigned port)
{
    pput(port, 0x00, LIST);
    pput(port, 0x08, AREA);
    pput(port, IS, UINT32_MAX);
    pput(port, IE, 0xfdc000ff);
    pput(port, CMD, 0x10);
    pput(port, CMD, 0x11);
}

static void test_disk(void)
{
    uint8_t id[512], s[1024];

    tap_ok((get(0) & 0x1f) == 5 && get(0x10) == 0x10301 && get(0x0c) == 0x3f,
           "six ports, version 1.3.1");
    tap_ok(pget(0, SSTS) == 0x123 && pget(0, SIG) == 0x101 && pget(2, SSTS) == 0,
           "a disk at port 0, nothing at port 2");
    put(4, 0x80000002);
    start_port(0);
    tap_ok(area(0x40) == 0x34 && area(0x4c) == 1,
           "the signature is received when the area is there");
    run(0, 0xec, 0, 0, 0, 512);
    memory_read(b->m->memory, DATA, id, 512);
    tap_ok(le_get32(id + 120) == SECTORS && (id[153] & 1) && id[150] == 31,
           "IDENTIFY DEVICE with queueing");
    tap_ok((pget(0, IS) & AHCI_IS_PIO_SETUP) && area(0x20) == 0x5f && area(0x2f) == 0x50,
           "PIO Setup with the end status");
    tap_ok((get(8) & 1) && b->level[11], "interrupt of port 0");
    pput(0, IS, UINT32_MAX);
    put(8, 1);
    tap_ok(!b->level[11], "taken back");

    run(0, 0x25, 300, 3, 0, 1536);
    tap_ok(is_sector(b, DATA, 300) && is_sector(b, DATA + 0x1000, 301) &&
               is_sector(b, DATA + 0x1200, 302),
           "READ DMA EXT scatters");
    tap_ok(pget(0, IS) == AHCI_IS_D2H && pget(0, TFD) == 0x50 && !pget(0, CI),
           "and ends by a register frame");
    memory_read(b->m->memory, LIST + 4, s, 4);
    tap_ok(le_get32(s) == 1536, "with its byte count");
    run(0, 0x35, 700, 3, WRITE, 1536);
    run(0, 0x24, 701, 2, 0, 1024);
    tap_ok(is_sector(b, DATA, 301) && is_sector(b, DATA + 0x1000, 302),
           "WRITE DMA EXT gathers; READ SECTORS EXT in two blocks");
    run(0, 0x34, 710, 2, WRITE, 1024);
    run(0, 0x25, 710, 2, 0, 1024);
    tap_ok(is_sector(b, DATA, 301) && is_sector(b, DATA + 0x1000, 302), "WRITE SECTORS EXT");
    run(0, 0xea, 0, 0, 0, 512);
    tap_ok(pget(0, TFD) == 0x50 && !pget(0, CI), "FLUSH CACHE EXT");

    pput(0, IS, UINT32_MAX);
    fill_slot(3, 0x60, 1000, 3, 0, 1536);
    fill_slot(4, 0x61, 2000, 2, WRITE, 1024);
    memset(s, 0x77, sizeof(s));
    memory_write(b->m->memory, DATA + 0x40000, s, 512);
    memory_write(b->m->memory, DATA + 0x41000, s, 512);
    issue(0, 0x18, true);
    tap_ok(is_sector(b, DATA + 0x30000, 1000) && is_sector(b, DATA + 0x31200, 1002),
           "READ FPDMA QUEUED");
    tap_ok(pget(0, SACT) == 0 && (pget(0, IS) & AHCI_IS_DEVICE_BITS) && area(0x58) == 0xa1,
           "Set Device Bits");
    run(0, 0x25, 2001, 1, 0, 512);
    tap_ok(is_sector(b, DATA, 0x7777), "WRITE FPDMA QUEUED");

    pput(0, IS, UINT32_MAX);
    fill_slot(5, 0x60, SECTORS - 1, 2, 0, 1024);
    issue(0, 0x20, true);
    tap_ok((pget(0, IS) & AHCI_IS_TASK_FILE) && (pget(0, TFD) & 0xff) == 0x51 &&
               (pget(0, TFD) >> 8) == ATA_IDNF,
           "a queued command beyond the end: task file error");
    tap_ok(pget(0, SACT) == 0x20, "that stays active");
    pput(0, CMD, 0x10);
    tap_ok(!(pget(0, CMD) & 0x8000) && !pget(0, SACT), "the port stops");
    pput(0, CMD, 0x11);
    run(0, 0x2f, 0x10, 1, 0, 512);
    memory_read(b->m->memory, DATA, s, 512);
    tap_ok(s[0] == 5 && s[2] == 0x51 && s[3] == ATA_IDNF && le_get16(s + 4) == SECTORS - 1,
           "log 10h tells why");

    run(0, 0x25, SECTORS, 1, 0, 512);
    tap_ok((pget(0, IS) & AHCI_IS_TASK_FILE) && (pget(0, TFD) & 1) && pget(0, CI) == 1,
           "error of a DMA command");
    pput(0, CMD, 0x10);
    pput(0, CMD, 0x11);
    run(0, 0x25, 1, 3, 0, 1024);
    tap_ok((pget(0, IS) & AHCI_IS_TASK_FILE) && (pget(0, IS) & AHCI_IS_OVERFLOW),
           "a list of regions that is too short");
    pput(0, CMD, 0x10);
    pput(0, SCTL, 0x301);
    tap_ok(pget(0, SSTS) == 1, "COMRESET");
    pput(0, SCTL, 0x300);
    tap_ok(pget(0, SSTS) == 0x123 && (pget(0, IS) & AHCI_IS_CONNECT) && pget(0, SIG) == 0x101,
           "and the drive is back");
    pput(0, CMD, 0x11);
    run(0, 0x25, 5, 1, 0, 512);
    tap_ok(is_sector(b, DATA, 5), "it works again");
}

static void packet(const uint8_t *cdb, bool dma, uint32_t bytes)
{
    uint8_t feature = dma;

    pput(1, IS, UINT32_MAX);
    fill_slot(0, 0xa0, 0x080000, 0, ATAPI, bytes);
    memory_write(b->m->memory, TABLE + 3, &feature, 1);
    memory_write(b->m->memory, TABLE + 0x40, cdb, 12);
    issue(1, 1, false);
    if (pget(1, IS) & AHCI_IS_TASK_FILE) {
        pput(1, CMD, 0x10);
        pput(1, CMD, 0x11);
    }
}

static void test_cd(void)
{
    static const uint8_t ready[12] = {0}, sense[12] = {3, 0, 0, 0, 18},
                         read2[12] = {0x28, 0, 0, 0, 0, 5, 0, 0, 2};
    uint8_t s[18];

    tap_ok(pget(1, SIG) == 0xeb140101, "a packet device at port 1");
    start_port(1);
    packet(ready, false, 512);
    tap_ok((pget(1, TFD) & 1) && pget(1, TFD) >> 12 == 6, "unit attention");
    packet(sense, false, 512);
    memory_read(b->m->memory, DATA, s, 18);
    tap_ok((s[2] & 15) == 6 && s[12] == 0x28, "REQUEST SENSE by PIO");
    packet(read2, true, 4096);
    tap_ok(is_sector(b, DATA, 20) && is_sector(b, DATA + 0x1000 + 3072, 27), "READ(10) by DMA");
    memset(s, 0, 4);
    memory_write(b->m->memory, DATA, s, 4);
    packet(read2, false, 4096);
    tap_ok(is_sector(b, DATA, 20) && is_sector(b, DATA + 0x1000 + 3072, 27) && !pget(1, CI),
           "and by PIO");
}

static struct block *image(const char *path, bool readonly)
{
    struct error err = {{0}};
    struct block_options o = {.file = path, .format = "raw", .readonly = readonly};
    struct block *blk = block_open(graph, &o, &err);

    if (!blk) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
    return blk;
}

int main(void)
{
    struct error err = {{0}};
    char path[] = "/tmp/ahci-test-XXXXXX", second[] = "/tmp/ahci-test-XXXXXX";

    disk_image_make(path, SECTORS);
    disk_image_make(second, SECTORS);
    bench_open(b);
    bench_isa_lines(b);
    loop = mainloop_create(b->m);
    graph = block_graph_create(loop);
    struct ram *ram = memory_ram_create(b->m->memory, "ram", 0x200000, &err);
    bench_must(i440fx_create(b->m, ram, 0x200000, NULL, &err), &err);
    struct device *d = bench_add(b, &ahci_type);
    struct pci_device *pci = (struct pci_device *)d;
    pci_bus_set_line(pci->bus, 0, (struct irq){bench_set_line, b, 11});
    for (unsigned i = 1; i < 4; i++) {
        pci_bus_set_line(pci->bus, i, (struct irq){bench_set_line, b, 11});
    }
    tap_ok(ide_attach(ahci_channel(d, 0), 0, image(path, false), false, d, &err) &&
               ide_attach(ahci_channel(d, 1), 0, image(second, true), true, d, &err),
           "a disk and a CD-ROM drive");
    tap_ok(!ahci_channel(d, AHCI_PORTS), "no seventh port");
    devices_reset(b->m);
    pci_config_write(pci->bus, 0, pci->devfn, 0x24, BAR, 4);
    pci_config_write(pci->bus, 0, pci->devfn, 4, 6, 2);
    test_disk();
    test_cd();
    tap_ok(state_round_trip(d), "state saves and loads");
    block_graph_destroy(graph);
    bench_close(b);
    mainloop_destroy(loop);
    unlink(path);
    unlink(second);
    return tap_done();
}
