/* A plain evaluator of integer IR, for tests of what the translator emits: no TLB, no blocks,
 * memory by callbacks. It is deliberately another reading of tcg/ir.h than the interpreter's. */
#ifndef TESTS_CPU_IR_EVAL_H
#define TESTS_CPU_IR_EVAL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tcg/ir.h"

struct eval {
    struct vcpu *v;
    uint64_t (*load)(struct eval *e, uint64_t va, unsigned bytes);
    void (*store)(struct eval *e, uint64_t va, unsigned bytes, uint64_t value);
    const struct ir_op *insn; /* last INSN passed */
    const struct ir_op *exit; /* the exit taken */
};

static inline uint64_t eval_trunc(uint64_t x, enum ir_width w)
{
    return w == W32 ? (uint32_t)x : x;
}

static inline bool eval_cond(unsigned c, enum ir_width w, uint64_t a, uint64_t b)
{
    a = eval_trunc(a, w);
    b = eval_trunc(b, w);
    int64_t sa = w == W32 ? (int32_t)a : (int64_t)a, sb = w == W32 ? (int32_t)b : (int64_t)b;
    bool r[IR_NCOND] = {
        [IR_EQ] = a == b,
        [IR_NE] = a != b,
        [IR_LT] = sa<sb, [IR_GE] = sa >= sb, [IR_LE] = sa <= sb, [IR_GT] = sa> sb,
        [IR_LTU] = a<b, [IR_GEU] = a >= b, [IR_LEU] = a <= b, [IR_GTU] = a> b,
        [IR_TSTNE] = (a & b) != 0,
        [IR_TSTEQ] = (a & b) == 0,
    };
    return r[c];
}

static inline uint64_t eval_divide(unsigned opc, enum ir_width w, uint64_t high, uint64_t low,
                                   uint64_t divisor)
{
    unsigned __int128 n = w == W32 ? (uint64_t)(uint32_t)high << 32 | (uint32_t)low
                                   : (unsigned __int128)high << 64 | low;
    __int128 s = w == W32 ? (int64_t)n : (__int128)n;
    __int128 sd = w == W32 ? (int32_t)divisor : (int64_t)divisor;
    uint64_t d = w == W32 ? (uint32_t)divisor : divisor;

    switch (opc) {
    case IR_DIVU:
        return (uint64_t)(n / d);
    case IR_REMU:
        return (uint64_t)(n % d);
    case IR_DIVS:
        return (uint64_t)(s / sd);
    default:
        return (uint64_t)(s % sd);
    }
}

static inline uint64_t eval_alu(unsigned opc, enum ir_width w, uint64_t a, uint64_t b)
{
    unsigned bits = w == W32 ? 32 : 64, n = (unsigned)b & (bits - 1);

    a = eval_trunc(a, w);
    b = eval_trunc(b, w);
    switch (opc) {
    case IR_ADD:
        return a + b;
    case IR_SUB:
        return a - b;
    case IR_AND:
        return a & b;
    case IR_OR:
        return a | b;
    case IR_XOR:
        return a ^ b;
    case IR_MUL:
        return a * b;
    case IR_MULHU:
        return w == W32 ? a * b >> 32 : (uint64_t)(((unsigned __int128)a * b) >> 64);
    case IR_MULHS:
        return w == W32 ? (uint64_t)(((int64_t)(int32_t)a * (int32_t)b) >> 32)
                        : (uint64_t)(((__int128)(int64_t)a * (int64_t)b) >> 64);
    case IR_SHL:
        return a << n;
    case IR_SHR:
        return a >> n;
    case IR_SAR:
        return w == W32 ? (uint64_t)((int32_t)a >> n) : (uint64_t)((int64_t)a >> n);
    case IR_ROTL:
        return n ? a << n | a >> (bits - n) : a;
    case IR_ROTR:
        return n ? a >> n | a << (bits - n) : a;
    default:
        fprintf(stderr, "ir_eval: op %u\n", opc);
        abort();
    }
}

