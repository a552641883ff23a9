/* Fuzzes virtio: the input drives one of the devices through its registers, with descriptors, rings
 * and headers in guest RAM as bad as it likes. Nothing may crash, hang or write outside of the
 * guest's RAM (AddressSanitizer says so). virtio_gpu_fuzz and scsi_fuzz go deeper into the commands
 * of theirs. */
#include "tests/fuzz/fuzz.h"

#include "hw/input/input.h"
#include "hw/scsi/scsi.h"
#include "hw/virtio/virtio_serial.h"
#include "tests/device/virtio_driver.h"

extern const struct device_type virtio_blk_type, virtio_net_type, virtio_rng_type,
    virtio_balloon_type, virtio_serial_type, virtconsole_type, virtserialport_type,
    virtio_scsi_type, virtio_gpu_type, virtio_tablet_type, virtio_keyboard_type;

enum { BLK, NET, RNG, BALLOON, SERIAL, SCSI, GPU, TABLET, KEYBOARD, NDEVICES };
enum { NQUEUES = 6 };

static struct device *device[NDEVICES];
static struct serial_port *port[2];
static struct driver driver;

static struct device *make(const struct device_type *t, const char *prop, const char *value)
{
    struct error err = {{0}};
    struct device *d = device_create(fuzz.bench.m, t, NULL);

    if (prop && !device_set(d, prop, value, &err)) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    return d;
}

