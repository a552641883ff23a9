/* Handlers of integer operations. Each op has a form for register and immediate operands, for each
 * width, and for d == a (the usual one in x86 code), which saves an operand fetch. */
#include "tcg/interp/iop.h"

#include <stdatomic.h>

/* ---- two operands ---- */

static inline uint32_t rotl32(uint32_t x, uint64_t n)
{
    return x << (n & 31) | x >> (-n & 31);
}
static inline uint32_t rotr32(uint32_t x, uint64_t n)
{
    return x >> (n & 31) | x << (-n & 31);
}
static inline uint64_t rotl64(uint64_t x, uint64_t n)
{
    return x << (n & 63) | x >> (-n & 63);
}
static inline uint64_t rotr64(uint64_t x, uint64_t n)
{
    return x >> (n & 63) | x << (-n & 63);
}

/* Results of a 32-bit operation are zero-extended by the conversion to uint64_t. */
#define BINOPS(_)                                                                                  \
    _(ADD, (uint32_t)a + (uint32_t)b, a + b)                                                       \
    _(SUB, (uint32_t)a - (uint32_t)b, a - b)                                                       \
    _(AND, (uint32_t)a &(uint32_t)b, a &b)                                                         \
    _(OR, (uint32_t)a | (uint32_t)b, a | b)                                                        \
    _(XOR, (uint32_t)a ^ (uint32_t)b, a ^ b)                                                       \
    _(MUL, (uint32_t)a *(uint32_t)b, a *b)                                                         \
    _(SHL, (uint32_t)a << (b & 31), a << (b & 63))                                                 \
    _(SHR, (uint32_t)a >> (b & 31), a >> (b & 63))                                                 \
    _(SAR, (uint32_t)((int32_t)a >> (b & 31)), (uint64_t)((int64_t)a >> (b & 63)))                 \
    _(ROTL, rotl32((uint32_t)a, b), rotl64(a, b))                                                  \
    _(ROTR, rotr32((uint32_t)a, b), rotr64(a, b))

#define BIN_FORM(name, aoff, bval, expr)                                                           \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        uint64_t a = R(aoff), b = (uint64_t)(bval);                                                \
        R(ip->d) = (expr);                                                                         \
        NEXT(1);                                                                                   \
    }
