/* ATA channel: the register model of ATA/ATAPI-6 (T13 1410D) in front of two drives. The commands
 * are in ata.c and atapi.c; a SATA port (ahci.c) has a channel with one drive, whose registers it
 * fills from frames. */
#include "hw/ide/ide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTROL_NIEN = 2, CONTROL_SRST = 4, CONTROL_HOB = 0x80 };

#define F(type, f) type(struct ide_drive, f)
static const struct state_field drive_fields[] = {
    F(STATE_U8, features),
    F(STATE_U8, error),
    F(STATE_U8, count),
    F(STATE_U8, lba0),
    F(STATE_U8, lba1),
    F(STATE_U8, lba2),
    F(STATE_U8, status),
    F(STATE_U8, hob_features),
    F(STATE_U8, hob_count),
    F(STATE_U8, hob_lba0),
    F(STATE_U8, hob_lba1),
    F(STATE_U8, hob_lba2),
    F(STATE_U8, multiple),
    F(STATE_U8, dma_mode),
    F(STATE_U8, heads),
    F(STATE_U8, sectors),
    F(STATE_U16, cylinders),
    F(STATE_U8, phase),
    F(STATE_BOOL, lba48),
    F(STATE_BOOL, dma),
    F(STATE_BOOL, dma_write),
    F(STATE_BOOL, ext),
    F(STATE_U64, lba),
    F(STATE_U32, remaining),
    F(STATE_U32, block_sectors),
    F(STATE_U32, pos),
    F(STATE_U32, end),
    F(STATE_U8, sense_key),
    F(STATE_U8, asc),
    F(STATE_U8, ascq),
    F(STATE_BOOL, media_changed),
    F(STATE_BOOL, locked),
    F(STATE_U32, packet_total),
    F(STATE_U32, packet_done),
    F(STATE_U32, buffer_start),
    F(STATE_U8, event),
    F(STATE_U8, ncq_tag),
    F(STATE_U8, ncq_status),
    F(STATE_U8, ncq_error),
    F(STATE_U64, ncq_lba),
    STATE_END,
};
#undef F

const struct state_field ide_channel_fields[] = {
    STATE_STRUCT(struct ide_channel, drive, 2, drive_fields),
    STATE_U8(struct ide_channel, select),
    STATE_U8(struct ide_channel, control),
    STATE_BOOL(struct ide_channel, irq_pending),
    STATE_END,
};

/* ---- interrupts and completion ---- */

void ide_update_irq(struct ide_channel *c)
{
    irq_set(&c->irq, c->irq_pending && !(c->control & CONTROL_NIEN));
}

void ide_raise(struct ide_drive *d)
{
    struct ide_channel *c = d->channel;

    c->irq_pending = true;
    if (c->bm_irq) {
        c->bm_irq(c->bm);
    }
    ide_update_irq(c);
}

void ide_finish(struct ide_drive *d, uint8_t error)
{
    d->phase = IDE_IDLE;
    d->error = error;
    d->status = (uint8_t)(ATA_DRDY | ATA_DSC | (error ? ATA_ERR : 0));
    ide_raise(d);
}

struct tag {
    struct ide_drive *drive;
    uint32_t generation;
    void (*done)(struct ide_drive *d, int result);
};

static void request_done(struct block_request *r, int result)
{
    struct tag t = *(struct tag *)r->opaque;

    free(r->opaque);
    free(r);
    t.drive->in_flight = false;
    if (t.drive->generation == t.generation) {
        t.done(t.drive, result);
    }
}

void ide_submit(struct ide_drive *d, enum block_op op, uint64_t offset, uint32_t bytes,
                void (*done)(struct ide_drive *d, int result))
{
    struct tag *t = malloc(sizeof(*t));
    struct block_request *r = calloc(1, sizeof(*r));

    if (!t || !r) {
        abort();
    }
    *t = (struct tag){d, d->generation, done};
    d->iov = (struct iovec){d->buffer, bytes};
    d->status = ATA_BSY | ATA_DRDY;
    d->in_flight = true;
    *r = (struct block_request){
        .op = op,
        .offset = offset,
        .len = bytes,
        .iov = &d->iov,
        .niov = op == BLOCK_FLUSH ? 0 : 1,
        .done = request_done,
        .opaque = t,
    };
    block_submit(d->block, r);
}

