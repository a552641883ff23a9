/* The processor's registers as GDB's remote protocol numbers and describes them. */
#ifndef CPU_GDB_REGS_H
#define CPU_GDB_REGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/x86.h"

enum gdb_arch { GDB_ARCH_I8086, GDB_ARCH_I386, GDB_ARCH_X86_64, GDB_NARCH };
extern const char *const gdb_arch_names[GDB_NARCH]; /* "i8086", "i386", "x86-64" */

/* The layout that suits what c runs now. */
enum gdb_arch gdb_arch_of(const struct x86_cpu *c);

/* target.xml for this layout; free() it. */
char *gdb_target_xml(enum gdb_arch arch, const struct x86_cpu *c);

/* Registers are numbered from 0 in the order of target.xml; 0: no such register. */
unsigned gdb_reg_size(enum gdb_arch arch, const struct x86_cpu *c, unsigned n);
enum { GDB_REG_MAX = 16 };
/* buf gets gdb_reg_size() bytes, little endian. The processor is stopped. */
void gdb_reg_read(enum gdb_arch arch, struct x86_cpu *c, unsigned n, uint8_t *buf);
/* False: the debugger may not change it (or not to this). */
bool gdb_reg_write(enum gdb_arch arch, struct x86_cpu *c, unsigned n, const uint8_t *buf);
unsigned gdb_reg_pc(enum gdb_arch arch); /* number of the pc */

#endif
