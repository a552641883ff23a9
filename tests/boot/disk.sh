# The disk of 50-disk.t and 55-virtio-disk.t: MBR, GRUB on the serial line, and one ext4 partition with the
# guest's kernel and RAM disk. Sourced after lib.sh; makes $disk.
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

# The partition as it is on the disk now, to $work/part.img.
take_part() {
    dd if="$disk" of="$work/part.img" bs=1M skip=1 conv=notrunc status=none
}
# After the guest has written /new and its checksum, and ended.
check_disk() {
    take_part
    e2fsck -fn "$work/part.img" >"$work/console" 2>&1
    ok $? "the file system is clean afterwards"
    debugfs -R "dump /new $work/new" "$work/part.img" >/dev/null 2>&1
    debugfs -R "dump /sum $work/sum" "$work/part.img" >/dev/null 2>&1
    [ "$(cut -d' ' -f1 "$work/sum")" = "$(sha256sum "$work/new" | cut -d' ' -f1)" ]
    ok $? "and the file holds what was written"
}
