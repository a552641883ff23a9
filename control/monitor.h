/* The human monitor on a character device: line editing, a table of commands. */
#ifndef CONTROL_MONITOR_H
#define CONTROL_MONITOR_H

#include "host/chardev.h"
#include "host/error.h"

struct machine;
struct monitor;

struct monitor *monitor_create(struct machine *m, struct chardev *c, struct error *err);
void monitor_destroy(struct monitor *mon); /* NULL is fine */

/* What one user of the monitor has chosen. */
struct monitor_context {
    struct machine *machine;
    unsigned cpu; /* `cpu N` */
};
/* Runs one command line and returns its output, to be freed. Machine lock held; given away while
 * waiting for the processors. */
char *monitor_run(struct monitor_context *ctx, const char *line);

/* The same for a user without choices. */
char *monitor_execute(struct machine *m, const char *line);

/* What is mapped at va (or what gap is there), as far as it goes with the same rights. Processors
 * stopped. */
struct monitor_mapping {
    uint64_t start, last;
    bool mapped, writable, executable;
};
struct monitor_mapping monitor_find_mapping(struct machine *m, unsigned cpu, uint64_t va);

enum { MONITOR_WORD = 64 };
/* What a line that is being typed may go on with: the number of possibilities, what all of them add
 * (common, MONITOR_WORD bytes), and their names in one line (free it). */
unsigned monitor_complete(const char *line, char *common, char **list);

#endif
