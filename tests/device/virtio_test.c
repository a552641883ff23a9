/* Virtio: transport, rings and their abuse, disk, network card and random numbers, through a
 * driver. */
#include "host/block.h"
#include "host/mainloop.h"
#include "host/net.h"
#include "hw/virtio/virtio_balloon.h"
#include "hw/virtio/virtio_serial.h"
#include "tests/device/virtio_driver.h"

#include <sys/mman.h>
#include <unistd.h>
#include <fcntl.h>

extern const struct device_type virtio_blk_type, virtio_net_type, virtio_rng_type,
    virtio_balloon_type, virtio_serial_type, virtserialport_type;

static struct bench b;
static struct mainloop *loop;

static void settle(unsigned rounds)
{
    while (rounds--) {
        bench_step(&b, loop);
    }
}

/* ---- a device that copies what it reads to what it may write ---- */

struct echo {
    struct virtio virtio;
    bool keep; /* does not answer */
    struct virtq_chain *kept[DRIVER_QUEUE];
    unsigned nkept, kicks;
};

static uint64_t echo_features(struct virtio *v)
{
    (void)v;
    return 5;
}
static void echo_config(struct virtio *v, uint8_t *config)
{
    (void)v;
    memcpy(config, "12345678", 8);
}
static void echo_one(struct virtq_chain *c)
{
    uint8_t buf[8192];
    uint64_t n = virtq_read(c, 0, buf, c->out_bytes < sizeof(buf) ? c->out_bytes : sizeof(buf));
    virtqueue_push(c, (uint32_t)virtq_write(c, 0, buf, n));
}
static void echo_kick(struct virtio *v, struct virtqueue *q)
{
    struct echo *e = container_of(v, struct echo, virtio);
    struct virtq_chain *c;

    e->kicks++;
    while ((c = virtqueue_pop(q)) != NULL) {
        if (e->keep) {
            e->kept[e->nkept++] = c;
        } else {
            echo_one(c);
        }
    }
    virtqueue_notify(q);
}
static void echo_soft_reset(struct virtio *v)
{
    struct echo *e = container_of(v, struct echo, virtio);

    while (e->nkept) {
        free(e->kept[--e->nkept]);
    }
}
static const struct virtio_class echo_class = {
    .id = 42,
    .config_size = 8,
    .features = echo_features,
    .config_read = echo_config,
    .kick = echo_kick,
    .reset = echo_soft_reset,
};
static bool echo_realize(struct device *d, struct error *err)
{
    struct echo *e = (struct echo *)d;

    virtio_add_queue(&e->virtio, 0, 64);
    virtio_add_queue(&e->virtio, 1, 64);
    return virtio_init(&e->virtio, &echo_class, err);
}
static void echo_reset(struct device *d)
{
    virtio_reset((struct virtio *)d);
}
static void echo_loaded(void *obj)
{
    virtio_loaded(obj);
}
static const struct property echo_props[] = {VIRTIO_PROPS(struct echo, virtio), PROP_END};
static const struct state_field echo_fields[] = {STATE_VIRTIO(struct echo, virtio), STATE_END};
static const struct state_table echo_state = {1, echo_fields, echo_loaded};
static const struct pci_info echo_info = VIRTIO_PCI_INFO(0x1009, 42, 0xff, 0);
static const struct device_type echo_type = {
    .name = "echo",
    .summary = "echo",
    .bus = BUS_PCI,
    .size = sizeof(struct echo),
    .props = echo_props,
    .state = &echo_state,
    .realize = echo_realize,
    .reset = echo_reset,
    .bus_info = &echo_info,
};

static bool broken(struct driver *d)
{
    return common_in(d, 20, 1) & VIRTIO_NEEDS_RESET;
}

/* ---- transport ---- */

