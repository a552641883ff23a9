/* CPU features and models. A feature is a bit that opcode rows name and CPUID reports. */
#ifndef CPU_CPUID_H
#define CPU_CPUID_H

#include <stdbool.h>
#include <stdint.h>

#include "host/error.h"

struct x86_cpu;

/* clang-format off */
/* name as in -cpu +name, CPUID leaf, subleaf, register (0 EAX .. 3 EDX), bit */
#define X86_FEATURES(_)                                                                           \
    _(I86, "8086", 0, 0, 0, 0) _(I186, "80186", 0, 0, 0, 0) _(I286, "80286", 0, 0, 0, 0)          \
    _(I386, "80386", 0, 0, 0, 0) _(I486, "80486", 0, 0, 0, 0)                                     \
    _(FPU, "fpu", 1, 0, 3, 0) _(VME, "vme", 1, 0, 3, 1) _(DE, "de", 1, 0, 3, 2)                   \
    _(PSE, "pse", 1, 0, 3, 3) _(TSC, "tsc", 1, 0, 3, 4) _(MSR, "msr", 1, 0, 3, 5)                 \
    _(PAE, "pae", 1, 0, 3, 6) _(MCE, "mce", 1, 0, 3, 7) _(CX8, "cx8", 1, 0, 3, 8)                 \
    _(APIC, "apic", 1, 0, 3, 9) _(SEP, "sep", 1, 0, 3, 11) _(MTRR, "mtrr", 1, 0, 3, 12)           \
    _(PGE, "pge", 1, 0, 3, 13) _(MCA, "mca", 1, 0, 3, 14) _(CMOV, "cmov", 1, 0, 3, 15)            \
    _(PAT, "pat", 1, 0, 3, 16) _(PSE36, "pse36", 1, 0, 3, 17) _(CLFSH, "clflush", 1, 0, 3, 19)    \
    _(MMX, "mmx", 1, 0, 3, 23) _(FXSR, "fxsr", 1, 0, 3, 24) _(SSE, "sse", 1, 0, 3, 25)            \
    _(SSE2, "sse2", 1, 0, 3, 26) _(SS, "ss", 1, 0, 3, 27) _(HTT, "ht", 1, 0, 3, 28)               \
    _(SSE3, "sse3", 1, 0, 2, 0) _(PCLMUL, "pclmulqdq", 1, 0, 2, 1)                                \
    _(MONITOR, "monitor", 1, 0, 2, 3)                                                             \
    _(SSSE3, "ssse3", 1, 0, 2, 9) _(FMA, "fma", 1, 0, 2, 12) _(CX16, "cx16", 1, 0, 2, 13)         \
    _(PCID, "pcid", 1, 0, 2, 17) _(SSE41, "sse4.1", 1, 0, 2, 19) _(SSE42, "sse4.2", 1, 0, 2, 20)  \
    _(X2APIC, "x2apic", 1, 0, 2, 21) _(MOVBE, "movbe", 1, 0, 2, 22)                               \
    _(POPCNT, "popcnt", 1, 0, 2, 23) _(TSCDEADLINE, "tsc-deadline", 1, 0, 2, 24)                  \
    _(AES, "aes", 1, 0, 2, 25) _(XSAVE, "xsave", 1, 0, 2, 26) _(AVX, "avx", 1, 0, 2, 28)          \
    _(F16C, "f16c", 1, 0, 2, 29) _(RDRAND, "rdrand", 1, 0, 2, 30)                                 \
    _(HYPERVISOR, "hypervisor", 1, 0, 2, 31)                                                      \
    _(FSGSBASE, "fsgsbase", 7, 0, 1, 0) _(TSC_ADJUST, "tsc_adjust", 7, 0, 1, 1)                   \
    _(BMI1, "bmi1", 7, 0, 1, 3) _(FDP_EXCPTN, "fdp-excptn-only", 7, 0, 1, 6)                      \
    _(AVX2, "avx2", 7, 0, 1, 5) _(SMEP, "smep", 7, 0, 1, 7)                                       \
    _(BMI2, "bmi2", 7, 0, 1, 8) _(ERMS, "erms", 7, 0, 1, 9) _(INVPCID, "invpcid", 7, 0, 1, 10)    \
    _(ZERO_FCS, "zero-fcs-fds", 7, 0, 1, 13) _(RDSEED, "rdseed", 7, 0, 1, 18)                     \
    _(ADX, "adx", 7, 0, 1, 19) _(SMAP, "smap", 7, 0, 1, 20)                                       \
    _(CLFLUSHOPT, "clflushopt", 7, 0, 1, 23) _(CLWB, "clwb", 7, 0, 1, 24)                         \
    _(SHA, "sha-ni", 7, 0, 1, 29)                                                                 \
    _(UMIP, "umip", 7, 0, 2, 2) _(PKU, "pku", 7, 0, 2, 3) _(GFNI, "gfni", 7, 0, 2, 8)             \
    _(VAES, "vaes", 7, 0, 2, 9) _(VPCLMUL, "vpclmulqdq", 7, 0, 2, 10)                             \
    _(LA57, "la57", 7, 0, 2, 16)                                                                  \
    _(RDPID, "rdpid", 7, 0, 2, 22) _(FSRM, "fsrm", 7, 0, 3, 4)                                    \
    _(SPEC_CTRL, "spec-ctrl", 7, 0, 3, 26) _(STIBP, "stibp", 7, 0, 3, 27)                         \
    _(ARCHCAP, "arch-capabilities", 7, 0, 3, 29) _(SSBD, "ssbd", 7, 0, 3, 31)                     \
    _(BHI_CTRL, "bhi-ctrl", 7, 2, 3, 4)                                                           \
    _(XSAVEOPT, "xsaveopt", 0xd, 1, 0, 0) _(XSAVEC, "xsavec", 0xd, 1, 0, 1)                       \
    _(XGETBV1, "xgetbv1", 0xd, 1, 0, 2) _(XSAVES, "xsaves", 0xd, 1, 0, 3)                         \
    _(LAHF64, "lahf-lm", 0x80000001, 0, 2, 0) _(ABM, "abm", 0x80000001, 0, 2, 5)                  \
    _(SSE4A, "sse4a", 0x80000001, 0, 2, 6) _(MISALIGN, "misalignsse", 0x80000001, 0, 2, 7)        \
    _(PREFETCHW, "3dnowprefetch", 0x80000001, 0, 2, 8)                                            \
    _(OSVW, "osvw", 0x80000001, 0, 2, 9) _(TOPOEXT, "topoext", 0x80000001, 0, 2, 22)              \
    _(FFXSR, "fxsr-opt", 0x80000001, 0, 3, 25) _(SYSCALL, "syscall", 0x80000001, 0, 3, 11)        \
    _(NX, "nx", 0x80000001, 0, 3, 20)                                                             \
    _(MMXEXT, "mmxext", 0x80000001, 0, 3, 22) _(PDPE1GB, "pdpe1gb", 0x80000001, 0, 3, 26)         \
    _(RDTSCP, "rdtscp", 0x80000001, 0, 3, 27) _(LM, "lm", 0x80000001, 0, 3, 29)                   \
    _(NOW3DEXT, "3dnowext", 0x80000001, 0, 3, 30) _(NOW3D, "3dnow", 0x80000001, 0, 3, 31)         \
    _(INVTSC, "invtsc", 0x80000007, 0, 3, 8)                                                      \
    _(NONE, "(not implemented)", 0, 0, 0, 0) /* rows only recognised: always #UD */
