/* Handlers that branch, leave the block, or call helpers.
 *
 * Helpers are called through a table of thunks by number of arguments: every argument and result is
 * 64 bits wide, so no libffi is needed. Measured for a helper of three arguments on the development
 * machine: libffi 3.4.4 66 ns a call, a thunk 1.4 ns. */
#include "tcg/interp/iop.h"

#define COND_EQ(U, S, a, b)    ((U)(a) == (U)(b))
#define COND_NE(U, S, a, b)    ((U)(a) != (U)(b))
#define COND_LT(U, S, a, b)    ((S)(a) < (S)(b))
#define COND_GE(U, S, a, b)    ((S)(a) >= (S)(b))
#define COND_LE(U, S, a, b)    ((S)(a) <= (S)(b))
#define COND_GT(U, S, a, b)    ((S)(a) > (S)(b))
#define COND_LTU(U, S, a, b)   ((U)(a) < (U)(b))
#define COND_GEU(U, S, a, b)   ((U)(a) >= (U)(b))
#define COND_LEU(U, S, a, b)   ((U)(a) <= (U)(b))
#define COND_GTU(U, S, a, b)   ((U)(a) > (U)(b))
#define COND_TSTNE(U, S, a, b) (((U)(a) & (U)(b)) != 0)
#define COND_TSTEQ(U, S, a, b) (((U)(a) & (U)(b)) == 0)

#define CONDS(_, ...)                                                                              \
    _(EQ, __VA_ARGS__)                                                                             \
    _(NE, __VA_ARGS__)                                                                             \
    _(LT, __VA_ARGS__)                                                                             \
    _(GE, __VA_ARGS__)                                                                             \
    _(LE, __VA_ARGS__)                                                                             \
    _(GT, __VA_ARGS__)                                                                             \
    _(LTU, __VA_ARGS__)                                                                            \
    _(GEU, __VA_ARGS__)                                                                            \
    _(LEU, __VA_ARGS__)                                                                            \
    _(GTU, __VA_ARGS__)                                                                            \
    _(TSTNE, __VA_ARGS__)                                                                          \
    _(TSTEQ, __VA_ARGS__)

/* ---- inside the block ---- */

HANDLER(br)
{
    NEXT((int16_t)ip->d);
}
const iop_fn iop_br = br;

#define BRANCH(taken)                                                                              \
    do {                                                                                           \
        if (taken) {                                                                               \
            const union iop *to_ = ip + (int16_t)ip->d;                                            \
            GO(to_);                                                                               \
        }                                                                                          \
        NEXT(1);                                                                                   \
    } while (0)
