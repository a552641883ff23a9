/* Fuzzes the VNC server: the input is what a viewer sends, after a right handshake or from the
 * first byte on, with a password or without. Nothing may crash, and the guest's input path takes
 * what comes.
 *
 * With libFuzzer by `make fuzz`; with -DSTANDALONE it makes random inputs itself for as many
 * seconds as the first argument says. */
#include "hw/display/console.h"
#include "hw/input/i8042.h"
#include "tests/device/virtio_driver.h"
#include "ui/vnc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

extern const struct device_type stdvga_type;

enum { WAIT_MS = 20000 };

static struct bench b;
static struct vnc_server *server[2];

static void set_up(void)
{
    struct irq line = {bench_set_line, &b, 0};
    struct error err = {{0}};
    struct vnc_options open = {.name = "fuzz"}, closed = {.name = "fuzz", .secret = "secret"};

    signal(SIGPIPE, SIG_IGN);
    bench_open(&b);
    driver_bus(&b, &line);
    struct device *d = device_create(b.m, &stdvga_type, NULL);
    device_set(d, "romfile", "", &err);
    bench_must(device_realize(d, &err) ? d : NULL, &err);
    bench_add(&b, &i8042_type);
    machine_unlock(b.m); /* the server's thread takes it */
    server[0] = vnc_create(b.m, &open, &err);
    server[1] = vnc_create(b.m, &closed, &err);
    if (!server[0] || !server[1]) {
        abort();
    }
}

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
    int fds[2];

    if (!server[0]) {
        set_up();
    }
    if (size < 1 || size > 60000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
        return 0;
    }
    bool handshake = data[0] & 1, password = (data[0] & 6) == 6;
    vnc_add_client(server[password], fds[1]);
    if ((handshake && write(fds[0], hello, sizeof(hello) - 1) < 0) ||
        write(fds[0], data + 1, size - 1) < 0) {
        /* it has closed the connection already */
    }
    shutdown(fds[0], SHUT_WR);
    if (!drain(fds[0])) {
        abort();
    }
    close(fds[0]);
    return 0;
}

#ifdef STANDALONE
int main(int argc, char **argv)
{
    static uint8_t data[4096];
    time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
    unsigned long n = 0;

    for (; time(NULL) < end; n++) {
        size_t size = (size_t)rand() % sizeof(data);
        for (size_t i = 0; i < size; i++) {
            data[i] = (uint8_t)rand();
        }
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("%lu inputs\n", n);
    return 0;
}
#endif
