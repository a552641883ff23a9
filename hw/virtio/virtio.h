/* Virtio devices over PCI. Virtual I/O Device (VIRTIO) Version 1.1, OASIS, and its chapters on the
 * legacy interface. virtio_pci.c is the transport, virtqueue.c the rings; a device is a struct that
 * starts with struct virtio, and a struct virtio_class. All with the machine lock held. */
#ifndef HW_VIRTIO_VIRTIO_H
#define HW_VIRTIO_VIRTIO_H

#include "hw/pci/msix.h"
#include "hw/pci/pci.h"

enum { VIRTIO_MAX_QUEUES = 64, VIRTQUEUE_MAX = 1024, VIRTIO_MAX_CONFIG = 256 };
#define VIRTIO_NO_VECTOR 0xffff

enum virtio_feature { /* those of transport and rings */
                      VIRTIO_F_NOTIFY_ON_EMPTY = 24,
                      VIRTIO_F_ANY_LAYOUT = 27,
                      VIRTIO_RING_F_INDIRECT = 28,
                      VIRTIO_RING_F_EVENT_IDX = 29,
                      VIRTIO_F_VERSION_1 = 32,
};

enum virtio_status {
    VIRTIO_ACKNOWLEDGE = 1,
    VIRTIO_DRIVER = 2,
    VIRTIO_DRIVER_OK = 4,
    VIRTIO_FEATURES_OK = 8,
    VIRTIO_NEEDS_RESET = 64,
    VIRTIO_FAILED = 128,
};

struct virtio;

struct virtqueue {
    struct virtio *virtio;
    uint16_t index;
    uint16_t num, num_max; /* entries; num_max 0: there is no such queue */
    bool ready;
    uint64_t desc, avail, used; /* guest physical addresses */
    uint16_t next_avail;        /* entry of the available ring that we take next (free running) */
    uint16_t next_used;         /* entry of the used ring that we fill next */
    uint16_t signalled;         /* next_used at the last interrupt, for the event index */
    uint16_t vector;            /* MSI-X */
    uint16_t inflight;          /* taken and not given back */
    bool kicks_unwanted;
};

struct virtq_segment {
    uint64_t addr;
    uint32_t len;
};

/* A chain of descriptors: what the driver wrote for us, then what we may write. */
struct virtq_chain {
    struct virtqueue *queue;
    uint16_t head;
    unsigned nout, nin; /* segments */
    uint64_t out_bytes, in_bytes;
    struct virtq_segment segment[]; /* first the nout, then the nin */
};

struct virtio_class {
    uint16_t id;          /* virtio device id */
    unsigned config_size; /* bytes of device configuration, at most VIRTIO_MAX_CONFIG */
    uint64_t (*features)(struct virtio *v); /* the device's own, offered now */
    void (*features_set)(struct virtio *v); /* the driver has chosen; may be NULL */
    /* Fills config_size bytes, little endian. */
    void (*config_read)(struct virtio *v, uint8_t *config);
    /* config is what it would be after the write; may be NULL. */
    void (*config_write)(struct virtio *v, const uint8_t *config, unsigned offset, unsigned size);
    void (*kick)(struct virtio *v, struct virtqueue *q); /* there may be chains; also when the
                                                          * driver starts */
    void (*reset)(struct virtio *v); /* forget (and wait for) everything in flight; may be NULL */
};

struct virtio {
    struct pci_device pci; /* must be first */
    const struct virtio_class *class;
    struct msix msix;
    /* properties */
    char *addr, *bus;
    uint32_t vectors;
    bool disable_legacy, disable_modern, indirect, event_idx;

    uint64_t features; /* the driver's choice */
    uint32_t feature_select, driver_feature_select;
    uint8_t status, isr, generation;
    uint16_t config_vector, queue_select;
    unsigned pci_cfg; /* offset of the window capability */
    struct virtqueue queue[VIRTIO_MAX_QUEUES];
};

