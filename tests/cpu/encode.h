/* Encodings of a row of the decoder's tables, found by trial, and what is declared not to be
 * comparable of it. */
#ifndef TESTS_CPU_ENCODE_H
#define TESTS_CPU_ENCODE_H

#include "cpu/decode.h"
#include "tests/cpu/values.h"

enum addressing_kind { ADDRESS_ANY, ADDRESS_ABSOLUTE, ADDRESS_BASE };
struct addressing {
    enum addressing_kind kind;
    uint8_t base, index; /* of ADDRESS_BASE; index: X86_NOREG */
};

/* What works for a row; zero at first, filled by the first success. */
struct encode_hint {
    bool known;
    uint8_t mandatory, vex_last, rex_w;
};

struct encoding {
    uint8_t bytes[32];
    unsigned len;
    unsigned disp_at; /* offset of a full displacement, or of an absolute address; 0: none */
    struct x86_insn insn;
};

enum x86_bits encode_mode(unsigned bits);
/* false: none was found. */
bool encode_row(struct random *r, unsigned bits, const struct x86_opcode *row,
                const struct addressing *how, struct encode_hint *hint, struct encoding *e);
/* Decodes bytes that are known to be an instruction. */
void encode_bytes(unsigned bits, const uint8_t *bytes, unsigned len, struct encoding *e);
bool row_named(const struct x86_opcode *row, const char *name);

#endif
