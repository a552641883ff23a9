/* Addresses of network cards. Those that nobody gave are 52:54:00:12:34:56 and up, as everywhere.
 */
#include "hw/net/card.h"

#include <stdio.h>
#include <string.h>

enum { MAC_BYTES = 6 };

extern const struct device_type virtio_net_type, e1000_type, rtl8139_type;

static void count_cards(struct device *d, void *opaque)
{
    bool card = d->type == &virtio_net_type || d->type == &e1000_type || d->type == &rtl8139_type;

    *(unsigned *)opaque += card && d->realized;
}

bool net_card_address(struct device *d, const char *text, uint8_t *mac, struct error *err)
{
    unsigned b[MAC_BYTES] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56}, others = 0;
    int end = -1;

    if (!text) {
        device_foreach(d->machine, count_cards, &others);
        b[MAC_BYTES - 1] += others;
    } else if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
                      &end) != MAC_BYTES ||
               end < 0 || text[end]) {
        return error_set(err, "%s: mac=%s is not an address like 52:54:00:12:34:56", d->type->name,
                         text);
    }
    if (b[0] & 1) {
        return error_set(err, "%s: mac=%s is a group's address", d->type->name, text);
    }
    for (unsigned i = 0; i < MAC_BYTES; i++) {
        mac[i] = (uint8_t)b[i];
    }
    return true;
}
