/* Segmentation: descriptors, loading of segment registers, limit checks, stacks, and the
 * instructions that inspect selectors.
 *
 * From the SDM: Vol. 3 chapters 3.4, 3.5, 5 (protection) and 20.1 (real mode); Vol. 2 MOV, LAR,
 * LSL, VERR, LLDT, LTR. Left out: the shadow stack (CET). */
#include "cpu/segment.h"

bool x86_canonical(const struct x86_cpu *c, uint64_t address)
{
    unsigned unused = c->cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;

    return (uint64_t)((int64_t)(address << unused) >> unused) == address;
}

/* ---- descriptors ---- */

void x86_desc_parse(struct x86_desc *d, uint32_t lo, uint32_t hi)
{
    d->lo = lo;
    d->hi = hi;
    d->attr = (uint16_t)(hi >> 8) & 0xf0ff;
    d->base = (lo >> 16) | (hi & 0xff) << 16 | (hi & 0xff000000);
    d->limit = (lo & 0xffff) | (hi & 0xf0000);
    if (d->attr & SEGA_G) {
        d->limit = d->limit << 12 | 0xfff;
    }
}

/* Whether `size` bytes of the descriptor at sel are inside its table, and where it is. */
static bool table_entry(struct x86_cpu *c, uint16_t sel, unsigned size, uint64_t *lin)
{
    uint32_t index = sel & 0xfff8u;
    uint64_t base;

    if (sel & 4) {
        if (!(c->ldtr.attr & SEGA_P) || index + size - 1 > c->ldtr.limit) {
            return false;
        }
        base = c->ldtr.base;
    } else {
        if (index + size - 1 > c->gdtr.limit) {
            return false;
        }
        base = c->gdtr.base;
    }
    *lin = base + index;
    if (!x86_long_mode(c)) {
        *lin = (uint32_t)*lin;
    }
    return true;
}

bool x86_desc_read(struct x86_cpu *c, uint16_t sel, struct x86_desc *d)
{
    uint64_t raw;

    if (!table_entry(c, sel, 8, &d->lin)) {
        return false;
    }
    raw = x86_load(c, d->lin, MO_64, 0);
    d->sel = sel;
    x86_desc_parse(d, (uint32_t)raw, (uint32_t)(raw >> 32));
    return true;
}

bool x86_desc_read_upper(struct x86_cpu *c, struct x86_desc *d, uint32_t *upper)
{
    uint64_t lin, raw;

    if (!table_entry(c, d->sel, 16, &lin)) {
        return false;
    }
    raw = x86_load(c, d->lin + 8, MO_64, 0);
    if (raw >> 40 & 0x1f) { /* the place of a type and S: must be 0 */
        return false;
    }
    d->base = (uint32_t)d->base | raw << 32;
    if (upper) {
        *upper = (uint32_t)raw;
    }
    return true;
}

void x86_desc_change_type(struct x86_cpu *c, uint64_t lin, uint8_t set, uint8_t clear)
{
    uint64_t at = lin + 5;
    uint8_t *p = softmmu_atomic_ptr(&c->v, at, MO_8, 0);

    if (p) {
        if (set) {
            __atomic_fetch_or(p, set, __ATOMIC_SEQ_CST);
        }
        if (clear) {
            __atomic_fetch_and(p, (uint8_t)~clear, __ATOMIC_SEQ_CST);
        }
    } else { /* a table in device memory: nobody can lock that */
        uint64_t old = x86_load(c, at, MO_8, 0);

        x86_store(c, at, (old | set) & (uint8_t)~clear, MO_8, 0);
    }
}

void x86_desc_probe_write(struct x86_cpu *c, uint64_t lin)
{
    softmmu_atomic_ptr(&c->v, lin + 5, MO_8, 0);
}

void x86_desc_set_accessed(struct x86_cpu *c, struct x86_desc *d)
{
    if (!(d->attr & SEGA_A)) {
        x86_desc_change_type(c, d->lin, SEGA_A, 0);
        d->attr |= SEGA_A;
        d->hi |= SEGA_A << 8;
    }
}

/* ---- segment registers ---- */

void x86_set_seg(struct x86_cpu *c, enum x86_segnum s, uint16_t sel, uint64_t base, uint32_t limit,
                 uint16_t attr)
{
    c->seg[s] = (struct x86_seg){.sel = sel, .attr = attr, .limit = limit};
    c->v.reg[X86_ES_BASE + s] = base;
}

void x86_set_seg_desc(struct x86_cpu *c, enum x86_segnum s, uint16_t sel, const struct x86_desc *d)
{
    x86_set_seg(c, s, sel, d->base, d->limit, d->attr);
}

