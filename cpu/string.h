/* Repeated string instructions: what the emitter tells the helper of cpu/string.c. */
#ifndef CPU_STRING_H
#define CPU_STRING_H

#include "tcg/ir.h"

enum x86_string_op {
    STRING_MOVS,
    STRING_STOS,
    STRING_LODS,
    STRING_CMPS,
    STRING_SCAS,
    STRING_INS,
    STRING_OUTS,
    STRING_NOPS
};

/* The helper's immediate: fields of x86_string_*() below. */
enum {
    STRING_OP = 0,     /* 3 bits: enum x86_string_op */
    STRING_SIZE = 3,   /* 2 bits: log2 of the element's bytes */
    STRING_ADDR = 5,   /* 2 bits: log2 of the address size's bytes */
    STRING_SEG = 7,    /* 3 bits: segment of the source */
    STRING_CTX = 10,   /* 2 bits: access context */
    STRING_REPNE = 12, /* CMPS, SCAS end at equal (else at unequal) elements */
    STRING_ONE = 13,   /* one element a call: single step */
    STRING_ONCE = 14,  /* no REP prefix: one element, rCX means nothing */
};

/* Does elements until the count is used up or the condition met (then returns 1), or until
 * something waits for the processor (returns 0: run the same instruction again). Registers are
 * brought up to date as it goes, so that a fault in the middle is restartable. */
extern const struct ir_helper x86_h_string;

#endif
