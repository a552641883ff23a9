/* Time of the interpreter per guest instruction and per IR operation, on loops written in IR as the
 * x86 translator writes them. Prints one line a loop: name, ns per iteration, ns per guest
 * instruction, and what is left of the IR after the passes. Argument: millions of iterations. */
#include "tests/unit/fake_guest.h"

#include <time.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };
enum { CC_ADD, CC_SUB, CC_LOGIC, CC_DEC };

struct emit {
    struct ir *ir;
    unsigned off;
};

static void insn(struct emit *e)
{
    ir_append(e->ir, IR_INSN)->imm = e->off;
    e->off += 4;
    e->ir->ninsns++;
}

static void add(struct emit *e, enum ir_width w, ir_reg d, ir_reg b)
{
    ir_reg t = ir_temp(e->ir);
    insn(e);
    ir_bin(e->ir, IR_ADD, w, t, d, b);
    ir_mov(e->ir, w, d, t);
    ir_cc(e->ir, CC_ADD, t, b, IR_NONE);
}

static void addi(struct emit *e, enum ir_width w, ir_reg d, int64_t imm)
{
    ir_reg t = ir_temp(e->ir);
    insn(e);
    ir_movi(e->ir, t, (uint64_t)imm);
    ir_reg s = ir_temp(e->ir);
    ir_bin(e->ir, IR_ADD, w, s, d, t);
    ir_mov(e->ir, w, d, s);
    ir_cc(e->ir, CC_ADD, s, t, IR_NONE);
}

static void logic(struct emit *e, enum ir_opc o, ir_reg d, ir_reg b)
{
    ir_reg t = ir_temp(e->ir);
    insn(e);
    ir_bin(e->ir, o, W64, t, d, b);
    ir_mov(e->ir, W64, d, t);
    ir_cc(e->ir, CC_LOGIC, t, IR_NONE, IR_NONE);
}

static void mov(struct emit *e, ir_reg d, ir_reg a)
{
    insn(e);
    ir_mov(e->ir, W64, d, a);
}

static void load(struct emit *e, ir_reg d, ir_reg base, int64_t disp)
{
    insn(e);
    ir_ld(e->ir, W64, d, base, IR_NONE, MO_64, disp);
}

static void store(struct emit *e, ir_reg base, int64_t disp, ir_reg b)
{
    insn(e);
    ir_st(e->ir, base, IR_NONE, MO_64, disp, b);
}

static void cmp_jcc(struct emit *e, ir_reg a, ir_reg b, enum ir_cond c, int64_t back)
{
    insn(e);
    ir_cc(e->ir, CC_SUB, a, b, IR_NONE);
    insn(e);
    unsigned l = ir_label_new(e->ir);
    ir_brcond(e->ir, c, W64, TCG_REG_CC_A, TCG_REG_CC_B, l);
    ir_exit_tb(e->ir, 0, e->off, 0);
    ir_label(e->ir, l);
    ir_exit_tb(e->ir, 1, back, IR_POLL);
}

/* ---- the loops; each ends with: dec rcx-like count and branch to its start ---- */

static void loop_end(struct emit *e)
{
    addi(e, W64, RCX, 1);
    cmp_jcc(e, RCX, RBX, IR_NE, 0);
}

static void bench_empty(struct emit *e)
{
    loop_end(e);
}

static void bench_alu(struct emit *e)
{
    add(e, W64, RAX, RDX);
    logic(e, IR_XOR, RDX, RAX);
    addi(e, W32, RSI, 7);
    add(e, W64, RDI, RSI);
    mov(e, RBP, RDI);
    logic(e, IR_AND, RBP, RAX);
    add(e, W32, RAX, RBP);
    addi(e, W64, RDX, -3);
    loop_end(e);
}

static void bench_mem(struct emit *e)
{
    load(e, RAX, RSP, 0);
    load(e, RDX, RSP, 8);
    add(e, W64, RAX, RDX);
    store(e, RSP, 16, RAX);
    load(e, RSI, RSP, 24);
    store(e, RSP, 0, RSI);
    store(e, RSP, 8, RDX);
    load(e, RDI, RSP, 16);
    loop_end(e);
}