void x86_set_seg_null(struct x86_cpu *c, enum x86_segnum s, uint16_t sel)
{
    /* The limit stays: a real-mode load after it makes the register usable again and keeps it. */
    x86_set_seg(c, s, sel, c->v.reg[X86_ES_BASE + s], c->seg[s].limit, 0);
}

void x86_set_seg_real(struct x86_cpu *c, enum x86_segnum s, uint16_t sel, bool vm)
{
    uint64_t base = (uint64_t)sel << 4;

    if (vm) {
        x86_set_seg(c, s, sel, base, 0xffff,
                    SEGA_P | 3 << SEGA_DPL_SHIFT | SEGA_S | SEGA_RW | SEGA_A);
    } else { /* limit and D/B stay what protected mode left: "unreal" mode lives from it */
        x86_set_seg(c, s, sel, base, c->seg[s].limit,
                    (c->seg[s].attr & (SEGA_G | SEGA_DB)) | SEGA_P | SEGA_S | SEGA_RW | SEGA_A);
    }
}

void x86_fetch_stack_seg(struct x86_cpu *c, uint16_t sel, unsigned cpl, struct x86_desc *d,
                         enum x86_vector bad, unsigned ext)
{
    uint32_t error = x86_sel_error(sel, ext);

    if (!x86_desc_read(c, sel, d) || (sel & 3u) != cpl || !x86_attr_writable(d->attr) ||
        x86_attr_dpl(d->attr) != cpl) {
        x86_raise_error(c, bad, error);
    }
    if (!(d->attr & SEGA_P)) {
        x86_raise_error(c, EXC_SS, error);
    }
}

void x86_fetch_data_seg(struct x86_cpu *c, uint16_t sel, unsigned cpl, struct x86_desc *d,
                        enum x86_vector bad, unsigned ext)
{
    uint32_t error = x86_sel_error(sel, ext);

    if (!x86_desc_read(c, sel, d) || !x86_attr_readable(d->attr)) {
        x86_raise_error(c, bad, error);
    }
    if (!(x86_attr_code(d->attr) && x86_attr_conforming(d->attr)) &&
        ((sel & 3u) > x86_attr_dpl(d->attr) || cpl > x86_attr_dpl(d->attr))) {
        x86_raise_error(c, bad, error);
    }
    if (!(d->attr & SEGA_P)) {
        x86_raise_error(c, EXC_NP, error);
    }
}

void x86_load_seg(struct x86_cpu *c, enum x86_segnum s, uint16_t sel)
{
    struct x86_desc d;

    if (!x86_protected(c)) {
        x86_set_seg_real(c, s, sel, c->eflags & FL_VM);
    } else if (s == SEG_SS) {
        if (x86_sel_null(sel)) {
            if (!x86_code64(c) || c->cpl == 3 || (sel & 3) != c->cpl) {
                x86_raise_error(c, EXC_GP, 0);
            }
            x86_set_seg(c, s, sel, 0, 0xffffffff, (uint16_t)(c->cpl << SEGA_DPL_SHIFT));
        } else {
            x86_fetch_stack_seg(c, sel, c->cpl, &d, EXC_GP, 0);
            x86_desc_set_accessed(c, &d);
            x86_set_seg_desc(c, s, sel, &d);
        }
    } else if (x86_sel_null(sel)) {
        x86_set_seg_null(c, s, sel);
        if (x86_long_mode(c)) {
            c->v.reg[X86_ES_BASE + s] = 0;
        }
    } else {
        x86_fetch_data_seg(c, sel, c->cpl, &d, EXC_GP, 0);
        x86_desc_set_accessed(c, &d);
        x86_set_seg_desc(c, s, sel, &d);
    }
    x86_update_key(c);
}

void x86_drop_inner_segs(struct x86_cpu *c)
{
    static const uint8_t data_segs[] = {SEG_ES, SEG_FS, SEG_GS, SEG_DS};

    for (unsigned i = 0; i < sizeof(data_segs); i++) {
        uint16_t attr = c->seg[data_segs[i]].attr;

        if ((attr & SEGA_P) && !(x86_attr_code(attr) && x86_attr_conforming(attr)) &&
            x86_attr_dpl(attr) < c->cpl) {
            x86_set_seg_null(c, data_segs[i], 0);
        }
    }
}

/* ---- limits ---- */

