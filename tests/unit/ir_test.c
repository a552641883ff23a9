/* Random IR against a plain evaluator (tests/cpu/ir_eval.h): the same block, optimized, lowered and
 * run by the interpreter, must leave the same guest registers, lazy flags, memory and pc, also when
 * one of its accesses faults. Argument: number of blocks, first seed. */
#include "tests/unit/fake_guest.h"

#include <setjmp.h>

#include "tests/cpu/ir_eval.h"
#include "tests/unit/tap.h"

enum { DATA = 0x4000, DATA_SIZE = 0x2000, HOLE = 0x100000, MAX_OPS = 80 };

static uint64_t rng_state;

static uint64_t rnd(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 7;
    rng_state ^= rng_state << 17;
    return rng_state * UINT64_C(0x2545f4914f6cdd1d);
}
static unsigned below(unsigned n)
{
    return (unsigned)((rnd() >> 33) % n);
}

/* ---- the block under test ---- */

struct gen {
    struct ir ir;
    ir_reg temp[12];
    unsigned ntemps;
    bool pending[4]; /* labels branched to and not yet placed */
    unsigned label[4];
    bool new_insn;
};

static int64_t interesting(void)
{
    static const int64_t some[] = {0,          1,          -1,
                                   0x7f,       0x80,       0xff,
                                   0xffff,     0x8000,     0x7fffffff,
                                   0x80000000, 0xffffffff, -0x80000000LL,
                                   INT64_MIN,  INT64_MAX,  0x123456789abcdef};
    return below(3) ? some[below(sizeof(some) / sizeof(some[0]))] : (int64_t)rnd();
}

static ir_reg source(struct gen *g)
{
    if (g->ntemps && below(2)) {
        return g->temp[below(g->ntemps)];
    }
    return below(8) ? (ir_reg)below(8) : (ir_reg)TCG_REG_CC_A;
}

static ir_reg dest(struct gen *g)
{
    if (below(2)) {
        return (ir_reg)below(8);
    }
    if (g->ntemps < 12 && below(2)) {
        return g->temp[g->ntemps++] = ir_temp(&g->ir);
    }
    return g->ntemps ? g->temp[below(g->ntemps)] : (ir_reg)below(8);
}

/* A register with an address in DATA, or now and then in a hole; a32: rubbish in the upper half. */
static ir_reg address(struct gen *g, bool a32)
{
    ir_reg t = ir_temp(&g->ir);

    ir_bini(&g->ir, IR_AND, W64, t, source(g), 0x7ff);
    ir_bini(&g->ir, IR_ADD, W64, t, t, below(40) ? DATA : HOLE * 16);
    if (a32 && below(2)) {
        ir_bini(&g->ir, IR_OR, W64, t, t, INT64_C(0x700000000));
    }
    return t;
}

static void gen_memory(struct gen *g)
{
    struct ir *ir = &g->ir;
    unsigned memop = below(4);
    bool a32 = !below(3);
    ir_reg base = address(g, a32), index = IR_NONE;
    int64_t disp = below(2) ? 0 : (int64_t)below(0x400);

    if (a32) {
        memop |= MO_A32;
    }
    if (!below(3)) {
        index = ir_temp(ir);
        if (below(3)) {
            ir_bini(ir, IR_AND, W64, index, source(g), 0xff);
        } else {
            ir_movi(ir, index, below(100));
        }
        memop |= below(4) << MO_SCALE;
    }
    if (!below(10)) {
        base = ir_temp(ir);
        ir_movi(ir, base, DATA + below(0x800));
    }
    if (!below(6)) {
        disp += 0x40000; /* does not fit 16 bits */
        ir_bini(ir, IR_SUB, W64, base, base, 0x40000);
    }
    switch (below(8)) {
    case 0:
        ir_sti(ir, base, index, memop, disp, interesting());
        break;
    case 1:
    case 2:
        ir_st(ir, base, index, memop, disp, source(g));
        break;
    case 3: {
        ir_reg b = source(g);
        ir_atomic(ir, (enum ir_atomic)below(6), dest(g), base, memop & MO_SIZE, b);
        if (a32) {
            ir->ops[ir->nops - 1].aux |= MO_A32;
        }
        break;
    }
    case 4: {
        ir_reg b = source(g), c = source(g);
        ir_cmpxchg(ir, dest(g), base, (memop & MO_SIZE) | (a32 ? MO_A32 : 0), b, c);
        break;
    }
    default:
        if (below(3) == 0 && (memop & MO_SIZE) != MO_64) {
            memop |= MO_SIGN;
        }
        ir_ld(ir, below(2) ? W64 : W32, dest(g), base, index, memop, disp);
        break;
    }
}

