/* Descriptors and stacks as system code sees them; shared by the files that load segments, pass
 * gates, switch tasks and deliver exceptions (segment.c, far.c, task.c, exception.c). */
#ifndef CPU_SEGMENT_H
#define CPU_SEGMENT_H

#include "cpu/x86.h"

/* A descriptor as it was read from its table. Of a gate only sel, lo, hi and attr mean something.
 */
struct x86_desc {
    uint64_t lin; /* linear address of the descriptor itself */
    uint64_t base;
    uint32_t lo, hi;
    uint32_t limit; /* in bytes */
    uint16_t sel;
    uint16_t attr; /* as in struct x86_seg */
};

enum x86_sysdesc { /* type field of system descriptors (S = 0) */
                   DESC_TSS16 = 1,
                   DESC_LDT = 2,
                   DESC_TSS16_BUSY = 3,
                   DESC_CALL16 = 4,
                   DESC_TASK_GATE = 5,
                   DESC_INT16 = 6,
                   DESC_TRAP16 = 7,
                   DESC_TSS32 = 9,
                   DESC_TSS32_BUSY = 11,
                   DESC_CALL32 = 12,
                   DESC_INT32 = 14,
                   DESC_TRAP32 = 15,
                   DESC_TSS_BUSY_BIT = 2,
};

/* EFLAGS bits that exist; values from memory may have anything in the others. */
#define X86_FLAGS_ALL UINT32_C(0x3f7fd5)

static inline bool x86_sel_null(uint16_t sel)
{
    return !(sel & 0xfffc);
}
/* Error code that names a selector. */
static inline uint32_t x86_sel_error(uint16_t sel, unsigned ext)
{
    return (sel & 0xfffcu) | ext;
}
static inline unsigned x86_attr_dpl(uint16_t attr)
{
    return attr >> SEGA_DPL_SHIFT & 3;
}
static inline bool x86_attr_code(uint16_t attr)
{
    return (attr & (SEGA_S | SEGA_CODE)) == (SEGA_S | SEGA_CODE);
}
static inline bool x86_attr_conforming(uint16_t attr) /* of a code segment */
{
    return attr & SEGA_CE;
}
static inline bool x86_attr_readable(uint16_t attr)
{
    return (attr & SEGA_S) && (!(attr & SEGA_CODE) || (attr & SEGA_RW));
}
static inline bool x86_attr_writable(uint16_t attr)
{
    return (attr & (SEGA_S | SEGA_CODE | SEGA_RW)) == (SEGA_S | SEGA_RW);
}
static inline unsigned x86_attr_systype(uint16_t attr) /* 0 for code and data */
{
    return attr & SEGA_S ? 0 : attr & SEGA_TYPE;
}
static inline uint32_t x86_gate_offset(const struct x86_desc *d)
{
    return (d->lo & 0xffff) | (d->hi & 0xffff0000);
}
static inline uint16_t x86_gate_sel(const struct x86_desc *d)
{
    return (uint16_t)(d->lo >> 16);
}

static inline bool
x86_protected(const struct x86_cpu *c) /* protected mode proper: PE and not V86 */
{
    return (c->cr0 & CR0_PE) && !(c->eflags & FL_VM);
}
static inline bool x86_long_mode(const struct x86_cpu *c)
{
    return c->efer & EFER_LMA;
}
static inline bool x86_code64(const struct x86_cpu *c)
{
    return x86_long_mode(c) && (c->seg[SEG_CS].attr & SEGA_L);
}
/* Context of explicit data accesses at the current privilege level. */
static inline unsigned x86_ctx_now(const struct x86_cpu *c)
{
    return (unsigned)(c->v.tb_flags >> KEY_CTX_SHIFT) & 3;
}
bool x86_canonical(const struct x86_cpu *c, uint64_t address);

