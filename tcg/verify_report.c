/* What verify=on prints when interpreter and code generator differ. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "tcg/tb.h"
#include "tcg/verify_internal.h"

static const char *const how_text[] = {"left to the next block", "left to run an instruction alone",
                                       "left to run without groups of accesses",
                                       "left by an exception", "stopped: see above"};

static void show(FILE *out, const char *name, unsigned index, uint64_t start, uint64_t a,
                 uint64_t b)
{
    char label[48];

    snprintf(label, sizeof(label), index == UINT32_MAX ? "%s" : "%s%u", name, index);
    fprintf(out, "%c %-14s %016" PRIx64 "  %016" PRIx64 "  %016" PRIx64 "\n", a == b ? ' ' : '*',
            label, start, a, b);
}

static void show_guest(const struct verify *y, FILE *out)
{
    for (const struct guest_state *p = y->v->ops->state; p && p->size; p++) {
        size_t at = verify_guest_at(y, p->offset);
        const uint8_t *a = y->first.s.guest + at, *b = y->second.s.guest + at;
        for (size_t k = 0; k < p->size; k += 8) {
            size_t n = p->size - k < 8 ? p->size - k : 8;
            uint64_t x[3] = {0};
            if (memcmp(a + k, b + k, n)) {
                memcpy(&x[0], y->start.guest + at + k, n);
                memcpy(&x[1], a + k, n);
                memcpy(&x[2], b + k, n);
                show(out, p->name, p->size > 8 ? (unsigned)(k / 8) : UINT32_MAX, x[0], x[1], x[2]);
            }
        }
    }
}

static void show_states(struct verify *y, FILE *out)
{
    const struct state *s = &y->start, *a = &y->first.s, *b = &y->second.s;
    size_t page;
    unsigned at;

    fprintf(out, "  %-14s %-16s  %-16s  %-16s\n", "", "before", "interpreter", "code generator");
    for (unsigned r = 0; r < TCG_REG_TEMP; r++) {
        const char *name = y->v->ops->reg_name ? y->v->ops->reg_name(r) : NULL;
        if (!verify_is_lazy_flag(r) && (name || a->reg[r] != b->reg[r])) {
            show(out, name ? name : "reg", name ? UINT32_MAX : r, s->reg[r], a->reg[r], b->reg[r]);
        }
    }
    show(out, "flags", UINT32_MAX, s->flags, a->flags, b->flags);
    show(out, "key", UINT32_MAX, s->tb_flags, a->tb_flags, b->tb_flags);
    show(out, "fp flags", UINT32_MAX, s->fp.flags, a->fp.flags, b->fp.flags);
    for (unsigned r = 0; r < TCG_VREG_TEMP; r++) {
        for (unsigned k = 0; k < 4; k++) {
            if (a->vec[r].q[k] != b->vec[r].q[k]) {
                char name[24];
                snprintf(name, sizeof(name), "vec%u.", r);
                show(out, name, k, s->vec[r].q[k], a->vec[r].q[k], b->vec[r].q[k]);
            }
        }
    }
    show_guest(y, out);
    if (verify_page_differs(y, &page, &at)) {
        const struct page *p = &y->page[page];
        fprintf(
            out, "* memory at 0x%" PRIx64 ": before %02x, interpreter %02x, code generator %02x\n",
            p->va + at, p->copy[BEFORE] ? p->copy[BEFORE][at] : 0, p->copy[AFTER][at], p->host[at]);
    }
}

/* The IR is made anew: it is not kept. */
static void show_code(struct verify *y, const struct tb *tb, FILE *out)
{
    struct vcpu *v = y->v;
    struct ir *ir = &v->tcg_cpu->ir;
    struct translate_request req = {.pc = y->start.reg[TCG_REG_PC],
                                    .linear = 0,
                                    .flags = tb->flags,
                                    .max_insns = tb->cached ? y->t->max_insns : 1,
                                    .long_blocks = tb->cached};

    y->active = true; /* a fault ends the listing */
    if (!sigsetjmp(y->landing, 0)) {
        req.linear = v->ops->linear_pc(v);
        ir_reset(ir);
        v->ops->translate(v, &req, ir);
        tcg_list_guest(v, &req, ir, out);
        ir->flags = tb->flags;
        ir->fp80 = v->ops->fp80;
        ir_optimize(ir);
        fprintf(out, "OP after optimization: pc 0x%" PRIx64 "%s\n", req.pc,
                ir->ninsns == tb->ninsns ? "" : " (of another length now)");
        ir_dump(ir, v->ops, out);
    }
    y->active = false;
    if (v->exec->list) {
        fprintf(out, "OUT: %u bytes\n", tb->code_size);
        v->exec->list(tb, out);
    }
}

void verify_report(struct verify *y, struct tb *tb)
{
    FILE *out = y->t->log_out ? y->t->log_out : stderr;

    fprintf(out,
            "dragoman: verify: interpreter and code generator differ in the block at pc 0x%" PRIx64
            " (%u instructions, block %" PRIu64 " of this run)\n",
            y->start.reg[TCG_REG_PC], tb->ninsns, y->blocks);
    if (y->second.how == DIVERGED) {
        fprintf(out, "code generator: %s: %s\n", y->why, y->what);
    }
    fprintf(out, "interpreter: %s; code generator: %s\n", how_text[y->first.how],
            how_text[y->second.how]);
    show_states(y, out);
    verify_pages_put(y, BEFORE);
    verify_state_load(y, &y->start);
    show_code(y, tb, out);
    fflush(out);
    if (out != stderr) {
        fprintf(stderr,
                "dragoman: verify: interpreter and code generator differ at pc 0x%" PRIx64
                "; see the log\n",
                y->start.reg[TCG_REG_PC]);
    }
}
