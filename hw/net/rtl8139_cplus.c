/* The C+ mode of the RTL8139C+: rings of 16-byte descriptors with checksum and segmentation
 * offload. Realtek, RTL8139C+ data sheet 1.6, chapters "C+ mode". Left out: the high priority
 * queue, frames of more than one receive descriptor. */
#include "hw/net/rtl8139.h"

#include "host/le.h"
#include "host/net.h"
#include "hw/net/offload.h"

#include <string.h>

enum { RING = 64, BATCH = 256, CRC_BYTES = 4 };
#define D_OWN   (1u << 31)
#define D_END   (1u << 30)
#define D_FIRST (1u << 29)
#define D_LAST  (1u << 28)
/* transmit */
#define T_LARGE (1u << 27)
#define T_IPCS  (1u << 18)
#define T_UDPCS (1u << 17)
#define T_TCPCS (1u << 16)
#define T_VLAN  (1u << 17) /* of the second word */
/* receive */
#define V_TAGGED (1u << 16) /* of the second word */
enum { R_MULTI_SHIFT = 26, R_PHYS_SHIFT = 25, R_BROAD_SHIFT = 24, R_PROTOCOL_SHIFT = 16 };
enum { PROTOCOL_TCP = 1, PROTOCOL_UDP, PROTOCOL_IP };

static uint64_t ring_at(const struct rtl8139 *s, unsigned reg, uint32_t index)
{
    return ((rtl_get32(s, reg) & ~255u) | (uint64_t)rtl_get32(s, reg + 4) << 32) +
           (uint64_t)index * 16;
}

static uint32_t after(uint32_t index, uint32_t command)
{
    return command & D_END || index + 1 >= RING ? 0 : index + 1;
}

/* ---- sending ---- */

static void insert_tag(struct rtl8139 *s, uint16_t tag)
{
    if (s->gathered < 12 || s->gathered + 4 > RTL_MAX_FRAME) {
        return;
    }
    memmove(s->frame + 16, s->frame + 12, s->gathered - 12);
    s->frame[12] = 0x81;
    s->frame[13] = 0;
    s->frame[14] = (uint8_t)tag; /* the descriptor has it in the order of the wire */
    s->frame[15] = (uint8_t)(tag >> 8);
    s->gathered += 4;
}

static void send_frame(struct rtl8139 *s, uint32_t command, uint32_t vlan)
{
    struct offload_ip4 p;

    if (vlan & T_VLAN) {
        insert_tag(s, (uint16_t)vlan);
    }
    if (command & T_LARGE) {
        size_t mss = command >> 16 & 0x7ff, len = s->gathered;
        if (s->netdev && netdev_takes_large(s->netdev)) {
            mss = len;
        }
        if (!offload_tcp_segments(s->frame, len, mss, s->scratch, rtl_emit, s)) {
            log_at(s->pci.dev.machine->log, LOG_GUEST_ERROR,
                   "rtl8139: large send of no TCP packet\n");
        }
        return;
    }
    if ((command & (T_IPCS | T_UDPCS | T_TCPCS)) && offload_parse(s->frame, s->gathered, &p)) {
        if (command & T_IPCS) {
            offload_ip_checksum(s->frame, &p);
        }
        if (command & (p.protocol == 6 ? T_TCPCS : p.protocol == 17 ? T_UDPCS : 0)) {
            offload_l4_checksum(s->frame, &p);
        }
    }
    rtl_emit(s, s->frame, s->gathered);
}

static void gather(struct rtl8139 *s, uint64_t addr, uint32_t len)
{
    if (len > RTL_MAX_FRAME - s->gathered) {
        s->dropping = true;
        return;
    }
    s->dropping |= memory_read_ram(rtl_memory(s), addr, s->frame + s->gathered, len) != len;
    s->gathered += len;
}

