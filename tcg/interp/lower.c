/* Lowering: IR to the slots of iop.h. One pass over the ops; branches to later labels are patched
 * at the end. Common pairs and triples become one slot: lazy flags + conditional branch + both
 * exits. */
#include "tcg/interp/iop.h"

#include <stdlib.h>

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
static union iop *slot(struct lower *l, iop_fn fn)
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

static union iop *data(struct lower *l, uint64_t q0, uint64_t q1)
{
    union iop *s = slot(l, NULL);

    s->q[0] = q0;
    s->q[1] = q1;
    return s;
}

static unsigned here(const struct lower *l)
{
    return (unsigned)(l->out - l->base);
}

static void emit(struct lower *l, iop_fn fn, uint16_t d, uint16_t a, uint16_t b, uint16_t c)
{
    union iop *s = slot(l, fn);

    s->d = d;
    s->a = a;
    s->b = b;
    s->c = c;
}

static void emit_imm(struct lower *l, iop_fn fn, uint16_t d, uint16_t a, int64_t imm)
{
    union iop *s = slot(l, fn);

    s->d = d;
    s->a = a;
    s->imm = (int32_t)imm;
}

static void movi(struct lower *l, ir_reg d, int64_t imm)
{
    if (fits32(imm)) {
        emit_imm(l, iop_misc.movi32, off(d), 0, imm);
    } else {
        emit(l, iop_misc.movi64, off(d), 0, 0, 0);
        data(l, (uint64_t)imm, 0);
    }
}

/* ---- the fault map ---- */

static void map_add(struct lower *l, int32_t at, uint16_t meta)
{
    unsigned now = here(l);
    struct map_entry *e;

    if (now > UINT16_MAX) {
        l->overflow = true;
        return;
    }
    e = &l->map[l->nmap ? l->nmap - 1 : 0];
    if (!l->nmap || e->slot != now) {
        e = &l->map[l->nmap++];
    }
    *e = (struct map_entry){(uint16_t)now, at, l->cur_cc, meta};
}

static void map_insn(struct lower *l, const struct ir_op *op)
{
    uint16_t meta = 0;

    if (op->imm2) {
        if (!l->nmeta || l->meta[l->nmeta - 1] != (uint64_t)op->imm2) {
            l->meta[l->nmeta++] = (uint64_t)op->imm2;
        }
        meta = (uint16_t)l->nmeta;
    }
    map_add(l, (int32_t)op->imm, meta);
}

static void map_cc(struct lower *l, const struct ir_op *op)
{
    const struct map_entry *last;

    if (!l->nmap) {
        return; /* before the first instruction nothing can fault */
    }
    last = &l->map[l->nmap - 1];
    if (op && (op->flags & IR_CC_MAP)) {
        l->cc[l->ncc++] = (struct map_cc){
            (uint64_t)op->imm, (uint64_t)op->imm2, op->a, op->b, op->c, (op->flags & IR_BIMM) != 0};
        l->cur_cc = (uint16_t)l->ncc;
    } else if (l->cur_cc) {
        l->cur_cc = 0;
    } else {
        return;
    }
    map_add(l, last->off, last->meta);
}

/* ---- integer ops ---- */

static void lower_bin(struct lower *l, const struct ir_op *op)
{
    const iop_fn *forms = iop_bin[op->opc][op->w];

    if ((op->flags & IR_BIMM) && (op->w == W32 || fits32(op->imm))) {
        int64_t imm = op->w == W32 ? (int32_t)op->imm : op->imm;
        if (forms[FORM_RI]) {
            emit_imm(l, op->d == op->a ? forms[FORM_RI_SAME] : forms[FORM_RI], off(op->d),
                     off(op->a), imm);
            return;
        }
    }
    ir_reg b = op->b;
    if (op->flags & IR_BIMM) {
        movi(l, REG_SCRATCH0, op->imm);
        b = REG_SCRATCH0;
    }
    if (op->d == op->a && forms[FORM_RR_SAME]) {
        emit(l, forms[FORM_RR_SAME], off(op->d), off(op->a), off(b), 0);
    } else {
        emit(l, forms[FORM_RR], off(op->d), off(op->a), off(b), 0);
    }
}

static void lower_setcond(struct lower *l, const struct ir_op *op)
{
    const iop_fn *forms = iop_setcond[op->aux][op->w];
    ir_reg b = op->b;

    if (op->flags & IR_BIMM) {
        if (op->w == W32 || fits32(op->imm)) {
            emit_imm(l, forms[1], off(op->d), off(op->a), op->imm);
            return;
        }
        movi(l, REG_SCRATCH0, op->imm);
        b = REG_SCRATCH0;
    }
    emit(l, forms[0], off(op->d), off(op->a), off(b), 0);
}

/* The handler keeps or replaces its destination, so `no` must be there first. */
static void lower_movcond(struct lower *l, const struct ir_op *op)
{
    ir_reg no = (ir_reg)op->imm, d = op->d;
    enum ir_cond cond = op->aux;
    ir_reg yes = op->c;

    if (yes == d && no != d) {
        ir_reg t = yes;
        yes = no;
        no = t;
        cond = ir_cond_not(cond);
    }
    if (no != d && (d == op->a || d == op->b)) {
        d = REG_SCRATCH0;
    }
    if (no != d) {
        emit(l, iop_un[IR_MOV][W64], off(d), off(no), 0, 0);
    }
    emit(l, iop_movcond[cond][op->w], off(d), off(op->a), off(op->b), off(yes));
    if (d != op->d) {
        emit(l, iop_un[IR_MOV][W64], off(op->d), off(d), 0, 0);
    }
}

