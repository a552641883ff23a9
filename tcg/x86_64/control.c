/* Control flow inside and out of a block, and calls of helpers. tcg/tb.h tells how blocks are
 * linked.
 *
 * An exit that stays on the block's page ends in a jump whose displacement is patched; one that may
 * leave it loads the target from a slot and compares the target's page, which stands in front of
 * its code, with what the fetch TLB says. */
#ifdef __x86_64__
#include "tcg/x86_64/gen.h"

#include <stdlib.h>

static unsigned wrap_of(const struct ir_op *op)
{
    return op->flags & IR_PC16 ? 2 : op->flags & IR_PC32 ? 1 : 0;
}

static void jump_to(struct gen *g, const uint8_t *thunk)
{
    put8(&g->c, 0xe9);
    put32(&g->c, (uint32_t)(thunk - (g->c.p + 4 + g->t->exec_delta)));
}

static void jump_to_if(struct gen *g, unsigned cond, const uint8_t *thunk)
{
    put8(&g->c, 0x0f);
    put8(&g->c, 0x80 | cond);
    put32(&g->c, (uint32_t)(thunk - (g->c.p + 4 + g->t->exec_delta)));
}

/* Everything that the next block or the loop wants to see in its place. */
static void commit(struct gen *g)
{
    x64_vflush(g, false);
    x64_cc_flush(g, false);
}

static void move_pc(struct gen *g, int64_t imm, unsigned wrap)
{
    if (imm) {
        if (fits32(imm)) {
            lea(&g->c, wrap == 0, HOST_PC, at(HOST_PC, (int32_t)imm));
        } else {
            mov_ri(&g->c, RAX, (uint64_t)imm);
            alu_rr(&g->c, ALU_ADD, wrap == 0, HOST_PC, RAX);
        }
    } else if (wrap == 1) {
        mov_rr(&g->c, 0, HOST_PC, HOST_PC);
    }
    if (wrap == 2) {
        x_rr(&g->c, 0xb7 | X_0F, HOST_PC, HOST_PC);
    }
}

void x64_jump(struct gen *g, int64_t imm, unsigned wrap, const uint8_t *thunk)
{
    move_pc(g, imm, wrap);
    jump_to(g, thunk);
}

static void poll(struct gen *g)
{
    x_rm(&g->c, 0x80, 7, env_at(offsetof(struct vcpu, exit_request)));
    put8(&g->c, 0);
    jump_to_if(g, CC_NE, thunks(g)->leave_none);
}

/* reg = linear address of the pc; the result may be HOST_PC itself. */
static unsigned linear_pc(struct gen *g, unsigned wrap, unsigned scratch)
{
    if (wrap == 0) {
        return HOST_PC;
    }
    mov_rm(&g->c, 1, scratch, env_at(offsetof(struct vcpu, tcg_cpu)));
    mov_rm(&g->c, 0, scratch, at(scratch, (int32_t)offsetof(struct tcg_cpu, pc_base)));
    alu_rr(&g->c, ALU_ADD, 0, scratch, HOST_PC);
    return scratch;
}

/* index = offset of address lin's entry in the TLB */
static void tlb_index(struct gen *g, unsigned index, unsigned lin)
{
    if (thunks(g)->bmi2) {
        v_rr(&g->c, 0xf0 | X_0F3A | X_F2, index, 0, lin, false);
        put8(&g->c, 7);
    } else {
        mov_rr(&g->c, 0, index, lin);
        x_rr(&g->c, 0xc1, 5, index);
        put8(&g->c, 7);
    }
    alu_ri(&g->c, ALU_AND, 0, index, TLB_MASK << 5);
}

/* index = offset of lin's entry; t = lin less its page, compared with 4095. At a block's end: the
 * pool is free but for `lin`. Returns the base register. */
static unsigned fetch_look_up(struct gen *g, unsigned lin, unsigned t, unsigned index,
                              unsigned base)
{
    if (g->ir->fetch_ctx == g->ir->ctx) {
        base = HOST_TLB;
    } else {
        mov_rm(&g->c, 1, base,
               env_at(offsetof(struct vcpu, tlb) + g->ir->fetch_ctx * sizeof(void *)));
    }
    tlb_index(g, index, lin);
    if (t != lin) {
        mov_rr(&g->c, 1, t, lin);
    }
    alu_rm(&g->c, ALU_XOR, 1, t,
           at_index(base, index, 0, (int32_t)offsetof(struct tlb_entry, xtag)));
    alu_ri(&g->c, ALU_CMP, 1, t, 4095);
    return base;
}

