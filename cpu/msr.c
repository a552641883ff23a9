/* Model-specific registers: RDMSR and WRMSR by a table, a row a register (or a run of them).
 *
 * From the SDM, Vol. 4, and Vol. 3 for the groups (MTRRs 12.11, machine check 16.3, IA32_PAT 12.12,
 * IA32_ARCH_CAPABILITIES). What firmware and operating systems read without catching the #GP is
 * here; everything else raises #GP and is logged as not modelled. MTRRs, PAT and the speculation
 * controls are kept, not acted on: an emulated memory has no types, and nothing here runs ahead.
 * Left out: performance counters, branch records, thermal and power control, microcode (its
 * revision is constant). */
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/system.h"

enum msr_kind {
    MSR_FIELD, /* a field of struct x86_cpu; bits outside `writable` must be zero */
    MSR_ADDR,  /* ... that must be canonical */
    MSR_CONST, /* value; writes ignored where `writable` is not 0, else #GP */
    MSR_FN,    /* functions */
};

struct msr_row {
    uint32_t first, count;
    uint8_t feature; /* X86F_I86: always there */
    uint8_t kind;
    size_t offset;
    uint64_t writable, value;
    bool (*read)(struct x86_cpu *c, uint32_t msr, uint64_t *value);
    bool (*write)(struct x86_cpu *c, uint32_t msr, uint64_t value);
};

enum {
    MSR_TSC = 0x10,
    MSR_MTRR_PHYS = 0x200,
    MSR_MC0 = 0x400,
    MC_BANKS = 4,
    MISC_ENABLE_FAST_STRINGS = 1 << 0,
    MISC_ENABLE_NO_BTS = 1 << 11,
    MISC_ENABLE_NO_PEBS = 1 << 12,
    MISC_ENABLE_MONITOR = 1 << 18,
    MISC_ENABLE_LIMIT_CPUID = 1 << 22,
    MTRR_VALID = 1 << 11,
};
#define MISC_ENABLE_NO_XD  (UINT64_C(1) << 34)
#define MICROCODE_REVISION UINT64_C(0x0fffffff) /* above every list of revisions with defects */

/* IA32_ARCH_CAPABILITIES: RDCL_NO, IBRS_ALL, SKIP_L1DFL, SSB_NO, MDS_NO, PSCHANGE_MC_NO, TAA_NO,
 * SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO, ITS_NO. True here: nothing is
 * executed speculatively. It saves the guest its costly countermeasures. */
#define ARCH_CAPABILITIES                                                                          \
    (UINT64_C(0x17b) | UINT64_C(0xe000) | UINT64_C(1) << 20 | UINT64_C(1) << 24 |                  \
     UINT64_C(1) << 26 | UINT64_C(1) << 27 | UINT64_C(1) << 62)

/* ---- functions ---- */

static bool read_tsc(struct x86_cpu *c, uint32_t msr, uint64_t *value)
{
    (void)msr;
    *value = x86_read_tsc(c);
    return true;
}

/* A move of the counter moves the moment of a deadline that the local APIC holds: it is told again.
 */
static void renew_deadline(struct x86_cpu *c)
{
    const struct x86_platform *p = c->platform;
    uint64_t deadline;

    if (p && p->apic_rdmsr && p->apic_wrmsr && x86_model_has(c->model, X86F_TSCDEADLINE)) {
        machine_lock(c->v.machine);
        if (p->apic_rdmsr(p->opaque, c, 0x6e0, &deadline) && deadline) {
            p->apic_wrmsr(p->opaque, c, 0x6e0, deadline);
        }
        machine_unlock(c->v.machine);
    }
}

static bool write_tsc(struct x86_cpu *c, uint32_t msr, uint64_t value)
{
    (void)msr;
    x86_write_tsc(c, value);
    renew_deadline(c);
    return true;
}

static bool read_tsc_adjust(struct x86_cpu *c, uint32_t msr, uint64_t *value)
{
    (void)msr;
    *value = c->tsc_adjust;
    return true;
}

static bool write_tsc_adjust(struct x86_cpu *c, uint32_t msr, uint64_t value)
{
    (void)msr;
    x86_write_tsc_adjust(c, value);
    renew_deadline(c);
    return true;
}

static bool read_apic(struct x86_cpu *c, uint32_t msr, uint64_t *value)
{
    const struct x86_platform *p = c->platform;
    bool ok = false;

    if (p && p->apic_rdmsr) {
        machine_lock(c->v.machine);
        ok = p->apic_rdmsr(p->opaque, c, msr, value);
        machine_unlock(c->v.machine);
    }
    return ok;
}

