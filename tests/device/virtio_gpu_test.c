/* virtio GPU and virtio input behind a driver: pictures, what is refused, events. */
#include "hw/display/console.h"
#include "hw/input/input.h"
#include "tests/device/virtio_driver.h"

extern const struct device_type virtio_gpu_type, virtio_vga_type, virtio_keyboard_type,
    virtio_tablet_type, virtio_mouse_type;

enum { CMD = DRIVER_BUFFERS, ANSWER = DRIVER_BUFFERS + 0x10000, PIXELS = DRIVER_BUFFERS + 0x20000 };

static struct bench b;
static struct driver gpu, keyboard, tablet, mouse;

/* Sends words 32-bit words after the header; returns the answer's type. */
static uint32_t command(uint32_t type, unsigned words, const uint32_t *w)
{
    struct memory *mem = b.m->memory;
    uint8_t zero[24] = {0};
    uint32_t id, len;

    memory_write(mem, CMD, zero, sizeof(zero));
    memory_write32(mem, CMD, type);
    memory_write32(mem, CMD + 4, 1); /* fence */
    memory_write64(mem, CMD + 8, 0x1122334455667788);
    for (unsigned i = 0; i < words; i++) {
        memory_write32(mem, CMD + 24 + 4 * i, w[i]);
    }
    memory_write32(mem, ANSWER, 0);
    put_desc(&gpu, 0, 0, CMD, 24 + 4 * words, D_NEXT, 1);
    put_desc(&gpu, 0, 1, ANSWER, 2048, D_WRITE, 0);
    make_available(&gpu, 0, 0);
    driver_kick(&gpu, 0);
    return take_used(&gpu, 0, &id, &len) ? memory_read32(mem, ANSWER) : 0;
}
#define COMMAND(type, ...)                                                                         \
    command(type, sizeof((uint32_t[]){__VA_ARGS__}) / 4, (uint32_t[]){__VA_ARGS__})

enum { OK = 0x1100, E_UNSPEC = 0x1200, E_MEMORY, E_SCANOUT, E_RESOURCE, E_CONTEXT, E_PARAMETER };