/* ---- exits ---- */

/* Code that leaves and says by which exit. */
enum { LEA_DISP = 3 }; /* offset of the displacement */

static void gen_stub(struct gen *g, struct tb_exit *e)
{
    x_rm(&g->c, 0x8d | X_W, RAX, (struct mem){NO_REG, NO_REG, 0, 0});
    if (!g->c.overflow) {
        patch32(&g->c, g->c.p - 4, (uint8_t *)e);
    }
    jump_to(g, thunks(g)->leave);
}

static void align_jump(struct gen *g)
{
    /* The displacement is patched while others run it: it must not cross 16 bytes. */
    unsigned at_ = (unsigned)((uintptr_t)g->c.p + 1) & 15;

    if (at_ > 12) {
        nops(&g->c, 16 - at_);
    }
}

/* The linkable jump at the end of an exit; the pc is the target's. */
static void gen_link(struct gen *g, bool cross, unsigned wrap)
{
    struct tb_exit *e;

    if (!cross) {
        align_jump(g);
        uint8_t *disp = jmp32(&g->c);
        patch32(&g->c, disp, g->c.p);
        if (g->c.overflow) {
            return;
        }
        e = tb_add_exit(g->tb, (uint32_t)(disp - (uint8_t *)g->tb), false);
        gen_stub(g, e);
        return;
    }
    unsigned lin = linear_pc(g, wrap, RCX);
    unsigned base = fetch_look_up(g, lin, RCX, RAX, RSI);
    uint8_t *miss = jcc32(&g->c, CC_A);
    x_rm(&g->c, 0x8b | X_W, RCX,
         (struct mem){NO_REG, NO_REG, 0, 0}); /* target, from its slot below */
    uint8_t *slot_disp = g->c.p - 4;
    mov_rm(&g->c, 1, RDX, at_index(base, RAX, 0, (int32_t)offsetof(struct tlb_entry, addend)));
    alu_rm(&g->c, ALU_ADD, 1, RDX,
           at_index(base, RAX, 0, (int32_t)offsetof(struct tlb_entry, xtag)));
    alu_rm(&g->c, ALU_CMP, 1, RDX, at(RCX, -16));
    uint8_t *other = jcc32(&g->c, CC_NE);
    x_rr(&g->c, 0xff, 4, RCX); /* jmp rcx */
    nops(&g->c, (unsigned)(-(uintptr_t)g->c.p & 7));
    if (g->c.overflow) {
        return;
    }
    uint8_t *slot = g->c.p;
    put64(&g->c, 0);
    put64(&g->c, 1); /* the page in front of the stub: none */
    put64(&g->c, 0);
    if (g->c.overflow) {
        return;
    }
    patch32(&g->c, slot_disp, slot);
    patch32(&g->c, miss, g->c.p);
    patch32(&g->c, other, g->c.p);
    uint64_t stub = (uint64_t)(uintptr_t)(g->c.p + g->t->exec_delta);
    memcpy(slot, &stub, 8);
    e = tb_add_exit(g->tb, (uint32_t)(slot - (uint8_t *)g->tb), true);
    gen_stub(g, e);
}

/* The target may be on another page than the block (with a 16-bit pc: wrap, and be anywhere). */
static bool crosses(const struct gen *g, int64_t imm, unsigned wrap)
{
    int64_t target = (int64_t)(g->tb->phys & PAGE_OFFSET_MASK) + imm;
    return wrap == 2 || target < 0 || target >= (int64_t)PAGE_SIZE_GUEST;
}

/* On to the block at pc + imm that has no groups. x64_lay_apart_exits() tells the stub where its
 * exit is. */
void x64_exit_apart(struct gen *g, int32_t imm)
{
    uint8_t *disp;

    if (g->ir->no_link || g->narrow || crosses(g, imm, 0)) {
        x64_jump(g, imm, g->narrow, thunks(g)->leave_apart);
        return;
    }
    move_pc(g, imm, 0);
    align_jump(g);
    disp = jmp32(&g->c);
    patch32(&g->c, disp, g->c.p);
    g->apart[g->napart].disp = disp;
    g->apart[g->napart++].stub = g->c.p;
    gen_stub(g, (struct tb_exit *)(void *)g->c.p);
}

