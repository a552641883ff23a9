/* Disk images of the command line: -drive (and -hda, -cdrom ...) and -blockdev. */
#include "control/qmp_block.h"
#include "control/setup.h"
#include "host/block.h"
#include "host/block_node.h"
#include "host/id.h"
#include "host/mainloop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct drive {
    char *file, *id, *format, *iface;
    int index, bus, unit;
    bool cdrom, readonly, snapshot;
    struct block_config config;
    struct node_flags flags;
    json_t *extra; /* options of the format and its file */
};

static bool number(const char *key, const char *value, int *out, struct error *err)
{
    char *end;
    long n = strtol(value ? value : "", &end, 10);

    if (!value || !*value || *end || n < 0 || n > 31) {
        return error_set(err, "%s=%s is not a number from 0 to 31", key, value ? value : "");
    }
    *out = (int)n;
    return true;
}

static bool on_off(const char *key, const char *value, bool *out, struct error *err)
{
    return opt_bool(value, out) || error_set(err, "%s=%s is neither on nor off", key, value);
}

/* ---- one function a property ---- */

static bool set_cache(struct drive *d, const char *key, const char *v, struct error *err)
{
    static const struct {
        const char *name;
        bool through, direct, no_flush;
    } modes[] = {{"writeback", false, false, false}, {"writethrough", true, false, false},
                 {"none", false, true, false},       {"off", false, true, false},
                 {"directsync", true, true, false},  {"unsafe", false, false, true}};

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (!strcmp(v, modes[i].name)) {
            d->config.write_through = modes[i].through;
            d->flags.direct = modes[i].direct;
            d->flags.no_flush = modes[i].no_flush;
            return true;
        }
    }
    return error_set(err, "%s=%s is none of writeback, writethrough, none, directsync and unsafe",
                     key, v);
}

static bool set_on_error(struct drive *d, const char *key, const char *v, struct error *err)
{
    static const char *const names[] = {"report", "ignore", "stop", "enospc"};
    bool write = key[0] == 'w';

    for (unsigned i = 0; i < (write ? 4u : 3u); i++) {
        if (!strcmp(v, names[i])) {
            *(write ? &d->config.werror : &d->config.rerror) = (enum block_on_error)i;
            return true;
        }
    }
    return error_set(err, "%s=%s is none of report, ignore%s", key, v,
                     write ? ", stop and enospc" : " and stop");
}

static bool set_discard(struct drive *d, const char *key, const char *v, struct error *err)
{
    d->flags.unmap = !strcmp(v, "unmap") || !strcmp(v, "on");
    return d->flags.unmap || !strcmp(v, "ignore") || !strcmp(v, "off") ||
           error_set(err, "%s=%s is neither ignore nor unmap", key, v);
}

static bool set_detect(struct drive *d, const char *key, const char *v, struct error *err)
{
    d->flags.detect = !strcmp(v, "unmap") ? DETECT_UNMAP
                      : !strcmp(v, "on")  ? DETECT_ON
                                          : DETECT_OFF;
    return d->flags.detect != DETECT_OFF || !strcmp(v, "off") ||
           error_set(err, "%s=%s is none of off, on and unmap", key, v);
}

static bool set_media(struct drive *d, const char *key, const char *v, struct error *err)
{
    d->cdrom = !strcmp(v, "cdrom");
    return d->cdrom || !strcmp(v, "disk") ||
           error_set(err, "%s=%s is neither disk nor cdrom", key, v);
}

static bool set_number(struct drive *d, const char *key, const char *v, struct error *err)
{
    return number(key, v,
                  !strcmp(key, "index") ? &d->index
                  : !strcmp(key, "bus") ? &d->bus
                                        : &d->unit,
                  err);
}

static bool set_aio(struct drive *d, const char *key, const char *v, struct error *err)
{
    (void)key;
    (void)err;
    json_object_set_new(d->extra, "file.aio", json_string(v));
    return true;
}

static bool set_copy_on_read(struct drive *d, const char *key, const char *v, struct error *err)
{
    bool on = false;

    (void)d;
    return on_off(key, v, &on, err) &&
           (!on || error_set(err, "%s: there is no copy-on-read in this version", key));
}

