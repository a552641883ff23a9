/* Accesses to the physical address space: copies, words that other threads look at, single accesses
 * in a view. */
#include "softmmu/memory_internal.h"

#include "host/le.h"
#include "host/log.h"
#include "tcg/tcg.h"

#include <endian.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

/* ---- device registers ---- */

static uint64_t read_piece(const struct mapping *m, uint64_t off, unsigned size)
{
    unsigned min = m->ops->min ? m->ops->min : 1;

    if (size >= min) {
        return m->ops->read(m->opaque, off, size) & ones(size);
    }
    uint64_t base = off & ~(uint64_t)(min - 1);
    return m->ops->read(m->opaque, base, min) >> 8 * (off - base) & ones(size);
}

uint64_t memory_mmio_read(const struct mapping *m, uint64_t off, unsigned size)
{
    unsigned max = m->ops->max ? m->ops->max : 8;
    uint64_t v = 0;

    if (!m->ops->read) {
        return ones(size);
    }
    for (unsigned done = 0; done < size;) {
        unsigned n = size - done < max ? size - done : max;
        v |= read_piece(m, off + done, n) << 8 * done;
        done += n;
    }
    return v;
}

void memory_mmio_write(const struct mapping *m, uint64_t off, uint64_t value, unsigned size)
{
    unsigned max = m->ops->max ? m->ops->max : 8;

    if (!m->ops->write) {
        return;
    }
    for (unsigned done = 0; done < size;) {
        unsigned n = size - done < max ? size - done : max;
        m->ops->write(m->opaque, off + done, value >> 8 * done & ones(n), n);
        done += n;
    }
}

/* Locks unless this thread has the lock already; returns what to pass to unlock_if. */
static bool lock_if(struct machine *m)
{
    if (machine_lock_held(m)) {
        return false;
    }
    machine_lock(m);
    return true;
}

static void unlock_if(struct machine *m, bool locked)
{
    if (locked) {
        machine_unlock(m);
    }
}

/* ---- RAM pieces ---- */

static uint8_t *ram_at(const struct range *r, uint64_t phys, uint64_t *offset)
{
    *offset = r->map->ram_offset + (phys - r->map->base);
    return r->map->ram->host + *offset;
}

/* RAM has changed under the translator's feet, and pages are dirty. */
static void ram_changed(struct memory *mem, const struct range *r, uint64_t phys, uint64_t len)
{
    uint64_t offset;

    ram_at(r, phys, &offset);
    /* A translation marks the page, then reads it: it sees the new bytes, or is seen here. */
    atomic_thread_fence(memory_order_seq_cst);
    for (uint64_t page = offset >> 12; page <= (offset + len - 1) >> 12; page++) {
        page_written(r->map->ram, page);
    }
    for (uint64_t page = offset >> 12; page <= (offset + len - 1) >> 12; page++) {
        if (atomic_load_explicit((_Atomic uint64_t *)&r->map->ram->code_map[page],
                                 memory_order_relaxed)) {
            tcg_invalidate(mem->machine->tcg, phys, len);
            break;
        }
    }
}

static void ram_write(struct memory *mem, const struct range *r, uint64_t phys, const void *buf,
                      uint64_t len)
{
    uint64_t offset;

    memcpy(ram_at(r, phys, &offset), buf, len);
    ram_changed(mem, r, phys, len);
}

static bool access_range(struct memory *mem, uint64_t phys, uint8_t *buf, uint64_t len, bool write,
                         bool rom)
{
    bool ok = true;

    while (len) {
        const struct range *r = memory_find(mem, VIEW_NORMAL, phys);
        uint64_t n = r ? r->end - phys : 1, offset;
        n = n < len ? n : len;
        if (!r) {
            n = 1;
            ok = false;
            if (!write) {
                *buf = 0xff;
            }
        } else if (r->map->ram) {
            if (!write) {
                memcpy(buf, ram_at(r, phys, &offset), n);
            } else if (!r->map->readonly || rom) {
                ram_write(mem, r, phys, buf, n);
            } else {
                ok = false;
            }
        } else {
            unsigned piece = n >= 8 && phys % 8 == 0   ? 8
                             : n >= 4 && phys % 4 == 0 ? 4
                             : n >= 2 && phys % 2 == 0 ? 2
                                                       : 1;
            uint64_t v = 0;
            n = piece;
            if (write) {
                for (unsigned i = 0; i < piece; i++) {
                    v |= (uint64_t)buf[i] << 8 * i;
                }
                memory_view_store(mem, VIEW_NORMAL, phys, v, piece);
            } else {
                v = memory_view_load(mem, VIEW_NORMAL, phys, piece);
                for (unsigned i = 0; i < piece; i++) {
                    buf[i] = (uint8_t)(v >> 8 * i);
                }
            }
        }
        phys += n;
        buf += n;
        len -= n;
    }
    return ok;
}

