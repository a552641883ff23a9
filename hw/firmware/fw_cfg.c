/* fw_cfg: the channel by which a BIOS made for QEMU-style machines learns about the machine.
 * Follows the public interface description (selector port 0x510, data port 0x511, DMA registers at
 * 0x514).
 *
 * Items are numbered; from 0x20 on they are files named in a directory item. Everything is read
 * only for the guest: writes through DMA are refused with the error bit. */
#include "hw/firmware/fw_cfg.h"
#include "hw/isa/isa.h"
#include "host/be.h"

#include <stdlib.h>
#include <string.h>

enum { ITEMS = 0x70, FILES = 64, ARCH = 16 };
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };

struct item {
    uint8_t *data;
    uint32_t len;
};

struct fw_cfg {
    struct device dev;
    struct item items[ITEMS];
    struct item arch[ARCH]; /* 0x8000.. */
    uint16_t nfiles;
    uint8_t dir[4 + FILES * 64]; /* big endian, as the guest reads it */

    uint16_t selected;
    uint32_t offset;
    uint32_t dma_high; /* upper half of a DMA address, waiting for the lower */
};

static const struct state_field fw_cfg_fields[] = {
    STATE_U16(struct fw_cfg, selected),
    STATE_U32(struct fw_cfg, offset),
    STATE_U32(struct fw_cfg, dma_high),
    STATE_END,
};
static const struct state_table fw_cfg_state = {1, fw_cfg_fields, NULL};

static struct item *find_item(struct fw_cfg *f, uint16_t key)
{
    if (key < ITEMS) {
        return &f->items[key];
    }
    if (key >= 0x8000 && key < 0x8000 + ARCH) {
        return &f->arch[key - 0x8000];
    }
    return NULL;
}

void fw_cfg_add(struct fw_cfg *f, uint16_t key, const void *data, size_t len)
{
    struct item *it = find_item(f, key);

    if (!it) {
        abort();
    }
    free(it->data);
    it->data = malloc(len ? len : 1);
    if (!it->data) {
        abort();
    }
    memcpy(it->data, data, len);
    it->len = (uint32_t)len;
}

void fw_cfg_add_u16(struct fw_cfg *f, uint16_t key, uint16_t value)
{
    uint8_t le[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
    fw_cfg_add(f, key, le, 2);
}

void fw_cfg_add_u64(struct fw_cfg *f, uint16_t key, uint64_t value)
{
    uint8_t le[8];

    for (unsigned i = 0; i < 8; i++) {
        le[i] = (uint8_t)(value >> 8 * i);
    }
    fw_cfg_add(f, key, le, 8);
}

void fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, size_t len)
{
    uint16_t key = (uint16_t)(FW_CFG_FILE_FIRST + f->nfiles);

    if (f->nfiles >= FILES || strlen(name) > 55) {
        abort();
    }
    uint8_t *entry = f->dir + 4 + 64 * f->nfiles;
    be_put32(entry, len);
    be_put16(entry + 4, key);
    memcpy(entry + 8, name, strlen(name) + 1);
    f->nfiles++;
    be_put32(f->dir, f->nfiles);
    fw_cfg_add(f, key, data, len);
    fw_cfg_add(f, FW_CFG_FILE_DIR, f->dir, 4 + 64 * (size_t)f->nfiles);
}

static void select_item(struct fw_cfg *f, uint16_t key)
{
    log_trace(f->dev.machine->log, fw_cfg_select, "%04x", key);
    f->selected = key;
    f->offset = 0;
}

static uint8_t next_byte(struct fw_cfg *f)
{
    const struct item *it = find_item(f, f->selected);

    return it && it->data && f->offset < it->len ? it->data[f->offset++] : 0;
}

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
    struct fw_cfg *f = opaque;

    (void)size;
    return offset == 1 ? next_byte(f) : 0;
}

static void port_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct fw_cfg *f = opaque;

    if (offset == 0 && size == 2) {
        select_item(f, (uint16_t)value);
    }
}

