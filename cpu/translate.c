/* x86_translate(): a block of guest code into IR. The loop over its instructions, what every
 * instruction is tested for before its emitter is called, and the ends of blocks.
 *
 * A block ends at a jump, at the end of the page of its first byte, where an emitter asks for it,
 * and before an instruction that crosses into the next page (so that a fault of that page's fetch
 * is taken when the instruction is reached; as first instruction of a block it may cross).
 *
 * The rare modes of the key word (single step, interrupt shadow, instruction breakpoints, RF) run
 * blocks of one instruction; a last pass over the IR puts what they need at every exit, so that no
 * emitter knows of them (SDM volume 3, 18.3.1.4 and 6.8.3).
 *
 * Left out: a direct jump over the end of the canonical addresses faults at its target. */
#include "cpu/translate.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/cpuid.h"
#include "cpu/emit_vector.h"
#include "cpu/isa.h"
#include "cpu/segment.h"
#include "cpu/system.h"
#include "cpu/x87.h"
#include "host/log.h"
#include "softmmu/debug.h"
#include "tcg/tcg.h"

enum {
    INSN_MAX = 15,
    BLOCK_MAX_OPS = 3000,
    PAGE = 4096,
    KEY_ONE_INSN = KEY_TF | KEY_SHADOW | KEY_BP | KEY_RF,
    DR6_BS = 1 << 14,
    PF_WRITE = 2, /* page fault error code */
    PF_FETCH = 16,
};

bool t_has(const struct translator *t, unsigned feature)
{
    return feature <= X86F_I486 || x86_model_has(t->cpu->model, feature);
}

/* ---- raising ---- */

static uint64_t helper_raise(struct vcpu *v, uint64_t vec)
{
    x86_raise(x86_cpu(v), (enum x86_vector)vec);
}
X86_HELPER(raise, 0, HELPER_IMM | HELPER_RAISES);

static uint64_t helper_raise_error(struct vcpu *v, uint64_t what)
{
    x86_raise_error(x86_cpu(v), (enum x86_vector)(what & 0xff), (uint32_t)(what >> 8));
}
X86_HELPER(raise_error, 0, HELPER_IMM | HELPER_RAISES);

static void call_raise_error(struct translator *t, enum x86_vector vec, uint32_t error)
{
    ir_call(t->ir, &h_raise_error, IR_NONE, IR_NONE, IR_NONE, IR_NONE,
            (int64_t)((uint64_t)error << 8 | vec));
}

void emit_raise(struct translator *t, enum x86_vector vec)
{
    ir_call(t->ir, &h_raise, IR_NONE, IR_NONE, IR_NONE, IR_NONE, vec);
    ir_exit_loop(t->ir, t->off, 0); /* not reached */
    t->done = true;
}

void emit_raise_error(struct translator *t, enum x86_vector vec, uint32_t error)
{
    call_raise_error(t, vec, error);
    ir_exit_loop(t->ir, t->off, 0); /* not reached */
    t->done = true;
}

/* ---- jumps ---- */

static unsigned wrap_flags(const struct translator *t, unsigned opsize)
{
    if (t_code64(t)) {
        return 0;
    }
    return opsize == 2 ? IR_PC16 : IR_PC32;
}

/* Real and V86 mode have a limit of 64 KiB - 1, which a 16-bit target cannot exceed. */
static bool checks_targets(const struct translator *t, unsigned opsize)
{
    if (t_code64(t) || (t->key & KEY_CS_FLAT)) {
        return false;
    }
    return opsize != 2 || (t->key & (KEY_PE | KEY_VM)) == KEY_PE;
}

static void check_target(struct translator *t, ir_reg target)
{
    ir_reg limit = ir_temp(t->ir);
    unsigned ok = ir_label_new(t->ir);

    ir_ldenv(t->ir, limit, offsetof(struct x86_cpu, seg[SEG_CS].limit), MO_32);
    ir_brcond(t->ir, IR_LEU, W64, target, limit, ok);
    call_raise_error(t, EXC_GP, 0);
    ir_label(t->ir, ok);
}

