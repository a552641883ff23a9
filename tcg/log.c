/* What -d in_asm, op, op_opt, out_asm, exec and cpu print. Guest bytes are disassembled by Capstone
 * where the build has it, else shown as bytes. */
#include "tcg/tb.h"

#include <inttypes.h>

#include "config.h"
#ifdef HAVE_CAPSTONE
#include <capstone/capstone.h>
#endif

void tcg_set_log(struct tcg *t, unsigned bits, FILE *out)
{
    t->log_out = out ? out : stderr;
    atomic_store(&t->log_bits, bits);
    tcg_flush(t); /* links hide executions, cached blocks are not translated again */
}

void tcg_set_log_filter(struct tcg *t, const struct tcg_log_range *ranges, unsigned n)
{
    t->log_ranges = ranges;
    t->nlog_ranges = n;
}

/* Is the block that v is about to run one that the filter lets through? */
static bool wanted(struct vcpu *v)
{
    const struct tcg *t = v->tcg;
    uint64_t pc = t->nlog_ranges ? v->ops->linear_pc(v) : 0;

    for (unsigned i = 0; i < t->nlog_ranges; i++) {
        if (pc >= t->log_ranges[i].first && pc <= t->log_ranges[i].last) {
            return true;
        }
    }
    return !t->nlog_ranges;
}

static void list_bytes(FILE *out, uint64_t pc, const uint8_t *code, unsigned size)
{
    for (unsigned i = 0; i < size; i += 16) {
        fprintf(out, "0x%08" PRIx64 ": ", pc + i);
        for (unsigned k = i; k < size && k < i + 16; k++) {
            fprintf(out, " %02x", code[k]);
        }
        fputs("\n", out);
    }
}

/* bits: 16, 32 or 64 */
static void list_guest(FILE *out, unsigned bits, uint64_t pc, const uint8_t *code, unsigned size)
{
#ifdef HAVE_CAPSTONE
    csh cs;
    cs_insn *insn;
    cs_mode mode = bits == 64 ? CS_MODE_64 : bits == 32 ? CS_MODE_32 : CS_MODE_16;
    size_t n;
    unsigned done = 0;

    if (bits && cs_open(CS_ARCH_X86, mode, &cs) == CS_ERR_OK) {
        n = cs_disasm(cs, code, size, pc, 0, &insn);
        for (size_t i = 0; i < n; i++) {
            fprintf(out, "0x%08" PRIx64 ":  ", insn[i].address);
            for (unsigned k = 0; k < insn[i].size; k++) {
                fprintf(out, "%02x", insn[i].bytes[k]);
            }
            fprintf(out, "%*s%s %s\n", insn[i].size < 10 ? 22 - 2 * insn[i].size : 2, "",
                    insn[i].mnemonic, insn[i].op_str);
            done += insn[i].size;
        }
        if (n) {
            cs_free(insn, n);
        }
        cs_close(&cs);
    }
    list_bytes(out, pc + done, code + done, size - done);
#else
    (void)bits;
    list_bytes(out, pc, code, size);
#endif
}

void tcg_list_guest(struct vcpu *v, const struct translate_request *req, const struct ir *ir,
                    FILE *out)
{
    unsigned code_bits = v->ops->code_bits ? v->ops->code_bits(req->flags) : 0;

    fprintf(out, "IN: pc 0x%" PRIx64 " linear 0x%" PRIx64 " key 0x%" PRIx64 "\n", req->pc,
            req->linear, req->flags);
    for (unsigned i = 0; i < ir->nops; i++) {
        const struct ir_op *op = &ir->ops[i];
        if (op->opc == IR_INSN && op->aux) {
            uint8_t code[16] = {0};
            unsigned len = op->aux < sizeof(code) ? op->aux : sizeof(code);
            vcpu_fetch_code(v, req->linear + (uint64_t)op->imm, code, len);
            list_guest(out, code_bits, req->pc + (uint64_t)op->imm, code, len);
        }
    }
}

void tcg_log_ir(struct vcpu *v, const struct translate_request *req, const struct ir *ir,
                bool optimized)
{
    struct tcg *t = v->tcg;
    unsigned bits = atomic_load(&t->log_bits);
    FILE *out = t->log_out;

    if (!wanted(v)) {
        return;
    }
    if ((bits & TCG_LOG_IN_ASM) && !optimized) {
        fputs("----------------\n", out);
        tcg_list_guest(v, req, ir, out);
    }
    if (bits & (optimized ? TCG_LOG_OP_OPT : TCG_LOG_OP)) {
        fprintf(out, "OP%s: pc 0x%" PRIx64 "\n", optimized ? " after optimization" : "", req->pc);
        ir_dump(ir, v->ops, out);
    }
    fflush(out);
}

void tcg_log_code(struct vcpu *v, const struct tb *tb)
{
    struct tcg *t = v->tcg;

    if (!(atomic_load_explicit(&t->log_bits, memory_order_relaxed) & TCG_LOG_OUT_ASM) ||
        !wanted(v)) {
        return;
    }
    if (v->exec->list) {
        fprintf(t->log_out, "OUT: %u bytes\n", tb->code_size);
        v->exec->list(tb, t->log_out);
    } else {
        fprintf(t->log_out, "OUT: %u bytes of interpreter code\n", tb->code_size);
    }
}

void tcg_log_exec(struct vcpu *v, const struct tb *tb)
{
    struct tcg *t = v->tcg;
    unsigned bits = atomic_load(&t->log_bits);

    if (!wanted(v)) {
        return;
    }
    if (bits & TCG_LOG_EXEC) {
        fprintf(t->log_out,
                "Trace %u: pc 0x%" PRIx64 " linear 0x%" PRIx64 " key 0x%" PRIx64 " insns %u\n",
                v->index, v->reg[TCG_REG_PC], v->reg[TCG_REG_PC] + v->tcg_cpu->pc_base, v->tb_flags,
                tb->ninsns);
    }
    if ((bits & TCG_LOG_CPU) && v->ops->log_state) {
        v->ops->log_state(v, t->log_out);
    } else if (bits & TCG_LOG_CPU) {
        for (unsigned i = 0; i < TCG_REG_TEMP; i++) {
            const char *name = v->ops->reg_name ? v->ops->reg_name(i) : NULL;
            if (name) {
                fprintf(t->log_out, "%s=%016" PRIx64 "%s", name, v->reg[i],
                        i % 4 == 3 ? "\n" : " ");
            }
        }
        fputs("\n", t->log_out);
    }
}
