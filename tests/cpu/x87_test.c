/* x87 instructions against the host's own unit: every encoding of D8..DF with random and special operands,
 * all rounding directions and precisions, masked and unmasked exceptions, a full, empty or half-filled
 * stack. Registers, tags, status, control word, memory, EFLAGS and the exception must agree. Transcendental
 * functions whose overflow or underflow is unmasked may differ in the last bit, and in what their rounding tells
 * (C1, PE): those are not asked of the host.
 *
 *   x87_test [-n cases per encoding] [-s seed] [-o opcode byte, hex] [-m modrm byte, hex] */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/x86.h"
#include "tests/cpu/emulated.h"
#include "tests/unit/tap.h"

enum {
    AT_CW = 0x100, AT_VALUES = 0x110, AT_MEMORY = 0x180, AT_IMAGE = 0x400,
    IMAGE_SIZE = 108, MEMORY_SIZE = 128, REPORTS = 3,
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

/* ---- operands ---- */

static const uint64_t mantissas[] = {
    UINT64_C(0x8000000000000000), UINT64_C(0xffffffffffffffff), UINT64_C(0xc000000000000000),
    UINT64_C(0x8000000000000001), UINT64_C(0xffffffffffffff00), UINT64_C(0xffffff0000000000),
    UINT64_C(0x8000008000000000), UINT64_C(0x8000000000000400), UINT64_C(0xa000000000000000),
    UINT64_C(0xfffffffffffffbff),
};

static void extended(struct random *r, uint8_t *out)
{
    uint64_t m = next(r) | UINT64_C(1) << 63, k = next(r);
    unsigned e;

    if (k & 1) {
        m = mantissas[k >> 8 & 15 ? (k >> 12) % 10 : 0];
    } else if (k & 2) {
        m &= UINT64_MAX << (k >> 8 & 63);
        m |= UINT64_C(1) << 63;
    }
    switch (k >> 16 & 15) {
    case 0:
        m = e = 0;
        break;
    case 1: /* denormal, pseudo-denormal */
        e = 0;
        m = k & 4 ? m : m >> 1 >> (k >> 20 & 62);
        break;
    case 2:
        e = 0x7fff;
        m = k & 4 ? UINT64_C(1) << 63 : m;
        break;
    case 3: /* unsupported formats */
        e = (k >> 24 & 3) ? 0x7fff : 0x3fff;
        m = k >> 26 & 7 ? m : m << 1 >> 1;
        break;
    case 4: case 5:
        e = 1 + (k >> 24 & 0x7f);
        break;
    case 6: case 7:
        e = 0x7ffe - (k >> 24 & 0x7f);
        break;
    case 8: /* around the range of single and double */
        e = 0x3fff + (k & 32 ? 1024 : 128) * (k & 64 ? 1 : -1) + (int)(k >> 24 & 63) - 60;
        break;
    case 9:
        e = (unsigned)(k >> 24) & 0x7fff;
        break;
    case 10: case 11: /* integers */
        e = 0x3fff + (k >> 24 & 63) + (k >> 30 & 7);
        break;
    default:
        e = 0x3fff + (int)(k >> 24 & 7) - 4;
        break;
    }
    memcpy(out, &m, 8);
    uint16_t se = (uint16_t)(e | (k >> 60 & 1) << 15);
    memcpy(out + 8, &se, 2);
}

/* Memory operand: any size from the same bytes. */
static void memory_operand(struct random *r, unsigned opcode, uint8_t *out)
{
    static const uint32_t singles[] = {0, 1, 0x007fffff, 0x00800000, 0x7f7fffff, 0x7f800000, 0x7fc00000,
                                       0x7f800001, 0x3f800000, 0x4f000000, 0x3f000000, 0x40490fdb};
    static const uint64_t doubles[] = {0, 1, UINT64_C(0x000fffffffffffff), UINT64_C(0x0010000000000000),
                                       UINT64_C(0x7fefffffffffffff), UINT64_C(0x7ff0000000000000),
                                       UINT64_C(0x7ff8000000000000), UINT64_C(0x7ff0000000000001),
                                       UINT64_C(0x3ff0000000000000), UINT64_C(0x43e0000000000000)};
    uint64_t k = next(r), a = next(r), b = next(r);

    if (opcode == 0xdb && (k & 1)) {
        extended(r, out);
        return;
    }
    if (opcode == 0xdf && (k & 1)) { /* decimal digits */
        for (unsigned i = 0; i < 9; i++) {
            out[i] = (uint8_t)(a % 10 << 4 | a / 10 % 10);
            a /= 100;
        }
        out[9] = (uint8_t)(k >> 8 & 0x80);
        return;
    }
    if (k & 6) {
        a = opcode & 4 ? (k & 8 ? doubles[(k >> 8) % 10] : (a & ~(UINT64_C(0x7f) << 56)) | UINT64_C(0x3f) << 56)
                       : (k & 8 ? singles[(k >> 8) % 12] : (a & 0x80ffffff) | 0x3f000000);
        a ^= (k >> 50 & 1) << (opcode & 4 ? 63 : 31);
    }
    memcpy(out, &a, 8);
    memcpy(out + 8, &b, 8);
}

/* ---- cases ---- */

static void put(struct native_case *k, const void *bytes, unsigned n)
{
    memcpy(k->code + k->code_len, bytes, n);
    k->code_len = (uint16_t)(k->code_len + n);
}

/* OP [rdi + disp32] */
static void put_memory(struct native_case *k, unsigned opcode, unsigned reg, uint32_t disp)
{
    uint8_t b[6] = {(uint8_t)opcode, (uint8_t)(0x87 | reg << 3)};

    for (unsigned i = 0; i < 4; i++) {
        b[2 + i] = (uint8_t)(disp >> 8 * i);
    }
    put(k, b, 6);
}

static bool transcendental(unsigned opcode, unsigned modrm)
{
    return opcode == 0xd9 && (modrm == 0xf0 || modrm == 0xf1 || modrm == 0xf2 || modrm == 0xf3 ||
                              modrm == 0xf9 || modrm == 0xfb || modrm == 0xfe || modrm == 0xff);
}

static void make(struct random *r, unsigned opcode, unsigned modrm, struct native_case *k)
{
    static const uint8_t fninit[] = {0xdb, 0xe3}, fldz[] = {0xd9, 0xee}, fwait = 0x9b;
    uint64_t x = next(r);
    unsigned depth = x & 7 ? 2 + (x >> 3 & 3) : x >> 3 & 15;
    uint16_t cw = (uint16_t)(0x3f | (x >> 20 & 3) << 10 | ((x >> 22 & 3) ? 3 : x >> 24 & 3) << 8);

    memset(k, 0, sizeof *k);
    k->bits = 64;
    k->in.rflags = 0x202 | (x >> 40 & 0x8d5);
    for (unsigned n = 0; n < 16; n++) {
        k->in.reg[n] = NATIVE_DATA + 0x1000;
    }
    k->in.reg[X86_RDI] = NATIVE_DATA;
    if (!(x >> 26 & 3)) {
        cw &= (uint16_t)~(x >> 28 & 63); /* unmask some */
        if (transcendental(opcode, modrm)) { /* whose scaled results are left out */
            cw |= FP_OVERFLOW | FP_UNDERFLOW;
        }
    }
    k->npatches = 4;
    k->patch[0] = (struct native_patch){AT_CW, 2, {(uint8_t)cw, (uint8_t)(cw >> 8)}};
    for (unsigned n = 0; n < 2; n++) {
        k->patch[1 + n].at = (uint16_t)(AT_VALUES + 32 * n);
        k->patch[1 + n].len = 32;
        extended(r, k->patch[1 + n].bytes);
        extended(r, k->patch[1 + n].bytes + 16);
        if (transcendental(opcode, modrm)) { /* where the host's functions are good, and F2XM1 is defined */
            for (unsigned m = 0; m < 2; m++) {
                uint8_t *se = k->patch[1 + n].bytes + 16 * m + 8; /* little endian, at any address */
                unsigned e = (se[0] | (unsigned)se[1] << 8) & 0x7fff;
                if (e > 0x3ffe && e < 0x7fff) {
                    e = 0x3ffe - (e & 7);
                    se[0] = (uint8_t)e;
                    se[1] = (uint8_t)((se[1] & 0x80) | e >> 8);
                }
            }
        }
    }
    k->patch[3].at = AT_MEMORY;
    k->patch[3].len = 16;
    memory_operand(r, opcode, k->patch[3].bytes);

    put(k, fninit, 2);
    for (unsigned n = 0; n < 8; n++) {
        put(k, fldz, 2);
    }
    put(k, fninit, 2);
    put_memory(k, 0xd9, 5, AT_CW);
    for (unsigned n = 0; n < depth && n < 8; n++) {
        put_memory(k, 0xdb, 5, AT_VALUES + 16 * (n & 3));
    }
    if (modrm >= 0xc0) {
        uint8_t b[2] = {(uint8_t)opcode, (uint8_t)modrm};
        put(k, b, 2);
    } else {
        put_memory(k, opcode, modrm >> 3 & 7, AT_MEMORY);
    }
    if (x >> 34 & 1) {
        put(k, &fwait, 1);
    }
    put_memory(k, 0xdd, 6, AT_IMAGE); /* FNSAVE */
}

/* ---- comparison ---- */

struct outcome {
    struct native_result r;
    uint8_t data[NATIVE_DATA_SIZE];
};

static uint16_t u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint64_t u64(const uint8_t *p)
{
    uint64_t x;

    memcpy(&x, p, 8);
    return x;
}

/* Instruction and operand pointers in an environment image are not compared: hosts differ. */
static void forget_pointers(uint8_t *image)
{
    memset(image + 12, 0, 16);
}

static bool close_enough(const uint8_t *a, const uint8_t *b)
{
    uint64_t x = u64(a), y = u64(b);

    return !memcmp(a, b, 10) || (u16(a + 8) == u16(b + 8) && (x - y + 1) <= 2) ||
           (u16(a + 8) + 1 == u16(b + 8) && x == UINT64_MAX) ||
           (u16(b + 8) + 1 == u16(a + 8) && y == UINT64_MAX);
}

static bool same(struct outcome *want, struct outcome *got, unsigned opcode, unsigned modrm)
{
    uint8_t *a = want->data + AT_IMAGE, *b = got->data + AT_IMAGE;

    forget_pointers(a);
    forget_pointers(b);
    if (modrm < 0xc0 && ((opcode == 0xd9 || opcode == 0xdd) && (modrm >> 3 & 7) == 6)) {
        forget_pointers(want->data + AT_MEMORY);
        forget_pointers(got->data + AT_MEMORY);
    }
    if (transcendental(opcode, modrm) && (~u16(a) & 0x18)) {
        for (unsigned i = 0; i < 8; i++) {
            if (!close_enough(a + 28 + 10 * i, b + 28 + 10 * i)) {
                return false;
            }
            if (memcmp(b + 28 + 10 * i, a + 28 + 10 * i, 10)) {
                memcpy(b + 28 + 10 * i, a + 28 + 10 * i, 10);
                memcpy(b + 8, a + 8, 2); /* the tags can tell zero from the smallest number */
            }
        }
        uint8_t sw[2] = {(uint8_t)~0x20, (uint8_t)~2};
        a[4] &= sw[0];
        b[4] &= sw[0];
        a[5] &= sw[1];
        b[5] &= sw[1];
    }
    return want->r.vector == got->r.vector && want->r.out.rip == got->r.out.rip &&
           !((want->r.out.rflags ^ got->r.out.rflags) & 0x8d5) &&
           want->r.out.reg[X86_RAX] == got->r.out.reg[X86_RAX] &&
           !memcmp(want->data + AT_MEMORY, got->data + AT_MEMORY, MEMORY_SIZE) && !memcmp(a, b, IMAGE_SIZE);
}

static void print(const char *who, const struct outcome *o)
{
    const uint8_t *a = o->data + AT_IMAGE;

    printf("#   %s: vector %d rip %" PRIx64 " flags %" PRIx64 " ax %04x cw %04x sw %04x tw %04x m %04x:%016" PRIx64 "\n#    ",
           who, o->r.vector, o->r.out.rip, o->r.out.rflags & 0x8d5, (unsigned)o->r.out.reg[X86_RAX] & 0xffff,
           u16(a), u16(a + 4), u16(a + 8), u16(o->data + AT_MEMORY + 8), u64(o->data + AT_MEMORY));
    for (unsigned i = 0; i < 3; i++) {
        printf(" st%u %04x:%016" PRIx64, i, u16(a + 28 + 10 * i + 8), u64(a + 28 + 10 * i));
    }
    putchar('\n');
}

static void report(const struct native_case *k, const struct outcome *want, const struct outcome *got)
{
    printf("#  cw %04x depth %u memory %04x:%016" PRIx64 " values", u16(k->patch[0].bytes),
           (unsigned)(k->code_len - 32) / 6, u16(k->patch[3].bytes + 8), u64(k->patch[3].bytes));
    for (unsigned n = 0; n < 4; n++) {
        const uint8_t *v = k->patch[1 + n / 2].bytes + 16 * (n & 1);
        printf(" %04x:%016" PRIx64, u16(v + 8), u64(v));
    }
    putchar('\n');
    print("host", want);
    print("here", got);
}

struct test {
    struct native *native;
    struct emulated *emulated;
    struct random random;
    unsigned cases;
};

static unsigned one_encoding(struct test *t, unsigned opcode, unsigned modrm)
{
    static struct outcome want, got;
    struct native_case k;
    unsigned bad = 0;

    for (unsigned n = 0; n < t->cases; n++) {
        make(&t->random, opcode, modrm, &k);
        native_run(t->native, &k, &want.r, 1);
        memcpy(want.data, native_data(t->native), sizeof want.data);
        emulated_run(t->emulated, &k, &got.r);
        memcpy(got.data, emulated_data(t->emulated), sizeof got.data);
        if (want.r.vector >= 0 && !same(&want, &got, opcode, modrm)) {
            if (bad++ < REPORTS) {
                report(&k, &want, &got);
            }
        }
    }
    return bad;
}

int main(int argc, char **argv)
{
    struct test t = {.random = {UINT64_C(88172645463325252)}, .cases = 20};
    long only_opcode = -1, only_modrm = -1;
    const char *why;
    int o;

    while ((o = getopt(argc, argv, "n:s:o:m:")) != -1) {
        switch (o) {
        case 'n':
            t.cases = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 's':
            t.random.state = strtoull(optarg, NULL, 0) | 1;
            break;
        case 'o':
            only_opcode = strtol(optarg, NULL, 16);
            break;
        case 'm':
            only_modrm = strtol(optarg, NULL, 16);
            break;
        default:
            return 2;
        }
    }
    t.native = native_start(&why);
    if (!t.native) {
        printf("1..0 # SKIP %s\n", why);
        return 0;
    }
    t.emulated = emulated_start(NULL, "max");
    for (unsigned opcode = 0xd8; opcode <= 0xdf; opcode++) {
        for (unsigned modrm = 0; modrm < 0x100; modrm += modrm < 0xc0 ? 8 : 1) {
            if (modrm == 0x40) {
                modrm = 0xc0;
            }
            if ((only_opcode >= 0 && opcode != only_opcode) || (only_modrm >= 0 && modrm != only_modrm)) {
                continue;
            }
            unsigned bad = one_encoding(&t, opcode, modrm);
            tap_ok(!bad, "%02x %02x: %u of %u differ", opcode, modrm, bad, t.cases);
        }
    }
    emulated_stop(t.emulated);
    native_stop(t.native);
    return tap_done();
}
