/* The processor's state table: what a snapshot holds of it, what a reset must bring back.
 * Everything that is not here is derived (key word, TLBs) or belongs to the platform. */
#include "cpu/cpuid.h"
#include "cpu/system.h"
#include "softmmu/tlb.h"

static const struct state_field seg_fields[] = {
    STATE_U16(struct x86_seg, sel),
    STATE_U16(struct x86_seg, attr),
    STATE_U32(struct x86_seg, limit),
    STATE_END,
};
static const struct state_field sysseg_fields[] = {
    STATE_U16(struct x86_sysseg, sel),
    STATE_U16(struct x86_sysseg, attr),
    STATE_U32(struct x86_sysseg, limit),
    STATE_U64(struct x86_sysseg, base),
    STATE_END,
};
static const struct state_field dtr_fields[] = {
    STATE_U64(struct x86_dtr, base),
    STATE_U16(struct x86_dtr, limit),
    STATE_END,
};
static const struct state_field fpreg_fields[] = {
    STATE_U64(struct x86_fpreg, mant),
    STATE_U16(struct x86_fpreg, se),
    STATE_END,
};
static const struct state_field vec_fields[] = {
    STATE_U64(union vreg, q),
    STATE_END,
};

/* The guest's part of the two register files: temporaries mean nothing between blocks. */
#define REG_FIELD                                                                                  \
    {                                                                                              \
        "reg", ST_U64, offsetof(struct x86_cpu, v.reg), TCG_REG_TEMP, 1, 0, NULL                   \
    }
#define VEC_FIELD                                                                                  \
    {                                                                                              \
        "vec", ST_STRUCT, offsetof(struct x86_cpu, v.vec), TCG_VREG_TEMP, 1, sizeof(union vreg),   \
            vec_fields                                                                             \
    }

static const struct state_field fields[] = {
    REG_FIELD,
    VEC_FIELD,
    STATE_U8(struct x86_cpu, v.fp.round),
    STATE_U8(struct x86_cpu, v.fp.masks),
    STATE_U8(struct x86_cpu, v.fp.flags),
    STATE_BOOL(struct x86_cpu, v.fp.daz),
    STATE_BOOL(struct x86_cpu, v.fp.ftz),
    STATE_U32(struct x86_cpu, v.irq_request),
    STATE_STRUCT(struct x86_cpu, seg, 6, seg_fields),
    STATE_STRUCT(struct x86_cpu, ldtr, 1, sysseg_fields),
    STATE_STRUCT(struct x86_cpu, tr, 1, sysseg_fields),
    STATE_STRUCT(struct x86_cpu, gdtr, 1, dtr_fields),
    STATE_STRUCT(struct x86_cpu, idtr, 1, dtr_fields),
    STATE_U64(struct x86_cpu, cr0),
    STATE_U64(struct x86_cpu, cr2),
    STATE_U64(struct x86_cpu, cr3),
    STATE_U64(struct x86_cpu, cr4),
    STATE_U64(struct x86_cpu, xcr0),
    STATE_U64(struct x86_cpu, pdpte),
    STATE_U64(struct x86_cpu, dr),
    STATE_U32(struct x86_cpu, eflags),
    STATE_U8(struct x86_cpu, cpl),
    STATE_U64(struct x86_cpu, efer),
    STATE_U64(struct x86_cpu, star),
    STATE_U64(struct x86_cpu, lstar),
    STATE_U64(struct x86_cpu, cstar),
    STATE_U64(struct x86_cpu, fmask),
    STATE_U64(struct x86_cpu, kernel_gs_base),
    STATE_U64(struct x86_cpu, sysenter_cs),
    STATE_U64(struct x86_cpu, sysenter_esp),
    STATE_U64(struct x86_cpu, sysenter_eip),
    STATE_U64(struct x86_cpu, pat),
    STATE_U64(struct x86_cpu, tsc_aux),
    STATE_U64(struct x86_cpu, misc_enable),
    STATE_U64(struct x86_cpu, apic_base),
    STATE_U64(struct x86_cpu, smbase),
    STATE_U64(struct x86_cpu, feature_control),
    STATE_U64(struct x86_cpu, spec_ctrl),
    STATE_U64(struct x86_cpu, xss),
    STATE_I64(struct x86_cpu, tsc_offset),
    STATE_U64(struct x86_cpu, tsc_adjust),
    STATE_U64(struct x86_cpu, mtrr_def_type),
    STATE_U64(struct x86_cpu, mtrr_fixed),
    STATE_U64(struct x86_cpu, mtrr_base),
    STATE_U64(struct x86_cpu, mtrr_mask),
    STATE_U64(struct x86_cpu, mcg_status),
    STATE_U64(struct x86_cpu, mcg_ctl),
    STATE_U64(struct x86_cpu, mc_banks),
    STATE_U32(struct x86_cpu, pkru),
    STATE_STRUCT(struct x86_cpu, fpr, 8, fpreg_fields),
    STATE_U8(struct x86_cpu, fp_top),
    STATE_U8(struct x86_cpu, fp_tag_empty),
    STATE_U16(struct x86_cpu, fp_cw),
    STATE_U16(struct x86_cpu, fp_sw),
    STATE_BOOL(struct x86_cpu, mxcsr_mm),
    STATE_U16(struct x86_cpu, fp_op),
    STATE_U16(struct x86_cpu, fp_cs),
    STATE_U16(struct x86_cpu, fp_ds),
    STATE_U64(struct x86_cpu, fp_ip),
    STATE_U64(struct x86_cpu, fp_dp),
    STATE_BOOL(struct x86_cpu, halted),
    STATE_BOOL(struct x86_cpu, wait_sipi),
    STATE_BOOL(struct x86_cpu, shutdown),
    STATE_BOOL(struct x86_cpu, in_smm),
    STATE_BOOL(struct x86_cpu, nmi_blocked),
    STATE_BOOL(struct x86_cpu, smi_blocked),
    STATE_U8(struct x86_cpu, shadow),
    STATE_U8(struct x86_cpu, sipi_vector),
    STATE_U64(struct x86_cpu, a20_mask),
    STATE_U64(struct x86_cpu, pending_dr6),
    STATE_END,
};

static void loaded(void *obj)
{
    struct x86_cpu *c = obj;

    /* A snapshot is foreign data: what indexes arrays or picks a mode must be in range. */
    c->cpl &= 3;
    c->fp_top &= 7;
    c->v.fp.round &= 3;
    c->v.fp.masks &= FP_ALL;
    c->v.fp.flags &= FP_ALL;
    c->xcr0 = (c->xcr0 & x86_xcr0_supported(c->model)) | 1;
    c->delivering = -1;
    tlb_set_view(&c->v, c->in_smm ? VIEW_SMM : VIEW_NORMAL);
    x86_update_watches(c);
    x86_flush_space(c);
    x86_update_key(c);
    atomic_store(&c->v.exit_request, 1);
}

const struct state_table x86_cpu_state = {.version = 1, .fields = fields, .loaded = loaded};
