/* x87 operations: a run's start and end, and what is out of line. */
#ifdef __x86_64__
#include "tcg/x86_64/x87.h"

void x64_fp_begin_run(struct gen *g)
{
    const struct fp80_layout *l = layout(g);
    struct cold *k;
    uint8_t *from;

    x64_take(g, RAX);
    x64_take(g, RCX);
    x64_take(g, RDX);
    memset(&g->fp, 0, sizeof(g->fp));

    load8(g, RCX, env_at(l->top));
    load8(g, RDX, env_at(l->empty));
    x_rr(&g->c, 0xd2 | X_RMBYTE, 1, RDX); /* ror dl, cl: bit i is ST(i)'s */
    alu8(g, ALU_XOR, RDX, 0);
    g->fp_empty_at = g->c.p - 1;
    x_rr(&g->c, 0xf6 | X_RMBYTE, 0, RDX); /* test */
    put8(&g->c, 0);
    g->fp_mask_at = g->c.p - 1;
    from = jcc32(&g->c, CC_NE);
    k = x64_cold(g, COLD_FP_MISS);
    k->from[0] = from;

    /* The host's flags must be among the guest's, which nothing but the guest clears. (To ask the
     * host itself is slow behind a store.) */
    load8(g, RAX, host_flags());
    load16(g, RCX, env_at(l->status));
    alu_ri(&g->c, ALU_OR, 0, RAX, SW_ES);
    alu_ri(&g->c, ALU_XOR, 0, RCX, 0x7f);
    alu_rr(&g->c, ALU_AND, 0, RAX, RCX);
    put8(&g->c, 0xa8); /* test al */
    put8(&g->c, SW_FLAGS | SW_ES);
    from = jcc32(&g->c, CC_NE);
    k = x64_cold(g, COLD_FP_FLAGS);
    k->from[0] = from;
    k->back = g->c.p;

    load16(g, RAX, env_at(l->control));
    alu_ri(&g->c, ALU_CMP, 0, RAX, CW_DEFAULT);
    from = jcc32(&g->c, CC_NE);
    k = x64_cold(g, COLD_FP_CONTROL);
    k->from[0] = from;
    k->back = g->c.p;

    x64_unlock(g);
    g->fp.live = true;
}

static void change_tags(struct gen *g, unsigned to_empty, unsigned to_full)
{
    struct mem m = env_at(layout(g)->empty);

    if (to_empty | to_full) { /* rdx: TOP */
        load8(g, RAX, m);
        mov_rr(&g->c, 0, RCX, RDX);
        x_rr(&g->c, 0xd2 | X_RMBYTE, 1, RAX);
        if (to_empty) {
            alu8(g, ALU_OR, RAX, to_empty);
        }
        if (to_full) {
            alu8(g, ALU_AND, RAX, (uint8_t)~to_full);
        }
        x_rr(&g->c, 0xd2 | X_RMBYTE, 0, RAX);
        x_rm(&g->c, 0x88, RAX, m);
    }
}

static void change_top(struct gen *g, unsigned delta)
{
    if (delta) {
        alu_ri(&g->c, ALU_ADD, 0, RDX, (int32_t)delta);
        alu_ri(&g->c, ALU_AND, 0, RDX, 7);
        x_rm(&g->c, 0x88, RDX, env_at(layout(g)->top));
    }
}

/* Behind the status from before a store. */
static struct mem status_after(void)
{
    struct mem m = slot_of(REG_EXPECT);
    m.disp += 2;
    return m;
}

/* Everything to the guest's struct, and the host's unit is C's. rax, rcx, rdx. */
static void save_all(struct gen *g, const struct fp_state *f)
{
    struct mem scratch = at(RSP, -8); /* the red zone */

    if (f->storing) { /* as if it had not begun */
        store_status(g, status_after());
        x_rm(&g->c, 0xc6, 0, host_flags());
        put8(&g->c, SW_FLAGS);
        load16(g, RAX, slot_of(REG_EXPECT));
        x64_fp_put_status(g, f->c1_before, 0);
    } else {
        x64_fp_sync_status(g, f->c1, 0);
    }
    load8(g, RDX, env_at(layout(g)->top));
    for (unsigned d = f->depth; d; d--) {
        x64_fp_store_top(g, f, d, RCX, RDX);
    }
    change_tags(g, f->full0 & f->empty, f->empty0 & f->full);
    change_top(g, f->delta);
    load16(g, RAX, env_at(layout(g)->control));
    alu_ri(&g->c, ALU_CMP, 0, RAX, CW_DEFAULT);
    uint8_t *same = jcc8(&g->c, CC_E);
    mov_mi(&g->c, 0, scratch, CW_DEFAULT);
    x_rm(&g->c, 0xd9, 5, scratch);
    patch8(&g->c, same, g->c.p);
}

