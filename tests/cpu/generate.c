/* The random instruction generator, see generate.h.
 *
 * An encoding is found by trial: the row's opcode with random prefixes, ModRM, SIB, displacement
 * and immediate, until the decoder says that it is the row. What the instruction then needs of
 * registers and memory (addresses in the data area, divisors that do not always overflow,
 * comparands that are sometimes equal) is arranged around it. Memory operands of sequences are
 * absolute, so that earlier instructions cannot spoil them and the shrinker can take any
 * instruction away. */
#include "tests/cpu/generate.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cpu/cpuid.h"
#include "cpu/x86.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* ---- random numbers ---- */

uint64_t generate_random(struct generator *g)
{
    g->random ^= g->random << 13;
    g->random ^= g->random >> 7;
    g->random ^= g->random << 17;
    return g->random * UINT64_C(0x2545f4914f6cdd1d);
}

static unsigned below(struct generator *g, unsigned n)
{
    return (unsigned)((generate_random(g) >> 33) % n);
}

static bool chance(struct generator *g, unsigned percent)
{
    return below(g, 100) < percent;
}

static uint64_t interesting(struct generator *g)
{
    static const uint64_t edge[] = {
        0,
        1,
        2,
        3,
        7,
        8,
        0xf,
        0x10,
        0x3f,
        0x40,
        0x7f,
        0x80,
        0xff,
        0x100,
        0x7fff,
        0x8000,
        0xffff,
        0x10000,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        0x99,
        0x9a,
        0x8000000000000000u,
        0x7fffffffffffffffu,
        0x100000000u,
    };
    uint64_t x;

    switch (below(g, 8)) {
    case 0:
    case 1:
    case 2:
        x = edge[below(g, sizeof edge / sizeof edge[0])];
        return chance(g, 30) ? -x : x;
    case 3:
        return below(g, 64);
    case 4:
        x = UINT64_C(1) << below(g, 64);
        return chance(g, 30) ? -x : x;
    case 5:
        return (uint64_t)(int64_t)(int32_t)generate_random(g);
    default:
        return generate_random(g);
    }
}

/* ---- which rows ---- */

static bool host_has(unsigned feature)
{
#if defined(__x86_64__)
    static const struct {
        uint32_t leaf, sub;
        uint8_t reg, bit;
    } where[] = {
#define WHERE(id, name, leaf, sub, reg, bit) {leaf, sub, reg, bit},
        X86_FEATURES(WHERE)
#undef WHERE
    };
    uint32_t r[4];

    if (feature <= X86F_I486) {
        return true;
    }
    if (feature == X86F_NONE || feature >= X86F_COUNT) {
        return false;
    }
    return __get_cpuid_count(where[feature].leaf, where[feature].sub, &r[0], &r[1], &r[2], &r[3]) &&
           (r[where[feature].reg] >> where[feature].bit & 1);
#else
    (void)feature;
    return false;
#endif
}

/* Not comparable: time, identity, randomness, other privilege, system calls, segments, or state
 * that the native side does not hold. */
static const char *const unwanted[] = {
    "cpuid",    "rdtsc",    "rdtscp",  "rdpmc",   "rdrand",  "rdseed",   "rdpid",    "syscall",
    "sysenter", "int",      "int1",    "iret",    "callf",   "jmpf",     "retf",     "pop_seg",
    "lds",      "les",      "lss",     "lfs",     "lgs",     "lar",      "lsl",      "verr",
    "verw",     "sgdt",     "sidt",    "sldt",    "str",     "smsw",     "rdfsbase", "rdgsbase",
    "wrfsbase", "wrgsbase", "xgetbv",  "xsave",   "xsavec",  "xsaveopt", "xsaves",   "xrstor",
    "xrstors",  "fxsave",   "fxrstor", "rdpkru",  "wrpkru",  "fwait",
    /* The manual allows a relative error of 1.5 * 2^-12: each processor has its own results. */
    "rcpps",    "rcpss",    "rsqrtps", "rsqrtss", "vrcpps",  "vrcpss",   "vrsqrtps", "vrsqrtss",
};

bool generate_wants(const struct generator *g, const struct x86_opcode *row)
{
    const char *name = x86_mnemonic_name((enum x86_mnemonic)row->mnemonic);
    bool vector = row->attr & (AT_SSE | AT_MMX | AT_AVX);
    unsigned bits = g->bits;

    if (row->mnemonic == MN_INVALID || !host_has(row->feature) || (row->attr & AT_FPU) ||
        vector != g->vectors ||
        (row->attr & (bits == 64 ? AT_NO64 : AT_ONLY64)) ||
        (row->mnemonic == MN_SYSRET && bits < 64)) { /* Intel's and AMD's differ there */
        return false;
    }
    for (unsigned n = 0; n < sizeof unwanted / sizeof unwanted[0]; n++) {
        if (!strcasecmp(name, unwanted[n])) {
            return false;
        }
    }
    for (unsigned n = 0; n < 4; n++) { /* segment, control and debug registers, far pointers */
        const char *form = x86_operand_form(row->operand[n]);
        if (form &&
            ((n == 0 && !strcmp(form, "Sw")) || !strncmp(form, "Cd", 2) ||
             !strncmp(form, "Dd", 2) || !strncmp(form, "Ap", 2) || !strncmp(form, "Mp", 2))) {
            return false;
        }
    }
    return true;
}

