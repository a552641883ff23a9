/* struct error: see error.h. */
#include "host/error.h"

#include <stdio.h>
#include <string.h>

bool error_set(struct error *err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (err) {
        vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    }
    va_end(ap);
    return false;
}

bool error_prefix(struct error *err, const char *fmt, ...)
{
    char old[sizeof(err->msg)], head[sizeof(err->msg)];
    va_list ap;

    if (!err) {
        return false;
    }
    va_start(ap, fmt);
    vsnprintf(head, sizeof(head), fmt, ap);
    va_end(ap);
    memcpy(old, err->msg, sizeof(old));
    int n = snprintf(err->msg, sizeof(err->msg), "%s: ", head);
    if (n >= 0 && (size_t)n < sizeof(err->msg)) {
        snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, "%s", old);
    }
    return false;
}
