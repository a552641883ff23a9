/* Lockstep of the two executors (-accel tcg,verify=on).
 *
 * Each block exists twice, made of the same IR. The interpreter runs it first, for real: what it
 * does to RAM goes to an undo log (no page has a write tag, so that softmmu's slow path sees every
 * store), and what cannot be done twice is recorded: accesses to devices, and whole helper calls
 * with their results and effects. Then registers and memory are put back and the generated code
 * runs from the same state against the recording: helpers are not called again, devices not touched
 * again. Pages that the interpreter wrote have write tags in this run, so that stores take the
 * inlined path; a store to any other page is seen by the slow path. At the end registers, flags,
 * the guest's own state, the pages written, and the way that the block was left must be the same.
 *
 * Other threads (a disk's worker) may write RAM between the two runs. So a difference is believed
 * only when it is there again in a second try of both against the same recording; else the
 * interpreter's first result stands, and the race is counted.
 *
 * Blocks are not linked. What the comparison leaves out: links, the tables of targets, loops kept
 * in registers from one round of a block to the next. The slow paths of loads are reached by
 * an empty TLB in some runs.
 *
 * verify_state.c and verify_memory.c have the processor's state and RAM. */
#include "tcg/verify.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host/error.h"
#include "tcg/fp80.h"
#include "tcg/ir_info.h"
#include "tcg/tb.h"
#include "tcg/verify_internal.h"

/* ---- events ---- */

void verify_diverge(struct verify *y, const char *why)
{
    y->why = why;
    siglongjmp(y->landing, 2);
}

static void record(struct verify *y, const struct event *e)
{
    y->event = verify_grow(y->event, &y->cap_events, y->nevents + 1, sizeof(*y->event));
    y->event[y->nevents] = *e;
    y->event[y->nevents++].mapping = y->pending_mapping;
    y->pending_mapping = false;
}

static struct event *next_event(struct verify *y, enum event_kind kind)
{
    if (y->next_event >= y->nevents || y->event[y->next_event].kind != kind) {
        snprintf(y->what, sizeof(y->what), "number %zu", y->next_event);
        verify_diverge(y, kind == EV_CALL ? "a helper call where the interpreter made none"
                          : kind == EV_READ
                              ? "a read from a device where the interpreter made none"
                              : "a write to a device where the interpreter made none");
    }
    return &y->event[y->next_event++];
}

static void replayed(struct verify *y, const struct event *e)
{
    if (e->mapping) {
        y->t->host.tlb_aside(y->v, true);
    }
}

void verify_mapping_changed(struct vcpu *v)
{
    struct verify *y = v->verify;

    if (y->active && !y->replay) {
        y->mapping = y->pending_mapping = true;
    }
}

bool verify_io(struct vcpu *v, bool write, uint64_t phys, unsigned size, uint64_t *value)
{
    struct verify *y = v->verify;
    struct event *e;

    if (!y->active || !y->replay) {
        return false;
    }
    e = next_event(y, write ? EV_WRITE : EV_READ);
    if (e->phys != phys || e->size != size || (write && e->value != *value)) {
        snprintf(y->what, sizeof(y->what),
                 "%u bytes at %#" PRIx64 " (value %#" PRIx64 "), interpreter: %u bytes at %#" PRIx64
                 " (value %#" PRIx64 ")",
                 size, phys, write ? *value : 0, e->size, e->phys, write ? e->value : 0);
        verify_diverge(y, "another access to a device");
    }
    *value = e->value;
    replayed(y, e);
    return true;
}

void verify_io_done(struct vcpu *v, bool write, uint64_t phys, unsigned size, uint64_t value)
{
    struct verify *y = v->verify;

    if (y->active && !y->in_helper) {
        record(y,
               &(struct event){
                   .kind = write ? EV_WRITE : EV_READ, .phys = phys, .size = size, .value = value});
    }
}

