/* What the files that define vector operations (vops.def) share. */
#ifndef TCG_VOPS_DEFINE_H
#define TCG_VOPS_DEFINE_H

#include "tcg/vops.h"

#include <string.h>

#define VOP_ARGS                                                                                   \
    struct fpenv *fp, union vreg *d, const union vreg *a, const union vreg *b,                     \
        const union vreg *c, uint64_t imm, unsigned lanes
#define UNUSED (void)fp, (void)d, (void)a, (void)b, (void)c, (void)imm, (void)lanes
#define DEFINE(name)                                                                               \
    void vop_##name(VOP_ARGS);                                                                     \
    void vop_##name(VOP_ARGS)

/* Element by element: x from a, y from b, as type T; per_lane elements of field f in 16 bytes. The
 * result is a copy first, so that sources may be the destination. */
#define EACH(name, f, per_lane, T, expr)                                                           \
    DEFINE(name)                                                                                   \
    {                                                                                              \
        union vreg r;                                                                              \
        for (unsigned i = 0; i < per_lane * lanes; i++) {                                          \
            T x = (T)a->f[i], y = b ? (T)b->f[i] : (T)0;                                           \
            (void)x, (void)y;                                                                      \
            r.f[i] = (__typeof__(r.f[0]))(expr);                                                   \
        }                                                                                          \
        UNUSED;                                                                                    \
        memcpy(d, &r, 16 * lanes);                                                                 \
    }

#endif
