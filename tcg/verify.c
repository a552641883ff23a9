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
 * emptying the TLB before some runs. */
#include "tcg/verify.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/error.h"
#include "tcg/fp80.h"
#include "tcg/ir_info.h"
#include "tcg/tb.h"
#include "tcg/verify_internal.h"

static void *grow(void *at, size_t *cap, size_t need, size_t each)
{
    if (need > *cap) {
        size_t n = *cap ? *cap * 2 : 64;
        while (n < need) {
            n *= 2;
        }
        at = realloc(at, n * each);
        if (!at) {
            abort();
        }
        *cap = n;
    }
    return at;
}

static size_t arena_take(struct verify *y, size_t size)
{
    size_t at = (y->used + 31) & ~(size_t)31;

    y->arena = grow(y->arena, &y->cap, at + size, 1);
    y->used = at + size;
    return at;
}

/* ---- state ---- */

static void guest_save(const struct verify *y, uint8_t *to)
{
    for (const struct guest_state *p = y->v->ops->state; p && p->size; p++) {
        memcpy(to, (const uint8_t *)y->v + p->offset, p->size);
        to += p->size;
    }
}

static void guest_load(const struct verify *y, const uint8_t *from)
{
    for (const struct guest_state *p = y->v->ops->state; p && p->size; p++) {
        memcpy((uint8_t *)y->v + p->offset, from, p->size);
        from += p->size;
    }
}

static void state_save(const struct verify *y, struct state *s)
{
    struct vcpu *v = y->v;

    memcpy(s->reg, v->reg, sizeof(s->reg));
    memcpy(s->vec, v->vec, sizeof(s->vec));
    s->fp = v->fp;
    s->tb_flags = v->tb_flags;
    s->fetch_ctx = v->fetch_ctx;
    s->flags = v->ops->flags ? v->ops->flags(v) : 0;
    guest_save(y, s->guest);
}

void verify_state_load(const struct verify *y, const struct state *s)
{
    struct vcpu *v = y->v;

    memcpy(v->reg, s->reg, sizeof(s->reg));
    memcpy(v->vec, s->vec, sizeof(s->vec));
    v->fp = s->fp;
    v->tb_flags = s->tb_flags;
    v->fetch_ctx = s->fetch_ctx;
    guest_load(y, s->guest);
}

static bool state_same(const struct verify *y, const struct state *a, const struct state *b)
{
    return !memcmp(a->reg, b->reg, TCG_REG_CC_OP * sizeof(a->reg[0])) &&
           !memcmp(&a->reg[TCG_REG_GUEST], &b->reg[TCG_REG_GUEST],
                   (TCG_REG_TEMP - TCG_REG_GUEST) * sizeof(a->reg[0])) &&
           a->flags == b->flags && !memcmp(a->vec, b->vec, sizeof(a->vec)) &&
           a->tb_flags == b->tb_flags && a->fetch_ctx == b->fetch_ctx &&
           a->fp.flags == b->fp.flags && a->fp.round == b->fp.round && a->fp.masks == b->fp.masks &&
           a->fp.daz == b->fp.daz && a->fp.ftz == b->fp.ftz &&
           !memcmp(a->guest, b->guest, y->guest_size);
}

static void effects_save(const struct verify *y, struct effects *x, bool vectors)
{
    const struct vcpu *v = y->v;

    memcpy(x->reg, v->reg, sizeof(x->reg));
    x->tb_flags = v->tb_flags;
    x->fetch_ctx = v->fetch_ctx;
    x->fp = v->fp;
    guest_save(y, x->guest);
    if (vectors) {
        memcpy(x->vec, v->vec, sizeof(x->vec));
    }
}

/* ---- memory ---- */

static struct page *page_of(struct verify *y, const uint8_t *host)
{
    for (size_t i = y->npages; i--;) {
        if (y->page[i].host == host) {
            return &y->page[i];
        }
    }
    return NULL;
}

__attribute__((noreturn)) static void diverge(struct verify *y, const char *why)
{
    y->why = why;
    siglongjmp(y->landing, 2);
}

