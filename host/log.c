/* The machine's log. */
#include "host/log.h"
#include "host/nearest.h"

#include <errno.h>
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
    {"out_asm", LOG_OUT_ASM, "generated host code"},
    {"exec", LOG_EXEC, "each block that is entered by look-up"},
    {"cpu", LOG_CPU, "registers before each block"},
    {"mmu", LOG_MMU, "page walks that fault"},
    {"pcall", LOG_PCALL, "far calls and task switches"},
    {"io", LOG_IO, "port accesses"},
    {"cpu_reset", LOG_RESET, "resets and what ends the machine"},
    {"stats", LOG_STATS, "statistics of the translator at the end"},
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

bool log_parse(struct log *log, const char *list, struct error *err)
{
    char *copy = strdup(list), *save = NULL;
    bool ok = true;

    for (char *n = strtok_r(copy, ",", &save); ok && n; n = strtok_r(NULL, ",", &save)) {
        unsigned bit = find(n);
        if (!bit) {
            const char *near =
                nearest_name(n, &categories[0].name, NCATEGORIES, sizeof(categories[0]));
            ok =
                error_set(err, "unknown log category '%s'%s%s%s", n, near ? " (did you mean '" : "",
                          near ? near : "", near ? "'?)" : " (-d help lists them)");
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
