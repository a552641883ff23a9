/* ATAPI CD-ROM/DVD drive: packet commands after MMC-3 and SFF-8020i, data discs with one track of 2048-byte
 * sectors. Left out: audio, writing, raw sector formats other than user data. */
#include "hw/ide/ide.h"

#include <string.h>

enum { REASON_CD = 1, REASON_IO = 2 };
enum { SENSE_NONE = 0, SENSE_NOT_READY = 2, SENSE_MEDIUM = 3, SENSE_ILLEGAL = 5, SENSE_ATTENTION = 6 };
enum { ASC_INVALID_OPCODE = 0x20, ASC_LBA_RANGE = 0x21, ASC_INVALID_FIELD = 0x24, ASC_CHANGED = 0x28,
       ASC_NO_MEDIUM = 0x3a, ASC_READ_ERROR = 0x11, ASC_LOCKED = 0x53 };

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint16_t be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void put_be(uint8_t *p, uint64_t v, unsigned n)
{
    while (n--) {
        p[n] = (uint8_t)v;
        v >>= 8;
    }
}

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
    uint16_t max = be16(p + 3);

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
    put_be(d->buffer, disc_sectors(d) - 1, 4);
    put_be(d->buffer + 4, CD_SECTOR, 4);
    reply(d, 8, 8);
}

static void cmd_read10(struct ide_drive *d, const uint8_t *p)
{
    read_sectors(d, be32(p + 2), be16(p + 7));
}

static void cmd_read12(struct ide_drive *d, const uint8_t *p)
{
    read_sectors(d, be32(p + 2), be32(p + 6));
}

