/* Guest memory: the TLB look-up of tcg/vcpu.h inlined, the access, and what happens when the
 * look-up fails, which is out of line at the block's end. */
#ifdef __x86_64__
#include "tcg/x86_64/gen.h"

#include <assert.h>
#include <stdlib.h>

#define TAG_READ  ((uint16_t)offsetof(struct tlb_entry, rtag))
#define TAG_WRITE ((uint16_t)offsetof(struct tlb_entry, wtag))
#define ADDEND    ((int32_t)offsetof(struct tlb_entry, addend))
_Static_assert(sizeof(struct tlb_entry) == 32, "the entry's index is taken by a shift");

/* ---- out of line ---- */

struct cold *x64_cold(struct gen *g, enum cold_kind kind)
{
    struct cold *c;

    if (g->ncold == g->cap_cold) {
        g->cap_cold = g->cap_cold ? 2 * g->cap_cold : 64;
        g->cold = realloc(g->cold, g->cap_cold * sizeof(*g->cold));
        if (!g->cold) {
            abort();
        }
    }
    c = &g->cold[g->ncold++];
    memset(c, 0, sizeof(*c));
    c->kind = (uint8_t)kind;
    c->d = c->value = c->value2 = c->t = c->i = c->keeper = NO_REG;
    c->places = g->now;
    c->fp = g->fp;
    c->insn_off = g->insn_off;
    c->insn_meta = g->insn_meta;
    for (unsigned m = HOST_POOL; m; m &= m - 1) { /* what nobody wants after this op */
        unsigned reg = (unsigned)__builtin_ctz(m);
        ir_reg r = g->now.held[reg];
        g->i++;
        if (r >= TCG_NREGS || !x64_alive(g, r)) {
            c->places.held[reg] = IR_NONE;
            c->places.dirty &= (uint16_t) ~(1u << reg);
        }
        g->i--;
    }
    for (unsigned x = 0; x < 16; x++) {
        ir_reg r = g->now.vheld[x];
        if (r >= TCG_VREG_TEMP && (r >= TCG_NVREGS || g->vlast_use[r] <= g->i)) {
            c->places.vheld[x] = IR_NONE;
            c->places.vdirty &= (uint16_t) ~(1u << x);
        }
    }
    return c;
}

void x64_map_here(struct gen *g, const struct places *p, int32_t off, uint16_t meta)
{
    struct map_entry64 *e;
    bool in_memory = true;

    if (g->nmap == g->cap_map) {
        g->cap_map = g->cap_map ? 2 * g->cap_map : 64;
        g->map = realloc(g->map, g->cap_map * sizeof(*g->map));
        g->cc = realloc(g->cc, g->cap_map * sizeof(*g->cc));
        if (!g->map || !g->cc) {
            abort();
        }
    }
    for (unsigned n = 0; n < 4; n++) {
        in_memory &= p->cc.comp[n].kind == COMP_MEM;
    }
    e = &g->map[g->nmap++];
    *e = (struct map_entry64){.at = (uint32_t)(g->c.p - g->start), .off = off, .meta = meta};
    if (!in_memory) {
        if (!g->ncc || memcmp(&g->cc[g->ncc - 1], &p->cc, sizeof(p->cc)) != 0) {
            g->cc[g->ncc++] = p->cc;
        }
        e->cc = (uint16_t)g->ncc;
    }
}

void x64_call_thunk(struct gen *g, const uint8_t *thunk)
{
    put8(&g->c, 0xe8);
    put32(&g->c, (uint32_t)(thunk - (g->c.p + 4 + g->t->exec_delta)));
}

static void save_pool(struct gen *g, const struct places *p)
{
    for (unsigned m = p->dirty & HOST_POOL; m; m &= m - 1) {
        unsigned reg = (unsigned)__builtin_ctz(m);
        mov_mr(&g->c, 1, slot_of(p->held[reg]), reg);
    }
}

static void reload_pool(struct gen *g, const struct places *p, unsigned except)
{
    for (unsigned m = HOST_POOL; m; m &= m - 1) {
        unsigned reg = (unsigned)__builtin_ctz(m);
        if (reg != except && p->held[reg] < TCG_NREGS) {
            mov_rm(&g->c, 1, reg, slot_of(p->held[reg]));
        }
    }
}

