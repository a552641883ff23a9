/* PCI: configuration space, BARs, INTx routing. PCI Local Bus Specification 3.0. */
#ifndef HW_PCI_PCI_H
#define HW_PCI_PCI_H

#include "hw/device.h"

struct pci_bus;
struct pci_device;

struct pci_info { /* device_type.bus_info */
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint8_t revision, prog_if, subclass, class; /* class code bytes */
    uint8_t interrupt_pin;                      /* 0 none, 1 INTA */
    bool multifunction;
};

struct pci_bar {
    uint64_t size; /* 0: absent */
    bool io, prefetch, is64;
    const struct mmio_ops *ops;
    void *opaque;
    struct ram *ram;     /* memory BAR backed by RAM instead of ops */
    struct mapping *map; /* present while decoded */
    uint64_t addr;       /* where it is mapped now */
};

struct pci_device {
    struct device dev; /* must be first */
    struct pci_bus *bus;
    uint8_t devfn;         /* device << 3 | function */
    uint8_t config[256];   /* little endian */
    uint8_t wmask[256];    /* bits the guest may write */
    uint8_t w1cmask[256];  /* bits that a written 1 clears */
    struct pci_bar bar[7]; /* 6: expansion ROM */
    uint16_t cap_end;   /* where the next capability goes; 0: 0x40. Set it to keep a space free */
    uint32_t irq_level; /* INTx state asserted by the device */
    bool intx_driven;   /* what the bus line gets: irq_level unless disabled */
    /* Before a configuration read: brings the bytes up to date; may be NULL. */
    void (*config_reading)(struct pci_device *p, unsigned offset, unsigned size);
    /* After the default effect of a configuration write; may be NULL. */
    void (*config_written)(struct pci_device *p, unsigned offset, unsigned size);
};

/* devfn -1: first free slot. Called by pci devices' realize first. */
bool pci_register(struct pci_device *p, int devfn, struct error *err);
/* The properties bus= ("pci.0") and addr= ("5", "05.1", "0x5": slot and function in hex) as a
 * devfn; both may be NULL. -1: any. */
bool pci_parse_address(const char *bus, const char *addr, int *devfn, struct error *err);
void pci_set_bar_mmio(struct pci_device *p, unsigned n, uint64_t size, bool io,
                      const struct mmio_ops *ops, void *opaque);
void pci_set_bar_ram(struct pci_device *p, unsigned n, struct ram *ram, bool prefetch);
/* The expansion ROM: romfile, "" for none, or with NULL the file `def` of the distribution's
 * package, if it is there. rombar false: none either. */
bool pci_load_rom(struct pci_device *p, const char *romfile, const char *def, bool rombar,
                  struct error *err);
#define PCI_ROM_PROPS(st, f_romfile, f_rombar, def)                                                \
    {"romfile", PT_STRING, offsetof(st, f_romfile), 0,                                             \
     "expansion ROM; empty: none (default: " def ")"},                                             \
    {                                                                                              \
        "rombar", PT_BOOL, offsetof(st, f_rombar), 1, "show the expansion ROM"                     \
    }
void pci_set_intx(struct pci_device *p, int level);
unsigned pci_add_capability(struct pci_device *p, uint8_t id, unsigned size); /* offset; 0: full */
void pci_device_reset(struct pci_device *p); /* command, BARs, INTx: called by the bus at reset */
/* State tables of PCI devices start with STATE_PCI(struct foo, pci); their loaded() (which they
 * must have) calls pci_device_loaded(). */
extern const struct state_field pci_state_fields[];
#define STATE_PCI(st, f)                                                                           \
    {                                                                                              \
#f, ST_STRUCT, offsetof(st, f), 1, 1, sizeof(struct pci_device), pci_state_fields          \
    }
void pci_device_loaded(struct pci_device *p); /* maps BARs, drives INTx again */
/* Little-endian words of the configuration space, without side effects. */
uint16_t pci_get16(const struct pci_device *p, unsigned offset);
uint32_t pci_get32(const struct pci_device *p, unsigned offset);
void pci_set16(struct pci_device *p, unsigned offset, uint16_t value);
void pci_set32(struct pci_device *p, unsigned offset, uint32_t value);
/* DMA as a bus master; false when bus mastering is off. */
bool pci_dma_read(struct pci_device *p, uint64_t addr, void *buf, uint64_t len);
bool pci_dma_write(struct pci_device *p, uint64_t addr, const void *buf, uint64_t len);

/* Boards and host bridges. map_irq: (slot, pin 0..3) -> line number passed to set. */
struct pci_bus *pci_bus_create(struct machine *m, unsigned number,
                               int (*map_irq)(struct pci_device *p, int pin),
                               const struct irq *lines,
                               unsigned nlines); /* number 0: becomes pci_root */
void pci_bus_set_line(struct pci_bus *b, unsigned n, struct irq line); /* wired later */
void pci_bus_destroy(struct pci_bus *b); /* the root bus: done by devices_destroy */
struct pci_bus *pci_root(struct machine *m);
struct pci_device *pci_find(struct pci_bus *b, uint8_t devfn);
uint32_t pci_config_read(struct pci_bus *b, uint8_t bus, uint8_t devfn, unsigned offset,
                         unsigned size);
void pci_config_write(struct pci_bus *b, uint8_t bus, uint8_t devfn, unsigned offset,
                      uint32_t value, unsigned size);
void pci_bus_reset(struct pci_bus *b);
char *pci_describe(struct pci_bus *b); /* `info pci` */

#endif
