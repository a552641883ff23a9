/* The AHCI controller as drives see it, and what its two files share. */
#ifndef HW_IDE_AHCI_H
#define HW_IDE_AHCI_H

#include "hw/ide/ide.h"
#include "hw/pci/pci.h"

enum { AHCI_PORTS = 6, AHCI_SLOTS = 32, AHCI_NO_SLOT = 0xff };

enum { /* port interrupts */
       AHCI_IS_D2H = 1 << 0,
       AHCI_IS_PIO_SETUP = 1 << 1,
       AHCI_IS_DEVICE_BITS = 1 << 3,
       AHCI_IS_CONNECT = 1 << 6,
       AHCI_IS_OVERFLOW = 1 << 24,
       AHCI_IS_INTERFACE = 1 << 27,
       AHCI_IS_HOST_BUS = 1 << 29,
       AHCI_IS_TASK_FILE = 1 << 30,
};

struct ahci;
struct ahci_queued;

struct ahci_table {   /* a command's list of memory regions, and the place in it */
    uint64_t command; /* address of the command table */
    uint32_t entries;
    uint32_t index; /* of the next entry */
    uint64_t addr;  /* rest of the current one */
    uint32_t left;
    uint32_t moved; /* bytes so far */
};

struct ahci_port {
    struct ahci *hba;
    struct ide_channel channel;
    uint8_t index;
    uint32_t clb, clbu, fb, fbu, is, ie, cmd, tfd, sig, ssts, sctl, serr, sact, ci;
    uint8_t slot; /* of the running command that is not queued; AHCI_NO_SLOT: none */
    bool stopped; /* after an error, until software clears ST */
    bool hello;   /* the drive's signature has not been received yet */
    bool pumping, running;
    uint32_t queued; /* slots of commands that the drive has in its queue */
    struct ahci_table table;
    uint32_t generation; /* queued commands of an older one are void */
    struct ahci_queued *requests;
};

extern const struct device_type ahci_type;
struct ide_channel *ahci_channel(struct device *d, unsigned long port); /* NULL: no such port */
void ahci_drive_plugged(struct ide_channel *c);    /* before the machine runs */
char *ahci_boot_path(const struct ide_channel *c); /* to be freed */

/* ---- between ahci.c and ahci_ncq.c ---- */
struct machine *ahci_machine(const struct ahci_port *p);
/* The next region of memory of at most max bytes; false: the list is over or not readable. */
bool ahci_table_next(struct ahci_port *p, struct ahci_table *t, uint32_t max, uint64_t *addr,
                     uint32_t *len);
void ahci_port_interrupt(struct ahci_port *p, uint32_t bits);
void ahci_port_run(struct ahci_port *p); /* starts what waits in the command list */
/* Set Device Bits: these commands are done; error: of the error register. */
void ahci_device_bits(struct ahci_port *p, uint32_t done, uint8_t error);
void ahci_queue(struct ahci_port *p, unsigned slot, const uint8_t *fis, const struct ahci_table *t);
void ahci_queue_cancel(struct ahci_port *p); /* waits for the image; the commands never end */
void ahci_queue_destroy(struct ahci_port *p);

#endif