/* clang-format on */

enum x86_feature {
#define F_ENUM(id, name, leaf, sub, reg, bit) X86F_##id,
    X86_FEATURES(F_ENUM)
#undef F_ENUM
        X86F_COUNT
};

/* A cache as CPUID tells of it: nothing is cached here, but systems lay out their data by it. */
struct x86_cache {
    uint8_t type, level, ways; /* type: 1 data, 2 instruction, 3 both */
    bool shared;               /* by all cores of the package, else by the threads of a core */
    uint16_t sets;             /* of lines of 64 bytes */
};
enum { X86_CACHES = 4 };

struct x86_model {
    const char *name, *summary;
    char vendor[13], brand[49];
    uint16_t family;
    uint8_t model, stepping;
    uint32_t max_leaf, max_xleaf;
    uint64_t feat[2]; /* bit X86F_x */
    uint8_t phys_bits, lin_bits;
    const struct x86_cache *caches; /* X86_CACHES of them; level 0: none */
};
static inline bool x86_model_has(const struct x86_model *m, unsigned f)
{
    return m->feat[f >> 6] >> (f & 63) & 1;
}

bool x86_model_is_amd(const struct x86_model *m);

/* -cpu NAME[,+feat][,-feat][,feat=on|off]: a model to be freed by x86_model_free, or NULL. */
struct x86_model *x86_model_parse(const char *spec, struct error *err);
void x86_model_free(struct x86_model *m);
const char *x86_model_name(unsigned n); /* of model number n; NULL: there are no more */
char *x86_model_help(void);             /* -cpu help; free() it */

/* Family, model and stepping as in CPUID.1:EAX and in EDX after reset. */
uint32_t x86_model_signature(const struct x86_model *m);

/* CPUID for a leaf as this cpu answers now. */
void x86_cpuid(struct x86_cpu *c, uint32_t leaf, uint32_t sub, uint32_t out[4]);

#endif
