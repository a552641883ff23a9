/* The page walk against rules worked out by hand from the SDM, Vol. 3 chapter "Paging": formats,
 * rights, error codes, accessed and dirty bits, in all five modes. */
#include "tests/cpu/fake_softmmu.h"

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };
#define NX UINT64_C(0x8000000000000000)
enum { SUPER, USER, AC }; /* contexts */

static struct x86_cpu *c;
static struct walk out;

/* "ok", or the page fault's error code as text; other vectors negative. */
static int probe_walk(uint64_t va, enum access acc, unsigned ctx)
{
    memset(&out, 0, sizeof out);
    c->exc.cr2 = 0xdead;
    c->v.walk_epoch++; /* the tests change entries as they like: the INVLPG for that */
    if (x86_walk(&c->v, va, acc, ctx, false, &out)) {
        return -1;
    }
    return c->exc.vector == EXC_PF ? (int)c->exc.error : -(int)c->exc.vector - 100;
}
#define GP_FAULT (-EXC_GP - 100)

static void is(int got, int want, const char *what)
{
    if (!tap_ok(got == want, "%s", what)) {
        printf("# got %#x, want %#x\n", (unsigned)got, (unsigned)want);
    }
}

static void no_paging(void)
{
    c = fake_setup("max");
    is(probe_walk(0x123456789, ACCESS_WRITE, USER), -1, "no paging: everything is allowed");
    tap_ok(out.phys == 0x23456000 && out.write && out.fetch, "no paging: 32-bit identity");
    x86_set_a20(c, false);
    probe_walk(0x100000, ACCESS_READ, SUPER);
    tap_ok(out.phys == 0, "A20 off: bit 20 is masked");
    x86_set_a20(c, true);
}

/* ---- 32-bit ---- */

enum { PD = 0x1000, PT = 0x2000 };

static void setup_32(const char *model, uint32_t pde, uint32_t pte)
{
    c = fake_setup(model);
    c->cr0 |= CR0_PE | CR0_PG;
    c->cr3 = PD;
    fake_put(PD + 4 * 1, pde, 4); /* 0x400000.. */
    fake_put(PT + 4 * 3, pte, 4); /* 0x403000 */
}

static void rights_32(void)
{
    /* All combinations of the two levels' U and W, the access, the mode and WP. */
    unsigned wrong = 0;

    for (unsigned n = 0; n < 1 << 8; n++) {
        bool pu = n & 1, pw = n & 2, tu = n & 4, tw = n & 8, user = n & 16, wp = n & 32;
        enum access acc = n >> 6 == 3 ? ACCESS_READ : (enum access)(n >> 6);
        bool ok = user ? (pu && tu && (acc != ACCESS_WRITE || (pw && tw)))
                       : (acc != ACCESS_WRITE || !wp || (pw && tw));
        int want = ok ? -1 : 1 | (acc == ACCESS_WRITE ? 2 : 0) | (user ? 4 : 0);
        setup_32("pentium3", PT | P | (pu ? U : 0) | (pw ? W : 0),
                 0x5000 | P | (tu ? U : 0) | (tw ? W : 0));
        if (wp) {
            c->cr0 |= CR0_WP;
        }
        wrong += probe_walk(0x403123, acc, user) != want;
        uint64_t pte = fake_get(PT + 12, 4), ad = pte & (A | D);
        wrong += ad != (uint64_t)(ok ? A | (acc == ACCESS_WRITE ? D : 0) : 0);
        if (ok) {
            wrong += out.phys != 0x5000 || out.page_size != 4096;
            wrong += out.write && acc != ACCESS_WRITE; /* not before dirty is set */
        }
    }
    tap_ok(wrong == 0, "32-bit: rights of 256 combinations (%u wrong)", wrong);
}

