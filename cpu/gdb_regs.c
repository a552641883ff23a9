/* Registers for GDB: three layouts (i8086, i386, x86-64), one row a register, and the target
 * description made from the rows.
 *
 * From "Target Descriptions: i386 Features" in GDB's manual for the standard features; the feature
 * org.dragoman.x86.system is our own. GDB reads memory at the pc that it is given, so the pc is the
 * LINEAR address everywhere (in 64-bit and flat 32-bit code the same as the offset); the offset in
 * CS is the register `ip` of the system group. Layouts are fixed for a session: in a wider mode
 * registers are cut off, in a narrower one extended by zeros.
 *
 * Selectors can be written in real and virtual-8086 mode only, CR0, CR4 and EFER not at all: what
 * they mean is spread over too many checks to be changed from outside. */
#include "cpu/gdb_regs.h"
#include "cpu/cpuid.h"
#include "cpu/segment.h"
#include "cpu/system.h"
#include "softmmu/tlb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const gdb_arch_names[GDB_NARCH] = {"i8086", "i386", "x86-64"};

/* ---- kinds of registers ---- */

struct kind {
    void (*get)(struct x86_cpu *c, unsigned n, uint8_t *buf);       /* fills up to 16 bytes */
    bool (*set)(struct x86_cpu *c, unsigned n, const uint8_t *buf); /* NULL: read only */
};

static void put(uint8_t *buf, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        buf[i] = (uint8_t)(value >> 8 * i);
    }
}

static uint64_t get(const uint8_t *buf)
{
    uint64_t value = 0;

    for (unsigned i = 8; i--;) {
        value = value << 8 | buf[i];
    }
    return value;
}

static void gpr_get(struct x86_cpu *c, unsigned n, uint8_t *buf)
{
    put(buf, c->v.reg[n]);
}

static bool gpr_set(struct x86_cpu *c, unsigned n, const uint8_t *buf)
{
    c->v.reg[n] = get(buf);
    return true;
}

static bool code64(const struct x86_cpu *c)
{
    return c->v.tb_flags & KEY_CS64;
}

static bool real_mode(const struct x86_cpu *c) /* or virtual-8086: selectors are addresses */
{
    return !(c->cr0 & CR0_PE) || (c->eflags & FL_VM);
}

static void pc_get(struct x86_cpu *c, unsigned n, uint8_t *buf)
{
    (void)n;
    put(buf, c->v.ops->linear_pc(&c->v));
}

static bool set_ip(struct x86_cpu *c, uint64_t ip)
{
    c->v.reg[X86_RIP] = code64(c) ? ip : (uint32_t)ip;
    if (!c->wait_sipi && !c->shutdown) {
        c->halted = false; /* whoever sets it wants it to run there */
    }
    return true;
}

static bool pc_set(struct x86_cpu *c, unsigned n, const uint8_t *buf)
{
    (void)n;
    return set_ip(c, get(buf) - (code64(c) ? 0 : c->v.reg[X86_CS_BASE]));
}

static bool ip_set(struct x86_cpu *c, unsigned n, const uint8_t *buf)
{
    (void)n;
    return set_ip(c, get(buf));
}

static void eflags_get(struct x86_cpu *c, unsigned n, uint8_t *buf)
{
    (void)n;
    put(buf, x86_get_eflags(c));
}

static bool eflags_set(struct x86_cpu *c, unsigned n, const uint8_t *buf)
{
    (void)n;
    x86_set_eflags(c, (uint32_t)get(buf), X86_FLAGS_ALL & ~(uint32_t)FL_VM);
    return true;
}

static void sel_get(struct x86_cpu *c, unsigned n, uint8_t *buf)
{
    put(buf, c->seg[n].sel);
}

