/* States for the prover's code: registers and memory that make an instruction do something. A
 * single instruction's memory operand is put where alignment, page borders, read-only and missing
 * pages are met; divisors do not always overflow, comparands are sometimes equal, stacks hold
 * return addresses, selectors are sometimes good. */
#include <string.h>

#include "cpu/x86.h"
#include "tests/cpu/generate.h"

struct arrange {
    const struct code *c;
    struct random *r;
    struct native_case *k;
    const struct x86_insn *i;
    unsigned bits;
};

static uint64_t base_of(const struct arrange *a, unsigned seg)
{
    if (a->bits == 16) {
        return seg == SEG_CS ? NATIVE_CODE : NATIVE_DATA;
    }
    return a->bits == 64 && seg == SEG_GS   ? NATIVE_GS_BASE
           : a->bits == 64 && seg == SEG_FS ? NATIVE_FS_BASE
                                            : 0;
}

static bool named(const struct arrange *a, const char *name)
{
    return row_named(a->c->insn[0].row, name);
}

static const struct x86_operand *memory_operand(const struct x86_insn *i)
{
    for (unsigned n = 0; n < i->nops; n++) {
        if (i->op[n].kind == OP_MEM || i->op[n].kind == OP_MOFFS) {
            return &i->op[n];
        }
    }
    return NULL;
}

static uint64_t pick_address(struct random *r, unsigned size, bool aligned)
{
    uint64_t ro = NATIVE_DATA + NATIVE_DATA_WRITABLE, end = NATIVE_DATA + NATIVE_DATA_SIZE;
    uint64_t a = NATIVE_DATA + 0x200 + random_below(r, 0x1c00);
    unsigned kind = random_below(r, 100);

    if (size == 0) {
        size = 1;
    }
    if (kind < 25 || aligned) {
        a &= size == 32 && kind < 70 ? ~(uint64_t)31 : ~(uint64_t)15;
    } else if (kind >= 80 && kind < 86 && size > 1) { /* across two writable pages */
        a = NATIVE_DATA + 0x1000 - 1 - random_below(r, size - 1);
    } else if (kind >= 86 && kind < 91) {
        a = ro + 16 + random_below(r, 0xe00);
    } else if (kind >= 91 && kind < 94 && size > 1) {
        a = ro - 1 - random_below(r, size - 1);
    } else if (kind >= 94 && kind < 96) {
        a = end - size;
    } else if (kind >= 96 && kind < 98) {
        a = end - random_below(r, 16) + random_below(r, 0x800);
    } else if (kind >= 98) {
        a = NATIVE_DATA - random_below(r, size + 1);
    }
    return a;
}

static void set_register(struct arrange *a, unsigned reg, uint64_t value, unsigned addrsize)
{
    if (addrsize < 8 && random_chance(a->r, 50)) { /* the upper part counts for nothing */
        uint64_t mask = addrsize == 2 ? UINT16_MAX : UINT32_MAX;
        value = (value & mask) | (random_next(a->r) & ~mask);
    }
    a->k->reg[reg] = value;
}

/* ---- memory ---- */

static void patch(struct arrange *a, uint64_t address, unsigned size, const void *value)
{
    uint64_t at = address - NATIVE_DATA;

    if (at < NATIVE_DATA_SIZE && at + size <= NATIVE_DATA_SIZE && a->k->npatches < NATIVE_PATCHES &&
        size <= 32) {
        struct native_patch *p = &a->k->patch[a->k->npatches++];
        p->at = (uint16_t)at;
        p->len = (uint8_t)size;
        memcpy(p->bytes, value, size);
    }
}

static void patch_number(struct arrange *a, uint64_t address, unsigned size, uint64_t value)
{
    patch(a, address, size < 8 ? size : 8, &value);
}

static uint64_t memory_value(struct arrange *a, uint64_t address, unsigned size)
{
    static uint8_t image[NATIVE_DATA_SIZE];
    uint64_t at = address - NATIVE_DATA, value = 0;

    if (!image[0]) {
        native_image(image);
    }
    if (at >= NATIVE_DATA_SIZE || at + size > NATIVE_DATA_SIZE) {
        return 0;
    }
    memcpy(&value, image + at, size);
    for (unsigned n = 0; n < a->k->npatches; n++) {
        const struct native_patch *p = &a->k->patch[n];
        for (unsigned m = 0; m < p->len; m++) {
            if (p->at + m >= at && p->at + m < at + size) {
                ((uint8_t *)&value)[p->at + m - at] = p->bytes[m];
            }
        }
    }
    return value;
}

