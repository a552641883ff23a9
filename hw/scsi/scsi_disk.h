/* What the files of the SCSI disks and CD-ROM drives share. */
#ifndef HW_SCSI_SCSI_DISK_H
#define HW_SCSI_SCSI_DISK_H

#include "hw/scsi/scsi.h"

struct scsi_disk {
    struct scsi_device scsi; /* must be first */
    struct block *drive;     /* properties */
    char *serial, *vendor, *product, *ver, *device_id;
    uint64_t wwn;
    uint32_t bootindex, logical, physical;
    uint16_t rotation_rate;
    bool wce, removable, write_cache_given;

    bool cdrom;
    uint32_t attention; /* SCSI_SENSE_OF; 0: none */
    bool locked, stopped;
    uint8_t event; /* of the medium, see mmc.h */
};

#define SCSI_INVALID_FIELD SCSI_SENSE_OF(SENSE_ILLEGAL, 0x24, 0)
#define SCSI_LBA_RANGE     SCSI_SENSE_OF(SENSE_ILLEGAL, 0x21, 0)

uint64_t scsi_disk_blocks(const struct scsi_disk *d);
/* scsi_inquiry.c */
void scsi_disk_inquiry(struct scsi_disk *d, struct scsi_request *r);
void scsi_disk_mode_sense(struct scsi_disk *d, struct scsi_request *r);
void scsi_disk_mode_select(struct scsi_disk *d, struct scsi_request *r);
/* scsi_clear.c */
void scsi_disk_unmap(struct scsi_disk *d, struct scsi_request *r);
void scsi_disk_write_same(struct scsi_disk *d, struct scsi_request *r);
/* scsi_disk.c: the sense data for -errno */
uint32_t scsi_disk_error(int result, bool write);

#endif
