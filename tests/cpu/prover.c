/* The prover's engine, see prover.h. */
#include "tests/cpu/prover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cpu/cpuid.h"
#include "cpu/isa.h"
#include "cpu/x86.h"
#include "tests/cpu/compare.h"

enum { UNITS = NATIVE_BATCH / PROVER_CASES, REPORTS_OF_ROW = 2 };

struct prover_batch {
    unsigned count;
    uint64_t unit[UNITS];
    struct prover_coverage *coverage[UNITS]; /* NULL: a sequence */
    struct code code[UNITS];
    struct native_result got, reference[PROVER_CASES];
};

static const unsigned mode_bits[PROVER_MODES] = {64, 32, 16};
/* Sequences in a round, by mode. */
static const unsigned mode_sequences[PROVER_MODES] = {1400, 500, 250};

/* ---- set-up ---- */

static bool implemented(const struct prover *p, const struct x86_opcode *row)
{
    const struct x86_cpu *c = emulated_cpu(p->emulated[0]);

    return (row->feature <= X86F_I486 || x86_model_has(c->model, row->feature)) &&
           x86_isa_has(c->isa, (enum x86_mnemonic)row->mnemonic);
}

static void add_rows(struct prover *p, unsigned mode)
{
    struct generator *g = calloc(1, sizeof *g);

    if (!g) {
        abort();
    }
    g->bits = mode_bits[mode];
    for (unsigned n = 0; n < x86_opcode_count() && g->nrows < GENERATE_MAX_ROWS; n++) {
        const struct x86_opcode *row = x86_opcode_row(n);
        if (!row_excluded(row, g->bits) && implemented(p, row)) {
            generator_add(g, row);
        }
    }
    p->gen[mode] = g;
    p->coverage[mode] = calloc(g->nrows, sizeof *p->coverage[mode]);
}

static void add_executor(struct prover *p, const char *accel)
{
    p->exec_name[p->nexec] = accel;
    p->emulated[p->nexec++] = emulated_start(accel, host_model());
}

struct prover *prover_start(const char *accel, uint64_t seed, const char **why)
{
    struct native *native = native_start(why);
    struct prover *p = calloc(1, sizeof *p);

    if (!native) {
        free(p);
        return NULL;
    }
    p->batch = calloc(1, sizeof *p->batch);
    if (!p->batch) {
        abort();
    }
    p->native = native;
    p->seed = seed;
    p->max_reports = 20;
    if (accel) {
        add_executor(p, accel);
    } else {
        add_executor(p, "interp");
        add_executor(p, "tcg");
    }
    for (unsigned e = 0; e < p->nexec && !native_can(native, 16); e++) {
        emulated_without_ldt(p->emulated[e]);
    }
    for (unsigned m = 0; m < PROVER_MODES; m++) {
        p->unit_of_mode[m] = p->round;
        add_rows(p, m);
        p->round += p->gen[m]->nrows;
    }
    p->unit_of_mode[PROVER_MODES] = p->round;
    for (unsigned m = 0; m < PROVER_MODES; m++) {
        p->round += mode_sequences[m];
    }
    return p;
}

void prover_stop(struct prover *p)
{
    for (unsigned n = 0; n < p->nexec; n++) {
        emulated_stop(p->emulated[n]);
    }
    native_stop(p->native);
    for (unsigned m = 0; m < PROVER_MODES; m++) {
        free(p->gen[m]);
        free(p->coverage[m]);
    }
    free(p->batch);
    free(p);
}

/* ---- running ---- */

struct found { /* a difference, kept while the batch is compared */
    uint64_t unit;
    unsigned n, exec;
    const char *what;
    struct native_result want, got;
};

static bool make_unit(struct prover *p, uint64_t unit, struct code *c,
                      struct prover_coverage **coverage);
static void make_case(const struct prover *p, uint64_t unit, unsigned n, const struct code *c,
                      struct native_case *k);

/* Without a native side for the mode the first executor is what the others are held against. */
static bool is_native(const struct prover *p, const struct code *c)
{
    return native_can(p->native, c->g.bits);
}

/* before: cases that the executor runs first. */
static bool differs(struct prover *p, const struct code *c, const struct native_case *before,
                    unsigned nbefore, const struct native_case *k, unsigned exec,
                    struct native_result *want, struct native_result *got)
{
    struct native_group *g = native_groups(p->native);

    if (is_native(p, c)) {
        *g = c->g;
        g->first = 0;
        g->count = 1;
        native_cases(p->native)[0] = *k;
        *want = native_run(p->native, 1)[0];
    } else {
        emulated_code(p->emulated[0], &c->g);
        emulated_run(p->emulated[0], k, want);
    }
    emulated_code(p->emulated[exec], &c->g);
    for (unsigned n = 0; n < nbefore; n++) {
        emulated_run(p->emulated[exec], &before[n], got);
    }
    emulated_run(p->emulated[exec], k, got);
    return compare_results(c, k, want, got) != NULL;
}

