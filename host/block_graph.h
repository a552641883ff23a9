/* More of block_node.h, for control and the img tool. */
#ifndef HOST_BLOCK_GRAPH_H
#define HOST_BLOCK_GRAPH_H

#include "host/block_node.h"

/* Where the backing file of n is, to be freed; NULL: it has none. */
char *node_backing_path(const struct block_node *n);

#endif
