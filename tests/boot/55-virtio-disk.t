# The same disk as in 50-disk.t behind virtio-blk: SeaBIOS and GRUB boot from it, Linux writes to it with
# real flushes, and the file system is clean afterwards; also when the emulator is killed.
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

start_guest -m 256 -no-reboot -drive "file=$disk,format=raw,if=virtio,id=root" -device virtio-rng-pci
wait_for 60 'GRUB is up'
ok $? "SeaBIOS boots GRUB from the disk"
wait_for 300 'is up after'
ok $? "GRUB loads Linux from ext4"
sleep 1
send 'mkdir -p /mnt && mount -t ext4 /dev/vda1 /mnt && sha256sum /mnt/boot/bzImage; echo rc=$?\n'
wait_for 60 'rc=0'
ok $? "Linux mounts the disk through its virtio driver"
sum=$(sha256sum "$guest/bzImage" | cut -d' ' -f1)
grep -aq "$sum" "$work/console"
ok $? "and reads the kernel's file unchanged"
send 'dd if=/dev/urandom of=/mnt/new bs=64k count=64 conv=fsync 2>/dev/null; sha256sum /mnt/new >/mnt/sum; umount /mnt; echo done=$?\n'
wait_for 60 'done=0'
ok $? "it writes a file"
send 'grep -E "MSI.*virtio.-req" /proc/interrupts >/dev/null; echo msi=$?; head -c 32 /dev/hwrng | wc -c; cat /sys/block/vda/queue/write_cache; echo end=$?\n'
wait_for 60 'end=0'
grep -aq 'msi=0' "$work/console"
ok $? "interrupts come by MSI-X"
grep -aq '^32' "$work/console"
ok $? "virtio-rng gives random bytes"
grep -aq '^write back' "$work/console"
ok $? "the driver knows of the cache"
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

# Killed while it writes: the journal brings the file system back, and what was synced is there.
start_guest -m 256 -kernel "$guest/bzImage" -initrd "$guest/initrd.img" -append 'console=ttyS0 quiet' \
    -drive "file=$disk,format=raw,if=none,id=d" -device virtio-blk-pci,drive=d,disable-legacy=on,serial=disk-17
wait_for 300 'is up after'
sleep 1
send 'cat /sys/block/vda/serial; mkdir -p /mnt; mount -t ext4 /dev/vda1 /mnt; dd if=/dev/zero of=/mnt/synced bs=64k count=16 conv=fsync 2>/dev/null; echo synced=$?\n'
wait_for 60 'synced=0'
ok $? "a device without the legacy interface works"
grep -aq '^disk-17' "$work/console"
ok $? "it has its serial number"
send 'while true; do dd if=/dev/urandom of=/mnt/load bs=16k count=200 2>/dev/null; sync; done\n'
sleep 3
kill -9 "$pid"
wait "$pid" 2>/dev/null
pid=
dd if="$disk" of="$work/part.img" bs=1M skip=1 conv=notrunc status=none
e2fsck -p "$work/part.img" >"$work/console" 2>&1
e2fsck -fn "$work/part.img" >>"$work/console" 2>&1
ok $? "after kill -9 the journal is enough"
[ "$(debugfs -R "stat /synced" "$work/part.img" 2>/dev/null | grep -c 'Size: 1048576')" = 1 ]
ok $? "and what had been synced is there"
finish
