/* UNMAP and WRITE SAME of SCSI disks (SBC-3): ranges that are discarded, zeroed or filled. */
#include "hw/scsi/scsi_disk.h"

#include <stdlib.h>
#include <string.h>

enum { UNMAP_MAX = 255, FILL = 256 * 1024, NDOB = 1, UNMAP_BIT = 8 };

static bool in_range(const struct scsi_disk *d, uint64_t lba, uint64_t n)
{
    return lba <= scsi_disk_blocks(d) && n <= scsi_disk_blocks(d) - lba;
}

static void unmap_next(struct scsi_request *r);

static void unmap_done(struct block_request *io, int result)
{
    struct scsi_request *r = io->opaque;

    if (result) {
        scsi_check(r, scsi_disk_error(result, true));
    } else {
        unmap_next(r);
    }
}

/* The ranges are in bounce: left of them from at on. */
static void unmap_next(struct scsi_request *r)
{
    struct scsi_disk *d = (struct scsi_disk *)r->dev;

    while (r->left) {
        const uint8_t *e = r->bounce + r->at;
        uint64_t lba = scsi_be(e, 8), n = scsi_be(e + 8, 4);
        r->at += 16;
        r->left--;
        if (n) {
            r->io = (struct block_request){.op = BLOCK_DISCARD,
                                           .offset = lba * d->logical,
                                           .len = n * d->logical,
                                           .done = unmap_done,
                                           .opaque = r};
            block_submit(d->drive, &r->io);
            return;
        }
    }
    scsi_good(r);
}

void scsi_disk_unmap(struct scsi_disk *d, struct scsi_request *r)
{
    uint64_t len = scsi_be(r->cdb + 7, 2);

    if (!len || (r->cdb[1] & 1)) { /* nothing; anchored blocks do not exist */
        if (len) {
            scsi_check(r, SCSI_INVALID_FIELD);
        } else {
            scsi_good(r);
        }
        return;
    }
    r->bounce = calloc(1, len + 16);
    if (!r->bounce) {
        abort();
    }
    len = scsi_copy_out(r, r->bounce, len);
    r->moved = len;
    uint64_t bytes = scsi_be(r->bounce + 2, 2);
    if (len < 8 || bytes > len - 8 || bytes / 16 > UNMAP_MAX) {
        scsi_check(r, bytes / 16 > UNMAP_MAX ? SCSI_SENSE_OF(SENSE_ILLEGAL, 0x26, 0)
                                             : SCSI_SENSE_OF(SENSE_ILLEGAL, 0x1a, 0));
        return;
    }
    r->at = 8;
    r->left = bytes / 16;
    for (uint64_t i = 0; i < r->left; i++) {
        const uint8_t *e = r->bounce + 8 + 16 * i;
        if (!in_range(d, scsi_be(e, 8), scsi_be(e + 8, 4))) {
            scsi_check(r, SCSI_LBA_RANGE);
            return;
        }
    }
    unmap_next(r);
}

static void fill_next(struct scsi_request *r);

static void fill_done(struct block_request *io, int result)
{
    struct scsi_request *r = io->opaque;

    if (result) {
        scsi_check(r, scsi_disk_error(result, true));
        return;
    }
    r->at += io->len;
    r->left -= io->len;
    if (r->left) {
        fill_next(r);
    } else {
        scsi_good(r);
    }
}

/* bounce: NULL for zeroes, or FILL bytes of the block repeated. */
static void fill_next(struct scsi_request *r)
{
    struct scsi_disk *d = (struct scsi_disk *)r->dev;
    uint64_t n = !r->bounce || r->left < FILL ? r->left : FILL;

    if (r->bounce) {
        r->iov[0] = (struct iovec){r->bounce, n};
    }
    r->io = (struct block_request){.op = r->bounce ? BLOCK_WRITE : BLOCK_WRITE_ZEROES,
                                   .unmap = !r->bounce && r->unmap,
                                   .offset = r->at,
                                   .len = n,
                                   .iov = r->iov,
                                   .niov = r->bounce ? 1 : 0,
                                   .done = fill_done,
                                   .opaque = r};
    block_submit(d->drive, &r->io);
}

static bool all_zero(const uint8_t *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (p[i]) {
            return false;
        }
    }
    return true;
}

void scsi_disk_write_same(struct scsi_disk *d, struct scsi_request *r)
{
    bool sixteen = r->cdb[0] == 0x93;
    uint64_t lba = scsi_be(r->cdb + 2, sixteen ? 8 : 4),
             n = sixteen ? scsi_be(r->cdb + 10, 4) : scsi_be(r->cdb + 7, 2);

    if (!n || (r->cdb[1] & 0x16) || (!sixteen && (r->cdb[1] & NDOB))) {
        scsi_check(r, SCSI_INVALID_FIELD);
        return;
    }
    if (!in_range(d, lba, n)) {
        scsi_check(r, SCSI_LBA_RANGE);
        return;
    }
    r->at = lba * d->logical;
    r->left = n * d->logical;
    r->unmap = r->cdb[1] & UNMAP_BIT;
    if (!(r->cdb[1] & NDOB)) {
        r->bounce = malloc(FILL);
        r->iov = calloc(1, sizeof(*r->iov));
        if (!r->bounce || !r->iov) {
            abort();
        }
        if (scsi_copy_out(r, r->bounce, d->logical) < d->logical) {
            r->overrun = true;
            scsi_good(r);
            return;
        }
        r->moved = d->logical;
        if (all_zero(r->bounce, d->logical)) {
            free(r->bounce);
            r->bounce = NULL;
        } else {
            for (uint32_t i = d->logical; i < FILL; i += d->logical) {
                memcpy(r->bounce + i, r->bounce, d->logical);
            }
        }
    }
    fill_next(r);
}
