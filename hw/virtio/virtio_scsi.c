/* SCSI host adapter. VIRTIO 1.2, chapter 5.6.
 *
 * Requests go to the devices of hw/scsi; their data moves between the image and the guest's RAM
 * without a copy. Left out: protection information, hot plug events, asynchronous notifications of
 * the devices' power and media classes (subscriptions are taken and nothing comes; a changed medium
 * is told as a changed parameter). */
#include "host/le.h"
#include "hw/scsi/scsi.h"
#include "hw/virtio/virtio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { F_INOUT = 0, F_CHANGE = 2 };
enum { Q_CONTROL = 0, Q_EVENT = 1, Q_REQUEST = 2 };
enum {
    CONFIG_BYTES = 36,
    C_NUM_QUEUES = 0,
    C_SEG_MAX = 4,
    C_MAX_SECTORS = 8,
    C_CMD_PER_LUN = 12,
    C_EVENT_SIZE = 16,
    C_SENSE_SIZE = 20,
    C_CDB_SIZE = 24,
    C_MAX_CHANNEL = 28,
    C_MAX_TARGET = 30,
    C_MAX_LUN = 32
};
enum { SENSE_DEFAULT = 96, SENSE_MAX = 252, CDB_DEFAULT = 32, CDB_MAX = 255 };
enum { REQUEST_HEADER = 19, RESPONSE_HEADER = 12, EVENT_BYTES = 16 };
enum {
    S_OK = 0,
    S_OVERRUN = 1,
    S_ABORTED = 2,
    S_BAD_TARGET = 3,
    S_RESET = 4,
    S_FAILURE = 9,
    S_SUCCEEDED = 10,
    S_REJECTED = 11,
    S_INCORRECT_LUN = 12
};
enum { T_TMF = 0, T_QUERY = 1, T_SUBSCRIBE = 2 };
enum {
    TMF_ABORT_TASK = 0,
    TMF_ABORT_SET = 1,
    TMF_CLEAR_ACA = 2,
    TMF_CLEAR_SET = 3,
    TMF_NEXUS_RESET = 4,
    TMF_UNIT_RESET = 5,
    TMF_QUERY = 6,
    TMF_QUERY_SET = 7
};
enum { EVENT_PARAM_CHANGE = 3 };
#define EVENT_MISSED UINT32_C(0x80000000)

struct virtio_scsi;

struct vscsi_request {
    struct scsi_request scsi;
    struct virtio_scsi *hba;
    struct vscsi_request *prev, *next; /* all that the devices have */
    struct virtq_chain *chain; /* NULL: has been answered, or belongs to the time before a reset */
    uint8_t lun[8];
    uint64_t id;
    unsigned cdb_size, sense_size;
    struct iovec iov[];
};

struct virtio_scsi {
    struct virtio virtio;
    struct scsi_bus bus;
    uint32_t num_queues, max_sectors, cmd_per_lun; /* properties */
    uint16_t queue_size;

    uint32_t sense_size, cdb_size;
    bool missed; /* an event found no buffer */
    struct vscsi_request *requests;
};

static const struct property scsi_props[] = {
    VIRTIO_PROPS(struct virtio_scsi, virtio),
    PROP_U32(struct virtio_scsi, num_queues, 1, "request queues, 1 to 32"),
    {"virtqueue_size", PT_U16, offsetof(struct virtio_scsi, queue_size), 256,
     "descriptors, a power of 2"},
    PROP_U32(struct virtio_scsi, max_sectors, 0xffff, "of one request, 512 bytes each"),
    PROP_U32(struct virtio_scsi, cmd_per_lun, 128, "requests that a unit gets at a time"),
    PROP_END,
};

static const struct state_field scsi_fields[] = {
    STATE_VIRTIO(struct virtio_scsi, virtio),
    STATE_U32(struct virtio_scsi, sense_size),
    STATE_U32(struct virtio_scsi, cdb_size),
    STATE_BOOL(struct virtio_scsi, missed),
    STATE_END,
};

static void scsi_loaded(void *obj)
{
    virtio_loaded(obj);
}

