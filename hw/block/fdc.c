/* Floppy disk controller 82077AA (Intel data sheet 290166) at ports 3F0 to 3F7, IRQ 6, DMA channel
 * 2, and its two drives (device "floppy").
 *
 * An image's size says its geometry; the data rate that the guest chooses must fit to it, by which
 * drivers find the format out. Seeks take no time. Left out: READ TRACK, SCAN, VERIFY, deleted
 * sectors (read as others), sectors other than 512 bytes, real gaps, the PS/2 status registers,
 * tape. */
#include "hw/block/fdc.h"

#include "host/block.h"
#include "hw/dma/i8237.h"
#include "hw/isa/isa.h"
#include "hw/timer/timers.h"

#include <stdlib.h>
#include <string.h>

enum { DRIVES = 2, SECTOR = 512, DMA_CHANNEL = 2, IRQ = 6 };
enum { DOR_NORESET = 4, DOR_DMA = 8, DSR_RESET = 0x80 };
enum { MSR_RQM = 0x80, MSR_DIO = 0x40, MSR_NDMA = 0x20, MSR_BUSY = 0x10 };
enum {
    ST0_ABNORMAL = 0x40,
    ST0_INVALID = 0x80,
    ST0_SEEK = 0x20,
    ST0_CHECK = 0x10,
    ST0_READY_CHANGED = 0xc0
};
enum {
    ST1_END = 0x80,
    ST1_DATA = 0x20,
    ST1_NO_DATA = 4,
    ST1_PROTECTED = 2,
    ST1_NO_MARK = 1,
    ST2_WRONG_CYLINDER = 0x10
};
enum { MULTI_TRACK = 0x80 };
enum fdc_phase { COMMAND, EXECUTION, RESULT };
enum fdc_work { READING, WRITING, FORMATTING };

struct floppy {
    struct device dev;
    struct block *drive; /* properties */
    uint32_t unit, bootindex;
    char *drive_type;
    uint8_t cmos_type;
    bool changed; /* the line: no step pulse since the disk came */
    uint8_t track;
};

static const struct geometry {
    uint16_t sectors;
    uint8_t tracks, heads, per_track, rate, cmos_type; /* rate as in CCR */
} geometries[] = {
    {2880, 80, 2, 18, 0, 4}, {5760, 80, 2, 36, 3, 5}, {1440, 80, 2, 9, 2, 4},
    {2400, 80, 2, 15, 0, 2}, {720, 40, 2, 9, 1, 2},   {3360, 80, 2, 21, 0, 4},
    {3444, 82, 2, 21, 0, 4}, {640, 40, 2, 8, 1, 2},   {360, 40, 1, 9, 1, 2},
    {320, 40, 1, 8, 1, 2},
};

struct fdc {
    struct device dev;
    struct floppy *drive[DRIVES];
    struct irq irq;

    uint8_t dor, tdr, rate, phase, work;
    uint8_t fifo[16];
    uint8_t pos, len; /* in the fifo: of the command, or of the result */
    uint8_t specify[2], config[3], perpendicular, precompensation;
    bool lock, irq_pending, non_dma;
    uint8_t reset_reports; /* of the four that a reset leaves for SENSE INTERRUPT */
    uint8_t seek_status;   /* ST0 of the last seek; 0: none */
    uint8_t seek_drive;
    uint8_t cylinder, head, sector, last; /* of the transfer; last: EOT, or sectors to format */
    bool multi_track, terminal;
    uint8_t fill;
    uint8_t buffer[SECTOR];
    uint16_t at; /* bytes of the buffer that have been moved */

    bool in_flight; /* the image works on the buffer */
    uint32_t generation;
};

/* A sector on its way. With a buffer of its own: after a reset of the controller the next command's
 * may be under way before this one is back. */
struct io {
    struct block_request r;
    struct fdc *fdc;
    uint32_t generation;
    struct iovec iov;
    uint8_t data[SECTOR];
};