static void set_up(void)
{
    struct error err = {{0}};

    fuzz_machine(DRIVER_RAM);
    fuzz_pci();
    device[BLK] = make(&virtio_blk_type, NULL, NULL);
    device_set_ptr(device[BLK], "drive", fuzz_image(256 << 10));
    device[NET] = make(&virtio_net_type, "romfile", "");
    device_set_ptr(device[NET], "netdev", fuzz_netdev());
    device[RNG] = make(&virtio_rng_type, NULL, NULL);
    device[BALLOON] = make(&virtio_balloon_type, "free-page-reporting", "on");
    device[SERIAL] = make(&virtio_serial_type, NULL, NULL);
    device[SCSI] = make(&virtio_scsi_type, NULL, NULL);
    device[GPU] = make(&virtio_gpu_type, NULL, NULL);
    device[TABLET] = make(&virtio_tablet_type, NULL, NULL);
    device[KEYBOARD] = make(&virtio_keyboard_type, NULL, NULL);
    for (unsigned i = 0; i < NDEVICES; i++) {
        fuzz_realize(device[i]);
    }
    struct device *disk = make(&scsi_hd_type, NULL, NULL);
    device_set_ptr(disk, "drive", fuzz_image(256 << 10));
    fuzz_realize(disk);
    for (unsigned i = 0; i < 2; i++) {
        struct chardev *c =
            chardev_create(fuzz.loop, i ? "b" : "a", "ringbuf,size=4096", false, &err);
        struct device *p = i ? make(&virtserialport_type, "name", "org.example.port")
                             : make(&virtconsole_type, NULL, NULL);
        device_set_ptr(p, "chardev", c);
        port[i] = (struct serial_port *)fuzz_realize(p);
    }
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

/* A chain that looks like a request: a header, an area that is read or written, and (op bit 6) one
 * more byte for a status. The header's words are small numbers. */
static void request(struct input *in, unsigned q, unsigned op)
{
    unsigned n = take(in, 1) & 15, words = op & 0x80 ? take(in, 1) & 15 : 4;
    uint64_t header = DRIVER_BUFFERS + n * 256;

    for (unsigned i = 0; i < words; i++) {
        uint32_t v = take(in, 1);
        memory_write32(fuzz.bench.m->memory, header + 4 * i, v == 0xff ? take(in, 4) : v);
    }
    uint16_t write = op & 0x10 ? D_WRITE : 0, last = op & 0x40 ? D_NEXT : 0;
    put_desc(&driver, q, 3 * n, header, op & 0x20 ? take(in, 1) : 4 * words, D_NEXT,
             (uint16_t)(3 * n + 1));
    put_desc(&driver, q, 3 * n + 1, address(in), take(in, 2), write | last, (uint16_t)(3 * n + 2));
    put_desc(&driver, q, 3 * n + 2, header + 128, 1 + (op & 0x20) * 4, D_WRITE, 0);
    make_available(&driver, q, (uint16_t)(3 * n));
    driver_kick(&driver, q);
}

/* Room for what comes from outside. */
static void room(struct input *in, unsigned q, unsigned op)
{
    unsigned n = 48 + (take(in, 1) & 7);

    put_desc(&driver, q, n, DRIVER_BUFFERS + 0x20000 + (n << 12), op & 0x20 ? take(in, 2) : 2048,
             D_WRITE, 0);
    make_available(&driver, q, (uint16_t)n);
    driver_kick(&driver, q);
}

/* Something happens at the other end. */
static void outside(struct input *in, unsigned which)
{
    uint8_t text[64];
    unsigned how = take(in, 1);

    switch (which) {
    case NET:
        if (how < 8) {
            netdev_set_link(&fuzz.net, how & 1);
        } else if (how < 16) {
            fuzz.net.batch ^= 1;
        } else {
            fuzz_deliver(in);
        }
        break;
    case SERIAL:
        take_bytes(in, text, sizeof(text));
        if (how & 0x40) {
            virtio_serial_host_open(port[how & 1], how & 2);
        } else if (virtio_serial_room(port[how & 1])) {
            virtio_serial_send(port[how & 1], text, how & 0x3f);
        }
        break;
    case TABLET:
    case KEYBOARD:
        input_place(fuzz.bench.m, how << 6, take(in, 1) << 7);
        input_buttons(fuzz.bench.m, how & 31);
        input_wheel(fuzz.bench.m, how & 1, how >> 7);
        input_key(fuzz.bench.m, (uint16_t)(take(in, 1) & 0x7f), how & 1);
        break;
    case BLK:
    case SCSI:
        memory_file[which == SCSI].failing = how & 1;
        break;
    default:
        fuzz_settle();
        break;
    }
}

static void one_step(unsigned which, struct input *in)
{
    struct driver *d = &driver;
    struct pci_device *p = &d->v->pci;
    struct memory *mem = fuzz.bench.m->memory;
    unsigned op = take(in, 1), q = take(in, 1), at;

    q = q < 240 ? q % NQUEUES : q & 7;
    switch (op & 15) {
    case 0: /* descriptors, all fields free */
    case 1:
        at = take(in, 1) & 127;
        put_desc(d, q, at, address(in), take(in, 1 + (op >> 6)), (uint16_t)take(in, 1) & 7,
                 (uint16_t)take(in, 1));
        break;
    case 2:
    case 3:
        request(in, q, op);
        break;
    case 4:
        make_available(d, q, (uint16_t)take(in, 1));
        driver_kick(d, q);
        break;
    case 5:
        room(in, q, op);
        break;
    case 6:
        common_out(d, take(in, 2) & 0x3fff, take(in, 4), 1u << (op >> 6));
        break;
    case 7:
        ioport_write(mem, (uint16_t)(d->ports + (take(in, 1) & 127)), take(in, 4),
                     1u << (op >> 6) % 3);
        break;
    case 8: /* configuration space, with the window into the BARs */
        pci_config_write(p->bus, 0, p->devfn, 0x40 + take(in, 1) % 0xc0, take(in, 4),
                         1u << (op >> 6) % 3);
        pci_config_read(p->bus, 0, p->devfn, 0x40 + take(in, 1) % 0xc0, 4);
        break;
    case 9:
        memory_write32(mem, DRIVER_RINGS + (take(in, 3) & 0x1fffff), take(in, 4));
        break;
    case 10:
        outside(in, which);
        break;
    case 11:
        fuzz_settle();
        break;
    case 12:
        driver_start(d, take(in, 4) | (uint64_t)take(in, 1) << 32, NQUEUES);
        break;
    case 13:
        clock_advance(fuzz.bench.m->clock, (int64_t)take(in, 4));
        break;
    case 14:
        common_in(d, take(in, 2) & 0x3fff, 4);
        ioport_read(mem, (uint16_t)(d->ports + (op >> 4)), 4);
        break;
    default:
        memory_view_store(mem, VIEW_NORMAL, d->msix + (take(in, 2) & 0xfff), take(in, 4), 4);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    unsigned which = take(&in, 1) % NDEVICES;

    if (!fuzz.bench.m) {
        set_up();
    }
    fuzz_begin();
    fuzz.net_ops.takes_large = size & 1;
    driver_find(&driver, &fuzz.bench, device[which]);
    uint64_t left_out = which == NET ? 0 : take(&in, 1); /* low features */
    driver_start(&driver, UINT64_C(0x1ffffffff) & ~left_out, NQUEUES);
    while (more(&in)) {
        one_step(which, &in);
    }
    common_out(&driver, 20, 0, 1);
    fuzz_drain();
    return 0;
}
