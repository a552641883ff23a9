/* The human monitor: disk images and media. */
#include "control/control.h"
#include "control/monitor_internal.h"
#include "control/qmp_block.h"
#include "control/setup.h"
#include "host/block.h"
#include "host/block_node.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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
            fprintf(c->out, "%s (%s): %s (%s%s)\n", name_of(b), n->name, n->filename,
                    n->driver->name, n->flags.readonly ? ", read only" : "");
        } else {
            fprintf(c->out, "%s: [not inserted]\n", name_of(b));
        }
        if (d) {
            fprintf(c->out, "    Attached to:      %s\n", d->id);
        }
        if (d && d->removable) {
            fprintf(c->out, "    Removable device: %slocked, tray %s\n",
                    block_locked(b) ? "" : "not ", block_tray_open(b) ? "open" : "closed");
        }
        if (n) {
            fprintf(c->out, "    Cache mode:       %s%s%s\n",
                    block_write_cache(b) ? "writeback" : "writethrough",
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
    for (struct block *b = graph_of(c) ? block_next(graph_of(c), NULL) : NULL; b;
         b = block_next(graph_of(c), b)) {
        struct block_stats s = block_get_stats(b);
        fprintf(c->out,
                "%s: rd_bytes=%" PRIu64 " wr_bytes=%" PRIu64 " rd_operations=%" PRIu64
                " wr_operations=%" PRIu64 " flush_operations=%" PRIu64 " wr_total_time_ns=%" PRIu64
                " rd_total_time_ns=%" PRIu64 " flush_total_time_ns=%" PRIu64
                " other_operations=%" PRIu64 " failed_operations=%" PRIu64 "\n",
                name_of(b), s.bytes[BLOCK_READ], s.bytes[BLOCK_WRITE], s.operations[BLOCK_READ],
                s.operations[BLOCK_WRITE], s.operations[BLOCK_FLUSH], s.time_ns[BLOCK_WRITE],
                s.time_ns[BLOCK_READ], s.time_ns[BLOCK_FLUSH],
                s.operations[BLOCK_DISCARD] + s.operations[BLOCK_WRITE_ZEROES],
                s.failed[BLOCK_READ] + s.failed[BLOCK_WRITE] + s.failed[BLOCK_FLUSH] +
                    s.failed[BLOCK_DISCARD] + s.failed[BLOCK_WRITE_ZEROES]);
    }
}

/* ---- commands: those of QMP, with arguments in order ---- */

static void run_qmp(struct monitor_call *c, bool (*fn)(struct qmp_call *), json_t *args)
{
    struct qmp_call call = {
        .machine = c->machine, .program = control_program(c->machine), .args = args};

    if (!args) {
        fputs("Error: the arguments are not text\n", c->out);
        return;
    }
    if (!fn(&call)) {
        fprintf(c->out, "Error: %s\n", call.err.msg);
    }
    json_decref(args);
    json_decref(call.ret);
}

/* Up to n words of the line; missing ones are "". */
static unsigned words(const char *line, char (*word)[256], unsigned n)
{
    unsigned found = 0;

    memset(word, 0, n * sizeof(word[0]));
    for (line += strspn(line, " \t"); *line && found < n; line += strspn(line, " \t")) {
        size_t len = strcspn(line, " \t");
        snprintf(word[found++], sizeof(word[0]), "%.*s", (int)len, line);
        line += len;
    }
    return found;
}

void monitor_eject(struct monitor_call *c)
{
    char w[2][256];
    unsigned n = words(c->arg, w, 2);
    bool force = !strcmp(w[0], "-f");

    if (!n || (force && n < 2)) {
        fputs("usage: eject [-f] DRIVE\n", c->out);
        return;
    }
    run_qmp(c, qmp_eject, json_pack("{s:s,s:b}", "id", w[force], "force", force));
}

void monitor_change(struct monitor_call *c)
{
    char w[4][256];
    bool force;
    unsigned n = words(c->arg, w, 4);

    force = !strcmp(w[0], "-f");
    if (!strcmp(w[0], "vnc")) {
        monitor_vnc_password(c);
        return;
    }
    if (n < 2u + force) {
        fputs("usage: change [-f] DRIVE FILE [FORMAT]\n", c->out);
        return;
    }
    json_t *args =
        json_pack("{s:s,s:s,s:b}", "id", w[force], "filename", w[force + 1], "force", force);
    if (args && n > 2u + force) {
        json_object_set_new(args, "format", json_string(w[force + 2]));
    }
    run_qmp(c, qmp_change_medium, args);
}

void monitor_block_resize(struct monitor_call *c)
{
    char w[2][256];
    uint64_t size;

    if (words(c->arg, w, 2) != 2 || !opt_size(w[1], 1 << 20, &size)) {
        fputs("usage: block_resize DRIVE SIZE (in MiB, unless a unit follows)\n", c->out);
        return;
    }
    run_qmp(c, qmp_block_resize, json_pack("{s:s,s:I}", "device", w[0], "size", (json_int_t)size));
}

void monitor_block_throttle(struct monitor_call *c)
{
    static const char *const names[] = {"bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"};
    char w[7][256];

    if (words(c->arg, w, 7) != 7) {
        fputs("usage: block_set_io_throttle DRIVE BPS BPS_RD BPS_WR IOPS IOPS_RD IOPS_WR\n",
              c->out);
        return;
    }
    json_t *args = json_pack("{s:s}", "id", w[0]);
    for (unsigned i = 0; args && i < 6; i++) {
        json_object_set_new(args, names[i], json_integer((json_int_t)strtoull(w[i + 1], NULL, 0)));
    }
    run_qmp(c, qmp_set_io_throttle, args);
}
