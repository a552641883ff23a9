/* The floppy disk controller through its ports: reset, seeks, transfers by DMA and by the
 * processor, the ends of tracks, formatting, formats that do not fit, change of the disk. */
#include "host/block.h"
#include "host/le.h"
#include "host/mainloop.h"
#include "hw/block/fdc.h"
#include "hw/dma/i8237.h"
#include "tests/device/disk_image.h"

#include <unistd.h>

enum { FDC = 0x3f0, SECTORS = 2880, BUFFER = 0x20000 };
enum { READ = 0x46, WRITE = 0x4a };

static struct mainloop *loop;
static struct block_graph *graph;
static struct block *image;
static struct bench bench, *b = &bench;
static uint8_t result[10];

static void settle(void)
{
    for (unsigned i = 0; i < BENCH_PATIENCE && (in8(b, FDC + 4) & 0x90) == 0x10; i++) {
        bench_step(b, loop);
    }
}

static void send(unsigned n, const uint8_t *bytes)
{
    for (unsigned i = 0; i < n; i++) {
        out8(b, FDC + 5, bytes[i]);
    }
    settle();
}
#define SEND(...) send(sizeof((uint8_t[]){__VA_ARGS__}), (uint8_t[]){__VA_ARGS__})

static unsigned results(void)
{
    unsigned n = 0;

    while (n < sizeof(result) && (in8(b, FDC + 4) & 0xd0) == 0xd0) {
        result[n++] = (uint8_t)in8(b, FDC + 5);
    }
    return n;
}

static void dma(unsigned mode, uint32_t addr, unsigned bytes)
{
    out8(b, 0x0a, 6);
    out8(b, 0x0c, 0);
    out8(b, 0x0b, mode);
    out8(b, 0x04, addr & 0xff);
    out8(b, 0x04, addr >> 8 & 0xff);
    out8(b, 0x81, addr >> 16);
    out8(b, 0x05, (bytes - 1) & 0xff);
    out8(b, 0x05, (bytes - 1) >> 8);
    out8(b, 0x0a, 2);
}

static void test_controller(void)
{
    int before;

    out8(b, FDC + 2, 0);
    tap_ok(in8(b, FDC + 4) == 0, "in reset");
    before = b->edges[6];
    out8(b, FDC + 2, 0x1c);
    tap_ok(b->edges[6] == before + 1 && in8(b, FDC + 4) == 0x80, "an interrupt when it is over");
    bool ok = true;
    for (unsigned i = 0; i < 4; i++) {
        SEND(8);
        ok &= results() == 2 && result[0] == (0xc0 | i) && result[1] == 0;
    }
    tap_ok(ok && !b->level[6], "four drives report");
    SEND(8);
    tap_ok(results() == 1 && result[0] == 0x80, "and no fifth");
    SEND(0x10);
    tap_ok(results() == 1 && result[0] == 0x90, "VERSION of an enhanced controller");
    SEND(0x1f);
    tap_ok(results() == 1 && result[0] == 0x80, "an unknown command");
    SEND(0x13, 0, 0x57, 0x10);
    SEND(0x94);
    tap_ok(results() == 1 && result[0] == 0x10, "LOCK");
    SEND(3, 0xaf, 2);
    SEND(0x0e);
    tap_ok(results() == 10 && result[4] == 0xaf && result[7] == 0x80 && result[8] == 0x57 &&
               result[9] == 0x10,
           "DUMPREG");
    SEND(0x14);
    results();
    tap_ok(in8(b, FDC + 7) & 0x80, "the disk has been changed");
    SEND(7, 0);
    tap_ok(b->level[6] && !(in8(b, FDC + 7) & 0x80), "RECALIBRATE steps, and clears that");
    SEND(8);
    tap_ok(results() == 2 && result[0] == 0x20 && result[1] == 0, "SENSE INTERRUPT");
    SEND(0x0f, 0, 5);
    SEND(8);
    tap_ok(results() == 2 && result[1] == 5, "SEEK");
    SEND(7, 1);
    SEND(8);
    tap_ok(results() == 2 && result[0] == 0x71, "there is no drive B");
    SEND(4, 0);
    tap_ok(results() == 1 && (result[0] & 0x58) == 0x08,
           "SENSE DRIVE STATUS: not on track 0, not protected");
}

