/* Expansion ROMs from files: PCI Local Bus Specification 3.0, chapters 6.2.5.2 and 6.3. */
#include "hw/pci/pci.h"

#include "host/file.h"
#include "host/le.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROM_BAR = 6, ROM_MIN = 4096, ROM_MAX = 16 << 20 };

static bool find(const char *name, char *path, size_t size)
{
    static const char *const folders[] = {"/usr/lib/ipxe/qemu/", "/usr/share/qemu/",
                                          "/usr/share/ipxe/qemu/", "/usr/local/share/dragoman/"};

    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(path, size, "%s%s", folders[i], name);
        if (access(path, R_OK) == 0) {
            return true;
        }
    }
    return false;
}

/* The package's ROM for a family of chips names one of them: it gets our numbers, and byte 6 (which
 * is free) makes the sum of all bytes right again. */
static void patch_ids(struct pci_device *p, uint8_t *data, size_t len)
{
    size_t at = le_get16(data + 0x18);
    uint8_t *ids = data + at + 4, before[4];

    if (at < 0x1a || at + 0x18 > len || memcmp(data + at, "PCIR", 4)) {
        return;
    }
    memcpy(before, ids, 4);
    memcpy(ids, p->config, 4);
    for (unsigned i = 0; i < 4; i++) {
        data[6] = (uint8_t)(data[6] + before[i] - ids[i]);
    }
}

bool pci_load_rom(struct pci_device *p, const char *romfile, const char *def, bool rombar,
                  struct error *err)
{
    const char *name = romfile ? romfile : def;
    char path[512];
    uint8_t *data;
    size_t len, size = ROM_MIN;

    if (!rombar || !*name) {
        return true;
    }
    bool found = !strchr(name, '/') && access(name, R_OK) != 0 && find(name, path, sizeof(path));
    if (!romfile && !found) {
        return true; /* the package is not installed: no network boot */
    }
    if (!file_read(found ? path : name, &data, &len, err)) {
        return error_prefix(err, "%s: romfile", p->dev.type->name);
    }
    bool ok = len <= ROM_MAX && len >= 512 && data[0] == 0x55 && data[1] == 0xaa;
    if (!ok) {
        error_set(err, "%s: romfile=%s is no expansion ROM", p->dev.type->name, name);
    }
    while (size < len) {
        size *= 2;
    }
    struct ram *ram = ok ? memory_ram_create(p->dev.machine->memory, "pci.rom", size, err) : NULL;
    if (ram) {
        if (!romfile) {
            patch_ids(p, data, len);
        }
        memcpy(ram->host, data, len);
        pci_set_bar_ram(p, ROM_BAR, ram, false);
    }
    free(data);
    return ram != NULL;
}
