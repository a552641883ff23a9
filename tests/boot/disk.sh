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

# A CD with one file: $work/cd.iso.
make_cd() {
    mkdir "$work/cd"
    echo 'hello from the CD' >"$work/cd/hello"
    xorriso -as mkisofs -quiet -o "$work/cd.iso" "$work/cd" >/dev/null 2>&1
}
# disk_boots DISK-NODE: what a guest that has just been started from the disk does, to its writing a file.
disk_boots() {
    wait_for 60 'GRUB is up'
    ok $? "SeaBIOS boots GRUB from the disk"
    wait_for 300 'is up after'
    ok $? "GRUB loads Linux from ext4"
    sleep 1
    send "mkdir -p /mnt && mount -t ext4 /dev/${1}1 /mnt && sha256sum /mnt/boot/bzImage; echo rc=\$?\\n"
    wait_for 60 'rc=0'
    ok $? "Linux mounts the disk through its own driver"
    sum=$(sha256sum "$guest/bzImage" | cut -d' ' -f1)
    grep -aq "$sum" "$work/console"
    ok $? "and reads the kernel's file unchanged"
    send 'dd if=/dev/urandom of=/mnt/new bs=64k count=64 conv=fsync 2>/dev/null; sha256sum /mnt/new >/mnt/sum; umount /mnt; echo done=$?\n'
    wait_for 60 'done=0'
    ok $? "it writes a file"
}
# The guest of disk_boots ends.
disk_ends() {
    send 'poweroff\n'
    wait_end 60
    ok $? "poweroff ends with status 0"
    check_disk
}
# disk_is_killed DISK-NODE: a guest that has just been started, not from the disk, writes and syncs a file, and is
# killed while it writes more: the journal brings the file system back, and what was synced is there.
disk_is_killed() {
    wait_for 300 'is up after'
    sleep 1
    send "mkdir -p /mnt; mount -t ext4 /dev/${1}1 /mnt; dd if=/dev/zero of=/mnt/synced bs=64k count=16 conv=fsync 2>/dev/null; echo synced=\$?\\n"
    wait_for 60 'synced=0'
    ok $? "a file is written and synced"
    send 'while true; do dd if=/dev/urandom of=/mnt/load bs=16k count=200 2>/dev/null; sync; done\n'
    sleep 3
    kill -9 "$pid"
    wait "$pid" 2>/dev/null
    pid=
    take_part
    e2fsck -p "$work/part.img" >"$work/console" 2>&1
    e2fsck -fn "$work/part.img" >>"$work/console" 2>&1
    ok $? "after kill -9 the journal is enough"
    [ "$(debugfs -R "stat /synced" "$work/part.img" 2>/dev/null | grep -c 'Size: 1048576')" = 1 ]
    ok $? "and what had been synced is there"
}
