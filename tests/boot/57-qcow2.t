# A qcow2 overlay over the raw disk of 55-virtio-disk.t, with internal snapshots, behind virtio-blk, IDE and
# -blockdev: Linux boots from it and writes to it; qemu-img finds nothing wrong afterwards, also after kill -9.
. "$SRC/tests/boot/lib.sh"
command -v qemu-img >/dev/null || skip_all "qemu-img is not installed"
. "$SRC/tests/boot/disk.sh"
img="$DRAGOMAN img"
over=$work/over.qcow2
$img create -q -f qcow2 -b disk.img -F raw "$over"
ok $? "an overlay over the disk"
start_guest -m 256 -no-reboot -drive "file=$over,if=virtio"
wait_for 300 'is up after'
ok $? "it boots from the overlay"
timeout $((20 * slow)) $DRAGOMAN -display none -drive "file=$over,format=qcow2" </dev/null >"$work/second" 2>&1
[ $? = 1 ] && grep -q 'in use' "$work/second"
ok $? "a second emulator on the same image is refused"
qemu-img check "$over" >"$work/second" 2>&1
[ $? = 1 ]
ok $? "and so is qemu-img"
sleep 1
send 'mkdir -p /mnt && mount -t ext4 /dev/vda1 /mnt; dd if=/dev/urandom of=/mnt/new bs=64k count=64 conv=fsync 2>/dev/null; sha256sum /mnt/new >/mnt/sum; umount /mnt; echo done=$?\n'
wait_for 60 'done=0'
ok $? "it writes a file"
send 'poweroff\n'
wait_end 60
ok $? "poweroff ends with status 0"
before=$(sha256sum "$disk")
qemu-img check "$over" >"$work/console" 2>&1
ok $? "qemu-img check finds nothing"
mv "$disk" "$work/base.img"
qemu-img convert -f raw -O raw "$work/base.img" "$disk"
qemu-img convert -O raw "$over" "$work/flat.img"
$img compare -q "$over" "$work/flat.img"
ok $? "img compare agrees with qemu-img convert"
mv "$work/flat.img" "$disk"
check_disk
mv "$work/base.img" "$disk"
[ "$before" = "$(sha256sum "$disk")" ]
ok $? "the backing file is what it was"

# Killed while it writes behind the IDE controller, by -blockdev; with a snapshot that must stay.
$img snapshot -c s1 "$over"
ok $? "a snapshot"
qemu-img convert -l s1 -O raw "$over" "$work/s1.img"
start_guest -m 256 -kernel "$guest/bzImage" -initrd "$guest/initrd.img" -append 'console=ttyS0 quiet' \
    -blockdev "driver=qcow2,node-name=n,file.driver=file,file.filename=$over" -device ide-hd,drive=n,bus=ide.0,unit=0,serial=disk-57
wait_for 300 'is up after'
sleep 1
send 'cat /sys/block/sda/device/model; mkdir -p /mnt; mount -t ext4 /dev/sda1 /mnt; dd if=/dev/zero of=/mnt/synced bs=64k count=16 conv=fsync 2>/dev/null; echo synced=$?\n'
wait_for 60 'synced=0'
ok $? "the same image as an IDE disk"
send 'while true; do dd if=/dev/urandom of=/mnt/load bs=16k count=200 2>/dev/null; sync; done\n'
sleep 3
kill -9 "$pid"
wait "$pid" 2>/dev/null
pid=
qemu-img check "$over" >"$work/console" 2>&1
status=$?
[ $status = 0 ] || [ $status = 3 ]
ok $? "after kill -9 qemu-img check finds at most leaks (status $status)"
$img check -q -r leaks "$over" && qemu-img check -q "$over"
ok $? "img check -r leaks brings them back"
qemu-img convert -O raw "$over" "$work/flat.img"
dd if="$work/flat.img" of="$work/part.img" bs=1M skip=1 conv=notrunc status=none
e2fsck -p "$work/part.img" >"$work/console" 2>&1
e2fsck -fn "$work/part.img" >>"$work/console" 2>&1
ok $? "the journal is enough"
[ "$(debugfs -R "stat /synced" "$work/part.img" 2>/dev/null | grep -c 'Size: 1048576')" = 1 ]
ok $? "what had been synced is there"
qemu-img convert -l s1 -O raw "$over" "$work/s2.img"
cmp -s "$work/s1.img" "$work/s2.img"
ok $? "the snapshot is what it was"
$img snapshot -a s1 "$over" && qemu-img check -q "$over" && $img compare -q "$over" "$work/s1.img"
ok $? "and can be gone back to"

# -snapshot changes nothing.
before=$(sha256sum "$over")
start_guest -m 256 -kernel "$guest/bzImage" -initrd "$guest/initrd.img" -append 'console=ttyS0 quiet' -snapshot \
    -drive "file=$over,if=virtio,format=qcow2"
wait_for 300 'is up after'
sleep 1
send 'dd if=/dev/urandom of=/dev/vda bs=64k count=64 conv=fsync 2>/dev/null; echo done=$?; poweroff\n'
wait_for 60 'done=0'
ok $? "with -snapshot the guest writes"
wait_end 60
[ "$before" = "$(sha256sum "$over")" ]
ok $? "and the image stays as it is"
finish