#define F(type, f) type(struct fdc, f)
static const struct state_field fdc_fields[] = {
    F(STATE_U8, dor),           F(STATE_U8, tdr),
    F(STATE_U8, rate),          F(STATE_U8, phase),
    F(STATE_U8, work),          F(STATE_BYTES, fifo),
    F(STATE_U8, pos),           F(STATE_U8, len),
    F(STATE_BYTES, specify),    F(STATE_BYTES, config),
    F(STATE_U8, perpendicular), F(STATE_U8, precompensation),
    F(STATE_BOOL, lock),        F(STATE_BOOL, irq_pending),
    F(STATE_BOOL, non_dma),     F(STATE_U8, reset_reports),
    F(STATE_U8, seek_status),   F(STATE_U8, seek_drive),
    F(STATE_U8, cylinder),      F(STATE_U8, head),
    F(STATE_U8, sector),        F(STATE_U8, last),
    F(STATE_BOOL, multi_track), F(STATE_BOOL, terminal),
    F(STATE_U8, fill),          F(STATE_BYTES, buffer),
    F(STATE_U16, at),           STATE_END,
};
#undef F

static void update_irq(struct fdc *f)
{
    irq_set(&f->irq, f->irq_pending && (f->dor & DOR_DMA));
}

static void fdc_loaded(void *obj)
{
    update_irq(obj);
}

static const struct state_table fdc_state = {1, fdc_fields, fdc_loaded};

static void set_irq(struct fdc *f, bool on)
{
    f->irq_pending = on;
    update_irq(f);
}

/* ---- drives ---- */

static const struct geometry *geometry_of(const struct floppy *d)
{
    uint64_t sectors =
        d && d->drive && block_inserted(d->drive) ? block_size(d->drive) / SECTOR : 0;

    for (size_t i = 0; i < sizeof(geometries) / sizeof(geometries[0]); i++) {
        if (geometries[i].sectors == sectors) {
            return &geometries[i];
        }
    }
    return sectors ? &geometries[0] : NULL; /* the rest of a short image reads as an error */
}

/* The drive that a command's second byte names; NULL: none there. */
static struct floppy *command_drive(const struct fdc *f)
{
    unsigned n = f->fifo[1] & 3;

    return n < DRIVES ? f->drive[n] : NULL;
}

/* ---- phases ---- */

static void to_command(struct fdc *f)
{
    f->phase = COMMAND;
    f->pos = f->len = 0;
}

static void to_result(struct fdc *f, const uint8_t *bytes, uint8_t n)
{
    memcpy(f->fifo, bytes, n);
    f->phase = RESULT;
    f->pos = 0;
    f->len = n;
}

static void transfer_result(struct fdc *f, uint8_t st0, uint8_t st1, uint8_t st2)
{
    uint8_t r[7] = {(uint8_t)(st0 | (f->head << 2) | (f->fifo[1] & 3)),
                    st1,
                    st2,
                    f->cylinder,
                    f->head,
                    f->sector,
                    2};

    to_result(f, r, sizeof(r));
    set_irq(f, true);
}

/* ---- transfers ---- */

static void sector_next(struct fdc *f);
static void move_bytes(struct fdc *f);

/* To the sector behind the one that was done; false: that was the last one of the command. */
static bool advance(struct fdc *f)
{
    if (f->sector != f->last) {
        f->sector++;
        return true;
    }
    f->sector = 1;
    if (f->multi_track && f->head == 0) {
        f->head = 1;
        return true;
    }
    f->head = f->multi_track ? 0 : f->head;
    f->cylinder++;
    return false;
}

/* A sector has been moved wholly. */
static void sector_over(struct fdc *f)
{
    bool more;

    if (f->work == FORMATTING) {
        more = --f->last > 0;
        if (!more || f->terminal) {
            transfer_result(f, 0, 0, 0);
            return;
        }
    } else {
        more = advance(f);
    }
    if (f->terminal) {
        transfer_result(f, 0, 0, 0);
    } else if (more) {
        sector_next(f);
    } else {
        transfer_result(f, ST0_ABNORMAL, ST1_END, 0);
    }
}

static void image_done(struct block_request *r, int result)
{
    struct io *io = (struct io *)r;
    struct fdc *f = io->fdc;

    if (io->generation != f->generation) {
        free(io);
        return;
    }
    if (f->work == READING) {
        memcpy(f->buffer, io->data, SECTOR);
    }
    free(io);
    f->in_flight = false;
    if (result) {
        transfer_result(f, ST0_ABNORMAL, f->work == READING ? ST1_DATA : ST1_NO_DATA, 0);
    } else if (f->work == READING) {
        f->at = 0;
        move_bytes(f);
    } else {
        sector_over(f);
    }
}

