/* Character devices: the common part, and the Ctrl-A multiplexer of -nographic. */
#include "host/chardev_internal.h"

#include "host/nearest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct chardev_backend *const backends[] = {
    &chardev_stdio, &chardev_file, &chardev_pipe,   &chardev_pty, &chardev_null,
    &chardev_unix,  &chardev_tcp,  &chardev_telnet, &chardev_fd,  &chardev_ringbuf,
};

static const struct chardev_backend *find_backend(const char *spec, const char **arg)
{
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        size_t n = strlen(backends[i]->prefix);
        bool takes_arg = backends[i]->prefix[n - 1] == ':';
        if (!strncmp(spec, backends[i]->prefix, n) && (takes_arg || !spec[n])) {
            *arg = spec + n;
            return backends[i];
        }
    }
    return NULL;
}

static struct chardev *unknown(const char *spec, struct error *err)
{
    char word[32];
    const char *names[sizeof(backends) / sizeof(backends[0])];
    size_t n = sizeof(backends) / sizeof(backends[0]);

    for (size_t i = 0; i < n; i++) {
        names[i] = backends[i]->prefix;
    }
    snprintf(word, sizeof(word), "%.*s", (int)strcspn(spec, ":,"), spec);
    const char *near = nearest_name(word, names, n, sizeof(names[0]));
    error_set(err, "unknown character device '%s'%s", spec,
              nearest_hint(near, "known: stdio, file:PATH, pipe:PATH, pty, unix:PATH, "
                                 "tcp:HOST:PORT, telnet:HOST:PORT, ringbuf, null")
                  .text);
    return NULL;
}

static bool open_log(struct chardev *c, const struct chardev_options *o, struct error *err)
{
    if (o->logfile) {
        c->log_fd = open(
            o->logfile, O_WRONLY | O_CREAT | O_CLOEXEC | (o->logappend ? O_APPEND : O_TRUNC), 0666);
        return c->log_fd >= 0 || error_set(err, "logfile '%s': %s", o->logfile, strerror(errno));
    }
    return true;
}

static void free_chardev(struct chardev *c)
{
    if (c->log_fd >= 0) {
        close(c->log_fd);
    }
    free(c->id);
    free(c->description);
    free(c);
}

struct chardev *chardev_create_with(struct mainloop *loop, const char *id, const char *spec,
                                    const struct chardev_options *o, struct error *err)
{
    static const struct chardev_options none = {0};
    const char *arg = "";
    const struct chardev_backend *be = find_backend(spec, &arg);

    if (!be) {
        return unknown(spec, err);
    }
    o = o ? o : &none;
    struct chardev *c = calloc(1, be->size);
    if (!c) {
        abort();
    }
    c->be = be;
    c->loop = loop;
    c->id = strdup(id);
    c->description = strdup(spec);
    c->mux = o->mux;
    c->log_fd = -1;
    if (!open_log(c, o, err) || (be->open && !be->open(c, arg, o, err))) {
        free_chardev(c);
        return NULL;
    }
    return c;
}

struct chardev *chardev_create(struct mainloop *loop, const char *id, const char *spec, bool mux,
                               struct error *err)
{
    return chardev_create_with(loop, id, spec, &(struct chardev_options){.mux = mux}, err);
}

void chardev_destroy(struct chardev *c)
{
    if (!c) {
        return;
    }
    if (c->be->close) {
        c->be->close(c);
    }
    free_chardev(c);
}

char *chardev_help(void)
{
    return strdup(
        "Character devices for -chardev KIND,id=ID[,mux=on][,logfile=FILE[,logappend=on]]:\n"
        "  null      nowhere\n"
        "  stdio     the terminal; signal=off: Ctrl-C goes to the guest\n"
        "  pty       a new pseudo terminal\n"
        "  file      path=FILE[,append=on][,input-path=FILE]\n"
        "  pipe      path=PATH: the named pipes PATH.in and PATH.out, or PATH both ways\n"
        "  socket    path=PATH | host=HOST,port=PORT | fd=N; [server=on[,wait=off][,telnet=on]]\n"
        "            [,reconnect=SECONDS | ,reconnect-ms=N]\n"
        "  ringbuf   [size=BYTES]: kept in memory for ringbuf-read\n");
}

static void write_log(struct chardev *c, const uint8_t *buf, size_t len)
{
    while (len) {
        ssize_t n = write(c->log_fd, buf, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return; /* a full disk must not stop the guest */
        }
        buf += n;
        len -= (size_t)n;
    }
}

void chardev_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    if (c->log_fd >= 0) {
        write_log(c, buf, len);
    }
    c->be->write(c, buf, len);
}

bool chardev_in_use(const struct chardev *c)
{
    return c->nfe > 0;
}

