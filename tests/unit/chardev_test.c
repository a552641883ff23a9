/* Character back ends: ring buffer, log file, multiplexer, telnet, clients that connect again. */
#include "host/chardev.h"
#include "host/mainloop.h"
#include "tests/device/harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct bench b;
static struct mainloop *loop;
static char dir[] = "/tmp/chardev-test-XXXXXX", path[64];

struct front {
    char got[64];
    size_t n;
    unsigned opened, closed, breaks, in, out;
};

static size_t room(void *opaque)
{
    return sizeof(((struct front *)opaque)->got) - 1 - ((struct front *)opaque)->n;
}
static void receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct front *f = opaque;

    memcpy(f->got + f->n, buf, len);
    f->n += len;
    f->got[f->n] = 0;
}
static void event(void *opaque, enum chardev_event ev)
{
    struct front *f = opaque;

    f->opened += ev == CHARDEV_OPENED;
    f->closed += ev == CHARDEV_CLOSED;
    f->breaks += ev == CHARDEV_BREAK;
    f->in += ev == CHARDEV_MUX_IN;
    f->out += ev == CHARDEV_MUX_OUT;
}

static void connect_front(struct chardev *c, struct front *f)
{
    struct error err = {{0}};

    chardev_connect(c, &(struct chardev_frontend){f, room, receive, event}, &err);
}

static void settle(void)
{
    for (int i = 0; i < 5; i++) {
        bench_step(&b, loop);
    }
}

static struct chardev *make(const char *spec, struct chardev_options *o)
{
    struct error err = {{0}};
    struct chardev *c = chardev_create_with(loop, "c", spec, o, &err);

    if (!c) {
        printf("# %s: %s\n", spec, err.msg);
    }
    return c;
}

static void test_ring(void)
{
    struct error err = {{0}};
    struct chardev_options o = {.size = 8, .logfile = path};
    struct chardev *c = make("ringbuf", &o);
    uint8_t buf[16];
    size_t n;
    char text[32] = "";

    chardev_write(c, (const uint8_t *)"0123456789", 10);
    tap_ok(chardev_ring_read(c, buf, 3, &n) && n == 3 && !memcmp(buf, "234", 3),
           "ring: the oldest are lost");
    tap_ok(chardev_ring_read(c, buf, 16, &n) && n == 5 && !memcmp(buf, "56789", 5),
           "ring: the rest");
    tap_ok(chardev_ring_read(c, buf, 16, &n) && n == 0, "ring: empty");
    chardev_destroy(c);
    o.logappend = true;
    c = make("null", &o);
    chardev_write(c, (const uint8_t *)"ab", 2);
    tap_ok(!chardev_ring_read(c, buf, 16, &n), "null is no ring");
    chardev_destroy(c);
    int fd = open(path, O_RDONLY);
    tap_ok(read(fd, text, 31) == 12 && !strcmp(text, "0123456789ab"), "log file, appended to");
    close(fd);
    unlink(path);
    o = (struct chardev_options){.size = 9};
    tap_ok(!chardev_create_with(loop, "r", "ringbuf", &o, &err), "%s", err.msg);
    tap_ok(!chardev_create(loop, "r", "rinbuf", false, &err) && strstr(err.msg, "ringbuf"), "%s",
           err.msg);
    o = (struct chardev_options){.logfile = "/nonexistent/log"};
    tap_ok(!chardev_create_with(loop, "r", "null", &o, &err), "%s", err.msg);
}

static void test_file_input(void)
{
    struct chardev_options o = {.input = path, .append = true};
    struct front f = {.n = 0};
    char out[80];
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    if (write(fd, "typed", 5) != 5) {
        exit(1);
    }
    close(fd);
    snprintf(out, sizeof(out), "file:%s/out", dir);
    struct chardev *c = make(out, &o);
    connect_front(c, &f);
    chardev_accept_input(c);
    settle();
    tap_ok(!strcmp(f.got, "typed"), "file: input from another file");
    chardev_destroy(c);
    unlink(out + 5);
    unlink(path);
}

static int dial(const char *description)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    sa.sin_port = htons((uint16_t)atoi(strrchr(description, ':') + 1));
    return connect(fd, (void *)&sa, sizeof(sa)) ? -1 : fd;
}

