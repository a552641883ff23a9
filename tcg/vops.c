/* The table of vector operations: vops.def joined with the functions of vops_int.c and vops_fp.c.
 */
#include "tcg/vops.h"

#define DECLARE_VVV(name)                                                                          \
    void vop_##name(struct fpenv *, union vreg *, const union vreg *, const union vreg *,          \
                    const union vreg *, uint64_t, unsigned);
#define DECLARE_VV   DECLARE_VVV
#define DECLARE_VVVI DECLARE_VVV
#define DECLARE_VVI  DECLARE_VVV
#define DECLARE_VVVV DECLARE_VVV
#define DECLARE_I    DECLARE_VVV
#define DECLARE_R(name)                                                                            \
    uint64_t vop_##name(struct fpenv *, const union vreg *, const union vreg *, uint64_t, unsigned);

#define VOP(name, class, flags) DECLARE_##class(name)
#include "tcg/vops.def"
#undef VOP

#define ENTRY_VVV(name) .fn = vop_##name
#define ENTRY_VV        ENTRY_VVV
#define ENTRY_VVVI      ENTRY_VVV
#define ENTRY_VVI       ENTRY_VVV
#define ENTRY_VVVV      ENTRY_VVV
#define ENTRY_I         ENTRY_VVV
#define ENTRY_R(name)   .fn_r = vop_##name

const struct vop_info vop_table[VOP_COUNT] = {
#define VOP(name, class, flags) [VOP_##name] = {#name, VOPC_##class, flags, ENTRY_##class(name)},
#include "tcg/vops.def"
#undef VOP
};
