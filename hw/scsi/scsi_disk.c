/* scsi-hd and scsi-cd: direct-access devices by SBC-3 and SPC-4, and CD-ROM drives by MMC-3.
 *
 * Data moves between the image and the guest's memory without a copy. Left out: reservations,
 * protection information, COMPARE AND WRITE, formatting, audio and writing of discs. */
#include "hw/scsi/scsi_disk.h"
#include "hw/scsi/mmc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct state_field disk_fields[] = {
    STATE_U32(struct scsi_disk, attention),
    STATE_BOOL(struct scsi_disk, locked),
    STATE_BOOL(struct scsi_disk, stopped),
    STATE_U8(struct scsi_disk, event),
    STATE_END,
};
static const struct state_table disk_state = {1, disk_fields, NULL};

#define COMMON_PROPS                                                                               \
    SCSI_PROPS(struct scsi_disk, scsi), PROP_DRIVE(struct scsi_disk, drive, "the -drive or node"), \
        PROP_STRING(struct scsi_disk, serial, "serial number, 36 characters"),                     \
        PROP_STRING(struct scsi_disk, vendor, "vendor, 8 characters"),                             \
        PROP_STRING(struct scsi_disk, product, "name of the product, 16 characters"),              \
        PROP_STRING(struct scsi_disk, ver, "version of the firmware, 4 characters"),               \
        PROP_STRING(struct scsi_disk, device_id,                                                   \
                    "identifier (default: the serial number, or the drive's id)"),                 \
        PROP_U64(struct scsi_disk, wwn, 0, "world wide name; 0: none"),                            \
        PROP_U32(struct scsi_disk, bootindex, UINT32_MAX,                                          \
                 "place among the devices to boot from, lowest first")

static const struct property hd_props[] = {
    COMMON_PROPS,
    {"logical_block_size", PT_U32, offsetof(struct scsi_disk, logical), 512,
     "bytes of a block, a power of 2 from 512 to 32768"},
    {"physical_block_size", PT_U32, offsetof(struct scsi_disk, physical), 512,
     "bytes that are best written together"},
    {"rotation_rate", PT_U16, offsetof(struct scsi_disk, rotation_rate), 0,
     "turns a minute; 1: not a rotating medium; 0: not told"},
    PROP_BOOL(struct scsi_disk, removable, 0, "tell that the medium can be removed"),
    {"write-cache", PT_BOOL, offsetof(struct scsi_disk, wce), 1,
     "there is a cache that has to be flushed (default: as the drive's cache= says)"},
    PROP_END,
};
static const struct property cd_props[] = {COMMON_PROPS, PROP_END};

uint64_t scsi_disk_blocks(const struct scsi_disk *d)
{
    return block_inserted(d->drive) ? block_size(d->drive) / d->logical : 0;
}

uint32_t scsi_disk_error(int result, bool write)
{
    switch (-result) {
    case ENOMEDIUM:
        return SCSI_SENSE_OF(SENSE_NOT_READY, 0x3a, 0);
    case ENOSPC:
        return SCSI_SENSE_OF(SENSE_PROTECT, 0x27, 7); /* space allocation failed */
    case EROFS:
        return SCSI_SENSE_OF(SENSE_PROTECT, 0x27, 0);
    default:
        return write ? SCSI_SENSE_OF(SENSE_MEDIUM, 0x0c, 0) : SCSI_SENSE_OF(SENSE_MEDIUM, 0x11, 0);
    }
}

/* ---- reading and writing ---- */

static void transfer_done(struct block_request *io, int result)
{
    struct scsi_request *r = io->opaque;

    if (result) {
        r->moved = 0;
        scsi_check(r, scsi_disk_error(result, io->op != BLOCK_READ));
    } else {
        scsi_good(r);
    }
}

