/* Protocol `file` (and host_device): bytes of a regular file or a block device by preadv and
 * pwritev.
 *
 * Images are locked with OFD locks on the bytes that QEMU's file driver uses, so that its tools and
 * this program refuse each other: byte 100 + p is read-locked by who uses the image with permission
 * p (0: consistent reads, 1: writing, 3: resizing), byte 200 + p by who does not let others have
 * it. */
#include "host/block_node.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PERM_BASE = 100, SHARED_BASE = 200, PERM_READ = 0, PERM_WRITE = 1, PERM_RESIZE = 3 };
enum { MEMORY_ALIGN = 4096, SMALL_IOV = 16, NOW_IOV = 256 };

struct file {
    int fd;
    bool device;
    bool has_discard, has_zero_range;
    uint32_t align;         /* of offsets and lengths; 1: not O_DIRECT */
    pthread_mutex_t rmw;    /* of writes that cover blocks in part */
    atomic_int flush_error; /* a flush failed: what the page cache lost is not known */
};

/* ---- locks ---- */

static int lock_byte(int fd, off_t byte)
{
    struct flock fl = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return fcntl(fd, F_OFD_SETLK, &fl) ? -errno : 0;
}

/* Has somebody else locked the byte? */
static bool byte_is_locked(int fd, off_t byte)
{
    struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    return fcntl(fd, F_OFD_GETLK, &fl) == 0 && fl.l_type != F_UNLCK;
}

static bool lock_image(struct block_node *n, int fd, struct error *err)
{
    bool write = !n->flags.readonly, share = n->flags.share;
    int r = lock_byte(fd, PERM_BASE + PERM_READ);

    if (r == -EINVAL || r == -ENOLCK || r == -EOPNOTSUPP || r == -ENOSYS) {
        return true; /* the file system cannot lock */
    }
    if (!r && write) {
        r = lock_byte(fd, PERM_BASE + PERM_WRITE);
    }
    if (!r && !share) {
        r = lock_byte(fd, SHARED_BASE + PERM_WRITE);
        r = r ? r : lock_byte(fd, SHARED_BASE + PERM_RESIZE);
    }
    if (r) {
        return error_set(err, "cannot lock image '%s': %s", n->filename, strerror(-r));
    }
    bool taken = byte_is_locked(fd, SHARED_BASE + PERM_READ) ||
                 (write && byte_is_locked(fd, SHARED_BASE + PERM_WRITE)) ||
                 (!share && (byte_is_locked(fd, PERM_BASE + PERM_WRITE) ||
                             byte_is_locked(fd, PERM_BASE + PERM_RESIZE)));
    return !taken ||
           error_set(
               err, "image '%s' is in use by another process (or given twice): it is locked for %s",
               n->filename, write ? "writing" : "reading");
}

/* ---- opening ---- */