/* Makes the memory operand mean address, as far as registers can. */
static void aim(struct arrange *a, uint64_t address)
{
    const struct x86_insn *i = a->i;

    address -= base_of(a, i->seg);
    if (i->base == X86_RIPREG || (i->base == X86_NOREG && (i->index == X86_NOREG || i->vsib))) {
        return;
    }
    if (i->base == X86_NOREG) { /* index + displacement: only where it divides */
        set_register(a, i->index, (address - (uint64_t)i->disp) >> i->scale, i->addrsize);
    } else if (i->index == X86_NOREG || i->vsib) {
        set_register(a, i->base, address - (uint64_t)i->disp, i->addrsize);
    } else if (i->index == i->base) {
        set_register(a, i->base, (address - (uint64_t)i->disp) / (1 + (1u << i->scale)),
                     i->addrsize);
    } else {
        set_register(a, i->base, address - (uint64_t)i->disp - (a->k->reg[i->index] << i->scale),
                     i->addrsize);
    }
}

static uint64_t effective(const struct arrange *a)
{
    const struct x86_insn *i = a->i;
    const struct insn *f = &a->c->insn[0];
    uint64_t x = (uint64_t)i->disp, mask = i->addrsize == 2   ? UINT16_MAX
                                           : i->addrsize == 4 ? UINT32_MAX
                                                              : UINT64_MAX;

    if (f->disp_size) {
        return f->address + base_of(a, i->seg);
    }
    if (i->base != X86_NOREG && i->base != X86_RIPREG) {
        x += a->k->reg[i->base];
    }
    if (i->index != X86_NOREG && !i->vsib) {
        x += a->k->reg[i->index] << i->scale;
    }
    return (x & mask) + base_of(a, i->seg);
}

/* ---- what an instruction needs ---- */

static uint64_t code_target(struct arrange *a)
{
    uint64_t base = a->bits == 16 ? 0 : NATIVE_CODE;
    unsigned at = a->c->g.at, len = a->c->g.len;

    if (random_chance(a->r, 85)) { /* among the INT3s around */
        return base + (random_chance(a->r, 50) ? at + len + NATIVE_AFTER + random_below(a->r, 100)
                                               : at - 1 - random_below(a->r, 60));
    }
    return random_chance(a->r, 80) ? base + NATIVE_CODE_SIZE + random_below(a->r, 0x1000)
                                   : random_integer(a->r);
}

static uint16_t selector(struct random *r)
{
    static const uint16_t some[] = {0,    1,    2,    3,      0x2b,   0x2b,
                                    0x28, 0x29, 0x33, 0xfff8, 0xfff0, 0x8003};

    return some[random_below(r, sizeof some / sizeof some[0])];
}

static uint16_t code_selector(struct arrange *a)
{
    static const uint16_t some[] = {0x33, 0x33, 0x33, 0x30, 0x31, 0x2b, 0, 3, 0xfff8};

    return a->bits == 64 ? some[random_below(a->r, sizeof some / sizeof some[0])] : NATIVE_CS32;
}

