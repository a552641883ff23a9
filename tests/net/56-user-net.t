# User networking through virtio-net: DHCP, 200 MB from a server on the host's loopback, a connection in by
# hostfwd, and clear errors.
. "$SRC/tests/boot/lib.sh"
$DRAGOMAN -nic user -m 1 -kernel /nonexistent 2>&1 </dev/null | grep -q 'not in this build' && skip_all "built without libslirp"
need_guest
mkdir "$work/www"
head -c 200000000 /dev/urandom >"$work/www/big"
port=$((20000 + $$ % 20000))
busybox httpd -f -p "127.0.0.1:$port" -h "$work/www" &
server=$!
trap 'kill $server 2>/dev/null; stop_guest; rm -rf "$work"' EXIT

mkdir "$work/extra"
cat >"$work/extra/dhcp" <<'D'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/24" dev "$interface"
ip route add default via "$router"
echo "lease $ip dns $dns"
D
chmod +x "$work/extra/dhcp"
{ cat "$guest/initrd.img" && (cd "$work/extra" && echo dhcp | cpio -o -H newc --quiet); } >"$work/initrd"
start_guest -m 256 -no-reboot -kernel "$guest/bzImage" -initrd "$work/initrd" -append 'console=ttyS0 quiet' \
    -netdev "user,id=n,hostfwd=tcp:127.0.0.1:$((port + 1))-:22" -device virtio-net-pci,netdev=n,mac=52:54:00:aa:bb:cc
wait_for 300 'is up after'
ok $? "Linux boots"
sleep 1
send 'ip link set lo up; ip link set eth0 up; cat /sys/class/net/eth0/address; udhcpc -i eth0 -q -n -s /dhcp; echo dhcp=$?\n'
wait_for 60 'dhcp=0'
grep -aq 'lease 10.0.2.15 dns 10.0.2.3' "$work/console"
ok $? "DHCP gives an address"
grep -aq '^52:54:00:aa:bb:cc' "$work/console"
ok $? "the card has the address that was asked for"
send "wget -q -O - http://10.0.2.2:$port/big | sha256sum; echo wget=\$?\\n"
wait_for 300 'wget=0'
grep -aq "$(sha256sum <"$work/www/big" | cut -d' ' -f1)" "$work/console"
ok $? "200 MB come in unchanged"
send 'nc -l -p 22 >/in; echo in=$?; sha256sum /in\n'
sleep 1
head -c 5000000 "$work/www/big" | timeout 60 busybox nc 127.0.0.1 $((port + 1)) &
wait_for 60 '/in'
wait_for 60 "$(head -c 5000000 "$work/www/big" | sha256sum | cut -d' ' -f1)"
ok $? "5 MB come in by hostfwd"
mkfifo "$work/open" # nc ends when its input does
sleep 60 >"$work/open" &
hold=$!
busybox nc -l -p $((port + 2)) <"$work/open" >"$work/out" &
nc=$!
send "dd if=/dev/urandom of=/out bs=64k count=320 2>/dev/null; sha256sum /out; nc 10.0.2.2 $((port + 2)) </out; echo out=\$?\\n"
wait_for 60 'out=0'
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ "$(wc -c <"$work/out")" -lt 20971520 ] || break
    sleep 0.5
done
kill $nc $hold 2>/dev/null
grep -aq "$(sha256sum <"$work/out" | cut -d' ' -f1)" "$work/console" && [ "$(wc -c <"$work/out")" = 20971520 ]
ok $? "20 MB go out unchanged"
send 'poweroff\n'
wait_end 60
ok $? "poweroff ends with status 0"
finish
