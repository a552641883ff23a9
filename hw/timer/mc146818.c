/* MC146818A real-time clock with 128 bytes of CMOS RAM (ports 70, 71). Motorola data sheet; RTC
 * part of the 82371SB data sheet 290550. The century is byte 32h, as ACPI's FADT says.
 *
 * The time of day is the clock plus an offset; the registers are computed when read. A timer runs
 * each second for the update and alarm flags; the periodic flag has one only while its interrupt is
 * enabled. The day of the week follows from the date. Not modelled: daylight saving (register B bit
 * 0), the square wave output, 24 hours' drift. */
#include "hw/isa/isa.h"
#include "hw/timer/timers.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    RTC_SEC = 0,
    RTC_SEC_ALARM,
    RTC_MIN,
    RTC_MIN_ALARM,
    RTC_HOUR,
    RTC_HOUR_ALARM,
    RTC_WDAY,
    RTC_MDAY,
    RTC_MONTH,
    RTC_YEAR,
    RTC_A,
    RTC_B,
    RTC_C,
    RTC_D,
    RTC_CENTURY = 0x32,
};
enum { A_UIP = 0x80, A_DV = 0x70, A_DV_RESET = 0x60, A_RS = 0x0f };
enum {
    B_SET = 0x80,
    B_PIE = 0x40,
    B_AIE = 0x20,
    B_UIE = 0x10,
    B_SQWE = 8,
    B_BINARY = 4,
    B_24H = 2
};
enum { C_IRQF = 0x80, C_PF = 0x40, C_AF = 0x20, C_UF = 0x10 };
enum { CMOS_SIZE = 128, RTC_IRQ = 8, UIP_NS = 244000 };
enum { MAX_OWED = 8192, SLEW = 4 /* owed interrupts come so much faster */ };
#define NS INT64_C(1000000000)

struct mc146818 {
    struct device dev;             /* must be first */
    char *base, *clock, *driftfix; /* properties */
    bool follows_host; /* the time of day is the host's, also after the machine stood still */
    bool slew;         /* periodic interrupts that were missed are given later */

    uint8_t cmos[CMOS_SIZE];
    uint8_t index;    /* as written to port 70, with the NMI mask */
    int64_t base_sec; /* time since 1970 = base_sec seconds + (clock + base_ns) */
    int64_t base_ns;
    int64_t next_sec;       /* second (since 1970) whose update is handled next */
    uint64_t periodic_seen; /* periods already turned into the flag */
    uint32_t owed;          /* slew: periods that the guest has not been told of */
    struct timer second, periodic;
};

static const struct state_field mc146818_fields[] = {
    STATE_BYTES(struct mc146818, cmos),     STATE_U8(struct mc146818, index),
    STATE_I64(struct mc146818, base_sec),   STATE_I64(struct mc146818, base_ns),
    STATE_I64(struct mc146818, next_sec),   STATE_U64(struct mc146818, periodic_seen),
    STATE_U32(struct mc146818, owed),       STATE_TIMER(struct mc146818, second),
    STATE_TIMER(struct mc146818, periodic), STATE_END,
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* What the time of day counts with: the machine's clock, or the host's. */
static int64_t ticks(const struct mc146818 *s)
{
    int64_t sec, nsec;

    if (!s->follows_host) {
        return clock_now(s->dev.machine->clock);
    }
    clock_wall(s->dev.machine->clock, &sec, &nsec);
    return sec * NS + nsec;
}

/* Seconds and the fraction are kept apart, so that any year the guest may write fits. */
static int64_t now_sec(const struct mc146818 *s)
{
    return s->base_sec + floor_div(ticks(s) + s->base_ns, NS);
}

static int64_t now_fraction(const struct mc146818 *s)
{
    int64_t ns = ticks(s) + s->base_ns;

    return ns - floor_div(ns, NS) * NS;
}

static void set_now(struct mc146818 *s, int64_t sec, int64_t fraction)
{
    s->base_sec = sec;
    s->base_ns = fraction - ticks(s);
}

static bool stopped(const struct mc146818 *s)
{
    return (s->cmos[RTC_B] & B_SET) || (s->cmos[RTC_A] & A_DV_RESET) == A_DV_RESET;
}

/* ---- calendar ---- */

/* Days since 1970-01-01 of a date of the Gregorian calendar; months count from March, so that the
 * leap day is the last of the year. */
static int64_t days_of(int64_t year, unsigned month, unsigned mday)
{
    int64_t y = year - (month <= 2);
    int64_t m = month + (month <= 2 ? 9 : -3);

    return 365 * y + floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400) + (153 * m + 2) / 5 +
           mday - 719469;
}