static void lower_addx(struct lower *l, const struct ir_op *op)
{
    ir_reg b = op->b;

    if (op->flags & IR_BIMM) {
        movi(l, REG_SCRATCH0, op->imm);
        b = REG_SCRATCH0;
    }
    emit(l, op->opc == IR_ADDX ? iop_misc.addx[op->w] : iop_misc.subx[op->w], off(op->d),
         off(op->a), off(b), off(op->c));
}

static void lower_extract(struct lower *l, const struct ir_op *op)
{
    unsigned pos = op->imm & 0xff, len = (unsigned)(op->imm >> 8);

    if (pos == 0 && (len == 8 || len == 16 || len == 32)) {
        static const uint8_t ext[] = {IR_EXT8U, IR_EXT16U, 0, IR_EXT32U};
        emit(l, iop_un[ext[len / 8 - 1]][W64], off(op->d), off(op->a), 0, 0);
    } else if (len == 1) {
        emit(l, iop_misc.bit, off(op->d), off(op->a), 0, (uint16_t)pos);
    } else if (pos + len == 64) {
        emit_imm(l, iop_bin[IR_SHR][W64][FORM_RI], off(op->d), off(op->a), pos);
    } else {
        emit(l, iop_misc.extract, off(op->d), off(op->a), (uint16_t)(64 - pos - len),
             (uint16_t)(64 - len));
    }
}

static void lower_deposit(struct lower *l, const struct ir_op *op)
{
    unsigned pos = op->imm & 0xff, len = (unsigned)(op->imm >> 8);
    uint16_t d = off(op->d), a = off(op->a), b = off(op->b);
    uint64_t mask = (len == 64 ? UINT64_MAX : (UINT64_C(1) << len) - 1) << pos;

    if (len == 8 && pos == 0) {
        emit(l, iop_misc.deposit0_8, d, a, b, 0);
    } else if (len == 8 && pos == 8) {
        emit(l, iop_misc.deposit8_8, d, a, b, 0);
    } else if (len == 16 && pos == 0) {
        emit(l, iop_misc.deposit0_16, d, a, b, 0);
    } else {
        emit(l, iop_misc.deposit, d, a, b, 0);
        data(l, mask, pos);
    }
}

static void lower_cc(struct lower *l, const struct ir_op *op)
{
    bool bimm = op->flags & IR_BIMM, b = op->b != IR_NONE && !bimm, c = op->c != IR_NONE;
    uint16_t kind = (uint16_t)op->imm;

    if (op->imm < 0 || op->imm > UINT16_MAX || op->a == IR_NONE || (c && !b) ||
        (bimm && !fits32(op->imm2))) {
        /* An unusual set: they are plain registers. Values first, none of which is a CC register
         * that an earlier move has changed: ops that read CC registers as sources are rare, and
         * go through scratch. */
        ir_reg src[3] = {op->a, op->b, op->c};
        for (unsigned i = 0; i < 3; i++) {
            ir_reg s = (ir_reg)(REG_SCRATCH0 + i);
            if (i == 1 && bimm) {
                movi(l, s, op->imm2);
                src[i] = s;
            } else if (src[i] != IR_NONE) {
                emit(l, iop_un[IR_MOV][W64], off(s), off(src[i]), 0, 0);
            }
        }
        for (unsigned i = 0; i < 3; i++) {
            if (src[i] != IR_NONE) {
                emit(l, iop_un[IR_MOV][W64], off((ir_reg)(TCG_REG_CC_A + i)),
                     off((ir_reg)(REG_SCRATCH0 + i)), 0, 0);
            }
        }
        movi(l, TCG_REG_CC_OP, op->imm);
        return;
    }
    if (bimm) {
        emit_imm(l, iop_misc.cc_ai, kind, off(op->a), op->imm2);
    } else if (c) {
        emit(l, iop_misc.cc_abc, kind, off(op->a), off(op->b), off(op->c));
    } else if (b) {
        emit(l, iop_misc.cc_ab, kind, off(op->a), off(op->b), 0);
    } else {
        emit(l, iop_misc.cc_a, kind, off(op->a), 0, 0);
    }
}

/* ---- memory ---- */

/* A register that holds the operand's address without the displacement *disp (which fits bits). */
static ir_reg address_sum(struct lower *l, const struct ir_op *op, bool whole)
{
    ir_reg sum = op->a;
    bool a32 = op->aux & MO_A32;
    enum ir_width w = a32 ? W32 : W64;

    if (op->aux & MO_INDEX) {
        unsigned scale = op->aux >> MO_SCALE & 3;
        ir_reg index = op->c;
        if (scale) {
            emit_imm(l, iop_bin[IR_SHL][w][FORM_RI], off(REG_SCRATCH0), off(index), scale);
            index = REG_SCRATCH0;
        }
        emit(l, iop_bin[IR_ADD][w][FORM_RR], off(REG_SCRATCH0), off(sum), off(index), 0);
        sum = REG_SCRATCH0;
    }
    if (!whole && fits32(op->imm)) {
        return sum;
    }
    if (fits32(op->imm)) {
        emit_imm(l, iop_bin[IR_ADD][w][FORM_RI], off(REG_SCRATCH0), off(sum), op->imm);
    } else {
        movi(l, REG_SCRATCH1, op->imm);
        emit(l, iop_bin[IR_ADD][w][FORM_RR], off(REG_SCRATCH0), off(sum), off(REG_SCRATCH1), 0);
    }
    return REG_SCRATCH0;
}

