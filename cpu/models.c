/* Processor models by name, and the features that this emulator implements.
 *
 * A model is written down as its data sheet has it; what is not implemented yet is left out of what
 * the guest sees, so that implementing something only means adding it to `implemented`. Asking for
 * an unimplemented feature by name (-cpu X,+feature) is an error. MONITOR/MWAIT is in `max` alone,
 * without the C-states (leaf 5) that would make an operating system idle with it: HLT wakes at
 * once, MWAIT's thread looks at its line now and then. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "host/nearest.h"

_Static_assert(X86F_COUNT <= 128, "struct x86_model has room for 128 features");

static const uint8_t implemented[] = {
    X86F_I86,        X86F_I186,       X86F_I286,       X86F_I386,        X86F_I486,
    X86F_FPU,        X86F_VME,        X86F_DE,         X86F_PSE,         X86F_TSC,
    X86F_MSR,        X86F_PAE,        X86F_MCE,        X86F_CX8,         X86F_APIC,
    X86F_SEP,        X86F_MTRR,       X86F_PGE,        X86F_MCA,         X86F_CMOV,
    X86F_PAT,        X86F_PSE36,      X86F_CLFSH,      X86F_MMX,         X86F_FXSR,
    X86F_SSE,        X86F_SSE2,       X86F_SS,         X86F_HTT,         X86F_SSE3,
    X86F_MONITOR,    X86F_SSSE3,      X86F_CX16,       X86F_PCID,        X86F_SSE41,
    X86F_SSE42,      X86F_X2APIC,     X86F_POPCNT,     X86F_TSCDEADLINE, X86F_XSAVE,
    X86F_HYPERVISOR, X86F_FSGSBASE,   X86F_TSC_ADJUST, X86F_SMEP,        X86F_ERMS,
    X86F_INVPCID,    X86F_SMAP,       X86F_CLFLUSHOPT, X86F_CLWB,        X86F_UMIP,
    X86F_PKU,        X86F_LA57,       X86F_RDPID,      X86F_FSRM,        X86F_SPEC_CTRL,
    X86F_STIBP,      X86F_ARCHCAP,    X86F_SSBD,       X86F_XSAVEOPT,    X86F_XSAVEC,
    X86F_XGETBV1,    X86F_XSAVES,     X86F_LAHF64,     X86F_PREFETCHW,   X86F_SYSCALL,
    X86F_NX,         X86F_MMXEXT,     X86F_PDPE1GB,    X86F_RDTSCP,      X86F_LM,
    X86F_INVTSC,     X86F_MOVBE,      X86F_ABM,        X86F_ADX,         X86F_RDRAND,
    X86F_RDSEED,     X86F_BHI_CTRL,   X86F_BMI1,       X86F_BMI2,        X86F_AES,
    X86F_PCLMUL,     X86F_SHA,        X86F_GFNI,       X86F_AVX,         X86F_AVX2,
    X86F_FMA,        X86F_F16C,       X86F_VAES,       X86F_VPCLMUL,     X86F_SSE4A,
    X86F_NOW3D,      X86F_NOW3DEXT,   X86F_MISALIGN,   X86F_OSVW,        X86F_TOPOEXT,
    X86F_FFXSR,      X86F_FDP_EXCPTN, X86F_ZERO_FCS,
};

/* HTT follows from -smp; there is no hypervisor; the last ones are AMD's, and `max` says Intel. */
static const uint8_t not_in_max[] = {
    X86F_HYPERVISOR, X86F_HTT,      X86F_SSE4A, X86F_NOW3D,   X86F_MMXEXT,
    X86F_NOW3DEXT,   X86F_MISALIGN, X86F_OSVW,  X86F_TOPOEXT, X86F_FFXSR,
};

/* ---- feature lists, each on top of another ---- */

#define LIST_486     X86F_I86, X86F_I186, X86F_I286, X86F_I386, X86F_I486, X86F_FPU, X86F_VME, X86F_PSE
#define LIST_PENTIUM LIST_486, X86F_DE, X86F_TSC, X86F_MSR, X86F_MCE, X86F_CX8, X86F_APIC, X86F_MMX
#define LIST_PENTIUM3                                                                              \
    LIST_PENTIUM, X86F_PAE, X86F_SEP, X86F_MTRR, X86F_PGE, X86F_MCA, X86F_CMOV, X86F_PAT,          \
        X86F_PSE36, X86F_FXSR, X86F_SSE
#define LIST_X86_64                                                                                \
    LIST_PENTIUM3, X86F_CLFSH, X86F_SSE2, X86F_SYSCALL, X86F_NX, X86F_LM, X86F_INVTSC
