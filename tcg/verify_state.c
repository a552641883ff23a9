/* verify=on: the processor's state of before a block, of after the interpreter's run, and of now.
 *
 * Most blocks change integer registers only. So the others, a few kilobytes, are compared first and
 * copied only when they differ: `start` is always whole, but a part of `first` means something only
 * where the interpreter's run changed that part. */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "tcg/verify_internal.h"

static uint8_t *part_of(const struct verify *y, const struct part *p)
{
    return (uint8_t *)y->v + p->offset;
}

/* The guest's pieces, joined where nothing but padding is between them. */
void verify_state_layout(struct verify *y)
{
    size_t at = 0;
    struct part *p = y->part;

    *p++ = (struct part){offsetof(struct vcpu, vec), sizeof(y->start.vec),
                         offsetof(struct state, vec)};
    for (const struct guest_state *g = y->v->ops->state; g && g->size; g++) {
        const struct part *last = p - 1;
        size_t gap = g->offset - (last->offset + last->size);
        if (last > y->part && g->offset >= last->offset + last->size && gap < 8) {
            at += gap + g->size;
            p[-1].size += gap + g->size;
        } else {
            assert(p < y->part + MAX_PARTS);
            *p++ = (struct part){g->offset, g->size, offsetof(struct state, guest) + at};
            at += g->size;
        }
    }
    y->nparts = (unsigned)(p - y->part);
    y->guest_size = at;
    assert(at <= MAX_GUEST_STATE);
}

size_t verify_guest_at(const struct verify *y, size_t offset)
{
    const struct part *p = &y->part[1];

    while (offset - p->offset >= p->size) {
        p++;
    }
    return p->saved - offsetof(struct state, guest) + (offset - p->offset);
}

void verify_guest_save(const struct verify *y, uint8_t *to)
{
    for (unsigned n = 1; n < y->nparts; n++) {
        memcpy(to, part_of(y, &y->part[n]), y->part[n].size);
        to += y->part[n].size;
    }
}

bool verify_guest_same(const struct verify *y, const uint8_t *as)
{
    for (unsigned n = 1; n < y->nparts; n++) {
        if (memcmp(as, part_of(y, &y->part[n]), y->part[n].size) != 0) {
            return false;
        }
        as += y->part[n].size;
    }
    return true;
}

void verify_guest_load(const struct verify *y, const uint8_t *from)
{
    for (unsigned n = 1; n < y->nparts; n++) {
        memcpy(part_of(y, &y->part[n]), from, y->part[n].size);
        from += y->part[n].size;
    }
}

static void save_small(const struct verify *y, struct state *s)
{
    const struct vcpu *v = y->v;

    verify_copy(s->reg, v->reg, sizeof(s->reg));
    s->fp = v->fp;
    s->tb_flags = v->tb_flags;
    s->fetch_ctx = v->fetch_ctx;
}

static void load_small(const struct verify *y, const struct state *s)
{
    struct vcpu *v = y->v;

    verify_copy(v->reg, s->reg, sizeof(s->reg));
    v->fp = s->fp;
    v->tb_flags = s->tb_flags;
    v->fetch_ctx = s->fetch_ctx;
}

static uint64_t flags_now(const struct verify *y)
{
    return y->v->ops->flags ? y->v->ops->flags(y->v) : 0;
}

void verify_state_save(const struct verify *y, struct state *s)
{
    save_small(y, s);
    for (unsigned n = 0; n < y->nparts; n++) {
        memcpy((uint8_t *)s + y->part[n].saved, part_of(y, &y->part[n]), y->part[n].size);
    }
    s->flags = flags_now(y);
}

void verify_state_load(const struct verify *y, const struct state *s)
{
    load_small(y, s);
    for (unsigned n = 0; n < y->nparts; n++) {
        memcpy(part_of(y, &y->part[n]), (const uint8_t *)s + y->part[n].saved, y->part[n].size);
    }
}

