/* Names of addresses: from a System.map or an ELF file's symbol table. */
#ifndef HOST_SYMBOLS_H
#define HOST_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

#include "host/error.h"

struct symbols;

struct symbols *symbols_load(const char *path,
                             struct error *err); /* either kind, by its contents */
struct symbols *symbols_load_elf(const char *path, struct error *err); /* err may be NULL */
void symbols_free(struct symbols *s);                                  /* NULL is fine */
/* The nearest symbol at or below addr, and how far addr is behind it; NULL: none within 16 MiB. */
const char *symbols_find(const struct symbols *s, uint64_t addr, uint64_t *offset);
/* The address of a name (the lowest, when there are several of it). False: there is none. */
bool symbols_address(const struct symbols *s, const char *name, uint64_t *addr);

#endif