#define LIST_QEMU64 LIST_X86_64, X86F_SSE3, X86F_CX16, X86F_X2APIC, X86F_LAHF64
#define LIST_NEHALEM                                                                               \
    LIST_X86_64, X86F_SS, X86F_SSE3, X86F_SSSE3, X86F_CX16, X86F_SSE41, X86F_SSE42, X86F_POPCNT,   \
        X86F_LAHF64, X86F_RDTSCP
#define LIST_HASWELL                                                                               \
    LIST_NEHALEM, X86F_PCLMUL, X86F_FMA, X86F_PCID, X86F_X2APIC, X86F_MOVBE, X86F_TSCDEADLINE,     \
        X86F_AES, X86F_XSAVE, X86F_AVX, X86F_F16C, X86F_RDRAND, X86F_FSGSBASE, X86F_TSC_ADJUST,    \
        X86F_BMI1, X86F_AVX2, X86F_SMEP, X86F_BMI2, X86F_ERMS, X86F_INVPCID, X86F_XSAVEOPT,        \
        X86F_ABM, X86F_PDPE1GB, X86F_ZERO_FCS
#define LIST_SKYLAKE                                                                               \
    LIST_HASWELL, X86F_RDSEED, X86F_ADX, X86F_SMAP, X86F_CLFLUSHOPT, X86F_XSAVEC, X86F_XGETBV1,    \
        X86F_XSAVES, X86F_PREFETCHW
/* Of the time when AMD had instructions of its own. */
#define LIST_ATHLON LIST_PENTIUM3, X86F_MMXEXT, X86F_NOW3D, X86F_NOW3DEXT
#define LIST_PHENOM                                                                                \
    LIST_X86_64, X86F_MMXEXT, X86F_NOW3D, X86F_NOW3DEXT, X86F_SSE3, X86F_CX16, X86F_POPCNT,        \
        X86F_LAHF64, X86F_ABM, X86F_SSE4A, X86F_MISALIGN, X86F_PREFETCHW, X86F_OSVW, X86F_FFXSR,   \
        X86F_PDPE1GB, X86F_RDTSCP
#define LIST_EPYC                                                                                  \
    LIST_X86_64, X86F_SSE3, X86F_PCLMUL, X86F_SSSE3, X86F_FMA, X86F_CX16, X86F_SSE41, X86F_SSE42,  \
        X86F_MOVBE, X86F_POPCNT, X86F_AES, X86F_XSAVE, X86F_AVX, X86F_F16C, X86F_RDRAND,           \
        X86F_FSGSBASE, X86F_BMI1, X86F_AVX2, X86F_SMEP, X86F_BMI2, X86F_RDSEED, X86F_ADX,          \
        X86F_SMAP, X86F_CLFLUSHOPT, X86F_SHA, X86F_XSAVEOPT, X86F_XSAVEC, X86F_XGETBV1,            \
        X86F_XSAVES, X86F_LAHF64, X86F_ABM, X86F_SSE4A, X86F_PREFETCHW, X86F_MMXEXT, X86F_PDPE1GB, \
        X86F_RDTSCP, X86F_MISALIGN, X86F_OSVW, X86F_TOPOEXT, X86F_FFXSR

/* Level, kind and size; sets are of lines of 64 bytes. */
#define DATA(level, ways, sets)                                                                    \
    {                                                                                              \
        1, level, ways, false, sets                                                                \
    }
#define CODE(level, ways, sets)                                                                    \
    {                                                                                              \
        2, level, ways, false, sets                                                                \
    }
#define BOTH(level, ways, sets)                                                                    \
    {                                                                                              \
        3, level, ways, false, sets                                                                \
    }
#define SHARED(level, ways, sets)                                                                  \
    {                                                                                              \
        3, level, ways, true, sets                                                                 \
    }
static const struct x86_cache caches_qemu64[] = {DATA(1, 2, 512), CODE(1, 2, 512), BOTH(2, 16, 512),
                                                 SHARED(3, 16, 16384)};
static const struct x86_cache caches_nehalem[] = {DATA(1, 8, 64), CODE(1, 4, 128), BOTH(2, 8, 512),
                                                  SHARED(3, 16, 8192)};
static const struct x86_cache caches_haswell[] = {DATA(1, 8, 64), CODE(1, 8, 64), BOTH(2, 8, 512),
                                                  SHARED(3, 16, 8192)};
static const struct x86_cache caches_skylake[] = {DATA(1, 8, 64), CODE(1, 8, 64), BOTH(2, 4, 1024),
                                                  SHARED(3, 16, 8192)};
static const struct x86_cache caches_epyc[] = {DATA(1, 8, 64), CODE(1, 4, 256), BOTH(2, 8, 1024),
                                               SHARED(3, 16, 8192)};
static const struct x86_cache caches_athlon[] = {
    DATA(1, 2, 512), CODE(1, 2, 512), BOTH(2, 16, 256), {0, 0, 0, false, 0}};