/* The first bytes of iov, as a list of its own. */
static int shorten(const struct iovec *iov, int n, uint64_t bytes, struct iovec **out)
{
    int used = 0;

    *out = calloc((size_t)n + 1, sizeof(**out));
    if (!*out) {
        abort();
    }
    for (; bytes && used < n; used++) {
        (*out)[used] = iov[used];
        if ((*out)[used].iov_len > bytes) {
            (*out)[used].iov_len = bytes;
        }
        bytes -= (*out)[used].iov_len;
    }
    return used;
}

struct range {
    uint64_t lba, n;
    bool fua;
};

/* Address and count of a command by its length. */
static struct range command_range(const uint8_t *c)
{
    switch (c[0] >> 5) {
    case 0:
        return (struct range){scsi_be(c + 1, 3) & 0x1fffff, c[4] ? c[4] : 256, false};
    case 4:
        return (struct range){scsi_be(c + 2, 8), scsi_be(c + 10, 4), c[1] & 8};
    case 5:
        return (struct range){scsi_be(c + 2, 4), scsi_be(c + 6, 4), c[1] & 8};
    default:
        return (struct range){scsi_be(c + 2, 4), scsi_be(c + 7, 2), c[1] & 8};
    }
}

static bool range_ok(struct scsi_disk *d, struct scsi_request *r, const struct range *g,
                     enum block_op op)
{
    uint64_t blocks = scsi_disk_blocks(d);

    if (g->lba <= blocks && g->n <= blocks - g->lba) {
        return true;
    }
    block_account_invalid(d->drive, op);
    scsi_check(r, SCSI_LBA_RANGE);
    return false;
}

static void transfer(struct scsi_disk *d, struct scsi_request *r, bool read)
{
    struct range g = command_range(r->cdb);
    uint64_t bytes = g.n * d->logical;
    enum block_op op = read ? BLOCK_READ : BLOCK_WRITE;

    if (!range_ok(d, r, &g, op)) {
        return;
    }
    if (!g.n || bytes > (read ? r->in_len : r->out_len)) {
        r->overrun = g.n != 0;
        scsi_good(r);
        return;
    }
    r->moved = bytes;
    r->io = (struct block_request){.op = op,
                                   .fua = !read && g.fua,
                                   .offset = g.lba * d->logical,
                                   .len = bytes,
                                   .done = transfer_done,
                                   .opaque = r};
    r->io.niov = shorten(read ? r->in : r->out, read ? r->nin : r->nout, bytes, &r->iov);
    r->io.iov = r->iov;
    block_submit(d->drive, &r->io);
}

static void cmd_read(struct scsi_disk *d, struct scsi_request *r)
{
    transfer(d, r, true);
}

static void cmd_write(struct scsi_disk *d, struct scsi_request *r)
{
    transfer(d, r, false);
}

/* Without the blocks' bytes: they are read when they are wanted. */
static void cmd_verify(struct scsi_disk *d, struct scsi_request *r)
{
    struct range g = command_range(r->cdb);

    if (r->cdb[1] & 6) {
        scsi_check(r, SCSI_INVALID_FIELD);
    } else if (range_ok(d, r, &g, BLOCK_READ)) {
        scsi_good(r);
    }
}

static void cmd_sync(struct scsi_disk *d, struct scsi_request *r)
{
    r->io = (struct block_request){.op = BLOCK_FLUSH, .done = transfer_done, .opaque = r};
    block_submit(d->drive, &r->io);
}

/* ---- the rest ---- */

static void cmd_good(struct scsi_disk *d, struct scsi_request *r)
{
    (void)d;
    scsi_good(r);
}

static uint32_t no_medium(const struct scsi_disk *d)
{
    return SCSI_SENSE_OF(SENSE_NOT_READY, 0x3a, block_tray_open(d->drive) ? 2 : 1);
}

