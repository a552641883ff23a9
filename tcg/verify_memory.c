/* verify=on: what a block does to RAM. The interpreter's run logs its stores with what was there
 * before; afterwards the pages written are kept whole, so that a byte which only the generated code
 * changed is found too. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tcg/verify_internal.h"

void *verify_grow(void *at, size_t *cap, size_t need, size_t each)
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

size_t verify_arena_take(struct verify *y, size_t size)
{
    size_t at = (y->used + 31) & ~(size_t)31;

    y->arena = verify_grow(y->arena, &y->cap, at + size, 1);
    y->used = at + size;
    return at;
}

static struct page *page_of(struct verify *y, const uint8_t *host)
{
    for (size_t i = y->npages; i--;) {
        if (y->page[i].host == host) {
            return &y->page[i];
        }
    }
    return NULL;
}

static struct page *add_page(struct verify *y)
{
    size_t cap = y->cap_pages;

    if (y->npages == cap) {
        y->page = verify_grow(y->page, &y->cap_pages, cap + 1, sizeof(*y->page));
        memset(&y->page[cap], 0, (y->cap_pages - cap) * sizeof(*y->page));
    }
    return &y->page[y->npages++];
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
            verify_diverge(y, "a store to a page that the interpreter did not write");
        }
        return;
    }
    if (!p) {
        p = add_page(y);
        p->host = host - (va & (PAGE - 1));
        p->va = va & ~(uint64_t)(PAGE - 1);
        p->entry = e;
        p->direct = direct;
    }
    p->direct = p->direct && direct && p->entry == e;
    if (y->nstores == y->cap_stores) {
        y->store = verify_grow(y->store, &y->cap_stores, y->nstores + 1, sizeof(*y->store));
    }
    s = &y->store[y->nstores++];
    s->host = host;
    s->size = size;
    if (size == 8) { /* nearly always */
        memcpy(s->old, host, 8);
    } else if (size <= sizeof(s->old)) {
        memcpy(s->old, host, size);
    } else {
        s->at = verify_arena_take(y, size);
        memcpy(y->arena + s->at, host, size);
    }
}

void verify_undo(struct verify *y)
{
    for (size_t i = y->nstores; i--;) {
        const struct store *s = &y->store[i];
        if (s->size == 8) {
            memcpy(s->host, s->old, 8);
        } else {
            memcpy(s->host, s->size <= sizeof(s->old) ? s->old : y->arena + s->at, s->size);
        }
    }
}

void verify_pages_keep(struct verify *y, enum page_copy which)
{
    for (size_t i = 0; i < y->npages; i++) {
        uint8_t **copy = &y->page[i].copy[which];
        if (!*copy && !(*copy = aligned_alloc(64, PAGE))) {
            abort();
        }
        verify_copy(*copy, y->page[i].host, PAGE);
    }
}

void verify_pages_put(struct verify *y, enum page_copy which)
{
    for (size_t i = 0; i < y->npages; i++) {
        verify_copy(y->page[i].host, y->page[i].copy[which], PAGE);
    }
}

void verify_pages_rewind(struct verify *y)
{
    verify_pages_keep(y, NOW);
    verify_pages_put(y, AFTER);
    verify_undo(y);
    verify_pages_keep(y, BEFORE);
}

void verify_pages_take_first(struct verify *y)
{
    for (size_t i = 0; i < y->npages; i++) {
        const struct page *p = &y->page[i];
        for (unsigned k = 0; k < PAGE; k++) {
            p->host[k] =
                p->copy[AFTER][k] == p->copy[BEFORE][k] ? p->copy[NOW][k] : p->copy[AFTER][k];
        }
    }
    for (size_t i = 0; i < y->nstores; i++) {
        size_t at = (uintptr_t)y->store[i].host & (PAGE - 1);
        const struct page *p = page_of(y, y->store[i].host - at);
        memcpy(y->store[i].host, p->copy[AFTER] + at, y->store[i].size);
    }
}

bool verify_page_differs(const struct verify *y, size_t *page, unsigned *at)
{
    for (size_t i = 0; i < y->npages; i++) {
        const uint8_t *after = y->page[i].copy[AFTER], *now = y->page[i].host;
        if (memcmp(now, after, PAGE) != 0) {
            *page = i;
            for (*at = 0; now[*at] == after[*at]; ++*at) {
            }
            return true;
        }
    }
    return false;
}

void verify_write_tags(struct verify *y, bool on)
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

void verify_memory_free(struct verify *y)
{
    for (size_t i = 0; i < y->cap_pages; i++) {
        for (unsigned n = 0; n < NCOPIES; n++) {
            free(y->page[i].copy[n]);
        }
    }
    free(y->page);
    free(y->store);
    free(y->arena);
}