static bool sel_set(struct x86_cpu *c, unsigned n, const uint8_t *buf)
{
    uint64_t sel = get(buf) & 0xffff;

    if (sel == c->seg[n].sel) {
        return true;
    }
    if (!real_mode(c)) {
        return false;
    }
    x86_set_seg_real(c, (enum x86_segnum)n, (uint16_t)sel, c->eflags & FL_VM);
    x86_update_key(c);
    return true;
}

static bool base_set(struct x86_cpu *c, unsigned n, const uint8_t *buf)
{
    c->v.reg[n] = get(buf);
    x86_update_key(c);
    return true;
}

static void st_get(struct x86_cpu *c, unsigned n, uint8_t *buf)
{
    const struct x86_fpreg *r = &c->fpr[(c->fp_top + n) & 7];

    put(buf + 8, r->se);
    put(buf, r->mant);
}

static bool st_set(struct x86_cpu *c, unsigned n, const uint8_t *buf)
{
    struct x86_fpreg *r = &c->fpr[(c->fp_top + n) & 7];

    r->mant = get(buf);
    r->se = (uint16_t)(buf[8] | buf[9] << 8);
    return true;
}

enum fp_word { FP_CW, FP_SW, FP_TW, FP_CS, FP_IP, FP_DS, FP_DP, FP_OP };

static void fp_get(struct x86_cpu *c, unsigned n, uint8_t *buf)
{
    uint64_t words[] = {
        [FP_CW] = c->fp_cw, [FP_SW] = x86_get_fpsw(c), [FP_TW] = x86_get_fptw(c),
        [FP_CS] = c->fp_cs, [FP_IP] = c->fp_ip,        [FP_DS] = c->fp_ds,
        [FP_DP] = c->fp_dp, [FP_OP] = c->fp_op,
    };

    put(buf, words[n]);
}

static bool fp_set(struct x86_cpu *c, unsigned n, const uint8_t *buf)
{
    uint64_t value = get(buf);
    uint16_t word = (uint16_t)value;

    switch ((enum fp_word)n) {
    case FP_CW:
        c->fp_cw = word;
        break;
    case FP_SW:
        c->fp_sw = (uint16_t)(word & ~0x3800);
        c->fp_top = word >> 11 & 7;
        break;
    case FP_TW:
        c->fp_tag_empty = 0;
        for (unsigned i = 0; i < 8; i++) {
            c->fp_tag_empty |= (word >> 2 * i & 3) == 3 ? (uint8_t)(1u << i) : 0;
        }
        break;
    case FP_CS:
        c->fp_cs = word;
        break;
    case FP_IP:
        c->fp_ip = value & 0xffffffff;
        break;
    case FP_DS:
        c->fp_ds = word;
        break;
    case FP_DP:
        c->fp_dp = value & 0xffffffff;
        break;
    case FP_OP:
        c->fp_op = word & 0x7ff;
        break;
    }
    return true;
}

static void xmm_get(struct x86_cpu *c, unsigned n, uint8_t *buf)
{
    memcpy(buf, c->v.vec[n].b, 16);
}

static bool xmm_set(struct x86_cpu *c, unsigned n, const uint8_t *buf)
{
    memcpy(c->v.vec[n].b, buf, 16);
    return true;
}

static void ymmh_get(struct x86_cpu *c, unsigned n, uint8_t *buf)
{
    memcpy(buf, c->v.vec[n].b + 16, 16);
}

static bool ymmh_set(struct x86_cpu *c, unsigned n, const uint8_t *buf)
{
    memcpy(c->v.vec[n].b + 16, buf, 16);
    return true;
}

static void mxcsr_get(struct x86_cpu *c, unsigned n, uint8_t *buf)
{
    (void)n;
    put(buf, x86_get_mxcsr(c));
}

static bool mxcsr_set(struct x86_cpu *c, unsigned n, const uint8_t *buf)
{
    (void)n;
    x86_set_mxcsr(c, (uint32_t)get(buf) & 0xffff);
    return true;
}

