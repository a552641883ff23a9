/* The operations of tcg/fp80.h on the host's own x87 unit.
 *
 * Consecutive operations of a block are a run. Values stay on the host's register stack through it,
 * in any order: `entry` says which guest register each is. A run begins with one check (exceptions
 * masked and none pending; the registers that it takes as full or empty are that, by masks that are
 * patched as the run grows); when it fails, the instruction is run alone by the helpers. Everything
 * goes back to the guest's CPU struct at the run's end, and out of line around slow memory
 * accesses.
 *
 * Guest registers are numbered by ST(i) at the run's start, when TOP was what it is in memory all
 * through the run. The condition codes are in memory always, exception flags collect in the host's
 * status word, C1 is where fp.c1 says.
 *
 * While a run is open the host's control word is the guest's; else it is C's. */
#ifdef __x86_64__
#include "tcg/x86_64/x87.h"

static bool allowed(const struct gen *g)
{
    return layout(g) && !g->ir->no_link && !(g->ir->flags & layout(g)->odd_key);
}

/* ---- operands ---- */

/* The host's instruction with op's operand a, which it may load from the guest's memory itself. */
static void with_value(struct gen *g, const struct ir_op *op, unsigned opcode, unsigned reg)
{
    unsigned value;

    if (g->fp_load) {
        x64_load_fp(g, g->fp_load, opcode, reg);
    } else if (x64_in_reg(g, op->a, &value)) {
        mov_mr(&g->c, 1, slot_of(REG_VA), value);
        x_rm(&g->c, opcode, reg, slot_of(REG_VA));
    } else {
        x_rm(&g->c, opcode, reg, slot_of(op->a));
    }
}

static void result(struct gen *g, ir_reg d, unsigned reg)
{
    if (d != IR_NONE) {
        x64_before_write(g, d, NULL);
        x64_done(g, d, reg);
    }
}

/* ---- operations; false: not in this state, let the helper do it ---- */

static bool load(struct gen *g, const struct ir_op *op)
{
    static const struct {
        uint8_t opcode, reg;
    } table[] = {
        [FP80_F32] = {0xd9, 0}, [FP80_F64] = {0xdd, 0}, [FP80_I16] = {0xdf, 0},
        [FP80_I32] = {0xdb, 0}, [FP80_I64] = {0xdf, 5},
    };

    if (!x64_fp_need_empty(g, st(g, 7))) {
        return false;
    }
    x64_fp_before_push(g, 0);
    with_value(g, op, table[op->imm].opcode, table[op->imm].reg);
    x64_fp_push_st(g);
    g->fp.c1 = C1_ZERO;
    return true;
}

static bool load80(struct gen *g, const struct ir_op *op)
{
    if (!x64_fp_need_empty(g, st(g, 7))) {
        return false;
    }
    x64_fp_before_push(g, 0);
    mov_mr(&g->c, 1, slot_of(REG_VA), x64_use(g, op->a));
    mov_mr(&g->c, 1, slot_of(REG_VALUE), x64_use(g, op->b));
    _Static_assert(REG_VALUE == REG_VA + 1, "16 bytes in memory");
    x_rm(&g->c, 0xdb, 5, slot_of(REG_VA));
    x64_fp_push_st(g);
    g->fp.c1 = C1_ZERO;
    return true;
}

static bool load_st(struct gen *g, const struct ir_op *op)
{
    unsigned r = st(g, (unsigned)op->imm);

    if (!x64_fp_need_full(g, r) || !x64_fp_need_empty(g, st(g, 7))) {
        return false;
    }
    x64_fp_before_push(g, 1u << r);
    if (pos(g, r) >= 0) {
        fp_rr(g, 0xd9, 0xc0 + (unsigned)pos(g, r));
    } else {
        x64_fp_load_reg(g, r);
    }
    x64_fp_push_st(g);
    g->fp.c1 = C1_ZERO;
    return true;
}

static bool constant(struct gen *g, const struct ir_op *op)
{
    if (!x64_fp_need_empty(g, st(g, 7))) {
        return false;
    }
    x64_fp_before_push(g, 0);
    fp_rr(g, 0xd9, 0xe8 + (unsigned)op->imm);
    x64_fp_push_st(g);
    g->fp.c1 = C1_ZERO;
    return true;
}

