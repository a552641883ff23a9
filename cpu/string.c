/* Repeated string instructions and port strings (SDM volume 2: REP, MOVS, STOS, LODS, CMPS, SCAS,
 * INS, OUTS; volume 1, 7.3.9), page-wise: where both sides are plain RAM, as many elements as the
 * pages, the segments and the wrap of the offsets allow are done at host speed. Elements that cross
 * a page, device memory and the like go one at a time through the slow path.
 *
 * The flags of CMPS and SCAS are recorded when the instruction is complete: faults, interrupts and
 * single steps in the middle see those from before it, as on real processors (SDM volume 2, REP);
 * the instruction does not read them. */
#include "cpu/string.h"

#include <string.h>

#include "cpu/flags.h"
#include "cpu/segment.h"
#include "softmmu/tlb.h"
#include "tcg/tcg.h"

enum { PAGE = 4096 };

struct rep {
    struct vcpu *v;
    uint64_t *reg;
    unsigned memop, size; /* of an element */
    uint64_t mask;        /* of offsets and the counter */
    unsigned ctx;
    enum x86_segnum seg; /* of the source */
    bool repne, code64, backward, once;
    uint64_t limit; /* elements that this step may do */
    bool compared;  /* CMPS, SCAS: a and b are the last elements */
    uint64_t a, b;
};

/* ---- registers ---- */

static void merge(struct rep *r, unsigned reg, uint64_t value)
{
    if (r->mask == UINT16_MAX) {
        r->reg[reg] = (r->reg[reg] & ~r->mask) | (value & r->mask);
    } else {
        r->reg[reg] = value & r->mask;
    }
}

/* Moves an index register past n elements. */
static void advance(struct rep *r, unsigned reg, uint64_t n)
{
    merge(r, reg, r->reg[reg] + (r->backward ? -(n << r->memop) : n << r->memop));
}

static void count_down(struct rep *r, uint64_t n)
{
    if (!r->once) {
        merge(r, X86_RCX, r->reg[X86_RCX] - n);
    }
}

/* ---- memory ---- */

static uint64_t load_element(const uint8_t *p, unsigned memop)
{
    uint64_t x = 0;

    for (unsigned n = 0; n < 1u << memop; n++) {
        x |= (uint64_t)p[n] << 8 * n;
    }
    return x;
}

static void store_element(uint8_t *p, unsigned memop, uint64_t x)
{
    for (unsigned n = 0; n < 1u << memop; n++) {
        p[n] = (uint8_t)(x >> 8 * n);
    }
}

struct place {
    uint64_t linear;
    uint64_t room; /* elements from here on in the page, segment and offset range; 0: crosses */
};

/* Checks one element at seg:offset (raises), and looks how many may follow without checks. */
static struct place look(struct rep *r, enum x86_segnum seg, unsigned reg, bool write)
{
    struct x86_cpu *c = x86_cpu(r->v);
    uint64_t offset = r->reg[reg] & r->mask, bytes, in_page;
    const struct x86_seg *s = &c->seg[seg];
    bool down = (s->attr & (SEGA_S | SEGA_CODE | SEGA_CE)) == (SEGA_S | SEGA_CE);
    struct place p = {offset, 0};

    if (!r->code64) {
        x86_check_seg(c, seg, offset, r->size, write);
        p.linear = (uint32_t)(offset + r->reg[X86_ES_BASE + seg]);
    } else if (seg >= SEG_FS) {
        p.linear += r->reg[X86_ES_BASE + seg];
    }
    if ((r->v->tb_flags & KEY_AC) && (p.linear & (r->size - 1)) && x86_canonical(c, p.linear)) {
        x86_raise_error(c, EXC_AC, 0);
    }
    in_page = p.linear & (PAGE - 1);
    if (in_page + r->size > PAGE) {
        return p;
    }
    if (r->backward) {
        bytes = in_page < offset ? in_page : offset;
        p.room = (bytes >> r->memop) + 1;
        if (down && !r->code64) {
            p.room = 1;
        }
        return p;
    }
    bytes = PAGE - in_page;
    if (r->mask != UINT64_MAX && bytes > r->mask - offset + 1) {
        bytes = r->mask - offset + 1;
    }
    if (!r->code64 && !down && bytes > (uint64_t)s->limit - offset + 1) {
        bytes = (uint64_t)s->limit - offset + 1;
    }
    p.room = bytes >> r->memop;
    return p;
}

