/* struct error: how a failure travels back to the person. Every function that can fail for a reason
 * outside the program takes a struct error * and returns false (or NULL) after filling it. */
#ifndef HOST_ERROR_H
#define HOST_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

struct error {
    char msg[512]; /* one line, no newline at the end; empty while nothing went wrong */
};

/* Sets the message and returns false, so that a caller can write `return error_set(err, ...)`. */
bool error_set(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "text: " before the message that is there; returns false. */
bool error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
