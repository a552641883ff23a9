/* Block device. VIRTIO 1.1, chapter 5.2.
 *
 * Worker threads move the data between the image and the guest's RAM themselves. Reads of what the
 * host has in memory are carried out on the spot: that takes less time than waking a thread.
 * Without a cache that the driver knows of (no FLUSH, or write back switched off) each write is
 * flushed before it ends. Left out: several queues, SCSI commands, lifetime and zone commands. */
#include "hw/virtio/virtio.h"

#include "host/block.h"
#include "host/le.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    F_SEG_MAX = 2,
    F_RO = 5,
    F_BLK_SIZE = 6,
    F_FLUSH = 9,
    F_TOPOLOGY = 10,
    F_CONFIG_WCE = 11,
    F_DISCARD = 13,
    F_WRITE_ZEROES = 14
};
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };
enum { SECTOR = 512, HEADER = 16, RANGE_BYTES = 16, ID_BYTES = 20, CONFIG_BYTES = 60 };
enum { /* device configuration */
       C_CAPACITY = 0,
       C_SEG_MAX = 12,
       C_BLK_SIZE = 20,
       C_PHYSICAL_EXP = 24,
       C_WRITEBACK = 32,
       C_NUM_QUEUES = 34,
       C_MAX_DISCARD_SECTORS = 36,
       C_MAX_DISCARD_SEG = 40,
       C_DISCARD_ALIGNMENT = 44,
       C_MAX_ZEROES_SECTORS = 48,
       C_MAX_ZEROES_SEG = 52,
       C_ZEROES_UNMAP = 56,
};
#define READ_NOW_MAX (UINT64_C(512) << 10)
#define MAX_RANGE    (UINT32_C(1) << 22) /* sectors of one discard: 2 GiB */

struct virtio_blk;

struct blk_request {
    struct block_request io;
    struct virtio_blk *blk;
    struct blk_request *prev, *next; /* all that are not finished */
    uint32_t generation;
    struct virtq_chain *chain;
    struct iovec iov[];
};

struct virtio_blk {
    struct virtio virtio;
    struct block *drive; /* properties */
    char *serial;
    uint16_t queue_size;
    uint32_t logical, physical; /* block sizes */
    uint32_t bootindex;
    bool discard, write_zeroes, wce;

    bool write_back;     /* as the driver has set it in the configuration */
    uint32_t generation; /* requests of an older one are void */
    uint64_t now_left;   /* bytes that may still be read at once after this kick */
    struct blk_request *requests;
};

static const struct property blk_props[] = {
    VIRTIO_PROPS(struct virtio_blk, virtio),
    PROP_DRIVE(struct virtio_blk, drive, "the -drive"),
    PROP_STRING(struct virtio_blk, serial, "serial number"),
    {"queue-size", PT_U16, offsetof(struct virtio_blk, queue_size), 256,
     "descriptors, a power of 2"},
    {"logical_block_size", PT_U32, offsetof(struct virtio_blk, logical), 512,
     "bytes of a block, a power of 2 from 512 to 32768"},
    {"physical_block_size", PT_U32, offsetof(struct virtio_blk, physical), 512,
     "bytes that are best written together"},
    PROP_U32(struct virtio_blk, bootindex, UINT32_MAX,
             "place among the devices to boot from, lowest first"),
    {"write-cache", PT_BOOL, offsetof(struct virtio_blk, wce), 1,
     "there is a cache that the driver has to flush (default: as the drive's cache= says)"},
    PROP_BOOL(struct virtio_blk, discard, 1, "offer discarding"),
    {"write-zeroes", PT_BOOL, offsetof(struct virtio_blk, write_zeroes), 1, "offer writing zeroes"},
    PROP_END,
};

static const struct state_field blk_fields[] = {
    STATE_VIRTIO(struct virtio_blk, virtio),
    STATE_BOOL(struct virtio_blk, write_back),
    STATE_END,
};

static void blk_loaded(void *obj)
{
    virtio_loaded(obj);
}

static const struct state_table blk_state = {1, blk_fields, blk_loaded};

/* ---- ends ---- */

/* The driver is not told yet. */
static void push_chain(struct virtq_chain *c, uint8_t status, uint64_t bytes)
{
    virtq_write(c, c->in_bytes - 1, &status, 1);
    virtqueue_push(c, (uint32_t)(bytes + 1));
}

static void end_chain(struct virtq_chain *c, uint8_t status, uint64_t bytes)
{
    struct virtqueue *q = c->queue;

    push_chain(c, status, bytes);
    virtqueue_notify(q);
}

static void forget(struct blk_request *r)
{
    if (r->prev) {
        r->prev->next = r->next;
    } else {
        r->blk->requests = r->next;
    }
    if (r->next) {
        r->next->prev = r->prev;
    }
    free(r);
}