/* CR8 is the local APIC's, which is asked under the machine lock: held already, except where a
 * breakpoint's condition is evaluated. */
static uint64_t tpr(struct x86_cpu *c, uint64_t *set)
{
    const struct x86_platform *p = c->platform;
    uint64_t value = 0;

    if (!p || !p->apic_tpr || !p->apic_set_tpr) {
        return 0;
    }
    bool held = machine_lock_held(c->v.machine);
    if (!held) {
        machine_lock(c->v.machine);
    }
    if (set) {
        p->apic_set_tpr(p->opaque, c, *set);
    } else {
        value = p->apic_tpr(p->opaque, c);
    }
    if (!held) {
        machine_unlock(c->v.machine);
    }
    return value;
}

static void cr_get(struct x86_cpu *c, unsigned n, uint8_t *buf)
{
    put(buf, n == 0 ? c->cr0 : n == 2 ? c->cr2 : n == 3 ? c->cr3 : n == 4 ? c->cr4 : tpr(c, NULL));
}

static bool cr_set(struct x86_cpu *c, unsigned n, const uint8_t *buf)
{
    uint64_t value = get(buf);
    uint8_t old[16];

    cr_get(c, n, old);
    if (get(old) == value) {
        return true;
    }
    switch (n) {
    case 2:
        c->cr2 = value;
        return true;
    case 3:
        if (value & ~c->phys_mask) {
            return false;
        }
        c->cr3 = value;
        x86_flush_space(c);
        return true;
    case 8:
        if (value > 15) {
            return false;
        }
        tpr(c, &value);
        return true;
    default:
        return false;
    }
}

static void dr_get(struct x86_cpu *c, unsigned n, uint8_t *buf)
{
    put(buf, c->dr[n]);
}

enum msr_name { R_EFER, R_KERNEL_GS_BASE, R_STAR, R_LSTAR, R_CSTAR, R_FMASK, R_APIC_BASE };

static uint64_t *msr_field(struct x86_cpu *c, unsigned n)
{
    uint64_t *const fields[] = {
        [R_EFER] = &c->efer,           [R_KERNEL_GS_BASE] = &c->kernel_gs_base,
        [R_STAR] = &c->star,           [R_LSTAR] = &c->lstar,
        [R_CSTAR] = &c->cstar,         [R_FMASK] = &c->fmask,
        [R_APIC_BASE] = &c->apic_base,
    };
    return fields[n];
}

static void msr_get(struct x86_cpu *c, unsigned n, uint8_t *buf)
{
    put(buf, *msr_field(c, n));
}

static bool msr_set(struct x86_cpu *c, unsigned n, const uint8_t *buf)
{
    uint64_t *field = msr_field(c, n), value = get(buf);

    if (n == R_KERNEL_GS_BASE) {
        *field = value;
    }
    return *field == value;
}

enum table_part {
    T_GDT_BASE,
    T_GDT_LIMIT,
    T_IDT_BASE,
    T_IDT_LIMIT,
    T_LDT,
    T_LDT_BASE,
    T_LDT_LIMIT,
    T_TR,
    T_TR_BASE,
    T_TR_LIMIT,
    T_CPL,
};

static void table_get(struct x86_cpu *c, unsigned n, uint8_t *buf)
{
    uint64_t parts[] = {
        [T_GDT_BASE] = c->gdtr.base,
        [T_GDT_LIMIT] = c->gdtr.limit,
        [T_IDT_BASE] = c->idtr.base,
        [T_IDT_LIMIT] = c->idtr.limit,
        [T_LDT] = c->ldtr.sel,
        [T_LDT_BASE] = c->ldtr.base,
        [T_LDT_LIMIT] = c->ldtr.limit,
        [T_TR] = c->tr.sel,
        [T_TR_BASE] = c->tr.base,
        [T_TR_LIMIT] = c->tr.limit,
        [T_CPL] = c->cpl,
    };
    put(buf, parts[n]);
}