static const struct state_table scsi_state = {1, scsi_fields, scsi_loaded};

/* ---- ends ---- */

static void answer(struct virtq_chain *c, const void *buf, uint64_t len, uint64_t data)
{
    struct virtqueue *q = c->queue;

    virtq_write(c, 0, buf, len);
    virtqueue_push(c, (uint32_t)(len + data));
    virtqueue_notify(q);
}

static void forget(struct vscsi_request *r)
{
    if (r->prev) {
        r->prev->next = r->next;
    } else {
        r->hba->requests = r->next;
    }
    if (r->next) {
        r->next->prev = r->prev;
    }
    free(r);
}

static void respond(struct vscsi_request *r, uint8_t response)
{
    struct scsi_request *s = &r->scsi;
    uint8_t b[RESPONSE_HEADER + SENSE_MAX] = {0};
    bool check = response == S_OK && s->status == SCSI_CHECK;
    uint32_t sense = check ? (r->sense_size < SCSI_SENSE ? r->sense_size : SCSI_SENSE) : 0;
    uint64_t room = s->in_len ? s->in_len : s->out_len;

    le_put32(b, sense);
    le_put32(b + 4, room > s->moved ? (uint32_t)(room - s->moved) : 0);
    b[10] = response == S_OK ? s->status : 0;
    b[11] = response;
    memcpy(b + RESPONSE_HEADER, s->sense, sense);
    answer(r->chain, b, RESPONSE_HEADER + r->sense_size, s->in_len ? s->moved : 0);
    r->chain = NULL;
}

static void request_done(struct scsi_request *s)
{
    struct vscsi_request *r = container_of(s, struct vscsi_request, scsi);
    struct memory *mem = r->hba->virtio.pci.dev.machine->memory;

    if (r->chain) {
        for (unsigned i = r->chain->nout; s->in_len && i < r->chain->nout + r->chain->nin; i++) {
            memory_written(mem, r->chain->segment[i].addr, r->chain->segment[i].len);
        }
        respond(r, s->overrun ? S_OVERRUN : S_OK);
    }
    forget(r);
}

/* ---- requests ---- */

/* Host addresses of a chain's bytes from skip on, in one direction; -1: not all of them are RAM. */
static int map_data(const struct virtq_chain *c, bool in, uint64_t skip, struct iovec *iov, int max,
                    struct memory *mem)
{
    unsigned first = in ? c->nout : 0, end = in ? c->nout + c->nin : c->nout;
    int n = 0;

    for (unsigned i = first; i < end; i++) {
        uint64_t addr = c->segment[i].addr, len = c->segment[i].len, piece;
        uint64_t drop = skip < len ? skip : len;
        skip -= drop;
        addr += drop;
        for (len -= drop; len; addr += piece, len -= piece) {
            void *p = memory_ram_pointer(mem, addr, len, in, &piece);
            if (!p || n == max) {
                return -1;
            }
            iov[n++] = (struct iovec){p, piece};
        }
    }
    return n;
}

/* Target and unit of an address; false: not of the form that virtio has. */
static bool address(const uint8_t *lun, unsigned *target, unsigned *unit)
{
    *target = lun[1];
    *unit = (unsigned)(lun[2] << 8 | lun[3]) & 0x3fff;
    return lun[0] == 1;
}

