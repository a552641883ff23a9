/* verify=on finds errors of a code generator: each case plants one in the IR that only the code
 * generator gets, and wants the difference reported, with both states, the guest's code, IR and
 * host code. Without one, all is equal. */
#include "tests/cpu/sandbox.h"
#include "tests/unit/tap.h"

#include "tcg/ir_info.h"
#include "tcg/tb.h"

#ifdef __x86_64__
static bool failed;
static const struct executor *real;
static struct sandbox *box;

static void on_failed(struct vcpu *v)
{
    (void)v;
    failed = true;
    box->stop = true;
}

enum plant {
    NOTHING,
    SUM,
    STORE_VALUE,
    STORE_PLACE,
    STORE_PAGE,
    FLAGS,
    EXIT,
    ARGUMENT,
    VECTOR,
    LOAD,
    STRAY_VECTOR,
    STRAY_STATE,
    STRING_STORE,
    APART_SUM,
    NPLANTS
};
static enum plant plant;

static bool spoil(struct ir_op *op, const struct ir *ir)
{
    switch (plant) {
    case SUM:
        return op->opc == IR_ADD && (op->opc = IR_SUB);
    case STORE_VALUE:
        return op->opc == IR_ST && op->b != IR_NONE && (op->b = X86_RSI, true);
    case STORE_PLACE:
        return op->opc == IR_ST && (op->imm += 8, true);
    case STORE_PAGE:
        return op->opc == IR_ST && (op->imm += 0x3000, true);
    case FLAGS:
        return op->opc == IR_CC && !(op->flags & IR_CC_MAP) && (op->imm = CC_LOGIC64, true);
    case EXIT:
        return op->opc == IR_EXIT_LOOP && !(op->flags & IR_KEEPPC) && (op->imm += 1, true);
    case ARGUMENT:
        return op->opc == IR_CALL && op->a != IR_NONE && (op->a = X86_RSI, true);
    case VECTOR:
        return op->opc == IR_VOP && (op->b = 5, true);
    case LOAD:
        return op->opc == IR_LD && (op->imm += 8, true);
    case STRAY_VECTOR:
        return op->opc == IR_INSN && (*op = (struct ir_op){.opc = IR_VZERO, .d = 3}, true);
    case STRAY_STATE:
        return op->opc == IR_INSN && (*op = (struct ir_op){.opc = IR_STENV,
                                                           .aux = MO_32,
                                                           .flags = IR_BIMM,
                                                           .imm = offsetof(struct x86_cpu, pkru),
                                                           .imm2 = 0x1234},
                                      true);
    case STRING_STORE:
        return op->opc == IR_ST && (op->imm += 8, true);
    case APART_SUM:
        return ir->flags & TB_APART && op->opc == IR_ADD && (op->opc = IR_SUB);
    default:
        return false;
    }
}

static unsigned spoiled;

static size_t compile(struct tcg *t, const struct ir *ir, struct tb *tb, uint8_t *buf, size_t size)
{
    struct ir copy = *ir;
    size_t used;

    copy.ops = malloc(ir->cap * sizeof(*ir->ops));
    if (!copy.ops) {
        abort();
    }
    memcpy(copy.ops, ir->ops, ir->nops * sizeof(*ir->ops));
    for (unsigned i = 0; i < ir->nops && !spoiled; i++) {
        spoiled += spoil(&copy.ops[i], ir);
    }
    used = real->compile(t, &copy, tb, buf, size);
    free(copy.ops);
    return used;
}

