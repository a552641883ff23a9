/* Replies of CD-ROM and DVD drives, by MMC-3, that are the same behind ATAPI and SCSI: one data
 * disc with one track. */
#include "hw/scsi/mmc.h"
#include "host/be.h"

#include <string.h>

enum { ASC_INVALID_FIELD = 0x24 };

static void put_position(uint8_t *p, uint32_t lba, bool msf)
{
    if (msf) {
        lba += 150;
        p[0] = 0;
        p[1] = (uint8_t)(lba / 75 / 60);
        p[2] = (uint8_t)(lba / 75 % 60);
        p[3] = (uint8_t)(lba % 75);
    } else {
        be_put32(p, lba);
    }
}

static int toc(const struct mmc_drive *d, const uint8_t *p, uint8_t *b)
{
    bool msf = p[1] & 2;
    unsigned format = p[2] & 15 ? p[2] & 15 : p[9] >> 6, start = p[6];
    uint32_t len = 4;

    memset(b, 0, 64);
    b[2] = b[3] = 1;
    if (format == 0) {
        if (start > 1 && start != 0xaa) {
            return -ASC_INVALID_FIELD;
        }
        if (start <= 1) {
            b[5] = 0x14;
            b[6] = 1;
            put_position(b + 8, 0, msf);
            len += 8;
        }
        b[len + 1] = 0x16;
        b[len + 2] = 0xaa;
        put_position(b + len + 4, d->sectors, msf);
        len += 8;
    } else if (format == 1) {
        b[5] = 0x14;
        b[6] = 1;
        put_position(b + 8, 0, msf);
        len += 8;
    } else {
        return -ASC_INVALID_FIELD;
    }
    be_put16(b, len - 2);
    return (int)len;
}

static int mode_sense(const struct mmc_drive *d, const uint8_t *p, uint8_t *b)
{
    uint8_t page = p[2] & 0x3f, control = p[2] >> 6;
    uint32_t len = 8;

    if (control == 3) {
        return -0x39;
    }
    memset(b, 0, 64);
    b[2] = d->inserted ? 1 : d->tray_open ? 0x71 : 0x70;
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
        be_put16(c + 8, 706 * 4);
        be_put16(c + 12, 512);
        be_put16(c + 14, 706 * 4);
        len += 20;
    }
    if (len == 8) {
        return -ASC_INVALID_FIELD;
    }
    be_put16(b, len - 2);
    return (int)len;
}

static int configuration(const struct mmc_drive *d, const uint8_t *p, uint8_t *b)
{
    uint16_t first = be_get16(p + 2);
    bool dvd = d->sectors > 80 * 60 * 75;
    uint32_t len = 8;

    memset(b, 0, 64);
    be_put16(b + 6, d->inserted ? (dvd ? 0x10 : 0x08) : 0);
    if (first == 0) { /* profile list: DVD-ROM, CD-ROM */
        static const uint8_t profiles[12] = {0, 0, 3, 8, 0, 0x10, 0, 0, 0, 8, 0, 0};
        memcpy(b + len, profiles, 12);
        b[len + (dvd ? 6 : 10)] = d->inserted;
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
    be_put32(b, len - 4);
    return (int)len;
}

static int event(const struct mmc_drive *d, const uint8_t *p, uint8_t *b)
{
    if (!(p[1] & 1)) { /* only polling is supported */
        return -ASC_INVALID_FIELD;
    }
    memset(b, 0, 8);
    b[3] = 0x10; /* supported classes: media */
    if (!(p[4] & 0x10)) {
        b[1] = 2;
        b[2] = 0x80;
        return 4;
    }
    b[1] = 6;
    b[2] = 4;
    b[4] = *d->event;
    *d->event = 0;
    b[5] = (uint8_t)((d->inserted ? 2 : 0) | (d->tray_open ? 1 : 0));
    return 8;
}

static int mechanism(const struct mmc_drive *d, const uint8_t *p, uint8_t *b)
{
    (void)d;
    (void)p;
    memset(b, 0, 8);
    b[5] = 1;
    return 8;
}

static int disc_info(const struct mmc_drive *d, const uint8_t *p, uint8_t *b)
{
    (void)d;
    (void)p;
    memset(b, 0, 34);
    be_put16(b, 32);
    b[2] = 0x0e; /* complete disc, last session complete */
    b[3] = b[4] = b[5] = b[6] = 1;
    b[7] = 0x20;
    return 34;
}

static const struct {
    uint8_t code, length_at; /* of the allocation length in the command */
    int (*fill)(const struct mmc_drive *d, const uint8_t *p, uint8_t *b);
} replies[] = {
    {0x43, 7, toc},       {0x46, 7, configuration}, {0x4a, 7, event},
    {0x51, 7, disc_info}, {0x5a, 7, mode_sense},    {0xbd, 8, mechanism},
};

int mmc_reply(const struct mmc_drive *d, const uint8_t *cdb, uint8_t *buffer, uint32_t *max)
{
    for (unsigned i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        if (replies[i].code == cdb[0]) {
            *max = be_get16(cdb + replies[i].length_at);
            return replies[i].fill(d, cdb, buffer);
        }
    }
    return -0x20; /* no such command */
}
