/* Block back ends: the disk images under IDE and friends. Requests are asynchronous: they run on a worker
 * thread and complete in the main loop with the machine lock held; a vcpu never waits for a disk. */
#ifndef HOST_BLOCK_H
#define HOST_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "host/error.h"

struct block;
struct mainloop;

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_WRITE_ZEROES };

struct block_request {
    enum block_op op;
    uint64_t offset;     /* bytes */
    uint64_t len;        /* bytes; sum of iov for read and write */
    struct iovec *iov;   /* host memory, owned by the caller until done */
    int niov;
    void (*done)(struct block_request *r, int result); /* 0 or -errno; main loop, locked */
    void *opaque;
    struct block *block;         /* private from here */
    struct block_request *next;
};

struct block_stats {
    uint64_t operations[BLOCK_WRITE_ZEROES + 1], bytes[BLOCK_WRITE_ZEROES + 1]; /* by enum block_op */
    uint64_t failed;
};

struct block_options {
    const char *id, *file, *format; /* format NULL: raw */
    bool readonly, snapshot;        /* snapshot: writes go to a temporary overlay */
};

/* loop: where completions are delivered. The image is locked against a second writer. */
struct block *block_open(struct mainloop *loop, const struct block_options *o, struct error *err);
void block_close(struct block *b); /* waits for requests, flushes */
uint64_t block_size(const struct block *b); /* bytes */
bool block_readonly(const struct block *b);
const char *block_id(const struct block *b);
struct block_stats block_get_stats(const struct block *b); /* of completed requests; machine lock held */
void block_submit(struct block *b, struct block_request *r);
/* Waits until the worker has carried out everything submitted; the calls of done may be still to come. */
void block_drain(struct block *b);
/* Synchronous, for start-up and tests. 0 or -errno. */
int block_pread(struct block *b, uint64_t offset, void *buf, uint64_t len);
int block_pwrite(struct block *b, uint64_t offset, const void *buf, uint64_t len);
int block_flush(struct block *b);

#endif
