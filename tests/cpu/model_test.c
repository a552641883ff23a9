/* CPU models: every row of the decoder's tables raises #UD on a model that lacks its feature and
 * does not on one that has it; what CPUID says of each model; 3DNow! and SSE4a, which the host may
 * not have to compare with. */
#include "tests/cpu/sandbox.h"
#include "tests/unit/tap.h"

#include "cpu/decode.h"
#include "cpu/isa.h"

static const char *const feature_names[X86F_COUNT] = {
#define NAME(id, name, leaf, sub, reg, bit) [X86F_##id] = name,
    X86_FEATURES(NAME)
#undef NAME
};

/* ---- an encoding of a row ---- */

struct sample {
    uint8_t bytes[15];
    unsigned len;
    enum x86_bits bits;
};

/* Prefix, map, opcode and ModRM of number n of the ways to spell the row; false: there are no more.
 */
static bool spell(const struct x86_opcode *row, unsigned n, struct sample *s)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf3, 0xf2};
    unsigned prefix = n & 3, w = n >> 2 & 1, reg = n >> 3 & 7, mod = n >> 6 & 1, l = n >> 7 & 1;
    unsigned vvvv = n >> 8 & 1, rm = n >> 9 & 7;
    uint8_t *p = s->bytes;

    if (n >> 12) {
        return false;
    }
    memset(s->bytes, 0, sizeof s->bytes);
    if (row->map >= 9) {
        *p++ = 0xc4;
        *p++ = (uint8_t)(0xe0 | (row->map - 8));
        *p++ = (uint8_t)(w << 7 | (vvvv ? 0x70 : 0x78) | l << 2 | prefix);
    } else {
        if (prefixes[prefix]) {
            *p++ = prefixes[prefix];
        }
        if (w && s->bits == X86_64) {
            *p++ = 0x48;
        }
        if (row->map >= 1 && row->map <= 4) {
            *p++ = 0x0f;
        }
        if (row->map >= 2 && row->map <= 4) {
            *p++ = row->map == 2 ? 0x38 : row->map == 3 ? 0x3a : 0x0f;
        }
    }
    if (row->map != 4) {
        *p++ = row->opcode;
    }
    *p++ = (uint8_t)((mod ? 0xc0 : 0) | reg << 3 | rm);
    *p = row->map == 4 ? row->opcode : 0x10; /* or a SIB byte: [rax + rdx] */
    return true;
}

static bool find_sample(const struct x86_opcode *row, struct sample *s)
{
    for (s->bits = X86_64; s->bits >= X86_32; s->bits--) {
        for (unsigned n = 0; spell(row, n, s); n++) {
            struct x86_insn i;
            if (x86_decode(s->bytes, sizeof s->bytes, s->bits, &i) == X86_DECODE_OK &&
                i.row == row) {
                s->len = i.len;
                return true;
            }
        }
    }
    return false;
}

/* ---- #UD without the feature, by the tables ---- */

static int run_sample(struct sandbox *s, const struct sample *p)
{
    sandbox_mode(s, p->bits == X86_64 ? SANDBOX_LONG : SANDBOX_PROT32);
    s->c->cr4 |= CR4_FSGSBASE | CR4_OSXSAVE | CR4_PKE | CR4_SMAP;
    s->c->v.reg[X86_RAX] = s->c->v.reg[X86_RBX] = SANDBOX_DATA;
    return sandbox_run(s, p->bytes, p->len);
}

/* F3 before BSF and BSR, and instructions that are #UD by what they are or where they are used. */
static bool differs(const struct x86_opcode *row, bool has)
{
    switch (row->mnemonic) {
    case MN_TZCNT:
    case MN_LZCNT:
        return !has;
    case MN_SYSRET:
    case MN_RSM:
    case MN_UD0:
    case MN_UD1:
    case MN_UD2:
        return true;
    default:
        return false;
    }
}