enum { GPR, PC, IP, EFLAGS, SEL, BASE, ST, FPW, XMM, YMMH, MXCSR, CR, DR, MSR, TABLE };
static const struct kind kinds[] = {
    [GPR] = {gpr_get, gpr_set},
    [PC] = {pc_get, pc_set},
    [IP] = {gpr_get, ip_set},
    [EFLAGS] = {eflags_get, eflags_set},
    [SEL] = {sel_get, sel_set},
    [BASE] = {gpr_get, base_set},
    [ST] = {st_get, st_set},
    [FPW] = {fp_get, fp_set},
    [XMM] = {xmm_get, xmm_set},
    [YMMH] = {ymmh_get, ymmh_set},
    [MXCSR] = {mxcsr_get, mxcsr_set},
    [CR] = {cr_get, cr_set},
    [DR] = {dr_get, NULL},
    [MSR] = {msr_get, msr_set},
    [TABLE] = {table_get, NULL},
};

/* ---- the layouts ---- */

enum feature { CORE, SSE, SEGMENTS, AVX, CONTROL, SYSTEM, NFEATURES };
static const char *const feature_names[] = {
    [CORE] = "org.gnu.gdb.i386.core",         [SSE] = "org.gnu.gdb.i386.sse",
    [SEGMENTS] = "org.gnu.gdb.i386.segments", [AVX] = "org.gnu.gdb.i386.avx",
    [CONTROL] = "org.dragoman.x86.control",   [SYSTEM] = "org.dragoman.x86.system",
};

struct row {
    const char *name;
    uint8_t bits, feature, kind, index;
    const char *type; /* NULL: int of that size */
};

#define SELECTORS                                                                                  \
    {"cs", 32, CORE, SEL, SEG_CS, "int32"}, {"ss", 32, CORE, SEL, SEG_SS, "int32"},                \
        {"ds", 32, CORE, SEL, SEG_DS, "int32"}, {"es", 32, CORE, SEL, SEG_ES, "int32"},            \
        {"fs", 32, CORE, SEL, SEG_FS, "int32"},                                                    \
    {                                                                                              \
        "gs", 32, CORE, SEL, SEG_GS, "int32"                                                       \
    }
#define ST_ROW(n)                                                                                  \
    {                                                                                              \
        "st" #n, 80, CORE, ST, n, "i387_ext"                                                       \
    }
#define X87                                                                                        \
    ST_ROW(0), ST_ROW(1), ST_ROW(2), ST_ROW(3), ST_ROW(4), ST_ROW(5), ST_ROW(6), ST_ROW(7),        \
        {"fctrl", 32, CORE, FPW, FP_CW, NULL}, {"fstat", 32, CORE, FPW, FP_SW, NULL},              \
        {"ftag", 32, CORE, FPW, FP_TW, NULL}, {"fiseg", 32, CORE, FPW, FP_CS, NULL},               \
        {"fioff", 32, CORE, FPW, FP_IP, NULL}, {"foseg", 32, CORE, FPW, FP_DS, NULL},              \
        {"fooff", 32, CORE, FPW, FP_DP, NULL},                                                     \
    {                                                                                              \
        "fop", 32, CORE, FPW, FP_OP, NULL                                                          \
    }
#define XMM_ROW(n)                                                                                 \
    {                                                                                              \
        "xmm" #n, 128, SSE, XMM, n, "vec128"                                                       \
    }
#define YMM_ROW(n)                                                                                 \
    {                                                                                              \
        "ymm" #n "h", 128, AVX, YMMH, n, "uint128"                                                 \
    }
#define EIGHT(ROW) ROW(0), ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6), ROW(7)
#define HIGH(ROW)  ROW(8), ROW(9), ROW(10), ROW(11), ROW(12), ROW(13), ROW(14), ROW(15)
#define MXCSR_ROW                                                                                  \
    {                                                                                              \
        "mxcsr", 32, SSE, MXCSR, 0, "x86_mxcsr"                                                    \
    }
