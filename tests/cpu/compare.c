/* The comparison of a native result with an emulated one, see compare.h. What is left out of it is
 * declared row by row: flags by the `u` of the opcode tables, the rest in rules.def; or it is one
 * of the few below that belong to the host's kernel. */
#include "tests/cpu/compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cpu/x86.h"
#include "tests/cpu/disassemble.h"

static const char *const reg_names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

/* ---- flags ---- */

static uint32_t flag_mask(const struct code *c, const struct native_case *k,
                          const struct native_result *r)
{
    uint32_t undefined = c->ever;
    uint64_t start = c->g.at + (c->g.bits == 16 ? 0 : NATIVE_CODE);

    if (!c->sequence) {
        bool began = r->vector == EXC_BP || r->vector == EXC_DB || r->rip != start;
        undefined = 0;
        if (began) {
            generate_undefined(c, k, &undefined);
        }
    } else if (r->vector == EXC_BP && r->rip == start + c->g.len + 1) {
        undefined = c->undefined;
    } else {
        for (unsigned n = 0; n < c->ninsns; n++) {
            if (r->rip == start + c->insn[n].at) {
                undefined = c->insn[n].before;
            }
        }
    }
    if ((c->rules & RULE_FAULTFLAGS) && r->vector != EXC_BP) {
        undefined = FL_STATUS;
    }
    return (FL_STATUS & ~undefined) | FL_DF | FL_TF | FL_NT | FL_ID | FL_AC;
}

/* Bits of the error code that mean the same on both sides: of addresses in the kernel's half Linux
 * always says that they are present. */
static uint32_t error_mask(const struct native_result *r)
{
    if (r->vector != EXC_PF) {
        return UINT32_MAX;
    }
    return r->cr2 >= UINT64_C(0x7ffffffff000) ? 0x16 : 0x17;
}

/* ---- almost equal ---- */

static bool near_single(uint32_t a, uint32_t b)
{
    float x, y;

    if (a == b) {
        return true;
    }
    memcpy(&x, &a, 4);
    memcpy(&y, &b, 4);
    return isfinite(x) && isfinite(y) && fabs((double)x - y) <= 3.0 / 4096 * fabs((double)x);
}

static bool both_quiet_nans(uint32_t a, uint32_t b)
{
    return (a & 0x7fc00000) == 0x7fc00000 && (b & 0x7fc00000) == 0x7fc00000;
}

static bool quiet_double(const uint32_t *x)
{
    return (x[1] & 0x7ff80000) == 0x7ff80000;
}

static bool near_lanes(uint32_t rules, const void *a, const void *b, unsigned count)
{
    const uint32_t *x = a, *y = b;

    for (unsigned n = 0; n < count; n++) {
        if ((rules & RULE_NAN) && quiet_double(x + (n & ~1u)) && quiet_double(y + (n & ~1u))) {
            continue;
        }
        if (x[n] != y[n] && !((rules & RULE_APPROX) && near_single(x[n], y[n])) &&
            !((rules & RULE_NAN) && both_quiet_nans(x[n], y[n]))) {
            return false;
        }
    }
    return true;
}

static bool near_vectors(uint32_t rules, const struct native_fx *a, const struct native_fx *b)
{
    return near_lanes(rules, a->xmm, b->xmm, 64) && near_lanes(rules, a->ymm_high, b->ymm_high, 64);
}

static bool near_extended(const struct native_st *a, const struct native_st *b)
{
    enum { ULPS = 1 };
    uint64_t x = a->mant, y = b->mant;

    if ((a->se & 0x7fff) <= 1 && (b->se & 0x7fff) <= 1 &&
        (a->se ^ b->se) < 2) { /* denormals: of one size */
        return x - y + ULPS <= 2 * ULPS;
    }
    return (a->se == b->se && x - y + ULPS <= 2 * ULPS) ||
           (a->se + 1 == b->se && x > UINT64_MAX - ULPS) ||
           (b->se + 1 == a->se && y > UINT64_MAX - ULPS);
}

