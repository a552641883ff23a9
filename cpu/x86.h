/* State of one x86 processor, and the functions by which the files of cpu/ work together.
 * Names follow the SDM. General registers live in v.reg[] (IR registers), segment bases too. */
#ifndef CPU_X86_H
#define CPU_X86_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "softmmu/machine.h"
#include "tcg/vcpu.h"

enum x86_reg { /* numbers in v.reg[] */
    X86_RAX, X86_RCX, X86_RDX, X86_RBX, X86_RSP, X86_RBP, X86_RSI, X86_RDI,
    X86_R8, X86_R9, X86_R10, X86_R11, X86_R12, X86_R13, X86_R14, X86_R15,
    X86_RIP = TCG_REG_PC,
    X86_ES_BASE = TCG_REG_GUEST, X86_CS_BASE, X86_SS_BASE, X86_DS_BASE, X86_FS_BASE, X86_GS_BASE,
    X86_DF, /* direction: 1 or -1 (as 64-bit value) */
};

enum x86_segnum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS };

/* A segment register without its base (that is v.reg[X86_ES_BASE + n], or .base for LDTR and TR).
 * attr holds descriptor bits 40..55 in place: type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14,
 * G 15. limit is in bytes (granularity applied). */
struct x86_seg {
    uint16_t sel;
    uint16_t attr;
    uint32_t limit;
};
enum {
    SEGA_TYPE = 0xf, SEGA_A = 1, SEGA_RW = 2, SEGA_CE = 4 /* conforming / expand down */, SEGA_CODE = 8,
    SEGA_S = 0x10, SEGA_DPL_SHIFT = 5, SEGA_P = 0x80, SEGA_AVL = 0x1000, SEGA_L = 0x2000,
    SEGA_DB = 0x4000, SEGA_G = 0x8000,
};
struct x86_sysseg { /* LDTR, TR */
    uint16_t sel, attr;
    uint32_t limit;
    uint64_t base;
};
struct x86_dtr { /* GDTR, IDTR */
    uint64_t base;
    uint16_t limit;
};

struct x86_fpreg { /* 80-bit register; MMX registers are the mantissas */
    uint64_t mant;
    uint16_t se; /* sign and exponent */
};

/* EFLAGS bits. The six status flags live in the lazy flags (cpu/flags.h), DF in v.reg[X86_DF], the
 * rest in x86_cpu.eflags. */
enum {
    FL_CF = 1, FL_PF = 4, FL_AF = 0x10, FL_ZF = 0x40, FL_SF = 0x80, FL_TF = 0x100, FL_IF = 0x200,
    FL_DF = 0x400, FL_OF = 0x800, FL_IOPL = 0x3000, FL_NT = 0x4000, FL_RF = 0x10000, FL_VM = 0x20000,
    FL_AC = 0x40000, FL_VIF = 0x80000, FL_VIP = 0x100000, FL_ID = 0x200000,
    FL_STATUS = FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF,
    FL_IOPL_SHIFT = 12,
};

enum {
    CR0_PE = 1, CR0_MP = 2, CR0_EM = 4, CR0_TS = 8, CR0_ET = 16, CR0_NE = 32, CR0_WP = 1 << 16,
    CR0_AM = 1 << 18, CR0_NW = 1 << 29, CR0_CD = 1 << 30,
};
#define CR0_PG (UINT32_C(1) << 31)
enum {
    CR4_VME = 1, CR4_PVI = 2, CR4_TSD = 4, CR4_DE = 8, CR4_PSE = 16, CR4_PAE = 32, CR4_MCE = 64,
    CR4_PGE = 128, CR4_PCE = 256, CR4_OSFXSR = 512, CR4_OSXMMEXCPT = 1024, CR4_UMIP = 1 << 11,
    CR4_LA57 = 1 << 12, CR4_FSGSBASE = 1 << 16, CR4_PCIDE = 1 << 17, CR4_OSXSAVE = 1 << 18,
    CR4_SMEP = 1 << 20, CR4_SMAP = 1 << 21, CR4_PKE = 1 << 22,
};
enum { EFER_SCE = 1, EFER_LME = 1 << 8, EFER_LMA = 1 << 10, EFER_NXE = 1 << 11, EFER_FFXSR = 1 << 14 };

