/* The names that a person gives to devices, drives, networks and the like. */
#include "host/id.h"

#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

bool id_valid(const char *id)
{
    return *id && strchr(LETTERS, *id) && !id[strspn(id, LETTERS "0123456789-._")];
}

bool id_check(const char *key, const char *id, struct error *err)
{
    if (!id || !*id) {
        return error_set(err, "%s= is missing", key);
    }
    return id_valid(id) ||
           error_set(err,
                     "%s=%s: it must start with a letter, and have only letters, digits, '-', '.' "
                     "and '_'",
                     key, id);
}
