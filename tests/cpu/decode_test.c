/* The decoder against Capstone, a disassembler written by others: random bytes in all three
 * operating sizes, and the executable sections of programs that are on the machine. Compared are
 * validity, length, mnemonic and operands. Where Capstone is known to be wrong, or has another
 * view, is said in the table of exceptions with the place in the SDM (volume 2, if no other is
 * told).
 *
 *   decode_test [-v] [cases]   -v: every kind of difference with an example, not only the first */
#include "config.h"
#include "tests/unit/tap.h"

#ifdef HAVE_CAPSTONE

/* Two of its names are also ours. */
#define x86_insn capstone_insn
#define x86_reg  capstone_reg
#include <capstone.h>
#undef x86_insn
#undef x86_reg

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/decode.h"
#include "cpu/x86.h"

enum { INSN_MAX = 15, MAX_KINDS = 2048, ADDRESS = 0x400000 };

enum difference { D_NONE, D_VALID, D_INVALID, D_LENGTH, D_NAME, D_OPERANDS };
static const char *const difference_names[] = {
    "", "only we decode it", "only Capstone decodes it", "length", "name", "operands",
};

/* ---- exceptions ---- */

#include "tests/cpu/decode_exceptions.h"
#include "tests/cpu/decode_random.h"

/* ---- names ---- */

struct alias {
    const char *ours, *theirs; /* theirs: a '*' at the end stands for anything */
};

static const struct alias aliases[] = {
    {"vcvtpd2ps", "vcvtpd2psx"},
    {"vcvtpd2dq", "vcvtpd2dqx"},
    {"vcvttpd2dq", "vcvttpd2dqx"},
    {"jcc", "j*"},
    {"setcc", "set*"},
    {"cmovcc", "cmov*"},
    {"jcxz", "jecxz"},
    {"jcxz", "jrcxz"},
    {"callf", "lcall"},
    {"jmpf", "ljmp"},
    {"retf", "retf*"},
    {"retf", "retfq"},
    {"iret", "iretd"},
    {"iret", "iretq"},
    {"cbw", "cwde"},
    {"cbw", "cdqe"},
    {"cwd", "cdq"},
    {"cwd", "cqo"},
    {"movs", "movs*"},
    {"cmps", "cmps*"},
    {"stos", "stos*"},
    {"lods", "lods*"},
    {"scas", "scas*"},
    {"ins", "ins*"},
    {"outs", "outs*"},
    {"pushf", "pushf*"},
    {"popf", "popf*"},
    {"pusha", "pusha*"},
    {"popa", "popa*"},
    {"pusha", "pushaw"},
    {"xlat", "xlatb"},
    {"push_seg", "push"},
    {"pop_seg", "pop"},
    {"mov_seg", "mov"},
    {"mov_cr", "mov"},
    {"mov_dr", "mov"},
    {"mov", "movabs"},
    {"loopne", "loopne"},
    {"fwait", "wait"},
    {"endbr", "endbr*"},
    {"movsd_sse", "movsd"},
    {"cmpsd_sse", "cmp*sd"},
    {"cmpps", "cmp*"},
    {"cmppd", "cmp*"},
    {"cmpss", "cmp*"},
    {"cmpsd_sse", "cmp*"},
    {"shl", "sal"},
    {"prefetch", "prefetch*"},
    {"sysret", "sysret*"},
    {"sysexit", "sysexit*"},
    {"fxsave", "fxsave64"},
    {"fxrstor", "fxrstor64"},
    {"xsave", "xsave64"},
    {"xrstor", "xrstor64"},
    {"xsavec", "xsavec64"},
    {"xsaves", "xsaves64"},
    {"xrstors", "xrstors64"},
    {"xsaveopt", "xsaveopt64"},
    {"fdisi", "fdisi8087_nop"},
    {"feni", "feni8087_nop"},
    {"fcmovb", "fcmovb"},
    {"fnstenv", "fnstenv"},
    {"movd", "movq"},
    {"pextrd", "pextrq"},
    {"pinsrd", "pinsrq"},
    {"xchg", "nop"},
    {"fcmovnb", "fcmovnb"},
    {"fucomip", "fucompi"},
    {"fcomip", "fcompi"},
    {"int1", "icebp"},
    {"vcmpps", "vcmp*"},
    {"vcmppd", "vcmp*"},
    {"vcmpss", "vcmp*"},
    {"vcmpsd", "vcmp*"},
    {"vmovd", "vmovq"},
    {"vpextrd", "vpextrq"},
    {"vpinsrd", "vpinsrq"},
    {"pclmulqdq", "pclmul*"},
    {"vpclmulqdq", "vpclmul*"},
    {"ud2", "ud2b"},
    {"ud1", "ud2b"},
    {"iret", "iretw"},
};