/* Splits the two halves of a descriptor into base, limit and attributes. */
void x86_desc_parse(struct x86_desc *d, uint32_t lo, uint32_t hi);
/* Reads the descriptor of sel from the GDT or LDT; false when it is outside the table. */
bool x86_desc_read(struct x86_cpu *c, uint16_t sel, struct x86_desc *d);
/* IA-32e mode: system descriptors have 16 bytes. Reads the other 8: for LDT and TSS completes base,
 * for call gates returns offset bits 63:32 in *upper. False when outside the table or not a valid
 * half. */
bool x86_desc_read_upper(struct x86_cpu *c, struct x86_desc *d, uint32_t *upper);
/* Sets the accessed bit in memory and in d unless it is set; may page-fault. */
void x86_desc_set_accessed(struct x86_cpu *c, struct x86_desc *d);
/* Locked change of a descriptor's type byte (busy bit). */
void x86_desc_change_type(struct x86_cpu *c, uint64_t lin, uint8_t set, uint8_t clear);
/* Raises the page fault that a later write of the type byte would raise. */
void x86_desc_probe_write(struct x86_cpu *c, uint64_t lin);

/* Reads and checks a descriptor that is to be loaded at privilege level cpl: for SS (writable, RPL
 * = DPL = cpl) and for DS, ES, FS, GS. Neither takes null selectors. bad: the vector of most
 * failures, #GP or #TS. */
void x86_fetch_stack_seg(struct x86_cpu *c, uint16_t sel, unsigned cpl, struct x86_desc *d,
                         enum x86_vector bad, unsigned ext);
void x86_fetch_data_seg(struct x86_cpu *c, uint16_t sel, unsigned cpl, struct x86_desc *d,
                        enum x86_vector bad, unsigned ext);
/* Register = descriptor. */
void x86_set_seg_desc(struct x86_cpu *c, enum x86_segnum s, uint16_t sel, const struct x86_desc *d);
void x86_set_seg_null(struct x86_cpu *c, enum x86_segnum s, uint16_t sel); /* unusable, base kept */
/* Real or (vm) virtual-8086 mode load; vm also sets limit and rights. */
void x86_set_seg_real(struct x86_cpu *c, enum x86_segnum s, uint16_t sel, bool vm);
/* After a return to an outer level: drops data segments that the new level may not use. */
void x86_drop_inner_segs(struct x86_cpu *c);

/* A stack being pushed to or popped from, before the registers are changed. */
struct x86_stack {
    struct x86_cpu *c;
    struct x86_seg seg;
    uint64_t base, sp, mask; /* mask: of the stack pointer's width */
    unsigned ctx;
    uint32_t error; /* error code of #SS */
};
void x86_stack_current(struct x86_stack *s, struct x86_cpu *c, uint32_t error);
void x86_stack_desc(struct x86_stack *s, struct x86_cpu *c, const struct x86_desc *d, uint64_t sp,
                    unsigned ctx, uint32_t error);
void x86_stack_flat64(struct x86_stack *s, struct x86_cpu *c, uint64_t rsp, unsigned ctx,
                      uint32_t error);
void x86_stack_push(struct x86_stack *s, unsigned size, uint64_t value);
uint64_t x86_stack_pop(struct x86_stack *s, unsigned size);
uint64_t x86_stack_peek(struct x86_stack *s, uint64_t offset, unsigned size); /* at sp + offset */
/* Writes the stack pointer back in the width of the stack: SP, ESP or RSP. */
void x86_stack_commit(const struct x86_stack *s);
void x86_set_sp(struct x86_cpu *c, uint64_t mask, uint64_t sp);

/* LAR and LSL: bit 32 set when the selector may be seen, with the answer in bits 31:0. VERR, VERW.
 */
uint64_t x86_lar(struct x86_cpu *c, uint16_t sel);
uint64_t x86_lsl(struct x86_cpu *c, uint16_t sel);
bool x86_verify(struct x86_cpu *c, uint16_t sel, bool write);
void x86_lldt(struct x86_cpu *c, uint16_t sel);
void x86_ltr(struct x86_cpu *c, uint16_t sel);

#endif
