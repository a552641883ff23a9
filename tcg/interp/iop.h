/* The interpreter's own code: IR lowered to a dense array of 16-byte slots, each starting with the
 * address of the handler that does it ("threaded code"). Operands are byte offsets from the vcpu,
 * so that a handler is a few host instructions.
 *
 * A handler ends by jumping to the next one. With optimization that is a tail call, so the state
 * (vcpu, slot, TLB) stays in argument registers and handlers without a call have no stack frame;
 * without (-O0, sanitizers) each returns the next slot to a loop. A handler that leaves the block
 * returns NULL.
 *
 * Code of a block:
 *     [header: host page, tb] code...                           code points behind the header
 * An exit that can be linked takes three slots:
 *     [exit handler, imm = pc change] [target code] [stub handler, struct tb_exit *]
 * Target is the stub until the exit is linked: one pointer, so that it can be patched while others
 * run. The target's own header tells which page it is on, for exits that may leave their page. */
#ifndef TCG_INTERP_IOP_H
#define TCG_INTERP_IOP_H

#include <stdint.h>
#include <string.h>

#include "tcg/guest_le.h"
#include "tcg/ir.h"
#include "tcg/tb.h"
#include "tcg/vcpu.h"
#include "tcg/vops.h"

union iop;
typedef const union iop *(*iop_fn)(struct vcpu *v, const union iop *ip, struct tlb_entry *tlb);

union iop {
    struct {
        iop_fn fn;
        uint16_t d, a;
        union {
            struct {
                uint16_t b, c;
            };
            int32_t imm;
        };
    };
    struct {
        uint64_t pad;
        uint64_t data; /* where a 64-bit value is wanted in place of operands */
    };
    uint64_t q[2]; /* a slot of data */
};
_Static_assert(sizeof(union iop) == 16, "interpreter slots are 16 bytes");

enum { /* of an exit */
       EXIT_SLOTS = 3,
       EXIT_TARGET = 1,
       EXIT_STUB = 2,
       /* `a` of an exit slot, for handlers that do the exit's work themselves */
       EXIT_PLAIN = 0,
       EXIT_GUARDED = 1, /* may leave the page */
       EXIT_OWN = 2,     /* only its own handler knows */
};

/* Registers that lowering uses for itself: constants that do not fit, address sums. REG_ZERO is
 * never written. */
enum { REG_SCRATCH0 = TCG_REG_LAST_TEMP + 1, REG_SCRATCH1, REG_SCRATCH2, REG_ZERO = 255 };

/* ---- for handlers ---- */

#define REG_OFF(n)  ((uint16_t)(offsetof(struct vcpu, reg) + 8 * (n)))
#define VREG_OFF(n) ((uint16_t)(offsetof(struct vcpu, vec) + 32 * (n)))
#define R(off)      (*(uint64_t *)((char *)v + (off)))
#define RPC         (v->reg[TCG_REG_PC])
#define V(off)      ((union vreg *)((char *)v + (off)))

#if defined(__GNUC__) && !defined(__clang__)
#define NOINLINE                                                                                   \
    __attribute__((noipa)) /* keeps unused arguments, so that the others stay in place */
#else
#define NOINLINE __attribute__((noinline))
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
#define IOP_LOOP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IOP_LOOP 1
#endif
#endif

#if defined(__clang__) && !defined(IOP_LOOP)
#define TAIL __attribute__((musttail))
#else
#define TAIL
#endif
#if defined(__GNUC__) && !defined(__clang__) && !defined(IOP_LOOP)
#pragma GCC optimize("optimize-sibling-calls", "no-tree-slp-vectorize")
#endif

/* Keeps the compiler from computing x twice, as an address and again in a register. */
#define KEEP(x) __asm__("" : "+r"(x))

#ifdef IOP_LOOP
#define GO(next)                                                                                   \
    do {                                                                                           \
        (void)tlb;                                                                                 \
        (void)v;                                                                                   \
        return (next);                                                                             \
    } while (0)
#else
#define GO(next)                                                                                   \
    do {                                                                                           \
        const union iop *next_ = (next);                                                           \
        KEEP(next_);                                                                               \
        TAIL return next_->fn(v, next_, tlb);                                                      \
    } while (0)
#endif
#define NEXT(n) GO(ip + (n))
/* From a SLOW function, whose signature is another than that of what it jumps to. */
#ifdef IOP_LOOP
#define NEXT_SLOW(n) NEXT(n)
#else
#define NEXT_SLOW(n) return ip[n].fn(v, ip + (n), tlb)
#endif
#define HANDLER(name)                                                                              \
    static const union iop *name(struct vcpu *v, const union iop *ip, struct tlb_entry *tlb)
/* Part of a handler that was left for it by a tail call: x is what the fast path had found. */
#define SLOW(name)                                                                                 \
    static NOINLINE const union iop *name(struct vcpu *v, const union iop *ip,                     \
                                          struct tlb_entry *tlb, uint64_t x)
#define RELOAD_TLB() (tlb = v->tlb[v->tcg_cpu->ctx])
#define AT(ip)       (v->host_pc = (uintptr_t)(ip)) /* before anything that may unwind */

/* x86-TSO: every load acquires, every store releases. Free on x86 hosts. */
#if defined(__x86_64__) || defined(__i386__)
#define AFTER_LOAD()   __asm__ volatile("" ::: "memory")
#define BEFORE_STORE() __asm__ volatile("" ::: "memory")
#else
#define AFTER_LOAD()   __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define BEFORE_STORE() __atomic_thread_fence(__ATOMIC_RELEASE)
#endif