static void bench_array(struct emit *e)
{
    /* for (...) sum += a[i & 255] */
    insn(e);
    ir_un(e->ir, IR_EXT8U, W64, RDX, RCX);
    insn(e);
    ir_ld(e->ir, W64, RAX, RSP, RDX, MO_64 | 3 << MO_SCALE, 0x10);
    add(e, W64, RSI, RAX);
    loop_end(e);
}

/* Three blocks: call, body with a return, back. */
static void bench_call(struct emit *e)
{
    insn(e);
    ir_reg ret = ir_temp(e->ir), sp = ir_temp(e->ir);
    ir_movpc(e->ir, ret, e->off);
    ir_bini(e->ir, IR_SUB, W64, sp, RSP, 8);
    ir_st(e->ir, sp, IR_NONE, MO_64, 0, ret);
    ir_mov(e->ir, W64, RSP, sp);
    ir_exit_tb(e->ir, 0, 0x800, 0);
}

static void callee(struct emit *e)
{
    addi(e, W64, RAX, 1);
    insn(e);
    ir_reg t = ir_temp(e->ir), sp = ir_temp(e->ir);
    ir_ld(e->ir, W64, t, RSP, IR_NONE, MO_64, 0);
    ir_bini(e->ir, IR_ADD, W64, sp, RSP, 8);
    ir_mov(e->ir, W64, RSP, sp);
    ir_exit_ind(e->ir, t, IR_IND_RET, 0);
}

static const struct {
    const char *name;
    void (*emit)(struct emit *);
    unsigned insns; /* guest instructions an iteration, 0: those of the block */
} benches[] = {
    {"empty loop", bench_empty, 0},     {"alu", bench_alu, 0},
    {"loads and stores", bench_mem, 0}, {"array sum", bench_array, 0},
    {"call and return", bench_call, 7},
};

static unsigned current, guest_insns, ir_ops;

static void translate(struct vcpu *v, const struct translate_request *req, struct ir *ir)
{
    struct emit e = {.ir = ir};

    (void)v;
    if (req->pc == 0) {
        benches[current].emit(&e);
    } else if (req->pc == 0x800) {
        callee(&e);
    } else if (benches[current].insns && req->pc == 4) {
        addi(&e, W64, RCX, 1);
        cmp_jcc(&e, RCX, RBX, IR_NE, -4);
    } else {
        insn(&e);
        ir_call(ir, &h_halt, IR_NONE, IR_NONE, IR_NONE, IR_NONE, 0);
        ir_exit_loop(ir, 0, 0);
    }
    ir->guest_size = e.off;
    if (req->pc == 0) {
        struct ir copy;
        ir_init(&copy);
        for (unsigned i = 0; i < ir->nops; i++) {
            *ir_append(&copy, (enum ir_opc)ir->ops[i].opc) = ir->ops[i];
        }
        copy.nlabels = ir->nlabels;
        ir_optimize(&copy);
        guest_insns = ir->ninsns;
        ir_ops = 0;
        for (unsigned i = 0; i < copy.nops; i++) {
            ir_ops += copy.ops[i].opc != IR_INSN && copy.ops[i].opc != IR_LABEL &&
                      !(copy.ops[i].flags & IR_CC_MAP);
        }
        if (getenv("DUMP_IR")) {
            ir_dump(&copy, NULL, stdout);
        }
        ir_free(&copy);
    }
}

int main(int argc, char **argv)
{
    static struct guest_ops ops = {.translate = translate};
    uint64_t n = (argc > 1 ? strtoull(argv[1], NULL, 0) : 10) * 1000000;

    for (current = 0; current < sizeof(benches) / sizeof(benches[0]); current++) {
        if (argc > 2 && current != strtoul(argv[2], NULL, 0)) {
            continue;
        }
        struct fake_cpu *c = fake_create(&ops, NULL);
        struct timespec a, b;
        c->v.reg[RSP] = 0x8000;
        c->v.reg[RBX] = n;
        clock_gettime(CLOCK_MONOTONIC, &a);
        fake_run(c, 0);
        clock_gettime(CLOCK_MONOTONIC, &b);
        double ns = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
        unsigned insns = benches[current].insns ? benches[current].insns : guest_insns;
        printf("%-18s %7.2f ns an iteration, %5.2f ns a guest instruction (%u), %u ops in its "
               "first block\n",
               benches[current].name, ns / (double)n, ns / (double)n / insns, insns, ir_ops);
        fake_destroy(c);
    }
    return 0;
}
