/* The executor for x86-64 hosts: compiles a block, enters it, patches its exits, recovers the
 * guest's state where it was left. gen.h has the conventions of generated code.
 *
 * A block in memory:
 *     [struct tb, exits] [page of the code on the host, 0] code... cold code... [fault map]
 * tb->code is where it runs (second view of the memory). */
#ifdef __x86_64__
#include "tcg/x86_64/gen.h"

#include <stdlib.h>

#include "config.h"
#include "host/error.h"
#ifdef HAVE_CAPSTONE
#include <capstone/capstone.h>
#endif

#define HEADER 16

unsigned x64_helper_index(struct gen *g, const void *fn)
{
    struct x64 *x = x64_of(g->t);
    unsigned i = (unsigned)((uintptr_t)fn >> 4) % MAX_HELPERS;

    while (x->helper[i] && x->helper[i] != fn) { /* there are a few hundred in all */
        i = (i + 1) % MAX_HELPERS;
    }
    x->helper[i] = fn;
    return i;
}

/* ---- before the code ---- */

enum { USES_REGISTERS = IRA_A | IRA_B | IRA_C | IRA_VA | IRA_VB | IRA_VC };

static void count_uses(struct gen *g)
{
    const struct ir *ir = g->ir;
    bool loops = false, each = (atomic_load(&g->t->log_bits) & TCG_LOG_EACH) || g->t->opt.verify;

    memset(g->last_use, 0, sizeof(g->last_use));
    memset(g->vlast_use, 0, sizeof(g->vlast_use));
    memset(g->cc_wide_use, 0, sizeof(g->cc_wide_use));
    g->keeps_pc = g->soft_fp = g->loops = false;
    g->kept = IR_NONE;
    g->loop_vregs = g->loop_vdirty = 0;
    uint16_t seen = 0;
    g->nregs = TCG_REG_TEMP;
    for (unsigned i = 0; i < ir->nops; i++) {
        const struct ir_op *op = &ir->ops[i];
        uint16_t attr = ir_opinfo[op->opc].attr;
        const ir_reg reg[3] = {op->a, op->b, op->c};
        if (op->opc == IR_INSN) {
            continue;
        }
        if ((attr & IRA_D) && op->d != IR_NONE && op->d >= g->nregs) {
            g->nregs = op->d + 1u;
        }
        for (unsigned k = 0; k < 3 && (attr & USES_REGISTERS); k++) {
            if ((attr & (IRA_A << k)) && reg[k] < TCG_NREGS &&
                !(k == 1 && (op->flags & IR_BIMM) && (attr & IRA_BIMM))) {
                g->last_use[reg[k]] = i;
                g->nregs = reg[k] >= g->nregs ? reg[k] + 1u : g->nregs;
                if (is_cc(reg[k]) && reg[k] != TCG_REG_CC_OP &&
                    !((attr & IRA_WIDTH) && op->w == W32)) {
                    g->cc_wide_use[reg[k] - TCG_REG_CC_A] = i;
                }
            }
            if ((attr & (IRA_VA << k)) && reg[k] < TCG_NVREGS) {
                g->vlast_use[reg[k]] = i;
                seen |= reg[k] < 16 ? (uint16_t)(1u << reg[k]) : 0;
            }
        }
        if (op->opc == IR_MOVCOND) {
            g->last_use[(ir_reg)op->imm] = i;
            for (unsigned k = 0; k < 3 && op->w == W64; k++) {
                if ((ir_reg)op->imm == TCG_REG_CC_A + k) {
                    g->cc_wide_use[k] = i;
                }
            }
        }
        if ((attr & (IRA_VD | IRA_VA | IRA_VB | IRA_VC)) && op->d < TCG_NVREGS && (attr & IRA_VD)) {
            if (op->opc == IR_VOP || op->opc == IR_VOPI || op->opc == IR_VSET) {
                g->vlast_use[op->d] = i; /* read as well when a source is not named */
            }
            if (op->d < 16) {
                seen |= (uint16_t)(1u << op->d);
                g->loop_vdirty |= (uint16_t)(1u << op->d);
            }
        }
        switch (op->opc) {
        case IR_LABEL:
            g->label[op->imm].nrefs +=
                i == 0 || !((ir_opinfo[op[-1].opc].attr & IRA_EXIT) || op[-1].opc == IR_BR);
            g->label[op->imm].known = true; /* for now: it has been passed */
            break;
        case IR_BRCOND:
            g->label[op->d].nrefs++;
            loops |= g->label[op->d].backward = g->label[op->d].backward || g->label[op->d].known;
            break;
        case IR_BR:
            g->label[op->imm].nrefs++;
            loops |= g->label[op->imm].backward =
                g->label[op->imm].backward || g->label[op->imm].known;
            break;
        case IR_CALL:
            if (ir_op_helper(op)->flags & HELPER_VECTOR) { /* it knows which temporaries */
                for (unsigned r = TCG_VREG_TEMP; r < TCG_NVREGS; r++) {
                    g->vlast_use[r] = i;
                }
            }
            break;
        case IR_EXIT_LOOP:
            g->keeps_pc |= (op->flags & IR_KEEPPC) != 0;
            break;
        case IR_EXIT_TB:
            g->loops |= op->imm == 0 && !ir->no_link && !each && !(op->flags & IR_PC16);
            break;
        case IR_LDENV:
        case IR_STENV:
            g->soft_fp |=
                op->imm == (int64_t)(offsetof(struct vcpu, fp) + offsetof(struct fpenv, flags));
            break;
        default:
            break;
        }
    }
    for (unsigned n = 0; n < ir->nlabels; n++) {
        g->label[n].known = false;
    }
    if (loops) { /* values may be wanted again further up */
        memset(g->cc_wide_use, 0xff, sizeof(g->cc_wide_use));
        for (unsigned r = TCG_REG_TEMP; r < TCG_NREGS; r++) {
            g->last_use[r] = UINT32_MAX;
        }
        for (unsigned r = TCG_VREG_TEMP; r < TCG_NVREGS; r++) {
            g->vlast_use[r] = UINT32_MAX;
        }
    }
    if (g->loops && !loops && __builtin_popcount(seen) <= 12) {
        g->loop_vregs = seen;
    } else {
        g->loop_vdirty = 0;
    }
    for (unsigned i = 0; i < ir->nops && g->loop_vregs; i++) { /* 256 bits: not kept */
        if (ir->ops[i].flags & (IR_V256 | IR_VZU) &&
            (ir_opinfo[ir->ops[i].opc].attr & (IRA_VD | IRA_VA))) {
            g->loop_vregs = g->loop_vdirty = 0;
        }
    }
}

