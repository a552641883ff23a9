/* Text form of IR blocks for -d op and for tests: one op a line,
 *     opcode[.32|.64] operands
 * with the guest's names for its registers, t0.. and vt0.. for temporaries. */
#include "tcg/ir_info.h"

#include <inttypes.h>
#include <string.h>

static const char *const cond_names[IR_NCOND] = {
    "eq", "ne", "lt", "ge", "le", "gt", "ltu", "geu", "leu", "gtu", "tstne", "tsteq",
};
static const char *const atomic_names[] = {"add", "sub", "and", "or", "xor", "xchg"};

static void put_reg(const struct guest_ops *ops, FILE *out, ir_reg r)
{
    const char *name;

    switch (r) {
    case IR_NONE:
        fputs("-", out);
        return;
    case TCG_REG_PC:
        fputs("pc", out);
        return;
    case TCG_REG_CC_OP:
        fputs("cc_op", out);
        return;
    case TCG_REG_CC_A:
    case TCG_REG_CC_B:
    case TCG_REG_CC_C:
        fprintf(out, "cc_%c", 'a' + r - TCG_REG_CC_A);
        return;
    default:
        break;
    }
    if (r >= TCG_REG_TEMP) {
        fprintf(out, "t%d", r - TCG_REG_TEMP);
        return;
    }
    name = ops && ops->reg_name ? ops->reg_name(r) : NULL;
    if (name) {
        fputs(name, out);
    } else {
        fprintf(out, "r%d", r);
    }
}

static void put_vreg(FILE *out, ir_reg r)
{
    if (r == IR_NONE) {
        fputs("-", out);
    } else if (r >= TCG_VREG_TEMP) {
        fprintf(out, "vt%d", r - TCG_VREG_TEMP);
    } else {
        fprintf(out, "v%d", r);
    }
}

static void put_imm(FILE *out, int64_t imm)
{
    if (imm < 0 && imm > -0x100000) {
        fprintf(out, "-0x%" PRIx64, (uint64_t)-imm);
    } else {
        fprintf(out, "0x%" PRIx64, (uint64_t)imm);
    }
}

static void put_memop(FILE *out, unsigned m)
{
    fprintf(out, ".%s%u", m & MO_SIGN ? "s" : "", 8u << (m & MO_SIZE));
    if (m & MO_ALIGN) {
        fputs("a", out);
    }
}

static void put_address(const struct ir_op *op, const struct guest_ops *ops, FILE *out)
{
    bool any = false;

    fputs("[", out);
    if (op->a != IR_NONE) {
        put_reg(ops, out, op->a);
        any = true;
    }
    if ((op->aux & MO_INDEX) && op->opc != IR_CMPXCHG && op->opc != IR_ATOMIC) {
        fputs(any ? "+" : "", out);
        put_reg(ops, out, op->c);
        fprintf(out, "*%u", 1u << (op->aux >> MO_SCALE & 3));
        any = true;
    }
    if (op->imm || !any) {
        fputs(any ? "+" : "", out);
        put_imm(out, op->imm);
    }
    fputs(op->aux & MO_A32 ? "]a32" : "]", out);
}

static void put_operand(const struct ir_op *op, char what, uint16_t attr,
                        const struct guest_ops *ops, FILE *out)
{
    static const struct {
        char what;
        uint16_t vector;
    } vec[] = {{'d', IRA_VD}, {'a', IRA_VA}, {'b', IRA_VB}, {'c', IRA_VC}};
    ir_reg r = what == 'd' ? op->d : what == 'a' ? op->a : what == 'b' ? op->b : op->c;

    if (what == 'b' && (op->flags & IR_BIMM) && (attr & IRA_BIMM)) {
        bool second = op->opc == IR_ST || op->opc == IR_STENV || op->opc == IR_CC;
        fputs("#", out);
        put_imm(out, second ? op->imm2 : op->imm);
        return;
    }
    for (size_t i = 0; i < sizeof(vec) / sizeof(vec[0]); i++) {
        if (vec[i].what == what && (attr & vec[i].vector)) {
            put_vreg(out, r);
            return;
        }
    }
    put_reg(ops, out, r);
}

