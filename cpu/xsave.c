/* Saving and restoring of x87, MMX, SSE, AVX and PKRU state: FXSAVE, FXRSTOR and the XSAVE family,
 * with XCR0, and MXCSR as a register.
 *
 * From the SDM, Vol. 1 chapters 10.5 (FXSAVE image) and 13 "Managing State Using the XSAVE Feature
 * Set", and Vol. 2 for the instructions. What is loaded is read completely, then checked, then
 * committed, so that a fault leaves the state as it was. Components: 0 x87, 1 SSE, 2 AVX, 9 PKRU.
 * The "modified" optimization of XSAVEOPT and XSAVES is not made (the manual allows that), the
 * "init" one is. */
#include "cpu/cpuid.h"
#include "cpu/system.h"
#include "tcg/tb.h"

enum {
    X87 = 1 << 0,
    SSE = 1 << 1,
    AVX = 1 << 2,
    PKRU = 1 << 9,
    LEGACY_SIZE = 512,
    HEADER_SIZE = 64,
    EXTENDED = LEGACY_SIZE + HEADER_SIZE,
    MXCSR_INIT = 0x1f80,
    FSW_ES = 0x80,
    FSW_B = 0x8000,
};
#define COMPACTED (UINT64_C(1) << 63)

/* Components beyond the legacy area. */
static const struct component {
    uint8_t number, feature;
    uint16_t size, offset; /* offset: in the standard format */
} components[] = {
    {2, X86F_AVX, 256, 576},
    {9, X86F_PKU, 8, 2688},
};
enum { NCOMPONENTS = sizeof components / sizeof components[0] };

/* ---- MXCSR ---- */

enum { MXCSR_MM = 1 << 17 }; /* AMD: unaligned operands do not fault */

uint32_t x86_mxcsr_mask(const struct x86_cpu *c)
{
    return 0xffff | (x86_model_has(c->model, X86F_MISALIGN) ? MXCSR_MM : 0);
}

uint32_t x86_get_mxcsr(struct x86_cpu *c)
{
    const struct fpenv *f = &c->v.fp;

    return f->flags | (uint32_t)f->daz << 6 | (uint32_t)f->masks << 7 | (uint32_t)f->round << 13 |
           (uint32_t)f->ftz << 15 | (c->mxcsr_mm ? MXCSR_MM : 0);
}

void x86_set_mxcsr(struct x86_cpu *c, uint32_t val)
{
    struct fpenv *f = &c->v.fp;

    f->flags = val & FP_ALL;
    f->daz = val >> 6 & 1;
    f->masks = val >> 7 & FP_ALL;
    f->round = val >> 13 & 3;
    f->ftz = val >> 15 & 1;
    c->mxcsr_mm = val & MXCSR_MM;
    x86_update_key(c);
}

/* ---- what there is, and its sizes ---- */

uint64_t x86_xcr0_supported(const struct x86_model *m)
{
    uint64_t mask = X87 | SSE;

    for (unsigned n = 0; n < NCOMPONENTS; n++) {
        if (x86_model_has(m, components[n].feature)) {
            mask |= UINT64_C(1) << components[n].number;
        }
    }
    return mask;
}

bool x86_xsave_component(const struct x86_model *m, unsigned n, uint32_t *size, uint32_t *offset)
{
    for (unsigned k = 0; k < NCOMPONENTS; k++) {
        if (components[k].number == n && x86_model_has(m, components[k].feature)) {
            *size = components[k].size;
            *offset = components[k].offset;
            return true;
        }
    }
    return false;
}

uint32_t x86_xsave_size(uint64_t mask, bool compact)
{
    uint32_t end = EXTENDED;

    for (unsigned k = 0; k < NCOMPONENTS; k++) {
        if (mask >> components[k].number & 1) {
            end = (compact ? end : components[k].offset) + components[k].size;
        }
    }
    return end;
}

/* Where component `bit` is in the area; compact: format mask, 0 for the standard one. */
static uint32_t place(uint64_t bit, uint64_t compact)
{
    uint32_t at = EXTENDED;

    for (unsigned k = 0; k < NCOMPONENTS; k++) {
        if (UINT64_C(1) << components[k].number == bit) {
            return compact ? at : components[k].offset;
        }
        if (compact >> components[k].number & 1) {
            at += components[k].size;
        }
    }
    return at;
}