static void wrap_into(struct ir *ir, ir_reg d, ir_reg a, unsigned flags)
{
    if (flags & IR_PC16) {
        ir_un(ir, IR_EXT16U, W64, d, a);
    } else if (flags & IR_PC32) {
        ir_un(ir, IR_EXT32U, W64, d, a);
    } else {
        ir_mov(ir, W64, d, a);
    }
}

void check_jump(struct translator *t, int64_t off, unsigned opsize)
{
    if (checks_targets(t, opsize)) {
        ir_reg target = ir_temp(t->ir);
        ir_movpc(t->ir, target, off);
        wrap_into(t->ir, target, target, wrap_flags(t, opsize));
        check_target(t, target);
    }
}

static uint64_t helper_jump_target(struct vcpu *v, uint64_t target)
{
    if (!x86_canonical(x86_cpu(v), target)) {
        x86_raise_error(x86_cpu(v), EXC_GP, 0);
    }
    return 0;
}
X86_HELPER(jump_target, 1, HELPER_RAISES);

/* A jump to a non-canonical address faults itself. User code mostly goes to the lower half of the
 * address space and the kernel to the upper: that is asked first. */
static void check_canonical(struct translator *t, ir_reg target)
{
    ir_reg top = ir_temp(t->ir);
    unsigned ok = ir_label_new(t->ir);
    int64_t likely = t_cpl(t) == 3 ? 0 : -1;

    ir_bini(t->ir, IR_SAR, W64, top, target, 47);
    ir_brcondi(t->ir, IR_EQ, W64, top, likely, ok);
    ir_brcondi(t->ir, IR_EQ, W64, top, ~likely, ok);
    ir_call(t->ir, &h_jump_target, IR_NONE, target, IR_NONE, IR_NONE, 0);
    ir_label(t->ir, ok);
}

void check_jump_indirect(struct translator *t, ir_reg target, unsigned opsize)
{
    if (t_code64(t)) {
        check_canonical(t, target);
        return;
    }
    if (checks_targets(t, opsize)) {
        ir_reg wrapped = ir_temp(t->ir);
        wrap_into(t->ir, wrapped, target, wrap_flags(t, opsize));
        check_target(t, wrapped);
    }
}

void emit_jump(struct translator *t, unsigned slot, int64_t off, unsigned opsize)
{
    unsigned flags = wrap_flags(t, opsize);

    check_jump(t, off, opsize);
    /* A loop must poll somewhere: on each jump that does not go forward, or may wrap to lower
     * addresses. */
    if (off <= (int64_t)t->off || (flags & IR_PC16) || off > INT32_MAX / 2) {
        flags |= IR_POLL;
    }
    ir_exit_tb(t->ir, slot, off, flags);
    t->done = true;
}

bool emit_side_exit(struct translator *t, unsigned label, int64_t off, unsigned opsize)
{
    if (!t->goes_on || t->nside == MAX_SIDE || off <= (int64_t)t->off || off > INT32_MAX / 2 ||
        checks_targets(t, opsize) || (wrap_flags(t, opsize) & IR_PC16)) {
        return false;
    }
    t->side[t->nside].label = label;
    t->side[t->nside].opsize = opsize;
    t->side[t->nside++].off = off;
    return true;
}

static void emit_side_exits(struct translator *t)
{
    for (unsigned i = 0; i < t->nside; i++) {
        ir_label(t->ir, t->side[i].label);
        ir_exit_tb(t->ir, 1, t->side[i].off, wrap_flags(t, t->side[i].opsize));
    }
}

bool emit_follow(struct translator *t, int64_t off, unsigned opsize)
{
    if (!t->goes_on || off == 0 || off != (int32_t)off || checks_targets(t, opsize) ||
        (wrap_flags(t, opsize) & IR_PC16) || t->nruns == MAX_RUNS) {
        return false;
    }
    t->followed = true;
    t->follow_off = (int32_t)off;
    return true;
}