void verify_store(struct vcpu *v, uint64_t va, struct tlb_entry *e, unsigned size, bool direct)
{
    struct verify *y = v->verify;
    struct page *p;
    uint8_t *host;
    struct store *s;

    if (!y->active) {
        return;
    }
    host = tlb_host(e, va);
    p = page_of(y, host - (va & (PAGE - 1)));
    if (y->replay) {
        if (!p) {
            snprintf(y->what, sizeof(y->what), "%u bytes at %#" PRIx64, size, va);
            diverge(y, "a store to a page that the interpreter did not write");
        }
        return;
    }
    if (!p) {
        size_t cap = y->cap_pages;
        y->page = grow(y->page, &y->cap_pages, y->npages + 1, sizeof(*y->page));
        memset(&y->page[cap], 0, (y->cap_pages - cap) * sizeof(*y->page));
        p = &y->page[y->npages++];
        p->host = host - (va & (PAGE - 1));
        p->va = va & ~(uint64_t)(PAGE - 1);
        p->entry = e;
        p->direct = direct;
    }
    p->direct = p->direct && direct && p->entry == e;
    y->store = grow(y->store, &y->cap_stores, y->nstores + 1, sizeof(*y->store));
    s = &y->store[y->nstores++];
    s->host = host;
    s->size = size;
    s->old = arena_take(y, size);
    memcpy(y->arena + s->old, s->host, size);
}

static void copy_pages(struct verify *y, size_t which)
{
    for (size_t i = 0; i < y->npages; i++) {
        uint8_t **copy = (uint8_t **)((char *)&y->page[i] + which);
        if (!*copy && !(*copy = malloc(PAGE))) {
            abort();
        }
        memcpy(*copy, y->page[i].host, PAGE);
    }
}

static void undo(struct verify *y)
{
    for (size_t i = y->nstores; i--;) {
        memcpy(y->store[i].host, y->arena + y->store[i].old, y->store[i].size);
    }
}

bool verify_page_differs(struct verify *y, size_t *page, unsigned *at)
{
    for (size_t i = 0; i < y->npages; i++) {
        if (memcmp(y->page[i].host, y->page[i].after, PAGE)) {
            *page = i;
            for (*at = 0; y->page[i].host[*at] == y->page[i].after[*at]; ++*at) {
            }
            return true;
        }
    }
    return false;
}

/* Write tags for the pages of the log, or none again. */
static void write_tags(struct verify *y, bool on)
{
    for (size_t i = 0; i < y->npages; i++) {
        struct page *p = &y->page[i];
        if (!on) {
            p->entry->wtag = tlb_no_tag((unsigned)(p->va >> 12 & TLB_MASK));
        } else if (p->direct && p->entry->rtag == p->va && tlb_host(p->entry, p->va) == p->host) {
            p->entry->wtag = p->va;
        }
    }
}

/* ---- events ---- */

static void record(struct verify *y, const struct event *e)
{
    y->event = grow(y->event, &y->cap_events, y->nevents + 1, sizeof(*y->event));
    y->event[y->nevents] = *e;
    y->event[y->nevents++].mapping = y->pending_mapping;
    y->pending_mapping = false;
}

static struct event *next_event(struct verify *y, enum event_kind kind)
{
    if (y->next_event >= y->nevents || y->event[y->next_event].kind != kind) {
        snprintf(y->what, sizeof(y->what), "number %zu", y->next_event);
        diverge(y, kind == EV_CALL   ? "a helper call where the interpreter made none"
                   : kind == EV_READ ? "a read from a device where the interpreter made none"
                                     : "a write to a device where the interpreter made none");
    }
    return &y->event[y->next_event++];
}

