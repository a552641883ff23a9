/* The machine's log. */
#include "host/log.h"
#include "host/nearest.h"
#include "host/symbols.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct category {
    const char *name;
    unsigned bit;
    const char *help;
} categories[] = {
    {"guest_errors", LOG_GUEST_ERROR, "the guest does something undefined"},
    {"unimp", LOG_UNIMP, "the guest uses something that is not modelled"},
    {"int", LOG_INT, "interrupts and exceptions"},
    {"in_asm", LOG_IN_ASM, "guest code of each block"},
    {"op", LOG_OP, "IR of each block"},
    {"op_opt", LOG_OP_OPT, "IR of each block after optimization"},
    {"out_asm", LOG_OUT_ASM, "generated host code"},
    {"exec", LOG_EXEC, "each block that is entered by look-up"},
    {"cpu", LOG_CPU, "registers before each block"},
    {"mmu", LOG_MMU, "page walks that fault"},
    {"pcall", LOG_PCALL, "far jumps, calls and returns, task switches"},
    {"io", LOG_IO, "port accesses"},
    {"cpu_reset", LOG_RESET, "resets and what ends the machine"},
    {"stats", LOG_STATS, "statistics of the translator at the end"},
    {"trace:PATTERN", LOG_TRACE, "trace points of devices (-d trace:help lists them)"},
};
enum { NCATEGORIES = sizeof(categories) / sizeof(categories[0]) };

static unsigned find(const char *name)
{
    for (unsigned i = 0; i < NCATEGORIES; i++) {
        if (!strcmp(categories[i].name, name)) {
            return categories[i].bit;
        }
    }
    return strcmp(name, "reset") ? 0 : LOG_RESET;
}

/* Made by the linker: the trace points of all files. */
extern const struct trace_point __start_trace_points[] __attribute__((weak));
extern const struct trace_point __stop_trace_points[] __attribute__((weak));

static size_t count_traces(void)
{
    size_t n = (size_t)(__stop_trace_points - __start_trace_points);

    return n < LOG_MAX_TRACES ? n : LOG_MAX_TRACES;
}

bool log_trace_on(const struct log *log, const struct trace_point *tp)
{
    size_t n = (size_t)(tp - __start_trace_points);

    return n < LOG_MAX_TRACES &&
           atomic_load_explicit(&log->traces[n / 64], memory_order_relaxed) >> (n % 64) & 1;
}

static bool enable_traces(struct log *log, const char *pattern, struct error *err)
{
    size_t all = count_traces(), hits = 0;

    for (size_t n = 0; n < all; n++) {
        if (!fnmatch(pattern, __start_trace_points[n].name, 0)) {
            log->traces[n / 64] |= UINT64_C(1) << n % 64;
            hits++;
        }
    }
    log->mask |= LOG_TRACE;
    if (hits) {
        return true;
    }
    const char *near =
        nearest_name(pattern, &__start_trace_points[0].name, all, sizeof(struct trace_point));
    return error_set(err, "no trace point matches '%s'%s", pattern,
                     nearest_hint(near, "-d trace:help lists them").text);
}

char *log_trace_help(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    for (size_t n = 0; n < count_traces(); n++) {
        fprintf(f, "%-24s %s\n", __start_trace_points[n].name, __start_trace_points[n].format);
    }
    fclose(f);
    return text;
}

const char *log_symbol(const struct log *log, uint64_t addr, char *buf, size_t size)
{
    uint64_t offset;
    const char *name = log && log->symbols ? symbols_find(log->symbols, addr, &offset) : NULL;

    buf[0] = 0;
    if (name) {
        snprintf(buf, size, offset ? " <%s+%#llx>" : " <%s>", name, (unsigned long long)offset);
    }
    return buf;
}

bool log_parse(struct log *log, const char *list, struct error *err)
{
    char *copy = strdup(list), *save = NULL;
    bool ok = true;

    for (char *n = strtok_r(copy, ",", &save); ok && n; n = strtok_r(NULL, ",", &save)) {
        if (!strncmp(n, "trace:", 6)) {
            ok = enable_traces(log, n + 6, err);
            continue;
        }
        unsigned bit = find(n);
        if (!bit) {
            const char *near =
                nearest_name(n, &categories[0].name, NCATEGORIES, sizeof(categories[0]));
            ok = error_set(err, "unknown log category '%s'%s", n,
                           nearest_hint(near, "-d help lists them").text);
        }
        log->mask |= bit;
    }
    free(copy);
    return ok;
}

bool log_open(struct log *log, const char *path, struct error *err)
{
    FILE *f = fopen(path, "w");

    if (!f) {
        return error_set(err, "%s", strerror(errno));
    }
    setvbuf(f, NULL, _IOLBF, 0);
    log->out = f;
    return true;
}

void log_close(struct log *log)
{
    if (log->out && log->out != stderr) {
        fclose(log->out);
    }
    log->out = NULL;
    symbols_free(log->symbols);
    log->symbols = NULL;
}

char *log_help(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    for (unsigned i = 0; i < NCATEGORIES; i++) {
        fprintf(f, "%-14s %s\n", categories[i].name, categories[i].help);
    }
    fclose(f);
    return text;
}

void log_write(struct log *log, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(log->out ? log->out : stderr, fmt, ap);
    va_end(ap);
}
