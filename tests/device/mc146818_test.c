/* The real-time clock and CMOS RAM. */
#include "hw/timer/timers.h"
#include "tests/device/harness.h"

#include <time.h>

static unsigned get(struct bench *b, unsigned reg)
{
    out8(b, 0x70, reg);
    return in8(b, 0x71);
}

static void set(struct bench *b, unsigned reg, unsigned v)
{
    out8(b, 0x70, reg);
    out8(b, 0x71, v);
}

static void set_time(struct bench *b, unsigned century, unsigned year, unsigned month, unsigned day,
                     unsigned hour, unsigned min, unsigned sec)
{
    set(b, 0x0b, get(b, 0x0b) | 0x80);
    set(b, 0x32, century);
    set(b, 9, year);
    set(b, 8, month);
    set(b, 7, day);
    set(b, 4, hour);
    set(b, 2, min);
    set(b, 0, sec);
    set(b, 0x0b, get(b, 0x0b) & 0x7f);
}

static bool shows(struct bench *b, unsigned year, unsigned month, unsigned day, unsigned hour,
                  unsigned min, unsigned sec)
{
    bool ok = get(b, 9) == year && get(b, 8) == month && get(b, 7) == day && get(b, 4) == hour &&
              get(b, 2) == min && get(b, 0) == sec;
    if (!ok) {
        printf("# %02x-%02x-%02x %02x:%02x:%02x\n", get(b, 9), get(b, 8), get(b, 7), get(b, 4),
               get(b, 2), get(b, 0));
    }
    return ok;
}

int main(void)
{
    struct bench b;
    int64_t s = 1000000000;

    bench_open(&b);
    bench_isa_lines(&b);
    struct device *rtc = bench_add(&b, &mc146818_type);

    time_t t = time(NULL);
    struct tm tm;
    gmtime_r(&t, &tm);
    unsigned year = (unsigned)tm.tm_year + 1900;
    tap_ok(get(&b, 9) == (year % 100 / 10 << 4 | year % 10) && get(&b, 0x32) == 0x20,
           "starts at the host's date");
    tap_ok(get(&b, 6) == (unsigned)tm.tm_wday + 1, "day of the week");

    set_time(&b, 0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x58);
    tap_ok(shows(&b, 0x24, 2, 0x28, 0x23, 0x59, 0x58), "time set");
    advance(&b, 2 * s);
    tap_ok(shows(&b, 0x24, 2, 0x29, 0, 0, 0), "leap day");
    tap_ok(get(&b, 6) == 5, "a Thursday");
    advance(&b, 86400 * s);
    tap_ok(shows(&b, 0x24, 3, 1, 0, 0, 0), "1 March");
    set_time(&b, 0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59);
    advance(&b, s);
    tap_ok(shows(&b, 0, 1, 1, 0, 0, 0) && get(&b, 0x32) == 0x20, "turn of the century");

    set(&b, 0x0b, 0x80 | 0x04); /* binary, 12 hours */
    set(&b, 4, 0x80 | 12);
    set(&b, 0x0b, 0x04);
    tap_ok(get(&b, 4) == 0x8c, "binary, 12 hours: noon is 12 PM");
    advance(&b, 3600 * s);
    tap_ok(get(&b, 4) == 0x81, "then 1 PM");
    set(&b, 0x0b, 0x80 | 0x02);
    set_time(&b, 0x20, 0x24, 1, 1, 0, 0, 0);

    /* Update cycle. */
    advance(&b, s / 2);
    tap_ok(!(get(&b, 0x0a) & 0x80), "no update in progress in mid-second");
    advance(&b, s / 2 - 100000);
    tap_ok(get(&b, 0x0a) & 0x80, "update in progress at its end");
    get(&b, 0x0c);
    advance(&b, 200000);
    tap_ok(!(get(&b, 0x0a) & 0x80) && get(&b, 0) == 1, "then the next second");
    tap_ok(get(&b, 0x0c) & 0x10, "update-ended flag");
    tap_ok(!get(&b, 0x0c) && !b.edges[8], "cleared by reading, no interrupt");
    set(&b, 0x0b, 0x12);
    advance(&b, 3 * s);
    tap_ok(b.edges[8] == 1 && b.level[8], "update interrupt holds the line");
    tap_ok((get(&b, 0x0c) & 0xb0) == 0x90 && !b.level[8], "until C is read");
    set(&b, 0x0b, 0x22);
    set(&b, 1, 0x10);
    set(&b, 3, 0xff);
    set(&b, 5, 0xff);
    advance(&b, 5 * s);
    tap_ok(!b.level[8], "alarm: not yet");
    advance(&b, 2 * s);
    tap_ok(b.level[8] && (get(&b, 0x0c) & 0xa0) == 0xa0, "alarm at second 10");

    set(&b, 0x0b, 0x42);
    get(&b, 0x0c);
    memset(b.edges, 0, sizeof(b.edges));
    for (int i = 0; i < 1000; i++) {
        advance(&b, s / 1000);
        get(&b, 0x0c);
    }
    tap_ok(b.edges[8] >= 990 && b.edges[8] <= 1001, "periodic at 1024 Hz (%d seen at 1000 Hz)",
           b.edges[8]);
    set(&b, 0x0b, 0x02);
    get(&b, 0x0c);
    advance(&b, 2000000);
    tap_ok(get(&b, 0x0c) & 0x40, "periodic flag without its interrupt");

    set(&b, 0x0a, 0x76); /* divider reset: time stands */
    unsigned before = get(&b, 0);
    advance(&b, 5 * s);
    tap_ok(get(&b, 0) == before, "divider reset stops the time");
    set(&b, 0x0a, 0x26);
    advance(&b, 499 * s / 1000);
    tap_ok(get(&b, 0) == before, "the first update comes ...");
    advance(&b, 2 * s / 1000);
    tap_ok(get(&b, 0) == before + 1, "... half a second after the release");

    mc146818_set_cmos(rtc, 0x34, 0x5a);
    tap_ok(get(&b, 0xb4) == 0x5a && mc146818_nmi_masked(rtc), "CMOS byte; index bit 7 masks NMI");
    set(&b, 0x7f, 0x77);
    devices_reset(b.m);
    tap_ok(get(&b, 0x7f) == 0x77 && get(&b, 0x0d) == 0x80,
           "RAM survives a reset, the battery is good");
    tap_ok(state_round_trip(rtc), "state saves and loads");
    for (unsigned v = 0; v < 256; v++) { /* any nonsense */
        set_time(&b, v, 255 - v, v, v, v, v, v);
        advance(&b, s);
        get(&b, 0);
    }
    set_time(&b, 0x99, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58);
    advance(&b, s);
    tap_ok(shows(&b, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59), "year 9999, after much nonsense");
    bench_close(&b);
    return tap_done();
}