/* Several accesses off one base, as in a function's frame: in one page, across two, and in the
 * hole. */
static void gen_group(struct gen *g)
{
    struct ir *ir = &g->ir;
    ir_reg base = below(2) ? (ir_reg)below(8) : ir_temp(ir);
    ir_reg index = below(3) ? IR_NONE : (ir_reg)below(8);
    unsigned n = 2 + below(6), scale = below(4) << MO_SCALE;
    int64_t at = below(30) == 0 ? HOLE * 16 : below(3) ? DATA + 0x400 : DATA + 4096 - 30;

    if (index == base) {
        index = IR_NONE;
    }
    if (index != IR_NONE) {
        ir_bini(ir, IR_AND, W64, index, index, 7);
    }
    ir_bini(ir, IR_AND, W64, base, source(g), 0x3f);
    ir_bini(ir, IR_ADD, W64, base, base, at);
    for (unsigned k = 0; k < n; k++) {
        unsigned memop = below(4) | (index != IR_NONE ? scale | MO_INDEX : 0);
        int64_t disp = (int64_t)below(64) - 32;
        ir_reg d = dest(g), v = source(g);
        if (below(2)) {
            ir_st(ir, base, index, memop, disp, v);
        } else if (d != base && d != index) {
            ir_ld(ir, W64, d, base, index, memop, disp);
        }
        if (below(4) == 0) {
            ir_bini(ir, IR_ADD, W64, base, base, (int64_t)below(32) - 16);
        }
    }
}

/* What a push or a pop is made of. */
static void gen_stack(struct gen *g)
{
    struct ir *ir = &g->ir;
    ir_reg sp = (ir_reg)below(8), d = dest(g), v = source(g);
    bool wide = below(2);
    enum ir_width w = wide ? W64 : W32;
    unsigned memop = wide ? MO_64 : MO_32 | MO_A32;

    ir_bini(ir, IR_AND, W64, sp, sp, 0x7ff);
    ir_bini(ir, IR_ADD, W64, sp, sp, below(40) ? DATA + 8 : HOLE * 16);
    if (below(2)) {
        ir_st(ir, sp, IR_NONE, memop, wide ? -8 : -4, v);
        ir_bini(ir, IR_SUB, w, sp, sp, wide ? 8 : 4);
    } else {
        ir_ld(ir, W64, d, sp, IR_NONE, memop, 0);
        ir_bini(ir, IR_ADD, w, sp, sp, below(2) ? 8 : 4);
    }
}

/* Arithmetic with lazy flags in the shapes that executors fuse. Kinds: see compare(). */
static void gen_flags(struct gen *g)
{
    static const uint8_t ops[] = {IR_ADD, IR_SUB, IR_AND, IR_OR, IR_XOR};
    struct ir *ir = &g->ir;
    enum ir_width w = below(2) ? W64 : W32;
    unsigned o = ops[below(5)];
    ir_reg d = below(2) ? (ir_reg)below(8) : dest(g), b = source(g);
    int64_t imm = below(2) ? (int64_t)below(300) - 150 : interesting();
    bool with_imm = below(2), before = o == IR_SUB;

    if (b == d || b == TCG_REG_CC_A || d == TCG_REG_CC_A) {
        return;
    }
    for (unsigned step = 0; step < 2; step++) {
        if ((step == 0) == before) {
            ir_cc(ir,
                  before && w == W32      ? 103
                  : o == IR_ADD || before ? 102
                                          : 101,
                  d,
                  o != IR_ADD && !before ? IR_NONE
                  : with_imm             ? IR_NONE
                                         : b,
                  IR_NONE);
            if (with_imm && (o == IR_ADD || before)) {
                ir->ops[ir->nops - 1].flags = IR_BIMM;
                ir->ops[ir->nops - 1].imm2 = imm;
            }
        } else if (with_imm) {
            ir_bini(ir, (enum ir_opc)o, w, d, d, imm);
        } else {
            ir_bin(ir, (enum ir_opc)o, w, d, d, b);
        }
    }
}

