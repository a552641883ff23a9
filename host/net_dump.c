/* Packet captures: every frame of a back end, both ways, in a pcap file (libpcap's format with
 * microseconds, link type Ethernet), for tcpdump and Wireshark. Large packets that the card left to
 * the back end appear as they are. */
#include "host/mainloop.h"
#include "host/net.h"
#include "softmmu/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCAP_MAGIC 0xa1b2c3d4u
enum { PCAP_MAJOR = 2, PCAP_MINOR = 4, LINK_ETHERNET = 1 };

struct net_dump {
    struct net_dump *next;
    struct netdev *nd;
    char *id;
    FILE *file;
    unsigned maxlen;
};

struct net_dump *net_dump_create(struct netdev *nd, const char *id, const char *file,
                                 unsigned maxlen, struct error *err)
{
    /* In the order of this host: readers look at the magic number. */
    const struct {
        uint32_t magic;
        uint16_t major, minor;
        uint32_t zone, accuracy, maxlen, link;
    } header = {PCAP_MAGIC, PCAP_MAJOR, PCAP_MINOR, 0, 0, maxlen, LINK_ETHERNET};
    FILE *f = fopen(file, "wbe");

    if (!f || fwrite(&header, sizeof(header), 1, f) != 1) {
        error_set(err, "file '%s': %s", file, strerror(errno));
        if (f) {
            fclose(f);
        }
        return NULL;
    }
    struct net_dump *d = calloc(1, sizeof(*d));
    if (!d) {
        abort();
    }
    *d = (struct net_dump){nd->dumps, nd, strdup(id), f, maxlen};
    nd->dumps = d;
    return d;
}

void net_dump_frame(struct net_dump *first, const uint8_t *frame, size_t len)
{
    int64_t sec, nsec;

    for (struct net_dump *d = first; d; d = d->next) {
        clock_wall(mainloop_machine(d->nd->loop)->clock, &sec, &nsec);
        uint32_t kept = len < d->maxlen ? (uint32_t)len : d->maxlen;
        const uint32_t record[4] = {(uint32_t)sec, (uint32_t)(nsec / 1000), kept, (uint32_t)len};
        fwrite(record, sizeof(record), 1, d->file);
        fwrite(frame, 1, kept, d->file);
        fflush(d->file); /* whoever looks meanwhile sees it; a full disk must not stop the guest */
    }
}

void net_dump_destroy_all(struct net_dump *first)
{
    while (first) {
        struct net_dump *d = first;
        first = d->next;
        fclose(d->file);
        free(d->id);
        free(d);
    }
}
