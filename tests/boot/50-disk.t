# A raw disk with MBR, GRUB and an ext4 file system, booted by SeaBIOS from IDE; Linux writes to it.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/boot/disk.sh"
make_cd
start_guest -m 256 -no-reboot -hda "$disk" -cdrom "$work/cd.iso"
disk_boots sda
send 'mount -t iso9660 /dev/sr0 /mnt && cat /mnt/hello; echo cd=$?\n'
wait_for 60 'cd=0'
grep -aq 'hello from the CD' "$work/console"
ok $? "and reads a CD through its ATAPI driver"
disk_ends
finish
