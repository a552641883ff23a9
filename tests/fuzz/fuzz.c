/* See fuzz.h. */
#include "tests/fuzz/fuzz.h"

#include "host/be.h"

struct fuzz fuzz;

void take_bytes(struct input *in, void *buf, size_t len)
{
    size_t n = (size_t)(in->end - in->p) < len ? (size_t)(in->end - in->p) : len;

    memcpy(buf, in->p, n);
    memset((uint8_t *)buf + n, 0, len - n);
    in->p += n;
}

/* ---- the machine ---- */

void fuzz_machine(uint64_t ram_bytes)
{
    struct error err = {{0}};

    bench_open(&fuzz.bench);
    bench_isa_lines(&fuzz.bench);
    fuzz.loop = mainloop_create(fuzz.bench.m);
    fuzz.graph = block_graph_create(fuzz.loop);
    fuzz.ram = memory_ram_create(fuzz.bench.m->memory, "ram", ram_bytes, &err);
    if (!fuzz.ram) {
        abort();
    }
    memory_map_ram(fuzz.bench.m->memory, IN_BOTH, 0, ram_bytes, fuzz.ram, 0, false, MAP_PRIO_RAM);
}

static int routing(struct pci_device *p, int pin)
{
    (void)p;
    return pin;
}

void fuzz_pci(void)
{
    struct irq line = {bench_set_line, &fuzz.bench, 0};

    pci_bus_create(fuzz.bench.m, 0, routing, &line, 1);
}

struct device *fuzz_realize(struct device *d)
{
    struct error err = {{0}};

    return bench_must(device_realize(d, &err) ? d : NULL, &err);
}

void fuzz_bar(struct device *d, unsigned n, uint32_t address)
{
    struct pci_device *p = (struct pci_device *)d;

    pci_config_write(p->bus, 0, p->devfn, 0x10 + 4 * n, address, 4);
    pci_config_write(p->bus, 0, p->devfn, 0x04, 7, 2);
}

void fuzz_clear_ram(struct ram *ram)
{
    static uint8_t dirty[16 << 20 >> 12];
    uint64_t pages = ram->size >> 12;

    for (uint64_t first = 0; first < pages; first += sizeof(dirty)) {
        uint64_t n = pages - first < sizeof(dirty) ? pages - first : sizeof(dirty);
        if (!ram_take_dirty(ram, first, n, dirty)) {
            continue;
        }
        for (uint64_t i = 0; i < n; i++) {
            if (dirty[i]) {
                memset(ram->host + ((first + i) << 12), 0, 4096);
                dirty[i] = 0;
            }
        }
    }
}

static void drop_frames(void)
{
    while (fuzz.net.first) {
        struct net_frame *f = fuzz.net.first;
        fuzz.net.first = f->next;
        free(f);
    }
    fuzz.net.tail = &fuzz.net.first;
    fuzz.net.waiting = fuzz.net.batch = 0;
    fuzz.net.link_down = false;
}

void fuzz_begin(void)
{
    fuzz_drain();
    devices_reset(fuzz.bench.m);
    fuzz_clear_ram(fuzz.ram);
    drop_frames();
    for (unsigned i = 0; i < MEMORY_FILES; i++) {
        struct memory_file *f = &memory_file[i];
        if (f->writes) {
            memset(f->data, 0, f->limit);
        }
        f->writes = 0;
        f->failing = false;
    }
}

void fuzz_settle(void)
{
    machine_unlock(fuzz.bench.m);
    fuzz.bench.m->wake_main(fuzz.bench.m->wake_opaque);
    mainloop_step(fuzz.loop);
    machine_lock(fuzz.bench.m);
}

void fuzz_drain(void)
{
    bool busy = true;

    fuzz_settle(); /* also what devices have put off */
    for (unsigned i = 0; i < 100 && busy; i++) {
        busy = false;
        for (struct block *b = block_next(fuzz.graph, NULL); b; b = block_next(fuzz.graph, b)) {
            busy |= block_busy(b);
            block_drain(b);
        }
        if (busy) {
            fuzz_settle();
        }
    }
    if (busy) {
        fprintf(stderr, "requests do not end\n");
        abort();
    }
}

struct block *fuzz_image(uint64_t bytes)
{
    static unsigned n;
    struct error err = {{0}};
    struct block_options o = {.file = memory_file_name(n), .format = "raw"};

    memory_file[n].limit = memory_file[n].size = bytes;
    memory_file[n++].data = calloc(1, bytes);
    struct block *b = block_open(fuzz.graph, &o, &err);
    if (!b) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    return b;
}

/* ---- network ---- */

static void net_send(struct netdev *nd, const uint8_t *frame, size_t len)
{
    static uint8_t copy[70000];

    (void)nd;
    memcpy(copy, frame, len); /* every byte must be the card's to give */
}

static void net_destroy(struct netdev *nd)
{
    (void)nd;
}

struct netdev *fuzz_netdev(void)
{
    fuzz.net_ops = (struct netdev_ops){.send = net_send, .destroy = net_destroy};
    netdev_init(&fuzz.net, &fuzz.net_ops, fuzz.loop, "net");
    return &fuzz.net;
}

struct device *fuzz_card(const struct device_type *type, uint64_t ram)
{
    struct error err = {{0}};

    fuzz_machine(ram);
    fuzz_pci();
    struct device *d = device_create(fuzz.bench.m, type, NULL);
    device_set(d, "romfile", "", &err);
    device_set_ptr(d, "netdev", fuzz_netdev());
    return fuzz_realize(d);
}

size_t fuzz_headers(struct input *in, uint8_t *buf, size_t len)
{
    unsigned kind = take(in, 1);
    uint8_t *ip = buf + 14, *tcp;

    memset(buf, kind, FUZZ_HEADERS);
    memcpy(buf, "\x52\x54\0\x12\x34\x56", 6);
    if (kind & 0x40) {
        memset(buf, kind & 0x80 ? 0xff : 0x33, 6);
    }
    if (kind & 8) { /* no IP at all */
        take_bytes(in, buf + 12, 8);
        return 20;
    }
    memset(ip, 0, FUZZ_HEADERS - 14);
    if (kind & 1) {
        buf[12] = 0x86, buf[13] = 0xdd;
        ip[0] = 0x60;
        be_put16(ip + 4, (uint16_t)(len - 54));
        ip[6] = kind & 2 ? 17 : 6;
        tcp = ip + 40;
    } else {
        buf[12] = 8, buf[13] = 0;
        ip[0] = (uint8_t)(0x45 + (kind & 16 ? take(in, 1) & 15 : 0));
        be_put16(ip + 2, (uint16_t)(len - 14 + (kind & 32 ? take(in, 1) : 0)));
        ip[9] = kind & 2 ? 17 : 6;
        tcp = ip + 20;
    }
    be_put32(tcp + 4, take(in, 2));
    tcp[12] = (uint8_t)(kind & 4 ? take(in, 1) : 0x50);
    tcp[13] = (uint8_t)(kind & 4 ? take(in, 1) : 0x10);
    return FUZZ_HEADERS;
}

void fuzz_deliver(struct input *in)
{
    static uint8_t frame[9216];
    unsigned how = take(in, 1);
    size_t len = how & 1 ? take(in, 2) % sizeof(frame) + 1 : (how >> 1) + 14;

    memset(frame, (int)how, len);
    if (len >= FUZZ_HEADERS) {
        fuzz_headers(in, frame, len);
    }
    netdev_deliver(&fuzz.net, frame, len);
}