/* ---- encodings ---- */

enum addressing { ANY, ABSOLUTE };

struct encoding {
    uint8_t bytes[32];
    unsigned len, modrm_at; /* 0: no ModRM */
    struct x86_insn insn;
};

static void put(struct encoding *e, unsigned byte)
{
    e->bytes[e->len++] = (uint8_t)byte;
}

static void put_legacy_prefixes(struct generator *g, const struct x86_opcode *row, bool vex,
                                struct encoding *e)
{
    static const uint8_t mandatory[] = {0x66, 0xf3, 0xf2};
    static const uint8_t segments[] = {0x26, 0x2e, 0x36, 0x3e, 0x65};
    unsigned n64 = g->bits == 64 ? 5 : 4; /* GS is null in the other modes */

    if (chance(g, 8)) {
        put(e, segments[below(g, n64)]);
    }
    if (chance(g, g->bits == 32 ? 3 : 12)) {
        put(e, 0x67);
    }
    if (vex) {
        return;
    }
    if (chance(g, 30)) {
        put(e, mandatory[below(g, 3)]);
    }
    if (chance(g, 10)) {
        put(e, 0x66);
    }
    if ((row->attr & AT_REP) && chance(g, 60)) {
        put(e, chance(g, 50) ? 0xf3 : 0xf2);
    }
    if ((row->attr & AT_LOCK) && chance(g, 30)) {
        put(e, 0xf0);
    }
}

static void put_opcode(struct generator *g, const struct x86_opcode *row, bool vex,
                       struct encoding *e)
{
    unsigned map = row->map & 7, opcode = row->opcode;

    if (vex) {
        unsigned r = below(g, 8), vvvv = g->bits == 64 ? below(g, 16) : 8 + below(g, 8);
        if (chance(g, 30)) {
            vvvv = 15; /* none */
        }
        put(e, 0xc4);
        put(e, (g->bits == 64 ? r << 5 : 7 << 5) | (map ? map : 1));
        put(e, (chance(g, 50) ? 0x80 : 0) | vvvv << 3 | below(g, 8));
        put(e, opcode);
        return;
    }
    if (g->bits == 64 && chance(g, 60)) {
        put(e, 0x40 | below(g, 16));
    }
    if (map) {
        put(e, 0x0f);
        if (map > 1) {
            put(e, map == 2 ? 0x38 : 0x3a);
        }
    }
    put(e, chance(g, 50) ? opcode ^ below(g, 8) : opcode); /* registers in the low bits */
}

static void put_operands(struct generator *g, const struct x86_opcode *row, enum addressing how,
                         struct encoding *e)
{
    unsigned modrm = below(g, 256);

    if (chance(g, 25)) {
        modrm |= 0xc0;
    } else if (how == ABSOLUTE && modrm < 0xc0) {
        modrm = (modrm & 0x38) | (g->bits == 64 ? 4 : g->bits == 32 ? 5 : 6);
    }
    if (row->modrm_reg >= 8) { /* the whole byte */
        modrm = 0xc0 | (unsigned)(row->modrm_reg - 8);
    } else if (row->modrm_reg >= 0) {
        modrm = (modrm & 0xc7) | (unsigned)row->modrm_reg << 3;
    }
    e->modrm_at = e->len;
    put(e, modrm);
    if (how == ABSOLUTE && g->bits == 64 && (modrm & 0xc7) == 4) {
        put(e, 0x25); /* SIB: neither base nor index */
    }
    while (e->len < 28) {
        uint64_t x = interesting(g);
        for (unsigned n = 0; n < 4; n++) {
            put(e, x >> 8 * n & 0xff);
        }
    }
}

static enum x86_bits mode_of(unsigned bits)
{
    return bits == 64 ? X86_64 : bits == 32 ? X86_32 : X86_16;
}

