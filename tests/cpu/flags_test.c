/* Every condition of every lazy-flag kind: the IR that the translator emits for it, against the
 * plain evaluation of the flags, and that against the definition of the flags by wide arithmetic.
 */
#include <string.h>

#include "cpu/translate.h"
#include "tests/cpu/ir_eval.h"
#include "tests/unit/tap.h"

static const uint64_t values[] = {
    0,
    1,
    2,
    0xf,
    0x10,
    0x7e,
    0x7f,
    0x80,
    0x81,
    0xfe,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x7ffffffe,
    0x7fffffff,
    0x80000000,
    0x80000001,
    0xffffffff,
    UINT64_C(0x100000000),
    UINT64_C(0x7fffffffffffffff),
    UINT64_C(0x8000000000000000),
    UINT64_MAX,
    UINT64_C(0xdeadbeef12345680),
    UINT64_C(0x5555aaaa00ff807f),
};
enum { NVALUES = sizeof values / sizeof values[0] };

static bool cc_holds(uint32_t fl, unsigned cc)
{
    bool cf = fl & FL_CF, zf = fl & FL_ZF, sf = fl & FL_SF, of = fl & FL_OF, pf = fl & FL_PF;
    bool r[8] = {of, cf, zf, cf | zf, sf, pf, sf != of, zf | (sf != of)};

    return r[cc >> 1] != (cc & 1);
}

static struct x86_cpu cpu;
static struct ir ir;

enum use { USE_SETCOND, USE_BRANCH, USE_SELECT, NUSES };

static void emit_use(struct translator *t, enum use use, unsigned cc)
{
    unsigned taken;

    ir_reset(&ir);
    ir_append(&ir, IR_INSN);
    switch (use) {
    case USE_SETCOND:
        ir_mov(&ir, W64, X86_RDI, flags_setcond(t, cc));
        break;
    case USE_BRANCH:
        taken = ir_label_new(&ir);
        flags_branch(t, cc, taken);
        ir_movi(&ir, X86_RDI, 0);
        ir_exit_loop(&ir, 0, 0);
        ir_label(&ir, taken);
        ir_movi(&ir, X86_RDI, 1);
        break;
    default:
        ir_movi(&ir, X86_RAX, UINT64_C(0x1234567887654321));
        ir_movi(&ir, X86_RCX, UINT64_C(0xfedcba9801234567));
        flags_select(t, cc, X86_RDX, X86_RAX, X86_RCX);
        ir_setcond(&ir, IR_EQ, W64, X86_RDI, X86_RAX, X86_RDX);
        break;
    }
    ir_exit_loop(&ir, 0, 0);
}

static void test_kind(unsigned kind, bool known)
{
    struct translator t = {.cpu = &cpu, .ir = &ir, .bits = X86_64};
    struct eval e = {.v = &cpu.v};
    unsigned wrong = 0, third = kind >= CC_ADC8 && kind < CC_INC8 ? 2 : 1;
    uint64_t *r = cpu.v.reg;

    t.cc_kind = known ? kind : CC_UNKNOWN;
    for (unsigned cc = 0; cc < 16; cc++) {
        for (enum use use = 0; use < NUSES; use++) {
            emit_use(&t, use, cc);
            const char *bad = ir_check(&ir);
            if (bad) {
                printf("# %s cc %u: %s\n", x86_cc_name(kind), cc, bad);
                wrong++;
            }
            for (unsigned n = 0; n < NVALUES * NVALUES * third; n++) {
                r[TCG_REG_CC_OP] = kind;
                r[TCG_REG_CC_A] = values[n % NVALUES];
                r[TCG_REG_CC_B] = values[n / NVALUES % NVALUES];
                r[TCG_REG_CC_C] = n / NVALUES / NVALUES;
                uint32_t fl = x86_cc_eval(kind, r[TCG_REG_CC_A], r[TCG_REG_CC_B], r[TCG_REG_CC_C]);
                ir_eval(&e, &ir);
                if (r[X86_RDI] != cc_holds(fl, cc) && wrong++ < 5) {
                    printf("# %s cc %u use %u a %#llx b %#llx c %u flags %#x: got %u\n",
                           x86_cc_name(kind), cc, use, (unsigned long long)r[TCG_REG_CC_A],
                           (unsigned long long)r[TCG_REG_CC_B], (unsigned)r[TCG_REG_CC_C], fl,
                           (unsigned)r[X86_RDI]);
                }
            }
        }
    }
    tap_ok(wrong == 0, "conditions of %s%s", x86_cc_name(kind), known ? "" : ", kind unknown");
}

