/* Singles and sequences, see generate.h: how code is put together. What states it runs in is in
 * arrange.c.
 *
 * A sequence is a list of instructions of random rows, most of whose memory operands are off a few
 * pointer registers that it does not write, with forward jumps, at times a counted loop around a
 * part, and a subroutine at the end. No instruction of it reads a status flag that may be undefined
 * then: those are taken out again. */
#include "tests/cpu/generate.h"

#include <string.h>
#include <strings.h>

#include "cpu/x86.h"

enum { CLASS_NONE, CLASS_INTEGER, CLASS_VECTOR, CLASS_X87, CLASS_BRANCH };

/* ---- flags ---- */

static uint32_t flags_with(const struct x86_opcode *row, unsigned effects)
{
    static const uint32_t flag[] = {FL_OF, FL_SF, FL_ZF, FL_AF, FL_PF, FL_CF};
    uint32_t mask = 0;

    for (unsigned n = 0; n < 6; n++) {
        if (effects >> (row->flags >> 3 * n & 7) & 1) {
            mask |= flag[n];
        }
    }
    return mask;
}

static bool row_in(const struct x86_opcode *row, const char *const *names, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        if (row_named(row, names[n])) {
            return true;
        }
    }
    return false;
}

/* What the count of a shift makes of the table's entries (SDM volume 2, "SAL/SAR/SHL/SHR",
 * "RCL/RCR/ROL/ROR", "SHLD", "SHRD"): a count of 0 changes nothing; OF is defined for counts of 1
 * only; CF is undefined where SHL or SHR shift by the operand size or more; the result of SHLD and
 * SHRD is undefined for larger counts (false). */
static bool shift_flags(struct insn *f, const uint64_t *reg)
{
    static const char *const rotate[] = {"rol", "ror", "rcl", "rcr"};
    static const char *const shift[] = {"shl", "shr", "sar", "shld", "shrd"};
    const struct x86_insn *i = &f->i;
    unsigned size = i->op[0].size, mask = size == 8 ? 63 : 31, count = 0;
    const struct x86_operand *c = &i->op[i->nops ? i->nops - 1 : 0];
    bool rotates, shifts, by_cl = c->kind == OP_GPR;

    if (!(f->undefined & FL_OF) || i->vex || !i->nops) {
        return true;
    }
    rotates = row_in(f->row, rotate, 4);
    shifts = row_in(f->row, shift, 5);
    if (!rotates && !shifts) {
        return true;
    }
    if (c->kind == OP_IMM) {
        count = (unsigned)i->imm & mask;
    } else if (c->kind == OP_ONE) {
        count = 1;
    } else if (reg) {
        count = (unsigned)reg[X86_RCX] & mask;
    } else {
        count = UINT32_MAX; /* not known */
    }
    if (rotates) {
        f->undefined = 0;
        f->defined = FL_CF | FL_OF;
    }
    if (count == 0) {
        f->undefined = f->defined = 0;
        return true;
    }
    if (count == 1) {
        f->undefined &= ~(uint32_t)FL_OF;
        f->defined |= FL_OF;
    } else {
        f->undefined |= FL_OF;
        f->defined &= ~(uint32_t)FL_OF;
    }
    if (shifts && count >= 8 * size && !row_named(f->row, "sar")) {
        f->undefined |= FL_CF;
        f->defined &= ~(uint32_t)FL_CF;
    }
    if (by_cl && !reg) {
        f->defined = 0; /* perhaps nothing is set */
    }
    bool doubled = i->nops == 3;
    return !(doubled && (count == UINT32_MAX ? size == 2 : count > 8 * size));
}

static bool describe(struct insn *f, const uint64_t *reg)
{
    f->undefined = flags_with(f->row, 1 << FE_U);
    f->reads = flags_with(f->row, 1 << FE_R | 1 << FE_RW);
    f->defined = flags_with(f->row, 1 << FE_W | 1 << FE_RW | 1 << FE_0 | 1 << FE_1);
    if (rules_of(f->row) & RULE_CARRY) {
        f->undefined |= FL_CF;
    }
    if (f->i.rep || f->i.repne) { /* perhaps no element */
        f->defined = 0;
    }
    return shift_flags(f, reg);
}

