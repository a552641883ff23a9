/* The machine's log: what the guest did wrong, what is not modelled, and the -d categories. */
#ifndef HOST_LOG_H
#define HOST_LOG_H

#include <stdbool.h>
#include <stdio.h>

#include "host/error.h"

enum log_category {
    LOG_GUEST_ERROR = 1,  /* guest did something undefined */
    LOG_UNIMP = 2,        /* guest used something that is not modelled */
    LOG_INT = 4, LOG_IN_ASM = 8, LOG_OP = 16, LOG_OUT_ASM = 32, LOG_EXEC = 64, LOG_CPU = 128,
    LOG_MMU = 256, LOG_PCALL = 512, LOG_IO = 1024, LOG_RESET = 2048, LOG_STATS = 4096,
};

struct log {
    unsigned mask; /* enum log_category */
    FILE *out;     /* stderr unless -D */
};

bool log_parse(struct log *log, const char *list, struct error *err); /* -d LIST */
bool log_open(struct log *log, const char *path, struct error *err);  /* -D FILE */
void log_close(struct log *log);
char *log_help(void); /* the categories with a line each; free() it */
void log_write(struct log *log, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Costs one test when the category is off. */
#define log_at(log, category, ...)                                                                 \
    do {                                                                                           \
        if (__builtin_expect((log) && ((log)->mask & (category)), 0)) {                            \
            log_write((log), __VA_ARGS__);                                                         \
        }                                                                                          \
    } while (0)

#endif
