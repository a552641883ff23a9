/* SSE4.2 string comparison. */
#ifndef CPU_SSE_STRING_H
#define CPU_SSE_STRING_H

#include "cpu/x86.h"

/* PCMPxSTRx on v.vec[a] and v.vec[b] with control byte imm. explicit_length: lengths in rAX and rDX
 * (of 64 bits when wide); mask: result to XMM0, else index to rCX. Returns the status flags. */
uint32_t sse_string_compare(struct x86_cpu *c, unsigned a, unsigned b, unsigned imm,
                            bool explicit_length, bool mask, bool wide);

#endif
