/* What the files of the block layer share. */
#ifndef HOST_BLOCK_INTERNAL_H
#define HOST_BLOCK_INTERNAL_H

#include <pthread.h>

#include "host/block.h"
#include "host/block_node.h"
#include "softmmu/clock.h"

enum { BLOCK_THREADS = 16 };

struct thread_pool;

struct block_graph {
    struct mainloop *loop; /* NULL: no back ends */
    struct thread_pool *pool;
    struct block_node *nodes;
    struct block *blocks;
    unsigned names; /* given so far */
    void (*event)(void *opaque, const struct block_event_data *e);
    void *event_opaque;
    pthread_mutex_t
        lock; /* of what workers touch: the list of finished requests, counts of running ones */
    pthread_cond_t idle;
    struct block_request *done, **done_tail;
    bool done_deferred;
};

/* One leaky bucket: level drains at rate units a second, and must not be above burst. */
struct bucket {
    double rate, burst, level;
};

struct throttle {
    struct block_throttle config;
    struct bucket bucket[6]; /* bps total, read, write; iops total, read, write */
    int64_t last;
    bool on;
};

struct block {
    struct block_graph *graph;
    struct block *next;
    char *id;
    struct block_node *node;
    struct block_device device;
    bool attached, tray_open, failed, nospace;
    bool write_cache;
    enum block_on_error rerror, werror;
    struct block_stats stats;
    struct throttle throttle;
    struct timer timer;
    struct block_request *waiting, **waiting_tail; /* for the throttle */
    struct block_request *held;                    /* until the machine goes on */
    unsigned running;                              /* in the pool; graph's lock */
    unsigned pending;                              /* submitted, done not called yet */
};

/* block_throttle.c: times in ns of any clock. */
void throttle_config(struct throttle *t, const struct block_throttle *c, int64_t now);
/* Counts the request in, unless it has to wait: then how long, in ns. */
int64_t throttle_take(struct throttle *t, bool write, uint64_t bytes, int64_t now);

/* block_graph.c */
void graph_name(struct block_graph *g, char name[NODE_NAME_MAX + 1]);

#endif