/* The sector at cylinder, head, sector between the buffer and the image; false: no such sector. */
static bool submit(struct fdc *f)
{
    struct floppy *d = command_drive(f);
    const struct geometry *g = geometry_of(d);
    uint8_t st1 = 0, st2 = 0;

    if (!g || f->rate != g->rate) {
        /* A disk of 360 KiB turns faster in the drive of a larger one: 300 kbit/s instead of 250.
         */
        st1 = g && g->rate == 1 && f->rate == 2 ? 0 : ST1_NO_MARK;
    }
    if (!st1 && (f->cylinder != d->track || f->cylinder >= g->tracks)) {
        st1 = ST1_NO_DATA;
        st2 = ST2_WRONG_CYLINDER;
    }
    if (!st1 && (f->head >= g->heads || !f->sector || f->sector > g->per_track)) {
        st1 = ST1_NO_DATA;
    }
    if (!st1 && f->work != READING && block_readonly(d->drive)) {
        st1 = ST1_PROTECTED;
    }
    if (st1) {
        transfer_result(f, ST0_ABNORMAL, st1, st2);
        return false;
    }
    struct io *io = calloc(1, sizeof(*io));
    if (!io) {
        abort();
    }
    memcpy(io->data, f->buffer, SECTOR);
    io->iov = (struct iovec){io->data, SECTOR};
    io->fdc = f;
    io->generation = f->generation;
    io->r = (struct block_request){
        .op = f->work == READING ? BLOCK_READ : BLOCK_WRITE,
        .offset =
            (((uint64_t)f->cylinder * g->heads + f->head) * g->per_track + f->sector - 1) * SECTOR,
        .len = SECTOR,
        .iov = &io->iov,
        .niov = 1,
        .done = image_done,
    };
    f->in_flight = true;
    block_submit(d->drive, &io->r);
    return true;
}

/* Bytes that the guest gives for a sector. */
static unsigned wanted(const struct fdc *f)
{
    return f->work == FORMATTING ? 4 : SECTOR;
}

static void buffer_moved(struct fdc *f)
{
    if (f->work == READING) {
        sector_over(f);
        return;
    }
    if (f->work == FORMATTING) {
        f->cylinder = f->buffer[0];
        f->head = f->buffer[1];
        f->sector = f->buffer[2];
        memset(f->buffer, f->fill, SECTOR);
    } else {
        memset(f->buffer + f->at, 0, SECTOR - f->at); /* terminal count within the sector */
    }
    submit(f);
}

/* By DMA, as far as the channel goes now. */
static void move_bytes(struct fdc *f)
{
    struct device *dma = isa_bus(f->dev.machine)->dma;
    bool tc = false;

    if (f->non_dma || !dma) {
        set_irq(f, true); /* the guest moves them */
        return;
    }
    f->at += (uint16_t)i8237_transfer(dma, DMA_CHANNEL, f->buffer + f->at, wanted(f) - f->at,
                                      f->work == READING, &tc);
    f->terminal |= tc;
    if (f->terminal || f->at == wanted(f)) {
        buffer_moved(f);
    }
}

static void sector_next(struct fdc *f)
{
    f->at = 0;
    if (f->work == READING) {
        submit(f);
    } else {
        move_bytes(f);
    }
}

/* The guest has unmasked the channel. */
static void dma_ready(void *opaque)
{
    struct fdc *f = opaque;

    if (f->phase == EXECUTION && !f->in_flight && !f->non_dma) {
        move_bytes(f);
    }
}

static void begin_transfer(struct fdc *f, enum fdc_work work)
{
    f->phase = EXECUTION;
    f->work = work;
    f->terminal = false;
    sector_next(f);
}

/* ---- commands: the bytes are in the fifo ---- */

static void cmd_transfer(struct fdc *f, enum fdc_work work)
{
    f->cylinder = f->fifo[2];
    f->head = f->fifo[3];
    f->sector = f->fifo[4];
    f->last = f->fifo[6];
    f->multi_track = f->fifo[0] & MULTI_TRACK;
    if (f->fifo[5] != 2 || f->head != (f->fifo[1] >> 2 & 1) || !geometry_of(command_drive(f))) {
        transfer_result(f, ST0_ABNORMAL, geometry_of(command_drive(f)) ? ST1_NO_DATA : ST1_NO_MARK,
                        0);
        return;
    }
    begin_transfer(f, work);
}

