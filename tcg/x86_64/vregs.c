/* Vector registers: copies in xmm registers inside a block. */
#ifdef __x86_64__
#include "tcg/x86_64/gen.h"

#include <assert.h>

static bool valive(const struct gen *g, ir_reg r)
{
    return r < TCG_VREG_TEMP || g->vlast_use[r] > g->i;
}

static bool wide_at(const struct places *p, unsigned x)
{
    return p->vwide >> x & 1;
}

static void move(struct gen *g, unsigned op, unsigned x, struct mem m, bool wide)
{
    if (thunks(g)->avx) {
        v_rm(&g->c, op, x, 0, m, wide);
    } else {
        x_rm(&g->c, op, x, m);
    }
}

/* x = low 1 << size bytes of memory, zero-extended. */
void v_load(struct gen *g, unsigned x, struct mem m, unsigned size)
{
    switch (size) {
    case MO_8:
    case MO_16: {
        unsigned t = x64_alloc(g);
        x_rm(&g->c, (size == MO_8 ? 0xb6 : 0xb7) | X_0F, t, m);
        if (thunks(g)->avx) {
            v_rr(&g->c, 0x6e | X_0F | X_66, x, 0, t, false);
        } else {
            x_rr(&g->c, 0x6e | X_0F | X_66, x, t);
        }
        break;
    }
    case MO_32:
        move(g, 0x6e | X_0F | X_66, x, m, false);
        break;
    case MO_64:
        move(g, 0x7e | X_0F | X_F3, x, m, false);
        break;
    case MO_128:
        move(g, 0x10 | X_0F, x, m, false);
        break;
    default:
        move(g, 0x10 | X_0F, x, m, true);
        break;
    }
}

void v_store(struct gen *g, unsigned x, struct mem m, unsigned size)
{
    switch (size) {
    case MO_8: /* pextrb, pextrw need SSE4.1 */
    case MO_16: {
        unsigned t = x64_alloc(g);
        if (thunks(g)->avx) {
            v_rr(&g->c, 0x7e | X_0F | X_66, x, 0, t, false);
        } else {
            x_rr(&g->c, 0x7e | X_0F | X_66, x, t);
        }
        x_rm(&g->c, size == MO_8 ? 0x88 | X_BYTE : 0x89 | X_66, t, m);
        break;
    }
    case MO_32:
        move(g, 0x7e | X_0F | X_66, x, m, false);
        break;
    case MO_64:
        move(g, 0xd6 | X_0F | X_66, x, m, false);
        break;
    case MO_128:
        move(g, 0x11 | X_0F, x, m, false);
        break;
    default:
        move(g, 0x11 | X_0F, x, m, true);
        break;
    }
}

static void vstore_slot(struct gen *g, const struct places *p, unsigned x)
{
    v_store(g, x, vslot_of(p->vheld[x]), wide_at(p, x) ? MO_256 : MO_128);
}

static void vforget(struct gen *g, unsigned x)
{
    ir_reg r = g->now.vheld[x];

    if (r < TCG_NVREGS) {
        g->vloc[r] = NO_REG;
    }
    g->now.vheld[x] = IR_NONE;
    g->now.vdirty &= (uint16_t) ~(1u << x);
    g->now.vwide &= (uint16_t) ~(1u << x);
}

static void vevict(struct gen *g, unsigned x)
{
    ir_reg r = g->now.vheld[x];

    if (r < TCG_NVREGS && (g->now.vdirty >> x & 1) && (valive(g, r) || g->vlast_use[r] >= g->i)) {
        vstore_slot(g, &g->now, x);
    }
    vforget(g, x);
}

static void vhold(struct gen *g, unsigned x, ir_reg r)
{
    g->now.vheld[x] = r;
    if (r < TCG_NVREGS) {
        g->vloc[r] = (uint8_t)x;
    }
    g->vstamp[x] = ++g->clock;
    g->vlocked |= (uint16_t)(1u << x);
}

