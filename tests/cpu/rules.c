/* Which rows are tested, and the rules about what is not comparable (rules.def). */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cpu/cpuid.h"
#include "cpu/x86.h"
#include "tests/cpu/generate.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const struct rule {
    const char *name;
    unsigned what;
    const char *why;
} rules[] = {
#define RULE(name, what, why) {name, what, why},
#include "tests/cpu/rules.def"
#undef RULE
};

static const struct rule *find(const struct x86_opcode *row)
{
    static const struct rule *of[MN_COUNT];
    static bool filled;

    if (!filled) {
        for (unsigned m = 0; m < MN_COUNT; m++) {
            for (unsigned n = 0; n < sizeof rules / sizeof rules[0]; n++) {
                if (!strcasecmp(x86_mnemonic_name((enum x86_mnemonic)m), rules[n].name)) {
                    of[m] = &rules[n];
                }
            }
        }
        filled = true;
    }
    return of[row->mnemonic];
}

uint32_t rules_of(const struct x86_opcode *row)
{
    const struct rule *r = find(row);

    return r ? r->what : 0;
}

const char *rule_reason(const struct x86_opcode *row)
{
    const struct rule *r = find(row);

    return r ? r->why : NULL;
}

bool host_has(unsigned feature)
{
#if defined(__x86_64__)
    static const struct {
        uint32_t leaf, sub;
        uint8_t reg, bit;
    } where[] = {
#define WHERE(id, name, leaf, sub, reg, bit) {leaf, sub, reg, bit},
        X86_FEATURES(WHERE)
#undef WHERE
    };
    uint32_t r[4];

    if (feature <= X86F_I486) {
        return true;
    }
    if (feature == X86F_NONE || feature >= X86F_COUNT) {
        return false;
    }
    return __get_cpuid_count(where[feature].leaf, where[feature].sub, &r[0], &r[1], &r[2], &r[3]) &&
           (r[where[feature].reg] >> where[feature].bit & 1);
#else
    (void)feature;
    return true;
#endif
}

bool host_is_amd(void)
{
#if defined(__x86_64__)
    uint32_t r[4];

    return __get_cpuid(0, &r[0], &r[1], &r[2], &r[3]) && r[1] == signature_AMD_ebx;
#else
    return true; /* recorded vectors: a Zen 5's */
#endif
}

const char *host_model(void)
{
    static const struct {
        unsigned feature;
        const char *name;
    } follow[] = {{X86F_MISALIGN, "misalignsse"},
                  {X86F_FDP_EXCPTN, "fdp-excptn-only"},
                  {X86F_ZERO_FCS, "zero-fcs-fds"},
                  {X86F_SSE4A, "sse4a"}};
    static char model[128];
    size_t n = (size_t)snprintf(model, sizeof model, "max");

    for (unsigned k = 0; k < sizeof follow / sizeof follow[0]; k++) {
        n += (size_t)snprintf(model + n, sizeof model - n, ",%c%s",
                              host_has(follow[k].feature) ? '+' : '-', follow[k].name);
    }
    return model;
}

const char *row_excluded(const struct x86_opcode *row, unsigned bits)
{
    if (rules_of(row) & RULE_SKIP) {
        return rule_reason(row);
    }
    if (row->attr & (bits == 64 ? AT_NO64 : AT_ONLY64)) {
        return "not in this mode";
    }
    if (row->mnemonic == MN_SYSRET && bits < 64) {
        return "Intel's and AMD's differ outside of 64-bit mode";
    }
    if (row->map == 0 && row->opcode == 0x90 && row->mnemonic == MN_XCHG && bits < 64) {
        return "needs REX.B";
    }
    if (row->map == 1 && row->opcode == 0x0d && row->mnemonic == MN_NOP && bits == 64) {
        return "PREFETCH of a register: #UD with AMD's processors, not with Intel's";
    }
    if (!host_has(row->feature)) {
        return "the host lacks it";
    }
    return NULL;
}