#define BIN_ALL(o, e32, e64)                                                                       \
    BIN_FORM(o##32_rr, ip->a, R(ip->b), e32)                                                       \
    BIN_FORM(o##32_ri, ip->a, (int64_t)ip->imm, e32)                                               \
    BIN_FORM(o##32_rr_same, ip->d, R(ip->b), e32)                                                  \
    BIN_FORM(o##32_ri_same, ip->d, (int64_t)ip->imm, e32)                                          \
    BIN_FORM(o##64_rr, ip->a, R(ip->b), e64)                                                       \
    BIN_FORM(o##64_ri, ip->a, (int64_t)ip->imm, e64)                                               \
    BIN_FORM(o##64_rr_same, ip->d, R(ip->b), e64)                                                  \
    BIN_FORM(o##64_ri_same, ip->d, (int64_t)ip->imm, e64)
BINOPS(BIN_ALL)

BIN_FORM(MULHU32_rr, ip->a, R(ip->b), (uint64_t)(uint32_t)a *(uint32_t)b >> 32)
BIN_FORM(MULHS32_rr, ip->a, R(ip->b), (uint32_t)((int64_t)(int32_t)a *(int32_t)b >> 32))
BIN_FORM(MULHU64_rr, ip->a, R(ip->b), (uint64_t)((unsigned __int128)a *b >> 64))
BIN_FORM(MULHS64_rr, ip->a, R(ip->b), (uint64_t)((__int128)(int64_t)a *(int64_t)b >> 64))

#define BIN_ROW(o, e32, e64)                                                                       \
    [IR_##o] = {{o##32_rr, o##32_ri, o##32_rr_same, o##32_ri_same},                                \
                {o##64_rr, o##64_ri, o##64_rr_same, o##64_ri_same}},
const iop_fn iop_bin[IR_NOPS][2][NFORMS] = {
    BINOPS(BIN_ROW)[IR_MULHU] = {{MULHU32_rr}, {MULHU64_rr}},
    [IR_MULHS] = {{MULHS32_rr}, {MULHS64_rr}},
};

/* ---- in place, with the lazy flags ---- rr: a holds the kind, ri: too */

#define ALU_CC(o, w, expr, first)                                                                  \
    HANDLER(o##w##_rr_ab)                                                                          \
    {                                                                                              \
        uint64_t a = R(ip->d), b = R(ip->b), x = (expr);                                           \
        v->reg[TCG_REG_CC_OP] = ip->a;                                                             \
        v->reg[TCG_REG_CC_B] = b;                                                                  \
        v->reg[TCG_REG_CC_A] = first;                                                              \
        R(ip->d) = x;                                                                              \
        NEXT(1);                                                                                   \
    }                                                                                              \
    HANDLER(o##w##_ri_ab)                                                                          \
    {                                                                                              \
        uint64_t a = R(ip->d), b = (uint64_t)(int64_t)ip->imm, x = (expr);                         \
        v->reg[TCG_REG_CC_OP] = ip->a;                                                             \
        v->reg[TCG_REG_CC_B] = b;                                                                  \
        v->reg[TCG_REG_CC_A] = first;                                                              \
        R(ip->d) = x;                                                                              \
        NEXT(1);                                                                                   \
    }
#define LOGIC_CC(o, w, expr)                                                                       \
    HANDLER(o##w##_rr_a)                                                                           \
    {                                                                                              \
        uint64_t a = R(ip->d), b = R(ip->b), x = (expr);                                           \
        v->reg[TCG_REG_CC_OP] = ip->a;                                                             \
        v->reg[TCG_REG_CC_A] = x;                                                                  \
        R(ip->d) = x;                                                                              \
        NEXT(1);                                                                                   \
    }                                                                                              \
    HANDLER(o##w##_ri_a)                                                                           \
    {                                                                                              \
        uint64_t a = R(ip->d), b = (uint64_t)(int64_t)ip->imm, x = (expr);                         \
        v->reg[TCG_REG_CC_OP] = ip->a;                                                             \
        v->reg[TCG_REG_CC_A] = x;                                                                  \
        R(ip->d) = x;                                                                              \
        NEXT(1);                                                                                   \
    }
ALU_CC(ADDCC, 32, (uint32_t)a + (uint32_t)b, x)
ALU_CC(ADDCC, 64, a + b, x)
ALU_CC(SUBCC, 32, (uint32_t)a - (uint32_t)b, a)
ALU_CC(SUBCC, 64, a - b, a)
LOGIC_CC(ANDCC, 32, (uint32_t)a &(uint32_t)b)
LOGIC_CC(ANDCC, 64, a &b)
LOGIC_CC(ORCC, 32, (uint32_t)a | (uint32_t)b)
LOGIC_CC(ORCC, 64, a | b)
LOGIC_CC(XORCC, 32, (uint32_t)a ^ (uint32_t)b)
LOGIC_CC(XORCC, 64, a ^ b)
#define ALU_CC_ROW(o)                                                                              \
    [IR_##o] = {{[CCF_RR_AB] = o##CC32_rr_ab, [CCF_RI_AB] = o##CC32_ri_ab},                        \
                {[CCF_RR_AB] = o##CC64_rr_ab, [CCF_RI_AB] = o##CC64_ri_ab}}
#define LOGIC_CC_ROW(o)                                                                            \
    [IR_##o] = {{[CCF_RR_A] = o##CC32_rr_a, [CCF_RI_A] = o##CC32_ri_a},                            \
                {[CCF_RR_A] = o##CC64_rr_a, [CCF_RI_A] = o##CC64_ri_a}}
const iop_fn iop_alu_cc[IR_NOPS][2][NCCF] = {
    ALU_CC_ROW(ADD), ALU_CC_ROW(SUB), LOGIC_CC_ROW(AND), LOGIC_CC_ROW(OR), LOGIC_CC_ROW(XOR),
};

HANDLER(mov_mov)
{
    R(ip->d) = R(ip->a);
    R(ip->b) = R(ip->c);
    NEXT(1);
}
const iop_fn iop_mov_mov = mov_mov;

/* ---- one operand ---- */

#define UNOPS(_)                                                                                   \
    _(MOV, (uint32_t)a, a)                                                                         \
    _(NEG, -(uint32_t)a, -a)                                                                       \
    _(NOT, ~(uint32_t)a, ~a)                                                                       \
    _(EXT8U, (uint8_t)a, (uint8_t)a)                                                               \
    _(EXT16U, (uint16_t)a, (uint16_t)a)                                                            \
    _(EXT32U, (uint32_t)a, (uint32_t)a)                                                            \
    _(EXT8S, (uint32_t)(int8_t)a, (uint64_t)(int8_t)a)                                             \
    _(EXT16S, (uint32_t)(int16_t)a, (uint64_t)(int16_t)a)                                          \
    _(EXT32S, (uint64_t)(int32_t)a, (uint64_t)(int32_t)a)                                          \
    _(BSWAP, __builtin_bswap32((uint32_t)a), __builtin_bswap64(a))                                 \
    _(CLZ, (uint32_t)a ? (uint64_t)__builtin_clz((uint32_t)a) : 32,                                \
      a ? (uint64_t)__builtin_clzll(a) : 64)                                                       \
    _(CTZ, (uint32_t)a ? (uint64_t)__builtin_ctz((uint32_t)a) : 32,                                \
      a ? (uint64_t)__builtin_ctzll(a) : 64)                                                       \
    _(POPCNT, (uint64_t)__builtin_popcount((uint32_t)a), (uint64_t)__builtin_popcountll(a))

#define UN_FORM(name, expr)                                                                        \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        uint64_t a = R(ip->a);                                                                     \
        R(ip->d) = (expr);                                                                         \
        NEXT(1);                                                                                   \
    }
#define UN_ALL(o, e32, e64) UN_FORM(o##32, e32) UN_FORM(o##64, e64)
UNOPS(UN_ALL)
#define UN_ROW(o, e32, e64) [IR_##o] = {o##32, o##64},
const iop_fn iop_un[IR_NOPS][2] = {UNOPS(UN_ROW)};

/* ---- conditions ---- */

#define CONDS(_, w, U, S)                                                                          \
    _(EQ, w, (U)a == (U)b)                                                                         \
    _(NE, w, (U)a != (U)b)                                                                         \
    _(LT, w, (S)a < (S)b)                                                                          \
    _(GE, w, (S)a >= (S)b)                                                                         \
    _(LE, w, (S)a <= (S)b)                                                                         \
    _(GT, w, (S)a > (S)b)                                                                          \
    _(LTU, w, (U)a < (U)b)                                                                         \
    _(GEU, w, (U)a >= (U)b)                                                                        \
    _(LEU, w, (U)a <= (U)b)                                                                        \
    _(GTU, w, (U)a > (U)b)                                                                         \
    _(TSTNE, w, ((U)a & (U)b) != 0)                                                                \
    _(TSTEQ, w, ((U)a & (U)b) == 0)

#define COND_ALL(k, w, expr)                                                                       \
    BIN_FORM(set##k##w##_rr, ip->a, R(ip->b), expr)                                                \
    BIN_FORM(set##k##w##_ri, ip->a, (int64_t)ip->imm, expr)                                        \
    HANDLER(mov##k##w)                                                                             \
    {                                                                                              \
        uint64_t a = R(ip->a), b = R(ip->b), yes = R(ip->c), no = R(ip->d);                        \
        R(ip->d) = WIDTH##w((expr) ? yes : no);                                                    \
        NEXT(1);                                                                                   \
    }
#define WIDTH32(x) (uint32_t)(x)
#define WIDTH64(x) (x)
CONDS(COND_ALL, 32, uint32_t, int32_t)
CONDS(COND_ALL, 64, uint64_t, int64_t)

#define SET_ROW32(c, w, e) [IR_##c][W32] = {set##c##32_rr, set##c##32_ri},
#define SET_ROW64(c, w, e) [IR_##c][W64] = {set##c##64_rr, set##c##64_ri},
const iop_fn iop_setcond[IR_NCOND][2][2] = {CONDS(SET_ROW32, , , ) CONDS(SET_ROW64, , , )};
#define MOV_ROW32(c, w, e) [IR_##c][W32] = mov##c##32,
#define MOV_ROW64(c, w, e) [IR_##c][W64] = mov##c##64,
const iop_fn iop_movcond[IR_NCOND][2] = {CONDS(MOV_ROW32, , , ) CONDS(MOV_ROW64, , , )};

/* ---- the rest ---- */

HANDLER(movi32)
{
    R(ip->d) = (uint64_t)(int64_t)ip->imm;
    NEXT(1);
}
HANDLER(movi64)
{
    R(ip->d) = ip[1].q[0];
    NEXT(2);
}

/* d = bit c of a */
HANDLER(bit)
{
    R(ip->d) = R(ip->a) >> ip->c & 1;
    NEXT(1);
}
/* d = a << b >> c */
HANDLER(extract)
{
    R(ip->d) = R(ip->a) << ip->b >> ip->c;
    NEXT(1);
}
/* q[0]: mask in place, q[1]: position */
HANDLER(deposit)
{
    uint64_t mask = ip[1].q[0];
    R(ip->d) = (R(ip->a) & ~mask) | (R(ip->b) << ip[1].q[1] & mask);
    NEXT(2);
}
HANDLER(deposit0_8)
{
    R(ip->d) = (R(ip->a) & ~UINT64_C(0xff)) | (uint8_t)R(ip->b);
    NEXT(1);
}
HANDLER(deposit8_8)
{
    R(ip->d) = (R(ip->a) & ~UINT64_C(0xff00)) | (uint64_t)(uint8_t)R(ip->b) << 8;
    NEXT(1);
}
HANDLER(deposit0_16)
{
    R(ip->d) = (R(ip->a) & ~UINT64_C(0xffff)) | (uint16_t)R(ip->b);
    NEXT(1);
}

HANDLER(addx32)
{
    R(ip->d) = (uint32_t)(R(ip->a) + R(ip->b) + (R(ip->c) & 1));
    NEXT(1);
}
HANDLER(addx64)
{
    R(ip->d) = R(ip->a) + R(ip->b) + (R(ip->c) & 1);
    NEXT(1);
}

/* DIVU and the like: (c:a) / b. Whoever makes them sees to it that the quotient fits. */
#define WIDE(half, type, ctype)                                                                    \
    ((type)(((ctype)(half)R(ip->c) << (4 * sizeof(type))) | (half)R(ip->a)))
#define DIVIDE(name, op, half, type, ctype)                                                        \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        R(ip->d) = (half)(WIDE(half, type, ctype) op(type)(half) R(ip->b));                        \
        NEXT(1);                                                                                   \
    }
#define DIVIDE_SIGNED(name, op, half, shalf, type, ctype)                                          \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        R(ip->d) = (half)(WIDE(half, type, ctype) op(type)(shalf) R(ip->b));                       \
        NEXT(1);                                                                                   \
    }
DIVIDE(divu32, /, uint32_t, uint64_t, uint64_t)
DIVIDE(remu32, %, uint32_t, uint64_t, uint64_t)
DIVIDE(divu64, /, uint64_t, unsigned __int128, unsigned __int128)
DIVIDE(remu64, %, uint64_t, unsigned __int128, unsigned __int128)
DIVIDE_SIGNED(divs32, /, uint32_t, int32_t, int64_t, uint64_t)
DIVIDE_SIGNED(rems32, %, uint32_t, int32_t, int64_t, uint64_t)
DIVIDE_SIGNED(divs64, /, uint64_t, int64_t, __int128, unsigned __int128)
DIVIDE_SIGNED(rems64, %, uint64_t, int64_t, __int128, unsigned __int128)

HANDLER(subx32)
{
    R(ip->d) = (uint32_t)(R(ip->a) - R(ip->b) - (R(ip->c) & 1));
    NEXT(1);
}
HANDLER(subx64)
{
    R(ip->d) = R(ip->a) - R(ip->b) - (R(ip->c) & 1);
    NEXT(1);
}

/* Lazy flags; d is the kind itself. */
HANDLER(cc_a)
{
    uint64_t a = R(ip->a);
    v->reg[TCG_REG_CC_OP] = ip->d;
    v->reg[TCG_REG_CC_A] = a;
    NEXT(1);
}
HANDLER(cc_ab)
{
    uint64_t a = R(ip->a), b = R(ip->b);
    v->reg[TCG_REG_CC_OP] = ip->d;
    v->reg[TCG_REG_CC_A] = a;
    v->reg[TCG_REG_CC_B] = b;
    NEXT(1);
}
HANDLER(cc_abc)
{
    uint64_t a = R(ip->a), b = R(ip->b), c = R(ip->c);
    v->reg[TCG_REG_CC_OP] = ip->d;
    v->reg[TCG_REG_CC_A] = a;
    v->reg[TCG_REG_CC_B] = b;
    v->reg[TCG_REG_CC_C] = c;
    NEXT(1);
}
HANDLER(cc_ai)
{
    uint64_t a = R(ip->a);
    v->reg[TCG_REG_CC_OP] = ip->d;
    v->reg[TCG_REG_CC_A] = a;
    v->reg[TCG_REG_CC_B] = (uint64_t)(int64_t)ip->imm;
    NEXT(1);
}

/* Fields of the vcpu (host byte order); imm is the byte offset. */
#define ENV_LOAD(name, type, conv)                                                                 \
    HANDLER(ldenv_##name)                                                                          \
    {                                                                                              \
        type x;                                                                                    \
        memcpy(&x, (char *)v + ip->imm, sizeof(x));                                                \
        R(ip->d) = conv x;                                                                         \
        NEXT(1);                                                                                   \
    }
ENV_LOAD(u8, uint8_t, )
ENV_LOAD(u16, uint16_t, )
ENV_LOAD(u32, uint32_t, )
ENV_LOAD(u64, uint64_t, )
ENV_LOAD(s8_32, int8_t, (uint32_t))
ENV_LOAD(s16_32, int16_t, (uint32_t))
ENV_LOAD(s8, int8_t, (uint64_t))
ENV_LOAD(s16, int16_t, (uint64_t))
ENV_LOAD(s32, int32_t, (uint64_t))

#define ENV_STORE(name, type)                                                                      \
    HANDLER(stenv_##name)                                                                          \
    {                                                                                              \
        type x = (type)R(ip->a);                                                                   \
        memcpy((char *)v + ip->imm, &x, sizeof(x));                                                \
        NEXT(1);                                                                                   \
    }                                                                                              \
    HANDLER(stenvi_##name)                                                                         \
    {                                                                                              \
        type x = (type)(int64_t)(int16_t)ip->a;                                                    \
        memcpy((char *)v + ip->imm, &x, sizeof(x));                                                \
        NEXT(1);                                                                                   \
    }
ENV_STORE(8, uint8_t)
ENV_STORE(16, uint16_t)
ENV_STORE(32, uint32_t)
ENV_STORE(64, uint64_t)

HANDLER(fence)
{
    atomic_thread_fence(memory_order_seq_cst);
    NEXT(1);
}
HANDLER(nop)
{
    NEXT(1);
}

const struct iop_misc iop_misc = {
    .movi32 = movi32,
    .movi64 = movi64,
    .bit = bit,
    .extract = extract,
    .deposit = deposit,
    .deposit0_8 = deposit0_8,
    .deposit8_8 = deposit8_8,
    .deposit0_16 = deposit0_16,
    .divide = {{divu32, divu64}, {remu32, remu64}, {divs32, divs64}, {rems32, rems64}},
    .addx = {addx32, addx64},
    .subx = {subx32, subx64},
    .cc_a = cc_a,
    .cc_ab = cc_ab,
    .cc_abc = cc_abc,
    .cc_ai = cc_ai,
    .ldenv = {ldenv_u8, ldenv_u16, ldenv_u32, ldenv_u64, ldenv_s8_32, ldenv_s16_32, ldenv_s8,
              ldenv_s16, ldenv_s32},
    .stenv = {stenv_8, stenv_16, stenv_32, stenv_64},
    .stenvi = {stenvi_8, stenvi_16, stenvi_32, stenvi_64},
    .fence = fence,
    .nop = nop,
};
