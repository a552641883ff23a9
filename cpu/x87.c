/* The x87 unit (SDM volume 1, chapter 8): stack, status, environment in memory. Functions:
 x87_functions.c. The
 * last instruction's place: x87_pointers.c. */
#include "cpu/x87.h"
#include "tcg/tb.h"

#include <string.h>

void x87_check(struct x86_cpu *c)
{
    if (!(c->fp_sw & SW_ES)) {
        return;
    }
    if (c->cr0 & CR0_NE) {
        x86_raise(c, EXC_MF);
    }
    if (c->platform && c->platform->ferr) {
        machine_lock(c->v.machine);
        c->platform->ferr(c->platform->opaque, true);
        machine_unlock(c->v.machine);
    }
}

struct fpenv x87_env(const struct x86_cpu *c)
{
    return (struct fpenv){
        .round = c->fp_cw >> 10 & 3,
        .masks = c->fp_cw & FP_ALL,
        .precision = c->fp_cw >> 8 & 3,
    };
}

/* Code with or without the bit may run in a state that is not odd: this needs no exit. */
static void settle_key(struct x86_cpu *c)
{
    if (!x87_odd(c)) {
        c->v.tb_flags &= ~KEY_X87_ODD;
    }
}

static void update_summary(struct x86_cpu *c)
{
    c->fp_sw &= (uint16_t) ~(SW_ES | SW_B);
    if (c->fp_sw & ~c->fp_cw & FP_ALL) {
        c->fp_sw |= SW_ES | SW_B;
    }
    settle_key(c);
}

bool x87_flags(struct x86_cpu *c, uint8_t flags)
{
    c->fp_sw &= (uint16_t)~SW_C1;
    c->fp_sw |= flags & FP_ALL;
    update_summary(c);
    if (flags & ~c->fp_cw & FP_ALL) {
        x87_pointers_exception(c);
    }
    return !(flags & ~c->fp_cw & (FP_INVALID | FP_DENORMAL | FP_DIVZERO));
}

bool x87_result(struct x86_cpu *c, const struct fpenv *env)
{
    uint8_t flags = env->flags;

    if (flags & ~c->fp_cw & (FP_INVALID | FP_DENORMAL | FP_DIVZERO)) {
        return x87_flags(c, flags &
                                (FP_INVALID | FP_DENORMAL | FP_DIVZERO)); /* nothing was computed */
    }
    x87_flags(c, flags);
    if (env->rounded_up) {
        c->fp_sw |= SW_C1;
    }
    return true;
}

static unsigned physical(const struct x86_cpu *c, unsigned i)
{
    return (c->fp_top + i) & 7;
}

bool x87_empty(const struct x86_cpu *c, unsigned i)
{
    return c->fp_tag_empty >> physical(c, i) & 1;
}

struct sf80 x87_get(const struct x86_cpu *c, unsigned i)
{
    const struct x86_fpreg *r = &c->fpr[physical(c, i)];
    return (struct sf80){r->mant, r->se};
}

void x87_set(struct x86_cpu *c, unsigned i, struct sf80 x)
{
    c->fpr[physical(c, i)] = (struct x86_fpreg){x.mant, x.se};
    c->fp_tag_empty &= (uint8_t) ~(1u << physical(c, i));
}

void x87_pop(struct x86_cpu *c)
{
    c->fp_tag_empty |= (uint8_t)(1u << c->fp_top);
    c->fp_top = (c->fp_top + 1) & 7;
}

struct sf80 x87_default_nan(void)
{
    return (struct sf80){UINT64_C(0xc000000000000000), 0xffff};
}

bool x87_stack_fault(struct x86_cpu *c, bool overflow)
{
    c->fp_sw = (uint16_t)((c->fp_sw & ~SW_C1) | SW_IE | SW_SF | (overflow ? SW_C1 : 0));
    update_summary(c);
    if (!(c->fp_cw & FP_INVALID)) {
        x87_pointers_exception(c);
    }
    return c->fp_cw & FP_INVALID;
}

