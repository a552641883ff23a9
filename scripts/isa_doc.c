/* Writes docs/isa.md from the decoder's tables, the emitters, the CPU features and models and the
 * state table: `make isa-doc`. tests/cpu/isa_doc_test.c holds the file against what this writes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/decode.h"
#include "cpu/isa.h"
#include "cpu/system.h"

static const char *const feature_names[X86F_COUNT] = {
#define NAME(id, name, leaf, sub, reg, bit) [X86F_##id] = name,
    X86_FEATURES(NAME)
#undef NAME
};

static const char *const map_names[] = {
    [0] = "one-byte", [1] = "0F",     [2] = "0F 38",      [3] = "0F 3A",      [4] = "0F 0F",
    [8] = "x87",      [9] = "VEX 0F", [10] = "VEX 0F 38", [11] = "VEX 0F 3A",
};

/* The models that no feature was taken from have it, or "max" has not. */
static bool offered(const struct x86_model *max, unsigned feature)
{
    return feature <= X86F_I486 || x86_model_has(max, feature);
}

static void print_mnemonic(FILE *out, const struct x86_isa *isa, const struct x86_model *max,
                           unsigned m)
{
    unsigned rows = 0, missing = 0;
    char features[256] = "", maps[256] = "";

    for (unsigned n = 0; n < x86_opcode_count(); n++) {
        const struct x86_opcode *row = x86_opcode_row(n);
        if (row->mnemonic != m) {
            continue;
        }
        rows++;
        missing += !offered(max, row->feature);
        const char *feature = feature_names[row->feature], *map = map_names[row->map];
        if (!strstr(features, feature)) {
            snprintf(features + strlen(features), sizeof features - strlen(features), "%s%s",
                     *features ? ", " : "", feature);
        }
        char entry[32];
        snprintf(entry, sizeof entry, "%s %02X", map, row->opcode);
        if (!strstr(maps, entry)) {
            snprintf(maps + strlen(maps), sizeof maps - strlen(maps), "%s%s", *maps ? ", " : "",
                     entry);
        }
    }
    if (rows) {
        fprintf(out, "| %s | %s | %s | %u | %s |\n", x86_mnemonic_name((enum x86_mnemonic)m), maps,
                features, rows,
                !x86_isa_has(isa, (enum x86_mnemonic)m) || missing == rows ? "no"
                : missing                                                  ? "in part"
                                                                           : "yes");
    }
}

/* ---- features and models ---- */

static const struct where {
    uint32_t leaf, sub;
    uint8_t reg, bit;
} places[X86F_COUNT] = {
#define PLACE(id, name, leaf, sub, reg, bit) [X86F_##id] = {leaf, sub, reg, bit},
    X86_FEATURES(PLACE)
#undef PLACE
};

static void print_feature(FILE *out, unsigned feature, struct x86_model *const *models)
{
    static const char *const registers[] = {"EAX", "EBX", "ECX", "EDX"};
    const struct where *w = &places[feature];
    unsigned rows = 0;

    for (unsigned n = 0; n < x86_opcode_count(); n++) {
        rows += x86_opcode_row(n)->feature == feature;
    }
    fprintf(out, "| %s | %X", feature_names[feature], w->leaf);
    if (w->sub) {
        fprintf(out, ".%X", w->sub);
    }
    fprintf(out, " %s %u | %u |", registers[w->reg], w->bit, rows);
    for (unsigned n = 0; models[n]; n++) {
        if (x86_model_has(models[n], feature)) {
            fprintf(out, " %s", models[n]->name);
        }
    }
    fprintf(out, " |\n");
}

static void print_models(FILE *out)
{
    struct x86_model *models[32] = {NULL};
    struct error err;
    unsigned count = 0;

    fprintf(out,
            "\n# CPU models\n\n"
            "| -cpu | what it is | vendor | family, model, stepping | leaves | address bits |\n"
            "|---|---|---|---|---|---|\n");
    for (; count < 31 && x86_model_name(count); count++) {
        struct x86_model *m = models[count] = x86_model_parse(x86_model_name(count), &err);
        fprintf(out, "| %s | %s | %s | %u, %u, %u | %X, %X | %u, %u |\n", m->name, m->summary,
                m->vendor, m->family, m->model, m->stepping, m->max_leaf, m->max_xleaf,
                m->phys_bits, m->lin_bits);
    }
    fprintf(out, "\n# Features\n\n"
                 "An instruction whose feature a model lacks raises #UD (but TZCNT and LZCNT, "
                 "which are BSF and BSR\n"
                 "then). `-cpu MODEL,+FEATURE,-FEATURE` adds and takes away.\n\n"
                 "| feature | CPUID | forms | models |\n|---|---|---|---|\n");
    for (unsigned f = X86F_FPU; f < X86F_NONE; f++) {
        print_feature(out, f, models);
    }
    while (count--) {
        x86_model_free(models[count]);
    }
}

/* ---- state ---- */

static void print_fields(FILE *out, const struct state_field *f, const char *prefix)
{
    static const char *const types[] = {
        [ST_BOOL] = "bool", [ST_U8] = "u8",   [ST_U16] = "u16",     [ST_U32] = "u32",
        [ST_U64] = "u64",   [ST_I64] = "i64", [ST_BYTES] = "bytes", [ST_TIMER] = "timer",
    };

    for (; f->type != ST_END; f++) {
        if (f->type == ST_STRUCT) {
            char name[96];
            snprintf(name, sizeof name, "%s%s%s.", prefix, f->name, f->count > 1 ? "[]" : "");
            fprintf(out, "| %s%s | %u structures |\n", prefix, f->name, (unsigned)f->count);
            print_fields(out, f->fields, name);
        } else if (f->count > 1) {
            fprintf(out, "| %s%s | %u x %s |\n", prefix, f->name, (unsigned)f->count,
                    types[f->type]);
        } else {
            fprintf(out, "| %s%s | %s |\n", prefix, f->name, types[f->type]);
        }
    }
}

static int write_doc(FILE *out)
{
    struct error err = {""};
    struct x86_model *max =
        x86_model_parse("max,+monitor,+la57,+3dnow,+3dnowext,+sse4a,+mmxext", &err);
    const struct x86_isa *isa = x86_isa_create();

    if (!max) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    fprintf(out,
            "# Instructions\n\n"
            "Generated by `make isa-doc` from the tables: do not edit. What is marked \"no\" is "
            "recognised and\n"
            "raises #UD, and its feature is not offered by any CPU model.\n\n"
            "| instruction | opcodes | feature | forms | translated |\n|---|---|---|---|---|\n");
    for (unsigned m = 1; m < MN_COUNT; m++) {
        print_mnemonic(out, isa, max, m);
    }
    print_models(out);
    fprintf(out, "\n# State\n\nWhat snapshots hold of a processor, as the debugger and the monitor "
                 "know it.\n\n"
                 "| field | type |\n|---|---|\n");
    print_fields(out, x86_cpu_state.fields, "");
    x86_isa_free(isa);
    x86_model_free(max);
    return 0;
}

#ifndef ISA_DOC_TEST
int main(void)
{
    return write_doc(stdout);
}
#endif
