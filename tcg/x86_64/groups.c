/* Groups of accesses: those off one base register (or one base and index) with small distances
 * share one look-up. The first of a group, in program order, looks up the page for all of them; the
 * place on the host stays in a register for the others, which check nothing. When they do not share
 * a page, or it may not be accessed in all their ways, the block is left before the first one's
 * instruction, and goes on as another one, keyed with TB_APART, that has no groups.
 *
 * A group ends at labels and calls. What another vcpu unmaps or protects meanwhile is seen at the
 * next block, as a processor would that has not answered the interrupt yet. */
#ifdef __x86_64__
#include "tcg/x86_64/gen.h"

enum { MAX_SPAN = 512, LOOK_BACK = 8 };

static void renew(struct track *t, ir_reg r)
{
    t->version[r] = ++t->next;
    t->off[r] = 0;
}

static void renew_all(struct track *t, unsigned nregs)
{
    for (ir_reg r = 0; r < nregs; r++) {
        t->version[r] = ++t->next;
    }
    memset(t->off, 0, nregs * sizeof(t->off[0]));
}

static void follow(struct track *t, const struct ir_op *op)
{
    uint16_t attr = ir_opinfo[op->opc].attr;

    if (op->opc == IR_CC) {
        for (ir_reg r = TCG_REG_CC_OP; r <= TCG_REG_CC_C; r++) {
            renew(t, r);
        }
        return;
    }
    if (op->opc == IR_CALL && (ir_op_helper(op)->flags & HELPER_WRITES)) {
        for (ir_reg r = 0; r < TCG_REG_TEMP; r++) {
            renew(t, r);
        }
    }
    if (!(attr & IRA_D) || op->d == IR_NONE) {
        return;
    }
    if (op->opc == IR_ADD && op->w == W64 && (op->flags & IR_BIMM) && fits32(op->imm)) {
        t->version[op->d] = t->version[op->a];
        t->off[op->d] = t->off[op->a] + op->imm;
    } else if (op->opc == IR_MOV && op->w == W64) {
        t->version[op->d] = t->version[op->a];
        t->off[op->d] = t->off[op->a];
    } else {
        renew(t, op->d);
    }
}

static bool same_base(const struct group *x, const struct group *y)
{
    return x->base == y->base && x->index == y->index && x->scale == y->scale && x->a32 == y->a32;
}

static void join(struct gen *g, const struct track *t, unsigned i, unsigned first, unsigned *n)
{
    const struct ir_op *op = &g->ir->ops[i];
    bool indexed = (op->aux & MO_INDEX) && op->c != IR_NONE;
    unsigned scale = indexed ? op->aux >> MO_SCALE & 3 : 0;
    struct group one = {.scale = (uint8_t)scale, .a32 = (op->aux & MO_A32) != 0};
    int64_t off = op->aux & MO_A32 ? (int32_t)op->imm : op->imm;
    unsigned size = 1u << (op->aux & MO_SIZE);

    if (op->a == IR_NONE || !fits32(off)) {
        return;
    }
    one.base = t->version[op->a];
    off += t->off[op->a];
    if (indexed) {
        one.index = t->version[op->c];
        off += t->off[op->c] * (int64_t)(1 << scale);
    }
    if (!fits32(off)) {
        return;
    }
    one.lo = off;
    one.hi = off + size;
    one.leader = one.last = i;
    one.write = op->opc == IR_ST || op->opc == IR_VST;
    g->group_off[i] = off;
    for (unsigned k = *n; k > first && k + LOOK_BACK > *n; k--) {
        struct group *old = &g->groups[k - 1];
        int64_t lo = old->lo < one.lo ? old->lo : one.lo, hi = old->hi > one.hi ? old->hi : one.hi;
        if (!old->closed && same_base(old, &one) && hi - lo <= MAX_SPAN) {
            old->lo = lo;
            old->hi = hi;
            old->last = i;
            old->write |= one.write;
            old->n++;
            g->group_of[i] = (uint16_t)k;
            return;
        }
    }
    one.n = 1;
    g->groups[(*n)++] = one;
    g->group_of[i] = (uint16_t)*n;
}

/* Fills g->group_of and g->groups. */
void x64_group_accesses(struct gen *g)
{
    const struct ir *ir = g->ir;
    struct track *t = &g->track;
    unsigned n = 0, first = 0, before = 0;
    int64_t skip = -1;
    uint32_t busy[NGROUP_REGS] = {0}; /* until which op */

    t->next = 0;
    renew_all(t, g->nregs);
    memset(g->group_of, 0, ir->nops * sizeof(*g->group_of));
    if (ir->flags & TB_APART) {
        return;
    }
    for (unsigned i = 0; i < ir->nops; i++) {
        const struct ir_op *op = &ir->ops[i];
        switch (op->opc) {
        case IR_INSN:
            continue;
        case IR_LD:
        case IR_ST:
        case IR_VLD:
        case IR_VST:
            join(g, t, i, first, &n);
            break;
        case IR_BRCOND:
            if (x64_fp_skips(g, i)) {
                skip = op->d;
                before = n;
            }
            break;
        case IR_LABEL:
            if (op->imm == skip) { /* over a store, whose place others must not rely on */
                for (unsigned k = before; k < n; k++) {
                    g->groups[k].closed = true;
                }
                break;
            }
            renew_all(t, g->nregs);
            first = n;
            break;
        case IR_CALL:
            first = x64_fp_inline(g, op) ? first : n; /* the helpers of these do not touch memory */
            break;
        default:
            break;
        }
        follow(t, op);
    }
    for (unsigned k = 0; k < n; k++) { /* in the order of their first accesses */
        struct group *x = &g->groups[k];
        unsigned keeper = NGROUP_REGS;
        for (unsigned b = 0; x->n > 1 && b < NGROUP_REGS; b++) {
            if (busy[b] <= x->leader) {
                keeper = b;
                busy[b] = x->last + 1;
                break;
            }
        }
        x->keeper = (uint8_t)keeper;
    }
    for (unsigned i = 0; n && i < ir->nops; i++) {
        if (g->group_of[i] && g->groups[g->group_of[i] - 1].keeper == NGROUP_REGS) {
            g->group_of[i] = 0;
        }
    }
}
#endif
