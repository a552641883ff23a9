/* Operands of instructions as IR: general registers with x86's merge rules, memory references with
 * segmentation, the stack.
 *
 * What a memory reference costs depends on the key word of the block: nothing beyond the addressing
 * mode in 64-bit and flat 32-bit code; an addition of the base, and a comparison with the limit
 * (real and V86 mode) or a call of x86_check_seg (protected mode), where segments are not flat.
 * Linear addresses wrap at 32 bits outside 64-bit mode (SDM volume 3, 3.3); the canonical check of
 * 64-bit addresses is the page walk's. With alignment checks on (KEY_AC) each reference is tested
 * first. */
#include "cpu/segment.h"
#include "cpu/translate.h"

/* ---- general registers ---- */

ir_reg gpr_read(struct translator *t, unsigned reg, unsigned size, bool high8)
{
    if (size >= 4) {
        return (ir_reg)reg;
    }
    ir_reg d = ir_temp(t->ir);
    if (high8) {
        ir_extract(t->ir, d, (ir_reg)reg, 8, 8);
    } else {
        ir_un(t->ir, size == 1 ? IR_EXT8U : IR_EXT16U, W64, d, (ir_reg)reg);
    }
    return d;
}

void gpr_write(struct translator *t, unsigned reg, unsigned size, bool high8, ir_reg value)
{
    ir_reg d = (ir_reg)reg;

    if (size >= 4) {
        ir_mov(t->ir, width_of(size), d, value);
    } else {
        ir_deposit(t->ir, d, d, value, high8 ? 8 : 0, 8 * size);
    }
}

/* ---- segments ---- */

static uint64_t helper_check_seg(struct vcpu *v, uint64_t offset, uint64_t what)
{
    x86_check_seg(x86_cpu(v), what & 0xff, offset, what >> 16 & 0xffff, what >> 8 & 1);
    return 0;
}
X86_HELPER(check_seg, 1, HELPER_IMM | HELPER_RAISES);

/* A non-canonical address is left to the access, whose fault comes first. */
static uint64_t helper_alignment(struct vcpu *v, uint64_t linear)
{
    if (x86_canonical(x86_cpu(v), linear)) {
        x86_raise_error(x86_cpu(v), EXC_AC, 0);
    }
    return 0;
}
X86_HELPER(alignment, 1, HELPER_RAISES);

static bool seg_is_stack_or_data(enum x86_segnum seg)
{
    return seg == SEG_DS || seg == SEG_ES || seg == SEG_SS;
}

/* The base must be added to offsets. */
static bool has_base(const struct translator *t, enum x86_segnum seg)
{
    if (seg == SEG_FS || seg == SEG_GS) {
        return true;
    }
    if (t_code64(t)) {
        return false;
    }
    return !(t->key & (seg == SEG_CS ? KEY_CS_ZERO : KEY_ZERO_BASES));
}

static bool needs_check(const struct translator *t, enum x86_segnum seg)
{
    if (t_code64(t)) {
        return false;
    }
    return !seg_is_stack_or_data(seg) || !(t->key & KEY_FLAT_LIMITS);
}

/* Emits the limit and access check of [offset, offset + size) before the access. */
static void emit_check(struct translator *t, enum x86_segnum seg, ir_reg offset, unsigned size,
                       bool write)
{
    struct ir *ir = t->ir;
    bool inline_limit = !(t->key & KEY_PE) || (t->key & KEY_VM);
    unsigned ok = 0;

    if (size == 0) {
        size = 1;
    }
    if (inline_limit) {
        /* Segments are plain data here: only what the limit refuses is looked at closely. */
        ir_reg last = offset, limit = ir_temp(ir);
        if (size > 1) {
            last = ir_temp(ir);
            ir_bini(ir, IR_ADD, W64, last, offset, size - 1);
        }
        ir_ldenv(ir, limit, offsetof(struct x86_cpu, seg[seg].limit), MO_32);
        ok = ir_label_new(ir);
        ir_brcond(ir, IR_LEU, W64, last, limit, ok);
    }
    ir_call(ir, &h_check_seg, IR_NONE, offset, IR_NONE, IR_NONE,
            seg | (write ? 1 << 8 : 0) | (int64_t)size << 16);
    if (inline_limit) {
        ir_label(ir, ok);
    }
}