static bool encode(struct generator *g, const struct x86_opcode *row, enum addressing how,
                   struct encoding *e)
{
    for (unsigned attempt = 0; attempt < 4000; attempt++) {
        bool vex = row->map >= 9;
        memset(e, 0, sizeof *e);
        put_legacy_prefixes(g, row, vex, e);
        put_opcode(g, row, vex, e);
        put_operands(g, row, how, e);
        if (x86_decode(e->bytes, 15, mode_of(g->bits), &e->insn) != X86_DECODE_OK ||
            e->insn.row != row) {
            continue;
        }
        if (g->bits == 64 && e->insn.seg == SEG_FS) {
            continue; /* the native side's thread-local storage */
        }
        if (g->bits < 64 && e->insn.seg == SEG_CS && e->insn.op[0].kind == OP_MEM) {
            continue; /* writes to CS are refused before reads fault, which is not modelled */
        }
        e->len = e->insn.len;
        if (!e->insn.has_modrm) {
            e->modrm_at = 0;
        }
        return true;
    }
    return false;
}

static void put_bytes(uint8_t *p, uint64_t x, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        p[n] = (uint8_t)(x >> 8 * n);
    }
}

/* Offset of a full displacement in the encoding; 0: none. */
static unsigned disp_at(const struct encoding *e)
{
    uint8_t modrm = e->bytes[e->modrm_at];
    unsigned mod = modrm >> 6, rm = modrm & 7, at = e->modrm_at + 1;
    bool sib = rm == 4 && mod != 3;

    if (!e->modrm_at || mod == 3) {
        return 0;
    }
    if (e->insn.addrsize == 2) {
        return mod == 2 || (mod == 0 && rm == 6) ? at : 0;
    }
    if (sib) {
        rm = e->bytes[at++] & 7;
    }
    return mod == 2 || (mod == 0 && rm == 5) ? at : 0;
}

/* ---- what the instruction needs ---- */

static const struct x86_operand *memory_operand(const struct x86_insn *i)
{
    for (unsigned n = 0; n < i->nops; n++) {
        if (i->op[n].kind == OP_MEM || i->op[n].kind == OP_MOFFS) {
            return &i->op[n];
        }
    }
    return NULL;
}

static uint64_t pick_address(struct generator *g, unsigned size, bool aligned_only)
{
    uint64_t ro = NATIVE_DATA + NATIVE_DATA_WRITABLE, end = NATIVE_DATA + NATIVE_DATA_SIZE;
    uint64_t a = NATIVE_DATA + 0x200 + below(g, 0x1c00);
    unsigned kind = below(g, 100);

    if (size == 0) {
        size = 1;
    }
    if (kind < 25 || aligned_only) {
        a &= ~(uint64_t)15;
    } else if (kind >= 80 && kind < 86 && size > 1) { /* across two writable pages */
        a = NATIVE_DATA + 0x1000 - 1 - below(g, size - 1);
    } else if (kind >= 86 && kind < 91) {
        a = ro + 16 + below(g, 0xe00);
    } else if (kind >= 91 && kind < 94 && size > 1) {
        a = ro - 1 - below(g, size - 1);
    } else if (kind >= 94 && kind < 96) {
        a = end - size;
    } else if (kind >= 96 && kind < 98) {
        a = end + below(g, 0x800);
    } else if (kind >= 98) {
        a = NATIVE_DATA - size;
    }
    return a;
}

static void set_register(struct generator *g, struct native_case *k, unsigned reg, uint64_t value,
                         unsigned addrsize)
{
    if (addrsize < 8 && chance(g, 50)) { /* the upper part counts for nothing */
        uint64_t mask = addrsize == 2 ? UINT16_MAX : UINT32_MAX;
        value = (value & mask) | (generate_random(g) & ~mask);
    }
    k->in.reg[reg] = value;
}

static uint64_t segment_base(const struct generator *g, enum x86_segnum seg)
{
    if (g->bits == 16) {
        return seg == SEG_CS ? NATIVE_CODE : NATIVE_DATA;
    }
    return seg == SEG_GS && g->bits == 64 ? NATIVE_GS_BASE : 0;
}

/* Makes the memory operand mean address. */
static void aim(struct generator *g, struct native_case *k, struct encoding *e, uint64_t address)
{
    const struct x86_insn *i = &e->insn;
    unsigned at = disp_at(e), end = k->code_at + k->code_len + e->len;

    address -= segment_base(g, (enum x86_segnum)i->seg);
    if (i->op[0].kind == OP_MOFFS || (i->nops > 1 && i->op[1].kind == OP_MOFFS)) {
        put_bytes(e->bytes + e->len - i->addrsize, address, i->addrsize);
    } else if (i->base == X86_RIPREG) {
        put_bytes(e->bytes + at, address - (NATIVE_CODE + end), 4);
    } else if (i->base == X86_NOREG && (i->index == X86_NOREG || i->vsib)) {
        if (at) {
            put_bytes(e->bytes + at, address, i->addrsize == 2 ? 2 : 4);
        }
    } else if (i->base == X86_NOREG) {
        uint64_t index = below(g, 256);
        set_register(g, k, i->index, index, i->addrsize);
        if (at) {
            put_bytes(e->bytes + at, address - (index << i->scale), i->addrsize == 2 ? 2 : 4);
        }
    } else if (i->index == X86_NOREG || i->vsib) {
        set_register(g, k, i->base, address - (uint64_t)i->disp, i->addrsize);
    } else if (i->index == i->base) {
        set_register(g, k, i->base, (address - (uint64_t)i->disp) / (1 + (1u << i->scale)),
                     i->addrsize);
    } else {
        uint64_t index = k->in.reg[i->index];
        set_register(g, k, i->base, address - (uint64_t)i->disp - (index << i->scale), i->addrsize);
    }
}

