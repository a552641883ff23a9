/* The page walk: linear to physical in all paging modes, with every check and the accessed and
 * dirty bits.
 *
 * From the SDM, Vol. 3 chapter 5 "Paging" (4 in older editions): 32-bit paging with PSE and PSE-36,
 * PAE paging with the four PDPTE registers, 4-level and 5-level paging; access rights (5.6),
 * page-fault error codes (5.7), accessed and dirty flags (5.8), protection keys (5.6.2). Left out:
 * supervisor protection keys, shadow-stack pages, HLAT, EPT. Memory types (PAT, MTRR) mean nothing
 * here.
 *
 * Of the entries that lead to a page the accessed flag is set as the walk passes them, as
 * processors do; that of the page, and dirty, only when the access is allowed. */
#include "cpu/cpuid.h"
#include "cpu/system.h"
#include "softmmu/tlb.h"

#include <endian.h>

enum { /* bits of paging-structure entries */
       PTE_P = 1,
       PTE_W = 2,
       PTE_U = 4,
       PTE_A = 0x20,
       PTE_D = 0x40,
       PTE_PS = 0x80,
       PTE_G = 0x100,
};
#define PTE_NX UINT64_C(0x8000000000000000)

enum { /* page-fault error code */
       PF_P = 1,
       PF_W = 2,
       PF_U = 4,
       PF_RSVD = 8,
       PF_I = 16,
       PF_PK = 32,
};

#define ADDRESS_BITS UINT64_C(0x000ffffffffff000)

/* One walk. */
struct walker {
    struct x86_cpu *c;
    struct memory *mem;
    unsigned view;
    uint64_t va;
    enum access acc;
    bool user;         /* the access is a user-mode one */
    bool smap;         /* supervisor data accesses to user pages are refused */
    bool probe;        /* change nothing */
    bool restart;      /* an entry changed under us: walk again */
    uint64_t reserved; /* bits that must be clear in every 8-byte entry */
};

/* ---- failure ---- */

static __attribute__((noinline, cold)) bool fault(struct walker *w, uint32_t error)
{
    struct x86_cpu *c = w->c;

    if (w->probe) {
        return false;
    }
    if (w->acc == ACCESS_WRITE) {
        error |= PF_W;
    }
    if (w->user) {
        error |= PF_U;
    }
    if (w->acc == ACCESS_FETCH &&
        ((c->cr4 & CR4_SMEP) || ((c->cr4 & CR4_PAE) && (c->efer & EFER_NXE)))) {
        error |= PF_I;
    }
    c->exc.vector = EXC_PF;
    c->exc.has_error = true;
    c->exc.software = c->exc.int1 = c->exc.noncanonical = false;
    c->exc.error = error;
    c->exc.insn_len = 0;
    c->exc.cr2 = w->va;
    c->exc.dr6 = 0;
    log_at(x86_log(c), LOG_MMU, "cpu%u: page fault at %016llx error %02x cr3 %llx\n", c->v.index,
           (unsigned long long)w->va, error, (unsigned long long)c->cr3);
    return false;
}

static __attribute__((noinline, cold)) bool fault_noncanonical(struct walker *w)
{
    struct x86_cpu *c = w->c;

    if (!w->probe) {
        c->exc.vector = EXC_GP;
        c->exc.has_error = true;
        c->exc.software = c->exc.int1 = false;
        c->exc.error = 0;
        c->exc.insn_len = 0;
        c->exc.dr6 = 0;
        c->exc.noncanonical = w->acc != ACCESS_FETCH;
    }
    return false;
}

/* ---- entries ---- */

static uint64_t load_host64(const uint8_t *p)
{
    return le64toh(__atomic_load_n((const uint64_t *)(const void *)p, __ATOMIC_RELAXED));
}

static uint64_t load_entry(struct walker *w, uint64_t at, unsigned size)
{
    at &= w->c->a20_mask;
    const uint8_t *p = memory_view_ram(w->mem, w->view, at, size);
    if (!p) {
        return memory_view_load(w->mem, w->view, at, size);
    }
    return size == 8
               ? load_host64(p)
               : le32toh(__atomic_load_n((const uint32_t *)(const void *)p, __ATOMIC_RELAXED));
}