void verify_state_begin(struct verify *y)
{
    save_small(y, &y->start);
    for (unsigned n = 0; n < y->nparts; n++) {
        uint8_t *start = (uint8_t *)&y->start + y->part[n].saved, *now = part_of(y, &y->part[n]);
        if (memcmp(start, now, y->part[n].size) != 0) {
            memcpy(start, now, y->part[n].size);
        }
    }
}

void verify_state_again(struct verify *y, bool plain)
{
    save_small(y, &y->first.s);
    load_small(y, &y->start);
    y->changed = 0;
    for (unsigned n = 0; n < y->nparts && !plain; n++) {
        size_t at = y->part[n].saved, size = y->part[n].size;
        uint8_t *start = (uint8_t *)&y->start + at, *now = part_of(y, &y->part[n]);
        if (memcmp(start, now, size) != 0) {
            memcpy((uint8_t *)&y->first.s + at, now, size);
            memcpy(now, start, size);
            y->changed |= 1u << n;
        }
    }
}

void verify_state_next(struct verify *y)
{
    save_small(y, &y->start);
    for (unsigned n = 0; n < y->nparts && y->changed; n++) {
        if (y->changed >> n & 1) {
            memcpy((uint8_t *)&y->start + y->part[n].saved, part_of(y, &y->part[n]),
                   y->part[n].size);
        }
    }
}

/* With the lazy flags that the interpreter left, all else being equal. */
static uint64_t flags_of_first(const struct verify *y)
{
    uint64_t *now = &y->v->reg[TCG_REG_CC_OP], mine[TCG_REG_GUEST - TCG_REG_CC_OP], flags;

    memcpy(mine, now, sizeof(mine));
    memcpy(now, &y->first.s.reg[TCG_REG_CC_OP], sizeof(mine));
    flags = flags_now(y);
    memcpy(now, mine, sizeof(mine));
    return flags;
}

static bool same_fp(const struct fpenv *a, const struct fpenv *b)
{
    return a->flags == b->flags && a->round == b->round && a->masks == b->masks &&
           a->daz == b->daz && a->ftz == b->ftz;
}

bool verify_state_is_first(const struct verify *y)
{
    const struct vcpu *v = y->v;
    const struct state *s = &y->first.s;

    if (memcmp(v->reg, s->reg, TCG_REG_CC_OP * sizeof(s->reg[0])) != 0 ||
        memcmp(&v->reg[TCG_REG_GUEST], &s->reg[TCG_REG_GUEST],
               (TCG_REG_TEMP - TCG_REG_GUEST) * sizeof(s->reg[0])) != 0 ||
        v->tb_flags != s->tb_flags || v->fetch_ctx != s->fetch_ctx || !same_fp(&v->fp, &s->fp)) {
        return false;
    }
    for (unsigned n = 0; n < y->nparts; n++) {
        const struct state *from = y->changed >> n & 1 ? s : &y->start;
        if (memcmp(part_of(y, &y->part[n]), (const uint8_t *)from + y->part[n].saved,
                   y->part[n].size) != 0) {
            return false;
        }
    }
    return memcmp(&v->reg[TCG_REG_CC_OP], &s->reg[TCG_REG_CC_OP],
                  (TCG_REG_GUEST - TCG_REG_CC_OP) * sizeof(s->reg[0])) == 0 ||
           flags_now(y) == flags_of_first(y);
}

void verify_state_complete(struct verify *y)
{
    struct state now;

    for (unsigned n = 0; n < y->nparts; n++) {
        if (!(y->changed >> n & 1)) {
            memcpy((uint8_t *)&y->first.s + y->part[n].saved,
                   (const uint8_t *)&y->start + y->part[n].saved, y->part[n].size);
        }
    }
    y->changed = (1u << y->nparts) - 1;
    verify_state_save(y, &now);
    verify_state_load(y, &y->start);
    y->start.flags = flags_now(y);
    verify_state_load(y, &y->first.s);
    y->first.s.flags = flags_now(y);
    verify_state_load(y, &now);
}