static void cmd_read(struct fdc *f)
{
    cmd_transfer(f, READING);
}

static void cmd_write(struct fdc *f)
{
    const struct floppy *d = command_drive(f);

    if (geometry_of(d) && block_readonly(d->drive)) {
        f->cylinder = f->fifo[2];
        f->head = f->fifo[3];
        f->sector = f->fifo[4];
        transfer_result(f, ST0_ABNORMAL, ST1_PROTECTED, 0);
        return;
    }
    cmd_transfer(f, WRITING);
}

static void cmd_format(struct fdc *f)
{
    const struct floppy *d = command_drive(f);

    f->cylinder = d ? d->track : 0;
    f->head = f->fifo[1] >> 2 & 1;
    f->sector = 1;
    f->last = f->fifo[3];
    f->fill = f->fifo[5];
    if (!geometry_of(d) || f->fifo[2] != 2 || !f->last || block_readonly(d->drive)) {
        transfer_result(f, ST0_ABNORMAL,
                        geometry_of(d) && block_readonly(d->drive) ? ST1_PROTECTED : ST1_NO_MARK,
                        0);
        return;
    }
    begin_transfer(f, FORMATTING);
}

static void cmd_read_id(struct fdc *f)
{
    const struct floppy *d = command_drive(f);
    const struct geometry *g = geometry_of(d);
    bool found;

    f->cylinder = d ? d->track : 0;
    f->head = f->fifo[1] >> 2 & 1;
    f->sector = 1;
    found = g && (f->rate == g->rate || (g->rate == 1 && f->rate == 2)) && f->head < g->heads &&
            d->track < g->tracks;
    transfer_result(f, found ? 0 : ST0_ABNORMAL, found ? 0 : ST1_NO_MARK, 0);
}

static void seek(struct fdc *f, uint8_t track, bool recalibrate)
{
    struct floppy *d = command_drive(f);

    f->seek_drive = f->fifo[1] & 3;
    f->seek_status = (uint8_t)(ST0_SEEK | (f->fifo[1] & 7));
    if (d) {
        d->track = track;
        d->changed = d->changed && !block_inserted(d->drive);
    } else if (recalibrate) {
        f->seek_status |= ST0_ABNORMAL | ST0_CHECK; /* no track 0 signal */
    }
    to_command(f);
    set_irq(f, true);
}

static void cmd_recalibrate(struct fdc *f)
{
    seek(f, 0, true);
}

static void cmd_seek(struct fdc *f)
{
    seek(f, f->fifo[2], false);
}

static void cmd_relative_seek(struct fdc *f)
{
    const struct floppy *d = command_drive(f);
    int track = d ? d->track + (f->fifo[0] & 0x40 ? f->fifo[2] : -f->fifo[2]) : 0;

    seek(f, (uint8_t)(track < 0 ? 0 : track > 255 ? 255 : track), false);
}

static void cmd_sense_interrupt(struct fdc *f)
{
    uint8_t r[2] = {ST0_INVALID, 0};

    if (f->reset_reports) {
        r[0] = (uint8_t)(ST0_READY_CHANGED | (4 - f->reset_reports));
        f->reset_reports--;
    } else if (f->seek_status) {
        r[0] = f->seek_status;
        r[1] =
            f->seek_drive < DRIVES && f->drive[f->seek_drive] ? f->drive[f->seek_drive]->track : 0;
        f->seek_status = 0;
    }
    set_irq(f, false);
    to_result(f, r, r[0] == ST0_INVALID ? 1 : 2);
}

static void cmd_sense_drive(struct fdc *f)
{
    const struct floppy *d = command_drive(f);
    uint8_t st3 = (uint8_t)(0x28 | (f->fifo[1] & 7));

    st3 |= d && d->track == 0 ? 0x10 : 0;
    st3 |= d && block_inserted(d->drive) && block_readonly(d->drive) ? 0x40 : 0;
    to_result(f, &st3, 1);
}

static void cmd_specify(struct fdc *f)
{
    memcpy(f->specify, f->fifo + 1, 2);
    f->non_dma = f->fifo[2] & 1;
    to_command(f);
}

