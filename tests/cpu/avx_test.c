/* What user mode on the host cannot show of AVX: faults by CR0, CR4, XCR0, mode and CPU model; the
 * AVX component of XSAVE; upper halves with legacy SSE (SDM volume 1, chapter 14; volume 2, 2.4).
 */
#include "tests/cpu/sandbox.h"
#include "tests/unit/tap.h"

#define VADDPS  0xc5, 0xf4, 0x58, 0xc2       /* vaddps ymm0, ymm1, ymm2 */
#define VPADDB  0xc5, 0xf5, 0xfc, 0xc2       /* vpaddb ymm0, ymm1, ymm2 */
#define VFMADD  0xc4, 0xe2, 0x75, 0x98, 0xc2 /* vfmadd132ps ymm0, ymm1, ymm2 */
#define VPH2PS  0xc4, 0xe2, 0x79, 0x13, 0xc1 /* vcvtph2ps xmm0, xmm1 */
#define VAESENC 0xc4, 0xe2, 0x75, 0xdc, 0xc2 /* vaesenc ymm0, ymm1, ymm2 */
#define ANDN    0xc4, 0xe2, 0x70, 0xf2, 0xc2 /* andn eax, ecx, edx */

static int run(struct sandbox *s, const uint8_t *code, size_t len)
{
    return sandbox_run(s, code, len);
}
#define RUN(s, ...) run(s, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void enable(struct sandbox *s, enum sandbox_mode mode)
{
    sandbox_mode(s, mode);
    s->c->cr4 |= CR4_OSXSAVE;
    s->c->xcr0 = 7;
}

static void test_faults(struct sandbox *s)
{
    enable(s, SANDBOX_LONG);
    tap_ok(RUN(s, VADDPS) == -1, "VADDPS runs");
    s->c->cr4 &= ~(uint64_t)CR4_OSXSAVE;
    tap_ok(RUN(s, VADDPS) == EXC_UD, "without CR4.OSXSAVE: #UD");
    tap_ok(RUN(s, ANDN) == -1, "... which BMI does not ask for");
    enable(s, SANDBOX_LONG);
    s->c->xcr0 = 3;
    tap_ok(RUN(s, VADDPS) == EXC_UD, "without XCR0.AVX: #UD");
    enable(s, SANDBOX_LONG);
    s->c->cr0 |= CR0_TS;
    tap_ok(RUN(s, VADDPS) == EXC_NM, "CR0.TS: #NM");
    tap_ok(RUN(s, ANDN) == -1, "... which BMI does not ask for");
    enable(s, SANDBOX_LONG);
    s->c->cr0 |= CR0_EM;
    tap_ok(RUN(s, VADDPS) == -1, "CR0.EM does not count");
    enable(s, SANDBOX_LONG);
    s->c->cr4 &= ~(uint64_t)CR4_OSFXSR;
    tap_ok(RUN(s, VADDPS) == -1, "CR4.OSFXSR does not count");
    enable(s, SANDBOX_PROT32);
    tap_ok(RUN(s, VADDPS) == -1, "VADDPS in 32-bit mode");
    enable(s, SANDBOX_REAL);
    tap_ok(RUN(s, VADDPS) == EXC_UD, "#UD in real mode");
    enable(s, SANDBOX_V86);
    tap_ok(RUN(s, VADDPS) == EXC_UD, "#UD in V86 mode");
    enable(s, SANDBOX_LONG);
    tap_ok(RUN(s, 0x66, VADDPS) == EXC_UD, "66 before VEX: #UD");
    tap_ok(RUN(s, 0x48, VADDPS) == EXC_UD, "REX before VEX: #UD");
    tap_ok(RUN(s, 0xf0, VADDPS) == EXC_UD, "LOCK before VEX: #UD");
    tap_ok(RUN(s, 0xc5, 0xf4, 0x28, 0xc2) == EXC_UD, "VMOVAPS with VEX.vvvv: #UD");
    tap_ok(RUN(s, 0xc4, 0xe3, 0x79, 0x00, 0xc1, 0) == EXC_UD, "VPERMQ of 128 bits: #UD");
    tap_ok(RUN(s, 0xc4, 0xe2, 0x71, 0x92, 0x04, 0x00) == EXC_UD, "gather into its index: #UD");
}

