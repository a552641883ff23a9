/* The guest's page tables as a whole, as the processor would read them: info mem, info tlb, and
 * what is mapped around an address. Tables in device memory are not read. */
#include "control/monitor_internal.h"
#include "cpu/system.h"
#include "softmmu/memory.h"

#include <inttypes.h>

enum {
    PAGE_P = 1,
    PAGE_W = 2,
    PAGE_U = 4,
    PAGE_PWT = 8,
    PAGE_PCD = 16,
    PAGE_A = 32,
    PAGE_D = 64,
    PAGE_PS = 128,
    PAGE_G = 256
};
#define PAGE_NX      UINT64_C(0x8000000000000000)
#define PAGE_ADDRESS UINT64_C(0x000ffffffffff000)
enum { MAX_ENTRIES = 4 << 20, MAX_LINES = 100000 };

struct tables {
    struct machine *machine;
    FILE *out;
    unsigned entry_size, index_bits; /* 8 and 9, or 4 and 10 */
    unsigned long entries, lines;
    void (*page)(struct tables *t, uint64_t va, uint64_t size, uint64_t phys, uint64_t flags);
    void (*run)(struct tables *t);
    uint64_t start, end, flags; /* what adjoins with the same rights so far, for run() */
    uint64_t va;                /* what is looked for, and what was found */
    struct monitor_mapping found;
    bool sign; /* addresses above the middle are negative */
    unsigned width;
};

/* rights: W, U and not NX must be set on every level. */
static void walk_table(struct tables *t, uint64_t table, uint64_t va, unsigned level,
                       uint64_t rights)
{
    unsigned shift = 12 + t->index_bits * (level - 1),
             n = level == 3 && t->width == 32 ? 4 : 1u << t->index_bits;
    struct memory *mem = t->machine->memory;
    bool pae_top = level == 3 && t->width == 32;
    uint8_t raw[4096];

    if (!memory_read(mem, table, raw, (uint64_t)n * t->entry_size)) {
        return;
    }
    for (unsigned i = 0; i < n && t->entries < MAX_ENTRIES && t->lines < MAX_LINES; i++) {
        uint64_t e = 0, here = va | (uint64_t)i << shift;
        for (unsigned k = 0; k < t->entry_size; k++) {
            e |= (uint64_t)raw[i * t->entry_size + k] << 8 * k;
        }
        t->entries++;
        if (!(e & PAGE_P)) {
            continue;
        }
        if (t->sign && here >> (t->width - 1) & 1) {
            here |= ~UINT64_C(0) << (t->width - 1);
        }
        uint64_t r =
            pae_top ? rights : (rights & (e | ~(uint64_t)(PAGE_W | PAGE_U))) | (e & PAGE_NX);
        bool leaf = level == 1 || (!pae_top && level <= 3 && (e & PAGE_PS));
        if (leaf) {
            uint64_t phys = e & PAGE_ADDRESS & ~((UINT64_C(1) << shift) - 1);
            if (t->entry_size == 4) {
                phys = level == 2 ? (e & 0xffc00000) | (e & 0x1fe000) << 19 : e & 0xfffff000;
            }
            t->page(t, here, UINT64_C(1) << shift, phys,
                    (e & ~(uint64_t)(PAGE_W | PAGE_U | PAGE_NX)) | r);
        } else {
            walk_table(t, t->entry_size == 4 ? e & 0xfffff000 : e & PAGE_ADDRESS, here, level - 1,
                       r);
        }
    }
}

/* False: there is no paging. */
static bool walk_all(struct tables *t, struct x86_cpu *cpu)
{
    if (!x86_paging(cpu)) {
        return false;
    }
    bool lma = cpu->efer & EFER_LMA, pae = cpu->cr4 & CR4_PAE;
    unsigned levels = lma ? (cpu->cr4 & CR4_LA57 ? 5 : 4) : pae ? 3 : 2;
    t->entry_size = pae ? 8 : 4;
    t->index_bits = pae ? 9 : 10;
    t->width = lma ? 12 + 9 * levels : 32;
    t->sign = lma;
    walk_table(t,
               cpu->cr3 & (lma   ? PAGE_ADDRESS
                           : pae ? 0xffffffe0
                                 : 0xfffff000),
               0, levels, PAGE_W | PAGE_U);
    return true;
}