void emit_jump_indirect(struct translator *t, ir_reg target, enum ir_ind hint, unsigned opsize)
{
    ir_exit_ind(t->ir, target, hint, wrap_flags(t, opsize));
    t->done = true;
}

void emit_next(struct translator *t, unsigned slot)
{
    x87_pointers_settle(t);
    ir_exit_tb(t->ir, slot, t->next_off, wrap_flags(t, 4));
    t->done = true;
}

/* ---- the rare modes ---- */

static uint64_t helper_begin_rare(struct vcpu *v, uint64_t linear)
{
    struct x86_cpu *c = x86_cpu(v);

    if (c->shadow != 2) { /* MOV SS also holds off debug exceptions */
        x86_check_insn_breakpoint(c, linear);
    }
    if (c->shadow) {
        c->shadow = 0;
        x86_update_key(c);
    }
    return 0;
}
X86_HELPER(begin_rare, 1, HELPER_RAISES);

/* The instruction is complete and pc is where the guest goes on. */
static uint64_t helper_end_rare(struct vcpu *v, uint64_t key)
{
    struct x86_cpu *c = x86_cpu(v);

    if ((key & KEY_RF) && (c->eflags & FL_RF)) {
        c->eflags &= ~(uint32_t)FL_RF;
        x86_update_key(c);
    }
    if ((key & KEY_TF) && c->shadow != 2) {
        uint64_t dr6 = c->pending_dr6 | DR6_BS;
        c->pending_dr6 = 0;
        x86_raise_db(c, dr6);
    }
    return 0;
}
X86_HELPER(end_rare, 0, HELPER_IMM | HELPER_RAISES);

static uint64_t helper_end_rare_at(struct vcpu *v, uint64_t pc, uint64_t key)
{
    v->reg[TCG_REG_PC] = pc;
    return helper_end_rare(v, key);
}
X86_HELPER(end_rare_at, 1, HELPER_IMM | HELPER_RAISES | HELPER_WRITES);

/* Rewrites every exit of a block of one instruction into: set pc, helper, leave to the loop. The
 * instruction's offset is 0, so that a #DB raised by the helper finds pc + 0. */
static void rewrite_exits(struct translator *t, uint64_t key)
{
    struct ir *ir = t->ir;
    unsigned n = ir->nops;
    struct ir_op *old = malloc(n * sizeof *old);

    if (!old) {
        abort();
    }
    memcpy(old, ir->ops, n * sizeof *old);
    ir->nops = 0;
    for (unsigned k = 0; k < n; k++) {
        const struct ir_op *o = &old[k];
        if (o->opc == IR_EXIT_LOOP && (o->flags & IR_KEEPPC)) {
            ir_call(ir, &h_end_rare, IR_NONE, IR_NONE, IR_NONE, IR_NONE, (int64_t)key);
        } else if (o->opc == IR_EXIT_LOOP || o->opc == IR_EXIT_TB || o->opc == IR_EXIT_IND) {
            ir_reg pc = ir_temp(ir);
            if (o->opc == IR_EXIT_IND) {
                wrap_into(ir, pc, o->a, o->flags);
            } else {
                ir_movpc(ir, pc, o->imm);
                wrap_into(ir, pc, pc, o->flags);
            }
            /* Leaving to the same instruction is a repeated string with elements left: RF stays. */
            bool again = o->opc == IR_EXIT_LOOP && o->imm == 0;
            ir_call(ir, &h_end_rare_at, IR_NONE, pc, IR_NONE, IR_NONE,
                    (int64_t)(again ? key & ~(uint64_t)KEY_RF : key));
        } else {
            *ir_append(ir, (enum ir_opc)o->opc) = *o;
            continue;
        }
        ir_exit_loop(ir, 0, IR_KEEPPC);
    }
    free(old);
}