static void test_alignment(struct sandbox *s)
{
    enable(s, SANDBOX_LONG);
    s->c->v.reg[X86_RBX] = SANDBOX_DATA + 1;
    tap_ok(RUN(s, 0xc5, 0xfc, 0x58, 0x03) == -1, "VADDPS from anywhere");
    tap_ok(RUN(s, 0xc5, 0xfc, 0x10, 0x03) == -1, "VMOVUPS from anywhere");
    tap_ok(RUN(s, 0xc5, 0xfc, 0x28, 0x03) == EXC_GP, "VMOVAPS asks for alignment");
    s->c->v.reg[X86_RBX] = SANDBOX_DATA + 16;
    tap_ok(RUN(s, 0xc5, 0xf8, 0x28, 0x03) == -1, "... to 16");
    tap_ok(RUN(s, 0xc5, 0xfc, 0x28, 0x03) == EXC_GP, "... or 32");
}

static void test_upper_halves(struct sandbox *s)
{
    enable(s, SANDBOX_LONG);
    s->c->v.vec[0].q[3] = s->c->v.vec[9].q[2] = 5;
    RUN(s, 0x0f, 0x58, 0xc1);
    tap_ok(s->c->v.vec[0].q[3] == 5, "legacy SSE keeps the upper half");
    RUN(s, 0xc5, 0xf8, 0x58, 0xc1);
    tap_ok(s->c->v.vec[0].q[3] == 0, "VEX.128 clears it");
    s->c->v.vec[9].q[0] = 3;
    RUN(s, 0xc5, 0xf8, 0x77);
    tap_ok(s->c->v.vec[9].q[2] == 0 && s->c->v.vec[9].q[0] == 3, "VZEROUPPER");
    RUN(s, 0xc5, 0xfc, 0x77);
    tap_ok(s->c->v.vec[9].q[0] == 0, "VZEROALL");
    enable(s, SANDBOX_PROT32);
    s->c->v.vec[9].q[0] = 3;
    RUN(s, 0xc5, 0xfc, 0x77);
    tap_ok(s->c->v.vec[9].q[0] == 3, "... of eight registers outside of 64-bit mode");
}

static void test_xsave(struct sandbox *s)
{
    uint64_t upper[4], bv;

    enable(s, SANDBOX_LONG);
    for (unsigned n = 0; n < 16; n++) {
        for (unsigned k = 0; k < 4; k++) {
            s->c->v.vec[n].q[k] = n * 4 + k + 1;
        }
    }
    s->c->v.reg[X86_RAX] = 7;
    s->c->v.reg[X86_RBX] = SANDBOX_DATA;
    tap_ok(RUN(s, 0x0f, 0xae, 0x23) == -1, "XSAVE");
    memory_read(s->m->memory, SANDBOX_DATA + 576, upper, sizeof upper);
    memory_read(s->m->memory, SANDBOX_DATA + 512, &bv, 8);
    tap_ok(upper[0] == 3 && upper[1] == 4 && upper[2] == 7 && upper[3] == 8, "upper halves at 576");
    tap_ok((bv & 6) == 6, "XSTATE_BV");
    RUN(s, 0xc5, 0xfc, 0x77);
    tap_ok(RUN(s, 0x0f, 0xae, 0x2b) == -1, "XRSTOR");
    bool same = true;
    for (unsigned n = 0; n < 16; n++) {
        for (unsigned k = 0; k < 4; k++) {
            same &= s->c->v.vec[n].q[k] == n * 4 + k + 1;
        }
    }
    tap_ok(same, "all registers are back");
}

static void test_models(void)
{
    static const struct {
        const char *model;
        bool avx, avx2, fma, f16c, vaes;
    } models[] = {
        {"qemu64", false, false, false, false, false},
        {"Nehalem", false, false, false, false, false},
        {"Haswell", true, true, true, true, false},
        {"Haswell,-avx2", true, false, true, true, false},
        {"Skylake-Client", true, true, true, true, false},
        {"EPYC", true, true, true, true, false},
        {"max", true, true, true, true, true},
        {"max,-fma,-f16c", true, true, false, false, true},
    };

    for (size_t n = 0; n < sizeof models / sizeof models[0]; n++) {
        struct sandbox s;
        sandbox_create(&s, models[n].model, NULL);
        enable(&s, SANDBOX_LONG);
        tap_ok((RUN(&s, VADDPS) == -1) == models[n].avx &&
                   (RUN(&s, VPADDB) == -1) == models[n].avx2 &&
                   (RUN(&s, VFMADD) == -1) == models[n].fma &&
                   (RUN(&s, VPH2PS) == -1) == models[n].f16c &&
                   (RUN(&s, VAESENC) == -1) == models[n].vaes,
               "-cpu %s has what it promises, and no more", models[n].model);
        sandbox_destroy(&s);
    }
}

int main(void)
{
    struct sandbox s;

    sandbox_create(&s, "max", NULL);
    test_faults(&s);
    test_alignment(&s);
    test_upper_halves(&s);
    test_xsave(&s);
    sandbox_destroy(&s);
    test_models();
    return tap_done();
}
