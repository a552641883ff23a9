/* Atomic read-modify-write of guest memory in C: what the interpreter does, and generated code when
 * its fast path does not apply. The caller has noted where it is (host_pc): all of it may unwind.
 */
#include "tcg/guest_le.h"
#include "tcg/tb.h"

#include <string.h>

static uint64_t apply(enum ir_atomic op, uint64_t old, uint64_t x)
{
    switch (op) {
    case IR_AT_ADD:
        return old + x;
    case IR_AT_SUB:
        return old - x;
    case IR_AT_AND:
        return old & x;
    case IR_AT_OR:
        return old | x;
    case IR_AT_XOR:
        return old ^ x;
    default:
        return x;
    }
}

static uint64_t truncate(uint64_t x, unsigned memop)
{
    unsigned shift = 64 - (8u << (memop & MO_SIZE));
    return x << shift >> shift;
}

/* Read-modify-write that no host atomic can do (MMIO, across pages): alone in the machine. */
static uint64_t rmw_alone(struct vcpu *v, uint64_t va, unsigned memop, unsigned ctx, uint64_t b,
                          uint64_t value, int op)
{
    unsigned size = 1u << (memop & MO_SIZE);
    uint64_t old;

    tcg_probe_write(v, va, size, ctx);
    tcg_exclusive_begin(v);
    old = truncate(softmmu_load(v, va, memop & MO_SIZE, ctx), memop);
    if (op >= 0) {
        softmmu_store(v, va, truncate(apply((enum ir_atomic)op, old, b), memop), memop & MO_SIZE,
                      ctx);
    } else {
        softmmu_store(v, va, old == truncate(b, memop) ? truncate(value, memop) : old,
                      memop & MO_SIZE, ctx);
    }
    tcg_exclusive_end(v);
    return old;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ATOMIC_SUMS(le)                                                                            \
    case IR_AT_ADD:                                                                                \
        old = __atomic_fetch_add(p, x, __ATOMIC_SEQ_CST);                                          \
        break;                                                                                     \
    case IR_AT_SUB:                                                                                \
        old = __atomic_fetch_sub(p, x, __ATOMIC_SEQ_CST);                                          \
        break;
#else
#define ATOMIC_SUMS(le)
#endif

#define ATOMIC_OPS(type, le)                                                                       \
    {                                                                                              \
        type *p = host, x = (type)b;                                                               \
        switch (op) {                                                                              \
        case IR_AT_AND:                                                                            \
            old = le(__atomic_fetch_and(p, le(x), __ATOMIC_SEQ_CST));                              \
            break;                                                                                 \
        case IR_AT_OR:                                                                             \
            old = le(__atomic_fetch_or(p, le(x), __ATOMIC_SEQ_CST));                               \
            break;                                                                                 \
        case IR_AT_XOR:                                                                            \
            old = le(__atomic_fetch_xor(p, le(x), __ATOMIC_SEQ_CST));                              \
            break;                                                                                 \
        case IR_AT_XCHG:                                                                           \
            old = le(__atomic_exchange_n(p, le(x), __ATOMIC_SEQ_CST));                             \
            break;                                                                                 \
            ATOMIC_SUMS(le)                                                                        \
        default: { /* sums need the guest's byte order */                                          \
            type seen = __atomic_load_n(p, __ATOMIC_RELAXED);                                      \
            while (!__atomic_compare_exchange_n(p, &seen, le((type)apply(op, le(seen), x)), true,  \
                                                __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {             \
            }                                                                                      \
            old = le(seen);                                                                        \
            break;                                                                                 \
        }                                                                                          \
        }                                                                                          \
        break;                                                                                     \
    }

#define CMPXCHG(type, le)                                                                          \
    {                                                                                              \
        type seen = le((type)b);                                                                   \
        __atomic_compare_exchange_n((type *)host, &seen, le((type)value), false, __ATOMIC_SEQ_CST, \
                                    __ATOMIC_SEQ_CST);                                             \
        old = le(seen);                                                                            \
        break;                                                                                     \
    }

void tcg_check_aligned(struct vcpu *v, uint64_t va, unsigned memop)
{
    if ((memop & MO_ALIGN) && (va & ((1u << (memop & MO_SIZE)) - 1))) {
        v->ops->unaligned(v, va);
    }
}

/* Host address for an atomic access; NULL when it must be done the slow way. */
static void *atomic_host(struct vcpu *v, uint64_t va, unsigned memop, unsigned ctx)
{
    void *host;

    tcg_check_aligned(v, va, memop);
    host = softmmu_atomic_ptr(v, va, memop & (MO_SIZE | MO_ALIGN), ctx);
#if !defined(__x86_64__) && !defined(__i386__)
    if ((uintptr_t)host & ((1u << (memop & MO_SIZE)) - 1)) {
        return NULL; /* the host's atomics want alignment */
    }
#endif
    return host;
}

uint64_t tcg_atomic_at(void *host, unsigned memop, enum ir_atomic op, uint64_t b)
{
    uint64_t old;

    switch (memop & MO_SIZE) {
    case MO_8:
        ATOMIC_OPS(uint8_t, LE8)
    case MO_16:
        ATOMIC_OPS(uint16_t, LE16)
    case MO_32:
        ATOMIC_OPS(uint32_t, LE32)
    default:
        ATOMIC_OPS(uint64_t, LE64)
    }
    return old;
}

uint64_t tcg_cmpxchg_at(void *host, unsigned memop, uint64_t b, uint64_t value)
{
    uint64_t old;

    switch (memop & MO_SIZE) {
    case MO_8:
        CMPXCHG(uint8_t, LE8)
    case MO_16:
        CMPXCHG(uint16_t, LE16)
    case MO_32:
        CMPXCHG(uint32_t, LE32)
    default:
        CMPXCHG(uint64_t, LE64)
    }
    return old;
}

uint64_t tcg_atomic(struct vcpu *v, uint64_t va, unsigned memop, unsigned ctx, enum ir_atomic op,
                    uint64_t b)
{
    void *host = atomic_host(v, va, memop, ctx);

    return host ? tcg_atomic_at(host, memop, op, b) : rmw_alone(v, va, memop, ctx, b, 0, (int)op);
}

uint64_t tcg_cmpxchg(struct vcpu *v, uint64_t va, unsigned memop, unsigned ctx, uint64_t b,
                     uint64_t value)
{
    void *host = atomic_host(v, va, memop, ctx);

    return host ? tcg_cmpxchg_at(host, memop, b, value)
                : rmw_alone(v, va, memop, ctx, b, value, -1);
}