#define CONTROLS(n)                                                                                \
    {"cr0", n, CONTROL, CR, 0, "x86_cr0"}, {"cr2", n, CONTROL, CR, 2, NULL},                       \
        {"cr3", n, CONTROL, CR, 3, NULL}, {"cr4", n, CONTROL, CR, 4, "x86_cr4"},                   \
        {"cr8", n, CONTROL, CR, 8, NULL},                                                          \
    {                                                                                              \
        "efer", n, CONTROL, MSR, R_EFER, "x86_efer"                                                \
    }
#define SYSTEMS(n)                                                                                 \
    {"ip", n, SYSTEM, IP, X86_RIP, NULL}, {"es_base", n, SYSTEM, BASE, X86_ES_BASE, NULL},         \
        {"cs_base", n, SYSTEM, BASE, X86_CS_BASE, NULL},                                           \
        {"ss_base", n, SYSTEM, BASE, X86_SS_BASE, NULL},                                           \
        {"ds_base", n, SYSTEM, BASE, X86_DS_BASE, NULL},                                           \
        {"gdt_base", n, SYSTEM, TABLE, T_GDT_BASE, NULL},                                          \
        {"gdt_limit", 32, SYSTEM, TABLE, T_GDT_LIMIT, NULL},                                       \
        {"idt_base", n, SYSTEM, TABLE, T_IDT_BASE, NULL},                                          \
        {"idt_limit", 32, SYSTEM, TABLE, T_IDT_LIMIT, NULL},                                       \
        {"ldtr", 32, SYSTEM, TABLE, T_LDT, NULL},                                                  \
        {"ldt_base", n, SYSTEM, TABLE, T_LDT_BASE, NULL},                                          \
        {"ldt_limit", 32, SYSTEM, TABLE, T_LDT_LIMIT, NULL},                                       \
        {"tr", 32, SYSTEM, TABLE, T_TR, NULL}, {"tr_base", n, SYSTEM, TABLE, T_TR_BASE, NULL},     \
        {"tr_limit", 32, SYSTEM, TABLE, T_TR_LIMIT, NULL},                                         \
        {"cpl", 32, SYSTEM, TABLE, T_CPL, NULL}, {"dr0", n, SYSTEM, DR, 0, NULL},                  \
        {"dr1", n, SYSTEM, DR, 1, NULL}, {"dr2", n, SYSTEM, DR, 2, NULL},                          \
        {"dr3", n, SYSTEM, DR, 3, NULL}, {"dr6", n, SYSTEM, DR, 6, NULL},                          \
        {"dr7", n, SYSTEM, DR, 7, NULL},                                                           \
    {                                                                                              \
        "apic_base", n, SYSTEM, MSR, R_APIC_BASE, NULL                                             \
    }