static void test_transport(void)
{
    struct device *dev = bench_add(&b, &echo_type);
    struct virtio *v = (struct virtio *)dev;
    struct driver d;
    unsigned caps = 0;

    driver_find(&d, &b, dev);
    tap_ok(pci_get16(&v->pci, 0) == 0x1af4 && pci_get16(&v->pci, 2) == 0x1009 &&
               pci_get16(&v->pci, 0x2e) == 42,
           "ids of a transitional device");
    for (unsigned at = v->pci.config[0x34]; at; at = v->pci.config[at + 1]) {
        caps |= v->pci.config[at] == 9 ? 1u << v->pci.config[at + 3] : 1;
    }
    tap_ok(caps == 0x3f, "capabilities: MSI-X and the five of virtio (%#x)", caps);
    tap_ok(common_in(&d, 18, 2) == 2, "number of queues");
    common_out(&d, 0, 0, 4);
    uint32_t low = common_in(&d, 4, 4);
    common_out(&d, 0, 1, 4);
    tap_ok(low == (5u | 3u << 28) && common_in(&d, 4, 4) == 1, "features offered");
    common_out(&d, 0, 2, 4);
    tap_ok(common_in(&d, 4, 4) == 0, "and none beyond");
    common_out(&d, 20, 3, 1);
    common_out(&d, 12, 0xffffffff, 4);
    common_out(&d, 20, 11, 1);
    tap_ok(common_in(&d, 20, 1) == 3, "FEATURES_OK is refused without VERSION_1");
    driver_start(&d, 4 | 8, 2);
    tap_ok(common_in(&d, 20, 1) == 15 && v->features == (4 | UINT64_C(1) << 32),
           "only what is offered is taken");
    common_out(&d, 8, 0, 4);
    common_out(&d, 12, 1, 4);
    tap_ok(v->features == (4 | UINT64_C(1) << 32), "and nothing after FEATURES_OK");
    common_out(&d, 22, 7, 2);
    tap_ok(common_in(&d, 24, 2) == 0 && common_in(&d, 28, 2) == 0, "a queue that is not there");
    common_out(&d, 22, 1, 2);
    common_out(&d, 24, 16, 2);
    tap_ok(common_in(&d, 24, 2) == 64, "a queue in use keeps its size");
    tap_ok(common_in(&d, 0x2000, 4) == 0x34333231 && common_in(&d, 0x2006, 4) == 0x3837,
           "device configuration");
    pci_config_write(v->pci.bus, 0, v->pci.devfn, v->pci_cfg + 4, 4, 1);
    pci_config_write(v->pci.bus, 0, v->pci.devfn, v->pci_cfg + 8, 0x2004, 4);
    pci_config_write(v->pci.bus, 0, v->pci.devfn, v->pci_cfg + 12, 2, 4);
    tap_ok(pci_config_read(v->pci.bus, 0, v->pci.devfn, v->pci_cfg + 16, 2) == 0x3635,
           "and through the window in the configuration space");
    pci_config_write(v->pci.bus, 0, v->pci.devfn, v->pci_cfg + 8, 0xfffffff0, 4);
    pci_config_read(v->pci.bus, 0, v->pci.devfn, v->pci_cfg + 16, 4);
    pci_config_write(v->pci.bus, 0, v->pci.devfn, v->pci_cfg + 16, 1, 4);
    tap_ok(true, "a window on nothing");
    tap_ok(state_round_trip(dev), "state");
    common_out(&d, 20, 0, 1);
    tap_ok(common_in(&d, 20, 1) == 0 && !v->features && !v->queue[0].ready, "reset by status 0");
}

static void test_legacy(struct driver *d)
{
    struct virtio *v = d->v;
    uint16_t io = DRIVER_PORTS;

    driver_find(d, &b, &v->pci.dev);
    out8(&b, io + 18, 0);
    out8(&b, io + 18, 3);
    tap_ok(in32(&b, io) == (5u | 1u << 24 | 1u << 27 | 3u << 28), "legacy: features");
    out32(&b, io + 4, 1);
    out16(&b, io + 14, 1);
    tap_ok(in16(&b, io + 12) == 64, "legacy: queue size");
    out32(&b, io + 8, DRIVER_RINGS >> 12);
    tap_ok(v->queue[1].desc == DRIVER_RINGS && v->queue[1].avail == DRIVER_RINGS + 1024 &&
               v->queue[1].used == DRIVER_RINGS + 4096 && in32(&b, io + 8) == DRIVER_RINGS >> 12,
           "legacy: the rings' places");
    out8(&b, io + 18, 7);
    put_desc_at(d, DRIVER_RINGS, 3, DRIVER_BUFFERS, 4, D_NEXT, 4);
    put_desc_at(d, DRIVER_RINGS, 4, DRIVER_BUFFERS + 16, 4, D_WRITE, 0);
    memory_write32(b.m->memory, DRIVER_BUFFERS, 0xfeedbeef);
    memory_write16(b.m->memory, DRIVER_RINGS + 1024 + 4, 3);
    memory_write16(b.m->memory, DRIVER_RINGS + 1024 + 2, 1);
    out16(&b, io + 16, 1);
    tap_ok(memory_read32(b.m->memory, DRIVER_BUFFERS + 16) == 0xfeedbeef &&
               memory_read16(b.m->memory, DRIVER_RINGS + 4096 + 2) == 1,
           "legacy: a chain goes through");
    tap_ok(b.level[0] && in8(&b, io + 19) == 1 && !b.level[0] && in8(&b, io + 19) == 0,
           "legacy: interrupt, and the status that takes it away");
    tap_ok(in32(&b, io + 20) == 0x34333231, "legacy: device configuration");
    out32(&b, io + 8, 0);
    tap_ok(!v->queue[1].ready && in8(&b, io + 18) == 0, "legacy: page 0 is a reset");
}

static void test_addresses(void)
{
    struct error err = {{0}};
    struct device *d = device_make(b.m, &echo_type, &err, "addr=1e.0", "disable-legacy=on", NULL);

    tap_ok(d && ((struct pci_device *)d)->devfn == 0xf0 &&
               pci_get16((struct pci_device *)d, 2) == 0x1040 + 42 &&
               !((struct pci_device *)d)->bar[0].size,
           "addr= and disable-legacy=");
    tap_ok(!device_make(b.m, &echo_type, &err, "addr=20", NULL) && strstr(err.msg, "addr=20"), "%s",
           err.msg);
    tap_ok(!device_make(b.m, &echo_type, &err, "addr=1e", NULL) && strstr(err.msg, "taken"), "%s",
           err.msg);
    tap_ok(!device_make(b.m, &echo_type, &err, "vectors=500", NULL) && strstr(err.msg, "500"), "%s",
           err.msg);
    tap_ok(!device_make(b.m, &echo_type, &err, "disable-legacy=on", "disable-modern=on", NULL),
           "%s", err.msg);
}

/* ---- rings ---- */

