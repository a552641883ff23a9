/* Lazy status flags: the evaluator and the EFLAGS register as a whole.
 *
 * The flags of each operation are those of SDM volume 1, 3.4.3.1 and the instruction pages of
 * volume 2; what the manual leaves undefined is given the value that current processors show where
 * it costs nothing. cpu/translate_flags.c emits the same conditions as IR where the kind is known.
 */
#include "cpu/flags.h"

#include "cpu/x86.h"

static uint64_t size_mask(unsigned bytes)
{
    return UINT64_MAX >> (64 - 8 * bytes);
}

/* PF, ZF and SF of a result. */
static uint32_t result_flags(uint64_t r, unsigned bytes)
{
    r &= size_mask(bytes);
    uint32_t f = __builtin_parity((unsigned)r & 0xff) ? 0 : FL_PF;
    if (r == 0) {
        f |= FL_ZF;
    }
    if (r >> (8 * bytes - 1)) {
        f |= FL_SF;
    }
    return f;
}

/* What a rotate or a bit test, CC_OVER_*, changes in the flags f. */
static uint32_t overlay(uint64_t kind, uint32_t f, uint64_t c)
{
    unsigned top = (8u << (kind >> CC_OVER_SIZE & 3)) - 1;
    bool cf = c & 1, of = (c ^ c >> top) & 1;

    switch (kind & CC_OVER) {
    case CC_OVER_CF:
        return (f & ~(uint32_t)FL_CF) | (cf ? FL_CF : 0);
    case CC_OVER_ROR:
        cf = c >> top & 1;
        of = (c >> top ^ c >> (top - 1)) & 1;
        break;
    default:
        break;
    }
    return (f & ~(uint32_t)(FL_CF | FL_OF)) | (cf ? FL_CF : 0) | (of ? FL_OF : 0);
}

uint32_t x86_cc_eval(uint64_t kind, uint64_t a, uint64_t b, uint64_t c)
{
    if (kind & CC_OVER) {
        return overlay(kind, x86_cc_eval(kind & CC_KIND, a, b, 0), c);
    }
    if (kind < CC_ADD8 || kind >= CC_COUNT) {
        return (uint32_t)a & FL_STATUS; /* CC_EFLAGS */
    }
    unsigned n = (unsigned)kind - CC_ADD8, bytes = 1u << (n & 3), top = 8 * bytes - 1;
    uint64_t mask = size_mask(bytes), r, first;
    bool cf = false, of = false, af = false;

    c &= 1;
    switch (kind - (n & 3)) {
    case CC_ADD8:
        c = 0;
        /* fall through */
    case CC_ADC8:
        r = a & mask;
        b &= mask;
        first = (r - b - c) & mask;
        cf = c ? r <= b : r < b;
        of = ((r ^ first) & (r ^ b)) >> top & 1;
        af = (r ^ first ^ b) >> 4 & 1;
        break;
    case CC_SUB8:
        c = 0;
        /* fall through */
    case CC_SBB8:
        a &= mask;
        b &= mask;
        r = (a - b - c) & mask;
        cf = c ? a <= b : a < b;
        of = ((a ^ b) & (a ^ r)) >> top & 1;
        af = (a ^ b ^ r) >> 4 & 1;
        break;
    case CC_INC8:
        r = a & mask;
        cf = b & 1;
        of = r == (mask >> 1) + 1;
        af = (r & 15) == 0;
        break;
    case CC_DEC8:
        r = a & mask;
        cf = b & 1;
        of = r == mask >> 1;
        af = (r & 15) == 15;
        break;
    case CC_SHL8:
        r = a & mask;
        cf = b >> top & 1;
        of = (r ^ b) >> top & 1;
        break;
    case CC_SHR8:
        r = a & mask;
        cf = b & 1;
        of = (r ^ b) >> top & 1;
        break;
    case CC_SAR8:
        r = a & mask;
        cf = b & 1;
        break;
    case CC_MUL8:
        r = a & mask;
        cf = of = b != 0;
        break;
    case CC_BLS8:
        r = a & mask;
        return (result_flags(r, bytes) & ~(uint32_t)FL_PF) | (b & 1 ? FL_CF : 0);
    case CC_LOGIC8:
    default:
        r = a & mask;
        break;
    }
    return result_flags(r, bytes) | (cf ? FL_CF : 0) | (of ? FL_OF : 0) | (af ? FL_AF : 0);
}

const char *x86_cc_name(uint64_t kind)
{
    static const char *const names[CC_COUNT] = {[CC_EFLAGS] = "eflags",
                                                [CC_UNKNOWN] = "unknown",
#define CC_NAME(k)                                                                                 \
    [CC_##k##8] = #k "8", [CC_##k##16] = #k "16", [CC_##k##32] = #k "32", [CC_##k##64] = #k "64",
                                                CC_KINDS(CC_NAME)
#undef CC_NAME
    };
    return (kind & CC_KIND) < CC_COUNT && names[kind & CC_KIND] ? names[kind & CC_KIND] : "?";
}

uint32_t x86_get_eflags(struct x86_cpu *c)
{
    const uint64_t *r = c->v.reg;
    uint32_t status =
        x86_cc_eval(r[TCG_REG_CC_OP], r[TCG_REG_CC_A], r[TCG_REG_CC_B], r[TCG_REG_CC_C]);
    uint32_t system = c->eflags & ~(uint32_t)(FL_STATUS | FL_DF);

    return system | 2 | status | ((int64_t)r[X86_DF] < 0 ? FL_DF : 0);
}

void x86_set_eflags(struct x86_cpu *c, uint32_t value, uint32_t mask)
{
    uint32_t now = (x86_get_eflags(c) & ~mask) | (value & mask);
    uint32_t system = now & ~(uint32_t)(FL_STATUS | FL_DF);

    c->v.reg[TCG_REG_CC_OP] = CC_EFLAGS;
    c->v.reg[TCG_REG_CC_A] = now & FL_STATUS;
    c->v.reg[X86_DF] = now & FL_DF ? UINT64_MAX : 1;
    c->eflags = system | 2;
    x86_update_key(c);
}