static bool write_apic(struct x86_cpu *c, uint32_t msr, uint64_t value)
{
    const struct x86_platform *p = c->platform;
    bool ok = false;

    if (p && p->apic_wrmsr) {
        machine_lock(c->v.machine);
        ok = p->apic_wrmsr(p->opaque, c, msr, value);
        machine_unlock(c->v.machine);
    }
    return ok;
}

static bool read_efer(struct x86_cpu *c, uint32_t msr, uint64_t *value)
{
    (void)msr;
    *value = c->efer;
    return true;
}

static bool write_efer(struct x86_cpu *c, uint32_t msr, uint64_t value)
{
    (void)msr;
    x86_write_efer(c, value);
    return true;
}

static bool read_seg_base(struct x86_cpu *c, uint32_t msr, uint64_t *value)
{
    *value = c->v.reg[msr & 1 ? X86_GS_BASE : X86_FS_BASE];
    return true;
}

static bool write_seg_base(struct x86_cpu *c, uint32_t msr, uint64_t value)
{
    if (!x86_canonical(c, value)) {
        return false;
    }
    c->v.reg[msr & 1 ? X86_GS_BASE : X86_FS_BASE] = value;
    return true;
}

static bool read_feature_control(struct x86_cpu *c, uint32_t msr, uint64_t *value)
{
    (void)msr;
    *value = c->feature_control;
    return true;
}

static bool write_feature_control(struct x86_cpu *c, uint32_t msr, uint64_t value)
{
    (void)msr;
    if ((c->feature_control & 1) || (value & ~UINT64_C(1))) {
        return false; /* locked; and nothing that it could enable exists */
    }
    c->feature_control = value;
    return true;
}

/* Bits that a register of speculation controls may have, by CPUID. */
static uint64_t spec_ctrl_bits(const struct x86_cpu *c)
{
    return (x86_model_has(c->model, X86F_SPEC_CTRL) ? 1 : 0) |
           (x86_model_has(c->model, X86F_STIBP) ? 2 : 0) |
           (x86_model_has(c->model, X86F_SSBD) ? 4 : 0) |
           (x86_model_has(c->model, X86F_BHI_CTRL) ? 0x400 : 0);
}

static bool read_spec_ctrl(struct x86_cpu *c, uint32_t msr, uint64_t *value)
{
    (void)msr;
    *value = c->spec_ctrl;
    return spec_ctrl_bits(c) != 0;
}

static bool write_spec_ctrl(struct x86_cpu *c, uint32_t msr, uint64_t value)
{
    (void)msr;
    if (!spec_ctrl_bits(c) || (value & ~spec_ctrl_bits(c))) {
        return false;
    }
    c->spec_ctrl = value;
    return true;
}

static bool write_pred_cmd(struct x86_cpu *c, uint32_t msr, uint64_t value)
{
    (void)c;
    (void)msr;
    return !(value & ~UINT64_C(1));
}

/* -- MTRRs and PAT -- */

static bool memory_type_ok(uint8_t type, bool pat)
{
    return type == 0 || type == 1 || (type >= 4 && type <= 6) || (pat && type == 7);
}

static bool all_types_ok(uint64_t value, bool pat)
{
    for (unsigned n = 0; n < 8; n++) {
        if (!memory_type_ok((uint8_t)(value >> (8 * n)), pat)) {
            return false;
        }
    }
    return true;
}

static bool read_pat(struct x86_cpu *c, uint32_t msr, uint64_t *value)
{
    (void)msr;
    *value = c->pat;
    return true;
}

static bool write_pat(struct x86_cpu *c, uint32_t msr, uint64_t value)
{
    (void)msr;
    if (!all_types_ok(value, true)) {
        return false;
    }
    c->pat = value;
    return true;
}

static uint64_t *mtrr_pair(struct x86_cpu *c, uint32_t msr)
{
    unsigned n = (msr - MSR_MTRR_PHYS) / 2;

    return msr & 1 ? &c->mtrr_mask[n] : &c->mtrr_base[n];
}

static bool read_mtrr_pair(struct x86_cpu *c, uint32_t msr, uint64_t *value)
{
    *value = *mtrr_pair(c, msr);
    return true;
}

static bool write_mtrr_pair(struct x86_cpu *c, uint32_t msr, uint64_t value)
{
    uint64_t address = c->phys_mask & ~UINT64_C(0xfff);
    uint64_t known = address | (msr & 1 ? MTRR_VALID : 0xff);

    if ((value & ~known) || (!(msr & 1) && !memory_type_ok(value & 0xff, false))) {
        return false;
    }
    *mtrr_pair(c, msr) = value;
    return true;
}

