/* The x87 unit's last instruction: FIP and FCS, FOP, FDP and FDS (SDM volume 1, 8.1.8 and 8.1.9).
 *
 * Each instruction but the control ones is the last one when it has been executed. Generated code
 * stores nothing for it: the translator remembers the last one of the block and stores where it was
 * before what can leave the block or look at it; when a fault or an interrupt leaves a block half
 * way, the instruction's entry in the fault map tells how far back the last one was (META_X87).
 *
 * The operand's address: where CPUID says FDP_EXCPTN_ONLY it changes with unmasked exceptions only,
 * and so does FOP with Intel's processors since the Pentium 4, unless IA32_MISC_ENABLE.FOPCODE is
 * set (8.1.9.1). Then the helper that meets the exception decodes the instruction again. Else both
 * are kept always: the address by a store with each memory operand. Where CPUID says so (7:EBX.13)
 * there are no selectors.
 *
 * Left out: real mode's linear addresses are made of what is kept here, so they lack the segment's
 * part where the selectors are not kept. */
#include "cpu/cpuid.h"
#include "cpu/system.h"
#include "cpu/translate.h"
#include "cpu/x87.h"
#include "softmmu/tlb.h"
#include "tcg/tb.h"

#include <string.h>

enum { META_OP = 8, META_BACK = 32, FOPCODE = 1 << 2 };

static bool keeps_op(const struct x86_cpu *c)
{
    return x86_model_is_amd(c->model) || !x86_model_has(c->model, X86F_LM) ||
           (c->misc_enable & FOPCODE);
}

static bool keeps_operand(const struct x86_cpu *c)
{
    return !x86_model_has(c->model, X86F_FDP_EXCPTN);
}

static bool keeps_selectors(const struct x86_cpu *c)
{
    return !x86_model_has(c->model, X86F_ZERO_FCS);
}

static uint16_t opcode_of(const struct x86_insn *i)
{
    return (uint16_t)((i->opcode & 7) << 8 | (i->modrm & 0xff));
}

static const struct x86_operand *memory_operand(const struct x86_insn *i)
{
    for (unsigned n = 0; n < i->nops; n++) {
        if (i->op[n].kind == OP_MEM) {
            return &i->op[n];
        }
    }
    return NULL;
}

static bool is_control(unsigned mnemonic)
{
    switch (mnemonic) {
    case MN_FNINIT:
    case MN_FNCLEX:
    case MN_FLDCW:
    case MN_FNSTCW:
    case MN_FNSTSW:
    case MN_FNSTENV:
    case MN_FLDENV:
    case MN_FNSAVE:
    case MN_FRSTOR:
    case MN_FWAIT:
    case MN_FENI:
    case MN_FDISI:
    case MN_FSETPM:
        return true;
    default:
        return false;
    }
}

/* Reads or replaces what is kept. */
static bool concerns_all(unsigned mnemonic)
{
    switch (mnemonic) {
    case MN_FNINIT:
    case MN_FNSTENV:
    case MN_FLDENV:
    case MN_FNSAVE:
    case MN_FRSTOR:
    case MN_FXSAVE:
    case MN_FXRSTOR:
    case MN_XSAVE:
    case MN_XSAVEC:
    case MN_XSAVEOPT:
    case MN_XSAVES:
    case MN_XRSTOR:
    case MN_XRSTORS:
        return true;
    default:
        return false;
    }
}

/* ---- translation ---- */

void x87_pointers_settle(struct translator *t)
{
    if (!t->x87.pending) {
        return;
    }
    ir_reg pc = ir_temp(t->ir);
    ir_movpc(t->ir, pc, t->x87.off);
    ir_stenv(t->ir, pc, offsetof(struct x86_cpu, fp_ip), MO_64);
    if (keeps_op(t->cpu)) {
        ir_stenvi(t->ir, t->x87.op, offsetof(struct x86_cpu, fp_op), MO_16);
    }
    if (keeps_selectors(t->cpu)) {
        ir_reg cs = ir_temp(t->ir);
        ir_ldenv(t->ir, cs, offsetof(struct x86_cpu, seg[SEG_CS].sel), MO_16);
        ir_stenv(t->ir, cs, offsetof(struct x86_cpu, fp_cs), MO_16);
    }
}

