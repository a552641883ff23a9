/* The dispatcher: finds or makes the block for the current place, runs it, and catches unwinding.
 *
 * Linked code comes back here when an exit is not linked yet, an indirect jump misses the jump
 * cache, someone polls successfully, or the guest's mode changed (EXIT_LOOP). tcg_cpu.pc_base
 * (linear address minus pc) is taken anew each time, so whatever changes a code segment base must
 * leave by EXIT_LOOP or an exception; linked code and the jump cache use it to look at the fetch
 * TLB. */
#include "tcg/tb.h"
#include "tcg/perf.h"
#include "tcg/verify.h"
#include "host/host_clock.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- epochs ---- */

/* Empties what is found by pc. */
static void forget_pcs(struct vcpu *v, unsigned ctx)
{
    struct pc_log *log = &v->tcg_cpu->target_log[ctx];
    const struct pc_entry none = {NO_PC, v->tcg->nowhere};
    uint64_t *pc = v->targets[ctx].pc;

    for (unsigned i = 0; i < RETURN_ENTRIES; i++) {
        v->returns[ctx][i] = none;
    }
    /* tb_drop of other vcpus empties entries of targets as well. */
    if (log->n <= TARGET_LOG) {
        for (unsigned i = 0; i < log->n; i++) {
            __atomic_store_n(&pc[log->index[i]], NO_PC, __ATOMIC_RELAXED);
        }
    } else {
        for (unsigned i = 0; i < TARGET_ENTRIES; i++) {
            __atomic_store_n(&pc[i], NO_PC, __ATOMIC_RELAXED);
        }
    }
    __atomic_store_n(&v->targets[ctx].code[target_hash(NO_PC)], v->tcg->nowhere, __ATOMIC_RELAXED);
    log->n = 0;
}

static void mapping_changed(struct tcg_cpu *tc)
{
    for (unsigned ctx = 0; ctx < TLB_NCTX; ctx++) {
        tc->pcs[ctx].stale = true;
    }
}

void tcg_mapping_changed(struct vcpu *v)
{
    if (v->tcg_cpu) {
        mapping_changed(v->tcg_cpu);
    }
    if (v->verify) {
        verify_mapping_changed(v);
    }
}

/* The tables of the context that is about to be run are for its mode. */
static inline void check_pcs(struct vcpu *v, unsigned ctx)
{
    struct tcg_cpu *tc = v->tcg_cpu;

    if (unlikely(tc->pcs[ctx].flags != v->tb_flags || tc->pcs[ctx].base != tc->pc_base ||
                 tc->pcs[ctx].stale)) {
        tc->pcs[ctx].stale = false;
        tc->pcs[ctx].flags = v->tb_flags;
        tc->pcs[ctx].base = tc->pc_base;
        forget_pcs(v, ctx);
    }
}

/* tb will be found under pc: tb_drop must know where to look. */
static void note_pc(struct tb *tb, uint64_t pc)
{
    uint64_t none = NO_PC;

    if (!atomic_compare_exchange_strong(&tb->target_pc, &none, pc) && none != pc) {
        atomic_store(&tb->many_pcs, true);
    }
}

static inline void note_target(struct vcpu *v, struct tb *tb)
{
    uint64_t pc = v->reg[TCG_REG_PC], *entry_pc;
    unsigned index = target_hash(pc);
    struct pc_log *log = &v->tcg_cpu->target_log[tb->ctx];
    const void **code = &v->targets[tb->ctx].code[index];

    entry_pc = &v->targets[tb->ctx].pc[index];
    /* tb_drop of other vcpus empties entries. */
    if ((__atomic_load_n(entry_pc, __ATOMIC_RELAXED) == pc &&
         __atomic_load_n(code, __ATOMIC_RELAXED) == tb->code) ||
        index == target_hash(NO_PC)) {
        return;
    }
    if (log->n < TARGET_LOG) {
        log->index[log->n] = (uint16_t)index;
    }
    log->n += log->n <= TARGET_LOG;
    note_pc(tb, pc);
    __atomic_store_n(entry_pc, NO_PC, __ATOMIC_RELAXED);
    __atomic_store_n(code, tb->code, __ATOMIC_SEQ_CST);
    __atomic_store_n(entry_pc, pc, __ATOMIC_SEQ_CST); /* seen by tb_drop before dead is looked at */
    if (unlikely(atomic_load(&tb->dead))) { /* dropped just now: tb_drop may have looked before */
        __atomic_store_n(entry_pc, NO_PC, __ATOMIC_RELAXED);
    }
}

