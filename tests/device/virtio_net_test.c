/* The virtio network card through a driver: frames both ways, filters, merged segments, several
 * queues. */
#include "host/net.h"
#include "tests/device/virtio_bench.h"

extern const struct device_type virtio_net_type;

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

int main(void)
{
    virtio_open();
    test_net();
    test_net_pairs();
    virtio_close();
    return tap_done();
}