static void emit_alignment_check(struct translator *t, ir_reg linear, unsigned size)
{
    unsigned ok = ir_label_new(t->ir);

    ir_brcondi(t->ir, IR_TSTEQ, W64, linear, size - 1, ok);
    ir_call(t->ir, &h_alignment, IR_NONE, linear, IR_NONE, IR_NONE, 0);
    ir_label(t->ir, ok);
}

static bool wants_alignment(const struct translator *t, unsigned size)
{
    return (t->key & KEY_AC) && (size == 2 || size == 4 || size == 8);
}

/* The sum that an addressing mode means, in one register (which may be a guest register). */
static ir_reg ref_linear(struct translator *t, const struct mem_ref *m)
{
    struct ir *ir = t->ir;
    bool a32 = m->memop & MO_A32;
    enum ir_width w = a32 ? W32 : W64; /* W32 truncates as it goes */
    ir_reg sum = m->base;

    if (m->memop & MO_INDEX) {
        unsigned scale = m->memop >> MO_SCALE & 3;
        ir_reg index = m->index, d = ir_temp(ir);
        if (scale) {
            ir_bini(ir, IR_SHL, w, d, index, scale);
            index = d;
        }
        ir_bin(ir, IR_ADD, w, d, sum, index);
        sum = d;
    }
    if (m->disp) {
        ir_reg d = ir_temp(ir);
        ir_bini(ir, IR_ADD, w, d, sum, m->disp);
        sum = d;
    }
    if (a32 && sum == m->base) {
        sum = ir_temp(ir);
        ir_un(ir, IR_EXT32U, W64, sum, m->base);
    }
    return sum;
}

static struct mem_ref finish_ref(struct translator *t, struct mem_ref m)
{
    if (wants_alignment(t, m.size)) {
        m.base = ref_linear(t, &m);
        m.index = IR_NONE;
        m.memop = 0;
        m.disp = 0;
        emit_alignment_check(t, m.base, m.size);
    }
    return m;
}

ir_reg seg_linear(struct translator *t, enum x86_segnum seg, ir_reg offset, unsigned size,
                  bool write)
{
    ir_reg linear = offset;

    if (needs_check(t, seg)) {
        emit_check(t, seg, offset, size, write);
    }
    if (has_base(t, seg)) {
        linear = ir_temp(t->ir);
        ir_bin(t->ir, IR_ADD, t_code64(t) ? W64 : W32, linear, offset, (ir_reg)(X86_ES_BASE + seg));
    }
    if (wants_alignment(t, size)) {
        emit_alignment_check(t, linear, size);
    }
    return linear;
}

/* ---- memory operands ---- */

struct address { /* base + (index << scale) + disp, before any truncation */
    ir_reg base, index;
    unsigned scale;
    int64_t disp;
};

/* Registers of the instruction's address. Base is never missing; large displacements become one. */
static struct address address_of(struct translator *t, const struct x86_insn *i, int64_t extra)
{
    struct address a = {IR_NONE, IR_NONE, 0, (int64_t)((uint64_t)i->disp + (uint64_t)extra)};

