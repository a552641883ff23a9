/* The 8254 and port 61h: what boot code measures time with. */
#include "hw/timer/timers.h"
#include "tests/device/harness.h"

static unsigned latched(struct bench *b, unsigned ch)
{
    out8(b, 0x43, ch << 6);
    unsigned low = in8(b, (uint16_t)(0x40 + ch));
    return low | in8(b, (uint16_t)(0x40 + ch)) << 8;
}

static void set_count(struct bench *b, unsigned ch, unsigned control, unsigned count)
{
    out8(b, 0x43, ch << 6 | control);
    out8(b, (uint16_t)(0x40 + ch), count & 0xff);
    out8(b, (uint16_t)(0x40 + ch), count >> 8);
}

int main(void)
{
    struct bench b;
    int64_t ms = 1000000;

    bench_open(&b);
    bench_isa_lines(&b);
    struct device *pit = bench_add(&b, &i8254_type);

    /* Linux's quick calibration: channel 2, mode 0, gate by port 61h. */
    out8(&b, 0x61, 1);
    set_count(&b, 2, 0x30, 0xffff);
    advance(&b, 10 * ms);
    unsigned c = latched(&b, 2);
    tap_ok(0xffff - c >= 11930 && 0xffff - c <= 11932, "10 ms are 11931 ticks (%u)", 0xffff - c);
    tap_ok(!(in8(&b, 0x61) & 0x20), "output low before the terminal count");
    advance(&b, 45 * ms);
    tap_ok(in8(&b, 0x61) & 0x20, "and high after it");

    set_count(&b, 2, 0x30, 59659); /* 50 ms: memtest86+, Linux's slow path */
    tap_ok(!(in8(&b, 0x61) & 0x20), "loading takes it low");
    advance(&b, 49990000);
    tap_ok(!(in8(&b, 0x61) & 0x20), "just before 50 ms");
    advance(&b, 20000);
    tap_ok(in8(&b, 0x61) & 0x20, "just after");

    set_count(&b, 2, 0x30, 1000);
    out8(&b, 0x61, 0);
    advance(&b, 10 * ms);
    tap_ok(latched(&b, 2) == 1000, "a closed gate stops the counter");
    out8(&b, 0x61, 1);
    advance(&b, 419500);
    c = latched(&b, 2);
    tap_ok(c == 499 || c == 500, "opened, it goes on (%u)", c);

    /* IRQ 0 in mode 2 at 100 Hz. */
    set_count(&b, 0, 0x34, 11932);
    memset(b.edges, 0, sizeof(b.edges));
    advance(&b, 1000 * ms);
    tap_ok(b.edges[0] == 99 || b.edges[0] == 100, "mode 2: 100 interrupts a second (%d)",
           b.edges[0]);
    set_count(&b, 0, 0x36, 0);
    advance(&b, 100 * ms);
    memset(b.edges, 0, sizeof(b.edges));
    advance(&b, 10000 * ms);
    tap_ok(b.edges[0] == 182, "mode 3 with count 0: 18.2 a second (%d in 10 s)", b.edges[0]);
    set_count(&b, 0, 0x30, 1193);
    memset(b.edges, 0, sizeof(b.edges));
    tap_ok(b.level[0] == 0, "mode 0 takes the line low");
    advance(&b, 990000);
    tap_ok(b.edges[0] == 0, "one-shot: not yet");
    advance(&b, 100 * ms);
    tap_ok(b.edges[0] == 1, "one-shot: once");
    set_count(&b, 0, 0x38, 1193);
    memset(b.edges, 0, sizeof(b.edges));
    advance(&b, 100 * ms);
    tap_ok(b.edges[0] == 1, "mode 4: one strobe");

    set_count(&b, 0, 0x34, 2);
    memset(b.edges, 0, sizeof(b.edges));
    advance(&b, 100 * ms);
    tap_ok(b.edges[0] > 1000 && b.edges[0] <= 5000,
           "a count of 2 does not flood the host (%d in 100 ms)", b.edges[0]);

    /* Read-back. */
    set_count(&b, 0, 0x34, 5000);
    out8(&b, 0x43, 0xe2);
    unsigned st = in8(&b, 0x40);
    tap_ok((st & 0x3f) == 0x34 && (st & 0x80), "status: mode, access, output (%02x)", st);
    advance(&b, ms);
    out8(&b, 0x43, 0xc2);
    st = in8(&b, 0x40);
    unsigned low = in8(&b, 0x40), high = in8(&b, 0x40);
    c = low | high << 8;
    tap_ok((st & 0x3f) == 0x34 && c >= 3806 && c <= 3808, "read-back of status and count (%u)", c);
    out8(&b, 0x43, 0x00);
    advance(&b, ms);
    low = in8(&b, 0x40);
    tap_ok((low | in8(&b, 0x40) << 8) == c, "a latched count stands still");

    out8(&b, 0x40, 100);
    out8(&b, 0x40, 0);
    c = latched(&b, 0);
    tap_ok(c > 100, "a new count waits for the end of the period (%u)", c);
    advance(&b, 5 * ms);
    tap_ok(latched(&b, 0) <= 100, "and then rules");

    out8(&b, 0x43, 0x35); /* BCD */
    out8(&b, 0x40, 0x00);
    out8(&b, 0x40, 0x10);
    advance(&b, 100000);
    c = latched(&b, 0);
    tap_ok(c == 0x881 || c == 0x880, "BCD counts down in decimal (%x)", c);
    out8(&b, 0x43, 0x14);
    out8(&b, 0x40, 200);
    advance(&b, 20000);
    c = in8(&b, 0x40);
    tap_ok(c == 176 || c == 177, "low byte only");

    int toggles = 0;
    unsigned last = in8(&b, 0x61) & 0x10;
    for (int i = 0; i < 1000; i++) {
        advance(&b, 1000);
        unsigned now = in8(&b, 0x61) & 0x10;
        toggles += now != last;
        last = now;
    }
    tap_ok(toggles >= 65 && toggles <= 67, "refresh bit toggles every 15 us (%d in 1 ms)", toggles);
    tap_ok(state_round_trip(pit), "state saves and loads");
    bench_close(&b);
    return tap_done();
}