bool verify_hits_code(struct vcpu *v, uint64_t phys, unsigned size, bool hit)
{
    struct verify *y = v->verify;

    if (!y->active || !y->replay) {
        return hit;
    }
    return y->next_event < y->nevents && y->event[y->next_event].kind == EV_CODE &&
           y->event[y->next_event].phys == phys && y->event[y->next_event].size == size;
}

bool verify_code_dropped(struct vcpu *v, uint64_t phys, unsigned size, unsigned *dropped)
{
    struct verify *y = v->verify;

    (void)phys;
    (void)size;
    if (!y->active || !y->replay) {
        return false;
    }
    *dropped = next_event(y, EV_CODE)->dropped;
    return true;
}

void verify_code_note(struct vcpu *v, uint64_t phys, unsigned size, unsigned dropped)
{
    struct verify *y = v->verify;

    if (y->active) {
        y->code_hit = true;
        if (!y->in_helper) {
            record(y, &(struct event){
                          .kind = EV_CODE, .phys = phys, .size = size, .dropped = dropped});
        }
    }
}

/* ---- helpers ---- */

/* Vectors behind the guest's state, temporaries too. */
static uint8_t *effects_vec(const struct verify *y, const struct effects *x)
{
    return (uint8_t *)(uintptr_t)x->rest + ((y->guest_size + 31) & ~(size_t)31);
}

static size_t effects_take(struct verify *y, bool vectors)
{
    return verify_arena_take(y, sizeof(struct effects) + y->guest_size + 32 +
                                    (vectors ? sizeof(y->v->vec) : 0));
}

static struct effects *effects_at(const struct verify *y, size_t at)
{
    return (struct effects *)(void *)(y->arena + at);
}

static void effects_save(const struct verify *y, struct effects *x, bool guest, bool vectors)
{
    const struct vcpu *v = y->v;

    verify_copy(x->reg, v->reg, sizeof(x->reg));
    x->tb_flags = v->tb_flags;
    x->fetch_ctx = v->fetch_ctx;
    x->fp = v->fp;
    if (guest) {
        verify_guest_save(y, x->rest);
    }
    if (vectors) {
        verify_copy(effects_vec(y, x), v->vec, sizeof(v->vec));
    }
}

typedef uint64_t (*fn0)(struct vcpu *);
typedef uint64_t (*fn1)(struct vcpu *, uint64_t);
typedef uint64_t (*fn2)(struct vcpu *, uint64_t, uint64_t);
typedef uint64_t (*fn3)(struct vcpu *, uint64_t, uint64_t, uint64_t);
typedef uint64_t (*fn4)(struct vcpu *, uint64_t, uint64_t, uint64_t, uint64_t);

static uint64_t call_real(struct vcpu *v, const struct site *s, const uint64_t *arg)
{
    uint64_t a[4] = {arg[0], arg[1], arg[2], 0};
    unsigned n = s->real->nargs;
    uintptr_t fn = (uintptr_t)s->real->fn;

    if (s->real->flags & HELPER_IMM) {
        a[n++] = (uint64_t)s->imm;
    }
    switch (n) {
    case 0:
        return ((fn0)fn)(v);
    case 1:
        return ((fn1)fn)(v, a[0]);
    case 2:
        return ((fn2)fn)(v, a[0], a[1]);
    case 3:
        return ((fn3)fn)(v, a[0], a[1], a[2]);
    default:
        return ((fn4)fn)(v, a[0], a[1], a[2], a[3]);
    }
}

/* The recorded helper has returned, or was left by an unwind. */
static void call_done(struct verify *y, bool unwound)
{
    struct event *e = &y->call;
    bool vectors = e->site->real->flags & HELPER_VECTOR;
    size_t bytes = 0;
    uint8_t *to;

    y->in_helper = false;
    e->unwound = unwound;
    e->deliver = y->deliver;
    e->guest_changed = !verify_guest_same(y, effects_at(y, e->before)->rest);
    e->after = effects_take(y, vectors);
    effects_save(y, effects_at(y, e->after), e->guest_changed, vectors);
    e->nstores = y->nstores - e->stores;
    for (size_t i = e->stores; i < y->nstores; i++) {
        bytes += y->store[i].size;
    }
    if (bytes) {
        e->to = verify_arena_take(y, bytes);
    }
    to = y->arena + e->to;
    for (size_t i = e->stores; i < y->nstores; i++) {
        memcpy(to, y->store[i].host, y->store[i].size);
        to += y->store[i].size;
    }
    record(y, e);
}

