/* Registers of the RTL8139C+, and what its two halves (rtl8139.c, rtl8139_cplus.c) share. */
#ifndef HW_NET_RTL8139_H
#define HW_NET_RTL8139_H

#include "hw/net/card.h"
#include "hw/pci/pci.h"

struct netdev;

enum rtl8139_reg {
    R_IDR = 0x00,
    R_MAR = 0x08,
    R_TSD = 0x10,  /* four; in C+ mode 10h is the address for the counters */
    R_TSAD = 0x20, /* four; in C+ mode the descriptors' address */
    R_RBSTART = 0x30,
    R_ERBCR = 0x34,
    R_CR = 0x37,
    R_CAPR = 0x38,
    R_CBR = 0x3a,
    R_IMR = 0x3c,
    R_ISR = 0x3e,
    R_TCR = 0x40,
    R_RCR = 0x44,
    R_TCTR = 0x48,
    R_MPC = 0x4c,
    R_9346CR = 0x50,
    R_CONFIG0 = 0x51,
    R_CONFIG1 = 0x52,
    R_TIMERINT = 0x54,
    R_MSR = 0x58,
    R_CONFIG3 = 0x59,
    R_CONFIG4 = 0x5a,
    R_MULINT = 0x5c,
    R_TSAD_ALL = 0x60,
    R_BMCR = 0x62,
    R_BMSR = 0x64,
    R_ANAR = 0x66,
    R_ANLPAR = 0x68,
    R_ANER = 0x6a,
    R_CSCR = 0x74,
    R_CONFIG5 = 0xd8,
    R_TPPOLL = 0xd9,
    R_CPCR = 0xe0,
    R_RDSAR = 0xe4,
    R_EARLY_TX = 0xec,
    R_REGS = 0x100,
};

enum { CR_EMPTY = 1, CR_TE = 4, CR_RE = 8, CR_RST = 0x10 };
enum {
    ISR_ROK = 1,
    ISR_RER = 2,
    ISR_TOK = 4,
    ISR_TER = 8,
    ISR_RXOVW = 0x10,
    ISR_LINK = 0x20,
    ISR_FOVW = 0x40,
    ISR_TDU = 0x80,
    ISR_SW = 0x100,
    ISR_TIMEOUT = 0x4000,
    ISR_SERR = 0x8000,
};
#define TSD_OWN     (1u << 13)
#define TSD_TUN     (1u << 14)
#define TSD_TOK     (1u << 15)
#define TSD_TABT    (1u << 30)
#define TCR_CLRABT  1u
#define TCR_LOOP    (3u << 17)
#define TCR_VERSION 0x74800000u /* 8139C+ */
enum { RCR_AAP = 1, RCR_APM = 2, RCR_AM = 4, RCR_AB = 8, RCR_AR = 16, RCR_WRAP = 0x80 };
enum {
    EE_DO = 1,
    EE_DI = 2,
    EE_SK = 4,
    EE_CS = 8,
    EE_MODE = 0xc0,
    EE_UNLOCKED = 0xc0,
    EE_PROGRAM = 0x80
};
enum { CPCR_TX = 1, CPCR_RX = 2, CPCR_CHECKSUM = 0x20, CPCR_VLAN = 0x40 };

enum { RTL_MAX_FRAME = 65536 + 256, RTL_EEPROM_WORDS = 64 };

struct rtl8139 {
    struct pci_device pci; /* must be first */
    struct netdev *netdev; /* properties */
    char *mac, *addr, *bus, *romfile;
    bool rombar;

    uint8_t reg[R_REGS]; /* as read and written; little endian */
    uint16_t eeprom[RTL_EEPROM_WORDS];
    uint32_t ee_shift;
    uint8_t ee_bits, ee_out;
    uint8_t next_tx;             /* legacy: the descriptor whose turn it is */
    uint32_t tx_index, rx_index; /* C+: descriptors of the rings */
    int64_t count_from;          /* when TCTR was 0 */
    uint64_t sent, received;
    bool deaf; /* a frame waits for a receive descriptor */
    struct timer timer_int, listen;

    bool send_planned;
    bool dropping; /* C+: the frame that is gathered is too long */
    uint32_t gathered;
    uint8_t frame[RTL_MAX_FRAME], scratch[RTL_MAX_FRAME];
};

static inline struct memory *rtl_memory(const struct rtl8139 *s)
{
    return s->pci.dev.machine->memory;
}
uint16_t rtl_get16(const struct rtl8139 *s, unsigned r);
uint32_t rtl_get32(const struct rtl8139 *s, unsigned r);
void rtl_put32(struct rtl8139 *s, unsigned r, uint32_t v);
void rtl_raise(struct rtl8139 *s, uint16_t causes);
/* To the network, or back to ourselves in loop-back. */
void rtl_emit(void *rtl8139, const uint8_t *frame, size_t len);

/* rtl8139_cplus.c. Sending: true when there may be more than one batch. */
bool rtl_cplus_send(struct rtl8139 *s);
/* How a frame found its way through the filter: bits of the receive descriptor. */
enum { RX_MULTICAST = 1, RX_PHYSICAL = 2, RX_BROADCAST = 4 };
/* False: no descriptor. */
bool rtl_cplus_receive(struct rtl8139 *s, const uint8_t *frame, size_t len, unsigned match);
void rtl_cplus_dump_counters(struct rtl8139 *s, uint64_t addr);

#endif
