/* The order of boot devices for the BIOS. */
#ifndef HW_FIRMWARE_BOOT_ORDER_H
#define HW_FIRMWARE_BOOT_ORDER_H

struct machine;

/* After all devices have been made: tells the BIOS of those with bootindex=, in its order. Not
 * together with a kernel given on the command line. */
void boot_order_setup(struct machine *m);

#endif
