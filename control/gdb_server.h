/* The stub's listening side: where a debugger connects (-gdb). */
#ifndef CONTROL_GDB_SERVER_H
#define CONTROL_GDB_SERVER_H

#include <stdbool.h>

#include "host/error.h"

struct gdb_server;
struct machine;
struct mainloop;

/* spec: tcp:[HOST]:PORT | unix:PATH | stdio, then ,arch=auto|i8086|i386|x86-64. kernel: a kernel is
 * given on the command line. After debug_create(). */
struct gdb_server *gdb_server_create(struct machine *m, struct mainloop *loop, const char *spec,
                                     bool kernel, struct error *err);
/* Tells a debugger that is there that the program ends. Processors stopped, lock not held. */
void gdb_server_destroy(struct gdb_server *g, int status);

#endif