void x87_pointers_before(struct translator *t, const struct x86_insn *i)
{
    if ((i->row->attr & AT_JUMP) || concerns_all(i->mnemonic)) {
        x87_pointers_settle(t);
        t->x87.pending = false;
    }
}

void x87_pointers_after(struct translator *t, const struct x86_insn *i)
{
    if (!(i->row->attr & AT_FPU) || is_control(i->mnemonic)) {
        return;
    }
    t->x87.pending = true;
    t->x87.off = t->off;
    t->x87.op = opcode_of(i);
    if (keeps_operand(t->cpu) && memory_operand(i)) {
        ir_stenv(t->ir, effective_address(t, i), offsetof(struct x86_cpu, fp_dp), MO_64);
        if (keeps_selectors(t->cpu)) {
            ir_reg sel = ir_temp(t->ir);
            ir_ldenv(t->ir, sel,
                     offsetof(struct x86_cpu, seg) + i->seg * sizeof(struct x86_seg) +
                         offsetof(struct x86_seg, sel),
                     MO_16);
            ir_stenv(t->ir, sel, offsetof(struct x86_cpu, fp_ds), MO_16);
        }
    }
}

uint64_t x87_pointers_meta(const struct translator *t)
{
    if (!t->x87.pending) {
        return 0;
    }
    return META_X87 | (uint64_t)t->x87.op << META_OP |
           (uint64_t)(uint32_t)((int32_t)t->off - t->x87.off) << META_BACK;
}

/* ---- at a fault ---- */

void x87_pointers_restore(struct x86_cpu *c, uint64_t pc, uint64_t meta)
{
    c->fp_ip = pc - (uint64_t)(int64_t)(int32_t)(meta >> META_BACK);
    if (keeps_op(c)) {
        c->fp_op = meta >> META_OP & 0x7ff;
    }
    if (keeps_selectors(c)) {
        c->fp_cs = c->seg[SEG_CS].sel;
    }
}

static uint64_t operand_address(const struct x86_cpu *c, const struct x86_insn *i, uint64_t next)
{
    uint64_t x = (uint64_t)i->disp;

    if (i->base == X86_RIPREG) {
        x += next;
    } else if (i->base != X86_NOREG) {
        x += c->v.reg[i->base];
    }
    if (i->index != X86_NOREG) {
        x += c->v.reg[i->index] << i->scale;
    }
    return i->addrsize == 8 ? x : x & (i->addrsize == 4 ? UINT32_MAX : UINT16_MAX);
}

void x87_pointers_exception(struct x86_cpu *c)
{
    enum { LONGEST = 15 };
    unsigned bits = c->v.tb_flags & KEY_CS64 ? X86_64 : c->v.tb_flags & KEY_CS32 ? X86_32 : X86_16;
    uint8_t bytes[LONGEST];
    struct x86_insn i;
    uint64_t off, pc;
    unsigned n = LONGEST;

    if ((keeps_op(c) && keeps_operand(c)) || !tcg_where(&c->v, &off)) {
        return;
    }
    pc = c->v.reg[TCG_REG_PC] + off;
    pc = bits == X86_64 ? pc : (uint32_t)pc;
    while (n &&
           !vcpu_read_virtual(&c->v, bits == X86_64 ? pc : (uint32_t)(c->v.reg[X86_CS_BASE] + pc),
                              bytes, n)) {
        n--;
    }
    if (x86_decode(bytes, n, (enum x86_bits)bits, &i) != X86_DECODE_OK || !(i.row->attr & AT_FPU)) {
        return;
    }
    c->fp_op = opcode_of(&i);
    if (memory_operand(&i)) {
        c->fp_dp = operand_address(c, &i, pc + i.len);
        c->fp_ds = keeps_selectors(c) ? c->seg[i.seg].sel : 0;
    }
}