/* This vcpu is in no block: it has seen every removal up to now. */
static void quiesce(struct tcg_cpu *tc, struct tcg *t)
{
    uint64_t epoch = atomic_load_explicit(&t->epoch, memory_order_acquire);

    if (unlikely(tc->cache_epoch != epoch)) {
        memset(tc->jump, 0, sizeof(tc->jump));
        mapping_changed(tc);
        memset(tc->returns, 0, sizeof(tc->returns));
        tc->cache_epoch = epoch;
        tc->last_exit = NULL;
    }
    if (unlikely(atomic_load_explicit(&tc->epoch, memory_order_relaxed) != epoch)) {
        atomic_store(&tc->epoch, epoch);
    }
}

/* ---- translation ---- */

/* Exits that an executor may make: each EXIT_TB, and the way back of a call at the block's end. */
static unsigned count_exits(const struct ir *ir)
{
    unsigned n = 1;

    for (unsigned i = 0; i < ir->nops; i++) {
        n += ir->ops[i].opc == IR_EXIT_TB;
    }
    return n;
}

/* Lays a struct tb at the start of buf; NULL when there is no room. *head: bytes it takes. */
static struct tb *tb_place(const struct ir *ir, uint8_t *buf, size_t size, size_t *head)
{
    struct tb *tb = (struct tb *)buf;
    size_t need = sizeof(*tb) + count_exits(ir) * sizeof(struct tb_exit);

    need = (need + 15) & ~(size_t)15;
    if (size < need + 64) {
        return NULL;
    }
    memset(tb, 0, need);
    atomic_init(&tb->target_pc, NO_PC);
    tb->size = (uint16_t)ir->guest_size;
    tb->ninsns = (uint16_t)ir->ninsns;
    tb->ctx = (uint8_t)ir->ctx;
    tb->links = !ir->no_link;
    tb->flags = ir->flags;
    *head = need;
    return tb;
}

struct where { /* a place to run, resolved */
    uint64_t linear;
    uint64_t flags;      /* of the block: the key word of modes, maybe TB_APART */
    const uint8_t *host; /* NULL: not RAM or ROM */
    uint64_t phys, phys2;
    const uint8_t *host2;
};

/* Asks the guest for IR; may raise. */
static void make_ir(struct vcpu *v, const struct where *w, unsigned max_insns, bool long_blocks)
{
    struct tcg_cpu *tc = v->tcg_cpu;
    struct tcg *t = v->tcg;
    struct translate_request req = {v->reg[TCG_REG_PC], w->linear, v->tb_flags, max_insns,
                                    long_blocks};
    struct ir *ir = &tc->ir;
    unsigned bits = atomic_load_explicit(&t->log_bits, memory_order_relaxed);

    ir_reset(ir);
    ir->flags = w->flags;
    v->ops->translate(v, &req, ir);
    ir->flags = w->flags;
    ir->fetch_ctx = v->fetch_ctx;
    ir->fp80 = v->ops->fp80;
    const char *bad = unlikely(v->verify != NULL) ? ir_check(ir) : NULL;
    if (bad) {
        fprintf(stderr, "dragoman: bad IR at pc %#llx: %s\n", (unsigned long long)req.pc, bad);
        ir_dump(ir, v->ops, stderr);
        abort();
    }
    if (unlikely(bits)) {
        tcg_log_ir(v, &req, ir, false);
    }
    ir_optimize(ir);
    if (unlikely(bits)) {
        tcg_log_ir(v, &req, ir, true);
    }
    if (unlikely(v->verify != NULL)) {
        verify_wrap(v, ir);
    }
}

/* Generates tb's code; bytes used, 0: no room. With t->lock. */
static size_t compile(struct vcpu *v, struct tb *tb, uint8_t *buf, size_t size)
{
    struct ir *ir = &v->tcg_cpu->ir;
    size_t used = v->tcg->exec->compile(v->tcg, ir, tb, buf, size), twin;

    if (unlikely(v->verify != NULL) && used) {
        twin = verify_compile(v, ir, tb, buf + used, size - used);
        tb->nexits = twin ? tb->nexits : 0;
        used = twin ? used + twin : 0;
    }
    return used;
}

/* A block that is run once from the vcpu's own buffer: one instruction. */
static struct tb *translate_single(struct vcpu *v, struct where *w)
{
    struct tcg_cpu *tc = v->tcg_cpu;
    size_t head, used;
    struct tb *tb;