static void suit_arithmetic(struct arrange *a, uint64_t address)
{
    const struct x86_insn *i = a->i;
    const struct x86_operand *d = &i->op[0];
    uint64_t *r = a->k->reg;
    unsigned size = d->size && d->size <= 8 ? d->size : 8;

    switch (i->mnemonic) {
    case MN_DIV:
    case MN_IDIV:
        if (random_chance(a->r, 60)) {
            r[X86_RDX] = random_chance(a->r, 50) ? 0 : (uint64_t)((int64_t)r[X86_RAX] >> 63);
            if (size == 1) {
                r[X86_RAX] &= 0x7ff;
            }
        }
        break;
    case MN_CMPXCHG:
        if (random_chance(a->r, 50)) {
            r[X86_RAX] = d->kind == OP_GPR ? r[d->reg] : memory_value(a, address, size);
        }
        break;
    case MN_CMPXCHG8B:
        if (random_chance(a->r, 60)) {
            r[X86_RAX] = memory_value(a, address, 4) |
                         (random_chance(a->r, 50) ? random_next(a->r) << 32 : 0);
            r[X86_RDX] = memory_value(a, address + 4, 4);
        }
        break;
    case MN_CMPXCHG16B:
        if (random_chance(a->r, 60)) {
            r[X86_RAX] = memory_value(a, address, 8);
            r[X86_RDX] = memory_value(a, address + 8, 8);
        }
        break;
    case MN_BT:
    case MN_BTS:
    case MN_BTR:
    case MN_BTC:
        if (d->kind == OP_MEM && i->op[1].kind == OP_GPR && i->op[1].reg != i->base &&
            i->op[1].reg != i->index) {
            r[i->op[1].reg] = (uint64_t)(int64_t)((int)random_below(a->r, 4000) - 2000);
        }
        break;
    case MN_PCMPESTRI:
    case MN_PCMPESTRM:
    case MN_VPCMPESTRI:
    case MN_VPCMPESTRM:
        if (random_chance(a->r, 70)) {
            r[X86_RAX] = (uint64_t)(int64_t)((int)random_below(a->r, 40) - 20);
            r[X86_RDX] = (uint64_t)(int64_t)((int)random_below(a->r, 40) - 20);
        }
        break;
    default:
        break;
    }
}

static void patch_frame(struct arrange *a, unsigned size)
{
    uint64_t sp = a->k->reg[X86_RSP] + base_of(a, SEG_SS);
    uint64_t frame[5] = {code_target(a), code_selector(a),
                         0x202 | (random_next(a->r) & (FL_STATUS | FL_DF)),
                         NATIVE_DATA + 0x800 + random_below(a->r, 0x800),
                         random_chance(a->r, 70) ? NATIVE_DS : selector(a->r)};

    for (unsigned n = 0; n < 5; n++) {
        patch_number(a, sp + n * size, size, frame[n]);
    }
}

static void suit_control(struct arrange *a, uint64_t address)
{
    const struct x86_insn *i = a->i;
    const struct x86_operand *d = &i->op[0];
    uint64_t *r = a->k->reg;

    if ((named(a, "jmp") || named(a, "call")) && d->kind != OP_REL) {
        uint64_t to = code_target(a);
        if (d->kind == OP_GPR) {
            r[d->reg] = to;
        } else {
            patch_number(a, address, d->size, to);
        }
    } else if (named(a, "jmpf") || named(a, "callf")) {
        patch_number(a, address, i->opsize, code_target(a));
        patch_number(a, address + i->opsize, 2, code_selector(a));
    } else if (named(a, "lds") || named(a, "les") || named(a, "lss") || named(a, "lfs") ||
               named(a, "lgs")) {
        patch_number(a, address + i->opsize, 2, selector(a->r));
    } else if (named(a, "retf") || named(a, "iret")) {
        patch_frame(a, i->opsize);
    } else if (named(a, "ret")) {
        patch_number(a, r[X86_RSP] + base_of(a, SEG_SS), a->bits == 64 ? 8 : i->opsize,
                     code_target(a));
    } else if (named(a, "pop_seg")) {
        patch_number(a, r[X86_RSP] + base_of(a, SEG_SS), 2, selector(a->r));
    } else if (named(a, "popf")) {
        uint64_t mask = random_chance(a->r, 70) ? FL_STATUS | FL_DF | 0x202 : UINT64_MAX;
        patch_number(a, r[X86_RSP] + base_of(a, SEG_SS), i->opsize, random_next(a->r) & mask);
    } else if (named(a, "mov_seg") || named(a, "lar") || named(a, "lsl") || named(a, "verr") ||
               named(a, "verw") || named(a, "arpl")) {
        const struct x86_operand *s =
            named(a, "mov_seg") || named(a, "lar") || named(a, "lsl") ? &i->op[1] : d;
        if (s->kind == OP_GPR) {
            r[s->reg] = (r[s->reg] & ~(uint64_t)0xffff) | selector(a->r);
        } else if (s->kind == OP_MEM) {
            patch_number(a, address, 2, selector(a->r));
        }
    } else if (named(a, "loop") || named(a, "loope") || named(a, "loopne") || named(a, "jcxz")) {
        r[X86_RCX] = random_chance(a->r, 70) ? random_below(a->r, 3) : r[X86_RCX];
    } else if (named(a, "leave") || named(a, "enter")) {
        r[X86_RBP] = pick_address(a->r, 8, false) - base_of(a, SEG_SS);
    } else if (named(a, "bound")) {
        patch_number(a, address, i->opsize, random_below(a->r, 100));
    }
}