static bool set_direct(struct drive *d, const char *key, const char *v, struct error *err)
{
    return on_off(key, v, !strcmp(key, "cache.direct") ? &d->flags.direct : &d->flags.no_flush,
                  err);
}

static bool set_cache_wb(struct drive *d, const char *key, const char *v, struct error *err)
{
    bool back = true;

    if (!on_off(key, v, &back, err)) {
        return false;
    }
    d->config.write_through = !back;
    return true;
}

static const struct {
    const char *name;
    bool (*set)(struct drive *d, const char *key, const char *value, struct error *err);
} drive_props[] = {
    {"cache", set_cache},
    {"cache.direct", set_direct},
    {"cache.no-flush", set_direct},
    {"cache.writeback", set_cache_wb},
    {"werror", set_on_error},
    {"rerror", set_on_error},
    {"discard", set_discard},
    {"detect-zeroes", set_detect},
    {"media", set_media},
    {"index", set_number},
    {"bus", set_number},
    {"unit", set_number},
    {"aio", set_aio},
    {"copy-on-read", set_copy_on_read},
};

/* throttling.bps-total, throttling.iops-read-max ...; and QEMU's short forms bps, iops_rd_max ...
 */
static uint64_t *throttle_field(struct block_throttle *t, const char *key)
{
    static const char *const kinds[2][3] = {{"-total", "-read", "-write"}, {"", "_rd", "_wr"}};
    bool longs = !strncmp(key, "throttling.", 11), iops;
    char name[32];

    key += longs ? 11 : 0;
    if (!strcmp(key, longs ? "iops-size" : "iops_size")) {
        return &t->iops_size;
    }
    iops = !strncmp(key, "iops", 4);
    if (!iops && strncmp(key, "bps", 3)) {
        return NULL;
    }
    for (unsigned i = 0; i < 6; i++) {
        snprintf(name, sizeof(name), "%s%s%s", iops ? "iops" : "bps", kinds[!longs][i % 3],
                 i < 3   ? ""
                 : longs ? "-max"
                         : "_max");
        if (!strcmp(key, name)) {
            return i < 3 ? &(iops ? t->iops : t->bps)[i]
                         : &(iops ? t->iops_max : t->bps_max)[i - 3];
        }
    }
    return NULL;
}

static bool drive_pair(void *opaque, const char *key, const char *value, struct error *err)
{
    struct drive *d = opaque;
    struct {
        const char *name;
        char **field;
    } texts[] = {{"file", &d->file},
                 {"id", &d->id},
                 {"format", &d->format},
                 {"driver", &d->format},
                 {"if", &d->iface}};
    struct {
        const char *name;
        bool *field;
    } flags[] = {
        {"readonly", &d->readonly}, {"read-only", &d->readonly}, {"snapshot", &d->snapshot}};
    const char *v = value ? value : "";

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!strcmp(key, texts[i].name)) {
            free(*texts[i].field);
            *texts[i].field = strdup(v);
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (!strcmp(key, flags[i].name)) {
            return on_off(key, value, flags[i].field, err);
        }
    }
    for (size_t i = 0; i < sizeof(drive_props) / sizeof(drive_props[0]); i++) {
        if (!strcmp(key, drive_props[i].name)) {
            return drive_props[i].set(d, key, value ? value : "on", err);
        }
    }
    uint64_t *limit = throttle_field(&d->config.throttle, key);
    if (limit) {
        return opt_size(v, 1, limit) || error_set(err, "%s=%s is not a number", key, v);
    }
    json_object_set_new(d->extra, key,
                        json_string(value ? value : "on")); /* its driver may know it */
    return true;
}

/* ---- places ---- */

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

static bool place_virtio(struct program *p, struct drive *d, struct block *b, struct error *err)
{
    if (d->cdrom) {
        return error_set(err, "if=virtio: a CD-ROM drive needs if=ide or if=scsi");
    }
    if (p->nvirtio_drives >= SETUP_BLOCKS) {
        return error_set(err, "more than %d drives", SETUP_BLOCKS);
    }
    p->virtio_drives[p->nvirtio_drives++] = b;
    return true;
}

