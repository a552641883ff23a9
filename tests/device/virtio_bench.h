/* What the tests of single virtio devices share: a bench with a PCI bus and a main loop. */
#ifndef TESTS_DEVICE_VIRTIO_BENCH_H
#define TESTS_DEVICE_VIRTIO_BENCH_H

#include "host/mainloop.h"
#include "tests/device/virtio_driver.h"

static struct bench b; /* level[0]: the interrupt */
static struct mainloop *loop;

static inline void settle(unsigned rounds)
{
    while (rounds--) {
        bench_step(&b, loop);
    }
}

static inline bool broken(struct driver *d)
{
    return common_in(d, 20, 1) & VIRTIO_NEEDS_RESET;
}

static inline void virtio_open(void)
{
    static struct irq line = {bench_set_line, &b, 0};

    bench_open(&b);
    loop = mainloop_create(b.m);
    driver_bus(&b, &line);
}

static inline void virtio_close(void)
{
    bench_close(&b);
    mainloop_destroy(loop);
}

#endif