static void begin(struct gen *g)
{
    for (unsigned k = 0; k < 16; k++) {
        g->now.held[k] = g->now.vheld[k] = IR_NONE;
    }
    g->now.dirty = g->now.vdirty = g->now.vwide = 0;
    memset(&g->now.cc, 0, sizeof(g->now.cc));
    memset(g->loc, NO_REG, sizeof(g->loc));
    memset(g->vloc, NO_REG, sizeof(g->vloc));
    memset(g->stamp, 0, sizeof(g->stamp));
    memset(g->vstamp, 0, sizeof(g->vstamp));
    g->clock = 0;
    g->locked = g->vlocked = 0;
    g->napart = 0;
    g->nmap = g->nmeta = g->ncc = g->nfixups = g->ncold = 0;
    g->unreachable = g->fp.live = false;
    g->insn = g->insn_off = g->insn_meta = 0;
    flags_clobbered(g);
}

static bool uses_32bit_pc(const struct ir *ir)
{
    for (unsigned i = 0; i < ir->nops; i++) {
        if ((ir_opinfo[ir->ops[i].opc].attr & IRA_EXIT) &&
            (ir->ops[i].flags & (IR_PC32 | IR_PC16))) {
            return true;
        }
    }
    return false;
}

/* The block's second page must still be where it was. */
static void gen_second_page(struct gen *g)
{
    struct code *c = &g->c;
    bool narrow = g->narrow;

    lea(c, !narrow, RCX, at(HOST_PC, g->tb->second));
    if (narrow) {
        mov_rm(c, 1, RAX, env_at(offsetof(struct vcpu, tcg_cpu)));
        alu_rm(c, ALU_ADD, 0, RCX, at(RAX, (int32_t)offsetof(struct tcg_cpu, pc_base)));
    }
    mov_rr(c, 0, RAX, RCX);
    x_rr(c, 0xc1, 5, RAX);
    put8(c, 7);
    alu_ri(c, ALU_AND, 0, RAX, TLB_MASK << 5);
    alu_rm(c, ALU_ADD, 1, RAX,
           env_at(offsetof(struct vcpu, tlb) + g->ir->fetch_ctx * sizeof(void *)));
    alu_ri(c, ALU_AND, 1, RCX, -4096);
    alu_rm(c, ALU_CMP, 1, RCX, at(RAX, (int32_t)offsetof(struct tlb_entry, xtag)));
    uint8_t *a = jcc32(c, CC_NE);
    alu_rm(c, ALU_ADD, 1, RCX, at(RAX, (int32_t)offsetof(struct tlb_entry, addend)));
    mov_ri(c, RAX, (uint64_t)(uintptr_t)g->tb->host2);
    alu_rr(c, ALU_CMP, 1, RCX, RAX);
    uint8_t *b = jcc32(c, CC_E);
    patch32(c, a, c->p);
    put8(c, 0xe9);
    /* A block without groups that was linked to must be the one that the dispatcher enters: the one
     * before would lead here again. */
    const uint8_t *leave = g->ir->flags & TB_APART ? thunks(g)->leave_apart : thunks(g)->leave_none;
    put32(c, (uint32_t)(leave - (c->p + 4 + g->t->exec_delta)));
    patch32(c, b, c->p);
}