static void patch_memory(struct generator *g, struct native_case *k, uint64_t address,
                         unsigned size, uint64_t value)
{
    uint64_t at = address - NATIVE_DATA;

    (void)g;
    if (at >= NATIVE_DATA_SIZE || size > 8 || at + size > NATIVE_DATA_SIZE || k->npatches == 4) {
        return;
    }
    struct native_patch *p = &k->patch[k->npatches++];
    p->at = (uint16_t)at;
    p->len = (uint8_t)size;
    memcpy(p->bytes, &value, size);
}

static void patch_vector(struct native_case *k, uint64_t address, unsigned size, const void *value)
{
    uint64_t at = address - NATIVE_DATA;

    if (at < NATIVE_DATA_SIZE && at + size <= NATIVE_DATA_SIZE && k->npatches < 4) {
        struct native_patch *p = &k->patch[k->npatches++];
        p->at = (uint16_t)at;
        p->len = (uint8_t)size;
        memcpy(p->bytes, value, size);
    }
}

static uint64_t memory_value(const struct native_case *k, uint64_t address, unsigned size)
{
    uint8_t image[NATIVE_DATA_SIZE];
    uint64_t at = address - NATIVE_DATA, value = 0;

    if (at >= NATIVE_DATA_SIZE || at + size > NATIVE_DATA_SIZE) {
        return 0;
    }
    native_image(image);
    for (unsigned n = 0; n < k->npatches; n++) {
        memcpy(image + k->patch[n].at, k->patch[n].bytes, k->patch[n].len);
    }
    memcpy(&value, image + at, size);
    return value;
}

static bool named(const struct x86_insn *i, const char *name)
{
    return !strcasecmp(x86_mnemonic_name((enum x86_mnemonic)i->mnemonic), name);
}

static uint64_t code_target(struct generator *g, const struct native_case *k, unsigned len)
{
    uint64_t base = g->bits == 16 ? 0 : NATIVE_CODE;

    if (chance(g, 85)) { /* among the INT3s around */
        return base + (chance(g, 50) ? k->code_at + k->code_len + len + below(g, 100)
                                     : k->code_at - 1 - below(g, 60));
    }
    return base + NATIVE_CODE_SIZE + below(g, 0x1000);
}

/* Relative branches go somewhere that holds no half instructions. */
static void aim_branch(struct generator *g, struct native_case *k, struct encoding *e)
{
    const struct x86_insn *i = &e->insn;
    bool branch = i->nops && i->op[i->nops - 1].kind == OP_REL;
    uint64_t next = (g->bits == 16 ? 0 : NATIVE_CODE) + k->code_at + k->code_len + e->len;

    if (!branch) {
        return;
    }
    uint64_t rel = code_target(g, k, e->len) - next;
    bool wide = i->opcode == 0xe8 || i->opcode == 0xe9 || i->map == 1;
    if (!wide) {
        e->bytes[e->len - 1] = (uint8_t)(rel & 0x3f);
    } else if (i->opsize == 2 && g->bits < 64) {
        put_bytes(e->bytes + e->len - 2, g->bits == 16 ? rel : rel & 0x3f, 2);
    } else {
        put_bytes(e->bytes + e->len - 4, rel, 4);
    }
}

