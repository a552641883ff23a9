/* The firmware configuration device: what the machine tells the BIOS. */
#ifndef HW_FIRMWARE_FW_CFG_H
#define HW_FIRMWARE_FW_CFG_H

#include "hw/device.h"

enum fw_cfg_key { /* the numbered items that SeaBIOS reads */
                  FW_CFG_SIGNATURE = 0x00,
                  FW_CFG_ID = 0x01,
                  FW_CFG_UUID = 0x02,
                  FW_CFG_RAM_SIZE = 0x03,
                  FW_CFG_NOGRAPHIC = 0x04,
                  FW_CFG_NB_CPUS = 0x05,
                  FW_CFG_BOOT_MENU = 0x0e,
                  FW_CFG_MAX_CPUS = 0x0f,
                  FW_CFG_FILE_DIR = 0x19,
                  FW_CFG_FILE_FIRST = 0x20,
                  FW_CFG_NUMA = 0x0d,
                  FW_CFG_IRQ0_OVERRIDE = 0x8002,
};

struct fw_cfg;
extern const struct device_type fw_cfg_type;

struct fw_cfg *fw_cfg_find(struct machine *m);
/* Data is copied. Before the guest runs. */
void fw_cfg_add(struct fw_cfg *f, uint16_t key, const void *data, size_t len);
void fw_cfg_add_u16(struct fw_cfg *f, uint16_t key, uint16_t value);
void fw_cfg_add_u64(struct fw_cfg *f, uint16_t key, uint64_t value);
/* name: at most 55 characters; aborts when there are more files than slots (64). */
void fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, size_t len);

#endif
