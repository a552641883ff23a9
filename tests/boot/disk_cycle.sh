# The life of a disk and a CD-ROM drive behind a controller: boot, write, power off, be killed. Sourced
# after disk.sh (there may be an empty IDE drive as well). disk_cycle DISK-NODE CD-ARGUMENTS DISK-ARGUMENTS...: the guest's /dev/DISK-NODE.
disk_cycle() {
    node=$1 cd=$2
    shift 2
    make_cd
    # shellcheck disable=SC2086
    start_guest -m 256 -no-reboot "$@" -drive "file=$work/cd.iso,if=none,id=cd,media=cdrom" $cd
    disk_boots "$node"
    send "cat /sys/block/$node/queue/write_cache; cat /sys/block/$node/device/queue_depth; for s in sr0 sr1; do mount -t iso9660 /dev/\$s /mnt && break; done 2>/dev/null; cat /mnt/hello; echo cd=\$?\\n"
    wait_for 60 'cd=0'
    grep -aq '^hello from the CD' "$work/console"
    ok $? "and reads a CD"
    grep -aq '^write back' "$work/console"
    ok $? "the driver knows of the cache"
    disk_ends

    start_guest -m 256 -kernel "$guest/bzImage" -initrd "$guest/initrd.img" -append 'console=ttyS0 quiet' "$@"
    disk_is_killed "$node"
}
