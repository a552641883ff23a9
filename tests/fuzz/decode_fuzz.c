/* Fuzz target: bytes to the decoder, in all three modes. What it says must be consistent: a length
 * within the bytes given, the same answer whatever follows the instruction, MORE for every shorter
 * piece of it, and operands within the ranges that the translator relies on.
 *
 * Under libFuzzer this is LLVMFuzzerTestOneInput. Built with -DSTANDALONE: `decode_fuzz SECONDS
 * [SEED]` makes random inputs itself. */
#include "cpu/cpuid.h"
#include "cpu/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { INSN_MAX = 15, NMODES = 3 };

static const uint8_t *current;
static unsigned current_mode;

static void require(bool holds, const char *what)
{
    if (holds) {
        return;
    }
    fprintf(stderr, "%s, %u-bit code:", what, 16u << current_mode);
    for (unsigned n = 0; n < INSN_MAX; n++) {
        fprintf(stderr, " %02x", current[n]);
    }
    fputc('\n', stderr);
    abort();
}

static unsigned registers_of(const struct x86_operand *o)
{
    switch ((enum x86_opkind)o->kind) {
    case OP_GPR:
        return o->high8 ? 4 : 16;
    case OP_CR:
    case OP_DR:
    case OP_XMM:
        return 16;
    case OP_SEG:
    case OP_ST:
    case OP_MMX:
        return 8;
    default:
        return 1;
    }
}

static void check_operands(const struct x86_insn *i)
{
    require(i->nops <= 4, "too many operands");
    for (unsigned n = 0; n < i->nops; n++) {
        const struct x86_operand *o = &i->op[n];
        require(o->kind != OP_NONE && o->kind <= OP_STR_DST, "no operand kind");
        require(o->reg < registers_of(o), "register out of range");
        require(o->size <= 32, "operand size");
        require(!o->high8 || (o->kind == OP_GPR && o->size == 1 && !i->rex), "high byte register");
    }
}

static void check_insn(const struct x86_insn *i)
{
    require(i->mnemonic > MN_INVALID && i->mnemonic < MN_COUNT, "no mnemonic");
    require(i->row && i->row->mnemonic == i->mnemonic && i->row->feature < X86F_COUNT, "no row");
    require(i->opsize == 2 || i->opsize == 4 || i->opsize == 8, "operand size");
    require(i->addrsize == 2 || i->addrsize == 4 || i->addrsize == 8, "address size");
    require(current_mode == X86_64 || (i->opsize < 8 && i->addrsize < 8 && !i->rex),
            "64-bit feature");
    require(i->base < 16 || i->base == X86_NOREG ||
                (i->base == X86_RIPREG && current_mode == X86_64),
            "base");
    require(i->index < 16 || i->index == X86_NOREG, "index");
    require(i->seg < 6 && i->scale < 4, "address");
    check_operands(i);
}

/* Compares what is said of the instruction, not padding. */
static bool same(const struct x86_insn *a, const struct x86_insn *b)
{
    for (unsigned n = 0; n < 4; n++) {
        if (a->op[n].kind != b->op[n].kind || a->op[n].reg != b->op[n].reg ||
            a->op[n].size != b->op[n].size) {
            return false;
        }
    }
    return a->row == b->row && a->len == b->len && a->disp == b->disp && a->imm == b->imm &&
           a->imm2 == b->imm2 && a->base == b->base && a->index == b->index && a->seg == b->seg;
}

static void check_mode(const uint8_t *bytes, enum x86_bits bits)
{
    struct x86_insn insn, again;
    uint8_t other[INSN_MAX];
    enum x86_decode_result r;

    current = bytes;
    current_mode = bits;
    r = x86_decode(bytes, INSN_MAX, bits, &insn);
    require(r != X86_DECODE_MORE, "wants more than 15 bytes");
    if (r != X86_DECODE_OK) {
        return;
    }
    require(insn.len >= 1 && insn.len <= INSN_MAX, "length");
    check_insn(&insn);
    for (unsigned n = 0; n < insn.len; n++) {
        uint8_t *piece = malloc(n ? n : 1); /* exactly this long, for AddressSanitizer */
        memcpy(piece, bytes, n);
        require(x86_decode(piece, n, bits, &again) == X86_DECODE_MORE, "decodes a piece");
        free(piece);
    }
    memcpy(other, bytes, insn.len);
    for (unsigned n = insn.len; n < INSN_MAX; n++) {
        other[n] = (uint8_t)~bytes[n];
    }
    require(x86_decode(other, INSN_MAX, bits, &again) == X86_DECODE_OK && same(&insn, &again),
            "looks at bytes behind the instruction");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[INSN_MAX] = {0};

    memcpy(bytes, data, size < INSN_MAX ? size : INSN_MAX);
    for (unsigned bits = 0; bits < NMODES; bits++) {
        check_mode(bytes, (enum x86_bits)bits);
    }
    return 0;
}

#ifdef STANDALONE
int main(int argc, char **argv)
{
    time_t end = time(NULL) + (argc > 1 ? atol(argv[1]) : 10);
    uint64_t state = argc > 2 ? strtoull(argv[2], NULL, 0) : 88172645463325252u;
    unsigned long runs = 0;

    while (time(NULL) < end) {
        for (unsigned burst = 0; burst < 10000; burst++, runs++) {
            static const uint8_t starts[] = {0x66, 0xf3, 0xf2, 0x0f, 0xc4, 0xc5, 0x48, 0xf0};
            uint8_t input[INSN_MAX];
            for (unsigned n = 0; n < INSN_MAX; n++) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                input[n] =
                    n < 3 && (state & 0xf00) == 0 ? starts[state & 7] : (uint8_t)(state >> 32);
            }
            LLVMFuzzerTestOneInput(input, INSN_MAX);
        }
    }
    printf("%lu runs\n", runs);
    return 0;
}
#endif