/* Special needs by name, after the operands were aimed. */
static void suit(struct generator *g, struct native_case *k, struct encoding *e, uint64_t address)
{
    const struct x86_insn *i = &e->insn;
    uint64_t *r = k->in.reg;
    const struct x86_operand *d = &i->op[0];
    unsigned size = d->size && d->size <= 8 ? d->size : 8;

    if (named(i, "div") || named(i, "idiv")) {
        if (chance(g, 60)) {
            r[X86_RDX] = chance(g, 50) ? 0 : (uint64_t)((int64_t)r[X86_RAX] >> 63);
            if (size == 1) {
                r[X86_RAX] &= 0x7ff;
            }
        }
    } else if (named(i, "cmpxchg")) {
        if (chance(g, 50)) {
            r[X86_RAX] = d->kind == OP_GPR ? r[d->reg] : memory_value(k, address, size);
        }
    } else if (named(i, "cmpxchg8b") && chance(g, 60)) {
        r[X86_RAX] = memory_value(k, address, 4) | (chance(g, 50) ? generate_random(g) << 32 : 0);
        r[X86_RDX] = memory_value(k, address + 4, 4);
    } else if (named(i, "cmpxchg16b") && chance(g, 60)) {
        r[X86_RAX] = memory_value(k, address, 8);
        r[X86_RDX] = memory_value(k, address + 8, 8);
    } else if (d->kind == OP_MEM && i->nops > 1 && i->op[1].kind == OP_GPR &&
               (named(i, "bt") || named(i, "bts") || named(i, "btr") || named(i, "btc"))) {
        if (i->op[1].reg != i->base && i->op[1].reg != i->index) {
            r[i->op[1].reg] = (uint64_t)(int64_t)((int)below(g, 4000) - 2000);
        }
    } else if ((named(i, "jmp") || named(i, "call")) && d->kind != OP_REL) {
        uint64_t to = code_target(g, k, e->len);
        if (d->kind == OP_GPR) {
            r[d->reg] = to;
        } else {
            patch_memory(g, k, address, d->size, to);
        }
    } else if (named(i, "ret")) {
        patch_memory(g, k, r[X86_RSP] + segment_base(g, SEG_SS), g->bits == 64 ? 8 : i->opsize,
                     code_target(g, k, e->len));
    } else if (named(i, "loop") || named(i, "loope") || named(i, "loopne") || named(i, "jcxz")) {
        r[X86_RCX] = chance(g, 70) ? below(g, 3) : r[X86_RCX];
    } else if (named(i, "popa")) { /* processors that fault in the middle have changed registers */
        r[X86_RSP] = NATIVE_DATA + 0x400 + below(g, 0x400) - segment_base(g, SEG_SS);
    } else if (named(i, "xlat")) {
        set_register(g, k, X86_RBX,
                     pick_address(g, 1, false) - segment_base(g, (enum x86_segnum)i->seg),
                     i->addrsize);
    } else if (named(i, "maskmovq") || named(i, "maskmovdqu") || named(i, "vmaskmovdqu")) {
        set_register(g, k, X86_RDI, NATIVE_DATA + 0x200 + below(g, 0x1c00) -
                         segment_base(g, i->seg_override ? (enum x86_segnum)i->seg : SEG_DS),
                     i->addrsize);
    } else if (named(i, "ldmxcsr") || named(i, "vldmxcsr")) {
        patch_memory(g, k, address, 4, generate_random(g) & (chance(g, 80) ? 0xffff : 0x1ffff));
    } else if (i->vsib) {
        k->in.rflags &= ~(uint64_t)FL_TF; /* a trap may come between its elements */
        for (unsigned n = 0; n < 4; n++) { /* small indices of 32 or 64 bits */
            uint64_t one = i->mnemonic == MN_VPGATHERDD || i->mnemonic == MN_VPGATHERDQ ||
                           i->mnemonic == MN_VGATHERDPS || i->mnemonic == MN_VGATHERDPD;
            int64_t x = (int64_t)below(g, 64) - 32, y = (int64_t)below(g, 64) - 32;
            k->in.vec[i->index][n] = one ? (uint32_t)x | (uint64_t)y << 32 : (uint64_t)x;
        }
    } else if (named(i, "leave") || named(i, "enter")) {
        r[X86_RBP] = pick_address(g, 8, false) - segment_base(g, SEG_SS);
    }
}

static void suit_string(struct generator *g, struct native_case *k, const struct x86_insn *i)
{
    bool source = false, destination = false;
    unsigned size = 1;

    for (unsigned n = 0; n < i->nops; n++) {
        source |= i->op[n].kind == OP_STR_SRC;
        destination |= i->op[n].kind == OP_STR_DST;
        if (i->op[n].kind == OP_STR_SRC || i->op[n].kind == OP_STR_DST) {
            size = i->op[n].size;
        }
    }
    if (!source && !destination) {
        return;
    }
    uint64_t base = segment_base(g, source ? (enum x86_segnum)i->seg : SEG_DS);
    uint64_t a = pick_address(g, size, false), b = pick_address(g, size, false);
    if (chance(g, 30)) {
        b = a + below(g, 4 * size + 8) - 2 * size - 4; /* overlapping */
    }
    if (i->rep || i->repne) {
        set_register(g, k, X86_RCX, chance(g, 60) ? below(g, 40) : below(g, 3000), i->addrsize);
        if (chance(g, 30)) { /* many equal elements */
            uint64_t run = k->in.reg[X86_RAX] * (size == 1 ? 0 : 1);
            for (unsigned n = 0; n < 3 && run; n++) {
                patch_memory(g, k, b + n * size, size, k->in.reg[X86_RAX]);
            }
            a = b;
        }
    }
    set_register(g, k, X86_RSI, a - base, i->addrsize);
    set_register(g, k, X86_RDI, b - segment_base(g, SEG_ES), i->addrsize);
}