static bool alias_fits(const char *pattern, const char *name)
{
    size_t n = strlen(pattern);

    return pattern[n - 1] == '*' ? !strncmp(pattern, name, n - 1) : !strcmp(pattern, name);
}

static bool same_name(const char *ours, const char *theirs)
{
    if (!strcmp(ours, theirs)) {
        return true;
    }
    for (unsigned n = 0; n < sizeof aliases / sizeof aliases[0]; n++) {
        if (!strcmp(aliases[n].ours, ours) && alias_fits(aliases[n].theirs, theirs)) {
            return true;
        }
    }
    return false;
}

/* ---- operands ---- */

static const char *gpr_name(unsigned reg, unsigned size, bool high8, char text[8])
{
    static const char *const low[] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};
    static const char *const bytes[] = {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"};
    static const char *const highs[] = {"ah", "ch", "dh", "bh"};

    if (high8) {
        return highs[reg & 3];
    }
    if (reg >= 8) {
        snprintf(text, 8, "r%u%s", reg & 15,
                 size == 8   ? ""
                 : size == 4 ? "d"
                 : size == 2 ? "w"
                             : "b");
    } else if (size == 1) {
        return bytes[reg];
    } else {
        snprintf(text, 8, "%s%s", size == 8 ? "r" : size == 4 ? "e" : "", low[reg]);
    }
    return text;
}

static bool same_reg(csh cs, unsigned theirs, const char *ours)
{
    const char *name = cs_reg_name(cs, theirs);

    return name && !strcmp(name, ours);
}

static bool same_base(csh cs, unsigned theirs, unsigned reg, unsigned size)
{
    char text[8];

    if (reg == X86_NOREG) {
        return theirs == X86_REG_INVALID || theirs == X86_REG_EIZ || theirs == X86_REG_RIZ;
    }
    if (reg == X86_RIPREG) {
        return theirs == (size == 8 ? X86_REG_RIP : X86_REG_EIP);
    }
    return same_reg(cs, theirs, gpr_name(reg, size, false, text));
}

static uint64_t size_mask(unsigned size)
{
    return size == 0 || size >= 8 ? UINT64_MAX : (UINT64_C(1) << 8 * size) - 1;
}

static bool same_memory(csh cs, const struct x86_insn *i, const cs_x86_op *o, enum x86_bits bits)
{
    static const char *const segments[] = {"es", "cs", "ss", "ds", "fs", "gs"};
    uint64_t mask = size_mask(i->addrsize);

    /* In 64-bit mode ES, CS, SS and DS prefixes are null, also behind FS and GS (3.4.2.1 of volume
     * 1): Capstone lets the last one win. */
    bool comparable = bits == X86_64 ? o->mem.segment == X86_REG_FS || o->mem.segment == X86_REG_GS
                                     : o->mem.segment != X86_REG_INVALID;

    if (i->seg_override && comparable && !same_reg(cs, o->mem.segment, segments[i->seg])) {
        return false;
    }
    if (!same_base(cs, o->mem.base, i->base, i->addrsize)) {
        return false;
    }
    if (i->vsib) {
        char text[8];
        snprintf(text, sizeof text, "%cmm%u", i->vsib == 32 ? 'y' : 'x', i->index);
        if (!same_reg(cs, o->mem.index, text)) {
            return false;
        }
    } else if (!same_base(cs, o->mem.index, i->index, i->addrsize)) {
        return false;
    }
    return (i->index == X86_NOREG || o->mem.scale == 1 << i->scale) &&
           ((uint64_t)o->mem.disp & mask) == ((uint64_t)i->disp & mask);
}

