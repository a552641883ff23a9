/* Back ends: requests go through the throttle to the worker threads, their ends come back to the
 * main loop in batches; what rerror= and werror= ask for is done there. */
#include "host/block_internal.h"
#include "host/mainloop.h"
#include "host/thread_pool.h"
#include "softmmu/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- on the workers ---- */

static int carry_out(struct block *b, const struct block_request *r)
{
    struct block_node *n = b->node;
    struct node_vec v = {r->iov, r->niov};
    bool through = r->fua || !b->write_cache;
    int e;

    if (!n) {
        return -ENOMEDIUM;
    }
    switch (r->op) {
    case BLOCK_READ:
        return node_readv(n, r->offset, r->len, &v, 0);
    case BLOCK_WRITE:
        e = node_writev(n, r->offset, r->len, &v, 0);
        break;
    case BLOCK_WRITE_ZEROES:
        e = node_zero(n, r->offset, r->len, r->unmap);
        break;
    case BLOCK_DISCARD:
        e = node_discard(n, r->offset, r->len);
        break;
    case BLOCK_FLUSH:
        return node_flush(n);
    default:
        return -EINVAL;
    }
    return e || !through ? e : node_flush(n);
}

static void finish_requests(void *opaque);
static void finish(struct block_graph *g, bool worker);

/* The end of a request is told to the device by the worker itself if nobody has the machine lock,
 * which saves waking the main loop. (Who steps the main loop of a machine that does not run waits
 * there for ends, and is woken.) */
static void work(void *item, void *opaque)
{
    struct block_graph *g = opaque;
    struct block_request *r = item;
    struct block *b = r->block;

    r->result = carry_out(b, r);
    pthread_mutex_lock(&g->lock);
    r->next = NULL;
    *g->done_tail = r;
    g->done_tail = &r->next;
    bool tell = !g->done_deferred;
    g->done_deferred = true;
    if (--b->running == 0) {
        pthread_cond_broadcast(&g->idle);
    }
    pthread_mutex_unlock(&g->lock);
    if (!tell) {
        return;
    }
    struct machine *m = mainloop_machine(g->loop);
    bool locked = machine_trylock(m), here = locked && m->state == RUN_RUNNING;
    if (here) {
        finish(g, true);
    }
    if (locked) {
        machine_unlock(m);
    }
    if (!here) {
        mainloop_defer(g->loop, finish_requests, g);
    }
}

/* ---- in the main loop ---- */

static int64_t now_ns(const struct block_graph *g)
{
    return clock_now(mainloop_machine(g->loop)->clock);
}

static bool is_write(enum block_op op)
{
    return op != BLOCK_READ;
}

static void emit(struct block_graph *g, const struct block_event_data *e)
{
    if (g->event) {
        g->event(g->event_opaque, e);
    }
}

/* True: the request is kept until the machine goes on. */
static bool error_action(struct block *b, struct block_request *r)
{
    int error = -r->result;
    bool write = is_write(r->op);
    enum block_on_error on = write ? b->werror : b->rerror;

    if (error == ENOMEDIUM) {
        return false; /* not the medium's fault */
    }
    if (on == BLOCK_ERROR_ENOSPC) {
        on = error == ENOSPC ? BLOCK_ERROR_STOP : BLOCK_ERROR_REPORT;
    }
    struct block_event_data e = {.event = BLOCK_EVENT_IO_ERROR,
                                 .block = b,
                                 .node = b->node,
                                 .write = write,
                                 .error = error,
                                 .stopped = on == BLOCK_ERROR_STOP,
                                 .text = strerror(error)};
    if (on == BLOCK_ERROR_IGNORE) {
        r->result = 0;
    } else if (on == BLOCK_ERROR_STOP) {
        b->failed = true;
        b->nospace = error == ENOSPC;
        r->next = b->held;
        b->held = r;
        machine_request(mainloop_machine(b->graph->loop), REQUEST_STOP, "I/O error of '%s': %s",
                        block_id(b), e.text);
    }
    emit(b->graph, &e);
    return on == BLOCK_ERROR_STOP;
}

static void end_request(struct block_request *r)
{
    struct block *b = r->block;
    struct block_stats *s = &b->stats;

    if (r->result) {
        s->failed[r->op]++;
    } else {
        s->operations[r->op]++;
        s->bytes[r->op] += r->len;
        s->time_ns[r->op] += (uint64_t)(now_ns(b->graph) - r->begun);
        if (r->op == BLOCK_WRITE && r->offset + r->len > s->highest_write) {
            s->highest_write = r->offset + r->len;
        }
    }
    b->pending--;
    r->done(r, r->result);
}

static void finish_failed(void *opaque)
{
    struct block_request *r = opaque;

    if (!error_action(r->block, r)) {
        end_request(r);
    }
}