/* Registers by their place in the stack; physical: by their number, as MMX instructions see them.
 */
static bool same_stack(const struct code *c, const struct native_fx *a, const struct native_fx *b,
                       bool physical)
{
    unsigned shift = physical ? ((a->fsw >> 11) - (b->fsw >> 11)) & 7u : 0; /* of TOP */

    for (unsigned n = 0; n < 8; n++) {
        const struct native_st *x = &a->st[n], *y = &b->st[(n + shift) & 7];
        if ((x->mant != y->mant || x->se != y->se) &&
            !((c->rules & RULE_ULP) && n < 2 && near_extended(x, y))) {
            return false;
        }
    }
    return true;
}

/* ---- the whole ---- */

/* The instruction that faulted; NULL: none did. */
static const struct insn *faulting(const struct code *c, const struct native_result *r)
{
    uint64_t start = c->g.at + (c->g.bits == 16 ? 0 : NATIVE_CODE);

    for (unsigned n = 0; n < c->ninsns && r->vector != EXC_BP; n++) {
        if (r->rip == start + c->insn[n].at) {
            return &c->insn[n];
        }
    }
    return NULL;
}

static uint32_t fault_rules(const struct code *c, const struct native_result *r)
{
    const struct insn *f = faulting(c, r);

    return f ? rules_of(f->row) : 0;
}

static bool uses_mmx(const struct insn *f)
{
    bool uses = f->row->attr & AT_MMX;

    for (unsigned n = 0; n < f->i.nops; n++) {
        uses |= f->i.op[n].kind == OP_MMX;
    }
    return uses;
}

static bool same_vectors(const struct code *c, const struct insn *fault, const struct native_fx *a,
                         const struct native_fx *b)
{
    uint32_t rules = fault ? rules_of(fault->row) : 0;
    unsigned unlike = 0;

    if (c->rules & (RULE_APPROX | RULE_NAN)) {
        return near_vectors(c->rules, a, b);
    }
    if (rules & RULE_FAULTVECTOR) {
        unlike = 1u << fault->i.op[0].reg | 1u << fault->i.op[2].reg;
    }
    for (unsigned n = 0; n < 16; n++) {
        if (!(unlike >> n & 1) &&
            (memcmp(a->xmm[n], b->xmm[n], 16) || memcmp(a->ymm_high[n], b->ymm_high[n], 16))) {
            return false;
        }
    }
    return true;
}

static const char *compare_fx(const struct code *c, const struct native_result *ra,
                              const struct native_result *rb)
{
    const struct native_fx *a = &ra->fx, *b = &rb->fx;
    const struct insn *fault = faulting(c, ra);
    /* Whether an MMX instruction that faults has set TOP and the tags already is not said. */
    bool mmx = fault && uses_mmx(fault);
    uint16_t fsw = 0xffff;

    fsw &= c->rules & RULE_ULP ? (uint16_t)~0x220 : 0xffff;
    if ((c->rules & RULE_ULP) && (a->st[0].se & 0x7fff) <= 1) {
        fsw &= (uint16_t)~0x10; /* the last unit decides on underflow */
    }
    fsw &= c->rules & RULE_C1 ? (uint16_t)~0x200 : 0xffff;
    fsw &= c->rules & RULE_CC ? (uint16_t)~0x4700 : 0xffff;
    if ((c->rules & RULE_REMAINDER) && ((a->st[0].se & 0x7fff) == 0x7fff || (a->fsw & 0x81))) {
        fsw &= (uint16_t)~0x4700;
    }
    fsw &= mmx ? (uint16_t)~0x3800 : 0xffff;
    if (!same_vectors(c, fault, a, b)) {
        return "vector registers";
    }
    if (!same_stack(c, a, b, mmx)) {
        return "x87 registers";
    }
    if (a->mxcsr != b->mxcsr && !(fault && (rules_of(fault->row) & RULE_FAULTMXCSR))) {
        return "MXCSR";
    }
    if ((a->fsw ^ b->fsw) & fsw) {
        return "x87 status";
    }
    /* AMD's XSAVE has them with a pending exception only; of addresses that were loaded processors
     * keep 48 or 57 bits. */
    if ((a->fsw & b->fsw & 0x80) &&
        ((a->fip ^ b->fip) << 16 || a->fop != b->fop || (a->fdp ^ b->fdp) << 16)) {
        return "x87 pointers";
    }
    return a->fcw != b->fcw ? "x87 control word" : a->ftw != b->ftw && !mmx ? "x87 tags" : NULL;
}