void x64_fp_flush(struct gen *g)
{
    if (!g->fp.live) {
        return;
    }
    x64_take(g, RAX);
    x64_take(g, RCX);
    x64_take(g, RDX);
    save_all(g, &g->fp);
    g->fp.live = false;
    flags_clobbered(g);
    x64_unlock(g);
}

/* ---- out of line ---- */

void x64_fp_save(struct gen *g, const struct fp_state *f)
{
    if (f->live) {
        save_all(g, f);
    }
}

/* Undoes x64_fp_save; rcx and rdx are free, rax is not. */
void x64_fp_reload(struct gen *g, const struct fp_state *f)
{
    struct mem scratch = at(RSP, -40), after = status_after();

    if (!f->live) {
        return;
    }
    mov_mr(&g->c, 1, at(RSP, -8), RAX);
    load8(g, RDX, env_at(layout(g)->top));
    change_top(g, (8u - f->delta) & 7);
    change_tags(g, f->empty0 & f->full, f->full0 & f->empty);
    x_rm(&g->c, 0xd9, 5, env_at(layout(g)->control));
    for (unsigned d = 0; d < f->depth; d++) {
        if (f->entry[d] == DEAD) {
            fp_rr(g, 0xd9, 0xee); /* fldz */
        } else {
            x_rm(&g->c, 0xdb, 5, x64_fp_reg_mem(g, RCX, RDX, f->entry[d]));
        }
    }
    if (f->c1 == C1_LIVE) {            /* the host's C1 was the result of something */
        x_rm(&g->c, 0xd9, 6, scratch); /* fnstenv */
        load16(g, RCX, f->storing ? after : env_at(layout(g)->status));
        alu_ri(&g->c, ALU_AND, 0, RCX, SW_C1);
        x_rm(&g->c, 0x09, RCX, at(RSP, -40 + 4));
        x_rm(&g->c, 0xd9, 4, scratch); /* fldenv */
    }
    mov_rm(&g->c, 1, RAX, at(RSP, -8));
}

/* The run's check failed: the instruction is to be run alone. */
static uint64_t fp_miss(struct vcpu *v)
{
    if (!v->ops->fp80->odd_state(v)) {
        v->tcg_cpu->single = true;
    }
    vcpu_unwind(v, false);
}

static void gen_miss(struct gen *g, const struct cold *k)
{
    x64_save(g, &k->places);
    mov_ri(&g->c, RDI, x64_helper_index(g, (const void *)(uintptr_t)fp_miss));
    x64_call_thunk(g, thunks(g)->call[g->ir->ctx][CALL_FULL]);
    x64_map_here(g, &k->places, k->insn_off, k->insn_meta);
    put8(&g->c, 0x0f); /* it does not come back: ud2 */
    put8(&g->c, 0x0b);
}

void x64_fp_cold(struct gen *g, const struct cold *k)
{
    uint8_t *miss, *back;

    patch32(&g->c, k->from[0], g->c.p);
    switch (k->kind) {
    case COLD_FP_FLAGS: /* al: those that the host may have and the guest has not; ES */
        put8(&g->c, 0xa8);
        put8(&g->c, SW_ES);
        miss = jcc32(&g->c, CC_NE);
        fnstsw_ax(g);
        x_rm(&g->c, 0x88, RAX, host_flags());
        load16(g, RCX, env_at(layout(g)->status));
        x_rr(&g->c, 0xf7, 2, RCX);
        alu_rr(&g->c, ALU_AND, 0, RAX, RCX);
        put8(&g->c, 0xa8);
        put8(&g->c, SW_FLAGS);
        back = jcc32(&g->c, CC_E);
        patch32(&g->c, back, k->back);
        fp_rr(g, 0xdb, 0xe2); /* fnclex */
        x_rm(&g->c, 0xc6, 0, host_flags());
        put8(&g->c, 0);
        break;
    case COLD_FP_CONTROL: /* eax: the guest's */
        x_rr(&g->c, 0xf7, 2, RAX);
        put8(&g->c, 0xa8);
        put8(&g->c, SW_FLAGS);
        miss = jcc32(&g->c, CC_NE);
        x_rm(&g->c, 0xd9, 5, env_at(layout(g)->control));
        break;
    default:
        gen_miss(g, k);
        return;
    }
    back = jmp32(&g->c);
    patch32(&g->c, back, k->back);
    patch32(&g->c, miss, g->c.p);
    gen_miss(g, k);
}

#endif