static void replayed(struct verify *y, const struct event *e)
{
    if (e->mapping) {
        y->t->host.flush_tlb(y->v);
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
        diverge(y, "another access to a device");
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
    uint8_t *to;

    y->in_helper = false;
    e->unwound = unwound;
    e->deliver = y->deliver;
    e->after = arena_take(y, sizeof(struct effects));
    effects_save(y, (struct effects *)(void *)(y->arena + e->after),
                 e->site->real->flags & HELPER_VECTOR);
    e->nstores = y->nstores - e->stores;
    size_t bytes = 0;
    for (size_t i = e->stores; i < y->nstores; i++) {
        bytes += y->store[i].size;
    }
    e->to = arena_take(y, bytes);
    to = y->arena + e->to;
    for (size_t i = e->stores; i < y->nstores; i++) {
        memcpy(to, y->store[i].host, y->store[i].size);
        to += y->store[i].size;
    }
    record(y, e);
}

static void words_changed(uint8_t *now, const uint8_t *before, const uint8_t *after, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        now[i] = before[i] == after[i] ? now[i] : after[i];
    }
}

static uint64_t call_again(struct verify *y, const struct site *s, const uint64_t *arg)
{
    struct vcpu *v = y->v;
    const struct event *e = next_event(y, EV_CALL);
    const struct effects *b = (const void *)(y->arena + e->before),
                         *a = (const void *)(y->arena + e->after);
    unsigned flags = s->real->flags;
    const uint8_t *bytes = y->arena + e->to;
    static const char differs[] = "another argument of a helper";

    if (e->site != s) {
        snprintf(y->what, sizeof(y->what), "%s, interpreter: %s", s->real->name,
                 e->site->real->name);
        diverge(y, "another helper called");
    }
    for (unsigned n = 0; n < s->real->nargs; n++) {
        if (arg[n] != e->arg[n]) {
            snprintf(y->what, sizeof(y->what),
                     "%s, argument %u: %#" PRIx64 ", interpreter: %#" PRIx64, s->real->name, n,
                     arg[n], e->arg[n]);
            diverge(y, differs);
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
            diverge(y, "another register at a helper call");
        }
    }
    for (unsigned r = 0; r < TCG_REG_TEMP; r++) {
        v->reg[r] = b->reg[r] == a->reg[r] ? v->reg[r] : a->reg[r];
    }
    if (flags & HELPER_VECTOR) {
        words_changed((uint8_t *)v->vec, b->vec, a->vec, sizeof(a->vec));
    }
    if (flags & HELPER_FPENV) {
        v->fp = a->fp;
    }
    v->tb_flags = a->tb_flags;
    v->fetch_ctx = a->fetch_ctx;
    if (memcmp(b->guest, a->guest, y->guest_size)) {
        uint8_t now[MAX_GUEST_STATE];
        guest_save(y, now);
        words_changed(now, b->guest, a->guest, y->guest_size);
        guest_load(y, now);
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
    y->call.before = arena_take(y, sizeof(struct effects));
    effects_save(y, (struct effects *)(void *)(y->arena + y->call.before),
                 s->real->flags & HELPER_VECTOR);
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
    return used ? head + used + 64 : 0;
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
    state_save(y, &o->s);
}

static void run_first(struct verify *y, struct tb *tb)
{
    y->used = y->nevents = y->nstores = y->npages = 0;
    y->mapping = y->pending_mapping = y->code_hit = y->replay = false;
    y->why = NULL;
    run_once(y, &interp_executor, tb->twin, &y->first);
}

static void run_again(struct verify *y, const struct executor *exec, struct tb *tb)
{
    bool direct = !y->mapping && !y->code_hit && exec == y->t->exec;

    verify_state_load(y, &y->start);
    if (y->mapping || y->blocks % FLUSH_EVERY == 0) {
        y->t->host.flush_tlb(y->v);
    }
    y->replay = true;
    y->why = NULL;
    if (direct) {
        write_tags(y, true);
    }
    run_once(y, exec, tb, &y->second);
    if (direct) {
        write_tags(y, false);
    }
    y->replay = false;
    if (y->second.how != DIVERGED && y->second.how != RETRIED && y->second.how != APART &&
        y->next_event != y->nevents) {
        y->second.how = DIVERGED;
        y->why = "fewer helper calls or accesses to devices";
        snprintf(y->what, sizeof(y->what), "%zu of %zu", y->next_event, y->nevents);
    }
}

static bool same(struct verify *y)
{
    size_t page;
    unsigned at;

    return y->first.how == y->second.how && state_same(y, &y->first.s, &y->second.s) &&
           !verify_page_differs(y, &page, &at);
}

static void put_pages(struct verify *y)
{
    for (size_t i = 0; i < y->npages; i++) {
        memcpy(y->page[i].host, y->page[i].before, PAGE);
    }
}

/* Keeps what memory is now, and makes it what it was before the block. */
static void rewind_pages(struct verify *y)
{
    copy_pages(y, offsetof(struct page, now));
    for (size_t i = 0; i < y->npages; i++) {
        memcpy(y->page[i].host, y->page[i].after, PAGE);
    }
    undo(y);
    copy_pages(y, offsetof(struct page, before));
}

/* The first run's result stands; so does what another thread has written meanwhile. */
static void take_first(struct verify *y)
{
    for (size_t i = 0; i < y->npages; i++) {
        struct page *p = &y->page[i];
        for (unsigned k = 0; k < PAGE; k++) {
            p->host[k] = p->after[k] == p->before[k] ? p->now[k] : p->after[k];
        }
    }
    for (size_t i = 0; i < y->nstores; i++) {
        size_t at = (uintptr_t)y->store[i].host & (PAGE - 1);
        memcpy(y->store[i].host, page_of(y, y->store[i].host - at)->after + at, y->store[i].size);
    }
    verify_state_load(y, &y->first.s);
    y->t->host.flush_tlb(y->v);
}

/* There was a difference. False: it is real. Else the first run's result stands. */
static bool was_race(struct verify *y, struct tb *tb)
{
    bool race;

    rewind_pages(y);
    run_again(y, &interp_executor, tb->twin);
    race = !same(y);
    if (!race) {
        put_pages(y);
        run_again(y, y->t->exec, tb);
        race = same(y);
    }
    if (race) {
        take_first(y);
    }
    return race;
}

bool verify_run(struct vcpu *v, struct tb *tb)
{
    struct verify *y = v->verify;
    enum how how;

    if (y->failed) {
        return false;
    }
    y->blocks++;
    y->block = tb;
    state_save(y, &y->start);
    run_first(y, tb);
    copy_pages(y, offsetof(struct page, after));
    undo(y);
    run_again(y, y->t->exec, tb);
    if ((y->second.how == RETRIED && y->first.how != RETRIED) || y->second.how == APART) {
        /* The x87 unit was not as the generated code wants it, and helpers are to run an
         * instruction; or a group of accesses does not lie on one page. */
        rewind_pages(y);
        take_first(y);
        if (y->second.how == RETRIED && v->ops->fp80) {
            v->ops->fp80->odd_state(v);
        }
        y->partial++;
    } else if (unlikely(!same(y))) {
        if (!was_race(y, tb)) {
            y->failed = true;
            verify_report(y, tb);
            y->t->host.verify_failed(v);
            return false;
        }
        y->races++;
    }
    how = y->first.how;
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
    y = calloc(1, sizeof(*y));
    if (!y) {
        return error_set(err, "out of memory for verify=on");
    }
    y->v = v;
    y->t = t;
    for (const struct guest_state *p = v->ops->state; p && p->size; p++) {
        y->guest_size += p->size;
    }
    assert(y->guest_size <= MAX_GUEST_STATE);
    v->verify = y;
    return true;
}

void verify_detach(struct vcpu *v)
{
    struct verify *y = v->verify;

    if (!y) {
        return;
    }
    for (size_t i = 0; i < y->cap_pages; i++) {
        free(y->page[i].after);
        free(y->page[i].before);
        free(y->page[i].now);
    }
    for (size_t i = 0; i < sizeof(y->sites) / sizeof(y->sites[0]); i++) {
        for (struct site *s = y->sites[i], *next; s; s = next) {
            next = s->next;
            free(s);
        }
    }
    free(y->page);
    free(y->arena);
    free(y->event);
    free(y->store);
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