static bool store(struct gen *g, const struct ir_op *op)
{
    static const struct {
        uint8_t opcode, reg, truncate_opcode;
        bool pops;
    } table[] = {
        [FP80_F32] = {0xd9, 2, 0, false},    [FP80_F64] = {0xdd, 2, 0, false},
        [FP80_I16] = {0xdf, 2, 0xdf, false}, [FP80_I32] = {0xdb, 2, 0xdb, false},
        [FP80_I64] = {0xdf, 7, 0xdd, true},
    };
    unsigned r = st(g, 0), format = op->imm & 7, d;
    bool truncate = op->imm & FP80_TRUNCATE;

    if (!x64_fp_need_full(g, r)) {
        return false;
    }
    store_status(g, slot_of(REG_EXPECT));
    g->fp.c1_before = g->fp.c1;
    g->fp.storing = true;
    if (truncate || table[format].pops) {
        x64_fp_room(g, 2, 1u << r);
        x64_fp_bring_top(g, r, 0);
        fp_rr(g, 0xd9, 0xc0); /* fld st(0) */
    } else {
        x64_fp_bring_top(g, r, 0);
    }
    if (truncate) {
        x_rm(&g->c, table[format].truncate_opcode, 1, slot_of(REG_VA));
    } else {
        x_rm(&g->c, table[format].opcode, table[format].reg, slot_of(REG_VA));
    }
    g->fp.c1 = C1_LIVE;
    d = x64_alloc(g);
    if (format == FP80_I16) {
        load16(g, d, slot_of(REG_VA));
    } else {
        mov_rm(&g->c, format == FP80_F64 || format == FP80_I64, d, slot_of(REG_VA));
    }
    result(g, op->d, d);
    return true;
}

/* It is wanted: the branch that may follow is not taken. */
static unsigned store_wanted(struct gen *g, const struct ir_op *op)
{
    if (g->i + 1 < g->ir->nops && op[1].opc == IR_BRCOND && op[1].aux == IR_EQ &&
        op[1].a == op->d && (op[1].flags & IR_BIMM) && op[1].imm == 0 &&
        g->label[op[1].d].nrefs == 2 && !g->label[op[1].d].known) {
        g->label[op[1].d].nrefs = 0; /* only reached by going on */
        return 2;
    }
    unsigned d = x64_alloc(g);
    mov_ri(&g->c, d, 1);
    result(g, op->d, d);
    return 1;
}

static bool store80(struct gen *g, const struct ir_op *op)
{
    unsigned r = st(g, 0), d;

    if (!x64_fp_need_full(g, r)) {
        return false;
    }
    if (!(op->imm && fp_op(&op[-1]) == FP80_STORE80 && !op[-1].imm)) {
        x64_fp_keep_c1(g);
        x64_fp_room(g, 2, 1u << r);
        x64_fp_bring_top(g, r, 0);
        fp_rr(g, 0xd9, 0xc0);
        x_rm(&g->c, 0xdb, 7, slot_of(REG_VA));
    }
    d = x64_alloc(g);
    if (op->imm) {
        load16(g, d, slot_of(REG_VALUE));
    } else {
        mov_rm(&g->c, 1, d, slot_of(REG_VA));
    }
    result(g, op->d, d);
    return true;
}

static bool store_st(struct gen *g, const struct ir_op *op)
{
    unsigned s = st(g, 0), d = st(g, op->imm & 7);

    if (!x64_fp_need_full(g, s) || (!(g->fp.empty >> d & 1) && !x64_fp_need_full(g, d))) {
        return false;
    }
    if (s != d) {
        int i;

        x64_fp_forget_value(g, d);
        x64_fp_room(g, 1, 1u << s);
        i = pos(g, s);
        if (i >= 0 && (op->imm & 8) && !(g->fp.dirty >> s & 1)) {
            g->fp.entry[g->fp.depth - 1 - (unsigned)i] = (uint8_t)d;
        } else {
            if (i >= 0) {
                fp_rr(g, 0xd9, 0xc0 + (unsigned)i);
            } else {
                x64_fp_load_reg(g, s);
            }
            pushed(g, d);
        }
        becomes_full(g, d);
    }
    if (op->imm & 8) {
        pop(g);
    }
    g->fp.c1 = C1_ZERO;
    return true;
}

static bool arith_mem(struct gen *g, const struct ir_op *op)
{
    static const uint8_t opcode[] = {
        [FP80_F32] = 0xd8, [FP80_F64] = 0xdc, [FP80_I16] = 0xde, [FP80_I32] = 0xda};
    unsigned r = st(g, 0);

    if (!x64_fp_need_full(g, r)) {
        return false;
    }
    if (g->fp_load && pos(g, r) != 0) {
        x64_fp_keep_c1(g);
    }
    x64_fp_bring_top(g, r, 0);
    with_value(g, op, opcode[op->imm & 15], (unsigned)(op->imm >> 4));
    g->fp.dirty |= (uint8_t)(1u << r);
    g->fp.c1 = C1_LIVE;
    return true;
}