static const struct row rows64[] = {
    {"rax", 64, CORE, GPR, X86_RAX, "int64"},
    {"rbx", 64, CORE, GPR, X86_RBX, "int64"},
    {"rcx", 64, CORE, GPR, X86_RCX, "int64"},
    {"rdx", 64, CORE, GPR, X86_RDX, "int64"},
    {"rsi", 64, CORE, GPR, X86_RSI, "int64"},
    {"rdi", 64, CORE, GPR, X86_RDI, "int64"},
    {"rbp", 64, CORE, GPR, X86_RBP, "data_ptr"},
    {"rsp", 64, CORE, GPR, X86_RSP, "data_ptr"},
    {"r8", 64, CORE, GPR, X86_R8, "int64"},
    {"r9", 64, CORE, GPR, X86_R9, "int64"},
    {"r10", 64, CORE, GPR, X86_R10, "int64"},
    {"r11", 64, CORE, GPR, X86_R11, "int64"},
    {"r12", 64, CORE, GPR, X86_R12, "int64"},
    {"r13", 64, CORE, GPR, X86_R13, "int64"},
    {"r14", 64, CORE, GPR, X86_R14, "int64"},
    {"r15", 64, CORE, GPR, X86_R15, "int64"},
    {"rip", 64, CORE, PC, X86_RIP, "code_ptr"},
    {"eflags", 32, CORE, EFLAGS, 0, "x86_eflags"},
    SELECTORS,
    X87,
    EIGHT(XMM_ROW),
    HIGH(XMM_ROW),
    MXCSR_ROW,
    {"fs_base", 64, SEGMENTS, BASE, X86_FS_BASE, NULL},
    {"gs_base", 64, SEGMENTS, BASE, X86_GS_BASE, NULL},
    EIGHT(YMM_ROW),
    HIGH(YMM_ROW),
    {"k_gs_base", 64, CONTROL, MSR, R_KERNEL_GS_BASE, NULL},
    CONTROLS(64),
    SYSTEMS(64),
    {"star", 64, SYSTEM, MSR, R_STAR, NULL},
    {"lstar", 64, SYSTEM, MSR, R_LSTAR, NULL},
    {"cstar", 64, SYSTEM, MSR, R_CSTAR, NULL},
    {"fmask", 64, SYSTEM, MSR, R_FMASK, NULL},
};

static const struct row rows32[] = {
    {"eax", 32, CORE, GPR, X86_RAX, "int32"},
    {"ecx", 32, CORE, GPR, X86_RCX, "int32"},
    {"edx", 32, CORE, GPR, X86_RDX, "int32"},
    {"ebx", 32, CORE, GPR, X86_RBX, "int32"},
    {"esp", 32, CORE, GPR, X86_RSP, "data_ptr"},
    {"ebp", 32, CORE, GPR, X86_RBP, "data_ptr"},
    {"esi", 32, CORE, GPR, X86_RSI, "int32"},
    {"edi", 32, CORE, GPR, X86_RDI, "int32"},
    {"eip", 32, CORE, PC, X86_RIP, "code_ptr"},
    {"eflags", 32, CORE, EFLAGS, 0, "x86_eflags"},
    SELECTORS,
    X87,
    EIGHT(XMM_ROW),
    MXCSR_ROW,
    EIGHT(YMM_ROW),
    CONTROLS(32),
    SYSTEMS(32),
    {"fs_base", 32, SYSTEM, BASE, X86_FS_BASE, NULL},
    {"gs_base", 32, SYSTEM, BASE, X86_GS_BASE, NULL},
};

static const struct layout {
    const char *name; /* GDB's */
    const struct row *row;
    unsigned n, pc;
} layouts[GDB_NARCH] = {
    [GDB_ARCH_I8086] = {"i8086", rows32, sizeof(rows32) / sizeof(rows32[0]), 8},
    [GDB_ARCH_I386] = {"i386", rows32, sizeof(rows32) / sizeof(rows32[0]), 8},
    [GDB_ARCH_X86_64] = {"i386:x86-64", rows64, sizeof(rows64) / sizeof(rows64[0]), 16},
};

enum gdb_arch gdb_arch_of(const struct x86_cpu *c)
{
    if (c->efer & EFER_LMA) {
        return GDB_ARCH_X86_64; /* compatibility mode too: its kernel is not far */
    }
    return c->v.tb_flags & KEY_CS32 ? GDB_ARCH_I386 : GDB_ARCH_I8086;
}

static bool has_feature(const struct x86_cpu *c, unsigned feature)
{
    return feature != AVX || x86_model_has(c->model, X86F_AVX);
}

/* The row of register n: features that the processor lacks take no numbers. */
static const struct row *find_row(enum gdb_arch arch, const struct x86_cpu *c, unsigned n)
{
    const struct layout *l = &layouts[arch];

    for (unsigned i = 0; i < l->n; i++) {
        if (has_feature(c, l->row[i].feature) && n-- == 0) {
            return &l->row[i];
        }
    }
    return NULL;
}

