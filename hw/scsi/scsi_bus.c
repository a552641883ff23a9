/* The SCSI bus: which device is where, and the commands that a target answers without a unit
 * (SPC-4). */
#include "hw/scsi/scsi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- buses and devices ---- */

static void nothing(void *opaque)
{
    (void)opaque; /* buses are parts of their adapters */
}

void scsi_bus_add(struct scsi_bus *b, struct device *owner)
{
    struct scsi_bus *last = device_slot(owner->machine, SLOT_SCSI);

    b->owner = owner;
    if (!last) {
        device_slot_set(owner->machine, SLOT_SCSI, b, nothing);
        return;
    }
    while (last->next) {
        last = last->next;
    }
    last->next = b;
}

static struct scsi_bus *find_bus(struct scsi_device *d)
{
    struct scsi_bus *b = device_slot(d->dev.machine, SLOT_SCSI);
    size_t n = d->bus_name ? strlen(d->bus_name) : 0;

    if (n > 2 && !strcmp(d->bus_name + n - 2, ".0")) {
        n -= 2;
    }
    for (; b; b = b->next) {
        const char *id = b->owner->id;
        if (!d->bus_name || (id && strlen(id) == n && !memcmp(id, d->bus_name, n))) {
            return b;
        }
    }
    return NULL;
}

struct scsi_device *scsi_find(struct scsi_bus *b, unsigned target, unsigned lun)
{
    for (struct scsi_device *d = b->first; d; d = d->next) {
        if (d->id == target && d->lun == lun) {
            return d;
        }
    }
    return NULL;
}

bool scsi_target_exists(struct scsi_bus *b, unsigned target)
{
    for (struct scsi_device *d = b->first; d; d = d->next) {
        if (d->id == target) {
            return true;
        }
    }
    return false;
}

bool scsi_attach(struct scsi_device *d, struct error *err)
{
    const char *name = d->dev.type->name;
    struct scsi_bus *b = find_bus(d);
    struct scsi_device **at;

    if (!b) {
        return d->bus_name
                   ? error_set(err, "%s: there is no SCSI bus '%s'", name, d->bus_name)
                   : error_set(err, "%s: there is no SCSI controller (-device virtio-scsi-pci)",
                               name);
    }
    if (d->channel) {
        return error_set(err, "%s: channel=%u: there is only channel 0", name, d->channel);
    }
    d->lun = d->lun == SCSI_ANY ? 0 : d->lun;
    for (unsigned i = 0; d->id == SCSI_ANY && i < SCSI_TARGETS; i++) {
        if (!scsi_find(b, i, d->lun) && (d->lun || !scsi_target_exists(b, i))) {
            d->id = i;
        }
    }
    if (d->id >= SCSI_TARGETS || d->lun >= SCSI_LUNS) {
        return error_set(err, "%s: scsi-id=%u,lun=%u: targets are 0 to %d, units 0 to %d", name,
                         d->id, d->lun, SCSI_TARGETS - 1, SCSI_LUNS - 1);
    }
    if (scsi_find(b, d->id, d->lun)) {
        return error_set(err, "%s: scsi-id=%u,lun=%u is taken", name, d->id, d->lun);
    }
    for (at = &b->first;
         *at && ((*at)->id < d->id || ((*at)->id == d->id && (*at)->lun < d->lun));) {
        at = &(*at)->next;
    }
    d->next = *at;
    *at = d;
    d->bus = b;
    d->dev.parent = b->owner;
    return true;
}

/* ---- ends of requests ---- */

uint64_t scsi_be(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    while (n--) {
        v = v << 8 | *p++;
    }
    return v;
}

void scsi_put_be(uint8_t *p, uint64_t v, unsigned n)
{
    while (n--) {
        p[n] = (uint8_t)v;
        v >>= 8;
    }
}

static void finish(struct scsi_request *r)
{
    free(r->iov);
    free(r->bounce);
    r->iov = NULL;
    r->bounce = NULL;
    r->done(r);
}

