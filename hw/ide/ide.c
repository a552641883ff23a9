/* ATA channel and disk drives: ATA/ATAPI-6 (T13 1410D) register model, PIO, multiple and DMA transfers,
 * LBA28, LBA48 and CHS.
 *
 * Left out: SMART, security, HPA changes (reported as unsupported or aborted), queued commands. */
#include "hw/ide/ide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SELECT_LBA = 0x40, CONTROL_NIEN = 2, CONTROL_SRST = 4, CONTROL_HOB = 0x80, MAX_MULTIPLE = 16 };

#define F(type, f) type(struct ide_drive, f)
static const struct state_field drive_fields[] = {
    F(STATE_U8, features), F(STATE_U8, error), F(STATE_U8, count), F(STATE_U8, lba0), F(STATE_U8, lba1),
    F(STATE_U8, lba2), F(STATE_U8, status), F(STATE_U8, hob_features), F(STATE_U8, hob_count),
    F(STATE_U8, hob_lba0), F(STATE_U8, hob_lba1), F(STATE_U8, hob_lba2), F(STATE_U8, multiple),
    F(STATE_U8, dma_mode), F(STATE_U8, heads), F(STATE_U8, sectors), F(STATE_U16, cylinders),
    F(STATE_U8, phase), F(STATE_BOOL, lba48), F(STATE_BOOL, dma), F(STATE_BOOL, dma_write),
    F(STATE_BOOL, ext), F(STATE_U64, lba), F(STATE_U32, remaining), F(STATE_U32, block_sectors),
    F(STATE_U32, pos), F(STATE_U32, end), F(STATE_U8, sense_key), F(STATE_U8, asc), F(STATE_U8, ascq),
    F(STATE_BOOL, media_changed), F(STATE_BOOL, locked), F(STATE_U32, packet_total),
    F(STATE_U32, packet_done), F(STATE_U32, buffer_start), STATE_END,
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

static void update_irq(struct ide_channel *c)
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
    update_irq(c);
}

static void finish(struct ide_drive *d, uint8_t error)
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

/* ---- addresses ---- */

static uint64_t disk_sectors(const struct ide_drive *d)
{
    return block_size(d->block) / IDE_SECTOR;
}

static uint32_t command_count(const struct ide_drive *d)
{
    if (d->lba48) {
        uint32_t n = (uint32_t)d->hob_count << 8 | d->count;
        return n ? n : 65536;
    }
    return d->count ? d->count : 256;
}

static uint64_t command_lba(const struct ide_drive *d)
{
    uint8_t select = d->channel->select;

    if (d->lba48) {
        return (uint64_t)d->hob_lba2 << 40 | (uint64_t)d->hob_lba1 << 32 | (uint64_t)d->hob_lba0 << 24 |
               (uint32_t)d->lba2 << 16 | (uint32_t)d->lba1 << 8 | d->lba0;
    }
    if (select & SELECT_LBA) {
        return (uint32_t)(select & 15) << 24 | (uint32_t)d->lba2 << 16 | (uint32_t)d->lba1 << 8 | d->lba0;
    }
    uint32_t cylinder = (uint32_t)d->lba2 << 8 | d->lba1;
    return ((uint64_t)cylinder * d->heads + (select & 15)) * d->sectors + d->lba0 - 1;
}

