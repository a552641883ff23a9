/* Handlers of vector operations: moves and memory accesses here, arithmetic by the functions of
 * vops.def. An op on 128 bits keeps the upper half of its destination; where IR_VZU wants it
 * cleared lowering adds clear_upper, or picks a handler that does it. */
#include "tcg/interp/iop.h"

/* ---- moves ---- */

HANDLER(mov128)
{
    union vreg *d = V(ip->d);
    const union vreg *a = V(ip->a);
    uint64_t lo = a->q[0], hi = a->q[1];
    d->q[0] = lo;
    d->q[1] = hi;
    NEXT(1);
}
HANDLER(mov128_zu)
{
    union vreg *d = V(ip->d);
    const union vreg *a = V(ip->a);
    uint64_t lo = a->q[0], hi = a->q[1];
    d->q[0] = lo;
    d->q[1] = hi;
    d->q[2] = d->q[3] = 0;
    NEXT(1);
}
HANDLER(mov256)
{
    *V(ip->d) = *V(ip->a);
    NEXT(1);
}
HANDLER(zero128)
{
    union vreg *d = V(ip->d);
    d->q[0] = d->q[1] = 0;
    NEXT(1);
}
HANDLER(zero256)
{
    *V(ip->d) = (union vreg){0};
    NEXT(1);
}
HANDLER(clear_upper)
{
    union vreg *d = V(ip->d);
    d->q[2] = d->q[3] = 0;
    NEXT(1);
}

/* ---- guest memory ---- address: a + (b << (c & 3)) + imm of a second slot; c is the memop */

static inline uint64_t address(struct vcpu *v, const union iop *ip)
{
    uint64_t va = R(ip->a) + (R(ip->b) << (ip->c >> MO_SCALE & 3)) + ip[1].q[0];
    return ip->c & MO_A32 ? (uint32_t)va : va;
}

static void aligned(struct vcpu *v, const union iop *ip, uint64_t va, unsigned size)
{
    if ((ip->c & MO_ALIGN) && (va & (size - 1))) {
        v->ops->unaligned(v, va);
    }
}

/* upper: 0 keeps bits 255:128, 1 clears them, 2 loads them */
static inline void put_vec(union vreg *d, const uint64_t *x, int upper)
{
    d->q[0] = LE64(x[0]);
    d->q[1] = LE64(x[1]);
    if (upper == 1) {
        d->q[2] = d->q[3] = 0;
    } else if (upper == 2) {
        d->q[2] = LE64(x[2]);
        d->q[3] = LE64(x[3]);
    }
}