enum x86_vector {
    EXC_DE, EXC_DB, EXC_NMI, EXC_BP, EXC_OF, EXC_BR, EXC_UD, EXC_NM, EXC_DF, EXC_09, EXC_TS, EXC_NP,
    EXC_SS, EXC_GP, EXC_PF, EXC_0F, EXC_MF, EXC_AC, EXC_MC, EXC_XM,
};
enum { X86_NAMED_EXCEPTIONS = EXC_XM + 1 };
extern const char *const x86_exception_names[X86_NAMED_EXCEPTIONS]; /* "#PF"; "" has no name */

/* v.irq_request bits */
enum {
    X86_REQ_INTR = 1,  /* INTR pin / local APIC has an interrupt: level, cleared by its source */
    X86_REQ_NMI = 2,
    X86_REQ_SMI = 4,
    X86_REQ_INIT = 8,
    X86_REQ_SIPI = 16,
    X86_REQ_STOP = 32,  /* leave to the run loop (pause, exclusive section); softmmu's */
    X86_REQ_FLUSH = 64, /* TLB flush asked for by another thread; softmmu's */
    X86_REQ_RESET = 128,
};

/* Key word of a block (v.tb_flags). What is in here need not be tested in the block. */
enum x86_key {
    KEY_CS32 = 1 << 0,      /* CS.D: default operand/address size 32 */
    KEY_CS64 = 1 << 1,      /* 64-bit mode */
    KEY_SS32 = 1 << 2,      /* SS.B */
    KEY_PE = 1 << 3,
    KEY_VM = 1 << 4,
    KEY_CPL_SHIFT = 5,      /* 2 bits */
    KEY_CPL = 3 << 5,
    KEY_IOPL_SHIFT = 7,     /* 2 bits */
    KEY_IOPL = 3 << 7,
    KEY_LMA = 1 << 9,       /* EFER.LMA (compatibility mode is LMA without CS64) */
    KEY_ZERO_BASES = 1 << 10, /* DS, ES, SS bases are 0 */
    KEY_FLAT_LIMITS = 1 << 11, /* DS, ES, SS are writable data, limit 4 GiB-1, expand up: no checks
                                * (always set in 64-bit mode; outside of it FS and GS, which 32-bit
                                * systems leave null or small, are always checked) */
    KEY_CS_FLAT = 1 << 12,  /* CS limit is 4 GiB-1: jumps need no check */
    KEY_CS_ZERO = 1 << 13,  /* CS base is 0 */
    KEY_TF = 1 << 14,       /* single step: one instruction, then #DB */
    KEY_SHADOW = 1 << 15,   /* first instruction after STI or MOV SS: one instruction, clears it */
    KEY_AC = 1 << 16,       /* alignment check on (CR0.AM, EFLAGS.AC, CPL 3) */
    KEY_EM = 1 << 17,       /* CR0.EM */
    KEY_TS = 1 << 18,       /* CR0.TS */
    KEY_MP = 1 << 19,       /* CR0.MP */
    KEY_OSFXSR = 1 << 20,
    KEY_XMM_UNMASKED = 1 << 21, /* MXCSR has an unmasked exception: check after each FP op */
    KEY_BP = 1 << 22,       /* DR7 has an instruction breakpoint enabled: check each instruction */
    KEY_SMM = 1 << 23,
    KEY_UMIP = 1 << 24,     /* CR4.UMIP and CPL 3 */
    KEY_CTX_SHIFT = 25,     /* 2 bits: access context of data (index of v.tlb) */
    KEY_IOBP = 1 << 27,     /* DR7 has data/I/O breakpoints */
    KEY_AVX = 1 << 28,      /* CR4.OSXSAVE and XCR0 has SSE and AVX */
    KEY_FSGSBASE = 1 << 29,
    KEY_RF = 1 << 30,       /* EFLAGS.RF is set: one instruction, which clears it (all but IRET) */
};
/* The x87 unit has unmasked or pending exceptions, and met an instruction since: helpers only. */
#define KEY_X87_ODD (UINT64_C(1) << 31)
#define KEY_MISALIGN (UINT64_C(1) << 32) /* MXCSR.MM: SSE operands may be unaligned */