/* The bytes that differ between before and after become those of after. */
static void changes_put(uint8_t *now, const uint8_t *before, const uint8_t *after, size_t size)
{
    size_t i = 0;

    for (; i + 8 <= size; i += 8) {
        if (memcmp(before + i, after + i, 8) != 0) {
            for (size_t k = i; k < i + 8; k++) {
                now[k] = before[k] == after[k] ? now[k] : after[k];
            }
        }
    }
    for (; i < size; i++) {
        now[i] = before[i] == after[i] ? now[i] : after[i];
    }
}

static uint64_t call_again(struct verify *y, const struct site *s, const uint64_t *arg)
{
    struct vcpu *v = y->v;
    const struct event *e = next_event(y, EV_CALL);
    const struct effects *b = effects_at(y, e->before), *a = effects_at(y, e->after);
    unsigned flags = s->real->flags;
    const uint8_t *bytes = y->arena + e->to;
    static const char differs[] = "another argument of a helper";

    if (e->site != s) {
        snprintf(y->what, sizeof(y->what), "%s, interpreter: %s", s->real->name,
                 e->site->real->name);
        verify_diverge(y, "another helper called");
    }
    for (unsigned n = 0; n < s->real->nargs; n++) {
        if (arg[n] != e->arg[n]) {
            snprintf(y->what, sizeof(y->what),
                     "%s, argument %u: %#" PRIx64 ", interpreter: %#" PRIx64, s->real->name, n,
                     arg[n], e->arg[n]);
            verify_diverge(y, differs);
        }
    }
    for (unsigned r = 0;
         (flags & (HELPER_READS | HELPER_WRITES)) && !(flags & HELPER_READS_CC) && r < TCG_REG_TEMP;
         r++) {
        if (v->reg[r] != b->reg[r] && !verify_is_lazy_flag(r) && r != TCG_REG_PC) {
            snprintf(y->what, sizeof(y->what),
                     "%s, register %u (%s): %#" PRIx64 ", interpreter: %#" PRIx64, s->real->name, r,
                     v->ops->reg_name && v->ops->reg_name(r) ? v->ops->reg_name(r) : "", v->reg[r],
                     b->reg[r]);
            verify_diverge(y, "another register at a helper call");
        }
    }
    for (unsigned r = 0; r < TCG_REG_TEMP; r++) {
        v->reg[r] = b->reg[r] == a->reg[r] ? v->reg[r] : a->reg[r];
    }
    if (flags & HELPER_VECTOR) {
        changes_put((uint8_t *)v->vec, effects_vec(y, b), effects_vec(y, a), sizeof(v->vec));
    }
    if (flags & HELPER_FPENV) {
        v->fp = a->fp;
    }
    v->tb_flags = a->tb_flags;
    v->fetch_ctx = a->fetch_ctx;
    if (e->guest_changed) {
        uint8_t now[MAX_GUEST_STATE];
        verify_guest_save(y, now);
        changes_put(now, b->rest, a->rest, y->guest_size);
        verify_guest_load(y, now);
    }
    for (size_t i = e->stores; i < e->stores + e->nstores; i++) {
        memcpy(y->store[i].host, bytes, y->store[i].size);
        bytes += y->store[i].size;
    }
    replayed(y, e);
    if (e->unwound) {
        vcpu_unwind(v, e->deliver);
    }
    return e->value;
}