unsigned gdb_reg_size(enum gdb_arch arch, const struct x86_cpu *c, unsigned n)
{
    const struct row *r = find_row(arch, c, n);

    return r ? r->bits / 8 : 0;
}

void gdb_reg_read(enum gdb_arch arch, struct x86_cpu *c, unsigned n, uint8_t *buf)
{
    const struct row *r = find_row(arch, c, n);
    uint8_t all[16] = {0};

    if (r) {
        kinds[r->kind].get(c, r->index, all);
        memcpy(buf, all, r->bits / 8);
    }
}

bool gdb_reg_write(enum gdb_arch arch, struct x86_cpu *c, unsigned n, const uint8_t *buf)
{
    const struct row *r = find_row(arch, c, n);
    uint8_t all[16] = {0}, old[16] = {0};

    if (!r) {
        return false;
    }
    memcpy(all, buf, r->bits / 8);
    kinds[r->kind].get(c, r->index, old);
    if (!memcmp(all, old, r->bits / 8)) {
        return true; /* also what may not be changed, and what the layout cuts off */
    }
    return kinds[r->kind].set && kinds[r->kind].set(c, r->index, all);
}

unsigned gdb_reg_pc(enum gdb_arch arch)
{
    return layouts[arch].pc;
}

/* ---- target.xml ---- */

struct flag {
    const char *name;
    uint8_t start, end;
};

static const struct flag_type {
    const char *id;
    enum feature feature;
    bool wide; /* as wide as the control registers of the layout */
    struct flag flag[28];
} flag_types[] = {
    {"x86_eflags",
     CORE,
     false,
     {{"CF", 0, 0},
      {"PF", 2, 2},
      {"AF", 4, 4},
      {"ZF", 6, 6},
      {"SF", 7, 7},
      {"TF", 8, 8},
      {"IF", 9, 9},
      {"DF", 10, 10},
      {"OF", 11, 11},
      {"IOPL", 12, 13},
      {"NT", 14, 14},
      {"RF", 16, 16},
      {"VM", 17, 17},
      {"AC", 18, 18},
      {"VIF", 19, 19},
      {"VIP", 20, 20},
      {"ID", 21, 21}}},
    {"x86_mxcsr",
     SSE,
     false,
     {{"IE", 0, 0},
      {"DE", 1, 1},
      {"ZE", 2, 2},
      {"OE", 3, 3},
      {"UE", 4, 4},
      {"PE", 5, 5},
      {"DAZ", 6, 6},
      {"IM", 7, 7},
      {"DM", 8, 8},
      {"ZM", 9, 9},
      {"OM", 10, 10},
      {"UM", 11, 11},
      {"PM", 12, 12},
      {"RC", 13, 14},
      {"FZ", 15, 15}}},
    {"x86_cr0",
     CONTROL,
     true,
     {{"PE", 0, 0},
      {"MP", 1, 1},
      {"EM", 2, 2},
      {"TS", 3, 3},
      {"ET", 4, 4},
      {"NE", 5, 5},
      {"WP", 16, 16},
      {"AM", 18, 18},
      {"NW", 29, 29},
      {"CD", 30, 30},
      {"PG", 31, 31}}},
    {"x86_cr4",
     CONTROL,
     true,
     {{"VME", 0, 0},
      {"PVI", 1, 1},
      {"TSD", 2, 2},
      {"DE", 3, 3},
      {"PSE", 4, 4},
      {"PAE", 5, 5},
      {"MCE", 6, 6},
      {"PGE", 7, 7},
      {"PCE", 8, 8},
      {"OSFXSR", 9, 9},
      {"OSXMMEXCPT", 10, 10},
      {"UMIP", 11, 11},
      {"LA57", 12, 12},
      {"FSGSBASE", 16, 16},
      {"PCIDE", 17, 17},
      {"OSXSAVE", 18, 18},
      {"SMEP", 20, 20},
      {"SMAP", 21, 21},
      {"PKE", 22, 22}}},
    {"x86_efer", CONTROL, true, {{"SCE", 0, 0}, {"LME", 8, 8}, {"LMA", 10, 10}, {"NXE", 11, 11}}},
};