static bool begin(struct virtio_scsi *h, struct virtq_chain *c)
{
    struct memory *mem = h->virtio.pci.dev.machine->memory;
    uint64_t head = REQUEST_HEADER + h->cdb_size, tail = RESPONSE_HEADER + h->sense_size;
    uint8_t header[REQUEST_HEADER + CDB_MAX];
    int max = (int)(c->nin + c->nout) + 32;
    unsigned target, unit;

    if (c->in_bytes < tail || virtq_read(c, 0, header, head) != head) {
        virtio_error(&h->virtio, "request without header or response");
        return false;
    }
    struct vscsi_request *r = calloc(1, sizeof(*r) + (size_t)max * sizeof(r->iov[0]));
    if (!r) {
        abort();
    }
    r->hba = h;
    r->chain = c;
    r->id = le_get64(header + 8);
    r->sense_size = h->sense_size;
    memcpy(r->lun, header, 8);
    memcpy(r->scsi.cdb, header + REQUEST_HEADER, h->cdb_size < SCSI_CDB ? h->cdb_size : SCSI_CDB);
    r->scsi.done = request_done;
    r->scsi.out_len = c->out_bytes - head;
    r->scsi.in_len = c->in_bytes - tail;
    r->next = h->requests;
    if (r->next) {
        r->next->prev = r;
    }
    h->requests = r;
    r->scsi.out = r->iov;
    r->scsi.nout = map_data(c, false, head, r->iov, max, mem);
    r->scsi.in = r->iov + (r->scsi.nout > 0 ? r->scsi.nout : 0);
    r->scsi.nin =
        r->scsi.nout < 0 ? -1 : map_data(c, true, tail, r->scsi.in, max - r->scsi.nout, mem);
    if (r->scsi.nin < 0 || (r->scsi.in_len && r->scsi.out_len)) {
        log_at(h->virtio.pci.dev.machine->log, LOG_GUEST_ERROR,
               "virtio-scsi-pci: a buffer of the request is not RAM, or there is data both ways\n");
        respond(r, S_FAILURE);
        forget(r);
    } else if (!address(r->lun, &target, &unit) || !scsi_target_exists(&h->bus, target)) {
        respond(r, S_BAD_TARGET);
        forget(r);
    } else {
        scsi_execute(&h->bus, target, unit, &r->scsi);
    }
    return true;
}

/* ---- task management ---- */

/* Ends requests of a target (unit: of one unit, UINT32_MAX: all; id: of one, UINT64_MAX: all). */
static unsigned end_requests(struct virtio_scsi *h, unsigned target, uint32_t unit,
                             const uint64_t *id, uint8_t response, bool only_count)
{
    unsigned n = 0;

    for (struct vscsi_request *r = h->requests; r; r = r->next) {
        unsigned t, u;
        address(r->lun, &t, &u);
        if (!r->chain || t != target || (unit != UINT32_MAX && u != unit) || (id && r->id != *id)) {
            continue;
        }
        n++;
        if (!only_count) {
            r->scsi.dev->drain(r->scsi.dev);
            r->scsi.moved = 0;
            respond(r, response);
        }
    }
    return n;
}

static uint8_t manage(struct virtio_scsi *h, const uint8_t *b)
{
    uint32_t what = le_get32(b + 4);
    uint64_t id = le_get64(b + 16);
    unsigned target, unit;

    if (!address(b + 8, &target, &unit) || !scsi_target_exists(&h->bus, target)) {
        return S_BAD_TARGET;
    }
    log_trace(h->virtio.pci.dev.machine->log, virtio_scsi_task, "target %u unit %u: function %u",
              target, unit, what);
    if (what != TMF_NEXUS_RESET && !scsi_find(&h->bus, target, unit)) {
        return S_INCORRECT_LUN;
    }
    switch (what) {
    case TMF_ABORT_TASK:
        end_requests(h, target, unit, &id, S_ABORTED, false);
        return S_OK;
    case TMF_ABORT_SET:
    case TMF_CLEAR_SET:
        end_requests(h, target, unit, NULL, S_ABORTED, false);
        return S_OK;
    case TMF_UNIT_RESET:
    case TMF_NEXUS_RESET:
        unit = what == TMF_NEXUS_RESET ? UINT32_MAX : unit;
        end_requests(h, target, unit, NULL, S_RESET, false);
        for (struct scsi_device *d = h->bus.first; d; d = d->next) {
            if (d->id == target && (unit == UINT32_MAX || d->lun == unit)) {
                d->reset(d);
            }
        }
        return S_OK;
    case TMF_QUERY:
        return end_requests(h, target, unit, &id, 0, true) ? S_SUCCEEDED : S_OK;
    case TMF_QUERY_SET:
        return end_requests(h, target, unit, NULL, 0, true) ? S_SUCCEEDED : S_OK;
    default:
        return S_REJECTED;
    }
}

