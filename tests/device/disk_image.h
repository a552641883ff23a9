/* Images for the tests of disks: each sector of 512 bytes holds its number, as 16 bits little
 * endian, again and again. */
#ifndef TESTS_DEVICE_DISK_IMAGE_H
#define TESTS_DEVICE_DISK_IMAGE_H

#include "host/le.h"
#include "tests/device/harness.h"

#include <unistd.h>

/* path ends in XXXXXX, and becomes that of the new file. */
static inline void disk_image_make(char *path, unsigned sectors)
{
    int fd = mkstemp(path);
    uint8_t s[512];

    for (unsigned n = 0; n < sectors; n++) {
        for (unsigned i = 0; i < 512; i += 2) {
            le_put16(s + i, (uint16_t)n);
        }
        if (write(fd, s, 512) != 512) {
            printf("Bail out! %s cannot be written\n", path);
            exit(1);
        }
    }
    close(fd);
}

static inline bool sector_is(const uint8_t *s, unsigned n)
{
    for (unsigned i = 0; i < 512; i += 2) {
        if (le_get16(s + i) != n) {
            return false;
        }
    }
    return true;
}

/* In guest memory. */
static inline bool is_sector(struct bench *b, uint64_t addr, unsigned n)
{
    uint8_t s[512];

    memory_read(b->m->memory, addr, s, 512);
    return sector_is(s, n);
}

#endif