bool generate_undefined(const struct code *c, const struct native_case *k, uint32_t *flags)
{
    struct insn f = c->insn[0];
    bool defined = describe(&f, k->reg);

    *flags = f.undefined;
    return defined;
}

/* ---- layout ---- */

static bool unconditional(const struct insn *f)
{
    return row_named(f->row, "jmp") || row_named(f->row, "ret") || row_named(f->row, "call");
}

static void put_number(uint8_t *p, uint64_t x, unsigned bytes)
{
    for (unsigned n = 0; n < bytes; n++) {
        p[n] = (uint8_t)(x >> 8 * n);
    }
}

/* Places and joins the instructions; false: too long, or a short jump does not reach. */
static bool lay_out(struct code *c)
{
    unsigned at = 0;

    for (unsigned n = 0; n < c->ninsns; n++) {
        c->insn[n].at = (uint16_t)at;
        at += c->insn[n].len;
    }
    if (at > NATIVE_MAX_CODE) {
        return false;
    }
    for (unsigned n = 0; n < c->ninsns; n++) {
        struct insn *f = &c->insn[n];
        unsigned end = f->at + f->len;
        if (f->target >= 0 && !row_named(f->row, "ret")) {
            int rel =
                (int)((unsigned)f->target < c->ninsns ? c->insn[f->target].at : at) - (int)end;
            bool byte = f->i.map == 0 && f->i.opcode != 0xe8 && f->i.opcode != 0xe9;
            if (byte && (rel < -128 || rel > 127)) {
                return false;
            }
            unsigned size = byte ? 1 : f->i.opsize == 2 ? 2 : 4;
            put_number(f->bytes + f->len - size, (uint64_t)(int64_t)rel, size);
        }
        if (f->disp_size) {
            uint64_t x = f->address;
            if (f->i.base == X86_RIPREG) {
                x -= NATIVE_CODE + c->g.at + end;
            }
            put_number(f->bytes + f->disp_at, x, f->disp_size);
        }
        memcpy(c->g.code + f->at, f->bytes, f->len);
    }
    c->g.len = (uint16_t)at;
    return true;
}

/* ---- undefined flags ---- */

static bool flow_into(struct code *c, unsigned n, uint32_t undefined)
{
    uint32_t *to = n < c->ninsns ? &c->insn[n].before : &c->undefined;

    if (*to == (*to | undefined)) {
        return false;
    }
    *to |= undefined;
    return true;
}

/* Number of an instruction that reads what is undefined, -1: none. */
static int analyse(struct code *c)
{
    bool changed = true;

    c->undefined = c->ever = 0;
    c->rules = 0;
    for (unsigned n = 0; n < c->ninsns; n++) {
        c->insn[n].before = 0;
        c->rules |= rules_of(c->insn[n].row);
    }
    while (changed) {
        changed = false;
        for (unsigned n = 0; n < c->ninsns; n++) {
            const struct insn *f = &c->insn[n];
            uint32_t after = (f->before & ~f->defined) | f->undefined;
            c->ever |= f->before | after;
            if (!unconditional(f) || f->target < 0) {
                changed |= flow_into(c, n + 1, after);
            }
            if (f->target >= 0) {
                changed |= flow_into(c, (unsigned)f->target, after);
            }
        }
    }
    for (unsigned n = 0; n < c->ninsns; n++) {
        if (c->insn[n].reads & c->insn[n].before) {
            return (int)n;
        }
    }
    return -1;
}

static void take_out(struct code *c, unsigned n)
{
    memmove(&c->insn[n], &c->insn[n + 1], (c->ninsns - n - 1) * sizeof c->insn[0]);
    c->ninsns--;
    for (unsigned m = 0; m < c->ninsns; m++) {
        if (c->insn[m].target > (int)n) {
            c->insn[m].target--;
        }
    }
}

static bool finish(struct code *c)
{
    int bad;

    while ((bad = analyse(c)) >= 0) {
        if (c->insn[bad].structural) {
            return false;
        }
        take_out(c, (unsigned)bad);
    }
    return c->ninsns && lay_out(c);
}

bool generate_without(const struct code *from, unsigned n, struct code *out)
{
    *out = *from;
    take_out(out, n);
    for (unsigned m = 0; m < out->ninsns; m++) { /* what jumped back must not do so for ever */
        if (out->insn[m].target >= 0 && (unsigned)out->insn[m].target <= m &&
            from->insn[n].structural && !row_named(out->insn[m].row, "ret")) {
            return false;
        }
    }
    return out->ninsns && analyse(out) < 0 && lay_out(out);
}

