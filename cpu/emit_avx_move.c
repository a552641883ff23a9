/* VEX moves, inserts, extracts, permutations by a register, masked and gathering accesses,
 * VZEROUPPER and VZEROALL (SDM volume 2). */
#include "cpu/emit_vector.h"
#include "tcg/vops.h"

#include <string.h>

/* ---- whole registers ---- */

static bool wants_alignment(const struct x86_insn *i)
{
    switch (i->mnemonic) {
    case MN_VMOVAPS:
    case MN_VMOVAPD:
    case MN_VMOVDQA:
    case MN_VMOVNTPS:
    case MN_VMOVNTPD:
    case MN_VMOVNTDQ:
    case MN_VMOVNTDQA:
        return true;
    default:
        return false;
    }
}

static void load_whole(struct translator *t, const struct x86_insn *i, ir_reg d, unsigned size)
{
    struct mem_ref m = mem_ref(t, i, size, false);
    unsigned align = wants_alignment(i) ? MO_ALIGN : 0;

    ir_vld(t->ir, d, m.base, m.index, memop_of(size) | align | m.memop, m.disp, avx_flags(size));
}

static void store_whole(struct translator *t, const struct x86_insn *i, ir_reg value, unsigned size)
{
    struct mem_ref m = mem_ref(t, i, size, true);
    unsigned align = wants_alignment(i) ? MO_ALIGN : 0;

    ir_vst(t->ir, m.base, m.index, memop_of(size) | align | m.memop, m.disp, value);
}

static void emit_move(struct translator *t, const struct x86_insn *i)
{
    if (i->op[0].kind == OP_MEM) {
        store_whole(t, i, i->op[1].reg, i->op[0].size);
    } else if (i->op[1].kind == OP_MEM) {
        load_whole(t, i, i->op[0].reg, i->op[1].size);
    } else if (i->mnemonic == MN_VMOVQ) {
        ir_vop(t->ir, VOP_MOVQ, i->op[0].reg, i->op[1].reg, IR_NONE, IR_NONE, 0, IR_VZU);
    } else {
        ir_vmov(t->ir, i->op[0].reg, i->op[1].reg, avx_flags(i->op[0].size));
    }
}

/* VMOVSS, VMOVSD: two operands with memory, three registers else. */
static void emit_move_scalar(struct translator *t, const struct x86_insn *i)
{
    unsigned vop = i->mnemonic == MN_VMOVSS ? VOP_MOVSS : VOP_MOVSD;

    if (i->nops == 2) {
        emit_move(t, i);
    } else {
        ir_vop(t->ir, vop, i->op[0].reg, i->op[1].reg, i->op[2].reg, IR_NONE, 0, IR_VZU);
    }
}

static void emit_movd(struct translator *t, const struct x86_insn *i)
{
    ir_reg r = ir_temp(t->ir);

    if (i->op[0].kind == OP_XMM) {
        ir_reg s = operand_load(t, i, 1), d = i->op[0].reg;
        if (i->op[1].size == 4) {
            ir_un(t->ir, IR_EXT32U, W64, r, s);
            s = r;
        }
        struct ir_op *zero = ir_append(t->ir, IR_VZERO);
        zero->d = d;
        zero->flags = IR_VZU;
        ir_vset(t->ir, d, d, s, 0, MO_64, IR_VZU);
    } else {
        ir_vget(t->ir, r, i->op[1].reg, 0, memop_of(i->op[0].size));
        operand_store(t, i, 0, r);
    }
}

/* VMOVLPS .. VMOVHPD */
static void emit_move_half(struct translator *t, const struct x86_insn *i)
{
    bool high = i->mnemonic == MN_VMOVHPS || i->mnemonic == MN_VMOVHPD;

    if (i->op[0].kind == OP_XMM) {
        ir_vop(t->ir, high ? VOP_MOVLHPS : VOP_MOVSD, i->op[0].reg, i->op[1].reg,
               vector_load(t, i, 2), IR_NONE, 0, IR_VZU);
    } else {
        struct mem_ref m = mem_ref(t, i, 8, true);
        ir_reg r = ir_temp(t->ir);
        ir_vget(t->ir, r, i->op[1].reg, high, MO_64);
        mem_store(t, &m, MO_64, r);
    }
}

/* ---- elements ---- */