static void gen_op(struct gen *g, const struct ir_op *op, unsigned *n)
{
    unsigned taken;

    *n = 1;
    if (g->unreachable && op->opc != IR_LABEL) {
        return;
    }
    if (g->fp.live && !x64_fp_keeps(g, op)) {
        x64_fp_flush(g);
    }
    if (op->opc == IR_LD && (taken = x64_gen_fp80_load(g, op))) {
        *n = taken;
        return;
    }
    switch (op->opc) {
    case IR_INSN:
        g->insn = g->i;
        g->insn_off = (int32_t)op->imm;
        g->insn_meta = 0;
        if (op->imm2) {
            if (!g->nmeta || g->meta[g->nmeta - 1] != (uint64_t)op->imm2) {
                g->meta[g->nmeta++] = (uint64_t)op->imm2;
            }
            g->insn_meta = (uint16_t)g->nmeta;
        }
        return;
    case IR_CC:
        x64_cc_set(g, op);
        return;
    case IR_LD:
    case IR_ST:
    case IR_VLD:
    case IR_VST:
    case IR_ATOMIC:
    case IR_CMPXCHG:
    case IR_FENCE:
    case IR_LDENV:
    case IR_STENV:
        x64_gen_memory(g, op);
        return;
    default:
        break;
    }
    taken = x64_gen_fp80(g, op);
    taken = taken ? taken : x64_gen_host_op(g, op);
    taken = taken ? taken : x64_gen_control(g, op);
    if (taken) {
        *n = taken;
        return;
    }
    if (!x64_gen_alu(g, op)) {
        x64_gen_vector(g, op);
    }
}

static void *put_table(uint8_t **at_, const uint8_t *end, const void *from, size_t size, bool *ok)
{
    void *to = *at_;

    if ((size_t)(end - *at_) < size + 16) {
        *ok = false;
        return NULL;
    }
    if (size) {
        memcpy(to, from, size);
    }
    *at_ += (size + 15) & ~(size_t)15;
    return to;
}

