/* Fuzz target: bytes to the decoder, in all three modes. What it says must be consistent: a length
 * within the bytes given, the same answer whatever follows the instruction, MORE for every shorter
 * piece of it, and operands within the ranges that the translator relies on. Which bytes are an
 * instruction, and how many, must be what Capstone says, save where tests/cpu/decode_exceptions.def
 * tells by the manual why it is wrong.
 *
 * An input is decoded from each of its offsets, in each mode; besides, it is the seed of EXPANSION
 * strings of random bytes, shaped like instructions, or like pieces of the input, each decoded in
 * one mode. A string is 15 bytes decoded in one mode; how many there were is told every minute and
 * at the end. `make decode-campaign` runs a thousand million: there Capstone is linked in such a
 * way (QUIET_CAPSTONE) that it writes text only where it is looked at, most of what it costs. */
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

enum { INSN_MAX = 15, NMODES = 3, EXPANSION = 4096, INPUT_MAX = 4096 };

#ifdef HAVE_CAPSTONE
enum difference { D_NONE, D_VALID, D_INVALID, D_LENGTH, D_NAME, D_OPERANDS };
#include "tests/cpu/decode_exceptions.h"
#endif
#include "tests/cpu/decode_random.h"

static struct {
    unsigned long strings, instructions, both, excused; /* both: Capstone decodes it too */
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

#ifdef QUIET_CAPSTONE
/* Stands in front of Capstone's printer (ld's --wrap): the text is half of its time. */
struct MCInst;
struct SStream;
void __real_X86_Intel_printInst(struct MCInst *insn, struct SStream *text, void *info);
void __wrap_X86_Intel_printInst(struct MCInst *insn, struct SStream *text, void *info);

static bool with_text;

void __wrap_X86_Intel_printInst(struct MCInst *insn, struct SStream *text, void *info)
{
    if (with_text) {
        __real_X86_Intel_printInst(insn, text, info);
    }
}
#else
static bool with_text;
#endif

static bool capstone(const uint8_t *bytes, enum x86_bits bits, bool text, cs_insn **insn)
{
    static const cs_mode modes[] = {CS_MODE_16, CS_MODE_32, CS_MODE_64};
    static csh cs[NMODES];
    static cs_insn *c;
    const uint8_t *p = bytes;
    size_t left = INSN_MAX;
    uint64_t address = 0x400000;

    if (!cs[bits]) {
        require(cs_open(CS_ARCH_X86, modes[bits], &cs[bits]) == CS_ERR_OK, "no Capstone");
        c = c ? c : cs_malloc(cs[bits]);
    }
    with_text = text;
    *insn = c;
    return cs_disasm_iter(cs[bits], &p, &left, &address, c);
}

static enum difference difference(enum x86_decode_result r, const struct x86_insn *i, bool theirs,
                                  const cs_insn *c)
{
    if (r != X86_DECODE_OK || !theirs) {
        return r == X86_DECODE_OK ? D_VALID : theirs ? D_INVALID : D_NONE;
    }
    return i->len != c->size ? D_LENGTH : D_NONE;
}

static void check_capstone(const uint8_t *bytes, enum x86_bits bits, enum x86_decode_result r,
                           const struct x86_insn *i, bool thorough)
{
    cs_insn *c;
    bool theirs = capstone(bytes, bits, false, &c);
    enum difference d = difference(r, i, theirs, c);

    count.instructions += r == X86_DECODE_OK;
    count.both += r == X86_DECODE_OK && theirs;
    if (d != D_NONE || thorough) {
        theirs = capstone(bytes, bits, true, &c);
        require(difference(r, i, theirs, c) == d, "Capstone with text is of another opinion");
    }
    if (d != D_NONE && excused(d, bytes, bits, i, theirs ? c : NULL)) {
        count.excused++;
    } else if (d != D_NONE) {
        report(d, i, theirs ? c : NULL);
        abort();
    }
}
#else
static void check_capstone(const uint8_t *bytes, enum x86_bits bits, enum x86_decode_result r,
                           const struct x86_insn *i, bool thorough)
{
    (void)bytes, (void)bits, (void)i, (void)thorough;
    count.instructions += r == X86_DECODE_OK;
}
#endif

static void check_mode(const uint8_t *bytes, enum x86_bits bits, bool thorough)
{
    static uint8_t *edge; /* a piece ends where it ends, for AddressSanitizer */
    struct x86_insn insn, again;
    uint8_t other[INSN_MAX];
    enum x86_decode_result r;

    count.strings++;
    current = bytes;
    current_mode = bits;
    r = x86_decode(bytes, INSN_MAX, bits, &insn);
    require(r != X86_DECODE_MORE, "wants more than 15 bytes");
    check_capstone(bytes, bits, r, &insn, thorough);
    if (r != X86_DECODE_OK || !thorough) {
        return;
    }
    require(insn.len >= 1 && insn.len <= INSN_MAX, "length");
    check_insn(&insn);
    if (!edge) {
        edge = malloc(INSN_MAX);
    }
    for (unsigned n = 0; n < insn.len; n++) {
        uint8_t *piece = edge + INSN_MAX - n;
        memcpy(piece, bytes, n);
        require(x86_decode(piece, n, bits, &again) == X86_DECODE_MORE, "decodes a piece");
    }
    memcpy(other, bytes, insn.len);
    for (unsigned n = insn.len; n < INSN_MAX; n++) {
        other[n] = (uint8_t)~bytes[n];
    }
    require(x86_decode(other, INSN_MAX, bits, &again) == X86_DECODE_OK && same(&insn, &again),
            "looks at bytes behind the instruction");
}

static time_t began;

static void tell(void)
{
    printf("%lu strings in %ld s: %lu instructions, %lu decoded by Capstone too, %lu listed "
           "exceptions, 0 differences\n",
           count.strings, (long)(time(NULL) - began), count.instructions, count.both,
           count.excused);
    fflush(stdout);
}

static void tell_now_and_then(void)
{
    static time_t told;
    time_t now = time(NULL);

    if (!began) {
        began = told = now;
        atexit(tell);
    }
    if (now - told >= 60) {
        told = now;
        tell();
    }
}

/* A random piece of the input with one byte changed. */
static void fill_from_input(uint64_t *s, const uint8_t *data, size_t size, uint8_t bytes[INSN_MAX])
{
    size_t at = next_random(s) % size, n = size - at < INSN_MAX ? size - at : INSN_MAX;

    memcpy(bytes, data + at, n);
    bytes[next_random(s) % 4] = (uint8_t)next_random(s);
}

static void expand(const uint8_t *data, size_t size, uint8_t bytes[INSN_MAX])
{
    uint64_t s = UINT64_C(0xcbf29ce484222325);

    for (size_t n = 0; n < size; n++) {
        s = (s ^ data[n]) * UINT64_C(0x100000001b3);
    }
    s = s ? s : 1;
    for (unsigned n = 0; n < EXPANSION; n++) {
        enum x86_bits bits = (enum x86_bits)(n % NMODES);
        switch (n % 4) {
        case 0:
            fill_bytes(&s, bytes);
            break;
        case 1:
            fill_bytes(&s, bytes);
            if (size) {
                fill_from_input(&s, data, size, bytes);
            }
            break;
        default:
            fill_random(&s, bits, bytes);
        }
        check_mode(bytes, bits, n % 64 == 3); /* the other checks cost more than Capstone */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t *bytes; /* exactly this many, for AddressSanitizer */

    tell_now_and_then();
    bytes = bytes ? bytes : malloc(INSN_MAX);
    size = size < INPUT_MAX ? size : INPUT_MAX;
    for (size_t at = 0; at < size; at++) {
        memset(bytes, 0, INSN_MAX);
        memcpy(bytes, data + at, size - at < INSN_MAX ? size - at : INSN_MAX);
        for (unsigned bits = 0; bits < NMODES; bits++) {
            check_mode(bytes, (enum x86_bits)bits, at % 16 == 0);
        }
    }
    expand(data, size, bytes);
    return 0;
}