/* reg = the value of 1 << size bytes in `from`, extended as the memop says. */
static void extend(struct gen *g, unsigned memop, unsigned w, unsigned d, unsigned from)
{
    unsigned size = memop & MO_SIZE;
    bool sign = memop & MO_SIGN;

    switch (size) {
    case MO_8:
        x_rr(&g->c, (sign ? 0xbe : 0xb6) | X_0F | X_RMBYTE | (sign ? wbit(w) : 0), d, from);
        break;
    case MO_16:
        x_rr(&g->c, (sign ? 0xbf : 0xb7) | X_0F | (sign ? wbit(w) : 0), d, from);
        break;
    case MO_32:
        if (sign && w) {
            x_rr(&g->c, 0x63 | X_W, d, from);
        } else {
            mov_rr(&g->c, 0, d, from);
        }
        break;
    default:
        if (d != from) {
            mov_rr(&g->c, 1, d, from);
        }
        break;
    }
}

/* d = memory m by the memop */
static void load_value(struct gen *g, unsigned memop, unsigned w, unsigned d, struct mem m)
{
    unsigned size = memop & MO_SIZE;
    bool sign = memop & MO_SIGN;

    switch (size) {
    case MO_8:
        x_rm(&g->c, (sign ? 0xbe : 0xb6) | X_0F | (sign ? wbit(w) : 0), d, m);
        break;
    case MO_16:
        x_rm(&g->c, (sign ? 0xbf : 0xb7) | X_0F | (sign ? wbit(w) : 0), d, m);
        break;
    case MO_32:
        if (sign && w) {
            x_rm(&g->c, 0x63 | X_W, d, m);
        } else {
            mov_rm(&g->c, 0, d, m);
        }
        break;
    default:
        mov_rm(&g->c, 1, d, m);
        break;
    }
}

static void store_value(struct gen *g, unsigned size, struct mem m, unsigned reg)
{
    switch (size) {
    case MO_8:
        x_rm(&g->c, 0x88 | X_BYTE, reg, m);
        break;
    case MO_16:
        x_rm(&g->c, 0x89 | X_66, reg, m);
        break;
    default:
        x_rm(&g->c, 0x89 | wbit(size == MO_64), reg, m);
        break;
    }
}

static void store_imm(struct gen *g, unsigned size, struct mem m, int64_t imm)
{
    switch (size) {
    case MO_8:
        x_rm(&g->c, 0xc6, 0, m);
        put8(&g->c, (uint8_t)imm);
        break;
    case MO_16:
        x_rm(&g->c, 0xc7 | X_66, 0, m);
        put8(&g->c, (uint8_t)imm);
        put8(&g->c, (uint8_t)(imm >> 8));
        break;
    default:
        mov_mi(&g->c, size == MO_64, m, (int32_t)imm);
        break;
    }
}

/* index = offset of the TLB entry of the address in t */
static void tlb_offset(struct gen *g, unsigned t, unsigned index)
{
    if (thunks(g)->bmi2) {
        v_rr(&g->c, 0xf0 | X_0F3A | X_F2, index, 0, t, false); /* rorx */
        put8(&g->c, 7);
    } else {
        mov_rr(&g->c, 0, index, t);
        x_rr(&g->c, 0xc1, 5, index);
        put8(&g->c, 7);
    }
    alu_ri(&g->c, ALU_AND, 0, index, TLB_MASK << 5);
}

/* The rest of the block, from this instruction on, by a block whose accesses all look up for
 * themselves. */
static void leave_apart(struct gen *g, const struct places *p, int32_t insn_off, uint16_t insn_meta)
{
    x64_adopt(g, p);
    x64_vflush(g, false);
    x64_cc_flush(g, false);
    x64_unlock(g);
    uint64_t meta = insn_meta ? g->meta[insn_meta - 1] : 0;
    if (meta >> 32) { /* for guest_ops.restore, as when a fault leaves the block here */
        store_imm(g, MO_32, env_at(offsetof(struct vcpu, apart_meta)), (int32_t)meta);
        store_imm(g, MO_32, env_at(offsetof(struct vcpu, apart_meta) + 4), (int32_t)(meta >> 32));
        x64_jump(g, insn_off, g->narrow, thunks(g)->leave_apart);
    } else {
        x64_exit_apart(g, insn_off);
    }
}