static void test_feature(unsigned feature)
{
    struct sandbox with, without;
    char model[64];
    unsigned rows = 0, spelled = 0, undefined = 0, defined = 0;
    const struct x86_opcode *bad = NULL;

    snprintf(model, sizeof model, "max,+%s", feature_names[feature]);
    sandbox_create(&with, model, "interp");
    snprintf(model, sizeof model, "max,-%s", feature_names[feature]);
    sandbox_create(&without, model, "interp");
    for (unsigned n = 0; n < x86_opcode_count(); n++) {
        const struct x86_opcode *row = x86_opcode_row(n);
        struct sample s;
        if (row->feature != feature) {
            continue;
        }
        rows++;
        if (!find_sample(row, &s)) {
            bad = row;
            continue;
        }
        spelled++;
        bool ud = differs(row, false) || run_sample(&without, &s) == EXC_UD;
        bool runs = differs(row, true) || run_sample(&with, &s) != EXC_UD;
        undefined += ud;
        defined += runs;
        bad = ud && runs ? bad : row;
    }
    if (rows) {
        tap_ok(spelled == rows && undefined == rows && defined == rows,
               "%s: %u rows, %u spelled, %u #UD without it, %u not with it%s%s",
               feature_names[feature], rows, spelled, undefined, defined, bad ? "; " : "",
               bad ? x86_mnemonic_name((enum x86_mnemonic)bad->mnemonic) : "");
    }
    sandbox_destroy(&with);
    sandbox_destroy(&without);
}

/* ---- what each model says ---- */

enum { EAX, EBX, ECX, EDX };

static void ask(struct sandbox *s, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    x86_cpuid(s->c, leaf, sub, out);
}

static void test_models(void)
{
    static const struct {
        const char *name, *vendor, *brand;
        uint32_t level, xlevel, signature, edx1, ecx1;
    } models[] = {
        /* Signatures and levels as QEMU 10 has them; features of leaf 1, but those of -smp. */
        {"486", "GenuineIntel", "", 1, 0, 0x480, 0x0000000b, 0},
        {"pentium", "GenuineIntel", "", 1, 0, 0x543, 0x008003bf, 0},
        {"pentium3", "GenuineIntel", "", 3, 0, 0x673, 0x0383fbff, 0},
        {"athlon", "AuthenticAMD", "AMD Athlon(tm) XP", 1, 0x80000008, 0x662, 0x0383fbff, 0},
        {"phenom", "AuthenticAMD", "AMD Phenom(tm) 9550 Quad-Core Processor", 5, 0x8000001a,
         0x100f23, 0x078bfbff, 0x00802001},
        {"qemu64", "AuthenticAMD", "Dragoman Virtual CPU", 0xd, 0x80000008, 0x60fb1, 0x078bfbff,
         0x00202001},
        {"Nehalem", "GenuineIntel", "Intel Core i7 9xx (Nehalem Class Core i7)", 0xb, 0x80000008,
         0x106a3, 0x0f8bfbff, 0x00982201},
        {"Haswell", "GenuineIntel", "Intel Core Processor (Haswell)", 0xd, 0x80000008, 0x306c4,
         0x0f8bfbff, 0x77fa3203},
        {"Skylake-Client", "GenuineIntel", "Intel Core Processor (Skylake)", 0x16, 0x80000008,
         0x506e3, 0x0f8bfbff, 0x77fa3203},
        {"EPYC", "AuthenticAMD", "AMD EPYC Processor", 0xd, 0x8000001e, 0x800f12, 0x078bfbff,
         0x76d83203},
    };

    for (size_t n = 0; n < sizeof models / sizeof models[0]; n++) {
        struct sandbox s;
        uint32_t r[4], brand[12] = {0};
        char vendor[13] = "";
        sandbox_create(&s, models[n].name, "interp");
        s.c->apic_base |= 1 << 11;
        ask(&s, 0, 0, r);
        memcpy(vendor, &r[EBX], 4);
        memcpy(vendor + 4, &r[EDX], 4);
        memcpy(vendor + 8, &r[ECX], 4);
        bool same = r[EAX] == models[n].level && !strcmp(vendor, models[n].vendor);
        ask(&s, 1, 0, r);
        uint32_t ecx = r[ECX] & ~(1u << 27), edx = r[EDX];
        same &= r[EAX] == models[n].signature;
        if (models[n].xlevel) {
            ask(&s, 0x80000000, 0, r);
            same &= r[EAX] == models[n].xlevel;
            for (unsigned k = 0; k < 3; k++) {
                ask(&s, 0x80000002 + k, 0, brand + 4 * k);
            }
            same &= !strcmp((const char *)brand, models[n].brand);
        }
        tap_ok(same && edx == models[n].edx1 && ecx == models[n].ecx1,
               "CPUID of %s: features %08x %08x", models[n].name, edx, ecx);
        sandbox_destroy(&s);
    }
}

