/* What the fuzz targets share: a reader of the input, a bare machine whose RAM is the same at the
 * start of every input, images in memory, a network back end, and a main loop that the target
 * moves.
 *
 * fuzz_memory.c takes the place of the `file` driver in these programs, and fuzz_pool.c that of the
 * worker threads: no file is touched, and an input always does the same. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "host/block.h"
#include "host/block_node.h"
#include "host/le.h"
#include "host/mainloop.h"
#include "host/net.h"
#include "hw/pci/pci.h"
#include "tests/device/harness.h"

struct input {
    const uint8_t *p, *end;
};

/* The next bytes of the input as a number, first byte highest; zeroes (of no bytes) at its end. */
static inline uint32_t take(struct input *in, unsigned bytes)
{
    uint32_t v = 0;

    while (bytes-- && in->p < in->end) {
        v = v << 8 | *in->p++;
    }
    return v;
}
static inline bool more(const struct input *in)
{
    return in->p < in->end;
}
/* Fills buf from the input, zeroes behind its end. */
void take_bytes(struct input *in, void *buf, size_t len);

struct fuzz {
    struct bench bench;
    struct mainloop *loop;
    struct block_graph *graph;
    struct ram *ram;
    struct netdev net;
    struct netdev_ops net_ops; /* takes_large may be changed */
};
extern struct fuzz fuzz;

/* ---- the machine ---- */
/* Called once: a machine with RAM from 0, ISA lines, a main loop, a graph for images. */
void fuzz_machine(uint64_t ram_bytes);
void fuzz_pci(void);                           /* adds a PCI bus whose lines end in the bench */
struct device *fuzz_realize(struct device *d); /* ends the program when it cannot be */
/* Switches I/O, memory and bus mastering on and puts BAR n (0 to 5) at the address. */
void fuzz_bar(struct device *d, unsigned n, uint32_t address);
/* At the start of an input: RAM is zero again, devices are reset, images are zero and no frames
 * wait. */
void fuzz_begin(void);
void fuzz_clear_ram(struct ram *ram); /* what was written to it since the last time */
/* One round of the main loop, at once. */
void fuzz_settle(void);
/* Until every request of every image has ended. */
void fuzz_drain(void);

/* ---- images (fuzz_memory.c) ---- */
struct memory_file {
    uint8_t *data;
    uint64_t size, limit; /* bytes; writing beyond the limit is ENOSPC */
    uint64_t writes;      /* calls that changed it */
    bool failing;         /* every write and flush is EIO */
};
enum { MEMORY_FILES = 4 };
/* Files that exist: opened by memory_file_name(). */
extern struct memory_file memory_file[MEMORY_FILES];
const char *memory_file_name(unsigned n);
/* A raw image of so many bytes; fuzz_begin() fills it with zeroes. */
struct block *fuzz_image(uint64_t bytes);

/* ---- network ---- */
/* fuzz.net: reads every byte that a card sends. */
struct netdev *fuzz_netdev(void);
/* A machine with so much RAM, a PCI bus and a card of this type on fuzz.net. */
struct device *fuzz_card(const struct device_type *type, uint64_t ram);
/* A frame for the guest, of this length: headers of the kind that the input chooses, then filler.
 */
void fuzz_deliver(struct input *in);
/* The start of a frame of len bytes, at least FUZZ_HEADERS: returns how much of buf it filled. */
enum { FUZZ_HEADERS = 80 };
size_t fuzz_headers(struct input *in, uint8_t *buf, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
