/* What emit_shift.c lends to other families. */
#ifndef CPU_EMIT_SHIFT_H
#define CPU_EMIT_SHIFT_H

#include "cpu/translate.h"

/* BSF, or BSR when reverse. */
void emit_bit_scan(struct translator *t, const struct x86_insn *i, bool reverse);

#endif
