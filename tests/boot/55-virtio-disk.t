# The same disk as in 50-disk.t behind virtio-blk: SeaBIOS and GRUB boot from it, Linux writes to it with
# real flushes, and the file system is clean afterwards; also when the emulator is killed.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/boot/disk.sh"
start_guest -m 256 -no-reboot -drive "file=$disk,format=raw,if=virtio,id=root" -device virtio-rng-pci
disk_boots vda
send 'grep -E "MSI.*virtio.-req" /proc/interrupts >/dev/null; echo msi=$?; head -c 32 /dev/hwrng | wc -c; cat /sys/block/vda/queue/write_cache; echo end=$?\n'
wait_for 60 'end=0'
grep -aq 'msi=0' "$work/console"
ok $? "interrupts come by MSI-X"
grep -aq '^32' "$work/console"
ok $? "virtio-rng gives random bytes"
grep -aq '^write back' "$work/console"
ok $? "the driver knows of the cache"
disk_ends

start_guest -m 256 -kernel "$guest/bzImage" -initrd "$guest/initrd.img" -append 'console=ttyS0 quiet' \
    -drive "file=$disk,format=raw,if=none,id=d" -device virtio-blk-pci,drive=d,disable-legacy=on,serial=disk-17
wait_for 300 'is up after'
sleep 1
send 'cat /sys/block/vda/serial\n'
wait_for 60 '^disk-17'
ok $? "a device without the legacy interface has its serial number"
disk_is_killed vda
finish
