/* MSI-X: interrupts as messages, one table entry a source. PCI Local Bus Specification 3.0, 6.8.2.
 */
#ifndef HW_PCI_MSIX_H
#define HW_PCI_MSIX_H

#include "hw/pci/pci.h"

enum { MSIX_MAX = 128 };

struct msix {
    struct pci_device *pci;
    unsigned n;   /* entries of the table; 0: the device has no MSI-X */
    unsigned cap; /* offset of the capability */
    uint8_t table[MSIX_MAX * 16];
    uint8_t pending[MSIX_MAX / 8];
};

/* Adds the capability; table and pending bits fill BAR bar (4 KiB of memory). */
bool msix_init(struct msix *x, struct pci_device *p, unsigned bar, unsigned n, struct error *err);
void msix_reset(struct msix *x);
bool msix_enabled(const struct msix *x);
/* Sends message n, or keeps it pending while it is masked. */
void msix_notify(struct msix *x, unsigned n);
/* Call from the device's config_written: unmasking sends what is pending. */
void msix_config_written(struct msix *x, unsigned offset, unsigned size);

extern const struct state_field msix_fields[];
#define STATE_MSIX(st, f)                                                                          \
    {                                                                                              \
#f, ST_STRUCT, offsetof(st, f), 1, 1, sizeof(struct msix), msix_fields                     \
    }

/* The write that is a message signalled interrupt; nothing while bus mastering is off. */
void pci_send_message(struct pci_device *p, uint64_t addr, uint32_t data);

#endif