static void format_32(void)
{
    setup_32("pentium3", PT | P | W | U, 0x5000 | P | W | U);
    is(probe_walk(0x404000, ACCESS_READ, USER), 4, "32-bit: PTE not present");
    is(probe_walk(0x800000, ACCESS_WRITE, SUPER), 2, "32-bit: PDE not present");
    tap_ok(c->exc.cr2 == 0x800000, "the fault's address is kept for CR2");
    is(fake_get(PD + 4, 4) & A, A, "accessed is set in a PDE that was passed");

    setup_32("pentium3", PT | P | W | U | PS, 0x5000 | P);
    is(probe_walk(0x403000, ACCESS_READ, SUPER), -1, "32-bit: PS without CR4.PSE is ignored");
    tap_ok(out.phys == 0x5000, "... the entry points to a table");
    setup_32("pentium3", 0x00800000 | P | W | U | PS | G, 0);
    c->cr4 = CR4_PSE;
    is(probe_walk(0x5ff123, ACCESS_WRITE, USER), -1, "32-bit: 4 MiB page");
    tap_ok(out.phys == 0x9ff000 && out.page_size == 4 << 20 && out.write, "... at its place");
    tap_ok(!out.global, "global needs CR4.PGE");
    is(fake_get(PD + 4, 4) & (A | D), A | D, "... accessed and dirty");
    c->cr4 |= CR4_PGE;
    probe_walk(0x5ff123, ACCESS_READ, USER);
    tap_ok(out.global, "global page");

    setup_32("pentium3", 0x00800000 | P | PS | 0xe000, 0);
    c->cr4 = CR4_PSE;
    is(probe_walk(0x400000, ACCESS_READ, SUPER), -1, "PSE-36");
    tap_ok(out.phys == UINT64_C(0x700800000), "... address bits 39:32");
    fake_put(PD + 4, 0x00800000 | P | PS | 0x20000, 4);
    is(probe_walk(0x400000, ACCESS_READ, SUPER), 9, "PSE-36: beyond 36 bits is reserved");
    fake_put(PD + 4, 0x00800000 | P | PS | 1 << 21, 4);
    is(probe_walk(0x400000, ACCESS_READ, SUPER), 9, "4 MiB page: bit 21 is reserved");
}

/* ---- PAE ---- */

enum { PDPT = 0x3000 };

static void setup_pae(uint64_t pdpte, uint64_t pde, uint64_t pte)
{
    c = fake_setup("max");
    c->cr0 |= CR0_PE | CR0_PG;
    c->cr4 = CR4_PAE;
    c->cr3 = PDPT + 0x20;
    fake_put(PDPT + 0x20 + 8 * 2, pdpte, 8); /* 0x80000000.. */
    fake_put(PD + 8 * 5, pde, 8);
    fake_put(PT + 8 * 7, pte, 8); /* 0x80a07000 */
}

static void pae(void)
{
    setup_pae(PD | P, PT | P | W | U, UINT64_C(0x312345000) | P | W | U);
    is(probe_walk(0x80a07000, ACCESS_READ, SUPER), 0,
       "PAE: PDPTEs are not read before CR3 is loaded");
    is(FAKE_TRY(x86_write_cr3(c, PDPT + 0x20)), -1, "PAE: CR3 loads them");
    is(probe_walk(0x80a07abc, ACCESS_READ, USER), -1, "PAE: page");
    tap_ok(out.phys == UINT64_C(0x312345000), "... beyond 4 GiB");
    is(probe_walk(0xc0000000, ACCESS_READ, SUPER), 0, "PAE: PDPTE not present");
    fake_put(PDPT + 0x20 + 16, PD | P | W, 8);
    is(FAKE_TRY(x86_write_cr3(c, PDPT + 0x20)), EXC_GP, "PAE: reserved bit in a PDPTE is #GP");
    tap_ok(c->pdpte[2] == (PD | P), "... and the old ones stay");

    setup_pae(PD | P, PT | P | W | U, 0x5000 | P | W | U | NX);
    x86_write_cr3(c, PDPT + 0x20);
    is(probe_walk(0x80a07000, ACCESS_READ, SUPER), 9, "PAE: bit 63 is reserved without NXE");
    c->efer = EFER_NXE;
    is(probe_walk(0x80a07000, ACCESS_READ, SUPER), -1, "PAE: NX page can be read");
    tap_ok(!out.fetch, "... not executed");
    is(probe_walk(0x80a07000, ACCESS_FETCH, SUPER), 0x11, "PAE: execution of an NX page");

    setup_pae(PD | P, 0x600000 | P | W | U | PS, 0);
    x86_write_cr3(c, PDPT + 0x20);
    is(probe_walk(0x80bff000, ACCESS_WRITE, USER), -1, "PAE: 2 MiB page");
    tap_ok(out.phys == 0x7ff000 && out.page_size == 2 << 20, "... at its place");
    fake_put(PD + 40, 0x600000 | P | PS | 0x2000, 8);
    is(probe_walk(0x80bff000, ACCESS_READ, SUPER), 9, "PAE: reserved bit of a 2 MiB page");
    fake_put(PD + 40, PT | P | UINT64_C(1) << 52, 8);
    is(probe_walk(0x80bff000, ACCESS_READ, SUPER), 9, "PAE: bits 62:52 are reserved");
}