/* ---- flags ---- */

static uint32_t flags_with(const struct x86_opcode *row, bool (*is)(unsigned effect))
{
    static const uint32_t flag[] = {FL_OF, FL_SF, FL_ZF, FL_AF, FL_PF, FL_CF};
    uint32_t mask = 0;

    for (unsigned n = 0; n < 6; n++) {
        if (is(row->flags >> 3 * n & 7)) {
            mask |= flag[n];
        }
    }
    return mask;
}

static bool is_undefined(unsigned effect)
{
    return effect == FE_U;
}

static bool is_read(unsigned effect)
{
    return effect == FE_R || effect == FE_RW;
}

static bool is_set(unsigned effect)
{
    return effect == FE_W || effect == FE_RW || effect == FE_0 || effect == FE_1;
}

/* What the counts of shifts make of the table's entries. false: the result is undefined. */
static bool shift_flags(struct generated_insn *f, const struct x86_insn *i, const uint64_t *reg)
{
    static const char *const rotate[] = {"rol", "ror", "rcl", "rcr"};
    static const char *const shift[] = {"shl", "sal", "shr", "sar", "shld", "shrd"};
    unsigned size = i->op[0].size, mask = size == 8 ? 63 : 31, count = 0;
    const struct x86_operand *c = &i->op[i->nops ? i->nops - 1 : 0];
    bool rotates = false, shifts = false, by_cl = c->kind == OP_GPR;

    for (unsigned n = 0; n < 4; n++) {
        rotates |= named(i, rotate[n]);
    }
    for (unsigned n = 0; n < 6; n++) {
        shifts |= named(i, shift[n]);
    }
    if (!rotates && !shifts) {
        return true;
    }
    if (c->kind == OP_IMM) {
        count = (unsigned)i->imm & mask;
    } else if (c->kind == OP_ONE) {
        count = 1;
    } else if (reg) {
        count = (unsigned)reg[X86_RCX] & mask;
    } else {
        count = UINT32_MAX; /* not known */
    }
    if (rotates) {
        f->undefined = 0;
        f->defined = FL_CF | FL_OF;
    }
    if (count == 0) {
        f->undefined = f->defined = 0;
        return true;
    }
    if (count != 1) {
        f->undefined |= FL_OF;
        f->defined &= ~(uint32_t)FL_OF;
    }
    if (shifts && count >= 8 * size && !named(i, "sar")) {
        f->undefined |= FL_CF;
        f->defined &= ~(uint32_t)FL_CF;
    }
    if (shifts) {
        f->undefined |= FL_AF;
    }
    if (by_cl && !reg) {
        f->defined = 0; /* perhaps nothing is set */
    }
    bool doubled = i->nops == 3;
    return !(doubled && (count == UINT32_MAX ? size == 2 : count > 8 * size));
}

static bool describe(struct generated_insn *f, const struct encoding *e, const uint64_t *reg)
{
    f->row = e->insn.row;
    f->len = (uint8_t)e->len;
    f->undefined = flags_with(f->row, is_undefined);
    f->reads = flags_with(f->row, is_read);
    f->defined = flags_with(f->row, is_set);
    return shift_flags(f, &e->insn, reg);
}

static void add_flags(struct generated *out, const struct generated_insn *f)
{
    out->undefined = (out->undefined & ~f->defined) | f->undefined;
    out->ever |= out->undefined;
}

/* ---- cases ---- */

/* ---- vector registers ---- */

static uint32_t interesting_single(struct generator *g)
{
    static const uint32_t edge[] = {
        0,          1,          0x7fffff,   0x800000,   0x3f800000, 0x3f7fffff, 0x3f800001,
        0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fc00000, 0x7fc12345, 0x7fbfffff, 0x4b000000,
        0x4affffff, 0x4effffff, 0x4f000000, 0x5effffff, 0x5f000000, 0x477fe000, 0x477ff000,
        0x38800000, 0x387fc000, 0x33000000, 0x33000001, 0x3f000000, 0x3fc00000, 0x40200000,
        0x00400000, 0x20000000, 0x5f7fffff, 0x1f800000,
    };
    uint32_t x;

    switch (below(g, 6)) {
    case 0:
    case 1:
        x = edge[below(g, sizeof edge / sizeof edge[0])];
        break;
    case 2: /* of a size to meet others */
        x = (0x3f800000 + (below(g, 24) << 23) - (12 << 23)) | (uint32_t)(generate_random(g) & 0x7fffff);
        break;
    case 3: /* few significant digits */
        x = (0x3f800000 + (below(g, 48) << 23) - (24 << 23)) | below(g, 8) << 20;
        break;
    default:
        x = (uint32_t)(generate_random(g) >> 20);
        break;
    }
    return chance(g, 40) ? x ^ 0x80000000 : x;
}