static void cmd_sense(struct scsi_disk *d, struct scsi_request *r)
{
    uint32_t sense = d->attention ? d->attention : block_inserted(d->drive) ? 0 : no_medium(d);
    uint8_t b[SCSI_SENSE] = {0x70, 0, (uint8_t)(sense >> 16), 0, 0, 0, 0, SCSI_SENSE - 8};

    b[12] = (uint8_t)(sense >> 8);
    b[13] = (uint8_t)sense;
    d->attention = 0;
    scsi_reply(r, b, sizeof(b), r->cdb[4]);
}

static void cmd_capacity10(struct scsi_disk *d, struct scsi_request *r)
{
    uint64_t last = scsi_disk_blocks(d) - 1;
    uint8_t b[8];

    scsi_put_be(b, last < UINT32_MAX ? last : UINT32_MAX, 4);
    scsi_put_be(b + 4, d->logical, 4);
    scsi_reply(r, b, sizeof(b), sizeof(b));
}

static void cmd_service_in(struct scsi_disk *d, struct scsi_request *r)
{
    uint8_t b[32] = {0};

    if ((r->cdb[1] & 31) != 0x10) {
        scsi_check(r, SCSI_INVALID_FIELD);
        return;
    }
    scsi_put_be(b, scsi_disk_blocks(d) - 1, 8);
    scsi_put_be(b + 8, d->logical, 4);
    for (uint32_t n = d->physical / d->logical; n > 1; n >>= 1) {
        b[13]++;
    }
    b[14] = d->cdrom ? 0 : 0x80; /* provisioning is managed */
    scsi_reply(r, b, sizeof(b), (uint32_t)scsi_be(r->cdb + 10, 4));
}

static void cmd_start_stop(struct scsi_disk *d, struct scsi_request *r)
{
    bool load_eject = r->cdb[4] & 2, start = r->cdb[4] & 1;

    if (load_eject && d->cdrom) {
        if (!start && d->locked && !block_tray_open(d->drive)) {
            scsi_check(r, block_inserted(d->drive) ? SCSI_SENSE_OF(SENSE_ILLEGAL, 0x53, 2)
                                                   : SCSI_SENSE_OF(SENSE_NOT_READY, 0x53, 2));
            return;
        }
        if (block_tray_open(d->drive) == start) {
            block_set_tray(d->drive, !start);
            if (start && block_inserted(d->drive)) {
                d->attention = SCSI_SENSE_OF(SENSE_ATTENTION, 0x28, 0);
            }
        }
    }
    scsi_good(r);
}

static void cmd_prevent(struct scsi_disk *d, struct scsi_request *r)
{
    d->locked = r->cdb[4] & 1;
    scsi_good(r);
}

static void cmd_mmc(struct scsi_disk *d, struct scsi_request *r)
{
    struct mmc_drive m = {.sectors = (uint32_t)scsi_disk_blocks(d),
                          .inserted = block_inserted(d->drive),
                          .tray_open = block_tray_open(d->drive),
                          .locked = d->locked,
                          .event = &d->event};
    uint8_t b[MMC_REPLY];
    uint32_t max;
    int len = mmc_reply(&m, r->cdb, b, &max);

    if (len < 0) {
        scsi_check(r, SCSI_SENSE_OF(SENSE_ILLEGAL, -len, 0));
    } else {
        scsi_reply(r, b, (uint32_t)len, max);
    }
}

enum {
    HD = 1,
    CD = 2,
    BOTH = 3,
    MEDIUM = 4,
    ANY_TIME = 8 /* a pending attention does not stop it */,
    CHANGES = 16
};

