/* Integer registers of the pool, and the lazy flags that are not stored yet. gen.h says who lives
 * where. */
#ifdef __x86_64__
#include "tcg/x86_64/gen.h"

#include <assert.h>

enum { MAX_TAKEN = 8 }; /* ops that are generated together */

const uint8_t x64_home[NHOMES] = {RBX, R8, R9, R10, R14, R13, R11, R12};

static inline bool in_pool(unsigned reg)
{
    return HOST_POOL >> reg & 1;
}

bool x64_cc_reads(const struct gen *g, ir_reg r)
{
    for (unsigned i = 0; i < 4; i++) {
        const struct comp *c = &g->now.cc.comp[i];
        if ((c->kind == COMP_REG || c->kind == COMP_SUM || c->kind == COMP_SUMI) &&
            (c->r == r || (c->kind == COMP_SUM && c->r2 == r))) {
            return true;
        }
    }
    return false;
}

bool x64_alive(const struct gen *g, ir_reg r)
{
    return !is_temp(r) || g->last_use[r] >= g->i || x64_cc_reads(g, r);
}

static void forget(struct gen *g, unsigned reg)
{
    ir_reg r = g->now.held[reg];

    if (r < TCG_NREGS) {
        g->loc[r] = NO_REG;
    }
    g->now.held[reg] = IR_NONE;
    g->now.dirty &= (uint16_t) ~(1u << reg);
}

static void hold(struct gen *g, unsigned reg, ir_reg r)
{
    if (g->zf_reg == reg && g->now.held[reg] != r) {
        g->zf_reg = NO_REG; /* another value is to come */
    }
    g->now.held[reg] = r;
    g->stamp[reg] = ++g->clock;
    g->locked |= (uint16_t)(1u << reg);
    if (r < TCG_NREGS) {
        g->loc[r] = (uint8_t)reg;
    }
}

static void evict(struct gen *g, unsigned reg)
{
    ir_reg r = g->now.held[reg];

    if (r < TCG_NREGS && (g->now.dirty >> reg & 1) && x64_alive(g, r)) {
        mov_mr(&g->c, 1, slot_of(r), reg);
    }
    forget(g, reg);
}

unsigned x64_alloc(struct gen *g)
{
    static const uint8_t order[] = {RAX, RDX, RSI, RCX};
    unsigned best = NO_REG, best_cost = 3;

    for (unsigned k = 0; k < sizeof(order); k++) {
        unsigned reg = order[k], cost;
        ir_reg r = g->now.held[reg];
        if (g->locked >> reg & 1) {
            continue;
        }
        cost = r == IR_NONE || (is_temp(r) && r < TCG_NREGS && !x64_alive(g, r)) ? 0
               : g->now.dirty >> reg & 1                                         ? 2
                                                                                 : 1;
        if (cost < best_cost || (cost == best_cost && g->stamp[reg] < g->stamp[best])) {
            best = reg;
            best_cost = cost;
        }
    }
    assert(best != NO_REG);
    evict(g, best);
    hold(g, best, SCRATCH);
    return best;
}

void x64_take(struct gen *g, unsigned reg)
{
    if (g->now.held[reg] != IR_NONE) {
        assert(!(g->locked >> reg & 1));
        evict(g, reg);
    }
    hold(g, reg, SCRATCH);
}

/* A part of the flags as a value. */
static unsigned use_comp(struct gen *g, const struct comp *c, ir_reg slot)
{
    uint16_t locked = g->locked;
    unsigned a, b, d;

    switch (c->kind) {
    case COMP_REG:
        return x64_use(g, c->r);
    case COMP_IMM:
        d = x64_alloc(g);
        mov_ri(&g->c, d, (uint64_t)c->imm);
        return d;
    case COMP_SUM:
        a = x64_use(g, c->r);
        b = x64_use(g, c->r2);
        d = x64_alloc(g);
        lea(&g->c, 1, d, at_index(a, b, 0, 0));
        g->locked = (uint16_t)(locked | 1u << d);
        return d;
    case COMP_SUMI:
        a = x64_use(g, c->r);
        d = x64_alloc(g);
        lea(&g->c, 1, d, at(a, (int32_t)c->imm));
        g->locked = (uint16_t)(locked | 1u << d);
        return d;
    default:
        d = x64_alloc(g);
        mov_rm(&g->c, 1, d, slot_of(slot));
        return d;
    }
}