/* worker: errors, which may stop the machine and are told to its manager, are left to the main
 * loop. */
static void finish(struct block_graph *g, bool worker)
{
    pthread_mutex_lock(&g->lock);
    struct block_request *r = g->done, *next;
    g->done = NULL;
    g->done_tail = &g->done;
    g->done_deferred = false;
    pthread_mutex_unlock(&g->lock);
    for (; r; r = next) {
        next = r->next;
        if (!r->result) {
            end_request(r);
        } else if (worker) {
            mainloop_defer(g->loop, finish_failed, r);
        } else {
            finish_failed(r);
        }
    }
}

static void finish_requests(void *opaque)
{
    finish(opaque, false);
}

static void start(struct block *b, struct block_request *r)
{
    pthread_mutex_lock(&b->graph->lock);
    b->running++;
    pthread_mutex_unlock(&b->graph->lock);
    thread_pool_push(b->graph->pool, r);
}

static void throttle_run(void *opaque)
{
    struct block *b = opaque;
    int64_t now = now_ns(b->graph);

    while (b->waiting) {
        struct block_request *r = b->waiting;
        int64_t wait = throttle_take(&b->throttle, is_write(r->op), r->len, now);
        if (wait) {
            timer_set(&b->timer, now + wait);
            return;
        }
        b->waiting = r->next;
        b->waiting_tail = b->waiting ? b->waiting_tail : &b->waiting;
        start(b, r);
    }
}

void block_submit(struct block *b, struct block_request *r)
{
    r->block = b;
    r->next = NULL;
    r->result = 0;
    r->begun = now_ns(b->graph);
    b->pending++;
    if (b->throttle.on && r->op != BLOCK_FLUSH) {
        *b->waiting_tail = r;
        b->waiting_tail = &r->next;
        if (b->waiting == r) {
            throttle_run(b);
        }
        return;
    }
    start(b, r);
}

bool block_read_now(struct block *b, struct block_request *r)
{
    struct node_vec v = {r->iov, r->niov};
    int64_t begun;

    if (r->op != BLOCK_READ || b->throttle.on || !b->node || b->held) {
        return false;
    }
    begun = now_ns(b->graph);
    if (node_readv_now(b->node, r->offset, r->len, &v, 0)) {
        return false;
    }
    b->stats.operations[BLOCK_READ]++;
    b->stats.bytes[BLOCK_READ] += r->len;
    b->stats.time_ns[BLOCK_READ] += (uint64_t)(now_ns(b->graph) - begun);
    return true;
}

static void wait_running(struct block *b)
{
    pthread_mutex_lock(&b->graph->lock);
    while (b->running) {
        pthread_cond_wait(&b->graph->idle, &b->graph->lock);
    }
    pthread_mutex_unlock(&b->graph->lock);
}

static void finish_held(void *opaque)
{
    struct block_request *r = opaque;

    end_request(r);
}

void block_drain(struct block *b)
{
    struct block_request *r, *next;

    for (r = b->waiting; r; r = next) { /* at once */
        next = r->next;
        start(b, r);
    }
    b->waiting = NULL;
    b->waiting_tail = &b->waiting;
    wait_running(b);
    for (r = b->held; r; r = next) {
        next = r->next;
        mainloop_defer(b->graph->loop, finish_held, r);
    }
    b->held = NULL;
}

bool block_busy(const struct block *b)
{
    return b->pending != 0;
}

void block_graph_resume(struct block_graph *g)
{
    for (struct block *b = g->blocks; b; b = b->next) {
        struct block_request *r = b->held, *next;
        b->held = NULL;
        b->failed = b->nospace = false;
        for (; r; r = next) {
            next = r->next;
            start(b, r);
        }
    }
}

/* ---- what devices ask and say ---- */

bool block_attach(struct block *b, const struct block_device *dev, struct error *err)
{
    if (b->attached) {
        return error_set(err, "drive '%s' is used by another device",
                         *block_id(b) ? block_id(b) : b->node->name);
    }
    b->attached = true;
    b->device = *dev;
    return true;
}

void block_detach(struct block *b)
{
    block_drain(b);
    b->attached = false;
    memset(&b->device, 0, sizeof(b->device));
}

bool block_inserted(const struct block *b)
{
    return b->node && !b->tray_open;
}

bool block_tray_open(const struct block *b)
{
    return b->tray_open;
}

void block_set_tray(struct block *b, bool open)
{
    if (b->tray_open != open) {
        b->tray_open = open;
        emit(b->graph, &(struct block_event_data){
                           .event = BLOCK_EVENT_TRAY_MOVED, .block = b, .tray_open = open});
    }
}