static const struct {
    uint8_t code, flags;
    void (*run)(struct scsi_disk *d, struct scsi_request *r);
} commands[] = {
    {0x00, BOTH | MEDIUM, cmd_good},
    {0x03, BOTH | ANY_TIME, cmd_sense},
    {0x08, BOTH | MEDIUM, cmd_read},
    {0x0a, HD | CHANGES, cmd_write},
    {0x12, BOTH | ANY_TIME, scsi_disk_inquiry},
    {0x15, HD, scsi_disk_mode_select},
    {0x1a, HD, scsi_disk_mode_sense},
    {0x1b, BOTH, cmd_start_stop},
    {0x1e, BOTH, cmd_prevent},
    {0x25, BOTH | MEDIUM, cmd_capacity10},
    {0x28, BOTH | MEDIUM, cmd_read},
    {0x2a, HD | CHANGES, cmd_write},
    {0x2b, BOTH | MEDIUM, cmd_good}, /* seek */
    {0x2f, HD, cmd_verify},
    {0x35, BOTH, cmd_sync},
    {0x41, HD | CHANGES, scsi_disk_write_same},
    {0x42, HD | CHANGES, scsi_disk_unmap},
    {0x43, CD | MEDIUM, cmd_mmc},
    {0x46, CD | ANY_TIME, cmd_mmc},
    {0x4a, CD | ANY_TIME, cmd_mmc},
    {0x51, CD | MEDIUM, cmd_mmc},
    {0x55, HD, scsi_disk_mode_select},
    {0x5a, HD, scsi_disk_mode_sense},
    {0x5a, CD, cmd_mmc},
    {0x88, BOTH | MEDIUM, cmd_read},
    {0x8a, HD | CHANGES, cmd_write},
    {0x8f, HD, cmd_verify},
    {0x91, HD, cmd_sync},
    {0x93, HD | CHANGES, scsi_disk_write_same},
    {0x9e, BOTH | MEDIUM, cmd_service_in},
    {0xa8, BOTH | MEDIUM, cmd_read},
    {0xaa, HD | CHANGES, cmd_write},
    {0xaf, HD, cmd_verify},
    {0xbb, CD, cmd_good}, /* set speed */
    {0xbd, CD, cmd_mmc},
};

static void execute(struct scsi_device *dev, struct scsi_request *r)
{
    struct scsi_disk *d = (struct scsi_disk *)dev;
    unsigned kind = d->cdrom ? CD : HD;

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        unsigned flags = commands[i].flags;
        if (commands[i].code != r->cdb[0] || !(flags & kind)) {
            continue;
        }
        if (d->attention && !(flags & ANY_TIME)) {
            uint32_t sense = d->attention;
            d->attention = 0;
            scsi_check(r, sense);
        } else if ((flags & MEDIUM) && !block_inserted(d->drive)) {
            scsi_check(r, no_medium(d));
        } else if ((flags & CHANGES) && block_readonly(d->drive)) {
            block_account_invalid(d->drive, BLOCK_WRITE);
            scsi_check(r, SCSI_SENSE_OF(SENSE_PROTECT, 0x27, 0));
        } else {
            commands[i].run(d, r);
        }
        return;
    }
    scsi_check(r, SCSI_SENSE_OF(SENSE_ILLEGAL, 0x20, 0));
}

/* ---- life ---- */

static void unit_reset(struct scsi_device *dev)
{
    struct scsi_disk *d = (struct scsi_disk *)dev;

    d->attention = SCSI_SENSE_OF(SENSE_ATTENTION, 0x29, 0);
    d->locked = false;
}

static void unit_drain(struct scsi_device *dev)
{
    block_drain(((struct scsi_disk *)dev)->drive);
}

static void disk_reset(struct device *dev)
{
    struct scsi_disk *d = (struct scsi_disk *)dev;

    unit_reset(&d->scsi);
    d->event = 0;
    if (!d->cdrom) {
        block_set_write_cache(d->drive, d->wce);
    }
}

static void tell(struct scsi_disk *d, uint8_t asc, uint8_t ascq)
{
    d->attention = SCSI_SENSE_OF(SENSE_ATTENTION, asc, ascq);
    if (d->scsi.bus->event) {
        d->scsi.bus->event(d->scsi.bus, &d->scsi, asc, ascq);
    }
}

