/* I/O ports: for each of the 65536 the mapping that answers. */
#include "softmmu/memory_internal.h"

#include "host/log.h"

#include <string.h>

void ioport_rebuild(struct memory *mem)
{
    memset(mem->port, 0, 65536 * sizeof(*mem->port));
    for (struct mapping *m = mem->ports; m; m = m->next) {
        for (uint64_t p = m->base; m->enabled && p < m->base + m->size && p < 65536; p++) {
            if (!mem->port[p]) {
                mem->port[p] = m;
            }
        }
    }
}

struct mapping *ioport_map(struct memory *mem, uint16_t base, unsigned count, const char *name,
                           const struct mmio_ops *ops, void *opaque)
{
    struct mapping *m = must(calloc(1, sizeof(*m)));

    *m = (struct mapping){.mem = mem,
                          .base = base,
                          .size = count,
                          .name = name,
                          .ops = ops,
                          .opaque = opaque,
                          .enabled = true,
                          .is_port = true,
                          .next = mem->ports};
    mem->ports = m;
    ioport_rebuild(mem);
    return m;
}

/* Bytes from port on that the same mapping answers, at most size. */
static unsigned same_owner(struct memory *mem, uint16_t port, unsigned size)
{
    unsigned n = 1;

    while (n < size && port + n < 65536 && mem->port[port + n] == mem->port[port]) {
        n++;
    }
    return n == 3 ? 2 : n;
}

uint64_t ioport_read(struct memory *mem, uint16_t port, unsigned size)
{
    uint64_t v = 0;

    for (unsigned done = 0; done < size;) {
        uint16_t p = (uint16_t)(port + done);
        unsigned n = same_owner(mem, p, size - done);
        const struct mapping *m = mem->port[p];
        if (!m) {
            log_at(mem->machine->log, LOG_UNIMP, "io: read of port %#x: nothing there\n", p);
        }
        v |= (m ? memory_mmio_read(m, p - m->base, n) : ones(n)) << 8 * done;
        done += n;
    }
    return v;
}

void ioport_write(struct memory *mem, uint16_t port, uint64_t value, unsigned size)
{
    for (unsigned done = 0; done < size;) {
        uint16_t p = (uint16_t)(port + done);
        unsigned n = same_owner(mem, p, size - done);
        const struct mapping *m = mem->port[p];
        if (m) {
            memory_mmio_write(m, p - m->base, value >> 8 * done & ones(n), n);
        } else {
            log_at(mem->machine->log, LOG_UNIMP, "io: write of port %#x: nothing there\n", p);
        }
        done += n;
    }
}