static const struct x86_cache caches_phenom[] = {DATA(1, 2, 512), CODE(1, 2, 512), BOTH(2, 16, 512),
                                                 SHARED(3, 32, 1024)};
static const struct x86_cache caches_max[] = {DATA(1, 8, 64), CODE(1, 8, 64), BOTH(2, 16, 1024),
                                              SHARED(3, 16, 16384)};

static const struct model_def {
    const char *name, *summary, *vendor, *brand;
    uint16_t family;
    uint8_t model, stepping, phys_bits;
    uint32_t max_leaf, max_xleaf;
    const struct x86_cache *caches;
    const uint8_t *features; /* NULL: everything that is implemented */
    size_t nfeatures;
} models[] = {
#define FEATURES(list) (const uint8_t[]){list}, sizeof((const uint8_t[]){list})
    {"qemu64", "plain x86-64: SSE3, no XSAVE", "AuthenticAMD", "Dragoman Virtual CPU", 15, 107, 1,
     40, 0xd, 0x80000008, caches_qemu64, FEATURES(LIST_QEMU64)},
    {"486", "Intel 486 DX4", "GenuineIntel", "", 4, 8, 0, 32, 1, 0, NULL, FEATURES(LIST_486)},
    {"pentium", "Intel Pentium MMX", "GenuineIntel", "", 5, 4, 3, 32, 1, 0, NULL,
     FEATURES(LIST_PENTIUM)},
    {"pentium3", "Intel Pentium III", "GenuineIntel", "", 6, 7, 3, 36, 3, 0, NULL,
     FEATURES(LIST_PENTIUM3)},
    {"athlon", "AMD Athlon XP (2001): 3DNow!", "AuthenticAMD", "AMD Athlon(tm) XP", 6, 6, 2, 36, 1,
     0x80000008, caches_athlon, FEATURES(LIST_ATHLON)},
    {"phenom", "AMD Phenom (2007): 3DNow!, SSE4a", "AuthenticAMD",
     "AMD Phenom(tm) 9550 Quad-Core Processor", 16, 2, 3, 48, 5, 0x8000001a, caches_phenom,
     FEATURES(LIST_PHENOM)},
    {"Nehalem", "Intel Core i7 9xx (2008)", "GenuineIntel",
     "Intel Core i7 9xx (Nehalem Class Core i7)", 6, 26, 3, 40, 0xb, 0x80000008, caches_nehalem,
     FEATURES(LIST_NEHALEM)},
    {"Haswell", "Intel Core (2013)", "GenuineIntel", "Intel Core Processor (Haswell)", 6, 60, 4, 40,
     0xd, 0x80000008, caches_haswell, FEATURES(LIST_HASWELL)},
    {"Skylake-Client", "Intel Core (2015)", "GenuineIntel", "Intel Core Processor (Skylake)", 6, 94,
     3, 40, 0x16, 0x80000008, caches_skylake, FEATURES(LIST_SKYLAKE)},
    {"EPYC", "AMD EPYC (2017)", "AuthenticAMD", "AMD EPYC Processor", 23, 1, 2, 48, 0xd, 0x8000001e,
     caches_epyc, FEATURES(LIST_EPYC)},
    {"max", "everything that is implemented, but AMD's own (the default)", "GenuineIntel",
     "Dragoman x86-64", 6, 143, 8, 46, 0x1f, 0x80000008, caches_max, NULL, 0},
};
enum { NMODELS = sizeof models / sizeof models[0] };

static const char *const feature_names[X86F_COUNT] = {
#define F_NAME(id, name, leaf, sub, reg, bit) [X86F_##id] = name,
    X86_FEATURES(F_NAME)
#undef F_NAME
};

static bool is_implemented(unsigned f)
{
    return memchr(implemented, (int)f, sizeof implemented) != NULL;
}

static void set_feature(struct x86_model *m, unsigned f, bool on)
{
    uint64_t bit = UINT64_C(1) << (f & 63);

    if (on) {
        m->feat[f >> 6] |= bit;
    } else {
        m->feat[f >> 6] &= ~bit;
    }
}

/* Names are spelled with '-', '_' or '.' between their parts. */
static bool same_name(const char *a, size_t alen, const char *b)
{
    size_t n;

    for (n = 0; n < alen && b[n]; n++) {
        char x = a[n] == '_' || a[n] == '.' ? '-' : a[n],
             y = b[n] == '_' || b[n] == '.' ? '-' : b[n];
        if (x != y) {
            return false;
        }
    }
    return n == alen && !b[n];
}

static int find_feature(const char *name, size_t len)
{
    for (unsigned f = X86F_FPU; f < X86F_NONE; f++) {
        if (same_name(name, len, feature_names[f])) {
            return (int)f;
        }
    }
    return -1;
}