static uint64_t interesting_double(struct generator *g)
{
    static const uint64_t edge[] = {
        0,
        1,
        0x000fffffffffffff,
        0x0010000000000000,
        0x3ff0000000000000,
        0x3fefffffffffffff,
        0x3ff0000000000001,
        0x7fefffffffffffff,
        0x7ff0000000000000,
        0x7ff0000000000001,
        0x7ff8000000000000,
        0x7ff8123456789abc,
        0x7ff7ffffffffffff,
        0x41dfffffffc00000,
        0x41e0000000000000,
        0x43dfffffffffffff,
        0x43e0000000000000,
        0x4330000000000000,
        0x432fffffffffffff,
        0x47efffffe0000000,
        0x47effffff0000000,
        0x3810000000000000,
        0x380fffffffffffff,
        0x36a0000000000000,
        0x3690000000000001,
        0x3fe0000000000000,
        0x3ff8000000000000,
        0x0008000000000000,
        0x2000000000000000,
        0x5fefffffffffffff,
    };
    uint64_t x;

    switch (below(g, 6)) {
    case 0:
    case 1:
        x = edge[below(g, sizeof edge / sizeof edge[0])];
        break;
    case 2:
        x = ((UINT64_C(1023 - 12) + below(g, 24)) << 52) | generate_random(g) >> 12;
        break;
    case 3:
        x = ((UINT64_C(1023 - 24) + below(g, 48)) << 52) | (uint64_t)below(g, 8) << 49;
        break;
    default:
        x = generate_random(g);
        break;
    }
    return chance(g, 40) ? x ^ UINT64_C(0x8000000000000000) : x;
}

static void random_vector(struct generator *g, uint64_t v[4])
{
    static const uint8_t bytes[] = {0, 0xff, 0x80, 0x7f, 1, 0x0f, 0x81};
    unsigned kind = below(g, 16);
    uint8_t b[32];

    for (unsigned n = 0; n < 4; n++) {
        if (kind < 5) {
            v[n] = interesting_single(g) | (uint64_t)interesting_single(g) << 32;
        } else if (kind < 10) {
            v[n] = interesting_double(g);
        } else if (kind < 12) {
            v[n] = interesting(g);
        } else {
            v[n] = generate_random(g);
        }
    }
    if (kind >= 14) {
        memcpy(b, v, 32);
        for (unsigned n = 0; n < 32; n++) {
            b[n] = chance(g, 60) ? bytes[below(g, sizeof bytes)] : b[n];
        }
        memcpy(v, b, 32);
    }
}

static void random_vectors(struct generator *g, struct native_case *k)
{
    k->vectors = true;
    for (unsigned n = 0; n < 16; n++) {
        random_vector(g, k->in.vec[n]);
        if (n && chance(g, 10)) {
            memcpy(k->in.vec[n], k->in.vec[n - 1], 32);
        }
    }
    for (unsigned n = 0; n < 8; n++) {
        uint64_t v[4];
        random_vector(g, v);
        k->in.mm[n] = v[0];
    }
    k->in.mxcsr = 0x1f80;
    if (chance(g, 60)) {
        k->in.mxcsr |= below(g, 4) << 13 | below(g, 2) << 15 | below(g, 2) << 6;
    }
    if (chance(g, 20)) {
        k->in.mxcsr |= below(g, 64);
    }
    if (chance(g, 10)) {
        k->in.mxcsr &= ~(below(g, 64) << 7);
    }
}

static void random_state(struct generator *g, struct generated *out)
{
    struct native_case *k = &out->k;

    memset(out, 0, sizeof *out);
    k->bits = (uint8_t)g->bits;
    k->code_at =
        chance(g, 10) ? (uint16_t)(0x1000 - 1 - below(g, 14)) : (uint16_t)(0x80 + below(g, 0x1d00));
    for (unsigned n = 0; n < 16; n++) {
        k->in.reg[n] = interesting(g);
        if (g->bits < 64) {
            k->in.reg[n] = n < 8 ? (uint32_t)k->in.reg[n] : 0;
        }
    }
    if (g->vectors) {
        random_vectors(g, k);
    }
    k->in.reg[X86_RSP] = pick_address(g, 8, chance(g, 80)) - segment_base(g, SEG_SS);
    k->in.rflags = 0x202 | (generate_random(g) & FL_STATUS) | (chance(g, 20) ? FL_DF : 0) |
                   (chance(g, 3) ? FL_TF : 0);
}

