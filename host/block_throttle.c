/* I/O throttling: one leaky bucket a limit. A request may start while no bucket that it counts in
 * is above its burst size; it then fills them, and they leak at the rate of the limit. */
#include "host/block_internal.h"

enum { BPS = 0, IOPS = 3 };

void throttle_config(struct throttle *t, const struct block_throttle *c, int64_t now)
{
    t->config = *c;
    t->last = now;
    t->on = false;
    for (unsigned i = 0; i < 3; i++) {
        t->bucket[BPS + i] = (struct bucket){(double)c->bps[i], (double)c->bps_max[i], 0};
        t->bucket[IOPS + i] = (struct bucket){(double)c->iops[i], (double)c->iops_max[i], 0};
    }
    for (unsigned i = 0; i < 6; i++) {
        struct bucket *b = &t->bucket[i];
        b->burst = b->burst > 0 ? b->burst : b->rate / 10;
        t->on |= b->rate > 0;
    }
}

static void leak(struct throttle *t, int64_t now)
{
    double seconds = now > t->last ? (double)(now - t->last) / 1e9 : 0;

    for (unsigned i = 0; i < 6; i++) {
        struct bucket *b = &t->bucket[i];
        b->level -= b->rate * seconds;
        b->level = b->level > 0 ? b->level : 0;
    }
    t->last = now;
}

int64_t throttle_take(struct throttle *t, bool write, uint64_t bytes, int64_t now)
{
    unsigned mine[4] = {BPS, BPS + 1 + write, IOPS, IOPS + 1 + write};
    double wait = 0, operations = 1;

    leak(t, now);
    for (unsigned i = 0; i < 4; i++) {
        const struct bucket *b = &t->bucket[mine[i]];
        if (b->rate > 0 && b->level > b->burst) {
            double w = (b->level - b->burst) / b->rate;
            wait = w > wait ? w : wait;
        }
    }
    if (wait > 0) {
        return (int64_t)(wait * 1e9) + 1;
    }
    if (t->config.iops_size && bytes > t->config.iops_size) {
        operations = (double)bytes / (double)t->config.iops_size;
    }
    for (unsigned i = 0; i < 4; i++) {
        struct bucket *b = &t->bucket[mine[i]];
        b->level += b->rate > 0 ? (i < 2 ? (double)bytes : operations) : 0;
    }
    return 0;
}