static void suit_state(struct arrange *a, uint64_t address)
{
    static const uint64_t zeros[4];

    if (named(a, "ldmxcsr") || named(a, "vldmxcsr")) {
        patch_number(a, address, 4,
                     random_next(a->r) & (random_chance(a->r, 80) ? 0xffff : 0x1ffff));
    } else if (named(a, "xsave") || named(a, "xsaveopt") || named(a, "xsavec")) {
        a->k->reg[X86_RAX] =
            random_below(a->r, 8) | (random_next(a->r) & UINT64_C(0xffffffff00000000));
        a->k->reg[X86_RDX] = 0;
        patch_number(a, address + 512, 8, random_below(a->r, 8));
    } else if (named(a, "xrstor")) {
        a->k->reg[X86_RAX] =
            random_below(a->r, 8) | (random_next(a->r) & UINT64_C(0xffffffff00000000));
        a->k->reg[X86_RDX] = 0;
        patch_number(a, address + 24, 4,
                     random_chance(a->r, 90) ? random_next(a->r) & 0xffff : random_next(a->r));
        patch_number(a, address + 512, 8,
                     random_chance(a->r, 90) ? random_below(a->r, 8) : random_next(a->r));
        patch_number(a, address + 520, 8,
                     random_chance(a->r, 70)   ? 0
                     : random_chance(a->r, 80) ? UINT64_C(0x8000000000000007)
                                               : 1);
        patch(a, address + 528, 32, zeros);
        patch(a, address + 544, 32, zeros);
    } else if (named(a, "fxrstor")) {
        patch_number(a, address + 24, 4,
                     random_chance(a->r, 90) ? random_next(a->r) & 0xffff : random_next(a->r));
    }
}

static void suit(struct arrange *a, uint64_t address)
{
    const struct x86_insn *i = a->i;
    struct native_case *k = a->k;

    suit_arithmetic(a, address);
    suit_control(a, address);
    suit_state(a, address);
    if (named(a, "xlat")) {
        set_register(a, X86_RBX, pick_address(a->r, 1, false) - base_of(a, i->seg), i->addrsize);
    } else if (named(a, "maskmovq") || named(a, "maskmovdqu") || named(a, "vmaskmovdqu")) {
        set_register(a, X86_RDI,
                     pick_address(a->r, 16, random_chance(a->r, 50)) -
                         base_of(a, i->seg_override ? i->seg : SEG_DS),
                     i->addrsize);
    } else if (i->vsib) {
        k->rflags &= ~(uint64_t)FL_TF;     /* a trap may come between its elements */
        for (unsigned n = 0; n < 4; n++) { /* small indices of 32 or 64 bits */
            bool wide = i->mnemonic == MN_VPGATHERQD || i->mnemonic == MN_VPGATHERQQ ||
                        i->mnemonic == MN_VGATHERQPS || i->mnemonic == MN_VGATHERQPD;
            int64_t x = (int64_t)random_below(a->r, 64) - 32,
                    y = (int64_t)random_below(a->r, 64) - 32;
            uint64_t v = wide ? (uint64_t)x : (uint32_t)x | (uint64_t)y << 32;
            memcpy(n < 2 ? &k->fx.xmm[i->index][n] : &k->fx.ymm_high[i->index][n - 2], &v, 8);
        }
    }
}

