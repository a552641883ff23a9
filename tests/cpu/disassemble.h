/* Capstone's text of one instruction, for reports. */
#ifndef TESTS_CPU_DISASSEMBLE_H
#define TESTS_CPU_DISASSEMBLE_H

#include <stddef.h>
#include <stdint.h>

/* "" when Capstone is not there or does not know it. */
void disassemble(unsigned bits, const uint8_t *bytes, unsigned len, uint64_t address, char *text,
                 size_t size);

#endif