/* Takes away instructions as long as there is a difference. */
static void shrink(struct prover *p, struct code *c, const struct native_case *before,
                   unsigned nbefore, const struct native_case *k, unsigned exec)
{
    static struct code less;
    struct native_result want, got;
    bool again = true;

    while (again) {
        again = false;
        for (unsigned n = c->ninsns; n-- > 0;) {
            if (c->ninsns > 1 && n < c->ninsns && generate_without(c, n, &less) &&
                differs(p, &less, before, nbefore, k, exec, &want, &got)) {
                *c = less;
                again = true;
            }
        }
    }
}

static void report(struct prover *p, const struct found *f)
{
    static struct code c;
    static struct native_case cases[PROVER_CASES];
    static struct native_result want, got;
    struct prover_coverage *coverage;
    unsigned nbefore = 0;

    if (p->reports++ >= p->max_reports || !make_unit(p, f->unit, &c, &coverage)) {
        return;
    }
    for (unsigned n = 0; n < PROVER_CASES; n++) {
        make_case(p, f->unit, n, &c, &cases[n]);
    }
    bool same = !differs(p, &c, NULL, 0, &cases[f->n], f->exec, &want, &got);
    if (same && differs(p, &c, cases, f->n, &cases[f->n], f->exec, &want, &got)) {
        same = false;
        nbefore = f->n;
    }
    /* What is emulated came out as before, and the processor now agrees: it was the processor's
     * result that was another. AMD's XSAVE and XRSTOR lose the x87 unit's pointers, so a switch to
     * another process does; kernels and hypervisors lose NT. */
    if (same && !compare_results(&c, &cases[f->n], &f->got, &got)) {
        printf("# the host is unsteady: unit %llu case %u differed in %s, and not when run again\n",
               (unsigned long long)f->unit, f->n, f->what);
        p->total.differences--;
        p->total.skipped++;
        return;
    }
    if (same) { /* it depends on what ran before */
        want = f->want;
        got = f->got;
    } else if (c.sequence) {
        shrink(p, &c, cases, nbefore, &cases[f->n], f->exec);
        differs(p, &c, cases, nbefore, &cases[f->n], f->exec, &want, &got);
    }
    const char *what = same ? f->what : compare_results(&c, &cases[f->n], &want, &got);
    printf("# %u bits, %s: %s differs%s. Again: prover_test -s %llu -u %llu -k %u -a %s\n",
           c.g.bits, p->exec_name[f->exec], what,
           same      ? " (not when run alone)"
           : nbefore ? " (only after the unit's other cases)"
                     : "",
           (unsigned long long)p->seed, (unsigned long long)f->unit, f->n, p->exec_name[f->exec]);
    compare_report(&c, &cases[f->n], &want, &got, p->exec_name[f->exec]);
    fflush(stdout);
}

static uint64_t form_of(const struct code *c)
{
    const struct x86_insn *i = &c->insn[0].i;
    bool memory = false;

    for (unsigned n = 0; n < i->nops; n++) {
        memory |= i->op[n].kind == OP_MEM;
    }
    return UINT64_C(1) << (memory | (i->vex && i->vex_l ? 2 : 0) |
                           (unsigned)__builtin_ctz(i->opsize) << 2);
}

static void count(struct prover *p, unsigned u, const struct native_result *want)
{
    struct prover_coverage *v = p->batch->coverage[u];
    bool fault = want->vector != EXC_BP;

    if (want->vector < 0) {
        p->total.skipped++;
        return;
    }
    p->total.cases++;
    p->total.faults += fault;
    if (v) {
        v->cases++;
        v->faults += fault;
        v->forms |= form_of(&p->batch->code[u]);
    } else {
        p->total.sequences++;
    }
}

static void compare_unit(struct prover *p, unsigned u, const struct native_result *results,
                         struct found *found, unsigned *nfound)
{
    struct prover_batch *b = p->batch;
    const struct code *c = &b->code[u];
    bool native = is_native(p, c), bad[PROVER_CASES] = {false};