    if (i->base == X86_RIPREG) {
        a.base = ir_temp(t->ir);
        ir_movpc(t->ir, a.base, (int64_t)((uint64_t)a.disp + t->next_off));
        a.disp = 0;
        return a;
    }
    if (i->base != X86_NOREG) {
        a.base = i->base;
    }
    if (i->index != X86_NOREG) {
        if (a.base == IR_NONE && i->scale == 0) {
            a.base = i->index;
        } else {
            a.index = i->index;
            a.scale = i->scale;
        }
    }
    if (a.base == IR_NONE || a.disp != (int32_t)a.disp) {
        ir_reg d = ir_temp(t->ir);
        ir_movi(t->ir, d, (uint64_t)a.disp);
        a.disp = 0;
        if (a.base == IR_NONE) {
            a.base = d;
        } else {
            ir_bin(t->ir, IR_ADD, W64, d, d, a.base);
            a.base = d;
        }
    }
    return a;
}

/* Puts the effective address, truncated to size bytes (at most the address size), into d. */
static void effective_address_into(struct translator *t, const struct x86_insn *i, int64_t extra,
                                   unsigned size, ir_reg d)
{
    struct ir *ir = t->ir;
    enum ir_width w = width_of(size);

    if (i->base == X86_NOREG && i->index == X86_NOREG) {
        uint64_t disp = (uint64_t)i->disp + (uint64_t)extra;
        if (size < 8) {
            disp &= size == 4 ? UINT32_MAX : UINT16_MAX;
        }
        ir_movi(ir, d, disp);
        return;
    }
    struct address a = address_of(t, i, extra);
    if (a.index != IR_NONE) {
        ir_reg index = a.index;
        if (a.scale) {
            index = ir_temp(ir);
            ir_bini(ir, IR_SHL, w, index, a.index, a.scale);
        }
        ir_bin(ir, IR_ADD, w, d, a.base, index);
        if (a.disp) {
            ir_bini(ir, IR_ADD, w, d, d, a.disp);
        }
    } else if (a.disp) {
        ir_bini(ir, IR_ADD, w, d, a.base, a.disp);
    } else if (size > 2) {
        ir_mov(ir, w, d, a.base);
    } else {
        ir_un(ir, IR_EXT16U, W64, d, a.base);
        return;
    }
    if (size == 2) {
        ir_un(ir, IR_EXT16U, W64, d, d);
    }
}

ir_reg effective_address(struct translator *t, const struct x86_insn *i)
{
    ir_reg d = ir_temp(t->ir);

    effective_address_into(t, i, 0, i->addrsize, d);
    return d;
}

void emit_effective_address(struct translator *t, const struct x86_insn *i, ir_reg d, unsigned size)
{
    effective_address_into(t, i, 0, size < i->addrsize ? size : i->addrsize, d);
}

/* A reference to an offset that is already truncated and, where needed, checked. */
static struct mem_ref offset_ref(struct translator *t, enum x86_segnum seg, ir_reg offset,
                                 unsigned size)
{
    struct mem_ref m = {offset, IR_NONE, t_code64(t) ? 0 : MO_A32, 0, size};

    if (has_base(t, seg)) {
        m.index = (ir_reg)(X86_ES_BASE + seg);
        m.memop |= MO_INDEX;
    }
    return m;
}

static struct mem_ref mem_ref_offset(struct translator *t, const struct x86_insn *i, unsigned size,
                                     bool write, int64_t extra, ir_reg *offset)
{
    enum x86_segnum seg = i->seg;
    bool check = needs_check(t, seg), base = has_base(t, seg);

    *offset = IR_NONE;
    /* Where the offset itself is looked at, or is narrower than the linear address, it is computed.
     */
    if (check || i->addrsize == 2 || (base && t_code64(t) && i->addrsize == 4)) {
        ir_reg o = ir_temp(t->ir);
        effective_address_into(t, i, extra, i->addrsize, o);
        if (check) {
            emit_check(t, seg, o, size, write);
        }
        *offset = o;
        return finish_ref(t, offset_ref(t, seg, o, size));
    }

    struct address a = address_of(t, i, extra);
    struct mem_ref m = {a.base, a.index, i->addrsize == 8 ? 0 : MO_A32, a.disp, size};
    if (a.index != IR_NONE) {
        m.memop |= MO_INDEX | a.scale << MO_SCALE;
    }
    if (base) {
        ir_reg b = (ir_reg)(X86_ES_BASE + seg);
        if (a.index == IR_NONE) {
            m.index = b;
            m.memop |= MO_INDEX;
        } else {
            m.base = ir_temp(t->ir);
            ir_bin(t->ir, IR_ADD, W64, m.base, a.base, b);
        }
    }
    return finish_ref(t, m);
}

