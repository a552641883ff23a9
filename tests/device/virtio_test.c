/* Virtio: transport, rings and their abuse, through a driver. */
#include "tests/device/virtio_bench.h"

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

int main(void)
{
    struct driver d;

    virtio_open();
    test_transport();
    struct device *dev = device_find_type(b.m, &echo_type);
    driver_find(&d, &b, dev);
    test_rings(&d);
    test_abuse(&d);
    test_msix(&d);
    test_legacy(&d);
    test_addresses();
    virtio_close();
    return tap_done();
}
