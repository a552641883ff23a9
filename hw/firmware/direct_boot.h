/* Direct kernel boot (-kernel): an option ROM and the loader port behind it. */
#ifndef HW_FIRMWARE_DIRECT_BOOT_H
#define HW_FIRMWARE_DIRECT_BOOT_H

#include "hw/device.h"

struct direct_boot;
extern const struct device_type direct_boot_type;

/* Loads a bzImage (Linux boot protocol 2.02 or newer) or a multiboot 1 kernel with an optional
 * initrd (multiboot: module), so that the BIOS starts it. Adds the option ROM and the boot order to
 * fw_cfg. */
bool direct_boot_setup(struct machine *m, const char *kernel, const char *initrd,
                       const char *append, struct error *err);

/* ---- between direct_boot.c and the image formats ---- */

enum { /* low memory that the loaders use; free while a BIOS hands over to a boot loader */
       DIRECT_PARAMS = 0x8000, /* GDT pointer, E820 place and count: read by the option ROM */
       DIRECT_CODE = 0x8040,   /* protected-mode code, made by the loader */
       DIRECT_GDT = 0x8400,
       DIRECT_ZERO_PAGE = 0x10000, /* Linux boot_params, or the multiboot information */
       DIRECT_CMDLINE = 0x20000,   /* up to 64 KiB */
       DIRECT_PAGE_TABLES = 0x70000,
};

struct blob { /* a file in memory */
    uint8_t *data;
    size_t len;
};
struct initrd { /* an open file, which may be large; fd -1: none */
    int fd;
    size_t len;
};

/* Called when everything has been copied into memory. */
void direct_boot_when_loaded(struct direct_boot *d, void (*fn)(struct machine *m));
/* Adds a piece to be copied to guest memory when the option ROM asks; data is copied. */
void direct_boot_add(struct direct_boot *d, uint64_t phys, const void *data, size_t len);
/* The same for the initrd, which is read then; its descriptor is duplicated. */
void direct_boot_add_initrd(struct direct_boot *d, uint64_t phys, const struct initrd *initrd);
/* Where the option ROM stores the BIOS's E820 entries: a real-mode far address and their distance;
 * then the code that runs in 32-bit protected mode with CS = 08; data segments are at 18, and 10 is
 * a code segment of 32 or 64 bits. */
void direct_boot_set_entry(struct direct_boot *d, uint32_t e820, uint16_t stride,
                           const uint8_t *code, size_t len, bool code64);
/* Highest address (exclusive) for an initrd: below what the BIOS keeps at the top of low RAM. */
uint64_t direct_boot_top(struct machine *m);

bool linux_boot_detect(const struct blob *kernel);
bool linux_boot_load(struct machine *m, struct direct_boot *d, const struct blob *kernel,
                     const struct initrd *initrd, const char *append, struct error *err);
bool multiboot_detect(const struct blob *kernel);
bool multiboot_load(struct machine *m, struct direct_boot *d, const struct blob *kernel,
                    const struct initrd *initrd, const char *append, struct error *err);

#endif
