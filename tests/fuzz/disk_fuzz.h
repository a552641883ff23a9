/* Shared by the fuzz targets of disk controllers: a machine with RAM and images that are temporary
 * files. */
#ifndef TESTS_FUZZ_DISK_FUZZ_H
#define TESTS_FUZZ_DISK_FUZZ_H

#include <unistd.h>

#include "host/block.h"
#include "host/mainloop.h"
#include "tests/device/harness.h"

enum { FUZZ_RAM = 1 << 20 };

static struct bench bench;
static struct mainloop *loop;
static struct block_graph *graph;

struct input {
    const uint8_t *p, *end;
};

static inline uint32_t take(struct input *in, unsigned bytes)
{
    uint32_t v = 0;

    while (bytes-- && in->p < in->end) {
        v = v << 8 | *in->p++;
    }
    return v;
}

static inline void fuzz_bench(void)
{
    struct error err = {{0}};

    bench_open(&bench);
    bench_isa_lines(&bench);
    loop = mainloop_create(bench.m);
    graph = block_graph_create(loop);
    memory_map_ram(bench.m->memory, IN_BOTH, 0, FUZZ_RAM,
                   memory_ram_create(bench.m->memory, "ram", FUZZ_RAM, &err), 0, false,
                   MAP_PRIO_RAM);
}

static inline struct block *fuzz_image(unsigned sectors)
{
    struct error err = {{0}};
    char path[] = "/tmp/disk-fuzz-XXXXXX";
    int fd = mkstemp(path);
    struct block_options o = {.file = path, .format = "raw"};

    if (fd < 0 || ftruncate(fd, (off_t)sectors * 512)) {
        abort();
    }
    struct block *b = block_open(graph, &o, &err);
    if (!b) {
        abort();
    }
    close(fd);
    unlink(path);
    return b;
}

/* One round of the main loop; what is done with the images is delivered. */
static inline void fuzz_settle(void)
{
    machine_unlock(bench.m);
    bench.m->wake_main(bench.m->wake_opaque);
    mainloop_step(loop);
    machine_lock(bench.m);
}

static inline void fuzz_drain(void)
{
    for (unsigned i = 0; i < 100; i++) {
        bool busy = false;
        for (struct block *b = block_next(graph, NULL); b; b = block_next(graph, b)) {
            busy |= block_busy(b);
            block_drain(b);
        }
        fuzz_settle();
        if (!busy) {
            break;
        }
    }
}

#endif