static bool cached(const struct virtio_blk *b)
{
    return virtio_has(&b->virtio, F_CONFIG_WCE) ? b->write_back : virtio_has(&b->virtio, F_FLUSH);
}

static void data_written(struct virtio_blk *b, const struct virtq_chain *c)
{
    for (unsigned i = c->nout; i < c->nout + c->nin; i++) {
        memory_written(b->virtio.pci.dev.machine->memory, c->segment[i].addr, c->segment[i].len);
    }
}

static void request_done(struct block_request *io, int result)
{
    struct blk_request *r = container_of(io, struct blk_request, io);
    struct virtio_blk *b = r->blk;
    struct virtq_chain *c = r->chain;
    bool read = io->op == BLOCK_READ;

    if (r->generation != b->generation) {
        free(c);
        forget(r);
        return;
    }
    if (read) {
        data_written(b, c);
    }
    forget(r);
    end_chain(c, result ? S_IOERR : S_OK, read && !result ? c->in_bytes - 1 : 0);
}

/* ---- beginnings ---- */

/* Host addresses of the chain's data; -1: not all of it is RAM. */
static int map_data(const struct virtq_chain *c, bool write, struct iovec *iov, int max,
                    struct memory *mem)
{
    unsigned first = write ? c->nout : 0, end = write ? c->nout + c->nin : c->nout;
    uint64_t skip = write ? 0 : HEADER, left = write ? c->in_bytes - 1 : c->out_bytes - HEADER;
    int n = 0;

    for (unsigned i = first; i < end && left; i++) {
        uint64_t addr = c->segment[i].addr, len = c->segment[i].len, piece;
        uint64_t drop = skip < len ? skip : len;
        skip -= drop;
        addr += drop;
        len -= drop;
        len = len < left ? len : left;
        left -= len;
        for (; len; addr += piece, len -= piece) {
            void *p = memory_ram_pointer(mem, addr, len, write, &piece);
            if (!p || n == max) {
                return -1;
            }
            iov[n++] = (struct iovec){p, piece};
        }
    }
    return n;
}

static struct blk_request *new_request(struct virtio_blk *b, struct virtq_chain *c, int max_iov)
{
    struct blk_request *r = calloc(1, sizeof(*r) + (size_t)max_iov * sizeof(r->iov[0]));

    if (!r) {
        abort();
    }
    r->blk = b;
    r->chain = c;
    r->generation = b->generation;
    r->io.done = request_done;
    r->io.iov = r->iov;
    r->next = b->requests;
    if (r->next) {
        r->next->prev = r;
    }
    b->requests = r;
    return r;
}

/* Is [sector, sector + bytes) on the disk? */
static bool in_range(const struct virtio_blk *b, uint64_t sector, uint64_t bytes)
{
    uint64_t size = block_size(b->drive);

    return bytes % b->logical == 0 && sector % (b->logical / SECTOR) == 0 &&
           sector <= size / SECTOR && bytes <= size - sector * SECTOR;
}

static void transfer(struct virtio_blk *b, struct virtq_chain *c, uint64_t sector, bool read)
{
    uint64_t bytes = read ? c->in_bytes - 1 : c->out_bytes - HEADER;
    struct memory *mem = b->virtio.pci.dev.machine->memory;
    int max = (int)(c->nin + c->nout) + 16; /* RAM has few seams */

    if (!in_range(b, sector, bytes) || (!read && block_readonly(b->drive))) {
        block_account_invalid(b->drive, read ? BLOCK_READ : BLOCK_WRITE);
        end_chain(c, S_IOERR, 0);
        return;
    }
    struct blk_request *r = new_request(b, c, max);
    r->io.op = read ? BLOCK_READ : BLOCK_WRITE;
    r->io.offset = sector * SECTOR;
    r->io.len = bytes;
    r->io.fua = !read && !cached(b);
    r->io.niov = map_data(c, read, r->iov, max, mem);
    if (r->io.niov < 0) {
        log_at(b->virtio.pci.dev.machine->log, LOG_GUEST_ERROR,
               "virtio-blk-pci: a buffer of the request is not RAM\n");
        forget(r);
        end_chain(c, S_IOERR, 0);
        return;
    }
    if (read && b->now_left >= bytes && block_read_now(b->drive, &r->io)) {
        b->now_left -= bytes;
        data_written(b, c);
        forget(r);
        push_chain(c, S_OK, bytes);
        return;
    }
    block_submit(b->drive, &r->io);
}

static void flush(struct virtio_blk *b, struct virtq_chain *c)
{
    struct blk_request *r = new_request(b, c, 0);

    r->io.op = BLOCK_FLUSH;
    block_submit(b->drive, &r->io);
}

