/* perf's two ways to learn what generated code is. A map (/tmp/perf-PID.map, read by perf report
 * itself) has a line a block: start, size, name. A dump (jit-PID.dump, for `perf inject --jit`) has
 * the code too, and times, so that an address which was used again keeps its names apart: record
 * with `perf record -k mono`. The dump's format is in the Linux sources,
 * tools/perf/Documentation/jitdump-specification.txt; line tables are left out.
 *
 * A block is called by the guest's symbol ("guest:memcpy+0x10") or its linear address
 * ("guest:0xffffffff81000000"). */
#include "tcg/perf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/error.h"
#include "host/host_clock.h"
#include "host/symbols.h"
#include "tcg/tb.h"

struct perf {
    FILE *map, *dump;
    void *marker; /* a mapping of the dump, by which perf finds it */
    size_t marker_size;
    const struct symbols *symbols;
    uint64_t index;
};

enum { JIT_CODE_LOAD = 0, JIT_CODE_CLOSE = 3, JITDUMP_MAGIC = 0x4a695444, JITDUMP_VERSION = 1 };

struct jit_header {
    uint32_t magic, version, total_size, elf_mach, pad, pid;
    uint64_t timestamp, flags;
};
struct jit_record {
    uint32_t id, total_size;
    uint64_t timestamp;
};
struct jit_load {
    struct jit_record record;
    uint32_t pid, tid;
    uint64_t vma, code_addr, code_size, code_index;
};

#if defined(__x86_64__)
#define ELF_MACHINE 62
#elif defined(__aarch64__)
#define ELF_MACHINE 183
#else
#define ELF_MACHINE 243 /* RISC-V */
#endif

static bool open_dump(struct perf *p, struct error *err)
{
    struct jit_header h = {JITDUMP_MAGIC,      JITDUMP_VERSION,           sizeof(h), ELF_MACHINE, 0,
                           (uint32_t)getpid(), (uint64_t)host_clock_ns(), 0};
    char path[64];

    snprintf(path, sizeof(path), "jit-%d.dump", (int)getpid());
    p->dump = fopen(path, "w+e");
    if (!p->dump) {
        return error_set(err, "-jitdump: cannot make %s: %s", path, strerror(errno));
    }
    p->marker_size = (size_t)sysconf(_SC_PAGESIZE);
    p->marker = mmap(NULL, p->marker_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fileno(p->dump), 0);
    if (p->marker == MAP_FAILED) {
        p->marker = NULL;
        return error_set(err, "-jitdump: cannot map %s: %s", path, strerror(errno));
    }
    fwrite(&h, sizeof(h), 1, p->dump);
    fflush(p->dump);
    return true;
}

struct perf *perf_open(bool map, bool dump, const struct symbols *symbols, struct error *err)
{
    struct perf *p = calloc(1, sizeof(*p));
    char path[64];

    if (!p) {
        error_set(err, "out of memory for perf's files");
        return NULL;
    }
    p->symbols = symbols;
    snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
    if (map && !(p->map = fopen(path, "we"))) {
        error_set(err, "-perfmap: cannot make %s: %s", path, strerror(errno));
        perf_close(p);
        return NULL;
    }
    if (dump && !open_dump(p, err)) {
        perf_close(p);
        return NULL;
    }
    return p;
}

void perf_close(struct perf *p)
{
    struct jit_record r = {JIT_CODE_CLOSE, sizeof(r), (uint64_t)host_clock_ns()};

    if (!p) {
        return;
    }
    if (p->map) {
        fclose(p->map);
    }
    if (p->dump) {
        fwrite(&r, sizeof(r), 1, p->dump);
        if (p->marker) {
            munmap(p->marker, p->marker_size);
        }
        fclose(p->dump);
    }
    free(p);
}

void perf_code(struct perf *p, const char *name, const void *run, const void *bytes, size_t size)
{
    size_t len = strlen(name) + 1;

    if (p->map) {
        fprintf(p->map, "%" PRIxPTR " %zx %s\n", (uintptr_t)run, size, name);
        fflush(p->map); /* whole even when we are killed */
    }
    if (p->dump) {
        struct jit_load load = {
            {JIT_CODE_LOAD, (uint32_t)(sizeof(load) + len + size), (uint64_t)host_clock_ns()},
            (uint32_t)getpid(),
            (uint32_t)syscall(SYS_gettid),
            (uintptr_t)run,
            (uintptr_t)run,
            size,
            p->index++};
        fwrite(&load, sizeof(load), 1, p->dump);
        fwrite(name, len, 1, p->dump);
        fwrite(bytes, size, 1, p->dump);
        fflush(p->dump);
    }
}

void perf_block(struct perf *p, const struct tb *tb, uint64_t linear)
{
    char name[160];
    uint64_t offset;
    const char *symbol = p->symbols ? symbols_find(p->symbols, linear, &offset) : NULL;

    if (symbol && offset) {
        snprintf(name, sizeof(name), "guest:%s+0x%" PRIx64, symbol, offset);
    } else if (symbol) {
        snprintf(name, sizeof(name), "guest:%s", symbol);
    } else {
        snprintf(name, sizeof(name), "guest:0x%" PRIx64, linear);
    }
    perf_code(p, name, tb->code, (const uint8_t *)tb + tb->code_at, tb->code_size);
}