static void print_types(FILE *out, enum feature feature, unsigned width)
{
    for (size_t i = 0; i < sizeof(flag_types) / sizeof(flag_types[0]); i++) {
        const struct flag_type *t = &flag_types[i];
        if (t->feature != feature) {
            continue;
        }
        fprintf(out, "<flags id=\"%s\" size=\"%u\">\n", t->id, t->wide ? width / 8 : 4);
        for (const struct flag *f = t->flag; f->name; f++) {
            fprintf(out, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>\n", f->name, f->start,
                    f->end);
        }
        fputs("</flags>\n", out);
    }
    if (feature == SSE) {
        static const struct {
            const char *id, *type, *field;
            unsigned n;
        } vectors[] = {
            {"v4f", "ieee_single", "v4_float", 4}, {"v2d", "ieee_double", "v2_double", 2},
            {"v16i8", "int8", "v16_int8", 16},     {"v8i16", "int16", "v8_int16", 8},
            {"v4i32", "int32", "v4_int32", 4},     {"v2i64", "int64", "v2_int64", 2}};
        enum { N = sizeof(vectors) / sizeof(vectors[0]) };
        for (unsigned i = 0; i < N; i++) {
            fprintf(out, "<vector id=\"%s\" type=\"%s\" count=\"%u\"/>\n", vectors[i].id,
                    vectors[i].type, vectors[i].n);
        }
        fputs("<union id=\"vec128\">\n", out);
        for (unsigned i = 0; i < N; i++) {
            fprintf(out, "<field name=\"%s\" type=\"%s\"/>\n", vectors[i].field, vectors[i].id);
        }
        fputs("<field name=\"uint128\" type=\"uint128\"/>\n</union>\n", out);
    }
}

static void print_reg(FILE *out, const struct row *r)
{
    char type[16];
    const char *group = r->feature == SYSTEM                     ? "system"
                        : r->kind == ST || r->kind == FPW        ? "float"
                        : r->feature == SSE || r->feature == AVX ? "vector"
                                                                 : "general";

    snprintf(type, sizeof(type), "uint%u", r->bits);
    fprintf(out, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" group=\"%s\"%s/>\n", r->name, r->bits,
            r->type ? r->type : type, group,
            r->feature == SYSTEM || r->feature == CONTROL ? " save-restore=\"no\"" : "");
}

char *gdb_target_xml(enum gdb_arch arch, const struct x86_cpu *c)
{
    const struct layout *l = &layouts[arch];
    unsigned feature = NFEATURES;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out) {
        return NULL;
    }
    fprintf(out,
            "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
            "<target version=\"1.0\">\n<architecture>%s</architecture>\n%s",
            l->name,
            arch == GDB_ARCH_I8086 ? "<osabi>none</osabi>\n" : "" /* no system is built for it */);
    for (unsigned i = 0; i < l->n; i++) {
        const struct row *r = &l->row[i];
        if (!has_feature(c, r->feature)) {
            continue;
        }
        if (r->feature != feature) {
            fprintf(out, "%s<feature name=\"%s\">\n", feature == NFEATURES ? "" : "</feature>\n",
                    feature_names[r->feature]);
            print_types(out, (enum feature)r->feature, arch == GDB_ARCH_X86_64 ? 64 : 32);
            feature = r->feature;
        }
        print_reg(out, r);
    }
    fputs("</feature>\n</target>\n", out);
    fclose(out);
    return text;
}
