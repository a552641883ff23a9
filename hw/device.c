/* Devices of a machine: making, realizing, resetting and freeing them, and the slots of its buses.
 */
#include "hw/device.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct devices {
    struct device *first, **tail; /* in creation order */
    void *slot[NSLOTS];
    void (*slot_destroy[NSLOTS])(void *bus);
};

static struct devices *devices_of(struct machine *m)
{
    if (!m->devices) {
        m->devices = calloc(1, sizeof(*m->devices));
        if (!m->devices) {
            abort();
        }
        m->devices->tail = &m->devices->first;
    }
    return m->devices;
}

void *device_slot(struct machine *m, enum device_slot slot)
{
    return m->devices ? m->devices->slot[slot] : NULL;
}

void device_slot_set(struct machine *m, enum device_slot slot, void *bus,
                     void (*destroy)(void *bus))
{
    struct devices *ds = devices_of(m);

    ds->slot[slot] = bus;
    ds->slot_destroy[slot] = destroy;
}

static void set_default(struct device *d, const struct property *p)
{
    char *field = (char *)d + p->offset;

    switch (p->type) {
    case PT_BOOL:
        *(bool *)field = p->def != 0;
        break;
    case PT_U8:
        *(uint8_t *)field = (uint8_t)p->def;
        break;
    case PT_U16:
        *(uint16_t *)field = (uint16_t)p->def;
        break;
    case PT_U32:
        *(uint32_t *)field = (uint32_t)p->def;
        break;
    case PT_U64:
    case PT_SIZE:
        *(uint64_t *)field = p->def;
        break;
    case PT_STRING:
    case PT_CHARDEV:
    case PT_DRIVE:
    case PT_NETDEV:
    case PT_END:
        break; /* NULL already */
    }
}

struct device *device_create(struct machine *m, const struct device_type *type, const char *id)
{
    struct devices *ds = devices_of(m);
    struct device *d = calloc(1, type->size);

    if (!d) {
        abort();
    }
    d->type = type;
    d->machine = m;
    d->id = id ? strdup(id) : NULL;
    for (const struct property *p = type->props; p && p->type != PT_END; p++) {
        set_default(d, p);
    }
    *ds->tail = d;
    ds->tail = &d->next;
    return d;
}

bool device_realize(struct device *d, struct error *err)
{
    if (d->type->realize && !d->type->realize(d, err)) {
        return false;
    }
    d->realized = true;
    if (d->type->reset) {
        d->type->reset(d);
    }
    return true;
}

struct device *device_make(struct machine *m, const struct device_type *type, struct error *err,
                           ...)
{
    struct device *d = device_create(m, type, NULL);
    const char *pair;
    va_list ap;
    bool ok = true;

    va_start(ap, err);
    while (ok && (pair = va_arg(ap, const char *))) {
        const char *eq = strchr(pair, '=');
        char *name = strndup(pair, eq ? (size_t)(eq - pair) : strlen(pair));
        ok = device_set(d, name, eq ? eq + 1 : "on", err);
        free(name);
    }
    va_end(ap);
    return ok && device_realize(d, err) ? d : NULL;
}

void devices_reset(struct machine *m)
{
    for (struct device *d = m->devices ? m->devices->first : NULL; d; d = d->next) {
        if (d->realized && d->type->reset) {
            d->type->reset(d);
        }
    }
}

/* The clock must not keep pointers into freed devices. */
static void cancel_timers(const struct state_field *f, char *obj)
{
    for (; f && f->type != ST_END; f++) {
        if (f->type == ST_TIMER) {
            struct timer *t = (struct timer *)(obj + f->offset);
            if (t->clock) {
                timer_cancel(t);
            }
        } else if (f->type == ST_STRUCT) {
            for (uint32_t i = 0; i < f->count; i++) {
                cancel_timers(f->fields, obj + f->offset + (size_t)i * f->elem_size);
            }
        }
    }
}

static void free_device(struct device *d)
{
    if (d->type->state) {
        cancel_timers(d->type->state->fields, (char *)d);
    }
    if (d->realized && d->type->destroy) {
        d->type->destroy(d);
    }
    for (const struct property *p = d->type->props; p && p->type != PT_END; p++) {
        if (p->type == PT_STRING) {
            free(*(char **)((char *)d + p->offset));
        }
    }
    free(d->id);
    free(d->path);
    free(d);
}

static void free_reversed(struct device *d)
{
    struct device *reversed = NULL;

    while (d) {
        struct device *next = d->next;
        d->next = reversed;
        reversed = d;
        d = next;
    }
    while (reversed) {
        d = reversed;
        reversed = d->next;
        free_device(d);
    }
}

void devices_destroy(struct machine *m)
{
    struct devices *ds = m->devices;

    if (!ds) {
        return;
    }
    free_reversed(ds->first);
    for (int i = 0; i < NSLOTS; i++) {
        if (ds->slot[i] && ds->slot_destroy[i]) {
            ds->slot_destroy[i](ds->slot[i]);
        }
    }
    free(ds);
    m->devices = NULL;
}

const char *device_path(struct device *d)
{
    if (!d->path && asprintf(&d->path, "/machine/%s/%s", d->id ? "peripheral" : "unattached",
                             d->id ? d->id : d->type->name) < 0) {
        abort();
    }
    return d->path;
}

struct device *device_find(struct machine *m, const char *id)
{
    for (struct device *d = m->devices ? m->devices->first : NULL; d; d = d->next) {
        if (d->id && !strcmp(d->id, id)) {
            return d;
        }
    }
    return NULL;
}

struct device *device_find_type(struct machine *m, const struct device_type *type)
{
    for (struct device *d = m->devices ? m->devices->first : NULL; d; d = d->next) {
        if (d->type == type) {
            return d;
        }
    }
    return NULL;
}

void device_foreach(struct machine *m, void (*fn)(struct device *d, void *opaque), void *opaque)
{
    struct device *next;

    for (struct device *d = m->devices ? m->devices->first : NULL; d; d = next) {
        next = d->next;
        fn(d, opaque);
    }
}