static bool arith_st(struct gen *g, const struct ir_op *op)
{
    unsigned d = st(g, op->imm & 7), s = st(g, op->imm >> 4 & 7);
    unsigned what = op->imm >> 8 & 15, reversed = what ^ (what >= FP80_SUB);
    bool pops = op->imm >> 12;

    if (!x64_fp_need_full(g, d) || !x64_fp_need_full(g, s)) {
        return false;
    }
    x64_fp_on_host(g, s, 1u << d);
    x64_fp_on_host(g, d, 1u << s);
    if (pops && s == st(g, 0) && d != s && !(g->fp.dirty >> s & 1)) {
        x64_fp_bring_top(g, s, 1u << d);
        fp_rr(g, 0xde, 0xc0 + 8 * reversed + (unsigned)pos(g, d));
        g->fp.depth--;
    } else if (pos(g, s) == 0 && d != s) {
        fp_rr(g, 0xdc, 0xc0 + 8 * reversed + (unsigned)pos(g, d));
    } else {
        x64_fp_bring_top(g, d, 1u << s);
        fp_rr(g, 0xd8, 0xc0 + 8 * what + (unsigned)pos(g, s));
    }
    g->fp.dirty |= (uint8_t)(1u << d);
    g->fp.c1 = C1_LIVE;
    if (pops) {
        pop(g);
    }
    return true;
}

/* The condition codes of the host's last instruction, C1 too, go to the status word. */
static void take_codes(struct gen *g)
{
    x64_take(g, RAX);
    x64_take(g, RCX);
    x64_fp_sync_status(g, C1_LIVE, SW_CODES);
    g->fp.c1 = C1_MEMORY;
}

static bool compare_mem(struct gen *g, const struct ir_op *op)
{
    static const uint8_t opcode[] = {
        [FP80_F32] = 0xd8, [FP80_F64] = 0xdc, [FP80_I16] = 0xde, [FP80_I32] = 0xda};
    unsigned r = st(g, 0);

    if (!x64_fp_need_full(g, r)) {
        return false;
    }
    if (g->fp_load && pos(g, r) != 0) {
        x64_fp_keep_c1(g);
    }
    x64_fp_bring_top(g, r, 0);
    with_value(g, op, opcode[op->imm & 15], FP80_COM);
    x64_unlock(g);
    take_codes(g);
    if (op->imm & 16) {
        pop(g);
    }
    return true;
}

static bool compare_st(struct gen *g, const struct ir_op *op)
{
    unsigned a = st(g, 0), b = st(g, op->imm & 7), i;
    bool quiet = op->imm & 8;

    if (!x64_fp_need_full(g, a) || !x64_fp_need_full(g, b)) {
        return false;
    }
    x64_fp_on_host(g, b, 1u << a);
    x64_fp_bring_top(g, a, 1u << b);
    i = (unsigned)pos(g, b);
    x64_unlock(g);
    if (op->imm & 64) {
        x64_take(g, RAX);
        fp_rr(g, 0xdb, (quiet ? 0xe8 : 0xf0) + i);
        put8(&g->c, 0x9f); /* lahf; movzx eax, ah */
        put8(&g->c, 0x0f);
        put8(&g->c, 0xb6);
        put8(&g->c, 0xc4);
        alu_ri(&g->c, ALU_AND, 0, RAX, 0x45);
        g->fp.c1 = C1_ZERO;
        result(g, op->d, RAX);
    } else {
        fp_rr(g, quiet ? 0xdd : 0xd8, (quiet ? 0xe0 : 0xd0) + i);
        take_codes(g);
    }
    for (unsigned n = op->imm >> 4 & 3; n; n--) {
        pop(g);
    }
    return true;
}

static bool exchange(struct gen *g, const struct ir_op *op)
{
    unsigned a = st(g, 0), b = st(g, (unsigned)op->imm);

    if (!x64_fp_need_full(g, a) || !x64_fp_need_full(g, b)) {
        return false;
    }
    g->fp.c1 = C1_ZERO;
    if (a == b) {
        return true;
    }
    x64_fp_on_host(g, b, 1u << a);
    x64_fp_on_host(g, a, 1u << b);
    unsigned i = g->fp.depth - 1u - (unsigned)pos(g, a), k = g->fp.depth - 1u - (unsigned)pos(g, b);
    g->fp.entry[i] = (uint8_t)b;
    g->fp.entry[k] = (uint8_t)a;
    g->fp.dirty |= (uint8_t)(1u << a | 1u << b);
    return true;
}

