/* Split virtqueues. VIRTIO 1.1, chapter 2.6; the legacy layout differs in its place only.
 *
 * Everything in the rings is the driver's and not to be trusted: indices that jump, chains that
 * turn in circles, tables in tables, buffers outside of memory. What the specification forbids
 * stops the device until the driver resets it. Buffers must lie in RAM: were they registers, a
 * device could be made to call itself. Left out: packed rings. */
#include "hw/virtio/virtio.h"

#include "host/le.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4, DESC_BYTES = 16 };
enum { AVAIL_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };
enum { RING_FLAGS = 0, RING_INDEX = 2, RING_ENTRIES = 4 };

const struct state_field virtqueue_fields[] = {
    STATE_U16(struct virtqueue, num),
    STATE_BOOL(struct virtqueue, ready),
    STATE_U64(struct virtqueue, desc),
    STATE_U64(struct virtqueue, avail),
    STATE_U64(struct virtqueue, used),
    STATE_U16(struct virtqueue, next_avail),
    STATE_U16(struct virtqueue, next_used),
    STATE_U16(struct virtqueue, signalled),
    STATE_U16(struct virtqueue, vector),
    STATE_U16(struct virtqueue, inflight),
    STATE_BOOL(struct virtqueue, kicks_unwanted),
    STATE_END,
};

