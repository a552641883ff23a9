/* ATA: a channel with two drives. ide.c is the channel, ata.c the disk commands, atapi.c the packet
 * commands of CD-ROM drives; piix3_ide.c and ahci.c are the PCI functions they sit behind. */
#ifndef HW_IDE_IDE_H
#define HW_IDE_IDE_H

#include "host/block.h"
#include "hw/device.h"

enum { IDE_SECTOR = 512, CD_SECTOR = 2048, IDE_BUFFER = 128 * 1024, IDE_MAX_MULTIPLE = 16 };
enum { ATA_NCQ_DEPTH = 32 };

enum { /* status register */
       ATA_ERR = 0x01,
       ATA_DRQ = 0x08,
       ATA_DSC = 0x10,
       ATA_DF = 0x20,
       ATA_DRDY = 0x40,
       ATA_BSY = 0x80,
};
enum { /* error register */
       ATA_ABRT = 0x04,
       ATA_IDNF = 0x10,
       ATA_UNC = 0x40,
};

enum ide_phase { /* what happens when the buffer has been drained or filled, or the disk is done */
                 IDE_IDLE,
                 IDE_PIO_IN,   /* data in the buffer for the guest */
                 IDE_PIO_OUT,  /* buffer being filled by the guest */
                 IDE_READING,  /* waiting for the image: PIO read */
                 IDE_WRITING,  /* waiting for the image: PIO write */
                 IDE_DMA_WAIT, /* command given, bus master not started */
                 IDE_DMA_IO,   /* waiting for the image: DMA */
                 IDE_FLUSHING,
                 IDE_PACKET,      /* receiving a command packet */
                 IDE_PACKET_IN,   /* data of a packet command for the guest */
                 IDE_PACKET_READ, /* packet command waiting for the image */
};

struct ide_channel;
struct device;

struct ide_drive {
    struct ide_channel *channel;
    struct block *block;
    bool present, cdrom;
    char serial[21], model[41], firmware[9];
    uint64_t wwn; /* 0: none */

    uint8_t features, error, count, lba0, lba1, lba2, status;
    uint8_t hob_features, hob_count, hob_lba0, hob_lba1, hob_lba2; /* previous values, for LBA48 */
    uint8_t multiple;       /* sectors a READ MULTIPLE block; 0: off */
    uint8_t dma_mode;       /* as SET FEATURES left it, for IDENTIFY */
    uint8_t heads, sectors; /* of the current CHS translation */
    uint16_t cylinders;

    uint8_t phase; /* enum ide_phase */
    bool lba48, dma, dma_write, ext;
    uint64_t lba;           /* next sector (512 or 2048 bytes) */
    uint32_t remaining;     /* sectors to go after those in the buffer */
    uint32_t block_sectors; /* sectors a DRQ block */
    uint32_t pos, end;      /* in the buffer */
    uint8_t *buffer;

    /* packet commands */
    uint8_t sense_key, asc, ascq;
    bool media_changed, locked;
    uint8_t event; /* GET EVENT STATUS: 1 eject asked for, 2 new disc, 3 disc gone */
    uint32_t packet_total, packet_done; /* bytes */
    uint32_t buffer_start; /* offset of the data in the buffer that is being handed out */

    /* why a queued command failed, for READ LOG EXT */
    uint8_t ncq_tag, ncq_status, ncq_error;
    uint64_t ncq_lba;

    bool in_flight, write_cache; /* write_cache: at power-on */
    struct iovec iov;
    uint32_t generation; /* a reset while the image works makes its completion void */
};

struct ide_channel {
    struct machine *machine;
    struct irq irq;
    struct ide_drive drive[2];
    uint8_t select;  /* device/head register */
    uint8_t control; /* device control register */
    bool irq_pending;
    bool sata; /* one drive, behind a SATA port: queued commands */
    /* bus master, set by the PCI function; NULL functions: no DMA */
    void *bm;
    bool (*bm_started)(void *bm);
    /* Moves len bytes between buf and the guest's PRD list; returns false when the list is too
     * short or not readable. */
    bool (*bm_transfer)(void *bm, void *buf, uint32_t len, bool to_memory);
    void (*bm_irq)(void *bm);
    void (*bm_done)(void *bm, bool error); /* transfer is over */
};

extern const struct state_field ide_channel_fields[];

void ide_channel_init(struct ide_channel *c, struct machine *m);
void ide_channel_destroy(struct ide_channel *c);
void ide_channel_reset(struct ide_channel *c);
/* b: not NULL, a CD-ROM drive's may be empty. owner: for its path. False: the place or b is taken.
 */
bool ide_attach(struct ide_channel *c, unsigned unit, struct block *b, bool cdrom,
                struct device *owner, struct error *err);

/* Strings and properties of the drive; NULL and 0: as they are. */
void ide_set_identity(struct ide_drive *d, const char *serial, const char *model,
                      const char *firmware, uint64_t wwn);

/* Register access: command block offset 0..7 (0: data), control block (3F6). */
uint64_t ide_read(struct ide_channel *c, unsigned reg, unsigned size);
void ide_write(struct ide_channel *c, unsigned reg, uint64_t value, unsigned size);
uint8_t ide_alt_status(struct ide_channel *c);
void ide_write_control(struct ide_channel *c, uint8_t value);
/* The guest started the bus master. */
void ide_dma_start(struct ide_channel *c);

/* For a transport that carries whole blocks instead of words: what the drive wants moved now by PIO
 * (NULL: nothing), and that it has been moved. */
uint8_t *ide_pio_data(struct ide_drive *d, uint32_t *len, bool *to_host);
void ide_buffer_done(struct ide_drive *d);
/* Ends a command: error register, 0: success. */
void ide_finish(struct ide_drive *d, uint8_t error);
/* Forgets the running command; its request to the image is over afterwards. */
void ide_cancel(struct ide_drive *d);
void ide_reset_drive(struct ide_drive *d);
uint64_t ide_disk_sectors(const struct ide_drive *d);

/* ---- between ide.c, ata.c and atapi.c ---- */
void ide_run_command(struct ide_drive *d, uint8_t code);
void ide_update_irq(struct ide_channel *c);
static inline struct ide_drive *ide_selected(struct ide_channel *c)
{
    return &c->drive[c->select >> 4 & 1];
}
static inline bool ide_has_disc(const struct ide_drive *d)
{
    return d->block && block_inserted(d->block);
}
void ide_raise(struct ide_drive *d);
void ide_submit(struct ide_drive *d, enum block_op op, uint64_t offset, uint32_t bytes,
                void (*done)(struct ide_drive *d, int result));
void ide_signature(struct ide_drive *d);
void ide_identify_strings(uint16_t *id, const struct ide_drive *d, const char *model);
void atapi_identify(struct ide_drive *d);
void atapi_packet(struct ide_drive *d);  /* PACKET command given */
void atapi_run(struct ide_drive *d);     /* the 12 bytes are in the buffer */
void atapi_drained(struct ide_drive *d); /* the guest has read the buffer */
void atapi_dma(struct ide_drive *d);     /* bus master started in IDE_DMA_WAIT */

#endif