static void cmd_configure(struct fdc *f)
{
    memcpy(f->config, f->fifo + 1, 3);
    f->precompensation = f->fifo[3];
    to_command(f);
}

static void cmd_perpendicular(struct fdc *f)
{
    f->perpendicular =
        f->fifo[1] & 0x80 ? f->fifo[1] & 0x3f : (f->perpendicular & 0x3c) | (f->fifo[1] & 3);
    to_command(f);
}

static void cmd_version(struct fdc *f)
{
    uint8_t v = 0x90;

    to_result(f, &v, 1);
}

static void cmd_lock(struct fdc *f)
{
    uint8_t v;

    f->lock = f->fifo[0] & 0x80;
    v = f->lock ? 0x10 : 0;
    to_result(f, &v, 1);
}

static void cmd_dump(struct fdc *f)
{
    uint8_t r[10] = {f->drive[0] ? f->drive[0]->track : 0,
                     f->drive[1] ? f->drive[1]->track : 0,
                     0,
                     0,
                     f->specify[0],
                     f->specify[1],
                     f->last,
                     (uint8_t)(f->perpendicular | (f->lock ? 0x80 : 0)),
                     f->config[1],
                     f->precompensation};

    to_result(f, r, sizeof(r));
}

static const struct {
    uint8_t code, mask, bytes;
    void (*run)(struct fdc *f);
} commands[] = {
    {0x03, 0xff, 3, cmd_specify},       {0x04, 0xff, 2, cmd_sense_drive},
    {0x05, 0x3f, 9, cmd_write},         {0x06, 0x1f, 9, cmd_read},
    {0x07, 0xff, 2, cmd_recalibrate},   {0x08, 0xff, 1, cmd_sense_interrupt},
    {0x09, 0x3f, 9, cmd_write},         {0x0a, 0xbf, 2, cmd_read_id},
    {0x0c, 0x1f, 9, cmd_read},          {0x0d, 0xbf, 6, cmd_format},
    {0x0e, 0xff, 1, cmd_dump},          {0x0f, 0xff, 3, cmd_seek},
    {0x10, 0xff, 1, cmd_version},       {0x12, 0xff, 2, cmd_perpendicular},
    {0x13, 0xff, 4, cmd_configure},     {0x14, 0x7f, 1, cmd_lock},
    {0x8f, 0xbf, 3, cmd_relative_seek},
};

static void write_command(struct fdc *f, uint8_t v)
{
    static const uint8_t invalid = ST0_INVALID;

    if (f->pos < sizeof(f->fifo)) {
        f->fifo[f->pos++] = v;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if ((f->fifo[0] & commands[i].mask) == commands[i].code) {
            if (f->pos == commands[i].bytes) {
                log_trace(f->dev.machine->log, fdc_command, "command %02x, drive and head %x",
                          f->fifo[0], commands[i].bytes > 1 ? f->fifo[1] : 0);
                commands[i].run(f);
            }
            return;
        }
    }
    log_at(f->dev.machine->log, LOG_UNIMP, "fdc: command %02x\n", f->fifo[0]);
    to_result(f, &invalid, 1);
}

/* ---- registers ---- */

static void soft_reset(struct fdc *f)
{
    f->in_flight = false;
    /* What is under way is void from here on. */
    f->generation++;
    to_command(f);
    f->seek_status = f->reset_reports = 0;
    if (!f->lock) {
        memset(f->config, 0, sizeof(f->config));
        f->precompensation = 0;
    }
    set_irq(f, false);
}

static void reset_over(struct fdc *f)
{
    if (!(f->config[1] & 0x10)) { /* polling is on */
        f->reset_reports = 4;
        set_irq(f, true);
    }
}

static uint8_t main_status(const struct fdc *f)
{
    bool mine = f->phase == EXECUTION && f->non_dma && !f->in_flight;

    if (!(f->dor & DOR_NORESET)) {
        return 0;
    }
    if (f->phase == EXECUTION) {
        return (uint8_t)(MSR_BUSY | (f->non_dma ? MSR_NDMA : 0) |
                         (mine ? MSR_RQM | (f->work == READING ? MSR_DIO : 0) : 0));
    }
    return (uint8_t)(MSR_RQM | (f->phase == RESULT ? MSR_DIO | MSR_BUSY : 0) |
                     (f->phase == COMMAND && f->pos ? MSR_BUSY : 0));
}