static size_t finish(struct gen *g, uint8_t *buf, size_t size)
{
    struct map64 map = {.nentries = g->nmap, .last_off = g->insn_off};
    uint8_t *p = (uint8_t *)(((uintptr_t)g->c.p + 15) & ~(uintptr_t)15), *end = buf + size;
    bool ok = true;

    map.entries = put_table(&p, end, g->map, g->nmap * sizeof(*g->map), &ok);
    map.meta = put_table(&p, end, g->meta, g->nmeta * sizeof(*g->meta), &ok);
    map.cc = put_table(&p, end, g->cc, g->ncc * sizeof(*g->cc), &ok);
    if (ok && g->napart) {
        p = x64_lay_apart_exits(g, p, end - 16);
        if (!p) {
            return 0;
        }
        p = (uint8_t *)(((uintptr_t)p + 15) & ~(uintptr_t)15);
    }
    map.cold = g->cold_at;
    map.body = (uint32_t)(g->checked - g->start);
    g->tb->map = put_table(&p, end, &map, sizeof(map), &ok);
    g->tb->code = g->start + g->t->exec_delta;
    g->tb->code_at = (uint32_t)(g->start - (uint8_t *)g->tb);
    g->tb->code_size = (uint32_t)(g->c.p - g->start);
    return ok ? (size_t)(p - buf) : 0;
}

/* Room for a block of so many operations and labels. */
static bool reserve(struct gen *g, const struct ir *ir)
{
    size_t labels = ir->nlabels + 1u, ops = ir->nops + 1u;

    if (ops > g->cap_ops) {
        free(g->fixup);
        free(g->meta);
        free(g->group_of);
        free(g->group_off);
        free(g->groups);
        free(g->apart);
        g->cap_ops = ops + ops / 2;
        g->group_of = malloc(g->cap_ops * sizeof(*g->group_of));
        g->group_off = malloc(g->cap_ops * sizeof(*g->group_off));
        g->groups = malloc(g->cap_ops * sizeof(*g->groups));
        g->apart = malloc(g->cap_ops * sizeof(*g->apart));
        g->fixup = malloc(g->cap_ops * sizeof(*g->fixup));
        g->meta = malloc(g->cap_ops * sizeof(*g->meta));
    }
    if (labels > g->cap_labels) {
        free(g->label);
        g->cap_labels = 2 * labels;
        g->label = malloc(g->cap_labels * sizeof(*g->label));
    }
    if (!(g->label && g->fixup && g->meta && g->group_of && g->group_off && g->groups &&
          g->apart)) {
        return false;
    }
    for (size_t i = 0; i < labels; i++) {
        g->label[i].at = NULL;
        g->label[i].known = g->label[i].backward = false;
        g->label[i].nrefs = 0;
    }
    return true;
}

static size_t x64_compile(struct tcg *t, const struct ir *ir, struct tb *tb, uint8_t *buf,
                          size_t size)
{
    struct gen *g = x64_of(t)->gen;
    size_t done = 0;

    if (size < 1024) {
        return 0;
    }
    g->t = t;
    g->ir = ir;
    g->tb = tb;
    if (!reserve(g, ir)) {
        abort();
    }
    begin(g);
    count_uses(g);
    g->narrow = uses_32bit_pc(ir);
    x64_group_accesses(g);
    g->c = (struct code){.p = buf, .end = buf + size - 64};
    put64(&g->c, (uintptr_t)tb->host & ~(uintptr_t)PAGE_OFFSET_MASK);
    put64(&g->c, 0);
    g->start = g->c.p;
    if (tb->host2) {
        gen_second_page(g);
    }
    g->checked = g->c.p;
    if (g->loops) {
        for (unsigned x = 0; x < 16; x++) {
            if (g->loop_vregs >> x & 1) {
                v_load(g, x, vslot_of((ir_reg)x), MO_128);
                x64_vdone(g, (ir_reg)x, x, false);
            }
        }
        g->now.vdirty = g->loop_vdirty;
        g->vlocked = 0;
    }
    g->body = g->c.p;
    for (g->i = 0; g->i < ir->nops && !g->c.overflow;) {
        unsigned n;
        gen_op(g, &ir->ops[g->i], &n);
        x64_unlock(g);
        g->i += n;
    }
    for (unsigned k = 0; k < g->nfixups && !g->c.overflow; k++) {
        patch32(&g->c, g->fixup[k].at, g->label[g->fixup[k].label].at);
    }
    g->cold_at = (uint32_t)(g->c.p - g->start);
    x64_gen_cold(g);
    if (!g->c.overflow) {
        done = finish(g, buf, size);
    }
    if (!done) {
        tb->nexits = 0;
    }
    return done;
}