static uint64_t helper_debug_break(struct vcpu *v, uint64_t linear)
{
    debug_check_break(v, linear);
    return 0;
}
X86_HELPER(debug_break, 1, HELPER_RAISES);

static ir_reg emit_linear_pc(struct translator *t)
{
    ir_reg linear = ir_temp(t->ir);

    ir_movpc(t->ir, linear, t->off);
    if (!t_code64(t)) {
        ir_bin(t->ir, IR_ADD, W32, linear, linear, X86_CS_BASE);
    }
    return linear;
}

static void emit_rare_start(struct translator *t)
{
    ir_call(t->ir, &h_begin_rare, IR_NONE, emit_linear_pc(t), IR_NONE, IR_NONE, 0);
}

/* ---- the CS limit ---- */

/* The block's last byte is beyond the limit of CS: the first instruction's may be, or another's. */
static uint64_t helper_code_limit(struct vcpu *v, uint64_t first_len)
{
    struct x86_cpu *c = x86_cpu(v);

    if (v->reg[TCG_REG_PC] + first_len - 1 > c->seg[SEG_CS].limit) {
        x86_raise_error(c, EXC_GP, 0);
    }
    tcg_retry_single(v);
    return 0;
}
X86_HELPER(code_limit, 0, HELPER_IMM | HELPER_RAISES);

/* Blocks are found by physical address: the same one may run at another pc or under another limit.
 * Returns the index of the operation whose imm finish_code_limit() fills in. */
static unsigned emit_code_limit(struct translator *t, unsigned first_len)
{
    struct ir *ir = t->ir;
    ir_reg last = ir_temp(ir), limit = ir_temp(ir);
    unsigned ok = ir_label_new(ir), at = ir->nops;

    ir_movpc(ir, last, 0);
    ir_ldenv(ir, limit, offsetof(struct x86_cpu, seg[SEG_CS].limit), MO_32);
    ir_brcond(ir, IR_LEU, W64, last, limit, ok);
    ir_call(ir, &h_code_limit, IR_NONE, IR_NONE, IR_NONE, IR_NONE, first_len);
    ir_label(ir, ok);
    return at;
}

/* ---- fetch and decode ---- */

static bool same_page(uint64_t a, uint64_t b)
{
    return (a ^ b) < PAGE;
}

enum { MAX_CC_TEMPS = 24 };

enum fetch {
    FETCH_OK,
    FETCH_UD,
    FETCH_LONG,
    FETCH_END /* ends the block before this instruction */
};

/* Reads and decodes the instruction at block offset t->off. As the first of the block it may raise;
 * later ones that would need more than this page or CS limit holds are left to the next block. */
static enum fetch fetch(struct translator *t, const struct translate_request *req,
                        struct x86_insn *insn)
{
    struct vcpu *v = &t->cpu->v;
    uint64_t linear = req->linear + (uint64_t)(int64_t)t->off, limit_left = UINT64_MAX;
    uint64_t mask = t_code64(t) ? UINT64_MAX : UINT32_MAX;
    uint8_t bytes[INSN_MAX + 1] = {0};
    unsigned n = INSN_MAX;
    enum x86_decode_result r;