/* The addressing mode as the table of handlers knows it: one slot. */
static void lower_access(struct lower *l, const struct ir_op *op, const iop_fn *modes, uint16_t d)
{
    unsigned a32 = op->aux & MO_A32 ? 1 : 0;
    unsigned scale = op->aux >> MO_SCALE & 3;
    int64_t disp = a32 ? (int32_t)op->imm : op->imm;

    if (!(op->aux & MO_INDEX) && fits32(disp)) {
        emit_imm(l, modes[AM_BD + a32], d, off(op->a), disp);
    } else if ((op->aux & MO_INDEX) && fits16(disp)) {
        emit(l, modes[AM_BX + 2 * scale + a32], d, off(op->a), off(op->c), (uint16_t)disp);
    } else if ((op->aux & MO_INDEX) && fits32(disp)) {
        /* The displacement joins the base. */
        emit_imm(l, iop_bin[IR_ADD][a32 ? W32 : W64][FORM_RI], off(REG_SCRATCH0), off(op->a), disp);
        emit(l, modes[AM_BX + 2 * scale + a32], d, off(REG_SCRATCH0), off(op->c), 0);
    } else {
        ir_reg sum = address_sum(l, op, true);
        emit_imm(l, modes[AM_BD], d, off(sum), 0);
    }
}

static void lower_ld(struct lower *l, const struct ir_op *op)
{
    unsigned size = op->aux & MO_SIZE;
    unsigned kind = size;

    if (op->aux & MO_ALIGN) {
        ir_reg sum = address_sum(l, op, true);
        emit(l, iop_load_any, off(op->d), off(sum), op->w, op->aux);
        return;
    }
    if ((op->aux & MO_SIGN) && size < MO_64) {
        kind = op->w == W64 ? LD_S8 + size : size == MO_32 ? LD_U32 : LD_S8_32 + size;
    }
    lower_access(l, op, iop_load[kind], off(op->d));
}

static void lower_st(struct lower *l, const struct ir_op *op)
{
    unsigned size = op->aux & MO_SIZE;
    unsigned a32 = op->aux & MO_A32 ? 1 : 0;
    ir_reg value = op->b;
    int64_t disp = a32 ? (int32_t)op->imm : op->imm;
    int64_t imm2 = size == MO_64 ? op->imm2 : (int32_t)op->imm2;

    if ((op->flags & IR_BIMM) && !(op->aux & (MO_ALIGN | MO_INDEX)) && fits16(disp) &&
        fits32(imm2)) {
        emit_imm(l, iop_storei[size][a32], (uint16_t)disp, off(op->a), imm2);
        return;
    }
    if (op->flags & IR_BIMM) {
        movi(l, REG_SCRATCH2, op->imm2);
        value = REG_SCRATCH2;
    }
    if (op->aux & MO_ALIGN) {
        ir_reg sum = address_sum(l, op, true);
        emit(l, iop_store_any, 0, off(sum), off(value), op->aux);
        return;
    }
    lower_access(l, op, iop_store[size], off(value));
}

static void lower_env(struct lower *l, const struct ir_op *op)
{
    unsigned size = op->aux & MO_SIZE;

    if (op->opc == IR_LDENV) {
        unsigned kind = (op->aux & MO_SIGN) && size < MO_64 ? LD_S8 + size : size;
        emit_imm(l, iop_misc.ldenv[kind], off(op->d), 0, op->imm);
    } else if ((op->flags & IR_BIMM) && fits16(op->imm2)) {
        emit_imm(l, iop_misc.stenvi[size], 0, (uint16_t)op->imm2, op->imm);
    } else {
        ir_reg value = op->b;
        if (op->flags & IR_BIMM) {
            movi(l, REG_SCRATCH0, op->imm2);
            value = REG_SCRATCH0;
        }
        emit_imm(l, iop_misc.stenv[size], 0, off(value), op->imm);
    }
}

/* ---- control ---- */

static void branch_to(struct lower *l, union iop *s, unsigned label)
{
    if (l->overflow) {
        return;
    }
    l->fixup[l->nfixups] = (uint32_t)(s - l->base);
    l->fixup_label[l->nfixups++] = label;
}

static void lower_brcond(struct lower *l, const struct ir_op *op)
{
    const iop_fn *forms = iop_brcond[op->aux][op->w];
    union iop *s;
    ir_reg b = op->b;

    if ((op->flags & IR_BIMM) && (op->w == W32 || fits32(op->imm))) {
        s = slot(l, forms[1]);
        s->a = off(op->a);
        s->imm = (int32_t)op->imm;
    } else {
        if (op->flags & IR_BIMM) {
            movi(l, REG_SCRATCH0, op->imm);
            b = REG_SCRATCH0;
        }
        s = slot(l, forms[0]);
        s->a = off(op->a);
        s->b = off(b);
    }
    branch_to(l, s, op->d);
}

static unsigned wrap_of(const struct ir_op *op)
{
    return op->flags & IR_PC16 ? 2 : op->flags & IR_PC32 ? 1 : 0;
}

