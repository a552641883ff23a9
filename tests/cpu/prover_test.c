/* Every row of the decoder's tables against the host's own processor, in each executor: random
 * encodings and sequences of them with random states, whose results must agree in all that is
 * defined. docs/prover.md tells more.
 *
 *   prover_test [-n cases] [-s seed] [-m mnemonic] [-b 16|32|64] [-q] [-a executor] [-r reports]
 *               [-p part/parts] [-S state file]
 *   prover_test -s seed -u unit -k case [-a executor]     one case again, printed
 *
 * -q: sequences only. -p: of several processes that share a campaign. -S: where it stands, every
 * few seconds; a campaign that was broken off goes on from there. */
#include "tests/cpu/prover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cpu/cpuid.h"
#include "cpu/isa.h"
#include "cpu/x86.h"
#include "tests/unit/tap.h"

struct options {
    uint64_t cases, seed;
    const char *name, *accel, *state;
    unsigned bits, part, parts, reports;
    bool sequences;
    long unit, one;
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- where a campaign stands ---- */

static uint64_t load_state(const struct options *o, struct prover_total *t)
{
    unsigned long long seed, unit, v[5];
    FILE *f = o->state ? fopen(o->state, "r") : NULL;
    uint64_t start = 0;

    if (!f) {
        return 0;
    }
    if (fscanf(f,
               "seed %llu unit %llu cases %llu faults %llu skipped %llu sequences %llu differences "
               "%llu",
               &seed, &unit, &v[0], &v[1], &v[2], &v[3], &v[4]) == 7 &&
        seed == o->seed) {
        *t = (struct prover_total){v[0], v[1], v[2], v[3], v[4]};
        start = unit;
    }
    fclose(f);
    return start;
}

static void save_state(const struct options *o, uint64_t unit, const struct prover_total *t)
{
    char name[4096];
    FILE *f;

    snprintf(name, sizeof name, "%s.new", o->state);
    f = fopen(name, "w");
    if (!f) {
        return;
    }
    fprintf(
        f,
        "seed %llu unit %llu cases %llu faults %llu skipped %llu sequences %llu differences %llu\n",
        (unsigned long long)o->seed, (unsigned long long)unit, (unsigned long long)t->cases,
        (unsigned long long)t->faults, (unsigned long long)t->skipped,
        (unsigned long long)t->sequences, (unsigned long long)t->differences);
    if (fclose(f) == 0) {
        rename(name, o->state);
    }
}

static void progress(const struct prover_total *t, uint64_t cases, double rate)
{
    fprintf(stderr,
            "%.1f %% of %llu cases, %llu with a fault, %llu in sequences, %llu skipped, %llu "
            "differ, %.0f cases/s\n",
            100.0 * (double)t->cases / (double)cases, (unsigned long long)cases,
            (unsigned long long)t->faults, (unsigned long long)t->sequences,
            (unsigned long long)t->skipped, (unsigned long long)t->differences, rate);
}

static void run(struct prover *p, const struct options *o)
{
    uint64_t units = o->cases / PROVER_CASES, unit = load_state(o, &p->total),
             first = p->total.cases;
    double start = now(), last = start;

    for (unit += unit % o->parts == o->part ? 0 : o->part; unit < units; unit += o->parts) {
        prover_unit(p, unit);
        if (!p->batch || (unit / o->parts) % 4096 != 0 || !o->state || now() - last < 10) {
            continue;
        }
        prover_flush(p);
        last = now();
        save_state(o, unit + o->parts, &p->total);
        progress(&p->total, o->cases / o->parts, (double)(p->total.cases - first) / (last - start));
    }
    prover_flush(p);
    double took = now() - start;
    if (o->state) {
        save_state(o, unit, &p->total);
        progress(&p->total, o->cases / o->parts, (double)(p->total.cases - first) / took);
    }
    tap_ok(!p->total.differences,
           "seed %llu: %llu cases in %s%s (%llu in sequences, %llu with a fault, %llu skipped), "
           "%llu differ",
           (unsigned long long)o->seed, (unsigned long long)p->total.cases, p->exec_name[0],
           p->nexec > 1 ? " and tcg" : "", (unsigned long long)p->total.sequences,
           (unsigned long long)p->total.faults, (unsigned long long)p->total.skipped,
           (unsigned long long)p->total.differences);
    printf("# %.0f cases/s, %.1f s\n", (double)(p->total.cases - first) / took, took);
}

/* ---- coverage ---- */

static void print_excluded(const struct prover *p)
{
    const struct x86_cpu *c = emulated_cpu(p->emulated[0]);
    unsigned lacks = 0, skip = 0, none = 0;
    char names[3][2048] = {"", "", ""};

    for (unsigned n = 0; n < x86_opcode_count(); n++) {
        const struct x86_opcode *row = x86_opcode_row(n);
        bool has = (row->feature <= X86F_I486 || x86_model_has(c->model, row->feature)) &&
                   x86_isa_has(c->isa, (enum x86_mnemonic)row->mnemonic);
        unsigned kind = rules_of(row) & RULE_SKIP ? 0 : !host_has(row->feature) ? 1 : !has ? 2 : 3;
        if (kind == 3) {
            continue;
        }
        skip += kind == 0;
        lacks += kind == 1;
        none += kind == 2;
        const char *name = x86_mnemonic_name((enum x86_mnemonic)row->mnemonic);
        char *to = names[kind];
        char word[64];
        snprintf(word, sizeof word, " %s", name);
        if (!strstr(to, word) && strlen(to) + 64 < sizeof names[0]) {
            strcat(to, word);
        }
    }
    printf("# %u rows that user mode cannot run to a result of its own:%s\n", skip, names[0]);
    printf("# %u rows that this host's processor lacks:%s\n", lacks, names[1]);
    printf("# %u rows that are not implemented here:%s\n", none, names[2]);
}

static void print_coverage(const struct prover *p)
{
    unsigned rows = 0, covered = 0, forms = 0, sizes[4] = {0};

    for (unsigned m = 0; m < PROVER_MODES; m++) {
        for (unsigned n = 0; p->gen[m] && n < p->gen[m]->nrows; n++) {
            const struct prover_coverage *v = &p->coverage[m][n];
            rows++;
            covered += v->cases != 0;
            forms += (unsigned)__builtin_popcountll(v->forms);
            for (unsigned s = 1; s < 4; s++) {
                sizes[s] += (v->forms >> 4 * s & 15) != 0;
            }
            if (!v->cases) {
                printf("# not exercised: %s, %u bits, map %u opcode %02x /%d\n",
                       x86_mnemonic_name((enum x86_mnemonic)p->gen[m]->rows[n]->mnemonic),
                       p->gen[m]->bits, p->gen[m]->rows[n]->map, p->gen[m]->rows[n]->opcode,
                       p->gen[m]->rows[n]->modrm_reg);
            }
        }
        if (p->gen[m]) {
            printf("# %u-bit mode: %u rows\n", p->gen[m]->bits, p->gen[m]->nrows);
        }
    }
    printf("# coverage: %u of %u rows x modes in %u forms (operand size, vector length, register "
           "or memory); operand sizes 16, "
           "32, 64 bits in %u, %u, %u\n",
           covered, rows, forms, sizes[1], sizes[2], sizes[3]);
    print_excluded(p);
    tap_ok(covered == rows, "every row that user mode can run and this host has was exercised");
}

int main(int argc, char **argv)
{
    struct options o = {.cases = 3000000, .seed = 1, .parts = 1, .reports = 10, .unit = -1};
    const char *why;
    int opt;

    while ((opt = getopt(argc, argv, "n:s:m:b:qa:r:p:S:u:k:")) != -1) {
        switch (opt) {
        case 'n':
            o.cases = strtoull(optarg, NULL, 0);
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
        case 'q':
            o.sequences = true;
            break;
        case 'a':
            o.accel = optarg;
            break;
        case 'r':
            o.reports = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 'p':
            if (sscanf(optarg, "%u/%u", &o.part, &o.parts) != 2 || !o.parts || o.part >= o.parts) {
                return 2;
            }
            break;
        case 'S':
            o.state = optarg;
            break;
        case 'u':
            o.unit = strtol(optarg, NULL, 0);
            break;
        case 'k':
            o.one = strtol(optarg, NULL, 0);
            break;
        default:
            return 2;
        }
    }
    struct prover *p = prover_start(o.accel, o.seed, &why);
    if (!p) {
        printf("1..0 # SKIP %s\n", why);
        return 0;
    }
    p->name = o.name;
    p->bits = o.bits;
    p->only_sequences = o.sequences;
    p->max_reports = o.reports;
    if (o.unit >= 0) {
        prover_show(p, (uint64_t)o.unit, (unsigned)o.one);
        prover_stop(p);
        return 0;
    }
    run(p, &o);
    if (!o.name && !o.bits && !o.sequences && !o.state) {
        print_coverage(p);
    }
    prover_stop(p);
    return tap_done();
}
