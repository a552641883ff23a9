/* A small virtio driver for tests: finds a device behind the PCI bus and puts chains into its
 * queues, right ones and wrong ones. RAM must lie at 0; queue n has its rings at DRIVER_RINGS + n *
 * 64 KiB. */
#ifndef TESTS_DEVICE_VIRTIO_DRIVER_H
#define TESTS_DEVICE_VIRTIO_DRIVER_H

#include "host/le.h"
#include "hw/pci/pci.h"
#include "hw/virtio/virtio.h"
#include "tests/device/harness.h"

enum {
    DRIVER_RAM = 4 << 20,
    DRIVER_RINGS = 0x100000,
    DRIVER_BUFFERS = 0x200000,
    DRIVER_QUEUE = 64
};
enum { DRIVER_BAR = 0xe0000000u, DRIVER_PORTS = 0xc000, DRIVER_MSIX = 0xe1000000u };
enum { D_NEXT = 1, D_WRITE = 2, D_INDIRECT = 4 };

struct driver {
    struct bench *b;
    struct virtio *v;
    uint32_t bar, msix;
    uint16_t ports;
    uint16_t avail[8], seen[8]; /* a queue's indices */
};

static inline int driver_routing(struct pci_device *p, int pin)
{
    (void)p;
    return pin;
}

static inline void driver_bus(struct bench *b, const struct irq *line)
{
    struct error err = {{0}};
    struct ram *ram = memory_ram_create(b->m->memory, "ram", DRIVER_RAM, &err);

    memory_map_ram(b->m->memory, IN_BOTH, 0, DRIVER_RAM, ram, 0, false, MAP_PRIO_RAM);
    pci_bus_create(b->m, 0, driver_routing, line, 1);
}

static inline uint32_t common_in(struct driver *d, unsigned reg, unsigned size)
{
    return (uint32_t)memory_view_load(d->b->m->memory, VIEW_NORMAL, d->bar + reg, size);
}
static inline void common_out(struct driver *d, unsigned reg, uint64_t v, unsigned size)
{
    memory_view_store(d->b->m->memory, VIEW_NORMAL, d->bar + reg, v, size);
}
static inline void driver_kick(struct driver *d, unsigned q)
{
    common_out(d, 0x3000 + 4 * q, q, 2);
}

/* Maps the BARs and switches bus mastering on. */
static inline void driver_find_at(struct driver *d, struct bench *b, struct device *dev, unsigned n)
{
    struct pci_device *p = (struct pci_device *)dev;

    memset(d, 0, sizeof(*d));
    d->b = b;
    d->v = (struct virtio *)dev;
    d->bar = DRIVER_BAR + n * 0x10000;
    d->msix = DRIVER_MSIX + n * 0x10000;
    d->ports = (uint16_t)(DRIVER_PORTS + n * 0x100);
    pci_config_write(p->bus, 0, p->devfn, 0x10, d->ports, 4);
    pci_config_write(p->bus, 0, p->devfn, 0x14, d->msix, 4);
    pci_config_write(p->bus, 0, p->devfn, 0x20, d->bar, 4);
    pci_config_write(p->bus, 0, p->devfn, 0x24, 0, 4);
    pci_config_write(p->bus, 0, p->devfn, 0x04, 7, 2);
}

static inline void driver_find(struct driver *d, struct bench *b, struct device *dev)
{
    driver_find_at(d, b, dev, 0);
}

/* Reset, negotiation of these features (of those that are offered), queues, DRIVER_OK. */
static inline void driver_start(struct driver *d, uint64_t features, unsigned nqueues)
{
    common_out(d, 20, 0, 1);
    common_out(d, 20, 1, 1);
    common_out(d, 20, 3, 1);
    features |= UINT64_C(1) << VIRTIO_F_VERSION_1;
    for (unsigned i = 0; i < 2; i++) {
        common_out(d, 8, i, 4);
        common_out(d, 12, (uint32_t)(features >> 32 * i), 4);
    }
    common_out(d, 20, 11, 1);
    for (unsigned q = 0; q < nqueues; q++) {
        uint64_t base = DRIVER_RINGS + 0x10000 * q;
        uint8_t zero[0x3000] = {0};
        memory_write(d->b->m->memory, base, zero, sizeof(zero));
        common_out(d, 22, q, 2);
        if (common_in(d, 24, 2) > DRIVER_QUEUE) {
            common_out(d, 24, DRIVER_QUEUE, 2);
        }
        common_out(d, 32, base, 8);
        common_out(d, 40, base + 0x1000, 8);
        common_out(d, 48, base + 0x2000, 8);
        common_out(d, 28, 1, 2);
        d->avail[q] = d->seen[q] = 0;
    }
    common_out(d, 20, 15, 1);
}

static inline unsigned driver_size(struct driver *d, unsigned q)
{
    return d->v->queue[q].num ? d->v->queue[q].num : 1; /* 1: there is no such queue */
}

static inline void put_desc_at(struct driver *d, uint64_t table, unsigned n, uint64_t addr,
                               uint32_t len, uint16_t flags, uint16_t next)
{
    uint8_t e[16];

    le_put64(e, addr);
    le_put32(e + 8, len);
    le_put16(e + 12, flags);
    le_put16(e + 14, next);
    memory_write(d->b->m->memory, table + 16 * n, e, 16);
}
static inline void put_desc(struct driver *d, unsigned q, unsigned n, uint64_t addr, uint32_t len,
                            uint16_t flags, uint16_t next)
{
    put_desc_at(d, DRIVER_RINGS + 0x10000 * q, n, addr, len, flags, next);
}

static inline void make_available(struct driver *d, unsigned q, uint16_t head)
{
    uint64_t ring = DRIVER_RINGS + 0x10000 * q + 0x1000;

    memory_write16(d->b->m->memory, ring + 4 + 2 * (d->avail[q] % driver_size(d, q)), head);
    memory_write16(d->b->m->memory, ring + 2, ++d->avail[q]);
}

static inline uint16_t used_index(struct driver *d, unsigned q)
{
    return memory_read16(d->b->m->memory, DRIVER_RINGS + 0x10000 * q + 0x2002);
}
/* The next used element; false: none. */
static inline bool take_used(struct driver *d, unsigned q, uint32_t *id, uint32_t *len)
{
    uint64_t ring = DRIVER_RINGS + 0x10000 * q + 0x2004;
    uint64_t at = ring + 8 * (d->seen[q] % driver_size(d, q));

    if (used_index(d, q) == d->seen[q]) {
        return false;
    }
    *id = memory_read32(d->b->m->memory, at);
    *len = memory_read32(d->b->m->memory, at + 4);
    d->seen[q]++;
    return true;
}

#endif