/* 0x250, 0x258, 0x259, 0x268..0x26f */
static uint64_t *mtrr_fixed(struct x86_cpu *c, uint32_t msr)
{
    if (msr >= 0x268) {
        return &c->mtrr_fixed[3 + (msr - 0x268)];
    }
    return &c->mtrr_fixed[msr == 0x250 ? 0 : msr == 0x258 ? 1 : 2];
}

static bool read_mtrr_fixed(struct x86_cpu *c, uint32_t msr, uint64_t *value)
{
    *value = *mtrr_fixed(c, msr);
    return true;
}

static bool write_mtrr_fixed(struct x86_cpu *c, uint32_t msr, uint64_t value)
{
    if (!all_types_ok(value, false)) {
        return false;
    }
    *mtrr_fixed(c, msr) = value;
    return true;
}

static bool read_mtrr_default(struct x86_cpu *c, uint32_t msr, uint64_t *value)
{
    (void)msr;
    *value = c->mtrr_def_type;
    return true;
}

static bool write_mtrr_default(struct x86_cpu *c, uint32_t msr, uint64_t value)
{
    (void)msr;
    if ((value & ~UINT64_C(0xcff)) || !memory_type_ok(value & 0xff, false)) {
        return false;
    }
    c->mtrr_def_type = value;
    return true;
}

/* -- machine check -- */

static bool read_mc_bank(struct x86_cpu *c, uint32_t msr, uint64_t *value)
{
    *value = c->mc_banks[msr - MSR_MC0];
    return true;
}

static bool write_mc_bank(struct x86_cpu *c, uint32_t msr, uint64_t value)
{
    if ((msr & 3) != 0 && value != 0) { /* status, address, misc can only be cleared */
        return false;
    }
    c->mc_banks[msr - MSR_MC0] = value;
    return true;
}

static bool write_misc_enable(struct x86_cpu *c, uint32_t msr, uint64_t value)
{
    uint64_t writable = MISC_ENABLE_FAST_STRINGS | MISC_ENABLE_MONITOR | MISC_ENABLE_LIMIT_CPUID |
                        MISC_ENABLE_NO_XD | 1 << 16;

    (void)msr;
    c->misc_enable = (c->misc_enable & ~writable) | (value & writable);
    return true;
}

static bool read_misc_enable(struct x86_cpu *c, uint32_t msr, uint64_t *value)
{
    (void)msr;
    *value = c->misc_enable;
    return true;
}

static bool read_zero(struct x86_cpu *c, uint32_t msr, uint64_t *value)
{
    (void)c;
    (void)msr;
    *value = 0;
    return true;
}

static bool write_debugctl(struct x86_cpu *c, uint32_t msr, uint64_t value)
{
    if (value) {
        log_at(x86_log(c), LOG_UNIMP, "cpu%u: MSR %x: branch records and branch stepping (%llx)\n",
               c->v.index, msr, (unsigned long long)value);
    }
    return true;
}

/* ---- the tables ---- */

#define ALL UINT64_MAX
#define FIELD(msr, feat, f, mask)                                                                  \
    {                                                                                              \
        msr, 1, X86F_##feat, MSR_FIELD, offsetof(struct x86_cpu, f), mask, 0, NULL, NULL           \
    }
#define ADDR(msr, feat, f)                                                                         \
    {                                                                                              \
        msr, 1, X86F_##feat, MSR_ADDR, offsetof(struct x86_cpu, f), ALL, 0, NULL, NULL             \
    }
#define CONST(msr, n, feat, value, ignore_writes)                                                  \
    {                                                                                              \
        msr, n, X86F_##feat, MSR_CONST, 0, ignore_writes, value, NULL, NULL                        \
    }
#define FN(msr, n, feat, rd, wr)                                                                   \
    {                                                                                              \
        msr, n, X86F_##feat, MSR_FN, 0, 0, 0, rd, wr                                               \
    }

