/* Merging of received TCP segments into one large packet, for cards whose driver takes such. */
#ifndef HW_VIRTIO_TCP_MERGE_H
#define HW_VIRTIO_TCP_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TCP_MERGE_MAX = 14 + 65535, TCP_MERGE_HEADERS = 14 + 20 };

struct tcp_merge {
    size_t len; /* of the frame; 0: nothing is held */
    unsigned segments;
    size_t headers;   /* Ethernet, IP and TCP */
    uint16_t segment; /* payload of all segments but the last */
    uint32_t next;    /* sequence number that continues it */
    bool closed;      /* the last segment was shorter or pushed */
    uint8_t frame[TCP_MERGE_MAX];
};

/* Takes the frame as the first of a new packet, or as the next of the one that is held; false: it
 * is not a segment that could be merged (so). */
bool tcp_merge_add(struct tcp_merge *t, const uint8_t *frame, size_t len);
/* Makes the headers right for what has been gathered. The checksum of several segments is left to
 * be completed (the sum of the pseudo header is in its place); a single one stays as it was. */
void tcp_merge_finish(struct tcp_merge *t);

#endif
