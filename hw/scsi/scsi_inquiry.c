/* What a SCSI disk tells of itself: INQUIRY with its vital product data (SPC-4, SBC-3), MODE SENSE,
 * and MODE SELECT of the caching page. */
#include "hw/scsi/mmc.h"
#include "hw/scsi/scsi_disk.h"

#include <stdio.h>
#include <string.h>

enum { PAGE_ERRORS = 0x01, PAGE_CACHING = 0x08, PAGE_CONTROL = 0x0a, PAGE_ALL = 0x3f, WCE = 4 };

static void put_text(uint8_t *p, const char *text, const char *otherwise, unsigned n)
{
    const char *t = text ? text : otherwise;
    size_t len = strlen(t);

    memset(p, ' ', n);
    memcpy(p, t, len < n ? len : n);
}

/* ---- vital product data: each fills b behind the four bytes of the header and gives its length
 * ---- */

static unsigned vpd_serial(const struct scsi_disk *d, uint8_t *b)
{
    size_t n = d->serial ? strnlen(d->serial, 36) : 0;

    memcpy(b, d->serial ? d->serial : "", n);
    return (unsigned)n;
}

static unsigned vpd_ids(const struct scsi_disk *d, uint8_t *b)
{
    const char *id = d->device_id ? d->device_id : d->serial ? d->serial : block_id(d->drive);
    size_t len = strnlen(id, 100);
    unsigned n = 0;

    if (len) {
        b[n] = 2; /* ASCII, the vendor's own */
        b[n + 3] = (uint8_t)len;
        memcpy(b + n + 4, id, len);
        n += 4 + (unsigned)len;
    }
    if (d->wwn) {
        b[n] = 1; /* binary, NAA */
        b[n + 1] = 3;
        b[n + 3] = 8;
        scsi_put_be(b + n + 4, d->wwn, 8);
        n += 12;
    }
    return n;
}

static unsigned vpd_limits(const struct scsi_disk *d, uint8_t *b)
{
    uint32_t most = (uint32_t)(((uint64_t)1 << 30) / d->logical);

    b[0] = 1; /* WRITE SAME of 0 blocks is refused */
    scsi_put_be(b + 4, most, 4);
    scsi_put_be(b + 16, most, 4); /* UNMAP: blocks, ranges, grain */
    scsi_put_be(b + 20, 255, 4);
    scsi_put_be(b + 24, d->physical / d->logical, 4);
    scsi_put_be(b + 32, most, 8); /* WRITE SAME */
    return 60;
}

static unsigned vpd_characteristics(const struct scsi_disk *d, uint8_t *b)
{
    scsi_put_be(b, d->rotation_rate, 2);
    return 60;
}

static unsigned vpd_provisioning(const struct scsi_disk *d, uint8_t *b)
{
    (void)d;
    b[1] = 0xe0; /* UNMAP, WRITE SAME (16) and (10) */
    b[2] = 2;    /* thin */
    return 4;
}

static const struct {
    uint8_t page;
    bool disk; /* not of CD-ROM drives */
    unsigned (*fill)(const struct scsi_disk *d, uint8_t *b);
} pages[] = {
    {0x80, false, vpd_serial},         {0x83, false, vpd_ids},         {0xb0, true, vpd_limits},
    {0xb1, true, vpd_characteristics}, {0xb2, true, vpd_provisioning},
};

static void vital_data(struct scsi_disk *d, struct scsi_request *r)
{
    uint32_t max = (uint32_t)scsi_be(r->cdb + 3, 2);
    uint8_t b[256] = {d->cdrom ? 5 : 0, r->cdb[2]};
    unsigned n = 0;

    if (r->cdb[2] == 0) {
        b[4 + n++] = 0;
    }
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        bool has = !(pages[i].disk && d->cdrom) && (pages[i].page != 0x80 || d->serial);
        if (has && r->cdb[2] == 0) {
            b[4 + n++] = pages[i].page;
        } else if (has && r->cdb[2] == pages[i].page) {
            n = pages[i].fill(d, b + 4);
            scsi_put_be(b + 2, n, 2);
            scsi_reply(r, b, n + 4, max);
            return;
        }
    }
    if (!n) {
        scsi_check(r, SCSI_INVALID_FIELD);
        return;
    }
    scsi_put_be(b + 2, n, 2);
    scsi_reply(r, b, n + 4, max);
}

void scsi_disk_inquiry(struct scsi_disk *d, struct scsi_request *r)
{
    uint8_t b[36] = {
        d->cdrom ? 5 : 0, d->cdrom || d->removable ? 0x80 : 0, 5, 0x12, 31, 0, 0, 0x02};

    if (r->cdb[1] & 1) {
        vital_data(d, r);
    } else if (r->cdb[2]) {
        scsi_check(r, SCSI_INVALID_FIELD);
    } else {
        put_text(b + 8, d->vendor, "DRAGOMAN", 8);
        put_text(b + 16, d->product, d->cdrom ? "DVD-ROM" : "HARDDISK", 16);
        put_text(b + 32, d->ver, "0.1", 4);
        scsi_reply(r, b, sizeof(b), (uint32_t)scsi_be(r->cdb + 3, 2));
    }
}

