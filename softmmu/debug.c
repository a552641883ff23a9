/* Run control for a debugger outside the guest; see debug.h.
 *
 * A breakpoint is a linear address, code is cached by physical address. So the fetch TLB tells
 * which physical pages carry a linear page that has breakpoints (debug_code_page, "binding");
 * blocks on those pages are dropped, and when they are made anew the translator puts a call before
 * each instruction that may be one. Pages without breakpoints cost nothing, and guest memory is
 * never written. Removed breakpoints linger until processors really go on, because debuggers take
 * all of them out and put them in again at every stop.
 *
 * A hit, a watched access and the end of a step are noted by the processor's thread and looked at
 * in debug_poll(), where the state is exact. The processor then holds itself and wakes the main
 * loop. */
#include "softmmu/debug.h"
#include "softmmu/internal.h"
#include "softmmu/machine.h"
#include "softmmu/threads.h"
#include "softmmu/tlb.h"
#include "tcg/tcg.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, BIND_HASH = 1024 };

struct debug_break {
    uint64_t addr;
    bool hardware, removed;
    struct debug_condition *cond;
};

struct binding { /* linear page `page` was seen at physical page `phys` */
    struct binding *next;
    uint64_t page, phys;
};

struct debug_watch {
    struct debug_watch *next;
    uint64_t addr, len;
    unsigned mask;
};

struct debug_cpu {
    struct debug_stop stop;
    bool fresh;
    /* stepping */
    bool stepping, begun, began_halted;
    uint64_t start, end;
    /* noted, to be looked at in debug_poll */
    bool break_hit, watch_hit, skip;
    uint64_t break_at, skip_at;
    struct debug_stop watch;
    /* exceptions: one noted, and the one that is delivered when it comes again */
    bool caught, pass, triple;
    unsigned vector;
    uint64_t pass_at;
    char text[DEBUG_TEXT];
};

struct debug {
    struct debug_client client;
    atomic_bool attached, nonstop, mask_events;
    _Atomic uint64_t catch;     /* exceptions, by vector */
    atomic_uint nbreaks;        /* also those removed but lingering */
    pthread_mutex_t lock;       /* breaks and bindings */
    struct debug_break *breaks; /* sorted by address */
    unsigned cap;
    struct binding *bind[BIND_HASH]; /* by physical page */
    struct debug_watch *watches;
    struct debug_cpu *cpu;
};

static struct debug *debug_of(const struct vcpu *v)
{
    return v->machine ? v->machine->debug : NULL;
}

struct debug *debug_create(struct machine *m)
{
    struct debug *d = calloc(1, sizeof(*d));

    if (!d || !(d->cpu = calloc(m->nvcpus ? m->nvcpus : 1, sizeof(*d->cpu)))) {
        abort();
    }
    pthread_mutex_init(&d->lock, NULL);
    d->mask_events = true;
    d->catch = DEBUG_CATCH_TRIPLE;
    m->debug = d;
    return d;
}

void debug_destroy(struct machine *m)
{
    struct debug *d = m->debug;

    if (!d) {
        return;
    }
    debug_detach(m);
    m->debug = NULL;
    pthread_mutex_destroy(&d->lock);
    free(d->breaks);
    free(d->cpu);
    free(d);
}

/* What the processors look at without a lock changes (their watchpoints, TLBs and steps): none may
 * run guest code, though the debugger thinks that they stand still: a monitor's "cont" may have
 * come. Returns whether the machine lock was held, for the end. */
static bool exclusive_begin(struct machine *m)
{
    bool locked = machine_lock_held(m);

    if (locked) {
        machine_unlock(m); /* a processor may wait for it */
    }
    machine_exclusive_begin(m);
    return locked;
}

static void exclusive_end(struct machine *m, bool locked)
{
    machine_exclusive_end(m);
    if (locked) {
        machine_lock(m);
    }
}

/* ---- breakpoints: the list ---- */

