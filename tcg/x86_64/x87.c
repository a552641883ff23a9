/* The operations of tcg/fp80.h on the host's own x87 unit.
 *
 * Consecutive operations of a block are a run. Values stay on the host's register stack through it,
 * in any order: `entry` says which guest register each is. A run begins with one check (exceptions
 * masked and none pending; the registers that it takes as full or empty are that, by masks that are
 * patched as the run grows); when it fails, the instruction is run alone by the helpers. Everything
 * goes back to the guest's CPU struct at the run's end, and out of line around slow memory
 * accesses.
 *
 * Guest registers are numbered by ST(i) at the run's start, when TOP was what it is in memory all
 * through the run. The condition codes are in memory always, exception flags collect in the host's
 * status word, C1 is where fp.c1 says.
 *
 * While a run is open the host's control word is the guest's; else it is C's. */
#ifdef __x86_64__
#include "tcg/fp80.h"
#include "tcg/x86_64/gen.h"

#include <assert.h>

enum { DEAD = 8 };                    /* entry: nobody's */
enum { C1_MEMORY, C1_LIVE, C1_ZERO }; /* in the status word; in the host's; it is 0 */
enum { CW_DEFAULT = 0x37f };          /* C's, and nearly every guest's */
enum { SW_FLAGS = 0x3f, SW_ES = 0x80, SW_C1 = 0x200, SW_CODES = 0x4500 };

static inline const struct fp80_layout *layout(const struct gen *g)
{
    return g->ir->fp80;
}

static inline enum fp80_op fp_op(const struct ir_op *op)
{
    return op->opc == IR_CALL ? (enum fp80_op)(ir_op_helper(op)->flags >> HELPER_FP80 & 0xff)
                              : FP80_NONE;
}

static bool allowed(const struct gen *g)
{
    return layout(g) && !g->ir->no_link && !(g->ir->flags & layout(g)->odd_key);
}

/* ---- encodings ---- */

static void fp_rr(struct gen *g, unsigned b0, unsigned b1)
{
    put8(&g->c, b0);
    put8(&g->c, b1);
}

static void fxch(struct gen *g, unsigned i)
{
    fp_rr(g, 0xd9, 0xc8 + i);
}

static void fpop(struct gen *g)
{
    fp_rr(g, 0xdd, 0xd8);
}

static void fnstsw_ax(struct gen *g)
{
    fp_rr(g, 0xdf, 0xe0);
}

static void store_status(struct gen *g, struct mem m)
{
    x_rm(&g->c, 0xdd, 7, m);
}

static void load8(struct gen *g, unsigned reg, struct mem m)
{
    x_rm(&g->c, 0xb6 | X_0F, reg, m);
}

static void load16(struct gen *g, unsigned reg, struct mem m)
{
    x_rm(&g->c, 0xb7 | X_0F, reg, m);
}

static void store16(struct gen *g, struct mem m, unsigned reg)
{
    x_rm(&g->c, 0x89 | X_66, reg, m);
}

/* op reg8, imm8 of the group 80 */
static void alu8(struct gen *g, enum alu op, unsigned reg, unsigned imm)
{
    x_rr(&g->c, 0x80 | X_RMBYTE, op, reg);
    put8(&g->c, imm);
}

/* ---- the host's stack ---- */

static unsigned st(const struct gen *g, unsigned i)
{
    return (g->fp.delta + i) & 7;
}

/* i of the host's ST(i), -1 */
static int pos(const struct gen *g, unsigned r)
{
    for (unsigned k = 0; k < g->fp.depth; k++) {
        if (g->fp.entry[g->fp.depth - 1 - k] == r) {
            return (int)k;
        }
    }
    return -1;
}

static void swap(struct gen *g, unsigned i)
{
    uint8_t *top = &g->fp.entry[g->fp.depth - 1], *other = top - i, t = *top;

    *top = *other;
    *other = t;
}

static void drop_dead(struct gen *g)
{
    while (g->fp.depth && g->fp.entry[g->fp.depth - 1] == DEAD) {
        fpop(g);
        g->fp.depth--;
    }
}

