# A raw disk with MBR, GRUB and an ext4 file system, booted by SeaBIOS from IDE; Linux writes to it.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/boot/disk.sh"
mkdir "$work/cd"
echo 'hello from the CD' >"$work/cd/hello"
xorriso -as mkisofs -quiet -o "$work/cd.iso" "$work/cd" >/dev/null 2>&1
start_guest -m 256 -no-reboot -hda "$disk" -cdrom "$work/cd.iso"
wait_for 60 'GRUB is up'
ok $? "SeaBIOS boots GRUB from the disk"
wait_for 300 'is up after'
ok $? "GRUB loads Linux from ext4"
sleep 1
send 'mkdir -p /mnt && mount -t ext4 /dev/sda1 /mnt && sha256sum /mnt/boot/bzImage; echo rc=$?\n'
wait_for 60 'rc=0'
ok $? "Linux mounts the disk through its own driver (bus-master DMA)"
sum=$(sha256sum "$guest/bzImage" | cut -d' ' -f1)
grep -aq "$sum" "$work/console"
ok $? "and reads the kernel's file unchanged"
send 'dd if=/dev/urandom of=/mnt/new bs=64k count=64 2>/dev/null; sha256sum /mnt/new >/mnt/sum; umount /mnt; echo done=$?\n'
wait_for 60 'done=0'
ok $? "it writes a file"
send 'mount -t iso9660 /dev/sr0 /mnt && cat /mnt/hello; echo cd=$?\n'
wait_for 60 'cd=0'
grep -aq 'hello from the CD' "$work/console"
ok $? "and reads a CD through its ATAPI driver"
send 'poweroff\n'
wait_end 60
ok $? "poweroff ends with status 0"
check_disk
finish
