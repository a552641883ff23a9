/* Checksums and segmentation that cards do for their drivers, on Ethernet frames with IPv4. */
#ifndef HW_NET_OFFLOAD_H
#define HW_NET_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where things are in a frame; false: it is not IPv4, or its headers do not fit. */
struct offload_ip4 {
    size_t ip, l4, end; /* offsets of the headers, and of the end of the datagram */
    uint8_t protocol;   /* 6 TCP, 17 UDP */
    bool fragment;      /* of a larger datagram: no checksum of layer 4 */
};
bool offload_parse(const uint8_t *frame, size_t len, struct offload_ip4 *p);
void offload_ip_checksum(uint8_t *frame, const struct offload_ip4 *p);
void offload_l4_checksum(uint8_t *frame, const struct offload_ip4 *p); /* TCP and UDP */
/* Less than any host offers (RFC 791's smallest MTU gives 28, TCP stacks refuse less than 48): a
 * guest that asks for it only wants to keep the emulator busy with headers. */
enum { OFFLOAD_MIN_MSS = 28 };
/* Cuts a TCP packet into frames of at most mss bytes of data and calls emit for each. scratch has
 * len bytes. False: the headers, or mss, are nonsense. */
bool offload_tcp_segments(const uint8_t *frame, size_t len, size_t mss, uint8_t *scratch,
                          void (*emit)(void *opaque, const uint8_t *frame, size_t len),
                          void *opaque);

#endif