    linear &= mask;
    if (!t_code64(t) && !(t->key & KEY_CS_FLAT)) {
        uint64_t pc = req->pc + t->off, limit = t->cpu->seg[SEG_CS].limit;
        limit_left = pc > limit ? 0 : limit - pc + 1;
        if (limit_left == 0) {
            if (t->off) {
                return FETCH_END;
            }
            x86_raise_error(t->cpu, EXC_GP, 0);
        }
        if (n > limit_left) {
            n = (unsigned)limit_left;
        }
    }
    unsigned page_left = PAGE - (unsigned)(linear & (PAGE - 1)), first = n;
    if (first > page_left) {
        first = page_left;
    }
    if (!t->code || !same_page(linear, t->code_at)) {
        uint64_t phys;
        t->code = vcpu_fetch_ptr(v, linear, &phys);
        t->code = t->code ? t->code - (linear & (PAGE - 1)) : NULL;
        t->code_at = linear;
    }
    if (t->code) { /* RAM: decoded where it is */
        r = x86_decode(t->code + (linear & (PAGE - 1)), first, t->bits, insn);
    } else {
        vcpu_fetch_code(v, linear, bytes, first);
        r = x86_decode(bytes, first, t->bits, insn);
    }
    if (r == X86_DECODE_MORE && first < n) {
        if (t->off) {
            return FETCH_END;
        }
        vcpu_fetch_code(v, linear, bytes, first);
        vcpu_fetch_code(v, (linear + first) & mask, bytes + first, n - first);
        r = x86_decode(bytes, n, t->bits, insn);
    }
    if (r == X86_DECODE_MORE && n < INSN_MAX) { /* CS ends in the middle of it */
        if (t->off) {
            return FETCH_END;
        }
        x86_raise_error(t->cpu, EXC_GP, 0);
    }
    switch (r) {
    case X86_DECODE_OK:
        return FETCH_OK;
    case X86_DECODE_UD:
        if (insn->len == 0 || insn->len > INSN_MAX) {
            insn->len = 1; /* a block has at least one byte */
        }
        return FETCH_UD;
    default:
        insn->len = INSN_MAX;
        return FETCH_LONG;
    }
}

/* ---- the extent of a block ---- */

/* The part (0 own page, 1 other page) that the byte at off belongs to; -1: a third page. */
static int part_of(const struct translator *t, const struct translate_request *req, int32_t off)
{
    const struct ir *ir = t->ir;
    uint64_t linear = req->linear + (uint64_t)(int64_t)off;

    if (!t_code64(t) && linear > UINT32_MAX && off) {
        return -1;
    }
    if (same_page(linear, req->linear)) {
        return 0;
    }
    if (ir->part[1].lo == ir->part[1].hi ||
        same_page(linear, req->linear + (uint64_t)(int64_t)ir->part[1].lo)) {
        return 1;
    }
    return -1;
}

static void cover(struct ir *ir, int part, int32_t lo, int32_t hi)
{
    if (ir->part[part].lo == ir->part[part].hi) {
        ir->part[part].lo = lo;
        ir->part[part].hi = hi;
        return;
    }
    ir->part[part].lo = lo < ir->part[part].lo ? lo : ir->part[part].lo;
    ir->part[part].hi = hi > ir->part[part].hi ? hi : ir->part[part].hi;
}

/* Notes the instruction at [off, end), which may span two pages as the first of its block. */
static void cover_insn(struct translator *t, const struct translate_request *req, int32_t off,
                       int32_t end)
{
    int32_t room = (int32_t)(PAGE - ((req->linear + (uint64_t)(int64_t)off) & (PAGE - 1)));

    if (end - off > room) {
        cover(t->ir, 0, off, off + room);
        cover(t->ir, 1, off + room, end);
    } else {
        cover(t->ir, part_of(t, req, off), off, end);
    }
}

static bool translated(const struct translator *t, int32_t off)
{
    for (unsigned i = 0; i < t->nruns; i++) {
        if (off >= t->run[i].lo && off < t->run[i].hi) {
            return true;
        }
    }
    return false;
}

/* The block may go on at off: not in code that it has already, nor on a third page. Code on another
 * page must be there to be fetched. */
static bool may_go_to(struct translator *t, const struct translate_request *req, int32_t off)
{
    int part = part_of(t, req, off);
    struct walk walk;
    struct vcpu *v = &t->cpu->v;

    if (translated(t, off) || part < 0) {
        return false;
    }
    return part == 0 || (v->ops->walk(v, req->linear + (uint64_t)(int64_t)off, ACCESS_FETCH,
                                      v->fetch_ctx, true, &walk) &&
                         walk.fetch);
}

