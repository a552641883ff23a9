/* What the files for x87 operations share: x87.c has them, x87_stack.c where values are, x87_run.c
 * a run's start and end. */
#ifndef TCG_X86_64_X87_H
#define TCG_X86_64_X87_H

#include "tcg/fp80.h"
#include "tcg/x86_64/gen.h"

enum { DEAD = 8 };                    /* entry: nobody's */
enum { C1_MEMORY, C1_LIVE, C1_ZERO }; /* in the status word; in the host's; it is 0 */
enum { CW_DEFAULT = 0x37f };          /* C's, and nearly every guest's */
enum { SW_FLAGS = 0x3f, SW_ES = 0x80, SW_C1 = 0x200, SW_CODES = 0x4500 };

static inline const struct fp80_layout *layout(const struct gen *g)
{
    return g->ir->fp80;
}

static inline enum fp80_op fp_op(const struct ir_op *op)
{
    return op->opc == IR_CALL ? (enum fp80_op)(ir_op_helper(op)->flags >> HELPER_FP80 & 0xff)
                              : FP80_NONE;
}

/* ---- encodings ---- */

static inline void fp_rr(struct gen *g, unsigned b0, unsigned b1)
{
    put8(&g->c, b0);
    put8(&g->c, b1);
}

static inline void fxch(struct gen *g, unsigned i)
{
    fp_rr(g, 0xd9, 0xc8 + i);
}

static inline void fpop(struct gen *g)
{
    fp_rr(g, 0xdd, 0xd8);
}

static inline void fnstsw_ax(struct gen *g)
{
    fp_rr(g, 0xdf, 0xe0);
}

static inline void store_status(struct gen *g, struct mem m)
{
    x_rm(&g->c, 0xdd, 7, m);
}

static inline void load8(struct gen *g, unsigned reg, struct mem m)
{
    x_rm(&g->c, 0xb6 | X_0F, reg, m);
}

static inline void load16(struct gen *g, unsigned reg, struct mem m)
{
    x_rm(&g->c, 0xb7 | X_0F, reg, m);
}

static inline void store16(struct gen *g, struct mem m, unsigned reg)
{
    x_rm(&g->c, 0x89 | X_66, reg, m);
}

/* op reg8, imm8 of the group 80 */
static inline void alu8(struct gen *g, enum alu op, unsigned reg, unsigned imm)
{
    x_rr(&g->c, 0x80 | X_RMBYTE, op, reg);
    put8(&g->c, imm);
}

/* ---- the host's stack (x87_stack.c) ---- */

static inline unsigned st(const struct gen *g, unsigned i)
{
    return (g->fp.delta + i) & 7;
}

/* i of the host's ST(i), -1 */
static inline int pos(const struct gen *g, unsigned r)
{
    for (unsigned k = 0; k < g->fp.depth; k++) {
        if (g->fp.entry[g->fp.depth - 1 - k] == r) {
            return (int)k;
        }
    }
    return -1;
}

static inline void swap(struct gen *g, unsigned i)
{
    uint8_t *top = &g->fp.entry[g->fp.depth - 1], *other = top - i, t = *top;

    *top = *other;
    *other = t;
}

static inline void pushed(struct gen *g, unsigned r)
{
    g->fp.entry[g->fp.depth++] = (uint8_t)r;
}

/* The place of guest register r, whose index goes to a register; top: it holds TOP, or NO_REG. */
struct mem x64_fp_reg_mem(struct gen *g, unsigned reg, unsigned top, unsigned r);
/* The top entry leaves the host. */
void x64_fp_store_top(struct gen *g, const struct fp_state *f, unsigned depth, unsigned reg,
                      unsigned top);
/* Makes n places free, not at the cost of the registers in `keep`. */
void x64_fp_room(struct gen *g, unsigned n, unsigned keep);
void x64_fp_load_reg(struct gen *g, unsigned r); /* on top, without telling `entry` */
/* Sees to it that r is on the host's stack. */
unsigned x64_fp_on_host(struct gen *g, unsigned r, unsigned keep);
void x64_fp_bring_top(struct gen *g, unsigned r, unsigned keep);
void x64_fp_forget_value(struct gen *g, unsigned r);

/* ---- tags ---- */

/* r is full, or the run's check says so; false: it is empty. */
bool x64_fp_need_full(struct gen *g, unsigned r);
bool x64_fp_need_empty(struct gen *g, unsigned r);

static inline void becomes_full(struct gen *g, unsigned r)
{
    g->fp.full |= (uint8_t)(1u << r);
    g->fp.empty &= (uint8_t) ~(1u << r);
    g->fp.dirty |= (uint8_t)(1u << r);
}

/* Its value stays: an empty register can still be seen. */
static inline void becomes_empty(struct gen *g, unsigned r)
{
    g->fp.full &= (uint8_t) ~(1u << r);
    g->fp.empty |= (uint8_t)(1u << r);
}

static inline void pop(struct gen *g)
{
    becomes_empty(g, st(g, 0));
    g->fp.delta = (g->fp.delta + 1) & 7;
}

static inline struct mem host_flags(void)
{
    return env_at(offsetof(struct vcpu, host_fp80_flags));
}

/* eax, the host's status, goes to the guest's: flags, C1 and what codes says. Uses ecx. */
void x64_fp_put_status(struct gen *g, unsigned c1, unsigned codes);
void x64_fp_sync_status(struct gen *g, unsigned c1, unsigned codes);
void x64_fp_keep_c1(struct gen *g);
/* Makes room for a new ST(0). */
void x64_fp_before_push(struct gen *g, unsigned keep);
/* The new ST(0) is on top of the host's stack. */
void x64_fp_push_st(struct gen *g);

/* ---- runs (x87_run.c) ---- */

void x64_fp_begin_run(struct gen *g);

#endif
