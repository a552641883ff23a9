/* Replays recorded vectors, tests/cpu/vectors/x86-64.zst: instructions of every row with states and
 * what a real processor made of them, so that hosts which are not x86 hold the same proof.
 *
 *   vectors_test [-f file] [-r reports]
 *   vectors_test -w file [-n cases of a row]     records them on this host ("make vectors")
 *
 * The file is a zstd frame of 64-bit little-endian words: a magic one; then groups, each a word of
 * lengths and flags, the code, and its cases. A case is two lists of words, the state before and
 * what has changed of it, each as a bitmap and the words that are not zero. To be small a state has
 * numbers only in the registers that the instruction names, and in the first eight. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "cpu/cpuid.h"
#include "cpu/isa.h"
#include "cpu/x86.h"
#include "tests/cpu/compare.h"
#include "tests/cpu/emulated.h"
#include "tests/cpu/generate.h"
#include "tests/unit/tap.h"

#include <zstd.h>

#define MAGIC UINT64_C(0x3130766365764744) /* "DGvecv01" */
enum {
    FX_WORDS = sizeof(struct native_fx) / 8,
    CASE_WORDS = FX_WORDS + 16 + 2 + NATIVE_PATCHES * 5,
    RESULT_WORDS = FX_WORDS + 16 + 9 + 2 * NATIVE_CHANGES,
    MAX_GROUP_CASES = 64,
};

struct stream {
    uint8_t *bytes;
    size_t len, room, at;
    bool bad; /* ended too early */
};

/* ---- words ---- */

static void put64(struct stream *s, uint64_t x)
{
    if (s->len + 8 > s->room) {
        s->room = s->room ? 2 * s->room : 1 << 20;
        s->bytes = realloc(s->bytes, s->room);
        if (!s->bytes) {
            abort();
        }
    }
    for (unsigned n = 0; n < 8; n++) {
        s->bytes[s->len++] = (uint8_t)(x >> 8 * n);
    }
}

static uint64_t get64(struct stream *s)
{
    uint64_t x = 0;

    if (s->at + 8 > s->len) {
        s->bad = true;
        return 0;
    }
    for (unsigned n = 0; n < 8; n++) {
        x |= (uint64_t)s->bytes[s->at++] << 8 * n;
    }
    return x;
}

static void put_words(struct stream *s, const uint64_t *w, unsigned count)
{
    for (unsigned b = 0; b < count; b += 64) {
        uint64_t map = 0;
        for (unsigned n = b; n < count && n < b + 64; n++) {
            map |= (uint64_t)(w[n] != 0) << (n - b);
        }
        put64(s, map);
        for (unsigned n = b; n < count && n < b + 64; n++) {
            if (w[n]) {
                put64(s, w[n]);
            }
        }
    }
}

static void get_words(struct stream *s, uint64_t *w, unsigned count)
{
    for (unsigned b = 0; b < count; b += 64) {
        uint64_t map = get64(s);
        for (unsigned n = b; n < count && n < b + 64; n++) {
            w[n] = map >> (n - b) & 1 ? get64(s) : 0;
        }
    }
}

/* ---- states as words ---- */

static void case_words(const struct native_case *k, uint64_t w[CASE_WORDS])
{
    memset(w, 0, CASE_WORDS * 8);
    memcpy(w, &k->fx, sizeof k->fx);
    w += FX_WORDS;
    memcpy(w, k->reg, sizeof k->reg);
    w[16] = k->rflags;
    w[17] = k->npatches | (uint64_t)k->ignore << 32;
    for (unsigned n = 0; n < k->npatches; n++) {
        w[18 + 5 * n] = k->patch[n].at | (uint64_t)k->patch[n].len << 32;
        memcpy(&w[19 + 5 * n], k->patch[n].bytes, k->patch[n].len);
    }
}

static bool words_case(const uint64_t w[CASE_WORDS], struct native_case *k)
{
    memset(k, 0, sizeof *k);
    memcpy(&k->fx, w, sizeof k->fx);
    w += FX_WORDS;
    memcpy(k->reg, w, sizeof k->reg);
    k->rflags = w[16];
    k->npatches = (uint32_t)w[17];
    k->ignore = (uint32_t)(w[17] >> 32);
    if (k->npatches > NATIVE_PATCHES || k->ignore > NATIVE_DATA_SIZE - 4) {
        return false;
    }
    for (unsigned n = 0; n < k->npatches; n++) {
        k->patch[n].at = (uint16_t)w[18 + 5 * n];
        k->patch[n].len = (uint8_t)(w[18 + 5 * n] >> 32);
        if (k->patch[n].len > sizeof k->patch[n].bytes ||
            k->patch[n].at + k->patch[n].len > NATIVE_DATA_SIZE) {
            return false;
        }
        memcpy(k->patch[n].bytes, &w[19 + 5 * n], k->patch[n].len);
    }
    return true;
}

