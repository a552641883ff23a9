/* ATA commands of disk drives: ATA/ATAPI-6 (T13 1410D), PIO, multiple and DMA transfers, LBA28,
 * LBA48 and CHS; of later standards what SATA disks say in IDENTIFY and the error log of queued
 * commands. Whoever has the registers (ide.c, ahci.c) hands commands in.
 *
 * Left out: SMART, security, HPA changes (reported as unsupported or aborted). Queued commands are
 * ahci_ncq.c's. */
#include "hw/ide/ide.h"

#include <string.h>

enum { SELECT_LBA = 0x40, LOG_NCQ = 0x10 };

/* ---- addresses ---- */

uint64_t ide_disk_sectors(const struct ide_drive *d)
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
        return (uint64_t)d->hob_lba2 << 40 | (uint64_t)d->hob_lba1 << 32 |
               (uint64_t)d->hob_lba0 << 24 | (uint32_t)d->lba2 << 16 | (uint32_t)d->lba1 << 8 |
               d->lba0;
    }
    if (select & SELECT_LBA) {
        return (uint32_t)(select & 15) << 24 | (uint32_t)d->lba2 << 16 | (uint32_t)d->lba1 << 8 |
               d->lba0;
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
    if (d->lba >= ide_disk_sectors(d) || d->remaining > ide_disk_sectors(d) - d->lba) {
        ide_finish(d, ATA_IDNF | ATA_ABRT);
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
        ide_finish(d, ATA_UNC);
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
        ide_finish(d, ATA_ABRT);
        return;
    }
    d->lba += n;
    d->remaining -= n;
    report_lba(d, d->lba - 1);
    if (d->remaining) {
        pio_write_wait(d);
        ide_raise(d);
    } else {
        ide_finish(d, 0);
    }
}

/* The guest has moved the last byte of the buffer. */
void ide_buffer_done(struct ide_drive *d)
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
    ide_finish(d, error);
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
    ide_submit(d, d->dma_write ? BLOCK_WRITE : BLOCK_READ, d->lba * IDE_SECTOR, d->end,
               dma_io_done);
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
    } fields[] = {
        {10, 20, d->serial}, {23, 8, d->firmware}, {27, 40, d->model[0] ? d->model : model}};

    for (unsigned f = 0; f < 3; f++) {
        size_t n = strlen(fields[f].text);
        for (unsigned i = 0; i < fields[f].len; i++) {
            uint16_t ch = (uint8_t)(i < n ? fields[f].text[i] : ' ');
            id[fields[f].word + i / 2] |= (uint16_t)(i & 1 ? ch : ch << 8);
        }
    }
}

/* Hands out the first sector of the buffer. */
static void reply_sector(struct ide_drive *d)
{
    d->pos = 0;
    d->end = IDE_SECTOR;
    d->remaining = 0;
    d->buffer_start = 0;
    d->phase = IDE_PIO_IN;
    d->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    ide_raise(d);
}

static void put_identify(struct ide_drive *d, const uint16_t *id)
{
    for (unsigned i = 0; i < 256; i++) {
        d->buffer[2 * i] = (uint8_t)id[i];
        d->buffer[2 * i + 1] = (uint8_t)(id[i] >> 8);
    }
    reply_sector(d);
}