static void frontend_event(struct chardev *c, unsigned n, enum chardev_event ev)
{
    if (n < c->nfe && c->fe[n].event) {
        c->fe[n].event(c->fe[n].opaque, ev);
    }
}

bool chardev_connect(struct chardev *c, const struct chardev_frontend *fe, struct error *err)
{
    if (c->nfe >= (c->mux ? CHARDEV_FRONTENDS : 1u)) {
        return error_set(err, "character device '%s' is already in use", c->id);
    }
    c->fe[c->nfe++] = *fe;
    if (!c->be->is_open || c->be->is_open(c)) {
        frontend_event(c, c->nfe - 1, CHARDEV_OPENED);
    }
    if (c->nfe - 1 == c->focus) {
        frontend_event(c, c->focus, CHARDEV_MUX_IN);
    }
    return true;
}

void chardev_disconnect(struct chardev *c, void *opaque)
{
    for (unsigned i = 0; i < c->nfe; i++) {
        if (c->fe[i].opaque == opaque) {
            memmove(&c->fe[i], &c->fe[i + 1], (c->nfe - i - 1) * sizeof(c->fe[0]));
            c->nfe--;
            if (c->focus > i || c->focus == c->nfe) {
                c->focus = c->focus ? c->focus - 1 : 0;
            }
            return;
        }
    }
}

const char *chardev_id(const struct chardev *c)
{
    return c->id;
}

const char *chardev_describe(const struct chardev *c)
{
    return c->description;
}

void chardev_set_quit(struct chardev *c, void (*quit)(void *opaque), void *opaque)
{
    c->quit = quit;
    c->quit_opaque = opaque;
}

void chardev_event(struct chardev *c, enum chardev_event ev)
{
    frontend_event(c, c->focus, ev);
}

static void flush_pending(struct chardev *c)
{
    while (c->npending && c->focus < c->nfe) {
        const struct chardev_frontend *fe = &c->fe[c->focus];
        size_t n = fe->can_receive(fe->opaque);
        if (!n) {
            return;
        }
        n = n < c->npending ? n : c->npending;
        uint8_t chunk[sizeof(c->pending)];
        memcpy(chunk, c->pending, n);
        memmove(c->pending, c->pending + n, c->npending - n);
        c->npending -= n;
        fe->receive(fe->opaque, chunk, n);
    }
}

void chardev_accept_input(struct chardev *c)
{
    flush_pending(c);
    if (!c->npending && c->be->accept) {
        c->be->accept(c);
    }
}

size_t chardev_room(struct chardev *c)
{
    if (c->mux) {
        /* The multiplexer must see Ctrl-A even while the guest does not read. */
        return sizeof(c->pending) - c->npending;
    }
    if (c->npending || c->focus >= c->nfe) {
        return 0;
    }
    return c->fe[c->focus].can_receive(c->fe[c->focus].opaque);
}

static void mux_say(struct chardev *c, const char *text)
{
    c->be->write(c, (const uint8_t *)text, strlen(text));
}

static void mux_command(struct chardev *c, uint8_t key)
{
    switch (key) {
    case 'h':
    case '?':
        mux_say(c, "\r\nCtrl-A h  this help\r\n"
                   "Ctrl-A x  end the emulator\r\n"
                   "Ctrl-A c  switch between console and monitor\r\n"
                   "Ctrl-A b  send a break\r\n"
                   "Ctrl-A Ctrl-A  send Ctrl-A\r\n");
        break;
    case 'x':
        mux_say(c, "\r\ndragoman: ended by Ctrl-A x\r\n");
        if (c->quit) {
            c->quit(c->quit_opaque);
        }
        break;
    case 'b':
        chardev_event(c, CHARDEV_BREAK);
        break;
    case 'c':
        if (c->nfe > 1) {
            frontend_event(c, c->focus, CHARDEV_MUX_OUT);
            c->npending = 0;
            c->focus = (c->focus + 1) % c->nfe;
            frontend_event(c, c->focus, CHARDEV_MUX_IN);
        }
        break;
    default:
        break;
    }
}

static void pend(struct chardev *c, uint8_t byte)
{
    if (c->npending < sizeof(c->pending)) {
        c->pending[c->npending++] = byte;
    }
}

void chardev_input(struct chardev *c, const uint8_t *buf, size_t len)
{
    enum { CTRL_A = 1 };

    for (size_t i = 0; i < len; i++) {
        if (!c->mux) {
            pend(c, buf[i]);
        } else if (c->escape) {
            c->escape = false;
            if (buf[i] == CTRL_A) {
                pend(c, CTRL_A);
            } else {
                flush_pending(c);
                mux_command(c, buf[i]);
            }
        } else if (buf[i] == CTRL_A) {
            c->escape = true;
        } else {
            pend(c, buf[i]);
        }
    }
    flush_pending(c);
}
