# Boots on a host that has better things to do: BUSY (8) busy processes beside each of BOOTS (20) boots, every other one
# with two processors. Each has to reach its shell and to power off.
. "$SRC/tests/boot/lib.sh"
need_guest
busy=
trap 'kill $busy 2>/dev/null; stop_guest; rm -rf "$work"' EXIT
while [ "$(echo "$busy" | wc -w)" -lt "${BUSY:-8}" ]; do
    sh -c 'while :; do :; done' &
    busy="$busy $!"
done
good=0 i=0 boots=${BOOTS:-20}
while [ $i -lt "$boots" ]; do
    i=$((i + 1))
    smp=$((2 - i % 2))
    case $accel in *verify*) smp=1 ;; esac
    from=$(date +%s)
    start_guest -m 256 -smp $smp -no-reboot -kernel "$guest/bzImage" -initrd "$guest/initrd.img" \
        -append "console=ttyS0 quiet panic=-1"
    wait_for 400 'is up after'
    up=$?
    sleep 1
    send 'echo alive=$((6 * 7))\n'
    [ $up = 0 ] && wait_for 60 'alive=42'
    up=$?
    send 'poweroff\n'
    wait_end 120
    down=$?
    [ $up = 0 ] && [ $down = 0 ] && good=$((good + 1))
    [ $up = 0 ] && [ $down = 0 ]
    ok $? "boot $i with -smp $smp: shell $up, power-off $down, $(($(date +%s) - from)) s, load $(cut -d" " -f1 /proc/loadavg)"
done
[ $good = "$boots" ]
ok $? "$good of $boots boots"
finish
