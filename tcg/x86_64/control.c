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
static void gen_stub(struct gen *g, struct tb_exit *e)
{
    x_rm(&g->c, 0x8d | X_W, RAX, (struct mem){NO_REG, NO_REG, 0, 0});
    if (!g->c.overflow) {
        int32_t rel = (int32_t)((uint8_t *)e - g->c.p);
        memcpy(g->c.p - 4, &rel, 4);
    }
    jump_to(g, thunks(g)->leave);
}

static void align_jump(struct gen *g)
{
    /* The displacement must not cross a boundary of four bytes. */
    while (((uintptr_t)g->c.p + 1) & 3) {
        put8(&g->c, 0x90);
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
    mov_rm(&g->c, 1, RAX, at_index(base, RAX, 0, (int32_t)offsetof(struct tlb_entry, page)));
    alu_rm(&g->c, ALU_CMP, 1, RAX, at(RCX, -16));
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

/* Notes on the return stack where the call comes back to. HOST_PC is the call's block still. */
static void expect_return(struct gen *g, int64_t ret, unsigned w, struct landing *l)
{
    int32_t entry = env_disp(offsetof(struct vcpu, returns));

    mov_rm(&g->c, 0, RAX, env_at(offsetof(struct vcpu, return_top)));
    alu_ri(&g->c, ALU_ADD, 0, RAX, (int32_t)sizeof(struct return_entry));
    alu_ri(&g->c, ALU_AND, 0, RAX, (int32_t)(sizeof(struct return_entry) * (RETURN_STACK - 1)));
    mov_mr(&g->c, 0, env_at(offsetof(struct vcpu, return_top)), RAX);
    lea(&g->c, w, RCX, at(HOST_PC, (int32_t)ret));
    mov_mr(&g->c, 1,
           at_index(HOST_VCPU, RAX, 0, entry + (int32_t)offsetof(struct return_entry, pc)), RCX);
    x_rm(&g->c, 0x8d | X_W, RCX, (struct mem){NO_REG, NO_REG, 0, 0});
    l->site = g->c.p - 4;
    mov_mr(&g->c, 1,
           at_index(HOST_VCPU, RAX, 0, entry + (int32_t)offsetof(struct return_entry, site)), RCX);
    l->imm = ret;
    l->wrap = !w;
    l->cross = crosses(g, ret, !w) || g->tb->host2;
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
    bool cross = crosses(g, op->imm, wrap) || g->tb->host2;
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
        expect_return(g, ret, w, &landing);
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

/* Continues at the pc by the jump cache. */
static void gen_jump_cache(struct gen *g, unsigned wrap)
{
    unsigned lin, base;
    const int32_t jump = (int32_t)offsetof(struct tcg_cpu, jump);

    lin = linear_pc(g, wrap, RCX);
    base = fetch_look_up(g, lin, RCX, RAX, RSI);
    jump_to_if(g, CC_A, thunks(g)->leave_none);
    alu_rm(&g->c, ALU_ADD, 1, RCX,
           at_index(base, RAX, 0, (int32_t)offsetof(struct tlb_entry, page)));
    mov_rr(&g->c, 1, RAX, RCX);
    x_rr(&g->c, 0xc1 | X_W, 5, RAX);
    put8(&g->c, JUMP_CACHE_BITS);
    alu_rr(&g->c, ALU_XOR, 0, RAX, RCX);
    alu_ri(&g->c, ALU_AND, 0, RAX, JUMP_CACHE_SIZE - 1);
    x_rr(&g->c, 0xc1, 4, RAX);
    put8(&g->c, 5);
    _Static_assert(sizeof(struct jump_entry) == 32, "index by shift");
    alu_rm(&g->c, ALU_ADD, 1, RAX, env_at(offsetof(struct vcpu, tcg_cpu)));
    alu_rm(&g->c, ALU_CMP, 1, RCX, at(RAX, jump + (int32_t)offsetof(struct jump_entry, host)));
    jump_to_if(g, CC_NE, thunks(g)->leave_none);
    if (g->ir->flags == (uint64_t)(int32_t)g->ir->flags) {
        alu_mi(&g->c, ALU_CMP, 1, at(RAX, jump + (int32_t)offsetof(struct jump_entry, flags)),
               (int32_t)g->ir->flags);
    } else {
        mov_ri(&g->c, RCX, g->ir->flags);
        alu_rm(&g->c, ALU_CMP, 1, RCX, at(RAX, jump + (int32_t)offsetof(struct jump_entry, flags)));
    }
    jump_to_if(g, CC_NE, thunks(g)->leave_none);
    x_rm(&g->c, 0xff, 4, at(RAX, jump + (int32_t)offsetof(struct jump_entry, code)));
}

/* A return: to where the return stack says, if it says the same as the guest's. */
static void gen_return_stack(struct gen *g)
{
    int32_t entry = env_disp(offsetof(struct vcpu, returns));

    mov_rm(&g->c, 0, RAX, env_at(offsetof(struct vcpu, return_top)));
    lea(&g->c, 0, RCX, at(RAX, -(int32_t)sizeof(struct return_entry)));
    alu_ri(&g->c, ALU_AND, 0, RCX, (int32_t)(sizeof(struct return_entry) * (RETURN_STACK - 1)));
    mov_mr(&g->c, 0, env_at(offsetof(struct vcpu, return_top)), RCX);
    alu_rm(&g->c, ALU_CMP, 1, HOST_PC,
           at_index(HOST_VCPU, RAX, 0, entry + (int32_t)offsetof(struct return_entry, pc)));
    uint8_t *miss = jcc8(&g->c, CC_NE);
    x_rm(&g->c, 0xff, 4,
         at_index(HOST_VCPU, RAX, 0, entry + (int32_t)offsetof(struct return_entry, site)));
    patch8(&g->c, miss, g->c.p);
}

static void gen_exit_ind(struct gen *g, const struct ir_op *op)
{
    unsigned wrap = wrap_of(op), w = 0, t;
    struct landing landing = {0};
    int64_t ret = 0;

    t = x64_use(g, op->a);
    commit(g);
    if (!g->ir->no_link && ends_call(g, g->i, &ret, &w)) {
        if (t == RAX || t == RCX) { /* these two are used by expect_return */
            mov_rr(&g->c, 1, RSI, t);
            t = RSI;
        }
        expect_return(g, ret, w, &landing);
    }
    if (wrap == 2) {
        x_rr(&g->c, 0xb7 | X_0F, HOST_PC, t);
    } else {
        mov_rr(&g->c, wrap == 0, HOST_PC, t);
    }
    if (g->ir->no_link) {
        jump_to(g, thunks(g)->leave_none);
        return;
    }
    poll(g);
    if (op->aux == IR_IND_RET && wrap < 2) {
        gen_return_stack(g);
    }
    gen_jump_cache(g, wrap);
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

static void gen_call(struct gen *g, const struct ir_op *op)
{
    static const uint8_t arg_reg[] = {RSI, RDX, RCX};
    const struct ir_helper *h = ir_op_helper(op);
    ir_reg in[3] = {op->a, op->b, op->c};
    enum thunk_call kind = h->flags & HELPER_WRITES || g->keeps_pc     ? CALL_WRITES
                           : h->flags & (HELPER_READS | HELPER_RAISES) ? CALL_FULL
                                                                       : CALL_LIGHT;
    bool reads = h->flags & (HELPER_READS | HELPER_WRITES | HELPER_READS_CC);
    unsigned n = 0;

    if ((h->flags & HELPER_READS_CC) && kind == CALL_FULL && !(h->flags & HELPER_RAISES)) {
        kind = CALL_LIGHT;
    }
    for (unsigned k = 0; k < 3; k++) {
        reads |= in[k] != IR_NONE && is_cc(in[k]);
    }
    if (reads) {
        x64_cc_flush(g, true);
        x64_unlock(g);
    }
    x64_spill_all(g, true);
    x64_vflush(g, true);
    if (h->flags & HELPER_FPENV) {
        mov_ri(&g->c, RDI, x64_helper_index(g, (const void *)(uintptr_t)x64_fp_out));
        x64_call_thunk(g, thunks(g)->call[g->ir->ctx][CALL_LIGHT]);
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
        x64_map_here(g, &g->now, g->insn_off, g->insn_meta);
    }
    if (h->flags & HELPER_WRITES) {
        x64_cc_in_memory(g);
    }
    flags_clobbered(g);
    if (h->flags & HELPER_FPENV) {
        mov_mr(&g->c, 1, slot_of(REG_VALUE), RAX);
        mov_ri(&g->c, RDI, x64_helper_index(g, (const void *)(uintptr_t)x64_fp_in));
        x64_call_thunk(g, thunks(g)->call[g->ir->ctx][CALL_LIGHT]);
        mov_rm(&g->c, 1, RAX, slot_of(REG_VALUE));
    }
    if (op->d != IR_NONE) {
        x64_take(g, RAX);
        x64_before_write(g, op->d, NULL);
        x64_done(g, op->d, RAX);
    }
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

static void gen_canonical_check(struct gen *g, const struct ir_op *op)
{
    unsigned a = x64_use(g, op->a), t = x64_alloc(g);
    struct places before;
    bool unreachable = g->unreachable;

    mov_rr(&g->c, 1, t, a);
    x_rr(&g->c, 0xc1 | X_W, 7, t);
    put8(&g->c, 47);
    alu_ri(&g->c, ALU_ADD, 1, t, 1);
    alu_ri(&g->c, ALU_CMP, 1, t, 1);
    uint8_t *fine = jcc32(&g->c, CC_BE);
    x64_unlock(g);
    before = g->now;
    g->i += 3;
    gen_call(g, op + 3);
    x64_unlock(g);
    put8(&g->c, 0x0f); /* it does not come back: ud2 */
    put8(&g->c, 0x0b);
    g->i -= 3;
    patch32(&g->c, fine, g->c.p);
    x64_adopt(g, &before);
    g->unreachable = unreachable;
}

unsigned x64_gen_control(struct gen *g, const struct ir_op *op)
{
    switch (op->opc) {
    case IR_SAR:
        if (is_canonical_check(g, g->i)) {
            gen_canonical_check(g, op);
            return 5;
        }
        return 0;
    case IR_LABEL:
        gen_label(g, op);
        return 1;
    case IR_BR:
        gen_br(g, op);
        return 1;
    case IR_BRCOND:
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