/* Host address of a place for direct access of *n elements, which is cut to its room; NULL: one
 * element by the slow path. */
static uint8_t *direct(struct rep *r, const struct place *p, enum access acc, uint64_t *n)
{
    if (p->room == 0) {
        return NULL;
    }
    if (*n > p->room) {
        *n = p->room;
    }
    if (acc == ACCESS_WRITE) {
        uint64_t bytes = *n << r->memop;
        uint64_t low = r->backward ? p->linear + r->size - bytes : p->linear;
        return softmmu_probe_write(r->v, p->linear, low, (unsigned)bytes, r->ctx);
    }
    return softmmu_probe(r->v, p->linear, acc, r->ctx);
}

static uint64_t slow_load(struct rep *r, const struct place *p)
{
    return softmmu_load(r->v, p->linear, r->memop, r->ctx);
}

/* ---- MOVS ---- */

/* Copies upwards as byte by byte would: what was written is read again when the two overlap. d is
 * above s by at least an element. */
static void replicate(uint8_t *d, const uint8_t *s, uint64_t bytes)
{
    uint64_t period = (uint64_t)(d - s), done = period < bytes ? period : bytes;

    memcpy(d, s, done);
    while (done < bytes) {
        uint64_t n = done < bytes - done ? done : bytes - done;
        memcpy(d + done, d, n);
        done += n;
    }
}

static void copy_elements(struct rep *r, uint8_t *d, const uint8_t *s, uint64_t n)
{
    uint64_t bytes = n << r->memop;
    uintptr_t from = (uintptr_t)s, to = (uintptr_t)d;

    if (r->backward) {
        uint64_t below = bytes - r->size; /* the lowest element */
        if (to >= from || from - to >= bytes) {
            memmove(d - below, s - below, bytes);
            return;
        }
    } else if (to <= from || to - from >= bytes) {
        memmove(d, s, bytes);
        return;
    } else if (to - from >= r->size) {
        replicate(d, s, bytes);
        return;
    }
    for (; n; n--) { /* overlapping in a way that depends on the element's size, or downwards */
        store_element(d, r->memop, load_element(s, r->memop));
        d = r->backward ? d - r->size : d + r->size;
        s = r->backward ? s - r->size : s + r->size;
    }
}

static bool step_movs(struct rep *r)
{
    struct place from = look(r, r->seg, X86_RSI, false);
    uint64_t n = r->limit;
    const uint8_t *s = direct(r, &from, ACCESS_READ, &n);
    uint64_t value = s ? load_element(s, r->memop) : slow_load(r, &from);
    struct place to = look(r, SEG_ES, X86_RDI, true);
    uint8_t *d = direct(r, &to, ACCESS_WRITE, &n);

    if (s && d) {
        copy_elements(r, d, s, n);
    } else {
        n = 1;
        softmmu_store(r->v, to.linear, value, r->memop, r->ctx);
    }
    advance(r, X86_RSI, n);
    advance(r, X86_RDI, n);
    count_down(r, n);
    return true;
}

/* ---- STOS, LODS ---- */

static void fill(struct rep *r, uint8_t *d, uint64_t n)
{
    uint64_t value = r->reg[X86_RAX], bytes = n << r->memop;
    uint8_t *low = r->backward ? d - (bytes - r->size) : d;

    if (r->memop == MO_8) {
        memset(low, (int)(value & 0xff), bytes);
    } else {
        store_element(low, r->memop, value);
        if (n > 1) {
            replicate(low + r->size, low, bytes - r->size);
        }
    }
}

static bool step_stos(struct rep *r)
{
    struct place to = look(r, SEG_ES, X86_RDI, true);
    uint64_t n = r->limit;
    uint8_t *d = direct(r, &to, ACCESS_WRITE, &n);

    if (d) {
        fill(r, d, n);
    } else {
        n = 1;
        softmmu_store(r->v, to.linear, r->reg[X86_RAX], r->memop, r->ctx);
    }
    advance(r, X86_RDI, n);
    count_down(r, n);
    return true;
}

