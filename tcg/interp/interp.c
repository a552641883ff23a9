/* The interpreter as an executor: runs the slots that lower.c made (iop.h says what they are). */
#include "tcg/interp/iop.h"

static void interp_run(struct vcpu *v, const struct tb *tb)
{
    struct tcg_cpu *tc = v->tcg_cpu;
    const union iop *ip = tb->code;

    tc->ctx = tb->ctx;
    if (tb->host2) {
        ip++; /* the dispatcher has checked the second page */
    }
    do {
        ip = __atomic_load_n(&ip->fn, __ATOMIC_RELAXED)(v, ip, v->tlb[tc->ctx]);
    } while (ip);
}

static const struct map_entry *find_entry(const struct vcpu *v, const struct tb *tb)
{
    const struct map *map = tb->map;
    unsigned slot = (unsigned)((const union iop *)v->host_pc - (const union iop *)tb->code);
    unsigned lo = 0, hi = map->nentries;

    while (hi - lo > 1) {
        unsigned mid = (lo + hi) / 2;
        if (map->entries[mid].slot <= slot) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    return &map->entries[lo];
}

static void interp_restore(struct vcpu *v, const struct tb *tb, struct exec_place *place)
{
    const struct map *map = tb->map;
    const struct map_entry *e = find_entry(v, tb);

    place->insn_off = (uint64_t)(int64_t)e->off;
    place->meta = e->meta ? map->meta[e->meta - 1] : 0;
    if (e->cc) {
        const struct map_cc *cc = &map->cc[e->cc - 1];
        uint64_t a = cc->a != IR_NONE ? v->reg[cc->a] : v->reg[TCG_REG_CC_A];
        uint64_t b = cc->bimm ? cc->imm : cc->b != IR_NONE ? v->reg[cc->b] : v->reg[TCG_REG_CC_B];
        uint64_t c = cc->c != IR_NONE ? v->reg[cc->c] : v->reg[TCG_REG_CC_C];
        v->reg[TCG_REG_CC_OP] = cc->kind;
        v->reg[TCG_REG_CC_A] = a;
        v->reg[TCG_REG_CC_B] = b;
        v->reg[TCG_REG_CC_C] = c;
    }
}

static bool interp_more_insns(struct vcpu *v, const struct tb *tb)
{
    const struct map *map = tb->map;
    const struct map_entry *e = find_entry(v, tb);

    return map->entries[map->nentries - 1].off != e->off;
}

static union iop *exit_slots(const struct tb_exit *from)
{
    return (union iop *)((uint8_t *)from->from + from->code_off);
}

/* Whether there is a guard the exit's handler knows, and to's header has the page. */
static void interp_link(const struct tb_exit *from, const struct tb *to)
{
    __atomic_store_n(&exit_slots(from)[EXIT_TARGET].q[0], (uintptr_t)to->code, __ATOMIC_RELEASE);
}

static void interp_unlink(const struct tb_exit *from)
{
    union iop *s = exit_slots(from);
    __atomic_store_n(&s[EXIT_TARGET].q[0], (uintptr_t)&s[EXIT_STUB], __ATOMIC_RELEASE);
}

static void interp_poison(struct tb *tb)
{
    union iop *first = (union iop *)(uintptr_t)tb->code;
    __atomic_store_n(&first->fn, iop_poison, __ATOMIC_RELEASE);
}

const struct executor interp_executor = {
    .name = "interp",
    .compile = interp_compile,
    .run = interp_run,
    .restore = interp_restore,
    .more_insns = interp_more_insns,
    .link = interp_link,
    .unlink = interp_unlink,
    .poison = interp_poison,
};