static uint32_t unlike_registers(const struct code *c)
{
    uint32_t mask = 0;

    mask |= c->rules & RULE_EAX ? 1 << X86_RAX : 0;
    mask |= c->rules & RULE_ECX ? 1 << X86_RCX : 0;
    mask |= c->rules & RULE_EDX ? 1 << X86_RDX : 0;
    mask |= c->rules & RULE_EBX ? 1 << X86_RBX : 0;
    if ((c->rules & RULE_OP0) && c->insn[0].i.op[0].kind == OP_GPR) {
        mask |= 1u << c->insn[0].i.op[0].reg;
    }
    return mask;
}

static bool same_memory(const struct code *c, const struct native_result *a,
                        const struct native_result *b)
{
    return (c->rules & RULE_MEMORY) || (fault_rules(c, a) & RULE_FAULTMEMORY) ||
           (a->nchanges == b->nchanges && a->data_hash == b->data_hash);
}

static const char *compare_fault(const struct code *c, const struct native_result *a,
                                 const struct native_result *b)
{
    uint64_t mask = c->g.bits < 64 ? UINT32_MAX : UINT64_MAX;

    if (a->vector != b->vector) {
        return "exception";
    }
    if ((a->rip ^ b->rip) & mask) {
        return "rip";
    }
    bool elsewhere = a->vector == EXC_PF && (fault_rules(c, a) & RULE_ANYADDRESS);
    uint32_t codes = error_mask(a);
    if (elsewhere && a->cr2 >> 12 != b->cr2 >> 12) {
        codes &= ~1u; /* whether that page is present is another question */
    }
    if ((a->error ^ b->error) & codes) {
        return "error code";
    }
    if (elsewhere) {
        return NULL;
    }
    if (a->vector == EXC_PF &&
        (c->rules & RULE_PAGE ? a->cr2 >> 12 != b->cr2 >> 12 : a->cr2 != b->cr2)) {
        return "address of the page fault";
    }
    return NULL;
}

/* Linux keeps no RPL of a null selector. */
static bool same_selectors(const struct native_result *a, const struct native_result *b)
{
    for (unsigned n = 0; n < 6; n++) {
        if (a->sel[n] != b->sel[n] && ((a->sel[n] | b->sel[n]) & 0xfffc)) {
            return false;
        }
    }
    return true;
}

/* A write across a read-only page and one that is not there: here the first page's missing
 * permission comes first, as with AMD's processors. SDM volume 3, "Prioritization of Concurrent
 * Events": 'exceptions within each class are implementation-dependent and may vary from processor
 * to processor'. */
static bool split_write(const struct native_result *a, const struct native_result *b)
{
    return !host_is_amd() && a->vector == EXC_PF && b->vector == EXC_PF && a->error == 6 &&
           b->error == 7 && a->cr2 >> 12 == (b->cr2 >> 12) + 1 && !(a->cr2 & 0xfff) &&
           (b->cr2 & 0xfff) > 0xfe0 && a->rip == b->rip;
}

/* The stack of this process, and so of its children: as far down as it may grow. */
static bool on_stack(uint64_t address)
{
    enum { MAY_GROW = 8 << 20 };
    static uint64_t start, end;
    unsigned long long from, to;
    char line[256];
    FILE *f;

    if (!end) {
        end = 1; /* none was found */
        f = fopen("/proc/self/maps", "r");
        while (f && fgets(line, sizeof line, f)) {
            if (strstr(line, "[stack]") && sscanf(line, "%llx-%llx", &from, &to) == 2) {
                start = from - MAY_GROW;
                end = to;
            }
        }
        if (f) {
            fclose(f);
        }
    }
    return address >= start && address < end;
}

