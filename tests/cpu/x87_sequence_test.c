/* Random sequences of x87 instructions in one block: the default executor, which may compute them
 * on the host's unit and keep values there, against the interpreter, whose helpers
 * tests/cpu/x87_test.c holds against the host. Registers, tags, status and control word, memory,
 * integer registers, flags and the exception must agree to the bit; some sequences run in a loop,
 * some fault in the middle.
 *
 *   x87_sequence_test [-n sequences] [-s seed] [-v] */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/x86.h"
#include "tests/cpu/emulated.h"
#include "tests/unit/tap.h"

enum {
    AT_CW = 0x100,
    AT_VALUES = 0x110,
    AT_MEMORY = 0x180,
    FAR = 0x1000,
    BAD = 0x2000,
    REPORTS = 4
};

struct random {
    uint64_t state;
};

static uint64_t next(struct random *r)
{
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return r->state;
}

static void put(struct native_case *k, const void *bytes, unsigned n)
{
    memcpy(k->code + k->code_len, bytes, n);
    k->code_len = (uint16_t)(k->code_len + n);
}

/* OP [rdi + disp32] */
static void put_memory(struct native_case *k, unsigned opcode, unsigned reg, uint32_t disp)
{
    uint8_t b[6] = {(uint8_t)opcode, (uint8_t)(0x87 | reg << 3)};

    memcpy(b + 2, &disp, 4);
    put(k, b, 6);
}

static void number(struct random *r, uint8_t *out)
{
    static const uint16_t exponents[] = {0,      0,      1,      0x3ffe, 0x3fff, 0x4000,
                                         0x4003, 0x403e, 0x7ffe, 0x7fff, 0x3fff, 0x3f81,
                                         0x407e, 0x3c01, 0x43fe, 0x3fff};
    uint64_t x = next(r), m = next(r);
    uint16_t se = (uint16_t)(exponents[x & 15] | (x >> 8 & 1) << 15);

    if (x >> 9 & 1) {
        m &= UINT64_MAX << (x >> 16 & 63);
    }
    m = se & 0x7fff ? m | UINT64_C(1) << 63 : m >> (x >> 22 & 63);
    if ((se & 0x7fff) == 0x7fff && (x >> 30 & 1)) {
        m = UINT64_C(1) << 63;
    }
    memcpy(out, &m, 8);
    memcpy(out + 8, &se, 2);
}

static uint32_t place(struct random *r, bool store)
{
    uint64_t x = next(r);
    uint32_t at = AT_MEMORY + (uint32_t)(x & 7) * 16;

    if (!store && (x >> 8 & 1)) {
        at = AT_VALUES + (uint32_t)(x >> 9 & 3) * 16;
    }
    if ((x >> 16 & 7) == 0) {
        at = FAR - 3 + (uint32_t)(x >> 20 & 3); /* often across pages */
    } else if ((x >> 16 & 7) == 1) {
        at += FAR; /* the first access to this page is slow */
    } else if ((x >> 24 & 127) == 0) {
        at += BAD + (store ? 0 : FAR); /* a fault */
    }
    return at;
}

