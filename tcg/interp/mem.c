/* Handlers of guest memory accesses: one for each size, sign and addressing mode, with the look-up
 * of tcg/vcpu.h inlined. What it does not answer goes, by a tail call, to a function that calls
 * softmmu; only that one notes where it is. Atomics use the host's on the host's address. */
#include "tcg/interp/iop.h"

/* ---- addresses ---- */

#define ADDR_BD      (R(ip->a) + (uint64_t)(int64_t)ip->imm)
#define ADDR_BX(s)   (R(ip->a) + (R(ip->b) << (s)) + (uint64_t)(int64_t)(int16_t)ip->c)
#define ADDR_BD32    (uint32_t) ADDR_BD
#define ADDR_BX32(s) (uint32_t) ADDR_BX(s)

#define MODES(_, ...)                                                                              \
    _(bd, ADDR_BD, __VA_ARGS__)                                                                    \
    _(bd32, ADDR_BD32, __VA_ARGS__)                                                                \
    _(b0, ADDR_BX(0), __VA_ARGS__)                                                                 \
    _(b0_32, ADDR_BX32(0), __VA_ARGS__)                                                            \
    _(b1, ADDR_BX(1), __VA_ARGS__)                                                                 \
    _(b1_32, ADDR_BX32(1), __VA_ARGS__)                                                            \
    _(b2, ADDR_BX(2), __VA_ARGS__)                                                                 \
    _(b2_32, ADDR_BX32(2), __VA_ARGS__)                                                            \
    _(b3, ADDR_BX(3), __VA_ARGS__)                                                                 \
    _(b3_32, ADDR_BX32(3), __VA_ARGS__)

/* ---- loads ---- */

#define LOAD_KINDS(_)                                                                              \
    _(U8, uint8_t, LE8, MO_8, (uint64_t)(uint8_t))                                                 \
    _(U16, uint16_t, LE16, MO_16, (uint64_t)(uint16_t))                                            \
    _(U32, uint32_t, LE32, MO_32, (uint64_t)(uint32_t))                                            \
    _(U64, uint64_t, LE64, MO_64, (uint64_t))                                                      \
    _(S8_32, uint8_t, LE8, MO_8, (uint32_t)(int8_t))                                               \
    _(S16_32, uint16_t, LE16, MO_16, (uint32_t)(int16_t))                                          \
    _(S8, uint8_t, LE8, MO_8, (uint64_t)(int8_t))                                                  \
    _(S16, uint16_t, LE16, MO_16, (uint64_t)(int16_t))                                             \
    _(S32, uint32_t, LE32, MO_32, (uint64_t)(int32_t))

