/* Devices: const type descriptors, properties, state tables, buses and interrupt lines.
 *
 * A device is one file: state struct (first member struct device), state table, register read,
 * register write, timers/DMA, realize. It is listed in hw/registry.c. Everything here is called
 * with the machine lock held (or before the machine runs). */
#ifndef HW_DEVICE_H
#define HW_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"
#include "host/log.h"
#include "softmmu/clock.h"
#include "softmmu/machine.h"
#include "softmmu/memory.h"
#include "softmmu/state.h"

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

enum bus_kind { BUS_NONE, BUS_ISA, BUS_PCI, BUS_IDE, BUS_SCSI, BUS_SYSTEM };

/* ---- interrupt lines: a function and a number ---- */
struct irq {
    void (*set)(void *opaque, int n, int level);
    void *opaque;
    int n;
};
static inline void irq_set(const struct irq *irq, int level)
{
    if (irq && irq->set) {
        irq->set(irq->opaque, irq->n, level);
    }
}
static inline void irq_pulse(const struct irq *irq)
{
    irq_set(irq, 1);
    irq_set(irq, 0);
}

/* ---- properties: options of -device NAME,prop=value ---- */
enum prop_type {
    PT_END,
    PT_BOOL,
    PT_U8,
    PT_U16,
    PT_U32,
    PT_U64,
    PT_SIZE,
    PT_STRING,
    PT_CHARDEV,
    PT_DRIVE,
    PT_NETDEV
};
struct property {
    const char *name;
    enum prop_type type;
    size_t offset;
    uint64_t def; /* default for the numbers */
    const char *help;
};
#define PROP_BOOL(st, f, d, h)                                                                     \
    {                                                                                              \
#f, PT_BOOL, offsetof(st, f), d, h                                                         \
    }
#define PROP_U8(st, f, d, h)                                                                       \
    {                                                                                              \
#f, PT_U8, offsetof(st, f), d, h                                                           \
    }
#define PROP_U16(st, f, d, h)                                                                      \
    {                                                                                              \
#f, PT_U16, offsetof(st, f), d, h                                                          \
    }
#define PROP_U32(st, f, d, h)                                                                      \
    {                                                                                              \
#f, PT_U32, offsetof(st, f), d, h                                                          \
    }
#define PROP_U64(st, f, d, h)                                                                      \
    {                                                                                              \
#f, PT_U64, offsetof(st, f), d, h                                                          \
    }
#define PROP_STRING(st, f, h)                                                                      \
    {                                                                                              \
#f, PT_STRING, offsetof(st, f), 0, h                                                       \
    } /* char *, owned by the device */
#define PROP_CHARDEV(st, f, h)                                                                     \
    {                                                                                              \
#f, PT_CHARDEV, offsetof(st, f), 0, h                                                      \
    } /* struct chardev * */
#define PROP_DRIVE(st, f, h)                                                                       \
    {                                                                                              \
#f, PT_DRIVE, offsetof(st, f), 0, h                                                        \
    } /* struct block * */
#define PROP_NETDEV(st, f, h)                                                                      \
    {                                                                                              \
#f, PT_NETDEV, offsetof(st, f), 0, h                                                       \
    } /* struct netdev * */
#define PROP_END                                                                                   \
    {                                                                                              \
        NULL, PT_END, 0, 0, NULL                                                                   \
    }

/* ---- devices ---- */
struct device;
struct device_type {
    const char *name, *summary;
    enum bus_kind bus;
    size_t size;
    const struct property *props;                         /* ended by PROP_END; may be NULL */
    const struct state_table *state;                      /* NULL only for devices without state */
    bool (*realize)(struct device *d, struct error *err); /* properties are set */
    void (*reset)(struct device *d);                      /* power-on values; may be NULL */
    void (*destroy)(struct device *d);                    /* frees what realize took; may be NULL */
    bool user_creatable;                                  /* -device may make it */
    const char *category; /* heading in -device help; NULL: by its bus and PCI class */
    /* Open Firmware's path for the BIOS, to be freed; for devices with a property bootindex
     * (PT_U32). */
    char *(*boot_path)(struct device *d);
    const void *bus_info; /* the bus's own descriptor (struct pci_info, ...) */
};

struct device {
    const struct device_type *type;
    struct machine *machine;
    char *id;   /* may be NULL */
    char *path; /* private: see device_path */
    struct device *next;
    struct device *parent; /* bus owner */
    bool realized;
    uint64_t props_set; /* bit n: property n was given */
};

struct devices; /* list in creation order + board hooks */

/* Makes a device with default properties; set properties, then realize. Owned by the machine. */
struct device *device_create(struct machine *m, const struct device_type *type, const char *id);
/* Text to value; unknown property or bad value: an error that names the nearest known one. */
bool device_set(struct device *d, const char *prop, const char *value, struct error *err);
bool device_set_ptr(struct device *d, const char *prop, void *value); /* chardev, drive, netdev */
bool device_prop_given(const struct device *d, const char *prop);     /* somebody has set it */
bool device_realize(struct device *d, struct error *err);
const struct property *device_type_prop(const struct device_type *t,
                                        const char *name); /* NULL: unknown */
/* create + strings "prop=value" ended by NULL + realize, for boards; NULL on error. */
struct device *device_make(struct machine *m, const struct device_type *type, struct error *err,
                           ...);
void devices_reset(struct machine *m); /* in creation order */
void devices_destroy(
    struct machine *m); /* in reverse order; cancels the timers of their state tables */
/* /machine/peripheral/ID, or /machine/unattached/TYPE of a device without id. */
const char *device_path(struct device *d);
struct device *device_find(struct machine *m, const char *id);
struct device *device_find_type(struct machine *m, const struct device_type *type);
void device_foreach(struct machine *m, void (*fn)(struct device *d, void *opaque), void *opaque);

/* The machine's buses hang here, one slot each; destroy is called by devices_destroy, after the
 * devices. */
enum device_slot { SLOT_ISA, SLOT_PCI, SLOT_APIC, SLOT_SCSI, SLOT_DISPLAY, SLOT_INPUT, NSLOTS };
void *device_slot(struct machine *m, enum device_slot slot); /* NULL: not set */
void device_slot_set(struct machine *m, enum device_slot slot, void *bus,
                     void (*destroy)(void *bus));

/* Priorities of mappings in the PC's memory map, lowest first. */
enum map_priority {
    MAP_PRIO_PCI = 0, /* BARs */
    MAP_PRIO_ROM = 4, /* firmware: at the top of 4 GiB, and under the PAM areas below 1 MiB */
    MAP_PRIO_RAM = 8,
    MAP_PRIO_SHADOW = 12,  /* PAM, SMRAM */
    MAP_PRIO_CHIPSET = 16, /* I/O APIC, HPET */
    MAP_PRIO_LAPIC = 20,
};

/* registry.c: all types that exist, ended by NULL. */
extern const struct device_type *const device_types[];
const struct device_type *device_type_find(const char *name); /* NULL: unknown */
const char *device_type_nearest(const char *name);
char *device_types_help(void);                       /* -device help */
char *device_doc(void);                              /* docs/devices.md */
char *device_type_help(const struct device_type *t); /* -device NAME,help */

/* State dump to text ("field value" lines) and a byte-exact save/load in a tagged format driven by
 * the tables (hw/state.c). */
char *state_describe(const struct state_table *t, const void *obj);
uint8_t *state_save(const struct state_table *t, const void *obj, size_t *len); /* free() */
bool state_load(const struct state_table *t, void *obj, const uint8_t *buf, size_t len,
                struct error *err);

#endif
