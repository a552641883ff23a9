/* The x87 unit: register stack, status, conversions; used by emit_x87.c. */
#ifndef CPU_X87_H
#define CPU_X87_H

#include "cpu/x86.h"
#include "tcg/fp80.h"
#include "tcg/softfloat.h"

enum {
    SW_IE = 1,
    SW_SF = 0x40,
    SW_ES = 0x80,
    SW_C0 = 0x100,
    SW_C1 = 0x200,
    SW_C2 = 0x400,
    SW_C3 = 0x4000,
    SW_B = 0x8000
};

/* For executors that compute with the host's unit (tcg/fp80.h): where the state is. */
extern const struct fp80_layout x87_layout;
/* Exceptions are unmasked or pending. */
static inline bool x87_odd(const struct x86_cpu *c)
{
    return (c->fp_cw & FP_ALL) != FP_ALL || (c->fp_sw & SW_ES);
}

/* Raises #MF (or asserts FERR#) when an unmasked exception is pending: first thing of each waiting
 * one. */
void x87_check(struct x86_cpu *c);
struct fpenv x87_env(const struct x86_cpu *c);
/* Adds flags to the status word; returns false when an unmasked one forbids storing the result. */
bool x87_flags(struct x86_cpu *c, uint8_t flags);
/* The same for a rounded result: C1 tells its direction. */
bool x87_result(struct x86_cpu *c, const struct fpenv *env);
bool x87_empty(const struct x86_cpu *c, unsigned i);
struct sf80 x87_get(const struct x86_cpu *c, unsigned i);
void x87_set(struct x86_cpu *c, unsigned i, struct sf80 x);
void x87_pop(struct x86_cpu *c);
/* Stack underflow (or overflow): sets IE, SF, C1; true when it is masked and the result is the
 * default NaN. */
bool x87_stack_fault(struct x86_cpu *c, bool overflow);
void x87_push(struct x86_cpu *c, struct sf80 x);
struct sf80 x87_default_nan(void);
/* Transcendental and remainder instructions of the D9 group by opcode byte D9 F0..FF. */
void x87_function(struct x86_cpu *c, unsigned op);
void x87_store_env(struct x86_cpu *c, uint64_t linear, unsigned opsize, unsigned ctx);
void x87_load_env(struct x86_cpu *c, uint64_t linear, unsigned opsize, unsigned ctx);
void x87_save(struct x86_cpu *c, uint64_t linear, unsigned opsize, unsigned ctx);
void x87_restore(struct x86_cpu *c, uint64_t linear, unsigned opsize, unsigned ctx);

/* x87_pointers.c: an unmasked exception was found by the running instruction; and: a block was left
 * at pc whose fault map has meta. */
void x87_pointers_exception(struct x86_cpu *c);
void x87_pointers_restore(struct x86_cpu *c, uint64_t pc, uint64_t meta);

#endif
