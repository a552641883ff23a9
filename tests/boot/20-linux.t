# Debian's cloud kernel to a shell, with several sizes of memory.
. "$SRC/tests/boot/lib.sh"
mkdir -p "$work/extra"
cat >"$work/extra/test.sh" <<'S'
uname -a
grep -m1 'model name' /proc/cpuinfo
grep -m1 '^flags' /proc/cpuinfo
i=0 s=0
while [ $i -lt 100 ]; do i=$((i + 1)) s=$((s + i * i)); done
echo "script: $s"
dd if=/dev/zero bs=64k count=64 2>/dev/null | sha256sum
echo "memory: $(awk '/MemTotal/ {print $2}' /proc/meminfo)"
[ "$(awk '/MemTotal/ {print $2}' /proc/meminfo)" -lt 5500000 ] || /pattern 4500
echo "end of test"
S
gcc -O2 -static -o "$work/extra/pattern" "$SRC/tests/boot/pattern.c"
guest_with "$work/extra"
boot() { # memory, more arguments
    m=$1
    shift
    start_guest -m "$m" -no-reboot -kernel "$work/guest/bzImage" -initrd "$work/guest/initrd.img" \
        -append "console=ttyS0 quiet panic=-1 run=test.sh" "$@"
    wait_for 300 'end of test'
    ok $? "the shell script runs with -m $m"
    wait_end 60
    ok $? "power-off ends with status 0"
}
boot 512
grep -aq 'Linux (none) 6' "$work/console"
ok $? "uname"
grep -aq 'model name' "$work/console"
ok $? "/proc/cpuinfo"
has=" $(tr -d '\r' <"$work/console" | sed -n 's/^flags[^:]*: //p') "
missing=
for f in $promised_flags; do
    case $has in *" $f "*) ;; *) missing="$missing $f" ;; esac
done
[ -z "$missing" ]
ok $? "... has every flag promised${missing:+, but:$missing}"
grep -aq 'script: 338350' "$work/console"
ok $? "shell arithmetic"
sum=$(dd if=/dev/zero bs=64k count=64 2>/dev/null | sha256sum | cut -d' ' -f1)
grep -aq "$sum" "$work/console"
ok $? "sha256sum agrees with the host's"
boot 6G
[ "$(awk '/memory:/ {print ($2 > 5900000)}' "$work/console")" = 1 ]
ok $? "6 GiB are seen"
grep -aq 'pattern: 4500 MiB, 0 errors' "$work/console"
ok $? "patterns hold in 4500 MiB, of which 3 GiB at most lie below 4 GiB"
# 64 MiB are too few for the cloud kernel (it loads at 16 MiB and needs 52 more): the installer's 32-bit kernel,
# with busybox and its libraries from the installer's own initial RAM disk.
dir=/usr/lib/debian-installer/images/12/i386/text/debian-installer/i386
if [ -f "$dir/linux" ]; then
    mkdir -p "$work/small"
    (
        cd "$work/small" || exit
        zcat "$dir/initrd.gz" | cpio -id --quiet bin/busybox '*ld-linux*' '*libc.so*' '*libm.so*' '*libresolv.so*'
        mkdir -p dev proc
        printf '#!/bin/busybox sh\n/bin/busybox mount -t proc proc /proc\n/bin/busybox uname -a\n%s\n%s\n' \
            '/bin/busybox awk "/MemTotal/ {print \"small memory:\", \$2}" /proc/meminfo' 'exec /bin/busybox poweroff -f' >init
        chmod +x init
        find . | cpio -o -H newc --quiet | gzip -1 >../small.img
    ) 2>/dev/null
    start_guest -m 64 -no-reboot -kernel "$dir/linux" -initrd "$work/small.img" -append "console=ttyS0 quiet panic=-1"
    wait_for 200 'small memory: [0-9]+'
    ok $? "a 32-bit kernel runs with -m 64"
    wait_end 60
    ok $? "power-off ends with status 0"
fi
start_guest -m 256 -no-reboot -kernel "$guest/bzImage" -initrd "$guest/initrd.img" -append "console=ttyS0 quiet"
wait_for 300 'is up after'
ok $? "an interactive shell"
sleep 2
send 'echo result $((6 * 7))\n'
wait_for 20 'result 42'
ok $? "takes commands"
send 'poweroff\n'
wait_end 60
ok $? "poweroff ends with status 0"
finish
