/* The thread pool of the fuzz targets: work is done at once, by who pushes it, so that an input
 * always does the same. What is done is still delivered by the main loop, later. It takes the place
 * of host/thread_pool.c when a target is linked. */
#include "host/thread_pool.h"

#include <stdlib.h>

struct thread_pool {
    void (*work)(void *item, void *opaque);
    void *opaque;
};

struct thread_pool *thread_pool_create(unsigned max, void (*work)(void *item, void *opaque),
                                       void *opaque)
{
    struct thread_pool *p = malloc(sizeof(*p));

    (void)max;
    if (!p) {
        abort();
    }
    *p = (struct thread_pool){work, opaque};
    return p;
}

void thread_pool_push(struct thread_pool *p, void *item)
{
    p->work(item, p->opaque);
}

void thread_pool_destroy(struct thread_pool *p)
{
    free(p);
}