/* ---- rows ---- */

static const char *const loads_segments[] = {"pop_seg", "lds",  "les",      "lss",
                                             "lfs",     "lgs",  "callf",    "jmpf",
                                             "retf",    "iret", "wrfsbase", "wrgsbase"};

static bool has_segment_operand(const struct x86_opcode *row)
{
    return row_named(row, "mov_seg") && !strcmp(x86_operand_form(row->operand[0]), "Sw");
}

static void needs(struct code *c, const struct insn *f)
{
    static const char *const state[] = {"fxsave", "fxrstor",  "xsave",
                                        "xrstor", "xsaveopt", "xsavec"};
    static const char *const flags[] = {"popf", "iret"};

    c->g.full |= (f->row->attr & (AT_SSE | AT_MMX | AT_AVX | AT_FPU)) || row_in(f->row, state, 6);
    c->g.traps |=
        row_in(f->row, flags, 2) || f->i.rep || f->i.repne; /* those may read far, the code too */
    c->g.segments |= has_segment_operand(f->row) || row_in(f->row, loads_segments, 12);
}

static unsigned classify(const struct x86_opcode *row)
{
    static const char *const alone[] = {
        "popa",    "leave",    "enter",  "popf",    "int1",     "int",    "int3",    "into",
        "bound",   "iret",     "ud0",    "ud1",     "ud2",      "fxsave", "fxrstor", "xsave",
        "xsavec",  "xsaveopt", "xsaves", "xrstor",  "xrstors",  "loop",   "loope",   "loopne",
        "jcxz",    "fldenv",   "frstor", "ldmxcsr", "vldmxcsr", "arpl",   "rsm",     "clzero",
        "lar",     "lsl",      "verr",   "verw",    "sldt",     "str",    "smsw",    "push_seg",
        "mov_seg", "monitor",  "mwait",  "in",      "out",      "ins",    "outs",    "cli",
        "sti",     "clac",     "stac",   "xsetbv",  "swapgs",   "invlpg", "invpcid",
    };

    if ((rules_of(row) & RULE_ALONE) || (row->attr & AT_CPL0) || has_segment_operand(row) ||
        row_in(row, loads_segments, 12) || row_in(row, alone, sizeof alone / sizeof alone[0])) {
        return CLASS_NONE;
    }
    if (row_named(row, "jcc")) {
        return CLASS_BRANCH;
    }
    if (row->attr & AT_JUMP) {
        return CLASS_NONE;
    }
    return row->attr & AT_FPU                       ? CLASS_X87
           : row->attr & (AT_SSE | AT_MMX | AT_AVX) ? CLASS_VECTOR
                                                    : CLASS_INTEGER;
}

void generator_add(struct generator *g, const struct x86_opcode *row)
{
    struct random r = random_seeded(1, g->nrows, g->bits);
    struct addressing how = {ADDRESS_ANY, X86_NOREG, X86_NOREG};
    struct encode_hint *hint = &g->hints[g->nrows];
    struct encoding e;

    /* Hints do not depend on what was generated before: a unit is the same whenever it is made. */
    for (unsigned n = 0;
         n < 8 && !(hint->known && row->map >= 9 && (hint->vex_last & 0x78) != 0x78); n++) {
        *hint = (struct encode_hint){0};
        encode_row(&r, g->bits, row, &how, hint, &e);
    }
    g->usable[g->nrows] = (unsigned char)classify(row);
    g->rows[g->nrows++] = row;
}

/* ---- instructions ---- */

