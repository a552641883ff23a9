# virtio-balloon through the monitor, virtio-serial with a console and a named port.
. "$SRC/tests/boot/lib.sh"
need_guest
mkfifo "$work/port.in" "$work/port.out"
cat "$work/port.out" >"$work/port.log" &
start_guest -m 256 -no-reboot -kernel "$guest/bzImage" -initrd "$guest/initrd.img" -append 'console=ttyS0 quiet' \
    -device virtio-balloon-pci,free-page-reporting=on,bus=pci.0,addr=0x7 \
    -chardev "file,id=c,path=$work/hvc" -chardev "pipe,id=p,path=$work/port" \
    -device virtio-serial-pci,id=vs -device virtconsole,chardev=c -device virtserialport,chardev=p,name=org.test.0,bus=vs.0
exec 8>"$work/port.in"
wait_for 300 'is up after'
ok $? "Linux boots"
sleep 1
send '\001c'
balloon() { # MEBIBYTES: waits until the guest has that much
    send "balloon $1\n"
    n=$((20 * slow))
    until grep -aq "balloon: actual=$1" "$work/console" || [ "$n" = 0 ]; do
        sleep 1
        send 'info balloon\n'
        n=$((n - 1))
    done
    [ "$n" -gt 0 ]
}
balloon 100
ok $? "the guest gives memory back"
balloon 256
ok $? "and gets it again"
send '\001c\n'
send 'cat /sys/class/virtio-ports/*/name; P=$(ls /dev/vport*p1); echo to the host >$P; echo to the console >/dev/hvc0; echo said=$?\n'
wait_for 20 'said=0'
wait_for 5 '^org.test.0'
ok $? "the port has its name"
n=0
until grep -q 'to the host' "$work/port.log" || [ $n = 20 ]; do
    sleep 0.2
    n=$((n + 1))
done
grep -q '^to the host' "$work/port.log" && grep -q '^to the console' "$work/hvc"
ok $? "what the guest writes comes out"
echo 'from the host' >&8
send 'head -n 1 <$P\n'
wait_for 20 '^from the host'
ok $? "and what the host writes comes in"
send 'poweroff\n'
wait_end 60
ok $? "poweroff ends with status 0"
finish
