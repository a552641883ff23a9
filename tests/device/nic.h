/* What the tests of network cards on PCI share: a machine with some RAM and a bus, and a back end
 * that remembers what the card sends. */
#ifndef TESTS_DEVICE_NIC_H
#define TESTS_DEVICE_NIC_H

#include "host/mainloop.h"
#include "host/net.h"
#include "hw/pci/pci.h"
#include "tests/device/harness.h"

enum { NIC_RAM = 1 << 20, NIC_FRAMES = 8 };

static struct bench b;
static struct mainloop *loop;
static struct netdev net;
static uint8_t sent[NIC_FRAMES][70000];
static size_t sent_len[NIC_FRAMES];
static unsigned nsent; /* all of them; the first ones are kept */

static void nic_sent(struct netdev *nd, const uint8_t *frame, size_t len)
{
    (void)nd;
    if (nsent < NIC_FRAMES) {
        memcpy(sent[nsent], frame, len);
        sent_len[nsent] = len;
    }
    nsent++;
}
static void nic_destroyed(struct netdev *nd)
{
    (void)nd;
}
static struct netdev_ops net_ops = {.send = nic_sent, .destroy = nic_destroyed};

static int nic_routing(struct pci_device *p, int pin)
{
    (void)p;
    return pin;
}

static inline void settle(void)
{
    bench_step(&b, loop);
}

/* Opens the bench with a card of this type, whose BARs are at these places. Its interrupt is
 * b.level[0]. */
static inline struct device *nic_open(const struct device_type *type, const uint32_t *bars,
                                      unsigned nbars)
{
    static struct irq line = {bench_set_line, &b, 0};
    struct error err = {{0}};

    bench_open(&b);
    loop = mainloop_create(b.m);
    memory_map_ram(b.m->memory, IN_BOTH, 0, NIC_RAM,
                   memory_ram_create(b.m->memory, "ram", NIC_RAM, &err), 0, false, MAP_PRIO_RAM);
    pci_bus_create(b.m, 0, nic_routing, &line, 1);
    netdev_init(&net, &net_ops, loop, "net");
    struct device *d = device_create(b.m, type, NULL);
    device_set_ptr(d, "netdev", &net);
    bench_must(device_realize(d, &err) ? d : NULL, &err);
    struct pci_device *p = (struct pci_device *)d;
    for (unsigned i = 0; i < nbars; i++) {
        pci_config_write(p->bus, 0, p->devfn, 0x10 + 4 * i, bars[i], 4);
    }
    pci_config_write(p->bus, 0, p->devfn, 4, 7, 2);
    return d;
}

static inline void nic_close(void)
{
    bench_close(&b);
    netdev_destroy(&net);
    mainloop_destroy(loop);
}

#endif