static void result_words(const struct native_result *r, bool full, uint64_t w[RESULT_WORDS])
{
    memset(w, 0, RESULT_WORDS * 8);
    if (full) {
        memcpy(w, &r->fx, sizeof r->fx);
    }
    w += FX_WORDS;
    memcpy(w, r->reg, sizeof r->reg);
    w[16] = r->rflags;
    w[17] = r->rip;
    w[18] = (uint32_t)r->vector | (uint64_t)r->error << 32;
    w[19] = r->cr2;
    w[20] = r->nchanges;
    w[21] = r->data_hash;
    memcpy(&w[22], r->sel, sizeof r->sel);
    for (unsigned n = 0; n < NATIVE_CHANGES && n < r->nchanges; n++) {
        w[25 + 2 * n] = r->change[n].at;
        w[26 + 2 * n] = r->change[n].value;
    }
}

static void words_result(const uint64_t w[RESULT_WORDS], struct native_result *r)
{
    memset(r, 0, sizeof *r);
    memcpy(&r->fx, w, sizeof r->fx);
    w += FX_WORDS;
    memcpy(r->reg, w, sizeof r->reg);
    r->rflags = w[16];
    r->rip = w[17];
    r->vector = (int32_t)w[18];
    r->error = (uint32_t)(w[18] >> 32);
    r->cr2 = w[19];
    r->nchanges = (uint16_t)w[20];
    r->data_hash = w[21];
    memcpy(r->sel, &w[22], sizeof r->sel);
    for (unsigned n = 0; n < NATIVE_CHANGES; n++) {
        r->change[n] = (struct native_change){w[25 + 2 * n], w[26 + 2 * n]};
    }
}

/* What follows the state that both have: registers and flags. */
static void difference(uint64_t *result, const uint64_t *state)
{
    for (unsigned n = 0; n < FX_WORDS + 17; n++) {
        result[n] ^= state[n];
    }
}

static void put_group(struct stream *s, const struct code *c, unsigned count)
{
    put64(s, c->g.len | (uint64_t)c->g.at << 16 | (uint64_t)c->g.bits << 32 |
                 (uint64_t)c->g.full << 40 | (uint64_t)c->g.traps << 41 |
                 (uint64_t)c->g.segments << 42 | (uint64_t)count << 48);
    for (unsigned n = 0; n < c->g.len; n += 8) {
        uint64_t x;
        memcpy(&x, c->g.code + n, 8);
        put64(s, x);
    }
}

/* The group's code as one instruction; count: of cases. */
static bool get_group(struct stream *s, struct code *c, unsigned *count)
{
    uint64_t head = get64(s);
    struct encoding e;

    memset(&c->g, 0, sizeof c->g);
    c->g.len = (uint16_t)head;
    c->g.at = (uint16_t)(head >> 16);
    c->g.bits = (uint8_t)(head >> 32);
    c->g.full = head >> 40 & 1;
    c->g.traps = head >> 41 & 1;
    c->g.segments = head >> 42 & 1;
    *count = (unsigned)(head >> 48);
    if (s->bad || !c->g.len || c->g.len > 15 || c->g.at + c->g.len > NATIVE_CODE_SIZE ||
        *count > MAX_GROUP_CASES || (c->g.bits != 64 && c->g.bits != 32 && c->g.bits != 16)) {
        return false;
    }
    for (unsigned n = 0; n < c->g.len; n += 8) {
        uint64_t x = get64(s);
        memcpy(c->g.code + n, &x, 8);
    }
    memset(&e, 0, sizeof e);
    memcpy(e.bytes, c->g.code, c->g.len);
    if (x86_decode(e.bytes, 15, encode_mode(c->g.bits), &e.insn) != X86_DECODE_OK ||
        e.insn.len != c->g.len) {
        return false;
    }
    e.len = c->g.len;
    generate_one(c, &e);
    return true;
}

/* ---- replay ---- */

struct replay {
    struct emulated *emulated[2];
    const char *name[2];
    unsigned nexec, reports, max_reports;
    unsigned long cases, groups, differences, missing;
};