static void date_of(int64_t days, int64_t *year, unsigned *month, unsigned *mday)
{
    int64_t y = floor_div(days * 400, 146097) + 1970; /* at most one too many or too few */

    while (days_of(y, 1, 1) > days) {
        y--;
    }
    while (days_of(y + 1, 1, 1) <= days) {
        y++;
    }
    unsigned m = 1;
    while (m < 12 && days_of(y, m + 1, 1) <= days) {
        m++;
    }
    *year = y;
    *month = m;
    *mday = (unsigned)(days - days_of(y, m, 1)) + 1;
}

/* ---- register encodings ---- */

static uint8_t encode(const struct mc146818 *s, unsigned v)
{
    return (uint8_t)(s->cmos[RTC_B] & B_BINARY ? v : v / 10 << 4 | v % 10);
}

static unsigned decode(const struct mc146818 *s, uint8_t v)
{
    return s->cmos[RTC_B] & B_BINARY ? v : (v >> 4) * 10u + (v & 15);
}

static uint8_t encode_hour(const struct mc146818 *s, unsigned h)
{
    if (s->cmos[RTC_B] & B_24H) {
        return encode(s, h);
    }
    return encode(s, h % 12 ? h % 12 : 12) | (h >= 12 ? 0x80 : 0);
}