static void test_rings(struct driver *d)
{
    uint32_t id = 0, len = 0;
    uint64_t mem = DRIVER_BUFFERS;

    driver_start(d, 3u << 28, 2);
    memory_write64(b.m->memory, mem, 0x1122334455667788);
    put_desc(d, 0, 5, mem, 3, D_NEXT, 9);
    put_desc(d, 0, 9, mem + 3, 5, D_NEXT, 0);
    put_desc(d, 0, 0, mem + 32, 6, D_NEXT | D_WRITE, 1);
    put_desc(d, 0, 1, mem + 64, 6, D_WRITE, 0);
    make_available(d, 0, 5);
    driver_kick(d, 0);
    tap_ok(take_used(d, 0, &id, &len) && id == 5 && len == 8, "a chain of four comes back");
    tap_ok(memory_read32(b.m->memory, mem + 32) == 0x55667788 &&
               memory_read16(b.m->memory, mem + 64) == 0x1122,
           "its bytes in order across the buffers");
    tap_ok(b.level[0] && (common_in(d, 0x1000, 1) & 1) && !b.level[0], "interrupt and its status");

    put_desc_at(d, mem + 0x1000, 0, mem, 8, D_NEXT, 1);
    put_desc_at(d, mem + 0x1000, 1, mem + 128, 8, D_WRITE, 0);
    put_desc(d, 0, 7, mem + 0x1000, 32, D_INDIRECT, 0);
    make_available(d, 0, 7);
    driver_kick(d, 0);
    tap_ok(take_used(d, 0, &id, &len) && id == 7 && len == 8 &&
               memory_read64(b.m->memory, mem + 128) == 0x1122334455667788,
           "indirect descriptors");

    /* The event index: no interrupt before the one that is asked for. */
    common_in(d, 0x1000, 1);
    memory_write16(b.m->memory, DRIVER_RINGS + 0x1000 + 4 + 2 * 64, 3);
    make_available(d, 0, 7);
    driver_kick(d, 0);
    tap_ok(take_used(d, 0, &id, &len) && !b.level[0], "event index: not yet");
    make_available(d, 0, 7);
    driver_kick(d, 0);
    tap_ok(take_used(d, 0, &id, &len) && b.level[0], "event index: now");
    common_in(d, 0x1000, 1);
    tap_ok(memory_read16(b.m->memory, DRIVER_RINGS + 0x2000 + 4 + 8 * 64) == d->avail[0],
           "the device asks for a kick at the next chain");

    bool ok = true;
    for (unsigned i = 0; i < 200000; i++) {
        make_available(d, 0, 7);
        if (i % 3 == 0) {
            driver_kick(d, 0);
        }
        while (take_used(d, 0, &id, &len)) {
            ok &= id == 7 && len == 8;
        }
    }
    driver_kick(d, 0);
    while (take_used(d, 0, &id, &len)) {
    }
    tap_ok(ok && d->seen[0] == d->avail[0], "200000 chains, with the indices going around");

    driver_start(d, 0, 1);
    put_desc(d, 0, 0, mem, 8, 0, 0);
    memory_write16(b.m->memory, DRIVER_RINGS + 0x1000, 1);
    common_in(d, 0x1000, 1);
    make_available(d, 0, 0);
    driver_kick(d, 0);
    tap_ok(used_index(d, 0) == 1 && !b.level[0], "the flag against interrupts");
}

static void bad_chain(struct driver *d, const char *what)
{
    uint16_t before = used_index(d, 0);

    make_available(d, 0, 0);
    driver_kick(d, 0);
    tap_ok(broken(d) && used_index(d, 0) == before, "refused: %s", what);
    driver_kick(d, 0);
    driver_start(d, 3u << 28, 2);
    tap_ok(!broken(d), "and a reset heals it");
}