static void identify(struct ide_drive *d)
{
    uint16_t id[256] = {0};
    uint64_t total = ide_disk_sectors(d);
    uint32_t lba28 = total < 0x0fffffff ? (uint32_t)total : 0x0fffffff;
    uint64_t cyl = total / (16 * 63);

    id[0] = 0x0040;
    id[1] = (uint16_t)(cyl < 16383 ? (cyl ? cyl : 1) : 16383);
    id[3] = 16;
    id[6] = 63;
    ide_identify_strings(id, d, "DRAGOMAN HARDDISK");
    id[47] = 0x8000 | IDE_MAX_MULTIPLE;
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
    if (d->channel->sata) {
        id[75] = ATA_NCQ_DEPTH - 1;
        id[76] = 0x0106; /* queued commands; 1.5 and 3 Gbit/s */
        id[80] |= 0x180; /* to ATA8-ACS */
    }
    id[82] = 0x4020; /* NOP, write cache */
    id[83] = 0x7400; /* FLUSH CACHE (EXT), LBA48 */
    id[84] = 0x4000;
    id[85] = (uint16_t)(0x4000 | (block_write_cache(d->block) ? 0x20 : 0));
    id[86] = 0x3400;
    id[87] = 0x4000;
    if (d->wwn) {
        id[84] |= 0x100;
        id[87] |= 0x100;
        for (unsigned i = 0; i < 4; i++) {
            id[108 + i] = (uint16_t)(d->wwn >> (48 - 16 * i));
        }
    }
    id[88] = (uint16_t)(0x3f | (d->dma_mode >> 3 == 8 ? 0x100 << (d->dma_mode & 7) : 0));
    if (d->channel->sata) {
        id[84] |= 0x20; /* logs */
        id[87] |= 0x20;
    } else {
        id[93] = 0x6001;
    }
    for (unsigned i = 0; i < 4; i++) {
        id[100 + i] = (uint16_t)(total >> 16 * i);
    }
    put_identify(d, id);
}

static void cmd_identify(struct ide_drive *d)
{
    if (d->cdrom) {
        ide_signature(d);
        ide_finish(d, ATA_ABRT);
    } else {
        identify(d);
    }
}

static void cmd_identify_packet(struct ide_drive *d)
{
    if (!d->cdrom) {
        ide_finish(d, ATA_ABRT);
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
    id[76] = d->channel->sata ? 0x0006 : 0;
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
        ide_finish(d, ATA_ABRT);
    } else if (set_range(d)) {
        pio_write_wait(d); /* no interrupt before the first block */
    }
}

static void cmd_dma(struct ide_drive *d)
{
    if (!d->channel->bm_started || (d->dma_write && block_readonly(d->block))) {
        ide_finish(d, ATA_ABRT);
    } else if (set_range(d)) {
        d->phase = IDE_DMA_WAIT;
        d->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
        if (d->channel->bm_started(d->channel->bm)) {
            ide_dma_start(d->channel);
        }
    }
}

static void verify_next(struct ide_drive *d);

static void verify_done(struct ide_drive *d, int result)
{
    if (result) {
        report_lba(d, d->lba);
        ide_finish(d, ATA_UNC);
        return;
    }
    d->lba += d->end / IDE_SECTOR;
    d->remaining -= d->end / IDE_SECTOR;
    if (d->remaining) {
        verify_next(d);
    } else {
        report_lba(d, d->lba - 1);
        ide_finish(d, 0);
    }
}

/* Reads, and keeps nothing. */
static void verify_next(struct ide_drive *d)
{
    uint32_t n = d->remaining < IDE_BUFFER / IDE_SECTOR ? d->remaining : IDE_BUFFER / IDE_SECTOR;

    d->end = n * IDE_SECTOR;
    d->phase = IDE_READING;
    ide_submit(d, BLOCK_READ, d->lba * IDE_SECTOR, d->end, verify_done);
}

static void cmd_verify(struct ide_drive *d)
{
    if (set_range(d)) {
        verify_next(d);
    }
}

static void flush_done(struct ide_drive *d, int result)
{
    ide_finish(d, result ? ATA_ABRT : 0);
}

static void cmd_flush(struct ide_drive *d)
{
    d->phase = IDE_FLUSHING;
    ide_submit(d, BLOCK_FLUSH, 0, 0, flush_done);
}

/* The directory of logs, and the log of queued commands' errors. */
static void cmd_read_log(struct ide_drive *d)
{
    uint8_t *b = d->buffer, sum = 0, log = d->lba0;

    if (!d->channel->sata || (log && log != LOG_NCQ) || d->count != 1 || d->hob_count) {
        ide_finish(d, ATA_ABRT);
        return;
    }
    memset(b, 0, IDE_SECTOR);
    if (!log) {
        b[0] = 1;
        b[2 * LOG_NCQ] = 1;
    } else {
        b[0] = d->ncq_tag;
        b[2] = d->ncq_status;
        b[3] = d->ncq_error;
        for (unsigned i = 0; i < 3; i++) {
            b[4 + i] = (uint8_t)(d->ncq_lba >> 8 * i);
            b[8 + i] = (uint8_t)(d->ncq_lba >> (24 + 8 * i));
        }
        b[7] = SELECT_LBA;
        for (unsigned i = 0; i < IDE_SECTOR - 1; i++) {
            sum += b[i];
        }
        b[IDE_SECTOR - 1] = (uint8_t)-sum;
    }
    reply_sector(d);
}

