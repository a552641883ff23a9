/* The main loop: host file descriptors, signals and the machine's timers, on the thread that called
 * mainloop_run. All callbacks run on that thread with the machine lock held. */
#ifndef HOST_MAINLOOP_H
#define HOST_MAINLOOP_H

#include <poll.h>
#include <stdbool.h>

struct machine;
struct mainloop;
struct iowatch;

struct mainloop *mainloop_create(struct machine *m); /* sets m->wake_main */
void mainloop_destroy(struct mainloop *loop);
struct machine *mainloop_machine(struct mainloop *loop);
/* Runs until machine_handle_requests says that the process should end. */
void mainloop_run(struct mainloop *loop);
/* One round of it: what is deferred and due, then waits for something to happen. Not with the lock.
 */
void mainloop_step(struct mainloop *loop);

/* events: POLLIN, POLLOUT. fn gets what poll said. Main thread, or before the loop runs. */
struct iowatch *mainloop_watch(struct mainloop *loop, int fd, short events,
                               void (*fn)(void *opaque, short revents), void *opaque);
void iowatch_remove(struct iowatch *w); /* also from its own callback */
/* Calls fn once, soon, on the main loop's thread with the lock held. Any thread. */
void mainloop_defer(struct mainloop *loop, void (*fn)(void *opaque), void *opaque);
/* Calls fn once after ms milliseconds of the host's time, machine running or not, with the lock
 * held: for what concerns the outside world only (connections). A deadline is over with its call,
 * or by removal. */
struct deadline;
struct deadline *mainloop_after(struct mainloop *loop, unsigned ms, void (*fn)(void *opaque),
                                void *opaque);
void deadline_remove(struct deadline *d); /* not from its own callback; NULL is fine */
/* fn on a Unix signal (SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH), not in signal context.
 */
void mainloop_signal(struct mainloop *loop, int signum, void (*fn)(void *opaque), void *opaque);

#endif