struct descriptor {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

/* A chain while it is being gathered. */
struct gathering {
    struct virtqueue *q;
    unsigned nout, nin;
    uint64_t out_bytes, in_bytes;
    struct virtq_segment segment[VIRTQUEUE_MAX];
};

static struct memory *memory_of(const struct virtqueue *q)
{
    return q->virtio->pci.dev.machine->memory;
}

void virtqueue_reset(struct virtqueue *q)
{
    q->num = q->num_max;
    q->ready = q->kicks_unwanted = false;
    q->desc = q->avail = q->used = 0;
    q->next_avail = q->next_used = q->signalled = q->inflight = 0;
    q->vector = VIRTIO_NO_VECTOR;
}

/* ---- guest memory ---- */

static bool load16(struct virtqueue *q, uint64_t addr, uint16_t *v)
{
    if (memory_load16_acquire(memory_of(q), addr, v)) {
        return true;
    }
    virtio_error(q->virtio, "queue %u: ring at %#" PRIx64 " is not in RAM", q->index, addr);
    return false;
}

static bool store16(struct virtqueue *q, uint64_t addr, uint16_t v)
{
    if (memory_store16_release(memory_of(q), addr, v)) {
        return true;
    }
    virtio_error(q->virtio, "queue %u: ring at %#" PRIx64 " is not in RAM", q->index, addr);
    return false;
}

/* ---- taking chains ---- */

static bool read_descriptor(struct virtqueue *q, uint64_t table, unsigned n, struct descriptor *d)
{
    uint8_t b[DESC_BYTES];

    if (memory_read_ram(memory_of(q), table + (uint64_t)n * DESC_BYTES, b, sizeof(b)) !=
        sizeof(b)) {
        virtio_error(q->virtio, "queue %u: descriptor %u at %#" PRIx64 " is not in RAM", q->index,
                     n, table);
        return false;
    }
    d->addr = le_get64(b);
    d->len = le_get32(b + 8);
    d->flags = le_get16(b + 12);
    d->next = le_get16(b + 14);
    return true;
}

static bool add_segment(struct gathering *g, const struct descriptor *d)
{
    struct virtqueue *q = g->q;
    unsigned n = g->nout + g->nin;

    if (!d->len) {
        return true;
    }
    if (d->addr > UINT64_MAX - d->len) {
        virtio_error(q->virtio, "queue %u: buffer wraps around at %#" PRIx64, q->index, d->addr);
        return false;
    }
    if (!(d->flags & DESC_WRITE) && g->nin) {
        virtio_error(q->virtio, "queue %u: readable buffer behind a writable one", q->index);
        return false;
    }
    if (n >= VIRTQUEUE_MAX) {
        virtio_error(q->virtio, "queue %u: chain of more than %d buffers", q->index, VIRTQUEUE_MAX);
        return false;
    }
    g->segment[n] = (struct virtq_segment){d->addr, d->len};
    if (d->flags & DESC_WRITE) {
        g->nin++;
        g->in_bytes += d->len;
    } else {
        g->nout++;
        g->out_bytes += d->len;
    }
    return true;
}

/* Follows one table from entry n; a chain longer than its table goes in a circle. */
static bool gather(struct gathering *g, uint64_t table, unsigned entries, unsigned n, bool indirect)
{
    struct virtqueue *q = g->q;
    struct descriptor d;

    for (unsigned steps = 0; steps < entries; steps++) {
        if (n >= entries) {
            virtio_error(q->virtio, "queue %u: descriptor %u of %u", q->index, n, entries);
            return false;
        }
        if (!read_descriptor(q, table, n, &d)) {
            return false;
        }
        if (d.flags & DESC_INDIRECT) {
            unsigned inner = d.len / DESC_BYTES;
            if (indirect || !virtio_has(q->virtio, VIRTIO_RING_F_INDIRECT) ||
                (d.flags & DESC_NEXT) || !d.len || d.len % DESC_BYTES || inner > 65536) {
                virtio_error(q->virtio, "queue %u: bad indirect descriptor (%u bytes)", q->index,
                             d.len);
                return false;
            }
            return gather(g, d.addr, inner, 0, true);
        }
        if (!add_segment(g, &d)) {
            return false;
        }
        if (!(d.flags & DESC_NEXT)) {
            return true;
        }
        n = d.next;
    }
    virtio_error(q->virtio, "queue %u: descriptors in a circle", q->index);
    return false;
}

/* How many chains wait. */
static bool waiting(struct virtqueue *q, uint16_t *n)
{
    uint16_t index;

    if (!q->ready || !virtio_running(q->virtio) || !load16(q, q->avail + RING_INDEX, &index)) {
        return false;
    }
    *n = (uint16_t)(index - q->next_avail);
    if (*n > q->num) {
        virtio_error(q->virtio, "queue %u: available index went from %u to %u", q->index,
                     q->next_avail, index);
        return false;
    }
    return *n != 0;
}

bool virtqueue_empty(struct virtqueue *q)
{
    uint16_t n;

    return !waiting(q, &n);
}

/* The driver kicks when it adds the chain that we would take next. It must see that before we look
 * at its index again, lest a chain that it adds meanwhile stays unknown. */
static void ask_for_kick(struct virtqueue *q)
{
    store16(q, q->used + RING_ENTRIES + 8ull * q->num, q->next_avail);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

struct virtq_chain *virtqueue_pop(struct virtqueue *q)
{
    struct gathering g;
    uint16_t n, head;

    if (!waiting(q, &n)) {
        return NULL;
    }
    if (!load16(q, q->avail + RING_ENTRIES + 2ull * (q->next_avail % q->num), &head)) {
        return NULL;
    }
    g.q = q;
    g.nout = g.nin = 0;
    g.out_bytes = g.in_bytes = 0;
    if (q->inflight >= q->num) {
        virtio_error(q->virtio, "queue %u: more chains than descriptors", q->index);
        return NULL;
    }
    if (!gather(&g, q->desc, q->num, head, false)) {
        return NULL;
    }
    size_t bytes = (g.nout + g.nin) * sizeof(g.segment[0]);
    struct virtq_chain *c = malloc(sizeof(*c) + bytes);
    if (!c) {
        abort();
    }
    *c = (struct virtq_chain){q, head, g.nout, g.nin, g.out_bytes, g.in_bytes};
    memcpy(c->segment, g.segment, bytes);
    q->next_avail++;
    q->inflight++;
    if (!q->kicks_unwanted && virtio_has(q->virtio, VIRTIO_RING_F_EVENT_IDX)) {
        ask_for_kick(q);
    }
    return c;
}

void virtqueue_unpop(struct virtq_chain *c)
{
    c->queue->next_avail--;
    c->queue->inflight--;
    free(c);
}

/* ---- giving back ---- */

void virtqueue_push(struct virtq_chain *c, uint32_t n)
{
    struct virtqueue *q = c->queue;
    uint64_t addr = q->used + RING_ENTRIES + 8ull * (q->next_used % q->num);
    uint8_t entry[8];

    le_put32(entry, c->head);
    le_put32(entry + 4, n);
    free(c);
    if (memory_write_ram(memory_of(q), addr, entry, sizeof(entry)) != sizeof(entry)) {
        virtio_error(q->virtio, "queue %u: used ring at %#" PRIx64 " is not in RAM", q->index,
                     addr);
        return;
    }
    q->next_used++;
    q->inflight--;
}

/* Does the driver want an interrupt, now that used entries from `from` on have been shown? */
static bool wants_interrupt(struct virtqueue *q, uint16_t from)
{
    uint16_t v;

    if (virtio_has(q->virtio, VIRTIO_RING_F_EVENT_IDX)) {
        if (!load16(q, q->avail + RING_ENTRIES + 2ull * q->num, &v)) {
            return false;
        }
        return (uint16_t)(q->next_used - v - 1) < (uint16_t)(q->next_used - from);
    }
    if (virtio_has(q->virtio, VIRTIO_F_NOTIFY_ON_EMPTY) && !q->inflight && virtqueue_empty(q)) {
        return true;
    }
    return load16(q, q->avail + RING_FLAGS, &v) && !(v & AVAIL_NO_INTERRUPT);
}

void virtqueue_notify(struct virtqueue *q)
{
    uint16_t from = q->signalled;

    if (!q->ready || from == q->next_used || !store16(q, q->used + RING_INDEX, q->next_used)) {
        return;
    }
    /* The index must be seen before we look whether anybody wants to know of it. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    q->signalled = q->next_used;
    if (wants_interrupt(q, from)) {
        virtio_interrupt(q->virtio, q->vector);
    }
}

void virtqueue_want_kicks(struct virtqueue *q, bool want)
{
    if (!q->ready || !virtio_running(q->virtio)) {
        return;
    }
    q->kicks_unwanted = !want;
    if (!virtio_has(q->virtio, VIRTIO_RING_F_EVENT_IDX)) {
        store16(q, q->used + RING_FLAGS, want ? 0 : USED_NO_NOTIFY);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    } else if (want) {
        ask_for_kick(q);
    }
}

/* ---- contents ---- */

static uint64_t copy(const struct virtq_chain *c, unsigned from, unsigned n, uint64_t offset,
                     uint8_t *buf, uint64_t len, bool write)
{
    const struct virtq_segment *s = &c->segment[from];
    uint64_t done = 0;

    for (unsigned i = 0; i < n && done < len; i++) {
        if (offset >= s[i].len) {
            offset -= s[i].len;
            continue;
        }
        uint64_t piece = s[i].len - offset;
        piece = piece < len - done ? piece : len - done;
        uint64_t addr = s[i].addr + offset;
        uint64_t moved = write ? memory_write_ram(memory_of(c->queue), addr, buf + done, piece)
                               : memory_read_ram(memory_of(c->queue), addr, buf + done, piece);
        done += moved;
        if (moved < piece) {
            log_at(c->queue->virtio->pci.dev.machine->log, LOG_GUEST_ERROR,
                   "virtio: buffer at %#" PRIx64 " is not RAM\n", addr + moved);
            break;
        }
        offset = 0;
    }
    return done;
}

uint64_t virtq_read(const struct virtq_chain *c, uint64_t offset, void *buf, uint64_t len)
{
    return copy(c, 0, c->nout, offset, buf, len, false);
}

uint64_t virtq_write(const struct virtq_chain *c, uint64_t offset, const void *buf, uint64_t len)
{
    return copy(c, c->nout, c->nin, offset, (uint8_t *)(uintptr_t)buf, len, true);
}