/* The target may be on another page than the block (with a 16-bit pc: wrap, and be anywhere). */
static bool crosses(const struct lower *l, const struct ir_op *op)
{
    int64_t target = (int64_t)(l->tb->phys & PAGE_OFFSET_MASK) + op->imm;
    return (op->flags & IR_PC16) || target < 0 || target >= (int64_t)PAGE_SIZE_GUEST;
}

/* The slots behind an exit: its target and its stub. */
static void exit_slots(struct lower *l, union iop *s, bool cross)
{
    struct tb_exit *e;

    data(l, 0, 0);
    slot(l, iop_stub);
    if (l->overflow) {
        return;
    }
    e = tb_add_exit(l->tb, (uint32_t)((uint8_t *)s - (uint8_t *)l->tb), cross);
    s[EXIT_TARGET].q[0] = (uintptr_t)&s[EXIT_STUB];
    s[EXIT_STUB].data = (uintptr_t)e;
}

static void lower_exit_tb(struct lower *l, const struct ir_op *op)
{
    unsigned wrap = wrap_of(op);
    bool cross = crosses(l, op), poll = op->flags & IR_POLL;
    union iop *s;

    if (l->ir->no_link || !fits32(op->imm)) {
        /* Not linked: back to the loop. A distance beyond 2 GiB cannot come from x86 code. */
        if (!fits32(op->imm)) {
            movi(l, REG_SCRATCH0, op->imm);
            emit(l, iop_bin[IR_ADD][W64][FORM_RR], off(REG_SCRATCH0), off(TCG_REG_PC),
                 off(REG_SCRATCH0), 0);
            emit(l, iop_exit_stop_ind[wrap], 0, off(REG_SCRATCH0), 0, 0);
        } else {
            emit_imm(l, iop_exit_stop[wrap], 0, 0, op->imm);
        }
        return;
    }
    s = slot(l, iop_exit[wrap][cross][poll]);
    s->a = wrap == 2 ? EXIT_OWN : cross ? EXIT_GUARDED : EXIT_PLAIN;
    s->imm = (int32_t)op->imm;
    exit_slots(l, s, cross);
}

static void lower_call(struct lower *l, const struct ir_op *op)
{
    const struct ir_helper *h = ir_op_helper(op);
    bool imm = h->flags & HELPER_IMM, result = op->d != IR_NONE;
    ir_reg in[3] = {op->a, op->b, op->c};
    uint16_t arg[3] = {off(REG_ZERO), off(REG_ZERO), off(REG_ZERO)};
    unsigned n = 0;

    for (unsigned i = 0; i < 3; i++) {
        if (in[i] != IR_NONE) {
            arg[n++] = off(in[i]);
        }
    }
    emit(l, iop_call[n][imm][result], result ? off(op->d) : 0, arg[0], arg[1], arg[2]);
    data(l, (uint64_t)(uintptr_t)h->fn, (uint64_t)op->imm);
}

/* op moves its register by imm (as d += imm in width w). */
static bool moves(const struct ir_op *op, ir_reg r, enum ir_width w, int64_t imm)
{
    return op->opc == IR_ADD && op->w == w && (op->flags & IR_BIMM) && op->d == r && op->a == r &&
           (w == W64 ? op->imm : (int32_t)op->imm) == imm;
}

/* Width of a stack access that has a handler: 64 bits, or 32 with a 32-bit address; -1: neither. */
static int stack_width(const struct ir_op *op)
{
    if ((op->aux & ~MO_A32) == MO_64 && !(op->aux & MO_A32)) {
        return W64;
    }
    return op->aux == (MO_32 | MO_A32) ? W32 : -1;
}

/* store below r; r -= size: push; with the return address and an exit behind it: call. */
static unsigned try_push(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i];
    int w = stack_width(op);
    int64_t disp = w == W32 ? (int32_t)op->imm : op->imm;

    if (w < 0 || (op->flags & IR_BIMM) || op->a == IR_NONE || op->a == TCG_REG_PC ||
        i + 1 >= l->ir->nops || !fits32(disp) || !moves(&op[1], op->a, (enum ir_width)w, disp)) {
        return 0;
    }
    emit_imm(l, iop_push[w], off(op->b), off(op->a), disp);
    return 2;
}

static unsigned try_call(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i], *st = &op[1], *exit = &op[3];
    bool ind;
    int w;

    if (i + 3 >= l->ir->nops || l->ir->no_link || st->opc != IR_ST || st->b != op->d ||
        (st->flags & IR_BIMM) || st->a == op->d || st->a == IR_NONE || op->d < TCG_REG_TEMP ||
        !fits32(op->imm)) {
        return 0;
    }
    ind = exit->opc == IR_EXIT_IND;
    w = stack_width(st);
    if (w < 0 || (!ind && (exit->opc != IR_EXIT_TB || !fits32(exit->imm))) ||
        (ind && exit->a == op->d) || wrap_of(exit) != (w == W64 ? 0 : 1) ||
        (w == W64 ? st->imm : (int32_t)st->imm) != (w == W64 ? -8 : -4) ||
        !moves(&op[2], st->a, (enum ir_width)w, w == W64 ? -8 : -4)) {
        return 0;
    }
    emit_imm(l, iop_pushpc[w][ind], 0, off(st->a), op->imm);
    if (ind) {
        emit(l, iop_exit_ind[wrap_of(exit)], 0, off(exit->a), 0, 0);
    } else {
        lower_exit_tb(l, exit);
    }
    exit_slots(l, slot(l, iop_misc.nop), true);
    return 4;
}

