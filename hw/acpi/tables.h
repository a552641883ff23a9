/* ACPI tables of the `pc` machine, handed to the BIOS by fw_cfg. */
#ifndef HW_ACPI_TABLES_H
#define HW_ACPI_TABLES_H

#include <stdbool.h>
#include <stdint.h>

struct fw_cfg;

struct acpi_config {
    unsigned ncpus;
    const uint32_t *apic_ids;
    uint32_t pci_hole,
        pci_hole_end; /* memory window of the PCI bus below 4 GiB: first, last byte */
    uint64_t pci_hole64, pci_hole64_end; /* above the RAM; equal: none */
    bool hpet;
    unsigned nserial;      /* COM ports present, from the first */
    uint16_t pvpanic_port; /* 0: there is none */
};

void acpi_tables_add(struct fw_cfg *fw, const struct acpi_config *cfg);

#endif