static bool place_scsi(struct program *p, struct drive *d, struct block *b, struct error *err)
{
    if (p->nscsi_drives >= SETUP_BLOCKS) {
        return error_set(err, "more than %d drives", SETUP_BLOCKS);
    }
    p->scsi_cdrom[p->nscsi_drives] = d->cdrom;
    p->scsi_drives[p->nscsi_drives++] = b;
    return true;
}

static bool place_floppy(struct program *p, struct drive *d, struct block *b, struct error *err)
{
    int n = d->index >= 0 ? d->index : d->unit >= 0 ? d->unit : p->cfg.floppy[0] != NULL;

    if (d->cdrom) {
        return error_set(err, "if=floppy: a CD-ROM drive needs if=ide or if=scsi");
    }
    if (n > 1) {
        return error_set(err, "there are two floppy drives at most");
    }
    if (p->cfg.floppy[n]) {
        return error_set(err, "floppy drive %d is taken by '%s'", n, block_id(p->cfg.floppy[n]));
    }
    p->cfg.floppy[n] = b;
    return true;
}

static bool place_none(struct program *p, struct drive *d, struct block *b, struct error *err)
{
    (void)p;
    (void)d;
    (void)b;
    (void)err;
    return true;
}

/* id: the default names of QEMU. */
static const struct interface {
    const char *name, *id;
    bool (*place)(struct program *p, struct drive *d, struct block *b, struct error *err);
} interfaces[] = {
    {"ide", "ide", place_ide},    {"virtio", "virtio", place_virtio},
    {"scsi", "scsi", place_scsi}, {"floppy", "floppy", place_floppy},
    {"none", "none", place_none},
};

static const struct interface *find_interface(const char *name)
{
    for (size_t i = 0; i < sizeof(interfaces) / sizeof(interfaces[0]); i++) {
        if (!strcmp(name, interfaces[i].name)) {
            return &interfaces[i];
        }
    }
    return NULL;
}

/* ---- -drive ---- */

static void warn_probed(const struct block_node *n)
{
    if (n->probed && n->driver == &node_driver_raw && !n->flags.readonly) {
        fprintf(stderr,
                "dragoman: image '%s' was found to be raw because its format was not given; writes "
                "to its first sector "
                "that would change that are refused (format=raw allows them)\n",
                n->filename);
    }
}

static bool open_node(struct program *p, struct drive *d, struct block_node **out,
                      struct error *err)
{
    bool readonly = d->readonly || d->cdrom,
         snapshot = (d->snapshot || p->opt.snapshot) && !readonly;
    struct node_flags f = d->flags;
    json_t *ref = json_object_get(d->extra, "file.driver");

    *out = NULL;
    if (!d->file && !ref) {
        bool removable =
            d->cdrom || (d->iface && (!strcmp(d->iface, "none") || !strcmp(d->iface, "floppy")));
        if (!removable) {
            return error_set(err, "file= is missing");
        }
        return true;
    }
    if (d->file && !*d->file) {
        return error_set(err, "file= is missing");
    }
    f.readonly = readonly || snapshot;
    if (snapshot) {
        f.unmap = false;
        f.detect = DETECT_OFF;
    }
    if (d->file) {
        *out = node_open_file(p->blocks, d->file, d->format, &f, d->extra, err);
    } else {
        if (d->format) {
            json_object_set_new(d->extra, "driver", json_string(d->format));
        }
        *out = node_open(p->blocks, d->extra, &f, err);
    }
    if (*out && !atomic_load(&(*out)->size)) {
        error_set(err, "image '%s' is empty", (*out)->filename);
        node_unref(*out);
        return false;
    }
    if (*out) {
        warn_probed(*out);
    }
    if (*out && snapshot) {
        *out = node_open_overlay(p->blocks, *out, err);
    }
    return *out != NULL;
}

