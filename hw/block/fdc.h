/* Floppy disk controller and its drives. */
#ifndef HW_BLOCK_FDC_H
#define HW_BLOCK_FDC_H

#include "hw/device.h"

extern const struct device_type isa_fdc_type, floppy_type;

#endif
