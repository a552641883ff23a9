/* C that generated code calls: memory accesses that the inlined look-up does not answer, and the
 * change of the host's floating-point environment to the guest's and back. */
#ifdef __x86_64__
#include "tcg/x86_64/gen.h"

#include <immintrin.h>

uint64_t x64_load(struct vcpu *v, uint64_t memop, uint64_t ctx)
{
    uint64_t va = v->reg[REG_VA];

    tcg_check_aligned(v, va, (unsigned)memop);
    return softmmu_load(v, va, (unsigned)memop, (unsigned)ctx);
}

static uint64_t truncate(uint64_t x, unsigned memop)
{
    unsigned shift = 64 - (8u << (memop & MO_SIZE));
    return x << shift >> shift;
}

uint64_t x64_store(struct vcpu *v, uint64_t memop, uint64_t ctx)
{
    uint64_t va = v->reg[REG_VA];

    tcg_check_aligned(v, va, (unsigned)memop);
    softmmu_store(v, va, truncate(v->reg[REG_VALUE], (unsigned)memop), (unsigned)memop,
                  (unsigned)ctx);
    return 0;
}

uint64_t x64_vload(struct vcpu *v, uint64_t memop, uint64_t ctx)
{
    uint64_t va = v->reg[REG_VA];
    union vreg *x = &v->vec[VREG_SLOW];

    tcg_check_aligned(v, va, (unsigned)memop);
    *x = (union vreg){0};
    softmmu_load_vec(v, va, x, (unsigned)memop, (unsigned)ctx);
    return 0;
}

uint64_t x64_vstore(struct vcpu *v, uint64_t memop, uint64_t ctx)
{
    uint64_t va = v->reg[REG_VA];

    tcg_check_aligned(v, va, (unsigned)memop);
    softmmu_store_vec(v, va, &v->vec[VREG_SLOW], (unsigned)memop, (unsigned)ctx);
    return 0;
}

uint64_t x64_atomic(struct vcpu *v, uint64_t memop_op, uint64_t ctx)
{
    return tcg_atomic(v, v->reg[REG_VA], memop_op & 0xffff, (unsigned)ctx,
                      (enum ir_atomic)(memop_op >> 16), v->reg[REG_VALUE]);
}

uint64_t x64_cmpxchg(struct vcpu *v, uint64_t memop, uint64_t ctx)
{
    return tcg_cmpxchg(v, v->reg[REG_VA], (unsigned)memop, (unsigned)ctx, v->reg[REG_EXPECT],
                       v->reg[REG_VALUE]);
}

/* MXCSR: flags 0-5, DAZ 6, masks 7-12, RC 13-14, FTZ 15 (SDM volume 1, 10.2.3). All exceptions are
 * masked on the host; where the guest has one unmasked, its operations do not run on the host. */
#define MXCSR_DEFAULT 0x1f80u

uint64_t x64_fp_in(struct vcpu *v)
{
    unsigned csr = MXCSR_DEFAULT | (unsigned)v->fp.round << 13 | (v->fp.daz ? 0x40u : 0) |
                   (v->fp.ftz ? 0x8000u : 0);

    if (csr != _mm_getcsr()) { /* C between two runs may have raised flags, too */
        _mm_setcsr(csr);
    }
    v->tcg_cpu->host_fp = true;
    v->host_fp80_flags = FP_ALL; /* C may have raised some */
    return 0;
}

uint64_t x64_fp_out(struct vcpu *v)
{
    unsigned csr = _mm_getcsr();

    v->tcg_cpu->host_fp = false;
    v->fp.flags |= csr & FP_ALL;
    if (csr != MXCSR_DEFAULT) {
        _mm_setcsr(MXCSR_DEFAULT);
    }
    return 0;
}
#endif