static void test_leaves(void)
{
    struct sandbox s;
    uint32_t r[4], sum = 0;

    sandbox_create(&s, "max", "interp");
    s.c->smp_cores = 4;
    s.c->smp_threads = 2;
    s.c->apic_id = 5;
    ask(&s, 0xb, 0, r);
    tap_ok(r[EAX] == 1 && r[EBX] == 2 && r[ECX] == 0x100 && r[EDX] == 5, "leaf B: threads");
    ask(&s, 0x1f, 1, r);
    tap_ok(r[EAX] == 3 && r[EBX] == 8 && r[ECX] == 0x201 && r[EDX] == 5, "leaf 1F: cores");
    ask(&s, 0x1f, 2, r);
    tap_ok(r[EAX] == 0 && r[EBX] == 0 && r[ECX] == 2, "... and no more");
    ask(&s, 4, 3, r);
    tap_ok(r[EAX] == (3 | 3 << 5 | 1 << 8 | 7 << 14 | 3u << 26) && r[EBX] == (63 | 15u << 22) &&
               r[ECX] == 16383,
           "leaf 4: third level, for all cores");
    s.c->xcr0 = 0x207;
    ask(&s, 0xd, 0, r);
    tap_ok(r[EAX] == 0x207 && r[EBX] == 2696 && r[ECX] == 2696, "leaf D: x87, SSE, AVX, PKRU");
    ask(&s, 0xd, 1, r);
    tap_ok(r[EAX] == 15 && r[EBX] == 840, "leaf D.1: compact size");
    for (unsigned n = 2; n < 63; n++) {
        ask(&s, 0xd, n, r);
        sum += r[EAX];
    }
    tap_ok(sum == 264, "leaf D.2 and D.9 only");
    ask(&s, 0x80000008, 0, r);
    tap_ok(r[EAX] == (46 | 57 << 8), "leaf 80000008: 46 physical, 57 linear bits");
    sandbox_destroy(&s);
    sandbox_create(&s, "max,-la57", "interp");
    ask(&s, 0x80000008, 0, r);
    tap_ok(r[EAX] == (46 | 48 << 8), "... 48 without LA57");
    sandbox_destroy(&s);
    sandbox_create(&s, "EPYC", "interp");
    s.c->smp_cores = 4;
    s.c->smp_threads = 2;
    s.c->apic_id = 5;
    ask(&s, 0x8000001d, 1, r);
    tap_ok(r[EAX] == (2 | 1 << 5 | 1 << 8 | 1 << 14) && r[EBX] == (63 | 3u << 22) && r[ECX] == 255,
           "leaf 8000001D: code cache of 64 KiB for two threads");
    ask(&s, 0x8000001e, 0, r);
    tap_ok(r[EAX] == 5 && r[EBX] == (2 | 1 << 8) && r[ECX] == 0, "leaf 8000001E: core 2");
    ask(&s, 0x80000006, 0, r);
    tap_ok(r[ECX] == (512u << 16 | 6 << 12 | 1 << 8 | 64) &&
               r[EDX] == (16u << 18 | 8 << 12 | 1 << 8 | 64),
           "leaf 80000006: 512 KiB, 8 MiB");
    ask(&s, 4, 0, r);
    tap_ok(!r[EAX], "leaf 4 is Intel's");
    sandbox_destroy(&s);
}

static void test_errors(void)
{
    static const struct {
        const char *spec, *message;
    } bad[] = {
        {"Haswel", "-cpu: unknown model 'Haswel' (did you mean 'Haswell'?)"},
        {"max,+avx3", "-cpu: unknown feature 'avx3' (did you mean 'avx'?)"},
        {"max,avx=maybe", "-cpu: 'avx=maybe' is neither +FEATURE, -FEATURE nor FEATURE=on|off"},
    };
    struct error err;

    for (size_t n = 0; n < sizeof bad / sizeof bad[0]; n++) {
        struct x86_model *m = x86_model_parse(bad[n].spec, &err);
        tap_ok(!m && !strncmp(err.msg, bad[n].message, 28), "-cpu %s: %s", bad[n].spec, err.msg);
        x86_model_free(m);
    }
    struct x86_model *m = x86_model_parse("max,avx2=off,-bmi1,+3dnow,la57=on", &err);
    tap_ok(m && !x86_model_has(m, X86F_AVX2) && !x86_model_has(m, X86F_BMI1) &&
               x86_model_has(m, X86F_NOW3D) && m->lin_bits == 57,
           "+f, -f, f=on, f=off");
    x86_model_free(m);
}