#define VLOAD(size, mo, upper)                                                                     \
    SLOW(vld_slow_##size##_##upper)                                                                \
    {                                                                                              \
        uint64_t raw[4] = {0};                                                                     \
        AT(ip);                                                                                    \
        aligned(v, ip, x, size);                                                                   \
        softmmu_load_vec(v, x, raw, mo | (ip->c & MO_ALIGN), v->tcg_cpu->ctx);                     \
        put_vec(V(ip->d), raw, upper);                                                             \
        RELOAD_TLB();                                                                              \
        NEXT_SLOW(2);                                                                              \
    }                                                                                              \
    HANDLER(vld_##size##_##upper)                                                                  \
    {                                                                                              \
        uint64_t va = address(v, ip), t, raw[4] = {0};                                             \
        struct tlb_entry *e = tlb_at(tlb, va);                                                     \
        t = va ^ e->rtag;                                                                          \
        if (unlikely(t > PAGE_SIZE_GUEST - size || ((ip->c & MO_ALIGN) && (va & (size - 1))))) {   \
            return vld_slow_##size##_##upper(v, ip, tlb, va);                                      \
        }                                                                                          \
        memcpy(raw, tlb_host(e, va), size);                                                        \
        AFTER_LOAD();                                                                              \
        put_vec(V(ip->d), raw, upper);                                                             \
        NEXT(2);                                                                                   \
    }
VLOAD(1, MO_8, 0)
VLOAD(1, MO_8, 1)
VLOAD(2, MO_16, 0)
VLOAD(2, MO_16, 1)
VLOAD(4, MO_32, 0)
VLOAD(4, MO_32, 1)
VLOAD(8, MO_64, 0)
VLOAD(8, MO_64, 1)
VLOAD(16, MO_128, 0)
VLOAD(16, MO_128, 1)
VLOAD(32, MO_256, 2)

static inline void get_vec(uint64_t *x, const union vreg *b, unsigned size)
{
    for (unsigned i = 0; i < (size + 7) / 8; i++) {
        x[i] = LE64(b->q[i]);
    }
}

#define VSTORE(size, mo)                                                                           \
    SLOW(vst_slow_##size)                                                                          \
    {                                                                                              \
        uint64_t raw[4];                                                                           \
        get_vec(raw, V(ip->d), size);                                                              \
        AT(ip);                                                                                    \
        aligned(v, ip, x, size);                                                                   \
        softmmu_store_vec(v, x, raw, mo | (ip->c & MO_ALIGN), v->tcg_cpu->ctx);                    \
        RELOAD_TLB();                                                                              \
        NEXT_SLOW(2);                                                                              \
    }                                                                                              \
    HANDLER(vst_##size)                                                                            \
    {                                                                                              \
        uint64_t va = address(v, ip), t, raw[4];                                                   \
        struct tlb_entry *e = tlb_at(tlb, va);                                                     \
        t = va ^ e->wtag;                                                                          \
        if (unlikely(t > PAGE_SIZE_GUEST - size || ((ip->c & MO_ALIGN) && (va & (size - 1))))) {   \
            return vst_slow_##size(v, ip, tlb, va);                                                \
        }                                                                                          \
        get_vec(raw, V(ip->d), size);                                                              \
        BEFORE_STORE();                                                                            \
        memcpy(tlb_host(e, va), raw, size);                                                        \
        NEXT(2);                                                                                   \
    }
VSTORE(1, MO_8)
VSTORE(2, MO_16)
VSTORE(4, MO_32)
VSTORE(8, MO_64)
VSTORE(16, MO_128)
VSTORE(32, MO_256)

/* ---- fields of the vcpu ---- */

#define VENV(size)                                                                                 \
    HANDLER(vldenv_##size)                                                                         \
    {                                                                                              \
        union vreg x = {0};                                                                        \
        union vreg *d = V(ip->d);                                                                  \
        memcpy(&x, (char *)v + ip->imm, size);                                                     \
        d->q[0] = x.q[0];                                                                          \
        d->q[1] = x.q[1];                                                                          \
        if (size == 32) {                                                                          \
            d->q[2] = x.q[2];                                                                      \
            d->q[3] = x.q[3];                                                                      \
        }                                                                                          \
        NEXT(1);                                                                                   \
    }                                                                                              \
    HANDLER(vstenv_##size)                                                                         \
    {                                                                                              \
        memmove((char *)v + ip->imm, V(ip->a), size);                                              \
        NEXT(1);                                                                                   \
    }
VENV(1)
VENV(2)
VENV(4)
VENV(8)
VENV(16)
VENV(32)

/* ---- elements ---- */

#define VGET(name, field, type, conv)                                                              \
    HANDLER(vget_##name)                                                                           \
    {                                                                                              \
        R(ip->d) = conv(type) V(ip->a)->field[ip->imm];                                            \
        NEXT(1);                                                                                   \
    }
VGET(u8, b, uint8_t, )
VGET(u16, w, uint16_t, )
VGET(u32, d, uint32_t, )
VGET(u64, q, uint64_t, )
VGET(s8, b, int8_t, (uint64_t))
VGET(s16, w, int16_t, (uint64_t))
VGET(s32, d, int32_t, (uint64_t))

/* [d, a, b, c = element] */
#define VSET(name, field, type)                                                                    \
    HANDLER(vset_##name)                                                                           \
    {                                                                                              \
        union vreg *d = V(ip->d);                                                                  \
        type x = (type)R(ip->b);                                                                   \
        if (ip->d != ip->a) {                                                                      \
            const union vreg *a = V(ip->a);                                                        \
            d->q[0] = a->q[0];                                                                     \
            d->q[1] = a->q[1];                                                                     \
            if (ip->c * sizeof(type) >= 16) {                                                      \
                d->q[2] = a->q[2];                                                                 \
                d->q[3] = a->q[3];                                                                 \
            }                                                                                      \
        }                                                                                          \
        d->field[ip->c] = x;                                                                       \
        NEXT(1);                                                                                   \
    }
VSET(8, b, uint8_t)
VSET(16, w, uint16_t)
VSET(32, d, uint32_t)
VSET(64, q, uint64_t)

/* ---- vops.def ---- [d, a, b, c] [function, imm8 | lanes << 32] */

typedef void (*vop_fn)(struct fpenv *, union vreg *, const union vreg *, const union vreg *,
                       const union vreg *, uint64_t, unsigned);
typedef uint64_t (*vop_fn_r)(struct fpenv *, const union vreg *, const union vreg *, uint64_t,
                             unsigned);

HANDLER(vop)
{
    uint64_t x = ip[1].q[1];
    ((vop_fn)(uintptr_t)ip[1].q[0])(&v->fp, V(ip->d), V(ip->a), V(ip->b), V(ip->c), (uint32_t)x,
                                    (unsigned)(x >> 32));
    NEXT(2);
}
HANDLER(vopr64)
{
    uint64_t x = ip[1].q[1];
    R(ip->d) = ((vop_fn_r)(uintptr_t)ip[1].q[0])(&v->fp, V(ip->a), V(ip->b), (uint32_t)x,
                                                 (unsigned)(x >> 32));
    NEXT(2);
}
HANDLER(vopr32)
{
    uint64_t x = ip[1].q[1];
    R(ip->d) = (uint32_t)((vop_fn_r)(uintptr_t)ip[1].q[0])(&v->fp, V(ip->a), V(ip->b), (uint32_t)x,
                                                           (unsigned)(x >> 32));
    NEXT(2);
}
HANDLER(vopi)
{
    uint64_t x = ip[1].q[1];
    ((vop_fn)(uintptr_t)ip[1].q[0])(&v->fp, V(ip->d), V(ip->a), V(ip->d), V(ip->d), R(ip->b),
                                    (unsigned)(x >> 32));
    NEXT(2);
}

const struct iop_vec iop_vec = {
    .mov = {mov128, mov128_zu, mov256},
    .zero = {zero128, zero256},
    .load = {{vld_1_0, vld_1_1, vld_1_1},
             {vld_2_0, vld_2_1, vld_2_1},
             {vld_4_0, vld_4_1, vld_4_1},
             {vld_8_0, vld_8_1, vld_8_1},
             {vld_16_0, vld_16_1, vld_16_1},
             {vld_32_2, vld_32_2, vld_32_2}},
    .store = {vst_1, vst_2, vst_4, vst_8, vst_16, vst_32},
    .ldenv = {vldenv_1, vldenv_2, vldenv_4, vldenv_8, vldenv_16, vldenv_32},
    .stenv = {vstenv_1, vstenv_2, vstenv_4, vstenv_8, vstenv_16, vstenv_32},
    .get = {vget_u8, vget_u16, vget_u32, vget_u64, vget_s8, vget_s16, vget_s32, vget_u64},
    .set = {vset_8, vset_16, vset_32, vset_64},
    .clear_upper = clear_upper,
    .vop = vop,
    .vopr = {vopr32, vopr64},
    .vopi = vopi,
};