static bool move_if(struct gen *g, const struct ir_op *op)
{
    unsigned a = st(g, 0), b = st(g, (unsigned)op->imm), reg;

    if (!x64_fp_need_full(g, a) || !x64_fp_need_full(g, b)) {
        return false;
    }
    x64_fp_keep_c1(g);
    x64_fp_on_host(g, b, 1u << a);
    x64_fp_bring_top(g, a, 1u << b);
    reg = x64_use(g, op->a);
    test_rr(&g->c, 1, reg, reg);
    fp_rr(g, 0xdb, 0xc8 + (unsigned)pos(g, b)); /* fcmovne */
    g->fp.dirty |= (uint8_t)(1u << a);
    return true;
}

static bool unary(struct gen *g, const struct ir_op *op)
{
    unsigned r = st(g, 0);

    switch (op->imm) {
    case 0xe0: /* FCHS, FABS */
    case 0xe1:
    case 0xe4: /* FTST, FXAM */
    case 0xe5:
    case 0xfa: /* FSQRT, FRNDINT */
    case 0xfc:
        break;
    case 0xf6: /* FDECSTP, FINCSTP */
    case 0xf7:
        g->fp.delta = (g->fp.delta + (op->imm == 0xf7 ? 1 : 7)) & 7;
        g->fp.c1 = C1_ZERO;
        return true;
    default:
        return false;
    }
    if (!x64_fp_need_full(g, r)) {
        return false;
    }
    x64_fp_bring_top(g, r, 0);
    fp_rr(g, 0xd9, (unsigned)op->imm);
    if (op->imm == 0xe4 || op->imm == 0xe5) {
        x64_unlock(g);
        take_codes(g);
    } else {
        g->fp.dirty |= (uint8_t)(1u << r);
        g->fp.c1 = C1_LIVE;
    }
    return true;
}

static bool free_st(struct gen *g, const struct ir_op *op)
{
    unsigned r = st(g, op->imm & 7);

    if (!(g->fp.empty >> r & 1) && !x64_fp_need_full(g, r)) {
        return false;
    }
    if ((op->imm & 8) && !(g->fp.empty >> st(g, 0) & 1) && !x64_fp_need_full(g, st(g, 0))) {
        return false;
    }
    becomes_empty(g, r);
    if (op->imm & 8) {
        pop(g);
    }
    return true;
}

/* Run or no run. */
static void status(struct gen *g, const struct ir_op *op)
{
    if (op->d != IR_NONE) { /* flags that are made of its register may need three others */
        x64_before_write(g, op->d, NULL);
        x64_unlock(g);
    }
    x64_take(g, RAX);
    x64_take(g, RCX);
    if (g->fp.live) {
        x64_fp_sync_status(g, g->fp.c1, 0);
        g->fp.c1 = C1_MEMORY;
    } else {
        load16(g, RCX, env_at(layout(g)->status));
    }
    load8(g, RAX, env_at(layout(g)->top));
    if (g->fp.live && g->fp.delta) {
        alu_ri(&g->c, ALU_ADD, 0, RAX, g->fp.delta);
        alu_ri(&g->c, ALU_AND, 0, RAX, 7);
    }
    x_rr(&g->c, 0xc1, 4, RAX);
    put8(&g->c, 11);
    alu_rr(&g->c, ALU_OR, 0, RAX, RCX);
    result(g, op->d, RAX);
}

typedef bool (*fp_gen_fn)(struct gen *g, const struct ir_op *op);

static bool nothing(struct gen *g, const struct ir_op *op)
{
    (void)g;
    (void)op;
    return true;
}

static bool store_done(struct gen *g, const struct ir_op *op)
{
    g->fp.storing = false;
    if (op->imm & FP80_POP) {
        pop(g);
    }
    return true;
}

static bool store80_done(struct gen *g, const struct ir_op *op)
{
    (void)op;
    pop(g);
    g->fp.c1 = C1_ZERO;
    return true;
}

