/* chardev stdio: the terminal the program was started from, in raw mode and restored at the end;
 * also works with pipes and files. End of file on the input only ends the input. */
#include "host/chardev_internal.h"
#include "host/mainloop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

struct stdio {
    struct chardev c;
    struct termios saved;
    bool raw, eof;
    struct iowatch *watch;
};

static void stdio_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    (void)c;
    while (len) {
        ssize_t n = write(STDOUT_FILENO, buf, len);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {STDOUT_FILENO, POLLOUT, 0};
            if (poll(&p, 1, 1000) <= 0) {
                return; /* nobody reads: drop rather than stop the guest */
            }
            continue;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return;
        }
        buf += n;
        len -= (size_t)n;
    }
}

static void stdio_readable(void *opaque, short revents);

static void stdio_watch(struct stdio *s, bool on)
{
    if (on && !s->watch) {
        s->watch = mainloop_watch(s->c.loop, STDIN_FILENO, POLLIN, stdio_readable, s);
    } else if (!on && s->watch) {
        iowatch_remove(s->watch);
        s->watch = NULL;
    }
}

static void stdio_readable(void *opaque, short revents)
{
    struct stdio *s = opaque;
    uint8_t buf[128];
    size_t room = chardev_room(&s->c);

    (void)revents;
    if (!room) {
        stdio_watch(s, false); /* until the front end accepts again */
        return;
    }
    ssize_t n = read(STDIN_FILENO, buf, room < sizeof(buf) ? room : sizeof(buf));
    if (n > 0) {
        chardev_input(&s->c, buf, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        s->eof = true;
        stdio_watch(s, false);
    }
}

static void stdio_accept(struct chardev *c)
{
    struct stdio *s = (struct stdio *)c;

    if (!s->watch && !s->eof && chardev_room(c)) {
        stdio_watch(s, true);
    }
}

static bool stdio_open(struct chardev *c, const char *arg, const struct chardev_options *o,
                       struct error *err)
{
    struct stdio *s = (struct stdio *)c;

    (void)arg;
    (void)o;
    (void)err;
    if (isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &s->saved) == 0) {
        struct termios t = s->saved;
        t.c_iflag &= (tcflag_t) ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
        t.c_oflag |= OPOST;
        t.c_lflag &= (tcflag_t) ~(ECHO | ECHONL | ICANON | IEXTEN);
        if (c->mux) {
            t.c_lflag &= (tcflag_t)~ISIG; /* Ctrl-C goes to the guest; Ctrl-A x ends the emulator */
        }
        t.c_cc[VMIN] = 1;
        t.c_cc[VTIME] = 0;
        s->raw = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
    }
    stdio_watch(s, true);
    return true;
}

static void stdio_close(struct chardev *c)
{
    struct stdio *s = (struct stdio *)c;

    stdio_watch(s, false);
    if (s->raw) {
        tcsetattr(STDIN_FILENO, TCSANOW, &s->saved);
    }
}

const struct chardev_backend chardev_stdio = {
    .prefix = "stdio",
    .help = "standard input and output",
    .size = sizeof(struct stdio),
    .open = stdio_open,
    .write = stdio_write,
    .accept = stdio_accept,
    .close = stdio_close,
};