/* Leaves the address of sector lba in the registers, as after a command. */
static void report_lba(struct ide_drive *d, uint64_t lba)
{
    struct ide_channel *c = d->channel;

    if (d->lba48) {
        d->lba0 = (uint8_t)lba;
        d->lba1 = (uint8_t)(lba >> 8);
        d->lba2 = (uint8_t)(lba >> 16);
        d->hob_lba0 = (uint8_t)(lba >> 24);
        d->hob_lba1 = (uint8_t)(lba >> 32);
        d->hob_lba2 = (uint8_t)(lba >> 40);
    } else if (c->select & SELECT_LBA) {
        d->lba0 = (uint8_t)lba;
        d->lba1 = (uint8_t)(lba >> 8);
        d->lba2 = (uint8_t)(lba >> 16);
        c->select = (uint8_t)((c->select & 0xf0) | (lba >> 24 & 15));
    } else if (d->heads && d->sectors) {
        uint64_t track = lba / d->sectors;
        d->lba0 = (uint8_t)(lba % d->sectors + 1);
        c->select = (uint8_t)((c->select & 0xf0) | (track % d->heads));
        d->lba1 = (uint8_t)(track / d->heads);
        d->lba2 = (uint8_t)(track / d->heads >> 8);
    }
}

/* Sets lba and remaining; false (and the command failed) when the range is not on the disk. */
static bool set_range(struct ide_drive *d)
{
    d->lba = command_lba(d);
    d->remaining = command_count(d);
    if (d->lba >= disk_sectors(d) || d->remaining > disk_sectors(d) - d->lba) {
        finish(d, ATA_IDNF | ATA_ABRT);
        return false;
    }
    return true;
}

/* ---- PIO ---- */

static uint32_t next_block(const struct ide_drive *d)
{
    return d->remaining < d->block_sectors ? d->remaining : d->block_sectors;
}

static void pio_read_done(struct ide_drive *d, int result)
{
    if (result) {
        report_lba(d, d->lba);
        finish(d, ATA_UNC);
        return;
    }
    uint32_t n = next_block(d);
    d->lba += n;
    d->remaining -= n;
    report_lba(d, d->lba - 1);
    d->pos = d->buffer_start = 0;
    d->end = n * IDE_SECTOR;
    d->phase = IDE_PIO_IN;
    d->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    ide_raise(d);
}

static void pio_read_next(struct ide_drive *d)
{
    d->phase = IDE_READING;
    ide_submit(d, BLOCK_READ, d->lba * IDE_SECTOR, next_block(d) * IDE_SECTOR, pio_read_done);
}

static void pio_write_wait(struct ide_drive *d)
{
    d->pos = 0;
    d->end = next_block(d) * IDE_SECTOR;
    d->phase = IDE_PIO_OUT;
    d->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
}

static void pio_write_done(struct ide_drive *d, int result)
{
    uint32_t n = d->end / IDE_SECTOR;

    if (result) {
        report_lba(d, d->lba);
        finish(d, ATA_ABRT);
        return;
    }
    d->lba += n;
    d->remaining -= n;
    report_lba(d, d->lba - 1);
    if (d->remaining) {
        pio_write_wait(d);
        ide_raise(d);
    } else {
        finish(d, 0);
    }
}

/* The guest has moved the last byte of the buffer. */
static void buffer_done(struct ide_drive *d)
{
    switch (d->phase) {
    case IDE_PIO_IN:
        if (d->remaining) {
            pio_read_next(d);
        } else {
            d->phase = IDE_IDLE;
            d->status = ATA_DRDY | ATA_DSC;
        }
        break;
    case IDE_PIO_OUT:
        d->phase = IDE_WRITING;
        ide_submit(d, BLOCK_WRITE, d->lba * IDE_SECTOR, d->end, pio_write_done);
        break;
    case IDE_PACKET:
        atapi_run(d);
        break;
    case IDE_PACKET_IN:
        atapi_drained(d);
        break;
    default:
        break;
    }
}

/* ---- DMA ---- */

static void dma_next(struct ide_drive *d);

static void dma_end(struct ide_drive *d, uint8_t error)
{
    d->channel->bm_done(d->channel->bm, error != 0);
    finish(d, error);
}

