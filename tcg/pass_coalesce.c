/* Computing in place: of t = op ...; g = t the first writes g, and the second goes. */
#include "tcg/passes.h"

/* t, made before `at`, is read no more after `from` except where reading g would do: g is not
 * written before t's last use. */
static bool gone_before(const struct pass *p, ir_reg t, ir_reg g, uint32_t from)
{
    uint32_t end = from + MAX_COALESCE;

    for (uint32_t i = from; i < p->ir->nops && i < end; i++) {
        const struct ir_op *op = &p->ir->ops[i];
        if (p->last_use[t] < i) {
            return true;
        }
        if (op->opc == NOP_OPC) {
            continue;
        }
        if (branches(op) || (ir_opinfo[op->opc].attr & IRA_EXIT)) {
            return false;
        }
        if (writes(op, t)) {
            return !reads(op, t) || !writes(op, g);
        }
        if (writes(op, g) ||
            (op->opc == IR_CALL && g < TCG_REG_TEMP && (helper_flags_of(op) & HELPER_WRITES))) {
            /* From here on g is something else; t must be gone. */
            for (uint32_t k = i + 1; k < p->ir->nops && k < end; k++) {
                const struct ir_op *o = &p->ir->ops[k];
                if (p->last_use[t] < k) {
                    return true;
                }
                if (o->opc == NOP_OPC) {
                    continue;
                }
                if (reads(o, t) || branches(o)) {
                    return false;
                }
                if (writes(o, t)) {
                    return true;
                }
            }
            return false;
        }
    }
    return p->last_use[t] < end || p->ir->nops <= end;
}

static void rename_uses(struct ir_op *op, ir_reg from, ir_reg to)
{
    ir_reg *use[3];
    unsigned n = uses(op, use);

    for (unsigned i = 0; i < n; i++) {
        if (*use[i] == from) {
            *use[i] = to;
        }
    }
    if (op->opc == IR_MOVCOND && (ir_reg)op->imm == from) {
        op->imm = to;
    }
}

static bool can_move(const struct ir_op *op)
{
    uint16_t attr = ir_opinfo[op->opc].attr;

    return (attr & IRA_PURE) && op->opc != IR_LDENV && !(attr & (IRA_VA | IRA_VD));
}

/* ops[at] is g = t: lets the op that makes t write g. Either there (nobody in between looks at g),
 * or by moving it here (nobody in between needs t, or changes what it is made of). */
bool pass_coalesce(struct pass *p, uint32_t at)
{
    struct ir_op *mov = &p->ir->ops[at], *def;
    ir_reg g = mov->d, t = mov->a;
    uint32_t k = p->def[t];
    bool in_place = true, move = true;
    struct value v = p->val[t];

    if (t < TCG_REG_TEMP || g == t || p->stuck[t] || k < p->barrier || k >= at ||
        at - k > MAX_COALESCE || k == UINT32_MAX) {
        return false;
    }
    def = &p->ir->ops[k];
    if (def->opc == NOP_OPC || !(ir_opinfo[def->opc].attr & IRA_D) || def->d != t ||
        (mov->w == W32 && v.bits > 32) ||
        (def->opc == IR_CALL && g < TCG_REG_TEMP && helper_flags_of(def) & HELPER_WRITES)) {
        return false;
    }
    move = can_move(def) && !reads(def, t);
    for (uint32_t i = k + 1; i < at && (in_place || move); i++) {
        const struct ir_op *op = &p->ir->ops[i];
        if (op->opc == NOP_OPC) {
            continue;
        }
        if (sees_guest(op) && g < TCG_REG_TEMP) {
            in_place = false;
        }
        if (reads(op, g) || writes(op, g)) {
            in_place = false;
        }
        if (reads(op, t)) {
            move = false;
        }
        ir_reg *src[3];
        unsigned n = uses(def, src);
        for (unsigned s = 0; s < n && move; s++) {
            move = !writes(op, *src[s]);
        }
        if (def->opc == IR_MOVCOND && writes(op, (ir_reg)def->imm)) {
            move = false;
        }
        if (op->opc == IR_CALL && (helper_flags_of(op) & HELPER_WRITES)) {
            move = in_place = false;
        }
    }
    if ((!in_place && !move) || !gone_before(p, t, g, at + 1)) {
        return false;
    }
    if (in_place) {
        for (uint32_t i = k + 1; i < at; i++) {
            if (p->ir->ops[i].opc != NOP_OPC) {
                rename_uses(&p->ir->ops[i], t, g);
            }
        }
        def->d = g;
        mov->opc = NOP_OPC;
        /* CC registers that were known as copies of t are now copies of g, from here on. */
        p->version[g]++;
        p->def[g] = k;
    } else {
        ir_reg d = mov->d;
        *mov = *def;
        mov->d = d;
        def->opc = NOP_OPC;
        p->version[g]++;
        p->def[g] = at;
    }
    /* What was known of t is known of g, unless it was about g itself. */
    p->val[g] = (struct value){.since = at, .bits = v.bits};
    if (v.known == K_CONST || (v.known != K_NOTHING && v.src != g && current(p, &v))) {
        p->val[g] = v;
        p->val[g].since = at;
    }
    for (ir_reg r = TCG_REG_CC_A; r <= TCG_REG_CC_C; r++) {
        struct value *cc = &p->val[r];
        if (cc->known == K_COPY && cc->src == t && current(p, cc)) {
            cc->src = g;
            cc->src_version = p->version[g];
        }
    }
    p->stuck[g] = p->last_use[t] > at;
    p->version[t]++;
    p->val[t] = (struct value){
        .known = K_COPY, .src = g, .src_version = p->version[g], .since = at, .bits = v.bits};
    p->def[t] = UINT32_MAX; /* never again in place */
    return true;
}