/* ---- 3DNow! and SSE4a ---- */

static uint64_t now3d(struct sandbox *s, uint8_t suffix, uint64_t a, uint64_t b)
{
    uint8_t code[] = {0x0f, 0x0f, 0xc1, suffix};

    s->c->fpr[0].mant = a;
    s->c->fpr[1].mant = b;
    if (sandbox_run(s, code, sizeof code) != -1 || s->c->fp_tag_empty) {
        return 0xdead;
    }
    return s->c->fpr[0].mant;
}

static void test_3dnow(struct sandbox *s)
{
    static const struct {
        const char *name;
        uint64_t a, b, r;
        uint8_t suffix;
    } cases[] = {
        /* 1.5 and -2 with 2.25 and 0.5 */
        {"PFADD", 0xc00000003fc00000, 0x3f00000040100000, 0xbfc0000040700000, 0x9e},
        {"PFSUB", 0xc00000003fc00000, 0x3f00000040100000, 0xc0200000bf400000, 0x9a},
        {"PFSUBR", 0xc00000003fc00000, 0x3f00000040100000, 0x402000003f400000, 0xaa},
        {"PFMUL", 0xc00000003fc00000, 0x3f00000040100000, 0xbf80000040580000, 0xb4},
        {"PFMUL too large", 0x7f0000007f000000, 0xff00000040800000, 0xff7fffff7f7fffff, 0xb4},
        {"PFMUL too small", 0x0080000000800000, 0x0080000080800000, 0x0000000080000000, 0xb4},
        {"PFACC", 0xc00000003fc00000, 0x3f00000040100000, 0x40300000bf000000, 0xae},
        {"PFNACC", 0xc00000003fc00000, 0x3f00000040100000, 0x3fe0000040600000, 0x8a},
        {"PFPNACC", 0xc00000003fc00000, 0x3f00000040100000, 0x4030000040600000, 0x8e},
        {"PFMIN", 0xc00000003fc00000, 0x3f00000040100000, 0xc00000003fc00000, 0x94},
        {"PFMAX", 0xc00000003fc00000, 0x3f00000040100000, 0x3f00000040100000, 0xa4},
        {"PFCMPEQ", 0x800000003fc00000, 0x000000003fc00001, 0xffffffff00000000, 0xb0},
        {"PFCMPGE", 0xc00000003fc00000, 0x3f0000003fc00000, 0x00000000ffffffff, 0x90},
        {"PFCMPGT", 0x400000003fc00000, 0x3f0000003fc00000, 0xffffffff00000000, 0xa0},
        {"PI2FD", 0, 0xffffffff00000003, 0xbf80000040400000, 0x0d},
        {"PI2FW", 0, 0x0000fffe00000003, 0xc000000040400000, 0x0c},
        {"PF2ID", 0, 0xc02000004f800000, 0xfffffffe7fffffff, 0x1d},
        {"PF2IW", 0, 0xc0200000c7c35000, 0xfffffffeffff8000, 0x1c},
        {"PFRCP", 0, 0x4000000040000000, 0x3f0000003f000000, 0x96},
        {"PFRCP of zero", 0, 0x0000000080000000, 0xff7fffffff7fffff, 0x96},
        {"PFRSQRT", 0, 0x0000000040800000, 0x3f0000003f000000, 0x97},
        {"PSWAPD", 0, 0x1122334455667788, 0x5566778811223344, 0xbb},
        {"PMULHRW", 0x7fff800000018000, 0x7fff80004000fffe, 0x3fff400000000001, 0xb7},
        {"PAVGUSB", 0x00ff010203040506, 0x01ff020203040507, 0x01ff020203040507, 0xbf},
    };

    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        uint64_t r = now3d(s, cases[n].suffix, cases[n].a, cases[n].b);
        tap_ok(r == cases[n].r, "%s: %016llx", cases[n].name, (unsigned long long)r);
    }
    /* The manual's way to the reciprocal of all 24 bits, and to that of the root. */
    uint64_t w = 0x4049067040490670, x0 = now3d(s, 0x96, 0, w), x1 = now3d(s, 0xa6, w, x0);
    tap_ok(now3d(s, 0xb6, x1, x0) == 0x3ea301263ea30126, "1/x by PFRCP, PFRCPIT1, PFRCPIT2");
    x0 = now3d(s, 0x97, 0, w);
    x1 = now3d(s, 0xa7, w, now3d(s, 0xb4, x0, x0));
    tap_ok(now3d(s, 0xb6, x1, x0) == x0 && x0 >> 32 == 0x3f10721c, "1/sqrt(x): %08x", (unsigned)x0);
    tap_ok(sandbox_run(s, "\x0f\x0e", 2) == -1 && s->c->fp_tag_empty == 0xff, "FEMMS");
    tap_ok(sandbox_run(s, "\x0f\x0f\xc1\x00", 4) == EXC_UD, "0F 0F with another byte: #UD");
}