/* ---- long mode ---- */

enum { PML5 = 0x4000, PML4 = 0x6000 };
#define VA UINT64_C(0xffff812345678000)

static uint64_t slot(uint64_t table, unsigned shift)
{
    return table + (VA >> shift & 0x1ff) * 8;
}

static void setup_long(const char *model)
{
    c = fake_setup(model);
    c->cr0 |= CR0_PE | CR0_PG | CR0_WP;
    c->cr4 = CR4_PAE;
    c->efer = EFER_LME | EFER_LMA | EFER_NXE;
    c->cr3 = PML4;
    fake_put(slot(PML4, 39), PDPT | P | W | U, 8);
    fake_put(slot(PDPT, 30), PD | P | W | U, 8);
    fake_put(slot(PD, 21), PT | P | W | U, 8);
    fake_put(slot(PT, 12), 0x200000 | P | W | U, 8);
}

static void long_mode(void)
{
    setup_long("max");
    is(probe_walk(VA | 0x123, ACCESS_WRITE, USER), -1, "4 levels: page");
    tap_ok(out.phys == 0x200000 && out.page_size == 4096 && out.write, "... at its place");
    is((int)(fake_get(slot(PML4, 39), 8) & fake_get(slot(PDPT, 30), 8) & fake_get(slot(PD, 21), 8) &
             A),
       A, "... accessed on all levels");
    is(probe_walk(UINT64_C(0x800000000000), ACCESS_READ, SUPER), GP_FAULT, "not canonical: #GP");
    is(probe_walk(UINT64_C(0xffff7fffffffffff), ACCESS_READ, SUPER), GP_FAULT,
       "... on either side");

    for (unsigned level = 0; level < 4; level++) {
        static const uint64_t table[] = {PT, PD, PDPT, PML4};
        setup_long("max");
        uint64_t at = slot(table[level], 12 + 9 * level), e = fake_get(at, 8);
        fake_put(at, e | UINT64_C(1) << 46, 8);
        is(probe_walk(VA, ACCESS_READ, USER), 0xd, "address bit beyond MAXPHYADDR is reserved");
        fake_put(at, e & ~(uint64_t)U, 8);
        is(probe_walk(VA, ACCESS_READ, USER), 5, "no U on one level");
        fake_put(at, e & ~(uint64_t)W, 8);
        is(probe_walk(VA, ACCESS_WRITE, SUPER), 3, "no W on one level, WP");
        fake_put(at, e | NX, 8);
        is(probe_walk(VA, ACCESS_FETCH, USER), 0x15, "NX on one level");
        fake_put(at, e & ~(uint64_t)P, 8);
        is(probe_walk(VA, ACCESS_FETCH, SUPER), 0x10, "not present on one level");
        fake_put(at, e | UINT64_C(0x7ff) << 52, 8);
        is(probe_walk(VA, ACCESS_READ, SUPER), -1, "bits 62:52 are ignored");
    }

    setup_long("max");
    fake_put(slot(PML4, 39), fake_get(slot(PML4, 39), 8) | PS, 8);
    is(probe_walk(VA, ACCESS_READ, SUPER), 9, "PS in a PML4E is reserved");
    setup_long("max");
    fake_put(slot(PDPT, 30), UINT64_C(0x140000000) | P | W | U | PS, 8);
    is(probe_walk(VA, ACCESS_READ, USER), -1, "1 GiB page");
    tap_ok(out.phys == UINT64_C(0x140000000) + (VA & 0x3ffff000) && out.page_size == 1 << 30,
           "... at its place");
    fake_put(slot(PDPT, 30), UINT64_C(0x150000000) | P | W | U | PS, 8);
    is(probe_walk(VA, ACCESS_READ, USER), 0xd, "1 GiB page: reserved address bits");
    setup_long("Nehalem");
    fake_put(slot(PDPT, 30), UINT64_C(0x140000000) | P | W | U | PS, 8);
    is(probe_walk(VA, ACCESS_READ, USER), 0xd, "1 GiB page without the feature is reserved");

    setup_long("max,+la57");
    c->cr4 |= CR4_LA57;
    c->cr3 = PML5;
    fake_put(slot(PML5, 48), PML4 | P | W | U, 8);
    is(probe_walk(VA, ACCESS_READ, USER), -1, "5 levels: page");
    is(probe_walk(UINT64_C(0xff00000000000000), ACCESS_READ, USER), 4,
       "5 levels: 57 bits are canonical");
    is(probe_walk(UINT64_C(0xfe00000000000000), ACCESS_READ, USER), GP_FAULT, "... 58 are not");
}

