/* GDB's agent expressions, from appendix F "The GDB Agent Expression Mechanism" of GDB's manual: a
 * stack machine on 64-bit integers. Left out: floating point, tracing, trace state variables,
 * printf; GDB uses none of them in conditions of breakpoints. */
#include "control/gdb_agent.h"

#include <string.h>

enum { STACK = 64, MAX_STEPS = 10000 };

enum opcode {
    OP_ADD = 0x02,
    OP_SUB,
    OP_MUL,
    OP_DIV_SIGNED,
    OP_DIV_UNSIGNED,
    OP_REM_SIGNED,
    OP_REM_UNSIGNED,
    OP_LSH,
    OP_RSH_SIGNED,
    OP_RSH_UNSIGNED,
    OP_LOG_NOT = 0x0e,
    OP_AND,
    OP_OR,
    OP_XOR,
    OP_NOT,
    OP_EQUAL,
    OP_LESS_SIGNED,
    OP_LESS_UNSIGNED,
    OP_EXT,
    OP_REF8,
    OP_REF16,
    OP_REF32,
    OP_REF64,
    OP_IF_GOTO = 0x20,
    OP_GOTO,
    OP_CONST8,
    OP_CONST16,
    OP_CONST32,
    OP_CONST64,
    OP_REG,
    OP_END,
    OP_DUP,
    OP_POP,
    OP_ZERO_EXT,
    OP_SWAP,
    OP_PICK = 0x32,
    OP_ROT,
};

struct agent {
    const uint8_t *code;
    size_t len, pc;
    const struct gdb_agent_ops *ops;
    uint64_t stack[STACK];
    unsigned n;
};

/* An operand of the instruction, big endian. */
static bool operand(struct agent *a, unsigned bytes, uint64_t *value)
{
    *value = 0;
    if (a->len - a->pc < bytes) {
        return false;
    }
    for (unsigned i = 0; i < bytes; i++) {
        *value = *value << 8 | a->code[a->pc++];
    }
    return true;
}

static bool push(struct agent *a, uint64_t value)
{
    if (a->n >= STACK) {
        return false;
    }
    a->stack[a->n++] = value;
    return true;
}

static bool divide(struct agent *a, unsigned op, uint64_t x, uint64_t y)
{
    int64_t sx = (int64_t)x, sy = (int64_t)y;

    if (!y) {
        return false;
    }
    if (sy == -1 && (op == OP_DIV_SIGNED || op == OP_REM_SIGNED)) {
        return push(a, op == OP_DIV_SIGNED ? 0 - x : 0); /* the one that overflows */
    }
    return push(a, op == OP_DIV_SIGNED     ? (uint64_t)(sx / sy)
                   : op == OP_DIV_UNSIGNED ? x / y
                   : op == OP_REM_SIGNED   ? (uint64_t)(sx % sy)
                                           : x % y);
}

static bool binary(struct agent *a, unsigned op)
{
    if (a->n < 2) {
        return false;
    }
    uint64_t y = a->stack[--a->n], x = a->stack[--a->n];
    switch (op) {
    case OP_ADD:
        return push(a, x + y);
    case OP_SUB:
        return push(a, x - y);
    case OP_MUL:
        return push(a, x * y);
    case OP_LSH:
        return push(a, y < 64 ? x << y : 0);
    case OP_RSH_SIGNED:
        return push(a, (uint64_t)((int64_t)x >> (y < 64 ? y : 63)));
    case OP_RSH_UNSIGNED:
        return push(a, y < 64 ? x >> y : 0);
    case OP_AND:
        return push(a, x & y);
    case OP_OR:
        return push(a, x | y);
    case OP_XOR:
        return push(a, x ^ y);
    case OP_EQUAL:
        return push(a, x == y);
    case OP_LESS_SIGNED:
        return push(a, (int64_t)x < (int64_t)y);
    case OP_LESS_UNSIGNED:
        return push(a, x < y);
    case OP_SWAP:
        return push(a, y) && push(a, x);
    default:
        return divide(a, op, x, y);
    }
}

static bool reference(struct agent *a, unsigned bytes)
{
    uint8_t buf[8];
    uint64_t value = 0;

    if (!a->n || !a->ops->read_mem(a->ops->opaque, a->stack[--a->n], buf, bytes)) {
        return false;
    }
    for (unsigned i = bytes; i--;) {
        value = value << 8 | buf[i];
    }
    return push(a, value);
}

static bool extend(struct agent *a, bool sign)
{
    uint64_t bits;

    if (!operand(a, 1, &bits) || !a->n || bits == 0 || bits > 64) {
        return false;
    }
    uint64_t v = a->stack[a->n - 1] << (64 - bits);
    a->stack[a->n - 1] = sign ? (uint64_t)((int64_t)v >> (64 - bits)) : v >> (64 - bits);
    return true;
}

static bool jump(struct agent *a, bool conditional)
{
    uint64_t to;

    if (!operand(a, 2, &to) || (conditional && !a->n)) {
        return false;
    }
    if (!conditional || a->stack[--a->n]) {
        a->pc = to;
    }
    return true;
}

static bool step(struct agent *a, unsigned op)
{
    uint64_t x;

    switch (op) {
    case OP_LOG_NOT:
    case OP_NOT:
        if (!a->n) {
            return false;
        }
        x = a->stack[--a->n];
        return push(a, op == OP_NOT ? ~x : !x);
    case OP_REF8:
    case OP_REF16:
    case OP_REF32:
    case OP_REF64:
        return reference(a, 1u << (op - OP_REF8));
    case OP_CONST8:
    case OP_CONST16:
    case OP_CONST32:
    case OP_CONST64:
        return operand(a, 1u << (op - OP_CONST8), &x) && push(a, x);
    case OP_REG:
        return operand(a, 2, &x) && a->ops->read_reg(a->ops->opaque, (unsigned)x, &x) && push(a, x);
    case OP_IF_GOTO:
    case OP_GOTO:
        return jump(a, op == OP_IF_GOTO);
    case OP_EXT:
    case OP_ZERO_EXT:
        return extend(a, op == OP_EXT);
    case OP_DUP:
        return a->n && push(a, a->stack[a->n - 1]);
    case OP_POP:
        return a->n && a->n--;
    case OP_PICK:
        return operand(a, 1, &x) && x < a->n && push(a, a->stack[a->n - 1 - x]);
    case OP_ROT: /* a b c -> c a b */
        if (a->n < 3) {
            return false;
        }
        x = a->stack[a->n - 1];
        memmove(&a->stack[a->n - 2], &a->stack[a->n - 3], 2 * sizeof(x));
        a->stack[a->n - 3] = x;
        return true;
    default:
        if ((op >= OP_ADD && op <= OP_RSH_UNSIGNED) || (op >= OP_AND && op <= OP_LESS_UNSIGNED) ||
            op == OP_SWAP) {
            return binary(a, op);
        }
        return false;
    }
}

bool gdb_agent_eval(const uint8_t *code, size_t len, const struct gdb_agent_ops *ops,
                    uint64_t *result)
{
    struct agent a = {.code = code, .len = len, .ops = ops};

    for (unsigned steps = 0; steps < MAX_STEPS && a.pc < len; steps++) {
        unsigned op = code[a.pc++];
        if (op == OP_END) {
            *result = a.n ? a.stack[a.n - 1] : 0;
            return a.n;
        }
        if (!step(&a, op)) {
            return false;
        }
    }
    return false;
}