static unsigned decode_hour(const struct mc146818 *s, uint8_t v)
{
    if (s->cmos[RTC_B] & B_24H) {
        return decode(s, v);
    }
    return decode(s, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

/* Time to registers. */
static void show_time(struct mc146818 *s)
{
    int64_t sec = now_sec(s), year;
    int64_t days = floor_div(sec, 86400);
    unsigned of_day = (unsigned)(sec - days * 86400), month, mday;

    date_of(days, &year, &month, &mday);
    s->cmos[RTC_SEC] = encode(s, of_day % 60);
    s->cmos[RTC_MIN] = encode(s, of_day / 60 % 60);
    s->cmos[RTC_HOUR] = encode_hour(s, of_day / 3600);
    s->cmos[RTC_WDAY] = encode(s, (unsigned)((days % 7 + 7 + 4) % 7) + 1);
    s->cmos[RTC_MDAY] = encode(s, mday);
    s->cmos[RTC_MONTH] = encode(s, month);
    s->cmos[RTC_YEAR] = encode(s, (unsigned)(year % 100));
    s->cmos[RTC_CENTURY] = encode(s, (unsigned)(year / 100 % 100));
}

/* Registers to time. fraction: ns into the second. */
static void take_time(struct mc146818 *s, int64_t fraction)
{
    int64_t year = decode(s, s->cmos[RTC_YEAR]) + 100 * (int64_t)decode(s, s->cmos[RTC_CENTURY]);
    unsigned month = decode(s, s->cmos[RTC_MONTH]);
    int64_t days =
        days_of(year, month >= 1 && month <= 12 ? month : 1, decode(s, s->cmos[RTC_MDAY]));
    int64_t sec = days * 86400 + decode_hour(s, s->cmos[RTC_HOUR]) * INT64_C(3600) +
                  decode(s, s->cmos[RTC_MIN]) * INT64_C(60) + decode(s, s->cmos[RTC_SEC]);

    set_now(s, sec, fraction);
}

/* ---- flags and interrupts ---- */

static unsigned periodic_hz(const struct mc146818 *s)
{
    unsigned rs = s->cmos[RTC_A] & A_RS;

    return rs == 0 ? 0 : rs < 3 ? 512u >> rs : 65536u >> rs;
}

static uint64_t periods(const struct mc146818 *s)
{
    return clock_muldiv((uint64_t)clock_now(s->dev.machine->clock), periodic_hz(s), (uint64_t)NS);
}

static void update_irq(struct mc146818 *s)
{
    uint8_t *c = &s->cmos[RTC_C];

    *c &= (uint8_t)~C_IRQF;
    if (*c & s->cmos[RTC_B] & (C_PF | C_AF | C_UF)) { /* same bit positions */
        *c |= C_IRQF;
    }
    irq_set(isa_irq(s->dev.machine, RTC_IRQ), *c & C_IRQF ? 1 : 0);
}

static void catch_up_periodic(struct mc146818 *s)
{
    uint64_t now = periods(s);

    if (periodic_hz(s) && now != s->periodic_seen) {
        uint64_t missed = now - s->periodic_seen - !(s->cmos[RTC_C] & C_PF);
        if (s->slew && (s->cmos[RTC_B] & B_PIE)) {
            s->owed = (uint32_t)(s->owed + missed < MAX_OWED ? s->owed + missed : MAX_OWED);
        }
        s->periodic_seen = now;
        s->cmos[RTC_C] |= C_PF;
    }
}

static void arm_periodic(struct mc146818 *s)
{
    unsigned hz = periodic_hz(s);

    if (hz && (s->cmos[RTC_B] & B_PIE) && s->owed && !(s->cmos[RTC_C] & C_PF)) {
        timer_set(&s->periodic, clock_now(s->dev.machine->clock) + NS / hz / SLEW);
    } else if (hz && (s->cmos[RTC_B] & B_PIE)) {
        timer_set(&s->periodic, (int64_t)clock_muldiv(periods(s) + 1, (uint64_t)NS, hz) + 1);
    } else {
        timer_cancel(&s->periodic);
    }
}

static void periodic_expired(void *opaque)
{
    struct mc146818 *s = opaque;

    catch_up_periodic(s);
    if (s->owed && !(s->cmos[RTC_C] & C_PF)) {
        s->owed--;
        s->cmos[RTC_C] |= C_PF;
    }
    update_irq(s);
    arm_periodic(s);
}

static void arm_second(struct mc146818 *s)
{
    if (stopped(s)) {
        timer_cancel(&s->second);
    } else {
        int64_t at = (s->next_sec - s->base_sec) * NS - s->base_ns;
        at += clock_now(s->dev.machine->clock) - ticks(s);
        timer_set(&s->second, at > 0 ? at : 0);
    }
}

/* After the time was set or the clock started. */
static void restart_seconds(struct mc146818 *s)
{
    s->next_sec = now_sec(s) + 1;
    arm_second(s);
}

static bool alarm_matches(const struct mc146818 *s, unsigned reg, unsigned value)
{
    uint8_t a = s->cmos[reg];

    return a >= 0xc0 || (reg == RTC_HOUR_ALARM ? decode_hour(s, a) : decode(s, a)) == value;
}

static void second_expired(void *opaque)
{
    struct mc146818 *s = opaque;
    int64_t now = now_sec(s);
    unsigned of_day = (unsigned)(s->next_sec - floor_div(s->next_sec, 86400) * 86400);

    s->cmos[RTC_C] |= C_UF;
    if (alarm_matches(s, RTC_SEC_ALARM, of_day % 60) &&
        alarm_matches(s, RTC_MIN_ALARM, of_day / 60 % 60) &&
        alarm_matches(s, RTC_HOUR_ALARM, of_day / 3600)) {
        s->cmos[RTC_C] |= C_AF;
    }
    update_irq(s);
    s->next_sec++; /* one at a time when late, so that no alarm is missed ... */
    if (now - s->next_sec > 60) {
        s->next_sec = now; /* ... within reason */
    }
    arm_second(s);
}

/* ---- registers ---- */

static bool is_time(unsigned reg)
{
    return (reg <= RTC_YEAR &&
            (reg == RTC_SEC || reg == RTC_MIN || reg == RTC_HOUR || reg >= RTC_WDAY)) ||
           reg == RTC_CENTURY;
}

static uint8_t read_reg(struct mc146818 *s, unsigned reg)
{
    uint8_t v;

    if (is_time(reg) && !stopped(s)) {
        show_time(s);
    }
    switch (reg) {
    case RTC_A:
        v = s->cmos[RTC_A];
        if (!stopped(s) && now_fraction(s) >= NS - UIP_NS) {
            v |= A_UIP;
        }
        return v;
    case RTC_C:
        catch_up_periodic(s);
        update_irq(s);
        v = s->cmos[RTC_C];
        s->cmos[RTC_C] = 0;
        update_irq(s);
        if (s->owed) {
            arm_periodic(s);
        }
        return v;
    default:
        return s->cmos[reg];
    }
}

/* A and B decide whether time runs and how it is written. */
static void write_mode(struct mc146818 *s, unsigned reg, uint8_t v)
{
    bool was_stopped = stopped(s);
    bool was_reset = (s->cmos[RTC_A] & A_DV_RESET) == A_DV_RESET;

    if (!was_stopped) {
        show_time(s);
    }
    s->cmos[reg] = reg == RTC_A ? v & (uint8_t)~A_UIP : v & B_SET ? v & (uint8_t)~B_UIE : v;
    if (was_stopped && !stopped(s)) {
        /* Out of divider reset the first update comes after half a second. */
        take_time(s, was_reset ? NS / 2 : 0);
        restart_seconds(s);
    } else if (stopped(s)) {
        arm_second(s);
    }
    if (reg == RTC_A) {
        s->periodic_seen = periods(s);
        s->owed = 0;
    }
    arm_periodic(s);
    update_irq(s);
}

static void write_reg(struct mc146818 *s, unsigned reg, uint8_t v)
{
    if (reg == RTC_A || reg == RTC_B) {
        write_mode(s, reg, v);
    } else if (reg == RTC_C || reg == RTC_D) {
        return; /* read only */
    } else if (is_time(reg) && !stopped(s)) {
        show_time(s);
        s->cmos[reg] = v;
        take_time(s, now_fraction(s));
        restart_seconds(s);
    } else {
        s->cmos[reg] = v;
    }
}

static uint64_t rtc_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mc146818 *s = opaque;

    (void)size;
    return offset ? read_reg(s, s->index & 0x7f) : 0xff; /* the index is write only */
}

static void rtc_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct mc146818 *s = opaque;

    log_trace(s->dev.machine->log, mc146818_write, "%u <- %02x", (unsigned)offset,
              (unsigned)value & 255);
    (void)size;
    if (offset) {
        write_reg(s, s->index & 0x7f, (uint8_t)value);
    } else {
        s->index = (uint8_t)value;
    }
}

