/* Fuzzes virtio: the input drives a disk, a network card and other devices through their
 * registers, with descriptors, rings and headers in guest RAM as bad as it likes. Nothing may
 * crash, hang or write outside of the guest's RAM (AddressSanitizer says so).
 *
 * With libFuzzer by `make fuzz`; with -DSTANDALONE it makes random inputs itself for as many
 * seconds as the first argument says. */
#include "host/block.h"
#include "host/mainloop.h"
#include "host/net.h"
#include "tests/device/virtio_driver.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

extern const struct device_type virtio_blk_type, virtio_net_type, virtio_rng_type,
    virtio_balloon_type, virtio_serial_type, virtconsole_type, virtserialport_type;

enum { NDEVICES = 5, NQUEUES = 4, DISK_BYTES = 1 << 20 };

static struct bench bench;
static struct mainloop *loop;
static struct block *block;
static struct netdev net;
static struct driver driver[NDEVICES];

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
    memcpy(copy, frame, len); /* every byte must be ours to read */
}
static void net_destroy(struct netdev *nd)
{
    (void)nd;
}
static const struct netdev_ops net_ops = {
    .send = net_send, .destroy = net_destroy, .takes_large = true};

static struct device *realized(struct device *d)
{
    struct error err = {{0}};

    return bench_must(device_realize(d, &err) ? d : NULL, &err);
}

static void set_up(void)
{
    char path[] = "/tmp/virtqueue-fuzz-XXXXXX";
    struct error err = {{0}};
    struct irq line = {bench_set_line, &bench, 0};
    struct block_options o = {.file = path};
    int fd = mkstemp(path);

    if (fd < 0 || ftruncate(fd, DISK_BYTES)) {
        abort();
    }
    close(fd);
    bench_open(&bench);
    loop = mainloop_create(bench.m);
    driver_bus(&bench, &line);
    block = block_open(loop, &o, &err);
    unlink(path);
    netdev_init(&net, &net_ops, loop, "net");
    struct device *disk = device_create(bench.m, &virtio_blk_type, NULL);
    struct device *card = device_create(bench.m, &virtio_net_type, NULL);
    device_set_ptr(disk, "drive", block);
    device_set_ptr(card, "netdev", &net);
    driver_find_at(&driver[0], &bench, realized(disk), 0);
    driver_find_at(&driver[1], &bench, realized(card), 1);
    driver_find_at(&driver[2], &bench, realized(device_create(bench.m, &virtio_rng_type, NULL)), 2);
    struct device *balloon = device_create(bench.m, &virtio_balloon_type, NULL);
    device_set(balloon, "free-page-reporting", "on", &err);
    driver_find_at(&driver[3], &bench, realized(balloon), 3);
    driver_find_at(&driver[4], &bench, realized(device_create(bench.m, &virtio_serial_type, NULL)),
                   4);
    realized(device_create(bench.m, &virtconsole_type, NULL));
    struct device *port = device_create(bench.m, &virtserialport_type, NULL);
    device_set(port, "name", "org.example.port", &err);
    realized(port);
}

/* An address: mostly RAM where rings and buffers are, sometimes its edges, registers or nothing. */
static uint64_t address(struct input *in)
{
    uint32_t v = take(in, 3);

    switch (v >> 20) {
    case 0:
        return DRIVER_BAR + (v & 0x3fff);
    case 1:
        return DRIVER_RAM - (v & 0xff);
    case 2:
        return UINT64_MAX - (v & 0xff);
    case 3:
        return (uint64_t)v << 20;
    default:
        return DRIVER_RINGS + (v & 0x1fffff);
    }
}