/* Before the buffer is given to another command: a request that is void now must not fill it any
 * more. */
void ide_cancel(struct ide_drive *d)
{
    d->generation++;
    d->phase = IDE_IDLE;
    if (d->in_flight) {
        block_drain(d->block);
        d->in_flight = false;
    }
}

/* ---- registers ---- */

static uint64_t read_data(struct ide_drive *d, unsigned size)
{
    uint64_t v = 0;

    if (!(d->status & ATA_DRQ) || (d->phase != IDE_PIO_IN && d->phase != IDE_PACKET_IN)) {
        return 0;
    }
    for (unsigned i = 0; i < size; i++) {
        uint8_t b = d->pos < d->end ? d->buffer[d->buffer_start + d->pos++] : 0;
        v |= (uint64_t)b << 8 * i;
    }
    if (d->pos >= d->end) {
        ide_buffer_done(d);
    }
    return v;
}

static void write_data(struct ide_drive *d, uint64_t v, unsigned size)
{
    if (!(d->status & ATA_DRQ) || (d->phase != IDE_PIO_OUT && d->phase != IDE_PACKET)) {
        return;
    }
    for (unsigned i = 0; i < size && d->pos < d->end; i++) {
        d->buffer[d->pos++] = (uint8_t)(v >> 8 * i);
    }
    if (d->pos >= d->end) {
        ide_buffer_done(d);
    }
}

uint8_t *ide_pio_data(struct ide_drive *d, uint32_t *len, bool *to_host)
{
    *len = d->end;
    *to_host = d->phase == IDE_PIO_IN || d->phase == IDE_PACKET_IN;
    if (!(d->status & ATA_DRQ) ||
        (!*to_host && d->phase != IDE_PIO_OUT && d->phase != IDE_PACKET)) {
        return NULL;
    }
    d->pos = d->end;
    return d->buffer + (*to_host ? d->buffer_start : 0);
}

uint8_t ide_alt_status(struct ide_channel *c)
{
    const struct ide_drive *d = ide_selected(c);

    if (!d->present) {
        return 0; /* nobody drives the bus but the pull-down of DD7 */
    }
    return d->status;
}

uint64_t ide_read(struct ide_channel *c, unsigned reg, unsigned size)
{
    struct ide_drive *d = ide_selected(c);
    bool hob = c->control & CONTROL_HOB;

    if (!c->drive[0].present && !c->drive[1].present) {
        return reg == 7 ? 0 : UINT64_MAX >> (64 - 8 * size);
    }
    switch (reg) {
    case 0:
        return read_data(d, size);
    case 1:
        return d->present ? (hob ? d->hob_features : d->error) : 0;
    case 2:
        return d->present ? (hob ? d->hob_count : d->count) : 0;
    case 3:
        return d->present ? (hob ? d->hob_lba0 : d->lba0) : 0;
    case 4:
        return d->present ? (hob ? d->hob_lba1 : d->lba1) : 0;
    case 5:
        return d->present ? (hob ? d->hob_lba2 : d->lba2) : 0;
    case 6:
        return c->select | 0xa0;
    default:
        c->irq_pending = false;
        ide_update_irq(c);
        return ide_alt_status(c);
    }
}

/* Writes to the command block reach both drives. */
static void write_both(struct ide_channel *c, size_t now, size_t before, uint8_t v)
{
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *base = (uint8_t *)&c->drive[i];
        base[before] = base[now];
        base[now] = v;
    }
}

#define BOTH(f, hob)                                                                               \
    write_both(c, offsetof(struct ide_drive, f), offsetof(struct ide_drive, hob), v)

void ide_write(struct ide_channel *c, unsigned reg, uint64_t value, unsigned size)
{
    uint8_t v = (uint8_t)value;

    if (reg) {
        c->control &= (uint8_t)~CONTROL_HOB;
    }
    switch (reg) {
    case 0:
        write_data(ide_selected(c), value, size);
        break;
    case 1:
        BOTH(features, hob_features);
        break;
    case 2:
        BOTH(count, hob_count);
        break;
    case 3:
        BOTH(lba0, hob_lba0);
        break;
    case 4:
        BOTH(lba1, hob_lba1);
        break;
    case 5:
        BOTH(lba2, hob_lba2);
        break;
    case 6:
        c->select = v;
        break;
    default:
        if (ide_selected(c)->present) {
            ide_run_command(ide_selected(c), v);
        }
        break;
    }
}