/* ---- mode pages ---- */

static unsigned caching_page(const struct scsi_disk *d, uint8_t *p, bool changeable)
{
    p[0] = PAGE_CACHING;
    p[1] = 18;
    p[2] = changeable || block_write_cache(d->drive) ? WCE : 0;
    return 20;
}

static unsigned control_page(const struct scsi_disk *d, uint8_t *p, bool changeable)
{
    (void)d;
    p[0] = PAGE_CONTROL;
    p[1] = 10;
    p[3] = changeable ? 0 : 0x10; /* commands may be done in any order */
    return 12;
}

static unsigned error_page(const struct scsi_disk *d, uint8_t *p, bool changeable)
{
    (void)d;
    p[0] = PAGE_ERRORS;
    p[1] = 10;
    p[2] = changeable ? 0 : 0x80;
    return 12;
}

static const struct {
    uint8_t page;
    unsigned (*fill)(const struct scsi_disk *d, uint8_t *p, bool changeable);
} mode_pages[] = {
    {PAGE_ERRORS, error_page}, {PAGE_CACHING, caching_page}, {PAGE_CONTROL, control_page}};

void scsi_disk_mode_sense(struct scsi_disk *d, struct scsi_request *r)
{
    bool ten = r->cdb[0] == 0x5a, descriptor = !(r->cdb[1] & 8), found = false;
    uint8_t b[128] = {0}, page = r->cdb[2] & 0x3f, control = r->cdb[2] >> 6;
    unsigned header = ten ? 8 : 4, n = header;
    uint64_t blocks = scsi_disk_blocks(d);

    if (control == 3) {
        scsi_check(r, SCSI_SENSE_OF(SENSE_ILLEGAL, 0x39, 0));
        return;
    }
    b[ten ? 3 : 2] =
        (uint8_t)((block_readonly(d->drive) ? 0x80 : 0) | 0x10); /* write protected; FUA */
    if (descriptor) {
        b[ten ? 7 : 3] = 8;
        scsi_put_be(b + n, blocks < UINT32_MAX ? blocks : UINT32_MAX, 4);
        scsi_put_be(b + n + 5, d->logical, 3);
        n += 8;
    }
    for (size_t i = 0; i < sizeof(mode_pages) / sizeof(mode_pages[0]); i++) {
        if (page == PAGE_ALL || page == mode_pages[i].page) {
            n += mode_pages[i].fill(d, b + n, control == 1);
            found = true;
        }
    }
    if (!found) {
        scsi_check(r, SCSI_INVALID_FIELD);
        return;
    }
    scsi_put_be(b, n - (ten ? 2 : 1), ten ? 2 : 1);
    scsi_reply(r, b, n, ten ? (uint32_t)scsi_be(r->cdb + 7, 2) : r->cdb[4]);
}

static void flushed(struct block_request *io, int result)
{
    struct scsi_request *r = io->opaque;

    if (result) {
        scsi_check(r, scsi_disk_error(result, true));
    } else {
        scsi_good(r);
    }
}

void scsi_disk_mode_select(struct scsi_disk *d, struct scsi_request *r)
{
    bool ten = r->cdb[0] == 0x55;
    uint8_t b[256] = {0};
    unsigned len = ten ? (unsigned)scsi_be(r->cdb + 7, 2) : r->cdb[4], at;
    bool on = block_write_cache(d->drive);

    if (!len) {
        scsi_good(r);
        return;
    }
    len = len < sizeof(b) ? len : sizeof(b);
    len = (unsigned)scsi_copy_out(r, b, len);
    r->moved = len;
    at = ten ? 8 + (unsigned)scsi_be(b + 6, 2) : 4u + b[3];
    if (len < (ten ? 8u : 4u) || at > len) {
        scsi_check(r, SCSI_SENSE_OF(SENSE_ILLEGAL, 0x1a, 0));
        return;
    }
    for (; at + 2 <= len; at += 2u + b[at + 1]) {
        uint8_t page = b[at] & 0x3f;
        if (at + 2u + b[at + 1] > len || (page == PAGE_CACHING && b[at + 1] < 1)) {
            scsi_check(r, SCSI_SENSE_OF(SENSE_ILLEGAL, 0x1a, 0));
            return;
        }
        if (page == PAGE_CACHING) {
            on = b[at + 2] & WCE;
        } else if (page != PAGE_CONTROL && page != PAGE_ERRORS) {
            scsi_check(r, SCSI_SENSE_OF(SENSE_ILLEGAL, 0x26, 0));
            return;
        }
    }
    block_set_write_cache(d->drive, on);
    r->io = (struct block_request){.op = BLOCK_FLUSH, .done = flushed, .opaque = r};
    block_submit(d->drive, &r->io);
}
