/* Fuzz target: bytes to the decoder, in all three modes. What it says must be consistent: a length
 * within the bytes given, the same answer whatever follows the instruction, MORE for every shorter
 * piece of it, and operands within the ranges that the translator relies on. Which bytes are an
 * instruction, and how many, must be what Capstone says, save where tests/cpu/decode_exceptions.def
 * tells by the manual why it is wrong.
 *
 * Under libFuzzer this is LLVMFuzzerTestOneInput. Built with -DSTANDALONE (`make decode-campaign`):
 *     decode_fuzz [-n STRINGS] [-s SEED]
 * makes random strings itself, one in three for each mode, and is much faster. */
#include "config.h"

#ifdef HAVE_CAPSTONE
/* Two of its names are also ours. */
#define x86_insn capstone_insn
#define x86_reg  capstone_reg
#include <capstone.h>
#undef x86_insn
#undef x86_reg
#endif

#include "cpu/cpuid.h"
#include "cpu/decode.h"
#include "cpu/x86.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { INSN_MAX = 15, NMODES = 3 };

#ifdef HAVE_CAPSTONE
enum difference { D_NONE, D_VALID, D_INVALID, D_LENGTH, D_NAME, D_OPERANDS };
#include "tests/cpu/decode_exceptions.h"
#endif
#ifdef STANDALONE
#include "tests/cpu/decode_random.h"
#endif

static struct {
    unsigned long instructions, both, excused, differences; /* both: Capstone decodes it too */
} count;

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

/* ---- Capstone ---- */

#ifdef HAVE_CAPSTONE
static void report(enum difference d, const struct x86_insn *i, const cs_insn *c)
{
    fprintf(stderr, "%s, %u-bit code: ours %s %u bytes, Capstone %s %s %u bytes:",
            d == D_LENGTH  ? "other length"
            : d == D_VALID ? "only we decode it"
                           : "only Capstone decodes it",
            16u << current_mode, x86_mnemonic_name((enum x86_mnemonic)i->mnemonic), i->len,
            c ? c->mnemonic : "-", c ? c->op_str : "", c ? c->size : 0u);
    for (unsigned n = 0; n < INSN_MAX; n++) {
        fprintf(stderr, " %02x", current[n]);
    }
    fputc('\n', stderr);
}

static void check_capstone(const uint8_t *bytes, enum x86_bits bits, enum x86_decode_result r,
                           const struct x86_insn *i)
{
    static const cs_mode modes[] = {CS_MODE_16, CS_MODE_32, CS_MODE_64};
    static csh cs[NMODES];
    static cs_insn *c;
    const uint8_t *p = bytes;
    size_t left = INSN_MAX;
    uint64_t address = 0x400000;
    enum difference d = D_NONE;

    if (!cs[bits]) {
        require(cs_open(CS_ARCH_X86, modes[bits], &cs[bits]) == CS_ERR_OK, "no Capstone");
        c = c ? c : cs_malloc(cs[bits]);
    }
    bool theirs = cs_disasm_iter(cs[bits], &p, &left, &address, c);
    if (r != X86_DECODE_OK || !theirs) {
        d = r == X86_DECODE_OK ? D_VALID : theirs ? D_INVALID : D_NONE;
    } else if (i->len != c->size) {
        d = D_LENGTH;
    }
    count.instructions += r == X86_DECODE_OK;
    count.both += r == X86_DECODE_OK && theirs;
    if (d != D_NONE && excused(d, bytes, bits, i, theirs ? c : NULL)) {
        count.excused++;
    } else if (d != D_NONE) {
        if (count.differences++ < 1000) {
            report(d, i, theirs ? c : NULL);
        }
#ifndef STANDALONE
        abort();
#endif
    }
}
#else
static void check_capstone(const uint8_t *bytes, enum x86_bits bits, enum x86_decode_result r,
                           const struct x86_insn *i)
{
    (void)bytes, (void)bits, (void)i;
    count.instructions += r == X86_DECODE_OK;
}
#endif

static void check_mode(const uint8_t *bytes, enum x86_bits bits, bool thorough)
{
    struct x86_insn insn, again;
    uint8_t other[INSN_MAX];
    enum x86_decode_result r;

    current = bytes;
    current_mode = bits;
    r = x86_decode(bytes, INSN_MAX, bits, &insn);
    require(r != X86_DECODE_MORE, "wants more than 15 bytes");
    check_capstone(bytes, bits, r, &insn);
    if (r != X86_DECODE_OK || !thorough) {
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
        check_mode(bytes, (enum x86_bits)bits, true);
    }
    return 0;
}

#ifdef STANDALONE
int main(int argc, char **argv)
{
    unsigned long strings = 10000000, done = 0;
    uint64_t seed = 88172645463325252u;
    time_t begin = time(NULL);

    for (int o; (o = getopt(argc, argv, "n:s:")) != -1;) {
        if (o == 'n') {
            strings = strtoul(optarg, NULL, 0);
        } else if (o == 's') {
            seed = strtoull(optarg, NULL, 0);
            seed = seed ? seed : 1;
        } else {
            return 2;
        }
    }
    for (; done < strings; done++) {
        uint8_t bytes[INSN_MAX];
        enum x86_bits bits = (enum x86_bits)(done % NMODES);

        fill_random(&seed, bits, bytes);
        check_mode(bytes, bits, done % 16 == 0); /* the other checks cost more than Capstone */
        if (done % 50000000 == 49999999) {
            printf("%lu strings, %lu instructions, %ld s\n", done + 1, count.instructions,
                   (long)(time(NULL) - begin));
            fflush(stdout);
        }
    }
    printf("%lu strings in %ld s: %lu instructions, %lu decoded by Capstone too, %lu listed "
           "exceptions, %lu differences\n",
           done, (long)(time(NULL) - begin), count.instructions, count.both, count.excused,
           count.differences);
    return count.differences != 0;
}
#endif