static inline uint64_t eval_call(struct eval *e, const struct ir_op *o)
{
    const struct ir_helper *h = (const struct ir_helper *)(intptr_t)o->imm2;
    uint64_t *r = e->v->reg, x[4] = {0};
    unsigned n = 0;

    if (o->a != IR_NONE) {
        x[n++] = r[o->a];
    }
    if (o->b != IR_NONE) {
        x[n++] = r[o->b];
    }
    if (o->c != IR_NONE) {
        x[n++] = r[o->c];
    }
    if (h->flags & HELPER_IMM) {
        x[n++] = (uint64_t)o->imm;
    }
    switch (n) {
    case 0:
        return ((uint64_t(*)(struct vcpu *))h->fn)(e->v);
    case 1:
        return ((uint64_t(*)(struct vcpu *, uint64_t))h->fn)(e->v, x[0]);
    case 2:
        return ((uint64_t(*)(struct vcpu *, uint64_t, uint64_t))h->fn)(e->v, x[0], x[1]);
    case 3:
        return ((uint64_t(*)(struct vcpu *, uint64_t, uint64_t, uint64_t))h->fn)(e->v, x[0], x[1],
                                                                                 x[2]);
    default:
        return ((uint64_t(*)(struct vcpu *, uint64_t, uint64_t, uint64_t, uint64_t))h->fn)(
            e->v, x[0], x[1], x[2], x[3]);
    }
}

static inline uint64_t eval_address(const uint64_t *r, const struct ir_op *o, ir_reg index)
{
    uint64_t va = r[o->a] + (uint64_t)o->imm;

    if (index != IR_NONE && (o->aux & MO_INDEX)) {
        va += r[index] << (o->aux >> MO_SCALE & 3);
    }
    return o->aux & MO_A32 ? (uint32_t)va : va;
}

static inline uint64_t eval_sign(uint64_t x, unsigned bytes)
{
    return (uint64_t)((int64_t)(x << (64 - 8 * bytes)) >> (64 - 8 * bytes));
}

/* Runs ir from its first op to an exit. REG_PC is left alone but by EXIT ops, as in the contract.
 */