static bool replay_group(struct replay *p, struct stream *s, struct code *c, unsigned count)
{
    static uint64_t state[CASE_WORDS], result[RESULT_WORDS];
    static struct native_case k[MAX_GROUP_CASES];
    static struct native_result want[MAX_GROUP_CASES], got;

    for (unsigned n = 0; n < count; n++) {
        get_words(s, state, CASE_WORDS);
        get_words(s, result, RESULT_WORDS);
        difference(result, state);
        words_result(result, &want[n]);
        if (s->bad || !words_case(state, &k[n])) {
            return false;
        }
    }
    const struct x86_cpu *cpu = emulated_cpu(p->emulated[0]);
    unsigned feature = c->insn[0].row->feature;
    if ((feature > X86F_I486 && !x86_model_has(cpu->model, feature)) ||
        !x86_isa_has(cpu->isa, (enum x86_mnemonic)c->insn[0].row->mnemonic)) {
        p->missing++;
        return true;
    }
    p->groups++;
    p->cases += count;
    for (unsigned e = 0; e < p->nexec; e++) {
        emulated_code(p->emulated[e], &c->g);
        for (unsigned n = 0; n < count; n++) {
            emulated_run(p->emulated[e], &k[n], &got);
            const char *what = compare_results(c, &k[n], &want[n], &got);
            if (what && p->differences++ < p->max_reports) {
                printf("# group %lu case %u, %s: %s differs\n", p->groups, n, p->name[e], what);
                compare_report(c, &k[n], &want[n], &got, p->name[e]);
            }
        }
    }
    return true;
}

static bool read_file(const char *name, struct stream *s)
{
    FILE *f = fopen(name, "rb");
    static uint8_t packed[4 << 20];

    if (!f) {
        return false;
    }
    size_t size = fread(packed, 1, sizeof packed, f);
    fclose(f);
    unsigned long long whole = ZSTD_getFrameContentSize(packed, size);
    if (whole == ZSTD_CONTENTSIZE_ERROR || whole == ZSTD_CONTENTSIZE_UNKNOWN || whole > 256 << 20) {
        return false;
    }
    s->bytes = malloc(whole ? whole : 1);
    size_t got = s->bytes ? ZSTD_decompress(s->bytes, whole, packed, size) : 0;
    s->len = ZSTD_isError(got) ? 0 : got;
    return s->len != 0;
}

static int replay(const char *name, unsigned max_reports)
{
    struct replay p = {.max_reports = max_reports};
    struct stream s = {0};
    static struct code c;
    unsigned count;
    bool ok = read_file(name, &s) && get64(&s) == MAGIC;

    tap_ok(ok, "%s can be read", name);
    if (!ok) {
        return tap_done();
    }
    bool no_ldt = get64(&s);
    p.name[p.nexec] = "interp";
    p.emulated[p.nexec++] = emulated_start("interp", "max");
#ifdef __x86_64__
    p.name[p.nexec] = "tcg";
    p.emulated[p.nexec++] = emulated_start("tcg", "max");
#endif
    for (unsigned e = 0; no_ldt && e < p.nexec; e++) {
        emulated_without_ldt(p.emulated[e]);
    }
    while (ok && s.at < s.len) {
        ok = get_group(&s, &c, &count) && replay_group(&p, &s, &c, count);
    }
    tap_ok(ok, "every group is well formed");
    tap_ok(!p.missing, "every recorded instruction is there (%lu are not)", p.missing);
    tap_ok(!p.differences, "%lu cases of %lu encodings in %u executors, %lu differ", p.cases,
           p.groups, p.nexec, p.differences);
    for (unsigned e = 0; e < p.nexec; e++) {
        emulated_stop(p.emulated[e]);
    }
    free(s.bytes);
    return tap_done();
}

/* ---- recording ---- */

/* Only the registers that the instruction may look at keep their values. */
static void reduce(const struct code *c, struct native_case *k)
{
    const struct x86_insn *i = &c->insn[0].i;
    uint32_t gprs = 0xff, vectors = 1;
    bool stack = i->row->attr & (AT_FPU | AT_MMX);

    for (unsigned n = 0; n < i->nops; n++) {
        gprs |= i->op[n].kind == OP_GPR ? 1u << i->op[n].reg : 0;
        vectors |= i->op[n].kind == OP_XMM ? 1u << i->op[n].reg : 0;
        stack |= i->op[n].kind == OP_MMX;
    }
    gprs |= i->base < 16 ? 1u << i->base : 0;
    gprs |= i->index < 16 && !i->vsib ? 1u << i->index : 0;
    vectors |= i->vsib ? 1u << i->index : 0;
    for (unsigned n = 0; n < 16; n++) {
        if (!(gprs >> n & 1)) {
            k->reg[n] = 0;
        }
        if (!(vectors >> n & 1)) {
            memset(k->fx.xmm[n], 0, 16);
            memset(k->fx.ymm_high[n], 0, 16);
        }
    }
    if (!stack && c->g.full) {
        memset(k->fx.st, 0, sizeof k->fx.st);
        k->fx.fcw = 0x37f;
        k->fx.fsw = 0;
        k->fx.ftw = 0;
    }
}

