/* IDE disk and CD-ROM through their registers: identify, PIO, multiple, DMA, LBA48, errors,
 * packets. */
#include "host/block.h"
#include "host/mainloop.h"
#include "hw/ide/ide.h"
#include "hw/ide/piix3_ide.h"
#include "hw/pci/i440fx.h"
#include "tests/device/disk_image.h"

#include <unistd.h>

enum { PRI = 0x1f0, SEC = 0x170, SECTORS = 4096, BM = 0xc000 };

static struct mainloop *loop;
static struct block_graph *graph;

/* Lets the image's worker finish: until the drive is not busy. */
static void settle(struct bench *b, uint16_t base)
{
    for (unsigned i = 0; i < BENCH_PATIENCE && (in8(b, base + 0x206) & ATA_BSY); i++) {
        bench_step(b, loop);
    }
}

static unsigned command(struct bench *b, uint64_t lba, unsigned count, unsigned cmd)
{
    out8(b, PRI + 2, count);
    out8(b, PRI + 3, lba & 0xff);
    out8(b, PRI + 4, lba >> 8 & 0xff);
    out8(b, PRI + 5, lba >> 16 & 0xff);
    out8(b, PRI + 6, 0xe0 | (lba >> 24 & 15));
    out8(b, PRI + 7, cmd);
    settle(b, PRI);
    return in8(b, PRI + 7);
}

static void read_words(struct bench *b, uint16_t base, uint8_t *buf, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 2) {
        unsigned w = in16(b, base);
        buf[i] = (uint8_t)w;
        buf[i + 1] = (uint8_t)(w >> 8);
    }
}

static void write_words(struct bench *b, uint16_t base, const uint8_t *buf, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 2) {
        out16(b, base, buf[i] | (unsigned)buf[i + 1] << 8);
    }
}

static struct block *image(const char *path, bool readonly)
{
    struct error err = {{0}};
    struct block_options o = {.file = path, .format = "raw", .readonly = readonly};
    struct block *b = block_open(graph, &o, &err);

    if (!b) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
    return b;
}

static void test_disk(struct bench *b)
{
    uint8_t buf[8 * 512];

    tap_ok(command(b, 0, 0, 0xec) == (ATA_DRDY | ATA_DSC | ATA_DRQ), "IDENTIFY DEVICE");
    tap_ok(b->edges[14] > 0, "interrupts");
    read_words(b, PRI, buf, 512);
    tap_ok((buf[120] | buf[121] << 8) == SECTORS && (buf[200] | buf[201] << 8) == SECTORS,
           "sector counts");
    tap_ok(!(in8(b, PRI + 7) & ATA_DRQ), "no data left");

    command(b, 300, 3, 0x20);
    bool ok = true;
    for (unsigned i = 0; i < 3; i++) {
        read_words(b, PRI, buf, 512);
        ok &= sector_is(buf, 300 + i);
        settle(b, PRI);
    }
    tap_ok(ok && in8(b, PRI + 7) == (ATA_DRDY | ATA_DSC), "READ SECTORS, three of them");

    command(b, 0, 4, 0xc6);
    command(b, 77, 8, 0xc4);
    read_words(b, PRI, buf, 4 * 512);
    settle(b, PRI);
    read_words(b, PRI, buf + 4 * 512, 4 * 512);
    ok = true;
    for (unsigned i = 0; i < 8; i++) {
        ok &= sector_is(buf + 512 * i, 77 + i);
    }
    tap_ok(ok, "READ MULTIPLE in blocks of four");

    memset(buf, 0x5a, sizeof(buf));
    tap_ok(command(b, 10, 1, 0x30) & ATA_DRQ, "WRITE SECTORS asks for data");
    write_words(b, PRI, buf, 512);
    settle(b, PRI);
    tap_ok(in8(b, PRI + 7) == (ATA_DRDY | ATA_DSC), "and ends well");
    command(b, 10, 1, 0x20);
    memset(buf, 0, 512);
    read_words(b, PRI, buf, 512);
    tap_ok(buf[0] == 0x5a && buf[511] == 0x5a, "the data is there");
    tap_ok(command(b, 0, 0, 0xe7) == (ATA_DRDY | ATA_DSC), "FLUSH CACHE");

    tap_ok(command(b, SECTORS - 1, 2, 0x20) & ATA_ERR, "a range beyond the end is an error");
    tap_ok(in8(b, PRI + 1) & ATA_IDNF, "ID not found");
    tap_ok(command(b, 0, 0, 0xde) & ATA_ERR && in8(b, PRI + 1) == ATA_ABRT,
           "an unknown command is aborted");

    /* LBA48: high bytes first */
    for (unsigned pass = 0; pass < 2; pass++) {
        out8(b, PRI + 2, pass ? 1 : 0);
        out8(b, PRI + 3, pass ? 0x34 : 0);
        out8(b, PRI + 4, pass ? 0x02 : 0);
        out8(b, PRI + 5, 0);
    }
    out8(b, PRI + 6, 0xe0);
    out8(b, PRI + 7, 0x24);
    settle(b, PRI);
    read_words(b, PRI, buf, 512);
    tap_ok(sector_is(buf, 0x234), "READ SECTORS EXT");

    out8(b, PRI + 0x206, 4);
    tap_ok(in8(b, PRI + 0x206) & ATA_BSY, "software reset makes it busy");
    out8(b, PRI + 0x206, 0);
    out8(b, PRI + 6, 0xa0);
    tap_ok(in8(b, PRI + 2) == 1 && in8(b, PRI + 3) == 1 && in8(b, PRI + 4) == 0 &&
               in8(b, PRI + 5) == 0,
           "and leaves the signature of a disk");
    out8(b, PRI + 6, 0xb0);
    tap_ok(in8(b, PRI + 7) == 0, "there is no second drive");
    out8(b, PRI + 6, 0xa0);
}