/* The first access of a group found no place for all of them. */
static void gen_cold_group(struct gen *g, const struct cold *k)
{
    unsigned ctx = g->ir->ctx;
    struct places apart_places = k->places;

    for (unsigned n = 0; n < 2 && k->from[n]; n++) {
        patch32(&g->c, k->from[n], g->c.p);
    }
    save_pool(g, &k->places);
    for (unsigned m = k->scratch; m; m &= m - 1) {
        mov_mr(&g->c, 1, slot_of(REG_SCRATCH), (unsigned)__builtin_ctz(m));
    }
    x64_vsave(g, &k->places);
    mov_mr(&g->c, 1, slot_of(REG_VA), k->t);
    x64_fp_save(g, &k->fp); /* takes rax, rcx, rdx */
    mov_ri(&g->c, RSI, k->memop & (MO_SIZE | MO_ALIGN | MO_A32));
    mov_ri(&g->c, RDX,
           (uint64_t)k->delta | (uint64_t)k->span << 16 | (uint64_t)k->group_write << 32 |
               (uint64_t)k->write << 33);
    mov_ri(&g->c, RCX, ctx);
    mov_ri(&g->c, RDI, x64_helper_index(g, (const void *)(uintptr_t)x64_group));
    x64_call_thunk(g, thunks(g)->call[ctx][CALL_FULL]);
    x64_map_here(g, &k->places, k->insn_off, k->insn_meta);
    test_rr(&g->c, 1, RAX, RAX);
    uint8_t *apart = jcc32(&g->c, CC_E);
    x64_fp_reload(g, &k->fp); /* keeps rax only */
    if (k->keeper != RAX) {
        mov_rr(&g->c, 1, k->keeper, RAX);
    }
    reload_pool(g, &k->places, k->keeper);
    x64_vreload(g, &k->places, NO_REG);
    for (unsigned m = k->scratch; m; m &= m - 1) {
        mov_rm(&g->c, 1, (unsigned)__builtin_ctz(m), slot_of(REG_SCRATCH));
    }
    uint8_t *back = jmp32(&g->c);
    patch32(&g->c, back, k->back);
    patch32(&g->c, apart, g->c.p);
    reload_pool(g, &k->places, NO_REG); /* flags may be made of them */
    apart_places.vdirty = 0;            /* saved above */
    leave_apart(g, &apart_places, k->insn_off, k->insn_meta);
}

/* An access of a group is not aligned. */
static void gen_cold_apart(struct gen *g, const struct cold *k)
{
    patch32(&g->c, k->from[0], g->c.p);
    if (k->fp.live) { /* which takes registers that the flags may be made of */
        save_pool(g, &k->places);
        x64_fp_save(g, &k->fp);
        reload_pool(g, &k->places, NO_REG);
    }
    leave_apart(g, &k->places, k->insn_off, k->insn_meta);
}