static void test_gpu(void)
{
    struct console_view *v = console_view_open(b.m, 0);
    struct console_frame f;
    struct memory *mem = b.m->memory;

    tap_ok(command(0x100, 0, NULL) == 0x1101 && memory_read32(mem, ANSWER + 24 + 8) == 1280 &&
               memory_read32(mem, ANSWER + 24 + 12) == 800 &&
               memory_read32(mem, ANSWER + 24 + 16) == 1,
           "the display is 1280x800");
    tap_ok(memory_read32(mem, ANSWER + 4) == 1 &&
               memory_read64(mem, ANSWER + 8) == 0x1122334455667788,
           "the fence comes back");
    tap_ok(COMMAND(0x10a, 0, 0) == 0x1104 && memory_read32(mem, ANSWER + 24) == 256 &&
               memory_read64(mem, ANSWER + 32) == 0x00ffffffffffff00,
           "EDID");
    tap_ok(COMMAND(0x10a, 1, 0) == E_SCANOUT, "of the one scanout");
    tap_ok(COMMAND(0x101, 7, 2, 64, 32) == OK, "a resource is made");
    tap_ok(COMMAND(0x101, 7, 2, 64, 32) == E_RESOURCE, "not twice");
    tap_ok(COMMAND(0x101, 0, 2, 64, 32) == E_RESOURCE, "not as number 0");
    tap_ok(COMMAND(0x101, 8, 99, 64, 32) == E_PARAMETER, "not of an unknown format");
    tap_ok(COMMAND(0x101, 8, 2, 0x80000000, 0x80000000) == E_PARAMETER, "not huge");
    tap_ok(COMMAND(0x101, 8, 2, 16384, 16384) == E_MEMORY, "not beyond the memory allowed");
    /* 64 x 32 pixels in two pieces, the second one first in memory. */
    for (unsigned i = 0; i < 2048; i++) {
        memory_write32(mem, PIXELS + 4 * i, 0xff000000 | ((i + 1024) % 2048));
    }
    tap_ok(COMMAND(0x106, 7, 2, PIXELS + 4096, 0, 4096, 0, PIXELS, 0, 4096, 0) == OK, "backing");
    tap_ok(COMMAND(0x106, 7, 1, PIXELS, 0, 4096, 0) == E_UNSPEC, "one at a time");
    tap_ok(COMMAND(0x106, 7, 0x10000000, 0, 0, 0, 0) == E_PARAMETER, "as long as it says");
    tap_ok(COMMAND(0x105, 0, 0, 64, 32, 0, 0, 7, 0) == OK, "transfer");
    tap_ok(COMMAND(0x105, 1, 0, 64, 32, 0, 0, 7, 0) == E_PARAMETER &&
               COMMAND(0x105, 0, 1, 64, 0xffffffff, 0, 0, 7, 0) == E_PARAMETER &&
               COMMAND(0x105, 0, 0, 64, 32, 4, 0, 7, 0) == E_PARAMETER &&
               COMMAND(0x105, 0, 0, 64, 32, 0, 0xffffffff, 7, 0) == E_PARAMETER,
           "not beyond resource or backing");
    tap_ok(COMMAND(0x103, 8, 4, 40, 20, 0, 7) == OK, "scanout");
    console_view_update(v, &f, NULL, NULL);
    tap_ok(f.width == 40 && f.height == 20 && f.pixels[0] == 4 * 64 + 8 &&
               f.pixels[19 * 40 + 39] == 23 * 64 + 47,
           "a part of the resource is shown (%06x)", f.pixels[0]);
    tap_ok(COMMAND(0x103, 8, 4, 40, 29, 0, 7) == E_PARAMETER &&
               COMMAND(0x103, 0, 0, 40, 20, 1, 7) == E_SCANOUT &&
               COMMAND(0x103, 0, 0, 4, 4, 0, 9) == E_RESOURCE,
           "wrong scanouts are refused");
    memory_write32(mem, PIXELS + 4096 + (5 * 64 + 9) * 4, 0x00abcdef);
    COMMAND(0x105, 9, 5, 1, 1, (5 * 64 + 9) * 4, 0, 7, 0);
    tap_ok(!console_view_update(v, &f, NULL, NULL), "transfers do not show");
    tap_ok(COMMAND(0x104, 9, 5, 1, 1, 7, 0) == OK && console_view_update(v, &f, NULL, NULL) &&
               f.pixels[1 * 40 + 1] == 0xabcdef,
           "flushes do");
    tap_ok(COMMAND(0x104, 0, 0, 65, 1, 7, 0) == E_PARAMETER &&
               COMMAND(0x104, 0, 0, 1, 1, 9, 0) == E_RESOURCE,
           "wrong flushes are refused");
    tap_ok(COMMAND(0x300, 0, 0, 0, 0, 7, 3, 4, 0) == OK && console_view_update(v, &f, NULL, NULL) &&
               f.cursor_changed && f.cursor.width == 64 && f.cursor.hot_x == 3,
           "a cursor");
    tap_ok(f.cursor.argb[0] >> 24 == 0xff && f.cursor.argb[5 * 64 + 9] == 0x00abcdef,
           "the fourth byte is its alpha, in a format without as well");
    tap_ok(COMMAND(0x300, 0, 0, 0, 0, 0, 0, 0, 0) == OK && console_view_update(v, &f, NULL, NULL) &&
               !f.cursor.width,
           "and none");
    tap_ok(COMMAND(0x107, 7, 0) == OK && COMMAND(0x105, 0, 0, 1, 1, 0, 0, 7, 0) == E_RESOURCE,
           "without backing nothing is transferred");
    tap_ok(COMMAND(0x102, 7, 0) == OK && COMMAND(0x102, 7, 0) == E_RESOURCE, "unref");
    console_view_update(v, &f, NULL, NULL);
    tap_ok(f.width == 1280 && f.height == 800 && f.pixels[0] == 0, "the screen is empty again");
    tap_ok(COMMAND(0x555, 0) == E_UNSPEC, "unknown commands are refused");
    tap_ok(command(0x101, 1, (uint32_t[]){9}) == E_PARAMETER, "short ones too");
    console_want_size(console_view_console(v), 1024, 600);
    tap_ok(memory_view_load(mem, VIEW_NORMAL, gpu.bar + 0x2000, 4) == 1 &&
               command(0x100, 0, NULL) == 0x1101 && memory_read32(mem, ANSWER + 24 + 8) == 1024,
           "a viewer's wish is an event and a new size");
    memory_view_store(mem, VIEW_NORMAL, gpu.bar + 0x2004, 1, 4);
    tap_ok(memory_view_load(mem, VIEW_NORMAL, gpu.bar + 0x2000, 4) == 0, "which the driver clears");
    tap_ok(state_round_trip(&gpu.v->pci.dev), "the state saves and loads");
    console_view_close(v);
}

/* ---- input ---- */

static void give_buffers(struct driver *d, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        put_desc(d, 0, i, PIXELS + 8 * i, 8, D_WRITE, 0);
        make_available(d, 0, (uint16_t)i);
    }
    driver_kick(d, 0);
}