uint8_t *x64_lay_apart_exits(struct gen *g, uint8_t *p, const uint8_t *end)
{
    for (unsigned n = 0; n < g->napart; n++) {
        struct tb_exit *e = (struct tb_exit *)(void *)p;
        if ((size_t)(end - p) < sizeof(*e)) {
            return NULL;
        }
        *e = (struct tb_exit){.from = g->tb,
                              .code_off = (uint32_t)(g->apart[n].disp - (uint8_t *)g->tb),
                              .more = g->tb->apart_exits};
        atomic_store_explicit(&e->apart, true, memory_order_release);
        g->tb->apart_exits = e;
        patch32(&g->c, g->apart[n].stub + LEA_DISP, p);
        p += sizeof(*e);
    }
    return p;
}

/* When the op at i ends a call: where it will come back to, less the pc. */
static bool ends_call(const struct gen *g, unsigned i, int64_t *ret, unsigned *w)
{
    const struct ir_op *op = &g->ir->ops[i], *add = op - 1, *st = op - 2, *pc = op - 3;
    unsigned wrap = wrap_of(op);

    if (i < 3 || wrap > 1 || add->opc != IR_ADD || st->opc != IR_ST || pc->opc != IR_MOVPC ||
        (st->flags & IR_BIMM) || st->b != pc->d || st->a != add->d || add->a != add->d ||
        !(add->flags & IR_BIMM) || !fits32(pc->imm)) {
        return false;
    }
    *w = wrap == 0;
    *ret = pc->imm;
    return (st->aux & MO_SIZE) == (wrap ? MO_32 : MO_64) &&
           (wrap ? (int32_t)add->imm == -4 && (int32_t)st->imm == -4
                 : add->imm == -8 && st->imm == -8);
}

struct landing {
    uint8_t *site; /* displacement to patch to the landing */
    int64_t imm;
    unsigned wrap;
    bool cross;
};

/* index = offset in bytes, halved, of the entry of v->returns for the return address at [sp + disp]
 */
static void return_index(struct gen *g, unsigned index, unsigned sp, int32_t disp)
{
    if (disp) {
        lea(&g->c, 0, index, at(sp, disp));
    } else {
        mov_rr(&g->c, 0, index, sp);
    }
    alu_ri(&g->c, ALU_AND, 0, index, 8 * (RETURN_ENTRIES - 1));
    _Static_assert(sizeof(struct pc_entry) == 16, "twice the distance of stack slots");
}

static struct mem return_entry(const struct gen *g, unsigned index, size_t field)
{
    size_t table =
        offsetof(struct vcpu, returns) + g->ir->ctx * sizeof(((struct vcpu *)0)->returns[0]);
    return at_index(HOST_VCPU, index, 1, env_disp(table + field));
}

/* Notes where the call comes back to. HOST_PC is the call's block still; sp: home of the stack
 * pointer. */
static void expect_return(struct gen *g, unsigned sp, int64_t ret, unsigned w, struct landing *l)
{
    return_index(g, RAX, sp, 0);
    lea(&g->c, w, RCX, at(HOST_PC, (int32_t)ret));
    mov_mr(&g->c, 1, return_entry(g, RAX, offsetof(struct pc_entry, pc)), RCX);
    x_rm(&g->c, 0x8d | X_W, RCX, (struct mem){NO_REG, NO_REG, 0, 0});
    l->site = g->c.p - 4;
    mov_mr(&g->c, 1, return_entry(g, RAX, offsetof(struct pc_entry, code)), RCX);
    l->imm = ret;
    l->wrap = !w;
    l->cross = crosses(g, ret, !w);
}

/* Where returns to this call's next instruction arrive: the pc is set. */
static void gen_landing(struct gen *g, const struct landing *l)
{
    nops(&g->c, (unsigned)(-(uintptr_t)g->c.p & 7));
    patch32(&g->c, l->site, g->c.p);
    gen_link(g, l->cross, l->wrap);
}

static void gen_loop_back(struct gen *g)
{
    /* The vector registers go where the head wants them. */
    for (unsigned x = 0; x < 16; x++) {
        ir_reg r = g->now.vheld[x];
        if (r < TCG_VREG_TEMP && (g->now.vdirty >> x & 1) &&
            (r != x || !(g->loop_vdirty >> x & 1) || (g->now.vwide >> x & 1))) {
            x64_vflush_one(g, r, r == x && (g->now.vwide >> x & 1));
        }
    }
    for (unsigned x = 0; x < 16; x++) {
        if ((g->loop_vregs >> x & 1) && g->vloc[x] != x) {
            if (g->vloc[x] != NO_REG) {
                x64_vflush_one(g, (ir_reg)x, false);
            }
            v_load(g, x, vslot_of((ir_reg)x), MO_128);
        }
    }
    x64_cc_flush(g, false);
    x_rm(&g->c, 0x80, 7, env_at(offsetof(struct vcpu, exit_request)));
    put8(&g->c, 0);
    put8(&g->c, 0x0f);
    put8(&g->c, 0x80 | CC_E);
    put32(&g->c, 0);
    patch32(&g->c, g->c.p - 4, g->body);
    for (unsigned x = 0; x < 16; x++) {
        if (g->loop_vdirty >> x & 1) {
            v_store(g, x, vslot_of((ir_reg)x), MO_128);
        }
    }
    jump_to(g, thunks(g)->leave_none);
}

