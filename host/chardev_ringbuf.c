/* chardev ringbuf: the newest bytes of what was written, kept in memory until somebody reads them
 * (ringbuf-read of QMP). There is no input. */
#include "host/chardev_internal.h"

#include <stdlib.h>

enum { DEFAULT_SIZE = 65536, MAX_SIZE = 1 << 30 };

struct ringbuf {
    struct chardev c;
    uint8_t *data;
    size_t size;         /* a power of two */
    uint64_t head, tail; /* free running: written, read */
};

static bool ringbuf_open(struct chardev *c, const char *arg, const struct chardev_options *o,
                         struct error *err)
{
    struct ringbuf *r = (struct ringbuf *)c;

    (void)arg;
    r->size = o->size ? (size_t)o->size : DEFAULT_SIZE;
    if (o->size > MAX_SIZE || (r->size & (r->size - 1))) {
        return error_set(err, "size=%llu is not a power of two up to 1G",
                         (unsigned long long)o->size);
    }
    r->data = malloc(r->size);
    return r->data || error_set(err, "no memory for a ring of %zu bytes", r->size);
}

static void ringbuf_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    struct ringbuf *r = (struct ringbuf *)c;

    for (size_t i = 0; i < len; i++) {
        r->data[r->head++ & (r->size - 1)] = buf[i];
    }
    if (r->head - r->tail > r->size) {
        r->tail = r->head - r->size; /* the oldest are lost */
    }
}

static void ringbuf_close(struct chardev *c)
{
    free(((struct ringbuf *)c)->data);
}

const struct chardev_backend chardev_ringbuf = {
    .prefix = "ringbuf",
    .help = "kept in memory",
    .size = sizeof(struct ringbuf),
    .open = ringbuf_open,
    .write = ringbuf_write,
    .close = ringbuf_close,
};

bool chardev_is_ring(const struct chardev *c)
{
    return c->be == &chardev_ringbuf;
}

bool chardev_ring_read(struct chardev *c, uint8_t *buf, size_t max, size_t *len)
{
    struct ringbuf *r = (struct ringbuf *)c;

    if (!chardev_is_ring(c)) {
        return false;
    }
    for (*len = 0; *len < max && r->tail != r->head; (*len)++) {
        buf[*len] = r->data[r->tail++ & (r->size - 1)];
    }
    return true;
}
