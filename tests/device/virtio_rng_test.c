/* Virtio random numbers through a driver. */
#include "tests/device/virtio_bench.h"

extern const struct device_type virtio_rng_type;

static void test_rng(void)
{
    struct error err = {{0}};
    struct device *dev =
        device_make(b.m, &virtio_rng_type, &err, "max-bytes=300", "period=10", NULL);
    struct driver d;
    uint32_t id, len = 0;
    uint8_t bytes[512] = {0}, zero[512] = {0};

    bench_must(dev, &err);
    driver_find(&d, &b, dev);
    driver_start(&d, 1u << 29, 1);
    memory_write(b.m->memory, DRIVER_BUFFERS, zero, 512);
    put_desc(&d, 0, 0, DRIVER_BUFFERS, 512, D_WRITE, 0);
    make_available(&d, 0, 0);
    driver_kick(&d, 0);
    memory_read(b.m->memory, DRIVER_BUFFERS, bytes, 512);
    tap_ok(take_used(&d, 0, &id, &len) && len == 300 && memcmp(bytes, zero, 300) &&
               !memcmp(bytes + 300, zero, 212),
           "rng: as many random bytes as the limit lets through");
    make_available(&d, 0, 0);
    driver_kick(&d, 0);
    tap_ok(!take_used(&d, 0, &id, &len), "rng: then nothing");
    advance(&b, 10000000);
    tap_ok(take_used(&d, 0, &id, &len) && len == 300, "rng: until the next period");
    tap_ok(state_round_trip(dev), "rng: state");
    pci_config_write(d.v->pci.bus, 0, d.v->pci.devfn, 4, 0, 2);
}

int main(void)
{
    virtio_open();
    test_rng();
    virtio_close();
    return tap_done();
}