static void dump_op(const struct ir_op *op, const struct guest_ops *ops, FILE *out)
{
    const struct ir_opinfo *info = &ir_opinfo[op->opc];
    const char *sep = " ";

    if (op->opc == IR_INSN) {
        fprintf(out, " ---- +0x%" PRIx64, (uint64_t)op->imm);
        if (op->imm2) {
            fprintf(out, " meta 0x%" PRIx64, (uint64_t)op->imm2);
        }
        fputs("\n", out);
        return;
    }
    fputs("  ", out);
    for (const char *p = info->name; *p; p++) {
        fputc(*p == '_' ? '_' : *p | 0x20, out);
    }
    if (info->attr & IRA_COND) {
        fprintf(out, ".%s", op->aux < IR_NCOND ? cond_names[op->aux] : "?");
    }
    if (info->attr & IRA_WIDTH) {
        fputs(op->w == W64 ? ".64" : ".32", out);
    }
    if ((info->attr & IRA_MEM) || op->opc == IR_LDENV || op->opc == IR_STENV ||
        op->opc == IR_ATOMIC || op->opc == IR_CMPXCHG || op->opc == IR_VLDENV ||
        op->opc == IR_VSTENV || op->opc == IR_VGET || op->opc == IR_VSET) {
        put_memop(out, op->aux);
    }
    if (op->opc == IR_ATOMIC && (uint64_t)op->imm2 < 6) {
        fprintf(out, ".%s", atomic_names[op->imm2]);
    }
    if (op->opc == IR_VOP || op->opc == IR_VOPR || op->opc == IR_VOPI) {
        fprintf(out, " vop%u", op->aux);
    }
    if (op->opc == IR_CALL && op->imm2) {
        fprintf(out, " %s", ir_op_helper(op)->name);
    }
    for (const char *p = info->format; *p; p++) {
        if (*p == ' ') {
            break; /* marks follow */
        }
        if (op->opc == IR_BRCOND && *p == 'd') {
            continue;
        }
        if ((info->attr & IRA_BIMM) && *p == 'i' && op->opc == IR_STENV) {
            fprintf(out, "%senv+0x%" PRIx64, sep, (uint64_t)op->imm);
            sep = ", ";
            continue;
        }
        fputs(sep, out);
        sep = ", ";
        if (*p == 'i') {
            if (op->opc == IR_CC && ops && ops->cc_name) {
                const char *n = ops->cc_name((uint64_t)op->imm);
                fputs(n ? n : "?", out);
            } else if (op->opc == IR_LABEL || op->opc == IR_BR) {
                fprintf(out, "L%" PRId64, op->imm);
            } else {
                put_imm(out, op->imm);
            }
        } else if (*p == 'a' && (info->attr & IRA_FAULT) && op->opc != IR_CALL) {
            put_address(op, ops, out);
        } else {
            put_operand(op, *p, info->attr, ops, out);
        }
    }
    if (op->opc == IR_BRCOND) {
        fprintf(out, ", L%u", op->d);
    } else if (op->opc == IR_MOVCOND) {
        fputs(", ", out);
        put_reg(ops, out, (ir_reg)op->imm);
    } else if (op->opc == IR_EXIT_TB) {
        fprintf(out, " slot %u", op->aux);
    } else if (op->opc == IR_EXIT_IND && op->aux <= IR_IND_RET) {
        static const char *const hints[] = {" jump", " call", " ret"};
        fputs(hints[op->aux], out);
    }
    static const struct {
        unsigned flag;
        const char *name;
    } flags[] = {{IR_V256, " v256"},      {IR_VZU, " vzu"},   {IR_KEEPPC, " keeppc"},
                 {IR_PC32, " pc32"},      {IR_PC16, " pc16"}, {IR_POLL, " poll"},
                 {IR_CC_MAP, " map-only"}};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (op->flags & flags[i].flag) {
            fputs(flags[i].name, out);
        }
    }
    fputs("\n", out);
}

void ir_dump(const struct ir *ir, const struct guest_ops *ops, FILE *out)
{
    for (unsigned i = 0; i < ir->nops; i++) {
        if (ir->ops[i].opc < IR_NOPS) {
            dump_op(&ir->ops[i], ops, out);
        } else {
            fprintf(out, "  bad opcode %u\n", ir->ops[i].opc);
        }
    }
}
