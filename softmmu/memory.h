/* The guest physical address space: RAM, ROM and MMIO laid over each other.
 *
 * Mappings have a priority; where they overlap the higher one is seen. From them one flat sorted
 * view is made for each of two address spaces: VIEW_NORMAL and VIEW_SMM (system management mode
 * sees SMRAM where others see the VGA hole). Changes are made under the machine lock; they flush
 * every vcpu's TLB. Look-up by page is O(1).
 *
 * I/O ports are a second, smaller space of 65536 ports in the same terms. */
#ifndef SOFTMMU_MEMORY_H
#define SOFTMMU_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

struct machine;
struct memory;
struct mapping;

/* Device registers, reached through memory or ports. offset counts from the start of the mapping.
 * Accesses outside min..max bytes (powers of two, 0 means 1 and 8) are split into several or done
 * as a wider read with the wanted part returned; a write narrower than min is passed as it is
 * with its own size. Called with the machine lock held. Reads return all ones where nothing is. */
struct mmio_ops {
    uint64_t (*read)(void *opaque, uint64_t offset, unsigned size);
    void (*write)(void *opaque, uint64_t offset, uint64_t value, unsigned size);
    uint8_t min, max;
};

/* A block of guest RAM (or ROM contents). */
struct ram {
    char name[32];
    uint8_t *host;       /* page aligned */
    uint64_t size;       /* bytes, multiple of 4096 */
    uint8_t *page_flags; /* one byte a page: who may write to it (softmmu/internal.h), atomic */
    uint8_t *clean;      /* one byte a page: 1: not written since ram_take_dirty(); atomic */
    uint64_t
        *code_map; /* one word a page: bit n: translated code in its 64 bytes from 64 * n; atomic */
    struct machine *machine;
};

enum { VIEW_NORMAL, VIEW_SMM, NVIEWS };
enum { IN_NORMAL = 1, IN_SMM = 2, IN_BOTH = 3 };

struct memory *memory_create(struct machine *m);
void memory_destroy(struct memory *mem);

/* Allocates zeroed RAM; size is rounded up to 4096. Owned by the memory. */
struct ram *memory_ram_create(struct memory *mem, const char *name, uint64_t size,
                              struct error *err);

/* Mappings; owned by the memory. base and size in bytes; RAM mappings are page aligned, MMIO need
 * not be. views: IN_*. The result is never NULL (allocation failure aborts). */
struct mapping *memory_map_ram(struct memory *mem, unsigned views, uint64_t base, uint64_t size,
                               struct ram *ram, uint64_t ram_offset, bool readonly, int priority);
struct mapping *memory_map_mmio(struct memory *mem, unsigned views, uint64_t base, uint64_t size,
                                const char *name, const struct mmio_ops *ops, void *opaque,
                                int priority);
void mapping_set_enabled(struct mapping *map, bool enabled);
void mapping_set_readonly(struct mapping *map, bool readonly); /* RAM: writes go nowhere */
void mapping_move(struct mapping *map, uint64_t base);
void mapping_remove(struct mapping *map);

/* Several changes in one go: the view is rebuilt at the last commit. */
void memory_begin(struct memory *mem);
void memory_commit(struct memory *mem);

/* I/O ports; the same ops. A later registration of a port wins until it is removed. */
struct mapping *ioport_map(struct memory *mem, uint16_t base, unsigned count, const char *name,
                           const struct mmio_ops *ops, void *opaque);
uint64_t ioport_read(struct memory *mem, uint16_t port, unsigned size);              /* locked */
void ioport_write(struct memory *mem, uint16_t port, uint64_t value, unsigned size); /* locked */

/* Access by devices (DMA), loaders and debuggers; VIEW_NORMAL. RAM is copied, MMIO dispatched in
 * pieces. Return false when part of the range is nothing (reads as all ones) or read only
 * (skipped). Writes mark dirty pages and invalidate translated code. rom: also write read-only RAM
 * (loaders). */