static uint64_t call(struct vcpu *v, const struct site *s, const uint64_t *arg)
{
    struct verify *y = v->verify;
    uint64_t value;

    if (y->replay) {
        return call_again(y, s, arg);
    }
    y->call = (struct event){
        .kind = EV_CALL, .site = s, .arg = {arg[0], arg[1], arg[2]}, .stores = y->nstores};
    y->call.before = effects_take(y, s->real->flags & HELPER_VECTOR);
    effects_save(y, effects_at(y, y->call.before), true, s->real->flags & HELPER_VECTOR);
    y->in_helper = true;
    value = call_real(v, s, arg);
    y->call.value = value;
    call_done(y, false);
    return value;
}

static uint64_t call0(struct vcpu *v, uint64_t s)
{
    return call(v, (const struct site *)(uintptr_t)s, (uint64_t[3]){0});
}
static uint64_t call1(struct vcpu *v, uint64_t a, uint64_t s)
{
    return call(v, (const struct site *)(uintptr_t)s, (uint64_t[3]){a});
}
static uint64_t call2(struct vcpu *v, uint64_t a, uint64_t b, uint64_t s)
{
    return call(v, (const struct site *)(uintptr_t)s, (uint64_t[3]){a, b});
}
static uint64_t call3(struct vcpu *v, uint64_t a, uint64_t b, uint64_t c, uint64_t s)
{
    return call(v, (const struct site *)(uintptr_t)s, (uint64_t[3]){a, b, c});
}

static struct site *find_site(struct verify *y, const struct ir_helper *h, int64_t imm)
{
    static void (*const fn[])(void) = {(void (*)(void))call0, (void (*)(void))call1,
                                       (void (*)(void))call2, (void (*)(void))call3};
    uint64_t hash =
        ((uintptr_t)h ^ (uint64_t)imm * UINT64_C(0x9e3779b1)) * UINT64_C(0x9e3779b97f4a7c15);
    struct site **slot = &y->sites[hash >> 56], *s;

    for (s = *slot; s && (s->real != h || s->imm != imm); s = s->next) {
    }
    if (!s) {
        s = calloc(1, sizeof(*s));
        if (!s) {
            abort();
        }
        s->real = h;
        s->imm = imm;
        s->wrapped = *h;
        s->wrapped.fn = fn[h->nargs];
        s->wrapped.flags |= HELPER_IMM;
        s->next = *slot;
        *slot = s;
    }
    return s;
}

void verify_wrap(struct vcpu *v, struct ir *ir)
{
    for (unsigned i = 0; i < ir->nops; i++) {
        struct ir_op *op = &ir->ops[i];
        const struct ir_helper *h = ir_op_helper(op);
        /* Pure ones, and those that are host instructions in generated code, are run twice. */
        if (op->opc == IR_CALL && !(h->flags & HELPER_PURE) && !(h->flags >> HELPER_FP80)) {
            struct site *s = find_site(v->verify, h, h->flags & HELPER_IMM ? op->imm : 0);
            op->imm2 = (int64_t)(intptr_t)&s->wrapped;
            op->imm = (int64_t)(intptr_t)s;
        }
    }
}

/* ---- blocks ---- */

/* Of the processor's state, ir changes no more than integer registers and what helpers change whose
 * calls are recorded. */
static bool plain(const struct ir *ir)
{
    for (unsigned i = 0; i < ir->nops; i++) {
        const struct ir_op *op = &ir->ops[i];
        bool vector = ir_opinfo[op->opc].attr & IRA_VD && op->d < TCG_VREG_TEMP;
        if (vector || op->opc == IR_STENV || op->opc == IR_VSTENV ||
            (op->opc == IR_CALL && !(ir_op_helper(op)->flags & HELPER_PURE) &&
             ir_op_helper(op)->flags >> HELPER_FP80)) {
            return false;
        }
    }
    return true;
}

