/* Names of translated blocks for Linux's perf: -perfmap and -jitdump. */
#ifndef TCG_PERF_H
#define TCG_PERF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct perf;
struct symbols;
struct tb;
struct tcg;

/* map: /tmp/perf-PID.map; dump: jit-PID.dump in the current folder. symbols: borrowed, may be NULL.
 */
struct perf *perf_open(bool map, bool dump, const struct symbols *symbols, struct error *err);
void perf_close(struct perf *p); /* NULL is fine */
/* tb, whose code begins at linear address `linear`, was generated. Under t->lock, as all of these.
 */
void perf_block(struct perf *p, const struct tb *tb, uint64_t linear);
/* Code that is no block's; where it is run, and where its bytes can be read. */
void perf_code(struct perf *p, const char *name, const void *run, const void *bytes, size_t size);

#endif
