# Floppy disks: SeaBIOS boots one and reads and writes by its disk service; Linux finds the format out,
# reads and writes a file system, with and without a partner drive.
. "$SRC/tests/boot/lib.sh"
PATH=$PATH:/sbin:/usr/sbin
command -v nasm >/dev/null && command -v mke2fs >/dev/null || skip_all "nasm or mke2fs is not installed"
guest=$PWD/guest-pc
export GUEST_KERNEL=linux-image-amd64
need_guest
nasm -f bin -o "$work/a.img" "$SRC/tests/boot/floppy.asm"
python3 - "$work/a.img" <<'P'
import struct, sys
with open(sys.argv[1], "ab") as f:
    for n in range(1, 2880):
        f.write(struct.pack("<H", n) * 256)
P
start_guest -m 32 -fda "$work/a.img" -boot a
wait_for 60 'all sectors are right|a sector is wrong'
grep -aq 'all sectors are right' "$work/console"
ok $? "SeaBIOS boots from a floppy disk and reads two tracks"
stop_guest
[ "$(od -An -tu2 -j1474048 -N2 "$work/a.img" | tr -d ' ')" = 40 ]
ok $? "and writes its last sector"

truncate -s 1440K "$work/a.img"
truncate -s 720K "$work/b.img"
echo 'hello from the floppy' >"$work/hello"
mkdir "$work/root"
cp "$work/hello" "$work/root/"
mke2fs -q -F -t ext2 -d "$work/root" "$work/a.img" 1440
mke2fs -q -F -t ext2 -d "$work/root" "$work/b.img" 720
start_guest -m 256 -no-reboot -kernel "$guest/bzImage" -initrd "$guest/initrd.img" -append 'console=ttyS0 quiet' \
    -fda "$work/a.img" -drive "file=$work/b.img,format=raw,if=floppy"
wait_for 300 'is up after'
sleep 1
send 'mkdir -p /mnt /b; mount -t ext4 /dev/fd0 /mnt && cat /mnt/hello && dd if=/dev/urandom of=/mnt/new bs=1k count=600 2>/dev/null && sha256sum /mnt/new >/mnt/sum && umount /mnt; echo fd0=$?\n'
wait_for 120 'fd0=[0-9]'
grep -aq 'fd0=0' "$work/console" && grep -aq '^hello from the floppy' "$work/console"
ok $? "Linux reads and writes a disk of 1440 KiB"
send 'mount -t ext4 /dev/fd1 /b && cat /b/hello && cp /b/hello /b/second && umount /b; echo fd1=$?\n'
wait_for 120 'fd1=[0-9]'
grep -aq 'fd1=0' "$work/console"
ok $? "and one of 720 KiB in drive B"
send 'poweroff\n'
wait_end 60
ok $? "poweroff ends with status 0"
e2fsck -fn "$work/a.img" >"$work/console" 2>&1 && e2fsck -fn "$work/b.img" >>"$work/console" 2>&1
ok $? "the file systems are clean afterwards"
debugfs -R "dump /new $work/new" "$work/a.img" >/dev/null 2>&1
debugfs -R "dump /sum $work/sum" "$work/a.img" >/dev/null 2>&1
debugfs -R "dump /second $work/second" "$work/b.img" >/dev/null 2>&1
[ "$(cut -d' ' -f1 "$work/sum")" = "$(sha256sum "$work/new" | cut -d' ' -f1)" ] && cmp -s "$work/hello" "$work/second"
ok $? "and hold what was written"
finish
