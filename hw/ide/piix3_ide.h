/* The PIIX3's IDE function. */
#ifndef HW_IDE_PIIX3_IDE_H
#define HW_IDE_PIIX3_IDE_H

#include "hw/device.h"

struct ide_channel;
enum { PIIX3_IDE_DEVFN = 1 << 3 | 1 };

extern const struct device_type piix3_ide_type, ide_hd_type, ide_cd_type;
struct ide_channel *piix3_ide_channel(struct machine *m, unsigned n); /* 0 primary, 1 secondary */

#endif
