/* Screen dumps as PPM (netpbm's P6) and PNG (W3C Portable Network Graphics, 2nd edition: 8-bit RGB,
 * one IDAT chunk, every line with filter "up"). */
#include "ui/screendump.h"

#include "hw/display/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static bool write_all(int fd, const uint8_t *buf, size_t len)
{
    while (len) {
        ssize_t n = write(fd, buf, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        buf += n;
        len -= (size_t)n;
    }
    return true;
}

static void put_rgb(uint8_t *to, const uint32_t *from, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        to[3 * i] = (uint8_t)(from[i] >> 16);
        to[3 * i + 1] = (uint8_t)(from[i] >> 8);
        to[3 * i + 2] = (uint8_t)from[i];
    }
}

static void put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static bool write_chunk(int fd, const char *type, const uint8_t *data, size_t len)
{
    uint8_t head[8], tail[4];
    uLong crc = crc32(0, (const Bytef *)type, 4);

    put32(head, (uint32_t)len);
    memcpy(head + 4, type, 4);
    if (len) { /* zlib takes a NULL buffer for a question */
        crc = crc32(crc, data, (uInt)len);
    }
    put32(tail, (uint32_t)crc);
    return write_all(fd, head, 8) && write_all(fd, data, len) && write_all(fd, tail, 4);
}

static bool write_png(int fd, const uint32_t *pixels, unsigned width, unsigned height)
{
    static const uint8_t magic[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    uint8_t head[13] = {[8] = 8, [9] = 2};
    size_t line = 1 + 3 * (size_t)width, size = line * height;
    uLongf packed_size = compressBound((uLong)size);
    uint8_t *raw = malloc(size), *packed = malloc(packed_size);
    bool ok = raw && packed;

    for (unsigned y = 0; ok && y < height; y++) {
        raw[y * line] = y ? 2 : 0;
        put_rgb(raw + y * line + 1, pixels + (size_t)y * width, width);
    }
    for (unsigned y = height; ok && y-- > 1;) {
        for (size_t i = 1; i < line; i++) {
            raw[y * line + i] = (uint8_t)(raw[y * line + i] - raw[(y - 1) * line + i]);
        }
    }
    put32(head, width);
    put32(head + 4, height);
    ok = ok && compress2(packed, &packed_size, raw, (uLong)size, 6) == Z_OK &&
         write_all(fd, magic, sizeof(magic)) && write_chunk(fd, "IHDR", head, sizeof(head)) &&
         write_chunk(fd, "IDAT", packed, packed_size) && write_chunk(fd, "IEND", NULL, 0);
    free(raw);
    free(packed);
    return ok;
}

static bool write_ppm(int fd, const uint32_t *pixels, unsigned width, unsigned height)
{
    char head[40];
    uint8_t *line = malloc(3 * (size_t)width);
    int n = snprintf(head, sizeof(head), "P6\n%u %u\n255\n", width, height);
    bool ok = line && write_all(fd, (const uint8_t *)head, (size_t)n);

    for (unsigned y = 0; ok && y < height; y++) {
        put_rgb(line, pixels + (size_t)y * width, width);
        ok = write_all(fd, line, 3 * (size_t)width);
    }
    free(line);
    return ok;
}

bool image_write(int fd, enum image_format format, const uint32_t *pixels, unsigned width,
                 unsigned height)
{
    errno = ENOMEM;
    return format == IMAGE_PNG ? write_png(fd, pixels, width, height)
                               : write_ppm(fd, pixels, width, height);
}

bool screendump(struct machine *m, unsigned console, const char *path, enum image_format format,
                struct error *err)
{
    struct console_view *v = console_view_open(m, console);
    struct console_frame frame;

    if (!v) {
        return error_set(err, "There is no console to take a screendump from");
    }
    console_view_update(v, &frame, NULL, NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool ok = fd >= 0 && image_write(fd, format, frame.pixels, frame.width, frame.height);
    if (fd >= 0 && close(fd)) {
        ok = false;
    }
    if (!ok) {
        error_set(err, "failed to write file '%.300s': %s", path, strerror(errno));
    }
    console_view_close(v);
    return ok;
}