static void test_telnet(void)
{
    struct chardev *c = make("telnet:127.0.0.1:0,server=on,wait=off", NULL);
    struct front f = {.n = 0};
    static const uint8_t text[] = {'a', 255, 255, 255, 253, 1,   '\r', 0,   255,
                                   250, 24,  0,   'x', 255, 240, 255,  243, 'z'};
    uint8_t buf[64];

    connect_front(c, &f);
    tap_ok(f.opened == 0, "nobody is there yet");
    int fd = dial(chardev_describe(c));
    settle();
    tap_ok(f.opened == 1 && recv(fd, buf, sizeof(buf), 0) == 12 && buf[0] == 255,
           "telnet: a client is greeted");
    send(fd, text, sizeof(text), 0);
    settle();
    tap_ok(f.n == 4 && !memcmp(f.got, "a\xff\rz", 4) && f.breaks == 1,
           "telnet: text without commands, and break");
    chardev_write(c, (const uint8_t *)"q\xffr", 3);
    tap_ok(recv(fd, buf, 4, MSG_WAITALL) == 4 && !memcmp(buf, "q\xff\xffr", 4),
           "telnet: 255 is written twice");
    close(fd);
    settle();
    tap_ok(f.closed == 1, "the client went");
    fd = dial(chardev_describe(c));
    settle();
    tap_ok(f.opened == 2, "and the next came");
    close(fd);
    chardev_destroy(c);
}

static void test_reconnect(void)
{
    struct error err = {{0}};
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct front f = {.n = 0};
    char spec[160];
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(spec, sizeof(spec), "unix:%s", path);
    tap_ok(!chardev_create(loop, "c", spec, false, &err), "%s", err.msg);
    snprintf(spec, sizeof(spec), "unix:%s,reconnect-ms=20", path);
    struct chardev *c = make(spec, NULL);
    connect_front(c, &f);
    tap_ok(c && f.opened == 0, "reconnect: the server may come later");
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    bind(listener, (void *)&sa, sizeof(sa));
    listen(listener, 4);
    for (int round = 1; round <= 2; round++) {
        for (int i = 0; i < 100 && f.opened < (unsigned)round; i++) {
            usleep(5000);
            settle();
        }
        int fd = accept(listener, NULL, NULL);
        chardev_write(c, (const uint8_t *)"hi", 2);
        char text[8] = "";
        tap_ok(f.opened == (unsigned)round && read(fd, text, 7) == 2, "reconnect: connection %d",
               round);
        close(fd);
        settle();
        tap_ok(f.closed == (unsigned)round, "reconnect: lost");
    }
    chardev_destroy(c);
    close(listener);
    unlink(path);
    snprintf(spec, sizeof(spec), "unix:%s,server=on,reconnect=1", path);
    tap_ok(!chardev_create(loop, "c", spec, false, &err), "%s", err.msg);
}

static void test_mux(void)
{
    struct front one = {.n = 0}, two = {.n = 0};
    int pair[2];
    char spec[64];

    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    snprintf(spec, sizeof(spec), "fd:%d", pair[0]);
    struct chardev *c = make(spec, &(struct chardev_options){.mux = true});
    connect_front(c, &one);
    connect_front(c, &two);
    tap_ok(write(pair[1], "a\1cb\1\1\1b\1cd", 11) == 11, "mux: keys");
    settle();
    tap_ok(!strcmp(one.got, "ad") && !strcmp(two.got, "b\1") && two.breaks == 1 && one.out == 1 &&
               one.in == 2,
           "mux: Ctrl-A c moves between front ends, b breaks, twice is Ctrl-A");
    chardev_destroy(c);
    close(pair[1]);
}

int main(void)
{
    if (!mkdtemp(dir)) {
        return 1;
    }
    snprintf(path, sizeof(path), "%s/x", dir);
    bench_open(&b);
    loop = mainloop_create(b.m);
    test_ring();
    test_file_input();
    test_telnet();
    test_reconnect();
    test_mux();
    mainloop_destroy(loop);
    bench_close(&b);
    rmdir(dir);
    return tap_done();
}
