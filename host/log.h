/* The machine's log: what the guest did wrong, what is not modelled, the -d categories, and trace
 * points. */
#ifndef HOST_LOG_H
#define HOST_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "host/error.h"

enum log_category {
    LOG_GUEST_ERROR = 1, /* guest did something undefined */
    LOG_UNIMP = 2,       /* guest used something that is not modelled */
    LOG_INT = 4,
    LOG_IN_ASM = 8,
    LOG_OP = 16,
    LOG_OUT_ASM = 32,
    LOG_EXEC = 64,
    LOG_CPU = 128,
    LOG_MMU = 256,
    LOG_PCALL = 512,
    LOG_IO = 1024,
    LOG_RESET = 2048,
    LOG_STATS = 4096,
    LOG_OP_OPT = 8192,
    LOG_TRACE = 16384,
};

struct symbols; /* host/symbols.h */

enum { LOG_MAX_TRACES = 512 };

struct log {
    atomic_uint mask;        /* enum log_category; a monitor may change it while others look */
    FILE *out;               /* stderr unless -D */
    struct symbols *symbols; /* of the guest's kernel, NULL: none; there before LOG_INT */
    _Atomic uint64_t traces[LOG_MAX_TRACES / 64]; /* bit n: trace point n is on; with LOG_TRACE */
};

static inline bool log_has(const struct log *log, unsigned category)
{
    return log && (atomic_load_explicit(&log->mask, memory_order_acquire) & category);
}

/* -d LIST; trace:PATTERN switches on the trace points whose names match (* and ?). */
bool log_parse(struct log *log, const char *list, struct error *err);
bool log_open(struct log *log, const char *path, struct error *err); /* -D FILE */
void log_close(struct log *log);
char *log_help(void); /* the categories with a line each; free() it */
void log_write(struct log *log, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Costs one test when the category is off. */
#define log_at(log, category, ...)                                                                 \
    do {                                                                                           \
        if (__builtin_expect(log_has((log), (category)), 0)) {                                     \
            log_write((log), __VA_ARGS__);                                                         \
        }                                                                                          \
    } while (0)
/* " <name+0x12>" of the symbol at or below addr, "" without symbols; buf is returned. */
const char *log_symbol(const struct log *log, uint64_t addr, char *buf, size_t size);

/* ---- trace points: log_trace(log, NAME, "format", ...) beside the code declares one and passes
 * it. Costs one test while none is on. Names are DEVICE_EVENT. ---- */
struct trace_point {
    const char *name, *format;
};
bool log_trace_on(const struct log *log, const struct trace_point *tp);
char *log_trace_help(void); /* -d trace:help; free() it */
#define log_trace(log, NAME, FORMAT, ...)                                                          \
    do {                                                                                           \
        static const struct trace_point trace_point_##NAME                                         \
            __attribute__((used, section("trace_points"))) = {#NAME, FORMAT};                      \
        if (__builtin_expect(log_has((log), LOG_TRACE), 0) &&                                      \
            log_trace_on((log), &trace_point_##NAME)) {                                            \
            log_write((log), #NAME " " FORMAT "\n", __VA_ARGS__);                                  \
        }                                                                                          \
    } while (0)

#endif