static void gen_cold_memory(struct gen *g, struct cold *k)
{
    static uint64_t (*const run[])(struct vcpu *, uint64_t, uint64_t) = {
        [COLD_LOAD] = x64_load,     [COLD_STORE] = x64_store,   [COLD_VLOAD] = x64_vload,
        [COLD_VSTORE] = x64_vstore, [COLD_ATOMIC] = x64_atomic, [COLD_CMPXCHG] = x64_cmpxchg,
    };
    unsigned ctx = g->ir->ctx;

    for (unsigned n = 0; n < 2 && k->from[n]; n++) {
        patch32(&g->c, k->from[n], g->c.p);
    }
    if (k->kind == COLD_STORE || k->kind == COLD_ATOMIC) {
        if (k->value != NO_REG) {
            mov_mr(&g->c, 1, slot_of(REG_VALUE), k->value);
        } else {
            mov_mi(&g->c, 1, slot_of(REG_VALUE), (int32_t)k->imm);
        }
    } else if (k->kind == COLD_CMPXCHG) {
        mov_mr(&g->c, 1, slot_of(REG_EXPECT), RAX);
        mov_mr(&g->c, 1, slot_of(REG_VALUE), k->value);
    } else if (k->kind == COLD_VSTORE) {
        v_store(g, k->value, vslot_of(VREG_SLOW), k->memop & MO_SIZE);
    }
    save_pool(g, &k->places);
    x64_vsave(g, &k->places);
    if (k->i != NO_REG) {
        alu_rm(&g->c, ALU_XOR, 1, k->t, at_index(HOST_TLB, k->i, 0, k->tag));
    }
    mov_mr(&g->c, 1, slot_of(REG_VA), k->t);
    x64_fp_save(g, &k->fp);
    mov_ri(&g->c, RSI,
           (k->memop & (MO_SIZE | MO_ALIGN)) |
               (k->kind == COLD_ATOMIC ? (unsigned)k->op->imm2 << 16 : 0));
    mov_ri(&g->c, RDX, ctx);
    mov_ri(&g->c, RDI, x64_helper_index(g, (const void *)(uintptr_t)run[k->kind]));
    x64_call_thunk(g, thunks(g)->call[ctx][CALL_FULL]);
    x64_map_here(g, &k->places, k->insn_off, k->insn_meta);
    x64_fp_reload(g, &k->fp);
    if (k->kind == COLD_VLOAD) {
        x64_vreload(g, &k->places, k->d);
        v_load(g, k->d, vslot_of(VREG_SLOW), (k->memop & MO_SIZE) == MO_256 ? MO_256 : MO_128);
        reload_pool(g, &k->places, NO_REG);
    } else {
        if (k->fp_opcode) {
            mov_mr(&g->c, 1, slot_of(REG_VA), RAX);
            x_rm(&g->c, k->fp_opcode, k->fp_reg, slot_of(REG_VA));
        }
        if (k->d != NO_REG) {
            extend(g, k->kind == COLD_LOAD ? k->memop : k->memop & (unsigned)~MO_SIGN, k->w, k->d,
                   RAX);
        }
        reload_pool(g, &k->places, k->d);
        x64_vreload(g, &k->places, NO_REG);
    }
    uint8_t *back = jmp32(&g->c);
    patch32(&g->c, back, k->back);
}

void x64_save(struct gen *g, const struct places *p)
{
    save_pool(g, p);
    x64_vsave(g, p);
}

void x64_reload(struct gen *g, const struct places *p, unsigned except)
{
    reload_pool(g, p, except);
    x64_vreload(g, p, NO_REG);
}

void x64_gen_cold(struct gen *g)
{
    for (unsigned n = 0; n < g->ncold && !g->c.overflow; n++) {
        if (g->cold[n].kind == COLD_CALL) {
            x64_gen_cold_call(g, &g->cold[n]);
        } else if (g->cold[n].kind == COLD_GROUP) {
            gen_cold_group(g, &g->cold[n]);
        } else if (g->cold[n].kind == COLD_APART) {
            gen_cold_apart(g, &g->cold[n]);
        } else if (g->cold[n].kind >= COLD_FP_MISS) {
            x64_fp_cold(g, &g->cold[n]);
        } else {
            gen_cold_memory(g, &g->cold[n]);
        }
    }
}

/* ---- addresses ---- */

/* The host address expression of the operand's guest address; registers are locked. w: 0 when the
 * sum is taken in 32 bits. */
static struct mem guest_address(struct gen *g, const struct ir_op *op, unsigned *w)
{
    bool index = (op->aux & MO_INDEX) && op->c != IR_NONE;
    unsigned scale = op->aux >> MO_SCALE & 3;
    bool a32 = op->aux & MO_A32;
    int64_t disp = a32 ? (int32_t)op->imm : op->imm;
    struct mem m = {
        .base = NO_REG, .index = NO_REG, .scale = (uint8_t)scale, .disp = (int32_t)disp};

    *w = !a32;
    if (op->a != IR_NONE) {
        m.base = (uint8_t)x64_use(g, op->a);
    }
    if (index) {
        m.index = (uint8_t)x64_use(g, op->c);
    }
    if (!fits32(disp) || m.base == NO_REG) {
        unsigned t = x64_alloc(g);
        mov_ri(&g->c, t, (uint64_t)disp);
        if (m.base != NO_REG) {
            alu_rr(&g->c, ALU_ADD, 1, t, m.base);
            flags_clobbered(g);
        }
        m.base = (uint8_t)t;
        m.disp = 0;
    }
    return m;
}

struct lookup {
    unsigned t, i; /* the guest address; what added to it gives the host's */
    struct cold *cold;
};

static struct cold *cold_access(struct gen *g, const struct ir_op *op, uint16_t tag,
                                enum cold_kind kind)
{
    struct cold *k = x64_cold(g, kind);

    k->tag = tag;
    k->memop = op->aux;
    k->w = op->w;
    k->op = op;
    return k;
}

