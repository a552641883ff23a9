/* Timer of the local APIC: one-shot, periodic, TSC-deadline. Intel SDM volume 3, section 11.5.4.
 * It counts nanoseconds divided by the divide configuration; periods that the host missed become
 * one interrupt. */
#include "hw/intc/lapic_internal.h"

enum { MIN_PERIOD_NS = 20000 };

unsigned lapic_timer_mode(const struct lapic *a)
{
    return a->lvt[LVT_TIMER] >> 17 & 3;
}

static uint32_t divisor(const struct lapic *a)
{
    unsigned code = (a->divide & 3) | (a->divide >> 1 & 4);

    return code == 7 ? 1 : 2u << code;
}

uint32_t lapic_timer_count(const struct lapic *a, int64_t now)
{
    uint64_t ticks = (uint64_t)(now - a->count_time) / divisor(a);

    if (lapic_timer_mode(a) == TIMER_DEADLINE || !a->initial) {
        return 0;
    }
    if (ticks < a->count) {
        return a->count - (uint32_t)ticks;
    }
    return lapic_timer_mode(a) == TIMER_PERIODIC
               ? a->initial - (uint32_t)((ticks - a->count) % a->initial)
               : 0;
}

static void arm_count(struct lapic *a)
{
    if (a->count && lapic_timer_mode(a) != TIMER_DEADLINE) {
        timer_set(&a->timer, a->count_time + (int64_t)a->count * divisor(a));
    } else {
        timer_cancel(&a->timer);
    }
}

void lapic_timer_arm_deadline(struct lapic *a)
{
    if (a->deadline && lapic_timer_mode(a) == TIMER_DEADLINE) {
        timer_set(&a->timer, x86_tsc_to_clock(a->cpu, a->deadline));
    } else {
        timer_cancel(&a->timer);
    }
}

void lapic_timer_expired(void *opaque)
{
    struct lapic *a = opaque;
    int64_t due = x86_tsc_to_clock(a->cpu, a->deadline); /* may give "now": read before the clock */
    int64_t now = clock_now(a->dev.machine->clock);

    if (lapic_timer_mode(a) == TIMER_DEADLINE) {
        if (due > now) { /* the TSC was written since the timer was set */
            lapic_timer_arm_deadline(a);
            return;
        }
        a->deadline = 0;
    } else if (lapic_timer_mode(a) == TIMER_PERIODIC && a->initial) {
        int64_t period = (int64_t)a->initial * divisor(a);
        a->count_time += (int64_t)a->count * divisor(a);
        a->count = a->initial;
        if (now - a->count_time >= period) { /* late: the missed ones are one */
            a->count_time += (now - a->count_time) / period * period;
        }
        /* A period far too short for any handler must not keep the host's main loop. */
        int64_t next = a->count_time + period;
        timer_set(&a->timer, next > now + MIN_PERIOD_NS ? next : now + MIN_PERIOD_NS);
    } else {
        a->count = 0;
        a->count_time = now;
    }
    lapic_lvt_fire(a, LVT_TIMER);
}

void lapic_timer_write_initial(struct lapic *a, uint32_t v)
{
    if (lapic_timer_mode(a) == TIMER_DEADLINE) {
        return;
    }
    a->initial = a->count = v;
    a->count_time = clock_now(a->dev.machine->clock);
    arm_count(a);
}

void lapic_timer_write_divide(struct lapic *a, uint32_t v)
{
    int64_t now = clock_now(a->dev.machine->clock);

    a->count = lapic_timer_count(a, now);
    a->count_time = now;
    a->divide = v & 0xb;
    if (lapic_timer_mode(a) != TIMER_DEADLINE) {
        arm_count(a);
    }
}

void lapic_timer_write_lvt(struct lapic *a, uint32_t v)
{
    unsigned old = lapic_timer_mode(a);
    int64_t now = clock_now(a->dev.machine->clock);
    uint32_t left = lapic_timer_count(a, now);

    a->lvt[LVT_TIMER] = v;
    if ((old == TIMER_DEADLINE) != (lapic_timer_mode(a) == TIMER_DEADLINE)) {
        a->deadline = 0; /* SDM 11.5.4.1: a change to or from this mode disarms */
        a->initial = a->count = 0;
        timer_cancel(&a->timer);
    } else if (old != lapic_timer_mode(a)) {
        a->count = left;
        a->count_time = now;
        arm_count(a);
    }
}
