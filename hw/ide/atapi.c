/* ATAPI CD-ROM/DVD drive: packet commands after MMC-3 and SFF-8020i, data discs with one track of
 * 2048-byte sectors. Left out: audio, writing, raw sector formats other than user data. */
#include "hw/ide/ide.h"
#include "hw/scsi/mmc.h"
#include "host/be.h"

#include <string.h>

enum { REASON_CD = 1, REASON_IO = 2 };
enum {
    SENSE_NONE = 0,
    SENSE_NOT_READY = 2,
    SENSE_MEDIUM = 3,
    SENSE_ILLEGAL = 5,
    SENSE_ATTENTION = 6
};
enum {
    ASC_INVALID_OPCODE = 0x20,
    ASC_LBA_RANGE = 0x21,
    ASC_INVALID_FIELD = 0x24,
    ASC_CHANGED = 0x28,
    ASC_NO_MEDIUM = 0x3a,
    ASC_READ_ERROR = 0x11,
    ASC_LOCKED = 0x53
};

static uint32_t disc_sectors(const struct ide_drive *d)
{
    return ide_has_disc(d) ? (uint32_t)(block_size(d->block) / CD_SECTOR) : 0;
}

static void packet_ok(struct ide_drive *d)
{
    d->phase = IDE_IDLE;
    d->error = 0;
    d->count = REASON_CD | REASON_IO;
    d->status = ATA_DRDY | ATA_DSC;
    ide_raise(d);
}

static void packet_error(struct ide_drive *d, uint8_t key, uint8_t asc)
{
    d->sense_key = key;
    d->asc = asc;
    d->ascq = 0;
    d->phase = IDE_IDLE;
    d->error = (uint8_t)(key << 4);
    d->count = REASON_CD | REASON_IO;
    d->status = ATA_DRDY | ATA_DSC | ATA_ERR;
    ide_raise(d);
}

/* ---- data to the guest ---- */

static void dma_finish(struct ide_drive *d, bool ok)
{
    d->channel->bm_done(d->channel->bm, !ok);
    if (ok) {
        packet_ok(d);
    } else {
        packet_error(d, SENSE_MEDIUM, ASC_READ_ERROR);
    }
}

/* Hands out the next piece of what is in the buffer, by the byte count limit the guest gave. */
static void hand_out(struct ide_drive *d, uint32_t available)
{
    uint32_t n = available < d->block_sectors ? available : d->block_sectors;

    d->lba1 = (uint8_t)n;
    d->lba2 = (uint8_t)(n >> 8);
    d->pos = 0;
    d->end = n;
    d->count = REASON_IO;
    d->phase = IDE_PACKET_IN;
    d->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    ide_raise(d);
}

static void read_more(struct ide_drive *d);

void atapi_drained(struct ide_drive *d)
{
    d->packet_done += d->end;
    d->buffer_start += d->end;
    if (d->packet_done >= d->packet_total) {
        packet_ok(d);
        return;
    }
    uint32_t left = d->packet_total - d->packet_done;
    if (d->ext) { /* reading from the disc: only what is in the buffer now */
        uint32_t buffered = (uint32_t)d->iov.iov_len - d->buffer_start;
        if (!buffered) {
            read_more(d);
            return;
        }
        left = left < buffered ? left : buffered;
    }
    hand_out(d, left);
}

/* A reply of len bytes is in the buffer; the guest wants at most max. */
static void reply(struct ide_drive *d, uint32_t len, uint32_t max)
{
    len = len < max ? len : max;
    if (!len) {
        packet_ok(d);
        return;
    }
    d->packet_total = len;
    d->packet_done = d->buffer_start = 0;
    d->remaining = 0;
    d->ext = false;
    if (d->dma) {
        d->phase = IDE_DMA_WAIT;
        d->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
        if (d->channel->bm_started(d->channel->bm)) {
            atapi_dma(d);
        }
    } else {
        hand_out(d, len);
    }
}

/* ---- reading sectors ---- */