/* The test that a jump's target is canonical. */
static void gen_small_test(struct gen *g, ir_reg a)
{
    struct ir *ir = &g->ir;
    unsigned ok = ir_label_new(ir);
    ir_reg t = ir_temp(ir);
    int64_t first = below(2) ? 0 : -1;

    ir_bini(ir, IR_SAR, W64, t, a, 47);
    ir_brcondi(ir, IR_EQ, W64, t, first, ok);
    ir_brcondi(ir, IR_EQ, W64, t, ~first, ok);
    ir_un(ir, IR_NOT, W64, (ir_reg)below(8), a);
    ir_label(ir, ok);
}

static uint64_t helper_mix(struct vcpu *v, uint64_t a, uint64_t b)
{
    (void)v;
    return a * 3 ^ b;
}
static const struct ir_helper h_mix = {"mix", (void (*)(void))helper_mix, 2, 0};
static uint64_t helper_reads(struct vcpu *v, uint64_t imm)
{
    return v->reg[1] + v->reg[2] * imm + v->reg[TCG_REG_CC_OP] + (uint32_t)v->reg[TCG_REG_CC_A];
}
static const struct ir_helper h_reads = {"reads", (void (*)(void))helper_reads, 0,
                                         HELPER_IMM | HELPER_READS};
static uint64_t helper_writes(struct vcpu *v, uint64_t a)
{
    v->reg[3] = a;
    v->reg[4] += a;
    return 0;
}
static const struct ir_helper h_writes = {"writes", (void (*)(void))helper_writes, 1,
                                          HELPER_READS | HELPER_WRITES};
static uint64_t helper_four(struct vcpu *v, uint64_t a, uint64_t b, uint64_t c, uint64_t imm)
{
    (void)v;
    return a + 2 * b + 3 * c + imm;
}
static const struct ir_helper h_four = {"four", (void (*)(void))helper_four, 3, HELPER_IMM};

/* Operations on 8 or 16 bits in place: what a code generator may make one instruction of. */
static void gen_narrow(struct gen *g)
{
    static const uint8_t ops[] = {IR_ADD, IR_SUB, IR_AND, IR_OR, IR_XOR, IR_SHL, IR_SHR, IR_SAR};
    static const uint8_t exts[] = {IR_EXT8U, IR_EXT16U, IR_EXT8S, IR_EXT16S};
    struct ir *ir = &g->ir;
    ir_reg r = dest(g), other = source(g), t = ir_temp(ir), u = ir_temp(ir);
    unsigned ext = below(4), size = ext & 1 ? 16 : 8;
    enum ir_opc op = (enum ir_opc)ops[below(sizeof(ops))];

    ir_un(ir, (enum ir_opc)exts[ext], W32, t, r);
    if (below(8) == 0) {
        ir_un(ir, below(2) ? IR_NOT : IR_NEG, W32, u, t);
    } else if (op >= IR_SHL) {
        ir_bini(ir, op, W32, u, t, below(20));
    } else if (below(2)) {
        ir_bini(ir, op, W32, u, t, interesting());
    } else if (below(2)) {
        ir_bin(ir, op, W32, u, t, below(8) ? other : t);
    } else {
        ir_bin(ir, op, W32, u, other, t);
    }
    ir_deposit(ir, below(8) ? r : dest(g), r, u, below(8) ? 0 : 8, below(8) ? size : 8);
    if (below(8) == 0) { /* and one of the temporaries is wanted again */
        ir_un(ir, IR_MOV, W64, dest(g), below(2) ? t : u);
    }
}

/* Moves on a comparison with a number, or of 32 bits. */
static void gen_select(struct gen *g)
{
    struct ir *ir = &g->ir;
    ir_reg a = source(g), b = source(g), t = ir_temp(ir), u = ir_temp(ir);
    enum ir_cond cond = (enum ir_cond)below(IR_NCOND);
    enum ir_opc ext = below(2) ? IR_EXT32S : IR_EXT32U;

    if (below(2)) {
        ir_movi(ir, t, (uint64_t)interesting());
        if (below(2)) {
            ir_un(ir, ext, W64, u, a);
            a = u;
        }
    } else {
        ir_un(ir, ext, W64, u, a);
        ir_un(ir, below(8) ? ext : IR_EXT32S, W64, t, b);
        a = u;
    }
    ir_movcond(ir, cond, below(4) ? W64 : W32,
               below(8)   ? dest(g)
               : below(2) ? t
                          : u,
               a, t, below(8) ? source(g) : t, below(8) ? source(g) : u);
}