/* load off r; r += imm: pop; with an indirect exit behind it: return. */
static unsigned try_pop(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i];
    int w = stack_width(op);
    int64_t imm;

    if (w < 0 || op->imm || op->a == IR_NONE || op->d == op->a || i + 1 >= l->ir->nops ||
        op[1].opc != IR_ADD || !(op[1].flags & IR_BIMM)) {
        return 0;
    }
    imm = w == W64 ? op[1].imm : (int32_t)op[1].imm;
    if (!fits32(imm) || !moves(&op[1], op->a, (enum ir_width)w, imm)) {
        return 0;
    }
    if (i + 2 < l->ir->nops && op[2].opc == IR_EXIT_IND && op[2].a == op->d &&
        op->d >= TCG_REG_TEMP && !l->ir->no_link && wrap_of(&op[2]) == (w == W64 ? 0 : 1)) {
        emit_imm(l, iop_ret[w], 0, off(op->a), imm);
        return 3;
    }
    emit_imm(l, iop_pop[w], off(op->d), off(op->a), imm);
    return 2;
}

/* t = a >> 47; to L when t is 0; to L when t is -1: one test. */
static bool is_small_test(const struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i];

    if (i + 2 >= l->ir->nops || op->opc != IR_SAR || op->w != W64 || !(op->flags & IR_BIMM) ||
        op->imm != 47 || op->d < TCG_REG_TEMP) {
        return false;
    }
    for (unsigned k = 1; k <= 2; k++) {
        if (op[k].opc != IR_BRCOND || op[k].w != W64 || op[k].aux != IR_EQ ||
            !(op[k].flags & IR_BIMM) || op[k].a != op->d || op[k].d != op[1].d) {
            return false;
        }
    }
    if (op[1].imm + op[2].imm != -1 || (op[1].imm != 0 && op[1].imm != -1)) {
        return false;
    }
    for (unsigned k = i + 3; k < l->ir->nops; k++) { /* t must be needed for nothing else */
        const struct ir_op *o = &l->ir->ops[k];
        if (o->a == op->d || o->b == op->d || o->c == op->d ||
            (o->opc == IR_MOVCOND && (ir_reg)o->imm == op->d)) {
            return false;
        }
    }
    return true;
}

static unsigned try_small_test(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i];
    union iop *s;

    if (!is_small_test(l, i)) {
        return 0;
    }
    s = slot(l, iop_br_small);
    s->a = off(op->a);
    branch_to(l, s, op[1].d);
    return 3;
}

/* A return that checks its target: [load t; test as above; call; label; r += imm; exit to t]. One
 * slot that does it all or, when the target fails the test or the load is slow, nothing: then the
 * plain slots behind it do it. */
static void try_checked_return(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i];

    if (i + 7 >= l->ir->nops || l->ir->no_link || stack_width(op) != W64 || op->imm ||
        op->a == IR_NONE || op->d < TCG_REG_TEMP || op[1].a != op->d || !is_small_test(l, i + 1) ||
        op[4].opc != IR_CALL || op[4].d != IR_NONE || op[5].opc != IR_LABEL ||
        op[5].imm != op[2].d || op[6].opc != IR_ADD || !(op[6].flags & IR_BIMM) ||
        !fits32(op[6].imm) || !moves(&op[6], op->a, W64, op[6].imm) || op[7].opc != IR_EXIT_IND ||
        op[7].a != op->d || wrap_of(&op[7])) {
        return;
    }
    emit_imm(l, iop_ret_small, 0, off(op->a), op[6].imm);
}

static bool flags_fusable(const struct ir_op *cc)
{
    return cc->opc == IR_CC && !(cc->flags & IR_CC_MAP) && cc->a != IR_NONE && cc->c == IR_NONE &&
           cc->imm >= 0 && cc->imm <= UINT16_MAX;
}

static int64_t imm_of(const struct ir_op *op)
{
    return op->w == W64 ? op->imm : (int32_t)op->imm;
}

/* d = d OP b, then flags of the result. */
static unsigned try_alu_cc(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i], *cc = &op[1];
    bool bimm = op->flags & IR_BIMM, logic = op->opc != IR_ADD, ccimm;
    iop_fn fn;

    if (i + 1 >= l->ir->nops || op->d != op->a || op->opc == IR_SUB || !flags_fusable(cc) ||
        cc->a != op->d) {
        return 0;
    }
    ccimm = cc->flags & IR_BIMM;
    fn = iop_alu_cc[op->opc][op->w]
                   [logic ? (bimm ? CCF_RI_A : CCF_RR_A) : (bimm ? CCF_RI_AB : CCF_RR_AB)];
    if (!fn || (bimm && !fits32(imm_of(op))) ||
        (logic  ? ccimm || cc->b != IR_NONE
         : bimm ? !ccimm || cc->imm2 != imm_of(op)
                : ccimm || cc->b != op->b || op->b == op->d)) {
        return 0;
    }
    if (bimm) {
        emit_imm(l, fn, off(op->d), (uint16_t)cc->imm, imm_of(op));
    } else {
        emit(l, fn, off(op->d), (uint16_t)cc->imm, off(op->b), 0);
    }
    map_cc(l, NULL);
    return 2;
}

