#include "host/qcow2.h"
static bool no_open(struct block_node *n, json_t *o, struct error *err) { (void)o; return error_set(err, "%s: qcow2 not yet", n->filename); }
static void no_close(struct block_node *n) { (void)n; }
static const char *const opts[] = {NULL};
const struct node_driver node_driver_qcow2 = {.name = "qcow2", .state_size = 8, .options = opts, .open = no_open, .close = no_close};
bool qcow2_create(const char *path, const struct qcow2_create *c, struct error *err) { (void)c; return error_set(err, "%s: no qcow2", path); }
