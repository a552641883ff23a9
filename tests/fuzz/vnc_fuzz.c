/* Fuzzes the VNC server: the input is what a viewer sends, as messages or byte by byte, after a
 * right handshake or from the first byte on, with a password or without. Nothing may crash, the
 * server must not hang, and the guest's input path takes what comes. */
#include "tests/fuzz/fuzz.h"

#include "hw/display/console.h"
#include "hw/input/i8042.h"
#include "ui/vnc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

extern const struct device_type stdvga_type;

enum { WAIT_MS = 60000, MAX_BYTES = 60000 };

static struct vnc_server *server[2];

static void set_up(void)
{
    struct error err = {{0}};
    struct vnc_options open = {.name = "fuzz"}, closed = {.name = "fuzz", .secret = "secret"};
    static const uint8_t small[][2] = {{0x11, 0}, {1, 7}, {7, 0}, {0x12, 31}};

    signal(SIGPIPE, SIG_IGN);
    fuzz_machine(1 << 20);
    fuzz_pci();
    struct device *d = device_create(fuzz.bench.m, &stdvga_type, NULL);
    device_set(d, "romfile", "", &err);
    fuzz_realize(d);
    bench_add(&fuzz.bench, &i8042_type);
    for (unsigned i = 0; i < 4; i++) { /* a small screen: an input is to take little time */
        out8(&fuzz.bench, 0x3d4, small[i][0]);
        out8(&fuzz.bench, 0x3d5, small[i][1]);
    }
    machine_unlock(fuzz.bench.m); /* the server's thread takes it */
    server[0] = vnc_create(fuzz.bench.m, &open, &err);
    server[1] = vnc_create(fuzz.bench.m, &closed, &err);
    if (!server[0] || !server[1]) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
}

/* ---- what is sent ---- */

struct output {
    uint8_t data[MAX_BYTES];
    size_t len;
};

static void put(struct output *o, uint32_t v, unsigned bytes)
{
    while (bytes-- && o->len < sizeof(o->data)) {
        o->data[o->len++] = (uint8_t)(v >> 8 * bytes);
    }
}

static void pass(struct output *o, struct input *in, unsigned bytes)
{
    while (bytes--) {
        put(o, take(in, 1), 1);
    }
}

static void encodings(struct output *o, struct input *in)
{
    static const int32_t known[] = {0,    1,    2,    4,    5,    6,    7,    16,         17,
                                    22,   -23,  -32,  -224, -223, -232, -239, -240,       -257,
                                    -258, -261, -305, -307, -308, -312, -512, 0xc0a1e5ce, -26};
    unsigned n = take(in, 1) & 15;

    put(o, 2, 2);
    put(o, n, 2);
    while (n--) {
        uint32_t v = take(in, 1);
        put(o, v < 200 ? (uint32_t)known[v % (sizeof(known) / sizeof(known[0]))] : take(in, 4), 4);
    }
}

static void message(struct output *o, struct input *in)
{
    static const uint8_t depths[] = {8, 16, 32, 24};
    unsigned op = take(in, 1), n;

    switch (op & 15) {
    case 0: /* SetPixelFormat */
        put(o, 0, 4);
        put(o, depths[op >> 4 & 3], 1);
        put(o, op & 0x40 ? take(in, 1) : 24, 1);
        put(o, op & 0x80 ? take(in, 2) : 1, 2); /* byte order, true colour */
        pass(o, in, 9);
        put(o, 0, 3);
        break;
    case 1:
    case 2:
        encodings(o, in);
        break;
    case 3:
    case 4: /* FramebufferUpdateRequest */
        put(o, 3, 1);
        put(o, op >> 4 & 1, 1);
        for (n = 0; n < 4; n++) {
            put(o, op & 0x80 ? take(in, 2) : n < 2 ? 0 : 32 + (op >> 4), 2);
        }
        break;
    case 5: /* KeyEvent */
        put(o, 4, 1);
        put(o, op >> 7, 3);
        put(o, (op & 0x40 ? 0xff00 : 0) | take(in, op & 0x20 ? 4 : 1), 4);
        break;
    case 6: /* PointerEvent */
        put(o, 5, 1);
        pass(o, in, 5);
        break;
    case 7: /* ClientCutText */
        n = op & 0x80 ? take(in, 4) : take(in, 1);
        put(o, 6, 4);
        put(o, n, 4);
        pass(o, in, n < 256 ? n : 16);
        break;
    case 8: /* QEMU's extended key event, and others of its kind */
        put(o, 0xff00 | (op >> 7), 2);
        put(o, op >> 4 & 1, 2);
        pass(o, in, 8);
        break;
    case 9: /* SetDesktopSize */
        put(o, 251u << 8, 2);
        pass(o, in, 4);
        put(o, (op >> 4 & 3) << 8, 2);
        pass(o, in, op & 0x30 ? 16 : 0);
        break;
    case 10: /* xvp, server's input, scale, text chat, file transfer */
        put(o, (const uint8_t[]){250, 15, 8, 11, 7, 10, 9, 248}[op >> 4 & 7], 1);
        pass(o, in, 11);
        break;
    default:
        pass(o, in, 1 + (op >> 4));
        break;
    }
}

/* ---- the server's answers ---- */

/* Until the server has closed its end; false: it hangs. */
static bool drain(int fd)
{
    char buf[65536];
    struct pollfd p = {.fd = fd, .events = POLLIN};

    for (;;) {
        int n = poll(&p, 1, WAIT_MS);
        if (n < 0 && errno == EINTR) { /* libFuzzer's timer */
            continue;
        }
        if (n != 1) {
            return false;
        }
        if (read(fd, buf, sizeof(buf)) <= 0) {
            return true;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char hello[] = "RFB 003.008\n\001\001"; /* version, no password, shared */
    static struct output o;
    struct input in = {data, data + size};
    unsigned how = take(&in, 1);
    int fds[2];

    if (!server[0]) {
        set_up();
    }
    if (size < 1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
        return 0;
    }
    o.len = 0;
    if (how & 1) {
        memcpy(o.data, hello, o.len = sizeof(hello) - 1);
        o.data[10] = (uint8_t)(how & 8 ? '3' : how & 16 ? '7' : '8');
    }
    while (more(&in)) {
        if (how & 32) {
            put(&o, take(&in, 1), 1);
        } else {
            message(&o, &in);
        }
    }
    vnc_add_client(server[(how & 6) == 6], fds[1]);
    if (write(fds[0], o.data, o.len) < 0) {
        /* it has closed the connection already */
    }
    shutdown(fds[0], SHUT_WR);
    if (!drain(fds[0])) {
        abort();
    }
    close(fds[0]);
    return 0;
}