static void one_step(struct driver *d, struct input *in)
{
    struct pci_device *p = &d->v->pci;
    unsigned q = take(in, 1) & 3, op = take(in, 1);
    uint8_t frame[2048];
    uint64_t at;

    switch (op & 15) {
    case 0:
    case 1:
    case 2: /* descriptors, all fields free */
        at = take(in, 1);
        put_desc(d, q, at & 127, address(in), take(in, 1 + (op >> 6)), (uint16_t)take(in, 1) & 7,
                 (uint16_t)take(in, 1));
        break;
    case 3: /* a whole chain that looks like a request */
        at = take(in, 1) & 31;
        put_desc(d, q, (unsigned)at, DRIVER_BUFFERS + at * 64, 16, D_NEXT, (uint16_t)at + 1);
        put_desc(d, q, (unsigned)at + 1, address(in), take(in, 2),
                 (uint16_t)(D_NEXT | (op >> 3 & 2)), (uint16_t)at + 2);
        put_desc(d, q, (unsigned)at + 2, DRIVER_BUFFERS + at * 64 + 32, 1, D_WRITE, 0);
        memory_write32(bench.m->memory, DRIVER_BUFFERS + at * 64, take(in, 1));
        memory_write64(bench.m->memory, DRIVER_BUFFERS + at * 64 + 8, take(in, 2));
        make_available(d, q, (uint16_t)at);
        driver_kick(d, q);
        break;
    case 4:
    case 5:
        make_available(d, q, (uint16_t)take(in, 1));
        driver_kick(d, q);
        break;
    case 6:
        common_out(d, take(in, 2) & 0x3fff, take(in, 4), 1u << (op >> 6));
        break;
    case 7:
        ioport_write(bench.m->memory, (uint16_t)(d->ports + (take(in, 1) & 127)), take(in, 4),
                     1u << (op >> 6) % 3);
        break;
    case 8: /* not the BARs: each new map of memory is kept until the end */
        pci_config_write(p->bus, 0, p->devfn, 0x40 + take(in, 1) % 0xc0, take(in, 4),
                         1u << (op >> 6) % 3);
        break;
    case 9:
        memory_write32(bench.m->memory, DRIVER_RINGS + (take(in, 3) & 0x1fffff), take(in, 4));
        break;
    case 10:
        memset(frame, op, sizeof(frame));
        at = take(in, 2) % sizeof(frame);
        if (op & 16) { /* TCP over IPv4, more or less */
            memcpy(frame + 12, "\x08\0\x45", 3);
            frame[16] = (uint8_t)((at - 14) >> 8);
            frame[17] = (uint8_t)(at - 14);
            memset(frame + 18, 0, 36);
            frame[23] = 6;
            frame[41] = (uint8_t)take(in, 1);
            frame[46] = (uint8_t)(0x50 + (take(in, 1) & 0xf0));
            frame[47] = 16;
        }
        netdev_deliver(&net, frame, at + 1 - (op >> 4 & 1));
        if (op & 32) {
            net.batch ^= 1;
        }
        break;
    case 11:
        block_drain(block);
        machine_unlock(bench.m);
        bench.m->wake_main(bench.m->wake_opaque);
        mainloop_step(loop);
        machine_lock(bench.m);
        break;
    case 12:
        driver_start(d, take(in, 4) | (uint64_t)take(in, 1) << 32, NQUEUES);
        break;
    case 13:
        clock_advance(bench.m->clock, (int64_t)take(in, 4));
        break;
    case 14:
        common_in(d, take(in, 2) & 0x3fff, 4);
        ioport_read(bench.m->memory, (uint16_t)(d->ports + (op >> 4)), 4);
        break;
    default:
        memory_view_store(bench.m->memory, VIEW_NORMAL, d->msix + (take(in, 2) & 0xfff),
                          take(in, 4), 4);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    unsigned n = take(&in, 1) % NDEVICES;

    if (!bench.m) {
        set_up();
    }
    driver_start(&driver[n], UINT64_C(0x1ffffffff), NQUEUES);
    while (in.p < in.end) {
        one_step(&driver[n], &in);
    }
    common_out(&driver[n], 20, 0, 1);
    block_drain(block);
    machine_unlock(bench.m);
    bench.m->wake_main(bench.m->wake_opaque);
    mainloop_step(loop);
    machine_lock(bench.m);
    while (net.first) { /* frames of this input must not meet the next */
        struct net_frame *f = net.first;
        net.first = f->next;
        free(f);
    }
    net.tail = &net.first;
    net.waiting = net.batch = 0;
    return 0;
}

#ifdef STANDALONE
int main(int argc, char **argv)
{
    time_t end = time(NULL) + (argc > 1 ? atol(argv[1]) : 10);
    uint64_t state = argc > 2 ? strtoull(argv[2], NULL, 0) : 88172645463325252u;
    unsigned long runs = 0;

    while (time(NULL) < end) {
        uint8_t input[512];
        for (unsigned n = 0; n < sizeof(input); n++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            input[n] = (uint8_t)(state >> 32);
        }
        LLVMFuzzerTestOneInput(input, sizeof(input));
        runs++;
    }
    printf("%lu runs\n", runs);
    return 0;
}
#endif