bool memory_read(struct memory *mem, uint64_t phys, void *buf, uint64_t len);
bool memory_write(struct memory *mem, uint64_t phys, const void *buf, uint64_t len);
bool memory_write_rom(struct memory *mem, uint64_t phys, const void *buf, uint64_t len);
uint16_t memory_read16(struct memory *mem, uint64_t phys); /* little endian */
uint32_t memory_read32(struct memory *mem, uint64_t phys);
uint64_t memory_read64(struct memory *mem, uint64_t phys);
void memory_write16(struct memory *mem, uint64_t phys, uint16_t value);
void memory_write32(struct memory *mem, uint64_t phys, uint32_t value);
void memory_write64(struct memory *mem, uint64_t phys, uint64_t value);

/* For rings shared with running processors: one aligned 16-bit access each (little endian), a load
 * that acquires and a store that releases. False when the place is not RAM (or not aligned). */
bool memory_load16_acquire(struct memory *mem, uint64_t phys, uint16_t *value);
bool memory_store16_release(struct memory *mem, uint64_t phys, uint16_t value);
/* Host memory behind the start of [phys, phys + len), for transfers that other threads carry out:
 * *n is how much of it lies there in one piece (RAM stays where it is as long as the machine
 * lives). NULL: not RAM, or read only and write is asked for. After a write, memory_written() tells
 * the translator. */
void *memory_ram_pointer(struct memory *mem, uint64_t phys, uint64_t len, bool write, uint64_t *n);
void memory_written(struct memory *mem, uint64_t phys, uint64_t len);
/* Copy like memory_read and memory_write, but only what lies in RAM: the bytes before the first
 * that does not. For devices whose own registers must not be reached (they would call themselves).
 */
uint64_t memory_read_ram(struct memory *mem, uint64_t phys, void *buf, uint64_t len);
uint64_t memory_write_ram(struct memory *mem, uint64_t phys, const void *buf, uint64_t len);
/* Gives the whole pages of RAM in the range back to the host; they read as zeros from now on. */
void memory_discard(struct memory *mem, uint64_t phys, uint64_t len);

/* Which pages of RAM were written, for displays. Takes the n pages from page number first: dirty[i]
 * is set to 1 (others are left as they are) for those written since the last take, which are clean
 * from now on; true: there were some. A processor may still write to a page that was taken without
 * being noticed until it has flushed its TLB: whoever copies pages has to copy those once more
 * after ram_dirty_settled() has said true. Lock held. */
bool ram_take_dirty(struct ram *ram, uint64_t first, uint64_t n, uint8_t *dirty);
bool ram_dirty_settled(struct ram *ram);
/* A device wrote to it by its host address. */
void ram_mark_dirty(struct ram *ram, uint64_t offset, uint64_t len);

/* Single physical accesses in a given view (page walker, MMIO from vcpus, SMM state save). They
 * take the machine lock for MMIO themselves. size 1, 2, 4, 8. */
uint64_t memory_view_load(struct memory *mem, unsigned view, uint64_t phys, unsigned size);
void memory_view_store(struct memory *mem, unsigned view, uint64_t phys, uint64_t value,
                       unsigned size);
/* Host address of [phys, phys + size) when all of it is one piece of RAM or ROM, for reading; else
 * NULL. Good until the vcpu's TLB is flushed. */
uint8_t *memory_view_ram(struct memory *mem, unsigned view, uint64_t phys, uint64_t size);
/* Atomic 32/64-bit compare and swap on RAM for accessed/dirty bits; false when it lost the race or
 * when the place is not RAM (then *seen is what a load gives). */
bool memory_view_cmpxchg(struct memory *mem, unsigned view, uint64_t phys, uint64_t expect,
                         uint64_t value, unsigned size, uint64_t *seen);

/* What comes next in VIEW_NORMAL at or above *start, as [*start, *end); false: nothing. */
enum memory_kind { MEMORY_RAM, MEMORY_ROM, MEMORY_IO };
bool memory_next(struct memory *mem, uint64_t *start, uint64_t *end, enum memory_kind *kind);

/* Human-readable map for `info mtree`, to be freed with free(). */
char *memory_describe(struct memory *mem);

#endif