static bool same_operand(csh cs, const struct x86_insn *i, const struct x86_operand *p,
                         const cs_x86_op *o, enum x86_bits bits)
{
    static const char *const segments[] = {"es", "cs", "ss", "ds", "fs", "gs"};
    char text[8];
    uint64_t mask = size_mask(p->size);

    switch (p->kind) {
    case OP_GPR:
        return o->type == X86_OP_REG &&
               same_reg(cs, o->reg, gpr_name(p->reg, p->size, p->high8, text));
    case OP_MEM:
        return o->type == X86_OP_MEM && same_memory(cs, i, o, bits);
    case OP_MOFFS:
        return o->type == X86_OP_MEM && ((uint64_t)o->mem.disp & size_mask(i->addrsize)) ==
                                            ((uint64_t)i->disp & size_mask(i->addrsize));
    case OP_IMM:
        if (i->mnemonic == MN_INT || i->mnemonic == MN_ENTER || i->mnemonic == MN_RET ||
            i->mnemonic == MN_RETF) {
            mask = size_mask(2);
        }
        return o->type == X86_OP_IMM && ((uint64_t)o->imm & mask) == ((uint64_t)i->imm & mask);
    case OP_IMM2:
        return o->type == X86_OP_IMM && (uint8_t)o->imm == i->imm2;
    case OP_REL:
        mask = bits == X86_64 ? UINT64_MAX : bits == X86_16 ? 0xffff : size_mask(i->opsize);
        return o->type == X86_OP_IMM &&
               ((uint64_t)o->imm & mask) == ((uint64_t)(ADDRESS + i->len + i->imm) & mask);
    case OP_FAR:
        return o->type == X86_OP_IMM; /* two immediates: the length tells */
    case OP_SEG:
        return o->type == X86_OP_REG && p->reg < 6 && same_reg(cs, o->reg, segments[p->reg]);
    case OP_CR:
    case OP_DR:
        snprintf(text, sizeof text, "%cr%u", p->kind == OP_CR ? 'c' : 'd', p->reg & 15);
        return o->type == X86_OP_REG && same_reg(cs, o->reg, text);
    case OP_ST:
        snprintf(text, sizeof text, "st(%u)", p->reg & 7);
        return o->type == X86_OP_REG &&
               (same_reg(cs, o->reg, text) || (p->reg == 0 && same_reg(cs, o->reg, "st")));
    case OP_MMX:
        snprintf(text, sizeof text, "mm%u", p->reg & 7);
        return o->type == X86_OP_REG && same_reg(cs, o->reg, text);
    case OP_XMM:
        snprintf(text, sizeof text, "%cmm%u", p->size == 32 ? 'y' : 'x', p->reg & 15);
        return o->type == X86_OP_REG && same_reg(cs, o->reg, text);
    case OP_ONE:
        return o->type == X86_OP_IMM && o->imm == 1;
    default:
        return false;
    }
}

static bool may_be_missing(const struct x86_insn *i, unsigned n)
{
    static const char *const implicit[] = {"AL", "AX",  "eAX", "rAX",  "CL", "DX",
                                           "I1", "ST0", "STi", "XMM0", "Xb", "Xv",
                                           "Xz", "Yb",  "Yv",  "Yz",   "Ap", "Ib"};
    const char *form = x86_operand_form(i->row->operand[n]);

    if (!strcmp(form, "Ib")) { /* CMPcc: the condition is in Capstone's name */
        return strstr(x86_mnemonic_name((enum x86_mnemonic)i->mnemonic), "cmp") != NULL;
    }
    for (unsigned k = 0; k < sizeof implicit / sizeof implicit[0]; k++) {
        if (!strcmp(form, implicit[k])) {
            return true;
        }
    }
    return false;
}

/* Capstone leaves some implied operands away and shows others that we do not have. */
static bool may_be_extra(csh cs, const cs_x86_op *o)
{
    static const char *const names[] = {"al",    "ax",   "eax", "rax", "dx", "cl",
                                        "st(0)", "xmm0", "ecx", "rcx", "edx"};

    if (o->type == X86_OP_REG) {
        for (unsigned k = 0; k < sizeof names / sizeof names[0]; k++) {
            if (same_reg(cs, o->reg, names[k])) {
                return true;
            }
        }
    }
    return false;
}

static bool same_operands(csh cs, const struct x86_insn *i, const cs_insn *c, enum x86_bits bits)
{
    const cs_x86 *x = &c->detail->x86;
    bool string = false, far = false;
    unsigned at = 0;

    for (unsigned n = 0; n < i->nops; n++) {
        unsigned k = at;
        if (i->op[n].kind == OP_STR_SRC || i->op[n].kind == OP_STR_DST) {
            string = true;
            continue;
        }
        far |= i->op[n].kind == OP_FAR;
        while (k < x->op_count && !same_operand(cs, i, &i->op[n], &x->operands[k], bits)) {
            k++;
        }
        if (k < x->op_count) {
            for (; at < k; at++) {
                if (!string && !may_be_extra(cs, &x->operands[at])) {
                    return false;
                }
            }
            at = k + 1;
        } else if (!may_be_missing(i, n)) {
            return false;
        }
    }
    for (; at < x->op_count; at++) {
        if (!string && !far && !may_be_extra(cs, &x->operands[at])) {
            return false;
        }
    }
    return true;
}

/* ---- comparing ---- */

