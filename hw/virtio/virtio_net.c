/* Network card. VIRTIO 1.1, chapter 5.1.
 *
 * The driver may leave checksums and the cutting of TCP packets to us: the checksum is completed
 * here, and the back end takes the packet in one piece. What comes from the back end has right
 * checksums, which the driver is told; TCP segments that arrive together are merged (tcp_merge.c).
 * Sending happens in the main loop, so that a vcpu does not wait for the host's sockets. With
 * several queue pairs a flow's frames come by one of them, chosen by its addresses and ports. Left
 * out: VLAN filter, announcements, hash reports and the driver's own choice of hashes (RSS). */
#include "hw/virtio/virtio.h"

#include "host/le.h"
#include "host/net.h"
#include "hw/net/card.h"
#include "hw/virtio/tcp_merge.h"
#include "hw/virtio/virtio_net.h"

#include <stdlib.h>
#include <string.h>

enum net_feature {
    F_CSUM = 0,
    F_GUEST_CSUM = 1,
    F_MTU = 3,
    F_MAC = 5,
    F_GUEST_TSO4 = 7,
    F_HOST_TSO4 = 11,
    F_HOST_TSO6 = 12,
    F_MRG_RXBUF = 15,
    F_STATUS = 16,
    F_CTRL_VQ = 17,
    F_CTRL_RX = 18,
    F_CTRL_RX_EXTRA = 20,
    F_MQ = 22,
    F_CTRL_MAC_ADDR = 23,
};
enum {
    Q_RECEIVE,
    Q_SEND,
    Q_CONTROL,
    MAX_PAIRS = 16
}; /* of the first pair, and if there is no other */
enum { C_MAC = 0, C_STATUS = 6, C_PAIRS = 8, C_MTU = 10, CONFIG_BYTES = 12, STATUS_UP = 1 };
enum { /* struct virtio_net_hdr */
       H_FLAGS = 0,
       H_GSO_TYPE = 1,
       H_HEADER_BYTES = 2,
       H_GSO_SIZE = 4,
       H_CSUM_START = 6,
       H_CSUM_OFFSET = 8,
       H_NUM_BUFFERS = 10,
       HEADER_OLD = 10,
       HEADER = 12,
       FLAG_NEEDS_CSUM = 1,
       FLAG_DATA_VALID = 2,
       GSO_TCPV4 = 1,
       TCP_CHECKSUM_AT = 16,
};
enum {
    CTRL_RX = 0,
    CTRL_MAC = 1,
    CTRL_MQ = 4,
    MAC_TABLE_SET = 0,
    MAC_ADDR_SET = 1,
    ACK_OK = 0,
    ACK_ERR = 1
};
enum { RX_PROMISC, RX_ALLMULTI, RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST, RX_MODES };
enum { MAC_BYTES = 6, MAC_TABLE = 64, ETHERNET_HEADER = 14, CONTROL_QUEUE_SIZE = 64 };
enum { MAX_FRAME = 65536 + ETHERNET_HEADER + 8, MAX_BUFFERS = 64, SEND_BATCH = 256 };

struct virtio_net {
    struct virtio virtio;
    struct netdev *netdev; /* properties */
    char *mac, *romfile;
    bool rombar;
    uint32_t host_mtu;
    uint16_t rx_queue_size, tx_queue_size;
    uint32_t queues;
    bool mq, mrg_rxbuf, csum, host_tso4, host_tso6, guest_csum, guest_tso4, ctrl_vq;

    uint16_t pairs;             /* in use */
    uint32_t send_pairs;        /* bit n: pair n has been kicked */
    uint8_t own_mac[MAC_BYTES]; /* as the property gives it */
    uint8_t address[MAC_BYTES]; /* as the driver has set it */
    uint8_t rx_mode[RX_MODES];
    uint32_t nunicast, nmulticast; /* entries of the table */
    bool unicast_overflow, multicast_overflow;
    uint8_t table[MAC_TABLE * MAC_BYTES]; /* unicast first */
    bool send_planned;                    /* send_later is under way */
    struct tcp_merge merge;               /* what is received and not shown yet */
    uint8_t frame[MAX_FRAME];
};