/* Whether bytes offset .. offset + size - 1 are inside a segment's limit. */
static bool within_limit(const struct x86_seg *s, uint64_t offset, unsigned size)
{
    uint64_t last = offset + size - 1;

    if (last < offset) {
        return false;
    }
    if ((s->attr & (SEGA_S | SEGA_CODE | SEGA_CE)) == (SEGA_S | SEGA_CE)) { /* expand down */
        return offset > s->limit && last <= (s->attr & SEGA_DB ? 0xffffffffu : 0xffffu);
    }
    /* Processors let an access wrap around 4 GiB in a segment of so many bytes (volume 3, 5.3). */
    return last <= s->limit || s->limit == UINT32_MAX;
}

void x86_check_seg(struct x86_cpu *c, enum x86_segnum s, uint64_t offset, unsigned size, bool write)
{
    const struct x86_seg *seg = &c->seg[s];
    bool ok;

    if (x86_code64(c)) {
        uint64_t lin = offset + (s >= SEG_FS ? c->v.reg[X86_ES_BASE + s] : 0);

        ok = x86_canonical(c, lin) && x86_canonical(c, lin + size - 1);
    } else {
        ok = within_limit(seg, offset, size);
        if (x86_protected(c)) { /* real mode writes through CS and V86 does not look at types */
            ok = ok && (seg->attr & SEGA_P) &&
                 (write ? x86_attr_writable(seg->attr) : x86_attr_readable(seg->attr));
        }
    }
    if (!ok) {
        x86_raise_error(c, s == SEG_SS ? EXC_SS : EXC_GP, 0);
    }
}

/* ---- stacks ---- */

void x86_stack_flat64(struct x86_stack *s, struct x86_cpu *c, uint64_t rsp, unsigned ctx,
                      uint32_t error)
{
    *s = (struct x86_stack){.c = c, .sp = rsp, .mask = UINT64_MAX, .ctx = ctx, .error = error};
}

void x86_stack_desc(struct x86_stack *s, struct x86_cpu *c, const struct x86_desc *d, uint64_t sp,
                    unsigned ctx, uint32_t error)
{
    *s = (struct x86_stack){
        .c = c,
        .seg = {.sel = d->sel, .attr = d->attr, .limit = d->limit},
        .base = d->base,
        .mask = d->attr & SEGA_DB ? 0xffffffff : 0xffff,
        .ctx = ctx,
        .error = error,
    };
    s->sp = sp & s->mask;
}

void x86_stack_current(struct x86_stack *s, struct x86_cpu *c, uint32_t error)
{
    if (x86_code64(c)) {
        x86_stack_flat64(s, c, c->v.reg[X86_RSP], x86_ctx_now(c), error);
        return;
    }
    *s = (struct x86_stack){
        .c = c,
        .seg = c->seg[SEG_SS],
        .base = c->v.reg[X86_SS_BASE],
        .mask = c->seg[SEG_SS].attr & SEGA_DB ? 0xffffffff : 0xffff,
        .ctx = x86_ctx_now(c),
        .error = error,
    };
    s->sp = c->v.reg[X86_RSP] & s->mask;
}

/* Linear address of size bytes at an offset of the stack segment, checked. */
static uint64_t stack_linear(const struct x86_stack *s, uint64_t offset, unsigned size)
{
    struct x86_cpu *c = s->c;

    if (s->mask == UINT64_MAX) {
        if (!x86_canonical(c, offset) || !x86_canonical(c, offset + size - 1)) {
            x86_raise_error(c, EXC_SS, s->error);
        }
        return offset;
    }
    if (!within_limit(&s->seg, offset, size) || (x86_protected(c) && !(s->seg.attr & SEGA_P))) {
        x86_raise_error(c, EXC_SS, s->error);
    }
    return (uint32_t)(s->base + offset);
}

void x86_stack_push(struct x86_stack *s, unsigned size, uint64_t value)
{
    s->sp = (s->sp - size) & s->mask;
    x86_store(s->c, stack_linear(s, s->sp, size), value, (unsigned)__builtin_ctz(size), s->ctx);
}

uint64_t x86_stack_peek(struct x86_stack *s, uint64_t offset, unsigned size)
{
    uint64_t at = (s->sp + offset) & s->mask;

    return x86_load(s->c, stack_linear(s, at, size), (unsigned)__builtin_ctz(size), s->ctx);
}

uint64_t x86_stack_pop(struct x86_stack *s, unsigned size)
{
    uint64_t value = x86_stack_peek(s, 0, size);

    s->sp = (s->sp + size) & s->mask;
    return value;
}

void x86_set_sp(struct x86_cpu *c, uint64_t mask, uint64_t sp)
{
    uint64_t *rsp = &c->v.reg[X86_RSP];

    *rsp = mask == 0xffff ? (*rsp & ~UINT64_C(0xffff)) | (sp & 0xffff) : sp & mask;
}