/* Divisions whose quotient fits. */
static void gen_divide(struct gen *g)
{
    struct ir *ir = &g->ir;
    enum ir_width w = below(2) ? W64 : W32;
    ir_reg low = source(g), divisor = ir_temp(ir), high = ir_temp(ir);
    bool sign = below(2);

    if (sign) {
        ir_bini(ir, IR_AND, w, divisor, source(g), 0x7fff);
        ir_bini(ir, IR_OR, w, divisor, divisor, 2);
        ir_bini(ir, IR_SAR, w, high, low, w == W64 ? 63 : 31);
    } else {
        ir_bini(ir, IR_OR, w, divisor, source(g), 1);
        if (below(2)) {
            ir_movi(ir, high, 0);
        } else {
            ir_bini(ir, IR_SUB, w, high, divisor, 1);
        }
    }
    unsigned which = below(4);
    if (which != 1) {
        ir_divide(ir, sign ? IR_DIVS : IR_DIVU, w, which ? ir_temp(ir) : dest(g), low, divisor,
                  high);
    }
    if (which != 0) {
        ir_divide(ir, sign ? IR_REMS : IR_REMU, w, dest(g), low, divisor, high);
    }
    if (which > 1) {
        ir_un(ir, IR_MOV, W64, dest(g), (ir_reg)(ir_temp(ir) - 1));
    }
}

static void gen_op(struct gen *g)
{
    static const uint8_t bins[] = {IR_ADD, IR_ADD,  IR_SUB,  IR_SUB,   IR_AND,
                                   IR_OR,  IR_XOR,  IR_MUL,  IR_SHL,   IR_SHR,
                                   IR_SAR, IR_ROTL, IR_ROTR, IR_MULHU, IR_MULHS};
    static const uint8_t uns[] = {IR_MOV,    IR_MOV,    IR_MOV,    IR_NEG,   IR_NOT,
                                  IR_EXT8U,  IR_EXT16U, IR_EXT32U, IR_EXT8S, IR_EXT16S,
                                  IR_EXT32S, IR_BSWAP,  IR_CLZ,    IR_CTZ,   IR_POPCNT};
    struct ir *ir = &g->ir;
    enum ir_width w = below(2) ? W64 : W32;
    ir_reg a = source(g), b = source(g), c = source(g);
    enum ir_cond cond = (enum ir_cond)below(IR_NCOND);

    switch (below(19)) {
    case 16:
        gen_narrow(g);
        break;
    case 17:
        gen_select(g);
        break;
    case 18:
        gen_divide(g);
        break;
    case 0:
    case 1:
    case 2: {
        unsigned o = bins[below(sizeof(bins))];
        if (below(2) && o != IR_MULHU && o != IR_MULHS) {
            ir_bini(ir, (enum ir_opc)o, w, dest(g), a, interesting());
        } else {
            ir_bin(ir, (enum ir_opc)o, w, dest(g), a, b);
        }
        break;
    }
    case 3:
    case 4: {
        unsigned o = uns[below(sizeof(uns))];
        ir_un(ir, (enum ir_opc)o, o == IR_EXT32S ? W64 : w, dest(g), a);
        break;
    }
    case 5:
        if (below(3)) {
            ir_movi(ir, dest(g), (uint64_t)interesting());
        } else {
            ir_movpc(ir, dest(g), (int32_t)rnd());
        }
        break;
    case 6: {
        unsigned pos = below(64), len = 1 + below(64 - pos);
        if (below(2)) {
            static const uint8_t usual[][2] = {{0, 8}, {8, 8}, {0, 16}, {0, 32}};
            pos = usual[below(4)][0];
            len = pos ? 8 : usual[below(4)][1];
        }
        if (below(2)) {
            ir_extract(ir, dest(g), a, pos, len);
        } else {
            ir_deposit(ir, dest(g), a, b, pos, len);
        }
        break;
    }
    case 7:
        if (below(2)) {
            ir_setcond(ir, cond, w, dest(g), a, b);
        } else {
            ir_setcondi(ir, cond, w, dest(g), a, interesting());
        }
        break;
    case 8: {
        ir_reg no = source(g);
        ir_movcond(ir, cond, w, dest(g), a, b, c, no);
        break;
    }
    case 9:
        ir_addx(ir, below(2) ? IR_ADDX : IR_SUBX, w, dest(g), a, b, c);
        break;
    case 10:
    case 11: {
        unsigned n = 1 + below(3); /* the kind says how many values it has */
        ir_reg bad = TCG_REG_CC_OP;
        a = a == bad ? 0 : a;
        ir_cc(ir, 100 + n, a, n > 1 ? b : IR_NONE, n > 2 ? c : IR_NONE);
        break;
    }
    case 12:
        gen_memory(g);
        break;
    case 13:
        switch (below(5)) {
        case 0:
            gen_stack(g);
            break;
        case 1:
            gen_flags(g);
            break;
        case 2:
            if (below(3) == 0) {
                gen_small_test(g, source(g));
                break;
            }
            gen_flags(g);
            break;
        default:
            gen_memory(g);
            break;
        }
        break;
    case 15:
        gen_group(g);
        break;
    case 14:
        switch (below(5)) {
        case 0:
            ir_call(ir, &h_mix, dest(g), a, b, IR_NONE, 0);
            break;
        case 1:
            ir_call(ir, &h_reads, dest(g), IR_NONE, IR_NONE, IR_NONE, 17);
            break;
        case 2:
            ir_call(ir, &h_writes, IR_NONE, a, IR_NONE, IR_NONE, 0);
            break;
        case 3:
            ir_call(ir, &h_four, dest(g), a, b, c, interesting());
            break;
        default:
            ir_stenv(ir, a, offsetof(struct vcpu, reg) + 8 * 30, below(4));
            ir_ldenv(ir, dest(g), offsetof(struct vcpu, reg) + 8 * 30, below(4));
            break;
        }
        break;
    default: { /* a branch forward, or the label of one */
        unsigned k = below(4);
        if (g->pending[k]) {
            ir_label(ir, g->label[k]);
            g->pending[k] = false;
            g->new_insn = true; /* branches lead to the start of an instruction */
        } else {
            g->pending[k] = true;
            g->label[k] = ir_label_new(ir);
            if (below(2)) {
                ir_brcond(ir, cond, w, a, b, g->label[k]);
            } else {
                ir_brcondi(ir, cond, w, a, interesting(), g->label[k]);
            }
        }
        break;
    }
    }
}