void x87_push(struct x86_cpu *c, struct sf80 x)
{
    if (!x87_empty(c, 7)) {
        if (!x87_stack_fault(c, true)) {
            return;
        }
        x = x87_default_nan();
    } else {
        c->fp_sw &= (uint16_t)~SW_C1;
    }
    c->fp_top = (c->fp_top - 1) & 7;
    x87_set(c, 0, x);
}

/* ---- for executors ---- */

static bool odd_state(struct vcpu *v)
{
    if (!x87_odd(x86_cpu(v))) {
        return false;
    }
    v->tb_flags |= KEY_X87_ODD; /* until x86_update_key() finds it unnecessary */
    return true;
}

_Static_assert(sizeof(struct x86_fpreg) == 16 && offsetof(struct x86_fpreg, se) == 8 &&
                   offsetof(struct x86_cpu, fp_tag_empty) == offsetof(struct x86_cpu, fp_top) + 1,
               "as struct fp80_layout says");

const struct fp80_layout x87_layout = {
    .regs = offsetof(struct x86_cpu, fpr),
    .top = offsetof(struct x86_cpu, fp_top),
    .empty = offsetof(struct x86_cpu, fp_tag_empty),
    .control = offsetof(struct x86_cpu, fp_cw),
    .status = offsetof(struct x86_cpu, fp_sw),
    .odd_state = odd_state,
    .odd_key = KEY_X87_ODD,
};

/* ---- state as others see it (declared in x86.h) ---- */

uint16_t x86_get_fpsw(struct x86_cpu *c)
{
    return (uint16_t)((c->fp_sw & ~0x3800) | c->fp_top << 11);
}

uint16_t x86_get_fptw(struct x86_cpu *c)
{
    uint16_t w = 0;

    for (unsigned n = 0; n < 8; n++) {
        const struct x86_fpreg *r = &c->fpr[n];
        unsigned e = r->se & 0x7fff, tag = 0;
        if (c->fp_tag_empty >> n & 1) {
            tag = 3;
        } else if (!e && !r->mant) {
            tag = 1;
        } else if (e == 0x7fff || !e || !(r->mant >> 63)) {
            tag = 2;
        }
        w |= (uint16_t)(tag << 2 * n);
    }
    return w;
}

void x86_fpu_reset(struct x86_cpu *c, bool fninit)
{
    c->fp_cw = fninit ? 0x37f : 0x40;
    c->fp_sw = 0;
    c->fp_top = 0;
    c->fp_tag_empty = fninit ? 0xff : 0;
    c->fp_op = c->fp_cs = c->fp_ds = 0;
    c->fp_ip = c->fp_dp = 0;
    if (!fninit) { /* power-on: all registers +0 */
        memset(c->fpr, 0, sizeof(c->fpr));
    }
    c->v.tb_flags &= ~KEY_X87_ODD; /* until an instruction meets it */
}

/* ---- environment in memory: 14 or 28 bytes ---- */

/* Instruction and operand, as the last four words have them (SDM volume 1, figures 8-9 to 8-12):
 * selectors and offsets, or linear addresses in pieces in real and V86 mode. */
static void put_pointers(const struct x86_cpu *c, unsigned opsize, uint32_t w[4])
{
    uint32_t ip = (uint32_t)c->fp_ip, dp = (uint32_t)c->fp_dp;

    if ((c->cr0 & CR0_PE) && !(c->eflags & FL_VM)) {
        w[0] = ip;
        w[1] = c->fp_cs | (uint32_t)c->fp_op << 16;
        w[2] = dp;
        w[3] = c->fp_ds | 0xffff0000u;
    } else {
        ip += (uint32_t)c->fp_cs << 4;
        dp += (uint32_t)c->fp_ds << 4;
        w[0] = ip & 0xffff;
        w[1] = (ip >> 16 & (opsize == 2 ? 15 : UINT16_MAX)) << 12 | c->fp_op;
        w[2] = dp & 0xffff;
        w[3] = (dp >> 16 & (opsize == 2 ? 15 : UINT16_MAX)) << 12;
    }
}

