/* The list of all device types. A new one is one line here. */
#include "hw/device.h"

/* clang-format off */
#define DEVICE_TYPES(_) \
    _(serial16550_type) \
    _(i8259_type) \
    _(lapic_type) \
    _(ioapic_type) \
    _(i8254_type) \
    _(mc146818_type) \
    _(hpet_type) \
    _(i8042_type) \
    _(i8237_type) \
    _(port92_type) \
    _(debugcon_type) \
    _(debug_exit_type) \
    _(pci_serial_type) \
    _(parallel_type) \
    _(pvpanic_type) \
    _(i6300esb_type) \
    _(i440fx_type) \
    _(piix3_type) \
    _(piix4_pm_type) \
    _(piix3_ide_type) \
    _(ahci_type) \
    _(ide_hd_type) \
    _(ide_cd_type) \
    _(isa_fdc_type) \
    _(floppy_type) \
    _(fw_cfg_type) \
    _(stdvga_type) \
    _(e1000_type) \
    _(rtl8139_type) \
    _(virtio_balloon_type) \
    _(virtio_blk_type) \
    _(virtio_net_type) \
    _(virtio_gpu_type) \
    _(virtio_vga_type) \
    _(virtio_keyboard_type) \
    _(virtio_mouse_type) \
    _(virtio_tablet_type) \
    _(virtio_rng_type) \
    _(virtio_scsi_type) \
    _(scsi_hd_type) \
    _(scsi_cd_type) \
    _(virtio_serial_type) \
    _(virtconsole_type) \
    _(virtserialport_type) \
    _(direct_boot_type)
/* clang-format on */

#define DECLARE(t) extern const struct device_type t;
DEVICE_TYPES(DECLARE)
#undef DECLARE

#define ENTRY(t) &t,
const struct device_type *const device_types[] = {DEVICE_TYPES(ENTRY) NULL};
#undef ENTRY