unsigned x64_use(struct gen *g, ir_reg r)
{
    unsigned reg;

    if (is_home(r)) {
        return home_of(r);
    }
    if (is_cc(r) && g->now.cc.comp[r - TCG_REG_CC_OP].kind != COMP_MEM) {
        return use_comp(g, &g->now.cc.comp[r - TCG_REG_CC_OP], r);
    }
    reg = g->loc[r];
    if (reg != NO_REG) {
        g->stamp[reg] = ++g->clock;
        g->locked |= (uint16_t)(1u << reg);
        return reg;
    }
    reg = x64_alloc(g);
    mov_rm(&g->c, 1, reg, slot_of(r));
    hold(g, reg, r);
    return reg;
}

bool x64_in_reg(struct gen *g, ir_reg r, unsigned *reg)
{
    if (is_home(r)) {
        *reg = home_of(r);
        return true;
    }
    if (is_cc(r) && g->now.cc.comp[r - TCG_REG_CC_OP].kind != COMP_MEM) {
        *reg = x64_use(g, r);
        return true;
    }
    *reg = g->loc[r];
    if (*reg == NO_REG) {
        return false;
    }
    g->locked |= (uint16_t)(1u << *reg);
    return true;
}

struct operand x64_operand(struct gen *g, ir_reg r)
{
    unsigned reg;

    if (x64_in_reg(g, r, &reg)) {
        return (struct operand){.reg = (uint8_t)reg};
    }
    if (is_temp(r) || g->last_use[r] > g->i) { /* it will be wanted again */
        return (struct operand){.reg = (uint8_t)x64_use(g, r)};
    }
    return (struct operand){.is_mem = true, .m = slot_of(r)};
}

unsigned x64_def(struct gen *g, ir_reg r)
{
    unsigned reg;

    if (is_home(r)) {
        return home_of(r);
    }
    reg = g->loc[r];
    if (reg != NO_REG) {
        g->locked |= (uint16_t)(1u << reg);
        return reg;
    }
    return x64_alloc(g);
}

/* r has a new value. The op at hand makes it, or one that is taken together with it. */
static void note_def(struct gen *g, ir_reg r)
{
    for (unsigned k = g->i; k < g->ir->nops && k < g->i + MAX_TAKEN; k++) {
        if (g->ir->ops[k].d == r && (ir_opinfo[g->ir->ops[k].opc].attr & IRA_D)) {
            g->last_use[r] = g->def_last[k];
            return;
        }
    }
}

void x64_done(struct gen *g, ir_reg r, unsigned reg)
{
    if (is_temp(r)) {
        note_def(g, r);
    }
    if (is_home(r)) {
        if (home_of(r) != reg) {
            mov_rr(&g->c, 1, home_of(r), reg);
            if (g->zf_reg == home_of(r)) {
                g->zf_reg = NO_REG;
            }
        }
        return;
    }
    if (!in_pool(reg)) { /* a home's value */
        unsigned to = x64_def(g, r);
        mov_rr(&g->c, 1, to, reg);
        reg = to;
    }
    if (g->loc[r] != NO_REG && g->loc[r] != reg) {
        forget(g, g->loc[r]);
    }
    if (g->now.held[reg] != r) {
        ir_reg old = g->now.held[reg];
        if (old < TCG_NREGS) { /* a temporary that gave its register up, or a copy */
            assert(!is_temp(old) || (g->last_use[old] <= g->i && !x64_cc_reads(g, old)));
            forget(g, reg);
        }
        hold(g, reg, r);
    }
    if (is_temp(r)) {
        g->now.dirty |= (uint16_t)(1u << reg);
    } else {
        mov_mr(&g->c, 1, slot_of(r), reg);
        g->now.dirty &= (uint16_t) ~(1u << reg);
    }
}

void x64_unlock(struct gen *g)
{
    for (unsigned m = g->locked & HOST_POOL; m; m &= m - 1) {
        unsigned reg = (unsigned)__builtin_ctz(m);
        if (g->now.held[reg] == SCRATCH) {
            g->now.held[reg] = IR_NONE;
        }
    }
    g->locked = 0;
    g->vlocked = 0;
}

void x64_lock_only(struct gen *g, unsigned reg)
{
    ir_reg r = g->now.held[reg];

    g->locked &= (uint16_t) ~(1u << reg);
    x64_unlock(g);
    hold(g, reg, r);
}

void x64_spill_all(struct gen *g, bool drop)
{
    for (unsigned m = HOST_POOL; m; m &= m - 1) {
        unsigned reg = (unsigned)__builtin_ctz(m);
        ir_reg r = g->now.held[reg];
        if (r < TCG_NREGS && (g->now.dirty >> reg & 1)) {
            if (x64_alive(g, r)) {
                mov_mr(&g->c, 1, slot_of(r), reg);
            }
            g->now.dirty &= (uint16_t) ~(1u << reg);
        }
        if (drop) {
            forget(g, reg);
        }
    }
}

