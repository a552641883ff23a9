# The same disk as in 50-disk.t behind virtio-blk: SeaBIOS and GRUB boot from it, Linux writes to it with
# real flushes, and the file system is clean afterwards; also when the emulator is killed.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/boot/disk.sh"
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
check_disk

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
take_part
e2fsck -p "$work/part.img" >"$work/console" 2>&1
e2fsck -fn "$work/part.img" >>"$work/console" 2>&1
ok $? "after kill -9 the journal is enough"
[ "$(debugfs -R "stat /synced" "$work/part.img" 2>/dev/null | grep -c 'Size: 1048576')" = 1 ]
ok $? "and what had been synced is there"
finish