struct kind {
    enum difference d;
    uint8_t bits, map, opcode, reg, mod3;
    uint16_t mnemonic;
    unsigned theirs;
    unsigned long count;
    char text[160];
};

struct test {
    csh cs[3];
    cs_insn *c;
    bool verbose;
    unsigned long run, both, excused, differences;
    struct kind kinds[MAX_KINDS];
    unsigned nkinds;
};

static enum difference compare(struct test *t, const uint8_t *bytes, unsigned avail,
                               enum x86_bits bits, struct x86_insn *i, bool *theirs)
{
    const uint8_t *p = bytes;
    size_t left = avail;
    uint64_t address = ADDRESS;
    enum x86_decode_result r = x86_decode(bytes, avail, bits, i);

    *theirs = cs_disasm_iter(t->cs[bits], &p, &left, &address, t->c);
    if (r != X86_DECODE_OK) {
        return *theirs ? D_INVALID : D_NONE;
    }
    if (!*theirs) {
        return D_VALID;
    }
    t->both++;
    const char *name = cs_insn_name(t->cs[bits], t->c->id);
    if (i->len != t->c->size) {
        return D_LENGTH;
    }
    if (!same_name(x86_mnemonic_name((enum x86_mnemonic)i->mnemonic), name)) {
        return D_NAME;
    }
    return same_operands(t->cs[bits], i, t->c, bits) ? D_NONE : D_OPERANDS;
}

static void describe(const struct test *t, const struct kind *k, const uint8_t *bytes,
                     unsigned avail, const struct x86_insn *i, bool theirs, char *text, size_t size)
{
    int n = snprintf(
        text, size,
        "%d-bit map %u %02x/%u%s: %s: ours %s len %u, Capstone %s %s len %u:", 16 << k->bits,
        k->map, k->opcode, k->reg, k->mod3 ? " reg" : "", difference_names[k->d],
        x86_mnemonic_name((enum x86_mnemonic)i->mnemonic), i->len, theirs ? t->c->mnemonic : "-",
        theirs ? t->c->op_str : "", theirs ? t->c->size : 0);
    for (unsigned b = 0; b < avail && b < INSN_MAX && (size_t)n + 4 < size; b++) {
        n += snprintf(text + n, size - (size_t)n, " %02x", bytes[b]);
    }
}

static void note(struct test *t, enum difference d, const uint8_t *bytes, unsigned avail,
                 enum x86_bits bits, const struct x86_insn *i, bool theirs)
{
    struct kind k = {.d = d,
                     .bits = (uint8_t)bits,
                     .map = i->map,
                     .opcode = i->opcode,
                     .reg = i->modrm >> 3 & 7,
                     .mod3 = i->modrm >> 6 == 3,
                     .mnemonic = i->mnemonic,
                     .theirs = theirs ? t->c->id : 0,
                     .count = 1};
    unsigned n = 0;

    t->differences++;
    for (; n < t->nkinds; n++) {
        struct kind *o = &t->kinds[n];
        if (o->d == k.d && o->bits == k.bits && o->map == k.map && o->opcode == k.opcode &&
            o->mnemonic == k.mnemonic && o->theirs == k.theirs && o->mod3 == k.mod3) {
            o->count++;
            return;
        }
    }
    if (n < MAX_KINDS) {
        describe(t, &k, bytes, avail, i, theirs, k.text, sizeof k.text);
        t->kinds[t->nkinds++] = k;
    }
}

/* Returns how many bytes the instruction has, for going on behind it. */
static unsigned check(struct test *t, const uint8_t *bytes, unsigned avail, enum x86_bits bits)
{
    struct x86_insn i;
    bool theirs;
    enum difference d = compare(t, bytes, avail, bits, &i, &theirs);

    t->run++;
    if (d != D_NONE) {
        if (excused(d, bytes, bits, &i, theirs ? t->c : NULL)) {
            t->excused++;
        } else {
            note(t, d, bytes, avail, bits, &i, theirs);
        }
    }
    return theirs ? t->c->size : d == D_VALID ? i.len : 1;
}

static void begin(struct test *t)
{
    t->run = t->both = t->excused = t->differences = 0;
    t->nkinds = 0;
}

static int by_count(const void *a, const void *b)
{
    const struct kind *x = a, *y = b;
    return x->count < y->count ? 1 : x->count > y->count ? -1 : 0;
}