#define LOAD_MODE(mode, address, kind, type, le, conv)                                             \
    HANDLER(ld_##kind##_##mode)                                                                    \
    {                                                                                              \
        uint64_t va = address;                                                                     \
        struct tlb_entry *e = tlb_at(tlb, va);                                                     \
        uint64_t t = va ^ e->rtag;                                                                 \
        type x;                                                                                    \
        if (unlikely(t > PAGE_SIZE_GUEST - sizeof(type))) {                                        \
            return ld_slow_##kind(v, ip, tlb, va);                                                 \
        }                                                                                          \
        memcpy(&x, tlb_host(e, va), sizeof(x));                                                    \
        AFTER_LOAD();                                                                              \
        R(ip->d) = conv(le(x));                                                                    \
        NEXT(1);                                                                                   \
    }
#define LOAD_KIND(kind, type, le, mo, conv)                                                        \
    SLOW(ld_slow_##kind)                                                                           \
    {                                                                                              \
        AT(ip);                                                                                    \
        R(ip->d) = conv(softmmu_load(v, x, mo, v->tcg_cpu->ctx));                                  \
        RELOAD_TLB();                                                                              \
        NEXT_SLOW(1);                                                                              \
    }                                                                                              \
    MODES(LOAD_MODE, kind, type, le, conv)
LOAD_KINDS(LOAD_KIND)

#define LOAD_NAME(mode, address, kind)     ld_##kind##_##mode,
#define LOAD_ROW(kind, type, le, mo, conv) [LD_##kind] = {MODES(LOAD_NAME, kind)},
const iop_fn iop_load[NLOADS][NMODES] = {LOAD_KINDS(LOAD_ROW)};

/* ---- stores ---- */

#define STORE_SIZES(_)                                                                             \
    _(8, uint8_t, LE8, MO_8)                                                                       \
    _(16, uint16_t, LE16, MO_16)                                                                   \
    _(32, uint32_t, LE32, MO_32)                                                                   \
    _(64, uint64_t, LE64, MO_64)

#define STORE_BODY(address, type, le, value, slow)                                                 \
    uint64_t va = address;                                                                         \
    struct tlb_entry *e = tlb_at(tlb, va);                                                         \
    uint64_t t = va ^ e->wtag;                                                                     \
    type x;                                                                                        \
    if (unlikely(t > PAGE_SIZE_GUEST - sizeof(type))) {                                            \
        return slow(v, ip, tlb, va);                                                               \
    }                                                                                              \
    x = le((type)(value));                                                                         \
    BEFORE_STORE();                                                                                \
    memcpy(tlb_host(e, va), &x, sizeof(x));                                                        \
    NEXT(1);

#define STORE_MODE(mode, address, size, type, le)                                                  \
    HANDLER(st_##size##_##mode)                                                                    \
    {                                                                                              \
        STORE_BODY(address, type, le, R(ip->d), st_slow_##size)                                    \
    }
#define ADDR_STI   (R(ip->a) + (uint64_t)(int64_t)(int16_t)ip->d)
#define ADDR_STI32 (uint32_t) ADDR_STI
#define STORE_SIZE(size, type, le, mo)                                                             \
    SLOW(st_slow_##size)                                                                           \
    {                                                                                              \
        AT(ip);                                                                                    \
        softmmu_store(v, x, (type)R(ip->d), mo, v->tcg_cpu->ctx);                                  \
        RELOAD_TLB();                                                                              \
        NEXT_SLOW(1);                                                                              \
    }                                                                                              \
    SLOW(sti_slow_##size)                                                                          \
    {                                                                                              \
        AT(ip);                                                                                    \
        softmmu_store(v, x, (type)(int64_t)ip->imm, mo, v->tcg_cpu->ctx);                          \
        RELOAD_TLB();                                                                              \
        NEXT_SLOW(1);                                                                              \
    }                                                                                              \
    MODES(STORE_MODE, size, type, le)                                                              \
    HANDLER(sti_##size){                                                                           \
        STORE_BODY(ADDR_STI, type, le, (int64_t)ip->imm, sti_slow_##size)} HANDLER(sti32_##size)   \
    {                                                                                              \
        STORE_BODY(ADDR_STI32, type, le, (int64_t)ip->imm, sti_slow_##size)                        \
    }
STORE_SIZES(STORE_SIZE)

#define STORE_NAME(mode, address, size) st_##size##_##mode,
#define STORE_ROW(size, type, le, mo)   [mo] = {MODES(STORE_NAME, size)},
const iop_fn iop_store[4][NMODES] = {STORE_SIZES(STORE_ROW)};
#define STOREI_ROW(size, type, le, mo) [mo] = {sti_##size, sti32_##size},
const iop_fn iop_storei[4][2] = {STORE_SIZES(STOREI_ROW)};

/* ---- push and pop: a store or load off the register that is moved in the same go ---- */

#define PUSH(size, type, le, addr)                                                                 \
    SLOW(push_slow_##size)                                                                         \
    {                                                                                              \
        AT(ip);                                                                                    \
        softmmu_store(v, x, (type)R(ip->d), MO_##size, v->tcg_cpu->ctx);                           \
        R(ip->a) = (addr)(R(ip->a) + (uint64_t)(int64_t)ip->imm);                                  \
        RELOAD_TLB();                                                                              \
        NEXT_SLOW(1);                                                                              \
    }                                                                                              \
    HANDLER(push_##size)                                                                           \
    {                                                                                              \
        uint64_t va = (addr)(R(ip->a) + (uint64_t)(int64_t)ip->imm);                               \
        struct tlb_entry *e = tlb_at(tlb, va);                                                     \
        uint64_t t = va ^ e->wtag;                                                                 \
        type x;                                                                                    \
        if (unlikely(t > PAGE_SIZE_GUEST - sizeof(type))) {                                        \
            return push_slow_##size(v, ip, tlb, va);                                               \
        }                                                                                          \
        x = le((type)R(ip->d));                                                                    \
        BEFORE_STORE();                                                                            \
        memcpy(tlb_host(e, va), &x, sizeof(x));                                                    \
        R(ip->a) = va;                                                                             \
        NEXT(1);                                                                                   \
    }                                                                                              \
    SLOW(pop_slow_##size)                                                                          \
    {                                                                                              \
        uint64_t value;                                                                            \
        AT(ip);                                                                                    \
        value = (type)softmmu_load(v, x, MO_##size, v->tcg_cpu->ctx);                              \
        R(ip->a) = (addr)(R(ip->a) + (uint64_t)(int64_t)ip->imm);                                  \
        R(ip->d) = value;                                                                          \
        RELOAD_TLB();                                                                              \
        NEXT_SLOW(1);                                                                              \
    }                                                                                              \
    HANDLER(pop_##size)                                                                            \
    {                                                                                              \
        uint64_t va = (addr)R(ip->a);                                                              \
        struct tlb_entry *e = tlb_at(tlb, va);                                                     \
        uint64_t t = va ^ e->rtag;                                                                 \
        type x;                                                                                    \
        if (unlikely(t > PAGE_SIZE_GUEST - sizeof(type))) {                                        \
            return pop_slow_##size(v, ip, tlb, va);                                                \
        }                                                                                          \
        memcpy(&x, tlb_host(e, va), sizeof(x));                                                    \
        AFTER_LOAD();                                                                              \
        R(ip->a) = (addr)(va + (uint64_t)(int64_t)ip->imm);                                        \
        R(ip->d) = le(x);                                                                          \
        NEXT(1);                                                                                   \
    }
PUSH(32, uint32_t, LE32, uint32_t)
PUSH(64, uint64_t, LE64, uint64_t)
const iop_fn iop_push[2] = {push_32, push_64}, iop_pop[2] = {pop_32, pop_64};

/* ---- with an alignment check ---- */

/* Address in a, memop in c. */
HANDLER(load_any)
{
    uint64_t va = R(ip->a), x;
    unsigned memop = ip->c & (MO_SIZE | MO_ALIGN);

    AT(ip);
    tcg_check_aligned(v, va, ip->c);
    x = softmmu_load(v, va, memop, v->tcg_cpu->ctx);
    if (ip->c & MO_SIGN) {
        unsigned shift = 64 - (8u << (memop & MO_SIZE));
        x = (uint64_t)((int64_t)(x << shift) >> shift);
        x = ip->b ? x : (uint32_t)x;
    }
    R(ip->d) = x;
    RELOAD_TLB();
    NEXT(1);
}
/* Address in a, value in b, memop in c. */
HANDLER(store_any)
{
    uint64_t va = R(ip->a);

    AT(ip);
    tcg_check_aligned(v, va, ip->c);
    softmmu_store(v, va, R(ip->b), ip->c & (MO_SIZE | MO_ALIGN), v->tcg_cpu->ctx);
    RELOAD_TLB();
    NEXT(1);
}
const iop_fn iop_load_any = load_any, iop_store_any = store_any;

/* ---- atomics ---- (tcg/atomic.c) */

/* Host address by the TLB; NULL: the slow way. */
static inline void *atomic_host(struct vcpu *v, uint64_t va, unsigned memop)
{
    unsigned size = 1u << (memop & MO_SIZE);
    struct tlb_entry *e = tlb_at(v->tlb[v->tcg_cpu->ctx], va);
    uint64_t t = va ^ e->wtag;

    return t <= PAGE_SIZE_GUEST - size && !(va & (size - 1)) ? tlb_host(e, va) : NULL;
}

/* [d, a address, b value, c memop] [disp, op] */
HANDLER(atomic)
{
    uint64_t va = R(ip->a) + ip[1].q[0], b = R(ip->b);
    unsigned memop = ip->c;
    enum ir_atomic op = (enum ir_atomic)ip[1].q[1];
    void *host;

    va = memop & MO_A32 ? (uint32_t)va : va;
    host = atomic_host(v, va, memop);
    AT(ip);
    R(ip->d) =
        host ? tcg_atomic_at(host, memop, op, b) : tcg_atomic(v, va, memop, v->tcg_cpu->ctx, op, b);
    RELOAD_TLB();
    NEXT(2);
}

/* [d, a address, b expected, c new] [disp, memop] */
HANDLER(cmpxchg)
{
    uint64_t va = R(ip->a) + ip[1].q[0], b = R(ip->b), value = R(ip->c);
    unsigned memop = (unsigned)ip[1].q[1];
    void *host;

    va = memop & MO_A32 ? (uint32_t)va : va;
    host = atomic_host(v, va, memop);
    AT(ip);
    R(ip->d) = host ? tcg_cmpxchg_at(host, memop, b, value)
                    : tcg_cmpxchg(v, va, memop, v->tcg_cpu->ctx, b, value);
    RELOAD_TLB();
    NEXT(2);
}
const iop_fn iop_atomic = atomic, iop_cmpxchg = cmpxchg;