/* An address in what the child needs for itself (NATIVE_ESP_PAGE, its stack): nothing is there for
 * the emulated processor. */
static bool hits_child(const struct native_result *b)
{
    return b->vector == EXC_PF &&
           (b->cr2 - (NATIVE_ESP_HIGH + NATIVE_ESP_PAGE) < 4096 || on_stack(b->cr2));
}

/* An access over the end of the canonical addresses: #GP, but here the last page below, which no
 * system maps, is missed first. And what addresses of the kernel's half raise is the hypervisor's
 * to say. */
static bool beyond_canonical(const struct native_result *a, const struct native_result *b)
{
    return (a->vector == EXC_GP || a->vector == EXC_SS) && b->vector == EXC_PF &&
           a->rip == b->rip && b->cr2 >= UINT64_C(0x7fffffffffc0) &&
           b->cr2 < UINT64_C(0x800000000000);
}

/* An effective address that is not canonical and becomes so by the base of FS or GS: AMD's
 * processors look at it before the base is added. */
static bool canonical_by_base(const struct code *c, const struct native_result *a,
                              const struct native_result *b)
{
    const struct insn *f = a->vector == EXC_GP ? faulting(c, a) : NULL;

    return f && c->g.bits == 64 && f->i.seg >= SEG_FS && b->vector == EXC_PF && a->rip == b->rip &&
           (b->cr2 >> 47 == 0x1ffff || b->cr2 >> 46 == 1);
}

/* An x87 store whose unmasked exception keeps it from storing: whether its page fault comes all the
 * same is not said. */
static bool faults_after_all(const struct code *c, const struct native_result *a,
                             const struct native_result *b)
{
    const struct insn *f =
        a->vector == EXC_PF || a->vector == EXC_GP || a->vector == EXC_SS ? faulting(c, a) : NULL;

    return f && (f->row->attr & AT_FPU) && (a->vector != EXC_PF || (a->error & 2)) &&
           (a->vector != b->vector || a->rip != b->rip || a->reg[X86_RCX] != b->reg[X86_RCX]) &&
           ((b->fx.fsw & 0x80) || (~a->fx.fcw & 0x3f));
}

/* A repeated instruction with 32-bit addresses that has no element or faults at its first one:
 * Intel's processors have cleared the upper halves of RCX, RSI, RDI, AMD's have not. */
static bool narrow_count(const struct code *c, const struct native_case *k,
                         const struct native_result *a)
{
    const struct insn *f = faulting(c, a);
    unsigned count = (unsigned)k->reg[X86_RCX];

    if (!c->sequence) {
        f = &c->insn[0];
    }
    return f && (f->i.rep || f->i.repne) && f->i.addrsize == 4 && (a->vector != EXC_BP || !count);
}

/* A return to an address that the code has spoilt may lead to the bytes behind it, which are not
 * the same natively. */
static bool lands_behind(const struct code *c, const struct native_result *r)
{
    uint64_t end = c->g.at + c->g.len + (c->g.bits == 16 ? 0 : NATIVE_CODE);

    return r->vector == EXC_BP && r->rip - 1 > end && r->rip - 1 < end + NATIVE_AFTER;
}