bool memory_read(struct memory *mem, uint64_t phys, void *buf, uint64_t len)
{
    return access_range(mem, phys, buf, len, false, false);
}

bool memory_write(struct memory *mem, uint64_t phys, const void *buf, uint64_t len)
{
    return access_range(mem, phys, (uint8_t *)(uintptr_t)buf, len, true, false);
}

bool memory_write_rom(struct memory *mem, uint64_t phys, const void *buf, uint64_t len)
{
    return access_range(mem, phys, (uint8_t *)(uintptr_t)buf, len, true, true);
}

static uint64_t read_le(struct memory *mem, uint64_t phys, unsigned n)
{
    uint8_t b[8];
    uint64_t v = 0;

    memory_read(mem, phys, b, n);
    while (n--) {
        v = v << 8 | b[n];
    }
    return v;
}

static void write_le(struct memory *mem, uint64_t phys, uint64_t v, unsigned n)
{
    uint8_t b[8];

    for (unsigned i = 0; i < n; i++) {
        b[i] = (uint8_t)(v >> 8 * i);
    }
    memory_write(mem, phys, b, n);
}

uint16_t memory_read16(struct memory *mem, uint64_t phys)
{
    return (uint16_t)read_le(mem, phys, 2);
}

uint32_t memory_read32(struct memory *mem, uint64_t phys)
{
    return (uint32_t)read_le(mem, phys, 4);
}

uint64_t memory_read64(struct memory *mem, uint64_t phys)
{
    return read_le(mem, phys, 8);
}

void memory_write16(struct memory *mem, uint64_t phys, uint16_t value)
{
    write_le(mem, phys, value, 2);
}

void memory_write32(struct memory *mem, uint64_t phys, uint32_t value)
{
    write_le(mem, phys, value, 4);
}

void memory_write64(struct memory *mem, uint64_t phys, uint64_t value)
{
    write_le(mem, phys, value, 8);
}

/* ---- memory shared with running processors and other threads ---- */

/* The range of aligned RAM at phys, NULL: none. */
static const struct range *shared_word(struct memory *mem, uint64_t phys, bool write)
{
    const struct range *r = memory_find(mem, VIEW_NORMAL, phys);
    bool usable =
        r && !(phys & 1) && r->end - phys >= 2 && r->map->ram && !(write && r->map->readonly);

    return usable ? r : NULL;
}

bool memory_load16_acquire(struct memory *mem, uint64_t phys, uint16_t *value)
{
    const struct range *r = shared_word(mem, phys, false);
    uint64_t offset;

    if (!r) {
        return false;
    }
    *value =
        le16toh(__atomic_load_n((uint16_t *)(void *)ram_at(r, phys, &offset), __ATOMIC_ACQUIRE));
    return true;
}

bool memory_store16_release(struct memory *mem, uint64_t phys, uint16_t value)
{
    const struct range *r = shared_word(mem, phys, true);
    uint64_t offset;

    if (!r) {
        return false;
    }
    __atomic_store_n((uint16_t *)(void *)ram_at(r, phys, &offset), htole16(value),
                     __ATOMIC_RELEASE);
    ram_changed(mem, r, phys, 2);
    return true;
}

void *memory_ram_pointer(struct memory *mem, uint64_t phys, uint64_t len, bool write, uint64_t *n)
{
    const struct range *r = memory_find(mem, VIEW_NORMAL, phys);
    uint64_t offset;

    if (!r || !r->map->ram || (write && r->map->readonly)) {
        return NULL;
    }
    *n = r->end - phys < len ? r->end - phys : len;
    return ram_at(r, phys, &offset);
}

void memory_written(struct memory *mem, uint64_t phys, uint64_t len)
{
    while (len) {
        const struct range *r = memory_find(mem, VIEW_NORMAL, phys);
        uint64_t n = r ? r->end - phys : 1;
        n = n < len ? n : len;
        if (r && r->map->ram) {
            ram_changed(mem, r, phys, n);
        }
        phys += n;
        len -= n;
    }
}

uint64_t memory_read_ram(struct memory *mem, uint64_t phys, void *buf, uint64_t len)
{
    uint64_t done = 0, n;

    while (done < len) {
        const void *p = memory_ram_pointer(mem, phys + done, len - done, false, &n);
        if (!p) {
            break;
        }
        memcpy((uint8_t *)buf + done, p, n);
        done += n;
    }
    return done;
}

uint64_t memory_write_ram(struct memory *mem, uint64_t phys, const void *buf, uint64_t len)
{
    uint64_t done = 0, n;

    while (done < len) {
        void *p = memory_ram_pointer(mem, phys + done, len - done, true, &n);
        if (!p) {
            break;
        }
        memcpy(p, (const uint8_t *)buf + done, n);
        memory_written(mem, phys + done, n);
        done += n;
    }
    return done;
}