static void supervisor_mode_protection(void)
{
    setup_long("max");
    c->cr4 |= CR4_SMEP;
    is(probe_walk(VA, ACCESS_FETCH, SUPER), 0x11, "SMEP: supervisor executes a user page");
    is(probe_walk(VA, ACCESS_FETCH, USER), -1, "SMEP: the user may");
    setup_long("max");
    c->cr4 |= CR4_SMAP;
    is(probe_walk(VA, ACCESS_READ, SUPER), 1, "SMAP: supervisor reads a user page");
    is(probe_walk(VA, ACCESS_READ, AC), -1, "SMAP: may with AC set");
    is(probe_walk(VA, ACCESS_FETCH, SUPER), -1, "SMAP: does not mind execution");
    is(probe_walk(VA, ACCESS_WRITE, USER), -1, "SMAP: the user may");
    fake_put(slot(PT, 12), 0x200000 | P | W, 8);
    is(probe_walk(VA, ACCESS_WRITE, SUPER), -1, "SMAP: a supervisor page is no matter");
}

static void protection_keys(void)
{
    setup_long("max");
    c->cr4 |= CR4_PKE;
    fake_put(slot(PT, 12), 0x200000 | P | W | U | UINT64_C(5) << 59, 8);
    c->pkru = 1 << 10; /* AD of key 5 */
    is(probe_walk(VA, ACCESS_READ, USER), 0x25, "PKU: access disabled");
    is(probe_walk(VA, ACCESS_READ, SUPER), 0x21, "PKU: for the supervisor too");
    is(probe_walk(VA, ACCESS_FETCH, USER), -1, "PKU: execution is not affected");
    c->pkru = 2 << 10; /* WD */
    is(probe_walk(VA, ACCESS_READ, USER), -1, "PKU: write-disabled can be read");
    tap_ok(!out.write, "... and is not writable in the TLB");
    is(probe_walk(VA, ACCESS_WRITE, USER), 0x27, "PKU: write disabled");
    is(probe_walk(VA, ACCESS_WRITE, SUPER), 0x23, "PKU: for the supervisor with WP");
    c->cr0 &= ~(uint64_t)CR0_WP;
    is(probe_walk(VA, ACCESS_WRITE, SUPER), -1, "PKU: not without WP");
    fake_put(slot(PT, 12), 0x200000 | P | W | UINT64_C(5) << 59, 8);
    c->pkru = UINT32_MAX;
    is(probe_walk(VA, ACCESS_READ, SUPER), -1, "PKU: supervisor pages have no key");
}

static void accessed_dirty(void)
{
    setup_long("max");
    c->exc.vector = 77;
    tap_ok(x86_walk(&c->v, VA, ACCESS_WRITE, USER, true, &out), "probe succeeds");
    tap_ok(!((fake_get(slot(PML4, 39), 8) | fake_get(slot(PT, 12), 8)) & (A | D)),
           "... and marks nothing");
    tap_ok(!x86_walk(&c->v, VA + 4096, ACCESS_WRITE, USER, true, &out) && c->exc.vector == 77,
           "a failing probe records nothing");
    fake.races = 1;
    is(probe_walk(VA, ACCESS_WRITE, USER), -1, "an entry changed under the walk");
    is((int)(fake_get(slot(PML4, 39), 8) & 0xfff), P | W | U | A | 0x200,
       "... keeps the other's change");
    setup_long("max");
    fake.rom = 0x1000;
    is(probe_walk(VA, ACCESS_WRITE, USER), -1, "tables that cannot be written still map");
    setup_long("max");
    fake_put(slot(PT, 12), 0x200000 | P | W | U | A | D, 8);
    probe_walk(VA, ACCESS_READ, USER);
    tap_ok(out.write, "a dirty page is writable at once");
}

int main(void)
{
    no_paging();
    rights_32();
    format_32();
    pae();
    long_mode();
    supervisor_mode_protection();
    protection_keys();
    accessed_dirty();
    return tap_done();
}