#define BRCOND(c, w, U, S)                                                                         \
    HANDLER(br_##c##w##_rr)                                                                        \
    {                                                                                              \
        BRANCH(COND_##c(U, S, R(ip->a), R(ip->b)));                                                \
    }                                                                                              \
    HANDLER(br_##c##w##_ri)                                                                        \
    {                                                                                              \
        BRANCH(COND_##c(U, S, R(ip->a), (int64_t)ip->imm));                                        \
    }
CONDS(BRCOND, 32, uint32_t, int32_t)
CONDS(BRCOND, 64, uint64_t, int64_t)

#define BRCOND_ROW(c, w) [IR_##c][W##w] = {br_##c##w##_rr, br_##c##w##_ri},
const iop_fn iop_brcond[IR_NCOND][2][2] = {CONDS(BRCOND_ROW, 32) CONDS(BRCOND_ROW, 64)};

/* To d when the bits from 47 up of register a are all alike: what x86 calls a canonical address. */
static inline bool is_small(uint64_t x)
{
    return (uint64_t)((int64_t)x >> 47) + 1 <= 1;
}
HANDLER(br_small)
{
    BRANCH(is_small(R(ip->a)));
}
const iop_fn iop_br_small = br_small;

/* ---- linked exits ---- */

#define WRAP0(pc) (pc)
#define WRAP1(pc) ((uint32_t)(pc))
#define WRAP2(pc) ((uint16_t)(pc))
/* Linear address of the pc: the pc itself where it does not wrap, else with a base, wrapping at 32
 * bits (see IR_PC32 in ir.h). */
#define LINEAR0(pc) (pc)
#define LINEAR1(pc) ((uint32_t)((pc) + v->tcg_cpu->pc_base))
#define LINEAR2(pc) LINEAR1(pc)

static inline bool polled(struct vcpu *v)
{
    return unlikely(atomic_load_explicit(&v->exit_request, memory_order_relaxed));
}

static inline const union iop *exit_target(const union iop *exit)
{
    return (const union iop *)(uintptr_t)__atomic_load_n(&exit[EXIT_TARGET].q[0], __ATOMIC_ACQUIRE);
}

/* The host page of the block at to; what is in front of a stub is its exit's target, which others
 * may be linking: no page in any case. */
static inline uint64_t page_of(const union iop *to)
{
    return __atomic_load_n(&to[-1].q[0], __ATOMIC_RELAXED);
}

/* The fetch TLB says that the page of linear address lin is at host address page. */
static inline bool page_is(struct vcpu *v, uint64_t lin, uint64_t page)
{
    struct tlb_entry *e = tlb_at(v->tlb[v->fetch_ctx], lin);
    return (lin & ~PAGE_OFFSET_MASK) == e->xtag && (uintptr_t)tlb_host(e, e->xtag) == page;
}

#define EXIT(name, wrap, cross, poll)                                                              \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        uint64_t pc = WRAP##wrap(RPC + (uint64_t)(int64_t)ip->imm);                                \
        const union iop *to = exit_target(ip);                                                     \
        RPC = pc;                                                                                  \
        if (poll && polled(v)) {                                                                   \
            return NULL;                                                                           \
        }                                                                                          \
        if (cross && unlikely(!page_is(v, LINEAR##wrap(pc), page_of(to)))) {                       \
            to = ip + EXIT_STUB;                                                                   \
        }                                                                                          \
        GO(to);                                                                                    \
    }
#define EXITS(wrap)                                                                                \
    EXIT(exit_##wrap, wrap, false, false)                                                          \
    EXIT(exit_##wrap##_poll, wrap, false, true)                                                    \
    EXIT(exit_##wrap##_cross, wrap, true, false)                                                   \
    EXIT(exit_##wrap##_cross_poll, wrap, true, true)
EXITS(0)
EXITS(1)
EXITS(2)
#define EXIT_ROW(w)                                                                                \
    {                                                                                              \
        {exit_##w, exit_##w##_poll},                                                               \
        {                                                                                          \
            exit_##w##_cross, exit_##w##_cross_poll                                                \
        }                                                                                          \
    }
const iop_fn iop_exit[3][2][2] = {EXIT_ROW(0), EXIT_ROW(1), EXIT_ROW(2)};

/* Where an exit leads that is not linked: to the dispatcher, which may link it. */
HANDLER(stub)
{
    (void)tlb;
    v->tcg_cpu->last_exit = (struct tb_exit *)(uintptr_t)ip->data;
    return NULL;
}
const iop_fn iop_stub = stub;

/* First slot of a block that is no longer right. */
HANDLER(poison)
{
    (void)v;
    (void)ip;
    (void)tlb;
    return NULL;
}
const iop_fn iop_poison = poison;

/* First slot of a block that spans two pages: the second must still be where it was. The dispatcher
 * checks it itself, with a page walk if need be, and enters behind this. */
HANDLER(second_page_64)
{
    uint64_t next = (LINEAR0(RPC) | PAGE_OFFSET_MASK) + 1;
    if (!page_is(v, next, ip->data)) {
        return NULL;
    }
    NEXT(1);
}
HANDLER(second_page_32)
{
    uint64_t next = (uint32_t)((LINEAR0(RPC) | PAGE_OFFSET_MASK) + 1);
    if (!page_is(v, next, ip->data)) {
        return NULL;
    }
    NEXT(1);
}
const iop_fn iop_second_page[2] = {second_page_64, second_page_32};

/* ---- conditional branch between two exits, the usual end of a block ----
 * [brx] [exit not taken: 3 slots] [exit taken: 3 slots]; optionally stores the lazy flags first. An
 * exit whose `a` is not zero needs more care than is inlined here. */

/* Does the work of the exit at ip. */
#define INLINE_EXIT(wrap, guard)                                                                   \
    do {                                                                                           \
        const union iop *to_ = exit_target(ip);                                                    \
        uint64_t pc_ = WRAP##wrap(RPC + (uint64_t)(int64_t)ip->imm);                               \
        if (ip->a != EXIT_PLAIN) {                                                                 \
            if (!guard || ip->a != EXIT_GUARDED) {                                                 \
                GO(ip);                                                                            \
            }                                                                                      \
            if (unlikely(!page_is(v, LINEAR##wrap(pc_), page_of(to_)))) {                          \
                to_ = ip + EXIT_STUB;                                                              \
            }                                                                                      \
        }                                                                                          \
        RPC = pc_;                                                                                 \
        if (polled(v)) {                                                                           \
            return NULL;                                                                           \
        }                                                                                          \
        GO(to_);                                                                                   \
    } while (0)
/* A true branch in the host, so that what follows is speculated: a conditional move would make the
 * next slot's address wait for the comparison. */
#define BRX_TAIL(taken, wrap)                                                                      \
    do {                                                                                           \
        if (taken) {                                                                               \
            ip += 1 + EXIT_SLOTS;                                                                  \
            KEEP(ip);                                                                              \
            INLINE_EXIT(wrap, 0);                                                                  \
        }                                                                                          \
        ip++;                                                                                      \
        INLINE_EXIT(wrap, 0);                                                                      \
    } while (0)

#define BRX_ALL(c, w, U, S, wrap)                                                                  \
    HANDLER(brx_##c##w##_##wrap##_rr)                                                              \
    {                                                                                              \
        BRX_TAIL(COND_##c(U, S, R(ip->a), R(ip->b)), wrap);                                        \
    }                                                                                              \
    HANDLER(brx_##c##w##_##wrap##_ri)                                                              \
    {                                                                                              \
        BRX_TAIL(COND_##c(U, S, R(ip->a), (int64_t)ip->imm), wrap);                                \
    }                                                                                              \
    HANDLER(brx_##c##w##_##wrap##_cca_ri)                                                          \
    {                                                                                              \
        uint64_t a = R(ip->a);                                                                     \
        v->reg[TCG_REG_CC_OP] = ip->d;                                                             \
        v->reg[TCG_REG_CC_A] = a;                                                                  \
        BRX_TAIL(COND_##c(U, S, a, (int64_t)ip->imm), wrap);                                       \
    }                                                                                              \
    HANDLER(brx_##c##w##_##wrap##_ccab_rr)                                                         \
    {                                                                                              \
        uint64_t a = R(ip->a), b = R(ip->b);                                                       \
        v->reg[TCG_REG_CC_OP] = ip->d;                                                             \
        v->reg[TCG_REG_CC_A] = a;                                                                  \
        v->reg[TCG_REG_CC_B] = b;                                                                  \
        BRX_TAIL(COND_##c(U, S, a, b), wrap);                                                      \
    }                                                                                              \
    HANDLER(brx_##c##w##_##wrap##_ccai_ri)                                                         \
    {                                                                                              \
        uint64_t a = R(ip->a);                                                                     \
        v->reg[TCG_REG_CC_OP] = ip->d;                                                             \
        v->reg[TCG_REG_CC_A] = a;                                                                  \
        v->reg[TCG_REG_CC_B] = (uint64_t)(int64_t)ip->imm;                                         \
        BRX_TAIL(COND_##c(U, S, a, (int64_t)ip->imm), wrap);                                       \
    }                                                                                              \
    HANDLER(brx_##c##w##_##wrap##_ccab_rz)                                                         \
    {                                                                                              \
        uint64_t a = R(ip->a), zero = 0;                                                           \
        v->reg[TCG_REG_CC_OP] = ip->d;                                                             \
        v->reg[TCG_REG_CC_B] = R(ip->b);                                                           \
        v->reg[TCG_REG_CC_A] = a;                                                                  \
        BRX_TAIL(COND_##c(U, S, a, zero), wrap);                                                   \
    }                                                                                              \
    HANDLER(brx_##c##w##_##wrap##_ccai_rz)                                                         \
    {                                                                                              \
        uint64_t a = R(ip->a), zero = 0;                                                           \
        v->reg[TCG_REG_CC_OP] = ip->d;                                                             \
        v->reg[TCG_REG_CC_A] = a;                                                                  \
        v->reg[TCG_REG_CC_B] = (uint64_t)(int64_t)ip->imm;                                         \
        BRX_TAIL(COND_##c(U, S, a, zero), wrap);                                                   \
    }
CONDS(BRX_ALL, 32, uint32_t, int32_t, 0)
CONDS(BRX_ALL, 64, uint64_t, int64_t, 0)
CONDS(BRX_ALL, 32, uint32_t, int32_t, 1)
CONDS(BRX_ALL, 64, uint64_t, int64_t, 1)

#define BRX_NAMES(c, w, form)                                                                      \
    {                                                                                              \
        brx_##c##w##_0_##form, brx_##c##w##_1_##form                                               \
    }
#define BRX_ROW(c, w)                                                                              \
    [IR_##                                                                                         \
        c][W##w] = {BRX_NAMES(c, w, rr),      BRX_NAMES(c, w, ri),      BRX_NAMES(c, w, cca_ri),   \
                    BRX_NAMES(c, w, ccab_rr), BRX_NAMES(c, w, ccai_ri), BRX_NAMES(c, w, ccab_rz),  \
                    BRX_NAMES(c, w, ccai_rz)},
const iop_fn iop_brx[IR_NCOND][2][NBRX][2] = {CONDS(BRX_ROW, 32) CONDS(BRX_ROW, 64)};

/* ---- call ----
 * [imm: return address less the pc, a: stack pointer] [exit, 1 or 3 slots] [exit to the return
 * address] The push is of the width of the wrap. The last exit is what the return will find on the
 * return stack, and is linked when it first does. */

static inline void expect_return(struct vcpu *v, uint64_t pc, const union iop *site)
{
    struct tcg_cpu *tc = v->tcg_cpu;
    unsigned top = tc->return_top = (tc->return_top + 1) % RETURN_STACK;

    tc->returns[top] = (struct pc_entry){pc, site};
}

#define PUSHPC(size, type, le, wrap, ind, exit_slots, leave)                                       \
    SLOW(pushpc_slow_##size##ind)                                                                  \
    {                                                                                              \
        uint64_t pc = (type)(RPC + (uint64_t)(int64_t)ip->imm);                                    \
        AT(ip);                                                                                    \
        softmmu_store(v, x, pc, MO_##size, v->tcg_cpu->ctx);                                       \
        R(ip->a) = x;                                                                              \
        expect_return(v, pc, ip + 1 + exit_slots);                                                 \
        RELOAD_TLB();                                                                              \
        NEXT_SLOW(1);                                                                              \
    }                                                                                              \
    HANDLER(pushpc_##size##ind)                                                                    \
    {                                                                                              \
        uint64_t va = (type)(R(ip->a) - sizeof(type));                                             \
        struct tlb_entry *e = tlb_at(tlb, va);                                                     \
        uint64_t t = va ^ e->wtag;                                                                 \
        type pc, x;                                                                                \
        if (unlikely(t > PAGE_SIZE_GUEST - sizeof(type))) {                                        \
            return pushpc_slow_##size##ind(v, ip, tlb, va);                                        \
        }                                                                                          \
        pc = (type)(RPC + (uint64_t)(int64_t)ip->imm);                                             \
        x = le(pc);                                                                                \
        BEFORE_STORE();                                                                            \
        memcpy(tlb_host(e, va), &x, sizeof(x));                                                    \
        R(ip->a) = va;                                                                             \
        ip++;                                                                                      \
        expect_return(v, pc, ip + exit_slots);                                                     \
        leave;                                                                                     \
    }
PUSHPC(32, uint32_t, LE32, 1, , EXIT_SLOTS, INLINE_EXIT(1, 1))
PUSHPC(64, uint64_t, LE64, 0, , EXIT_SLOTS, INLINE_EXIT(0, 1))
PUSHPC(32, uint32_t, LE32, 1, _ind, 1, GO(ip))
PUSHPC(64, uint64_t, LE64, 0, _ind, 1, GO(ip))
const iop_fn iop_pushpc[2][2] = {{pushpc_32, pushpc_32_ind}, {pushpc_64, pushpc_64_ind}};

/* ---- exits to places known only now ---- */

/* To the block at pc by the jump cache. */
#define INLINE_JUMP(wrap, target)                                                                  \
    do {                                                                                           \
        uint64_t pc_ = WRAP##wrap(target), lin_, t_;                                               \
        const struct tlb_entry *e_;                                                                \
        const struct jump_entry *j_;                                                               \
        RPC = pc_;                                                                                 \
        lin_ = LINEAR##wrap(pc_);                                                                  \
        e_ = tlb_at(v->tlb[v->fetch_ctx], lin_);                                                   \
        t_ = lin_ ^ e_->xtag;                                                                      \
        if (unlikely(t_ >= PAGE_SIZE_GUEST) || polled(v)) {                                        \
            return NULL;                                                                           \
        }                                                                                          \
        j_ = &v->tcg_cpu->jump[jump_hash(tlb_host(e_, lin_))];                                     \
        if (unlikely(j_->host != tlb_host(e_, lin_) || j_->flags != v->tb_flags)) {                \
            return NULL;                                                                           \
        }                                                                                          \
        GO((const union iop *)j_->code);                                                           \
    } while (0)

/* [d: register for the popped address, a: stack pointer, imm: what it moves by] */
#define RET_SLOW(size, type)                                                                       \
    SLOW(ret_slow_##size)                                                                          \
    {                                                                                              \
        AT(ip);                                                                                    \
        x = (type)softmmu_load(v, x, MO_##size, v->tcg_cpu->ctx);                                  \
        R(ip->a) = (type)(R(ip->a) + (uint64_t)(int64_t)ip->imm);                                  \
        RPC = x;                                                                                   \
        v->tcg_cpu->return_top = (v->tcg_cpu->return_top - 1) % RETURN_STACK;                      \
        (void)tlb;                                                                                 \
        return NULL;                                                                               \
    }
#define RET(name, size, type, le, wrap, otherwise, small)                                          \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        uint64_t va = (type)R(ip->a), pc;                                                          \
        struct tlb_entry *e = tlb_at(tlb, va);                                                     \
        uint64_t t = va ^ e->rtag;                                                                 \
        struct tcg_cpu *tc = v->tcg_cpu;                                                           \
        const struct pc_entry *top = &tc->returns[tc->return_top];                                 \
        type x;                                                                                    \
        if (unlikely(t > PAGE_SIZE_GUEST - sizeof(type))) {                                        \
            otherwise;                                                                             \
        }                                                                                          \
        memcpy(&x, tlb_host(e, va), sizeof(x));                                                    \
        AFTER_LOAD();                                                                              \
        pc = le(x);                                                                                \
        if (small && unlikely(!is_small(pc))) {                                                    \
            NEXT(1);                                                                               \
        }                                                                                          \
        R(ip->a) = (type)(va + (uint64_t)(int64_t)ip->imm);                                        \
        tc->return_top = (tc->return_top - 1) % RETURN_STACK;                                      \
        if (likely(top->pc == pc && top->code)) { /* an empty entry's pc is 0 */                   \
            /* The block comes from the call's exit, without waiting for the load. */              \
            const union iop *to = exit_target(top->code);                                          \
            if (likely(page_is(v, LINEAR##wrap(pc), page_of(to)))) {                               \
                const struct tb *tb = (const struct tb *)(uintptr_t)to[-1].q[1];                   \
                if (likely(tb->flags == v->tb_flags)) {                                            \
                    RPC = pc;                                                                      \
                    if (polled(v)) {                                                               \
                        return NULL;                                                               \
                    }                                                                              \
                    GO(to);                                                                        \
                }                                                                                  \
            } else if (to->fn == stub) {                                                           \
                RPC = pc;                                                                          \
                GO(to);                                                                            \
            }                                                                                      \
        }                                                                                          \
        INLINE_JUMP(wrap, pc);                                                                     \
    }
RET_SLOW(32, uint32_t)
RET_SLOW(64, uint64_t)
RET(ret_32, 32, uint32_t, LE32, 1, return ret_slow_32(v, ip, tlb, va), false)
RET(ret_64, 64, uint64_t, LE64, 0, return ret_slow_64(v, ip, tlb, va), false)
RET(ret_small, 64, uint64_t, LE64, 0, NEXT(1), true)
const iop_fn iop_ret[2] = {ret_32, ret_64}, iop_ret_small = ret_small;

#define EXIT_IND(wrap)                                                                             \
    HANDLER(exit_ind_##wrap)                                                                       \
    {                                                                                              \
        INLINE_JUMP(wrap, R(ip->a));                                                               \
    }                                                                                              \
    HANDLER(exit_stop_##wrap)                                                                      \
    {                                                                                              \
        (void)tlb;                                                                                 \
        RPC = WRAP##wrap(RPC + (uint64_t)(int64_t)ip->imm);                                        \
        return NULL;                                                                               \
    }                                                                                              \
    HANDLER(exit_stop_ind_##wrap)                                                                  \
    {                                                                                              \
        (void)tlb;                                                                                 \
        RPC = WRAP##wrap(R(ip->a));                                                                \
        return NULL;                                                                               \
    }
EXIT_IND(0)
EXIT_IND(1)
EXIT_IND(2)
const iop_fn iop_exit_ind[3] = {exit_ind_0, exit_ind_1, exit_ind_2};
const iop_fn iop_exit_stop[3] = {exit_stop_0, exit_stop_1, exit_stop_2};
const iop_fn iop_exit_stop_ind[3] = {exit_stop_ind_0, exit_stop_ind_1, exit_stop_ind_2};

/* REG_PC was set by a helper. */
const iop_fn iop_exit_keep = poison;

/* ---- helpers ---- */

typedef uint64_t (*helper0)(struct vcpu *);
typedef uint64_t (*helper1)(struct vcpu *, uint64_t);
typedef uint64_t (*helper2)(struct vcpu *, uint64_t, uint64_t);
typedef uint64_t (*helper3)(struct vcpu *, uint64_t, uint64_t, uint64_t);
typedef uint64_t (*helper4)(struct vcpu *, uint64_t, uint64_t, uint64_t, uint64_t);

/* [d, a, b, c] [function, imm]; arguments are packed into a, b, c */
#define CALL(name, helper, assign, args)                                                           \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        AT(ip);                                                                                    \
        assign((helper)(uintptr_t)ip[1].q[0])(v args);                                             \
        RELOAD_TLB();                                                                              \
        NEXT(2);                                                                                   \
    }
#define COMMA ,
CALL(call_0, helper0, (void), )
CALL(call_0_d, helper0, R(ip->d) =, )
CALL(call_0_i, helper1, (void), COMMA ip[1].q[1])
CALL(call_0_id, helper1, R(ip->d) =, COMMA ip[1].q[1])
CALL(call_1, helper1, (void), COMMA R(ip->a))
CALL(call_1_d, helper1, R(ip->d) =, COMMA R(ip->a))
CALL(call_1_i, helper2, (void), COMMA R(ip->a) COMMA ip[1].q[1])
CALL(call_1_id, helper2, R(ip->d) =, COMMA R(ip->a) COMMA ip[1].q[1])
CALL(call_2, helper2, (void), COMMA R(ip->a) COMMA R(ip->b))
CALL(call_2_d, helper2, R(ip->d) =, COMMA R(ip->a) COMMA R(ip->b))
CALL(call_2_i, helper3, (void), COMMA R(ip->a) COMMA R(ip->b) COMMA ip[1].q[1])
CALL(call_2_id, helper3, R(ip->d) =, COMMA R(ip->a) COMMA R(ip->b) COMMA ip[1].q[1])
CALL(call_3, helper3, (void), COMMA R(ip->a) COMMA R(ip->b) COMMA R(ip->c))
CALL(call_3_d, helper3, R(ip->d) =, COMMA R(ip->a) COMMA R(ip->b) COMMA R(ip->c))
CALL(call_3_i, helper4, (void), COMMA R(ip->a) COMMA R(ip->b) COMMA R(ip->c) COMMA ip[1].q[1])
CALL(call_3_id, helper4, R(ip->d) =, COMMA R(ip->a) COMMA R(ip->b) COMMA R(ip->c) COMMA ip[1].q[1])

#define CALL_ROW(n)                                                                                \
    {                                                                                              \
        {call_##n, call_##n##_d},                                                                  \
        {                                                                                          \
            call_##n##_i, call_##n##_id                                                            \
        }                                                                                          \
    }
const iop_fn iop_call[4][2][2] = {CALL_ROW(0), CALL_ROW(1), CALL_ROW(2), CALL_ROW(3)};
