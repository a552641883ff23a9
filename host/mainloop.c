/* The main loop on GLib: watches, signals, deferred calls, and the machine's timers by a timerfd.
 */
#include "host/mainloop.h"
#include "host/host_clock.h"
#include "softmmu/machine.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SIGNALS = 16 };

struct deferred {
    struct deferred *next;
    void (*fn)(void *opaque);
    void *opaque;
};

struct signal_watch {
    struct mainloop *loop;
    void (*fn)(void *opaque);
    void *opaque;
    guint source;
};

struct mainloop {
    struct machine *machine;
    GMainContext *context;
    pthread_mutex_t lock; /* of the list; a pthread mutex, so that ThreadSanitizer understands */
    struct deferred *first, **tail;
    int wake_fd, timer_fd;
    GSource *wake_source;
    guint timer_source;
    atomic_bool asleep;  /* in poll: somebody who wants it to look has to wake it */
    atomic_bool pending; /* somebody wants it to look */
    int64_t armed;       /* host time of the timerfd; 0: none. Locked */
    struct signal_watch signals[MAX_SIGNALS];
    unsigned nsignals;
};

struct iowatch {
    struct mainloop *loop;
    void (*fn)(void *opaque, short revents);
    void *opaque;
    GSource *source;
    bool running, removed;
};

/* A system call only if the loop sleeps, and one for all who come before it is awake. */
static void wake(void *opaque)
{
    struct mainloop *loop = opaque;
    uint64_t one = 1;

    atomic_store(&loop->pending, true);
    if (!atomic_exchange(&loop->asleep, false)) {
        return;
    }
    if (write(loop->wake_fd, &one, sizeof(one)) < 0) {
        /* the counter is full: it is awake already */
    }
}

static gboolean drain(gint fd, GIOCondition condition, gpointer opaque)
{
    uint64_t n;

    (void)condition;
    (void)opaque;
    if (read(fd, &n, sizeof(n)) < 0) {
        /* spurious */
    }
    return G_SOURCE_CONTINUE;
}

struct wake_source {
    GSource source;
    struct mainloop *loop;
    gpointer tag;
};

static gboolean wake_prepare(GSource *source, gint *timeout)
{
    struct mainloop *loop = ((struct wake_source *)source)->loop;

    *timeout = -1;
    atomic_store(&loop->asleep, true);
    return atomic_load(&loop->pending);
}

static gboolean wake_check(GSource *source)
{
    struct wake_source *w = (struct wake_source *)source;

    atomic_store(&w->loop->asleep, false);
    return g_source_query_unix_fd(source, w->tag) != 0;
}

static gboolean wake_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    struct wake_source *w = (struct wake_source *)source;

    (void)callback;
    (void)data;
    return g_source_query_unix_fd(source, w->tag) ? drain(w->loop->wake_fd, G_IO_IN, NULL)
                                                  : G_SOURCE_CONTINUE;
}

static GSourceFuncs wake_funcs = {wake_prepare, wake_check, wake_dispatch, NULL, NULL, NULL};

/* Arms the timerfd for the machine's first timer. If it goes off earlier already, it stays: looking
 * once too often costs less than setting it at each step. Locked; any thread. */
static void arm(void *opaque)
{
    struct mainloop *loop = opaque;
    int64_t wait = clock_alarm(loop->machine->clock), now = host_clock_ns();
    struct itimerspec its = {0};

    if (wait <= 0 || (loop->armed > now && loop->armed <= now + wait)) {
        return;
    }
    loop->armed = now + wait;
    its.it_value.tv_sec = loop->armed / 1000000000;
    its.it_value.tv_nsec = loop->armed % 1000000000;
    timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &its, NULL);
}

struct mainloop *mainloop_create(struct machine *m)
{
    struct mainloop *loop = g_new0(struct mainloop, 1);

    loop->machine = m;
    loop->context = g_main_context_default();
    pthread_mutex_init(&loop->lock, NULL);
    loop->tail = &loop->first;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (loop->wake_fd < 0 || loop->timer_fd < 0) {
        abort();
    }
    loop->wake_source = g_source_new(&wake_funcs, sizeof(struct wake_source));
    struct wake_source *w = (struct wake_source *)loop->wake_source;
    w->loop = loop;
    w->tag = g_source_add_unix_fd(loop->wake_source, loop->wake_fd, G_IO_IN);
    g_source_attach(loop->wake_source, loop->context);
    loop->timer_source = g_unix_fd_add(loop->timer_fd, G_IO_IN, drain, NULL);
    m->wake_main = wake;
    m->set_alarm = arm;
    m->wake_opaque = loop;
    return loop;
}

/* The first deferred call, taken from the list; NULL: none. */
static struct deferred *take_deferred(struct mainloop *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct deferred *d = loop->first;
    if (d) {
        loop->first = d->next;
        loop->tail = loop->first ? loop->tail : &loop->first;
    }
    pthread_mutex_unlock(&loop->lock);
    return d;
}