size_t verify_compile(struct vcpu *v, struct ir *ir, struct tb *tb, uint8_t *buf, size_t size)
{
    unsigned exits = 1;
    size_t head, used;
    struct tb *twin;
    bool no_link = ir->no_link;

    buf += -(uintptr_t)buf & 63;
    size = size > 64 ? size - 64 : 0;
    for (unsigned i = 0; i < ir->nops; i++) {
        exits += ir->ops[i].opc == IR_EXIT_TB;
    }
    head = (sizeof(*twin) + exits * sizeof(struct tb_exit) + 63) & ~(size_t)63;
    if (size < head + 64) {
        return 0;
    }
    twin = (struct tb *)(void *)buf;
    memset(twin, 0, head);
    *twin = *tb;
    twin->nexits = 0;
    twin->incoming = NULL;
    ir->no_link = true;
    used = interp_executor.compile(v->tcg, ir, twin, buf + head, size - head);
    ir->no_link = no_link;
    tb->twin = twin;
    tb->plain = plain(ir);
    return used ? head + used + 64 : 0;
}

void verify_forget(struct vcpu *v)
{
    v->verify->known = false;
}

struct tb *verify_running(const struct vcpu *v)
{
    return v->verify->active ? v->verify->running : NULL;
}

struct tb *verify_block(const struct vcpu *v)
{
    return v->verify->block;
}

void verify_unwind(struct vcpu *v, bool deliver)
{
    struct verify *y = v->verify;

    if (y->active) {
        y->deliver = deliver;
        siglongjmp(y->landing, 1);
    }
}

static void run_once(struct verify *y, const struct executor *exec, struct tb *tb,
                     struct outcome *o)
{
    struct vcpu *v = y->v;
    int landed;

    v->exec = exec;
    v->host_pc = 0;
    y->running = tb;
    y->next_event = 0;
    y->in_helper = false;
    y->active = true;
    landed = sigsetjmp(y->landing, 0);
    if (!landed) {
        exec->run(v, tb);
        o->how = v->tcg_cpu->apart ? APART : LEFT;
        v->tcg_cpu->apart = false;
    } else {
        if (y->in_helper) {
            call_done(y, true);
        }
        o->how = landed == 2 ? DIVERGED : y->deliver ? FAULTED : RETRIED;
        tcg_settle(v);
    }
    y->active = false;
    v->exec = y->t->exec;
    v->tcg_cpu->last_exit = NULL;
}

static void run_first(struct verify *y, struct tb *tb)
{
    y->used = y->nevents = y->nstores = y->npages = 0;
    y->mapping = y->pending_mapping = y->code_hit = y->replay = false;
    y->why = NULL;
    run_once(y, &interp_executor, tb->twin, &y->first);
}

/* From start, with memory as it was before the block. */
static void run_again(struct verify *y, const struct executor *exec, struct tb *tb)
{
    bool aside = y->mapping || y->blocks % FLUSH_EVERY == 0;
    bool direct = !aside && !y->code_hit && exec == y->t->exec;

    y->replay = true;
    y->why = NULL;
    if (aside) {
        y->t->host.tlb_aside(y->v, true);
    }
    if (direct) {
        verify_write_tags(y, true);
    }
    run_once(y, exec, tb, &y->second);
    if (direct) {
        verify_write_tags(y, false);
    }
    if (aside) {
        y->t->host.tlb_aside(y->v, false);
    }
    y->replay = false;
    if (y->second.how != DIVERGED && y->second.how != RETRIED && y->second.how != APART &&
        y->next_event != y->nevents) {
        y->second.how = DIVERGED;
        y->why = "fewer helper calls or accesses to devices";
        snprintf(y->what, sizeof(y->what), "%zu of %zu", y->next_event, y->nevents);
    }
}

static bool same(const struct verify *y)
{
    size_t page;
    unsigned at;

    return y->first.how == y->second.how && verify_state_is_first(y) &&
           !verify_page_differs(y, &page, &at);
}

static void take_first(struct verify *y)
{
    verify_pages_take_first(y);
    verify_state_complete(y);
    verify_state_load(y, &y->first.s);
    y->t->host.flush_tlb(y->v);
}

