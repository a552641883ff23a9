/* The chip set of the `pc` machine: host bridge, ISA bridge, power management. */
#ifndef HW_PCI_I440FX_H
#define HW_PCI_I440FX_H

#include "hw/pci/pci.h"

extern const struct device_type i440fx_type, piix3_type, piix4_pm_type;

/* Makes the root bus and the host bridge (0:0.0), and maps ram: to below_4g, and the rest from 4
 * GiB up. The block is at least 1 MiB: its upper part shadows ROMs even on a machine that shows
 * less than 640 KiB. rom: firmware whose last 128 KiB the board has mapped at 0xe0000 with
 * MAP_PRIO_ROM; may be NULL. */
struct device *i440fx_create(struct machine *m, struct ram *ram, uint64_t below_4g, struct ram *rom,
                             struct error *err);
/* Accesses of one byte to port 0xcf9, between the bytes of the configuration address port. */
void i440fx_set_cf9(struct device *d, const struct mmio_ops *ops, void *opaque);

/* The ISA bridge at 0:1.0; routes INTx to isa_bus(m)->pci_irqs. Needs i440fx and isa_bus's lines.
 */
struct device *piix3_create(struct machine *m, struct error *err);

/* Power management at 0:1.3; SMI goes to the first processor unless told otherwise. */
struct device *piix4_pm_create(struct machine *m, struct error *err);
void piix4_pm_set_smi(struct device *d, struct irq smi);
void piix4_pm_power_button(struct device *d);
void piix4_pm_set_gpe(struct device *d, unsigned bit, bool level); /* general purpose event 0..15 */

#endif
