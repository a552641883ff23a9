# The life of a disk and a CD-ROM drive behind a controller: boot, write, power off, be killed. Sourced
# after disk.sh (there may be an empty IDE drive as well). disk_cycle DISK-NODE CD-ARGUMENTS DISK-ARGUMENTS...: the guest's /dev/DISK-NODE.
disk_cycle() {
    node=$1 cd=$2
    shift 2
    mkdir "$work/cd"
    echo 'hello from the CD' >"$work/cd/hello"
    xorriso -as mkisofs -quiet -o "$work/cd.iso" "$work/cd" >/dev/null 2>&1
    # shellcheck disable=SC2086
    start_guest -m 256 -no-reboot "$@" -drive "file=$work/cd.iso,if=none,id=cd,media=cdrom" $cd
    wait_for 60 'GRUB is up'
    ok $? "SeaBIOS boots GRUB from the disk"
    wait_for 300 'is up after'
    ok $? "GRUB loads Linux from ext4"
    sleep 1
    send "mkdir -p /mnt && mount -t ext4 /dev/${node}1 /mnt && sha256sum /mnt/boot/bzImage; echo rc=\$?\\n"
    wait_for 60 'rc=0'
    ok $? "Linux mounts the disk through its own driver"
    sum=$(sha256sum "$guest/bzImage" | cut -d' ' -f1)
    grep -aq "$sum" "$work/console"
    ok $? "and reads the kernel's file unchanged"
    send 'dd if=/dev/urandom of=/mnt/new bs=64k count=64 conv=fsync 2>/dev/null; sha256sum /mnt/new >/mnt/sum; umount /mnt; echo done=$?\n'
    wait_for 60 'done=0'
    ok $? "it writes a file"
    send "cat /sys/block/$node/queue/write_cache; cat /sys/block/$node/device/queue_depth; for s in sr0 sr1; do mount -t iso9660 /dev/\$s /mnt && break; done 2>/dev/null; cat /mnt/hello; echo cd=\$?\\n"
    wait_for 60 'cd=0'
    grep -aq '^hello from the CD' "$work/console"
    ok $? "and reads a CD"
    grep -aq '^write back' "$work/console"
    ok $? "the driver knows of the cache"
    send 'poweroff\n'
    wait_end 60
    ok $? "poweroff ends with status 0"
    check_disk

    start_guest -m 256 -kernel "$guest/bzImage" -initrd "$guest/initrd.img" -append 'console=ttyS0 quiet' "$@"
    wait_for 300 'is up after'
    sleep 1
    send "mkdir -p /mnt; mount -t ext4 /dev/${node}1 /mnt; dd if=/dev/zero of=/mnt/synced bs=64k count=16 conv=fsync 2>/dev/null; echo synced=\$?\\n"
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