const char *compare_results(const struct code *c, const struct native_case *k,
                            const struct native_result *a, const struct native_result *b)
{
    uint64_t mask = c->g.bits < 64 ? UINT32_MAX : UINT64_MAX;
    uint32_t unlike = unlike_registers(c);
    const char *what;

    if (a->vector < 0 || lands_behind(c, b) || hits_child(b)) {
        return NULL; /* nothing to compare with */
    }
    if ((fault_rules(c, a) & RULE_ANYFAULT) && a->vector != EXC_BP && b->vector != EXC_BP &&
        a->rip == b->rip) {
        return NULL;
    }
    if (a->vector != EXC_BP && (fault_rules(c, a) & RULE_MAYFAULT) && a->rip != b->rip) {
        return NULL;
    }
    if ((c->rules & RULE_MAYALIGN) && a->vector != EXC_GP && b->vector == EXC_GP) {
        return NULL;
    }
    if (split_write(a, b) || beyond_canonical(a, b) || canonical_by_base(c, a, b) ||
        faults_after_all(c, a, b)) {
        return NULL;
    }
    what = compare_fault(c, a, b);
    if (what) {
        return what;
    }
    for (unsigned n = 0; n < (c->g.bits < 64 ? 8 : 16); n++) {
        uint64_t of = (n == X86_RCX || n == X86_RSI || n == X86_RDI) && narrow_count(c, k, a)
                          ? UINT32_MAX
                          : mask;
        if (((a->reg[n] ^ b->reg[n]) & of) && !(unlike >> n & 1)) {
            return "registers";
        }
    }
    if ((a->rflags ^ b->rflags) & flag_mask(c, k, a)) {
        return "flags";
    }
    if (!same_memory(c, a, b)) {
        return "memory";
    }
    if (c->g.segments && !same_selectors(a, b)) {
        return "segment registers";
    }
    return c->g.full ? compare_fx(c, a, b) : NULL;
}

/* ---- reports ---- */

static void print_flags(uint64_t f)
{
    static const char names[] = "CPAZSTDONc";
    static const uint32_t bits[] = {FL_CF, FL_PF, FL_AF, FL_ZF, FL_SF,
                                    FL_TF, FL_DF, FL_OF, FL_NT, FL_AC};

    for (int n = 9; n >= 0; n--) {
        putchar(f & bits[n] ? names[n] : '-');
    }
}

static void print_result(const char *who, const struct native_result *r)
{
    printf("#   %-8s", who);
    if (r->vector == NATIVE_TIMEOUT) {
        printf("never ends");
    } else {
        printf("vector %d error %#x", r->vector, r->error);
    }
    printf(" rip %#" PRIx64 " flags ", r->rip);
    print_flags(r->rflags);
    if (r->vector == EXC_PF) {
        printf(" cr2 %#" PRIx64, r->cr2);
    }
    printf(" es %x cs %x ss %x ds %x fs %x gs %x\n", r->sel[0], r->sel[1], r->sel[2], r->sel[3],
           r->sel[4], r->sel[5]);
}

static void print_code(const struct code *c)
{
    unsigned start = c->g.at + (c->g.bits == 16 ? 0 : NATIVE_CODE);

    for (unsigned n = 0; n < c->ninsns; n++) {
        const struct insn *f = &c->insn[n];
        char bytes[64] = "", text[128];
        for (unsigned m = 0; m < f->len; m++) {
            sprintf(bytes + 3 * m, "%02x ", f->bytes[m]);
        }
        disassemble(c->g.bits, f->bytes, f->len, start + f->at, text, sizeof text);
        printf("#   %#x: %-36s %s (%s)\n", start + f->at, bytes, text,
               x86_mnemonic_name((enum x86_mnemonic)f->row->mnemonic));
    }
}

static void print_half(const char *who, const uint64_t high[2], const uint64_t low[2])
{
    printf(" %s %016" PRIx64 "_%016" PRIx64 "_%016" PRIx64 "_%016" PRIx64, who, high[1], high[0],
           low[1], low[0]);
}