static void read_done(struct ide_drive *d, int result)
{
    uint32_t bytes = (uint32_t)d->iov.iov_len;

    if (result) {
        if (d->dma) {
            dma_finish(d, false);
        } else {
            packet_error(d, SENSE_MEDIUM, ASC_READ_ERROR);
        }
        return;
    }
    d->lba += bytes / CD_SECTOR;
    d->remaining -= bytes / CD_SECTOR;
    d->buffer_start = 0;
    if (!d->dma) {
        hand_out(d, bytes);
    } else if (!d->channel->bm_transfer(d->channel->bm, d->buffer, bytes, true)) {
        dma_finish(d, false);
    } else if (d->remaining) {
        read_more(d);
    } else {
        dma_finish(d, true);
    }
}

static void read_more(struct ide_drive *d)
{
    uint32_t n = d->remaining < IDE_BUFFER / CD_SECTOR ? d->remaining : IDE_BUFFER / CD_SECTOR;

    d->phase = IDE_PACKET_READ;
    ide_submit(d, BLOCK_READ, d->lba * CD_SECTOR, n * CD_SECTOR, read_done);
}

void atapi_dma(struct ide_drive *d)
{
    if (d->ext) {
        read_more(d);
    } else {
        dma_finish(d, d->channel->bm_transfer(d->channel->bm, d->buffer, d->packet_total, true));
    }
}

static void read_sectors(struct ide_drive *d, uint32_t lba, uint32_t n)
{
    if (!n) {
        packet_ok(d);
        return;
    }
    if (lba >= disc_sectors(d) || n > disc_sectors(d) - lba) {
        packet_error(d, SENSE_ILLEGAL, ASC_LBA_RANGE);
        return;
    }
    d->lba = lba;
    d->remaining = n;
    d->packet_total = n * CD_SECTOR;
    d->packet_done = 0;
    d->ext = true;
    if (!d->dma) {
        read_more(d);
        return;
    }
    d->phase = IDE_DMA_WAIT;
    d->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    if (d->channel->bm_started(d->channel->bm)) {
        atapi_dma(d);
    }
}

/* ---- commands ---- */

static void cmd_test_ready(struct ide_drive *d, const uint8_t *p)
{
    (void)p;
    packet_ok(d);
}

static void cmd_sense(struct ide_drive *d, const uint8_t *p)
{
    uint8_t *b = d->buffer;
    uint8_t max = p[4];

    memset(b, 0, 18);
    b[0] = 0xf0;
    b[2] = d->sense_key;
    b[7] = 10;
    b[12] = d->asc;
    b[13] = d->ascq;
    d->sense_key = d->asc = d->ascq = 0;
    reply(d, 18, max);
}

static void cmd_inquiry(struct ide_drive *d, const uint8_t *p)
{
    uint8_t *b = d->buffer;
    uint16_t max = be_get16(p + 3);

    memset(b, 0, 36);
    b[0] = 5;
    b[1] = 0x80;
    b[3] = 0x21;
    b[4] = 31;
    memcpy(b + 8, "DRAGOMAN", 8);
    memcpy(b + 16, "DVD-ROM         ", 16);
    memcpy(b + 32, "0.1 ", 4);
    reply(d, 36, max);
}

static void cmd_start_stop(struct ide_drive *d, const uint8_t *p)
{
    if (p[4] & 2) {
        bool open = !(p[4] & 1);
        if (open && d->locked && d->block && !block_tray_open(d->block)) {
            packet_error(d, ide_has_disc(d) ? SENSE_ILLEGAL : SENSE_NOT_READY, ASC_LOCKED);
            return;
        }
        if (d->block && block_tray_open(d->block) != open) {
            block_set_tray(d->block, open);
            d->media_changed |= !open && block_inserted(d->block);
        }
    }
    packet_ok(d);
}

static void cmd_prevent(struct ide_drive *d, const uint8_t *p)
{
    d->locked = p[4] & 1;
    packet_ok(d);
}

static void cmd_capacity(struct ide_drive *d, const uint8_t *p)
{
    (void)p;
    be_put32(d->buffer, disc_sectors(d) - 1);
    be_put32(d->buffer + 4, CD_SECTOR);
    reply(d, 8, 8);
}

static void cmd_read10(struct ide_drive *d, const uint8_t *p)
{
    read_sectors(d, be_get32(p + 2), be_get16(p + 7));
}

static void cmd_read12(struct ide_drive *d, const uint8_t *p)
{
    read_sectors(d, be_get32(p + 2), be_get32(p + 6));
}