void mainloop_destroy(struct mainloop *loop)
{
    struct deferred *d;

    for (unsigned i = 0; i < loop->nsignals; i++) {
        g_source_remove(loop->signals[i].source);
    }
    g_source_destroy(loop->wake_source);
    g_source_unref(loop->wake_source);
    g_source_remove(loop->timer_source);
    while ((d = take_deferred(loop)) != NULL) {
        g_free(d);
    }
    pthread_mutex_destroy(&loop->lock);
    close(loop->wake_fd);
    close(loop->timer_fd);
    g_free(loop);
}

struct machine *mainloop_machine(struct mainloop *loop)
{
    return loop->machine;
}

static void run_deferred(struct mainloop *loop)
{
    struct deferred *d;

    while ((d = take_deferred(loop)) != NULL) {
        d->fn(d->opaque);
        g_free(d);
    }
}

void mainloop_step(struct mainloop *loop)
{
    struct machine *m = loop->machine;

    bool asked = atomic_exchange(&loop->pending, false);
    machine_lock(m);
    run_deferred(loop);
    if (m->state == RUN_RUNNING) {
        clock_run_timers(m->clock);
    }
    arm(loop);
    machine_unlock(m);
    if (!atomic_load(&m->requests)) {
        g_main_context_iteration(loop->context, !asked); /* who asked may wait for its return */
    }
}

void mainloop_run(struct mainloop *loop)
{
    while (!machine_handle_requests(loop->machine)) {
        mainloop_step(loop);
    }
}

static gboolean watch_ready(gint fd, GIOCondition condition, gpointer opaque)
{
    struct iowatch *w = opaque;
    struct machine *m = w->loop->machine;

    (void)fd;
    machine_lock(m);
    w->running = true;
    w->fn(w->opaque, (short)condition);
    w->running = false;
    machine_unlock(m);
    if (w->removed) {
        g_free(w);
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

struct iowatch *mainloop_watch(struct mainloop *loop, int fd, short events,
                               void (*fn)(void *opaque, short revents), void *opaque)
{
    struct iowatch *w = g_new0(struct iowatch, 1);
    GIOCondition condition =
        (events & POLLIN ? G_IO_IN | G_IO_HUP : 0) | (events & POLLOUT ? G_IO_OUT : 0);

    w->loop = loop;
    w->fn = fn;
    w->opaque = opaque;
    w->source = g_unix_fd_source_new(fd, condition);
    g_source_set_callback(w->source, (GSourceFunc)(void (*)(void))watch_ready, w, NULL);
    g_source_attach(w->source, loop->context);
    /* Made from a vcpu's thread (a serial port that can take more), the loop must look again. */
    wake(loop);
    return w;
}

void iowatch_remove(struct iowatch *w)
{
    if (!w) {
        return;
    }
    g_source_destroy(w->source);
    g_source_unref(w->source);
    if (w->running) {
        w->removed = true;
    } else {
        g_free(w);
    }
}

void mainloop_defer(struct mainloop *loop, void (*fn)(void *opaque), void *opaque)
{
    struct deferred *d = g_new(struct deferred, 1);

    *d = (struct deferred){NULL, fn, opaque};
    pthread_mutex_lock(&loop->lock);
    *loop->tail = d;
    loop->tail = &d->next;
    pthread_mutex_unlock(&loop->lock);
    wake(loop);
}

struct deadline {
    struct mainloop *loop;
    void (*fn)(void *opaque);
    void *opaque;
    guint source;
};

static gboolean deadline_reached(gpointer opaque)
{
    struct deadline d = *(struct deadline *)opaque;

    machine_lock(d.loop->machine);
    d.fn(d.opaque);
    machine_unlock(d.loop->machine);
    g_free(opaque);
    return G_SOURCE_REMOVE;
}

struct deadline *mainloop_after(struct mainloop *loop, unsigned ms, void (*fn)(void *opaque),
                                void *opaque)
{
    struct deadline *d = g_new(struct deadline, 1);

    *d = (struct deadline){loop, fn, opaque, 0};
    d->source = g_timeout_add(ms, deadline_reached, d);
    return d;
}

void deadline_remove(struct deadline *d)
{
    if (d) {
        g_source_remove(d->source);
        g_free(d);
    }
}

static gboolean signal_ready(gpointer opaque)
{
    struct signal_watch *s = opaque;

    machine_lock(s->loop->machine);
    s->fn(s->opaque);
    machine_unlock(s->loop->machine);
    return G_SOURCE_CONTINUE;
}

void mainloop_signal(struct mainloop *loop, int signum, void (*fn)(void *opaque), void *opaque)
{
    if (loop->nsignals < MAX_SIGNALS) {
        struct signal_watch *s = &loop->signals[loop->nsignals++];
        *s = (struct signal_watch){loop, fn, opaque, 0};
        s->source = g_unix_signal_add(signum, signal_ready, s);
    }
}