static void test_dma(struct bench *b)
{
    uint8_t prd[16] = {0x00, 0x20, 0, 0, 0x00, 0x02, 0, 0, 0x00, 0x30, 0, 0, 0x00, 0x04, 0, 0x80};
    uint8_t buf[1536];

    pci_out(b, PIIX3_IDE_DEVFN, 0x20, BM | 1, 4);
    pci_out(b, PIIX3_IDE_DEVFN, 4, 5, 2);
    memory_write(b->m->memory, 0x1000, prd, sizeof(prd)); /* 512 bytes at 2000, 1024 at 3000 */
    out32(b, BM + 4, 0x1000);
    out8(b, BM + 2, 6);
    command(b, 500, 3, 0xc8);
    out8(b, BM, 9);
    settle(b, PRI);
    memory_read(b->m->memory, 0x2000, buf, 512);
    memory_read(b->m->memory, 0x3000, buf + 512, 1024);
    tap_ok(sector_is(buf, 500) && sector_is(buf + 512, 501) && sector_is(buf + 1024, 502),
           "READ DMA scatters");
    tap_ok((in8(b, BM + 2) & 7) == 4, "interrupt, not active, no error");
    out8(b, BM, 0);
    out8(b, BM + 2, 6);
    command(b, 600, 3, 0xca);
    out8(b, BM, 1);
    settle(b, PRI);
    out8(b, BM, 0);
    command(b, 601, 1, 0x20);
    read_words(b, PRI, buf, 512);
    tap_ok(sector_is(buf, 501), "WRITE DMA gathers");
    out8(b, BM + 2, 6);
    command(b, 0, 4, 0xc8);
    out8(b, BM, 9);
    settle(b, PRI);
    tap_ok((in8(b, BM + 2) & 2) && (in8(b, PRI + 7) & ATA_ERR),
           "a table that is too short is an error");
    out8(b, BM, 0);
}

static unsigned packet(struct bench *b, const uint8_t *cdb, unsigned limit)
{
    out8(b, SEC + 6, 0xa0);
    out8(b, SEC + 1, 0);
    out8(b, SEC + 4, limit & 0xff);
    out8(b, SEC + 5, limit >> 8);
    out8(b, SEC + 7, 0xa0);
    write_words(b, SEC, cdb, 12);
    settle(b, SEC);
    return in8(b, SEC + 7);
}