static const struct msr_row common_rows[] = {
    CONST(0x0, 2, MCE, 0, 1), /* P5_MC_ADDR, P5_MC_TYPE */
    FN(MSR_TSC, 1, TSC, read_tsc, write_tsc),
    FN(0x1b, 1, APIC, read_apic, write_apic),
    FN(0x3b, 1, TSC_ADJUST, read_tsc_adjust, write_tsc_adjust),
    FN(0x48, 1, I86, read_spec_ctrl, write_spec_ctrl),
    FN(0x49, 1, SPEC_CTRL, NULL, write_pred_cmd),
    CONST(0x8b, 1, I86, MICROCODE_REVISION << 32, 1),
    CONST(0xfe, 1, MTRR, 0x508, 0), /* MTRRCAP: 8 pairs, fixed ranges, write combining */
    FIELD(0x174, SEP, sysenter_cs, ALL),
    ADDR(0x175, SEP, sysenter_esp),
    ADDR(0x176, SEP, sysenter_eip),
    CONST(0x179, 1, MCA, 0x100 | MC_BANKS, 0), /* MCG_CAP: MCG_CTL present */
    FIELD(0x17a, MCA, mcg_status, 7),
    FIELD(0x17b, MCA, mcg_ctl, ALL),
    FN(0x1d9, 1, I86, read_zero, write_debugctl),
    FN(MSR_MTRR_PHYS, 16, MTRR, read_mtrr_pair, write_mtrr_pair),
    FN(0x250, 1, MTRR, read_mtrr_fixed, write_mtrr_fixed),
    FN(0x258, 2, MTRR, read_mtrr_fixed, write_mtrr_fixed),
    FN(0x268, 8, MTRR, read_mtrr_fixed, write_mtrr_fixed),
    FN(0x277, 1, PAT, read_pat, write_pat),
    FN(0x2ff, 1, MTRR, read_mtrr_default, write_mtrr_default),
    FN(MSR_MC0, 4 * MC_BANKS, MCA, read_mc_bank, write_mc_bank),
    FN(0x6e0, 1, TSCDEADLINE, read_apic, write_apic),
    FN(0x800, 0x100, X2APIC, read_apic, write_apic),
    FIELD(0xda0, XSAVES, xss, 0), /* no supervisor components exist */
    FN(0xc0000080, 1, I86, read_efer, write_efer),
    FIELD(0xc0000081, SYSCALL, star, ALL),
    ADDR(0xc0000082, LM, lstar),
    ADDR(0xc0000083, LM, cstar),
    FIELD(0xc0000084, SYSCALL, fmask, UINT32_MAX),
    FN(0xc0000100, 2, LM, read_seg_base, write_seg_base),
    ADDR(0xc0000102, LM, kernel_gs_base),
    FIELD(0xc0000103, RDTSCP, tsc_aux, UINT32_MAX),
};

static const struct msr_row intel_rows[] = {
    CONST(0x17, 1, I86, 0, 0), /* PLATFORM_ID */
    CONST(0x2a, 1, I86, 0, 1), /* EBL_CR_POWERON */
    CONST(0x34, 1, I86, 0, 0), /* SMI_COUNT */
    FN(0x3a, 1, I86, read_feature_control, write_feature_control),
    CONST(0x79, 1, I86, 0, 1), /* BIOS_UPDT_TRIG: no microcode is taken */
    CONST(0xcd, 1, I86, 0, 0), /* FSB_FREQ */
    CONST(0xce, 1, I86, (X86_TSC_HZ / 100000000) << 8, 0), /* PLATFORM_INFO: ratio to 100 MHz */
    CONST(0x10a, 1, ARCHCAP, ARCH_CAPABILITIES, 0),
    CONST(0x119, 1, I86, 0, 1),                             /* BBL_CR_CTL */
    CONST(0x11e, 1, I86, 0, 1),                             /* BBL_CR_CTL3 */
    CONST(0x140, 1, I86, 0, 1),                             /* MISC_FEATURES_ENABLES */
    CONST(0x198, 1, I86, (X86_TSC_HZ / 100000000) << 8, 0), /* PERF_STATUS */
    CONST(0x199, 1, I86, (X86_TSC_HZ / 100000000) << 8, 1), /* PERF_CTL */
    FN(0x1a0, 1, I86, read_misc_enable, write_misc_enable),
};

static const struct msr_row amd_rows[] = {
    CONST(0xc0010010, 1, I86, 0, 1),                         /* SYSCFG */
    CONST(0xc0010015, 1, I86, 1u << 24, 1),                  /* HWCR: TSC runs at P0 */
    CONST(0xc001001f, 1, I86, 0, 1),                         /* NB_CFG */
    CONST(0xc0010020, 1, I86, 0, 1),                         /* PATCH_LOADER */
    CONST(0xc0010055, 1, I86, 0, 1),                         /* INT_PENDING */
    CONST(0xc0010058, 1, I86, 0, 1),                         /* MMIO_CFG_BASE */
    CONST(0xc0010061, 3, I86, 0, 1),                         /* P-state limit, control, status */
    CONST(0xc0010064, 1, I86, UINT64_C(1) << 63 | 0x864, 0), /* P0: 2500 MHz */
    CONST(0xc0010112, 2, I86, 0, 1),                         /* TSEG address, mask */
    CONST(0xc0010114, 1, I86, 0x10, 1),                      /* VM_CR: SVM disabled */
    CONST(0xc0010140, 2, I86, 0, 1),                         /* OSVW: no errata listed */
    CONST(0xc0011020, 16, I86, 0, 1), /* LS_CFG, IC_CFG, DC_CFG, DE_CFG ... */
};