static void take(struct insn *f, const struct encoding *e)
{
    memset(f, 0, sizeof *f);
    f->row = e->insn.row;
    f->i = e->insn;
    memcpy(f->bytes, e->bytes, sizeof f->bytes);
    f->len = (uint8_t)e->len;
    f->target = -1;
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

static uint64_t segment_base(unsigned bits, unsigned seg)
{
    if (bits == 16) {
        return seg == SEG_CS ? NATIVE_CODE : NATIVE_DATA;
    }
    return bits == 64 && seg == SEG_GS   ? NATIVE_GS_BASE
           : bits == 64 && seg == SEG_FS ? NATIVE_FS_BASE
                                         : 0;
}

/* Memory operands without a register mean the address. */
static void fix_address(struct insn *f, const struct encoding *e, unsigned bits, uint64_t address)
{
    const struct x86_insn *i = &f->i;
    bool moffs = false;

    for (unsigned n = 0; n < i->nops; n++) {
        moffs |= i->op[n].kind == OP_MOFFS;
    }
    if (!e->disp_at || !(moffs || i->base == X86_RIPREG ||
                         (i->base == X86_NOREG && (i->index == X86_NOREG || i->vsib)))) {
        return;
    }
    f->disp_at = (uint8_t)e->disp_at;
    f->disp_size = moffs ? i->addrsize : i->addrsize == 2 ? 2 : 4;
    f->address = address - segment_base(bits, i->seg);
}

static bool is_relative(const struct x86_insn *i)
{
    return i->nops && i->op[i->nops - 1].kind == OP_REL;
}

/* A branch to among the INT3s around, or out of the code area. */
static void aim_branch(struct random *r, struct code *c, struct insn *f)
{
    const struct x86_insn *i = &f->i;
    unsigned size =
        i->opcode == 0xe8 || i->opcode == 0xe9 || i->map == 1 ? (i->opsize == 2 ? 2 : 4) : 1;
    unsigned next = c->g.at + f->len;
    int rel;

    if (!is_relative(i)) {
        return;
    }
    if (size == 1) {
        rel = random_chance(r, 60) ? (int)(NATIVE_AFTER + random_below(r, 100))
                                   : -(int)(f->len + 1 + random_below(r, 60));
        rel = random_chance(r, 5) ? 0 : rel;
    } else if (random_chance(r, 85)) {
        rel = (int)(random_chance(r, 50) ? c->g.at + f->len + NATIVE_AFTER + random_below(r, 100)
                                         : c->g.at - 1 - random_below(r, 60)) -
              (int)next;
    } else {
        rel = (int)(NATIVE_CODE_SIZE + random_below(r, 0x1000)) - (int)next;
    }
    put_number(f->bytes + f->len - size, (uint64_t)(int64_t)rel, size);
}

/* Bits of the address range for the data of instructions without a base register. */
static uint64_t fixed_address(struct random *r, unsigned size)
{
    uint64_t a = NATIVE_DATA + 0x200 + random_below(r, 0x1c00);

    if (random_chance(r, 50) || size >= 16) {
        a &= ~(uint64_t)15;
    }
    if (random_chance(r, 10)) {
        a = NATIVE_DATA + 0x1000 - random_below(r, size + 1);
    } else if (random_chance(r, 8)) {
        a = NATIVE_DATA + NATIVE_DATA_WRITABLE + random_below(r, 0x800) - 16;
    }
    return a;
}

/* What Intel's and AMD's processors do differently in 64-bit mode: Intel's ignore 66 before near
 * branches, AMD's do not (APM volume 3, 1.2.7); Intel's have far pointers m16:64, AMD's ignore
 * REX.W there (LGS, JMP far, CALL far); F3 REX.B 90 is XCHG R8 with AMD. INT 80H calls the kernel.
 */
static bool vendor_specific(const struct insn *f, unsigned bits)
{
    const struct x86_insn *i = &f->i;

    if (row_named(f->row, "int") && ((i->imm & 0xff) == 0x80 || (i->imm & 0xf0) == 0x10)) {
        return true;
    }
    if ((row_named(f->row, "loope") || row_named(f->row, "loopne")) &&
        memchr(f->bytes, i->repne ? 0xf2 : 0xf3, f->len - 2u)) {
        return true; /* F2 and F3 are reserved there (SDM volume 2, 2.1.1); AMD's processors take
                        them for something */
    }
    if (bits < 64) {
        return false;
    }
    if (row_named(f->row, "movsxd") && i->opsize == 2) {
        return true; /* AMD's processors read 4 bytes */
    }
    for (unsigned n = 0; n < i->nops; n++) {
        if (i->opsize == 8 && (!strcmp(x86_operand_form(f->row->operand[n]), "Mp") ||
                               !strcmp(x86_operand_form(f->row->operand[n]), "Ep"))) {
            return true;
        }
    }
    return (i->opsize_prefix && (f->row->attr & AT_JUMP) && (f->row->attr & AT_F64)) ||
           (row_named(f->row, "pause") && (i->rex & 1)) ||
           (row_named(f->row, "nop") &&
            i->opcode == 0x0d); /* PREFETCH of a register: #UD with AMD */
}

bool generate_single(struct generator *g, unsigned n, struct random *r, struct code *out)
{
    struct addressing how = {ADDRESS_ANY, X86_NOREG, X86_NOREG};
    struct encoding e;
    struct insn *f = &out->insn[0];

    memset(&out->g, 0, sizeof out->g);
    out->g.bits = (uint8_t)g->bits;
    out->g.at = random_chance(r, 10) ? (uint16_t)(0x1000 - 1 - random_below(r, 14))
                                     : (uint16_t)(0x80 + random_below(r, 0x1d00));
    out->sequence = false;
    out->pointers = out->small = 0;
    for (unsigned attempt = 0; attempt < 20; attempt++) {
        if (!encode_row(r, g->bits, g->rows[n], &how, &g->hints[n], &e)) {
            return false;
        }
        static const uint64_t no_count[16];
        take(f, &e);
        if (vendor_specific(f, g->bits) || !describe(f, no_count)) {
            continue;
        }
        const struct x86_operand *m = memory_operand(&f->i);
        fix_address(f, &e, g->bits, m ? fixed_address(r, m->size) : 0);
        aim_branch(r, out, f);
        out->ninsns = 1;
        out->g.full =
            random_chance(r, 5); /* all of the state, though it is an integer instruction */
        out->g.traps = random_chance(r, 5);
        needs(out, f);
        describe(f, NULL);
        analyse(out);
        return lay_out(out);
    }
    return false;
}

void generate_one(struct code *c, const struct encoding *e)
{
    take(&c->insn[0], e);
    c->ninsns = 1;
    c->sequence = false;
    c->pointers = c->small = 0;
    describe(&c->insn[0], NULL);
    analyse(c);
}

/* ---- sequences ---- */

struct plan {
    struct generator *g;
    struct random *r;
    struct code *c;
    uint16_t reserved; /* registers that are not written */
    unsigned wanted, weight[5];
    bool loop, sub;
    bool status; /* instructions may read the x87 status, and none may leave it undefined; else the
                    other way round */
};

static bool reads_only(const struct x86_opcode *row)
{
    static const char *const names[] = {"cmp", "test", "push", "bt"};

    return row_in(row, names, 4);
}

static bool spoils(const struct plan *p, const struct x86_insn *i)
{
    static const char *const both[] = {"xchg", "xadd", "mulx"};

    for (unsigned n = 0; n < i->nops && n < 2; n++) {
        if (i->op[n].kind == OP_GPR && (p->reserved >> i->op[n].reg & 1) && !reads_only(i->row) &&
            (n == 0 || row_in(i->row, both, 3))) {
            return true;
        }
    }
    if ((i->rep || i->repne) && i->addrsize_prefix) {
        return true; /* see suit_string() */
    }
    if (p->loop && (row_named(i->row, "pcmpestri") || row_named(i->row, "pcmpistri") ||
                    row_named(i->row, "vpcmpestri") || row_named(i->row, "vpcmpistri") || i->rep ||
                    i->repne)) {
        return true;
    }
    if (p->loop &&
        (rules_of(i->row) & RULE_MAYFAULT)) { /* it may be a later round that faults here */
        return true;
    }
    return false;
}

static bool against_status(const struct plan *p, const struct x86_opcode *row)
{
    static const char *const reads[] = {"fnstsw", "fnstenv", "fnsave"};

    return (rules_of(row) & RULE_REMAINDER) ||
           (p->status ? (rules_of(row) & (RULE_C1 | RULE_CC)) != 0 : row_in(row, reads, 3));
}

static unsigned pick_bit(struct random *r, unsigned mask)
{
    unsigned n = random_below(r, (unsigned)__builtin_popcount(mask));

    while (n--) {
        mask &= mask - 1;
    }
    return (unsigned)__builtin_ctz(mask);
}

static void choose_registers(struct plan *p)
{
    unsigned bits = p->g->bits, count = 1 + random_below(p->r, 3);
    unsigned candidates = bits == 64   ? 0xff28 | 1 << X86_RDI | 1 << X86_RSI
                          : bits == 32 ? 0xe8
                                       : 0xe8;

    p->c->pointers = p->c->small = 0;
    for (unsigned n = 0; n < count; n++) {
        p->c->pointers |= (uint16_t)(1u << pick_bit(p->r, candidates & ~(unsigned)p->c->pointers));
    }
    candidates &= ~(unsigned)p->c->pointers;
    if (bits != 16 && random_chance(p->r, 50)) {
        p->c->small = (uint16_t)(1u << pick_bit(p->r, candidates));
    }
    p->reserved = p->c->pointers | p->c->small | 1 << X86_RSP;
    if (p->loop) {
        p->reserved |= 1 << X86_RCX;
    }
}

static struct insn *append(struct plan *p, const struct encoding *e)
{
    struct insn *f = &p->c->insn[p->c->ninsns++];

    take(f, e);
    needs(p->c, f);
    return f;
}

static void append_bytes(struct plan *p, const uint8_t *bytes, unsigned len, int target)
{
    struct encoding e;

    encode_bytes(p->g->bits, bytes, len, &e);
    struct insn *f = append(p, &e);
    describe(f, NULL);
    f->structural = true;
    f->target = (int16_t)target;
}

static struct addressing choose_addressing(struct plan *p)
{
    struct addressing how = {ADDRESS_BASE, X86_NOREG, X86_NOREG};

    if (random_chance(p->r, 15)) {
        how.kind = ADDRESS_ABSOLUTE;
        return how;
    }
    how.base = (uint8_t)pick_bit(p->r, p->c->pointers);
    if (p->c->small && random_chance(p->r, 30)) {
        how.index = (uint8_t)pick_bit(p->r, p->c->small);
    }
    return how;
}

/* A random instruction at the end of the code; may fail. */
static void append_random(struct plan *p)
{
    unsigned n, class, left = random_below(p->r, 100);
    struct addressing how = choose_addressing(p);
    struct encoding e;

    for (class = CLASS_INTEGER; class < CLASS_BRANCH && left >= p->weight[class]; class ++) {
        left -= p->weight[class];
    }
    for (unsigned attempt = 0;; attempt++) {
        n = random_below(p->r, p->g->nrows);
        if (p->g->usable[n] == class) {
            break;
        }
        if (attempt > 500) {
            return;
        }
    }
    if (!encode_row(p->r, p->g->bits, p->g->rows[n], &how, &p->g->hints[n], &e)) {
        return;
    }
    struct insn probe = {.row = e.insn.row, .i = e.insn};
    const struct x86_operand *m = memory_operand(&e.insn);
    if (spoils(p, &e.insn) || against_status(p, e.insn.row) ||
        vendor_specific(&probe, p->g->bits) || !describe(&probe, NULL) ||
        (m && e.insn.seg_override && random_chance(p->r, 70))) {
        return;
    }
    if (m && how.kind == ADDRESS_ABSOLUTE && !e.insn.vsib &&
        (e.insn.base != X86_NOREG && e.insn.base != X86_RIPREG)) {
        return;
    }
    struct insn *f = append(p, &e);
    describe(f, NULL);
    if (m && how.kind == ADDRESS_ABSOLUTE) {
        fix_address(f, &e, p->g->bits,
                    NATIVE_DATA + 0x800 + (random_below(p->r, 8) << 5) +
                        (random_chance(p->r, 20) ? random_below(p->r, 32) : 0));
    }
    if (class == CLASS_BRANCH) {
        f->target = (int16_t)(p->c->ninsns + random_below(p->r, 6)); /* bounded at the end */
    }
}

static void append_some(struct plan *p, unsigned count)
{
    unsigned end = p->c->ninsns + count;

    for (unsigned attempt = 0;
         attempt < 20 * count && p->c->ninsns < end && p->c->ninsns < GENERATE_MAX_INSNS - 12;
         attempt++) {
        append_random(p);
    }
}

static void begin_loop(struct plan *p)
{
    uint8_t mov[5] = {0xb9, (uint8_t)(1 + random_below(p->r, 5)), 0, 0, 0};

    append_bytes(p, mov, p->g->bits == 16 ? 3 : 5, -1);
}

static void end_loop(struct plan *p, unsigned start)
{
    static const uint8_t loop[] = {0xe2, 0}, sub[] = {0x83, 0xe9, 1}, jnz[] = {0x75, 0},
                         jnz_near[] = {0x0f, 0x85, 0, 0, 0, 0};
    static const uint8_t dec[] = {0xff, 0xc9};

    if (random_chance(p->r, 30)) {
        append_bytes(p, loop, 2, (int)start);
        return;
    }
    if (random_chance(p->r, 50)) {
        append_bytes(p, dec, 2, -1);
    } else {
        append_bytes(p, sub, 3, -1);
    }
    if (random_chance(p->r, 50)) {
        append_bytes(p, jnz, 2, (int)start);
    } else {
        append_bytes(p, jnz_near, p->g->bits == 16 ? 4 : 6, (int)start);
    }
}

static void choose_weights(struct plan *p)
{
    static const unsigned char themes[][3] = {
        {100, 0, 0}, {90, 10, 0}, {20, 80, 0}, {15, 0, 85}, {50, 30, 20}, {40, 60, 0}, {45, 0, 55},
    };
    const unsigned char *t = themes[random_below(p->r, sizeof themes / sizeof themes[0])];

    memset(p->weight, 0, sizeof p->weight);
    for (unsigned n = 0; n < 3; n++) {
        p->weight[CLASS_INTEGER + n] = t[n] * 9 / 10; /* the rest are jumps */
    }
}

/* The jump back behind a count that goes down. */
static bool ends_loop(const struct code *c, unsigned n)
{
    return n && n < c->ninsns && c->insn[n].structural && c->insn[n - 1].structural &&
           row_named(c->insn[n].row, "jcc");
}

static bool build(struct plan *p)
{
    struct code *c = p->c;
    unsigned start = 0, call = 0;

    memset(&c->g, 0, sizeof c->g);
    c->g.bits = (uint8_t)p->g->bits;
    c->g.at = random_chance(p->r, 10) ? (uint16_t)(0x1000 - 1 - random_below(p->r, 100))
                                      : (uint16_t)(0x80 + random_below(p->r, 0x1c00));
    c->ninsns = 0;
    c->sequence = true;
    choose_registers(p);
    choose_weights(p);
    append_some(p, random_below(p->r, p->wanted / 2 + 1));
    if (p->loop) {
        begin_loop(p);
        start = c->ninsns;
    }
    if (p->sub) {
        append_some(p, random_below(p->r, p->wanted / 3 + 1));
        call = c->ninsns;
        append_bytes(p, (const uint8_t[]){0xe8, 0, 0, 0, 0}, p->g->bits == 16 ? 3 : 5, 0);
    }
    append_some(p, 1 + random_below(p->r, p->wanted / 2 + 1));
    if (p->loop) {
        end_loop(p, start);
    }
    append_some(p, random_below(p->r, p->wanted / 3 + 1));
    unsigned end = c->ninsns;
    if (p->sub) {
        append_bytes(p, (const uint8_t[]){0xe9, 0, 0, 0, 0}, p->g->bits == 16 ? 3 : 5, 0);
        c->insn[call].target = (int16_t)c->ninsns;
        append_some(p, 1 + random_below(p->r, 8));
        append_bytes(p, (const uint8_t[]){0xc3}, 1, (int)call + 1);
        c->insn[end].target = (int16_t)c->ninsns;
    }
    for (unsigned n = 0; n < c->ninsns;
         n++) { /* jumps stay in their part, and not into a loop's middle */
        struct insn *f = &c->insn[n];
        int limit = n < end ? (int)end : (int)c->ninsns - 1;
        if (f->structural || f->target < 0) {
            continue;
        }
        if (p->loop && n < start && f->target >= (int)start) {
            f->target = (int16_t)(start - 1);
        }
        f->target = (int16_t)(f->target > limit ? limit : f->target);
        if (p->loop && ends_loop(c, (unsigned)f->target)) {
            f->target--; /* the count goes down too */
        }
    }
    return finish(c);
}

void generate_sequence(struct generator *g, struct random *r, struct code *out)
{
    struct plan p = {.g = g, .r = r, .c = out};

    do {
        p.wanted = 2 + random_below(r, random_chance(r, 30) ? 38 : 16);
        p.loop = random_chance(r, 35);
        p.sub = random_chance(r, 20);
        p.status = random_chance(r, 50);
    } while (!build(&p));
}