static void gen_exit(struct gen *g, unsigned slot)
{
    static const unsigned wraps[] = {0, 0, IR_PC32, IR_PC16};
    struct ir *ir = &g->ir;

    switch (below(4)) {
    case 0:
        ir_exit_loop(ir, 0x100 + below(100), wraps[below(4)]);
        break;
    case 1: {
        ir_reg t = ir_temp(ir);
        ir_bini(ir, IR_AND, W64, t, source(g), 0xf00);
        ir_bini(ir, IR_OR, W64, t, t, 0x100);
        ir_exit_ind(ir, t, IR_IND_JUMP, wraps[below(4)]);
        break;
    }
    default:
        ir_exit_tb(ir, slot, 0x100 + below(0x1000), wraps[below(4)]);
        break;
    }
}

static void generate(struct gen *g)
{
    unsigned nops = 3 + below(MAX_OPS), off = 0;
    bool loop = !below(4);
    unsigned top = 0;

    ir_reset(&g->ir);
    memset(g->pending, 0, sizeof(g->pending));
    g->ntemps = 0;
    if (loop) {
        top = ir_label_new(&g->ir);
        for (unsigned i = 0; i < 4; i++) { /* temporaries of the loop exist before it */
            g->temp[g->ntemps++] = ir_temp(&g->ir);
            ir_movi(&g->ir, g->temp[i], rnd());
        }
        ir_label(&g->ir, top);
    }
    for (unsigned i = 0; i < nops; i++) {
        if (i == 0 || g->new_insn || !below(4)) {
            g->new_insn = false;
            struct ir_op *op = ir_append(&g->ir, IR_INSN);
            op->imm = off++;
            op->imm2 = below(3) ? 0 : below(1000);
        }
        if (TCG_REG_TEMP + g->ir.ntemps > TCG_REG_LAST_TEMP - 8) {
            break;
        }
        gen_op(g);
    }
    for (unsigned k = 0; k < 4; k++) {
        if (g->pending[k]) {
            ir_label(&g->ir, g->label[k]);
        }
    }
    if (loop) {
        ir_bini(&g->ir, IR_SUB, W64, 15, 15, 1);
        ir_brcondi(&g->ir, IR_GT, W64, 15, 0, top);
    }
    if (below(2)) {
        unsigned l = ir_label_new(&g->ir);
        ir_reg a = source(g), b = source(g);
        bool zero = false;
        switch (below(5)) {
        case 0:
        case 1:
            ir_cc(&g->ir, 102, a, b, IR_NONE);
            zero = below(2);
            break;
        case 2:
            ir_cc(&g->ir, 101, a, IR_NONE, IR_NONE);
            zero = true;
            break;
        case 3:
            ir_cc(&g->ir, 102, a, IR_NONE, IR_NONE);
            g->ir.ops[g->ir.nops - 1].flags = IR_BIMM;
            g->ir.ops[g->ir.nops - 1].imm2 = interesting();
            zero = true;
            break;
        default:
            gen_flags(g);
            break;
        }
        if (zero) {
            ir_brcondi(&g->ir, (enum ir_cond)below(IR_NCOND), below(2) ? W64 : W32,
                       below(2) ? TCG_REG_CC_A : a, 0, l);
        } else if (below(2)) {
            ir_brcond(&g->ir, (enum ir_cond)below(IR_NCOND), below(2) ? W64 : W32, a, b, l);
        } else {
            ir_brcondi(&g->ir, (enum ir_cond)below(IR_NCOND), below(2) ? W64 : W32, a,
                       interesting(), l);
        }
        gen_exit(g, 0);
        ir_label(&g->ir, l);
    }
    gen_exit(g, 1);
    g->ir.guest_size = off + 1;
    g->ir.ninsns = off;
}

