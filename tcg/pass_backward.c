/* The walk backward: writes that nobody sees go. Guest registers are seen by every exit and by
 * every op that may unwind. The lazy flags of most guest instructions are seen by nobody but such
 * ops: as long as the values they are made of stay in their registers, the CC op stays in the IR
 * for the executor's fault map only (IR_CC_MAP), and costs nothing where it runs.
 *
 * A register that a CC op does not name is not read under its kind. */
#include <string.h>

#include "tcg/passes.h"

static inline void set_add(struct set *s, ir_reg r)
{
    s->w[r / 64] |= UINT64_C(1) << (r % 64);
}
static inline void set_del(struct set *s, ir_reg r)
{
    s->w[r / 64] &= ~(UINT64_C(1) << (r % 64));
}
static inline bool set_has(const struct set *s, ir_reg r)
{
    return s->w[r / 64] >> (r % 64) & 1;
}

#define GUEST_BITS ((UINT64_C(1) << TCG_REG_TEMP) - 1)

static void cc_live(struct back *b)
{
    b->now.cc = CC_LIVE;
}

/* A CC op that only faults can see: may it live in the map alone? */
static bool mappable(const struct back *b, const struct ir_op *op)
{
    const ir_reg r[3] = {op->a, is_bimm(op) ? IR_NONE : op->b, op->c};

    for (unsigned i = 0; i < 3; i++) {
        if (r[i] != IR_NONE && (b->next_write[r[i]] < b->last_fault || is_cc_reg(r[i]))) {
            return false;
        }
    }
    return op->a != IR_NONE;
}

static void back_op(struct back *b, struct ir_op *op, uint32_t at)
{
    uint16_t attr = ir_opinfo[op->opc].attr;
    struct live *now = &b->now;
    ir_reg *use[3];
    unsigned n;

    if (op->opc == IR_CC) {
        if (now->cc == CC_DEAD) {
            op->opc = NOP_OPC;
            return;
        }
        if (now->cc == CC_FAULT && mappable(b, op)) {
            op->flags |= IR_CC_MAP;
        }
        now->cc = CC_DEAD;
        for (ir_reg r = TCG_REG_CC_OP; r <= TCG_REG_CC_C; r++) {
            if (!(op->flags & IR_CC_MAP)) {
                b->next_write[r] = at;
            }
        }
    } else if ((attr & IRA_D) && op->d != IR_NONE) {
        if (op->d >= TCG_REG_CC_OP && op->d <= TCG_REG_CC_C) {
            cc_live(b); /* written one by one: kept */
        } else {
            if (pure(op) && !set_has(&now->regs, op->d)) {
                op->opc = NOP_OPC;
                return;
            }
            set_del(&now->regs, op->d);
        }
        b->next_write[op->d] = at;
    }
    if (op->opc == IR_CALL) {
        unsigned flags = helper_flags_of(op);
        if (flags & HELPER_WRITES) {
            for (ir_reg r = 0; r < TCG_REG_TEMP; r++) {
                b->next_write[r] = at;
            }
        }
        if (flags & (HELPER_READS | HELPER_WRITES)) {
            cc_live(b);
            now->regs.w[0] |= GUEST_BITS;
        }
    }
    if (faults(op)) {
        now->regs.w[0] |= GUEST_BITS;
        if (now->cc == CC_DEAD) {
            now->cc = CC_FAULT;
            b->last_fault = at;
        }
    }
    n = uses(op, use);
    for (unsigned i = 0; i < n; i++) {
        if (*use[i] >= TCG_REG_CC_OP && *use[i] <= TCG_REG_CC_C) {
            cc_live(b);
        } else {
            set_add(&now->regs, *use[i]);
        }
    }
    if (op->opc == IR_MOVCOND) {
        ir_reg no = (ir_reg)op->imm;
        if (no >= TCG_REG_CC_OP && no <= TCG_REG_CC_C) {
            cc_live(b);
        } else {
            set_add(&now->regs, no);
        }
    }
}

static void everything(struct live *l)
{
    memset(&l->regs, 0xff, sizeof(l->regs));
    l->cc = CC_LIVE;
}

/* Behind op `at` anything may have been written. */
static void written_from(struct back *b, uint32_t at)
{
    for (unsigned r = 0; r < b->nregs; r++) {
        b->next_write[r] = at;
    }
}

void pass_backward(struct back *b)
{
    struct ir *ir = b->ir;

    for (unsigned i = 0; i < ir->nlabels; i++) {
        everything(&b->at_label[i]); /* until it is passed: branches back see this */
    }
    for (uint32_t i = ir->nops; i-- > 0;) {
        struct ir_op *op = &ir->ops[i];
        const struct live *to;

        if (op->opc == NOP_OPC || op->opc == IR_INSN) {
            continue;
        }
        if (ir_opinfo[op->opc].attr & IRA_EXIT) {
            memset(&b->now, 0, sizeof(b->now));
            b->now.regs.w[0] = GUEST_BITS;
            b->now.cc = CC_LIVE;
            if (op->opc == IR_EXIT_IND) {
                set_add(&b->now.regs, op->a);
            }
            continue;
        }
        switch (op->opc) {
        case IR_LABEL:
            if (b->now.cc == CC_FAULT) {
                cc_live(b); /* the map knows one way to here only */
            }
            b->at_label[op->imm] = b->now;
            written_from(b, i);
            break;
        case IR_BR:
            b->now = b->at_label[op->imm];
            written_from(b, i);
            break;
        case IR_BRCOND:
            to = &b->at_label[op->d];
            for (unsigned k = 0; k < TCG_NREGS / 64; k++) {
                b->now.regs.w[k] |= to->regs.w[k];
            }
            if (to->cc > b->now.cc) {
                b->now.cc = to->cc;
            }
            back_op(b, op, i);
            break;
        default:
            back_op(b, op, i);
            break;
        }
    }
}
