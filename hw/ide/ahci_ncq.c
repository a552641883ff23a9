/* Native command queueing of SATA disks: READ and WRITE FPDMA QUEUED (Serial ATA 2.6, 13.6).
 * Workers move the data between the image and the guest's RAM. A command that fails ends all
 * others, as the standard says; why is in the drive's log 10h.
 *
 * Left out: priorities, queued commands without data, SEND and RECEIVE FPDMA QUEUED. */
#include "hw/ide/ahci.h"

#include <stdlib.h>

enum { READ_QUEUED = 0x60, FUA = 0x80 };

struct piece {
    uint64_t addr;
    uint32_t len;
};

struct ahci_queued {
    struct block_request io;
    struct ahci_port *port;
    struct ahci_queued *prev, *next;
    uint32_t generation;
    uint8_t tag;
    uint64_t lba;
    struct iovec *iov;
    struct piece *piece; /* of the guest's memory */
    unsigned n, max;
};

static void forget(struct ahci_queued *q)
{
    if (q->prev) {
        q->prev->next = q->next;
    } else {
        q->port->requests = q->next;
    }
    if (q->next) {
        q->next->prev = q->prev;
    }
    free(q->iov);
    free(q->piece);
    free(q);
}

static void fail(struct ahci_port *p, uint8_t tag, uint64_t lba, uint8_t error)
{
    struct ide_drive *d = &p->channel.drive[0];

    d->ncq_tag = tag;
    d->ncq_status = ATA_DRDY | ATA_DSC | ATA_ERR;
    d->ncq_error = error;
    d->ncq_lba = lba;
    ahci_queue_cancel(p);
    ahci_device_bits(p, 0, error);
}

static void queued_done(struct block_request *r, int result)
{
    struct ahci_queued *q = container_of(r, struct ahci_queued, io);
    struct ahci_port *p = q->port;
    uint8_t tag = q->tag;
    uint64_t lba = q->lba;
    bool read = r->op == BLOCK_READ;

    for (unsigned i = 0; read && i < q->n; i++) {
        memory_written(ahci_machine(p)->memory, q->piece[i].addr, q->piece[i].len);
    }
    if (q->generation != p->generation) {
        forget(q);
        return;
    }
    forget(q);
    p->queued &= ~(UINT32_C(1) << tag);
    if (result) {
        fail(p, tag, lba, read ? ATA_UNC : ATA_ABRT);
    } else {
        ahci_device_bits(p, UINT32_C(1) << tag, 0);
        ahci_port_run(p);
    }
}

static void *grow(void *p, unsigned n, size_t size)
{
    p = realloc(p, n * size);
    if (!p) {
        abort();
    }
    return p;
}

/* The regions of guest memory for len bytes. */
static bool collect(struct ahci_queued *q, const struct ahci_table *table, uint64_t len)
{
    struct memory *mem = ahci_machine(q->port)->memory;
    struct ahci_table t = *table;
    uint64_t addr, have;
    uint32_t n;

    while (len) {
        if (!ahci_table_next(q->port, &t, len < UINT32_MAX ? (uint32_t)len : UINT32_MAX, &addr,
                             &n)) {
            return false;
        }
        for (len -= n; n; addr += have, n -= (uint32_t)have) {
            void *p = memory_ram_pointer(mem, addr, n, q->io.op == BLOCK_READ, &have);
            if (!p) {
                return false;
            }
            if (q->n == q->max) {
                q->max = q->max ? 2 * q->max : 32;
                q->iov = grow(q->iov, q->max, sizeof(*q->iov));
                q->piece = grow(q->piece, q->max, sizeof(*q->piece));
            }
            q->iov[q->n] = (struct iovec){p, have};
            q->piece[q->n++] = (struct piece){addr, (uint32_t)have};
        }
    }
    return true;
}

void ahci_queue(struct ahci_port *p, unsigned slot, const uint8_t *fis, const struct ahci_table *t)
{
    struct ide_drive *d = &p->channel.drive[0];
    uint32_t n = fis[3] | (uint32_t)fis[11] << 8;
    uint64_t lba = fis[4] | (uint64_t)fis[5] << 8 | (uint64_t)fis[6] << 16 |
                   (uint64_t)fis[8] << 24 | (uint64_t)fis[9] << 32 | (uint64_t)fis[10] << 40;
    bool read = fis[2] == READ_QUEUED;

    n = n ? n : 65536;
    log_trace(ahci_machine(p)->log, ahci_queued, "port %u slot %u: %s %u sectors at %llu", p->index,
              slot, read ? "read" : "write", n, (unsigned long long)lba);
    if (fis[12] >> 3 != (int)slot || (p->queued >> slot & 1) ||
        (!read && block_readonly(d->block))) {
        block_account_invalid(d->block, read ? BLOCK_READ : BLOCK_WRITE);
        fail(p, (uint8_t)slot, lba, ATA_ABRT);
        return;
    }
    if (lba >= ide_disk_sectors(d) || n > ide_disk_sectors(d) - lba) {
        block_account_invalid(d->block, read ? BLOCK_READ : BLOCK_WRITE);
        fail(p, (uint8_t)slot, lba, ATA_IDNF);
        return;
    }
    struct ahci_queued *q = calloc(1, sizeof(*q));
    if (!q) {
        abort();
    }
    q->port = p;
    q->generation = p->generation;
    q->tag = (uint8_t)slot;
    q->lba = lba;
    q->io.op = read ? BLOCK_READ : BLOCK_WRITE;
    q->io.fua = !read && (fis[7] & FUA);
    q->io.offset = lba * IDE_SECTOR;
    q->io.len = (uint64_t)n * IDE_SECTOR;
    q->io.done = queued_done;
    q->next = p->requests;
    if (q->next) {
        q->next->prev = q;
    }
    p->requests = q;
    if (!collect(q, t, q->io.len)) {
        forget(q);
        log_at(ahci_machine(p)->log, LOG_GUEST_ERROR,
               "ahci: port %u: a queued command's memory is too short or not RAM\n", p->index);
        fail(p, (uint8_t)slot, lba, ATA_ABRT);
        return;
    }
    q->io.iov = q->iov;
    q->io.niov = (int)q->n;
    p->queued |= UINT32_C(1) << slot;
    block_submit(d->block, &q->io);
}

void ahci_queue_cancel(struct ahci_port *p)
{
    if (p->queued) {
        block_drain(p->channel.drive[0].block); /* the memory may be given to others now */
    }
    p->generation++;
    p->queued = 0;
}

void ahci_queue_destroy(struct ahci_port *p)
{
    while (p->requests) {
        forget(p->requests);
    }
}