static unsigned element_memop(const struct x86_insn *i)
{
    switch (i->mnemonic) {
    case MN_VPEXTRB:
    case MN_VPINSRB:
        return MO_8;
    case MN_VPEXTRW:
    case MN_VPINSRW:
        return MO_16;
    case MN_VEXTRACTPS:
        return MO_32;
    default:
        return i->op[i->nops - 2].kind == OP_XMM ? memop_of(i->op[0].size)
                                                 : memop_of(i->op[2].size);
    }
}

static unsigned element_of(const struct x86_insn *i, unsigned memop)
{
    return (unsigned)i->imm & ((16u >> memop) - 1);
}

static void emit_extract(struct translator *t, const struct x86_insn *i)
{
    unsigned memop = element_memop(i);
    ir_reg r = ir_temp(t->ir);

    ir_vget(t->ir, r, i->op[1].reg, element_of(i, memop), memop);
    operand_store(t, i, 0, r);
}

static void emit_insert(struct translator *t, const struct x86_insn *i)
{
    unsigned memop = element_memop(i);
    ir_reg s = operand_load(t, i, 2);

    ir_vset(t->ir, i->op[0].reg, i->op[1].reg, s, element_of(i, memop), memop, IR_VZU);
}

static void emit_insertps(struct translator *t, const struct x86_insn *i)
{
    unsigned imm = (unsigned)i->imm & (i->op[2].kind == OP_XMM ? 0xff : 0x3f);

    ir_vop(t->ir, VOP_INSERTPS, i->op[0].reg, i->op[1].reg, vector_load(t, i, 2), IR_NONE, imm,
           IR_VZU);
}

/* VPERMD, VPERMPS: the second operand holds the indices. */
static void emit_permute(struct translator *t, const struct x86_insn *i)
{
    ir_vop(t->ir, VOP_VPERMD, i->op[0].reg, vector_load(t, i, 2), i->op[1].reg, IR_NONE, 0,
           IR_V256);
}

/* ---- VZEROUPPER, VZEROALL: the registers that the mode has ---- */

static void emit_zero(struct translator *t, const struct x86_insn *i)
{
    for (unsigned n = 0; n < (t_code64(t) ? 16u : 8u); n++) {
        if (i->mnemonic == MN_VZEROUPPER) {
            ir_vmov(t->ir, (ir_reg)n, (ir_reg)n, IR_VZU);
        } else {
            struct ir_op *zero = ir_append(t->ir, IR_VZERO);
            zero->d = (ir_reg)n;
            zero->flags = IR_VZU;
        }
    }
}

/* ---- masked accesses ---- */

/* What the helpers below get as one number. */
struct masked_access {
    unsigned d, mask, index; /* registers; d: data */
    unsigned size, count;    /* bytes of an element, elements */
    unsigned ctx;
    unsigned scale, index_size, seg; /* gathers */
    bool a32, a64;                   /* addresses of 32 bits; linear addresses of 64 */
};

static int64_t pack(const struct masked_access *a)
{
    return a->d | a->mask << 4 | a->index << 8 | (a->size == 8 ? 1 : 0) << 12 | a->count << 13 |
           a->ctx << 17 | a->scale << 19 | (a->index_size == 8 ? 1 : 0) << 21 | a->seg << 22 |
           (unsigned)a->a32 << 25 | (unsigned)a->a64 << 26;
}

static struct masked_access unpack(uint64_t x)
{
    return (struct masked_access){
        .d = x & 15,
        .mask = x >> 4 & 15,
        .index = x >> 8 & 15,
        .size = x >> 12 & 1 ? 8 : 4,
        .count = x >> 13 & 15,
        .ctx = x >> 17 & 3,
        .scale = x >> 19 & 3,
        .index_size = x >> 21 & 1 ? 8 : 4,
        .seg = x >> 22 & 7,
        .a32 = x >> 25 & 1,
        .a64 = x >> 26 & 1,
    };
}

static bool selected(const union vreg *mask, unsigned n, unsigned size)
{
    return size == 8 ? mask->q[n] >> 63 : mask->d[n] >> 31;
}

static void set_element(union vreg *v, unsigned n, unsigned size, uint64_t value)
{
    if (size == 8) {
        v->q[n] = value;
    } else {
        v->d[n] = (uint32_t)value;
    }
}

/* Linear address of an element at an offset; outside of 64-bit mode its segment's limit is checked.
 */
