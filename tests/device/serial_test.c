/* The 16550A: registers, FIFO, interrupts, loop-back, output. */
#include "host/chardev.h"
#include "host/mainloop.h"
#include "tests/device/harness.h"

#include <unistd.h>

extern const struct device_type serial16550_type;
enum { COM = 0x3f8 };

static struct device *make(struct bench *b, struct chardev *c)
{
    struct error err = {{0}};
    struct device *d = device_create(b->m, &serial16550_type, NULL);

    if (c) {
        device_set_ptr(d, "chardev", c);
    }
    if (!device_realize(d, &err)) {
        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
    d->type->reset(d);
    return d;
}

static void test_loop(struct bench *b)
{
    out8(b, COM + 4, 0x1f); /* loop-back */
    out8(b, COM + 2, 0x07); /* FIFO on and cleared */
    tap_ok((in8(b, COM + 2) & 0xc0) == 0xc0, "IIR tells of the FIFO");
    tap_ok(!(in8(b, COM + 5) & 1), "nothing received yet");
    for (unsigned i = 0; i < 16; i++) {
        out8(b, COM, 0x40 + i);
    }
    tap_ok((in8(b, COM + 5) & 3) == 1, "data ready, no overrun after 16 bytes");
    out8(b, COM, 0x99);
    tap_ok(in8(b, COM + 5) & 2, "the 17th byte overruns");
    tap_ok(!(in8(b, COM + 5) & 2), "reading LSR clears the overrun");
    bool ok = true;
    for (unsigned i = 0; i < 16; i++) {
        ok &= in8(b, COM) == 0x40 + i;
    }
    tap_ok(ok, "bytes come back in order");
    tap_ok(!(in8(b, COM + 5) & 1), "the FIFO is empty again");
    tap_ok((in8(b, COM + 6) & 0xf0) == 0xf0, "modem outputs loop to the inputs");
    out8(b, COM + 4, 0x10);
    tap_ok((in8(b, COM + 6) & 0xf0) == 0, "and are seen to drop");
}

static void test_interrupts(struct bench *b)
{
    out8(b, COM + 4, 0x08);
    out8(b, COM + 2, 0);
    in8(b, COM + 5);
    out8(b, COM + 1, 2);
    tap_ok(b->level[4] == 1, "enabling THRE with an empty transmitter interrupts");
    tap_ok((in8(b, COM + 2) & 15) == 2, "IIR says so");
    tap_ok(b->level[4] == 0, "and reading it acknowledges");
    out8(b, COM, 'x');
    tap_ok(b->level[4] == 0, "no interrupt while the character leaves");
    advance(b, 200000);
    tap_ok(b->level[4] == 1, "then one");
    out8(b, COM + 4, 0);
    tap_ok(b->level[4] == 0, "OUT2 gates the line");
    out8(b, COM + 1, 0);
    out8(b, COM + 4, 8);
}

static void test_registers(struct bench *b)
{
    out8(b, COM + 3, 0x80);
    out8(b, COM, 0x34);
    out8(b, COM + 1, 0x12);
    tap_ok(in8(b, COM) == 0x34 && in8(b, COM + 1) == 0x12, "the divisor behind DLAB");
    out8(b, COM + 3, 0x03);
    tap_ok(in8(b, COM + 3) == 3 && in8(b, COM + 1) == 0, "and IER in front of it");
    out8(b, COM + 7, 0xa5);
    tap_ok(in8(b, COM + 7) == 0xa5, "scratch register");
}

int main(void)
{
    struct bench b;
    struct error err = {{0}};
    char path[] = "/tmp/serial-test-XXXXXX", spec[64], text[8] = "";
    int fd = mkstemp(path);

    bench_open(&b);
    bench_isa_lines(&b);
    struct mainloop *loop = mainloop_create(b.m);
    snprintf(spec, sizeof(spec), "file:%s", path);
    struct chardev *c = chardev_create(loop, "out", spec, false, &err);
    tap_ok(c != NULL, "a file as back end");
    struct device *d = make(&b, c);
    tap_ok(in8(&b, COM + 5) == 0x60, "idle after reset");
    test_registers(&b);
    test_loop(&b);
    test_interrupts(&b);
    tap_ok(state_round_trip(d), "state saves and loads");
    tap_ok(read(fd, text, sizeof(text)) == 1 && text[0] == 'x',
           "the character arrived in the file");
    struct error clash = {{0}};
    struct device *second = device_create(b.m, &serial16550_type, NULL);
    device_set_ptr(second, "chardev", c);
    tap_ok(!device_realize(second, &clash) && clash.msg[0],
           "a second port on one chardev is refused");
    bench_close(&b);
    chardev_destroy(c);
    mainloop_destroy(loop);
    unlink(path);
    close(fd);
    return tap_done();
}
