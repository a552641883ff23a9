/* What the human monitor tells of disk images. */
#include "control/control.h"
#include "control/monitor_internal.h"
#include "control/setup.h"
#include "host/block.h"
#include "host/block_node.h"

#include <inttypes.h>

static struct block_graph *graph_of(struct monitor_call *c)
{
    return c->machine->blocks;
}

static const char *name_of(const struct block *b)
{
    const struct block_device *d = block_device_of(b);

    return *block_id(b) ? block_id(b) : d ? d->id : block_node_of(b) ? block_node_of(b)->name : "";
}

void monitor_info_block(struct monitor_call *c)
{
    struct block *b = graph_of(c) ? block_next(graph_of(c), NULL) : NULL;

    if (!b) {
        fputs("no disk images\n", c->out);
    }
    for (; b; b = block_next(graph_of(c), b)) {
        const struct block_device *d = block_device_of(b);
        struct block_node *n = block_node_of(b);
        if (n) {
            fprintf(c->out, "%s (%s): %s (%s%s)\n", name_of(b), n->name, n->filename, n->driver->name,
                    n->flags.readonly ? ", read only" : "");
        } else {
            fprintf(c->out, "%s: [not inserted]\n", name_of(b));
        }
        if (d) {
            fprintf(c->out, "    Attached to:      %s\n", d->id);
        }
        if (d && d->removable) {
            fprintf(c->out, "    Removable device: %slocked, tray %s\n", block_locked(b) ? "" : "not ",
                    block_tray_open(b) ? "open" : "closed");
        }
        if (n) {
            fprintf(c->out, "    Cache mode:       %s%s%s\n", block_write_cache(b) ? "writeback" : "writethrough",
                    n->flags.direct ? ", direct" : "", n->flags.no_flush ? ", ignore flushes" : "");
            fprintf(c->out, "    Size:             %" PRIu64 " bytes\n", block_size(b));
        }
        for (n = n ? n->backing : NULL; n; n = n->backing) {
            fprintf(c->out, "    Backing file:     %s (%s)\n", n->filename, n->driver->name);
        }
    }
}

void monitor_info_blockstats(struct monitor_call *c)
{
    for (struct block *b = graph_of(c) ? block_next(graph_of(c), NULL) : NULL; b; b = block_next(graph_of(c), b)) {
        struct block_stats s = block_get_stats(b);
        fprintf(c->out,
                "%s: rd_bytes=%" PRIu64 " wr_bytes=%" PRIu64 " rd_operations=%" PRIu64 " wr_operations=%" PRIu64
                " flush_operations=%" PRIu64 " wr_total_time_ns=%" PRIu64 " rd_total_time_ns=%" PRIu64
                " flush_total_time_ns=%" PRIu64 " other_operations=%" PRIu64 " failed_operations=%" PRIu64 "\n",
                name_of(b), s.bytes[BLOCK_READ], s.bytes[BLOCK_WRITE], s.operations[BLOCK_READ],
                s.operations[BLOCK_WRITE], s.operations[BLOCK_FLUSH], s.time_ns[BLOCK_WRITE], s.time_ns[BLOCK_READ],
                s.time_ns[BLOCK_FLUSH], s.operations[BLOCK_DISCARD] + s.operations[BLOCK_WRITE_ZEROES],
                s.failed[BLOCK_READ] + s.failed[BLOCK_WRITE] + s.failed[BLOCK_FLUSH] + s.failed[BLOCK_DISCARD] +
                    s.failed[BLOCK_WRITE_ZEROES]);
    }
}
