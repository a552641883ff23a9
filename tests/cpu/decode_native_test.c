/* The decoder against the host's processor, which knows best: which bytes are an instruction, and
 * how many of them. An instruction is put at the very end of the executable pages. If the processor
 * wants more bytes than the decoder said, it faults fetching from the page behind; with one byte
 * less it must do so. Bytes that are no instruction must raise #UD.
 *
 * Not told apart: an instruction of a longer encoding that raises #UD by what it does, and one that
 * does not exist. What this processor has and we do not model is listed in `others`; what raises
 * #UD though it exists in `ud_at_run`. In 16-bit mode a fetch beyond the limit is #GP like much
 * else, so only the shorter length is tested there.
 *
 *   decode_native_test [-n cases] [-s seed] [-b bits] [-v] */
#include "tests/cpu/generate.h"
#include "tests/cpu/native.h"
#include "tests/unit/tap.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/cpuid.h"
#include "cpu/decode.h"
#include "cpu/x86.h"

enum { INSN_MAX = 15, FETCH = 16 /* error code of page faults */, MAX_SEEN = 4096 };

static uint64_t state;

static unsigned below(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)((state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % n;
}

/* #UD in user mode, outside SMM or on Intel's processors, though they exist. */
static const uint16_t ud_at_run[] = {
    MN_UD0,      MN_UD1,      MN_UD2,    MN_RSM,    MN_CLAC,    MN_STAC,     MN_MONITOR,
    MN_MWAIT,    MN_SYSCALL,  MN_SYSRET, MN_XSAVES, MN_XRSTORS, MN_RDFSBASE, MN_RDGSBASE,
    MN_WRFSBASE, MN_WRGSBASE, MN_RDPKRU, MN_WRPKRU, MN_SWAPGS,  MN_INVPCID,
};

/* They would take the child's own ground from under it. */
static const uint16_t unwanted[] = {
    MN_WRFSBASE, MN_WRGSBASE, MN_WRPKRU, MN_SYSENTER, MN_SYSCALL, MN_LFS, MN_LGS,
};

static bool one_of(const uint16_t *list, size_t n, unsigned mnemonic)
{
    while (n--) {
        if (list[n] == mnemonic) {
            return true;
        }
    }
    return false;
}
#define ONE_OF(list, mnemonic) one_of(list, sizeof(list) / sizeof(list[0]), mnemonic)

/* Instructions that newer processors have and that are not modelled: map, opcodes, ModRM.reg (-1:
 * any), why. */
static const struct other {
    uint8_t map, first, last;
    int8_t reg;
    const char *what;
} others[] = {
    {0, 0x62, 0x62, -1, "EVEX"},
    {0, 0xc6, 0xc7, 7, "XABORT, XBEGIN"},
    {1, 0x01, 0x01, -1, "SGX, VMX, SERIALIZE, PCONFIG, UINTR, CET and other additions to group 7"},
    {1, 0xae, 0xae, -1, "UMONITOR, UMWAIT, TPAUSE, PTWRITE, CET"},
    {1, 0xc7, 0xc7, -1, "VMX, SENDUIPI"},
    {2, 0xf0, 0xff, -1, "MOVDIRI, MOVDIR64B, ENQCMD, CET"},
    {2, 0xd8, 0xdf, -1, "key locker"},
    {9, 0x41, 0x4b, -1, "AVX512 mask registers"},
    {9, 0x90, 0x99, -1, "the same"},
    {11, 0x30, 0x33, -1, "the same"},
    {10, 0x49, 0x4b, -1, "AMX"},
    {10, 0x5c, 0x5e, -1, "the same"},
    {10, 0x50, 0x53, -1, "AVX-VNNI"},
};

static bool modelled(const struct x86_insn *i)
{
    for (unsigned n = 0; n < sizeof others / sizeof others[0]; n++) {
        const struct other *o = &others[n];
        if (i->map == o->map && i->opcode >= o->first && i->opcode <= o->last &&
            (o->reg < 0 || (i->modrm >> 3 & 7) == o->reg)) {
            return false;
        }
    }
    return true;
}

/* ---- instructions ---- */

/* Random bytes that are often something: prefixes, an opcode of any map, the rest. */
static void make(uint8_t b[INSN_MAX], unsigned bits)
{
    static const uint8_t prefixes[] = {0x66, 0x66, 0xf3, 0xf2, 0xf3, 0xf2, 0x67, 0x2e, 0x3e, 0xf0};
    unsigned n = 0, kind = below(8);

    for (unsigned i = 0; i < INSN_MAX; i++) {
        b[i] = (uint8_t)below(256);
    }
    if (below(10) == 0) {
        return;
    }
    while (below(100) < (kind < 3 ? 10u : 45u)) {
        b[n++ % 8] = prefixes[below(sizeof prefixes)];
    }
    n %= 9;
    if (kind < 3) { /* VEX */
        bool three = below(4) != 0;
        uint8_t vvvv = below(2) ? 0x78 : (uint8_t)(below(16) << 3);
        b[n++] = three ? 0xc4 : 0xc5;
        if (three) {
            b[n++] = (uint8_t)((below(3) ? 0xe0 : below(8) << 5) |
                               (below(20) ? 1 + below(3) : below(32)));
        }
        b[n++] = (uint8_t)((below(2) << 7) | vvvv | below(8));
        return;
    }
    if (bits == 64 && below(2)) {
        b[n++] = (uint8_t)(0x40 | below(16));
    }
    if (kind < 7) {
        b[n++] = 0x0f;
        if (kind > 4) {
            b[n++] = kind == 5 ? 0x38 : 0x3a;
        }
    }
}

static bool is_prefix(uint8_t b, unsigned bits)
{
    return b == 0x66 || b == 0x67 || b == 0xf0 || b == 0xf2 || b == 0xf3 || b == 0x64 ||
           b == 0x65 || (b & 0xe7) == 0x26 || (bits == 64 && (b & 0xf0) == 0x40);
}

/* An instruction that cannot be tested so. */
static bool harmful(const uint8_t *b, const struct x86_insn *i, unsigned bits)
{
    for (unsigned n = 0; n < INSN_MAX && is_prefix(b[n], bits); n++) {
        if (b[n] == 0x64 || b[n] == 0x65) {
            return true; /* thread-local storage */
        }
    }
    if ((i->mnemonic == MN_MOV_SEG || i->mnemonic == MN_POP_SEG) && i->op[0].kind == OP_SEG) {
        return true;
    }
    if (ONE_OF(unwanted, i->mnemonic)) {
        return true;
    }
    /* loops in itself */
    return i->nops && i->op[0].kind == OP_REL && i->imm < 0 && i->imm >= -(int)i->len;
}

/* What processors of Intel's and AMD's decode differently in 64-bit mode; ours are Intel's. */
static bool makers_differ(const struct x86_insn *i, unsigned bits)
{
    bool group6 = i->map == 1 && i->opcode == 0x00,
         mov_cr = i->map == 1 && (i->opcode & 0xfd) == 0x20;

    if (bits < 64) {
        return false;
    }
    if (i->map == 11 && i->opcode <= 0x01) {
        return true; /* VPERMQ, VPERMPD: AMD's ignore VEX.W */
    }
    if (i->mnemonic == MN_SYSEXIT || (i->mnemonic == MN_NOP && i->map == 1 && i->opcode == 0x0d)) {
        return true; /* #UD with AMD: in long mode; PREFETCH of a register (APM volume 3) */
    }
    if (i->row && (i->row->attr & AT_JUMP) && (i->row->attr & AT_F64) && i->opsize_prefix) {
        return true; /* 66 before near branches: AMD's do not ignore it (APM volume 3, 1.2.7) */
    }
    return i->lock && (group6 || mov_cr); /* LOCK MOV CR0 is CR8 with AMD; VERW takes LOCK */
}

/* ---- comparison ---- */

struct candidate {
    uint8_t bytes[INSN_MAX];
    struct x86_insn insn;
    enum x86_decode_result result;
};

struct test {
    struct native *native;
    unsigned bits;
    bool verbose;
    unsigned long differ, valid, undefined;
    unsigned nseen;
    uint32_t seen[MAX_SEEN];
};

/* The last len bytes of the code area, and nothing behind. */
static void at_end(const struct test *t, unsigned n, const uint8_t *bytes, unsigned len)
{
    struct native_group *g = &native_groups(t->native)[n];
    struct native_case *k = &native_cases(t->native)[n];

    *g = (struct native_group){.len = (uint16_t)len,
                               .at = (uint16_t)(NATIVE_CODE_SIZE - len),
                               .bits = (uint8_t)t->bits,
                               .traps = true,
                               .first = n,
                               .count = 1};
    memcpy(g->code, bytes, len);
    *k = (struct native_case){.rflags = 0x202};
    k->reg[X86_RSP] = t->bits == 16 ? 0x1000 : NATIVE_DATA + 0x1000;
}

/* Case n faulted for want of bytes behind the pages. */
static bool wanted_more(const struct test *t, unsigned n, const struct native_result *r)
{
    uint64_t start = native_groups(t->native)[n].at + (t->bits == 16 ? 0u : NATIVE_CODE);

    r += n;
    if (t->bits == 16) {
        return r->vector == EXC_GP && r->rip == start;
    }
    return r->vector == EXC_PF && (r->error & FETCH) && r->rip == start &&
           r->cr2 == NATIVE_CODE + NATIVE_CODE_SIZE;
}

static void report(struct test *t, const struct candidate *c, const char *what, unsigned vector)
{
    uint32_t key = (uint32_t)what[0] << 24 | (uint32_t)c->insn.map << 16 |
                   (uint32_t)c->insn.opcode << 8 | vector;

    t->differ++;
    for (unsigned n = 0; n < t->nseen; n++) {
        if (t->seen[n] == key && !t->verbose) {
            return;
        }
    }
    if (t->nseen < MAX_SEEN) {
        t->seen[t->nseen++] = key;
    }
    printf("#   %s (vector %d): %s, map %u opcode %02x, length %u:", what, (int)vector,
           x86_mnemonic_name((enum x86_mnemonic)c->insn.mnemonic), c->insn.map, c->insn.opcode,
           c->insn.len);
    for (unsigned n = 0; n < INSN_MAX; n++) {
        printf(" %02x", c->bytes[n]);
    }
    putchar('\n');
}

/* n: the case with the whole instruction; the next has a byte less. */
static void judge_valid(struct test *t, const struct candidate *c, unsigned n,
                        const struct native_result *r)
{
    const struct x86_insn *i = &c->insn;

    t->valid++;
    if (r[n].vector == EXC_UD) {
        if (host_has(i->row->feature) && !ONE_OF(ud_at_run, i->mnemonic) && modelled(i)) {
            report(t, c, "undefined", EXC_UD);
        }
        return;
    }
    if (t->bits != 16 && wanted_more(t, n, r)) {
        report(t, c, "longer", (unsigned)r[n].vector);
    } else if (i->len > 1 && !wanted_more(t, n + 1, r)) {
        report(t, c, "shorter", (unsigned)r[n + 1].vector);
    }
}

static void judge_undefined(struct test *t, const struct candidate *c,
                            const struct native_result *r)
{
    enum { REST = 9 }; /* the most that ModRM may bring: SIB, displacement, immediate */
    /* The processor knows the length of what it has not, and refuses more than 15 bytes first. */
    bool too_long = r->vector == EXC_GP && c->insn.len + REST > INSN_MAX;

    t->undefined++;
    if (r->vector != EXC_UD && !too_long && modelled(&c->insn)) {
        report(t, c, "defined", (unsigned)r->vector);
    }
}

/* Half a batch of candidates: two cases for each. */
static void test_batch(struct test *t)
{
    const struct native_result *r;
    static struct candidate c[NATIVE_BATCH / 2];
    enum x86_bits mode = t->bits == 64 ? X86_64 : t->bits == 32 ? X86_32 : X86_16;

    for (unsigned n = 0; n < NATIVE_BATCH / 2;) {
        make(c[n].bytes, t->bits);
        c[n].result = x86_decode(c[n].bytes, INSN_MAX, mode, &c[n].insn);
        if (c[n].result == X86_DECODE_LONG || harmful(c[n].bytes, &c[n].insn, t->bits) ||
            makers_differ(&c[n].insn, t->bits)) {
            continue;
        }
        bool valid = c[n].result == X86_DECODE_OK;
        unsigned len = valid ? c[n].insn.len : INSN_MAX;
        at_end(t, 2 * n, c[n].bytes, len);
        at_end(t, 2 * n + 1, c[n].bytes, valid && len > 1 ? len - 1 : len);
        n++;
    }
    r = native_run(t->native, NATIVE_BATCH);
    for (unsigned n = 0; n < NATIVE_BATCH / 2; n++) {
        if (r[2 * n].vector < 0) {
            continue; /* a system call, a loop */
        }
        if (c[n].result == X86_DECODE_OK) {
            judge_valid(t, &c[n], 2 * n, r);
        } else {
            judge_undefined(t, &c[n], &r[2 * n]);
        }
    }
}

int main(int argc, char **argv)
{
    static struct test t;
    unsigned long cases = 150000;
    unsigned only = 0;
    const char *why;
    int opt;

    state = 1;
    while ((opt = getopt(argc, argv, "n:s:b:v")) != -1) {
        switch (opt) {
        case 'n':
            cases = strtoul(optarg, NULL, 0);
            break;
        case 's':
            state = strtoull(optarg, NULL, 0);
            break;
        case 'b':
            only = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 'v':
            t.verbose = true;
            break;
        default:
            return 2;
        }
    }
    state = state * UINT64_C(0x9e3779b97f4a7c15) | 1;
    t.native = native_start(&why);
    if (!t.native) {
        printf("1..0 # SKIP %s\n", why);
        return 0;
    }
    for (t.bits = 64; t.bits >= 16; t.bits /= 2) {
        if ((only && only != t.bits) || !native_can(t.native, t.bits)) {
            continue;
        }
        t.differ = t.valid = t.undefined = t.nseen = 0;
        for (unsigned long n = 0; n < cases; n += NATIVE_BATCH / 2) {
            test_batch(&t);
        }
        tap_ok(!t.differ,
               "%u bits: %lu instructions, %lu undefined, %lu differ from this processor", t.bits,
               t.valid, t.undefined, t.differ);
    }
    native_stop(t.native);
    return tap_done();
}