/* What an address was made of is not needed any more. */
static void release(struct gen *g, const struct mem *m, uint16_t locked, unsigned keep)
{
    for (unsigned k = 0; k < 2; k++) {
        unsigned r = k ? m->index : m->base;
        if (r != NO_REG && r != keep && (HOST_POOL >> r & 1) && !(locked >> r & 1) &&
            g->now.held[r] == SCRATCH) {
            g->now.held[r] = IR_NONE;
        }
    }
    g->locked = (uint16_t)(locked | (keep != NO_REG ? 1u << keep : 0));
}

/* Emits the look-up of an access of `span` bytes that begins `before` bytes below the operand;
 * afterwards t + i is the place (t itself for atomic ones). The cold part's own fields are the
 * caller's to fill. The flags of the host are gone. */
static struct lookup look_up(struct gen *g, const struct ir_op *op, uint16_t tag,
                             enum cold_kind kind, bool atomic, int64_t before, unsigned span)
{
    unsigned size = 1u << (op->aux & MO_SIZE), w;
    uint16_t locked = g->locked;
    struct mem m = guest_address(g, op, &w);
    struct lookup l;
    uint8_t *unaligned = NULL;

    m.disp -= (int32_t)before;
    if (m.index == NO_REG && m.disp == 0 && w && !atomic) {
        l.t = m.base;
    } else {
        l.t = x64_alloc(g);
        lea(&g->c, w, l.t, m);
    }
    release(g, &m, locked, l.t);
    l.i = x64_alloc(g);
    tlb_offset(g, l.t, l.i);
    struct mem entry_tag = at_index(HOST_TLB, l.i, 0, tag);
    struct mem addend = at_index(HOST_TLB, l.i, 0, ADDEND);
    /* All registers are taken before the first branch: both must find the same things evicted. */
    unsigned diff = atomic ? l.t : x64_alloc(g);
    if (atomic) { /* few registers are left: t is the difference for a while */
        alu_rm(&g->c, ALU_XOR, 1, l.t, entry_tag);
    }
    if (((op->aux & MO_ALIGN) || atomic) && size > 1) {
        unsigned t = l.t;
        if (before % size) {
            t = diff;
            lea(&g->c, 0, t, at(l.t, (int32_t)before));
        }
        x_rr(&g->c, 0xf6 | X_RMBYTE, 0, t);
        put8(&g->c, size - 1);
        unaligned = jcc32(&g->c, CC_NE);
    }
    if (atomic) {
        alu_ri(&g->c, ALU_CMP, 1, l.t, (int32_t)(4096 - span));
    } else {
        mov_rm(&g->c, 1, diff, entry_tag);
        mov_rm(&g->c, 1, l.i, addend);
        alu_rr(&g->c, ALU_XOR, 1, diff, l.t);
        alu_ri(&g->c, ALU_CMP, 1, diff, (int32_t)(4096 - span));
        g->now.held[diff] = IR_NONE;
        g->locked &= (uint16_t) ~(1u << diff);
    }
    l.cold = cold_access(g, op, tag, kind);
    l.cold->from[0] = jcc32(&g->c, CC_A);
    l.cold->from[1] = unaligned;
    l.cold->t = (uint8_t)l.t;
    if (atomic) {
        l.cold->i = (uint8_t)l.i;
        alu_rm(&g->c, ALU_XOR, 1, l.t, entry_tag);
        alu_rm(&g->c, ALU_ADD, 1, l.t, addend);
    }
    flags_clobbered(g);
    return l;
}

struct place {
    struct mem m;      /* on the host */
    struct cold *cold; /* what is left to fill in by the access; NULL: nothing */
};

/* Registers of the pool in `locked` that hold what is in no slot: at most one, a value to be
 * stored. */
static uint8_t scratch_in(const struct gen *g, uint16_t locked)
{
    uint8_t mask = 0;

    for (unsigned m = locked & HOST_POOL; m; m &= m - 1) {
        unsigned reg = (unsigned)__builtin_ctz(m);
        mask |= g->now.held[reg] == SCRATCH ? (uint8_t)(1u << reg) : 0;
    }
    assert(!(mask & (mask - 1)));
    return mask;
}

/* The host's place of an access: by a look-up of its own, one for the group that it leads, or from
 * the register that keeps the place of its group. */
