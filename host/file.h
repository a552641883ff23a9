/* Whole files in memory. */
#ifndef HOST_FILE_H
#define HOST_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

/* Reads a regular file of at most 4 GiB; *data is to be freed. An empty file is an error. The
 * message names the file. */
bool file_read(const char *path, uint8_t **data, size_t *len, struct error *err);
/* Opens such a file to read it later; *fd is to be closed. */
bool file_open(const char *path, int *fd, size_t *len, struct error *err);

#endif