static void dma_io_done(struct ide_drive *d, int result)
{
    uint32_t n = d->end / IDE_SECTOR;

    if (result) {
        report_lba(d, d->lba);
        dma_end(d, d->dma_write ? ATA_ABRT : ATA_UNC);
        return;
    }
    if (!d->dma_write && !d->channel->bm_transfer(d->channel->bm, d->buffer, d->end, true)) {
        dma_end(d, ATA_ABRT);
        return;
    }
    d->lba += n;
    d->remaining -= n;
    if (d->remaining) {
        dma_next(d);
    } else {
        report_lba(d, d->lba - 1);
        dma_end(d, 0);
    }
}

static void dma_next(struct ide_drive *d)
{
    uint32_t n = d->remaining < IDE_BUFFER / IDE_SECTOR ? d->remaining : IDE_BUFFER / IDE_SECTOR;

    d->end = n * IDE_SECTOR;
    d->phase = IDE_DMA_IO;
    if (d->dma_write && !d->channel->bm_transfer(d->channel->bm, d->buffer, d->end, false)) {
        dma_end(d, ATA_ABRT);
        return;
    }
    ide_submit(d, d->dma_write ? BLOCK_WRITE : BLOCK_READ, d->lba * IDE_SECTOR, d->end, dma_io_done);
}

void ide_dma_start(struct ide_channel *c)
{
    struct ide_drive *d = ide_selected(c);

    if (d->phase != IDE_DMA_WAIT) {
        return;
    }
    if (d->cdrom) {
        atapi_dma(d);
    } else {
        dma_next(d);
    }
}

/* ---- commands ---- */

void ide_identify_strings(uint16_t *id, const struct ide_drive *d, const char *model)
{
    struct {
        unsigned word, len;
        const char *text;
    } fields[] = {{10, 20, d->serial}, {23, 8, "0.1"}, {27, 40, model}};

    for (unsigned f = 0; f < 3; f++) {
        size_t n = strlen(fields[f].text);
        for (unsigned i = 0; i < fields[f].len; i++) {
            uint16_t ch = (uint8_t)(i < n ? fields[f].text[i] : ' ');
            id[fields[f].word + i / 2] |= (uint16_t)(i & 1 ? ch : ch << 8);
        }
    }
}

static void put_identify(struct ide_drive *d, const uint16_t *id)
{
    for (unsigned i = 0; i < 256; i++) {
        d->buffer[2 * i] = (uint8_t)id[i];
        d->buffer[2 * i + 1] = (uint8_t)(id[i] >> 8);
    }
    d->pos = 0;
    d->end = 512;
    d->remaining = 0;
    d->buffer_start = 0;
    d->phase = IDE_PIO_IN;
    d->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    ide_raise(d);
}

static void identify(struct ide_drive *d)
{
    uint16_t id[256] = {0};
    uint64_t total = disk_sectors(d);
    uint32_t lba28 = total < 0x0fffffff ? (uint32_t)total : 0x0fffffff;
    uint64_t cyl = total / (16 * 63);

    id[0] = 0x0040;
    id[1] = (uint16_t)(cyl < 16383 ? (cyl ? cyl : 1) : 16383);
    id[3] = 16;
    id[6] = 63;
    ide_identify_strings(id, d, "DRAGOMAN HARDDISK");
    id[47] = 0x8000 | MAX_MULTIPLE;
    id[49] = 0x0f00; /* LBA, DMA, IORDY */
    id[50] = 0x4000;
    id[51] = 0x0200;
    id[53] = 7;
    id[54] = d->cylinders;
    id[55] = d->heads;
    id[56] = d->sectors;
    uint32_t chs = (uint32_t)d->cylinders * d->heads * d->sectors;
    id[57] = (uint16_t)chs;
    id[58] = (uint16_t)(chs >> 16);
    id[59] = d->multiple ? 0x100 | d->multiple : 0;
    id[60] = (uint16_t)lba28;
    id[61] = (uint16_t)(lba28 >> 16);
    id[63] = (uint16_t)(7 | (d->dma_mode >> 3 == 4 ? 0x100 << (d->dma_mode & 7) : 0));
    id[64] = 3;
    id[65] = id[66] = id[67] = id[68] = 120;
    id[80] = 0x7e; /* ATA-1 to ATA-6 */
    id[82] = 0x4020; /* NOP, write cache */
    id[83] = 0x7400; /* FLUSH CACHE (EXT), LBA48 */
    id[84] = 0x4000;
    id[85] = 0x4020;
    id[86] = 0x3400;
    id[87] = 0x4000;
    id[88] = (uint16_t)(0x3f | (d->dma_mode >> 3 == 8 ? 0x100 << (d->dma_mode & 7) : 0));
    id[93] = 0x6001;
    for (unsigned i = 0; i < 4; i++) {
        id[100 + i] = (uint16_t)(total >> 16 * i);
    }
    put_identify(d, id);
}

