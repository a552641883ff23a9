/* Instructions against the host's own processor: random encodings of every table row that
 * user mode can run, and random sequences of them, natively and in the emulated processor.
 * Registers, defined flags, memory and faults must agree.
 *
 *   native_test | vector_native_test [-n cases per row] [-q sequences] [-s seed] [-m mnemonic] [-b 16|32|64] [-a accel]
 *
 * A difference is shrunk to the fewest instructions that show it and printed with its inputs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cpu/cpuid.h"
#include "cpu/isa.h"
#include "cpu/x86.h"
#include "tests/cpu/compare.h"
#include "tests/cpu/emulated.h"
#include "tests/cpu/generate.h"
#include "tests/unit/tap.h"

enum { MAX_ROWS = 4096, REPORTS_PER_NAME = 3 };

struct test {
    struct native *native;
    struct emulated *emulated;
    struct generator g;
    struct generated batch[NATIVE_BATCH];
    struct native_case cases[NATIVE_BATCH];
    struct native_result want[NATIVE_BATCH], got[NATIVE_BATCH];
    unsigned count;
    unsigned long run, skipped, faults;
    unsigned rows, forms, missing, never; /* with cases; by operand sizes; not implemented; no encoding */
    unsigned differences; /* of the present name */
};

static const char *const reg_names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

/* ---- comparison ---- */