bool translate_is_leaf(struct translator *t, int64_t off, unsigned opsize)
{
    enum { LEAF_INSNS = 10 };
    struct vcpu *v = &t->cpu->v;
    uint64_t at = t->req->linear + (uint64_t)off;
    struct x86_insn insn;

    if (t->inlined || !t->goes_on || t->ir->ninsns + LEAF_INSNS > t->req->max_insns ||
        t->nruns + 2 > MAX_RUNS || off != (int32_t)off || off == 0 || checks_targets(t, opsize) ||
        !may_go_to(t, t->req, (int32_t)off)) {
        return false;
    }
    for (unsigned n = 0; n < LEAF_INSNS; n++) {
        uint8_t bytes[INSN_MAX + 1] = {0};
        unsigned left = PAGE - (unsigned)(at & (PAGE - 1));
        vcpu_fetch_code(v, at, bytes, left < INSN_MAX ? left : INSN_MAX);
        if (x86_decode(bytes, left < INSN_MAX ? left : INSN_MAX, t->bits, &insn) != X86_DECODE_OK ||
            insn.len >= left || translated(t, (int32_t)(at - t->req->linear))) {
            return false;
        }
        switch (insn.mnemonic) {
        case MN_RET:
            return insn.nops == 0;
        case MN_CALL:
        case MN_JMP:
        case MN_JCC:
        case MN_JCXZ:
        case MN_LOOP:
        case MN_LOOPE:
        case MN_LOOPNE:
            return false;
        default:
            at += insn.len;
        }
    }
    return false;
}

/* ---- what is tested before the emitter ---- */

/* EM, TS and the enabling bits of the unit that the instruction uses; -1: available. */
static int unit_fault(const struct translator *t, const struct x86_insn *i)
{
    uint32_t attr = i->row->attr;
    uint64_t key = t->key;

    if (i->mnemonic == MN_FWAIT) {
        return (key & KEY_MP) && (key & KEY_TS) ? EXC_NM : -1;
    }
    if ((attr & AT_AVX) && !(key & KEY_AVX)) {
        return EXC_UD;
    }
    if ((attr & AT_SSE) && !(attr & AT_AVX) && (key & (KEY_EM | KEY_OSFXSR)) != KEY_OSFXSR) {
        return EXC_UD;
    }
    if ((attr & AT_MMX) && (key & KEY_EM)) {
        return EXC_UD;
    }
    if ((attr & AT_FPU) && (key & (KEY_EM | KEY_TS))) {
        return EXC_NM;
    }
    if ((attr & (AT_SSE | AT_AVX | AT_MMX)) && (key & KEY_TS)) {
        return EXC_NM;
    }
    return -1;
}

/* The fault that the instruction raises whatever its operands are, or -1. *error: with error code
 * 0. */
static int static_fault(const struct translator *t, const struct x86_insn *i, bool *error)
{
    uint32_t attr = i->row->attr;
    bool protected_mode = (t->key & (KEY_PE | KEY_VM)) == KEY_PE;

    *error = false;
    if (!t_has(t, i->row->feature) || (attr & (t_code64(t) ? AT_NO64 : AT_ONLY64)) ||
        (!protected_mode && ((attr & (AT_PROT | AT_AVX)) || i->vex))) {
        return EXC_UD;
    }
    int unit = unit_fault(t, i);
    if (unit >= 0) {
        return unit;
    }
    bool iopl_short = (t->key & KEY_VM) && (t->key & KEY_IOPL) != KEY_IOPL;
    if (((attr & AT_CPL0) && t_cpl(t) != 0) || ((attr & AT_VMIOPL) && iopl_short)) {
        *error = true;
        return EXC_GP;
    }
    return -1;
}

/* A pending x87 exception stops MMX instructions too: the first one of a block, and behind x87
 * code. */