/* CPUID feature words, as bit numbers in x86_model.feat[]; cpu/cpuid.h */
struct x86_model;
struct x86_isa; /* decoder tables and emitters; built once per machine, immutable */

/* Rates that CPUID leaf 15H gives to the guest: the TSC, and the crystal that also clocks the local
 * APIC's timer. Both are derived from the machine's clock. */
#define X86_TSC_HZ     UINT64_C(2500000000)
#define X86_CRYSTAL_HZ UINT64_C(1000000000)

/* What the platform lends to the processors; filled by hw/machine before the first run. All are called
 * with the machine lock held. */
struct x86_cpu;
struct x86_platform {
    void *opaque;
    /* Vector of the pending external interrupt (8259 or local APIC), acknowledged; -1: none. */
    int (*ack_interrupt)(void *opaque, struct x86_cpu *c);
    /* Local APIC: CR8, x2APIC MSRs (0x800..0x8ff), IA32_APIC_BASE (0x1b, kept in apic_base by the
     * APIC), IA32_TSC_DEADLINE (0x6e0). False: #GP. */
    uint64_t (*apic_tpr)(void *opaque, struct x86_cpu *c);           /* CR8 value 0..15 */
    void (*apic_set_tpr)(void *opaque, struct x86_cpu *c, uint64_t tpr);
    bool (*apic_rdmsr)(void *opaque, struct x86_cpu *c, uint32_t msr, uint64_t *value);
    bool (*apic_wrmsr)(void *opaque, struct x86_cpu *c, uint32_t msr, uint64_t value);
    void (*ferr)(void *opaque, bool level); /* FERR# pin (CR0.NE = 0): IRQ 13 */
    void (*smm_changed)(void *opaque, struct x86_cpu *c, bool in_smm);
};

/* The page table that the last page walk ended in; see cpu/paging.c. */
struct page_table_cache {
    uint64_t epoch; /* of struct vcpu: good as long as it is the same */
    uint64_t cr3, va; /* va: >> 21 */
    uint64_t rights, reserved;
    const uint8_t *host; /* NULL: none */
    unsigned view;
};

struct x86_cpu {
    struct vcpu v; /* must be first */

    struct x86_seg seg[6];
    struct x86_sysseg ldtr, tr;
    struct x86_dtr gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4, xcr0;
    uint64_t pdpte[4]; /* loaded by CR3 writes in PAE mode */
    uint64_t dr[8];
    uint32_t eflags; /* all but status flags and DF; bit 1 set */
    uint8_t cpl;

    uint64_t efer, star, lstar, cstar, fmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat, tsc_aux, misc_enable, apic_base, smbase, feature_control, spec_ctrl, xss;
    int64_t tsc_offset; /* guest TSC = clock ticks + this */
    uint64_t tsc_adjust;
    uint64_t mtrr_def_type, mtrr_fixed[11], mtrr_base[8], mtrr_mask[8];
    uint64_t mcg_status, mcg_ctl, mc_banks[4 * 4];
    uint32_t pkru;

    struct x86_fpreg fpr[8]; /* physical registers; ST(i) = fpr[(fp_top + i) & 7] */
    uint8_t fp_top, fp_tag_empty; /* bit n of fp_tag_empty: physical register n is empty */
    uint16_t fp_cw, fp_sw; /* fp_sw without TOP */
    uint16_t fp_op, fp_cs, fp_ds;
    uint64_t fp_ip, fp_dp;
    bool mxcsr_mm; /* MXCSR.MM (AMD) */
    /* MXCSR is v.fp and mxcsr_mm: use x86_get_mxcsr / x86_set_mxcsr */