/* ---- running ---- */

static void x64_run(struct vcpu *v, const struct tb *tb)
{
    uint64_t (*enter)(struct vcpu *, const void *, struct tlb_entry *);
    const uint8_t *code = tb->code;
    struct tb_exit *e;
    uint64_t exit;

    enter = (uint64_t(*)(struct vcpu *, const void *, struct tlb_entry *))(uintptr_t)x64_of(v->tcg)
                ->th.enter;
    if (tb->host2) {
        code +=
            ((const struct map64 *)tb->map)->body; /* the dispatcher has checked the second page */
    }
    x64_fp_in(v);
    exit = enter(v, code, v->tlb[tb->ctx]);
    x64_fp_out(v);
    e = exit > EXIT_APART ? (struct tb_exit *)(uintptr_t)(exit - (uintptr_t)v->tcg->exec_delta)
                          : NULL;
    v->tcg_cpu->apart =
        e ? atomic_load_explicit(&e->apart, memory_order_acquire) : exit == EXIT_APART;
    v->tcg_cpu->last_exit = e;
    if (v->apart_meta) {
        uint64_t meta = v->apart_meta;
        v->apart_meta = 0;
        v->ops->restore(v, 0, meta);
    }
}

static void x64_landed(struct vcpu *v)
{
    if (v->tcg_cpu->host_fp) {
        x64_fp_out(v);
    }
}