/* ---- the two runs ---- */

static struct gen gen;
static bool left_apart; /* the block asked to go on, from an instruction in its middle, as one keyed
                           TB_APART */

static void translate(struct vcpu *v, const struct translate_request *req, struct ir *ir)
{
    (void)v;
    left_apart |= (ir->flags & TB_APART) != 0;
    if (req->pc == 0) {
        for (unsigned i = 0; i < gen.ir.nops; i++) {
            *ir_append(ir, (enum ir_opc)gen.ir.ops[i].opc) = gen.ir.ops[i];
        }
        ir->nlabels = gen.ir.nlabels;
        ir->guest_size = gen.ir.guest_size;
        fake_parts(ir, req, ir->guest_size);
        ir->ninsns = gen.ir.ninsns;
        return;
    }
    ir_append(ir, IR_INSN);
    ir_call(ir, &h_halt, IR_NONE, IR_NONE, IR_NONE, IR_NONE, 0);
    ir_exit_loop(ir, 0, 0);
    ir->guest_size = ir->ninsns = 1;
    fake_parts(ir, req, 1);
}

static struct {
    uint8_t data[DATA_SIZE];
    jmp_buf fault;
} ref;

static uint64_t ref_load(struct eval *e, uint64_t va, unsigned bytes)
{
    uint64_t x = 0;

    if (va < DATA || va + bytes > DATA + DATA_SIZE) {
        longjmp(ref.fault, 1);
    }
    (void)e;
    memcpy(&x, ref.data + (va - DATA), bytes);
    return x;
}

static void ref_store(struct eval *e, uint64_t va, unsigned bytes, uint64_t value)
{
    if (va < DATA || va + bytes > DATA + DATA_SIZE) {
        longjmp(ref.fault, 1);
    }
    (void)e;
    memcpy(ref.data + (va - DATA), &value, bytes);
}

static bool run_reference(struct vcpu *v, uint64_t *meta)
{
    static struct eval e;

    e = (struct eval){.v = v, .load = ref_load, .store = ref_store};
    if (setjmp(ref.fault)) {
        v->reg[TCG_REG_PC] += (uint64_t)e.insn->imm;
        *meta = (uint64_t)e.insn->imm2;
        return true;
    }
    ir_eval(&e, &gen.ir);
    return false;
}

