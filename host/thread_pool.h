/* Threads for work that may wait (files). On pthread primitives and not GLib's pool, so that
 * ThreadSanitizer sees what orders the work. */
#ifndef HOST_THREAD_POOL_H
#define HOST_THREAD_POOL_H

struct thread_pool;

/* Threads are made when work waits and none is idle, up to max. */
struct thread_pool *thread_pool_create(unsigned max, void (*work)(void *item, void *opaque),
                                       void *opaque);
void thread_pool_push(struct thread_pool *p, void *item); /* any thread */
void thread_pool_destroy(struct thread_pool *p); /* finishes what was pushed; NULL is fine */

#endif
