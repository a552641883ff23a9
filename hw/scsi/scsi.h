/* SCSI: buses of host adapters, devices at a target and a logical unit, and requests that an
 * adapter hands to a device and gets back when they are done. */
#ifndef HW_SCSI_SCSI_H
#define HW_SCSI_SCSI_H

#include "host/block.h"
#include "hw/device.h"

enum { SCSI_CDB = 32, SCSI_SENSE = 18, SCSI_TARGETS = 256, SCSI_LUNS = 16384 };
enum { SCSI_GOOD = 0, SCSI_CHECK = 2 };
enum { /* sense keys */
       SENSE_NONE = 0,
       SENSE_NOT_READY = 2,
       SENSE_MEDIUM = 3,
       SENSE_HARDWARE = 4,
       SENSE_ILLEGAL = 5,
       SENSE_ATTENTION = 6,
       SENSE_PROTECT = 7,
};
/* Key, code and qualifier in one number. */
#define SCSI_SENSE_OF(key, asc, ascq) ((uint32_t)(key) << 16 | (uint32_t)(asc) << 8 | (ascq))

struct scsi_device;
struct scsi_bus;

struct scsi_request {
    /* by the adapter */
    uint8_t cdb[SCSI_CDB];
    struct iovec *in, *out; /* the guest's memory: what the device fills, what it reads */
    int nin, nout;
    uint64_t in_len, out_len;
    void (*done)(struct scsi_request *r); /* once, perhaps within scsi_execute */
    /* by the device */
    uint8_t status, sense[SCSI_SENSE];
    bool overrun; /* the guest's memory is too short for what the command moves: nothing was done */
    uint64_t moved; /* bytes */
    /* private to the device */
    struct scsi_device *dev;
    struct block_request io;
    struct iovec *iov; /* in or out up to the transfer's length */
    uint8_t *bounce;
    uint64_t at, left; /* of commands that take several requests, bytes */
    unsigned index;
    bool unmap;
};

struct scsi_device {
    struct device dev; /* must be first */
    struct scsi_bus *bus;
    struct scsi_device *next;
    char *bus_name; /* properties */
    uint32_t channel, id, lun;
    void (*execute)(struct scsi_device *d, struct scsi_request *r);
    void (*reset)(struct scsi_device *d); /* of the logical unit */
    void (*drain)(struct scsi_device *d); /* no request touches the guest's memory afterwards */
};

struct scsi_bus {
    struct device *owner;
    struct scsi_bus *next;
    struct scsi_device *first; /* by target and unit */
    /* Something to tell the guest at once: its additional sense code and qualifier; may be NULL. */
    void (*event)(struct scsi_bus *b, struct scsi_device *d, uint8_t asc, uint8_t ascq);
};

void scsi_bus_add(struct scsi_bus *b, struct device *owner); /* the adapter's realize */
/* By the properties: bus= (ID.0; the first bus), scsi-id=, lun=. */
bool scsi_attach(struct scsi_device *d, struct error *err);
struct scsi_device *scsi_find(struct scsi_bus *b, unsigned target, unsigned lun); /* NULL: none */
bool scsi_target_exists(struct scsi_bus *b, unsigned target);
/* Runs a request at a target that exists; there may be no such unit. */
void scsi_execute(struct scsi_bus *b, unsigned target, unsigned lun, struct scsi_request *r);

/* ---- for devices ---- */
void scsi_good(struct scsi_request *r);
void scsi_check(struct scsi_request *r, uint32_t sense); /* SCSI_SENSE_OF */
/* A reply, of which the command allows max bytes. */
void scsi_reply(struct scsi_request *r, const void *buf, uint32_t len, uint32_t max);
uint64_t scsi_copy_out(const struct scsi_request *r, void *buf, uint64_t len); /* parameter lists */
uint64_t scsi_be(const uint8_t *p, unsigned n);
void scsi_put_be(uint8_t *p, uint64_t v, unsigned n);

enum { SCSI_ANY = 0xffffffff };
#define SCSI_PROPS(st, f)                                                                          \
    {"bus", PT_STRING, offsetof(st, f.bus_name), 0,                                                \
     "ID.0 of a virtio-scsi-pci (default: the first)"},                                            \
        {"channel", PT_U32, offsetof(st, f.channel), 0, "0"},                                      \
        {"scsi-id", PT_U32, offsetof(st, f.id), SCSI_ANY,                                          \
         "target, 0 to 255 (default: the first free one)"},                                        \
    {                                                                                              \
        "lun", PT_U32, offsetof(st, f.lun), SCSI_ANY, "logical unit, 0 to 16383 (default: 0)"      \
    }

extern const struct device_type scsi_hd_type, scsi_cd_type;

#endif