static bool step_lods(struct rep *r)
{
    struct place from = look(r, r->seg, X86_RSI, false);
    uint64_t n = r->limit, value, *rax = &r->reg[X86_RAX];
    const uint8_t *s = direct(r, &from, ACCESS_READ, &n);

    if (s) { /* only the last one is seen */
        uint64_t last = (n - 1) << r->memop;
        value = load_element(r->backward ? s - last : s + last, r->memop);
    } else {
        n = 1;
        value = slow_load(r, &from);
    }
    if (r->memop >= MO_32) {
        *rax = value;
    } else {
        uint64_t mask = r->memop == MO_8 ? UINT8_MAX : UINT16_MAX;
        *rax = (*rax & ~mask) | value;
    }
    advance(r, X86_RSI, n);
    count_down(r, n);
    return true;
}

/* ---- CMPS, SCAS ---- */

/* Elements passed over, up to and including the one that ends the search (or all n); *ended tells
 * which. b: NULL to compare with the value. */
static uint64_t search(struct rep *r, const uint8_t *a, const uint8_t *b, uint64_t value,
                       uint64_t n, bool *ended)
{
    ptrdiff_t step = r->backward ? -(ptrdiff_t)r->size : (ptrdiff_t)r->size;
    uint64_t k = 0;

    if (r->memop == MO_8 && r->repne && !b && !r->backward) {
        const uint8_t *hit = memchr(a, (int)(value & 0xff), n);
        k = hit ? (uint64_t)(hit - a) : n;
    } else if (r->memop == MO_8 && !r->repne && b && !r->backward) {
        while (n - k >= 32 && !memcmp(a + k, b + k, 32)) {
            k += 32;
        }
    }
    *ended = false;
    while (k < n && !*ended) {
        uint64_t x = load_element(a + (ptrdiff_t)k * step, r->memop);
        uint64_t y = b ? load_element(b + (ptrdiff_t)k * step, r->memop) : value;
        *ended = (x == y) == r->repne;
        k++;
    }
    return k;
}

static bool step_cmps(struct rep *r)
{
    struct place q = look(r, SEG_ES, X86_RDI, false); /* the order in which processors fault */
    uint64_t n = r->limit;
    const uint8_t *b = direct(r, &q, ACCESS_READ, &n), *a;
    uint64_t y = b ? load_element(b, r->memop) : slow_load(r, &q);
    struct place p = look(r, r->seg, X86_RSI, false);
    bool ended;

    a = direct(r, &p, ACCESS_READ, &n);
    if (a && b) {
        n = search(r, a, b, 0, n, &ended);
        ptrdiff_t last = (ptrdiff_t)((n - 1) << r->memop);
        r->a = load_element(r->backward ? a - last : a + last, r->memop);
        r->b = load_element(r->backward ? b - last : b + last, r->memop);
    } else {
        n = 1;
        r->a = slow_load(r, &p);
        r->b = y;
        ended = (r->a == r->b) == r->repne;
    }
    r->compared = true;
    advance(r, X86_RSI, n);
    advance(r, X86_RDI, n);
    count_down(r, n);
    return !ended;
}

static bool step_scas(struct rep *r)
{
    struct place q = look(r, SEG_ES, X86_RDI, false);
    uint64_t n = r->limit, value = r->reg[X86_RAX] & (UINT64_MAX >> (64 - 8 * r->size));
    const uint8_t *b = direct(r, &q, ACCESS_READ, &n);
    bool ended;

    r->a = value;
    if (b) {
        n = search(r, b, NULL, value, n, &ended);
        ptrdiff_t last = (ptrdiff_t)((n - 1) << r->memop);
        r->b = load_element(r->backward ? b - last : b + last, r->memop);
    } else {
        n = 1;
        r->b = slow_load(r, &q);
        ended = (r->a == r->b) == r->repne;
    }
    r->compared = true;
    advance(r, X86_RDI, n);
    count_down(r, n);
    return !ended;
}

/* ---- INS, OUTS: element by element, a device may change anything in between ---- */