static const struct property net_props[] = {
    VIRTIO_PROPS(struct virtio_net, virtio),
    PROP_NETDEV(struct virtio_net, netdev, "the -netdev"),
    PCI_ROM_PROPS(struct virtio_net, romfile, rombar, "pxe-virtio.rom"),
    PROP_STRING(struct virtio_net, mac, "address, like 52:54:00:12:34:56"),
    PROP_U32(struct virtio_net, host_mtu, 0, "MTU that the guest should use; 0: its own choice"),
    PROP_U16(struct virtio_net, rx_queue_size, 256, "descriptors, a power of 2"),
    PROP_U16(struct virtio_net, tx_queue_size, 256, "descriptors, a power of 2"),
    PROP_BOOL(struct virtio_net, mq, 0, "offer several pairs of queues"),
    PROP_U32(struct virtio_net, queues, 0,
             "pairs with mq=on, 1 to 16; 0: one a processor, up to 8"),
    PROP_BOOL(struct virtio_net, mrg_rxbuf, 1, "offer mergeable receive buffers"),
    PROP_BOOL(struct virtio_net, csum, 1, "offer to complete checksums"),
    PROP_BOOL(struct virtio_net, host_tso4, 1, "offer to take large TCP packets"),
    PROP_BOOL(struct virtio_net, host_tso6, 1, "the same over IPv6"),
    PROP_BOOL(struct virtio_net, guest_csum, 1, "offer to vouch for checksums"),
    PROP_BOOL(struct virtio_net, guest_tso4, 1, "offer to merge received TCP packets"),
    PROP_BOOL(struct virtio_net, ctrl_vq, 1, "offer the control queue"),
    PROP_END,
};

static const struct state_field net_fields[] = {
    STATE_VIRTIO(struct virtio_net, virtio),
    STATE_BYTES(struct virtio_net, address),
    STATE_BYTES(struct virtio_net, rx_mode),
    STATE_U32(struct virtio_net, nunicast),
    STATE_U32(struct virtio_net, nmulticast),
    STATE_BOOL(struct virtio_net, unicast_overflow),
    STATE_BOOL(struct virtio_net, multicast_overflow),
    STATE_BYTES(struct virtio_net, table),
    STATE_U16(struct virtio_net, pairs),
    STATE_END,
};

static unsigned max_pairs(const struct virtio_net *n)
{
    return n->mq ? n->queues : 1;
}

static void net_loaded(void *obj)
{
    struct virtio_net *n = obj;

    if (n->nunicast > MAC_TABLE || n->nmulticast > MAC_TABLE - n->nunicast) {
        n->nunicast = n->nmulticast = 0; /* a damaged snapshot */
    }
    n->pairs = n->pairs && n->pairs <= max_pairs(n) ? n->pairs : 1;
    virtio_loaded(&n->virtio);
}

static const struct state_table net_state = {1, net_fields, net_loaded};

static unsigned header_bytes(const struct virtio_net *n)
{
    bool large = virtio_has(&n->virtio, VIRTIO_F_VERSION_1) || virtio_has(&n->virtio, F_MRG_RXBUF);

    return large ? HEADER : HEADER_OLD;
}

/* ---- receiving ---- */

static bool in_table(const struct virtio_net *n, unsigned from, unsigned count, const uint8_t *mac)
{
    for (unsigned i = from; i < from + count; i++) {
        if (!memcmp(&n->table[i * MAC_BYTES], mac, MAC_BYTES)) {
            return true;
        }
    }
    return false;
}