static void print_fx(const struct code *c, const struct native_fx *in, const struct native_fx *a,
                     const struct native_fx *b)
{
    if (a->fip != b->fip || a->fop != b->fop || a->fdp != b->fdp) {
        printf("#   x87 ip %#" PRIx64 " dp %#" PRIx64 " op %03x, emulated %#" PRIx64 " %#" PRIx64
               " %03x\n",
               a->fip, a->fdp, a->fop, b->fip, b->fdp, b->fop);
    }
    printf("#   mxcsr %04x native %04x emulated %04x; x87 in cw %04x sw %04x tags %02x, native "
           "%04x %04x %02x, emulated %04x %04x %02x\n",
           in->mxcsr, a->mxcsr, b->mxcsr, in->fcw, in->fsw, in->ftw, a->fcw, a->fsw, a->ftw, b->fcw,
           b->fsw, b->ftw);
    for (unsigned n = 0; n < 16; n++) {
        bool same =
            !memcmp(a->xmm[n], b->xmm[n], 16) && !memcmp(a->ymm_high[n], b->ymm_high[n], 16);
        bool used = false;
        for (unsigned m = 0; m < c->ninsns; m++) {
            for (unsigned o = 0; o < c->insn[m].i.nops; o++) {
                used |= c->insn[m].i.op[o].kind == OP_XMM && c->insn[m].i.op[o].reg == n;
            }
            used |= c->insn[m].i.vsib && c->insn[m].i.index == n;
        }
        if (same && !used) {
            continue;
        }
        printf("#   ymm%-2u", n);
        print_half("in", in->ymm_high[n], in->xmm[n]);
        if (!same) {
            printf("\n#        ");
            print_half("native", a->ymm_high[n], a->xmm[n]);
            printf("\n#        ");
            print_half("emulated", b->ymm_high[n], b->xmm[n]);
        }
        printf("\n");
    }
    for (unsigned n = 0; n < 8; n++) {
        printf("#   st%u in %04x:%016" PRIx64 " native %04x:%016" PRIx64
               " emulated %04x:%016" PRIx64 "%s\n",
               n, in->st[n].se, in->st[n].mant, a->st[n].se, a->st[n].mant, b->st[n].se,
               b->st[n].mant,
               a->st[n].se != b->st[n].se || a->st[n].mant != b->st[n].mant ? "  <--" : "");
    }
}

static void print_memory(const struct native_result *a, const struct native_result *b)
{
    if (a->nchanges == b->nchanges && a->data_hash == b->data_hash) {
        return;
    }
    printf("#   memory: native %u changed words, emulated %u\n", a->nchanges, b->nchanges);
    for (unsigned n = 0; n < NATIVE_CHANGES; n++) {
        const struct native_change *x = n < a->nchanges ? &a->change[n] : NULL,
                                   *y = n < b->nchanges ? &b->change[n] : NULL;
        if (x) {
            printf("#     native %#" PRIx64 ": %016" PRIx64, NATIVE_DATA + x->at, x->value);
        }
        if (y) {
            printf("%s emulated %#" PRIx64 ": %016" PRIx64, x ? "" : "#    ", NATIVE_DATA + y->at,
                   y->value);
        }
        if (x || y) {
            printf("\n");
        }
    }
}

void compare_report(const struct code *c, const struct native_case *k,
                    const struct native_result *a, const struct native_result *b, const char *who)
{
    uint64_t mask = c->g.bits < 64 ? UINT32_MAX : UINT64_MAX;

    print_code(c);
    print_result("native", a);
    print_result(who, b);
    printf("#   in flags ");
    print_flags(k->rflags);
    printf(" compared: ");
    print_flags(flag_mask(c, k, a));
    printf("\n");
    for (unsigned n = 0; n < (c->g.bits < 64 ? 8 : 16); n++) {
        uint64_t x = a->reg[n] & mask, y = b->reg[n] & mask;
        printf("#   %-4s in %016" PRIx64, reg_names[n], k->reg[n]);
        if (x == y) {
            printf(" out %016" PRIx64 "\n", x);
        } else {
            printf(" native %016" PRIx64 " emulated %016" PRIx64 "  <--\n", x, y);
        }
    }
    for (unsigned n = 0; n < k->npatches; n++) {
        printf("#   memory in %#x:", NATIVE_DATA + k->patch[n].at);
        for (unsigned m = 0; m < k->patch[n].len; m++) {
            printf(" %02x", k->patch[n].bytes[m]);
        }
        printf("\n");
    }
    if (c->g.full) {
        print_fx(c, &k->fx, &a->fx, &b->fx);
    }
    print_memory(a, b);
}