static inline void ir_eval(struct eval *e, const struct ir *ir)
{
    uint64_t *r = e->v->reg;

    for (unsigned n = 0; n < ir->nops;) {
        const struct ir_op *o = &ir->ops[n++];
        enum ir_width w = o->w;
        uint64_t a = o->a < TCG_NREGS ? r[o->a] : 0, d = 0;
        uint64_t b = o->flags & IR_BIMM ? (uint64_t)o->imm : o->b < TCG_NREGS ? r[o->b] : 0;
        uint64_t c = o->c < TCG_NREGS ? r[o->c] : 0;
        unsigned bytes = 1u << (o->aux & MO_SIZE), label = UINT32_MAX;

        switch (o->opc) {
        case IR_INSN:
            e->insn = o;
            continue;
        case IR_MOV:
            d = a;
            break;
        case IR_MOVI:
            d = (uint64_t)o->imm;
            w = W64;
            break;
        case IR_MOVPC:
            d = r[TCG_REG_PC] + (uint64_t)o->imm;
            w = W64;
            break;
        case IR_NEG:
            d = -a;
            break;
        case IR_NOT:
            d = ~a;
            break;
        case IR_EXT8U:
            d = (uint8_t)a;
            break;
        case IR_EXT16U:
            d = (uint16_t)a;
            break;
        case IR_EXT32U:
            d = (uint32_t)a;
            break;
        case IR_EXT8S:
            d = eval_sign(a, 1);
            break;
        case IR_EXT16S:
            d = eval_sign(a, 2);
            break;
        case IR_EXT32S:
            d = eval_sign(a, 4);
            w = W64;
            break;
        case IR_EXTRACT:
            d = a >> (o->imm & 0xff) & (UINT64_MAX >> (64 - (o->imm >> 8)));
            break;
        case IR_DEPOSIT: {
            uint64_t mask = (UINT64_MAX >> (64 - (o->imm >> 8))) << (o->imm & 0xff);
            d = (a & ~mask) | (r[o->b] << (o->imm & 0xff) & mask);
            w = W64;
            break;
        }
        case IR_BSWAP:
            d = w == W32 ? __builtin_bswap32((uint32_t)a) : __builtin_bswap64(a);
            break;
        case IR_CLZ:
            a = eval_trunc(a, w);
            d = !a ? (w == W32 ? 32 : 64) : (unsigned)__builtin_clzll(a) - (w == W32 ? 32 : 0);
            break;
        case IR_CTZ:
            a = eval_trunc(a, w);
            d = !a ? (w == W32 ? 32 : 64) : (unsigned)__builtin_ctzll(a);
            break;
        case IR_POPCNT:
            d = (unsigned)__builtin_popcountll(eval_trunc(a, w));
            break;
        case IR_SETCOND:
            d = eval_cond(o->aux, w, a, b);
            break;
        case IR_MOVCOND:
            d = eval_cond(o->aux, w, a, b) ? c : r[o->imm];
            break;
        case IR_DIVU:
        case IR_REMU:
        case IR_DIVS:
        case IR_REMS:
            d = eval_divide(o->opc, w, c, a, b);
            break;
        case IR_ADDX:
            d = a + b + (c & 1);
            break;
        case IR_SUBX:
            d = a - b - (c & 1);
            break;
        case IR_CC:
            r[TCG_REG_CC_OP] = (uint64_t)o->imm;
            b = o->flags & IR_BIMM ? (uint64_t)o->imm2 : b;
            if (o->a != IR_NONE) {
                r[TCG_REG_CC_A] = a;
            }
            if (o->b != IR_NONE || (o->flags & IR_BIMM)) {
                r[TCG_REG_CC_B] = b;
            }
            if (o->c != IR_NONE) {
                r[TCG_REG_CC_C] = c;
            }
            continue;
        case IR_LD:
            d = e->load(e, eval_address(r, o, o->c), bytes);
            if (o->aux & MO_SIGN) {
                d = eval_trunc(eval_sign(d, bytes), w);
            }
            w = W64;
            break;
        case IR_ST:
            e->store(e, eval_address(r, o, o->c), bytes,
                     o->flags & IR_BIMM ? (uint64_t)o->imm2 : b);
            continue;
        case IR_LDENV:
            memcpy(&d, (char *)e->v + o->imm, bytes); /* little endian hosts only */
            w = W64;
            break;
        case IR_STENV:
            b = o->flags & IR_BIMM ? (uint64_t)o->imm2 : b;
            memcpy((char *)e->v + o->imm, &b, bytes);
            continue;
        case IR_ATOMIC: {
            static const uint8_t op[] = {IR_ADD, IR_SUB, IR_AND, IR_OR, IR_XOR};
            uint64_t va = eval_address(r, o, IR_NONE), old = e->load(e, va, bytes);
            e->store(e, va, bytes, o->imm2 == IR_AT_XCHG ? b : eval_alu(op[o->imm2], W64, old, b));
            d = old;
            w = W64;
            break;
        }
        case IR_CMPXCHG: {
            uint64_t va = eval_address(r, o, IR_NONE), old = e->load(e, va, bytes);
            if (old == (b & (UINT64_MAX >> (64 - 8 * bytes)))) {
                e->store(e, va, bytes, c);
            }
            d = old;
            w = W64;
            break;
        }
        case IR_FENCE:
        case IR_LABEL:
            continue;
        case IR_CALL:
            d = eval_call(e, o);
            w = W64;
            if (o->d == IR_NONE) {
                continue;
            }
            break;
        case IR_BR:
            label = (unsigned)o->imm;
            break;
        case IR_BRCOND:
            if (!eval_cond(o->aux, w, a, b)) {
                continue;
            }
            label = o->d;
            break;
        case IR_EXIT_TB:
        case IR_EXIT_LOOP:
        case IR_EXIT_IND:
            if (!(o->flags & IR_KEEPPC)) {
                uint64_t pc = o->opc == IR_EXIT_IND ? a : r[TCG_REG_PC] + (uint64_t)o->imm;
                r[TCG_REG_PC] = o->flags & IR_PC16   ? (uint16_t)pc
                                : o->flags & IR_PC32 ? (uint32_t)pc
                                                     : pc;
            }
            e->exit = o;
            return;
        default:
            d = eval_alu(o->opc, w, a, b);
            break;
        }
        if (label != UINT32_MAX) {
            for (n = 0; ir->ops[n].opc != IR_LABEL || ir->ops[n].imm != label; n++) {
            }
            continue;
        }
        r[o->d] = eval_trunc(d, w);
    }
    fprintf(stderr, "ir_eval: ran off the end\n");
    abort();
}

#endif