static void cmd_identify(struct ide_drive *d)
{
    if (d->cdrom) {
        ide_signature(d);
        finish(d, ATA_ABRT);
    } else {
        identify(d);
    }
}

static void cmd_identify_packet(struct ide_drive *d)
{
    if (!d->cdrom) {
        finish(d, ATA_ABRT);
        return;
    }
    uint16_t id[256] = {0};
    id[0] = 0x8580; /* CD-ROM, removable, 12-byte packets, DRQ within 50 us */
    ide_identify_strings(id, d, "DRAGOMAN DVD-ROM");
    id[49] = 0x0b00;
    id[53] = 7;
    id[63] = (uint16_t)(7 | (d->dma_mode >> 3 == 4 ? 0x100 << (d->dma_mode & 7) : 0));
    id[64] = 3;
    id[65] = id[66] = id[67] = id[68] = 120;
    id[80] = 0x1e;
    id[82] = 0x0210;
    id[85] = 0x0210;
    id[88] = (uint16_t)(0x3f | (d->dma_mode >> 3 == 8 ? 0x100 << (d->dma_mode & 7) : 0));
    put_identify(d, id);
}

static void cmd_read(struct ide_drive *d)
{
    if (set_range(d)) {
        pio_read_next(d);
    }
}

static void cmd_write(struct ide_drive *d)
{
    if (block_readonly(d->block)) {
        finish(d, ATA_ABRT);
    } else if (set_range(d)) {
        pio_write_wait(d); /* no interrupt before the first block */
    }
}

static void cmd_dma(struct ide_drive *d)
{
    if (!d->channel->bm_started || (d->dma_write && block_readonly(d->block))) {
        finish(d, ATA_ABRT);
    } else if (set_range(d)) {
        d->phase = IDE_DMA_WAIT;
        d->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
        if (d->channel->bm_started(d->channel->bm)) {
            ide_dma_start(d->channel);
        }
    }
}

static void cmd_verify(struct ide_drive *d)
{
    if (set_range(d)) {
        report_lba(d, d->lba + d->remaining - 1);
        finish(d, 0);
    }
}

static void flush_done(struct ide_drive *d, int result)
{
    finish(d, result ? ATA_ABRT : 0);
}

static void cmd_flush(struct ide_drive *d)
{
    d->phase = IDE_FLUSHING;
    ide_submit(d, BLOCK_FLUSH, 0, 0, flush_done);
}

static void cmd_ok(struct ide_drive *d)
{
    finish(d, 0);
}

static void cmd_abort(struct ide_drive *d)
{
    finish(d, ATA_ABRT);
}

static void cmd_power(struct ide_drive *d)
{
    d->count = 0xff; /* active */
    finish(d, 0);
}

static void cmd_set_multiple(struct ide_drive *d)
{
    bool ok = d->count <= MAX_MULTIPLE && (d->count & (d->count - 1)) == 0;

    if (ok) {
        d->multiple = d->count;
    }
    finish(d, ok ? 0 : ATA_ABRT);
}