void x64_adopt(struct gen *g, const struct places *p)
{
    g->now = *p;
    memset(g->loc, NO_REG, sizeof(g->loc));
    memset(g->vloc, NO_REG, sizeof(g->vloc));
    for (unsigned reg = 0; reg < 16; reg++) {
        if (p->held[reg] < TCG_NREGS) {
            g->loc[p->held[reg]] = (uint8_t)reg;
        } else {
            g->now.held[reg] = IR_NONE;
        }
        if (p->vheld[reg] < TCG_NVREGS) {
            g->vloc[p->vheld[reg]] = (uint8_t)reg;
        }
    }
    flags_clobbered(g);
}

void x64_conform(struct gen *g, const struct places *p)
{
    for (unsigned m = HOST_POOL; m; m &= m - 1) { /* what p does not keep here goes to memory */
        unsigned reg = (unsigned)__builtin_ctz(m);
        if (g->now.held[reg] != IR_NONE && g->now.held[reg] != p->held[reg]) {
            evict(g, reg);
        }
    }
    for (unsigned m = HOST_POOL; m; m &= m - 1) {
        unsigned reg = (unsigned)__builtin_ctz(m);
        ir_reg want = p->held[reg];
        if (want < TCG_NREGS && g->now.held[reg] != want) {
            mov_rm(&g->c, 1, reg, slot_of(want));
            hold(g, reg, want);
        }
    }
    x64_unlock(g);
}

/* ---- flags ---- */

static const struct comp in_memory = {.kind = COMP_MEM};

static void store_comp(struct gen *g, unsigned n)
{
    struct comp *c = &g->now.cc.comp[n];
    ir_reg slot = (ir_reg)(TCG_REG_CC_OP + n);

    switch (c->kind) {
    case COMP_MEM:
        return;
    case COMP_IMM:
        if (fits32(c->imm)) {
            mov_mi(&g->c, 1, slot_of(slot), (int32_t)c->imm);
            break;
        }
        /* fall through */
    default: {
        uint16_t before = g->locked;
        unsigned reg = use_comp(g, c, slot);
        mov_mr(&g->c, 1, slot_of(slot), reg);
        if (in_pool(reg) && !(before >> reg & 1)) { /* it may be wanted for something else now */
            g->locked &= (uint16_t) ~(1u << reg);
            if (g->now.held[reg] == SCRATCH) {
                g->now.held[reg] = IR_NONE;
            }
        }
        break;
    }
    }
    if (g->loc[slot] != NO_REG) {
        forget(g, g->loc[slot]); /* a copy of what was there before */
    }
}

void x64_cc_settle(struct gen *g, const struct ir_op *op)
{
    const ir_reg src[] = {op->a, op->b, op->c, op->opc == IR_MOVCOND ? (ir_reg)op->imm : IR_NONE};

    for (unsigned k = 0; k < sizeof(src) / sizeof(src[0]); k++) {
        if (src[k] != IR_NONE && is_cc(src[k])) {
            unsigned n = src[k] - TCG_REG_CC_OP;
            if (g->now.cc.comp[n].kind == COMP_SUM || g->now.cc.comp[n].kind == COMP_SUMI) {
                store_comp(g, n);
                g->now.cc.comp[n] = in_memory;
                x64_unlock(g);
            }
        }
    }
}

void x64_cc_flush(struct gen *g, bool drop)
{
    for (unsigned n = 0; n < 4; n++) {
        store_comp(g, n);
        if (drop) {
            g->now.cc.comp[n] = in_memory;
        }
    }
    if (drop) {
        g->cmp_valid = false;
    }
}

bool x64_cc_is_memory(const struct gen *g)
{
    for (unsigned n = 0; n < 4; n++) {
        if (g->now.cc.comp[n].kind != COMP_MEM) {
            return false;
        }
    }
    return true;
}

void x64_cc_in_memory(struct gen *g)
{
    for (unsigned n = 0; n < 4; n++) {
        g->now.cc.comp[n] = in_memory;
    }
    g->cmp_valid = false;
}

static struct comp comp_of(struct gen *g, ir_reg r)
{
    if (is_cc(r)) {
        return g->now.cc.comp[r - TCG_REG_CC_OP];
    }
    return (struct comp){.kind = COMP_REG, .r = r};
}

