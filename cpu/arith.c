/* Helpers of integer arithmetic (SDM volume 2: DIV, IDIV, AAA, AAS, AAM, DAA, DAS, BOUND,
 * CMPXCHG16B). The rest of the family is inline IR, see cpu/emit_arith.c.
 *
 * Undefined flags: the decimal adjustments give OF = 0 (and AAA, AAS: SF, ZF, PF from AL as Intel's
 * processors do); divisions leave all flags alone. */
#include "cpu/arith.h"

#include "cpu/flags.h"
#include "cpu/x86.h"
#include "tcg/tb.h"

/* Publishes helper_NAME as x86_h_NAME. */
#define ARITH_HELPER(name, nargs, flags)                                                           \
    const struct ir_helper x86_h_##name = {#name, (void (*)(void))helper_##name, nargs, flags}

/* ---- division ---- */

static void divide_error(struct vcpu *v)
{
    x86_raise(x86_cpu(v), EXC_DE);
}

static uint64_t helper_div8(struct vcpu *v, uint64_t divisor, uint64_t lo, uint64_t hi)
{
    unsigned d = divisor & 0xff, n = lo & 0xffff;

    (void)hi;
    if (n >> 8 >= d) {
        divide_error(v);
    }
    return n / d | (n % d) << 8;
}
ARITH_HELPER(div8, 3, HELPER_RAISES);

static uint64_t helper_div16(struct vcpu *v, uint64_t divisor, uint64_t lo, uint64_t hi)
{
    uint32_t d = divisor & 0xffff, n = (uint32_t)((hi & 0xffff) << 16 | (lo & 0xffff));

    if (n >> 16 >= d) {
        divide_error(v);
    }
    return n / d | (n % d) << 16;
}
ARITH_HELPER(div16, 3, HELPER_RAISES);

static uint64_t helper_divide_error(struct vcpu *v, uint64_t divisor, uint64_t lo, uint64_t hi)
{
    (void)divisor;
    (void)lo;
    (void)hi;
    divide_error(v);
    return 0;
}
ARITH_HELPER(divide_error, 3, HELPER_RAISES);

/* n / d of signed values where |n| and |d| fit: quotient | remainder << bits, checked to fit bits.
 */
static uint64_t signed_divide(struct vcpu *v, int64_t n, int64_t d, unsigned bits)
{
    int64_t max = ((int64_t)1 << (bits - 1)) - 1, q, r;
    uint64_t mask = ((uint64_t)1 << bits) - 1;

    if (d == 0 || (n == INT64_MIN && d == -1)) {
        divide_error(v);
    }
    q = n / d;
    r = n % d;
    if (q > max || q < -max - 1) {
        divide_error(v);
    }
    return ((uint64_t)q & mask) | ((uint64_t)r & mask) << bits;
}

static uint64_t helper_idiv8(struct vcpu *v, uint64_t divisor, uint64_t lo, uint64_t hi)
{
    (void)hi;
    return signed_divide(v, (int16_t)lo, (int8_t)divisor, 8);
}
ARITH_HELPER(idiv8, 3, HELPER_RAISES);

static uint64_t helper_idiv16(struct vcpu *v, uint64_t divisor, uint64_t lo, uint64_t hi)
{
    return signed_divide(v, (int32_t)(hi << 16 | (lo & 0xffff)), (int16_t)divisor, 16);
}
ARITH_HELPER(idiv16, 3, HELPER_RAISES);

/* The wide ones are divided in IR; these raise when the quotient does not fit. */
static uint64_t helper_idiv32_fits(struct vcpu *v, uint64_t divisor, uint64_t lo, uint64_t hi)
{
    signed_divide(v, (int64_t)(hi << 32 | (uint32_t)lo), (int32_t)divisor, 32);
    return 0;
}
ARITH_HELPER(idiv32_fits, 3, HELPER_RAISES);

static uint64_t helper_idiv64_fits(struct vcpu *v, uint64_t divisor, uint64_t lo, uint64_t hi)
{
    unsigned __int128 n = (unsigned __int128)hi << 64 | lo;
    bool minus_n = hi >> 63, minus_d = divisor >> 63;

    n = minus_n ? -n : n;
    divisor = minus_d ? -divisor : divisor;
    if (n >> 64 >= divisor || (uint64_t)(n / divisor) > (UINT64_MAX >> 1) + (minus_n != minus_d)) {
        divide_error(v);
    }
    return 0;
}
ARITH_HELPER(idiv64_fits, 3, HELPER_RAISES);

/* ---- decimal adjustment ---- */

/* Packs AX and flags whose SF, ZF, PF come from AL. */
static uint64_t adjusted(unsigned ax, bool cf, bool af)
{
    uint32_t f = x86_cc_eval(CC_LOGIC8, ax & 0xff, 0, 0);

    return (ax & 0xffff) | (uint64_t)(f | (cf ? FL_CF : 0) | (af ? FL_AF : 0)) << 16;
}

static uint64_t helper_aaa(struct vcpu *v, uint64_t ax, uint64_t flags)
{
    bool adjust = (ax & 15) > 9 || (flags & FL_AF);

    (void)v;
    if (adjust) {
        ax += 0x106;
    }
    return adjusted(ax & 0xff0f, adjust, adjust);
}
ARITH_HELPER(aaa, 2, 0);

