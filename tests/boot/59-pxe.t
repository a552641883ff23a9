# Network boot with the option ROM of each card: a program by TFTP from user networking prints on the serial port
# and ends the machine. The capture is a pcap file.
. "$SRC/tests/boot/lib.sh"
[ -f /usr/lib/ipxe/qemu/pxe-e1000.rom ] || skip_all "package ipxe-qemu is not installed"
$DRAGOMAN -nic user -m 1 -kernel /nonexistent 2>&1 </dev/null | grep -q 'not in this build' && skip_all "built without libslirp"
mkdir "$work/tftp"
# mov dx, 3f8; mov si, text; cs lodsb; out until 0; mov dx, 501; mov al, 10; out
printf '\272\370\003\276\026\174\056\254\204\300\164\003\356\353\367\272\001\005\260\020\356\364booted by PXE\r\n\000' \
    >"$work/tftp/prog"
boot() {
    timeout $((100 * slow)) $DRAGOMAN -accel "$accel" -m 64 -nodefaults -boot n -device isa-debug-exit -serial stdio \
        -netdev "user,id=n,tftp=$work/tftp,bootfile=prog" -device "$1,netdev=n" \
        -object "filter-dump,id=d,netdev=n,file=$work/$1.pcap" >"$work/$1.out" 2>&1 </dev/null
    echo $? >"$work/$1.status"
}
for card in e1000 rtl8139 virtio-net-pci; do
    boot $card &
done
wait
for card in e1000 rtl8139 virtio-net-pci; do
    [ "$(cat "$work/$card.status")" = 33 ] && grep -aq 'booted by PXE' "$work/$card.out"
    ok $? "$card"
done
[ "$(od -An -tx4 -N4 "$work/e1000.pcap" | tr -d ' ')" = a1b2c3d4 ] && grep -aq prog "$work/e1000.pcap"
ok $? "the capture has the file's name"
finish