static void end_run(struct tables *t)
{
    if (t->end != t->start) {
        t->run(t);
    }
}

static void add_page(struct tables *t, uint64_t va, uint64_t size, uint64_t phys, uint64_t flags)
{
    (void)phys;
    flags &= PAGE_U | PAGE_W | PAGE_NX;
    if (va != t->end || flags != t->flags || t->start == t->end) {
        end_run(t);
        t->start = va;
        t->flags = flags;
    }
    t->end = va + size;
}

static void show(struct monitor_call *c, struct tables *t)
{
    struct x86_cpu *cpu = monitor_cpu(c);

    t->machine = c->machine;
    t->out = c->out;
    if (!cpu || !walk_all(t, cpu)) {
        fputs("PG disabled\n", c->out);
        return;
    }
    if (t->run) {
        end_run(t);
    }
    if (t->entries >= MAX_ENTRIES || t->lines >= MAX_LINES) {
        fputs("(the rest is left out: the tables are too large)\n", c->out);
    }
}

static void list_page(struct tables *t, uint64_t va, uint64_t size, uint64_t phys, uint64_t flags)
{
    static const struct {
        uint64_t bit;
        char letter;
    } letters[] = {{PAGE_NX, 'X'},  {PAGE_G, 'G'},   {PAGE_PS, 'P'}, {PAGE_D, 'D'}, {PAGE_A, 'A'},
                   {PAGE_PCD, 'C'}, {PAGE_PWT, 'T'}, {PAGE_U, 'U'},  {PAGE_W, 'W'}};
    FILE *out = t->out;

    fprintf(out, "%016" PRIx64 ": %016" PRIx64 " ", va, phys);
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        bool set = letters[i].bit == PAGE_PS ? size > 4096 : (flags & letters[i].bit) != 0;
        fputc(set ? letters[i].letter : '-', out);
    }
    fputs("\n", out);
    t->lines++;
}

void monitor_info_tlb(struct monitor_call *c)
{
    struct tables t = {.page = list_page};

    show(c, &t);
}

static void list_run(struct tables *t)
{
    fprintf(t->out, "%016" PRIx64 "-%016" PRIx64 " %016" PRIx64 " %cr%c%c\n", t->start, t->end,
            t->end - t->start, t->flags & PAGE_U ? 'u' : '-', t->flags & PAGE_W ? 'w' : '-',
            t->flags & PAGE_NX ? '-' : 'x');
    t->lines++;
}

void monitor_info_mem(struct monitor_call *c)
{
    struct tables t = {.page = add_page, .run = list_run};

    show(c, &t);
}

/* ---- one address ---- */

static void match_run(struct tables *t)
{
    struct monitor_mapping *f = &t->found;

    if (t->end - 1 < t->va) {
        f->start = t->end;
    } else if (t->start > t->va) {
        f->last = t->start - 1 < f->last ? t->start - 1 : f->last;
    } else {
        *f = (struct monitor_mapping){t->start, t->end - 1, true, t->flags & PAGE_W,
                                      !(t->flags & PAGE_NX)};
    }
}

/* Without paging: what the board has there. */
static struct monitor_mapping physical_mapping(struct machine *m, uint64_t at)
{
    struct monitor_mapping f = {0, UINT64_MAX, false, false, false};
    enum memory_kind kind;

    for (uint64_t start = 0, end; memory_next(m->memory, &start, &end, &kind); start = end) {
        if (start > at) {
            f.last = start - 1;
            break;
        }
        if (at < end) {
            return (struct monitor_mapping){start, end - 1, true, kind != MEMORY_ROM, true};
        }
        f.start = end;
    }
    return f;
}

struct monitor_mapping monitor_find_mapping(struct machine *m, unsigned cpu, uint64_t va)
{
    struct tables t = {.machine = m, .page = add_page, .run = match_run, .va = va};

    t.found.last = UINT64_MAX;
    if (!walk_all(&t, x86_cpu(m->vcpus[cpu]))) {
        return physical_mapping(m, va);
    }
    end_run(&t);
    return t.found;
}
