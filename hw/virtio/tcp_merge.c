/* Merging of TCP segments over IPv4 (RFC 791, RFC 9293): segments of one connection that follow
 * each other, differ in nothing but their place, and are of one size become one packet, as Linux's
 * own receive offload would make it. A guest then pays for one packet instead of for forty.
 *
 * Everything unusual (options in IP, fragments, flags other than ACK and PSH) is left alone, and so
 * is IPv6. The checksums of what is merged are not looked at: it comes from a back end that makes
 * them. */
#include "hw/virtio/tcp_merge.h"
#include "host/be.h"

#include <string.h>

enum { ETHERNET = 14, IP = ETHERNET, TCP = TCP_MERGE_HEADERS, TYPE_IPV4 = 0x0800, PROTO_TCP = 6 };
enum { FLAG_PSH = 8, FLAG_ACK = 16, MAX_IP = 65535 };
enum { IP_LENGTH = IP + 2, IP_ID = IP + 4, IP_FRAGMENT = IP + 6, IP_SUM = IP + 10 };
enum { TCP_SEQ = TCP + 4, TCP_OFFSET = TCP + 12, TCP_FLAGS = TCP + 13, TCP_SUM = TCP + 16 };

/* Length of all headers of a plain segment with data, 0: it is something else. */
static size_t headers_of(const uint8_t *f, size_t len)
{
    if (len < TCP + 20 || be_get16(f + 12) != TYPE_IPV4 || f[IP] != 0x45 ||
        f[IP + 9] != PROTO_TCP || (be_get16(f + IP_FRAGMENT) & 0x3fff) ||
        be_get16(f + IP_LENGTH) != len - ETHERNET || (f[TCP_FLAGS] & ~FLAG_PSH) != FLAG_ACK) {
        return 0;
    }
    size_t headers = TCP + (f[TCP_OFFSET] >> 4) * 4u;
    return headers >= TCP + 20 && headers < len ? headers : 0;
}

/* Do the headers agree in all that is not the segment's place? */
static bool same_flow(const struct tcp_merge *t, const uint8_t *f)
{
    const uint8_t *a = t->frame;

    return !memcmp(a, f, IP + 2) && a[IP + 8] == f[IP + 8] &&
           !memcmp(a + IP + 12, f + IP + 12, 12) &&
           !memcmp(a + TCP_SEQ + 4, f + TCP_SEQ + 4, 5) && /* acknowledgement, header length */
           !memcmp(a + TCP + 14, f + TCP + 14, 2) &&       /* window */
           !memcmp(a + TCP + 18, f + TCP + 18, t->headers - (TCP + 18));
}

bool tcp_merge_add(struct tcp_merge *t, const uint8_t *frame, size_t len)
{
    size_t headers = headers_of(frame, len), payload = len - headers;

    if (!headers) {
        return false;
    }
    if (!t->len) {
        memcpy(t->frame, frame, len);
        t->len = len;
        t->segments = 1;
        t->headers = headers;
        t->segment = (uint16_t)payload;
        t->next = be_get32(frame + TCP_SEQ) + (uint32_t)payload;
        t->closed = frame[TCP_FLAGS] & FLAG_PSH;
        return true;
    }
    if (t->closed || headers != t->headers || payload > t->segment ||
        be_get32(frame + TCP_SEQ) != t->next || t->len + payload > ETHERNET + MAX_IP ||
        !same_flow(t, frame)) {
        return false;
    }
    memcpy(t->frame + t->len, frame + headers, payload);
    t->frame[TCP_FLAGS] |= frame[TCP_FLAGS] & FLAG_PSH;
    t->len += payload;
    t->segments++;
    t->next += (uint32_t)payload;
    t->closed = payload < t->segment || (frame[TCP_FLAGS] & FLAG_PSH);
    return true;
}

static unsigned sum16(const uint8_t *p, size_t n, unsigned sum)
{
    for (size_t i = 0; i < n; i += 2) {
        sum += be_get16(p + i);
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

void tcp_merge_finish(struct tcp_merge *t)
{
    uint8_t *f = t->frame;

    if (t->segments < 2) {
        return;
    }
    be_put16(f + IP_LENGTH, (unsigned)(t->len - ETHERNET));
    be_put16(f + IP_SUM, 0);
    be_put16(f + IP_SUM, ~sum16(f + IP, 20, 0) & 0xffff);
    be_put16(f + TCP_SUM, sum16(f + IP + 12, 8, PROTO_TCP + (unsigned)(t->len - TCP)));
}