uint64_t block_size(const struct block *b)
{
    return b->node ? atomic_load(&b->node->size) : 0;
}

bool block_readonly(const struct block *b)
{
    return !b->node || b->node->flags.readonly;
}

bool block_write_cache(const struct block *b)
{
    return b->write_cache;
}

void block_set_write_cache(struct block *b, bool on)
{
    b->write_cache = on;
}

const char *block_id(const struct block *b)
{
    return b->id ? b->id : "";
}

void block_account_invalid(struct block *b, enum block_op op)
{
    b->stats.invalid[op]++;
}

struct block_stats block_get_stats(const struct block *b)
{
    return b->stats;
}

int block_pread(struct block *b, uint64_t offset, void *buf, uint64_t len)
{
    return b->node ? node_pread(b->node, offset, buf, len) : -ENOMEDIUM;
}

int block_pwrite(struct block *b, uint64_t offset, const void *buf, uint64_t len)
{
    return b->node ? node_pwrite(b->node, offset, buf, len) : -ENOMEDIUM;
}

int block_flush(struct block *b)
{
    return b->node ? node_flush(b->node) : 0;
}

/* ---- life ---- */

struct block_graph *block_graph_create(struct mainloop *loop)
{
    struct block_graph *g = calloc(1, sizeof(*g));

    if (!g) {
        abort();
    }
    g->loop = loop;
    g->done_tail = &g->done;
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->idle, NULL);
    g->pool = loop ? thread_pool_create(BLOCK_THREADS, work, g) : NULL;
    return g;
}

void block_graph_destroy(struct block_graph *g)
{
    if (!g) {
        return;
    }
    while (g->blocks) {
        block_close(g->blocks);
    }
    thread_pool_destroy(g->pool);
    while (g->nodes) { /* the last is nobody's child, or its parents are named */
        struct block_node *n = g->nodes;
        while (n && !n->named) {
            n = n->next;
        }
        if (!n) {
            break;
        }
        n->named = false;
        node_unref(n);
    }
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->idle);
    free(g);
}

void block_graph_on_event(struct block_graph *g,
                          void (*fn)(void *opaque, const struct block_event_data *e), void *opaque)
{
    g->event = fn;
    g->event_opaque = opaque;
}

int block_graph_flush(struct block_graph *g)
{
    int result = 0;

    for (struct block *b = g->blocks; b; b = b->next) {
        int r = block_flush(b);
        result = result ? result : r;
    }
    return result;
}

struct block *block_create(struct block_graph *g, const struct block_config *c,
                           struct block_node *node, struct error *err)
{
    if (c->id && (block_find(g, c->id) || node_find(g, c->id))) {
        error_set(err, "there is already a drive or node '%s'", c->id);
        return NULL;
    }
    struct block *b = calloc(1, sizeof(*b)), **p = &g->blocks;
    if (!b) {
        abort();
    }
    b->graph = g;
    b->id = c->id ? strdup(c->id) : NULL;
    b->write_cache = !c->write_through;
    b->rerror = c->rerror;
    b->werror = c->werror;
    b->waiting_tail = &b->waiting;
    b->node = node;
    if (node) {
        node_ref(node);
    }
    timer_init(&b->timer, mainloop_machine(g->loop)->clock, throttle_run, b);
    throttle_config(&b->throttle, &c->throttle, now_ns(g));
    while (*p) {
        p = &(*p)->next;
    }
    *p = b;
    return b;
}

struct block *block_open(struct block_graph *g, const struct block_options *o, struct error *err)
{
    struct node_flags f = {.readonly = o->readonly || o->snapshot};
    struct block_config c = {.id = o->id, .werror = BLOCK_ERROR_REPORT};
    struct block_node *n = node_open_file(g, o->file, o->format, &f, NULL, err);

    if (n && o->snapshot) {
        n = node_open_overlay(g, n, err);
    }
    if (!n) {
        return NULL;
    }
    struct block *b = block_create(g, &c, n, err);
    node_unref(n);
    return b;
}

void block_close(struct block *b)
{
    if (!b) {
        return;
    }
    struct block_graph *g = b->graph;
    block_drain(b);
    timer_cancel(&b->timer);
    /* What has ended finds no device any more. */
    pthread_mutex_lock(&g->lock);
    struct block_request **p = &g->done;
    while (*p) {
        if ((*p)->block == b) {
            *p = (*p)->next;
        } else {
            p = &(*p)->next;
        }
    }
    g->done_tail = p;
    pthread_mutex_unlock(&g->lock);
    block_flush(b);
    node_unref(b->node);
    for (struct block **q = &g->blocks; *q; q = &(*q)->next) {
        if (*q == b) {
            *q = b->next;
            break;
        }
    }
    free(b->id);
    free(b);
}
