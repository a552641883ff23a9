/* Replies that CD-ROM drives behind ATAPI and SCSI have in common. */
#ifndef HW_SCSI_MMC_H
#define HW_SCSI_MMC_H

#include <stdbool.h>
#include <stdint.h>

enum { MMC_REPLY = 64 };

struct mmc_drive {
    uint32_t sectors; /* of 2048 bytes; 0: no disc */
    bool inserted, tray_open, locked;
    uint8_t *
        event; /* of the medium, for GET EVENT STATUS: 1 eject asked for, 2 new disc, 3 disc gone */
};

/* READ TOC, GET CONFIGURATION, GET EVENT STATUS NOTIFICATION, READ DISC INFORMATION, MODE SENSE(10)
 * and MECHANISM STATUS: the reply (up to MMC_REPLY bytes) and its length, or minus the additional
 * sense code of an illegal request. *max: what the command allows. */
int mmc_reply(const struct mmc_drive *d, const uint8_t *cdb, uint8_t *buffer, uint32_t *max);

#endif