static uint8_t read_data(struct fdc *f)
{
    uint8_t v = 0;

    if (f->phase == RESULT) {
        set_irq(f, false);
        v = f->fifo[f->pos++];
        if (f->pos == f->len) {
            to_command(f);
        }
    } else if (f->phase == EXECUTION && f->non_dma && !f->in_flight && f->work == READING) {
        v = f->buffer[f->at++];
        if (f->at == SECTOR) {
            set_irq(f, false);
            buffer_moved(f);
        }
    }
    return v;
}

static void write_data(struct fdc *f, uint8_t v)
{
    if (f->phase == COMMAND) {
        write_command(f, v);
    } else if (f->phase == EXECUTION && f->non_dma && !f->in_flight && f->work != READING) {
        f->buffer[f->at++] = v;
        if (f->at == wanted(f)) {
            set_irq(f, false);
            buffer_moved(f);
        }
    }
}

static uint64_t fdc_read(void *opaque, uint64_t offset, unsigned size)
{
    struct fdc *f = opaque;

    (void)size;
    switch (offset) {
    case 2:
        return f->dor;
    case 3:
        return f->tdr;
    case 4:
        return main_status(f);
    case 5:
        return read_data(f);
    default:
        return 0xff;
    }
}

static void fdc_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct fdc *f = opaque;
    uint8_t v = (uint8_t)value, before = f->dor;

    (void)size;
    switch (offset) {
    case 2:
        f->dor = v;
        if ((before & DOR_NORESET) && !(v & DOR_NORESET)) {
            soft_reset(f);
        } else if (!(before & DOR_NORESET) && (v & DOR_NORESET)) {
            reset_over(f);
        }
        update_irq(f);
        break;
    case 3:
        f->tdr = v & 3;
        break;
    case 4:
        f->rate = v & 3;
        if (v & DSR_RESET) {
            soft_reset(f);
            reset_over(f);
        }
        break;
    case 5:
        if (f->dor & DOR_NORESET) {
            write_data(f, v);
        }
        break;
    default:
        break;
    }
}

static uint64_t dir_read(void *opaque, uint64_t offset, unsigned size)
{
    struct fdc *f = opaque;
    unsigned n = f->dor & 3;
    const struct floppy *d = n < DRIVES ? f->drive[n] : NULL;

    (void)offset;
    (void)size;
    return d && (f->dor >> (4 + n) & 1) && (d->changed || !block_inserted(d->drive)) ? 0x80 : 0;
}

static void ccr_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    (void)offset;
    (void)size;
    ((struct fdc *)opaque)->rate = value & 3;
}

static const struct mmio_ops fdc_ops = {fdc_read, fdc_write, 1, 1};
static const struct mmio_ops dir_ops = {dir_read, ccr_write, 1, 1};

/* ---- life of the controller ---- */

static void fdc_reset(struct device *dev)
{
    struct fdc *f = (struct fdc *)dev;

    f->lock = false;
    soft_reset(f);
    f->dor = f->tdr = f->perpendicular = f->last = 0;
    f->rate = 2;
    f->non_dma = false;
    memset(f->specify, 0, sizeof(f->specify));
    update_irq(f);
}

static bool fdc_realize(struct device *dev, struct error *err)
{
    struct fdc *f = (struct fdc *)dev;
    struct device *dma = isa_bus(dev->machine)->dma;

    f->irq = *isa_irq(dev->machine, IRQ);
    if (dma) {
        i8237_set_ready(dma, DMA_CHANNEL, dma_ready, f);
    }
    return isa_claim_ports(dev, 0x3f0, 6, &fdc_ops, f, err) &&
           isa_claim_ports(dev, 0x3f7, 1, &dir_ops, f, err);
}

const struct device_type isa_fdc_type = {
    .name = "isa-fdc",
    .summary = "82077AA floppy disk controller",
    .bus = BUS_ISA,
    .size = sizeof(struct fdc),
    .state = &fdc_state,
    .realize = fdc_realize,
    .reset = fdc_reset,
};

/* ---- drives ---- */