static void mask_registers(struct generator *g, struct native_case *k)
{
    if (g->bits < 64) {
        for (unsigned n = 0; n < 16; n++) {
            k->in.reg[n] = (uint32_t)k->in.reg[n];
        }
    }
    if (g->bits == 16) {
        k->in.reg[X86_RSP] = (k->in.reg[X86_RSP] & UINT16_MAX) | NATIVE_ESP_HIGH;
    }
}

static void append(struct generated *out, struct generated_insn *f, const struct encoding *e)
{
    f->at = (uint8_t)out->k.code_len;
    memcpy(out->k.code + out->k.code_len, e->bytes, e->len);
    out->k.code_len = (uint16_t)(out->k.code_len + e->len);
    out->insn[out->ninsns++] = *f;
}

bool generate_single(struct generator *g, const struct x86_opcode *row, struct generated *out)
{
    struct encoding e;
    struct generated_insn f = {0};

    for (unsigned attempt = 0; attempt < 20; attempt++) {
        random_state(g, out);
        if (!encode(g, row, ANY, &e)) {
            return false;
        }
        const struct x86_operand *m = memory_operand(&e.insn);
        uint64_t address = 0;
        if (m) {
            address = pick_address(g, m->size, m->size >= 16 && chance(g, 80));
            if (m->size == 32 && chance(g, 60)) {
                address &= ~(uint64_t)31;
            }
            aim(g, &out->k, &e, address);
            if (g->vectors && !e.insn.vsib && m->size && chance(g, 70)) {
                uint64_t v[4];
                random_vector(g, v);
                patch_vector(&out->k, address, m->size < 32 ? m->size : 32, v);
            } else if (chance(g, 50)) {
                patch_memory(g, &out->k, address, m->size, interesting(g));
            }
        }
        aim_branch(g, &out->k, &e);
        suit_string(g, &out->k, &e.insn);
        suit(g, &out->k, &e, address);
        mask_registers(g, &out->k);
        if (!describe(&f, &e, out->k.in.reg)) {
            continue;
        }
        append(out, &f, &e);
        add_flags(out, &f);
        return true;
    }
    return false;
}

void generate_sequence(struct generator *g, const struct x86_opcode *const *rows, unsigned nrows,
                       unsigned n, struct generated *out)
{
    struct encoding e;

    random_state(g, out);
    out->k.code_at = (uint16_t)(0x80 + below(g, 0x1d00));
    uint64_t base = g->bits == 16 ? 0 : NATIVE_DATA;
    out->k.in.reg[X86_RSP] = base + 0x1000;
    out->k.in.reg[X86_RSI] = base + 0x300 + below(g, 0x100);
    out->k.in.reg[X86_RDI] = base + 0x300 + below(g, 0x100);
    out->k.in.rflags &= ~(uint64_t)FL_TF;
    for (unsigned attempt = 0; attempt < 20 * n && out->ninsns < n; attempt++) {
        struct generated_insn f = {0};
        if (out->k.code_len > NATIVE_MAX_CODE - 16) {
            break;
        }
        if (!encode(g, rows[below(g, nrows)], ABSOLUTE, &e) || (e.insn.row->attr & AT_JUMP) ||
            e.insn.mnemonic == MN_POPA || /* see suit() */
            e.insn.rep || e.insn.repne || e.insn.seg == SEG_GS ||
            (e.insn.nops && e.insn.op[e.insn.nops - 1].kind == OP_REL)) {
            continue;
        }
        const struct x86_operand *m = memory_operand(&e.insn);
        if (m && e.insn.base == X86_NOREG && e.insn.index == X86_NOREG) {
            aim(g, &out->k, &e, NATIVE_DATA + 0x800 + below(g, 64));
        } else if (m) {
            continue;
        }
        if (!describe(&f, &e, NULL) || (f.reads & out->undefined)) {
            continue;
        }
        append(out, &f, &e);
        add_flags(out, &f);
    }
    mask_registers(g, &out->k);
}

void generate_without(const struct generated *from, unsigned n, struct generated *out)
{
    *out = *from;
    out->k.code_len = 0;
    out->ninsns = 0;
    out->undefined = out->ever = 0;
    for (unsigned m = 0; m < from->ninsns; m++) {
        struct generated_insn f = from->insn[m];
        if (m == n) {
            continue;
        }
        memcpy(out->k.code + out->k.code_len, from->k.code + f.at, f.len);
        f.at = (uint8_t)out->k.code_len;
        out->k.code_len = (uint16_t)(out->k.code_len + f.len);
        out->insn[out->ninsns++] = f;
        if (f.reads & out->undefined) { /* would compare what means nothing */
            out->undefined = FL_STATUS;
            out->ninsns = 0;
            return;
        }
        add_flags(out, &f);
    }
}