static const char *compare(const struct vcpu *want, const struct vcpu *got, bool fault,
                           const struct fake_cpu *c, uint64_t meta)
{
    static char text[200];
    uint64_t kind = want->reg[TCG_REG_CC_OP];

    if (fault != (c->faults != 0)) {
        return fault ? "a fault was expected" : "an unexpected fault";
    }
    if (fault && meta != c->restored_meta) {
        return "wrong meta at the fault";
    }
    for (unsigned i = 0; i < TCG_REG_TEMP; i++) {
        bool counts = true;
        if (i == TCG_REG_CC_B) {
            counts = kind != 101;
        } else if (i == TCG_REG_CC_C) {
            counts = kind < 101 || kind > 103;
        }
        if (kind == 103 && i == TCG_REG_CC_A) { /* flags of 32-bit values: see ir.h */
            counts = (uint32_t)want->reg[i] != (uint32_t)got->reg[i];
        }
        if (counts && want->reg[i] != got->reg[i]) {
            snprintf(text, sizeof(text), "register %u: %llx instead of %llx", i,
                     (unsigned long long)got->reg[i], (unsigned long long)want->reg[i]);
            return text;
        }
    }
    if (memcmp(ref.data, c->ram + DATA, DATA_SIZE)) {
        return "memory differs";
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static struct guest_ops ops;
    unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 20000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    unsigned failed = 0, faulted = 0, apart = 0;
    static uint64_t start[TCG_NREGS];
    static uint8_t data[DATA_SIZE];
    static struct vcpu want;

    ops.translate = translate;
    struct fake_cpu *c = fake_create(&ops, NULL);
    memset(c->map + 0x100, 0xff, FAKE_VPAGES - 0x100);

    for (unsigned i = 0; i < n && failed < 5; i++) {
        const char *bad;
        uint64_t meta = 0;

        rng_state = (seed + i) * UINT64_C(0x9e3779b97f4a7c15) + 1;
        generate(&gen);
        bad = ir_check(&gen.ir);
        if (bad) {
            tap_ok(false, "seed %llu: generator made bad IR: %s", (unsigned long long)(seed + i),
                   bad);
            failed++;
            continue;
        }
        for (unsigned r = 0; r < TCG_NREGS - 1; r++) {
            c->v.reg[r] = r < 16 ? (uint64_t)interesting() : r < TCG_REG_TEMP ? rnd() : 0;
        }
        c->v.reg[TCG_REG_GUEST] = 0;
        c->v.reg[15] = 1 + below(5);
        c->v.reg[TCG_REG_PC] = 0;
        c->v.reg[TCG_REG_CC_OP] = 103;
        for (unsigned k = 0; k < DATA_SIZE; k += 8) {
            uint64_t x = rnd();
            memcpy(ref.data + k, &x, 8);
        }
        memcpy(c->ram + DATA, ref.data, DATA_SIZE);
        memcpy(start, c->v.reg, sizeof(start));
        memcpy(data, ref.data, DATA_SIZE);
        want = c->v;
        c->faults = 0;
        c->restored_meta = 0;
        tcg_flush(c->v.tcg);
        bool fault = run_reference(&want, &meta);
        faulted += fault;
        left_apart = false;
        fake_run(c, 0);
        if (left_apart) { /* random IR cannot be gone on with in the middle: all of it apart */
            apart++;
            memcpy(c->v.reg, start, sizeof(start));
            memcpy(c->ram + DATA, data, DATA_SIZE);
            c->faults = 0;
            c->restored_meta = 0;
            c->v.tcg_cpu->apart = true;
            fake_run(c, 0);
        }
        bad = compare(&want, &c->v, fault, c, meta);
        if (bad) {
            failed++;
            tap_ok(false, "seed %llu: %s", (unsigned long long)(seed + i), bad);
            if (failed == 1) {
                printf("# as generated:\n");
                ir_dump(&gen.ir, NULL, stdout);
                ir_optimize(&gen.ir);
                printf("# optimized:\n");
                ir_dump(&gen.ir, NULL, stdout);
            }
        }
    }
    tap_ok(failed == 0,
           "%u random blocks run as the evaluator says (%u faulted, %u without groups)", n, faulted,
           apart);
    ir_free(&gen.ir);
    fake_destroy(c);
    return tap_done();
}