/* Flags of a - b, then a -= b. */
static unsigned try_cc_sub(struct lower *l, unsigned i)
{
    const struct ir_op *cc = &l->ir->ops[i], *op = &cc[1];
    bool ccimm = cc->flags & IR_BIMM;

    if (i + 1 >= l->ir->nops || !flags_fusable(cc) || op->d != op->a || op->a != cc->a) {
        return 0;
    }
    if (ccimm && op->opc == IR_ADD && (op->flags & IR_BIMM) && fits32(cc->imm2) &&
        (op->w == W64 ? op->imm == -cc->imm2 : (uint32_t)op->imm == -(uint32_t)cc->imm2)) {
        emit_imm(l, iop_alu_cc[IR_SUB][op->w][CCF_RI_AB], off(op->d), (uint16_t)cc->imm, cc->imm2);
    } else if (!ccimm && op->opc == IR_SUB && !(op->flags & IR_BIMM) && cc->b == op->b) {
        emit(l, iop_alu_cc[IR_SUB][op->w][CCF_RR_AB], off(op->d), (uint16_t)cc->imm, off(op->b), 0);
    } else {
        return 0;
    }
    map_cc(l, NULL);
    return 2;
}

/* Two whole moves, maybe of two instructions. */
static unsigned try_mov_mov(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i], *next = &op[1];
    unsigned n = 2;

    if (op->w != W64) {
        return 0;
    }
    if (i + n < l->ir->nops && next->opc == IR_INSN) {
        next++;
        n++;
    }
    if (i + n > l->ir->nops || next->opc != IR_MOV || next->w != W64) {
        return 0;
    }
    emit(l, iop_mov_mov, off(op->d), off(op->a), off(next->d), off(next->a));
    if (n == 3) {
        map_insn(l, &op[1]);
    }
    return n;
}

/* brcond to L; exit; L: exit, maybe after a cc of the same operands. Returns ops taken; 0: not one.
 */
static unsigned try_brx(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i], *cc = NULL;
    unsigned n = 4;
    enum brx form;
    unsigned wrap;
    uint16_t kind = 0;

    if (op->opc == IR_CC) {
        if ((op->flags & IR_CC_MAP) || op->a == IR_NONE || op->c != IR_NONE || op->imm < 0 ||
            op->imm > UINT16_MAX) {
            return 0;
        }
        cc = op++;
        n++;
        while (i + n < l->ir->nops && op->opc == IR_INSN) { /* cmp and jcc are two instructions */
            op++;
            n++;
        }
    }
    if (i + n > l->ir->nops || l->ir->no_link || op[0].opc != IR_BRCOND ||
        op[1].opc != IR_EXIT_TB || op[2].opc != IR_LABEL || op[2].imm != op[0].d ||
        op[3].opc != IR_EXIT_TB || wrap_of(&op[1]) != wrap_of(&op[3]) || !fits32(op[1].imm) ||
        !fits32(op[3].imm)) {
        return 0;
    }
    wrap = wrap_of(&op[1]);
    if (wrap > 1) {
        return 0;
    }
    bool bimm = op->flags & IR_BIMM;
    if (bimm && op->w == W64 && !fits32(op->imm)) {
        return 0;
    }
    form = bimm ? BRX_RI : BRX_RR;
    if (cc) {
        bool ccimm = cc->flags & IR_BIMM;
        if (cc->a != op->a) {
            return 0;
        }
        if (bimm && !ccimm && cc->b == IR_NONE) {
            form = BRX_CC_A_RI;
        } else if (!bimm && !ccimm && cc->b == op->b) {
            form = BRX_CC_AB_RR;
        } else if (bimm && ccimm && fits32(cc->imm2) && (int32_t)cc->imm2 == (int32_t)op->imm) {
            form = BRX_CC_AI_RI;
        } else if (bimm && (op->w == W64 ? op->imm : (int32_t)op->imm) == 0 && ccimm &&
                   fits32(cc->imm2)) {
            form = BRX_CC_AI_RZ;
        } else if (bimm && (op->w == W64 ? op->imm : (int32_t)op->imm) == 0 && !ccimm) {
            form = BRX_CC_AB_RZ;
        } else {
            return 0;
        }
        kind = (uint16_t)cc->imm;
        map_cc(l, NULL);
    }
    if (form == BRX_CC_AI_RZ) {
        emit_imm(l, iop_brx[op->aux][op->w][form][wrap], kind, off(op->a), cc->imm2);
    } else if (form == BRX_CC_AB_RZ) {
        emit(l, iop_brx[op->aux][op->w][form][wrap], kind, off(op->a), off(cc->b), 0);
    } else if (bimm) {
        emit_imm(l, iop_brx[op->aux][op->w][form][wrap], kind, off(op->a), op->imm);
    } else {
        emit(l, iop_brx[op->aux][op->w][form][wrap], kind, off(op->a), off(op->b), 0);
    }
    lower_exit_tb(l, &op[1]);
    l->label[op[2].imm] = (int32_t)here(l);
    lower_exit_tb(l, &op[3]);
    return n;
}

/* ---- vectors ---- */

static void lower_vmem(struct lower *l, const struct ir_op *op, iop_fn fn, uint16_t d)
{
    bool index = op->aux & MO_INDEX;
    unsigned memop = index ? op->aux : op->aux & ~(3u << MO_SCALE);

    emit(l, fn, d, off(op->a), index ? off(op->c) : off(REG_ZERO), (uint16_t)memop);
    data(l, (uint64_t)op->imm, 0);
}

