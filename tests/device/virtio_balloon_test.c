/* The virtio balloon through a driver. */
#include "hw/virtio/virtio_balloon.h"
#include "tests/device/virtio_bench.h"

#include <sys/mman.h>

extern const struct device_type virtio_balloon_type;

/* QEMU's user-mode emulation, under which the cross build is tested, may take MADV_DONTNEED and do
 * nothing: the pages stay, and only that the neighbours stay too can be checked there. */
static bool host_removes_pages(void)
{
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool gone = false;

    if (p != MAP_FAILED) {
        *p = 1;
        madvise(p, 4096, MADV_DONTNEED);
        gone = *p == 0;
        munmap(p, 4096);
    }
    if (!gone) {
        printf("# this host does not remove pages by madvise: that they go is not checked\n");
    }
    return gone;
}

static void test_balloon(void)
{
    uint64_t kept = host_removes_pages() ? 0 : 0x1111;
    struct error err = {{0}};
    struct device *dev = device_create(b.m, &virtio_balloon_type, "balloon");
    struct driver d;
    uint32_t id, len;
    uint64_t page = 0x300000;

    device_set(dev, "free-page-reporting", "on", &err);
    bench_must(device_realize(dev, &err) ? dev : NULL, &err);
    driver_find(&d, &b, dev);
    driver_start(&d, UINT64_MAX, 4);
    b.m->ram_size = DRIVER_RAM;
    balloon_set(b.m, DRIVER_RAM - 8192, &err);
    tap_ok(common_in(&d, 0x2000, 4) == 2 && (common_in(&d, 0x1000, 1) & 2),
           "balloon: the driver is told what is wanted");
    for (unsigned i = 0; i < 4; i++) {
        memory_write64(b.m->memory, page + 4096 * i, 0x1111);
    }
    memory_write32(b.m->memory, DRIVER_BUFFERS, (uint32_t)(page >> 12));
    memory_write32(b.m->memory, DRIVER_BUFFERS + 4, 0xffffffff); /* nothing there */
    put_desc(&d, 0, 0, DRIVER_BUFFERS, 8, 0, 0);
    make_available(&d, 0, 0);
    driver_kick(&d, 0);
    tap_ok(take_used(&d, 0, &id, &len) && memory_read64(b.m->memory, page) == kept &&
               memory_read64(b.m->memory, page + 4096) == 0x1111,
           "balloon: a page is gone, the next is not");
    put_desc(&d, 3, 0, page + 4096 + 8, 2 * 4096, D_WRITE, 0);
    make_available(&d, 3, 0);
    driver_kick(&d, 3);
    tap_ok(take_used(&d, 3, &id, &len) && memory_read64(b.m->memory, page + 4096) == 0x1111 &&
               memory_read64(b.m->memory, page + 8192) == kept &&
               memory_read64(b.m->memory, page + 12288) == 0x1111,
           "balloon: of a reported range the whole pages go");
    memory_write16(b.m->memory, DRIVER_BUFFERS, 4);
    memory_write64(b.m->memory, DRIVER_BUFFERS + 2, 12345);
    put_desc(&d, 2, 0, DRIVER_BUFFERS, 10, 0, 0);
    make_available(&d, 2, 0);
    driver_kick(&d, 2);
    common_out(&d, 0x2004, 1, 4);
    char *text = balloon_describe(b.m);
    tap_ok(!strcmp(text, "balloon: actual=3 free_memory=12345\n"), "balloon: %.*s",
           (int)strlen(text) - 1, text);
    free(text);
    tap_ok(state_round_trip(dev), "balloon: state");
    pci_config_write(d.v->pci.bus, 0, d.v->pci.devfn, 4, 0, 2);
}

int main(void)
{
    virtio_open();
    test_balloon();
    virtio_close();
    return tap_done();
}