static bool open_drive(struct program *p, struct drive *d, unsigned number, struct error *err)
{
    char id[32];
    const struct interface *i = find_interface(d->iface ? d->iface : "ide");
    struct block_node *n;

    if (!i) {
        return error_set(
            err, "if=%s: only ide, scsi, floppy, virtio and none exist in this version", d->iface);
    }
    if (d->id && !id_check("id", d->id, err)) {
        return false;
    }
    if (d->flags.detect == DETECT_UNMAP && !d->flags.unmap) {
        return error_set(err, "detect-zeroes=unmap needs discard=unmap");
    }
    snprintf(id, sizeof(id), "%s%u", i->id, number);
    d->config.id = d->id ? d->id : id;
    if (!open_node(p, d, &n, err)) {
        return false;
    }
    struct block *b = block_create(p->blocks, &d->config, n, err);
    node_unref(n);
    return b && i->place(p, d, b, err);
}

/* shown: what the person wrote. */
static bool make_drive(struct program *p, const char *text, const char *shown, unsigned number,
                       struct error *err)
{
    struct drive d = {.index = -1,
                      .bus = -1,
                      .unit = -1,
                      .config.werror = BLOCK_ERROR_ENOSPC,
                      .extra = json_object()};
    bool ok = opt_foreach(text, "file", drive_pair, &d, err) && open_drive(p, &d, number, err);

    free(d.file);
    free(d.id);
    free(d.format);
    free(d.iface);
    json_decref(d.extra);
    return ok || error_prefix(err, "%s", shown);
}

/* ---- -blockdev ---- */

static bool add_text(void *opaque, const char *key, const char *value, struct error *err)
{
    (void)err;
    return json_object_set_new(opaque, key, json_string(value ? value : "on")) == 0 ||
           error_set(err, "'%s' is not text", key);
}

struct block_node *setup_add_node(struct program *p, json_t *options, struct error *err)
{
    struct block_node *n;

    if (!json_object_get(options, "node-name")) {
        error_set(err, "'node-name' must be specified for the root node");
        return NULL;
    }
    if (!json_object_get(options, "driver")) {
        error_set(err, "'driver' is missing");
        return NULL;
    }
    n = node_open(p->blocks, options, NULL, err);
    if (n) {
        n->named = true;
    }
    return n;
}

static bool make_blockdev(struct program *p, const char *text, struct error *err)
{
    json_error_t e;
    json_t *o = text[0] == '{' ? json_loads(text, 0, &e) : json_object();
    bool ok;

    if (!json_is_object(o)) {
        ok = error_set(err, "not JSON: %s", e.text);
    } else {
        ok = (text[0] == '{' || opt_foreach(text, "driver", add_text, o, err)) &&
             setup_add_node(p, o, err);
    }
    json_decref(o);
    return ok || error_prefix(err, "-blockdev %s", text);
}

/* ---- all ---- */

struct block *setup_find_block(struct program *p, const char *id)
{
    struct block *b = block_find(p->blocks, id);
    struct block_node *n = b ? NULL : node_find(p->blocks, id);
    struct block_config none = {.werror = BLOCK_ERROR_ENOSPC};

    if (n) {
        b = block_of_node(p->blocks, n);
    }
    return b || !n ? b : block_create(p->blocks, &none, n, NULL);
}

bool setup_drives(struct program *p, struct error *err)
{
    struct block_config cd = {.id = "ide1-cd0"};

    p->blocks = block_graph_create(p->loop);
    p->machine->blocks = p->blocks;
    block_graph_on_event(p->blocks, qmp_block_event, p);
    for (unsigned i = 0; i < p->opt.blockdevs.n; i++) {
        if (!make_blockdev(p, p->opt.blockdevs.item[i], err)) {
            return false;
        }
    }
    for (unsigned i = 0; i < p->opt.drives.n; i++) {
        if (!make_drive(p, p->opt.drives.item[i], p->opt.shown_drives.item[i], i, err)) {
            return false;
        }
    }
    if (!p->opt.nodefaults && !p->cfg.ide[2]) { /* a PC has a CD-ROM drive */
        bool wanted = true;
        for (unsigned i = 0; i < p->opt.devices.n; i++) {
            wanted &= strncmp(p->opt.devices.item[i], "ide-cd", 6) != 0;
        }
        p->cfg.ide[2] = wanted ? block_create(p->blocks, &cd, NULL, err) : NULL;
        p->cfg.ide_cdrom[2] = wanted;
        return !wanted || p->cfg.ide[2];
    }
    return true;
}
