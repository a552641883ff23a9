# The disk of 50-disk.t and a CD behind an AHCI controller: SeaBIOS and GRUB boot from it, Linux writes to it.
. "$SRC/tests/boot/lib.sh"
guest=$PWD/guest-pc
export GUEST_KERNEL=linux-image-amd64
. "$SRC/tests/boot/disk.sh"
. "$SRC/tests/boot/disk_cycle.sh"
disk_cycle sda "-device ide-cd,bus=ahci0.1,drive=cd" -device ahci,id=ahci0 \
    -drive "file=$disk,format=raw,if=none,id=hd" -device ide-hd,bus=ahci0.0,drive=hd
finish