void scsi_good(struct scsi_request *r)
{
    r->status = SCSI_GOOD;
    finish(r);
}

void scsi_check(struct scsi_request *r, uint32_t sense)
{
    r->status = SCSI_CHECK;
    memset(r->sense, 0, sizeof(r->sense));
    r->sense[0] = 0x70;
    r->sense[2] = (uint8_t)(sense >> 16);
    r->sense[7] = SCSI_SENSE - 8;
    r->sense[12] = (uint8_t)(sense >> 8);
    r->sense[13] = (uint8_t)sense;
    finish(r);
}

void scsi_reply(struct scsi_request *r, const void *buf, uint32_t len, uint32_t max)
{
    const uint8_t *p = buf;
    uint64_t left = len < max ? len : max;

    for (int i = 0; i < r->nin && left; i++) {
        uint64_t n = r->in[i].iov_len < left ? r->in[i].iov_len : left;
        memcpy(r->in[i].iov_base, p, n);
        p += n;
        left -= n;
        r->moved += n;
    }
    scsi_good(r);
}

uint64_t scsi_copy_out(const struct scsi_request *r, void *buf, uint64_t len)
{
    uint8_t *p = buf;
    uint64_t done = 0;

    for (int i = 0; i < r->nout && done < len; i++) {
        uint64_t n = r->out[i].iov_len < len - done ? r->out[i].iov_len : len - done;
        memcpy(p + done, r->out[i].iov_base, n);
        done += n;
    }
    return done;
}

/* ---- targets ---- */

static void report_luns(struct scsi_bus *b, unsigned target, struct scsi_request *r)
{
    uint32_t max = (uint32_t)scsi_be(r->cdb + 6, 4), n = 0;
    uint8_t *list;

    for (struct scsi_device *d = b->first; d; d = d->next) {
        n += d->id == target;
    }
    list = calloc(n + 2, 8);
    if (!list) {
        abort();
    }
    n = 8;
    if (!scsi_find(b, target, 0)) {
        n += 8; /* unit 0 is always named */
    }
    for (struct scsi_device *d = b->first; d; d = d->next) {
        if (d->id == target) {
            scsi_put_be(list + n, d->lun < 256 ? d->lun : 0x4000 | d->lun, 2);
            n += 8;
        }
    }
    scsi_put_be(list, n - 8, 4);
    if (max < 16 || r->cdb[2] > 2) {
        scsi_check(r, SCSI_SENSE_OF(SENSE_ILLEGAL, 0x24, 0));
    } else {
        scsi_reply(r, list, n, max);
    }
    free(list);
}

void scsi_execute(struct scsi_bus *b, unsigned target, unsigned lun, struct scsi_request *r)
{
    struct scsi_device *d = scsi_find(b, target, lun);
    uint8_t nobody[36] = {0x7f, 0, 5, 2, 31};

    log_trace(b->owner->machine->log, scsi_command, "target %u unit %u: command %02x", target, lun,
              r->cdb[0]);
    r->dev = d;
    if (r->cdb[0] == 0xa0) {
        report_luns(b, target, r);
    } else if (d) {
        d->execute(d, r);
    } else if (r->cdb[0] == 0x12 && !(r->cdb[1] & 1)) {
        scsi_reply(r, nobody, sizeof(nobody), (uint32_t)scsi_be(r->cdb + 3, 2));
    } else if (r->cdb[0] == 0x03) {
        uint8_t sense[SCSI_SENSE] = {0x70, 0, SENSE_ILLEGAL, 0, 0, 0, 0, SCSI_SENSE - 8, 0, 0,
                                     0,    0, 0x25};
        scsi_reply(r, sense, sizeof(sense), r->cdb[4]);
    } else {
        scsi_check(r, SCSI_SENSE_OF(SENSE_ILLEGAL, 0x25, 0));
    }
}