    w->flags |= TB_APART; /* it may not leave before its instruction is done */
    make_ir(v, w, 1, false);
    tb = tb_place(&tc->ir, tc->scratch, TCG_SCRATCH_SIZE, &head);
    tc->scratch_tb = tb;
    tb->host = w->host;
    tb->phys = w->phys;
    tc->ir.no_link = true;
    pthread_mutex_lock(&v->tcg->lock);
    used = compile(v, tb, tc->scratch + head, TCG_SCRATCH_SIZE - head);
    pthread_mutex_unlock(&v->tcg->lock);
    assert(used); /* one instruction always fits */
    stat_add(&v->tcg->stat.singles, 1);
    return tb;
}

/* True: the page held no code until now. */
static bool protect(struct tcg *t, uint64_t phys, unsigned len)
{
    return t->host.protect_code && t->host.protect_code(t->m, phys, len);
}

/* The page of linear + off. */
static uint64_t page_at(uint64_t linear, int64_t off, uint64_t pc_base)
{
    uint64_t at = linear + (uint64_t)off;

    /* Outside 64-bit mode the linear address wraps; only there may a base be other than zero, but
     * code at the very end of 4 GiB with base 0 must not be mistaken: nothing follows it. */
    return (pc_base ? (uint32_t)at : at) & ~PAGE_OFFSET_MASK;
}

/* Where on its second page a block at phys begins. */
static unsigned second_offset(uint64_t phys, const struct ir *ir)
{
    return ((unsigned)(phys & PAGE_OFFSET_MASK) + (unsigned)ir->part[1].lo) & PAGE_OFFSET_MASK;
}

/* Which bytes of its pages tb is made of. */
static void set_parts(struct tb *tb, const struct ir *ir)
{
    unsigned start = tb->phys & PAGE_OFFSET_MASK, second;

    tb->part[0].lo = (uint16_t)((int)start + ir->part[0].lo);
    tb->part[0].hi = (uint16_t)((int)start + ir->part[0].hi);
    if (tb->host2) {
        second = second_offset(tb->phys, ir);
        tb->part[1].lo = (uint16_t)second;
        tb->part[1].hi = (uint16_t)(second + (unsigned)(ir->part[1].hi - ir->part[1].lo));
        tb->second = ir->part[1].lo;
    }
}

static void protect_parts(struct tcg *t, const struct tb *tb)
{
    protect(t, (tb->phys & ~PAGE_OFFSET_MASK) + tb->part[0].lo, tb->part[0].hi - tb->part[0].lo);
    if (tb->host2) {
        protect(t, (tb->phys2 & ~PAGE_OFFSET_MASK) + tb->part[1].lo,
                tb->part[1].hi - tb->part[1].lo);
    }
}

/* The block for w, made and published. NULL: run it by single instructions this time. */
static struct tb *translate(struct vcpu *v, struct where *w)
{
    struct tcg_cpu *tc = v->tcg_cpu;
    struct tcg *t = v->tcg;
    struct ir *ir = &tc->ir;
    unsigned max_insns = t->max_insns;
    int64_t start = host_clock_ns();
    struct tb *tb = NULL;
    bool long_blocks = t->exec->generates;