struct mem_ref mem_ref_at(struct translator *t, const struct x86_insn *i, unsigned size, bool write,
                          int64_t extra)
{
    ir_reg offset;

    return mem_ref_offset(t, i, size, write, extra, &offset);
}

struct mem_ref mem_ref(struct translator *t, const struct x86_insn *i, unsigned size, bool write)
{
    return mem_ref_at(t, i, size, write, 0);
}

ir_reg mem_linear(struct translator *t, const struct x86_insn *i, unsigned size, bool write)
{
    struct mem_ref m = mem_ref(t, i, size, write);

    return ref_linear(t, &m);
}

ir_reg mem_load(struct translator *t, const struct mem_ref *m, unsigned memop)
{
    ir_reg d = ir_temp(t->ir);

    ir_ld(t->ir, W64, d, m->base, m->index, memop | m->memop, m->disp);
    return d;
}

void mem_store(struct translator *t, const struct mem_ref *m, unsigned memop, ir_reg value)
{
    ir_st(t->ir, m->base, m->index, memop | m->memop, m->disp, value);
}

/* ---- generic operands ---- */

/* The cached reference is good when nothing was branched over since it was made. */
static bool cached_ref(const struct translator *t, unsigned size)
{
    if (!t->mem.valid || t->mem.size != size) {
        return false;
    }
    for (unsigned n = t->mem.nops; n < t->ir->nops; n++) {
        if (t->ir->ops[n].opc == IR_LABEL) {
            return false;
        }
    }
    return true;
}

static const struct mem_ref *operand_ref(struct translator *t, const struct x86_insn *i, unsigned n,
                                         bool write)
{
    unsigned size = i->op[n].size;

    if (cached_ref(t, size)) {
        if (write) {
            mark_rmw(t);
        }
        if (write && !t->mem.write && t->mem.offset != IR_NONE && needs_check(t, i->seg) &&
            (t->key & (KEY_PE | KEY_VM)) == KEY_PE) {
            emit_check(t, i->seg, t->mem.offset, size, true);
            t->mem.write = true;
            t->mem.nops = t->ir->nops;
        }
        return &t->mem.ref;
    }
    t->mem.ref = mem_ref_offset(t, i, size, write, 0, &t->mem.offset);
    t->mem.valid = true;
    t->mem.write = write;
    t->mem.size = size;
    t->mem.nops = t->ir->nops;
    return &t->mem.ref;
}

static ir_reg immediate(struct translator *t, uint64_t value)
{
    ir_reg d = ir_temp(t->ir);

    ir_movi(t->ir, d, value);
    return d;
}

ir_reg operand_load(struct translator *t, const struct x86_insn *i, unsigned n)
{
    const struct x86_operand *o = &i->op[n];

    switch (o->kind) {
    case OP_GPR:
        return gpr_read(t, o->reg, o->size, o->high8);
    case OP_MEM:
    case OP_MOFFS:
        return mem_load(t, operand_ref(t, i, n, false), memop_of(o->size));
    case OP_IMM:
    case OP_FAR:
        return immediate(t, o->size < 8 && o->size
                                ? (uint64_t)i->imm & (UINT64_MAX >> (64 - 8 * o->size))
                                : (uint64_t)i->imm);
    case OP_IMM2:
        return immediate(t, i->imm2);
    case OP_ONE:
        return immediate(t, 1);
    default:
        __builtin_unreachable(); /* other kinds are loaded by their own families */
    }
}

