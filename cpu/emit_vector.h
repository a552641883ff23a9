/* What the emitters of vector instructions share. */
#ifndef CPU_EMIT_VECTOR_H
#define CPU_EMIT_VECTOR_H

#include "cpu/translate.h"

/* A vector operand: the register itself, or a vector temporary loaded from memory or an MMX
 * register. */
ir_reg vector_load(struct translator *t, const struct x86_insn *i, unsigned n);
void vector_store(struct translator *t, const struct x86_insn *i, unsigned n, ir_reg value);
bool vector_uses_mmx(const struct x86_insn *i);
void mmx_touch(struct translator *t); /* what every MMX instruction does to the x87 tags and top */

/* A floating-point operation computes aside when MXCSR has an unmasked exception (checks): begin
 * before it, end after it, which raises what it has found, before the result is stored. */
bool vector_checks_fp(const struct translator *t, unsigned vop);
ir_reg vector_fp_begin(struct translator *t);
void vector_fp_end(struct translator *t, ir_reg saved, unsigned vop);

/* The table-driven instructions of emit_sse.c. */
void emit_vector(struct translator *t, const struct x86_insn *i);
bool vector_row_exists(unsigned mnemonic);

/* VEX forms: the table of emit_avx.c; IR flags of a result of size bytes (16, 32), which clears
 * what is above it. */
void emit_avx(struct translator *t, const struct x86_insn *i);
bool avx_row_exists(unsigned mnemonic);
unsigned avx_flags(unsigned size);

/* Emitters of emit_sse_move.c that VEX forms share. */
void emit_sse_pcmpstr(struct translator *t, const struct x86_insn *i);
void emit_sse_maskmov(struct translator *t, const struct x86_insn *i);
void emit_sse_ldmxcsr(struct translator *t, const struct x86_insn *i);
void emit_sse_stmxcsr(struct translator *t, const struct x86_insn *i);

#endif