    for (unsigned attempt = 0; attempt < 16; attempt++) {
        uint64_t seen = atomic_load(&t->invalidations);
        size_t room, head, used = 0;
        uint8_t *buf;

        /* Protection comes before the bytes are read, so that no write in between is missed. When
         * it goes away before the block is inserted, that counts as an invalidation. */
        protect(t, w->phys, 1);
        make_ir(v, w, max_insns, long_blocks);
        w->host2 = NULL;
        if (ir->part[1].lo != ir->part[1].hi) {
            w->host2 =
                vcpu_fetch_ptr(v, page_at(w->linear, ir->part[1].lo, tc->pc_base), &w->phys2);
            if (!w->host2 && long_blocks) { /* a device's, maybe at the end of a jump */
                long_blocks = false;
                continue;
            }
            if (!w->host2) {
                return NULL;
            }
            if (protect(t, (w->phys2 & ~PAGE_OFFSET_MASK) + second_offset(w->phys, ir), 1)) {
                continue; /* it may have changed since it was read */
            }
        }

        pthread_mutex_lock(&t->lock);
        if (atomic_load(&t->invalidations) != seen) {
            pthread_mutex_unlock(&t->lock);
            continue;
        }
        tb = tb_find(t, w->host, w->flags);
        if (tb) { /* another vcpu was faster */
            pthread_mutex_unlock(&t->lock);
            return tb;
        }
        for (unsigned zones = 0; zones < 2 && !used; zones++) {
            buf = tb_room(t, &room);
            tb = tb_place(ir, buf, room, &head);
            if (tb) {
                tb->host = w->host;
                tb->phys = w->phys;
                tb->host2 = w->host2;
                tb->phys2 = w->phys2;
                set_parts(tb, ir);
                used = compile(v, tb, buf + head, room - head);
            }
            if (!used && zones == 0 && (room < t->zone[t->current].size / 2 || !tb)) {
                if (!tb_next_zone(t, tc)) {
                    pthread_mutex_unlock(&t->lock);
                    return NULL;
                }
                if (atomic_load(&t->invalidations) != seen) {
                    break; /* that took the protection of a page */
                }
            } else if (!used) {
                break; /* too large for the executor */
            }
        }
        if (used) {
            tb_commit(t, tb, head + used);
            protect_parts(t, tb);
            tb_insert(t, tb);
            if (unlikely(t->perf != NULL)) {
                perf_block(t->perf, tb, w->linear);
            }
            stat_add(&t->stat.blocks, 1);
            stat_add(&t->stat.guest_bytes, tb->size);
            stat_add(&t->stat.insns, tb->ninsns);
            stat_add(&t->stat.host_bytes, head + used);
            stat_add(&t->stat.translate_ns, (uint64_t)(host_clock_ns() - start));
        }
        bool again = atomic_load(&t->invalidations) != seen;
        pthread_mutex_unlock(&t->lock);
        if (used) {
            tcg_log_code(v, tb);
            return tb;
        }
        if (again) {
            continue;
        }
        if (max_insns == 1) {
            return NULL;
        }
        max_insns = max_insns > 8 ? max_insns / 4 : 1;
    }
    return NULL;
}

/* ---- look-up ---- */

/* tb spans two pages: is the second still where it was? Fills the fetch TLB when it is; does not
 * raise (the instructions before the last one come first). */
static bool second_page_ok(struct vcpu *v, const struct tb *tb, uint64_t linear)
{
    uint64_t next = page_at(linear, tb->second, v->tcg_cpu->pc_base), phys;
    struct tlb_entry *e = &v->tlb[v->fetch_ctx][next >> PAGE_BITS & TLB_MASK];
    struct walk walk;

    if (e->xtag == next) {
        return tlb_host(e, next) == tb->host2;
    }
    if (!v->ops->walk(v, next, ACCESS_FETCH, v->fetch_ctx, true, &walk) || !walk.fetch) {
        return false;
    }
    return vcpu_fetch_ptr(v, next, &phys) == tb->host2;
}

static struct tb *find_block(struct vcpu *v)
{
    struct tcg_cpu *tc = v->tcg_cpu;
    struct tcg *t = v->tcg;
    struct where w = {.linear = v->ops->linear_pc(v),
                      .flags = v->tb_flags | (tc->apart ? TB_APART : 0)};
    struct tlb_entry *e = &v->tlb[v->fetch_ctx][w.linear >> PAGE_BITS & TLB_MASK];
    uint64_t off = w.linear ^ e->xtag;
    struct jump_entry *j;
    struct tb *tb;

    tc->pc_base = w.linear - v->reg[TCG_REG_PC];
    tc->apart = false;
    if (off < PAGE_SIZE_GUEST && !tc->single) {
        w.host = tlb_host(e, w.linear);
        j = &tc->jump[jump_hash(w.host)];
        if (j->host == w.host && j->flags == w.flags && !j->tb->host2 && !j->tb->dead) {
            return (struct tb *)j->tb;
        }
    } else {
        w.host = vcpu_fetch_ptr(v, w.linear, &w.phys);
    }
    if (unlikely(v->verify != NULL)) {
        verify_forget(v);
    }
    if (unlikely(!w.host || tc->single)) {
        tc->single = false;
        tc->last_exit = NULL;
        return translate_single(v, &w);
    }
    stat_add(&t->stat.lookups, 1);
    tb = tb_find(t, w.host, w.flags);
    if (tb && tb->host2 && !second_page_ok(v, tb, w.linear)) {
        pthread_mutex_lock(&t->lock);
        if (!tb->dead) {
            tb_drop(t, tb);
        }
        pthread_mutex_unlock(&t->lock);
        tb = NULL;
    }
    if (!tb) {
        stat_add(&t->stat.lookup_misses, 1);
        w.host = vcpu_fetch_ptr(v, w.linear, &w.phys);
        tb = w.host ? translate(v, &w) : NULL;
        if (!tb) {
            tc->last_exit = NULL;
            return translate_single(v, &w);
        }
        quiesce(tc, t); /* a zone may have been emptied */
    }
    if (!(atomic_load_explicit(&t->log_bits, memory_order_relaxed) & TCG_LOG_EACH)) {
        j = &tc->jump[jump_hash(w.host)];
        atomic_store_explicit(&j->host, NULL, memory_order_relaxed);
        j->flags = w.flags;
        j->code = tb->code;
        j->tb = tb;
        atomic_store_explicit(&j->host, w.host, memory_order_relaxed);
    }
    return tb;
}

