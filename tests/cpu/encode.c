/* Encodings by trial, see encode.h: the row's opcode with random prefixes, ModRM, SIB, displacement
 * and immediate until the decoder says that it is the row. */
#include "tests/cpu/encode.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "cpu/x86.h"

struct draft {
    struct random *r;
    struct encoding *e;
    const struct x86_opcode *row;
    const struct addressing *how;
    const struct encode_hint *hint;
    unsigned bits, modrm_at; /* 0: no ModRM */
    bool vex, memory;        /* memory: ModRM shall name it */
    uint8_t mandatory, vex_last, rex_w;
};

enum x86_bits encode_mode(unsigned bits)
{
    return bits == 64 ? X86_64 : bits == 32 ? X86_32 : X86_16;
}

bool row_named(const struct x86_opcode *row, const char *name)
{
    return !strcasecmp(x86_mnemonic_name((enum x86_mnemonic)row->mnemonic), name);
}

static void put(struct draft *d, unsigned byte)
{
    d->e->bytes[d->e->len++] = (uint8_t)byte;
}

static bool by_hint(struct draft *d)
{
    return d->hint->known && random_chance(d->r, 85);
}

static void put_legacy_prefixes(struct draft *d)
{
    static const uint8_t mandatory[] = {0x66, 0xf3, 0xf2, 0};
    static const uint8_t segments[] = {0x26, 0x2e, 0x36, 0x3e, 0x65, 0x64};

    if (random_chance(d->r, 8)) {
        put(d, segments[random_below(d->r, 6)]);
    }
    if (random_chance(d->r, d->how->kind == ADDRESS_BASE ? 0 : d->bits == 32 ? 3 : 12)) {
        put(d, 0x67);
    }
    if (d->vex) {
        return;
    }
    if (random_chance(d->r, 10)) {
        put(d, 0x66);
    }
    d->mandatory = by_hint(d)                ? d->hint->mandatory
                   : random_chance(d->r, 30) ? mandatory[random_below(d->r, 4)]
                                             : 0;
    if (d->mandatory) {
        put(d, d->mandatory);
    }
    if ((d->row->attr & AT_REP) && random_chance(d->r, 60)) {
        put(d, random_chance(d->r, 50) ? 0xf3 : 0xf2);
    }
    if ((d->row->attr & AT_LOCK) && random_chance(d->r, 30)) {
        put(d, 0xf0);
    }
}

/* REX.X and REX.B. */
static unsigned rex_xb(struct draft *d)
{
    if (d->memory && d->how->kind == ADDRESS_BASE) {
        return (d->how->base >> 3 & 1) | (d->how->index != X86_NOREG ? d->how->index >> 2 & 2 : 0);
    }
    return random_below(d->r, 4);
}

static void put_opcode(struct draft *d)
{
    unsigned map = d->row->map & 7, opcode = d->row->opcode;

    if (d->vex) {
        unsigned rxb = random_below(d->r, 2) << 2 | rex_xb(d);
        d->vex_last = by_hint(d) ? (d->hint->vex_last & 0x87) | (d->hint->vex_last & 0x78)
                                 : (uint8_t)random_next(d->r);
        if (d->hint->known && (d->hint->vex_last & 0x78) != 0x78) { /* vvvv is an operand */
            d->vex_last = (uint8_t)((d->vex_last & 0x87) | random_below(d->r, 16) << 3);
        } else if (!d->hint->known && random_chance(d->r, 50)) {
            d->vex_last |= 0x78;
        }
        if (d->bits < 64) {
            rxb = 0;
            d->vex_last |= 0x40;
        }
        if (map == 1 && !(rxb & 3) && !(d->vex_last & 0x80) && random_chance(d->r, 50)) {
            put(d, 0xc5);
            put(d, ((~rxb << 5) & 0x80) | (d->vex_last & 0x7f));
        } else {
            put(d, 0xc4);
            put(d, (~rxb << 5 & 0xe0) | (map ? map : 1));
            put(d, d->vex_last);
        }
        put(d, opcode);
        return;
    }
    if (d->bits == 64) {
        d->rex_w = by_hint(d) ? d->hint->rex_w : (uint8_t)random_below(d->r, 2);
        if (random_chance(d->r, 10)) {
            d->rex_w ^= 1;
        }
        unsigned rex = (unsigned)d->rex_w << 3 | random_below(d->r, 2) << 2 | rex_xb(d);
        bool needed = d->memory && d->how->kind == ADDRESS_BASE && (rex & 3);
        if (needed || d->rex_w || random_chance(d->r, 50)) {
            put(d, 0x40 | rex);
        }
    }
    if (map) {
        put(d, 0x0f);
        if (map > 1) {
            put(d, map == 2 ? 0x38 : 0x3a);
        }
    }
    put(d, opcode);
}

static void put_number(struct draft *d, uint64_t x, unsigned bytes)
{
    for (unsigned n = 0; n < bytes; n++) {
        put(d, x >> 8 * n & 0xff);
    }
}