static const struct mmio_ops rtc_ops = {rtc_read, rtc_write, 1, 1};

/* ---- for boards ---- */

void mc146818_set_cmos(struct device *d, uint8_t index, uint8_t value)
{
    ((struct mc146818 *)d)->cmos[index & 0x7f] = value;
}

uint8_t mc146818_get_cmos(struct device *d, uint8_t index)
{
    return ((struct mc146818 *)d)->cmos[index & 0x7f];
}

bool mc146818_nmi_masked(struct device *d)
{
    return ((struct mc146818 *)d)->index & 0x80;
}

/* ---- life ---- */

static void mc146818_loaded(void *obj)
{
    struct mc146818 *s = obj;
    const int64_t far = INT64_C(1) << 62;

    if (s->base_sec > far || s->base_sec < -far || s->base_ns > far || s->base_ns < -far ||
        s->next_sec > far || s->next_sec < -far) {
        s->base_sec = s->base_ns = s->next_sec = 0; /* a damaged snapshot */
    }
    s->owed = s->owed < MAX_OWED ? s->owed : 0;
    if (!stopped(s) && (s->next_sec > now_sec(s) + 1 || s->next_sec < now_sec(s) - 60)) {
        restart_seconds(s);
    }
    update_irq(s);
}

static const struct state_table mc146818_state = {1, mc146818_fields, mc146818_loaded};

