# User networking through virtio-net: DHCP, 200 MB from a server on the host's loopback, a connection in by
# hostfwd, and clear errors.
. "$SRC/tests/boot/lib.sh"
. "$SRC/tests/boot/net.sh"
guest_with "$work/extra"
serve 200000000
start_guest -m 256 -no-reboot -kernel "$work/guest/bzImage" -initrd "$work/guest/initrd.img" -append 'console=ttyS0 quiet' \
    -netdev "user,id=n,hostfwd=tcp:127.0.0.1:$((port + 1))-:22" -device virtio-net-pci,netdev=n,mac=52:54:00:aa:bb:cc
wait_for 300 'is up after'
ok $? "Linux boots"
sleep 1
send 'ip link set lo up; ip link set eth0 up; cat /sys/class/net/eth0/address; udhcpc -i eth0 -q -n -s /dhcp; echo dhcp=$?\n'
wait_for 120 'dhcp=0'
grep -aq 'lease 10.0.2.15 dns 10.0.2.3' "$work/console"
ok $? "DHCP gives an address"
grep -aq '^52:54:00:aa:bb:cc' "$work/console"
ok $? "the card has the address that was asked for"
fetch "200 MB come in unchanged"
send '(nc -l -p 22 >/in; sha256sum /in) & until grep -q ":0016 .* 0A " /proc/net/tcp*; do sleep 0.1; done; echo listens=$?\n'
wait_for 120 'listens=0'
head -c 5000000 "$work/www/big" | timeout $((120 * slow)) busybox nc 127.0.0.1 $((port + 1)) &
wait_for 120 "$(head -c 5000000 "$work/www/big" | sha256sum | cut -d' ' -f1)"
ok $? "5 MB come in by hostfwd"
fetch_from_guest 20
send 'poweroff\n'
wait_end 120
ok $? "poweroff ends with status 0"
finish
