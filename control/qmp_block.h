/* QMP's commands about disk images. */
#ifndef CONTROL_QMP_BLOCK_H
#define CONTROL_QMP_BLOCK_H

#include "control/qmp.h"

struct block;
struct block_event_data;
struct block_graph;
struct block_node;
struct block_throttle;

#define QMP_BLOCK_COMMANDS(_)                                                                      \
    _(blockdev_add)                                                                                \
    _(blockdev_del)                                                                                \
    _(block_resize) _(open_tray) _(close_tray) _(remove_medium) _(insert_medium) _(eject)          \
        _(change_medium) _(set_io_throttle) _(query_blockstats) _(query_named_block_nodes)
#define QMP_DECLARE(n) bool qmp_##n(struct qmp_call *c);
QMP_BLOCK_COMMANDS(QMP_DECLARE)
#undef QMP_DECLARE

/* By its own id, or by the id or path of its device; either may be NULL. */
struct block *qmp_block_find(struct block_graph *g, const char *device, const char *id);
void qmp_throttle_json(json_t *o, const struct block_throttle *t);
/* opaque: struct program. For block_graph_on_event. */
void qmp_block_event(void *opaque, const struct block_event_data *e);

#endif
