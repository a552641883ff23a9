/* Fuzzes the 82540EM: registers, descriptors and frames from the input. Nothing may crash, hang or
 * write outside of the guest's RAM. */
#include "host/le.h"
#include "host/mainloop.h"
#include "host/net.h"
#include "hw/net/e1000_regs.h"
#include "hw/pci/pci.h"
#include "tests/device/harness.h"

extern const struct device_type e1000_type;

enum { BAR = 0xe0000000u, RAM = 1 << 20, TX = 0x10000, RX = 0x12000, BUFFERS = 0x20000 };

static struct bench bench;
static struct mainloop *loop;
static struct netdev net;

struct input {
    const uint8_t *p, *end;
};

static uint32_t take(struct input *in, unsigned bytes)
{
    uint32_t v = 0;

    while (bytes-- && in->p < in->end) {
        v = v << 8 | *in->p++;
    }
    return v;
}

static void net_send(struct netdev *nd, const uint8_t *frame, size_t len)
{
    static uint8_t copy[70000];

    (void)nd;
    memcpy(copy, frame, len);
}
static void net_destroy(struct netdev *nd)
{
    (void)nd;
}
static struct netdev_ops net_ops = {.send = net_send, .destroy = net_destroy};

static int routing(struct pci_device *p, int pin)
{
    (void)p;
    return pin;
}

static void put(unsigned r, uint32_t v)
{
    memory_view_store(bench.m->memory, VIEW_NORMAL, BAR + r * 4, v, 4);
}

static void set_up(void)
{
    struct error err = {{0}};
    struct irq line = {bench_set_line, &bench, 0};

    bench_open(&bench);
    loop = mainloop_create(bench.m);
    memory_map_ram(bench.m->memory, IN_BOTH, 0, RAM,
                   memory_ram_create(bench.m->memory, "ram", RAM, &err), 0, false, MAP_PRIO_RAM);
    pci_bus_create(bench.m, 0, routing, &line, 1);
    netdev_init(&net, &net_ops, loop, "net");
    struct device *d = device_create(bench.m, &e1000_type, NULL);
    device_set_ptr(d, "netdev", &net);
    bench_must(device_realize(d, &err) ? d : NULL, &err);
    struct pci_device *p = (struct pci_device *)d;
    pci_config_write(p->bus, 0, p->devfn, 0x10, BAR, 4);
    pci_config_write(p->bus, 0, p->devfn, 4, 7, 2);
}

static void settle(void)
{
    machine_unlock(bench.m);
    bench.m->wake_main(bench.m->wake_opaque);
    mainloop_step(loop);
    machine_lock(bench.m);
}

static uint64_t address(struct input *in)
{
    uint32_t v = take(in, 2);

    return v < 0x400 ? BAR + v * 16 : v < 0x800 ? RAM - (v & 63) : BUFFERS + v * 4;
}

static void one_step(struct input *in)
{
    static const uint16_t regs[] = {
        R_CTRL, R_EECD, R_EERD,  R_MDIC,  R_ICR, R_ITR, R_ICS, R_IMS, R_IMC,    R_RCTL,  R_TCTL,
        R_RDH,  R_RDT,  R_RDLEN, R_TDLEN, R_TDH, R_TDT, R_RA,  R_MTA, R_RXCSUM, R_RDBAL, R_TDBAL};
    unsigned op = take(in, 1), r, n;
    uint8_t frame[4096];

    switch (op & 7) {
    case 0:
        r = regs[take(in, 1) % (sizeof(regs) / sizeof(regs[0]))];
        put(r, r == R_RDBAL || r == R_TDBAL ? take(in, 2) * 16 : take(in, 1 + (op >> 6)));
        break;
    case 1:
    case 2: /* a transmit descriptor */
        n = take(in, 1) & 31;
        memory_write64(bench.m->memory, TX + 16 * n, address(in));
        memory_write64(bench.m->memory, TX + 16 * n + 8, (uint64_t)take(in, 4) << 32 | take(in, 4));
        break;
    case 3: /* a context */
        n = take(in, 1) & 31;
        memory_write64(bench.m->memory, TX + 16 * n, (uint64_t)take(in, 4) << 32 | take(in, 4));
        memory_write64(bench.m->memory, TX + 16 * n + 8,
                       (uint64_t)take(in, 3) << 40 | (uint64_t)(CMD_DEXT | take(in, 1)) << 24 |
                           take(in, 1));
        break;
    case 4:
        put(R_TDT, take(in, 1) & 31);
        settle();
        break;
    case 5:
        n = take(in, 1) & 31;
        memory_write64(bench.m->memory, RX + 16 * n, address(in));
        put(R_RDT, take(in, 1) & 31);
        break;
    case 6:
        memset(frame, op, sizeof(frame));
        netdev_deliver(&net, frame, 1 + take(in, 2) % sizeof(frame));
        break;
    default:
        memory_view_load(bench.m->memory, VIEW_NORMAL, BAR + (take(in, 3) & 0x1ffff), 4);
        if (op & 8) {
            clock_advance(bench.m->clock, (int64_t)take(in, 3));
        }
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    if (!bench.m) {
        set_up();
    }
    net_ops.takes_large = take(&in, 1) & 1;
    put(R_CTRL, CTRL_RST);
    put(R_TDBAL, TX);
    put(R_TDLEN, 32 * 16);
    put(R_RDBAL, RX);
    put(R_RDLEN, 32 * 16);
    put(R_TCTL, TCTL_EN);
    put(R_RCTL, RCTL_EN | RCTL_UPE | RCTL_MPE | RCTL_LPE);
    while (in.p < in.end) {
        one_step(&in);
    }
    put(R_CTRL, CTRL_RST);
    settle();
    while (net.first) { /* frames of this input must not meet the next */
        struct net_frame *f = net.first;
        net.first = f->next;
        free(f);
    }
    net.tail = &net.first;
    net.waiting = 0;
    return 0;
}