static uint32_t flag_mask(const struct generated *c, const struct native_result *r)
{
    uint32_t undefined = r->vector == EXC_BP ? c->undefined : c->ever;

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

static bool comparable(const struct native_result *r)
{
    return r->vector >= 0;
}

/* A CALL to a non-canonical target first pushes on Intel's processors, visible below the stack
 * pointer or as the push's own fault; here, as in the manual, the target is looked at first. */
static bool call_to_nowhere(const struct generated *c, const struct native_result *b)
{
    return b->vector == EXC_GP && c->insn[c->ninsns - 1].row->mnemonic == MN_CALL;
}

/* The native child's own memory that its code can see: AddressSanitizer's shadow. */
static bool unlike_memory(uint64_t address)
{
#if defined(__SANITIZE_ADDRESS__)
    return address >= 0x7fff7000 && address < UINT64_C(0x10007fff8000);
#else
    (void)address;
    return false;
#endif
}

static bool vectors_agree(const struct generated *c, const struct native_result *a,
                          const struct native_result *b)
{
    unsigned n = c->k.bits < 64 ? 8 : 16;

    return !memcmp(a->out.vec, b->out.vec, n * sizeof a->out.vec[0]) &&
           !memcmp(a->out.mm, b->out.mm, sizeof a->out.mm) &&
           !memcmp(a->out.mm_high, b->out.mm_high, sizeof a->out.mm_high) &&
           a->out.mxcsr == b->out.mxcsr && a->out.fsw == b->out.fsw && a->out.ftw == b->out.ftw;
}

/* Of a masked or gathering access the manual does not say which of its bytes a page fault names. */
static bool masked_access(const struct generated *c)
{
    for (unsigned n = 0; n < c->ninsns; n++) {
        const char *name = x86_mnemonic_name((enum x86_mnemonic)c->insn[n].row->mnemonic);
        if (strstr(name, "maskmov") || strstr(name, "gather")) {
            return true;
        }
    }
    return false;
}

/* A read-modify-write across a read-only page and one that is not there: processors report the first
 * page's missing permission, here the load finds the second page first. Known, rare. */
static bool split_rmw(const struct native_result *a, const struct native_result *b)
{
    return a->vector == EXC_PF && b->vector == EXC_PF && a->error == 7 && b->error == 6 &&
           b->cr2 >> 12 == (a->cr2 >> 12) + 1 && !(b->cr2 & 0xfff) && (a->cr2 & 0xfff) > 0xfe0 &&
           a->out.rip == b->out.rip;
}

/* MASKMOVDQU may fault where no byte is selected, says the manual. */
static bool fault_of_nothing(const struct generated *c, const struct native_result *a,
                             const struct native_result *b)
{
    return masked_access(c) && a->vector == EXC_PF && b->vector == EXC_BP &&
           strstr(x86_mnemonic_name((enum x86_mnemonic)c->insn[c->ninsns - 1].row->mnemonic), "maskmov") &&
           a->out.rip < b->out.rip;
}

/* Both not aligned and beyond the limit of SS: which fault comes first is the processor's choice. */
static bool either_fault(const struct generated *c, const struct native_result *a,
                         const struct native_result *b)
{
    return c->k.vectors && c->k.bits < 64 && a->vector == EXC_GP && b->vector == EXC_SS &&
           a->out.rip == b->out.rip;
}

static bool same_address(const struct generated *c, uint64_t a, uint64_t b)
{
    return masked_access(c) ? a >> 12 == b >> 12 : a == b;
}

static bool agree(const struct generated *c, const struct native_result *a,
                  const struct native_result *b)
{
    uint64_t mask = c->k.bits < 64 ? UINT32_MAX : UINT64_MAX;
    unsigned nregs = c->k.bits < 64 ? 8 : 16;

    if (either_fault(c, a, b) || fault_of_nothing(c, a, b) || split_rmw(a, b)) {
        return true;
    }
    if (b->vector == EXC_PF && unlike_memory(b->cr2)) {
        return true;
    }
    if (call_to_nowhere(c, b) && (a->vector == EXC_GP || a->vector == EXC_PF)) {
        return a->out.rip == b->out.rip;
    }
    for (unsigned n = 0; n < nregs; n++) {
        if ((a->out.reg[n] ^ b->out.reg[n]) & mask) {
            return false;
        }
    }
    if (c->k.vectors && !vectors_agree(c, a, b)) {
        return false;
    }
    return a->vector == b->vector && !((a->out.rip ^ b->out.rip) & mask) &&
           !((a->error ^ b->error) & error_mask(a)) &&
           !((a->out.rflags ^ b->out.rflags) & flag_mask(c, a)) &&
           (a->vector != EXC_PF || same_address(c, a->cr2, b->cr2)) && a->data_hash == b->data_hash;
}

/* ---- reports ---- */

static void print_flags(uint64_t f)
{
    static const char names[] = "CPAZSDO";
    static const uint32_t bits[] = {FL_CF, FL_PF, FL_AF, FL_ZF, FL_SF, FL_DF, FL_OF};

    for (int n = 6; n >= 0; n--) {
        putchar(f & bits[n] ? names[n] : '-');
    }
}

static void print_result(const char *who, const struct native_result *r)
{
    printf("#   %-9s", who);
    if (r->vector == NATIVE_TIMEOUT) {
        printf("never ends");
    } else {
        printf("vector %d error %#x", r->vector, r->error);
    }
    printf(" rip %#llx flags ", (unsigned long long)r->out.rip);
    print_flags(r->out.rflags);
    if (r->vector == EXC_PF) {
        printf(" cr2 %#llx", (unsigned long long)r->cr2);
    }
    printf("\n");
}

static void print_memory(const uint8_t *a, const uint8_t *b)
{
    unsigned shown = 0;

    for (unsigned n = 0; n < NATIVE_DATA_SIZE && shown < 16; n++) {
        if (a[n] != b[n]) {
            printf("#   memory %#x: native %02x, emulated %02x\n", NATIVE_DATA + n, a[n], b[n]);
            shown++;
        }
    }
}

static void print_vector(const char *who, const uint64_t v[4])
{
    printf(" %s %016llx_%016llx_%016llx_%016llx", who, (unsigned long long)v[3],
           (unsigned long long)v[2], (unsigned long long)v[1], (unsigned long long)v[0]);
}

static void print_vectors(const struct native_case *k, const struct native_result *want,
                          const struct native_result *got)
{
    printf("#   mxcsr in %04x native %04x emulated %04x; x87 native %04x %02x emulated %04x %02x\n",
           k->in.mxcsr, want->out.mxcsr, got->out.mxcsr, want->out.fsw, want->out.ftw, got->out.fsw,
           got->out.ftw);
    for (unsigned n = 0; n < 16; n++) {
        printf("#   v%-3u", n);
        print_vector("in", k->in.vec[n]);
        if (memcmp(want->out.vec[n], got->out.vec[n], 32)) {
            printf("\n#      ");
            print_vector("native  ", want->out.vec[n]);
            printf("\n#      ");
            print_vector("emulated", got->out.vec[n]);
        }
        printf("\n");
    }
    for (unsigned n = 0; n < 8; n++) {
        printf("#   mm%u in %016llx native %04x:%016llx emulated %04x:%016llx\n", n,
               (unsigned long long)k->in.mm[n], want->out.mm_high[n],
               (unsigned long long)want->out.mm[n], got->out.mm_high[n],
               (unsigned long long)got->out.mm[n]);
    }
}

static void report(struct test *t, const struct generated *c)
{
    struct native_result want, got;
    uint64_t mask = c->k.bits < 64 ? UINT32_MAX : UINT64_MAX;

    native_run(t->native, &c->k, &want, 1);
    emulated_run(t->emulated, &c->k, &got);
    printf("# difference, %u-bit, code at %#x:\n", c->k.bits, NATIVE_CODE + c->k.code_at);
    for (unsigned n = 0; n < c->ninsns; n++) {
        const struct generated_insn *f = &c->insn[n];
        printf("#   %-10s", x86_mnemonic_name((enum x86_mnemonic)f->row->mnemonic));
        for (unsigned m = 0; m < f->len; m++) {
            printf(" %02x", c->k.code[f->at + m]);
        }
        printf("\n");
    }
    print_result("native", &want);
    print_result("emulated", &got);
    printf("#   in        flags ");
    print_flags(c->k.in.rflags);
    printf(" (undefined after: ");
    print_flags(want.vector == EXC_BP ? c->undefined : c->ever);
    printf(")\n");
    for (unsigned n = 0; n < (c->k.bits < 64 ? 8 : 16); n++) {
        uint64_t a = want.out.reg[n] & mask, b = got.out.reg[n] & mask;
        printf("#   %-4s in %016llx", reg_names[n], (unsigned long long)c->k.in.reg[n]);
        if (a == b) {
            printf(" out %016llx\n", (unsigned long long)a);
        } else {
            printf(" native %016llx emulated %016llx  <--\n", (unsigned long long)a,
                   (unsigned long long)b);
        }
    }
    if (c->k.vectors) {
        print_vectors(&c->k, &want, &got);
    }
    print_memory(native_data(t->native), emulated_data(t->emulated));
}

static bool differs(struct test *t, const struct generated *c)
{
    struct native_result want, got;

    if (!c->ninsns) {
        return false;
    }
    native_run(t->native, &c->k, &want, 1);
    emulated_run(t->emulated, &c->k, &got);
    return comparable(&want) && !agree(c, &want, &got);
}

static void shrink_and_report(struct test *t, const struct generated *found)
{
    struct generated c = *found, less;

    for (unsigned n = c.ninsns; c.ninsns > 1 && n-- > 0;) {
        generate_without(&c, n, &less);
        if (differs(t, &less)) {
            c = less;
        }
    }
    report(t, &c);
}

/* ---- running ---- */

static void flush(struct test *t)
{
    native_run(t->native, t->cases, t->want, t->count);
    for (unsigned n = 0; n < t->count; n++) {
        if (!comparable(&t->want[n])) {
            t->skipped++;
            continue;
        }
        emulated_run(t->emulated, &t->cases[n], &t->got[n]);
        t->run++;
        t->faults += t->want[n].vector != EXC_BP;
        if (!agree(&t->batch[n], &t->want[n], &t->got[n]) && t->differences++ < REPORTS_PER_NAME) {
            shrink_and_report(t, &t->batch[n]);
        }
    }
    t->count = 0;
}

static struct generated *next(struct test *t)
{
    if (t->count == NATIVE_BATCH) {
        flush(t);
    }
    return &t->batch[t->count];
}

static void take(struct test *t)
{
    t->cases[t->count] = t->batch[t->count].k;
    t->count++;
}

/* A bit for each combination of operand size, vector length, and register or memory. */
static uint64_t form_of(const struct generated *c)
{
    struct x86_insn i;
    static const enum x86_bits modes[] = {X86_16, X86_32, X86_64};

    if (x86_decode(c->k.code, c->k.code_len, modes[c->k.bits >> 5], &i) != X86_DECODE_OK) {
        return 0;
    }
    bool memory = false;
    for (unsigned n = 0; n < i.nops; n++) {
        memory |= i.op[n].kind == OP_MEM;
    }
    return UINT64_C(1) << (memory | (i.vex && i.vex_l ? 2 : 0) | (unsigned)__builtin_ctz(i.opsize) << 2);
}

static void test_name(struct test *t, const struct x86_opcode *const *rows, unsigned nrows,
                      unsigned cases)
{
    const char *name = x86_mnemonic_name((enum x86_mnemonic)rows[0]->mnemonic);
    unsigned long before = t->run, faults = t->faults, skipped = t->skipped;

    t->differences = 0;
    for (unsigned r = 0; r < nrows; r++) {
        uint64_t forms = 0;
        for (unsigned n = 0; n < cases; n++) {
            if (!generate_single(&t->g, rows[r], next(t))) {
                t->never += n == 0;
                printf("# %s: no encoding of map %u opcode %#x /%d found\n", name, rows[r]->map,
                       rows[r]->opcode, rows[r]->modrm_reg);
                break;
            }
            t->rows += n == 0;
            forms |= form_of(&t->batch[t->count]);
            take(t);
        }
        t->forms += (unsigned)__builtin_popcountll(forms);
    }
    flush(t);
    tap_ok(t->differences == 0, "%s, %u bits: %lu cases (%lu faults, %lu skipped), %u differ", name,
           t->g.bits, t->run - before, t->faults - faults, t->skipped - skipped, t->differences);
}

static void test_sequences(struct test *t, const struct x86_opcode *const *rows, unsigned nrows,
                           unsigned cases)
{
    unsigned long before = t->run, faults = t->faults, skipped = t->skipped;

    t->differences = 0;
    for (unsigned n = 0; n < cases; n++) {
        struct generated *c = next(t);
        generate_sequence(&t->g, rows, nrows, 2 + n % 20, c);
        if (c->ninsns) {
            take(t);
        }
    }
    flush(t);
    tap_ok(t->differences == 0,
           "sequences, %u bits: %lu cases (%lu faults, %lu skipped), %u differ", t->g.bits,
           t->run - before, t->faults - faults, t->skipped - skipped, t->differences);
}

struct options {
    unsigned cases, sequences, bits;
    uint64_t seed;
    const char *name, *accel;
};

static bool has_feature(struct test *t, unsigned feature)
{
    return feature <= X86F_I486 || x86_model_has(emulated_cpu(t->emulated)->model, feature);
}

static void test_bits(struct test *t, const struct options *o, unsigned bits)
{
    const struct x86_isa *isa = emulated_cpu(t->emulated)->isa;
    static const struct x86_opcode *rows[MAX_ROWS], *same[MAX_ROWS];
    unsigned nrows = 0;

    t->g.bits = bits;
    for (unsigned n = 0; n < x86_opcode_count() && nrows < MAX_ROWS; n++) {
        const struct x86_opcode *row = x86_opcode_row(n);
        const char *name = x86_mnemonic_name((enum x86_mnemonic)row->mnemonic);
        if (generate_wants(&t->g, row) && has_feature(t, row->feature) &&
            (!o->name || !strcasecmp(o->name, name))) {
            if (x86_isa_has(isa, (enum x86_mnemonic)row->mnemonic)) {
                rows[nrows++] = row;
            } else {
                printf("# %s is not implemented\n", name);
                t->missing++;
            }
        }
    }
    for (unsigned m = 1; m < MN_COUNT; m++) {
        unsigned nsame = 0;
        for (unsigned n = 0; n < nrows; n++) {
            if (rows[n]->mnemonic == m) {
                same[nsame++] = rows[n];
            }
        }
        if (nsame) {
            test_name(t, same, nsame, o->cases);
        }
    }
    if (nrows && o->sequences && !o->name) {
        test_sequences(t, rows, nrows, o->sequences);
    }
}

int native_compare(int argc, char **argv, bool vectors)
{
    struct options o = {.cases = 150, .sequences = 4000, .seed = 1};
    struct test *t = calloc(1, sizeof *t);
    const char *why;
    int opt;

    while ((opt = getopt(argc, argv, "n:q:s:m:b:a:")) != -1) {
        switch (opt) {
        case 'n':
            o.cases = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 'q':
            o.sequences = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 's':
            o.seed = strtoull(optarg, NULL, 0);
            break;
        case 'm':
            o.name = optarg;
            break;
        case 'b':
            o.bits = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 'a':
            o.accel = optarg;
            break;
        default:
            return 2;
        }
    }
    if (!t) {
        abort();
    }
    t->native = native_start(&why);
    if (!t->native) {
        printf("1..0 # SKIP %s\n", why);
        free(t);
        return 0;
    }
    t->g.vectors = vectors;
    t->emulated = emulated_start(o.accel, "max");
    t->g.random = o.seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    for (unsigned bits = 64; bits >= 16; bits /= 2) {
        if ((!o.bits || o.bits == bits) && native_can(t->native, bits)) {
            test_bits(t, &o, bits);
        }
    }
    printf("# %lu cases, %lu with a fault, %lu skipped, seed %llu\n", t->run, t->faults, t->skipped,
           (unsigned long long)o.seed);
    printf("# coverage over the modes: %u table rows in %u forms (operand size, length, register or memory); "
           "%u rows are not implemented, %u were not encoded\n",
           t->rows, t->forms, t->missing, t->never);
    emulated_stop(t->emulated);
    native_stop(t->native);
    free(t);
    return tap_done();
}
