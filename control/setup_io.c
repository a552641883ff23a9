/* Disk images of the command line. */
#include "control/setup.h"
#include "host/block.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block *setup_find_block(struct program *p, const char *id)
{
    for (unsigned i = 0; i < p->nblocks; i++) {
        if (!strcmp(block_id(p->blocks[i]), id)) {
            return p->blocks[i];
        }
    }
    return NULL;
}

struct drive {
    char *file, *id, *format, *iface;
    int index, bus, unit;
    bool cdrom, readonly, snapshot;
};

static bool number(const char *key, const char *value, int *out, struct error *err)
{
    char *end;
    long n = strtol(value ? value : "", &end, 10);

    if (!value || !*value || *end || n < 0 || n > 3) {
        return error_set(err, "%s=%s is not a number from 0 to 3", key, value ? value : "");
    }
    *out = (int)n;
    return true;
}

static bool drive_pair(void *opaque, const char *key, const char *value, struct error *err)
{
    struct drive *d = opaque;
    struct {
        const char *name;
        char **field;
    } texts[] = {{"file", &d->file}, {"id", &d->id}, {"format", &d->format}, {"if", &d->iface}};
    struct {
        const char *name;
        bool *field;
    } flags[] = {{"readonly", &d->readonly}, {"read-only", &d->readonly}, {"snapshot", &d->snapshot}};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!strcmp(key, texts[i].name)) {
            free(*texts[i].field);
            *texts[i].field = strdup(value ? value : "");
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (!strcmp(key, flags[i].name)) {
            return opt_bool(value, flags[i].field) ||
                   error_set(err, "%s=%s is neither on nor off", key, value);
        }
    }
    if (!strcmp(key, "index")) {
        return number(key, value, &d->index, err);
    }
    if (!strcmp(key, "bus")) {
        return number(key, value, &d->bus, err);
    }
    if (!strcmp(key, "unit")) {
        return number(key, value, &d->unit, err);
    }
    if (!strcmp(key, "media")) {
        d->cdrom = value && !strcmp(value, "cdrom");
        return d->cdrom || (value && !strcmp(value, "disk")) ||
               error_set(err, "media=%s is neither disk nor cdrom", value ? value : "");
    }
    if (!strcmp(key, "cache")) {
        return true; /* every mode is as safe as 'writeback': flushes reach the host's disk */
    }
    return error_set(err, "unknown property '%s'", key);
}

static bool place_ide(struct program *p, struct drive *d, struct block *b, struct error *err)
{
    int n = d->index;

    if (d->bus >= 0 || d->unit >= 0) {
        n = 2 * (d->bus > 0 ? d->bus : 0) + (d->unit > 0 ? d->unit : 0);
    }
    for (int i = 0; n < 0 && i < 4; i++) {
        if (!p->cfg.ide[i]) {
            n = i;
        }
    }
    if (n < 0 || n > 3) {
        return error_set(err, "there are four IDE drives at most");
    }
    if (p->cfg.ide[n]) {
        return error_set(err, "IDE drive %d is taken by '%s'", n, block_id(p->cfg.ide[n]));
    }
    p->cfg.ide[n] = b;
    p->cfg.ide_cdrom[n] = d->cdrom;
    return true;
}

static bool open_drive(struct program *p, struct drive *d, unsigned number, struct error *err)
{
    char id[32];
    bool virtio = d->iface && !strcmp(d->iface, "virtio");

    if (!d->file || !*d->file) {
        return error_set(err, "file= is missing");
    }
    if (d->iface && strcmp(d->iface, "ide") && strcmp(d->iface, "none") && !virtio) {
        return error_set(err, "if=%s: only ide, virtio and none exist in this version", d->iface);
    }
    if (virtio && d->cdrom) {
        return error_set(err, "if=virtio: a CD-ROM drive needs if=ide");
    }
    snprintf(id, sizeof(id), "drive%u", number);
    if (setup_find_block(p, d->id ? d->id : id)) {
        return error_set(err, "there is already a drive '%s'", d->id ? d->id : id);
    }
    struct block_options o = {
        .id = d->id ? d->id : id,
        .file = d->file,
        .format = d->format,
        .readonly = d->readonly || d->cdrom,
        .snapshot = (d->snapshot || p->opt.snapshot) && !d->readonly && !d->cdrom,
    };
    if (p->nblocks >= SETUP_BLOCKS) {
        return error_set(err, "more than %d drives", SETUP_BLOCKS);
    }
    struct block *b = block_open(p->loop, &o, err);
    if (!b) {
        return false;
    }
    p->blocks[p->nblocks++] = b;
    if (virtio) {
        p->virtio_drives[p->nvirtio_drives++] = b;
        return true;
    }
    return (d->iface && !strcmp(d->iface, "none")) || place_ide(p, d, b, err);
}

bool setup_drives(struct program *p, struct error *err)
{
    for (unsigned i = 0; i < p->opt.drives.n; i++) {
        struct drive d = {.index = -1, .bus = -1, .unit = -1};
        const char *text = p->opt.drives.item[i];
        bool ok = opt_foreach(text, "file", drive_pair, &d, err) && open_drive(p, &d, i, err);
        free(d.file);
        free(d.id);
        free(d.format);
        free(d.iface);
        if (!ok) {
            return error_prefix(err, "-drive %s", text);
        }
    }
    return true;
}