/* Copies len bytes of the selected item to guest memory; what is beyond its end reads as zero. */
static bool dma_read(struct fw_cfg *f, uint64_t addr, uint32_t len)
{
    static const uint8_t zero[4096];
    const struct item *it = find_item(f, f->selected);
    uint32_t have = it && it->data && f->offset < it->len ? it->len - f->offset : 0;
    bool ok = true;

    have = have < len ? have : len;
    if (have) {
        ok = memory_write(f->dev.machine->memory, addr, it->data + f->offset, have);
        f->offset += have;
    }
    for (uint32_t done = have; done < len;) {
        uint32_t n = len - done < sizeof(zero) ? len - done : (uint32_t)sizeof(zero);
        ok &= memory_write(f->dev.machine->memory, addr + done, zero, n);
        done += n;
    }
    return ok;
}

static void dma_run(struct fw_cfg *f, uint64_t desc)
{
    uint8_t raw[16], status[4];
    uint32_t result = 0;

    if (!memory_read(f->dev.machine->memory, desc, raw, sizeof(raw))) {
        log_at(f->dev.machine->log, LOG_GUEST_ERROR, "fw_cfg: DMA descriptor at %#llx is not RAM\n",
               (unsigned long long)desc);
        return;
    }
    uint32_t control = be_get32(raw), len = be_get32(raw + 4);
    uint64_t addr = be_get64(raw + 8);

    if (control & DMA_SELECT) {
        select_item(f, (uint16_t)(control >> 16));
    }
    if (control & DMA_READ) {
        result = dma_read(f, addr, len) ? 0 : DMA_ERROR;
    } else if (control & DMA_WRITE) {
        result = DMA_ERROR;
    } else if (control & DMA_SKIP) {
        f->offset += len;
    }
    be_put32(status, result);
    memory_write(f->dev.machine->memory, desc, status, 4);
}

static uint64_t dma_port_read(void *opaque, uint64_t offset, unsigned size)
{
    static const uint8_t signature[8] = {'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G'};
    uint64_t v = 0;

    (void)opaque;
    for (unsigned i = 0; i < size; i++) {
        v |= (uint64_t)signature[(offset + i) & 7] << 8 * i;
    }
    return v;
}

static void dma_port_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct fw_cfg *f = opaque;

    if (size == 8 && offset == 0) {
        dma_run(f, __builtin_bswap64(value));
    } else if (size == 4 && offset == 0) {
        f->dma_high = __builtin_bswap32((uint32_t)value);
    } else if (size == 4 && offset == 4) {
        uint64_t desc = (uint64_t)f->dma_high << 32 | __builtin_bswap32((uint32_t)value);
        f->dma_high = 0;
        dma_run(f, desc);
    }
}

static const struct mmio_ops port_ops = {port_read, port_write, 1, 2};
static const struct mmio_ops dma_ops = {dma_port_read, dma_port_write, 1, 8};

static void fw_cfg_reset(struct device *dev)
{
    struct fw_cfg *f = container_of(dev, struct fw_cfg, dev);

    select_item(f, 0);
    f->dma_high = 0;
}

static bool fw_cfg_realize(struct device *dev, struct error *err)
{
    struct fw_cfg *f = container_of(dev, struct fw_cfg, dev);
    static const uint8_t features[4] = {3, 0, 0, 0}; /* ports and DMA */

    fw_cfg_add(f, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add(f, FW_CFG_ID, features, 4);
    fw_cfg_add(f, FW_CFG_FILE_DIR, f->dir, 4);
    return isa_claim_ports(dev, 0x510, 2, &port_ops, f, err) &&
           isa_claim_ports(dev, 0x514, 8, &dma_ops, f, err);
}

static void fw_cfg_destroy(struct device *dev)
{
    struct fw_cfg *f = container_of(dev, struct fw_cfg, dev);

    for (unsigned i = 0; i < ITEMS; i++) {
        free(f->items[i].data);
    }
    for (unsigned i = 0; i < ARCH; i++) {
        free(f->arch[i].data);
    }
}

const struct device_type fw_cfg_type = {
    .name = "fw_cfg",
    .summary = "firmware configuration",
    .bus = BUS_ISA,
    .size = sizeof(struct fw_cfg),
    .state = &fw_cfg_state,
    .realize = fw_cfg_realize,
    .reset = fw_cfg_reset,
    .destroy = fw_cfg_destroy,
};

struct fw_cfg *fw_cfg_find(struct machine *m)
{
    struct device *d = device_find_type(m, &fw_cfg_type);
    return d ? container_of(d, struct fw_cfg, dev) : NULL;
}