static void cmd_read_cd(struct ide_drive *d, const uint8_t *p)
{
    uint32_t n = (uint32_t)p[6] << 16 | (uint32_t)p[7] << 8 | p[8];

    switch (p[9] & 0xf8) {
    case 0:
        packet_ok(d);
        break;
    case 0x10: /* user data */
        read_sectors(d, be_get32(p + 2), n);
        break;
    default:
        packet_error(d, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        break;
    }
}

static void cmd_seek(struct ide_drive *d, const uint8_t *p)
{
    if (be_get32(p + 2) >= disc_sectors(d)) {
        packet_error(d, SENSE_ILLEGAL, ASC_LBA_RANGE);
    } else {
        packet_ok(d);
    }
}

/* What CD-ROM drives of any kind answer. */
static void cmd_mmc(struct ide_drive *d, const uint8_t *p)
{
    struct mmc_drive drive = {.sectors = disc_sectors(d),
                              .inserted = ide_has_disc(d),
                              .tray_open = d->block && block_tray_open(d->block),
                              .locked = d->locked,
                              .event = &d->event};
    uint32_t max;
    int len = mmc_reply(&drive, p, d->buffer, &max);

    if (len < 0) {
        packet_error(d, SENSE_ILLEGAL, (uint8_t)-len);
    } else {
        reply(d, (uint32_t)len, max);
    }
}

static void cmd_ok(struct ide_drive *d, const uint8_t *p)
{
    (void)p;
    packet_ok(d);
}

enum { NEEDS_DISC = 1, ANY_TIME = 2 /* not stopped by a pending unit attention */ };

static const struct packet_command {
    uint8_t code, flags;
    void (*run)(struct ide_drive *d, const uint8_t *packet);
} packet_commands[] = {
    {0x00, NEEDS_DISC, cmd_test_ready},
    {0x03, ANY_TIME, cmd_sense},
    {0x12, ANY_TIME, cmd_inquiry},
    {0x1b, 0, cmd_start_stop},
    {0x1e, 0, cmd_prevent},
    {0x25, NEEDS_DISC, cmd_capacity},
    {0x28, NEEDS_DISC, cmd_read10},
    {0x2b, NEEDS_DISC, cmd_seek},
    {0x43, NEEDS_DISC, cmd_mmc},
    {0x46, ANY_TIME, cmd_mmc},
    {0x4a, ANY_TIME, cmd_mmc},
    {0x51, NEEDS_DISC, cmd_mmc},
    {0x5a, 0, cmd_mmc},
    {0xa8, NEEDS_DISC, cmd_read12},
    {0xbb, 0, cmd_ok}, /* set speed */
    {0xbd, 0, cmd_mmc},
    {0xbe, NEEDS_DISC, cmd_read_cd},
};

void atapi_run(struct ide_drive *d)
{
    uint8_t p[12];

    memcpy(p, d->buffer, sizeof(p));
    d->dma = d->features & 1;
    for (unsigned i = 0; i < sizeof(packet_commands) / sizeof(packet_commands[0]); i++) {
        const struct packet_command *c = &packet_commands[i];
        if (c->code != p[0]) {
            continue;
        }
        if (d->media_changed && !(c->flags & ANY_TIME)) {
            d->media_changed = false;
            packet_error(d, SENSE_ATTENTION, ASC_CHANGED);
        } else if ((c->flags & NEEDS_DISC) && !ide_has_disc(d)) {
            packet_error(d, SENSE_NOT_READY, ASC_NO_MEDIUM);
        } else {
            c->run(d, p);
        }
        return;
    }
    packet_error(d, SENSE_ILLEGAL, ASC_INVALID_OPCODE);
}

void atapi_packet(struct ide_drive *d)
{
    uint32_t limit = (uint32_t)d->lba2 << 8 | d->lba1;

    log_trace(d->channel->machine->log, atapi_packet, "limit %u", limit);
    /* The byte count limit of this command: even, kept where ATA commands keep their block size. */
    if (limit == 0 || limit == 0xffff) {
        limit = 0xfffe;
    }
    d->block_sectors = limit > 1 ? limit & ~1u : 2;
    d->pos = d->buffer_start = 0;
    d->end = 12;
    d->count = REASON_CD;
    d->phase = IDE_PACKET;
    d->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
}