static void gen_exit_tb(struct gen *g, const struct ir_op *op)
{
    unsigned wrap = wrap_of(op), w = 0;
    bool cross = crosses(g, op->imm, wrap);
    struct landing landing = {0};
    int64_t ret = 0;

    if (g->loops && op->imm == 0) {
        gen_loop_back(g);
        return;
    }
    commit(g);
    if (g->ir->no_link || !fits32(op->imm)) {
        move_pc(g, op->imm, wrap);
        jump_to(g, thunks(g)->leave_none);
        return;
    }
    if (ends_call(g, g->i, &ret, &w)) {
        expect_return(g, home_of(op[-1].d), ret, w, &landing);
    }
    move_pc(g, op->imm, wrap);
    if (op->flags & IR_POLL) {
        poll(g);
    }
    gen_link(g, cross, wrap);
    if (landing.site) {
        gen_landing(g, &landing);
    }
}

/* index = index in v->targets of the pc in reg */
static void target_index(struct gen *g, unsigned index, unsigned reg)
{
    if (thunks(g)->bmi2) {
        v_rr(&g->c, 0xf0 | X_0F3A | X_F2, index, 0, reg, false); /* rorx */
        put8(&g->c, 8);
    } else {
        mov_rr(&g->c, 0, index, reg);
        x_rr(&g->c, 0xc1, 5, index);
        put8(&g->c, 8);
    }
    alu_rr(&g->c, ALU_XOR, 0, index, reg);
    alu_ri(&g->c, ALU_AND, 0, index, TARGET_ENTRIES - 1);
}

static struct mem target_pc(const struct gen *g, unsigned index)
{
    size_t table =
        offsetof(struct vcpu, targets) + g->ir->ctx * sizeof(((struct vcpu *)0)->targets[0]);
    return at_index(HOST_VCPU, index, 3, env_disp(table));
}

static struct mem target_code(const struct gen *g, unsigned index)
{
    struct mem m = target_pc(g, index);

    m.disp += (int32_t)sizeof(((struct vcpu *)0)->targets[0].pc);
    return m;
}

static void set_pc(struct gen *g, unsigned t, unsigned wrap)
{
    if (wrap == 2) {
        x_rr(&g->c, 0xb7 | X_0F, HOST_PC, t);
    } else {
        mov_rr(&g->c, wrap == 0, HOST_PC, t);
    }
}

/* Continues at the pc by the table of targets. */
static void gen_targets(struct gen *g)
{
    target_index(g, RAX, HOST_PC);
    alu_rm(&g->c, ALU_CMP, 1, HOST_PC, target_pc(g, RAX));
    jump_to_if(g, CC_NE, thunks(g)->leave_none);
    x_rm(&g->c, 0xff, 4, target_code(g, RAX));
}

static void gen_exit_ind(struct gen *g, const struct ir_op *op)
{
    unsigned wrap = wrap_of(op), w = 0, t;
    const struct ir_op *add = op - 1;
    struct landing landing = {0};
    int64_t ret = 0;

    t = x64_use(g, op->a);
    commit(g);
    if (!g->ir->no_link && ends_call(g, g->i, &ret, &w)) {
        if (t == RAX || t == RCX) { /* these two are used by expect_return */
            mov_rr(&g->c, 1, RSI, t);
            t = RSI;
        }
        expect_return(g, home_of(add->d), ret, w, &landing);
    }
    set_pc(g, t, wrap);
    if (g->ir->no_link) {
        jump_to(g, thunks(g)->leave_none);
        return;
    }
    poll(g);
    if (op->aux == IR_IND_RET && wrap < 2 && g->i && add->opc == IR_ADD && (add->flags & IR_BIMM) &&
        add->d == add->a && is_home(add->d) && fits32(add->imm)) {
        return_index(g, RAX, home_of(add->d), -(int32_t)add->imm);
        alu_rm(&g->c, ALU_CMP, 1, HOST_PC, return_entry(g, RAX, offsetof(struct pc_entry, pc)));
        uint8_t *miss = jcc8(&g->c, CC_NE);
        x_rm(&g->c, 0xff, 4, return_entry(g, RAX, offsetof(struct pc_entry, code)));
        patch8(&g->c, miss, g->c.p);
    }
    gen_targets(g);
    if (landing.site) {
        gen_landing(g, &landing);
    }
}

