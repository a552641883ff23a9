/* What verify=on (tcg/verify.c) saves, puts back and compares of the processor, beside the
 * registers that struct vcpu has. Left out: what other threads set, counters, and memory of earlier
 * page walks. */
#include "cpu/system.h"
#include "cpu/x86.h"

#define PART(field)                                                                                \
    {                                                                                              \
        offsetof(struct x86_cpu, field), sizeof(((struct x86_cpu *)0)->field), #field              \
    }
/* From one field to another, with both. */
#define PARTS(first, last, name)                                                                   \
    {                                                                                              \
        offsetof(struct x86_cpu, first),                                                           \
            offsetof(struct x86_cpu, last) + sizeof(((struct x86_cpu *)0)->last) -                 \
                offsetof(struct x86_cpu, first),                                                   \
            name                                                                                   \
    }

const struct guest_state x86_lockstep_state[] = {
    PART(seg),
    PART(ldtr),
    PART(tr),
    PART(gdtr),
    PART(idtr),
    PARTS(cr0, xcr0, "cr0 cr2 cr3 cr4 xcr0 "),
    PART(pdpte),
    PART(dr),
    PARTS(eflags, cpl, "eflags, cpl"),
    PARTS(efer, xss, "msr: efer star lstar cstar fmask kernel_gs_base ... "),
    PARTS(tsc_offset, tsc_adjust, "tsc_offset, tsc_adjust "),
    PARTS(mtrr_def_type, mtrr_mask, "mtrr"),
    PARTS(mcg_status, mc_banks, "mcg_status mcg_ctl mc_banks "),
    PART(pkru),
    PARTS(fpr, fp_tag_empty, "fpr, fp_top, fp_tag_empty "),
    PARTS(fp_cw, fp_ds, "fp_cw sw op cs ds "),
    PARTS(fp_ip, mxcsr_mm, "fp_ip, fp_dp, mxcsr_mm "),
    PARTS(halted, sipi_vector, "halted ... sipi_vector "),
    PARTS(a20_mask, phys_mask, "a20_mask, phys_mask "),
    PART(exc),
    PART(pending_dr6),
    PART(delivering),
    {0, 0, NULL},
};

uint64_t x86_lockstep_flags(struct vcpu *v)
{
    return x86_get_eflags(x86_cpu(v));
}