static void resized(void *opaque)
{
    tell(opaque, 0x2a, 9); /* capacity data has changed */
}

static void medium(void *opaque, bool loaded)
{
    struct scsi_disk *d = opaque;

    d->event = loaded ? 2 : 3;
    tell(d, loaded ? 0x28 : 0x3a, 0);
}

static void eject_asked(void *opaque)
{
    ((struct scsi_disk *)opaque)->event = 1;
}

static bool is_locked(void *opaque)
{
    return ((struct scsi_disk *)opaque)->locked;
}

static bool size_ok(uint32_t n)
{
    return n >= 512 && n <= 32768 && (n & (n - 1)) == 0;
}

static bool realize(struct scsi_disk *d, struct error *err)
{
    struct device *dev = &d->scsi.dev;
    struct block_config empty = {.rerror = BLOCK_ERROR_REPORT};
    struct block_device back = {.id = device_path(dev), .removable = d->cdrom, .opaque = d};

    if (!d->drive && d->cdrom && dev->machine->blocks) {
        d->drive = block_create(dev->machine->blocks, &empty, NULL, err);
    }
    if (!d->drive) {
        return error_set(err, "%s: drive= is missing", dev->type->name);
    }
    if (!size_ok(d->logical) || !size_ok(d->physical) || d->physical < d->logical) {
        return error_set(
            err,
            "%s: logical_block_size=%u and physical_block_size=%u are not powers of 2 from 512 to "
            "32768, the second not smaller",
            dev->type->name, d->logical, d->physical);
    }
    if (!d->cdrom && !block_node_of(d->drive)) {
        return error_set(err, "%s: drive '%s' is empty", dev->type->name, block_id(d->drive));
    }
    back.resized = d->cdrom ? NULL : resized;
    back.medium = d->cdrom ? medium : NULL;
    back.eject_request = d->cdrom ? eject_asked : NULL;
    back.locked = d->cdrom ? is_locked : NULL;
    d->scsi.execute = execute;
    d->scsi.reset = unit_reset;
    d->scsi.drain = unit_drain;
    if (!scsi_attach(&d->scsi, err)) {
        return false;
    }
    if (!block_attach(d->drive, &back, err)) {
        return error_prefix(err, "%s", dev->type->name);
    }
    if (!device_prop_given(dev, "write-cache")) {
        d->wce = block_write_cache(d->drive);
    }
    return true;
}

static bool hd_realize(struct device *dev, struct error *err)
{
    return realize((struct scsi_disk *)dev, err);
}

static bool cd_realize(struct device *dev, struct error *err)
{
    struct scsi_disk *d = (struct scsi_disk *)dev;

    d->cdrom = true;
    d->logical = d->physical = 2048;
    return realize(d, err);
}

static char *boot_path(struct device *dev)
{
    const struct scsi_device *d = (struct scsi_device *)dev;
    const struct device *hba = d->bus->owner;
    char *base = hba->type->boot_path((struct device *)hba), *path;

    if (asprintf(&path, "%s/channel@0/disk@%x,%x", base, d->id, d->lun) < 0) {
        abort();
    }
    free(base);
    return path;
}

const struct device_type scsi_hd_type = {
    .name = "scsi-hd",
    .summary = "SCSI disk",
    .bus = BUS_SCSI,
    .size = sizeof(struct scsi_disk),
    .props = hd_props,
    .state = &disk_state,
    .realize = hd_realize,
    .reset = disk_reset,
    .boot_path = boot_path,
    .user_creatable = true,
};

const struct device_type scsi_cd_type = {
    .name = "scsi-cd",
    .summary = "SCSI CD-ROM drive",
    .bus = BUS_SCSI,
    .size = sizeof(struct scsi_disk),
    .props = cd_props,
    .state = &disk_state,
    .realize = cd_realize,
    .reset = disk_reset,
    .boot_path = boot_path,
    .user_creatable = true,
};
