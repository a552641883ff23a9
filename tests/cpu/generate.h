/* Code and states for the prover: one instruction of a table row, or a sequence with jumps, loops
 * and calls, and registers and memory that make it interesting. Everything follows from a seed. */
#ifndef TESTS_CPU_GENERATE_H
#define TESTS_CPU_GENERATE_H

#include "tests/cpu/encode.h"
#include "tests/cpu/native.h"

enum { GENERATE_MAX_INSNS = 64, GENERATE_MAX_ROWS = 4096 };

enum rule_what {
    RULE_SKIP = 1,
    RULE_EAX = 2, /* the register's value is not comparable */
    RULE_ECX = 4,
    RULE_EDX = 8,
    RULE_EBX = 0x10,
    RULE_OP0 = 0x20,     /* the first operand's */
    RULE_CARRY = 0x40,   /* CF */
    RULE_MEMORY = 0x80,  /* memory contents */
    RULE_APPROX = 0x100, /* single-precision numbers, almost equal */
    RULE_ULP =
        0x200, /* ST(0), ST(1) almost equal; C1 and PE, which tell of the rounding, not at all */
    RULE_PAGE = 0x400,        /* of a page fault's address only the page is compared */
    RULE_MAYFAULT = 0x800,    /* the page fault itself is the processor's choice */
    RULE_ANYFAULT = 0x1000,   /* one fault is as good as another */
    RULE_FAULTFLAGS = 0x2000, /* status flags after a fault are not comparable */
    RULE_NAN = 0x4000,        /* one quiet NaN is as good as another */
    RULE_MAYALIGN =
        0x8000,        /* the fault of an operand that is not aligned is the processor's choice */
    RULE_C1 = 0x10000, /* C1 of the x87 status is undefined */
    RULE_CC = 0x20000, /* C0 to C3 are */
    RULE_FAULTVECTOR = 0x40000,  /* after a fault the vector operands are undefined */
    RULE_IMAGE = 0x80000,        /* stores MXCSR_MASK, which is the processor's, at byte 28 */
    RULE_REMAINDER = 0x100000,   /* C0 to C3 are undefined when the result is no number */
    RULE_FAULTMEMORY = 0x800000, /* a store that faults may have stored a part */
    RULE_ANYADDRESS = 0x1000000, /* of several faulting operands any may be named */
    RULE_MASKED = 0x400000,      /* not with overflow and underflow unmasked */
    RULE_FAULTMXCSR = 0x200000,  /* after a fault the flags of MXCSR are not comparable */
};
enum { /* those that are tested alone only: what follows could not be compared */
       RULE_ALONE = 0x3ff | RULE_NAN | RULE_IMAGE | RULE_MAYALIGN | RULE_MASKED
};

struct insn {
    const struct x86_opcode *row;
    struct x86_insn i;
    uint8_t bytes[16];
    uint8_t len, disp_at, disp_size; /* disp: to be filled in for address; size 0: not */
    bool structural;                 /* the shrinker and the flag analysis leave it */
    int16_t target;                  /* branch: number of the instruction; -1: none */
    uint16_t at;                     /* in the code */
    uint64_t address;
    uint32_t undefined, defined, reads; /* status flags: left undefined; set for certain */
    uint32_t before;                    /* undefined when it begins */
};

struct code {
    struct native_group g;
    unsigned ninsns;
    struct insn insn[GENERATE_MAX_INSNS];
    bool sequence;
    uint32_t undefined;       /* status flags that mean nothing at the end */
    uint32_t ever;            /* ... somewhere */
    uint16_t pointers, small; /* registers of a sequence with addresses; with small numbers */
    uint32_t rules;           /* of all instructions */
};

struct generator {
    unsigned bits;
    const struct x86_opcode *rows[GENERATE_MAX_ROWS]; /* of this mode */
    unsigned nrows;
    unsigned char usable[GENERATE_MAX_ROWS]; /* in sequences: class, see generate.c */
    struct encode_hint hints[GENERATE_MAX_ROWS];
};

uint32_t rules_of(const struct x86_opcode *row);
const char *rule_reason(const struct x86_opcode *row);
bool host_has(unsigned feature);
bool host_is_amd(void);
/* -cpu for the emulated processor: `max`, and as the host has it what changes the meaning of common
 * instructions: FDP_EXCPTN_ONLY and the x87 selectors (SDM volume 1, 8.1.8), SSE4a, and
 * MisAlignSse, with which MXCSR has bit 17 (MM, APM volume 1, 4.2.2); without it the bit is
 * reserved, and FXRSTOR, XRSTOR and LDMXCSR raise #GP. */
const char *host_model(void);
/* Why the row is not tested in this mode; NULL: it is. */
const char *row_excluded(const struct x86_opcode *row, unsigned bits);

/* Adds a row to the generator's. */
void generator_add(struct generator *g, const struct x86_opcode *row);
/* One instruction of rows[n]; false: no encoding was found. */
bool generate_single(struct generator *g, unsigned n, struct random *r, struct code *out);
void generate_sequence(struct generator *g, struct random *r, struct code *out);
/* A state for it. */
void generate_case(const struct code *c, struct random *r, struct native_case *k);
/* Flags undefined after a single instruction with this state; false: its result is. */
bool generate_undefined(const struct code *c, const struct native_case *k, uint32_t *flags);
/* Makes the code that of one instruction, of which only the group is filled in. */
void generate_one(struct code *c, const struct encoding *e);
/* The same without instruction n; false: it cannot do without. */
bool generate_without(const struct code *from, unsigned n, struct code *out);

#endif