static bool x87_in_use(const struct x86_cpu *c)
{
    if (c->fp_cw != 0x37f || c->fp_sw || c->fp_top || c->fp_tag_empty != 0xff || c->fp_op ||
        c->fp_ip || c->fp_dp || c->fp_cs || c->fp_ds) {
        return true;
    }
    for (unsigned n = 0; n < 8; n++) {
        if (c->fpr[n].mant || c->fpr[n].se) {
            return true;
        }
    }
    return false;
}

uint64_t x86_xinuse(const struct x86_cpu *c)
{
    uint64_t low = 0, high = 0;

    for (unsigned n = 0; n < 16; n++) {
        low |= c->v.vec[n].q[0] | c->v.vec[n].q[1];
        high |= c->v.vec[n].q[2] | c->v.vec[n].q[3];
    }
    return (x87_in_use(c) ? X87 : 0) | (low ? SSE : 0) | (high ? AVX : 0) | (c->pkru ? PKRU : 0);
}

void x86_set_xcr0(struct x86_cpu *c, uint32_t index, uint64_t val)
{
    if (index != 0 || !(val & X87) || (val & ~x86_xcr0_supported(c->model)) ||
        ((val & AVX) && !(val & SSE))) {
        x86_raise_error(c, EXC_GP, 0);
    }
    c->xcr0 = val;
    x86_update_key(c);
}

/* ---- the area in memory ---- */

struct area {
    struct x86_cpu *c;
    uint64_t base, mask;
    unsigned ctx;
    unsigned nxmm; /* 8 outside of 64-bit mode */
};

static struct area open_area(struct x86_cpu *c, uint64_t linear, unsigned align)
{
    bool code64 = x86_code64(c);

    if (linear & (align - 1)) {
        x86_raise_error(c, EXC_GP, 0);
    }
    return (struct area){c, linear, code64 ? UINT64_MAX : UINT32_MAX, x86_ctx_now(c),
                         code64 ? 16 : 8};
}

static uint64_t load(const struct area *a, uint32_t at, unsigned memop)
{
    return x86_load(a->c, (a->base + at) & a->mask, memop, a->ctx);
}

static void store(const struct area *a, uint32_t at, uint64_t value, unsigned memop)
{
    x86_store(a->c, (a->base + at) & a->mask, value, memop, a->ctx);
}

/* -- x87: bytes 0..23 and 32..159 -- */

/* AMD's processors save and load the last instruction's place with a pending exception only (APM
 * volume 5, FXSAVE, "XSaveErPtr" absent). */
static bool has_pointers(const struct x86_cpu *c, uint16_t sw)
{
    return (sw & FSW_ES) || !x86_model_is_amd(c->model);
}

static void save_x87(const struct area *a, bool rex_w)
{
    struct x86_cpu *c = a->c;

    store(a, 0, c->fp_cw | (uint32_t)x86_get_fpsw(c) << 16, MO_32);
    store(a, 4, (uint8_t)~c->fp_tag_empty, MO_16);
    if (!has_pointers(c, c->fp_sw)) {
        /* nothing */
    } else if (rex_w) {
        store(a, 8, c->fp_ip, MO_64);
        store(a, 16, c->fp_dp, MO_64);
    } else {
        store(a, 8, (uint32_t)c->fp_ip | (uint64_t)c->fp_cs << 32, MO_64);
        store(a, 16, (uint32_t)c->fp_dp | (uint64_t)c->fp_ds << 32, MO_64);
    }
    if (has_pointers(c, c->fp_sw)) {
        store(a, 6, c->fp_op, MO_16);
    }
    for (unsigned n = 0; n < 8; n++) {
        const struct x86_fpreg *r = &c->fpr[(c->fp_top + n) & 7];
        store(a, 32 + 16 * n, r->mant, MO_64);
        store(a, 40 + 16 * n, r->se, MO_64);
    }
}

struct x87_image {
    uint64_t head, ip, dp, mant[8];
    uint16_t se[8];
};

static void load_x87(const struct area *a, struct x87_image *x)
{
    x->head = load(a, 0, MO_64);
    x->ip = load(a, 8, MO_64);
    x->dp = load(a, 16, MO_64);
    for (unsigned n = 0; n < 8; n++) {
        x->mant[n] = load(a, 32 + 16 * n, MO_64);
        x->se[n] = (uint16_t)load(a, 40 + 16 * n, MO_16);
    }
}

/* As many bits as linear addresses have are kept of FIP and FDP. */
static uint64_t address_of(const struct x86_cpu *c, uint64_t x)
{
    unsigned unused = 64u - c->model->lin_bits;

    return (uint64_t)((int64_t)(x << unused) >> unused);
}