static const struct {
    const char *name, *report;
    uint8_t code[24];
    size_t len;
} cases[NPLANTS] = {
    [NOTHING] = {"no error", "", {0x48, 0x01, 0xc8, 0x48, 0x89, 0x07}, 6},
    [SUM] = {"another operation", "* rax ", {0x48, 0x01, 0xc8}, 3},
    [STORE_VALUE] = {"another value stored", "* memory at 0x20000:", {0x48, 0x89, 0x07}, 3},
    [STORE_PLACE] = {"stored 8 bytes further", "* memory at 0x20000:", {0x48, 0x89, 0x07}, 3},
    [STORE_PAGE] = {"stored to another page", "a store to a page", {0x48, 0x89, 0x07}, 3},
    [FLAGS] = {"another kind of flags", "* flags ", {0x48, 0x01, 0xc8}, 3},
    [EXIT] = {"another way on", "* rip ", {0x90}, 1},
    [ARGUMENT] = {"a helper's argument",
                  "another argument of a helper",
                  {0x0f, 0x23, 0xc0},
                  3}, /* mov dr0, rax */
    [VECTOR] = {"a vector operation",
                "* vec1.0 ",
                {0x66, 0x0f, 0xfe, 0xca},
                4}, /* paddd xmm1, xmm2 */
    [LOAD] = {"another load", "* rax ", {0x48, 0x8b, 0x07}, 3},
    [STRAY_VECTOR] = {"a vector changed by integer code", "* vec3.0 ", {0x48, 0x01, 0xc8}, 3},
    [STRAY_STATE] = {"a system register changed by integer code", "* pkru ", {0x48, 0x01, 0xc8}, 3},
    [STRING_STORE] = {"a store behind a repeated one",
                      "* memory at 0x",
                      {0xf3, 0xaa, 0x48, 0x89, 0x3f},
                      5}, /* rep stosb; mov [rdi], rdi */
    /* 1: mov rax, [rdi+0xff8]; mov rdx, [rdi+0x1000]; add rax, rcx; dec ebx; jnz 1b */
    [APART_SUM] = {"an error of the block without groups",
                   "* rax ",
                   {0x48, 0x8b, 0x87, 0xf8, 0x0f, 0,    0,    0x48, 0x8b, 0x97, 0,
                    0x10, 0,    0,    0x48, 0x01, 0xc8, 0xff, 0xcb, 0x75, 0xeb},
                   21},
};

static void try(struct sandbox *s, enum plant what)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    sandbox_mode(s, SANDBOX_LONG);
    tcg_set_log(s->m->tcg, 0, out);
    for (unsigned i = 0; i < 16; i++) {
        s->c->v.vec[i].q[0] = UINT64_C(0x0123456789abcdef) * (i + 1);
    }
    s->c->v.reg[X86_RAX] = UINT64_C(0xffff888877776666);
    s->c->v.reg[X86_RCX] = what == STRING_STORE ? 100 : 0x1111222233334444;
    s->c->v.reg[X86_RSI] = 0x5555;
    s->c->v.reg[X86_RBX] = 3;
    s->c->v.reg[X86_RDI] = SANDBOX_DATA;
    sandbox_put64(s, SANDBOX_DATA, 0x77);
    plant = what;
    spoiled = 0;
    failed = false;
    sandbox_run(s, cases[what].code, cases[what].len);
    fflush(out);
    if (what == NOTHING) {
        tap_ok(!failed && !len && s->fault == -1, "no error, no difference");
    } else {
        bool whole = strstr(text, "IN: ") && strstr(text, "OP ") && strstr(text, "OUT: ") &&
                     strstr(text, "rdi");
        tap_ok(spoiled == 1 && failed && strstr(text, cases[what].report) && whole, "%s is found",
               cases[what].name);
        if (!failed || !strstr(text, cases[what].report) || !whole) {
            for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
                printf("# %s\n", line);
            }
        }
    }
    tcg_set_log(s->m->tcg, 0, NULL);
    fclose(out);
    free(text);
}

int main(void)
{
    static struct executor planted;

    for (enum plant p = NOTHING; p < NPLANTS; p++) {
        struct sandbox s;

        accel_verify_failed = on_failed;
        box = &s;
        sandbox_create(&s, NULL, "tcg,verify=on");
        real = s.m->tcg->exec;
        planted = *real;
        planted.compile = compile;
        s.m->tcg->exec = s.c->v.exec = &planted;
        try(&s, p);
        s.m->tcg->exec = real;
        sandbox_destroy(&s);
    }
    return tap_done();
}
#else
int main(void)
{
    puts("1..0 # SKIP verify=on needs a code generator for this host");
}
#endif
