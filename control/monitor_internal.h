/* What the files of the human monitor share. */
#ifndef CONTROL_MONITOR_INTERNAL_H
#define CONTROL_MONITOR_INTERNAL_H

#include <stdio.h>

#include "control/monitor.h"
#include "cpu/x86.h"

struct monitor_call {
    struct monitor_context *ctx;
    struct machine *machine;
    const char *arg; /* the rest of the line */
    const char *fmt; /* what followed a '/' after the name, "" */
    FILE *out;
};

struct monitor_row {
    const char *name, *args, *help;
    void (*run)(struct monitor_call *c);
    bool exact; /* processors must not run meanwhile */
};

/* Ended by a NULL name. */
extern const struct monitor_row monitor_rows[], monitor_info_rows[];

/* The log, which has the kernel's symbols now if there are any. May be NULL. */
const struct log *monitor_symbols(const struct monitor_call *c);

static inline struct x86_cpu *monitor_cpu(const struct monitor_call *c)
{
    return c->ctx->cpu < c->machine->nvcpus ? x86_cpu(c->machine->vcpus[c->ctx->cpu]) : NULL;
}

/* monitor_memory.c: x, xp, print, gva2gpa; info mem and tlb. */
void monitor_x(struct monitor_call *c);
void monitor_xp(struct monitor_call *c);
void monitor_place(struct monitor_call *c); /* the next instruction of the processor */
void monitor_print(struct monitor_call *c);
void monitor_gva2gpa(struct monitor_call *c);
/* Evaluates what stands at *text: numbers, $registers, symbols, + - * / % & | ^ ~ ( ). False: err
 * says why. */
bool monitor_eval(struct monitor_call *c, const char **text, uint64_t *value, struct error *err);
/* monitor_paging.c */
void monitor_info_mem(struct monitor_call *c);
void monitor_info_tlb(struct monitor_call *c);
/* monitor_registers.c */
void monitor_info_registers(struct monitor_call *c);
/* monitor_net.c */
void monitor_hostfwd_add(struct monitor_call *c);
void monitor_hostfwd_remove(struct monitor_call *c);
void monitor_set_link(struct monitor_call *c);
void monitor_netdev_add(struct monitor_call *c);
void monitor_ringbuf_read(struct monitor_call *c);
void monitor_info_network(struct monitor_call *c);
void monitor_info_usernet(struct monitor_call *c);
void monitor_info_chardev(struct monitor_call *c);
/* monitor_keys.c */
void monitor_sendkey(struct monitor_call *c);

#endif