static const struct map_entry64 *find_entry(const struct vcpu *v, const struct tb *tb)
{
    const struct map64 *map = tb->map;
    uint32_t at_ = (uint32_t)(v->host_pc - (uintptr_t)tb->code);
    unsigned lo = 0, hi = map->nentries;

    while (hi - lo > 1) {
        unsigned mid = (lo + hi) / 2;
        if (map->entries[mid].at <= at_) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    return &map->entries[lo];
}

static uint64_t comp_value(const struct vcpu *v, const struct comp *c, unsigned slot)
{
    switch (c->kind) {
    case COMP_REG:
        return v->reg[c->r];
    case COMP_IMM:
        return (uint64_t)c->imm;
    case COMP_SUM:
        return v->reg[c->r] + v->reg[c->r2];
    case COMP_SUMI:
        return v->reg[c->r] + (uint64_t)c->imm;
    default:
        return v->reg[slot];
    }
}

static void x64_restore(struct vcpu *v, const struct tb *tb, struct exec_place *place)
{
    const struct map64 *map = tb->map;
    const struct map_entry64 *e = find_entry(v, tb);

    place->insn_off = (uint64_t)(int64_t)e->off;
    place->meta = e->meta ? map->meta[e->meta - 1] : 0;
    if (e->cc) {
        const struct flags_state *f = &map->cc[e->cc - 1];
        uint64_t value[4];
        for (unsigned n = 0; n < 4; n++) {
            value[n] = comp_value(v, &f->comp[n], TCG_REG_CC_OP + n);
        }
        memcpy(&v->reg[TCG_REG_CC_OP], value, sizeof(value));
    }
}

static bool x64_more_insns(struct vcpu *v, const struct tb *tb)
{
    return ((const struct map64 *)tb->map)->last_off != find_entry(v, tb)->off;
}

/* ---- patches: tb is in the view that is written ---- */

static void x64_link(const struct tb_exit *exit, const struct tb *to)
{
    const struct tb *from = exit->from;
    uint8_t *place = (uint8_t *)exit->from + exit->code_off;

    if (exit->cross_page) {
        __atomic_store_n((uint64_t *)(void *)place, (uintptr_t)to->code, __ATOMIC_RELEASE);
    } else {
        const uint8_t *run =
            (const uint8_t *)from->code + (place - ((const uint8_t *)from + from->code_at));
        int32_t rel = (int32_t)((const uint8_t *)to->code - (run + 4));
        __atomic_store_n((int32_t *)(void *)place, rel, __ATOMIC_RELEASE);
    }
}

static void x64_unlink(const struct tb_exit *exit)
{
    const struct tb *from = exit->from;
    uint8_t *place = (uint8_t *)exit->from + exit->code_off;
    const uint8_t *run =
        (const uint8_t *)from->code + (place - ((const uint8_t *)from + from->code_at));

    if (exit->cross_page) {
        __atomic_store_n((uint64_t *)(void *)place, (uintptr_t)(run + 24), __ATOMIC_RELEASE);
    } else {
        __atomic_store_n((int32_t *)(void *)place, 0, __ATOMIC_RELEASE);
    }
}

/* ---- creation ---- */

static bool x64_create(struct tcg *t, uint8_t *room, size_t size, struct error *err)
{
    struct x64 *x = calloc(1, sizeof(*x));

    if (!x) {
        return error_set(err, "out of memory for the code generator");
    }
    t->backend = x;
    x->gen = calloc(1, sizeof(*x->gen));
    if (!x->gen || !x64_make_thunks(t, x, room, size)) {
        return error_set(err, "out of memory for the code generator");
    }
    t->nowhere = x->th.leave_none;
    return true;
}

static void x64_destroy(struct tcg *t)
{
    struct x64 *x = x64_of(t);

    if (x->gen) {
        free(x->gen->label);
        free(x->gen->fixup);
        free(x->gen->meta);
        free(x->gen->group_of);
        free(x->gen->group_off);
        free(x->gen->groups);
        free(x->gen->apart);
        free(x->gen->cold);
        free(x->gen->map);
        free(x->gen->cc);
    }
    free(x->gen);
    free(x);
    t->backend = NULL;
}

static void x64_attach(struct vcpu *v)
{
    v->helpers = x64_of(v->tcg)->helper;
}

/* ---- listing ---- */

static void x64_list(const struct tb *tb, FILE *out)
{
    const uint8_t *code = (const uint8_t *)tb + tb->code_at;
#ifdef HAVE_CAPSTONE
    csh cs;
    cs_insn *insn;

    if (cs_open(CS_ARCH_X86, CS_MODE_64, &cs) == CS_ERR_OK) {
        size_t n = cs_disasm(cs, code, tb->code_size, (uintptr_t)tb->code, 0, &insn);
        for (size_t i = 0; i < n; i++) {
            fprintf(out, "  %#lx:  %s %s\n", (unsigned long)insn[i].address, insn[i].mnemonic,
                    insn[i].op_str);
        }
        if (n) {
            cs_free(insn, n);
        }
        cs_close(&cs);
    }
#else
    for (unsigned i = 0; i < tb->code_size; i++) {
        fprintf(out, "%02x%s", code[i], i % 32 == 31 ? "\n" : " ");
    }
    fputc('\n', out);
#endif
}

const struct executor x64_executor = {
    .name = "tcg",
    .generates = true,
    .create = x64_create,
    .destroy = x64_destroy,
    .attach = x64_attach,
    .landed = x64_landed,
    .compile = x64_compile,
    .run = x64_run,
    .restore = x64_restore,
    .more_insns = x64_more_insns,
    .link = x64_link,
    .unlink = x64_unlink,
    .list = x64_list,
};
#endif
