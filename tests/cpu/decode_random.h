/* Random bytes that are often instructions: prefixes, the opcode maps and VEX are more frequent
 * than by chance. INSN_MAX, 15, is the includer's. */
#ifndef TESTS_CPU_DECODE_RANDOM_H
#define TESTS_CPU_DECODE_RANDOM_H

#include <stdint.h>

#include "cpu/decode.h"

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

static void fill_bytes(uint64_t *s, uint8_t bytes[INSN_MAX])
{
    for (unsigned n = 0; n < INSN_MAX; n += 5) { /* next_random has 48 bits */
        uint64_t five = next_random(s);
        for (unsigned k = 0; k < 5; k++) {
            bytes[n + k] = (uint8_t)(five >> 8 * k);
        }
    }
}

static void fill_random(uint64_t *s, enum x86_bits bits, uint8_t bytes[INSN_MAX])
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e,
                                       0x64, 0x65, 0x26, 0x36, 0x3e, 0x66};
    unsigned at = 0, how = next_random(s) % 16;

    fill_bytes(s, bytes);
    while (at < 3 && next_random(s) % 3 == 0) {
        bytes[at++] = prefixes[next_random(s) % sizeof prefixes];
    }
    if (bits == X86_64 && next_random(s) % 3 == 0) {
        bytes[at++] = 0x40 | (next_random(s) & 15);
    }
    if (how < 4) {
        bytes[at++] = 0x0f;
    } else if (how < 6) {
        bytes[at++] = 0x0f;
        bytes[at++] = how == 4 ? 0x38 : 0x3a;
    } else if (how < 10) { /* VEX, mostly with a fitting map and prefix */
        if (next_random(s) % 4) {
            at = 0;
        }
        if (how < 7) {
            bytes[at++] = 0xc5;
            bytes[at] |= bits == X86_64 ? 0 : 0xc0;
        } else {
            bytes[at++] = 0xc4;
            bytes[at] = (bytes[at] & 0xe0) |
                        (next_random(s) % 32 ? 1 + next_random(s) % 3 : bytes[at] & 31);
            bytes[at++] |= bits == X86_64 ? 0 : 0xc0;
        }
        bytes[at] |= next_random(s) % 3 == 0 ? 0x78 : 0;
        bytes[at] |= next_random(s) % 2;
        at++;
    } else if (how < 11) {
        bytes[at] = 0xd8 | (bytes[at] & 7);
    }
    if (next_random(s) % 4 == 0 && at + 1 < INSN_MAX) {
        bytes[at + 1] |= 0xc0;
    }
}

#endif