static void cmd_set_features(struct ide_drive *d)
{
    switch (d->features) {
    case 0x03: /* transfer mode in the count register */
        if (d->count >> 3 == 4 || d->count >> 3 == 8) {
            d->dma_mode = d->count;
        }
        finish(d, d->count >> 3 == 0 || d->count >> 3 == 1 || (d->count >> 3 == 4 && (d->count & 7) < 3) ||
                          (d->count >> 3 == 8 && (d->count & 7) < 6)
                      ? 0
                      : ATA_ABRT);
        break;
    case 0x02: case 0x82: case 0xaa: case 0x55: case 0x66: case 0xcc: case 0x05: case 0x85: case 0x42:
    case 0xc2: case 0x69: case 0x67: case 0x96: case 0x9a:
        finish(d, 0);
        break;
    default:
        finish(d, ATA_ABRT);
        break;
    }
}

static void cmd_init_params(struct ide_drive *d)
{
    d->heads = (uint8_t)((d->channel->select & 15) + 1);
    d->sectors = d->count ? d->count : 1;
    uint64_t cyl = disk_sectors(d) / ((uint32_t)d->heads * d->sectors);
    d->cylinders = (uint16_t)(cyl < 65535 ? cyl : 65535);
    finish(d, 0);
}

static void cmd_native_max(struct ide_drive *d)
{
    report_lba(d, disk_sectors(d) - 1);
    finish(d, 0);
}

static void reset_drive(struct ide_drive *d)
{
    d->generation++;
    d->phase = IDE_IDLE;
    d->error = 1; /* diagnostics passed */
    d->multiple = d->cdrom ? 0 : d->multiple;
    d->status = d->present && !d->cdrom ? ATA_DRDY | ATA_DSC : 0;
    d->features = d->hob_features = d->hob_count = d->hob_lba0 = d->hob_lba1 = d->hob_lba2 = 0;
    ide_signature(d);
}

void ide_signature(struct ide_drive *d)
{
    d->count = d->lba0 = 1;
    d->lba1 = d->cdrom ? 0x14 : d->present ? 0 : 0xff;
    d->lba2 = d->cdrom ? 0xeb : d->present ? 0 : 0xff;
    d->channel->select &= 0xf0;
}

static void cmd_diagnose(struct ide_drive *d)
{
    struct ide_channel *c = d->channel;

    reset_drive(&c->drive[0]);
    reset_drive(&c->drive[1]);
    c->select = 0;
    ide_raise(&c->drive[0]);
}

static void cmd_device_reset(struct ide_drive *d)
{
    if (!d->cdrom) {
        finish(d, ATA_ABRT);
        return;
    }
    reset_drive(d);
}

static void cmd_packet(struct ide_drive *d)
{
    if (d->cdrom) {
        atapi_packet(d);
    } else {
        finish(d, ATA_ABRT);
    }
}

enum { DISK = 1, EXT = 2, MULTI = 4, WRITE = 8, PACKET_TOO = 16 };

static const struct command {
    uint8_t code, flags;
    void (*run)(struct ide_drive *d);
} commands[] = {
    {0x00, PACKET_TOO, cmd_abort},
    {0x08, PACKET_TOO, cmd_device_reset},
    {0x10, 0, cmd_ok}, /* recalibrate */
    {0x20, 0, cmd_read},
    {0x21, 0, cmd_read},
    {0x24, EXT, cmd_read},
    {0x25, EXT, cmd_dma},
    {0x27, EXT, cmd_native_max},
    {0x29, EXT | MULTI, cmd_read},
    {0x30, 0, cmd_write},
    {0x31, 0, cmd_write},
    {0x34, EXT, cmd_write},
    {0x35, EXT | WRITE, cmd_dma},
    {0x39, EXT | MULTI, cmd_write},
    {0x40, 0, cmd_verify},
    {0x41, 0, cmd_verify},
    {0x42, EXT, cmd_verify},
    {0x70, 0, cmd_ok}, /* seek */
    {0x90, PACKET_TOO, cmd_diagnose},
    {0x91, 0, cmd_init_params},
    {0xa0, PACKET_TOO, cmd_packet},
    {0xa1, PACKET_TOO, cmd_identify_packet},
    {0xc4, MULTI, cmd_read},
    {0xc5, MULTI, cmd_write},
    {0xc6, 0, cmd_set_multiple},
    {0xc8, 0, cmd_dma},
    {0xc9, 0, cmd_dma},
    {0xca, WRITE, cmd_dma},
    {0xcb, WRITE, cmd_dma},
    {0xe0, PACKET_TOO, cmd_ok}, /* standby, idle: nothing to stop */
    {0xe1, PACKET_TOO, cmd_ok},
    {0xe2, PACKET_TOO, cmd_ok},
    {0xe3, PACKET_TOO, cmd_ok},
    {0xe5, PACKET_TOO, cmd_power},
    {0xe6, PACKET_TOO, cmd_ok},
    {0xe7, 0, cmd_flush},
    {0xea, EXT, cmd_flush},
    {0xec, PACKET_TOO, cmd_identify},
    {0xef, PACKET_TOO, cmd_set_features},
    {0xf8, 0, cmd_native_max},
};