static void one(struct random *r, struct native_case *k)
{
    static const uint8_t d9[] = {0xd0, 0xe0, 0xe1, 0xe4, 0xe5, 0xe8, 0xe9, 0xea, 0xeb,
                                 0xec, 0xed, 0xee, 0xe8, 0xee, 0xfa, 0xfc, 0xfa, 0xfc,
                                 0xf6, 0xf7, 0xf4, 0xf5, 0xf8, 0xfd, 0xe0, 0xe1};
    static const uint8_t arith[] = {0, 1, 4, 5, 6, 7, 0, 1};
    static const uint8_t loads[][2] = {{0xd9, 0}, {0xdd, 0}, {0xdb, 0}, {0xdf, 0},
                                       {0xdf, 5}, {0xdb, 5}, {0xdd, 0}, {0xd9, 0}};
    static const uint8_t stores[][2] = {
        {0xd9, 2}, {0xd9, 3}, {0xdd, 2}, {0xdd, 3}, {0xdb, 2}, {0xdb, 3}, {0xdb, 1}, {0xdf, 2},
        {0xdf, 3}, {0xdf, 1}, {0xdf, 7}, {0xdd, 1}, {0xdb, 7}, {0xdb, 7}, {0xd9, 3}, {0xdd, 3}};
    uint64_t x = next(r);
    unsigned i = x >> 8 & 7, what = x >> 16 & 31;
    uint8_t b[8] = {0};

    i = x >> 11 & 3 ? i & 3 : i; /* mostly the upper ones */
    switch (what) {
    case 0:
    case 1:
    case 2:
    case 3: { /* arithmetic with a register */
        static const uint8_t groups[] = {0xd8, 0xdc, 0xde, 0xd8};
        b[0] = groups[what];
        b[1] = (uint8_t)(0xc0 + 8 * arith[x >> 24 & 7] + i);
        put(k, b, 2);
        break;
    }
    case 4:
    case 5:
    case 6: { /* with memory */
        static const uint8_t groups[] = {0xd8, 0xdc, 0xda, 0xde};
        put_memory(k, groups[x >> 24 & 3], arith[x >> 28 & 7], place(r, false));
        break;
    }
    case 7:
    case 8:
    case 9:
    case 10:
    case 11:
        put_memory(k, loads[x >> 24 & 7][0], loads[x >> 24 & 7][1], place(r, false));
        break;
    case 12:
    case 13:
    case 14:
    case 15:
        put_memory(k, stores[x >> 24 & 15][0], stores[x >> 24 & 15][1], place(r, true));
        break;
    case 16:
    case 17:
        b[0] = 0xd9;
        b[1] = (uint8_t)(0xc8 + i);
        put(k, b, 2);
        break;
    case 18:
        b[0] = 0xd9;
        b[1] = (uint8_t)(0xc0 + i);
        put(k, b, 2);
        break;
    case 19:
        b[0] = 0xdd;
        b[1] = (uint8_t)((x >> 24 & 1 ? 0xd0 : 0xd8) + i);
        put(k, b, 2);
        break;
    case 20: { /* compares */
        static const uint8_t c[][2] = {{0xd8, 0xd0}, {0xd8, 0xd8}, {0xdd, 0xe0}, {0xdd, 0xe8},
                                       {0xde, 0xd9}, {0xda, 0xe9}, {0xd8, 0xd0}, {0xdd, 0xe0}};
        b[0] = c[x >> 24 & 7][0];
        b[1] = c[x >> 24 & 7][1];
        b[1] = (uint8_t)(b[1] & 1 ? b[1] : b[1] + i);
        put(k, b, 2);
        break;
    }
    case 21: { /* compares to the flags */
        static const uint8_t c[][2] = {{0xdb, 0xf0}, {0xdb, 0xe8}, {0xdf, 0xf0}, {0xdf, 0xe8}};
        b[0] = c[x >> 24 & 3][0];
        b[1] = (uint8_t)(c[x >> 24 & 3][1] + i);
        put(k, b, 2);
        break;
    }
    case 22: {
        static const uint8_t groups[] = {0xd8, 0xdc, 0xda, 0xde};
        put_memory(k, groups[x >> 24 & 3], 2 + (x >> 26 & 1), place(r, false));
        break;
    }
    case 23: /* FCMOVcc */
        b[0] = x >> 24 & 1 ? 0xda : 0xdb;
        b[1] = (uint8_t)(0xc0 + 8 * (x >> 25 & 3) + i);
        put(k, b, 2);
        break;
    case 24:
    case 25:
    case 26:
        b[0] = 0xd9;
        b[1] = d9[(x >> 24 & 0xff) % sizeof d9];
        put(k, b, 2);
        break;
    case 27: /* FNSTSW AX, and into the flags */
        put(k, "\xdf\xe0", 2);
        if (x >> 24 & 1) {
            put(k, "\x9e", 1);
        }
        break;
    case 28: /* an instruction that is no x87 one */
        switch (x >> 24 & 7) {
        case 0:
            put(k, "\x48\x01\xc3", 3); /* add rbx, rax */
            break;
        case 1:
            put_memory(k, 0x8b, 6, place(r, false)); /* mov esi, m */
            break;
        case 2:
            put_memory(k, 0x89, 3, place(r, true)); /* mov m, ebx */
            break;
        case 3:
            put(k, "\x0f\x94\xc2", 3); /* sete dl */
            break;
        case 4: /* movq rbx, mm0: the stack becomes full */
            put(k, "\x48\x0f\x7e\xc3", 4);
            break;
        case 5:
            put(k, "\x66\x0f\x6f\xca", 4); /* movdqa xmm1, xmm2 */
            break;
        case 6:
            put(k, "\x48\xf7\xf6", 3); /* div rsi */
            break;
        default:
            put(k, "\x9b", 1);
            break;
        }
        break;
    case 29:
        if ((x >> 24 & 3) == 0) {
            b[0] = x >> 26 & 1 ? 0xdf : 0xdd;
            b[1] = (uint8_t)(0xc0 + i);
            put(k, b, 2); /* FFREE, FFREEP */
        } else {
            put(k, "\xdd\xd8", 2); /* FSTP ST */
        }
        break;
    case 30:
        if (x >> 24 & 1) {
            put_memory(k, 0xd9, 7, AT_MEMORY + 8); /* FNSTCW */
        } else {
            put_memory(k, 0xdd, 7, AT_MEMORY + 12); /* FNSTSW */
        }
        break;
    default:
        switch (x >> 24 & 7) {
        case 0:
            put(k, "\xdb\xe2", 2); /* FNCLEX */
            break;
        case 1:
            put_memory(k, 0xd9, 5, AT_CW); /* FLDCW */
            break;
        case 2:
            put_memory(k, 0xdf, 6, AT_MEMORY); /* FBSTP */
            break;
        case 3:
            put_memory(k, 0xd9, 6, AT_MEMORY); /* FNSTENV: masks all */
            break;
        default:
            put(k, "\xde\xc9", 2); /* FMULP */
            break;
        }
        break;
    }
}