/* RESET# leaves the time and the RAM alone: the battery holds them. */
static void mc146818_reset(struct device *d)
{
    struct mc146818 *s = (struct mc146818 *)d;

    s->cmos[RTC_B] &= (uint8_t) ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    s->cmos[RTC_C] = 0;
    s->index = 0;
    s->owed = 0;
    arm_periodic(s);
    update_irq(s);
}

/* YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS as seconds since 1970. */
static bool parse_date(const char *text, int64_t *sec)
{
    unsigned year, month, mday, hour = 0, min = 0, s = 0;
    int end = -1, n = sscanf(text, "%4u-%2u-%2u%n", &year, &month, &mday, &end);

    if (n == 3 && end > 0 && text[end] == 'T') {
        const char *time = text + end + 1;
        end = -1;
        n = sscanf(time, "%2u:%2u:%2u%n", &hour, &min, &s, &end);
        text = time;
    }
    if (n != 3 || end < 0 || text[end] || year < 1900 || !month || month > 12 || !mday ||
        mday > 31 || hour > 23 || min > 59 || s > 59) {
        return false;
    }
    *sec = days_of(year, month, mday) * 86400 + hour * INT64_C(3600) + min * INT64_C(60) + s;
    return true;
}

static bool set_base(struct mc146818 *s, struct error *err)
{
    int64_t sec, nsec;

    clock_wall(s->dev.machine->clock, &sec, &nsec);
    if (s->base && !strcmp(s->base, "localtime")) {
        time_t t = (time_t)sec;
        struct tm tm;
        if (localtime_r(&t, &tm)) {
            sec += tm.tm_gmtoff;
        }
    } else if (s->base && strcmp(s->base, "utc") && !parse_date(s->base, &sec)) {
        return error_set(
            err, "base=%s is neither utc, localtime nor a date like 2006-06-17T16:01:21", s->base);
    }
    set_now(s, sec, nsec);
    return true;
}

static bool mc146818_realize(struct device *d, struct error *err)
{
    struct mc146818 *s = (struct mc146818 *)d;

    if (s->clock && strcmp(s->clock, "vm") && strcmp(s->clock, "host") && strcmp(s->clock, "rt")) {
        return error_set(err, "clock=%s is none of host, rt and vm", s->clock);
    }
    if (s->driftfix && strcmp(s->driftfix, "slew") && strcmp(s->driftfix, "none")) {
        return error_set(err, "driftfix=%s is neither slew nor none", s->driftfix);
    }
    s->follows_host = s->clock && strcmp(s->clock, "vm");
    s->slew = s->driftfix && !strcmp(s->driftfix, "slew");
    timer_init(&s->second, d->machine->clock, second_expired, s);
    timer_init(&s->periodic, d->machine->clock, periodic_expired, s);
    if (!set_base(s, err)) {
        return false;
    }
    s->cmos[RTC_A] = 0x26; /* 32.768 kHz, 1024 Hz periodic */
    s->cmos[RTC_B] = B_24H;
    s->cmos[RTC_D] = 0x80; /* the battery is good */
    show_time(s);
    restart_seconds(s);
    return isa_claim_ports(d, 0x70, 2, &rtc_ops, s, err);
}

static const struct property mc146818_props[] = {
    PROP_STRING(struct mc146818, base,
                "time at the start: utc (the default), localtime, or a date"),
    PROP_STRING(
        struct mc146818, clock,
        "vm (the default): stands still with the machine; host, rt: follows the host's clock"),
    PROP_STRING(struct mc146818, driftfix, "slew: periodic interrupts that were missed come later"),
    PROP_END,
};

const struct device_type mc146818_type = {
    .name = "mc146818rtc",
    .summary = "MC146818 real-time clock and CMOS RAM",
    .bus = BUS_ISA,
    .size = sizeof(struct mc146818),
    .props = mc146818_props,
    .state = &mc146818_state,
    .realize = mc146818_realize,
    .reset = mc146818_reset,
};
