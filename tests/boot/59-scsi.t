# The disk of 50-disk.t and a CD behind virtio-scsi: SeaBIOS and GRUB boot from it, Linux writes to it.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/boot/disk.sh"
. "$SRC/tests/boot/disk_cycle.sh"
disk_cycle sda "-device scsi-cd,bus=scsi0.0,scsi-id=3,drive=cd" -device virtio-scsi-pci,id=scsi0 \
    -drive "file=$disk,format=raw,if=none,id=hd" -device scsi-hd,bus=scsi0.0,drive=hd
finish