static const fp_gen_fn generators[] = {
    [FP80_LOAD] = load,
    [FP80_LOAD80] = load80,
    [FP80_LOAD_ST] = load_st,
    [FP80_CONST] = constant,
    [FP80_STORE] = store,
    [FP80_STORE_DONE] = store_done,
    [FP80_STORE80] = store80,
    [FP80_STORE80_DONE] = store80_done,
    [FP80_STORE_ST] = store_st,
    [FP80_ARITH_MEM] = arith_mem,
    [FP80_ARITH_ST] = arith_st,
    [FP80_COMPARE_MEM] = compare_mem,
    [FP80_COMPARE_ST] = compare_st,
    [FP80_EXCHANGE] = exchange,
    [FP80_MOVE_IF] = move_if,
    [FP80_UNARY] = unary,
    [FP80_FREE] = free_st,
    [FP80_WAIT] = nothing,
};

unsigned x64_gen_fp80(struct gen *g, const struct ir_op *op)
{
    enum fp80_op what = fp_op(op);

    if (what == FP80_NONE || !allowed(g)) {
        return 0;
    }
    flags_clobbered(g);
    if (what == FP80_STATUS) {
        status(g, op);
        return 1;
    }
    if (!g->fp.live) {
        if (!(ir_op_helper(op)->flags & HELPER_RAISES)) {
            return 0; /* the middle of an instruction that helpers began */
        }
        x64_fp_begin_run(g);
    }
    if (what == FP80_STORE_WANTED || (what == FP80_STORE80_WANTED && !op->imm)) {
        return store_wanted(g, op);
    }
    if (generators[what] && generators[what](g, op)) {
        return 1;
    }
    x64_unlock(g);
    x64_fp_flush(g);
    x_rm(&g->c, 0xc6, 0, host_flags()); /* the helper may use the host's unit */
    put8(&g->c, SW_FLAGS);
    return 0;
}

/* op is a load for nothing but the x87 operation behind it. */
static bool feeds(const struct gen *g, const struct ir_op *op)
{
    static const uint8_t size[] = {[FP80_F32] = MO_32,
                                   [FP80_F64] = MO_64,
                                   [FP80_I16] = MO_16,
                                   [FP80_I32] = MO_32,
                                   [FP80_I64] = MO_64};
    enum fp80_op what;

    if (g->i + 1 >= g->ir->nops || !is_temp(op->d) || op[1].opc != IR_CALL || op[1].a != op->d) {
        return false;
    }
    what = fp_op(&op[1]);
    return (what == FP80_LOAD || what == FP80_ARITH_MEM || what == FP80_COMPARE_MEM) &&
           (op->aux & MO_SIZE) == size[op[1].imm & 15];
}

unsigned x64_gen_fp80_load(struct gen *g, const struct ir_op *op)
{
    if (!allowed(g) || !feeds(g, op)) {
        return 0;
    }
    flags_clobbered(g);
    if (!g->fp.live) {
        x64_fp_begin_run(g);
    }
    g->fp_load = op;
    bool done = generators[fp_op(&op[1])](g, &op[1]);
    g->fp_load = NULL;
    if (!done) {
        x64_unlock(g);
        x64_fp_flush(g);
    }
    return done ? 2 : 0;
}

bool x64_fp_inline(const struct gen *g, const struct ir_op *op)
{
    return allowed(g) && fp_op(op) != FP80_NONE;
}

/* The branch at i skips a store that is not wanted. */
bool x64_fp_skips(const struct gen *g, unsigned i)
{
    const struct ir_op *op = &g->ir->ops[i];

    return i && op->opc == IR_BRCOND && allowed(g) && op->a == op[-1].d &&
           (fp_op(&op[-1]) == FP80_STORE_WANTED || fp_op(&op[-1]) == FP80_STORE80_WANTED);
}

/* A run may go on through op. */
bool x64_fp_keeps(const struct gen *g, const struct ir_op *op)
{
    const struct fp80_layout *l = layout(g);

    switch (op->opc) {
    case IR_CALL:
        return fp_op(op) != FP80_NONE;
    case IR_LABEL:
        return !g->label[op->imm].nrefs;
    case IR_BR:
    case IR_BRCOND:
    case IR_EXIT_TB:
    case IR_EXIT_IND:
    case IR_EXIT_LOOP:
        return false;
    case IR_SAR: /* the check of an address, which calls */
        return op[1].opc != IR_BRCOND;
    case IR_LDENV:
        if (op->imm == (int64_t)l->control) {
            return true;
        }
        /* fall through */
    case IR_STENV:
    case IR_VLDENV:
    case IR_VSTENV:
        return op->imm < (int64_t)l->regs - 16 || op->imm >= (int64_t)l->regs + 160;
    default:
        return true;
    }
}
#endif