static void test_transfers(void)
{
    uint8_t s[512];

    out8(b, FDC + 7, 0);
    SEND(0x0f, 0, 5);
    SEND(8);
    results();
    SEND(0x4a, 4);
    tap_ok(results() == 7 && result[0] == 4 && result[3] == 5 && result[4] == 1, "READ ID");
    out8(b, FDC + 7, 2);
    SEND(0x4a, 0);
    tap_ok(results() == 7 && (result[0] & 0xc0) == 0x40 && (result[1] & 1),
           "not at another data rate");
    out8(b, FDC + 7, 0);

    dma(0x46, BUFFER, 3 * 512);
    SEND(0xe6, 0, 5, 0, 17, 2, 18, 27, 255);
    tap_ok(b->level[6] && results() == 7 && result[0] == 4 && result[1] == 0,
           "READ DATA over both heads");
    tap_ok(is_sector(b, BUFFER, 5 * 36 + 16) && is_sector(b, BUFFER + 512, 5 * 36 + 17) &&
               is_sector(b, BUFFER + 1024, 5 * 36 + 18),
           "the right sectors");
    tap_ok(result[3] == 5 && result[4] == 1 && result[5] == 2, "the address behind them");
    dma(0x46, BUFFER, 4 * 512);
    SEND(0x66, 0, 5, 0, 17, 2, 18, 27, 255);
    tap_ok(results() == 7 && result[0] == 0x40 && (result[1] & 0x80),
           "the end of a track without terminal count");
    dma(0x46, BUFFER, 512);
    SEND(0x66, 0, 6, 0, 1, 2, 18, 27, 255);
    tap_ok(results() == 7 && (result[1] & 4) && (result[2] & 0x10), "the wrong cylinder");
    SEND(0x66, 0, 5, 0, 19, 2, 20, 27, 255);
    tap_ok(results() == 7 && (result[1] & 4), "no such sector");

    memset(s, 0x3c, sizeof(s));
    memory_write(b->m->memory, BUFFER, s, 512);
    dma(0x4a, BUFFER, 512);
    SEND(0x45, 0, 5, 0, 3, 2, 18, 27, 255);
    tap_ok(results() == 7 && result[0] == 0, "WRITE DATA");
    dma(0x46, BUFFER + 0x1000, 512);
    SEND(0x66, 0, 5, 0, 3, 2, 18, 27, 255);
    tap_ok(results() == 7 && is_sector(b, BUFFER + 0x1000, 0x3c3c), "and it is there");

    out8(b, 0x0a, 6); /* the channel is masked */
    for (unsigned i = 0; i < 9; i++) {
        out8(b, FDC + 5, ((uint8_t[]){0x66, 0, 5, 0, 4, 2, 18, 27, 255})[i]);
    }
    block_drain(image);
    bench_step(b, loop);
    tap_ok((in8(b, FDC + 4) & 0xd0) == 0x10, "without DMA it waits");
    dma(0x46, BUFFER, 512);
    settle();
    tap_ok(results() == 7 && is_sector(b, BUFFER, 5 * 36 + 3),
           "and goes on when the channel is ready");

    for (unsigned i = 0; i < 18; i++) {
        uint8_t id[4] = {5, 0, (uint8_t)(i + 1), 2};
        memory_write(b->m->memory, BUFFER + 4 * i, id, 4);
    }
    dma(0x4a, BUFFER, 18 * 4);
    SEND(0x4d, 0, 2, 18, 84, 0xf6);
    tap_ok(results() == 7 && result[0] == 0, "FORMAT TRACK");
    dma(0x46, BUFFER, 512);
    SEND(0x66, 0, 5, 0, 18, 2, 18, 27, 255);
    tap_ok(results() == 7 && is_sector(b, BUFFER, 0xf6f6), "fills its sectors");

    for (unsigned n = 0; n < 3; n++) { /* a reset, and the next command before the sector is back */
        dma(0x46, BUFFER + 0x1000, 512);
        for (unsigned i = 0; i < 9; i++) {
            out8(b, FDC + 5, ((uint8_t[]){0x66, 0, 5, 0, 9, 2, 18, 27, 255})[i]);
        }
        out8(b, FDC + 2, 0);
        out8(b, FDC + 2, 0x0c);
        SEND(8);
        results();
    }
    dma(0x46, BUFFER, 512);
    SEND(0x66, 0, 5, 0, 18, 2, 18, 27, 255);
    tap_ok(results() == 7 && result[0] == 0 && is_sector(b, BUFFER, 0xf6f6),
           "a command after resets in the middle of others");

    SEND(3, 0xaf, 3); /* no DMA */
    SEND(0x66, 4, 5, 1, 1, 2, 1, 27, 255);
    bool ok = true;
    for (unsigned i = 0; i < 512; i++) {
        ok &= (in8(b, FDC + 4) & 0xf0) == 0xf0;
        s[i] = (uint8_t)in8(b, FDC + 5);
    }
    tap_ok(ok && le_get16(s) == 5 * 36 + 18 && le_get16(s + 510) == 5 * 36 + 18,
           "READ DATA by the processor");
    settle();
    tap_ok(results() == 7 && (result[1] & 0x80),
           "which cannot end it in another way than the track");
}

int main(void)
{
    struct error err = {{0}};
    char path[] = "/tmp/fdc-test-XXXXXX";
    struct block_options o = {.file = path, .format = "raw"};

    disk_image_make(path, SECTORS);
    bench_open(b);
    bench_isa_lines(b);
    loop = mainloop_create(b->m);
    graph = block_graph_create(loop);
    memory_map_ram(b->m->memory, IN_BOTH, 0, 0x100000,
                   memory_ram_create(b->m->memory, "ram", 0x100000, &err), 0, false, MAP_PRIO_RAM);
    bench_add(b, &i8237_type);
    struct device *fdc = bench_add(b, &isa_fdc_type);
    struct device *d = device_create(b->m, &floppy_type, NULL);
    image = block_open(graph, &o, &err);
    device_set_ptr(d, "drive", image);
    tap_ok(image && device_realize(d, &err), "a drive with a disk");
    devices_reset(b->m);
    out8(b, 0xd6, 0xc0);
    test_controller();
    test_transfers();
    tap_ok(state_round_trip(fdc) && state_round_trip(d), "state saves and loads");
    block_graph_destroy(graph);
    bench_close(b);
    mainloop_destroy(loop);
    unlink(path);
    return tap_done();
}
