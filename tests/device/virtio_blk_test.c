/* The virtio disk through a driver: requests, right ones and wrong ones. */
#include "host/block.h"
#include "tests/device/virtio_bench.h"

#include <unistd.h>

extern const struct device_type virtio_blk_type;

enum { DISK_SECTORS = 4096 };
static const uint64_t request = DRIVER_BUFFERS + 0x10000, data = DRIVER_BUFFERS + 0x11000;

/* Runs one request and returns its status, 255 when it does not end. */
static unsigned disk(struct driver *d, uint32_t type, uint64_t sector, uint32_t bytes, bool in)
{
    uint32_t id, len;

    memory_write32(b.m->memory, request, type);
    memory_write64(b.m->memory, request + 8, sector);
    memory_write(b.m->memory, request + 16, "\xee", 1);
    put_desc(d, 0, 0, request, 16, D_NEXT, bytes ? 1 : 2);
    put_desc(d, 0, 1, data, bytes, (uint16_t)(D_NEXT | (in ? D_WRITE : 0)), 2);
    put_desc(d, 0, 2, request + 16, 1, D_WRITE, 0);
    make_available(d, 0, 0);
    driver_kick(d, 0);
    for (unsigned i = 0; i < BENCH_PATIENCE && used_index(d, 0) == d->seen[0]; i++) {
        settle(1);
    }
    return take_used(d, 0, &id, &len) ? memory_read16(b.m->memory, request + 16) & 0xff : 255;
}

static void test_disk(const char *path)
{
    struct error err = {{0}};
    struct block_options o = {.file = path, .format = "raw", .id = "disk"};
    struct block_graph *graph = block_graph_create(loop);
    struct block *block = block_open(graph, &o, &err);
    struct device *dev = device_create(b.m, &virtio_blk_type, "d");
    struct driver d;
    uint8_t buf[1024], want[1024];

    device_set_ptr(dev, "drive", block);
    device_set(dev, "serial", "serial-number-of-the-disk", &err);
    bench_must(device_realize(dev, &err) ? dev : NULL, &err);
    driver_find(&d, &b, dev);
    driver_start(&d, UINT64_MAX, 1);
    tap_ok(common_in(&d, 0x2000, 4) == DISK_SECTORS && common_in(&d, 0x2000 + 12, 4) == 254,
           "disk: capacity and segments");
    tap_ok(disk(&d, 0, 7, 1024, true) == 0, "disk: read");
    memory_read(b.m->memory, data, buf, 1024);
    memset(want, 7, 512);
    memset(want + 512, 8, 512);
    tap_ok(!memcmp(buf, want, 1024), "disk: the right sectors");
    memset(buf, 0xa5, 1024);
    memory_write(b.m->memory, data, buf, 1024);
    tap_ok(disk(&d, 1, 100, 1024, false) == 0 && disk(&d, 4, 0, 0, false) == 0,
           "disk: write, flush");
    tap_ok(block_pread(block, 100 * 512, want, 1024) == 0 && !memcmp(buf, want, 1024),
           "disk: written to the image");
    tap_ok(disk(&d, 0, DISK_SECTORS - 1, 1024, true) == 1 &&
               disk(&d, 1, UINT64_MAX / 512, 512, false) == 1 && disk(&d, 0, 0, 100, true) == 1,
           "disk: beyond its end, or half a sector: an I/O error");
    tap_ok(disk(&d, 8, 0, 20, true) == 0, "disk: its serial number");
    memory_read(b.m->memory, data, buf, 20);
    tap_ok(!memcmp(buf, "serial-number-of-the-disk", 20), "disk: of 20 characters");
    tap_ok(disk(&d, 99, 0, 0, false) == 2, "disk: a request that it does not know");
    memory_write64(b.m->memory, data, 100);
    memory_write64(b.m->memory, data + 8, 1 | UINT64_C(1) << 32);
    tap_ok(disk(&d, 13, 0, 16, false) == 0 && block_pread(block, 100 * 512, buf, 512) == 0 &&
               !buf[0] && !buf[511] && block_pread(block, 101 * 512, buf, 512) == 0 &&
               buf[0] == 0xa5,
           "disk: write zeroes");
    memory_write64(b.m->memory, data + 8, 0xffffffff);
    tap_ok(disk(&d, 13, 0, 16, false) == 1, "disk: too many zeroes");
    memory_write64(b.m->memory, data + 8, 1);
    tap_ok(disk(&d, 11, 0, 16, false) == 0 && disk(&d, 11, 0, 12, false) == 1, "disk: discard");
    put_desc(&d, 0, 0, request, 16, D_NEXT, 1);
    put_desc(&d, 0, 1, DRIVER_BAR, 512, D_WRITE | D_NEXT, 2);
    put_desc(&d, 0, 2, request + 16, 1, D_WRITE, 0);
    memory_write32(b.m->memory, request, 0);
    memory_write64(b.m->memory, request + 8, 0);
    make_available(&d, 0, 0);
    driver_kick(&d, 0);
    uint32_t id, len;
    tap_ok(take_used(&d, 0, &id, &len) && (memory_read16(b.m->memory, request + 16) & 0xff) == 1,
           "disk: registers are no buffer");

    driver_start(&d, 1u << 11, 1); /* CONFIG_WCE */
    common_out(&d, 0x2000 + 32, 0, 1);
    memset(buf, 0x3c, 512);
    memory_write(b.m->memory, data, buf, 512);
    tap_ok(common_in(&d, 0x2000 + 32, 1) == 0 && disk(&d, 1, 5, 512, false) == 0,
           "disk: writing through");

    /* A reset while requests are under way. */
    driver_start(&d, 0, 1);
    put_desc(&d, 0, 0, request, 16, D_NEXT, 1);
    put_desc(&d, 0, 1, data, 512, D_WRITE | D_NEXT, 2);
    for (unsigned i = 0; i < 20; i++) {
        make_available(&d, 0, 0);
    }
    driver_kick(&d, 0);
    driver_start(&d, 0, 1);
    settle(5);
    tap_ok(used_index(&d, 0) == 0 && disk(&d, 0, 7, 512, true) == 0, "disk: reset in the middle");
    tap_ok(state_round_trip(dev), "disk: state");
    put_desc(&d, 0, 0, request, 8, D_NEXT, 2);
    driver_start(&d, 0, 1);
    put_desc(&d, 0, 0, request, 8, 0, 0);
    make_available(&d, 0, 0);
    driver_kick(&d, 0);
    tap_ok(broken(&d), "disk: a request without header");
    pci_config_write(d.v->pci.bus, 0, d.v->pci.devfn, 4, 0, 2);
    block_graph_destroy(graph);
}

int main(void)
{
    char path[] = "/tmp/virtio-test-XXXXXX";
    int fd = mkstemp(path);

    for (unsigned i = 0; i < DISK_SECTORS; i++) {
        uint8_t sector[512];
        memset(sector, (int)i, sizeof(sector));
        if (write(fd, sector, 512) != 512) {
            return 1;
        }
    }
    close(fd);
    virtio_open();
    test_disk(path);
    virtio_close();
    unlink(path);
    return tap_done();
}