static bool step_ins(struct rep *r)
{
    struct x86_cpu *c = x86_cpu(r->v);
    uint16_t port = (uint16_t)r->reg[X86_RDX];
    struct place to = look(r, SEG_ES, X86_RDI, true);
    uint64_t n = 1;
    uint8_t *d = direct(r, &to, ACCESS_WRITE, &n);
    if (!d) {
        /* What the port gives must not be lost: nothing may raise or restart after it. */
        tcg_retry_single(r->v);
        softmmu_probe(r->v, to.linear, ACCESS_WRITE, r->ctx);
        if ((to.linear & (PAGE - 1)) + r->size > PAGE) {
            softmmu_probe(r->v, (to.linear | (PAGE - 1)) + 1, ACCESS_WRITE, r->ctx);
        }
    }
    uint64_t value = x86_port_in(c, port, r->size);
    if (d) {
        d = softmmu_probe(r->v, to.linear, ACCESS_WRITE, r->ctx);
    }
    if (d) {
        store_element(d, r->memop, value);
    } else {
        softmmu_store(r->v, to.linear, value, r->memop, r->ctx);
    }
    advance(r, X86_RDI, 1);
    count_down(r, 1);
    return true;
}

static bool step_outs(struct rep *r)
{
    struct x86_cpu *c = x86_cpu(r->v);
    uint16_t port = (uint16_t)r->reg[X86_RDX];
    struct place from = look(r, r->seg, X86_RSI, false);
    uint64_t value = slow_load(r, &from);
    x86_port_out(c, port, value, r->size);
    advance(r, X86_RSI, 1);
    count_down(r, 1);
    return true;
}

/* ---- the loop ---- */

/* 32-bit addresses in 64-bit mode: the counter, and the index registers of the instructions that
 * write memory, lose their upper halves even when the count is zero or the first element faults, as
 * Intel's processors show. */
static void zero_extend(struct rep *r, enum x86_string_op op)
{
    merge(r, X86_RCX, r->reg[X86_RCX]);
    if (op == STRING_MOVS || op == STRING_STOS) {
        merge(r, X86_RDI, r->reg[X86_RDI]);
    }
    if (op == STRING_MOVS) {
        merge(r, X86_RSI, r->reg[X86_RSI]);
    }
}

static uint64_t helper_string(struct vcpu *v, uint64_t what)
{
    static bool (*const steps[STRING_NOPS])(struct rep * r) = {
        [STRING_MOVS] = step_movs, [STRING_STOS] = step_stos, [STRING_LODS] = step_lods,
        [STRING_CMPS] = step_cmps, [STRING_SCAS] = step_scas, [STRING_INS] = step_ins,
        [STRING_OUTS] = step_outs,
    };
    unsigned addr = what >> STRING_ADDR & 3;
    enum x86_string_op op = (enum x86_string_op)(what >> STRING_OP & 7);
    struct rep r = {
        .v = v,
        .reg = v->reg,
        .memop = what >> STRING_SIZE & 3,
        .mask = addr == 3   ? UINT64_MAX
                : addr == 2 ? UINT32_MAX
                            : UINT16_MAX,
        .ctx = what >> STRING_CTX & 3,
        .seg = (enum x86_segnum)(what >> STRING_SEG & 7),
        .repne = what >> STRING_REPNE & 1,
        .code64 = v->tb_flags & KEY_CS64,
        .backward = (int64_t)v->reg[X86_DF] < 0,
        .once = what >> STRING_ONCE & 1,
    };
    bool one = (what >> STRING_ONE & 1) || v->debug_step, done;

    r.size = 1u << r.memop;
    if (op == STRING_INS || op == STRING_OUTS) { /* refused even when the count is zero */
        x86_check_io(x86_cpu(v), (uint16_t)r.reg[X86_RDX], r.size);
    }
    if (r.code64 && addr == 2 && !r.once) {
        zero_extend(&r, op);
    }
    do {
        uint64_t left = r.once ? 1 : r.reg[X86_RCX] & r.mask;
        if (left == 0) {
            done = true;
            break;
        }
        r.limit = one ? 1 : left;
        done = !steps[op](&r) || r.once || (r.reg[X86_RCX] & r.mask) == 0;
    } while (!done && !one && !atomic_load_explicit(&v->exit_request, memory_order_relaxed));
    if (r.compared && done) {
        r.reg[TCG_REG_CC_OP] = CC_SIZED(SUB, r.size);
        r.reg[TCG_REG_CC_A] = r.a;
        r.reg[TCG_REG_CC_B] = r.b;
    }
    return done;
}
const struct ir_helper x86_h_string = {"string", (void (*)(void))helper_string, 0,
                                       HELPER_IMM | HELPER_READS | HELPER_WRITES | HELPER_RAISES};
