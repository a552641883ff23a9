/* Fuzzes the RTL8139C+: registers, descriptors and frames from the input. Nothing may crash, hang
 * or write outside of the guest's RAM. */
#include "host/le.h"
#include "host/mainloop.h"
#include "host/net.h"
#include "hw/net/rtl8139.h"
#include "tests/device/harness.h"

extern const struct device_type rtl8139_type;

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

static void put(unsigned r, uint32_t v, unsigned size)
{
    memory_view_store(bench.m->memory, VIEW_NORMAL, BAR + r, v, size);
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
    struct device *d = device_create(bench.m, &rtl8139_type, NULL);
    device_set_ptr(d, "netdev", &net);
    device_set(d, "romfile", "", &err);
    bench_must(device_realize(d, &err) ? d : NULL, &err);
    struct pci_device *p = (struct pci_device *)d;
    pci_config_write(p->bus, 0, p->devfn, 0x14, BAR, 4);
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

    return v < 0x400 ? BAR + v : v < 0x800 ? RAM - (v & 63) : BUFFERS + v * 4;
}

static void one_step(struct input *in)
{
    unsigned op = take(in, 1), n;
    static uint8_t frame[4096];

    switch (op & 7) {
    case 0:
        n = 1u << (op >> 6 & 1) << (op >> 5 & 1);
        put(take(in, 1) & 0xff & ~(n - 1), take(in, n), n);
        break;
    case 1:
    case 2: /* a descriptor */
        n = take(in, 1);
        n = (n & 128 ? TX : RX) + 16 * (n & 63);
        memory_write32(bench.m->memory, n, take(in, 4) | (op & 64 ? 0x80000000u : 0));
        memory_write32(bench.m->memory, n + 4, take(in, op & 32 ? 4 : 0));
        memory_write64(bench.m->memory, n + 8, address(in));
        break;
    case 3: /* a legacy one */
        n = take(in, 1) & 3;
        put(R_TSAD + 4 * n, (uint32_t)address(in), 4);
        put(R_TSD + 4 * n, take(in, 2), 4);
        settle();
        break;
    case 4:
        put(R_TPPOLL, 0x40, 1);
        settle();
        break;
    case 5: /* contents for headers */
        n = take(in, 1);
        for (unsigned i = 0; i < 64 && in->p < in->end; i++) {
            uint8_t v = (uint8_t)take(in, 1);
            memory_write(bench.m->memory, BUFFERS + 0x2000 + n * 4 + i, &v, 1);
        }
        break;
    case 6:
        memset(frame, op, sizeof(frame));
        n = take(in, 2) % sizeof(frame);
        for (unsigned i = 0; i < 40 && (op & 64); i++) {
            frame[i] = (uint8_t)take(in, 1);
        }
        netdev_deliver(&net, frame, 1 + n);
        break;
    default:
        memory_view_load(bench.m->memory, VIEW_NORMAL, BAR + (take(in, 1) & 0xfc), 4);
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
    unsigned mode = take(&in, 1);
    net_ops.takes_large = mode & 1;
    put(R_CR, CR_RST, 1);
    put(R_CPCR, mode & 2 ? CPCR_TX | CPCR_RX | (mode & 0x60) : 0, 2);
    put(R_TSAD, TX, 4);
    put(R_RDSAR, RX, 4);
    put(R_RBSTART, RAM - 0x9000 + (mode & 4 ? 0x4000 : 0), 4);
    put(R_RCR,
        RCR_AAP | RCR_AB | RCR_AM | (mode & 8 ? RCR_WRAP : 0) | (uint32_t)(mode >> 4 & 3) << 11, 4);
    put(R_CR, CR_TE | CR_RE, 1);
    while (in.p < in.end) {
        one_step(&in);
    }
    put(R_CR, CR_RST, 1);
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