/* There was a difference. False: it is real, and the processor is what the second run left. Else
 * the first run's result stands. */
static bool was_race(struct verify *y, struct tb *tb)
{
    bool race;

    verify_pages_rewind(y);
    verify_state_complete(y);
    verify_state_load(y, &y->start);
    run_again(y, &interp_executor, tb->twin);
    race = !same(y);
    if (!race) {
        verify_pages_put(y, BEFORE);
        verify_state_load(y, &y->start);
        run_again(y, y->t->exec, tb);
        race = same(y);
    }
    if (race) {
        take_first(y);
    }
    return race;
}

bool verify_run(struct vcpu *v, struct tb *tb, struct tb *apart)
{
    struct verify *y = v->verify;
    struct tb *ran = tb;
    enum how how;

    if (y->failed) {
        return false;
    }
    y->blocks++;
    y->block = tb;
    if (!y->known) {
        verify_state_begin(y);
    }
    y->known = false;
    run_first(y, tb);
    verify_pages_keep(y, AFTER);
    verify_undo(y);
    verify_state_again(y, tb->plain && tb->cached && !y->nevents && y->first.how == LEFT);
    run_again(y, y->t->exec, tb);
    if (y->second.how == APART) { /* a group of accesses does not lie on one page */
        tb->left_apart = true;
        if (apart) {
            verify_undo(y);
            verify_state_load(y, &y->start);
            ran = apart;
            run_again(y, y->t->exec, apart);
        }
    }
    if ((y->second.how == RETRIED && y->first.how != RETRIED) || y->second.how == APART) {
        /* The x87 unit was not as the generated code wants it, and helpers are to run an
         * instruction; or a block without groups is not there yet. */
        verify_pages_rewind(y);
        take_first(y);
        if (y->second.how == RETRIED && v->ops->fp80) {
            v->ops->fp80->odd_state(v);
        }
        y->partial++;
    } else if (unlikely(!same(y))) {
        if (!was_race(y, ran)) {
            y->failed = true;
            verify_state_save(y, &y->second.s);
            verify_report(y, ran);
            y->t->host.verify_failed(v);
            return false;
        }
        y->races++;
    }
    how = y->first.how;
    if (how == LEFT && y->second.how == LEFT) {
        verify_state_next(y);
        y->known = true;
    }
    v->host_pc = 0;
    v->cur_tb = NULL;
    if (how == FAULTED) {
        v->ops->deliver(v); /* may unwind, to tcg_run() */
    }
    return true;
}

/* ---- creation ---- */

bool verify_attach(struct tcg *t, struct vcpu *v, struct error *err)
{
    struct verify *y;

    if (v->index) {
        return error_set(err, "verify=on compares one processor's code: it needs -smp 1");
    }
    y = aligned_alloc(64, (sizeof(*y) + 63) & ~(size_t)63);
    if (!y) {
        return error_set(err, "out of memory for verify=on");
    }
    memset(y, 0, sizeof(*y));
    y->v = v;
    y->t = t;
    verify_state_layout(y);
    v->verify = y;
    return true;
}

void verify_detach(struct vcpu *v)
{
    struct verify *y = v->verify;

    if (!y) {
        return;
    }
    for (size_t i = 0; i < sizeof(y->sites) / sizeof(y->sites[0]); i++) {
        for (struct site *s = y->sites[i], *next; s; s = next) {
            next = s->next;
            free(s);
        }
    }
    verify_memory_free(y);
    free(y->event);
    free(y);
    v->verify = NULL;
}

void verify_describe(const struct tcg *t, FILE *out)
{
    for (const struct tcg_cpu *tc = t->cpus; tc; tc = tc->next) {
        if (tc->v->verify) {
            fprintf(out,
                    "verified:            %" PRIu64 " blocks, %" PRIu64
                    " races with devices, %" PRIu64 " left half way\n",
                    tc->v->verify->blocks, tc->v->verify->races, tc->v->verify->partial);
        }
    }
}