static uint64_t element_address(struct vcpu *v, const struct masked_access *a, uint64_t offset,
                                bool write)
{
    uint64_t base = v->reg[X86_ES_BASE + a->seg];

    if (a->a32) {
        offset = (uint32_t)offset;
    }
    if (a->a64) {
        return a->seg >= SEG_FS ? base + offset : offset;
    }
    x86_check_seg(x86_cpu(v), (enum x86_segnum)a->seg, offset, a->size, write);
    return (uint32_t)(base + offset);
}

static uint64_t load_element(struct vcpu *v, const struct masked_access *a, uint64_t offset)
{
    return softmmu_load(v, element_address(v, a, offset, false), a->size == 8 ? MO_64 : MO_32,
                        a->ctx);
}

static uint64_t helper_mask_load(struct vcpu *v, uint64_t offset, uint64_t what)
{
    struct masked_access a = unpack(what);
    union vreg r = {0}, mask = v->vec[a.mask];

    for (unsigned n = 0; n < a.count; n++) {
        if (selected(&mask, n, a.size)) {
            set_element(&r, n, a.size, load_element(v, &a, offset + n * a.size));
        }
    }
    v->vec[a.d] = r;
    return 0;
}
X86_HELPER(mask_load, 1, HELPER_IMM | HELPER_RAISES | HELPER_READS | HELPER_VECTOR);

/* All the selected bytes are asked for before any is written. */
static uint64_t helper_mask_store(struct vcpu *v, uint64_t offset, uint64_t what)
{
    struct masked_access a = unpack(what);
    union vreg mask = v->vec[a.mask], data = v->vec[a.d];

    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned n = 0; n < a.count; n++) {
            if (!selected(&mask, n, a.size)) {
                continue;
            }
            uint64_t at = element_address(v, &a, offset + n * a.size, true);
            if (pass == 0) {
                softmmu_atomic_ptr(v, at, MO_8, a.ctx);
                softmmu_atomic_ptr(v, at + a.size - 1, MO_8, a.ctx);
            } else {
                softmmu_store(v, at, a.size == 8 ? data.q[n] : data.d[n],
                              a.size == 8 ? MO_64 : MO_32, a.ctx);
            }
        }
    }
    return 0;
}
X86_HELPER(mask_store, 1, HELPER_IMM | HELPER_RAISES | HELPER_READS | HELPER_VECTOR);

static void emit_maskmov(struct translator *t, const struct x86_insn *i)
{
    bool store = i->op[0].kind == OP_MEM;
    bool wide = i->mnemonic == MN_VMASKMOVPD || i->mnemonic == MN_VPMASKMOVQ;
    struct masked_access a = {
        .d = i->op[store ? 2 : 0].reg,
        .mask = i->op[1].reg,
        .size = wide ? 8 : 4,
        .count = i->op[store ? 2 : 0].size / (wide ? 8u : 4u),
        .ctx = t->ir->ctx,
        .seg = i->seg,
        .a32 = i->addrsize == 4 && !t_code64(t), /* in 64-bit mode the operand's address alone */
        .a64 = t_code64(t),
    };

    ir_call(t->ir, store ? &h_mask_store : &h_mask_load, IR_NONE, effective_address(t, i), IR_NONE,
            IR_NONE, pack(&a));
}

/* ---- gathers ---- */

static void clear_above(union vreg *v, unsigned bytes)
{
    memset(v->b + bytes, 0, sizeof v->b - bytes);
}

/* Elements are loaded from the lowest up; each one that is done is marked so in the mask, so that a
 * fault leaves a state to go on from. */
static uint64_t helper_gather(struct vcpu *v, uint64_t offset, uint64_t what)
{
    struct masked_access a = unpack(what);
    unsigned length = a.count * (a.size > a.index_size ? a.size : a.index_size);
    union vreg index = v->vec[a.index], *mask = &v->vec[a.mask], *d = &v->vec[a.d];

    for (unsigned n = 0; n < length / a.size; n++) { /* the elements become all ones or zeros */
        set_element(mask, n, a.size, selected(mask, n, a.size) ? UINT64_MAX : 0);
    }
    clear_above(mask, length);
    for (unsigned n = 0; n < a.count; n++) {
        if (selected(mask, n, a.size)) {
            int64_t x = a.index_size == 8 ? (int64_t)index.q[n] : (int32_t)index.d[n];
            uint64_t value = load_element(v, &a, offset + ((uint64_t)x << a.scale));
            set_element(d, n, a.size, value);
            set_element(mask, n, a.size, 0);
            clear_above(d, length);
        }
    }
    clear_above(mask, 0);
    clear_above(d, a.size * a.count);
    return 0;
}
X86_HELPER(gather, 1, HELPER_IMM | HELPER_RAISES | HELPER_READS | HELPER_VECTOR);