static void test_cd(struct bench *b)
{
    static const uint8_t ready[12] = {0}, sense[12] = {3, 0, 0, 0, 18}, capacity[12] = {0x25};
    static const uint8_t read2[12] = {0x28, 0, 0, 0, 0, 5, 0, 0, 2},
                         beyond[12] = {0x28, 0, 0, 1, 0, 0, 0, 0, 1};
    uint8_t buf[4096];

    out8(b, SEC + 6, 0xa0);
    tap_ok(in8(b, SEC + 4) == 0x14 && in8(b, SEC + 5) == 0xeb, "the signature of a packet device");
    out8(b, SEC + 7, 0xec);
    tap_ok(in8(b, SEC + 7) & ATA_ERR, "IDENTIFY DEVICE is aborted");
    out8(b, SEC + 7, 0xa1);
    tap_ok(in8(b, SEC + 7) & ATA_DRQ, "IDENTIFY PACKET DEVICE is not");
    read_words(b, SEC, buf, 512);
    tap_ok(packet(b, ready, 0) & ATA_ERR, "the first TEST UNIT READY tells of the new disc");
    packet(b, sense, 0xfffe);
    read_words(b, SEC, buf, 18);
    tap_ok((buf[2] & 15) == 6 && buf[12] == 0x28, "unit attention, medium changed");
    tap_ok(!(packet(b, ready, 0) & ATA_ERR), "the second is good");
    packet(b, capacity, 0xfffe);
    read_words(b, SEC, buf, 8);
    tap_ok(buf[2] == ((SECTORS / 4 - 1) >> 8) && buf[3] == ((SECTORS / 4 - 1) & 0xff) &&
               buf[6] == 8,
           "READ CAPACITY");
    packet(b, read2, 2048);
    tap_ok((in8(b, SEC + 2) & 3) == 2 && in8(b, SEC + 5) == 8,
           "READ(10) in pieces of the byte count limit");
    read_words(b, SEC, buf, 2048);
    settle(b, SEC);
    read_words(b, SEC, buf + 2048, 2048);
    tap_ok(sector_is(buf, 20) && sector_is(buf + 2048 + 1536, 27), "the right sectors");
    tap_ok(packet(b, beyond, 2048) & ATA_ERR, "beyond the end is an error");
    packet(b, sense, 0xfffe);
    read_words(b, SEC, buf, 18);
    tap_ok((buf[2] & 15) == 5 && buf[12] == 0x21, "address out of range");
}

int main(void)
{
    struct bench b;
    struct error err = {{0}};
    char path[] = "/tmp/ide-test-XXXXXX";

    disk_image_make(path, SECTORS);
    bench_open(&b);
    bench_isa_lines(&b);
    loop = mainloop_create(b.m);
    graph = block_graph_create(loop);
    struct ram *ram = memory_ram_create(b.m->memory, "ram", 0x200000, &err);
    bench_must(i440fx_create(b.m, ram, 0x200000, NULL, &err), &err);
    struct device *d = bench_add(&b, &piix3_ide_type);
    struct block *cd = image(path, true);
    tap_ok(ide_attach(piix3_ide_channel(b.m, 1), 0, cd, true, d, &err), "a CD-ROM drive");
    devices_reset(b.m);
    test_cd(&b);
    block_close(cd);
    struct block *disk = image(path, false);
    tap_ok(ide_attach(piix3_ide_channel(b.m, 0), 0, disk, false, d, &err), "a disk");
    tap_ok(!ide_attach(piix3_ide_channel(b.m, 0), 1, disk, false, d, &err), "one device each");
    devices_reset(b.m);
    test_disk(&b);
    test_dma(&b);
    tap_ok(state_round_trip(d), "state saves and loads");
    block_graph_destroy(graph);
    bench_close(&b);
    mainloop_destroy(loop);
    unlink(path);
    return tap_done();
}
