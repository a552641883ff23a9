/* Host instructions that the code generator emits for short sequences of 64-bit guest code, against
 * golden.txt, whose lines are: code in hex, host instructions on the way and out of line, the
 * code's text. Counts are those of a whole block (exits included; one that does not end in a jump
 * ends in HLT). They depend on no clock and, as the features of the host that are used are set
 * here, on no host: one without them skips the test and says what it lacks.
 *
 *   codegen_test [-u]   -u (make codegen-update): write golden.txt anew. To add a row, add a line
 * with its hex. */
#include "config.h"
#ifdef HAVE_CAPSTONE
#define x86_insn capstone_insn /* ours has the name, too */
#define x86_reg  capstone_reg
#include <capstone/capstone.h>
#undef x86_insn
#undef x86_reg
#endif

#include "tests/cpu/sandbox.h"
#include "tests/unit/tap.h"

#include <stdio.h>

#if defined(__x86_64__) && defined(HAVE_CAPSTONE)
#include "tcg/tb.h"
#include "tcg/x86_64/gen.h"

enum { MAX_CODE = 64, CODE_AREA = 0x8000 };

struct row {
    uint8_t code[MAX_CODE];
    size_t len;
    unsigned hot, cold;
    char text[160];
};

static csh cs;

static void force_features(struct tcg *t)
{
    struct x64_thunks *th = &x64_of(t)->th;

    th->bmi1 = th->bmi2 = th->avx = th->avx2 = th->lzcnt = th->popcnt = th->fma = th->f16c =
        th->intel = true;
    th->aes = th->pclmul = th->sha = th->gfni = th->vaes = th->vpclmul = false;
}

/* The name of what the host lacks, or NULL. */
static const char *lacking(void)
{
    return !__builtin_cpu_supports("avx2")     ? "AVX2"
           : !__builtin_cpu_supports("bmi")    ? "BMI1"
           : !__builtin_cpu_supports("bmi2")   ? "BMI2"
           : !__builtin_cpu_supports("fma")    ? "FMA"
           : !__builtin_cpu_supports("popcnt") ? "POPCNT"
                                               : NULL;
}

static void describe(struct row *r)
{
    cs_insn *insn;
    size_t n = cs_disasm(cs, r->code, r->len, 0, 0, &insn), at = 0;

    r->text[0] = 0;
    for (size_t i = 0; i < n && at < sizeof(r->text); i++) {
        at += (size_t)snprintf(r->text + at, sizeof(r->text) - at, "%s%s%s%s", i ? "; " : "",
                               insn[i].mnemonic, insn[i].op_str[0] ? " " : "", insn[i].op_str);
    }
    if (n) {
        cs_free(insn, n);
    }
}

static bool count(struct sandbox *s, struct row *r)
{
    static uint8_t hlts[CODE_AREA];
    struct x86_cpu *c = s->c;
    struct tb *tb;
    cs_insn *insn;
    uint64_t flags;
    size_t n;

    sandbox_mode(s, SANDBOX_LONG);
    memset(hlts, 0xf4, sizeof(hlts));
    memory_write(s->m->memory, SANDBOX_CODE, hlts, sizeof(hlts));
    for (unsigned k = 0; k < 16; k++) {
        if (k != X86_RSP) {
            c->v.reg[k] = SANDBOX_DATA;
        }
        sandbox_put64(s, SANDBOX_STACK + 8 * k, SANDBOX_CODE + 0x800); /* where returns go */
    }
    c->v.reg[X86_RCX] = 2;
    c->v.reg[X86_RAX] = SANDBOX_CODE + 0x800;
    sandbox_put64(s, SANDBOX_DATA, SANDBOX_CODE + 0x800);
    x86_update_key(c);
    flags = c->v.tb_flags;
    sandbox_run(s, r->code, r->len);
    tb = tb_find(s->m->tcg, s->ram->host + SANDBOX_CODE, flags);
    if (!tb) {
        return false;
    }
    r->hot = r->cold = 0;
    n = cs_disasm(cs, (const uint8_t *)tb + tb->code_at, tb->code_size, 0, 0, &insn);
    for (size_t i = 0; i < n; i++) {
        bool cold = insn[i].address >= ((const struct map64 *)tb->map)->cold;
        r->hot += !cold;
        r->cold += cold;
    }
    if (n) {
        cs_free(insn, n);
    }
    tcg_flush(s->m->tcg);
    return true;
}

static bool parse(const char *line, struct row *r)
{
    unsigned byte;

    memset(r, 0, sizeof(*r));
    while (r->len < MAX_CODE && sscanf(line, "%2x", &byte) == 1) {
        r->code[r->len++] = (uint8_t)byte;
        line += 2;
        if (*line == ' ' || *line == '\n' || !*line) {
            break;
        }
    }
    r->hot = r->cold = 0;
    sscanf(line, "%u %u", &r->hot, &r->cold);
    return r->len > 0;
}

static void path_of(char *path, size_t size)
{
    const char *slash = strrchr(__FILE__, '/');

    snprintf(path, size, "%.*s/golden.txt", (int)(slash - __FILE__), __FILE__);
}

int main(int argc, char **argv)
{
    bool update = argc > 1 && !strcmp(argv[1], "-u");
    const char *missing = lacking();
    struct row want, got;
    struct sandbox s;
    char path[512], line[512], *text = NULL;
    size_t len;
    FILE *f, *out = open_memstream(&text, &len);

    path_of(path, sizeof(path));
    f = fopen(path, "r");
    if (!f || !out) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return 1;
    }
    if (missing) {
        printf("1..0 # SKIP the table is of hosts with %s\n", missing);
        return update;
    }
    cs_open(CS_ARCH_X86, CS_MODE_64, &cs);
    cs_option(cs, CS_OPT_SKIPDATA, CS_OPT_ON);
    sandbox_create(&s, "max", "tcg");
    force_features(s.m->tcg);
    while (fgets(line, sizeof(line), f)) {
        if (line[0] == '#' || !parse(line, &want)) {
            fputs(line, out);
            continue;
        }
        got = want;
        describe(&got);
        bool made = count(&s, &got);
        if (!update) {
            tap_ok(made && got.hot == want.hot && got.cold == want.cold,
                   "%s: %u + %u, golden %u + %u", got.text, got.hot, got.cold, want.hot, want.cold);
        }
        for (size_t i = 0; i < got.len; i++) {
            fprintf(out, "%02x", got.code[i]);
        }
        fprintf(out, "%*s %3u %3u  %s\n", got.len < 12 ? (int)(24 - 2 * got.len) : 0, "", got.hot,
                got.cold, got.text);
    }
    fclose(f);
    fclose(out);
    sandbox_destroy(&s);
    cs_close(&cs);
    if (update) {
        f = fopen(path, "w");
        if (!f || fwrite(text, 1, len, f) != len || fclose(f)) {
            fprintf(stderr, "%s: cannot be written\n", path);
            return 1;
        }
        free(text);
        return 0;
    }
    free(text);
    return tap_done();
}
#else
int main(void)
{
    puts("1..0 # SKIP needs the code generator for x86-64 and Capstone");
}
#endif
