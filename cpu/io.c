/* I/O ports: who may use them, and the way to the devices.
 *
 * From the SDM, Vol. 1 chapter 19.5 "Protected-Mode I/O" (IOPL, the TSS's permission bitmap). */
#include "cpu/system.h"

enum { TSS_IO_BASE = 102 };

static uint16_t tss_word(struct x86_cpu *c, uint32_t offset)
{
    uint64_t lin = c->tr.base + offset;

    if (!x86_long_mode(c)) {
        lin = (uint32_t)lin;
    }
    return (uint16_t)x86_load(c, lin, MO_16, 0);
}

void x86_check_io(struct x86_cpu *c, uint16_t port, unsigned size)
{
    unsigned iopl = (c->eflags & FL_IOPL) >> FL_IOPL_SHIFT;
    uint32_t at, bits;

    if (!(c->cr0 & CR0_PE) || (!(c->eflags & FL_VM) && c->cpl <= iopl)) {
        return;
    }
    /* Only 32-bit (and 64-bit) task state segments have a bitmap. */
    if (!(c->tr.attr & SEGA_P) || x86_attr_systype(c->tr.attr) != DESC_TSS32_BUSY ||
        c->tr.limit < TSS_IO_BASE + 1) {
        x86_raise_error(c, EXC_GP, 0);
    }
    at = tss_word(c, TSS_IO_BASE) + port / 8u;
    if (at + 1 > c->tr.limit) { /* two bytes are always read */
        x86_raise_error(c, EXC_GP, 0);
    }
    bits = (uint32_t)tss_word(c, at) >> (port & 7);
    if (bits & ((1u << size) - 1)) {
        x86_raise_error(c, EXC_GP, 0);
    }
}

uint64_t x86_port_in(struct x86_cpu *c, uint16_t port, unsigned size)
{
    struct machine *m = c->v.machine;
    uint64_t value;

    if (c->v.tb_flags & KEY_IOBP) {
        x86_check_io_breakpoint(c, port, size);
    }
    machine_lock(m);
    value = ioport_read(m->memory, port, size);
    machine_unlock(m);
    log_at(m->log, LOG_IO, "cpu%u: in %04x.%u = %llx\n", c->v.index, port, size,
           (unsigned long long)value);
    return value;
}

void x86_port_out(struct x86_cpu *c, uint16_t port, uint64_t value, unsigned size)
{
    struct machine *m = c->v.machine;

    if (c->v.tb_flags & KEY_IOBP) {
        x86_check_io_breakpoint(c, port, size);
    }
    log_at(m->log, LOG_IO, "cpu%u: out %04x.%u = %llx\n", c->v.index, port, size,
           (unsigned long long)value);
    machine_lock(m);
    ioport_write(m->memory, port, value, size);
    machine_unlock(m);
}