static void test_abuse(struct driver *d)
{
    uint64_t mem = DRIVER_BUFFERS;
    uint32_t id, len;

    driver_start(d, 3u << 28, 2);
    put_desc(d, 0, 0, mem, 8, D_NEXT, 1);
    put_desc(d, 0, 1, mem, 8, D_NEXT, 0);
    bad_chain(d, "descriptors in a circle");
    put_desc(d, 0, 0, mem, 8, D_NEXT, 64);
    bad_chain(d, "descriptor outside of the table");
    put_desc(d, 0, 0, mem, 8, D_NEXT | D_WRITE, 1);
    put_desc(d, 0, 1, mem, 8, 0, 0);
    bad_chain(d, "readable behind writable");
    put_desc(d, 0, 0, mem, 24, D_INDIRECT, 0);
    bad_chain(d, "indirect table of one and a half entries");
    put_desc(d, 0, 0, mem, 16, D_INDIRECT | D_NEXT, 1);
    bad_chain(d, "indirect and next");
    put_desc_at(d, mem, 0, mem, 16, D_INDIRECT, 0);
    put_desc(d, 0, 0, mem, 16, D_INDIRECT, 0);
    bad_chain(d, "indirect in indirect");
    put_desc(d, 0, 0, 0x700000000, 16, D_INDIRECT, 0);
    bad_chain(d, "indirect table outside of RAM");
    put_desc(d, 0, 0, UINT64_MAX - 3, 16, 0, 0);
    bad_chain(d, "a buffer that wraps around");
    memory_write16(b.m->memory, DRIVER_RINGS + 0x1000 + 2, 500);
    driver_kick(d, 0);
    tap_ok(broken(d), "refused: an index that jumps");
    driver_start(d, 0, 2);
    put_desc(d, 0, 0, mem, 16, D_INDIRECT, 0);
    bad_chain(d, "indirect without having been negotiated");

    put_desc(d, 0, 0, mem, 8, D_NEXT, 1);
    put_desc(d, 0, 1, DRIVER_BAR + 0x3000, 8, D_WRITE, 0);
    make_available(d, 0, 0);
    driver_kick(d, 0);
    tap_ok(take_used(d, 0, &id, &len) && len == 0, "a device's registers are no buffer");
    put_desc(d, 0, 1, DRIVER_RAM - 4, 8, D_WRITE, 0);
    make_available(d, 0, 0);
    driver_kick(d, 0);
    tap_ok(take_used(d, 0, &id, &len) && len == 4, "a buffer beyond the end of RAM");

    driver_start(d, 0, 1);
    struct echo *e = (struct echo *)d->v;
    e->keep = true;
    put_desc(d, 0, 0, mem, 8, 0, 0);
    for (unsigned i = 0; i < 65; i++) {
        make_available(d, 0, 0);
        driver_kick(d, 0);
    }
    tap_ok(broken(d) && e->nkept == 64, "no more chains than descriptors");
    e->keep = false;
    driver_start(d, 0, 0);
    common_out(d, 22, 0, 2);
    common_out(d, 32, DRIVER_RINGS + 8, 8);
    common_out(d, 28, 1, 2);
    tap_ok(broken(d), "refused: rings that are not aligned");
    driver_start(d, 0, 0);
    common_out(d, 22, 0, 2);
    common_out(d, 40, DRIVER_BAR, 8);
    common_out(d, 28, 1, 2);
    driver_kick(d, 0);
    tap_ok(broken(d), "refused: rings outside of RAM");
}

/* MSI-X writes into RAM here, where the test can see them. */
static void test_msix(struct driver *d)
{
    struct pci_device *p = &d->v->pci;
    unsigned cap = d->v->msix.cap;
    uint64_t mem = DRIVER_BUFFERS + 0x8000;

    driver_start(d, 0, 1);
    for (unsigned i = 0; i < 3; i++) {
        memory_view_store(b.m->memory, VIEW_NORMAL, DRIVER_MSIX + 16 * i, mem + 4 * i, 8);
        memory_view_store(b.m->memory, VIEW_NORMAL, DRIVER_MSIX + 16 * i + 8, 0x77 + i, 8);
    }
    common_out(d, 22, 0, 2);
    common_out(d, 26, 2, 2);
    tap_ok(common_in(d, 26, 2) == 2, "MSI-X: vector of a queue");
    common_out(d, 26, 3, 2);
    tap_ok(common_in(d, 26, 2) == VIRTIO_NO_VECTOR, "MSI-X: a vector that is not there");
    common_out(d, 26, 2, 2);
    pci_config_write(p->bus, 0, p->devfn, cap + 2, 0xc000, 2);
    put_desc(d, 0, 0, DRIVER_BUFFERS, 8, 0, 0);
    make_available(d, 0, 0);
    driver_kick(d, 0);
    tap_ok(memory_read32(b.m->memory, mem + 8) == 0 &&
               memory_view_load(b.m->memory, VIEW_NORMAL, DRIVER_MSIX + 0x800, 1) == 4,
           "MSI-X: pending while masked");
    pci_config_write(p->bus, 0, p->devfn, cap + 2, 0x8000, 2);
    tap_ok(memory_read32(b.m->memory, mem + 8) == 0x79 &&
               memory_view_load(b.m->memory, VIEW_NORMAL, DRIVER_MSIX + 0x800, 1) == 0,
           "MSI-X: sent when unmasked");
    memory_write32(b.m->memory, mem + 8, 0);
    make_available(d, 0, 0);
    driver_kick(d, 0);
    tap_ok(memory_read32(b.m->memory, mem + 8) == 0x79 && !b.level[0] && !common_in(d, 0x1000, 1),
           "MSI-X: sent at once, without INTx");
    tap_ok(state_round_trip(&p->dev), "state with rings and MSI-X");
    pci_config_write(p->bus, 0, p->devfn, cap + 2, 0, 2);
}

/* ---- devices ---- */

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

/* A back end that remembers what was sent. */
static uint8_t sent[70000];
static size_t sent_len, nsent;
static void net_send(struct netdev *nd, const uint8_t *frame, size_t len)
{
    (void)nd;
    memcpy(sent, frame, len);
    sent_len = len;
    nsent++;
}
static void net_destroy(struct netdev *nd)
{
    free(nd);
}
static const struct netdev_ops net_ops = {
    .send = net_send, .destroy = net_destroy, .takes_large = true};