static void run_command(struct ide_drive *d, uint8_t code)
{
    log_trace(d->channel->machine->log, ide_command, "%s command %02x count %02x lba %02x %02x %02x",
              d->cdrom ? "cdrom" : "disk", code, d->count, d->lba2, d->lba1, d->lba0);
    d->channel->irq_pending = false;
    update_irq(d->channel);
    if (d->phase != IDE_IDLE && code != 0x08 && (d->status & ATA_BSY)) {
        log_at(d->channel->machine->log, LOG_GUEST_ERROR, "ide: command %02x while busy\n", code);
        return;
    }
    d->error = 0;
    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct command *c = &commands[i];
        if (c->code != code) {
            continue;
        }
        if (d->cdrom && !(c->flags & PACKET_TOO)) {
            break;
        }
        d->lba48 = c->flags & EXT;
        d->dma_write = c->flags & WRITE;
        d->block_sectors = c->flags & MULTI ? d->multiple : 1;
        if ((c->flags & MULTI) && !d->multiple) {
            break;
        }
        c->run(d);
        return;
    }
    finish(d, ATA_ABRT);
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
        buffer_done(d);
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
        buffer_done(d);
    }
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
        update_irq(c);
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

#define BOTH(f, hob) write_both(c, offsetof(struct ide_drive, f), offsetof(struct ide_drive, hob), v)

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
            run_command(ide_selected(c), v);
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
            c->drive[i].generation++;
            c->drive[i].phase = IDE_IDLE;
            c->drive[i].status = ATA_BSY;
        }
        c->irq_pending = false;
    } else if (!is_reset && was_reset) {
        c->select = 0;
        reset_drive(&c->drive[0]);
        reset_drive(&c->drive[1]);
    }
    update_irq(c);
}

/* ---- life ---- */

void ide_attach(struct ide_channel *c, unsigned unit, struct block *b, bool cdrom)
{
    struct ide_drive *d = &c->drive[unit];

    d->block = b;
    d->present = true;
    d->cdrom = cdrom;
    d->blank = !b;
    d->media_changed = b != NULL;
    snprintf(d->serial, sizeof(d->serial), "DM%05u", unit + 1);
    if (!cdrom) {
        uint64_t cyl = disk_sectors(d) / (16 * 63);
        d->heads = 16;
        d->sectors = 63;
        d->cylinders = (uint16_t)(cyl < 16383 ? (cyl ? cyl : 1) : 16383);
    }
    reset_drive(d);
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
        c->drive[i].multiple = MAX_MULTIPLE;
        c->drive[i].dma_mode = 0;
        reset_drive(&c->drive[i]);
    }
    update_irq(c);
}

void ide_channel_destroy(struct ide_channel *c)
{
    for (unsigned i = 0; i < 2; i++) {
        free(c->drive[i].buffer);
    }
}
