/* Virtio serial ports through a driver. */
#include "hw/virtio/virtio_serial.h"
#include "tests/device/virtio_bench.h"

#include <unistd.h>

extern const struct device_type virtio_serial_type, virtserialport_type;

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
    virtio_open();
    test_serial();
    virtio_close();
    return tap_done();
}