static void lower_vec(struct lower *l, const struct ir_op *op)
{
    unsigned size = op->aux & MO_SIZE;
    bool vzu = op->flags & IR_VZU, wide = op->flags & IR_V256;
    uint64_t extra = (uint32_t)op->imm | (uint64_t)(wide ? 2 : 1) << 32;
    uint16_t d = 0;

    if (ir_opinfo[op->opc].attr & IRA_VD) {
        d = voff(op->d, IR_NONE);
    }
    switch (op->opc) {
    case IR_VMOV:
        emit(l, iop_vec.mov[wide ? 2 : vzu ? 1 : 0], d, voff(op->a, 0), 0, 0);
        return;
    case IR_VZERO:
        emit(l, iop_vec.zero[wide || vzu], d, 0, 0, 0);
        return;
    case IR_VLD:
        lower_vmem(l, op, iop_vec.load[size][vzu], d);
        return;
    case IR_VST:
        lower_vmem(l, op, iop_vec.store[size], voff(op->b, 0));
        return;
    case IR_VLDENV:
        emit_imm(l, iop_vec.ldenv[size], d, 0, op->imm);
        break;
    case IR_VSTENV:
        emit_imm(l, iop_vec.stenv[size], 0, voff(op->b, 0), op->imm);
        return;
    case IR_VGET:
        emit_imm(l, iop_vec.get[size + ((op->aux & MO_SIGN) && size < MO_64 ? 4 : 0)], off(op->d),
                 voff(op->a, 0), op->imm);
        return;
    case IR_VSET:
        emit(l, iop_vec.set[size], d, voff(op->a, op->d), off(op->b), (uint16_t)op->imm);
        break;
    case IR_VOP:
        emit(l, iop_vec.vop, d, voff(op->a, op->d), voff(op->b, op->d), voff(op->c, op->d));
        data(l, (uintptr_t)vop_table[op->aux].fn, extra);
        break;
    case IR_VOPR:
        emit(l, iop_vec.vopr[op->w], off(op->d), voff(op->a, 0), voff(op->b, op->a), 0);
        data(l, (uintptr_t)vop_table[op->aux].fn_r, extra);
        return;
    case IR_VOPI:
        emit(l, iop_vec.vopi, d, voff(op->a, op->d), off(op->b), 0);
        data(l, (uintptr_t)vop_table[op->aux].fn, extra);
        break;
    default:
        return;
    }
    if (vzu && !wide) {
        emit(l, iop_vec.clear_upper, d, 0, 0, 0);
    }
}

/* ---- all ---- */

static unsigned lower_op(struct lower *l, unsigned i)
{
    const struct ir_op *op = &l->ir->ops[i];
    unsigned n;

    switch (op->opc) {
    case IR_INSN:
        map_insn(l, op);
        break;
    case IR_MOV:
        n = try_mov_mov(l, i);
        if (n) {
            return n;
        }
        emit(l, iop_un[IR_MOV][op->w], off(op->d), off(op->a), 0, 0);
        break;
    case IR_SAR:
        n = try_small_test(l, i);
        if (n) {
            return n;
        }
        lower_bin(l, op);
        break;
    case IR_ADD:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
        n = try_alu_cc(l, i);
        if (n) {
            return n;
        }
        lower_bin(l, op);
        break;
    case IR_MOVI:
        movi(l, op->d, op->imm);
        break;
    case IR_MOVPC:
        n = try_call(l, i);
        if (n) {
            return n;
        }
        if (fits32(op->imm)) {
            emit_imm(l, iop_bin[IR_ADD][W64][FORM_RI], off(op->d), off(TCG_REG_PC), op->imm);
        } else {
            movi(l, REG_SCRATCH0, op->imm);
            emit(l, iop_bin[IR_ADD][W64][FORM_RR], off(op->d), off(TCG_REG_PC), off(REG_SCRATCH0),
                 0);
        }
        break;
    case IR_SETCOND:
        lower_setcond(l, op);
        break;
    case IR_MOVCOND:
        lower_movcond(l, op);
        break;
    case IR_ADDX:
    case IR_SUBX:
        lower_addx(l, op);
        break;
    case IR_EXTRACT:
        lower_extract(l, op);
        break;
    case IR_DEPOSIT:
        lower_deposit(l, op);
        break;
    case IR_CC:
        n = try_brx(l, i);
        if (n) {
            return n;
        }
        n = try_cc_sub(l, i);
        if (n) {
            return n;
        }
        if (!(op->flags & IR_CC_MAP)) {
            lower_cc(l, op);
        }
        map_cc(l, op);
        break;
    case IR_LD:
        n = try_pop(l, i);
        if (n) {
            return n;
        }
        try_checked_return(l, i);
        lower_ld(l, op);
        break;
    case IR_ST:
        n = try_push(l, i);
        if (n) {
            return n;
        }
        lower_st(l, op);
        break;
    case IR_LDENV:
    case IR_STENV:
        lower_env(l, op);
        break;
    case IR_ATOMIC:
        emit(l, iop_atomic, off(op->d), off(op->a), off(op->b), op->aux);
        data(l, (uint64_t)op->imm, (uint64_t)op->imm2);
        break;
    case IR_CMPXCHG:
        emit(l, iop_cmpxchg, off(op->d), off(op->a), off(op->b), off(op->c));
        data(l, (uint64_t)op->imm, op->aux);
        break;
    case IR_FENCE:
        emit(l, iop_misc.fence, 0, 0, 0, 0);
        break;
    case IR_CALL:
        lower_call(l, op);
        break;
    case IR_LABEL:
        if (here(l) == 0) {
            emit(l, iop_misc.nop, 0, 0, 0, 0); /* the first slot may be poisoned: never come back */
        }
        l->label[op->imm] = (int32_t)here(l);
        break;
    case IR_BR:
        branch_to(l, slot(l, iop_br), (unsigned)op->imm);
        break;
    case IR_BRCOND:
        n = try_brx(l, i);
        if (n) {
            return n;
        }
        lower_brcond(l, op);
        break;
    case IR_EXIT_TB:
        lower_exit_tb(l, op);
        break;
    case IR_EXIT_IND:
        emit(l, (l->ir->no_link ? iop_exit_stop_ind : iop_exit_ind)[wrap_of(op)], 0, off(op->a), 0,
             0);
        break;
    case IR_EXIT_LOOP:
        if (op->flags & IR_KEEPPC) {
            emit(l, iop_exit_keep, 0, 0, 0, 0);
        } else if (fits32(op->imm)) {
            emit_imm(l, iop_exit_stop[wrap_of(op)], 0, 0, op->imm);
        } else {
            struct ir_op far = *op;
            far.opc = IR_EXIT_TB;
            lower_exit_tb(l, &far); /* its own way for far targets never links */
        }
        break;
    default:
        if (iop_un[op->opc][0]) {
            emit(l, iop_un[op->opc][op->w], off(op->d), off(op->a), 0, 0);
        } else if (iop_bin[op->opc][0][FORM_RR]) {
            lower_bin(l, op);
        } else {
            lower_vec(l, op);
        }
        break;
    }
    return 1;
}