void memory_discard(struct memory *mem, uint64_t phys, uint64_t len)
{
    while (len) {
        const struct range *r = memory_find(mem, VIEW_NORMAL, phys);
        uint64_t n = r ? r->end - phys : 4096 - (phys & 4095), offset;
        n = n < len ? n : len;
        if (r && r->map->ram && !r->map->readonly) {
            uint8_t *p = ram_at(r, phys, &offset);
            uint64_t skip = -(uintptr_t)p & 4095,
                     whole = n > skip ? (n - skip) & ~UINT64_C(4095) : 0;
            if (whole && madvise(p + skip, whole, MADV_DONTNEED) == 0) {
                ram_changed(mem, r, phys + skip, whole);
            }
        }
        phys += n;
        len -= n;
    }
}

/* ---- single accesses in a view ---- */

/* An access that crosses the end of a range is done byte by byte. */
static bool crosses(const struct range *r, uint64_t phys, unsigned size)
{
    return size > 1 && (r ? r->end - phys < size : (phys & 7) + size > 8);
}

uint8_t *memory_view_ram(struct memory *mem, unsigned view, uint64_t phys, uint64_t size)
{
    const struct range *r = memory_find(mem, view, phys);
    uint64_t offset;

    return r && r->map->ram && r->end - phys >= size ? ram_at(r, phys, &offset) : NULL;
}

uint64_t memory_view_load(struct memory *mem, unsigned view, uint64_t phys, unsigned size)
{
    const struct range *r = memory_find(mem, view, phys);
    uint64_t offset, v = 0;

    if (crosses(r, phys, size)) {
        for (unsigned i = 0; i < size; i++) {
            v |= memory_view_load(mem, view, phys + i, 1) << 8 * i;
        }
        return v;
    }
    if (!r) {
        log_at(mem->machine->log, LOG_UNIMP, "memory: read of %u bytes at %#llx: nothing there\n",
               size, (unsigned long long)phys);
        return ones(size);
    }
    if (r->map->ram) {
        const uint8_t *p = ram_at(r, phys, &offset);
        if (size == 8) { /* page tables */
            return le_get64(p);
        }
        for (unsigned i = size; i--;) {
            v = v << 8 | p[i];
        }
        return v;
    }
    bool locked = lock_if(mem->machine);
    v = memory_mmio_read(r->map, phys - r->map->base, size);
    unlock_if(mem->machine, locked);
    return v;
}

void memory_view_store(struct memory *mem, unsigned view, uint64_t phys, uint64_t value,
                       unsigned size)
{
    const struct range *r = memory_find(mem, view, phys);

    if (crosses(r, phys, size)) {
        for (unsigned i = 0; i < size; i++) {
            memory_view_store(mem, view, phys + i, value >> 8 * i & 0xff, 1);
        }
        return;
    }
    if (!r) {
        log_at(mem->machine->log, LOG_UNIMP, "memory: write of %u bytes at %#llx: nothing there\n",
               size, (unsigned long long)phys);
        return;
    }
    if (r->map->ram) {
        uint8_t b[8];
        for (unsigned i = 0; i < size; i++) {
            b[i] = (uint8_t)(value >> 8 * i);
        }
        if (!r->map->readonly) {
            ram_write(mem, r, phys, b, size);
        }
        return;
    }
    bool locked = lock_if(mem->machine);
    memory_mmio_write(r->map, phys - r->map->base, value, size);
    unlock_if(mem->machine, locked);
}

bool memory_view_cmpxchg(struct memory *mem, unsigned view, uint64_t phys, uint64_t expect,
                         uint64_t value, unsigned size, uint64_t *seen)
{
    const struct range *r = memory_find(mem, view, phys);
    uint64_t offset;

    if (!r || !r->map->ram || r->map->readonly || crosses(r, phys, size)) {
        *seen = memory_view_load(mem, view, phys, size);
        return false;
    }
    uint8_t *p = ram_at(r, phys, &offset);
    bool ok;
    if (size == 8) {
        uint64_t e = htole64(expect);
        ok = __atomic_compare_exchange_n((uint64_t *)(void *)p, &e, htole64(value), false,
                                         __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        *seen = le64toh(e);
    } else {
        uint32_t e = htole32((uint32_t)expect);
        ok = __atomic_compare_exchange_n((uint32_t *)(void *)p, &e, htole32((uint32_t)value), false,
                                         __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        *seen = le32toh(e);
    }
    if (ok) {
        page_written(r->map->ram, (r->map->ram_offset + (phys - r->map->base)) >> 12);
    }
    return ok;
}