static uint64_t helper_mmx_check(struct vcpu *v)
{
    x87_check(x86_cpu(v));
    return 0;
}
X86_HELPER(mmx_check, 0, HELPER_RAISES);

static void emit_mmx_check(struct translator *t, const struct x86_insn *i)
{
    if ((i->row->attr & AT_MMX) || vector_uses_mmx(i)) {
        if (!t->mmx_checked) {
            ir_call(t->ir, &h_mmx_check, IR_NONE, IR_NONE, IR_NONE, IR_NONE, 0);
        }
        t->mmx_checked = true;
    } else if (!(i->row->attr & (AT_SSE | AT_AVX))) {
        t->mmx_checked &= !(i->row->attr & AT_FPU) && i->mnemonic != MN_FXRSTOR &&
                          i->mnemonic != MN_XRSTOR && i->mnemonic != MN_XRSTORS;
    }
}

static bool is_nowait(unsigned mnemonic)
{
    return mnemonic == MN_FNSTENV || mnemonic == MN_FNSAVE || mnemonic == MN_FNSTCW ||
           mnemonic == MN_FNSTSW;
}

static void translate_insn(struct translator *t, const struct x86_insn *i)
{
    bool error;
    int fault = static_fault(t, i, &error);

    if (fault >= 0) {
        if (error) {
            emit_raise_error(t, (enum x86_vector)fault, 0);
        } else {
            emit_raise(t, (enum x86_vector)fault);
        }
        return;
    }
    x86_emit_fn emit = t->cpu->isa->emit[i->mnemonic];
    if (!emit) {
        struct machine *m = t->cpu->v.machine;
        log_at(m ? m->log : NULL, LOG_UNIMP, "instruction %s at %#llx is not implemented: #UD\n",
               x86_mnemonic_name((enum x86_mnemonic)i->mnemonic),
               (unsigned long long)(t->block_pc + t->off));
        emit_raise(t, EXC_UD);
        return;
    }
    x87_pointers_before(t, i);
    emit_mmx_check(t, i);
    if ((i->row->attr & AT_FPU) && !is_nowait(i->mnemonic)) {
        t->ir->ops[t->insn_op].imm2 |= META_WAITS;
    }
    emit(t, i);
    x87_pointers_after(t, i);
}

