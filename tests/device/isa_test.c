/* Small ISA devices: DMA controllers, port 92h, isa-debug-exit, isa-debugcon. */
#include "hw/dma/i8237.h"
#include "hw/misc/misc.h"
#include "tests/device/harness.h"

static int readies;
static void ready(void *opaque)
{
    (void)opaque;
    readies++;
}

static void program(struct bench *b, unsigned ch, unsigned mode, unsigned page, unsigned addr,
                    unsigned count)
{
    static const uint8_t pages[4] = {0x87, 0x83, 0x81, 0x82};

    out8(b, 0x0a, 4 | ch);
    out8(b, 0x0b, mode | ch);
    out8(b, 0x0c, 0);
    out8(b, (uint16_t)(ch * 2), addr & 0xff);
    out8(b, (uint16_t)(ch * 2), addr >> 8);
    out8(b, (uint16_t)(ch * 2 + 1), count & 0xff);
    out8(b, (uint16_t)(ch * 2 + 1), count >> 8);
    out8(b, pages[ch], page);
    out8(b, 0x0a, ch);
}

static void dma(struct bench *b)
{
    struct device *d = bench_add(b, &i8237_type);
    struct error err;
    struct ram *ram = memory_ram_create(b->m->memory, "ram", 0x40000, &err);
    uint8_t buf[512], back[512];
    bool tc;

    memory_map_ram(b->m->memory, IN_BOTH, 0, 0x40000, ram, 0, false, MAP_PRIO_RAM);
    tap_ok(isa_bus(b->m)->dma == d, "the bus knows its DMA controller");
    for (unsigned i = 0; i < sizeof(buf); i++) {
        buf[i] = (uint8_t)(i * 7);
    }
    i8237_set_ready(d, 2, ready, NULL);
    tap_ok(i8237_transfer(d, 2, buf, 512, true, &tc) == 0, "masked after reset");
    program(b, 2, 0x44, 2, 0x1000, 511); /* single, write to memory */
    tap_ok(readies == 1, "the device is told when its channel opens");
    tap_ok(i8237_transfer(d, 2, buf, 512, false, &tc) == 0, "wrong direction");
    tap_ok(i8237_transfer(d, 2, buf, 256, true, &tc) == 256 && !tc, "first half");
    tap_ok(i8237_transfer(d, 2, buf + 256, 512, true, &tc) == 256 && tc,
           "second half: terminal count");
    tap_ok(!memcmp(ram->host + 0x21000, buf, 512), "bytes are in memory at page 2");
    tap_ok(in8(b, 0x08) == 0x04 && in8(b, 0x08) == 0, "status tells the terminal count once");
    tap_ok(in8(b, 0x0f) & 4, "and the channel masks itself");
    program(b, 2, 0x58, 2, 0x1000, 511); /* single, auto-init, read from memory */
    tap_ok(i8237_transfer(d, 2, back, 512, false, &tc) == 512 && tc && !memcmp(back, buf, 512),
           "read back");
    tap_ok(i8237_transfer(d, 2, back, 16, false, &tc) == 16 && !memcmp(back, buf, 16),
           "auto-init starts over");
    out8(b, 0x0c, 0);
    unsigned low = in8(b, 4);
    tap_ok((low | in8(b, 4) << 8) == 0x1010, "current address");
    low = in8(b, 5);
    tap_ok((low | in8(b, 5) << 8) == 511 - 16, "current count");
    program(b, 1, 0x60, 0, 0x20, 3); /* verify, downwards */
    tap_ok(i8237_transfer(d, 1, buf, 16, true, &tc) == 4 && tc, "verify counts but moves nothing");
    program(b, 3, 0x64, 1, 0x0002, 15);
    i8237_transfer(d, 3, buf, 16, true, &tc);
    tap_ok(ram->host[0x10002] == buf[0] && ram->host[0x10000] == buf[2] &&
               ram->host[0x1ffff] == buf[3],
           "downwards, wrapping in its 64 KiB page");
    /* Channel 5: words, 128 KiB pages. */
    out8(b, 0xd6, 0x45);
    out8(b, 0xd8, 0);
    out8(b, 0xc4, 0x00);
    out8(b, 0xc4, 0x08);
    out8(b, 0xc6, 7);
    out8(b, 0xc6, 0);
    out8(b, 0x8b, 0x03);
    out8(b, 0xd4, 1);
    tap_ok(i8237_transfer(d, 5, buf, 512, true, &tc) == 16 && tc &&
               !memcmp(ram->host + 0x21000, buf, 16),
           "16-bit channel");
    out8(b, 0x80, 0x3c);
    tap_ok(in8(b, 0x80) == 0x3c, "port 80 keeps the POST code");
    tap_ok(state_round_trip(d), "state saves and loads");
    for (unsigned i = 0; i < 100000; i++) { /* anything goes */
        unsigned r = i * 2654435761u;
        out8(b, (uint16_t)(r >> 28 | (r & 1 ? 0xc0 | (r >> 20 & 16) : 0)), r >> 8);
        i8237_transfer(d, r >> 12 & 7, buf, r >> 16 & 511, r & 2, &tc);
    }
}

int main(void)
{
    struct bench b;
    struct error err = {{0}};

    bench_open(&b);
    bench_isa_lines(&b);
    dma(&b);

    struct device *p92 = bench_add(&b, &port92_type);
    port92_set_a20(p92, (struct irq){bench_set_line, &b, 2});
    tap_ok(in8(&b, 0x92) == 2, "port 92: A20 on after reset");
    out8(&b, 0x92, 0);
    tap_ok(!b.level[2] && in8(&b, 0x92) == 0, "A20 off");
    out8(&b, 0x92, 2);
    tap_ok(b.level[2] && !(b.m->requests & REQUEST_RESET), "A20 on");
    out8(&b, 0x92, 3);
    tap_ok(b.m->requests & REQUEST_RESET, "fast reset");

    struct device *de = device_make(b.m, &debug_exit_type, &err, "iobase=0xf4", "iosize=4", NULL);
    bench_must(de, &err);
    out32(&b, 0xf4, 0x10);
    tap_ok((b.m->requests & REQUEST_EXIT) && b.m->exit_status == 0x21, "debug-exit: status 33");
    tap_ok(!device_make(b.m, &debug_exit_type, &err, "iosize=3", NULL), "iosize 3: %s", err.msg);
    tap_ok(!device_make(b.m, &debug_exit_type, &err, "iobase=0xf7", NULL), "taken port: %s",
           err.msg);
    tap_ok(!device_make(b.m, &debugcon_type, &err, NULL), "debugcon without a chardev: %s",
           err.msg);
    bench_close(&b);
    return tap_done();
}