static const char *text_option(json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static int open_fd(struct block_node *n)
{
    int flags = O_CLOEXEC | O_NOCTTY | (n->flags.direct ? O_DIRECT : 0);
    int fd = open(n->filename, flags | (n->flags.readonly ? O_RDONLY : O_RDWR));

    if (fd < 0 && n->flags.auto_readonly && !n->flags.readonly &&
        (errno == EACCES || errno == EROFS || errno == EPERM)) {
        fd = open(n->filename, flags | O_RDONLY);
        n->flags.readonly = fd >= 0;
    }
    return fd;
}

/* The alignment that O_DIRECT asks for is found by trying. */
static uint32_t direct_align(int fd)
{
    void *buf = NULL;
    uint32_t align = MEMORY_ALIGN;

    if (posix_memalign(&buf, MEMORY_ALIGN, MEMORY_ALIGN) == 0) {
        align = pread(fd, buf, 512, 512) >= 0 ? 512 : MEMORY_ALIGN;
        free(buf);
    }
    return align;
}

static bool file_open(struct block_node *n, json_t *options, struct error *err)
{
    struct file *f = n->state;
    const char *name = text_option(options, "filename"), *locking = text_option(options, "locking");
    const char *aio = text_option(options, "aio");
    struct stat st;
    uint64_t size;

    f->fd = -1;
    pthread_mutex_init(&f->rmw, NULL);
    if (!name || !*name) {
        return error_set(err, "filename is missing");
    }
    if (aio && strcmp(aio, "threads") && strcmp(aio, "native") && strcmp(aio, "io_uring")) {
        return error_set(err, "aio=%s is none of threads, native and io_uring", aio);
    }
    n->filename = strdup(name);
    f->fd = open_fd(n);
    if (f->fd < 0 || fstat(f->fd, &st)) {
        return error_set(err, "cannot open image '%s': %s%s", name, strerror(errno),
                         errno == EINVAL && n->flags.direct
                             ? " (its file system cannot do without a cache)"
                             : "");
    }
    if (S_ISDIR(st.st_mode)) {
        return error_set(err, "cannot open image '%s': it is a directory", name);
    }
    f->device = S_ISBLK(st.st_mode);
    if (!f->device && !S_ISREG(st.st_mode)) {
        return error_set(err, "cannot open image '%s': neither a file nor a block device", name);
    }
    size = (uint64_t)st.st_size;
    if (f->device && ioctl(f->fd, BLKGETSIZE64, &size)) {
        return error_set(err, "size of '%s': %s", name, strerror(errno));
    }
    atomic_store(&n->size, size);
    f->align = n->flags.direct ? direct_align(f->fd) : 1;
    f->has_discard = f->has_zero_range = true;
    return (locking && !strcmp(locking, "off")) || lock_image(n, f->fd, err);
}

static void file_close(struct block_node *n)
{
    struct file *f = n->state;

    if (f->fd >= 0) {
        close(f->fd);
    }
    pthread_mutex_destroy(&f->rmw);
}

/* ---- transfers ---- */

/* All of iov; after the end of the file zeroes are read. Changes iov. */
static int transfer(struct file *f, bool write, uint64_t offset, struct iovec *iov, int niov)
{
    while (niov) {
        int some = niov < IOV_MAX ? niov : IOV_MAX;
        ssize_t n = write ? pwritev(f->fd, iov, some, (off_t)offset)
                          : preadv(f->fd, iov, some, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        if (n == 0 && write) {
            return -ENOSPC;
        }
        if (n == 0) {
            struct node_vec rest = {iov, niov};
            node_vec_zero(&rest, 0, UINT64_MAX);
            return 0;
        }
        offset += (uint64_t)n;
        for (; niov && (size_t)n >= iov->iov_len; iov++, niov--) {
            n -= (ssize_t)iov->iov_len;
        }
        if (niov && n) {
            iov->iov_base = (char *)iov->iov_base + n;
            iov->iov_len -= (size_t)n;
        }
    }
    return 0;
}

static bool is_aligned(const struct file *f, uint64_t offset, const struct iovec *iov, int niov)
{
    uint64_t bits = offset;

    for (int i = 0; i < niov; i++) {
        bits |= (uintptr_t)iov[i].iov_base | iov[i].iov_len;
    }
    return !(bits & (f->align - 1));
}

/* Through an aligned buffer; blocks that are written in part are read first. */
static int bounced(struct file *f, bool write, uint64_t offset, uint64_t len,
                   const struct node_vec *v, size_t skip)
{
    uint64_t first = offset & ~(uint64_t)(f->align - 1);
    uint64_t end = (offset + len + f->align - 1) & ~(uint64_t)(f->align - 1);
    bool part = write && (first != offset || end != offset + len);
    void *buf = NULL;
    int r;

    if (posix_memalign(&buf, MEMORY_ALIGN, end - first)) {
        return -ENOMEM;
    }
    if (part) {
        pthread_mutex_lock(&f->rmw);
    }
    struct iovec iov = {buf, end - first};
    r = !write || part ? transfer(f, false, first, &iov, 1) : 0;
    if (!r && write) {
        node_vec_to(v, skip, (char *)buf + (offset - first), len);
        iov = (struct iovec){buf, end - first};
        r = transfer(f, true, first, &iov, 1);
    } else if (!r) {
        node_vec_from(v, skip, (char *)buf + (offset - first), len);
    }
    if (part) {
        pthread_mutex_unlock(&f->rmw);
    }
    free(buf);
    return r;
}

static int file_io(struct block_node *n, bool write, uint64_t offset, uint64_t len,
                   const struct node_vec *v, size_t skip)
{
    struct file *f = n->state;
    struct iovec small[SMALL_IOV], *iov = small;
    int r;

    if (v->niov > SMALL_IOV) {
        iov = malloc((size_t)v->niov * sizeof(*iov));
        if (!iov) {
            return -ENOMEM;
        }
    }
    int niov = node_vec_part(v, skip, len, iov);
    if (f->align > 1 && !is_aligned(f, offset, iov, niov)) {
        r = bounced(f, write, offset, len, v, skip);
    } else {
        r = transfer(f, write, offset, iov, niov);
    }
    if (iov != small) {
        free(iov);
    }
    return r;
}

/* What lies in the host's page cache. */
static int file_read_now(struct block_node *n, uint64_t offset, uint64_t len,
                         const struct node_vec *v, size_t skip)
{
#ifdef RWF_NOWAIT
    struct file *f = n->state;
    struct iovec iov[NOW_IOV];

    if (f->align > 1 || v->niov > NOW_IOV) {
        return -EAGAIN;
    }
    int niov = node_vec_part(v, skip, len, iov);
    return preadv2(f->fd, iov, niov, (off_t)offset, RWF_NOWAIT) == (ssize_t)len ? 0 : -EAGAIN;
#else
    (void)n, (void)offset, (void)len, (void)v, (void)skip;
    return -EAGAIN;
#endif
}

static void grown(struct block_node *n, uint64_t end)
{
    uint64_t size = atomic_load(&n->size);

    while (size < end && !atomic_compare_exchange_weak(&n->size, &size, end)) {
    }
}

static int file_read(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                     size_t skip)
{
    return file_io(n, false, offset, len, v, skip);
}

static int file_write(struct block_node *n, uint64_t offset, uint64_t len, const struct node_vec *v,
                      size_t skip)
{
    int r = file_io(n, true, offset, len, v, skip);

    if (!r) {
        grown(n, offset + len);
    }
    return r;
}

static int file_flush(struct block_node *n)
{
    struct file *f = n->state;
    int r = atomic_load(&f->flush_error);

    if (n->flags.no_flush || r) {
        return r;
    }
    if (fdatasync(f->fd)) {
        r = -errno;
        if (!n->flags.direct) {
            atomic_store(&f->flush_error, r); /* a second try would only seem to work */
        }
    }
    return r;
}

static int file_discard(struct block_node *n, uint64_t offset, uint64_t len)
{
    struct file *f = n->state;

    if (f->device) {
        uint64_t range[2] = {offset, len};
        return ioctl(f->fd, BLKDISCARD, range) ? -EOPNOTSUPP : 0;
    }
    return fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len)
               ? -errno
               : 0;
}

static int file_zero(struct block_node *n, uint64_t offset, uint64_t len, bool unmap)
{
    struct file *f = n->state;
    uint64_t size = atomic_load(&n->size);

    if (f->device) {
        uint64_t range[2] = {offset, len};
        return (offset | len) % 512 || ioctl(f->fd, BLKZEROOUT, range) ? -EOPNOTSUPP : 0;
    }
    if (offset + len > size) { /* what is added reads as zeroes */
        if (ftruncate(f->fd, (off_t)(offset + len))) {
            return -errno;
        }
        grown(n, offset + len);
        if (offset >= size) {
            return 0;
        }
        len = size - offset;
    }
    int mode = unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
    if (fallocate(f->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len) == 0) {
        return 0;
    }
    return errno == ENOSPC || errno == EIO ? -errno : -EOPNOTSUPP;
}

static int file_status(struct block_node *n, uint64_t offset, uint64_t *len)
{
    struct file *f = n->state;
    off_t data = lseek(f->fd, (off_t)offset, SEEK_DATA);

    if (data < 0 && errno == ENXIO) {
        return NODE_ZERO | NODE_ALLOCATED;
    }
    if (data < 0) {
        return NODE_DATA | NODE_ALLOCATED;
    }
    if ((uint64_t)data > offset) {
        *len = (uint64_t)data - offset < *len ? (uint64_t)data - offset : *len;
        return NODE_ZERO | NODE_ALLOCATED;
    }
    off_t hole = lseek(f->fd, (off_t)offset, SEEK_HOLE);
    if (hole > (off_t)offset && (uint64_t)hole - offset < *len) {
        *len = (uint64_t)hole - offset;
    }
    return NODE_DATA | NODE_ALLOCATED;
}

static bool preallocate(struct block_node *n, uint64_t from, uint64_t to, const char *how,
                        struct error *err)
{
    struct file *f = n->state;
    int r = 0;

    if (!strcmp(how, "falloc")) {
        r = posix_fallocate(f->fd, (off_t)from, (off_t)(to - from));
    } else if (!strcmp(how, "full")) {
        enum { PIECE = 1 << 20 };
        void *zero = calloc(1, PIECE);
        for (uint64_t at = from; !r && at < to; at += PIECE) {
            r = -node_pwrite(n, at, zero, to - at < PIECE ? to - at : PIECE);
        }
        free(zero);
    } else if (strcmp(how, "off")) {
        return error_set(err, "preallocation=%s: off, falloc and full are possible for a raw file",
                         how);
    }
    return !r || error_set(err, "cannot allocate space for '%s': %s", n->filename, strerror(r));
}

static bool file_truncate(struct block_node *n, uint64_t size, const char *prealloc,
                          struct error *err)
{
    struct file *f = n->state;
    uint64_t old = atomic_load(&n->size);

    if (f->device) {
        return size <= old || error_set(err, "device '%s' cannot grow", n->filename);
    }
    if (ftruncate(f->fd, (off_t)size)) {
        return error_set(err, "cannot resize '%s': %s", n->filename, strerror(errno));
    }
    atomic_store(&n->size, size);
    return size <= old || !prealloc || preallocate(n, old, size, prealloc, err);
}

static uint64_t file_allocated(struct block_node *n)
{
    struct file *f = n->state;
    struct stat st;

    return fstat(f->fd, &st) ? 0 : (uint64_t)st.st_blocks * 512;
}

static const char *const file_options[] = {"filename", "aio", "locking", "aio-max-batch", NULL};

#define FILE_DRIVER(text)                                                                          \
    {                                                                                              \
        .name = text, .protocol = true, .state_size = sizeof(struct file),                         \
        .options = file_options, .open = file_open, .close = file_close, .read = file_read,        \
        .read_now = file_read_now, .write = file_write, .flush = file_flush,                       \
        .discard = file_discard, .zero = file_zero, .status = file_status,                         \
        .truncate = file_truncate, .allocated = file_allocated,                                    \
    }

const struct node_driver node_driver_file = FILE_DRIVER("file");
const struct node_driver node_driver_host_device = FILE_DRIVER("host_device");