static void gen_exit_loop(struct gen *g, const struct ir_op *op)
{
    commit(g);
    if (op->flags & IR_KEEPPC) {
        jump_to(g, thunks(g)->leave_keep_pc);
    } else {
        move_pc(g, op->imm, wrap_of(op));
        jump_to(g, thunks(g)->leave_none);
    }
}

/* ---- labels ---- */

/* Nothing but a branch leads to the label: the places at the branch are those at the label. */
static bool simple_label(const struct gen *g, const struct label *l)
{
    (void)g;
    return l->nrefs == 1 && !l->backward;
}

static void settle(struct gen *g)
{
    x64_cc_flush(g, true);
    x64_vflush(g, true);
}

static void reach(struct gen *g, struct label *l)
{
    if (l->backward || l->at) {
        x64_spill_all(g, true);
    } else if (l->known) {
        x64_conform(g, &l->places);
    }
}

static void note_label(struct gen *g, struct label *l)
{
    if (!l->known) {
        l->known = true;
        l->places = g->now;
    } else {
        for (unsigned reg = 0; reg < 16; reg++) { /* what only one path has newer */
            if (l->places.held[reg] < TCG_NREGS && g->now.held[reg] == l->places.held[reg]) {
                l->places.dirty |= (uint16_t)(g->now.dirty & 1u << reg);
            }
        }
    }
}

static void add_fixup(struct gen *g, uint8_t *disp, unsigned n)
{
    if (g->label[n].at) {
        patch32(&g->c, disp, g->label[n].at);
        return;
    }
    g->fixup[g->nfixups++] = (struct fixup){disp, n};
}

static void gen_brcond(struct gen *g, const struct ir_op *op)
{
    struct label *l = &g->label[op->d];
    unsigned cond;

    if (!simple_label(g, l)) {
        settle(g);
    }
    cond = x64_compare(g, op);
    x64_unlock(g);
    if (!simple_label(g, l)) {
        reach(g, l); /* by moves, which leave the host's flags alone */
    }
    note_label(g, l);
    add_fixup(g, jcc32(&g->c, cond), op->d);
}

static void gen_br(struct gen *g, const struct ir_op *op)
{
    struct label *l = &g->label[op->imm];

    if (!simple_label(g, l)) {
        settle(g);
        reach(g, l);
    }
    note_label(g, l);
    add_fixup(g, jmp32(&g->c), (unsigned)op->imm);
    g->unreachable = true;
}

static void gen_label(struct gen *g, const struct ir_op *op)
{
    struct label *l = &g->label[op->imm];
    struct places p;

    if (!g->unreachable) {
        if (l->nrefs) {
            settle(g);
            reach(g, l);
            note_label(g, l);
        }
    }
    l->at = g->c.p;
    if (!l->known) {
        if (l->backward && g->unreachable) {
            g->unreachable = false; /* reached from below only */
            memset(&p, 0, sizeof(p));
            for (unsigned k = 0; k < 16; k++) {
                p.held[k] = p.vheld[k] = IR_NONE;
            }
            x64_adopt(g, &p);
        }
        flags_clobbered(g);
        return;
    }
    g->unreachable = false;
    p = l->places;
    if (l->backward) {
        for (unsigned k = 0; k < 16; k++) {
            p.held[k] = p.vheld[k] = IR_NONE;
        }
        p.dirty = p.vdirty = p.vwide = 0;
    }
    x64_adopt(g, &p);
}

/* ---- helpers ---- */

static enum thunk_call call_kind(const struct gen *g, const struct ir_helper *h)
{
    if ((h->flags & HELPER_WRITES) || g->keeps_pc) {
        return CALL_WRITES;
    }
    if (h->flags & HELPER_RAISES) {
        return CALL_FULL;
    }
    return (h->flags & HELPER_READS) && !(h->flags & HELPER_READS_CC) ? CALL_FULL : CALL_LIGHT;
}