/* Sets bits in an entry that was read as *entry. False: somebody else changed it meanwhile. */
static __attribute__((noinline)) bool change_bits(struct walker *w, uint64_t at, unsigned size,
                                                  uint64_t *entry, uint64_t bits)
{
    uint64_t seen;

    at &= w->c->a20_mask;
    if (!memory_view_cmpxchg(w->mem, w->view, at, *entry, *entry | bits, size, &seen)) {
        if (seen != *entry) {
            w->restart = true;
            return false;
        }
        memory_view_store(w->mem, w->view, at, *entry | bits, size); /* tables in a device or ROM */
    }
    *entry |= bits;
    return true;
}

static inline bool set_bits(struct walker *w, uint64_t at, unsigned size, uint64_t *entry,
                            uint64_t bits)
{
    return w->probe || (*entry & bits) == bits || change_bits(w, at, size, entry, bits);
}

/* ---- the end of a walk: rights ---- */

struct leaf {
    uint64_t at, entry; /* address and value of the entry that maps the page */
    unsigned size;      /* of the entry: 4 or 8 bytes */
    uint64_t phys;      /* of the page */
    uint64_t page_size;
    uint64_t rights; /* U and W: AND over all levels; NX: OR */
};

/* rights: U and W, ANDed over all levels, and NX, ORed. */
static inline void allow(const struct x86_cpu *c, bool user, bool smap, uint64_t rights, bool *read,
                         bool *write, bool *fetch)
{
    bool upage = rights & PTE_U, wpage = rights & PTE_W, nx = rights & PTE_NX;

    if (user) {
        *read = upage;
        *write = upage && wpage;
        *fetch = upage && !nx;
    } else {
        *read = !(upage && smap);
        *write = *read && (wpage || !(c->cr0 & CR0_WP));
        *fetch = !nx && !(upage && (c->cr4 & CR4_SMEP));
    }
}

static inline __attribute__((always_inline)) bool finish(struct walker *w, struct leaf *l,
                                                         struct walk *out)
{
    struct x86_cpu *c = w->c;
    bool upage = l->rights & PTE_U;
    bool read, write, fetch;
    uint32_t error = PF_P;

    allow(c, w->user, w->smap, l->rights, &read, &write, &fetch);
    if ((c->cr4 & CR4_PKE) && upage && (c->efer & EFER_LMA)) {
        unsigned key = (unsigned)(l->entry >> 59) & 15, pk = c->pkru >> (2 * key) & 3;
        bool no_write = (pk & 2) && (w->user || (c->cr0 & CR0_WP));
        if ((w->acc == ACCESS_READ && (pk & 1)) ||
            (w->acc == ACCESS_WRITE && ((pk & 1) || no_write))) {
            error |= PF_PK;
        }
        if (pk & 1) {
            read = write = false;
        }
        if (no_write) {
            write = false;
        }
    }
    if (!(w->acc == ACCESS_READ ? read : w->acc == ACCESS_WRITE ? write : fetch)) {
        return fault(w, error);
    }
    if (!set_bits(w, l->at, l->size, &l->entry, PTE_A | (w->acc == ACCESS_WRITE ? PTE_D : 0))) {
        return false;
    }
    out->phys =
        ((l->phys & ~(l->page_size - 1)) | (w->va & (l->page_size - 1) & ~UINT64_C(0xfff))) &
        c->a20_mask;
    out->page_size = l->page_size;
    out->read = read;
    out->write = write && (l->entry & PTE_D);
    out->fetch = fetch;
    out->global = (l->entry & PTE_G) && (c->cr4 & CR4_PGE);
    return true;
}

/* ---- 32-bit paging ---- */

/* Physical address of a 4 MiB page: bits 20:13 of the entry are address bits 39:32 (PSE-36). Sets
 * *bad for bits beyond the processor's address width, and for bit 21. */
static uint64_t pse_address(const struct x86_cpu *c, uint64_t pde, bool *bad)
{
    uint64_t phys = pde & 0xffc00000;

    *bad = pde & (1u << 21);
    if (x86_model_has(c->model, X86F_PSE36)) {
        uint64_t high = (pde >> 13 & 0xff) << 32;
        *bad = *bad || (high & ~c->phys_mask);
        phys |= high;
    } else {
        *bad = *bad || (pde & 0x1fe000);
    }
    return phys;
}