static uint64_t helper_aas(struct vcpu *v, uint64_t ax, uint64_t flags)
{
    bool adjust = (ax & 15) > 9 || (flags & FL_AF);

    (void)v;
    if (adjust) {
        ax -= 0x106;
    }
    return adjusted(ax & 0xff0f, adjust, adjust);
}
ARITH_HELPER(aas, 2, 0);

static uint64_t helper_daa(struct vcpu *v, uint64_t ax, uint64_t flags)
{
    unsigned al = ax & 0xff, old = al;
    bool af = (al & 15) > 9 || (flags & FL_AF), cf = old > 0x99 || (flags & FL_CF);

    (void)v;
    al += (af ? 6 : 0) + (cf ? 0x60 : 0);
    return adjusted((ax & 0xff00) | (al & 0xff), cf, af);
}
ARITH_HELPER(daa, 2, 0);

static uint64_t helper_das(struct vcpu *v, uint64_t ax, uint64_t flags)
{
    unsigned al = ax & 0xff, old = al;
    bool af = (al & 15) > 9 || (flags & FL_AF), high = old > 0x99 || (flags & FL_CF);
    bool cf = high || (af && old < 6); /* the low digit's adjustment may borrow */

    (void)v;
    al -= (af ? 6 : 0) + (high ? 0x60 : 0);
    return adjusted((ax & 0xff00) | (al & 0xff), cf, af);
}
ARITH_HELPER(das, 2, 0);

static uint64_t helper_aam(struct vcpu *v, uint64_t al, uint64_t base)
{
    al &= 0xff;
    base &= 0xff;
    if (base == 0) {
        divide_error(v);
    }
    return al / base << 8 | al % base;
}
ARITH_HELPER(aam, 1, HELPER_IMM | HELPER_RAISES);

/* ---- others ---- */

static uint64_t helper_bound(struct vcpu *v, uint64_t index, uint64_t lower, uint64_t upper)
{
    if ((int64_t)index < (int64_t)lower || (int64_t)index > (int64_t)upper) {
        x86_raise(x86_cpu(v), EXC_BR);
    }
    return 0;
}
ARITH_HELPER(bound, 3, HELPER_RAISES);

/* Compare and swap of 16 aligned bytes of host memory holding guest (little endian) values; returns
 * false when this host has no such operation. */
#if defined(__x86_64__)
static bool host_cas16(void *p, uint64_t seen[2], const uint64_t value[2], bool *equal)
{
    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(*equal), "+m"(*(unsigned __int128 *)p), "+a"(seen[0]), "+d"(seen[1])
                     : "b"(value[0]), "c"(value[1])
                     : "memory");
    return true;
}
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static bool host_cas16(void *p, uint64_t seen[2], const uint64_t value[2], bool *equal)
{
    uint64_t lo, hi;
    uint32_t fail;

    do {
        __asm__ volatile("ldaxp %0, %1, [%2]" : "=&r"(lo), "=&r"(hi) : "r"(p) : "memory");
        *equal = lo == seen[0] && hi == seen[1];
        /* Storing what was read proves that the two halves were read at once. */
        __asm__ volatile("stlxp %w0, %1, %2, [%3]"
                         : "=&r"(fail)
                         : "r"(*equal ? value[0] : lo), "r"(*equal ? value[1] : hi), "r"(p)
                         : "memory");
    } while (fail);
    seen[0] = lo;
    seen[1] = hi;
    return true;
}
#else
static bool host_cas16(void *p, uint64_t seen[2], const uint64_t value[2], bool *equal)
{
    (void)p;
    (void)seen;
    (void)value;
    (void)equal;
    return false;
}
#endif

static uint64_t helper_cmpxchg16b(struct vcpu *v, uint64_t va, uint64_t flags, uint64_t ctx)
{
    uint64_t *r = v->reg, seen[2] = {r[X86_RAX], r[X86_RDX]};
    const uint64_t value[2] = {r[X86_RBX], r[X86_RCX]};
    bool equal = false;

    if (va & 15) {
        x86_raise_error(x86_cpu(v), EXC_GP, 0);
    }
    void *host = softmmu_atomic_ptr(v, va, MO_128, (unsigned)ctx);
    if (!host || !host_cas16(host, seen, value, &equal)) {
        tcg_exclusive_begin(v);
        seen[0] = softmmu_load(v, va, MO_64, (unsigned)ctx);
        seen[1] = softmmu_load(v, va + 8, MO_64, (unsigned)ctx);
        equal = seen[0] == r[X86_RAX] && seen[1] == r[X86_RDX];
        softmmu_store(v, va, equal ? value[0] : seen[0], MO_64, (unsigned)ctx);
        softmmu_store(v, va + 8, equal ? value[1] : seen[1], MO_64, (unsigned)ctx);
        tcg_exclusive_end(v);
    }
    if (!equal) {
        r[X86_RAX] = seen[0];
        r[X86_RDX] = seen[1];
    }
    return (flags & ~(uint64_t)FL_ZF) | (equal ? FL_ZF : 0);
}
ARITH_HELPER(cmpxchg16b, 2, HELPER_IMM | HELPER_READS | HELPER_WRITES | HELPER_RAISES);
