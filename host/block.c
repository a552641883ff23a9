/* Block back end: raw images (files and block devices), with an optional temporary overlay.
 *
 * Each image has one worker thread that carries out its requests in order; completions are called from
 * the main loop. With snapshot, writes go to an unlinked temporary file, in grains of 64 KiB that are
 * copied from the image at the first write. */
#include "host/block.h"
#include "host/mainloop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GRAIN = 65536 };

struct block {
    struct mainloop *loop;
    char *id;
    int fd, overlay; /* overlay -1: none */
    uint8_t *written; /* overlay: bitmap of grains that are there */
    uint64_t size;
    bool readonly;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    pthread_cond_t idle;
    struct block_request *head, *tail; /* waiting */
    struct block_stats stats;
    bool busy, quit; /* busy: the worker has taken a request out of the list */
};

static int full_pread(int fd, void *buf, uint64_t len, uint64_t offset)
{
    uint8_t *p = buf;

    while (len) {
        ssize_t n = pread(fd, p, len, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        if (n == 0) {
            memset(p, 0, len); /* the file ends inside its last sector */
            return 0;
        }
        p += n;
        offset += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return 0;
}

static int full_pwrite(int fd, const void *buf, uint64_t len, uint64_t offset)
{
    const uint8_t *p = buf;

    while (len) {
        ssize_t n = pwrite(fd, p, len, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        p += n;
        offset += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return 0;
}

static bool grain_written(const struct block *b, uint64_t grain)
{
    return b->written[grain >> 3] >> (grain & 7) & 1;
}

/* Carries out one piece that lies inside one grain. */
static int overlay_piece(struct block *b, bool write, uint64_t offset, uint8_t *buf, uint64_t len)
{
    uint64_t grain = offset / GRAIN;

    if (!write) {
        return full_pread(grain_written(b, grain) ? b->overlay : b->fd, buf, len, offset);
    }
    if (!grain_written(b, grain)) {
        uint8_t copy[GRAIN];
        int r = full_pread(b->fd, copy, GRAIN, grain * GRAIN);
        r = r ? r : full_pwrite(b->overlay, copy, GRAIN, grain * GRAIN);
        if (r) {
            return r;
        }
        b->written[grain >> 3] |= (uint8_t)(1u << (grain & 7));
    }
    return full_pwrite(b->overlay, buf, len, offset);
}

static int transfer(struct block *b, bool write, uint64_t offset, void *buf, uint64_t len)
{
    if (offset > b->size || len > b->size - offset) {
        return -EIO;
    }
    if (write && b->readonly) {
        return -EROFS;
    }
    if (b->overlay < 0) {
        return write ? full_pwrite(b->fd, buf, len, offset) : full_pread(b->fd, buf, len, offset);
    }
    uint8_t *p = buf;
    while (len) {
        uint64_t n = GRAIN - offset % GRAIN;
        n = n < len ? n : len;
        int r = overlay_piece(b, write, offset, p, n);
        if (r) {
            return r;
        }
        p += n;
        offset += n;
        len -= n;
    }
    return 0;
}

static int write_zeroes(struct block *b, uint64_t offset, uint64_t len)
{
    static const uint8_t zero[GRAIN];

    if (b->overlay < 0 && !b->readonly && offset <= b->size && len <= b->size - offset &&
        fallocate(b->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len) == 0) {
        return 0;
    }
    while (len) {
        uint64_t n = len < GRAIN ? len : GRAIN;
        int r = transfer(b, true, offset, (void *)(uintptr_t)zero, n);
        if (r) {
            return r;
        }
        offset += n;
        len -= n;
    }
    return 0;
}

/* The usual case: the whole request in one system call. */
static bool transfer_at_once(struct block *b, const struct block_request *r)
{
    bool write = r->op == BLOCK_WRITE;
    ssize_t n;

    if (b->overlay >= 0 || r->niov > IOV_MAX || r->offset > b->size ||
        r->len > b->size - r->offset || (write && b->readonly)) {
        return false;
    }
    n = write ? pwritev(b->fd, r->iov, r->niov, (off_t)r->offset)
              : preadv(b->fd, r->iov, r->niov, (off_t)r->offset);
    return n >= 0 && (uint64_t)n == r->len;
}

static int carry_out(struct block *b, struct block_request *r)
{
    uint64_t offset = r->offset;

    switch (r->op) {
    case BLOCK_READ:
    case BLOCK_WRITE:
        if (transfer_at_once(b, r)) {
            return 0;
        }
        for (int i = 0; i < r->niov; i++) {
            int e = transfer(b, r->op == BLOCK_WRITE, offset, r->iov[i].iov_base, r->iov[i].iov_len);
            if (e) {
                return e;
            }
            offset += r->iov[i].iov_len;
        }
        return 0;
    case BLOCK_FLUSH:
        return block_flush(b);
    case BLOCK_DISCARD:
        if (b->readonly) {
            return -EROFS;
        }
        if (b->overlay < 0) {
            fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)r->len);
        }
        return 0; /* a hint: what the file system refuses does not matter */
    case BLOCK_WRITE_ZEROES:
        return write_zeroes(b, offset, r->len);
    }
    return -EINVAL;
}

struct completion {
    struct block_request *request;
    int result;
};

static void complete(void *opaque)
{
    struct completion c = *(struct completion *)opaque;

    free(opaque);
    struct block_stats *s = &c.request->block->stats;
    s->operations[c.request->op]++;
    s->bytes[c.request->op] += c.request->len;
    s->failed += c.result != 0;
    c.request->done(c.request, c.result);
}

static void *worker(void *opaque)
{
    struct block *b = opaque;

    pthread_mutex_lock(&b->lock);
    while (!b->quit) {
        struct block_request *r = b->head;
        if (!r) {
            pthread_cond_wait(&b->cond, &b->lock);
            continue;
        }
        b->head = r->next;
        b->busy = true;
        pthread_mutex_unlock(&b->lock);

        struct completion *c = malloc(sizeof(*c));
        if (!c) {
            abort();
        }
        *c = (struct completion){r, carry_out(b, r)};
        mainloop_defer(b->loop, complete, c);

        pthread_mutex_lock(&b->lock);
        b->busy = false;
        if (!b->head) {
            pthread_cond_broadcast(&b->idle);
        }
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

void block_submit(struct block *b, struct block_request *r)
{
    pthread_mutex_lock(&b->lock);
    r->block = b;
    r->next = NULL;
    if (b->head) {
        b->tail->next = r;
    } else {
        b->head = r;
    }
    b->tail = r;
    pthread_cond_signal(&b->cond);
    pthread_mutex_unlock(&b->lock);
}

void block_drain(struct block *b)
{
    pthread_mutex_lock(&b->lock);
    while (b->head || b->busy) {
        pthread_cond_wait(&b->idle, &b->lock);
    }
    pthread_mutex_unlock(&b->lock);
}

static bool image_size(int fd, uint64_t *size)
{
    struct stat st;

    if (fstat(fd, &st)) {
        return false;
    }
    if (S_ISBLK(st.st_mode)) {
        return ioctl(fd, BLKGETSIZE64, size) == 0;
    }
    if (S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return false;
    }
    *size = (uint64_t)st.st_size;
    return true;
}

static bool lock_image(struct block *b, const char *file, bool write, struct error *err)
{
    struct flock fl = {.l_type = write ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};

    if (fcntl(b->fd, F_OFD_SETLK, &fl) == 0 || (errno != EAGAIN && errno != EACCES)) {
        return true; /* locked, or the file system cannot lock */
    }
    return error_set(err, "image '%s' is in use by another process", file);
}

static bool open_image(struct block *b, const struct block_options *o, struct error *err)
{
    bool write = !o->readonly && !o->snapshot;
    char tmp[] = "/var/tmp/dragoman-overlay-XXXXXX";

    b->fd = open(o->file, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (b->fd < 0 || !image_size(b->fd, &b->size)) {
        return error_set(err, "cannot open image '%s': %s", o->file, strerror(errno));
    }
    if (!b->size) {
        return error_set(err, "image '%s' is empty", o->file);
    }
    if (!lock_image(b, o->file, write, err)) {
        return false;
    }
    b->size = (b->size + 511) & ~UINT64_C(511);
    b->readonly = o->readonly;
    if (o->snapshot) {
        b->overlay = mkostemp(tmp, O_CLOEXEC);
        if (b->overlay < 0) {
            return error_set(err, "temporary overlay in /var/tmp: %s", strerror(errno));
        }
        unlink(tmp);
        b->written = calloc(1, b->size / GRAIN / 8 + 1);
        b->readonly = false;
    }
    return true;
}

static void free_block(struct block *b)
{
    if (b->fd >= 0) {
        close(b->fd);
    }
    if (b->overlay >= 0) {
        close(b->overlay);
    }
    free(b->written);
    free(b->id);
    free(b);
}

struct block *block_open(struct mainloop *loop, const struct block_options *o, struct error *err)
{
    if (o->format && strcmp(o->format, "raw")) {
        error_set(err, "image '%s': format '%s' is not known (known: raw)", o->file, o->format);
        return NULL;
    }
    struct block *b = calloc(1, sizeof(*b));
    if (!b) {
        abort();
    }
    b->loop = loop;
    b->fd = b->overlay = -1;
    b->id = strdup(o->id ? o->id : o->file);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->cond, NULL);
    pthread_cond_init(&b->idle, NULL);
    if (!open_image(b, o, err)) {
        free_block(b);
        return NULL;
    }
    if (pthread_create(&b->thread, NULL, worker, b)) {
        error_set(err, "image '%s': cannot start a thread", o->file);
        free_block(b);
        return NULL;
    }
    return b;
}

void block_close(struct block *b)
{
    if (!b) {
        return;
    }
    pthread_mutex_lock(&b->lock);
    while (b->head) { /* carry out what is waiting; its completions find no main loop any more */
        struct block_request *r = b->head;
        b->head = r->next;
        carry_out(b, r);
    }
    b->quit = true;
    pthread_cond_signal(&b->cond);
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->thread, NULL);
    if (!b->readonly) {
        block_flush(b);
    }
    pthread_cond_destroy(&b->cond);
    pthread_cond_destroy(&b->idle);
    pthread_mutex_destroy(&b->lock);
    free_block(b);
}

uint64_t block_size(const struct block *b)
{
    return b->size;
}

bool block_readonly(const struct block *b)
{
    return b->readonly;
}

struct block_stats block_get_stats(const struct block *b)
{
    return b->stats;
}

const char *block_id(const struct block *b)
{
    return b->id;
}

int block_pread(struct block *b, uint64_t offset, void *buf, uint64_t len)
{
    return transfer(b, false, offset, buf, len);
}

int block_pwrite(struct block *b, uint64_t offset, const void *buf, uint64_t len)
{
    return transfer(b, true, offset, (void *)(uintptr_t)buf, len);
}

int block_flush(struct block *b)
{
    if (b->readonly || b->overlay >= 0) {
        return 0;
    }
    return fdatasync(b->fd) ? -errno : 0;
}