/* For verify=on: the block that tb's code may lead to half way, if that has happened. False: look
 * for tb again, which may have gone when the other was made. */
static bool find_apart(struct vcpu *v, struct tb *tb, struct tb **apart)
{
    uint64_t seen = atomic_load(&v->tcg->invalidations), epoch = atomic_load(&v->tcg->epoch);

    *apart = NULL;
    if (!tb->left_apart || !tb->cached) {
        return true;
    }
    if (!tb->apart || tb->apart_epoch != epoch || tb->apart->dead ||
        tb->apart->host2 != tb->host2) {
        v->tcg_cpu->apart = true;
        *apart = find_block(v);
        if (atomic_load(&v->tcg->invalidations) != seen) {
            return false;
        }
        tb->apart = (*apart)->cached && (*apart)->ninsns == tb->ninsns ? *apart : NULL;
        tb->apart_epoch = epoch;
    }
    *apart = tb->apart;
    return true;
}

/* ---- the loop ---- */

static void run_loop(struct vcpu *v)
{
    struct tcg_cpu *tc = v->tcg_cpu;
    struct tcg *t = v->tcg;

    for (;;) {
        struct tb *tb;
        unsigned log;

        v->host_pc = 0;
        __atomic_store_n(&tc->entries, tc->entries + 1, __ATOMIC_RELAXED); /* others read it */
        quiesce(tc, t);
        if (atomic_load_explicit(&v->exit_request, memory_order_relaxed)) {
            tc->last_exit = NULL;
            tc->apart = false;
            atomic_exchange(&v->exit_request, 0);
            if (v->verify) {
                verify_forget(v);
            }
            if (v->ops->poll(v)) {
                return;
            }
        }
        tb = find_block(v);
        log = atomic_load_explicit(&t->log_bits, memory_order_relaxed);
        if (unlikely(log & TCG_LOG_EACH)) {
            tcg_log_exec(v, tb);
        } else if (tc->last_exit && tb->cached && !v->verify) {
            pthread_mutex_lock(&t->lock);
            tb_link(t, tc->last_exit, tb);
            pthread_mutex_unlock(&t->lock);
        }
        tc->last_exit = NULL;
        if (tb->cached && tb->links && !(log & TCG_LOG_EACH)) {
            check_pcs(v, tb->ctx);
            if (!(tb->flags & TB_APART) && !v->verify) {
                note_target(v, tb);
            }
        }
        if (unlikely(v->verify != NULL)) {
            struct tb *apart;
            if (find_apart(v, tb, &apart) && !verify_run(v, tb, apart) && v->ops->poll(v)) {
                return;
            }
            continue;
        }
        v->exec->run(v, tb);
    }
}

void vcpu_unwind(struct vcpu *v, bool deliver)
{
    assert(v->in_tcg);
    if (v->verify) {
        verify_unwind(v, deliver);
    }
    v->tcg_cpu->deliver = deliver;
    siglongjmp(v->unwind, 1);
}

void tcg_settle(struct vcpu *v)
{
    struct tcg_cpu *tc = v->tcg_cpu;
    struct tb *tb;

    if (v->exec->landed) {
        v->exec->landed(v);
    }
    if (tc->exclusive) {
        tcg_exclusive_end(v);
    }
    tb = tb_containing(v->tcg, tc, v->host_pc);
    if (tb) {
        struct exec_place place;
        v->exec->restore(v, tb, &place);
        v->ops->restore(v, place.insn_off, place.meta);
        stat_add(&v->tcg->stat.unwinds, 1);
    }
    v->host_pc = 0;
    v->cur_tb = NULL;
    tc->last_exit = NULL;
    tc->apart = false;
}