static bool apply(struct x86_model *m, const char *name, size_t len, bool on, struct error *err)
{
    int f = find_feature(name, len);

    if (f < 0) {
        char text[32];
        snprintf(text, sizeof text, "%.*s", (int)len, name);
        const char *near = nearest_name(text, &feature_names[X86F_FPU], X86F_NONE - X86F_FPU,
                                        sizeof feature_names[0]);
        return error_set(err, "-cpu: unknown feature '%s'%s", text,
                         nearest_hint(near, "-cpu help lists them").text);
    }
    if (on && !is_implemented((unsigned)f)) {
        return error_set(err, "-cpu: feature '%s' is not implemented", feature_names[f]);
    }
    set_feature(m, (unsigned)f, on);
    return true;
}

static bool apply_option(struct x86_model *m, const char *opt, size_t len, struct error *err)
{
    const char *eq = memchr(opt, '=', len);

    if (len && (opt[0] == '+' || opt[0] == '-')) {
        return apply(m, opt + 1, len - 1, opt[0] == '+', err);
    }
    if (eq) {
        size_t vlen = len - (size_t)(eq + 1 - opt);
        bool on = same_name(eq + 1, vlen, "on"), off = same_name(eq + 1, vlen, "off");
        if (on || off) {
            return apply(m, opt, (size_t)(eq - opt), on, err);
        }
    }
    return error_set(err, "-cpu: '%.*s' is neither +FEATURE, -FEATURE nor FEATURE=on|off", (int)len,
                     opt);
}

static void fill(struct x86_model *m, const struct model_def *d)
{
    m->name = d->name;
    m->summary = d->summary;
    snprintf(m->vendor, sizeof m->vendor, "%s", d->vendor);
    snprintf(m->brand, sizeof m->brand, "%s", d->brand);
    m->family = d->family;
    m->model = d->model;
    m->stepping = d->stepping;
    m->phys_bits = d->phys_bits;
    m->caches = d->caches;
    m->max_leaf = d->max_leaf;
    m->max_xleaf = d->max_xleaf;
    for (size_t n = 0; n < (d->features ? d->nfeatures : sizeof implemented); n++) {
        unsigned f = d->features ? d->features[n] : implemented[n];
        if (is_implemented(f) && (d->features || !memchr(not_in_max, (int)f, sizeof not_in_max))) {
            set_feature(m, f, true);
        }
    }
}

struct x86_model *x86_model_parse(const char *spec, struct error *err)
{
    size_t len = strcspn(spec, ",");
    const struct model_def *d = NULL;
    struct x86_model *m;

    for (unsigned n = 0; n < NMODELS; n++) {
        if (strlen(models[n].name) == len && strncasecmp(models[n].name, spec, len) == 0) {
            d = &models[n];
        }
    }
    if (!d) {
        char text[64];
        snprintf(text, sizeof text, "%.*s", (int)len, spec);
        const char *near = nearest_name(text, &models[0].name, NMODELS, sizeof models[0]);
        error_set(err, "-cpu: unknown model '%s'%s", text,
                  nearest_hint(near, "-cpu help lists them").text);
        return NULL;
    }
    m = calloc(1, sizeof *m);
    if (!m) {
        error_set(err, "-cpu: no memory");
        return NULL;
    }
    fill(m, d);
    for (const char *at = spec + len; *at == ',';) {
        at++;
        len = strcspn(at, ",");
        if (!apply_option(m, at, len, err)) {
            free(m);
            return NULL;
        }
        at += len;
    }
    m->lin_bits = !x86_model_has(m, X86F_LM) ? 32 : x86_model_has(m, X86F_LA57) ? 57 : 48;
    return m;
}

void x86_model_free(struct x86_model *m)
{
    free(m);
}

const char *x86_model_name(unsigned n)
{
    return n < NMODELS ? models[n].name : NULL;
}

char *x86_model_help(void)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    unsigned column = 0;

    if (!f) {
        return NULL;
    }
    fprintf(f, "Processor models:\n");
    for (unsigned n = 0; n < NMODELS; n++) {
        fprintf(f, "  %-16s %s\n", models[n].name, models[n].summary);
    }
    fprintf(f, "Features (+NAME, -NAME, NAME=on|off):\n ");
    for (unsigned k = X86F_FPU; k < X86F_NONE; k++) {
        if (is_implemented(k)) {
            column += 1 + (unsigned)strlen(feature_names[k]);
            if (column > 96) {
                fprintf(f, "\n ");
                column = 1 + (unsigned)strlen(feature_names[k]);
            }
            fprintf(f, " %s", feature_names[k]);
        }
    }
    fprintf(f, "\n");
    fclose(f);
    return text;
}
