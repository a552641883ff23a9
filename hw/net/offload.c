/* Checksums (RFC 1071) and segmentation of TCP over IPv4 (RFC 791, 793). */
#include "hw/net/offload.h"
#include "host/be.h"

#include <string.h>

enum { ETHERNET = 14, VLAN = 4, IP_HEADER = 20, TCP_HEADER = 20, UDP_HEADER = 8 };
enum { PROTO_TCP = 6, PROTO_UDP = 17, TCP_FIN_PSH = 9 };

static uint64_t add_words(const uint8_t *p, size_t n, uint64_t sum)
{
    for (size_t i = 0; i + 1 < n; i += 2) {
        sum += be_get16(p + i);
    }
    return n & 1 ? sum + ((unsigned)p[n - 1] << 8) : sum;
}

static unsigned folded(uint64_t sum)
{
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (unsigned)~sum & 0xffff;
}

bool offload_parse(const uint8_t *f, size_t len, struct offload_ip4 *p)
{
    p->ip = ETHERNET;
    if (len >= ETHERNET + VLAN && be_get16(f + 12) == 0x8100) {
        p->ip += VLAN;
    }
    if (len < p->ip + IP_HEADER || be_get16(f + p->ip - 2) != 0x0800 || f[p->ip] >> 4 != 4) {
        return false;
    }
    size_t header = (f[p->ip] & 15) * 4u, total = be_get16(f + p->ip + 2);
    p->l4 = p->ip + header;
    p->end = p->ip + total;
    p->protocol = f[p->ip + 9];
    p->fragment = be_get16(f + p->ip + 6) & 0x3fff;
    return header >= IP_HEADER && total >= header && p->end <= len;
}

void offload_ip_checksum(uint8_t *f, const struct offload_ip4 *p)
{
    be_put16(f + p->ip + 10, 0);
    be_put16(f + p->ip + 10, folded(add_words(f + p->ip, p->l4 - p->ip, 0)));
}

void offload_l4_checksum(uint8_t *f, const struct offload_ip4 *p)
{
    size_t n = p->end - p->l4, at = p->protocol == PROTO_TCP ? 16 : 6;

    if (p->fragment || (p->protocol != PROTO_TCP && p->protocol != PROTO_UDP) ||
        n < (p->protocol == PROTO_TCP ? TCP_HEADER : UDP_HEADER)) {
        return;
    }
    be_put16(f + p->l4 + at, 0);
    unsigned sum = folded(add_words(f + p->l4, n, add_words(f + p->ip + 12, 8, p->protocol + n)));
    be_put16(f + p->l4 + at, sum ? sum : 0xffff); /* 0 means "none" to UDP */
}

bool offload_tcp_segments(const uint8_t *f, size_t len, size_t mss, uint8_t *scratch,
                          void (*emit)(void *opaque, const uint8_t *frame, size_t len),
                          void *opaque)
{
    struct offload_ip4 p;
    size_t ip = len > ETHERNET + VLAN && be_get16(f + 12) == 0x8100 ? ETHERNET + VLAN : ETHERNET;

    /* The length of the large packet in its IP header may be anything. */
    if (len > 65535 + ip || len < ip + IP_HEADER) {
        return false;
    }
    memcpy(scratch, f, ip + IP_HEADER);
    be_put16(scratch + ip + 2, (unsigned)(len - ip));
    if (!offload_parse(scratch, len, &p) || p.protocol != PROTO_TCP || p.fragment ||
        mss < OFFLOAD_MIN_MSS || p.l4 + TCP_HEADER > len) {
        return false;
    }
    size_t headers = p.l4 + (f[p.l4 + 12] >> 4) * 4u;
    if (headers < p.l4 + TCP_HEADER || headers > len) {
        return false;
    }
    memcpy(scratch, f, headers);
    uint32_t seq = be_get32(f + p.l4 + 4);
    unsigned id = be_get16(f + p.ip + 4);
    for (size_t done = 0; done == 0 || done < len - headers; done += mss, id++) {
        size_t n = len - headers - done < mss ? len - headers - done : mss;
        bool last = done + n >= len - headers;
        memcpy(scratch + headers, f + headers + done, n);
        p.end = headers + n;
        be_put16(scratch + p.ip + 2, (unsigned)(p.end - p.ip));
        be_put16(scratch + p.ip + 4, id & 0xffff);
        be_put16(scratch + p.l4 + 4, (seq + (uint32_t)done) >> 16);
        be_put16(scratch + p.l4 + 6, (seq + (uint32_t)done) & 0xffff);
        scratch[p.l4 + 13] = last ? f[p.l4 + 13] : f[p.l4 + 13] & (uint8_t)~TCP_FIN_PSH;
        offload_ip_checksum(scratch, &p);
        offload_l4_checksum(scratch, &p);
        emit(opaque, scratch, p.end);
    }
    return true;
}
