/* SMBIOS tables for the BIOS, by fw_cfg. */
#ifndef HW_FIRMWARE_SMBIOS_H
#define HW_FIRMWARE_SMBIOS_H

#include <stdint.h>

struct fw_cfg;
void smbios_add(struct fw_cfg *fw, unsigned sockets, unsigned cores, unsigned threads,
                uint64_t ram_size, const char *cpu_name);

#endif