void x64_cc_set(struct gen *g, const struct ir_op *op)
{
    struct flags_state old = g->now.cc, new = {.insn = g->insn};
    ir_reg src[3] = {op->a, op->b, op->c};

    new.comp[0] = (struct comp){.kind = COMP_IMM, .imm = op->imm};
    for (unsigned n = 1; n < 4; n++) {
        ir_reg r = n == 2 && src[1] == g->kept && src[1] != IR_NONE ? TCG_REG_CC_B : src[n - 1];
        if (n == 2 && (op->flags & IR_BIMM)) {
            new.comp[n] = (struct comp){.kind = COMP_IMM, .imm = op->imm2};
        } else if (r == IR_NONE) {
            new.comp[n] = in_memory;
        } else {
            new.comp[n] = comp_of(g, r);
            if (new.comp[n].kind == COMP_MEM && r != TCG_REG_CC_OP + n) {
                /* The slot of one part is to become another: seldom, so all by way of memory. */
                x64_cc_flush(g, true);
                old = g->now.cc;
                new.comp[n] = (struct comp){.kind = COMP_REG, .r = r};
            }
        }
    }
    g->kept = IR_NONE; /* its number may mean something else from here on */
    /* A slot that is a source of another part must be read before it is overwritten. */
    for (unsigned n = 1; n < 4; n++) {
        if (new.comp[n].kind == COMP_REG && is_cc(new.comp[n].r)) {
            unsigned reg = x64_use(g, new.comp[n].r);
            mov_mr(&g->c, 1, slot_of((ir_reg)(REG_VA + n - 1)), reg);
        }
    }
    for (unsigned n = 1; n < 4; n++) {
        if (new.comp[n].kind == COMP_REG && is_cc(new.comp[n].r)) {
            unsigned reg = x64_alloc(g);
            ir_reg slot = (ir_reg)(TCG_REG_CC_OP + n);
            mov_rm(&g->c, 1, reg, slot_of((ir_reg)(REG_VA + n - 1)));
            mov_mr(&g->c, 1, slot_of(slot), reg);
            new.comp[n] = in_memory;
        }
    }
    (void)old;
    g->now.cc = new;
    g->cmp_valid = false;
    for (unsigned n = 0; n < 4; n++) {
        ir_reg slot = (ir_reg)(TCG_REG_CC_OP + n);
        if (g->loc[slot] != NO_REG) {
            forget(g, g->loc[slot]);
        }
    }
}

/* The pending flags are those of this SUB (or ADD of the negative). */
bool x64_is_cc_of(const struct gen *g, const struct ir_op *op)
{
    const struct comp *a = &g->now.cc.comp[1], *b = &g->now.cc.comp[2];
    bool imm = op->flags & IR_BIMM;

    if (g->now.cc.insn != g->insn || a->kind != COMP_REG || a->r != op->a) {
        return false;
    }
    if (op->opc == IR_ADD) {
        return imm && b->kind == COMP_IMM &&
               (op->w == W64 ? b->imm == -op->imm : (uint32_t)b->imm == -(uint32_t)op->imm) &&
               op->imm;
    }
    return imm ? b->kind == COMP_IMM &&
                     (op->w == W64 ? b->imm == op->imm : (uint32_t)b->imm == (uint32_t)op->imm)
               : b->kind == COMP_REG && b->r == op->b;
}

void x64_before_write(struct gen *g, ir_reg r, const struct ir_op *op)
{
    if (is_cc(r)) {
        x64_cc_flush(g, true);
        return;
    }
    bool own =
        op && (op->opc == IR_ADD || op->opc == IR_SUB) && op->d == op->a && x64_is_cc_of(g, op);
    for (unsigned n = 1; n < 4; n++) {
        struct comp *c = &g->now.cc.comp[n];
        bool mine =
            (c->kind == COMP_REG || c->kind == COMP_SUM || c->kind == COMP_SUMI) && c->r == r;
        bool second = c->kind == COMP_SUM && c->r2 == r;
        if (!mine && !second) {
            continue;
        }
        /* The value before, from the value after, while the operation is the flags' own. */
        if (c->kind == COMP_REG && op && op->d == r && own &&
            (op->w == W64 || g->cc_wide_use[n - 1] <= g->i)) {
            bool imm = op->flags & IR_BIMM;
            if (op->opc == IR_ADD && imm && fits32(-op->imm)) {
                *c = (struct comp){.kind = COMP_SUMI, .r = r, .imm = -op->imm};
                continue;
            }
            if (op->opc == IR_SUB && imm && fits32(op->imm)) {
                *c = (struct comp){.kind = COMP_SUMI, .r = r, .imm = op->imm};
                continue;
            }
            if (op->opc == IR_SUB && !imm && op->b != r && !is_cc(op->b)) {
                *c = (struct comp){.kind = COMP_SUM, .r = r, .r2 = op->b};
                continue;
            }
        }
        store_comp(g, n);
        *c = in_memory;
    }
}
#endif
