/* What the files of the physical address space share: memory.c has the mappings, memory_access.c
 * the accesses, ioport.c the ports. */
#ifndef SOFTMMU_MEMORY_INTERNAL_H
#define SOFTMMU_MEMORY_INTERNAL_H

#include "softmmu/internal.h"
#include "softmmu/machine.h"

#include <stdlib.h>

struct ram_node {
    struct ram ram;
    struct ram_node *next;
};

/* What was replaced, until nobody can be reading it any more. */
struct retired {
    struct view *views;
    struct mapping *maps;
    unsigned n;
};
enum { RETIRED_BATCH = 64 };

struct memory {
    struct machine *machine;
    struct mapping *maps;  /* newest first */
    struct mapping *ports; /* newest first */
    struct mapping **port; /* 65536: the winner */
    struct ram_node *rams;
    struct view *_Atomic view[NVIEWS];
    struct retired retired, leaving; /* being gathered; gathered before */
    unsigned depth;                  /* memory_begin nesting */
    bool dirty;
};

static inline void *must(void *p)
{
    if (!p) {
        abort();
    }
    return p;
}

static inline uint64_t ones(unsigned size)
{
    return UINT64_MAX >> (64 - 8 * size);
}

/* Device registers, by accesses that they know. Locked. */
uint64_t memory_mmio_read(const struct mapping *m, uint64_t off, unsigned size);
void memory_mmio_write(const struct mapping *m, uint64_t off, uint64_t value, unsigned size);

#endif
