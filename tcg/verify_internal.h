/* What verify.c and verify_report.c share. */
#ifndef TCG_VERIFY_INTERNAL_H
#define TCG_VERIFY_INTERNAL_H

#include <setjmp.h>

#include "tcg/ir.h"
#include "tcg/vcpu.h"
#include "tcg/verify.h"

enum { PAGE = 4096, FLUSH_EVERY = 61, MAX_GUEST_STATE = 2048 };

struct state {
    uint64_t reg[TCG_REG_TEMP], flags, tb_flags;
    union vreg vec[TCG_VREG_TEMP];
    struct fpenv fp;
    unsigned fetch_ctx;
    uint8_t guest[MAX_GUEST_STATE];
};

enum how { LEFT, RETRIED, FAULTED, DIVERGED };
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
    const struct site *site;
    uint64_t arg[3], value; /* CALL */
    uint64_t phys;          /* the others */
    unsigned size, dropped;
    size_t before, after;       /* CALL: struct effects in the arena */
    size_t stores, nstores, to; /* CALL: in the undo log; the bytes that stand there at its end */
};

/* What a helper may change; vec only for those that say so. */
struct effects {
    uint64_t reg[TCG_REG_TEMP], tb_flags;
    struct fpenv fp;
    unsigned fetch_ctx;
    uint8_t guest[MAX_GUEST_STATE];
    uint8_t vec[TCG_NVREGS * sizeof(union vreg)];
};

struct store {
    uint8_t *host;
    size_t size, old; /* in the arena */
};

struct page {
    uint8_t *host;
    uint64_t va;
    struct tlb_entry *entry;
    bool direct;
    uint8_t *after, *before, *now; /* copies; the last two only to look into a difference */
};

struct verify {
    struct vcpu *v;
    struct tcg *t;
    size_t guest_size; /* bytes of state.guest in use */
    bool active, replay, in_helper, mapping, pending_mapping, code_hit, failed, deliver;
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

/* The first byte of a page that is not what the first run left there; false: all are. */
bool verify_page_differs(struct verify *y, size_t *page, unsigned *at);
void verify_state_load(const struct verify *y, const struct state *s);
/* Says what differs, with the guest's code, IR and host code of tb. Registers and memory are those
 * of the block's start afterwards. */
void verify_report(struct verify *y, struct tb *tb);

#endif
