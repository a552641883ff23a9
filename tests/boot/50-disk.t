# A raw disk with MBR, GRUB and an ext4 file system, booted by SeaBIOS from IDE; Linux writes to it.
. "$SRC/tests/boot/lib.sh"
PATH=$PATH:/sbin:/usr/sbin
command -v grub-mkimage >/dev/null && command -v mke2fs >/dev/null || skip_all "grub-mkimage or mke2fs is not installed"
need_guest
disk=$work/disk.img
mkdir -p "$work/root/boot/grub"
cp "$guest/bzImage" "$guest/initrd.img" "$work/root/boot/"
cat >"$work/load.cfg" <<'G'
set root=(hd0,msdos1)
serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
echo GRUB is up
linux /boot/bzImage console=ttyS0 quiet
initrd /boot/initrd.img
boot
G
truncate -s 96M "$disk"
printf '2048,,83,*\n' | sfdisk -q "$disk" >/dev/null
truncate -s 95M "$work/part.img"
mke2fs -q -t ext4 -O ^metadata_csum,^64bit -d "$work/root" "$work/part.img"
dd if="$work/part.img" of="$disk" bs=1M seek=1 conv=notrunc status=none
grub-mkimage -O i386-pc -c "$work/load.cfg" -p /boot/grub -o "$work/core.img" biosdisk part_msdos ext2 serial \
    terminal echo linux boot
dd if=/usr/lib/grub/i386-pc/boot.img of="$disk" bs=440 count=1 conv=notrunc status=none
dd if="$work/core.img" of="$disk" bs=512 seek=1 conv=notrunc status=none
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
dd if="$disk" of="$work/part.img" bs=1M skip=1 conv=notrunc status=none
e2fsck -fn "$work/part.img" >"$work/console" 2>&1
ok $? "the file system is clean afterwards"
debugfs -R "dump /new $work/new" "$work/part.img" >/dev/null 2>&1
debugfs -R "dump /sum $work/sum" "$work/part.img" >/dev/null 2>&1
[ "$(cut -d' ' -f1 "$work/sum")" = "$(sha256sum "$work/new" | cut -d' ' -f1)" ]
ok $? "and the file holds what was written"
finish
