/* FMA3 (SDM volume 2, VFMADD132PD and its like): every mnemonic to the operation of its form and
 * element type, with the signs as immediate. */
#include "cpu/emit_vector.h"
#include "tcg/vops.h"

/* The operation and enum vop_fma_kind of each mnemonic. */
static const struct fma_row {
    uint16_t vop;
    uint8_t kind;
} fma_rows[MN_COUNT] = {
#define PACKED(name, form, kind)                                                                   \
    [MN_##name##form##PS] = {VOP_VFMA##form##PS, kind},                                            \
    [MN_##name##form##PD] = {VOP_VFMA##form##PD, kind}
#define SCALAR(name, form, kind)                                                                   \
    [MN_##name##form##SS] = {VOP_VFMA##form##SS, kind},                                            \
    [MN_##name##form##SD] = {VOP_VFMA##form##SD, kind}
#define PACKED_FORMS(name, kind)                                                                   \
    PACKED(name, 132, kind), PACKED(name, 213, kind), PACKED(name, 231, kind)
#define SCALAR_FORMS(name, kind)                                                                   \
    SCALAR(name, 132, kind), SCALAR(name, 213, kind), SCALAR(name, 231, kind)
    PACKED_FORMS(VFMADD, FMA_ADD),       SCALAR_FORMS(VFMADD, FMA_ADD),
    PACKED_FORMS(VFMSUB, FMA_SUB),       SCALAR_FORMS(VFMSUB, FMA_SUB),
    PACKED_FORMS(VFNMADD, FMA_NADD),     SCALAR_FORMS(VFNMADD, FMA_NADD),
    PACKED_FORMS(VFNMSUB, FMA_NSUB),     SCALAR_FORMS(VFNMSUB, FMA_NSUB),
    PACKED_FORMS(VFMADDSUB, FMA_ADDSUB), PACKED_FORMS(VFMSUBADD, FMA_SUBADD),
};

static void emit_fma(struct translator *t, const struct x86_insn *i)
{
    const struct fma_row *row = &fma_rows[i->mnemonic];
    unsigned fl = avx_flags(i->op[0].size);
    bool check = vector_checks_fp(t, row->vop);
    ir_reg c = vector_load(t, i, 2), saved = check ? vector_fp_begin(t) : IR_NONE;
    ir_reg d = check ? ir_vtemp(t->ir) : i->op[0].reg;

    ir_vop(t->ir, row->vop, d, i->op[0].reg, i->op[1].reg, c, row->kind, fl);
    if (check) {
        vector_fp_end(t, saved, row->vop);
        ir_vmov(t->ir, i->op[0].reg, d, fl);
    }
}

const struct x86_emitter x86_emit_fma[] = {
#define EMIT(name)                                                                                 \
    {                                                                                              \
        MN_##name, emit_fma                                                                        \
    }
#define EMIT_PACKED(name)                                                                          \
    EMIT(name##132PS), EMIT(name##132PD), EMIT(name##213PS), EMIT(name##213PD), EMIT(name##231PS), \
        EMIT(name##231PD)
#define EMIT_SCALAR(name)                                                                          \
    EMIT(name##132SS), EMIT(name##132SD), EMIT(name##213SS), EMIT(name##213SD), EMIT(name##231SS), \
        EMIT(name##231SD)
    EMIT_PACKED(VFMADD),
    EMIT_SCALAR(VFMADD),
    EMIT_PACKED(VFMSUB),
    EMIT_SCALAR(VFMSUB),
    EMIT_PACKED(VFNMADD),
    EMIT_SCALAR(VFNMADD),
    EMIT_PACKED(VFNMSUB),
    EMIT_SCALAR(VFNMSUB),
    EMIT_PACKED(VFMADDSUB),
    EMIT_PACKED(VFMSUBADD),
    {0, NULL},
};