static struct place find_place(struct gen *g, const struct ir_op *op, bool write,
                               enum cold_kind kind)
{
    const struct group *group = g->group_of[g->i] ? &g->groups[g->group_of[g->i] - 1] : NULL;
    uint16_t tag = write ? TAG_WRITE : TAG_READ;
    struct lookup l;

    if (!group) {
        l = look_up(g, op, tag, kind, false, 0, 1u << (op->aux & MO_SIZE));
        return (struct place){at_index(l.i, l.t, 0, 0), l.cold};
    }
    ir_reg keeper = (ir_reg)(REG_GROUP + group->keeper);
    int32_t delta = (int32_t)(g->group_off[g->i] - group->lo);
    if (group->leader == g->i) {
        unsigned span = (unsigned)(group->hi - group->lo);
        uint16_t before = g->locked;
        l = look_up(g, op, group->write ? TAG_WRITE : TAG_READ, COLD_GROUP, false, delta, span);
        alu_rr(&g->c, ALU_ADD, 1, l.i, l.t);
        l.cold->places = g->now; /* the access is still to come */
        l.cold->scratch = scratch_in(g, before);
        l.cold->delta = delta;
        l.cold->span = (uint16_t)span;
        l.cold->write = write;
        l.cold->group_write = group->write;
        l.cold->keeper = (uint8_t)l.i;
        l.cold->back = g->c.p;
        g->last_use[keeper] = group->last;
        x64_done(g, keeper, l.i);
        return (struct place){at(l.i, delta), NULL};
    }
    unsigned hb = x64_use(g, keeper);
    if (op->aux & MO_ALIGN) {
        unsigned t = x64_alloc(g), size = 1u << (op->aux & MO_SIZE);
        lea(&g->c, 0, t, at(hb, delta));
        x_rr(&g->c, 0xf6 | X_RMBYTE, 0, t);
        put8(&g->c, size - 1);
        g->now.held[t] = IR_NONE;
        g->locked &= (uint16_t) ~(1u << t);
        cold_access(g, op, 0, COLD_APART)->from[0] = jcc32(&g->c, CC_NE);
        flags_clobbered(g);
    }
    return (struct place){at(hb, delta), NULL};
}

static void gen_load(struct gen *g, const struct ir_op *op)
{
    struct place p;
    unsigned d = NO_REG;

    if (op->d != IR_NONE) {
        x64_before_write(g, op->d, NULL);
        x64_unlock(g);
    }
    if (op->d != IR_NONE && is_home(op->d)) {
        d = home_of(op->d);
    }
    p = find_place(g, op, false, COLD_LOAD);
    if (d == NO_REG) {
        d = g->group_of[g->i] ? x64_alloc(g) : p.m.base;
    }
    load_value(g, op->aux, op->w, d, p.m);
    if (g->zf_reg == d) { /* the host's flags are those of its value before */
        g->zf_reg = NO_REG;
    }
    if (p.cold) {
        p.cold->d = (uint8_t)d;
        p.cold->back = g->c.p;
    }
    if (op->d != IR_NONE) {
        x64_done(g, op->d, d);
    }
}

void x64_load_fp(struct gen *g, const struct ir_op *op, unsigned opcode, unsigned reg)
{
    struct place p = find_place(g, op, false, COLD_LOAD);

    x_rm(&g->c, opcode, reg, p.m);
    if (p.cold) {
        p.cold->fp_opcode = (uint8_t)opcode;
        p.cold->fp_reg = (uint8_t)reg;
        p.cold->back = g->c.p;
    }
}

static void gen_store(struct gen *g, const struct ir_op *op)
{
    unsigned size = op->aux & MO_SIZE, value = NO_REG;
    bool imm = op->flags & IR_BIMM;
    struct place p;

    if (!imm || (size == MO_64 && !fits32(op->imm2))) {
        if (imm) {
            value = x64_alloc(g);
            mov_ri(&g->c, value, (uint64_t)op->imm2);
        } else {
            value = x64_use(g, op->b);
        }
    }
    p = find_place(g, op, true, COLD_STORE);
    if (p.cold) {
        p.cold->value = (uint8_t)value;
        p.cold->imm = op->imm2;
    }
    if (value != NO_REG) {
        store_value(g, size, p.m, value);
    } else {
        store_imm(g, size, p.m, op->imm2);
    }
    if (p.cold) {
        p.cold->back = g->c.p;
    }
}