static void test_sse4a(struct sandbox *s)
{
    s->c->v.vec[0].q[0] = 0x123456789abcdef0;
    s->c->v.vec[0].q[1] = 7;
    tap_ok(sandbox_run(s, "\x66\x0f\x78\xc0\x0c\x08", 6) == -1 && s->c->v.vec[0].q[0] == 0xcde,
           "EXTRQ by immediates: %llx", (unsigned long long)s->c->v.vec[0].q[0]);
    s->c->v.vec[0].q[0] = 0x123456789abcdef0;
    s->c->v.vec[1].q[0] = 0x0410;
    tap_ok(sandbox_run(s, "\x66\x0f\x79\xc1", 4) == -1 && s->c->v.vec[0].q[0] == 0xcdef,
           "EXTRQ by register");
    s->c->v.vec[1].q[0] = 0xfff;
    tap_ok(sandbox_run(s, "\xf2\x0f\x78\xc1\x08\x04", 6) == -1 && s->c->v.vec[0].q[0] == 0xcfff,
           "INSERTQ by immediates");
    s->c->v.vec[1].q[1] = 0x2000; /* 64 bits from bit 32 */
    tap_ok(sandbox_run(s, "\xf2\x0f\x79\xc1", 4) == -1 && s->c->v.vec[0].q[0] == 0xfff0000cfff,
           "INSERTQ by register");
    s->c->v.reg[X86_RBX] = SANDBOX_DATA + 1;
    tap_ok(sandbox_run(s, "\xf3\x0f\x2b\x03\xf2\x0f\x2b\x43\x08", 9) == -1, "MOVNTSS, MOVNTSD");
    uint64_t mem[2];
    memory_read(s->m->memory, SANDBOX_DATA + 1, mem, sizeof mem);
    tap_ok(mem[0] == 0xcfff && mem[1] == 0xfff0000cfff, "... store 4 and 8 bytes");
    x86_set_mxcsr(s->c, 0x1f80);
    tap_ok(sandbox_run(s, "\x0f\x58\x03", 3) == EXC_GP, "ADDPS from an odd address: #GP");
    x86_set_mxcsr(s->c, 0x21f80);
    tap_ok(sandbox_run(s, "\x0f\x58\x03", 3) == -1, "... not with MXCSR.MM");
    tap_ok(sandbox_run(s, "\x0f\x28\x03", 3) == EXC_GP, "... but MOVAPS does");
}

int main(void)
{
    struct sandbox s;
    static const char *const accels[] = {"interp", NULL};

    for (unsigned f = X86F_FPU; f < X86F_NONE; f++) {
        test_feature(f);
    }
    test_models();
    test_leaves();
    test_errors();
    for (unsigned n = 0; n < 2; n++) {
        sandbox_create(&s, "phenom", accels[n]);
        sandbox_mode(&s, SANDBOX_LONG);
        test_3dnow(&s);
        test_sse4a(&s);
        sandbox_destroy(&s);
    }
    return tap_done();
}