ir_reg operand_load_signed(struct translator *t, const struct x86_insn *i, unsigned n)
{
    const struct x86_operand *o = &i->op[n];
    struct ir *ir = t->ir;

    if (o->kind == OP_IMM) {
        return immediate(t, (uint64_t)i->imm);
    }
    if (o->kind == OP_MEM || o->kind == OP_MOFFS) {
        const struct mem_ref *m = operand_ref(t, i, n, false);
        ir_reg d = ir_temp(ir);
        unsigned sign = o->size < 8 ? MO_SIGN : 0;
        ir_ld(ir, W64, d, m->base, m->index, memop_of(o->size) | sign | m->memop, m->disp);
        return d;
    }
    ir_reg a = operand_load(t, i, n), d = ir_temp(ir);
    switch (o->size) {
    case 1:
        ir_un(ir, IR_EXT8S, W64, d, a);
        break;
    case 2:
        ir_un(ir, IR_EXT16S, W64, d, a);
        break;
    case 4:
        ir_un(ir, IR_EXT32S, W64, d, a);
        break;
    default:
        ir_mov(ir, W64, d, a);
        break;
    }
    return d;
}

void operand_store(struct translator *t, const struct x86_insn *i, unsigned n, ir_reg value)
{
    const struct x86_operand *o = &i->op[n];

    if (o->kind == OP_GPR) {
        gpr_write(t, o->reg, o->size, o->high8, value);
    } else {
        mem_store(t, operand_ref(t, i, n, true), memop_of(o->size), value);
    }
}

/* ---- stack ---- */

struct mem_ref stack_ref(struct translator *t, ir_reg reg, int64_t disp, unsigned size, bool write)
{
    struct mem_ref m = {reg, IR_NONE, 0, disp, size};

    if (t_code64(t)) {
        return finish_ref(t, m);
    }
    if ((t->key & KEY_SS32) && (t->key & KEY_FLAT_LIMITS)) {
        m.memop = MO_A32;
        if (!(t->key & KEY_ZERO_BASES)) {
            m.index = X86_SS_BASE;
            m.memop |= MO_INDEX;
        }
        return finish_ref(t, m);
    }
    ir_reg offset = ir_temp(t->ir);
    if (disp) {
        ir_bini(t->ir, IR_ADD, W32, offset, reg, disp);
    }
    if (!(t->key & KEY_SS32)) {
        ir_un(t->ir, IR_EXT16U, W64, offset, disp ? offset : reg);
    } else if (!disp) {
        ir_un(t->ir, IR_EXT32U, W64, offset, reg);
    }
    if (needs_check(t, SEG_SS)) {
        emit_check(t, SEG_SS, offset, size, write);
    }
    return finish_ref(t, offset_ref(t, SEG_SS, offset, size));
}

void stack_adjust(struct translator *t, int64_t delta)
{
    if (t_code64(t)) {
        ir_bini(t->ir, IR_ADD, W64, X86_RSP, X86_RSP, delta);
    } else if (t->key & KEY_SS32) {
        ir_bini(t->ir, IR_ADD, W32, X86_RSP, X86_RSP, delta);
    } else {
        ir_reg sp = ir_temp(t->ir);
        ir_bini(t->ir, IR_ADD, W32, sp, X86_RSP, delta);
        ir_deposit(t->ir, X86_RSP, X86_RSP, sp, 0, 16);
    }
}

void stack_push(struct translator *t, ir_reg value, unsigned size)
{
    struct mem_ref m = stack_ref(t, X86_RSP, -(int64_t)size, size, true);

    mem_store(t, &m, memop_of(size), value);
    stack_adjust(t, -(int64_t)size);
}

ir_reg stack_top(struct translator *t, unsigned size)
{
    struct mem_ref m = stack_ref(t, X86_RSP, 0, size, false);

    return mem_load(t, &m, memop_of(size));
}
