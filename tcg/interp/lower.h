/* What the files that lower IR to slots share (lower.c). */
#ifndef TCG_INTERP_LOWER_H
#define TCG_INTERP_LOWER_H

#include "tcg/interp/iop.h"

#include "tcg/ir_info.h"

struct lower {
    const struct ir *ir;
    struct tb *tb;
    union iop *base, *out, *end;
    bool overflow;
    int32_t *label;  /* slot number, -1: not yet */
    uint32_t *fixup; /* slots with branches; label number in branch_label */
    uint32_t *fixup_label;
    unsigned nfixups;
    struct map_entry *map;
    unsigned nmap, nmeta, ncc;
    struct map_cc *cc;
    uint64_t *meta;
    uint16_t cur_cc;
};

static inline uint16_t off(ir_reg r)
{
    return REG_OFF(r == IR_NONE ? REG_ZERO : r);
}

static inline uint16_t voff(ir_reg r, ir_reg instead)
{
    return VREG_OFF(r != IR_NONE ? r : instead != IR_NONE ? instead : 0);
}

static inline bool fits32(int64_t x)
{
    return x == (int32_t)x;
}

static inline bool fits16(int64_t x)
{
    return x == (int16_t)x;
}

/* A fresh slot; when the buffer is full a slot that is written again and again. */
static inline union iop *slot(struct lower *l, iop_fn fn)
{
    union iop *s = l->out;

    if (l->end - l->out < 16) {
        l->overflow = true;
    } else {
        l->out++;
    }
    s->q[0] = s->q[1] = 0;
    s->fn = fn;
    return s;
}

static inline union iop *data(struct lower *l, uint64_t q0, uint64_t q1)
{
    union iop *s = slot(l, NULL);

    s->q[0] = q0;
    s->q[1] = q1;
    return s;
}

static inline unsigned here(const struct lower *l)
{
    return (unsigned)(l->out - l->base);
}

static inline void emit(struct lower *l, iop_fn fn, uint16_t d, uint16_t a, uint16_t b, uint16_t c)
{
    union iop *s = slot(l, fn);

    s->d = d;
    s->a = a;
    s->b = b;
    s->c = c;
}

static inline void emit_imm(struct lower *l, iop_fn fn, uint16_t d, uint16_t a, int64_t imm)
{
    union iop *s = slot(l, fn);

    s->d = d;
    s->a = a;
    s->imm = (int32_t)imm;
}

static inline void movi(struct lower *l, ir_reg d, int64_t imm)
{
    if (fits32(imm)) {
        emit_imm(l, iop_misc.movi32, off(d), 0, imm);
    } else {
        emit(l, iop_misc.movi64, off(d), 0, 0, 0);
        data(l, (uint64_t)imm, 0);
    }
}

static inline unsigned wrap_of(const struct ir_op *op)
{
    return op->flags & IR_PC16 ? 2 : op->flags & IR_PC32 ? 1 : 0;
}

/* The fault map: an instruction begins; flags are set (NULL: by slots that need no entry). */
void lower_map_insn(struct lower *l, const struct ir_op *op);
void lower_map_cc(struct lower *l, const struct ir_op *op);

/* One op each. */
void lower_bin(struct lower *l, const struct ir_op *op);
void lower_setcond(struct lower *l, const struct ir_op *op);
void lower_movcond(struct lower *l, const struct ir_op *op);
void lower_addx(struct lower *l, const struct ir_op *op);
void lower_extract(struct lower *l, const struct ir_op *op);
void lower_deposit(struct lower *l, const struct ir_op *op);
void lower_cc(struct lower *l, const struct ir_op *op);
void lower_ld(struct lower *l, const struct ir_op *op);
void lower_st(struct lower *l, const struct ir_op *op);
void lower_env(struct lower *l, const struct ir_op *op);
void lower_vec(struct lower *l, const struct ir_op *op);
void lower_brcond(struct lower *l, const struct ir_op *op);
void lower_call(struct lower *l, const struct ir_op *op);
void lower_exit_tb(struct lower *l, const struct ir_op *op);

void lower_branch_to(struct lower *l, union iop *s, unsigned label); /* s: a slot that branches */
/* The slots behind an exit: its target and its stub. */
void lower_exit_slots(struct lower *l, union iop *s, bool cross);

/* Several ops as one slot (lower_fuse.c): how many were taken, 0: none. */
unsigned lower_try_push(struct lower *l, unsigned i);
unsigned lower_try_call(struct lower *l, unsigned i);
unsigned lower_try_pop(struct lower *l, unsigned i);
unsigned lower_try_small_test(struct lower *l, unsigned i);
unsigned lower_try_alu_cc(struct lower *l, unsigned i);
unsigned lower_try_cc_sub(struct lower *l, unsigned i);
unsigned lower_try_mov_mov(struct lower *l, unsigned i);
unsigned lower_try_brx(struct lower *l, unsigned i);
void lower_try_checked_return(struct lower *l, unsigned i); /* takes none: a slot before them */

#endif
