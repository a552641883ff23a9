/* What all network cards share. */
#ifndef HW_NET_CARD_H
#define HW_NET_CARD_H

#include "hw/device.h"

/* The property mac= of card d as six bytes; NULL: an address of our own, another for each card. */
bool net_card_address(struct device *d, const char *text, uint8_t *mac, struct error *err);

#endif