static unsigned vpick(struct gen *g, ir_reg r)
{
    unsigned best = NO_REG, best_cost = 4;

    if (r < 16 && g->now.vheld[r] == IR_NONE && !(g->vlocked >> r & 1)) {
        vhold(g, r, SCRATCH);
        return r;
    }
    for (int k = 15; k >= 0; k--) { /* from the top: the first ones are wanted by their namesakes */
        unsigned x = (unsigned)k, cost;
        ir_reg held = g->now.vheld[x];
        if (g->vlocked >> x & 1) {
            continue;
        }
        cost = held == IR_NONE || held >= TCG_NVREGS           ? 0
               : !valive(g, held) && g->vlast_use[held] < g->i ? 0
               : g->now.vdirty >> x & 1                        ? 2
                                                               : 1;
        if (cost == 0 && (g->loop_vregs >> x & 1)) {
            cost = 1; /* the loop's end wants its register back there */
        }
        if (cost < best_cost || (cost == best_cost && cost && g->vstamp[x] < g->vstamp[best])) {
            best = x;
            best_cost = cost;
        }
    }
    assert(best != NO_REG);
    vevict(g, best);
    vhold(g, best, SCRATCH);
    return best;
}

unsigned x64_valloc(struct gen *g)
{
    return vpick(g, IR_NONE);
}

unsigned x64_vuse(struct gen *g, ir_reg r, bool wide)
{
    unsigned x = g->vloc[r];

    if (x != NO_REG && (!wide || wide_at(&g->now, x))) {
        g->vstamp[x] = ++g->clock;
        g->vlocked |= (uint16_t)(1u << x);
        return x;
    }
    if (x != NO_REG) { /* the upper half is in memory */
        if (g->now.vdirty >> x & 1) {
            vstore_slot(g, &g->now, x);
            g->now.vdirty &= (uint16_t) ~(1u << x);
        }
    } else {
        x = vpick(g, r);
    }
    v_load(g, x, vslot_of(r), wide ? MO_256 : MO_128);
    vhold(g, x, r);
    if (wide) {
        g->now.vwide |= (uint16_t)(1u << x);
    }
    return x;
}

unsigned x64_vdef(struct gen *g, ir_reg r)
{
    unsigned x = g->vloc[r];

    if (x == NO_REG) {
        return vpick(g, r);
    }
    if (wide_at(&g->now, x)) { /* 128-bit operations keep the upper half */
        if (g->now.vdirty >> x & 1) {
            vstore_slot(g, &g->now, x);
            g->now.vdirty &= (uint16_t) ~(1u << x);
        }
        g->now.vwide &= (uint16_t) ~(1u << x);
    }
    g->vlocked |= (uint16_t)(1u << x);
    return x;
}

void x64_vdone(struct gen *g, ir_reg r, unsigned x, bool wide)
{
    if (g->vloc[r] != NO_REG && g->vloc[r] != x) {
        vforget(g, g->vloc[r]);
    }
    if (g->now.vheld[x] != r) {
        vforget(g, x);
        vhold(g, x, r);
    }
    g->now.vdirty |= (uint16_t)(1u << x);
    if (wide) {
        g->now.vwide |= (uint16_t)(1u << x);
    } else {
        g->now.vwide &= (uint16_t) ~(1u << x);
    }
}

void x64_vflush_one(struct gen *g, ir_reg r, bool drop)
{
    unsigned x = g->vloc[r];

    if (x == NO_REG) {
        return;
    }
    if (g->now.vdirty >> x & 1) {
        vstore_slot(g, &g->now, x);
        g->now.vdirty &= (uint16_t) ~(1u << x);
    }
    if (drop) {
        vforget(g, x);
    }
}

void x64_vdrop(struct gen *g, ir_reg r)
{
    if (g->vloc[r] != NO_REG) {
        vforget(g, g->vloc[r]);
    }
}

void x64_vflush(struct gen *g, bool drop)
{
    for (unsigned x = 0; x < 16; x++) {
        ir_reg r = g->now.vheld[x];
        if (r < TCG_NVREGS && (g->now.vdirty >> x & 1)) {
            if (r < TCG_VREG_TEMP || g->vlast_use[r] >= g->i) {
                vstore_slot(g, &g->now, x);
            }
            g->now.vdirty &= (uint16_t) ~(1u << x);
        }
        if (drop && r != IR_NONE) {
            vforget(g, x);
        }
    }
}

void x64_vsave(struct gen *g, const struct places *p)
{
    for (unsigned x = 0; x < 16; x++) {
        if ((p->vdirty >> x & 1) && p->vheld[x] < TCG_NVREGS) {
            vstore_slot(g, p, x);
        }
    }
}

void x64_vreload(struct gen *g, const struct places *p, unsigned except)
{
    for (unsigned x = 0; x < 16; x++) {
        if (x != except && p->vheld[x] < TCG_NVREGS) {
            v_load(g, x, vslot_of(p->vheld[x]), wide_at(p, x) ? MO_256 : MO_128);
        }
    }
}
#endif