void ide_write_control(struct ide_channel *c, uint8_t v)
{
    bool was_reset = c->control & CONTROL_SRST, is_reset = v & CONTROL_SRST;

    c->control = v;
    if (is_reset && !was_reset) {
        for (unsigned i = 0; i < 2; i++) {
            ide_cancel(&c->drive[i]);
            c->drive[i].status = ATA_BSY;
        }
        c->irq_pending = false;
    } else if (!is_reset && was_reset) {
        c->select = 0;
        ide_reset_drive(&c->drive[0]);
        ide_reset_drive(&c->drive[1]);
    }
    ide_update_irq(c);
}

/* ---- life ---- */

static void medium_changed(void *opaque, bool loaded)
{
    struct ide_drive *d = opaque;

    d->media_changed = true;
    d->event = loaded ? 2 : 3;
}

static void eject_asked(void *opaque)
{
    struct ide_drive *d = opaque;

    d->event = 1;
}

static bool tray_locked(void *opaque)
{
    return ((struct ide_drive *)opaque)->locked;
}

static void ide_set_geometry(void *opaque)
{
    struct ide_drive *d = opaque;
    uint64_t cyl = ide_disk_sectors(d) / (16 * 63);

    d->heads = 16;
    d->sectors = 63;
    d->cylinders = (uint16_t)(cyl < 16383 ? (cyl ? cyl : 1) : 16383);
}

bool ide_attach(struct ide_channel *c, unsigned unit, struct block *b, bool cdrom,
                struct device *owner, struct error *err)
{
    struct ide_drive *d = &c->drive[unit];
    struct block_device cd = {.id = device_path(owner),
                              .removable = true,
                              .medium = medium_changed,
                              .eject_request = eject_asked,
                              .locked = tray_locked,
                              .opaque = d};
    struct block_device disk = {.id = device_path(owner), .resized = ide_set_geometry, .opaque = d};

    if (d->present) {
        return error_set(err, "unit %u of the IDE channel is taken", unit);
    }
    if (!cdrom && !block_inserted(b)) {
        return error_set(err, "drive '%s' is empty", block_id(b));
    }
    if (!block_attach(b, cdrom ? &cd : &disk, err)) {
        return false;
    }
    d->block = b;
    d->present = true;
    d->cdrom = cdrom;
    d->media_changed = cdrom && block_inserted(b);
    snprintf(d->serial, sizeof(d->serial), "DM%05u", unit + 1);
    snprintf(d->firmware, sizeof(d->firmware), "0.1");
    if (!cdrom) {
        ide_set_geometry(d);
    }
    d->write_cache = block_write_cache(b);
    ide_reset_drive(d);
    return true;
}

void ide_set_identity(struct ide_drive *d, const char *serial, const char *model,
                      const char *firmware, uint64_t wwn)
{
    if (serial) {
        snprintf(d->serial, sizeof(d->serial), "%s", serial);
    }
    if (model) {
        snprintf(d->model, sizeof(d->model), "%s", model);
    }
    if (firmware) {
        snprintf(d->firmware, sizeof(d->firmware), "%s", firmware);
    }
    d->wwn = wwn;
}

void ide_channel_init(struct ide_channel *c, struct machine *m)
{
    c->machine = m;
    for (unsigned i = 0; i < 2; i++) {
        c->drive[i].channel = c;
        c->drive[i].buffer = calloc(1, IDE_BUFFER);
        if (!c->drive[i].buffer) {
            abort();
        }
    }
}

void ide_channel_reset(struct ide_channel *c)
{
    c->select = c->control = 0;
    c->irq_pending = false;
    for (unsigned i = 0; i < 2; i++) {
        c->drive[i].multiple = IDE_MAX_MULTIPLE;
        c->drive[i].dma_mode = 0;
        ide_reset_drive(&c->drive[i]);
        if (c->drive[i].block && !c->drive[i].cdrom) {
            block_set_write_cache(c->drive[i].block, c->drive[i].write_cache);
        }
    }
    ide_update_irq(c);
}

void ide_channel_destroy(struct ide_channel *c)
{
    for (unsigned i = 0; i < 2; i++) {
        free(c->drive[i].buffer);
    }
}