static void make(struct random *r, struct native_case *k)
{
    uint64_t x = next(r);
    unsigned depth = x & 7 ? 2 + (x >> 3 & 3) : x >> 3 & 7,
             count = 2 + (unsigned)(x >> 6 & 0xff) % 19;
    uint16_t cw = (uint16_t)(0x3f | (x >> 20 & 3) << 10 | ((x >> 22 & 3) ? 3 : x >> 24 & 2) << 8),
             body;

    memset(k, 0, sizeof *k);
    k->bits = 64;
    k->in.rflags = 0x202 | (x >> 40 & 0x8d5);
    for (unsigned n = 0; n < 16; n++) {
        k->in.reg[n] = next(r);
    }
    k->in.reg[X86_RDI] = NATIVE_DATA;
    k->in.reg[X86_RSP] = NATIVE_DATA + 0x1800;
    k->in.reg[X86_RCX] = 1 + (x >> 50 & 3);
    k->in.reg[X86_RDX] = 0;
    if (x >> 26 & 3) {
        cw = 0x37f;
    } else if (!(x >> 28 & 3)) {
        cw &= (uint16_t) ~(x >> 30 & 63); /* unmask some */
    }
    k->npatches = 4;
    k->patch[0] = (struct native_patch){AT_CW, 2, {(uint8_t)cw, (uint8_t)(cw >> 8)}};
    for (unsigned n = 0; n < 2; n++) {
        k->patch[1 + n].at = (uint16_t)(AT_VALUES + 32 * n);
        k->patch[1 + n].len = 32;
        number(r, k->patch[1 + n].bytes);
        number(r, k->patch[1 + n].bytes + 16);
    }
    k->patch[3].at = AT_MEMORY;
    k->patch[3].len = 32;
    for (unsigned n = 0; n < 4; n++) {
        static const uint64_t doubles[] = {0,
                                           1,
                                           UINT64_C(0x3ff0000000000000),
                                           UINT64_C(0x7ff8000000000000),
                                           UINT64_C(0x7ff0000000000001),
                                           UINT64_C(0x40091eb851eb851f),
                                           77,
                                           UINT64_C(0xbff8000000000000)};
        uint64_t v = x >> (32 + n) & 1 ? next(r) : doubles[next(r) & 7];
        memcpy(k->patch[3].bytes + 8 * n, &v, 8);
    }

    put(k, "\xdb\xe3", 2); /* FNINIT */
    put_memory(k, 0xd9, 5, AT_CW);
    for (unsigned n = 0; n < depth; n++) {
        put_memory(k, 0xdb, 5, AT_VALUES + 16 * (n & 3));
    }
    if (x >> 12 & 1) { /* the rest is another block */
        put(k, "\xeb\x00", 2);
    }
    body = k->code_len;
    for (unsigned n = 0; n < count && k->code_len < 200; n++) {
        one(r, k);
    }
    if ((x >> 13 & 1) && k->code_len - body < 120) {
        uint8_t loop[] = {0xff, 0xc9, 0x75, (uint8_t)(body - (k->code_len + 4))}; /* dec ecx; jnz */
        put(k, loop, 4);
    }
}

/* ---- comparison ---- */

struct outcome {
    struct native_result r;
    struct x86_fpreg fpr[8];
    uint8_t top, empty;
    uint16_t cw, sw;
    uint8_t data[NATIVE_DATA_SIZE];
};

static void run(struct emulated *e, const struct native_case *k, struct outcome *o)
{
    struct x86_cpu *c = emulated_cpu(e);

    memset(o, 0, sizeof *o);
    emulated_run(e, k, &o->r);
    memcpy(o->data, emulated_data(e), sizeof o->data);
    for (unsigned n = 0; n < 8; n++) {
        o->fpr[n].mant = c->fpr[n].mant;
        o->fpr[n].se = c->fpr[n].se;
    }
    o->top = c->fp_top;
    o->empty = c->fp_tag_empty;
    o->cw = c->fp_cw;
    o->sw = c->fp_sw;
}