static void cmd_ok(struct ide_drive *d)
{
    ide_finish(d, 0);
}

static void cmd_abort(struct ide_drive *d)
{
    ide_finish(d, ATA_ABRT);
}

static void cmd_power(struct ide_drive *d)
{
    d->count = 0xff; /* active */
    ide_finish(d, 0);
}

static void cmd_set_multiple(struct ide_drive *d)
{
    bool ok = d->count <= IDE_MAX_MULTIPLE && (d->count & (d->count - 1)) == 0;

    if (ok) {
        d->multiple = d->count;
    }
    ide_finish(d, ok ? 0 : ATA_ABRT);
}

static void cmd_set_features(struct ide_drive *d)
{
    switch (d->features) {
    case 0x03: /* transfer mode in the count register */
        if (d->count >> 3 == 4 || d->count >> 3 == 8) {
            d->dma_mode = d->count;
        }
        ide_finish(d, d->count >> 3 == 0 || d->count >> 3 == 1 ||
                              (d->count >> 3 == 4 && (d->count & 7) < 3) ||
                              (d->count >> 3 == 8 && (d->count & 7) < 6)
                          ? 0
                          : ATA_ABRT);
        break;
    case 0x02:
    case 0x82: /* volatile write cache */
        if (d->cdrom) {
            ide_finish(d, ATA_ABRT);
            break;
        }
        block_set_write_cache(d->block, d->features == 0x02);
        d->phase = IDE_FLUSHING;
        ide_submit(d, BLOCK_FLUSH, 0, 0, flush_done);
        break;
    case 0xaa:
    case 0x55:
    case 0x66:
    case 0xcc:
    case 0x05:
    case 0x85:
    case 0x42:
    case 0xc2:
    case 0x69:
    case 0x67:
    case 0x96:
    case 0x9a:
        ide_finish(d, 0);
        break;
    default:
        ide_finish(d, ATA_ABRT);
        break;
    }
}

static void cmd_init_params(struct ide_drive *d)
{
    d->heads = (uint8_t)((d->channel->select & 15) + 1);
    d->sectors = d->count ? d->count : 1;
    uint64_t cyl = ide_disk_sectors(d) / ((uint32_t)d->heads * d->sectors);
    d->cylinders = (uint16_t)(cyl < 65535 ? cyl : 65535);
    ide_finish(d, 0);
}

static void cmd_native_max(struct ide_drive *d)
{
    report_lba(d, ide_disk_sectors(d) - 1);
    ide_finish(d, 0);
}

void ide_reset_drive(struct ide_drive *d)
{
    ide_cancel(d);
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

    ide_reset_drive(&c->drive[0]);
    ide_reset_drive(&c->drive[1]);
    c->select = 0;
    ide_raise(&c->drive[0]);
}

static void cmd_device_reset(struct ide_drive *d)
{
    if (!d->cdrom) {
        ide_finish(d, ATA_ABRT);
        return;
    }
    ide_reset_drive(d);
}

static void cmd_packet(struct ide_drive *d)
{
    if (d->cdrom) {
        atapi_packet(d);
    } else {
        ide_finish(d, ATA_ABRT);
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
    {0x2f, EXT, cmd_read_log},
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

void ide_run_command(struct ide_drive *d, uint8_t code)
{
    log_trace(d->channel->machine->log, ide_command,
              "%s command %02x count %02x lba %02x %02x %02x", d->cdrom ? "cdrom" : "disk", code,
              d->count, d->lba2, d->lba1, d->lba0);
    d->channel->irq_pending = false;
    ide_update_irq(d->channel);
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
    ide_finish(d, ATA_ABRT);
}