static void get_id(struct virtio_blk *b, struct virtq_chain *c)
{
    char id[ID_BYTES] = {0};
    uint64_t n = c->in_bytes - 1 < ID_BYTES ? c->in_bytes - 1 : ID_BYTES;

    if (b->serial) {
        memcpy(id, b->serial, strnlen(b->serial, ID_BYTES));
    }
    end_chain(c, S_OK, virtq_write(c, 0, id, n));
}

static void clear_range(struct virtio_blk *b, struct virtq_chain *c, bool zeroes)
{
    uint8_t range[RANGE_BYTES];
    bool whole = c->out_bytes == HEADER + RANGE_BYTES &&
                 virtq_read(c, HEADER, range, sizeof(range)) == sizeof(range);
    uint64_t sector = whole ? le_get64(range) : 0;
    uint32_t n = whole ? le_get32(range + 8) : 0, flags = whole ? le_get32(range + 12) : 0;

    if (!virtio_has(&b->virtio, zeroes ? F_WRITE_ZEROES : F_DISCARD) ||
        (flags & (zeroes ? ~1u : ~0u))) {
        end_chain(c, S_UNSUPP, 0);
        return;
    }
    if (!whole || n > MAX_RANGE || !in_range(b, sector, (uint64_t)n * SECTOR) ||
        block_readonly(b->drive)) {
        end_chain(c, S_IOERR, 0);
        return;
    }
    struct blk_request *r = new_request(b, c, 0);
    r->io.op = zeroes ? BLOCK_WRITE_ZEROES : BLOCK_DISCARD;
    r->io.offset = sector * SECTOR;
    r->io.len = (uint64_t)n * SECTOR;
    r->io.fua = !cached(b);
    r->io.unmap = zeroes && (flags & 1);
    block_submit(b->drive, &r->io);
}

/* False: the chain is not a request at all. */
static bool begin(struct virtio_blk *b, struct virtq_chain *c)
{
    uint8_t header[HEADER];

    if (c->in_bytes < 1 || virtq_read(c, 0, header, sizeof(header)) != sizeof(header)) {
        virtio_error(&b->virtio, "request without header or status");
        return false;
    }
    switch (le_get32(header)) {
    case T_IN:
        transfer(b, c, le_get64(header + 8), true);
        break;
    case T_OUT:
        transfer(b, c, le_get64(header + 8), false);
        break;
    case T_FLUSH:
        flush(b, c);
        break;
    case T_GET_ID:
        get_id(b, c);
        break;
    case T_DISCARD:
        clear_range(b, c, false);
        break;
    case T_WRITE_ZEROES:
        clear_range(b, c, true);
        break;
    default:
        end_chain(c, S_UNSUPP, 0);
        break;
    }
    return true;
}

static void blk_kick(struct virtio *v, struct virtqueue *q)
{
    struct virtio_blk *b = container_of(v, struct virtio_blk, virtio);
    struct virtq_chain *c;

    b->now_left = READ_NOW_MAX;
    do {
        virtqueue_want_kicks(q, false);
        while ((c = virtqueue_pop(q)) != NULL) {
            if (!begin(b, c)) {
                free(c);
                return;
            }
        }
        virtqueue_notify(q);
        virtqueue_want_kicks(q, true);
    } while (!virtqueue_empty(q));
}

/* ---- configuration ---- */

static uint64_t blk_features(struct virtio *v)
{
    struct virtio_blk *b = container_of(v, struct virtio_blk, virtio);
    bool readonly = block_readonly(b->drive);
    uint64_t f = 1u << F_SEG_MAX | 1u << F_BLK_SIZE | 1u << F_CONFIG_WCE | 1u << F_TOPOLOGY;

    f |= b->wce ? 1u << F_FLUSH : 0;

    f |= readonly ? 1u << F_RO : 0;
    f |= b->discard && !readonly ? 1u << F_DISCARD : 0;
    f |= b->write_zeroes && !readonly ? 1u << F_WRITE_ZEROES : 0;
    return f;
}

static void blk_config(struct virtio *v, uint8_t *config)
{
    struct virtio_blk *b = container_of(v, struct virtio_blk, virtio);

    le_put64(config + C_CAPACITY, block_size(b->drive) / SECTOR);
    le_put32(config + C_SEG_MAX, b->queue_size - 2u);
    le_put32(config + C_BLK_SIZE, b->logical);
    for (uint32_t n = b->physical / b->logical; n > 1; n >>= 1) {
        config[C_PHYSICAL_EXP]++;
    }
    config[C_WRITEBACK] = b->write_back;
    le_put16(config + C_NUM_QUEUES, 1);
    le_put32(config + C_MAX_DISCARD_SECTORS, MAX_RANGE);
    le_put32(config + C_MAX_DISCARD_SEG, 1);
    le_put32(config + C_DISCARD_ALIGNMENT, b->logical / SECTOR);
    le_put32(config + C_MAX_ZEROES_SECTORS, MAX_RANGE);
    le_put32(config + C_MAX_ZEROES_SEG, 1);
    config[C_ZEROES_UNMAP] = 1;
}