static bool control(struct virtio_scsi *h, struct virtq_chain *c)
{
    uint8_t b[24] = {0}, reply[5] = {0};
    uint64_t n = virtq_read(c, 0, b, sizeof(b));
    uint32_t type = le_get32(b);

    if (n < 4 || (type == T_TMF && (n < 24 || c->in_bytes < 1)) ||
        ((type == T_QUERY || type == T_SUBSCRIBE) && (n < 16 || c->in_bytes < 5))) {
        virtio_error(&h->virtio, "control request that is too short");
        return false;
    }
    if (type == T_TMF) {
        reply[0] = manage(h, b);
        answer(c, reply, 1, 0);
    } else if (type == T_QUERY || type == T_SUBSCRIBE) {
        answer(c, reply, 5, 0); /* no events of any class */
    } else {
        answer(c, reply, 0, 0);
    }
    return true;
}

/* ---- events ---- */

static void send_event(struct virtio_scsi *h, const uint8_t *event)
{
    struct virtqueue *q = &h->virtio.queue[Q_EVENT];
    struct virtq_chain *c = virtio_running(&h->virtio) ? virtqueue_pop(q) : NULL;
    uint8_t b[EVENT_BYTES];

    if (!c) {
        h->missed = true;
        return;
    }
    memcpy(b, event, sizeof(b));
    if (h->missed) {
        le_put32(b, le_get32(b) | EVENT_MISSED);
        h->missed = false;
    }
    answer(c, b, sizeof(b), 0);
}

static void unit_event(struct scsi_bus *bus, struct scsi_device *d, uint8_t asc, uint8_t ascq)
{
    struct virtio_scsi *h = container_of(bus, struct virtio_scsi, bus);
    uint8_t b[EVENT_BYTES] = {EVENT_PARAM_CHANGE, 0, 0, 0, 1, (uint8_t)d->id};

    if (!virtio_has(&h->virtio, F_CHANGE)) {
        return;
    }
    b[6] = (uint8_t)(d->lun >> 8 | (d->lun > 255 ? 0x40 : 0));
    b[7] = (uint8_t)d->lun;
    le_put32(b + 12, asc | (uint32_t)ascq << 8);
    send_event(h, b);
}

static void scsi_kick(struct virtio *v, struct virtqueue *q)
{
    struct virtio_scsi *h = container_of(v, struct virtio_scsi, virtio);
    static const uint8_t none[EVENT_BYTES];
    struct virtq_chain *c;

    if (q->index == Q_EVENT) { /* buffers are taken when there is an event */
        if (h->missed && !virtqueue_empty(q)) {
            send_event(h, none);
        }
        return;
    }
    do {
        virtqueue_want_kicks(q, false);
        while ((c = virtqueue_pop(q)) != NULL) {
            if (!(q->index == Q_CONTROL ? control(h, c) : begin(h, c))) {
                free(c);
                return;
            }
        }
        virtqueue_want_kicks(q, true);
    } while (!virtqueue_empty(q));
}

/* ---- configuration ---- */

static uint64_t scsi_features(struct virtio *v)
{
    (void)v;
    return 1u << F_CHANGE;
}

static void scsi_config(struct virtio *v, uint8_t *config)
{
    struct virtio_scsi *h = container_of(v, struct virtio_scsi, virtio);

    le_put32(config + C_NUM_QUEUES, h->num_queues);
    le_put32(config + C_SEG_MAX, h->queue_size - 2u);
    le_put32(config + C_MAX_SECTORS, h->max_sectors);
    le_put32(config + C_CMD_PER_LUN, h->cmd_per_lun);
    le_put32(config + C_EVENT_SIZE, EVENT_BYTES);
    le_put32(config + C_SENSE_SIZE, h->sense_size);
    le_put32(config + C_CDB_SIZE, h->cdb_size);
    le_put16(config + C_MAX_TARGET, SCSI_TARGETS - 1);
    le_put32(config + C_MAX_LUN, SCSI_LUNS - 1);
}

