/* The names that a person gives to devices, drives, networks and the like. */
#ifndef HOST_ID_H
#define HOST_ID_H

#include "host/error.h"

/* A letter, then letters, digits, '-', '.' and '_'. What the program names itself ("#net0") is
 * never one. */
bool id_valid(const char *id);
/* Sets an error when the value of `key` (NULL: it was not given) is no such name. */
bool id_check(const char *key, const char *id, struct error *err);

#endif