static bool reads_flags(const struct ir_op *op)
{
    const ir_reg in[] = {op->a, op->b, op->c};
    bool reads = ir_op_helper(op)->flags & (HELPER_READS | HELPER_WRITES | HELPER_READS_CC);

    for (unsigned k = 0; k < 3; k++) {
        reads |= in[k] != IR_NONE && is_cc(in[k]);
    }
    return reads;
}

static void call_light(struct gen *g, uint64_t (*fn)(struct vcpu *))
{
    mov_ri(&g->c, RDI, x64_helper_index(g, (const void *)(uintptr_t)fn));
    x64_call_thunk(g, thunks(g)->call[g->ir->ctx][CALL_LIGHT]);
}

/* The call itself: all temporaries and vector registers are in memory, and so are the flags if it
 * looks at them. The result is in rax; the pool and the xmm registers are gone. */
static void emit_call(struct gen *g, const struct ir_op *op, const struct places *p,
                      int32_t insn_off, uint16_t insn_meta)
{
    static const uint8_t arg_reg[] = {RSI, RDX, RCX};
    const struct ir_helper *h = ir_op_helper(op);
    const ir_reg in[3] = {op->a, op->b, op->c};
    enum thunk_call kind = call_kind(g, h);
    unsigned n = 0;

    if (h->flags & HELPER_FPENV) {
        call_light(g, x64_fp_out);
    }
    for (unsigned k = 0; k < 3; k++) {
        if (in[k] == IR_NONE) {
            continue;
        }
        if (is_home(in[k])) {
            mov_rr(&g->c, 1, arg_reg[n++], home_of(in[k]));
        } else {
            mov_rm(&g->c, 1, arg_reg[n++], slot_of(in[k]));
        }
    }
    if (h->flags & HELPER_IMM) {
        mov_ri(&g->c, n < 3 ? arg_reg[n] : RAX, (uint64_t)op->imm);
    }
    mov_ri(&g->c, RDI, x64_helper_index(g, (const void *)(uintptr_t)h->fn));
    x64_call_thunk(g, thunks(g)->call[g->ir->ctx][kind]);
    if (kind != CALL_LIGHT) {
        x64_map_here(g, p, insn_off, insn_meta);
    }
    if (h->flags & HELPER_FPENV) {
        mov_mr(&g->c, 1, slot_of(REG_VALUE), RAX);
        call_light(g, x64_fp_in);
        mov_rm(&g->c, 1, RAX, slot_of(REG_VALUE));
    }
}

static void gen_call(struct gen *g, const struct ir_op *op)
{
    if (reads_flags(op)) {
        x64_cc_flush(g, true);
        x64_unlock(g);
    }
    x64_spill_all(g, true);
    x64_vflush(g, true);
    emit_call(g, op, &g->now, g->insn_off, g->insn_meta);
    if (ir_op_helper(op)->flags & HELPER_WRITES) {
        x64_cc_in_memory(g);
    }
    flags_clobbered(g);
    if (op->d != IR_NONE) {
        x64_take(g, RAX);
        x64_before_write(g, op->d, NULL);
        x64_done(g, op->d, RAX);
    }
}

/* A call that is seldom made, out of line: everything stays where it is around it. */
static void gen_call_if(struct gen *g, unsigned cond, const struct ir_op *op, unsigned d)
{
    struct cold *k;

    k = x64_cold(g, COLD_CALL);
    k->from[0] = jcc32(&g->c, cond);
    k->back = g->c.p;
    k->op = op;
    k->d = (uint8_t)d;
}

void x64_gen_cold_call(struct gen *g, const struct cold *k)
{
    struct places p = k->places;

    patch32(&g->c, k->from[0], g->c.p);
    x64_save(g, &p);
    if (reads_flags(k->op)) {
        x64_adopt(g, &p);
        x64_cc_flush(g, true);
        x64_unlock(g);
        p.cc = g->now.cc;
    }
    emit_call(g, k->op, &p, k->insn_off, k->insn_meta);
    if (k->d != NO_REG) {
        mov_rr(&g->c, 1, k->d, RAX);
    } else if (k->keep) {
        mov_mr(&g->c, 1, slot_of(TCG_REG_CC_B), RAX);
    }
    x64_reload(g, &k->places, k->d);
    uint8_t *back = jmp32(&g->c);
    patch32(&g->c, back, k->back);
}