static void end(struct test *t, const char *what)
{
    tap_ok(t->differences == 0, "%s: %lu decoded, %lu by both, %lu exceptions, %lu differ", what,
           t->run, t->both, t->excused, t->differences);
    qsort(t->kinds, t->nkinds, sizeof t->kinds[0], by_count);
    for (unsigned n = 0; n < t->nkinds && (t->verbose || n < 10); n++) {
        printf("# %6lu %s\n", t->kinds[n].count, t->kinds[n].text);
    }
}

static void test_exceptions(void)
{
    bool told = true;

    for (unsigned n = 0; n < sizeof exceptions / sizeof exceptions[0]; n++) {
        told &= exceptions[n].section[0] && exceptions[n].reason[0];
    }
    tap_ok(told, "%zu exceptions, each with the manual's section",
           sizeof exceptions / sizeof exceptions[0]);
}

/* ---- random bytes ---- */

static void test_random(struct test *t, enum x86_bits bits, unsigned long cases)
{
    static const char *const names[] = {"random bytes, 16 bits", "random bytes, 32 bits",
                                        "random bytes, 64 bits"};
    uint64_t s = 0x1234567 + bits;
    uint8_t bytes[INSN_MAX];

    begin(t);
    for (unsigned long n = 0; n < cases; n++) {
        fill_random(&s, bits, bytes);
        check(t, bytes, INSN_MAX, bits);
    }
    end(t, names[bits]);
}

/* ---- programs ---- */

static uint8_t *read_whole(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long n;

    if (f && !fseek(f, 0, SEEK_END) && (n = ftell(f)) > 0 && (data = malloc((size_t)n))) {
        rewind(f);
        *size = fread(data, 1, (size_t)n, f);
    }
    if (f) {
        fclose(f);
    }
    return data;
}

static void test_section(struct test *t, const uint8_t *p, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t left = size - at;
        at += check(t, p + at, left < INSN_MAX ? (unsigned)left : INSN_MAX, X86_64);
    }
}

static void test_program(struct test *t, const char *path)
{
    size_t size = 0;
    uint8_t *data = read_whole(path, &size);
    const Elf64_Ehdr *e = (const Elf64_Ehdr *)data;

    if (!data || size < sizeof *e || memcmp(data, ELFMAG, SELFMAG) ||
        e->e_ident[EI_CLASS] != ELFCLASS64 || e->e_machine != EM_X86_64 ||
        e->e_shoff + (uint64_t)e->e_shnum * sizeof(Elf64_Shdr) > size) {
        tap_ok(true, "%s # SKIP not an x86-64 program that is here", path);
        free(data);
        return;
    }
    begin(t);
    const Elf64_Shdr *s = (const Elf64_Shdr *)(data + e->e_shoff);
    for (unsigned n = 0; n < e->e_shnum; n++) {
        if (s[n].sh_type == SHT_PROGBITS && (s[n].sh_flags & SHF_EXECINSTR) &&
            s[n].sh_offset <= size && s[n].sh_size <= size - s[n].sh_offset) {
            test_section(t, data + s[n].sh_offset, s[n].sh_size);
        }
    }
    end(t, path);
    free(data);
}

int main(int argc, char **argv)
{
    static const cs_mode modes[] = {CS_MODE_16, CS_MODE_32, CS_MODE_64};
    static const char *const programs[] = {"/bin/bash", "/lib/x86_64-linux-gnu/libc.so.6",
                                           "/lib/x86_64-linux-gnu/libm.so.6", "/usr/bin/python3",
                                           "/usr/bin/perl"};
    struct test *t = calloc(1, sizeof *t);
    unsigned long cases = 1000000;

    for (int n = 1; n < argc; n++) {
        if (!strcmp(argv[n], "-v")) {
            t->verbose = true;
        } else {
            cases = strtoul(argv[n], NULL, 0);
        }
    }
    for (unsigned n = 0; n < 3; n++) {
        if (cs_open(CS_ARCH_X86, modes[n], &t->cs[n]) != CS_ERR_OK) {
            printf("1..0 # SKIP Capstone has no x86\n");
            return 0;
        }
        cs_option(t->cs[n], CS_OPT_DETAIL, CS_OPT_ON);
    }
    t->c = cs_malloc(t->cs[0]);
    test_exceptions();
    for (unsigned n = 0; n < 3; n++) {
        test_random(t, (enum x86_bits)n, cases);
    }
    for (unsigned n = 0; n < sizeof programs / sizeof programs[0]; n++) {
        test_program(t, programs[n]);
    }
    cs_free(t->c, 1);
    for (unsigned n = 0; n < 3; n++) {
        cs_close(&t->cs[n]);
    }
    free(t);
    return tap_done();
}

#else

int main(void)
{
    printf("1..0 # SKIP built without Capstone\n");
    return 0;
}

#endif