/* The bus_info of a transitional device: its PCI id of old, its virtio id, its PCI class. */
#define VIRTIO_PCI_INFO(old_id, id, pci_class, pci_subclass)                                       \
    {                                                                                              \
        .vendor = 0x1af4, .device = (old_id), .subsystem_vendor = 0x1af4, .subsystem = (id),       \
        .class = (pci_class), .subclass = (pci_subclass), .interrupt_pin = 1,                      \
    }

/* Properties that every device has. */
enum { VIRTIO_VECTORS_AUTO = 0xffffffff };
#define VIRTIO_PROPS(st, f)                                                                        \
    {"addr", PT_STRING, offsetof(st, f.addr), 0, "PCI slot, or slot.function, in hex"},            \
        {"bus", PT_STRING, offsetof(st, f.bus), 0, "PCI bus: pci.0 is the only one"},              \
        {"vectors", PT_U32, offsetof(st, f.vectors), VIRTIO_VECTORS_AUTO,                          \
         "MSI-X vectors (default: one a queue and one for configuration)"},                        \
        {"disable-legacy", PT_BOOL, offsetof(st, f.disable_legacy), 0,                             \
         "no interface of virtio before 1.0"},                                                     \
        {"disable-modern", PT_BOOL, offsetof(st, f.disable_modern), 0, "no interface of 1.0"},     \
        {"indirect_desc", PT_BOOL, offsetof(st, f.indirect), 1, "offer indirect descriptors"},     \
    {                                                                                              \
        "event_idx", PT_BOOL, offsetof(st, f.event_idx), 1, "offer the event index"                \
    }

/* ---- virtio_pci.c ---- */
bool virtio_init(struct virtio *v, const struct virtio_class *class, struct error *err);
struct virtqueue *virtio_add_queue(struct virtio *v, unsigned index, unsigned size);
void virtio_reset(struct virtio *v); /* the device type's reset */
void virtio_loaded(struct virtio *v);
static inline bool virtio_has(const struct virtio *v, unsigned feature)
{
    return v->features >> feature & 1;
}
/* The driver runs, and nothing is wrong with the device. */
bool virtio_running(const struct virtio *v);
void virtio_interrupt(struct virtio *v, uint16_t vector); /* a queue's */
void virtio_config_changed(struct virtio *v);
/* The driver did what it must not: logged, and the device asks for its reset. */
void virtio_error(struct virtio *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

extern const struct state_field virtio_fields[];
#define STATE_VIRTIO(st, f)                                                                        \
    {                                                                                              \
#f, ST_STRUCT, offsetof(st, f), 1, 1, sizeof(struct virtio), virtio_fields                 \
    }

/* ---- virtqueue.c ---- */
void virtqueue_reset(struct virtqueue *q);
/* The next chain, NULL: none (or an error, which virtio_error has got). It ends with
 * virtqueue_push, virtqueue_unpop, or free() after a reset. */
struct virtq_chain *virtqueue_pop(struct virtqueue *q);
bool virtqueue_empty(struct virtqueue *q);
/* Gives the chain back with n bytes written. The driver sees it after virtqueue_notify. */
void virtqueue_push(struct virtq_chain *c, uint32_t n);
/* Takes back the last pop: the chain will be found again. Several: in the reverse order. */
void virtqueue_unpop(struct virtq_chain *c);
/* Shows the driver what was pushed, all at once, and interrupts it if it wants that. */
void virtqueue_notify(struct virtqueue *q);
/* Asks the driver (not) to kick. After switching on, look at the queue once more. */
void virtqueue_want_kicks(struct virtqueue *q, bool want);
/* Copies between buf and the chain's readable (writable) bytes from offset on; returns how many. */
uint64_t virtq_read(const struct virtq_chain *c, uint64_t offset, void *buf, uint64_t len);
uint64_t virtq_write(const struct virtq_chain *c, uint64_t offset, const void *buf, uint64_t len);
extern const struct state_field virtqueue_fields[];

#endif
