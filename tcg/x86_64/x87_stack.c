/* x87 operations: where values are on the host's register stack, and what is known of the guest's
 * tags. */
#ifdef __x86_64__
#include "tcg/x86_64/x87.h"

static void drop_dead(struct gen *g)
{
    while (g->fp.depth && g->fp.entry[g->fp.depth - 1] == DEAD) {
        fpop(g);
        g->fp.depth--;
    }
}

/* The place of guest register r, whose index goes to a register; top: it holds TOP, or NO_REG. */
struct mem x64_fp_reg_mem(struct gen *g, unsigned reg, unsigned top, unsigned r)
{
    if (top == NO_REG) {
        load8(g, reg, env_at(layout(g)->top));
        top = reg;
    }
    if (r) {
        lea(&g->c, 0, reg, at(top, (int32_t)r));
        alu_ri(&g->c, ALU_AND, 0, reg, 7);
    } else if (reg != top) {
        mov_rr(&g->c, 0, reg, top);
    }
    x_rr(&g->c, 0xc1, 4, reg);
    put8(&g->c, 4);
    return at_index(HOST_VCPU, reg, 0, env_disp(layout(g)->regs));
}

/* The top entry leaves the host. */
void x64_fp_store_top(struct gen *g, const struct fp_state *f, unsigned depth, unsigned reg,
                      unsigned top)
{
    unsigned r = f->entry[depth - 1];

    if (r == DEAD || !(f->dirty >> r & 1)) {
        fpop(g);
    } else {
        x_rm(&g->c, 0xdb, 7, x64_fp_reg_mem(g, reg, top, r));
    }
}

/* A scratch register is not needed any more. */
static void release(struct gen *g, unsigned reg)
{
    g->now.held[reg] = IR_NONE;
    g->locked &= (uint16_t) ~(1u << reg);
}

/* Makes n places free, not at the cost of the registers in `keep`. */
void x64_fp_room(struct gen *g, unsigned n, unsigned keep)
{
    drop_dead(g);
    while (g->fp.depth + n > 8) {
        unsigned i = 0, k;
        bool found = false;
        for (k = 0; k < g->fp.depth; k++) { /* a dead one, an empty register, else the deepest */
            unsigned r = g->fp.entry[g->fp.depth - 1 - k];
            if (r == DEAD) {
                i = k;
                break;
            }
            if (!(keep >> r & 1) && ((g->fp.empty >> r & 1) || !found)) {
                i = k;
                found |= g->fp.empty >> r & 1;
            }
        }
        if (i) {
            fxch(g, i);
            swap(g, i);
        }
        unsigned t = x64_alloc(g);
        x64_fp_store_top(g, &g->fp, g->fp.depth, t, NO_REG);
        release(g, t);
        g->fp.depth--;
        drop_dead(g);
    }
}

void x64_fp_load_reg(struct gen *g, unsigned r)
{
    unsigned t = x64_alloc(g);
    x_rm(&g->c, 0xdb, 5, x64_fp_reg_mem(g, t, NO_REG, r));
    release(g, t);
}

/* Sees to it that r is on the host's stack. */
unsigned x64_fp_on_host(struct gen *g, unsigned r, unsigned keep)
{
    drop_dead(g);
    if (pos(g, r) < 0) {
        x64_fp_room(g, 1, keep | 1u << r);
        x64_fp_load_reg(g, r);
        pushed(g, r);
        g->fp.dirty &= (uint8_t) ~(1u << r);
    }
    return (unsigned)pos(g, r);
}

void x64_fp_bring_top(struct gen *g, unsigned r, unsigned keep)
{
    unsigned i = x64_fp_on_host(g, r, keep);

    if (i) {
        fxch(g, i);
        swap(g, i);
    }
}

void x64_fp_forget_value(struct gen *g, unsigned r)
{
    int i = pos(g, r);

    if (i >= 0) {
        g->fp.entry[g->fp.depth - 1 - (unsigned)i] = DEAD;
    }
    g->fp.dirty &= (uint8_t) ~(1u << r);
}

/* ---- tags ---- */

static void more_needs(struct gen *g)
{
    if (!g->c.overflow) {
        *g->fp_empty_at = g->fp.empty0;
        *g->fp_mask_at = g->fp.empty0 | g->fp.full0;
    }
}

/* r is full, or the run's check says so; false: it is empty. */
bool x64_fp_need_full(struct gen *g, unsigned r)
{
    if (g->fp.empty >> r & 1) {
        return false;
    }
    if (!(g->fp.full >> r & 1)) {
        g->fp.full0 |= (uint8_t)(1u << r);
        g->fp.full |= (uint8_t)(1u << r);
        more_needs(g);
    }
    return true;
}

bool x64_fp_need_empty(struct gen *g, unsigned r)
{
    if (g->fp.full >> r & 1) {
        return false;
    }
    if (!(g->fp.empty >> r & 1)) {
        g->fp.empty0 |= (uint8_t)(1u << r);
        g->fp.empty |= (uint8_t)(1u << r);
        more_needs(g);
    }
    return true;
}

/* eax, the host's status, goes to the guest's: flags, C1 and what codes says. Uses ecx. */
void x64_fp_put_status(struct gen *g, unsigned c1, unsigned codes)
{
    struct mem sw = env_at(layout(g)->status);
    unsigned take = SW_FLAGS | codes | (c1 == C1_LIVE ? SW_C1 : 0);
    unsigned clear = codes | (c1 != C1_MEMORY ? SW_C1 : 0);

    load16(g, RCX, sw);
    alu_ri(&g->c, ALU_AND, 0, RAX, (int32_t)take);
    if (clear) {
        alu_ri(&g->c, ALU_AND, 0, RCX, ~(int32_t)clear);
    }
    alu_rr(&g->c, ALU_OR, 0, RCX, RAX);
    store16(g, sw, RCX);
}

void x64_fp_sync_status(struct gen *g, unsigned c1, unsigned codes)
{
    fnstsw_ax(g);
    x_rm(&g->c, 0x88, RAX, host_flags());
    x64_fp_put_status(g, c1, codes);
}

void x64_fp_keep_c1(struct gen *g)
{
    if (g->fp.c1 == C1_LIVE) {
        x64_take(g, RAX);
        x64_take(g, RCX);
        x64_fp_sync_status(g, C1_LIVE, 0);
        g->fp.c1 = C1_MEMORY;
        x64_unlock(g);
    }
}

/* Makes room for a new ST(0). */
void x64_fp_before_push(struct gen *g, unsigned keep)
{
    if (!g->fp_load) { /* else it may still be wanted: the load may fault */
        x64_fp_forget_value(g, st(g, 7));
    } else if (g->fp.depth && (g->fp.depth == 8 || g->fp.entry[g->fp.depth - 1] == DEAD)) {
        x64_fp_keep_c1(g);
    }
    x64_fp_room(g, 1, keep);
}

/* The new ST(0) is on top of the host's stack. */
void x64_fp_push_st(struct gen *g)
{
    x64_fp_forget_value(g, st(g, 7));
    g->fp.delta = (g->fp.delta - 1) & 7;
    pushed(g, st(g, 0));
    becomes_full(g, st(g, 0));
}

#endif