static void suit_string(struct arrange *a)
{
    const struct x86_insn *i = a->i;
    bool source = false, destination = false;
    unsigned size = 1;

    for (unsigned n = 0; n < i->nops; n++) {
        source |= i->op[n].kind == OP_STR_SRC;
        destination |= i->op[n].kind == OP_STR_DST;
        if (i->op[n].kind == OP_STR_SRC || i->op[n].kind == OP_STR_DST) {
            size = i->op[n].size;
        }
    }
    if (!source && !destination) {
        return;
    }
    uint64_t base = base_of(a, source ? i->seg : SEG_DS);
    uint64_t from = pick_address(a->r, size, false), to = pick_address(a->r, size, false);
    if (random_chance(a->r, 30)) {
        to = from + random_below(a->r, 4 * size + 8) - 2 * size - 4; /* overlapping */
    }
    if (i->rep || i->repne) {
        set_register(a, X86_RCX,
                     random_chance(a->r, 60) ? random_below(a->r, 40) : random_below(a->r, 3000),
                     i->addrsize);
        if (!(a->k->reg[X86_RCX] & (i->addrsize == 2   ? UINT16_MAX
                                    : i->addrsize == 4 ? UINT32_MAX
                                                       : UINT64_MAX))) {
            a->k->reg[X86_RCX] = 0; /* with a count of 0 Intel's processors clear the upper half of
                                       RCX, AMD's do not */
        }
        if (random_chance(a->r, 30)) { /* many equal elements */
            for (unsigned n = 0; n < 3; n++) {
                patch_number(a, to + n * size, size, a->k->reg[X86_RAX]);
            }
            from = to;
        }
    }
    set_register(a, X86_RSI, from - base, i->addrsize);
    set_register(a, X86_RDI, to - base_of(a, SEG_ES), i->addrsize);
}

static void fill_memory(struct arrange *a, const struct x86_operand *m, uint64_t address)
{
    const struct x86_opcode *row = a->c->insn[0].row;
    uint8_t bytes[10];
    uint64_t v[4];

    if (!m->size) {
        return;
    }
    if (row->attr & AT_FPU) {
        random_x87_memory(a->r, m->size <= 10 ? m->size : 10, bytes);
        patch(a, address, m->size <= 10 ? m->size : 10, bytes);
    } else if ((row->attr & (AT_SSE | AT_MMX | AT_AVX)) && !a->i->vsib) {
        if (random_chance(a->r, 70)) {
            random_vector(a->r, v);
            patch(a, address, m->size < 32 ? m->size : 32, v);
        }
    } else if (random_chance(a->r, 50)) {
        patch_number(a, address, m->size, random_integer(a->r));
    }
}

/* Operands of the transcendental functions: where they are defined and no processor reduces them
 * first. */
static void tame(struct native_fx *fx, bool numbers)
{
    for (unsigned n = 0; numbers && n < 2; n++) {
        unsigned e = fx->st[n].se & 0x7fff;
        if (e > 0x3ffd && e < 0x7fff) {
            fx->st[n].se = (uint16_t)((fx->st[n].se & 0x8000) | (0x3ffd - (e & 7)));
        }
    }
    if (~fx->fcw & 0x18) { /* the scaled results of unmasked overflow and underflow are left out */
        fx->fcw |= 0x18;
        fx->fsw &= (uint16_t)~0x8098;
        if (fx->fsw & ~fx->fcw & 0x3f) {
            fx->fsw |= 0x8080;
        }
    }
}

static void arrange_single(struct arrange *a)
{
    const struct x86_operand *m = memory_operand(a->i);
    uint64_t address = 0;

    a->k->reg[X86_RSP] = pick_address(a->r, 8, random_chance(a->r, 80)) - base_of(a, SEG_SS);
    if (m) {
        unsigned size = m->size ? m->size : 16;
        bool aligned = m->size >= 16 && random_chance(a->r, 80);
        if (a->c->g.full && !m->size &&
            random_chance(a->r, 80)) { /* XSAVE and the like: all of it inside */
            aim(a, (NATIVE_DATA + random_below(a->r, 0x1000)) & ~(uint64_t)63);
        } else {
            aim(a, pick_address(a->r, size, aligned));
        }
        address = effective(a);
        fill_memory(a, m, address);
    }
    suit_string(a);
    suit(a, address);
    address = effective(a); /* the mask of XSAVE may be in its address */
    if ((a->c->rules & RULE_IMAGE) && address - NATIVE_DATA < NATIVE_DATA_SIZE - 32) {
        a->k->ignore = (uint32_t)(address - NATIVE_DATA + 28);
    }
    if (a->c->rules & (RULE_ULP | RULE_MASKED)) {
        tame(&a->k->fx, a->c->rules & RULE_ULP);
    }
}