bool tcg_where(struct vcpu *v, uint64_t *off)
{
    const struct tb *tb = v->host_pc ? tb_containing(v->tcg, v->tcg_cpu, v->host_pc) : NULL;
    uint64_t flags[4];
    struct exec_place place;

    if (!tb) {
        return false;
    }
    memcpy(flags, &v->reg[TCG_REG_CC_OP],
           sizeof flags); /* what runs has its own idea of where they are */
    v->exec->restore(v, tb, &place);
    memcpy(&v->reg[TCG_REG_CC_OP], flags, sizeof flags);
    *off = place.insn_off;
    return true;
}

void tcg_run(struct vcpu *v)
{
    v->host_pc = 0;
    v->cur_tb = NULL;
    v->tcg_cpu->last_exit = NULL;
    atomic_store(&v->tcg_cpu->epoch, atomic_load(&v->tcg->epoch));
    v->in_tcg = true;
    if (sigsetjmp(v->unwind, 0)) {
        tcg_settle(v);
        if (v->tcg_cpu->deliver) {
            v->ops->deliver(v); /* may unwind again, to here, with host_pc 0 */
        }
    }
    if (v->verify) {
        verify_forget(v);
    }
    run_loop(v);
    v->in_tcg = false;
    atomic_store(&v->tcg_cpu->epoch, UINT64_MAX);
}

/* ---- for slow paths and helpers ---- */

void tcg_retry_single(struct vcpu *v)
{
    struct tb *tb = tb_containing(v->tcg, v->tcg_cpu, v->host_pc);

    if (!tb || tb->ninsns <= 1) {
        return;
    }
    v->tcg_cpu->single = true;
    vcpu_unwind(v, false);
}

void tcg_run_single(struct vcpu *v)
{
    v->tcg_cpu->single = true;
}

void tcg_store_to_code(struct vcpu *v, uint64_t phys, unsigned len)
{
    struct tcg *t = v->tcg;
    struct tb *tb;
    unsigned dropped;

    if (!v->verify || !verify_code_dropped(v, phys, len, &dropped)) {
        pthread_mutex_lock(&t->lock);
        dropped = tb_invalidate_range(t, phys, len);
        pthread_mutex_unlock(&t->lock);
        if (v->verify) {
            verify_code_note(v, phys, len, dropped);
        }
    }
    if (!dropped) {
        return;
    }
    /* A dead block may have died long ago and still be running here; then it is behind its bytes
     * already, and one more instruction alone does no harm. */
    tb = tb_containing(t, v->tcg_cpu, v->host_pc);
    const struct tb *block = tb && v->verify && tb == verify_running(v) ? verify_block(v) : tb;
    if (tb && block->cached && block->dead && v->exec->more_insns(v, tb)) {
        v->tcg_cpu->single = true;
        vcpu_unwind(v, false);
    }
}

void tcg_probe_write(struct vcpu *v, uint64_t va, unsigned size, unsigned ctx)
{
    struct walk walk;

    if (!v->ops->walk(v, va, ACCESS_WRITE, ctx, false, &walk)) {
        vcpu_unwind(v, true);
    }
    if ((va & PAGE_OFFSET_MASK) + size > PAGE_SIZE_GUEST &&
        !v->ops->walk(v, (va | PAGE_OFFSET_MASK) + 1, ACCESS_WRITE, ctx, false, &walk)) {
        vcpu_unwind(v, true);
    }
}

void tcg_exclusive_begin(struct vcpu *v)
{
    if (v->tcg->host.exclusive_begin) {
        v->tcg->host.exclusive_begin(v->machine);
    }
    v->tcg_cpu->exclusive = true;
}

void tcg_exclusive_end(struct vcpu *v)
{
    v->tcg_cpu->exclusive = false;
    if (v->tcg->host.exclusive_end) {
        v->tcg->host.exclusive_end(v->machine);
    }
}

/* ---- invalidation from outside ---- */

void tcg_invalidate(struct tcg *t, uint64_t phys, uint64_t len)
{
    if (!len) {
        return;
    }
    pthread_mutex_lock(&t->lock);
    tb_invalidate_range(t, phys, len);
    pthread_mutex_unlock(&t->lock);
}

void tcg_flush(struct tcg *t)
{
    pthread_mutex_lock(&t->lock);
    tb_flush_all(t);
    stat_add(&t->stat.flushes, 1);
    pthread_mutex_unlock(&t->lock);
}