void x86_stack_commit(const struct x86_stack *s)
{
    x86_set_sp(s->c, s->mask, s->sp);
}

/* ---- instructions that look at selectors ---- */

#define TYPE_BIT(t) (1u << (t))
enum {
    LSL_TYPES = TYPE_BIT(DESC_TSS16) | TYPE_BIT(DESC_LDT) | TYPE_BIT(DESC_TSS16_BUSY) |
                TYPE_BIT(DESC_TSS32) | TYPE_BIT(DESC_TSS32_BUSY),
    LSL_TYPES_LONG = TYPE_BIT(DESC_LDT) | TYPE_BIT(DESC_TSS32) | TYPE_BIT(DESC_TSS32_BUSY),
    LAR_TYPES =
        LSL_TYPES | TYPE_BIT(DESC_CALL16) | TYPE_BIT(DESC_TASK_GATE) | TYPE_BIT(DESC_CALL32),
    LAR_TYPES_LONG = LSL_TYPES_LONG | TYPE_BIT(DESC_CALL32),
};

/* Whether the current level may see the descriptor of sel; types: system types that count. */
static bool visible(struct x86_cpu *c, uint16_t sel, unsigned types, struct x86_desc *d)
{
    if (x86_sel_null(sel) || !x86_desc_read(c, sel, d)) {
        return false;
    }
    if (!(d->attr & SEGA_S) && !(types >> (d->attr & SEGA_TYPE) & 1)) {
        return false;
    }
    if (x86_attr_code(d->attr) && x86_attr_conforming(d->attr)) {
        return true;
    }
    return c->cpl <= x86_attr_dpl(d->attr) && (sel & 3u) <= x86_attr_dpl(d->attr);
}

uint64_t x86_lar(struct x86_cpu *c, uint16_t sel)
{
    struct x86_desc d;

    if (!visible(c, sel, x86_long_mode(c) ? LAR_TYPES_LONG : LAR_TYPES, &d)) {
        return 0;
    }
    /* Bits 19:16 are "undefined"; processors show the descriptor's. */
    return UINT64_C(1) << 32 | (d.hi & 0x00ffff00);
}

uint64_t x86_lsl(struct x86_cpu *c, uint16_t sel)
{
    struct x86_desc d;

    if (!visible(c, sel, x86_long_mode(c) ? LSL_TYPES_LONG : LSL_TYPES, &d)) {
        return 0;
    }
    return UINT64_C(1) << 32 | d.limit;
}

bool x86_verify(struct x86_cpu *c, uint16_t sel, bool write)
{
    struct x86_desc d;

    return visible(c, sel, 0, &d) &&
           (write ? x86_attr_writable(d.attr) : x86_attr_readable(d.attr));
}

/* Common checks of LLDT and LTR; types: descriptor types that will do. */
static void fetch_system(struct x86_cpu *c, uint16_t sel, unsigned types, struct x86_desc *d)
{
    uint32_t error = x86_sel_error(sel, 0);

    if ((sel & 4) || !x86_desc_read(c, sel, d) || (d->attr & SEGA_S) ||
        !(types >> (d->attr & SEGA_TYPE) & 1)) {
        x86_raise_error(c, EXC_GP, error);
    }
    if (!(d->attr & SEGA_P)) {
        x86_raise_error(c, EXC_NP, error);
    }
    if (x86_long_mode(c) && (!x86_desc_read_upper(c, d, NULL) || !x86_canonical(c, d->base))) {
        x86_raise_error(c, EXC_GP, error);
    }
}

void x86_lldt(struct x86_cpu *c, uint16_t sel)
{
    struct x86_desc d;

    if (x86_sel_null(sel)) {
        c->ldtr.sel = sel;
        c->ldtr.attr = 0;
        return;
    }
    fetch_system(c, sel, TYPE_BIT(DESC_LDT), &d);
    c->ldtr = (struct x86_sysseg){.sel = sel, .attr = d.attr, .limit = d.limit, .base = d.base};
}

void x86_ltr(struct x86_cpu *c, uint16_t sel)
{
    struct x86_desc d;

    if (x86_sel_null(sel)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    fetch_system(c, sel, TYPE_BIT(DESC_TSS32) | (x86_long_mode(c) ? 0 : TYPE_BIT(DESC_TSS16)), &d);
    x86_desc_change_type(c, d.lin, DESC_TSS_BUSY_BIT, 0);
    c->tr = (struct x86_sysseg){
        .sel = sel, .attr = d.attr | DESC_TSS_BUSY_BIT, .limit = d.limit, .base = d.base};
}
