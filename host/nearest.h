/* "did you mean": the known name closest to what the person typed. */
#ifndef HOST_NEAREST_H
#define HOST_NEAREST_H

#include <stddef.h>

/* Edit distance (insert, delete, replace, swap of neighbours each cost 1), ignoring case. */
unsigned nearest_distance(const char *a, const char *b);

/* The name among names[0..n) closest to want, or NULL when none is near enough to be meant.
 * stride: distance in bytes between the name pointers, so that tables of structs can be walked. */
const char *nearest_name(const char *want, const void *names, size_t n, size_t stride);

/* What is said after the message that something is unknown: " (did you mean 'NEAR'?)", or
 * " (OTHERWISE)" when nothing is near; nothing when that is NULL too. */
struct nearest_hint {
    char text[200];
};
struct nearest_hint nearest_hint(const char *near, const char *otherwise);

#endif