    for (unsigned e = 0; e < p->nexec; e++) {
        emulated_code(p->emulated[e], &c->g);
        for (unsigned n = 0; n < PROVER_CASES; n++) {
            const struct native_case *k = &native_cases(p->native)[u * PROVER_CASES + n];
            const struct native_result *want =
                native ? &results[u * PROVER_CASES + n] : &b->reference[n];
            if (e == 0) {
                if (!native) {
                    emulated_run(p->emulated[0], k, &b->reference[n]);
                }
                count(p, u, want);
            }
            if (want->vector < 0 || (e == 0 && !native)) {
                continue;
            }
            emulated_run(p->emulated[e], k, &b->got);
            const char *what = compare_results(c, k, want, &b->got);
            if (what && !bad[n]) {
                bad[n] = true;
                if (*nfound < UNITS &&
                    (!b->coverage[u] || b->coverage[u]->reported++ < REPORTS_OF_ROW)) {
                    found[(*nfound)++] = (struct found){b->unit[u], n, e, what, *want, b->got};
                }
                p->total.differences++;
            }
        }
    }
}

void prover_flush(struct prover *p)
{
    struct prover_batch *b = p->batch;
    static struct found found[UNITS]; /* large */
    unsigned nfound = 0;

    if (!b->count) {
        return;
    }
    const struct native_result *results = native_run(p->native, b->count);
    for (unsigned u = 0; u < b->count; u++) {
        compare_unit(p, u, results, found, &nfound);
    }
    for (unsigned n = 0; n < nfound; n++) { /* overwrites the batch */
        report(p, &found[n]);
    }
    b->count = 0;
}

/* ---- units ---- */

/* The unit's code; coverage: of its row, NULL for a sequence. */
static bool make_unit(struct prover *p, uint64_t unit, struct code *c,
                      struct prover_coverage **coverage)
{
    struct random r = random_seeded(p->seed, unit, 0);
    unsigned at = (unsigned)(unit % p->round), m = 0;

    *coverage = NULL;
    if (at < p->unit_of_mode[PROVER_MODES]) {
        while (at >= p->unit_of_mode[m + 1]) {
            m++;
        }
        at -= p->unit_of_mode[m];
        if (p->only_sequences || (p->bits && p->bits != mode_bits[m]) ||
            (p->name && !row_named(p->gen[m]->rows[at], p->name))) {
            return false;
        }
        *coverage = &p->coverage[m][at];
        return generate_single(p->gen[m], at, &r, c);
    }
    at -= p->unit_of_mode[PROVER_MODES];
    while (at >= mode_sequences[m]) {
        at -= mode_sequences[m++];
    }
    if ((p->bits && p->bits != mode_bits[m]) || p->name) {
        return false;
    }
    generate_sequence(p->gen[m], &r, c);
    return true;
}

static void make_case(const struct prover *p, uint64_t unit, unsigned n, const struct code *c,
                      struct native_case *k)
{
    struct random r = random_seeded(p->seed, unit, 1 + n);

    generate_case(c, &r, k);
}

void prover_unit(struct prover *p, uint64_t unit)
{
    struct prover_batch *b = p->batch;
    unsigned u = b->count;
    struct native_group *g = &native_groups(p->native)[u];

    if (!make_unit(p, unit, &b->code[u], &b->coverage[u])) {
        return;
    }
    b->unit[u] = unit;
    *g = b->code[u].g;
    g->first = u * PROVER_CASES;
    g->count = is_native(p, &b->code[u]) ? PROVER_CASES : 0;
    for (unsigned n = 0; n < PROVER_CASES; n++) {
        make_case(p, unit, n, &b->code[u], &native_cases(p->native)[u * PROVER_CASES + n]);
    }
    if (++b->count == UNITS) {
        prover_flush(p);
    }
}

void prover_show(struct prover *p, uint64_t unit, unsigned n)
{
    static struct code c;
    static struct native_case cases[PROVER_CASES];
    static struct native_result want, got;
    struct prover_coverage *coverage;

    if (n >= PROVER_CASES || !make_unit(p, unit, &c, &coverage)) {
        printf("# nothing to show\n");
        return;
    }
    for (unsigned m = 0; m <= n; m++) {
        make_case(p, unit, m, &c, &cases[m]);
    }
    for (unsigned e = 0; e < p->nexec; e++) {
        unsigned nbefore = 0;
        bool bad = differs(p, &c, NULL, 0, &cases[n], e, &want, &got);
        if (!bad) {
            nbefore = n;
            bad = differs(p, &c, cases, nbefore, &cases[n], e, &want, &got);
        }
        printf("# unit %llu case %u, %u bits, %s: %s%s\n", (unsigned long long)unit, n, c.g.bits,
               p->exec_name[e], bad ? compare_results(&c, &cases[n], &want, &got) : "the same",
               bad && nbefore ? " (after the other cases)" : "");
        compare_report(&c, &cases[n], &want, &got, p->exec_name[e]);
        if (bad && c.sequence) {
            shrink(p, &c, cases, nbefore, &cases[n], e);
            differs(p, &c, cases, nbefore, &cases[n], e, &want, &got);
            printf("# shrunk:\n");
            compare_report(&c, &cases[n], &want, &got, p->exec_name[e]);
        }
    }
}
