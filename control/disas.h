/* One x86 instruction as text, by Capstone where the build has it. */
#ifndef CONTROL_DISAS_H
#define CONTROL_DISAS_H

#include <stddef.h>
#include <stdint.h>

/* bits: 16, 32, 64. Its length; 0: not an instruction (or no disassembler, which the text says
 * then). */
unsigned disas_insn(unsigned bits, uint64_t pc, const uint8_t *code, size_t len, char *text,
                    size_t size);

#endif
