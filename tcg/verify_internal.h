/* What the files of verify=on share: verify.c (the two runs and their events), verify_state.c (the
 * processor), verify_memory.c (RAM), verify_report.c. */
#ifndef TCG_VERIFY_INTERNAL_H
#define TCG_VERIFY_INTERNAL_H

#include <setjmp.h>
#include <string.h>

#include "tcg/ir.h"
#include "tcg/vcpu.h"
#include "tcg/verify.h"

enum { PAGE = 4096, FLUSH_EVERY = 61, MAX_GUEST_STATE = 2048, MAX_PARTS = 24 };

struct state {
    uint64_t reg[TCG_REG_TEMP], flags, tb_flags;
    struct fpenv fp;
    unsigned fetch_ctx;
    union vreg vec[TCG_VREG_TEMP];
    uint8_t guest[MAX_GUEST_STATE];
};

/* A piece of the state that few blocks change: where it is in struct vcpu, and in struct state. */
struct part {
    size_t offset, size, saved;
};

enum how { LEFT, RETRIED, APART, FAULTED, DIVERGED };
struct outcome {
    enum how how;
    struct state s;
};

/* One call of a helper in the IR of some blocks. */
struct site {
    const struct ir_helper *real;
    struct ir_helper wrapped;
    int64_t imm;
    struct site *next;
};

enum event_kind { EV_CALL, EV_READ, EV_WRITE, EV_CODE };
struct event {
    enum event_kind kind;
    bool mapping; /* translations changed */
    bool unwound, deliver;
    bool guest_changed; /* CALL: guest's own state */
    const struct site *site;
    uint64_t arg[3], value; /* CALL */
    uint64_t phys;          /* the others */
    unsigned size, dropped;
    size_t before, after;       /* CALL: struct effects in the arena */
    size_t stores, nstores, to; /* CALL: in the undo log; the bytes that stand there at its end */
};

/* What a helper may change. */
struct effects {
    uint64_t reg[TCG_REG_TEMP], tb_flags;
    struct fpenv fp;
    unsigned fetch_ctx;
    uint8_t rest[]; /* the guest's state; all vectors, for those that say they touch them */
};

struct store {
    uint8_t *host;
    size_t size, at; /* at: in the arena, of what does not fit in ... */
    uint8_t old[32]; /* ... here */
};

enum page_copy { AFTER, BEFORE, NOW, NCOPIES }; /* the last two only to look into a difference */
struct page {
    uint8_t *host;
    uint64_t va;
    struct tlb_entry *entry;
    bool direct;
    uint8_t *copy[NCOPIES];
};

struct verify {
    struct vcpu *v;
    struct tcg *t;
    size_t guest_size;           /* bytes of state.guest in use */
    struct part part[MAX_PARTS]; /* the first one is vec */
    unsigned nparts, changed;    /* changed: bit n: the first run changed part n, first.s has it */
    bool active, replay, in_helper, mapping, pending_mapping, code_hit, failed, deliver;
    bool known; /* start is what the processor is */
    struct tb *block, *running;
    sigjmp_buf landing;
    struct state start;
    struct outcome first, second;
    const char *why; /* of a divergence */
    char what[160];

    uint8_t *arena;
    size_t used, cap;
    struct event *event;
    size_t nevents, cap_events, next_event;
    struct store *store;
    size_t nstores, cap_stores;
    struct page *page;
    size_t npages, cap_pages;
    struct event call; /* being recorded */
    struct site *sites[256];
    uint64_t blocks, races, partial;
};

static inline bool verify_is_lazy_flag(unsigned r)
{
    return r >= TCG_REG_CC_OP && r <= TCG_REG_CC_C;
}

/* memcpy by the library: gcc would make `rep movs` of a size that it knows, which takes longer to
 * begin than a few hundred bytes take to copy. */
static inline void verify_copy(void *to, const void *from, size_t size)
{
    __asm__("" : "+r"(size));
    memcpy(to, from, size);
}

/* ---- verify_state.c ---- */

void verify_state_layout(struct verify *y);
/* Where in state.guest the byte of struct vcpu at this offset is. */
size_t verify_guest_at(const struct verify *y, size_t offset);
/* All of it, to or from s. */
void verify_state_save(const struct verify *y, struct state *s);
void verify_state_load(const struct verify *y, const struct state *s);
/* start becomes what the processor is now. */
void verify_state_begin(struct verify *y);
/* The processor goes back to start, and first is what it was. plain: no part has changed. */
void verify_state_again(struct verify *y, bool plain);
/* start becomes what both runs have left. */
void verify_state_next(struct verify *y);
/* What the processor is now is what the first run left. */
bool verify_state_is_first(const struct verify *y);
/* first gets its unchanged parts, and flags, as start does. */
void verify_state_complete(struct verify *y);
/* The guest's own state; _same: as it is now. */
void verify_guest_save(const struct verify *y, uint8_t *to);
void verify_guest_load(const struct verify *y, const uint8_t *from);
bool verify_guest_same(const struct verify *y, const uint8_t *as);

/* ---- verify_memory.c ---- */

void *verify_grow(void *at, size_t *cap, size_t need, size_t each);
/* size bytes of the arena, 32-byte aligned, as an offset: it moves when it grows. */
size_t verify_arena_take(struct verify *y, size_t size);
/* Takes the first run's stores back. */
void verify_undo(struct verify *y);
/* Copies of the pages of the log, made of memory and put there. */
void verify_pages_keep(struct verify *y, enum page_copy which);
void verify_pages_put(struct verify *y, enum page_copy which);
/* Keeps what memory is NOW, and makes it what it was BEFORE the block, keeping that too. */
void verify_pages_rewind(struct verify *y);
/* After that: the first run's result stands; so does what another thread has written meanwhile. */
void verify_pages_take_first(struct verify *y);
/* The first byte of a page that is not what the first run left there; false: all are. */
bool verify_page_differs(const struct verify *y, size_t *page, unsigned *at);
/* Write tags for the pages of the log, or none again. */
void verify_write_tags(struct verify *y, bool on);
void verify_memory_free(struct verify *y);

/* ---- verify.c ---- */

/* The generated code did what the interpreter did not: ends its run. y->what has details. */
void verify_diverge(struct verify *y, const char *why) __attribute__((noreturn));

/* ---- verify_report.c ---- */

/* Says what differs, with the guest's code, IR and host code of tb. Registers and memory are those
 * of the block's start afterwards. */
void verify_report(struct verify *y, struct tb *tb);

#endif