/* ---- sequences ---- */

static void arrange_sequence(struct arrange *a)
{
    uint64_t base = a->bits == 16 ? 0 : NATIVE_DATA, *reg = a->k->reg;
    bool odd = random_chance(a->r, 15);

    reg[X86_RSP] = base + 0x1d00 +
                   random_below(a->r, 0x20) * 8; /* away from the data: it holds return addresses */
    reg[X86_RSI] = base + 0x300 + random_below(a->r, 0x100);
    reg[X86_RDI] = base + 0x300 + random_below(a->r, 0x100);
    if (random_chance(a->r, 50)) {
        reg[X86_RBX] = base + 0x400;
        reg[X86_RBP] = base + 0x1400;
    }
    for (unsigned n = 0; n < 16; n++) {
        if (a->c->small >> n & 1) {
            reg[n] = random_below(a->r, 9);
        }
        if (!(a->c->pointers >> n & 1)) {
            continue;
        }
        reg[n] = base + 0x400 + (random_below(a->r, 0x1700) & ~31u);
        if (odd && random_chance(a->r, 50)) {
            static const uint64_t where[] = {0x1000, 0x2000, 0x3000, 0, 0x1000, 0x2000};
            reg[n] = base + where[random_below(a->r, 6)] + random_below(a->r, 128) - 64;
        } else if (random_chance(a->r, 15)) {
            reg[n] += random_below(a->r, 32);
        }
    }
    for (unsigned n = 0; n < 4; n++) {
        uint64_t v[4];
        random_vector(a->r, v);
        patch(a, NATIVE_DATA + 0x800 + 32 * n, 32, v);
    }
}

/* Of operands of 16 bytes and more, and of state images, processors may check the alignment or not
 * (SDM volume 3, 6.15, "Interrupt 17"; APM: by MXCSR.MM). */
static bool checks_alignment(const struct arrange *a)
{
    const struct x86_operand *m = memory_operand(a->i);

    return !a->i->vsib && !(a->c->rules & (RULE_ANYFAULT | RULE_MAYFAULT)) &&
           (!m ||
            (m->size && m->size <= 8 && !(a->c->insn[0].row->attr & (AT_SSE | AT_AVX | AT_MMX))));
}

void generate_case(const struct code *c, struct random *r, struct native_case *k)
{
    struct arrange a = {c, r, k, &c->insn[0].i, c->g.bits};
    bool mmx = c->sequence ? random_chance(r, 30)
                           : (c->insn[0].row->attr & AT_MMX) && random_chance(r, 90);

    k->npatches = k->ignore = 0;
    for (unsigned n = 0; n < 16; n++) {
        k->reg[n] = random_integer(r);
    }
    k->rflags = 0x202 | (random_next(r) & FL_STATUS) | (random_chance(r, 20) ? FL_DF : 0);
    if (c->g.full) {
        random_fx(r, mmx, &k->fx);
    }
    if (c->sequence) {
        arrange_sequence(&a);
    } else {
        /* CPUID and the like may be a hypervisor's work, which forgets the trap behind it. */
        k->rflags |= c->g.traps && !(c->rules & RULE_EAX) && random_chance(r, 50) ? FL_TF : 0;
        k->rflags |= random_chance(r, 2) && checks_alignment(&a) ? FL_AC : 0;
        arrange_single(&a);
    }
    if (c->g.bits < 64) {
        for (unsigned n = 0; n < 16; n++) {
            k->reg[n] = n < 8 ? (uint32_t)k->reg[n] : 0;
        }
        for (unsigned n = 8; c->g.full && n < 16; n++) {
            memset(k->fx.xmm[n], 0, 16);
            memset(k->fx.ymm_high[n], 0, 16);
        }
    }
    if (c->g.bits == 16) {
        k->reg[X86_RSP] = (k->reg[X86_RSP] & UINT16_MAX) | NATIVE_ESP_HIGH;
    }
    uint32_t flags;
    if (!c->sequence && !generate_undefined(c, k, &flags)) {
        k->reg[X86_RCX] &= ~(uint64_t)0x10; /* SHLD and SHRD of 16 bits */
    }
}
