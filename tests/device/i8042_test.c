/* Keyboard controller, keyboard and mouse. */
#include "hw/input/i8042.h"
#include "tests/device/harness.h"

/* Waits like a driver would, for at most 10 ms; -1: nothing came. */
static int next(struct bench *b)
{
    for (int i = 0; i < 100 && !(in8(b, 0x64) & 1); i++) {
        advance(b, 100000);
    }
    return in8(b, 0x64) & 1 ? (int)in8(b, 0x60) : -1;
}

static bool gets(struct bench *b, unsigned n, const uint8_t *want)
{
    for (unsigned i = 0; i < n; i++) {
        int v = next(b);
        if (v != want[i]) {
            printf("# byte %u: got %x, want %x\n", i, (unsigned)v, want[i]);
            return false;
        }
    }
    return true;
}
#define GETS(...) gets(&b, sizeof((uint8_t[]){__VA_ARGS__}), (uint8_t[]){__VA_ARGS__})

static void mouse(struct bench *b, unsigned v)
{
    out8(b, 0x64, 0xd4);
    out8(b, 0x60, v);
}

int main(void)
{
    struct bench b;

    bench_open(&b);
    bench_isa_lines(&b);
    struct device *kbc = bench_add(&b, &i8042_type);
    i8042_set_a20(kbc, (struct irq){bench_set_line, &b, 2});

    /* What SeaBIOS does. */
    out8(&b, 0x64, 0xaa);
    tap_ok(GETS(0x55), "self test");
    out8(&b, 0x64, 0xab);
    tap_ok(GETS(0), "keyboard interface test");
    out8(&b, 0x60, 0xff);
    tap_ok(GETS(0xfa, 0xaa), "keyboard reset");
    out8(&b, 0x60, 0xf5);
    tap_ok(GETS(0xfa), "disable");
    i8042_key(kbc, 0x1e, true);
    tap_ok(next(&b) == -1, "a disabled keyboard is silent");
    out8(&b, 0x64, 0x60);
    out8(&b, 0x60, 0x61);
    out8(&b, 0x64, 0x20);
    tap_ok(GETS(0x61), "configuration byte");
    out8(&b, 0x60, 0xf4);
    tap_ok(GETS(0xfa), "enable");

    advance(&b, 1000000);
    memset(b.edges, 0, sizeof(b.edges));
    i8042_key(kbc, 0x1e, true);
    tap_ok(b.level[1] && (in8(&b, 0x64) & 0x21) == 1, "IRQ 1 and output buffer full");
    tap_ok(in8(&b, 0x60) == 0x1e && !b.level[1], "A, translated to set 1");
    tap_ok(in8(&b, 0x60) == 0x1e, "reading again gives the same");
    i8042_key(kbc, 0x1e, false);
    i8042_key(kbc, 0xe048, true);
    i8042_key(kbc, 0xe048, false);
    tap_ok(GETS(0x9e, 0xe0, 0x48, 0xe0, 0xc8), "release and extended key");
    tap_ok(b.edges[1] == 6, "an edge for each byte (%d)", b.edges[1]);
    i8042_key(kbc, 0xe11d, true);
    tap_ok(GETS(0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5), "Pause");
    i8042_key(kbc, 0x41, true);
    i8042_key(kbc, 0x41, false);
    tap_ok(GETS(0x41, 0xc1), "F7, whose set 2 code is 83");
    out8(&b, 0x60, 0xf2);
    tap_ok(GETS(0xfa, 0xab, 0x41), "id, translated");
    out8(&b, 0x64, 0x60);
    out8(&b, 0x60, 0x21);
    out8(&b, 0x60, 0xf2);
    tap_ok(GETS(0xfa, 0xab, 0x83), "id");
    i8042_key(kbc, 0x1c, true);
    i8042_key(kbc, 0x1c, false);
    tap_ok(GETS(0x5a, 0xf0, 0x5a), "Enter in set 2");
    out8(&b, 0x60, 0xf0);
    out8(&b, 0x60, 0x01);
    i8042_key(kbc, 0xe01c, false);
    tap_ok(GETS(0xfa, 0xfa, 0xe0, 0x9c), "set 1 from the keyboard itself");
    out8(&b, 0x60, 0xf0);
    out8(&b, 0x60, 0x03);
    tap_ok(GETS(0xfa, 0xfe), "set 3 is refused");
    out8(&b, 0x60, 0xed);
    out8(&b, 0x60, 0x07);
    tap_ok(GETS(0xfa, 0xfa), "LEDs");
    out8(&b, 0x60, 0xee);
    tap_ok(GETS(0xee), "echo");
    out8(&b, 0x64, 0xad);
    i8042_key(kbc, 0x02, true);
    tap_ok(next(&b) == -1, "a disabled line holds bytes back");
    out8(&b, 0x64, 0xae);
    tap_ok(GETS(0x02), "until it is enabled");

    /* Mouse. */
    out8(&b, 0x64, 0xa9);
    tap_ok(GETS(0), "mouse interface test");
    out8(&b, 0x64, 0x60);
    out8(&b, 0x60, 0x43);
    advance(&b, 1000000);
    mouse(&b, 0xff);
    tap_ok((in8(&b, 0x64) & 0x21) == 0x21 && b.level[12], "mouse answers by IRQ 12");
    tap_ok(GETS(0xfa, 0xaa, 0x00), "mouse reset");
    mouse(&b, 0xe9);
    tap_ok(GETS(0xfa, 0x00, 0x02, 0x64), "status after reset");
    static const uint8_t rates[] = {200, 100, 80};
    for (int i = 0; i < 3; i++) {
        mouse(&b, 0xf3);
        mouse(&b, rates[i]);
        GETS(0xfa, 0xfa);
    }
    mouse(&b, 0xf2);
    tap_ok(GETS(0xfa, 0x03), "IntelliMouse by its knock");
    i8042_mouse(kbc, 5, 5, 0, 0);
    tap_ok(next(&b) == -1 && !i8042_mouse_enabled(kbc), "silent until enabled");
    mouse(&b, 0xf4);
    tap_ok(GETS(0xfa) && i8042_mouse_enabled(kbc), "enabled");
    i8042_mouse(kbc, 10, -3, 1, 1);
    tap_ok(GETS(0x09, 10, 3, 1), "movement: up is positive, left button, wheel");
    i8042_mouse(kbc, -300, 0, 0, 0);
    tap_ok(GETS(0x18, 0x00, 0, 0, 0x18, 0xd4, 0, 0), "large movement in two packets");
    for (int i = 0; i < 1000; i++) {
        i8042_mouse(kbc, 1, 0, 0, 0);
    }
    int sum = 0, v;
    while ((v = next(&b)) >= 0) {
        v = next(&b);
        sum += v;
        next(&b);
        next(&b);
    }
    tap_ok(sum == 1000, "no movement is lost when the guest is slow (%d)", sum);
    out8(&b, 0x64, 0xa7);
    out8(&b, 0x64, 0x20);
    tap_ok(next(&b) & 0x20, "mouse line disabled shows in the configuration");

    /* Output port. */
    out8(&b, 0x64, 0xd1);
    out8(&b, 0x60, 0xdd);
    tap_ok(b.level[2] == 0, "A20 off");
    out8(&b, 0x64, 0xd1);
    out8(&b, 0x60, 0xdf);
    tap_ok(b.level[2] == 1, "A20 on");
    out8(&b, 0x64, 0xd0);
    tap_ok((next(&b) & 3) == 3, "read output port");
    tap_ok(!(b.m->requests & REQUEST_RESET), "no reset so far");
    out8(&b, 0x64, 0xfe);
    tap_ok(b.m->requests & REQUEST_RESET, "reset by pulse");
    out8(&b, 0x64, 0xd3);
    out8(&b, 0x60, 0x77);
    tap_ok((in8(&b, 0x64) & 0x21) == 0x21 && next(&b) == 0x77,
           "write to the mouse's output buffer");
    for (unsigned i = 0; i < 5000; i++) { /* anything goes */
        out8(&b, i % 3 ? 0x60 : 0x64, i * 2654435761u >> 24);
        i8042_key(kbc, (uint16_t)(i * 40503u), i & 1);
        i8042_mouse(kbc, (int)(i * 77777u), -(int)i, 3, i);
        advance(&b, 50000);
        in8(&b, 0x60);
    }
    tap_ok(state_round_trip(kbc), "state saves and loads");
    bench_close(&b);
    return tap_done();
}