static void take_pointers(struct x86_cpu *c, unsigned opsize, const uint32_t w[4])
{
    c->fp_ip = w[0];
    c->fp_dp = w[2];
    if ((c->cr0 & CR0_PE) && !(c->eflags & FL_VM)) {
        c->fp_cs = (uint16_t)w[1];
        c->fp_ds = (uint16_t)w[3];
        c->fp_op = opsize == 2 ? 0 : w[1] >> 16 & 0x7ff;
    } else {
        c->fp_ip = (w[0] & 0xffff) | (w[1] >> 12) << 16;
        c->fp_dp = (w[2] & 0xffff) | (w[3] >> 12) << 16;
        c->fp_op = w[1] & 0x7ff;
        c->fp_cs = c->fp_ds = 0;
    }
}

void x87_store_env(struct x86_cpu *c, uint64_t at, unsigned opsize, unsigned ctx)
{
    uint32_t words[7] = {c->fp_cw | 0xffff0000u, x86_get_fpsw(c) | 0xffff0000u,
                         x86_get_fptw(c) | 0xffff0000u};

    put_pointers(c, opsize, words + 3);
    tcg_probe_write(&c->v, at, opsize == 2 ? 14 : 28, ctx);
    for (unsigned i = 0; i < 7; i++) {
        x86_store(c, at + opsize * i, words[i], opsize == 2 ? MO_16 : MO_32, ctx);
    }
    c->fp_cw |= FP_ALL; /* FNSTENV masks everything */
    update_summary(c);
}

void x87_load_env(struct x86_cpu *c, uint64_t at, unsigned opsize, unsigned ctx)
{
    uint32_t w[7];

    for (unsigned i = 0; i < 7; i++) {
        w[i] = (uint32_t)x86_load(c, at + opsize * i, opsize == 2 ? MO_16 : MO_32, ctx);
    }
    take_pointers(c, opsize, w + 3);
    c->fp_cw = (uint16_t)((w[0] & 0x1f7f) | 0x40);
    c->fp_sw = (uint16_t)(w[1] & ~0x3800u);
    c->fp_top = w[1] >> 11 & 7;
    c->fp_tag_empty = 0;
    for (unsigned n = 0; n < 8; n++) {
        c->fp_tag_empty |= (uint8_t)((w[2] >> 2 * n & 3) == 3) << n;
    }
    update_summary(c);
}

void x87_save(struct x86_cpu *c, uint64_t at, unsigned opsize, unsigned ctx)
{
    uint64_t regs = at + (opsize == 2 ? 14 : 28);

    tcg_probe_write(&c->v, at, (opsize == 2 ? 14 : 28) + 80, ctx); /* all or nothing */
    for (unsigned i = 0; i < 8; i++) {
        struct sf80 x = x87_get(c, i);
        x86_store(c, regs + 10 * i, x.mant, MO_64, ctx);
        x86_store(c, regs + 10 * i + 8, x.se, MO_16, ctx);
    }
    x87_store_env(c, at, opsize, ctx);
    x86_fpu_reset(c, true);
}

void x87_restore(struct x86_cpu *c, uint64_t at, unsigned opsize, unsigned ctx)
{
    uint64_t regs = at + (opsize == 2 ? 14 : 28);
    struct sf80 x[8];

    for (unsigned i = 0; i < 8; i++) {
        x[i].mant = x86_load(c, regs + 10 * i, MO_64, ctx);
        x[i].se = (uint16_t)x86_load(c, regs + 10 * i + 8, MO_16, ctx);
    }
    x87_load_env(c, at, opsize, ctx);
    for (unsigned i = 0; i < 8; i++) {
        c->fpr[physical(c, i)] = (struct x86_fpreg){x[i].mant, x[i].se};
    }
}
