/* ide-hd and ide-cd: drives at a channel of the IDE controller or a port of an AHCI controller.
 * What they do is in ide.c and atapi.c, the state of their registers in the controller's table. */
#include "hw/ide/ahci.h"
#include "hw/ide/ide.h"
#include "hw/ide/piix3_ide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ide_disk {
    struct device dev;
    struct block *drive;
    char *bus, *serial, *model, *ver;
    uint64_t wwn;
    uint32_t unit, bootindex, logical, physical;
    bool write_cache;
    struct ide_drive *ide;
};

enum { UNIT_ANY = 0xffffffff };

#define COMMON_PROPS                                                                               \
    PROP_DRIVE(struct ide_disk, drive, "the -drive or node"),                                      \
        PROP_STRING(                                                                               \
            struct ide_disk, bus,                                                                  \
            "ide.0 (ports 1f0), ide.1 (ports 170), or ID.N: port N of an AHCI controller"),        \
        PROP_U32(struct ide_disk, unit, UNIT_ANY,                                                  \
                 "0: master, 1: slave (default: the first free one)"),                             \
        PROP_STRING(struct ide_disk, serial, "serial number, 20 characters"),                      \
        PROP_STRING(struct ide_disk, model, "name of the model, 40 characters"),                   \
        PROP_STRING(struct ide_disk, ver, "version of the firmware, 8 characters"),                \
        PROP_U64(struct ide_disk, wwn, 0, "world wide name; 0: none"),                             \
        PROP_U32(struct ide_disk, bootindex, UINT32_MAX,                                           \
                 "place among the devices to boot from, lowest first")

static const struct property hd_props[] = {
    COMMON_PROPS,
    {"logical_block_size", PT_U32, offsetof(struct ide_disk, logical), 512,
     "bytes of a sector: 512"},
    {"physical_block_size", PT_U32, offsetof(struct ide_disk, physical), 512,
     "bytes that are best written together"},
    {"write-cache", PT_BOOL, offsetof(struct ide_disk, write_cache), 1,
     "there is a cache that has to be flushed (default: as the drive's cache= says)"},
    PROP_END,
};
static const struct property cd_props[] = {COMMON_PROPS, PROP_END};

/* The state of a drive is its channel's. */
static const struct state_field disk_fields[] = {STATE_END};
static const struct state_table disk_state = {1, disk_fields, NULL};

/* bus=ID.N of an AHCI controller; NULL: it is not one. */
static struct ide_channel *ahci_place(const struct ide_disk *d)
{
    const char *dot = d->bus ? strrchr(d->bus, '.') : NULL;
    char *end, *id = dot ? strndup(d->bus, (size_t)(dot - d->bus)) : NULL;
    struct device *dev = id ? device_find(d->dev.machine, id) : NULL;
    unsigned long n = dot ? strtoul(dot + 1, &end, 10) : 0;

    free(id);
    return dev && dev->type == &ahci_type && !*end && dot[1] ? ahci_channel(dev, n) : NULL;
}

/* The channel and unit that bus= and unit= name, or the first place that is free. */
static bool find_place(struct ide_disk *d, struct ide_channel **c, unsigned *unit,
                       struct error *err)
{
    *c = ahci_place(d);
    if (*c) {
        *unit = 0;
        return d->unit == UNIT_ANY || d->unit == 0 ||
               error_set(err, "%s: unit=%u: an AHCI port has one drive, unit 0", d->dev.type->name,
                         d->unit);
    }
    for (unsigned n = 0; n < 2; n++) {
        char name[8];
        snprintf(name, sizeof(name), "ide.%u", n);
        if (d->bus && strcmp(d->bus, name)) {
            continue;
        }
        *c = piix3_ide_channel(d->dev.machine, n);
        if (!*c) {
            return error_set(err, "%s: this machine has no IDE controller", d->dev.type->name);
        }
        for (*unit = 0; *unit < 2; ++*unit) {
            if (d->unit == UNIT_ANY ? !(*c)->drive[*unit].present : *unit == d->unit) {
                return true;
            }
        }
    }
    if (d->bus && strcmp(d->bus, "ide.0") && strcmp(d->bus, "ide.1")) {
        return error_set(
            err, "%s: there is no bus '%s' (known: ide.0, ide.1, and ID.0 to ID.5 of an ahci)",
            d->dev.type->name, d->bus);
    }
    return d->unit == UNIT_ANY
               ? error_set(err, "%s: there is no free place at the IDE controller",
                           d->dev.type->name)
               : error_set(err, "%s: unit=%u is neither 0 nor 1", d->dev.type->name, d->unit);
}

static bool realize(struct device *dev, bool cdrom, struct error *err)
{
    struct ide_disk *d = container_of(dev, struct ide_disk, dev);
    struct block_config empty = {.rerror = BLOCK_ERROR_REPORT};
    struct ide_channel *c = NULL;
    unsigned unit;

    if (!d->drive && !cdrom) {
        return error_set(err, "%s: drive= is missing", dev->type->name);
    }
    if (!cdrom && d->logical != IDE_SECTOR) {
        return error_set(err, "%s: logical_block_size=%u: IDE disks have sectors of 512 bytes",
                         dev->type->name, d->logical);
    }
    if (!find_place(d, &c, &unit, err)) {
        return false;
    }
    if (!d->drive) {
        d->drive =
            dev->machine->blocks ? block_create(dev->machine->blocks, &empty, NULL, err) : NULL;
        if (!d->drive) {
            return error_set(err, "%s: drive= is missing", dev->type->name);
        }
    }
    if (!cdrom && device_prop_given(dev, "write-cache")) {
        block_set_write_cache(d->drive, d->write_cache);
    }
    if (!ide_attach(c, unit, d->drive, cdrom, dev, err)) {
        return error_prefix(err, "%s", dev->type->name);
    }
    d->ide = &c->drive[unit];
    ide_set_identity(d->ide, d->serial, d->model, d->ver, d->wwn);
    if (c->sata) {
        ahci_drive_plugged(c);
    }
    return true;
}

static char *disk_boot_path(struct device *dev)
{
    const struct ide_disk *d = container_of(dev, struct ide_disk, dev);
    const struct ide_channel *c = d->ide->channel;
    char *path;

    if (c->sata) {
        return ahci_boot_path(c);
    }
    if (asprintf(&path, "/pci@i0cf8/ide@1,1/drive@%d/disk@%d",
                 c != piix3_ide_channel(dev->machine, 0), d->ide != &c->drive[0]) < 0) {
        abort();
    }
    return path;
}

static bool hd_realize(struct device *dev, struct error *err)
{
    return realize(dev, false, err);
}

static bool cd_realize(struct device *dev, struct error *err)
{
    return realize(dev, true, err);
}

const struct device_type ide_hd_type = {
    .name = "ide-hd",
    .summary = "IDE disk",
    .bus = BUS_IDE,
    .size = sizeof(struct ide_disk),
    .props = hd_props,
    .state = &disk_state,
    .realize = hd_realize,
    .boot_path = disk_boot_path,
    .user_creatable = true,
};

const struct device_type ide_cd_type = {
    .name = "ide-cd",
    .summary = "IDE CD-ROM drive",
    .bus = BUS_IDE,
    .size = sizeof(struct ide_disk),
    .props = cd_props,
    .state = &disk_state,
    .realize = cd_realize,
    .boot_path = disk_boot_path,
    .user_creatable = true,
};