static void commit_x87(struct x86_cpu *c, const struct x87_image *x, bool rex_w)
{
    uint16_t sw = (uint16_t)(x->head >> 16);

    c->fp_cw = (x->head & 0x1f7f) | 0x40;
    c->fp_sw = sw & ~(0x3800 | FSW_ES | FSW_B);
    if (sw & ~c->fp_cw & FP_ALL) { /* the summary follows from the rest, whatever is in the image */
        c->fp_sw |= FSW_ES | FSW_B;
    }
    c->fp_top = sw >> 11 & 7;
    c->fp_tag_empty = (uint8_t) ~(x->head >> 32);
    if (has_pointers(c, c->fp_sw)) {
        c->fp_op = x->head >> 48 & 0x7ff;
        c->fp_ip = rex_w ? address_of(c, x->ip) : (uint32_t)x->ip;
        c->fp_dp = rex_w ? address_of(c, x->dp) : (uint32_t)x->dp;
        c->fp_cs = rex_w ? 0 : (uint16_t)(x->ip >> 32);
        c->fp_ds = rex_w ? 0 : (uint16_t)(x->dp >> 32);
    }
    for (unsigned n = 0; n < 8; n++) {
        c->fpr[(c->fp_top + n) & 7] = (struct x86_fpreg){x->mant[n], x->se[n]};
    }
}

/* -- SSE: bytes 160..415; MXCSR and its mask: 24..31 -- */

static void save_mxcsr(const struct area *a)
{
    store(a, 24, x86_get_mxcsr(a->c) | (uint64_t)x86_mxcsr_mask(a->c) << 32, MO_64);
}

static void save_xmm(const struct area *a)
{
    for (unsigned n = 0; n < a->nxmm; n++) {
        store(a, 160 + 16 * n, a->c->v.vec[n].q[0], MO_64);
        store(a, 168 + 16 * n, a->c->v.vec[n].q[1], MO_64);
    }
}

/* Half (0: XMM, 1: upper half of YMM) of the vector registers, 16 bytes each. */
static void load_halves(const struct area *a, uint32_t at, uint64_t half[32])
{
    for (unsigned n = 0; n < 2 * a->nxmm; n++) {
        half[n] = load(a, at + 8 * n, MO_64);
    }
}

static void commit_halves(const struct area *a, const uint64_t half[32], unsigned which)
{
    for (unsigned n = 0; n < a->nxmm; n++) {
        a->c->v.vec[n].q[2 * which] = half[2 * n];
        a->c->v.vec[n].q[2 * which + 1] = half[2 * n + 1];
    }
}

static uint32_t load_mxcsr(const struct area *a)
{
    uint32_t val = (uint32_t)load(a, 24, MO_32);

    if (val & ~x86_mxcsr_mask(a->c)) {
        x86_raise_error(a->c, EXC_GP, 0);
    }
    return val;
}

/* ---- FXSAVE, FXRSTOR ---- */

/* AMD's: 64-bit code of the kernel that leaves the XMM registers alone. */
static bool fast_fxsr(const struct x86_cpu *c)
{
    return (c->efer & EFER_FFXSR) && c->cpl == 0 && (c->v.tb_flags & KEY_CS64);
}

void x86_fxsave(struct x86_cpu *c, uint64_t linear, bool rex_w)
{
    struct area a = open_area(c, linear, 16);

    save_x87(&a, rex_w);
    if (c->cr4 & CR4_OSFXSR) {
        save_mxcsr(&a);
        if (!fast_fxsr(c)) {
            save_xmm(&a);
        }
    }
}

void x86_fxrstor(struct x86_cpu *c, uint64_t linear, bool rex_w)
{
    struct area a = open_area(c, linear, 16);
    bool sse = c->cr4 & CR4_OSFXSR;
    struct x87_image x;
    uint64_t xmm[32];
    uint32_t mxcsr = 0;

    load_x87(&a, &x);
    bool vectors = sse && !fast_fxsr(c);
    if (vectors) {
        load_halves(&a, 160, xmm);
    }
    if (sse) {
        mxcsr = load_mxcsr(&a);
    }
    commit_x87(c, &x, rex_w);
    if (vectors) {
        commit_halves(&a, xmm, 0);
    }
    if (sse) {
        x86_set_mxcsr(c, mxcsr);
    }
}

/* ---- the XSAVE family ---- */

static uint64_t requested(struct x86_cpu *c, bool supervisor)
{
    uint64_t mask = (uint32_t)c->v.reg[X86_RAX] | c->v.reg[X86_RDX] << 32;

    return mask & (c->xcr0 | (supervisor ? c->xss : 0));
}

