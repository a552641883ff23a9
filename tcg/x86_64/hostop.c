/* Calls of helpers that are one instruction of this host (enum host_op): the instruction in place
 * of the call, where the processor has it. */
#ifdef __x86_64__
#include "tcg/x86_64/gen.h"

/* d = PDEP or PEXT of a by the mask b. */
static void gen_deposit(struct gen *g, const struct ir_op *op, unsigned prefix)
{
    unsigned a, b, d;

    x64_before_write(g, op->d, NULL); /* while no register is locked: flags may need some */
    x64_unlock(g);
    a = x64_use(g, op->a);
    b = x64_use(g, op->b);
    d = x64_def(g, op->d);
    v_rr(&g->c, 0xf5 | X_0F38 | X_W | prefix, d, a, b, false);
    x64_done(g, op->d, d);
    if (g->zf_reg == d) {
        flags_clobbered(g);
    }
}

/* d = CRC-32C of a and the low imm bytes of b. */
static void gen_crc32(struct gen *g, const struct ir_op *op)
{
    static const unsigned code[] = {
        [1] = 0xf0 | X_RMBYTE, [2] = 0xf1 | X_66, [4] = 0xf1, [8] = 0xf1 | X_W};
    unsigned a, b, t;

    x64_before_write(g, op->d, NULL); /* as above */
    x64_unlock(g);
    a = x64_use(g, op->a);
    b = x64_use(g, op->b);
    t = x64_alloc(g);
    mov_rr(&g->c, 0, t, a);
    x_rr(&g->c, code[op->imm] | X_0F38 | X_F2, t, b);
    x64_done(g, op->d, t);
    if (g->zf_reg == t) {
        flags_clobbered(g);
    }
}

unsigned x64_gen_host_op(struct gen *g, const struct ir_op *op)
{
    unsigned what = op->opc == IR_CALL ? ir_op_helper(op)->flags >> HELPER_HOST : HOST_NONE;

    if (what == HOST_CRC32 && thunks(g)->sse42) {
        gen_crc32(g, op);
    } else if ((what == HOST_PDEP || what == HOST_PEXT) && thunks(g)->bmi2) {
        gen_deposit(g, op, what == HOST_PDEP ? X_F2 : X_F3);
    } else {
        return 0;
    }
    return 1;
}
#endif