/* The flags of an addition or subtraction from their definition, in 128 bits. */
static uint32_t wide_flags(bool sub, unsigned bytes, uint64_t x, uint64_t y, unsigned c)
{
    typedef __int128 wide;
    unsigned bits = 8 * bytes;
    uint64_t mask = UINT64_MAX >> (64 - bits);
    wide sx = (int64_t)eval_sign(x, bytes), sy = (int64_t)eval_sign(y, bytes);
    wide ux = x & mask, uy = y & mask;
    wide us = sub ? ux - uy - c : ux + uy + c, ss = sub ? sx - sy - c : sx + sy + c;
    unsigned nibble = sub ? (x & 15) - (y & 15) - c : (x & 15) + (y & 15) + c;
    uint64_t r = (uint64_t)us & mask;

    return (us < 0 || us > (wide)mask ? FL_CF : 0) |
           (ss != (wide)(int64_t)eval_sign(r, bytes) ? FL_OF : 0) | (nibble > 15 ? FL_AF : 0) |
           (r == 0 ? FL_ZF : 0) | (r >> (bits - 1) ? FL_SF : 0) |
           (__builtin_popcount(r & 0xff) % 2 ? 0 : FL_PF);
}

static void test_definition(unsigned bytes)
{
    unsigned wrong = 0;

    for (unsigned n = 0; n < NVALUES * NVALUES * 2; n++) {
        uint64_t x = values[n % NVALUES], y = values[n / NVALUES % NVALUES];
        unsigned c = n / NVALUES / NVALUES;
        wrong +=
            x86_cc_eval(CC_SIZED(ADC, bytes), x + y + c, y, c) != wide_flags(0, bytes, x, y, c);
        wrong += x86_cc_eval(CC_SIZED(SBB, bytes), x, y, c) != wide_flags(1, bytes, x, y, c);
        if (c == 0) {
            wrong +=
                x86_cc_eval(CC_SIZED(ADD, bytes), x + y, y, 9) != wide_flags(0, bytes, x, y, 0);
            wrong += x86_cc_eval(CC_SIZED(SUB, bytes), x, y, 9) != wide_flags(1, bytes, x, y, 0);
            wrong += x86_cc_eval(CC_SIZED(INC, bytes), x + 1, 1, 9) !=
                     ((wide_flags(0, bytes, x, 1, 0) & ~(uint32_t)FL_CF) | FL_CF);
            wrong += x86_cc_eval(CC_SIZED(DEC, bytes), x - 1, 0, 9) !=
                     (wide_flags(1, bytes, x, 1, 0) & ~(uint32_t)FL_CF);
        }
    }
    tap_ok(wrong == 0, "flags of %u-byte sums and differences are as defined", bytes);
}

int main(void)
{
    ir_init(&ir);
    for (unsigned bytes = 1; bytes <= 8; bytes *= 2) {
        test_definition(bytes);
    }
    test_kind(CC_EFLAGS, true);
    for (unsigned kind = CC_ADD8; kind < CC_COUNT; kind++) {
        test_kind(kind, true);
    }
    test_kind(CC_EFLAGS, false);
    for (unsigned bytes = 1; bytes <= 8; bytes *= 2) {
        test_kind(CC_SIZED(SUB, bytes), false);
        test_kind(CC_SIZED(LOGIC, bytes), false);
        test_kind(CC_SIZED(ADD, bytes), false);
        test_kind(CC_SIZED(INC, bytes), false);
        test_kind(CC_SIZED(DEC, bytes), false);
        test_kind(CC_SIZED(SHL, bytes), false);
    }
    ir_free(&ir);
    return tap_done();
}