static void blk_config_write(struct virtio *v, const uint8_t *config, unsigned offset,
                             unsigned size)
{
    struct virtio_blk *b = container_of(v, struct virtio_blk, virtio);

    if (offset <= C_WRITEBACK && offset + size > C_WRITEBACK && virtio_has(v, F_CONFIG_WCE)) {
        b->write_back = config[C_WRITEBACK] & 1;
    }
}

static void blk_soft_reset(struct virtio *v)
{
    struct virtio_blk *b = container_of(v, struct virtio_blk, virtio);

    if (b->requests) {
        block_drain(b->drive); /* the worker must not write to memory that is given to others */
    }
    b->generation++;
    b->write_back = b->wce;
}

static const struct virtio_class blk_class = {
    .id = 2,
    .config_size = CONFIG_BYTES,
    .features = blk_features,
    .config_read = blk_config,
    .config_write = blk_config_write,
    .kick = blk_kick,
    .reset = blk_soft_reset,
};

/* ---- life ---- */

static void blk_reset(struct device *d)
{
    virtio_reset((struct virtio *)d);
}

static void blk_resized(void *opaque)
{
    struct virtio_blk *b = opaque;

    virtio_config_changed(&b->virtio);
}

static bool block_size_ok(uint32_t n)
{
    return n >= SECTOR && n <= 32768 && (n & (n - 1)) == 0;
}

static bool blk_realize(struct device *d, struct error *err)
{
    struct virtio_blk *b = (struct virtio_blk *)d;

    if (!b->drive) {
        return error_set(err, "virtio-blk-pci: drive= is missing");
    }
    if (b->queue_size < 4 || b->queue_size > VIRTQUEUE_MAX ||
        (b->queue_size & (b->queue_size - 1))) {
        return error_set(err, "virtio-blk-pci: queue-size=%u is not a power of 2 from 4 to %d",
                         b->queue_size, VIRTQUEUE_MAX);
    }
    if (!block_size_ok(b->logical) || !block_size_ok(b->physical) || b->physical < b->logical) {
        return error_set(err,
                         "virtio-blk-pci: logical_block_size=%u and physical_block_size=%u are not "
                         "powers of 2 from 512 to 32768, the second not smaller",
                         b->logical, b->physical);
    }
    if (!block_node_of(b->drive)) {
        return error_set(err, "virtio-blk-pci: drive '%s' is empty", block_id(b->drive));
    }
    struct block_device dev = {.id = device_path(d), .resized = blk_resized, .opaque = b};
    if (!block_attach(b->drive, &dev, err)) {
        return error_prefix(err, "virtio-blk-pci");
    }
    if (device_prop_given(d, "write-cache")) {
        block_set_write_cache(b->drive, b->wce);
    }
    b->wce = block_write_cache(b->drive);
    virtio_add_queue(&b->virtio, 0, b->queue_size);
    return virtio_init(&b->virtio, &blk_class, err);
}

/* The image has been closed: nothing works on the requests any more. */
static void blk_destroy(struct device *d)
{
    struct virtio_blk *b = (struct virtio_blk *)d;

    while (b->requests) {
        free(b->requests->chain);
        forget(b->requests);
    }
}

static char *blk_boot_path(struct device *d)
{
    uint8_t devfn = ((struct virtio *)d)->pci.devfn;
    char *path;
    int n = devfn & 7 ? asprintf(&path, "/pci@i0cf8/scsi@%x,%x/disk@0,0", devfn >> 3, devfn & 7)
                      : asprintf(&path, "/pci@i0cf8/scsi@%x/disk@0,0", devfn >> 3);

    if (n < 0) {
        abort();
    }
    return path;
}

static const struct pci_info blk_info = VIRTIO_PCI_INFO(0x1001, 2, 0x01, 0x00);

const struct device_type virtio_blk_type = {
    .name = "virtio-blk-pci",
    .summary = "virtio disk",
    .bus = BUS_PCI,
    .size = sizeof(struct virtio_blk),
    .props = blk_props,
    .state = &blk_state,
    .realize = blk_realize,
    .boot_path = blk_boot_path,
    .reset = blk_reset,
    .destroy = blk_destroy,
    .user_creatable = true,
    .bus_info = &blk_info,
};
