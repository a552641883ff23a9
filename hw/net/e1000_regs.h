/* Registers of the 82540EM, as indices of 32-bit words, and their bits. */
#ifndef HW_NET_E1000_REGS_H
#define HW_NET_E1000_REGS_H

enum {
    R_CTRL = 0x0000 / 4,
    R_CTRL_DUP = 0x0004 / 4,
    R_STATUS = 0x0008 / 4,
    R_EECD = 0x0010 / 4,
    R_EERD = 0x0014 / 4,
    R_MDIC = 0x0020 / 4,
    R_ICR = 0x00c0 / 4,
    R_ITR = 0x00c4 / 4,
    R_ICS = 0x00c8 / 4,
    R_IMS = 0x00d0 / 4,
    R_IMC = 0x00d8 / 4,
    R_RCTL = 0x0100 / 4,
    R_TCTL = 0x0400 / 4,
    R_LEDCTL = 0x0e00 / 4,
    R_PBA = 0x1000 / 4,
    R_RDBAL = 0x2800 / 4,
    R_RDLEN = 0x2808 / 4,
    R_RDH = 0x2810 / 4,
    R_RDT = 0x2818 / 4,
    R_TDBAL = 0x3800 / 4,
    R_TDLEN = 0x3808 / 4,
    R_TDH = 0x3810 / 4,
    R_TDT = 0x3818 / 4,
    R_GPRC = 0x4074 / 4,
    R_GPTC = 0x4080 / 4,
    R_TPR = 0x40d0 / 4,
    R_TPT = 0x40d4 / 4,
    R_RXCSUM = 0x5000 / 4,
    R_MTA = 0x5200 / 4,
    R_RA = 0x5400 / 4,
    R_MANC = 0x5820 / 4,
};

#define CTRL_RST         0x04000000u
#define STATUS_LINK_UP   2u
#define STATUS_LINK_1000 0x80000083u /* initialized, 1000 Mb/s, link up, full duplex */

enum {
    EECD_SK = 1,
    EECD_CS = 2,
    EECD_DI = 4,
    EECD_DO = 8,
    EECD_REQ = 0x40,
    EECD_GRANT = 0x80,
    EECD_PRESENT = 0x100
};
enum { EERD_START = 1, EERD_DONE = 0x10 };
#define MDIC_READY     0x10000000u
#define MDIC_INTERRUPT 0x20000000u
#define MDIC_ERROR     0x40000000u

enum {
    ICR_TXDW = 1,
    ICR_TXQE = 2,
    ICR_LSC = 4,
    ICR_RXDMT0 = 0x10,
    ICR_RXO = 0x40,
    ICR_RXT0 = 0x80,
    ICR_MDAC = 0x200,
};
#define ICR_ASSERTED 0x80000000u

enum {
    RCTL_EN = 2,
    RCTL_UPE = 8,
    RCTL_MPE = 0x10,
    RCTL_LPE = 0x20,
    RCTL_BAM = 0x8000,
    RCTL_BSEX = 0x02000000,
    RCTL_SECRC = 0x04000000,
};
enum { TCTL_EN = 2, RXCSUM_IP = 0x100, RXCSUM_TU = 0x200 };
#define RAH_VALID 0x80000000u

/* transmit descriptors */
enum { CMD_EOP = 1, CMD_IC = 4, CMD_TSE = 4, CMD_RS = 8, CMD_DEXT = 0x20 };
enum {
    DTYP_CONTEXT = 0,
    DTYP_DATA = 1,
    POPTS_IXSM = 1,
    POPTS_TXSM = 2,
    TUCMD_TCP = 1,
    TUCMD_IP = 2
};
/* status of both kinds */
enum { STATUS_DD = 1, STATUS_EOP = 2, STATUS_TCPCS = 0x20, STATUS_IPCS = 0x40 };

#endif