/* Branch to L; call with a temporary for result, or none; L: the branch is the rule. */
static bool is_call_if(const struct gen *g, unsigned i)
{
    const struct ir_op *op = &g->ir->ops[i], *call = op + 1, *label = op + 2;

    return i + 2 < g->ir->nops && op->opc == IR_BRCOND && call->opc == IR_CALL &&
           label->opc == IR_LABEL && label->imm == op->d && g->label[op->d].nrefs == 2 &&
           !g->label[op->d].backward && (call->d == IR_NONE || is_temp(call->d)) &&
           !(ir_op_helper(call)->flags & (HELPER_WRITES | HELPER_FPENV | HELPER_VECTOR));
}

static void gen_branch_or_call(struct gen *g, const struct ir_op *op)
{
    const struct ir_op *call = op + 1;
    unsigned cond, d = NO_REG;

    if (reads_flags(call) && !x64_cc_is_memory(g)) {
        x64_cc_flush(g, true);
        x64_unlock(g);
    }
    if (call->d != IR_NONE) {
        x64_before_write(g, call->d, NULL);
        x64_unlock(g);
        d = x64_use(g, call->d);
    }
    cond = x64_compare(g, op);
    if (d != NO_REG) {
        x64_lock_only(g, d);
        x64_done(g, call->d, d); /* whichever way it comes: newer than memory */
    }
    gen_call_if(g, cond ^ 1, call, d);
    flags_clobbered(g);
}

/* t = CC_B; branch to L; t = call; L: add; flags with t as part B, which nobody else wants: INC and
 * DEC of a register, which keep the carry. Nothing looks at the flags in between, so that t need
 * not exist. */
static bool is_kept_part(const struct gen *g, unsigned i)
{
    const struct ir_op *op = &g->ir->ops[i], *add = op + 4, *cc = op + 5;

    return i + 5 < g->ir->nops && op->w == W64 && op->a == TCG_REG_CC_B && is_temp(op->d) &&
           is_call_if(g, i + 1) && op[1].a != op->d && op[2].d == op->d &&
           (ir_op_helper(&op[2])->flags & (HELPER_PURE | HELPER_RAISES)) == HELPER_PURE &&
           (add->opc == IR_ADD || add->opc == IR_MOVI) && is_home(add->d) && cc->opc == IR_CC &&
           cc->b == op->d && !(cc->flags & IR_BIMM) && cc->a == add->d && cc->c == IR_NONE &&
           g->last_use[op->d] == i + 5 && x64_cc_is_memory(g);
}

static void gen_kept_part(struct gen *g, const struct ir_op *op)
{
    unsigned cond = x64_compare(g, op + 1);

    gen_call_if(g, cond ^ 1, op + 2, NO_REG);
    g->cold[g->ncold - 1].keep = true;
    g->kept = op->d;
    flags_clobbered(g);
}

/* t = a >> 47; to L when it is 0; to L when it is -1; call; L: a is canonical, or the helper
 * raises. One comparison, and the call out of line. */
static bool is_canonical_check(const struct gen *g, unsigned i)
{
    const struct ir_op *op = &g->ir->ops[i];

    if (i + 4 >= g->ir->nops || op->opc != IR_SAR || op->w != W64 || !(op->flags & IR_BIMM) ||
        op->imm != 47 || !is_temp(op->d) || op[3].opc != IR_CALL || op[3].d != IR_NONE ||
        op[4].opc != IR_LABEL || op[4].imm != op[1].d || g->last_use[op->d] > i + 2 ||
        !(ir_op_helper(&op[3])->flags & HELPER_RAISES) || g->label[op[1].d].nrefs != 3) {
        return false;
    }
    for (unsigned k = 1; k <= 2; k++) {
        if (op[k].opc != IR_BRCOND || op[k].w != W64 || op[k].aux != IR_EQ ||
            !(op[k].flags & IR_BIMM) || op[k].a != op->d || op[k].d != op[1].d) {
            return false;
        }
    }
    return op[1].imm + op[2].imm == -1 && (op[1].imm == 0 || op[1].imm == -1);
}

static void emit_canonical_check(struct gen *g, unsigned a, unsigned t, const struct ir_op *call)
{
    mov_rr(&g->c, 1, t, a);
    x_rr(&g->c, 0xc1 | X_W, 7, t);
    put8(&g->c, 47);
    alu_ri(&g->c, ALU_ADD, 1, t, 1);
    alu_ri(&g->c, ALU_CMP, 1, t, 1);
    gen_call_if(g, CC_A, call, NO_REG);
    flags_clobbered(g);
}

/* The check and a 64-bit return or indirect jump behind it: what the tables know needs no check. No
 * poll where the return table answers: a loop has other jumps back. */
