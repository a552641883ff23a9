/* Vector operations of the IR (ops VOP, VOPR, VOPI): one row an operation in vops.def, its meaning
 * in C in vops_int.c and vops_fp.c. Semantics are x86's (saturation, shift counts, NaN propagation,
 * min/max, conversion overflow) on every host.
 *
 * Row: VOP(name, class, flags)
 *   class  VVV   d = f(a, b)            VV   d = f(a)            VVVI/VVI  with imm8
 *          VVVV  d = f(a, b, c)         R    integer = f(a, b)   I         d = f(a, integer b)
 *   flags  FP: reads rounding, sets flags in v->fp, may need an unmasked-exception check after it
 *          LOW: scalar: only element 0 is computed, the rest of d is a's */
#ifndef TCG_VOPS_H
#define TCG_VOPS_H

#include "tcg/vcpu.h"

enum vop {
#define VOP(name, class, flags) VOP_##name,
#include "tcg/vops.def"
#undef VOP
    VOP_COUNT
};

enum vop_class { VOPC_VVV, VOPC_VV, VOPC_VVVI, VOPC_VVI, VOPC_VVVV, VOPC_R, VOPC_I };
/* What VFMA* make of the product p and the addend z: bits 0 and 1 negate z and p, from 4 on
 * elements alternate. */
enum vop_fma_kind {
    FMA_ADD,    /* p + z */
    FMA_SUB,    /* p - z */
    FMA_NADD,   /* -p + z */
    FMA_NSUB,   /* -p - z */
    FMA_ADDSUB, /* even elements p - z, odd ones p + z */
    FMA_SUBADD, /* even elements p + z, odd ones p - z */
};
enum vop_flags { VOPF_FP = 1, VOPF_LOW = 2 };

struct vop_info {
    const char *name;
    uint8_t class, flags;
    /* Vector result: computes `lanes` 128-bit lanes (1 or 2) of *d. Sources may alias d. imm is the
     * imm8, or for class I the integer operand (imm8 in the upper 32 bits is not used: a class I
     * operation that needs both has one row per position). */
    void (*fn)(struct fpenv *fp, union vreg *d, const union vreg *a, const union vreg *b,
               const union vreg *c, uint64_t imm, unsigned lanes);
    /* Integer result (class R). */
    uint64_t (*fn_r)(struct fpenv *fp, const union vreg *a, const union vreg *b, uint64_t imm,
                     unsigned lanes);
};

extern const struct vop_info vop_table[VOP_COUNT];

#endif