static __attribute__((noinline)) bool walk_32(struct walker *w, struct walk *out)
{
    struct x86_cpu *c = w->c;
    uint32_t va = (uint32_t)w->va;
    uint64_t at = (c->cr3 & 0xfffff000) | (va >> 22) << 2, pde = load_entry(w, at, 4);
    struct leaf l = {.size = 4};

    if (!(pde & PTE_P)) {
        return fault(w, 0);
    }
    if ((pde & PTE_PS) && (c->cr4 & CR4_PSE)) {
        bool bad;
        l.phys = pse_address(c, pde, &bad);
        if (bad) {
            return fault(w, PF_P | PF_RSVD);
        }
        l.at = at;
        l.entry = pde;
        l.page_size = UINT64_C(1) << 22;
        l.rights = pde & (PTE_U | PTE_W);
        return finish(w, &l, out);
    }
    if (!set_bits(w, at, 4, &pde, PTE_A)) {
        return false;
    }
    l.at = (pde & 0xfffff000) | (va >> 12 & 0x3ff) << 2;
    l.entry = load_entry(w, l.at, 4);
    if (!(l.entry & PTE_P)) {
        return fault(w, 0);
    }
    l.phys = l.entry & 0xfffff000;
    l.page_size = 4096;
    l.rights = pde & l.entry & (PTE_U | PTE_W);
    return finish(w, &l, out);
}

/* ---- tables of 8-byte entries ---- */

/* The page tables walked last are remembered: an entry of a page directory may be cached by a
 * processor until something is invalidated (SDM volume 3, 5.10.3), here until any flush of this
 * vcpu's TLB. Entries that are not present, and large pages, never are. The entry's accessed flag
 * was set when it was walked. */
static void remember_table(struct walker *w, struct page_table_cache *pc, uint64_t table,
                           uint64_t rights)
{
    uint64_t phys = table & w->c->a20_mask;
    uint8_t *host = memory_view_ram(w->mem, w->view, phys, 4096);

    *pc = (struct page_table_cache){
        .epoch = w->c->v.walk_epoch,
        .cr3 = w->c->cr3,
        .va = w->va >> 21,
        .rights = rights,
        .reserved = w->reserved,
        .host = host,
        .view = w->view,
    };
}

/* Walks from the table at `table` on; its entries each map 1 << shift bytes. */
static inline __attribute__((always_inline)) bool walk_64(struct walker *w, uint64_t table,
                                                          unsigned shift, struct walk *out)
{
    struct x86_cpu *c = w->c;
    bool gib = x86_model_has(c->model, X86F_PDPE1GB);
    uint64_t both = PTE_U | PTE_W, nx = 0;
    struct leaf l = {.size = 8};
    struct page_table_cache *pc = &c->page_table;

    for (;; shift -= 9) {
        uint64_t at = table | (w->va >> shift & 0x1ff) << 3, entry = load_entry(w, at, 8);
        bool large = (entry & PTE_PS) && (shift == 21 || (shift == 30 && gib));

        if (!(entry & PTE_P)) {
            return fault(w, 0);
        }
        uint64_t reserved = w->reserved;
        if (large) {
            reserved |= ((UINT64_C(1) << shift) - 1) & ~UINT64_C(0x1fff);
        } else if (shift > 21) {
            reserved |= PTE_PS;
        }
        if (entry & reserved) {
            return fault(w, PF_P | PF_RSVD);
        }
        both &= entry;
        nx |= entry & PTE_NX;
        if (large || shift == 12) {
            l.at = at;
            l.entry = entry;
            l.page_size = UINT64_C(1) << shift;
            l.phys = entry & ADDRESS_BITS;
            l.rights = both | nx;
            return finish(w, &l, out);
        }
        if (!set_bits(w, at, 8, &entry, PTE_A)) {
            return false;
        }
        table = entry & ADDRESS_BITS;
        if (shift == 21 && !w->probe) {
            remember_table(w, pc, table, (both & (PTE_U | PTE_W)) | nx);
        }
    }
}

static __attribute__((noinline)) bool walk_pae(struct walker *w, struct walk *out)
{
    uint64_t pdpte = w->c->pdpte[w->va >> 30 & 3];

    if (!(pdpte & PTE_P)) {
        return fault(w, 0);
    }
    w->reserved |= UINT64_C(0x7ff0000000000000);
    return walk_64(w, pdpte & ADDRESS_BITS, 21, out);
}