/* The place of guest register r, whose index goes to a register; top: it holds TOP, or NO_REG. */
static struct mem reg_mem(struct gen *g, unsigned reg, unsigned top, unsigned r)
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
static void store_top(struct gen *g, const struct fp_state *f, unsigned depth, unsigned reg,
                      unsigned top)
{
    unsigned r = f->entry[depth - 1];

    if (r == DEAD || !(f->dirty >> r & 1)) {
        fpop(g);
    } else {
        x_rm(&g->c, 0xdb, 7, reg_mem(g, reg, top, r));
    }
}

/* A scratch register is not needed any more. */
static void release(struct gen *g, unsigned reg)
{
    g->now.held[reg] = IR_NONE;
    g->locked &= (uint16_t) ~(1u << reg);
}

/* Makes n places free, not at the cost of the registers in `keep`. */
static void room(struct gen *g, unsigned n, unsigned keep)
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
        store_top(g, &g->fp, g->fp.depth, t, NO_REG);
        release(g, t);
        g->fp.depth--;
        drop_dead(g);
    }
}

static void pushed(struct gen *g, unsigned r)
{
    g->fp.entry[g->fp.depth++] = (uint8_t)r;
}

static void load_reg(struct gen *g, unsigned r)
{
    unsigned t = x64_alloc(g);
    x_rm(&g->c, 0xdb, 5, reg_mem(g, t, NO_REG, r));
    release(g, t);
}

/* Sees to it that r is on the host's stack. */
static unsigned on_host(struct gen *g, unsigned r, unsigned keep)
{
    drop_dead(g);
    if (pos(g, r) < 0) {
        room(g, 1, keep | 1u << r);
        load_reg(g, r);
        pushed(g, r);
        g->fp.dirty &= (uint8_t) ~(1u << r);
    }
    return (unsigned)pos(g, r);
}

static void bring_top(struct gen *g, unsigned r, unsigned keep)
{
    unsigned i = on_host(g, r, keep);

    if (i) {
        fxch(g, i);
        swap(g, i);
    }
}

static void forget_value(struct gen *g, unsigned r)
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
static bool need_full(struct gen *g, unsigned r)
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

static bool need_empty(struct gen *g, unsigned r)
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

static void becomes_full(struct gen *g, unsigned r)
{
    g->fp.full |= (uint8_t)(1u << r);
    g->fp.empty &= (uint8_t) ~(1u << r);
    g->fp.dirty |= (uint8_t)(1u << r);
}

/* Its value stays: an empty register can still be seen. */
static void becomes_empty(struct gen *g, unsigned r)
{
    g->fp.full &= (uint8_t) ~(1u << r);
    g->fp.empty |= (uint8_t)(1u << r);
}

static void pop(struct gen *g)
{
    becomes_empty(g, st(g, 0));
    g->fp.delta = (g->fp.delta + 1) & 7;
}

static struct mem host_flags(void)
{
    return env_at(offsetof(struct vcpu, host_fp80_flags));
}

/* eax, the host's status, goes to the guest's: flags, C1 and what codes says. Uses ecx. */
static void put_status(struct gen *g, unsigned c1, unsigned codes)
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

static void sync_status(struct gen *g, unsigned c1, unsigned codes)
{
    fnstsw_ax(g);
    x_rm(&g->c, 0x88, RAX, host_flags());
    put_status(g, c1, codes);
}

static void keep_c1(struct gen *g)
{
    if (g->fp.c1 == C1_LIVE) {
        x64_take(g, RAX);
        x64_take(g, RCX);
        sync_status(g, C1_LIVE, 0);
        g->fp.c1 = C1_MEMORY;
        x64_unlock(g);
    }
}

/* Makes room for a new ST(0). */
static void before_push(struct gen *g, unsigned keep)
{
    if (!g->fp_load) { /* else it may still be wanted: the load may fault */
        forget_value(g, st(g, 7));
    } else if (g->fp.depth && (g->fp.depth == 8 || g->fp.entry[g->fp.depth - 1] == DEAD)) {
        keep_c1(g);
    }
    room(g, 1, keep);
}

/* The new ST(0) is on top of the host's stack. */
static void push(struct gen *g)
{
    forget_value(g, st(g, 7));
    g->fp.delta = (g->fp.delta - 1) & 7;
    pushed(g, st(g, 0));
    becomes_full(g, st(g, 0));
}