    bool halted;       /* HLT, MWAIT, or waiting for SIPI */
    bool mwait;        /* ... in MWAIT: a store to the monitored line ends it; not kept by snapshots */
    bool mwait_masked; /* ... and so do masked interrupts */
    const uint64_t *monitor; /* the line, in RAM; NULL: none */
    uint64_t monitored[8];   /* what it held */
    unsigned pauses;
    bool wait_sipi;
    bool shutdown;     /* triple fault */
    bool in_smm, nmi_blocked, smi_blocked;
    uint8_t shadow;    /* interrupt shadow for the next instruction: 1 STI, 2 MOV SS */
    _Atomic uint8_t sipi_vector; /* of the last SIPI; written by who sends it */
    uint64_t a20_mask; /* and-mask of physical addresses */
    uint64_t phys_mask; /* bits below MAXPHYADDR */

    /* Exception recorded by x86_raise*() for deliver() */
    struct {
        uint8_t vector;
        bool has_error, software; /* software: INT n, INT3, INTO, INT1: return after it */
        bool int1;
        uint32_t error;
        uint8_t insn_len; /* software: to compute the return address */
        uint64_t cr2;
        uint64_t dr6; /* #DB: bits to set */
        bool noncanonical; /* #GP of the page walk: becomes #SS if the access was to the stack */
    } exc;
    uint64_t pending_dr6; /* data breakpoints hit by the running instruction: #DB at its end */
    int delivering; /* vector being delivered, for #DF and triple fault; -1: none */
    /* From seg to here is what verify=on compares (lockstep.c): the rest is not the guest's. */

    struct page_table_cache page_table;
    uint64_t interrupts[256]; /* external ones taken, for the monitor */
    const struct x86_model *model;
    const struct x86_isa *isa;
    const struct x86_platform *platform;
    uint32_t apic_id;
    unsigned smp_cores, smp_threads; /* topology: cores per package, threads per core */
    void *apic; /* the platform's local APIC of this cpu */
};

static inline struct x86_cpu *x86_cpu(struct vcpu *v)
{
    return (struct x86_cpu *)v;
}

/* ---- flags.c ---- */
uint32_t x86_get_eflags(struct x86_cpu *c);                            /* the whole register */
void x86_set_eflags(struct x86_cpu *c, uint32_t value, uint32_t mask); /* bits in mask; calls x86_update_key */

/* ---- mode.c ---- */
/* Recomputes v.tb_flags after any change of mode state (segments, CR0/4, EFER, EFLAGS system bits, CPL,
 * shadow, DR7, MXCSR masks, SMM), and sets v.exit_request when something in irq_request (or pending_dr6)
 * could now be taken. */
void x86_update_key(struct x86_cpu *c);
void x86_reset(struct x86_cpu *c, bool init); /* power-on/RESET#, or INIT (keeps FPU, MSRs, cr0.CD/NW) */
/* Makes processor number index and adds it to the machine (machine_add_vcpu), in power-on state; apic_id
 * is index until the board says otherwise. platform may be NULL (tests). */
struct x86_cpu *x86_cpu_create(struct machine *m, const struct x86_model *model, unsigned index,
                               const struct x86_platform *platform, struct error *err);
void x86_cpu_destroy(struct x86_cpu *c);
extern const struct guest_ops x86_guest_ops;
/* Before delivery: decides between #GP and #SS for a non-canonical access that was recorded. */
void x86_settle_vector(struct x86_cpu *c);

/* ---- exception.c: all but the first two record and unwind ---- */
void x86_deliver(struct vcpu *v);                                  /* guest_ops.deliver */
void x86_interrupt(struct x86_cpu *c, uint8_t vector);             /* external, between blocks */
void x86_raise(struct x86_cpu *c, enum x86_vector vec) __attribute__((noreturn));
void x86_raise_error(struct x86_cpu *c, enum x86_vector vec, uint32_t error) __attribute__((noreturn));
void x86_raise_db(struct x86_cpu *c, uint64_t dr6) __attribute__((noreturn));
void x86_raise_software(struct x86_cpu *c, uint8_t vec, unsigned insn_len) __attribute__((noreturn));

