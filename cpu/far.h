/* Control transfers that leave the code segment, and task switches. Functions that are called from
 * translated code get the rip of the next instruction, since v.reg[X86_RIP] holds the block's pc.
 */
#ifndef CPU_FAR_H
#define CPU_FAR_H

#include "cpu/segment.h"

/* ---- far.c: opsize 2, 4, 8 ---- */
void x86_far_jmp(struct x86_cpu *c, uint16_t sel, uint64_t off, unsigned opsize, uint64_t next);
void x86_far_call(struct x86_cpu *c, uint16_t sel, uint64_t off, unsigned opsize, uint64_t next);
void x86_far_ret(struct x86_cpu *c, unsigned opsize, unsigned release);
void x86_iret(struct x86_cpu *c, unsigned opsize, uint64_t next);
/* INT n: raises, or (V86 with CR4.VME) enters the 8086 program's own handler and returns. */
void x86_int_n(struct x86_cpu *c, uint8_t vec, unsigned insn_len, uint64_t next);
void x86_syscall(struct x86_cpu *c, uint64_t next);
void x86_sysret(struct x86_cpu *c, unsigned opsize);
void x86_sysenter(struct x86_cpu *c);
void x86_sysexit(struct x86_cpu *c, unsigned opsize);
/* Raises #GP(ext) unless rip is inside (or, in 64-bit code, canonical for) the new code segment. */
void x86_check_target(struct x86_cpu *c, const struct x86_desc *cs, uint64_t rip, unsigned ext);

/* ---- exception.c ---- */
/* INT1: #DB that no gate DPL forbids; the return address is after it. */
void x86_raise_int1(struct x86_cpu *c, unsigned insn_len) __attribute__((noreturn));

/* ---- task.c ---- */
enum x86_task_how { TASK_JMP, TASK_CALL /* and interrupts through task gates */, TASK_IRET };
/* Switches to the task of an available (IRET: busy) TSS descriptor that the caller has checked.
 * next and flags are what the outgoing task's TSS gets as EIP and EFLAGS. Faults up to the commit
 * point are the old task's, later ones the new task's. */
void x86_task_switch(struct x86_cpu *c, const struct x86_desc *tss, enum x86_task_how how,
                     uint64_t next, uint32_t flags, unsigned ext);
/* Reads and checks the TSS descriptor that a task gate or far pointer names: in the GDT, available,
 * present. */
void x86_task_fetch_tss(struct x86_cpu *c, uint16_t sel, struct x86_desc *d, unsigned ext);
/* IRET with NT set. */
void x86_task_return(struct x86_cpu *c, uint64_t next);
/* Stack of an inner level from the current TSS, checked; not for IA-32e mode. */
void x86_open_inner_stack(struct x86_cpu *c, unsigned level, unsigned ext, struct x86_stack *st,
                          struct x86_desc *ss);
/* IA-32e mode: the stack pointer at a byte offset in the TSS (RSPn, ISTn). */
uint64_t x86_tss64_rsp(struct x86_cpu *c, unsigned offset, unsigned ext);

#endif
