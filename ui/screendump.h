/* Pictures of the screen in files. */
#ifndef UI_SCREENDUMP_H
#define UI_SCREENDUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "host/error.h"

struct machine;

enum image_format { IMAGE_PPM, IMAGE_PNG };

/* Writes what console n shows now to path. */
bool screendump(struct machine *m, unsigned console, const char *path, enum image_format format,
                struct error *err);
/* pixels: 0x00RRGGBB in host order, width a line. False: errno says why. */
bool image_write(int fd, enum image_format format, const uint32_t *pixels, unsigned width,
                 unsigned height);

#endif