/* ---- io.c: I/O permission (CPL, IOPL, TSS bitmap; raises #GP) and port access with the machine lock ---- */
void x86_check_io(struct x86_cpu *c, uint16_t port, unsigned size);
uint64_t x86_port_in(struct x86_cpu *c, uint16_t port, unsigned size);
void x86_port_out(struct x86_cpu *c, uint16_t port, uint64_t value, unsigned size);

/* ---- memory as seen by system code (descriptor tables, TSS, stacks); linear addresses; they raise.
 * ctx 0 is an implicit supervisor access. ---- */
static inline uint64_t x86_load(struct x86_cpu *c, uint64_t lin, unsigned memop, unsigned ctx)
{
    return softmmu_load(&c->v, lin, memop, ctx);
}
static inline void x86_store(struct x86_cpu *c, uint64_t lin, uint64_t val, unsigned memop, unsigned ctx)
{
    softmmu_store(&c->v, lin, val, memop, ctx);
}

/* ---- segment.c ---- */
/* Loads a segment register with all checks of the current mode; raises. */
void x86_load_seg(struct x86_cpu *c, enum x86_segnum s, uint16_t sel);
/* Limit and access check of a data reference of size bytes at offset; raises #GP or #SS. */
void x86_check_seg(struct x86_cpu *c, enum x86_segnum s, uint64_t offset, unsigned size, bool write);
/* Sets base, limit, attributes without checks and updates nothing else. */
void x86_set_seg(struct x86_cpu *c, enum x86_segnum s, uint16_t sel, uint64_t base, uint32_t limit,
                 uint16_t attr);

/* ---- mwait.c; on c's thread ---- */
void x86_monitor(struct x86_cpu *c, uint64_t linear, unsigned ctx); /* may raise */
void x86_mwait(struct x86_cpu *c, bool masked_too);
bool x86_mwait_over(struct x86_cpu *c); /* something other than a request ended it */

/* ---- control.c ---- */
void x86_write_cr0(struct x86_cpu *c, uint64_t val); /* checks and raises */
void x86_write_cr3(struct x86_cpu *c, uint64_t val);
void x86_write_cr4(struct x86_cpu *c, uint64_t val);
uint64_t x86_read_tsc(struct x86_cpu *c);
/* Runs the machine's timers when the main loop is late with them, before the guest sees the time. c's thread,
 * without the machine lock. */
void x86_run_late_timers(struct x86_cpu *c);
/* Clock time (ns, rounded up) at which c's TSC reaches tsc; a past one gives a time <= now, one beyond
 * the clock's range INT64_MAX. For the TSC-deadline timer. Any thread. */
int64_t x86_tsc_to_clock(struct x86_cpu *c, uint64_t tsc);
void x86_set_a20(struct x86_cpu *c, bool on);

/* ---- debug.c ---- */
/* Before an instruction at this linear address (KEY_BP): raises #DB (fault) unless EFLAGS.RF is set. */
void x86_check_insn_breakpoint(struct x86_cpu *c, uint64_t linear);

/* ---- fpu ---- */
uint32_t x86_mxcsr_mask(const struct x86_cpu *c); /* bits that MXCSR has */
uint32_t x86_get_mxcsr(struct x86_cpu *c);
void x86_set_mxcsr(struct x86_cpu *c, uint32_t val); /* no reserved-bit check; updates the key */
uint16_t x86_get_fpsw(struct x86_cpu *c);            /* with TOP */
uint16_t x86_get_fptw(struct x86_cpu *c);            /* full two-bit tags */
void x86_fpu_reset(struct x86_cpu *c, bool fninit);

/* ---- poll, halt, smm ---- */
bool x86_poll(struct vcpu *v);
bool x86_has_work(struct vcpu *v);
void x86_enter_smm(struct x86_cpu *c);

#endif
