/* Random instructions and sequences from the decoder's table rows, with registers and memory that
 * make them interesting, for tests/cpu/compare.c. */
#ifndef TESTS_CPU_GENERATE_H
#define TESTS_CPU_GENERATE_H

#include "cpu/decode.h"
#include "tests/cpu/native.h"

enum { GENERATE_MAX_INSNS = 40 };

struct generator {
    uint64_t random; /* state; not 0 */
    unsigned bits;   /* 64, 32 or 16 */
    bool vectors;    /* rows of SSE, MMX and AVX instead of the others */
};

/* A case with what the comparison and the shrinker need to know of its instructions. */
struct generated {
    struct native_case k;
    unsigned ninsns;
    struct generated_insn {
        const struct x86_opcode *row;
        uint8_t at, len;
        uint32_t undefined, defined; /* status flags that it leaves undefined; sets for certain */
        uint32_t reads;
    } insn[GENERATE_MAX_INSNS];
    uint32_t undefined; /* status flags that mean nothing at the end */
    uint32_t ever;      /* ... or somewhere before it, where a fault may end the sequence */
};

uint64_t generate_random(struct generator *g);
/* The row can be tested: user mode, state that native_state holds, and this host has it. */
bool generate_wants(const struct generator *g, const struct x86_opcode *row);
/* One instruction of the row; false: no encoding of it was found. */
bool generate_single(struct generator *g, const struct x86_opcode *row, struct generated *out);
/* A sequence of n instructions of random rows out of the list. */
void generate_sequence(struct generator *g, const struct x86_opcode *const *rows, unsigned nrows,
                       unsigned n, struct generated *out);
/* The same without instruction number n. */
void generate_without(const struct generated *from, unsigned n, struct generated *out);

#endif