static void gen_vload(struct gen *g, const struct ir_op *op)
{
    /* The register comes first: the out-of-line part must find the same things evicted. */
    unsigned size = op->aux & MO_SIZE, x = x64_vdef(g, op->d);
    struct place p = find_place(g, op, false, COLD_VLOAD);

    v_load(g, x, p.m, size);
    if (p.cold) {
        p.cold->d = (uint8_t)x;
        p.cold->back = g->c.p;
    }
    x64_vdone(g, op->d, x, size == MO_256 || (op->flags & IR_VZU));
}

static void gen_vstore(struct gen *g, const struct ir_op *op)
{
    unsigned size = op->aux & MO_SIZE, x = x64_vuse(g, op->b, size == MO_256);
    struct place p = find_place(g, op, true, COLD_VSTORE);

    v_store(g, x, p.m, size);
    if (p.cold) {
        p.cold->value = (uint8_t)x;
        p.cold->back = g->c.p;
    }
}

/* ---- atomics ---- */

/* Nobody but devices can see the memory between a load and a store of the only processor, and
 * guests do not change in place what devices write. But they order their accesses by locked
 * instructions that change nothing (add 0 to the top of the stack) and by XCHG: these stay. */
static bool needs_lock(const struct gen *g, const struct ir_op *op)
{
    if (!g->t->cpus || g->t->cpus->next || (op->opc == IR_ATOMIC && op->imm2 == IR_AT_XCHG)) {
        return true;
    }
    if (op->opc == IR_CMPXCHG || op->b < TCG_REG_TEMP) {
        return false;
    }
    for (const struct ir_op *at = op; at-- > g->ir->ops;) { /* what made the operand */
        if (at->d == op->b) {
            return at->opc == IR_MOVI && at->imm == 0;
        }
    }
    return true;
}

static unsigned atomic_size(unsigned size, bool lock)
{
    return (lock ? X_LOCK : 0) | (size == MO_16 ? X_66 : size == MO_64 ? X_W : 0);
}

static void gen_atomic(struct gen *g, const struct ir_op *op)
{
    bool lock = needs_lock(g, op);
    unsigned size = op->aux & MO_SIZE, b, d, code = atomic_size(size, lock);
    bool wanted = op->d != IR_NONE && (!is_temp(op->d) || g->def_last[g->i] > g->i);
    enum ir_atomic what = (enum ir_atomic)op->imm2;
    struct lookup l;
    bool loop = wanted && (what == IR_AT_AND || what == IR_AT_OR || what == IR_AT_XOR);

    x64_before_write(g, op->d, NULL);
    x64_take(g, RAX);
    b = x64_use(g, op->b);
    l = look_up(g, op, TAG_WRITE, COLD_ATOMIC, true, 0, 1u << size);
    l.cold->value = (uint8_t)b;
    d = RAX;
    if (loop) { /* compare and exchange until nobody came between */
        load_value(g, size, 1, RAX, at(l.t, 0));
        uint8_t *again = g->c.p;
        mov_rr(&g->c, 1, l.i, RAX);
        alu_rr(&g->c, what == IR_AT_AND ? ALU_AND : what == IR_AT_OR ? ALU_OR : ALU_XOR, 1, l.i, b);
        if (lock) {
            x_rm(&g->c, (size == MO_8 ? 0xb0 | X_BYTE : 0xb1) | X_0F | code, l.i, at(l.t, 0));
            uint8_t *retry = jcc32(&g->c, CC_NE);
            patch32(&g->c, retry, again);
        } else {
            x_rm(&g->c, (size == MO_8 ? 0x88 | X_BYTE : 0x89) | code, l.i, at(l.t, 0));
        }
        extend(g, size, 1, RAX, RAX);
    } else if (what == IR_AT_XCHG) {
        mov_rr(&g->c, 1, RAX, b);
        x_rm(&g->c, (size == MO_8 ? 0x86 | X_BYTE : 0x87) | (code & ~(unsigned)X_LOCK), RAX,
             at(l.t, 0));
        extend(g, size, 1, RAX, RAX);
    } else if (!wanted) {
        static const uint8_t alu[] = {[IR_AT_ADD] = ALU_ADD,
                                      [IR_AT_SUB] = ALU_SUB,
                                      [IR_AT_AND] = ALU_AND,
                                      [IR_AT_OR] = ALU_OR,
                                      [IR_AT_XOR] = ALU_XOR};
        x_rm(&g->c,
             ((unsigned)alu[what] << 3 | (size == MO_8 ? 0 : 1)) | (size == MO_8 ? X_BYTE : 0) |
                 code,
             b, at(l.t, 0));
        d = NO_REG;
    } else {
        mov_rr(&g->c, 1, RAX, b);
        if (what == IR_AT_SUB) {
            x_rr(&g->c, 0xf7 | X_W, 3, RAX);
        }
        x_rm(&g->c, (size == MO_8 ? 0xc0 | X_BYTE : 0xc1) | X_0F | code, RAX, at(l.t, 0));
        extend(g, size, 1, RAX, RAX);
    }
    l.cold->w = 1;
    l.cold->memop = (uint16_t)(op->aux & ~MO_SIGN);
    l.cold->d = (uint8_t)d;
    l.cold->back = g->c.p;
    if (d != NO_REG) {
        x64_done(g, op->d, RAX);
    }
}