static void emit_gather(struct translator *t, const struct x86_insn *i)
{
    bool wide_index = i->mnemonic == MN_VPGATHERQD || i->mnemonic == MN_VPGATHERQQ ||
                      i->mnemonic == MN_VGATHERQPS || i->mnemonic == MN_VGATHERQPD;
    unsigned size = i->op[1].size, length = 16u << i->vex_l,
             widest = size == 8 || wide_index ? 8 : 4;
    struct x86_insn plain = *i;
    struct masked_access a = {
        .d = i->op[0].reg,
        .mask = i->op[2].reg,
        .index = i->index,
        .size = size,
        .count = length / widest,
        .ctx = t->ir->ctx,
        .scale = i->scale,
        .index_size = wide_index ? 8 : 4,
        .seg = i->seg,
        .a32 = i->addrsize == 4,
        .a64 = t_code64(t),
    };

    plain.index = X86_NOREG;
    plain.vsib = 0;
    ir_call(t->ir, &h_gather, IR_NONE, effective_address(t, &plain), IR_NONE, IR_NONE, pack(&a));
}

const struct x86_emitter x86_emit_avx[] = {
    {MN_VMOVAPS, emit_move},
    {MN_VMOVAPD, emit_move},
    {MN_VMOVUPS, emit_move},
    {MN_VMOVUPD, emit_move},
    {MN_VMOVDQA, emit_move},
    {MN_VMOVDQU, emit_move},
    {MN_VLDDQU, emit_move},
    {MN_VMOVNTPS, emit_move},
    {MN_VMOVNTPD, emit_move},
    {MN_VMOVNTDQ, emit_move},
    {MN_VMOVNTDQA, emit_move},
    {MN_VMOVQ, emit_move},
    {MN_VMOVD, emit_movd},
    {MN_VMOVSS, emit_move_scalar},
    {MN_VMOVSD, emit_move_scalar},
    {MN_VMOVLPS, emit_move_half},
    {MN_VMOVLPD, emit_move_half},
    {MN_VMOVHPS, emit_move_half},
    {MN_VMOVHPD, emit_move_half},
    {MN_VPEXTRB, emit_extract},
    {MN_VPEXTRW, emit_extract},
    {MN_VPEXTRD, emit_extract},
    {MN_VEXTRACTPS, emit_extract},
    {MN_VPINSRB, emit_insert},
    {MN_VPINSRW, emit_insert},
    {MN_VPINSRD, emit_insert},
    {MN_VINSERTPS, emit_insertps},
    {MN_VPERMD, emit_permute},
    {MN_VPERMPS, emit_permute},
    {MN_VZEROUPPER, emit_zero},
    {MN_VZEROALL, emit_zero},
    {MN_VMASKMOVPS, emit_maskmov},
    {MN_VMASKMOVPD, emit_maskmov},
    {MN_VPMASKMOVD, emit_maskmov},
    {MN_VPMASKMOVQ, emit_maskmov},
    {MN_VPGATHERDD, emit_gather},
    {MN_VPGATHERDQ, emit_gather},
    {MN_VPGATHERQD, emit_gather},
    {MN_VPGATHERQQ, emit_gather},
    {MN_VGATHERDPS, emit_gather},
    {MN_VGATHERDPD, emit_gather},
    {MN_VGATHERQPS, emit_gather},
    {MN_VGATHERQPD, emit_gather},
    {MN_VMASKMOVDQU, emit_sse_maskmov},
    {MN_VLDMXCSR, emit_sse_ldmxcsr},
    {MN_VSTMXCSR, emit_sse_stmxcsr},
    {MN_VPCMPESTRI, emit_sse_pcmpstr},
    {MN_VPCMPESTRM, emit_sse_pcmpstr},
    {MN_VPCMPISTRI, emit_sse_pcmpstr},
    {MN_VPCMPISTRM, emit_sse_pcmpstr},
    {0, NULL},
};
