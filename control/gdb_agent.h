/* GDB's agent expressions: conditions of breakpoints, evaluated where the breakpoint is hit. */
#ifndef CONTROL_GDB_AGENT_H
#define CONTROL_GDB_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gdb_agent_ops {
    void *opaque;
    bool (*read_reg)(void *opaque, unsigned n, uint64_t *value);
    bool (*read_mem)(void *opaque, uint64_t addr, void *buf, size_t len);
};

/* Runs code; *result is the top of the stack at its end. False: it does something that is not
 * possible (reads what is not there, divides by zero, is malformed, takes too long). */
bool gdb_agent_eval(const uint8_t *code, size_t len, const struct gdb_agent_ops *ops,
                    uint64_t *result);

#endif