static void scsi_config_write(struct virtio *v, const uint8_t *config, unsigned offset,
                              unsigned size)
{
    struct virtio_scsi *h = container_of(v, struct virtio_scsi, virtio);
    uint32_t sense = le_get32(config + C_SENSE_SIZE), cdb = le_get32(config + C_CDB_SIZE);

    if (offset >= C_SENSE_SIZE + 8 || offset + size <= C_SENSE_SIZE) {
        return;
    }
    if (sense > SENSE_MAX || cdb > CDB_MAX || !cdb) {
        virtio_error(v, "sense_size=%u or cdb_size=%u is too large", sense, cdb);
        return;
    }
    h->sense_size = sense;
    h->cdb_size = cdb;
}

static void scsi_soft_reset(struct virtio *v)
{
    struct virtio_scsi *h = container_of(v, struct virtio_scsi, virtio);

    for (struct vscsi_request *r = h->requests; r; r = r->next) {
        if (r->chain) {
            r->scsi.dev->drain(
                r->scsi.dev); /* a worker must not write to memory that is given to others */
            free(r->chain);
            r->chain = NULL;
        }
    }
    for (struct scsi_device *d = h->bus.first; d; d = d->next) {
        d->reset(d);
    }
    h->sense_size = SENSE_DEFAULT;
    h->cdb_size = CDB_DEFAULT;
    h->missed = false;
}

static const struct virtio_class scsi_class = {
    .id = 8,
    .config_size = CONFIG_BYTES,
    .features = scsi_features,
    .config_read = scsi_config,
    .config_write = scsi_config_write,
    .kick = scsi_kick,
    .reset = scsi_soft_reset,
};

/* ---- life ---- */

static void scsi_reset(struct device *d)
{
    virtio_reset((struct virtio *)d);
}

static bool scsi_realize(struct device *d, struct error *err)
{
    struct virtio_scsi *h = (struct virtio_scsi *)d;

    if (!h->num_queues || h->num_queues > 32) {
        return error_set(err, "virtio-scsi-pci: num_queues=%u is not 1 to 32", h->num_queues);
    }
    if (h->queue_size < 4 || h->queue_size > VIRTQUEUE_MAX ||
        (h->queue_size & (h->queue_size - 1))) {
        return error_set(err, "virtio-scsi-pci: virtqueue_size=%u is not a power of 2 from 4 to %d",
                         h->queue_size, VIRTQUEUE_MAX);
    }
    h->bus.event = unit_event;
    scsi_bus_add(&h->bus, d);
    for (unsigned i = 0; i < Q_REQUEST + h->num_queues; i++) {
        virtio_add_queue(&h->virtio, i, h->queue_size);
    }
    return virtio_init(&h->virtio, &scsi_class, err);
}

/* The images have been closed: nothing works on the requests any more. */
static void scsi_destroy(struct device *d)
{
    struct virtio_scsi *h = (struct virtio_scsi *)d;

    while (h->requests) {
        struct vscsi_request *r = h->requests;
        free(r->chain);
        free(r->scsi.iov);
        free(r->scsi.bounce);
        forget(r);
    }
}

/* Of the adapter; its devices append themselves. */
static char *scsi_boot_path(struct device *d)
{
    uint8_t devfn = ((struct virtio *)d)->pci.devfn;
    char *path;
    int n = devfn & 7 ? asprintf(&path, "/pci@i0cf8/scsi@%x,%x", devfn >> 3, devfn & 7)
                      : asprintf(&path, "/pci@i0cf8/scsi@%x", devfn >> 3);

    if (n < 0) {
        abort();
    }
    return path;
}

static const struct pci_info scsi_info = VIRTIO_PCI_INFO(0x1004, 8, 0x01, 0x00);

const struct device_type virtio_scsi_type = {
    .name = "virtio-scsi-pci",
    .summary = "virtio SCSI host adapter",
    .bus = BUS_PCI,
    .size = sizeof(struct virtio_scsi),
    .props = scsi_props,
    .state = &scsi_state,
    .realize = scsi_realize,
    .boot_path = scsi_boot_path,
    .reset = scsi_reset,
    .destroy = scsi_destroy,
    .user_creatable = true,
    .bus_info = &scsi_info,
};