/* Does the driver want frames to this address? */
static bool wanted(const struct virtio_net *n, const uint8_t *to)
{
    static const uint8_t broadcast[MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    if (n->rx_mode[RX_PROMISC]) {
        return true;
    }
    if (!memcmp(to, broadcast, MAC_BYTES)) {
        return !n->rx_mode[RX_NOBCAST];
    }
    if (to[0] & 1) {
        return !n->rx_mode[RX_NOMULTI] && (n->rx_mode[RX_ALLMULTI] || n->multicast_overflow ||
                                           in_table(n, n->nunicast, n->nmulticast, to));
    }
    return !n->rx_mode[RX_NOUNI] &&
           (n->rx_mode[RX_ALLUNI] || n->unicast_overflow || !memcmp(to, n->address, MAC_BYTES) ||
            in_table(n, 0, n->nunicast, to));
}

/* The pair by which a frame goes to the driver. */
static unsigned pair_of(const struct virtio_net *n, const uint8_t *frame, size_t len)
{
    unsigned sum = 0;

    if (n->pairs == 1 || len < 38 || frame[12] != 8 || frame[13]) {
        return 0;
    }
    /* Addresses, and ports when no options stand before them; the same both ways. */
    for (unsigned i = 26; i < (frame[14] == 0x45 ? 38u : 34u); i++) {
        sum += frame[i] * (i & 1 ? 1u : 31u);
    }
    return (sum ^ sum >> 7) % n->pairs;
}

/* Takes buffers for `bytes`; their number, 0: there are not enough yet, -1: they are too small. */
static int take_buffers(struct virtio_net *n, struct virtqueue *q, uint64_t bytes,
                        struct virtq_chain **chain)
{
    int max = virtio_has(&n->virtio, F_MRG_RXBUF) ? MAX_BUFFERS : 1, count = 0, found;
    uint64_t room = 0;

    while (room < bytes && count < max && (chain[count] = virtqueue_pop(q)) != NULL) {
        room += chain[count++]->in_bytes;
    }
    if (room >= bytes) {
        return count;
    }
    found = count;
    while (count) {
        virtqueue_unpop(chain[--count]);
    }
    return found == max ? -1 : 0;
}

static int find_buffers(struct virtio_net *n, struct virtqueue *q, uint64_t bytes,
                        struct virtq_chain **chain)
{
    int count = take_buffers(n, q, bytes, chain);

    if (!count) {
        virtqueue_want_kicks(q, true);
        count = take_buffers(n, q, bytes, chain); /* they may have come meanwhile */
    }
    if (count) {
        virtqueue_want_kicks(q, false);
    }
    if (count < 0) {
        log_at(n->virtio.pci.dev.machine->log, LOG_GUEST_ERROR,
               "virtio-net-pci: receive buffers too small for %llu bytes\n",
               (unsigned long long)bytes);
    }
    return count;
}

/* Puts a frame into the driver's buffers; false: there is no room. header is completed here. */
static bool put_frame(struct virtio_net *n, uint8_t *header, const uint8_t *frame, size_t len)
{
    struct virtqueue *q = &n->virtio.queue[2 * pair_of(n, frame, len)];
    struct virtq_chain *chain[MAX_BUFFERS];
    unsigned head = header_bytes(n);
    size_t done = 0;
    int count;

    if (!q->ready) {
        return true; /* nobody listens there: gone */
    }
    count = find_buffers(n, q, head + len, chain);
    if (count <= 0) {
        return count < 0;
    }
    le_put16(header + H_NUM_BUFFERS, (uint16_t)count);
    for (int i = 0; i < count; i++) {
        uint64_t skip = 0, room = chain[i]->in_bytes;
        if (i == 0) {
            skip = virtq_write(chain[0], 0, header, head);
            room = room > skip ? room - skip : 0;
        }
        uint64_t piece = room < len - done ? room : len - done;
        virtq_write(chain[i], skip, frame + done, piece);
        done += piece;
        virtqueue_push(chain[i], (uint32_t)(skip + piece));
    }
    virtqueue_notify(q);
    return true;
}

/* Shows the driver what has been merged; false: there is no room. */
static bool end_merge(struct virtio_net *n)
{
    struct tcp_merge *t = &n->merge;
    uint8_t header[HEADER] = {FLAG_DATA_VALID};

    if (!t->len) {
        return true;
    }
    tcp_merge_finish(t);
    if (t->segments > 1) {
        header[H_FLAGS] = FLAG_NEEDS_CSUM;
        header[H_GSO_TYPE] = GSO_TCPV4;
        le_put16(header + H_HEADER_BYTES, (uint16_t)t->headers);
        le_put16(header + H_GSO_SIZE, t->segment);
        le_put16(header + H_CSUM_START, TCP_MERGE_HEADERS);
        le_put16(header + H_CSUM_OFFSET, TCP_CHECKSUM_AT);
    }
    if (!put_frame(n, header, t->frame, t->len)) {
        t->closed = true;
        return false;
    }
    t->len = 0;
    return true;
}

static bool receive(void *opaque, const uint8_t *frame, size_t len)
{
    struct virtio_net *n = opaque;
    uint8_t header[HEADER] = {0};

    if (!virtio_running(&n->virtio) || !n->virtio.queue[Q_RECEIVE].ready || len < ETHERNET_HEADER ||
        !wanted(n, frame)) {
        return true; /* nobody listens: gone */
    }
    if (virtio_has(&n->virtio, F_GUEST_TSO4)) {
        if (n->merge.len && tcp_merge_add(&n->merge, frame, len)) {
            return true;
        }
        if (!end_merge(n)) {
            return false;
        }
        if (tcp_merge_add(&n->merge, frame, len)) {
            return true;
        }
    }
    header[H_FLAGS] = virtio_has(&n->virtio, F_GUEST_CSUM) ? FLAG_DATA_VALID : 0;
    return put_frame(n, header, frame, len);
}

static void batch_end(void *opaque)
{
    end_merge(opaque); /* what finds no room stays until the driver brings some */
}

/* ---- sending ---- */

/* Completes the checksum that the driver has left open; false: the header is nonsense. */
static bool complete_checksum(uint8_t *frame, size_t len, const uint8_t *header)
{
    size_t start = le_get16(header + H_CSUM_START), at = start + le_get16(header + H_CSUM_OFFSET);
    uint64_t sum = 0;

    if (start >= len || at + 2 > len) {
        return false;
    }
    for (size_t i = start; i + 1 < len; i += 2) {
        sum += (unsigned)frame[i] << 8 | frame[i + 1];
    }
    if ((len - start) & 1) {
        sum += (unsigned)frame[len - 1] << 8;
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum = ~sum & 0xffff;
    sum = sum ? sum : 0xffff; /* 0 means "none" to UDP, and both are the same to TCP */
    frame[at] = (uint8_t)(sum >> 8);
    frame[at + 1] = (uint8_t)sum;
    return true;
}

static void send_chain(struct virtio_net *n, const struct virtq_chain *c)
{
    uint8_t header[HEADER] = {0};
    unsigned head = header_bytes(n);
    uint64_t len = c->out_bytes - head;

    if (c->out_bytes < head + ETHERNET_HEADER || len > MAX_FRAME ||
        virtq_read(c, 0, header, head) != head || virtq_read(c, head, n->frame, len) != len) {
        log_at(n->virtio.pci.dev.machine->log, LOG_GUEST_ERROR,
               "virtio-net-pci: frame of %llu bytes dropped\n", (unsigned long long)c->out_bytes);
        return;
    }
    if ((header[H_FLAGS] & FLAG_NEEDS_CSUM) && !complete_checksum(n->frame, len, header)) {
        log_at(n->virtio.pci.dev.machine->log, LOG_GUEST_ERROR,
               "virtio-net-pci: checksum outside of the frame\n");
        return;
    }
    if (n->netdev) {
        netdev_send(n->netdev, n->frame, len);
    }
}

static void send_later(void *opaque);

static void plan_send(struct virtio_net *n, unsigned pair)
{
    n->send_pairs |= 1u << pair;
    if (!n->send_planned) {
        n->send_planned = true;
        netdev_defer(n->netdev, send_later, n);
    }
}

static void send_waiting(struct virtio_net *n, unsigned pair)
{
    struct virtqueue *q = &n->virtio.queue[2 * pair + 1];
    struct virtq_chain *c;
    unsigned sent = 0;

    do {
        virtqueue_want_kicks(q, false);
        while (sent < SEND_BATCH && (c = virtqueue_pop(q)) != NULL) {
            send_chain(n, c);
            virtqueue_push(c, 0);
            sent++;
        }
        virtqueue_notify(q);
        if (sent >= SEND_BATCH && n->netdev) {
            plan_send(n, pair); /* others want the main loop too */
            return;
        }
        sent = 0;
        virtqueue_want_kicks(q, true);
    } while (!virtqueue_empty(q));
}

static void send_later(void *opaque)
{
    struct virtio_net *n = opaque;

    uint32_t pairs = n->send_pairs;

    n->send_planned = false;
    n->send_pairs = 0;
    for (unsigned i = 0; i < max_pairs(n); i++) {
        if (pairs >> i & 1) {
            send_waiting(n, i);
        }
    }
}

/* ---- the control queue ---- */

static bool read_macs(struct virtio_net *n, const struct virtq_chain *c, uint64_t *at,
                      uint32_t *count, bool *overflow, unsigned used)
{
    uint8_t number[4];

    if (virtq_read(c, *at, number, 4) != 4) {
        return false;
    }
    uint64_t entries = le_get32(number), bytes = entries * MAC_BYTES;
    *at += 4;
    *overflow = entries > MAC_TABLE - used;
    *count = *overflow ? 0 : (uint32_t)entries;
    if (*count && virtq_read(c, *at, &n->table[used * MAC_BYTES], bytes) != bytes) {
        return false;
    }
    *at += bytes;
    return *at <= c->out_bytes;
}

static bool set_mac_table(struct virtio_net *n, const struct virtq_chain *c)
{
    uint64_t at = 2;

    n->nunicast = n->nmulticast = 0;
    return read_macs(n, c, &at, &n->nunicast, &n->unicast_overflow, 0) &&
           read_macs(n, c, &at, &n->nmulticast, &n->multicast_overflow, n->nunicast);
}

static bool control(struct virtio_net *n, const struct virtq_chain *c)
{
    uint8_t command[2], value;

    if (virtq_read(c, 0, command, 2) != 2) {
        return false;
    }
    if (command[0] == CTRL_RX && command[1] < RX_MODES) {
        if (virtq_read(c, 2, &value, 1) != 1) {
            return false;
        }
        n->rx_mode[command[1]] = value != 0;
        return true;
    }
    if (command[0] == CTRL_MAC && command[1] == MAC_TABLE_SET) {
        return set_mac_table(n, c);
    }
    if (command[0] == CTRL_MQ && command[1] == 0 && virtio_has(&n->virtio, F_MQ)) {
        uint8_t pairs[2];
        if (virtq_read(c, 2, pairs, 2) != 2 || !le_get16(pairs) || le_get16(pairs) > max_pairs(n)) {
            return false;
        }
        n->pairs = le_get16(pairs);
        return true;
    }
    if (command[0] == CTRL_MAC && command[1] == MAC_ADDR_SET) {
        uint8_t mac[MAC_BYTES];
        if (virtq_read(c, 2, mac, MAC_BYTES) != MAC_BYTES) {
            return false;
        }
        memcpy(n->address, mac, MAC_BYTES);
        return true;
    }
    return false;
}

static void serve_control(struct virtio_net *n, struct virtqueue *q)
{
    struct virtq_chain *c;

    while ((c = virtqueue_pop(q)) != NULL) {
        if (!c->in_bytes) {
            virtio_error(&n->virtio, "control command without room for its answer");
            free(c);
            return;
        }
        uint8_t ack = control(n, c) ? ACK_OK : ACK_ERR;
        virtq_write(c, c->in_bytes - 1, &ack, 1);
        virtqueue_push(c, 1);
    }
    virtqueue_notify(q);
}

static void net_kick(struct virtio *v, struct virtqueue *q)
{
    struct virtio_net *n = container_of(v, struct virtio_net, virtio);

    unsigned control = virtio_has(v, F_MQ) ? 2 * max_pairs(n) : Q_CONTROL;

    if (n->ctrl_vq && q->index == control) {
        serve_control(n, q);
    } else if (!(q->index & 1) && n->netdev) {
        if (end_merge(n)) {
            netdev_ready(n->netdev);
        }
    } else if ((q->index & 1) && n->netdev) {
        virtqueue_want_kicks(q, false);
        plan_send(n, q->index / 2);
    } else if (q->index & 1) {
        send_waiting(n, q->index / 2); /* to nowhere */
    }
}

bool virtio_net_filter(struct device *d, struct virtio_net_filter *f)
{
    struct virtio_net *n = (struct virtio_net *)d;

    if (d->type != &virtio_net_type) {
        return false;
    }
    *f = (struct virtio_net_filter){
        .promiscuous = n->rx_mode[RX_PROMISC],
        .all_multicast = n->rx_mode[RX_ALLMULTI],
        .no_multicast = n->rx_mode[RX_NOMULTI],
        .all_unicast = n->rx_mode[RX_ALLUNI],
        .no_unicast = n->rx_mode[RX_NOUNI],
        .no_broadcast = n->rx_mode[RX_NOBCAST],
        .unicast_overflow = n->unicast_overflow,
        .multicast_overflow = n->multicast_overflow,
        .mac = n->address,
        .table = n->table,
        .nunicast = n->nunicast,
        .nmulticast = n->nmulticast,
    };
    return true;
}

/* ---- configuration ---- */

static uint64_t net_features(struct virtio *v)
{
    struct virtio_net *n = container_of(v, struct virtio_net, virtio);
    bool large = n->netdev && netdev_takes_large(n->netdev) && n->csum;
    uint64_t f = 1u << F_MAC | 1u << F_STATUS;

    f |= n->csum ? 1u << F_CSUM : 0;
    f |= n->guest_csum ? 1u << F_GUEST_CSUM : 0;
    f |= large && n->host_tso4 ? 1u << F_HOST_TSO4 : 0;
    f |= large && n->host_tso6 ? 1u << F_HOST_TSO6 : 0;
    f |= n->guest_csum && n->guest_tso4 ? 1u << F_GUEST_TSO4 : 0;
    f |= n->mrg_rxbuf ? 1u << F_MRG_RXBUF : 0;
    f |= n->host_mtu ? 1u << F_MTU : 0;
    f |= n->ctrl_vq && max_pairs(n) > 1 ? 1u << F_MQ : 0;
    if (n->ctrl_vq) {
        f |= 1u << F_CTRL_VQ | 1u << F_CTRL_RX | 1u << F_CTRL_RX_EXTRA | 1u << F_CTRL_MAC_ADDR;
    }
    return f;
}

static void net_config(struct virtio *v, uint8_t *config)
{
    struct virtio_net *n = container_of(v, struct virtio_net, virtio);

    memcpy(config + C_MAC, n->address, MAC_BYTES);
    le_put16(config + C_STATUS, n->netdev && netdev_link_up(n->netdev) ? STATUS_UP : 0);
    le_put16(config + C_PAIRS, (uint16_t)max_pairs(n));
    le_put16(config + C_MTU, (uint16_t)n->host_mtu);
}

/* Only drivers of before 1.0 set the address here. */
static void net_config_write(struct virtio *v, const uint8_t *config, unsigned offset,
                             unsigned size)
{
    struct virtio_net *n = container_of(v, struct virtio_net, virtio);

    (void)size;
    if (offset < MAC_BYTES && !virtio_has(v, VIRTIO_F_VERSION_1)) {
        memcpy(n->address, config + C_MAC, MAC_BYTES);
    }
}

static void net_soft_reset(struct virtio *v)
{
    struct virtio_net *n = container_of(v, struct virtio_net, virtio);

    memcpy(n->address, n->own_mac, MAC_BYTES);
    memset(n->rx_mode, 0, sizeof(n->rx_mode));
    n->rx_mode[RX_PROMISC] = 1; /* until the driver says what it wants */
    n->nunicast = n->nmulticast = 0;
    n->unicast_overflow = n->multicast_overflow = false;
    n->merge.len = 0;
    n->pairs = 1;
}

static const struct virtio_class net_class = {
    .id = 1,
    .config_size = CONFIG_BYTES,
    .features = net_features,
    .config_read = net_config,
    .config_write = net_config_write,
    .kick = net_kick,
    .reset = net_soft_reset,
};

/* ---- life ---- */

static void net_reset(struct device *d)
{
    virtio_reset((struct virtio *)d);
}

static void link_changed(void *opaque)
{
    virtio_config_changed(&((struct virtio_net *)opaque)->virtio);
}

static bool check_size(const char *name, unsigned size, struct error *err)
{
    return (size >= 64 && size <= VIRTQUEUE_MAX && !(size & (size - 1))) ||
           error_set(err, "virtio-net-pci: %s=%u is not a power of 2 from 64 to %d", name, size,
                     VIRTQUEUE_MAX);
}

static bool net_realize(struct device *d, struct error *err)
{
    struct virtio_net *n = (struct virtio_net *)d;

    if (!net_card_address(d, n->mac, n->own_mac, err) ||
        !check_size("rx_queue_size", n->rx_queue_size, err) ||
        !check_size("tx_queue_size", n->tx_queue_size, err)) {
        return false;
    }
    if (!n->queues) {
        n->queues = d->machine->nvcpus < 8 ? d->machine->nvcpus : 8;
        n->queues += !n->queues;
    }
    if (n->queues > MAX_PAIRS) {
        return error_set(err, "virtio-net-pci: queues=%u is not from 1 to %d", n->queues,
                         MAX_PAIRS);
    }
    n->pairs = 1;
    if (n->host_mtu && (n->host_mtu < 68 || n->host_mtu > 65535)) {
        return error_set(err, "virtio-net-pci: host_mtu=%u is not from 68 to 65535", n->host_mtu);
    }
    if (n->netdev &&
        !netdev_connect(n->netdev, &(struct net_card){n, receive, batch_end, link_changed}, err)) {
        return false;
    }
    for (unsigned i = 0; i < max_pairs(n); i++) {
        virtio_add_queue(&n->virtio, 2 * i, n->rx_queue_size);
        virtio_add_queue(&n->virtio, 2 * i + 1, n->tx_queue_size);
    }
    if (n->ctrl_vq) {
        virtio_add_queue(&n->virtio, 2 * max_pairs(n), CONTROL_QUEUE_SIZE);
    }
    return virtio_init(&n->virtio, &net_class, err) &&
           pci_load_rom(&n->virtio.pci, n->romfile, "pxe-virtio.rom", n->rombar, err);
}

static const struct pci_info net_info = VIRTIO_PCI_INFO(0x1000, 1, 0x02, 0x00);

const struct device_type virtio_net_type = {
    .name = "virtio-net-pci",
    .summary = "virtio network card",
    .bus = BUS_PCI,
    .size = sizeof(struct virtio_net),
    .props = net_props,
    .state = &net_state,
    .realize = net_realize,
    .reset = net_reset,
    .user_creatable = true,
    .bus_info = &net_info,
};