static const struct property floppy_props[] = {
    PROP_DRIVE(struct floppy, drive, "the -drive or node"),
    PROP_U32(struct floppy, unit, 0xffffffff, "0: A, 1: B (default: the first free one)"),
    {"drive-type", PT_STRING, offsetof(struct floppy, drive_type), 0,
     "120, 144, 288 or auto (by the image's size)"},
    PROP_U32(struct floppy, bootindex, UINT32_MAX,
             "place among the devices to boot from, lowest first"),
    PROP_END,
};
static const struct state_field floppy_fields[] = {
    STATE_BOOL(struct floppy, changed),
    STATE_U8(struct floppy, track),
    STATE_END,
};
static const struct state_table floppy_state = {1, floppy_fields, NULL};

static void medium_changed(void *opaque, bool loaded)
{
    (void)loaded;
    ((struct floppy *)opaque)->changed = true;
}

static bool choose_type(struct floppy *d, struct error *err)
{
    static const struct {
        const char *name;
        uint8_t cmos_type;
    } types[] = {{"120", 2}, {"144", 4}, {"288", 5}};
    const struct geometry *g = geometry_of(d);

    d->cmos_type = g ? g->cmos_type : 4;
    if (!d->drive_type || !strcmp(d->drive_type, "auto")) {
        return true;
    }
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (!strcmp(types[i].name, d->drive_type)) {
            d->cmos_type = types[i].cmos_type;
            return true;
        }
    }
    return error_set(err, "floppy: drive-type=%s: known are 120, 144, 288 and auto", d->drive_type);
}

/* The BIOS looks into the CMOS for what is there. */
static void tell_cmos(const struct fdc *f)
{
    struct device *rtc = device_find_type(f->dev.machine, &mc146818_type);
    unsigned n = (f->drive[0] != NULL) + (f->drive[1] != NULL);

    if (rtc) {
        mc146818_set_cmos(rtc, 0x10,
                          (uint8_t)((f->drive[0] ? f->drive[0]->cmos_type << 4 : 0) |
                                    (f->drive[1] ? f->drive[1]->cmos_type : 0)));
        mc146818_set_cmos(rtc, 0x14, (uint8_t)(0x06 | (n ? 1 | (n - 1) << 6 : 0)));
    }
}

static bool floppy_realize(struct device *dev, struct error *err)
{
    struct floppy *d = (struct floppy *)dev;
    struct fdc *f = (struct fdc *)device_find_type(dev->machine, &isa_fdc_type);
    struct block_config empty = {.rerror = BLOCK_ERROR_REPORT};
    struct block_device back = {
        .id = device_path(dev), .removable = true, .medium = medium_changed, .opaque = d};

    if (!f) {
        return error_set(err, "floppy: this machine has no floppy disk controller");
    }
    for (unsigned i = 0; d->unit == UINT32_MAX && i < DRIVES; i++) {
        d->unit = f->drive[i] ? d->unit : i;
    }
    if (d->unit >= DRIVES || f->drive[d->unit]) {
        return error_set(err,
                         "floppy: there are two drives, units 0 and 1, and the place is taken");
    }
    if (!d->drive && dev->machine->blocks) {
        d->drive = block_create(dev->machine->blocks, &empty, NULL, err);
    }
    if (!d->drive) {
        return error_set(err, "floppy: drive= is missing");
    }
    if (block_inserted(d->drive) && block_size(d->drive) > UINT64_C(5760) * SECTOR) {
        return error_set(err,
                         "floppy: the image of drive '%s' is larger than a floppy disk (2880 KiB)",
                         block_id(d->drive));
    }
    if (!choose_type(d, err) || !block_attach(d->drive, &back, err)) {
        return error_prefix(err, "floppy");
    }
    f->drive[d->unit] = d;
    d->changed = true;
    tell_cmos(f);
    return true;
}

static char *floppy_boot_path(struct device *dev)
{
    return strdup(((struct floppy *)dev)->unit ? "/pci@i0cf8/isa@1/fdc@03f0/floppy@1"
                                               : "/pci@i0cf8/isa@1/fdc@03f0/floppy@0");
}

const struct device_type floppy_type = {
    .name = "floppy",
    .summary = "floppy disk drive",
    .bus = BUS_ISA,
    .size = sizeof(struct floppy),
    .props = floppy_props,
    .state = &floppy_state,
    .realize = floppy_realize,
    .boot_path = floppy_boot_path,
    .user_creatable = true,
};