void x86_translate(struct vcpu *v, const struct translate_request *req, struct ir *ir)
{
    struct x86_insn insn;
    struct translator t = {
        .cpu = x86_cpu(v),
        .ir = ir,
        .insn = &insn,
        .key = req->flags,
        .block_pc = req->pc,
        .req = req,
        .cc_kind = CC_UNKNOWN,
        .bits = req->flags & KEY_CS64   ? X86_64
                : req->flags & KEY_CS32 ? X86_32
                                        : X86_16,
    };
    bool rare = req->flags & KEY_ONE_INSN, breaks = v->machine && v->machine->debug;
    bool limited = !(req->flags & (KEY_CS64 | KEY_CS_FLAT));
    unsigned max = rare ? 1 : req->max_insns, limit_op = 0;

    ir_reset(ir);
    ir->flags = req->flags;
    ir->ctx = (req->flags >> KEY_CTX_SHIFT) & 3;
    ir->no_link = rare || max == 1;
    t.goes_on = req->long_blocks && !ir->no_link;
    for (;;) {
        enum fetch f = fetch(&t, req, &insn);
        if (f == FETCH_END) {
            t.next_off = t.off;
            emit_next(&t, 0);
            break;
        }
        t.next_off = t.off + insn.len;
        cover_insn(&t, req, t.off, t.next_off);
        if (t.run[t.nruns].lo == t.run[t.nruns].hi) {
            t.run[t.nruns].lo = t.off;
        }
        t.run[t.nruns].hi = t.next_off;
        ir->guest_size += insn.len;
        t.mem.valid = false;
        /* Nothing temporary outlives an instruction, but for what the flags are made of: as long
         * as that is in its place, they need not be stored. */
        ir->ntemps = t.cc_temps <= MAX_CC_TEMPS ? t.cc_temps : 0;
        ir->nvtemps = 0;
        t.insn_op = ir->nops;
        ir_append(ir, IR_INSN)->imm = t.off;
        ir->ops[t.insn_op].aux = insn.len;
        ir->ops[t.insn_op].imm2 = (int64_t)x87_pointers_meta(&t);
        if (limited && t.off == 0) {
            limit_op = emit_code_limit(&t, insn.len);
        }
        if (breaks && debug_break_possible(v, t_code64(&t) ? req->linear + t.off
                                                           : (uint32_t)(req->linear + t.off))) {
            ir_call(ir, &h_debug_break, IR_NONE, emit_linear_pc(&t), IR_NONE, IR_NONE, 0);
        }
        if (rare) {
            emit_rare_start(&t);
        }
        if (f == FETCH_OK) {
            translate_insn(&t, &insn);
        } else if (f == FETCH_LONG) {
            emit_raise_error(&t, EXC_GP, 0);
        } else {
            emit_raise(&t, EXC_UD);
        }
        ir->ninsns++;
        t.off = t.next_off;
        if (t.followed) {
            t.followed = false;
            t.nruns++;
            t.off = t.next_off = t.follow_off;
            if (ir->ninsns >= max || ir->nops >= BLOCK_MAX_OPS || !may_go_to(&t, req, t.off)) {
                ir_exit_tb(ir, 0, t.off, wrap_flags(&t, 4) | IR_POLL);
                break;
            }
            continue;
        }
        if (t.done) {
            break;
        }
        if (t.end_block) {
            x87_pointers_settle(&t);
            ir_exit_loop(ir, t.off, wrap_flags(&t, 4));
            break;
        }
        if (t.end_jump || ir->ninsns >= max || ir->nops >= BLOCK_MAX_OPS ||
            !same_page(req->linear + (uint64_t)(int64_t)t.off,
                       req->linear + (uint64_t)(int64_t)t.off - 1) ||
            (!t.goes_on && part_of(&t, req, t.off) != 0) || translated(&t, t.off)) {
            emit_next(&t, 0);
            break;
        }
    }
    emit_side_exits(&t);
    if (limited) {
        ir->ops[limit_op].imm = (int64_t)ir->guest_size - 1;
    }
    if (rare) {
        /* IRET takes RF from the stack. */
        uint64_t key = insn.mnemonic == MN_IRET ? req->flags & ~(uint64_t)KEY_RF : req->flags;
        rewrite_exits(&t, key);
    }
}

enum { MEMORY_FAULTS = 1 << EXC_SS | 1 << EXC_GP | 1 << EXC_PF | 1 << EXC_AC };

void x86_restore(struct vcpu *v, uint64_t off, uint64_t meta)
{
    struct x86_cpu *c = x86_cpu(v);
    uint64_t pc = v->reg[TCG_REG_PC] + off;

    if ((meta & META_RMW) && c->exc.vector == EXC_PF && !(c->exc.error & PF_FETCH)) {
        struct walk first;
        c->exc.error |= PF_WRITE;
        if (v->split_va && c->exc.cr2 == (v->split_va | 4095) + 1) {
            x86_walk(v, v->split_va, ACCESS_WRITE, v->split_ctx, false, &first);
        }
    }
    v->split_va = 0;
    if ((meta & META_WAITS) && (c->fp_sw & SW_ES) && (c->cr0 & CR0_NE) &&
        (MEMORY_FAULTS >> c->exc.vector & 1)) {
        c->exc.vector = EXC_MF;
        c->exc.has_error = c->exc.noncanonical = false;
    }
    v->reg[TCG_REG_PC] = v->tb_flags & KEY_CS64 ? pc : (uint32_t)pc;
    if (meta & META_X87) {
        x87_pointers_restore(c, v->reg[TCG_REG_PC], meta);
    }
}