static bool is_amd(const struct x86_cpu *c)
{
    return strcmp(c->model->vendor, "AuthenticAMD") == 0;
}

static const struct msr_row *find_in(const struct msr_row *rows, size_t n, uint32_t msr)
{
    for (size_t k = 0; k < n; k++) {
        if (msr - rows[k].first < rows[k].count) {
            return &rows[k];
        }
    }
    return NULL;
}

static const struct msr_row *find(const struct x86_cpu *c, uint32_t msr)
{
    const struct msr_row *row =
        find_in(common_rows, sizeof common_rows / sizeof common_rows[0], msr);

    if (!row && is_amd(c)) {
        row = find_in(amd_rows, sizeof amd_rows / sizeof amd_rows[0], msr);
    } else if (!row) {
        row = find_in(intel_rows, sizeof intel_rows / sizeof intel_rows[0], msr);
    }
    if (row && row->feature != X86F_I86 && !x86_model_has(c->model, row->feature)) {
        return NULL;
    }
    return row;
}

static uint64_t *field(struct x86_cpu *c, const struct msr_row *row)
{
    return (uint64_t *)((char *)c + row->offset);
}

bool x86_rdmsr(struct x86_cpu *c, uint32_t msr, uint64_t *value)
{
    const struct msr_row *row = find(c, msr);
    bool ok = false;

    if (row) {
        switch (row->kind) {
        case MSR_FN:
            ok = row->read && row->read(c, msr, value);
            break;
        case MSR_CONST:
            *value = row->value;
            ok = true;
            break;
        default:
            *value = *field(c, row);
            ok = true;
            break;
        }
    } else {
        log_at(x86_log(c), LOG_UNIMP, "cpu%u: RDMSR %x at %llx: #GP\n", c->v.index, msr,
               (unsigned long long)c->v.reg[X86_RIP]);
    }
    return ok;
}

bool x86_wrmsr(struct x86_cpu *c, uint32_t msr, uint64_t value)
{
    const struct msr_row *row = find(c, msr);

    if (!row) {
        log_at(x86_log(c), LOG_UNIMP, "cpu%u: WRMSR %x = %llx at %llx: #GP\n", c->v.index, msr,
               (unsigned long long)value, (unsigned long long)c->v.reg[X86_RIP]);
        return false;
    }
    switch (row->kind) {
    case MSR_FN:
        return row->write && row->write(c, msr, value);
    case MSR_CONST:
        return row->writable;
    default:
        if ((value & ~row->writable) || (row->kind == MSR_ADDR && !x86_canonical(c, value))) {
            return false;
        }
        *field(c, row) = value;
        return true;
    }
}

void x86_msr_reset(struct x86_cpu *c)
{
    c->star = c->lstar = c->cstar = c->fmask = c->kernel_gs_base = 0;
    c->sysenter_cs = c->sysenter_esp = c->sysenter_eip = 0;
    c->pat = UINT64_C(0x0007040600070406);
    c->tsc_aux = c->spec_ctrl = 0;
    c->misc_enable = MISC_ENABLE_FAST_STRINGS | MISC_ENABLE_NO_BTS | MISC_ENABLE_NO_PEBS;
    if (x86_model_has(c->model, X86F_MONITOR)) {
        c->misc_enable |= MISC_ENABLE_MONITOR;
    }
    c->feature_control = 1; /* firmware locks it: nothing is behind it */
    c->mtrr_def_type = 0;
    memset(c->mtrr_fixed, 0, sizeof c->mtrr_fixed);
    memset(c->mtrr_base, 0, sizeof c->mtrr_base);
    memset(c->mtrr_mask, 0, sizeof c->mtrr_mask);
    c->mcg_status = c->mcg_ctl = 0;
    memset(c->mc_banks, 0, sizeof c->mc_banks);
    /* The counter goes on: reset one after the other while the clock runs, processors that started
     * from zero would disagree. */
    c->tsc_adjust = 0;
    c->tsc_offset = 0;
}