/* False: the next descriptor is the driver's. */
static bool send_one(struct rtl8139 *s)
{
    uint64_t at = ring_at(s, R_TSAD, s->tx_index);
    uint8_t d[16];

    if (memory_read_ram(rtl_memory(s), at, d, sizeof(d)) != sizeof(d) || !(le_get32(d) & D_OWN)) {
        return false;
    }
    uint32_t command = le_get32(d), vlan = le_get32(d + 4);
    if (command & D_FIRST) {
        s->gathered = 0;
        s->dropping = false;
    }
    gather(s, le_get64(d + 8), command & 0xffff);
    if (command & D_LAST) {
        if (!s->dropping) {
            send_frame(s, command, vlan);
        }
        s->gathered = 0;
        s->dropping = false;
    }
    le_put32(d, command & ~D_OWN);
    memory_write_ram(rtl_memory(s), at, d, 4);
    s->tx_index = after(s->tx_index, command);
    return true;
}

bool rtl_cplus_send(struct rtl8139 *s)
{
    uint64_t before = s->sent; /* one descriptor may give many frames */
    bool any = false, more = true;

    for (unsigned n = 0; more && n < BATCH && s->sent - before < BATCH; n++) {
        more = send_one(s);
        any |= more;
    }
    if (!more) {
        s->reg[R_TPPOLL] = 0;
    }
    rtl_raise(s, (uint16_t)((any ? ISR_TOK : 0) | (more ? 0 : ISR_TDU)));
    return more;
}

/* ---- receiving ---- */

static unsigned protocol_of(const uint8_t *frame, size_t len)
{
    struct offload_ip4 p;

    if (!offload_parse(frame, len, &p)) {
        return 0;
    }
    return p.fragment         ? PROTOCOL_IP
           : p.protocol == 6  ? PROTOCOL_TCP
           : p.protocol == 17 ? PROTOCOL_UDP
                              : PROTOCOL_IP;
}

bool rtl_cplus_receive(struct rtl8139 *s, const uint8_t *frame, size_t len, unsigned match)
{
    uint64_t at = ring_at(s, R_RDSAR, s->rx_index);
    uint16_t mode = rtl_get16(s, R_CPCR);
    uint8_t d[16], crc[CRC_BYTES] = {0};
    uint32_t vlan = 0;
    size_t tag = 0;

    if (memory_read_ram(rtl_memory(s), at, d, sizeof(d)) != sizeof(d) || !(le_get32(d) & D_OWN)) {
        return false;
    }
    uint32_t command = le_get32(d), room = command & 0x1fff;
    uint64_t buffer = le_get64(d + 8);
    if ((mode & CPCR_VLAN) && len >= 18 && frame[12] == 0x81 && frame[13] == 0) {
        vlan = V_TAGGED | frame[14] | (uint32_t)frame[15] << 8;
        tag = 4;
    }
    if (len - tag + CRC_BYTES > room) {
        rtl_raise(s, ISR_RXOVW); /* gone: it will never fit */
        return true;
    }
    memory_write_ram(rtl_memory(s), buffer, frame, tag ? 12 : len);
    if (tag) {
        memory_write_ram(rtl_memory(s), buffer + 12, frame + 16, len - 16);
    }
    memory_write_ram(rtl_memory(s), buffer + len - tag, crc, CRC_BYTES);
    uint32_t status = (command & D_END) | D_FIRST | D_LAST | (uint32_t)(len - tag + CRC_BYTES) |
                      (uint32_t)(match & RX_MULTICAST ? 1u << R_MULTI_SHIFT : 0) |
                      (match & RX_PHYSICAL ? 1u << R_PHYS_SHIFT : 0) |
                      (match & RX_BROADCAST ? 1u << R_BROAD_SHIFT : 0);
    if (mode & CPCR_CHECKSUM) {
        status |= protocol_of(frame, len)
                  << R_PROTOCOL_SHIFT; /* and none of the bits that say "wrong" */
    }
    le_put32(d + 4, vlan);
    memory_write_ram(rtl_memory(s), at + 4, d + 4, 4);
    le_put32(d, status);
    memory_write_ram(rtl_memory(s), at, d, 4);
    s->rx_index = after(s->rx_index, command);
    return true;
}

void rtl_cplus_dump_counters(struct rtl8139 *s, uint64_t addr)
{
    uint8_t counters[64] = {0};

    le_put64(counters, s->sent);
    le_put64(counters + 8, s->received);
    memory_write_ram(rtl_memory(s), addr, counters, sizeof(counters));
}