static void receive_frames(struct driver *d, struct netdev *nd)
{
    uint8_t frame[2000], got[2000];
    uint32_t id, len, id2, len2;

    for (unsigned i = 0; i < sizeof(frame); i++) {
        frame[i] = (uint8_t)(i * 7);
    }
    memset(frame, 0xff, 6);
    netdev_deliver(nd, frame, 1500);
    netdev_deliver(nd, frame, 64);
    tap_ok(used_index(d, 0) == 0 && nd->waiting == 2, "net: frames wait for buffers");
    for (uint16_t i = 0; i < 3; i++) {
        put_desc(d, 0, i, DRIVER_BUFFERS + 0x1000u * i, 1000, D_WRITE, 0);
        make_available(d, 0, i);
    }
    driver_kick(d, 0);
    tap_ok(take_used(d, 0, &id, &len) && len == 1000 && take_used(d, 0, &id2, &len2) && len2 == 512,
           "net: one is merged from two buffers");
    memory_read(b.m->memory, DRIVER_BUFFERS, got, 1000);
    memory_read(b.m->memory, DRIVER_BUFFERS + 0x1000, got + 1000, 512);
    tap_ok(got[10] == 2 && got[0] == 2 && !memcmp(got + 12, frame, 1500),
           "net: header and contents");
    tap_ok(take_used(d, 0, &id, &len) && len == 76 && !nd->waiting, "net: the next in the third");
}

