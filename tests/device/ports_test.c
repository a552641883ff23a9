/* Parallel port, PCI serial port, pvpanic and the watchdog i6300esb through their registers. */
#include "host/chardev.h"
#include "host/mainloop.h"
#include "hw/misc/misc.h"
#include "hw/pci/pci.h"
#include "tests/device/harness.h"

extern const struct device_type parallel_type, pci_serial_type, i6300esb_type;

enum { LPT = 0x378, BAR = 0xe0000000u, PORTS = 0xc000, MS = 1000000 };

static struct bench b;
static struct mainloop *loop;

static int routing(struct pci_device *p, int pin)
{
    (void)p;
    return pin;
}

static struct device *with_chardev(const struct device_type *t, struct chardev *c)
{
    struct error err = {{0}};
    struct device *d = device_create(b.m, t, NULL);

    device_set_ptr(d, "chardev", c);
    return bench_must(device_realize(d, &err) ? d : NULL, &err);
}

static bool ring_is(struct chardev *c, const char *text)
{
    uint8_t buf[64];
    size_t n;

    return chardev_ring_read(c, buf, sizeof(buf), &n) && n == strlen(text) && !memcmp(buf, text, n);
}

static void strobe(uint8_t byte, uint8_t more)
{
    out8(&b, LPT, byte);
    out8(&b, LPT + 2, 0x0d | more);
    out8(&b, LPT + 2, 0x0c | more);
}

static void test_parallel(void)
{
    struct error err = {{0}};
    struct chardev *c = chardev_create(loop, "lp", "ringbuf", false, &err);
    struct device *d = with_chardev(&parallel_type, c);

    out8(&b, LPT, 0x5a);
    tap_ok(in8(&b, LPT) == 0x5a && in8(&b, LPT + 2) == 0xcc, "parallel: data and control");
    tap_ok(in8(&b, LPT + 1) == 0xd8, "parallel: a printer is there and ready");
    strobe('h', 0);
    strobe('i', 0x10);
    tap_ok(ring_is(c, "hi"), "parallel: bytes leave at their strobe");
    tap_ok(b.edges[7] == 1 && !b.level[7], "parallel: the acknowledge interrupts if it is let");
    out8(&b, LPT + 2, 0x0d);
    out8(&b, LPT + 2, 0x0d);
    tap_ok(ring_is(c, "i"), "parallel: a strobe that stays counts once");
    out8(&b, LPT + 4, 'E');
    tap_ok(ring_is(c, "E"), "EPP: a data write is taken");
    tap_ok(in8(&b, LPT + 4) == 0xff && (in8(&b, LPT + 1) & 1), "EPP: a read ends in a time-out");
    out8(&b, LPT + 1, 1);
    tap_ok(!(in8(&b, LPT + 1) & 1), "EPP: which a written 1 clears");
    tap_ok(state_round_trip(d), "parallel: state");
    tap_ok(bench_add(&b, &parallel_type) && in8(&b, 0x279) == 0x68,
           "parallel: the second port, without a printer");
    bench_add(&b, &parallel_type);
    tap_ok(!device_make(b.m, &parallel_type, &err, NULL), "%s", err.msg);
    tap_ok(!device_make(b.m, &parallel_type, &err, "index=9", NULL), "%s", err.msg);
}

static void test_pci_serial(void)
{
    struct error err = {{0}};
    struct chardev *c = chardev_create(loop, "s", "ringbuf", false, &err);
    struct device *d = with_chardev(&pci_serial_type, c);
    struct pci_device *p = (struct pci_device *)d;

    pci_config_write(p->bus, 0, p->devfn, 0x10, PORTS, 4);
    pci_config_write(p->bus, 0, p->devfn, 4, 1, 2);
    out8(&b, PORTS, 'x');
    tap_ok(ring_is(c, "x"), "pci-serial: a character leaves");
    out8(&b, PORTS + 4, 8);
    out8(&b, PORTS + 1, 2);
    tap_ok(b.level[0] == 1 && (in8(&b, PORTS + 2) & 15) == 2 && !b.level[0],
           "pci-serial: INTA for an empty transmitter");
    tap_ok(state_round_trip(d), "pci-serial: state");
}

