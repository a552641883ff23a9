/* Code page 437 to Unicode. */
#ifndef UI_CP437_H
#define UI_CP437_H

#include <stdint.h>

extern const uint16_t cp437[256];

#endif
