/* SSE4.2 string comparison (SDM volume 1, 12.8; volume 2, 4.1). */
#include "cpu/sse_string.h"

#include <string.h>

static int element(const union vreg *v, unsigned n, unsigned imm)
{
    switch (imm & 3) {
    case 0:
        return v->b[n];
    case 1:
        return v->w[n];
    case 2:
        return (int8_t)v->b[n];
    default:
        return (int16_t)v->w[n];
    }
}

static int explicit_count(uint64_t reg, bool wide, int max)
{
    int64_t n = wide ? (int64_t)reg : (int32_t)reg;

    if (n < 0) {
        n = n < -max ? max : -n;
    }
    return n > max ? max : (int)n;
}

static int implicit_count(const union vreg *v, unsigned imm, int max)
{
    int n = 0;

    while (n < max && element(v, (unsigned)n, imm) != 0) {
        n++;
    }
    return n;
}

static bool match(const union vreg *a, const union vreg *b, int i, int j, unsigned imm)
{
    return element(a, (unsigned)i, imm) == element(b, (unsigned)j, imm);
}

/* IntRes1: bit j says something of element j of b. */
static uint32_t aggregate(const union vreg *a, const union vreg *b, int na, int nb, int max,
                          unsigned imm)
{
    uint32_t r = 0;

    for (int j = 0; j < max; j++) {
        bool hit = false;
        switch (imm >> 2 & 3) {
        case 0: /* equal any */
            for (int i = 0; i < na && j < nb; i++) {
                hit |= match(a, b, i, j, imm);
            }
            break;
        case 1: /* ranges */
            for (int i = 0; i + 1 < na && j < nb; i += 2) {
                int x = element(b, (unsigned)j, imm);
                hit |= x >= element(a, (unsigned)i, imm) && x <= element(a, (unsigned)i + 1, imm);
            }
            break;
        case 2: /* equal each: beyond both ends counts as equal */
            hit = j < na && j < nb ? match(a, b, j, j, imm) : j >= na && j >= nb;
            break;
        default: /* equal ordered */
            hit = true;
            for (int i = 0; i < na && j + i < max; i++) {
                hit &= j + i < nb && match(a, b, i, j + i, imm);
            }
            break;
        }
        r |= (uint32_t)hit << j;
    }
    return r;
}

uint32_t sse_string_compare(struct x86_cpu *c, unsigned ra, unsigned rb, unsigned imm,
                            bool explicit_length, bool mask, bool wide)
{
    const union vreg *a = &c->v.vec[ra], *b = &c->v.vec[rb];
    int max = imm & 1 ? 8 : 16;
    int na = explicit_length ? explicit_count(c->v.reg[X86_RAX], wide, max)
                             : implicit_count(a, imm, max);
    int nb = explicit_length ? explicit_count(c->v.reg[X86_RDX], wide, max)
                             : implicit_count(b, imm, max);
    uint32_t all = (1u << max) - 1, valid = (1u << nb) - 1;
    uint32_t r = aggregate(a, b, na, nb, max, imm);

    if (imm & 0x10) {
        r ^= imm & 0x20 ? valid : all;
    }
    r &= all;
    if (mask) {
        union vreg *d = &c->v.vec[0];
        memset(d->b, 0, 16);
        for (int i = 0; i < max; i++) {
            if (!(imm & 0x40)) {
                d->b[i >> 3] |= (uint8_t)((r >> i & 1) << (i & 7));
            } else if (imm & 1) {
                d->w[i] = r >> i & 1 ? 0xffff : 0;
            } else {
                d->b[i] = r >> i & 1 ? 0xff : 0;
            }
        }
    } else {
        c->v.reg[X86_RCX] = !r           ? (uint64_t)max
                            : imm & 0x40 ? 31u - (unsigned)__builtin_clz(r)
                                         : (unsigned)__builtin_ctz(r);
    }
    return (r ? FL_CF : 0) | (nb < max ? FL_ZF : 0) | (na < max ? FL_SF : 0) | (r & 1 ? FL_OF : 0);
}