/* The next event as type << 48 | code << 32 | value; 0: none. */
static uint64_t event(struct driver *d)
{
    uint32_t id, len;

    if (!take_used(d, 0, &id, &len) || len != 8) {
        return 0;
    }
    uint64_t e = memory_read64(b.m->memory, PIXELS + 8 * id);
    return (e & 0xffff) << 48 | (e >> 16 & 0xffff) << 32 | e >> 32;
}
#define EVENT(type, code, value)                                                                   \
    ((uint64_t)(type) << 48 | (uint64_t)(code) << 32 | (uint32_t)(value))
enum { NONE = 0 };

static unsigned config(struct driver *d, unsigned select, unsigned subsel)
{
    memory_view_store(b.m->memory, VIEW_NORMAL, d->bar + 0x2000, select, 1);
    memory_view_store(b.m->memory, VIEW_NORMAL, d->bar + 0x2001, subsel, 1);
    return (unsigned)memory_view_load(b.m->memory, VIEW_NORMAL, d->bar + 0x2002, 1);
}
static unsigned config_byte(struct driver *d, unsigned n)
{
    return (unsigned)memory_view_load(b.m->memory, VIEW_NORMAL, d->bar + 0x2008 + n, 1);
}

static void test_input(void)
{
    tap_ok(config(&keyboard, 1, 0) > 8 && config_byte(&keyboard, 0) == 'D',
           "the keyboard has a name");
    tap_ok(config(&keyboard, 0x11, 1) && (config_byte(&keyboard, 30 / 8) >> 30 % 8 & 1) &&
               !config(&keyboard, 0x11, 3),
           "keys, no axes");
    tap_ok(config(&tablet, 0x12, 1) == 20 && config_byte(&tablet, 4) == 0xff &&
               config_byte(&tablet, 5) == 0x7f,
           "the tablet's axes go to 32767");
    tap_ok(!config(&tablet, 0x99, 0) && !config(&tablet, 0x12, 9),
           "unknown questions have empty answers");
    input_key(b.m, 0x1e, true);
    tap_ok(event(&keyboard) == NONE, "without a driver nothing is sent");
    driver_start(&keyboard, 0, 2);
    give_buffers(&keyboard, 3);
    input_key(b.m, 0x1e, true);
    tap_ok(event(&keyboard) == EVENT(1, 30, 1) &&
               take_used(&keyboard, 0, &(uint32_t){0}, &(uint32_t){0}),
           "a key and its synchronization");
    input_key(b.m, 0xe048, false);
    tap_ok(event(&keyboard) == EVENT(1, 103, 0), "an extended key");
    give_buffers(&keyboard, 3);
    tap_ok(!event(&keyboard), "what found no buffer waits");
    driver_start(&tablet, 0, 2);
    give_buffers(&tablet, 32);
    tap_ok(input_pointer_kind(b.m) == INPUT_ABSOLUTE, "with a tablet the pointer is absolute");
    input_place(b.m, 100, 40000);
    tap_ok(event(&tablet) == EVENT(3, 0, 100) && event(&tablet) == EVENT(3, 1, 32767), "a place");
    event(&tablet);
    input_buttons(b.m, INPUT_LEFT);
    event(&tablet);
    event(&tablet);
    tap_ok(event(&tablet) == EVENT(1, 0x110, 1), "a button");
    event(&tablet);
    input_wheel(b.m, 1, 0);
    event(&tablet);
    event(&tablet);
    tap_ok(event(&tablet) == EVENT(2, 8, -1), "the wheel");
    for (unsigned i = 0; i < 1000; i++) {
        input_place(b.m, i, i);
    }
    tap_ok(state_round_trip(&tablet.v->pci.dev),
           "too many events are dropped; the state saves and loads");
}

int main(void)
{
    struct error err = {{0}};
    struct irq line = {bench_set_line, &b, 0};

    bench_open(&b);
    driver_bus(&b, &line);
    driver_find_at(&gpu, &b, bench_add(&b, &virtio_gpu_type), 0);
    driver_start(&gpu, 2, 2);
    test_gpu();
    driver_find_at(&keyboard, &b, bench_add(&b, &virtio_keyboard_type), 1);
    driver_find_at(&tablet, &b, bench_add(&b, &virtio_tablet_type), 2);
    driver_find_at(&mouse, &b, bench_add(&b, &virtio_mouse_type), 3);
    test_input();
    struct device *vga = device_create(b.m, &virtio_vga_type, NULL);
    device_set(vga, "romfile", "", &err);
    tap_ok(device_realize(vga, &err) && state_round_trip(vga), "virtio-vga saves and loads");
    bench_close(&b);
    return tap_done();
}