static inline struct tlb_entry *tlb_at(struct tlb_entry *tlb, uint64_t va)
{
    _Static_assert(sizeof(struct tlb_entry) == 32 || sizeof(void *) != 8, "index by shift");
    if (sizeof(struct tlb_entry) == 32) {
        return (struct tlb_entry *)((char *)tlb + (va >> 7 & (uint64_t)TLB_MASK << 5));
    }
    return &tlb[va >> 12 & TLB_MASK];
}

/* ---- tables of handlers, by family ---- */

enum iop_form { FORM_RR, FORM_RI, FORM_RR_SAME, FORM_RI_SAME, NFORMS }; /* SAME: d is a */

extern const iop_fn iop_bin[IR_NOPS][2][NFORMS]; /* [opc][w][form]; alu.c */
extern const iop_fn iop_un[IR_NOPS][2];          /* [opc][w] */
extern const iop_fn iop_setcond[IR_NCOND][2][2]; /* [cond][w][b is immediate] */
extern const iop_fn iop_movcond[IR_NCOND][2];    /* d = cond ? c : d */
/* An operation in place and the lazy flags with it; alu.c. After ADD and logic the flags' A is the
 * result, B the operand (AB) or not used (A); with SUB they are the values before. */
enum iop_cc_form { CCF_RR_AB, CCF_RI_AB, CCF_RR_A, CCF_RI_A, NCCF };
extern const iop_fn iop_alu_cc[IR_NOPS][2][NCCF]; /* [opc][w][form] */
extern const iop_fn iop_mov_mov;                  /* d = a, b = c */
struct iop_misc {
    iop_fn movi32, movi64, bit, extract, deposit, deposit0_8, deposit8_8, deposit0_16;
    iop_fn divide[4][2]; /* by IR op from DIVU on, and width */
    iop_fn addx[2], subx[2];
    iop_fn cc_a, cc_ab, cc_abc, cc_ai;
    iop_fn ldenv[9], stenv[4], stenvi[4];
    iop_fn fence, nop;
};
extern const struct iop_misc iop_misc;

enum load_kind {
    LD_U8,
    LD_U16,
    LD_U32,
    LD_U64,
    LD_S8_32,
    LD_S16_32,
    LD_S8,
    LD_S16,
    LD_S32,
    NLOADS
};
/* Addressing: base + disp32; base + (index << scale) + disp16. Odd: sum truncated to 32 bits. */
enum addr_mode { AM_BD, AM_BD_A32, AM_BX, NMODES = AM_BX + 8 };
extern const iop_fn iop_load[NLOADS][NMODES]; /* mem.c */
extern const iop_fn iop_store[4][NMODES];
extern const iop_fn iop_storei[4][2]; /* base + disp16, value imm32; [a32] */
extern const iop_fn iop_load_any,
    iop_store_any; /* all checks in C; memop and disp in a slot of data */
extern const iop_fn iop_atomic, iop_cmpxchg;
extern const iop_fn iop_push[2], iop_pop[2]; /* [w]: W32 with a 32-bit address */

extern const iop_fn iop_br_small;                       /* to d when a >> 47 is 0 or -1 */
extern const iop_fn iop_br, iop_brcond[IR_NCOND][2][2]; /* [cond][w][imm]; control.c */
extern const iop_fn iop_exit[3][2][2];                  /* [wrap][cross page][poll] */
extern const iop_fn iop_exit_ind[3], iop_exit_stop[3], iop_exit_stop_ind[3], iop_exit_keep;
extern const iop_fn iop_stub, iop_poison, iop_second_page[2]; /* [32 bit] */
enum brx {
    BRX_RR,
    BRX_RI,
    BRX_CC_A_RI,  /* flags (a), cond (a, imm) */
    BRX_CC_AB_RR, /* flags (a, b), cond (a, b) */
    BRX_CC_AI_RI, /* flags (a, imm), cond (a, imm) */
    BRX_CC_AB_RZ, /* flags (a, b), cond (a, 0) */
    BRX_CC_AI_RZ, /* flags (a, imm), cond (a, 0) */
    NBRX
};
extern const iop_fn iop_brx[IR_NCOND][2][NBRX][2]; /* [cond][w][form][32-bit pc] */
extern const iop_fn iop_pushpc[2][2], iop_ret[2];  /* call [w][indirect], return [w] */
extern const iop_fn
    iop_ret_small; /* 64-bit return; to the next slot, nothing done, if not canonical */
extern const iop_fn iop_call[4][2][2]; /* [nargs][imm][result] */

struct iop_vec { /* vector.c */
    iop_fn mov[3], zero[2], load[6][3], store[6], ldenv[6], stenv[6], get[9], set[4];
    iop_fn clear_upper, vop, vopr[2], vopi;
};
extern const struct iop_vec iop_vec;

size_t interp_compile(struct tcg *t, const struct ir *ir, struct tb *tb, uint8_t *buf, size_t size);

/* Fault map of a block: entries in slot order; the last one at or before a slot tells its place. */
struct map_entry {
    uint16_t slot;
    int32_t off;   /* before the block's start for code behind a jump backward */
    uint16_t cc;   /* 1 + index of the flags that only the map knows; 0: they are in place */
    uint16_t meta; /* 1 + index of the instruction's meta; 0: none */
};
struct map_cc {
    uint64_t kind;
    uint64_t imm;
    ir_reg a, b, c;
    bool bimm;
};
struct map {
    unsigned nentries;
    const struct map_entry *entries;
    const struct map_cc *cc;
    const uint64_t *meta;
};

#endif