static void cmd_read_cd(struct ide_drive *d, const uint8_t *p)
{
    uint32_t n = (uint32_t)p[6] << 16 | (uint32_t)p[7] << 8 | p[8];

    switch (p[9] & 0xf8) {
    case 0:
        packet_ok(d);
        break;
    case 0x10: /* user data */
        read_sectors(d, be32(p + 2), n);
        break;
    default:
        packet_error(d, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        break;
    }
}

static void cmd_seek(struct ide_drive *d, const uint8_t *p)
{
    if (be32(p + 2) >= disc_sectors(d)) {
        packet_error(d, SENSE_ILLEGAL, ASC_LBA_RANGE);
    } else {
        packet_ok(d);
    }
}

static void put_position(uint8_t *p, uint32_t lba, bool msf)
{
    if (msf) {
        lba += 150;
        p[0] = 0;
        p[1] = (uint8_t)(lba / 75 / 60);
        p[2] = (uint8_t)(lba / 75 % 60);
        p[3] = (uint8_t)(lba % 75);
    } else {
        put_be(p, lba, 4);
    }
}

static void cmd_toc(struct ide_drive *d, const uint8_t *p)
{
    uint8_t *b = d->buffer;
    bool msf = p[1] & 2;
    unsigned format = p[2] & 15 ? p[2] & 15 : p[9] >> 6, start = p[6];
    uint16_t max = be16(p + 7);
    uint32_t len = 4;

    memset(b, 0, 64);
    b[2] = b[3] = 1;
    if (format == 0) {
        if (start > 1 && start != 0xaa) {
            packet_error(d, SENSE_ILLEGAL, ASC_INVALID_FIELD);
            return;
        }
        if (start <= 1) {
            b[5] = 0x14;
            b[6] = 1;
            put_position(b + 8, 0, msf);
            len += 8;
        }
        b[len + 1] = 0x16;
        b[len + 2] = 0xaa;
        put_position(b + len + 4, disc_sectors(d), msf);
        len += 8;
    } else if (format == 1) {
        b[5] = 0x14;
        b[6] = 1;
        put_position(b + 8, 0, msf);
        len += 8;
    } else {
        packet_error(d, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    put_be(b, len - 2, 2);
    reply(d, len, max);
}

static void cmd_mode_sense(struct ide_drive *d, const uint8_t *p)
{
    uint8_t *b = d->buffer;
    uint16_t max = be16(p + 7);
    uint8_t page = p[2] & 0x3f, control = p[2] >> 6;
    uint32_t len = 8;

    if (control == 3) {
        packet_error(d, SENSE_ILLEGAL, 0x39);
        return;
    }
    memset(b, 0, 64);
    b[2] = ide_has_disc(d) ? 1 : d->block && block_tray_open(d->block) ? 0x71 : 0x70;
    if (page == 0x01 || page == 0x3f) { /* error recovery */
        b[len] = 0x01;
        b[len + 1] = 6;
        b[len + 3] = 5;
        len += 8;
    }
    if (page == 0x2a || page == 0x3f) { /* capabilities */
        uint8_t *c = b + len;
        c[0] = 0x2a;
        c[1] = 0x12;
        c[2] = 0x3b; /* reads CD-R, CD-RW, method 2, DVD-ROM, DVD-R */
        c[4] = 0x70;
        c[6] = (uint8_t)(0x29 | (d->locked ? 2 : 0));
        put_be(c + 8, 706 * 4, 2);
        put_be(c + 12, 512, 2);
        put_be(c + 14, 706 * 4, 2);
        len += 20;
    }
    if (len == 8) {
        packet_error(d, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    put_be(b, len - 2, 2);
    reply(d, len, max);
}

static void cmd_configuration(struct ide_drive *d, const uint8_t *p)
{
    uint8_t *b = d->buffer;
    uint16_t max = be16(p + 7), first = be16(p + 2);
    bool dvd = disc_sectors(d) > 80 * 60 * 75;
    uint32_t len = 8;

    memset(b, 0, 64);
    put_be(b + 6, ide_has_disc(d) ? (dvd ? 0x10 : 0x08) : 0, 2);
    if (first == 0) { /* profile list: DVD-ROM, CD-ROM */
        static const uint8_t profiles[12] = {0, 0, 3, 8, 0, 0x10, 0, 0, 0, 8, 0, 0};
        memcpy(b + len, profiles, 12);
        b[len + (dvd ? 6 : 10)] = ide_has_disc(d);
        len += 12;
    }
    if (first <= 1) { /* core: ATAPI */
        static const uint8_t core[12] = {0, 1, 0x0b, 8, 0, 0, 0, 2, 1, 0, 0, 0};
        memcpy(b + len, core, 12);
        len += 12;
    }
    if (first <= 3) { /* removable medium: tray, eject, lock */
        static const uint8_t removable[8] = {0, 3, 3, 4, 0x29, 0, 0, 0};
        memcpy(b + len, removable, 8);
        len += 8;
    }
    put_be(b, len - 4, 4);
    reply(d, len, max);
}

static void cmd_event(struct ide_drive *d, const uint8_t *p)
{
    uint8_t *b = d->buffer;
    uint16_t max = be16(p + 7);

    if (!(p[1] & 1)) { /* only polling is supported */
        packet_error(d, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    memset(b, 0, 8);
    b[3] = 0x10; /* supported classes: media */
    if (!(p[4] & 0x10)) {
        b[1] = 2;
        b[2] = 0x80;
        reply(d, 4, max);
        return;
    }
    b[1] = 6;
    b[2] = 4;
    b[4] = d->event;
    d->event = 0;
    b[5] = (uint8_t)((ide_has_disc(d) ? 2 : 0) | (d->block && block_tray_open(d->block) ? 1 : 0));
    reply(d, 8, max);
}

static void cmd_mechanism(struct ide_drive *d, const uint8_t *p)
{
    uint16_t max = be16(p + 8);

    memset(d->buffer, 0, 8);
    d->buffer[5] = 1;
    reply(d, 8, max);
}

static void cmd_disc_info(struct ide_drive *d, const uint8_t *p)
{
    uint16_t max = be16(p + 7);

    memset(d->buffer, 0, 34);
    put_be(d->buffer, 32, 2);
    d->buffer[2] = 0x0e; /* complete disc, last session complete */
    d->buffer[3] = d->buffer[4] = d->buffer[5] = d->buffer[6] = 1;
    d->buffer[7] = 0x20;
    reply(d, 34, max);
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
    {0x43, NEEDS_DISC, cmd_toc},
    {0x46, ANY_TIME, cmd_configuration},
    {0x4a, ANY_TIME, cmd_event},
    {0x51, NEEDS_DISC, cmd_disc_info},
    {0x5a, 0, cmd_mode_sense},
    {0xa8, NEEDS_DISC, cmd_read12},
    {0xbb, 0, cmd_ok}, /* set speed */
    {0xbd, 0, cmd_mechanism},
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