/* Index of the first breakpoint at addr or above. */
static unsigned find_break(const struct debug *d, uint64_t addr)
{
    unsigned low = 0, high = d->nbreaks;

    while (low < high) {
        unsigned mid = low + (high - low) / 2;
        if (d->breaks[mid].addr < addr) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static bool page_has_breaks(const struct debug *d, uint64_t page)
{
    unsigned i = find_break(d, page);

    return i < d->nbreaks && d->breaks[i].addr - page < PAGE;
}

static bool break_at(const struct debug *d, uint64_t addr)
{
    unsigned i = find_break(d, addr);

    return i < d->nbreaks && d->breaks[i].addr == addr;
}

static struct binding **bucket(struct debug *d, uint64_t phys)
{
    return &d->bind[(phys >> 12 ^ phys >> 22) % BIND_HASH];
}

/* Drops the blocks that hold the byte at linear addr, wherever its page was seen. Lock held. */
static void invalidate(struct machine *m, uint64_t addr)
{
    struct debug *d = m->debug;
    uint64_t page = addr & ~UINT64_C(4095);

    for (unsigned h = 0; h < BIND_HASH; h++) {
        for (struct binding *b = d->bind[h]; b; b = b->next) {
            if (b->page == page) {
                tcg_invalidate(m->tcg, b->phys | (addr & 4095), 1);
            }
        }
    }
}

static void drop_bindings(struct debug *d)
{
    for (unsigned h = 0; h < BIND_HASH; h++) {
        for (struct binding **link = &d->bind[h]; *link;) {
            struct binding *b = *link;
            if (page_has_breaks(d, b->page)) {
                link = &b->next;
            } else {
                *link = b->next;
                free(b);
            }
        }
    }
}

/* Forgets what was removed. */
static void purge(struct machine *m)
{
    struct debug *d = m->debug;
    unsigned kept = 0;

    pthread_mutex_lock(&d->lock);
    for (unsigned i = 0; i < d->nbreaks; i++) {
        if (!d->breaks[i].removed) {
            d->breaks[kept++] = d->breaks[i];
        } else {
            invalidate(m, d->breaks[i].addr);
        }
    }
    if (kept != d->nbreaks) {
        d->nbreaks = kept;
        drop_bindings(d);
    }
    pthread_mutex_unlock(&d->lock);
}

static struct debug_break *lookup(struct debug *d, uint64_t addr, bool hardware)
{
    for (unsigned i = find_break(d, addr); i < d->nbreaks && d->breaks[i].addr == addr; i++) {
        if (d->breaks[i].hardware == hardware) {
            return &d->breaks[i];
        }
    }
    return NULL;
}

bool debug_add_break(struct machine *m, uint64_t addr, bool hardware, struct debug_condition *cond)
{
    struct debug *d = m->debug;

    pthread_mutex_lock(&d->lock);
    struct debug_break *b = lookup(d, addr, hardware);
    if (b) {
        free(b->cond);
        b->cond = cond;
        b->removed = false;
        pthread_mutex_unlock(&d->lock);
        return true;
    }
    if (d->nbreaks == d->cap) {
        unsigned cap = d->cap ? 2 * d->cap : 64;
        struct debug_break *more = realloc(d->breaks, cap * sizeof(*more));
        if (!more) {
            pthread_mutex_unlock(&d->lock);
            free(cond);
            return false;
        }
        d->breaks = more;
        d->cap = cap;
    }
    bool known = page_has_breaks(d, addr & ~UINT64_C(4095));
    unsigned at = find_break(d, addr);
    memmove(&d->breaks[at + 1], &d->breaks[at], (d->nbreaks - at) * sizeof(d->breaks[0]));
    d->breaks[at] = (struct debug_break){addr, hardware, false, cond};
    d->nbreaks++;
    invalidate(m, addr);
    pthread_mutex_unlock(&d->lock);
    if (!known) { /* fetch TLB entries for the page must be seen when they are made */
        for (unsigned i = 0; i < m->nvcpus; i++) {
            tlb_request_flush(m->vcpus[i]);
        }
    }
    return true;
}

bool debug_remove_break(struct machine *m, uint64_t addr, bool hardware)
{
    struct debug *d = m->debug;
    bool found = false;

    pthread_mutex_lock(&d->lock);
    struct debug_break *b = lookup(d, addr, hardware);
    if (b && !b->removed) {
        found = b->removed = true;
        free(b->cond);
        b->cond = NULL;
    }
    pthread_mutex_unlock(&d->lock);
    return found;
}

/* ---- watchpoints ---- */

bool debug_add_watch(struct machine *m, uint64_t addr, uint64_t len, unsigned acc_mask)
{
    struct debug *d = m->debug;
    struct debug_watch *w = malloc(sizeof(*w));

    if (!w || !len || addr + len - 1 < addr) {
        free(w);
        return false;
    }
    *w = (struct debug_watch){d->watches, addr, len, acc_mask};
    bool locked = exclusive_begin(m);
    d->watches = w;
    for (unsigned i = 0; i < m->nvcpus; i++) {
        softmmu_watch_add(m->vcpus[i], addr, len, acc_mask, w);
    }
    exclusive_end(m, locked);
    return true;
}

static void remove_watch(struct machine *m, struct debug_watch **link)
{
    struct debug_watch *w = *link;

    bool locked = exclusive_begin(m);
    for (unsigned i = 0; i < m->nvcpus; i++) {
        softmmu_watch_remove(m->vcpus[i], w);
        if (m->debug->cpu[i].watch_hit) {
            m->debug->cpu[i].watch_hit = false; /* noted, but not looked at any more */
        }
    }
    *link = w->next;
    exclusive_end(m, locked);
    free(w);
}

bool debug_remove_watch(struct machine *m, uint64_t addr, uint64_t len, unsigned acc_mask)
{
    for (struct debug_watch **link = &m->debug->watches; *link; link = &(*link)->next) {
        if ((*link)->addr == addr && (*link)->len == len && (*link)->mask == acc_mask) {
            remove_watch(m, link);
            return true;
        }
    }
    return false;
}

/* ---- the client ---- */

void debug_attach(struct machine *m, const struct debug_client *client)
{
    m->debug->client = *client;
    m->debug->attached = true;
}

void debug_detach(struct machine *m)
{
    struct debug *d = m->debug;

    if (!d->attached) {
        return;
    }
    d->attached = false;
    d->nonstop = false;
    d->mask_events = true;
    d->catch = DEBUG_CATCH_TRIPLE;
    while (d->watches) {
        remove_watch(m, &d->watches);
    }
    pthread_mutex_lock(&d->lock);
    for (unsigned i = 0; i < d->nbreaks; i++) {
        d->breaks[i].removed = true;
        free(d->breaks[i].cond);
        d->breaks[i].cond = NULL;
    }
    pthread_mutex_unlock(&d->lock);
    purge(m);
}

void debug_mask_events(struct machine *m, bool on)
{
    m->debug->mask_events = on;
}

void debug_catch(struct machine *m, uint64_t vectors)
{
    m->debug->catch = vectors;
}

uint64_t debug_caught(struct machine *m)
{
    return m->debug->catch;
}

void debug_exception_text(struct machine *m, unsigned cpu, char *text)
{
    memcpy(text, m->debug->cpu[cpu].text, DEBUG_TEXT);
}

void debug_set_nonstop(struct machine *m, bool on)
{
    m->debug->nonstop = on;
}

static void forget_step(struct machine *m, unsigned i)
{
    struct debug_cpu *c = &m->debug->cpu[i];

    c->stepping = c->begun = c->skip = c->break_hit = c->watch_hit = c->caught = false;
    m->vcpus[i]->debug_step = 0;
}

void debug_halt(struct machine *m)
{
    machine_unlock(m);
    machine_set_running(m, false);
    machine_lock(m);
    for (unsigned i = 0; i < m->nvcpus; i++) {
        struct debug_cpu *c = &m->debug->cpu[i];
        /* One that stopped by itself meanwhile keeps its reason. */
        if (!c->fresh) {
            c->stop = (struct debug_stop){.kind = DEBUG_STOP_PAUSE};
        }
        forget_step(m, i);
    }
}

/* The triple fault that stopped the processor resets the machine now. */
static void end_triple(struct machine *m, unsigned i)
{
    struct debug_cpu *c = &m->debug->cpu[i];

    if (c->triple) {
        c->triple = false;
        machine_request(m, REQUEST_RESET, "%s", c->text);
    }
}

static void prepare(struct machine *m, unsigned i, const struct debug_action *act)
{
    struct debug *d = m->debug;
    struct debug_cpu *c = &d->cpu[i];
    struct vcpu *v = m->vcpus[i];

    if (act->kind != DEBUG_HOLD) {
        end_triple(m, i);
        forget_step(m, i);
        c->fresh = false;
        c->stop.kind = DEBUG_STOP_NONE;
    }
    if (act->kind == DEBUG_STEP) {
        c->stepping = true;
        c->start = act->start;
        c->end = act->end;
        atomic_store(&v->exit_request, 1);
    }
    vcpu_hold(v, act->kind == DEBUG_HOLD);
}

void debug_resume(struct machine *m, const struct debug_action *act)
{
    bool far = false, locked = exclusive_begin(m);

    for (unsigned i = 0; i < m->nvcpus; i++) {
        struct debug_cpu *c = &m->debug->cpu[i];
        if (act[i].kind == DEBUG_HOLD && c->stop.kind != DEBUG_STOP_WATCH) {
            c->fresh = false; /* never told, and will happen again when it goes on */
        }
        prepare(m, i, &act[i]);
        far |= act[i].kind == DEBUG_RUN;
    }
    exclusive_end(m, locked);
    if (far) {
        purge(m);
    }
    machine_unlock(m);
    machine_set_running(m, true);
    machine_lock(m);
}

void debug_halt_one(struct machine *m, unsigned cpu)
{
    struct debug_cpu *c = &m->debug->cpu[cpu];

    machine_unlock(m);
    vcpu_hold(m->vcpus[cpu], true);
    machine_lock(m);
    if (!c->fresh) {
        c->stop = (struct debug_stop){.kind = DEBUG_STOP_PAUSE};
        c->fresh = true;
    }
    forget_step(m, cpu);
}

void debug_resume_one(struct machine *m, unsigned cpu, const struct debug_action *act)
{
    prepare(m, cpu, act);
    if (act->kind == DEBUG_RUN) {
        purge(m);
    }
    for (unsigned i = 0; m->state != RUN_RUNNING && i < m->nvcpus; i++) {
        if (i != cpu) {
            vcpu_hold(m->vcpus[i], true); /* they stood still with the machine: they still do */
        }
    }
    if (m->state != RUN_RUNNING) {
        machine_unlock(m);
        machine_set_running(m, true);
        machine_lock(m);
    }
}

bool debug_is_stopped(struct machine *m, unsigned cpu)
{
    return m->state != RUN_RUNNING || vcpu_is_held(m->vcpus[cpu]);
}

bool debug_step(struct machine *m, unsigned cpu, struct error *err)
{
    static const struct debug_action hold = {.kind = DEBUG_HOLD}, step = {.kind = DEBUG_STEP};
    struct debug *d = m->debug;
    struct vcpu *v = m->vcpus[cpu];

    if (!d || !v->mmu->started) {
        return error_set(err, "this machine cannot be stepped");
    }
    if (d->attached && (d->nonstop || m->state == RUN_RUNNING)) {
        return error_set(err, "a debugger has let the processors run");
    }
    if (m->state == RUN_SHUTDOWN) {
        return error_set(err, "the machine is switched off");
    }
    machine_unlock(m);
    machine_set_running(m, false);
    machine_lock(m);
    atomic_fetch_and(&v->irq_request, ~(unsigned)VCPU_REQ_STOP); /* it has: that is no work */
    if (!v->ops->has_work(v)) {
        return error_set(err, "processor %u waits for an interrupt, which 'cont' lets come", cpu);
    }
    for (unsigned i = 0; i < m->nvcpus; i++) {
        prepare(m, i, i == cpu ? &step : &hold);
    }
    machine_unlock(m);
    machine_set_running(m, true);
    bool done = vcpu_wait_held(v, 1000);
    machine_set_running(m, false);
    machine_lock(m);
    for (unsigned i = 0; i < m->nvcpus; i++) {
        forget_step(m, i);
        vcpu_hold(m->vcpus[i], false);
    }
    d->cpu[cpu].fresh = false; /* the client did not ask for it */
    d->cpu[cpu].stop = (struct debug_stop){.kind = DEBUG_STOP_PAUSE};
    atomic_fetch_and(&m->requests, ~(unsigned)REQUEST_DEBUG);
    return done || error_set(err, "the step of processor %u did not end within a second", cpu);
}

struct debug_stop debug_last_stop(struct machine *m, unsigned cpu, bool *fresh)
{
    struct debug_cpu *c = &m->debug->cpu[cpu];

    if (fresh) {
        *fresh = c->fresh;
        c->fresh = false;
    }
    return c->stop;
}

void debug_mark_fresh(struct machine *m, unsigned cpu)
{
    m->debug->cpu[cpu].fresh = true;
}

/* ---- machine.c ---- */

void debug_handle_stop(struct machine *m)
{
    struct debug *d = m->debug;

    if (!d->attached) {
        return;
    }
    machine_lock(m);
    if (!d->nonstop) {
        debug_halt(m);
    }
    d->client.stopped(d->client.opaque);
    machine_unlock(m);
}

void debug_was_reset(struct machine *m)
{
    for (unsigned i = 0; m->debug && i < m->nvcpus; i++) {
        m->debug->cpu[i].triple = m->debug->cpu[i].pass = false;
    }
}

void debug_paused(struct machine *m)
{
    struct debug *d = m->debug;

    if (!d || !d->attached) {
        return;
    }
    machine_lock(m);
    debug_halt(m);
    d->client.stopped(d->client.opaque);
    machine_unlock(m);
}

void debug_release_holds(struct machine *m)
{
    bool locked = exclusive_begin(m);

    for (unsigned i = 0; i < m->nvcpus; i++) {
        end_triple(m, i);
        forget_step(m, i);
        m->debug->cpu[i].fresh = false;
    }
    exclusive_end(m, locked);
    for (unsigned i = 0; i < m->nvcpus; i++) {
        vcpu_hold(m->vcpus[i], false);
    }
    purge(m);
}

/* ---- the vcpu's own thread ---- */

static bool stop_here(struct vcpu *v, const struct debug_stop *stop)
{
    struct debug_cpu *c = &debug_of(v)->cpu[v->index];

    c->stop = *stop;
    c->fresh = true;
    forget_step(v->machine, v->index);
    vcpu_hold_self(v);
    machine_request(v->machine, REQUEST_DEBUG, "%s", "");
    return true;
}

/* The step that begins now. */
static void begin_step(struct vcpu *v, struct debug_cpu *c, bool halted)
{
    struct debug *d = debug_of(v);

    c->begun = true;
    c->began_halted = halted;
    v->debug_step = d->mask_events && !halted ? VCPU_STEP_MASKED : VCPU_STEP;
    if (!halted) {
        tcg_run_single(v);
    }
    atomic_store(&v->exit_request, 1); /* come back after it */
}

/* The n-th breakpoint at addr, with a copy of its condition. */
static bool nth_break(struct debug *d, uint64_t addr, unsigned n, bool *hardware,
                      struct debug_condition **cond)
{
    bool found = false;

    pthread_mutex_lock(&d->lock);
    for (unsigned i = find_break(d, addr); i < d->nbreaks && d->breaks[i].addr == addr; i++) {
        const struct debug_break *b = &d->breaks[i];
        if (b->removed || n--) {
            continue;
        }
        found = true;
        *hardware = b->hardware;
        if (b->cond) {
            size_t size = sizeof(*b->cond) + b->cond->len;
            *cond = malloc(size);
            if (*cond) {
                memcpy(*cond, b->cond, size);
            }
        }
        break;
    }
    pthread_mutex_unlock(&d->lock);
    return found;
}

/* A breakpoint hit was noted: does it stop here? */
static bool take_break(struct vcpu *v, struct debug_cpu *c)
{
    struct debug *d = debug_of(v);
    struct debug_stop stop = {.kind = DEBUG_STOP_BREAK, .addr = c->break_at};
    bool hit = false;

    c->break_hit = false;
    if (v->ops->linear_pc(v) != c->break_at) {
        return false;
    }
    for (unsigned n = 0; !hit; n++) {
        struct debug_condition *cond = NULL;
        if (!nth_break(d, c->break_at, n, &stop.hardware, &cond)) {
            break;
        }
        /* Without the lock: it may read device memory. */
        hit = !cond || !d->client.condition || d->client.condition(d->client.opaque, v, cond);
        free(cond);
    }
    if (hit) {
        return stop_here(v, &stop);
    }
    c->skip = true; /* run the instruction this time */
    c->skip_at = c->break_at;
    return false;
}

bool debug_poll(struct vcpu *v, bool halted)
{
    struct debug *d = debug_of(v);

    if (!d || !(d->attached || d->cpu[v->index].stepping)) {
        return false;
    }
    struct debug_cpu *c = &d->cpu[v->index];
    if (c->watch_hit) {
        struct debug_stop stop = c->watch;
        return stop_here(v, &stop);
    }
    if (c->caught) {
        c->triple = c->vector == DEBUG_TRIPLE;
        c->pass = !c->triple;
        c->pass_at = v->ops->linear_pc(v);
        return stop_here(v, &(struct debug_stop){.kind = DEBUG_STOP_EXCEPTION, .addr = c->vector});
    }
    if (c->break_hit && take_break(v, c)) {
        return true;
    }
    if (!c->stepping) {
        return false;
    }
    uint64_t pc = v->ops->linear_pc(v);
    if (c->begun) {
        if (c->began_halted && halted) {
            return false; /* still waiting for something to happen */
        }
        c->begun = false;
        if (pc < c->start || pc >= c->end || halted) {
            return stop_here(v, &(struct debug_stop){.kind = DEBUG_STOP_STEP, .addr = pc});
        }
    } else if (!c->skip) {
        c->skip = true; /* the first instruction was asked for, breakpoint or not */
        c->skip_at = pc;
    }
    begin_step(v, c, halted);
    return false;
}

bool debug_break_possible(struct vcpu *v, uint64_t linear)
{
    struct debug *d = debug_of(v);
    uint64_t phys;
    bool found;

    if (!d || !d->nbreaks || !vcpu_fetch_ptr(v, linear, &phys)) {
        return d && d->nbreaks; /* device memory: its blocks are never kept */
    }
    pthread_mutex_lock(&d->lock);
    found = break_at(d, linear);
    phys &= ~UINT64_C(4095);
    for (struct binding *b = *bucket(d, phys); b && !found; b = b->next) {
        found = b->phys == phys && break_at(d, b->page | (linear & 4095));
    }
    pthread_mutex_unlock(&d->lock);
    return found;
}

void debug_check_break(struct vcpu *v, uint64_t linear)
{
    struct debug *d = debug_of(v);
    bool hit = false;

    if (!d || !d->attached) {
        return;
    }
    struct debug_cpu *c = &d->cpu[v->index];
    if (c->skip) {
        c->skip = false;
        if (c->skip_at == linear) {
            return;
        }
    }
    pthread_mutex_lock(&d->lock);
    for (unsigned i = find_break(d, linear); i < d->nbreaks && d->breaks[i].addr == linear; i++) {
        hit |= !d->breaks[i].removed;
    }
    pthread_mutex_unlock(&d->lock);
    if (hit) {
        c->break_hit = true;
        c->break_at = linear;
        atomic_store(&v->exit_request, 1);
        vcpu_unwind(v, false);
    }
}

bool debug_exception(struct vcpu *v, unsigned vector, char **text)
{
    struct debug *d = debug_of(v);

    if (!d || !d->attached || !(d->catch >> vector & 1)) {
        return false;
    }
    struct debug_cpu *c = &d->cpu[v->index];
    bool pass = c->pass && c->vector == vector && c->pass_at == v->ops->linear_pc(v);
    c->pass = false;
    if (pass) {
        return false;
    }
    c->caught = true;
    c->vector = vector;
    *text = c->text;
    atomic_store(&v->exit_request, 1);
    return true;
}

void debug_fault(struct vcpu *v)
{
    struct debug *d = debug_of(v);

    if (d && d->attached) {
        d->cpu[v->index].watch_hit = false;
        d->cpu[v->index].skip = false;
    }
}

void debug_watch_hit(struct vcpu *v, uint64_t va, uint64_t size, enum access acc, void *tag)
{
    struct debug *d = debug_of(v);
    const struct debug_watch *w = tag;

    (void)size;
    (void)acc;
    if (!d || !d->attached) {
        return;
    }
    if (v->in_tcg) {
        tcg_retry_single(v);
    }
    struct debug_cpu *c = &d->cpu[v->index];
    if (!c->watch_hit) {
        c->watch_hit = true;
        c->watch = (struct debug_stop){
            .kind = DEBUG_STOP_WATCH,
            .addr = va > w->addr ? va : w->addr,
            .hardware = true,
            .acc_mask = w->mask,
        };
    }
    atomic_store(&v->exit_request, 1);
}

void debug_code_page(struct vcpu *v, uint64_t page, uint64_t phys)
{
    struct debug *d = debug_of(v);
    struct binding **list = bucket(d, phys), *b;

    if (!d->nbreaks) {
        return;
    }
    pthread_mutex_lock(&d->lock);
    if (!page_has_breaks(d, page)) {
        pthread_mutex_unlock(&d->lock);
        return;
    }
    for (b = *list; b && (b->page != page || b->phys != phys); b = b->next) {
    }
    if (!b && (b = malloc(sizeof(*b)))) {
        *b = (struct binding){*list, page, phys};
        *list = b;
        tcg_invalidate(v->machine->tcg, phys, PAGE);
    }
    pthread_mutex_unlock(&d->lock);
}