/* A small displacement, mostly aligned. */
static int64_t small_displacement(struct draft *d)
{
    int64_t x = (int64_t)random_below(d->r, 240) - 120;

    return random_chance(d->r, 75)   ? x & ~INT64_C(31)
           : random_chance(d->r, 50) ? x & ~INT64_C(7)
                                     : x;
}

static void put_memory_of_base(struct draft *d, unsigned reg)
{
    unsigned base = d->how->base, wide = random_below(d->r, 3) == 0, mod = wide ? 2 : 1;

    if (d->bits == 16) { /* BX, BP, SI, DI */
        unsigned rm = base == X86_RSI ? 4 : base == X86_RDI ? 5 : base == X86_RBP ? 6 : 7;
        put(d, mod << 6 | reg << 3 | rm);
        put_number(d, (uint64_t)small_displacement(d), wide ? 2 : 1);
        return;
    }
    if (d->how->index != X86_NOREG || (base & 7) == 4) {
        unsigned index = d->how->index != X86_NOREG ? d->how->index & 7u : 4;
        put(d, mod << 6 | reg << 3 | 4);
        put(d, random_below(d->r, 4) << 6 | index << 3 | (base & 7));
    } else {
        put(d, mod << 6 | reg << 3 | (base & 7));
    }
    put_number(d, (uint64_t)small_displacement(d), wide ? 4 : 1);
}

static void put_operands(struct draft *d)
{
    unsigned modrm = random_below(d->r, 256), opcode = d->row->opcode;

    (void)opcode;
    modrm = d->memory ? modrm % 0xc0 : modrm | 0xc0;
    if (d->memory && d->how->kind == ADDRESS_ABSOLUTE) {
        modrm = (modrm & 0x38) | (d->bits == 64   ? random_chance(d->r, 50) ? 4 : 5
                                  : d->bits == 32 ? 5
                                                  : 6);
    }
    if (d->row->modrm_reg >= 8) { /* the whole byte */
        modrm = 0xc0 | (unsigned)(d->row->modrm_reg - 8);
    } else if (d->row->modrm_reg >= 0) {
        modrm = (modrm & 0xc7) | (unsigned)d->row->modrm_reg << 3;
    }
    d->modrm_at = d->e->len;
    if (d->memory && d->how->kind == ADDRESS_BASE && modrm < 0xc0) {
        put_memory_of_base(d, modrm >> 3 & 7);
    } else {
        put(d, modrm);
        if (d->how->kind == ADDRESS_ABSOLUTE && d->bits == 64 && (modrm & 0xc7) == 4) {
            put(d, 0x25); /* SIB: neither base nor index */
        }
    }
    while (d->e->len < 24) {
        put_number(d, random_integer(d->r), 4);
    }
}

/* Offset of a full displacement in the encoding; 0: none. */
static unsigned disp_at(const struct encoding *e, unsigned modrm_at)
{
    const struct x86_insn *i = &e->insn;
    uint8_t modrm = e->bytes[modrm_at];
    unsigned mod = modrm >> 6, rm = modrm & 7, at = modrm_at + 1;

    for (unsigned n = 0; n < i->nops; n++) {
        if (i->op[n].kind == OP_MOFFS) {
            return e->len - i->addrsize;
        }
    }
    if (!i->has_modrm || mod == 3) {
        return 0;
    }
    if (i->addrsize == 2) {
        return mod == 2 || (mod == 0 && rm == 6) ? at : 0;
    }
    if (rm == 4) {
        rm = e->bytes[at++] & 7;
    }
    return mod == 2 || (mod == 0 && rm == 5) ? at : 0;
}

bool encode_row(struct random *r, unsigned bits, const struct x86_opcode *row,
                const struct addressing *how, struct encode_hint *hint, struct encoding *e)
{
    for (unsigned attempt = 0; attempt < 3000; attempt++) {
        struct draft d = {.r = r,
                          .e = e,
                          .row = row,
                          .how = how,
                          .hint = hint,
                          .bits = bits,
                          .vex = row->map >= 9};
        e->len = 0;
        d.memory = random_chance(r, 60);
        put_legacy_prefixes(&d);
        put_opcode(&d);
        put_operands(&d);
        if (x86_decode(e->bytes, 15, encode_mode(bits), &e->insn) != X86_DECODE_OK ||
            e->insn.row != row) {
            continue;
        }
        if (bits < 64 && e->insn.seg == SEG_CS && e->insn.op[0].kind == OP_MEM) {
            continue; /* writes to CS are refused before reads fault, which is not modelled */
        }
        e->len = e->insn.len;
        e->disp_at = disp_at(e, d.modrm_at);
        if (!hint->known) {
            *hint = (struct encode_hint){true, d.mandatory, d.vex_last, d.rex_w};
        }
        return true;
    }
    return false;
}

void encode_bytes(unsigned bits, const uint8_t *bytes, unsigned len, struct encoding *e)
{
    memset(e, 0, sizeof *e);
    memcpy(e->bytes, bytes, len);
    e->len = len;
    enum x86_decode_result result = x86_decode(e->bytes, 15, encode_mode(bits), &e->insn);
    assert(result == X86_DECODE_OK && e->insn.len == len);
    (void)result;
}