static void send_frames(struct driver *d)
{
    uint64_t mem = DRIVER_BUFFERS + 0x8000;
    uint8_t header[12] = {1, 0, 0, 0, 0, 0, 34, 0, 16, 0}, frame[100] = {0};
    uint32_t id, len;
    unsigned sum = 0;

    for (unsigned i = 14; i < 100; i++) {
        frame[i] = (uint8_t)(i * 11);
    }
    memory_write(b.m->memory, mem, header, 12);
    memory_write(b.m->memory, mem + 64, frame, 100);
    put_desc(d, 1, 0, mem, 12, D_NEXT, 1);
    put_desc(d, 1, 1, mem + 64, 99, 0, 0);
    make_available(d, 1, 0);
    driver_kick(d, 1);
    tap_ok(nsent == 0, "net: the processor does not wait for the network");
    settle(1);
    tap_ok(nsent == 1 && sent_len == 99 && take_used(d, 1, &id, &len), "net: a frame is sent");
    for (unsigned i = 34; i < 99; i += 2) {
        sum += (unsigned)(sent[i] << 8 | (i + 1 < 99 ? sent[i + 1] : 0));
        if (i == 50) { /* the sum was to include what the driver had put there */
            sum += (unsigned)(frame[50] << 8 | frame[51]);
        }
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    tap_ok(sum == 0xffff, "net: its checksum is completed (%#x)", sum);
    header[6] = 200;
    memory_write(b.m->memory, mem, header, 12);
    make_available(d, 1, 0);
    driver_kick(d, 1);
    settle(1);
    tap_ok(nsent == 1 && take_used(d, 1, &id, &len),
           "net: a checksum outside of the frame is refused");
    put_desc(d, 1, 1, mem, 100000, 0, 0);
    make_available(d, 1, 0);
    driver_kick(d, 1);
    settle(1);
    tap_ok(nsent == 1 && take_used(d, 1, &id, &len), "net: a frame of 100000 bytes is refused");
}

static unsigned control(struct driver *d, const void *command, uint32_t n)
{
    uint64_t mem = DRIVER_BUFFERS + 0xa000;
    uint32_t id, len;

    memory_write(b.m->memory, mem, command, n);
    put_desc(d, 2, 0, mem, n, D_NEXT, 1);
    put_desc(d, 2, 1, mem + 512, 1, D_WRITE, 0);
    make_available(d, 2, 0);
    driver_kick(d, 2);
    return take_used(d, 2, &id, &len) ? memory_read16(b.m->memory, mem + 512) & 0xff : 99;
}

static void filter_frames(struct driver *d, struct netdev *nd)
{
    uint8_t frame[64] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
    uint16_t before = used_index(d, 0);

    tap_ok(control(d, "\0\0\0", 3) == 0, "net: promiscuous mode off");
    tap_ok(control(d, "\1\0\1\0\0\0\x02\1\2\3\4\5\1\0\0\0\x33\x33\0\0\0\1", 22) == 0,
           "net: table of addresses");
    tap_ok(control(d, "\1\0\1\0\0\0\x02\1\2", 9) == 1 && control(d, "\7\7", 2) == 1,
           "net: half a table, or something unknown, is refused");
    control(d, "\1\0\1\0\0\0\x02\1\2\3\4\5\1\0\0\0\x33\x33\0\0\0\1", 22);
    for (uint16_t i = 0; i < 8; i++) {
        put_desc(d, 0, i, DRIVER_BUFFERS + 0x1000u * i, 1000, D_WRITE, 0);
        make_available(d, 0, i);
    }
    netdev_deliver(nd, frame, 64);
    netdev_deliver(nd, (const uint8_t *)memcpy(frame, "\x02\1\2\3\4\5", 6), 64);
    netdev_deliver(nd, (const uint8_t *)memcpy(frame, "\x33\x33\0\0\0\1", 6), 64);
    netdev_deliver(nd, (const uint8_t *)memcpy(frame, "\xff\xff\xff\xff\xff\xff", 6), 64);
    tap_ok((uint16_t)(used_index(d, 0) - before) == 4,
           "net: own, listed and broadcast frames come");
    netdev_deliver(nd, (const uint8_t *)memcpy(frame, "\x33\x33\0\0\0\2", 6), 64);
    netdev_deliver(nd, (const uint8_t *)memcpy(frame, "\x02\1\2\3\4\6", 6), 64);
    tap_ok((uint16_t)(used_index(d, 0) - before) == 4, "net: others do not");
    tap_ok(control(d, "\1\1\x02\x99\x99\x99\x99\x99", 8) == 0 &&
               common_in(d, 0x2002, 4) == 0x99999999,
           "net: the driver sets its address");
}

/* A TCP segment over IPv4, broadcast so that every card takes it; returns its length. */
static size_t segment(uint8_t *f, uint32_t seq, unsigned payload, uint8_t flags)
{
    unsigned total = 40 + payload;

    memset(f, 0, 54);
    memset(f, 0xff, 6);
    memcpy(f + 12, "\x08\0\x45", 3);
    f[16] = (uint8_t)(total >> 8);
    f[17] = (uint8_t)total;
    f[22] = 64;
    f[23] = 6;
    memcpy(f + 26, "\x0a\0\2\2\x0a\0\2\x0f", 8);
    for (unsigned i = 0; i < 4; i++) {
        f[38 + i] = (uint8_t)(seq >> (24 - 8 * i));
    }
    f[46] = 0x50;
    f[47] = flags;
    memset(f + 54, (int)seq, payload);
    return 54 + payload;
}

/* Sums len bytes at p as the internet checksum does. */
static unsigned internet_sum(const uint8_t *p, size_t len, unsigned sum)
{
    for (size_t i = 0; i + 1 < len; i += 2) {
        sum += (unsigned)p[i] << 8 | p[i + 1];
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static void merge_frames(struct driver *d, struct netdev *nd)
{
    uint8_t f[2000], got[8192];
    uint32_t id, len;

    driver_start(d, UINT64_MAX, 3);
    for (uint16_t i = 0; i < 8; i++) {
        put_desc(d, 0, i, DRIVER_BUFFERS + 0x2000u * i, 0x2000, D_WRITE, 0);
        make_available(d, 0, i);
    }
    netdev_batch_begin(nd);
    netdev_deliver(nd, f, segment(f, 0xfffffff0, 1000, 16));
    netdev_deliver(nd, f, segment(f, 0xfffffff0 + 1000, 1000, 16));
    tap_ok(used_index(d, 0) == 0, "net: segments are gathered");
    netdev_deliver(nd, f, segment(f, 0xfffffff0 + 2000, 500, 16 + 8));
    netdev_deliver(nd, f, segment(f, 0xfffffff0 + 2500, 1000, 16)); /* behind a push: a new one */
    netdev_deliver(nd, f, segment(f, 0x12345678, 1000, 16));        /* out of order: another */
    netdev_deliver(nd, f, segment(f, 0x12345678 + 1000, 0, 16));    /* no data: by itself */
    netdev_batch_end(nd);
    tap_ok(take_used(d, 0, &id, &len) && len == 12 + 54 + 2500,
           "net: three of them make one packet");
    memory_read(b.m->memory, DRIVER_BUFFERS, got, len);
    tap_ok(got[0] == 1 && got[1] == 1 && le_get16(got + 2) == 54 && le_get16(got + 4) == 1000 &&
               le_get16(got + 6) == 34 && le_get16(got + 8) == 16 && le_get16(got + 10) == 1,
           "net: its header tells the driver how it was made");
    tap_ok(got[12 + 16] == (2540 >> 8) && got[12 + 17] == (2540 & 255) &&
               internet_sum(got + 12 + 14, 20, 0) == 0xffff && got[12 + 47] == 24,
           "net: length, checksum and flags of the whole");
    tap_ok(((unsigned)got[12 + 50] << 8 | got[12 + 51]) == internet_sum(got + 12 + 26, 8, 6 + 2520),
           "net: the sum of the pseudo header");
    tap_ok(got[12 + 54] == 0xf0 && got[12 + 54 + 1000] == 0xd8 && got[12 + 54 + 2000] == 0xc0 &&
               got[12 + 54 + 2499] == 0xc0,
           "net: the data in order");
    bool ok = true;
    static const uint32_t others[] = {1000, 1000, 0};
    for (unsigned i = 0; i < 3; i++) {
        ok &= take_used(d, 0, &id, &len) && len == 12 + 54 + others[i];
        memory_read(b.m->memory, DRIVER_BUFFERS + 0x2000 * id, got, 12);
        ok &= got[0] == 2 && got[1] == 0;
    }
    tap_ok(ok && !take_used(d, 0, &id, &len), "net: what does not follow comes as it was");
    for (unsigned i = 0; i < 4; i++) { /* the buffers that are left */
        netdev_deliver(nd, f, segment(f, 7, 900, 16));
    }
    netdev_batch_begin(nd);
    netdev_deliver(nd, f, segment(f, 1000, 100, 16));
    netdev_deliver(nd, f, segment(f, 1100, 100, 16));
    netdev_batch_end(nd);
    netdev_deliver(nd, f, segment(f, 1200, 100, 16));
    d->seen[0] = used_index(d, 0);
    put_desc(d, 0, 0, DRIVER_BUFFERS, 0x2000, D_WRITE, 0);
    make_available(d, 0, 0);
    make_available(d, 0, 0);
    driver_kick(d, 0);
    tap_ok(take_used(d, 0, &id, &len) && len == 12 + 54 + 200 && take_used(d, 0, &id, &len) &&
               len == 12 + 54 + 100,
           "net: what found no room comes when there is some, in order");
}

static void test_net(void)
{
    struct error err = {{0}};
    struct netdev *nd = calloc(1, sizeof(*nd));
    struct device *dev = device_create(b.m, &virtio_net_type, "n");
    struct driver d;

    netdev_init(nd, &net_ops, loop, "net");
    device_set_ptr(dev, "netdev", nd);
    bench_must(device_realize(dev, &err) ? dev : NULL, &err);
    driver_find(&d, &b, dev);
    driver_start(&d, UINT64_MAX, 3);
    tap_ok(common_in(&d, 0x2000, 4) == 0x12005452 && common_in(&d, 0x2006, 2) == 1,
           "net: address, link");
    receive_frames(&d, nd);
    send_frames(&d);
    filter_frames(&d, nd);
    merge_frames(&d, nd);
    tap_ok(state_round_trip(dev), "net: state");
    driver_start(&d, 0, 3);
    put_desc(&d, 0, 0, DRIVER_BUFFERS, 20, D_WRITE, 0);
    make_available(&d, 0, 0);
    netdev_deliver(nd, sent, 64);
    tap_ok(!nd->waiting && used_index(&d, 0) == 0,
           "net: a buffer that is too small loses the frame");
    struct device *second = device_create(b.m, &virtio_net_type, NULL);
    device_set_ptr(second, "netdev", nd);
    tap_ok(!device_realize(second, &err), "net: %s", err.msg);
    second = device_create(b.m, &virtio_net_type, NULL);
    device_set(second, "mac", "52:54:00:12:34", &err);
    tap_ok(!device_realize(second, &err), "%s", err.msg);
    pci_config_write(d.v->pci.bus, 0, d.v->pci.devfn, 4, 0, 2);
    netdev_destroy(nd);
}

static bool set_pairs(struct driver *d, uint16_t pairs)
{
    uint64_t mem = DRIVER_BUFFERS + 0xa000;
    uint8_t command[4] = {4, 0, (uint8_t)pairs, (uint8_t)(pairs >> 8)};
    uint32_t id, len;

    memory_write(b.m->memory, mem, command, 4);
    put_desc(d, 4, 0, mem, 4, D_NEXT, 1);
    put_desc(d, 4, 1, mem + 512, 1, D_WRITE, 0);
    make_available(d, 4, 0);
    driver_kick(d, 4);
    return take_used(d, 4, &id, &len) && (memory_read16(b.m->memory, mem + 512) & 0xff) == 0;
}

static void test_net_pairs(void)
{
    struct error err = {{0}};
    struct netdev *nd = calloc(1, sizeof(*nd));
    struct device *dev = device_create(b.m, &virtio_net_type, NULL);
    struct driver d;
    uint8_t frame[100];
    uint16_t before[2];

    netdev_init(nd, &net_ops, loop, "pairs");
    device_set_ptr(dev, "netdev", nd);
    device_set(dev, "mq", "on", &err);
    device_set(dev, "queues", "2", &err);
    device_set(dev, "guest_tso4", "off", &err);
    bench_must(device_realize(dev, &err) ? dev : NULL, &err);
    driver_find(&d, &b, dev);
    driver_start(&d, UINT64_MAX, 5);
    tap_ok(common_in(&d, 0x2008, 2) == 2, "pairs: two are offered");
    for (unsigned q = 0; q <= 2; q += 2) {
        for (uint16_t i = 0; i < 16; i++) {
            put_desc(&d, q, i, DRIVER_BUFFERS + 0x1000u * i, 1000, D_WRITE, 0);
            make_available(&d, q, i);
        }
        before[q / 2] = used_index(&d, q);
    }
    segment(frame, 1, 10, 0x10);
    netdev_deliver(nd, frame, 64);
    tap_ok((uint16_t)(used_index(&d, 0) - before[0]) == 1, "pairs: only one is used at first");
    tap_ok(!set_pairs(&d, 0) && !set_pairs(&d, 3) && set_pairs(&d, 2),
           "pairs: the driver chooses how many");
    for (unsigned i = 0; i < 12; i++) {
        frame[35] = (uint8_t)(i * 37); /* a port: another flow */
        netdev_deliver(nd, frame, 64);
    }
    unsigned one = (uint16_t)(used_index(&d, 0) - before[0]),
             two = (uint16_t)(used_index(&d, 2) - before[1]);
    tap_ok(one + two == 13 && one > 2 && two > 2, "pairs: flows are spread over them (%u, %u)", one,
           two);
    nsent = 0;
    put_desc(&d, 3, 0, DRIVER_BUFFERS + 0x8000, 112, 0, 0);
    make_available(&d, 3, 0);
    driver_kick(&d, 3);
    settle(1);
    tap_ok(nsent == 1, "pairs: the second one sends");
    tap_ok(state_round_trip(dev), "pairs: state");
    struct device *bad = device_create(b.m, &virtio_net_type, NULL);
    device_set(bad, "queues", "17", &err);
    tap_ok(!device_realize(bad, &err), "%s", err.msg);
    pci_config_write(d.v->pci.bus, 0, d.v->pci.devfn, 4, 0, 2);
    netdev_destroy(nd);
}

/* ---- balloon and console ---- */

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

/* The next control message to the guest: id, event and value in one number; 0: none. */
static uint64_t next_message(struct driver *d, uint32_t *len)
{
    uint32_t id;

    return take_used(d, 2, &id, len) ? memory_read64(b.m->memory, DRIVER_BUFFERS + 0x100 * id) : 0;
}

static void say(struct driver *d, uint32_t port, uint16_t event, uint16_t value)
{
    uint64_t at = DRIVER_BUFFERS + 0x8000;
    uint32_t id, len;

    memory_write64(b.m->memory, at, port | (uint64_t)event << 32 | (uint64_t)value << 48);
    put_desc(d, 3, 0, at, 8, 0, 0);
    make_available(d, 3, 0);
    driver_kick(d, 3);
    take_used(d, 3, &id, &len);
}

#define MESSAGE(port, event, value) ((port) | (uint64_t)(event) << 32 | (uint64_t)(value) << 48)

static void test_serial(void)
{
    struct error err = {{0}};
    char out[64] = "", path[] = "/tmp/virtio-port-XXXXXX", spec[64];
    struct device *dev = device_create(b.m, &virtio_serial_type, "vs");
    struct device *port = device_create(b.m, &virtserialport_type, NULL);
    struct driver d;
    uint32_t len = 0, id;
    int fd = mkstemp(path);

    bench_must(device_realize(dev, &err) ? dev : NULL, &err);
    snprintf(spec, sizeof(spec), "file:%s", path);
    struct chardev *c = chardev_create(loop, "port", spec, false, &err);
    device_set_ptr(port, "chardev", c);
    device_set(port, "name", "org.test", &err);
    device_set(port, "bus", "vs.0", &err);
    bench_must(device_realize(port, &err) ? port : NULL, &err);
    driver_find(&d, &b, dev);
    driver_start(&d, UINT64_MAX, 6);
    say(&d, 0, 0, 1);
    say(&d, 99, 6, 1);
    say(&d, 1, 3, 1);
    for (uint16_t i = 0; i < 4; i++) {
        put_desc(&d, 2, i, DRIVER_BUFFERS + 0x100u * i, 0x100, D_WRITE, 0);
        make_available(&d, 2, i);
    }
    driver_kick(&d, 2);
    tap_ok(next_message(&d, &len) == MESSAGE(1, 1, 1), "serial: the port is announced");
    tap_ok(next_message(&d, &len) == MESSAGE(1, 7, 1) && len == 16, "serial: its name");
    memory_read(b.m->memory, DRIVER_BUFFERS + 0x108, out, 8);
    tap_ok(!memcmp(out, "org.test", 8), "serial: %.8s", out);
    tap_ok(next_message(&d, &len) == MESSAGE(1, 6, 1) && !next_message(&d, &len),
           "serial: somebody is there");
    memory_write(b.m->memory, DRIVER_BUFFERS, "hello", 5);
    put_desc(&d, 5, 0, DRIVER_BUFFERS, 5, 0, 0);
    make_available(&d, 5, 0);
    driver_kick(&d, 5);
    tap_ok(take_used(&d, 5, &id, &len) && pread(fd, out, 64, 0) == 5 && !memcmp(out, "hello", 5),
           "serial: what the guest writes");
    struct serial_port *p = (struct serial_port *)port;
    put_desc(&d, 4, 0, DRIVER_BUFFERS, 4, D_WRITE, 0);
    make_available(&d, 4, 0);
    tap_ok(virtio_serial_room(p) == 0, "serial: nothing for a port that the guest has not opened");
    say(&d, 1, 6, 1);
    tap_ok(virtio_serial_room(p) == 4, "serial: then there is room");
    virtio_serial_send(p, (const uint8_t *)"abcdef", 6);
    tap_ok(take_used(&d, 4, &id, &len) && len == 4 &&
               memory_read32(b.m->memory, DRIVER_BUFFERS) == 0x64636261,
           "serial: what the host writes");
    tap_ok(state_round_trip(dev) && state_round_trip(port), "serial: state");
    struct device *bad = device_create(b.m, &virtserialport_type, NULL);
    device_set(bad, "bus", "nobody.0", &err);
    tap_ok(!device_realize(bad, &err), "%s", err.msg);
    bad = device_create(b.m, &virtserialport_type, NULL);
    device_set(bad, "nr", "1", &err);
    tap_ok(!device_realize(bad, &err), "%s", err.msg);
    pci_config_write(d.v->pci.bus, 0, d.v->pci.devfn, 4, 0, 2);
    chardev_disconnect(c, p);
    p->chardev = NULL;
    chardev_destroy(c);
    close(fd);
    unlink(path);
}

int main(void)
{
    char path[] = "/tmp/virtio-test-XXXXXX";
    struct irq line = {bench_set_line, &b, 0};
    struct driver d;
    int fd = mkstemp(path);

    for (unsigned i = 0; i < DISK_SECTORS; i++) {
        uint8_t sector[512];
        memset(sector, (int)i, sizeof(sector));
        if (write(fd, sector, 512) != 512) {
            return 1;
        }
    }
    close(fd);
    bench_open(&b);
    loop = mainloop_create(b.m);
    driver_bus(&b, &line);
    test_transport();
    struct device *dev = device_find_type(b.m, &echo_type);
    driver_find(&d, &b, dev);
    test_rings(&d);
    test_abuse(&d);
    test_msix(&d);
    test_legacy(&d);
    test_addresses();
    pci_config_write(d.v->pci.bus, 0, d.v->pci.devfn, 4, 0, 2);
    test_rng();
    test_disk(path);
    test_net();
    test_net_pairs();
    test_balloon();
    test_serial();
    bench_close(&b);
    mainloop_destroy(loop);
    unlink(path);
    return tap_done();
}
