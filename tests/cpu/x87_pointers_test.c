/* FIP, FCS, FOP, FDP, FDS by model (SDM volume 1, 8.1.8 to 8.1.10): in environments of each format,
 * after loops and jumps, at a fault in the middle of a block, and what AMD's FXSAVE leaves alone.
 */
#include "tests/cpu/sandbox.h"
#include "tests/unit/tap.h"

#define RUN(s, code) sandbox_run(s, code, sizeof(code) - 1)

static uint32_t word(struct sandbox *s, unsigned at, unsigned size)
{
    uint32_t x = 0;

    memory_read(s->m->memory, SANDBOX_DATA + at, &x, size);
    return x;
}

/* fninit; fld1; fadd qword [rbx]; fnstenv [rbx+0x40]; and with an exception:
 * fninit; fld1; fldcw [rbx+0x10]; fdiv qword [rbx+8]; nop; fnstenv [rbx+0x40] */
#define PLAIN  "\xdb\xe3\xd9\xe8\xdc\x03\xd9\x73\x40"
#define DIVIDE "\xdb\xe3\xd9\xe8\xd9\x6b\x10\xdc\x73\x08\x90\xd9\x73\x40"

static void start(struct sandbox *s, enum sandbox_mode mode)
{
    static const uint16_t control = 0x37b; /* division by zero is not masked */

    sandbox_mode(s, mode);
    s->c->v.reg[X86_RBX] = mode == SANDBOX_REAL ? 0 : SANDBOX_DATA;
    memory_write(s->m->memory, SANDBOX_DATA + 0x10, &control, 2);
}

static void is_env(struct sandbox *s, uint32_t ip, uint32_t cs_op, uint32_t dp, uint32_t ds,
                   const char *what)
{
    uint32_t w[4];

    for (unsigned n = 0; n < 4; n++) {
        w[n] = word(s, 0x40 + 12 + 4 * n, 4);
    }
    tap_ok(w[0] == ip && w[1] == cs_op && w[2] == dp && w[3] == (ds | 0xffff0000),
           "%s: %x %x %x %x", what, w[0], w[1], w[2], w[3]);
}

static void test_max(const char *accel)
{
    struct sandbox s;
    uint64_t ip;

    sandbox_create(&s, "max", accel);
    start(&s, SANDBOX_LONG);
    RUN(&s, PLAIN);
    is_env(&s, SANDBOX_CODE + 4, 0, 0, 0, "max: FIP alone");
    start(&s, SANDBOX_LONG);
    RUN(&s, DIVIDE);
    is_env(&s, SANDBOX_CODE + 7, 0x473 << 16, SANDBOX_DATA + 8, 0,
           "... with an exception all of it");
    start(&s, SANDBOX_LONG);
    s.c->v.reg[X86_RCX] = SANDBOX_RAM;
    /* fninit; fld1; nop; mov eax, [rcx] */
    tap_ok(RUN(&s, "\xdb\xe3\xd9\xe8\x90\x8b\x01") == EXC_PF && s.c->fp_ip == SANDBOX_CODE + 2,
           "a page fault behind an x87 instruction of its block");
    /* fninit; fld1; fld [rcx]: the second one has not been executed */
    tap_ok(RUN(&s, "\xdb\xe3\x90\xd9\xe8\xdd\x01") == EXC_PF && s.c->fp_ip == SANDBOX_CODE + 3,
           "... in an x87 instruction");
    start(&s, SANDBOX_LONG);
    /* fninit; mov ecx, 300; fld1; fstp st(0); nop; loop -7 */
    RUN(&s, "\xdb\xe3\xb9\x2c\x01\x00\x00\xd9\xe8\xdd\xd8\x90\xe2\xf9");
    tap_ok(s.c->fp_ip == SANDBOX_CODE + 9, "after a loop");
    ip = s.c->fp_ip;
    /* fnstsw ax; fwait; fnclex; fldcw [rbx+0x10] */
    RUN(&s, "\xdf\xe0\x9b\xdb\xe2\xd9\x6b\x10");
    tap_ok(s.c->fp_ip == ip, "control instructions leave it");
    RUN(&s, "\xdb\xe3");
    tap_ok(s.c->fp_ip == 0, "FNINIT clears it");
    sandbox_destroy(&s);
}

static void test_models(const char *accel)
{
    struct sandbox s;
    uint8_t fill[64];

    sandbox_create(&s, "Haswell", accel);
    start(&s, SANDBOX_LONG);
    RUN(&s, PLAIN);
    is_env(&s, SANDBOX_CODE + 4, 0, SANDBOX_DATA, 0, "Haswell: FDP always");
    sandbox_destroy(&s);

    sandbox_create(&s, "pentium3", accel);
    start(&s, SANDBOX_PROT32);
    RUN(&s, PLAIN);
    is_env(&s, SANDBOX_CODE + 4, 8 | 0x403 << 16, SANDBOX_DATA, 16,
           "Pentium III: FOP and the selectors, too");
    start(&s, SANDBOX_REAL);
    RUN(&s, "\xdb\xe3\xd9\xe8\xdc\x07\xd9\x77\x40"); /* [bx], 14 bytes */
    tap_ok(word(&s, 0x46, 2) == 4 && word(&s, 0x48, 2) == (1 << 12 | 0x407) &&
               word(&s, 0x4a, 2) == 0 && word(&s, 0x4c, 2) == 2 << 12,
           "... linear addresses in real mode");
    sandbox_destroy(&s);

    sandbox_create(&s, "EPYC", accel);
    start(&s, SANDBOX_LONG);
    memset(fill, 0xaa, sizeof fill);
    memory_write(s.m->memory, SANDBOX_DATA + 0x200, fill, sizeof fill);
    RUN(&s, "\xdb\xe3\xd9\xe8\xdc\x03\x48\x0f\xae\x83\x00\x02\x00\x00"); /* fxsave64 [rbx+0x200] */
    tap_ok(word(&s, 0x206, 2) == 0xaaaa && word(&s, 0x208, 4) == 0xaaaaaaaa &&
               word(&s, 0x210, 4) == 0xaaaaaaaa,
           "EPYC: FXSAVE without a pending exception does not write them");
    /* fninit; fld1; fldcw; fdiv; fxsave64 [rbx+0x200] */
    RUN(&s, "\xdb\xe3\xd9\xe8\xd9\x6b\x10\xdc\x73\x08\x48\x0f\xae\x83\x00\x02\x00\x00");
    tap_ok(word(&s, 0x206, 2) == 0x473 && word(&s, 0x208, 4) == SANDBOX_CODE + 7 &&
               word(&s, 0x210, 4) == SANDBOX_DATA + 8,
           "... with one it does");
    sandbox_destroy(&s);
}

int main(void)
{
    static const char *const accels[] = {"interp", NULL};

    for (unsigned n = 0; n < 2; n++) {
        test_max(accels[n]);
        test_models(accels[n]);
    }
    return tap_done();
}