void x86_xsave(struct x86_cpu *c, uint64_t linear, bool rex_w, enum x86_xsave_kind kind)
{
    struct area a = open_area(c, linear, 64);
    uint64_t rfbm = requested(c, kind == XSAVE_SUPERVISOR), inuse = x86_xinuse(c), bv, write;
    bool compact = kind == XSAVE_COMPACT || kind == XSAVE_SUPERVISOR;
    uint64_t format = compact ? rfbm | COMPACTED : 0;

    tcg_probe_write(&c->v, linear, 8, a.ctx); /* before the header is read */

    if (compact) {
        if (x86_get_mxcsr(c) != MXCSR_INIT) {
            inuse |= SSE;
        }
        bv = rfbm & inuse;
    } else {
        bv = (load(&a, LEGACY_SIZE, MO_64) & ~rfbm) | (inuse & rfbm);
    }
    write = kind == XSAVE_PLAIN ? rfbm : rfbm & inuse;

    if (write & X87) {
        save_x87(&a, rex_w);
    }
    if (compact ? write & SSE : rfbm & (SSE | AVX)) {
        save_mxcsr(&a);
    }
    if (write & SSE) {
        save_xmm(&a);
    }
    if (write & AVX) {
        uint32_t at = place(AVX, format);
        for (unsigned n = 0; n < a.nxmm; n++) {
            store(&a, at + 16 * n, c->v.vec[n].q[2], MO_64);
            store(&a, at + 16 * n + 8, c->v.vec[n].q[3], MO_64);
        }
    }
    if (write & PKRU) {
        store(&a, place(PKRU, format), c->pkru, MO_64);
    }
    store(&a, LEGACY_SIZE, bv, MO_64);
    if (compact) {
        store(&a, LEGACY_SIZE + 8, format, MO_64);
    }
}

/* Reads the header and refuses what must be refused. */
static void load_header(const struct area *a, bool supervisor, uint64_t *bv, uint64_t *format)
{
    struct x86_cpu *c = a->c;
    uint64_t allowed = c->xcr0 | (supervisor ? c->xss : 0), rest = 0;
    bool bad;

    *bv = load(a, LEGACY_SIZE, MO_64);
    *format = load(a, LEGACY_SIZE + 8, MO_64);
    if (*format & COMPACTED) {
        for (unsigned n = 16; n < HEADER_SIZE; n += 8) {
            rest |= load(a, LEGACY_SIZE + n, MO_64);
        }
        bad = rest || (*format & ~COMPACTED & ~allowed) || (*bv & ~(*format & ~COMPACTED)) ||
              !(x86_model_has(c->model, X86F_XSAVEC) || x86_model_has(c->model, X86F_XSAVES));
    } else {
        rest = load(a, LEGACY_SIZE + 16, MO_64);
        bad = rest || *format || (*bv & ~allowed) || supervisor;
    }
    if (bad) {
        x86_raise_error(c, EXC_GP, 0);
    }
}

void x86_xrstor(struct x86_cpu *c, uint64_t linear, bool rex_w, bool supervisor)
{
    struct area a = open_area(c, linear, 64);
    uint64_t rfbm = requested(c, supervisor), bv, format, from;
    struct x87_image x = {.head = 0x37f};
    uint64_t xmm[32] = {0}, ymm[32] = {0};
    uint32_t mxcsr = MXCSR_INIT, pkru = 0;
    bool set_mxcsr;

    load_header(&a, supervisor, &bv, &format);
    from = rfbm & bv; /* the others get their initial state */
    if (from & X87) {
        load_x87(&a, &x);
    }
    if (from & SSE) {
        load_halves(&a, 160, xmm);
    }
    if (format) {
        set_mxcsr = rfbm & SSE;
        if (from & SSE) {
            mxcsr = load_mxcsr(&a);
        }
    } else {
        set_mxcsr = rfbm & (SSE | AVX);
        if (set_mxcsr) {
            mxcsr = load_mxcsr(&a);
        }
    }
    if (from & AVX) {
        load_halves(&a, place(AVX, format), ymm);
    }
    if (from & PKRU) {
        pkru = (uint32_t)load(&a, place(PKRU, format), MO_32);
    }

    if (rfbm & X87) {
        commit_x87(c, &x, rex_w);
    }
    if (rfbm & SSE) {
        commit_halves(&a, xmm, 0);
    }
    if (set_mxcsr) {
        x86_set_mxcsr(c, mxcsr);
    }
    if (rfbm & AVX) {
        commit_halves(&a, ymm, 1);
    }
    if (rfbm & PKRU) {
        x86_set_pkru(c, pkru);
    }
}