/* The usual case: a 4 KiB page of the page table walked last, with nothing to refuse and nothing to
 * change. All else is left to the full walk. That the epoch is the same says that the mode is, too.
 */
static inline bool quick_walk(const struct x86_cpu *c, uint64_t va, enum access acc, unsigned ctx,
                              struct walk *out)
{
    const struct page_table_cache *pc = &c->page_table;
    uint64_t entry, want = PTE_P | PTE_A | (acc == ACCESS_WRITE ? PTE_D : 0);
    bool read, write, fetch;

    if (pc->va != va >> 21 || pc->epoch != c->v.walk_epoch || !pc->host || pc->cr3 != c->cr3 ||
        pc->view != (c->in_smm ? VIEW_SMM : VIEW_NORMAL) || (c->cr4 & CR4_PKE)) {
        return false;
    }
    entry = load_host64(pc->host + ((va >> 12 & 0x1ff) << 3));
    if ((entry & want) != want || (entry & pc->reserved)) {
        return false;
    }
    allow(c, ctx == 1, ctx == 0 && (c->cr4 & CR4_SMAP),
          (pc->rights & entry & (PTE_U | PTE_W)) | ((pc->rights | entry) & PTE_NX), &read, &write,
          &fetch);
    if (!(acc == ACCESS_READ ? read : acc == ACCESS_WRITE ? write : fetch)) {
        return false;
    }
    out->phys = entry & ADDRESS_BITS & c->a20_mask;
    out->page_size = 4096;
    out->read = read;
    out->write = write && (entry & PTE_D);
    out->fetch = fetch;
    out->global = (entry & PTE_G) && (c->cr4 & CR4_PGE);
    return true;
}

static __attribute__((noinline)) bool full_walk(struct vcpu *v, uint64_t va, enum access acc,
                                                unsigned ctx, bool probe, struct walk *out);

bool x86_walk(struct vcpu *v, uint64_t va, enum access acc, unsigned ctx, bool probe,
              struct walk *out)
{
    return (!probe && quick_walk(x86_cpu(v), va, acc, ctx, out)) ||
           full_walk(v, va, acc, ctx, probe, out);
}

static bool full_walk(struct vcpu *v, uint64_t va, enum access acc, unsigned ctx, bool probe,
                      struct walk *out)
{
    struct x86_cpu *c = x86_cpu(v);
    struct walker w = {
        .c = c,
        .mem = v->machine->memory,
        .view = c->in_smm ? VIEW_SMM : VIEW_NORMAL,
        .va = va,
        .acc = acc,
        .user = ctx == 1,
        .smap = ctx == 0 && (c->cr4 & CR4_SMAP),
        .probe = probe,
        .reserved = ADDRESS_BITS & ~c->phys_mask,
    };
    bool ok;

    if (!x86_paging(c)) {
        *out = (struct walk){
            .phys = va & UINT64_C(0xfffff000) & c->a20_mask,
            .page_size = 4096,
            .read = true,
            .write = true,
            .fetch = true,
        };
        return true;
    }
    if (!(c->efer & EFER_NXE)) {
        w.reserved |= PTE_NX;
    }
    do {
        w.restart = false;
        if (c->efer & EFER_LMA) {
            if (!x86_canonical(c, va)) {
                return fault_noncanonical(&w);
            }
            ok = walk_64(&w, c->cr3 & ADDRESS_BITS, c->cr4 & CR4_LA57 ? 48 : 39, out);
        } else if (c->cr4 & CR4_PAE) {
            ok = walk_pae(&w, out);
        } else {
            ok = walk_32(&w, out);
        }
    } while (w.restart);
    return ok;
}

void x86_load_pdptes(struct x86_cpu *c, uint64_t cr3)
{
    uint64_t pdpte[4], reserved = (~c->phys_mask & ~UINT64_C(0)) | 0x1e6;

    for (unsigned n = 0; n < 4; n++) {
        uint64_t at = ((cr3 & 0xffffffe0) + 8 * n) & c->a20_mask;
        pdpte[n] =
            memory_view_load(c->v.machine->memory, c->in_smm ? VIEW_SMM : VIEW_NORMAL, at, 8);
        if ((pdpte[n] & PTE_P) && (pdpte[n] & reserved)) {
            x86_raise_error(c, EXC_GP, 0);
        }
    }
    for (unsigned n = 0; n < 4; n++) {
        c->pdpte[n] = pdpte[n];
    }
}