static void *zone_copy(uint8_t **at, const uint8_t *end, const void *from, size_t size, bool *ok)
{
    void *to = *at;

    if ((size_t)(end - *at) < size + 16) {
        *ok = false;
        return NULL;
    }
    memcpy(to, from, size);
    *at += (size + 15) & ~(size_t)15;
    return to;
}

static bool uses_32bit_pc(const struct ir *ir)
{
    for (unsigned i = 0; i < ir->nops; i++) {
        if ((ir_opinfo[ir->ops[i].opc].attr & IRA_EXIT) && wrap_of(&ir->ops[i])) {
            return true;
        }
    }
    return false;
}

size_t interp_compile(struct tcg *t, const struct ir *ir, struct tb *tb, uint8_t *buf, size_t size)
{
    struct lower l = {.ir = ir, .tb = tb};
    size_t scratch, done = 0;
    uint8_t *mem, *at;
    bool ok = true;
    struct map map;

    (void)t;
    if (size < 64 * sizeof(union iop)) {
        return 0;
    }
    scratch = ir->nlabels * sizeof(*l.label) +
              ir->nops * (2 * sizeof(*l.fixup) + sizeof(*l.map) + sizeof(*l.cc) + sizeof(*l.meta));
    mem = malloc(scratch + 64);
    if (!mem) {
        abort();
    }
    l.cc = (struct map_cc *)mem; /* by falling alignment */
    l.meta = (uint64_t *)(l.cc + ir->nops);
    l.label = (int32_t *)(l.meta + ir->nops);
    l.fixup = (uint32_t *)(l.label + ir->nlabels);
    l.fixup_label = l.fixup + ir->nops;
    l.map = (struct map_entry *)(l.fixup_label + ir->nops);
    memset(l.label, 0xff, ir->nlabels * sizeof(*l.label));

    l.out = (union iop *)buf;
    l.end = (union iop *)(buf + (size & ~(size_t)15));
    data(&l, (uintptr_t)tb->host & ~(uintptr_t)PAGE_OFFSET_MASK, (uintptr_t)tb);
    l.base = l.out;
    if (tb->host2) {
        slot(&l, iop_second_page[uses_32bit_pc(ir)])->data = (uintptr_t)tb->host2;
    }
    for (unsigned i = 0; i < ir->nops && !l.overflow;) {
        i += lower_op(&l, i);
    }
    if (l.overflow) {
        goto out;
    }
    for (unsigned i = 0; i < l.nfixups; i++) {
        int32_t rel = l.label[l.fixup_label[i]] - (int32_t)l.fixup[i];
        if (!fits16(rel)) {
            goto out;
        }
        l.base[l.fixup[i]].d = (uint16_t)(int16_t)rel;
    }
    tb->code = l.base;
    tb->code_size = (uint32_t)((uint8_t *)l.out - (uint8_t *)l.base);
    at = (uint8_t *)l.out;
    map.nentries = l.nmap;
    map.entries = zone_copy(&at, buf + size, l.map, l.nmap * sizeof(*l.map), &ok);
    map.cc = zone_copy(&at, buf + size, l.cc, l.ncc * sizeof(*l.cc), &ok);
    map.meta = zone_copy(&at, buf + size, l.meta, l.nmeta * sizeof(*l.meta), &ok);
    tb->map = zone_copy(&at, buf + size, &map, sizeof(map), &ok);
    if (ok) {
        done = (size_t)(at - buf);
    }
out:
    if (!done) {
        tb->nexits = 0;
    }
    free(mem);
    return done;
}
