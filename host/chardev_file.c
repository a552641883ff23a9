/* chardevs that are one or two file descriptors: file:PATH (output, and input from another file),
 * pipe:PATH (PATH.in and PATH.out, or PATH both ways), pty (a new pseudo terminal), null. */
#include "host/chardev_internal.h"
#include "host/mainloop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

struct fdpair {
    struct chardev c;
    int in, out; /* -1: none */
    int slave;   /* pty: kept open so that a client may come and go */
    struct iowatch *watch;
};

static void fd_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    struct fdpair *f = (struct fdpair *)c;

    while (len && f->out >= 0) {
        ssize_t n = write(f->out, buf, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return; /* full or gone: what does not fit is dropped */
        }
        buf += n;
        len -= (size_t)n;
    }
}

static void fd_watch(struct fdpair *f, bool on);

static void fd_readable(void *opaque, short revents)
{
    struct fdpair *f = opaque;
    uint8_t buf[128];
    size_t room = chardev_room(&f->c);

    (void)revents;
    if (!room) {
        fd_watch(f, false);
        return;
    }
    ssize_t n = read(f->in, buf, room < sizeof(buf) ? room : sizeof(buf));
    if (n > 0) {
        chardev_input(&f->c, buf, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        fd_watch(f, false);
    }
}

static void fd_watch(struct fdpair *f, bool on)
{
    if (on && !f->watch && f->in >= 0) {
        f->watch = mainloop_watch(f->c.loop, f->in, POLLIN, fd_readable, f);
    } else if (!on && f->watch) {
        iowatch_remove(f->watch);
        f->watch = NULL;
    }
}

static void fd_accept(struct chardev *c)
{
    struct fdpair *f = (struct fdpair *)c;

    if (!f->watch && chardev_room(c)) {
        fd_watch(f, true);
    }
}

static void fd_close(struct chardev *c)
{
    struct fdpair *f = (struct fdpair *)c;

    fd_watch(f, false);
    if (f->in >= 0) {
        close(f->in);
    }
    if (f->out >= 0 && f->out != f->in) {
        close(f->out);
    }
    if (f->slave >= 0) {
        close(f->slave);
    }
}

static bool file_open(struct chardev *c, const char *arg, const struct chardev_options *o,
                      struct error *err)
{
    struct fdpair *f = (struct fdpair *)c;

    f->in = f->slave = -1;
    f->out = open(arg, O_WRONLY | O_CREAT | O_CLOEXEC | (o->append ? O_APPEND : O_TRUNC), 0666);
    if (f->out < 0) {
        return error_set(err, "file '%s': %s", arg, strerror(errno));
    }
    if (o->input && (f->in = open(o->input, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) < 0) {
        close(f->out);
        return error_set(err, "file '%s': %s", o->input, strerror(errno));
    }
    return true; /* the input is read when a front end asks for it */
}

static bool pipe_open(struct chardev *c, const char *arg, const struct chardev_options *o,
                      struct error *err)
{
    struct fdpair *f = (struct fdpair *)c;
    char path[4096];

    (void)o;
    f->slave = -1;
    snprintf(path, sizeof(path), "%s.in", arg);
    f->in = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    snprintf(path, sizeof(path), "%s.out", arg);
    f->out = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (f->in < 0 || f->out < 0) {
        if (f->in >= 0) {
            close(f->in);
        }
        if (f->out >= 0) {
            close(f->out);
        }
        f->in = f->out = open(arg, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (f->in < 0) {
            return error_set(err, "pipe '%s': %s", arg, strerror(errno));
        }
    }
    fd_watch(f, true);
    return true;
}

static bool pty_open(struct chardev *c, const char *arg, const struct chardev_options *o,
                     struct error *err)
{
    struct fdpair *f = (struct fdpair *)c;
    char name[128];
    struct termios t;

    (void)arg;
    (void)o;
    f->slave = -1;
    f->in = f->out = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (f->in < 0 || grantpt(f->in) || unlockpt(f->in) || ptsname_r(f->in, name, sizeof(name)) ||
        (f->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
        if (f->in >= 0) {
            close(f->in);
        }
        return error_set(err, "pty: %s", strerror(errno));
    }
    if (tcgetattr(f->slave, &t) == 0) {
        cfmakeraw(&t);
        tcsetattr(f->slave, TCSANOW, &t);
    }
    fcntl(f->in, F_SETFL, O_NONBLOCK);
    free(c->description);
    c->description = malloc(sizeof(name) + 8);
    if (!c->description) {
        abort();
    }
    snprintf(c->description, sizeof(name) + 8, "pty:%s", name);
    fprintf(stderr, "dragoman: character device '%s' is on %s\n", c->id, name);
    fd_watch(f, true);
    return true;
}

static bool null_open(struct chardev *c, const char *arg, const struct chardev_options *o,
                      struct error *err)
{
    struct fdpair *f = (struct fdpair *)c;

    (void)arg;
    (void)o;
    (void)err;
    f->in = f->out = f->slave = -1;
    return true;
}

const struct chardev_backend chardev_file = {
    "file:", "output to a file", sizeof(struct fdpair), file_open, fd_write, fd_accept, fd_close,
    NULL,
};
const struct chardev_backend chardev_pipe = {
    "pipe:",
    "named pipes PATH.in and PATH.out",
    sizeof(struct fdpair),
    pipe_open,
    fd_write,
    fd_accept,
    fd_close,
    NULL,
};
const struct chardev_backend chardev_pty = {
    "pty", "a new pseudo terminal", sizeof(struct fdpair), pty_open, fd_write, fd_accept, fd_close,
    NULL,
};
const struct chardev_backend chardev_null = {
    "null", "nowhere", sizeof(struct fdpair), null_open, fd_write, fd_accept, fd_close, NULL,
};