static bool write_file(const char *name, const struct stream *s)
{
    size_t room = ZSTD_compressBound(s->len), size;
    uint8_t *packed = malloc(room);
    FILE *f = fopen(name, "wb");

    if (!packed || !f) {
        return false;
    }
    size = ZSTD_compress(packed, room, s->bytes, s->len, 19);
    bool ok = !ZSTD_isError(size) && fwrite(packed, 1, size, f) == size;
    free(packed);
    printf("# %zu bytes, %zu packed\n", s->len, size);
    return fclose(f) == 0 && ok;
}

/* Two encodings of the row. */
static unsigned record_row(struct native *native, struct generator *g, unsigned row, unsigned cases,
                           struct stream *s)
{
    static struct code c;
    unsigned kept[MAX_GROUP_CASES], nkept, total = 0;
    uint64_t state[CASE_WORDS], result[RESULT_WORDS];

    for (unsigned unit = 0; unit < 2; unit++) {
        struct random r = random_seeded(77, row, unit);
        if (!generate_single(g, row, &r, &c)) {
            continue;
        }
        native_groups(native)[0] = c.g;
        native_groups(native)[0].first = 0;
        native_groups(native)[0].count = cases;
        for (unsigned n = 0; n < cases; n++) {
            memset(&native_cases(native)[n], 0, sizeof(struct native_case));
            generate_case(&c, &r, &native_cases(native)[n]);
            reduce(&c, &native_cases(native)[n]);
        }
        const struct native_result *results = native_run(native, 1);
        nkept = 0;
        for (unsigned n = 0; n < cases; n++) {
            if (results[n].vector >= 0) {
                kept[nkept++] = n;
            }
        }
        if (!nkept) {
            continue;
        }
        put_group(s, &c, nkept);
        for (unsigned n = 0; n < nkept; n++) {
            case_words(&native_cases(native)[kept[n]], state);
            result_words(&results[kept[n]], c.g.full, result);
            difference(result, state);
            put_words(s, state, CASE_WORDS);
            put_words(s, result, RESULT_WORDS);
        }
        total += nkept;
    }
    return total;
}

static int record(const char *name, unsigned cases)
{
    static const unsigned modes[] = {64, 32, 16};
    const char *why;
    struct native *native = native_start(&why);
    struct generator *g = malloc(sizeof *g);
    struct stream s = {0};
    unsigned long total = 0, rows = 0;

    if (!native || !g) {
        fprintf(stderr, "vectors_test: cannot record here: %s\n", native ? "no memory" : why);
        return 1;
    }
    put64(&s, MAGIC);
    put64(&s, !native_can(native, 16));
    for (unsigned m = 0; m < 3; m++) {
        if (!native_can(native, modes[m])) {
            printf("# this host runs no %u-bit code\n", modes[m]);
            continue;
        }
        memset(g, 0, sizeof *g);
        g->bits = modes[m];
        for (unsigned n = 0; n < x86_opcode_count(); n++) {
            if (!row_excluded(x86_opcode_row(n), modes[m])) {
                generator_add(g, x86_opcode_row(n));
            }
        }
        for (unsigned n = 0; n < g->nrows; n++) {
            total += record_row(native, g, n, cases, &s);
        }
        rows += g->nrows;
    }
    bool ok = write_file(name, &s);
    printf("# %lu cases of %lu rows in %s\n", total, rows, name);
    native_stop(native);
    free(g);
    free(s.bytes);
    return !ok;
}

int main(int argc, char **argv)
{
    const char *file = TEST_SRC "/tests/cpu/vectors/x86-64.zst", *out = NULL;
    unsigned cases = 4, reports = 10;
    int opt;

    while ((opt = getopt(argc, argv, "f:w:n:r:")) != -1) {
        switch (opt) {
        case 'f':
            file = optarg;
            break;
        case 'w':
            out = optarg;
            break;
        case 'n':
            cases = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 'r':
            reports = (unsigned)strtoul(optarg, NULL, 0);
            break;
        default:
            return 2;
        }
    }
    if (cases > MAX_GROUP_CASES) {
        cases = MAX_GROUP_CASES;
    }
    return out ? record(out, cases) : replay(file, reports);
}
