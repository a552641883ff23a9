/* Improvement of a block's IR: two linear walks, forward (pass_forward.c) and backward
 * (pass_backward.c), and what they leave to tidy. Vector ops are left alone. */
#include <stdlib.h>
#include <string.h>

#include "tcg/passes.h"

static void compact(struct ir *ir)
{
    unsigned n = 0;

    for (unsigned i = 0; i < ir->nops; i++) {
        if (ir->ops[i].opc != NOP_OPC) {
            if (n != i) {
                ir->ops[n] = ir->ops[i];
            }
            n++;
        }
    }
    ir->nops = n;
}

/* The label that a branch goes to; IR_LABEL's own number. */
static unsigned label_of(const struct ir_op *op)
{
    return op->opc == IR_BRCOND ? op->d : (unsigned)op->imm;
}

/* Branches around what has turned out to be nothing, and labels that nobody goes to. */
static void drop_branches(struct ir *ir, struct label_info *labels)
{
    for (unsigned i = 0; i < ir->nlabels; i++) {
        labels[i].nrefs = 0;
    }
    for (unsigned i = 0; i < ir->nops; i++) {
        struct ir_op *op = &ir->ops[i];
        if (op->opc != IR_BR && op->opc != IR_BRCOND) {
            continue;
        }
        for (unsigned k = i + 1; k < ir->nops; k++) {
            const struct ir_op *next = &ir->ops[k];
            if (next->opc == IR_LABEL && label_of(next) == label_of(op)) {
                op->opc = NOP_OPC;
            } else if (next->opc == IR_LABEL || next->opc == NOP_OPC) {
                continue;
            }
            break;
        }
        if (op->opc != NOP_OPC) {
            labels[label_of(op)].nrefs++;
        }
    }
    for (unsigned i = 0; i < ir->nops; i++) {
        if (ir->ops[i].opc == IR_LABEL && !labels[label_of(&ir->ops[i])].nrefs) {
            ir->ops[i].opc = NOP_OPC;
        }
    }
}

/* Moves whose source is needed by nothing else any more, now that what only looked at it is gone:
 * t = op ...; g = t becomes g = op .... */
static void tidy(struct ir *ir)
{
    bool changed = false;

    for (uint32_t i = 1; i < ir->nops; i++) {
        struct ir_op *mov = &ir->ops[i], *def = NULL;
        ir_reg g = mov->d, t = mov->a;

        if (mov->opc != IR_MOV || mov->w != W64 || t < TCG_REG_TEMP || g == t) {
            continue;
        }
        for (uint32_t k = i; k-- > 0 && i - k <= MAX_COALESCE;) {
            struct ir_op *op = &ir->ops[k];
            if (op->opc == NOP_OPC) {
                continue;
            }
            if (writes(op, t)) {
                def = (ir_opinfo[op->opc].attr & IRA_D) && op->opc != IR_CALL ? op : NULL;
                break;
            }
            if (branches(op) || (ir_opinfo[op->opc].attr & IRA_EXIT) || reads(op, t) ||
                reads(op, g) || writes(op, g) || sees_guest(op)) {
                break;
            }
        }
        if (!def) {
            continue;
        }
        bool straight = true; /* a write behind a branch is not on every way */
        for (uint32_t k = i + 1; k < ir->nops && def; k++) {
            const struct ir_op *op = &ir->ops[k];
            if (op->opc == NOP_OPC) {
                continue;
            }
            if (reads(op, t)) {
                def = NULL;
            } else if (straight && writes(op, t)) {
                break;
            }
            straight = straight && !branches(op);
        }
        if (def) {
            def->d = g;
            mov->opc = NOP_OPC;
            changed = true;
        }
    }
    if (changed) {
        compact(ir);
    }
}

/* One more than the highest integer register named; labels and vector registers count too, which
 * does no harm. IR_NONE plus one is zero. */
static unsigned count_regs(const struct ir *ir)
{
    unsigned n = TCG_REG_TEMP;

    for (unsigned i = 0; i < ir->nops; i++) {
        const struct ir_op *op = &ir->ops[i];
        if (op->opc == IR_INSN) {
            continue;
        }
        unsigned d = (ir_reg)(op->d + 1), a = (ir_reg)(op->a + 1), b = (ir_reg)(op->b + 1),
                 c = (ir_reg)(op->c + 1);
        unsigned x = d > a ? d : a, y = b > c ? b : c;
        x = x > y ? x : y;
        n = x > n ? x : n;
        if (op->opc == IR_MOVCOND && (unsigned)op->imm + 1 > n) {
            n = (unsigned)op->imm + 1;
        }
    }
    return n < TCG_NREGS ? n : TCG_NREGS;
}

enum { FEW_LABELS = 32 };

void ir_optimize(struct ir *ir)
{
    struct label_info few_labels[FEW_LABELS], *labels = few_labels;
    struct live few_live[FEW_LABELS], *at_label = few_live;
    unsigned n = count_regs(ir);
    struct pass p;
    struct back b;

    if (ir->nlabels > FEW_LABELS) {
        labels = malloc(ir->nlabels * sizeof(*labels));
        at_label = malloc(ir->nlabels * sizeof(*at_label));
        if (!labels || !at_label) {
            abort();
        }
    }
    memset(labels, 0, ir->nlabels * sizeof(*labels));
    p.ir = b.ir = ir;
    p.nregs = b.nregs = n;
    p.labels = labels;
    p.barrier = 0;
    p.loops = false;
    memset(p.version, 0, n * sizeof(p.version[0]));
    memset(p.def, 0xff, n * sizeof(p.def[0]));
    memset(p.last_use, 0, n * sizeof(p.last_use[0]));
    memset(p.stuck, 0, n * sizeof(p.stuck[0]));
    for (unsigned r = 0; r < n; r++) {
        p.val[r] = (struct value){.bits = 64};
    }
    pass_forward(&p);

    b.at_label = at_label;
    memset(&b.now, 0, sizeof(b.now));
    memset(b.next_write, 0xff, n * sizeof(b.next_write[0]));
    pass_backward(&b);
    if (ir->nlabels) {
        drop_branches(ir, labels);
    }
    compact(ir);
    if (!p.loops) { /* else "needed afterwards" is not what follows */
        tidy(ir);
    }
    if (labels != few_labels) {
        free(labels);
        free(at_label);
    }
}