/* ---- a run's start and end ---- */

static void begin_run(struct gen *g)
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
        put_status(g, f->c1_before, 0);
    } else {
        sync_status(g, f->c1, 0);
    }
    load8(g, RDX, env_at(layout(g)->top));
    for (unsigned d = f->depth; d; d--) {
        store_top(g, f, d, RCX, RDX);
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
            x_rm(&g->c, 0xdb, 5, reg_mem(g, RCX, RDX, f->entry[d]));
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

/* ---- operands ---- */

/* The host's instruction with op's operand a, which it may load from the guest's memory itself. */
static void with_value(struct gen *g, const struct ir_op *op, unsigned opcode, unsigned reg)
{
    unsigned value;

    if (g->fp_load) {
        x64_load_fp(g, g->fp_load, opcode, reg);
    } else if (x64_in_reg(g, op->a, &value)) {
        mov_mr(&g->c, 1, slot_of(REG_VA), value);
        x_rm(&g->c, opcode, reg, slot_of(REG_VA));
    } else {
        x_rm(&g->c, opcode, reg, slot_of(op->a));
    }
}

static void result(struct gen *g, ir_reg d, unsigned reg)
{
    if (d != IR_NONE) {
        x64_before_write(g, d, NULL);
        x64_done(g, d, reg);
    }
}

/* ---- operations; false: not in this state, let the helper do it ---- */

static bool load(struct gen *g, const struct ir_op *op)
{
    static const struct {
        uint8_t opcode, reg;
    } table[] = {
        [FP80_F32] = {0xd9, 0}, [FP80_F64] = {0xdd, 0}, [FP80_I16] = {0xdf, 0},
        [FP80_I32] = {0xdb, 0}, [FP80_I64] = {0xdf, 5},
    };

    if (!need_empty(g, st(g, 7))) {
        return false;
    }
    before_push(g, 0);
    with_value(g, op, table[op->imm].opcode, table[op->imm].reg);
    push(g);
    g->fp.c1 = C1_ZERO;
    return true;
}

static bool load80(struct gen *g, const struct ir_op *op)
{
    if (!need_empty(g, st(g, 7))) {
        return false;
    }
    before_push(g, 0);
    mov_mr(&g->c, 1, slot_of(REG_VA), x64_use(g, op->a));
    mov_mr(&g->c, 1, slot_of(REG_VALUE), x64_use(g, op->b));
    _Static_assert(REG_VALUE == REG_VA + 1, "16 bytes in memory");
    x_rm(&g->c, 0xdb, 5, slot_of(REG_VA));
    push(g);
    g->fp.c1 = C1_ZERO;
    return true;
}

static bool load_st(struct gen *g, const struct ir_op *op)
{
    unsigned r = st(g, (unsigned)op->imm);

    if (!need_full(g, r) || !need_empty(g, st(g, 7))) {
        return false;
    }
    before_push(g, 1u << r);
    if (pos(g, r) >= 0) {
        fp_rr(g, 0xd9, 0xc0 + (unsigned)pos(g, r));
    } else {
        load_reg(g, r);
    }
    push(g);
    g->fp.c1 = C1_ZERO;
    return true;
}

static bool constant(struct gen *g, const struct ir_op *op)
{
    if (!need_empty(g, st(g, 7))) {
        return false;
    }
    before_push(g, 0);
    fp_rr(g, 0xd9, 0xe8 + (unsigned)op->imm);
    push(g);
    g->fp.c1 = C1_ZERO;
    return true;
}

static bool store(struct gen *g, const struct ir_op *op)
{
    static const struct {
        uint8_t opcode, reg, truncate_opcode;
        bool pops;
    } table[] = {
        [FP80_F32] = {0xd9, 2, 0, false},    [FP80_F64] = {0xdd, 2, 0, false},
        [FP80_I16] = {0xdf, 2, 0xdf, false}, [FP80_I32] = {0xdb, 2, 0xdb, false},
        [FP80_I64] = {0xdf, 7, 0xdd, true},
    };
    unsigned r = st(g, 0), format = op->imm & 7, d;
    bool truncate = op->imm & FP80_TRUNCATE;

    if (!need_full(g, r)) {
        return false;
    }
    store_status(g, slot_of(REG_EXPECT));
    g->fp.c1_before = g->fp.c1;
    g->fp.storing = true;
    if (truncate || table[format].pops) {
        room(g, 2, 1u << r);
        bring_top(g, r, 0);
        fp_rr(g, 0xd9, 0xc0); /* fld st(0) */
    } else {
        bring_top(g, r, 0);
    }
    if (truncate) {
        x_rm(&g->c, table[format].truncate_opcode, 1, slot_of(REG_VA));
    } else {
        x_rm(&g->c, table[format].opcode, table[format].reg, slot_of(REG_VA));
    }
    g->fp.c1 = C1_LIVE;
    d = x64_alloc(g);
    if (format == FP80_I16) {
        load16(g, d, slot_of(REG_VA));
    } else {
        mov_rm(&g->c, format == FP80_F64 || format == FP80_I64, d, slot_of(REG_VA));
    }
    result(g, op->d, d);
    return true;
}

/* It is wanted: the branch that may follow is not taken. */
static unsigned store_wanted(struct gen *g, const struct ir_op *op)
{
    if (g->i + 1 < g->ir->nops && op[1].opc == IR_BRCOND && op[1].aux == IR_EQ &&
        op[1].a == op->d && (op[1].flags & IR_BIMM) && op[1].imm == 0 &&
        g->label[op[1].d].nrefs == 2 && !g->label[op[1].d].known) {
        g->label[op[1].d].nrefs = 0; /* only reached by going on */
        return 2;
    }
    unsigned d = x64_alloc(g);
    mov_ri(&g->c, d, 1);
    result(g, op->d, d);
    return 1;
}

static bool store80(struct gen *g, const struct ir_op *op)
{
    unsigned r = st(g, 0), d;

    if (!need_full(g, r)) {
        return false;
    }
    if (!(op->imm && fp_op(&op[-1]) == FP80_STORE80 && !op[-1].imm)) {
        keep_c1(g);
        room(g, 2, 1u << r);
        bring_top(g, r, 0);
        fp_rr(g, 0xd9, 0xc0);
        x_rm(&g->c, 0xdb, 7, slot_of(REG_VA));
    }
    d = x64_alloc(g);
    if (op->imm) {
        load16(g, d, slot_of(REG_VALUE));
    } else {
        mov_rm(&g->c, 1, d, slot_of(REG_VA));
    }
    result(g, op->d, d);
    return true;
}

static bool store_st(struct gen *g, const struct ir_op *op)
{
    unsigned s = st(g, 0), d = st(g, op->imm & 7);

    if (!need_full(g, s) || (!(g->fp.empty >> d & 1) && !need_full(g, d))) {
        return false;
    }
    if (s != d) {
        int i;

        forget_value(g, d);
        room(g, 1, 1u << s);
        i = pos(g, s);
        if (i >= 0 && (op->imm & 8) && !(g->fp.dirty >> s & 1)) {
            g->fp.entry[g->fp.depth - 1 - (unsigned)i] = (uint8_t)d;
        } else {
            if (i >= 0) {
                fp_rr(g, 0xd9, 0xc0 + (unsigned)i);
            } else {
                load_reg(g, s);
            }
            pushed(g, d);
        }
        becomes_full(g, d);
    }
    if (op->imm & 8) {
        pop(g);
    }
    g->fp.c1 = C1_ZERO;
    return true;
}

static bool arith_mem(struct gen *g, const struct ir_op *op)
{
    static const uint8_t opcode[] = {
        [FP80_F32] = 0xd8, [FP80_F64] = 0xdc, [FP80_I16] = 0xde, [FP80_I32] = 0xda};
    unsigned r = st(g, 0);

    if (!need_full(g, r)) {
        return false;
    }
    if (g->fp_load && pos(g, r) != 0) {
        keep_c1(g);
    }
    bring_top(g, r, 0);
    with_value(g, op, opcode[op->imm & 15], (unsigned)(op->imm >> 4));
    g->fp.dirty |= (uint8_t)(1u << r);
    g->fp.c1 = C1_LIVE;
    return true;
}

static bool arith_st(struct gen *g, const struct ir_op *op)
{
    unsigned d = st(g, op->imm & 7), s = st(g, op->imm >> 4 & 7);
    unsigned what = op->imm >> 8 & 15, reversed = what ^ (what >= FP80_SUB);
    bool pops = op->imm >> 12;

    if (!need_full(g, d) || !need_full(g, s)) {
        return false;
    }
    on_host(g, s, 1u << d);
    on_host(g, d, 1u << s);
    if (pops && s == st(g, 0) && d != s && !(g->fp.dirty >> s & 1)) {
        bring_top(g, s, 1u << d);
        fp_rr(g, 0xde, 0xc0 + 8 * reversed + (unsigned)pos(g, d));
        g->fp.depth--;
    } else if (pos(g, s) == 0 && d != s) {
        fp_rr(g, 0xdc, 0xc0 + 8 * reversed + (unsigned)pos(g, d));
    } else {
        bring_top(g, d, 1u << s);
        fp_rr(g, 0xd8, 0xc0 + 8 * what + (unsigned)pos(g, s));
    }
    g->fp.dirty |= (uint8_t)(1u << d);
    g->fp.c1 = C1_LIVE;
    if (pops) {
        pop(g);
    }
    return true;
}

/* The condition codes of the host's last instruction, C1 too, go to the status word. */
static void take_codes(struct gen *g)
{
    x64_take(g, RAX);
    x64_take(g, RCX);
    sync_status(g, C1_LIVE, SW_CODES);
    g->fp.c1 = C1_MEMORY;
}

static bool compare_mem(struct gen *g, const struct ir_op *op)
{
    static const uint8_t opcode[] = {
        [FP80_F32] = 0xd8, [FP80_F64] = 0xdc, [FP80_I16] = 0xde, [FP80_I32] = 0xda};
    unsigned r = st(g, 0);

    if (!need_full(g, r)) {
        return false;
    }
    if (g->fp_load && pos(g, r) != 0) {
        keep_c1(g);
    }
    bring_top(g, r, 0);
    with_value(g, op, opcode[op->imm & 15], FP80_COM);
    x64_unlock(g);
    take_codes(g);
    if (op->imm & 16) {
        pop(g);
    }
    return true;
}

static bool compare_st(struct gen *g, const struct ir_op *op)
{
    unsigned a = st(g, 0), b = st(g, op->imm & 7), i;
    bool quiet = op->imm & 8;

    if (!need_full(g, a) || !need_full(g, b)) {
        return false;
    }
    on_host(g, b, 1u << a);
    bring_top(g, a, 1u << b);
    i = (unsigned)pos(g, b);
    x64_unlock(g);
    if (op->imm & 64) {
        x64_take(g, RAX);
        fp_rr(g, 0xdb, (quiet ? 0xe8 : 0xf0) + i);
        put8(&g->c, 0x9f); /* lahf; movzx eax, ah */
        put8(&g->c, 0x0f);
        put8(&g->c, 0xb6);
        put8(&g->c, 0xc4);
        alu_ri(&g->c, ALU_AND, 0, RAX, 0x45);
        g->fp.c1 = C1_ZERO;
        result(g, op->d, RAX);
    } else {
        fp_rr(g, quiet ? 0xdd : 0xd8, (quiet ? 0xe0 : 0xd0) + i);
        take_codes(g);
    }
    for (unsigned n = op->imm >> 4 & 3; n; n--) {
        pop(g);
    }
    return true;
}

static bool exchange(struct gen *g, const struct ir_op *op)
{
    unsigned a = st(g, 0), b = st(g, (unsigned)op->imm);

    if (!need_full(g, a) || !need_full(g, b)) {
        return false;
    }
    g->fp.c1 = C1_ZERO;
    if (a == b) {
        return true;
    }
    on_host(g, b, 1u << a);
    on_host(g, a, 1u << b);
    unsigned i = g->fp.depth - 1u - (unsigned)pos(g, a), k = g->fp.depth - 1u - (unsigned)pos(g, b);
    g->fp.entry[i] = (uint8_t)b;
    g->fp.entry[k] = (uint8_t)a;
    g->fp.dirty |= (uint8_t)(1u << a | 1u << b);
    return true;
}

static bool move_if(struct gen *g, const struct ir_op *op)
{
    unsigned a = st(g, 0), b = st(g, (unsigned)op->imm), reg;

    if (!need_full(g, a) || !need_full(g, b)) {
        return false;
    }
    keep_c1(g);
    on_host(g, b, 1u << a);
    bring_top(g, a, 1u << b);
    reg = x64_use(g, op->a);
    test_rr(&g->c, 1, reg, reg);
    fp_rr(g, 0xdb, 0xc8 + (unsigned)pos(g, b)); /* fcmovne */
    g->fp.dirty |= (uint8_t)(1u << a);
    return true;
}

static bool unary(struct gen *g, const struct ir_op *op)
{
    unsigned r = st(g, 0);

    switch (op->imm) {
    case 0xe0: /* FCHS, FABS */
    case 0xe1:
    case 0xe4: /* FTST, FXAM */
    case 0xe5:
    case 0xfa: /* FSQRT, FRNDINT */
    case 0xfc:
        break;
    case 0xf6: /* FDECSTP, FINCSTP */
    case 0xf7:
        g->fp.delta = (g->fp.delta + (op->imm == 0xf7 ? 1 : 7)) & 7;
        g->fp.c1 = C1_ZERO;
        return true;
    default:
        return false;
    }
    if (!need_full(g, r)) {
        return false;
    }
    bring_top(g, r, 0);
    fp_rr(g, 0xd9, (unsigned)op->imm);
    if (op->imm == 0xe4 || op->imm == 0xe5) {
        x64_unlock(g);
        take_codes(g);
    } else {
        g->fp.dirty |= (uint8_t)(1u << r);
        g->fp.c1 = C1_LIVE;
    }
    return true;
}

static bool free_st(struct gen *g, const struct ir_op *op)
{
    unsigned r = st(g, op->imm & 7);

    if (!(g->fp.empty >> r & 1) && !need_full(g, r)) {
        return false;
    }
    if ((op->imm & 8) && !(g->fp.empty >> st(g, 0) & 1) && !need_full(g, st(g, 0))) {
        return false;
    }
    becomes_empty(g, r);
    if (op->imm & 8) {
        pop(g);
    }
    return true;
}

/* Run or no run. */
static void status(struct gen *g, const struct ir_op *op)
{
    if (op->d != IR_NONE) { /* flags that are made of its register may need three others */
        x64_before_write(g, op->d, NULL);
        x64_unlock(g);
    }
    x64_take(g, RAX);
    x64_take(g, RCX);
    if (g->fp.live) {
        sync_status(g, g->fp.c1, 0);
        g->fp.c1 = C1_MEMORY;
    } else {
        load16(g, RCX, env_at(layout(g)->status));
    }
    load8(g, RAX, env_at(layout(g)->top));
    if (g->fp.live && g->fp.delta) {
        alu_ri(&g->c, ALU_ADD, 0, RAX, g->fp.delta);
        alu_ri(&g->c, ALU_AND, 0, RAX, 7);
    }
    x_rr(&g->c, 0xc1, 4, RAX);
    put8(&g->c, 11);
    alu_rr(&g->c, ALU_OR, 0, RAX, RCX);
    result(g, op->d, RAX);
}

typedef bool (*fp_gen_fn)(struct gen *g, const struct ir_op *op);

static bool nothing(struct gen *g, const struct ir_op *op)
{
    (void)g;
    (void)op;
    return true;
}

static bool store_done(struct gen *g, const struct ir_op *op)
{
    g->fp.storing = false;
    if (op->imm & FP80_POP) {
        pop(g);
    }
    return true;
}

static bool store80_done(struct gen *g, const struct ir_op *op)
{
    (void)op;
    pop(g);
    g->fp.c1 = C1_ZERO;
    return true;
}

static const fp_gen_fn generators[] = {
    [FP80_LOAD] = load,
    [FP80_LOAD80] = load80,
    [FP80_LOAD_ST] = load_st,
    [FP80_CONST] = constant,
    [FP80_STORE] = store,
    [FP80_STORE_DONE] = store_done,
    [FP80_STORE80] = store80,
    [FP80_STORE80_DONE] = store80_done,
    [FP80_STORE_ST] = store_st,
    [FP80_ARITH_MEM] = arith_mem,
    [FP80_ARITH_ST] = arith_st,
    [FP80_COMPARE_MEM] = compare_mem,
    [FP80_COMPARE_ST] = compare_st,
    [FP80_EXCHANGE] = exchange,
    [FP80_MOVE_IF] = move_if,
    [FP80_UNARY] = unary,
    [FP80_FREE] = free_st,
    [FP80_WAIT] = nothing,
};

unsigned x64_gen_fp80(struct gen *g, const struct ir_op *op)
{
    enum fp80_op what = fp_op(op);

    if (what == FP80_NONE || !allowed(g)) {
        return 0;
    }
    flags_clobbered(g);
    if (what == FP80_STATUS) {
        status(g, op);
        return 1;
    }
    if (!g->fp.live) {
        if (!(ir_op_helper(op)->flags & HELPER_RAISES)) {
            return 0; /* the middle of an instruction that helpers began */
        }
        begin_run(g);
    }
    if (what == FP80_STORE_WANTED || (what == FP80_STORE80_WANTED && !op->imm)) {
        return store_wanted(g, op);
    }
    if (generators[what] && generators[what](g, op)) {
        return 1;
    }
    x64_unlock(g);
    x64_fp_flush(g);
    x_rm(&g->c, 0xc6, 0, host_flags()); /* the helper may use the host's unit */
    put8(&g->c, SW_FLAGS);
    return 0;
}

/* op is a load for nothing but the x87 operation behind it. */
static bool feeds(const struct gen *g, const struct ir_op *op)
{
    static const uint8_t size[] = {[FP80_F32] = MO_32,
                                   [FP80_F64] = MO_64,
                                   [FP80_I16] = MO_16,
                                   [FP80_I32] = MO_32,
                                   [FP80_I64] = MO_64};
    enum fp80_op what;

    if (g->i + 1 >= g->ir->nops || !is_temp(op->d) || op[1].opc != IR_CALL || op[1].a != op->d) {
        return false;
    }
    what = fp_op(&op[1]);
    return (what == FP80_LOAD || what == FP80_ARITH_MEM || what == FP80_COMPARE_MEM) &&
           (op->aux & MO_SIZE) == size[op[1].imm & 15];
}

unsigned x64_gen_fp80_load(struct gen *g, const struct ir_op *op)
{
    if (!allowed(g) || !feeds(g, op)) {
        return 0;
    }
    flags_clobbered(g);
    if (!g->fp.live) {
        begin_run(g);
    }
    g->fp_load = op;
    bool done = generators[fp_op(&op[1])](g, &op[1]);
    g->fp_load = NULL;
    if (!done) {
        x64_unlock(g);
        x64_fp_flush(g);
    }
    return done ? 2 : 0;
}

bool x64_fp_inline(const struct gen *g, const struct ir_op *op)
{
    return allowed(g) && fp_op(op) != FP80_NONE;
}

/* The branch at i skips a store that is not wanted. */
bool x64_fp_skips(const struct gen *g, unsigned i)
{
    const struct ir_op *op = &g->ir->ops[i];

    return i && op->opc == IR_BRCOND && allowed(g) && op->a == op[-1].d &&
           (fp_op(&op[-1]) == FP80_STORE_WANTED || fp_op(&op[-1]) == FP80_STORE80_WANTED);
}

/* A run may go on through op. */
bool x64_fp_keeps(const struct gen *g, const struct ir_op *op)
{
    const struct fp80_layout *l = layout(g);

    switch (op->opc) {
    case IR_CALL:
        return fp_op(op) != FP80_NONE;
    case IR_LABEL:
        return !g->label[op->imm].nrefs;
    case IR_BR:
    case IR_BRCOND:
    case IR_EXIT_TB:
    case IR_EXIT_IND:
    case IR_EXIT_LOOP:
        return false;
    case IR_SAR: /* the check of an address, which calls */
        return op[1].opc != IR_BRCOND;
    case IR_LDENV:
        if (op->imm == (int64_t)l->control) {
            return true;
        }
        /* fall through */
    case IR_STENV:
    case IR_VLDENV:
    case IR_VSTENV:
        return op->imm < (int64_t)l->regs - 16 || op->imm >= (int64_t)l->regs + 160;
    default:
        return true;
    }
}
#endif
