/* Random numbers and operands of every kind that are worth a try: edges of integers, floating-point
 * numbers with NaNs, denormals and infinities, x87 pseudo-formats. */
#ifndef TESTS_CPU_VALUES_H
#define TESTS_CPU_VALUES_H

#include <stdbool.h>
#include <stdint.h>

struct native_fx;
struct random {
    uint64_t state; /* not 0 */
};

static inline uint64_t random_next(struct random *r)
{
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return r->state * UINT64_C(0x2545f4914f6cdd1d);
}

static inline unsigned random_below(struct random *r, unsigned n)
{
    return (unsigned)((random_next(r) >> 32) * n >> 32);
}

static inline bool random_chance(struct random *r, unsigned percent)
{
    return random_below(r, 100) < percent;
}

/* A generator of its own for each (seed, a, b). */
struct random random_seeded(uint64_t seed, uint64_t a, uint64_t b);
uint64_t random_integer(struct random *r);
void random_vector(struct random *r, uint64_t v[4]);
/* An x87 register; integers: a number near those that integers can hold is likelier. */
void random_extended(struct random *r, uint64_t *mant, uint16_t *se);
/* A memory operand of size bytes for x87 code: real, integer or packed decimal. */
void random_x87_memory(struct random *r, unsigned size, uint8_t *out);
/* Vector, MMX and x87 state as a whole. mmx: the registers are rather integers. */
void random_fx(struct random *r, bool mmx, struct native_fx *fx);

#endif