static void test_pvpanic(void)
{
    struct error err = {{0}};

    tap_ok(device_make(b.m, &pvpanic_type, &err, "events=3", NULL) && in8(&b, 0x505) == 3,
           "pvpanic: what it takes");
    tap_ok(pvpanic_port(b.m) == 0x505, "pvpanic: its port, for the firmware");
    out8(&b, 0x505, 4);
    tap_ok(!atomic_load(&b.m->requests), "pvpanic: what it does not take");
    out8(&b, 0x505, 1);
    tap_ok(atomic_exchange(&b.m->requests, 0) == REQUEST_PANIC, "pvpanic: a panic");
    out8(&b, 0x505, 2);
    tap_ok(atomic_exchange(&b.m->requests, 0) == REQUEST_CRASH_LOADED, "pvpanic: a crash kernel");
    tap_ok(!device_make(b.m, &pvpanic_type, &err, "events=9", NULL), "%s", err.msg);
}

static void esb(unsigned reg, uint32_t v, unsigned size)
{
    memory_view_store(b.m->memory, VIEW_NORMAL, BAR + 12, 0x80, 2);
    memory_view_store(b.m->memory, VIEW_NORMAL, BAR + 12, 0x86, 2);
    memory_view_store(b.m->memory, VIEW_NORMAL, BAR + reg, v, size);
}

static bool expired(void)
{
    return atomic_exchange(&b.m->requests, 0) == REQUEST_WATCHDOG;
}

static void test_watchdog(void)
{
    struct device *d = bench_add(&b, &i6300esb_type);
    struct pci_device *p = (struct pci_device *)d;

    pci_config_write(p->bus, 0, p->devfn, 0x10, BAR, 4);
    pci_config_write(p->bus, 0, p->devfn, 4, 2, 2);
    memory_view_store(b.m->memory, VIEW_NORMAL, BAR, 5, 4); /* closed */
    esb(0, 1000, 4);                                        /* each tick is 32768 clocks of 30 ns */
    esb(4, 500, 4);
    pci_config_write(p->bus, 0, p->devfn, 0x68, 2, 1);
    advance(&b, 1400 * (int64_t)983040);
    tap_ok(!expired(), "i6300esb: time is left");
    esb(12, 0x100, 2);
    advance(&b, 1400 * (int64_t)983040);
    tap_ok(!expired(), "i6300esb: and again after a reload");
    tap_ok(state_round_trip(d), "i6300esb: state");
    advance(&b, 101 * (int64_t)983040);
    tap_ok(expired(), "i6300esb: both stages are over");
    tap_ok(memory_view_load(b.m->memory, VIEW_NORMAL, BAR + 12, 2) == 0x200,
           "i6300esb: it remembers that it expired");
    esb(12, 0x200, 2);
    tap_ok(memory_view_load(b.m->memory, VIEW_NORMAL, BAR + 12, 2) == 0,
           "i6300esb: until told otherwise");
    pci_config_write(p->bus, 0, p->devfn, 0x68, 0, 1);
    pci_config_write(p->bus, 0, p->devfn, 0x60, 4, 2); /* 32 clocks a tick */
    esb(0, 1000, 4);
    esb(4, 1000, 4);
    pci_config_write(p->bus, 0, p->devfn, 0x68, 3, 1);
    pci_config_write(p->bus, 0, p->devfn, 0x68, 0, 1);
    advance(&b, 2 * MS);
    tap_ok(expired(), "i6300esb: fast ticks, and locked on");
    pci_config_write(p->bus, 0, p->devfn, 0x60, 0x24, 2);
    esb(12, 0x100, 2);
    advance(&b, 5 * MS);
    tap_ok(!expired(), "i6300esb: its output may be off");
    d->type->reset(d);
    advance(&b, INT64_C(4000000) * MS);
    tap_ok(!expired(), "i6300esb: off after a reset");
}

int main(void)
{
    struct irq line = {bench_set_line, &b, 0};

    bench_open(&b);
    bench_isa_lines(&b);
    loop = mainloop_create(b.m);
    pci_bus_create(b.m, 0, routing, &line, 1);
    test_parallel();
    test_pci_serial();
    test_pvpanic();
    test_watchdog();
    bench_close(&b);
    mainloop_destroy(loop);
    return tap_done();
}