static bool same(const struct outcome *a, const struct outcome *b)
{
    return !memcmp(a, b, sizeof *a);
}

static void print(const char *who, const struct outcome *o, const struct outcome *other)
{
    printf("#   %s: vector %d rip %" PRIx64 " flags %" PRIx64
           " cw %04x sw %04x top %u empty %02x data %" PRIx64 "\n#    ",
           who, o->r.vector, o->r.out.rip, o->r.out.rflags & 0x8d5, o->cw, o->sw, o->top, o->empty,
           o->r.data_hash);
    for (unsigned i = 0; i < 8; i++) {
        const struct x86_fpreg *x = &o->fpr[(o->top + i) & 7];
        printf(" st%u %04x:%016" PRIx64, i, x->se, x->mant);
    }
    for (unsigned i = 0; i < 16; i++) {
        if (o->r.out.reg[i] != other->r.out.reg[i]) {
            printf(" r%u %" PRIx64, i, o->r.out.reg[i]);
        }
    }
    putchar('\n');
}

/* A group's access that is not aligned leaves the block in the middle of a run, with flags that are made of
 * what registers hold. */
static bool unaligned_in_run(struct emulated *interp, struct emulated *fast)
{
    static const char *const middle[] = {
        "\x03\x8f\x18\x01\0\0",                   /* add ecx, [rdi + 0x118] */
        "\x3b\x8f\x18\x01\0\0",                   /* cmp ecx, [rdi + 0x118] */
        "\x39\x8f\x18\x01\0\0",                   /* cmp [rdi + 0x118], ecx */
        "\xd8\xc0\x38\x8f\x18\x01\0\0",           /* fadd st0, st0; cmp [rdi + 0x118], cl */
        "\x3a\x8f\x18\x01\0\0\xd9\xe0",           /* cmp cl, [rdi + 0x118]; fchs */
        "\x03\x9f\x1c\x01\0\0\x01\x8f\x18\x01\0\0", /* add ebx, [rdi + 0x11c]; add [rdi + 0x118], ecx */
    };
    static const uint8_t lens[] = {6, 6, 6, 8, 8, 12};
    bool good = true;
    static struct outcome want, got;
    struct native_case k;
    struct random r = {UINT64_C(88172645463325252)};

    make(&r, &k);
    for (unsigned n = 0; n < sizeof(lens); n++) {
        k.code_len = 0;
        put(&k, "\xdb\xe3\xdd\x87\x10\x01\0\0", 8); /* fninit; fld qword [rdi + 0x110] */
        put(&k, middle[n], lens[n]);
        put(&k, "\x0f\x28\x87\x14\x01\0\0", 7); /* movaps xmm0, [rdi + 0x114] */
        run(interp, &k, &want);
        run(fast, &k, &got);
        if (want.r.vector != 13 || !same(&want, &got)) {
            print("interpreter", &want, &got);
            print("here", &got, &want);
            good = false;
        }
    }
    return good;
}

int main(int argc, char **argv)
{
    static struct outcome want, got;
    struct random random = {UINT64_C(88172645463325252)};
    unsigned long count = 20000, bad = 0;
    bool verbose = false;
    int o;

    while ((o = getopt(argc, argv, "n:s:v")) != -1) {
        switch (o) {
        case 'n':
            count = strtoul(optarg, NULL, 0);
            break;
        case 's':
            random.state = strtoull(optarg, NULL, 0) * UINT64_C(0x9e3779b97f4a7c15) | 1;
            break;
        case 'v':
            verbose = true;
            break;
        default:
            return 2;
        }
    }
    struct emulated *interp = emulated_start("interp", "max"), *fast = emulated_start(NULL, "max");
    for (unsigned long n = 0; n < count; n++) {
        struct native_case k;

        make(&random, &k);
        if (verbose) {
            printf("# %lu\n", n);
            fflush(stdout);
        }
        run(interp, &k, &want);
        run(fast, &k, &got);
        if (want.r.vector != NATIVE_TIMEOUT && !same(&want, &got) && bad++ < REPORTS) {
            printf("#  sequence %lu cw %04x:", n, k.patch[0].bytes[0] | k.patch[0].bytes[1] << 8);
            for (unsigned i = 0; i < k.code_len; i++) {
                printf(" %02x", k.code[i]);
            }
            putchar('\n');
            print("interpreter", &want, &got);
            print("here", &got, &want);
        }
    }
    tap_ok(!bad, "%lu of %lu sequences differ", bad, count);
    tap_ok(unaligned_in_run(interp, fast), "an access that is not aligned, in the middle of a run");
    emulated_stop(fast);
    emulated_stop(interp);
    return tap_done();
}