static void gen_cmpxchg(struct gen *g, const struct ir_op *op)
{
    unsigned size = op->aux & MO_SIZE, b, c;
    struct lookup l;

    x64_before_write(g, op->d, NULL);
    b = x64_use(g, op->b);
    if (b == RAX) {
        ir_reg r = g->now.held[RAX];
        g->locked &= (uint16_t) ~(1u << RAX);
        x64_take(g, RAX); /* its value stays in the register, and in memory when it is wanted */
        (void)r;
    } else {
        x64_take(g, RAX);
        mov_rr(&g->c, 1, RAX, b);
        if (HOST_POOL >> b & 1) {
            g->locked &= (uint16_t) ~(1u << b);
            if (g->now.held[b] == SCRATCH) {
                g->now.held[b] = IR_NONE;
            }
        }
    }
    c = x64_use(g, op->c);
    l = look_up(g, op, TAG_WRITE, COLD_CMPXCHG, true, 0, 1u << size);
    l.cold->value = (uint8_t)c;
    x_rm(&g->c, (size == MO_8 ? 0xb0 | X_BYTE : 0xb1) | X_0F | atomic_size(size, needs_lock(g, op)),
         c, at(l.t, 0));
    extend(g, size, 1, RAX, RAX);
    l.cold->w = 1;
    l.cold->memop = (uint16_t)(op->aux & ~MO_SIGN);
    l.cold->d = RAX;
    l.cold->back = g->c.p;
    x64_done(g, op->d, RAX);
}

/* ---- fields of the vcpu ---- */

static void gen_env(struct gen *g, const struct ir_op *op)
{
    unsigned size = op->aux & MO_SIZE, reg;

    if (op->opc == IR_LDENV) {
        x64_before_write(g, op->d, NULL);
        reg = x64_def(g, op->d);
        load_value(g, op->aux, 1, reg, env_at((size_t)op->imm));
        x64_done(g, op->d, reg);
        if (g->zf_reg == reg) {
            flags_clobbered(g);
        }
    } else if ((op->flags & IR_BIMM) && (size < MO_64 || fits32(op->imm2))) {
        store_imm(g, size, env_at((size_t)op->imm), op->imm2);
    } else {
        if (op->flags & IR_BIMM) {
            reg = x64_alloc(g);
            mov_ri(&g->c, reg, (uint64_t)op->imm2);
        } else {
            reg = x64_use(g, op->b);
        }
        store_value(g, size, env_at((size_t)op->imm), reg);
    }
}

void x64_gen_memory(struct gen *g, const struct ir_op *op)
{
    switch (op->opc) {
    case IR_LD:
        gen_load(g, op);
        break;
    case IR_ST:
        gen_store(g, op);
        break;
    case IR_VLD:
        gen_vload(g, op);
        break;
    case IR_VST:
        gen_vstore(g, op);
        break;
    case IR_ATOMIC:
        gen_atomic(g, op);
        break;
    case IR_CMPXCHG:
        gen_cmpxchg(g, op);
        break;
    case IR_FENCE:
        put8(&g->c, 0xf0); /* a locked no-op on the stack is the cheapest full barrier */
        alu_mi(&g->c, ALU_OR, 0, at(RSP, 0), 0);
        flags_clobbered(g);
        break;
    default:
        gen_env(g, op);
        break;
    }
}
#endif
