/* Machine types: they only create and wire devices. */
#ifndef HW_MACHINE_MACHINE_TYPE_H
#define HW_MACHINE_MACHINE_TYPE_H

#include "hw/device.h"

struct x86_model;
struct block;
struct chardev;

struct machine_config { /* what the command line asked for; strings borrowed */
    const struct machine_type *type;
    const struct x86_model *cpu_model;
    uint64_t ram_size;
    unsigned smp, sockets, cores, threads;
    const char *bios, *kernel, *initrd, *append;
    struct block *ide[4]; /* primary master, slave, secondary master, slave */
    bool ide_cdrom[4];
    struct block *floppy[2]; /* A, B */
    struct chardev *serial[4];
    struct chardev *parallel[3];
    struct chardev *debugcon;
    const char *boot_order, *boot_once; /* "cdn", NULL: default; once: until the first reset */
    bool boot_menu;
    int boot_menu_ms,
        boot_fail_ms; /* how long the menu waits; until a retry when nothing boots; -1: default */
    const char *rtc_base, *rtc_clock, *rtc_driftfix; /* properties of the clock; NULL: default */
    bool nodefaults;
    bool serial_console; /* -nographic: SeaBIOS and GRUB talk on the first serial port (sercon) */
    bool hpet, acpi;
};

struct machine_type {
    const char *name, *summary;
    bool (*create)(struct machine *m, const struct machine_config *cfg, struct error *err);
    /* The devices of the command line are there: tells the firmware about them. */
    bool (*finish)(struct machine *m, const struct machine_config *cfg, struct error *err);
    void (*destroy)(struct machine *m);
};

extern const struct machine_type machine_pc;             /* hw/machine/pc.c */
extern const struct machine_type *const machine_types[]; /* ended by NULL */

#endif
