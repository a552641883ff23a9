/* Where the tests let Capstone 4 have another view than the decoder: section of the SDM (volume 2,
 * if no other is told; names are the instructions' pages) and reason. Each rule is as narrow as the
 * error. */
#ifndef TESTS_CPU_DECODE_EXCEPTIONS_H
#define TESTS_CPU_DECODE_EXCEPTIONS_H

enum {
    B16 = 1 << X86_16,
    B32 = 1 << X86_32,
    B64 = 1 << X86_64,
    ALL = B16 | B32 | B64,
    V = 1 << D_VALID,
    I = 1 << D_INVALID,
    L = 1 << D_LENGTH,
    N = 1 << D_NAME,
    O = 1 << D_OPERANDS,
};

struct sample {
    enum difference d;
    enum x86_bits bits;
    const uint8_t *bytes;
    const struct x86_insn *i;
    const cs_insn *c; /* NULL: Capstone does not decode it */
    bool p66, p67, f2, f3, lock;
};

static bool any(const struct sample *s)
{
    (void)s;
    return true;
}

static bool simd_prefix(const struct sample *s)
{
    return s->p66 || s->f2 || s->f3;
}

/* F2 and F3 before opcodes that have no such row; or both with 66, where F2/F3 win. */
static bool rep_or_66(const struct sample *s)
{
    return !s->i->vex && simd_prefix(s);
}

static bool with_66(const struct sample *s)
{
    return s->p66;
}

static bool with_lock(const struct sample *s)
{
    return s->lock;
}

static bool is_register(const struct sample *s)
{
    return s->i->modrm >> 6 == 3;
}

static bool register_with_66(const struct sample *s)
{
    return s->p66 && is_register(s);
}

static bool to_cs(const struct sample *s)
{
    return (s->i->modrm >> 3 & 7) == SEG_CS;
}

static bool with_67(const struct sample *s)
{
    return s->p67;
}

static bool with_67_and_w(const struct sample *s)
{
    return s->p67 && s->i->rex_w;
}

/* Whether Capstone's name begins with one of those in the list, which ends with NULL. */
static bool is_named(const struct sample *s, const char *const *names)
{
    for (; s->c && *names; names++) {
        if (!strncmp(s->c->mnemonic, *names, strlen(*names))) {
            return true;
        }
    }
    return false;
}

static bool rtm(const struct sample *s)
{
    static const char *const names[] = {"xabort", "xbegin", "xend", "xtest", NULL};
    return is_named(s, names);
}

static bool vmx_smx(const struct sample *s)
{
    static const char *const names[] = {"vmcall",  "vmclear", "vmfunc",   "vmlaunch", "vmptrld",
                                        "vmptrst", "vmread",  "vmresume", "vmwrite",  "vmxoff",
                                        "vmxon",   "getsec",  NULL};
    return is_named(s, names);
}

static bool sgx(const struct sample *s)
{
    static const char *const names[] = {"encls", "enclu", NULL};
    return is_named(s, names);
}

static bool svm(const struct sample *s)
{
    static const char *const names[] = {"clgi",    "stgi",  "invlpga", "skinit", "vmload",
                                        "vmmcall", "vmrun", "vmsave",  NULL};
    return is_named(s, names);
}

static bool padlock(const struct sample *s)
{
    static const char *const names[] = {"montmul", "xcrypt", "xsha", "xstore", NULL};
    return is_named(s, names);
}

static bool segment_register(const struct sample *s)
{
    return (s->i->modrm >> 3 & 7) > 5 || (s->i->rex & 4);
}

/* A prefix other than 67 and the segments' before VEX. */
static bool vex_conflict(const struct sample *s)
{
    for (const uint8_t *b = s->bytes; *b != 0xc4 && *b != 0xc5; b++) {
        if (*b == 0x66 || *b == 0xf2 || *b == 0xf3 || *b == 0xf0 ||
            (s->bits == X86_64 && (*b & 0xf0) == 0x40)) {
            return true;
        }
    }
    return false;
}

/* C4 with 0111b as raw vvvv. */
static bool vvvv_top(const struct sample *s)
{
    const uint8_t *b = s->bytes;

    while (*b != 0xc4 && *b != 0xc5) {
        b++;
    }
    return *b == 0xc4 && (b[2] & 0x78) == 0x38;
}

static bool vex_w1(const struct sample *s)
{
    return s->i->vex && s->i->rex_w;
}

static bool no_sib(const struct sample *s)
{
    return (s->i->modrm & 7) != 4 || s->i->addrsize == 2;
}

static bool high_is4(const struct sample *s)
{
    return s->c && s->bytes[s->c->size - 1] & 0x80;
}

static bool gather(const struct sample *s)
{
    return s->i->vsib != 0;
}

static const struct exception {
    uint8_t bits, map, first, last;
    uint8_t kinds;
    bool (*applies)(const struct sample *s);
    const char *section, *reason;
} exceptions[] = {
#include "tests/cpu/decode_exceptions.def"
};

static bool excused(enum difference d, const uint8_t *bytes, enum x86_bits bits,
                    const struct x86_insn *i, const cs_insn *c)
{
    struct sample s = {d, bits, bytes, i, c, false, false, false, false, false};

    for (unsigned n = 0; n < INSN_MAX; n++) {
        uint8_t b = bytes[n];
        s.p66 |= b == 0x66;
        s.p67 |= b == 0x67;
        s.f2 |= b == 0xf2;
        s.f3 |= b == 0xf3;
        s.lock |= b == 0xf0;
        bool rex = bits == X86_64 && (b & 0xf0) == 0x40;
        if (!(b == 0x66 || b == 0x67 || b == 0xf0 || b == 0xf2 || b == 0xf3 || b == 0x64 ||
              b == 0x65 || (b & 0xe7) == 0x26 || rex)) {
            break;
        }
    }
    /* Of two lengths one may be over 15 bytes: by ours it is no instruction, or by Capstone's,
     * whose immediate is at most two bytes longer. */
    bool too_long =
        i->mnemonic != MN_INVALID && ((d == D_INVALID && (!i->len || i->len > INSN_MAX)) ||
                                      (d == D_VALID && i->len + 2 > INSN_MAX));
    unsigned kinds = 1u << d | (too_long ? L : 0);
    for (unsigned n = 0; n < sizeof exceptions / sizeof exceptions[0]; n++) {
        const struct exception *e = &exceptions[n];
        if ((e->bits >> bits & 1) && e->map == i->map && i->opcode >= e->first &&
            i->opcode <= e->last && (e->kinds & kinds) && e->applies(&s)) {
            return true;
        }
    }
    return false;
}

#endif