static bool gen_checked_exit(struct gen *g, const struct ir_op *op)
{
    const struct ir_op *add = op + 5, *exit = add;
    unsigned left = g->ir->nops - g->i, t, index;
    bool ret = left > 6 && add->opc == IR_ADD && (add->flags & IR_BIMM) && add->d == add->a &&
               add->w == W64 && is_home(add->d) && fits32(add->imm) && add[1].opc == IR_EXIT_IND &&
               add[1].aux == IR_IND_RET;

    exit += ret;
    if (left <= 5u + ret || exit->opc != IR_EXIT_IND || exit->a != op->a || wrap_of(exit) ||
        g->ir->no_link || !(is_temp(op->a) || (!ret && is_home(op->a)))) {
        return false;
    }
    t = x64_use(g, op->a);
    commit(g);
    x64_cc_in_memory(g); /* the registers that it was described by are given up below */
    index = t == RAX ? RCX : RAX;
    if (ret) {
        unsigned sp = home_of(add->d);
        return_index(g, index, sp, 0);
        alu_rm(&g->c, ALU_CMP, 1, t, return_entry(g, index, offsetof(struct pc_entry, pc)));
        uint8_t *miss = jcc32(&g->c, CC_NE);
        lea(&g->c, 1, sp, at(sp, (int32_t)add->imm));
        set_pc(g, t, 0);
        x_rm(&g->c, 0xff, 4, return_entry(g, index, offsetof(struct pc_entry, code)));
        patch32(&g->c, miss, g->c.p);
        for (unsigned m = HOST_POOL; m; m &= m - 1) { /* the register for the check */
            unsigned reg = (unsigned)__builtin_ctz(m);
            if (reg != t) {
                g->now.held[reg] = IR_NONE;
                g->now.dirty &= (uint16_t) ~(1u << reg);
            }
        }
        emit_canonical_check(g, t, index, op + 3);
        lea(&g->c, 1, sp, at(sp, (int32_t)add->imm));
        set_pc(g, t, 0);
        poll(g);
        gen_targets(g);
        return true;
    }
    target_index(g, index, t);
    alu_rm(&g->c, ALU_CMP, 1, t, target_pc(g, index));
    uint8_t *miss = jcc32(&g->c, CC_NE);
    set_pc(g, t, 0);
    poll(g);
    x_rm(&g->c, 0xff, 4, target_code(g, index));
    patch32(&g->c, miss, g->c.p);
    for (unsigned m = HOST_POOL; m; m &= m - 1) {
        unsigned reg = (unsigned)__builtin_ctz(m);
        if (reg != t) {
            g->now.held[reg] = IR_NONE;
            g->now.dirty &= (uint16_t) ~(1u << reg);
        }
    }
    emit_canonical_check(g, t, index, op + 3);
    set_pc(g, t, 0);
    jump_to(g, thunks(g)->leave_none);
    return true;
}

static void gen_canonical_check(struct gen *g, const struct ir_op *op)
{
    unsigned a = x64_use(g, op->a), t = x64_alloc(g);

    emit_canonical_check(g, a, t, op + 3);
}

unsigned x64_gen_control(struct gen *g, const struct ir_op *op)
{
    switch (op->opc) {
    case IR_SAR:
        if (is_canonical_check(g, g->i)) {
            if (gen_checked_exit(g, op)) {
                g->unreachable = true;
                return op[5].opc == IR_ADD ? 7 : 6;
            }
            gen_canonical_check(g, op);
            return 5;
        }
        return 0;
    case IR_MOV:
        if (is_kept_part(g, g->i)) {
            gen_kept_part(g, op);
            return 4;
        }
        return 0;
    case IR_LABEL:
        gen_label(g, op);
        return 1;
    case IR_BR:
        gen_br(g, op);
        return 1;
    case IR_BRCOND:
        if (is_call_if(g, g->i)) {
            gen_branch_or_call(g, op);
            return 3;
        }
        gen_brcond(g, op);
        return 1;
    case IR_EXIT_TB:
        gen_exit_tb(g, op);
        g->unreachable = true;
        return 1;
    case IR_EXIT_IND:
        gen_exit_ind(g, op);
        g->unreachable = true;
        return 1;
    case IR_EXIT_LOOP:
        gen_exit_loop(g, op);
        g->unreachable = true;
        return 1;
    case IR_CALL:
        gen_call(g, op);
        return 1;
    default:
        return 0;
    }
}
#endif
